"""Name servers: which zones the server of a centre is primary for, and whose zones it has copies of.

The ministry is primary for an internal root, the plan's root domain and the reverse zones of the supernets; a province for its domain
and the reverse zones of its blocks; a city for its domain and those of its IPv6 block. The server one level up is secondary for each of
these zones (S2 三(二): names follow the levels). The provinces are secondaries of the ministry's zones too, so that the root stands at
more than one site and a province goes on when the ministry is cut off; they are in no NS record, which so many would make longer than
a datagram. Each pair of servers has a TSIG key of its own (RFC 8945).

Read from the Network alone, so that what is rendered and what is looked at from outside expect the same.
"""

from __future__ import annotations

import msgspec

from ip_plan import addressing
from ip_plan.addressing import Block
from ip_plan.network import Network, Service, Site

PORT = "udp/53"
ROOT = "."


class NameServer(msgspec.Struct, frozen=True):
    """The name server of one centre, as the primary of its zones."""

    site: Site
    apex: str
    services: tuple[Service, ...]
    listed: tuple[Service, ...]
    """Those that the NS records of its zones name: its own, then those of its secondary one level up."""
    reverse: tuple[tuple[int, Block], ...]
    """(family, block on a boundary) of its reverse zones."""

    @property
    def servers(self) -> tuple[str, ...]:
        """Names of its zones' servers; the first is the primary."""
        return tuple(service.fqdn for service in self.listed)

    @property
    def zones(self) -> tuple[str, ...]:
        """The zones that it is primary for."""
        top = (ROOT,) if self.site.level == "ministry" else ()
        return (*top, self.apex, *(reverse_zone(block, family) for family, block in self.reverse))


class Pair(msgspec.Struct, frozen=True):
    """Two servers that pass zones on, one level apart."""

    other: NameServer
    lower: str
    """Code under which the region of the lower one was first granted."""

    @property
    def key(self) -> str:
        """Name of their TSIG key."""
        return f"names-{self.lower}"

    @property
    def secret(self) -> str:
        """Name of the secret that it is made from: both have the same."""
        return f"names/{self.lower}"


def server(network: Network, site: Site) -> NameServer | None:
    """The name server of `site`; None where it runs none."""
    carried = services(network, site, PORT)
    region = network.regions.get(site.region)
    if not carried or region is None:
        return None
    top = site.level == "ministry"
    blocks: list[tuple[int, str]] = []
    if top:
        blocks = [(4, network.meta.supernet4), (6, network.meta.supernet6)]
    elif site.kind == "centre":
        blocks = [(4, text) for text in region.blocks4 if site.level == "province"] + [
            (6, text) for text in region.blocks6
        ]
    moved = [child for child in network.children.get(site.key, ()) if child.holder and child.region in network.regions]
    blocks += [(6, text) for child in moved for text in network.regions[child.region].blocks6]
    reverse = [
        (family, piece)
        for family, text in blocks
        for piece in addressing.pieces(addressing.parse(text, family), family)
    ]
    parent = network.known_sites.get(site.parent)
    above = services(network, parent, PORT) if parent else []
    apex = network.meta.root if top else site.domain
    return NameServer(site, apex, tuple(carried), (*carried, *above), tuple(reverse))


def services(network: Network, site: Site, port: str) -> list[Service]:
    """The services of a site on `port`, e.g. `udp/53`."""
    carried = (service for zone in site.zones for service in network.services_at.get((site.key, zone.name), ()))
    return [service for service in carried if port in service.ports]


def followed(network: Network, site: Site) -> tuple[Pair, ...]:
    """The servers whose zones that of `site` has copies of: one level down, and the ministry."""
    above = _above(network, site)
    return (*_below(network, site), *(pair for pair in above if pair.other.site.level == "ministry"))


def followers(network: Network, site: Site) -> tuple[Pair, ...]:
    """The servers that have copies of the zones of `site`: one level up; of the ministry's those of the provinces."""
    return (*_above(network, site), *(_below(network, site) if site.level == "ministry" else ()))


def _above(network: Network, site: Site) -> tuple[Pair, ...]:
    parent = network.known_sites.get(site.parent)
    found = server(network, parent) if parent and services(network, site, PORT) else None
    return (Pair(found, _first(site)),) if found else ()


def _below(network: Network, site: Site) -> tuple[Pair, ...]:
    children = ((child, server(network, child)) for child in network.children.get(site.key, ()))
    return tuple(Pair(found, _first(child)) for child, found in children if found)


def _first(site: Site) -> str:
    return site.key.partition(":")[0]


def reverse_zone(block: Block, family: int) -> str:
    """The reverse zone of a block on an octet (IPv4) or nibble (IPv6) boundary."""
    if family == 4:
        octets = [str(block[0] >> shift & 255) for shift in (24, 16, 8, 0)][: block[1] // 8]
        return ".".join([*reversed(octets), "in-addr.arpa"])
    nibbles = f"{block[0]:032x}"[: block[1] // 4]
    return ".".join([*reversed(nibbles), "ip6.arpa"])
