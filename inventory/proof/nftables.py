"""Reader of nftables rule sets, after nft(8) 1.0.6.

It reads the part of the language that filters packets; anything else is a mistake with its line, never passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

import msgspec

from ground.mistake import Mistake, Mistakes
from inventory.proof import interval
from inventory.proof.filters import HOOKS, Action, Chain, Field, Match, Rule, Ruleset, Set, Table
from inventory.proof.interval import Interval

PRIORITIES = {"raw": -300, "mangle": -150, "dstnat": -100, "filter": 0, "security": 50, "srcnat": 100}
PROTOCOLS = {
    "1": "icmp", "6": "tcp", "17": "udp", "58": "icmpv6", "ipv6-icmp": "icmpv6", "89": "ospf", "ospfigp": "ospf",
    "50": "esp", "51": "ah", "47": "gre", "112": "vrrp", "132": "sctp", "2": "igmp", "103": "pim",
}  # fmt: skip
PORTS = {
    "ssh": 22, "domain": 53, "http": 80, "ntp": 123, "snmp": 161, "bgp": 179, "https": 443, "syslog": 514,
    "bootps": 67, "bootpc": 68, "dhcpv6-client": 546, "dhcpv6-server": 547, "postgresql": 5432,
}  # fmt: skip
ICMP = {
    "echo-reply": 0, "destination-unreachable": 3, "source-quench": 4, "redirect": 5, "echo-request": 8,
    "router-advertisement": 9, "router-solicitation": 10, "time-exceeded": 11, "parameter-problem": 12,
    "timestamp-request": 13, "timestamp-reply": 14, "info-request": 15, "info-reply": 16,
    "address-mask-request": 17, "address-mask-reply": 18,
}  # fmt: skip
ICMPV6 = {
    "destination-unreachable": 1, "packet-too-big": 2, "time-exceeded": 3, "parameter-problem": 4,
    "echo-request": 128, "echo-reply": 129, "mld-listener-query": 130, "mld-listener-report": 131,
    "mld-listener-done": 132, "mld-listener-reduction": 132, "nd-router-solicit": 133, "nd-router-advert": 134,
    "nd-neighbor-solicit": 135, "nd-neighbor-advert": 136, "nd-redirect": 137, "router-renumbering": 138,
    "ind-neighbor-solicit": 141, "ind-neighbor-advert": 142, "mld2-listener-report": 143,
}  # fmt: skip


class _Unknown(Exception):
    def __init__(self, line: int, what: str) -> None:
        super().__init__(what)
        self.line = line
        self.what = what


_TOKEN = re.compile(
    r"""(?P<skip>[ \t\r]+|\#[^\n]*)|(?P<newline>\n)|(?P<joined>\\\n)|"(?P<string>[^"\n]*)"|(?P<sign>!=|==|<=|>=|[{};,=<>()|&^])"""
    r"""|(?P<colon>:)(?=[ \t\n]|$)|(?P<word>(?:[^ \t\r\n"\#{};,=!<>()|&^:\\]|:(?![ \t\n]|$))+)""",
)


@lru_cache(maxsize=20_000)
def _words(line: str) -> tuple[tuple[str, ...], str]:
    """(words, strings (with `"` before them) and punctuation of a line, what cannot be read in it)."""
    found: list[str] = []
    at = 0
    while at < len(line):
        hit = _TOKEN.match(line, at)
        if hit is None:
            return tuple(found), "a string that does not end" if line[at] == '"' else f"the character {line[at]!r}"
        at = hit.end()
        if hit.lastgroup == "string":
            found.append(f'"{hit["string"]}')
        elif hit.lastgroup not in ("skip", "joined"):
            found.append("\n" if hit.lastgroup == "newline" else hit.group())
    return tuple(found), ""


