"""The whole path on real parts: playbooks, checks from outside, evidence, status. In the order an operator meets them."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from inventory.proof import frr
from ip_plan import plan as plans
from monitoring.evidence import log, verify
from playbooks import deploy
from stacks.twin import fault
from tests.inventory.proof.test_frr import meaning
from tests.pilot.conftest import ROOT, Pilot, until

WUZHONG = "640300"
BFD = {"detect-multiplier": "3", "receive-interval": "300", "transmit-interval": "300"}


def test_every_device_is_brought_to_its_tree(pilot: Pilot, first: deploy.Outcome) -> None:
    assert len(first.hosts) == 45
    changes, silent = deploy.compare(pilot.state, pilot.build, sorted(pilot.reaches), pilot.reaches)
    assert (changes, silent) == ([], [])


def test_a_second_run_looks_at_everything_and_changes_nothing(pilot: Pilot, first: deploy.Outcome) -> None:
    second = pilot.deploy()
    assert second.good
    assert {name: counts["changed"] for name, counts in second.hosts.items() if counts["changed"]} == {}
    # Nothing is passed over because of an earlier run: the same tasks are evaluated on every device, but those that a
    # repository needs once for each stanza that is not there yet.
    once = {name for name in first.hosts if "-bkup" in name}
    assert {name: counts["ok"] for name, counts in second.hosts.items() if name not in once} == {
        name: counts["ok"] for name, counts in first.hosts.items() if name not in once
    }


def test_plain_ansible_does_the_same_without_the_program(pilot: Pilot) -> None:
    environment = {
        **os.environ,
        "LC_ALL": "C.UTF-8",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "JINBAO_PLAN": pilot.plan,
        "JINBAO_AT": pilot.at,
        "JINBAO_STATE": str(pilot.state),
    }
    line = [
        "ansible-playbook",
        "-i",
        "inventory/hosts",
        "playbooks/site.yml",
        "--limit",
        "640121-r1",
        "--check",
        "--diff",
    ]
    done = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"640121-r1\s+: ok=\d+\s+changed=0", done.stdout)


def test_everything_that_is_looked_at_from_outside_is_as_the_plan_says(pilot: Pilot) -> None:
    records = pilot.check()
    bad = [(r.check, r.subject, r.result, r.reason) for r in records if r.result != "pass"]
    assert bad == []
    probes = [record for record in records if record.check == "zone.probe"]
    assert len(probes) > 800
    assert all(record.seen == record.expected > 0 for record in probes)
    assert {"bgp.session", "prefix.present", "dns.forward", "dns.reverse", "time.offset", "database.answers", "backup.age",
            "reach.office", "service.listens", "dns.copy", "role.stands"} <= {record.check for record in records}  # fmt: skip


def test_services_that_are_stopped_are_named(pilot: Pilot) -> None:
    stopped = {"640100-mgmt1": "prometheus", "640100-bkup1": "pgbackrest"}
    for device, unit in stopped.items():
        pilot.ask(device, f"systemctl stop {unit}")
    try:
        bad = [record for record in pilot.check(["services"]) if record.result != "pass"]
    finally:
        for device, unit in stopped.items():
            pilot.ask(device, f"systemctl start {unit}")
    assert {(one.subject.device, one.subject.service, one.result) for one in bad} == {
        ("640100-mgmt1", "metrics", "fail"), ("640100-bkup1", "repo", "fail"),
    }  # fmt: skip
    assert all("nothing serves" in one.reason for one in bad)
    assert until(20, lambda: {record.result for record in pilot.check(["services"])} == {"pass"})


KEEP = "tar -C / -cf /tmp/kept $(dpkg -L {0} | while read -r f; do [ ! -f $f ] || echo $f; done) /var/lib/dpkg"
SPOILED = {
    ("640121-accs1", "time"): (
        "systemctl disable --quiet chrony", "systemctl enable --quiet chrony", "chrony.service is not enabled",
    ),
    ("640100-extn1", "front"): (
        "chmod 644 /etc/jinbao/front/server.key", "chmod 600 /etc/jinbao/front/server.key",
        "/etc/jinbao/front/server.key is 0644 of root, not 0600 of root",
    ),
    ("640323-r1", "router"): (
        f"{KEEP.format('frr-pythontools')} && dpkg --remove frr-pythontools", "tar -C / -xf /tmp/kept",
        "package frr-pythontools is not installed",
    ),
    ("640100-exch1", "names"): ("chown root /etc/bind/rndc.key", "chown bind /etc/bind/rndc.key", "is 0640 of root, not"),
    ("640300-bkup1", "repository"): (
        "systemctl stop pgbackrest-full-production.timer", "systemctl start pgbackrest-full-production.timer",
        "pgbackrest-full-production.timer does not run",
    ),
}  # fmt: skip
"""Device and role → what somebody does there by hand, what undoes it, and how it is named."""


def test_what_is_otherwise_than_a_role_left_it_is_named(pilot: Pilot) -> None:
    def on_all(which: int) -> None:
        for (device, _), words in SPOILED.items():
            answer = pilot.ask(device, words[which])
            assert answer.ok, (device, answer.err)

    try:
        on_all(0)
        bad = {(r.subject.device, r.subject.service): r for r in pilot.check(["roles"]) if r.result != "pass"}
    finally:
        on_all(1)
    assert {place: record.result for place, record in bad.items()} == dict.fromkeys(SPOILED, "fail")
    for place, (_, _, said) in SPOILED.items():
        assert said in bad[place].reason
    cut_off = pilot.check(["role.stands"], without=["640121-accs1"])
    assert {r.subject.device: r.result for r in cut_off if r.result != "pass"} == {"640121-accs1": "not-observed"}


def test_the_proof_of_the_rendered_text_agrees(pilot: Pilot) -> None:
    proof = pilot.prove()
    assert proof.good
    assert proof.devices


def test_what_routers_run_is_what_the_reader_read(pilot: Pilot) -> None:
    """FRR's own running configuration, read by the same reader, says what the rendered file says."""
    for device in ("000000-r1", "640000-r2", "640100-r1", "640121-r1", "640323100-r1"):
        answer = pilot.ask(device, "vtysh -c 'show running-config'")
        assert answer.ok, answer.err
        text = "\n".join(line for line in answer.out.splitlines() if not line.startswith(("Building", "Current")))
        rendered = (pilot.build / device / "files" / "etc/frr/frr.conf").read_text()
        running, written = meaning(frr.read(text, f"{device} running")), meaning(frr.read(rendered, f"{device} file"))
        for said in (running, written):  # FRR tells of a BFD profile only what differs from its defaults
            said["profiles"] = {name: BFD | dict(given) for name, given in said["profiles"].items()}
        assert running == written, device


