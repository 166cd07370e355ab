"""The least list of commands that brings a device from what it runs to what was rendered for it, in an order that holds.

A command is a node of a graph, and what has to come before it its edges: a thing is there before it is used, and used no
more before it goes. What the graph leaves open is decided by making before breaking, section by section.
"""

from __future__ import annotations

import bisect
import heapq
import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from inventory.config import UNKNOWN, Config, Path, Section
from inventory.diff import Difference, aligned
from inventory.rules import Grammar, Known

MAKE, CLEAR, BREAK, LAST = 0, 1, 2, 3
"""Turns: what makes, what breaks so that something can be made, what only breaks, what touches the path to the device."""


class Step(msgspec.Struct):
    """One command in its section, with what it brings and takes."""

    path: Path
    command: str
    turn: int
    gives: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    of: str = ""
    """The thing it belongs to."""
    lets: tuple[str, ...] = ()
    """Things that are used no more after it."""
    takes: tuple[str, ...] = ()
    """Things that are gone after it."""
    claims: tuple[str, ...] = ()
    """What has to be free before it."""
    frees: tuple[str, ...] = ()
    """What is free after it."""
    opens: Path | None = None
    """The section that it opens."""
    undo: str = ""
    """Of a value written over an old one: what takes the old one away."""


class Plan(msgspec.Struct, frozen=True):
    """Commands in their order, and what was left alone."""

    commands: tuple[str, ...]
    kept: tuple[Difference, ...]
    """Lines of the device that no rule knows: they stay, and so does a section that holds one."""
    unknown: tuple[Difference, ...]
    """Rendered lines that no rule knows: nothing can be promised."""
    cut: tuple[tuple[str, str], ...]
    """(command, reason) of those that would cut the path to the device."""
    last: tuple[tuple[str, str], ...]
    """(command, reason) of those that touch it and are done last."""


class _Draft(msgspec.Struct):
    """A plan while its parts are collected."""

    known: Grammar
    running: Mapping[Path, Section]
    rendered: Mapping[Path, Section]
    renamed: Mapping[Path, Path]
    paths: Sequence[Path]
    """Those of the running sections, sorted."""
    steps: list[Step] = []
    removed: list[tuple[Path, Known]] = []
    kept: list[Difference] = []
    unknown: list[Difference] = []
    lost: set[str] = set()
    """Owners that go, if only for a moment: what belongs to them goes with them."""
    swept: set[str] = set()
    """Owners with which the device loses what belongs to them, as they come or as they go."""
    gone: set[Path] = set()
    """Sections that one command takes away with all that is in them."""
    left: set[Path] = set()
    """Sections that stay as they are, since they hold what no rule knows."""


def plan(running: Config, rendered: Config, known: Grammar) -> Plan:
    """What to do, in order. Nothing is promised by it: `inventory.acceptance` shows whether it leads there."""
    beside = aligned(running, rendered, known)
    draft = _Draft(known, beside.running, rendered.sections, beside.renamed, sorted(beside.running))
    for path in sorted(draft.running.keys() | draft.rendered.keys()):
        old, new = draft.running.get(path), draft.rendered.get(path)
        if path:
            _section(draft, path, old, new)
        if old is None or new is None or old.lines != new.lines:
            _lines(draft, path, old, new)
    _write_again(draft)
    _take_away(draft)
    cut, last = _guarded(draft)
    commands = tuple(_written(draft, order(draft.steps)))
    return Plan(commands, tuple(draft.kept), tuple(draft.unknown), tuple(cut), tuple(last))


def _section(draft: _Draft, path: Path, old: Section | None, new: Section | None) -> None:
    """A section that comes, goes, or changes the value of its opening line."""
    if path[:-1] in draft.left:
        draft.left.add(path)
        return
    if old is not None and new is not None and path not in draft.renamed:
        return
    above = draft.rendered.get(path[:-1]) or draft.running[path[:-1]]
    line = draft.known.known(above.kind, path[-1], above.places)
    if new is not None:
        if line is None:
            draft.unknown.append(Difference(path[:-1], "missing", path[-1]))
            return
        name = draft.renamed.get(path)
        before = draft.known.known(above.kind, name[-1], above.places) if name else None
        _write(draft, path[:-1], line, before).opens = path
    elif line is None or _holds_unknown(draft, path):
        draft.left.add(path)
        draft.kept.append(Difference(path[:-1], "extra", path[-1]))
    elif path[:-1] in draft.gone:
        draft.gone.add(path)
        # It goes with the section around it, and so does its use of other things.
        draft.removed.append((path[:-1], line))
    elif line.removal:
        draft.gone.add(path)
        _remove(draft, path[:-1], line)


