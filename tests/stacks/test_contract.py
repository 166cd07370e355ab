"""The provider's side of the plugin protocol, over gRPC, without an engine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import msgspec
import pytest
from pulumi.runtime.proto import provider_pb2

from stacks.provider import resources, server
from stacks.twin import lab, node, place, wiring
from stacks.twin.cgroups import Layout
from stacks.twin.image import Image
from stacks.twin.place import NodeState, Place
from stacks.twin.topology import Lab, Node, Port
from stacks.twin.topology import Link as Wire
from tests.stacks.conftest import LAN, LINE, Spoken, host

A = host("a", interfaces={"z-production": ("10.0.1.10/24",)})


def test_check_completes_and_names_every_failure(judge: Spoken) -> None:
    completed, failures = judge.check(
        "Host", {key: getattr(A, key) for key in ("name", "site", "kind", "level", "region", "role")}
    )
    assert failures == {}
    assert completed == resources.properties(host("a"))
    _, failures = judge.check("Host", {"name": "a", "site": "x", "kind": "centre", "data": "no", "colour": "red"})
    assert failures == {
        "level": "missing",
        "region": "missing",
        "role": "missing",
        "data": "Expected `bool`, got `str`",
        "colour": "a Host has no such property",
    }
    _, failures = judge.check("Host", resources.properties(host("Not A Name")))
    assert "is no host name of a node" in failures["name"]
    _, failures = judge.check("Link", resources.properties(msgspec.structs.replace(LINE, a="a far-too-long-for-linux")))
    assert "is no interface name" in failures["id"]


@pytest.mark.parametrize(
    ("old", "new", "paths", "replaces"),
    [
        (A, A, {}, []),
        (A, host("a", interfaces={"z-production": ("10.0.1.11/24",)}), {'interfaces["z-production"]': "UPDATE"}, []),
        (A, host("a", tun=True, interfaces=A.interfaces), {"tun": "UPDATE"}, []),
        (host("a"), host("a", data=True), {"data": "UPDATE_REPLACE"}, ["data"]),
        (host("a", power="off"), host("a"), {"power": "UPDATE"}, []),
        (LINE, msgspec.structs.replace(LINE, b="c w-a"), {"b": "UPDATE_REPLACE"}, ["b"]),
        (LAN, msgspec.structs.replace(LAN, ports=LAN.ports[:1]), {"ports": "UPDATE"}, []),
    ],
    ids=["same", "address", "tunnel", "disk", "power", "end", "ports"],
)
def test_diff_says_what_and_whether_it_must_be_replaced(
    judge: Spoken, old: resources.Thing, new: resources.Thing, paths: dict[str, str], replaces: list[str]
) -> None:
    answer = judge.diff(old, new)
    kinds = {path: provider_pb2.PropertyDiff.Kind.Name(each.kind) for path, each in answer.detailedDiff.items()}
    assert kinds == paths
    assert list(answer.replaces) == replaces
    assert answer.changes == (provider_pb2.DiffResponse.DIFF_SOME if paths else provider_pb2.DiffResponse.DIFF_NONE)


def test_a_preview_makes_nothing(provider: Spoken, at: Place) -> None:
    answer = provider.create(A, preview=True)
    assert answer.id == "a"
    assert not at.state.exists()


def test_wires_from_creation_to_deletion(provider: Spoken, at: Place) -> None:
    things: tuple[resources.Thing, ...] = (LAN, LINE)
    for thing in things:
        assert provider.read(thing) is None
        provider.create(thing)
        provider.create(thing)  # one that an interrupted run has made
        assert provider.read(thing) == resources.properties(thing)
    # Half of a LAN, and a line that is switched off at one end.
    wiring.unplug(at, [Port("a", "z-production")])
    subprocess.run(["ip", "-n", at.netns("b"), "link", "set", "w-a", "down"], check=True)
    found = [provider.read(thing) or {} for thing in things]
    assert (found[0]["ports"], found[1]["up"]) == (["b z-production"], False)
    for thing, values in zip(things, found, strict=True):
        provider.update(resources.thing(type(thing).__name__, values), thing)
        assert provider.read(thing) == resources.properties(thing)
    # Gone by hand.
    subprocess.run(["ip", "-n", at.netns("b"), "link", "del", "w-a"], check=True)
    assert provider.read(LINE) is None
    # A LAN grows and shrinks in place.
    grown = msgspec.structs.replace(LAN, ports=("b z-production", "c z-production"))
    provider.update(LAN, grown)
    assert provider.read(grown) == resources.properties(grown)
    assert "z-production" not in wiring.interfaces([at.netns("a")]).get(at.netns("a"), ())
    for thing in (grown, LINE):
        provider.delete(thing)
        provider.delete(thing)
        assert provider.read(thing) is None
    assert set(wiring.namespaces(at.lab)) == {at.netns("ctl"), at.netns("wire")}


def test_a_host_from_creation_to_deletion(provider: Spoken, at: Place, prepared: tuple[Image, Layout]) -> None:
    answer = provider.create(A)
    state = places(at, "a")
    assert dict(answer.properties.items()).items() >= {"address": state.address, "host_key": state.host_key}.items()
    assert "PRIVATE" not in str(answer)
    assert provider.read(A) == resources.properties(A)
    # Power cut, another management address, an address that the plan does not give it.
    node.power_cut(at, "a", prepared[1])
    for line in (["addr", "flush", "dev", "mgmt0"], ["addr", "add", "10.9.9.9/24", "dev", "mgmt0"]):
        subprocess.run(["ip", "-n", at.netns("a"), *line], check=True)
    found = provider.read(A)
    assert found is not None
    assert (found["power"], found["management"]) == ("off", "10.9.9.9/24")
    provider.update(resources.thing("Host", found), A)
    assert provider.read(A) == resources.properties(A)
    # A tunnel device needs a start, not another machine: what it wrote stays.
    (at.folder("a") / "root" / "root" / "kept").write_text("kept")
    tunnel = msgspec.structs.replace(A, tun=True)
    provider.update(A, tunnel)
    assert (at.folder("a") / "root" / "root" / "kept").read_text() == "kept"
    assert places(at, "a").host_key == state.host_key
    assert provider.read(tunnel) == resources.properties(tunnel)
    provider.delete(tunnel)
    assert provider.read(tunnel) is None
    assert not at.folder("a").exists()


def test_what_twin_up_made_is_the_same_object(provider: Spoken, at: Place, prepared: tuple[Image, Layout]) -> None:
    shape = Lab(at.lab, (Node("a"), Node("b")), (Wire("a~b", Port("a", "w-b"), Port("b", "w-a")),))
    lab.up(shape, at.state.parent)
    before = {name: (at.folder(name) / "status.json").read_text() for name in ("a", "b")}
    things = (A, host("b"), LINE)
    with ThreadPoolExecutor() as pool:
        list(pool.map(provider.create, things))
    assert {name: (at.folder(name) / "status.json").read_text() for name in ("a", "b")} == before
    assert [provider.read(thing) for thing in things] == [resources.properties(thing) for thing in things]
    lab.up(shape, at.state.parent)


def test_a_mistake_comes_through_as_a_value(provider: Spoken, at: Place) -> None:
    other = at.state.parent.parent / "elsewhere" / "twin"
    lab.make_joint(place.at(other, at.lab), Wire("x~y", Port("x", "p"), Port("y", "p")))
    with pytest.raises(grpc.RpcError) as caught:
        provider.create(LINE)
    (found,) = server.told(caught.value.details())
    assert (found.code, found.object) == ("JB3016", at.lab)


def test_without_a_target_it_says_so(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("pulumi-resource-jinbao")
    outside = {name: value for name, value in os.environ.items() if not name.startswith("JINBAO_")}
    done = subprocess.run([program, "127.0.0.1:1"], env=outside, capture_output=True, text=True)
    assert done.returncode == 1
    assert "JB3113" in done.stderr


def test_it_ends_with_the_engine_that_started_it(tmp_path: Path) -> None:
    """Else a killed engine's provider would go on making machines beside the next run's."""
    program = Path(sys.executable).with_name("pulumi-resource-jinbao")
    line = f"{program} 127.0.0.1:1 & echo $!; wait"
    environment = {**os.environ, "JINBAO_STATE": str(tmp_path), "JINBAO_AT": "twin:x"}
    engine = subprocess.Popen(["bash", "-c", line], env=environment, stdout=subprocess.PIPE, text=True)
    assert engine.stdout
    child = int(engine.stdout.readline())
    assert engine.stdout.readline().strip().isdigit()  # it serves
    engine.send_signal(signal.SIGKILL)
    engine.wait()
    assert node.until(
        lambda: not Path(f"/proc/{child}").exists() or "Z (zombie)" in Path(f"/proc/{child}/status").read_text(), 10
    )


def test_it_ends_when_the_engine_is_done_with_it(tmp_path: Path) -> None:
    """Else every run of the engine waits five seconds before it kills it."""
    program = Path(sys.executable).with_name("pulumi-resource-jinbao")
    environment = {**os.environ, "JINBAO_STATE": str(tmp_path), "JINBAO_AT": "twin:x"}
    with subprocess.Popen([program, "127.0.0.1:1"], env=environment, stdout=subprocess.PIPE, text=True) as provider:
        assert provider.stdout
        assert provider.stdout.readline().strip().isdigit()  # it serves
        provider.send_signal(signal.SIGINT)
        assert provider.wait(60) == 0


def places(at: Place, name: str) -> NodeState:
    state = place.load(at, "node", name, NodeState)
    assert state
    return state
