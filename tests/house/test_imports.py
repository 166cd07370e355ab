"""Imports run downward only, and each of the rules that say so is seen to refuse what it forbids."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.contract import CHECKOUT, hold, rooms


def test_the_contract_is_kept() -> None:
    held = hold(CHECKOUT)
    assert held.returncode == 0, held.stdout


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """An empty house of the same rooms under the same contract."""
    shutil.copy(CHECKOUT / "pyproject.toml", tmp_path)
    for room in rooms(CHECKOUT):
        (tmp_path / room).mkdir()
        (tmp_path / room / "__init__.py").touch()
    return tmp_path


def test_downward_imports_are_allowed(house: Path) -> None:
    (house / "playbooks" / "waves.py").write_text("import backup, ground, inventory, ip_plan, monitoring, stacks\n")
    (house / "inventory" / "render.py").write_text("import ground, ip_plan\n")
    (house / "ip_plan" / "network.py").write_text("import ground\n")
    held = hold(house)
    assert held.returncode == 0, held.stdout


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("ground", "ip_plan"),
        ("ip_plan", "inventory"),
        ("monitoring", "playbooks"),
        ("inventory", "stacks"),
        ("stacks", "backup"),
        ("backup", "monitoring"),
    ],
)
def test_upward_and_sideward_imports_are_refused(house: Path, importer: str, imported: str) -> None:
    (house / importer / "wrong.py").write_text(f"import {imported}\n")
    held = hold(house)
    assert held.returncode == 1
    assert f"{importer}.wrong -> {imported}" in held.stdout


def test_a_circle_inside_a_room_is_refused(house: Path) -> None:
    (house / "ip_plan" / "ledger.py").write_text("import ip_plan.naming\n")
    (house / "ip_plan" / "naming.py").write_text("import ip_plan.ledger\n")
    held = hold(house)
    assert held.returncode == 1
    assert "No import circle inside a room BROKEN" in held.stdout


@pytest.mark.parametrize(
    ("path", "code", "rules"),
    [
        ("ground/work.py", "import jinbao", ["TID251"]),
        ("inventory/render.py", "from ansible.module_utils.basic import AnsibleModule", ["TID251"]),
        ("playbooks/library/frr.py", "from ansible.module_utils.basic import AnsibleModule", []),
        ("tests/test_jinbao.py", "import jinbao", []),
        ("stacks/cli.py", "import pulumi", ["TID253"]),
        ("stacks/engine.py", "import pulumi", []),
    ],
)
def test_banned_imports(path: str, code: str, rules: list[str]) -> None:
    ruff = Path(sys.executable).with_name("ruff")
    checked = subprocess.run(
        [ruff, "check", "--select=TID", "--output-format=concise", f"--stdin-filename={path}", "-"],
        input=code + "\n",
        cwd=CHECKOUT,
        text=True,
        capture_output=True,
    )
    assert checked.returncode == (1 if rules else 0), checked.stdout + checked.stderr
    assert all(rule in checked.stdout for rule in rules), checked.stdout
