"""How far each region has come: a function of the plan, the division data and the records of one target.

A line is one milestone in one region. It keeps what was seen from outside (probe), what lies inside a centre (data) and what an office
signed (attestation) apart, and never adds them up. `reached_on` is history: the first moment at which all of it held at once.
`operating_now` is about now. "Could not tell" is never a pass.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal

import msgspec

from ground import clock
from ground.record import Subject
from ip_plan.network import Network
from ip_plan.regions import Region
from monitoring import catalogue as catalogues
from monitoring.catalogue import Attestation, Level, Milestone, Sum, Want
from monitoring.evidence.log import Entry
from monitoring.members import FUTURE, TOGETHER, Keys, Member, State, View, judge_now, slot

Standing = Literal["reached", "not-reached", "not-observed", "undecided", "stale"]
Operating = Literal["yes", "no", "not-observed", "stale", "not-applicable"]


class Column(msgspec.Struct, frozen=True):
    """One of the three columns of a line. `seen` of `expected` members were decided, `held` of them hold."""

    state: State
    reason: str = ""
    held: int = 0
    seen: int = 0
    expected: int = 0
    held_on: str = ""
    """When it first held; empty: never yet."""
    evidence: tuple[Entry, ...] = ()


class Line(msgspec.Struct, frozen=True):
    """One milestone in one region, for one target."""

    milestone: str
    region: str
    level: Level
    state: Standing
    reason: str
    probe: Column
    data: Column
    attestation: Column
    reached_on: str
    """When all columns first held at once, UTC; empty: never yet. It stays when the network fails later."""
    operating_now: Operating
    """Whether probe and data hold now."""
    planned: str = ""
    """The date of this plan's own calendar."""
    late: bool = False


class Rollout(msgspec.Struct, frozen=True):
    """All lines of one target at one moment."""

    target: str
    time: str
    lines: tuple[Line, ...]

    def of(self, region: str) -> list[Line]:
        """The lines of one region, in the order of the catalogue."""
        return [line for line in self.lines if line.region == region]


class _Group(msgspec.Struct, frozen=True):
    """The members of one want, and how many have to hold. `need` None: no source and no setting says how many."""

    members: tuple[Member, ...]
    need: int | None


class _Part(msgspec.Struct, frozen=True):
    """A column while it is judged, with all its groups (for the first moment at which several columns held)."""

    column: Column
    groups: tuple[_Group, ...] = ()


def evaluate(
    network: Network,
    regions: Mapping[str, Region],
    records: Iterable[Entry],
    catalogue: Sequence[Milestone],
    now: datetime,
    target: str,
    *,
    attestations: Iterable[Attestation] = (),
    groups: Mapping[str, str] | None = None,
    keys: Keys | None = None,
) -> list[Line]:
    """Every line of every milestone, in the order of the catalogue and of the division data.

    `regions` is the whole division data: denominators count it, never what is in the plan. Records and attestations of another target
    are left out. `groups` gives province code → East, Central or West (a setting of the plan). Raises nothing.
    """
    view = View(network, regions, records, now, target, groups or {}, keys or {})
    signed = defaultdict(list)
    for one in attestations:
        if one.target == target:
            signed[one.milestone, one.region].append(one)
    lines: dict[tuple[str, str], Line] = {}
    for milestone in catalogue:
        for level in milestone.level:
            for region in view.units(level, milestone.corps):
                line = _line(view, milestone, level, region, signed[milestone.id, region.code], lines)
                lines[milestone.id, region.code] = line
    return list(lines.values())


SHARES = ("offices", "lines-below")
"""Wants that count the division data."""


