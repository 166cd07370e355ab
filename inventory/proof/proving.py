"""The proof of a rendered tree: everything read, decided and compared with the Network."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import msgspec

from ground import clock
from ground.mistake import Mistake
from ground.record import Record, Result, Subject
from inventory.proof import decide, folding, forms, interval, lines, names, paths, routes, texts
from inventory.proof.decide import Expected, World
from inventory.proof.finding import Against, Finding, Place
from inventory.proof.forms import Store
from inventory.proof.names import Held
from inventory.proof.nftables import Packet, verdict
from inventory.proof.paths import Need, Routed
from inventory.proof.routes import Way
from inventory.proof.texts import Reading, Text
from ip_plan.network import TRANSIT, Flow, Network, Site

CHECKS = ("proof.filter", "proof.route", "proof.names")
METHOD = "rendered text"


class Verdict(msgspec.Struct, frozen=True):
    """What the rendered text does, held against the plan."""

    findings: tuple[Finding, ...]
    mistakes: tuple[Mistake, ...]
    """Text that could not be read: what it does is not known, so nothing is proved about it."""
    against: tuple[Against, ...]
    devices: int
    questions: int
    """Kinds of packets asked of filters: (device, hook, interfaces, family, protocol, port, state)."""
    destinations: int
    """(device, destination) that rows need, each followed hop by hop."""
    alike: dict[str, tuple[str, ...]]
    """Site that was proved → the sites that are like it up to their own names and addresses, in every text."""

    @property
    def good(self) -> bool:
        """Whether text and plan agree in everything."""
        return not self.findings and not self.mistakes


class Proof(Verdict, frozen=True):
    """A verdict, with what was read and computed on the way to it."""

    readings: dict[str, Reading]
    routed: Routed
    ways: dict[Need, Way]


class Known(msgspec.Struct):
    """What an earlier proof of the same Network found out; only what changed since is decided again."""

    world: World
    readings: dict[str, Reading] = {}
    expected: dict[str, Expected] = {}
    filters: dict[str, tuple[Reading, list[Finding], int]] = {}
    own: dict[str, tuple[tuple[Reading, ...], list[Finding]]] = {}
    names: tuple[tuple[object, ...], list[Finding]] | None = None
    routed: tuple[tuple[object, ...], Routed, list[Finding], dict[Need, Way]] | None = None
    forms: Store = msgspec.field(default_factory=Store)


def load(network: Network, build: Path, devices: Collection[str] | None = None) -> dict[str, dict[str, Text]]:
    """The texts of the devices of `network` that have a folder in `build`."""
    wanted = network.devices if devices is None else devices
    return {name: texts.load(build / name) for name in wanted if (build / name / "tree.json").exists()}


def prove(network: Network, build: Path, devices: Collection[str] | None = None) -> Proof:
    """Read the tree below `build` and prove it; `devices`: only these (and what they do together)."""
    return of(load(network, build, devices), Known(World(network)))


def of(loaded: dict[str, dict[str, Text]], known: Known) -> Proof:
    """The proof of texts (device → path on the device → text). `known` is brought up to date."""
    for name, given in loaded.items():
        before = known.readings.get(name)
        if before is None or before.texts != given:
            known.readings[name] = texts.read(name, given, before)
    for gone in known.readings.keys() - loaded.keys():
        del known.readings[gone]
    return judged(known, known.world.network, len(loaded))


def folded(network: Network, loaded: dict[str, dict[str, Text]]) -> Proof:
    """The same proof of the same texts by a few offices of each kind: see `folding`. Its cost follows the kinds."""
    few = folding.fold(network, loaded, texts.read)
    return judged(Known(World(few.network), few.readings), network, len(loaded), few.alike)


def judged(
    known: Known, whole: Network, devices: int, alike: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
    mine: Collection[str] | None = None, foreign: Sequence[Held] = (), faces: Mapping[str, Reading] = MappingProxyType({}),
) -> Proof:  # fmt: skip
    """The proof of what was read; names are held against the `whole` Network.

    `mine`: only these devices are judged; what is read of the others tells where routes lead beyond them. `foreign`: zones that
    are served beyond what was read. `faces`: what the other ends of lines say that lead beyond it.
    """
    world = known.world
    network = world.network
    findings: list[Finding] = []
    everything = {device: known.readings[device] for device in sorted(known.readings)}
    readings = {name: reading for name, reading in everything.items() if mine is None or name in mine}
    mistakes = [mistake for reading in readings.values() for mistake in reading.mistakes]
    questions = 0
    for name, reading in readings.items():
        if network.devices[name].role != "host":
            found, asked = _filtered(known, name, reading)
            findings += found
            questions += asked
    for name, reading in readings.items():
        device = network.devices[name]
        peers = sorted({item.peer for item in device.interfaces if item.peer} | set(network.sites[device.site].devices))
        key = (reading, *(everything[peer] for peer in peers if peer in everything and device.role != "host"))
        have = known.own.get(name)
        if have is None or len(have[0]) != len(key) or any(a is not b for a, b in zip(have[0], key, strict=True)):
            have = known.own[name] = (key, lines.own(world, device, reading, {**faces, **everything}))
        findings += have[1]
    served = tuple((n, r.zones, r.named) for n, r in readings.items() if r.zones or r.named)
    if known.names is None or known.names[0] != served:
        known.names = (served, names.prove(whole, readings, foreign))
    findings += known.names[1]
    said = tuple((n, r.frr, r.units) for n, r in everything.items() if world.devices[n].role != "host")
    if known.routed is None or not _same(known.routed[0], said):
        routed, faults = paths.compute(world, everything)
        lost, ways = paths.judge(world, routed)
        # Of a line that leads to nothing that was read, its own end tells nothing wrong.
        known.routed = (said, routed, [f for f in faults if mine is None or f.subject in mine] + lost, ways)
    findings += known.routed[2]
    unique = sorted(set(findings), key=lambda f: (f.file, f.line, f.code, f.found))
    ways = known.routed[3]
    return Proof(
        tuple(unique), tuple(mistakes), tuple(_against(network, readings, unique)), devices, questions,
        len(ways) * (1 + len(known.routed[1].cuts)), dict(alike), everything, known.routed[1], ways,
    )  # fmt: skip


def _filtered(known: Known, name: str, reading: Reading) -> tuple[list[Finding], int]:
    """What the filter of one device does wrong, and how many kinds of packets were asked of it."""
    if reading.nftables is None:
        if any(
            m.file in (reading.here("/etc/nftables.conf"), *map(reading.here, texts.WHOLE)) for m in reading.mistakes
        ):
            return [], 0
        where = reading.texts["/etc/frr/frr.conf"].path if "/etc/frr/frr.conf" in reading.texts else name
        return [Finding("JB2403", where, 1, name, "no packet filter at all", "Render /etc/nftables.conf.")], 0
    done = known.filters.get(name)
    if done is None or done[0].nftables is not reading.nftables:
        device = known.world.network.devices[name]
        if name not in known.expected:
            known.expected[name] = decide.expected(known.world, device)
        form = forms.of(device, known.expected[name], reading.nftables, known.world.whole)
        found, asked = [], known.forms.get(form)
        if asked is None:
            found, plane = decide.compare(known.world, device, known.expected[name], reading.nftables)
            asked = plane.asked
            if not found:
                known.forms.put(form, asked)
        done = known.filters[name] = (reading, found, asked)
    return done[1], done[2]


def _same(one: tuple[object, ...], other: tuple[object, ...]) -> bool:
    return len(one) == len(other) and all(
        a[0] == b[0] and a[1] is b[1] and a[2] == b[2]  # type: ignore[index]
        for a, b in zip(one, other, strict=True)
    )


def _against(network: Network, readings: dict[str, Reading], findings: list[Finding]) -> Iterator[Against]:
    """Each connection opened against its data, by name: one for each pair of services."""
    for flow in network.flows:
        if flow.verdict != "allow" or flow.data != "against":
            continue
        for site in network.sites.values():
            for other in network.related(site, flow.relation):
                if not flow.between(site, other):
                    continue
                for one in _services(network, site, flow.from_zone, flow.from_service):
                    for two in _services(network, other, flow.to_zone, flow.to_service):
                        places = _places(network, readings, flow, (site, other))
                        lacking = any(
                            f.row == flow.id
                            and f.code == "JB2404"
                            and network.devices[f.subject].site in (site.key, other.key)
                            for f in findings
                        )
                        yield Against(
                            flow.id, one[0], two[0], one[1], two[1], flow.ports, flow.identity, flow.clause,
                            bool(places) and not lacking, places,
                        )  # fmt: skip


def _services(network: Network, site: Site, zone: str, name: str) -> list[tuple[str, tuple[str, ...]]]:
    return [(s.fqdn, (s.v4, s.v6)) for s in network.services_at.get((site.key, zone), ()) if not name or s.name == name]


def _places(network: Network, readings: dict[str, Reading], flow: Flow, sites: tuple[Site, ...]) -> tuple[Place, ...]:
    found: list[Place] = []
    for name in dict.fromkeys(name for site in sites for name in site.devices):
        reading = readings.get(name)
        for table in reading.nftables.tables if reading and reading.nftables else ():
            for chain in table.chains.values():
                found += [(reading.nftables.file, r.line) for r in chain.rules if flow.id in r.comment.split()]  # type: ignore[union-attr]
    return tuple(found)


# One connection -------------------------------------------------------------------------------------------------------


class Step(msgspec.Struct, frozen=True):
    """What one device does with a connection."""

    device: str
    entry: str
    exit: str
    passes: bool
    file: str
    line: int


class Decision(msgspec.Struct, frozen=True):
    """One connection followed through the rendered text."""

    family: int
    source: str
    target: str
    port: str
    allowed: bool
    reason: str
    steps: tuple[Step, ...]
    row: str
    place: str


def connection(
    proof: Proof, world: World, opener: tuple[str, str], target: tuple[str, str], port: str
) -> list[Decision]:
    """What the text does with `port` from one (site, zone) to another, for each family: the addresses that get furthest.

    Tried from every host and service address of the one zone to every one of the other, and an address nobody uses.
    """
    network = world.network
    one, other = network.sites[opener[0]], network.sites[target[0]]
    found = []
    for family in (4, 6):
        kind = decide.protocol(port, family)[0]
        best: Decision | None = None
        for src in _candidates(world, one, opener[1], family):
            for dst in _candidates(world, other, target[1], family):
                made = _follow(proof, world, one, opener[1], other, target[1], family, src, dst, kind)
                if (
                    best is None
                    or made.allowed > best.allowed
                    or (made.allowed == best.allowed and len(made.steps) > len(best.steps))
                ):
                    best = made
        if best:
            found.append(best)
    return found


def _candidates(world: World, site: Site, zone: str, family: int) -> list[int]:
    if zone == TRANSIT:
        return [span[0] for span in world.transit(site, family)]
    known = site.zone(zone)
    if known is None:
        return []
    found = []
    for service in world.network.services_at.get((site.key, zone), ()):
        found.append(interval.number(service.v4 if family == 4 else service.v6))
    for name in site.devices:
        device = world.devices.get(name)
        if device and device.zone == zone:
            for item in device.interfaces:
                found.append(interval.number((item.v4 if family == 4 else item.v6).partition("/")[0]))
    first, last = interval.interval(known.v4 if family == 4 else known.v6)
    unused = next((a for a in range(last - 1, first, -1) if a not in found), None)
    return found + ([unused] if unused else [])


def _follow(
    proof: Proof, world: World, one: Site, from_zone: str, other: Site, to_zone: str, family: int, src: int, dst: int,
    kind: tuple[str, int],
) -> Decision:  # fmt: skip
    network, ground = world.network, proof.routed.ground
    gate = {
        site.key: next(
            (n for n in site.devices if network.devices[n].role in ("firewall", "access") and n in ground.nodes), ""
        )
        for site in (one, other)
    }
    row = world.row(decide.Where(one.key, from_zone), decide.Where(other.key, to_zone), kind, family)
    steps: list[Step] = []

    def answer(allowed: bool, reason: str) -> Decision:
        return Decision(
            family, interval.text(src, family), interval.text(dst, family), decide.spell(kind), allowed, reason, tuple(steps),
            row.id if row else "", row.place if row else "",
        )  # fmt: skip

    if one.key == other.key and from_zone == to_zone != TRANSIT:
        return answer(True, "stays inside one segment")
    start = gate[one.key] if from_zone != TRANSIT else (ground.owner.get((family, src)) or ("",))[0]
    if not start:
        return answer(False, "the tree has no device there")
    device, entry = start, f"z-{from_zone}" if from_zone != TRANSIT else ""
    seen = [device]
    while True:
        table = proof.routed.tables.fib[device, family]
        local = ground.owner.get((family, dst), ("",))[0] == device
        hit = routes.lookup(table, family, dst, routes.lengths(table))
        hop = hit[1] if hit else None
        leaves = ""
        if not local:
            if hop is None:
                return answer(False, f"{device} has no route")
            if hop.protocol == "connected":
                leaves = next(
                    (
                        n
                        for n, listed in ground.nodes[device].addresses.items()
                        for a in listed
                        if hit and a.family == family and a.key == hit[0]
                    ),
                    "",
                )
            elif not hop.device:
                return answer(False, f"{device} sends it into a black hole")
            else:
                wire = next(w for w in ground.wires if w.id == hop.wire)
                leaves = (wire.a if wire.a[0] == device else wire.b)[1]
        ruleset = proof.readings[device].nftables
        if entry and ruleset is not None:
            hook = "input" if local else "forward"
            passes, line = verdict(
                ruleset, hook, Packet(family, entry, "" if local else leaves, src, dst, kind[0], kind[1])
            )
            steps.append(Step(device, entry, leaves, passes, ruleset.file, line))
            if not passes:
                return answer(False, f"{device} drops it")
        else:
            steps.append(Step(device, entry, leaves, True, "", 0))
        if local or hop is None or (hop.protocol == "connected" and not (hop.wire and ground.owner.get((family, dst)))):
            return answer(True, "reaches its destination")
        following = hop.device
        if hop.protocol == "connected":
            end = ground.ends[device, leaves]
            following, entry = end[1]
        else:
            wire = next(w for w in ground.wires if w.id == hop.wire)
            entry = (wire.b if wire.a[0] == device else wire.a)[1]
        if following in seen:
            return answer(False, f"loops at {following}")
        seen.append(following)
        device = following


# Records --------------------------------------------------------------------------------------------------------------


def records(network: Network, proof: Proof, target: str, *, tool: str, time: str | None = None) -> list[Record]:
    """One record for each pair of related sites and each site against all others (filters), each pair (routes), each zone (names)."""
    now = time or clock.now()
    found: list[Record] = []
    ports = len({port for flow in network.flows for port in flow.ports}) + 1
    bad = {mistake.file for mistake in proof.mistakes}

    def state(sites: tuple[str, ...], failing: list[Finding]) -> tuple[Result, str]:
        devices = [d for d in network.devices.values() if d.site in sites and d.role != "host"]
        missing = [d.name for d in devices if d.name not in proof.readings]
        if failing:
            return "fail", "; ".join(f"{f.file}:{f.line} {f.found}" for f in failing[:3])
        if missing:
            return "not-observed", f"not in the tree: {', '.join(missing[:5])}"
        unread = [d.name for d in devices if any(t.path in bad for t in proof.readings[d.name].texts.values())]
        if unread:
            return "error", f"text that cannot be read: {', '.join(unread[:5])}"
        return "pass", ""

    def add(check: str, one: Site, peer: str, sites: tuple[str, ...], failing: list[Finding], count: int) -> None:
        result, reason = state(sites, failing)
        key = network.key_of(check, network.flows, [network.known_sites[key] for key in sites])
        seen = count if result in ("pass", "fail") else 0
        found.append(
            Record(
                check, Subject(one.region, one.key, peer=peer), target, "controller", METHOD, now, tool, key, result, reason,
                seen, count,
            )
        )  # fmt: skip

    filters = [f for f in proof.findings if f.code in ("JB2403", "JB2404")]
    routed = [f for f in proof.findings if "JB2410" <= f.code <= "JB2419"]
    named = [f for f in proof.findings if "JB2420" <= f.code <= "JB2425"]

    def site_of(finding: Finding) -> str:
        return network.devices[finding.subject].site if finding.subject in network.devices else ""

    for site in network.sites.values():
        if not any(name in proof.readings for name in site.devices):
            continue
        for other in (site, *network.related(site, "serving-parent"), *network.related(site, "served-child")):
            if other.key not in network.sites:
                continue
            pair = {site.key, other.key}
            mine = [
                f
                for f in filters
                if site_of(f) in pair and (not f.source or not f.target or {_site(f.source), _site(f.target)} == pair)
            ]
            add(
                "proof.filter",
                site,
                other.key,
                tuple(sorted(pair)),
                mine,
                len(site.zones) * len(other.zones) * 2 * ports,
            )
            wanted = [need for need in proof.ways if need.site == site.key and _site(need.target) == other.key]
            if wanted:
                lost = [
                    f for f in routed if site_of(f) in pair or (f.source == site.key and _site(f.target) == other.key)
                ]
                add("proof.route", site, other.key, tuple(sorted(pair)), lost, len(wanted))
        related = {site.key, *(o.key for r in ("serving-parent", "served-child") for o in network.related(site, r))}
        strangers = [
            f
            for f in filters
            if site_of(f) == site.key and f.source and f.target and not {_site(f.source), _site(f.target)} <= related
        ]
        others = sum(len(o.zones) for o in network.known_sites.values() if o.key not in related)
        add("proof.filter", site, "elsewhere", (site.key,), strangers, len(site.zones) * others * 2 * ports)
        if names.servers(network, site):
            zones = [z for name in site.devices if name in proof.readings for z in proof.readings[name].zones]
            count = sum(len(file.entries) for _, file in zones)
            add("proof.names", site, "", (site.key,), [f for f in named if site_of(f) == site.key], count)
    return found


def _site(end: str) -> str:
    return end.rpartition(":")[0]
