"""Regions: ministry, provinces, the Corps, prefectures, counties and townships, which get addresses and names.

The table is `ip_plan/plans/divisions/regions.csv` or a user's own file of the same columns; SOURCE.md beside it says
where its rows come from and what every column means.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping
from operator import itemgetter

import msgspec

from ground.mistake import Mistake

COLUMNS = ("code", "name", "level", "parent", "kind", "reading", "communities", "villages")
MINISTRY = "000000"
# The Corps has no GB/T 2260 code; this key is the project's own and can never become one.
CORPS = "BT0000"
# 自治区直辖县级行政区划 of Xinjiang; the cities of the Corps lie below it in the statistical codes.
CORPS_CITIES = "6590"

KINDS = {
    "ministry": ("ministry",),
    "province": ("province", "autonomous-region", "municipality", "corps"),
    "prefecture": ("city", "planned-city", "prefecture", "autonomous-prefecture", "league", "grouping"),
    "county": ("county", "direct", "statistical"),
    "township": ("street", "town", "township", "unit"),
}
LEVELS = tuple(KINDS)
_ABOVE = {"province": "ministry", "prefecture": "province", "county": "prefecture", "township": "county"}
_LEVEL_AND_KIND = {(level, kind): (level, kind) for level, kinds in KINDS.items() for kind in kinds}
_CODE = re.compile(r"[0-9]{6}|[0-9]{9}|[0-9]{4}00D|BT0000")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_NUMBER = re.compile(r"[0-9]{1,9}")


class Region(msgspec.Struct, frozen=True, gc=False):
    """One row: `parent` is the code of the region above (empty for the ministry), `reading` a DNS label.

    `communities` (residents' committees) and `villages` (villagers' committees) are counts, zero above the township.
    """

    code: str
    name: str
    level: str
    parent: str
    kind: str
    reading: str
    communities: int
    villages: int


def read(text: str, *, file: str, corps_cities: str) -> tuple[dict[str, Region], list[Mistake]]:
    """Every region by code in the order of the file, and every mistake (JB1101-JB1110) by line.

    `text` is the whole CSV, columns in any order; `file` is named in the mistakes only. `corps_cities` says who holds
    the cities 6590xx: "xinjiang" leaves the file's parent, "corps" hangs them on BT0000 (domain.md 2.4). With mistakes
    the regions are incomplete and good for nothing but further checks. Raises `ValueError` on another `corps_cities`.
    """
    if corps_cities not in ("xinjiang", "corps"):
        raise ValueError(f"corps_cities is {corps_cities!r}, not 'xinjiang' or 'corps'")
    move = corps_cities == "corps"
    found: list[Mistake] = []
    regions: dict[str, Region] = {}
    lines: list[int] = []

    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    try:
        header = next(reader, [])
        missing = [column for column in COLUMNS if column not in header]
        extra = [column for column in header if column not in COLUMNS]
        twice = len(header) != len(set(header))
        for column in missing:
            found.append(_wrong("JB1101", file, 1, column, "the column is missing", _HEADER))
        for column in extra:
            found.append(_wrong("JB1101", file, 1, column, "the column is not known here", _HEADER))
        if twice and not extra:
            found.append(_wrong("JB1101", file, 1, "header", "a column occurs twice", _HEADER))
        if missing or twice:
            return {}, found
        width = len(header)
        arrange: Callable[[list[str]], tuple[str, ...]] | None = None
        if tuple(header) != COLUMNS:
            arrange = itemgetter(*(header.index(column) for column in COLUMNS))

        # One pass, few calls: 45 thousand rows have to load in a quarter of a second. Counts repeat, so they are
        # looked up; a township's code, nine rows in ten, goes past the pattern.
        numbers: dict[str, int] = {}
        pairs, label = _LEVEL_AND_KIND.get, _LABEL.fullmatch
        for row in reader:
            if len(row) != width:
                if row:
                    what = f"the row has {len(row)} fields, the header {width}"
                    found.append(_wrong("JB1101", file, reader.line_num, _named(row), what, _FIELDS))
                continue
            code, name, level, parent, kind, reading, communities, villages = arrange(row) if arrange else row
            pair = pairs((level, kind))
            residents = numbers.get(communities)
            villagers = numbers.get(villages)
            if (
                pair is None
                or (len(code) == 9) != (level == "township")
                or not (code.isdecimal() and code.isascii() if len(code) == 9 else _CODE.fullmatch(code))
                or code in regions
                or not label(reading)
                or (residents is None and (residents := _counted(communities, numbers)) is None)
                or (villagers is None and (villagers := _counted(villages, numbers)) is None)
            ):
                fields = (code, name, level, kind, reading, communities, villages)
                first = lines[list(regions).index(code)] if code in regions else None
                found.extend(_faults(file, reader.line_num, fields, first))
                if first is not None:
                    continue
            else:
                level, kind = pair
            if move and level == "county" and code.startswith(CORPS_CITIES):
                parent = CORPS
            regions[code] = Region(code, name, level, parent, kind, reading, residents or 0, villagers or 0)
            lines.append(reader.line_num)
    except csv.Error as error:
        found.append(_wrong("JB1101", file, reader.line_num, "row", f"not readable as CSV: {error}", _FIELDS))

    found.extend(_misplaced(regions, lines, file))
    found.sort(key=lambda mistake: (mistake.line or 0, mistake.code))
    return regions, found


_HEADER = f"The first line has exactly these columns, in any order: {','.join(COLUMNS)}."
_FIELDS = 'Give the row one field for each column; a text that holds a comma stands in double quotes ("a,b").'


def _wrong(code: str, file: str, line: int, subject: str, what: str, cure: str) -> Mistake:
    return Mistake(file=file, line=line, column=None, code=code, object=subject, what=what, cure=cure)


def _counted(count: str, numbers: dict[str, int]) -> int | None:
    """The number written as `count`, kept in `numbers`; None when it is none."""
    return numbers.setdefault(count, int(count)) if _NUMBER.fullmatch(count) else None


def _named(row: list[str]) -> str:
    return row[0] or "row"


def _faults(file: str, line: int, fields: tuple[str, ...], first: int | None) -> list[Mistake]:
    """What is wrong within one row; `first` is the line that has its code already."""
    code, name, level, kind, reading, communities, villages = fields
    subject = f"{name} ({code})"
    out: list[Mistake] = []
    if not _CODE.fullmatch(code):
        what = f"code {code!r} is not 6 or 9 digits"
        if re.fullmatch(r"[0-9]+(?:\.[0-9]+)?(?:[eE]\+?[0-9]+)|[0-9]+\.[0-9]+", code):
            cure = "A spreadsheet turned the code into a number: format the column as text and write all digits again."
        elif code.isdecimal() and len(code) < 6:
            cure = "Write all 6 digits; a spreadsheet drops leading zeros unless the column is formatted as text."
        else:
            cure = "Write 6 digits, for a township 9; the Corps is BT0000, a city's own county row has a D at the end."
        out.append(_wrong("JB1102", file, line, subject, what, cure))
    elif level in KINDS and (len(code) == 9) != (level == "township"):
        digits = 9 if level == "township" else 6
        what = f"code {code!r} is not {digits} digits, as a {level} has"
        out.append(
            _wrong("JB1102", file, line, subject, what, f"Write the code with {digits} digits or mend the level.")
        )
    if first is not None:
        cure = "Delete one of the two rows or give it its own code."
        out.append(_wrong("JB1103", file, line, subject, f"the code is on line {first} already", cure))
    if level not in KINDS:
        cure = f"Write one of {', '.join(LEVELS)}."
        out.append(_wrong("JB1106", file, line, subject, f"level {level!r} is not known", cure))
    elif kind not in KINDS[level]:
        cure = f"Write one of {', '.join(KINDS[level])}."
        out.append(_wrong("JB1110", file, line, subject, f"kind {kind!r} is not known for a {level}", cure))
    if not _LABEL.fullmatch(reading):
        what = f"reading {reading!r} is not a label" if reading else "the reading is missing"
        cure = "Write 1 to 63 of a-z, 0-9 and hyphen, no hyphen at either end; pinyin without tones, ü as v."
        out.append(_wrong("JB1108", file, line, subject, what, cure))
    for column, count in (("communities", communities), ("villages", villages)):
        if not _NUMBER.fullmatch(count):
            cure = "Write a whole number without signs, points or separators; 0 where there are none."
            out.append(_wrong("JB1109", file, line, subject, f"{column} {count!r} is not a number", cure))
    return out


def _misplaced(regions: Mapping[str, Region], lines: list[int], file: str) -> list[Mistake]:
    """What is wrong between rows: parents that are not there, of the wrong level, or in a circle."""
    out: list[Mistake] = []
    told: set[str] = set()
    for region, line in zip(regions.values(), lines, strict=True):
        wanted = _ABOVE.get(region.level)
        above = regions.get(region.parent)
        if above is not None and above.level == wanted:
            continue
        if region.level not in KINDS or (region.level == "ministry" and not region.parent):
            continue
        subject = f"{region.name} ({region.code})"
        if above is None:
            if region.parent == CORPS:
                cure = "Add the row BT0000 (新疆生产建设兵团), or set corps_cities: xinjiang."
            else:
                cure = "Add the row of the parent, or write the code of a row that is there."
            what = f"parent {region.parent} is not in the file" if region.parent else "the parent is missing"
            if region.level == "ministry":
                cure = "Leave the parent of the ministry empty."
            out.append(_wrong("JB1104", file, line, subject, what, cure))
            continue
        # The Corps has no prefectures in the statistical codes: its cities are counties right below it.
        if region.level == "county" and above.kind == "corps":
            continue
        # Rows whose levels all fit cannot form a circle, so the search starts only at one that does not.
        circle = _circle(regions, region)
        if circle:
            if region.code not in told:
                told.update(circle)
                what = f"the parents run in a circle: {' -> '.join([*circle, region.code])}"
                out.append(_wrong("JB1105", file, line, subject, what, "Give one of them a parent outside the circle."))
            continue
        if wanted is None:
            what, cure = f"the ministry has the parent {region.parent}", "Leave the parent of the ministry empty."
        else:
            # A level whose own word is wrong is told as JB1106 at its row, not again at every child.
            if above.level not in KINDS:
                continue
            what = f"a {region.level} lies below {above.name} ({above.code}), a {above.level}"
            cure = f"Write the code of a {wanted} as parent, or mend the level."
        out.append(_wrong("JB1107", file, line, subject, what, cure))
    return out


def _circle(regions: Mapping[str, Region], start: Region) -> list[str]:
    """The codes from `start` up to the one below `start` again; empty when the way up ends or circles elsewhere."""
    path = [start.code]
    seen = {start.code}
    above = regions.get(start.parent)
    while above is not None:
        if above.code == start.code:
            return path
        if above.code in seen:
            return []
        seen.add(above.code)
        path.append(above.code)
        above = regions.get(above.parent)
    return []


def children(regions: Mapping[str, Region]) -> dict[str, list[Region]]:
    """The regions right below each region that has any, by its code, in the order of `regions`."""
    out: dict[str, list[Region]] = {}
    for region in regions.values():
        if region.parent:
            out.setdefault(region.parent, []).append(region)
    return out


def ancestors(regions: Mapping[str, Region], code: str) -> list[Region]:
    """The regions above `code`, nearest first, the ministry last; groupings included. Raises `KeyError`."""
    out: list[Region] = []
    parent = regions[code].parent
    while parent:
        above = regions[parent]
        out.append(above)
        parent = above.parent
    return out


def province_of(regions: Mapping[str, Region], code: str) -> Region | None:
    """The province-level unit that `code` is or belongs to, by parents and not by digits (the Corps' cities are 65).

    None for the ministry. Raises `KeyError` on an unknown code.
    """
    region = regions[code]
    while region.level != "province":
        if not region.parent:
            return None
        region = regions[region.parent]
    return region


def units_of(regions: Mapping[str, Region], province: str) -> list[Region]:
    """The prefectures of a province that are administrative units, not groupings, in the order of `regions`.

    Empty for the four municipalities and the Corps, whose counties lie below a grouping or the unit itself.
    """
    return [
        region
        for region in regions.values()
        if region.parent == province and region.level == "prefecture" and region.kind != "grouping"
    ]


def denominator(
    regions: Mapping[str, Region], level: str, province: str | None = None, *, municipalities: bool = False
) -> int:
    """How many regions of `level` a percentage divides by, in the whole table or in one province-level unit.

    Groupings and `statistical` counties (development zones, codes ending 71-78) never count; `direct` rows count, they
    stand for the county level of cities without counties. Townships below a statistical county count. The levels
    "community" and "village" give the sums of those columns. `municipalities` adds the municipalities to the
    prefectures (地级以上城市, domain.md 2.5: 337 instead of 333). Raises `ValueError` on an unknown level.
    """
    if level not in (*LEVELS, "community", "village"):
        raise ValueError(f"level {level!r} is not known")
    rows = [
        region
        for region in regions.values()
        if region.kind not in ("grouping", "statistical")
        and (
            region.level == level
            or (level in ("community", "village") and region.level == "township")
            or (municipalities and level == "prefecture" and region.kind == "municipality")
        )
    ]
    if province is not None:
        rows = [region for region in rows if (unit := province_of(regions, region.code)) and unit.code == province]
    if level == "community":
        return sum(region.communities for region in rows)
    if level == "village":
        return sum(region.villages for region in rows)
    return len(rows)
