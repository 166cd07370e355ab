"""Network → trees, and trees → `build/`. Rendering is a function of values; `write` is the edge.

Zone serials are the one thing a tree takes from before: they lie with the list of devices in `build/.rendered/<province>.json`,
so that a serial grows when its zone's content changed and at no other time, whoever renders how often.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

import msgspec

from ground import files, tree, work
from ground.mistake import Mistake, Mistakes
from ground.tree import Tree
from inventory import dns, models
from inventory.dialects import (
    bind,
    chrony,
    comware,
    debian,
    frr,
    iosxe,
    nftables,
    pgbackrest,
    postgresql,
    prometheus,
    vrp,
)
from inventory.dns import Serials, Server
from inventory.file import File
from inventory.intent import Intent, intent
from ip_plan.network import Network, Shard

STATES = ".rendered"


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
        *chrony.files(intended, lab=lab),
        *bind.files(intended, serials),
        *postgresql.files(intended),
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
) -> Written:
    """Render into `build`, touching only what changed; folders of devices that no longer exist are removed.

    Every file is whole at any moment. A run that is cut short is completed by the next one. Raises Mistakes, before anything
    is written, for devices that their dialect or model cannot be.
    """
    if mistakes := models.check(network, lab=lab):
        raise Mistakes(mistakes)
    wanted = {shard.province: shard for shard in network.shards if provinces is None or shard.province in provinces}
    with files.lock(build / ".lock"):
        states = read_states(build)
        context = _Context(build, network, wanted, devices, states, lab)
        largest_first = sorted(wanted, key=lambda province: -len(wanted[province].devices))
        parts = dict(work.spread(_province, context, largest_first))
        states |= {province: part.state for province, part in parts.items()}
        if provinces is None:
            for gone in set(states) - set(network.keys):
                del states[gone]
                (build / STATES / f"{gone}.json").unlink()
        removed = _sweep(build, {host.name for state in states.values() for host in state.devices})
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
    devices: Collection[str] | None
    states: dict[str, State]
    lab: bool


class _Part(msgspec.Struct, frozen=True):
    """What was written of one province."""

    state: State
    devices: int
    files: int
    changed: tuple[str, ...]


def _province(context: _Context, province: str) -> tuple[str, _Part]:
    """One province, in whatever process."""
    shard = context.shards[province]
    serials = Serials(context.states.get(province, State((), {})).serials)
    servers = dns.servers(context.network, shard)
    # First: a serial that a device may have seen is never given to another content.
    state = State(
        hosts(context.network, shard),
        {zone.name: (zone.key, serials.next(zone)) for server in servers.values() for zone in server.zones},
    )
    files.write(context.build / STATES / f"{province}.json", msgspec.json.encode(state))
    count = total = 0
    changed = []
    for rendered in _shard(context.network, shard, context.devices, serials, context.lab, servers):
        count += 1
        total += len(rendered.contents)
        if tree.write(context.build / rendered.tree.device, rendered.tree, rendered.contents):
            changed.append(rendered.tree.device)
    return province, _Part(state, count, total, tuple(changed))


def _sweep(build: Path, living: set[str]) -> tuple[str, ...]:
    """Remove the folders of devices that no longer exist."""
    removed = []
    for left in build.glob(".*.new"):
        shutil.rmtree(left)  # a run was cut off while it made this one
    for folder in sorted(build.iterdir()):
        # A folder without a tree is not ours, or was cut off before it was whole: then its device is living.
        if folder.name not in living and (folder / "tree.json").is_file():
            # tree.json last: it is what says that the rest has to go.
            shutil.rmtree(folder / "files", ignore_errors=True)
            (folder / "tree.json").unlink()
            shutil.rmtree(folder)
            removed.append(folder.name)
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
