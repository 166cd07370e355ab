"""The rendered drop boxes and intake with the real OpenSSH and PostgreSQL of the nodes, in one network namespace, without a lab."""

from __future__ import annotations

import base64
import hashlib
import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from ground import secret, sshkey
from inventory import render
from inventory.dialects import intake
from ip_plan import partners
from ip_plan.compile import compiled
from ip_plan.network import Network
from tests.inventory.conftest import Run

PAYMENTS = "person,kind,month,paid_yuan\n990101198001010011,pension,2026-10-01,812.50\n990101198001010029,养老,2026-10-01,640\n"
BOX, FETCHER = "640100-extn1", "640100-exch1"
# A process namespace of its own: what was started ends with it.
WRAPPED = "unshare --pid --fork --kill-child --mount-proc sh -u /build/run.sh > /build/log 2>&1"

DATABASE = """\
pg_createcluster --locale=C.UTF-8 15 main >/dev/null
pg_ctlcluster 15 main start
cp /build/databases.sql /tmp && cd /tmp
runuser -u postgres -- psql -Xq -c 'create role jinbao login' -c 'create role application login' -c 'create role audit login'
runuser -u postgres -- createdb -O jinbao jinbao
runuser -u postgres -- psql -Xq -v ON_ERROR_STOP=1 -d jinbao -f databases.sql >/dev/null
"""
SQL = "runuser -u postgres -- psql -XAt -d jinbao -c {}"


def manifest(id: str, data: str, **changes: Any) -> str:
    body = data.encode()
    said = {
        "name": f"{id}.csv",
        "table": "payment",
        "rows": 2,
        "bytes": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
    }
    return json.dumps({"format": "jinbao-delivery-1", "id": id, "body": "bank1", "files": [said | changes]})


