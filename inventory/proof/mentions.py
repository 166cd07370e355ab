"""What devices say of branches that are not theirs: taken out, and noted for each branch with places for its own values."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable
from typing import Any

import msgspec

from inventory.proof import filters, frr, interval
from inventory.proof.branches import Branch, Mark, address
from inventory.proof.texts import Reading


class Owners(msgspec.Struct):
    """Who owns which name and address."""

    branches: dict[str, Branch]
    of: dict[Mark, str]
    starts: dict[int, list[int]]
    spans: dict[int, list[tuple[int, int, str]]]

    def inside(self, family: int, first: int, last: int) -> set[str]:
        """The branches with an own address that meets `first`..`last` and does not lie wholly in it, or is it."""
        rows = self.spans[family]
        found = set()
        for end in (first, last):
            at = bisect_right(self.starts[family], end) - 1
            if at >= 0 and rows[at][1] >= end:
                own = rows[at][:2]
                if own == (first, last) or not (first <= own[0] and own[1] <= last):
                    found.add(rows[at][2])
        return found


def owners(found: dict[str, Branch]) -> Owners:
    """The index of own values. Values that two branches claim make both odd."""
    of: dict[Mark, str] = {}
    spans: dict[int, list[tuple[int, int, str]]] = {4: [], 6: []}
    for branch in found.values():
        for mark in branch.slots:
            other = of.setdefault(mark, branch.site)
            if other != branch.site:
                branch.odd = found[other].odd = True
        for family, first, last in branch.spans:
            spans[family].append((first, last, branch.site))
    outer: dict[int, list[tuple[int, int, str]]] = {4: [], 6: []}
    for family, rows in spans.items():
        for first, last, site in sorted(set(rows), key=lambda row: (row[0], -row[1])):
            if outer[family] and first <= outer[family][-1][1]:
                if outer[family][-1][2] != site:
                    found[site].odd = found[outer[family][-1][2]].odd = True
                continue
            outer[family].append((first, last, site))
    return Owners(found, of, {family: [row[0] for row in rows] for family, rows in outer.items()}, outer)


class Outer(msgspec.Struct, frozen=True):
    """What devices say that lie beyond the branches' own centre: they have no business with one of them."""

    names: frozenset[str]
    spans: dict[int, list[tuple[int, int]]]

    def stray(self, sieve: Sieve) -> None:
        """Whatever it says of a branch makes that one unlike others; its addresses count as far as they meet a branch's."""
        for name in self.names & sieve.own.of.keys():
            sieve.stray(name)
        for family, spans in self.spans.items():
            rows = sieve.own.spans[family]
            if rows:
                low, high = rows[0][0], rows[-1][1]
                for first, last in spans:
                    if first <= high and last >= low:
                        sieve.stray((family, first, last))


def outer(readings: Iterable[Reading]) -> Outer:
    """Everything that is named in these readings."""
    marks = _named(list(readings))
    names = frozenset(mark for mark in marks if isinstance(mark, str))
    spans = {mark for mark in marks if not isinstance(mark, str)} | {span for name in names if (span := address(name))}
    return Outer(names, {of: sorted(span[1:] for span in spans if span[0] == of) for of in (4, 6)})


