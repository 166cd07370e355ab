"""Zones, classes and pairs of IOS-XE's zone-based policy firewall, after its configuration guide: what passes between zones."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from inventory.proof import filters, interval, zoned
from inventory.proof.blocks import Block, Unknown, each
from inventory.proof.filters import Match
from inventory.proof.words import canonical

PORTS = {
    "bgp": 179, "cmd": 514, "domain": 53, "ntp": 123, "snmp": 161, "snmptrap": 162, "syslog": 514, "telnet": 23, "www": 80,
    "bootps": 67, "bootpc": 68, "tacacs": 49, "isakmp": 500, "ftp": 21, "smtp": 25,
}  # fmt: skip
"""Ports that entries name."""
TYPES = {
    4: {"echo": 8, "echo-reply": 0, "unreachable": 3, "time-exceeded": 11},
    6: {"echo-request": 128, "echo-reply": 129, "nd-ns": 135, "nd-na": 136, "router-solicitation": 133,
        "router-advertisement": 134, "packet-too-big": 2, "time-exceeded": 3, "unreachable": 1},
}  # fmt: skip
CONNECTIONS = ("tcp", "udp", "icmp", "icmpv6")
"""What `inspect` keeps the state of."""
NEIGHBOURS = range(133, 138)
"""Types of ICMPv6 that open nothing (RFC 4861 4)."""


class _Entry(msgspec.Struct, frozen=True):
    """One entry of an access list."""

    number: int
    line: int
    permit: bool
    source: str
    target: str
    service: tuple[Match, ...]
    protocol: str


class _Class(msgspec.Struct, frozen=True):
    line: int
    all: bool
    comment: str
    lists: tuple[tuple[str, int], ...]
    protocols: tuple[str, ...]


class _Pair(msgspec.Struct, frozen=True):
    line: int
    source: str
    target: str
    policy: str


class ZonePairs:
    """The firewall of a device while its text is read."""

    def __init__(self, file: str, faults: list[Unknown]) -> None:
        self.file, self.faults = file, faults
        self.zones: dict[str, int] = {}
        self.access: dict[tuple[int, str], list[_Entry]] = {}
        self.places: dict[str, Block] = {}
        """Access list → its block."""
        self.sets: dict[str, zoned.Named] = {}
        self.classes: dict[str, _Class] = {}
        self.policies: dict[str, list[tuple[str, str, int]]] = {}
        self.pairs: list[_Pair] = []

    def read_access(self, family: int, name: str, extended: bool, block: Block) -> None:
        if name in self.places:
            raise Unknown(block.line, f"a second access list {name}")
        entries = self.access[family, name] = []
        self.places[name] = block

        def take(below: Block) -> None:
            words = list(below.words)
            number = 10 * (len(entries) + 1)
            if words[0] == "sequence":
                words = words[1:]
            if words[0].isdigit():
                number, words = int(words[0]), words[1:]
            if words[0] == "remark":
                return
            if words[0] not in ("permit", "deny"):
                raise Unknown(below.line, " ".join(below.words))
            if any(entry.number == number for entry in entries):
                raise Unknown(below.line, f"entry {number} stands twice")
            permit, rest = words[0] == "permit", words[1:]
            if not extended:
                if len(rest) == 1 and rest[0] != "any":
                    rest = ["host", rest[0]]
                source, rest = _side(rest, family, below.line)
                if rest:
                    raise Unknown(below.line, " ".join(below.words))
                entries.append(_Entry(number, below.line, permit, source, "", (), ""))
                return
            protocol = {"ip": "", "ipv6": "", "ospf": "ospf"}.get(rest[0], zoned.NUMBERS.get(rest[0], rest[0]))
            if family == 6 and protocol == "icmp":
                protocol = "icmpv6"
            source, rest = _side(rest[1:], family, below.line)
            target, rest = _side(rest, family, below.line)
            service = _service(protocol, rest, family, below.line)
            entries.append(_Entry(number, below.line, permit, source, target, service, protocol))

        each(block.below, take, self.faults)

    def read_class(self, name: str, whole: bool, block: Block) -> None:
        lists, protocols, comment = [], [], ""
        for below in block.below:
            match below.words:
                case ("description", *words):
                    comment = " ".join(words)
                case ("match", "access-group", "name", listed):
                    lists.append((listed, below.line))
                case ("match", "protocol", "tcp" | "udp" | "icmp" as protocol):
                    protocols.append(protocol)
                case _:
                    raise Unknown(below.line, " ".join(below.words))
        if protocols and (whole or lists):
            raise Unknown(block.line, f"class {name} asks for protocols and for lists")
        self.classes[name] = _Class(block.line, whole, comment, tuple(lists), tuple(protocols))

    def read_policy(self, name: str, block: Block) -> None:
        actions = self.policies[name] = []
        for below in block.below:
            match below.words:
                case ("class", "type", "inspect", title) | ("class", "class-default" as title):
                    said = [" ".join(inner.words) for inner in below.below]
                    if len(said) != 1 or said[0] not in ("inspect", "pass", "drop", "drop log"):
                        raise Unknown(below.line, f"class {title} does {', '.join(said) or 'nothing'}")
                    if title == "class-default" and said[0] == "inspect":
                        raise Unknown(below.line, "`inspect` of everything: name the protocols")
                    actions.append((title, said[0].split()[0], below.line))
                case ("description", *_):
                    pass
                case _:
                    raise Unknown(below.line, " ".join(below.words))

    def read_pair(self, source: str, target: str, block: Block) -> None:
        for zone in (source, target):
            if zone != "self" and zone not in self.zones:
                raise Unknown(block.line, f"zone {zone} is not defined")
        if any((pair.source, pair.target) == (source, target) for pair in self.pairs):
            raise Unknown(block.line, f"a second pair from {source} to {target}")
        policy = ""
        for below in block.below:
            match below.words:
                case ("service-policy", "type", "inspect", name):
                    policy = name
                case ("description", *_):
                    pass
                case _:
                    raise Unknown(below.line, " ".join(below.words))
        if policy not in self.policies:
            raise Unknown(block.line, f"policy map {policy or 'of this pair'} is not defined")
        self.pairs.append(_Pair(block.line, source, target, policy))

    # Put together

    def ruleset(
        self, end: int, members: Mapping[str, str], apart: Sequence[str], away: Sequence[str]
    ) -> filters.Ruleset:  # fmt: skip
        """The zone pairs as chains. `members`: interface → zone; `apart`: interfaces that the firewall does not see; `away`: those
        of instances, which lead nowhere else."""
        line = min((pair.line for pair in self.pairs), default=1)
        inside = {zone: [name for name, of in members.items() if of == zone] for zone in self.zones}
        held = [name for names in inside.values() for name in names]
        self._answers()
        chains = {
            "input": list(self._chain("input", line, inside, held, apart)),
            "forward": list(self._chain("forward", line, inside, held, sorted({*apart, *away}))),
        }
        return zoned.ruleset(
            self.file, (line, end), self.sets, chains, ("drop", line), (4, 6) if self._passing() else ()
        )

    def _passing(self) -> bool:
        """Whether packets between zones are forwarded without a state."""
        return any(
            title == "class-default" and action == "pass"
            for pair in self.pairs
            if "self" not in (pair.source, pair.target)
            for title, action, _ in self.policies[pair.policy]
        )

    def _answers(self) -> None:
        """What is passed one way has to be passed the other way as well: nothing remembers it."""
        passing = {
            (pair.source, pair.target)
            for pair in self.pairs
            for title, action, _ in self.policies[pair.policy]
            if title == "class-default" and action == "pass"
        }
        for pair in self.pairs:
            for title, action, line in self.policies[pair.policy]:
                if action != "pass" or title == "class-default":
                    continue
                for entry in self._entries(title, line):
                    new = entry.protocol in ("tcp", "udp", "icmp", "") or (
                        entry.protocol == "icmpv6" and not _opens_nothing(entry.service)
                    )
                    if new and (pair.target, pair.source) not in passing:
                        raise Unknown(line, f"class {title} is passed one way: the answers are dropped, `inspect` it")

    def _entries(self, title: str, line: int) -> Iterator[_Entry]:
        if title not in self.classes:
            raise Unknown(line, f"class {title} is not defined")
        for name, place in self.classes[title].lists:
            found = [self.access[family, name] for family in (4, 6) if (family, name) in self.access]
            if not found:
                raise Unknown(place, f"access list {name} is not defined")
            yield from found[0]

    def _chain(
        self, hook: str, line: int, inside: dict[str, list[str]], held: list[str], apart: Sequence[str]
    ) -> Iterator[filters.Rule]:
        if hook == "input":
            yield filters.Rule(line, (Match("iif", names=("lo",)),), "accept")
            # The management port lies outside: what comes in there is for the terminals' access classes.
            for name in apart:
                yield filters.Rule(line, (Match("iif", names=(name,)),), "accept")
        elif apart:
            yield filters.Rule(line, (Match("iif", names=tuple(apart)),), "drop")
            yield filters.Rule(line, (Match("oif", names=tuple(apart)),), "drop")
        pairs = {(pair.source, pair.target): pair for pair in self.pairs}
        yield from self._unzoned(hook, line, held, pairs)
        if hook == "input":
            # Answers to what the device itself opened come back where that is inspected, and nowhere else.
            back = [name for zone, names in inside.items() for name in names if self._opens(pairs.get(("self", zone)))]
            if back:
                answers = (Match("iif", names=tuple(sorted(back))), Match("state", names=("established", "related")))
                yield filters.Rule(line, answers, "accept")
        elif not self._passing():
            yield from zoned.states(line, ())
        for source, names in inside.items():
            if not names:
                continue
            for target in ["self"] if hook == "input" else inside:
                exits = () if target == "self" else tuple(sorted(inside[target]))
                if target != "self" and not exits:
                    continue
                ways = (Match("iif", names=tuple(sorted(names))), *((Match("oif", names=exits),) if exits else ()))
                pair = pairs.get((source, target))
                if pair is None:
                    # Without a pair: to the device itself and inside a zone all passes, between zones nothing.
                    yield filters.Rule(line, ways, "accept" if target in ("self", source) else "drop")
                else:
                    yield from self._between(pair, ways)

    def _unzoned(
        self, hook: str, line: int, held: Sequence[str], pairs: dict[tuple[str, str], _Pair]
    ) -> Iterator[filters.Rule]:
        """Interfaces in no zone: they are in the zone `default` where that is defined, else outside of the firewall."""
        free = Match("iif", True, tuple(sorted(held)))
        if hook == "input":
            pair = pairs.get(("default", "self")) if "default" in self.zones else None
            closed = pair is not None and all(action == "drop" for _, action, _ in self.policies[pair.policy])
            yield filters.Rule(pair.line if pair else line, (free,), "drop" if closed else "accept")
            return
        pair = pairs.get(("default", "default")) if "default" in self.zones else None
        closed = pair is not None and all(action == "drop" for _, action, _ in self.policies[pair.policy])
        both = (free, Match("oif", True, tuple(sorted(held))))
        yield filters.Rule(pair.line if pair else line, both, "drop" if closed else "accept")
        yield filters.Rule(line, (free,), "drop")
        yield filters.Rule(line, (both[1],), "drop")

    def _opens(self, pair: _Pair | None) -> bool:
        """Whether TCP, UDP and ICMP of the device itself are inspected in a pair."""
        for title, action, line in self.policies[pair.policy] if pair else ():
            if title != "class-default" and title not in self.classes:
                raise Unknown(line, f"class {title} is not defined")
            if action == "inspect" and {"tcp", "udp", "icmp"} <= set(self.classes[title].protocols):
                return True
        return False

    def _between(self, pair: _Pair, ways: tuple[Match, ...]) -> Iterator[filters.Rule]:
        """What a pair's policy does: the first class that fits decides."""
        actions = self.policies[pair.policy]
        if any(action == "inspect" for _, action, _ in actions):
            for family in (4, 6):
                yield filters.Rule(pair.line, (*ways, zoned.of(family), Match("state", names=("invalid",))), "drop")
        for title, action, line in actions:
            verdict: filters.Action = "drop" if action == "drop" else "accept"
            if title == "class-default":
                yield filters.Rule(line, ways, verdict)
                continue
            if title not in self.classes:
                raise Unknown(line, f"class {title} is not defined")
            for place, rule in self._class_rules(title, action, line):
                yield filters.Rule(place, (*ways, *rule), verdict, "", self.classes[title].comment)
        if not any(title == "class-default" for title, _, _ in actions):
            yield filters.Rule(pair.line, ways, "drop")

    def _class_rules(self, title: str, action: str, line: int) -> Iterator[tuple[int, tuple[Match, ...]]]:
        """The conditions of a class with their line: one for each entry, or for each service where two lists have to fit."""
        one = self.classes[title]
        for protocol in one.protocols:
            yield one.line, (Match("proto", names=(protocol, "icmpv6") if protocol == "icmp" else (protocol,)),)
        groups = []
        for name, place in one.lists:
            families = [family for family in (4, 6) if (family, name) in self.access]
            if not families:
                raise Unknown(place, f"access list {name} is not defined")
            entries = sorted(self.access[families[0], name], key=lambda entry: entry.number)
            for entry in entries:
                if not entry.permit:
                    raise Unknown(entry.line, "a denial inside a class is not computed")
                if action == "inspect" and entry.protocol not in (*CONNECTIONS, ""):
                    raise Unknown(entry.line, f"{entry.protocol} cannot be inspected: `pass` it")
            groups.append((families[0], name, entries))
        if not one.all:
            for family, _, entries in groups:
                for entry in entries:
                    yield entry.line, (zoned.of(family), *_sides(entry, family), *_bare(entry.service))
            return
        if len(groups) != 2 or groups[0][0] != groups[1][0]:
            raise Unknown(one.line, f"class {title}: two lists of one family are computed, one of them of sources")
        (family, listed, sources), (_, own, others) = groups
        if any(entry.target or entry.protocol or not entry.source for entry in sources) or any(
            e.source for e in others
        ):
            raise Unknown(
                one.line, f"class {title}: the first list has to name sources, the second targets and services"
            )
        given = self._set("saddr", listed, listed, family, [entry.source for entry in sources])
        services: dict[tuple[Match, ...], list[_Entry]] = {}
        for entry in others:
            services.setdefault(_bare(entry.service), []).append(entry)
        for number, (service, fitting) in enumerate(services.items()):
            targets = [entry.target for entry in fitting]
            to = () if "" in targets else (self._set("daddr", f"{own} {number}", own, family, targets),)
            yield fitting[0].line, (zoned.of(family), given, *to, *service)

    def _set(self, where: filters.Field, title: str, listed: str, family: int, elements: list[str]) -> Match:
        """The condition that an end is one of those that a list names."""
        block = self.places[listed]
        self.sets[title] = zoned.Named(block.line, block.last, tuple(dict.fromkeys(elements)))
        return Match(where, family=family, set=f"{title}/{family}")


