"""Wires: namespaces, links, segments and the management network, made where missing in a few `ip -batch` calls.

Every function may be called again, for one object or for all, by several processes at a time. A namespace comes with
the first thing that needs it (its node, or an end of a wire) and goes with the last.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import hashlib
import os
import signal
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import msgspec

from stacks.twin import place as places
from stacks.twin import program
from stacks.twin.place import NETNS, NodeState, Place
from stacks.twin.topology import MANAGEMENT, Link, Port, Segment

BRIDGE = "br-mgmt"
CONTROLLER = ("10.255.0.1/16", "fd00:255::1/64")
CLONE_NEWNET = 0x40000000
# Duplicate address detection keeps a fresh address tentative for 1 s; the plan already gives each address once.
# A wire that goes down must not take the configured IPv6 addresses with it.
SYSCTLS = {"accept_dad": "0", "keep_addr_on_down": "1"}
SIOCGIFFLAGS, IFF_UP = 0x8913, 1  # netdevice(7)

Answer = TypeVar("Answer")
_libc = ctypes.CDLL(None, use_errno=True)


def inside(names: Iterable[str], action: Callable[[str], Answer]) -> dict[str, Answer]:
    """Call `action` within each of these namespaces, in a thread of its own; namespace → what it returned.

    A namespace that does not stand is left out.
    """
    answers: dict[str, Answer] = {}
    failures: list[BaseException] = []

    def visit() -> None:
        try:
            for name in names:
                if not places.exists(name):
                    continue
                handle = os.open(NETNS / name, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    if _libc.setns(handle, CLONE_NEWNET):
                        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(NETNS / name))
                finally:
                    os.close(handle)
                answers[name] = action(name)
        except BaseException as why:
            failures.append(why)

    thread = threading.Thread(target=visit)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    return answers


def interfaces(names: Iterable[str]) -> dict[str, set[str]]:
    """Namespace → names of its interfaces."""
    return inside(names, lambda _: {name for _, name in socket.if_nameindex()})


def wire(
    place: Place, nodes: Sequence[NodeState], links: Sequence[Link] = (), segments: Sequence[Segment] = ()
) -> None:
    """Make what is missing of these nodes' namespaces and management ports, and of these links and segments."""
    joints: list[Link | Segment] = [*links, *segments]
    names = {state.node.name for state in nodes} | {port.node for joint in joints for port in joint.ports}
    with places.held(place, locks(joints, names)):
        _namespaces(place, names)
        present = interfaces([place.netns(name) for name in (*names, "ctl", "wire")])
        lines = _missing(place, present, nodes, links, segments)
        program.ip(lines)
        ups: dict[str, list[str]] = {place.netns(name): ["link set lo up"] for name in names}
        for state in nodes:
            netns = place.netns(state.node.name)
            strange = addresses(netns).get(MANAGEMENT, ()) if MANAGEMENT in present[netns] else ()
            ups[netns] += [f"addr del {each} dev {MANAGEMENT}" for each in strange if each not in state.management]
            ups[netns] += [f"addr replace {each} dev {MANAGEMENT}" for each in state.management]
            ups[netns] += [f"link set {MANAGEMENT} up"]
        for joint in joints:
            for port in joint.ports:
                ups[place.netns(port.node)].append(f"link set {port.name} up")
        ups[place.netns("ctl")] = [
            line
            for state in nodes
            for line in (
                f"link set {_management(state)} master {BRIDGE} up",
                # Nodes reach the controller, never each other.
                f"link set {_management(state)} type bridge_slave isolated on",
            )
        ]
        ups[place.netns("wire")] = [
            line
            for segment in segments
            for line in (
                f"link set {bridge(segment.id)} up",
                *(f"link set {_far(segment.id, port)} master {bridge(segment.id)} up" for port in segment.ports),
            )
        ]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda item: program.ip(item[1], item[0]), ups.items()))


