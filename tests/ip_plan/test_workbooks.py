"""Workbooks out and in: what is exported comes back to the byte, however another program wrote it; what cannot be read is said."""

from __future__ import annotations

import csv
import io
import random
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from ground import work
from ground.mistake import Mistakes
from ip_plan import claims, intake, sheets, spreadsheet, workbook
from ip_plan.compile import compile_plan
from ip_plan.folder import folder_of
from ip_plan.network import load
from tests.ip_plan import nation

CODES = ("110000", "110100", "110101", "110102", "110101101", "110102101", "110200", "120000", "120100")
NAMES = {code: f"名{code}" for code in CODES} | {"110102101": "名（筹）"}
"""A name with full-width brackets is read in plain ones, and is the same all the same."""
ROWS = [nation.row(code, NAMES[code], "same" if code.startswith("1101") else f"r{code}") for code in CODES]
SAID = {"since": "2024-01-01", "reason": "区划调整"}
CHANGES = {
    "changes": [
        {"kind": "code", "old": "110103", "new": "110102", **SAID},
        {"kind": "move", "region": "110101", "to": "110200", **SAID},
    ]
}


@pytest.fixture(scope="module")
def offices(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], list[Path]]:
    """The ledger of a plan with an alias, tombstones and a county that moved with its addresses; its exported workbooks."""
    folder = tmp_path_factory.mktemp("offices")
    removed = nation.row("110103101", "撤并", "gone")
    removed = (*removed[:3], "110102", *removed[4:])
    nation.write(folder / "plan", [*ROWS, removed], changes=CHANGES["changes"][:1])
    compile_plan(str(folder / "plan"), folder / "state", executor=nation.Inline())
    plan = str(nation.write(folder / "plan", ROWS, **CHANGES))
    outcome = compile_plan(plan, folder / "state", confirm="small", executor=nation.Inline())
    assert outcome.grants and any(b"gone" in body for body in nation.ledger_bytes(folder / "plan").values())
    assert load(outcome.network).sites["110101:office1"].holder == "110100:centre1"
    written = workbook.export(str(folder / "plan"), folder / "state", outcome, folder / "out")
    assert [book.file.name for book in written] == ["00-部.xlsx", "11-名110000.xlsx", "12-名120000.xlsx"]
    again = workbook.export(str(folder / "plan"), folder / "state", outcome, folder / "out")
    assert not any(book.changed for book in again), "the same plan gives the same bytes"
    return nation.ledger_bytes(folder / "plan"), [book.file for book in written]


def take_in(folder: Path, paths: Sequence[Path]) -> intake.Taken:
    nation.write(folder / "plan", ROWS, **CHANGES)
    return intake.take_in(str(folder / "plan"), folder / "state", paths)


def test_what_was_exported_gives_the_same_ledger(offices: tuple[dict[str, bytes], list[Path]], tmp_path: Path) -> None:
    held, books = offices
    taken = take_in(tmp_path, books)
    assert nation.ledger_bytes(tmp_path / "plan") == held
    assert (taken.new, taken.held, taken.regions) == (sum(body.count(b"\n") - 1 for body in held.values()), 0, 0)
    again = take_in(tmp_path, books)
    assert (again.new, again.held, again.changed) == (0, taken.new, ())
    compile_plan(str(tmp_path / "plan"), tmp_path / "state", executor=nation.Inline())
    assert nation.ledger_bytes(tmp_path / "plan") == held, "and the compiler finds nothing to grant"


def test_a_sheet_has_frozen_headers_filters_texts_and_its_label(offices: tuple[dict[str, bytes], list[Path]]) -> None:
    book = openpyxl.load_workbook(offices[1][1])
    assert book.sheetnames == ["说明", *(table.zh for table in sheets.TABLES)]
    for table in sheets.TABLES:
        sheet = book[table.zh]
        assert sheet.freeze_panes == "B3" and str(sheet.auto_filter.ref).startswith("A2:")
        assert [cell.value for cell in sheet[2]] == [f"{column.zh}\n{column.en}" for column in table.columns]
    blocks = book["地址块"]
    names = [column.name for column in sheets.BY_NAME["blocks"].columns]
    rows = [dict(zip(names, row, strict=True)) for row in blocks.iter_rows(min_row=3, values_only=True)]
    assert all(isinstance(row["code"], str) for row in rows)
    top = next(row for row in rows if row["key"] == "110000")
    assert top["size4"] == top["used4"] + top["free4"] and 0 < top["used4"] <= top["size4"]
    assert top["size6"] == 256 and top["used6"] == 3  # its own, and those of two cities


