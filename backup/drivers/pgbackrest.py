"""pgBackRest: what it says, read from its text.

Its exit status is no verdict (2.45): `verify` ends with 0 on a damaged repository, prints nothing by default, and calls a backup
valid whose WAL is gone. So sums come from its text, and the continuity of WAL from the files themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from ground import remote
from ground.remote import Answer, Session

AS_POSTGRES = "cd /; runuser -u postgres -- pgbackrest"
SEGMENTS = 256  # WAL files of 16 MB in one of the numbers that the middle of a WAL name counts
WAL = re.compile(r"([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})-([0-9a-f]{40})(?:\.\w+)?")


class Fault(msgspec.Struct, frozen=True, order=True):
    """Something wrong, and the file (of the repository or of the restored cluster) it was found in; empty: no one file."""

    file: str
    what: str
    lost: bool = True
    """Whether a backup cannot be restored for it; False: what can be restored became less, or a spare copy is gone."""

    def __str__(self) -> str:
        return f"{self.file}: {self.what}" if self.file else self.what


class Backup(msgspec.Struct, frozen=True):
    """One backup in one repository. Times in seconds since 1970."""

    label: str
    type: str
    repository: int
    start: float
    stop: float
    wal_start: str
    wal_stop: str
    size: int
    error: bool


class Stanza(msgspec.Struct, frozen=True):
    """What the repositories say of one database."""

    name: str
    status: int
    message: str
    backups: tuple[Backup, ...]
    wal: tuple[tuple[int, str, str, str], ...]
    """(repository, archive id, first, last WAL)."""

    @property
    def newest(self) -> Backup | None:
        """The newest backup without an error."""
        return max((b for b in self.backups if not b.error), key=lambda b: b.stop, default=None)


class Verified(msgspec.Struct, frozen=True):
    """What `verify` found. `files` is how many it read."""

    files: int
    faults: tuple[Fault, ...]


def info(session: Session, device: str, stanza: str) -> Stanza | str:
    """What the repositories say of `stanza`, asked on `device`; a text says why it cannot be told."""
    answer = remote.run(session, device, f"{AS_POSTGRES} --stanza={stanza} info --output=json")
    if not answer.ok:
        return trouble(answer)
    try:
        return read_info(answer.out, stanza)
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError) as why:
        return f"unreadable answer: {why}"


def read_info(text: str, name: str) -> Stanza | str:
    """The stanza in `info --output=json`. Raises on text that pgBackRest does not write."""
    for one in msgspec.json.decode(text, type=list[dict[str, Any]]):
        if one["name"] != name:
            continue
        backups = tuple(
            Backup(
                label=b["label"],
                type=b["type"],
                repository=b["database"]["repo-key"],
                start=float(b["timestamp"]["start"]),
                stop=float(b["timestamp"]["stop"]),
                wal_start=b["archive"]["start"] or "",
                wal_stop=b["archive"]["stop"] or "",
                size=b["info"]["size"],
                error=bool(b.get("error")),
            )
            for b in one.get("backup", ())
        )
        wal = tuple(
            (a["database"]["repo-key"], a["id"], a.get("min") or "", a.get("max") or "") for a in one.get("archive", ())
        )
        return Stanza(name, one["status"]["code"], one["status"]["message"], backups, wal)
    return "the stanza is not known there"


def verify(session: Session, device: str, stanza: str, seconds: float = 3600) -> Verified | str:
    """Read every file of the repository and hold its sum; runs on the repository host. A text says why it could not."""
    line = f"{AS_POSTGRES} --stanza={stanza} verify --output=text --verbose --log-level-console=info --job-retry=0 2>&1"
    answer = remote.run(session, device, line, seconds=seconds)
    if not answer.ok:
        return trouble(answer)
    return read_verify(answer.out)


def read_verify(text: str) -> Verified | str:
    """What `verify` printed with its log; a text when it did not say that it came to an end."""
    if "status:" not in text:
        return trouble(Answer(None, text, ""))
    faults = []
    for line in text.splitlines():
        if found := re.search(r"INFO: invalid (checksum|size|result) '?([^': ]+)'?(?:: (.*))?", line):
            kind, file, why = found.groups()
            what = {"checksum": "its sum is not the recorded one", "size": "its size is not the recorded one"}.get(
                kind, why or ""
            )
            faults.append(Fault(file, what))
        elif found := re.search(
            r"INFO: (?:file|backup) '?([^' ]+)'?:? (?:is )?missing|missing (?:file|backup) '?([^' ]+)'?", line
        ):
            faults.append(Fault(found[1] or found[2], "it is missing"))
        elif found := re.search(r"(?:WARN|ERROR): (.*)", line):
            faults.append(Fault(_file(found[1]), found[1]))
    totals = [int(number) for number in re.findall(r"total (?:WAL|files) checked: (\d+)", text)]
    counted = _counted(text)
    if counted and not faults:
        faults.append(Fault("", counted))
    return Verified(sum(totals), tuple(sorted(set(faults))))


def _counted(text: str) -> str:
    """What the summary counts as wrong; empty: nothing."""
    wrong = []
    for line in text.splitlines():
        if found := re.match(r"\s*backup: (\S+), status: (\w+)", line):
            wrong += [f"backup {found[1]} is {found[2]}"] if found[2] not in ("valid", "in-progress") else []
        elif found := re.match(r"\s*(missing: .*|checksum invalid: .*|size invalid: .*|other: .*)", line):
            wrong += [found[1]] if any(int(number) for number in re.findall(r": (\d+)", found[1])) else []
    if re.search(r"^\s*status: error", text, re.MULTILINE) and not wrong:
        wrong.append("verify says error and does not say why")
    return "; ".join(dict.fromkeys(wrong))


def files(session: Session, device: str, stanza: str) -> dict[str, int] | str:
    """WAL and everything beside it in the archive of `stanza`: path → bytes. A text says why it cannot be told."""
    answer = remote.run(session, device, f"{AS_POSTGRES} repo-ls --recurse --output=json archive/{stanza}", seconds=120)
    if not answer.ok:
        return trouble(answer)
    try:
        listed = msgspec.json.decode(answer.out, type=dict[str, dict[str, Any]])
    except msgspec.MsgspecError as why:
        return f"unreadable answer: {why}"
    return {path: entry.get("size", 0) for path, entry in listed.items() if entry.get("type") == "file"}


def pairs(session: Session, device: str, stanza: str) -> list[Fault] | str:
    """The two information files and their copies, which must be equal: pgBackRest silently uses the one that is whole."""
    names = [f"{kind}/{stanza}/{kind}.info" for kind in ("archive", "backup")]
    script = "".join(
        f"for f in {name} {name}.copy; do printf '%s ' $f; runuser -u postgres -- pgbackrest repo-get $f 2>/dev/null | sha256sum; done\n"
        for name in names
    )
    answer = remote.run(session, device, "cd /; sh -s", given=script.encode(), seconds=60)
    if not answer.ok:
        return trouble(answer)
    sums = {words[0]: words[1] for line in answer.out.splitlines() if len(words := line.split()) >= 2}
    if len(sums) != 4:
        return "unreadable answer"
    return [
        Fault(name, "it and its copy differ: one of them is damaged", lost=False)
        for name in names
        if sums[name] != sums[f"{name}.copy"]
    ]


def number(wal: str) -> tuple[str, int]:
    """A WAL file's name as (timeline, running number)."""
    return wal[:8], int(wal[8:16], 16) * SEGMENTS + int(wal[16:24], 16)