class Stage:
    """A script for the nodes' own programs; each `tell` is a part of what was said."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lines: list[str] = []

    def tell(self, name: str, program: str) -> None:
        self.lines.append(f"( {program} ) > '/build/{name}.out' 2>&1; echo $? > '/build/{name}.code'")

    def file(self, target: str, content: bytes, mode: str = "0644") -> None:
        (self.folder / "given").mkdir(exist_ok=True)
        name = f"given/{len(self.lines)}"
        (self.folder / name).write_bytes(content)
        self.lines.append(f"install -D -m {mode} /build/{name} {target}")

    def sftp(self, name: str, commands: str) -> None:
        options = "-i /tmp/k -o BatchMode=yes -o UserKnownHostsFile=/etc/jinbao/intake/known_hosts"
        self.tell(
            name, f"cd /tmp/body; printf %b {shlex.quote(commands)} | sftp {options} -P 2222 -b - box-bank1@$HOST"
        )

    def serve(self, host: str, addresses: Iterable[str]) -> None:
        """Its own loopback has the addresses of `host`, and every program here finds them."""
        self.lines += [
            f"ip addr add {address} dev lo {'nodad' if ':' in address else ''}; echo {address} {host} >> /etc/hosts"
            for address in addresses
        ]

    def render(
        self, state: Path, network: Network, devices: Sequence[str], roles: Sequence[str]
    ) -> tuple[dict[str, bytes], str]:
        """Lay the files of these roles; the last device has the database. What is laid by its target, and the check of it all."""
        checks: list[str] = []
        laid: dict[str, bytes] = {}
        for rendered in render.render(network, devices=devices, lab=True):
            for entry in rendered.tree.entries:
                content = rendered.contents[entry.source]
                if entry.role in roles:
                    laid[entry.target] = content
                    self.file(entry.target, secret.fill(state, content), entry.mode)
                    checks += [entry.validator.replace("%s", entry.target)] if entry.validator else []
                if rendered.tree.device == devices[-1] and entry.target.endswith("/databases.sql"):
                    (self.folder / "databases.sql").write_bytes(content)
        return laid, " && ".join(checks)

    def said(self, name: str) -> str:
        return (self.folder / f"{name}.out").read_text()

    def code(self, name: str) -> int:
        return int((self.folder / f"{name}.code").read_text())


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """Boxes and intake as rendered, and a database with what the catalogue gives the zone."""
    folder = tmp_path_factory.mktemp("stage")
    state = folder / "state"
    network = compiled("pilot", state)
    boxes = next(found for site in network.sites.values() if (found := partners.boxes(network, site)))
    stage = Stage(folder / "build")
    stage.folder.mkdir()
    stage.lines += ["ip link set lo up", f"HOST={boxes.host}"]
    stage.serve(boxes.host, boxes.addresses)
    laid, checks = stage.render(state, network, [BOX, FETCHER], ["boxes", "intake"])
    unit = next(content.decode() for target, content in laid.items() if target.endswith("jinbao-boxes.service"))
    stage.tell("valid", checks)
    before = [line.partition("=")[2] for line in unit.splitlines() if line.startswith("ExecStartPre=")]
    stage.lines += ["set -f", *before, "set +f", "/usr/sbin/sshd -f /etc/ssh/jinbao-boxes.conf", DATABASE]
    stage.file("/tmp/k", f"{sshkey.private(secret.value(state, f'ssh/{BOX}/box-bank1'))}\n".encode(), "0600")
    stage.lines.append(f"mkdir -p /tmp/body; install -d -o intake -g intake -m 700 /var/lib/{intake.STATE}")
    stage.lines.append(f"chown -R intake {intake.FOLDER}")
    return stage


def put(stage: Stage, name: str, files: Mapping[str, str]) -> None:
    for file, text in files.items():
        stage.lines.append(f"echo {base64.b64encode(text.encode()).decode()} | base64 -d > /tmp/body/{file}")
    stage.sftp(name, "".join(f"put {file} in/{file}\\n" for file in files))


def test_files_by_real_sftp_become_rows_or_refusals(stage: Stage, target: Run) -> None:
    run = f"runuser -u intake -- python3 -I {intake.PROGRAM} {intake.FOLDER} /var/lib/{intake.STATE}"
    good = {"D-1.csv": PAYMENTS, "D-1.json": manifest("D-1", PAYMENTS)}
    put(stage, "put", good)
    put(stage, "spoilt", {"D-2.csv": PAYMENTS.replace("812", "912"), "D-2.json": manifest("D-2", PAYMENTS)})
    put(stage, "outside", {"D-3.json": manifest("D-3", PAYMENTS, name="../../box-tax1/in/x.csv")})
    put(stage, "large", {"D-4.json": manifest("D-4", PAYMENTS, bytes=10_000_000_000)})
    stage.tell("first", run)
    put(stage, "again", good)
    stage.tell("second", run)
    stage.sftp("receipts", "get receipts/* /tmp/body/\\n")
    stage.tell("told", "cat /tmp/body/D-*Z.json")
    stage.tell("rows", SQL.format("'select body, delivery, line, kind, paid_yuan from outside.payment order by line'"))
    stage.tell(
        "may",
        "runuser -u intake -- psql -XAt -d jinbao -c 'select from shared.person' -c 'delete from outside.payment'",
    )
    for name, commands in FORBIDDEN.items():
        stage.sftp(name, commands)
    stage.tell("shell", "ssh -i /tmp/k -p 2222 -o BatchMode=yes -o StrictHostKeyChecking=no box-bank1@$HOST id")
    stage.tell("other", "ssh -i /tmp/k -p 2222 -o BatchMode=yes -o StrictHostKeyChecking=no box-tax1@$HOST id")
    stage.tell("left", "ls -A /srv/boxes/*/in")
    stage.lines.append("kill $(pgrep -of /etc/ssh/jinbao-boxes.conf)")
    stage.tell("away", run)
    (stage.folder / "run.sh").write_text("\n".join(stage.lines) + "\n")
    target(WRAPPED, stage.folder)
    log = (stage.folder / "log").read_text()
    assert stage.code("valid") == 0, stage.said("valid") + log
    assert [stage.code(name) for name in ("put", "first", "second", "receipts")] == [0] * 4, (
        log + stage.said("put") + stage.said("first")
    )
    text = stage.said("told").replace("}\n{", "}\0{").split("\0")
    told = sorted((each["delivery"], each["result"], each.get("code", "")) for each in map(json.loads, text))
    assert told == [
        ("D-1", "loaded", ""), ("D-1", "refused", "JB2985"), ("D-2", "refused", "JB2984"), ("D-3", "refused", "JB2981"),
        ("D-4", "refused", "JB2982"),
    ]  # fmt: skip
    assert stage.said("rows") == "bank1|D-1|1|pension|812.50\nbank1|D-1|2|养老|640\n"
    assert stage.said("may").count("permission denied") >= 1 and stage.code("may") != 0
    for name in FORBIDDEN:
        refused = [words for words in ("denied", "does not support") if words in stage.said(name).lower()]
        assert stage.code(name) != 0 and refused, (name, stage.said(name))
    assert "uid=" not in stage.said("shell") + stage.said("other") and "Permission denied" in stage.said("other")
    assert not [line for line in stage.said("left").splitlines() if line and not line.endswith(":")]
    assert (
        stage.code("away") == 1
        and "the boxes do not answer: " in stage.said("away")
        and "refused" in stage.said("away")
    )


FORBIDDEN = {
    "link": "symlink /etc/passwd in/x.csv\\n",
    "hardlink": "ln in/x.csv in/y.csv\\n",
    "forged": "put /etc/hostname receipts/forged.json\\n",
    "folder": "mkdir in/inner\\n",
    "beside": "put /etc/hostname beside\\n",
}
