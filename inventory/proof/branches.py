"""Branches: offices at the end of one line, with what is their own in the Network and in their texts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec

from inventory.proof import interval
from inventory.proof.texts import Text
from ip_plan.network import Link, Network, Site

Mark = str | tuple[int, int, int]
"""A value of a branch: as text, and of an address also as (family, first, last)."""


class Branch(msgspec.Struct):
    """An office, and what is its own."""

    site: str
    parent: str
    devices: tuple[str, ...]
    links: tuple[str, ...]
    shape: tuple[object, ...]
    """The Network's words about it, without its own values."""
    values: tuple[str, ...]
    """Its own values, in the order of `shape`'s places."""
    slots: dict[Mark, int] = {}
    """Own value → its place."""
    spans: tuple[tuple[int, int, int], ...] = ()
    """Own addresses."""
    said: list[tuple[object, ...]] = []
    """What the devices of others say of it."""
    odd: bool = False
    """Something says a thing of it that cannot be exchanged: it stays."""


def branches(network: Network) -> dict[str, Branch]:
    """Site → branch, for every office that nothing hangs on and that one line leads to."""
    busy = {site.parent for site in network.known_sites.values()} | {site.holder for site in network.sites.values()}
    links: dict[str, list[Link]] = {}
    for link in network.links.values():
        for name in {link.a, link.b}:
            if name in network.devices:
                links.setdefault(network.devices[name].site, []).append(link)
    ends = {
        (device.name, item.link): item for device in network.devices.values() for item in device.interfaces if item.link
    }
    named = [flow for flow in network.flows if flow.regions]
    found = {}
    for site in network.sites.values():
        mine = links.get(site.key, [])
        if site.kind == "centre" or site.key in busy or site.holder or len(mine) != 1:
            continue
        if mine[0].b not in site.devices or mine[0].a not in network.devices:
            continue
        outer = ends[mine[0].a, mine[0].id]
        found[site.key] = _branch(
            network, site, mine[0], (outer.name, outer.v4, outer.v6), [f.id for f in named if site.region in f.regions]
        )
    return found


def _branch(network: Network, site: Site, link: Link, outer: tuple[str, str, str], rows: list[str]) -> Branch:
    values: list[str] = []
    places: dict[str, int] = {}

    def own(*texts: str) -> tuple[int, ...]:
        for text in texts:
            if text not in places:
                places[text] = len(values)
                values.append(text)
        return tuple(places[text] for text in texts)

    region = network.regions.get(site.region)
    shape: list[object] = [
        site.level, site.kind, site.parent, site.running, rows, own(site.key, site.region, site.domain), bool(site.asn),
        own(str(site.asn)) if site.asn else (), region is None or (len(region.blocks4), len(region.blocks6)),
        link.kind, link.rank, link.a, link.b_interface, link.cost, link.bandwidth_mbps, link.suite, own(link.id, link.secret),
        own(*outer, *map(_bare, outer[1:])),
    ]  # fmt: skip
    for zone in site.zones:
        shape += [zone.name, own(zone.v4, zone.v6, _bare(zone.v4), _bare(zone.v6), zone.gateway4, zone.gateway6)]
        for service in network.services_at.get((site.key, zone.name), ()):
            shape += [
                service.name,
                service.ports,
                service.device in site.devices,
                own(service.fqdn, service.v4, service.v6),
            ]
    for name in site.devices:
        device = network.devices[name]
        shape += [device.role, device.zone, device.duties, device.dialect, device.model, own(device.name, device.fqdn)]
        shape.append(own(str(device.asn)) if device.asn else ())
        if device.loopback4:
            shape.append(own(device.loopback4, device.loopback6, f"{device.loopback4}/32", f"{device.loopback6}/128"))
        for item in device.interfaces:
            # What hangs on an office's own switch is its own.
            peer = own(item.peer) if item.peer in site.devices else item.peer
            shape += [item.name, item.kind, item.zone, peer, item.peer_asn, item.peer_site]
            shape.append(
                own(
                    *(
                        text
                        for text in (item.v4, item.v6, _bare(item.v4), _bare(item.v6), item.peer4, item.peer6)
                        if text
                    )
                )
            )
    slots: dict[Mark, int] = {text: place for text, place in places.items()}
    spans = []
    for text, place in places.items():
        span = address(text)
        if span:
            slots.setdefault(span, place)
            spans.append(span)
    return Branch(
        site.key, site.parent, site.devices, (link.id,), _fixed(shape), tuple(values), slots, tuple(spans), []
    )


def _bare(text: str) -> str:
    return text.partition("/")[0]


def _fixed(value: object) -> Any:
    """A value as something that can be compared and kept in a set."""
    if isinstance(value, list | tuple):
        return tuple(map(_fixed, value))
    return value


@lru_cache(maxsize=200_000)
def address(text: str) -> tuple[int, int, int] | None:
    """(family, first, last) of an address or prefix, None for other text. An address of an interface stands for itself."""
    if not text or not (text[0].isdigit() or ":" in text) or not ("." in text or ":" in text):
        return None
    try:
        first, last = interval.interval(text)
    except ValueError:
        return None
    return interval.family(text), first, last


# Texts ----------------------------------------------------------------------------------------------------------------

_WORD = re.compile(r"((?:[\w./*-]|:(?=[\w:/])|(?<=:):)+)")


class Template(msgspec.Struct):
    """The texts of a branch with a place for each of its own values."""

    targets: tuple[str, ...]
    parts: list[str]
    holes: tuple[tuple[int, int], ...]
    """(part, place of the value)."""
    marks: frozenset[tuple[int, int, int]]
    """Addresses in it that are nobody's own."""
    words: frozenset[str]

    def fits(self, targets: tuple[str, ...], text: str, values: tuple[str, ...]) -> bool:
        """Whether `text` is this template with `values` in its places: exactly."""
        if targets != self.targets:
            return False
        for part, place in self.holes:
            self.parts[part] = values[place]
        return "".join(self.parts) == text


def template(targets: tuple[str, ...], text: str, slots: Mapping[Mark, int]) -> Template:
    """The template that a branch's texts are made from."""
    parts = _WORD.split(text)
    holes = tuple((at, slots[part]) for at, part in enumerate(parts) if at % 2 and part in slots)
    free = frozenset(part for at, part in enumerate(parts) if at % 2 and part not in slots)
    return Template(targets, parts, holes, frozenset(span for word in free if (span := address(word))), free)


def joined(texts: Mapping[str, Text], device: str) -> tuple[tuple[str, ...], str]:
    """(device's targets, all its texts in their order)."""
    targets = tuple(sorted(texts))
    return targets, "\x00".join(texts[target].content for target in targets)
