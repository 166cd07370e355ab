"""The prefix lists of a vendor's device: one for each neighbour and direction, and two between BGP and OSPF."""

from __future__ import annotations

import msgspec

from inventory.dialects.numbering import numbered
from inventory.routing import Routing


class Entry(msgspec.Struct, frozen=True):
    """One prefix that a list permits."""

    number: int
    prefix: str


class List(msgspec.Struct, frozen=True):
    """A prefix list: what it names is permitted, nothing else."""

    family: int
    name: str
    entries: tuple[Entry, ...]
    within: bool
    """Whether longer prefixes inside are permitted too."""


def lists(routing: Routing, highest: int) -> list[List]:
    """The lists of a device; numbers of entries go up to `highest` and come from the prefix."""
    wanted = [
        (f"{way}-{neighbour.key}", prefixes, neighbour.relation == "inside")
        for neighbour in routing.neighbours
        for way, prefixes in (("FROM", neighbour.accept), ("TO", neighbour.announce))
    ]
    if routing.asn and routing.ospf:
        wanted += [("SEGMENTS", routing.segments, False), ("OUTSIDE", routing.outside, False)]
    found = []
    for name, prefixes, within in wanted:
        for family in (4, 6):
            numbers = numbered(prefixes.of(family), 1, highest)
            entries = tuple(sorted((Entry(n, p) for p, n in numbers.items()), key=lambda entry: entry.number))
            if entries:
                found.append(List(family, name, entries, within))
    return found
