"""Cut wires: silent for BFD, pulled for carrier, and whole again."""

from __future__ import annotations

from pathlib import Path

import pytest

from stacks.twin import fault, lab, node, place, program
from stacks.twin.place import Place
from stacks.twin.topology import Link, Port
from tests.twin.packets import carries

LINK = Link("x-y", Port("x", "e0"), Port("y", "e0"))


@pytest.fixture
def at(name: str, tmp_path: Path) -> Place:
    at = place.at(tmp_path, name)
    lab.make_joint(at, LINK)
    program.ip(["addr add 192.0.2.0/31 dev e0", "addr add 2001:db8::/127 dev e0"], at.netns("x"))
    program.ip(["addr add 192.0.2.1/31 dev e0", "addr add 2001:db8::1/127 dev e0"], at.netns("y"))
    return at


def carrier(at: Place, end: str) -> bool:
    shown = program.run(["ip", "-n", at.netns(end), "-o", "link", "show", "e0"]).stdout
    return "LOWER_UP" in shown and "NO-CARRIER" not in shown


def carried(at: Place) -> set[bool]:
    """What datagrams in either direction and of either family meet with."""
    ways = (("x", "y", "192.0.2.1"), ("y", "x", "192.0.2.0"), ("x", "y", "2001:db8::1"), ("y", "x", "2001:db8::"))
    return {carries(at, *way) for way in ways}


def mended(at: Place) -> bool:
    """Whether everything is carried again; a neighbour asked for in vain is asked for again after 1 s."""
    return node.until(lambda: carried(at) == {True}, 20 * node.SLOW)


def test_silent(at: Place) -> None:
    assert mended(at)
    fault.cut(at, LINK)
    fault.cut(at, LINK)
    assert carried(at) == {False}
    assert carrier(at, "x") and carrier(at, "y")
    # A firewall that loads its rules anew must not mend the wire.
    assert program.run(["ip", "netns", "exec", at.netns("x"), "nft", "flush", "ruleset"]).returncode == 0
    assert carried(at) == {False}
    fault.restore(at, LINK)
    fault.restore(at, LINK)
    assert mended(at)


def test_pulled_cable(at: Place) -> None:
    fault.cut(at, LINK, silent=False)
    assert not carrier(at, "x") and not carrier(at, "y")
    assert carried(at) == {False}
    fault.restore(at, LINK)
    # The configured addresses are still there, IPv6 too.
    assert mended(at)


def test_one_fault_after_the_other(at: Place) -> None:
    fault.cut(at, LINK, silent=False)
    fault.cut(at, LINK)
    assert carrier(at, "x")
    assert carried(at) == {False}
    fault.restore(at, LINK)
    assert mended(at)
