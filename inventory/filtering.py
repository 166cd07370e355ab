"""The packet filter of one device, as values: one rule for each flow, family and port that the device has to let through.

Everything that no rule lets through is dropped. A flow is rendered at both ends: at the opener's site out of its zone, at the
receiver's in from the lines.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Literal

import msgspec

from inventory import ends
from inventory.ends import OPENER, WHO, Dual
from inventory.pairing import SILENT, pairing
from ip_plan import underlay
from ip_plan.network import TRANSIT, Device, Flow, Network, Relation, Site
from ip_plan.underlay import End

BASE = {
    "base:neighbours": "IPv6 neighbour discovery on the segment itself (RFC 4861)",
    "base:state": "answers, and ICMP errors about what was let through",
    "base:invalid": "packets that belong to no connection",
    "base:self": "the device's own loopback",
    "base:management": "the management path comes in, and nothing is forwarded to or from it",
    "base:spoofed": "the source of a packet lies in the prefix of the zone it comes from, and nowhere else",
    "base:pair": "advertisements of the other firewall of a pair, on the segment itself (RFC 9568)",
    "base:keys": "keys and encrypted packets of the lines' tunnels, below them",
    "base:through": "what an office's device carries for the offices behind it; both their ends decide",
    "base:default": "what no flow allows",
}
"""Rules that belong to no flow: comment → what it is for."""


class NamedSet(msgspec.Struct, frozen=True, order=True):
    """A set of prefixes of one family."""

    name: str
    family: int
    elements: tuple[str, ...]


class Rule(msgspec.Struct, frozen=True, cache_hash=True):
    """One packet class that a flow lets through."""

    flow: str
    chain: Literal["input", "forward"]
    entry: str
    """Interface, or `@lines` / `@inside`."""
    exit: str
    """The same; empty in `input`."""
    family: int
    """0: both, where no address is looked at."""
    source: str
    """Set name or prefix; empty: any."""
    target: str
    port: str
    """`tcp/5432`, `icmp/echo`, `proto/ospf`."""


class Guard(msgspec.Struct, frozen=True):
    """A zone interface and the only sources it may have."""

    interface: str
    v4: str
    v6: str
    beside: Dual = Dual()
    """What it has beside them while its site is renumbered."""


class Peer(msgspec.Struct, frozen=True):
    """A zone interface and the addresses from which the other firewall of a pair speaks on it."""

    interface: str
    v4: str
    v6: str


class Below(msgspec.Struct, frozen=True):
    """The port below an encrypted line, and the two ends of what goes through it."""

    port: str
    own: End
    other: End


class Filter(msgspec.Struct, frozen=True):
    """The filter of one device. A router's forwards everything but the management path."""

    forwards: bool
    """Whether `forward` is open (routers) or by rule only."""
    lines: tuple[str, ...]
    """Interfaces towards other sites: lines, and at a firewall the cables that lead to them."""
    inside: tuple[str, ...]
    """Interfaces towards the site's own routing devices."""
    guards: tuple[Guard, ...]
    sets: tuple[NamedSet, ...]
    rules: tuple[Rule, ...]
    through: tuple[tuple[str, str, Dual], ...] = ()
    """(line down, line up, prefixes behind the line down)."""
    peers: tuple[Peer, ...] = ()
    """Of a firewall in a pair."""
    below: tuple[Below, ...] = ()
    """Of the lines that a Debian encrypts."""


NOBODY = Dual()


class _End(msgspec.Struct, frozen=True):
    """One end of connections, as a site's device sees it: what it is called, and how its addresses are found."""

    who: str
    zone: str
    service: str
    how: Literal["own", "reached", "openers"]
    relation: Relation
    """How its sites stand to this one."""
    flow: Flow
    """Of `reached` and `openers`: the row that decides which sites are meant."""

    @property
    def above(self) -> bool:
        """Whether it is the same for all sites of a level that one centre serves."""
        return self.relation == "serving-parent" and self.zone != TRANSIT and not self.flow.regions

    def addresses(self, network: Network, site: Site) -> Dual:
        """Its addresses, seen from `site`."""
        if self.how == "own":
            return ends.end(network, site, self.zone, self.service, site)
        return (ends.reached if self.how == "reached" else ends.openers)(network, site, self.flow)

    def name(self, family: int, number: int) -> str:
        """The name of its set. Flows with different levels may see different parts of a zone: those have numbers."""
        plain = "-".join(part for part in (self.who, self.zone, self.service) if part)
        return f"{plain}-{family}" if number == 1 else f"{plain}-{family}-{number}"


class _Way(msgspec.Struct, frozen=True):
    """What a row lets through such a device, wherever it stands; ends by their place in `_Ways.ends`."""

    flow: Flow
    chain: Literal["input", "forward"]
    entry: str
    exit: str
    source: int
    target: int
    far: int
    """The end that has to exist: a row that leads nowhere from here gives no rule."""
    local: bool = False
    """Between the site's own routing devices."""


