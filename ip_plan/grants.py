"""Grants of one province: every key that the plan needs gets its prefix, address, number or label, once and for ever.

What is in the ledger stays; what is new takes the lowest free place, largest first; what has no room gets a further block.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from ground.mistake import Mistake, Mistakes
from ip_plan import addressing, naming
from ip_plan.addressing import Block, OutOfSpace, Space
from ip_plan.ledger import Key, Ledger
from ip_plan.lines import Wire
from ip_plan.plan import Plan
from ip_plan.renumber import Renumbering
from ip_plan.schema import SiteKind

NONE = "-"
HOSTS, FIREWALLS = 10, 2
"""Places in a zone from which hosts, and each firewall of a pair, have their addresses; the first is the gateway's."""
FIRST_PORT = 11
"""Of a device's interfaces: numbers below are left to those who configure the equipment between two devices by hand."""


class Short(Exception):
    """The province's blocks have no room for a block of `length`; the nation has to grant one more."""

    def __init__(self, province: str, family: int, length: int) -> None:
        super().__init__(province, family, length)
        self.province, self.family, self.length = province, family, length


class Need(msgspec.Struct, frozen=True, gc=False):
    """A site the plan asks for."""

    key: str
    region: str
    kind: SiteKind
    unit: str
    """Key of the block it lies in: the prefecture's code, or `<province>:home`."""
    area: str
    """Key of the IPv6 county block of an office."""
    parent: str
    """Key of the serving centre."""
    lines: tuple[Wire, ...]
    renumbering: Renumbering | None = None


class Sizes(msgspec.Struct, frozen=True):
    """What a site of each level takes, in IPv4 addresses: zones, and loopbacks with links."""

    zones: dict[str, int]
    infra: dict[str, int]


def sizes(plan: Plan) -> Sizes:
    """Sizes per level from the plan's zone lengths, devices and lines."""
    zones: dict[str, int] = {}
    infra: dict[str, int] = {}
    for kind in plan.sites.sites:
        lengths = plan.addressing.zones[kind.level].lengths
        zones[kind.level] = zones.get(kind.level, 0) + sum(addressing.size(lengths[zone], 4) for zone in kind.zones)
        links = kind.routers * kind.firewalls + (kind.routers > 1)
        lines = sum(line.level == kind.level for line in plan.sites.lines)
        infra[kind.level] = infra.get(kind.level, 0) + kind.routers + kind.firewalls + 2 * (links + lines)
    return Sizes(zones, infra)


class Demand(msgspec.Struct, frozen=True, gc=False):
    """How long a unit's IPv4 block and its part for loopbacks and links must be."""

    unit: str
    block: int
    infra: int


def unit_demand(plan: Plan, unit: str, zones: int, infra: int) -> Demand:
    """The block lengths for a unit whose sites take `zones` and `infra` addresses, reserve included."""
    reserve = plan.addressing.reserve["unit"].value
    infra_length = addressing.length_for(max(math.ceil(infra * reserve), 16), 4)
    total = math.ceil((zones + addressing.size(infra_length, 4)) * reserve)
    return Demand(
        unit, min(addressing.length_for(total, 4), int(plan.addressing.smallest_block["unit"].value)), infra_length
    )


def blocks_of(ledger: Ledger, kind: str, key: str, family: int) -> list[Block]:
    """Every block of a unit (kind `block`) or of a province (`province`), first one first."""
    listed = [ledger.get(kind, key)]
    for mark in ("#",) if family == 4 else ("#", "#6."):
        further = (ledger.get(kind, f"{key}{mark}{number}") for number in range(2, 1000))
        listed += itertools.takewhile(lambda grant: grant is not None, further)
    return [
        addressing.parse(grant[family == 6], family)
        for grant in listed
        if grant is not None and grant[family == 6] != NONE
    ]


