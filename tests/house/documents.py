"""The documents as values: headings, fenced blocks, commands, inline code, and the files that docs/where.md names."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.house.contract import CHECKOUT

README, CHINESE = CHECKOUT / "README.md", CHECKOUT / "README.zh-CN.md"
ERRORS, WHERE = CHECKOUT / "docs" / "errors.md", CHECKOUT / "docs" / "where.md"
ALL = [README, CHINESE, *sorted((CHECKOUT / "docs").glob("*.md"))]

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)


class Block(NamedTuple):
    """A fenced block: its language and its text."""

    language: str
    text: str


class Command(NamedTuple):
    """One line of a shell block, in words, and what the block exported before it."""

    words: list[str]
    exported: dict[str, str]


def blocks(text: str) -> list[Block]:
    """Every fenced block in order."""
    return [Block(found[1], found[2]) for found in _FENCE.finditer(text)]


def headings(text: str) -> list[int]:
    """The levels of all headings in order."""
    return [len(found) for found in re.findall(r"^(#+) ", _FENCE.sub("", text), re.M)]


def commands(text: str) -> Iterator[Command]:
    """Every command of the shell blocks, comments left out."""
    for block in blocks(text):
        if block.language not in ("sh", "console"):
            continue
        exported: dict[str, str] = {}
        for line in block.text.splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            if words[:1] == ["export"]:
                exported |= {name: value for name, _, value in (word.partition("=") for word in words[1:])}
            elif words:
                yield Command(words, dict(exported))


def inline(text: str) -> list[str]:
    """Every inline code span."""
    return re.findall(r"`([^`\n]+)`", _FENCE.sub("", text))


def sections(text: str) -> dict[str, str]:
    """Heading of level 2 → what stands below it."""
    parts = re.split(r"^## (.+)\n", text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def places(section: str) -> list[str]:
    """The paths that a section of docs/where.md lists; `<…>` stands for one name."""
    return re.findall(r"^- `([^`]+)`", section, re.M)


def allows(section: str, path: str) -> bool:
    """Whether a section names `path`."""
    return any(_pattern(place).fullmatch(path) for place in places(section))


def standing(place: str) -> list[Path]:
    """The files there are now whose path fits one of docs/where.md."""
    if "<" not in place:
        return [Path(place)] if (CHECKOUT / place).is_file() else []
    pattern = _pattern(place)
    fixed = Path(place.partition("<")[0] + "x").parent
    found = (path.relative_to(CHECKOUT) for path in (CHECKOUT / fixed).rglob("*") if path.is_file())
    return [path for path in found if pattern.fullmatch(str(path))]


def _pattern(place: str) -> re.Pattern[str]:
    return re.compile("[^/]+".join(re.escape(part) for part in re.split(r"<[^>]+>", place)))
