"""Huawei VRP on the USG6000E: routing, zones and administration of a whole device in one file.

A router is the same box as a firewall with stateful inspection off: its two ways may differ, and only what ends at it is filtered.
"""

from __future__ import annotations

import hashlib
from ipaddress import ip_interface, ip_network

import msgspec

from ground import secret
from inventory.dialects.template import fill
from inventory.file import File
from inventory.filtering import Filter, Rule
from inventory.intent import Intent, Port
from inventory.models import Model, models
from inventory.routing import METRIC, PREFERENCE, Routing

TARGET = "/vrpcfg.cfg"
WAN, INSIDE = "wan", "inside"
"""Zones of several interfaces; every other zone has one and is called as it is."""
PRIORITIES = [number for number in range(1, 101) if number not in (5, 50, 85, 100)]
"""Of security zones: unique, 1 to 100; untrust, dmz, trust and local have theirs from the factory."""
OFFICERS = ("system-officer", "audit-officer", "security-officer")
"""Administrators whose rights do not overlap (GB/T 22239 8.1.5.1 to 8.1.5.3)."""


class Zone(msgspec.Struct, frozen=True):
    """A security zone with the physical interfaces in it."""

    name: str
    priority: int
    ports: tuple[str, ...]


class Policy(msgspec.Struct, frozen=True):
    """One rule of the security policy. `sources` and `targets` are conditions as the rule view takes them; empty: any."""

    name: str
    flow: str
    entries: tuple[str, ...]
    exits: tuple[str, ...]
    sources: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    action: str = "permit"


class List(msgspec.Struct, frozen=True):
    """A prefix list: what it names is permitted, nothing else."""

    family: int
    name: str
    prefixes: tuple[str, ...]
    within: bool


def files(intent: Intent) -> list[File]:
    """The configuration of a router, firewall or office device."""
    routing, filter, administration = intent.routing, intent.filter, intent.administration
    if intent.device.dialect != "vrp" or routing is None or filter is None or administration is None:
        return []
    model = models("vrp")[intent.device.model]
    names = {port.name: physical(model, port) for port in intent.ports} | {"lo": "LoopBack0"}
    text = fill(
        "vrp/device.cfg.j2",
        device=intent.device,
        domain=intent.domain,
        model=model,
        ports=intent.ports,
        names=names,
        loopback=intent.loopback,
        routing=routing,
        cables={cable.name: cable for cable in routing.cables},
        lists=_lists(routing),
        preference=PREFERENCE,
        metric=METRIC,
        zones=_zones(intent, names),
        sets=filter.sets,
        policies=_policies(intent, filter),
        time=intent.time,
        resolver=intent.resolver,
        administration=administration,
        officers=OFFICERS,
        secret=lambda what: secret.reference(f"device/{intent.device.name}/{what}"),
        mask=mask,
        wildcard=wildcard,
        split=split,
    )
    return [File(TARGET, text, "network", mode="0600")]


def physical(model: Model, port: Port) -> str:
    """The name of an interface on the device: a port of its own inside a site, else a subinterface."""
    found = model.port(port.kind, port.peer, port.rank)
    return found if port.kind == "inside" else f"{found}.{port.number}"


def mask(prefix: str) -> str:
    """`10.0.0.1/24` → `10.0.0.1 255.255.255.0`."""
    return ip_interface(prefix).with_netmask.replace("/", " ")


def wildcard(prefix: str) -> str:
    """`10.0.0.0/24` → `10.0.0.0 0.0.0.255`."""
    return ip_network(prefix).with_hostmask.replace("/", " ")


def split(prefix: str) -> str:
    """`3fff::/20` → `3fff:: 20`; an address alone is a whole one."""
    address, _, length = prefix.partition("/")
    return f"{address} {length or (128 if ':' in address else 32)}"


