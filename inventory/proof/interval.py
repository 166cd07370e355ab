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


def cuts(intervals: Iterable[Interval], of: int) -> list[int]:
    """The points at which membership in any of `intervals` may change, 0 first: between two of them all are alike."""
    points = {0}
    for first, last in intervals:
        points.add(first)
        points.add(last + 1)
    points.discard(1 << BITS[of])
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


def spread(bits: int, width: int) -> int:
    """Bit i of `bits` moved to bit i * `width`: times a mask of less than `width` bits it gives the product set."""
    found = 0
    while bits:
        low = bits & -bits
        found |= 1 << ((low.bit_length() - 1) * width)
        bits ^= low
    return found


def classes(sets: Iterable[tuple[Interval, ...]], of: int) -> tuple[tuple[int, ...], dict[tuple[Interval, ...], int]]:
    """All addresses of a family in the fewest classes that no given set divides.

    Returns the first address of each class, ascending, and for each set the mask of the classes in it.
    """
    units = list(dict.fromkeys(sets))
    points = cuts((span for unit in units for span in unit), of)
    signatures = [0] * len(points)
    for number, unit in enumerate(units):
        for first, last in unit:
            for index in range(bisect_left(points, first), bisect_left(points, last + 1)):
                signatures[index] |= 1 << number
    known: dict[int, int] = {}
    first_of: list[int] = []
    masks = [0] * len(units)
    for point, signature in zip(points, signatures, strict=True):
        if signature not in known:
            place = known[signature] = len(first_of)
            first_of.append(point)
            rest = signature
            while rest:
                low = rest & -rest
                masks[low.bit_length() - 1] |= 1 << place
                rest ^= low
    return tuple(first_of), dict(zip(units, masks, strict=True))