def name(timeline: str, running: int) -> str:
    """The name of a WAL file."""
    return f"{timeline}{running // SEGMENTS:08X}{running % SEGMENTS:08X}"


def wal_faults(held: Iterable[str], backups: Sequence[Backup], archived: str = "") -> list[Fault]:
    """What is missing or doubled among the WAL files `held` (paths).

    Needed are: all that each backup spans (without it that backup cannot be restored), and all from the oldest backup's start to
    the last file, or to `archived`, the last one that the database believes to be in the repository.
    """
    found: dict[tuple[str, int], set[str]] = {}
    faults = []
    for path in held:
        if match := WAL.fullmatch(path.rpartition("/")[2]):
            found.setdefault((match[1], int(match[2], 16) * SEGMENTS + int(match[3], 16)), set()).add(match[4])
    for key, sums in found.items():
        if len(sums) > 1:
            faults.append(Fault(name(*key), f"it is there {len(sums)} times, with other contents"))
    missing: set[tuple[str, int]] = set()
    for backup in backups:
        if not backup.wal_start or not backup.wal_stop:
            continue
        (timeline, first), (_, last) = number(backup.wal_start), number(backup.wal_stop)
        for running in range(first, last + 1):
            if (timeline, running) not in found:
                missing.add((timeline, running))
                faults.append(
                    Fault(
                        name(timeline, running),
                        f"it is missing, and backup {backup.label} cannot be restored without it",
                    )
                )
    for timeline in sorted(
        {key[0] for key in found} | ({number(archived)[0]} if WAL_NAME.fullmatch(archived) else set())
    ):
        numbers = [running for one, running in found if one == timeline]
        starts = [number(b.wal_start)[1] for b in backups if b.wal_start[:8] == timeline]
        last_known = number(archived)[1] if WAL_NAME.fullmatch(archived) and archived[:8] == timeline else -1
        low, high = min([*starts, *numbers], default=0), max([*numbers, last_known], default=-1)
        for running in range(low, high + 1):
            if (timeline, running) not in found and (timeline, running) not in missing:
                what = "it is missing: what came after it cannot be restored from an earlier backup"
                faults.append(Fault(name(timeline, running), what, lost=False))
    return sorted(faults)


