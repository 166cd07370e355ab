"""Do the routes of all devices together carry what the rows allow, over the lines meant for it, and nothing more?

What the computed routes do (`routes.py`): destinations out of reach, a detour over a backup line, nothing left when a line is
cut. What one device's own text says wrongly is found in `lines.py`.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping

import msgspec

from inventory.proof import frr, interval, pairs, routes
from inventory.proof.decide import World, own_addresses
from inventory.proof.finding import Finding, Place
from inventory.proof.lines import address_of, addresses_of, lines_of, spelled
from inventory.proof.routes import Address, Ground, Node, Path, Tables, Wire
from inventory.proof.texts import Reading
from ip_plan.network import TRANSIT, Device, Network, Site


class Routed(msgspec.Struct, frozen=True):
    """The computed routes: with everything up, and with each line cut that has another beside it."""

    ground: Ground
    tables: Tables
    cuts: dict[str, Tables]


def node(world: World, reading: Reading, active: bool = True, first: bool = True) -> Node | None:
    """A routing device as its files say; None when it has no readable frr.conf. `active`: it has the addresses that it shares;
    `first`: because of a pair's two that one is meant to."""
    if reading.frr is None:
        return None
    found: dict[str, list[Address]] = {}
    for unit in reading.units:
        for text, line in unit.addresses:
            found.setdefault(unit.name, []).append(address_of(text, unit.file, line))
    for item in reading.frr.interfaces.values():
        for setting in item.settings:
            if setting.words[:2] in (("ip", "address"), ("ipv6", "address")) and len(setting.words) > 2:
                found.setdefault(item.name, []).append(address_of(setting.words[2], reading.frr.file, setting.line))
    pair = reading.pair
    for virtual in pair.virtuals if pair else ():
        if pair and active:
            for text, line in virtual.addresses:
                found.setdefault(virtual.interface, []).append(address_of(text, pair.file, line))
        elif pair and pair.fixed and not first:
            found.pop(virtual.interface, None)
    device = world.devices[reading.device]
    least = pair.least if pair and not active else {}
    return Node(device.name, device.site, reading.frr, {name: tuple(listed) for name, listed in found.items()}, least)


def wires(network: Network, nodes: Mapping[str, Node]) -> list[Wire]:
    """The links between devices that were read."""
    return [
        Wire(link.id, (link.a, link.a_interface), (link.b, link.b_interface))
        for link in network.links.values()
        if link.a in nodes and link.b in nodes
    ]


def compute(
    world: World, readings: Mapping[str, Reading], *, cut: bool = True, mine: Collection[str] | None = None,
    first: bool = True,
) -> tuple[Routed, list[Finding]]:  # fmt: skip
    """The routes of all devices, with everything up and (`cut`) with each redundant line cut, and what sessions lack.

    `mine`: only what these lack is told, and only lines cut that end at one of them or join devices of one site. `first`: of pairs
    the one that is to be active is; else the other.
    """
    network = world.network
    nodes = {}
    sites = {world.devices[name].site for name, reading in readings.items() if reading.pair}
    acting = {pairs.active(world, readings, site, first=first) for site in sites}
    for name, reading in readings.items():
        shown = world.devices[name].site not in sites or name in acting
        made = node(world, reading, shown, first) if world.devices[reading.device].role != "host" else None
        if made is not None:
            nodes[made.name] = made
    ground = routes.build(nodes, wires(network, nodes))
    agreed, faults = routes.sessions(ground)
    found = []
    for fault in faults:
        # Of a line that leads to nothing that was read, its own end tells nothing wrong.
        if mine is not None and fault.device not in mine:
            continue
        config = nodes[fault.device].config
        # The other end may simply not be in the tree.
        neighbour = (
            next((n for n in config.bgp.neighbours.values() if n.line == fault.line), None) if config.bgp else None
        )
        if (
            neighbour
            and fault.what.startswith("no device has")
            and _absent(world, fault.device, neighbour.address, nodes)
        ):
            continue
        found.append(Finding("JB2412", config.file, fault.line, fault.device, fault.what, fault.cure))
    memo: routes.Memo = {}
    base = routes.compute(ground, agreed, memo=memo)
    apart = _bridges(ground) if cut else set()
    without = {
        wire.id: routes.compute(ground, agreed, frozenset({wire.id}), base, memo)
        for wire in (ground.wires if mine is None else _concerning(ground, mine))
        if cut and wire.id not in apart
    }
    return Routed(ground, base, without), found


