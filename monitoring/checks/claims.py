"""What each role of `playbooks/roles` leaves on a device, as claims that testinfra can look at there.

Written from what the services need, and not from what the roles do: packages, units, sockets, users, and whose the files are that
hold keys or decide what a service does. A role that has nothing to do on a device claims nothing there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from ip_plan import partners, queries
from ip_plan.holding import holding
from ip_plan.network import Device, Network
from ip_plan.partners import Boxes, End, Front

ROUTING = ("router", "access", "firewall")
DATA = "/var/lib/postgresql/15/main"
POSTGRES = "/etc/postgresql/15/main"
JINBAO = "/etc/jinbao"


class Package(msgspec.Struct, frozen=True, tag=True):
    """A package is installed."""

    name: str


class Unit(msgspec.Struct, frozen=True, tag=True):
    """A unit runs, and comes back after a reboot."""

    name: str


class User(msgspec.Struct, frozen=True, tag=True):
    """There is a user of that name."""

    name: str


class Owned(msgspec.Struct, frozen=True, tag=True):
    """A file or folder is there, and whose and how open it is."""

    path: str
    owner: str
    mode: int


class Socket(msgspec.Struct, frozen=True, tag=True):
    """Something listens: `tcp://10.0.0.1:53`, or `tcp://9100` on all addresses."""

    spec: str


Claim = Package | Unit | User | Owned | Socket


def baseline(network: Network, device: Device) -> Iterator[Claim]:
    """Packages that everything rests on, SSH, and the interfaces."""
    yield from (Package("openssh-server"), Package("python3"), Unit("ssh.service"), Unit("systemd-networkd.service"))
    yield Owned("/etc/ssh/sshd_config", "root", 0o644)
    yield Owned("/etc/sysctl.d/60-jinbao.conf", "root", 0o644)
    yield Owned("/etc/resolv.conf", "root", 0o644)


def router(network: Network, device: Device) -> Iterator[Claim]:
    """FRR, on what routes."""
    if device.role in ROUTING:
        yield from (Package("frr"), Package("frr-pythontools"), Unit("frr.service"), User("frr"))
        yield Owned("/etc/frr/frr.conf", "frr", 0o640)
        yield Owned("/etc/frr/daemons", "frr", 0o640)


def firewall(network: Network, device: Device) -> Iterator[Claim]:
    """The packet filter, on what routes."""
    if device.role in ROUTING:
        yield from (Package("nftables"), Unit("nftables.service"))
        yield Owned("/etc/nftables.conf", "root", 0o755)


def pair(network: Network, device: Device) -> Iterator[Claim]:
    """keepalived, on a firewall that shares its gateways."""
    if device in network.pair(device.site):
        yield from (Package("keepalived"), Unit("keepalived.service"))
        yield Owned("/etc/keepalived/keepalived.conf", "root", 0o644)


def tunnels(network: Network, device: Device) -> Iterator[Claim]:
    """strongSwan and its secrets, on what encrypts a line."""
    if any(each.link in network.links and network.links[each.link].suite for each in device.interfaces):
        yield from (Package("charon-systemd"), Package("strongswan-swanctl"), Unit("strongswan.service"))
        yield Owned("/etc/swanctl/conf.d/lines.conf", "root", 0o600)


def names(network: Network, device: Device) -> Iterator[Claim]:
    """BIND, and the files that hold its keys."""
    if "names" in device.duties:
        yield from (Package("bind9"), Unit("named.service"), User("bind"))
        yield Owned("/etc/bind/named.conf", "root", 0o640)
        yield Owned("/etc/bind/rndc.key", "bind", 0o640)
        yield from _served(network, device, "dns")


def time(network: Network, device: Device) -> Iterator[Claim]:
    """chrony, and its socket where others ask it."""
    yield from (Package("chrony"), Unit("chrony.service"), User("_chrony"))
    yield Owned("/etc/chrony/chrony.conf", "root", 0o644)
    if "time" in device.duties:
        yield from _served(network, device, "ntp")


def exporter(network: Network, device: Device) -> Iterator[Claim]:
    """The machine's own figures."""
    yield from (Package("prometheus-node-exporter"), Unit("prometheus-node-exporter.service"), Socket("tcp://9100"))


def database(network: Network, device: Device) -> Iterator[Claim]:
    """PostgreSQL, its data, and the key that it shows its certificate with."""
    if "database" in device.duties:
        yield from (Package("postgresql-15"), Unit("postgresql@15-main.service"), User("postgres"))
        yield Owned(DATA, "postgres", 0o700)
        yield Owned(f"{POSTGRES}/pg_hba.conf", "postgres", 0o640)
        yield Owned(f"{POSTGRES}/server.key", "postgres", 0o600)
        yield from _served(network, device, "db")


def flows(network: Network, device: Device) -> Iterator[Claim]:
    """The timers that look after subscriptions, and that hand over to production."""
    if "database" in device.duties:
        held = holding(network, device)
        for name, parts in (("flows", held.subscriptions), ("import", held.deliveries)):
            if any(each.running for each in parts):
                yield Unit(f"jinbao-{name}.timer")
                yield Owned(f"{POSTGRES}/{name}.sql", "postgres", 0o640)


def boxes(network: Network, device: Device) -> Iterator[Claim]:
    """The server of the drop boxes, its key, and the folder and account of each body."""
    kept = _boxes(network, device)
    if kept and kept.device == device.name:
        yield from (Unit("jinbao-boxes.service"), User(kept.user), Owned(f"{JINBAO}/boxes/host_key", "root", 0o600))
        yield from _listening([End(kept.host, kept.addresses, kept.port)])
        for account in map(kept.account, kept.bodies):
            yield Owned(f"/srv/boxes/{account}", "root", 0o755)
            yield Owned(f"/srv/boxes/{account}/in", account, 0o2770)


