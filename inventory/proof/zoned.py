"""What the packet filters of vendors mean, as the rule sets that the proof computes with: interfaces in zones, rules between them.

The reader of a dialect says what a line means in these words; nothing here knows a dialect.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from inventory.proof import filters, interval
from inventory.proof.filters import Match

NUMBERS = {"1": "icmp", "6": "tcp", "17": "udp", "47": "gre", "50": "esp", "51": "ah", "58": "icmpv6", "89": "ospf",
           "112": "vrrp"}  # fmt: skip
"""IANA protocol numbers → names as the proof spells them."""


class Named(msgspec.Struct, frozen=True):
    """A set of addresses with a name, and where it stands."""

    line: int
    last: int
    elements: tuple[str, ...]


class Rule(msgspec.Struct, frozen=True):
    """One rule. `entries` and `exits` are interfaces; None: any. A service is its conditions."""

    line: int
    accepts: bool
    comment: str = ""
    families: tuple[int, ...] = (4, 6)
    entries: tuple[str, ...] | None = None
    exits: tuple[str, ...] | None = None
    sources: tuple[str, ...] = ()
    """Prefixes, or `@` and the name of a set; empty: any."""
    targets: tuple[str, ...] = ()
    services: tuple[tuple[Match, ...], ...] = ((),)


def expanded(rule: Rule, sets: Mapping[str, Named]) -> Iterator[filters.Rule]:
    """The rule once for each family and service."""
    ways: list[Match] = []
    for field, names in (("iif", rule.entries), ("oif", rule.exits)):
        if names is None:
            continue
        if not names:
            return
        ways.append(Match("iif" if field == "iif" else "oif", names=tuple(sorted(names))))
    for family in rule.families:
        sides = []
        for where, given in (("saddr", rule.sources), ("daddr", rule.targets)):
            made = _addresses("saddr" if where == "saddr" else "daddr", given, family, sets)
            if given and made is None:
                break
            sides += [made] if made else []
        else:
            for service in rule.services:
                if any(match.field == "family" and match.names != (f"ipv{family}",) for match in service):
                    continue
                own = of(family)
                matches = (*ways, own, *sides, *(match for match in service if match != own))
                action: filters.Action = "accept" if rule.accepts else "drop"
                yield filters.Rule(rule.line, matches, action, "", rule.comment)


def _addresses(where: filters.Field, given: Sequence[str], family: int, sets: Mapping[str, Named]) -> Match | None:
    """The condition in one family; None where nothing of the family is named."""
    listed: list[str] = []
    names = []
    for one in given:
        elements = sets[one[1:]].elements if one.startswith("@") else (one,)
        own = [element for element in elements if interval.family(element) == family]
        listed += own
        names += [one[1:]] if one.startswith("@") and own else []
    if not listed:
        return None
    if len(names) == len(given) == 1:
        return Match(where, family=family, set=f"{names[0]}/{family}")
    return Match(where, spans=tuple(sorted(interval.interval(element) for element in listed)), family=family)


def ruleset(
    file: str,
    place: tuple[int, int],
    sets: Mapping[str, Named],
    chains: Mapping[str, Iterable[filters.Rule]],
    default: tuple[filters.Action, int],
    untracked: Iterable[int] = (),
) -> filters.Ruleset:
    """Chains by hook as one table. `place`: first and last line; `default`: what no rule decides, and its line."""
    made = {}
    for name, named in sets.items():
        for family, kind in ((4, "ipv4_addr"), (6, "ipv6_addr")):
            own = tuple(element for element in named.elements if interval.family(element) == family)
            key = f"{name}/{family}"
            made[key] = filters.Set(key, kind, ("interval",), named.line, named.last, own)
    based = {
        hook: filters.Chain(hook, *place, tuple(rules), "filter", hook, 0, *default) for hook, rules in chains.items()
    }
    table = filters.Table("inet", "zones", *place, based, made)
    return filters.Ruleset(file, (table,), True, frozenset(untracked))


def outside(line: int, hook: str, held: Iterable[str], apart: Iterable[str]) -> Iterator[filters.Rule]:
    """What no rule is asked about: the device's own loopback passes; instances apart lead nowhere, nor interfaces in no zone."""
    inside, away = tuple(sorted(held)), tuple(sorted(apart))
    if hook == "input":
        yield filters.Rule(line, (Match("iif", names=("lo",)),), "accept")
    if hook == "forward" and away:
        yield filters.Rule(line, (Match("iif", names=away),), "drop")
        yield filters.Rule(line, (Match("oif", names=away),), "drop")
    if hook != "output":
        yield filters.Rule(line, (Match("iif", True, inside),), "drop")
    if hook == "forward":
        yield filters.Rule(line, (Match("oif", True, inside),), "drop")


def states(line: int, families: Iterable[int]) -> Iterator[filters.Rule]:
    """Answers pass; in `families` what belongs to no connection and opens none does not."""
    yield filters.Rule(line, (Match("state", names=("established", "related")),), "accept")
    for family in families:
        yield filters.Rule(line, (of(family), Match("state", names=("invalid",))), "drop")


def kind(protocol: str, number: int | None = None) -> tuple[Match, ...]:
    """The conditions on protocol and port, or type of ICMP."""
    own = Match("proto", names=(protocol,))
    if protocol in ("icmp", "icmpv6"):
        typed = () if number is None else (Match("icmp", spans=((number, number),)),)
        return (of(4 if protocol == "icmp" else 6), own, *typed)
    if number is None or protocol not in ("tcp", "udp"):
        return (own,)
    return (own, Match("dport", spans=((number, number),)))


def of(family: int) -> Match:
    """The condition on the family."""
    return Match("family", names=(f"ipv{family}",))
