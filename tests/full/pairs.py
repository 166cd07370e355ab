"""Pairs of configurations, before and after a change: what this project and others say of them is compared."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from hypothesis.internal.conjecture.providers import AVAILABLE_PROVIDERS, HypothesisProvider
from msgspec.structs import replace

from inventory.ends import Dual
from inventory.filtering import Filter
from inventory.intent import Intent, intent
from inventory.models import models
from inventory.routing import Routing, Static
from inventory.switching import Socket, Switching, Vlan
from ip_plan.network import Network
from tests.inventory import test_remedy
from tests.inventory.vendors import mutate, plans, test_remedies, test_switches
from tests.inventory.vendors.test_readers import WRITERS, filters, routings
from tests.inventory.vendors.test_readers import intent as made

RANDOM, EDITS, LOST = 12, 40, 2
"""For each vendor: pairs of random intents, one-line edits by hand, times that many lines are lost on each device."""


class Repeatable(HypothesisProvider):
    """Draws that do not depend on which modules are loaded, and which numbers and words stand in them."""

    def _maybe_draw_constant(self, *_: Any, **__: Any) -> None:
        return None


AVAILABLE_PROVIDERS["repeatable"] = f"{__name__}.{Repeatable.__name__}"
DRAWN = settings(
    max_examples=RANDOM, deadline=None, database=None, derandomize=True, phases=[Phase.generate], backend="repeatable"
)


class Pair(msgspec.Struct, frozen=True):
    """What a device runs, and what it is to run."""

    dialect: str
    name: str
    before: str
    after: str
    model: str = ""
    """What the maker calls the device, where another tool goes by it."""


def text(given: Intent) -> str:
    """The one file of a vendor's device."""
    return WRITERS[given.device.dialect](given)[0].content


# --- one thing changes in the plan -----------------------------------------------------------------------------------


def _routed(given: Intent, **said: object) -> Intent:
    assert given.routing
    return replace(given, routing=replace(given.routing, **said))


def _neighbour(given: Intent) -> Intent:
    assert given.routing
    return _routed(given, neighbours=given.routing.neighbours[1:])


def _asn(given: Intent) -> Intent:
    if not given.routing or not given.routing.neighbours:
        return given
    first, *others = given.routing.neighbours
    return _routed(given, neighbours=(replace(first, asn=first.asn + 1), *others))


def _prefixes(given: Intent) -> Intent:
    if not given.routing or not given.routing.neighbours:
        return given
    first, *others = given.routing.neighbours
    accept = Dual(("10.77.0.0/16", *first.accept.v4[1:]), ("3fff:77::/32", *first.accept.v6[1:]))
    return _routed(given, neighbours=(replace(first, accept=accept), *others))


def _rule(given: Intent) -> Intent:
    assert given.filter
    return replace(given, filter=replace(given.filter, rules=given.filter.rules[1:]))


def _members(given: Intent) -> Intent:
    assert given.filter
    sets = tuple(
        replace(one, elements=("10.77.0.0/16" if one.family == 4 else "3fff:77::/32", *one.elements[1:]))
        if len(one.elements) > 1
        else one
        for one in given.filter.sets
    )
    return replace(given, filter=replace(given.filter, sets=sets))


def _address(given: Intent) -> Intent:
    first, *others = given.ports
    moved = replace(first, addresses=Dual(("10.77.0.0/31",), ("3fff:77::/127",)))
    return replace(given, ports=(moved, *others))


def _port(given: Intent) -> Intent:
    free = max(port.number for port in given.ports) + 1
    return replace(given, ports=(replace(given.ports[0], number=free), *given.ports[1:]))


def _cost(given: Intent) -> Intent:
    assert given.routing
    return _routed(given, cables=tuple(replace(cable, cost=cable.cost + 7) for cable in given.routing.cables))


def _metric(given: Intent) -> Intent:
    assert given.routing
    return _routed(given, metric=given.routing.metric + 7)


def _statics(given: Intent) -> Intent:
    assert given.routing
    more = (Static("10.77.0.0/16", "10.77.0.1"), Static("3fff:77::/32", "blackhole", 200))
    return _routed(given, statics=(*given.routing.statics, *more))


def _name(given: Intent) -> Intent:
    return replace(given, device=replace(given.device, name="640000-r9"))


