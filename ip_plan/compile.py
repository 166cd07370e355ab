"""Plan → ledger → Network. The province is the unit of work: its ledger, its sites, its devices.

Pure in the middle: `grant` and `assemble` are functions of values. Reading, staging and moving files in place stands at the end,
so that a run that is cut off leaves the ledger and the last Network as they were.
"""

from __future__ import annotations

import gc
import math
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Literal, cast

import msgspec

from ground import files, work
from ground.mistake import Mistake, Mistakes
from ip_plan import addressing
from ip_plan import ledger as ledgers
from ip_plan import plan as plans
from ip_plan.addressing import Block, OutOfSpace, Space
from ip_plan.grants import NONE, Demand, Grants, Need, Short, sizes, unit_demand
from ip_plan.ledger import Ledger
from ip_plan.network import (
    Device,
    Index,
    Interface,
    Level,
    Link,
    Meta,
    Network,
    Protection,
    Region,
    Service,
    Shard,
    Site,
    Zone,
    load,
)
from ip_plan.plan import Plan
from ip_plan.regions import Region as Row
from ip_plan.schema import Line, SiteKind

MINISTRY = "000000"
NATION = "00"


class Uplink(msgspec.Struct, frozen=True):
    """A province's line to the ministry: the end that belongs to the ministry's device."""

    link: Link
    device: str
    interface: Interface


class Top(msgspec.Struct, frozen=True):
    """A centre as the other side of a line to it has to know it."""

    region: Region
    site: Site
    services: tuple[Service, ...]
    devices: tuple[Device, ...]


class Part(msgspec.Struct, frozen=True):
    """What came out of one province."""

    province: str
    regions: int
    sites: int
    devices: int
    grants: int
    new: int
    gone: int
    key: str
    top: Top | None
    """Its own centre, for the ministry's shard."""
    uplinks: tuple[Uplink, ...]
    staged: tuple[tuple[str, str], ...]
    """(staged file, final file)."""
    short: tuple[int, int] | None = None
    """(family, length) of the block the nation has to grant first."""
    mistakes: tuple[Mistake, ...] = ()


class Outcome(msgspec.Struct, frozen=True):
    """What a compile did, for people and programs."""

    plan: str
    regions: int
    sites: int
    devices: int
    grants: int
    new: int
    gone: int
    changed: int
    """Files that changed."""
    network: Path
    ledger: Path
    warnings: tuple[Mistake, ...] = ()


# ---- which sites the plan asks for


class Layout(msgspec.Struct, frozen=True):
    """The plan's regions put in order: who has sites, in whose block they lie, who serves them."""

    provinces: tuple[str, ...]
    """Province-level codes with something in scope, the ministry not among them."""
    scope: frozenset[str]
    unit: dict[str, str]
    key: dict[str, str]
    """Region code → the code its grants stand under (another one after a code change)."""
    members: dict[str, tuple[str, ...]]
    """Province code → its regions in scope, sorted, from the province down."""
    demand: dict[str, tuple[Demand, ...]]
    """Province code → its units, counted over the whole division data."""


def province_key(code: str) -> str:
    """The two characters that name a province's shard."""
    return code[:2]


def lay_out(plan: Plan) -> Layout:
    """Order the plan's regions; counts every region of a province, so that a later one finds its place kept."""
    rows = plan.regions
    key = {code: code for code in rows}
    for change in plan.plan.code_changes:
        if change.new in key:
            key[change.new] = key.get(change.old, change.old)
    hosted = set(plan.plan.hosted)
    unit: dict[str, str] = {}
    top: dict[str, str] = {}
    children: dict[str, list[str]] = {}
    for code in sorted(rows, key=lambda item: (_DEPTH[rows[item].level], item)):
        row = rows[code]
        if row.level in ("ministry", "province"):
            unit[code] = f"{key[code]}:home"
            top[code] = code
        else:
            top[code] = top[row.parent]
            own = row.level == "prefecture" and row.kind != "grouping"
            unit[code] = key[code] if own else unit[row.parent]
        children.setdefault(row.parent, []).append(code)
    if plan.plan.scope == "all":
        scope = set(rows)
    else:
        scope = set()
        for entry in plan.plan.scope:
            stack = [entry.region]
            while stack:
                code = stack.pop()
                scope.add(code)
                if entry.below:
                    stack += children.get(code, [])
    needed = sizes(plan)
    kinds = {kind.level for kind in plan.sites.sites}
    per_unit: dict[str, list[int]] = {}
    unit_top: dict[str, str] = {}
    used_tops = {top[code] for code in scope}
    members: dict[str, list[str]] = {code: [] for code in used_tops}
    for code, row in rows.items():
        if top[code] not in used_tops:
            continue
        totals = per_unit.setdefault(unit[code], [0, 0])
        unit_top[unit[code]] = top[code]
        if row.level in kinds and row.kind != "grouping" and code not in hosted:
            totals[0] += needed.zones[row.level]
            totals[1] += needed.infra[row.level]
        if code in scope:
            members[top[code]].append(code)
    demand: dict[str, list[Demand]] = {code: [] for code in used_tops}
    for name, (zone_total, infra_total) in per_unit.items():
        demand[unit_top[name]].append(unit_demand(plan, name, zone_total, infra_total))
    return Layout(
        provinces=tuple(sorted(code for code in used_tops if code != MINISTRY)),
        scope=frozenset(scope),
        unit=unit,
        key=key,
        members={
            code: tuple(sorted(listed, key=lambda c: (_DEPTH[rows[c].level], c))) for code, listed in members.items()
        },
        demand={code: tuple(sorted(listed, key=lambda d: (d.block, d.unit))) for code, listed in demand.items()},
    )


