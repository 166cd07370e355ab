"""nftables: the zone firewall, and the filter in front of a router's control plane."""

from __future__ import annotations

from functools import lru_cache

from inventory.dialects.template import fill
from inventory.file import File
from inventory.filtering import Filter, Rule
from inventory.intent import Intent

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
    sets = [(each.name, each.family, wrapped(each.elements)) for each in filter.sets]
    chains: dict[str, list[str]] = {"input": [], "forward": []}
    for rule in filter.rules:
        chains[rule.chain].append(line(rule))
    return fill("nftables/nftables.conf.j2", filter=filter, name=name, sets=sets, chains=chains)


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


@lru_cache(8192)  # sites of a kind have the same rules: addresses stand in the sets
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
