"""One province as it will be: its keys granted, its sites, devices, links, services and protections put together."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping
from typing import Literal, cast

import msgspec

from ground.mistake import Mistake
from ip_plan import addressing
from ip_plan.addressing import Block
from ip_plan.grants import Grants, Need
from ip_plan.layout import Layout, needs, province_key, serving
from ip_plan.ledger import Ledger
from ip_plan.network import Choice, Device, Interface, Level, Link, Protection, Region, Service, Shard, Site, Zone
from ip_plan.plan import Plan
from ip_plan.regions import Region as Row


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
    for code in layout.members[province]:
        if key[code] != code:
            grants.hold("alias", code) or grants.give("alias", code, key[code])
    for demand in layout.demand[province]:
        grants.unit(demand)
    wanted, mistakes = needs(plan, layout, province)
    grants.zones(wanted)
    holders = _holders(layout, grants, province, wanted)
    moved = {need.region for need in wanted if need.key in holders}

    # Names
    members = layout.members[province]
    domains: dict[str, str] = {}
    parents: dict[str, str] = {}
    readings: dict[str, str] = {}
    for code in members:
        row = rows[code]
        if row.level not in ("ministry", "province") and row.kind != "grouping":
            parents[key[code]] = key[named_parent(rows, code)]
            readings[key[code]] = plan.names.readings.get(code, row.reading)
    labels = grants.labels(readings, parents)
    if label:
        labels[key[province]] = label
    for code in members:
        named = named_parent(rows, code) if rows[code].kind == "grouping" else code
        domains[code] = _domain(key[named], ledger, labels, plan.names.root)

    group_of = {code: group for group, codes in plan.plan.groups.items() for code in codes}
    hosted = set(plan.plan.hosted)
    regions = tuple(
        Region(
            code=code, name=rows[code].name, level=cast(Level, rows[code].level), kind=rows[code].kind, parent=rows[code].parent,
            serving=serving(plan, code, hosted), label=labels.get(key[code], ""), domain=domains[code],
            group=group_of.get(province, ""), communities=rows[code].communities, villages=rows[code].villages,
            blocks4=_blocks(grants, layout, rows[code], 4), blocks6=_blocks(grants, layout, rows[code], 6, code in moved),
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
        site_devices = network_devices(need, key[need.region])
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
        for one, other in cables(site_devices):
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
        zone_hosts = hosts_of(plan, need)
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
                holder=holders.get(need.key, ""),
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
        ports = tuple(sorted(interfaces.get(name, []), key=_by_name))
        made = Device(
            name,
            need.key,
            role,
            f"{suffix}.{domain}",
            ports,
            asn=asns[need.key] if role != "firewall" else 0,
            loopback4=loop4,
            loopback6=loop6,
        )
        choice = _choice(plan, need, role)
        if choice is not None:
            numbers = tuple(grants.port(name, port.name) for port in ports) if choice.dialect != made.dialect else ()
            made = msgspec.structs.replace(made, dialect=choice.dialect, model=choice.model, numbers=numbers)
        devices.append(made)
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


def _choice(plan: Plan, need: Need, role: str) -> Choice | None:
    """The row that gives a device of a site its dialect and model; None: it has the usual ones."""
    if not plan.choices:
        return None
    lineage = [need.region]
    while parent := plan.regions[lineage[-1]].parent:
        lineage.append(parent)
    level = plan.regions[need.region].level
    fitting = (row for row in reversed(plan.choices) if row.fits(role, level, need.kind.kind, lineage))
    return next(fitting, None)


def _holders(layout: Layout, grants: Grants, province: str, wanted: Iterable[Need]) -> dict[str, str]:
    """Site → the centre in whose blocks its addresses lie, for sites that moved to another unit and kept them."""
    spans = sorted(
        (value, value + addressing.size(length, 4), demand.unit)
        for demand in layout.demand[province]
        for value, length in grants.unit_blocks(demand.unit, 4)
    )
    starts = [start for start, _, _ in spans]
    found = {}
    for need in wanted:
        if not need.kind.zones:
            continue
        value = addressing.parse(grants.ledger.grants["zone", f"{need.key}:{need.kind.zones[0]}"][0], 4)[0]
        place = bisect.bisect_right(starts, value) - 1
        if place >= 0 and value < spans[place][1] and spans[place][2] != need.unit:
            found[need.key] = f"{spans[place][2].partition(':')[0]}:centre1"
    return found


def _by_name(value: Interface | Device) -> str:
    return value.name


def named_parent(rows: Mapping[str, Row], code: str) -> str:
    """The region above `code` in the name tree: groupings have no name."""
    parent = rows[code].parent
    while rows[parent].kind == "grouping":
        parent = rows[parent].parent
    return parent


def _domain(key: str, ledger: Ledger, labels: Mapping[str, str], root: str) -> str:
    """A name is for ever, the region above it in the name included: a region that moves, or whose county goes, keeps it."""
    parts = []
    granted = ledger.of("label")
    while key in granted:
        label, key = granted[key]
        parts.append(label)
    if key in labels:  # the province's own, which the nation granted
        parts.append(labels[key])
    return ".".join([*parts, root])


def _blocks(grants: Grants, layout: Layout, row: Row, family: int, moved: bool = False) -> tuple[str, ...]:
    if row.level in ("ministry", "province"):
        return tuple(addressing.write(block, family) for block in grants.blocks[family])
    if row.level == "prefecture" and row.kind != "grouping":
        return tuple(addressing.write(block, family) for block in grants.unit_blocks(layout.unit[row.code], family))
    if row.level == "county" and moved:
        return tuple(second for _, second in [grants.ledger.grants["block", layout.key[row.code]]])
    return ()


def network_devices(need: Need, code: str) -> list[str]:
    """The routers and firewalls of a site; `code` is the one its region was first granted under."""
    routers = [f"{code}-r{number}" for number in range(1, need.kind.routers + 1)]
    return [*routers, *(f"{code}-fw{number}" for number in range(1, need.kind.firewalls + 1))]


def cables(devices: list[str]) -> list[tuple[str, str]]:
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


def hosts_of(plan: Plan, need: Need) -> list[tuple[str, list[str], list[str]]]:
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
