"""Data really flow: a row of a city's production database is seen where its flow leads, with what may leave production and no more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ip_plan import catalogue
from tests.persons import number
from tests.pilot.conftest import Pilot, until

CITY = "640300"
WORKER, RETIRED = number(1), number(2)
KEPT = ("62000001", "东方红路1号", "0953-0000001")
"""Account, address and telephone of the worker."""

ROWS = f"""
insert into shared.person (region, person, name, born, account, address, telephone) values
  ('{CITY}', '{WORKER}', '甲', '1980-01-01', '{KEPT[0]}', '{KEPT[1]}', '{KEPT[2]}'),
  ('{CITY}', '{RETIRED}', '乙', '1980-01-01', null, null, null);
insert into insurance.participation (region, person, kind, name, unit, status, base_yuan, account) values
  ('{CITY}', '{WORKER}', 'pension', '甲', 'U1', 'active', 5000, '{KEPT[0]}'),
  ('{CITY}', '{RETIRED}', 'pension', '乙', 'U1', 'active', 4000, null);
insert into market.employment (region, person, name, status, unit, address, telephone) values
  ('{CITY}', '{WORKER}', '甲', 'employed', 'U1', '{KEPT[1]}', '{KEPT[2]}');
"""
EMPTY = "".join(
    f"delete from {table} where person like '990101%';"
    for table in ("shared.person", "insurance.participation", "market.employment")
)


def sql(pilot: Pilot, device: str, text: str) -> str:
    answer = pilot.ask(
        device, f"cd /; runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 -d jinbao <<'SQL'\n{text}\nSQL"
    )
    assert answer.ok, (device, text, answer.err)
    return answer.out.strip()


@pytest.fixture(scope="module")
def filled(pilot: Pilot) -> Iterator[Pilot]:
    """The pilot with two sample persons in one city's production database."""
    sql(pilot, f"{CITY}-prod1", ROWS)
    yield pilot
    sql(pilot, f"{CITY}-prod1", EMPTY)


def seen(pilot: Pilot, device: str, table: str, seconds: float = 40) -> bool:
    count = f"select count(*) from {table} where person = '{WORKER}' and region = '{CITY}'"
    return until(seconds, lambda: sql(pilot, device, count) == "1")


@pytest.mark.parametrize(
    ("device", "table"),
    [
        (f"{CITY}-exch1", "shared.person"),  # FL-02
        (f"{CITY}-exch1", "monitoring.pension"),
        (f"{CITY}-deci1", "insurance.participation"),  # FL-03
        (f"{CITY}-deci1", "monitoring.pension"),  # FL-04
        ("640000-exch1", "monitoring.pension"),  # FL-05
        ("000000-exch1", "monitoring.pension"),
        ("640000-deci1", "monitoring.pension"),
    ],
)
def test_a_row_of_production_arrives_where_its_flow_leads(filled: Pilot, device: str, table: str) -> None:
    assert seen(filled, device, table)


def test_what_stays_is_nowhere_else(filled: Pilot) -> None:
    assert seen(filled, f"{CITY}-exch1", "market.employment") and seen(filled, f"{CITY}-deci1", "market.employment")
    stays = ", ".join(f"'{column}'" for column in catalogue.shipped().tables.stays)
    kept = f"select table_name from information_schema.columns where column_name in ({stays}) and table_schema <> 'pg_catalog'"
    for device in (f"{CITY}-exch1", f"{CITY}-deci1", "640000-exch1", "000000-exch1"):
        assert sql(filled, device, kept) == ""
        dump = filled.ask(device, "cd /; runuser -u postgres -- pg_dump jinbao").out
        assert "canary" in dump and not [value for value in KEPT if value in dump], device
    may = "has_column_privilege('repl_fl02', 'shared.person', '{}', 'select')"
    allowed = f"select {may.format('name')}, {may.format('account')}"
    assert sql(filled, f"{CITY}-prod1", allowed) == "t|f"


def test_the_other_city_has_none_of_it(filled: Pilot) -> None:
    assert seen(filled, "640000-exch1", "monitoring.pension")
    for device in ("640100-prod1", "640100-exch1", "640100-deci1"):
        assert sql(filled, device, f"select count(*) from insurance.participation where region = '{CITY}'") == "0"


DIAL = (
    "cd /; runuser -u postgres -- psql -XAtq -c 'select current_user' 'host=db.production.wuzhong.nx.jinbao.internal dbname=jinbao "
    "user={user} connect_timeout=5 sslmode={mode} sslrootcert={tls}/ca.crt {own}' 2>&1"
)
TLS = "/etc/postgresql/15/main"
OWN = f"sslcert={TLS}/server.crt sslkey={TLS}/server.key"


