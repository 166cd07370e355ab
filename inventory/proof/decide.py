"""Does each packet filter let through what the rows of the plan say, and nothing else?

For every device, every pair of interfaces, both families and every port that a row or a rule names (and ports nobody names) the
accepted part of the address plane is compared, exactly, with the part that must and the part that may be accepted.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from functools import cached_property

import msgspec

from inventory.proof import interval
from inventory.proof.filters import Ruleset
from inventory.proof.finding import Finding, Place
from inventory.proof.interval import Interval
from inventory.proof.passing import (
    Answer,
    Cells,
    Question,
    alike,
    ask,
    boundaries,
    may_accept,
    partition,
    ports_named,
    relevant,
)
from ip_plan.network import TRANSIT, Device, Flow, Network, Site

Spans = tuple[Interval, ...]
INVERSE = {"serving-parent": "served-child", "served-child": "serving-parent", "same-centre": "same-centre"}
UNNAMED = (("tcp", 9), ("udp", 9), ("icmp", 13), ("icmpv6", 139), ("gre", 0), ("esp", 0))
"""Ports and protocols that no row names; the proof asks for them too."""
_ALWAYS = (("tcp", 22), ("icmpv6", 135), ("icmpv6", 136))
MANAGEMENT = "mgmt0"
"""The management path: comes in, is never forwarded."""
STRANGER = "stranger0"
"""An interface that no plan knows."""
NEIGHBOUR_DISCOVERY = (135, 136)
"""ICMPv6 types without which no neighbour is reached (RFC 4861)."""
LINK_LOCAL = interval.interval("fe80::/10")
VRRP = {4: "224.0.0.18", 6: "ff02::12"}
"""Groups that advertisements go to (RFC 9568 5.1.1.2, 5.1.2.2)."""


SILENT = ("iosxe",)
"""Dialects whose pairs speak over their heartbeat alone."""


class Box(msgspec.Struct, frozen=True):
    """Packets that a row lets pass: from any of `sources` to any of `targets`."""

    sources: Spans
    targets: Spans
    flow: Flow | None
    optional: bool = False
    """May pass, need not."""


class Where(msgspec.Struct, frozen=True):
    """Who owns an address."""

    site: str
    zone: str


class World(msgspec.Struct, frozen=True, dict=True):
    """The Network as addresses: what the proof looks up again and again."""

    network: Network

    @cached_property
    def devices(self) -> Mapping[str, Device]:
        """Every known device, those of other shards too."""
        return getattr(self.network, "known_devices", None) or self.network.devices

    @cached_property
    def owners(self) -> dict[int, tuple[list[int], list[tuple[Interval, Where]]]]:
        """Family → zones by first address: (first addresses, (span, owner))."""
        found = {}
        for family in (4, 6):
            rows = []
            for site in self.network.known_sites.values():
                for zone in site.zones:
                    rows += [(span, Where(site.key, zone.name)) for span in self.spans(site, zone.name, "", family)]
                for span in self.transit(site, family):
                    rows.append((span, Where(site.key, TRANSIT)))
            rows.sort(key=lambda row: row[0])
            found[family] = ([row[0][0] for row in rows], rows)
        return found

    def owner(self, family: int, address: int) -> Where | None:
        """The site and zone an address belongs to, None for nobody's."""
        starts, rows = self.owners[family]
        index = bisect_right(starts, address) - 1
        if index >= 0 and rows[index][0][0] <= address <= rows[index][0][1]:
            return rows[index][1]
        return None

    def transit(self, site: Site, family: int) -> Spans:
        """The addresses of a site's routing devices: loopbacks and the ends of lines and cables."""
        key = (site.key, family)
        if key not in self._transit:
            found: list[Interval] = []
            for name in site.devices:
                device = self.devices.get(name)
                if device and device.routes:
                    found += [*own_addresses(device, family), *self.beside(name, "lo", family)]
            self._transit[key] = tuple(sorted(set(found)))
        return self._transit[key]

    @cached_property
    def _transit(self) -> dict[tuple[str, int], Spans]:
        return {}

    def beside(self, owner: str, name: str, family: int) -> list[Interval]:
        """What a zone of a site, or a device's loopback, has beside its own while the site is renumbered."""
        each = self.network.second.get((owner, name))
        return [interval.interval(each.v4 if family == 4 else each.v6)] if each else []

    def spans(self, site: Site, zone: str, service: str, family: int, peer: Site | None = None) -> Spans:
        """A zone's prefix; with a service, its addresses and those of the hosts that carry it.

        Of the routing devices, seen from the site `peer`: loopbacks, cables and the lines between the two.
        """
        if zone == TRANSIT:
            return (
                self.transit(site, family)
                if peer is None or peer.key == site.key
                else self._towards(site, family, peer)
            )
        known = site.zone(zone)
        if known is None:
            return ()
        if not service:
            own = interval.interval(known.v4 if family == 4 else known.v6)
            return tuple(sorted([own, *self.beside(site.key, zone, family)]))
        found: list[Interval] = []
        for carried in self.network.services_at.get((site.key, zone), ()):
            if carried.name == service:
                found.append(interval.interval(carried.v4 if family == 4 else carried.v6))
                host = self.devices.get(carried.device)
                for item in host.interfaces if host else ():
                    found.append(interval.interval((item.v4 if family == 4 else item.v6).partition("/")[0]))
        return tuple(sorted(set(found)))

    def _towards(self, site: Site, family: int, peer: Site) -> Spans:
        key = (site.key, family, peer.key)
        if key not in self._seen:
            self._seen[key] = self._lines(site, family, peer)
        return self._seen[key]

    @cached_property
    def _seen(self) -> dict[tuple[str, int, str], Spans]:
        return {}

    def _lines(self, site: Site, family: int, peer: Site) -> Spans:
        found: list[Interval] = []
        for name in site.devices:
            device = self.devices.get(name)
            if device and device.routes:
                loopback = device.loopback4 if family == 4 else device.loopback6
                texts = [loopback] if loopback else []
                texts += [
                    (i.v4 if family == 4 else i.v6).partition("/")[0]
                    for i in device.interfaces
                    if i.kind == "inside" or (i.kind == "wan" and i.peer_site == peer.key)
                ]
                found += [*(interval.interval(text) for text in texts), *self.beside(name, "lo", family)]
        return tuple(sorted(set(found)))

    @cached_property
    def allowed(self) -> tuple[Flow, ...]:
        """The rows that allow something."""
        return tuple(flow for flow in self.network.flows if flow.verdict == "allow")

    @cached_property
    def ports(self) -> tuple[tuple[str, int], ...]:
        """Every (protocol, port) that a row names."""
        return tuple(
            sorted({kind for flow in self.allowed for port in flow.ports for f in (4, 6) for kind in protocol(port, f)})
        )

    @cached_property
    def whole(self) -> dict[int, Interval]:
        """Family → the supernet."""
        return {
            4: interval.interval(self.network.meta.supernet4),
            6: interval.interval(self.network.meta.supernet6),
        }

    def row(self, source: Where | None, target: Where | None, kind: tuple[str, int], family: int) -> Flow | None:
        """The row that decides a connection between two zones: the one that allows the port, else the one that denies."""
        if source is None or target is None:
            return None
        one, other = self.network.known_sites[source.site], self.network.known_sites[target.site]
        relation = self.network.relation(one, other)
        denied = None
        for flow in self.network.flows:
            if (flow.from_zone, flow.to_zone, flow.relation) != (source.zone, target.zone, relation):
                continue
            if not flow.between(one, other):
                continue
            if flow.verdict == "deny":
                denied = denied or flow
            elif any(kind in protocol(port, family) for port in flow.ports):
                return flow
        return denied


