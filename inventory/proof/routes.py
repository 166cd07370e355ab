"""What the configurations of all devices together do: sessions, routes and the way a packet takes.

A computation of the control plane from the read text: connected and static routes, OSPF inside a site (shortest paths),
BGP between devices until nothing changes any more (RFC 4271 9, RFC 4456), then the forwarding table of each device.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from inventory.proof import frr, interval

Key = tuple[int, int]
"""A prefix of a known family: (first address, length)."""

DISTANCE = {"connected": 0, "static": 1, "ebgp": 20, "ospf": 110, "ibgp": 200, "local": 200}
"""Administrative distances of FRR (zebra, "distance")."""
EXTERNAL = 20
"""Metric of a redistributed route that states none (ospfd, DEFAULT_DEFAULT_METRIC)."""
ROUNDS = 60
"""Turns per prefix and device after which the routes are said not to settle."""


class Address(msgspec.Struct, frozen=True):
    """An address of an interface and where it is written."""

    family: int
    value: int
    length: int
    file: str
    line: int

    @property
    def key(self) -> Key:
        """The prefix it lies in."""
        shift = interval.BITS[self.family] - self.length
        return self.value >> shift << shift, self.length


class Node(msgspec.Struct, frozen=True):
    """A routing device as its files say. Interfaces by name; `lo` holds the loopbacks."""

    name: str
    site: str
    config: frr.Config
    addresses: Mapping[str, tuple[Address, ...]]
    least: Mapping[int, int] = {}
    """Family → least cost that it tells of its prefixes, while the other device of its pair has the gateways."""


class Wire(msgspec.Struct, frozen=True):
    """A cable or line: (device, interface) at both ends."""

    id: str
    a: tuple[str, str]
    b: tuple[str, str]


class Path(msgspec.Struct, frozen=True, cache_hash=True):
    """A BGP route of one device."""

    local_pref: int
    as_path: tuple[int, ...]
    origin: int
    med: int
    kind: Literal["local", "ebgp", "ibgp"]
    next_hop: int
    """Address; 0 for own routes."""
    via: str
    """Device it was learned from."""
    communities: frozenset[str] = frozenset()
    aggregate: bool = False
    tag: int = 0
    client: bool = False
    """Learned from a client of this reflector."""


class Session(msgspec.Struct, frozen=True):
    """One direction of a BGP session: `device` learns from `peer`."""

    device: str
    peer: str
    family: int
    mine: frr.Neighbour
    theirs: frr.Neighbour
    external: bool
    peer_address: int
    """The next hop `peer` gives."""


class Fault(msgspec.Struct, frozen=True):
    """Something wrong that reading the sessions brought up."""

    device: str
    line: int
    what: str
    cure: str


class Hop(msgspec.Struct, frozen=True):
    """Where a device sends a packet: over `wire` to `device`, or `local` (empty wire), or nowhere (`blackhole`)."""

    device: str
    wire: str
    protocol: str


class Tables(msgspec.Struct, frozen=True):
    """The result: forwarding tables by (device, family), sessions up, and prefixes that did not settle."""

    fib: dict[tuple[str, int], dict[Key, Hop]]
    best: dict[tuple[str, int], dict[Key, Path]]
    sessions: tuple[Session, ...]
    unsettled: tuple[tuple[str, int, Key], ...]
    ospf: dict[tuple[str, int], dict[Key, tuple[int, Hop]]]
    exits: dict[tuple[str, int], dict[Key, Hop]]
    """Where BGP's best path of each prefix leads."""
    inner: Inner


class Inner(msgspec.Struct, frozen=True):
    """What devices know without BGP, and what they put into it."""

    spf: dict[int, dict[str, dict[str, tuple[int, Hop]]]]
    connected: dict[tuple[str, int], dict[Key, Hop]]
    statics: dict[tuple[str, int], dict[Key, Hop]]
    distances: dict[tuple[str, int, Key], int]
    stubs: dict[tuple[str, int], dict[Key, int]]
    igp: dict[tuple[str, int], dict[Key, tuple[int, Hop]]]
    own: dict[tuple[str, int], dict[Key, Path]]
    up: dict[tuple[str, str], bool]
    """(device, neighbour's address) → whether the session is up."""

    def around(self, devices: Iterable[str]) -> set[str]:
        """These devices and all that OSPF joins with them: nobody else sees without BGP what changes there."""
        listed = set(devices)
        return listed.union(*(tables.get(device, {}) for tables in self.spf.values() for device in listed))


Memo = dict[object, Path | None]


