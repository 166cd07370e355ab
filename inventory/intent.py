"""What one device is to do, as one value: everything its templates need, computed from the Network and nothing else."""

from __future__ import annotations

import msgspec

from inventory import dns, ends, models
from inventory.dns import Server
from inventory.ends import Dual, bare
from inventory.filtering import Filter, filtering
from inventory.models import VENDORS
from inventory.pairing import Pair, link_local, pairing
from inventory.routing import Routing, routing
from inventory.switching import Switching, switching
from ip_plan import partners, queries, underlay
from ip_plan.holding import Holding, holding
from ip_plan.network import TRANSIT, Device, Flow, Interface, Network, Protection, Service, Site, Suite
from ip_plan.partners import Boxes, End, Front
from ip_plan.queries import Queries

NODE_EXPORTER, PROMETHEUS = "tcp/9100", "tcp/9090"


class Tunnel(msgspec.Struct, frozen=True):
    """What protects a line: it is a tunnel, whose two ends stand in a table of their own below it, with the same addresses."""

    suite: Suite
    below: str
    """Logical name of the interface that the tunnel goes over."""
    near: str
    """Its address, with length."""
    far: str
    """That of the other end."""
    secret: str
    """Name of the secret that both ends share."""
    own: underlay.End = underlay.End("", "")
    """Below the tunnel of a Debian, at this end."""
    other: underlay.End = underlay.End("", "")
    network: int = 0
    """Of the VXLAN that such a tunnel is."""


class Port(msgspec.Struct, frozen=True):
    """An interface with its addresses (with length) and, at a host, its gateway."""

    name: str
    addresses: Dual
    services: Dual = Dual()
    """Service addresses (/32, /128), and those of a renumbering: answered on, never the source of what the host opens."""
    gateway4: str = ""
    gateway6: str = ""
    kind: str = ""
    """`wan`, `inside` or `zone`, at a device that routes."""
    peer: str = ""
    """Device at the other end."""
    rank: str = ""
    """Of the line: `primary` or `backup`."""
    number: int = 0
    """Its own on the device; 0 where no model needs one."""
    vlan: int = 0
    """Of its zone, where the site has switches or two firewalls; 0: nobody but the device itself knows its VLAN id."""
    tunnel: Tunnel | None = None
    """Of a line that is encrypted."""

    @property
    def tag(self) -> int:
        """The VLAN id of its frames on a shared port."""
        return self.vlan or self.number


class Time(msgspec.Struct, frozen=True):
    """Whom the clock follows and who may follow it."""

    sources: Dual
    """Empty at the ministry's own server, whose clock is the network's."""
    serves: Dual
    source4: str = ""
    """Address the device asks from; empty: whatever the route gives."""
    source6: str = ""


class Administration(msgspec.Struct, frozen=True):
    """How a vendor's device is administered: what a Debian gets from its roles."""

    managers: Dual
    """Where administrators may come from: the openers of the rows that lead to routing devices, or to a switch's zone, by SSH."""
    logs: Dual
    """Where logs go."""


class Client(msgspec.Struct, frozen=True):
    """One line of the host-based authentication: a flow that ends at this database."""

    flow: str
    user: str
    """The flow's identity; `all` where the flow names none."""
    prefix: str
    """With length."""


class Database(msgspec.Struct, frozen=True):
    """A PostgreSQL server; on a scratch host one that runs only while something is restored to it."""

    listen: tuple[str, ...]
    clients: tuple[Client, ...]
    stanza: str = ""
    """Of its backups; empty: not protected."""
    archive_timeout_seconds: int = 0
    holding: Holding | None = None
    """What it keeps, gives and takes; None on a scratch host."""


class Stanza(msgspec.Struct, frozen=True):
    """One protected database as a backup host sees it."""

    name: str
    host: str
    """Name of the database's device."""
    retention_full: int
    full_interval_hours: int
    peers: tuple[str, ...]
    """Names of the hosts that may speak of this stanza."""


