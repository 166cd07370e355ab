"""What has to hold for a milestone, and what its records say about it.

A member is one thing that has to hold: a zone, a line, an office. Records of the same subject by several observers are votes; a vote that
is too old, or from before the plan changed, is none.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Literal

import msgspec

from ground import clock
from ground.record import Record, Subject
from ip_plan import regions as divisions
from ip_plan.network import Network, Site
from ip_plan.regions import Region
from monitoring.catalogue import Level, Want
from monitoring.evidence.log import Entry

State = Literal["held", "not-held", "not-observed", "stale", "awaited", "not-needed"]
"""Of one column. `awaited`: an attestation that nobody has given; `not-needed`: the milestone has no such part."""

FUTURE = timedelta(minutes=5)
"""How far a record's clock may run ahead of ours before it is no longer believed."""
TOGETHER = timedelta(seconds=60)
"""Two observers who disagree within this time contradict each other; later ones simply saw something newer."""
_REGION = re.compile(r"[0-9A-Z]+")

Keys = Mapping[tuple[str, Subject], str]
"""(check, subject) → the input key that a record of now would carry."""


class Member(msgspec.Struct, frozen=True):
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


class Found(msgspec.Struct, frozen=True):
    state: State
    reason: str = ""
    entries: tuple[Entry, ...] = ()


class View:
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

    def members(self, want: Want, region: Region) -> list[Member]:
        """What has to hold for `want` in `region`."""
        age = timedelta(hours=want.max_age_hours)
        make: dict[str, Callable[[Want, Region, timedelta], list[Member]]] = {
            "zones": self._zones, "inside": self._inside, "separation": self._separation, "line": self._lines, "lines-below": self._below,
            "offices": self._offices, "levels-below": self._levels, "region": self._region,
        }  # fmt: skip
        return make[want.of](want, region, age)

    def _zones(self, want: Want, region: Region, age: timedelta) -> list[Member]:
        centre = self.centre(region.code)
        if centre is None:
            return [Member(zone, (), age, missing=NO_CENTRE) for zone in want.zones]
        by_zone = defaultdict(list)
        for entry in self.by_region[want.check, centre.region]:
            if entry.record.subject.site == centre.key:
                by_zone[entry.record.subject.zone].append(entry)
        return [
            Member(f"{centre.key}:{zone}", tuple(by_zone[zone]), age)
            if centre.zone(zone)
            else Member(zone, (), age, missing=f"the plan gives {centre.key} no {zone} zone")
            for zone in want.zones
        ]

    def _inside(self, want: Want, region: Region, age: timedelta) -> list[Member]:
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

    def _separation(self, want: Want, region: Region, age: timedelta) -> list[Member]:
        pairs = [(a, b) for a in want.zones for b in want.zones if a != b]
        centre = self.centre(region.code)
        if centre is None:
            return [Member(f"{a} → {b}", (), age, missing=NO_CENTRE) for a, b in pairs]
        found = defaultdict(list)
        for entry in self.by_region[want.check, centre.region]:
            subject = entry.record.subject
            if subject.site == centre.key and subject.peer.startswith(f"{centre.key}:"):
                found[subject.zone, subject.peer.rpartition(":")[2]].append(entry)
        return [
            Member(f"{a} → {b}", tuple(found[a, b]), age)
            if centre.zone(a) and centre.zone(b)
            else Member(
                f"{a} → {b}", (), age, missing=f"the plan gives {centre.key} no {b if centre.zone(a) else a} zone"
            )
            for a, b in pairs
        ]

    def _line(self, want: Want, code: str, age: timedelta) -> Member:
        """The lines of a centre to the one that serves it, seen from either end; one that works suffices."""
        centre = self.centres.get(code)
        parent = self.network.known_sites.get(centre.parent) if centre else None
        if centre is None or parent is None:
            return Member(code, (), age, missing=NO_CENTRE)
        both = {code, parent.region}
        looked = [*self.by_region[want.check, code], *self.by_peer[want.check, code]]
        found = {entry.sequence: entry for entry in looked if _regions(entry.record.subject) == both}
        entries = sorted(found.values(), key=lambda one: (one.record.time, one.sequence))
        return Member(f"{parent.region} – {code}", tuple(entries), age, any=True)

    def _lines(self, want: Want, region: Region, age: timedelta) -> list[Member]:
        return [self._line(want, region.code, age)]

    def _below(self, want: Want, region: Region, age: timedelta) -> list[Member]:
        if region.kind == "municipality":
            return []
        return [self._line(want, city.code, age) for city in self.cities(region)]

    def _offices(self, want: Want, region: Region, age: timedelta) -> list[Member]:
        return [
            Member(office.name, tuple(self.by_region[want.check, office.code]), age, code=office.code)
            for office in self.offices(region)
        ]

    def _levels(self, want: Want, region: Region, age: timedelta) -> list[Member]:
        """One office of each lower level suffices: the first that holds now, and its records, stand for the level."""
        found = []
        for level in ("county", "township"):
            offices = [
                office for office in self._offices(want, region, age) if self.regions[office.code].level == level
            ]
            seen = [office for office in offices if office.entries]
            best = next((office for office in seen if judge_now(self, office).state == "held"), None)
            best = best or next(iter(seen), None)
            found.append(Member(level, best.entries if best else (), age))
        return found

    def _region(self, want: Want, region: Region, age: timedelta) -> list[Member]:
        return [Member(region.name, tuple(self.by_region[want.check, region.code]), age)]

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

    def judge(self, slots: Mapping[tuple[Subject, str, str], Entry], member: Member, at: datetime) -> Found:
        """Whether a member holds at `at`, from the latest record of each subject, method and observer."""
        if member.missing:
            state: State = "not-observed" if member.missing == NO_CENTRE else "not-held"
            return Found(state, member.missing)
        if not slots:
            return Found("not-observed", NO_RECORD)
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
            return Found("held", why("fail"), entries)
        order = ("unknown", "fail", "stale") if member.any else ("fail", "unknown", "stale")
        states: dict[str, State] = {"fail": "not-held", "unknown": "not-observed", "stale": "stale"}
        for kind in order:
            if kind in kinds:
                return Found(states[kind], why(kind), entries)
        return Found("not-needed" if kinds == {"n/a"} else "held", "", entries)

    def _vote(self, entries: Sequence[Entry], member: Member, at: datetime) -> tuple[str, str]:
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


def _regions(subject: Subject) -> set[str]:
    """The regions of the two ends of a line: of the device that looked, and of its peer."""
    ends = (_REGION.match(subject.device or subject.region), _REGION.match(subject.peer))
    return {fit[0] for fit in ends if fit}


def _ends(subject: Subject) -> object:
    """The two ends of a line, whichever of them looked; else the subject itself."""
    here = subject.device or subject.site
    return frozenset((here, subject.peer)) if here and subject.peer else subject


def slot(entry: Entry) -> tuple[Subject, str, str]:
    return entry.record.subject, entry.record.method, entry.record.observer


def judge_now(view: View, member: Member) -> Found:
    return view.judge({slot(entry): entry for entry in member.entries}, member, view.now)
