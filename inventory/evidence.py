"""What was asked of devices about their running configuration, and what came of it, as records of the evidence log.

A record's detail says what was asked, the hash of the copy it was made from, that of what was rendered, the commands and the
result; secrets stand in it as references.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ground import clock, files, secret
from ground.record import Measure, Record, Recorder, Result, Subject
from ground.running import Fetched

if TYPE_CHECKING:
    from inventory.acceptance import Remedy
    from inventory.running import Intended

FETCH, DIFF, REMEDY, PUSH = "config.fetch", "config.diff", "config.remedy", "config.push"
CHECKS = (FETCH, DIFF, REMEDY, PUSH)
"""One record for each device and dialect; the dialect stands where a subject names its service."""

# Where records go. The front door's composition puts the evidence log here: (state, target) → recorder.
recorders: list[Callable[[Path, str], Recorder]] = []

# What a person may have typed on a device, where no reference stands for it.
_TYPED = re.compile(rb"\b((?:password|key|secret|community)(?: [0-9])? )(?!@secret:)[^ \"\\]+")


class Made(msgspec.Struct, frozen=True):
    """A record with the detail that it names."""

    record: Record
    detail: bytes


def made(
    state: Path,
    target: str,
    check: str,
    one: Intended,
    result: Result,
    reason: str,
    method: str,
    told: Mapping[str, object],
    measures: Iterable[Measure] = (),
) -> Made:
    """The record of now about one configuration of one device. `told` goes into its detail."""
    body = {"asked": check, "device": one.device, "dialect": one.dialect.name, "rendered": one.entry.sha256, **told}
    detail = hidden(state, msgspec.json.encode({**body, "result": result}, order="sorted"))
    subject = Subject(one.region, one.site, service=one.dialect.name, device=one.device)
    return Made(
        Record(
            check=check,
            subject=subject,
            target=target,
            observer="controller",
            method=method,
            time=clock.now(),
            tool=f"jinbao {version('jinbao')}",
            # The text that was rendered decides what a device has to run.
            input_key=one.entry.sha256,
            result=result,
            reason=hidden(state, reason.encode()).decode(),
            seen=0 if result in ("not-observed", "error") else 1,
            expected=1,
            measures=tuple(measures),
            detail=files.sha256(detail),
        ),
        detail,
    )


def hidden(state: Path, content: bytes) -> bytes:
    """`content` with every secret that this program made replaced by its reference, and others by asterisks."""
    return _TYPED.sub(rb"\1***", secret.hide(state, content))


def of_fetched(state: Path, target: str, one: Intended, fetched: Fetched) -> Made:
    """What came of asking a device for what it runs."""
    result: Result = "not-observed" if fetched.reason else "pass"
    reason = fetched.reason or f"{fetched.sha256[:16]} kept as {Path(fetched.file).name}"
    return made(
        state, target, FETCH, one, result, reason, one.dialect.show or "at its terminal", {"copy": fetched.sha256}
    )


def of_remedy(state: Path, target: str, check: str, one: Intended, remedy: Remedy) -> Made:
    """What a copy says of its device: `check` is `DIFF` or `REMEDY`, which tells the commands too."""
    copy = files.sha256(Path(remedy.file).read_bytes()) if remedy.file and Path(remedy.file).exists() else ""
    told: dict[str, object] = {
        "copy": copy,
        "differences": remedy.differences,
        "mistakes": [str(each) for each in remedy.mistakes],
    }
    if check == REMEDY:
        told |= {"commands": remedy.commands, "rollback": remedy.rollback, "kept": remedy.kept, "last": remedy.last}
    method = "the last copy against what is rendered"
    measures = [Measure("differing", "lines", len(remedy.differences), 0.0)]
    if remedy.right:
        return made(state, target, check, one, "pass", "as rendered", method, told, measures)
    if not remedy.differences:
        silent = any(each.code in ("JB2109", "JB4100") for each in remedy.mistakes)
        what = remedy.mistakes[0].what
        return made(state, target, check, one, "not-observed" if silent else "error", what, method, told)
    reason = f"{len(remedy.differences)} lines differ, first `{remedy.differences[0]}`"
    if check == REMEDY:
        way = remedy.mistakes[0].what if remedy.mistakes else f"{len(remedy.commands)} commands lead there"
        reason = f"{reason}; {way}"
    return made(state, target, check, one, "fail", reason, method, told, measures)


def keep(state: Path, target: str, found: Sequence[Made]) -> None:
    """Hand the records to whoever keeps evidence. Raises what the recorder raises."""
    for recorder in recorders:
        recorder(state, target).add([one.record for one in found], [one.detail for one in found])