CHANGES: dict[str, Callable[[Intent], Intent]] = {
    "neighbour": _neighbour, "as": _asn, "prefix-list": _prefixes, "rule": _rule, "set": _members, "address": _address,
    "vlan": _port, "ospf-cost": _cost, "redistribution": _metric, "static": _statics, "name": _name,
}  # fmt: skip
"""What changes → the intent after it; each is compared both ways. Where it changes nothing there is no pair."""
DEVICES = ("640000-r1", "640000-fw1", "640121-r1")


def changed(dialect: str, network: Network) -> Iterator[Pair]:
    """One change to what one device is to do."""
    for device in DEVICES:
        given = intent(network, network.devices[device])
        before = text(given)
        for name, change in CHANGES.items():
            after = text(change(given))
            if after != before:
                yield Pair(dialect, f"{device} {name}", before, after)
                yield Pair(dialect, f"{device} {name} back", after, before)


# --- one thing changes at a switch -----------------------------------------------------------------------------------

SWITCH = "640000-sw1"
ZONE = Vlan(180, "visitors")


def _widened(given: Switching, more: int, less: int = 0) -> tuple[Socket, ...]:
    """Its ports, where what carries several VLANs carries one more, and one less."""
    return tuple(
        replace(port, vlans=tuple(sorted({*port.vlans, more} - {less}))) if port.kind != "port" else port
        for port in given.ports
    )


def _zone(given: Switching) -> Switching:
    return replace(given, vlans=(*given.vlans, ZONE), ports=_widened(given, ZONE.id))


def _place(given: Switching) -> int:
    """Of the first port of a host, among all."""
    return next(at for at, port in enumerate(given.ports) if port.kind == "port")


def _moved(given: Switching) -> Switching:
    at = _place(given)
    (old,) = given.ports[at].vlans
    other = next(vlan.id for vlan in given.vlans if vlan.id != old)
    return replace(given, ports=(*given.ports[:at], replace(given.ports[at], vlans=(other,)), *given.ports[at + 1 :]))


def _host(given: Switching) -> Switching:
    free = max(port.number for port in given.ports) + 1
    return replace(given, ports=(*given.ports, replace(given.ports[_place(given)], name="p-host9", number=free)))


def _carried(given: Switching) -> Switching:
    """The trunk to the firewall loses a zone."""
    ports = tuple(replace(port, vlans=port.vlans[1:]) if port.kind == "trunk" else port for port in given.ports)
    return replace(given, ports=ports)


def _titled(given: Switching) -> Switching:
    first, *others = given.vlans
    return replace(given, vlans=(replace(first, name="works"), *others))


def _numbered(given: Switching) -> Switching:
    """A zone gets another VLAN id, with all that is in it."""
    old = given.vlans[0].id
    ports = tuple(
        replace(port, vlans=tuple(sorted(ZONE.id if vlan == old else vlan for vlan in port.vlans)))
        for port in given.ports
    )
    vlans = (replace(given.vlans[0], id=ZONE.id), *given.vlans[1:])
    return replace(given, vlans=tuple(sorted(vlans, key=lambda vlan: vlan.id)), ports=ports)


def _alone(given: Switching) -> Switching:
    return replace(given, ports=tuple(port for port in given.ports if port.kind != "aggregate"))


SWITCHED: dict[str, Callable[[Switching], Switching]] = {
    "zone": _zone, "port-moved": _moved, "host": _host, "trunk": _carried, "zone-renamed": _titled, "vlan-id": _numbered,
    "aggregate": _alone, "root": lambda given: replace(given, priority=8192),
}  # fmt: skip
"""What changes at a switch → what it does after it; each is compared both ways."""


def switched(dialect: str, place: Path) -> Iterator[Pair]:
    """One change to what a switch of a centre with two of them does, and edits by hand."""
    network = plans.network(place, [*plans.ROWS[dialect], plans.switch(dialect)], 2)
    there = intent(network, network.devices[SWITCH])
    assert there.switching
    before = text(there)
    changes = {name: text(replace(there, switching=change(there.switching))) for name, change in SWITCHED.items()}
    changes["member"] = _less(dialect, before)
    for name, after in changes.items():
        assert after != before, name
        yield Pair(dialect, f"{SWITCH} {name}", before, after)
        yield Pair(dialect, f"{SWITCH} {name} back", after, before)
    for mutation in mutate.draw(dialect, {SWITCH: before}, EDITS, seed=1):
        yield Pair(dialect, str(mutation), mutate.apply(before, mutation), before)