def build(nodes: Mapping[str, Node], wires: Sequence[Wire]) -> Ground:
    """What does not change when a wire goes down: who owns which address, who sits at the other end of what."""
    owner: dict[tuple[int, int], tuple[str, str]] = {}
    for node in nodes.values():
        for name, addresses in node.addresses.items():
            for address in addresses:
                owner[address.family, address.value] = (node.name, name)
    ends: dict[tuple[str, str], tuple[str, tuple[str, str]]] = {}
    for wire in wires:
        ends[wire.a] = (wire.id, wire.b)
        ends[wire.b] = (wire.id, wire.a)
    subnets: dict[tuple[str, int], dict[int, dict[int, list[tuple[str, int]]]]] = {}
    for node in nodes.values():
        for name, addresses in node.addresses.items():
            for address in addresses:
                shift = interval.BITS[address.family] - address.length
                table = subnets.setdefault((node.name, address.family), {}).setdefault(address.length, {})
                table.setdefault(address.value >> shift, []).append((name, address.value))
    return Ground(dict(nodes), tuple(wires), owner, ends, subnets)


class Ground(msgspec.Struct, frozen=True):
    """Devices, wires and who owns which address."""

    nodes: dict[str, Node]
    wires: tuple[Wire, ...]
    owner: dict[tuple[int, int], tuple[str, str]]
    ends: dict[tuple[str, str], tuple[str, tuple[str, str]]]
    subnets: dict[tuple[str, int], dict[int, dict[int, list[tuple[str, int]]]]]
    """(device, family) → prefix length → leading bits → (interface, its address)."""

    def up(self, device: str, name: str, down: frozenset[str]) -> bool:
        """Whether an interface is up when the wires `down` are cut."""
        end = self.ends.get((device, name))
        return end is None or end[0] not in down

    def across(self, device: str, family: int, target: int, down: frozenset[str]) -> tuple[str, str] | None:
        """(device, wire) reached directly for an address on a connected wire, else None."""
        for name in self._towards(device, family, target):
            end = self.ends.get((device, name))
            if end is not None and end[0] not in down:
                return (end[1][0], end[0]) if self.owner.get((family, target)) == end[1] else None
        return None

    def beyond(self, device: str, family: int, target: int) -> bool:
        """Whether an address lies on a line whose other end was not read: the route stands, its way is not known."""
        names = self._towards(device, family, target)
        return any((device, name) not in self.ends and name != "lo" for name in names)

    def _towards(self, device: str, family: int, target: int) -> list[str]:
        """The interfaces in whose prefix an address lies, the device's own address apart."""
        found: list[str] = []
        for length, table in self.subnets.get((device, family), {}).items():
            shift = interval.BITS[family] - length
            found += [name for name, own in table.get(target >> shift, ()) if own != target]
        return found


# OSPF -----------------------------------------------------------------------------------------------------------------


def area_of(config: frr.Config, name: str, family: int, addresses: Iterable[Address]) -> tuple[str, int] | None:
    """(area, line) an interface runs OSPF in, None when it does not."""
    process = config.ospf.get(family)
    if process is None:
        return None
    interface = config.interfaces.get(name)
    if interface:
        setting = interface.find("ip", "ospf", "area") if family == 4 else interface.find("ipv6", "ospf6", "area")
        if setting:
            return setting.words[3], setting.line
    if name in process.areas:
        return process.areas[name], process.line
    for prefix, area, line in process.networks:
        first, last = interval.interval(prefix)
        if any(address.family == family and first <= address.value <= last for address in addresses):
            return area, line
    return None


def passive(config: frr.Config, name: str, family: int) -> bool:
    """Whether an interface is advertised without making neighbours."""
    process = config.ospf[family]
    interface = config.interfaces.get(name)
    own = interface and interface.find(*(("ip", "ospf", "passive") if family == 4 else ("ipv6", "ospf6", "passive")))
    return bool(own) or name in process.passive or ("default" in process.passive and name not in process.active)


def cost_of(config: frr.Config, name: str, family: int) -> int:
    """OSPF's cost of an interface."""
    return int(_setting(config, name, family, "cost", "10"))


def _setting(config: frr.Config, name: str, family: int, what: str, default: str) -> str:
    interface = config.interfaces.get(name)
    words = ("ip", "ospf", what) if family == 4 else ("ipv6", "ospf6", what)
    setting = interface.find(*words) if interface else None
    return setting.words[3] if setting and len(setting.words) > 3 else default