def _absent(world: World, name: str, address: str, nodes: Mapping[str, Node]) -> bool:
    """Whether an address is the other end of a line, or a router of the same site, that was not read."""
    wanted, device = spelled(address), world.devices[name]
    far = [(item.peer, text) for item in device.interfaces for text in (item.peer4, item.peer6)]
    for other in world.network.known_sites[device.site].devices:
        if other in world.devices and other != name:
            far += [(other, text) for text in addresses_of(world.devices[other])]
    return any(other not in nodes and text and spelled(text) == wanted for other, text in far)


def _concerning(ground: Ground, mine: Collection[str]) -> list[Wire]:
    """The wires that end at one of `mine`, and those inside the sites that such wires lead to."""

    def sites(wire: Wire) -> set[str]:
        return {ground.nodes[name].site for name, _ in (wire.a, wire.b)}

    near = [wire for wire in ground.wires if wire.a[0] in mine or wire.b[0] in mine]
    around = set().union(*map(sites, near))
    inside = [wire for wire in ground.wires if wire not in near and len(sites(wire)) == 1 and sites(wire) <= around]
    return near + inside


def _bridges(ground: Ground) -> set[str]:
    """The wires without which their two ends are not joined any more."""
    joined: dict[str, list[tuple[str, str]]] = {}
    for wire in ground.wires:
        joined.setdefault(wire.a[0], []).append((wire.b[0], wire.id))
        joined.setdefault(wire.b[0], []).append((wire.a[0], wire.id))
    found: set[str] = set()
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    for start in joined:
        if start in order:
            continue
        order[start] = low[start] = len(order)
        way = [(start, "", iter(joined[start]))]
        while way:
            name, entry, rest = way[-1]
            for other, wire_id in rest:
                if wire_id == entry:
                    continue
                if other in order:
                    low[name] = min(low[name], order[other])
                    continue
                order[other] = low[other] = len(order)
                way.append((other, wire_id, iter(joined[other])))
                break
            else:
                way.pop()
                if way:
                    above = way[-1][0]
                    low[above] = min(low[above], low[name])
                    if low[name] > order[above]:
                        found.add(entry)
    return found


class Need(msgspec.Struct, frozen=True):
    """A destination that a device must reach, because a row lets its zone open or answer connections."""

    device: str
    site: str
    target: str
    """`site:zone`."""
    owner: str
    """Device the destination hangs on."""
    family: int
    address: int
    row: str
    place: str
    beside: bool = False
    """Whether the device has an interface in that zone itself: what it says there takes no gateway."""


def _read(ground: Ground, device: Device, family: int, address: int) -> bool:
    """Whether an own address is a loopback, or of a line whose other end was read too."""
    names = [
        i.name
        for i in device.interfaces
        if interval.number((i.v4 if family == 4 else i.v6).partition("/")[0]) == address
    ]
    return not names or (device.name, names[0]) in ground.ends


def _aside(network: Network, device: Device, address: int, family: int) -> bool:
    """Whether an address is what a vendor's firewall has in a zone beside the gateway: only the other one of its pair speaks to it."""
    if not device.numbers or device not in network.pair(device.site):
        return False
    zones = (each for each in device.interfaces if each.kind == "zone")
    return any(interval.number((each.v4 if family == 4 else each.v6).partition("/")[0]) == address for each in zones)


def _beside(network: Network, one: str, other: str) -> bool:
    """Whether two devices are a vendor's pair, each with an interface in every zone."""
    device = network.devices[one]
    return (
        bool(device.numbers)
        and other != one
        and network.devices[other] in network.pair(device.site)
        and device.role == "firewall"
    )


