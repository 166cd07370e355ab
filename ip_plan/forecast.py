"""Use and reserve of every block, the year in which it runs out, and what a further level would take.

Counted from the ledger: what is gone stays taken. Growth is the plan's own value, not an observation.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import msgspec

from ground.mistake import Mistake, Mistakes
from ip_plan import addressing
from ip_plan.addressing import Block, Space
from ip_plan.grants import NONE, blocks_of
from ip_plan.layout import MINISTRY, Layout, province_key
from ip_plan.ledger import Ledger
from ip_plan.plan import Plan

Family = Literal[4, 6]
FAMILIES: tuple[Family, ...] = (4, 6)
Level = Literal["nation", "province", "unit"]
NETWORK_AND_GATEWAY = 3
"""Addresses of a zone that no terminal gets: the network's, the gateway's, the broadcast one."""


class Further(msgspec.Struct, frozen=True):
    """What one more level, the communities and villages, would take of a block."""

    villages: int
    length: int
    """Of each village's prefix."""
    lacking: int | None
    """Length of the further block that would be needed; None: it fits."""


class Use(msgspec.Struct, frozen=True):
    """One block, or the blocks, of a region in one family."""

    level: Level
    region: str
    """Code under which it was granted; a province's own sites and the counties it serves itself lie in `<code>:home`."""
    name: str
    family: Family
    blocks: tuple[str, ...]
    size: float
    """Addresses; a float, since IPv6 counts exceed what JSON readers hold exactly."""
    granted: float
    share: float
    """`granted` of `size`, 0–1; the rest is the reserve."""
    largest: int | None
    """Length of the largest aligned hole; None: full."""
    room: dict[int, int]
    """Prefix length that is granted here → how many more of it fit."""
    runs_out: int | None
    """The first year whose need is larger than the block; None: the plan gives no growth."""
    further: Further | None


class Forecast(msgspec.Struct, frozen=True):
    """The use of every block that was asked for, the widest first."""

    plan: str
    sample: str
    """What the plan says of its data."""
    growth: float | None
    growth_reason: str
    year: int
    uses: tuple[Use, ...]


class _Held(msgspec.Struct):
    """A block with what lies in it, before anything is said of it."""

    level: Level
    region: str
    name: str
    blocks: list[Block]
    used: list[Block]
    lengths: list[int]
    """That are granted in it."""
    wanted: list[int]
    """Lengths that a further level asks for."""
    villages: int


def forecast(
    plan: Plan,
    layout: Layout,
    ledger_of: Callable[[str], Ledger],
    year: int,
    addresses: int | None = None,
    region: str = "",
) -> Forecast:
    """The use of the blocks of `region`, with what lies in a province below it; of all when empty.

    `ledger_of`: province key (`00` for the nation) → its ledger. `addresses`: terminals in each village of a further level; None
    asks for no further level. Raises Mistakes JB1326 for a region without a block.
    """
    national = ledger_of(province_key(MINISTRY))
    tops = [code for code in (MINISTRY, *layout.provinces) if code in layout.demand]
    uses: list[Use] = []
    cities = {layout.key[city]: row.name for city, row in plan.regions.items() if row.level == "prefecture"}
    nations = {family: _nation(plan, layout, national, tops, family) for family in FAMILIES}
    for code in tops:
        if region not in ("", code, *(demand.unit for demand in layout.demand[code])):
            continue
        ledger = national if code == MINISTRY else ledger_of(province_key(code))
        for family, nation in nations.items():
            province, units = _province(plan, layout, national, ledger, code, family, addresses, cities)
            found = [_use(plan, unit, family, year, addresses) for unit in units]
            province.wanted = [use.further.lacking for use in found if use.further and use.further.lacking is not None]
            province.villages = sum(unit.villages for unit in units)
            found.insert(0, _use(plan, province, family, year, addresses))
            further = found[0].further
            if further and further.lacking is not None:
                nation.wanted.append(further.lacking)
            nation.villages += province.villages
            uses += [use for use in found if region in ("", code, use.region)]
    if not region:
        uses += [_use(plan, nation, family, year, addresses) for family, nation in nations.items()]
    if not uses:
        what = "has no block of its own in this plan"
        cure = "Name a province or a prefecture-level city in scope, or leave --region out."
        raise Mistakes([Mistake("", None, None, "JB1326", region, what, cure)])
    order = {"nation": 0, "province": 1, "unit": 2}
    uses.sort(
        key=lambda use: (use.region[:2] if use.level != "nation" else "", order[use.level], use.region, use.family)
    )
    growth = plan.addressing.growth_per_year
    return Forecast(
        plan.name,
        plan.plan.sample,
        growth.value if growth else None,
        growth.reason if growth else "",
        year,
        tuple(uses),
    )


