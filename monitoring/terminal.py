"""The status on a terminal."""

from __future__ import annotations

import os

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from monitoring.catalogue import Milestone, shipped
from monitoring.milestones import Column, Line, seen_regions
from monitoring.rollout import REHEARSAL, Status

WIDE, PAPER = 150, 200
"""Columns from which a table is shown whole, and those given to what is no terminal."""
BROAD = ("", "planned", "why")
MARK = {"held": "✓", "not-held": "✗", "not-observed": "?", "stale": "~", "awaited": "…", "not-needed": "–"}
STYLE = {
    "held": "green",
    "not-held": "red",
    "not-observed": "dim",
    "stale": "yellow",
    "awaited": "cyan",
    "not-needed": "dim",
}
STATE = {
    "reached": "green", "not-reached": "red", "not-observed": "dim", "undecided": "cyan", "stale": "yellow",
    "yes": "green", "no": "red", "not-applicable": "dim",
}  # fmt: skip


def show(status: Status, region: str = "", everything: bool = False) -> None:
    """Print the lines of every region that has evidence, or of `region`; `everything` adds what only a signature decides."""
    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = PAPER  # a pipe or a file has no edge that would have to be kept
    known = {milestone.id: milestone for milestone in shipped()}
    shown = [region] if region else list(seen_regions(status.lines))
    by_region: dict[str, list[Line]] = {code: [] for code in shown}
    for line in status.lines:
        if line.region in by_region and (everything or known[line.milestone].decidable):
            by_region[line.region].append(line)
    for code in shown:
        console.print(_table(status, code, by_region[code], known, narrow=console.width < WIDE))
    if status.recoveries:
        console.print(_drills(status))
    ground = status.ground
    console.print(f"evidence: {ground.count} records, head {ground.hash[:16] or '-'}, witness {ground.witness}")
    console.print("✓ holds  ✗ does not  ? not observed  ~ stale  … awaited  – no such part")
    for finding in ground.findings:
        console.print(Text(finding, style="red"))
    if not shown:
        console.print("no region has evidence of this target yet: run `jinbao check run`")
    if status.rehearsal:
        console.print(Text(REHEARSAL, style="bold"))


def _table(status: Status, code: str, lines: list[Line], known: dict[str, Milestone], *, narrow: bool) -> Table:
    """One region. `narrow`: without title, plan and reason, and the day without its time, which is what 80 columns hold."""
    title = f"{code}  {status.target}" + (f"  {REHEARSAL}" if status.rehearsal else "")
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 0) if narrow else (0, 1),
    )
    for name, flexible in (
        ("milestone", False),
        ("", True),
        ("probe", False),
        ("data", False),
        ("attest." if narrow else "attestation", False),
        ("state", False),
        ("reached on", False),
        ("operating", False),
        ("planned", False),
        ("why", True),
    ):
        if not (narrow and name in BROAD):
            table.add_column(name, no_wrap=not flexible, overflow="fold")
    for line in lines:
        plan = Text(line.planned + (" late" if line.late else ""), "red" if line.late else "")
        reached = line.reached_on[: 10 if narrow else 16].replace("T", " ")
        title_, why = known[line.milestone].title.zh, Text(line.reason[:160], "dim")
        table.add_row(
            line.milestone, *([] if narrow else [title_]), _column(line.probe), _column(line.data), _column(line.attestation),
            Text(line.state, STATE[line.state]), reached, Text(line.operating_now, STATE[line.operating_now]),
            *([] if narrow else [plan, why]),
        )  # fmt: skip
    return table


def _column(column: Column) -> Text:
    counted = f" {column.held}/{column.expected}" if column.expected else ""
    return Text(MARK[column.state] + counted, STYLE[column.state])


def _drills(status: Status) -> Table:
    title = f"drills  {status.target}" + (f"  {REHEARSAL}" if status.rehearsal else "")
    table = Table(
        "database",
        "result",
        "layer",
        "RPO s",
        "RTO s",
        "when",
        "record",
        box=SIMPLE_HEAD,
        title=title,
        title_justify="left",
        title_style="bold",
    )
    for one in status.recoveries:
        figures = [
            f"{value:g}" if value is not None else "-" for value in (one.layer, one.rpo_seconds, one.rto_seconds)
        ]
        place = f"{one.subject.site}:{one.subject.zone}:{one.subject.service}"
        table.add_row(place, one.result, *figures, one.time[:16].replace("T", " "), f"#{one.sequence}")
    return table
