"""The ends of connections: which prefixes a zone, a service or the routing devices of a site have, in both families."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ip_plan.network import TRANSIT, Device, Flow, Interface, Network, Relation, Site

ROUTING = ("router", "firewall", "access")
"""Roles of devices whose own addresses are the pseudo-zone `transit`."""

OPENER: dict[Relation, Relation] = {"serving-parent": "served-child", "served-child": "serving-parent"}
"""How the opener stands to the receiver, when the receiver stands so to the opener."""

WHO: dict[Relation, str] = {"same-centre": "own", "serving-parent": "parent", "served-child": "child"}
"""What the other end is called in names of sets and prefix lists."""


class Dual(msgspec.Struct, frozen=True, gc=False):
    """Prefixes or addresses of both families, each once, in the order given."""

    v4: tuple[str, ...] = ()
    v6: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.v4 or self.v6)

    def of(self, family: int) -> tuple[str, ...]:
        """Those of family 4 or 6."""
        return self.v4 if family == 4 else self.v6


def join(parts: Iterable[Dual]) -> Dual:
    """All of `parts`, each once, in order."""
    listed = list(parts)
    if len(listed) == 1:
        return listed[0]
    return Dual(
        tuple(dict.fromkeys(text for part in listed for text in part.v4)),
        tuple(dict.fromkeys(text for part in listed for text in part.v6)),
    )


def bare(prefix: str) -> str:
    """The address of `10.0.0.1/24`."""
    return prefix.partition("/")[0]


def second(network: Network, owner: str, name: str) -> list[Dual]:
    """The addresses that a zone of a site, or an interface of a device, has beside its own while the site is renumbered."""
    each = network.second.get((owner, name))
    if each is None:
        return []
    return [Dual((bare(each.v4),), (bare(each.v6),)) if each.device else Dual((each.v4,), (each.v6,))]


def zones(network: Network, site: Site) -> Dual:
    """Every prefix of the zones of a site."""
    own = [Dual((zone.v4,), (zone.v6,)) for zone in site.zones]
    return join([*own, *(more for zone in site.zones for more in second(network, site.key, zone.name))])


def devices(network: Network, site: Site) -> tuple[Device, ...]:
    """The devices of a site as far as they are known."""
    held: dict[str, tuple[Device, ...]] = network.memory["devices"]
    if site.key not in held:
        known = network.known_devices
        held[site.key] = tuple(known[name] for name in site.devices if name in known)
    return held[site.key]


def upward(network: Network, device: Device, interface: Interface) -> bool:
    """Whether a line leads towards the ministry. A line of another shard is known at its lower end only."""
    link = network.links.get(interface.link)
    return link is not None and link.b == device.name


def transit(network: Network, site: Site, seen_from: Site) -> Dual:
    """The routing devices' own addresses: loopbacks, ends of lines and cables. Zone interfaces belong to their zones.

    Seen from another site only the lines between the two count, so that a new line changes no third site's filter.
    """
    held: dict[tuple[str, bool], Dual] = network.memory["transit"]
    home = site.key == seen_from.key
    own = held.get((site.key, home))
    if own is None:
        routing = [device for device in devices(network, site) if device.role in ROUTING]
        found = [Dual((device.loopback4,), (device.loopback6,)) for device in routing if device.loopback4]
        for device in routing:
            for interface in device.interfaces:
                if interface.kind == "inside" or (interface.kind == "wan" and home):
                    found.append(Dual((bare(interface.v4),), (bare(interface.v6),)))
        # Both ends of a line are told apart by their first addresses; beside them only the loopback is spoken to.
        found += [each for device in routing for each in second(network, device.name, "lo")]
        own = held[site.key, home] = join(found)
    return own if home else join((own, *_lines(network, seen_from).get(site.key, ())))


def _lines(network: Network, site: Site) -> dict[str, list[Dual]]:
    """Site → the far ends of the lines of `site` that lead there."""
    held: dict[str, dict[str, list[Dual]]] = network.memory["lines"]
    found = held.get(site.key)
    if found is None:
        found = held[site.key] = {}
        for device in devices(network, site):
            for interface in device.interfaces:
                if interface.kind == "wan":
                    far = Dual((interface.peer4,), (interface.peer6,))
                    found.setdefault(interface.peer_site, []).append(far)
    return found


def end(network: Network, site: Site, zone: str, service: str, seen_from: Site) -> Dual:
    """What `zone` of `site` is to a filter: its prefixes; with `service`, the addresses of that service and of its device."""
    if zone == TRANSIT:
        return transit(network, site, seen_from)
    held: dict[tuple[str, str, str], Dual] = network.memory["end"]
    key = (site.key, zone, service)
    found = held.get(key)
    if found is None:
        found = held[key] = _end(network, site, zone, service)
    return found


def _end(network: Network, site: Site, zone: str, service: str) -> Dual:
    if not service:
        found = site.zone(zone)
        return join([Dual((found.v4,), (found.v6,)), *second(network, site.key, zone)]) if found else Dual()
    carried = [each for each in network.services_at.get((site.key, zone), ()) if each.name == service]
    hosts = [network.known_devices[each.device] for each in carried if each.device in network.known_devices]
    return join(
        [
            *(Dual((each.v4,), (each.v6,)) for each in carried),
            *(Dual((bare(i.v4),), (bare(i.v6),)) for host in hosts for i in host.interfaces),
        ]
    )


def has(site: Site, zone: str) -> bool:
    """Whether `zone` (or the pseudo-zone) exists at `site`."""
    return zone == TRANSIT or site.zone(zone) is not None


def reached(network: Network, site: Site, flow: Flow) -> Dual:
    """Where `flow` leads when `site` opens it: the prefixes at all receivers. Empty: `site` does not open it."""
    if flow.verdict != "allow" or not has(site, flow.from_zone):
        return Dual()
    held: dict[_Terms, Dual] = network.memory["reached"]
    terms = _terms(site, flow.relation, flow, flow.to_zone, flow.to_service)
    found = held.get(terms)
    if found is None:
        others = [other for other in network.related(site, flow.relation) if flow.between(site, other)]
        found = join(end(network, other, flow.to_zone, flow.to_service, site) for other in others)
        held[terms] = found
    return found


def openers(network: Network, site: Site, flow: Flow) -> Dual:
    """Where `flow` comes from when it ends at `site`: the prefixes at all openers. Empty: it does not end here."""
    if flow.verdict != "allow" or not has(site, flow.to_zone):
        return Dual()
    held: dict[_Terms, Dual] = network.memory["openers"]
    relation = OPENER.get(flow.relation, flow.relation)
    terms = _terms(site, relation, flow, flow.from_zone, flow.from_service)
    found = held.get(terms)
    if found is None:
        fitting = [other for other in network.related(site, relation) if flow.between(other, site)]
        found = join(end(network, other, flow.from_zone, flow.from_service, site) for other in fitting)
        held[terms] = found
    return found


_Terms = tuple[str, Relation, str, str, tuple[str, ...], tuple[str, ...], tuple[str, ...]]


def _terms(site: Site, relation: Relation, flow: Flow, zone: str, service: str) -> _Terms:
    """All that decides which addresses are at the other end: several rows ask for the same."""
    return site.key, relation, zone, service, flow.from_levels, flow.to_levels, flow.regions
