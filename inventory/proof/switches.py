"""What a switch's text does otherwise than the plan: a port in another VLAN, a VLAN that reaches another zone, a port left open."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from inventory.models import MEMBERS, VENDORS, models
from inventory.proof import frr, interval
from inventory.proof.sockets import Socket, Switch, spelled
from ip_plan.network import Device, Interface, Network
from ip_plan.vlans import PARKING

Wrong = Callable[..., None]
PROTOCOLS = ("rstp", "rapid-pvst")
"""Spanning trees that settle within seconds (IEEE 802.1D-2004 17)."""
STEP = 4096
"""Of bridge priorities."""
AGAIN = "Render the device again."


def check(network: Network, device: Device, switch: Switch, config: frr.Config, wrong: Wrong) -> None:
    """Every difference between a switch's text and the plan, JB2500–JB2508; JB2416 for the way to its gateway."""
    vlans = network.switched(network.sites[device.site])
    named = {socket.name: socket for socket in switch.sockets.values()}
    held: set[str] = set()
    for interface in device.interfaces:
        if interface.kind == "zone":
            continue
        socket = named.get(interface.name)
        if socket is None:
            wrong("JB2508", switch.file, 1, f"no port is for {interface.peer}: {interface.name} is missing", AGAIN)
            continue
        held.add(socket.physical)
        if socket.shut:
            wrong("JB2508", switch.file, socket.place("shut"), f"{interface.name} is shut", "Turn it on.")
        if interface.kind == "port":
            _single(switch, socket, vlans[interface.zone], interface.zone, wrong)
        else:
            wanted = frozenset(_carried(network, interface, vlans))
            _several(switch, socket, wanted, interface, wrong)
        if interface.kind == "aggregate":
            held |= {member.physical for member in _members(device, switch, socket, wrong)}
        elif not (socket.edge and socket.guarded):
            lacks = "no edge port" if not socket.edge else "not guarded against other switches"
            wrong("JB2507", switch.file, socket.place("edge"), f"{interface.name} is {lacks}", AGAIN)
    _unused(device, switch, held, wrong)
    _inner(device, switch, vlans[device.zone], wrong)
    _vlans(switch, vlans, wrong)
    _tree(device, switch, vlans, wrong)
    _gateway(network, device, config, wrong)


def _carried(network: Network, interface: Interface, vlans: dict[str, int]) -> Iterator[int]:
    if interface.kind == "aggregate":
        yield from vlans.values()
    else:
        yield from (vlans[each.zone] for each in network.devices[interface.peer].interfaces if each.kind == "zone")


def _single(switch: Switch, socket: Socket, wanted: int, zone: str, wrong: Wrong) -> None:
    """A port is in exactly its zone's VLAN."""
    untagged, tagged = socket.carries()
    if socket.mode not in ("access", "trunk") or untagged != wanted:
        place, have = socket.place("access", "mode"), f"VLAN {untagged}" if untagged else "no VLAN"
        have = have if socket.mode in ("access", "trunk") else f"VLAN {untagged}, and what the other end asks for"
        wrong("JB2500", switch.file, place, f"{socket.name} is in {have}, {zone} has {wanted}", AGAIN)
    if more := tagged - {wanted}:
        what = f"{socket.name} of the zone {zone} carries VLAN {spelled(more)} too"
        wrong("JB2501", switch.file, socket.place("allowed", "mode"), what, "Make it an access port of its own VLAN.")


def _several(switch: Switch, socket: Socket, wanted: frozenset[int], interface: Interface, wrong: Wrong) -> None:
    """A trunk or aggregate carries exactly these VLANs, all of them tagged."""
    untagged, tagged = socket.carries()
    if untagged:
        what = f"{socket.name} takes what has no tag for VLAN {untagged}"
        wrong(
            "JB2503",
            switch.file,
            socket.place("native", "access", "mode"),
            what,
            f"Give it the VLAN {PARKING}, not carried.",
        )
    if less := wanted - tagged:
        what = f"{socket.name} does not carry VLAN {spelled(less)}"
        wrong("JB2502", switch.file, socket.place("allowed", "mode"), what, AGAIN)
    if more := tagged - wanted:
        code = "JB2502" if interface.kind == "aggregate" else "JB2501"
        what = f"{socket.name} carries VLAN {spelled(more)}, which {interface.peer} has no interface in"
        wrong(code, switch.file, socket.place("allowed", "mode"), what, "Take them out of its list.")


def _members(device: Device, switch: Switch, aggregate: Socket, wrong: Wrong) -> list[Socket]:
    """The ports of the aggregate."""
    found = [each for each in switch.sockets.values() if each.group == aggregate.physical]
    up = [each for each in found if not each.shut]
    if len(up) != MEMBERS:
        what = f"{aggregate.name} has {len(up)} ports that are on, of {MEMBERS}"
        wrong("JB2502", switch.file, aggregate.line, what, AGAIN)
    for each in found:
        if not (each.lacp or aggregate.lacp):
            what = (
                f"{each.physical} is in {aggregate.name} without LACP: a cable to the wrong place would not be noticed"
            )
            wrong("JB2502", switch.file, each.place("group"), what, AGAIN)
        if each.mode != "member" and each.carries() != aggregate.carries():
            what = f"{each.physical} carries other VLANs than {aggregate.name}, which it is in"
            wrong("JB2502", switch.file, each.place("allowed", "native", "mode"), what, AGAIN)
    return found


