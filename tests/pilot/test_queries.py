"""Queries at terminals, by real nginx: an office is told what production was told a moment before, and no other zone is told anything."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from typing import Any

import pytest

from playbooks import pki
from tests.persons import number
from tests.pilot.conftest import Pilot, until
from tests.pilot.test_flows import sql

SERVER, PRODUCTION = "640100-exch1", "640100-prod1"
CITY, COUNTY, TOWNSHIP = "640100-accs1", "640121-accs1", "640121100-accs1"
PERSON = number(9)
ABOUT = {"person": PERSON, "name": "丙", "kind": "medical"}
FOLDER = "/tmp/stolen"


@pytest.fixture(scope="module")
def insured(pilot: Pilot) -> Iterator[Pilot]:
    """The pilot with somebody who is insured since a moment ago, in production."""
    sql(
        pilot, PRODUCTION,
        "insert into insurance.participation (region, person, kind, name, unit, status, since, base_yuan, account) values"
        f" ('640100', '{PERSON}', 'medical', '丙', 'U-1', 'insured', '2020-01-01', 5000, 'A-1')",
    )  # fmt: skip
    yield pilot
    sql(pilot, PRODUCTION, f"delete from insurance.participation where person = '{PERSON}'")
    sql(pilot, SERVER, "delete from service.query")


def query(pilot: Pilot, terminal: str, **changes: str) -> dict[str, Any]:
    """What a terminal is told."""
    said = json.dumps({"format": "jinbao-query-1", "ask": "insured", "about": ABOUT | changes}, ensure_ascii=False)
    answer = pilot.ask(
        terminal, f"curl --config /etc/jinbao/terminal/query.conf --data-binary {shlex.quote(said)} 2>&1"
    )
    try:
        return dict(json.loads(answer.out))
    except ValueError:
        raise AssertionError(answer.out + answer.err) from None


@pytest.mark.parametrize("terminal", [CITY, COUNTY, TOWNSHIP])
def test_a_terminal_asks_and_is_answered_from_the_exchange_zone(insured: Pilot, terminal: str) -> None:
    told: dict[str, Any] = {}

    def found() -> bool:
        told.update(query(insured, terminal))
        return bool(told.get("found"))

    assert until(60, found), told
    assert told["values"] == {"status": "insured", "since": "2020-01-01"}
    other = query(insured, terminal, name="丁")
    assert (other["found"], other["values"]) == (False, {})
    assert query(insured, terminal, account="A-1")["code"] == "JB2956"
    kept = f"select ask, found, code from service.query where terminal = '{terminal}' order by asked desc limit 2"
    assert sql(insured, SERVER, kept).splitlines() == ["insured||JB2956", "insured|f|"]


def test_every_centre_with_terminals_is_found_to_answer(insured: Pilot) -> None:
    records = {each.subject.region: each for each in insured.check(["queries"])}
    assert {region: each.result for region, each in records.items()} == dict.fromkeys(
        ("640000", "640100", "640300"), "pass"
    ), records
    assert records["640100"].subject.peer in (COUNTY, TOWNSHIP)


def test_no_other_zone_is_told_anything(insured: Pilot) -> None:
    """The external zone reaches the address by a row of its own (FL-06-in), and gets no further than nginx, whatever it shows."""
    service = insured.network.service("640100:centre1", "exchange", "exchange")
    assert service
    stolen = pki.identity(insured.state, [f"{COUNTY}.terminal"])
    texts = {"ca.crt": stolen.authority, "terminal.crt": stolen.certificate, "terminal.key": stolen.key}
    lay = "\n".join(f"cat > {FOLDER}/{name} <<'K'\n{text}K" for name, text in texts.items())
    said = shlex.quote(json.dumps({"format": "jinbao-query-1", "ask": "insured", "about": ABOUT}, ensure_ascii=False))
    asked = "curl -sS -m 3 --cacert ca.crt --cert terminal.crt --key terminal.key"
    for device, out in {
        "640100-extn1": True,
        "640100-deci1": False,
        "640300-accs1": False,
        "640300-exch1": False,
    }.items():
        for address in (service.v4, f"[{service.v6}]"):
            line = f"{asked} --resolve {service.fqdn}:443:{address} -d {said} https://{service.fqdn}/query"
            answer = insured.ask(device, f"umask 077; mkdir -p {FOLDER}; cd {FOLDER}\n{lay}\n{line} 2>&1")
            if out:
                assert json.loads(answer.out)["code"] == "JB2950", answer.out
            else:
                assert not answer.ok and ("timed out" in answer.out or "Failed to connect" in answer.out), (
                    device,
                    answer.out,
                )
        insured.ask(device, f"rm -rf {FOLDER}")
    assert query(insured, "640300-accs1")["result"] == "answered"  # of its own centre


def test_a_service_that_does_not_run_is_told(insured: Pilot) -> None:
    insured.ask(SERVER, "systemctl stop jinbao-query.service")
    try:
        assert query(insured, CITY)["code"] == "JB2953"
        records = {each.subject.region: each for each in insured.check(["query.answered"])}
        assert records["640100"].result == "fail" and records["640300"].result == "pass", records["640100"].reason
    finally:
        insured.ask(SERVER, "systemctl start jinbao-query.service")
    assert until(30, lambda: query(insured, CITY)["result"] == "answered")
