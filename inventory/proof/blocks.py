"""Configurations of network devices as blocks: a line, and the lines indented below it.

VRP, Comware and IOS print what belongs to a view one step deeper than the line that opens it; a sign at the start of a line closes
every view.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from ground.mistake import Mistake, Mistakes


class Block(msgspec.Struct):
    """One line in words, and what stands below it."""

    words: tuple[str, ...]
    line: int
    below: list[Block] = []

    @property
    def last(self) -> int:
        """The last line of the block."""
        return self.below[-1].last if self.below else self.line


class Unknown(Exception):
    """A line that the reader does not know."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(what)
        self.line, self.what = line, what


def parse(source: str, sign: str, *, indented: bool = False) -> tuple[list[Block], list[Unknown]]:
    """The blocks of a file by indentation, and the lines that stand too deep; `sign` begins comments and ends views.

    `indented`: a line outside of views may stand one step in, as Comware prints it.
    """
    top: list[Block] = []
    faults: list[Unknown] = []
    way: list[tuple[int, Block]] = []
    for number, raw in enumerate(source.splitlines(), 1):
        text = raw.strip()
        depth = len(raw) - len(raw.lstrip())
        if not text or text.startswith(sign):
            if text and depth == 0:
                way = []
            continue
        while way and way[-1][0] >= depth:
            way.pop()
        block = Block(tuple(text.split()), number, [])
        if depth and not way and not (indented and depth == 1):
            faults.append(Unknown(number, f"{text}: indented, but below no line"))
            continue
        (way[-1][1].below if way else top).append(block)
        way.append((depth, block))
    return top, faults


def each(blocks: Iterable[Block], take: Callable[[Block], None], faults: list[Unknown]) -> None:
    """Give every block to `take`; what it cannot read is kept in `faults`, with the line."""
    for block in blocks:
        try:
            take(block)
        except Unknown as error:
            faults.append(error)
        except (ValueError, LookupError) as error:
            faults.append(Unknown(block.line, f"{' '.join(block.words)}: {error}"))


def refuse(faults: list[Unknown], file: str, reader: str) -> None:
    """Raise Mistakes JB2401 for every fault; nothing when there is none."""
    if faults:
        cure = f"Write what {reader} reads, or teach it what the line does."
        found = [
            Mistake(file, fault.line, None, "JB2401", "", f"the proof cannot read this: {fault.what}", cure)
            for fault in faults
        ]
        raise Mistakes(found, "nothing was proved")
