"""The proof of a whole plan, unit by unit, province by province in processes.

A unit is a centre with the offices that it serves: see `units`. What was found of one is kept with what it rests on: the plan, and
the content of the texts. Where neither changed it is not proved again, and files that look as they did are not read again either.
Memory follows the largest province.
"""

from __future__ import annotations

import hashlib
import os
import struct
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path

import msgspec

from ground import files, work
from ground.mistake import Mistake
from inventory.proof import branches, folding, forms, interval, mentions, names, proving, texts, units
from inventory.proof.decide import World
from inventory.proof.finding import Against, Finding
from inventory.proof.forms import Store
from inventory.proof.mentions import Outer
from inventory.proof.names import Held
from inventory.proof.proving import Known, Verdict
from inventory.proof.texts import Reading, Text
from inventory.proof.units import Unit
from ip_plan.network import Index, load

NATION = "00"
"""The ministry's shard."""
STEP = 100_000_000
"""Nanoseconds in which two changes of a file may get the same time: a file system's clock goes in steps of a few ms."""
_FACE = ("/etc/frr/frr.conf", *texts.WHOLE)
"""What a device says on its lines, for those at their other ends."""


class Proved(msgspec.Struct, frozen=True):
    """What was found about one unit."""

    key: str
    """Of all that it rests on."""
    verdict: Verdict
    heads: tuple[Held, ...]
    """Its zones, as those above delegate them."""


class Part(msgspec.Struct, frozen=True):
    """What was found about one province, or about the ministry."""

    shard: str
    proved: dict[str, Proved]
    """By unit."""
    anew: tuple[str, ...] = ()
    """The units that were proved now; of the others nothing that they rest on has changed since they were."""


class Look(msgspec.Struct, frozen=True, array_like=True):
    """What a device's files looked like, and what stood in them."""

    sources: tuple[str, ...]
    """Paths below the device's folder."""
    seal: bytes
    """See `seal`; empty: they changed just before they were read."""
    digest: bytes
    """Of all its texts."""
    face: bytes
    """Of its routing alone."""


class Kept(msgspec.Struct, frozen=True):
    """A part with what it rests on."""

    key: str = ""
    looks: dict[str, Look] = {}
    proved: dict[str, Proved] = {}


class Context(msgspec.Struct, frozen=True):
    """What the provinces share."""

    network: Path
    build: Path
    kept: Path | None = None
    """Folder of verdicts and forms that were kept, of this program only."""
    heads: tuple[Held, ...] = ()
    """The zones of the shards below."""
    forms: Store = msgspec.field(default_factory=Store)

    def key(self, name: str) -> str:
        """Key of what a shard is proved of, texts apart."""
        index = _index(self.network)
        plan = msgspec.json.encode([index.meta, index.flows], order="deterministic")
        shards = [index.shards.get(each, "") for each in (NATION, name)]
        heads = files.sha256(msgspec.msgpack.encode(self.heads))
        return files.sha256(" ".join([files.sha256(plan), *shards, str(self.build), heads]).encode())


def _index(network: Path) -> Index:
    return msgspec.json.decode((network / "index.json").read_bytes(), type=Index)


def prove(
    network: Path, build: Path, *, kept: Path | None = None, each: Callable[[Part], None] = lambda part: None,
    executor: Executor | None = None,
) -> Verdict:  # fmt: skip
    """The verdict on everything rendered below `build` of the Network stored in the folder `network`; `each` hears of each part.

    `kept`: where verdicts are kept; what nothing has changed under is not proved again.
    """
    place = kept / forms.program()[:16] if kept else None
    context = Context(network, build, place, forms=Store(place / "forms" if place else None, {}))
    shards = _index(network).shards
    provinces = [name for name in shards if name != NATION]
    largest = sorted(provinces, key=lambda name: -(network / f"{name}.json").stat().st_size)
    parts = work.spread(shard, context, largest, executor, each)
    if NATION in shards:
        heads = tuple(held for part in parts for proved in part.proved.values() for held in proved.heads)
        parts.append(shard(msgspec.structs.replace(context, heads=heads), NATION))
        each(parts[-1])
    return joined(proved.verdict for part in parts for proved in part.proved.values())