_DEPTH = {"ministry": 0, "province": 1, "prefecture": 2, "county": 3, "township": 4}


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
        serving = _serving(plan, code, hosted)
        if row.level != "ministry" and serving not in layout.scope:
            document = plan.documents["plan.yml"]
            line_number, column = document.place(("scope",))
            what = f"is served by {plan.regions[serving].name} ({serving}), which is not in scope"
            cure = f'Add `- {{region: "{serving}"}}` to `scope:`.'
            mistakes.append(Mistake(document.file, line_number, column, "JB1208", f"{row.name} ({code})", what, cure))
            continue
        key = layout.key[code]
        for kind in kinds.get(row.level, []):
            parent = f"{layout.key[serving]}:centre1" if serving else ""
            area = "" if kind.kind != "office" else _area(plan, layout, code)
            ends = []
            for line in lines.get(row.level, []):
                if (code, line.rank) in without:
                    continue
                far = serving
                if line.to == "county" and plan.regions[row.parent].level == "county" and row.parent in layout.scope:
                    far = row.parent
                number = min(line.far_router, _routers(kinds, plan.regions[far]))
                ends.append((line, f"{layout.key[far]}-r{number}", f"{key}-r{min(line.own_router, kind.routers)}"))
            found.append(Need(f"{key}:{kind.kind}1", code, kind, layout.unit[code], area, parent, tuple(ends)))
    return found, mistakes


def _serving(plan: Plan, code: str, hosted: set[str]) -> str:
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


# ---- grants and assembly of one province


