"""What a switch does, as one value: which VLANs there are, and what each of its ports carries."""

from __future__ import annotations

from typing import Literal

import msgspec

from ip_plan.network import Device, Network
from ip_plan.vlans import PARKING

PRIORITY = 4096
"""Step of bridge priorities (IEEE 802.1D-2004 9.2.5): the first switch of a site is the root, the second its stand-in."""


class Vlan(msgspec.Struct, frozen=True):
    """A VLAN with the zone that it is for."""

    id: int
    name: str


class Socket(msgspec.Struct, frozen=True):
    """A port that something hangs on."""

    name: str
    kind: Literal["port", "trunk", "aggregate"]
    peer: str
    vlans: tuple[int, ...]
    """The one that it is in; of the others those that they carry, all of them tagged."""
    number: int
    """Of the model's ports, from 1; 0 of the aggregate, which has ports of its own."""


class Switching(msgspec.Struct, frozen=True):
    """Everything that a switch's template needs beside its administration."""

    vlans: tuple[Vlan, ...]
    """Those of the site's zones, by id."""
    parking: int
    management: int
    """The VLAN in which it has its address."""
    priority: int
    ports: tuple[Socket, ...]

    @property
    def aggregate(self) -> Socket | None:
        """The one to the other switch; None where there is no other."""
        return next((port for port in self.ports if port.kind == "aggregate"), None)

    @property
    def carried(self) -> tuple[int, ...]:
        """Every VLAN of the site."""
        return tuple(vlan.id for vlan in self.vlans)


def switching(network: Network, device: Device) -> Switching | None:
    """What `device` does as a switch; None where it is none."""
    if device.role != "switch":
        return None
    site = network.sites[device.site]
    ids = network.switched(site)
    every = tuple(sorted(ids.values()))
    ports = []
    for interface, number in zip(device.interfaces, device.numbers, strict=True):
        if interface.kind in ("port", "trunk", "aggregate"):
            carried = every
            if interface.kind == "port":
                carried = (ids[interface.zone],)
            elif interface.kind == "trunk":
                far = network.devices[interface.peer]
                carried = tuple(sorted(ids[each.zone] for each in far.interfaces if each.kind == "zone"))
            ports.append(Socket(interface.name, interface.kind, interface.peer, carried, number))
    vlans = tuple(sorted((Vlan(number, name) for name, number in ids.items()), key=lambda vlan: vlan.id))
    return Switching(vlans, PARKING, ids[device.zone], PRIORITY * int(device.name[-1]), tuple(ports))
