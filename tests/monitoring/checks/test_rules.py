"""Rules without hits: what a device's counters say, and what a row of looks at them allows to say."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ground import clock
from ground.record import Record
from ground.remote import Answer, Session
from ip_plan.network import Device
from monitoring.checks import rules, unused
from monitoring.checks.look import Look
from tests.monitoring.checks import sample

START = datetime(2026, 1, 1, tzinfo=UTC)
LOOK = Look(sample.network(), Session({}, Path("/nowhere")), "twin:test")
SITE = next(iter(LOOK.network.sites))
DEVICE = Device("640100-fw1", SITE, "firewall", "fw1.test.internal", ())


def answer(counts: Sequence[tuple[str, int]], handle: int = 3, boot: str = "b1") -> Answer:
    """What a device prints: (comment, packets) of the rules of its forward chain."""
    listed: list[dict[str, object]] = [{"metainfo": {"json_schema_version": 1}}]
    for comment, packets in counts:
        expr = [{"match": {}}, {"counter": {"packets": packets, "bytes": 60 * packets}}, {"accept": None}]
        listed.append({"rule": {"family": "inet", "table": "zone", "comment": comment, "expr": expr}})
    tables = [{"table": {"family": "ip", "name": "other", "handle": 1}}]
    tables.append({"table": {"family": "inet", "name": "zone", "handle": handle}})
    parts = [f"{boot}\n7\n", *(json.dumps({"nftables": rows}) + "\n" for rows in (tables, listed[:1], listed))]
    return Answer(0, "----\n".join(parts), "")


def look(day: float, counts: dict[str, int], handle: int = 3, boot: str = "b1") -> Record:
    """A look on a day of the year."""
    record = rules.judge(LOOK, DEVICE, rules.read(answer(list(counts.items()), handle, boot)))
    return msgspec.structs.replace(record, time=clock.stamp(START + timedelta(days=day)))


def verdicts(*records: Record, days: int = 30) -> dict[str, str]:
    return {one.flow: one.verdict for one in unused.uses(records, days)}


def test_the_rules_of_a_flow_are_counted_together() -> None:
    counted = rules.read(answer([("FL-01", 2), ("FL-01", 5), ("FL-02", 0), ("base:default", 9), ("", 4)]))
    assert counted.packets == {"FL-01": 7, "FL-02": 0} and counted.why == ""
    record = rules.judge(LOOK, DEVICE, counted)
    assert record.result == "pass" and "no hit yet: FL-02" in record.reason
    assert {one.clause for one in record.measures if one.unit == "packets"} == {"GB/T 22239 8.1.3.2 b)"}


@pytest.mark.parametrize(
    ("said", "result", "words"),
    [
        (Answer(None, "", "Connection timed out"), "not-observed", "Connection timed out"),
        (Answer(1, "", "Error: No such file or directory"), "error", "No such file"),
        (Answer(0, "b1\n7\n----\n{", ""), "error", "cannot be read"),
        (Answer(0, answer([]).out.replace('"zone", "handle"', '"zones", "handle"'), ""), "error", "cannot be read"),
        (Answer(0, answer([]).out.rpartition("----")[0], ""), "error", "cut short"),
    ],
)
def test_what_cannot_be_told_is_no_count(said: Answer, result: str, words: str) -> None:
    record = rules.judge(LOOK, DEVICE, rules.read(said))
    assert record.result == result and words in record.reason and record.measures == () and record.seen == 0


def test_a_rule_that_let_nothing_through_for_so_long_is_unused() -> None:
    assert verdicts(look(0, {"A": 5, "B": 0}), look(31, {"A": 9, "B": 0})) == {"A": "used", "B": "unused"}
    assert verdicts(look(0, {"A": 5}), look(31, {"A": 5})) == {"A": "unused"}
    (use,) = unused.uses([look(0, {"A": 0}), look(20, {"A": 1}), look(31, {"A": 1})], 30)
    assert (use.verdict, round(use.quiet_days), use.hit[:10]) == ("used", 11, "2026-01-21")


def test_what_was_not_watched_for_so_long_is_not_observed() -> None:
    assert verdicts(look(0, {"A": 0})) == {"A": "not-observed"}
    assert verdicts(look(0, {"A": 0}), look(29, {"A": 0})) == {"A": "not-observed"}


@pytest.mark.parametrize(("handle", "boot"), [(4, "b1"), (3, "b2")], ids=["reload", "reboot"])
def test_counters_that_began_again_are_not_without_hits(handle: int, boot: str) -> None:
    before, after = look(0, {"A": 0}), look(20, {"A": 0}, handle, boot)
    assert verdicts(before, after, look(40, {"A": 0}, handle, boot)) == {"A": "not-observed"}
    assert verdicts(before, after, look(51, {"A": 0}, handle, boot)) == {"A": "unused"}
    # A count that is lower than it was began again, whatever it says of its beginning.
    assert verdicts(look(0, {"A": 9}), look(31, {"A": 2})) == {"A": "used"}


def test_a_flow_that_is_rendered_no_more_is_not_spoken_of() -> None:
    assert verdicts(look(0, {"A": 0, "B": 0}), look(31, {"A": 0})) == {"A": "unused"}


events = st.lists(st.tuples(st.integers(1, 20), st.sampled_from(["hit", "reset", "look"])), max_size=25)


def told(listed: list[tuple[int, str]], beginnings: bool) -> tuple[str, bool]:
    """The verdict after the events, and whether there was a hit in the 30 days before the last look."""
    day, handle, count = 0, 1, 0
    records = [look(0, {"A": 0}, handle)]
    hits, last = [], 0
    for wait, event in listed:
        day += wait
        if event == "hit":
            count += 1
            hits.append(day)
        elif event == "reset":
            handle, count = handle + beginnings, 0
        else:
            records.append(look(day, {"A": count}, handle))
            last = day
    return verdicts(*records)["A"], any(last - 30 < hit <= last for hit in hits)


@settings(max_examples=150, deadline=None)
@given(events)
def test_no_rule_is_called_unused_that_was_used(listed: list[tuple[int, str]]) -> None:
    verdict, hit = told(listed, beginnings=True)
    assert not (verdict == "unused" and hit)


def test_counters_without_a_beginning_would_deceive() -> None:
    """The fault that the number of the beginning is there for: a hit, a reload, and the same count again."""
    listed = [(1, "hit"), (1, "look"), (20, "hit"), (1, "reset"), (8, "hit"), (10, "look")]
    assert told(listed, beginnings=True) == ("used", True)
    assert told(listed, beginnings=False) == ("unused", True)