def own_addresses(device: Device, family: int) -> list[Interval]:
    """A routing device's own addresses outside its zones."""
    texts = [device.loopback4 if family == 4 else device.loopback6]
    texts += [(i.v4 if family == 4 else i.v6).partition("/")[0] for i in device.interfaces if i.kind != "zone"]
    return [interval.interval(text) for text in texts if text]


def protocol(port: str, family: int) -> tuple[tuple[str, int], ...]:
    """`tcp/5432` → (tcp, 5432); `icmp/echo` → the echo request of the family; `proto/ospf` → (ospf, 0)."""
    name, _, value = port.partition("/")
    if name == "icmp":
        return (("icmp", 8),) if family == 4 else (("icmpv6", 128),)
    if name == "proto":
        return ((value, 0),)
    return ((name, int(value)),)


def spell(kind: tuple[str, int]) -> str:
    """(tcp, 5432) as the plan writes it."""
    return {("icmp", 8): "icmp/echo", ("icmpv6", 128): "icmp/echo"}.get(
        kind, f"{kind[0]}/{kind[1]}" if kind[1] else kind[0]
    )


class Expected(msgspec.Struct, frozen=True):
    """What a device's filter must and may let through: (hook, in, out, family, protocol, port) → boxes."""

    interfaces: tuple[tuple[str, str], ...]
    """(name, kind): interfaces of one kind are expected to be treated alike."""
    boxes: dict[tuple[str, str, str, int, str, int], list[Box]]


