"""The same stacks on an OpenStack cloud, through Pulumi's own provider for it: seen with mocks of the engine alone, on no cloud yet.

Zones and wires are networks, machines are instances that Ansible configures afterwards as it does all others. Zones are parted by the
machines of the plan, so that the cloud's own security groups stay empty: a host may send from its own and its services' addresses,
routing devices from any. A wire carries no addresses of the cloud's at all.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping

import msgspec
import pulumi
from pulumi import Input, Output, ResourceOptions
from pulumi_openstack import blockstorage, compute, networking

from stacks import program
from stacks.provider.resources import Host, Link, Segment

PLACES = "instances"
"""The output of a stack that says what the cloud calls each of its machines: lines of other stacks end there."""


class Cloud(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a cloud's owner decides. Who may log in where stands in the cloud's own `clouds.yaml`."""

    image: str
    """Debian 12 with cloud-init."""
    flavor: str
    management: str
    """Id of the network by which Ansible reaches every machine."""
    key_pair: str
    volume_gb: int = 20
    """Of each machine that holds data: sample data, no source gives sizes."""


def declare(stack: program.Stack, cloud: Cloud, project: str, homes: Mapping[str, str]) -> None:
    """Everything of one stack. `homes`: machine → the stack that has it, of all stacks of the plan."""
    made: dict[str, Output[str]] = {}
    for place in stack.premises:
        made |= Premises(place, cloud).machines
    others = {name: pulumi.StackReference(f"organization/{project}/{name}") for name in _beyond(stack, homes)}

    def instance(device: str) -> Input[str]:
        return made[device] if device in made else others[homes[device]].require_output(PLACES)[device]

    for line in stack.lines:
        Line(line, instance)
    pulumi.export(PLACES, made)


class Premises(pulumi.ComponentResource):
    """One site: its networks, and its machines on them."""

    def __init__(self, place: program.Premises, cloud: Cloud, opts: ResourceOptions | None = None) -> None:
        kind = "DataCentre" if place.centre else "Office"
        super().__init__(f"jinbao:openstack:{kind}", place.name, {}, opts)
        mine = ResourceOptions(parent=self)
        ports: dict[str, list[networking.Port]] = {}
        hosts = {host.name: host for host in (*place.devices, *(host for zone in place.zones for host in zone.hosts))}
        for zone in place.zones:
            for device, port in _on(zone.segment, hosts, mine):
                ports.setdefault(device, []).append(port)
        for cable in place.cables:
            for device, port in _wire(cable, mine):
                ports.setdefault(device, []).append(port)
        self.machines = {
            name: _machine(host, cloud, ports.get(name, []), mine).id for name, host in sorted(hosts.items())
        }
        self.register_outputs({PLACES: self.machines})


class Line(pulumi.ComponentResource):
    """A line between two sites, plugged into machines that may be another stack's."""

    def __init__(self, link: Link, instance: Callable[[str], Input[str]], opts: ResourceOptions | None = None) -> None:
        super().__init__("jinbao:openstack:Line", _name(link.id), {}, opts)
        mine = ResourceOptions(parent=self)
        for device, port in _wire(link, mine):
            compute.InterfaceAttach(
                f"{_name(link.id)}-{device}", instance_id=instance(device), port_id=port.id, opts=mine
            )
        self.register_outputs({})


def mac(device: str, interface: str) -> str:
    """The hardware address of an interface, the same in every run: by it the machine gives the interface its name."""
    digest = hashlib.sha256(f"{device} {interface}".encode()).hexdigest()
    return ":".join(["02", *(digest[at : at + 2] for at in range(0, 10, 2))])


def _beyond(stack: program.Stack, homes: Mapping[str, str]) -> list[str]:
    """The other stacks in which lines of this one end."""
    own = {host.name for host in stack.hosts}
    ends = {end.partition(" ")[0] for line in stack.lines for end in (line.a, line.b)}
    return sorted({homes[device] for device in ends - own})


