"""Units of proof: a centre with the offices that it serves, and what lies above it.

Rows join a site with its serving centre and with those it serves, nobody else; and a centre hears of its like by summaries of what
lies above only. What each tells upwards, and what is told and taken on each line, is held against the ledger prefix by prefix. So a
centre with its offices is proved together with the centres above it, whose view of it is part of the text, and with the heads of
zones and the near ends of lines of the centres below it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import msgspec

from ip_plan.network import Network, Shard, Site


class Unit(msgspec.Struct, frozen=True):
    """What is proved together."""

    name: str
    """Key of its centre."""
    sites: frozenset[str]
    above: tuple[str, ...]
    """The centres above it, the next first; those of other shards too."""


def units(network: Network, shard: Shard) -> list[Unit]:
    """The units of a shard, what is below first.

    A province is one unit where something lies across its centres: addresses of one that another serves, or a line between two.
    """
    centres = {site.key for site in shard.sites if site.kind == "centre"}
    found: dict[str, set[str]] = {}
    ways: dict[str, tuple[str, ...]] = {}
    home: dict[str, str] = {}
    for site in shard.sites:
        way = tuple(_above(network, site))
        if site.key in centres:
            ways[site.key] = way
        home[site.key] = site.key if site.key in centres else next(iter(way), "")
        found.setdefault(home[site.key], set()).add(site.key)
    ordered = sorted(found, key=lambda name: (-len(ways.get(name, ())), name))
    if len(found) > 1 and (not found.keys() <= centres or _across(network, shard, home, ways)):
        top = ordered[-1]
        return [Unit(top, frozenset(home), tuple(key for key in ways.get(top, ()) if key not in home))]
    return [Unit(name, frozenset(found[name]), ways.get(name, ())) for name in ordered]


def _above(network: Network, site: Site) -> Iterator[str]:
    """The centres above a site, the next first."""
    above = network.known_sites.get(site.parent)
    while above is not None:
        if above.kind == "centre":
            yield above.key
        above = network.known_sites.get(above.parent)


def _across(network: Network, shard: Shard, home: dict[str, str], ways: dict[str, tuple[str, ...]]) -> bool:
    """Whether anything lies across units otherwise than between a centre and the one above it."""
    if any(site.holder for site in shard.sites):
        return True
    for site in shard.sites:
        region = network.regions.get(site.region)
        if ways.get(site.key) and ways[site.key][0] in home and (region is None or not region.blocks4):
            return True  # it tells its parts one by one
    for link in shard.links:
        ends = [network.devices[name].site for name in (link.a, link.b) if name in network.devices]
        one, *rest = [home[site] for site in ends if site in home]
        if rest and one != rest[0] and ways[rest[0]][:1] != (one,):
            return True
    return False


def within(network: Network, shard: Shard, unit: Unit) -> Network:
    """The Network with the unit and what is above it loaded; the other sites of the shard are known, as neighbours are."""
    keys: Collection[str] = unit.sites | set(unit.above)
    inside = {site.key for site in shard.sites if site.key in keys}
    devices = {device.name for device in shard.devices if device.site in inside}
    near = {site.key for site in shard.sites if site.key in inside or site.parent in inside}
    made = msgspec.structs.replace(
        shard,
        sites=tuple(site for site in shard.sites if site.key in inside),
        devices=tuple(device for device in shard.devices if device.name in devices),
        links=tuple(link for link in shard.links if link.a in devices or link.b in devices),
        services=tuple(service for service in shard.services if service.site in inside),
        neighbours=(*shard.neighbours, *(site for site in shard.sites if site.key not in inside)),
        neighbour_devices=(
            *shard.neighbour_devices, *(device for device in shard.devices if device.name not in devices)
        ),
        neighbour_services=(
            *shard.neighbour_services,
            *(each for each in shard.services if each.site in near and each.site not in inside),
        ),
    )  # fmt: skip
    others = tuple(other for other in network.shards if other is not shard)
    return Network(network.meta, network.flows, (*others, made), network.keys)
