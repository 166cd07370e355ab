"""Seeded one-line changes to rendered nftables, FRR and zone files, and where a proof has to point for each.

A change counts as caught when the proof names the changed file and a line of the changed stanza (as the finding's own line or among
the lines it says take part). The stanza is: in nftables the innermost block (set or chain); in frr.conf the section from its
header to `exit`, and for lines outside sections all lines of the same statement (`ip route`, one prefix list); in a zone file
the changed line and the other records of its owner, or, for a record that is gone, any line of that file as long as the finding
names the record's owner.
"""

from __future__ import annotations

import ipaddress
import random
import re
from collections.abc import Iterator, Sequence

import msgspec

from inventory.proof.proving import Proof


class Mutation(msgspec.Struct, frozen=True):
    """One changed line; `after` None: the line is dropped."""

    device: str
    target: str
    line: int
    kind: str
    before: str
    after: str | None
    stanza: frozenset[int]
    section: str
    """First line of the stanza."""

    def __str__(self) -> str:
        return f"{self.device} {self.target}:{self.line} {self.kind}: {self.before.strip()!r} → {(self.after or '').strip()!r}"


def apply(text: str, mutation: Mutation) -> str:
    """The text with the line changed; a dropped line leaves an empty one, so that places stay comparable."""
    lines = text.split("\n")
    assert lines[mutation.line - 1] == mutation.before
    lines[mutation.line - 1] = "" if mutation.after is None else mutation.after
    return "\n".join(lines)


def draw(texts: dict[str, dict[str, str]], share: dict[str, int], seed: int) -> list[Mutation]:
    """As many changes of each dialect as `share` says, spread over kinds of change and kinds of line."""
    chance = random.Random(seed)
    found: list[Mutation] = []
    for dialect, count in share.items():
        by_kind: dict[tuple[str, str], list[Mutation]] = {}
        for device, files in sorted(texts.items()):
            for target, text in sorted(files.items()):
                if dialect_of(target) == dialect:
                    for mutation in every(dialect, device, target, text, chance):
                        by_kind.setdefault((mutation.kind, shape(mutation.before)), []).append(mutation)
        kinds = sorted(by_kind)
        for kind in kinds:
            chance.shuffle(by_kind[kind])
        made: list[Mutation] = []
        while len(made) < count:
            chance.shuffle(kinds)
            for kind in kinds:
                if by_kind[kind] and len(made) < count:
                    made.append(by_kind[kind].pop())
        found += made
    return found


def shape(line: str) -> str:
    """A line without what is particular: kinds of lines are drawn alike often, not the longest list."""
    words = re.sub(r'"[^"]*"|\{[^}]*\}|@\S+', "", line).split()
    return " ".join(word for word in words if re.fullmatch(r"[a-z-]+6?", word) or word in ("A", "AAAA", "PTR", "NS"))


def dialect_of(target: str) -> str:
    """nftables, frr, zone or empty."""
    if target == "/etc/nftables.conf":
        return "nftables"
    if target == "/etc/frr/frr.conf":
        return "frr"
    return "zone" if target.endswith(".zone") else ""


def every(dialect: str, device: str, target: str, text: str, chance: random.Random) -> Iterator[Mutation]:
    """Every change that this file can suffer."""
    lines = text.split("\n")
    stanzas = {"nftables": blocks, "frr": sections, "zone": owners}[dialect](lines)
    changes = {"nftables": nftables, "frr": frr, "zone": zone}[dialect]
    for number, line in enumerate(lines, 1):
        bare = line.strip()
        if not bare or bare[0] in "#!;" or bare in ("{", "}", "exit", "end", "exit-address-family", ")"):
            continue
        section = lines[min(stanzas[number]) - 1].strip()
        if not bare.endswith(("{", "(")) and "= {" not in bare:
            yield Mutation(device, target, number, "dropped", line, None, stanzas[number], section)
        for kind, after in changes(line, chance):
            if after != line:
                yield Mutation(device, target, number, kind, line, after, stanzas[number], section)