def shard(context: Context, name: str) -> Part:
    """One province, or the ministry, in whatever process."""
    place = context.kept / f"{name}.verdict" if context.kept else None
    before, key = _before(place), context.key(name)
    same = {}
    if before.looks:
        with opened(context.build) as build:
            for device, look in before.looks.items():
                if look.seal and seal(build, device, look.sources)[0] == look.seal:
                    same[device] = look
    if before.key == key and before.proved and len(same) == len(before.looks):
        return Part(name, before.proved)
    with work.uncollected():
        try:
            bench = _Bench(context, name, key, same)
            part = bench.prove(before.proved)
        finally:
            for cache in (interval.number, interval.interval, interval.prefix, branches.address, names.normal):
                cache.cache_clear()
    if place is not None:
        files.write(place, msgspec.msgpack.encode(Kept(key, bench.looks, part.proved)), durable=False)
    return part


def _before(place: Path | None) -> Kept:
    if place is None:
        return Kept()
    try:
        return msgspec.msgpack.decode(place.read_bytes(), type=Kept)
    except (OSError, msgspec.MsgspecError):
        return Kept()


def seal(build: int, device: str, sources: Iterable[str]) -> tuple[bytes, int]:
    """(what the files of a device look like, the time of their newest change, ns). `build`: the open folder that it lies in.

    Of each its number, size and time of change: whoever writes a file cannot set the time of its last change (`st_ctime`), so what
    reads otherwise than it was read looks otherwise. Where one is not there, all are `absent`.
    """
    seen: list[int] = []
    stat = os.stat
    try:
        for source in sources:  # from the open folder: half a million paths are not followed from the root
            found = stat(f"{device}/{source}", dir_fd=build)
            seen += (found.st_ino, found.st_size, found.st_ctime_ns)
    except OSError:
        return b"absent", 0
    return hashlib.blake2b(struct.pack(f"{len(seen)}Q", *seen), digest_size=16).digest(), max(seen[2::3])


