"""Whose addresses are these: the site and zone, or the region, of what somebody wrote on a device by hand."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

import msgspec

from inventory.ends import ROUTING, devices
from inventory.proof.interval import Interval, interval
from ip_plan.network import TRANSIT, Network, Service, Site


class Unheld(Exception):
    """The Network does not say whose addresses these are."""


class Holder(msgspec.Struct, frozen=True, order=True):
    """A zone of a site (or its routing devices' own addresses)."""

    site: str
    zone: str


def zones(network: Network, family: int, spans: tuple[Interval, ...], said: str) -> list[Holder]:
    """The zones in which every address of `spans` lies, each once. Raises `Unheld`; `said`: how the device wrote them."""
    wanted = sorted(spans)
    ends = [last for _, last in wanted]
    inside: dict[Interval, list[tuple[Interval, Holder]]] = {span: [] for span in wanted}
    for part, holder in _parts(network, family):
        for span in wanted[bisect_left(ends, part[0]) :]:
            if span[0] > part[1]:
                break
            inside[span].append((part, holder))
    for span, parts in inside.items():
        at = span[0]
        for part, _ in sorted(parts):
            at = max(at, part[1] + 1) if part[0] <= at else at
        if at <= span[1]:
            raise Unheld(f"{said} lies in no zone of the plan, or in more than the plan's zones")
    return sorted({holder for parts in inside.values() for _, holder in parts})


def _parts(network: Network, family: int) -> Iterator[tuple[Interval, Holder]]:
    for site in network.known_sites.values():
        for zone in site.zones:
            yield interval(zone.v4 if family == 4 else zone.v6), Holder(site.key, zone.name)
        for device in devices(network, site):
            if device.role not in ROUTING:
                continue
            own = [each.v4 if family == 4 else each.v6 for each in device.interfaces if each.kind != "zone"]
            loopback = device.loopback4 if family == 4 else device.loopback6
            for text in filter(None, (loopback, *own)):
                yield interval(text.partition("/")[0]), Holder(site.key, TRANSIT)


def service(network: Network, holder: Holder, family: int, spans: tuple[Interval, ...], port: str = "") -> str:
    """The service of the zone whose own address, or whose host's, is all of `spans`; of several that with `port`. Empty: none."""
    fitting = [
        each
        for each in network.services_at.get((holder.site, holder.zone), ())
        if all(span in _addresses(network, each, family) for span in spans)
    ]
    named = [each for each in fitting if port in each.ports] or fitting
    return named[0].name if len(named) == 1 else ""


def _addresses(network: Network, each: Service, family: int) -> list[Interval]:
    host = network.known_devices.get(each.device)
    own = [i.v4 if family == 4 else i.v6 for i in host.interfaces] if host else []
    return [interval(text.partition("/")[0]) for text in (each.v4 if family == 4 else each.v6, *own)]


def region(network: Network, prefix: str) -> Site | None:
    """The site whose zone (or whose region's block) holds the prefix: the smallest that does."""
    span = interval(prefix)
    family = 6 if ":" in prefix else 4
    best: tuple[int, Site] | None = None
    for site in network.known_sites.values():
        area = network.regions.get(site.region)
        blocks = (area.blocks4 if family == 4 else area.blocks6) if area and site.kind == "centre" else ()
        for text in (*(zone.v4 if family == 4 else zone.v6 for zone in site.zones), *blocks):
            low, high = interval(text)
            if low <= span[0] and span[1] <= high and (best is None or high - low < best[0]):
                best = (high - low, site)
    return best[1] if best else None