class _Text:
    """A cursor over the words of a file, each with its line; `\n` ends a line. Lines of many devices are alike: each is read once."""

    def __init__(self, tokens: Sequence[str], lines: Sequence[int]) -> None:
        self.tokens = tokens
        self.lines = lines
        self.at = 0
        self.defines: dict[str, list[str]] = {}
        self.last = lines[-1] if lines else 1

    @property
    def line(self) -> int:
        return self.lines[self.at] if self.at < len(self.lines) else self.last

    def peek(self, ahead: int = 0) -> str:
        place = self.at + ahead
        return self.tokens[place] if place < len(self.tokens) else ""

    def take(self) -> str:
        if self.at >= len(self.tokens):
            raise _Unknown(self.last, "the file ends inside a statement")
        token = self.tokens[self.at]
        self.at += 1
        return token.removeprefix('"')

    def accept(self, *words: str) -> bool:
        if tuple(self.tokens[self.at : self.at + len(words)]) == words:
            self.at += len(words)
            return True
        return False

    def expect(self, word: str) -> None:
        line, found = self.line, self.peek()
        if found != word:
            raise _Unknown(line, f"expected {word!r}, found {found.lstrip(chr(34)) or 'the end'!r}")
        self.at += 1

    def skip(self, *what: str) -> None:
        while self.at < len(self.tokens) and self.tokens[self.at] in what:
            self.at += 1

    def ends(self) -> bool:
        return self.peek() in ("\n", ";", "}", "")

    def rest(self) -> tuple[str, ...] | None:
        """The words of a statement that fills the rest of its line; None when it does not, or has variables."""
        end = self.at
        while end < len(self.tokens) and self.tokens[end] != "\n":
            end += 1
        words = tuple(self.tokens[self.at : end])
        plain = words.count("{") == words.count("}") and ";" not in words
        return words if plain and not any(word.startswith("$") for word in words) else None


def _text(source: str) -> _Text:
    tokens: list[str] = []
    lines: list[int] = []
    for number, line in enumerate(source.split("\n"), 1):
        words, fault = _words(line + "\n")
        if fault:
            raise _Unknown(number, fault)
        tokens += words
        lines += [number] * len(words)
    return _Text(tokens, lines)


def read(source: str, file: str = "nftables.conf") -> Ruleset:
    """The rule set of a file that `nft -f` would load.

    Raises Mistakes: JB2401 (syntax that this reader does not know), JB2402 (a name that is not defined).
    """
    try:
        return _file(_text(source), file)
    except _Unknown as unknown:
        raise Mistakes(
            [
                Mistake(
                    file, unknown.line, None, "JB2401", "", f"the proof cannot read this: {unknown.what}",
                    "Write the rule in the subset of nft(8) that inventory/proof/nftables.py reads, or teach it there.",
                )
            ],
            "nothing was proved",
        ) from None  # fmt: skip


class _Draft(msgspec.Struct):
    family: str
    name: str
    line: int
    end: int
    chains: dict[str, Chain]
    sets: dict[str, Set]


def _file(text: _Text, file: str) -> Ruleset:
    tables: dict[tuple[str, str], _Draft] = {}
    flushes = False
    while text.at < len(text.tokens):
        if text.accept("\n") or text.accept(";"):
            continue
        line = text.line
        word = text.take()
        if word == "define":
            _define(text)
        elif word == "flush":
            text.expect("ruleset")
            flushes = True
            tables.clear()
        elif word in ("delete", "destroy"):
            text.expect("table")
            family, name = _table_name(text)
            flushes = True
            if tables.pop((family, name), None) is None and word == "delete":
                raise _Unknown(line, f"table {family} {name} is deleted before the file added it")
        elif word == "add" or word == "table":
            if word == "add":
                text.expect("table")
            family, name = _table_name(text)
            draft = tables.setdefault((family, name), _Draft(family, name, line, line, {}, {}))
            if text.accept("{"):
                draft.line = line
                _table(text, draft)
            elif not text.ends():
                raise _Unknown(line, f"{text.peek()!r} after a table's name")
        else:
            raise _Unknown(line, f"statement {word!r}")
    found = tuple(Table(d.family, d.name, d.line, d.end, d.chains, d.sets) for d in tables.values())
    for table in found:
        _resolve(table)
    return Ruleset(file, found, flushes)


