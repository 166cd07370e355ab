"""Cisco IOS-XE on the Catalyst 8300: routing, zones and administration of a whole device in one file.

Zones are those of the zone-based policy firewall. Object groups are not used: with this firewall they are for IPv4 only, and
are passed over for what ends at the device itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_interface, ip_network

import msgspec

from ground import secret
from inventory.dialects import zoned
from inventory.dialects.numbering import numbered
from inventory.dialects.prefixlist import lists
from inventory.dialects.spelling import mask, wildcard
from inventory.dialects.template import fill
from inventory.dialects.zoned import LINES, LOCAL, Policy
from inventory.file import File
from inventory.filtering import Filter
from inventory.intent import Intent
from inventory.models import models
from inventory.pairing import LOST
from inventory.routing import METRIC, PREFERENCE
from inventory.switching import Switching

TARGET = "/startup-config"
SEQUENCE = 2**31 - 1
"""Highest number of an entry in a list."""
OBJECTS = 10
"""Tracked objects of cables are numbered from here, by the number in the neighbour's name."""
IDENTIFIERS = 5000
"""Redundancy interface identifiers of cables, likewise; a zone's is its VLAN id."""
OFFICERS = ("system-officer", "audit-officer", "security-officer")
"""Administrators whose rights do not overlap (GB/T 22239 8.1.5.1 to 8.1.5.3)."""
PORTS = {
    "tcp": {"22": "22", "53": "domain", "80": "www", "179": "bgp", "514": "cmd"},
    "udp": {"53": "domain", "123": "ntp", "161": "snmp", "500": "isakmp", "514": "syslog"},
}  # fmt: skip
"""Ports that the device shows by their names."""
TYPES = {"8": "echo", "128": "echo-request", "135": "nd-ns", "136": "nd-na"}
INSPECTED = ("tcp", "udp", "icmp", "icmpv6")


class Access(msgspec.Struct, frozen=True):
    """An access list with its entries, each with its number."""

    family: int
    name: str
    entries: tuple[tuple[int, str], ...]


class Class(msgspec.Struct, frozen=True):
    """What a rule looks for: every list (`all`) or one of them."""

    name: str
    flow: str
    all: bool
    lists: tuple[str, ...]


class Pair(msgspec.Struct, frozen=True):
    """Two zones, and what is done with each class between them, in this order."""

    source: str
    target: str
    actions: tuple[tuple[str, str], ...]
    default: str


def files(intent: Intent) -> list[File]:
    """The configuration of a router, firewall, office device or switch."""
    if intent.switching is not None:
        return _switch(intent, intent.switching)
    routing, filter, administration = intent.routing, intent.filter, intent.administration
    if intent.device.dialect != "iosxe" or routing is None or filter is None or administration is None:
        return []
    model = models("iosxe")[intent.device.model]
    names = zoned.interfaces(intent, model)
    classes, access = _classes(intent, filter)
    text = fill(
        "iosxe/device.cfg.j2",
        device=intent.device,
        domain=intent.domain,
        model=model,
        ports=intent.ports,
        shared=sorted({name.partition(".")[0] for name in names.values()} - set(names.values())),
        names=names | {"lo": "Loopback0"},
        loopback=intent.loopback,
        routing=routing,
        cables={cable.name: cable for cable in routing.cables},
        lists=lists(routing, SEQUENCE),
        spoken={neighbour.key for neighbour in routing.neighbours if neighbour.relation != "inside"},
        preference=PREFERENCE,
        metric=METRIC,
        **zoned.pair(intent),
        lost=LOST,
        object=lambda cable: OBJECTS + int(cable[-1]),
        rii=lambda cable: IDENTIFIERS + int(cable[-1]),
        zone_of=lambda port: zoned.zone_of(intent.device.role, port),
        zones=zoned.zones(intent),
        classes=classes,
        access=access,
        pairs=list(_pairs(intent, filter)),
        suites=zoned.suites(intent),
        reference=secret.reference,
        time=intent.time,
        resolver=intent.resolver,
        administration=administration,
        officers=OFFICERS,
        # One of a pair is told the time, and logs, in the zone itself, whichever of the two has the gateway.
        source="" if intent.pair else "Loopback0",
        secret=lambda what: secret.reference(f"device/{intent.device.name}/{what}"),
        numbered=numbered,
        highest=SEQUENCE,
        mask=mask,
        wildcard=_wildcard,
    )
    return [File(TARGET, text, "network", mode="0600")]


def _switch(intent: Intent, switching: Switching) -> list[File]:
    """The configuration of a switch."""
    if intent.device.dialect != "iosxe":
        return []
    model = models("iosxe")[intent.device.model]
    text = fill(
        "iosxe/switch.cfg.j2",
        **zoned.switch(intent, switching, model),
        officers=OFFICERS,
        secret=lambda what: secret.reference(f"device/{intent.device.name}/{what}"),
        numbered=numbered,
        highest=SEQUENCE,
        mask=mask,
        wildcard=_wildcard,
    )
    return [File(TARGET, text, "network", mode="0600")]


