"""The rendered query service with the real nginx and PostgreSQL of the nodes, in one network namespace, without a lab."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from inventory.dialects import query
from ip_plan import queries
from ip_plan.compile import compiled
from playbooks import pki
from tests.inventory.conftest import Run
from tests.inventory.desk.test_real import lay
from tests.inventory.intake.test_real import DATABASE, SQL, WRAPPED, Stage
from tests.persons import number

SERVER, CITY, COUNTY, TOWN = "640100-exch1", "640100-accs1", "640121-accs1", "640121100-accs1"
PERSON, OTHER = number(7), number(8)
DATA = f"""\
insert into insurance.participation (region, person, kind, name, unit, status, since, base_yuan) values
  ('640100', '{PERSON}', 'medical', '甲', 'U-1', 'insured', '2020-01-01', 5000),
  ('640300', '{OTHER}', 'medical', '乙', 'U-2', 'insured', '2021-01-01', 5000);
insert into shared.person (region, person, name, born, retired) values ('640100', '{PERSON}', '甲', '1980-01-01', '2025-03-01');
"""
INSURED = {"person": PERSON, "name": "甲", "kind": "medical"}
RETIRED = {"person": PERSON, "name": "甲", "born": "1980-01-01"}


def asking(ask: Any, about: Any, **changes: Any) -> str:
    """A query as a terminal writes it; `changes` are keys said otherwise."""
    return json.dumps({"format": "jinbao-query-1", "ask": ask, "about": about} | changes, ensure_ascii=False)


NOBODY: dict[str, tuple[str, dict[str, str]]] = {
    "another name": ("insured", INSURED | {"name": "乙"}),
    "a name that is a pattern": ("insured", INSURED | {"name": "%"}),
    "another date of birth": ("retired", RETIRED | {"born": "1980-01-02"}),
    "somebody of another city": ("insured", {"person": OTHER, "name": "乙", "kind": "medical"}),
    "SQL for a name": ("insured", INSURED | {"name": "' or '1'='1"}),
    "SQL for a person": ("employed", {"person": "x'; drop table service.query; --", "name": "甲"}),
}
"""What is found to be nobody → question, and what it is asked by."""

REFUSED = {
    "an unknown question": ("JB2955", asking("wealth", {})),
    "a question of bodies": ("JB2955", asking("contribution", {"person": PERSON, "kind": "medical", "month": "2026-10-01"})),
    "a table for a question": ("JB2955", asking("insurance.participation", INSURED)),
    "SQL for a question": ("JB2955", asking("insured; drop table service.query", INSURED)),
    "the number alone": ("JB2956", asking("insured", {"person": PERSON, "kind": "medical"})),
    "a column more": ("JB2956", asking("insured", INSURED | {"unit": "U-1"})),
    "a column that stays": ("JB2956", asking("retired", RETIRED | {"account": "A-1"})),
    "SQL for a column": ("JB2956", asking("employed", {"person": PERSON, "name = name or name": "甲"})),
    "a number for a name": ("JB2956", asking("insured", INSURED | {"name": 7})),
    "nothing for a name": ("JB2956", asking("insured", INSURED | {"name": ""})),
    "a day that is none": ("JB2956", asking("retired", RETIRED | {"born": "1980-02-30"})),
    "a day written otherwise": ("JB2956", asking("retired", RETIRED | {"born": "01.01.1980"})),
    "a zero byte in a name": ("JB2956", asking("insured", INSURED | {"name": "甲\0"})),
    "no JSON": ("JB2954", "insured"),
    "a key more": ("JB2954", asking("insured", INSURED, account="1")),
    "another format": ("JB2954", asking("insured", INSURED, format="jinbao-request-1")),
    "a list": ("JB2954", asking("insured", [PERSON])),
    "too long": ("JB2951", asking("insured", INSURED) + " " * 5000),
}  # fmt: skip
"""What is refused: code, and what was sent."""

GOOD = shlex.quote(asking("insured", INSURED))
BEFORE = {
    "no certificate": ("JB2950", f"bare -d {GOOD} $URL"),
    "a terminal of another city": ("JB2950", f"bare --cert far.crt --key far.key -d {GOOD} $URL"),
    "a body": ("JB2950", f"bare --cert body.crt --key body.key -d {GOOD} $URL"),
    "a certificate whose key was lost": ("JB2950", f"bare --cert old.crt --key old.key -d {GOOD} $URL"),
    "from another zone": ("JB2950", f"at {COUNTY} --interface $ELSEWHERE -d {GOOD}"),
    "without TLS": ("JB2950", f"bare -d {GOOD} http://$HOST:443/query"),
    "GET": ("JB2954", f"at {CITY} -G -d person={PERSON}"),
    "PUT": ("JB2954", f"at {CITY} -X PUT -d {GOOD}"),
    "another path": ("JB2954", f"bare --cert {CITY}.crt --key {CITY}.key -d {GOOD} ${{URL%query}}etc/passwd"),
}
"""What gets no further than nginx: code, and the line that asks."""

LOCKED = "select count(*) from pg_locks where granted and relation = 'insurance.participation'::regclass"
MANY = f"""
( echo 'begin; lock table insurance.participation;'; until grep -qs JB2952 many.*; do sleep 0.1; done ) |
  runuser -u postgres -- psql -Xq -d jinbao &