def build(
    plan: Plan,
    layout: Layout,
    province: str,
    ledger: Ledger,
    blocks4: list[Block],
    blocks6: list[Block],
    top: Top | None,
    label: str = "",
    below: Iterable[tuple[Top, tuple[Uplink, ...]]] = (),
) -> tuple[Shard, Grants, Top | None, tuple[Uplink, ...], list[Mistake]]:
    """Grant what is missing and assemble the shard of one province, or of the ministry (`top` is None then).

    `label`: the province's own, which the nation granted. `below`: for the ministry, what the provinces handed up.
    Raises Short when the province needs a further block.
    """
    rows, key = plan.regions, layout.key
    grants = Grants(plan, ledger, province, blocks4, blocks6)
    for change in plan.plan.code_changes:
        if province_key(change.new) == province_key(province) and change.new in rows:
            grants.hold("alias", change.new) or grants.give("alias", change.new, key[change.new])
    for demand in layout.demand[province]:
        grants.unit(demand)
    wanted, mistakes = needs(plan, layout, province)
    grants.zones(wanted)

    # Names
    members = layout.members[province]
    domains: dict[str, str] = {}
    parents: dict[str, str] = {}
    readings: dict[str, str] = {}
    for code in members:
        row = rows[code]
        if row.level not in ("ministry", "province") and row.kind != "grouping":
            parents[key[code]] = key[_named_parent(rows, code)]
            readings[key[code]] = plan.names.readings.get(code, row.reading)
    labels = grants.labels(readings, parents)
    if label:
        labels[key[province]] = label
    root = plan.names.root
    for code in members:
        domains[code] = _domain(rows, key, labels, code, root)

    group_of = {code: group for group, codes in plan.plan.groups.items() for code in codes}
    hosted = set(plan.plan.hosted)
    regions = tuple(
        Region(
            code=code, name=rows[code].name, level=cast(Level, rows[code].level), kind=rows[code].kind, parent=rows[code].parent,
            serving=_serving(plan, code, hosted), label=labels.get(key[code], ""), domain=domains[code],
            group=group_of.get(province, ""), communities=rows[code].communities, villages=rows[code].villages,
            blocks4=_blocks(grants, layout, rows[code], 4), blocks6=_blocks(grants, layout, rows[code], 6),
        )
        for code in members
    )  # fmt: skip

    # Sites, devices, links
    running = set(plan.plan.twin.running)
    order = int(province[:2]) if province[:2].isdigit() else 99
    sites: list[Site] = []
    asns: dict[str, int] = {}
    for need in wanted:
        level = rows[need.region].level
        asns[need.key] = 0 if level == "township" else grants.asn(need.key, order)
    interfaces: dict[str, list[Interface]] = {}
    bodies: dict[str, tuple[Need, str]] = {}
    links: list[Link] = []
    uplinks: list[Uplink] = []
    services: list[Service] = []
    hosts: list[Device] = []
    members_of: dict[str, set[int]] = {}
    for kind in ("host", "svc"):
        for name, (first, _) in ledger.of(kind).items():
            members_of.setdefault(name.rpartition(":")[0], set()).add(addressing.parse(first, 4)[0])
    for need in wanted:
        site_devices = _network_devices(need, key[need.region])
        carrier = site_devices[-1] if need.kind.firewalls else site_devices[0]
        zone_values = []
        for zone in need.kind.zones:
            grant = ledger.grants["zone", f"{need.key}:{zone}"]
            value4, length4 = addressing.parse(grant[0], 4)
            value6, length6 = addressing.parse(grant[1], 6)
            gateway4, gateway6 = addressing.address(value4 + 1, 4), addressing.address(value6 + 1, 6)
            zone_values.append(Zone(zone, grant[0], grant[1], gateway4, gateway6))
            interfaces.setdefault(carrier, []).append(
                Interface(f"z-{zone}", "zone", f"{gateway4}/{length4}", f"{gateway6}/{length6}", zone=zone)
            )
        for one, other in _inside(site_devices):
            pair = grants.link(need.unit, f"{one}~{other}")
            short_one, short_other = one.rpartition("-")[2], other.rpartition("-")[2]
            own_end = (asns[need.key], need.key)
            near, far = _pair("inside", pair, (f"i-{short_other}", one, *own_end), (f"i-{short_one}", other, *own_end))
            interfaces.setdefault(one, []).append(near)
            interfaces.setdefault(other, []).append(far)
            links.append(Link(f"{one}~{other}", "inside", "primary", one, near.name, other, far.name))
        for line, far_device, own in need.lines:
            pair = grants.link(need.unit, f"{far_device}~{own}")
            link_id = f"{far_device}~{own}"
            far_code, _, far_number = far_device.rpartition("-r")
            own_code, _, own_number = own.rpartition("-r")
            far_site = _site_of(need, far_code)
            far_asn = top.site.asn if top and far_site == top.site.key else asns.get(far_site, 0)
            at_far, at_own = _pair(
                "wan",
                pair,
                (f"w-{own_code}-{own_number}", far_device, far_asn, far_site),
                (f"w-{far_code}-{far_number}", own, asns[need.key], need.key),
            )
            interfaces.setdefault(own, []).append(at_own)
            link = Link(
                link_id,
                line.kind,
                line.rank,
                far_device,
                at_far.name,
                own,
                at_own.name,
                line.bandwidth_mbps,
                10 if line.rank == "primary" else 20,
                line.carrier,
            )
            links.append(link)
            if top and far_site == top.site.key:
                uplinks.append(Uplink(link, far_device, at_far))
            else:
                interfaces.setdefault(far_device, []).append(at_far)
        zone_hosts = _hosts(plan, need)
        counts: dict[str, int] = {}
        site_hosts = []
        for zone, duties, carried in zone_hosts:
            counts[zone] = counts.get(zone, 0) + 1
            name = f"{key[need.region]}-{plan.sites.zones[zone].short}{counts[zone]}"
            grant = ledger.grants["zone", f"{need.key}:{zone}"]
            taken = members_of.setdefault(f"{need.key}:{zone}", set())
            host4, host6 = grants.member("host", f"{need.key}:{zone}:{name}", grant, taken)
            mask4, mask6 = grant[0].rpartition("/")[2], grant[1].rpartition("/")[2]
            hosts.append(
                Device(
                    name,
                    need.key,
                    "host",
                    f"{name.rpartition('-')[2]}.{domains[need.region]}",
                    (Interface(f"z-{zone}", "zone", f"{host4}/{mask4}", f"{host6}/{mask6}", zone=zone),),
                    zone=zone,
                    duties=tuple(duties),
                    dialect="debian",
                )
            )
            site_hosts.append(name)
            for service in carried:
                entry = plan.flows.services[service]
                address4, address6 = grants.member("svc", f"{need.key}:{zone}:{service}", grant, taken)
                fqdn = f"{service}.{zone}.{domains[need.region]}"
                services.append(
                    Service(service, need.key, zone, name, fqdn, address4, address6, tuple(entry.ports), entry.clause)
                )
        for device in site_devices:
            bodies[device] = (need, domains[need.region])
        sites.append(
            Site(
                key=need.key,
                region=need.region,
                level=cast(Level, rows[need.region].level),
                kind=need.kind.kind,
                domain=domains[need.region],
                parent=need.parent,
                asn=asns[need.key],
                zones=tuple(zone_values),
                devices=(*site_devices, *site_hosts),
                running=need.region in running,
            )
        )
    for _, handed in below:
        for uplink in handed:
            interfaces.setdefault(uplink.device, []).append(uplink.interface)
    devices = []
    for name, (need, domain) in bodies.items():
        loop4, loop6 = grants.loopback(need.unit, name)
        suffix = name.rpartition("-")[2]
        role: Literal["router", "firewall", "access"]
        role = "firewall" if suffix.startswith("fw") else "router" if need.kind.firewalls else "access"
        devices.append(
            Device(
                name,
                need.key,
                role,
                f"{suffix}.{domain}",
                tuple(sorted(interfaces.get(name, []), key=_by_name)),
                asn=asns[need.key] if role != "firewall" else 0,
                loopback4=loop4,
                loopback6=loop6,
            )
        )
    ledger.settle(grants.living)
    neighbours = [top] if top else [part for part, _ in below]
    shard = Shard(
        province=province_key(province),
        regions=tuple(sorted(regions, key=lambda region: region.code)),
        sites=tuple(sorted(sites, key=lambda site: site.key)),
        devices=tuple(sorted([*devices, *hosts], key=_by_name)),
        links=tuple(sorted(links, key=lambda link: link.id)),
        services=tuple(sorted(services, key=lambda service: (service.site, service.zone, service.name))),
        protections=_protections(plan, sites, hosts, services),
        neighbours=tuple(part.site for part in neighbours),
        neighbour_services=tuple(service for part in neighbours for service in part.services),
        neighbour_regions=tuple(part.region for part in neighbours),
        neighbour_devices=tuple(device for part in neighbours for device in part.devices),
        neighbour_links=tuple(uplink.link for _, handed in below for uplink in handed),
    )
    centre = next((site for site in sites if site.region == province), None)
    summit: Top | None = None
    if centre is not None:
        region = next(region for region in regions if region.code == province)
        offered = tuple(service for service in shard.services if service.site == centre.key)
        summit = Top(region, centre, offered, tuple(device for device in shard.devices if device.site == centre.key))
    return shard, grants, summit, tuple(uplinks), mistakes