class Grants:
    """The allocator of one province over its ledger. Every key it hands out is living."""

    def __init__(
        self, plan: Plan, ledger: Ledger, province: str, blocks4: Sequence[Block], blocks6: Sequence[Block]
    ) -> None:
        self.plan, self.ledger, self.province = plan, ledger, province
        self.blocks = {4: list(blocks4), 6: list(blocks6)}
        self.living: set[Key] = set()
        self.new: list[Key] = []
        self._units: dict[tuple[str, int], Space] = {}
        self._infra: dict[str, Space] = {}
        self._infra_bases: dict[str, int] = {}
        self._counters: dict[tuple[str, str], int] = {}
        self._used_zones: list[Block] | None = None
        self.free: set[Key] = set()
        """Grants of before a renumbering whose quarantine is over."""
        self._regional: dict[int, Space] = {}

    def hold(self, kind: str, key: str) -> tuple[str, str] | None:
        """What the ledger holds for `key`, which is living from now on."""
        grant = self.ledger.grants.get((kind, key))
        if grant is not None:
            self.living.add((kind, key))
        return grant

    def give(self, kind: str, key: str, first: str, second: str = NONE) -> tuple[str, str]:
        """A new grant."""
        self.living.add((kind, key))
        self.new.append((kind, key))
        return self.ledger.put(kind, key, first, second)

    def versions(self, kind: str, key: str, need: Need, wanted: bool | None = None) -> tuple[str, str]:
        """(key of the grant in use, key of the one valid beside it or empty) while and after a site is renumbered.

        `wanted`: whether a new version is granted at all; None: where the old one lies outside the blocks of the site's unit.
        """
        going = need.renumbering
        if going is None:
            return key, ""
        held = [name for name in self._named(key, going.version) if (kind, name) in self.ledger.grants]
        last = f"{key}@{going.version}"
        if last not in held:
            held = held or [key]
            if going.stage != "both" or not (self._outside(kind, held[-1], need.unit) if wanted is None else wanted):
                return held[-1], ""
            return held[-1], last
        before = held[-2] if len(held) > 1 else ""
        if going.stage == "both":
            return (before, last) if before else (last, "")
        if going.over:
            self.free |= {(kind, name) for name in held[:-1]}
        return last, before if going.stage == "new" else ""

    @staticmethod
    def _named(key: str, version: int) -> list[str]:
        return [key, *(f"{key}@{number}" for number in range(2, version + 1))]

    def _outside(self, kind: str, key: str, unit: str) -> bool:
        grant = self.ledger.get(kind, key)
        if grant is None:
            return False
        block = addressing.parse(grant[0], 4)
        return not any(addressing.contains(outer, block, 4) for outer in self.unit_blocks(unit, 4))

    # Blocks of the units, in the province's

    def _region_space(self, family: int) -> Space:
        if family not in self._regional:
            used = []
            length = self.plan.addressing.ipv6.unit
            for grant in self.ledger.of("block").values():
                if grant[family == 6] != NONE:
                    block = addressing.parse(grant[family == 6], family)
                    if family == 4 or block[1] == length:
                        used.append(block)
            for pin in self.plan.plan.pins:
                text = pin.ipv4 if family == 4 else pin.ipv6
                if (
                    text
                    and self.ledger.get("block", pin.region) is None
                    and self.plan.regions[pin.region].level == "prefecture"
                ):
                    used.append(addressing.parse(text, family))
            self._regional[family] = Space(self.blocks[family], used, family)
        return self._regional[family]

    def unit(self, demand: Demand) -> None:
        """Grant the unit's first block of both families, or take the pinned one."""
        if self.hold("block", demand.unit) is None:
            pin = next((pin for pin in self.plan.plan.pins if pin.region == demand.unit), None)
            first = pin.ipv4 if pin and pin.ipv4 else self._take(4, demand.block)
            second = pin.ipv6 if pin and pin.ipv6 else self._take(6, self.plan.addressing.ipv6.unit)
            self.give("block", demand.unit, first, second)
        further = [("block", f"{demand.unit}#"), ("block", f"{demand.unit}#6."), ("infra", f"{demand.unit}#")]
        for kind, mark in further:
            for number in range(2, 100):
                if self.hold(kind, f"{mark}{number}") is None:
                    break
        area6 = self._area6(demand.unit, ":infra")
        if self.hold("infra", demand.unit) is None:
            self.give("infra", demand.unit, *self._unit_take(demand.unit, demand.infra), area6)

    def _take(self, family: int, length: int) -> str:
        try:
            return addressing.write(self._region_space(family).take(length), family)
        except OutOfSpace:
            raise Short(self.province, family, length) from None

    def unit_blocks(self, unit: str, family: int) -> list[Block]:
        """Every block of a unit, first one first."""
        return blocks_of(self.ledger, "block", unit, family)

    def _unit_space(self, unit: str, family: int) -> Space:
        space = self._units.get((unit, family))
        if space is None:
            if family == 4:
                if self._used_zones is None:
                    listed = [*self.ledger.of("zone").values(), *self.ledger.of("infra").values()]
                    self._used_zones = [addressing.parse(first, 4) for first, _ in listed]
                used = self._used_zones
            else:
                length = self.plan.addressing.ipv6.county
                parsed = [
                    addressing.parse(second, 6) for _, second in self.ledger.of("block").values() if second != NONE
                ]
                used = [block for block in parsed if block[1] == length]
            space = self._units[unit, family] = Space(self.unit_blocks(unit, family), used, family)
        return space

    def _unit_take(self, unit: str, length: int) -> tuple[str]:
        """An IPv4 prefix in the unit's blocks; when they are full the unit gets a further one and nothing moves."""
        try:
            block = self._unit_space(unit, 4).take(length)
        except OutOfSpace:
            wanted = min(length, int(self.plan.addressing.smallest_block["unit"].value))
            number = len(self.unit_blocks(unit, 4)) + 1
            more = self._take(4, wanted)
            self.give("block", f"{unit}#{number}", more)
            space = self._units[unit, 4] = Space([addressing.parse(more, 4)], [], 4)
            block = space.take(length)
        if self._used_zones is not None:
            self._used_zones.append(block)
        return (addressing.write(block, 4),)

    def _area6(self, unit: str, suffix: str, key: str = "") -> str:
        """An IPv6 block of county size in the unit: for its centre, its infrastructure, or a county."""
        name = key or unit + suffix
        grant = self.hold("block", name)
        if grant is None:
            try:
                block = self._unit_space(unit, 6).take(self.plan.addressing.ipv6.county)
            except OutOfSpace:
                number = next(n for n in range(2, 100) if self.ledger.get("block", f"{unit}#6.{n}") is None)
                more = self._take(6, self.plan.addressing.ipv6.unit)
                self.give("block", f"{unit}#6.{number}", NONE, more)
                space = self._units[unit, 6] = Space([addressing.parse(more, 6)], [], 6)
                block = space.take(self.plan.addressing.ipv6.county)
            grant = self.give("block", name, NONE, addressing.write(block, 6))
        return grant[1]

    # Zones

    def zones(self, needs: Iterable[Need]) -> None:
        """Grant every zone prefix of `needs`: IPv4 largest first in each unit, IPv6 by nibble below the site's place."""
        missing: list[tuple[int, str, str]] = []
        sixes: dict[str, str] = {}
        plan6 = self.plan.addressing.ipv6
        step = 1 << (128 - plan6.zone)
        townships: dict[str, Space] = {}
        taken: dict[tuple[str, str], list[Block]] = {}
        for key, (_, second) in self.ledger.of("zone").items():
            site, _, zone = key.rpartition(":")
            taken.setdefault((site, zone.partition("@")[2]), []).append(addressing.parse(second, 6))
        listed = list(needs)
        areas = self._areas(listed)
        for need in listed:
            lengths = self.plan.addressing.zones[need.kind.level].lengths
            wanted: dict[str, list[tuple[str, str]]] = {}
            for zone in need.kind.zones:
                key = f"{need.key}:{zone}"
                keys = (key,) if need.renumbering is None else self.versions("zone", key, need, True)
                for key in keys:
                    if key and self.hold("zone", key) is None:
                        wanted.setdefault(key.partition("@")[2], []).append((zone, key))
            name = areas.get(need.area, need.area) if need.area else need.key
            if not wanted:
                self._area6(need.unit, "", name)
            for version, lacking in wanted.items():
                missing += [(lengths[zone], key, need.unit) for zone, key in lacking]
                held = taken.get((need.key, version), [])
                if not need.area:
                    area = addressing.parse(self._area6(need.unit, "", name), 6)
                    space = Space([area], held, 6)
                    for _, key in lacking:
                        sixes[key] = addressing.write(space.take(plan6.centre_zone), 6)
                    continue
                if held:
                    base = held[0][0] >> (128 - plan6.township) << (128 - plan6.township)
                else:
                    if name not in townships:
                        area = addressing.parse(self._area6(need.unit, "", name), 6)
                        inside = {
                            (block[0] >> (128 - plan6.township) << (128 - plan6.township), plan6.township)
                            for blocks in taken.values()
                            for block in blocks
                            if addressing.contains(area, block, 6)
                        }
                        townships[name] = Space([area], inside, 6)
                    base = townships[name].take(plan6.township)[0]
                free = (base + number * step for number in range(1 << (plan6.zone - plan6.township)))
                used = {block[0] for block in held}
                for _, key in lacking:
                    first = next(value for value in free if value not in used)
                    sixes[key] = f"{addressing.address(first, 6)}/{plan6.zone}"
        missing.sort()
        for length, key, unit in missing:
            self.give("zone", key, self._unit_take(unit, length)[0], sixes[key])
        if areas:
            self._keep_areas(areas)

    def _areas(self, needs: Iterable[Need]) -> dict[str, str]:
        """IPv6 county block → its newest version, for counties that are or were renumbered; a new one is granted."""
        found = {}
        for need in needs:
            if need.renumbering is not None and need.area == need.key.partition(":")[0]:
                use, beside = self.versions("block", need.area, need, True)
                found[need.area] = beside if beside and need.renumbering.stage == "both" else use
        return found

    def _keep_areas(self, renumbered: Mapping[str, str]) -> None:
        """An IPv6 county block goes when the last zone in it has gone."""
        living = [addressing.parse(self.ledger.grants[key][1], 6) for key in self.living if key[0] == "zone"]
        for key, (_, second) in self.ledger.of("block").items():
            if key.partition("@")[0] not in renumbered:
                continue
            area = addressing.parse(second, 6)
            if any(addressing.contains(area, block, 6) for block in living):
                self.living.add(("block", key))
                self.free.discard(("block", key))

    # Loopbacks, links, hosts, services, numbers, labels

    def _infra_take(self, unit: str, length: int) -> str:
        space = self._infra.get(unit)
        if space is None:
            blocks = [
                addressing.parse(grant[0], 4)
                for key, grant in self.ledger.of("infra").items()
                if key.split("#")[0] == unit
            ]
            used = [addressing.parse(first, 4) for kind in ("loop", "link") for first, _ in self._of_unit(kind, blocks)]
            space = self._infra[unit] = Space(blocks, used, 4)
        try:
            return addressing.write(space.take(length), 4)
        except OutOfSpace:
            number = sum(key.split("#")[0] == unit for key in self.ledger.of("infra")) + 1
            grant = self.give("infra", f"{unit}#{number}", *self._unit_take(unit, 26))
            space = self._infra[unit] = Space([addressing.parse(grant[0], 4)], [], 4)
            return addressing.write(space.take(length), 4)

    def _of_unit(self, kind: str, blocks: Sequence[Block]) -> list[tuple[str, str]]:
        found = []
        for grant in self.ledger.of(kind).values():
            block = addressing.parse(grant[0], 4)
            if any(addressing.contains(outer, block, 4) for outer in blocks):
                found.append(grant)
        return found

    def _infra6(self, unit: str, kind: str) -> int:
        """The next free number of loopbacks or links in the unit's IPv6 infrastructure block, as an address."""
        base = self._infra_bases.get(unit)
        if base is None:
            base = self._infra_bases[unit] = addressing.parse(self._area6(unit, ":infra"), 6)[0]
        offset = base if kind == "loop" else base + (1 << 64)
        counter = self._counters.get((unit, kind))
        if counter is None:
            inside = [addressing.parse(second, 6)[0] - offset for _, second in self.ledger.of(kind).values()]
            counter = max((number for number in inside if 0 <= number < 1 << 64), default=0)
            counter = counter if kind == "loop" else counter + (counter & 1)
        counter += 1 if kind == "loop" else 2
        self._counters[unit, kind] = counter
        return offset + counter

    def loopback(self, unit: str, device: str) -> tuple[str, str]:
        """The loopback addresses of a device, without length."""
        grant = self.hold("loop", device)
        if grant is None:
            first = self._infra_take(unit, 32)[:-3]
            grant = self.give("loop", device, first, addressing.address(self._infra6(unit, "loop"), 6))
        return grant

    def link(self, unit: str, link: str) -> tuple[str, str]:
        """The /31 and /127 of a link (RFC 3021, RFC 6164)."""
        grant = self.hold("link", link)
        if grant is None:
            first = self._infra_take(unit, 31)
            grant = self.give("link", link, first, f"{addressing.address(self._infra6(unit, 'link'), 6)}/127")
        return grant

    def member(
        self, kind: str, key: str, zone: tuple[str, str], taken: set[int], first: int = HOSTS
    ) -> tuple[str, str]:
        """A host's (from .10 upward) or a service's (from the top downward) address in its zone.

        `taken`: IPv4 addresses of the zone that are granted already; the new one is added to it. `first`: of hosts, where to begin.
        """
        grant = self.hold(kind, key)
        if grant is None:
            base, length = addressing.parse(zone[0], 4)
            end = base + addressing.size(length, 4) - 2
            order = range(base + first, end + 1) if kind == "host" else range(end, base + HOSTS - 1, -1)
            value = next((value for value in order if value not in taken), 0)
            if not value:
                raise Mistakes([self._crowded(key, zone[0])])
            # The IPv6 interface identifier repeats the IPv4 offset, so that a person sees that the two belong together.
            six = addressing.parse(zone[1], 6)[0] + (0 if kind == "host" else 1 << 16) + value - base
            grant = self.give(kind, key, addressing.address(value, 4), addressing.address(six, 6))
            taken.add(value)
        return grant

    def _crowded(self, key: str, prefix: str) -> Mistake:
        site, _, member = key.rpartition(":")
        document = self.plan.documents["addressing.yml"]
        what = f"{site} with {prefix} has no address left for it"
        cure = (
            "Give the zone a shorter prefix length at this level before it is granted, or take hosts or services away."
        )
        return Mistake(document.file, *document.place(("zones",)), "JB1212", member, what, cure)

    def asn(self, site: str, order: int) -> int:
        """The private number of a site: from its province's range (RFC 6996)."""
        grant = self.hold("asn", site)
        if grant is None:
            first = self.plan.addressing.asn.first + order * self.plan.addressing.asn.per_province
            if ("", "asn") not in self._counters:
                held = [int(value) for value, _ in self.ledger.of("asn").values()]
                self._counters["", "asn"] = max(held, default=first - 1)
            self._counters["", "asn"] += 1
            grant = self.give("asn", site, str(self._counters["", "asn"]))
        return int(grant[0])

    def port(self, device: str, interface: str, first: int = FIRST_PORT) -> int:
        """The number of an interface, its own on its device for ever: what tells it from others on a shared port, or its port."""
        grant = self.hold("port", f"{device}:{interface}")
        if grant is None:
            if ("", "port") not in self._counters:
                self._counters["", "port"] = 0
                for key, (value, _) in self.ledger.of("port").items():
                    owner = (key.partition(":")[0], "port")
                    self._counters[owner] = max(int(value), self._counters.get(owner, 0))
            number = max(self._counters.get((device, "port"), 0) + 1, first)
            self._counters[device, "port"] = number
            grant = self.give("port", f"{device}:{interface}", str(number))
        return int(grant[0])

    def labels(self, readings: Mapping[str, str], parent_of: Mapping[str, str]) -> dict[str, str]:
        """Region key → label, unique under the parent in the name tree, and then for ever."""
        stop = {*self.plan.names.stop, *self.plan.sites.zones}
        taken: dict[str, set[str]] = {}
        found: dict[str, str] = {}
        fresh: list[str] = []
        for code, (label, parent) in self.ledger.of("label").items():
            taken.setdefault(parent, set()).add(label)
            found[code] = label
        chosen: dict[str, str] = {}
        for code in readings:
            if code in found:
                chosen[code] = found[code]
                self.living.add(("label", code))
            else:
                fresh.append(code)
        for code in fresh:
            parent = parent_of[code] or NONE
            siblings = taken.setdefault(parent, set())
            label = naming.choose(readings[code], siblings, stop)
            siblings.add(label)
            self.give("label", code, label, parent)
            chosen[code] = label
        return chosen