class Sieve:
    """Takes apart what one device says: what is said of a branch, and what is left when some branches are gone."""

    def __init__(self, own: Owners, reading: Reading) -> None:
        self.own = own
        self.reading = reading
        self.maps, self.lists = _users(own, reading.frr) if reading.frr else ({}, {})

    def owner(self, *marks: Mark) -> str | None:
        """The branch that all of `marks` that are anybody's belong to. Several branches in one line make each of them odd."""
        of = self.own.of
        if len(marks) == 1:
            return of.get(marks[0])
        found = {of[mark] for mark in marks if mark in of}
        if len(found) > 1:
            for site in found:
                self.own.branches[site].odd = True
            return None
        return found.pop() if found else None

    def without(self, gone: Collection[str]) -> Reading:
        """The reading without what it says of the branches `gone`."""
        config, ruleset = self.reading.frr, self.reading.nftables
        return msgspec.structs.replace(
            self.reading,
            frr=self._config(config, gone) if config else None,
            nftables=self._ruleset(ruleset, gone) if ruleset else None,
            units=tuple(unit for unit in self.reading.units if self.owner(unit.name) not in gone),
        )

    def static(self, static: frr.Static) -> str | None:
        return self.owner(_span(static.prefix), _span(static.target) or static.target)

    def _config(self, config: frr.Config, gone: Collection[str]) -> frr.Config:
        def stays(*marks: Mark) -> bool:
            return self.owner(*marks) not in gone

        bgp = config.bgp
        if bgp:
            bgp = msgspec.structs.replace(
                bgp,
                neighbours={a: n for a, n in bgp.neighbours.items() if stays(_span(a))},
                networks=tuple(o for o in bgp.networks if stays(_span(o.what))),
                aggregates=tuple(a for a in bgp.aggregates if stays(_span(a.prefix))),
            )
        lists = {}
        for key, listed in config.prefix_lists.items():
            if key in self.lists:
                if self.lists[key] not in gone:
                    lists[key] = listed
            else:
                kept = tuple(entry for entry in listed.entries if stays(_reach(entry)))
                lists[key] = (
                    listed if len(kept) == len(listed.entries) else msgspec.structs.replace(listed, entries=kept)
                )
        return msgspec.structs.replace(
            config,
            bgp=bgp,
            prefix_lists=lists,
            route_maps={
                name: m
                for name, m in config.route_maps.items()
                if self.maps.get(name) not in gone or name not in self.maps
            },
            interfaces={name: i for name, i in config.interfaces.items() if stays(name)},
            statics=tuple(s for s in config.statics if self.static(s) not in gone),
            bfd_peers=tuple(s for s in config.bfd_peers if stays(*s.words)),
            ospf={
                family: msgspec.structs.replace(
                    process,
                    networks=tuple(n for n in process.networks if stays(_span(n[0]))),
                    passive={name: line for name, line in process.passive.items() if stays(name)},
                    active={name: line for name, line in process.active.items() if stays(name)},
                    areas={name: area for name, area in process.areas.items() if stays(name)},
                )
                for family, process in config.ospf.items()
            },
        )

    def _ruleset(self, ruleset: filters.Ruleset, gone: Collection[str]) -> filters.Ruleset:
        tables = []
        for table in ruleset.tables:
            sets = {}
            for name, found in table.sets.items():
                kept = tuple(e for e in found.elements if self.owner(_mark(e)) not in gone)
                sets[name] = (
                    found if len(kept) == len(found.elements) else msgspec.structs.replace(found, elements=kept)
                )
            chains = {}
            for name, chain in table.chains.items():
                rules = []
                for rule in chain.rules:
                    made = self._rule(rule, gone)
                    if made is not None:
                        rules.append(made)
                chains[name] = msgspec.structs.replace(chain, rules=tuple(rules))
            tables.append(msgspec.structs.replace(table, sets=sets, chains=chains))
        return msgspec.structs.replace(ruleset, tables=tuple(tables))

    def _rule(self, rule: filters.Rule, gone: Collection[str]) -> filters.Rule | None:
        """The rule without values of the branches `gone`; None when one of its conditions was of nothing else."""
        if not any(match.names or match.spans for match in rule.matches):
            return rule
        matches = []
        for match in rule.matches:
            marks = _marks(match)
            kept = [mark for mark in marks if self.owner(mark) not in gone]
            if marks and not kept:
                return None
            if len(kept) < len(marks):
                names = tuple(mark for mark in kept if isinstance(mark, str))
                spans = tuple((mark[1], mark[2]) for mark in kept if not isinstance(mark, str))
                match = msgspec.structs.replace(match, names=names, spans=spans)
            matches.append(match)
        return msgspec.structs.replace(rule, matches=tuple(matches))

    # What is said of each branch.

    def say(self, site: str, *what: object) -> None:
        """Note what this device says of a branch."""
        self.own.branches[site].said.append((self.reading.device, *what))

    def listen(self, free: set[tuple[int, int, int]]) -> None:
        """Note for every branch what is said of it; addresses that are no branch's go to `free`."""
        self.free = free
        if self.reading.frr:
            self._hear_config(self.reading.frr)
        if self.reading.nftables:
            self._hear_ruleset(self.reading.nftables)
        for unit in self.reading.units:
            site = self.owner(unit.name)
            if site:
                lines = tuple(
                    (line.section, line.number, line.key, self.place(site, line.value)) for line in unit.lines
                )
                self.say(site, "unit", self.place(site, unit.name), lines)
        # What is left when every branch is gone must speak of none.
        for mark in _named(self.without(self.own.branches.keys())):
            self.stray(mark)

    def stray(self, mark: Mark) -> None:
        """A value that is not one's own: where it is another branch's, that one is not like others."""
        other = self.own.of.get(mark)
        span = address(mark) if isinstance(mark, str) else mark
        touched = {other} if other else set()
        if span and not other:
            self.free.add(span)
            touched = self.own.inside(*span)
        for each in touched:
            self.own.branches[each].odd = True

    def place(self, site: str, mark: Mark) -> object:
        """The place of an own value, or the value itself."""
        found = self.own.branches[site].slots.get(mark)
        if found is None:
            self.stray(mark)
            return mark
        return found

    def words(self, site: str, words: Iterable[str]) -> tuple[object, ...]:
        """Words with own values as places; their line is left out."""
        return tuple(self.place(site, word) for word in words)

    def _hear_config(self, config: frr.Config) -> None:
        for static in config.statics:
            if site := self.static(static):
                target = _span(static.target) or static.target
                self.say(
                    site, "static", self.place(site, _span(static.prefix)), self.place(site, target), static.distance
                )
        for name, interface in config.interfaces.items():
            if site := self.owner(name):
                settings = tuple(self.words(site, setting.words) for setting in interface.settings)
                self.say(site, "interface", self.place(site, name), settings)
        for setting in config.bfd_peers:
            if site := self.owner(*setting.words):
                self.say(site, "bfd", self.words(site, setting.words))
        for family, process in config.ospf.items():
            for title, names in (("passive", process.passive), ("active", process.active), ("areas", process.areas)):
                for name in names:
                    if site := self.owner(name):
                        self.say(site, title, family, self.place(site, name), process.areas.get(name, ""))
            for prefix, area, _ in process.networks:
                if site := self.owner(_span(prefix)):
                    self.say(site, "ospf", family, self.place(site, _span(prefix)), area)
        for key, listed in config.prefix_lists.items():
            if key not in self.lists:
                before = 0
                for entry in listed.entries:
                    if site := self.owner(_reach(entry)):
                        place = self.place(site, _reach(entry))
                        self.say(site, "entry", key, before, entry.permit, place, entry.low, entry.high)
                    else:
                        before += 1
        if config.bgp:
            for origin in config.bgp.networks:
                if site := self.owner(_span(origin.what)):
                    self.say(site, "network", self.place(site, _span(origin.what)), origin.policy, origin.metric)
            for aggregate in config.bgp.aggregates:
                if site := self.owner(_span(aggregate.prefix)):
                    self.say(site, "aggregate", self.place(site, _span(aggregate.prefix)), aggregate.summary_only)
            for neighbour in config.bgp.neighbours.values():
                if site := self.owner(_span(neighbour.address)):
                    self.say(site, "neighbour", self._neighbour(site, config, neighbour))

    def _neighbour(self, site: str, config: frr.Config, given: frr.Neighbour) -> tuple[object, ...]:
        policies = [(key, self._map(site, config, setting.words[3])) for key, setting in given.policies.items()]
        filters = [(key, self._list(site, config, key[0], setting.words[3])) for key, setting in given.filters.items()]
        settings = [(word, self.words(site, setting.words)) for word, setting in given.settings.items()]
        options = [(key, self.words(site, setting.words)) for key, setting in given.options.items()]
        return (
            self.place(site, _span(given.address)), self.place(site, given.remote_as), tuple(sorted(given.families)),
            *(tuple(sorted(each, key=repr)) for each in (policies, filters, settings, options)),
        )  # fmt: skip

    def _map(self, site: str, config: frr.Config, name: str) -> object:
        if self.maps.get(name) != site:
            return name
        return tuple(
            (
                stanza.permit,
                tuple(
                    (*match.words[:4], self._list(site, config, 4 if match.words[1] == "ip" else 6, match.words[4]))
                    if match.words[2:4] == ("address", "prefix-list")
                    else self.words(site, match.words)
                    for match in stanza.matches
                ),
                tuple(self.words(site, setting.words) for setting in stanza.sets),
            )
            for stanza in config.route_maps.get(name, ())
        )

    def _list(self, site: str, config: frr.Config, family: int, name: str) -> object:
        if self.lists.get((family, name)) != site:
            return name
        listed = config.prefix_lists.get((family, name))
        if listed is None:
            return None
        return tuple((e.permit, self.place(site, _reach(e)), e.low, e.high, e.length) for e in listed.entries)

    def _hear_ruleset(self, ruleset: filters.Ruleset) -> None:
        for number, table in enumerate(ruleset.tables):
            for name, found in table.sets.items():
                for element in found.elements:
                    if site := self.owner(_mark(element)):
                        self.say(site, "element", number, name, self.place(site, _mark(element)))
            for name, chain in table.chains.items():
                before = 0
                for rule in chain.rules:
                    whole = [
                        match
                        for match in rule.matches
                        if (marks := _marks(match)) and all(m in self.own.of for m in marks)
                    ]
                    sites = {self.own.of[mark] for match in whole for mark in _marks(match)}
                    if len(sites) == 1:
                        (site,) = sites
                        said = tuple(
                            (
                                m.field,
                                m.negated,
                                m.set,
                                m.family,
                                tuple(self.place(site, mark) for mark in _marks(m)) or m.names,
                            )
                            for m in rule.matches
                        )
                        self.say(
                            site,
                            "rule",
                            number,
                            name,
                            before,
                            said,
                            rule.action,
                            rule.target,
                            rule.limited,
                            rule.comment,
                        )
                        if rule.branches:
                            self.own.branches[site].odd = True
                        continue
                    before += 1
                    for place, match in enumerate(rule.matches):
                        for mark in _marks(match):
                            if site := self.own.of.get(mark):
                                self.say(site, "part", number, name, before, place, self.place(site, mark))
                                alone = match in whole and len({self.own.of[each] for each in _marks(match)}) == 1
                                self.own.branches[site].odd |= alone or match.negated