# What another program does to a workbook


def _shuffle(book: Any, draw: random.Random) -> None:
    """Columns in another order, and more of them."""
    for sheet in book.worksheets[1:]:
        rows = [list(row) for row in sheet.iter_rows(values_only=True)]
        order = list(range(len(rows[1])))
        draw.shuffle(order)
        sheet.auto_filter.ref = None
        for number, row in enumerate(rows, 1):
            cells = [row[index] for index in order] if number > 1 else [None] * len(order)
            extra = "备注" if number == 2 else f"第{number}行"
            for column, value in enumerate([*cells, extra], 1):
                sheet.cell(number, column).value = value


def _numbers(book: Any, draw: random.Random) -> None:
    """Codes as numbers."""
    for sheet in book.worksheets[1:]:
        for row in sheet.iter_rows(min_row=3):
            for cell in row:
                if isinstance(cell.value, str) and cell.value.isdecimal():
                    cell.value = float(cell.value)


def _wide(book: Any, draw: random.Random) -> None:
    """Full-width digits and punctuation."""
    table = {number: number + 0xFEE0 for number in range(0x21, 0x7F)}
    for sheet in book.worksheets[1:]:
        for row in sheet.iter_rows(min_row=2):
            for cell in row:
                if isinstance(cell.value, str) and draw.random() < 0.5:
                    cell.value = f" {cell.value.translate(table)}　"


def _english(book: Any, draw: random.Random) -> None:
    """English headers, sheets by other names."""
    for number, sheet in enumerate(book.worksheets[1:]):
        sheet.title = f"Sheet{number}"
        for cell in sheet[2]:
            cell.value = cell.value.split("\n")[-1].upper()


def _titles(book: Any, draw: random.Random) -> None:
    """Title rows above, rows left empty between, and merged cells."""
    for sheet in book.worksheets[1:]:
        sheet.insert_rows(1, 3)
        sheet["A1"] = "某省人力资源和社会保障厅"
        sheet.merge_cells("A1:D2")
        for number in sorted(draw.sample(range(6, sheet.max_row + 2), k=min(2, sheet.max_row - 4)), reverse=True):
            sheet.insert_rows(number)


def _merged(book: Any, draw: random.Random) -> None:
    """Equal cells of a column as one."""
    for sheet in book.worksheets[1:]:
        for column in range(1, sheet.max_column + 1):
            first = 3
            for number in range(4, sheet.max_row + 2):
                value = sheet.cell(first, column).value
                if number <= sheet.max_row and value is not None and sheet.cell(number, column).value == value:
                    continue
                if number - first > 1:
                    sheet.merge_cells(start_row=first, end_row=number - 1, start_column=column, end_column=column)
                first = number


EDITS = (_shuffle, _numbers, _wide, _english, _titles, _merged)


