"""Small random networks, their FRR text, and where packets go in them: the other opinion, which shares no code with the proof.

It never reads the text that it writes. Shortest paths are found by relaxing every cable until nothing changes, BGP by letting every
speaker choose anew from what all others chose in the turn before, and a packet goes hop by hop by the longest prefix.
"""

from __future__ import annotations

import ipaddress
import random
from typing import NamedTuple

Network = ipaddress.IPv4Network


class Router(NamedTuple):
    """A router of a site; the site's number is in its AS number."""

    site: int
    number: int
    speaks: bool
    """Whether it runs BGP: a firewall does not."""
    stubs: tuple[str, ...]
    summary: str
    """A prefix that it drops itself and tells the others; empty: none."""

    @property
    def name(self) -> str:
        return f"s{self.site}-r{self.number}"

    @property
    def loopback(self) -> str:
        return f"10.255.{self.site}.{self.number}"


class Wire(NamedTuple):
    """A cable inside a site (costs) or a line between two (local preferences, and what each end does not tell)."""

    id: str
    ends: tuple[str, str]
    addresses: tuple[str, str]
    costs: tuple[int, int]
    prefers: tuple[int, int]
    hides: tuple[tuple[str, ...], tuple[str, ...]]


class Net(NamedTuple):
    """Routers and wires."""

    routers: dict[str, Router]
    wires: tuple[Wire, ...]

    def without(self, wire: str) -> Net:
        """The same with one wire cut."""
        return Net(self.routers, tuple(each for each in self.wires if each.id != wire))


def drawn(seed: int) -> Net:
    """Up to four sites of up to three routers, joined as a tree by one or two lines with preferences, or anyhow without."""
    chance = random.Random(seed)
    count = chance.randint(2, 4)
    tree = chance.random() < 0.5
    home: dict[str, int] = {}
    routers: dict[str, Router] = {}
    prefixes = [f"10.{site}.{number}.0/24" for site in range(1, count + 1) for number in range(3)]
    for site in range(1, count + 1):
        size = chance.randint(1, 3)
        for number in range(1, size + 1):
            speaks = number == 1 or chance.random() < 0.7
            # Now and then a prefix of another site's summary, or one that two sites have: with preferences these would contradict
            # each other.
            some = set(chance.choices([*prefixes[3 * (site - 1) : 3 * site] * 4, *prefixes], k=2))
            stubs = tuple(sorted(stub for stub in some if not tree or home.setdefault(stub, site) == site))
            summary = f"10.{site}.0.0/16" if speaks and chance.random() < 0.4 else ""
            made = Router(site, number, speaks, stubs, summary)
            routers[made.name] = made
    wires: list[Wire] = []

    def join(one: str, other: str, prefers: tuple[int, int], costs: tuple[int, int]) -> None:
        at = len(wires)
        hides = tuple(tuple(sorted(chance.sample(prefixes, 1))) if chance.random() < 0.2 else () for _ in range(2))
        ends = (f"172.16.{at}.0", f"172.16.{at}.1")
        wires.append(Wire(f"w{at}", (one, other), ends, costs, prefers, (hides[0], hides[1])))

    for site in range(1, count + 1):
        mine = [name for name, router in routers.items() if router.site == site]
        pairs = [(mine[at], mine[at + 1]) for at in range(len(mine) - 1)]
        pairs += [(mine[0], mine[2])] if len(mine) == 3 and chance.random() < 0.6 else []
        # Powers of two: no two ways cost the same.
        costs = chance.sample([2**power for power in range(2 * len(pairs))], 2 * len(pairs))
        for at, (near, far) in enumerate(pairs):
            join(near, far, (0, 0), (costs[2 * at], costs[2 * at + 1]))
    speakers = {site: [n for n, r in routers.items() if r.site == site and r.speaks] for site in range(1, count + 1)}
    between = [(chance.randint(1, site - 1), site) for site in range(2, count + 1)]
    if not tree:
        between += [tuple(sorted(chance.sample(range(1, count + 1), 2))) for _ in range(2)]  # type: ignore[misc]
    for one, other in between:
        for _ in range(chance.randint(1, 2)):
            # Preferences of a tree cannot contradict each other; in a circle they could, and nothing would settle.
            prefers = (chance.choice((50, 100, 200)), chance.choice((50, 100, 200))) if tree else (100, 100)
            join(chance.choice(speakers[one]), chance.choice(speakers[other]), prefers, (0, 0))
    return Net(routers, tuple(wires))


# Text -----------------------------------------------------------------------------------------------------------------