def needs(world: World, ground: Ground, mine: Collection[str] | None = None) -> list[Need]:
    """Every destination that rows ask for, seen from the device that the opener's (and the answerer's) zone hangs on.

    `mine`: only between the sites of these devices and those that serve them, where a line to below can lead astray.
    """
    network = world.network
    sites: set[str] = set()
    if mine is not None:
        near = [network.sites[key] for key in {network.devices[name].site for name in mine if name in network.devices}]
        sites = {key for site in near for key in (site.key, site.parent)}
    found: dict[tuple[str, int, int], Need] = {}
    gate = gates(network, ground)

    def points(site: Site, zone: str, family: int, peer: Site) -> list[tuple[str, int]]:
        if zone == TRANSIT:
            found = [
                (name, device) for name in site.devices if (device := world.devices.get(name)) and name in ground.nodes
            ]
            if peer.key == site.key:
                # Lines whose other end was not read need not be reached: one of them would tell no more than the others.
                return [
                    (name, span[0])
                    for name, device in found
                    if device.routes
                    for span in own_addresses(device, family)
                    if not _aside(network, device, span[0], family) and _read(ground, device, family, span[0])
                ]
            return [
                (name, interval.number(device.loopback4 if family == 4 else device.loopback6))
                for name, device in found
                if device.loopback4
            ]
        known = site.zone(zone)
        if known is None or site.key not in gate:
            return []
        return [
            (
                gate[site.key],
                next(value for value in range(span[0] + 2, span[1] + 1) if (family, value) not in ground.owner),
            )
            for span in world.spans(site, zone, "", family)
        ]

    for flow in world.allowed:
        if flow.relation == "external":
            continue
        for site in network.sites.values():
            for other in network.related(site, flow.relation):
                if not flow.between(site, other):
                    continue
                if mine is not None and not (site.key in sites and other.key in sites):
                    continue
                for family in (4, 6):
                    sources, targets = (
                        points(site, flow.from_zone, family, other),
                        points(other, flow.to_zone, family, site),
                    )
                    for one, here in sources:
                        for two, there in targets:
                            if flow.from_zone == TRANSIT == flow.to_zone and flow.relation != "same-centre":
                                continue
                            if one != two:
                                goal, back = f"{other.key}:{flow.to_zone}", f"{site.key}:{flow.from_zone}"
                                beside = _beside(network, one, two)
                                found.setdefault(
                                    (one, family, there),
                                    Need(one, site.key, goal, two, family, there, flow.id, flow.place, beside),
                                )
                                found.setdefault(
                                    (two, family, here),
                                    Need(two, other.key, back, one, family, here, flow.id, flow.place, beside),
                                )
    return list(found.values())


def gates(network: Network, ground: Ground) -> dict[str, str]:
    """Site → the device that its zones hang on: of a pair the one that has their gateways."""
    found = {}
    for site in network.sites.values():
        listed = [n for n in site.devices if network.devices[n].role in ("firewall", "access") and n in ground.nodes]
        owners = {
            ground.owner.get((family, interval.number(text)), ("",))[0]
            for zone in site.zones
            for family, text in ((4, zone.gateway4), (6, zone.gateway6))
        }
        if listed:
            found[site.key] = next((name for name in listed if name in owners), listed[-1])
    return found


class _Steps:
    """Next hops of one result, looked up once."""

    def __init__(self, ground: Ground, tables: Tables) -> None:
        self.ground = ground
        self.tables = tables
        self.known: dict[tuple[str, int, int], routes.Hop | None] = {}
        self.lengths: dict[tuple[str, int], list[int]] = {}

    def next(self, device: str, family: int, address: int) -> routes.Hop | None:
        key = (device, family, address)
        if key not in self.known:
            table = self.tables.fib[device, family]
            if (device, family) not in self.lengths:
                self.lengths[device, family] = routes.lengths(table)
            hit = routes.lookup(table, family, address, self.lengths[device, family])
            self.known[key] = hit[1] if hit else None
        return self.known[key]

    def way(self, need: Need) -> routes.Way:
        devices, passed, device = [need.device], list[str](), need.device
        while device != need.owner:
            hop = self.next(device, need.family, need.address)
            if (
                need.beside
                and device == need.device
                and hop is not None
                and hop.protocol == "connected"
                and not hop.wire
            ):
                return routes.Way(tuple(devices), tuple(passed), "delivered")
            if hop is not None and hop.protocol == "connected" and hop.wire:
                # The destination is the other end of this very line.
                owner = self.ground.owner.get((need.family, need.address), ("", ""))
                if self.ground.ends.get(owner, ("",))[0] == hop.wire:
                    hop = routes.Hop(owner[0], hop.wire, "")
            if hop is None or not hop.device or hop.protocol == "connected":
                end = "no route" if hop is None else "blackhole" if not hop.device else "delivered elsewhere"
                return routes.Way(tuple(devices), tuple(passed), end)
            passed.append(hop.wire)
            if hop.device in devices:
                return routes.Way((*devices, hop.device), tuple(passed), "loop")
            device = hop.device
            devices.append(device)
        return routes.Way(tuple(devices), tuple(passed), "delivered")