def _by_name(value: Interface | Device) -> str:
    return value.name


def _named_parent(rows: Mapping[str, Row], code: str) -> str:
    parent = rows[code].parent
    while rows[parent].kind == "grouping":
        parent = rows[parent].parent
    return parent


def _domain(rows: Mapping[str, Row], key: Mapping[str, str], labels: Mapping[str, str], code: str, root: str) -> str:
    parts = []
    while rows[code].level != "ministry":
        if rows[code].kind != "grouping":
            parts.append(labels[key[code]])
        code = rows[code].parent
    return ".".join([*parts, root])


def _blocks(grants: Grants, layout: Layout, row: Row, family: int) -> tuple[str, ...]:
    if row.level in ("ministry", "province"):
        return tuple(addressing.write(block, family) for block in grants.blocks[family])
    if row.level == "prefecture" and row.kind != "grouping":
        return tuple(addressing.write(block, family) for block in grants.unit_blocks(layout.unit[row.code], family))
    return ()


def _network_devices(need: Need, code: str) -> list[str]:
    routers = [f"{code}-r{number}" for number in range(1, need.kind.routers + 1)]
    return [*routers, *(f"{code}-fw{number}" for number in range(1, need.kind.firewalls + 1))]


def _inside(devices: list[str]) -> list[tuple[str, str]]:
    """The cables of a site: every router to the firewall, and the two routers to each other."""
    return [(one, other) for index, one in enumerate(devices) for other in devices[index + 1 :]]


