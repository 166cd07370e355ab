"""From the Network to the shape of a lab: the running sites' devices as nodes, their links, a segment per zone."""

from __future__ import annotations

from ip_plan.network import Network
from stacks.twin.topology import Lab, Link, Node, Port, Segment


def lab(network: Network, name: str) -> Lab:
    """The lab of every site that the plan lists as running. Routing devices first: hosts boot while those find their routes."""
    running = {device for site in network.running() for device in site.devices}
    nodes = []
    segments: dict[str, list[Port]] = {}
    for device_name in sorted(running, key=lambda name: (network.devices[name].role == "host", name)):
        device = network.devices[device_name]
        # A database's files would fill memory on a tmpfs.
        nodes.append(Node(device_name, disk=bool({"database", "repository", "scratch"} & set(device.duties))))
        for interface in device.interfaces:
            if interface.kind == "zone":
                segments.setdefault(f"{device.site}:{interface.zone}", []).append(Port(device_name, interface.name))
    links = [
        Link(link.id, Port(link.a, link.a_interface), Port(link.b, link.b_interface))
        for link in sorted(network.links.values(), key=lambda link: link.id)
        if link.a in running and link.b in running
    ]
    return Lab(
        name=name,
        nodes=tuple(nodes),
        links=tuple(links),
        segments=tuple(Segment(key, tuple(ports)) for key, ports in sorted(segments.items())),
    )
