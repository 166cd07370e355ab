"""One static page of the status: Chinese first, English second, readable without a network, on paper and on a small screen."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from functools import cache

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined, Template, select_autoescape

from ground import clock
from ground.record import Subject
from ip_plan.regions import Region
from monitoring.catalogue import Milestone, shipped
from monitoring.evidence.log import Entry
from monitoring.milestones import Column, Line, seen_regions
from monitoring.rollout import REHEARSAL, REHEARSAL_EN, SCOPE, Status

Words = tuple[str, str]
"""Chinese, English."""

STATES: dict[str, Words] = {
    "reached": ("已达到", "Reached"),
    "not-reached": ("未达到", "Not reached"),
    "not-observed": ("未观测", "Not observed"),
    "undecided": ("待证明", "Undecided: needs attestation"),
    "stale": ("证据过期", "Stale"),
}
COLUMNS: dict[str, Words] = {
    "held": ("具备", "Holds"),
    "not-held": ("不具备", "Does not hold"),
    "not-observed": ("未观测", "Not observed"),
    "stale": ("过期", "Stale"),
    "awaited": ("待证明", "Awaited"),
    "not-needed": ("—", "No such part"),
}
OPERATING: dict[str, Words] = {
    "yes": ("运行", "Yes"),
    "no": ("未运行", "No"),
    "not-observed": ("未观测", "Not observed"),
    "stale": ("证据过期", "Stale"),
    "not-applicable": ("—", "Not applicable"),
}
RESULTS: dict[str, Words] = {
    "pass": ("通过", "pass"),
    "fail": ("不通过", "fail"),
    "error": ("检查出错", "error"),
    "not-observed": ("未观测", "not observed"),
    "not-applicable": ("不适用", "not applicable"),
    "waived": ("豁免", "waived"),
}
WITNESS: dict[str, Words] = {
    "agreed": ("与部级主机留存一致", "agrees with what the ministry host keeps"),
    "knows-nothing": ("部级主机尚无留存", "the ministry host keeps nothing of it yet"),
    "not-asked": ("未向部级主机核对", "the ministry host was not asked"),
    "unreached": ("部级主机无法联系，未核对", "the ministry host could not be asked"),
    "disagrees": ("与部级主机留存不一致", "does not agree with what the ministry host keeps"),
}
DECIDED: dict[str, Words] = {
    "machine": ("机器可判", "machine"),
    "machine-and-attestation": ("机器部分＋证明", "machine part and attestation"),
    "attestation": ("仅凭证明", "attestation alone"),
    "sum": ("汇总", "sum"),
}


_COUNTS = re.compile(r"\d+ / \d+ [^:;]*(: |; |$)")


class Row(msgspec.Struct, frozen=True):
    """One line with its milestone."""

    line: Line
    milestone: Milestone
    label: Words


class Block(msgspec.Struct, frozen=True):
    """One region: the rows something can be said about, and those that only wait for a signature or a check."""

    region: Region
    rows: tuple[Row, ...]
    waiting: tuple[Row, ...]


class Tile(msgspec.Struct, frozen=True):
    """One province-level unit in the grid; `anchor` empty: no evidence."""

    code: str
    name: str
    anchor: str
    cities: int
    shown: int


class Province(msgspec.Struct, frozen=True):
    """One province with evidence, its cities with evidence, and the names of those without."""

    block: Block
    cities: tuple[Block, ...]
    without: tuple[str, ...]
    many: int


def beijing(time: str) -> str:
    """A record's time as a reader in China sets the clock: UTC+8, no daylight saving since 1991."""
    return (clock.moment(time) + timedelta(hours=8)).strftime("%Y-%m-%d %H:%M") if time else ""