def _define(text: _Text) -> None:
    name = text.take()
    text.expect("=")
    text.defines[name] = _value(text)


def _table_name(text: _Text) -> tuple[str, str]:
    family = text.take() if text.peek() in ("ip", "ip6", "inet", "arp", "bridge", "netdev") else "ip"
    return family, text.take()


def _table(text: _Text, draft: _Draft) -> None:
    while True:
        text.skip("\n", ";")
        line = text.line
        if text.accept("}"):
            draft.end = line
            return
        word = text.take()
        if word == "chain":
            name = text.take()
            text.expect("{")
            if name in draft.chains:
                raise _Unknown(line, f"chain {name} is written twice")
            draft.chains[name] = _chain(text, name, line, draft.family)
        elif word == "set":
            name = text.take()
            text.expect("{")
            if name in draft.sets:
                raise _Unknown(line, f"set {name} is written twice")
            draft.sets[name] = _set(text, name, line)
        elif word == "comment":
            text.take()
        elif word == "counter":
            text.take()
            if text.accept("{"):
                while not text.accept("}"):
                    text.take()
        else:
            raise _Unknown(line, f"{word!r} in a table")


def _set(text: _Text, name: str, line: int) -> Set:
    kind = ""
    flags: list[str] = []
    elements: list[str] = []
    while True:
        text.skip("\n", ";")
        at = text.line
        if text.accept("}"):
            if not kind:
                raise _Unknown(line, f"set {name} has no type")
            return Set(name, kind, tuple(flags), line, at, tuple(elements))
        word = text.take()
        if word in ("type", "typeof"):
            words = []
            while not text.ends():
                words.append(text.take())
            kind = " ".join(words)
            if kind not in ("ipv4_addr", "ipv6_addr", "inet_service", "ifname", "inet_proto", "icmp_type",
                            "icmpv6_type", "ip saddr", "ip daddr", "ip6 saddr", "ip6 daddr", "tcp dport", "udp dport"):  # fmt: skip
                raise _Unknown(at, f"a set of type {kind!r}")
        elif word == "flags":
            flags.append(text.take())
            while text.accept(","):
                flags.append(text.take())
            if set(flags) - {"interval", "constant"}:
                raise _Unknown(at, f"flags {', '.join(flags)} of a set")
        elif word == "auto-merge" or word == "counter":
            continue
        elif word == "comment":
            text.take()
        elif word == "elements":
            text.expect("=")
            text.expect("{")
            elements += [value for value, _ in _elements(text)]
        else:
            raise _Unknown(at, f"{word!r} in a set")


def _elements(text: _Text) -> list[tuple[str, int]]:
    """The values up to the closing brace, variables filled in, each with its line."""
    found: list[tuple[str, int]] = []
    while True:
        text.skip("\n", ",")
        if text.accept("}"):
            return found
        line = text.line
        quoted = text.peek().startswith('"')
        word = text.take()
        if word == "comment":
            text.take()
        elif not quoted and word == "{":
            found += _elements(text)
        elif not quoted and word in ("=", "<", ">", "(", ")", "|", "&", "^", ":", ";", "!="):
            raise _Unknown(line, f"{word!r} in a set")
        elif not quoted and word.startswith("$"):
            found += [(value, line) for value in _variable(text, word, line)]
        else:
            found.append((word, line))


def _variable(text: _Text, word: str, line: int) -> list[str]:
    if word[1:] not in text.defines:
        raise _Unknown(line, f"variable {word} is not defined")
    return text.defines[word[1:]]


def _value(text: _Text) -> list[str]:
    """One value or an anonymous set."""
    line = text.line
    if text.accept("{"):
        return [value for value, _ in _elements(text)]
    if text.ends():
        raise _Unknown(line, "a condition without a value")
    quoted = text.peek().startswith('"')
    word = text.take()
    if not quoted and word.startswith("$"):
        return _variable(text, word, line)
    found = [word]
    while text.accept(","):
        found.append(text.take())
    return found