def _sides(entry: _Entry, family: int) -> list[Match]:
    """The conditions on the addresses of one entry."""
    return [
        Match("saddr" if where == "saddr" else "daddr", spans=(interval.interval(text),), family=family)
        for where, text in (("saddr", entry.source), ("daddr", entry.target))
        if text
    ]


def _bare(service: tuple[Match, ...]) -> tuple[Match, ...]:
    return tuple(match for match in service if match.field != "family")


def _opens_nothing(service: tuple[Match, ...]) -> bool:
    return any(match.field == "icmp" and all(low in NEIGHBOURS for low, _ in match.spans) for match in service)


def _side(words: Sequence[str], family: int, line: int) -> tuple[str, list[str]]:
    """(prefix, what is left) of one end of an entry; the prefix is empty for any."""
    match list(words):
        case ["any", *rest]:
            return "", rest
        case ["host", address, *rest]:
            return canonical(f"{address}/{interval.BITS[family]}", family), rest
        case [prefix, *rest] if family == 6:
            return canonical(prefix, 6), rest
        case [address, wild, *rest]:
            return canonical(f"{address}/{ipaddress.ip_network(f'0.0.0.0/{wild}').prefixlen}", 4), rest
    raise Unknown(line, f"an end of an entry: {' '.join(words)}")


def _service(protocol: str, rest: Sequence[str], family: int, line: int) -> tuple[Match, ...]:
    match list(rest):
        case [] if not protocol:
            return ()
        case []:
            return zoned.kind(protocol)
        case ["eq", port] if protocol in ("tcp", "udp"):
            return zoned.kind(protocol, PORTS[port] if port in PORTS else int(port))
        case ["range", low, high] if protocol in ("tcp", "udp"):
            return (Match("proto", names=(protocol,)), Match("dport", spans=((int(low), int(high)),)))
        case [kind] if protocol in ("icmp", "icmpv6"):
            known = TYPES[family]
            return zoned.kind(protocol, known[kind] if kind in known else int(kind))
    raise Unknown(line, f"{protocol} {' '.join(rest)}")