def _wildcard(prefix: str) -> str:
    """A source of a standard list; one address stands alone."""
    return wildcard(prefix).removesuffix(" 0.0.0.0")


def _end(given: str) -> str:
    """An end as an entry takes it: `host 10.0.0.1`, `10.0.0.0 0.255.255.255`, `3fff::/20`; empty: any."""
    if not given:
        return "any"
    whole = ip_network(given)
    if whole.prefixlen == whole.max_prefixlen:
        return f"host {whole.network_address}"
    return str(ip_interface(given)) if ":" in given else wildcard(given)


def _class_of(one: Policy) -> list[tuple[Policy, str]]:
    """A rule by the classes that it takes, each with its name: one family where a source is a set, else both together."""
    if not any(end.startswith("@") for end in one.sources):
        return [(one, one.name)]
    parts = [part for family in one.families() if (part := one.of(family))]
    return [(part, one.name if len(parts) == 1 else f"{one.name}-{part.family}") for part in parts]


def _classes(intent: Intent, filter: Filter) -> tuple[list[Class], list[Access]]:
    """The classes of every rule, and the lists that they are made of."""
    sets = {each.name: each.elements for each in filter.sets}
    access: dict[str, Access] = {}

    def listed(family: int, name: str, entries: Iterable[str]) -> str:
        numbers = numbered(entries, 1, SEQUENCE)
        access[name] = Access(family, name, tuple(sorted((number, entry) for entry, number in numbers.items())))
        return name

    found = []
    for policy in zoned.policies(intent, filter):
        if policy.name in ("base.self", "base.forward"):
            continue  # see _pairs
        for one, name in _class_of(policy):
            parts = [part for family in one.families() if (part := one.of(family))]
            needed = []
            for part in parts:
                family = part.family
                sources = part.sources
                for end in sources:
                    if end.startswith("@"):
                        what = f"from.{end[1:]}"
                        word = "ip" if family == 4 else "ipv6"
                        needed.append(listed(family, what, [f"permit {word} {_end(e)} any" for e in sets[end[1:]]]))
                        sources = ()
                needed.append(listed(family, f"{name}.v{family}", _entries(part, sources, sets)))
            whole = any(end.startswith("@") for end in one.sources)
            found.append(Class(name, policy.flow, whole, tuple(needed)))
    return found, sorted(access.values(), key=lambda one: (one.family, one.name))


def _entries(policy: Policy, sources: tuple[str, ...], sets: dict[str, tuple[str, ...]]) -> Iterator[str]:
    """The entries of a rule in one family."""
    family = policy.family
    targets = [e for end in policy.targets for e in (sets[end[1:]] if end.startswith("@") else (end,))]
    for protocol, port in policy.services or (("ip" if family == 4 else "ipv6", ""),):
        for source in sources or ("",):
            for target in targets or ("",):
                yield f"permit {_protocol(protocol, family)} {_end(source)} {_end(target)}{_port(protocol, port)}"


def _protocol(protocol: str, family: int) -> str:
    if protocol == "icmpv6":
        return "icmp"
    return {"50": "esp", "89": "ospf"}.get(protocol, protocol) if family == 4 else protocol


def _port(protocol: str, port: str) -> str:
    if protocol in ("icmp", "icmpv6"):
        return f" {TYPES.get(port, port)}"
    return f" eq {PORTS.get(protocol, {}).get(port, port)}" if port else ""


def _pairs(intent: Intent, filter: Filter) -> Iterator[Pair]:
    """Every pair of zones that something passes, and those in which nothing may: a zone with itself, and zones of nobody."""
    policies = zoned.policies(intent, filter)
    names = [zone.name for zone in zoned.zones(intent)]
    for source in names:
        for target in (*names, LOCAL):
            if LINES in (source, target) and target != LOCAL:
                # Another instance: nothing leads there, and between two lines nothing may.
                if source == target:
                    yield Pair(source, target, (), "drop log")
                continue
            if filter.forwards and target != LOCAL:
                # Not inspected: the two ways of a connection may go over different routers. Inside a zone all passes anyway.
                if target != source:
                    yield Pair(source, target, (), "pass")
                continue
            actions = [
                (name, _action(part))
                for policy in policies
                if policy.name not in ("base.self", "base.forward")
                and (not policy.entries or source in policy.entries)
                and (not policy.exits or target in policy.exits)
                for part, name in _class_of(policy)
            ]
            if target == source or any(action != "drop log" for _, action in actions):
                yield Pair(source, _zone(target), tuple(actions), "drop log")
        # What the device itself opens is inspected, so that answers come back; the rest (OSPF) is passed.
        yield Pair(_zone(LOCAL), source, (("base.self", "inspect"),), "pass")
    for target in (_zone(LOCAL), "default"):
        yield Pair("default", target, (), "drop log")


def _zone(name: str) -> str:
    return "self" if name == LOCAL else name


def _action(policy: Policy) -> str:
    if not policy.permit:
        return "drop log"
    # Neighbour discovery and OSPF are no connections.
    stateless = any(protocol not in INSPECTED or port in ("135", "136") for protocol, port in policy.services)
    return "pass" if stateless else "inspect"
