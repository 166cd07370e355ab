"""The query service of a centre: which host answers what people ask about themselves, and the terminals at which they may ask.

Read from the plan's rows alone, as `partners.py` is. The rows are those of FL-08: from access zones, of the centre itself and of the
offices that it serves, to the exchange zone, which answers with results only (S3 四(一)2).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ip_plan import catalogue, partners
from ip_plan.catalogue import Question
from ip_plan.network import Device, Flow, Network, Relation, Site
from ip_plan.partners import End

FLOW = "FL-08"
USER = "query"
"""As whom it runs, on its host and in the database there."""
RECORD = "service.query"
"""The table that says what was asked."""
DATABASE = "database"
OPENER: dict[Relation, Relation] = {"serving-parent": "served-child"}
"""How the opener of a row stands to the centre that it leads to."""


class Terminal(msgspec.Struct, frozen=True):
    """A host of an access zone."""

    device: str
    site: str

    @property
    def certificate(self) -> str:
        """Common name of the certificate that it shows."""
        return f"{self.device}.terminal"


class Queries(msgspec.Struct, frozen=True):
    """The query service of one centre."""

    site: str
    region: str
    device: str
    """That answers."""
    asked: End
    """Where terminals ask."""
    rows: tuple[Flow, ...]
    """By which they come."""
    terminals: tuple[Terminal, ...]

    @property
    def questions(self) -> Mapping[str, Question]:
        """What may be asked, by name."""
        return catalogue.shipped().tables.queries


def queries(network: Network, site: Site) -> Queries | None:
    """The query service of `site`; None where no terminal reaches one, or its host has no database to answer from."""
    held: dict[str, Queries | None] = network.memory["queries"]
    if site.key not in held:
        held[site.key] = _queries(network, site)
    return held[site.key]


def _queries(network: Network, site: Site) -> Queries | None:
    rows = _rows(network)
    if not rows or site.zone("production") is None:
        return None
    service = network.service(site.key, rows[0].to_zone, rows[0].to_service)
    host = network.known_devices.get(service.device) if service else None
    if service is None or host is None or DATABASE not in host.duties:
        return None
    rows = tuple(flow for flow in rows if (flow.to_zone, flow.to_service) == (service.zone, service.name))
    found = {terminal.device: terminal for flow in rows for terminal in _terminals(network, site, flow)}
    if not found:
        return None
    terminals = tuple(found[device] for device in sorted(found))
    return Queries(site.key, site.region, service.device, partners.end(service), rows, terminals)


def asks(network: Network, device: Device) -> Queries | None:
    """The query service at which `device` may ask; None where it is no terminal."""
    site = network.sites[device.site]
    for flow in _rows(network):
        if device.role != "host" or device.zone != flow.from_zone:
            continue
        for other in network.related(site, flow.relation):
            found = queries(network, other)
            if found and Terminal(device.name, site.key) in found.terminals:
                return found
    return None


def _rows(network: Network) -> tuple[Flow, ...]:
    return tuple(flow for flow in network.flows if flow.flow == FLOW and flow.verdict == "allow")


def _terminals(network: Network, site: Site, flow: Flow) -> list[Terminal]:
    """The hosts that may open `flow` to `site`."""
    known = network.known_devices
    hosts = (
        known[name]
        for opener in network.related(site, OPENER.get(flow.relation, flow.relation))
        if flow.between(opener, site)
        for name in opener.devices
        if name in known
    )
    return [Terminal(host.name, host.site) for host in hosts if host.role == "host" and host.zone == flow.from_zone]
