"""The roles on real machines: bare, applied, applied again, damaged, cut short."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from ground import secret, tree
from tests.playbooks import sample
from tests.playbooks.conftest import ROOT, Rehearsal, Run

UNITS = {
    "a-r1": ["systemd-networkd", "frr", "nftables", "prometheus-node-exporter"],
    "a-exch1": ["systemd-networkd", "named", "chrony", "prometheus", "prometheus-node-exporter"],
    "a-prod1": ["systemd-networkd", "postgresql@15-main", "pgbackrest", "prometheus-node-exporter"],
    "a-bkup1": ["systemd-networkd", "pgbackrest", "prometheus-node-exporter"],
    "a-bkup2": ["systemd-networkd", "prometheus-node-exporter"],
}


def test_check_of_bare_nodes_tells_and_changes_nothing(
    checked_bare: tuple[Run, dict[str, str], dict[str, str]],
) -> None:
    run, before, after = checked_bare
    assert run.code == 0, run.out[-4000:]
    assert set(run.changed()) == set(sample.ADDRESSES)
    assert "+hostname a-r1" in run.out
    assert before == after


def test_bare_nodes_are_brought_up_in_one_run(first: Run) -> None:
    assert first.code == 0, first.out[-4000:]
    assert all(counts["failures"] == counts["unreachable"] == 0 for counts in first.hosts.values())


@pytest.mark.parametrize("strategy", ["devices", "linear"])
def test_second_run_changes_nothing_and_looks_at_everything(applied: Rehearsal, strategy: str) -> None:
    run = applied.play(ANSIBLE_STRATEGY=strategy)
    assert run.code == 0, run.out[-4000:]
    assert run.changed() == {}
    roles = {name: {entry.role for entry, _ in sample.contents(name)} for name in sample.ADDRESSES}
    for name, counts in run.hosts.items():
        assert counts["ok"] >= len(roles[name]), name


def test_check_of_applied_nodes_finds_nothing(applied: Rehearsal) -> None:
    run = applied.play("--check", "--diff")
    assert run.code == 0 and run.changed() == {}, run.out[-4000:]


@pytest.mark.parametrize("device", UNITS)
def test_units_run_and_come_back_after_a_reboot(applied: Rehearsal, device: str) -> None:
    host = applied.host(device)
    for unit in UNITS[device]:
        assert host.service(unit).is_running, unit
        assert host.service(unit).is_enabled, unit


@pytest.mark.parametrize("device", UNITS)
def test_files_stand_as_the_tree_says(applied: Rehearsal, device: str) -> None:
    host = applied.host(device)
    for entry in tree.read(applied.build / device).entries:
        file = host.file(entry.target)
        assert (file.user, file.group, file.mode, file.sha256sum) == (
            entry.owner, entry.group, int(entry.mode, 8), entry.sha256,
        )  # fmt: skip


def test_services_answer(applied: Rehearsal) -> None:
    assert applied.ask("a-exch1", "dig +short @10.1.0.2 a-prod1.a.internal") == "10.1.0.3"
    assert "10.1.0.2" in applied.ask("a-r1", "vtysh -c 'show ip ospf interface z-lan' | head -3; ping -c1 -W2 10.1.0.2")
    assert "chain input" in applied.ask("a-r1", "nft list ruleset")
    assert applied.ask("a-r1", "curl -s http://10.1.0.3:9100/metrics | grep -c '^node_'") != "0"
    assert applied.ask("a-exch1", "curl -s http://127.0.0.1:9090/-/ready").startswith("Prometheus Server is Ready")
    assert "stratum" in applied.ask("a-exch1", "chronyc -n tracking").lower()


def test_database_has_checksums_canary_and_a_password_by_reference(applied: Rehearsal) -> None:
    psql = "cd /; runuser -u postgres -- psql -XAt jinbao -c"
    assert applied.ask("a-prod1", f"{psql} 'show data_checksums'") == "on"
    applied.ask("a-prod1", f"{psql} \"insert into canary (note) values ('a test')\"")
    shape = "select column_name, data_type from information_schema.columns where table_name = 'canary' order by ordinal_position"
    assert applied.ask("a-prod1", f'{psql} "{shape}"').splitlines() == [
        "id|bigint", "at|timestamp with time zone", "note|text",
    ]  # fmt: skip
    password = (applied.state / "secrets/database/a-prod1/jinbao").read_text()
    login = "psql -XAt 'host=10.1.0.3 user=jinbao dbname=jinbao' -c 'select current_user'"
    assert applied.ask("a-exch1", f"PGPASSWORD='{password}' {login}") == "jinbao"
    assert "password authentication failed" in applied.ask("a-exch1", f"PGPASSWORD=wrong {login} 2>&1 || true")


def test_a_subscriber_gets_in_with_the_certificate_of_its_host_alone(applied: Rehearsal) -> None:
    tls = "sslmode=verify-full sslrootcert=/etc/pgbackrest/ca.crt"
    own = "sslcert=/etc/pgbackrest/server.crt sslkey=/etc/pgbackrest/server.key"
    dial = (
        "cd /; runuser -u postgres -- psql -XAt 'host=a-prod1.a.internal dbname=jinbao user=repl_fl02 replication=database {tls}' "
        "-c 'IDENTIFY_SYSTEM' 2>&1 || true"
    )
    assert "|jinbao" in applied.ask("a-bkup2", dial.format(tls=f"{tls} {own}"))
    assert "certificate" in applied.ask("a-bkup2", dial.format(tls=f"{tls} sslcert=/none"))


def test_secrets_stay_where_they_are_used(applied: Rehearsal, first: Run) -> None:
    names = secret.known(applied.state)
    assert "database/a-prod1/jinbao" in names
    keys = [path.read_text() for path in (applied.state / "pki").glob("*.key")]
    values = [secret.value(applied.state, name) for name in names] + [key.splitlines()[1] for key in keys]
    trees = b"".join(path.read_bytes() for path in applied.build.rglob("*") if path.is_file())
    logs = {name: applied.ask(name, "journalctl --no-pager") for name in applied.reaches}
    for value in values:
        assert value not in first.out  # at -vvv
        assert value.encode() not in trees
        assert not [name for name, log in logs.items() if value in log]
    for path in [*(applied.state / "secrets").rglob("*"), *(applied.state / "pki").glob("*.key")]:
        assert path.stat().st_mode & 0o077 == 0 or path.is_dir() or path.name == ".lock", path
    assert (applied.state / "secrets").stat().st_mode & 0o777 == 0o700


def test_first_full_backup_is_taken_over_tls(applied: Rehearsal) -> None:
    assert applied.ask("a-prod1", "stat -c '%U %a' /etc/pgbackrest/server.key") == "postgres 600"
    info = applied.ask("a-bkup1", "cd /; runuser -u postgres -- pgbackrest info --stanza=a-prod1")
    assert "status: ok" in info and "full backup:" in info
    # No other host may speak of the stanza, and a certificate of another authority is none.
    refused = applied.ask(
        "a-exch1", "openssl s_client -connect 10.1.0.4:8432 -verify_return_error < /dev/null 2>&1 || true"
    )
    assert "verify error" in refused


def test_scratch_host_has_postgresql_and_no_cluster(applied: Rehearsal) -> None:
    assert applied.ask("a-bkup2", "pg_lsclusters --no-header; ls -A /var/lib/postgresql/15/main") == ""
    assert applied.ask("a-bkup2", "stat -c '%U %a' /var/lib/postgresql/15/main") == "postgres 700"
    # Its certificate opens the stanza that it may restore, and nothing else.
    info = "cd /; runuser -u postgres -- pgbackrest info"
    assert "status: ok" in applied.ask("a-bkup2", f"{info} --stanza=a-prod1")
    assert "access denied" in applied.ask("a-bkup2", f"{info} --stanza=other")


def test_an_invalid_file_installs_nothing_of_its_role(changing: Rehearsal) -> None:
    target = "/etc/frr/frr.conf"
    before = changing.ask("a-r1", f"sha256sum {target} /etc/frr/daemons; pidof ospfd")
    broken = sample.FRR.format(name="a-r1", number=1).replace("router ospf", "router osfp")
    changing.render(
        {("a-r1", target): broken, ("a-r1", "/etc/frr/daemons"): "zebra=yes\nospfd=yes\nbgpd=yes\nvtysh_enable=yes\n"}
    )
    for arguments in (["--check"], []):
        run = changing.play("--limit", "a-r1", *arguments)
        assert run.code == 2
        assert "JB4001" in run.out and target in run.out and "vtysh -C -f %s" in run.out and "router osfp" in run.out
    assert changing.ask("a-r1", f"sha256sum {target} /etc/frr/daemons; pidof ospfd") == before


def test_a_whole_that_is_refused_is_put_back(changing: Rehearsal) -> None:
    target = "/etc/bind/a.internal.zone"
    before = changing.ask("a-exch1", f"sha256sum {target} /etc/bind/named.conf")
    other = sample.NAMED.replace("a.internal.zone", "missing.zone")
    changing.render(
        {("a-exch1", "/etc/bind/named.conf"): other, ("a-exch1", target): sample.ZONE.replace(" 1 300", " 2 300")}
    )
    run = changing.play("--limit", "a-exch1")
    assert run.code == 2 and "named-checkconf -z" in run.out and "missing.zone" in run.out
    assert changing.ask("a-exch1", f"sha256sum {target} /etc/bind/named.conf") == before
    assert changing.ask("a-exch1", "dig +short @10.1.0.2 a.internal SOA").split()[2] == "1"


def test_a_change_is_taken_up_by_its_unit_alone(changing: Rehearsal) -> None:
    frr = changing.ask("a-r1", "pidof ospfd")
    changing.render({("a-r1", "/etc/nftables.conf"): sample.NFT.replace('"z-lan"', '"z-lan", "z-new"')})
    run = changing.play("--limit", "a-r1")
    assert run.code == 0 and run.changed() == {"a-r1": 1}, run.out[-4000:]
    assert "z-new" in changing.ask("a-r1", "nft list ruleset")
    assert changing.ask("a-r1", "pidof ospfd") == frr
    assert changing.play("--limit", "a-r1").changed() == {}


def test_a_line_taken_from_what_runs_is_put_back(applied: Rehearsal) -> None:
    """The file stands as it has to, and FRR runs less: by hand here, by a reload that took up a part of it elsewhere."""
    shown = "vtysh -c 'show running-config'"
    frr = applied.ask("a-r1", "pidof ospfd")
    applied.ask("a-r1", "vtysh -c 'configure terminal' -c 'interface z-lan' -c 'no ip ospf passive'")
    checked = applied.play("--check", "--diff", "--limit", "a-r1")
    assert checked.changed() == {"a-r1": 1} and "+interface z-lan / ip ospf passive" in checked.out, checked.out[-4000:]
    assert "ip ospf passive" not in applied.ask("a-r1", shown)
    run = applied.play("--limit", "a-r1")
    assert run.code == 0 and run.changed() == {"a-r1": 1}, run.out[-4000:]
    assert "ip ospf passive" in applied.ask("a-r1", shown)
    assert applied.ask("a-r1", "pidof ospfd") == frr


def test_a_line_that_never_runs_is_named(changing: Rehearsal) -> None:
    target = "/etc/frr/frr.conf"
    # A default, which FRR takes and does not show.
    silent = sample.FRR.format(name="a-r1", number=1).replace("passive\n", "passive\n ip ospf priority 1\n")
    changing.render({("a-r1", target): silent})
    run = changing.play("--limit", "a-r1")
    assert run.code == 2 and "JB4011" in run.out and "without 1 of its lines" in run.out, run.out[-4000:]
    assert "interface z-lan / ip ospf priority 1" in run.out


def test_what_the_tree_no_longer_has_goes(changing: Rehearsal) -> None:
    extra = "/etc/prometheus/prometheus.yml"
    changing.render({("a-exch1", extra): None})
    run = changing.play("--limit", "a-exch1")
    assert run.code == 0, run.out[-4000:]
    assert changing.ask("a-exch1", f"ls {extra} 2>&1 || true").startswith("ls: cannot access")
    assert changing.ask("a-exch1", "systemctl is-active prometheus; systemctl is-enabled prometheus; true").split() == [
        "inactive",
        "disabled",
    ]
    assert changing.play("--limit", "a-exch1").changed() == {}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill"])
def test_a_run_cut_short_is_completed_by_the_next(changing: Rehearsal, number: signal.Signals) -> None:
    """Cut off once the files are in place and before the unit takes them up."""
    mark = f"z-cut{int(number)}"
    changing.render({("a-r1", "/etc/nftables.conf"): sample.NFT.replace('"z-lan"', f'"z-lan", "{mark}"')})
    events = changing.folder / "events"
    events.write_text("")
    process = subprocess.Popen(
        changing.command("--limit", "a-r1"), cwd=ROOT, env=changing.environment(events), start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while '"files": ["/etc/nftables.conf"]' not in events.read_text():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.005)
    os.killpg(process.pid, number)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        # An interrupted worker of mitogen may wait for ever; whoever typed Ctrl-C ends it.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert mark in changing.ask("a-r1", "cat /etc/nftables.conf")
    run = changing.play("--limit", "a-r1")
    assert run.code == 0, run.out[-4000:]
    assert mark in changing.ask("a-r1", "nft list ruleset")
    assert changing.play("--limit", "a-r1").changed() == {}


def test_a_broken_inventory_is_no_success(applied: Rehearsal, tmp_path: Path) -> None:
    broken = tmp_path / "hosts"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    done = subprocess.run(
        ["ansible-playbook", "-i", str(broken), "playbooks/site.yml"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode != 0


def test_an_unknown_host_key_is_refused(applied: Rehearsal, tmp_path: Path) -> None:
    text = applied.inventory.read_text()
    other = tmp_path / "hosts"
    other.write_text(re.sub(r"UserKnownHostsFile=\S+", f"UserKnownHostsFile={tmp_path}/none", text))
    other.chmod(0o755)
    (tmp_path / "none").write_text("")
    line = ["ansible-playbook", "-i", str(other), "playbooks/site.yml", "--limit", "a-r1"]
    done = subprocess.run(
        line, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "ANSIBLE_STRATEGY": "linear"}
    )
    assert done.returncode != 0 and "Host key verification failed" in done.stdout + done.stderr
