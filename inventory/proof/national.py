"""The proof of a whole plan, province by province in processes, joined where they meet: at the ministry.

No row connects two provinces, and no province hears of another but by the supernet: what each tells the ministry, and what the
ministry tells and takes on each line, is held against the ledger prefix by prefix. So a province is proved together with the
ministry's devices, whose view of it is part of the text; and the ministry together with the centres of all provinces and the
heads of their zones. Memory follows the largest province.
"""

from __future__ import annotations

import gc
import hashlib
import os
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from pathlib import Path

import msgspec

from ground import files, work
from ground.mistake import Mistake
from inventory.proof import folding, forms, interval, names, proving, texts
from inventory.proof.decide import World
from inventory.proof.finding import Against, Finding
from inventory.proof.forms import Store
from inventory.proof.names import Held
from inventory.proof.proving import Known, Verdict
from inventory.proof.texts import Text
from ip_plan.network import Index, Network, load

NATION = "00"
"""The ministry's shard."""
STEP = 100_000_000
"""Nanoseconds in which two changes of a file may get the same time: a file system's clock goes in steps of a few ms."""


_FACE = ("/etc/frr/frr.conf", *texts.WHOLE)


class Context(msgspec.Struct, frozen=True):
    """What the provinces share."""

    network: Path
    build: Path
    kept: Path | None = None
    """Folder of verdicts and forms that were kept, of this program only."""
    said: str = ""
    """Key of what the plan says to all provinces."""

    def key(self, unit: Sequence[str]) -> str:
        """Key of what a unit is proved of, its texts apart."""
        shards = [files.sha256((self.network / f"{shard}.json").read_bytes()) for shard in (NATION, *unit)]
        return files.sha256(" ".join([self.said, *shards]).encode())


class Part(msgspec.Struct, frozen=True):
    """What was found about one province, or about the ministry."""

    unit: tuple[str, ...]
    """Its shards."""
    verdict: Verdict
    heads: tuple[Held, ...] = ()
    """Its zones, as the ministry delegates them."""
    faces: dict[str, dict[str, Text]] = {}
    """Routing of the devices that lines of the ministry lead to, as text."""
    anew: bool = True
    """Whether anything was proved; False: nothing that it rests on has changed since it was."""


class Kept(msgspec.Struct, frozen=True):
    """A verdict with what it rests on."""

    key: str
    files: tuple[str, ...]
    """Every file that was read, and every tree that was looked for."""
    seal: str
    """What the files were: see `seal`."""
    part: Part


def prove(
    network: Path, build: Path, *, kept: Path | None = None, each: Callable[[Part], None] = lambda part: None,
    executor: Executor | None = None,
) -> Verdict:  # fmt: skip
    """The verdict on everything rendered below `build` of the Network stored in the folder `network`; `each` hears of each part.

    `kept`: where verdicts are kept; what nothing has changed under is not proved again.
    """
    index = msgspec.json.decode((network / "index.json").read_bytes(), type=Index)
    said = files.sha256(msgspec.json.encode([index.meta, index.flows], order="deterministic"))
    context = Context(network, build, kept / forms.program()[:16] if kept else None, said)
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
    return _kept(context, unit, (), lambda seen: _province(context, unit, seen))


def ministry(context: Context, parts: Sequence[Part]) -> Part:
    """The ministry, with what `parts` show of the provinces."""
    shown = files.sha256(msgspec.msgpack.encode([[part.heads, part.faces] for part in parts]))
    return _kept(context, (NATION,), (shown,), lambda seen: _ministry(context, parts, seen))


def _kept(context: Context, unit: tuple[str, ...], words: tuple[str, ...], make: Callable[[list[str]], Part]) -> Part:
    """The part that was kept while all it rests on is as it was; else a new one. `make` notes the files that it reads."""
    if context.kept is None:
        return make([])
    place = context.kept / f"{'+'.join(unit)}.verdict"
    key = files.sha256(" ".join([context.key(unit), str(context.build), *words]).encode())
    try:
        kept = msgspec.msgpack.decode(place.read_bytes(), type=Kept)
    except (OSError, msgspec.MsgspecError):
        kept = None
    if kept is not None and kept.key == key and seal(kept.files)[0] == kept.seal:
        return kept.part
    begun = time.time_ns()
    seen: list[str] = []
    part = make(seen)
    sealed, newest = seal(seen)
    # What changed just before it was read could change again within the clock's step, and look the same.
    if newest < begun - STEP:
        kept = Kept(key, tuple(seen), sealed, msgspec.structs.replace(part, anew=False))
        files.write(place, msgspec.msgpack.encode(kept), durable=False)
    return part


def seal(paths: Iterable[str]) -> tuple[str, int]:
    """(what the files are, as a hash; the time of their newest change, ns).

    Of each its number, size, times of change: whoever writes a file cannot set the time of its last change (`st_ctime`), so what
    reads otherwise than it was read looks otherwise.
    """
    found = hashlib.sha256()
    newest = 0
    for path in paths:
        try:
            s = os.stat(path)
        except OSError:
            found.update(b"-")
            continue
        newest = max(newest, s.st_ctime_ns)
        found.update(b"%d %d %d %d %d;" % (s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns))
    return found.hexdigest(), newest


def _load(context: Context, network: Network, seen: list[str]) -> dict[str, dict[str, Text]]:
    seen += [f"{context.build}/{name}/tree.json" for name in network.devices]
    loaded = proving.load(network, context.build)
    seen += [text.path for given in loaded.values() for text in given.values()]
    return loaded


def _forms(context: Context) -> Store:
    return Store(context.kept / "forms" if context.kept else None, {})


def _province(context: Context, unit: tuple[str, ...], seen: list[str]) -> Part:
    gc.disable()
    try:
        network = load(context.network, [NATION, *unit])
        mine = {device.name for shard in network.shards if shard.province != NATION for device in shard.devices}
        loaded = _load(context, network, seen)
        few = folding.fold(network, loaded, texts.read)
        known = Known(World(few.network), few.readings, forms=_forms(context))
        proof = proving.judged(known, network, len(mine & loaded.keys()), few.alike, mine)
        ends = {link.b for link in few.network.links.values() if link.a in network.devices and link.a not in mine}
        return Part(
            unit,
            _plain(proof),
            names.heads(network, {name: reading for name, reading in few.readings.items() if name in mine}),
            {
                name: {target: text for target, text in loaded[name].items() if target in _FACE}
                for name in sorted(ends & loaded.keys())
            },
        )
    finally:
        gc.enable()
        for cache in (interval.number, interval.interval, interval.prefix):
            cache.cache_clear()


def _ministry(context: Context, parts: Sequence[Part], seen: list[str]) -> Part:
    network = load(context.network, [NATION])
    loaded = _load(context, network, seen)
    readings = {name: texts.read(name, given) for name, given in loaded.items()}
    heads = [held for part in parts for held in part.heads]
    faces = {name: texts.read(name, given) for part in parts for name, given in part.faces.items()}
    known = Known(World(network), readings, forms=_forms(context))
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
