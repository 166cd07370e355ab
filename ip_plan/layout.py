"""The plan's regions put in order: who has sites, in whose block they lie, who serves them, which lines lead up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from ground.mistake import Mistake
from ip_plan.divisions import keys
from ip_plan.grants import Demand, Need, sizes, unit_demand
from ip_plan.lines import Lines, Wire, laid, wires
from ip_plan.plan import Plan
from ip_plan.regions import Region as Row
from ip_plan.renumber import Renumbering, under_way
from ip_plan.schema import Line, Scope, SiteKind

MINISTRY = "000000"


class Layout(msgspec.Struct, frozen=True):
    """The plan's regions put in order: who has sites, in whose block they lie, who serves them."""

    provinces: tuple[str, ...]
    """Province-level codes with something in scope, the ministry not among them."""
    units: tuple[str, ...]
    """Province-level codes that run their own plan: this one grants them blocks and a label, and has none of their sites."""
    scope: frozenset[str]
    top: dict[str, str]
    """Region code → the province (or the ministry) it belongs to."""
    unit: dict[str, str]
    key: dict[str, str]
    """Region code → the code its grants stand under (another one after a code change)."""
    members: dict[str, tuple[str, ...]]
    """Province code → its regions in scope, sorted, from the province down."""
    demand: dict[str, tuple[Demand, ...]]
    """Province code → its units, counted over the whole division data."""
    renumbering: dict[str, Renumbering]
    """Key of a region → how far its renumbering is."""
    lines: Lines
    """Of the regions whose lines gave way to others."""
    serials: dict[str, str]
    """Device → serial number, of those that replaced another."""


def province_key(code: str) -> str:
    """The two characters that name a province's shard."""
    return code[:2]


def lay_out(plan: Plan) -> Layout:
    """Order the plan's regions; counts every region of a province, so that a later one finds its place kept."""
    rows = plan.regions
    key = keys(rows, plan.plan.changes)
    hosted = set(plan.plan.hosted)
    unit: dict[str, str] = {}
    top: dict[str, str] = {}
    levels: dict[str, list[str]] = {level: [] for level in DEPTH}
    for code, row in rows.items():
        levels[row.level].append(code)
    ordered = [code for level in DEPTH for code in sorted(levels[level])]
    for code in ordered:
        row = rows[code]
        if row.level in ("ministry", "province"):
            unit[code] = f"{key[code]}:home"
            top[code] = code
        else:
            top[code] = top[row.parent]
            own = row.level == "prefecture" and row.kind != "grouping"
            unit[code] = key[code] if own else unit[row.parent]
    scope = set(rows) if plan.plan.scope == "all" else _scope(plan, plan.plan.scope)
    units = {unit.region for unit in plan.plan.units}
    scope = {code for code in scope if top[code] not in units} if units else scope
    needed = sizes(plan)
    kinds = {kind.level for kind in plan.sites.sites}
    per_unit: dict[str, list[int]] = {}
    unit_top: dict[str, str] = {}
    used_tops = {top[code] for code in scope} | units
    members: dict[str, list[str]] = {code: [] for code in used_tops}
    for code in ordered:
        above, own_unit = top[code], unit[code]
        if above not in used_tops:
            continue
        totals = per_unit.get(own_unit)
        if totals is None:
            totals = per_unit[own_unit] = [0, 0]
            unit_top[own_unit] = above
        row = rows[code]
        if row.level in kinds and row.kind != "grouping" and code not in hosted:
            totals[0] += needed.zones[row.level]
            totals[1] += needed.infra[row.level]
        if code in scope:
            members[above].append(code)
    lines, serials, _ = laid(plan.plan.changes)
    demand: dict[str, list[Demand]] = {code: [] for code in used_tops}
    for name, (zone_total, infra_total) in per_unit.items():
        demand[unit_top[name]].append(unit_demand(plan, name, zone_total, infra_total))
    return Layout(
        provinces=tuple(sorted(code for code in used_tops if code != MINISTRY and code not in units)),
        units=tuple(sorted(units)),
        scope=frozenset(scope),
        top=top,
        unit=unit,
        key=key,
        members={code: tuple(listed) for code, listed in members.items()},
        renumbering=under_way(plan.plan.changes, plan.plan.quarantine_days.value, plan.today),
        lines=lines,
        serials=serials,
        demand={code: tuple(sorted(listed, key=lambda d: (d.block, d.unit))) for code, listed in demand.items()},
    )