WAL_NAME = re.compile(r"[0-9A-F]{24}")


def backup(session: Session, device: str, stanza: str, kind: str, seconds: float = 3600) -> str:
    """Take a backup; runs on the repository host. Returns what stood in the way; empty: it is there."""
    before = info(session, device, stanza)
    answer = remote.run(session, device, f"{AS_POSTGRES} --stanza={stanza} --type={kind} backup", seconds=seconds)
    after = info(session, device, stanza)
    if not answer.ok:
        return trouble(answer)
    if isinstance(after, str):
        return after
    known = set() if isinstance(before, str) else {one.label for one in before.backups}
    return "" if {one.label for one in after.backups} - known else "it ended well, yet there is no new backup"


def restore(stanza: str, data: str) -> str:
    """The line that restores the newest backup into `data` and recovers to the end of the archive.

    Archiving is off: a restored copy must never write into the archive it came from. One retry at once: the further ones come
    15 s later, and a damaged file stays damaged.
    """
    return f"{AS_POSTGRES} --stanza={stanza} --pg1-path={data} --archive-mode=off --job-retry=1 restore"


def trouble(answer: Answer) -> str:
    """Why it did not work, in pgBackRest's own words."""
    if answer.code is None and not answer.out:
        return answer.err.strip() or "no answer"
    said = [line for line in (answer.err + answer.out).splitlines() if line.strip()]
    errors = [line for line in said if "ERROR" in line]
    return re.sub(r"^.*?ERROR: ", "", (errors or said or [f"exit {answer.code}"])[0]).strip()


def faults(answer: Answer) -> list[Fault]:
    """The files that a failed command names."""
    text = answer.err + answer.out
    return [Fault(_file(line), line.strip()) for line in re.findall(r"ERROR: (.*)", text)] or [
        Fault("", trouble(answer))
    ]


def _file(text: str) -> str:
    found = re.search(r"'(/?[\w.+-]+(?:/[\w.+-]+)+)'", text) or re.search(r"\b([0-9A-F]{24})\b", text)
    return found[1] if found else ""
