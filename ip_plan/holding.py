"""What a database host holds: tables of its own, copies that flows bring, what it gives to others and what it takes from them.

Read from the catalogue and the plan's rows alone, so that what is rendered and what is looked at from outside expect the same.
A flow that a database subscriber opens against the direction of its data (`data: against` in flows.yml) is logical replication.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from ip_plan import catalogue
from ip_plan.catalogue import Table
from ip_plan.network import Device, Flow, Network, Relation, Service, Site

PORT = "tcp/5432"
OPENER: dict[Relation, Relation] = {"serving-parent": "served-child", "served-child": "serving-parent"}


class Held(msgspec.Struct, frozen=True):
    """One table of one host."""

    schema: str
    name: str
    table: Table
    copied: bool = False
    """Whether a flow fills it: nothing else writes there."""

    @property
    def filled(self) -> bool:
        """Whether its rows come from another table, here or elsewhere: applications only read them."""
        return self.copied or bool(self.table.from_)

    @property
    def full(self) -> str:
        """`schema.name`."""
        return f"{self.schema}.{self.name}"


class Publication(msgspec.Struct, frozen=True):
    """What a host gives to the subscribers of one flow."""

    name: str
    """Also of the flow: `fl_02`."""
    user: str
    subscribers: tuple[str, ...]
    """Full names of the hosts that may take it, as their certificates have them."""
    tables: tuple[Held, ...]
    """With the columns that travel, and no other."""


class Subscription(msgspec.Struct, frozen=True):
    """What a host takes from one publisher of one flow. Its name is that of the publisher's slot too."""

    name: str
    """`fl_05_640100_exch1`."""
    publication: str
    flow: str
    user: str
    publisher: str
    """Device."""
    site: str
    host: str
    """Full name of the publisher's service."""
    addresses: tuple[str, ...]
    tables: tuple[Held, ...]
    running: bool
    """Whether a twin has the publisher."""


class Holding(msgspec.Struct, frozen=True):
    """What one database host holds."""

    region: str
    tables: tuple[Held, ...]
    publications: tuple[Publication, ...]
    subscriptions: tuple[Subscription, ...]


def holding(network: Network, device: Device) -> Holding:
    """What `device`, a database host, holds."""
    known = catalogue.shipped()
    site = network.sites[device.site]
    own = known.schemas(_levels(network, site), device.zone)
    inside = device.zone == "production"
    tables = {held.full: held for schema in own for held in _schema(schema, inside=inside)}
    publications = []
    subscriptions = []
    for flow in network.flows:
        carried = known.tables.flows.get(flow.flow, ())
        if not carried or flow.verdict != "allow" or flow.data != "against" or PORT not in flow.ports:
            continue
        travelling = tuple(held for schema in carried for held in _schema(schema, inside=False))
        if flow.from_zone == device.zone and _carries(network, site, device, flow.from_service):
            found = [_subscription(flow, travelling, *each) for each in _publishers(network, site, flow)]
            subscriptions += found
            for held in travelling if found else ():
                tables.setdefault(held.full, msgspec.structs.replace(held, copied=True))
        if flow.to_zone == device.zone and _carries(network, site, device, flow.to_service):
            names = tuple(_subscribers(network, site, flow))
            given = tuple(held for held in travelling if held.full in tables)
            if names and given:
                publications.append(Publication(_name(flow), flow.identity, names, given))
    return Holding(site.region, tuple(tables.values()), tuple(publications), tuple(subscriptions))


def _levels(network: Network, site: Site) -> tuple[str, ...]:
    # A municipality is province and city at one site (S2 二(一)1).
    if network.regions[site.region].kind == "municipality":
        return ("province", "prefecture")
    return (site.level,)


def _schema(schema: str, *, inside: bool) -> Iterator[Held]:
    """The tables of a schema: whole where they stand `inside` production or never were there, else what leaves."""
    for name, table in catalogue.shipped().tables.schemas[schema].items():
        if inside or not _of_production(schema):
            yield Held(schema, name, table)
        elif table.leaves:
            yield Held(schema, name, table.outside)


def _of_production(schema: str) -> bool:
    entries = catalogue.shipped().entries.values()
    return any("production" in zones for entry in entries if entry.schema == schema for zones in entry.at.values())


def _name(flow: Flow) -> str:
    return flow.flow.lower().replace("-", "_")


def _carries(network: Network, site: Site, device: Device, service: str) -> bool:
    return any(
        each.name == service and each.device == device.name
        for each in network.services_at.get((site.key, device.zone), ())
    )


def _at(network: Network, site: Site, zone: str, service: str) -> Service | None:
    return next((each for each in network.services_at.get((site.key, zone), ()) if each.name == service), None)


def _publishers(network: Network, site: Site, flow: Flow) -> Iterator[tuple[Site, Service]]:
    for other in network.related(site, flow.relation):
        service = _at(network, other, flow.to_zone, flow.to_service)
        if service is not None and flow.between(site, other):
            yield other, service


def _subscribers(network: Network, site: Site, flow: Flow) -> Iterator[str]:
    for other in network.related(site, OPENER.get(flow.relation, flow.relation)):
        service = _at(network, other, flow.from_zone, flow.from_service)
        if service is not None and flow.between(other, site) and service.device in network.known_devices:
            yield network.known_devices[service.device].fqdn


def _subscription(flow: Flow, tables: tuple[Held, ...], other: Site, service: Service) -> Subscription:
    name = f"{_name(flow)}_{service.device.replace('-', '_')}".lower()
    return Subscription(
        name, _name(flow), flow.flow, flow.identity, service.device, other.key, service.fqdn, (service.v4, service.v6),
        tables, other.running,
    )  # fmt: skip