def _first(view: View, groups: Sequence[_Group]) -> str:
    """The first moment at which every group held and nobody contradicted within `TOGETHER`; empty: never."""
    events: list[tuple[str, int, int, int, Entry]] = []
    for g, group in enumerate(groups):
        for m, member in enumerate(group.members):
            events += [(entry.record.time, entry.sequence, g, m, entry) for entry in member.entries]
    events.sort(key=lambda one: one[:4])
    slots: dict[tuple[int, int], dict[tuple[Subject, str, str], Entry]] = defaultdict(dict)
    holding: list[set[int]] = [set() for _ in groups]
    if any(group.need is None for group in groups):
        return ""

    def whole() -> bool:
        return all(len(held) >= (group.need or 0) for held, group in zip(holding, groups, strict=True))

    for group in groups:
        able = sum(any(entry.record.result == "pass" for entry in member.entries) for member in group.members)
        if able < (group.need or 0):
            return ""

    candidate = ""
    for time, _, g, m, entry in events:
        at = clock.moment(time)
        if at > view.now + FUTURE:
            break
        if candidate and at - clock.moment(candidate) > TOGETHER:
            return candidate
        slots[g, m][slot(entry)] = entry
        _keep(holding[g], m, view.judge(slots[g, m], groups[g].members[m], at).state == "held")
        if whole() and not candidate:
            # What held when it was looked at may have gone stale since: ask all of them about this moment.
            for g2, group in enumerate(groups):
                for m2 in list(holding[g2]):
                    _keep(holding[g2], m2, view.judge(slots[g2, m2], group.members[m2], at).state == "held")
        candidate = (candidate or time) if whole() else ""
    return candidate


def _keep(held: set[int], member: int, holds: bool) -> None:
    if holds:
        held.add(member)
    else:
        held.discard(member)


def _count(
    need: int | None, states: Sequence[State], reasons: Sequence[str], noun: str, *, share: bool
) -> tuple[State, str]:
    """The state of a set of which `need` have to hold.

    Where the set is a `share` of the division data, it is reached when enough of it has been shown: too few is `not-held` as soon as
    anything was decided, and what was not observed is counted apart. Any other set with a member nobody saw is not observed.
    """
    held, failed = states.count("held"), states.count("not-held")
    many = len(states)
    told = [reason for state, reason in zip(states, reasons, strict=True) if reason and state != "held"]
    told += [reason for state, reason in zip(states, reasons, strict=True) if reason and state == "held"]
    reason = told[0] if told else ""
    if many > 1:
        unseen = sum(state in ("not-observed", "awaited") for state in states)
        counted = f"{held} / {many} {noun}" + (f", {unseen} without evidence" if unseen else "")
        reason = f"{counted}: {reason}" if reason and (failed or not share) else counted
    if need is None:
        return "not-held" if held else "not-observed", f"{reason}; no source says how many, the plan sets none"
    if not many:
        return "not-observed", "the division data hold none"
    if held >= need:
        return "held", reason
    if held + states.count("stale") >= need:
        return "stale", reason
    if failed if not share else held + failed:
        return "not-held", reason
    return ("stale" if "stale" in states and "not-observed" not in states else "not-observed"), reason


def _part(view: View, wants: Sequence[Want], region: Region) -> _Part:
    """One column made of wants: each of them has to hold."""
    if not wants:
        return _Part(Column("not-needed"))
    groups: list[_Group] = []
    states: list[State] = []
    reasons: list[str] = []
    entries: dict[int, Entry] = {}
    held = seen = expected = 0
    for want in wants:
        members = view.members(want, region)
        found = [judge_now(view, member) for member in members]
        counted = [pair for pair in zip(members, found, strict=True) if pair[1].state != "not-needed"]
        if not counted:
            if not members:
                continue
            states.append("not-needed")
            reasons.append(found[0].reason)
            continue
        members = [member for member, _ in counted]
        each = [one.state for _, one in counted]
        need = view.need(want.need, len(members))
        groups.append(_Group(tuple(members), need))
        labelled = [f"{m.label}: {one.reason}" if one.reason else "" for m, one in counted]
        state, reason = _count(need, each, labelled, want.check, share=want.of in SHARES)
        states.append(state)
        reasons.append(reason)
        held += each.count("held")
        seen += sum(one in ("held", "not-held") for one in each)
        expected += len(each)
        entries |= {entry.sequence: entry for _, one in counted for entry in one.entries}
    if not groups:
        return _Part(Column("not-needed", "; ".join(filter(None, reasons))))
    worst: tuple[State, ...] = ("not-held", "not-observed", "stale")
    state = next((one for one in worst if one in states), "held")
    told = [reason for one, reason in zip(states, reasons, strict=True) if one == state and reason]
    evidence = tuple(entries[sequence] for sequence in sorted(entries))
    column = Column(state, "; ".join(told), held, seen, expected, _first(view, groups), evidence)
    return _Part(column, tuple(groups))