def _holds_unknown(draft: _Draft, path: Path) -> bool:
    """Whether a section of the device, or one inside it, holds a line that no rule knows."""
    # What is inside a section sorts right behind it.
    for number in range(bisect.bisect_left(draft.paths, path), len(draft.paths)):
        section = draft.running[draft.paths[number]]
        if draft.paths[number][: len(path)] != path:
            return False
        if section.kind == UNKNOWN:
            return True
        if any(draft.known.known(section.kind, line, section.places) is None for line in section.lines):
            return True
    return False


def _lines(draft: _Draft, path: Path, old: Section | None, new: Section | None) -> None:
    """The lines of one section that come, go, or change their value."""
    had, has = set(old.lines if old else ()), set(new.lines if new else ())
    some = new or old
    assert some is not None
    goes: dict[tuple[str, ...], Known] = {}
    for line in dict.fromkeys(old.lines if old else ()):
        if line in has:
            continue
        found = draft.known.known(some.kind, line, some.places)
        if found is None or path in draft.left:
            draft.kept.append(Difference(path, "extra", line))
        else:
            goes[found.slot] = found
    for line in new.lines if new else ():
        if line in had:
            continue
        found = draft.known.known(some.kind, line, some.places)
        if found is None:
            draft.unknown.append(Difference(path, "missing", line))
        else:
            _write(draft, path, found, goes.pop(found.slot, None) if found.rule.over else None)
    for found in goes.values():
        _remove(draft, path, found)


def _slot(path: Path, line: Known) -> tuple[str, ...]:
    """What a line claims whose old value has to go first, and what that one frees."""
    return () if line.rule.over else ("\n".join((*path, *line.slot)),)


def _owned(draft: _Draft, line: Known) -> set[str]:
    """The owners among the things that a line gives."""
    return {line.named(template) for template in line.rule.gives if template in draft.known.owners}


def _write(draft: _Draft, path: Path, line: Known, before: Known | None = None) -> Step:
    """The step that writes `line`, over `before` where that has the same slot."""
    once = (line.once,) if line.once else ()
    claims = (*once, *_slot(path, line), *_owned(draft, line))
    step = Step(path, line.line, MAKE, line.gives, line.uses, line.of, claims=claims)
    if before is not None:
        step.frees = (before.once,) if before.once else ()
        step.lets = tuple(set(before.uses) - set(line.uses))
        step.takes = tuple(set(before.gives) - set(line.gives))
        step.undo = before.removal
    if line.rule.sweeps:
        draft.swept |= _owned(draft, line)
    draft.steps.append(step)
    return step


def _remove(draft: _Draft, path: Path, line: Known) -> None:
    draft.removed.append((path, line))
    draft.lost |= _owned(draft, line)
    if line.rule.sweeps:
        draft.swept |= _owned(draft, line)


def _write_again(draft: _Draft) -> None:
    """Lines that stay, but belong to a thing that goes for a moment and comes back, or that sweeps as it comes or goes."""
    back = {thing for step in draft.steps for thing in step.gives} & draft.lost | draft.swept
    while back:
        count = len(draft.steps)
        for path, new in draft.rendered.items():
            old = draft.running.get(path)
            stays = set(new.lines) & set(old.lines) if old else set()
            for line in new.lines:
                if line in stays and (found := draft.known.known(new.kind, line, new.places)) and found.of in back:
                    _write(draft, path, found)
        back = {thing for step in draft.steps[count:] for thing in step.gives}
    for step in draft.steps:
        # What is written before that would be lost with it.
        step.claims = (*step.claims, *({step.of} & draft.lost & draft.swept))