def addresses(net: Net, name: str) -> dict[str, list[str]]:
    """Interface → addresses with their lengths."""
    router = net.routers[name]
    found = {"lo": [f"{router.loopback}/32"]}
    found |= {f"z-{at}": [f"{stub.removesuffix('.0/24')}.1/24"] for at, stub in enumerate(router.stubs)}
    for wire in net.wires:
        if name in wire.ends:
            found[wire.id] = [f"{wire.addresses[wire.ends.index(name)]}/31"]
    return found


def text(net: Net, name: str) -> str:
    """The FRR configuration of a router."""
    router = net.routers[name]
    cables = [(wire, wire.ends.index(name)) for wire in net.wires if name in wire.ends and wire.costs != (0, 0)]
    lines = [(wire, wire.ends.index(name)) for wire in net.wires if name in wire.ends and wire.costs == (0, 0)]
    said = ["frr defaults traditional", f"hostname {name}"]
    said += [f"ip route {router.summary} blackhole"] if router.summary else []
    for wire, at in cables:
        said += [f"interface {wire.id}", " ip ospf area 0", f" ip ospf cost {wire.costs[at]}", "exit"]
    for own in ("lo", *(f"z-{at}" for at in range(len(router.stubs)))):
        said += [f"interface {own}", " ip ospf area 0", " ip ospf passive", "exit"]
    if router.speaks:
        said += [f"router bgp {router.site}", f" bgp router-id {router.loopback}", " no bgp default ipv4-unicast"]
        inner = [other for other in _beside(net, router) if other.speaks]
        family = [f"  network {prefix}" for prefix in _told(net, router)]
        for other in inner:
            said += [f" neighbor {other.loopback} remote-as {router.site}"]
            said += [f" neighbor {other.loopback} update-source {router.loopback}"]
            family += [f"  neighbor {other.loopback} activate", f"  neighbor {other.loopback} next-hop-self"]
        for wire, at in lines:
            far = wire.addresses[1 - at]
            said.append(f" neighbor {far} remote-as {net.routers[wire.ends[1 - at]].site}")
            family += [f"  neighbor {far} activate", f"  neighbor {far} route-map IN-{wire.id} in"]
            family.append(f"  neighbor {far} route-map OUT-{wire.id} out")
        said += [" address-family ipv4 unicast", *family, " exit-address-family", "exit"]
    said += ["router ospf", f" ospf router-id {router.loopback}"]
    said += [" redistribute bgp metric 100", " distance ospf external 205"] if router.speaks else []
    said.append("exit")
    for wire, at in lines:
        for seq, prefix in enumerate(wire.hides[at], 1):
            said.append(f"ip prefix-list HIDE-{wire.id} seq {5 * seq} permit {prefix}")
        if wire.hides[at]:
            said += [f"route-map OUT-{wire.id} deny 5", f" match ip address prefix-list HIDE-{wire.id}", "exit"]
        said += [f"route-map OUT-{wire.id} permit 10", "exit"]
        said += [f"route-map IN-{wire.id} permit 10", f" set local-preference {wire.prefers[at]}", "exit"]
    return "\n".join(said) + "\n"


def _beside(net: Net, router: Router) -> list[Router]:
    return [other for other in net.routers.values() if other.site == router.site and other != router]


def _told(net: Net, router: Router) -> list[str]:
    """What a speaker tells of its site, as far as it has a way there."""
    stubs = {stub for each in (router, *_beside(net, router)) for stub in each.stubs}
    return sorted(stubs | ({router.summary} if router.summary else set()))


# Where packets go -----------------------------------------------------------------------------------------------------


class Route(NamedTuple):
    """A BGP route as a speaker chose it."""

    preference: int
    path: tuple[int, ...]
    hop: str
    """Router next on the way, or the one inside the site where it leaves; empty: its own."""
    wire: str
    outside: bool
    """Learned on a line."""


Table = dict[str, tuple[str, str]]
"""Prefix → (wire, next router); ("", "here"), or ("", "drop")."""


def inside(net: Net) -> dict[str, dict[str, tuple[int, str, str]]]:
    """Router → router of its site → (cost, first wire, first router), by relaxing every cable until nothing changes."""
    found: dict[str, dict[str, tuple[int, str, str]]] = {name: {name: (0, "", "")} for name in net.routers}
    changed = True
    while changed:
        changed = False
        for wire in net.wires:
            for at, cost in enumerate(wire.costs):
                one, other = wire.ends[at], wire.ends[1 - at]
                for goal, (rest, _, _) in list(found[other].items()) if cost else ():
                    if goal not in found[one] or cost + rest < found[one][goal][0]:
                        found[one][goal] = (cost + rest, wire.id, other)
                        changed = True
    return found