class Backup(msgspec.Struct, frozen=True):
    """A host's part in backups: it holds the repository, or it speaks to one."""

    repository: str
    """Name of the repository's service; empty where this host is the repository."""
    peer: str
    """Name of the repository's device."""
    stanzas: tuple[Stanza, ...]
    serves: bool
    """Whether others connect to this host."""

    @property
    def authorised(self) -> dict[str, tuple[str, ...]]:
        """Client → the stanzas it may speak of. One line a client: of two lines for one pgBackRest keeps the last."""
        found: dict[str, tuple[str, ...]] = {}
        for stanza in self.stanzas:
            for peer in (self.peer,) if self.repository else stanza.peers:
                found[peer] = (*found.get(peer, ()), stanza.name)
        return found


class Target(msgspec.Struct, frozen=True):
    """One thing a Prometheus reads."""

    device: str
    site: str
    zone: str
    address: str
    running: bool
    """Whether a twin has it."""


class Metrics(msgspec.Struct, frozen=True):
    """What a centre's Prometheus reads: exporters of its own flows, and the servers of the sites it serves."""

    site: str
    region: str
    exporters: tuple[Target, ...]
    children: tuple[Target, ...]


class Asked(msgspec.Struct, frozen=True):
    """A query service as its host serves it."""

    service: Queries
    openers: dict[str, tuple[str, ...]]
    """Row → the prefixes that it lets ask here."""


class Intent(msgspec.Struct, frozen=True):
    """Everything one device's files are made from."""

    device: Device
    level: str
    domain: str
    ports: tuple[Port, ...]
    loopback: Dual
    resolver: Dual
    time: Time
    routing: Routing | None = None
    filter: Filter | None = None
    server: Server | None = None
    database: Database | None = None
    backup: Backup | None = None
    metrics: Metrics | None = None
    administration: Administration | None = None
    boxes: Boxes | None = None
    """The drop boxes that a host keeps, or fetches from."""
    front: Front | None = None
    """The front-end that a host keeps, or answers the requests of."""
    queries: Asked | None = None
    """The query service of a host that answers terminals."""
    asks: End | None = None
    """Where a terminal asks."""
    switching: Switching | None = None
    pair: Pair | None = None
    """Of a firewall that shares the gateways of its zones with another one."""


def intent(network: Network, device: Device, server: Server | None = None) -> Intent:
    """The intent of `device`. `server`: the name server of its site, when the device runs it."""
    site = network.sites[device.site]
    carried = tuple(
        service for service in network.services_at.get((site.key, device.zone), ()) if service.device == device.name
    )
    loopback = Dual((f"{device.loopback4}/32",), (f"{device.loopback6}/128",)) if device.loopback4 else Dual()
    loopback = ends.join([loopback, _beside(network, device, "lo")])
    return Intent(
        device=device,
        level=site.level,
        domain=site.domain,
        ports=tuple(_ports(network, device, site, carried)),
        loopback=loopback,
        resolver=dns.serving(network, site, "udp/53"),
        time=_time(network, device, site),
        routing=routing(network, device),
        filter=filtering(network, device),
        server=server if "names" in device.duties else None,
        database=_database(network, device, site, carried),
        backup=_backup(network, device),
        metrics=_metrics(network, device, site) if "metrics" in device.duties else None,
        administration=_administration(network, device, site) if device.dialect in VENDORS else None,
        boxes=_boxes(network, device, site),
        front=_front(network, device, site),
        queries=_queries(network, device, site) if carried else None,
        asks=asked.asked if device.role == "host" and (asked := queries.asks(network, device)) else None,
        switching=switching(network, device),
        pair=pairing(network, device),
    )