def _chain(text: _Text, name: str, line: int, family: str) -> Chain:
    rules: list[Rule] = []
    kind = hook = ""
    priority = 0
    policy: Action = "accept"
    policy_line = line
    while True:
        text.skip("\n", ";")
        at = text.line
        if text.accept("}"):
            return Chain(name, line, at, tuple(rules), kind, hook, priority, policy, policy_line)
        if text.accept("type"):
            kind = text.take()
            text.expect("hook")
            hook = text.take()
            if kind not in ("filter", "route", "nat") or hook not in HOOKS:
                raise _Unknown(at, f"a chain of type {kind} at hook {hook}")
            if kind != "filter":
                raise _Unknown(at, f"a chain of type {kind}: addresses or routes may change on the way")
            if text.accept("device"):
                raise _Unknown(at, "a chain bound to a device")
            text.expect("priority")
            priority = _priority(text)
        elif text.accept("policy"):
            word = text.take()
            if word not in ("accept", "drop"):
                raise _Unknown(at, f"policy {word!r}")
            policy = "accept" if word == "accept" else "drop"
            policy_line = at
        elif text.peek() == "comment" and text.peek(1).startswith('"') and text.peek(2) in ("\n", ";"):
            text.at += 2
        else:
            rules.append(_stated(text, family))


def _stated(text: _Text, family: str) -> Rule:
    """The rule at the cursor. The same words are the same rule: they are read once."""
    words, line = text.rest(), text.line
    try:
        known = _known(family, words) if words else None
    except _Unknown as unknown:
        raise _Unknown(line, unknown.what) from None
    if known is None or words is None:
        return _rule(text, family)
    text.at += len(words)
    return msgspec.structs.replace(known, line=line)


@lru_cache(maxsize=20_000)
def _known(family: str, words: tuple[str, ...]) -> Rule | None:
    """The rule that `words` are, None when they are more than a rule."""
    text = _Text(words, [0] * len(words))
    rule = _rule(text, family)
    return rule if text.at == len(words) else None


def _priority(text: _Text) -> int:
    line, word = text.line, text.take()
    if word in PRIORITIES:
        value = PRIORITIES[word]
        if text.accept("+"):
            return value + int(text.take())
        if text.accept("-"):
            return value - int(text.take())
        return value
    try:
        return int(word)
    except ValueError:
        raise _Unknown(line, f"priority {word!r}") from None


def _rule(text: _Text, family: str) -> Rule:
    line = text.line
    matches: list[Match] = []
    action: Action = "continue"
    target = comment = ""
    limited = False
    key: Field | None = None
    branches: tuple[tuple[Match, Action, str], ...] = ()
    decided = False
    if family in ("ip", "ip6"):
        matches.append(Match("family", names=("ipv4" if family == "ip" else "ipv6",)))
    elif family != "inet":
        raise _Unknown(line, f"a rule in a table of family {family}")
    while not text.ends():
        at = text.line
        word = text.take()
        if word == "comment":
            comment = text.take()
        elif decided:
            raise _Unknown(at, f"{word!r} after the verdict")
        elif word == "counter":
            if text.accept("packets"):
                text.take()
                text.expect("bytes")
                text.take()
            elif text.accept("name"):
                text.take()
        elif word == "log":
            while text.peek() in ("prefix", "level", "flags", "group", "snaplen", "queue-threshold"):
                text.at += 2
        elif word == "limit":
            text.expect("rate")
            text.accept("over")
            text.take()
            limited = True
            if text.peek().startswith("/"):
                text.take()
            if text.accept("burst"):
                text.at += 2
        elif word in ("accept", "drop", "return", "continue"):
            action, decided = word, True  # type: ignore[assignment]
        elif word == "reject":
            action, decided = "reject", True
            if text.accept("with"):
                text.accept("tcp", "reset") or text.accept("reset")
                if not text.ends() and text.peek() != "comment":
                    text.take()
                    text.accept("type")
                    if not text.ends() and text.peek() != "comment":
                        text.take()
        elif word in ("jump", "goto"):
            action, target, decided = word, text.take(), True  # type: ignore[assignment]
        else:
            fields, implied = _selector(text, word, at)
            matches += [match for match in implied if match not in matches]
            if text.accept("vmap"):
                key = fields[0]
                of = fields[1]
                text.expect("{")
                branches = tuple(_branches(text, key, of, matches))
                decided = True
            else:
                negated = text.accept("!=")
                text.accept("==") or text.accept("eq")
                matches.append(_match(text, fields[0], fields[1], negated, at))
    return Rule(line, tuple(matches), action, target, comment, limited, key, branches)


