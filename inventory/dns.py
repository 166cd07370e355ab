"""Forward and reverse zones, delegated by level: every record in them, and what a server does besides serving its own.

Who is primary for which zone, and who has copies of it, `ip_plan/nameservers.py` says. IPv4 reverse stops at the province: delegated
to cities it would need a zone for every /24 (some 26,000 in the national plan).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from socket import AF_INET, AF_INET6, inet_pton
from typing import Literal

import msgspec

from ground import files
from inventory.ends import Dual, bare, join
from ip_plan import addressing, nameservers
from ip_plan.addressing import Block
from ip_plan.nameservers import ROOT, NameServer, reverse_zone, services
from ip_plan.network import Device, Network, Service, Shard, Site

TTL = 300
"""Seconds: a service that moves in a switch-over is found at its new host within five minutes."""


class Name(msgspec.Struct, frozen=True, gc=False):
    """A name with its address in each family; forward and reverse come from the same value."""

    fqdn: str
    v4: str
    v6: str


class Zone(msgspec.Struct, frozen=True, dict=True):
    """A zone that a server is primary for. `records` without SOA: (absolute name, type, data), sorted."""

    name: str
    """Without a final dot; `.` is the root."""
    kind: Literal["root", "forward", "reverse4", "reverse6"]
    servers: tuple[str, ...]
    """Names of its servers; the first is the primary."""
    mail: str
    records: tuple[tuple[str, str, str], ...]

    @cached_property
    def key(self) -> str:
        """SHA-256 of what the zone says, its serial apart."""
        return files.sha256(msgspec.json.encode(self))


class Delegation(msgspec.Struct, frozen=True):
    """A zone of a child, and the servers that are asked about it."""

    zone: str
    servers: tuple[str, ...]
    addresses: Dual


class Peer(msgspec.Struct, frozen=True):
    """A server one level up or down, with which zones are passed on."""

    key: str
    """Name of the TSIG key that signs what passes between the two."""
    secret: str
    """Name of the secret that the key is made from."""
    addresses: Dual


class Copy(msgspec.Struct, frozen=True):
    """A zone that a server is secondary for."""

    zone: str
    key: str
    """Of the peer that is primary for it."""
    below: Dual
    """Who is asked about what it delegates: the primary where that is a child; empty: as about everything else."""


class Server(msgspec.Struct, frozen=True):
    """What the name server of one centre does."""

    site: str
    zones: tuple[Zone, ...]
    peers: tuple[Peer, ...]
    followers: tuple[str, ...]
    """Keys of the peers that have copies of its zones, and hear of every change."""
    copies: tuple[Copy, ...]
    delegations: tuple[Delegation, ...]
    """Zones in its blocks that others serve (a region moved), asked of the parent."""
    forwarders: Dual
    """The parent's servers, asked about everything else; empty at the ministry, which knows the root."""
    listen: Dual
    clients: Dual


class Serials(msgspec.Struct, frozen=True):
    """Zone → (key of its content, serial). A serial grows by one when the content changes, and only then (RFC 1982)."""

    held: dict[str, tuple[str, int]] = {}

    def next(self, zone: Zone) -> int:
        """The serial `zone` has to carry."""
        key, serial = self.held.get(zone.name, ("", 0))
        return serial if key and key == zone.key else serial + 1


def addresses(carried: Iterable[Service]) -> Dual:
    """Their addresses."""
    return join(Dual((service.v4,), (service.v6,)) for service in carried)


def serving(network: Network, site: Site, port: str) -> Dual:
    """Where the hosts of `site` find a service: at their own centre, or at the nearest one that serves them."""
    current: Site | None = site
    while current is not None:
        if found := services(network, current, port):
            return addresses(found)
        current = network.known_sites.get(current.parent)
    return Dual()


def above(network: Network, site: Site, port: str) -> Dual:
    """Where the centre itself asks on: the nearest serving centre."""
    parent = network.known_sites.get(site.parent)
    return serving(network, parent, port) if parent else Dual()


# ---- names


