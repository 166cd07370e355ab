"""Reader of systemd.network and systemd.netdev files: which addresses and routes an interface gets."""

from __future__ import annotations

import msgspec

from ground.mistake import Mistake, Mistakes


class Line(msgspec.Struct, frozen=True):
    """`key=value` in a section; sections that stand twice are two."""

    section: str
    number: int
    """Which section of the file, from 0."""
    key: str
    value: str
    line: int


class Route(msgspec.Struct, frozen=True):
    """A static route: destination (empty: every address) and gateway."""

    to: str
    via: str
    line: int
    type: str = ""


class Unit(msgspec.Struct, frozen=True):
    """One `.network` file."""

    file: str
    name: str
    """Interface it applies to."""
    name_line: int
    addresses: tuple[tuple[str, int], ...]
    routes: tuple[Route, ...]
    lines: tuple[Line, ...]


def lines(source: str, file: str) -> tuple[Line, ...]:
    """Every setting of the file, after systemd.syntax(7). Raises Mistakes: JB2401."""
    found: list[Line] = []
    section, number = "", -1
    for line, raw in enumerate(source.splitlines(), 1):
        text = raw.strip()
        if not text or text[0] in "#;":
            continue
        if text.startswith("[") and text.endswith("]"):
            section, number = text[1:-1], number + 1
            continue
        key, equals, value = text.partition("=")
        if not equals or not section or raw.endswith("\\"):
            cure = "Write `Key=value` below a `[Section]`, one a line."
            raise Mistakes([Mistake(file, line, None, "JB2401", "", f"the proof cannot read this: {text}", cure)])
        found.append(Line(section, number, key.strip(), value.strip(), line))
    return tuple(found)


def read(source: str, file: str) -> Unit:
    """The addresses and routes of one `.network` file. Raises Mistakes: JB2401."""
    found = lines(source, file)
    name, name_line = "", 1
    addresses: list[tuple[str, int]] = []
    routes: dict[int, list[Line]] = {}
    for item in found:
        if item.section == "Match" and item.key == "Name":
            name, name_line = item.value, item.line
        elif item.section in ("Network", "Address") and item.key == "Address":
            addresses.append((item.value, item.line))
        elif item.section == "Network" and item.key == "Gateway":
            routes.setdefault(-item.line, []).append(item)
        elif item.section == "Route":
            routes.setdefault(item.number, []).append(item)
    made = []
    for group in routes.values():
        by_key = {item.key: item for item in group}
        to = by_key["Destination"].value if "Destination" in by_key else ""
        via = by_key["Gateway"].value if "Gateway" in by_key else ""
        kind = by_key["Type"].value if "Type" in by_key else ""
        made.append(Route(to, via, group[0].line, kind))
    return Unit(file, name, name_line, tuple(addresses), tuple(made), found)