def _selector(text: _Text, word: str, line: int) -> tuple[tuple[Field, int | str], list[Match]]:
    """(field, family of its addresses or kind of ICMP), and the conditions that the words imply."""
    if word == "meta":
        word = text.take()
        if word not in ("iifname", "oifname", "iif", "oif", "nfproto", "l4proto"):
            raise _Unknown(line, f"meta {word}")
    match word:
        case "iifname" | "iif":
            return ("iif", 0), []
        case "oifname" | "oif":
            return ("oif", 0), []
        case "nfproto":
            return ("family", 0), []
        case "l4proto":
            return ("proto", 0), []
        case "ip" | "ip6":
            of = 4 if word == "ip" else 6
            implied = [Match("family", names=("ipv4" if of == 4 else "ipv6",))]
            what = text.take()
            if what in ("saddr", "daddr"):
                return ("saddr" if what == "saddr" else "daddr", of), implied
            if what in ("protocol", "nexthdr") and (what == "protocol") == (of == 4):
                return ("proto", 0), implied
            if what in ("ttl", "hoplimit") and (what == "ttl") == (of == 4):
                return ("hoplimit", 0), implied
            raise _Unknown(line, f"{word} {what}")
        case "tcp" | "udp" | "th" | "sctp":
            what = text.take()
            if what not in ("dport", "sport"):
                raise _Unknown(line, f"{word} {what}")
            implied = [Match("proto", names=(word,))] if word != "th" else []
            return ("dport" if what == "dport" else "sport", 0), implied
        case "icmp" | "icmpv6":
            text.expect("type")
            of = 4 if word == "icmp" else 6
            # nft adds these by itself: https://wiki.nftables.org "Matching packet headers".
            return ("icmp", word), [Match("family", names=(f"ipv{of}",)), Match("proto", names=(word,))]
        case "ct":
            text.expect("state")
            return ("state", 0), []
        case "fib":
            return _fib(text, line)
    raise _Unknown(line, f"{word!r} in a rule")


def _fib(text: _Text, line: int) -> tuple[tuple[Field, int | str], list[Match]]:
    words = []
    while text.peek() in ("saddr", "daddr", ".", "iif", "oif", "type"):
        words.append(text.take())
    if words == ["daddr", "type"]:
        return ("fibtype", 0), []
    if words == ["saddr", ".", "iif", "oif"]:
        return ("fibif", 0), []
    raise _Unknown(line, f"fib {' '.join(words)}")


def _match(text: _Text, field: Field, of: int | str, negated: bool, line: int) -> Match:
    if text.peek().startswith("@"):
        name = text.take()[1:]
        return Match(field, negated, family=of if isinstance(of, int) else 0, set=name)
    return _values(field, of, _value(text), negated, line)


