"""Whatever is done to a log or to what it refers to is found, and the first bad record is named."""

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ground import files
from monitoring.evidence import log
from monitoring.evidence.verify import judge, verify
from monitoring.evidence.witness import Statement
from tests.monitoring.evidence.test_log import TARGET, record

RECORDS = 8


def write(state: Path, many: int = RECORDS) -> Path:
    """A log of `many` records, every third with a detail."""
    kept = log.of(state, TARGET, "jinbao test")
    for number in range(1, many + 1):
        details = [f"detail {number}".encode()] if number % 3 == 0 else []
        kept.add([record(number, detail=details[0] if details else None)], details)
    return kept.folder


def statement(folder: Path) -> Statement:
    """What a host remembers that was told the head now."""
    head = log.head(folder)
    assert head is not None
    return Statement("000000-mgmt1", head.log, TARGET, head.count, head.hash, "2026-11-20T09:00:00.000Z")


@pytest.fixture(scope="module")
def whole() -> bytes:
    """The bytes of a good log."""
    with tempfile.TemporaryDirectory() as state:
        return log.path(write(Path(state))).read_bytes()


def found_in(whole: bytes, changed: bytes) -> list[tuple[str, int | None]]:
    """Codes and records that verify names for a log of those bytes, with the good log witnessed."""
    with tempfile.TemporaryDirectory() as state:
        folder = log.folder(Path(state), TARGET)
        (folder / "details").mkdir(parents=True)
        for number in range(3, RECORDS + 1, 3):
            data = f"detail {number}".encode()
            (folder / "details" / files.sha256(data)).write_bytes(data)
        log.path(folder).write_bytes(whole)
        witnessed = statement(folder)
        log.path(folder).write_bytes(changed)
        return [(finding.code, finding.sequence) for finding in verify(folder, [witnessed])]


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_edited_byte_is_found_in_its_record(whole: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(whole) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != whole[at]))
    found = found_in(whole, whole[:at] + bytes([byte]) + whole[at + 1 :])
    assert found and found[0][1] == whole.count(b"\n", 0, at)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_any_lost_or_added_byte_is_found(whole: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(whole) - 1))
    lost = data.draw(st.booleans())
    changed = (
        whole[:at] + whole[at + 1 :] if lost else whole[:at] + bytes([data.draw(st.integers(0, 255))]) + whole[at:]
    )
    if changed != whole:
        number = whole.count(b"\n", 0, at)
        assert found_in(whole, changed)[0][1] in (number, number + 1)


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, 10_000))
def test_any_cut_is_found(whole: bytes, cut: int) -> None:
    at = cut % len(whole)
    named = found_in(whole, whole[:at])[0][1]
    assert named == (whole.count(b"\n", 0, at) if at > whole.index(b"\n") else named)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_line_removed_moved_repeated_or_swapped_is_found(whole: bytes, data: st.DataObject) -> None:
    lines = whole.splitlines(keepends=True)
    a = data.draw(st.integers(0, len(lines) - 1))
    b = data.draw(st.integers(0, len(lines) - 1))
    done = data.draw(st.sampled_from(["remove", "move", "repeat", "swap"]))
    changed = list(lines)
    if done == "remove":
        del changed[a]
    elif done == "move":
        changed.insert(b, changed.pop(a))
    elif done == "repeat":
        changed.insert(b, lines[a])
    else:
        changed[a], changed[b] = changed[b], changed[a]
    if changed != lines:
        assert found_in(whole, b"".join(changed))


def rehash(lines: list[bytes], begin: int, edit: bytes, by: bytes) -> bytes:
    """The log with `edit` replaced in line `begin` and every hash from there computed anew: a whole chain."""
    out, previous = [], b""
    for number, line in enumerate(lines):
        body = b"{" + line[75:]
        if number == begin:
            assert edit in body
            body = body.replace(edit, by)
        if number > begin:
            marker = b'"previous":"'
            place = body.index(marker) + len(marker)
            body = body[:place] + previous + body[place + 64 :]
        previous = files.sha256(body).encode()
        out.append(b'{"hash":"' + previous + b'",' + body[1:])
    return b"\n".join(out) + b"\n"


def test_the_good_log_is_good(whole: bytes) -> None:
    assert found_in(whole, whole) == []


def test_a_record_changed_with_its_own_hash_is_named(whole: bytes) -> None:
    lines = whole.splitlines()
    changed = lines[:4] + rehash(lines[:5], 4, "名 4".encode(), "名 9".encode()).splitlines()[4:5] + lines[5:]
    assert found_in(whole, b"\n".join(changed) + b"\n")[0] == ("JB6214", 4)


def test_a_chain_written_anew_from_a_record_is_found_by_the_witness(whole: bytes) -> None:
    changed = rehash(whole.splitlines(), 4, b'"result":"pass"', b'"result":"fail"')
    with tempfile.TemporaryDirectory() as state:
        folder = write(Path(state))
        log.path(folder).write_bytes(changed)
        assert verify(folder, []) == [], "without a witness a new chain looks good: that is what the witness is for"
    assert found_in(whole, changed) == [("JB6219", RECORDS)]


def test_a_log_begun_anew_is_found(tmp_path: Path) -> None:
    witnessed = statement(write(tmp_path / "old"))
    assert [(f.code, f.sequence) for f in verify(write(tmp_path / "new"), [witnessed])] == [("JB6219", 0)]


def test_an_older_copy_put_back_is_found(tmp_path: Path) -> None:
    folder = write(tmp_path, 4)
    shutil.copytree(folder, tmp_path / "copy")
    early = statement(folder)
    log.of(tmp_path, TARGET, "t").add([record(5), record(6)])
    late = statement(folder)
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "copy", folder)
    assert [(f.code, f.sequence) for f in verify(folder, [early, late])] == [("JB6218", 5)]
    log.of(tmp_path, TARGET, "t").add([record(7), record(8), record(9)])
    assert [(f.code, f.sequence) for f in verify(folder, [early, late])] == [("JB6219", 6)], (
        "also after it has grown again"
    )


def test_a_removed_log_is_found(tmp_path: Path) -> None:
    witnessed = statement(write(tmp_path / "old"))
    assert [(f.code, f.sequence) for f in verify(tmp_path / "nothing", [witnessed])] == [("JB6218", None)]


@pytest.mark.parametrize(("edit", "code"), [(b"Detail 6", "JB6216"), (b"", "JB6216"), (None, "JB6215")])
def test_a_detail_that_was_changed_or_removed_is_found(tmp_path: Path, edit: bytes | None, code: str) -> None:
    folder = write(tmp_path)
    file = folder / "details" / files.sha256(b"detail 6")
    file.unlink()
    if edit is not None:
        file.write_bytes(edit)
    assert [(f.code, f.sequence) for f in verify(folder, [])] == [(code, 6)]
    assert [entry.sequence for entry in judge(folder).entries] == [1, 2, 3, 4, 5, 7, 8], (
        "what was touched is not counted"
    )


def test_nothing_counts_when_the_log_as_a_whole_is_in_doubt(tmp_path: Path) -> None:
    witnessed = statement(write(tmp_path / "old"))
    verdict = judge(write(tmp_path / "new"), [witnessed])
    assert not verdict.sound and verdict.entries == ()


def test_other_logs_and_other_targets_on_the_witness_do_not_matter(tmp_path: Path) -> None:
    folder = write(tmp_path)
    other = Statement("h", "f" * 32, "twin:other", 99, "0" * 64, "2026-11-20T09:00:00.000Z")
    assert verify(folder, [statement(folder), other]) == []