def ready(place: Place) -> None:
    """Make the controller's and the shared namespace where they are missing."""
    with places.held(place, ["ns-ctl", "ns-wire"]):
        _namespaces(place, ["ctl", "wire"])
        control, shared = place.netns("ctl"), place.netns("wire")
        if BRIDGE not in _names(control):
            program.ip([f"link add {BRIDGE} type bridge"], control)
        addresses = [f"addr replace {address} dev {BRIDGE}" for address in CONTROLLER]
        program.ip(["link set lo up", *addresses, f"link set {BRIDGE} up"], control)
        inside([shared], lambda _: _sysctl({"disable_ipv6": "1"}))


def unplug(place: Place, ports: Sequence[Port]) -> None:
    """Remove these interfaces of nodes, each with its other end."""
    with places.held(place, [f"ns-{port.node}" for port in ports]):
        _unplug(place, ports)


def unwire_joint(place: Place, joint: Link | Segment) -> None:
    """Remove a link or segment, and the namespaces that nothing else needs."""
    nodes = {port.node for port in joint.ports}
    with places.held(place, locks([joint], nodes)):
        _unplug(place, joint.ports)
        if isinstance(joint, Segment) and bridge(joint.id) in _names(place.netns("wire")):
            program.ip([f"link del {bridge(joint.id)}"], place.netns("wire"))
        _drop(place, nodes)


def unwire_node(place: Place, state: NodeState) -> None:
    """Remove a node's management port, and its namespace unless a wire still ends there."""
    name = state.node.name
    with places.held(place, [f"ns-{name}"]):
        # Explicitly, at the controller's end: it would outlive its namespace for seconds and block the next build.
        control = place.netns("ctl")
        if _management(state) in _names(control):
            program.ip([f"link del {_management(state)}"], control)
        _drop(place, [name])


def standing(place: Place, joints: Sequence[Link | Segment]) -> set[str]:
    """Ids of those links and segments whose every end is there."""
    nodes = {port.node for joint in joints for port in joint.ports}
    present = interfaces([*(place.netns(node) for node in nodes), place.netns("wire")])
    wires = present.get(place.netns("wire"), set())

    def whole(joint: Link | Segment) -> bool:
        ends = all(port.name in present.get(place.netns(port.node), ()) for port in joint.ports)
        return ends and (isinstance(joint, Link) or bridge(joint.id) in wires)

    return {joint.id for joint in joints if whole(joint)}


def plugged(place: Place, joint: Link | Segment) -> tuple[Port, ...]:
    """The ports of a link or segment that stand, are switched on and, on a segment, lead to its LAN."""
    up = inside({place.netns(port.node) for port in joint.ports}, lambda _: _switched_on())
    ports = tuple(port for port in joint.ports if port.name in up.get(place.netns(port.node), ()))
    if isinstance(joint, Link) or not ports:
        return ports
    line = ["ip", "-j", "-n", place.netns("wire"), "link", "show", "master", bridge(joint.id), "up"]
    done = program.run(line)
    far = {each["ifname"] for each in msgspec.json.decode(done.stdout or "[]")} if done.returncode == 0 else set()
    return tuple(port for port in ports if _far(joint.id, port) in far)


def addresses(netns: str) -> dict[str, tuple[str, ...]]:
    """Interface → its addresses with their lengths, link-local ones left out; empty where the namespace does not stand."""
    done = program.run(["ip", "-j", "-n", netns, "addr", "show"])
    rows = msgspec.json.decode(done.stdout or "[]") if done.returncode == 0 else []
    return {
        row["ifname"]: tuple(
            sorted(f"{each['local']}/{each['prefixlen']}" for each in row["addr_info"] if each["scope"] == "global")
        )
        for row in rows
        if "ifname" in row
    }


def namespaces(lab: str) -> list[str]:
    """Every namespace of the lab that has a name."""
    prefix = f"{places.PREFIX}{lab}-"
    return sorted(path.name for path in NETNS.glob(f"{prefix}*")) if NETNS.is_dir() else []


def tear(lab: str) -> None:
    """Remove every namespace of the lab and with them all wires; ends what still runs in them."""
    names = namespaces(lab)
    _end_processes(names)
    live = [name for name in names if places.exists(name)]
    # -force: one that will not go must not keep the others.
    program.run(["ip", "-force", "-batch", "-"], "".join(f"netns del {name}\n" for name in live))
    for name in names:
        (NETNS / name).unlink(missing_ok=True)


