"""Lists of VLANs as terminals take and show them: sets, however they are cut into lines and ranges."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator


def members(text: str) -> list[int]:
    """`110 120 to 125` or `110,120-125` → the ids, sorted."""
    found: set[int] = set()
    for part in text.replace(" to ", "-").replace(",", " ").split():
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return sorted(found)


def ranges(numbers: Iterable[int]) -> str:
    """`110,120-125`, as IOS-XE shows a list."""
    spans: list[list[int]] = []
    for number in sorted(numbers):
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ",".join(f"{first}" if first == last else f"{first}-{last}" for first, last in spans)


def single(line: str, lists: re.Pattern[str]) -> Iterator[str]:
    """A line for each VLAN of one that holds a list: `lists` has groups for the words before and behind it, and `list`."""
    found = lists.fullmatch(line)
    if found is None:
        yield line
        return
    before, behind = found["before"], found["behind"] or ""
    yield from (f"{before}{number}{behind}" for number in members(found["list"]))