class _Ways(msgspec.Struct, frozen=True):
    """All that the rows let through devices of one role at sites with the same zones, in order."""

    ways: tuple[_Way, ...]
    ends: tuple[_End, ...]
    pairs: tuple[tuple[int, int], ...]
    """Ends that are called alike: one set, where their addresses are the same."""


class _Rules(msgspec.Struct, frozen=True):
    """The rules of all devices whose ends exist, and are the same, in the same places. Only addresses tell them apart."""

    rules: tuple[Rule, ...]
    sets: tuple[tuple[str, int, int], ...]
    """(name, family, end), sorted."""


def filtering(network: Network, device: Device) -> Filter | None:
    """The filter of `device`; None for one that does not route."""
    if not device.routes:
        return None
    site = network.sites[device.site]
    cables = tuple(interface.name for interface in device.interfaces if interface.kind == "inside")
    wires = tuple(interface.name for interface in device.interfaces if interface.kind == "wan")
    # Nothing reaches a firewall from other sites but over its cables to the routers.
    lines = {"firewall": cables, "access": wires, "router": (*wires, *cables)}[device.role]
    pair = pairing(network, device)
    role = "pair" if pair else device.role
    ways = _ways(network, role, site)
    found = _addresses(network, role, site, ways)
    rules = _rules(network, role, site, ways, found)
    return Filter(
        forwards=device.role == "router",
        lines=lines,
        inside=cables,
        guards=tuple(
            Guard(interface.name, zone.v4, zone.v6, ends.join(ends.second(network, site.key, zone.name)))
            for interface in device.interfaces
            if interface.kind == "zone" and (zone := site.zone(interface.zone))
        ),
        sets=tuple(NamedSet(name, family, found[end].of(family)) for name, family, end in rules.sets),
        rules=rules.rules,
        through=_through(network, device, site),
        peers=tuple(Peer(share.interface, share.peer4, share.peer_link) for share in pair.shares)
        if pair and device.dialect not in SILENT
        else (),
        below=() if device.numbers else tuple(_below(network, device)),
    )


def _ways(network: Network, role: str, site: Site) -> _Ways:
    held: dict[tuple[str, tuple[str, ...]], _Ways] = network.memory["ways"]
    zones = tuple(zone.name for zone in site.zones)
    if (role, zones) not in held:
        held[role, zones] = _all_ways(network.flows, role, {TRANSIT, *zones})
    return held[role, zones]


def _all_ways(flows: Iterable[Flow], role: str, zones: Collection[str]) -> _Ways:
    found: dict[tuple[str, ...], int] = {}
    listed: list[_End] = []

    def end(relation: Relation, zone: str, service: str, how: Literal["own", "reached", "openers"], flow: Flow) -> int:
        terms = () if how == "own" else (relation, *flow.from_levels, "", *flow.to_levels, "", *flow.regions)
        key = (how, WHO[relation], zone, service, *terms)
        if key not in found:
            found[key] = len(listed)
            listed.append(_End(WHO[relation], zone, service, how, relation, flow))
        return found[key]

    allowed = [flow for flow in flows if flow.verdict == "allow" and flow.relation in WHO]
    ways: list[_Way] = []
    for flow in allowed:
        if role != "router" and flow.from_zone in zones:
            for chain, entry, exit in _opened(flow, role):
                own = end("same-centre", flow.from_zone, flow.from_service, "own", flow)
                far = end(flow.relation, flow.to_zone, flow.to_service, "reached", flow)
                ways.append(_Way(flow, chain, entry, exit, own, far, far))
    for flow in allowed:
        if flow.to_zone in zones:
            for chain, entry, exit in _received(flow, role):
                own = end("same-centre", flow.to_zone, flow.to_service, "own", flow)
                opener = OPENER.get(flow.relation, flow.relation)
                far = end(opener, flow.from_zone, flow.from_service, "openers", flow)
                local = flow.relation == "same-centre" and flow.from_zone == flow.to_zone == TRANSIT
                ways.append(_Way(flow, chain, entry, exit, far, own, far, local))
    pairs = tuple(
        (one, other)
        for other in range(len(listed))
        for one in range(other)
        if listed[one].name(4, 1) == listed[other].name(4, 1)
    )
    return _Ways(tuple(ways), tuple(listed), pairs)


_Path = tuple[Literal["input", "forward"], str, str]
"""(chain, entry, exit)"""


