"""One connection followed through the rendered text, filter by filter and hop by hop."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import msgspec

from ground.mistake import Mistakes
from inventory.proof import decide, folding, interval, paths, proving, routes, texts
from inventory.proof.decide import World
from inventory.proof.filters import Packet
from inventory.proof.passing import verdict
from inventory.proof.paths import Routed
from inventory.proof.proving import Proof
from inventory.proof.texts import Reading
from ip_plan.network import TRANSIT, Network, Site


class Step(msgspec.Struct, frozen=True):
    """What one device does with a connection."""

    device: str
    entry: str
    exit: str
    passes: bool
    file: str
    line: int
    rule: str = ""
    """The words of that line."""


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


class End(msgspec.Struct, frozen=True):
    """One end of a connection: a zone of a site, and addresses of it (family, address); none: any that it has."""

    site: str
    zone: str
    addresses: tuple[tuple[int, int], ...] = ()


class Traced(msgspec.Struct, frozen=True):
    """What connections are followed through: a `Proof` has it too."""

    readings: dict[str, Reading]
    routed: Routed


def traced(network: Network, build: Path, ends: Collection[str]) -> tuple[Traced, World]:
    """What is needed to follow connections between the sites `ends`, and the Network as far as it matters to them."""
    loaded = proving.load(network, build)
    few = folding.fold(network, loaded, texts.read, keep=ends)
    world = World(few.network)
    mistakes = [mistake for reading in few.readings.values() for mistake in reading.mistakes]
    if mistakes:
        raise Mistakes(mistakes, "no connection can be followed")
    return Traced(few.readings, paths.compute(world, few.readings, cut=False)[0]), world


def connection(seen: Traced | Proof, world: World, opener: End, target: End, port: str) -> list[Decision]:
    """What the text does with `port` from one end to another, for each family: the addresses that get furthest.

    Where an end says none, tried from every host and service address of its zone, and an address nobody uses.
    """
    network = world.network
    one, other = network.sites[opener.site], network.sites[target.site]
    found = []
    for family in (4, 6):
        kind = decide.protocol(port, family)[0]
        best: Decision | None = None
        for src in _candidates(world, one, opener, family):
            for dst in _candidates(world, other, target, family):
                made = _follow(seen, world, one, opener.zone, other, target.zone, family, src, dst, kind)
                if (
                    best is None
                    or made.allowed > best.allowed
                    or (made.allowed == best.allowed and len(made.steps) > len(best.steps))
                ):
                    best = made
        if best:
            found.append(best)
    return found


def _said(reading: Reading, file: str, line: int) -> str:
    text = next((text.content for text in reading.texts.values() if text.path == file), "")
    lines = text.splitlines()
    return lines[line - 1].strip() if 0 < line <= len(lines) else ""


def _candidates(world: World, site: Site, end: End, family: int) -> list[int]:
    zone = end.zone
    if end.addresses:
        return [address for of, address in end.addresses if of == family]
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
    proof: Traced | Proof, world: World, one: Site, from_zone: str, other: Site, to_zone: str, family: int, src: int, dst: int,
    kind: tuple[str, int],
) -> Decision:  # fmt: skip
    network, ground = world.network, proof.routed.ground
    gate = paths.gates(network, ground)
    row = world.row(decide.Where(one.key, from_zone), decide.Where(other.key, to_zone), kind, family)
    steps: list[Step] = []

    def answer(allowed: bool, reason: str) -> Decision:
        return Decision(
            family, interval.text(src, family), interval.text(dst, family), decide.spell(kind), allowed, reason, tuple(steps),
            row.id if row else "", row.place if row else "",
        )  # fmt: skip

    if one.key == other.key and from_zone == to_zone != TRANSIT:
        return answer(True, "stays inside one segment")
    start = gate.get(one.key, "") if from_zone != TRANSIT else (ground.owner.get((family, src)) or ("",))[0]
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
            steps.append(
                Step(
                    device, entry, leaves, passes, ruleset.file, line, _said(proof.readings[device], ruleset.file, line)
                )
            )
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