def bridge(segment: str) -> str:
    """Name of a segment's bridge in the shared namespace."""
    return f"b{_short(segment)}"


def locks(joints: Sequence[Link | Segment], nodes: Iterable[str]) -> list[str]:
    """The locks that cover these wires and the namespaces they end in."""
    return [*(f"ns-{node}" for node in nodes), *(f"wire-{joint.id}" for joint in joints)]


def _missing(
    place: Place,
    present: Mapping[str, set[str]],
    nodes: Sequence[NodeState],
    links: Sequence[Link],
    segments: Sequence[Segment],
) -> list[str]:
    control, shared = place.netns("ctl"), place.netns("wire")
    lines = [
        _pair(MANAGEMENT, place.netns(state.node.name), _management(state), control)
        for state in nodes
        if MANAGEMENT not in present[place.netns(state.node.name)]
    ]
    lines += [
        _pair(link.a.name, place.netns(link.a.node), link.b.name, place.netns(link.b.node))
        for link in links
        if link.a.name not in present[place.netns(link.a.node)]
    ]
    for segment in segments:
        if bridge(segment.id) not in present[shared]:
            # A snooping bridge floods as long as it hears no querier; OSPF, VRRP and ND shall not depend on that.
            lines.append(f"link add {bridge(segment.id)} netns {shared} type bridge mcast_snooping 0")
        lines += [
            _pair(port.name, place.netns(port.node), _far(segment.id, port), shared)
            for port in segment.ports
            if port.name not in present[place.netns(port.node)]
        ]
    return lines


def _pair(name: str, netns: str, peer: str, peer_netns: str) -> str:
    return f"link add {name} netns {netns} type veth peer name {peer} netns {peer_netns}"


def _namespaces(place: Place, names: Iterable[str]) -> None:
    missing = [place.netns(name) for name in sorted(names) if not places.exists(place.netns(name))]
    for name in missing:
        (NETNS / name).unlink(missing_ok=True)
    program.ip([f"netns add {name}" for name in missing])
    inside(missing, lambda _: _sysctl(SYSCTLS))


def _sysctl(values: Mapping[str, str]) -> None:
    for scope in ("all", "default"):
        for name, value in values.items():
            Path(f"/proc/sys/net/ipv6/conf/{scope}/{name}").write_text(value)


def _drop(place: Place, nodes: Iterable[str]) -> None:
    """Remove the namespaces where only what every namespace has is left."""
    for name in map(place.netns, nodes):
        # Some kernels put tunl0, sit0 and the like into each namespace; a veth is always ours.
        if places.exists(name) and not program.run(["ip", "-o", "-n", name, "link", "show", "type", "veth"]).stdout:
            program.ip([f"netns del {name}"])


def _unplug(place: Place, ports: Iterable[Port]) -> None:
    for port in ports:
        if port.name in _names(place.netns(port.node)):
            program.ip([f"link del {port.name}"], place.netns(port.node))  # its peer goes with it


def _switched_on() -> set[str]:
    """The interfaces of this namespace that are switched on."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:

        def flags(name: str) -> int:
            answer = fcntl.ioctl(asked, SIOCGIFFLAGS, struct.pack("16sh14x", name.encode(), 0))
            return int(struct.unpack("16sh14x", answer)[1])

        return {name for _, name in socket.if_nameindex() if flags(name) & IFF_UP}


def _names(netns: str) -> set[str]:
    return interfaces([netns]).get(netns, set())


def _management(state: NodeState) -> str:
    return f"m{state.index}"


def _far(segment: str, port: Port) -> str:
    return f"p{_short(f'{segment} {port.node} {port.name}')}"


def _short(text: str) -> str:
    # 48 bits: among 100,000 ports two alike have a chance of 2e-5.
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _end_processes(names: Sequence[str]) -> None:
    """End what was started with `ip netns exec` in these namespaces: they are the lab's own."""
    inodes = {os.stat(NETNS / name).st_ino for name in names if places.exists(name)}
    for entry in Path("/proc").iterdir() if inodes else ():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and int(entry.name) != os.getpid() and os.stat(entry / "ns/net").st_ino in inodes:
                os.kill(int(entry.name), signal.SIGKILL)
