"""Five changes touch only the files that docs/where.md names, and work: laid over a copy of this checkout, each is seen in action."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ground import tree
from tests.house import documents
from tests.house.contract import CHECKOUT, hold

PATCHES = Path(__file__).parent / "patches"
PYTHON = Path(sys.executable)


def copy(folder: Path) -> Path:
    """This checkout as it stands, without what git ignores."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    for name in filter(None, listed.split("\0")):
        if (CHECKOUT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, folder / name)
    return folder


def apply(folder: Path, patch: Path) -> None:
    """Lay `patch` over `folder`, wherever that lies."""
    outside = {**os.environ, "GIT_CEILING_DIRECTORIES": str(folder.parent)}
    ran = subprocess.run(["git", "apply", patch], cwd=folder, env=outside, text=True, capture_output=True)
    assert ran.returncode == 0, f"{ran.stderr}{PATCHES.name}/README.md says how to refresh it"


def touched(patch: Path) -> set[str]:
    """The files that a patch changes or makes."""
    names = re.findall(r"^(?:---|\+\+\+) [ab]/(\S+)$", patch.read_text(), re.M)
    return set(names)


def run(house: Path, *words: str | Path, **variables: str) -> str:
    """What a program prints with the code of `house`. It has to succeed."""
    path = os.pathsep.join([str(PYTHON.parent), os.environ["PATH"]])
    outside = {name: value for name, value in os.environ.items() if not name.startswith("JINBAO_")}
    ran = subprocess.run(
        list(words),
        cwd=house,
        env={**outside, "PATH": path, "PYTHONPATH": str(house), "LC_ALL": "C.UTF-8", **variables},
        text=True,
        capture_output=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def render(house: Path, *devices: str) -> Path:
    """The folder with the pilot's rendered trees of `devices`."""
    chosen = [word for device in devices for word in ("--device", device)]
    run(house, PYTHON, "-m", "jinbao", "config", "render", "--state", "state", *chosen)
    return house / "state" / "build" / "twin" / "pilot"


def a_zone(house: Path) -> None:
    """It has prefixes of both families, a host with a name, an interface at the firewall and rules of its flows."""
    built = render(house, "640100-fw1", "640100-audt1")
    shown = run(house, PYTHON, "-m", "jinbao", "plan", "show", "640100-audt1", "--state", "state")
    assert "host of 640100:centre1" in shown
    assert (built / "640100-audt1" / "tree.json").exists()
    filters = (built / "640100-fw1" / "files" / "etc" / "nftables.conf").read_text()
    ports = [entry.target for entry in tree.read(built / "640100-fw1").entries if "z-audit" in entry.target]
    assert ports
    rules = [line for line in filters.splitlines() if "z-audit" in line]
    for row in ("NAMES-ZONE", "TIME-ZONE", "MGMT-ZONE", "LOGS-ZONE"):
        assert any(row in line for line in rules), row
    # The hand-written table agrees with the rows, for the new zone too.
    table = "tests/ip_plan/test_zones.py::test_the_rows_say_what_the_hand_written_table_says"
    assert "1 passed" in run(house, PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", table)


def a_dialect(house: Path) -> None:
    """Its file stands in the tree of the devices it is for, and of no other."""
    built = render(house, "640100-extn1", "640100-prod1")
    (entry,) = [entry for entry in tree.read(built / "640100-extn1").entries if "sudoers" in entry.target]
    assert (entry.role, entry.mode, entry.validator) == ("baseline", "0440", "visudo -cf %s")
    assert "640100-extn1" in tree.content(built / "640100-extn1", entry).decode()
    assert not any("sudoers" in entry.target for entry in tree.read(built / "640100-prod1").entries)


MILESTONE = """
from monitoring.catalogue import shipped
from tests.monitoring.sample import everything
from tests.monitoring.test_milestones import judged
assert "S3-4-1.management" in [one.id for one in shipped()]
here = "S3-4-1.management", "640100"
without = [one for one in everything() if (one.check, one.subject.zone) != ("zone.probe", "management")]
print(judged(everything())[here].state, judged(without)[here].state)
"""


def a_milestone(house: Path) -> None:
    """It is in the catalogue, reached on good evidence, and not without."""
    assert run(house, PYTHON, "-c", MILESTONE).split() == ["reached", "not-observed"]


CHECK = """
from pathlib import Path
from ground import remote
from monitoring.checks import run
from tests.monitoring.checks.sample import network
def results(code, out):
    remote.run_all = lambda session, programs: {name: remote.Answer(code, out, "") for name in programs}
    session = remote.Session({}, Path("/nowhere"))
    records = run.run(network(), session, "twin:test", ["units.failed"])
    assert len(records) == 3 and {record.check for record in records} == {"units.failed"}
    return {record.result for record in records}.pop()
assert "units" in run.SUBJECTS and run.wanted(["units.failed"]) == ("units",)
print(results(0, ""), results(0, "frr.service loaded failed failed FRR"), results(1, ""), results(None, ""))
"""


def a_check(house: Path) -> None:
    """The runner knows it by subject and id; it passes, fails, errs, and says so when it could not be told."""
    assert run(house, PYTHON, "-c", CHECK).split() == ["pass", "fail", "error", "not-observed"]


PLAY = """
- name: The role alone
  hosts: localhost
  connection: local
  gather_facts: false
  roles:
    - banner
"""


def a_role(house: Path) -> None:
    """The playbook takes it for every device; alone it installs its file, and the second time changes nothing. It is looked at."""
    line = ["ansible-playbook", "-i", "localhost,"]
    listed = run(house, *line, "playbooks/site.yml", "--list-tasks")
    assert "banner : Say to whoever logs in" in listed
    (house / "playbooks" / "alone.yml").write_text(PLAY)
    alone = [*line, "playbooks/alone.yml", "-e", f"banner_file={house / 'motd'}"]
    own = {"ANSIBLE_STRATEGY": "linear", "ANSIBLE_PYTHON_INTERPRETER": str(PYTHON), "ANSIBLE_HOME": str(house)}
    assert "changed=1" in run(house, *alone, **own)
    assert "金保" in (house / "motd").read_text()
    assert "changed=0" in run(house, *alone, **own)
    claims = "tests/monitoring/checks/test_roles.py::test_every_role_of_the_playbook_has_claims"
    assert "1 passed" in run(house, PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", claims)


CHANGES: dict[str, tuple[str, Callable[[Path], None]]] = {
    "zone": ("A zone", a_zone),
    "dialect": ("A dialect", a_dialect),
    "milestone": ("A milestone", a_milestone),
    "check": ("A check", a_check),
    "role": ("A role", a_role),
}


def test_there_is_a_patch_for_each_change() -> None:
    assert {path.stem for path in PATCHES.glob("*.patch")} == set(CHANGES)


@pytest.mark.parametrize("name", CHANGES)
def test_it_touches_only_what_is_named(name: str) -> None:
    section = documents.sections(documents.WHERE.read_text())[CHANGES[name][0]]
    files = touched(PATCHES / f"{name}.patch")
    assert files
    assert [path for path in files if not documents.allows(section, path)] == []


def test_a_patch_that_touches_more_is_seen() -> None:
    section = documents.sections(documents.WHERE.read_text())["A role"]
    assert not all(documents.allows(section, path) for path in touched(PATCHES / "check.patch"))


@pytest.mark.parametrize("name", CHANGES)
def test_it_works(name: str, tmp_path: Path) -> None:
    house = copy(tmp_path / "house")
    apply(house, PATCHES / f"{name}.patch")
    CHANGES[name][1](house)
    made = [path for path in touched(PATCHES / f"{name}.patch") if path.endswith(".py")]
    if made:
        assert "All checks passed" in run(house, PYTHON.with_name("ruff"), "check", "--no-cache", *made)
        held = hold(house)
        assert held.returncode == 0, held.stdout


@pytest.mark.parametrize("name", CHANGES)
def test_without_it_there_is_no_such_thing(name: str, tmp_path: Path) -> None:
    house = copy(tmp_path / "house")
    with pytest.raises((AssertionError, ValueError)):
        CHANGES[name][1](house)
