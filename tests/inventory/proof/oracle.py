"""What a rule set does with one packet, by reading its text line by line: the other opinion, which shares no code with the proof.

It knows as much of nft as the templates write, and works with `ipaddress` on one packet at a time.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import NamedTuple


class Packet(NamedTuple):
    """A new connection's first packet; `oif` is empty for the device itself."""

    iif: str
    oif: str
    src: str
    dst: str
    proto: str
    port: int


class Refused(Exception):
    """A line that this reader does not know."""


@lru_cache(maxsize=4)
def parse(text: str) -> tuple[dict[str, list[str]], dict[str, list[str]], dict[str, str]]:
    """(sets, chains as lines, policies of the hooks)."""
    sets: dict[str, list[str]] = {}
    for name, body in re.findall(r"set (\S+) \{(?:[^{}]*)elements = \{([^}]*)\}", text):
        sets[name] = re.findall(r"[^\s,\"]+", body)
    chains: dict[str, list[str]] = {}
    policies: dict[str, str] = {}
    current = ""
    for raw in text.splitlines():
        line = raw.strip()
        if opened := re.fullmatch(r"chain (\S+) \{", line):
            current = opened.group(1)
            chains[current] = []
        elif line == "}":
            current = ""
        elif hook := re.match(r"type filter hook (\S+) priority filter; policy (\S+);", line):
            policies[hook.group(1)] = hook.group(2)
        elif current and line:
            chains[current].append(line)
    return sets, chains, policies


def passes(text: str, hook: str, packet: Packet) -> bool:
    """Whether `packet` gets through the chain of `hook`, which is called as its hook."""
    sets, chains, policies = parse(text)
    verdict = _walk(sets, chains, chains[hook], packet)
    return (verdict or policies[hook]) == "accept"


@lru_cache(maxsize=10_000)
def _words(line: str) -> list[str]:
    bare = re.sub(r' comment "[^"]*"', "", line)
    return re.sub(r", ", " ", bare).split()


@lru_cache(maxsize=10_000)
def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(text, strict=False)


def _walk(sets: dict[str, list[str]], chains: dict[str, list[str]], lines: list[str], packet: Packet) -> str:
    for line in lines:
        words = _words(line)
        verdict = _rule(sets, words, packet)
        if verdict in ("accept", "drop"):
            return verdict
        if verdict.startswith("jump "):
            inner = _walk(sets, chains, chains[verdict[5:]], packet)
            if inner:
                return inner
    return ""


def _rule(sets: dict[str, list[str]], words: list[str], packet: Packet) -> str:
    """The verdict of a rule for the packet; empty when it does not hold or has none."""
    at = 0

    def values() -> list[str]:
        nonlocal at
        if words[at] == "{":
            end = words.index("}", at)
            found, at = words[at + 1 : end], end + 1
        else:
            word, at = words[at], at + 1
            found = sets[word[1:]] if word.startswith("@") else word.split(",")
        return [each.strip('"') for each in found]

    def negated() -> bool:
        nonlocal at
        if words[at] == "!=":
            at += 1
            return True
        return False

    version = ipaddress.ip_address(packet.src).version
    while at < len(words):
        word, at = words[at], at + 1
        if word in ("iifname", "oifname"):
            apart, listed = negated(), values()
            if ((packet.iif if word == "iifname" else packet.oif) in listed) == apart:
                return ""
        elif word in ("ip", "ip6"):
            field, at = words[at], at + 1
            if version != (4 if word == "ip" else 6):
                return ""
            apart, listed = negated(), values()
            if field == "hoplimit":
                continue
            address = ipaddress.ip_address(packet.src if field == "saddr" else packet.dst)
            if any(address in _network(each) for each in listed) == apart:
                return ""
        elif word in ("tcp", "udp"):
            at += 1
            if packet.proto != word or str(packet.port) not in values():
                return ""
        elif word in ("icmp", "icmpv6"):
            at += 1
            known = {("icmp", 8): "echo-request", ("icmpv6", 128): "echo-request"}
            if packet.proto != word or known.get((packet.proto, packet.port), "") not in values():
                return ""
        elif word == "ct":
            at += 1
            if "new" not in values():
                return ""
        elif word == "meta":
            at += 1
            if packet.proto not in values():
                return ""
        elif word == "counter":
            continue
        elif word in ("accept", "drop"):
            return word
        elif word == "jump":
            return f"jump {words[at]}"
        else:
            raise Refused(word)
    return ""
