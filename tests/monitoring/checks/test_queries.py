"""What the check of query services makes of a program's account and of what a terminal was told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from ground.remote import Answer, Session
from ip_plan.network import Flow, Network
from ip_plan.queries import asks
from ip_plan.queries import queries as service
from monitoring.checks import partners, queries
from monitoring.checks.look import Look
from tests.monitoring.checks import sample

ROW = Flow(
    "FL-08-office", "FL-08", "allow", "access", "exchange", "serving-parent", ("tcp/443",), to_service="exchange"
)
HERE = msgspec.structs.replace(ROW, id="FL-08", relation="same-centre")
EXCHANGE = sample.service("exchange", sample.CITY, "exchange", "990100-exch1", 2, 30, "tcp/443")


def network(*flows: Flow, **changes: Any) -> Network:
    base = sample.network((*sample.FLOWS, *flows))
    (shard,) = base.shards
    shard = msgspec.structs.replace(shard, **{"services": (*shard.services, EXCHANGE), **changes})
    return Network(base.meta, base.flows, (shard,), base.keys)


LOOK = Look(network(HERE, ROW), Session({}, Path("/nowhere")), "twin:test")
TERMINAL = "990121100-accs1"


def account(trouble: str = "", good: float = 990, **counts: Any) -> Answer:
    said = {"good": good, "trouble": trouble, "terminals": {TERMINAL: {"answered": 3, "refused": {}} | counts}}
    return Answer(0, f"1000\n{msgspec.json.encode(said).decode()}\n", "")


def told(**said: Any) -> Answer:
    return Answer(0, msgspec.json.encode({"result": "answered", "found": False} | said).decode(), "")


@pytest.mark.parametrize(
    ("account", "answer", "result", "words"),
    [
        (account(), told(), "pass", "3 queries answered, 0 refused"),
        (account(refused={"JB2955": 2}), told(), "pass", "2 refused"),
        (account(), told(found=True), "fail", "somebody was found who does not exist"),
        (account(), told(result="refused", code="JB2950", reason="no certificate"), "fail", "refused: JB2950 no certificate"),
        (account(), Answer(7, "", "curl: (7) Failed to connect"), "fail", "gets no answer: curl: (7)"),
        (account(), Answer(0, "<html>", ""), "error", "cannot be read"),
        (account(), Answer(None, "", "Connection timed out"), "not-observed", "cannot be asked: Connection timed out"),
        (account(), None, "pass", "3 queries answered"),
        (account(good=900), told(), "fail", "no good run for 100 s: it does not run"),
        (account("the database does not answer", good=900), told(), "fail", "the database does not answer"),
        (Answer(None, "", "Connection timed out"), told(), "not-observed", "timed out"),
        (Answer(1, "1000\n", "cat: /var/lib/jinbao-query/status.json: No such file"), told(), "error", "No such file"),
    ],
)  # fmt: skip
def test_the_account_and_the_answer(account: Answer, answer: Answer | None, result: str, words: str) -> None:
    found = service(LOOK.network, LOOK.network.sites[sample.CITY])
    assert found and [each.device for each in found.terminals] == [TERMINAL]
    terminal = found.terminals[0] if answer else None
    record = queries.judge(LOOK, found, partners.read(account, "terminals"), terminal, answer)
    assert (record.check, record.result, words in record.reason) == ("query.answered", result, True), record.reason


def test_one_record_a_centre_and_a_terminal_finds_its_service() -> None:
    (record,) = queries.run(LOOK).records
    assert (record.result, record.subject.device, record.subject.peer) == ("not-observed", "990100-exch1", TERMINAL)
    known = LOOK.network.devices
    found = asks(LOOK.network, known[TERMINAL])
    assert found and found.asked.host == EXCHANGE.fqdn and asks(LOOK.network, known["990100-exch1"]) is None


def test_without_a_row_a_terminal_or_a_database_there_is_no_service() -> None:
    apart = msgspec.structs.replace(EXCHANGE, device="990100-prod1")
    silent = [msgspec.structs.replace(each, duties=()) for each in sample.HOSTS]
    for each in (
        network(),
        network(HERE),
        network(msgspec.structs.replace(ROW, verdict="deny")),
        network(msgspec.structs.replace(ROW, from_levels=("county",))),
        network(ROW, services=sample.SERVICES),
        network(ROW, devices=tuple(silent)),
    ):
        assert service(each, each.sites[sample.CITY]) is None
    assert service(
        network(ROW, services=(*sample.SERVICES, apart)), LOOK.network.sites[sample.CITY]
    )  # a database is there
