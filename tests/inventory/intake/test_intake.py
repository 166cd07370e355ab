"""What the intake takes in and what it refuses: nothing is loaded half or twice, whatever a body leaves and wherever the program ends."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.dialects.answering import Away, Refused
from inventory.dialects.intake import intake
from inventory.dialects.intake.intake import Announced, Item, Manifest, Psql, copied, read_listing, rows
from tests.inventory.intake.desk import BANK, COLUMNS, PAYMENTS, TAX, Cut, Desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_good_delivery_is_loaded_answered_and_taken_from_the_box(desk: Desk) -> None:
    desk.deliver()
    counts = desk.run()["bodies"]["bank1"]
    (told,) = desk.receipts()
    assert (told["result"], told["rows"], told["delivery"]) == ("loaded", {"pay.csv": 2}, "20261122-1")
    assert desk.lines[0] == "990101198001010011\tpension\t2026-10-01\t812.50\n" and len(desk.lines) == 2
    assert desk.left() == set() and not list((desk.root / "state/quarantine/bank1").iterdir())
    assert counts == {"loaded": 1, "rows": 2, "refused": {}}


def longer(desk: Desk) -> None:
    desk.deliver(bytes=10_000_000_000)


def gone(desk: Desk) -> None:
    desk.deliver()
    (desk.root / "bank1/in/pay.csv").unlink()


def doubled(desk: Desk) -> None:
    desk.deliver()
    desk.run()
    shutil.rmtree(desk.root / "bank1/receipts")
    (desk.root / "bank1/receipts").mkdir()
    desk.lines.clear()
    desk.deliver(PAYMENTS.replace("640", "641"))


def link(desk: Desk) -> None:
    desk.deliver()
    secret = desk.put("secret.csv", PAYMENTS, TAX)
    path = desk.root / "bank1/in/pay.csv"
    path.unlink()
    path.symlink_to(secret)


def link_as_manifest(desk: Desk) -> None:
    desk.put("b.json", "{}", TAX)
    (desk.root / "bank1/in/a.json").symlink_to(desk.root / "tax1/in/b.json")


def stray(desk: Desk) -> None:
    desk.put("pay.csv", PAYMENTS)
    desk.run()
    assert desk.receipts() == []  # its manifest may still come
    desk.moment += 700


def folder(desk: Desk) -> None:
    (desk.root / "bank1/in/inner").mkdir()


ROW = "990101198001010011,pension,2026-10-01,812.50\n"
HEAD = "person,kind,month,paid_yuan\n"
FAULTS: dict[str, tuple[str, Callable[[Desk], object]]] = {
    "cut short": ("JB2983", lambda desk: desk.deliver(bytes=len(PAYMENTS) + 1)),
    "longer than announced": ("JB2983", lambda desk: desk.deliver(bytes=len(PAYMENTS) - 1)),
    "announced and not there": ("JB2983", gone),
    "wrong checksum": ("JB2984", lambda desk: desk.deliver(sha256="0" * 64)),
    "the same id again": ("JB2985", doubled),
    "a way out of the box": ("JB2981", lambda desk: desk.deliver(name="../../tax1/in/pay.csv")),
    "two dots": ("JB2981", lambda desk: desk.deliver(name="pay..csv")),
    "an absolute path": ("JB2981", lambda desk: desk.deliver(name="/etc/shadow")),
    "a link": ("JB2981", link),
    "a link for a manifest": ("JB2981", link_as_manifest),
    "a folder": ("JB2981", folder),
    "ten gigabytes": ("JB2982", longer),
    "no manifest": ("JB2986", stray),
    "no JSON": ("JB2980", lambda desk: desk.put("a.json", "{")),
    "deep JSON": ("JB2980", lambda desk: desk.put("a.json", "[" * 60000)),
    "a list for a manifest": ("JB2980", lambda desk: desk.put("a.json", "[]")),
    "a manifest in GB18030": ("JB2980", lambda desk: desk.put("a.json", '{"id": "银行"}'.encode("gb18030"))),
    "a long manifest": ("JB2980", lambda desk: desk.put("a.json", "[" + " " * 70000)),
    "of another body": ("JB2980", lambda desk: desk.deliver(body="tax1")),
    "an id that is SQL": ("JB2980", lambda desk: desk.deliver(id="x'; drop table outside.payment; --")),
    "no rows given": ("JB2980", lambda desk: desk.deliver(rows=None)),
    "fewer than no bytes": ("JB2980", lambda desk: desk.deliver(bytes=-1)),
    "no files": ("JB2980", lambda desk: desk.deliver(files=[])),
    "a table of others": ("JB2987", lambda desk: desk.deliver(table="visit")),
    "a table that is none": ("JB2987", lambda desk: desk.deliver(table="delivery")),
    "another column": ("JB2987", lambda desk: desk.deliver(PAYMENTS.replace("kind", "account"))),
    "a column twice": ("JB2987", lambda desk: desk.deliver(PAYMENTS.replace("kind", "person"))),
    "an empty file": ("JB2987", lambda desk: desk.deliver("", rows=0)),
    "GB18030": ("JB2988", lambda desk: desk.deliver(PAYMENTS.replace("pension", "养老").encode("gb18030"))),
    "UTF-16": ("JB2988", lambda desk: desk.deliver(PAYMENTS.encode("utf-16"))),
    "a byte order mark": ("JB2988", lambda desk: desk.deliver(PAYMENTS.encode("utf-8-sig"))),
    "fewer rows": ("JB2989", lambda desk: desk.deliver(rows=3)),
    "a row too short": ("JB2989", lambda desk: desk.deliver(HEAD + "990101198001010011,pension\n", rows=1)),
    "a day that is none": ("JB2989", lambda desk: desk.deliver(HEAD + ROW.replace("10-01", "02-30"), rows=1)),
    "no number": ("JB2989", lambda desk: desk.deliver(HEAD + ROW.replace("812.50", "1e9"), rows=1)),
    "nothing where something is due": ("JB2989", lambda desk: desk.deliver(HEAD + ROW.replace("pension", ""), rows=1)),
    "a line break in a value": ("JB2989", lambda desk: desk.deliver(HEAD + ROW.replace("pension", '"\n\\.\n"'), rows=1)),
    "a quote that does not end": ("JB2989", lambda desk: desk.deliver(HEAD + '"' + ROW, rows=1)),
    "a good row before a bad one": ("JB2989", lambda desk: desk.deliver(HEAD + ROW + ROW.replace("812", "x"))),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_delivery_is_refused_with_its_code_and_nothing_of_it_is_loaded(desk: Desk, fault: str) -> None:
    code, prepare = FAULTS[fault]
    prepare(desk)
    status = desk.run()
    (told,) = desk.receipts()
    assert (told["result"], told["code"], told["cure"]) == ("refused", code, intake.CURES[code]), told
    assert desk.lines == [] and status["bodies"]["bank1"]["refused"] == {code: 1}
    assert desk.left() <= {
        "inner",
        "pay.csv",
    }  # a file under another name than the manifest's is the body's to take away
    before = desk.steps
    desk.run()
    assert len(desk.receipts()) == 1 and desk.steps == before + 1  # what was answered is not asked again


def test_every_code_of_a_refusal_was_seen() -> None:
    assert {code for code, _ in FAULTS.values()} == set(intake.CURES)


def test_a_bad_delivery_holds_up_no_other(desk: Desk) -> None:
    desk.deliver(sha256="0" * 64)
    document = json.loads((desk.root / "bank1/in/a.json").read_text()) | {"body": "tax1", "id": "T-1"}
    document["files"][0]["sha256"] = hashlib.sha256(PAYMENTS.encode()).hexdigest()
    desk.put("pay.csv", PAYMENTS, TAX)
    desk.put("a.json", json.dumps(document), TAX)
    desk.run()
    assert [desk.receipts(body)[0]["result"] for body in (BANK, TAX)] == ["refused", "loaded"]


@pytest.mark.parametrize("bad", [False, True])
def test_wherever_it_is_cut_off_the_next_run_completes_it_once(tmp_path: Path, bad: bool) -> None:
    step, cut = 0, True
    while cut:
        step += 1
        desk = Desk(tmp_path / str(step))
        desk.deliver(sha256="0" * 64) if bad else desk.deliver()
        desk.cut = step
        try:
            desk.run()
            cut = False
        except Cut:
            desk.cut = 0
            desk.run()
        told = desk.receipts()
        assert [each["result"] for each in told] == ["refused" if bad else "loaded"], (step, told)
        assert len(desk.lines) == (0 if bad else 2) and desk.left() == set(), step
    assert step > 6


def test_boxes_that_do_not_answer_are_tried_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.deliver()

    def away(*_: object) -> None:
        raise Away("the boxes do not answer: no route")

    with monkeypatch.context() as patched:
        patched.setattr(desk, "answer", away)
        status = desk.run()
    assert status["trouble"] and "good" not in status and desk.receipts() == []
    status = desk.run()
    assert not status["trouble"] and desk.receipts()[0]["result"] == "loaded" and len(desk.lines) == 2


def test_what_was_refused_is_kept_for_a_while(desk: Desk) -> None:
    desk.deliver(sha256="0" * 64)
    desk.run()
    (kept,) = (desk.root / "state/quarantine/bank1").iterdir()
    assert (kept / "files/pay.csv").read_text() == PAYMENTS
    desk.run()
    assert kept.exists()
    os.utime(kept / "answered", (0, 0))
    desk.run()
    assert not kept.exists()


LISTING = """\
sftp> !echo 5ec7 bank1
5ec7 bank1
sftp> ls -lna /box-bank1/in
drwxrws---    2 998      997            80 Nov 22 15:37 /box-bank1/in/.
drwxr-xr-x    4 0        0              80 Nov 22 15:37 /box-bank1/in/..
-rw-rw----    ? 998      997           123 Nov 22 15:37 /box-bank1/in/pay.csv
lrwxrwxrwx    1 998      997             9 Nov 22 15:37 /box-bank1/in/a b.json
-rw-rw----    1 998      997             9 Nov 22 15:37 evil
5ec8 tax1
-rw-rw----    1 998      997             9 Nov 22 15:37 claimed
sftp> !echo 5ec7 tax1
5ec7 tax1
-rw-rw----    1 998      997   10000000000 Jan  3  2025 big.csv
"""


def test_a_listing_is_read_and_no_name_leads_into_another_box() -> None:
    found = read_listing(LISTING, "5ec7")
    assert found["bank1"] == [
        Item("pay.csv", "-", 123),
        Item("a b.json", "l", 9),
        Item("evil", "-", 9),
        Item("claimed", "-", 9),
    ]
    assert found["tax1"] == [Item("big.csv", "-", 10_000_000_000)]


@given(st.lists(st.text(), min_size=1, max_size=4))
def test_what_is_copied_is_one_line_that_reads_back(values: list[str]) -> None:
    line = copied(["640100", *values])
    assert line.count("\n") == 1 and not line.startswith("\\.")
    back = {"\\\\": "\\", "\\t": "\t", "\\n": "\n", "\\r": "\r"}
    read = [
        "".join(back.get(part, part) for part in re.findall(r"\\.|[^\\]+", value, 16))
        for value in line[:-1].split("\t")
    ]
    assert read == ["640100", *values]


@given(st.binary(max_size=300))
def test_any_bytes_are_a_manifest_or_are_refused(data: bytes) -> None:
    try:
        intake.manifest(data, BANK)
    except Refused as why:
        assert why.code in intake.CURES


@given(st.binary(max_size=200))
def test_any_bytes_are_rows_or_are_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(HEAD.encode() + data)
    try:
        for row in rows(Announced("any.csv", "payment", 0, 0, ""), path, COLUMNS["payment"]):
            assert len(row) == 4 and all(value.isprintable() for value in row)
    except Refused as why:
        assert why.code in ("JB2987", "JB2988", "JB2989")


def test_the_script_loads_all_of_it_in_one_transaction() -> None:
    def made() -> Iterator[str]:
        yield "a\tpension\t2026-10-01\t1\n"

    taken = Manifest("D-1", (Announced("pay.csv", "payment", 1, 9, "0" * 64),))
    text = "".join(Psql("640100", "jinbao", COLUMNS).script(BANK, taken, "f" * 64, {"payment": made}))
    head, *tables = text.split("copy outside.")
    assert head == "begin;\n" and text.endswith("\\.\ncommit;\n") and len(tables) == 2
    assert "640100\tbank1\tD-1\t1\ta\tpension\t2026-10-01\t1\n\\.\n" in tables[1]
