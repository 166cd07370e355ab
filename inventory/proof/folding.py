"""Offices that are alike up to their own addresses: a few of each kind are proved, the others are shown to be like them.

A branch is an office at the end of one line. Two branches are alike when there is a renaming of names and addresses that takes
one into the other: in the Network, in their own texts (word by word), and in everything that other devices say of them, with
each address lying in the same of the prefixes that somebody names. Such a renaming, which exchanges the two and leaves all the
rest as it is, takes the whole network into itself; so what holds for one holds for the other, its filters, routes and all.

A packet that a filter decides about has to do with at most four branches: source, destination, and the interfaces it comes in
by and leaves by. So of each kind `KEPT` branches stay, and the others are left out of the Network and of what was read: what is
proved of the rest is proved of all. A branch that anything treats otherwise than its like is of a kind of its own, and stays.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping

import msgspec

from inventory.proof import interval
from inventory.proof.branches import Branch, Template, branches, joined, template
from inventory.proof.interval import Interval
from inventory.proof.mentions import Outer, Sieve, owners
from inventory.proof.texts import Reading, Text
from ip_plan.network import Device, Network, Service, Shard, Site

KEPT = 4
"""Branches of each kind that are proved: those that one packet can have to do with."""


class Folded(msgspec.Struct, frozen=True):
    """A Network and its readings with a few branches of each kind."""

    network: Network
    readings: dict[str, Reading]
    alike: dict[str, tuple[str, ...]]
    """Site that stayed → the sites left out that are like it."""


# Where addresses lie --------------------------------------------------------------------------------------------------


class Forest(msgspec.Struct, frozen=True):
    """Prefixes as they lie in each other, of one family."""

    rows: list[Interval]
    starts: list[int]
    parents: list[int]
    straight: bool
    """Whether any two of them lie in each other or apart."""

    def around(self, span: Interval) -> int:
        """The smallest one that holds `span`, -1 for none."""
        at = bisect_right(self.starts, span[0]) - 1
        while at >= 0 and self.rows[at][1] < span[1]:
            at = self.parents[at]
        return at


def forest(spans: Iterable[Interval]) -> Forest:
    """The forest of prefixes."""
    rows = sorted(set(spans), key=lambda span: (span[0], -span[1]))
    parents: list[int] = []
    way: list[int] = []
    straight = True
    for index, (first, last) in enumerate(rows):
        while way and rows[way[-1]][1] < first:
            way.pop()
        if way and rows[way[-1]][1] < last:
            straight = False
        parents.append(way[-1] if way else -1)
        way.append(index)
    return Forest(rows, [row[0] for row in rows], parents, straight)


# Folding --------------------------------------------------------------------------------------------------------------


def fold(
    network: Network, loaded: Mapping[str, dict[str, Text]], read: Callable[[str, dict[str, Text]], Reading], kept: int = KEPT,
    keep: Collection[str] = (), beyond: Outer | None = None,
) -> Folded:  # fmt: skip
    """The Network and what was read of its devices, with at most `kept` branches of each kind, and the sites `keep`.

    `loaded`: device → its texts; `read` reads them: of a branch that is left out none is read. `beyond`: what is said by devices
    that are not among `loaded`.
    """
    found = {key: branch for key, branch in branches(network).items() if all(name in loaded for name in branch.devices)}
    inner = {name for branch in found.values() for name in branch.devices}
    readings = {name: read(name, texts) for name, texts in loaded.items() if name not in inner}
    own = owners(found)
    free = {(4, *interval.interval(network.meta.supernet4)), (6, *interval.interval(network.meta.supernet6))}
    sieves = {}
    for name, reading in readings.items():
        sieves[name] = Sieve(own, reading)
        sieves[name].listen(free)
    templates: dict[object, list[Template]] = {}
    forms = {}
    for branch in found.values():
        fitting = templates.setdefault(branch.shape, [])
        listed = []
        for name in branch.devices:
            targets, text = joined(loaded[name], name)
            at = next((n for n, made in enumerate(fitting) if made.fits(targets, text, branch.values)), None)
            if at is None:
                at = len(fitting)
                fitting.append(template(targets, text, branch.slots))
            listed.append(at)
        forms[branch.site] = tuple(listed)
    stray = Sieve(own, Reading("", {}))
    stray.free = free
    if beyond:
        beyond.stray(stray)
    for made in (made for fitting in templates.values() for made in fitting):
        for mark in made.marks:
            stray.stray(mark)
        for word in made.words & own.of.keys():
            stray.stray(word)
    woods = {family: forest(span[1:] for span in free if span[0] == family) for family in (4, 6)}
    # Where prefixes cross each other nobody is shown to be like another.
    straight = all(wood.straight for wood in woods.values())
    kinds: dict[object, list[str]] = {}
    for branch in found.values():
        if not branch.odd and straight and branch.site not in keep:
            lies = tuple(woods[family].around((first, last)) for family, first, last in branch.spans)
            kinds.setdefault((branch.shape, forms[branch.site], tuple(branch.said), lies), []).append(branch.site)
    alike = {sites[0]: tuple(sites[kept:]) for sites in kinds.values() if len(sites) > kept}
    gone = {site for sites in alike.values() for site in sites}
    for name, sieve in sieves.items():
        readings[name] = sieve.without(gone) if gone else sieve.reading
    for branch in found.values():
        if branch.site not in gone:
            for name in branch.devices:
                readings[name] = read(name, loaded[name])
    return Folded(reduced(network, gone, found), readings, alike)


def reduced(network: Network, gone: Collection[str], found: Mapping[str, Branch]) -> Network:
    """The Network without the branches `gone`."""
    cut = {link for site in gone for link in found[site].links}

    def device(each: Device) -> Device:
        stays = [not item.link or item.link not in cut for item in each.interfaces]
        if all(stays):
            return each
        numbers = tuple(n for n, keep in zip(each.numbers, stays, strict=True) if keep) if each.numbers else ()
        kept = tuple(item for item, keep in zip(each.interfaces, stays, strict=True) if keep)
        return msgspec.structs.replace(each, interfaces=kept, numbers=numbers)

    def sites(listed: Iterable[Site]) -> tuple[Site, ...]:
        return tuple(site for site in listed if site.key not in gone)

    def services(listed: Iterable[Service]) -> tuple[Service, ...]:
        return tuple(service for service in listed if service.site not in gone)

    shards: list[Shard] = []
    for shard in network.shards:
        shards.append(
            msgspec.structs.replace(
                shard, sites=sites(shard.sites), neighbours=sites(shard.neighbours),
                devices=tuple(device(d) for d in shard.devices if d.site not in gone),
                links=tuple(link for link in shard.links if link.id not in cut),
                services=services(shard.services), neighbour_services=services(shard.neighbour_services),
            )
        )  # fmt: skip
    return Network(network.meta, network.flows, tuple(shards), network.keys)
