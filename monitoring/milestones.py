"""How far each region has come: a function of the plan, the division data and the records of one target.

A line is one milestone in one region. It keeps what was seen from outside (probe), what lies inside a centre (data) and what an office
signed (attestation) apart, and never adds them up. `reached_on` is history: the first moment at which all of it held at once.
`operating_now` is about now. "Could not tell" is never a pass.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Literal

import msgspec

from ground import clock
from ground.record import Record, Subject
from ip_plan import regions as divisions
from ip_plan.network import Network, Site
from ip_plan.regions import Region
from monitoring import catalogue as catalogues
from monitoring.catalogue import Attestation, Level, Milestone, Sum, Want
from monitoring.evidence.log import Entry

State = Literal["held", "not-held", "not-observed", "stale", "awaited", "not-needed"]
"""Of one column. `awaited`: an attestation that nobody has given; `not-needed`: the milestone has no such part."""
Standing = Literal["reached", "not-reached", "not-observed", "undecided", "stale"]
Operating = Literal["yes", "no", "not-observed", "stale", "not-applicable"]

FUTURE = timedelta(minutes=5)
"""How far a record's clock may run ahead of ours before it is no longer believed."""
TOGETHER = timedelta(seconds=60)
"""Two observers who disagree within this time contradict each other; later ones simply saw something newer."""
_REGION = re.compile(r"[0-9A-Z]+")

Keys = Mapping[tuple[str, Subject], str]
"""(check, subject) → the input key that a record of now would carry."""


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


class _Member(msgspec.Struct, frozen=True):
    """Something that has to hold: its records, oldest first, and how they are read."""

    label: str
    entries: tuple[Entry, ...]
    max_age: timedelta
    any: bool = False
    """One of several suffices (two lines to the same centre); else all have to pass."""
    code: str = ""
    """Of the region, where a member is one."""
    missing: str = ""
    """Why no record can ever say it holds, e.g. the plan gives the centre no such zone."""


class _Found(msgspec.Struct, frozen=True):
    state: State
    reason: str = ""
    entries: tuple[Entry, ...] = ()


class _Group(msgspec.Struct, frozen=True):
    """The members of one want, and how many have to hold. `need` None: no source and no setting says how many."""

    members: tuple[_Member, ...]
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
    view = _View(network, regions, records, now, target, groups or {}, keys or {})
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