def expected(world: World, device: Device) -> Expected:
    """The expectation for one firewall, router or office device, from the rows of the plan."""
    network = world.network
    site = network.sites[device.site]
    wires = [i.name for i in device.interfaces if i.kind == "wan"]
    cables = [i.name for i in device.interfaces if i.kind == "inside"]
    zones = [i.name for i in device.interfaces if i.kind == "zone"]
    lines = {"firewall": cables, "access": wires, "router": wires + cables}[device.role]
    boxes: dict[tuple[str, str, str, int, str, int], list[Box]] = {}
    mine = {family: tuple(own_addresses(device, family)) for family in (4, 6)}
    # Every line is treated alike; a centre has a thousand, so they share one list.
    alike = set(wires[1:])

    def add(
        hook: str, ins: Iterable[str], outs: Iterable[str], flow: Flow, sources: dict[int, Spans], targets: dict[int, Spans],
        needed: dict[int, Spans] | None = None,
    ) -> None:  # fmt: skip
        ins, outs = [name for name in ins if name not in alike], [name for name in outs if name not in alike]
        for family in (4, 6):
            if not sources[family] or not targets[family]:
                continue
            for port in flow.ports:
                for name, number in protocol(port, family):
                    for one in ins:
                        for other in outs:
                            found = boxes.setdefault((hook, one, other, family, name, number), [])
                            if name == "ospf":
                                # To groups; OSPFv3 from link-local addresses (RFC 5340 2.5).
                                everything = ((0, (1 << interval.BITS[family]) - 1),)
                                found.append(Box(everything, everything, flow, optional=True))
                                found.append(Box(sources[4] if family == 4 else (LINK_LOCAL,), everything, flow))
                            elif hook == "input":
                                found.append(Box(sources[family], (needed or mine)[family], flow))
                                found.append(Box(sources[family], targets[family], flow, optional=True))
                                if name == "udp" and family == 6 and flow.from_zone == TRANSIT:
                                    # OSPFv3 asks BFD for sessions between link-local addresses (RFC 5340 4.1.2), on
                                    # one hop (RFC 5881 4); the echo port is open to it, unused.
                                    asks = number == 3784 and flow.relation == "same-centre"
                                    found.append(Box((LINK_LOCAL,), (LINK_LOCAL,), flow, optional=not asks))
                            else:
                                found.append(Box(sources[family], targets[family], flow))

    pair = network.pair(site.key) if device.role == "firewall" else ()

    def end(where: Site, zone: str, service: str, peer: Site) -> dict[int, Spans]:
        return {family: world.spans(where, zone, service, family, peer) for family in (4, 6)}

    def union(parts: Iterable[dict[int, Spans]]) -> dict[int, Spans]:
        listed = list(parts)
        return {family: tuple(sorted({span for part in listed for span in part[family]})) for family in (4, 6)}

    for flow in world.allowed:
        if flow.relation not in INVERSE:
            continue
        x, y = flow.from_zone, flow.to_zone
        opens = (x == TRANSIT or site.zone(x)) and (not flow.from_levels or site.level in flow.from_levels)
        takes = (y == TRANSIT or site.zone(y)) and (not flow.to_levels or site.level in flow.to_levels)
        if flow.relation == "same-centre":
            if not opens or not takes or x == y != TRANSIT or not flow.between(site, site):
                continue
            sources, targets = end(site, x, flow.from_service, site), end(site, y, flow.to_service, site)
            if device.role == "router":
                if y == TRANSIT:
                    add("input", cables, [""], flow, sources, targets, mine)
                continue
            entry = [f"z-{x}"] if x != TRANSIT else cables
            if y == TRANSIT:
                add("input", entry, [""], flow, sources, targets, mine)
                if x != TRANSIT and pair:
                    # Of the two the one that stands by is reached over the cables.
                    add("input", cables, [""], flow, sources, targets, mine)
                if x != TRANSIT:
                    add("forward", entry, cables, flow, sources, targets)
            else:
                add("forward", entry, [f"z-{y}"], flow, sources, targets)
            continue
        if opens and x != TRANSIT and device.role != "router":
            others = [o for o in network.related(site, flow.relation) if flow.between(site, o)]
            sources = end(site, x, flow.from_service, site)
            add("forward", [f"z-{x}"], lines, flow, sources, union(end(o, y, flow.to_service, site) for o in others))
        if takes:
            inverse = INVERSE[flow.relation]
            others = [o for o in network.related(site, inverse) if flow.between(o, site)]  # type: ignore[arg-type]
            if y == TRANSIT:
                targets = end(site, y, "", site)
                for other in others:
                    sources = end(other, x, flow.from_service, site)
                    facing = {f: set(world.spans(site, y, "", f, other)) for f in (4, 6)}
                    near = {f: tuple(span for span in mine[f] if span in facing[f]) for f in (4, 6)}
                    add("input", lines, [""], flow, sources, targets, near)
            elif device.role != "router":
                sources = union(end(o, x, flow.from_service, site) for o in others)
                add("forward", lines, [f"z-{y}"], flow, sources, end(site, y, flow.to_service, site))
    for beside in pair if device.dialect not in SILENT else ():
        _advertised(device, beside, boxes)
    for key, found in list(boxes.items()):
        for name in alike:
            if key[1] == wires[0]:
                boxes[(key[0], name, *key[2:])] = found
            elif key[2] == wires[0]:
                boxes[(*key[:2], name, *key[3:])] = found
    if device.role == "access":
        _carried(world, device, site, wires, boxes)
    carries = any(key[4] == "*" for key in boxes)
    kinds = {**{name: name for name in zones}, **{name: name if carries else "wire" for name in wires}}
    kinds |= {**dict.fromkeys(cables, "cable"), MANAGEMENT: MANAGEMENT, STRANGER: STRANGER}
    return Expected(tuple(kinds.items()), boxes)