def _users(own: Owners, config: frr.Config) -> tuple[dict[str, str], dict[tuple[int, str], str]]:
    """The route maps and prefix lists that speak of one branch's sessions only."""
    maps: dict[str, set[str | None]] = {}
    lists: dict[tuple[int, str], set[str | None]] = {}
    if config.bgp:
        for neighbour in config.bgp.neighbours.values():
            site = own.of.get(_span(neighbour.address))
            for setting in neighbour.policies.values():
                maps.setdefault(setting.words[3], set()).add(site)
            for (family, _), setting in neighbour.filters.items():
                lists.setdefault((family, setting.words[3]), set()).add(site)
        for origin in (*config.bgp.networks, *config.bgp.redistributes):
            maps.setdefault(origin.policy, set()).add(None)
    for process in config.ospf.values():
        for origin in process.redistributes:
            maps.setdefault(origin.policy, set()).add(None)
    for name, stanzas in config.route_maps.items():
        for stanza in stanzas:
            for match in stanza.matches:
                if match.words[2:4] == ("address", "prefix-list"):
                    key = (4 if match.words[1] == "ip" else 6, match.words[4])
                    lists.setdefault(key, set()).update(maps.get(name, {None}))
    return _single(maps), _single(lists)


_Name = Any


def _single(users: dict[_Name, set[str | None]]) -> dict[_Name, str]:
    return {name: site for name, sites in users.items() if len(sites) == 1 for site in sites if site is not None}


