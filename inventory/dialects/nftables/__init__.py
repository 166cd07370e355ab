"""nftables: the zone firewall, and the filter in front of a router's control plane."""

from __future__ import annotations

from inventory.dialects.template import Word, fill_alike
from inventory.ends import Dual
from inventory.file import File
from inventory.filtering import Below, Filter, Guard, Peer, Rule
from inventory.intent import Intent
from ip_plan.underlay import End

WIDTH = 100
"""Characters of set elements on one line."""


def files(intent: Intent) -> list[File]:
    """nftables.conf of a routing device; Debian's nftables.service loads it."""
    if intent.filter is None:
        return []
    conf = text(intent.filter, intent.device.name)
    return [
        File("/etc/nftables.conf", conf, "firewall", mode="0755", validator="nft -c -f %s", unit="nftables.service")
    ]


def text(filter: Filter, name: str) -> str:
    """The rule set. One table, replaced in one transaction, so that other tables stay and no packet finds it missing."""
    sets = [wrapped(each.elements) for each in filter.sets]
    words = [name, *filter.lines, *filter.inside]
    for guard in filter.guards:
        words += (guard.interface, _any(guard.v4, *guard.beside.v4), _any(guard.v6, *guard.beside.v6))
    for listed in sets:
        words += listed
    for down, up, prefixes in filter.through:
        words += (down, up, *prefixes.v4, *prefixes.v6)
    for peer in filter.peers:
        words += (peer.interface, peer.v4, peer.v6)
    for each in filter.below:
        words += (each.port, each.own.outer, each.own.inner, each.other.outer, each.other.inner)
    shape = (
        filter.forwards,
        len(filter.lines),
        len(filter.inside),
        len(filter.guards),
        tuple([(each.name, each.family, len(listed)) for each, listed in zip(filter.sets, sets, strict=True)]),
        tuple([(len(prefixes.v4), len(prefixes.v6)) for _, _, prefixes in filter.through]),
        len(filter.peers),
        filter.rules,
        len(filter.below),
    )
    return fill_alike("nftables/nftables.conf.j2", _values, shape, words)


def _values(
    word: Word,
    forwards: bool,
    lines: int,
    inside: int,
    guards: int,
    sets: tuple[tuple[str, int, int], ...],
    through: tuple[tuple[int, int], ...],
    peers: int,
    rules: tuple[Rule, ...],
    below: int,
) -> dict[str, object]:
    def some(count: int) -> tuple[str, ...]:
        return tuple(word() for _ in range(count))

    name, wires, cables = word(), some(lines), some(inside)
    guarded = tuple(Guard(word(), word(), word()) for _ in range(guards))
    elements = [(name, family, some(count)) for name, family, count in sets]
    carried = tuple((word(), word(), Dual(some(v4), some(v6))) for v4, v6 in through)
    beside = tuple(Peer(word(), word(), word()) for _ in range(peers))
    ports = tuple(Below(word(), End(word(), word()), End(word(), word())) for _ in range(below))
    chains: dict[str, list[str]] = {"input": [], "forward": []}
    for rule in rules:
        chains[rule.chain].append(line(rule))
    filter = Filter(forwards, wires, cables, guarded, (), (), carried, beside, ports)
    return {"filter": filter, "name": name, "sets": elements, "chains": chains}


def _any(*prefixes: str) -> str:
    return prefixes[0] if len(prefixes) == 1 else f"{{ {', '.join(prefixes)} }}"


def wrapped(elements: tuple[str, ...]) -> list[str]:
    """The elements joined by commas, in lines of at most `WIDTH` characters."""
    lines: list[str] = []
    for number, element in enumerate(elements, 1):
        word = element + ("," if number < len(elements) else "")
        if lines and len(lines[-1]) + len(word) < WIDTH:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def line(rule: Rule) -> str:
    """One rule as nft reads it."""
    words = []
    for key, value in (("iifname", rule.entry), ("oifname", rule.exit)):
        if value:
            name = value if value.startswith("@") else f'"{value}"'
            words.append(f"{key} {name}")
    header = "ip" if rule.family == 4 else "ip6"
    for key, value in (("saddr", rule.source), ("daddr", rule.target)):
        if value:
            words.append(f"{header} {key} {value}")
    protocol, _, port = rule.port.partition("/")
    if protocol == "icmp":
        words.append(f"{'icmp' if rule.family == 4 else 'icmpv6'} type {port}-request")
    elif protocol == "proto":
        words.append(f"meta l4proto {port}")
    else:
        words.append(f"{protocol} dport {port}")
    return " ".join([*words, "counter", "accept", f'comment "{rule.flow}"'])
