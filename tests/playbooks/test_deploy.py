"""Deploy: what it says would change, when it asks, and how it ends."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ground import files, secret, tree
from ground.mistake import Mistakes
from ground.tree import Entry, Tree
from playbooks import cli, deploy
from playbooks.deploy import Change, Event, Order
from playbooks.deploy import Plan as Seen
from tests.playbooks import sample
from tests.playbooks.conftest import ROOT, Rehearsal


def order(lab: Rehearsal, limit: str = "", check: bool = False) -> Order:
    return Order("pilot", "twin:roles", lab.state, lab.inventory, limit, check)


def test_what_differs_is_named_by_kind() -> None:
    wanted = {path: ("0" * 64, "644 root root") for path in ("/same", "/content", "/owner", "/new", "/with space")}
    seen = "\n".join(
        [
            f"{'0' * 64} 644 root root /same",
            f"{'1' * 64} 644 root root /content",
            f"{'0' * 64} 600 root root /owner",
            f"{'0' * 64} 644 root root /with space",
            "manifest "
            + json.dumps({"files": {"/same": ["", ""], "/gone": ["", ""], "/etc/pgbackrest/ca.crt": ["", ""]}}),
            "manifest {damaged",
        ]
    )
    assert sorted(deploy.differences("r1", wanted, seen)) == [
        Change("r1", "/content", "content"),
        Change("r1", "/gone", "removed"),
        Change("r1", "/new", "new"),
        Change("r1", "/owner", "owner"),
    ]


def test_every_missing_and_torn_tree_is_named_at_once(tmp_path: Path) -> None:
    entry = Entry("/etc/x", "etc/x", "baseline", files.sha256(b"x"))
    for name in ("good", "torn"):
        tree.write(tmp_path / name, Tree(name, (entry,)), {"etc/x": b"x"})
    (tmp_path / "torn/files/etc/x").write_text("y")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged/tree.json").write_text("{")
    with pytest.raises(Mistakes) as raised:
        deploy.read_trees(tmp_path, tmp_path, ["good", "torn", "damaged", "missing"])
    assert [(one.code, one.object) for one in raised.value.found] == [
        ("JB4003", "damaged"), ("JB4002", "missing"), ("JB4003", "torn"),
    ]  # fmt: skip


def test_a_reference_is_compared_by_its_value(tmp_path: Path) -> None:
    content = f'key "{secret.reference("tsig/x")}";'.encode()
    entry = Entry("/etc/x", "etc/x", "names", files.sha256(content), mode="0640")
    tree.write(tmp_path / "a", Tree("a", (entry,)), {"etc/x": content})
    [(sha256, owner)] = deploy.read_trees(tmp_path, tmp_path, ["a"])["a"].values()
    assert sha256 == files.sha256(secret.fill(tmp_path, content)) and owner == "640 root root"


def seen(changing: int, total: int = 10, limit: float = 0.2) -> Seen:
    changes = tuple(Change(f"d{number}", "/x", "new") for number in range(changing))
    return Seen("pilot", "twin:roles", (), total, changes, (), limit)


@pytest.mark.parametrize(
    ("changing", "yes", "confirm", "passes"),
    [
        pytest.param(0, False, "", True, id="nothing-changes"),
        pytest.param(2, True, "", True, id="within-the-limit"),
        pytest.param(2, False, "", False, id="nobody-to-ask"),
        pytest.param(2, False, "pilot", True, id="by-name"),
        pytest.param(3, True, "", False, id="above-the-limit-yes-is-not-enough"),
        pytest.param(3, True, "pilots", False, id="above-the-limit-wrong-name"),
        pytest.param(3, False, "pilot", True, id="above-the-limit-by-name"),
    ],
)
def test_consent(monkeypatch: pytest.MonkeyPatch, changing: int, yes: bool, confirm: str, passes: bool) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    if passes:
        cli.require_consent(seen(changing), yes, confirm)
    else:
        with pytest.raises(Mistakes, match="JB4006"):
            cli.require_consent(seen(changing), yes, confirm)


def test_a_device_that_does_not_answer_counts_as_changing() -> None:
    plan = Seen("pilot", "twin:roles", (), 10, (Change("a", "/x", "new"),), ("b", "c"), 0.2)
    assert plan.changing == ("a", "b", "c") and plan.share == pytest.approx(0.3)


def test_the_plan_before_equals_what_the_run_changes(changing: Rehearsal) -> None:
    devices = sorted(sample.ADDRESSES)
    assert deploy.compare(changing.state, changing.build, devices, changing.reaches) == ([], [])
    changing.render(
        {("a-r1", "/etc/nftables.conf"): sample.NFT + "\n", ("a-exch1", "/etc/prometheus/prometheus.yml"): None}
    )
    changes, silent = deploy.compare(changing.state, changing.build, devices, changing.reaches)
    assert changes == [
        Change("a-exch1", "/etc/prometheus/prometheus.yml", "removed"),
        Change("a-r1", "/etc/nftables.conf", "content"),
    ]
    assert silent == []
    events: list[Event] = []
    checked = deploy.run(order(changing, "a-r1:a-exch1", check=True), events.append)
    outcome = deploy.run(order(changing, "a-r1:a-exch1"), events.append)
    assert checked.good and outcome.good
    assert checked.changed_files == outcome.changed_files == {change.device: (change.target,) for change in changes}
    assert deploy.compare(changing.state, changing.build, devices, changing.reaches) == ([], [])
    # The bar of the progress ends where it says it will, but for plays without a device.
    assert (
        0 < sum(event.event == "task" for event in events) <= 2 * next(event.tasks for event in events if event.tasks)
    )


def test_a_refused_file_ends_with_the_device_and_what_was_said(changing: Rehearsal) -> None:
    changing.render({("a-r1", "/etc/nftables.conf"): "flush ruleset\ntable inet zones {\n"})
    outcome = deploy.run(order(changing, "a-r1"), lambda event: None)
    assert not outcome.good and set(outcome.failures) == {"a-r1"}
    assert "JB4001" in outcome.failures["a-r1"] and "/etc/nftables.conf" in outcome.failures["a-r1"]
    assert outcome.log.is_file()


def test_limit_is_ansibles_own(applied: Rehearsal) -> None:
    known = list(sample.ADDRESSES)
    assert deploy.select(order(applied), known) == tuple(sorted(known))
    assert deploy.select(order(applied, "duty_database:a-r1"), known) == ("a-prod1", "a-r1")
    assert deploy.select(order(applied, "all:!role_host"), known) == ("a-r1",)
    with pytest.raises(Mistakes, match="JB4008"):
        deploy.select(order(applied, "a-nothing"), known)


def test_ansible_that_cannot_start_is_a_mistake(applied: Rehearsal, tmp_path: Path) -> None:
    broken = tmp_path / "hosts"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    with pytest.raises(Mistakes, match="JB4009"):
        deploy.run(Order("pilot", "twin:roles", tmp_path, broken), lambda event: None)


PROGRAM = """
import sys
from pathlib import Path
from playbooks import deploy
order = deploy.Order("pilot", "twin:roles", Path(sys.argv[1]), Path(sys.argv[2]), "a-r1")
deploy.run(order, lambda event: print(event.event, event.files, flush=True))
"""


def test_ctrl_c_ends_ansible_and_the_next_run_succeeds(changing: Rehearsal) -> None:
    changing.render({("a-r1", "/etc/nftables.conf"): sample.NFT.replace('"z-lan"', '"z-lan", "z-ctrlc"')})
    line = [sys.executable, "-c", PROGRAM, str(changing.state), str(changing.inventory)]
    process = subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout
    while "task" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode != 0 and "KeyboardInterrupt" in said
    deadline = time.monotonic() + 20
    while str(changing.inventory) in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout:
        assert time.monotonic() < deadline, "Ansible outlived the command"
        time.sleep(0.2)
    assert deploy.run(order(changing, "a-r1"), lambda event: None).good
    assert "z-ctrlc" in changing.ask("a-r1", "nft list ruleset")