def judge(
    world: World, routed: Routed, mine: Collection[str] | None = None
) -> tuple[list[Finding], dict[Need, routes.Way]]:  # fmt: skip
    """Every destination out of reach, on a detour, or lost when a line is cut; and the way to each with everything up.

    `mine`: only between the sites of these devices and those that serve them.
    """
    network, ground = world.network, routed.ground
    found: list[Finding] = []
    wanted = needs(world, ground, mine)
    steps = _Steps(ground, routed.tables)
    ways = {need: steps.way(need) for need in wanted}
    said: set[tuple[str, str, str]] = set()

    def report(need: Need, way: routes.Way, code: str, what: str, cure: str, tables: Tables) -> None:
        blamed, near = blame(ground, tables, need, way)
        file = ground.nodes[blamed].config.file
        if (code, blamed, what.partition(":")[0]) in said:
            return
        said.add((code, blamed, what.partition(":")[0]))
        line = next((n for f, n in near if f == file), 1)
        found.append(
            Finding(code, file, line, blamed, what, cure, need.site, need.target, need.family, "", "allow", need.row, need.place,
                    tuple(near))
        )  # fmt: skip

    ranks: dict[frozenset[str], set[str]] = {}
    for link in network.links.values():
        pair = frozenset({network.devices[link.a].site if link.a in network.devices else link.a,
                          network.devices[link.b].site if link.b in network.devices else link.b})  # fmt: skip
        ranks.setdefault(pair, set()).add(link.rank)
    for need, way in ways.items():
        text = interval.text(need.address, need.family)
        if way.end != "delivered":
            what = f"no way from {need.site} to {need.target} ({text}): {way.end} at {way.devices[-1]} after {' → '.join(way.devices)}"
            report(need, way, "JB2417", what, "Carry the prefix on every device between the two.", routed.tables)
            continue
        for passed in way.wires:
            link = network.links[passed]
            ends = frozenset({ground.nodes[link.a].site, ground.nodes[link.b].site})
            better = {"backup": "primary", "drained": "primary" if "primary" in ranks[ends] else "backup"}.get(
                link.rank
            )
            if len(ends) == 2 and better in ranks[ends]:
                what = f"{need.site} reaches {need.target} ({text}) over the {link.rank} line {passed} while the {better} is up"
                report(need, way, "JB2418", what, "Prefer the primary line at both ends.", routed.tables)
                break
    over: dict[str, list[Need]] = {}
    for need, way in ways.items():
        for passed in way.wires if way.end == "delivered" else ():
            over.setdefault(passed, []).append(need)
    for wire_id, tables in routed.cuts.items():
        later = _Steps(ground, tables)
        for need in over.get(wire_id, ()):
            hangs = ground.ends.get(ground.owner.get((need.family, need.address), ("", "")))
            if hangs is None or hangs[0] != wire_id:
                after = later.way(need)
                if after.end != "delivered":
                    text = interval.text(need.address, need.family)
                    what = (
                        f"with {wire_id} cut no way from {need.site} to {need.target} ({text}): "
                        f"{after.end} at {after.devices[-1]} after {' → '.join(after.devices)}"
                    )
                    report(need, after, "JB2419", what, "Carry the prefix over the other line too.", tables)
    for node_ in ground.nodes.values():
        for family in (4, 6):
            found += _handed(world, routed.tables, node_, family)
    found += _preferences(world, ground)
    for device, family, key in (*routed.tables.unsettled, *(u for t in routed.cuts.values() for u in t.unsettled)):
        config = ground.nodes[device].config
        line = config.bgp.line if config.bgp else 1
        what = f"the route to {interval.spell(family, *key)} never settles"
        found.append(Finding("JB2417", config.file, line, device, what, "Remove the dispute between preferences."))
    return found, ways


