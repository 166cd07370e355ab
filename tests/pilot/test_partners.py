"""Outside bodies by real SFTP: what a body leaves in its box is loaded or refused with a receipt, and there is no other way in."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from ground import secret, sshkey
from tests.persons import number
from tests.pilot.conftest import Pilot, until
from tests.pilot.test_flows import sql

OUTSIDE, FETCHER = "640100-extn1", "640100-exch1"
PERSON = number(7)
PAYMENTS = f"person,kind,month,paid_yuan\n{PERSON},pension,2026-10-01,812.50\n{PERSON},medical,2026-10-01,203\n"
FOLDER = "/tmp/body"
HOST = "box.external.yinchuan.nx.jinbao.internal"


def manifest(id: str, **changes: Any) -> str:
    data = PAYMENTS.encode()
    said = {
        "name": f"{id}.csv",
        "table": "payment",
        "rows": 2,
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    return json.dumps({"format": "jinbao-delivery-1", "id": id, "body": "bank1", "files": [said | changes]})


@pytest.fixture(scope="module")
def bank(pilot: Pilot) -> Iterator[Pilot]:
    """The pilot with the keys of two bodies on a host of the external zone, as a body's own machine would have them."""
    lines = [f"mkdir -p {FOLDER}"]
    for body in ("bank1", "tax1"):
        key = sshkey.private(secret.value(pilot.state, f"ssh/{OUTSIDE}/box-{body}"))
        lines += [f"umask 077; cat > {FOLDER}/{body} <<'K'\n{key}\nK"]
    host = sshkey.public(secret.value(pilot.state, f"ssh/{OUTSIDE}/boxes"))
    lines += [f"echo '[{HOST}]:2222 {host}' > {FOLDER}/known"]
    assert pilot.ask(OUTSIDE, "\n".join(lines)).ok
    pilot.ask(FETCHER, "systemctl stop jinbao-intake.timer")
    yield pilot
    sql(pilot, FETCHER, "delete from outside.payment; delete from outside.delivery")
    pilot.ask(OUTSIDE, f"rm -rf {FOLDER}")
    pilot.ask(FETCHER, "systemctl start jinbao-intake.timer")


def sftp(pilot: Pilot, commands: str, body: str = "bank1") -> Any:
    options = f"-i {FOLDER}/{body} -o BatchMode=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile={FOLDER}/known"
    return pilot.ask(OUTSIDE, f"cd {FOLDER}; sftp {options} -P 2222 -b - box-{body}@{HOST} 2>&1 <<'S'\n{commands}\nS")


def put(pilot: Pilot, files: dict[str, str]) -> None:
    for name, text in files.items():
        data = base64.b64encode(text.encode()).decode()
        assert pilot.ask(OUTSIDE, f"echo {data} | base64 -d > {FOLDER}/{name}").ok
    answer = sftp(pilot, "\n".join(f"put {name} in/{name}" for name in files))
    assert answer.ok, answer.out


def receipts(pilot: Pilot) -> dict[str, Any]:
    """Delivery → its receipt, fetched by the body itself."""
    assert pilot.ask(FETCHER, "systemctl start jinbao-intake.service").ok, pilot.ask(
        FETCHER, "journalctl -u jinbao-intake"
    ).out
    pilot.ask(OUTSIDE, f"rm -rf {FOLDER}/got; mkdir {FOLDER}/got")
    assert sftp(pilot, "get receipts/* got/").ok
    found = pilot.ask(OUTSIDE, f"cd {FOLDER}/got; for one in *; do tr -d '\\n' < $one; echo; done").out
    told = [json.loads(line) for line in found.splitlines()]
    return {each["delivery"]: each for each in told}


def test_a_good_file_arrives_and_bad_ones_are_refused(bank: Pilot) -> None:
    good = {"D-1.csv": PAYMENTS, "D-1.json": manifest("D-1")}
    spoilt = {"D-2.csv": PAYMENTS.replace("812", "912"), "D-2.json": manifest("D-2")}
    outside = {"D-3.json": manifest("D-3", name="../../box-tax1/in/D-1.csv")}
    put(bank, good | spoilt | outside)
    told = receipts(bank)
    assert told["D-1"]["result"] == "loaded" and told["D-1"]["rows"] == {"D-1.csv": 2}
    assert (told["D-2"]["code"], told["D-3"]["code"]) == ("JB2984", "JB2981")
    rows = "select region, body, delivery, line, kind, paid_yuan from outside.payment order by line"
    assert sql(bank, FETCHER, rows) == "640100|bank1|D-1|1|pension|812.50\n640100|bank1|D-1|2|medical|203"
    put(bank, good)
    assert receipts(bank)["D-1"]["code"] == "JB2985"
    assert (
        sql(bank, FETCHER, "select count(*), sum(rows) from outside.delivery join outside.payment using (delivery)")
        == "2|4"
    )
    record = next(each for each in bank.check(["partners"]) if each.subject.service == "bank1")
    assert record.result == "pass" and "1 deliveries loaded, 3 refused" in record.reason


@pytest.mark.parametrize(
    ("commands", "said"),
    [
        ("symlink /etc/passwd in/x.csv", "denied|does not support"),
        ("put known receipts/forged.json", "denied"),
        ("mkdir in/inner", "denied"),
        ("put known beside", "denied"),
    ],
)
def test_a_body_can_put_files_into_its_box_and_nothing_else(bank: Pilot, commands: str, said: str) -> None:
    answer = sftp(bank, commands)
    assert not answer.ok and any(words.lower() in answer.out.lower() for words in said.split("|")), answer.out


def test_a_body_gets_no_shell_and_no_other_box(bank: Pilot) -> None:
    line = f"ssh -i {FOLDER}/bank1 -p 2222 -o BatchMode=yes -o UserKnownHostsFile={FOLDER}/known {{}}@{HOST} id 2>&1"
    assert "uid=" not in bank.ask(OUTSIDE, line.format("box-bank1")).out
    for other in ("box-tax1", "intake", "root"):
        assert "Permission denied" in bank.ask(OUTSIDE, line.format(other)).out


def test_an_intake_that_reaches_no_boxes_is_told(bank: Pilot) -> None:
    bank.ask(OUTSIDE, "systemctl stop jinbao-boxes.service")
    try:
        assert not bank.ask(FETCHER, "systemctl start jinbao-intake.service").ok
        assert "do not answer" in bank.ask(FETCHER, "cat /var/lib/jinbao-intake/status.json").out
    finally:
        bank.ask(OUTSIDE, "systemctl start jinbao-boxes.service")
    assert until(30, lambda: bank.ask(FETCHER, "systemctl start jinbao-intake.service").ok)
