"""The Debian 12 below everything: interfaces, kernel settings, the resolver, the exporter of the machine's own figures."""

from __future__ import annotations

from inventory.dialects.template import Word, fill_alike, fill_once
from inventory.ends import Dual
from inventory.file import File
from inventory.intent import Intent, Port

NETWORKD = "systemd-networkd.service"

# networkd removes routes it did not make, FRR's among them, unless it is told not to.
FOREIGN = "[Network]\nManageForeignRoutes=no\nManageForeignRoutingPolicyRules=no\n"

MANAGEMENT = "[Match]\nName=mgmt0\n\n[Link]\nUnmanaged=yes\n"


def files(intent: Intent, *, lab: bool) -> list[File]:
    """Interfaces, sysctl, resolv.conf and the node exporter's options: what every device has."""
    routes = intent.routing is not None
    role = "baseline"
    ports = list(intent.ports)
    if intent.loopback:
        ports.insert(0, Port("lo", intent.loopback))
    networks = [
        File(
            f"/etc/systemd/network/10-{port.name}.network",
            _network(port, lab),
            role,
            unit=NETWORKD,
        )
        for port in ports
    ]
    sysctl = fill_once("debian/sysctl.conf.j2", routes=routes, server=_server(intent), lab=lab)
    asked = intent.resolver
    resolver = fill_alike("debian/resolv.conf.j2", _resolver, _counts(asked), (*asked.v4, *asked.v6, intent.domain))
    return [
        File("/etc/sysctl.d/60-jinbao.conf", sysctl, role, unit="systemd-sysctl.service", action="restart"),
        File("/etc/systemd/networkd.conf.d/jinbao.conf", FOREIGN, role, unit=NETWORKD, action="restart"),
        File("/etc/systemd/network/05-mgmt0.network", MANAGEMENT, role, unit=NETWORKD),
        *networks,
        File("/etc/resolv.conf", resolver, role),
        File(
            "/etc/default/prometheus-node-exporter",
            fill_once("debian/node-exporter.j2"),
            "exporter",
            unit="prometheus-node-exporter.service",
            action="restart",
        ),
    ]


def _server(intent: Intent) -> str:
    """What listens on addresses of services from its start on."""
    if intent.database:
        return "PostgreSQL"
    return "OpenSSH and nginx" if intent.front else "OpenSSH" if intent.boxes else ""


def _network(port: Port, lab: bool) -> str:
    own, carried = port.addresses, port.services
    gateways = (port.gateway4, port.gateway6)
    words = (port.name, *own.v4, *own.v6, *carried.v4, *carried.v6, *filter(None, gateways))
    shape = (port.name == "lo", lab, *_counts(own), *_counts(carried), *map(bool, gateways))
    return fill_alike("debian/port.network.j2", _port, shape, words)


def _port(
    word: Word,
    loopback: bool,
    lab: bool,
    v4: int,
    v6: int,
    carried4: int,
    carried6: int,
    gateway4: bool,
    gateway6: bool,
) -> dict[str, object]:
    name, own, carried = word(), _dual(word, v4, v6), _dual(word, carried4, carried6)
    via4, via6 = (word() if there else "" for there in (gateway4, gateway6))
    return {"port": Port(name, own, carried, via4, via6), "lab": lab, "loopback": loopback}


def _resolver(word: Word, v4: int, v6: int) -> dict[str, object]:
    return {"resolver": _dual(word, v4, v6), "domain": word()}


def _counts(dual: Dual) -> tuple[int, int]:
    return len(dual.v4), len(dual.v6)


def _dual(word: Word, v4: int, v6: int) -> Dual:
    return Dual(tuple(word() for _ in range(v4)), tuple(word() for _ in range(v6)))
