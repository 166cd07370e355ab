"""The committed table: its file, its page, and how a new measurement is held against it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from tests.bench.meter import Figure
from tests.bench.rows import LABS, ROWS, Lab, Row, Size

TIME, MEMORY = 1.25, 1.10
"""How many times the committed figure is still allowed."""
START = 0.05
"""Seconds by which two starts of an interpreter differ on the same machine; allowed on top of each time."""
QUIET = 0.10
"""Share of the cores that others may take before wall time says nothing about the program."""


class Machine(msgspec.Struct, frozen=True):
    """Where the table was measured."""

    cores: int
    memory_gb: int
    python: str
    kernel: str


class Entry(msgspec.Struct, frozen=True):
    """One row at one size."""

    row: str
    size: str
    runs: int
    figure: Figure


class Table(msgspec.Struct, frozen=True):
    """Everything that was measured."""

    machine: Machine
    peers: dict[str, str]
    entries: tuple[Entry, ...]

    def find(self, row: str, size: str) -> Entry | None:
        """The entry of a row at a size."""
        return next((one for one in self.entries if (one.row, one.size) == (row, size)), None)


class Verdict(msgspec.Struct, frozen=True):
    """What is said of one entry that is not as the table says. `certain`: it is the program, not the machine."""

    row: str
    size: str
    what: str
    certain: bool

    def __str__(self) -> str:
        return f"{self.row}, {self.size}: {self.what}"


def wanted() -> list[tuple[str, str]]:
    """(row, size) of every row that is defined, in order."""
    return [(row.name, size.label) for row in ROWS for size in row.sizes] + [(lab.name, "pilot") for lab in LABS]


def read(path: Path) -> Table:
    """The committed table. Raises FileNotFoundError and msgspec.DecodeError."""
    return msgspec.json.decode(path.read_bytes(), type=Table)


def encode(table: Table) -> bytes:
    """The bytes of the file; figures with as many digits as they deserve."""

    def short(entry: Entry) -> Entry:
        figure = entry.figure
        rounded = msgspec.structs.replace(
            figure, wall=_digits(figure.wall), cpu=_digits(figure.cpu), memory=round(figure.memory, 1), others=round(figure.others, 2)
        )  # fmt: skip
        return msgspec.structs.replace(entry, figure=rounded)

    whole = msgspec.structs.replace(table, entries=tuple(short(entry) for entry in table.entries))
    return msgspec.json.format(msgspec.json.encode(whole), indent=1) + b"\n"


def _digits(seconds: float) -> float:
    return float(f"{seconds:.3g}")


def merge(old: Table | None, new: Table) -> Table:
    """`new`, and what of `old` it did not measure and is still defined; in the order of the rows."""
    known = {(entry.row, entry.size): entry for table in (old, new) if table for entry in table.entries}
    return msgspec.structs.replace(new, entries=tuple(known[key] for key in wanted() if key in known))


# ---- check


def judge(before: Entry, now: Entry) -> list[Verdict]:
    """What got worse: CPU time and memory in any case, wall time as far as the machine was quiet.

    A machine that others use stretches wall time and leaves CPU time nearly as it is.
    """
    found = []
    old, new = before.figure, now.figure
    if new.cpu > old.cpu * TIME + START:
        found.append(_verdict(now, "CPU time", old.cpu, new.cpu, "s", TIME))
    if new.memory > old.memory * MEMORY:
        found.append(_verdict(now, "memory", old.memory, new.memory, "MB", MEMORY))
    if new.wall > old.wall * TIME + START:
        quiet = new.others <= QUIET
        busy = "" if quiet else f"; others took {new.others:.0%} of the machine, so measure again when it is quiet"
        found.append(_verdict(now, "wall time", old.wall, new.wall, "s", TIME, quiet, busy))
    return found


def _verdict(
    entry: Entry, what: str, old: float, new: float, unit: str, factor: float, certain: bool = True, more: str = ""
) -> Verdict:
    said = f"{what} {new:.3g} {unit}, committed {old:.3g} {unit}: {new / old - 1:+.0%}, allowed {factor - 1:+.0%}{more}"
    return Verdict(entry.row, entry.size, said, certain)


def compare(committed: Table, now: Iterable[Entry]) -> list[Verdict]:
    """Everything that is not as the committed table says, in order of the measurement."""
    found: list[Verdict] = []
    for entry in now:
        before = committed.find(entry.row, entry.size)
        if before is None:
            what = "is not in the committed table; run `./run bench` and commit it"
            found.append(Verdict(entry.row, entry.size, what, True))
        else:
            found += judge(before, entry)
    return found


def code(verdicts: Sequence[Verdict]) -> int:
    """0: as the table says; 1: something got worse; 2: it could not be told."""
    return 1 if any(verdict.certain for verdict in verdicts) else 2 if verdicts else 0


# ---- page


def page(table: Table) -> str:
    """docs/bench.md."""
    machine = table.machine
    lines = [
        "# What it costs",
        "",
        "Written by `./run bench` from `tests/bench/table.json`; `./run bench --check` measures again and fails, naming the row, "
        f"where time grew by more than {TIME - 1:.0%} (and {START:g} s for the start) or memory by more than {MEMORY - 1:.0%}.",
        "",
        f"Measured on {machine.cores} cores, {machine.memory_gb} GB, Python {machine.python}, Linux {machine.kernel}. Each run is a "
        "fresh process, interpreter start included; the median of three, lab rows and the longest others once. CPU is of all "
        "processes of the run, memory their peak together. *Others* is the share of the machine that other programs took during "
        f"the run: where it is above {QUIET:.0%}, wall time says little and CPU time is the one to read.",
        *_busy(table),
        "",
        "```sh",
        "./run bench                          # about half an hour, a lab at the end",
        "./run bench --check --only twin-again",
        "```",
        "",
        "The rows are the works behind `jinbao plan compile`, `jinbao plan diff`, `jinbao config render`, `jinbao config prove`, "
        "`jinbao config remediate`, `jinbao evidence verify`, `jinbao rollout status`, `jinbao twin up`, `jinbao deploy` and "
        "`jinbao check run`.",
        "",
        "## Without a lab",
        "",
        "| row | size | wall s | CPU s | peak MB | per CPU second | growth | others | at most |",
        "| --- | --- | ---: | ---: | ---: | ---: | --- | ---: | --- |",
    ]
    own = [row for row in ROWS if not row.beside]
    for row in own:
        lines += _lines(table, row)
    lines += ["", *(f"- `{row.name}`: {row.title}{f' ({row.note})' if row.note else ''}." for row in own)]
    lines += [
        "",
        "## The twin",
        "",
        "| row | wall s | CPU s | MB | work | others | at most |",
        "| --- | ---: | ---: | ---: | --- | ---: | --- |",
    ]
    for lab in LABS:
        lines += _lab(table, lab)
    lines += ["", *(f"- `{lab.name}`: {lab.title}{f' ({lab.note})' if lab.note else ''}." for lab in LABS)]
    lines += [
        "- CPU of the twin is that of all its nodes and of the program; MB what their processes hold at the end of the row."
    ]
    versions = ", ".join(f"{name} {version}" for name, version in table.peers.items())
    lines += [
        "", "## Beside others", "",
        f"{versions} (`tests/bench/peers.lock`), in an environment of their own, measured in the same run.", "",
        "| work | size | unit | here, CPU ms each | there, CPU ms each | ratio | here, MB | there, MB |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]  # fmt: skip
    peers = [row for row in ROWS if row.beside]
    for row in peers:
        lines += _beside(table, row)
    lines += ["", *(f"- `{row.name}`: {row.title}{f' ({row.note})' if row.note else ''}." for row in peers)]
    missed = limits(table.entries)
    if missed:
        lines += ["", "## What costs more than it may", ""]
        shown = reasons()
        lines += [f"- `{name}`: {what}. {shown.get(name, '')}".rstrip() for name, what in missed.items()]
    return "\n".join(lines) + "\n"


def reasons() -> dict[str, str]:
    """Row → what its profile shows where it costs more than it may, and what would come next."""
    return msgspec.yaml.decode((Path(__file__).parent / "missed.yml").read_bytes(), type=dict[str, str])


def _busy(table: Table) -> list[str]:
    """A warning where the machine was not quiet."""
    loud = [entry.figure.others for entry in table.entries if entry.figure.others > QUIET]
    if not loud:
        return []
    many = f"{len(loud)} of {len(table.entries)}"
    return [
        "",
        f"**The machine was busy**: in {many} rows others took more than {QUIET:.0%} of it, up to {max(loud):.0%}.",
    ]


def _lines(table: Table, row: Row) -> list[str]:
    found = []
    before: Figure | None = None
    for size in row.sizes:
        entry = table.find(row.name, size.label)
        if entry is None:
            continue
        figure = entry.figure
        growth = ""
        if before:
            growth = f"{figure.cpu / before.cpu:.1f} × time for {figure.units / before.units:.1f} × {row.unit}s"
        last = size is row.sizes[-1]
        most = ", ".join(
            text for text in (f"{row.seconds:g} s" * bool(row.seconds), f"{row.memory:g} MB" * bool(row.memory)) if text
        )
        found.append(
            f"| `{row.name}` | {size.label} | {figure.wall:.3g} | {figure.cpu:.3g} | {figure.memory:.0f} | "
            f"{_rate(figure, row.unit)} | {growth} | {figure.others:.0%} | {most if last else ''} |"
        )
        before = figure
    return found


def _rate(figure: Figure, unit: str) -> str:
    rate = figure.units / figure.cpu
    return f"{float(f'{rate:.3g}'):,.0f} {unit}s" if rate >= 10 else f"{rate:.2g} {unit}s"


def _lab(table: Table, lab: Lab) -> list[str]:
    entry = table.find(lab.name, "pilot")
    if entry is None:
        return []
    figure = entry.figure
    each = f", {figure.wall / figure.units:.2g} s each" if lab.per_unit else ""
    most = f"{lab.seconds:g} s" if lab.seconds else f"{lab.per_unit:g} s a {lab.unit}" if lab.per_unit else ""
    return [
        f"| `{lab.name}` | {figure.wall:.3g} | {figure.cpu:.3g} | {figure.memory:.0f} | {figure.units:,} {lab.unit}s{each} | "
        f"{figure.others:.0%} | {most} |"
    ]


def _beside(table: Table, row: Row) -> list[str]:
    found = []
    for size in row.sizes:
        theirs = table.find(row.name, size.label)
        ours = [table.find(name, held_against(name, size.label).label) for name in row.beside]
        if theirs is None or None in ours:
            continue
        mine = [one.figure for one in ours if one]
        names = ", ".join(f"`{name}`" for name in (*row.beside, row.name))
        memory = f"{max(figure.memory for figure in mine):.0f} | {theirs.figure.memory:.0f}"
        here, there = ([1000 * figure.cpu / figure.units for figure in each] for each in (mine, [theirs.figure]))
        found.append(_ratio(names, size.label, row.unit, sum(here), sum(there), memory))
        # Rows that make no lines of their own, as a compile, are made for those of the others.
        lines = mine[-1].lines / mine[-1].units
        if lines and theirs.figure.lines:
            there = [1000 * theirs.figure.cpu / theirs.figure.lines]
            found.append(_ratio(names, size.label, "line", sum(here) / lines, sum(there), memory))
    return found


def held_against(name: str, label: str) -> Size:
    """The size of a row of the project that a peer's size of this label is held against: the same, or else the last."""
    sizes = next(row.sizes for row in ROWS if row.name == name)
    return next((size for size in sizes if size.label == label), sizes[-1])


def _ratio(names: str, label: str, unit: str, here: float, there: float, memory: str) -> str:
    return f"| {names} | {label} | {unit} | {here:.2g} | {there:.2g} | {there / here:.1f} × | {memory} |"


def limits(entries: Iterable[Entry]) -> Mapping[str, str]:
    """Row → what it promises and did not keep, of the last sizes that were measured."""
    found = {}
    rows = {row.name: row for row in ROWS}
    labs = {lab.name: lab for lab in LABS}
    for entry in entries:
        said = []
        if row := rows.get(entry.row):
            if entry.size != row.sizes[-1].label:
                continue
            if row.seconds and entry.figure.wall > row.seconds:
                said.append(f"{entry.figure.wall:.3g} s, at most {row.seconds:g} s")
            if row.memory and entry.figure.memory > row.memory:
                said.append(f"{entry.figure.memory:.0f} MB, at most {row.memory:g} MB")
        else:
            lab = labs[entry.row]
            most = lab.seconds or lab.per_unit * entry.figure.units
            if most and entry.figure.wall > most:
                said.append(f"{entry.figure.wall:.3g} s, at most {most:.3g} s")
        if said:
            found[entry.row] = "; ".join(said)
    return found