def _ospf(
    ground: Ground, family: int, down: frozenset[str], among: Collection[str]
) -> dict[str, dict[str, tuple[int, Hop]]]:
    """Device → (device reached by OSPF → cost, first hop), over the wires that end at devices `among` which."""
    edges: dict[str, list[tuple[int, str, str]]] = {}
    for wire in ground.wires:
        if wire.id in down or wire.a[0] not in among or wire.b[0] not in among:
            continue
        ends = []
        for device, name in (wire.a, wire.b):
            node = ground.nodes.get(device)
            addresses = node.addresses.get(name, ()) if node else ()
            area = area_of(node.config, name, family, addresses) if node else None
            if node is None or area is None or passive(node.config, name, family):
                break
            subnets = {a.key for a in addresses if a.family == family} if family == 4 else {(0, 0)}
            timers = tuple(
                _setting(node.config, name, family, what, "") for what in ("hello-interval", "dead-interval", "network")
            )
            ends.append((device, area[0], subnets, timers, cost_of(node.config, name, family)))
        if len(ends) == 2 and ends[0][1] == ends[1][1] and ends[0][2] & ends[1][2] and ends[0][3] == ends[1][3]:
            edges.setdefault(ends[0][0], []).append((ends[0][4], ends[1][0], wire.id))
            edges.setdefault(ends[1][0], []).append((ends[1][4], ends[0][0], wire.id))
    found: dict[str, dict[str, tuple[int, Hop]]] = {}
    for device in edges:
        reached: dict[str, tuple[int, Hop]] = {}
        queue: list[tuple[int, str, str, str]] = [(0, device, "", "")]
        while queue:
            cost, at, first, wire_id = heapq.heappop(queue)
            if at in reached:
                continue
            reached[at] = (cost, Hop(first, wire_id, "ospf"))
            for step, other, wire_id2 in edges.get(at, ()):
                if other not in reached:
                    heapq.heappush(queue, (cost + step, other, first or other, wire_id or wire_id2))
        del reached[device]
        found[device] = reached
    return found


def _stubs(ground: Ground, device: str, family: int, down: frozenset[str]) -> dict[Key, int]:
    """The prefixes a device puts into OSPF by its interfaces, with their cost."""
    node = ground.nodes[device]
    found: dict[Key, int] = {}
    for name, addresses in node.addresses.items():
        if not ground.up(device, name, down) or area_of(node.config, name, family, addresses) is None:
            continue
        cost = 0 if name == "lo" else max(cost_of(node.config, name, family), node.least.get(family, 0))
        for address in addresses:
            if address.family == family:
                found[address.key] = min(cost, found.get(address.key, cost))
    return found


# Policies -------------------------------------------------------------------------------------------------------------


def permits(config: frr.Config, policy: str, family: int, key: Key, path: Path) -> tuple[Path | None, int]:
    """(the path as a route map leaves it or None when it is denied, the line that decided)."""
    stanzas = config.route_maps.get(policy)
    if not stanzas:
        return None, 0  # FRR: a route map that does not exist denies
    for stanza in stanzas:
        if all(hits(config, match.words, family, key, path) for match in stanza.matches):
            return (_set(stanza.sets, path) if stanza.permit else None), stanza.line
    return None, stanzas[-1].line


def hits(config: frr.Config, words: tuple[str, ...], family: int, key: Key, path: Path) -> bool:
    """Whether a `match` line of a route map holds for a route."""
    match words:
        case ("match", kind, "address", "prefix-list", name):
            listed = config.prefix_lists.get((family, name)) if (kind == "ip") == (family == 4) else None
            return listed is not None and listed.decide(*key)[0]
        case ("match", "tag", value):
            return path.tag == int(value)
        case ("match", "community", name):
            for entry in config.communities.get(name, ()):
                if set(entry.words[1:]) <= path.communities:
                    return entry.words[0] == "permit"
            return False
    return False


def _set(sets: Sequence[frr.Setting], path: Path) -> Path:
    for setting in sets:
        match setting.words:
            case ("set", "local-preference", value):
                path = msgspec.structs.replace(path, local_pref=int(value))
            case ("set", "metric", value):
                path = msgspec.structs.replace(path, med=int(value.lstrip("+")))
            case ("set", "tag", value):
                path = msgspec.structs.replace(path, tag=int(value))
            case ("set", "origin", value):
                path = msgspec.structs.replace(path, origin={"igp": 0, "egp": 1}.get(value, 2))
            case ("set", "as-path", "prepend", *numbers):
                path = msgspec.structs.replace(path, as_path=(*map(int, numbers), *path.as_path))
            case ("set", "community", *values):
                added = "additive" in values
                names = frozenset(v for v in values if v not in ("additive", "none"))
                path = msgspec.structs.replace(path, communities=(path.communities | names) if added else names)
    return path


def passes(
    config: frr.Config, neighbour: frr.Neighbour, family: int, way: str, external: bool, key: Key, path: Path
) -> Path | None:
    """The path as the neighbour's policies of one direction leave it; None when it does not pass."""
    listed = neighbour.filters.get((family, way))
    if listed:
        prefixes = config.prefix_lists.get((family, listed.words[3]))
        if prefixes is None or not prefixes.decide(*key)[0]:
            return None
    policy = neighbour.policies.get((family, way))
    if policy:
        return permits(config, policy.words[3], family, key, path)[0]
    if external and config.bgp and config.bgp.requires_policy and not listed:
        return None  # RFC 8212
    return path