DEPTH = ("ministry", "province", "prefecture", "county", "township")


def _scope(plan: Plan, entries: Iterable[Scope]) -> set[str]:
    children: dict[str, list[str]] = {}
    for code, row in plan.regions.items():
        children.setdefault(row.parent, []).append(code)
    for code, parent in plan.former.items():  # a region that moved stays in scope
        children.setdefault(parent, []).append(code)
    scope: set[str] = set()
    for entry in entries:
        stack = [entry.region]
        while stack:
            code = stack.pop()
            scope.add(code)
            if entry.below:
                stack += children.get(code, [])
    return scope


def needs(plan: Plan, layout: Layout, province: str) -> tuple[list[Need], list[Mistake]]:
    """The sites of one province (or the ministry), its centre first."""
    kinds: dict[str, list[SiteKind]] = {}
    for kind in plan.sites.sites:
        kinds.setdefault(kind.level, []).append(kind)
    lines: dict[str, list[Line]] = {}
    for line in plan.sites.lines:
        lines.setdefault(line.level, []).append(line)
    without = {(row.region, row.rank) for row in plan.plan.without}
    hosted = set(plan.plan.hosted)
    found: list[Need] = []
    mistakes: list[Mistake] = []
    for code in layout.members[province]:
        row = plan.regions[code]
        if row.kind == "grouping" or code in hosted:
            continue
        server = serving(plan, code, hosted)
        granted = server == MINISTRY and plan.plan.grants
        if row.level != "ministry" and server not in layout.scope and not granted:
            document = plan.documents["plan.yml"]
            line_number, column = document.place(("scope",))
            what = f"is served by {plan.regions[server].name} ({server}), which is not in scope"
            cure = f'Add `- {{region: "{server}"}}` to `scope:`.'
            mistakes.append(Mistake(document.file, line_number, column, "JB1208", f"{row.name} ({code})", what, cure))
            continue
        key = layout.key[code]
        for kind in kinds.get(row.level, []):
            parent = f"{layout.key[server]}:centre1" if server else ""
            area = "" if kind.kind != "office" else _area(plan, layout, code)
            ends: list[Wire] = []
            for line in lines.get(row.level, []):
                if (code, line.rank) in without:
                    continue
                far = server
                if line.to == "county" and plan.regions[row.parent].level == "county" and row.parent in layout.scope:
                    far = row.parent
                number = min(line.far_router, _routers(kinds, plan.regions[far]))
                held = layout.lines.get((key, line.rank))
                own = f"{key}-r{min(line.own_router, kind.routers)}"
                ends += wires(line, f"{layout.key[far]}-r{number}", own, held)
            going = layout.renumbering.get(key)
            found.append(Need(f"{key}:{kind.kind}1", code, kind, layout.unit[code], area, parent, tuple(ends), going))
    return found, mistakes


def serving(plan: Plan, code: str, hosted: set[str]) -> str:
    """The region whose centre serves `code`: the nearest above that has one; empty for the ministry."""
    parent = plan.regions[code].parent
    while parent:
        row = plan.regions[parent]
        if row.level in ("ministry", "province") or (
            row.level == "prefecture" and row.kind != "grouping" and parent not in hosted
        ):
            return parent
        parent = row.parent
    return ""


def _area(plan: Plan, layout: Layout, code: str) -> str:
    """The IPv6 county block an office lies in."""
    row = plan.regions[code]
    if row.level == "county":
        return layout.key[code]
    if plan.regions[row.parent].level == "county":
        return layout.key[row.parent]
    return f"{layout.unit[code]}:direct"


def _routers(kinds: Mapping[str, list[SiteKind]], row: Row) -> int:
    return max((kind.routers for kind in kinds.get(row.level, [])), default=1)