def _ports(network: Network, device: Device, site: Site, carried: tuple[Service, ...]) -> list[Port]:
    found = []
    vlans = network.switched(site)
    for place, interface in enumerate(device.interfaces):
        addresses = Dual((interface.v4,), (interface.v6,))
        zone = site.zone(interface.zone)
        beside = _beside(network, device, interface.name)
        if device.role == "switch":
            if zone is not None and interface.kind == "zone":
                addresses = ends.join([addresses, beside])
                found.append(Port(interface.name, addresses, Dual(), zone.gateway4, zone.gateway6, interface.kind))
            continue
        if device.numbers:
            addresses = ends.join([addresses, beside])
            port = Port(interface.name, addresses, kind=interface.kind, peer=interface.peer)
            rank, tunnel = models.rank(network, interface), _tunnel(network, interface)
            tag = (vlans.get(interface.zone) or _shared(network, device, place)) if interface.kind == "zone" else 0
            found.append(
                msgspec.structs.replace(port, rank=rank, number=device.numbers[place], vlan=tag, tunnel=tunnel)
            )
            continue
        if zone is not None and network.pair(site.key) and device.role == "firewall":
            # The prefix belongs to the virtual address: a route to the zone is only where that is.
            own = (f"{bare(interface.v6)}/128", f"{link_local(interface.v6)}/64")
            found.append(Port(interface.name, Dual((f"{bare(interface.v4)}/32",), own)))
            continue
        if device.role != "host" or zone is None:
            port = Port(interface.name, addresses, beside, tunnel=_tunnel(network, interface))
            found.append(port)
            continue
        services = Dual(
            tuple(f"{service.v4}/32" for service in carried), tuple(f"{service.v6}/128" for service in carried)
        )
        found.append(Port(interface.name, addresses, ends.join([services, beside]), zone.gateway4, zone.gateway6))
    return found


def _shared(network: Network, device: Device, place: int) -> int:
    """The VLAN id of a zone that two firewalls have together: the first one's number; 0: there is no second one."""
    pair = network.pair(device.site) if device.role == "firewall" else ()
    if not pair:
        return 0
    name, first = device.interfaces[place].name, pair[0]
    return next(number for each, number in zip(first.interfaces, first.numbers, strict=True) if each.name == name)


def _tunnel(network: Network, interface: Interface) -> Tunnel | None:
    link = network.links.get(interface.link)
    if link is None or not link.suite:
        return None
    own, other = underlay.end(interface.v4), underlay.end(interface.peer4)
    below, number = underlay.below(interface.name), underlay.network_id(interface.v4)
    return Tunnel(link.suite, below, interface.v4, interface.peer4, link.secret, own, other, number)


def _beside(network: Network, device: Device, name: str) -> Dual:
    """What an interface is answered on while its site is renumbered, and never the source of what the device opens."""
    each = network.second.get((device.name, name))
    return Dual((each.v4,), (each.v6,)) if each else Dual()


def _time(network: Network, device: Device, site: Site) -> Time:
    if "time" in device.duties:
        return Time(dns.above(network, site, "udp/123"), Dual((network.meta.supernet4,), (network.meta.supernet6,)))
    return Time(dns.serving(network, site, "udp/123"), Dual(), device.loopback4, device.loopback6)


def _administration(network: Network, device: Device, site: Site) -> Administration:
    there = device.zone or TRANSIT
    managing = (flow for flow in network.flows if flow.to_zone == there and "tcp/22" in flow.ports)
    managers = ends.join(ends.openers(network, site, flow) for flow in managing)
    if device.zone:
        # Between hosts of its own zone no filter stands.
        managers = ends.join([ends.end(network, site, device.zone, "", site), managers])
    return Administration(managers, dns.serving(network, site, "tcp/6514"))


def length(address: str) -> str:
    """`10.0.0.1` → `10.0.0.1/32`; a prefix stays."""
    return address if "/" in address else f"{address}/{128 if ':' in address else 32}"


