"""What a rule set does with packets: of one kind at a time, between any two addresses."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import msgspec

from ground.mistake import Mistake, Mistakes
from inventory.proof import interval
from inventory.proof.filters import Chain, Match, Packet, Rule, Ruleset, Table
from inventory.proof.interval import Interval
from inventory.proof.nftables import filled


class Question(msgspec.Struct, frozen=True):
    """The packets of one kind: everything but their addresses. `oif` is empty at the input hook."""

    family: int
    iif: str
    oif: str
    proto: str
    port: int = 0
    sport: int = 40000
    state: str = "new"


class Cells(msgspec.Struct, frozen=True):
    """The address plane of one family cut into cells that every rule treats alike: (class of sources) × (class of targets)."""

    src: tuple[int, ...]
    """The first address of each class of sources."""
    dst: tuple[int, ...]
    rows: dict[tuple[Interval, ...], int] = {}
    """Sets of addresses that were cut along → the classes in them."""
    columns: dict[tuple[Interval, ...], int] = {}

    @property
    def all(self) -> int:
        """The mask of every cell."""
        return (1 << (len(self.src) * len(self.dst))) - 1

    def product(self, sources: tuple[Interval, ...] | None, targets: tuple[Interval, ...] | None) -> int:
        """The mask of the cells in `sources` × `targets`; None is every address."""
        width = len(self.dst)
        columns = (1 << width) - 1
        if targets is not None:
            known = self.columns.get(targets)
            columns = interval.mask(self.dst, targets) if known is None else known
        if sources is None:
            return columns * interval.repeat(len(self.src), width)
        known = self.rows.get(sources)
        rows = interval.mask(self.src, sources) if known is None else known
        return columns * interval.spread(rows, width)

    def cell(self, bit: int) -> tuple[int, int]:
        """The first source and destination address of a cell."""
        return self.src[bit // len(self.dst)], self.dst[bit % len(self.dst)]


def partition(sources: Iterable[tuple[Interval, ...]], targets: Iterable[tuple[Interval, ...]], family: int) -> Cells:
    """The coarsest cells of which each is wholly inside or outside every given set of sources and of targets."""
    src, rows = interval.classes(sources, family)
    dst, columns = interval.classes(targets, family)
    return Cells(src, dst, rows, columns)


class Answer(msgspec.Struct):
    """Which cells are accepted, and which line decided which cells."""

    accepted: int
    decided: list[tuple[int, bool, int]]
    """(line, accepted, cells), in the order of the walk; a later hook's chain may still drop what one accepted."""

    def line_of(self, cell: int) -> tuple[int, bool]:
        """The line that decided the cell with bit `cell`, and whether it accepted."""
        found = (0, True)
        for line, accepts, cells in self.decided:
            if cells & cell:
                found = (line, accepts)
                if not accepts:
                    break
        return found


@lru_cache(maxsize=100_000)
def _decides(names: tuple[str, ...], value: str) -> bool:
    return value in names or any(name.endswith("*") and value.startswith(name[:-1]) for name in names)


def _named(match: Match, value: str) -> bool:
    return _decides(match.names, value) != match.negated


def _within(match: Match, value: int) -> bool:
    return any(first <= value <= last for first, last in match.spans) != match.negated


def holds(match: Match, question: Question) -> bool:
    """Whether a condition that does not look at addresses holds for every packet of `question`."""
    match match.field:
        case "iif":
            return _named(match, question.iif)
        case "oif":
            return _named(match, question.oif)
        case "family":
            return _named(match, f"ipv{question.family}")
        case "proto":
            return _named(match, question.proto)
        case "state":
            return _named(match, question.state)
        case "dport":
            return question.proto in ("tcp", "udp", "sctp") and _within(match, question.port)
        case "sport":
            return question.proto in ("tcp", "udp", "sctp") and _within(match, question.sport)
        case "icmp":
            return _within(match, question.port)
        case "hoplimit":
            # The outside world cannot forge 255 over a hop (RFC 5082), a neighbour sends it: ask as the neighbour.
            return _within(match, 255)
        case "fibtype":
            return _named(match, "local" if not question.oif else "unicast")
        case "fibif":
            # `fib saddr . iif oif missing`: a source with no way back there. Asked with a source that has one.
            return match.names != ("missing",) or match.negated
        case _:
            return True