class _View:
    """What `evaluate` was given, indexed once."""

    def __init__(
        self, network: Network, regions: Mapping[str, Region], records: Iterable[Entry], now: datetime, target: str,
        groups: Mapping[str, str], keys: Keys,
    ) -> None:  # fmt: skip
        self.network, self.regions, self.now, self.target, self.groups, self.keys = (
            network, regions, now, target, groups, keys,
        )  # fmt: skip
        self.children = divisions.children(regions)
        self.calendar = dict(network.meta.calendar)
        self._units: dict[tuple[Level, bool], list[Region]] = {}
        self._offices_of: dict[str, list[Region]] = {}
        self.centres: dict[str, Site] = {}
        for site in network.sites.values():
            if site.kind == "centre":
                self.centres.setdefault(site.region, site)
        self.by_region: dict[tuple[str, str], list[Entry]] = defaultdict(list)
        self.by_peer: dict[tuple[str, str], list[Entry]] = defaultdict(list)
        for entry in sorted(records, key=lambda one: (one.record.time, one.sequence)):
            record = entry.record
            if record.target != target or not self._there(record.subject):
                continue
            self.by_region[record.check, record.subject.region].append(entry)
            if record.subject.peer and (fit := _REGION.match(record.subject.peer)):
                self.by_peer[record.check, fit[0]].append(entry)

    def _there(self, subject: Subject) -> bool:
        """Whether what was observed is still in the plan. What was taken out says nothing about what is left."""
        network = self.network
        site = network.known_sites.get(subject.site)
        if subject.site and (site is None or (subject.zone and site.zone(subject.zone) is None)):
            return False
        if subject.device and subject.device not in network.devices:
            return False
        other, _, zone = subject.peer.rpartition(":")
        if other.count(":") == 1 and zone:
            peer = network.known_sites.get(other)
            return peer is not None and peer.zone(zone) is not None
        return True

    def units(self, level: Level, corps: bool) -> list[Region]:
        """The regions that get a line, in the order of the division data."""
        if (level, corps) not in self._units:
            self._units[level, corps] = self._find_units(level, corps)
        return self._units[level, corps]

    def _find_units(self, level: Level, corps: bool) -> list[Region]:
        found = []
        for region in self.regions.values():
            unit = region.level == "prefecture" and region.kind != "grouping"
            if (
                (level == "ministry" and region.level == "ministry")
                or (level == "province" and region.level == "province" and (corps or region.kind != "corps"))
                or (level == "city" and (unit or region.kind == "municipality"))
            ):
                found.append(region)
        return found

    def cities(self, province: Region) -> list[Region]:
        """The city-level units of a province; a municipality is its own."""
        if province.kind == "municipality":
            return [province]
        below = self.children.get(province.code, [])
        return [one for one in below if one.level == "prefecture" and one.kind != "grouping"]

    def offices(self, city: Region) -> list[Region]:
        """Every county and township of a city, groupings and statistical rows left out (townships below the latter count)."""
        if city.code in self._offices_of:
            return self._offices_of[city.code]
        found = self._offices_of[city.code] = []
        waiting = deque(self.children.get(city.code, []))
        while waiting:
            region = waiting.popleft()
            waiting += self.children.get(region.code, [])
            if region.level in ("county", "township") and region.kind not in ("statistical", "grouping"):
                found.append(region)
        return found

    def centre(self, code: str) -> Site | None:
        """The centre of a region: its own, or the one it is hosted by (S3 二(三)1)."""
        if code in self.centres:
            return self.centres[code]
        known = self.network.regions.get(code)
        return self.centres.get(known.serving) if known else None

    def group(self, region: Region) -> str:
        """East, Central or West; empty where the plan does not say."""
        province = divisions.province_of(self.regions, region.code)
        return self.groups.get(province.code, "") if province else ""

    def need(self, text: str, many: int) -> int | None:
        """How many of `many` are meant by `all`, a fraction, or `setting <name> [or all]`."""
        share: Fraction | None = None
        if text.startswith("setting "):
            name, _, default = text.removeprefix("setting ").partition(" or ")
            given = self.network.meta.settings.get(name)
            if isinstance(given, int | float) and not isinstance(given, bool) and 0 < given <= 1:
                share = Fraction(str(given))
            elif default != "all":
                return None
            else:
                share = Fraction(1)
        else:
            share = Fraction(1) if text == "all" else Fraction(text)
        return math.ceil(share * many)

    # ── from a want to its members ──

    def members(self, want: Want, region: Region) -> list[_Member]:
        """What has to hold for `want` in `region`."""
        age = timedelta(hours=want.max_age_hours)
        make: dict[str, Callable[[Want, Region, timedelta], list[_Member]]] = {
            "zones": self._zones, "inside": self._inside, "separation": self._separation, "line": self._lines, "lines-below": self._below,
            "offices": self._offices, "levels-below": self._levels, "region": self._region,
        }  # fmt: skip
        return make[want.of](want, region, age)

    def _zones(self, want: Want, region: Region, age: timedelta) -> list[_Member]:
        centre = self.centre(region.code)
        if centre is None:
            return [_Member(zone, (), age, missing=NO_CENTRE) for zone in want.zones]
        by_zone = defaultdict(list)
        for entry in self.by_region[want.check, centre.region]:
            if entry.record.subject.site == centre.key:
                by_zone[entry.record.subject.zone].append(entry)
        return [
            _Member(f"{centre.key}:{zone}", tuple(by_zone[zone]), age)
            if centre.zone(zone)
            else _Member(zone, (), age, missing=f"the plan gives {centre.key} no {zone} zone")
            for zone in want.zones
        ]

    def _inside(self, want: Want, region: Region, age: timedelta) -> list[_Member]:
        """Each zone towards every other one of its own centre."""
        found = self._zones(want, region, age)
        centre = self.centre(region.code)
        start = f"{centre.key}:" if centre else ""
        return [
            msgspec.structs.replace(
                one, entries=tuple(e for e in one.entries if e.record.subject.peer.startswith(start))
            )
            for one in found
        ]

    def _separation(self, want: Want, region: Region, age: timedelta) -> list[_Member]:
        pairs = [(a, b) for a in want.zones for b in want.zones if a != b]
        centre = self.centre(region.code)
        if centre is None:
            return [_Member(f"{a} → {b}", (), age, missing=NO_CENTRE) for a, b in pairs]
        found = defaultdict(list)
        for entry in self.by_region[want.check, centre.region]:
            subject = entry.record.subject
            if subject.site == centre.key and subject.peer.startswith(f"{centre.key}:"):
                found[subject.zone, subject.peer.rpartition(":")[2]].append(entry)
        return [
            _Member(f"{a} → {b}", tuple(found[a, b]), age)
            if centre.zone(a) and centre.zone(b)
            else _Member(
                f"{a} → {b}", (), age, missing=f"the plan gives {centre.key} no {b if centre.zone(a) else a} zone"
            )
            for a, b in pairs
        ]

    def _line(self, want: Want, code: str, age: timedelta) -> _Member:
        """The lines of a centre to the one that serves it, seen from either end; one that works suffices."""
        centre = self.centres.get(code)
        parent = self.network.known_sites.get(centre.parent) if centre else None
        if centre is None or parent is None:
            return _Member(code, (), age, missing=NO_CENTRE)
        both = {code, parent.region}
        looked = [*self.by_region[want.check, code], *self.by_peer[want.check, code]]
        found = {entry.sequence: entry for entry in looked if _regions(entry.record.subject) == both}
        entries = sorted(found.values(), key=lambda one: (one.record.time, one.sequence))
        return _Member(f"{parent.region} – {code}", tuple(entries), age, any=True)

    def _lines(self, want: Want, region: Region, age: timedelta) -> list[_Member]:
        return [self._line(want, region.code, age)]

    def _below(self, want: Want, region: Region, age: timedelta) -> list[_Member]:
        if region.kind == "municipality":
            return []
        return [self._line(want, city.code, age) for city in self.cities(region)]

    def _offices(self, want: Want, region: Region, age: timedelta) -> list[_Member]:
        return [
            _Member(office.name, tuple(self.by_region[want.check, office.code]), age, code=office.code)
            for office in self.offices(region)
        ]

    def _levels(self, want: Want, region: Region, age: timedelta) -> list[_Member]:
        """One office of each lower level suffices: the first that holds now, and its records, stand for the level."""
        found = []
        for level in ("county", "township"):
            offices = [
                office for office in self._offices(want, region, age) if self.regions[office.code].level == level
            ]
            seen = [office for office in offices if office.entries]
            best = next((office for office in seen if _judge_now(self, office).state == "held"), None)
            best = best or next(iter(seen), None)
            found.append(_Member(level, best.entries if best else (), age))
        return found

    def _region(self, want: Want, region: Region, age: timedelta) -> list[_Member]:
        return [_Member(region.name, tuple(self.by_region[want.check, region.code]), age)]

    # ── from records to what holds ──

    def told(self, record: Record, at: datetime, max_age: timedelta) -> tuple[str, str]:
        """What one record says at `at`: pass, fail, unknown, stale or n/a, and why."""
        age = at - clock.moment(record.time)
        if age < -FUTURE:
            return "unknown", f"dated {record.time}, which is still to come"
        wanted = self.keys.get((record.check, record.subject))
        if wanted is not None and wanted != record.input_key:
            return "stale", "the plan has changed since"
        if age > max_age:
            return "stale", f"last seen {record.time}"
        if record.result == "pass":
            if record.seen < record.expected or record.expected < 1:
                return "unknown", f"says pass on {record.seen} of {record.expected}"
            return "pass", ""
        if record.result in ("fail", "waived"):
            return "fail", record.reason if record.result == "fail" else f"waived: {record.reason}"
        return ("n/a" if record.result == "not-applicable" else "unknown"), record.reason

    def judge(self, slots: Mapping[tuple[Subject, str, str], Entry], member: _Member, at: datetime) -> _Found:
        """Whether a member holds at `at`, from the latest record of each subject, method and observer."""
        if member.missing:
            state: State = "not-observed" if member.missing == NO_CENTRE else "not-held"
            return _Found(state, member.missing)
        if not slots:
            return _Found("not-observed", NO_RECORD)
        looked: dict[object, list[Entry]] = defaultdict(list)
        for (subject, method, _), entry in slots.items():
            looked[_ends(subject) if member.any else (subject, method)].append(entry)
        votes = [self._vote(entries, member, at) for entries in looked.values()]
        found = sorted(slots.values(), key=lambda one: one.sequence)
        entries = tuple(found)

        def why(kind: str) -> str:
            reasons = [reason for vote, reason in votes if vote == kind]
            return "; ".join(dict.fromkeys(reasons[:3])) + (f" (+{len(reasons) - 3})" if len(reasons) > 3 else "")

        kinds = {vote for vote, _ in votes}
        if member.any and "pass" in kinds:
            return _Found("held", why("fail"), entries)
        order = ("unknown", "fail", "stale") if member.any else ("fail", "unknown", "stale")
        states: dict[str, State] = {"fail": "not-held", "unknown": "not-observed", "stale": "stale"}
        for kind in order:
            if kind in kinds:
                return _Found(states[kind], why(kind), entries)
        return _Found("not-needed" if kinds == {"n/a"} else "held", "", entries)

    def _vote(self, entries: Sequence[Entry], member: _Member, at: datetime) -> tuple[str, str]:
        """What several observers of one thing say together."""
        newest = max(clock.moment(entry.record.time) for entry in entries)
        told = [
            (*self.told(entry.record, at, member.max_age), entry)
            for entry in entries
            if newest - clock.moment(entry.record.time) <= TOGETHER
        ]
        passed = [entry for vote, _, entry in told if vote == "pass"]
        failed = [entry for vote, _, entry in told if vote == "fail"]
        if member.any and failed:
            # Two ends of one line: it is down when one end says so.
            return "fail", next(reason for vote, reason, _ in told if vote == "fail")
        if passed and failed:
            a, b = passed[0], failed[0]
            return "unknown", (
                f"contradictory: record {a.sequence} ({a.record.observer}) says pass, "
                f"record {b.sequence} ({b.record.observer}) says fail"
            )
        for kind in ("fail", "pass", "unknown", "stale", "n/a"):
            for vote, reason, _ in told:
                if vote == kind:
                    return vote, reason
        return "unknown", NO_RECORD