def render(status: Status, regions: Mapping[str, Region]) -> str:
    """The whole page as HTML. Regions without evidence stand in it as such; nothing in it is loaded from anywhere."""
    known = {milestone.id: milestone for milestone in shipped()}
    shown = set(seen_regions(status.lines))
    lines: dict[str, list[Line]] = {}
    cities: dict[str, list[str]] = {}
    for line in status.lines:
        lines.setdefault(line.region, []).append(line)
        if line.milestone == "MS-2-01.city":
            cities.setdefault(_province(regions, line.region), []).append(line.region)

    def block(code: str) -> Block:
        rows = [
            Row(line, milestone, _label(line))
            for line in lines.get(code, ())
            if (milestone := known.get(line.milestone)) is not None
        ]
        telling = [row for row in rows if row.milestone.decidable or row.line.attestation.state == "held"]
        return Block(regions[code], tuple(telling), tuple(row for row in rows if row not in telling))

    units = [one for one in regions.values() if one.level == "province"]
    provinces, tiles = [], []
    for unit in units:
        own = cities.get(unit.code, [])
        seen = [code for code in own if code in shown]
        evident = unit.code in shown or bool(seen)
        tiles.append(Tile(unit.code, short(unit.name), f"r{unit.code}" if evident else "", len(own), len(seen)))
        if evident:
            below = () if unit.kind == "municipality" else tuple(block(code) for code in seen)
            left = tuple(regions[code].name for code in own if code not in shown and code != unit.code)
            provinces.append(Province(block(unit.code), below, left, len(own)))
    ministry = next((one.code for one in regions.values() if one.level == "ministry"), "")
    html: str = _template().render(
        status=status, ministry=block(ministry) if ministry else None, tiles=tiles, provinces=provinces, regions=regions,
        rehearsal=(REHEARSAL, REHEARSAL_EN) if status.rehearsal else None, scope=status.scope or SCOPE,
        witness=WITNESS[status.ground.witness],
    )  # fmt: skip
    return html


def _province(regions: Mapping[str, Region], code: str) -> str:
    region = regions[code]
    while region.level != "province":
        region = regions[region.parent]
    return region.code


def _label(line: Line) -> Words:
    """The state in words; what holds in part is said."""
    machine = [column.state for column in (line.probe, line.data) if column.state != "not-needed"]
    if line.state == "undecided" and machine and all(state == "held" for state in machine):
        if line.data.state == "not-needed":
            return "网络前提已具备，待证明", "Network precondition met, undecided: needs attestation"
        return "机器可判部分已具备，待证明", "Machine part holds, undecided: needs attestation"
    return STATES[line.state]


def short(name: str) -> str:
    """A province's name as it fits a tile."""
    if name.startswith("新疆生产建设"):
        return "兵团"
    for end in ("维吾尔自治区", "壮族自治区", "回族自治区", "自治区", "省", "市"):
        if name.endswith(end):
            return name.removesuffix(end)
    return name


def counted(column: Column) -> str:
    """`2 / 5`, where a column counts anything."""
    return f"{column.held} / {column.expected}" if column.expected else ""


def unseen(column: Column) -> int:
    """How many members of a column nobody has seen."""
    return column.expected - column.seen


def why(column: Column) -> str:
    """The reason of a column, without the counts, which stand beside it in both languages."""
    if column.expected > 1 and (fit := _COUNTS.match(column.reason)):
        return column.reason[fit.end() :]
    return column.reason


def evidence(line: Line) -> list[Entry]:
    """The records behind a line, once each."""
    found = {entry.sequence: entry for column in (line.probe, line.data) for entry in column.evidence}
    return [found[sequence] for sequence in sorted(found)]


def spans(entries: list[Entry]) -> str:
    """`#12–15, #40`: the numbers of records, neighbours joined."""
    parts: list[str] = []
    numbers = [entry.sequence for entry in entries]
    while numbers:
        first = last = numbers.pop(0)
        while numbers and numbers[0] == last + 1:
            last = numbers.pop(0)
        parts.append(f"#{first}" if first == last else f"#{first}–{last}")
    return ", ".join(parts[:6]) + (" …" if len(parts) > 6 else "")


def about(subject: Subject) -> str:
    """A subject as one short text."""
    here = ":".join(filter(None, [subject.site or subject.region, subject.zone, subject.service]))
    device = f" {subject.device}" if subject.device and subject.device not in here else ""
    return f"{here}{device}" + (f" → {subject.peer}" if subject.peer else "")


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("monitoring.portal", "templates"), autoescape=select_autoescape(default=True),
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.globals |= {
        "COLUMNS": COLUMNS, "OPERATING": OPERATING, "RESULTS": RESULTS, "DECIDED": DECIDED,
        "beijing": beijing, "counted": counted, "unseen": unseen, "why": why, "evidence": evidence, "spans": spans, "about": about,
    }  # fmt: skip
    return environment.get_template("rollout.html")
