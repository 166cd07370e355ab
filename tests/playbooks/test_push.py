"""Devices changed by hand in a small lab are fetched, put right and looked at again; and the real FRR is asked what the
simulated one says."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from ground import files, reach, remote
from inventory import acceptance, command
from inventory.dialects.frr.running import DIALECT as FRR
from inventory.diff import differences
from playbooks import push
from tests.inventory.test_remedy import frr_texts
from tests.playbooks.drift import AT, COUNTY, DEVICES, FIREWALL, ROUTER, TOWNSHIP, Drift, changed_by_hand


def test_the_lab_runs_what_was_rendered(drift: Drift) -> None:
    """Without a difference: the reader takes what real devices print for what the templates write."""
    fetched = drift.jinbao("config", "fetch", "--format", "json")
    assert fetched.returncode == 0, fetched.stderr
    found = json.loads(fetched.stdout)
    assert {(one["device"], one["dialect"]) for one in found} == {
        (name, kind) for name in DEVICES for kind in ("frr", "nftables")
    }
    for one in found:
        path = Path(one["file"])
        assert files.sha256(path.read_bytes()) == one["sha256"] and path.stat().st_mode & 0o777 == 0o600
    compared = drift.jinbao("config", "diff")
    assert compared.returncode == 0 and "8 as rendered" in compared.stdout, compared.stdout


def test_hand_made_changes_are_undone_while_others_speak(drift: Drift) -> None:
    changed_by_hand(drift)
    # The two offices speak over the very router that is put right. The plan lets neither in: opened by hand, and left.
    drift.says(TOWNSHIP, "nft insert rule inet zone input icmp type echo-request accept")
    far = re.findall(r"inet ([\d.]+)/32", drift.says(TOWNSHIP, "ip -4 address show lo"))[0]
    near = re.findall(r"inet ([\d.]+)/32", drift.says(COUNTY, "ip -4 address show lo"))[0]
    # Until the changes by hand have settled: what is watched is how they are undone.
    once = f"ping -c 1 -W 1 -I {near} {far} >/dev/null"
    drift.says(COUNTY, f"for attempt in $(seq 60); do {once} && exit 0; sleep 0.5; done; exit 1")
    ping = subprocess.Popen(
        [*drift.session.command(COUNTY), f"ping -i 0.05 -I {near} {far}"], stdout=subprocess.PIPE, text=True
    )
    words = ("--limit", f"{ROUTER},{FIREWALL}")
    shown = drift.jinbao("deploy", "--remediate", *words, "--check")
    assert shown.returncode == 1 and "no ip prefix-list TO-640000-r2 seq 99" in shown.stdout
    refused = drift.jinbao("deploy", "--remediate", *words, "--yes")
    assert refused.returncode == 2 and "JB4006" in refused.stderr
    assert not drift.right(ROUTER) and not drift.right(FIREWALL)

    done = drift.jinbao("deploy", "--remediate", *words, "--confirm", "pilot", "--format", "json")
    ping.terminate()
    assert done.returncode == 0, done.stdout + done.stderr
    assert drift.right(ROUTER) and drift.right(FIREWALL)
    numbers = [int(number) for number in re.findall(r"icmp_seq=(\d+)", ping.communicate()[0])]
    assert len(numbers) > 20 and numbers == list(range(1, len(numbers) + 1)), "a ping was lost"

    pushed = {(one["device"], one["dialect"]): one for one in json.loads(done.stdout)["pushed"]}
    assert {key: one["result"] for key, one in pushed.items()} == {
        (ROUTER, "frr"): "done", (ROUTER, "nftables"): "right", (FIREWALL, "frr"): "done", (FIREWALL, "nftables"): "done",
    }  # fmt: skip
    assert "prefix-list TO-640000-r2 seq 99" in Path(pushed[ROUTER, "frr"]["before"]).read_text()
    back = Path(pushed[ROUTER, "frr"]["rollback"])
    assert "ip prefix-list TO-640000-r2 seq 99 permit 0.0.0.0/0 le 32" in back.read_text()
    # It stands in the files as well: a restart changes nothing.
    assert drift.says(ROUTER, f"cat {FRR.target}") == drift.rendered(ROUTER, FRR.target)
    # The way back leads back.
    drift.says(ROUTER, f"cat > /root/back && {FRR.send} /root/back", back.read_bytes())
    assert FRR.read(drift.says(ROUTER, FRR.show)).same(FRR.read(Path(pushed[ROUTER, "frr"]["before"]).read_text()))
    assert drift.jinbao("deploy", "--remediate", "--limit", ROUTER, "--confirm", "pilot").returncode == 0


def test_lines_that_no_rule_knows_stay(drift: Drift) -> None:
    drift.types(
        ROUTER, "bgp community-list standard HAND permit 65000:1", "ip prefix-list HAND seq 5 permit 10.0.0.0/8"
    )
    drift.says(ROUTER, "nft add table ip hand")
    done = drift.jinbao("deploy", "--remediate", "--limit", ROUTER, "--confirm", "pilot")
    assert done.returncode == 1 and "2 kept" in done.stdout, done.stdout
    assert "stays: bgp community-list standard HAND seq 5 permit 65000:1" in done.stdout
    running = drift.says(ROUTER, FRR.show)
    assert "community-list standard HAND" in running and "prefix-list HAND" not in running
    drift.types(ROUTER, "no bgp community-list standard HAND permit 65000:1")
    drift.says(ROUTER, "nft delete table ip hand")


def test_a_device_that_does_not_answer_has_its_line(drift: Drift) -> None:
    path = reach.file(drift.state, AT)
    known = reach.read(path)
    try:
        reach.write(path, {**known, COUNTY: msgspec.structs.replace(known[COUNTY], via="false")})
        fetched = drift.jinbao("config", "fetch", "--format", "json")
        done = drift.jinbao("deploy", "--remediate", "--confirm", "pilot", "--format", "json")
    finally:
        reach.write(path, known)
    assert fetched.returncode == 1
    silent = [(one["device"], bool(one["reason"])) for one in json.loads(fetched.stdout) if not one["file"]]
    assert silent == [(COUNTY, True)] * 2
    results = {one["device"]: [wrong["code"] for wrong in one["mistakes"]] for one in json.loads(done.stdout)["pushed"]}
    assert done.returncode == 1 and results[COUNTY] == ["JB4100"] and results[FIREWALL] == []


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.9])
def test_a_push_that_is_cut_off_is_gone_on_with(drift: Drift, share: float) -> None:
    """Cut anywhere: the device answers, and the next run brings it there."""
    changed_by_hand(drift)
    [wanted] = [one for one in command.wanted("pilot", AT, drift.state, ROUTER) if one.dialect is FRR]
    found = acceptance.remedy(FRR, ROUTER, drift.says(ROUTER, FRR.show), wanted.text, "running.conf")
    done = found.commands[: round(share * len(found.commands))]
    drift.says(ROUTER, f"cat > /root/half && {FRR.send} /root/half", "".join(f"{line}\n" for line in done).encode())
    again = drift.jinbao("deploy", "--remediate", "--limit", f"{ROUTER}:{FIREWALL}", "--confirm", "pilot")
    assert again.returncode == 0, again.stdout + again.stderr
    assert drift.right(ROUTER) and drift.right(FIREWALL)


def test_half_a_list_of_commands_is_not_taken(drift: Drift) -> None:
    """A line that arrives cut may be another command: `no ip prefix-list X` for `no ip prefix-list X seq 5`."""
    whole = b"no ip prefix-list TO-640000-r2 seq 5\n"
    line = push._TAKE.format(sha256=files.sha256(whole), send=FRR.send)
    cut = remote.run(drift.session, ROUTER, line, given=whole[:-7])
    assert cut.code == 3 and "did not arrive whole" in cut.out
    assert drift.right(ROUTER)


def test_a_device_that_changed_since_it_was_shown_gets_nothing(drift: Drift) -> None:
    drift.types(ROUTER, "ip prefix-list HAND seq 5 permit 10.0.0.0/8")
    wanted = [one for one in command.wanted("pilot", AT, drift.state, ROUTER) if one.dialect is FRR]
    fetched = push.fetch(drift.session, drift.state, AT, wanted)
    [remedy] = push.remedies(fetched, wanted)
    drift.types(ROUTER, "ip prefix-list HAND seq 10 permit 10.1.0.0/16")
    [pushed] = push.push(drift.session, drift.state, AT, wanted, [(fetched[0], remedy)])
    assert [one.code for one in pushed.mistakes] == ["JB4103"] and not drift.right(ROUTER)
    assert drift.jinbao("deploy", "--remediate", "--limit", ROUTER, "--confirm", "pilot").returncode == 0


def test_what_the_device_refuses_is_told(drift: Drift) -> None:
    """Commands that the simulated device would take and the real one does not: told, with what it said."""
    drift.types(ROUTER, "ip prefix-list HAND seq 5 permit 10.0.0.0/8")
    wanted = [one for one in command.wanted("pilot", AT, drift.state, ROUTER) if one.dialect is FRR]
    fetched = push.fetch(drift.session, drift.state, AT, wanted)
    [remedy] = push.remedies(fetched, wanted)
    wrong = msgspec.structs.replace(remedy, commands=("no ip route 10.250.0.0/16 192.0.2.1", "nonsense"))
    [pushed] = push.push(drift.session, drift.state, AT, wanted, [(fetched[0], wrong)])
    assert [one.code for one in pushed.mistakes] == ["JB4101", "JB4102"] and "line 2" in pushed.said
    assert drift.jinbao("deploy", "--remediate", "--limit", ROUTER, "--confirm", "pilot").returncode == 0


def test_the_real_router_ends_where_the_simulated_one_does(drift: Drift) -> None:
    """Random configurations, one after the other, each reached from the one before by the commands alone."""
    texts: list[str] = []

    @seed(5)
    @settings(
        max_examples=15, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    @given(frr_texts())
    def draw(text: str) -> None:
        texts.append(text)

    draw()
    base = f"frr defaults traditional\nservice integrated-vtysh-config\nhostname {ROUTER}\n"
    for text in texts:
        goal = text.replace("hostname r1\n", base)
        found = acceptance.remedy(FRR, ROUTER, drift.says(ROUTER, FRR.show), goal, "running.conf")
        assert found.mistakes == ()
        lines = "".join(f"{line}\n" for line in found.commands)
        drift.says(ROUTER, f"cat > /root/commands && {FRR.send} /root/commands 2>&1", lines.encode())
        left = differences(FRR.read(drift.says(ROUTER, FRR.show)), FRR.read(goal), FRR.known)
        assert left == [], lines
    assert drift.jinbao("deploy", "--remediate", "--limit", ROUTER, "--confirm", "pilot").returncode == 0