def _signed(milestone: Milestone, given: Sequence[Attestation], now: datetime) -> Column:
    if milestone.attest is None:
        return Column("not-needed")
    valid = [one for one in given if one.date <= now.date()]
    if not valid:
        return Column("awaited", milestone.attest.zh, expected=1)
    first = min(valid, key=lambda one: one.date)
    reason = f"{first.office}：{first.statement}（{first.document}，{first.sha256[:16]}…）"
    return Column("held", reason, 1, 1, 1, f"{first.date.isoformat()}T00:00:00.000Z")


def _line(
    view: View, milestone: Milestone, level: Level, region: Region, given: Sequence[Attestation],
    lines: Mapping[tuple[str, str], Line],
) -> Line:  # fmt: skip
    own = _signed(milestone, given, view.now)
    if milestone.sum is not None:
        probe, data, attestation, reached = _summed(view, milestone, milestone.sum, region, own, lines)
    else:
        a, b = _part(view, milestone.probe, region), _part(view, milestone.data, region)
        probe, data, attestation = a.column, b.column, own
        if milestone.decided_by != "attestation" and not milestone.decidable:
            probe = Column("not-observed", "no check looks at this yet")
        both = a.groups and b.groups
        # One column with records: it held when the line did.
        machine = _first(view, [*a.groups, *b.groups]) if both else max(probe.held_on, data.held_on)
        reached = _reached(machine, [probe, data, own])
    state, reason = _standing(probe, data, attestation, reached)
    plan = catalogues.planned(view.calendar, milestone.id)
    late = bool(plan) and not reached and view.now.astimezone(UTC).date().isoformat() > plan
    return Line(
        milestone.id,
        region.code,
        level,
        state,
        reason,
        probe,
        data,
        attestation,
        reached,
        _operating(probe, data),
        plan,
        late,
    )


def _reached(machine: str, columns: Sequence[Column]) -> str:
    """When all columns held: `machine` is when probe and data first did so together."""
    needed = [column for column in columns if column.state != "not-needed"]
    if not needed or any(not column.held_on for column in needed):
        return ""
    if not machine and any(column.state != "not-needed" for column in columns[:2]):
        return ""
    return max(machine, columns[2].held_on)