def _lists(routing: Routing) -> list[List]:
    wanted = [
        (f"{way}-{neighbour.key}", prefixes, neighbour.relation == "inside")
        for neighbour in routing.neighbours
        for way, prefixes in (("FROM", neighbour.accept), ("TO", neighbour.announce))
    ]
    if routing.asn and routing.ospf:
        wanted += [("SEGMENTS", routing.segments, False), ("OUTSIDE", routing.outside, False)]
    return [
        List(family, name, prefixes.of(family), within)
        for name, prefixes, within in wanted
        for family in (4, 6)
        if prefixes.of(family)
    ]


def zone_of(role: str, port: Port) -> str:
    """The security zone of an interface. An office's lines each have their own: what it carries for others is said line by line."""
    if port.kind == "inside":
        return INSIDE
    return WAN if port.kind == "wan" and role != "access" else port.name


def _zones(intent: Intent, names: dict[str, str]) -> list[Zone]:
    held: dict[str, list[Port]] = {}
    for port in intent.ports:
        held.setdefault(zone_of(intent.device.role, port), []).append(port)
    shared = {WAN: PRIORITIES[0], INSIDE: PRIORITIES[1]}
    return [
        Zone(name, shared.get(name) or PRIORITIES[ports[0].number - 9], tuple(names[port.name] for port in ports))
        for name, ports in held.items()
    ]


def _policies(intent: Intent, filter: Filter) -> list[Policy]:
    role = intent.device.role
    zone = {port.name: zone_of(role, port) for port in intent.ports}
    groups = {
        "@lines": tuple(dict.fromkeys(zone[name] for name in filter.lines)),
        "@inside": tuple(dict.fromkeys(zone[name] for name in filter.inside)),
    }
    found = [Policy("base.self", "base:self", ("local",), ())]
    neighbours = tuple(f"icmpv6 icmpv6-type {kind} 0" for kind in (135, 136))
    found.append(Policy("base.neighbours", "base:neighbours", (), ("local",), services=neighbours))
    for guard in filter.guards:
        lies = (_condition(guard.v4), _condition(guard.v6))
        name = f"base.spoofed.{zone[guard.interface]}"
        found.append(Policy(name, "base:spoofed", groups["@lines"], (), lies, action="deny"))
    together: dict[tuple[str, str, str, str, str, int], list[Rule]] = {}
    for rule in filter.rules:
        together.setdefault((rule.flow, rule.entry, rule.exit, rule.source, rule.target, rule.family), []).append(rule)
    for (flow, entry, exit, source, target, family), rules in together.items():
        entries = groups.get(entry) or (zone[entry],)
        exits = (groups.get(exit) or (zone[exit],)) if exit else ("local",)
        digest = hashlib.sha256("\0".join((flow, entry, exit, source, target, str(family))).encode()).hexdigest()[:8]
        # A name has 32 characters at most; the digest keeps it, whatever rules come and go beside it.
        found.append(
            Policy(
                f"{flow[:23]}.{digest}",
                flow,
                entries,
                exits,
                (_condition(source),) if source else (),
                (_condition(target),) if target else (),
                tuple(_service(rule) for rule in rules),
            )
        )
    if filter.forwards:
        everywhere = tuple(dict.fromkeys(zone.values()))
        found.append(Policy("base.forward", "base:forward", everywhere, everywhere))
    for down, up, prefixes in filter.through:
        behind = tuple(_condition(prefix) for prefix in (*prefixes.v4, *prefixes.v6))
        digest = hashlib.sha256(f"{down}\0{up}".encode()).hexdigest()[:8]
        found.append(Policy(f"base.through.out.{digest}", "base:through", (zone[down],), (zone[up],), behind))
        found.append(Policy(f"base.through.in.{digest}", "base:through", (zone[up],), (zone[down],), (), behind))
    return found


def _condition(given: str) -> str:
    if given.startswith("@"):
        return f"address-set {given[1:]}"
    return split(given) if ":" in given else mask(given if "/" in given else f"{given}/32").replace(" ", " mask ")


def _service(rule: Rule) -> str:
    protocol, _, port = rule.port.partition("/")
    if protocol == "icmp":
        return "icmp icmp-type 8 0" if rule.family == 4 else "icmpv6 icmpv6-type 128 0"
    if protocol == "proto":
        return {"ospf": "89"}[port]
    return f"{protocol} destination-port {port}"