# Sessions -------------------------------------------------------------------------------------------------------------


def source(ground: Ground, device: str, neighbour: frr.Neighbour) -> int | None:
    """The address a device opens a session from; None when it has none."""
    family = interval.family(neighbour.address)
    node = ground.nodes[device]
    update = neighbour.settings.get("update-source")
    if update:
        value = update.words[3]
        if value in node.addresses:
            return next((a.value for a in node.addresses[value] if a.family == family), None)
        try:
            address = interval.number(value)
        except ValueError:
            return None
        return address if ground.owner.get((family, address), ("",))[0] == device else None
    target = interval.number(neighbour.address)
    shift = interval.BITS[family]
    for addresses in node.addresses.values():
        for a in addresses:
            rest = shift - a.length
            if a.family == family and a.value >> rest == target >> rest and a.value != target:
                return a.value
    return None


def matches_as(asked: str, own: int, other: int) -> bool:
    """Whether `remote-as` of a device with ASN `own` fits a neighbour with ASN `other`."""
    if asked in ("internal", "external"):
        return (own == other) == (asked == "internal")
    return asked.isdigit() and int(asked) == other


def sessions(ground: Ground) -> tuple[list[Session], list[Fault]]:
    """Every direction of every session that both ends agree on, and what is wrong with the others."""
    found: list[Session] = []
    faults: list[Fault] = []
    for device, node in ground.nodes.items():
        bgp = node.config.bgp
        if bgp is None:
            continue
        for neighbour in bgp.neighbours.values():
            family = interval.family(neighbour.address)
            line = neighbour.line
            value = interval.number(neighbour.address)
            peer = ground.owner.get((family, value))

            def fault(what: str, cure: str, device: str = device, line: int = line) -> None:
                faults.append(Fault(device, line, what, cure))

            if peer is None or peer[0] == device:
                fault(
                    f"no device has the address {neighbour.address} of this neighbour",
                    "Write the address of the other end.",
                )
                continue
            other = ground.nodes[peer[0]]
            if "shutdown" in neighbour.settings:
                fault(f"the session with {peer[0]} is shut down", "Delete `shutdown`.")
                continue
            if other.config.bgp is None:
                fault(f"{peer[0]} runs no BGP", f"Give {peer[0]} its `router bgp`, or delete the neighbour.")
                continue
            if not matches_as(neighbour.remote_as, bgp.asn, other.config.bgp.asn):
                what = f"remote-as is {neighbour.remote_as or 'missing'}, but {peer[0]} has AS {other.config.bgp.asn}"
                fault(what, f"Write `remote-as {other.config.bgp.asn}`.")
                continue
            own = source(ground, device, neighbour)
            if own is None:
                fault(
                    f"{device} has no address to reach {neighbour.address} from",
                    "Correct the address or update-source.",
                )
                continue
            back = other.config.bgp.neighbours.get(interval.text(own, family))
            if back is None:
                what = (
                    f"{peer[0]} does not know {interval.text(own, family)} as a neighbour: configured on one side only"
                )
                fault(what, f"Add the neighbour on {peer[0]}, or delete it here.")
                continue
            theirs = source(ground, peer[0], back)
            if theirs != value:
                fault(
                    f"{peer[0]} opens the session from another address",
                    f"Correct update-source on {peer[0]} or the address here.",
                )
                continue
            external = bgp.asn != other.config.bgp.asn
            for one in (4, 6):
                if (one in neighbour.families) != (one in back.families):
                    if one in back.families:
                        fault(
                            f"IPv{one} is activated by {peer[0]} but not here",
                            f"Add `neighbor {neighbour.address} activate`.",
                        )
                elif one in neighbour.families:
                    if one != family:
                        what = f"IPv{one} routes over a session of IPv{family}: the next hop is not computed"
                        fault(what, "Give each family a session of its own.")
                    else:
                        found.append(Session(device, peer[0], one, neighbour, back, external, value))
    return found, faults


# Everything together --------------------------------------------------------------------------------------------------


