"""One province as it will be: its keys granted, its sites, devices, links, services and protections put together."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, cast

import msgspec

from ground.mistake import Mistake
from ip_plan import addressing, businesses, partners, switches, vlans
from ip_plan.addressing import Block
from ip_plan.grants import FIREWALLS, Grants, Need
from ip_plan.layout import Layout, needs, province_key, serving
from ip_plan.ledger import Ledger
from ip_plan.network import (
    Choice,
    Device,
    Interface,
    Level,
    Link,
    Partner,
    Protection,
    Region,
    Second,
    Service,
    Shard,
    Site,
    Suite,
    Zone,
)
from ip_plan.plan import Plan
from ip_plan.regions import Region as Row
from ip_plan.schema import Replace


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
    mistakes += _unready(plan, ledger, wanted)
    grants.zones(wanted)
    holders = _holders(layout, grants, province, wanted)
    handled = businesses.handled(plan, layout, province)
    moved = {need.region: need for need in wanted if need.key in holders}

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
            blocks4=_blocks(grants, layout, rows[code], 4), blocks6=_blocks(grants, layout, rows[code], 6, moved.get(code)),
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
    second: list[Second] = []
    members_of: dict[str, set[int]] = {}
    for kind in ("host", "svc"):
        for name, (first, _) in ledger.of(kind).items():
            members_of.setdefault(name.rpartition(":")[0], set()).add(addressing.parse(first, 4)[0])
    for need in wanted:
        site_devices = network_devices(need, key[need.region])
        carriers = firewalls(need, key[need.region]) or site_devices[:1]
        zone_values = []
        for zone in need.kind.zones:
            use, beside = grants.versions("zone", f"{need.key}:{zone}", need, True)
            grant = ledger.grants["zone", use]
            own4, own6 = _gateway(grant[0], 4), _gateway(grant[1], 6)
            zone_values.append(Zone(zone, *grant, own4.partition("/")[0], own6.partition("/")[0]))
            for carrier in carriers:
                if len(carriers) > 1:
                    # The gateway is the pair's; each of the two is told apart by an address of its own.
                    taken = members_of.setdefault(f"{need.key}:{zone}", set())
                    alone = grants.member("host", f"{need.key}:{zone}:{carrier}", grant, taken, FIREWALLS)
                    own4, own6 = (f"{one}/{net.rpartition('/')[2]}" for one, net in zip(alone, grant, strict=True))
                interfaces.setdefault(carrier, []).append(Interface(f"z-{zone}", "zone", own4, own6, zone=zone))
            if beside:
                grant = ledger.grants["zone", beside]
                second.append(Second(need.key, "", zone, *grant))
                second.append(Second(need.key, carriers[0], f"z-{zone}", _gateway(grant[0], 4), _gateway(grant[1], 6)))
        for one, other in cables(site_devices):
            pair = grants.link(need.unit, f"{one}~{other}")
            short_one, short_other = one.rpartition("-")[2], other.rpartition("-")[2]
            own_end = (asns[need.key], need.key)
            near, far = _pair("inside", pair, (f"i-{short_other}", one, *own_end), (f"i-{short_one}", other, *own_end))
            interfaces.setdefault(one, []).append(near)
            interfaces.setdefault(other, []).append(far)
            links.append(Link(f"{one}~{other}", "inside", "primary", one, near.name, other, far.name))
        for wire in need.lines:
            line, far_device, own = wire.line, wire.far, wire.own
            use, beside = grants.versions("link", wire.id, need)
            pair = grants.link(need.unit, use)
            far_code, _, far_number = far_device.rpartition("-r")
            own_code, _, own_number = own.rpartition("-r")
            far_site = _site_of(need, far_code)
            far_asn = top.site.asn if top and far_site == top.site.key else asns.get(far_site, 0)
            at_far, at_own = _pair(
                "wan",
                pair,
                (f"w-{own_code}-{own_number}{wire.mark}", far_device, far_asn, far_site),
                (f"w-{far_code}-{far_number}{wire.mark}", own, asns[need.key], need.key),
                wire.id,
            )
            interfaces.setdefault(own, []).append(at_own)
            if beside:
                pair = grants.link(need.unit, beside)
                for near in _pair("wan", pair, (at_far.name, far_device, 0, far_site), (at_own.name, own, 0, need.key)):
                    at = (need.key, own) if near.name == at_own.name else (far_site, far_device)
                    second.append(Second(*at, near.name, near.v4, near.v6))
            link = Link(
                wire.id,
                line.kind,
                wire.rank,
                far_device,
                at_far.name,
                own,
                at_own.name,
                line.bandwidth_mbps,
                10 if line.rank == "primary" else 20,
                wire.carrier,
                wire.circuit,
                _suite(plan, need, line.rank),
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
            taken = members_of.setdefault(f"{need.key}:{zone}", set())
            housed, grant, beside_host = _housed(grants, need, zone, name, taken)
            second += beside_host
            hosts.append(
                Device(
                    name,
                    need.key,
                    "host",
                    f"{name.rpartition('-')[2]}.{domains[need.region]}",
                    (housed,),
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
        site_switches = switches.names(need, key[need.region])
        for name in site_switches:
            taken = members_of.setdefault(f"{need.key}:{vlans.ZONE}", set())
            housed, _, beside_host = _housed(grants, need, vlans.ZONE, name, taken)
            interfaces[name] = [housed]
            second += beside_host
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
                devices=(*site_devices, *site_hosts, *site_switches),
                running=need.region in running,
                holder=holders.get(need.key, ""),
                handles=handled.get(need.region, ()) if need.kind.kind == "centre" else (),
            )
        )
    for _, handed in below:
        for uplink in handed:
            interfaces.setdefault(uplink.device, []).append(uplink.interface)
    devices = []
    for name, (need, domain) in bodies.items():
        use, beside = grants.versions("loop", name, need)
        loop4, loop6 = grants.loopback(need.unit, use)
        if beside:
            pair = grants.loopback(need.unit, beside)
            second.append(Second(need.key, name, "lo", f"{pair[0]}/32", f"{pair[1]}/128"))
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
            serial=layout.serials.get(name, ""),
        )
        choice = _choice(plan, need, role)
        if choice is not None:
            numbers = tuple(grants.port(name, port.name) for port in ports) if choice.dialect != made.dialect else ()
            made = msgspec.structs.replace(made, dialect=choice.dialect, model=choice.model, numbers=numbers)
        devices.append(made)
    having = [need for need in wanted if need.kind.switches]
    devices += _switches(plan, layout, grants, having, domains, interfaces, [*devices, *hosts])
    mistakes += switches.undecided(plan, [need for need in having if _choice(plan, need, "switch") is None])
    mistakes += _absent(plan, layout, province, [each.name for each in devices])
    zones = {site.region: {zone.name for zone in site.zones} for site in sites if site.kind == "centre"}
    mistakes += partners.check(plan, _offered(sites, services), zones, layout.members[province])
    ledger.settle(grants.living)
    ledger.drop(grants.free)
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
        second=tuple(sorted(second, key=lambda each: (each.site, each.device, each.name))),
        partners=_partners(plan, wanted),
    )
    centre = next((site for site in sites if site.region == province), None)
    summit: Top | None = None
    if centre is not None:
        region = next(region for region in regions if region.code == province)
        offered = tuple(service for service in shard.services if service.site == centre.key)
        summit = Top(region, centre, offered, tuple(device for device in shard.devices if device.site == centre.key))
    return shard, grants, summit, tuple(uplinks), mistakes


def _housed(
    grants: Grants, need: Need, zone: str, name: str, taken: set[int]
) -> tuple[Interface, tuple[str, str], list[Second]]:
    """A host's (or switch's) interface in its zone, the zone's prefixes, and what is valid beside while it is renumbered."""
    prefixes = grants.ledger.grants
    zone_use, zone_beside = grants.versions("zone", f"{need.key}:{zone}", need, True)
    grant = prefixes["zone", zone_use]
    use, beside = grants.versions("host", f"{need.key}:{zone}:{name}", need, bool(zone_beside))
    four, six = grants.member("host", use, grant, taken)
    mask4, mask6 = grant[0].rpartition("/")[2], grant[1].rpartition("/")[2]
    second = []
    if beside and zone_beside:
        pair = grants.member("host", beside, prefixes["zone", zone_beside], taken)
        second.append(Second(need.key, name, f"z-{zone}", f"{pair[0]}/{mask4}", f"{pair[1]}/{mask6}"))
    return Interface(f"z-{zone}", "zone", f"{four}/{mask4}", f"{six}/{mask6}", zone=zone), grant, second