def chosen(net: Net, near: dict[str, dict[str, tuple[int, str, str]]]) -> dict[str, dict[str, Route]]:
    """What every speaker chose in the end. Raises RuntimeError when it does not settle."""
    speakers = [router for router in net.routers.values() if router.speaks]
    own: dict[str, dict[str, Route]] = {}
    for router in speakers:
        known = {stub for name in near[router.name] for stub in net.routers[name].stubs} | {router.summary}
        own[router.name] = {p: Route(100, (), "", "", False) for p in _told(net, router) if p in known}
    now = own
    for _ in range(60):
        then: dict[str, dict[str, Route]] = {}
        for router in speakers:
            heard: dict[str, list[tuple[tuple[object, ...], Route]]] = {}
            for wire in net.wires:
                if router.name not in wire.ends or wire.costs != (0, 0):
                    continue
                at = wire.ends.index(router.name)
                teller = net.routers[wire.ends[1 - at]]
                for prefix, route in now[teller.name].items():
                    path = (teller.site, *route.path)
                    if prefix not in wire.hides[1 - at] and router.site not in path:
                        made = Route(wire.prefers[at], path, teller.name, wire.id, True)
                        address = ipaddress.ip_address(wire.addresses[1 - at])
                        heard.setdefault(prefix, []).append(((-made.preference, len(path), 0, 0, address), made))
            for other in _beside(net, router):
                if not other.speaks or other.name not in near[router.name]:
                    continue
                for prefix, route in now[other.name].items():
                    if route.outside or not route.hop:
                        made = Route(route.preference, route.path, other.name, "", False)
                        rank = (-made.preference, len(route.path), 1, near[router.name][other.name][0])
                        heard.setdefault(prefix, []).append(((*rank, ipaddress.ip_address(other.loopback)), made))
            best = {prefix: min(listed, key=lambda each: each[0])[1] for prefix, listed in heard.items()}
            then[router.name] = best | own[router.name]
        if then == now:
            return now
        now = then
    raise RuntimeError("the routes do not settle")


def tables(net: Net) -> dict[str, Table]:
    """Every router's forwarding table."""
    near = inside(net)
    best = chosen(net, near)
    found: dict[str, Table] = {}
    gives: dict[str, set[str]] = {}
    for name, router in net.routers.items():
        table: Table = {}
        for prefix, route in best.get(name, {}).items():
            if route.hop and not route.outside:
                table[prefix] = near[name][route.hop][1:]
        for other, (_, wire, hop) in sorted(near[name].items(), key=lambda each: -each[1][0]):
            if other != name:
                table |= dict.fromkeys((*net.routers[other].stubs, f"{net.routers[other].loopback}/32"), (wire, hop))
        inner = {stub for other in near[name] if other != name for stub in net.routers[other].stubs}
        for prefix, route in best.get(name, {}).items():
            if route.outside:
                table[prefix] = (route.wire, route.hop)
        if router.summary:
            table[router.summary] = ("", "drop")
        table |= dict.fromkeys((*router.stubs, f"{router.loopback}/32"), ("", "here"))
        # What comes from BGP in the end is handed to those who do not speak it.
        gives[name] = {
            prefix
            for prefix, route in best.get(name, {}).items()
            if route.hop and prefix not in (router.summary, *router.stubs) and (route.outside or prefix not in inner)
        }
        found[name] = table
    for name, table in found.items():
        ways = {other: way for other, way in near[name].items() if other != name}
        for prefix in {prefix for other in ways for prefix in gives[other]} - table.keys():
            _, wire, hop = min(way for other, way in ways.items() if prefix in gives[other])
            table[prefix] = (wire, hop)
    return found


def way(found: dict[str, Table], start: str, address: str) -> tuple[tuple[str, ...], str]:
    """(the routers that a packet passes, how it ends: delivered, no route, blackhole, loop)."""
    target = ipaddress.ip_address(address)
    passed = [start]
    while True:
        fits = [prefix for prefix in found[passed[-1]] if target in ipaddress.ip_network(prefix)]
        if not fits:
            return tuple(passed), "no route"
        _, hop = found[passed[-1]][max(fits, key=lambda prefix: int(prefix.partition("/")[2]))]
        if hop in ("here", "drop"):
            return tuple(passed), "delivered" if hop == "here" else "blackhole"
        passed.append(hop)
        if hop in passed[:-1]:
            return tuple(passed), "loop"
