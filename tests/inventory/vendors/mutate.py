"""Seeded one-line changes to vendors' configurations, and whether a proof points to the changed view.

A view is the line at the start of a line (`interface …`, `bgp …`) with what stands below it, in a security policy one rule; a line
that is gone may also be missed by whatever needed it, anywhere in the file.
"""

from __future__ import annotations

import ipaddress
import random
import re
from collections.abc import Iterator

import msgspec

from inventory.proof import Proof

ADMINISTRATION = {
    "vrp": r"(#|return|dns |ntp-service |ssl |info-center |(undo )?snmp-agent|undo telnet|stelnet |ssh |acl |aaa|user-interface )",
    "comware": r" ?(#|return|dns |ipv6 dns |ntp-service |ssl |info-center |snmp-agent|telnet |ssh |acl |line |role |local-user )",
    "iosxe": r"(!|end|ip (domain|name-server|ssh)|no ip http|ntp |logging |snmp-server |aaa |username |parser |line |vrf |"
    r"ip access-list standard|ipv6 access-list managers)",
}
"""Vendor → views and lines that change neither routes nor packets."""
INNER = {"vrp": r" rule name ", "comware": r" (rule \d+ name |[a-z0-9])", "iosxe": r" class "}
"""Vendor → lines below a view (in Comware also those that no view holds) that have a view of their own."""
SIGN = {"vrp": "#", "comware": "#", "iosxe": "!"}
ADDRESS = re.compile(r"(?<![\w.:-])(\d+\.\d+\.\d+\.\d+|[0-9a-f]*:[0-9a-f:]+)(?![\w.:-])")


class Mutation(msgspec.Struct, frozen=True):
    """One changed line; `after` None: the line is dropped."""

    device: str
    line: int
    kind: str
    before: str
    after: str | None
    view: frozenset[int]
    opener: str
    """First line of the view."""

    def __str__(self) -> str:
        return f"{self.device}:{self.line} {self.kind}: {self.before.strip()!r} → {(self.after or '').strip()!r} [{self.opener}]"


def apply(text: str, mutation: Mutation) -> str:
    """The text with the line changed; a dropped line leaves a comment, so that places stay comparable."""
    lines = text.split("\n")
    assert lines[mutation.line - 1] == mutation.before
    depth = len(mutation.before) - len(mutation.before.lstrip())
    sign = "!" if lines[-2] == "end" else "#"
    lines[mutation.line - 1] = " " * max(depth, 1) + sign if mutation.after is None else mutation.after
    return "\n".join(lines)


def draw(vendor: str, texts: dict[str, str], count: int, seed: int) -> list[Mutation]:
    """As many changes, spread over kinds of change and kinds of line."""
    chance = random.Random(seed)
    kinds: dict[tuple[str, str], list[Mutation]] = {}
    for device, text in sorted(texts.items()):
        for mutation in every(vendor, device, text):
            kinds.setdefault((mutation.kind, shape(mutation.before)), []).append(mutation)
    found: list[Mutation] = []
    names = sorted(kinds)
    for name in names:
        chance.shuffle(kinds[name])
    while len(found) < count and any(kinds.values()):
        chance.shuffle(names)
        for name in names:
            if kinds[name] and len(found) < count:
                found.append(kinds[name].pop())
    return found


def shape(line: str) -> str:
    """The words of a line that are the dialect's own."""
    return " ".join(word for word in line.split() if re.fullmatch(r"[a-z]+(-[a-z]+)*6?", word))


def every(vendor: str, device: str, text: str) -> Iterator[Mutation]:
    """Every change that a file can suffer."""
    lines = text.split("\n")
    views = {number: view for view in _views(vendor, lines) for number in view}
    named = _named(lines, set(views.values())) if vendor == "iosxe" else {}
    # Where a rule that belongs to no flow fits no more, the default decides.
    default = [
        number for number, line in enumerate(lines, 1) if re.match(r" default action deny|security-policy ip", line)
    ]
    for number, line in enumerate(lines, 1):
        view = views.get(number)
        if view is None or line.strip().startswith(SIGN[vendor]):
            continue
        opener = lines[min(view) - 1].strip()
        near = view | frozenset(default) if re.match(r"rule (\d+ )?name base\.", opener) else view
        near = near.union(*(named[word] for word in set(" ".join(lines[n - 1] for n in view).split()) if word in named))
        for kind, after in (("dropped", None), *changes(line)):
            # A view's first line holds what is below it: without it the rest is no text of the dialect.
            if after != line and not (after is None and len(view) > 1 and number == min(view)):
                yield Mutation(device, number, kind, line, after, near, opener)


