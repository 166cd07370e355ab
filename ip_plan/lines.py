"""Lines that give way to new ones, and devices to others: what the change table says of them, by key.

A line is a grant of its own: the second line between the same two routers has the id `<far>~<own>#2`, and interfaces that end in
`b`. While both are up, one of the two is drained: the policy of both its ends makes every other way better.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from ip_plan.schema import CutOver, DivisionChange, Line, Rank, Recode, Relocate, Replace


class Wire(msgspec.Struct, frozen=True):
    """A line from a site upward."""

    line: Line
    far: str
    """Device nearer the ministry."""
    own: str
    rank: Literal["primary", "backup", "drained"]
    version: int = 1
    carrier: str = ""
    circuit: str = ""

    @property
    def id(self) -> str:
        """Key of its grant."""
        return f"{self.far}~{self.own}" + (f"#{self.version}" if self.version > 1 else "")

    @property
    def mark(self) -> str:
        """What its interfaces end in, so that no two lines of a device have the same."""
        return "" if self.version == 1 else chr(ord("a") + self.version - 1)


class Laid(msgspec.Struct, frozen=True):
    """The lines of one rank of a site, by version: the one in use, and the one that is drained beside it."""

    use: int
    drained: int = 0
    """0: none."""
    carrier: str = ""
    """Of the newest."""
    circuit: str = ""

    @property
    def newest(self) -> int:
        """The last version that is laid."""
        return max(self.use, self.drained)


Lines = dict[tuple[str, str], Laid]


def laid(changes: Sequence[DivisionChange]) -> tuple[Lines, dict[str, str], dict[str, int]]:
    """(key of a region, rank) → its lines; device → serial number; device → row that says so."""
    first: dict[str, str] = {}
    lines: Lines = {}
    serials: dict[str, str] = {}
    rows: dict[str, int] = {}
    for row, change in enumerate(changes):
        match change:
            case Recode():
                first[change.new] = first.pop(change.old, change.old)
            case Replace():
                serials[change.device], rows[change.device] = change.serial, row
            case CutOver():
                key = first.get(change.region, change.region)
                held = lines.get((key, change.rank), Laid(1))
                old, new = held.use, held.newest + 1
                said = (change.carrier, change.circuit)
                if change.stage != "backed-out":
                    of = {"both": (old, new), "drain": (new, old), "done": (new, 0)}[change.stage]
                    lines[key, change.rank] = Laid(*of, *said)
            case Relocate():
                key = first.get(change.region, change.region)
                ranks: tuple[Rank, ...] = ("primary", "backup")
                for rank in ranks:
                    held = lines.get((key, rank), Laid(1))
                    lines[key, rank] = Laid(held.newest + 1, 0, change.carrier, change.circuit)
    return lines, serials, rows


def wires(line: Line, far: str, own: str, held: Laid | None) -> tuple[Wire, ...]:
    """The lines of one row of the plan between two routers."""
    if held is None:
        return (Wire(line, far, own, line.rank, carrier=line.carrier),)
    found = []
    for version, rank in ((held.use, line.rank), (held.drained, "drained")):
        if version:
            newest = version == held.newest and version > 1
            carrier, circuit = (held.carrier, held.circuit) if newest else (line.carrier, "")
            found.append(Wire(line, far, own, rank, version, carrier or line.carrier, circuit))  # type: ignore[arg-type]
    return tuple(found)
