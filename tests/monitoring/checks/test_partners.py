"""What the check of drop boxes and front-ends makes of the account of an intake or a desk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from ground.remote import Answer, Session
from ip_plan.network import Flow, Network, Partner, Site
from ip_plan.partners import boxes, front
from monitoring.checks import partners
from monitoring.checks.look import Look
from tests.monitoring.checks import sample

FETCH = Flow(
    "FL-06-fetch", "FL-06", "allow", "exchange", "external", "same-centre", ("tcp/2222",), from_service="db", to_service="box",
    data="against", identity="intake",
)  # fmt: skip
ANSWER = msgspec.structs.replace(FETCH, id="FL-06-answer", ports=("tcp/8443",), to_service="desk", identity="desk")
BANK = Partner(sample.CITY, "bank1", "样例银行", ("payment",), 1_000_000, requests=("insured",), per_minute=60)


def network() -> Network:
    """The sample with an external zone, a host of drop boxes and one body."""
    external = sample.zone("external", 4)
    host = sample.host("990100-extn1", sample.CITY, external, 4, "portal")
    (shard,) = sample.network((*sample.FLOWS, FETCH, ANSWER)).shards
    city, *others = shard.sites
    site: Site = msgspec.structs.replace(city, zones=(*city.zones, external), devices=(*city.devices, host.name))
    services = [
        sample.service(name, sample.CITY, "external", host.name, 4, number, port)
        for number, (name, port) in enumerate({"box": "tcp/2222", "front": "tcp/443", "desk": "tcp/8443"}.items(), 20)
    ]
    changed = msgspec.structs.replace(
        shard, sites=(site, *others), devices=(*shard.devices, host), services=(*shard.services, *services), partners=(BANK,)
    )  # fmt: skip
    base = sample.network((*sample.FLOWS, FETCH, ANSWER))
    return Network(base.meta, base.flows, (changed,), base.keys)


LOOK = Look(network(), Session({}, Path("/nowhere")), "twin:test")


def said(trouble: str = "", good: float = 990, **counts: Any) -> Answer:
    bodies = {"bank1": {"loaded": 3, "rows": 120, "refused": {}} | counts}
    text = msgspec.json.encode({"good": good, "trouble": trouble, "bodies": bodies}).decode()
    return Answer(0, f"1000\n{text}\n", "")


@pytest.mark.parametrize(
    ("answer", "result", "words"),
    [
        (said(), "pass", "3 deliveries loaded, 0 refused"),
        (said(refused={"JB2984": 2, "JB2981": 1}), "pass", "3 refused (JB2981 1, JB2984 2)"),
        (said(good=100), "fail", "no good run for 900 s: the timer does not start it"),
        (said("the boxes do not answer: no route", good=100), "fail", "the boxes do not answer"),
        (said("the boxes do not answer: no route"), "pass", "3 deliveries"),  # one bad run is no outage
        (Answer(None, "", "Connection timed out"), "not-observed", "timed out"),
        (Answer(1, "1000\n", "cat: /var/lib/jinbao-intake/status.json: No such file or directory"), "error", "No such file"),
        (Answer(0, "1000\n[]\n", ""), "error", "unreadable"),
    ],
)  # fmt: skip
def test_the_account_of_an_intake(answer: Answer, result: str, words: str) -> None:
    site = LOOK.network.sites[sample.CITY]
    found = boxes(LOOK.network, site)
    assert found and (found.device, found.fetcher, found.user) == ("990100-extn1", "990100-exch1", "intake")
    record = partners.judge(LOOK, partners.FILES, found, BANK, partners.read(answer))
    assert (record.result, words in record.reason) == (result, True), record.reason
    assert (record.subject.service, record.subject.peer) == ("bank1", "990100-extn1")


@pytest.mark.parametrize(
    ("answer", "result", "words"),
    [
        (said(answered=7, refused={"JB2967": 2}), "pass", "7 requests answered, 2 refused (JB2967 2)"),
        (said(good=930), "fail", "no good run for 70 s: it does not run"),
        (said("the front-end does not answer: refused", good=900), "fail", "the front-end does not answer"),
        (Answer(None, "", "Connection timed out"), "not-observed", "timed out"),
        (Answer(1, "1000\n", "cat: /var/lib/jinbao-desk/status.json: No such file or directory"), "error", "No such file"),
    ],
)  # fmt: skip
def test_the_account_of_a_desk(answer: Answer, result: str, words: str) -> None:
    found = front(LOOK.network, LOOK.network.sites[sample.CITY])
    assert found and (found.device, found.desk, found.user) == ("990100-extn1", "990100-exch1", "desk")
    record = partners.judge(LOOK, partners.REQUESTS, found, BANK, partners.read(answer))
    assert (record.check, record.result, words in record.reason) == ("flow.answered", result, True), record.reason


def test_one_record_a_body_and_way() -> None:
    records = partners.run(LOOK).records
    assert [(record.check, record.subject.service, record.result) for record in records] == [
        ("flow.delivered", "bank1", "not-observed"),
        ("flow.answered", "bank1", "not-observed"),
    ]


def test_without_a_row_or_a_service_there_are_no_boxes_and_no_front_end() -> None:
    (shard,) = LOOK.network.shards
    site = shard.sites[0]
    bare = msgspec.structs.replace(shard, services=sample.SERVICES)
    for flows, part in ((sample.FLOWS, shard), (LOOK.network.flows, bare)):
        other = Network(LOOK.network.meta, flows, (part,), {})
        assert boxes(other, site) is None and front(other, site) is None
    silent = msgspec.structs.replace(shard, partners=(msgspec.structs.replace(BANK, requests=()),))
    assert front(Network(LOOK.network.meta, LOOK.network.flows, (silent,), {}), site) is None
    apart = [
        msgspec.structs.replace(each, device="990100-mgmt1") if each.name == "front" else each
        for each in shard.services
    ]
    other = Network(LOOK.network.meta, LOOK.network.flows, (msgspec.structs.replace(shard, services=tuple(apart)),), {})
    assert front(other, site) is None
