"""What the checks of flows, of the entrance and of the three sames make of answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from ground.remote import Answer, Session
from ip_plan.holding import holding
from monitoring.checks import entrance, flows, sames
from monitoring.checks.look import Look
from tests.monitoring.checks import sample

LOOK = Look(sample.network(), Session({}, Path("/nowhere")), "twin:test")
SUBSCRIBER = next(host for host in sample.HOSTS if host.name == "990100-exch1")
PRODUCTION = next(host for host in sample.HOSTS if host.name == "990100-prod1")
(ONE,) = holding(LOOK.network, SUBSCRIBER).subscriptions
TABLES = [held.full for held in ONE.tables]
SILENCE = Answer(None, "", "ssh: connect to host 10.255.0.9 port 22: Connection timed out")


def said(slots: Any, subscriptions: Any, rows: dict[str, int]) -> Answer:
    counts = [{"table": table, "rows": {"990100": rows.get(table, 0)}} for table in TABLES]
    lines = [msgspec.json.encode(one).decode() if one is not None else "" for one in (slots, subscriptions, *counts)]
    return Answer(0, "\n".join(lines) + "\n", "")


def ends(
    *, slot: dict[str, Any] | None = None, worker: dict[str, Any] | None = None, here: int = 3, there: int = 3
) -> list[Answer]:
    """Subscriber and publisher, with something else than the good."""
    good = {"active": True, "behind": 0, "held": 1024, "limit": 4 << 30, "status": "reserved"}
    runs = {"enabled": True, "runs": True, "silent": 3.5, "tables": dict.fromkeys(TABLES, "r")}
    mine = said(None, {ONE.name: runs | (worker or {})}, {"shared.person": here})
    return [mine, said({ONE.name: good | (slot or {})}, None, {"shared.person": there})]


@pytest.mark.parametrize(
    ("answers", "result", "words"),
    [
        (ends(), "pass", "FL-02 from 990100-prod1: 11 tables, 3 rows"),
        (ends(here=2), "fail", "shared.person has other rows than 990100-prod1: 990100 2 of 3"),
        (ends(worker={"runs": False}), "fail", "its worker does not run"),
        (ends(worker={"enabled": False}), "fail", "it is disabled"),
        (ends(worker={"silent": 500.0}), "fail", "heard nothing from 990100-prod1 for 500 s"),
        (ends(worker={"tables": dict.fromkeys(TABLES, "d")}), "fail", "is still being copied"),
        (ends(worker={"tables": {}}), "fail", "is not subscribed"),
        (ends(slot={"active": False}), "fail", "is not in use"),
        (ends(slot={"behind": 200_000_000}), "fail", "it is 200 MB of WAL behind"),
        (ends(slot={"held": 3 << 30}), "fail", "its slot holds 3221 MB of WAL"),
        (ends(slot={"held": (2 << 30) - 1}), "pass", "11 tables"),
        (ends(slot={"held": (2 << 30) + 1}), "fail", "its slot holds 2147 MB of WAL, at 4295 MB it is lost"),
        (ends(slot={"limit": -1048576}), "fail", "990100-prod1 sets no limit to the WAL of a slot"),
        (ends(slot={"status": "lost"}), "fail", "its slot on 990100-prod1 is lost"),
        ([ends()[0], said(None, None, {})], "fail", "990100-prod1 has no slot for it"),
        ([said(None, None, {}), ends()[1]], "fail", "there is no such subscription"),
        ([SILENCE, ends()[1]], "not-observed", "timed out"),
        ([ends()[0], Answer(3, 'ERROR:  relation "shared.person" does not exist', "")], "error", "does not exist"),
        ([ends()[0], Answer(0, "{\n}\n", "")], "error", "unreadable"),
    ],
)
def test_a_subscription(answers: list[Answer], result: str, words: str) -> None:
    record = flows.judge(LOOK, SUBSCRIBER, ONE, *map(flows.read, answers))
    assert (record.result, words in record.reason) == (result, True), record.reason


def test_the_columns_that_travel_are_those_that_may() -> None:
    (publication,) = holding(LOOK.network, PRODUCTION).publications
    person = next(held for held in publication.tables if held.full == "shared.person")
    assert (publication.name, publication.user, publication.subscribers) == (
        "fl_02",
        "repl_fl02",
        ("990100-exch1.test.internal",),
    )
    assert list(person.table.columns) == ["region", "person", "name", "sex", "born", "retired", "changed"]


NETWORK = sample.network((*sample.FLOWS, sample.IMPORT))
(DELIVERY,) = holding(NETWORK, SUBSCRIBER).deliveries
DOOR = DELIVERY.doors[0]


def hands(*, moved: int = 2, there: int = 2, **other: Any) -> list[Answer]:
    """What the exchange database and production say, with something else than the good."""
    mine = {"table": DOOR.source.full, "ago": 31.5, "late": None, "states": {"moved": moved, "quarantined": 1}}
    told = mine | {"rows": {"990100": moved}} | other
    return [
        Answer(0, msgspec.json.encode(told).decode() + "\n", ""),
        Answer(0, msgspec.json.encode({"table": DOOR.entrance.to, "rows": {"990100": there}}).decode() + "\n", ""),
    ]


@pytest.mark.parametrize(
    ("answers", "result", "words"),
    [
        (hands(), "pass", "FL-07 to business.received: 2 rows; 1 quarantined"),
        (hands(there=1), "fail", "has other rows than were moved: 990100 1, moved 2"),
        (hands(there=3), "fail", "has other rows than were moved: 990100 3, moved 2"),
        (hands(ago=None), "fail", "it never succeeded"),
        (hands(ago=900), "fail", "it last succeeded 900 s ago"),
        (hands(late=400), "fail", "a row is ready for 400 s"),
        ([SILENCE, hands()[1]], "not-observed", "timed out"),
        ([Answer(3, 'ERROR:  schema "entrance" does not exist', ""), hands()[1]], "error", "does not exist"),
        ([Answer(0, "{\n", ""), hands()[1]], "error", "unreadable"),
    ],
)
def test_an_entrance(answers: list[Answer], result: str, words: str) -> None:
    record = entrance.judge(LOOK, SUBSCRIBER, DELIVERY, DOOR, *map(entrance.read, answers))
    assert (record.result, words in record.reason) == (result, True), record.reason


def test_what_comes_in_is_written_by_the_exchange_host_alone_and_nothing_is_read() -> None:
    (entered,) = holding(NETWORK, PRODUCTION).imports
    assert (entered.user, entered.subscribers) == ("import_fl07", ("990100-exch1.test.internal",))
    assert {held.full for held in entered.tables} == {door.entrance.to for door in DELIVERY.doors}
    assert holding(LOOK.network, SUBSCRIBER).deliveries == () and holding(LOOK.network, PRODUCTION).imports == ()


FOUND = '{{"check" : "{}", "persons" : 12, "found" : {}, "first" : {}}}\n'
GOOD = "".join(FOUND.format(check, 0, "[]") for check in sames.CHECKS)


@pytest.mark.parametrize(
    ("answer", "result", "words"),
    [
        (Answer(0, GOOD, ""), "pass", "12 persons hold"),
        (Answer(0, FOUND.format(sames.LOGIC, 5, '["a b", "c d", "e f"]'), ""), "fail", "a b; c d; e f and 2 more"),
        (Answer(3, 'ERROR:  relation "shared.person" does not exist', ""), "error", "does not exist"),
        (Answer(0, "{broken\n", ""), "error", "unreadable"),
        (SILENCE, "not-observed", "timed out"),
    ],
)
def test_three_sames(answer: Answer, result: str, words: str) -> None:
    record = sames.judge(LOOK, PRODUCTION, sames.LOGIC, answer)
    assert (record.result, words in record.reason) == (result, True), record.reason