def _opened(flow: Flow, role: str) -> Iterator[_Path]:
    """What hosts of a site may open: out of their zone, to another zone or to the lines."""
    local = flow.relation == "same-centre"
    if flow.from_zone == TRANSIT and (not local or role == "access"):
        # A routing device's own packets to other sites pass no filter of its site.
        return
    if flow.from_zone == flow.to_zone and local:
        return
    entry = "@inside" if flow.from_zone == TRANSIT else f"z-{flow.from_zone}"
    if local and flow.to_zone == TRANSIT:
        yield "input", entry, ""
        if role == "access":
            return
    yield "forward", entry, "@lines" if not local else "@inside" if flow.to_zone == TRANSIT else f"z-{flow.to_zone}"


def _received(flow: Flow, role: str) -> Iterator[_Path]:
    """What may come in from other sites, and what may reach the routing devices themselves."""
    local = flow.relation == "same-centre"
    if (local or role == "router") and flow.to_zone != TRANSIT:
        return
    if local and flow.from_zone != TRANSIT and role not in ("router", "pair"):
        return  # opened at this very device; of a pair, perhaps at the other
    if local and role == "access":
        return  # the only routing device of its site
    if flow.to_zone != TRANSIT:
        yield "forward", "@lines", f"z-{flow.to_zone}"
    else:
        yield "input", "@inside" if local else "@lines", ""


def _addresses(network: Network, role: str, site: Site, ways: _Ways) -> list[Dual]:
    """The addresses of each end, seen from `site`."""
    held: dict[tuple[object, ...], list[Dual | None]] = network.memory["above"]
    key = (site.parent, site.level, role, *(zone.name for zone in site.zones))
    above = held.get(key)
    if above is None:
        above = held[key] = [end.addresses(network, site) if end.above else None for end in ways.ends]
    alone = site.key not in network.children
    return [
        known
        if known is not None
        else NOBODY
        if alone and end.relation == "served-child"
        else end.addresses(network, site)
        for end, known in zip(ways.ends, above, strict=True)
    ]


def _rules(network: Network, role: str, site: Site, ways: _Ways, found: Sequence[Dual]) -> _Rules:
    """The rules between the ends, whose addresses are `found`: made once for each kind of site."""
    held: dict[tuple[object, ...], _Rules] = network.memory["rules"]
    there = tuple([(not each.v4, not each.v6) for each in found])
    same = tuple([(found[one].v4 == found[other].v4, found[one].v6 == found[other].v6) for one, other in ways.pairs])
    key = (role, tuple(zone.name for zone in site.zones), there, same)
    if key not in held:
        held[key] = _made(ways, found)
    return held[key]


def _made(ways: _Ways, found: Sequence[Dual]) -> _Rules:
    rules: list[Rule] = []
    sets: dict[str, tuple[int, int]] = {}

    def name(end: int, family: int) -> str:
        number = 1
        while (said := ways.ends[end].name(family, number)) in sets:
            if found[sets[said][1]].of(family) == found[end].of(family):
                break
            number += 1
        sets.setdefault(said, (family, end))
        return f"@{said}"

    for way in ways.ways:
        flow = way.flow
        if not found[way.far]:
            continue
        for port in flow.ports:
            if port.startswith("proto/"):
                # Routing protocols below UDP speak to groups and from link-local addresses.
                rules.append(Rule(flow.id, way.chain, way.entry, way.exit, 0, "", "", port))
                continue
            for family in (4, 6):
                if found[way.source].of(family) and found[way.target].of(family):
                    one, other = name(way.source, family), name(way.target, family)
                    rules.append(Rule(flow.id, way.chain, way.entry, way.exit, family, one, other, port))
        if way.local:
            # OSPFv3 makes its BFD sessions between link-local addresses (RFC 5340 4.1.2).
            for port in flow.ports:
                if port.startswith("udp/"):
                    rules.append(Rule(flow.id, "input", way.entry, "", 6, "fe80::/10", "fe80::/10", port))
    return _Rules(
        tuple(dict.fromkeys(rules)),
        tuple((name, family, end) for name, (family, end) in sorted(sets.items())),
    )


def _below(network: Network, device: Device) -> Iterator[Below]:
    for each in device.interfaces:
        if each.link in network.links and network.links[each.link].suite:
            yield Below(underlay.below(each.name), underlay.end(each.v4), underlay.end(each.peer4))


def _through(network: Network, device: Device, site: Site) -> tuple[tuple[str, str, Dual], ...]:
    if device.role != "access":
        return ()
    wires = [interface for interface in device.interfaces if interface.kind == "wan"]
    up = [wire.name for wire in wires if ends.upward(network, device, wire)]
    found = []
    for wire in wires:
        office = network.known_sites.get(wire.peer_site)
        if wire.name not in up and office is not None:
            carried = ends.join([ends.zones(network, office), ends.transit(network, office, site)])
            found += [(wire.name, line, carried) for line in up]
    return tuple(found)