def _summed(
    view: View, milestone: Milestone, summed: Sum, region: Region, own: Column, lines: Mapping[tuple[str, str], Line]
) -> tuple[Column, Column, Column, str]:
    """The three columns of a milestone that counts others, and when it was reached."""
    over: list[Region]
    if summed.over == "self":
        over = [region]
    elif summed.over == "cities":
        over = view.cities(region)
    else:
        over = view.units("province" if summed.over == "provinces" else "city", corps=milestone.corps)
        if summed.group:
            over = [one for one in over if view.group(one) == summed.group]
    per_line = summed.over == "self"
    rows = [[line for part in summed.of if (line := lines.get((part, one.code)))] for one in over]
    # Of one region each line counts, of many regions each region does.
    members = [[line] for row in rows for line in row] if per_line else rows
    need = view.need(summed.need, len(members))

    def column(pick: Callable[[Line], Column]) -> Column:
        states: list[State] = []
        firsts: list[str] = []
        for member in members:
            columns = [pick(line) for line in member]
            kinds = {one.state for one in columns} - {"not-needed"}
            if not kinds:
                if not per_line:
                    states.append("not-needed")
                continue
            order: tuple[State, ...] = ("not-held", "not-observed", "awaited", "stale", "held")
            states.append(next(one for one in order if one in kinds))
            if all(one.held_on for one in columns if one.state != "not-needed"):
                firsts.append(max(one.held_on for one in columns if one.state != "not-needed"))
        if all(state == "not-needed" for state in states):
            return Column("not-needed")
        # A region in which this column has nothing to say cannot stand in its way.
        counted: list[State] = ["held" if state == "not-needed" else state for state in states]
        wanted = len(counted) if per_line and summed.need == "all" else need
        noun = "milestones" if per_line else "regions"
        state, reason = _count(wanted, counted, ["" for _ in counted], noun, share=not per_line)
        if "awaited" in counted and state != "held":
            state = "awaited"
        held = counted.count("held")
        seen = held + counted.count("not-held")
        on = sorted(firsts)[wanted - 1] if wanted and len(firsts) >= wanted else ""
        evidence = () if not per_line else tuple(
            {entry.sequence: entry for member in members for line in member for entry in pick(line).evidence}.values()
        )  # fmt: skip
        return Column(state, reason, held, seen, len(counted), on, evidence)

    probe, data = column(lambda line: line.probe), column(lambda line: line.data)
    theirs = column(lambda line: line.attestation)
    attestation = _both(own, theirs)
    reached = sorted(
        max(line.reached_on for line in row) for row in members if row and all(line.reached_on for line in row)
    )
    on = reached[need - 1] if need and len(reached) >= need else ""
    if own.state == "awaited":
        on = ""
    elif own.held_on and on:
        on = max(on, own.held_on)
    if summed.group and not members:
        reason = f"the plan puts no province in group {summed.group}"
        probe = Column("not-observed", reason)
    return probe, data, attestation, on


def _both(own: Column, theirs: Column) -> Column:
    """An attestation of its own, and those of what is counted."""
    if theirs.state == "not-needed":
        return own
    if own.state == "not-needed":
        return theirs
    state: State = "held" if own.state == theirs.state == "held" else "awaited"
    reason = "; ".join(filter(None, [own.reason, theirs.reason]))
    return Column(
        state, reason, own.held + theirs.held, own.seen + theirs.seen, own.expected + theirs.expected,
        max(own.held_on, theirs.held_on) if own.held_on and theirs.held_on else "",
    )  # fmt: skip


def _standing(probe: Column, data: Column, attestation: Column, reached: str) -> tuple[Standing, str]:
    """The state of a line: history first, then the worst of what is known now."""
    if reached:
        return "reached", "; ".join(one.reason for one in (probe, data) if one.state not in ("held", "not-needed"))
    named = (("probe", probe), ("data", data))
    for state, standing in (("not-held", "not-reached"), ("not-observed", "not-observed"), ("stale", "stale")):
        reasons = [f"{name}: {column.reason}" for name, column in named if column.state == state]
        if reasons:
            return standing, "; ".join(reasons)  # type: ignore[return-value]
    return "undecided", f"attestation: {attestation.reason}"


def _operating(probe: Column, data: Column) -> Operating:
    states = {probe.state, data.state} - {"not-needed"}
    for state, answer in (("not-held", "no"), ("not-observed", "not-observed"), ("stale", "stale"), ("held", "yes")):
        if state in states:
            return answer  # type: ignore[return-value]
    return "not-applicable"


def seen_regions(lines: Iterable[Line]) -> Iterator[str]:
    """The regions about which any record or signature says something, in the order of the lines."""
    told: set[str] = set()
    for line in lines:
        columns = (line.probe, line.data, line.attestation)
        if line.region not in told and any(column.evidence or column.seen for column in columns):
            told.add(line.region)
            yield line.region