def front(network: Network, device: Device) -> Iterator[Claim]:
    """nginx and the queue behind it, and the key of the front-end."""
    kept = _front(network, device)
    if kept and kept.device == device.name:
        yield from (Package("nginx"), Unit("nginx.service"), Unit("jinbao-front.service"))
        yield Owned(f"{JINBAO}/front/server.key", "root", 0o600)
        yield from _listening([kept.asked, kept.fetched])


def intake(network: Network, device: Device) -> Iterator[Claim]:
    """The timer that fetches from the boxes, its user, and the key that it gets in with."""
    kept = _boxes(network, device)
    if kept and kept.fetcher == device.name:
        yield from (Package("openssh-client"), Unit("jinbao-intake.timer"), User(kept.user))
        yield Owned(f"{JINBAO}/intake/key", "root", 0o600)
        yield Owned("/var/lib/jinbao-intake", kept.user, 0o700)


def desk(network: Network, device: Device) -> Iterator[Claim]:
    """The program that answers, its user, and its key."""
    kept = _front(network, device)
    if kept and kept.desk == device.name:
        yield from (Package("python3-psycopg2"), Unit("jinbao-desk.service"), User(kept.user))
        yield Owned(f"{JINBAO}/desk/server.key", "root", 0o600)
        yield Owned("/var/lib/jinbao-desk", kept.user, 0o700)


def query(network: Network, device: Device) -> Iterator[Claim]:
    """nginx and the program behind it, their user, and the key that they show terminals."""
    kept = queries.queries(network, network.sites[device.site])
    if kept and kept.device == device.name:
        yield from (Package("nginx"), Package("python3-psycopg2"), Unit("nginx.service"), Unit("jinbao-query.service"))
        yield from (User(queries.USER), Owned(f"{JINBAO}/query/server.key", "root", 0o600))
        yield from _listening([kept.asked])


def terminal(network: Network, device: Device) -> Iterator[Claim]:
    """What a terminal asks with, and the key of its certificate."""
    if queries.asks(network, device):
        yield from (Package("curl"), Owned(f"{JINBAO}/terminal/query.conf", "root", 0o644))
        yield Owned(f"{JINBAO}/terminal/terminal.key", "root", 0o600)


def scratch(network: Network, device: Device) -> Iterator[Claim]:
    """What a drill restores with, and into."""
    if "scratch" in device.duties:
        yield from (Package("postgresql-15"), Owned(DATA, "postgres", 0o700))


def backup(network: Network, device: Device) -> Iterator[Claim]:
    """pgBackRest and its key on every host that has a part in backups; its server where others connect."""
    mine = network.protections_of.get(device.name, ())
    if mine:
        yield Package("pgbackrest")
        yield Owned("/etc/pgbackrest/pgbackrest.conf", "postgres", 0o640)
        yield Owned("/etc/pgbackrest/server.key", "postgres", 0o600)
        if any(device.name in (each.device, each.repository) for each in mine):
            yield Unit("pgbackrest.service")


def repository(network: Network, device: Device) -> Iterator[Claim]:
    """The copies, whose they are, and when the next are made."""
    mine = [each for each in network.protections_of.get(device.name, ()) if each.repository == device.name]
    if mine:
        yield Owned("/var/lib/pgbackrest", "postgres", 0o750)
        yield from _served(network, device, mine[0].repository_service)
    for each in mine:
        yield Owned(f"/var/lib/pgbackrest/backup/{each.stanza}", "postgres", 0o750)
        yield Unit(f"pgbackrest-full-{each.stanza}.timer")


def metrics(network: Network, device: Device) -> Iterator[Claim]:
    """Prometheus."""
    if "metrics" in device.duties:
        yield from (Package("prometheus"), Unit("prometheus.service"), User("prometheus"))
        yield Owned("/etc/prometheus/prometheus.yml", "root", 0o644)
        yield from _served(network, device, "metrics")


ROLES: dict[str, Callable[[Network, Device], Iterable[Claim]]] = {
    "baseline": baseline,
    "router": router,
    "firewall": firewall,
    "pair": pair,
    "tunnels": tunnels,
    "names": names,
    "time": time,
    "exporter": exporter,
    "database": database,
    "flows": flows,
    "boxes": boxes,
    "front": front,
    "intake": intake,
    "desk": desk,
    "query": query,
    "terminal": terminal,
    "scratch": scratch,
    "backup": backup,
    "repository": repository,
    "metrics": metrics,
}


def _served(network: Network, device: Device, name: str) -> Iterator[Socket]:
    """The sockets of the service called `name`, where `device` carries it."""
    for one in network.services_at.get((device.site, device.zone), ()):
        if (one.name, one.device) == (name, device.name):
            for protocol, _, port in (each.partition("/") for each in one.ports):
                yield from (Socket(f"{protocol}://{address}:{port}") for address in (one.v4, one.v6))


def _listening(ends: Sequence[End]) -> Iterator[Socket]:
    return (Socket(f"tcp://{address}:{end.port}") for end in ends for address in end.addresses)


def _boxes(network: Network, device: Device) -> Boxes | None:
    return partners.boxes(network, network.sites[device.site])


def _front(network: Network, device: Device) -> Front | None:
    return partners.front(network, network.sites[device.site])