def compute(
    ground: Ground, agreed: Sequence[Session], down: frozenset[str] = frozenset(), before: Tables | None = None,
    memo: Memo | None = None,
) -> Tables:  # fmt: skip
    """The routes of every device with the wires `down` cut; `before` is a result to start from (it only saves time)."""
    memo = {} if memo is None else memo
    touched = {end[0] for wire in ground.wires if wire.id in down for end in (wire.a, wire.b)} & ground.nodes.keys()
    stale = before.inner.around(touched) if before else set(ground.nodes)
    inner = _inner(ground, down, stale, before.inner if before else None)
    best: dict[tuple[str, int], dict[Key, Path]] = {}
    unsettled: list[tuple[str, int, Key]] = []
    changed = set(stale)
    for family in (4, 6):
        changed |= _bgp(ground, agreed, family, down, inner, stale, best, before, memo, unsettled)
    changed = inner.around(changed)
    exits, fib = (dict(before.exits), dict(before.fib)) if before else ({}, {})
    distance: dict[tuple[str, int], dict[Key, int]] = {}
    for device in changed:
        for family in (4, 6):
            where = (device, family)
            exits[where] = _exits(ground, inner, device, family, best[where], down)
            table = {key: hop for key, (_, hop) in inner.igp[where].items()}
            ranks = dict.fromkeys(table, DISTANCE["ospf"])
            for key, path in best[where].items():
                if path.kind == "local" and not path.aggregate:
                    continue
                rank = DISTANCE["local" if path.kind == "local" else path.kind]
                if rank < ranks.get(key, 999):
                    table[key], ranks[key] = exits[where][key], rank
            for key, hop in inner.statics.get(where, {}).items():
                if inner.distances[device, family, key] < ranks.get(key, 999):
                    table[key], ranks[key] = hop, inner.distances[device, family, key]
            for key, hop in inner.connected[where].items():
                table[key], ranks[key] = hop, 0
            fib[where] = table
            distance[where] = ranks
    _late(ground, changed, inner.spf, best, fib, distance)
    return Tables(fib, best, tuple(agreed), tuple(unsettled), inner.igp, exits, inner)


def _inner(ground: Ground, down: frozenset[str], stale: Collection[str], before: Inner | None) -> Inner:
    """What devices know without BGP; of those that are not `stale` it is what it was `before`."""
    spf = {family: _ospf(ground, family, down, stale) for family in (4, 6)}
    if before:
        spf = {
            family: {**{d: t for d, t in before.spf[family].items() if d not in stale}, **made}
            for family, made in spf.items()
        }
    connected = dict(before.connected) if before else {}
    statics = {key: table for key, table in before.statics.items() if key[0] not in stale} if before else {}
    distances = {key: value for key, value in before.distances.items() if key[0] not in stale} if before else {}
    stubs = dict(before.stubs) if before else {}
    igp = dict(before.igp) if before else {}
    for device in stale:
        node = ground.nodes[device]
        for family in (4, 6):
            own: dict[Key, Hop] = {}
            for name, addresses in node.addresses.items():
                if ground.up(device, name, down):
                    wire = ground.ends.get((device, name), ("", ("", "")))[0]
                    for address in addresses:
                        if address.family == family:
                            own[address.key] = Hop(device, wire, "connected")
            connected[device, family] = own
            stubs[device, family] = _stubs(ground, device, family, down) if family in node.config.ospf else {}
        for static in node.config.statics:
            key = interval.prefix(static.prefix)[1:]
            hop: Hop | None
            if static.target == "blackhole":
                hop = Hop("", "", "blackhole")
            elif frr.interval_is_interface(static.target):
                end = ground.ends.get((device, static.target))
                hop = Hop(end[1][0], end[0], "static") if end and end[0] not in down else None
            else:
                way = ground.across(device, static.family, interval.number(static.target), down)
                hop = Hop(way[0], way[1], "static") if way else None
                if hop is None and ground.beyond(device, static.family, interval.number(static.target)):
                    hop = Hop("", "", "static")
            known = (device, static.family, key)
            if hop and static.distance < distances.get(known, 256):
                statics.setdefault((device, static.family), {})[key] = hop
                distances[known] = static.distance
    for device in stale:
        for family in (4, 6):
            routes: dict[Key, tuple[int, Hop]] = {}
            for other, (cost, hop) in spf[family].get(device, {}).items():
                for key, extra in stubs[other, family].items():
                    if key not in routes or cost + extra < routes[key][0]:
                        routes[key] = (cost + extra, hop)
                node = ground.nodes[other]
                for origin in node.config.ospf[family].redistributes:
                    for key in _given(node.config, origin, connected, statics, other, family):
                        # External type 2: after every inner route (RFC 2328 11).
                        routes.setdefault(key, (cost + 1_000_000, hop))
            igp[device, family] = routes
    return Inner(
        spf,
        connected,
        statics,
        distances,
        stubs,
        igp,
        dict(before.own) if before else {},
        dict(before.up) if before else {},
    )


