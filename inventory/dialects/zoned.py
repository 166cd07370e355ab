"""What the packet filters of vendors have in common: interfaces in zones, and rules between zones, without any dialect's words."""

from __future__ import annotations

import hashlib

import msgspec

from inventory.ends import bare
from inventory.filtering import Filter, Rule
from inventory.intent import Intent, Port
from inventory.models import Model
from inventory.pairing import BEAT_LENGTH, GROUP, GROUPS, HEARTBEAT
from inventory.switching import Switching
from ip_plan.network import Suite

WAN, INSIDE, LOCAL, LINES, PAIR = "wan", "inside", "local", "lines", "pair"
"""Zones of several interfaces, and the device itself; every other zone has one interface and is called as it is. `lines`: what
tunnels go over, in an instance of the same name, where nothing but their keys and what they carry comes in. `pair`: the cable to
the other firewall of a pair."""
KEYS = (("udp", "500"), ("50", ""))
"""IKE (RFC 7296 2) and ESP (RFC 4303)."""
PRIORITIES = [number for number in range(1, 101) if number not in (5, 50, 85, 100)]
"""Of security zones: unique, 1 to 100; those that a firewall has from the factory have the others."""
VRRP = ("112", "")
"""RFC 9568 5.1.1.4."""
MANAGED = (("tcp", "22"), ("udp", "161"))
"""What the management path is for: SSH and SNMP."""


class Zone(msgspec.Struct, frozen=True):
    """A security zone with the logical names of the interfaces in it."""

    name: str
    priority: int
    ports: tuple[str, ...]


class Policy(msgspec.Struct, frozen=True):
    """One rule between zones. Empty zones, ends or services mean any of them."""

    name: str
    flow: str
    entries: tuple[str, ...]
    exits: tuple[str, ...]
    """`local`: the device itself."""
    family: int = 0
    """0: both."""
    sources: tuple[str, ...] = ()
    """Prefixes, or `@` and the name of a set."""
    targets: tuple[str, ...] = ()
    services: tuple[tuple[str, str], ...] = ()
    """(protocol, port or type): `tcp` and `5432`, `icmp` and `8`, `89` and nothing."""
    permit: bool = True

    def families(self) -> tuple[int, ...]:
        """The families that it speaks of."""
        return (self.family,) if self.family else (4, 6)

    def of(self, family: int) -> Policy | None:
        """The rule in one family; None where it has no end or service there."""
        if family not in self.families():
            return None
        sources, targets = (
            tuple(end for end in ends if end.startswith("@") or (":" in end) == (family == 6))
            for ends in (self.sources, self.targets)
        )
        services = tuple(kind for kind in self.services if kind[0] != ("icmp" if family == 6 else "icmpv6"))
        lost = (self.sources and not sources) or (self.targets and not targets) or (self.services and not services)
        if lost:
            return None
        return msgspec.structs.replace(self, family=family, sources=sources, targets=targets, services=services)


def zone_of(role: str, port: Port) -> str:
    """The zone of an interface. An office's lines each have their own: what it carries for others is said line by line."""
    if port.kind == "inside":
        return INSIDE
    return WAN if port.kind == "wan" and role != "access" else port.name


def interfaces(intent: Intent, model: Model) -> dict[str, str]:
    """Logical name → interface of the device. An encrypted line is a tunnel of the same number, over what it would be else."""
    found: dict[str, str] = {HEARTBEAT: model.pair} if intent.pair else {}
    for port in intent.ports:
        name = model.interface(port.kind, port.peer, port.rank, port.number)
        found |= {port.tunnel.below: name, port.name: f"Tunnel{port.number}"} if port.tunnel else {port.name: name}
    return found


def suites(intent: Intent) -> tuple[Suite, ...]:
    """What the lines of a device are encrypted with, each once."""
    return tuple(sorted({port.tunnel.suite for port in intent.ports if port.tunnel}))


def pair(intent: Intent) -> dict[str, object]:
    """What every dialect's template asks of a pair."""
    found = intent.pair
    shares = {share.interface: share for share in found.shares} if found else {}
    return {
        "pair": found,
        "shares": shares,
        "group": GROUP,
        "heartbeat": HEARTBEAT,
        "beat_length": BEAT_LENGTH,
        "bare": bare,
    }


def switch(intent: Intent, switching: Switching, model: Model) -> dict[str, object]:
    """What every dialect's template of a switch asks for."""
    held = {model.socket(port.number) for port in switching.ports if port.number}
    members = model.members() if switching.aggregate else ()
    return {
        "device": intent.device,
        "domain": intent.domain,
        "model": model,
        "ports": intent.ports,
        "switching": switching,
        "members": members,
        "unused": [name for name in model.sockets() if name not in held and name not in members],
        "source": model.inner.format(switching.management),
        "time": intent.time,
        "resolver": intent.resolver,
        "administration": intent.administration,
    }


