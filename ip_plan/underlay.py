"""What lies below an encrypted line between two Debian devices: addresses of its port, and of the tunnel's two ends.

They follow from the line's own IPv4 pair, so that a plan says nothing of them. They are never routed beyond the line.
"""

from __future__ import annotations

import ipaddress

import msgspec

PREFIX = "fd8c:51f7:2e90"
"""Sample data: a unique local /48 (RFC 4193), whose subnet 0 is below the lines and 1 within what protects them."""
VXLAN_PORT = 4789
"""RFC 7348 4.1."""
KEY_PORTS = (500, 4500)
"""IKE (RFC 7296 2), and ESP in UDP (RFC 3948)."""
SHIELD = "ipsec0"
"""The interface that protected packets come from and go to."""


class End(msgspec.Struct, frozen=True):
    """One end of an encrypted line."""

    outer: str
    """Address of the port, where keys and encrypted packets go."""
    inner: str
    """Address that the tunnel goes from: reached under protection alone."""


def end(v4: str) -> End:
    """The end with the line's IPv4 address, given with its length or without."""
    number = int(ipaddress.IPv4Address(v4.partition("/")[0]))
    return End(*(str(ipaddress.IPv6Address(f"{PREFIX}:{subnet}::") + number) for subnet in (0, 1)))


def network_id(v4: str) -> int:
    """The VXLAN network of the line (24 bits): the number of its /31."""
    return (int(ipaddress.IPv4Address(v4.partition("/")[0])) >> 1) & 0xFFFFFF


def below(name: str) -> str:
    """The name of the port below the interface `name` of an encrypted line."""
    return f"u{name[1:]}"
