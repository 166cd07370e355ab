"""Numbers of entries that come from what an entry says, and not from its place: a new one beside it renumbers nothing."""

from __future__ import annotations

import zlib
from collections.abc import Iterable


def numbered(entries: Iterable[str], low: int, high: int) -> dict[str, int]:
    """Entry → its number in `low`..`high`, each once. Of two that meet, the one that sorts later takes the next free number."""
    size = high - low + 1
    taken: dict[int, str] = {}
    for entry in sorted(set(entries)):
        place = zlib.crc32(entry.encode()) % size
        while place in taken:
            place = (place + 1) % size
        taken[place] = entry
    return {entry: low + place for place, entry in taken.items()}
