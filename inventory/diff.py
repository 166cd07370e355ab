"""What a device runs against what was rendered for it: section by section, and over the fleet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import SequenceMatcher
from typing import Literal

import msgspec

from inventory.config import UNKNOWN, Config, Path, Section
from inventory.rules import Grammar

Kind = Literal["missing", "extra"]


class Difference(msgspec.Struct, frozen=True, order=True):
    """One line that only one of the two has."""

    section: Path
    kind: Kind
    """`missing`: rendered, and not on the device. `extra`: on the device, and not rendered."""
    line: str

    def __str__(self) -> str:
        return f"{'+' if self.kind == 'missing' else '-'} {self.line}"


class Shared(msgspec.Struct, frozen=True):
    """One difference with the devices that have it."""

    dialect: str
    difference: Difference
    devices: tuple[str, ...]


class Aligned(msgspec.Struct, frozen=True):
    """Sections of what runs beside those that are rendered. `renamed`: rendered path → the running one it is made from, whose
    last line alone is another."""

    running: dict[Path, Section]
    renamed: dict[Path, Path]


def aligned(running: Config, rendered: Config, known: Grammar | None) -> Aligned:
    """The running sections under the paths of the rendered ones: one whose opening line has another value is the same, with all
    that is in it."""
    beside, renamed = running.sections, dict[Path, Path]()
    if known is None:
        return Aligned(beside, renamed)
    for depth in range(1, max(map(len, rendered.sections)) + 1):
        gone = [path for path in beside.keys() - rendered.sections.keys() if len(path) == depth]
        new = [path for path in rendered.sections.keys() - beside.keys() if len(path) == depth]
        if not gone or not new:
            continue
        places = {slot: path for path in gone if (slot := _slot(path, beside, known))}
        back: dict[Path, Path] = {}
        for path in sorted(new):
            slot = _slot(path, rendered.sections, known)
            if slot is not None and (old := places.get(slot)):
                renamed[path], back[old] = old, path
        if back:
            beside = {(*back.get(path[:depth], path[:depth]), *path[depth:]): beside[path] for path in beside}
    return Aligned(beside, renamed)


def _slot(path: Path, sections: Mapping[Path, Section], known: Grammar) -> tuple[Path, tuple[str, ...]] | None:
    section = sections[path]
    if section.kind == UNKNOWN:
        return None
    above = sections[path[:-1]]
    found = known.known(above.kind, path[-1], above.places)
    return (path[:-1], found.slot) if found and found.rule.over else None


def differences(running: Config, rendered: Config, known: Grammar | None) -> list[Difference]:
    """Every line that only one of the two has, by section; those of a sequence in their order."""
    beside = aligned(running, rendered, known)
    found = []
    for path in sorted(beside.running.keys() | rendered.sections.keys()):
        old, new = beside.running.get(path), rendered.sections.get(path)
        if path in beside.renamed:
            found.append(Difference(path[:-1], "extra", beside.renamed[path][-1]))
        if path and (old is None or path in beside.renamed):
            found.append(Difference(path[:-1], "missing", path[-1]))
        if path and new is None:
            found.append(Difference(path[:-1], "extra", path[-1]))
        found += between(path, old, new)
    return found


def between(path: Path, old: Section | None, new: Section | None) -> list[Difference]:
    """The differences of the lines of one section."""
    before, after = old.lines if old else [], new.lines if new else []
    if before == after:
        return []
    if (old and old.sequence) or (new and new.sequence):
        return list(_in_order(path, before, after))
    had, has = set(before), set(after)
    found = [Difference(path, "extra", line) for line in before if line not in has]
    return found + [Difference(path, "missing", line) for line in after if line not in had]


def _in_order(path: Path, before: list[str], after: list[str]) -> Iterable[Difference]:
    for kind, low, high, first, last in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind != "equal":
            yield from (Difference(path, "extra", line) for line in before[low:high])
            yield from (Difference(path, "missing", line) for line in after[first:last])


def fleet(found: Iterable[tuple[str, str, list[Difference]]]) -> list[Shared]:
    """From (device, dialect, differences) to each difference once, with its devices; those of most devices first."""
    devices: dict[tuple[str, Difference], list[str]] = {}
    for device, dialect, listed in found:
        for difference in dict.fromkeys(listed):
            devices.setdefault((dialect, difference), []).append(device)
    shared = [Shared(dialect, difference, tuple(names)) for (dialect, difference), names in devices.items()]
    return sorted(shared, key=lambda one: (-len(one.devices), one.dialect, one.difference))
