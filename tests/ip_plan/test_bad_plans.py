"""Bad plans and what is said of them, word for word. A case is `bad/plans/<name>.yml` (what is done to the pilot) beside
`<name>.txt` (what the program prints); adding one needs no code."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from ground.mistake import Mistakes
from ip_plan import plan as plans
from ip_plan.compile import compile_plan
from ip_plan.folder import folder_of

CASES = sorted((Path(__file__).parent / "bad" / "plans").glob("*.yml"))


def spoil(case: dict[str, Any], folder: Path) -> None:
    """Lay a pilot plan in `folder` and do to it what the case says."""
    encoding = case.get("encoding", "utf-8")
    national = folder_of("national")[0]
    shutil.copy(folder_of("pilot")[0] / "plan.yml", folder)
    for name in case.get("copy", []):
        shutil.copy(national / name, folder)
    for name in case.get("delete", []):
        (folder / name).unlink()
    for name, text in case.get("write", {}).items():
        (folder / name).write_bytes(text.encode(encoding))
    for name, digits in case.get("hex", {}).items():
        (folder / name).write_bytes(bytes.fromhex(digits))
    for name, changes in case.get("replace", {}).items():
        text = (folder / name).read_text("utf-8")
        for old, new in changes.items():
            assert old in text, f"{name} has no `{old}`"
            text = text.replace(old, new, 1)
        (folder / name).write_text(text, "utf-8")
    for name, more in case.get("append", {}).items():
        with (folder / name).open("a", encoding="utf-8") as stream:
            stream.write(more)


def said(folder: Path, state: Path) -> str:
    """What the program says of the plan, with folders named."""
    with pytest.raises(Mistakes) as caught:
        compile_plan(str(folder), state)
    national = folder_of("national")[0]
    return str(caught.value).replace(str(folder), "plan").replace(str(national), "national") + "\n"


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_every_mistake_is_told_at_once_with_its_way_out(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "plan"
    folder.mkdir()
    spoil(yaml.safe_load(path.read_text("utf-8")), folder)
    before = sorted(os.listdir(folder))
    answer = said(folder, tmp_path / "state")
    expected = path.with_suffix(".txt")
    if not expected.exists():
        expected.write_text(answer, "utf-8")
        pytest.fail(f"{expected.name} was not there; it holds now what the program said: review it")
    assert answer == expected.read_text("utf-8")
    left = [name for name in sorted(os.listdir(folder)) if name not in before and name != "ledger"]
    assert left == [], "nothing is written"
    assert not list((folder / "ledger").glob("*.tsv"))
    assert not list((tmp_path / "state").rglob("*.json"))


@pytest.mark.parametrize("supernet", ["fd8c:51f7:2e90::/44", "fd8c:51f7:2e90:1::/64", "fd88::/13", "fd80::/13"])
def test_a_supernet_is_apart_from_what_lies_below_encrypted_lines(supernet: str, tmp_path: Path) -> None:
    change = {"ipv6: 3fff::/20": f"ipv6: {supernet}"}
    spoil({"copy": ["addressing.yml"], "replace": {"addressing.yml": change}}, tmp_path)
    if supernet == "fd80::/13":
        assert plans.load(str(tmp_path)).addressing.supernets.ipv6 == supernet
    else:
        assert "JB1213" in said(tmp_path, tmp_path / "state")
