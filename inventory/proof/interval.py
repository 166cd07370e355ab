"""Sets of addresses as integers: an interval is a pair (first, last), a family is 4 or 6."""

from __future__ import annotations

import socket
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import lru_cache

Interval = tuple[int, int]

BITS = {4: 32, 6: 128}
_FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}


def family(text: str) -> int:
    """4 or 6, by whether there is a colon in the text of an address or prefix."""
    return 6 if ":" in text else 4


@lru_cache(maxsize=200_000)
def number(text: str) -> int:
    """The integer of an address. Raises ValueError."""
    try:
        return int.from_bytes(socket.inet_pton(_FAMILY[family(text)], text), "big")
    except OSError:
        raise ValueError(f"{text!r} is not an address") from None


def text(address: int, of: int) -> str:
    """The text of an address of family `of`."""
    return socket.inet_ntop(_FAMILY[of], address.to_bytes(BITS[of] // 8, "big"))


@lru_cache(maxsize=200_000)
def interval(value: str) -> Interval:
    """The interval of `10.1.0.0/16`, `10.1.2.3` or `10.1.2.3-10.1.2.9`; host bits are masked. Raises ValueError."""
    if "-" in value:
        first, _, last = value.partition("-")
        if family(first) != family(last) or number(first) > number(last):
            raise ValueError(f"{value!r} is not a range")
        return number(first), number(last)
    address, slash, length = value.partition("/")
    bits = BITS[family(address)]
    if not slash:
        return number(address), number(address)
    if not length.isdigit() or int(length) > bits:
        raise ValueError(f"{value!r} is not a prefix")
    host = (1 << (bits - int(length))) - 1
    base = number(address) & ~host
    return base, base | host


@lru_cache(maxsize=200_000)
def prefix(value: str) -> tuple[int, int, int]:
    """(family, first address, length) of a prefix; an address without length is a host. Raises ValueError."""
    address, slash, length = value.partition("/")
    of = family(address)
    return of, interval(value)[0], int(length) if slash else BITS[of]


def spell(of: int, base: int, length: int) -> str:
    """`10.1.0.0/16`."""
    return f"{text(base, of)}/{length}"


def cuts(intervals: Iterable[Interval]) -> list[int]:
    """The points at which membership in any of `intervals` may change, 0 first: between two of them all are alike."""
    points = {0}
    for first, last in intervals:
        points.add(first)
        points.add(last + 1)
    return sorted(points)


def mask(points: Sequence[int], intervals: Iterable[Interval]) -> int:
    """Bit i is set when `points[i]` lies in one of `intervals`."""
    found = 0
    for first, last in intervals:
        low = bisect_left(points, first)
        high = bisect_left(points, last + 1)
        found |= ((1 << (high - low)) - 1) << low
    return found


@lru_cache(maxsize=10_000)
def repeat(count: int, width: int) -> int:
    """One bit in each of `count` fields of `width` bits: times a mask of less than `width` bits it repeats the mask."""
    return ((1 << (count * width)) - 1) // ((1 << width) - 1)
