"""The rendered front-end and desk with the real nginx, OpenSSH and PostgreSQL of the nodes, in one network namespace, without a lab."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ground import secret, sshkey
from inventory.dialects import desk, nginx
from ip_plan import partners
from ip_plan.compile import compiled
from ip_plan.partners import Front
from playbooks import pki
from tests.inventory.conftest import Run
from tests.inventory.intake.test_real import DATABASE, SQL, WRAPPED, Stage
from tests.persons import number

FRONT, DESK = "640100-extn1", "640100-exch1"
SCRIPT = Path(__file__).with_name("body.sh")
PERSON, OTHER = number(7), number(8)
ABOUT = f'\'{{"person": "{PERSON}", "kind": "medical"}}\''
INSURED = f"""\
insert into insurance.participation (region, person, kind, name, unit, status, since, base_yuan)
  values ('640100', '{PERSON}', 'medical', '甲', 'U-1', 'insured', '2020-01-01', 5000);
insert into insurance.benefit (region, person, kind, month, paid_yuan) values ('640100', '{PERSON}', 'pension', '2026-10-01', 812.50);
"""


def lay(
    stage: Stage, folder: str, identity: pki.Identity, *, key: str = "server.key", name: str = "server.crt"
) -> None:
    """What a role lays at apply."""
    stage.file(f"{folder}/ca.crt", identity.authority.encode())
    stage.file(f"{folder}/{name}", identity.certificate.encode())
    stage.file(f"{folder}/{key}", identity.key.encode(), "0600")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """Front-end and desk as rendered, a database with what the catalogue gives the zone, and two bodies with their keys."""
    folder = tmp_path_factory.mktemp("stage")
    state = folder / "state"
    network = compiled("pilot", state)
    front = next(found for site in network.sites.values() if (found := partners.front(network, site)))
    stage = Stage(folder / "build")
    stage.folder.mkdir()
    stage.lines.append("ip link set lo up")
    for end in (front.asked, front.fetched):
        stage.serve(end.host, end.addresses)
    _, checks = stage.render(state, network, [FRONT, DESK], ["front", "desk"])
    identities(stage, state, front, [front.name])
    stage.tell("valid", checks)
    stage.lines += [
        f"install -d -o www-data -g www-data -m 750 {Path(nginx.SOCKET).parent}",
        f"runuser -u www-data -- python3 -I {nginx.PROGRAM} {nginx.SOCKET} &",
        "nginx",
        DATABASE,
        f"useradd --system {front.user}; chown -R {front.user} {desk.FOLDER}",
        f"install -d -o {front.user} -m 700 /var/lib/{desk.STATE}",
        f"runuser -u postgres -- psql -Xq -d jinbao <<'S'\n{INSURED}S",
        f"desk() {{ runuser -u {front.user} -- python3 -I {desk.PROGRAM} {desk.FOLDER} /var/lib/{desk.STATE} & }}",
        f"cd /tmp/body; FRONT={front.asked.host}; . /tmp/body/body.sh",
    ]
    return stage


def identities(stage: Stage, state: Path, front: Front, names: list[str]) -> None:
    """Certificates of both hosts, and those that the bodies show; a stranger has one of the same authority."""
    lay(stage, nginx.FOLDER, pki.identity(state, [front.device, front.asked.host, front.fetched.host]))
    lay(stage, desk.FOLDER, pki.identity(state, names))
    name = front.certificate(front.bodies[0])
    lay(stage, "/tmp/body", pki.identity(state, [name]), key="old.key", name="old.crt")
    (state / "pki" / f"{name}.key").unlink()  # its key was lost: another is made
    pinned = ""
    for body in front.bodies:
        shown = pki.identity(state, [front.certificate(body)])
        pinned += f'"{shown.certificate}" {body.id};\n'
        lay(stage, "/tmp/body", shown, key=f"{body.id}.key", name=f"{body.id}.crt")
        key = sshkey.private(secret.value(state, f"ssh/{FRONT}/box-{body.id}"))
        stage.file(f"/tmp/body/{body.id}", f"{key}\n".encode(), "0600")
    lay(stage, "/tmp/body", pki.identity(state, ["tax1.640100.body"]), key="tax1.key", name="tax1.crt")
    stage.file(f"{nginx.FOLDER}/bodies.crt", pinned.encode())
    stage.file("/tmp/body/body.sh", SCRIPT.read_bytes())


def test_a_body_asks_through_real_nginx_and_is_answered_from_the_real_database(stage: Stage, target: Run) -> None:
    stage.lines.append("desk")
    stage.tell("first", f"ask bank1 Q-1 insured {ABOUT}")
    stage.tell("replayed", "send bank1")
    stage.tell(
        "benefit", f"""ask bank1 Q-2 benefit '{{"person": "{PERSON}", "kind": "pension", "month": "2026-10-01"}}'"""
    )
    stage.tell("nobody", f"""ask hospital1 Q-1 insured '{{"person": "{OTHER}", "kind": "medical"}}'""")
    stage.tell(
        "not-agreed", f"""ask hospital1 Q-2 benefit '{{"person": "{PERSON}", "kind": "x", "month": "2026-10-01"}}'"""
    )
    stage.tell("day-off", f"AT=2026-01-01T00:00:00Z ask bank1 Q-3 insured {ABOUT}")
    stage.tell(
        "changed", f"write bank1 Q-4 insured {ABOUT}; sign bank1; sed -i s/medical/pension/ request.json; send bank1"
    )
    stage.tell("wrong-body", f"write bank1 Q-5 insured {ABOUT}; sign bank1; send hospital1")
    stage.tell("cut", f"write bank1 Q-6 insured {ABOUT}; truncate -s -5 request.json; sign bank1; send bank1")
    stage.tell("stranger", "send tax1")
    stage.tell("old", "send old")
    stage.tell("bare", "curl -sS --cacert ca.crt -d x https://$FRONT/request")
    stage.tell("large", "head -c 5000 /dev/zero > request.json; send bank1")
    stage.tell("elsewhere", "curl -sS --cacert ca.crt --cert bank1.crt --key bank1.key https://$FRONT/etc/passwd")
    quiet = "-o /dev/null -w '%{http_code}'"
    shown = "curl -sS --cacert ca.crt --cert bank1.crt --key bank1.key"
    stage.tell("fetch", f"{shown} -d '[]' {quiet} https://desk${{FRONT#front}}:8443/fetch")
    stage.tell("flood", f"write bank1 Q-7 insured {ABOUT}; sign bank1; FLOOD='?n=[1-24]' send hospital1")
    stage.tell("spared", f"ask bank1 Q-8 insured {ABOUT}")
    stage.tell("restarted", f"pg_ctlcluster 15 main restart -m fast; ask bank1 Q-9 insured {ABOUT}")
    stage.tell("down", f"pg_ctlcluster 15 main stop -m fast; ask bank1 Q-10 insured {ABOUT}")
    stage.tell("status", f"cat /var/lib/{desk.STATE}/status.json")
    stage.lines.append("pg_ctlcluster 15 main start")
    columns = "body, request, code, answer ->> 'result', content <> '', signature <> ''"
    stage.tell("rows", SQL.format(f"\"select {columns} from outside.request where request <> '' order by received\""))
    own = "runuser -u desk -- psql -XAt -d jinbao"
    stage.tell(
        "may", " -c ".join([own, *(f"'select {column} from insurance.participation'" for column in ("status", "name"))])
    )
    stage.tell("keeps", f"{own} -c 'delete from outside.request'")
    stage.tell("other", f"{own} -c 'select from outside.payment'")
    stage.tell("log", "cat /var/log/nginx/error.log")
    (stage.folder / "run.sh").write_text("\n".join(stage.lines) + "\n")
    target(WRAPPED, stage.folder)
    log = (stage.folder / "log").read_text() + stage.said("log")
    assert stage.code("valid") == 0, stage.said("valid") + log

    def told(name: str) -> dict[str, Any]:
        try:
            return dict(json.loads(stage.said(name)))
        except ValueError:
            raise AssertionError((name, stage.said(name), log)) from None

    assert told("first") | {"at": ""} == {
        "format": "jinbao-answer-1", "at": "", "id": "Q-1", "body": "bank1", "result": "answered", "found": True,
        "values": {"status": "insured", "since": "2020-01-01"},
    }  # fmt: skip
    assert told("benefit")["values"] == {"paid_yuan": "812.50"}
    assert (told("nobody")["found"], told("nobody")["values"]) == (False, {})
    refused = {
        "replayed": "JB2968", "not-agreed": "JB2969", "day-off": "JB2967", "changed": "JB2966", "wrong-body": "JB2965",
        "cut": "JB2964", "stranger": "JB2960", "old": "JB2960", "bare": "JB2960", "large": "JB2961", "elsewhere": "JB2964",
        "down": "JB2963",
    }  # fmt: skip
    assert {name: told(name)["code"] for name in refused} == refused
    assert all(told(name)["cure"] and told(name)["reason"] for name in refused)
    assert stage.said("fetch") == "403"
    flood = stage.said("flood")
    assert flood.count("JB2962") >= 3 and flood.count("JB2965") >= 1, flood
    assert told("spared")["result"] == told("restarted")["result"] == "answered"
    rows = [line.split("|") for line in stage.said("rows").splitlines()]
    answered = [(body, request) for body, request, code, *_ in rows if not code]
    assert answered == [
        ("bank1", "Q-1"), ("bank1", "Q-2"), ("hospital1", "Q-1"), ("bank1", "Q-8"), ("bank1", "Q-9"),
    ]  # fmt: skip
    assert all(
        (result, content, signed) == ("refused" if code else "answered", "t", "t")
        for _, _, code, result, content, signed in rows
    )
    status = json.loads(stage.said("status"))
    assert "database does not answer" in status["trouble"] and status["bodies"]["bank1"]["answered"] == 4
    assert "insured" in stage.said("may") and "permission denied" in stage.said("may")
    assert "permission denied" in stage.said("keeps") and "permission denied" in stage.said("other")