def _preferences(world: World, ground: Ground) -> list[Finding]:
    """Towards one site the primary line's policy sets a higher local preference than the backup's, on whichever router each ends."""
    found: list[Finding] = []
    lines: dict[tuple[str, str, int], dict[str, tuple[int, Node, frr.Neighbour]]] = {}
    for given in ground.nodes.values():
        bgp = given.config.bgp
        for neighbour in bgp.neighbours.values() if bgp else ():
            family = interval.family(neighbour.address)
            item = next(
                (
                    i
                    for i in world.devices[given.name].interfaces
                    if neighbour.address in (i.peer4, i.peer6) and i.kind == "wan"
                ),
                None,
            )
            link = world.network.links.get(item.link) if item else None
            setting = neighbour.policies.get((family, "in"))
            if item is None or link is None or setting is None:
                continue
            word = "ip" if family == 4 else "ipv6"
            value = 100
            for stanza in given.config.route_maps.get(setting.words[3], ()):
                if stanza.permit and all(m.words[1] == word for m in stanza.matches):
                    value = next((int(s.words[2]) for s in stanza.sets if s.words[1] == "local-preference"), 100)
            lines.setdefault((given.site, item.peer_site, family), {})[link.rank] = (value, given, neighbour)
    for (_, peer, family), ranks in lines.items():
        order = [rank for rank in ("primary", "backup", "drained") if rank in ranks]
        for better, worse in itertools.pairwise(order):
            if ranks[better][0] > ranks[worse][0]:
                continue
            value, given, neighbour = ranks[better]
            other, beside, back = ranks[worse]
            near = [*lines_of(given.config, neighbour, family, "in"), *lines_of(beside.config, back, family, "in")]
            what = f"the {better} line to {peer} has local preference {value} (IPv{family}), the {worse} {other}"
            line = neighbour.policies[family, "in"].line
            cure = f"Prefer the {better} line by local preference."
            found.append(Finding("JB2418", given.config.file, line, given.name, what, cure, near=tuple(near)))
    return found


def _handed(world: World, tables: Tables, given: Node, family: int) -> list[Finding]:
    """What a router's two protocols hand each other: own zones to BGP, what lies outside to OSPF; and idle `network` lines."""
    config, bgp, process = given.config, given.config.bgp, given.config.ospf.get(family)
    site = world.network.sites[given.site]
    found: list[Finding] = []
    if bgp is None:
        return found

    def wrong(code: str, line: int, what: str, cure: str, near: list[Place]) -> None:
        found.append(Finding(code, config.file, line, given.name, what, cure, near=tuple(near)))

    best = tables.best[given.name, family]
    for origin in bgp.networks:
        if origin.family == family and bgp.import_check and interval.prefix(origin.what)[1:] not in best:
            what = f"`network {origin.what}` has no route behind it and is told to nobody"
            wrong("JB2414", origin.line, what, "Correct the prefix, or delete the line.", [])
    if process is None:
        return found
    inner = [o for o in bgp.redistributes if o.family == family]
    for zone in site.zones:
        key = interval.prefix(zone.v4 if family == 4 else zone.v6)[1:]
        path = best.get(key)
        if path is None or path.kind != "local":
            what = f"BGP does not take the zone {zone.name} ({interval.spell(family, *key)}) from OSPF"
            near = [(config.file, bgp.line), *(place for o in inner for place in _map_lines(config, o.policy, family))]
            wrong("JB2415", inner[0].line if inner else bgp.line, what, "Redistribute the site's own zones.", near)
            break
    outer = [o for o in process.redistributes if o.what == "bgp"]
    own = Path(100, (), 0, 0, "local", 0, "")
    admitted = {
        key
        for key in best
        for o in outer
        if not o.policy or routes.permits(config, o.policy, family, key, own)[0] is not None
    }
    bits = interval.BITS[family]
    for key, path in sorted(best.items()):
        if path.kind != "ebgp":
            continue
        covers = {(key[0] >> (bits - length) << (bits - length), length) for length in range(1, key[1] + 1)}
        # What a parent tells is handed on prefix by prefix; of what children tell, a summary is enough.
        if key not in admitted if _from_parent(world, site, path.via) else not covers & admitted:
            what = f"OSPF does not take {interval.spell(family, *key)}, told by {path.via}, from BGP: the firewall has no way there"
            near = [
                (config.file, process.line),
                *(place for o in outer for place in _map_lines(config, o.policy, family)),
            ]
            wrong(
                "JB2415", outer[0].line if outer else process.line, what, "Redistribute what the neighbours tell.", near
            )
            break
    return found