def _database(network: Network, device: Device, site: Site, carried: tuple[Service, ...]) -> Database | None:
    if not {"database", "scratch"} & set(device.duties):
        return None
    clients = []
    for flow in network.flows:
        if flow.to_zone != device.zone or "tcp/5432" not in flow.ports:
            continue
        if flow.to_service and flow.to_service not in {service.name for service in carried}:
            continue
        opened = ends.openers(network, site, flow)
        for prefix in (*opened.v4, *opened.v6):
            clients.append(Client(flow.id, flow.identity or "all", length(prefix)))
    protection = next((each for each in network.protections if each.device == device.name), None)
    own = [bare(address) for interface in device.interfaces for address in (interface.v4, interface.v6)]
    own += [address for service in carried if "tcp/5432" in service.ports for address in (service.v4, service.v6)]
    return Database(
        listen=tuple(own),
        clients=tuple(dict.fromkeys(clients)),
        stanza=protection.stanza if protection else "",
        archive_timeout_seconds=protection.archive_timeout_seconds if protection else 0,
        holding=holding(network, device) if "database" in device.duties else None,
    )


def _backup(network: Network, device: Device) -> Backup | None:
    mine = network.protections_of.get(device.name)
    if not mine:
        return None
    first = mine[0]
    zone = network.devices[first.repository].zone
    service = next(each for each in network.services_at[first.site, zone] if each.name == first.repository_service)
    repository = device.name == first.repository
    return Backup(
        repository="" if repository else service.fqdn,
        peer=network.devices[first.repository].fqdn,
        stanzas=tuple(_stanza(network, each) for each in mine),
        serves=repository or any(each.device == device.name for each in mine),
    )


def _stanza(network: Network, protection: Protection) -> Stanza:
    host = network.devices[protection.device].fqdn
    scratch = (network.devices[protection.scratch].fqdn,) if protection.scratch else ()
    return Stanza(protection.stanza, host, protection.retention_full, protection.full_interval_hours, (host, *scratch))


def _boxes(network: Network, device: Device, site: Site) -> Boxes | None:
    found = partners.boxes(network, site) if device.role == "host" else None
    return found if found and device.name in (found.device, found.fetcher) else None


def _front(network: Network, device: Device, site: Site) -> Front | None:
    found = partners.front(network, site) if device.role == "host" else None
    return found if found and device.name in (found.device, found.desk) else None


def _queries(network: Network, device: Device, site: Site) -> Asked | None:
    found = queries.queries(network, site)
    if found is None or found.device != device.name:
        return None
    opened = {flow.id: ends.openers(network, site, flow) for flow in found.rows}
    return Asked(found, {row: (*each.v4, *each.v6) for row, each in opened.items() if each})


def _metrics(network: Network, device: Device, site: Site) -> Metrics:
    exporters: list[Target] = []
    children: list[Target] = []
    for flow in network.flows:
        if flow.verdict != "allow" or flow.from_zone != device.zone or not ends.has(site, flow.from_zone):
            continue
        for other in network.related(site, flow.relation):
            if not flow.between(site, other):
                continue
            if NODE_EXPORTER in flow.ports:
                exporters += _exporters(network, other, flow)
            if PROMETHEUS in flow.ports and other.key != site.key:
                children += [
                    Target(service.device, other.key, service.zone, service.v4, other.running)
                    for service in network.services_at.get((other.key, flow.to_zone), ())
                    if PROMETHEUS in service.ports
                ]
    return Metrics(site.key, site.region, tuple(dict.fromkeys(exporters)), tuple(dict.fromkeys(children)))


def _exporters(network: Network, site: Site, flow: Flow) -> list[Target]:
    found = []
    for device in ends.devices(network, site):
        if flow.to_zone == TRANSIT and device.loopback4:
            found.append(Target(device.name, site.key, TRANSIT, device.loopback4, site.running))
        elif device.role == "host" and device.zone == flow.to_zone:
            found.append(Target(device.name, site.key, device.zone, bare(device.interfaces[0].v4), site.running))
    return found
