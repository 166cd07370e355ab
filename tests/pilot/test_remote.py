"""Remote handling and what enters production (DB-06, FL-07, FL-20): a case goes Yinchuan → Ningxia → Wuzhong and back, zone by zone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ground import remote
from tests.persons import number
from tests.pilot.conftest import Pilot, until
from tests.pilot.test_flows import sql

HERE, THERE, PROVINCE, MINISTRY = "640100", "640300", "640000", "000000"
PERSON = number(101)
REVIEWER, ASKING, RELEASING = "reviewer_1", "mover_1", "mover_2"
PASSWORD = "sample"


def by(pilot: Pilot, device: str, who: str, text: str) -> remote.Answer:
    """What the database answers a person who logged in with an account."""
    program = f"PGPASSWORD={PASSWORD} psql -XAtq -v ON_ERROR_STOP=1 -h 127.0.0.1 -U {who} -d jinbao"
    return pilot.ask(device, f"cd /; {program} 2>&1 <<'SQL'\n{text}\nSQL")


@pytest.fixture(scope="module")
def staffed(pilot: Pilot) -> Iterator[Pilot]:
    """The pilot with accounts of persons at both cities. What was moved stays: its records are never changed."""
    groups = {REVIEWER: "reviewer", ASKING: "mover", RELEASING: "mover"}
    made = "".join(f"create role {who} login password '{PASSWORD}' in role {of};" for who, of in groups.items())
    for city in (HERE, THERE):
        sql(pilot, f"{city}-exch1", made)
    yield pilot
    for city in (HERE, THERE):
        sql(pilot, f"{city}-exch1", "".join(f"drop role {who};" for who in groups))


def send(pilot: Pilot, here: str, there: str, message: str, case: str, kind: str, person: str = PERSON) -> None:
    sql(
        pilot,
        f"{here}-prod1",
        "insert into business.message (region, to_region, message, case_number, kind, business, person, amount_yuan, sent) "
        f"values ('{here}', '{there}', '{message}', '{case}', '{kind}', 'transfer', '{person}', 100, now())",
    )


def has(pilot: Pilot, device: str, table: str, message: str, number: int = 1, seconds: float = 40) -> bool:
    count = f"select count(*) from {table} where message = '{message}'"
    return until(seconds, lambda: sql(pilot, device, count) == str(number))


def state(pilot: Pilot, city: str, message: str) -> str:
    asked = f"select entrance_state, entrance_reason from entrance.remote_incoming where message = '{message}'"
    return sql(pilot, f"{city}-exch1", asked)


def review(pilot: Pilot, here: str, there: str, message: str, who: str = REVIEWER) -> remote.Answer:
    key = f'{{"region": "{here}", "to_region": "{there}", "message": "{message}"}}'
    return by(pilot, f"{there}-exch1", who, f"select entrance.review('remote.incoming', '{key}', 'passed', 'seen')")


def hand_over(pilot: Pilot, city: str) -> None:
    answer = pilot.ask(f"{city}-exch1", "systemctl start jinbao-import.service")
    assert answer.ok, pilot.ask(f"{city}-exch1", "journalctl -n 20 -u jinbao-import.service").out


def test_a_case_goes_to_the_other_city_and_its_answer_comes_back(staffed: Pilot) -> None:
    trip = [(HERE, THERE, "remote-1", "request"), (THERE, HERE, "remote-2", "answer")]
    for here, there, message, kind in trip:
        send(staffed, here, there, message, "case-1", kind)
        assert has(staffed, f"{here}-exch1", "remote.outgoing", message)  # FL-02
        assert has(staffed, f"{PROVINCE}-exch1", "remote.incoming", message)  # FL-05, up
        assert has(staffed, f"{there}-exch1", "remote.incoming", message)  # FL-05, down
        hand_over(staffed, there)
        assert state(staffed, there, message) == "waiting|"  # checked, and nobody has looked at it
        assert has(staffed, f"{there}-prod1", "business.received", message, 0)
        assert review(staffed, here, there, message).ok
        hand_over(staffed, there)
        assert state(staffed, there, message) == "moved|"
        assert has(staffed, f"{there}-prod1", "business.received", message)  # FL-07
    recorded = "select step, verdict, who from entrance.record where key ->> 'message' = 'remote-1' order by id"
    assert sql(staffed, f"{THERE}-exch1", recorded).splitlines() == [
        "validation|passed|automatic", f"review|passed|{REVIEWER}", "move|passed|automatic",
    ]  # fmt: skip


def test_no_other_centre_has_it_and_nothing_comes_back_to_where_it_was(staffed: Pilot) -> None:
    send(staffed, HERE, THERE, "remote-3", "case-3", "request")
    assert has(staffed, f"{THERE}-exch1", "remote.incoming", "remote-3")
    elsewhere = [(f"{MINISTRY}-exch1", "remote.outgoing"), (f"{MINISTRY}-exch1", "remote.incoming")]
    elsewhere += [(f"{HERE}-exch1", "remote.incoming"), (f"{THERE}-exch1", "remote.outgoing")]
    elsewhere += [(f"{HERE}-prod1", "business.received"), (f"{THERE}-prod1", "business.message")]
    for device, table in elsewhere:
        assert has(staffed, device, table, "remote-3", 0), (device, table)
    # Another province's: up to the ministry, which alone knows the way.
    send(staffed, HERE, "440300", "remote-4", "case-4", "request")
    assert has(staffed, f"{MINISTRY}-exch1", "remote.incoming", "remote-4")
    for device in (f"{PROVINCE}-exch1", f"{THERE}-exch1"):
        assert has(staffed, device, "remote.incoming", "remote-4", 0), device


def test_what_is_wrong_stays_in_quarantine_and_tells_why(staffed: Pilot) -> None:
    send(staffed, HERE, THERE, "remote-5", "case-5", "request", PERSON[:-1] + "0")
    send(staffed, HERE, THERE, "remote-6", "case-6", "answer")
    for message, why in (
        ("remote-5", "the person has no citizen number"),
        ("remote-6", "it answers a request that this centre never sent"),
    ):
        assert has(staffed, f"{THERE}-exch1", "remote.incoming", message)
        assert review(staffed, HERE, THERE, message).ok  # a review makes nothing right
        hand_over(staffed, THERE)
        assert state(staffed, THERE, message) == f"quarantined|{why}"
        assert has(staffed, f"{THERE}-prod1", "business.received", message, 0)
    assert "permission denied" in review(staffed, HERE, THERE, "remote-5", ASKING).out
    found = judged(staffed, THERE, "remote.incoming")
    assert found.result == "pass" and " quarantined" in found.reason, found


def judged(pilot: Pilot, city: str, table: str) -> Any:
    device = f"{city}-exch1"
    return next(
        record for record in pilot.check(["entrances"]) if (record.subject.device, record.subject.service) == (device, table)
    )  # fmt: skip


STAGED = tuple(number(serial) for serial in (111, 112, 113))
STAGE = f"""
insert into staging.person (region, person, name, born, source, compared, confirmed) values
  ('{THERE}', '{STAGED[0]}', '甲', '1980-01-01', 'x', now(), now()),
  ('{THERE}', '{STAGED[1]}', '乙', '1980-01-01', 'x', now(), now()),
  ('{THERE}', '{STAGED[2]}', '丙', '1980-01-01', 'x', now(), null);