def _carried(
    world: World, device: Device, site: Site, wires: list[str],
    boxes: dict[tuple[str, str, str, int, str, int], list[Box]],
) -> None:  # fmt: skip
    """What an office's device may carry for offices whose line ends at it: both their ends decide (key with protocol `*`)."""
    for item in device.interfaces:
        office = world.network.known_sites.get(item.peer_site)
        if item.kind != "wan" or office is None or office.key == site.parent:
            continue
        for family in (4, 6):
            spans = [
                span
                for zone in (*(z.name for z in office.zones), TRANSIT)
                for span in world.spans(office, zone, "", family)
            ]
            everything = ((0, (1 << interval.BITS[family]) - 1),)
            for other in wires:
                if other != item.name:
                    boxes.setdefault(("forward", item.name, other, family, "*", 0), []).append(
                        Box(tuple(spans), everything, None, optional=True)
                    )
                    boxes.setdefault(("forward", other, item.name, family, "*", 0), []).append(
                        Box(everything, tuple(spans), None, optional=True)
                    )


def _advertised(device: Device, other: Device, boxes: dict[tuple[str, str, str, int, str, int], list[Box]]) -> None:
    """What the other firewall of a pair says of itself on the segments of the zones, and nobody else (RFC 9568 5.1)."""
    for item in other.interfaces if other.name != device.name else ():
        if item.kind == "zone":
            value = interval.number(item.v6.partition("/")[0]) & ((1 << 64) - 1)
            speakers = {4: interval.interval(item.v4.partition("/")[0]), 6: (LINK_LOCAL[0] | value,) * 2}
            for family, group in VRRP.items():
                box = Box((speakers[family],), (interval.interval(group),), None)
                boxes[("input", item.name, "", family, "vrrp", 0)] = [box]


class Plane(msgspec.Struct, frozen=True):
    """The result for one device: the questions asked and what was accepted, with the cells it is said in."""

    cells: dict[int, Cells]
    accepted: dict[tuple[str, str, str, int, str, int], int]
    asked: int


