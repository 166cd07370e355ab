"""The journal of pushes, kept in the evidence log: what is going to be sent is written down before it is, and what came of it after.

A run that was cut off, here or at the device, leaves the first of the two alone: the next run says so, and goes on from what
the device runs by then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ground.record import Measure, Record, Result
from ground.running import Fetched
from inventory import evidence
from inventory.acceptance import Remedy
from inventory.running import Intended
from monitoring.checks.look import tool
from monitoring.evidence import log
from playbooks.push import Pushed

SENDING, SENT = "commands about to be sent", "commands sent, the device asked again"


def fetched(state: Path, target: str, wanted: Iterable[Intended], found: Iterable[Fetched]) -> None:
    """A record for each configuration that was asked for."""
    by_name = _by_name(wanted)
    made = [evidence.of_fetched(state, target, by_name[one.device, one.dialect], one) for one in found]
    evidence.keep(state, target, made)


def compared(state: Path, target: str, wanted: Iterable[Intended], remedies: Iterable[Remedy]) -> None:
    """A record for each configuration that was compared, with its commands."""
    by_name = _by_name(wanted)
    check = evidence.REMEDY
    made = [evidence.of_remedy(state, target, check, by_name[one.device, one.dialect], one) for one in remedies]
    evidence.keep(state, target, made)


def sending(state: Path, target: str, wanted: Iterable[Intended], pairs: Iterable[tuple[Fetched, Remedy]]) -> None:
    """Before anything is sent: what is going to be. Raises Mistakes JB6201 where that cannot be written, and then nothing is sent."""
    by_name = _by_name(wanted)
    made = []
    for copy, remedy in pairs:
        if remedy.commands:
            back = Path(remedy.file).with_suffix(".rollback")
            reason = f"{len(remedy.commands)} commands are to be sent; the way back is {back}"
            told = {"before": copy.sha256, "commands": remedy.commands, "rollback": remedy.rollback}
            goal = by_name[remedy.device, remedy.dialect]
            made.append(evidence.made(state, target, evidence.PUSH, goal, "not-observed", reason, SENDING, told))
    evidence.keep(state, target, made)


def sent(
    state: Path,
    target: str,
    wanted: Iterable[Intended],
    pairs: Iterable[tuple[Fetched, Remedy]],
    pushed: Iterable[Pushed],
) -> None:
    """What came of each configuration."""
    by_name = _by_name(wanted)
    before = {(remedy.device, remedy.dialect): (copy, remedy) for copy, remedy in pairs}
    made = []
    for one in pushed:
        copy, remedy = before[one.device, one.dialect]
        result, reason = _judged(one)
        told = {
            "before": copy.sha256,
            "commands": remedy.commands[: one.commands],
            "said": one.said,
            "came": one.result,
            "mistakes": [str(each) for each in one.mistakes],
        }
        measures = [Measure("sent", "commands", one.commands)]
        goal = by_name[one.device, one.dialect]
        made.append(evidence.made(state, target, evidence.PUSH, goal, result, reason, SENT, told, measures))
    evidence.keep(state, target, made)


def _judged(one: Pushed) -> tuple[Result, str]:
    if one.result in ("right", "done"):
        return "pass", "as rendered" if one.result == "right" else f"brought back with {one.commands} commands"
    if one.result == "kept":
        return "fail", "as rendered but for lines that no rule knows, which stay"
    silent = any(each.code == "JB4100" for each in one.mistakes)
    return "not-observed" if silent else "fail", "; ".join(f"{each.code} {each.what}" for each in one.mistakes)


def cut_off(state: Path, target: str, remedies: Sequence[Remedy]) -> Iterator[str]:
    """What is to be said of configurations whose last push has no end in the log."""
    last: dict[tuple[str, str], Record] = {}
    for record in log.of(state, target, tool()).records(target):
        if record.check == evidence.PUSH:
            last[record.subject.device, record.subject.service] = record
    for one in remedies:
        record_ = last.get((one.device, one.dialect))
        if record_ is not None and record_.method == SENDING:
            yield (
                f"{one.device} {one.dialect}: the push of {record_.time} was cut off ({record_.reason}); "
                "this run goes on from what the device runs now"
            )


def _by_name(wanted: Iterable[Intended]) -> dict[tuple[str, str], Intended]:
    return {(one.device, one.dialect.name): one for one in wanted}
