"""The ssh back end on machines that it did not make: adopted, read, never touched."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import grpc
import msgspec
import pytest

from ground import reach, remote
from stacks.provider import resources, server
from stacks.twin import lab, node
from stacks.twin.cgroups import Layout
from stacks.twin.image import Image
from stacks.twin.place import Place
from stacks.twin.topology import Lab, Node, Port, Segment
from tests.stacks.conftest import LAN, LINE, Spoken, host

PLANNED = ("10.0.1.10/24", "3fff::a/64")
A = host("a", zones=("production",), interfaces={"z-production": PLANNED})
ALIVE = (
    "cat /proc/sys/kernel/random/boot_id; systemctl show -p MainPID -p ExecMainStartTimestampMonotonic "
    "ssh.service dbus.service systemd-journald.service"
)


@pytest.fixture
def adopted(tmp_path: Path, name: str, prepared: tuple[Image, Layout]) -> Iterator[tuple[Place, Spoken]]:
    """A machine that another made, known by its reach alone, and a provider for it."""
    at = lab.up(Lab(name, (Node("a"),), (), (Segment("lan", (Port("a", "z-production"),)),)), tmp_path / "lab")
    state = tmp_path / "state"
    (state / "production").mkdir(parents=True)
    shutil.copy(at.reach, state / "production" / "reach.json")
    spoken = Spoken(state, "production")
    yield at, spoken
    spoken.close()


def alive(at: Place) -> str:
    """Boot id, and the processes of three services with their start."""
    session = remote.session(reach.read(at.reach))
    try:
        answer = remote.run(session, "a", ALIVE)
        assert answer.ok and len(answer.out.split()) == 7
        return answer.out
    finally:
        remote.close(session)


def test_a_running_machine_is_taken_over_and_let_go(
    adopted: tuple[Place, Spoken], prepared: tuple[Image, Layout]
) -> None:
    at, provider = adopted
    before = alive(at)
    answer = provider.create(A)
    assert answer.properties["host_key"] == reach.read(at.reach)["a"].host_key
    assert provider.read(A) == resources.properties(A)  # nothing configured yet: no drift

    network = at.folder("a") / "root/etc/systemd/network/10-z.network"
    network.write_text("[Match]\nName=z-production\n[Network]\n" + "".join(f"Address={each}\n" for each in PLANNED))
    for address in ("10.0.1.99/24", "3fff::a/64"):
        subprocess.run(["ip", "-n", at.netns("a"), "addr", "add", address, "dev", "z-production"], check=True)
    subprocess.run(["ip", "-n", at.netns("a"), "link", "add", "z-exchange", "type", "veth"], check=True)
    subprocess.run(["ip", "-n", at.netns("a"), "addr", "add", "10.0.2.10/24", "dev", "z-exchange"], check=True)
    found = provider.read(A) or {}
    assert found["interfaces"] == {"z-production": ["10.0.1.99/24", "3fff::a/64"]}
    assert found["zones"] == ["production", "exchange"]
    # An update writes nothing: it says what is there, so that the next preview still names it.
    answered = provider.update(resources.thing("Host", found), A)
    assert answered["interfaces"] == found["interfaces"] and answered["zones"] == found["zones"]
    for wire in (LAN, LINE):
        provider.create(wire)
        assert provider.read(wire) == resources.properties(wire)
        provider.delete(wire)
    provider.delete(A)
    assert provider.read(A) is not None
    assert network.exists()
    assert alive(at) == before

    node.power_cut(at, "a", prepared[1])
    with pytest.raises(grpc.RpcError) as caught:
        provider.read(A)
    assert [each.code for each in server.told(caught.value.details())] == ["JB3121"]


def test_a_machine_that_nobody_named_is_not_made(adopted: tuple[Place, Spoken]) -> None:
    _, provider = adopted
    other = msgspec.structs.replace(A, name="b")
    assert provider.read(other) is None
    with pytest.raises(grpc.RpcError) as caught:
        provider.create(other)
    assert [(each.code, each.object) for each in server.told(caught.value.details())] == [("JB3120", "b")]
