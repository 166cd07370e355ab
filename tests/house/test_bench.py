"""The bench: its committed table holds every row that is defined, its page says what the table says, and what got worse is named."""

from __future__ import annotations

import os
import sys

import msgspec
import pytest

from tests.bench import __main__ as bench
from tests.bench import meter, place, table, work
from tests.bench.meter import Failed, Figure
from tests.bench.rows import LABS, PEERS, ROWS
from tests.bench.table import Entry

BEFORE = Entry("render-pilot", "pilot", 3, Figure(wall=2.0, cpu=1.6, memory=100.0, others=0.0, units=127))


def later(**figures: float) -> Entry:
    """The same row measured again."""
    return msgspec.structs.replace(BEFORE, figure=msgspec.structs.replace(BEFORE.figure, **figures))


def test_the_table_holds_every_row_that_is_defined_and_no_other() -> None:
    committed = table.read(place.TABLE)
    assert [(entry.row, entry.size) for entry in committed.entries] == table.wanted()
    assert all(
        entry.figure.wall > 0 and entry.figure.memory > 0 and entry.figure.units > 0 for entry in committed.entries
    )


def test_the_page_says_what_the_table_says() -> None:
    assert place.PAGE.read_text("utf-8") == table.page(table.read(place.TABLE))


def test_what_costs_more_than_it_may_has_a_reason() -> None:
    known = {row.name for row in ROWS} | {lab.name for lab in LABS}
    assert set(table.limits(table.read(place.TABLE).entries)) <= set(table.reasons()) <= known


def test_the_file_is_what_would_be_written_again() -> None:
    assert table.encode(table.read(place.TABLE)) == place.TABLE.read_bytes()


def test_the_table_names_the_peers_versions_of_the_lock() -> None:
    versions = place.versions(place.LOCK.read_text())
    assert table.read(place.TABLE).peers == {name: versions[name] for name in PEERS}
    assert "://" not in place.LOCK.read_text()


def test_every_row_of_a_peer_stands_beside_what_counts_the_same() -> None:
    rows = {row.name: row for row in ROWS}
    beside = [row for row in ROWS if row.beside]
    assert beside
    for row in beside:
        assert all(not rows[name].beside for name in row.beside)
        *_, last = (rows[name] for name in row.beside)
        # A node of netlab is a device here, and a site has at least one device.
        assert row.unit == last.unit or last.name in ("spokes", "plan-check")


def test_a_size_is_held_against_the_same_or_the_last_one() -> None:
    (other,) = (row for row in ROWS if row.name == "names")
    assert [table.held_against("names", size.label) for size in other.sizes] == list(other.sizes)
    (nation,) = (row for row in ROWS if row.name == "render-nation")
    assert table.held_against("render-nation", "100 devices") == nation.sizes[-1]


def test_what_a_peer_takes_for_a_unit_and_for_a_line_is_told() -> None:
    def entry(row: str, size: str, cpu: float, units: int, lines: int = 0) -> Entry:
        return Entry(row, size, 1, Figure(1.0, cpu, 50.0, 0.0, units, lines))

    (row,) = (row for row in ROWS if row.name == "render-nation-pyavd")
    entries = (
        entry("compile-nation", "national plan", 10.0, 1000), entry("render-nation", "national plan", 40.0, 1000, 100_000),
        entry("render-nation-pyavd", "100 devices", 10.0, 100, 40_000),
    )  # fmt: skip
    said = table.page(table.Table(bench.facts(), {}, entries)).splitlines()
    found = [line for line in said if f"`{row.name}` | 100 devices" in line]
    assert [[cell.strip() for cell in line.split("|")[3:7]] for line in found] == [
        ["device", "50", "1e+02", "2.0 ×"],
        ["line", "0.5", "0.25", "0.5 ×"],
    ]


