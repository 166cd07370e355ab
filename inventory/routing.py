"""Routes of one device, as values: who its neighbours are, what each may say, and what is told to each.

Between levels BGP carries summaries: a child announces the blocks the ledger granted to its region, a parent the national
supernets and the blocks of its own branch. Inside a centre OSPF carries every segment. What passes between the two is named
prefix by prefix, so that neither can hand a route back.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from inventory import ends
from inventory.ends import Dual
from ip_plan import addressing
from ip_plan.network import Device, Network, Site

PREFERENCE = {"primary": 200, "backup": 100, "drained": 50}
"""Local preference of what comes over a line."""
METRIC = {"primary": 100, "backup": 200, "drained": 400}
"""MED of what goes out over a line; lower wins."""
DRAINED = 200
"""Distance of a static route over a line that is to carry nothing: below every other, above the black hole."""


SECOND = 20
"""OSPF cost of the zones at the second firewall of a pair: at no moment do two firewalls seem equally good, which routers would
share packets between."""
ARRIVAL_MS, ARRIVAL_PAIR_MS = 100, 0
"""Time in which a second version of what a neighbour tells is dropped, to be told again after 5 s. Of a pair the zones change over
one by one within one."""


class Neighbour(msgspec.Struct, frozen=True):
    """A BGP neighbour: one session for each family, and the policy of both directions."""

    key: str
    """Its device: policies are named by it, so that a new neighbour renames nobody's. `-2` and so on behind it where a line
    gave way to a new one."""
    asn: int
    relation: Literal["parent", "child", "inside"]
    rank: Literal["primary", "backup", "drained"]
    address4: str
    address6: str
    accept: Dual
    """Exactly these prefixes are taken; from `inside`, these and what lies in them."""
    announce: Dual
    """Exactly these prefixes are told; to `inside`, these and what lies in them, without the site's own segments."""
    mark: str = ""
    """What `key` ends in beyond the device's name."""

    @property
    def device(self) -> str:
        """Its device."""
        return self.key.removesuffix(self.mark)


class Static(msgspec.Struct, frozen=True):
    """A route that nobody announces."""

    prefix: str
    via: str
    """Next hop, or `blackhole`."""
    distance: int = 1


class Cable(msgspec.Struct, frozen=True):
    """An interface on which OSPF finds neighbours."""

    name: str
    cost: int


class Routing(msgspec.Struct, frozen=True):
    """The routing of one device."""

    router_id: str
    asn: int
    """0: no BGP here."""
    loopback6: str
    ospf: bool
    cables: tuple[Cable, ...] = ()
    passive: tuple[str, ...] = ()
    """Interfaces whose prefixes OSPF carries without asking for neighbours."""
    neighbours: tuple[Neighbour, ...] = ()
    aggregates: Dual = Dual()
    """Summaries made here while something in them is reachable."""
    networks: Dual = Dual()
    """Prefixes told to BGP as they stand in the table."""
    segments: Dual = Dual()
    """OSPF → BGP: the zones of this site."""
    outside: Dual = Dual()
    """BGP → OSPF: what the firewall has to reach."""
    metric: int = 100
    """Of `outside`: the first router of a site is preferred."""
    statics: tuple[Static, ...] = ()
    zone_cost: int = 0
    """Of zones, where it is not the usual one."""
    arrival_ms: int = ARRIVAL_MS


def blocks(network: Network, site: Site) -> Dual:
    """The blocks granted to a centre's region; empty for sites that live in another region's."""
    region = network.regions.get(site.region)
    if region is None or site.kind != "centre":
        return Dual()
    return Dual(region.blocks4, region.blocks6)


def below(network: Network, site: Site) -> Dual:
    """All that the ledger granted to `site` and to the sites whose lines end at it, segment by segment."""
    return ends.join([own(network, site), *(below(network, child) for child in behind(network, site))])


def behind(network: Network, site: Site) -> list[Site]:
    """The sites at the lower end of the lines of `site`."""
    found = {
        interface.peer_site
        for device in ends.devices(network, site)
        for interface in device.interfaces
        if interface.kind == "wan" and not ends.upward(network, device, interface)
    }
    return [network.known_sites[key] for key in sorted(found) if key in network.known_sites]