def _given(
    config: frr.Config, origin: frr.Origin, connected: Mapping[tuple[str, int], Mapping[Key, Hop]],
    statics: Mapping[tuple[str, int], Mapping[Key, Hop]], device: str, family: int,
) -> list[Key]:  # fmt: skip
    """The prefixes a `redistribute connected` or `static` takes in."""
    tables = {"connected": connected, "static": statics}
    if origin.what not in tables:
        return []
    keys = list(tables[origin.what].get((device, family), {}))
    return [key for key in keys if _admits(config, origin.policy, family, key)]


_OWN = Path(100, (), 2, 0, "local", 0, "")


def _admits(config: frr.Config, policy: str, family: int, key: Key) -> bool:
    return not policy or permits(config, policy, family, key, _OWN)[0] is not None


def _late(
    ground: Ground, devices: Collection[str], spf: Mapping[int, Mapping[str, Mapping[str, tuple[int, Hop]]]],
    best: Mapping[tuple[str, int], Mapping[Key, Path]], fib: Mapping[tuple[str, int], dict[Key, Hop]],
    distance: Mapping[tuple[str, int], dict[Key, int]],
) -> None:  # fmt: skip
    """What BGP and defaults put into OSPF: external routes of type 2, least metric first, then the nearest giver."""
    for family in (4, 6):
        given: dict[str, dict[Key, int]] = {}
        for device in devices:
            node = ground.nodes[device]
            process = node.config.ospf.get(family)
            if process is None:
                continue
            keys: dict[Key, int] = {}
            for origin in process.redistributes:
                if origin.what == "bgp":
                    for key, path in best[device, family].items():
                        # What the table got from elsewhere is not BGP's to give.
                        if path.kind == "local" or distance[device, family].get(key) != DISTANCE[path.kind]:
                            continue
                        kept = permits(node.config, origin.policy, family, key, _OWN)[0] if origin.policy else _OWN
                        if kept:
                            keys[key] = kept.med or origin.metric or EXTERNAL
            if process.default_originate and (process.default_originate[0] or (0, 0) in fib[device, family]):
                keys[0, 0] = 10
            given[device] = keys
        for device in devices:
            table = fib[device, family]
            chosen: dict[Key, tuple[tuple[int, int], Hop]] = {}
            for other, (cost, hop) in spf[family].get(device, {}).items():
                for key, metric in given.get(other, {}).items():
                    if key not in chosen or (metric, cost) < chosen[key][0]:
                        chosen[key] = ((metric, cost), hop)
            for key, (_, hop) in chosen.items():
                process = ground.nodes[device].config.ospf.get(family)
                if process and distance[device, family].get(key, 999) > process.external:
                    table[key] = hop


def _resolve(
    ground: Ground, inner: Inner, device: str, family: int, address: int, down: frozenset[str]
) -> tuple[int, Hop] | None:
    """(IGP cost, first hop) towards a next hop that is connected, static or known to OSPF."""
    direct = ground.across(device, family, address, down)
    if direct:
        return 0, Hop(direct[0], direct[1], "")
    bits, where = interval.BITS[family], (device, family)
    statics, connected, igp = inner.statics.get(where, {}), inner.connected[where], inner.igp[where]
    for length in range(bits, 0, -1):
        key = (address >> (bits - length) << (bits - length), length)
        if key in connected:
            return None
        if key in statics:
            return (0, statics[key]) if statics[key].device else None
        if key in igp:
            return igp[key]
    return None


def _exits(
    ground: Ground, inner: Inner, device: str, family: int, best: Mapping[Key, Path], down: frozenset[str]
) -> dict[Key, Hop]:
    """Where BGP's best paths of a device lead."""
    found: dict[Key, Hop] = {}
    for key, path in best.items():
        if path.kind == "local":
            found[key] = Hop("", "", "blackhole")
        else:
            way = _resolve(ground, inner, device, family, path.next_hop, down)
            if way:
                found[key] = Hop(way[1].device, way[1].wire, path.kind)
    return found


def _own(node: Node, inner: Inner, family: int) -> dict[Key, Path]:
    """What a device puts into BGP itself."""
    bgp, where = node.config.bgp, (node.name, family)
    local: dict[Key, Path] = {}
    if bgp is None:
        return local
    connected, statics, igp = inner.connected[where], inner.statics.get(where, {}), inner.igp[where]
    have = connected.keys() | statics.keys() | igp.keys()
    for origin in bgp.networks:
        if origin.family == family:
            key = interval.prefix(origin.what)[1:]
            if not bgp.import_check or key in have:
                path = Path(100, (), 0, 0, "local", 0, node.name)
                kept = permits(node.config, origin.policy, family, key, path)[0] if origin.policy else path
                if kept:
                    local[key] = kept
    for origin in bgp.redistributes:
        if origin.family == family:
            tables: dict[str, Iterable[Key]] = {"connected": connected, "static": statics, "ospf": igp, "ospf6": igp}
            for key in tables.get(origin.what, ()):
                path = Path(100, (), 2, 0, "local", 0, node.name)
                kept = permits(node.config, origin.policy, family, key, path)[0] if origin.policy else path
                if kept:
                    local.setdefault(key, kept)
    return local