def _on(segment: Segment, hosts: Mapping[str, Host], opts: ResourceOptions) -> Iterator[tuple[str, networking.Port]]:
    """A zone's network, and a port on it for each machine that stands there."""
    name = _name(segment.id)
    lan = networking.Network(name, name=name, admin_state_up=True, opts=opts)
    subnets = {
        version: networking.Subnet(
            f"{name}-v{version}", network_id=lan.id, cidr=cidr, ip_version=version, enable_dhcp=False, no_gateway=True, opts=opts
        )
        for version, cidr in ((4, segment.v4), (6, segment.v6))
    }  # fmt: skip
    for device, interface in (port.split() for port in segment.ports):
        host = hosts[device]
        own, served = _by_family(host.interfaces[interface], host.services)
        routes = host.role != "host"
        port = networking.Port(
            f"{device}-{interface}",
            name=f"{device}-{interface}",
            network_id=lan.id,
            mac_address=mac(device, interface),
            fixed_ips=[
                networking.PortFixedIpArgs(subnet_id=subnets[version].id, ip_address=address)
                for version, address in own
            ],
            no_security_groups=True,
            # Without the cloud's guard a routing device sends what it forwards; a host sends its own and its services' addresses.
            port_security_enabled=not routes,
            allowed_address_pairs=None
            if routes
            else [networking.PortAllowedAddressPairArgs(ip_address=address) for _, address in served],
            opts=opts,
        )
        yield device, port


def _by_family(
    carried: tuple[str, ...], services: tuple[str, ...]
) -> tuple[list[tuple[int, str]], list[tuple[int, str]]]:
    """(own addresses, addresses of services) of an interface, each as (IP version, address)."""
    served = {address for service in services for address in service.split()[1:]}
    plain = [each.partition("/")[0] for each in carried]
    found = [(6 if ":" in each else 4, each) for each in plain]
    return [each for each in found if each[1] not in served], [each for each in found if each[1] in served]


def _wire(link: Link, opts: ResourceOptions) -> Iterator[tuple[str, networking.Port]]:
    name = _name(link.id)
    wire = networking.Network(name, name=name, admin_state_up=link.up, opts=opts)
    for device, interface in (end.split() for end in (link.a, link.b)):
        port = networking.Port(
            f"{device}-{interface}", name=f"{device}-{interface}", network_id=wire.id, mac_address=mac(device, interface),
            no_fixed_ip=True, no_security_groups=True, port_security_enabled=False, opts=opts,
        )  # fmt: skip
        yield device, port


def _machine(host: Host, cloud: Cloud, ports: list[networking.Port], opts: ResourceOptions) -> compute.Instance:
    nics = [compute.InstanceNetworkArgs(uuid=cloud.management, access_network=True)]
    nics += [compute.InstanceNetworkArgs(port=port.id) for port in ports]
    # What holds data is let go only after somebody has confirmed it by name.
    kept = ResourceOptions.merge(opts, ResourceOptions(protect=host.data))
    machine = compute.Instance(
        host.name, name=host.name, image_name=cloud.image, flavor_name=cloud.flavor, key_pair=cloud.key_pair, networks=nics,
        power_state="active" if host.power == "on" else "shutoff", config_drive=True, user_data=first_boot(host), opts=kept,
    )  # fmt: skip
    if host.data:
        volume = blockstorage.Volume(f"{host.name}-data", name=f"{host.name}-data", size=cloud.volume_gb, opts=kept)
        compute.VolumeAttach(f"{host.name}-data", instance_id=machine.id, volume_id=volume.id, opts=kept)
    return machine


def first_boot(host: Host) -> str:
    """cloud-init: the machine's name, and the names of its interfaces by their hardware addresses; the rest is Ansible's."""
    links = [
        {
            "path": f"/etc/systemd/network/10-{name}.link",
            "content": f"[Match]\nMACAddress={mac(host.name, name)}\n\n[Link]\nName={name}\n",
        }
        for name in sorted(host.interfaces)
        if name != "lo"
    ]
    return "#cloud-config\n" + json.dumps({"hostname": host.name, "write_files": links}, indent=1)


def _name(key: str) -> str:
    return key.replace(":", "-")
