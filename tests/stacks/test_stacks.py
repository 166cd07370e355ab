"""Stacks on the real engine and the real twin: made, drifted, repaired, cut off, refused, removed. In this order."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from stacks import engine, workspace
from stacks.program import Premises, Stack, Zone
from stacks.provider.resources import Host
from stacks.twin import lab, node, place
from stacks.twin.cgroups import Layout
from stacks.twin.image import Image
from stacks.twin.place import NodeState, Place
from stacks.workspace import Change, Outcome, Target
from tests.stacks.conftest import LAN, LINE, host

pytestmark = pytest.mark.timeout(2400)  # seconds: run alone on a new machine, they build the engine first

A = host("a", zones=("production",), interfaces={"z-production": ("10.0.1.10/24",)})
B = host("b", zones=("production",), duties=("database",), data=True)
KEEPER = host("k", zones=("backup",), duties=("repository",))
ROUTERS = (host("r1", role="router"), host("r2", role="router"))
WIRE = msgspec.structs.replace(LINE, id="r1~r2", a="r1 w-1", b="r2 w-1", ends=("router", "router"))


def centre(*hosts: Host) -> Stack:
    """A data centre of one zone with a LAN."""
    name = "640100-centre1"
    zone = Zone("production", LAN, tuple(each for each in hosts if each in (A, B)))
    others = tuple(each for each in hosts if each not in (A, B))
    return Stack(name, "a centre", ("640100",), (Premises(name, True, (zone,), others, ()),))


CENTRE = centre(A, B, KEEPER)
WAN = Stack("wan-64", "lines", (), (Premises("640121-office1", False, (), ROUTERS, ()),), (WIRE,))
UP = """
import sys, msgspec
from pathlib import Path
from stacks import workspace
from stacks.program import Stack
target = msgspec.json.decode(sys.argv[1], type=workspace.Target, dec_hook=lambda kind, value: Path(value))
print(workspace.up(target, msgspec.json.decode(sys.argv[2], type=Stack), lambda done: None))
"""


def quiet(done: int) -> None:
    """Nobody watches."""


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory, prepared: tuple[Image, Layout]) -> Iterator[Target]:
    """A lab of its own, and stacks of its own."""
    state, name = tmp_path_factory.mktemp("stacks"), f"e{os.getpid()}"
    yield Target(state, f"twin:{name}", engine.ready(lambda step: None))
    lab.down(name, state / "twin")


@pytest.fixture(scope="module")
def at(target: Target) -> Place:
    return place.at(target.state / "twin", target.at.removeprefix("twin:"))


def changed(outcome: Outcome) -> list[tuple[str, str, str]]:
    assert outcome.mistakes == ()
    return [(each.op, each.kind, each.name) for each in outcome.changes]


def states(at: Place) -> dict[str, NodeState]:
    return {each.node.name: each for each in place.every(at, "node", NodeState)}


def test_two_stacks_are_previewed_and_made_at_a_time(target: Target, at: Place) -> None:
    seen: list[int] = []
    before = workspace.preview(target, CENTRE, seen.append)
    assert changed(before) == [
        ("create", "Host", "a"), ("create", "Host", "b"), ("create", "Host", "k"),
        ("create", "Segment", "640100-centre1-production"),
    ]  # fmt: skip
    assert not at.state.exists()
    with ThreadPoolExecutor() as pool:
        made = list(pool.map(lambda one: workspace.up(target, one, seen.append), (CENTRE, WAN)))
    assert made[0].changes == before.changes
    assert {each[0] for each in changed(made[1])} == {"create"}
    assert max(seen) == 4
    assert sorted(states(at)) == ["a", "b", "k", "r1", "r2"]
    assert changed(workspace.preview(target, CENTRE, quiet)) == changed(workspace.drift(target, WAN, quiet)) == []
    # What stands is what `twin up` would have made.
    assert lab.status(at.lab).broken == ()


def test_no_secret_stands_in_the_state_and_the_passphrase_is_its_owners(target: Target, at: Place) -> None:
    kept = "".join(path.read_text() for path in (target.folder / ".engine" / "state").rglob("*.json"))
    assert '"host_key"' in kept
    for state in states(at).values():
        assert state.private_key.splitlines()[1] not in kept
    phrase = target.passphrase(CENTRE.name)
    assert phrase.read_text() not in kept
    assert stat.S_IMODE(phrase.stat().st_mode) == 0o600
    assert target.passphrase(WAN.name).read_text() != phrase.read_text()


def test_faults_by_hand_are_named_and_one_up_repairs_them(
    target: Target, at: Place, prepared: tuple[Image, Layout]
) -> None:
    before = states(at)
    lab.remove_node(at, "k", prepared[1])
    for line in (["addr", "flush", "dev", "mgmt0"], ["addr", "add", "10.9.9.9/24", "dev", "mgmt0"]):
        subprocess.run(["ip", "-n", at.netns("a"), *line], check=True)
    subprocess.run(["ip", "-n", at.netns("r1"), "link", "del", "w-1"], check=True)
    subprocess.run(["ip", "-n", at.netns("b"), "link", "set", "z-production", "down"], check=True)
    drifted = workspace.drift(target, CENTRE, quiet)
    assert drifted.changes == (
        Change(CENTRE.name, "delete", "Host", "k"),
        Change(CENTRE.name, "update", "Host", "a", ("management: as allotted → 10.9.9.9/24",)),
        Change(CENTRE.name, "update", "Segment", "640100-centre1-production",
               ("ports: a z-production b z-production → a z-production",)),
    )  # fmt: skip
    assert changed(workspace.drift(target, WAN, quiet)) == [("delete", "Link", "r1~r2")]
    for one in (CENTRE, WAN):
        assert workspace.up(target, one, quiet).mistakes == ()
        assert changed(workspace.drift(target, one, quiet)) == []
    after = states(at)
    assert (after["a"], after["b"]) == (before["a"], before["b"])
    assert after["k"] != before["k"]
    assert lab.status(at.lab).broken == ()


def test_an_engine_killed_in_the_middle_is_repaired_by_the_next_run(target: Target, at: Place) -> None:
    grown = centre(A, B, KEEPER, host("n", role="firewall"))
    run = subprocess.Popen(
        [sys.executable, "-c", UP, msgspec.json.encode(target, enc_hook=str), msgspec.json.encode(grown)]
    )
    assert node.until((at.folder("n") / "launch.json").exists, 60 * node.SLOW)
    locks = list((target.folder / ".engine" / "state").rglob("locks/**/*.json"))
    (held,) = (json.loads(path.read_text()) for path in locks)
    os.kill(held["pid"], signal.SIGKILL)
    run.communicate()
    assert list((target.folder / ".engine" / "state").rglob("locks/**/*.json")) == locks
    made = states(at)["n"]
    outcome = workspace.up(target, grown, quiet)
    assert outcome.mistakes == ()
    assert states(at)["n"] == made  # taken as it is, not made a second time
    assert changed(workspace.drift(target, grown, quiet)) == []
    assert changed(workspace.up(target, CENTRE, quiet)) == [("delete", "Host", "n")]
    assert "n" not in states(at)


def test_what_holds_data_goes_only_when_it_was_confirmed(target: Target, at: Place) -> None:
    fewer = centre(A, KEEPER)
    refused = workspace.up(target, fewer, quiet)
    assert {each.code for each in refused.mistakes} == {"JB3108"}
    assert "b" in states(at)
    assert workspace.holding_data(target, CENTRE) == ["b"]
    assert ("delete", "Host", "b") in changed(workspace.up(target, fewer, quiet, confirmed=True))
    assert "b" not in states(at)


def test_a_prohibition_fails_the_preview_and_nothing_is_made(target: Target, at: Place) -> None:
    two = centre(A, KEEPER, host("x", zones=("production", "exchange")))
    for work in (workspace.preview, workspace.up):
        (found,) = work(target, two, quiet).mistakes
        assert (found.code, found.object) == ("JB3109", "x")
        assert "S3 四(一)" in found.what and "two hosts" in found.cure
    assert "x" not in states(at)


def test_state_that_cannot_be_opened_is_told_with_the_way_out(target: Target) -> None:
    phrase = target.passphrase(WAN.name)
    right = phrase.read_text()
    phrase.write_text("another")
    (found,) = workspace.preview(target, WAN, quiet).mistakes
    assert (found.code, found.object) == ("JB3106", WAN.name)
    assert str(phrase) in found.cure
    phrase.write_text(right)
    (file,) = (target.folder / ".engine" / "state").rglob(f"stacks/**/{WAN.name}.json")
    whole = file.read_text()
    file.write_text(whole[: len(whole) // 2])
    (found,) = workspace.preview(target, WAN, quiet).mistakes
    assert found.code == "JB3107"
    file.write_text(whole)
    assert changed(workspace.preview(target, WAN, quiet)) == []


def test_a_lock_of_the_living_holds_and_one_of_the_dead_does_not(target: Target) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    here = socket.gethostname()
    said = "the stack is currently locked by 1 lock(s). [..]\n  file:///x.json: created by root@{} (pid {}) at 2026-11-22T01:02:03Z"
    assert workspace.locks(said.format(here, 7)) == [(here, 7, "2026-11-22T01:02:03Z")]
    assert workspace.left_by_the_dead(here, gone.pid, "")
    assert workspace.left_by_the_dead(here, os.getpid(), "")  # the number was given to another program since
    assert not workspace.left_by_the_dead("elsewhere", gone.pid, "")
    for host_, code in ((here, "JB3104"), ("elsewhere", "JB3105")):
        text = said.format(host_, 7)
        assert [each.code for each in workspace.meaning(target, "s", text, workspace.locks(text))] == [code]


def test_destroy_leaves_nothing_of_a_stack(target: Target, at: Place) -> None:
    done = threading.Event()
    outcome = workspace.destroy(target, WAN, lambda count: done.set())
    assert {each[0] for each in changed(outcome)} == {"delete"} and done.is_set()
    assert sorted(states(at)) == ["a", "k"]
    assert workspace.known(target.folder) == [CENTRE.name]
    assert workspace.destroy(target, CENTRE, quiet).mistakes == ()
    assert states(at) == {} and workspace.known(target.folder) == []


def test_folders_are_where_they_are_said_to_be(tmp_path: Path) -> None:
    other = Target(tmp_path, "production", tmp_path)
    assert other.folder == tmp_path / "stack" / "production"
    assert other.project == "jinbao-production"