def zones(intent: Intent) -> list[Zone]:
    """The zones of a device, in the order of its interfaces."""
    held: dict[str, list[Port]] = {}
    for port in intent.ports:
        held.setdefault(zone_of(intent.device.role, port), []).append(port)
    shared = {WAN: PRIORITIES[0], INSIDE: PRIORITIES[1]}
    found = [
        Zone(name, shared.get(name) or PRIORITIES[ports[0].number - 9], tuple(port.name for port in ports))
        for name, ports in held.items()
    ]
    if tunnels := [port.tunnel for port in intent.ports if port.tunnel]:
        # An office has no zone `wan`, a router none of its own number.
        free = PRIORITIES[0 if intent.device.role == "access" else 2]
        found.append(Zone(LINES, free, tuple(tunnel.below for tunnel in tunnels)))
    if intent.pair:
        # A firewall has no lines of its own.
        found.append(Zone(PAIR, PRIORITIES[0], (HEARTBEAT,)))
    return found


def policies(intent: Intent, filter: Filter) -> list[Policy]:
    """The rules of a device, those that deny first. A rule's name says its flow and, by a hash, its zones and ends."""
    role = intent.device.role
    zone = {port.name: zone_of(role, port) for port in intent.ports}
    groups = {
        "@lines": tuple(dict.fromkeys(zone[name] for name in filter.lines)),
        "@inside": tuple(dict.fromkeys(zone[name] for name in filter.inside)),
    }
    found = [Policy("base.self", "base:self", (LOCAL,), ())]
    # Neighbour discovery (RFC 4861 4.3, 4.4).
    neighbours = (("icmpv6", "135"), ("icmpv6", "136"))
    found.append(Policy("base.neighbours", "base:neighbours", (), (LOCAL,), 6, services=neighbours))
    if any(port.tunnel for port in intent.ports):
        found.append(Policy("base.keys", "base:keys", (LINES,), (LOCAL,), 4, services=KEYS))
    if pair := intent.pair:
        found.append(Policy("base.pair", "base:pair", (PAIR,), (LOCAL,), 4, (pair.peer_beat,)))
    for peer in filter.peers:
        for family, speaker in ((4, peer.v4), (6, peer.v6)):
            name = f"base.pair{family}.{zone[peer.interface]}"
            ends = ((speaker,), (GROUPS[family],), (VRRP,))
            found.append(Policy(name, "base:pair", (zone[peer.interface],), (LOCAL,), family, *ends))
    # What the zones say to the one of a pair that stands by comes from the active one, over the routers.
    beyond = tuple(dict.fromkeys(zone.values())) if intent.pair else ()
    for guard in filter.guards:
        name = f"base.spoofed.{zone[guard.interface]}"
        lies = (guard.v4, guard.v6, *guard.beside.v4, *guard.beside.v6)
        found.append(Policy(name, "base:spoofed", groups["@lines"], beyond, sources=lies, permit=False))
    together: dict[tuple[str, str, str, str, str, int], list[Rule]] = {}
    for rule in filter.rules:
        together.setdefault((rule.flow, rule.entry, rule.exit, rule.source, rule.target, rule.family), []).append(rule)
    for (flow, entry, exit, source, target, family), rules in together.items():
        entries = groups.get(entry) or (zone[entry],)
        exits = (groups.get(exit) or (zone[exit],)) if exit else (LOCAL,)
        # A name has 32 characters at most; the digest keeps it, whatever rules come and go beside it.
        name = f"{flow[:23]}.{_digest(flow, entry, exit, source, target, str(family))}"
        services = tuple(kind for rule in rules for kind in _services(rule))
        sides = ((source,) if source else (), (target,) if target else ())
        found.append(Policy(name, flow, entries, exits, family, *sides, services))
    if filter.forwards:
        everywhere = tuple(dict.fromkeys(zone.values()))
        found.append(Policy("base.forward", "base:forward", everywhere, everywhere))
    for down, up, prefixes in filter.through:
        behind = (*prefixes.v4, *prefixes.v6)
        digest = _digest(down, up)
        found.append(Policy(f"base.through.out.{digest}", "base:through", (zone[down],), (zone[up],), 0, behind))
        found.append(Policy(f"base.through.in.{digest}", "base:through", (zone[up],), (zone[down],), 0, (), behind))
    return found


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:8]


def _services(rule: Rule) -> tuple[tuple[str, str], ...]:
    protocol, _, port = rule.port.partition("/")
    if protocol == "icmp":
        return (("icmp", "8"),) if rule.family == 4 else (("icmpv6", "128"),)
    if protocol == "proto":
        return (({"ospf": "89"}[port], ""),)
    return ((protocol, port),)