@pytest.mark.parametrize(
    ("device", "user", "mode", "own", "said"),
    [
        (f"{CITY}-exch1", "repl_fl02", "verify-full", OWN, "repl_fl02"),
        (f"{CITY}-exch1", "repl_fl02", "verify-full", "sslcert=/none", "requires a valid client certificate"),
        (f"{CITY}-exch1", "repl_fl02", "disable", "", "no encryption"),
        (f"{CITY}-exch1", "repl_fl03", "verify-full", OWN, "no pg_hba.conf entry"),
        (f"{CITY}-exch1", "jinbao", "verify-full", OWN, "no pg_hba.conf entry"),
        (f"{CITY}-deci1", "repl_fl03", "verify-full", OWN, "repl_fl03"),
    ],
)
def test_a_database_lets_in_the_host_of_a_flow_with_its_certificate_alone(
    pilot: Pilot, device: str, user: str, mode: str, own: str, said: str
) -> None:
    answer = pilot.ask(device, DIAL.format(user=user, mode=mode, own=own, tls=TLS))
    assert said in answer.out


def judged(pilot: Pilot, check: str, device: str) -> Any:
    return next(record for record in pilot.check([check]) if record.subject.device == device and record.check == check)


def test_the_three_sames_hold_and_a_planted_fault_is_found(filled: Pilot) -> None:
    device = f"{CITY}-prod1"
    assert {judged(filled, check, device).result for check in ("same.identifier", "same.attribute", "same.logic")} == {
        "pass"
    }
    faults = {
        "same.identifier": f"update insurance.participation set person = '{number(3)}' where person = '{RETIRED}'",
        "same.attribute": f"update insurance.participation set name = '丙' where person = '{RETIRED}'",
        "same.logic": f"update shared.person set retired = '2020-01-01' where person = '{RETIRED}'",
    }
    for check, fault in faults.items():
        sql(filled, device, fault)
        found = judged(filled, check, device)
        sql(filled, device, EMPTY + ROWS)
        assert found.result == "fail" and "990101" in found.reason, found


def test_a_subscription_that_stands_still_is_told(filled: Pilot) -> None:
    device, name = f"{CITY}-deci1", f"fl_03_{CITY}_prod1"
    assert seen(filled, device, "insurance.participation")
    sql(filled, device, f"alter subscription {name} disable")
    try:
        sql(filled, f"{CITY}-prod1", f"update insurance.participation set person = '{number(4)}' where person = '{RETIRED}'; "
            f"insert into market.training (region, person, course) values ('{CITY}', '{number(4)}', 'x')")  # fmt: skip
        found = next(record for record in filled.check(["flows"]) if record.subject.service == name)
        assert (
            found.result == "fail"
            and "it is disabled" in found.reason
            and "market.training has other rows" in found.reason
        )
    finally:
        sql(filled, device, f"alter subscription {name} enable")
        sql(filled, f"{CITY}-prod1", EMPTY + ROWS + "delete from market.training where person like '990101%'")
    assert until(40, lambda: {record.result for record in filled.check(["flows"])} == {"pass"})


def test_a_slot_that_holds_much_wal_is_told_before_it_is_lost(filled: Pilot) -> None:
    """The subscriber is away and its publisher may keep four segments: at two of them there is time left."""
    device, publisher, name = f"{CITY}-deci1", f"{CITY}-prod1", f"fl_03_{CITY}_prod1"
    fill = (
        f"update insurance.participation set base_yuan = base_yuan where person = '{RETIRED}'; select pg_switch_wal();"
    )
    sql(filled, device, f"alter subscription {name} disable")
    try:
        sql(filled, publisher, "alter system set max_slot_wal_keep_size = '64MB'")
        sql(filled, publisher, "select pg_reload_conf()")
        for _ in range(3):
            sql(filled, publisher, fill)
        found = next(record for record in filled.check(["flows"]) if record.subject.service == name)
        assert found.result == "fail" and "MB of WAL, at 67 MB it is lost" in found.reason, found
        assert (
            sql(filled, publisher, f"select wal_status from pg_replication_slots where slot_name = '{name}'") != "lost"
        )
    finally:
        sql(filled, publisher, "alter system reset max_slot_wal_keep_size")
        sql(filled, publisher, "select pg_reload_conf()")
        sql(filled, device, f"alter subscription {name} enable")
    assert until(40, lambda: {record.result for record in filled.check(["flows"])} == {"pass"})