def test_every_work_that_a_row_names_exists() -> None:
    named = {
        command[3]
        for row in ROWS
        for size in row.sizes
        for command in (size.command, *size.prepare, *size.after, size.lines)
        if command[:3] == ("{python}", "-m", "tests.bench.work")
    }
    assert named <= set(work.WORKS)
    assert set(work.WORKS) <= named


@pytest.mark.parametrize(
    ("now", "said", "code"),
    [
        (later(), [], 0),
        (later(wall=2.49, cpu=1.99, memory=109.9), [], 0),
        (later(cpu=2.4), ["render-pilot, pilot: CPU time 2.4 s, committed 1.6 s: +50%, allowed +25%"], 1),
        (later(wall=2.54, cpu=2.04), [], 0),
        (later(memory=111.0), ["render-pilot, pilot: memory 111 MB, committed 100 MB: +11%, allowed +10%"], 1),
        (later(wall=3.0), ["render-pilot, pilot: wall time 3 s, committed 2 s: +50%, allowed +25%"], 1),
        (
            later(wall=3.0, others=0.6),
            [
                "render-pilot, pilot: wall time 3 s, committed 2 s: +50%, allowed +25%; others took 60% of the machine, "
                "so measure again when it is quiet"
            ],
            2,
        ),
    ],
    ids=[
        "the same",
        "just within",
        "more CPU time",
        "a slow start",
        "more memory",
        "more wall time",
        "more wall time on a busy machine",
    ],
)
def test_what_got_worse_is_named_with_both_figures(now: Entry, said: list[str], code: int) -> None:
    committed = table.Table(bench.facts(), {}, (BEFORE,))
    verdicts = table.compare(committed, [now])
    assert [str(verdict) for verdict in verdicts] == said
    assert table.code(verdicts) == code


def test_a_row_that_was_never_committed_is_named() -> None:
    (verdict,) = table.compare(table.Table(bench.facts(), {}, ()), [BEFORE])
    assert (str(verdict).startswith("render-pilot, pilot: is not in the committed table"), verdict.certain) == (
        True,
        True,
    )


def test_a_row_that_was_not_measured_again_stays_in_the_table() -> None:
    other = msgspec.structs.replace(BEFORE, row="compile-pilot")
    gone = msgspec.structs.replace(BEFORE, row="a row of yesterday")
    old = table.Table(bench.facts(), {}, (gone, other, BEFORE))
    new = table.merge(old, table.Table(bench.facts(), {}, (later(cpu=1.0),)))
    assert new.entries == (other, later(cpu=1.0))


def test_what_is_promised_and_not_kept_is_told() -> None:
    slow = Entry("compile-nation", "national plan", 3, Figure(6.0, 9.0, 450.0, 0.0, 44_696))
    again = Entry("twin-again", "pilot", 1, Figure(60.0, 80.0, 900.0, 0.0, 45))
    assert table.limits([slow, again, BEFORE]) == {
        "compile-nation": "6 s, at most 1.5 s; 450 MB, at most 250 MB",
        "twin-again": "60 s, at most 54 s",
    }


def test_a_process_is_measured_with_all_that_it_starts() -> None:
    program = (
        "import json, subprocess, sys, time\n"
        "child = 'import time; held = bytearray(60_000_000); end = time.process_time() + 0.4\\n"
        "while time.process_time() < end: pass'\n"
        "subprocess.run([sys.executable, '-c', child])\n"
        "print('words before')\n"
        "print(json.dumps({'units': 7}))\n"
    )
    figure = meter.measure([sys.executable, "-c", program])
    assert figure.units == 7
    assert 0.4 < figure.cpu <= figure.wall * (os.cpu_count() or 1)
    assert figure.memory > 60


def test_a_program_that_fails_is_no_measurement() -> None:
    with pytest.raises(Failed, match=r"ended with 1: .*no room"):
        meter.measure([sys.executable, "-c", "import sys; sys.exit('no room')"])
    with pytest.raises(Failed, match="last line"):
        meter.measure([sys.executable, "-c", "print('done')"])
