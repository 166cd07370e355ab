"""Fetch what devices run, send them the commands that put it right, and look again.

A list of commands goes to the device as a file, whole or not at all, and is taken from there: a connection lost while it is
sent changes nothing, and one lost later leaves a device on which every command up to some place was done. The order of
the commands keeps such a device reachable, and the next run starts from what it then runs. A vendor's device takes its commands
one by one at its terminal, stops at the first that it refuses, and saves what it runs after the last.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from ground import clock, files, remote, running, terminal
from ground.mistake import Mistake
from ground.remote import Answer, Session
from ground.running import Fetched
from inventory import acceptance
from inventory.acceptance import Remedy
from inventory.dialect import Dialect
from inventory.running import DIALECTS, Intended

SECONDS = 120
"""For one device to take its commands."""

# A device goes on with its commands when the connection is lost: until it has done, nobody looks at it or sends it others.
_HOLD = """exec 9> /run/jinbao-push.lock; flock {kind} -w 20 9 || {{ echo 'it still takes the commands of an earlier push' >&2; exit 4; }}
"""

# The file is taken only if it is the one that was sent.
_TAKE = (
    """f=$(mktemp) || exit 3; trap 'rm -f "$f"' EXIT; cat > "$f"
[ "$(sha256sum < "$f" | cut -c1-64)" = {sha256} ] || {{ echo 'the commands did not arrive whole'; exit 3; }}
"""
    + _HOLD.replace("{kind}", "-x")
    + """{send} "$f" 2>&1"""
)

_SHOW = _HOLD.replace("{kind}", "-s") + "{show}"

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
        answers = _asked(session, dialect, [one.device for one in wanted if one.dialect is dialect])
        for device, answer in answers.items():
            if answer.ok:
                found.append(running.keep(state, target, device, dialect.name, answer.out, datetime.now(UTC)))
            else:
                found.append(Fetched(device, dialect.name, clock.now(), reason=_reason(answer)))
    return sorted(found, key=lambda one: one.device)


def _asked(session: Session, dialect: Dialect, devices: Iterable[str]) -> dict[str, Answer]:
    """What each device shows, at its terminal or by a program."""
    if dialect.terminal is not None:
        return terminal.ask_all(session, dict.fromkeys(devices, dialect.terminal))
    return remote.run_all(session, dict.fromkeys(devices, _SHOW.format(show=dialect.show)))


def _told(session: Session, dialect: Dialect, commands: Mapping[str, Sequence[str]]) -> dict[str, Answer]:
    """Give each device its commands, at its terminal or as a file that a program takes."""
    if dialect.terminal is not None:
        return terminal.tell_all(session, dict.fromkeys(commands, dialect.terminal), commands)
    texts = {name: "".join(f"{line}\n" for line in lines).encode() for name, lines in commands.items()}
    programs = {name: _TAKE.format(sha256=files.sha256(text), send=dialect.send) for name, text in texts.items()}
    return remote.run_all(session, programs, given=texts, seconds=SECONDS)


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
    session: Session, state: Path, target: str, wanted: Sequence[Intended], seen: Iterable[tuple[Fetched, Remedy]]
) -> list[Pushed]:
    """Send each device exactly the commands of its remedy, fetch it again, compare, and store what was rendered.

    `seen`: what was fetched with what it needs, as it was shown. A device that runs something else by now gets nothing
    (JB4103).
    """
    done: list[Pushed] = []
    todo: dict[str, dict[str, tuple[Fetched, Remedy]]] = {}
    for fetched, remedy in seen:
        if remedy.commands:
            todo.setdefault(remedy.dialect, {})[remedy.device] = (fetched, remedy)
        else:
            result = "failed" if remedy.mistakes else "kept" if remedy.kept else "right"
            done.append(Pushed(remedy.device, remedy.dialect, result, before=fetched.file, mistakes=remedy.mistakes))
    for dialect in DIALECTS:
        done += _send(session, state, target, dialect, wanted, todo.get(dialect.name, {}))
    right = {(one.device, one.dialect) for one in done if one.result in ("right", "done")}
    stored = _store(session, [one for one in wanted if (one.device, one.dialect.name) in right])
    told = [_with_stored(one, stored.get((one.device, one.dialect), "")) for one in done]
    return sorted(told, key=lambda one: (one.device, one.dialect))


def _send(
    session: Session,
    state: Path,
    target: str,
    dialect: Dialect,
    wanted: Sequence[Intended],
    todo: Mapping[str, tuple[Fetched, Remedy]],
) -> Iterator[Pushed]:
    """Send the devices of one dialect their commands and look again; one result a device."""
    commands: dict[str, Sequence[str]] = {}
    for name, answer in _asked(session, dialect, todo).items():
        fetched, remedy = todo[name]
        if answer.ok and files.sha256(answer.out.encode()) == fetched.sha256:
            commands[name] = remedy.commands
        else:
            what = "it runs something else than was shown" if answer.ok else "it could not be asked again"
            cure = "Nothing was sent. Run this again and look at what it shows."
            moved = Mistake("", None, None, "JB4103", name, f"{dialect.name}: {what}", cure)
            yield Pushed(name, dialect.name, "failed", before=fetched.file, mistakes=(moved,))
    answers = _told(session, dialect, commands)
    after = fetch(session, state, target, [one for one in wanted if one.dialect is dialect and one.device in answers])
    left = {one.device: one for one in remedies(after, wanted)}
    for name, answer in answers.items():
        fetched, remedy = todo[name]
        rollback = str(Path(remedy.file).with_suffix(".rollback"))
        wrong = _judged(dialect.refused, answer, left[name], remedy, rollback)
        result = "failed" if wrong else "kept" if remedy.kept else "done"
        said = " ".join((answer.out + answer.err).split())
        yield Pushed(name, dialect.name, result, len(remedy.commands), said, fetched.file, rollback, wrong)


def _judged(refused: str, answer: Answer, left: Remedy, remedy: Remedy, rollback: str) -> tuple[Mistake, ...]:
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
        if dialect.terminal is not None:
            continue  # the device saved what it runs
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