def _span(text: str) -> Mark:
    return address(text) or text


def _mark(element: str) -> Mark:
    return address(element) or element


def _reach(entry: frr.PrefixEntry) -> tuple[int, int, int]:
    return entry.family, entry.base, entry.base | (1 << (interval.BITS[entry.family] - entry.length)) - 1


def _marks(match: filters.Match) -> list[Mark]:
    """What a condition names that may be somebody's."""
    if match.field in ("iif", "oif"):
        return list(match.names)
    if match.field in ("saddr", "daddr"):
        return [(match.family, first, last) for first, last in match.spans]
    return []


def _named(read: object) -> set[Mark]:
    """Every name and address in what was read."""
    found: set[Mark] = set()
    left = [read]
    while left:
        value = left.pop()
        if isinstance(value, str):
            found.add(value)
        elif isinstance(value, tuple | list | frozenset):
            left += value
        elif isinstance(value, filters.Match):
            found.update(_marks(value))
        elif isinstance(value, frr.PrefixEntry):
            found.add(_reach(value))
        elif isinstance(value, Reading):
            left += (value.frr, value.nftables, value.units)
        elif isinstance(value, msgspec.Struct):
            left += [getattr(value, f) for f in value.__struct_fields__ if f not in ("file", "hostname", "comment")]
        elif isinstance(value, dict):
            left += value
            left += value.values()
    return found