def _unused(device: Device, switch: Switch, held: set[str], wrong: Wrong) -> None:
    """What nothing hangs on is shut, and in a VLAN that leads nowhere."""
    if device.dialect not in VENDORS:
        return
    model = models(device.dialect)[device.model]
    for physical in sorted({*model.sockets(), *filter(None, [model.management]), *switch.sockets} - held):
        socket = switch.sockets.get(physical)
        if socket is None:
            wrong("JB2505", switch.file, 1, f"{physical} is as delivered: on, in VLAN 1", AGAIN)
        elif not socket.shut:
            what = f"nothing hangs on {physical}, and it is on"
            wrong("JB2505", switch.file, socket.line, what, "Shut it.")
        elif physical != model.management and (socket.mode, socket.untagged) != ("access", PARKING):
            what = f"nothing hangs on {physical}, and it is in VLAN {spelled({socket.untagged, *socket.tagged})}"
            wrong("JB2505", switch.file, socket.place("access", "mode"), what, f"Put it into VLAN {PARKING}.")


def _inner(device: Device, switch: Switch, management: int, wrong: Wrong) -> None:
    """The switch itself has an interface in the management VLAN, and in no other."""
    if management not in switch.inner:
        wrong("JB2504", switch.file, 1, f"no interface of its own in VLAN {management}", AGAIN)
    for vlan, (name, line) in switch.inner.items():
        if vlan != management:
            what = f"an interface of its own ({name}) in VLAN {vlan}: what is there reaches the switch, and through it"
            wrong("JB2504", switch.file, line, what, f"It has one in VLAN {management}, and nowhere else.")


def _vlans(switch: Switch, vlans: dict[str, int], wrong: Wrong) -> None:
    wanted = {number: name for name, number in vlans.items()} | {PARKING: "parking"}
    for number, name in wanted.items():
        have = switch.vlans.get(number)
        if have is None:
            wrong("JB2506", switch.file, 1, f"VLAN {number} ({name}) is not there: its ports carry nothing", AGAIN)
        elif have.name != name:
            wrong(
                "JB2506",
                switch.file,
                have.line,
                f"VLAN {number} is called {have.name or 'nothing'}",
                f"Call it {name}.",
            )
    for number in sorted(switch.vlans.keys() - wanted.keys()):
        what = f"VLAN {number} is of no zone of the site"
        wrong("JB2506", switch.file, switch.vlans[number].line, what, "Delete it.")


def _tree(device: Device, switch: Switch, vlans: dict[str, int], wrong: Wrong) -> None:
    if switch.protocol not in PROTOCOLS:
        what = f"the spanning tree is {switch.protocol or 'as delivered'}"
        wrong("JB2507", switch.file, switch.line, what, AGAIN)
    wanted = STEP * int(device.name[-1])
    other = {number for number in vlans.values() if switch.priorities.get(number, switch.priorities.get(0)) != wanted}
    if other:
        what = f"the bridge priority of VLAN {spelled(other)} is not {wanted}: another switch may become the root"
        wrong("JB2507", switch.file, switch.line, what, AGAIN)


def _gateway(network: Network, device: Device, config: frr.Config, wrong: Wrong) -> None:
    zone = network.sites[device.site].zone(device.zone)
    if zone is None:
        return
    for family, prefix, gateway in ((4, "0.0.0.0/0", zone.gateway4), (6, "::/0", zone.gateway6)):
        own = [static for static in config.statics if static.family == family]
        right = interval.text(interval.number(gateway), family)
        if (prefix, right) not in {(static.prefix, static.target) for static in own}:
            wrong("JB2416", config.file, 1, f"the default route to {gateway} is missing", AGAIN)
        for static in own:
            if (static.prefix, static.target) != (prefix, right):
                what = f"a route to {static.prefix} over {static.target}, which is not the zone's gateway"
                wrong("JB2416", config.file, static.line, what, f"Its one route is {prefix} over {gateway}.")


def tags(network: Network, device: Device, config: frr.Config, wrong: Wrong) -> None:
    """The other end of a trunk: each zone of a routing device has the VLAN id there that its switches give it."""
    vlans = network.switched(network.sites[device.site])
    for item, number in zip(device.interfaces, device.numbers, strict=False):
        have = config.interfaces.get(item.name)
        if item.kind != "zone" or have is None:
            continue
        wanted = vlans.get(item.zone, number)
        said = have.find("dot1q")
        if said is None or said.words[1] != str(wanted):
            what = f"{item.name} has VLAN {said.words[1] if said else 'none'}, its zone has {wanted}"
            wrong("JB2509", config.file, said.line if said else have.line, what, AGAIN)
