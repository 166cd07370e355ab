"""What checks make of answers: recorded from real routers, hosts and repositories, whole and damaged."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.rrset
import msgspec
import pytest

from ground.mistake import Mistakes
from ground.record import Record
from ground.remote import Answer, Session
from ip_plan.network import Device, Interface, Link, Network, Site
from monitoring.checks import backup, copies, database, encryption, exchange, names, reach, routing, run, services, time
from monitoring.checks.crew import Reply
from monitoring.checks.look import Look
from tests.monitoring.checks import sample

ANSWERS = Path(__file__).parent / "answers"
LOOK = Look(sample.network(), Session({}, Path("/nowhere")), "twin:test")
SILENCE = Answer(None, "", "ssh: connect to host 10.255.0.9 port 22: Connection timed out")


def recorded(device: str) -> Answer:
    return Answer(0, (ANSWERS / f"{device}.routing.txt").read_text(), "")


# --- routing


COUNTY = Site(
    "640121:office1",
    "640121",
    "county",
    "office",
    "test.internal",
    "640100:centre1",
    4206400006,
    (),
    ("640121-r1",),
    True,
)
WAN = Interface(
    "w-640100-1",
    "wan",
    "10.0.0.13/31",
    "3fff:0:0:1::f/127",
    peer="640100-r1",
    peer4="10.0.0.12",
    peer6="3fff:0:0:1::e",
    peer_asn=4206400001,
    peer_site="640100:centre1",
)


def session(*addresses: str) -> routing.Session:
    return routing.Session("640121-r1", "640100-r1", COUNTY, (addresses[0], addresses[1]), ())


@pytest.mark.parametrize(
    ("answer", "addresses", "result", "words"),
    [
        (recorded("640121-r1"), ("10.0.0.12", "3fff:0:0:1::e"), "pass", "established over both families"),
        (recorded("640121-r1"), ("10.0.0.12", "3fff:0:0:1::aa"), "fail", "3fff:0:0:1::aa is not configured"),
        (
            Answer(0, recorded("640121-r1").out.replace('"state":"Established"', '"state":"Active"', 1), ""),
            ("10.0.0.12", "3fff:0:0:1::e"),
            "fail",
            "10.0.0.12 is Active",
        ),
        (SILENCE, ("10.0.0.12", "3fff:0:0:1::e"), "not-observed", "Connection timed out"),
        (Answer(0, "bgpd is not running\n\n----\n[]\n----\n[]\n", ""), ("a", "b"), "error", "bgpd is not running"),
        (Answer(0, "{}\n----\n", ""), ("a", "b"), "not-observed", "cut short"),
        (Answer(0, "{}\n----\n[}\n----\n[]\n", ""), ("a", "b"), "not-observed", "cannot be read"),
    ],
)
def test_session(answer: Answer, addresses: tuple[str, str], result: str, words: str) -> None:
    record = routing.judge_session(LOOK, session(*addresses), routing.read(answer))
    assert (record.result, words in record.reason) == (result, True), record.reason
    assert record.subject.region == "640121"
    assert record.seen == (2 if result in ("pass", "fail") else 0)


@pytest.mark.parametrize(
    ("prefix", "exact", "there"),
    [
        ("10.0.0.0/18", True, True),  # the block of the city above
        ("10.0.6.0/25", False, True),  # a zone in it
        ("10.0.6.0/25", True, False),  # which is not told by itself
        ("192.0.2.0/24", False, False),
        ("3fff::/36", True, True),
        ("2001:db8::/32", False, False),
    ],
)
def test_prefixes_of_a_real_table(prefix: str, exact: bool, there: bool) -> None:
    assert routing.has(routing.read(recorded("640121-r1")), prefix, exact=exact) == there


def test_a_hole_in_a_summary_is_no_route() -> None:
    table = (
        '{}\n----\n[{"dst":"10.0.0.0/18","gateway":"10.1.1.1"},{"type":"blackhole","dst":"10.0.6.0/25"}]\n----\n[]\n'
    )
    state = routing.read(Answer(0, table, ""))
    assert routing.has(state, "10.0.5.0/25", exact=False)
    assert not routing.has(state, "10.0.6.0/25", exact=False)
    assert not routing.has(state, "10.0.6.0/25", exact=True)


def test_the_blackhole_beside_a_route_does_not_hide_it() -> None:
    # FRR puts the aggregate it makes, with a worse metric, beside the route it got.
    rows = [{"dst": "10.0.0.0/18", "gateway": "10.1.1.1"}, {"type": "blackhole", "dst": "10.0.0.0/18"}]
    for order in (rows, rows[::-1]):
        table = msgspec.json.encode(order).decode()
        assert routing.has(routing.read(Answer(0, f"{{}}\n----\n{table}\n----\n[]\n", "")), "10.0.0.0/18", exact=True)


def lines() -> Network:
    """The sample with a router in the centre and one in the town, and a line between them."""
    network = sample.network((*sample.FLOWS, sample.IMPORT))
    (shard,) = network.shards
    up = Device("990100-r1", sample.CITY, "router", "r1", (), asn=4200000001)
    down = Device("990121100-r1", sample.TOWN, "access", "r1", ())
    ends = [
        ("w-990121100-1", "10.9.9.0/31", down.name, "10.9.9.1", sample.TOWN),
        ("w-990100-1", "10.9.9.1/31", up.name, "10.9.9.0", sample.CITY),
    ]
    up, down = (
        msgspec.structs.replace(
            device,
            interfaces=(
                Interface(name, "wan", v4, "fd09:9::/127", "", "l", peer, peer4, "fd09:9::1", 4200000002, site),
            ),
            asn=4200000001 if device is up else 4200000002,
        )
        for device, (name, v4, peer, peer4, site) in zip((up, down), ends, strict=True)
    )
    sites = tuple(
        msgspec.structs.replace(site, devices=(*site.devices, up.name if site.key == sample.CITY else down.name))
        for site in shard.sites
    )
    link = Link("l", "leased", "primary", up.name, "w-990121100-1", down.name, "w-990100-1")
    changed = msgspec.structs.replace(shard, sites=sites, devices=(*shard.devices, up, down), links=(link,))
    return Network(network.meta, network.flows, (changed,), network.keys)


def test_a_region_out_of_reach_is_told_by_its_neighbour(monkeypatch: pytest.MonkeyPatch) -> None:
    down = '{"ipv4Unicast":{"peers":{"10.9.9.1":{"state":"Active"}}}}'
    answers = {"990100-r1": Answer(0, f"{down}\n----\n[]\n----\n[]\n", ""), "990121100-r1": SILENCE}
    monkeypatch.setattr("monitoring.checks.routing.remote.run_all", lambda *_: answers)
    found = routing.run(Look(lines(), LOOK.session, LOOK.target)).records
    assert {(r.check, r.observer): r.result for r in found} == {
        ("bgp.session", "990100-r1"): "fail",
        ("bgp.session", "990121100-r1"): "not-observed",
        ("prefix.present", "990100-r1"): "fail",
        ("prefix.present", "990121100-r1"): "not-observed",
    }
    assert {r.subject.region for r in found} == {"990121100"}


# --- names


@pytest.mark.parametrize(
    ("kind", "rows", "said"),
    [
        ("A", ["app.test. 300 IN A 10.9.1.21"], "10.9.1.21"),
        ("AAAA", ["app.test. 300 IN AAAA fd09:1::21"], "fd09:1::21"),
        ("PTR", ["21.1.9.10.in-addr.arpa. 300 IN PTR app.test."], "app.test"),
        ("A", ["app.test. 300 IN A 10.9.1.21", "app.test. 300 IN A 10.9.1.22"], "10.9.1.21 10.9.1.22"),
        ("A", [], "<nothing>"),
    ],
)
def test_dns_answers(kind: str, rows: list[str], said: str) -> None:
    message = dns.message.make_response(dns.message.make_query("app.test", kind))
    message.answer = [dns.rrset.from_text(*row.split()[:1], *row.split()[1:2], *row.split()[2:]) for row in rows]  # type: ignore[arg-type]
    assert names.read(message.to_wire(), kind) == said


def test_dns_says_no() -> None:
    message = dns.message.make_response(dns.message.make_query("app.test", "A"))
    message.set_rcode(3)  # type: ignore[arg-type]
    assert names.read(message.to_wire(), "A") == "<NXDOMAIN>"
    assert names.read(b"no dns", "A").startswith("<unreadable")


def host(name: str) -> Device:
    return LOOK.network.devices[name]


def test_names() -> None:
    asked = names.questions(LOOK.network, host("990121100-accs1"))
    assert {q.server for q in asked} == {"10.9.2.20", "fd09:2::20"}, "an office asks the centre that serves it"
    assert {q.right for q in asked if q.kind == "A"} == {"10.9.1.21", "10.9.2.20"}
    right: list[str | None] = [q.right for q in asked]
    one = host("990121100-accs1")

    def judged(said: list[str | None] | None) -> Record:
        return names.judge(LOOK, names.FORWARD, one, asked, said, "gone")

    assert judged(right).result == "pass"
    assert judged([None, *right[1:]]).result == "fail"
    assert "no answer, not" in judged([None, *right[1:]]).reason
    assert judged(["<NXDOMAIN>", *right[1:]]).result == "fail"
    assert (judged(None).result, judged(None).seen) == ("not-observed", 0)
    assert names.judge(LOOK, names.FORWARD, one, [], [], "").result == "error"


# --- time


def reply(stratum: int, ahead: float, leap: int = 0) -> exchange.Reply:
    def stamp(at: float) -> bytes:
        whole = int(at) + time.ERA
        return struct.pack(">II", whole, int((at - int(at)) * 2**32))

    sent, received = 1_800_000_000.0, 1_800_000_000.002
    body = (
        bytes([leap << 6 | 4 << 3 | 4, stratum]) + bytes(30) + stamp(sent + ahead + 0.001) + stamp(sent + ahead + 0.001)
    )
    return exchange.Reply(body, sent, received)


def test_a_clock_is_read() -> None:
    clock = time.read(reply(3, 0.25))
    assert clock is not None
    assert (clock.stratum, clock.leap) == (3, 0)
    assert clock.offset == pytest.approx(0.25, abs=1e-6)
    assert time.read(exchange.Reply(b"short", 0, 0)) is None


GOOD, BAD = time.Clock(2, 0.001, 0), time.Clock(2, 0.2, 0)


@pytest.mark.parametrize(
    ("device", "clocks", "result", "words"),
    [
        ("990121100-accs1", [GOOD, GOOD], "pass", "stratum 2"),
        ("990121100-accs1", [GOOD, BAD], "fail", "+0.200 s from ntp"),
        ("990121100-accs1", [GOOD, None], "fail", "does not answer over IPv6"),
        ("990121100-accs1", [time.Clock(0, 0, 3), GOOD], "fail", "has no time to give"),
        ("990121100-accs1", [time.Clock(16, 0, 0), GOOD], "fail", "has no time to give"),
        ("990121100-accs1", None, "not-observed", "gone"),
    ],
)
def test_time(device: str, clocks: list[time.Clock | None] | None, result: str, words: str) -> None:
    one = host(device)
    record = time.judge(LOOK, one, time.server(LOOK.network, one), clocks, "gone")
    assert (record.result, words in record.reason) == (result, True), record.reason


def test_a_level_follows_the_one_above() -> None:
    network = sample.network()
    one = host("990100-exch1")
    above = msgspec.structs.replace(sample.SERVICES[3], site="990000:centre1", device="990000-exch1")
    look = Look(network, LOOK.session, LOOK.target)
    for own, result in (
        (time.Clock(3, 0, 0), "pass"),
        (time.Clock(2, 0, 0), "fail"),
        (None, "fail"),
        (time.Clock(3, 0, 3), "fail"),
    ):
        assert time.judge(look, one, above, [GOOD, GOOD, own], "").result == result


# --- databases

PSQL = '{"version" : "15.18 (Debian)", "recovery" : false}\n{"written" : 12}\n{"read" : 12}\n\n----\n'


@pytest.mark.parametrize(
    ("out", "result", "words"),
    [
        (PSQL + "127.0.0.1:5432\n10.9.1.10:5432\n[fd09:1::10]:5432\n[::1]:5432\n", "pass", "15.18"),
        (PSQL + "127.0.0.1:5432\n", "fail", "listens on no address"),
        (PSQL + "0.0.0.0:5432\n", "fail", "every address"),
        (PSQL + "*:5432\n", "fail", "every address"),
        (PSQL + "10.9.2.10:5432\n", "fail", "outside its zone"),
        (PSQL.replace('"read" : 12', '"read" : 11') + "10.9.1.10:5432\n", "fail", "not kept"),
        (PSQL.replace("false", "true") + "10.9.1.10:5432\n", "fail", "in recovery"),
        (
            '{"version" : "15.18", "recovery" : false}\nERROR:  relation "canary" does not exist\n\n----\n10.9.1.10:5432\n',
            "fail",
            'relation "canary" does not exist',
        ),
        ("psql: error: connection failed\n\n----\n", "fail", "connection failed"),
        ("{broken\n----\n", "fail", "unreadable"),
    ],
)
def test_database(out: str, result: str, words: str) -> None:
    record = database.judge(LOOK, host("990100-prod1"), Answer(0, out + "----\n Avail\n9000000000\n", ""))
    assert (record.result, words in record.reason) == (result, True), record.reason


@pytest.mark.parametrize(
    ("free", "result", "words"),
    [
        ("----\n Avail\n600000000\n", "pass", "keeps a row"),
        ("----\n Avail\n5000000\n", "fail", "5 MB of its disk are free, it needs 537 MB"),
        ("----\n Avail\n0\n", "fail", "0 MB of its disk are free"),
        ("----\n", "fail", "does not tell how much"),
        ("", "fail", "does not tell how much"),
    ],
)
def test_a_database_whose_disk_fills(free: str, result: str, words: str) -> None:
    record = database.judge(LOOK, host("990100-prod1"), Answer(0, PSQL + "10.9.1.10:5432\n" + free, ""))
    assert (record.result, words in record.reason) == (result, True), record.reason
    assert record.seen == (4 if "Avail" in free else 3)


def test_a_database_out_of_reach() -> None:
    record = database.judge(LOOK, host("990100-prod1"), SILENCE)
    assert (record.result, record.seen, record.expected) == ("not-observed", 0, 4)


# --- services


DNS = next(one for one in sample.SERVICES if one.name == "dns")
SERVED = [[address, port] for address in (DNS.v4, DNS.v6) for port in DNS.ports]


@pytest.mark.parametrize(
    ("taken", "missing", "result", "words"),
    [
        (SERVED, [], "pass", "served on tcp/53, udp/53 over both families"),
        (SERVED[:3], [], "fail", "nothing serves fd09:2::20 udp/53"),
        (
            [],
            [],
            "fail",
            "nothing serves 10.9.2.20 tcp/53; nothing serves 10.9.2.20 udp/53; nothing serves fd09:2::20 tcp/53 and 1",
        ),
        (SERVED[:2], [DNS.v6], "fail", "fd09:2::20 is not on the host"),
    ],
)
def test_a_service(taken: list[list[str]], missing: list[str], result: str, words: str) -> None:
    reply = Reply({"nonce": "", "bound": [], "taken": taken, "missing": missing, "failed": []})
    record = services.judge(LOOK, host("990100-exch1"), DNS, reply)
    assert (record.result, words in record.reason) == (result, True), record.reason
    assert record.seen == record.expected == 4


def test_a_service_whose_host_is_out_of_reach() -> None:
    record = services.judge(LOOK, host("990100-exch1"), DNS, Reply(None, "no answer"))
    assert (record.result, record.reason, record.seen, record.expected) == ("not-observed", "no answer", 0, 4)


def test_services_that_nothing_here_runs_are_left_out() -> None:
    assert {(device.name, one.name) for device, one in services.standing(LOOK.network)} == {
        ("990100-prod1", "db"), ("990100-exch1", "db"), ("990100-exch1", "dns"), ("990100-exch1", "ntp"),
    }  # fmt: skip


# --- backups

STOP = 1795311677


def info(**changed: Any) -> Answer:
    stanza: dict[str, Any] = {
        "name": "production",
        "status": {"code": 0, "message": "ok"},
        "repo": [{"key": 1, "status": {"code": 0, "message": "ok"}}],
        "backup": [
            {
                "label": "F1",
                "error": False,
                "database": {"id": 1, "repo-key": 1},
                "timestamp": {"start": STOP - 9, "stop": STOP},
            }
        ],
        "archive": [{"id": "15-1", "database": {"id": 1, "repo-key": 1}, "min": "A1", "max": "A9"}],
    }
    return Answer(0, msgspec.json.encode([{**stanza, **changed}]).decode(), "")


ARCHIVED = Answer(0, '{"failed": 0, "last": 12.5, "failing": false}\n', "")


@pytest.mark.parametrize(
    ("found", "archiver", "age", "result", "words"),
    [
        (info(), ARCHIVED, 3600, "pass", "F1, WAL A1 to A9"),
        (info(), ARCHIVED, 31 * 3600, "fail", "31.0 h old"),
        (info(), ARCHIVED, -900, "fail", "in the future"),
        (info(backup=[]), ARCHIVED, 0, "fail", "no usable backup"),
        (info(archive=[]), ARCHIVED, 0, "fail", "no WAL"),
        (info(repo=[{"key": 1, "status": {"code": 99, "message": "other"}}]), ARCHIVED, 0, "fail", "other"),
        (Answer(0, "[]", ""), ARCHIVED, 0, "fail", "does not know the stanza"),
        (Answer(0, "nonsense", ""), ARCHIVED, 0, "error", "unreadable"),
        (Answer(37, "", "ERROR: [037]: missing option"), ARCHIVED, 0, "error", "[037]"),
        (SILENCE, ARCHIVED, 0, "not-observed", "timed out"),
        (info(), SILENCE, 0, "not-observed", "does not tell whether its WAL is archived"),
        (info(), Answer(0, '{"failed": 3, "last": null, "failing": true}', ""), 0, "fail", "the archiver"),
    ],
)
def test_backup(found: Answer, archiver: Answer, age: float, result: str, words: str) -> None:
    record = backup.judge(LOOK, sample.PROTECTION, found, archiver, STOP + age)
    assert (record.result, words in record.reason) == (result, True), record.reason


# --- offices, and the whole


def test_office() -> None:
    (errand,) = reach.errands(LOOK.network)
    assert [one.fqdn for one in errand.services] == ["app.production.test.internal", "dns.exchange.test.internal"]
    good = ["o", "o", "oo", "oo"]
    assert reach.judge(LOOK, errand, good, "").result == "pass"
    assert "the agent answered for app" in reach.judge(LOOK, errand, good, "", ["app"]).reason
    refused = reach.judge(LOOK, errand, ["o", "r", "oo", "oo"], "")
    assert (refused.result, "app tcp/443 over IPv6 is open, nobody listens" in refused.reason) == ("fail", True)
    silent = reach.judge(LOOK, errand, None, "no answer")
    assert (silent.result, silent.seen, silent.expected) == ("not-observed", 0, 6)
    without = msgspec.structs.replace(errand, missing="the plan has no host in its access zone")
    assert reach.judge(LOOK, without, None, "").result == "error"


def test_an_unknown_check_is_named() -> None:
    assert run.wanted([]) == run.SUBJECTS
    assert run.wanted(["dns.forward"]) == ("names",)
    assert run.wanted(["zones", "bgp.session"]) == ("routing", "zones")
    with pytest.raises(Mistakes) as raised:
        run.wanted(["zone", "names", "ping"])
    assert [(found.code, found.object) for found in raised.value.found] == [("JB6101", "ping"), ("JB6101", "zone")]


def test_where_nothing_can_be_reached_nothing_passes() -> None:
    kept: list[Record] = []
    records = run.run(
        lines(), Session({}, Path("/nowhere")), "twin:test", kept=lambda found: kept.extend(found.records)
    )
    assert kept == records
    assert {record.result for record in records} <= {"not-observed", "error"}, [
        r for r in records if r.result not in ("not-observed", "error")
    ]
    asked = {one for ids in run.CHECKS.values() for one in ids}
    # No body outside has a box in this sample, no terminal asks, no line is encrypted, no site has a pair of firewalls, and no two
    # name servers are one above the other.
    assert {record.check for record in records} == asked - {
        *run.CHECKS["partners"],
        *run.CHECKS["queries"],
        *run.CHECKS["pairs"],
        copies.CHECK,
        encryption.CHECK,
    }
    assert all(record.expected > 0 and record.seen == 0 for record in records)