def _named(lines: list[str], views: set[frozenset[int]]) -> dict[str, frozenset[int]]:
    """Class, policy map or access list → its lines and those of the views that it names or that name it."""
    opened: dict[str, frozenset[int]] = {}
    for view in views:
        words = lines[min(view) - 1].split()
        if words[0] in ("class-map", "policy-map", "zone-pair") or words[1:2] == ["access-list"]:
            title = words[2] if words[0] == "zone-pair" else words[-1]
            opened[title] = opened.get(title, frozenset()) | view
    found = dict(opened)
    for view in views:
        for number in view:
            for word in lines[number - 1].split():
                if word in opened:
                    found[word] |= view
                    title = lines[min(view) - 1].split()[-1]
                    if title in opened:
                        found[title] |= opened[word]
    return found


def _views(vendor: str, lines: list[str]) -> Iterator[frozenset[int]]:
    start, kept, outer = 0, False, ""
    for number, line in enumerate([*lines, SIGN[vendor]], 1):
        begins = bool(line) and not line.startswith(" ")
        outer = line if begins else outer
        # In Comware lines outside of views stand one step in, behind a sign.
        inner = re.match(INNER[vendor], line) and (vendor != "comware" or outer.startswith(("#", "security-policy")))
        if begins or inner:
            if start and kept:
                yield frozenset(range(start, number))
            start = number
            kept = not re.match(ADMINISTRATION[vendor], line)


def changes(line: str) -> Iterator[tuple[str, str]]:
    """What may go wrong in a line."""
    for one, other in (
        ("permit", "deny"),
        ("import", "export"),
        ("ip-prefix", "ipv6-prefix"),
        ("inspect", "pass"),
        ("in", "out"),
        ("match-all", "match-any"),
        ("tcp", "udp"),
        ("source", "destination"),
    ):
        for word, by in ((one, other), (other, one)):
            if re.search(rf"(?<![\w-]){word}(?!\w)", line):
                yield "swapped", re.sub(rf"(?<![\w-]){word}(?!\w)", by, line, count=1)
                break
    for pattern, step in (
        (r"as-number |remote-as |bgp |destination-port |destination eq |\\beq |icmpv?6?-type |service-port icmpv?6? |less-equal |le ", 1),
        (r"local-preference ", -150), (r"apply cost |set metric ", 150),
        (r"detect-multiplier |multiplier |hello |dead |hello-interval |dead-interval |ase |external ", 60), (r"dot1q |dot1Q |vid ", 1),
    ):  # fmt: skip
        hit = re.search(rf"(?:{pattern})(\d+)(?![\w.:])", line)
        if hit and int(hit.group(1)) + step >= 0:
            yield "number", line[: hit.start(1)] + str(int(hit.group(1)) + step) + line[hit.end(1) :]
    hits = list(ADDRESS.finditer(line))
    if hits:
        yield from _wider(line, hits)
        last = hits[-1]
        if not last.group(1).startswith("255."):
            yield "moved", line[: last.start(1)] + str(ipaddress.ip_address(last.group(1)) + 1) + line[last.end(1) :]
    hit = re.search(
        r"(?:route-policy|route-map|address-set|ip-prefix|ipv6-prefix|prefix-list|description|-zone|-ip|access-group name|"
        r"member security|type inspect) (\S+)",
        line,
    )
    if hit:
        yield "name", line[: hit.start(1)] + hit.group(1) + "X" + line[hit.end(1) :]
    hit = re.search(r"-zone (\S+)$", line)
    if hit:
        yield "zone", line[: hit.start(1)] + ("inside" if hit.group(1) != "inside" else "local")


def _wider(line: str, hits: list[re.Match[str]]) -> Iterator[tuple[str, str]]:
    """The first prefix of a line one bit wider: written as a mask, or as a length after the address."""
    first = hits[0]
    rest = line[first.end() :]
    mask = re.match(r" (?:mask )?(255[\d.]+)", rest)
    length = re.match(r"(?: mask | |/)(\d+)", rest)
    if mask:
        size = ipaddress.ip_network(f"0.0.0.0/{mask.group(1)}").prefixlen - 1
        net = ipaddress.ip_network(f"{first.group(1)}/{size}", strict=False)
        text = str(net.network_address) if not line.startswith(" ip address ") else first.group(1)
        yield "wider", line[: first.start()] + text + rest[: mask.start(1)] + str(net.netmask) + rest[mask.end(1) :]
    elif length and int(length.group(1)) > 0:
        net = ipaddress.ip_network(f"{first.group(1)}/{int(length.group(1)) - 1}", strict=False)
        text = str(net.network_address) if "/" not in length.group() else first.group(1)
        yield (
            "wider",
            line[: first.start()] + text + rest[: length.start(1)] + str(net.prefixlen) + rest[length.end(1) :],
        )


def caught(proof: Proof, mutation: Mutation, path: str) -> bool:
    """Whether a mistake or finding names the changed view."""
    if any(mistake.file == path for mistake in proof.mistakes):
        return True
    places = [place for finding in proof.findings for place in ((finding.file, finding.line), *finding.near)]
    return any(file == path and (mutation.after is None or line in mutation.view) for file, line in places)