def summaries(network: Network, site: Site) -> Dual:
    """What `site` announces to the centre that serves it: one summary per block, or its segments where it has no block.

    A region that moved here keeps its addresses in another's block: its segments stand beside the summaries.
    """
    held = blocks(network, site)
    return ends.join([held, strays(network, site)]) if held else below(network, site)


def own(network: Network, site: Site) -> Dual:
    """What the ledger granted to `site` alone, segment by segment."""
    loopbacks = [
        Dual(tuple(f"{address}/32" for address in each.v4), tuple(f"{address}/128" for address in each.v6))
        for device in ends.devices(network, site)
        if device.loopback4
        for each in (Dual((device.loopback4,), (device.loopback6,)), *ends.second(network, device.name, "lo"))
    ]
    return ends.join([ends.zones(network, site), *loopbacks])


def strays(network: Network, site: Site) -> Dual:
    """What lies in no block of `site` though it serves it: segments of regions that moved, announced one by one."""
    moved = [child for child in network.children.get(site.key, ()) if child.holder]
    return _outside(ends.join(own(network, child) for child in moved), blocks(network, site)) if moved else Dual()


def lent(network: Network, site: Site) -> Dual:
    """What lies in a block of `site` though another centre serves it; a more specific route than its own summary."""
    moved = [other for other in network.strays.get(site.key, ()) if other.parent != site.key]
    segments, held = ends.join(own(network, other) for other in moved), blocks(network, site)
    elsewhere = _outside(segments, held)
    return Dual(
        tuple(text for text in segments.v4 if text not in elsewhere.v4),
        tuple(text for text in segments.v6 if text not in elsewhere.v6),
    )


def _outside(segments: Dual, held: Dual) -> Dual:
    """Those of `segments` that lie in none of the blocks `held`."""
    found = []
    for family in (4, 6):
        outer = [addressing.parse(text, family) for text in held.of(family)]
        found.append(
            tuple(
                text
                for text in segments.of(family)
                if not any(addressing.contains(block, addressing.parse(text, family), family) for block in outer)
            )
        )
    return Dual(*found)


def branch(network: Network, site: Site) -> Dual:
    """What `site` announces to the sites it serves: the supernets, and the blocks of its branch from the province down."""
    chain: list[Dual] = []
    current: Site | None = site
    while current is not None and current.level != "ministry":
        chain.insert(0, blocks(network, current))
        current = network.known_sites.get(current.parent)
    return ends.join([supernets(network), *chain])


def downward(network: Network, site: Site, child: Site) -> Dual:
    """What `site` announces to `child`: its branch, and what of the child's blocks is served elsewhere."""
    away = lent(network, child)
    return ends.join([branch(network, site), away]) if away else branch(network, site)


def supernets(network: Network) -> Dual:
    """The whole network, in both families."""
    return Dual((network.meta.supernet4,), (network.meta.supernet6,))


def routing(network: Network, device: Device) -> Routing | None:
    """The routing of `device`; None for one that does not route."""
    if not device.routes:
        return None
    site = network.sites[device.site]
    if device.role == "firewall":
        return _inside(network, device)
    if device.role == "access":
        return _office(network, device, site)
    return _router(network, device, site)


def _inside(network: Network, device: Device) -> Routing:
    cables = tuple(
        Cable(interface.name, network.links[interface.link].cost if interface.link in network.links else 10)
        for interface in device.interfaces
        if interface.kind == "inside"
    )
    pair = network.pair(device.site)
    routers = sum(other.role == "router" for other in ends.devices(network, network.sites[device.site]))
    # Of a single router's lines the block tells enough; one of a pair has to know which lines are the other's.
    kinds = ("zone", "wan") if routers > 1 else ("zone",)
    passive = ("lo", *(interface.name for interface in device.interfaces if interface.kind in kinds))
    return Routing(
        device.loopback4,
        0,
        device.loopback6,
        True,
        cables,
        passive,
        zone_cost=SECOND if device in pair[1:] else 0,
        arrival_ms=ARRIVAL_PAIR_MS if pair else ARRIVAL_MS,
    )