def _switches(
    plan: Plan, layout: Layout, grants: Grants, wanted: Sequence[Need], domains: Mapping[str, str],
    interfaces: Mapping[str, list[Interface]], others: Iterable[Device],
) -> Iterator[Device]:  # fmt: skip
    """The switches of the sites that have some. `others`: everything that may hang on one."""
    at: dict[str, list[Device]] = {need.key: [] for need in wanted}
    for each in others if at else ():
        at.get(each.site, []).append(each)
    for need in wanted:
        choice = _choice(plan, need, "switch")
        for name in switches.names(need, layout.key[need.region]):
            yield switches.device(
                plan, grants, need, interfaces[name][0], at[need.key],
                Device(
                    name, need.key, "switch", f"{name.rpartition('-')[2]}.{domains[need.region]}", (), zone=vlans.ZONE,
                    dialect=choice.dialect if choice else "", model=choice.model if choice else "",
                    serial=layout.serials.get(name, ""),
                ),
            )  # fmt: skip


def _choice(plan: Plan, need: Need, role: str) -> Choice | None:
    """The row that gives a device of a site its dialect and model; None: it has the usual ones."""
    if not plan.choices:
        return None
    lineage, level = _lineage(plan, need.region), plan.regions[need.region].level
    fitting = (row for row in reversed(plan.choices) if row.fits(role, level, need.kind.kind, lineage))
    return next(fitting, None)