def compare(world: World, device: Device, wanted: Expected, ruleset: Ruleset) -> tuple[list[Finding], Plane]:
    """Every difference between `wanted` and what the rule set does, and the planes that it was seen in."""
    findings: list[Finding] = []
    seen: set[tuple[int, str, str]] = set()
    accepted: dict[tuple[str, str, str, int, str, int], int] = {}
    all_cells: dict[int, Cells] = {}
    asked = 0
    named: dict[tuple[str, str, str], list[tuple[str, int]]] = {}
    router = device.role == "router"
    interfaces = _representatives(ruleset, wanted)
    for hook in ("input", "forward"):
        if not ruleset.base_chains(hook):
            near = [
                (ruleset.file, n)
                for t in ruleset.tables
                for c in t.chains.values()
                if not c.hook
                for n in range(c.line, c.end + 1)
            ]
            what = f"no filter at hook {hook}: everything passes"
            cure = f"Give the table a base chain at {hook} with `policy drop`."
            findings.append(Finding("JB2403", ruleset.file, 1, device.name, what, cure, near=tuple(near)))
    if not ruleset.flushes:
        first = min((table.line for table in ruleset.tables), default=1)
        near = [(ruleset.file, n) for n in range(1, first + 1)]
        what = "adds to the rules that are loaded already: what the file no longer says stays in force"
        cure = "Begin with `table …` and `delete table …`."
        findings.append(Finding("JB2403", ruleset.file, first, device.name, what, cure, near=tuple(near)))
    for family in (4, 6):
        sources, targets = boundaries(ruleset, family)
        own = tuple(own_addresses(device, family))
        whole = (world.whole[family],)
        # Lines share their lists: each is looked at once.
        for found in {id(found): found for key, found in wanted.boxes.items() if key[3] == family}.values():
            sources |= {box.sources for box in found}
            targets |= {box.targets for box in found}
        cells = partition([*sorted(sources), whole], [*sorted(targets), own, whole], family)
        all_cells[family] = cells
        planes: dict[object, int | list[object]] = {}
        products: dict[tuple[Spans, Spans], int] = {}

        def product(box: Box, cells: Cells = cells, products: dict[tuple[Spans, Spans], int] = products) -> int:
            key = (box.sources, box.targets)
            if key not in products:
                products[key] = cells.product(box.sources, box.targets)
            return products[key]

        own_cells = cells.product(None, own)
        everything = cells.all
        # What is addressed to the device itself never reaches the forward hook.
        idle = {"forward": own_cells, "input": 0}
        inner = cells.product(whole, whole)
        for hook, one, other in _pairs(interfaces):
            if (hook, one, other) not in named:
                rules = relevant(ruleset, hook, one, other)
                written = {(key[4], key[5]) for key in wanted.boxes if key[:3] == (hook, one, other)} - {("*", 0)}
                # A router forwards everything between its own interfaces: there nothing accepted is a finding too.
                forwards = router and hook == "forward" and not {MANAGEMENT, STRANGER} & {one, other}
                open_ = written or forwards or may_accept(ruleset, hook, rules)
                named[hook, one, other] = sorted({*written, *ports_named(rules), *UNNAMED, *_ALWAYS}) if open_ else []
            for proto, port in named[hook, one, other]:
                if (proto == "icmp") != (family == 4) and proto in ("icmp", "icmpv6"):
                    continue
                answer = ask(ruleset, hook, Question(family, one, other, proto, port), cells, planes)  # type: ignore[arg-type]
                asked += 1
                boxes = [
                    *wanted.boxes.get((hook, one, other, family, proto, port), ()),
                    *wanted.boxes.get((hook, one, other, family, "*", 0), ()),
                ]
                must = may = 0
                for box in boxes:
                    if not box.optional:
                        must |= product(box)
                    may |= product(box)
                if one == MANAGEMENT and hook == "input":
                    may, must = everything, everything if (proto, port) == ("tcp", 22) else 0
                elif hook == "input" and proto == "icmpv6" and 133 <= port <= 136 and one != STRANGER:
                    may, must = everything, everything if port in NEIGHBOUR_DISCOVERY else 0
                elif hook == "input" and proto == "icmpv6" and 133 <= port <= 136:
                    may = everything
                elif router and hook == "forward" and MANAGEMENT not in (one, other):
                    may, must = everything, inner if STRANGER not in (one, other) else 0
                elif one == other:
                    may = may | inner if one.startswith("z-") else may
                may |= idle[hook]
                must &= ~idle[hook]
                accepted[hook, one, other, family, proto, port] = answer.accepted
                excess, lack = answer.accepted & ~may, must & ~answer.accepted
                if excess:
                    findings += _excess(
                        world, device, ruleset, cells, answer, excess, family, (hook, one, other), (proto, port), seen
                    )
                if lack:
                    flows = [box for box in boxes if not box.optional and product(box) & lack]
                    findings += _lack(
                        world,
                        device,
                        ruleset,
                        cells,
                        answer,
                        lack,
                        family,
                        (hook, one, other),
                        (proto, port),
                        flows,
                        seen,
                    )
            for state, kind, passes in _STATES:
                if MANAGEMENT in (one, other) or STRANGER in (one, other):
                    continue
                proto, port = kind if kind != ("icmp", 3) or family == 4 else ("icmpv6", 1)
                if state == "invalid":
                    # Where some new connection is let in, an invalid packet might be too.
                    opened = [
                        k
                        for k in named[hook, one, other]
                        if accepted.get((hook, one, other, family, *k)) and k[0] in ("tcp", "udp")
                    ]
                    proto, port = opened[0] if opened else (proto, port)
                answer = ask(ruleset, hook, Question(family, one, other, proto, port, 40000, state), cells, planes)  # type: ignore[arg-type]
                asked += 1
                # The two ways of a connection may go over different routers: what one has not seen begin it still forwards.
                passes = passes or (router and hook == "forward")
                wrong = everything & ~answer.accepted if passes else answer.accepted
                if router and not passes and family in ruleset.untracked:
                    # Whose two ways may differ cannot track states: such a packet gets no more than a new one.
                    fresh = ask(ruleset, hook, Question(family, one, other, proto, port), cells, planes)  # type: ignore[arg-type]
                    wrong &= ~fresh.accepted
                if wrong:
                    findings += _state(device, ruleset, answer, wrong, (hook, one, other), state, passes, seen)
        answer = ask(ruleset, "input", Question(family, "lo", "", "tcp", 9), cells, planes)  # type: ignore[arg-type]
        if answer.accepted != everything:
            findings += _state(
                device, ruleset, answer, everything & ~answer.accepted, ("input", "lo", ""), "own", True, seen
            )
        if ruleset.base_chains("output"):
            for one in interfaces:
                answer = ask(ruleset, "output", Question(family, "", one, "tcp", 9), cells, planes)  # type: ignore[arg-type]
                if answer.accepted != everything:
                    findings += _state(
                        device, ruleset, answer, everything & ~answer.accepted, ("output", "", one), "own", True, seen
                    )
    return findings, Plane(all_cells, accepted, asked)