def ask(
    ruleset: Ruleset, hook: str, question: Question, cells: Cells, planes: dict[object, int | list[Rule]] | None = None
) -> Answer:
    """What `ruleset` does at `hook` with the packets of `question`, for every cell of the address plane.

    A cell must be wholly inside or outside every prefix of the rule set (see `boundaries`). `planes` keeps masks between
    calls with the same cells.
    """
    planes = {} if planes is None else planes
    decided: list[tuple[int, bool, int]] = []
    live = cells.all
    for table, chain in ruleset.base_chains(hook):
        if table.family in ("ip", "ip6") and table.family != ("ip" if question.family == 4 else "ip6"):
            continue
        accepted: list[int] = [0]
        rest = _walk(table, chain, question, cells, planes, live, decided, accepted, 0)
        if rest:
            decided.append((chain.policy_line, chain.policy == "accept", rest))
            if chain.policy == "accept":
                accepted[0] |= rest
        live = accepted[0]
    return Answer(live, decided)


_DONE = ("saddr", "daddr", "iif", "oif", "state")
_COARSE = ("iif", "oif", "state")


def _holds_coarse(table: Table, given: Match, question: Question) -> bool:
    match = filled(table, given) if given.set else given
    value = question.iif if match.field == "iif" else question.oif if match.field == "oif" else question.state
    return _decides(match.names, value) != match.negated


def _relevant(table: Table, chain: Chain, question: Question, planes: dict[object, int | list[Rule]]) -> list[Rule]:
    """The rules of a chain whose interfaces and state fit; most do not."""
    key = (table.name, table.family, chain.name, question.iif, question.oif, question.state)
    found = planes.get(key)
    if not isinstance(found, list):
        half = (table.name, table.family, chain.name, question.iif, question.state)
        entered = planes.get(half)
        if not isinstance(entered, list):
            entered = [
                rule
                for rule in chain.rules
                if all(_holds_coarse(table, m, question) for m in rule.matches if m.field in ("iif", "state"))
            ]
            planes[half] = entered
        found = [
            rule for rule in entered if all(_holds_coarse(table, m, question) for m in rule.matches if m.field == "oif")
        ]
        planes[key] = found
    return found


def _plane(rule: Rule, table: Table, question: Question, cells: Cells, planes: dict[object, int | list[Rule]]) -> int:
    """The cells a rule matches."""
    key = (table.name, rule.line, question.family, rule.matches)
    known = planes.get(key)
    if isinstance(known, int):
        return known
    found = cells.all
    for given in rule.matches:
        match = filled(table, given)
        if match.field in ("saddr", "daddr"):
            side = (match.spans, None) if match.field == "saddr" else (None, match.spans)
            bits = cells.product(*side)
            found &= cells.all & ~bits if match.negated else bits
    planes[key] = found
    return found


def _walk(
    table: Table, chain: Chain, question: Question, cells: Cells, planes: dict[object, int | list[Rule]], live: int,
    decided: list[tuple[int, bool, int]], accepted: list[int], depth: int,
) -> int:  # fmt: skip
    """Send the cells `live` through a chain; returns those that fall out of its end or return."""
    if depth > 16:  # nft refuses jump loops and more than 16 levels (NFT_JUMP_STACK_SIZE)
        raise Mistakes([Mistake("", chain.line, None, "JB2401", chain.name, "jumps too deep", "Flatten the chains.")])
    out = 0

    def act(action: str, target: str, line: int, hit: int, limited: bool) -> int:
        """Apply a verdict to `hit`; returns the cells that go on with the next rule."""
        nonlocal out
        match action:
            case "accept":
                decided.append((line, True, hit))
                accepted[0] |= hit
                return 0
            case "drop" | "reject":
                if limited:
                    return hit
                decided.append((line, False, hit))
                return 0
            case "return":
                out |= hit
                return 0
            case "jump":
                inner = table.chains[target]
                return _walk(table, inner, question, cells, planes, hit, decided, accepted, depth + 1)
            case "goto":
                inner = table.chains[target]
                out |= _walk(table, inner, question, cells, planes, hit, decided, accepted, depth + 1)
                return 0
        return hit

    for rule in _relevant(table, chain, question, planes):
        if not live:
            break
        if not all(holds(filled(table, m), question) for m in rule.matches if m.field not in _DONE):
            continue
        hit = live & _plane(rule, table, question, cells, planes)
        if not hit:
            continue
        if rule.branches:
            for match, action, target in rule.branches:
                if match.field in ("saddr", "daddr"):
                    side = (match.spans, None) if match.field == "saddr" else (None, match.spans)
                    part = hit & cells.product(*side)
                else:
                    part = hit if holds(match, question) else 0
                if part:
                    live = (live & ~part) | act(action, target, rule.line, part, rule.limited)
                    hit &= ~part
        elif rule.action != "continue":
            live = (live & ~hit) | act(rule.action, rule.target, rule.line, hit, rule.limited)
    return out | live


