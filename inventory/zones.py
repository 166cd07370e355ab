"""All zones of a plan as files: masters that BIND reads, or what octoDNS reads.

64/zones.conf                 the zone statements of a province; paths as seen from the folder above
64/<zone>.zone                a master file (RFC 1035 5); the root's is root.zone
zones.conf                    includes those of all provinces that are there

config.yaml                   octoDNS: where the zones lie; targets are the reader's own
zones/<zone>.yaml
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from itertools import groupby
from pathlib import Path
from typing import Literal

import msgspec

from ground import files, mistake, work
from inventory import dns
from inventory.dns import TTL, Serials, Zone
from ip_plan.network import Network, load

Form = Literal["bind", "octodns"]
FORMS: tuple[Form, ...] = ("bind", "octodns")


class Written(msgspec.Struct, frozen=True):
    """What `write` did."""

    zones: int
    records: int
    """Without those of the apex that BIND's files begin with."""
    changed: tuple[str, ...]
    """Files, below the folder."""
    removed: tuple[str, ...]
    """Masters of zones that are gone."""


class _Context(msgspec.Struct):
    """What the provinces share."""

    out: Path
    stored: Path
    form: Form
    serials: Mapping[str, Serials]


class _Part(msgspec.Struct, frozen=True):
    """What was written of one province."""

    zones: tuple[str, ...]
    records: int
    changed: tuple[str, ...]
    removed: tuple[str, ...]


def form(said: str) -> Form:
    """The form called `said`. Raises Mistakes JB2004."""
    found = next((each for each in FORMS if each == said), None)
    if found is None:
        raise mistake.one(
            "JB2004", "is no form that zones are written in", f"Give one of: {', '.join(FORMS)}.", subject=said
        )
    return found


def of(network: Network, province: str) -> list[Zone]:
    """Every zone that a name server of the province is primary for."""
    shard = next(shard for shard in network.shards if shard.province == province)
    return [zone for server in dns.servers(network, shard).values() for zone in server.zones]


def write(
    out: Path, stored: Path, *, provinces: Collection[str] | None, form: Form, serials: Mapping[str, Serials]
) -> Written:  # fmt: skip
    """Write the zones of the Network in the folder `stored` (or of some provinces) into `out`, touching only what changed.

    `serials`: province → those of the zones as they were rendered last; without them every zone begins with 1.
    """
    known = load(stored, ()).keys
    wanted = [province for province in known if provinces is None or province in provinces]
    context = _Context(out, stored, form, serials)
    largest_first = sorted(wanted, key=lambda province: -(stored / f"{province}.json").stat().st_size)
    parts = dict(zip(largest_first, work.spread(_province, context, largest_first), strict=True))
    changed = [name for province in wanted for name in parts[province].changed]
    if form == "bind":
        there = [province for province in known if (out / province / "zones.conf").exists()]
        changed += _put(out, "zones.conf", "".join(f'include "{province}/zones.conf";\n' for province in there))
    elif provinces is None:
        changed += _put(out, "config.yaml", _config(name for province in wanted for name in parts[province].zones))
    return Written(
        sum(len(part.zones) for part in parts.values()),
        sum(part.records for part in parts.values()),
        tuple(changed),
        tuple(name for province in wanted for name in parts[province].removed),
    )


def _province(context: _Context, province: str) -> _Part:
    """One province, in whatever process."""
    with work.uncollected():
        return _written(context, province)


def _written(context: _Context, province: str) -> _Part:
    zones = of(load(context.stored, [province]), province)
    changed: list[str] = []
    removed: list[str] = []
    if context.form == "bind":
        held = context.serials.get(province, Serials())
        for zone in zones:
            changed += _put(context.out, master(province, zone.name), dns.text(zone, held.next(zone)))
        changed += _put(context.out, f"{province}/zones.conf", "".join(_statement(province, zone) for zone in zones))
        names = {master(province, zone.name) for zone in zones}
        for left in sorted((context.out / province).glob("*.zone")):
            if (name := f"{province}/{left.name}") not in names:
                left.unlink()
                removed.append(name)
    else:
        for zone in zones:
            changed += _put(context.out, f"zones/{zone.name.removesuffix('.')}.yaml", octodns(zone))
    records = sum(len(zone.records) for zone in zones)
    return _Part(tuple(zone.name for zone in zones), records, tuple(changed), tuple(removed))


def master(province: str, zone: str) -> str:
    """Where the master file of a zone lies below the folder."""
    return f"{province}/{'root' if zone == '.' else zone}.zone"


def _statement(province: str, zone: Zone) -> str:
    return f'zone "{zone.name}" {{\n    type primary;\n    file "{master(province, zone.name)}";\n}};\n'


def octodns(zone: Zone) -> str:
    """A zone as octoDNS's YamlProvider reads it: names relative to the zone, its own name servers among them."""
    origin = "." if zone.name == "." else f".{zone.name}."
    apex = origin.removeprefix(".") or "."
    own = [(apex, "NS", f"{server}.") for server in zone.servers]
    lines = ["---"]
    for name, records in groupby(sorted({*own, *zone.records}), key=_name):
        lines.append(f"'{'' if name == apex else name.removesuffix(origin)}':")
        for kind, each in groupby(records, key=_kind):
            values = ", ".join(f"'{data}'" for _, _, data in each)
            lines.append(f"- {{type: {kind}, ttl: {TTL}, values: [{values}], octodns: {{lenient: true}}}}")
    return "\n".join(lines) + "\n"


def _name(record: tuple[str, str, str]) -> str:
    return record[0]


def _kind(record: tuple[str, str, str]) -> str:
    return record[1]


def _config(zones: Iterable[str]) -> str:
    """octoDNS's own file. Names below a delegation are glue, which its rules know nothing of: it is told to be lenient."""
    source = "class: octodns.provider.yaml.YamlProvider, directory: ./zones, default_ttl: 300, enforce_order: false"
    listed = [f"  '{zone.removesuffix('.')}.': {{sources: [jinbao], targets: [], lenient: true}}" for zone in zones]
    return "\n".join(["---", "providers:", f"  jinbao: {{{source}}}", "zones:", *listed]) + "\n"


def _put(out: Path, name: str, text: str) -> list[str]:
    """Write a file; its name, if it changed."""
    return [name] if files.write(out / name, text, durable=False) else []
