"""From the Network to stacks: one per data centre, and one per province for its lines and access sites."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from ground import mistake
from ip_plan.network import Device, Network, Site
from stacks.provider.resources import Host, Link, Segment
from stacks.twin import build

CENTRES = ("centre", "dr")


class Zone(msgspec.Struct, frozen=True):
    """A zone of one site: its LAN, and the hosts in it."""

    name: str
    segment: Segment
    hosts: tuple[Host, ...]


class Premises(msgspec.Struct, frozen=True):
    """One site: a data centre, or an office."""

    name: str
    """`640100-centre1`."""
    centre: bool
    zones: tuple[Zone, ...]
    devices: tuple[Host, ...]
    """Routers and firewalls, which stand in no zone."""
    cables: tuple[Link, ...]


class Stack(msgspec.Struct, frozen=True):
    """What is provisioned, kept and destroyed together."""

    name: str
    """`640100-centre1`, or `wan-64`."""
    title: str
    regions: tuple[str, ...]
    premises: tuple[Premises, ...]
    lines: tuple[Link, ...] = ()

    @property
    def hosts(self) -> tuple[Host, ...]:
        """Every machine of it."""
        return tuple(
            host
            for place in self.premises
            for host in (*place.devices, *(host for zone in place.zones for host in zone.hosts))
        )

    @property
    def size(self) -> int:
        """How many hosts, segments and links it declares."""
        joints = sum(len(place.zones) + len(place.cables) for place in self.premises) + len(self.lines)
        return len(self.hosts) + joints


def stacks(network: Network, devices: Iterable[str] | None = None) -> tuple[Stack, ...]:
    """Every stack of these devices; None: those of the sites that run in a twin. Centres first."""
    wanted = {device.name for device in build.nodes(network)} if devices is None else set(devices)
    sites = [site for site in network.sites.values() if wanted & set(site.devices)]
    links = {link.id: link for link in _links(network, wanted)}
    centres = [
        Stack(place.name, network.regions[site.region].name, (site.region,), (place,))
        for site in sites
        if site.kind in CENTRES
        for place in [_premises(network, site, wanted, links)]
    ]
    wans = []
    for shard in network.shards:
        offices = [
            site for site in sites if site.kind not in CENTRES and site.key in {each.key for each in shard.sites}
        ]
        places = tuple(_premises(network, site, wanted, links) for site in offices)
        # A line between provinces is in the stack of the lower end.
        lines = tuple(links[link.id] for link in shard.links if link.id in links and link.kind != "inside")
        if places or lines:
            title = f"{shard.province}: lines and access sites"
            regions = tuple(dict.fromkeys(site.region for site in offices))
            wans.append(Stack(f"wan-{shard.province}", title, regions, places, lines))
    return (*sorted(centres, key=lambda stack: stack.name), *wans)


def chosen(every: Sequence[Stack], left: Sequence[Stack], words: Sequence[str]) -> tuple[Stack, ...]:
    """The stacks that these words name, by name or by region code; without words all but those that are `left` over.

    Raises Mistakes JB3111.
    """
    unknown = [word for word in words if not any(_named(each, word) for each in (*every, *left))]
    if unknown:
        names = ", ".join(each.name for each in (*every, *left))
        raise mistake.Mistakes(
            [
                mistake.Mistake("", None, None, "JB3111", word, "is no stack and no region of one", f"Stacks: {names}.")
                for word in unknown
            ],
            "nothing was done",
        )
    if not words:
        return tuple(every)
    return tuple(each for each in (*every, *left) if any(_named(each, word) for word in words))


def _named(stack: Stack, word: str) -> bool:
    return word == stack.name or word in stack.regions


def _premises(network: Network, site: Site, wanted: set[str], links: dict[str, Link]) -> Premises:
    here = [network.devices[name] for name in site.devices if name in wanted]
    segments = {each.id: each for each in build.segments(network, [device.name for device in here])}
    hosts = {device.name: _host(network, site, device, wanted) for device in here}
    zones = []
    for zone in site.zones:
        segment = segments.get(f"{site.key}:{zone.name}")
        if segment is None:
            continue
        lan = Segment(
            id=segment.id, site=site.key, kind=site.kind, level=site.level, region=site.region, zone=zone.name,
            v4=zone.v4, v6=zone.v6, ports=tuple(f"{port.node} {port.name}" for port in segment.ports),
        )  # fmt: skip
        inside = tuple(hosts[device.name] for device in here if device.role == "host" and device.zone == zone.name)
        zones.append(Zone(zone.name, lan, inside))
    housed = {host.name for zone in zones for host in zone.hosts}
    cables = [
        link.id for link in network.links.values() if link.kind == "inside" and link.a in hosts and link.b in hosts
    ]
    return Premises(
        name=site.key.replace(":", "-"),
        centre=site.kind in CENTRES,
        zones=tuple(zones),
        devices=tuple(host for name, host in hosts.items() if name not in housed),
        cables=tuple(links[name] for name in sorted(cables)),
    )


def _host(network: Network, site: Site, device: Device, wanted: set[str]) -> Host:
    services = [service for service in network.services if service.device == device.name]
    # A line to a site that is not there has no interface here.
    joined = [each for each in device.interfaces if each.kind == "zone" or each.peer in wanted]
    carried: dict[str, list[str]] = {each.name: [each.v4, each.v6] for each in joined}
    if device in network.pair(site.key):
        carried |= _shared(site, device)
    if device.loopback4:
        carried["lo"] = [f"{device.loopback4}/32", f"{device.loopback6}/128"]
    for service in services:
        carried[f"z-{service.zone}"] += [f"{service.v4}/32", f"{service.v6}/128"]
    serves, whole = _served(network, site) if device.zone == "production" and site.level == "province" else ((), False)
    return Host(
        name=device.name,
        site=site.key,
        kind=site.kind,
        level=site.level,
        region=site.region,
        role=device.role,
        zones=tuple(each.zone for each in device.interfaces if each.kind == "zone"),
        duties=device.duties,
        services=tuple(f"{each.zone}/{each.name} {each.v4} {each.v6}" for each in services),
        data=build.holds_data(device),
        tun=build.shielded(network, device),
        handles=site.handles if device.zone == "production" and "database" in device.duties else (),
        serves=serves,
        whole_province=whole,
        interfaces={name: tuple(sorted(address for address in each if address)) for name, each in carried.items()},
    )


def _shared(site: Site, device: Device) -> dict[str, list[str]]:
    """What a firewall of a pair has in the zones: its own single addresses, and while it is active the gateways."""
    found = {}
    for each in device.interfaces:
        if (zone := site.zone(each.zone)) is not None:
            gateways = ((zone.gateway4, zone.v4), (zone.gateway6, zone.v6))
            own = [f"{each.v4.partition('/')[0]}/32", f"{each.v6.partition('/')[0]}/128"]
            found[each.name] = [*own, *(f"{text}/{prefix.partition('/')[2]}" for text, prefix in gateways)]
    return found


def _served(network: Network, site: Site) -> tuple[tuple[str, ...], bool]:
    """The prefectures that have no centre of their own and are served by this one, and whether none has."""
    below = [each for each in network.regions.values() if each.level == "prefecture" and each.parent == site.region]
    own = {each.region for each in network.known_sites.values() if each.kind in CENTRES}
    without = tuple(sorted(each.code for each in below if each.code not in own and each.serving == site.region))
    return without, len(without) == len(below)


def _links(network: Network, devices: set[str]) -> list[Link]:
    kinds = {link.id: link.kind for link in network.links.values()}
    return [
        Link(
            id=link.id,
            kind=kinds[link.id],
            a=f"{link.a.node} {link.a.name}",
            b=f"{link.b.node} {link.b.name}",
            ends=tuple(
                f"{end.role} {end.zone}".strip() for end in (network.known_devices[port.node] for port in link.ports)
            ),
        )
        for link in build.links(network, devices)
    ]