def _suite(plan: Plan, need: Need, rank: str) -> Suite:
    """What protects a line upward of a site; empty: nothing does."""
    if not plan.encrypted:
        return ""
    lineage, level = _lineage(plan, need.region), plan.regions[need.region].level
    return next((row.suite for row in reversed(plan.encrypted) if row.fits(level, rank, lineage)), "")


def _lineage(plan: Plan, region: str) -> list[str]:
    """The region, and every region above it."""
    found = [region]
    while parent := plan.regions[found[-1]].parent:
        found.append(parent)
    return found


def _unready(plan: Plan, ledger: Ledger, wanted: Iterable[Need]) -> list[Mistake]:
    """Renumberings that have no new addresses to go to, and those of services, which others know by address."""
    document = plan.documents["plan.yml"]
    found = []
    for need in wanted:
        going = need.renumbering
        if going is None or not need.kind.zones:
            continue
        place = document.place(("changes", going.row, "stage"))
        named = f"{plan.regions[need.region].name} ({need.region})"
        key = f"{need.key}:{need.kind.zones[0]}"
        if (
            going.stage != "both"
            and ("zone", key) in ledger.grants
            and ("zone", f"{key}@{going.version}") not in ledger.grants
        ):
            what, cure = (
                f"is at stage `{going.stage}` without new addresses",
                "Compile it at stage `both` first: that grants them.",
            )
            found.append(Mistake(document.file, *place, "JB1366", named, what, cure))
        if any(carried for _, _, carried in hosts_of(plan, need)):
            what = "carries a service, which others are told by address"
            cure = "Take the service from its hosts for the time of the renumbering."
            found.append(Mistake(document.file, *place, "JB1368", named, what, cure))
    return found


def _absent(plan: Plan, layout: Layout, province: str, devices: Iterable[str]) -> list[Mistake]:
    """Rows that replace a device which the plan has not."""
    document = plan.documents["plan.yml"]
    here, known = {layout.key[code] for code in layout.members[province]}, set(devices)
    found = []
    for row, change in enumerate(plan.plan.changes):
        name = change.device if isinstance(change, Replace) else ""
        if name and name.rpartition("-")[0] in here and name not in known:
            listed = sorted(each for each in known if each.startswith(f"{name.rpartition('-')[0]}-"))
            what = "the plan has no such router, firewall or switch"
            cure = f"Name one of: {', '.join(listed)}." if listed else "Name a device of a site in scope."
            place = document.place(("changes", row, "device"))
            found.append(Mistake(document.file, *place, "JB1372", name, what, cure))
    return found


