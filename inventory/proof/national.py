"""The proof of a whole plan, province by province in processes, joined where they meet: at the ministry.

No row connects two provinces, and no province hears of another but by the supernet: what each tells the ministry, and what the
ministry tells and takes on each line, is held against the ledger prefix by prefix. So a province is proved together with the
ministry's devices, whose view of it is part of the text; and the ministry together with the centres of all provinces and the
heads of their zones. Memory follows the largest province.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from pathlib import Path

import msgspec

from ground import work
from ground.mistake import Mistake
from inventory.proof import folding, interval, names, proving, texts
from inventory.proof.decide import World
from inventory.proof.finding import Against, Finding
from inventory.proof.names import Held
from inventory.proof.proving import Known, Verdict
from inventory.proof.texts import Reading
from ip_plan.network import Index, load

NATION = "00"
"""The ministry's shard."""


class Context(msgspec.Struct, frozen=True):
    """What the provinces share."""

    network: Path
    build: Path


class Part(msgspec.Struct, frozen=True):
    """What was found about one province, or about the ministry."""

    unit: tuple[str, ...]
    """Its shards."""
    verdict: Verdict
    heads: tuple[Held, ...] = ()
    """Its zones, as the ministry delegates them."""
    faces: tuple[Reading, ...] = ()
    """What the routers say that lines of the ministry lead to."""


def prove(
    network: Path, build: Path, *, each: Callable[[Part], None] = lambda part: None, executor: Executor | None = None
) -> Verdict:
    """The verdict on everything rendered below `build` of the Network stored in the folder `network`; `each` hears of each part."""
    context = Context(network, build)
    units = together(network)
    largest = sorted(units, key=lambda unit: -sum((network / f"{shard}.json").stat().st_size for shard in unit))
    parts = work.spread(province, context, largest, executor, each)
    if (network / f"{NATION}.json").exists():
        parts.append(ministry(context, parts))
        each(parts[-1])
    return joined(part.verdict for part in parts)


def together(network: Path) -> list[tuple[str, ...]]:
    """The provinces, each a unit of its own unless addresses of one are served in another: a region that moved between them."""
    index = msgspec.json.decode((network / "index.json").read_bytes(), type=Index)
    shards = [shard for shard in index.shards if shard != NATION]
    sites = msgspec.json.Decoder(_Sites)
    home: dict[str, str] = {}
    holders: dict[str, set[str]] = {}
    for shard in shards:
        data = (network / f"{shard}.json").read_bytes()
        if data.count(b'"holder":"') > data.count(b'"holder":""'):
            for site in sites.decode(data).sites:
                if site.holder:
                    holders.setdefault(shard, set()).add(site.holder)
    for shard in shards if holders else ():
        home.update((site.key, shard) for site in sites.decode((network / f"{shard}.json").read_bytes()).sites)
    unit = {shard: {shard} for shard in shards}
    for shard, keys in holders.items():
        for other in {home[key] for key in keys if key in home}:
            if unit[other] is not unit[shard]:
                unit[shard] |= unit[other]
                for each in unit[shard]:
                    unit[each] = unit[shard]
    return sorted({tuple(sorted(shards)) for shards in unit.values()})


class _Site(msgspec.Struct):
    key: str
    holder: str = ""


class _Sites(msgspec.Struct):
    sites: list[_Site]


def province(context: Context, unit: tuple[str, ...]) -> Part:
    """One unit, in whatever process."""
    gc.disable()
    try:
        network = load(context.network, [NATION, *unit])
        mine = {device.name for shard in network.shards if shard.province != NATION for device in shard.devices}
        above = [d.name for shard in network.shards if shard.province == NATION for d in shard.devices if d.role != "host"]
        loaded = proving.load(network, context.build, [*mine, *above])
        few = folding.fold(network, loaded, texts.read)
        proof = proving.judged(Known(World(few.network), few.readings), network, len(mine & loaded.keys()), few.alike, mine)
        ends = {link.b for link in few.network.links.values() if link.a in above}
        return Part(
            unit,
            _plain(proof),
            names.heads(network, {name: reading for name, reading in few.readings.items() if name in mine}),
            tuple(Reading(name, {}, frr=few.readings[name].frr) for name in sorted(ends & few.readings.keys() & mine)),
        )
    finally:
        gc.enable()
        for cache in (interval.number, interval.interval, interval.prefix):
            cache.cache_clear()


def ministry(context: Context, parts: Sequence[Part]) -> Part:
    """The ministry, with what `parts` show of the provinces."""
    network = load(context.network, [NATION])
    loaded = proving.load(network, context.build)
    readings = {name: texts.read(name, given) for name, given in loaded.items()}
    heads = [held for part in parts for held in part.heads]
    faces = {reading.device: reading for part in parts for reading in part.faces}
    known = Known(World(network), readings)
    proof = proving.judged(known, network, len(loaded), mine=network.devices.keys(), foreign=heads, faces=faces)
    return Part((NATION,), _plain(proof))


def _plain(proof: proving.Proof) -> Verdict:
    return Verdict(
        proof.findings, proof.mistakes, proof.against, proof.devices, proof.questions, proof.destinations, proof.alike
    )


def joined(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdicts on the parts as one. A finding about a line between two of them is said once."""
    listed = list(verdicts)
    findings: set[Finding] = {finding for verdict in listed for finding in verdict.findings}
    mistakes: dict[Mistake, None] = {mistake: None for verdict in listed for mistake in verdict.mistakes}
    against: dict[tuple[str, str, str], Against] = {}
    for verdict in listed:
        for each in verdict.against:
            key = (each.row, each.source, each.target)
            if key not in against or each.rendered:
                against[key] = each
    return Verdict(
        tuple(sorted(findings, key=lambda f: (f.file, f.line, f.code, f.found))),
        tuple(mistakes),
        tuple(against[key] for key in sorted(against)),
        sum(verdict.devices for verdict in listed),
        sum(verdict.questions for verdict in listed),
        sum(verdict.destinations for verdict in listed),
        {site: sites for verdict in listed for site, sites in verdict.alike.items()},
    )
