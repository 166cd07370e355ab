"""The proof of a rendered tree: everything read, decided and compared with the Network."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import msgspec

from ground.mistake import Mistake
from inventory.proof import decide, folding, lines, names, paths, texts, transfers
from inventory.proof import forms as forms_
from inventory.proof.decide import Expected, World
from inventory.proof.finding import Against, Finding, Place
from inventory.proof.forms import Store
from inventory.proof.names import Held
from inventory.proof.paths import Need, Routed
from inventory.proof.routes import Way
from inventory.proof.texts import Reading, Text
from ip_plan.network import Flow, Network, Site


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
        if network.devices[name].routes:
            found, asked = _filtered(known, name, reading)
            findings += found
            questions += asked
    for name, reading in readings.items():
        device = network.devices[name]
        peers = sorted({item.peer for item in device.interfaces if item.peer} | set(network.sites[device.site].devices))
        key = (reading, *(everything[peer] for peer in peers if peer in everything and device.routes))
        have = known.own.get(name)
        if have is None or len(have[0]) != len(key) or any(a is not b for a, b in zip(have[0], key, strict=True)):
            have = known.own[name] = (key, lines.own(world, device, reading, {**faces, **everything}))
        findings += have[1]
    served = tuple((n, r.zones, r.named) for n, r in readings.items() if r.zones or r.named)
    if known.names is None or known.names[0] != served:
        outer = {name: reading for name, reading in everything.items() if name not in readings and reading.named}
        said_of = [*names.prove(whole, readings, foreign), *transfers.prove(whole, readings, foreign, outer)]
        known.names = (served, said_of)
    findings += known.names[1]
    said = tuple((n, r.frr, (r.units, r.pair)) for n, r in everything.items() if world.devices[n].routes)
    if known.routed is None or not _same(known.routed[0], said):
        routed, faults = paths.compute(world, everything, mine=mine)
        lost, ways = paths.judge(world, routed, mine)
        lost += _standing_by(world, everything, mine)
        known.routed = (said, routed, faults + lost, ways)
    findings += known.routed[2]
    unique = sorted(set(findings), key=lambda f: (f.file, f.line, f.code, f.found))
    ways = known.routed[3]
    return Proof(
        tuple(unique), tuple(mistakes), tuple(_against(network, readings, unique, mine)), devices, questions,
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
        form = forms_.of(device, known.expected[name], reading.nftables, known.world.whole)
        found: list[Finding] = []
        asked = known.forms.get(form)
        if asked is None:
            found, plane = decide.compare(known.world, device, known.expected[name], reading.nftables)
            asked = plane.asked
            if not found:
                known.forms.put(form, asked)
        done = known.filters[name] = (reading, found, asked)
    return done[1], done[2]


def _standing_by(world: World, readings: Mapping[str, Reading], mine: Collection[str] | None) -> list[Finding]:
    """What is out of reach while the other firewall of each pair is the active one."""
    if not any(reading.pair for reading in readings.values()):
        return []
    routed, _ = paths.compute(world, readings, cut=False, mine=mine, first=False)
    lost, _ = paths.judge(world, routed, mine)
    told = "while the firewall that stands by is active: "
    return [msgspec.structs.replace(each, found=f"{told}{each.found}") for each in lost]


def _same(one: tuple[object, ...], other: tuple[object, ...]) -> bool:
    return len(one) == len(other) and all(
        a[0] == b[0] and a[1] is b[1] and a[2] == b[2]  # type: ignore[index]
        for a, b in zip(one, other, strict=True)
    )


def _against(
    network: Network, readings: dict[str, Reading], findings: list[Finding], mine: Collection[str] | None
) -> Iterator[Against]:  # fmt: skip
    """Each connection opened against its data, by name: one for each pair of services."""
    for flow in network.flows:
        if flow.verdict != "allow" or flow.data != "against":
            continue
        for site in network.sites.values():
            for other in network.related(site, flow.relation):
                if not flow.between(site, other):
                    continue
                if mine is not None and not any(name in mine for each in (site, other) for name in each.devices):
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
