"""The stacks on OpenStack, with mocks of the engine: what is asked of the cloud is what the plan says."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pulumi
import pytest
from pulumi.runtime import mocks

from ip_plan.compile import compiled
from stacks import openstack, program
from stacks.openstack import Cloud
from stacks.program import Stack

CLOUD = Cloud("debian-12", "m1.small", "net-management", "controller")
NETWORK, SUBNET, PORT, INSTANCE, VOLUME, ATTACHED, PLUGGED = (
    f"openstack:{kind}"
    for kind in (
        "networking/network:Network", "networking/subnet:Subnet", "networking/port:Port", "compute/instance:Instance",
        "blockstorage/volume:Volume", "compute/volumeAttach:VolumeAttach", "compute/interfaceAttach:InterfaceAttach",
    )
)  # fmt: skip


class Asked(mocks.Mocks):
    """Keeps what the cloud was asked for; another stack has an instance of every name."""

    def __init__(self) -> None:
        self.things: dict[tuple[str, str], dict[str, Any]] = {}

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        if args.typ == "pulumi:pulumi:StackReference":
            names = {host.name for stack in STACKS.values() for host in stack.hosts}
            there = {openstack.PLACES: {name: f"{name}-instance" for name in names}}
            return args.name, {**args.inputs, "outputs": there, "secretOutputNames": []}
        assert (args.typ, args.name) not in self.things
        self.things[args.typ, args.name] = dict(args.inputs)
        return f"{args.name}-{args.typ.rpartition(':')[2].lower()}", dict(args.inputs)

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        raise AssertionError(args.token)

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        return {name: inputs for (typ, name), inputs in self.things.items() if typ == kind}


STACKS: dict[str, Stack] = {}


@pytest.fixture(scope="module", autouse=True)
def stacks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    STACKS.update({each.name: each for each in program.stacks(compiled("pilot", tmp_path_factory.mktemp("state")))})
    yield
    STACKS.clear()


@pytest.fixture(autouse=True)
def loop() -> Iterator[None]:
    """The mocks want an event loop of the thread; a test before may have ended it."""
    own = asyncio.new_event_loop()
    asyncio.set_event_loop(own)
    yield
    asyncio.set_event_loop(None)
    own.close()


def declared(name: str) -> tuple[Asked, set[str]]:
    """What one stack asks for, and the names of what it protects."""
    asked, protected = Asked(), set()
    mocks.set_mocks(asked, project="jinbao-cloud", stack=name)

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def run() -> None:
        def look(args: pulumi.ResourceTransformationArgs) -> None:
            if args.opts.protect:
                protected.add(args.name)

        pulumi.runtime.register_stack_transformation(look)
        homes = {host.name: stack.name for stack in STACKS.values() for host in stack.hosts}
        openstack.declare(STACKS[name], CLOUD, "jinbao-cloud", homes)

    run()
    return asked, protected


@pytest.mark.parametrize("name", ["640100-centre1", "000000-centre1"])
def test_a_centre_has_its_networks_and_every_interface_a_port(name: str) -> None:
    asked, _ = declared(name)
    (place,) = STACKS[name].premises
    hosts = {host.name: host for host in STACKS[name].hosts}
    segments = {zone.segment.id.replace(":", "-"): zone.segment for zone in place.zones}
    cables = {cable.id.replace(":", "-") for cable in place.cables}
    assert set(asked.of(NETWORK)) == set(segments) | cables
    assert {(each["networkId"], each["cidr"], each["ipVersion"]) for each in asked.of(SUBNET).values()} == {
        (f"{name}-network", cidr, version)
        for name, segment in segments.items()
        for version, cidr in ((4, segment.v4), (6, segment.v6))
    }
    assert not [each for each in asked.of(SUBNET).values() if each["enableDhcp"] or not each["noGateway"]]
    wanted = {
        f"{name}-{interface}": (host, interface)
        for name, host in hosts.items()
        for interface in host.interfaces
        if any(f"{name} {interface}" in segment.ports for segment in segments.values())
        or any(f"{name} {interface}" in (cable.a, cable.b) for cable in place.cables)
    }
    ports = asked.of(PORT)
    assert set(ports) == set(wanted)
    for name, port in ports.items():
        host, interface = wanted[name]
        carried = {address.partition("/")[0] for address in host.interfaces[interface]}
        given = {each["ipAddress"] for kind in ("fixedIps", "allowedAddressPairs") for each in port.get(kind, [])}
        assert port["macAddress"] == openstack.mac(host.name, interface)
        assert port["portSecurityEnabled"] is (host.role == "host")
        assert given == (set() if port.get("noFixedIp") else carried)
    assert len({port["macAddress"] for port in ports.values()}) == len(ports)


@pytest.mark.parametrize("name", ["640100-centre1"])
def test_a_machine_is_on_its_ports_and_its_data_are_kept(name: str) -> None:
    asked, protected = declared(name)
    hosts = {host.name: host for host in STACKS[name].hosts}
    machines = asked.of(INSTANCE)
    assert set(machines) == set(hosts)
    plugged = Counter(nic["port"] for machine in machines.values() for nic in machine["networks"] if "port" in nic)
    assert plugged == Counter(f"{port}-port" for port in asked.of(PORT))
    for name, machine in machines.items():
        first, *others = machine["networks"]
        assert first == {"uuid": CLOUD.management, "accessNetwork": True}
        assert all(nic["port"].startswith(f"{name}-") for nic in others)
        told = json.loads(machine["userData"].partition("\n")[2])
        assert told["hostname"] == name
        assert len(told["write_files"]) == len(hosts[name].interfaces) - ("lo" in hosts[name].interfaces)
    data = {name for name, host in hosts.items() if host.data}
    assert data and set(asked.of(VOLUME)) == set(asked.of(ATTACHED)) == {f"{name}-data" for name in data}
    assert protected == data | {f"{name}-data" for name in data}


def test_a_line_ends_at_the_machines_of_other_stacks() -> None:
    asked, _ = declared("wan-64")
    lines = STACKS["wan-64"].lines
    assert lines
    assert {(each["instanceId"], each["portId"]) for each in asked.of(PLUGGED).values()} == {
        (f"{device}-instance", f"{device}-{interface}-port")
        for line in lines
        for device, interface in (end.split() for end in (line.a, line.b))
    }
