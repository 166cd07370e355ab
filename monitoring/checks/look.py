"""One look at the network: what is expected, how devices are reached, which target it is; and the records it makes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from importlib.metadata import version

import msgspec

from ground import clock, files
from ground.record import Measure, Record, Result, Subject
from ground.remote import Session
from ip_plan.network import Device, Network, Site

CONTROLLER = "controller"


class Found(msgspec.Struct, frozen=True):
    """What a look brought: the records, and the detail files they name by SHA-256."""

    records: tuple[Record, ...]
    details: tuple[bytes, ...] = ()


class Look(msgspec.Struct, frozen=True):
    """What every check is given."""

    network: Network
    session: Session
    target: str
    told: Callable[[str], None] = lambda step: None
    """Called with a few words before each step, for people who wait."""

    def record(
        self,
        check: str,
        subject: Subject,
        result: Result,
        reason: str,
        *,
        method: str,
        key: tuple[object, ...],
        observer: str = CONTROLLER,
        seen: int = 1,
        expected: int = 1,
        measures: Iterable[Measure] = (),
        detail: bytes = b"",
    ) -> Record:
        """A record of now. `key` are the parts of the Network that decide the expected answer."""
        return Record(
            check=check,
            subject=subject,
            target=self.target,
            observer=observer,
            method=method,
            time=clock.now(),
            tool=tool(),
            input_key=self.network.key_of(check, *key),
            result=result,
            reason=reason,
            seen=seen,
            expected=expected,
            measures=tuple(measures),
            detail=files.sha256(detail) if detail else "",
            change=self.network.change,
        )


@functools.cache
def tool() -> str:
    """Name and version of this program."""
    return f"jinbao {version('jinbao')}"


def hosts(network: Network) -> list[Device]:
    """The running hosts, sorted by name."""
    found = [device for site in network.running() for device in network.devices_of(site) if device.role == "host"]
    return sorted(found, key=lambda device: device.name)


def routers(network: Network) -> list[Device]:
    """The running devices that speak to other sites, sorted by name."""
    running = [device for site in network.running() for device in network.devices_of(site)]
    return sorted((d for d in running if d.role in ("router", "access")), key=lambda device: device.name)


def addresses(device: Device) -> dict[str, str]:
    """`4` and `6` → a host's own address, without length."""
    (interface,) = device.interfaces
    return {"4": interface.v4.partition("/")[0], "6": interface.v6.partition("/")[0]}


def serving_exchange(network: Network, site: Site) -> Site | None:
    """The centre whose exchange zone gives names and time to `site`: its own, or the one that serves it."""
    here: Site | None = site
    while here is not None and here.zone("exchange") is None:
        here = network.known_sites.get(here.parent)
    return here


def subject(site: Site, *, zone: str = "", service: str = "", device: str = "", peer: str = "") -> Subject:
    """A subject within `site`."""
    return Subject(region=site.region, site=site.key, zone=zone, service=service, device=device, peer=peer)


def some(words: Iterable[str], limit: int = 3) -> str:
    """The first few of `words`, and how many more there are."""
    listed = list(words)
    more = f" and {len(listed) - limit} more" if len(listed) > limit else ""
    return "; ".join(listed[:limit]) + more
