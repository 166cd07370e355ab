"""Who is asked about which copies, and what is made of the answers; that real servers answer so, the pilot shows."""

from __future__ import annotations

import base64
from pathlib import Path

import dns.message
import dns.rrset
import pytest

from ground.remote import Session
from ip_plan.compile import compiled
from monitoring.checks import copies
from monitoring.checks.copies import Copies, Said
from monitoring.checks.crew import Reply
from monitoring.checks.look import Look


@pytest.fixture(scope="module")
def look(tmp_path_factory: pytest.TempPathFactory) -> Look:
    return Look(compiled("pilot", tmp_path_factory.mktemp("copies")), Session({}, Path("/nowhere")), "twin:test")


@pytest.fixture(scope="module")
def pair(look: Look) -> Copies:
    return next(each for each in copies.pairs(look) if each.source == "640100:centre1")


def test_each_zone_is_looked_at_where_it_has_a_copy(look: Look) -> None:
    found = {(each.device.name, each.source): each.zones for each in copies.pairs(look)}
    assert found.keys() == {
        ("000000-exch1", "640000:centre1"), ("640000-exch1", "000000:centre1"),
        ("640000-exch1", "640100:centre1"), ("640000-exch1", "640300:centre1"),
    }  # fmt: skip
    assert found["640000-exch1", "000000:centre1"] == (".", "jinbao.internal", "10.in-addr.arpa", "0.f.f.f.3.ip6.arpa")
    assert found["640000-exch1", "640100:centre1"][0] == "yinchuan.nx.jinbao.internal"


GOOD = Said("4", "4", ())


@pytest.mark.parametrize(
    ("first", "result", "words"),
    [
        (GOOD, "pass", "2 zones have the serial of dns.exchange.yinchuan.nx.jinbao.internal"),
        (Said("3", "4", ()), "fail", "3 here, 4 at"),
        (Said("5", "4", ()), "fail", "5 here, 4 at"),
        (Said("<SERVFAIL>", "4", ()), "fail", "<SERVFAIL> here"),
        (Said("4", "", (), True), "fail", "no answer at"),
        (Said("", "", (), True), "fail", "no answer here"),
        (Said("<REFUSED>", "<REFUSED>", ()), "fail", "<REFUSED> here"),
        (Said("4", "4", ("the primary",)), "fail", "given without a key by the primary"),
        (Said("4", "4", ("the secondary",)), "fail", "given without a key by the secondary"),
        (Said("4", "4", (), True), "fail", "no answer to a transfer"),
    ],
)
def test_answers_are_judged(look: Look, pair: Copies, first: Said, result: str, words: str) -> None:
    record = copies.judge(look, pair, [first, GOOD, GOOD, GOOD], "")
    assert (record.result, words in record.reason) == (result, True), record.reason
    assert (record.seen, record.expected, record.subject.peer) == (4, 4, "640100:centre1")


def test_what_was_not_asked_was_not_seen(look: Look, pair: Copies) -> None:
    record = copies.judge(look, pair, None, "no agent")
    assert (record.result, record.reason, record.seen) == ("not-observed", "no agent", 0)


class Servers:
    """A crew whose hosts answer from a table: (server, transfer) → serial or None for a refusal; it grows as time goes on."""

    def __init__(self, late: int) -> None:
        self.late, self.asked = late, 0

    def ask(self, requests: dict[str, dict[str, object]], **_: object) -> dict[str, Reply]:
        self.asked += 1
        answers = {}
        for host, request in requests.items():
            rows = []
            for _source, server, _port, data in request["asks"]:  # type: ignore[attr-defined]
                query = dns.message.from_wire(base64.b64decode(data))
                said = dns.message.make_response(query)
                if query.authority:
                    said.set_rcode(5)  # type: ignore[arg-type]
                else:
                    own = server in OWN[host] and self.asked <= self.late
                    said.answer = [
                        dns.rrset.from_text(query.question[0].name, 60, "IN", "SOA", f"a. b. {1 if own else 2} 1 1 1 1")
                    ]
                rows.append([base64.b64encode(said.to_wire()).decode(), 0.0, 0.0])
            answers[host] = Reply({"replies": rows})
        return answers


OWN: dict[str, tuple[str, ...]] = {}


@pytest.mark.parametrize(("late", "rounds", "result"), [(0, 1, "pass"), (2, 3, "pass"), (99, copies.TRIES, "fail")])
def test_a_copy_that_is_on_its_way_is_waited_for(
    look: Look, monkeypatch: pytest.MonkeyPatch, late: int, rounds: int, result: str
) -> None:
    monkeypatch.setattr(copies, "PAUSE", 0.0)
    for each in copies.pairs(look):
        OWN[each.device.name] = (each.own.v4, each.own.v6)
    crew = Servers(late)
    found = copies.run(look, crew)  # type: ignore[arg-type]
    assert {record.result for record in found.records} == {result}
    assert (crew.asked, len(found.records)) == (rounds, 4)
