"""The Ansible inventory: as Ansible itself reads it, and what it says when there is nothing to list."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ground import reach
from ground.reach import Reach
from inventory import render
from tests.inventory import sample

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
REACHED = ("640100-r1", "640100-exch1", "640100-bkup1", "000000-fw1", "640121-r1")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder with the sample rendered as plan `pilot` and some devices that can be reached."""
    render.write(tmp_path / "build" / "twin" / "pilot", sample.network(), lab=True)
    reaches = {
        name: Reach(
            f"10.255.0.{number}", f"ssh-ed25519 AAAA{number}", 2200, identity="/keys/id", via="ip netns exec x nc %h %p"
        )
        for number, name in enumerate(REACHED, 2)
    }
    reach.write(tmp_path / "twin" / "pilot" / "reach.json", reaches)
    return tmp_path


def run(state: Path, *line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(BIN), os.environ["PATH"]])
    given = {"PATH": paths, "LC_ALL": "C.UTF-8", "HOME": str(state), "JINBAO_STATE": str(state), **environment}
    return subprocess.run(line, cwd=ROOT, env=given, capture_output=True, text=True)


def test_ansible_reads_groups_and_variables(state: Path) -> None:
    answer = run(state, "ansible-inventory", "-i", "inventory/hosts", "--list")
    assert answer.returncode == 0, answer.stderr
    listed = json.loads(answer.stdout)
    groups = {name: set(value.get("hosts", ())) for name, value in listed.items() if name != "_meta"}
    assert groups["province_64"] == set(REACHED) - {"000000-fw1"}
    assert groups["level_prefecture"] == {"640100-r1", "640100-exch1", "640100-bkup1"}
    assert groups["role_access"] == {"640121-r1"}
    assert groups["zone_exchange"] == groups["duty_names"] == groups["duty_database"] == {"640100-exch1"}
    assert groups["region_640100"] == groups["level_prefecture"]
    variables = listed["_meta"]["hostvars"]["640100-bkup1"]
    assert (variables["ansible_host"], variables["ansible_port"], variables["ansible_user"]) == (
        "10.255.0.4",
        2200,
        "root",
    )
    assert variables["jinbao_tree"] == str(state / "build" / "twin" / "pilot" / "640100-bkup1")
    assert variables["jinbao_state"] == str(state)
    assert variables["jinbao_names"] == [
        "bkup1.yinchuan.nx.jinbao.internal",
        "repo.backup.yinchuan.nx.jinbao.internal",
    ]
    arguments = variables["ansible_ssh_common_args"]
    assert "StrictHostKeyChecking=yes" in arguments and "'ProxyCommand=ip netns exec x nc %h %p'" in arguments
    known = state / "twin" / "pilot" / "known_hosts"
    assert str(known) in arguments
    assert "[10.255.0.4]:2200 ssh-ed25519 AAAA4\n" in known.read_text()


def test_one_device_and_one_province(state: Path) -> None:
    answer = run(state, "inventory/hosts", "--host", "640100-r1")
    assert json.loads(answer.stdout)["ansible_host"] == "10.255.0.2"
    assert json.loads(run(state, "inventory/hosts", "--host", "nobody").stdout) == {}
    answer = run(state, "inventory/hosts", "--list", JINBAO_PROVINCE="00")
    assert list(json.loads(answer.stdout)["_meta"]["hostvars"]) == ["000000-fw1"]


def test_nothing_rendered_and_nothing_reached_are_told_apart(state: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    answer = run(empty, "inventory/hosts", "--list")
    assert (answer.returncode, answer.stdout) == (2, "")
    assert "JB2002  nothing is rendered in" in answer.stderr and "jinbao config render" in answer.stderr
    answer = run(state, "inventory/hosts", "--list", JINBAO_AT="production")
    assert "JB2002  nothing is rendered in" in answer.stderr, (
        "what is for the twin is nothing to the production network"
    )
    render.write(state / "build" / "production" / "pilot", sample.network(), lab=False)
    answer = run(state, "inventory/hosts", "--list", JINBAO_AT="production")
    assert (answer.returncode, answer.stdout) == (2, "")
    assert f"{state}/production/reach.json  JB2003" in answer.stderr


def test_render_says_what_it_did(tmp_path: Path) -> None:
    answer = run(tmp_path, "jinbao", "config", "render", "--province", "64", "--format", "json")
    assert answer.returncode == 0, answer.stderr
    first = json.loads(answer.stdout)
    assert first["devices"] == len(first["changed"]) > 100 and first["removed"] == []
    answer = run(tmp_path, "jinbao", "config", "render", "--province", "64")
    assert answer.stdout.endswith(" 0 changed, 0 removed.\n")
    assert "ConditionCapability" in "".join(path.read_text() for path in tmp_path.rglob("lab.conf"))
    answer = run(
        tmp_path, "jinbao", "config", "render", "--device", "640100-prod1", "--at", "production", "--format", "json"
    )
    assert json.loads(answer.stdout)["changed"] == ["640100-prod1"]
    built = tmp_path / "build" / "production" / "pilot" / "640100-prod1"
    assert (built / "tree.json").is_file() and not list(built.rglob("lab.conf"))
    assert list((tmp_path / "build" / "twin" / "pilot" / "640100-prod1").rglob("lab.conf"))
    answer = run(tmp_path, "jinbao", "config", "render", "--device", "nobody")
    assert (answer.returncode, "JB2001  nobody: the plan has no such device" in answer.stderr) == (2, True)