def _from_parent(world: World, site: Site, device: str) -> bool:
    known = world.devices.get(device)
    return known is not None and known.site == site.parent


def _map_lines(config: frr.Config, policy: str, family: int) -> list[Place]:
    """Every line of a route map and of the prefix lists it asks."""
    found: list[Place] = []
    for stanza in config.route_maps.get(policy, ()):
        found += [(config.file, stanza.line), *((config.file, s.line) for s in (*stanza.matches, *stanza.sets))]
        for match in stanza.matches:
            if match.words[2:4] == ("address", "prefix-list"):
                listed = config.prefix_lists.get((family, match.words[4]))
                found += [(config.file, entry.line) for entry in (listed.entries if listed else ())]
    return found


def blame(ground: Ground, tables: Tables, need: Need, way: routes.Way) -> tuple[str, list[Place]]:
    """(the device whose text is the likely cause, every line that decides about the prefix between it and the destination).

    Seen from the destination's device outwards, the first device without a working route is where the prefix got lost.
    """
    chain = _chain(ground, need.owner, way.devices[-1]) or [way.devices[-1]]
    broken = way.devices[-1]
    steps = _Steps(ground, tables)
    previous = need.owner
    for device in chain[1:]:
        probe = msgspec.structs.replace(need, device=device)
        if steps.way(probe).end != "delivered":
            broken = device
            break
        previous = device
    near: list[Place] = []
    for name in dict.fromkeys((broken, previous)):
        config = ground.nodes[name].config
        near += [(config.file, s.line) for s in config.statics if _holds(s.prefix, need)]
        if config.bgp:
            near += [(config.file, a.line) for a in config.bgp.aggregates if _holds(a.prefix, need)]
            near += [(config.file, o.line) for o in (*config.bgp.networks, *config.bgp.redistributes)]
            for neighbour in config.bgp.neighbours.values():
                peer = ground.owner.get(
                    (interval.family(neighbour.address), interval.number(neighbour.address)), ("",)
                )[0]
                if peer in (broken, previous) or not peer:
                    near.append((config.file, neighbour.line))
                    for way_ in ("in", "out"):
                        near += lines_of(config, neighbour, need.family, way_)
        process = config.ospf.get(need.family)
        if process:
            near += [(config.file, process.line), *((config.file, o.line) for o in process.redistributes)]
        for origin in (*(process.redistributes if process else ()), *(config.bgp.redistributes if config.bgp else ())):
            for stanza in config.route_maps.get(origin.policy, ()):
                near.append((config.file, stanza.line))
                for match in stanza.matches:
                    listed = config.prefix_lists.get((need.family, match.words[-1]))
                    near += [
                        (config.file, match.line),
                        *((config.file, e.line) for e in (listed.entries if listed else ())),
                    ]
        near += [(config.file, item.line) for item in config.interfaces.values()]
        near += [(config.file, 1)]
    return broken, near


def _holds(prefix: str, need: Need) -> bool:
    if interval.family(prefix) != need.family:
        return False
    first, last = interval.interval(prefix)
    return first <= need.address <= last


def _chain(ground: Ground, start: str, goal: str) -> list[str] | None:
    before: dict[str, str] = {start: ""}
    todo = [start]
    for at in todo:
        if at == goal:
            chain = [at]
            while before[chain[-1]]:
                chain.append(before[chain[-1]])
            return chain[::-1]
        for wire in ground.wires:
            for one, other in ((wire.a[0], wire.b[0]), (wire.b[0], wire.a[0])):
                if one == at and other not in before:
                    before[other] = at
                    todo.append(other)
    return None
