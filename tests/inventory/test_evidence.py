"""What was asked of devices stands in the evidence log: fetch, diff and remediate, with hashes and commands, without secrets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import jinbao
from ground import files, reach, secret
from ground.reach import Reach
from ground.record import Record
from ground.tree import Entry
from inventory import evidence
from inventory.dialects.frr.running import DIALECT as FRR
from inventory.dialects.nftables.running import DIALECT as NFTABLES
from inventory.running import Intended
from monitoring.evidence import log, verify
from tests.inventory.pilot import AT, OFFICE, ROUTER, Place


def jinbao_(place: Place, *words: str) -> Result:
    line = [*words, "--plan", "pilot", "--at", AT, "--state", str(place.state)]
    return CliRunner().invoke(jinbao.build(line), line)


@pytest.fixture
def written(place: Place) -> list[Record]:
    """The records of one fetch that nobody answered, one diff and one remediate."""
    silent = Reach(address="192.0.2.1", host_key="ssh-ed25519 AAAA", via="false")
    reach.write(reach.file(place.state, AT), {ROUTER: silent, OFFICE: silent})
    before = len(list(log.of(place.state, AT, "").records(AT)))
    assert jinbao_(place, "config", "fetch", "--limit", ROUTER).exit_code == 1
    drifted = place.running(ROUTER, FRR).replace("\nrouter bgp", "\nip route 10.200.0.0/16 blackhole\nrouter bgp", 1)
    place.seen(ROUTER, FRR, drifted)
    place.seen(ROUTER, NFTABLES, place.running(ROUTER, NFTABLES))
    assert jinbao_(place, "config", "diff", "--limit", f"{ROUTER},{OFFICE}").exit_code == 1
    assert jinbao_(place, "config", "remediate", "--limit", ROUTER).exit_code == 1
    return list(log.of(place.state, AT, "").records(AT))[before:]


def test_fetch_diff_and_remediate_leave_records(place: Place, written: list[Record]) -> None:
    assert [(one.check, one.subject.device, one.subject.service, one.result) for one in written] == [
        ("config.fetch", ROUTER, "frr", "not-observed"),
        ("config.fetch", ROUTER, "nftables", "not-observed"),
        ("config.diff", ROUTER, "frr", "fail"),
        ("config.diff", ROUTER, "nftables", "pass"),
        ("config.diff", OFFICE, "frr", "not-observed"),
        ("config.diff", OFFICE, "nftables", "not-observed"),
        ("config.remedy", ROUTER, "frr", "fail"),
        ("config.remedy", ROUTER, "nftables", "pass"),
    ]
    assert {one.subject.region for one in written} == {"640100", "640121"}
    (remedy,) = (one for one in written if one.check == "config.remedy" and one.result == "fail")
    told = json.loads(log.detail(log.folder(place.state, AT), remedy.detail))
    assert told["commands"] == ["no ip route 10.200.0.0/16 blackhole"]
    copies = {files.sha256(path.read_bytes()) for path in place.state.glob(f"running/**/{ROUTER}/frr-*.conf")}
    assert told["copy"] in copies and told["rendered"] == remedy.input_key


def test_they_are_verified_like_every_record(place: Place, written: list[Record]) -> None:
    folder = log.folder(place.state, AT)
    assert verify.verify(folder, []) == []
    detail = folder / "details" / written[-2].detail
    kept = detail.read_bytes()
    detail.chmod(0o644)
    detail.write_bytes(kept.replace(b"10.200.0.0", b"10.201.0.0"))
    assert {one.code for one in verify.verify(folder, [])} == {"JB6216"}
    detail.write_bytes(kept)


def test_secrets_stay_out_of_the_log(place: Place, tmp_path: Path) -> None:
    value = secret.value(tmp_path, "bgp/r1")
    entry = Entry("/etc/frr/frr.conf", "frr.conf", "routing", "00")
    one = Intended(ROUTER, FRR, entry, "", "640100:centre1", "640100")
    lines = {"commands": [f"neighbor 192.0.2.1 password {value}", "neighbor 192.0.2.2 password hunter2"]}
    found = evidence.made(tmp_path, AT, evidence.PUSH, one, "pass", f"password {value}", "sent", lines)
    assert value.encode() not in found.detail and value not in found.record.reason
    assert b"@secret:bgp/r1@" in found.detail and b"hunter2" not in found.detail and b"password ***" in found.detail
