"""The log: appended whole or not at all, healed after a kill, refused for what it cannot keep."""

import errno
import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from ground import files
from ground.mistake import Mistakes
from ground.record import Measure, Record, Subject, canonical
from monitoring.evidence import log
from monitoring.evidence.verify import judge, verify

TARGET = "twin:test"


def record(
    number: int, *, detail: bytes | None = None, target: str = TARGET, time: str = "2026-11-20T08:00:00.000Z"
) -> Record:
    """A record that says `number` in its reason."""
    return Record(
        check="dns.forward", subject=Subject("640100", site="640100:centre1"), target=target, observer="controller",
        method="dig", time=time, tool="jinbao 0.1.0", input_key="k", result="pass", reason=f"名 {number}", seen=1, expected=1,
        measures=(Measure("answer", "ms", number, limit=200),), detail=files.sha256(detail) if detail else "",
    )  # fmt: skip


@pytest.fixture
def kept(tmp_path: Path) -> log.Log:
    """An empty log."""
    return log.of(tmp_path, TARGET, "jinbao test")


def test_what_is_added_is_read_back_in_order(kept: log.Log) -> None:
    kept.add([record(1), record(2, detail=b"why")], [b"why"])
    kept.add([record(3)])
    assert [one.reason for one in kept.records(TARGET)] == ["名 1", "名 2", "名 3"]
    assert list(kept.records("production")) == []
    assert log.detail(kept.folder, files.sha256(b"why")) == b"why"
    head = log.head(kept.folder)
    assert head is not None and head.count == 3
    assert verify(kept.folder, []) == []
    assert judge(kept.folder).head == head


def test_the_hashed_bytes_hold_the_canonical_bytes_of_the_record(kept: log.Log) -> None:
    kept.add([record(1)])
    line = list(log.lines(kept.folder))[1]
    assert b'"record":' + canonical(record(1)) in line


def test_an_empty_run_makes_no_log(kept: log.Log) -> None:
    kept.add([])
    assert log.head(kept.folder) is None and not kept.folder.exists()


@pytest.mark.parametrize("cut", [1, 40, 100])
def test_a_torn_last_line_is_moved_aside_and_said(kept: log.Log, cut: int) -> None:
    kept.add([record(1), record(2)])
    path = log.path(kept.folder)
    whole = path.read_bytes()
    torn = whole[: len(whole) - cut]
    path.write_bytes(torn)
    assert [(f.code, f.sequence) for f in verify(kept.folder, [])] == [("JB6217", 2)]
    assert len(list(kept.records(TARGET))) == 1, "a torn line is not evidence"
    kept.add([record(3)])
    assert verify(kept.folder, []) == []
    assert [one.reason for one in kept.records(TARGET)] == ["名 1", "名 3"]
    aside = list((kept.folder / "torn").iterdir())
    assert len(aside) == 1
    assert aside[0].read_bytes() == torn[torn.rfind(b"\n") + 1 :]
    notes = [log.decode(raw).note for raw in log.lines(kept.folder)]
    assert any(aside[0].name in note for note in notes)


def test_a_log_torn_in_its_first_line_is_begun_again(kept: log.Log) -> None:
    kept.add([record(1)])
    path = log.path(kept.folder)
    path.write_bytes(path.read_bytes()[:50])
    kept.add([record(2)])
    assert verify(kept.folder, []) == []
    assert [one.reason for one in kept.records(TARGET)] == ["名 2"]


def test_a_full_disk_leaves_the_log_as_it_was(kept: log.Log, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.add([record(1)])
    before = log.path(kept.folder).read_bytes()
    real = os.write
    room = [100]

    def write(handle: int, data: memoryview) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken = real(handle, data[: room[0]])
        room[0] -= taken
        return taken

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        with pytest.raises(Mistakes) as raised:
            kept.add([record(2), record(3)])
    assert [mistake.code for mistake in raised.value.found] == ["JB6201"]
    assert log.path(kept.folder).read_bytes() == before
    kept.add([record(4)])
    assert verify(kept.folder, []) == []


@pytest.mark.parametrize(
    "wrong",
    [
        record(1, target="production"),
        record(1, detail=b"nobody has it"),
        record(1, time="yesterday"),
        Record("c", Subject("1"), TARGET, "o", "m", "2026-11-20T08:00:00.000Z", "t", "k", "fine", "r", 1, 1),  # type: ignore[arg-type]
    ],
    ids=["other target", "missing detail", "no time", "no such result"],
)
def test_what_cannot_be_kept_is_refused_with_its_whole_run(kept: log.Log, wrong: Record) -> None:
    with pytest.raises(Mistakes) as raised:
        kept.add([record(2), wrong])
    assert [mistake.code for mistake in raised.value.found] == ["JB6202"]
    assert log.head(kept.folder) is None


@pytest.mark.parametrize("target", ["", "twin", "twin:", "twin:../x", "Production", "twin:a/b"])
def test_what_is_not_a_target_has_no_log(tmp_path: Path, target: str) -> None:
    with pytest.raises(Mistakes) as raised:
        log.of(tmp_path, target, "t")
    assert [mistake.code for mistake in raised.value.found] == ["JB6200"]


def test_a_log_with_a_damaged_end_is_not_written_on(kept: log.Log) -> None:
    kept.add([record(1)])
    with log.path(kept.folder).open("ab") as stream:
        stream.write(b"\0\0\0\n")
    with pytest.raises(Mistakes) as raised:
        kept.add([record(2)])
    assert [mistake.code for mistake in raised.value.found] == ["JB6203"]


def _write(state: Path, first: int, many: int) -> None:
    mine = log.of(state, TARGET, "jinbao test")
    for number in range(first, first + many):
        mine.add([record(number)])


def test_two_writers_make_one_chain(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    writers = [fork.Process(target=_write, args=(tmp_path, first, 25)) for first in (0, 100, 200)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    folder = log.folder(tmp_path, TARGET)
    assert verify(folder, []) == []
    assert len(list(log.entries(folder))) == 75


def test_a_killed_writer_leaves_a_log_that_goes_on(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    folder = log.folder(tmp_path, TARGET)
    for turn in range(5):
        writer = fork.Process(target=_write, args=(tmp_path, turn * 100_000, 100_000))
        writer.start()
        wanted = turn * 3 + 3
        while sum(1 for _ in log.lines(folder)) < wanted:
            assert writer.is_alive()
        assert writer.pid is not None
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
    log.of(tmp_path, TARGET, "jinbao test").add([record(7)])
    assert verify(folder, []) == []


def test_the_tail_is_found_behind_long_lines(kept: log.Log) -> None:
    long = record(1)
    kept.add([Record(**{**{f: getattr(long, f) for f in long.__struct_fields__}, "reason": "长" * 70_000})])
    kept.add([record(2)])
    assert verify(kept.folder, []) == []
