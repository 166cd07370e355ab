"""Huawei VRP on the USG6000E: routing, zones and administration of a whole device in one file.

A router is the same box as a firewall with stateful inspection off: its two ways may differ, and only what ends at it is filtered.
"""

from __future__ import annotations

import msgspec

from ground import secret
from inventory.dialects import zoned
from inventory.dialects.numbering import numbered
from inventory.dialects.prefixlist import lists
from inventory.dialects.spelling import mask, split, wildcard
from inventory.dialects.template import fill
from inventory.file import File
from inventory.intent import Intent
from inventory.models import models
from inventory.routing import METRIC, PREFERENCE
from inventory.switching import Switching

TARGET = "/vrpcfg.cfg"
INDEX = 2**32 - 1
"""Highest index in a prefix list."""
RULE, MEMBER = 2**32 - 2, 4095
"""Highest number of a rule in an access list, and of a line in an address set."""
OFFICERS = ("system-officer", "audit-officer", "security-officer")
"""Administrators whose rights do not overlap (GB/T 22239 8.1.5.1 to 8.1.5.3)."""


class Policy(msgspec.Struct, frozen=True):
    """One rule of the security policy, with conditions as the rule view takes them."""

    name: str
    flow: str
    entries: tuple[str, ...]
    exits: tuple[str, ...]
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    services: tuple[str, ...]
    action: str


def files(intent: Intent) -> list[File]:
    """The configuration of a router, firewall, office device or switch."""
    if intent.switching is not None:
        return _switch(intent, intent.switching)
    routing, filter, administration = intent.routing, intent.filter, intent.administration
    if intent.device.dialect != "vrp" or routing is None or filter is None or administration is None:
        return []
    model = models("vrp")[intent.device.model]
    names = zoned.interfaces(intent, model)
    text = fill(
        "vrp/device.cfg.j2",
        device=intent.device,
        domain=intent.domain,
        model=model,
        ports=intent.ports,
        names=names | {"lo": "LoopBack0"},
        loopback=intent.loopback,
        routing=routing,
        cables={cable.name: cable for cable in routing.cables},
        lists=lists(routing, INDEX),
        preference=PREFERENCE,
        metric=METRIC,
        **zoned.pair(intent),
        zones=zoned.zones(intent),
        sets=filter.sets,
        policies=[policy(one) for one in zoned.policies(intent, filter)],
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
        rules=RULE,
        members=MEMBER,
        mask=mask,
        wildcard=wildcard,
        split=split,
    )
    return [File(TARGET, text, "network", mode="0600")]


def _switch(intent: Intent, switching: Switching) -> list[File]:
    """The configuration of a switch."""
    if intent.device.dialect != "vrp":
        return []
    model = models("vrp")[intent.device.model]
    text = fill(
        "vrp/switch.cfg.j2",
        **zoned.switch(intent, switching, model),
        officers=OFFICERS,
        secret=lambda what: secret.reference(f"device/{intent.device.name}/{what}"),
        numbered=numbered,
        rules=RULE,
        mask=mask,
        wildcard=wildcard,
        split=split,
    )
    return [File(TARGET, text, "network", mode="0600")]


def policy(one: zoned.Policy) -> Policy:
    """The rule in VRP's words."""
    return Policy(
        one.name, one.flow, one.entries, one.exits, tuple(map(_condition, one.sources)), tuple(map(_condition, one.targets)),
        tuple(_service(*kind) for kind in one.services), "permit" if one.permit else "deny",
    )  # fmt: skip


def _condition(given: str) -> str:
    if given.startswith("@"):
        return f"address-set {given[1:]}"
    return split(given) if ":" in given else mask(given if "/" in given else f"{given}/32").replace(" ", " mask ")


def _service(protocol: str, port: str) -> str:
    if protocol in ("icmp", "icmpv6"):
        return f"{protocol} {protocol}-type {port} 0"
    return f"{protocol} destination-port {port}" if port else protocol