def blocks(lines: Sequence[str]) -> dict[int, frozenset[int]]:
    """nftables: the innermost block around each line."""
    open_: list[tuple[int, bool]] = []
    found: dict[int, frozenset[int]] = {}
    for number, line in enumerate(lines, 1):
        bare = line.split("#")[0].strip()
        if bare.endswith("{"):
            # `elements = {` is no block of its own.
            open_.append((number, "=" not in bare))
        elif bare == "}":
            start, real = open_.pop()
            if real:
                for inside in range(start, number + 1):
                    found.setdefault(inside, frozenset(range(start, number + 1)))
    return {number: found.get(number, frozenset({number})) for number in range(1, len(lines) + 1)}


def sections(lines: Sequence[str]) -> dict[int, frozenset[int]]:
    """frr.conf: the section from its header to `exit`; outside of sections, the lines of the same statement."""
    found: dict[int, frozenset[int]] = {}
    start = 0
    loose: dict[str, list[int]] = {}
    for number, line in enumerate(lines, 1):
        bare = line.strip()
        if not start and re.match(r"^(interface|router|route-map|bfd)\b", line):
            start = number
        elif not start and bare and not bare.startswith("!"):
            words = bare.split()
            loose.setdefault(" ".join(words[:3] if "prefix-list" in words else words[:2]), []).append(number)
        if start and line == "exit":
            for inside in range(start, number + 1):
                found[inside] = frozenset(range(start, number + 1))
            start = 0
    for group in loose.values():
        for number in group:
            found[number] = frozenset(group)
    return {number: found.get(number, frozenset({number})) for number in range(1, len(lines) + 1)}


def owners(lines: Sequence[str]) -> dict[int, frozenset[int]]:
    """Zone file: the records of the same owner; the lines of one entry in parentheses."""
    found: dict[int, set[int]] = {}
    owner: set[int] = set()
    named: dict[str, set[int]] = {}
    depth = 0
    for number, line in enumerate(lines, 1):
        bare = line.split(";")[0]
        if depth == 0 and bare[:1] not in ("", " ", "\t"):
            owner = named.setdefault(bare.split()[0], set())
        owner.add(number)
        found[number] = owner
        depth += bare.count("(") - bare.count(")")
    return {number: frozenset(found.get(number, {number})) for number in range(1, len(lines) + 1)}


PREFIX = re.compile(r"(?<![\w.:-])(\d+\.\d+\.\d+\.\d+|[0-9a-f]*:[0-9a-f:]+)(?:/(\d+))?(?![\w.:/-])")


def wider(line: str) -> Iterator[tuple[str, str]]:
    """The first prefix of a line one bit wider."""
    for hit in PREFIX.finditer(line):
        address, length = hit.group(1), hit.group(2)
        try:
            size = int(length) if length else ipaddress.ip_address(address).max_prefixlen
            network = ipaddress.ip_network(f"{address}/{size - 1}", strict=False)
        except ValueError:
            continue
        yield "one bit wider", line[: hit.start()] + str(network) + line[hit.end() :]
        return


def swapped(line: str, *pairs: tuple[str, str]) -> Iterator[str]:
    """The line with the first word of a pair replaced by the other."""
    for one, other in pairs:
        for word, by in ((one, other), (other, one)):
            if re.search(rf"(?<![\w-]){word}(?![\w-])", line):
                yield re.sub(rf"(?<![\w-]){word}(?![\w-])", by, line, count=1)
                return


def plus(line: str, pattern: str, step: int = 1) -> Iterator[str]:
    """The line with the number that follows `pattern` raised."""
    hit = re.search(rf"(?:{pattern})(\d+)(?![\w.:])", line)
    if hit:
        yield line[: hit.start(1)] + str(int(hit.group(1)) + step) + line[hit.end(1) :]


def moved(line: str) -> Iterator[str]:
    """The line with its last address raised by one."""
    hits = [hit for hit in PREFIX.finditer(line) if not hit.group(2)]
    if hits:
        hit = hits[-1]
        try:
            address = ipaddress.ip_address(hit.group(1)) + 1
        except ValueError:
            return
        yield line[: hit.start()] + str(address) + line[hit.end() :]