def _site_of(need: Need, code: str) -> str:
    """Key of the site the far router stands in: the serving centre, or a county's office."""
    return need.parent if need.parent.startswith(f"{code}:") else f"{code}:office1"


_End = tuple[str, str, int, str]
"""(interface, device, ASN, site) of one end of a link."""


def _pair(kind: Literal["inside", "wan"], grant: tuple[str, str], a: _End, b: _End) -> tuple[Interface, Interface]:
    """Both interfaces of a link; the end nearer the ministry has the even address."""
    first4 = grant[0][:-3]
    head, _, last = first4.rpartition(".")
    second4 = f"{head}.{int(last) + 1}"
    base6 = addressing.parse(grant[1], 6)[0]
    first6, second6 = addressing.address(base6, 6), addressing.address(base6 + 1, 6)
    link = f"{a[1]}~{b[1]}"
    return (
        Interface(a[0], kind, f"{first4}/31", f"{first6}/127", "", link, b[1], second4, second6, b[2], b[3]),
        Interface(b[0], kind, f"{second4}/31", f"{second6}/127", "", link, a[1], first4, first6, a[2], a[3]),
    )


def _hosts(plan: Plan, need: Need) -> list[tuple[str, list[str], list[str]]]:
    """(zone, duties, services) of every host of a site: the plan's for each centre, then the extra ones."""
    found = []
    if need.kind.kind != "office":
        found += [(host.zone, host.duties, host.services) for host in plan.sites.hosts if host.zone in need.kind.zones]
    extra = [host for host in plan.plan.extra_hosts if host.region == need.region and host.zone in need.kind.zones]
    return found + [(host.zone, host.duties, host.services) for host in extra]


def _protections(
    plan: Plan, sites: Iterable[Site], hosts: Iterable[Device], services: Iterable[Service]
) -> tuple[Protection, ...]:
    level = {site.key: site.level for site in sites}
    scratch: dict[str, str] = {}
    for host in hosts:
        if "scratch" in host.duties:
            scratch.setdefault(host.site, host.name)
    repositories = {service.site: service for service in services if service.name == "repo"}
    found = []
    for service in services:
        repository = repositories.get(service.site)
        for tier in plan.backup.tiers:
            if (
                repository
                and service.name == tier.service
                and service.zone in tier.zones
                and level[service.site] in tier.levels
            ):
                found.append(
                    Protection(
                        site=service.site,
                        zone=service.zone,
                        service=service.name,
                        device=service.device,
                        repository=repository.device,
                        repository_service=repository.name,
                        stanza=service.zone,
                        scratch=scratch.get(service.site, ""),
                        archive_timeout_seconds=tier.archive_timeout_seconds,
                        retention_full=tier.retention_full,
                        full_interval_hours=tier.full_interval_hours,
                        rpo_seconds=tier.rpo_seconds,
                        rto_seconds=tier.rto_seconds,
                        reason=tier.reason,
                    )
                )
                break
    return tuple(sorted(found, key=lambda row: (row.site, row.zone, row.service)))


# ---- the nation