def _values(field: Field, of: int | str, values: Sequence[str], negated: bool, line: int) -> Match:
    """The condition that `field` is one of `values`."""
    try:
        if field in ("saddr", "daddr"):
            spans = tuple(sorted([interval.interval(value) for value in values]))
            if any([interval.family(value) != of for value in values]):
                raise ValueError(f"an address of the other family in {', '.join(values)}")
            return Match(field, negated, spans=spans, family=int(of))
        if field in ("sport", "dport", "hoplimit"):
            return Match(field, negated, spans=tuple(sorted(_ports(value) for value in values)))
        if field == "icmp":
            known = ICMP if of == "icmp" else ICMPV6
            return Match(field, negated, spans=tuple(sorted(_type(value, known) for value in values)))
    except ValueError as error:
        raise _Unknown(line, str(error)) from None
    names = [PROTOCOLS.get(value, value) for value in values] if field == "proto" else list(values)
    allowed = {"state": {"new", "established", "related", "invalid", "untracked"}, "family": {"ipv4", "ipv6"}}.get(
        field
    )
    if field == "proto":
        allowed = {*PROTOCOLS.values(), "tcp", "udp", "th"}
    if allowed is not None and set(names) - allowed:
        raise _Unknown(line, f"{field} {', '.join(names)}")
    if field in ("iif", "oif") and any(name[:-1].find("*") >= 0 for name in names):
        raise _Unknown(line, f"interface {', '.join(names)}")
    return Match(field, negated, names=tuple(sorted(names)))


def _ports(value: str) -> Interval:
    first, _, last = value.partition("-")
    low = PORTS.get(first) if first in PORTS else int(first)
    high = low if not last else PORTS.get(last) if last in PORTS else int(last)
    assert low is not None and high is not None
    if not 0 <= low <= high <= 65535:
        raise ValueError(f"port {value}")
    return low, high


def _type(value: str, known: dict[str, int]) -> Interval:
    number = known[value] if value in known else int(value) if value.isdigit() else None
    if number is None:
        raise ValueError(f"ICMP type {value!r}")
    return number, number


def _branches(text: _Text, field: Field, of: int | str, matches: list[Match]) -> Iterator[tuple[Match, Action, str]]:
    while True:
        text.skip("\n", ",")
        if text.accept("}"):
            return
        line = text.line
        key = text.take()
        text.expect(":")
        action = text.take()
        target = text.take() if action in ("jump", "goto") else ""
        if action not in ("accept", "drop", "jump", "goto", "return", "continue"):
            raise _Unknown(line, f"verdict {action!r}")
        yield _values(field, of, [key], False, line), action, target  # type: ignore[misc]


def _resolve(table: Table) -> None:
    """Check that every chain and set a rule names exists in its table."""
    for chain in table.chains.values():
        for rule in chain.rules:
            for target in (rule.target, *(branch[2] for branch in rule.branches)):
                if target and target not in table.chains:
                    raise _Unknown(rule.line, f"chain {target} is not defined")
            for match in rule.matches:
                if match.set:
                    if match.set not in table.sets:
                        raise _Unknown(rule.line, f"set @{match.set} is not defined")
                    filled(table, match, rule.line)


@lru_cache(maxsize=100_000)
def _filled(match: Match, of_set: Set, line: int) -> Match:
    kinds = {"saddr": {4: "ipv4_addr", 6: "ipv6_addr"}[match.family] if match.family else "", "dport": "inet_service"}
    kind = kinds.get(match.field)
    if kind and of_set.type in ("ipv4_addr", "ipv6_addr", "inet_service") and of_set.type != kind:
        raise _Unknown(line, f"set @{of_set.name} holds {of_set.type}")
    of: int | str = match.family
    if match.field == "icmp":
        of = "icmp" if of_set.type == "icmp_type" else "icmpv6"
    spans = [value for value in of_set.elements if "/" in value or "-" in value]
    if spans and of_set.type in ("ipv4_addr", "ipv6_addr", "inet_service") and "interval" not in of_set.flags:
        raise _Unknown(of_set.line, f"set {of_set.name} has {spans[0]} without `flags interval`")
    full = _values(match.field, of, of_set.elements, match.negated, of_set.line)
    return msgspec.structs.replace(full, set=match.set)


def filled(table: Table, match: Match, line: int = 0) -> Match:
    """The condition with the elements of the set it names."""
    return _filled(match, table.sets[match.set], line) if match.set else match