def _take_away(draft: _Draft) -> None:
    """The steps that take lines away; what goes with its section or its owner is left to the one that takes that."""
    by_thing: dict[str, Step] = {}
    by_section: dict[Path, Step] = {}
    along: list[tuple[Path, Known]] = []
    for path, line in draft.removed:
        if path in draft.gone or line.of in draft.lost:
            along.append((path, line))
            continue
        once = (line.once,) if line.once else ()
        frees = (*once, *_slot(path, line), *_owned(draft, line))
        step = Step(path, line.removal, BREAK, lets=line.uses, takes=line.gives, frees=frees)
        draft.steps.append(step)
        by_thing |= dict.fromkeys(line.gives, step)
        by_section[(*path, line.line)] = step
    while along:
        rest = []
        for path, line in along:
            taker = by_thing.get(line.of)
            for length in range(1, len(path) + 1):
                taker = by_section.get(path[:length], taker)
            if taker is None:
                rest.append((path, line))
                continue
            taker.lets += line.uses
            taker.takes += line.gives
            taker.frees += (line.once,) if line.once else ()
            by_thing |= dict.fromkeys(line.gives, taker)
        if len(rest) == len(along):
            return
        along = rest


def _guarded(draft: _Draft) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Put what touches the path to the device last; what cuts it, and what only touches it."""
    cut: list[tuple[str, str]] = []
    last: list[tuple[str, str]] = []
    for step in draft.steps:
        for guard in draft.known.rules.guards:
            if re.search(guard.section, " / ".join(step.path)) and re.fullmatch(guard.command, step.command):
                (cut if guard.refused else last).append((step.command, guard.reason))
                step.turn = LAST
                break
    return cut, last


# --- order -----------------------------------------------------------------------------------------------------------


def order(steps: Sequence[Step]) -> list[Step]:
    """The steps in an order in which each finds what it needs.

    Where values that exist only once change places, one of them is taken away first. Where what is used goes so that it can
    come back, and its users wait for that, it goes first. Steps that wait for each other for another reason come last, as
    they stand: the simulated apply then says what the device would say.
    """
    todo = list(steps)
    while True:
        before = _edges(todo)
        _clear(todo, before)
        ordered = _sorted(todo, _together(todo, before))
        if len(ordered) < len(todo):
            ordered = _sorted(todo, before)
        waiting = sorted(set(range(len(todo))) - set(ordered))
        number = next((one for one in waiting if todo[one].undo and todo[one].frees), None)
        if number is None:
            number = next((one for one in waiting if _circular(todo, before, one)), None)
            if number is None:
                return [todo[one] for one in [*ordered, *waiting]]
            todo[number].takes = ()
            continue
        step = todo[number]
        mark = f"\n{number}"
        todo.append(Step(step.path, step.undo, MAKE, lets=step.lets, takes=step.takes, frees=(*step.frees, mark)))
        step.undo, step.frees, step.lets, step.takes = "", (), (), ()
        step.claims = (*step.claims, mark)


def _circular(steps: Sequence[Step], before: Sequence[set[int]], number: int) -> bool:
    """Whether a step takes what others let go only after it."""
    taken, seen = set(steps[number].takes), set[int]()
    ahead = [one for one in before[number] if taken.intersection(steps[one].lets)]
    while ahead:
        one = ahead.pop()
        if one == number:
            return True
        if one not in seen:
            seen.add(one)
            ahead += before[one]
    return False


def _edges(steps: Sequence[Step]) -> list[set[int]]:
    """Step → the steps that come before it."""
    gives: dict[str, list[int]] = {}
    lets: dict[str, list[int]] = {}
    frees: dict[str, list[int]] = {}
    opens: dict[Path, int] = {}
    inside: dict[Path, list[int]] = {}
    for number, step in enumerate(steps):
        for listed, things in ((gives, step.gives), (lets, step.lets), (frees, step.frees)):
            for thing in things:
                listed.setdefault(thing, []).append(number)
        if step.opens is not None:
            opens[step.opens] = number
        elif step.turn == MAKE:
            inside.setdefault(step.path, []).append(number)
    before: list[set[int]] = []
    for number, step in enumerate(steps):
        wanted: set[int] = set(gives.get(step.of, ()))
        for thing in step.uses:
            for giver in gives.get(thing, ()):
                wanted.add(giver)
                # Whole: with all that comes into the section that gives it.
                if (opened := steps[giver].opens) is not None:
                    wanted.update(inside.get(opened, ()))
        if step.path in opens:
            wanted.add(opens[step.path])
        for thing in step.claims:
            wanted.update(frees.get(thing, ()))
        for thing in step.takes:
            wanted.update(lets.get(thing, ()))
        wanted.discard(number)
        before.append(wanted)
    return before


def _clear(steps: Sequence[Step], before: Sequence[set[int]]) -> None:
    """Of the steps that break, let those go first for which one that makes is waiting."""
    ahead = [number for number, step in enumerate(steps) if step.turn == MAKE]
    while ahead:
        for one in before[ahead.pop()]:
            if steps[one].turn == BREAK:
                steps[one].turn = CLEAR
                ahead.append(one)


def _together(steps: Sequence[Step], before: Sequence[set[int]]) -> list[set[int]]:
    """The same with every section opened only when all that comes into it is ready: an entry that is there without its
    conditions lets everything through."""
    opens = {step.opens: number for number, step in enumerate(steps) if step.opens is not None}
    inside: dict[Path, set[int]] = {path: set() for path in opens}
    for number, step in enumerate(steps):
        if step.turn == MAKE:
            for length in range(1, len(step.path) + 1):
                if step.path[:length] in opens:
                    inside[step.path[:length]].add(number)
    found = [set(wanted) for wanted in before]
    for path, members in inside.items():
        outside = {one for number in members for one in before[number]} - members
        found[opens[path]] |= outside - {opens[path]}
    return found


def _sorted(steps: Sequence[Step], before: Sequence[set[int]]) -> list[int]:
    """The steps whose forerunners are done, those that make first, staying in a section as long as that goes."""
    after: list[list[int]] = [[] for _ in steps]
    open_ = [len(wanted) for wanted in before]
    for number, wanted in enumerate(before):
        for one in wanted:
            after[one].append(number)
    ready: list[dict[Path, list[int]]] = [{} for _ in range(LAST + 1)]
    sections: list[list[Path]] = [[] for _ in range(LAST + 1)]

    def offer(number: int) -> None:
        turn, path = steps[number].turn, steps[number].path
        if path not in ready[turn]:
            ready[turn][path] = []
            heapq.heappush(sections[turn], path)
        heapq.heappush(ready[turn][path], number)

    for number, count in enumerate(open_):
        if not count:
            offer(number)
    done: list[int] = []
    current: Path = ()
    while True:
        turn = next((turn for turn, listed in enumerate(ready) if listed), None)
        if turn is None:
            return done
        if current not in ready[turn]:
            while sections[turn][0] not in ready[turn]:
                heapq.heappop(sections[turn])
            current = sections[turn][0]
        number = heapq.heappop(ready[turn][current])
        if not ready[turn][current]:
            del ready[turn][current]
        done.append(number)
        for one in after[number]:
            open_[one] -= 1
            if not open_[one]:
                offer(one)
        current = steps[number].opens or current


def _written(draft: _Draft, ordered: Sequence[Step]) -> Iterator[str]:
    """The steps as a terminal takes them: into sections, and out of them again."""

    def out(at: Path, length: int) -> Iterator[str]:
        for depth in range(len(at), length, -1):
            section = draft.rendered.get(at[:depth]) or draft.running[at[:depth]]
            yield " " * (depth - 1) + draft.known.leave(section.kind)

    at: Path = ()
    for step in ordered:
        shared = 0
        while at[: shared + 1] == step.path[: shared + 1] and shared < min(len(at), len(step.path)):
            shared += 1
        yield from out(at, shared)
        for depth in range(shared, len(step.path)):
            yield " " * depth + step.path[depth]
        yield " " * len(step.path) + step.command
        at = step.path if step.opens is None else step.opens
    yield from out(at, 0)