def switched_at_random(dialect: str) -> list[Pair]:
    """One random switch made of another; the same ones each time."""
    found: list[Pair] = []

    @given(st.tuples(test_switches.switchings(), test_switches.switchings()))
    @DRAWN
    def draw(ways: tuple[Switching, Switching]) -> None:
        before, after = (test_switches.text(dialect, way) for way in ways)
        found.append(Pair(dialect, f"switch {len(found)}", before, after))

    draw()
    return found


def _less(dialect: str, whole: str) -> str:
    """The text with one of the aggregate's two ports as one that nothing hangs on."""
    model = models(dialect)[plans.SWITCHES[dialect]]
    parked, member = (
        re.search(rf"(?ms)^interface {re.escape(name)}\n(.*?)^[#!]", whole)
        for name in (model.sockets()[-1], model.members()[-1])
    )
    assert parked and member
    return whole.replace(member[0], member[0].replace(member[1], parked[1]))


# --- others ----------------------------------------------------------------------------------------------------------


def drawn(dialect: str) -> list[Pair]:
    """One random intent made of another; the same ones each time."""
    found: list[Pair] = []

    @given(st.tuples(routings(), routings()), st.tuples(filters(False), filters(False)))
    @DRAWN
    def draw(routed: tuple[Routing, Routing], filtered: tuple[Filter, Filter]) -> None:
        before, after = (
            text(made(dialect, test_remedies.runnable(way), rules, "router"))
            for way, rules in zip(routed, filtered, strict=True)
        )
        found.append(Pair(dialect, f"random {len(found)}", before, after))

    draw()
    return found


def edited(dialect: str, texts: dict[str, str]) -> Iterator[Pair]:
    """Edits by hand: one line of a device, or many that no other line needs."""
    for mutation in mutate.draw(dialect, texts, EDITS, seed=1):
        yield Pair(dialect, str(mutation), mutate.apply(texts[mutation.device], mutation), texts[mutation.device])
    chance = random.Random(1)
    for number in range(LOST):
        for device, after in texts.items():
            lines = after.splitlines(keepends=True)
            loose = test_remedies.LOOSE[dialect]
            before = "".join(line for line in lines if not re.match(loose, line) or chance.random() < 0.7)
            yield Pair(dialect, f"{device} lost {number}", before, after)


def known(dialect: str) -> Iterator[Pair]:
    """What other tools are known to fail at: members of a set, a peer that goes, what something else uses."""
    opening, member, _, frame = test_remedies.SETS[dialect]
    sets = [frame.format(opening + "".join(member.format(n) for n in numbers)) for numbers in ((1, 2, 3), (2, 3, 4))]
    yield Pair(dialect, "members of a set", *sets)
    peer, _, frame = test_remedies.PEERS[dialect]
    yield Pair(dialect, "a peer goes", frame.format(peer), frame.format(""))
    used, frame, _ = test_remedies.USED[dialect]
    yield Pair(dialect, "what is used comes", frame.format(""), frame.format(used))
    yield Pair(dialect, "what is used goes", frame.format(used), frame.format(""))


def cases() -> Iterator[Pair]:
    """The cases of remediation for FRR that have commands. Its text is IOS's but for the lines that end a section."""
    for path in sorted(test_remedy.CASES.glob("frr-*.txt")):
        case = test_remedy.parts(path)
        if case.get("commands"):
            texts = (re.sub(r" *exit.*\n", "", case[part]) for part in ("running", "rendered"))
            yield Pair("frr", path.stem, *(test_remedy.framed("frr", text) for text in texts))


def every(dialect: str, place: Path) -> list[Pair]:
    """All pairs of a vendor's dialect."""
    network = plans.network(place, plans.ROWS[dialect])
    texts = {device: text(intent(network, network.devices[device])) for device in DEVICES}
    routing = [*changed(dialect, network), *drawn(dialect), *edited(dialect, texts), *known(dialect)]
    title = models(dialect)[plans.SWITCHES[dialect]].title
    switching = [*switched(dialect, place / "switched"), *switched_at_random(dialect)]
    return [*routing, *(replace(pair, model=title) for pair in switching)]
