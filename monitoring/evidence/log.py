"""The log of one target: a text file of chained lines that is only ever appended to, and the detail files beside it.

    <state>/evidence/<target>/log.jsonl           line 0 opens the log, every further line holds one record
    <state>/evidence/<target>/details/<sha256>    what a record refers to
    <state>/evidence/<target>/torn/               what a writer left unfinished when it was killed or the disk was full

A line is `{"hash":"<64 hex>",` and the rest of a JSON object; the hash is the SHA-256 of that object without the hash, and the
object names the hash of the line before it. So one number, the hash of the last line, stands for the whole log.
"""

from __future__ import annotations

import contextlib
import os
import re
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from ground import clock, files, mistake
from ground.record import Record

TARGET = re.compile(r"production|twin:[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
NOTHING = "0" * 64
"""What the first line names as the hash before it."""

_HEAD = len('{"hash":"') + 64 + len('",')


class Opening(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the first line says about the log. `id` is drawn at random: a log begun again is another log."""

    id: str
    target: str
    time: str
    tool: str


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line. It holds exactly one of `record`, `opening` and `note` (what a writer had to repair before it)."""

    hash: str
    sequence: int
    previous: str
    record: Record | None = None
    opening: Opening | None = None
    note: str = ""


class Entry(msgspec.Struct, frozen=True):
    """A record with its place in the log."""

    sequence: int
    hash: str
    record: Record


class Head(msgspec.Struct, frozen=True):
    """The end of a log: which log, how many lines follow its first one, and the hash of the last."""

    log: str
    count: int
    hash: str


class Log(msgspec.Struct, frozen=True):
    """The log of one target in one folder: a Recorder and an EvidenceReader (ground/record.py)."""

    folder: Path
    target: str
    tool: str

    def add(self, records: Sequence[Record], details: Sequence[bytes] = ()) -> None:
        """Append `records`, all or none, and keep `details`; both are on the disk when this returns.

        Raises Mistakes: JB6201 where the disk refuses, JB6202 for a record that cannot be kept, JB6203 where the log's end is damaged.
        """
        append(self, records, details)

    def records(self, target: str) -> Iterator[Record]:
        """Every record, oldest first; none for any other target than the log's own."""
        if target == self.target:
            yield from (entry.record for entry in entries(self.folder))


def folder(state: Path, target: str) -> Path:
    """Where the log of `target` lies. Raises Mistakes (JB6200) for what is not a target."""
    if not TARGET.fullmatch(target):
        what = "this is not a target"
        raise mistake.one("JB6200", what, "Give `--at twin:<name>` or `--at production`.", subject=target)
    return state / "evidence" / target


def of(state: Path, target: str, tool: str) -> Log:
    """The log of `target` in `state`; nothing is made before something is added. Raises Mistakes (JB6200)."""
    return Log(folder(state, target), target, tool)


def path(place: Path) -> Path:
    """The text file of the log in folder `place`."""
    return place / "log.jsonl"


def encode(sequence: int, previous: str, **content: object) -> bytes:
    """The bytes of a line, newline included; `content` is one of `record`, `opening`, `note`."""
    values = {key: msgspec.to_builtins(value) for key, value in content.items()}
    body = msgspec.json.encode({"sequence": sequence, "previous": previous, **values}, order="sorted")
    return b'{"hash":"' + files.sha256(body).encode() + b'",' + body[1:] + b"\n"


def hash_of(line: bytes) -> str:
    """The hash that `line` (without its newline) should carry."""
    return files.sha256(b"{" + line[_HEAD:])


def decode(line: bytes) -> Line:
    """One line without its newline. Raises msgspec.DecodeError for what is not a line; the hash is not checked here."""
    return msgspec.json.decode(line, type=Line)


def lines(place: Path) -> Iterator[bytes]:
    """The finished lines of a log, without their newlines; a torn last one is left out. None where there is no log."""
    try:
        stream = path(place).open("rb")
    except FileNotFoundError:
        return
    with stream:
        for line in stream:
            if line.endswith(b"\n"):
                yield line[:-1]


def entries(place: Path) -> Iterator[Entry]:
    """Every record with its place, oldest first. Raises Mistakes (JB6203) at a line that cannot be read."""
    for number, raw in enumerate(lines(place)):
        try:
            line = decode(raw)
        except msgspec.DecodeError as error:
            raise _damaged(place, number, str(error)) from None
        if line.record is not None:
            yield Entry(line.sequence, line.hash, line.record)


def head(place: Path) -> Head | None:
    """The end of the log in `place`, or None where there is no log. Raises Mistakes (JB6203) when the end cannot be read."""
    first = next(lines(place), None)
    if first is None:
        return None
    with path(place).open("rb") as stream:
        last, _ = _last(place, stream.fileno())
    try:
        opening = decode(first).opening
    except msgspec.DecodeError as error:
        raise _damaged(place, 0, str(error)) from None
    if opening is None or last is None:
        raise _damaged(place, 0, "the first line does not open a log")
    return Head(opening.id, last.sequence, last.hash)


def detail(place: Path, sha256: str) -> bytes:
    """The detail file of that SHA-256. Raises FileNotFoundError."""
    return (place / "details" / sha256).read_bytes()


def append(log: Log, records: Sequence[Record], details: Sequence[bytes] = ()) -> None:
    """See `Log.add`. The log is opened with its first line when there is none."""
    if not records and not details:
        return
    place = log.folder
    _check(log, records, details)
    try:
        for data in details:
            files.write(place / "details" / files.sha256(data), data, 0o444)
        with files.lock(place / "lock"):
            _append(log, records)
    except OSError as error:
        cure = f"Make room or give rights under {place} and run it again; nothing of this run was recorded."
        raise mistake.one(
            "JB6201", f"the log cannot be written: {error.strerror}", cure, file=str(path(place))
        ) from None


def _append(log: Log, records: Sequence[Record]) -> None:
    place = log.folder
    handle = os.open(path(place), os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    try:
        last, end = _last(place, handle)
        size = os.fstat(handle).st_size
        batch: list[bytes] = []
        sequence, previous = (-1, NOTHING) if last is None else (last.sequence, last.hash)

        def write(**content: object) -> None:
            nonlocal sequence, previous
            sequence += 1
            line = encode(sequence, previous, **content)
            previous = line[9 : 9 + 64].decode()
            batch.append(line)

        if last is None:
            write(opening=Opening(uuid.uuid4().hex, log.target, clock.now(), log.tool))
        if size > end:
            write(note=_heal(place, handle, end, size))
        for record in records:
            write(record=record)
        try:
            _write_all(handle, b"".join(batch))
            os.fsync(handle)
        except OSError:
            # All or none: a batch that the disk took half of is taken back.
            with contextlib.suppress(OSError):
                os.ftruncate(handle, end)
            raise
    finally:
        os.close(handle)


def _write_all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


def _heal(place: Path, handle: int, end: int, size: int) -> str:
    """Move the bytes after the last newline aside; returns what the log says about it."""
    torn = os.pread(handle, size - end, end)
    name = f"{end}-{files.sha256(torn)[:16]}"
    files.write(place / "torn" / name, torn, 0o444)
    os.ftruncate(handle, end)
    return f"{len(torn)} bytes of an unfinished line at byte {end} were moved to torn/{name}"


def _last(place: Path, handle: int) -> tuple[Line | None, int]:
    """The last finished line and the byte after it. Raises Mistakes (JB6203)."""
    size = os.fstat(handle).st_size
    block, start = b"", size
    while start > 0 and block.rstrip(b"\n").count(b"\n") < 2:
        step = min(65536, start)
        start -= step
        block = os.pread(handle, step, start) + block
    end = block.rfind(b"\n") + 1
    if end == 0:
        return None, 0
    begin = block.rfind(b"\n", 0, end - 1) + 1
    try:
        return decode(block[begin : end - 1]), start + end
    except msgspec.DecodeError as error:
        raise _damaged(place, None, str(error)) from None


def _damaged(place: Path, number: int | None, why: str) -> mistake.Mistakes:
    subject = "last line" if number is None else f"record {number}"
    cure = "Run `jinbao evidence verify`; keep this log, and move it aside before anything new is recorded."
    line = None if number is None else number + 1
    return mistake.one("JB6203", f"cannot be read: {why}", cure, subject=subject, file=str(path(place)), line=line)


def _check(log: Log, records: Sequence[Record], details: Sequence[bytes]) -> None:
    """Refuse what could not be read back, belongs to another target, or refers to a detail that nobody has."""
    found = []
    kept = {files.sha256(data) for data in details}
    if not TARGET.fullmatch(log.target):
        folder(log.folder, log.target)
    for record in records:
        why = ""
        try:
            msgspec.json.decode(msgspec.json.encode(record), type=Record)
            clock.moment(record.time)
        except (msgspec.DecodeError, ValueError) as error:
            why = f"cannot be read back: {error}"
        if record.target != log.target:
            why = f"is about {record.target}, this log is of {log.target}"
        elif record.detail and record.detail not in kept and not (log.folder / "details" / record.detail).exists():
            why = f"refers to detail {record.detail[:16]}…, which was not handed over"
        if why:
            subject = f"{record.check} of {record.subject.region}"
            cure = "This is a fault of the check, not of the network: nothing of its run was recorded."
            found.append(mistake.Mistake("", None, None, "JB6202", subject, why, cure))
    if found:
        raise mistake.Mistakes(found, "nothing was recorded")
