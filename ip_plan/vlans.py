"""VLAN ids of zones: which there are, and what has to hold of them where sites have switches."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ground.mistake import Mistake
from ip_plan.schema import PlanFile, SitesFile
from ip_plan.source import Document

ZONE = "management"
"""Where a switch has its address."""
PARKING = 999
"""The VLAN of ports that nothing hangs on, and of what comes untagged where everything is tagged; no zone has it."""
RESERVED = (PARKING, *range(1002, 1006))
"""VLAN ids that no zone may have: the parking one, and those that IOS-XE keeps for token ring and FDDI."""


def vlans(sites: SitesFile) -> dict[str, int] | msgspec.UnsetType:
    """Zone → VLAN id; unset where no site has a switch."""
    if not any(kind.switches for kind in sites.sites):
        return msgspec.UNSET
    return {name: zone.vlan for name, zone in sites.zones.items() if zone.vlan}


def check(sites: SitesFile, plan: PlanFile, documents: Mapping[str, Document]) -> list[Mistake]:
    """What has to hold of VLAN ids and of kinds of sites with switches."""
    found: list[Mistake] = []

    def wrong(
        path: tuple[str | int, ...], code: str, subject: str, what: str, cure: str, file: str = "sites.yml"
    ) -> None:
        document = documents[file]
        found.append(Mistake(document.file, *document.place(path), code, subject, what, cure))

    for file, rows in (("sites.yml", sites.devices), ("plan.yml", plan.devices)):
        for index, row in enumerate(rows):
            if row.role == "switch" and row.dialect == "frr":
                cure = "Give a vendor's dialect and model, or leave `switches:` out."
                wrong(("devices", index, "dialect"), "JB1975", "switch", "a Debian is no switch", cure, file)
    asked = any(kind.switches for kind in sites.sites)
    held: dict[int, str] = {}
    for name, zone in sites.zones.items():
        if asked and zone.short == "sw":
            what = "the short name `sw` is that of switches"
            wrong(("zones", name, "short"), "JB1204", name, what, "Give the zone another one.")
        if zone.vlan is None:
            continue
        if zone.vlan in held:
            what = f"VLAN {zone.vlan} is that of {held[zone.vlan]}"
            wrong(("zones", name, "vlan"), "JB1977", name, what, "Give each zone a VLAN of its own.")
        if zone.vlan in RESERVED:
            why = "unused ports stand in" if zone.vlan == PARKING else "some switches keep for themselves"
            wrong(("zones", name, "vlan"), "JB1979", name, f"VLAN {zone.vlan} is one that {why}", "Give another one.")
        held.setdefault(zone.vlan, name)
    for index, kind in enumerate(sites.sites):
        if not kind.switches:
            continue
        subject = f"{kind.level} {kind.kind}"
        if ZONE not in kind.zones:
            what = f"has switches, and no zone `{ZONE}` in which they could have addresses"
            wrong(("sites", index, "switches"), "JB1978", subject, what, "Give it the zone, or no switches.")
        for name in kind.zones:
            if name in sites.zones and sites.zones[name].vlan is None:
                what = f"has switches, and its zone {name} has no VLAN id"
                wrong(("sites", index, "zones"), "JB1976", subject, what, f"Give {name} a `vlan:` under `zones:`.")
    return found
