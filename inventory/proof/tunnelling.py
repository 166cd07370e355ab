"""Encrypted lines of Debian devices: keys, tunnel, and that no way of the line leads around them.

Each end is held against the same plan, so that two ends that are good agree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from inventory.proof import interval, passing
from inventory.proof.decide import UNNAMED, spell
from inventory.proof.filters import Packet
from inventory.proof.networkd import Line
from inventory.proof.shielding import PLAIN, SUITES, Shield
from inventory.proof.swanctl import Connection
from inventory.proof.texts import Reading
from ip_plan import underlay
from ip_plan.network import Device, Interface, Link, Network

KEYS = tuple(("udp", port) for port in underlay.KEY_PORTS)
AGAIN = "Render the device again: both ends have to say the same."
USER_SPACE = "/etc/strongswan.d/charon/kernel-libipsec.conf"


def shield(suite: str) -> Shield:
    """What a suite asks of a Debian: packets of the tunnel have addresses of their own, so the mode is `tunnel`."""
    return msgspec.structs.replace(SUITES[suite], mode="tunnel")


def check(network: Network, device: Device, reading: Reading, wrong: Callable[..., None]) -> None:
    """What is wrong with the protection of the lines of a device."""
    connections = reading.swanctl.connections if reading.swanctl else {}
    file = reading.swanctl.file if reading.swanctl else device.name
    lines = {
        item.name: (item, link)
        for item in device.interfaces
        if item.kind == "wan" and (link := network.links.get(item.link)) is not None and link.suite
    }
    for name in sorted(connections.keys() - lines.keys()):
        what = f"connection {name} protects no line that the plan encrypts"
        wrong("JB2520", file, connections[name].line, what, "Render the device again, or give its line a row.")
    for name, (item, link) in lines.items():
        near, far = underlay.end(item.v4), underlay.end(item.peer4)
        if name not in connections:
            what = f"line {link.id} is not encrypted at {name}, its row asks for {link.suite}"
            wrong("JB2520", file, 1, what, "Render the device again: nothing may leave by the line itself.")
            continue
        for have, want, title in _keys(connections[name], link, near, far):
            if have != want:
                what = f"line {link.id} at {name}: {title} is {have}, the plan says {want}"
                wrong("JB2520", file, connections[name].line, what, AGAIN)
        _tunnel(item, link, near, far, reading, wrong)
        _ways(item, link, near, far, connections[name], reading, wrong)
        _filter(item, link, near, far, reading, wrong)


def _keys(said: Connection, link: Link, near: underlay.End, far: underlay.End) -> Iterator[tuple[str, str, str]]:
    want = shield(link.suite)
    suite = link.suite if said.shield == want else "IKEv" + ",".join(msgspec.structs.astuple(said.shield))
    yield suite, link.suite, "its suite"
    yield said.own, near.outer, "its own end"
    yield said.other, far.outer, "the other end"
    yield said.own_id, near.outer, "who it says it is"
    yield said.other_id, far.outer, "who the other end has to be"
    yield said.own_selector, f"{near.inner}/128", "what it protects from"
    yield said.other_selector, f"{far.inner}/128", "what it protects to"
    yield said.secret, link.secret, "the name of its secret"
    yield said.start, "start", "what it does when it is loaded"


def _tunnel(
    item: Interface, link: Link, near: underlay.End, far: underlay.End, reading: Reading, wrong: Callable[..., None]
) -> None:  # fmt: skip
    file, lines = reading.netdevs.get(item.name, ("", ()))
    if not lines:
        what = f"line {link.id}: nothing makes the tunnel {item.name}"
        wrong("JB2521", reading.here("/etc/swanctl/conf.d/lines.conf"), 1, what, "Render the device again.")
        return
    for section, key, want in (
        ("NetDev", "Kind", "vxlan"),
        ("VXLAN", "VNI", str(underlay.network_id(item.v4))),
        ("VXLAN", "Local", near.inner),
        ("VXLAN", "Remote", far.inner),
        ("VXLAN", "DestinationPort", str(underlay.VXLAN_PORT)),
        # Else it is bound to a port, and leaves by that one whatever the routes say.
        ("VXLAN", "Independent", "yes"),
    ):
        have, place = _value(lines, section, key)
        if have != want:
            what = f"line {link.id}: {key} of the tunnel {item.name} is {have or 'not said'}, the plan says {want}"
            wrong("JB2521", file, place, what, AGAIN)


def _value(lines: tuple[Line, ...], section: str, key: str) -> tuple[str, int]:
    return next(((each.value, each.line) for each in lines if (each.section, each.key) == (section, key)), ("", 1))


def _ways(
    item: Interface, link: Link, near: underlay.End, far: underlay.End, said: Connection, reading: Reading,
    wrong: Callable[..., None],
) -> None:  # fmt: skip
    """The other end of the tunnel lies behind the protection, and nowhere while there is none."""
    below, end = underlay.below(item.name), f"{far.inner}/128"
    wanted = {(below, "unreachable")} | ({(underlay.SHIELD, "")} if said.interface else set())
    had = set()
    for unit in reading.units:
        for route in unit.routes:
            if not route.to or not _within(end, route.to):
                continue
            if route.to == end and (unit.name, route.type) in wanted:
                had.add((unit.name, route.type))
                continue
            what = f"line {link.id}: {unit.name} leads to {route.to}, around what protects it"
            wrong("JB2522", unit.file, route.line, what, "Take the route away.")
    for name, kind in sorted(wanted - had):
        what = f"line {link.id}: {name} has no {kind or 'protected'} route to {end}"
        cure = "Render the device again: without it the tunnel's packets follow any wider route, in the clear."
        wrong("JB2522", reading.here(f"/etc/systemd/network/10-{name}.network"), 1, what, cure)
    if said.interface:
        file, lines = reading.netdevs.get(underlay.SHIELD, ("", ()))
        have = _value(lines, "NetDev", "Kind")[0], _value(lines, "Xfrm", "InterfaceId")[0]
        if have != ("xfrm", said.interface):
            what = f"line {link.id}: {underlay.SHIELD} is not the kernel's interface {said.interface}"
            wrong("JB2522", file or reading.here("/etc/swanctl/conf.d/lines.conf"), 1, what, "Render the device again.")
    elif USER_SPACE not in reading.texts:
        what = f"line {link.id}: nothing makes {underlay.SHIELD}, the kernel or charon"
        wrong("JB2522", reading.here("/etc/swanctl/conf.d/lines.conf"), said.line, what, "Render the device again.")


def _filter(
    item: Interface, link: Link, near: underlay.End, far: underlay.End, reading: Reading, wrong: Callable[..., None]
) -> None:  # fmt: skip
    """Below the line nothing passes but keys and what they protect, whatever the direction."""
    filter, below = reading.nftables, underlay.below(item.name)
    if filter is None:
        return
    other = next((name for name in _others(reading) if name not in (below, item.name)), "stranger0")
    outer = interval.number(far.outer), interval.number(near.outer)
    inner = interval.number(far.inner), interval.number(near.inner)
    asked = (
        ("input", below, "", outer, KEYS, "in at"),
        ("input", underlay.SHIELD, "", inner, (("udp", underlay.VXLAN_PORT),), "in at"),
        ("output", "", below, outer[::-1], KEYS, "out at"),
        ("forward", below, other, outer, (), "through from"),
        ("forward", other, below, outer, (), "through to"),
        ("forward", underlay.SHIELD, other, inner, (), "through from"),
    )
    for hook, iif, oif, ends, may, way in asked:
        named = passing.ports_named(passing.relevant(filter, hook, iif, oif))
        for kind in sorted({*named, *UNNAMED, *PLAIN, *may, ("udp", underlay.VXLAN_PORT)}):
            if kind in (("icmpv6", 135), ("icmpv6", 136)) and hook != "forward":
                continue
            passes, line = passing.verdict(filter, hook, Packet(6, iif, oif, *ends, *kind))
            port = iif if way != "out at" and iif != other else oif
            if passes and kind not in may:
                what = f"lets {spell(kind)} {way} {port}, below line {link.id}, in the clear"
                wrong("JB2523", filter.file, line, what, "Let nothing pass there but UDP 500 and 4500 of both ends.")
            elif not passes and kind in may:
                what = f"stops {spell(kind)} {way} {port}: line {link.id} comes to no keys, or carries nothing"
                wrong("JB2523", filter.file, line, what, "Let UDP 500, 4500 and, protected, 4789 of both ends pass.")


def _within(end: str, prefix: str) -> bool:
    one, other = interval.interval(end), interval.interval(prefix)
    return interval.family(end) == interval.family(prefix) and other[0] <= one[0] and one[1] <= other[1]


def _others(reading: Reading) -> list[str]:
    return sorted(unit.name for unit in reading.units if unit.name not in ("lo", "mgmt0", underlay.SHIELD))