def _gateway(prefix: str, family: int) -> str:
    """The first host address of a zone, with length."""
    value, length = addressing.parse(prefix, family)
    return f"{addressing.address(value + 1, family)}/{length}"


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
        for key in filter(None, grants.versions("zone", f"{need.key}:{need.kind.zones[0]}", need, True)):
            value = addressing.parse(grants.ledger.grants["zone", key][0], 4)[0]
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


def _blocks(grants: Grants, layout: Layout, row: Row, family: int, moved: Need | None = None) -> tuple[str, ...]:
    if row.level in ("ministry", "province"):
        return tuple(addressing.write(block, family) for block in grants.blocks[family])
    if row.level == "prefecture" and row.kind != "grouping":
        return tuple(addressing.write(block, family) for block in grants.unit_blocks(layout.unit[row.code], family))
    if row.level == "county" and moved:
        use, beside = grants.versions("block", layout.key[row.code], moved, True)
        old = beside if beside and moved.renumbering and moved.renumbering.stage == "new" else use
        return (grants.ledger.grants["block", old][1],)
    return ()


def network_devices(need: Need, code: str) -> list[str]:
    """The routers and firewalls of a site; `code` is the one its region was first granted under."""
    routers = [f"{code}-r{number}" for number in range(1, need.kind.routers + 1)]
    return [*routers, *firewalls(need, code)]


def firewalls(need: Need, code: str) -> list[str]:
    """The firewalls of a site: none, one, or a pair."""
    return [f"{code}-fw{number}" for number in range(1, need.kind.firewalls + 1)]


def cables(devices: list[str]) -> list[tuple[str, str]]:
    """The cables of a site: every router to every firewall, and the two routers to each other."""
    found = [(one, other) for index, one in enumerate(devices) for other in devices[index + 1 :]]
    return [ends for ends in found if not all("-fw" in end for end in ends)]


def _site_of(need: Need, code: str) -> str:
    """Key of the site the far router stands in: the serving centre, or a county's office."""
    return need.parent if need.parent.startswith(f"{code}:") else f"{code}:office1"


_End = tuple[str, str, int, str]
"""(interface, device, ASN, site) of one end of a link."""


def _pair(
    kind: Literal["inside", "wan"], grant: tuple[str, str], a: _End, b: _End, link: str = ""
) -> tuple[Interface, Interface]:
    """Both interfaces of a link; the end nearer the ministry has the even address."""
    first4 = grant[0][:-3]
    head, _, last = first4.rpartition(".")
    second4 = f"{head}.{int(last) + 1}"
    base6 = addressing.parse(grant[1], 6)[0]
    first6, second6 = addressing.address(base6, 6), addressing.address(base6 + 1, 6)
    link = link or f"{a[1]}~{b[1]}"
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


def _offered(sites: Iterable[Site], services: Iterable[Service]) -> dict[str, list[Service]]:
    """Region → the services of its sites."""
    region = {site.key: site.region for site in sites}
    found: dict[str, list[Service]] = {}
    for service in services:
        found.setdefault(region[service.site], []).append(service)
    return found


def _partners(plan: Plan, wanted: Iterable[Need]) -> tuple[Partner, ...]:
    centre = {need.region: need.key for need in wanted if need.kind.kind == "centre"}
    found = (
        Partner(
            centre[row.region],
            row.id,
            row.title,
            tuple(row.tables),
            row.limit_megabytes * 1_000_000,
            row.key,
            tuple(row.online.requests) if row.online else (),
            row.online.per_minute if row.online else 0,
        )
        for row in plan.plan.partners
        if row.region in centre
    )
    return tuple(sorted(found, key=lambda each: (each.site, each.id)))


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