def _router(network: Network, device: Device, site: Site) -> Routing:
    routers = [other for other in ends.devices(network, site) if other.role == "router"]
    served = network.children.get(site.key, ())
    summed = supernets(network) if site.level == "ministry" else blocks(network, site)
    statics = _statics(network, device)
    moved = strays(network, site)
    outer = {*moved.v4, *moved.v6}
    told = dict.fromkeys(each.prefix for each in statics if len(routers) > 1 or each.prefix in outer)
    return msgspec.structs.replace(
        _inside(network, device),
        asn=device.asn or site.asn,
        neighbours=(*_lines(network, device, site), *_pair(network, device, routers)),
        aggregates=summed,
        # What leaves the site is the block they lie in: only the other router of a pair has to hear of them.
        networks=Dual(
            tuple(prefix for prefix in told if ":" not in prefix), tuple(prefix for prefix in told if ":" in prefix)
        ),
        segments=ends.join(Dual((zone.v4,), (zone.v6,)) for zone in site.zones),
        outside=ends.join([branch(network, site), lent(network, site), *(blocks(network, child) for child in served)]),
        metric=100 * (1 + [router.name for router in routers].index(device.name)),
        statics=statics,
    )


def _office(network: Network, device: Device, site: Site) -> Routing:
    statics = _statics(network, device)
    # A segment that is down must not lead back up to the summary that brought the packet here.
    zones = ends.zones(network, site)
    closed = [Static(prefix, "blackhole", 254) for prefix in (*zones.v4, *zones.v6)]
    asn = device.asn or site.asn
    return Routing(
        router_id=device.loopback4,
        asn=asn,
        loopback6=device.loopback6,
        ospf=False,
        neighbours=_lines(network, device, site),
        networks=below(network, site) if asn else Dual(),
        statics=(*statics, *closed),
    )


def _lines(network: Network, device: Device, site: Site) -> tuple[Neighbour, ...]:
    found = []
    for interface in device.interfaces:
        other = network.known_sites.get(interface.peer_site)
        if interface.kind != "wan" or other is None or not interface.peer_asn or not (device.asn or site.asn):
            continue
        up = ends.upward(network, device, interface)
        link = network.links.get(interface.link)
        version = interface.link.partition("#")[2]
        mark = f"-{version}" if version else ""
        found.append(
            Neighbour(
                key=f"{interface.peer}{mark}",
                asn=interface.peer_asn,
                relation="parent" if up else "child",
                rank=link.rank if link else "primary",
                address4=interface.peer4,
                address6=interface.peer6,
                accept=downward(network, other, site) if up else summaries(network, other),
                announce=summaries(network, site) if up else downward(network, site, other),
                mark=mark,
            )
        )
    return tuple(found)


def _pair(network: Network, device: Device, routers: list[Device]) -> tuple[Neighbour, ...]:
    everything = supernets(network)
    return tuple(
        Neighbour(other.name, other.asn, "inside", "primary", other.loopback4, other.loopback6, everything, everything)
        for other in routers
        if other.name != device.name
    )


def _statics(network: Network, device: Device) -> tuple[Static, ...]:
    """Routes over lines whose one end has no AS: down to the office's segments, up to the supernets."""
    site = network.sites[device.site]
    found: list[Static] = []
    for interface in device.interfaces:
        other = network.known_sites.get(interface.peer_site)
        if interface.kind != "wan" or other is None or (interface.peer_asn and (device.asn or site.asn)):
            continue
        to = supernets(network) if ends.upward(network, device, interface) else below(network, other)
        link = network.links.get(interface.link)
        distance = DRAINED if link and link.rank == "drained" else 1
        found += [Static(prefix, interface.peer4, distance) for prefix in to.v4]
        found += [Static(prefix, interface.peer6, distance) for prefix in to.v6]
    return tuple(found)
