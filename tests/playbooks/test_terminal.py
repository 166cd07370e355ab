"""Vendors' devices fetched and put right at their terminals: stubs on loopback that page, refuse, and lose the line."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
import paramiko
import pytest

from ground import reach, remote
from ground.remote import Session
from inventory.render import read_states, write
from inventory.running import Intended, intended, select
from playbooks import push
from tests.inventory.vendors import plans
from tests.playbooks.device import Device, served, shown

OFFICES = {"640121-r1": "vrp", "640122-r1": "comware", "640323-r1": "iosxe"}
DRIFT = {
    "vrp": (
        ("dns domain ", "dns domain elsewhere"),
        (" idle-timeout 10 0", " idle-timeout 0 0"),
        ("ip address-set own-access-4 type object", "ip address-set own-access-4 type object\n address 4000 10.99.0.0 mask 16"),
        ("interface LoopBack0",
         "interface GigabitEthernet0/0/2.99\n vlan-type dot1q 99\n ip address 10.99.0.1 255.255.0.0\n#\ninterface LoopBack0"),
    ),
    "comware": (
        (" dns domain ", " dns domain elsewhere"),
        (" idle-timeout 10 0", " idle-timeout 0 0"),
        ("object-group ip address own-access-4", "object-group ip address own-access-4\n 7 network subnet 10.99.0.0 255.255.0.0"),
        ("interface LoopBack0",
         "interface GigabitEthernet1/0/3.99\n ip address 10.99.0.1 255.255.0.0\n vlan-type dot1q vid 99\n#\ninterface LoopBack0"),
    ),
    "iosxe": (
        ("ip domain name ", "ip domain name elsewhere"),
        (" exec-timeout 10 0", " exec-timeout 0 0"),
        ("ip access-list extended from.own-access-4", "ip access-list extended from.own-access-4\n 7 permit ip 10.99.0.0 0.0.255.255 any"),
        ("interface Loopback0",
         "interface GigabitEthernet0/0/5.99\n encapsulation dot1Q 99\n ip address 10.99.0.1 255.255.0.0\n!\ninterface Loopback0"),
    ),
}  # fmt: skip
"""Vendor → (beginning of a line, what stands in its place): edits by hand."""
SWITCHES = {"640121-sw1": "vrp", "640122-sw1": "comware", "640323-sw1": "iosxe"}
MOVED = {
    "vrp": (
        ("stp instance 0 priority ", "stp instance 0 priority 32768"),
        ("vlan 160", "vlan 200\n name elsewhere\n#\nvlan 160"),
        (" port default vlan 999", " port default vlan 200"),
        (" port trunk allow-pass vlan ", " port trunk allow-pass vlan 140 160 200"),
    ),
    "comware": (
        (" stp instance 0 priority ", " stp instance 0 priority 32768"),
        ("vlan 160", "vlan 200\n name elsewhere\n#\nvlan 160"),
        (" port access vlan 999", " port access vlan 200"),
        (" port trunk permit vlan ", " port trunk permit vlan 140 160 200"),
    ),
    "iosxe": (
        ("spanning-tree vlan ", "spanning-tree vlan 140,160,200 priority 4096"),
        ("vlan 160", "vlan 200\n name elsewhere\n!\nvlan 160"),
        (" switchport access vlan 999", " switchport access vlan 200"),
        (" switchport trunk allowed vlan ", " switchport trunk allowed vlan 140\n switchport trunk allowed vlan add 160,200"),
    ),
}  # fmt: skip
"""The same, of switches: a VLAN of nobody's, on a trunk and at a port that nothing hangs on."""


class Fleet(msgspec.Struct):
    """Three devices, how they are reached, and what they should run."""

    devices: dict[str, Device]
    session: Session
    wanted: list[Intended]
    state: Path


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> list[Intended]:
    """Three offices in three dialects."""
    folder = tmp_path_factory.mktemp("offices")
    rows = [
        row | {"region": name[:6]}
        for name, vendor in OFFICES.items()
        for row in plans.ROWS[vendor]
        if row["role"] == "access"
    ]
    write(folder / "build", plans.network(folder, rows), devices=list(OFFICES), lab=False)
    hosts = select(read_states(folder / "build"), ",".join(OFFICES))
    return intended(folder / "state", folder / "build", hosts)


Edits = tuple[tuple[str, str], ...]


def edited(text: str, edits: Edits) -> str:
    """The text as somebody left it."""
    for begin, instead in edits:
        lines = text.split("\n")
        number = next(number for number, line in enumerate(lines) if line.startswith(begin))
        lines[number] = instead
        text = "\n".join(lines)
    return text


@contextlib.contextmanager
def reached(rendered: list[Intended], tmp_path: Path, edits: Mapping[str, Edits]) -> Iterator[Fleet]:
    """These devices behind their stubs, as somebody left them."""
    key = paramiko.ECDSAKey.generate()
    identity = str(tmp_path / "identity")
    paramiko.ECDSAKey.generate().write_private_key_file(identity)
    with contextlib.ExitStack() as stack:
        devices = {
            one.device: Device(one.device, one.dialect, edited(one.text, edits[one.dialect.name])) for one in rendered
        }
        reaches = {name: stack.enter_context(served(device, key, identity)) for name, device in devices.items()}
        session = remote.session(reaches)
        stack.callback(remote.close, session)
        yield Fleet(devices, session, rendered, tmp_path / "state")


