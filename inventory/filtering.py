"""The packet filter of one device, as values: one rule for each flow, family and port that the device has to let through.

Everything that no rule lets through is dropped. A flow is rendered at both ends: at the opener's site out of its zone, at the
receiver's in from the lines.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from inventory import ends
from inventory.ends import OPENER, WHO, Dual
from ip_plan.network import TRANSIT, Device, Flow, Network, Site

BASE = {
    "base:neighbours": "IPv6 neighbour discovery on the segment itself (RFC 4861)",
    "base:state": "answers, and ICMP errors about what was let through",
    "base:invalid": "packets that belong to no connection",
    "base:self": "the device's own loopback",
    "base:management": "the management path comes in, and nothing is forwarded to or from it",
    "base:spoofed": "the source of a packet lies in the prefix of the zone it comes from, and nowhere else",
    "base:through": "what an office's device carries for the offices behind it; both their ends decide",
    "base:default": "what no flow allows",
}
"""Rules that belong to no flow: comment → what it is for."""


class NamedSet(msgspec.Struct, frozen=True, order=True):
    """A set of prefixes of one family."""

    name: str
    family: int
    elements: tuple[str, ...]


class Rule(msgspec.Struct, frozen=True):
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


class _Draft:
    """Collects the rules of one device, and the sets they name."""

    def __init__(self) -> None:
        self.rules: list[Rule] = []
        self.sets: dict[str, NamedSet] = {}

    def name(self, who: str, zone: str, service: str, family: int, elements: tuple[str, ...]) -> str:
        """The set of a zone or service as seen from here. Flows with different levels may see different parts of it."""
        plain = "-".join(part for part in (who, zone, service) if part)
        name, number = f"{plain}-{family}", 1
        while name in self.sets and self.sets[name].elements != elements:
            number += 1
            name = f"{plain}-{family}-{number}"
        self.sets[name] = NamedSet(name, family, elements)
        return f"@{name}"

    def add(
        self, flow: Flow, chain: Literal["input", "forward"], entry: str, exit: str,
        source: tuple[str, Dual], target: tuple[str, Dual],
    ) -> None:  # fmt: skip
        """A rule for each port and family between two ends, each given as (who, addresses)."""
        for port in flow.ports:
            if port.startswith("proto/"):
                # Routing protocols below UDP speak to groups and from link-local addresses.
                self.rules.append(Rule(flow.id, chain, entry, exit, 0, "", "", port))
                continue
            for family in (4, 6):
                if not (source[1].of(family) and target[1].of(family)):
                    continue
                one = self.name(source[0], flow.from_zone, flow.from_service, family, source[1].of(family))
                other = self.name(target[0], flow.to_zone, flow.to_service, family, target[1].of(family))
                self.rules.append(Rule(flow.id, chain, entry, exit, family, one, other, port))


def filtering(network: Network, device: Device) -> Filter | None:
    """The filter of `device`; None for a host."""
    if device.role == "host":
        return None
    site = network.sites[device.site]
    cables = tuple(interface.name for interface in device.interfaces if interface.kind == "inside")
    wires = tuple(interface.name for interface in device.interfaces if interface.kind == "wan")
    draft = _Draft()
    allowed = [flow for flow in network.flows if flow.verdict == "allow"]
    # Nothing reaches a firewall from other sites but over its cables to the routers.
    lines = {"firewall": cables, "access": wires, "router": (*wires, *cables)}[device.role]
    if device.role != "router":
        for flow in allowed:
            _opened(draft, network, device, site, flow)
    for flow in allowed:
        _received(draft, network, device, site, flow)
    return Filter(
        forwards=device.role == "router",
        lines=lines,
        inside=cables,
        guards=tuple(
            Guard(interface.name, zone.v4, zone.v6)
            for interface in device.interfaces
            if interface.kind == "zone" and (zone := site.zone(interface.zone))
        ),
        sets=tuple(sorted(draft.sets.values())),
        rules=tuple(dict.fromkeys(draft.rules)),
        through=_through(network, device, site),
    )


def _opened(draft: _Draft, network: Network, device: Device, site: Site, flow: Flow) -> None:
    """What hosts of this site may open: out of their zone, to another zone or to the lines."""
    if flow.from_zone == TRANSIT and (flow.relation != "same-centre" or device.role == "access"):
        # A routing device's own packets to other sites pass no filter of its site.
        return
    if flow.from_zone == flow.to_zone and flow.relation == "same-centre":
        return
    reached = ends.reached(network, site, flow)
    if not reached:
        return
    source = (WHO["same-centre"], ends.end(network, site, flow.from_zone, flow.from_service, site))
    target = (WHO[flow.relation], reached)
    entry = "@inside" if flow.from_zone == TRANSIT else f"z-{flow.from_zone}"
    if flow.relation == "same-centre" and flow.to_zone == TRANSIT:
        draft.add(flow, "input", entry, "", source, target)
        if device.role == "access":
            return
    exit = "@lines" if flow.relation != "same-centre" else "@inside" if flow.to_zone == TRANSIT else f"z-{flow.to_zone}"
    draft.add(flow, "forward", entry, exit, source, target)


def _received(draft: _Draft, network: Network, device: Device, site: Site, flow: Flow) -> None:
    """What may come in from other sites, and what may reach the routing devices themselves."""
    local = flow.relation == "same-centre"
    if (local or device.role == "router") and flow.to_zone != TRANSIT:
        return
    if local and flow.from_zone != TRANSIT and device.role != "router":
        return  # opened at this very device
    if local and device.role == "access":
        return  # the only routing device of its site
    openers = ends.openers(network, site, flow)
    if not openers:
        return
    source = (WHO[OPENER.get(flow.relation, flow.relation)], openers)
    target = (WHO["same-centre"], ends.end(network, site, flow.to_zone, flow.to_service, site))
    if flow.to_zone != TRANSIT:
        draft.add(flow, "forward", "@lines", f"z-{flow.to_zone}", source, target)
        return
    entry = "@inside" if local else "@lines"
    draft.add(flow, "input", entry, "", source, target)
    if local and flow.from_zone == TRANSIT:
        # OSPFv3 makes its BFD sessions between link-local addresses (RFC 5340 4.1.2).
        for port in flow.ports:
            if port.startswith("udp/"):
                draft.rules.append(Rule(flow.id, "input", entry, "", 6, "fe80::/10", "fe80::/10", port))


def _through(network: Network, device: Device, site: Site) -> tuple[tuple[str, str, Dual], ...]:
    if device.role != "access":
        return ()
    wires = [interface for interface in device.interfaces if interface.kind == "wan"]
    up = [wire.name for wire in wires if ends.upward(network, device, wire)]
    found = []
    for wire in wires:
        office = network.known_sites.get(wire.peer_site)
        if wire.name not in up and office is not None:
            zones = [Dual((zone.v4,), (zone.v6,)) for zone in office.zones]
            carried = ends.join([*zones, ends.transit(network, office, site)])
            found += [(wire.name, line, carried) for line in up]
    return tuple(found)
