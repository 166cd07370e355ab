"""Prefixes as the command lines of vendors spell them."""

from __future__ import annotations

from ipaddress import ip_interface, ip_network


def mask(prefix: str) -> str:
    """`10.0.0.1/24` → `10.0.0.1 255.255.255.0`."""
    return ip_interface(prefix).with_netmask.replace("/", " ")


def wildcard(prefix: str) -> str:
    """`10.0.0.0/24` → `10.0.0.0 0.0.0.255`."""
    return ip_network(prefix).with_hostmask.replace("/", " ")


def split(prefix: str) -> str:
    """`3fff::/20` → `3fff:: 20`; an address alone is a whole one."""
    address, _, length = prefix.partition("/")
    return f"{address} {length or (128 if ':' in address else 32)}"