@pytest.fixture
def fleet(rendered: list[Intended], tmp_path: Path) -> Iterator[Fleet]:
    with reached(rendered, tmp_path, DRIFT) as found:
        yield found


def put_right(fleet: Fleet) -> dict[str, push.Pushed]:
    fetched = push.fetch(fleet.session, fleet.state, "production", fleet.wanted)
    remedies = push.remedies(fetched, fleet.wanted)
    done = push.push(fleet.session, fleet.state, "production", fleet.wanted, zip(fetched, remedies, strict=True))
    return {one.device: one for one in done}


def test_a_copy_is_kept_of_what_each_runs(fleet: Fleet) -> None:
    found = push.fetch(fleet.session, fleet.state, "production", fleet.wanted)
    assert [(one.device, one.dialect, one.reason) for one in found] == [(n, v, "") for n, v in OFFICES.items()]
    for one in found:
        device = fleet.devices[one.device]
        assert Path(one.file).read_text() == shown(device.dialect, device.running)
        assert not device.heard and not device.saved


def test_switches_are_fetched_and_put_right(tmp_path: Path) -> None:
    """What was moved by hand moves back, over the VLAN that it is managed by; and what is not there any more goes."""
    rows = [plans.switch("vrp"), *({**plans.switch(vendor), "region": name[:6]} for name, vendor in SWITCHES.items())]
    routing = [
        row | {"region": name[:6]}
        for name, vendor in SWITCHES.items()
        for row in plans.ROWS[vendor]
        if row["role"] == "access"
    ]
    network = plans.network(tmp_path, [*rows, *routing], 1)
    write(tmp_path / "build", network, devices=list(SWITCHES), lab=False)
    hosts = select(read_states(tmp_path / "build"), ",".join(SWITCHES))
    wanted = intended(tmp_path / "state", tmp_path / "build", hosts)
    with reached(wanted, tmp_path, MOVED) as fleet:
        done = put_right(fleet)
        for one in wanted:
            device = fleet.devices[one.device]
            assert (done[one.device].result, done[one.device].mistakes) == ("done", ()), one.device
            assert device.running.same(one.dialect.read(one.text)) and device.saved
            assert 5 < len(device.heard) < 20
            assert not [line for line in device.heard if line.startswith(("undo ", "no ")) and line.endswith("140")]


def test_edits_by_hand_are_undone_and_saved(fleet: Fleet) -> None:
    done = put_right(fleet)
    for one in fleet.wanted:
        device, pushed = fleet.devices[one.device], done[one.device]
        assert (pushed.result, pushed.mistakes) == ("done", ())
        assert device.running.same(one.dialect.read(one.text)) and device.saved
        assert 5 < pushed.commands == len(device.heard) < 20  # what was edited, and nothing else
        before = one.dialect.read(Path(pushed.before).read_text())
        assert not before.same(device.running)
        back = Path(pushed.before).with_suffix(".rollback")
        assert str(back) == pushed.rollback
    assert {one.result for one in put_right(fleet).values()} == {"right"}


def test_a_device_that_refuses_a_command_gets_no_more_and_saves_nothing(fleet: Fleet) -> None:
    refused = {"640121-r1": "undo address 4000", "640122-r1": "undo 7", "640323-r1": "no 7"}
    for name, command in refused.items():
        fleet.devices[name].refuses = command
    for name, one in put_right(fleet).items():
        assert one.result == "failed" and {m.code for m in one.mistakes} == {"JB4101", "JB4102"}
        assert refused[name] in one.mistakes[0].what
        assert fleet.devices[name].heard[-1] == refused[name] and not fleet.devices[name].saved


def test_a_line_lost_in_the_middle_is_told_and_the_next_run_goes_on(fleet: Fleet) -> None:
    for device in fleet.devices.values():
        device.dies = 4
    for one in put_right(fleet).values():
        assert one.result == "failed" and "JB4104" in {m.code for m in one.mistakes}
    for device in fleet.devices.values():
        device.dies = -1
    assert {one.result for one in put_right(fleet).values()} == {"done"}


def test_a_device_with_another_key_is_asked_nothing(fleet: Fleet) -> None:
    other = paramiko.ECDSAKey.generate()
    wrong = {
        name: msgspec.structs.replace(one, host_key=f"{other.get_name()} {other.get_base64()}")
        for name, one in fleet.session.reaches.items()
    }
    session = remote.session(wrong)
    try:
        found = push.fetch(session, fleet.state, "production", fleet.wanted)
    finally:
        remote.close(session)
    assert ["key" in one.reason for one in found] == [True] * 3, found
    assert reach.known_hosts(wrong)
