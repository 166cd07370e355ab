"""H3C Comware 7 on SecPath firewalls: routing, zones and administration of a whole device in one file.

A router is the same box as a firewall with the state machine loose: the two ways of a connection may go over different routers.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_network

import msgspec

from ground import secret
from inventory.dialects import zoned
from inventory.dialects.numbering import numbered
from inventory.dialects.prefixlist import lists
from inventory.dialects.spelling import mask, split, wildcard
from inventory.dialects.template import fill
from inventory.dialects.zoned import LOCAL, MANAGED, Policy
from inventory.file import File
from inventory.intent import Intent
from inventory.models import models
from inventory.routing import METRIC, PREFERENCE
from inventory.switching import Switching

TARGET = "/startup.cfg"
INDEX, RULE, OBJECT = 65535, 65534, 2**32 - 2
"""Highest index in a prefix list, number of a rule, and number of an object in a group."""
OFFICERS = ("system-officer", "audit-officer", "security-officer")
"""Administrators whose rights do not overlap (GB/T 22239 8.1.5.1 to 8.1.5.3)."""


class Rule(msgspec.Struct, frozen=True):
    """One rule of a security policy of one family, with conditions as the rule view takes them."""

    number: int
    name: str
    flow: str
    action: str
    conditions: tuple[str, ...]


def files(intent: Intent) -> list[File]:
    """The configuration of a router, firewall, office device or switch."""
    if intent.switching is not None:
        return _switch(intent, intent.switching)
    routing, filter, administration = intent.routing, intent.filter, intent.administration
    if intent.device.dialect != "comware" or routing is None or filter is None or administration is None:
        return []
    model = models("comware")[intent.device.model]
    names = zoned.interfaces(intent, model)
    policies = zoned.policies(intent, filter)
    policies.insert(1, Policy("base.management", "base:management", ("Management",), (LOCAL,), services=MANAGED))
    text = fill(
        "comware/device.cfg.j2",
        device=intent.device,
        domain=intent.domain,
        model=model,
        ports=intent.ports,
        names=names | {"lo": "LoopBack0"},
        loopback=intent.loopback,
        routing=routing,
        cables={cable.name: cable for cable in routing.cables},
        lists=lists(routing, INDEX),
        spoken={neighbour.key for neighbour in routing.neighbours if neighbour.relation != "inside"},
        preference=PREFERENCE,
        metric=METRIC,
        **zoned.pair(intent),
        zones=zoned.zones(intent),
        sets=filter.sets,
        object=_object,
        rules={family: _rules(policies, family) for family in (4, 6)},
        suites=zoned.suites(intent),
        reference=secret.reference,
        time=intent.time,
        resolver=intent.resolver,
        administration=administration,
        officers=OFFICERS,
        # One of a pair is told the time in the zone itself, whichever of the two has the gateway.
        source="" if intent.pair else "LoopBack0",
        secret=lambda what: secret.reference(f"device/{intent.device.name}/{what}"),
        numbered=numbered,
        numbers=RULE,
        objects=OBJECT,
        mask=mask,
        wildcard=wildcard,
        split=split,
    )
    return [File(TARGET, text, "network", mode="0600")]


def _switch(intent: Intent, switching: Switching) -> list[File]:
    """The configuration of a switch."""
    if intent.device.dialect != "comware":
        return []
    model = models("comware")[intent.device.model]
    text = fill(
        "comware/switch.cfg.j2",
        **zoned.switch(intent, switching, model),
        officers=OFFICERS,
        secret=lambda what: secret.reference(f"device/{intent.device.name}/{what}"),
        numbered=numbered,
        numbers=RULE,
        mask=mask,
        wildcard=wildcard,
        split=split,
    )
    return [File(TARGET, text, "network", mode="0600")]


def _object(element: str) -> str:
    """A prefix as a group holds it: the device shows a whole length as a host."""
    whole = ip_network(element)
    if whole.prefixlen == whole.max_prefixlen:
        return f"host address {whole.network_address}"
    return f"subnet {split(element) if ':' in element else mask(element)}"


def _rules(policies: Iterable[Policy], family: int) -> list[Rule]:
    parts = [part for policy in policies if (part := policy.of(family))]
    numbers = numbered((part.name for part in parts), 0, RULE)
    return [
        Rule(
            numbers[part.name], part.name, part.flow, "pass" if part.permit else "drop",
            (
                *(f"source-zone {_zone(zone)}" for zone in part.entries),
                *(f"destination-zone {_zone(zone)}" for zone in part.exits),
                *(f"source-ip{_condition(end)}" for end in part.sources),
                *(f"destination-ip{_condition(end)}" for end in part.targets),
                *(f"service-port {_service(*kind)}" for kind in part.services),
            ),
        )
        for part in parts
    ]  # fmt: skip


def _zone(name: str) -> str:
    return "Local" if name == LOCAL else name


def _condition(given: str) -> str:
    if given.startswith("@"):
        return f" {given[1:]}"
    whole = ip_network(given)
    if whole.prefixlen == whole.max_prefixlen:
        return f"-host {whole.network_address}"
    return f"-subnet {split(given) if ':' in given else mask(given)}"


def _service(protocol: str, port: str) -> str:
    if protocol in ("icmp", "icmpv6"):
        return f"{protocol} {port} 0"
    return f"{protocol} destination eq {port}" if port else protocol