@contextmanager
def opened(build: Path) -> Iterator[int]:
    """The folder of all trees, open to look from."""
    handle = os.open(build, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield handle
    finally:
        os.close(handle)


class _Bench:
    """One shard at work: each text is read once, and parsed once."""

    def __init__(self, context: Context, name: str, key: str, looks: dict[str, Look]) -> None:
        self.context, self.key = context, key
        self.begun = time.time_ns()
        self.network = load(context.network, {NATION, name})
        self.shard = next(shard for shard in self.network.shards if shard.province == name)
        self.known = looks
        self.looks: dict[str, Look] = {}
        self.texts: dict[str, dict[str, Text]] = {}
        self.readings: dict[str, Reading] = {}
        self.beyond: dict[tuple[str, ...], Outer] = {}

    def look(self, device: str) -> Look:
        """The device as it is now."""
        if device not in self.looks:
            self.looks[device] = self.known.get(device) or self._looked(device)
        return self.looks[device]

    def _looked(self, device: str) -> Look:
        given = self.load(device)
        folder = f"{self.context.build}/{device}"
        sources = ("tree.json", *(text.path.removeprefix(f"{folder}/") for text in given.values()))
        with opened(self.context.build) as build:
            found, newest = seal(build, device, sources)
        # What changed just before it was read could change again within the clock's step, and look the same.
        sound = newest < self.begun - STEP
        return Look(sources, found if sound else b"", _digest(given, given), _digest(given, _FACE))

    def load(self, device: str) -> dict[str, Text]:
        """The texts of a device; none without a tree."""
        if device not in self.texts:
            folder = self.context.build / device
            self.texts[device] = texts.load(folder) if os.path.exists(f"{folder}/tree.json") else {}
        return self.texts[device]

    def read(self, device: str, given: dict[str, Text]) -> Reading:
        """What the texts of a device say."""
        if device not in self.readings:
            self.readings[device] = texts.read(device, given)
        return self.readings[device]

    def readings_of(self, devices: Iterable[str]) -> dict[str, Reading]:
        """What the texts of these say, as far as they have any."""
        return {name: self.read(name, given) for name in devices if (given := self.load(name))}

    def prove(self, before: dict[str, Proved]) -> Part:
        """Every unit, those below first; what stands in `before` and rests on the same is taken from there."""
        proved: dict[str, Proved] = {}
        anew = []
        for unit in (listed := units.units(self.network, self.shard)):
            mine = _devices(self, unit.sites)
            above = _devices(self, unit.above)
            faces = sorted(link.b for link in self.network.links.values() if link.a in mine and link.b not in mine)
            heads = [h for other in listed if unit.name in other.above for h in proved[other.name].heads]
            said = [
                self.key, unit.name, [self.look(device).digest for device in (*mine, *above)],
                [self.look(device).face for device in faces], heads,
            ]  # fmt: skip
            key = files.sha256(msgspec.msgpack.encode(said))
            have = before.get(unit.name)
            if have is None or have.key != key:
                have = self._unit(unit, key, mine, above, faces, (*self.context.heads, *heads))
                anew.append(unit.name)
            proved[unit.name] = have
            for device in mine:
                self.texts.pop(device, None)
                if device not in faces:
                    self.readings.pop(device, None)
        return Part(self.shard.province, proved, tuple(anew))

    def _unit(
        self, unit: Unit, key: str, mine: Collection[str], above: Collection[str], faces: Sequence[str], heads: Sequence[Held]
    ) -> Proved:  # fmt: skip
        outer = self.readings_of(above)
        if unit.above not in self.beyond:
            self.beyond[unit.above] = mentions.outer(outer.values())
        network = units.within(self.network, self.shard, unit)
        loaded = {name: given for name in mine if (given := self.load(name))}
        few = folding.fold(network, loaded, self.read, beyond=self.beyond[unit.above])
        known = Known(World(few.network), {**outer, **few.readings}, forms=self.context.forms)
        proof = proving.judged(known, self.network, len(loaded), few.alike, mine, heads, self.readings_of(faces))
        own = {name: reading for name, reading in few.readings.items() if name in mine}
        return Proved(key, _plain(proof), names.heads(self.network, own))


def _devices(bench: _Bench, sites: Collection[str]) -> dict[str, None]:
    """The devices of these sites, in order."""
    found = (device for site in sorted(sites) for device in bench.network.sites[site].devices)
    return dict.fromkeys(found)


def _digest(given: dict[str, Text], targets: Iterable[str]) -> bytes:
    said = [[target, given[target].content] for target in targets if target in given]
    return hashlib.blake2b(msgspec.msgpack.encode(said), digest_size=16).digest()


def _plain(proof: proving.Proof) -> Verdict:
    return Verdict(
        proof.findings, proof.mistakes, proof.against, proof.devices, proof.questions, proof.destinations, proof.alike
    )


def joined(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdicts on the parts as one. What two of them say of a line or a connection between them is said once."""
    listed = list(verdicts)
    findings: set[Finding] = {finding for verdict in listed for finding in verdict.findings}
    mistakes: dict[Mistake, None] = {mistake: None for verdict in listed for mistake in verdict.mistakes}
    against: dict[tuple[str, str, str], Against] = {}
    for verdict in listed:
        for each in verdict.against:
            key = (each.row, each.source, each.target)
            if key in against:
                other = against[key]
                places = tuple(dict.fromkeys((*other.places, *each.places)))
                each = msgspec.structs.replace(each, rendered=each.rendered and other.rendered, places=places)
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
