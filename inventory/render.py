"""Network → trees, and trees → `build/`. Rendering is a function of values; `write` is the edge.

Zone serials are the one thing a tree takes from before: they lie with the list of devices in `build/.rendered/<province>.json`,
so that a serial grows when its zone's content changed and at no other time, whoever renders how often.

Beside it `<province>.keys` says what the files were made from. A province whose shard, rows and program are the same is not even
read, a device of the same intent not rendered again; what is asked for by name is rendered and compared in any case.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import Executor
from pathlib import Path

import msgspec

from ground import files, tree, work
from ground.mistake import Mistake, Mistakes
from ground.tree import Tree
from inventory import bootstrap, dns, models
from inventory.dialects import (
    bind,
    chrony,
    comware,
    debian,
    desk,
    frr,
    intake,
    iosxe,
    keepalived,
    nftables,
    nginx,
    openssh,
    pgbackrest,
    postgresql,
    prometheus,
    query,
    strongswan,
    vrp,
)
from inventory.dns import Serials, Server
from inventory.file import File
from inventory.intent import Intent, intent
from ip_plan.network import Network, Shard, load

STATES = ".rendered"
PROGRAM = (
    ("inventory", "**/*.py"),
    ("inventory", "**/*.j2"),
    ("inventory", "**/*.yml"),
    ("ip_plan", "*.py"),
    ("ip_plan", "*.yml"),
    ("ground", "*.py"),
)
"""What decides, beside the Network, what is rendered."""


class Rendered(msgspec.Struct, frozen=True):
    """The tree of one device with the contents of its files, by source."""

    tree: Tree
    contents: dict[str, bytes]


class Host(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the Ansible inventory says of a rendered device."""

    name: str
    site: str
    region: str
    level: str
    role: str
    zone: str
    duties: tuple[str, ...]
    names: tuple[str, ...]
    """The full name first, then those of its services: what its certificate has to carry."""
    vendor: str = ""
    """Dialect of a vendor's device, which Ansible's roles are not for."""


class State(msgspec.Struct, frozen=True):
    """What is kept of a rendered province."""

    devices: tuple[Host, ...]
    serials: dict[str, tuple[str, int]]


class Made(msgspec.Struct, frozen=True):
    """What the files of a province were made from. Away while they are written: a run that is cut off leaves none."""

    program: str = ""
    """Key of what rendered them."""
    province: str = ""
    """Key of everything; empty: some devices were rendered by themselves, or the shard is none that was stored."""
    devices: dict[str, tuple[str, int]] = {}
    """Device → (key of its intent, number of its files)."""


class Written(msgspec.Struct, frozen=True):
    """What `write` did."""

    devices: int
    """Rendered."""
    files: int
    """Files that these devices have."""
    changed: tuple[str, ...]
    """Devices with a changed file."""
    removed: tuple[str, ...]
    """Devices that no longer exist."""


def of(intended: Intent, serials: Serials, *, lab: bool) -> Rendered:
    """The tree of one device."""
    listed = [*vrp.files(intended), *comware.files(intended), *iosxe.files(intended)] or [
        *debian.files(intended, lab=lab),
        *frr.files(intended),
        *nftables.files(intended),
        *keepalived.files(intended),
        *strongswan.files(intended, lab=lab),
        *chrony.files(intended, lab=lab),
        *bind.files(intended, serials),
        *postgresql.files(intended, lab=lab),
        *openssh.files(intended),
        *intake.files(intended),
        *nginx.files(intended),
        *desk.files(intended),
        *query.files(intended),
        *pgbackrest.files(intended),
        *prometheus.files(intended, lab=lab),
    ]
    entries = tuple(file.entry() for file in listed)
    contents = {entry.source: file.content.encode() for entry, file in zip(entries, listed, strict=True)}
    return Rendered(Tree(intended.device.name, entries, units(listed)), contents)


def units(listed: list[File]) -> tuple[str, ...]:
    """The units that have to run: those that take files up, without the one that only applies settings once."""
    return tuple(dict.fromkeys(file.unit for file in listed if file.unit and file.unit != "systemd-sysctl.service"))


def hosts(network: Network, shard: Shard) -> tuple[Host, ...]:
    """The devices of a province as the inventory lists them."""
    carried: dict[str, list[str]] = {}
    for service in shard.services:
        carried.setdefault(service.device, []).append(service.fqdn)
    found = []
    for device in shard.devices:
        site = network.sites[device.site]
        names = (device.fqdn, *carried.get(device.name, ()))
        vendor = device.dialect if device.dialect in models.VENDORS else ""
        found.append(
            Host(device.name, site.key, site.region, site.level, device.role, device.zone, device.duties, names, vendor)
        )
    return tuple(found)


def render(
    network: Network,
    *,
    provinces: Collection[str] | None = None,
    devices: Collection[str] | None = None,
    lab: bool,
    serials: Serials | None = None,
) -> Iterator[Rendered]:
    """The trees of all loaded devices, or of some provinces or devices only, in order of their names per province."""
    for shard in network.shards:
        if provinces is None or shard.province in provinces:
            yield from _shard(network, shard, devices, serials or Serials(), lab, dns.servers(network, shard))