def nation(plan: Plan, layout: Layout, ledger: Ledger, shorts: Mapping[str, list[tuple[int, int]]]) -> list[Mistake]:
    """Grant each province (and the ministry) its blocks in the supernets; `shorts` asks for further ones."""
    supernet = {
        4: addressing.parse(plan.addressing.supernets.ipv4, 4),
        6: addressing.parse(plan.addressing.supernets.ipv6, 6),
    }
    listed = [code for code in (MINISTRY, *layout.provinces) if code in layout.demand]
    lengths: dict[str, int] = {}
    for code in listed:
        reserve = plan.addressing.reserve["province"].value
        total = sum(addressing.size(demand.block, 4) for demand in layout.demand[code])
        smallest = plan.addressing.smallest_block["ministry" if code == MINISTRY else "province"].value
        lengths[code] = min(addressing.length_for(math.ceil(total * reserve), 4), int(smallest))
    pins = {pin.region: pin for pin in plan.plan.pins}
    mistakes: list[Mistake] = []
    spaces = {}
    for family in (4, 6):
        held = [
            addressing.parse(grant[family == 6], family)
            for grant in ledger.of("province").values()
            if grant[family == 6] != NONE
        ]
        fixed = []
        for code in listed:
            text = (pins[code].ipv4 if family == 4 else pins[code].ipv6) if code in pins else None
            if text and ledger.get("province", layout.key[code]) is None:
                fixed.append(addressing.parse(text, family))
        spaces[family] = Space([supernet[family]], [*held, *fixed], family)
    for code in sorted(listed, key=lambda item: (lengths[item], item)):
        key = layout.key[code]
        pin = pins.get(code)
        if ledger.get("province", key) is None:
            texts = []
            for family, length in ((4, lengths[code]), (6, plan.addressing.ipv6.province)):
                pinned = (pin.ipv4 if family == 4 else pin.ipv6) if pin else None
                try:
                    texts.append(pinned or addressing.write(spaces[family].take(length), family))
                except OutOfSpace:
                    mistakes.append(_too_small(plan, family, length, plan.regions[code]))
            if len(texts) == 2:
                ledger.put("province", key, *texts)
        for family, length in shorts.get(code, []):
            try:
                more = addressing.write(spaces[family].take(length), family)
            except OutOfSpace:
                mistakes.append(_too_small(plan, family, length, plan.regions[code]))
                continue
            number = next(n for n in range(2, 1000) if ledger.get("province", f"{key}#{n}") is None)
            ledger.put("province", f"{key}#{number}", *((more, NONE) if family == 4 else (NONE, more)))
    return mistakes


def _province_labels(plan: Plan, layout: Layout, ledger: Ledger) -> dict[str, str]:
    """Province → its label: siblings of one another, so the nation grants them."""
    grants = Grants(plan, ledger, MINISTRY, [], [])
    keys = {code: layout.key[code] for code in layout.provinces}
    readings = {keys[code]: plan.names.readings.get(code, plan.regions[code].reading) for code in keys}
    labels = grants.labels(readings, dict.fromkeys(readings, MINISTRY))
    return {code: labels[key] for code, key in keys.items()}


def _too_small(plan: Plan, family: int, length: int, row: Row) -> Mistake:
    document = plan.documents["addressing.yml"]
    place = document.place(("supernets", f"ipv{family}"))
    supernet = plan.addressing.supernets.ipv4 if family == 4 else plan.addressing.supernets.ipv6
    what = f"the supernet {supernet} has no room left for its block of /{length}"
    cure = "Widen the supernet, shorten the zones, or lower the reserves in addressing.yml."
    return Mistake(document.file, *place, "JB1209", f"{row.name} ({row.code})", what, cure)


def blocks_of(ledger: Ledger, key: str, family: int) -> list[Block]:
    """The blocks of a province in the nation's ledger, first one first."""
    found = []
    for name in (key, *(f"{key}#{number}" for number in range(2, 1000))):
        grant = ledger.get("province", name)
        if grant is None:
            break
        if grant[family == 6] != NONE:
            found.append(addressing.parse(grant[family == 6], family))
    return found


def check_pins(plan: Plan, layout: Layout, ledger_of: Callable[[str], Ledger], national: Ledger) -> list[Mistake]:
    """A pin for a granted region is refused; one for a city has to lie in its province's blocks."""
    document = plan.documents["plan.yml"]
    mistakes = []
    for index, pin in enumerate(plan.plan.pins):
        row = plan.regions[pin.region]
        top = row.level in ("ministry", "province")
        named = f"{row.name} ({pin.region})"
        key = layout.key[pin.region]
        held = national.get("province", key) if top else ledger_of(layout.unit[pin.region]).get("block", key)
        for family, text in ((4, pin.ipv4), (6, pin.ipv6)):
            if held is None or text is None or held[family == 6] == text:
                continue
            place = document.place(("pins", index, f"ipv{family}"))
            what = f"holds {held[family == 6]} since it was granted and cannot be pinned to {text}"
            cure = "Delete the pin: a grant is for ever; a move is a planned renumbering."
            mistakes.append(Mistake(document.file, *place, "JB1304", named, what, cure))
    return mistakes