_STATES = (("established", ("tcp", 9), True), ("related", ("icmp", 3), True), ("invalid", ("tcp", 9), False))


def _representatives(ruleset: Ruleset, wanted: Expected) -> tuple[str, ...]:
    """Two interfaces of each class that neither the rule set nor the plan tells apart; the others would answer the same."""
    decided = alike(ruleset, [name for name, _ in wanted.interfaces])
    found: dict[tuple[str, tuple[bool, ...]], list[str]] = {}
    for name, kind in wanted.interfaces:
        found.setdefault((kind, decided[name]), []).append(name)
    return tuple(name for names in found.values() for name in names[:2])


def _pairs(interfaces: tuple[str, ...]) -> list[tuple[str, str, str]]:
    found = [("input", one, "") for one in interfaces]
    return found + [("forward", one, other) for one in interfaces for other in interfaces]


def _between(hook: tuple[str, str, str]) -> str:
    return f"{hook[1]} → {hook[2]}" if hook[2] else f"{hook[1]} → itself"


def _describe(world: World, family: int, cells: Cells, cell: int) -> tuple[Where | None, Where | None, str, str]:
    src, dst = cells.cell(cell)
    return world.owner(family, src), world.owner(family, dst), interval.text(src, family), interval.text(dst, family)


def _name(where: Where | None, address: str) -> str:
    return f"{where.site}:{where.zone} ({address})" if where else f"{address} (granted to nobody)"


def _excess(
    world: World, device: Device, ruleset: Ruleset, cells: Cells, answer: Answer, excess: int, family: int,
    hook: tuple[str, str, str], kind: tuple[str, int], seen: set[tuple[int, str, str]],
) -> list[Finding]:  # fmt: skip
    found = []
    for line, accepts, part in answer.decided:
        hit = excess & part
        if not accepts or not hit or (line, "excess", "") in seen:
            continue
        seen.add((line, "excess", ""))
        low = (hit & -hit).bit_length() - 1
        source, target, one, other = _describe(world, family, cells, low)
        row = world.row(source, target, kind, family)
        denies = row if row and row.verdict == "deny" else None
        what = f"lets {spell(kind)} pass from {_name(source, one)} to {_name(target, other)}, {_between(hook)}, which the plan denies"
        found.append(
            Finding(
                "JB2403", ruleset.file, line, device.name, what,
                "Delete the rule or narrow it to its row's zones; or write a row that allows the connection.",
                source=f"{source.site}:{source.zone}" if source else "", target=f"{target.site}:{target.zone}" if target else "",
                family=family, port=spell(kind), expected="deny", row=denies.id if denies else "",
                place=denies.place if denies else "", near=_sets(ruleset, line),
            )
        )  # fmt: skip
    return found


