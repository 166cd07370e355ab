"""The bootstrap file of a device that replaces another one: what it starts from, under its serial number, until it can be reached.

A Debian gets cloud-init's user data: its name, its loopback and lines, and a way up that needs no routing protocol; everything
else comes by the playbooks once it answers. A vendor's device starts from its whole configuration.
"""

from __future__ import annotations

import msgspec

from inventory import ends
from inventory.dialects import comware, debian, iosxe, vrp
from inventory.dialects.template import fill
from inventory.ends import Dual
from inventory.intent import Intent
from inventory.routing import supernets
from ip_plan.network import Device, Network

FOLDER = ".bootstrap"
"""In the build folder, beside the devices' trees; a folder a province below it."""


class Way(msgspec.Struct, frozen=True):
    """A line upward, and what is sent there."""

    interface: str
    to: Dual
    via: Dual


def name(device: Device) -> str:
    """`<serial>.yaml`, of a vendor's device `<serial>.cfg`."""
    return f"{device.serial}.{'yaml' if device.dialect == 'frr' else 'cfg'}"


def text(network: Network, intent: Intent) -> str:
    """What stands in the file."""
    if listed := [*vrp.files(intent), *comware.files(intent), *iosxe.files(intent)]:
        return listed[0].content
    device = intent.device
    lines = [each for each in device.interfaces if each.kind == "wan"]
    wanted = {"lo", *(each.name for each in lines)}
    networks = [
        each
        for each in debian.files(intent, lab=False)
        if each.target.removeprefix("/etc/systemd/network/10-").removesuffix(".network") in wanted
    ]
    up = [each for each in lines if ends.upward(network, device, each)]
    drained = {each.name for each in up if (link := network.links.get(each.link)) and link.rank == "drained"}
    ways = {
        f"/etc/systemd/network/10-{each.name}.network": Way(
            each.name, supernets(network), Dual((each.peer4,), (each.peer6,))
        )
        for each in up
        if each.name not in drained
    }
    return fill("debian/user-data.j2", device=device, networks=networks, ways=ways)