def _pins_outside(plan: Plan, layout: Layout, blocks: Mapping[str, tuple[list[Block], list[Block]]]) -> list[Mistake]:
    """A city's pin has to lie in its province's blocks, or nobody would announce it."""
    document = plan.documents["plan.yml"]
    mistakes = []
    for index, pin in enumerate(plan.plan.pins):
        row = plan.regions[pin.region]
        province = row.parent
        if row.level != "prefecture" or province not in blocks:
            continue
        for family, text in ((4, pin.ipv4), (6, pin.ipv6)):
            held = blocks[province][family == 6]
            if text is None or any(
                addressing.contains(block, addressing.parse(text, family), family) for block in held
            ):
                continue
            listed = ", ".join(addressing.write(block, family) for block in held)
            what = f"the pinned prefix {text} lies outside its province's {listed}"
            cure = f"Give a prefix inside {listed}, or pin the province to one that holds it while it has none."
            place = document.place(("pins", index, f"ipv{family}"))
            mistakes.append(Mistake(document.file, *place, "JB1211", f"{row.name} ({pin.region})", what, cure))
    return mistakes


class _Context(msgspec.Struct):
    """What the workers share; set before they are forked."""

    plan: Plan
    layout: Layout
    ledgers: Path
    staging: Path
    out: Path
    blocks: dict[str, tuple[list[Block], list[Block]]]
    labels: dict[str, str]
    top: Top | None


_context: list[_Context] = []


def _province(code: str) -> Part:
    """One province, in whatever process: reads its ledger, writes staged files."""
    context = _context[-1]
    gc.disable()
    try:
        name = province_key(code)
        ledger, mistakes = ledgers.read(context.ledgers, name)
        if mistakes:
            return _empty(name, mistakes=tuple(mistakes))
        before = len(ledger.gone)
        blocks = context.blocks[code]
        try:
            shard, grants, top, uplinks, mistakes = build(
                context.plan, context.layout, code, ledger, *blocks, context.top, context.labels[code]
            )
        except Short as short:
            return _empty(name, short=(short.family, short.length))
        if mistakes:
            return _empty(name, mistakes=tuple(mistakes))
        return _stage(context, shard, ledger, len(grants.new), before, top, uplinks)
    finally:
        gc.enable()


def _empty(name: str, short: tuple[int, int] | None = None, mistakes: tuple[Mistake, ...] = ()) -> Part:
    return Part(name, 0, 0, 0, 0, 0, 0, "", None, (), (), short, mistakes)


def _stage(
    context: _Context,
    shard: Shard,
    ledger: Ledger,
    new: int,
    before: int,
    top: Top | None,
    uplinks: tuple[Uplink, ...],
) -> Part:
    data = msgspec.json.encode(shard)
    staged = []
    for final, body in (
        (context.ledgers / f"{shard.province}.tsv", ledgers.text(ledger).encode()),
        (context.out / f"{shard.province}.json", data),
    ):
        path = context.staging / f"{final.parent.name}-{final.name}"
        path.write_bytes(body)
        staged.append((str(path), str(final)))
    return Part(
        shard.province, len(shard.regions), len(shard.sites), len(shard.devices), len(ledger.grants), new,
        len(ledger.gone) - before, files.sha256(data), top, uplinks, tuple(staged),
    )  # fmt: skip


def _meta(plan: Plan) -> Meta:
    settings: dict[str, str | int | float | bool] = dict(plan.plan.settings)
    settings |= {
        "corps_cities": plan.plan.corps_cities,
        "change_limit": plan.plan.change_limit,
        "witness_region": plan.plan.witness.region,
        "witness_zone": plan.plan.witness.zone,
        "sample": plan.plan.sample,
    }
    return Meta(
        name=plan.plan.name, title=plan.plan.title, scope=plan.plan.scope_text, root=plan.names.root,
        supernet4=plan.addressing.supernets.ipv4, supernet6=plan.addressing.supernets.ipv6,
        calendar=tuple(sorted(plan.plan.calendar.items())), settings=settings,
    )  # fmt: skip