def _lack(
    world: World, device: Device, ruleset: Ruleset, cells: Cells, answer: Answer, lack: int, family: int,
    hook: tuple[str, str, str], kind: tuple[str, int], boxes: list[Box], seen: set[tuple[int, str, str]],
) -> list[Finding]:  # fmt: skip
    flow = next((box.flow for box in boxes if box.flow), None)
    low = (lack & -lack).bit_length() - 1
    line = answer.line_of(lack & -lack)[0]
    written = _written(ruleset, flow.id, hook) if flow else []
    # A rule of the row itself tells more than the line that dropped the packet.
    first = written[0] if written else line
    key = (first, f"lack {flow.id if flow else kind}", hook[0])
    if key in seen:
        return []
    seen.add(key)
    source, target, one, other = _describe(world, family, cells, low)
    what = f"stops {spell(kind)} from {_name(source, one)} to {_name(target, other)}, {_between(hook)}, which the plan allows"
    near = [(ruleset.file, line), *((ruleset.file, n) for n in written)]
    for n in [line, *written]:
        near += _sets(ruleset, n)
    return [
        Finding(
            "JB2404", ruleset.file, first, device.name, what,
            "Add or widen the rule of this row; or delete the row.",
            source=f"{source.site}:{source.zone}" if source else "", target=f"{target.site}:{target.zone}" if target else "",
            family=family, port=spell(kind), expected="allow", row=flow.id if flow else "", place=flow.place if flow else "",
            near=tuple(dict.fromkeys(near)),
        )
    ]  # fmt: skip


def _state(
    device: Device, ruleset: Ruleset, answer: Answer, wrong: int, hook: tuple[str, str, str], state: str, passes: bool,
    seen: set[tuple[int, str, str]],
) -> list[Finding]:  # fmt: skip
    line = answer.line_of(wrong & -wrong)[0]
    if (line, state, hook[0]) in seen:
        return []
    seen.add((line, state, hook[0]))
    packets = {"own": "packets of the device itself", "related": "ICMP errors about allowed connections"}.get(
        state, f"{state} packets"
    )
    what = f"{'stops' if passes else 'lets pass'} {packets} at {hook[0]}, {_between(hook)}"
    cure = "Let answers and the device's own packets pass before any rule, and drop what belongs to no connection."
    near = [(ruleset.file, rule.line) for _, chain in ruleset.base_chains(hook[0]) for rule in chain.rules
            if any(m.field == "state" for m in rule.matches) or rule.key == "state"]  # fmt: skip
    near += [(ruleset.file, rule.line) for _, chain in ruleset.base_chains(hook[0]) for rule in chain.rules
             if any("lo" in m.names for m in rule.matches)]  # fmt: skip
    return [
        Finding("JB2403" if not passes else "JB2404", ruleset.file, line, device.name, what, cure, near=tuple(near))
    ]


def _written(ruleset: Ruleset, row: str, hook: tuple[str, str, str]) -> list[int]:
    """Lines of the rules that say they come from a row, those for these interfaces first."""
    ranked = []
    for table in ruleset.tables:
        for chain in table.chains.values():
            for rule in chain.rules:
                if row in rule.comment.split():
                    fits = sum(
                        1
                        for match in rule.matches
                        if match.field in ("iif", "oif") and {hook[1], hook[2]} & set(match.names)
                    )
                    ranked.append((-fits, rule.line))
    return [line for _, line in sorted(ranked)]


def _sets(ruleset: Ruleset, line: int) -> tuple[Place, ...]:
    """Every line of the sets that the rule in `line` names."""
    found: list[Place] = []
    for table in ruleset.tables:
        for chain in table.chains.values():
            for rule in chain.rules:
                if rule.line == line:
                    for match in rule.matches:
                        if match.set:
                            named = table.sets[match.set]
                            found += [(ruleset.file, n) for n in range(named.line, named.end + 1)]
    return tuple(found)