@settings(
    max_examples=3,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    # A failing example names its edits already; shrinking one writes hundreds of workbooks.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(st.lists(st.sampled_from(EDITS), unique=True, min_size=2), st.randoms(use_true_random=False))
@example([_shuffle], random.Random(1))
@example([_numbers], random.Random(1))
@example([_wide], random.Random(1))
@example([_english], random.Random(1))
@example([_titles], random.Random(1))
@example([_merged], random.Random(1))
@example(list(EDITS), random.Random(1))
def test_another_programs_way_makes_no_difference(
    offices: tuple[dict[str, bytes], list[Path]], edits: list[Callable[..., None]], draw: random.Random
) -> None:
    held, books = offices
    with tempfile.TemporaryDirectory() as name:
        sent = []
        for path in books:
            book = openpyxl.load_workbook(path)
            for edit in sorted(edits, key=EDITS.index):
                edit(book, draw)
            sent.append(Path(name) / path.name)
            book.save(sent[-1])
        take_in(Path(name), sent)
        assert nation.ledger_bytes(Path(name) / "plan") == held


@pytest.mark.parametrize(
    ("encoding", "delimiter"), [("utf-8", ","), ("utf-8-sig", ";"), ("gb18030", ","), ("utf-16", "\t")]
)
def test_a_csv_says_the_same(
    offices: tuple[dict[str, bytes], list[Path]], encoding: str, delimiter: str, tmp_path: Path
) -> None:
    held, books = offices
    sent = []
    for path in books:
        for number, sheet in enumerate(openpyxl.load_workbook(path).worksheets[1:]):
            stream = io.StringIO()
            csv.writer(stream, delimiter=delimiter).writerows(sheet.iter_rows(values_only=True))
            sent.append(tmp_path / f"{path.stem}-{number}.csv")
            sent[-1].write_bytes(stream.getvalue().encode(encoding))
    take_in(tmp_path, sent)
    assert nation.ledger_bytes(tmp_path / "plan") == held


def test_one_address_that_was_mistyped_is_found(offices: tuple[dict[str, bytes], list[Path]], tmp_path: Path) -> None:
    book = openpyxl.load_workbook(offices[1][1])
    cell = book["区域网段"]["F4"]
    cell.value = book["区域网段"]["F5"].value
    sent = tmp_path / "sent.xlsx"
    book.save(sent)
    with pytest.raises(Mistakes) as caught:
        take_in(tmp_path, [offices[1][0], sent, offices[1][2]])
    assert f"{sent}!区域网段!F4" in [mistake.file for mistake in caught.value.found if mistake.code == "JB1353"]
    assert nation.ledger_bytes(tmp_path) == {}


def test_existing_addresses_go_in_as_they_are_and_the_rest_is_granted_around_them(tmp_path: Path) -> None:
    sent = tmp_path / "现有地址.csv"
    sent.write_text(
        "某省地址规划,,,\n行政区划代码,用途,IP网段,IPv6地址段\n"
        "110000.0,地址块,１０．８０．０．０／１６,3fff:80::/28\n110000,本级,10.80.0.0/20,3fff:80::/36\n"
        "110100,,10.80.16.0/20,3fff:80:1000::/36\n110100,互联环回,10.80.31.0/25,3fff:80:1000::/44\n",
        "gb18030",
    )
    more = tmp_path / "zones.csv"
    more.write_text(
        "code,zone,prefix,ipv6\n110100,生产区,10.80.17.0/24,3fff:80:10f0::/48\n"
        "110101,access,10.80.18.64/29,3fff:80:1ff0:1002::/64\n"
    )
    devices = tmp_path / "devices.csv"
    devices.write_text("hostname,loopback,loopback6\n110100-r1,10.80.31.7,3fff:80:1000::77\n")
    taken = take_in(tmp_path, [sent, more, devices])
    assert (taken.new, taken.held) == (7, 0)
    plan = tmp_path / "plan"
    before = {line for body in nation.ledger_bytes(plan).values() for line in body.splitlines()}
    compile_plan(str(plan), tmp_path / "state", executor=nation.Inline())
    after = {line for body in nation.ledger_bytes(plan).values() for line in body.splitlines()}
    assert before < after
    assert b"zone\t110101:office1:access\t10.80.18.64/29\t3fff:80:1ff0:1002::/64" in after
    assert b"block\t110101\t-\t3fff:80:1ff0::/44" in after, "the county's block is the one its zone lies in"
    assert nation.ledger_bytes(plan)["12.tsv"], "the other province got the ledger's own choice"


def test_a_division_table_becomes_the_plans_own(tmp_path: Path) -> None:
    plan = nation.write(tmp_path / "plan", ROWS)
    (plan / "plan.yml").write_text(
        (plan / "plan.yml").read_text().replace("divisions: regions.csv", "divisions: 'regions.csv'")
    )
    sent = tmp_path / "区划.csv"
    sent.write_text(
        "级别,拼音,名称,代码,上级代码,村委会,居委会\n"
        "县级,xinqu,新区,110105,110100,0,0\n乡级,xinzhen,新 镇,110105101.0,110105.0,12.0,３\n"
        "县级,,改名区,110101,,,\n",
        "gb18030",
    )
    taken = intake.take_in(str(plan), tmp_path / "state", [sent])
    assert (taken.regions, taken.new, taken.changed) == (3, 0, (str(plan / "regions.csv"),))
    rows = {row["code"]: row for row in csv.DictReader((plan / "regions.csv").open())}
    assert rows["110105101"]["kind"] == "town" and rows["110105101"]["villages"] == "12"
    assert (rows["110101"]["name"], rows["110101"]["reading"]) == ("改名区", "same")
    assert compile_plan(str(plan), tmp_path / "state", executor=nation.Inline()).regions == len(ROWS) + 3


def test_a_plan_with_the_shipped_divisions_gets_its_own(tmp_path: Path) -> None:
    plan = tmp_path / "plan"
    plan.mkdir()
    text = "name: own\ntitle: 自有\nscope_text: 31个省、自治区、直辖市和新疆生产建设兵团\nbase: national\nscope: [{region: '000000'}]\n"
    (plan / "plan.yml").write_text(text)
    sent = tmp_path / "sent.csv"
    sent.write_text("代码,名称,拼音\n640199,新县,xinxian\n")
    intake.take_in(str(plan), tmp_path / "state", [sent])
    assert (plan / "plan.yml").read_text() == text + "divisions: regions.csv\n"
    assert len((plan / "regions.csv").read_text().splitlines()) == 44707


def test_a_shipped_plan_keeps_its_divisions(tmp_path: Path) -> None:
    sent = tmp_path / "sent.csv"
    sent.write_text("代码,名称,拼音\n640199,新县,xinxian\n")
    folder = folder_of("pilot")[0]
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(Mistakes) as raised:
        intake.take_in("pilot", tmp_path / "state", [sent])
    assert [(mistake.code, mistake.file) for mistake in raised.value.found] == [("JB1359", f"{sent}!A2")]
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


# What cannot be read


def _book(path: Path, fill: Callable[[Any], None] = lambda book: None) -> Path:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["区划代码", "IPv4前缀", "IPv6前缀"])
    sheet.append(["110000", "10.1.0.0/16", "3fff:10::/28"])
    fill(book)
    book.save(path)
    return path