until [ "$(runuser -u postgres -- psql -XAt -d jinbao -c "{LOCKED}")" = 1 ]; do sleep 0.1; done
asking=; for n in 1 2 3 4 5; do at {TOWN} -d {GOOD} > many.$n & asking="$asking $!"; done; wait $asking; cat many.*
"""
"""Five queries while the first of them waits for the database: one more than one terminal may have waiting."""

SPY = """\
import os, socket, sys
os.umask(7); os.unlink(sys.argv[1])
server = socket.socket(socket.AF_UNIX); server.bind(sys.argv[1]); server.listen()
print("up", flush=True)
one, _ = server.accept(); print(one.recv(9000).decode(), flush=True)
one.sendall(b"HTTP/1.0 200 OK\\r\\nSet-Cookie: a=b\\r\\nContent-Length: 0\\r\\n\\r\\n"); one.close()
"""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """The service as rendered, a database with what the catalogue gives the zone, and three terminals with their certificates."""
    folder = tmp_path_factory.mktemp("stage")
    state = folder / "state"
    network = compiled("pilot", state)
    asked = queries.queries(network, network.sites["640100:centre1"])
    assert asked and asked.device == SERVER
    stage = Stage(folder / "build")
    stage.folder.mkdir()
    stage.lines.append("ip link set lo up")
    stage.serve(asked.asked.host, asked.asked.addresses)
    _, checks = stage.render(state, network, [CITY, SERVER], ["query", "terminal"])
    identity = pki.identity(state, [network.devices[SERVER].fqdn, asked.asked.host])
    lay(stage, query.FOLDER, identity)
    lay(stage, "/tmp/asking", pki.identity(state, [f"{CITY}.terminal"]), key="old.key", name="old.crt")
    (state / "pki" / f"{CITY}.terminal.key").unlink()  # its key was lost: another is made
    pinned = ""
    for each in asked.terminals:
        shown = pki.identity(state, [each.certificate])
        pinned += f'"{shown.certificate}" {each.device};\n'
        lay(stage, "/tmp/asking", shown, key=f"{each.device}.key", name=f"{each.device}.crt")
        if each.device == CITY:
            lay(stage, query.TERMINAL, shown, key="terminal.key", name="terminal.crt")
        address = network.devices[each.device].interfaces[0].v4.partition("/")[0]
        stage.lines.append(f"ip addr add {address} dev lo; echo {address} > /tmp/asking/{each.device}.address")
    lay(stage, "/tmp/asking", pki.identity(state, ["640300-accs1.terminal"]), key="far.key", name="far.crt")
    lay(stage, "/tmp/asking", pki.identity(state, ["bank1.640100.body"]), key="body.key", name="body.crt")
    stage.file(f"{query.FOLDER}/terminals.crt", pinned.encode())
    stage.file("/tmp/asking/spy.py", SPY.encode())
    elsewhere = network.devices["640100-extn1"].interfaces[0].v4.partition("/")[0]
    stage.tell("valid", checks)
    user = f"runuser -u {queries.USER} -g www-data -- python3 -I"
    stage.lines += [
        f"ip addr add {elsewhere} dev lo; ELSEWHERE={elsewhere}; HOST={asked.asked.host}; URL=https://$HOST/query",
        f"useradd --system {queries.USER}; install -d -o {queries.USER} -g www-data -m 750 {Path(query.SOCKET).parent}",
        f"install -d -o {queries.USER} -m 700 /var/lib/{query.STATE}",
        DATABASE,
        f"runuser -u postgres -- psql -Xq -d jinbao <<'S'\n{DATA}S",
        f"spy() {{ {user} /tmp/asking/spy.py {query.SOCKET}; }}",
        f"service() {{ {user} {query.PROGRAM} {query.FOLDER} /var/lib/{query.STATE} {query.SOCKET} & SERVICE=$!; }}",
        f"service; until [ -S {query.SOCKET} ]; do sleep 0.1; done; nginx",
        "cd /tmp/asking; bare() { curl -sS -m 20 --cacert ca.crt \"$@\"; }",
        'at() { local who=$1; shift; bare --cert $who.crt --key $who.key --interface $(cat $who.address) "$@" $URL; }',
    ]  # fmt: skip
    return stage


def test_a_terminal_asks_through_real_nginx_and_is_answered_from_the_real_database(stage: Stage, target: Run) -> None:
    own = "/etc/jinbao/terminal/query.conf"
    stage.tell("at once", MANY)
    stage.tell("found", f"curl --config {own} --interface $(cat {CITY}.address) --data-binary {GOOD}")
    stage.tell("retired", f"at {COUNTY} -d {shlex.quote(asking('retired', RETIRED))}")
    for name, (ask, about) in NOBODY.items():
        stage.tell(name, f"at {CITY} -d {shlex.quote(asking(ask, about))}")
    for place, (name, (_, sent)) in enumerate(REFUSED.items()):
        # Nginx lets ten of one terminal come at once.
        stage.tell(name, f"at {(COUNTY, TOWN, COUNTY, CITY)[place % 4]} -d {shlex.quote(sent)}")
    for name, (_, line) in BEFORE.items():
        stage.tell(name, line)
    stage.tell("flood", f"for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do at {TOWN} -d {GOOD}; done")
    # As often as it may: what nginx counts runs out at one a second.
    again = f"until at {CITY} -d {GOOD} | tee said | grep -v JB2952; do sleep 0.2; done"
    stage.tell("spared", again)
    stage.tell(
        "nginx restarted",
        f"nginx -s quit 2> nginx.said; while pgrep -x nginx; do sleep 0.1; done > /dev/null; nginx; {again}",
    )
    stage.tell("database restarted", f"pg_ctlcluster 15 main restart -m fast; {again}")
    stage.tell("database down", f"pg_ctlcluster 15 main stop -m fast; {again}")
    stage.tell("status", f"cat /var/lib/{query.STATE}/status.json")
    stage.tell("listens", "ss -Hltn | awk '$4 ~ /:443$/ {print $4}'")
    stage.lines.append("pg_ctlcluster 15 main start; kill $SERVICE; wait $SERVICE")
    stage.tell("program down", again)
    stage.lines.append('spy > passed & until [ "$(head -1 passed)" = up ]; do sleep 0.1; done; sleep 1.2')
    forged = f"-H 'Cookie: c=1' -H 'X-Terminal: {TOWN}' -H 'Authorization: x'"
    stage.tell("headers", f"at {CITY} -i {forged} -d {GOOD}; wait $!; cat passed")
    stage.lines.append("service")
    columns = "terminal, ask, found, code, content"
    stage.tell("rows", SQL.format(f'"select {columns} from service.query order by asked"'))
    stage.tell("whole", SQL.format('"select * from service.query where found"'))
    own = f"runuser -u {queries.USER} -- psql -XAt -d jinbao -c"
    stage.tell("reads", f"{own} 'select status from insurance.participation'")
    for name, line in FORBIDDEN.items():
        stage.tell(name, f"{own} '{line}'")
    stage.tell(
        "application",
        "runuser -u postgres -- psql -XAt -d jinbao -c 'set role application' -c 'delete from service.query'",
    )
    stage.tell("log", "cat /var/log/nginx/*.log")
    (stage.folder / "run.sh").write_text("\n".join(stage.lines) + "\n")
    target(WRAPPED, stage.folder)
    log = (stage.folder / "log").read_text()
    assert stage.code("valid") == 0, stage.said("valid") + log

    def told(name: str) -> dict[str, Any]:
        try:
            return dict(json.loads(stage.said(name)))
        except ValueError:
            raise AssertionError((name, stage.said(name), log, stage.said("log"))) from None

    found = {
        "format": "jinbao-result-1",
        "result": "answered",
        "found": True,
        "values": {"status": "insured", "since": "2020-01-01"},
    }
    assert {**told("found"), "at": ""} == {**found, "at": ""}
    assert told("retired")["values"] == {"retired": "2025-03-01"}
    assert {name: (told(name)["found"], told(name)["values"]) for name in NOBODY} == dict.fromkeys(NOBODY, (False, {}))
    expected = {name: code for name, (code, _) in (REFUSED | BEFORE).items()} | {
        "database down": "JB2953",
        "program down": "JB2953",
    }
    assert {name: told(name)["code"] for name in expected} == expected
    assert all(told(name)["reason"] and told(name)["cure"] for name in expected)
    many = stage.said("at once")
    assert (many.count('"found": true'), many.count("JB2952")) == (4, 1), many
    assert stage.said("flood").count("JB2952") >= 3, stage.said("flood")
    for name in ("spared", "nginx restarted", "database restarted"):
        assert told(name)["found"], name
    status = json.loads(stage.said("status"))
    assert "database does not answer" in status["trouble"] and status["terminals"][COUNTY]["refused"]["JB2956"] >= 3
    assert sorted(stage.said("listens").split()) == ["10.0.6.125:443", "[3fff:0:11::1:7d]:443"]
    passed = stage.said("headers")
    assert f"X-Terminal: {CITY}" in passed and "POST /query HTTP" in passed
    assert not [word for word in ("Cookie", TOWN, "Authorization", "curl") if word in passed], passed
    rows = [line.split("|") for line in stage.said("rows").splitlines()]
    assert rows[4] == [CITY, "insured", "t", "", asking("insured", INSURED)]
    assert [(row[1], row[2]) for row in rows[6:12]] == [(ask, "f") for ask, _ in NOBODY.values()]
    assert {row[3] for row in rows if row[2] == ""} == {"JB2954", "JB2955", "JB2956"}
    assert "2020-01-01" not in stage.said("whole") and "2025-03-01" not in stage.said("whole")
    assert stage.said("reads").split() == ["insured", "insured"]
    for name in (*FORBIDDEN, "application"):
        assert "permission denied" in stage.said(name), (name, stage.said(name))
    lines = stage.said("log")
    assert f" {CITY} 200 " in lines and not [word for word in (PERSON, OTHER, "甲", "insured") if word in lines], lines


FORBIDDEN = {
    "another column": "select base_yuan from insurance.participation",
    "another table": "select from outside.request",
    "the record": "select from service.query",
    "the record otherwise": "update service.query set found = true",
    "the record less": "delete from service.query",
    "a result": "insert into market.employment (region, person) values (1, 2)",
}
"""What the role of the program may not do."""