def nftables(line: str, chance: random.Random) -> Iterator[tuple[str, str]]:
    """What may go wrong in a rule or set."""
    yield from wider(line)
    for after in swapped(line.split(" comment ")[0], ("accept", "drop")):
        rest = line.partition(" comment ")
        yield "verdict", after + rest[1] + rest[2]
    for after in plus(line, "dport "):
        yield "port", after
    for after in swapped(line, ("tcp", "udp"), ("icmp", "icmpv6")):
        yield "protocol", after
    for after in swapped(line, ("ip", "ip6")):
        yield "family", after
    hit = re.search(r'"z-(\w+)"', line)
    if hit:
        other = {"production": "exchange", "exchange": "production"}.get(hit.group(1), "production")
        yield "interface", line.replace(hit.group(0), f'"z-{other}"', 1)
    if "iifname" in line:
        yield "direction", line.replace("iifname", "oifname", 1)
    if " saddr " in line:
        yield "end", line.replace(" saddr ", " daddr ", 1)
    if " != " in line:
        yield "negation", line.replace(" != ", " ", 1)


def frr(line: str, chance: random.Random) -> Iterator[tuple[str, str]]:
    """What may go wrong in a routing configuration."""
    yield from wider(line)
    for after in swapped(line, ("permit", "deny"), ("in", "out")):
        yield "verdict", after
    for after in swapped(line, ("ipv4", "ipv6"), ("ip", "ipv6")):
        yield "family", after
    if re.search(r"\b(route|neighbor|router-id)\b", line):
        for after in moved(line):
            yield "next hop", after
    for after in plus(line, "remote-as |router bgp "):
        yield "remote-as", after
    for after in plus(line, "local-preference ", -150):
        yield "preference", after
    for after in plus(line, "area "):
        yield "area", after
    for after in plus(line, " le ", 1):
        yield "length", after
    for after in plus(
        line, "(?:detect-multiplier|receive-interval|transmit-interval|external|hello-interval|dead-interval) ", 2000
    ):
        yield "timer", after
    hit = re.search(r"(route-map|prefix-list) (\S+)", line)
    if hit:
        yield "name", line.replace(hit.group(2), hit.group(2) + "X", 1)
    if line.strip().startswith(("redistribute ospf6", "redistribute ospf ")):
        yield "source", line.replace("ospf6" if "ospf6" in line else "ospf", "connected", 1)


def zone(line: str, chance: random.Random) -> Iterator[tuple[str, str]]:
    """What may go wrong in a zone file."""
    for after in moved(line):
        yield "address", after
    words = line.split()
    for kind in ("PTR", "NS"):
        if kind in words:
            place = words.index(kind) + 1
            yield kind, line.replace(words[place], "wrong." + words[place], 1)
    if "PTR" in words and re.match(r"^[0-9a-f]", line):
        yield "owner", ("1" if line[0] != "1" else "2") + line[1:]
    if "A" in words or "AAAA" in words:
        yield "owner", "x" + line if not line[0].isspace() else line
        yield "type", re.sub(r"\bAAAA\b", "A", line) if "AAAA" in words else re.sub(r"\bA\b", "AAAA", line)
    if words[0] == "$TTL":
        yield "ttl", line.replace(words[1], words[1] + "0")
    if words[0] == "$ORIGIN":
        yield "origin", line.replace(words[1], "x." + words[1])


def caught(proof: Proof, mutation: Mutation, path: str) -> str:
    """The finding that names the changed stanza, as text; empty: none does."""
    for mistake in proof.mistakes:
        # Nothing after a line that cannot be read is known; its place is where reading stopped.
        if mistake.file == path and ((mistake.line or 0) >= mutation.line or mistake.line in mutation.stanza):
            return str(mistake)
    for finding in proof.findings:
        places = [(finding.file, finding.line), *finding.near]
        if any(file == path and line in mutation.stanza for file, line in places):
            return str(finding)
        if (
            dialect_of(mutation.target) == "zone"
            and finding.file == path
            and mutation.kind in ("dropped", "owner", "origin", "ttl")
        ):
            owner = mutation.before.split()[0].lower()
            if owner == "$ttl" or owner.startswith("$") or f" {owner}" in finding.found or f"{owner}." in finding.found:
                return str(finding)
        if mutation.kind == "dropped" and finding.file == path:
            # A statement that is gone has no line; the finding names it.
            words = [word for word in mutation.before.split() if word not in ("ip", "ipv6", "@")]
            if (finding.line == 1 and words[0] in finding.found) or (
                words[0] == "prefix-list" and words[1] in finding.found
            ):
                return str(finding)
            if finding.line == 1 and "SOA" in words and "SOA" in finding.found:
                return str(finding)
    return ""
