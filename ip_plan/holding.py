"""What a database host holds: tables of its own, copies that flows bring, what it gives to others and what it takes from them.

Read from the catalogue and the plan's rows alone, so that what is rendered and what is looked at from outside expect the same.
A flow that a database subscriber opens against the direction of its data (`data: against` in flows.yml) is logical replication: up
where the higher level dials, down where the lower one does. What is addressed to a region (DB-06) goes up until a centre serves
that region and down from there, out of one table and into another, so that nothing comes back to where it was. A flow with entrances
(FL-07) runs with its connection: the exchange zone hands over what was validated, production dials nobody.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from ip_plan import catalogue
from ip_plan.catalogue import Entrance, Table
from ip_plan.layout import province_key
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
    only: str = ""
    """Which of its rows travel: a condition on its columns; empty: all."""

    @property
    def filled(self) -> bool:
        """Whether its rows come from another table, here or elsewhere: applications only read them."""
        return self.copied or bool(self.table.from_)

    @property
    def full(self) -> str:
        """`schema.name`."""
        return f"{self.schema}.{self.name}"

    @property
    def rows(self) -> str:
        """The same, with which of its rows: what both ends of a flow count."""
        return f"{self.full} where {self.only}" if self.only else self.full


class Publication(msgspec.Struct, frozen=True):
    """What a host gives to the subscribers of one flow."""

    name: str
    """Also of the flow: `fl_02`; `fl_05_640300` where it is for the centre of that region alone."""
    user: str
    subscribers: tuple[str, ...]
    """Full names of the hosts that may take it, as their certificates have them."""
    tables: tuple[Held, ...]
    """With the columns that travel, and no other."""


class Import(msgspec.Struct, frozen=True):
    """What the exchange zone may write into a production database: new rows of these tables, and nothing else."""

    user: str
    subscribers: tuple[str, ...]
    """Full names of the hosts that may, as their certificates have them."""
    tables: tuple[Held, ...]
    """With the columns that come in."""


class Door(msgspec.Struct, frozen=True):
    """One table of the exchange zone whose rows come into production."""

    source: Held
    """With the columns that go over."""
    own: str
    """Which of its rows are for this centre: a condition on its columns; empty: all."""
    entrance: Entrance

    @property
    def target(self) -> str:
        """Name that the table of production has here: `business_received`."""
        return self.entrance.to.replace(".", "_")


class Delivery(msgspec.Struct, frozen=True):
    """What the exchange zone hands over to production of its centre, after validation."""

    flow: str
    user: str
    device: str
    """Of the production database."""
    host: str
    addresses: tuple[str, ...]
    doors: tuple[Door, ...]
    running: bool


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
    imports: tuple[Import, ...] = ()
    deliveries: tuple[Delivery, ...] = ()


def holding(network: Network, device: Device) -> Holding:
    """What `device`, a database host, holds."""
    known = catalogue.shipped()
    site = network.sites[device.site]
    own = known.schemas(_levels(network, site), device.zone)
    inside = device.zone == "production"
    tables = {held.full: held for schema in own for held in _schema(schema, inside=inside)}
    for full, held in tables.items():
        if full in _downward():  # of what a lower level sent, what is for a region that is served here
            table = msgspec.structs.replace(held.table, where=_served(network, site, held.table.addressed))
            tables[full] = msgspec.structs.replace(held, table=table)
    publications: list[Publication] = []
    subscriptions = []
    for flow, down in _replicated(network):
        travelling = tuple(_outside(*name) for name in known.tables.carried(flow.flow, down=down))
        if flow.from_zone == device.zone and _carries(network, site, device, flow.from_service):
            found = [
                _subscription(flow, _addressed(network, travelling, other, site), site, other, service)
                for other, service in _publishers(network, site, flow)
            ]
            subscriptions += found
            for held in travelling if found else ():
                tables.setdefault(held.full, msgspec.structs.replace(held, copied=True))
        if flow.to_zone == device.zone and _carries(network, site, device, flow.to_service):
            given = tuple(held for held in travelling if held.full in tables)
            publications += _publications(network, flow, given, site) if given else ()
    imports, deliveries = _entering(network, site, device, tables)
    return Holding(
        site.region, tuple(tables.values()), tuple(publications), tuple(subscriptions), imports, deliveries
    )  # fmt: skip


def _replicated(network: Network) -> Iterator[tuple[Flow, bool]]:
    """The rows that are replication, and whether their data go from a higher level to a lower one."""
    tables = catalogue.shipped().tables
    for flow in network.flows:
        down = flow.relation == "serving-parent"
        if (
            flow.verdict == "allow"
            and flow.data == "against"
            and PORT in flow.ports
            and tables.carried(flow.flow, down=down)
        ):
            yield flow, down


def _downward() -> set[str]:
    tables = catalogue.shipped().tables
    return {".".join(name) for flow in tables.down for name in tables.carried(flow, down=True)}


def _addressed(network: Network, tables: tuple[Held, ...], publisher: Site, subscriber: Site) -> tuple[Held, ...]:
    """The tables with which of their rows travel: down what is for the subscriber, up what the publisher does not serve."""
    found = []
    for held in tables:
        if column := held.table.addressed:
            up = publisher.parent == subscriber.key
            served = _served(network, publisher if up else subscriber, column)
            held = msgspec.structs.replace(held, only=f"not ({served})" if up else served)
        found.append(held)
    return tuple(found)


def _served(network: Network, site: Site, column: str) -> str:
    """Whether the region named in `column` is served by `site`, or by a centre below it: a condition in SQL.

    A province is told by the first two digits, as everywhere (GB/T 2260): no level has to know the cities of another province.
    """
    if site.level == "ministry":
        return "true"
    if site.level == "province":
        return f"left({column}, 2) = '{province_key(site.region)}'"
    listed = ", ".join(f"'{code}'" for code in _regions(network, site))
    return f"{column} in ({listed})"


def _regions(network: Network, site: Site) -> list[str]:
    """The regions that this centre serves, counties included: what a case may be addressed to."""
    counties: dict[str, list[str]] = network.memory["counties served"]
    if not counties:
        for each in network.regions.values():
            if each.level == "county":
                counties.setdefault(each.serving, []).append(each.code)
    return [site.region, *sorted(counties.get(site.region, ()))]


def _entering(
    network: Network, site: Site, device: Device, tables: dict[str, Held]
) -> tuple[tuple[Import, ...], tuple[Delivery, ...]]:
    known = catalogue.shipped().tables
    imports, deliveries = [], []
    for flow in network.flows:
        entrances = known.entrances.get(flow.flow, {})
        if not entrances or flow.verdict != "allow" or flow.data != "with" or PORT not in flow.ports:
            continue
        if flow.to_zone == device.zone and _carries(network, site, device, flow.to_service):
            names = tuple(name for _, name in _subscribers(network, site, flow))
            there = catalogue.shipped().schemas(_levels(network, site), flow.from_zone)
            entered = tuple(
                _only(tables[each.to], _common(known, name, each.to))
                for name, each in entrances.items()
                if each.to in tables and name.partition(".")[0] in there
            )
            if names and entered:
                imports.append(Import(flow.identity, names, entered))
        if flow.from_zone == device.zone and _carries(network, site, device, flow.from_service):
            doors = tuple(
                Door(_only(tables[name], _common(known, name, each.to)), _own(network, site, tables[name]), each)
                for name, each in entrances.items()
                if name in tables
            )
            deliveries += [
                Delivery(
                    flow.flow, flow.identity, service.device, service.fqdn, (service.v4, service.v6), doors, other.running
                )
                for other, service in _publishers(network, site, flow)
                if doors
            ]  # fmt: skip
    return tuple(imports), tuple(deliveries)


def _own(network: Network, site: Site, held: Held) -> str:
    """Which rows of a table are for this centre itself and for none below it."""
    column = held.table.addressed
    if not column:
        return ""
    below = [_served(network, child, column) for child in network.children.get(site.key, ()) if child.zone("exchange")]
    return " and ".join([_served(network, site, column), *(f"not ({each})" for each in below)])


def _common(known: catalogue.Tables, *names: str) -> tuple[str, ...]:
    """The columns that both tables have."""
    one, other = (known.schemas[schema][name] for schema, _, name in (full.partition(".") for full in names))
    return tuple(column for column in one.columns if column in other.columns)


def _only(held: Held, columns: tuple[str, ...]) -> Held:
    kept = {name: held.table.columns[name] for name in columns}
    return msgspec.structs.replace(held, table=msgspec.structs.replace(held.table, columns=kept))


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


def _outside(schema: str, name: str) -> Held:
    """A table as it travels."""
    table = catalogue.shipped().tables.schemas[schema][name]
    return Held(schema, name, table.outside if _of_production(schema) else table)


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


def _publishers(network: Network, site: Site, flow: Flow) -> Iterator[tuple[Site, Service]]:
    for other in network.related(site, flow.relation):
        service = network.service(other.key, flow.to_zone, flow.to_service)
        if service is not None and flow.between(site, other):
            yield other, service


def _subscribers(network: Network, site: Site, flow: Flow) -> Iterator[tuple[Site, str]]:
    """Who opens the flow to `site`: its centre, and the full name of its host."""
    for other in network.related(site, OPENER.get(flow.relation, flow.relation)):
        service = network.service(other.key, flow.from_zone, flow.from_service)
        if service is not None and flow.between(other, site) and service.device in network.known_devices:
            yield other, network.known_devices[service.device].fqdn


def _publications(network: Network, flow: Flow, tables: tuple[Held, ...], site: Site) -> Iterator[Publication]:
    """One for all subscribers; where rows go to whom they are for, one each."""
    named = list(_subscribers(network, site, flow))
    if flow.relation == "serving-parent":
        for other, name in named:
            given = _addressed(network, tables, site, other)
            yield Publication(f"{_name(flow)}_{other.region}".lower(), flow.identity, (name,), given)
    elif named:
        yield Publication(
            _name(flow), flow.identity, tuple(name for _, name in named), _addressed(network, tables, site, named[0][0])
        )


def _subscription(flow: Flow, tables: tuple[Held, ...], site: Site, other: Site, service: Service) -> Subscription:
    name, publication = f"{_name(flow)}_{service.device.replace('-', '_')}".lower(), _name(flow)
    if flow.relation == "serving-parent":  # the publisher has a slot for each of the centres that it serves
        name, publication = f"{name}_{site.region}".lower(), f"{publication}_{site.region}".lower()
    return Subscription(
        name, publication, flow.flow, flow.identity, service.device, other.key, service.fqdn, (service.v4, service.v6),
        tables, other.running,
    )  # fmt: skip
