"""strongSwan 5.9: the keys of encrypted lines, and the tunnel that each such line is.

A line is a VXLAN of its two ends, whose packets go between two addresses that nothing but the protection reaches. Where the kernel
has no XFRM, as in a twin, charon makes the interface `ipsec0` itself and encrypts in user space; else the interface is the kernel's.
"""

from __future__ import annotations

from inventory.dialects.debian import NETWORKD
from inventory.dialects.template import fill
from inventory.file import File
from inventory.intent import Intent

ROLE = "tunnels"
UNIT = "strongswan.service"
USER_SPACE = "kernel-libipsec {\n  load = yes\n}\n"
"""strongswan.conf(5): what protects packets in a kernel without XFRM."""


def files(intent: Intent, *, lab: bool) -> list[File]:
    """swanctl's file with all lines of a device, a unit for each tunnel, and what its protection needs of the kernel."""
    ports = [port for port in intent.ports if port.tunnel]
    if not ports:
        return []
    conf = fill("strongswan/swanctl.conf.j2", ports=ports, lab=lab)
    # A reload does not start again what a wrong secret ended.
    found = [File("/etc/swanctl/conf.d/lines.conf", conf, ROLE, mode="0600", unit=UNIT, action="restart")]
    for port in ports:
        for kind, target in (("netdev", f"10-{port.name}.netdev"), ("network", f"10-{port.tunnel.below}.network")):  # type: ignore[union-attr]
            text = fill(f"strongswan/line.{kind}.j2", port=port, tunnel=port.tunnel, lab=lab)
            found.append(File(f"/etc/systemd/network/{target}", text, ROLE, unit=NETWORKD))
    if lab:
        user = File("/etc/strongswan.d/charon/kernel-libipsec.conf", USER_SPACE, ROLE, unit=UNIT, action="restart")
        return [user, *found]
    for kind in ("netdev", "network"):
        text = fill(f"strongswan/shield.{kind}.j2", tunnels=[port.tunnel for port in ports])
        found.append(File(f"/etc/systemd/network/10-ipsec0.{kind}", text, ROLE, unit=NETWORKD))
    return found
