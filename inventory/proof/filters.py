"""A packet filter as the proof takes it, whatever text it was read from: tables, chains, rules, and packets that meet them."""

from __future__ import annotations

from typing import Literal

import msgspec

from inventory.proof.interval import Interval

Action = Literal["accept", "drop", "reject", "jump", "goto", "return", "continue"]
HOOKS = ("prerouting", "input", "forward", "output", "postrouting", "ingress")

Field = Literal[
    "iif", "oif", "family", "proto", "saddr", "daddr", "sport", "dport", "icmp", "state", "hoplimit", "fibtype", "fibif"
]


class Match(msgspec.Struct, frozen=True, cache_hash=True):
    """One condition. Names (interfaces, protocols, states) are in `names`, numbers and addresses in `spans`."""

    field: Field
    negated: bool = False
    names: tuple[str, ...] = ()
    spans: tuple[Interval, ...] = ()
    family: int = 0
    """4 or 6 of an address condition."""
    set: str = ""
    """Name of the set it refers to."""


class Rule(msgspec.Struct, frozen=True):
    """One rule. A verdict map has `branches` (key → action, target) on the field of `key`."""

    line: int
    matches: tuple[Match, ...]
    action: Action = "continue"
    target: str = ""
    comment: str = ""
    limited: bool = False
    """Matches only below a rate: an accept is then possible, a drop not certain."""
    key: Field | None = None
    branches: tuple[tuple[Match, Action, str], ...] = ()


class Chain(msgspec.Struct, frozen=True):
    """A chain; base chains have a hook."""

    name: str
    line: int
    end: int
    rules: tuple[Rule, ...]
    type: str = ""
    hook: str = ""
    priority: int = 0
    policy: Action = "accept"
    policy_line: int = 0


class Set(msgspec.Struct, frozen=True, cache_hash=True):
    """A named set of addresses, ports, names …"""

    name: str
    type: str
    flags: tuple[str, ...]
    line: int
    end: int
    elements: tuple[str, ...]


class Table(msgspec.Struct, frozen=True):
    """A table with its chains and sets by name."""

    family: str
    name: str
    line: int
    end: int
    chains: dict[str, Chain]
    sets: dict[str, Set]


class Ruleset(msgspec.Struct, frozen=True):
    """All tables of one file. `flushes`: whether the file clears what was loaded before it."""

    file: str
    tables: tuple[Table, ...]
    flushes: bool
    untracked: frozenset[int] = frozenset()
    """Families in which a packet of no connection is treated as a new one."""

    def base_chains(self, hook: str) -> list[tuple[Table, Chain]]:
        """The base chains of filters on `hook`, by priority."""
        found = [(t, c) for t in self.tables for c in t.chains.values() if c.hook == hook and c.type == "filter"]
        return sorted(found, key=lambda pair: pair[1].priority)


class Packet(msgspec.Struct, frozen=True):
    """A packet as a filter sees it; `port` is the destination port, or the ICMP type."""

    family: int
    iif: str
    oif: str
    src: int
    dst: int
    proto: str
    port: int = 0
    sport: int = 40000
    state: str = "new"
