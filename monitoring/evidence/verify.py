"""Reads a whole log again, every hash and every detail file, and holds it against what was witnessed elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from monitoring.evidence import log
from monitoring.evidence.log import Entry, Line
from monitoring.evidence.witness import Statement


class Finding(msgspec.Struct, frozen=True):
    """Something that is not as it was written. `sequence` is that of the first bad record; None: the log as a whole."""

    code: str
    sequence: int | None
    what: str
    cure: str
    place: str = ""

    def __str__(self) -> str:
        subject = "the log" if self.sequence is None else f"record {self.sequence}"
        return f"{self.place}  {self.code}  {subject}: {self.what}\n    {self.cure}"


class Verdict(msgspec.Struct, frozen=True):
    """What a log is worth: its findings, first bad record first, and the entries that none of them touches."""

    findings: tuple[Finding, ...]
    entries: tuple[Entry, ...]
    head: log.Head | None

    @property
    def sound(self) -> bool:
        """No finding at all."""
        return not self.findings


_KEEP = "Keep the folder as it is, take the log from another copy, and find out who could write here."


def verify(place: Path, witnesses: Sequence[Statement]) -> list[Finding]:
    """Every finding about the log in folder `place`, in the order of the records they name; the whole log last.

    Each line and each detail file is hashed again. `witnesses` are the statements kept on other hosts (witness.py): without any,
    a log that was cut at its end, replaced by an older copy or written anew cannot be told from a good one.
    """
    return list(judge(place, witnesses).findings)


def judge(place: Path, witnesses: Sequence[Statement] = ()) -> Verdict:
    """`verify`, with the entries that may be counted: none that is named, and none at all when the log as a whole is in doubt."""
    file = str(log.path(place))
    findings: list[Finding] = []
    hashes: list[str] = []
    good: list[Entry] = []
    opening: log.Opening | None = None
    expected, previous = 0, log.NOTHING

    def bad(code: str, sequence: int | None, what: str, cure: str = _KEEP, number: int | None = None) -> None:
        findings.append(Finding(code, sequence, what, cure, file if number is None else f"{file}:{number + 1}"))

    whole = _details(place)
    for number, raw in enumerate(log.lines(place)):
        problem = _line(raw)
        if isinstance(problem, str):
            bad("JB6211", expected, problem, number=number)
            # The line's own hash, where it can be read, is what the next one was written after.
            hashes.append("")
            previous, expected = raw[9 : 9 + 64].decode(errors="replace"), expected + 1
            continue
        line = problem
        if line.sequence != expected:
            if line.sequence > expected:
                many = line.sequence - expected
                bad(
                    "JB6212",
                    expected,
                    f"is missing: {many} line{'s' * (many > 1)} before record {line.sequence}",
                    number=number,
                )
                hashes.extend([""] * many)
            else:
                bad(
                    "JB6213",
                    line.sequence,
                    f"stands again where record {expected} should: put in or moved",
                    number=number,
                )
                continue
        elif line.previous != previous:
            if number == 0:
                bad("JB6214", 0, "does not begin a log: it follows a line that is not here", number=number)
            else:
                what = f"was replaced: record {line.sequence} was written after {line.previous[:16]}…, not after this"
                bad("JB6214", line.sequence - 1, what, number=number - 1)
                good = [entry for entry in good if entry.sequence != line.sequence - 1]
        if (line.sequence == 0) != (line.opening is not None):
            bad("JB6214", line.sequence, "does not begin a log, or begins another one", number=number)
        opening = line.opening if number == 0 else opening
        hashes.append(line.hash)
        previous, expected = line.hash, line.sequence + 1
        if line.record is not None:
            state = whole.get(line.record.detail) if line.record.detail else True
            if state is None:
                bad("JB6215", line.sequence, f"refers to details/{line.record.detail}, which is missing", number=number)
            elif not state:
                bad(
                    "JB6216", line.sequence, f"refers to details/{line.record.detail}, which was changed", number=number
                )
            elif line.record.target != (opening.target if opening else line.record.target):
                bad(
                    "JB6214",
                    line.sequence,
                    f"is about {line.record.target}, the log is of another target",
                    number=number,
                )
            else:
                good.append(Entry(line.sequence, line.hash, line.record))
    torn = _torn(place)
    if torn:
        cure = (
            "A writer was killed or the disk was full; the next one moves these bytes to torn/ and says so in the log."
        )
        bad("JB6217", expected, f"is unfinished: {torn} bytes without an end of line", cure, expected)
    findings.sort(key=lambda finding: finding.sequence if finding.sequence is not None else 0)
    against = list(_against(file, opening, hashes, witnesses))
    head = log.Head(opening.id, expected - 1, previous) if opening is not None else None
    return Verdict((*findings, *against), () if against else tuple(good), head)


def _line(raw: bytes) -> Line | str:
    """The line, or what is wrong with it alone."""
    if raw[:9] != b'{"hash":"' or raw[73:75] != b'",':
        return "is not a line of the log"
    if log.hash_of(raw).encode() != raw[9:73]:
        return "was changed: its hash does not fit its bytes"
    try:
        return log.decode(raw)
    except msgspec.DecodeError as error:
        return f"cannot be read: {error}"


def _details(place: Path) -> dict[str, bool]:
    """Name of each detail file → whether its content still has that SHA-256."""
    found = {}
    for file in (place / "details").glob("[0-9a-f]*"):
        with file.open("rb") as stream:
            found[file.name] = hashlib.file_digest(stream, "sha256").hexdigest() == file.name
    return found


def _torn(place: Path) -> int:
    try:
        with log.path(place).open("rb") as stream:
            last = b""
            for line in stream:
                last = line
    except FileNotFoundError:
        return 0
    return 0 if last.endswith(b"\n") else len(last)


def _against(
    file: str, opening: log.Opening | None, hashes: Sequence[str], witnesses: Sequence[Statement]
) -> Iterator[Finding]:
    """What the statements kept elsewhere say against this log; the first of each kind."""
    if opening is None:
        for statement in _latest(witnesses):
            what = f"is not here; {statement.observer} saw log {statement.log} with {statement.count} records at {statement.time}"
            yield Finding("JB6218", None, what, _KEEP, file)
        return
    own = sorted((s for s in witnesses if s.log == opening.id), key=lambda s: s.count)
    for statement in own:
        if statement.count >= len(hashes):
            many = statement.count - len(hashes) + 1
            what = (
                f"is missing: the log ends before it. {statement.observer} saw {statement.count} records at {statement.time}; "
                f"{many} are gone, cut off or lost with an older copy put back"
            )
            yield Finding("JB6218", len(hashes), what, _KEEP, file)
            return
        if hashes[statement.count] != statement.hash:
            what = f"is not the one that {statement.observer} saw at {statement.time}: it or one before it was written anew"
            yield Finding("JB6219", statement.count, what, _KEEP, f"{file}:{statement.count + 1}")
            return
    for statement in _latest(s for s in witnesses if s.log != opening.id and s.target == opening.target):
        what = (
            f"was begun anew: {statement.observer} saw log {statement.log} of {statement.target} with {statement.count} records at "
            f"{statement.time}, this is log {opening.id}"
        )
        yield Finding("JB6219", 0, what, _KEEP, f"{file}:1")


def _latest(statements: Sequence[Statement] | Iterator[Statement]) -> list[Statement]:
    """The newest statement about each log."""
    found: dict[str, Statement] = {}
    for statement in statements:
        if statement.log not in found or statement.count >= found[statement.log].count:
            found[statement.log] = statement
    return list(found.values())
