"""Prefixes as the command lines of vendors spell them. An address alone is a whole one."""

from __future__ import annotations

from ipaddress import IPv4Network

_MASKS = {str(length): str(IPv4Network((0, length)).netmask) for length in range(33)}
_WILDCARDS = {str(length): str(IPv4Network((0, length)).hostmask) for length in range(33)}


def mask(prefix: str) -> str:
    """`10.0.0.1/24` → `10.0.0.1 255.255.255.0`."""
    address, _, length = prefix.partition("/")
    return f"{address} {_MASKS[length or '32']}"


def wildcard(prefix: str) -> str:
    """`10.0.0.0/24` → `10.0.0.0 0.0.0.255`."""
    address, _, length = prefix.partition("/")
    return f"{address} {_WILDCARDS[length or '32']}"


def split(prefix: str) -> str:
    """`3fff::/20` → `3fff:: 20`."""
    address, _, length = prefix.partition("/")
    return f"{address} {length or (128 if ':' in address else 32)}"
