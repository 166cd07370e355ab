"""The plan's backup policy: which databases are protected, and where a drill may restore to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from ground.mistake import Mistake, Mistakes
from ip_plan.network import Network, Protection, Site

SCRATCH = "scratch"


class Scratch(msgspec.Struct, frozen=True):
    """A host that a drill may empty. Only `scratch` makes one: nothing that deletes takes a name instead."""

    device: str
    site: str


def protected(network: Network) -> tuple[Protection, ...]:
    """The protected databases of running sites, by device."""
    running = {site.key for site in network.running()}
    return tuple(sorted((p for p in network.protections if p.site in running), key=lambda p: p.device))


def select(network: Network, names: Sequence[str]) -> tuple[Protection, ...]:
    """The protected databases named by device or by `<site>:<zone>`; all when none is named. Raises JB5001."""
    listed = protected(network)
    found = [p for p in listed if not names or p.device in names or f"{p.site}:{p.zone}" in names]
    known = {name for p in listed for name in (p.device, f"{p.site}:{p.zone}")}
    unknown = [name for name in names if name not in known]
    if unknown:
        cure = f"Name one of {', '.join(p.device for p in listed) or 'none: the plan protects nothing that runs'}."
        raise Mistakes(
            [
                Mistake("", None, None, "JB5001", name, "is no protected database of a running site", cure)
                for name in unknown
            ],
            "nothing was done",
        )
    return tuple(found)


def mistakes(network: Network) -> Iterator[Mistake]:
    """What no drill could ever meet: a policy that loses more by design than it allows (JB5002)."""
    for p in network.protections:
        if p.archive_timeout_seconds <= 0 or p.archive_timeout_seconds > p.rpo_seconds:
            yield Mistake(
                "",
                None,
                None,
                "JB5002",
                p.device,
                f"archive_timeout_seconds {p.archive_timeout_seconds} does not keep rpo_seconds {p.rpo_seconds}",
                "Give the tier in backup.yml an archive_timeout_seconds between 1 and its rpo_seconds.",
            )


def scratch(network: Network, protection: Protection) -> Scratch:
    """The host of the plan to which this database may be restored. Raises JB5101 when that is not an empty-by-duty host."""
    name = protection.scratch
    device = network.devices.get(name)
    what = ""
    if not name:
        what = "the plan names no scratch host for it"
    elif device is None:
        what = f"its scratch host {name} is not in the plan"
    elif device.role != "host" or device.duties != (SCRATCH,):
        what = f"{name} has the duties {', '.join(device.duties) or 'none'}: only a host with the one duty `scratch` may be emptied"
    elif name in {protection.device, protection.repository} or any(p.device == name for p in network.protections):
        what = f"{name} holds data"
    if what or device is None:
        cure = "Give the centre's backup zone a host with the duty `scratch` (extra_hosts in plan.yml)."
        found = Mistake("", None, None, "JB5101", protection.device, what, cure)
        raise Mistakes([found], "nothing was touched")
    return Scratch(name, device.site)


def site(network: Network, protection: Protection) -> Site:
    """The site of a protected database."""
    return network.known_sites[protection.site]
