"""The switches of a site: what hangs on which of them, by which port, and in which VLAN."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from ground.mistake import Mistake
from ip_plan.grants import Grants, Need
from ip_plan.network import Device, Interface
from ip_plan.plan import Plan


def names(need: Need, code: str) -> list[str]:
    """The switches of a site; `code` is the one its region was first granted under."""
    return [f"{code}-sw{number}" for number in range(1, need.kind.switches + 1)]


def home(device: Device, count: int) -> int:
    """The switch, from 1 to `count`, that a device hangs on: by its own name, so that nobody else's coming moves it.

    The hosts of one zone take turns, and so do firewalls; two zones need not begin with the same.
    """
    stem = device.name.rstrip("0123456789")
    number = int(device.name[len(stem) :])
    first = zlib.crc32(device.zone.encode()) if device.zone else 1
    return (first + number) % count + 1


def device(plan: Plan, grants: Grants, need: Need, own: Interface, others: Sequence[Device], bare: Device) -> Device:
    """The switch `bare` with its ports. `own`: its interface in the management zone; `others`: what may hang on it."""
    name, count = bare.name, need.kind.switches
    number = int(name[-1])
    ports = [port for each in others if home(each, count) == number for port in _ports(plan, each)]
    if count > 1:
        far = f"{name[:-1]}{3 - number}"
        ports.append(Interface(f"p-{far.rpartition('-')[2]}", "aggregate", "", "", peer=far))
    ports.sort(key=lambda port: port.name)
    numbers = (0, *(0 if port.kind == "aggregate" else grants.port(name, port.name, 1) for port in ports))
    return msgspec.structs.replace(bare, interfaces=(own, *ports), numbers=numbers)


def _ports(plan: Plan, other: Device) -> Iterator[Interface]:
    """The ports that a device hangs on: one for each interface in a zone, or a trunk where these share a port of its own."""
    short = other.name.rpartition("-")[2]
    zones = [each.zone for each in other.interfaces if each.kind == "zone"]
    if other.role == "host":
        yield Interface(f"p-{short}", "port", "", "", zone=other.zone, peer=other.name)
    elif other.numbers and zones:
        yield Interface(f"p-{short}", "trunk", "", "", peer=other.name)
    else:
        for zone in zones:
            yield Interface(f"p-{short}-{plan.sites.zones[zone].short}", "port", "", "", zone=zone, peer=other.name)


def undecided(plan: Plan, needs: Iterable[Need]) -> list[Mistake]:
    """Sites with switches for which no row gives a dialect, told once for each kind."""
    document = plan.documents["sites.yml"]
    found: dict[str, list[Need]] = {}
    for need in needs:
        if need.kind.switches:
            found.setdefault(need.kind.level, []).append(need)
    mistakes = []
    for level, listed in found.items():
        row = next(index for index, kind in enumerate(plan.sites.sites) if kind.level == level)
        more = f" and {len(listed) - 1} more" if len(listed) > 1 else ""
        what = "has switches, and no row of `devices:` says what they are; a Debian is none"
        cure = "Add a row for `role: switch` with a vendor's dialect and model, or leave `switches:` out."
        place = document.place(("sites", row, "switches"))
        mistakes.append(Mistake(document.file, *place, "JB1975", f"{listed[0].key}{more}", what, cure))
    return mistakes