def _bgp(
    ground: Ground, agreed: Sequence[Session], family: int, down: frozenset[str], inner: Inner, stale: Collection[str],
    best: dict[tuple[str, int], dict[Key, Path]], before: Tables | None, memo: Memo, unsettled: list[tuple[str, int, Key]],
) -> set[str]:  # fmt: skip
    """BGP of one family until nothing changes; fills `best`, and returns the devices whose best paths changed.

    What is not `stale` has sessions and own routes as `before`.
    """
    bits = interval.BITS[family]
    steps: dict[tuple[str, int], tuple[int, Hop] | None] = {}

    def resolve(device: str, address: int) -> tuple[int, Hop] | None:
        known = (device, address)
        if known not in steps:
            steps[known] = _resolve(ground, inner, device, family, address, down)
        return steps[known]

    live: dict[str, list[Session]] = {device: [] for device in ground.nodes}
    listeners: dict[str, list[str]] = {device: [] for device in ground.nodes}
    for session in agreed:
        if session.family != family:
            continue
        ends = (session.device, session.mine.address)
        if session.device in stale or session.peer in stale:
            mine = source(ground, session.device, session.mine)
            near = session.external and not {"ebgp-multihop", "disable-connected-check"} & session.mine.settings.keys()
            if mine is None:
                up = False
            elif near:
                up = ground.across(session.device, family, session.peer_address, down) is not None
            else:
                up = (
                    resolve(session.device, session.peer_address) is not None
                    and resolve(session.peer, mine) is not None
                )
            inner.up[ends] = up
        if inner.up[ends]:
            live[session.device].append(session)
            listeners[session.peer].append(session.device)
    for device in stale:
        inner.own[device, family] = _own(ground.nodes[device], inner, family)
    own = {device: inner.own[device, family] for device in ground.nodes}
    aggregates: dict[str, dict[Key, bool]] = {}
    for device, node in ground.nodes.items():
        bgp = node.config.bgp
        if bgp and bgp.aggregates:
            aggregates[device] = {
                interval.prefix(a.prefix)[1:]: a.summary_only for a in bgp.aggregates if a.family == family
            }

    rib: dict[str, dict[Key, Path]] = {device: {} for device in ground.nodes}
    queue: deque[tuple[str, Key]] = deque()
    queued: set[tuple[str, Key]] = set()

    def push(device: str, key: Key) -> None:
        if (device, key) not in queued:
            queued.add((device, key))
            queue.append((device, key))

    if before:
        rib = {device: dict(before.best[device, family]) for device in ground.nodes}
        everything = {key for table in rib.values() for key in table}
        # Who listens to one of them may have lost a session with it.
        hearing = {session.device for session in agreed if session.peer in stale} | set(stale)
        for device in sorted(hearing):
            for key in everything | own[device].keys():
                push(device, key)
    for device in ground.nodes if before is None else stale:
        for key in own[device]:
            push(device, key)
        for key in aggregates.get(device, {}):
            push(device, key)
    turns: dict[tuple[str, Key], int] = {}

    def inside(key: Key, outer: Key) -> bool:
        return key[1] > outer[1] and key[0] >> (bits - outer[1]) == outer[0] >> (bits - outer[1])

    def suppressed(device: str, key: Key) -> bool:
        return any(
            only and inside(key, outer) and outer in rib[device] for outer, only in aggregates.get(device, {}).items()
        )

    def offered(session: Session, key: Key) -> Path | None:
        """What `session.device` takes for `key` from its peer."""
        path = rib[session.peer].get(key)
        if path is None or suppressed(session.peer, key):
            return None
        known = (session.device, session.mine.address, family, key, path)
        if known in memo:
            return memo[known]
        memo[known] = answer = _learn(ground, session, key, path)
        return answer

    while queue:
        device, key = queue.popleft()
        queued.discard((device, key))
        turn = turns[device, key] = turns.get((device, key), 0) + 1
        if turn > ROUNDS:
            if turn == ROUNDS + 1:
                unsettled.append((device, family, key))
            continue
        candidates: list[tuple[tuple[object, ...], Path]] = []
        if key in own[device]:
            path = own[device][key]
            candidates.append((_rank(path, 0, ""), path))
        if key in aggregates.get(device, {}) and any(inside(k, key) for k in rib[device]):
            path = Path(100, (), 0, 0, "local", 0, device, aggregate=True)
            candidates.append((_rank(path, 0, ""), path))
        for session in live[device]:
            learned = offered(session, key)
            if learned is None:
                continue
            way = resolve(device, learned.next_hop)
            if way is None:
                continue
            candidates.append((_rank(learned, way[0], session.mine.address), learned))
        chosen = min(candidates, key=lambda c: c[0])[1] if candidates else None
        if rib[device].get(key) == chosen:
            continue
        if chosen is None:
            del rib[device][key]
        else:
            rib[device][key] = chosen
        for listener in listeners[device]:
            push(listener, key)
        for outer in aggregates.get(device, {}):
            if inside(key, outer):
                push(device, outer)
        if key in aggregates.get(device, {}):
            for part in [k for k in rib[device] if inside(k, key)]:
                for listener in listeners[device]:
                    push(listener, part)
    for device in ground.nodes:
        best[device, family] = rib[device]
    return {d for d in ground.nodes if before is None or rib[d] != before.best[d, family]}