def test_the_status_rests_on_the_evidence_of_this_run(pilot: Pilot) -> None:
    status = pilot.status()
    assert status.rehearsal
    assert verify.judge(log.folder(pilot.state, pilot.at)).findings == ()
    reached = [line for line in status.lines if line.state == "reached"]
    assert len(reached) >= 6
    open_ = [line for line in status.lines if line.state == "not-reached"]
    assert open_, "the pilot has two of five cities: something is not reached"


# Faults


def _lost(text: str, interval: float) -> float:
    """Seconds of loss in the output of `ping`: the longest run of missing sequence numbers."""
    seen = [int(number) for number in re.findall(r"icmp_seq=(\d+) ttl", text)]
    assert seen, text[-500:]
    return max((later - earlier - 1 for earlier, later in itertools.pairwise(seen)), default=0) * interval


@pytest.mark.parametrize("family", [4, 6])
def test_a_line_cut_silently_costs_less_than_a_second_and_a_half(pilot: Pilot, family: int) -> None:
    network = pilot.network
    service = next(s for s in network.services if (s.site, s.name) == ("640000:centre1", "exchange"))
    address = service.v4 if family == 4 else service.v6
    ping = pilot.on("640100-exch1", f"ping -{family} -n -i 0.02 -c 400 {address}")
    time.sleep(2)
    line = pilot.link("640000-r1~640100-r1")
    try:
        fault.cut(pilot.place, line, silent=True)
        out, _ = ping.communicate(timeout=60)
    finally:
        fault.restore(pilot.place, line)
    assert _lost(out, 0.02) < 1.5
    assert until(40, lambda: _routed(pilot))


def _routed(pilot: Pilot) -> bool:
    """Whether every session and prefix of the running sites is there."""
    return all(record.result == "pass" for record in pilot.check(["routing"]))


TOLD = ("routing", "databases", "names", "time", "backups")
"""What the milestone of a city rests on, and more that only the city itself can tell."""