NO_CENTRE = "not in this plan"
NO_RECORD = "no record"
SHARES = ("offices", "lines-below")
"""Wants that count the division data."""


def _regions(subject: Subject) -> set[str]:
    """The regions of the two ends of a line: of the device that looked, and of its peer."""
    ends = (_REGION.match(subject.device or subject.region), _REGION.match(subject.peer))
    return {fit[0] for fit in ends if fit}


def _ends(subject: Subject) -> object:
    """The two ends of a line, whichever of them looked; else the subject itself."""
    here = subject.device or subject.site
    return frozenset((here, subject.peer)) if here and subject.peer else subject


def _slot(entry: Entry) -> tuple[Subject, str, str]:
    return entry.record.subject, entry.record.method, entry.record.observer


def _judge_now(view: _View, member: _Member) -> _Found:
    return view.judge({_slot(entry): entry for entry in member.entries}, member, view.now)


def _first(view: _View, groups: Sequence[_Group]) -> str:
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
        slots[g, m][_slot(entry)] = entry
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


def _part(view: _View, wants: Sequence[Want], region: Region) -> _Part:
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
        found = [_judge_now(view, member) for member in members]
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
    view: _View, milestone: Milestone, level: Level, region: Region, given: Sequence[Attestation],
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
    view: _View, milestone: Milestone, summed: Sum, region: Region, own: Column, lines: Mapping[tuple[str, str], Line]
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
