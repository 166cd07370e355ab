"""From the Network to the shape of a lab: the running sites' devices as nodes, their links, a segment per zone."""

from __future__ import annotations

from collections.abc import Collection

from ip_plan import network as networks
from ip_plan import underlay
from ip_plan.network import Device, Network
from stacks.twin.topology import Lab, Link, Node, Port, Segment


def lab(network: Network, name: str) -> Lab:
    """The lab of every site that the plan lists as running. Routing devices first: hosts boot while those find their routes."""
    devices = nodes(network)
    running = {device.name for device in devices}
    return Lab(
        name=name,
        nodes=tuple(
            node(device, shielded(network, device))
            for device in sorted(devices, key=lambda device: (device.role == "host", device.name))
        ),
        links=links(network, running),
        segments=segments(network, running),
    )


def nodes(network: Network) -> list[Device]:
    """The devices that are nodes of a twin: all of the running sites but switches, in whose place it has bridges."""
    return [each for site in network.running() for each in network.devices_of(site) if each.role != "switch"]


def node(device: Device, tun: bool = False) -> Node:
    """The device as a node. `tun`: it encrypts lines, in user space."""
    return Node(device.name, disk=holds_data(device), tun=tun)


def shielded(network: Network, device: Device) -> bool:
    """Whether the device has a line that is encrypted."""
    return any(each.link in network.links and network.links[each.link].suite for each in device.interfaces)


def holds_data(device: Device) -> bool:
    """Whether what the device writes has to outlive it: a database's files would also fill memory on a tmpfs."""
    return bool({"database", "repository", "scratch"} & set(device.duties))


def links(network: Network, devices: Collection[str]) -> tuple[Link, ...]:
    """The links whose ends are both among `devices`."""
    return tuple(
        Link(link.id, Port(link.a, _port(link, link.a_interface)), Port(link.b, _port(link, link.b_interface)))
        for link in sorted(network.links.values(), key=lambda link: link.id)
        if link.a in devices and link.b in devices
    )


def _port(link: networks.Link, name: str) -> str:
    """What the cable goes into: below an encrypted line, whose interface is a tunnel."""
    return underlay.below(name) if link.suite else name


def segments(network: Network, devices: Collection[str]) -> tuple[Segment, ...]:
    """A LAN for each zone of a site that one of `devices` has an interface in."""
    found: dict[str, list[Port]] = {}
    for name in sorted(devices, key=lambda name: (network.devices[name].role == "host", name)):
        device = network.devices[name]
        for interface in device.interfaces:
            if interface.kind == "zone":
                found.setdefault(f"{device.site}:{interface.zone}", []).append(Port(name, interface.name))
    return tuple(Segment(key, tuple(ports)) for key, ports in sorted(found.items()))