def names(device: Device) -> Iterator[Name]:
    """The names of a device: its own, and one for each interface of a routing device."""
    if device.loopback4:
        yield Name(device.fqdn, device.loopback4, device.loopback6)
        for interface in device.interfaces:
            yield Name(f"{interface.name}.{device.fqdn}", bare(interface.v4), bare(interface.v6))
    else:
        for interface in device.interfaces:
            if interface.v4:  # a switch's ports have no addresses
                yield Name(device.fqdn, bare(interface.v4), bare(interface.v6))


def far_ends(network: Network, shard: Shard) -> Iterator[Name]:
    """Ends of this shard's lines that stand in another shard: their addresses lie in the blocks of this one."""
    own = {device.name for device in shard.devices}
    for link in shard.links:
        if link.a in own:
            continue
        near = next(i for i in network.devices[link.b].interfaces if i.name == link.b_interface)
        known = network.known_devices.get(link.a)
        site = network.known_sites[near.peer_site]
        fqdn = known.fqdn if known else f"{link.a.rpartition('-')[2]}.{site.domain}"
        yield Name(f"{link.a_interface}.{fqdn}", near.peer4, near.peer6)


def pointer(address: str) -> str:
    """The absolute name under which an address's reverse lies (RFC 1035 3.5, RFC 3596 2.5)."""
    if ":" in address:
        return ".".join(reversed(inet_pton(AF_INET6, address).hex())) + ".ip6.arpa."
    return ".".join(reversed(address.split("."))) + ".in-addr.arpa."


# ---- servers


def servers(network: Network, shard: Shard) -> dict[str, Server]:
    """Site key → its name server, for every centre of the shard that runs one."""
    owners = {site.key: owner for site in shard.sites if (owner := nameservers.server(network, site))}
    apexes = {owner.apex: key for key, owner in owners.items()}
    known: dict[tuple[int, Block], str] = {}
    children: dict[str, list[NameServer]] = {}
    for key, owner in owners.items():
        known.update((piece, key) for piece in owner.reverse)
        for child in network.children.get(key, ()):
            other = owners.get(child.key) or nameservers.server(network, child)
            if other:
                children.setdefault(key, []).append(other)
                known.update((piece, child.key) for piece in other.reverse)
    forward: dict[str, list[Name]] = {}
    reverse: dict[tuple[int, Block], list[tuple[str, str]]] = {}
    lengths = {of: sorted({block[1] for family, block in known if family == of}, reverse=True) for of in (4, 6)}
    own = [name for device in shard.devices for name in names(device)]
    own += [Name(service.fqdn, service.v4, service.v6) for service in shard.services]
    for name in own:
        if apex := _apex(name.fqdn, apexes):
            forward.setdefault(apexes[apex], []).append(name)
    for name in [*own, *far_ends(network, shard)]:
        for address in (name.v4, name.v6):
            if piece := _piece(address, lengths, known):
                reverse.setdefault(piece, []).append((pointer(address), f"{name.fqdn}."))
    return {
        key: _server(
            network, owner, children.get(key, []), forward.get(key, []), reverse, _lent(network, owner, owners)
        )
        for key, owner in owners.items()
    }


def _lent(network: Network, owner: NameServer, owners: dict[str, NameServer]) -> list[Delegation]:
    """Reverse zones in the blocks of `owner` of regions that moved away: another serves them, and its parent knows who."""
    found = {}
    for site in network.strays.get(owner.site.key, ()):
        server = owners.get(site.parent)
        if server is None or site.parent == owner.site.key or server.site.parent == owner.site.key:
            continue
        asked = above(network, owner.site, "udp/53")
        for text in network.regions[site.region].blocks6:
            for piece in addressing.pieces(addressing.parse(text, 6), 6):
                found[piece] = Delegation(reverse_zone(piece, 6), server.servers, asked)
    return list(found.values())


def _apex(fqdn: str, apexes: dict[str, str]) -> str:
    rest = fqdn
    while rest:
        if rest in apexes:
            return rest
        rest = rest.partition(".")[2]
    return ""


