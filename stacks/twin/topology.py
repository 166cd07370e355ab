"""The shape of a lab: nodes, links and segments, and what makes a shape impossible."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import msgspec

from ground.mistake import Mistake, Mistakes

PORT_LENGTH = 15  # IFNAMSIZ - 1
NODE_LENGTH = 40
LAB_LENGTH = 16  # "tw-" + lab + "-" + node is a host name: at most 64 characters (HOST_NAME_MAX)
NODES = 1000  # a Linux bridge has 1023 ports, and every node is one port of the management bridge
RESERVED = ("ctl", "wire")
MANAGEMENT = "mgmt0"


class Port(msgspec.Struct, frozen=True, order=True, forbid_unknown_fields=True):
    """One interface of a node."""

    node: str
    name: str


class Link(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A point-to-point wire between two nodes."""

    id: str
    a: Port
    b: Port

    @property
    def ports(self) -> tuple[Port, ...]:
        return (self.a, self.b)


class Segment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A LAN."""

    id: str
    ports: tuple[Port, ...]


class Node(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A machine. `name` is its host name too."""

    name: str
    disk: bool = False
    """True: what it writes lies on disk (database hosts); False: in memory."""
    tun: bool = False
    """Whether it gets /dev/net/tun."""


class Lab(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nodes and what joins them. `name` keeps it apart from every other lab on the machine."""

    name: str
    nodes: tuple[Node, ...]
    links: tuple[Link, ...] = ()
    segments: tuple[Segment, ...] = ()


def require(lab: Lab) -> None:
    """Raises `Mistakes` with everything that makes `lab` impossible (JB3009 names, JB3010 shape)."""
    if found := list(mistakes(lab)):
        raise Mistakes(found, "nothing was started")


def mistakes(lab: Lab) -> Iterator[Mistake]:
    """Everything that makes `lab` impossible."""
    yield from lab_name(lab.name)
    names = [node.name for node in lab.nodes]
    for name in names:
        yield from _node_name(name)
    if len(names) > NODES:
        yield _shape(lab.name, f"{len(names)} nodes; one lab holds {NODES}", "Take fewer regions into the lab.")
    yield from (_shape(name, "two nodes of this name", "Give each node a name of its own.") for name in _twice(names))
    joints: list[Link | Segment] = [*lab.links, *lab.segments]
    yield from (
        _shape(name, "two links or segments of this id", "Give each an id of its own.")
        for name in _twice([joint.id for joint in joints])
    )
    known = set(names)
    for joint in joints:
        for port in joint.ports:
            if port.node not in known:
                yield _shape(joint.id, f"ends at {port.node}, which is no node of the lab", "Add the node, or drop it.")
            if not 0 < len(port.name) <= PORT_LENGTH or not re.fullmatch(r"[^\s/:]+", port.name):
                yield _name(
                    f"{port.node} {port.name}",
                    f"is no interface name: 1–{PORT_LENGTH} characters without space, / and :",
                    "Shorten the name of the interface.",
                )
            if port.name in (MANAGEMENT, "lo"):
                yield _name(f"{port.node} {port.name}", "is a name the lab needs itself", "Take another name.")
    ports = [f"{port.node} {port.name}" for joint in joints for port in joint.ports]
    yield from (_shape(port, "joined twice", "Give each wire an interface of its own.") for port in _twice(ports))


def lab_name(name: str) -> Iterator[Mistake]:
    """What is wrong with `name` as a lab's name. No hyphen: `a-b` of one lab must never read as `b` of lab `a`."""
    if not re.fullmatch(rf"[a-z][a-z0-9]{{0,{LAB_LENGTH - 1}}}", name):
        yield _name(
            name or "(empty)",
            f"is no lab name: a letter, then letters and digits, at most {LAB_LENGTH}",
            "Choose a name like `pilot` or `lab2`.",
        )


def _node_name(name: str) -> Iterator[Mistake]:
    if len(name) > NODE_LENGTH or not re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", name):
        yield _name(
            name or "(empty)",
            f"is no host name of a node: letters, digits and hyphens, at most {NODE_LENGTH} characters",
            "Shorten the site's name in the naming plan.",
        )
    if name in RESERVED:
        yield _name(name, "is a name the lab needs itself", "Take another name.")


def _twice(names: list[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


def _name(subject: str, what: str, cure: str) -> Mistake:
    return Mistake(file="", line=None, column=None, code="JB3009", object=subject, what=what, cure=cure)


def _shape(subject: str, what: str, cure: str) -> Mistake:
    return Mistake(file="", line=None, column=None, code="JB3010", object=subject, what=what, cure=cure)
