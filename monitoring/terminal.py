"""The status on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from monitoring.catalogue import Milestone, shipped
from monitoring.milestones import Column, Line, seen_regions
from monitoring.rollout import REHEARSAL, Status

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
    known = {milestone.id: milestone for milestone in shipped()}
    shown = [region] if region else list(seen_regions(status.lines))
    by_region: dict[str, list[Line]] = {code: [] for code in shown}
    for line in status.lines:
        if line.region in by_region and (everything or known[line.milestone].decidable):
            by_region[line.region].append(line)
    for code in shown:
        console.print(_table(status, code, by_region[code], known))
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


def _table(status: Status, code: str, lines: list[Line], known: dict[str, Milestone]) -> Table:
    title = f"{code}  {status.target}" + (f"  {REHEARSAL}" if status.rehearsal else "")
    table = Table(title=title, title_justify="left", title_style="bold", expand=False, pad_edge=False)
    for name in (
        "milestone",
        "",
        "probe",
        "data",
        "attestation",
        "state",
        "reached on",
        "operating now",
        "planned",
        "why",
    ):
        table.add_column(
            name, no_wrap=name in ("milestone", "state", "reached on", "probe", "data", "planned"), overflow="fold"
        )
    for line in lines:
        table.add_row(
            line.milestone, known[line.milestone].title.zh, _column(line.probe), _column(line.data), _column(line.attestation),
            Text(line.state, STATE[line.state]), line.reached_on[:16].replace("T", " "),
            Text(line.operating_now, STATE[line.operating_now]),
            Text(line.planned + (" late" if line.late else ""), "red" if line.late else ""), Text(line.reason[:160], "dim"),
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
        title=title,
        title_justify="left",
        title_style="bold",
    )
    for one in status.recoveries:
        figures = [
            f"{value:g}" if value is not None else "-" for value in (one.layer, one.rpo_seconds, one.rto_seconds)
        ]
        place = f"{one.subject.site}:{one.subject.zone}:{one.subject.service}"
        table.add_row(place, one.result, *figures, one.time, f"#{one.sequence}")
    return table