def _piece(
    address: str, lengths: dict[int, list[int]], known: dict[tuple[int, Block], str]
) -> tuple[int, Block] | None:
    """The longest of the blocks `known` that holds `address`. `lengths`: those that there are of each family, longest first."""
    family = 6 if ":" in address else 4
    value = int.from_bytes(inet_pton(AF_INET6 if family == 6 else AF_INET, address))
    bits = addressing.BITS[family]
    for length in lengths[family]:
        piece = (family, (value >> (bits - length) << (bits - length), length))
        if piece in known:
            return piece
    return None


def _server(
    network: Network, owner: NameServer, children: list[NameServer], forward: list[Name],
    reverse: dict[tuple[int, Block], list[tuple[str, str]]], lent: list[Delegation],
) -> Server:  # fmt: skip
    mail = f"hostmaster.{network.meta.root}."
    delegations = [
        Delegation(zone, child.servers, addresses(child.services)) for child in children for zone in child.zones
    ]
    delegations += lent
    glue = [Name(fqdn, *pair) for child in children for fqdn, *pair in _glue(child)]
    records = [record for name in [*forward, *glue] for record in _forward(name)]
    zones = [(owner.apex, "forward", records)]
    for family, block in owner.reverse:
        pointers = [(pointer, "PTR", fqdn) for pointer, fqdn in reverse.get((family, block), [])]
        zones.append((reverse_zone(block, family), f"reverse{family}", pointers))
    if ROOT in owner.zones:
        top = [Name(fqdn, *pair) for fqdn, *pair in _glue(owner)]
        below = [(f"{name}.", "NS", f"{server}.") for name, _, _ in zones for server in owner.servers]
        zones.insert(0, (ROOT, "root", [*below, *(record for name in top for record in _forward(name))]))
    ends_of = {delegation.zone for delegation in delegations}
    for delegation in delegations:
        if any(up in ends_of for up in _over(delegation.zone)):
            continue  # the zone of a child delegates it, to where the region moved
        held = [zone for zone in zones if zone[0] != ROOT and delegation.zone.endswith(f".{zone[0]}")]
        closest = max(held, key=lambda zone: len(zone[0]))
        closest[2].extend((f"{delegation.zone}.", "NS", f"{server}.") for server in delegation.servers)
    parent = network.known_sites.get(owner.site.parent)
    followed, followers = (of(network, owner.site) for of in (nameservers.followed, nameservers.followers))
    return Server(
        site=owner.site.key,
        zones=tuple(
            Zone(name, kind, owner.servers, mail, tuple(sorted(set(records))))  # type: ignore[arg-type]
            for name, kind, records in zones
        ),
        peers=tuple(
            Peer(pair.key, pair.secret, addresses(pair.other.services))
            for pair in dict.fromkeys((*followed, *followers))
        ),
        followers=tuple(pair.key for pair in followers),
        copies=tuple(
            Copy(zone, pair.key, addresses(pair.other.services) if pair.other.site.parent == owner.site.key else Dual())
            for pair in followed
            for zone in pair.other.zones
        ),
        delegations=tuple(sorted(lent, key=lambda each: each.zone)),
        forwarders=serving(network, parent, nameservers.PORT) if parent else Dual(),
        listen=addresses(owner.services),
        clients=Dual((network.meta.supernet4,), (network.meta.supernet6,)),
    )


def _over(zone: str) -> Iterator[str]:
    """The names above a zone's, nearest first."""
    while zone := zone.partition(".")[2]:
        yield zone


def _glue(owner: NameServer) -> list[tuple[str, str, str]]:
    return [(service.fqdn, service.v4, service.v6) for service in owner.services]


def _forward(name: Name) -> list[tuple[str, str, str]]:
    return [(f"{name.fqdn}.", "A", name.v4), (f"{name.fqdn}.", "AAAA", name.v6)]


def text(zone: Zone, serial: int) -> str:
    """The master file of a zone (RFC 1035 5)."""
    origin = ROOT if zone.name == ROOT else f"{zone.name}."
    lines = [
        f"$ORIGIN {origin}",
        f"$TTL {TTL}",
        f"@ IN SOA {zone.servers[0]}. {zone.mail} {serial} 3600 600 1209600 60",
        *(f"@ IN NS {server}." for server in zone.servers),
        *(f"{name} IN {kind} {data}" for name, kind, data in zone.records),
    ]
    return "\n".join(lines) + "\n"
