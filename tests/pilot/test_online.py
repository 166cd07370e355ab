"""Outside bodies online, by real nginx: what a body asks is answered from the exchange zone, and what is wrong goes no further."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ground import secret, sshkey
from playbooks import pki
from tests.inventory import desk
from tests.persons import number
from tests.pilot.conftest import Pilot, until
from tests.pilot.test_flows import sql

OUTSIDE, DESK, PRODUCTION = "640100-extn1", "640100-exch1", "640100-prod1"
HOST = "front.external.yinchuan.nx.jinbao.internal"
FOLDER = "/tmp/asking"
PERSON = number(7)
ABOUT = f"""'{{"person": "{PERSON}", "kind": "medical"}}'"""
INSURED = (
    "insert into insurance.participation (region, person, kind, name, unit, status, since, base_yuan, account) values"
    f" ('640100', '{PERSON}', 'medical', '甲', 'U-1', 'insured', '2020-01-01', 5000, 'A-1')"
)


@pytest.fixture(scope="module")
def asking(pilot: Pilot) -> Iterator[Pilot]:
    """The pilot with the keys and certificates of two bodies on a host of the external zone, as a body's own machine would have them."""
    files = {"body.sh": Path(desk.__file__).with_name("body.sh").read_text()}
    for body in ("bank1", "hospital1"):
        shown = pki.identity(pilot.state, [f"{body}.640100.body"])
        key = sshkey.private(secret.value(pilot.state, f"ssh/{OUTSIDE}/box-{body}"))
        files |= {
            "ca.crt": shown.authority,
            f"{body}.crt": shown.certificate,
            f"{body}.key": shown.key,
            body: f"{key}\n",
        }
    lines = [f"cat > {FOLDER}/{name} <<'K'\n{text}K" for name, text in files.items()]
    assert pilot.ask(OUTSIDE, "\n".join(["umask 077", f"mkdir -p {FOLDER}", *lines])).ok
    sql(pilot, PRODUCTION, INSURED)
    there = f"select count(*) from insurance.participation where person = '{PERSON}'"
    assert until(60, lambda: sql(pilot, DESK, there) == "1")
    yield pilot
    sql(pilot, PRODUCTION, f"delete from insurance.participation where person = '{PERSON}'")
    sql(pilot, DESK, "delete from outside.request")
    pilot.ask(OUTSIDE, f"rm -rf {FOLDER}")


def body(pilot: Pilot, line: str) -> dict[str, Any]:
    """What a body is told."""
    answer = pilot.ask(OUTSIDE, f"cd {FOLDER}; FRONT={HOST}; . ./body.sh; {line} 2>&1")
    try:
        return dict(json.loads(answer.out))
    except ValueError:
        raise AssertionError(answer.out + answer.err) from None


def test_a_body_asks_and_is_answered_from_the_exchange_zone(asking: Pilot) -> None:
    told = body(asking, f"ask hospital1 V-1 insured {ABOUT}")
    assert (told["result"], told["values"]) == ("answered", {"status": "insured", "since": "2020-01-01"})
    assert body(asking, "send hospital1")["code"] == "JB2968"
    assert body(asking, f"AT=2026-01-01T00:00:00Z ask hospital1 V-2 insured {ABOUT}")["code"] == "JB2967"
    assert body(asking, f"write hospital1 V-3 insured {ABOUT}; sign hospital1; send bank1")["code"] == "JB2965"
    flood = asking.ask(OUTSIDE, f"cd {FOLDER}; FRONT={HOST}; . ./body.sh; FLOOD='?n=[1-30]' send hospital1").out
    assert flood.count("JB2962") >= 10 and body(asking, f"ask bank1 V-4 insured {ABOUT}")["result"] == "answered"
    kept = "select body, request, code from outside.request where request in ('V-1', 'V-2', 'V-4') order by received"
    assert sql(asking, DESK, kept).splitlines()[:3] == [
        "hospital1|V-1|",
        "hospital1|V-1|JB2968",
        "hospital1|V-2|JB2967",
    ]
    record = next(each for each in asking.check(["flow.answered"]) if each.subject.service == "hospital1")
    # V-3 came once under the certificate of its own body, with the flood.
    assert record.result == "pass" and "2 requests answered" in record.reason and "JB2967 1" in record.reason


def test_a_desk_that_does_not_run_is_told_and_nobody_waits_for_ever(asking: Pilot) -> None:
    asking.ask(DESK, "systemctl stop jinbao-desk.service")
    try:
        assert body(asking, f"ask bank1 V-5 insured {ABOUT}")["code"] == "JB2963"
    finally:
        asking.ask(DESK, "systemctl start jinbao-desk.service")
    assert until(30, lambda: body(asking, f"ask bank1 V-6-$(date +%s%N) insured {ABOUT}")["result"] == "answered")


def test_the_front_end_dials_nobody_and_only_the_desk_fetches(asking: Pilot) -> None:
    shown = (
        f"cd {FOLDER}; curl -sS -m 5 --cacert ca.crt --cert bank1.crt --key bank1.key -o /dev/null -w '%{{http_code}}'"
    )
    assert asking.ask(OUTSIDE, f"{shown} -d '[]' https://{HOST.replace('front', 'desk', 1)}:8443/fetch").out == "403"
    opened = asking.ask(OUTSIDE, "ss -Htn state established | awk '{print $3, $4}'").out
    fetched = [line for line in opened.splitlines() if ":8443 " in line]
    assert fetched and not [line for line in opened.splitlines() if line.split()[1].endswith((":5432", ":8443"))], (
        opened
    )
