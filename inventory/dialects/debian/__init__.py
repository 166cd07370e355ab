"""The Debian 12 below everything: interfaces, kernel settings, the resolver, the exporter of the machine's own figures."""

from __future__ import annotations

from inventory.dialects.template import fill
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
            fill("debian/port.network.j2", port=port, lab=lab, loopback=port.name == "lo"),
            role,
            unit=NETWORKD,
        )
        for port in ports
    ]
    sysctl = fill("debian/sysctl.conf.j2", routes=routes, database=intent.database is not None, lab=lab)
    resolver = fill("debian/resolv.conf.j2", resolver=intent.resolver, domain=intent.domain)
    return [
        File("/etc/sysctl.d/60-jinbao.conf", sysctl, role, unit="systemd-sysctl.service", action="restart"),
        File("/etc/systemd/networkd.conf.d/jinbao.conf", FOREIGN, role, unit=NETWORKD, action="restart"),
        File("/etc/systemd/network/05-mgmt0.network", MANAGEMENT, role, unit=NETWORKD),
        *networks,
        File("/etc/resolv.conf", resolver, role),
        File(
            "/etc/default/prometheus-node-exporter",
            fill("debian/node-exporter.j2"),
            "exporter",
            unit="prometheus-node-exporter.service",
            action="restart",
        ),
    ]