def compile_plan(name: str, state: Path, *, executor: Executor | None = None) -> Outcome:
    """Compile a plan (a folder, or a shipped plan's name) into its ledger and Network below `state`.

    Raises Mistakes with every mistake found; nothing is written then.
    """
    gc.disable()
    try:
        plan = plans.load(name)
        layout = lay_out(plan)
    finally:
        gc.enable()
    ledger_folder, out = plan.ledger(state), plan.network(state)
    try:
        ledger_folder.mkdir(parents=True, exist_ok=True)
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        cure = "Give another folder with --state, or make it writable."
        raise Mistakes(
            [Mistake(str(error.filename), None, None, "JB1305", "", f"cannot be written: {error.strerror}", cure)]
        ) from None
    with files.lock(ledger_folder / ".lock"):
        staging = state / "plans" / plan.name / f".staging-{os.getpid()}"
        for left in staging.parent.glob(".staging-*"):
            shutil.rmtree(left, ignore_errors=True)
        staging.mkdir(parents=True)
        try:
            return _compile(plan, layout, ledger_folder, out, staging, executor)
        except OSError as error:
            cure = "Free some space or give another --state; the ledger and the last Network are as they were."
            what = f"could not be written: {error.strerror}"
            raise Mistakes([Mistake(str(error.filename or out), None, None, "JB1305", "", what, cure)]) from None
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def _compile(
    plan: Plan, layout: Layout, ledger_folder: Path, out: Path, staging: Path, executor: Executor | None
) -> Outcome:  # fmt: skip
    national, mistakes = ledgers.read(ledger_folder, NATION)
    mistakes += check_pins(plan, layout, lambda unit: ledgers.read(ledger_folder, province_key(unit))[0], national)
    largest_first = sorted(layout.provinces, key=lambda code: -len(layout.members[code]))
    shorts: dict[str, list[tuple[int, int]]] = {}
    done: dict[str, Part] = {}
    before = (len(national.grants), len(national.gone))
    while True:
        mistakes += nation(plan, layout, national, shorts)
        if mistakes:
            raise Mistakes(mistakes)
        shorts = {}
        labels = _province_labels(plan, layout, national)
        blocks = {
            code: (blocks_of(national, layout.key[code], 4), blocks_of(national, layout.key[code], 6))
            for code in layout.demand
        }
        mistakes = _pins_outside(plan, layout, blocks)
        if mistakes:
            raise Mistakes(mistakes)
        # Provinces need the ministry's site, the ministry its provinces' lines: its own grants come first, its shard last.
        # A copy of its grants is assembled twice; the second time nothing is new.
        top = build(plan, layout, MINISTRY, national, *blocks[MINISTRY], None)[2] if MINISTRY in layout.demand else None
        _context.append(_Context(plan, layout, ledger_folder, staging, out, blocks, labels, top))
        try:
            todo = [code for code in largest_first if code not in done]
            parts = work.spread(_province, todo, executor)
        finally:
            context = _context.pop()
        for code, part in zip(todo, parts, strict=True):
            mistakes += part.mistakes
            if part.short is not None:
                shorts.setdefault(code, []).append(part.short)
            else:
                done[code] = part
        if mistakes:
            raise Mistakes(mistakes)
        if not shorts:
            break
    parts = [done[code] for code in layout.provinces]
    if MINISTRY in layout.demand:
        below = [(part.top, part.uplinks) for part in parts if part.top is not None]
        shard, grants, _, _, wrong = build(plan, layout, MINISTRY, national, *blocks[MINISTRY], None, below=below)
        if wrong:
            raise Mistakes(wrong)
        _keep_national(national, layout, grants)
        new = len(national.grants) - before[0]
        parts.insert(0, _stage(context, shard, national, new, before[1], None, ()))
    changed = 0
    index = Index(_meta(plan), plan.rows, {part.province: part.key for part in parts})
    path = staging / "index.json"
    path.write_bytes(msgspec.json.encode(index))
    moves = [*(move for part in parts for move in part.staged), (str(path), str(out / "index.json"))]
    for source, final in sorted(moves, key=lambda move: (move[1].endswith("index.json"), not move[1].endswith(".tsv"))):
        changed += _move(Path(source), Path(final))
    return Outcome(
        plan.name, sum(part.regions for part in parts), sum(part.sites for part in parts), sum(part.devices for part in parts),
        sum(part.grants for part in parts), sum(part.new for part in parts), sum(part.gone for part in parts), changed, out,
        ledger_folder,
    )  # fmt: skip


def _keep_national(national: Ledger, layout: Layout, grants: Grants) -> None:
    """The nation's ledger holds the ministry's own grants and every province's blocks; those in scope are living."""
    living = set(grants.living)
    keys = {layout.key[code] for code in layout.demand}
    living |= {("label", key) for key in keys if ("label", key) in national.grants}
    living |= {key for key in national.grants if key[0] == "province" and key[1].split("#")[0] in keys}
    national.settle(living)


def _move(source: Path, final: Path) -> bool:
    """Bring a staged file to its place, whole or not at all. The ledger has to outlive a power cut; the rest is compiled again."""
    return files.write(final, source.read_bytes(), durable=final.suffix == ".tsv")


def compiled(name: str, state: Path) -> Network:
    """The stored Network of a plan, compiled first when a plan file changed since. Raises Mistakes."""
    outcome = compile_plan(name, state)
    return load(outcome.network)
