"""Fetch what devices run, send them the commands that put it right, and look again.

A list of commands goes to the device as a file, whole or not at all, and is taken from there: a connection lost while it is
sent changes nothing, and one lost later leaves a device on which every command up to some place was done. The order of
the commands keeps such a device reachable, and the next run starts from what it then runs.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from ground import clock, files, remote, running
from ground.mistake import Mistake
from ground.remote import Answer, Session
from ground.running import Fetched
from inventory import acceptance
from inventory.acceptance import Remedy
from inventory.running import DIALECTS, Intended

SECONDS = 120
"""For one device to take its commands."""

# The file is taken only if it is the one that was sent. %s: its SHA-256, then the program that takes it.
_TAKE = """f=$(mktemp) || exit 3; trap 'rm -f "$f"' EXIT; cat > "$f"
[ "$(sha256sum < "$f" | cut -c1-64)" = {sha256} ] || {{ echo 'the commands did not arrive whole'; exit 3; }}
{send} "$f" 2>&1"""

# Beside its place first, then moved there.
_STORE = """t={target}; [ "$(sha256sum < "$t" 2>/dev/null | cut -c1-64)" = {sha256} ] && exit 0
f=$(mktemp "$t.XXXXXX") || exit 3; trap 'rm -f "$f"' EXIT; cat > "$f"
[ "$(sha256sum < "$f" | cut -c1-64)" = {sha256} ] && chown {owner} "$f" && chmod {mode} "$f" && mv "$f" "$t" && trap - EXIT"""


class Pushed(msgspec.Struct, frozen=True):
    """What came of one device and dialect."""

    device: str
    dialect: str
    result: str
    """`right` (it was as rendered), `done` (brought there and looked at again), `kept` (the same, but it has lines that no
    rule knows), or `failed`."""
    commands: int = 0
    said: str = ""
    """What the device said to the commands."""
    before: str = ""
    """The copy of what it ran before."""
    rollback: str = ""
    """The file with the commands that lead back."""
    mistakes: tuple[Mistake, ...] = ()


def fetch(session: Session, state: Path, target: str, wanted: Sequence[Intended]) -> list[Fetched]:
    """Ask each device for what it runs and keep the answer; one entry per configuration, also where there was none."""
    found: list[Fetched] = []
    for dialect in DIALECTS:
        programs = {one.device: dialect.show for one in wanted if one.dialect is dialect}
        answers = remote.run_all(session, programs)
        for device, answer in answers.items():
            if answer.ok:
                found.append(running.keep(state, target, device, dialect.name, answer.out, datetime.now(UTC)))
            else:
                found.append(Fetched(device, dialect.name, clock.now(), reason=_reason(answer)))
    return sorted(found, key=lambda one: one.device)


def _reason(answer: Answer) -> str:
    said = " ".join((answer.err or answer.out).split())[-300:]
    return said or (f"exit {answer.code}" if answer.code is not None else "could not be reached")


def remedies(fetched: Iterable[Fetched], wanted: Sequence[Intended]) -> list[Remedy]:
    """What each of the configurations just fetched needs; JB4100 where a device did not answer."""
    by_name = {(one.device, one.dialect.name): one for one in wanted}
    found = []
    for one in fetched:
        goal = by_name[one.device, one.dialect]
        if one.reason:
            cure = "See that it runs and that reach.json says how it is reached; then run this again."
            silent = Mistake(
                "", None, None, "JB4100", one.device, f"{one.dialect}: cannot be fetched: {one.reason}", cure
            )
            found.append(Remedy(one.device, one.dialect, (), mistakes=(silent,)))
        else:
            text = Path(one.file).read_text()
            found.append(acceptance.remedy(goal.dialect, one.device, text, goal.text, one.file))
    return found


def push(
    session: Session,
    state: Path,
    target: str,
    wanted: Sequence[Intended],
    seen: Sequence[tuple[Fetched, Remedy]],
    rollbacks: Mapping[tuple[str, str], Path],
) -> list[Pushed]:
    """Send each device exactly the commands of its remedy, fetch it again, compare, and store what was rendered.

    `seen`: what was fetched with what it needs, as it was shown. A device that runs something else by now gets nothing
    (JB4103).
    """
    goals = {(one.device, one.dialect.name): one for one in wanted}
    done: list[Pushed] = []
    for dialect in DIALECTS:
        here = [(fetched, remedy) for fetched, remedy in seen if fetched.dialect == dialect.name]
        for fetched, remedy in here:
            if not remedy.commands:
                result = "failed" if remedy.mistakes else "kept" if remedy.kept else "right"
                done.append(Pushed(remedy.device, dialect.name, result, before=fetched.file, mistakes=remedy.mistakes))
        todo = {fetched.device: (fetched, remedy) for fetched, remedy in here if remedy.commands}
        again = remote.run_all(session, dict.fromkeys(todo, dialect.show))
        moved = {
            name: "it could not be asked again" if not answer.ok else "it runs something else than was shown"
            for name, answer in again.items()
            if not answer.ok or files.sha256(answer.out.encode()) != todo[name][0].sha256
        }
        texts = {
            name: "".join(f"{line}\n" for line in remedy.commands).encode()
            for name, (_, remedy) in todo.items()
            if name not in moved
        }
        programs = {name: _TAKE.format(sha256=files.sha256(text), send=dialect.send) for name, text in texts.items()}
        answers = remote.run_all(session, programs, given=texts, seconds=SECONDS)
        after = fetch(session, state, target, [goals[name, dialect.name] for name in answers])
        left = {one.device: one for one in remedies(after, wanted)}
        for name, (fetched, remedy) in todo.items():
            if name in moved:
                cure = "Nothing was sent. Run this again and look at what it shows."
                changed = Mistake("", None, None, "JB4103", name, f"{dialect.name}: {moved[name]}", cure)
                done.append(Pushed(name, dialect.name, "failed", before=fetched.file, mistakes=(changed,)))
                continue
            rollback = rollbacks[name, dialect.name]
            wrong = _judged(dialect.refused, answers[name], left[name], remedy, rollback)
            result = "failed" if wrong else "kept" if remedy.kept else "done"
            said = " ".join((answers[name].out + answers[name].err).split())
            done.append(
                Pushed(name, dialect.name, result, len(remedy.commands), said, fetched.file, str(rollback), wrong)
            )
    stored = _store(session, [goals[one.device, one.dialect] for one in done if one.result in ("right", "done")])
    return sorted(
        (_with_stored(one, stored.get((one.device, one.dialect), "")) for one in done), key=lambda one: one.device
    )


def _judged(refused: str, answer: Answer, left: Remedy, remedy: Remedy, rollback: Path) -> tuple[Mistake, ...]:
    """What is wrong after a push; nothing when the device runs what it should."""
    # A connection may be lost after the last command: what the device runs is what counts.
    if not left.mistakes and set(left.differences) == set(remedy.kept):
        return ()
    found = []
    cure = f"Run this again: it goes on from what the device runs now. The way back is {rollback}."
    if answer.code is None:
        what = f"{remedy.dialect}: the connection was lost while it took its commands: {_reason(answer)}"
        found.append(Mistake("", None, None, "JB4104", remedy.device, what, cure))
    elif answer.code or re.search(refused, answer.out, re.MULTILINE):
        what = f"{remedy.dialect}: it did not take every command: {_reason(answer)}"
        found.append(Mistake("", None, None, "JB4101", remedy.device, what, cure))
    if not left.mistakes:
        what = f"{remedy.dialect}: {len(left.differences)} lines still differ, first `{left.differences[0]}`"
        found.append(Mistake("", None, None, "JB4102", remedy.device, what, cure))
    return (*found, *left.mistakes)


def _store(session: Session, goals: Sequence[Intended]) -> dict[tuple[str, str], str]:
    """Put the rendered files in place, so that a restart starts from them; (device, dialect) → what went wrong."""
    found: dict[tuple[str, str], str] = {}
    for dialect in DIALECTS:
        here = {one.device: one for one in goals if one.dialect is dialect}
        programs = {
            name: _STORE.format(
                target=shlex.quote(one.entry.target),
                sha256=files.sha256(one.text.encode()),
                owner=f"{one.entry.owner}:{one.entry.group}",
                mode=one.entry.mode,
            )
            for name, one in here.items()
        }
        answers = remote.run_all(session, programs, given={name: one.text.encode() for name, one in here.items()})
        found |= {(name, dialect.name): _reason(answer) for name, answer in answers.items() if not answer.ok}
    return found


def _with_stored(one: Pushed, reason: str) -> Pushed:
    if not reason:
        return one
    what = f"{one.dialect}: it runs what was rendered, but its file could not be put in place: {reason}"
    cure = "Run `jinbao deploy`; until then a restart brings the old configuration back."
    wrong = Mistake("", None, None, "JB4105", one.device, what, cure)
    return msgspec.structs.replace(one, result="failed", mistakes=(*one.mistakes, wrong))