def test_a_region_that_is_cut_off_is_not_operating_and_what_only_it_could_tell_is_not_observed(pilot: Pilot) -> None:
    pilot.check(TOLD)
    before, elsewhere = pilot.line("MS-2-01.city", WUZHONG), pilot.line("MS-2-01.city", "640100")
    lines = [pilot.link(f"640000-r{n}~640300-r1") for n in (1, 2)]
    cut_off = [name for name in pilot.reaches if name.startswith(WUZHONG) or name.startswith("640323")]
    try:
        for line in lines:
            fault.cut(pilot.place, line, silent=True)
        assert until(15, lambda: not _routed(pilot))
        # In production the management path goes with the lines.
        records = pilot.check(TOLD, without=cut_off)
        own = [r for r in records if (r.subject.device or "").startswith(WUZHONG) or r.subject.site.startswith(WUZHONG)]
        told_alone = [r for r in own if r.check in ("database.answers", "dns.forward", "time.offset", "backup.age")]
        assert told_alone
        assert {r.result for r in told_alone if r.subject.site.startswith(WUZHONG)} == {"not-observed"}
        assert "fail" in {r.result for r in records if r.check == "bgp.session" and r.subject.region == WUZHONG}
        after = pilot.line("MS-2-01.city", WUZHONG)
        assert after.operating_now != "yes"
        assert after.reached_on == before.reached_on
        assert pilot.line("MS-2-01.city", "640100").operating_now == elsewhere.operating_now
    finally:
        for line in lines:
            fault.restore(pilot.place, line)
    assert until(40, lambda: _routed(pilot))
    pilot.check(TOLD)
    assert pilot.line("MS-2-01.city", WUZHONG).operating_now == before.operating_now


def test_a_firewall_that_reboots_comes_back_as_it_was(pilot: Pilot) -> None:
    pilot.ask("640100-fw1", "systemctl reboot", seconds=10)
    time.sleep(3)
    assert until(60, lambda: pilot.ask("640100-fw1", "systemctl is-active frr nftables").out.split() == ["active"] * 2)
    assert until(60, lambda: all(r.result == "pass" for r in pilot.check(["reach"])))


# Words of the plan


def test_a_flow_that_is_denied_disappears_everywhere(pilot: Pilot) -> None:
    """FL-08 of offices is taken out of the plan: rules, proof, packets follow."""
    old = "  - id: FL-08-office\n    flow: FL-08\n    from: access\n    to: exchange\n    relation: serving-parent\n"
    site = pilot.network.sites["640100:centre1"]
    service = next(s for s in pilot.network.services_at[site.key, "exchange"] if s.name == "exchange")
    text = (pilot.folder / "flows.yml").read_text("utf-8")
    start = text.index(old)
    row = text[start : text.index("  - id:", start + 10)]
    denied = row.replace("    to_service: exchange\n", "").replace(
        "    flow: FL-08\n", "    flow: FL-08\n    verdict: deny\n"
    )
    assert _refused(pilot, "640121-accs1", service.v4)
    with pilot.edited({"flows.yml": {row: denied}}):
        changed = pilot.render()
        assert changed
        assert {name.rpartition("-")[2] for name in changed} <= {"fw1", "r1", "exch1", "accs1"}
        assert pilot.prove().good
        limit = ",".join(name for name in changed if name in pilot.reaches)
        assert pilot.deploy(limit).good
        assert not _refused(pilot, "640121-accs1", service.v4)
        records = [r for r in pilot.check(["zones"]) if r.result != "pass"]
        assert records == []
    changed = pilot.render()
    assert pilot.deploy(",".join(name for name in changed if name in pilot.reaches)).good
    assert _refused(pilot, "640121-accs1", service.v4)


def _refused(pilot: Pilot, device: str, address: str) -> bool:
    """Whether a connection to a closed port is refused by its host, so that every filter let it pass."""
    probe = pilot.inside(device, "nc", "-z", "-v", "-w2", address, "443")
    out, _ = probe.communicate()
    return "refused" in out or probe.returncode == 0


def test_a_line_that_is_taken_out_disappears_everywhere(pilot: Pilot) -> None:
    """Wuzhong loses its backup line in the plan: sessions, files and checks follow, and the rest stays."""
    plan = (pilot.folder / "plan.yml").read_text("utf-8")
    tail = plan.rstrip().splitlines()[-1] + "\n"
    line = 'without:\n  - {region: "640300", rank: backup, reason: the line was given up}\n'
    sessions = {
        r.subject.peer for r in pilot.check(["routing"]) if r.check == "bgp.session" and r.subject.region == WUZHONG
    }
    assert any("640000-r2" in peer for peer in sessions)
    with pilot.edited({"plan.yml": {tail: tail + line}}):
        changed = pilot.render()
        routers = {"640300-r1", "640000-r2"}
        assert routers <= set(changed)
        # Routers of the two sites know the lines between them; no other site's router changes.
        assert {name[:6] for name in changed if re.search(r"-r\d$", name)} == {WUZHONG, "640000"}
        assert pilot.prove().good
        assert pilot.deploy(",".join(name for name in changed if name in pilot.reaches)).good
        records = pilot.check(["routing"])
        assert [r for r in records if r.result != "pass"] == []
        now = {r.subject.peer for r in records if r.check == "bgp.session" and r.subject.region == WUZHONG}
        assert not any("640000-r2" in peer for peer in now)
    changed = pilot.render()
    assert pilot.deploy(",".join(name for name in changed if name in pilot.reaches)).good
    assert until(40, lambda: _routed(pilot))
    assert plans.load(pilot.plan).name == "pilot"