def _shard(
    network: Network,
    shard: Shard,
    devices: Collection[str] | None,
    serials: Serials,
    lab: bool,
    servers: dict[str, Server],
) -> Iterator[Rendered]:
    for device in shard.devices:
        if devices is None or device.name in devices:
            yield of(intent(network, device, servers.get(device.site)), serials, lab=lab)


def write(
    build: Path,
    network: Network,
    *,
    provinces: Collection[str] | None = None,
    devices: Collection[str] | None = None,
    lab: bool,
    stored: Path | None = None,
    executor: Executor | None = None,
) -> Written:
    """Render into `build`, touching only what changed; folders of devices that no longer exist are removed.

    Every file is whole at any moment. A run that is cut short is completed by the next one. `stored`: the folder that `network`
    was loaded from without its shards; each process then reads those of its provinces. Raises Mistakes, before anything is
    written, for devices that their dialect or model cannot be.
    """
    shards = {shard.province: shard for shard in network.shards}
    wanted = [
        province for province in (network.keys if stored else shards) if provinces is None or province in provinces
    ]
    with files.lock(build / ".lock"):
        context = _Context(
            build, network, shards, stored, devices, lab, provinces is not None or devices is not None,
            _program(lab), files.sha256(msgspec.json.encode([network.meta, network.flows], order="deterministic")),
            frozenset(os.listdir(build)),
        )  # fmt: skip
        parts = {province: part for province in wanted if (part := _standing(context, province)) is not None}
        todo = sorted((province for province in wanted if province not in parts), key=context.size, reverse=True)
        asked = any((choice.dialect, choice.model) != models.USUAL for choice in network.meta.choices)
        # What stands was found good when it was rendered, from the same.
        if todo and (asked or network.meta.encrypted):
            found = work.spread(_check, context, todo, executor) if stored else [models.check(network, lab=lab)]
            if mistakes := list(dict.fromkeys(mistake for each in found for mistake in each)):
                raise Mistakes(mistakes)
        parts |= zip(todo, work.spread(_render, context, todo, executor), strict=True)
        living = {name for part in parts.values() for name in part.names}
        for province in {path.stem for path in (build / STATES).glob("*.json")} - set(wanted):
            if provinces is None and province not in network.keys:
                for suffix in ("json", "keys"):
                    (build / STATES / f"{province}.{suffix}").unlink(missing_ok=True)
                shutil.rmtree(build / bootstrap.FOLDER / province, ignore_errors=True)
            else:
                living |= {host.name for host in _state(build, province).devices}
        removed = _sweep(build, sorted(context.present - living))
    ordered = [parts[province] for province in wanted]
    return Written(
        sum(part.devices for part in ordered),
        sum(part.files for part in ordered),
        tuple(name for part in ordered for name in part.changed),
        removed,
    )


class _Context(msgspec.Struct):
    """What the provinces share."""

    build: Path
    network: Network
    shards: dict[str, Shard]
    stored: Path | None
    devices: Collection[str] | None
    lab: bool
    named: bool
    """Whether provinces or devices were asked for by name: what was kept does not count then."""
    program: str
    rows: str
    """Key of what belongs to the whole plan."""
    present: frozenset[str]
    """Names of the folders in `build`."""

    def size(self, province: str) -> int:
        """How large a province is, beside others."""
        if self.stored is None:
            return len(self.shards[province].devices)
        return (self.stored / f"{province}.json").stat().st_size

    def whole(self, province: str) -> Network:
        """The Network with this province in it."""
        return self.network if self.stored is None else load(self.stored, [province])

    def made(self, province: str) -> str:
        """Key of everything that a province is rendered from; empty: its shard is none that was stored."""
        return files.sha256(f"{self.program}{self.rows}{self.network.keys[province]}".encode()) if self.stored else ""


def _program(lab: bool) -> str:
    """Key of what renders."""
    house = Path(__file__).parent.parent
    sources = sorted(path for room, pattern in PROGRAM for path in (house / room).glob(pattern))
    return files.sha256("".join([str(lab), *(files.sha256(path.read_bytes()) for path in sources)]).encode())


def _check(context: _Context, province: str) -> list[Mistake]:
    return models.check(context.whole(province), lab=context.lab)


class _Part(msgspec.Struct, frozen=True):
    """What was written of one province."""

    names: tuple[str, ...]
    """All its devices, rendered now or not."""
    devices: int
    files: int
    changed: tuple[str, ...]


def _standing(context: _Context, province: str) -> _Part | None:
    """A province of which everything stands as it would be rendered; None: it has to be rendered."""
    made = _made(context, province)
    whole = made.province and made.province == context.made(province) and context.present >= made.devices.keys()
    if context.named or not whole or not (context.build / STATES / f"{province}.json").exists():
        return None
    return _Part(tuple(made.devices), len(made.devices), sum(number for _, number in made.devices.values()), ())


