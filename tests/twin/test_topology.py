"""What makes a lab impossible, all of it at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ground.mistake import Mistakes
from stacks.twin import topology
from stacks.twin.topology import Lab, Link, Node, Port, Segment

A, B = Node("a"), Node("b")
WIRE = Link("w", Port("a", "wan0"), Port("b", "wan0"))

BAD = {
    "hyphen in the lab's name": (Lab("my-lab", (A,)), "JB3009", "my-lab: is no lab name"),
    "long lab name": (Lab("l" * 17, (A,)), "JB3009", "at most 16"),
    "capital in a node's name": (Lab("l", (Node("Core"),)), "JB3009", "Core: is no host name"),
    "41 characters": (Lab("l", (Node("n" * 41),)), "JB3009", "at most 40"),
    "the controller's name": (Lab("l", (Node("ctl"),)), "JB3009", "ctl: is a name the lab needs itself"),
    "16 characters of an interface": (
        Lab("l", (A, B), (Link("w", Port("a", "w" * 16), Port("b", "w")),)),
        "JB3009",
        "a wwwwwwwwwwwwwwww: is no interface name",
    ),
    "the management port": (
        Lab("l", (A, B), (Link("w", Port("a", "mgmt0"), Port("b", "w")),)),
        "JB3009",
        "a mgmt0: is a name the lab needs itself",
    ),
    "two nodes of one name": (Lab("l", (A, A)), "JB3010", "a: two nodes of this name"),
    "no such node": (Lab("l", (A,), (WIRE,)), "JB3010", "w: ends at b, which is no node"),
    "two wires of one id": (
        Lab("l", (A, B), (WIRE,), (Segment("w", (Port("a", "lan0"),)),)),
        "JB3010",
        "w: two links or segments of this id",
    ),
    "one port twice": (
        Lab("l", (A, B), (WIRE,), (Segment("s", (Port("a", "wan0"),)),)),
        "JB3010",
        "a wan0: joined twice",
    ),
    "more than a bridge has ports": (Lab("l", tuple(Node(f"n{i}") for i in range(1001))), "JB3010", "1001 nodes"),
}


@pytest.mark.parametrize("case", BAD)
def test_impossible(case: str) -> None:
    lab, code, words = BAD[case]
    with pytest.raises(Mistakes) as caught:
        topology.require(lab)
    assert [mistake.code for mistake in caught.value.found] == [code]
    assert words in str(caught.value)


def test_everything_at_once() -> None:
    lab = Lab("L", (Node("ctl"), Node("x_y")), (Link("w", Port("gone", "e0"), Port("ctl", "lo")),))
    with pytest.raises(Mistakes) as caught:
        topology.require(lab)
    assert len(caught.value.found) == 5


def test_possible() -> None:
    topology.require(
        Lab("pilot2", (A, Node("640104001-r1")), (Link("w", Port("a", "w-640100-1"), Port("640104001-r1", "u")),))
    )


@given(st.text("ab-0.", max_size=6), st.text("ab-0", min_size=1, max_size=6))
def test_no_two_labs_share_a_name(lab: str, node: str) -> None:
    """From the name of a namespace one can tell its lab and its node."""
    if not list(topology.lab_name(lab)):
        assert f"tw-{lab}-{node}".split("-", 2) == ["tw", lab, node]
