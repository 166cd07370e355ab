"""What one device of a pair says of the pair, whatever its dialect: virtual addresses, what decides who has them, the heartbeat."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from inventory.proof import interval
from inventory.proof.blocks import Unknown

STATES = {"active": 120, "standby": 100}
"""Priorities of a virtual router whose state the pair decides and not its advertisements: which is higher counts alone."""


class Tracked(msgspec.Struct, frozen=True):
    """A script whose answer changes a priority."""

    name: str
    line: int
    script: str
    weight: int
    """Added while it answers well, or where negative, while it does not; 0: a bad answer takes the device out."""
    rise: int
    doubted: bool
    """Taken for a bad answer until it has answered."""


class Virtual(msgspec.Struct, frozen=True):
    """A virtual router: the addresses that its active device has on an interface."""

    name: str
    line: int
    interface: str
    group: int
    """VRID."""
    priority: int
    seconds: float
    """Between advertisements."""
    version: int
    source: str
    """Address that it speaks from; empty: whatever it finds."""
    addresses: tuple[tuple[str, int], ...]
    """Address with its length, and line. Link-local ones apart."""
    local: str = ""
    """The link-local address of an IPv6 one, where it is said."""


class Heartbeat(msgspec.Struct, frozen=True):
    """What a vendor's two devices tell each other over a cable of their own."""

    line: int
    interface: str
    """Logical name; empty: none is said."""
    own: str
    """With length."""
    other: str
    """Address of the other end; empty: it is found."""
    first: bool | None
    """Whether the device is the one that is active while both are up; None: priorities alone say so."""
    on: bool
    mirrors: bool
    """Whether the other has the device's connections too."""
    copies: bool
    """Whether the device's commands go to the other: then neither has a text of its own."""


class Config(msgspec.Struct, frozen=True):
    """What the text of one device says."""

    file: str
    virtuals: tuple[Virtual, ...]
    together: tuple[frozenset[str], ...]
    """Names of virtual routers that change over together."""
    tracked: tuple[Tracked, ...] = ()
    """What all of the first group follow."""
    heartbeat: Heartbeat | None = None
    """Of a vendor's device."""
    followed: Mapping[str, int] = {}
    """Interface → line by which the device gives its addresses up while that is down."""
    least: Mapping[int, int] = {}
    """Family → least cost that OSPF tells of the zones while the device stands by."""
    spoken: bool = True
    """Whether virtual routers advertise themselves on their interfaces (RFC 9568)."""
    fixed: bool = False
    """Whether OSPF's costs stay while the two change over: the first stands by only with its zones or all of its cables gone."""


class Group(msgspec.Struct):
    """A virtual router of a vendor's device, while its lines are read."""

    line: int
    priority: int
    addresses: list[tuple[str, int]] = []
    local: str = ""


class Groups(msgspec.Struct):
    """The virtual routers of a vendor's device, while its lines are read."""

    held: dict[tuple[str, int, int], Group] = {}
    """(logical interface, VRID, family) → what is said of it."""

    def take(self, interface: str, number: str, family: int, address: str, priority: int, line: int) -> None:
        """A line that gives a virtual router an address; IPv6 has a link-local one first (RFC 9568 6.1).

        Raises Unknown; ValueError for what is no address.
        """
        interval.number(address)
        if not 1 <= int(number) <= 255:
            raise Unknown(line, f"virtual router {number} (1 to 255)")
        if interval.family(address) != family:
            raise Unknown(line, f"virtual address {address} of IPv{family}")
        local = family == 6 and interval.number(address) >> 118 == 0xFE80 >> 6
        group = self.held.get((interface, int(number), family))
        if group is None:
            if family == 6 and not local:
                raise Unknown(line, f"virtual router {number} of IPv6 without a link-local address")
            group = self.held[interface, int(number), family] = Group(line, priority, [])
        if group.priority != priority:
            raise Unknown(line, f"virtual router {number} has two priorities")
        if local:
            group.local = interval.text(interval.number(address), 6)
        else:
            group.addresses.append((address, line))

    def said(self, rest: list[str], address: str, line: int) -> None:
        """Whether an IPv6 address stands with `link-local` when it is one. Raises Unknown."""
        if rest not in ([], ["link-local"]) or bool(rest) != address.lower().startswith("fe80:"):
            raise Unknown(line, f"virtual address {address} {' '.join(rest)}")

    def virtuals(self, networks: Mapping[str, list[str]]) -> tuple[Virtual, ...]:
        """As the proof takes them. `networks`: the own addresses of interfaces, with lengths; a virtual address has the length of
        the one that it lies in."""
        found = []
        for (interface, number, family), group in self.held.items():
            own = [text for text in networks.get(interface, ()) if interval.family(text.partition("/")[0]) == family]
            local = [text for text in own if text.startswith("fe80:")]
            source = next(iter(local if family == 6 else own), "").partition("/")[0]
            addresses = tuple((lying(text, own), line) for text, line in group.addresses)
            name = f"{interface}-{family}"
            version = 3 if family == 6 else 2
            found.append(
                Virtual(
                    name, group.line, interface, number, group.priority, 1, version, source, addresses, group.local
                )
            )  # fmt: skip
        return tuple(found)


def lying(address: str, own: list[str]) -> str:
    """A virtual address with the length of the own one that it lies beside; a single one where it lies beside none."""
    family, value = interval.family(address), interval.number(address)
    for text in own:
        _, base, length = interval.prefix(text)
        shift = interval.BITS[family] - length
        if base >> shift == value >> shift:
            return f"{interval.text(value, family)}/{length}"
    return f"{interval.text(value, family)}/{interval.BITS[family]}"