"""
LISTED = ", ".join(f"'{person}'" for person in STAGED)
ENTERED = f"select person from shared.person where person in ({LISTED})"


def test_the_bulk_move_is_released_by_a_second_person(staffed: Pilot) -> None:
    device, production = f"{THERE}-exch1", f"{THERE}-prod1"
    sql(staffed, device, STAGE)
    try:
        request = by(
            staffed, device, ASKING, "select entrance.request('staging.person', 'comparison done')"
        ).out.strip()
        assert request.isdecimal()
        release = f"select entrance.release({request}, 'passed', 'read')"
        assert "JB1950" in by(staffed, device, ASKING, release).out
        assert "JB1950" in by(staffed, device, ASKING, f"set role mover; {release}").out
        assert "permission denied" in by(staffed, device, REVIEWER, release).out
        forged = (
            "insert into entrance.record (source, step, verdict, request, who) "
            f"values ('staging.person', 'release', 'passed', {request}, '{RELEASING}')"
        )
        assert "permission denied" in by(staffed, device, ASKING, forged).out
        hand_over(staffed, THERE)
        assert sql(staffed, production, ENTERED) == ""
        # What changed after it was asked for was not asked for.
        sql(staffed, device, f"update staging.person set name = '丁' where person = '{STAGED[1]}'")
        assert by(staffed, device, RELEASING, release).ok
        hand_over(staffed, THERE)
        assert sql(staffed, production, ENTERED) == STAGED[0]
        states = "select entrance_state from entrance.staging_person order by person"
        assert sql(staffed, device, states).split() == ["moved", "waiting", "quarantined"]
        assert judged(staffed, THERE, "staging.person").result == "pass"
    finally:
        sql(staffed, device, f"delete from staging.person where person in ({LISTED})")
        sql(staffed, production, f"delete from shared.person where person in ({LISTED})")


def test_a_record_is_never_changed_and_the_way_in_reads_nothing(staffed: Pilot) -> None:
    assert "never changed" in staffed.ask(
        f"{THERE}-exch1", "cd /; runuser -u postgres -- psql -d jinbao -c 'delete from entrance.record' 2>&1"
    ).out  # fmt: skip
    tls = "/etc/postgresql/15/main"
    own = f"sslmode=verify-full sslrootcert={tls}/ca.crt sslcert={tls}/server.crt sslkey={tls}/server.key"
    dial = (
        "cd /; runuser -u postgres -- psql -XAtq -c '{}' 'host=entrance.production.wuzhong.nx.jinbao.internal dbname=jinbao "
        f"user=import_fl07 connect_timeout=3 {own}' 2>&1"
    )
    assert staffed.ask(f"{THERE}-exch1", dial.format("select current_user")).out.strip() == "import_fl07"
    for table in ("shared.person", "business.received"):
        assert "permission denied" in staffed.ask(f"{THERE}-exch1", dial.format(f"select from {table}")).out
    assert "timeout expired" in staffed.ask(f"{THERE}-deci1", dial.format("select 1")).out  # no rule, and no word back


def test_a_row_that_nobody_moved_and_a_job_that_stands_still_are_told(staffed: Pilot) -> None:
    device, production = f"{THERE}-exch1", f"{THERE}-prod1"
    hand_over(staffed, THERE)
    assert judged(staffed, THERE, "remote.incoming").result == "pass"
    sql(
        staffed,
        production,
        f"insert into business.received (region, to_region, message) values ('{HERE}', '{THERE}', 'planted')",
    )
    staffed.ask(device, "systemctl stop jinbao-import.timer")
    try:
        sql(staffed, device, "update entrance.run set succeeded = now() - interval '1 hour'")
        found = judged(staffed, THERE, "remote.incoming")
        assert found.result == "fail" and "it last succeeded 36" in found.reason, found
        assert "business.received of 640300-prod1 has other rows than were moved" in found.reason, found
    finally:
        staffed.ask(device, "systemctl start jinbao-import.timer")
        sql(staffed, production, "delete from business.received where message = 'planted'")
        hand_over(staffed, THERE)
    assert judged(staffed, THERE, "remote.incoming").result == "pass"


def test_returns_and_surveys_reach_the_decision_zones_through_exchange(pilot: Pilot) -> None:
    device = f"{THERE}-exch1"
    sql(pilot, device, f"insert into returns.monthly values ('{THERE}', '2026-01-01', 'placements', 12)")
    sql(pilot, device, f"insert into returns.survey values ('{THERE}', 'wages', 'r1', 'q1', 'a')")
    try:
        for name in (
            f"{THERE}-deci1",
            f"{PROVINCE}-exch1",
            f"{PROVINCE}-deci1",
            f"{MINISTRY}-exch1",
            f"{MINISTRY}-deci1",
        ):
            tables = ["returns.monthly", "macro.survey" if "deci" in name else "returns.survey"]
            for table in tables:
                count = f"select count(*) from {table} where region = '{THERE}'"
                assert until(40, lambda name=name, count=count: sql(pilot, name, count) == "1"), (name, table)
        written = "select has_table_privilege('application', '{}', 'insert')"
        assert sql(pilot, device, written.format("returns.survey")) == "t"
        assert sql(pilot, f"{THERE}-deci1", written.format("macro.survey")) == "f"
    finally:
        sql(
            pilot,
            device,
            f"delete from returns.monthly where region = '{THERE}'; delete from returns.survey where region = '{THERE}'",
        )


def test_the_flows_hold_with_all_of_it(staffed: Pilot) -> None:
    records = staffed.check(["flows"])
    assert {record.result for record in records} == {"pass"}, [r for r in records if r.result != "pass"]
    assert {record.subject.service for record in records} >= {"fl_05_640000_exch1_640300", "fl_05_000000_exch1_640000"}