def _made(context: _Context, province: str) -> Made:
    try:
        return msgspec.json.decode((context.build / STATES / f"{province}.keys").read_bytes(), type=Made)
    except (OSError, msgspec.MsgspecError):
        return Made()


def _render(context: _Context, province: str) -> _Part:
    """One province, in whatever process. A device that stands rendered from the same intent is not rendered again."""
    with work.uncollected():
        return _rendered(context, province)


def _rendered(context: _Context, province: str) -> _Part:
    made = _made(context, province)
    kept = {} if made.program != context.program or context.named else made.devices
    held = {name: each for name, each in kept.items() if name in context.present}
    network = context.whole(province)
    shard = next(shard for shard in network.shards if shard.province == province)
    servers = dns.servers(network, shard)
    earlier = Serials(_state(context.build, province).serials)
    zones = [zone for server in servers.values() for zone in server.zones]
    serials = Serials({zone.name: (zone.key, earlier.next(zone)) for zone in zones})
    # First: a serial that a device may have seen is never given to another content.
    state = State(hosts(network, shard), serials.held)
    place = context.build / STATES
    awaiting = context.build / bootstrap.FOLDER / province
    files.write(place / f"{province}.json", msgspec.json.encode(state))
    keys: dict[str, tuple[str, int]] = {}
    changed = []
    written = False
    for device in shard.devices:
        if context.devices is not None and device.name not in context.devices:
            continue
        intended = intent(network, device, servers.get(device.site))
        key = _key(intended, serials)
        standing = held.get(device.name)
        if standing is None or standing[0] != key:
            rendered = of(intended, serials, lab=context.lab)
            if not written:
                (place / f"{province}.keys").unlink(missing_ok=True)
            written = True
            if tree.write(context.build / device.name, rendered.tree, rendered.contents):
                changed.append(device.name)
            standing = (key, len(rendered.contents))
        keys[device.name] = standing
        if device.serial:
            files.write(awaiting / bootstrap.name(device), bootstrap.text(network, intended))
    whole = context.devices is None
    if awaiting.is_dir():
        awaited = {bootstrap.name(device) for device in shard.devices if device.serial}
        for path in awaiting.iterdir():
            if path.name not in awaited:
                path.unlink()
    others = made.devices if made.program == context.program and not whole else {}
    done = Made(context.program, context.made(province) if whole else "", {**others, **keys})
    files.write(place / f"{province}.keys", msgspec.json.encode(done), durable=False)
    names = tuple(host.name for host in state.devices)
    return _Part(names, len(keys), sum(number for _, number in keys.values()), tuple(changed))


def _state(build: Path, province: str) -> State:
    """What was rendered of a province; nothing where it never was."""
    path = build / STATES / f"{province}.json"
    return msgspec.json.decode(path.read_bytes(), type=State) if path.exists() else State((), {})


def _key(intended: Intent, serials: Serials) -> str:
    """Key of all that a device's files are made from."""
    zones = intended.server.zones if intended.server else ()
    said = msgspec.msgpack.encode([intended, [serials.next(zone) for zone in zones]])
    return hashlib.blake2b(said, digest_size=12).hexdigest()


def _sweep(build: Path, names: Iterable[str]) -> tuple[str, ...]:
    """Remove the folders `names`, those of devices that no longer exist."""
    removed = []
    for name in names:
        folder = build / name
        if name.startswith(".") and name.endswith(".new"):
            shutil.rmtree(folder, ignore_errors=True)  # a run was cut off while it made this one
        # A folder without a tree is not ours, or was cut off before it was whole: then its device is living.
        elif (folder / "tree.json").is_file():
            # tree.json last: it is what says that the rest has to go.
            shutil.rmtree(folder / "files", ignore_errors=True)
            (folder / "tree.json").unlink()
            shutil.rmtree(folder)
            removed.append(name)
    return tuple(removed)


def require(network: Network, provinces: Collection[str] | None, devices: Collection[str] | None) -> None:
    """Raise Mistakes JB2001 for every province or device that the network does not have."""
    found = [
        Mistake("", None, None, "JB2001", name, f"the plan has no such {what}", f"Give one of: {', '.join(known)}.")
        for what, asked, known in (
            ("province", provinces or (), sorted(network.keys)),
            ("device", devices or (), [*sorted(network.devices)[:5], "…"]),
        )
        for name in asked
        if name not in (network.keys if what == "province" else network.devices)
    ]
    if found:
        raise Mistakes(found)


def read_states(build: Path, provinces: Collection[str] | None = None) -> dict[str, State]:
    """Province → what was rendered of it. Raises msgspec.DecodeError when a file is damaged."""
    found = {}
    for path in sorted((build / STATES).glob("*.json")):
        if provinces is None or path.stem in provinces:
            found[path.stem] = msgspec.json.decode(path.read_bytes(), type=State)
    return found