def _nation(plan: Plan, layout: Layout, national: Ledger, tops: Iterable[str], family: int) -> _Held:
    supernet = plan.addressing.supernets.ipv4 if family == 4 else plan.addressing.supernets.ipv6
    used = [block for code in tops for block in blocks_of(national, "province", layout.key[code], family)]
    return _Held("nation", "", plan.plan.title, [addressing.parse(supernet, family)], used, [b[1] for b in used], [], 0)


def _province(
    plan: Plan, layout: Layout, national: Ledger, ledger: Ledger, code: str, family: int, addresses: int | None,
    cities: Mapping[str, str],
) -> tuple[_Held, list[_Held]]:  # fmt: skip
    """A province's blocks, and those of the units in it."""
    parsed: dict[str, list[Block]] = {
        kind: [
            addressing.parse(grant[family == 6], family)
            for grant in ledger.of(kind).values()
            if grant[family == 6] != NONE
        ]
        for kind in ("block", "zone", "infra")
    }
    plan6 = plan.addressing.ipv6
    taken = [block for block in parsed["block"] if family == 4 or block[1] == plan6.unit]
    areas = [block for block in parsed["block"] if block[1] == plan6.county]
    inside = sorted([*parsed["zone"], *parsed["infra"]] if family == 4 else areas)
    villages = _villages(plan, layout, code)
    length = None if addresses is None else _length(plan, addresses, family)
    blocks = blocks_of(national, "province", layout.key[code], family)
    province = _Held("province", code, plan.regions[code].name, blocks, taken, [b[1] for b in taken], [], 0)
    units = []
    for unit in sorted(demand.unit for demand in layout.demand[code]):
        held = blocks_of(ledger, "block", unit, family)
        used = [block for outer in held for block in _within(inside, outer, family)]
        listed = villages.get(unit, {})
        wanted: list[int] = []
        if length is not None and family == 4:
            wanted = [length] * sum(listed.values())
        elif length is not None:
            # A village's /64 lies in its township's block; only what overflows it asks the unit for more.
            full = 1 << (length - plan6.township)
            zones = max((len(kind.zones) for kind in plan.sites.sites if kind.level == "township"), default=0)
            wanted = [plan6.county for count in listed.values() if count + zones > full]
        units.append(
            _Held(
                "unit", unit, cities.get(unit, "home"), held, used, [b[1] for b in used], wanted, sum(listed.values())
            )
        )
    return province, units


def _within(blocks: list[Block], outer: Block, family: int) -> list[Block]:
    """Those of the sorted `blocks` that lie in `outer`."""
    return blocks[
        bisect_left(blocks, (outer[0], 0)) : bisect_left(blocks, (outer[0] + addressing.size(outer[1], family), 0))
    ]


def _villages(plan: Plan, layout: Layout, code: str) -> dict[str, dict[str, int]]:
    """Unit → township → its communities and villages."""
    found: dict[str, dict[str, int]] = {}
    for member in layout.members[code]:
        row = plan.regions[member]
        if row.level == "township":
            found.setdefault(layout.unit[member], {})[member] = row.communities + row.villages
    return found


def _length(plan: Plan, addresses: int, family: int) -> int:
    return addressing.length_for(addresses + NETWORK_AND_GATEWAY, 4) if family == 4 else plan.addressing.ipv6.zone


def _use(plan: Plan, held: _Held, family: Family, year: int, addresses: int | None) -> Use:
    space = Space(held.blocks, held.used, family)
    size = sum(addressing.size(length, family) for _, length in held.blocks)
    granted = size - space.free()
    growth = plan.addressing.growth_per_year
    room = {length: space.room(length) for length in sorted(set(held.lengths))}
    largest = space.largest()
    further = None
    if addresses is not None:
        lacking = _lacking(space, held.wanted, family)
        further = Further(held.villages, _length(plan, addresses, family), lacking)
    return Use(
        held.level, held.region, held.name, family, tuple(addressing.write(block, family) for block in held.blocks),
        float(size), float(granted), granted / size if size else 0.0, largest, room,
        runs_out(granted, size, growth.value, year) if growth else None, further,
    )  # fmt: skip


def _lacking(space: Space, wanted: Iterable[int], family: int) -> int | None:
    """The length of the block that holds what of `wanted` finds no room in `space`; None when all of it does."""
    left = 0
    for length, count in sorted(Counter(wanted).items()):
        fitting = min(count, space.room(length))
        left += (count - fitting) * addressing.size(length, family)
        for _ in range(fitting):
            space.take(length)
    return addressing.length_for(left, family) if left else None


def runs_out(granted: int, size: int, growth: float, year: int) -> int | None:
    """The first year whose need is larger than `size`, when `granted` grows by the share `growth` each year from `year` on."""
    if granted <= 0:
        return None
    return year + math.floor(math.log(size / granted) / math.log1p(growth) + 1e-9) + 1