def _patched(path: Path, change: Callable[[bytes], bytes]) -> Path:
    path.write_bytes(change(_book(path).read_bytes()))
    return path


def _with_part(path: Path, name: str, body: bytes, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(_book(path), "a", compression) as archive:
        archive.writestr(name, body)
    return path


def _lying(path: Path) -> Path:
    """A part that declares 10 bytes and unpacks to 40 MB."""
    body = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = body.compress(bytes(40 << 20)) + body.flush()
    _with_part(path, "xl/media/a.bin", packed, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    for mark, method, size in ((b"PK\x03\x04", 8, 22), (b"PK\x01\x02", 10, 24)):
        start = next(
            at for at in range(len(data)) if data.startswith(mark, at) and b"xl/media/a.bin" in data[at : at + 62]
        )
        data[start + method : start + method + 2] = struct.pack("<H", 8)
        data[start + size : start + size + 4] = struct.pack("<I", 10)
    path.write_bytes(data)
    return path


def _formula(book: Any) -> None:
    book.active["B2"] = '="10.1.0.0/"&16'


def _hidden(book: Any) -> None:
    copy = book.copy_worksheet(book.active)
    copy.title, copy.sheet_state = "旧表", "hidden"


def _far(book: Any) -> None:
    book.active["XFD1048576"] = "x"


OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)
BAD: dict[str, tuple[str, str, Callable[[Path], Path]]] = {
    "macros by name": ("sent.xlsm", "JB1340", _book),
    "macros inside": ("sent.xlsx", "JB1340", lambda path: _with_part(path, "xl/vbaProject.bin", b"x")),
    "another kind": ("sent.ods", "JB1340", lambda path: path),
    "not there": ("sent.csv", "JB1340", lambda path: path),
    "the old format": ("sent.xlsx", "JB1340", lambda path: _patched(path, lambda data: OLE)),
    "a password": (
        "sent.xlsx",
        "JB1342",
        lambda path: _patched(path, lambda data: OLE + "EncryptedPackage".encode("utf-16-le")),
    ),
    "cut off": ("sent.xlsx", "JB1341", lambda path: _patched(path, lambda data: data[: len(data) // 2])),
    "one byte changed": (
        "sent.xlsx",
        "JB1341",
        lambda path: _patched(path, lambda data: data[:60] + b"\xff\xff\xff" + data[63:]),
    ),
    "no zip at all": ("sent.xlsx", "JB1341", lambda path: _patched(path, lambda data: b"hello")),
    "a zip that is no workbook": ("sent.xlsx", "JB1341", lambda path: _zip(path)),
    "a bomb by its own word": ("sent.xlsx", "JB1343", lambda path: _with_part(path, "xl/media/a.bin", bytes(3 << 20))),
    "a bomb that lies": ("sent.xlsx", "JB1343", _lying),
    "a cell far away": ("sent.xlsx", "JB1343", lambda path: _book(path, _far)),
    "a formula": ("sent.xlsx", "JB1347", lambda path: _book(path, _formula)),
    "a hidden table": ("sent.xlsx", "JB1346", lambda path: _book(path, _hidden)),
    "an empty workbook": ("sent.xlsx", "JB1345", lambda path: _book(path, lambda book: book.active.delete_rows(1, 9))),
    "an empty csv": ("sent.csv", "JB1345", lambda path: _bytes(path, b"")),
    "no encoding": ("sent.csv", "JB1344", lambda path: _bytes(path, b"\xff\xff\x80\x81,1\n")),
    "a picture": ("sent.csv", "JB1344", lambda path: _bytes(path, b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")),
    "an open quote": ("sent.csv", "JB1341", lambda path: _bytes(path, b'code,prefix\n110000,"10.1.0.0/16\n')),
}


def _bytes(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _zip(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("hello.txt", "hello")
    return path


@pytest.mark.parametrize("case", BAD)
def test_a_file_that_cannot_be_read_is_named_and_nothing_is_written(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, code, make = BAD[case]
    monkeypatch.setattr(spreadsheet, "UNPACKED_BYTES", 2 << 20)
    sent = make(tmp_path / name)
    good = tmp_path / "good.csv"
    good.write_text("区划代码,IPv4前缀,IPv6前缀\n120000,10.2.0.0/16,3fff:20::/28\n")
    with pytest.raises(Mistakes) as caught:
        take_in(tmp_path, [sent, good])
    (mistake,) = caught.value.found
    assert mistake.code == code and mistake.file.startswith(str(sent)), str(caught.value)
    assert "Traceback" not in str(caught.value)
    assert nation.ledger_bytes(tmp_path) == {}


def test_a_million_empty_rows_are_passed_over(tmp_path: Path) -> None:
    sent = _book(tmp_path / "sent.xlsx")
    with zipfile.ZipFile(sent) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    rows = b"".join(b'<row r="%d"><c r="A%d" s="0"/></row>' % (number, number) for number in range(3, 1_000_000))
    parts["xl/worksheets/sheet1.xml"] = parts["xl/worksheets/sheet1.xml"].replace(
        b"</sheetData>", rows + b"</sheetData>"
    )
    with zipfile.ZipFile(sent, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in parts.items():
            archive.writestr(name, body)
    assert take_in(tmp_path, [sent]).rows == 1


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_no_damage_to_a_file_gets_past_a_mistake(
    offices: tuple[dict[str, bytes], list[Path]], data: st.DataObject
) -> None:
    body = bytearray(offices[1][0].read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at] = data.draw(st.integers(0, 255))
    del body[data.draw(st.integers(len(body) // 2, len(body))) :]
    with tempfile.TemporaryDirectory() as name:
        sent = Path(name) / "sent.xlsx"
        sent.write_bytes(body)
        tables, mistakes = spreadsheet.read([sent])
        assert tables or mistakes


def _die(number: int) -> int:
    if number == 1:
        bytearray(1 << 33)
    return number


def test_a_worker_that_runs_out_of_memory_takes_nobody_along() -> None:
    assert work.confined(_die, [0, 1, 2], 1 << 30) == [0, None, 2]


def test_blocks_of_every_mark_are_found() -> None:
    from ip_plan.ledger import Ledger

    book = Ledger()
    book.put("block", "110100", "10.1.0.0/20", "3fff:10:1000::/36")
    book.put("block", "110100#2", "10.2.0.0/20", "-")
    book.put("block", "110100#6.2", "-", "3fff:10:2000::/36")
    assert len(claims.held_by(book, "block", "110100", 4)) == len(claims.held_by(book, "block", "110100", 6)) == 2
