"""Address arithmetic: prefixes as integers, and spaces from which aligned blocks are taken.

Integers inside, text at the edge; no address object where the nation runs through.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton

Block = tuple[int, int]
"""(first address, prefix length) within one family."""

BITS = {4: 32, 6: 128}


class OutOfSpace(Exception):
    """No aligned block of that length is free."""


def parse(text: str, family: int) -> Block:
    """`10.0.0.0/8` → (first, length). Raises ValueError for bad text, or for host bits that are set."""
    address, slash, length_text = text.partition("/")
    length = int(length_text) if slash else BITS[family]
    try:
        value = int.from_bytes(inet_pton(AF_INET if family == 4 else AF_INET6, address))
    except OSError:
        raise ValueError(f"{text} is not an IPv{family} prefix") from None
    if not 0 <= length <= BITS[family]:
        raise ValueError(f"{text} has a length outside 0–{BITS[family]}")
    if value & (size(length, family) - 1):
        mended = write((value & ~(size(length, family) - 1), length), family)
        raise ValueError(f"{text} has host bits set (the prefix is {mended})")
    return value, length


def address(value: int, family: int) -> str:
    """An address as text."""
    if family == 4:
        return f"{value >> 24}.{value >> 16 & 255}.{value >> 8 & 255}.{value & 255}"
    return inet_ntop(AF_INET6, value.to_bytes(16))


def write(block: Block, family: int) -> str:
    """A block as text."""
    return f"{address(block[0], family)}/{block[1]}"


def prefix(text: str) -> str:
    """The prefix that an address with its length lies in: `10.0.0.1/31` → `10.0.0.0/31`."""
    family = 6 if ":" in text else 4
    host, _, length = text.partition("/")
    return write((parse(host, family)[0] & ~(size(int(length), family) - 1), int(length)), family)


def size(length: int, family: int) -> int:
    """How many addresses a block of `length` holds."""
    return int(1 << (BITS[family] - length))


def length_for(count: int, family: int) -> int:
    """The longest prefix that holds `count` addresses (at least one)."""
    return BITS[family] - max(count - 1, 0).bit_length()


def contains(outer: Block, inner: Block, family: int) -> bool:
    """Whether `inner` lies in `outer`."""
    return inner[1] >= outer[1] and outer[0] <= inner[0] < outer[0] + size(outer[1], family)


def overlap(one: Block, other: Block, family: int) -> bool:
    """Whether two blocks share an address."""
    return contains(one, other, family) or contains(other, one, family)


class Space:
    """The free part of some blocks of one family. `take` gives the lowest aligned block of the smallest hole that fits.

    Deterministic: the same blocks, the same used ones and the same order of calls give the same answers.
    """

    def __init__(self, blocks: Iterable[Block], used: Iterable[Block], family: int) -> None:
        self.family = family
        self.bits = BITS[family]
        self._free: dict[int, list[int]] = {}
        taken = sorted((first, first + size(length, family)) for first, length in used)
        for first, length in sorted(blocks):
            end = first + size(length, family)
            cursor = first
            index = bisect_left(taken, (first, 0))
            while index < len(taken) and taken[index][0] < end:
                if taken[index][0] > cursor:
                    self._release(cursor, taken[index][0])
                cursor = max(cursor, taken[index][1])
                index += 1
            if cursor < end:
                self._release(cursor, end)

    def _release(self, first: int, end: int) -> None:
        while first < end:
            step = (first & -first) or 1 << self.bits
            while first + step > end:
                step >>= 1
            insort(self._free.setdefault(step, []), first)
            first += step

    def take(self, length: int) -> Block:
        """A free block of `length`, which is then used. Raises OutOfSpace."""
        step = wanted = 1 << (self.bits - length)
        while not (holes := self._free.get(step)):
            step <<= 1
            if step > 1 << self.bits:
                raise OutOfSpace
        first = holes.pop(0)
        while step > wanted:
            step >>= 1
            insort(self._free.setdefault(step, []), first + step)
        return first, length

    def free(self) -> int:
        """How many addresses are free."""
        return sum(step * len(holes) for step, holes in self._free.items())

    def room(self, length: int) -> int:
        """How many aligned blocks of `length` are free."""
        wanted = size(length, self.family)
        return sum(step // wanted * len(holes) for step, holes in self._free.items() if step >= wanted)

    def largest(self) -> int | None:
        """The length of the largest aligned block that is free; None when nothing is."""
        steps = [step for step, holes in self._free.items() if holes]
        return length_for(max(steps), self.family) if steps else None


def pieces(block: Block, family: int) -> list[Block]:
    """`block` cut at the next octet (IPv4) or nibble (IPv6) boundary: the reverse zones it needs."""
    step = 8 if family == 4 else 4
    length = -(-block[1] // step) * step
    return [(first, length) for first in range(block[0], block[0] + size(block[1], family), size(length, family))]
