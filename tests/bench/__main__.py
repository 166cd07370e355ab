"""`python -m tests.bench [--check] [--only ROW]`: measure, write the table and its page, or hold the machine against the table."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tests.bench import meter, place, table
from tests.bench.meter import CHECKOUT, Failed, Figure
from tests.bench.rows import LABS, PEERS, ROWS, Command, Row, Size
from tests.bench.table import Entry, Machine, Table


class _Said(msgspec.Struct):
    """A line of tests.bench.lab."""

    row: str
    figure: Figure


def words(command: Command, base: Path, out: Path) -> list[str]:
    """A command with its folders and interpreters filled in."""
    given = {"python": sys.executable, "peers": str(place.PEERS / "bin" / "python"), "base": str(base), "out": str(out)}
    return [word.format(**given) for word in command]


def take(row: Row, size: Size, folder: Path) -> Entry:
    """Prepare, run as often as the row says, check what was left; the median. Raises Failed."""
    base = folder / "base"
    for command in size.prepare:
        meter.run(words(command, base, base))
    figures = []
    for number in range(row.runs):
        out = folder / f"out{number}"
        figures.append(meter.measure(words(size.command, base, out)))
        for command in size.after:
            meter.run(words(command, base, out))
    figure = meter.median(figures)
    if size.lines:
        figure = msgspec.structs.replace(figure, lines=meter.counted(meter.run(words(size.lines, base, out)))[0])
    return Entry(row.name, size.label, row.runs, figure)


def facts() -> Machine:
    """This machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Machine(
        os.cpu_count() or 1, round(memory / 2**30), platform.python_version(), platform.release().split("-")[0]
    )


def measure(only: Sequence[str], folder: Path) -> tuple[list[Entry], list[str]]:
    """Every wanted row that could be measured, and why others could not."""
    entries: list[Entry] = []
    failed: list[str] = []
    if any(row.beside for row in ROWS if not only or row.name in only):
        place.peers()
    for row in ROWS:
        for number, size in enumerate(row.sizes if not only or row.name in only else ()):
            here = folder / f"{row.name}-{number}"
            here.mkdir()
            try:
                entries.append(take(row, size, here))
                tell(entries[-1])
            except Failed as why:
                failed.append(f"{row.name}, {size.label}: {why}")
                print(failed[-1], file=sys.stderr)
    wanted = [lab.name for lab in LABS if not only or lab.name in only]
    if wanted:
        found, why_not = laboratory(wanted, folder)
        entries += found
        failed += why_not
    return entries, failed


def laboratory(wanted: Sequence[str], folder: Path) -> tuple[list[Entry], list[str]]:
    """The lab rows, in a process of their own."""
    command = [sys.executable, "-m", "tests.bench.lab", str(folder / "lab"), *wanted]
    found: list[Entry] = []
    with subprocess.Popen(
        command, cwd=CHECKOUT, stdout=subprocess.PIPE, env={**os.environ, "LC_ALL": "C.UTF-8"}
    ) as process:
        assert process.stdout
        for line in process.stdout:
            said = msgspec.json.decode(line, type=_Said)
            if said.row in wanted:
                found.append(Entry(said.row, "pilot", 1, said.figure))
                tell(found[-1])
    missing = [name for name in wanted if name not in {entry.row for entry in found}]
    return found, [f"{name}, pilot: was not measured" for name in missing]


def tell(entry: Entry) -> None:
    """One line for people who wait."""
    figure = entry.figure
    print(
        f"{entry.row:<18} {entry.size:<20} {figure.wall:8.2f} s wall {figure.cpu:8.2f} s CPU {figure.memory:7.0f} MB "
        f"{figure.units:>8} units, others {figure.others:.0%}",
        flush=True,
    )


def main() -> int:
    """Exit code: 0 good, 1 something got worse or failed, 2 the machine was too busy to tell."""
    parser = argparse.ArgumentParser(prog="./run bench", description="Measure time and memory.")
    parser.add_argument("--check", action="store_true", help="hold it against the committed table, write nothing")
    names = [row.name for row in ROWS] + [lab.name for lab in LABS]
    parser.add_argument("--only", action="append", default=[], choices=names, metavar="ROW", help="; ".join(names))
    given = parser.parse_args()
    committed = table.read(place.TABLE) if place.TABLE.exists() else None
    # On the disk, not in a memory file system: where the state of a plan lies.
    parent = CHECKOUT / ".state"
    parent.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=parent))
    try:
        entries, failed = measure(given.only, folder)
        if given.check:
            if committed is None:
                print("there is no committed table; run `./run bench` first", file=sys.stderr)
                return 2
            verdicts = table.compare(committed, entries)
            if verdicts and not failed:
                # Once more: a single burst of other work is not the program's fault.
                names = list(dict.fromkeys(verdict.row for verdict in verdicts))
                print(f"once more: {', '.join(names)}")
                (folder / "again").mkdir()
                entries, failed = measure(names, folder / "again")
                verdicts = table.compare(committed, entries)
            for verdict in verdicts:
                print(verdict, file=sys.stderr)
            return 1 if failed else table.code(verdicts)
        versions = place.versions(place.LOCK.read_text())
        peers = {name: versions[name] for name in PEERS}
        whole = table.merge(committed, Table(facts(), peers, tuple(entries)))
        place.TABLE.write_bytes(table.encode(whole))
        place.PAGE.write_text(table.page(table.read(place.TABLE)), "utf-8")
        for name, what in table.limits(whole.entries).items():
            print(f"{name}: {what}")
        print(f"{place.TABLE.relative_to(CHECKOUT)} and {place.PAGE.relative_to(CHECKOUT)} are written")
        return 1 if failed else 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
