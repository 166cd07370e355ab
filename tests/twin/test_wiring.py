"""Wires without nodes: made once by however many, gone with their last user, and the management network between."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from ground.mistake import Mistakes
from stacks.twin import lab, node, place, program, wiring
from stacks.twin.place import NodeState, Place
from stacks.twin.topology import Link, Node, Port, Segment
from tests.twin.packets import arrives, carries

LINK = Link("x/y 1", Port("x", "e0"), Port("y", "e0"))
LAN = Segment("lan", (Port("x", "e1"), Port("y", "e1"), Port("z", "e1")))

MAKE = """
import sys, msgspec
from pathlib import Path
from stacks.twin import lab, place, topology
at = place.Place(sys.argv[1], Path(sys.argv[2]))
lab.make_joint(at, msgspec.json.decode(sys.argv[3], type=topology.Link))
lab.make_joint(at, msgspec.json.decode(sys.argv[4], type=topology.Segment))
"""


@pytest.fixture
def at(name: str, tmp_path: Path) -> Place:
    return place.at(tmp_path, name)


def names(at: Place) -> dict[str, list[str]]:
    """Namespace → its interfaces, without those of the lab itself."""
    found = wiring.interfaces([at.netns(node) for node in ("x", "y", "z")])
    return {name.rpartition("-")[2]: sorted(ports - {"lo"}) for name, ports in found.items()}


def test_last_user_takes_the_namespace(at: Place) -> None:
    lab.make_joint(at, LINK)
    lab.make_joint(at, LAN)
    assert names(at) == {"x": ["e0", "e1"], "y": ["e0", "e1"], "z": ["e1"]}
    assert wiring.standing(at, [LINK, LAN]) == {"x/y 1", "lan"}
    lab.remove_joint(at, LAN)
    assert names(at) == {"x": ["e0"], "y": ["e0"]}
    assert wiring.interfaces([at.netns("wire")]) == {at.netns("wire"): {"lo"}}
    lab.remove_joint(at, LINK)
    lab.remove_joint(at, LINK)
    assert names(at) == {}
    assert place.every(at, "link", Link) == []


def test_made_by_five_processes_at_once(at: Place) -> None:
    line = [sys.executable, "-c", MAKE, at.lab, str(at.state), *(msgspec.json.encode(j).decode() for j in (LINK, LAN))]
    processes = [subprocess.Popen(line) for _ in range(5)]
    assert [process.wait() for process in processes] == [0] * 5
    assert names(at) == {"x": ["e0", "e1"], "y": ["e0", "e1"], "z": ["e1"]}


def test_half_made_is_completed(at: Place) -> None:
    """The bridge without a port, a port without its bridge, a name whose namespace a killed `ip` never mounted."""
    lab.make_joint(at, LAN)
    program.ip(["link del e1"], at.netns("x"))
    program.ip([f"link set {wiring.bridge('lan')} down"], at.netns("wire"))
    (place.NETNS / at.netns("new")).touch()
    grown = Segment("lan", (*LAN.ports, Port("new", "e1")))
    assert wiring.standing(at, [LAN]) == set()
    lab.make_joint(at, grown)
    assert wiring.standing(at, [grown]) == {"lan"}
    for number, end in enumerate(("x", "y", "z", "new"), 1):
        program.ip([f"addr add 192.0.2.{number}/24 dev e1"], at.netns(end))
    assert all(arrives(at, "new", end, f"192.0.2.{number}") for number, end in enumerate(("x", "y", "z"), 1))


def test_packets(at: Place) -> None:
    lab.make_joint(at, LINK)
    program.ip(["addr add 192.0.2.0/31 dev e0", "addr add 2001:db8::/127 dev e0"], at.netns("x"))
    program.ip(["addr add 192.0.2.1/31 dev e0", "addr add 2001:db8::1/127 dev e0"], at.netns("y"))
    assert arrives(at, "x", "y", "2001:db8::1")
    assert arrives(at, "x", "y", "192.0.2.1")


def test_management_reaches_every_node_and_no_node_another(at: Place) -> None:
    with lab.opened(at):
        states = node.allot(at, [Node("x"), Node("y")])
        wiring.wire(at, states)
        wiring.wire(at, states)
    x, y = states
    for end, state in (("x", x), ("y", y)):
        assert arrives(at, "ctl", end, state.address)
        assert arrives(at, "ctl", end, state.address6)
        assert arrives(at, end, "ctl", "10.255.0.1")
        assert arrives(at, end, "ctl", "fd00:255::1")
    assert not carries(at, "x", "y", y.address)
    assert not carries(at, "x", "y", y.address6)


def test_addresses_follow_from_names(at: Place, tmp_path: Path) -> None:
    nodes = [Node(f"{number:06}-r1") for number in range(600)]
    other = Place(at.lab, tmp_path / "other")
    forward = node.allot(at, nodes)
    backward = {state.node.name: state.address for state in node.allot(other, nodes[::-1])}
    assert {state.node.name: state.address for state in forward} == backward
    assert len(set(backward.values())) == 600
    assert not any(address.endswith((".0", ".255")) or address.startswith("10.255.0.") for address in backward.values())
    # Given once, kept for ever.
    assert node.allot(at, nodes[5:6]) == [forward[5]]
    assert place.every(at, "node", NodeState) == sorted(forward, key=lambda state: state.node.name)


def test_what_ip_refuses_is_a_mistake(at: Place) -> None:
    with lab.opened(at), pytest.raises(Mistakes, match=r"JB3012 .*Cannot find device.*`link set nothere up`"):
        program.ip(["link set lo up", "link set nothere up"], at.netns("ctl"))


def test_the_machine_is_left_alone(at: Place) -> None:
    before = program.run(["ip", "-o", "link"]).stdout, program.run(["ip", "route"]).stdout
    lab.make_joint(at, LINK)
    lab.make_joint(at, LAN)
    assert (program.run(["ip", "-o", "link"]).stdout, program.run(["ip", "route"]).stdout) == before
