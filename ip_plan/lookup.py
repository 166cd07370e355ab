"""Who owns an address, a name or a code, and why."""

from __future__ import annotations

import msgspec

from ip_plan import addressing
from ip_plan.network import Network


class Owner(msgspec.Struct, frozen=True):
    """One thing that has what was asked for."""

    kind: str
    key: str
    value: str
    reason: str


def find(network: Network, what: str) -> list[Owner]:
    """Everything that has `what`, the widest first: an address, a full name, a region code, a device or a site."""
    for family in (4, 6):
        try:
            wanted = addressing.parse(what, family)
        except ValueError:
            continue
        return _address(network, wanted, family)
    found = []
    for region in network.regions.values():
        if what in (region.code, region.name, region.domain):
            blocks = ", ".join((*region.blocks4, *region.blocks6)) or "no block of its own"
            found.append(Owner("region", region.code, f"{region.name} {region.domain}", blocks))
    for site in network.known_sites.values():
        if what in (site.key, site.region, site.domain):
            zones = ", ".join(f"{zone.name} {zone.v4} {zone.v6}" for zone in site.zones)
            reason = f"served by {site.parent or 'nobody'}, AS {site.asn or '-'}"
            reason += f", moved here: its addresses lie in the blocks of {site.holder}" if site.holder else ""
            found.append(Owner("site", site.key, zones, reason))
    for site in network.known_sites.values():
        if kept := site.handled.get(what):
            found.append(Owner("business", what, ", ".join(kept), f"kept in the production zone of {site.key}"))
    for device in network.known_devices.values():
        if what in (device.name, device.fqdn):
            addresses = " ".join(
                filter(
                    None,
                    (
                        device.loopback4,
                        device.loopback6,
                        *(i.v4 for i in device.interfaces),
                        *(i.v6 for i in device.interfaces),
                    ),
                )
            )
            found.append(Owner("device", device.name, addresses, f"{device.role} of {device.site}"))
    for service in network.services:
        if what == service.fqdn:
            key = f"{service.site}:{service.zone}:{service.name}"
            found.append(Owner("service", key, f"{service.v4} {service.v6}", f"on {service.device}, {service.clause}"))
    return found


def _address(network: Network, wanted: addressing.Block, family: int) -> list[Owner]:
    found: list[Owner] = []

    def hold(kind: str, key: str, text: str, reason: str) -> None:
        if text and addressing.contains(addressing.parse(text, family), wanted, family):
            found.append(Owner(kind, key, text, reason))

    four = family == 4
    hold("supernet", network.meta.name, network.meta.supernet4 if four else network.meta.supernet6, network.meta.scope)
    for region in network.regions.values():
        for block in region.blocks4 if four else region.blocks6:
            hold("block", region.code, block, f"{region.name}, a {region.level}")
    for site in network.known_sites.values():
        for zone in site.zones:
            if pair := network.pair(site.key):
                reason = f"virtual address of {' and '.join(device.name for device in pair)}"
                hold("gateway", f"{site.key}:{zone.name}", zone.gateway4 if four else zone.gateway6, reason)
            hold("zone", f"{site.key}:{zone.name}", zone.v4 if four else zone.v6, site.domain)
    for device in network.known_devices.values():
        hold("loopback", device.name, device.loopback4 if four else device.loopback6, device.fqdn)
        for interface in device.interfaces:
            own = (interface.v4 if four else interface.v6).partition("/")[0]
            reason = f"to {interface.peer}" if interface.peer else interface.zone
            hold("interface", f"{device.name} {interface.name}", own, reason)
    for each in network.second.values():
        beside = each.v4 if four else each.v6
        key = f"{each.device} {each.name}" if each.device else f"{each.site}:{each.name}"
        kind = "interface" if each.device else "zone"
        hold(kind, key, beside.partition("/")[0] if each.device else beside, "beside its own, while it is renumbered")
    for service in network.services:
        hold(
            "service", f"{service.site}:{service.zone}:{service.name}", service.v4 if four else service.v6, service.fqdn
        )
    return found
