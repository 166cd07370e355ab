"""The form of a filter: the question whether it is right, without the names and addresses that it is asked with.

A filter treats addresses as members of sets, and so does what is expected of it. Whether it lets through too much or too little
depends on which of these sets meet, not on where in the world they lie. Of prefixes, that is said by which lies in which, and
which are filled by those inside them. Two filters of one form, each with what is expected of it, are right or wrong together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import msgspec

from ground import files
from inventory.proof import interval
from inventory.proof.decide import MANAGEMENT, STRANGER, Expected, own_addresses
from inventory.proof.filters import Match, Ruleset
from inventory.proof.interval import Interval
from inventory.proof.nftables import filled
from ip_plan.network import Device


class _Names(msgspec.Struct):
    """Names and spans by the order in which they come up."""

    interfaces: dict[str, int]
    spans: dict[tuple[int, Interval], int] = {}
    lists: dict[tuple[int, tuple[Interval, ...]], tuple[int, ...]] = {}

    def span(self, family: int, span: Interval) -> int:
        return self.spans.setdefault((family, span), len(self.spans))

    def all(self, family: int, spans: tuple[Interval, ...]) -> tuple[int, ...]:
        """The places of a set of addresses."""
        key = (family, spans)
        if key not in self.lists:
            self.lists[key] = tuple(self.span(family, span) for span in spans)
        return self.lists[key]


def of(device: Device, wanted: Expected, ruleset: Ruleset, whole: dict[int, Interval]) -> str:
    """The form of a device's filter together with what is expected of it: SHA-256, 64 hexadecimal digits."""
    wild = any("*" in name for name in _interfaces(ruleset))
    # A pattern looks into names: then they are part of the form.
    names = _Names({name: place for place, (name, _) in enumerate(wanted.interfaces)} if not wild else {})

    def title(name: str) -> object:
        return names.interfaces.get(name, name)

    digest = hashlib.sha256()

    def say(part: list[object]) -> None:
        # One part after the other: with a thousand lines there are millions of pairs.
        digest.update(msgspec.msgpack.encode(part))

    say([device.role, [[title(name), title(kind), _meaning(name)] for name, kind in wanted.interfaces]])
    for family in (4, 6):
        say([names.span(family, whole[family]), *(names.span(family, span) for span in own_addresses(device, family))])
    lists: dict[int, int] = {}
    for key, boxes in wanted.boxes.items():
        if id(boxes) not in lists:
            lists[id(boxes)] = len(lists)
            say([[names.all(key[3], box.sources), names.all(key[3], box.targets), box.optional] for box in boxes])
        say([key[0], title(key[1]), title(key[2]), key[3:], lists[id(boxes)]])
    say([ruleset.flushes, sorted(ruleset.untracked)])
    for table in ruleset.tables:
        for chain in table.chains.values():
            say([table.family, table.name, chain.name, chain.type, chain.hook, chain.priority, chain.policy])
            for rule in chain.rules:
                matches = [_match(names, filled(table, match)) for match in rule.matches]
                branches = [
                    [_match(names, filled(table, match)), action, target] for match, action, target in rule.branches
                ]
                say([matches, rule.action, rule.target, rule.limited, rule.key, branches])
    say(_structure(names.spans))
    return digest.hexdigest()


def _meaning(name: str) -> str:
    """What the name of an interface says by itself."""
    return name if name in (MANAGEMENT, STRANGER) else name[:2] if name.startswith("z-") else ""


def _interfaces(ruleset: Ruleset) -> Iterable[str]:
    for table in ruleset.tables:
        for found in table.sets.values():
            if found.type == "ifname":
                yield from found.elements
        for chain in table.chains.values():
            for rule in chain.rules:
                for match in (*rule.matches, *(branch[0] for branch in rule.branches)):
                    if match.field in ("iif", "oif"):
                        yield from match.names


def _match(names: _Names, match: Match) -> object:
    if match.field in ("saddr", "daddr"):
        return [match.field, match.negated, match.family, names.all(match.family, match.spans)]
    if match.field in ("iif", "oif"):
        return [match.field, match.negated, sorted(repr(names.interfaces.get(name, name)) for name in match.names)]
    return [match.field, match.negated, match.family, match.names, match.spans]


def _structure(spans: dict[tuple[int, Interval], int]) -> list[object]:
    """How the spans of each family lie: each one's next outer one, and whether those inside fill it. Places are theirs."""
    found: list[object] = []
    for family in (4, 6):
        last = (1 << interval.BITS[family]) - 1
        rows = sorted(
            ((span, place) for (of_, span), place in spans.items() if of_ == family),
            key=lambda row: (row[0][0], -row[0][1]),
        )
        way: list[tuple[Interval, int]] = [((0, last), -1)]
        free = {-1: last + 1}
        lies: dict[int, int] = {}
        for span, place in rows:
            while way[-1][0][1] < span[0]:
                way.pop()
            if way[-1][0][1] < span[1]:
                # They cross: nothing shorter than their ends in order tells how.
                points = interval.cuts((row[0] for row in rows), family)
                found.append(
                    [[place, points.index(s[0]), s[1] + 1 in points and points.index(s[1] + 1)] for s, place in rows]
                )
                break
            free[way[-1][1]] -= span[1] - span[0] + 1
            free[place] = span[1] - span[0] + 1
            lies[place] = way[-1][1]
            way.append((span, place))
        else:
            found.append([[place, lies[place], free[place] == 0] for place in sorted(lies)])
            found.append(free[-1] == 0)
    return found


class Store(msgspec.Struct, frozen=True):
    """Forms that were proved right, with how many kinds of packets each was asked. What a form is asked and how is fixed by the
    program: a store is that of one program."""

    folder: Path | None = None
    """Shared between processes and runs; None: this process only."""
    known: dict[str, int] = {}

    def get(self, form: str) -> int | None:
        """Kinds of packets that were asked; None for a form that is not known to be right."""
        if form not in self.known and self.folder is not None:
            try:
                self.known[form] = int((self.folder / form).read_text())
            except (OSError, ValueError):
                return None
        return self.known.get(form)

    def put(self, form: str, asked: int) -> None:
        """Keep that a form is right."""
        self.known[form] = asked
        if self.folder is not None:
            files.write(self.folder / form, str(asked), durable=False)


@lru_cache(maxsize=1)
def program() -> str:
    """SHA-256 of the program that proves: its readers, what it expects, and the Network it reads."""
    here = Path(__file__).parent
    sources = sorted(
        [*here.glob("*.py"), *(here.parents[1] / "ip_plan").glob("*.py"), *(here.parents[1] / "ground").glob("*.py")]
    )
    return files.sha256("".join(files.sha256(path.read_bytes()) for path in sources).encode())