def _rank(path: Path, cost: int, address: str) -> tuple[object, ...]:
    """Smaller is better (RFC 4271 9.1.2.2, FRR "BGP route selection"). Own routes weigh most; MED is compared whoever the neighbour is."""
    return (
        path.kind != "local", -path.local_pref, len(path.as_path), path.origin, path.med, path.kind == "ibgp", cost,
        interval.number(address) if address else 0,
    )  # fmt: skip


def _learn(ground: Ground, session: Session, key: Key, path: Path) -> Path | None:
    """The route `session.device` gets for `key` when its peer's best is `path`; None when it gets none."""
    giver, taker = ground.nodes[session.peer], ground.nodes[session.device]
    assert giver.config.bgp and taker.config.bgp
    family = session.family
    if path.via == session.device:
        return None
    if not session.external and path.kind == "ibgp":
        client = (family, "route-reflector-client") in session.theirs.options
        if not (client or path.client):
            return None
    if "no-export" in path.communities and session.external:
        return None
    if session.external:
        med = path.med if path.kind == "local" else 0
        path = msgspec.structs.replace(path, med=med, local_pref=100, next_hop=session.peer_address)
    elif (family, "next-hop-self") in session.theirs.options or path.kind == "local":
        path = msgspec.structs.replace(path, next_hop=session.peer_address)
    given = passes(giver.config, session.theirs, family, "out", session.external, key, path)
    if given is None:
        return None
    if session.external:
        given = msgspec.structs.replace(given, as_path=(giver.config.bgp.asn, *given.as_path), local_pref=100, tag=0)
    if (family, "no send-community") in session.theirs.options:
        given = msgspec.structs.replace(given, communities=frozenset())
    if taker.config.bgp.asn in given.as_path:
        return None
    taken = passes(taker.config, session.mine, family, "in", session.external, key, given)
    if taken is None:
        return None
    client = not session.external and (family, "route-reflector-client") in session.mine.options
    kind: Literal["ebgp", "ibgp"] = "ebgp" if session.external else "ibgp"
    return msgspec.structs.replace(taken, kind=kind, via=session.peer, aggregate=False, client=client)


# The way of a packet --------------------------------------------------------------------------------------------------


class Way(msgspec.Struct, frozen=True):
    """The devices a packet passes, the wires between them, and how it ends: `delivered`, `no route`, `blackhole`, `loop`."""

    devices: tuple[str, ...]
    wires: tuple[str, ...]
    end: str


def lookup(table: Mapping[Key, Hop], family: int, address: int, lengths: Sequence[int]) -> tuple[Key, Hop] | None:
    """The longest match of `address`; `lengths` are the lengths in the table, longest first."""
    bits = interval.BITS[family]
    for length in lengths:
        key = (address >> (bits - length) << (bits - length), length)
        hop = table.get(key)
        if hop:
            return key, hop
    return None


def trace(tables: Tables, device: str, family: int, address: int) -> Way:
    """The way a packet to `address` takes from `device`."""
    devices, wires = [device], list[str]()
    while True:
        table = tables.fib.get((device, family))
        if table is None:
            return Way(tuple(devices), tuple(wires), "delivered")
        found = lookup(table, family, address, lengths(table))
        if found is None:
            return Way(tuple(devices), tuple(wires), "no route")
        hop = found[1]
        if hop.protocol == "connected":
            return Way(tuple(devices), tuple(wires), "delivered")
        if not hop.device:
            return Way(tuple(devices), tuple(wires), "blackhole")
        wires.append(hop.wire)
        if hop.device in devices:
            return Way((*devices, hop.device), tuple(wires), "loop")
        devices.append(hop.device)
        device = hop.device


def lengths(table: Mapping[Key, Hop]) -> list[int]:
    """The prefix lengths in a table, longest first."""
    return sorted({key[1] for key in table}, reverse=True)