def boundaries(ruleset: Ruleset, family: int) -> tuple[set[tuple[Interval, ...]], set[tuple[Interval, ...]]]:
    """Every set of sources and every set of destinations that a rule of the family names."""
    sources: set[tuple[Interval, ...]] = set()
    targets: set[tuple[Interval, ...]] = set()
    for table in ruleset.tables:
        for chain in table.chains.values():
            for rule in chain.rules:
                for given in (*rule.matches, *(branch[0] for branch in rule.branches)):
                    if given.field in ("saddr", "daddr") and given.family == family:
                        (sources if given.field == "saddr" else targets).add(filled(table, given).spans)
    return sources, targets


def alike(ruleset: Ruleset, interfaces: Iterable[str]) -> dict[str, tuple[bool, ...]]:
    """Interface → how every condition on interfaces decides for it: equal values are treated alike by every rule."""
    matches = []
    for table in ruleset.tables:
        for chain in table.chains.values():
            for rule in chain.rules:
                for given in (*rule.matches, *(branch[0] for branch in rule.branches)):
                    if given.field in ("iif", "oif"):
                        matches.append(filled(table, given))
    distinct = list(dict.fromkeys(matches))
    return {name: tuple(_named(match, name) for match in distinct) for name in interfaces}


def relevant(ruleset: Ruleset, hook: str, iif: str, oif: str) -> list[tuple[Table, Rule]]:
    """The rules that a new connection from `iif` to `oif` can meet at a hook, chains it jumps to included."""
    question = Question(4, iif, oif, "tcp")
    found: list[tuple[Table, Rule]] = []
    done: set[tuple[str, str]] = set()

    def collect(table: Table, chain: Chain) -> None:
        if (table.name, chain.name) in done:
            return
        done.add((table.name, chain.name))
        for rule in chain.rules:
            if all(_holds_coarse(table, match, question) for match in rule.matches if match.field in _COARSE):
                found.append((table, rule))
                for target in (rule.target, *(branch[2] for branch in rule.branches)):
                    if target:
                        collect(table, table.chains[target])

    for table, chain in ruleset.base_chains(hook):
        collect(table, chain)
    return found


def may_accept(ruleset: Ruleset, hook: str, rules: Iterable[tuple[Table, Rule]]) -> bool:
    """Whether any of `rules`, or a policy of the hook, accepts anything."""
    if any(chain.policy == "accept" for _, chain in ruleset.base_chains(hook)):
        return True
    return any(rule.action == "accept" or any(branch[1] == "accept" for branch in rule.branches) for _, rule in rules)


def ports_named(rules: Iterable[tuple[Table, Rule]]) -> set[tuple[str, int]]:
    """Every (protocol, port or ICMP type) at which the verdict may change: the ends of each span and what follows."""
    found: set[tuple[str, int]] = set()
    for table, rule in rules:
        matches = [filled(table, match) for match in (*rule.matches, *(branch[0] for branch in rule.branches))]
        protos = {name for match in matches if match.field == "proto" and not match.negated for name in match.names}
        found |= {(proto, 0) for proto in protos - {"tcp", "udp", "sctp", "icmp", "icmpv6", "th"}}
        for match in matches:
            if match.field == "dport":
                for proto in (protos & {"tcp", "udp", "sctp"}) or {"tcp", "udp"}:
                    found |= {(proto, port) for span in match.spans for port in (span[0], span[1] + 1)}
            elif match.field == "icmp":
                for proto in protos & {"icmp", "icmpv6"}:
                    found |= {(proto, port) for span in match.spans for port in (span[0], span[1] + 1)}
    return {(proto, port) for proto, port in found if port < 65536}


def verdict(ruleset: Ruleset, hook: str, packet: Packet) -> tuple[bool, int]:
    """Whether one packet passes, and the line that decided."""
    cells = Cells((packet.src,), (packet.dst,))
    question = Question(packet.family, packet.iif, packet.oif, packet.proto, packet.port, packet.sport, packet.state)
    answer = ask(ruleset, hook, question, cells)
    return bool(answer.accepted), answer.line_of(1)[0]
