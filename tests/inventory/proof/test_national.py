"""A plan proved province by province is a plan proved whole; and a verdict that was kept never outlives what it rests on."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from inventory.proof import forms, national, proving
from inventory.proof.proving import Verdict
from inventory.render import write
from ip_plan.compile import compile_plan
from ip_plan.network import load


class Tree:
    """The pilot rendered whole, with its Network."""

    def __init__(self, folder: Path) -> None:
        self.network = compile_plan("pilot", folder / "state").network
        self.build, self.kept = folder / "build", folder / "kept"
        write(self.build, load(self.network), lab=False)

    def prove(self) -> tuple[Verdict, list[str]]:
        """The verdict, and the units that were proved anew."""
        anew: list[str] = []
        found = national.prove(self.network, self.build, kept=self.kept, each=lambda part: anew.extend(part.anew))
        return found, anew


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return Tree(tmp_path_factory.mktemp("whole"))


def test_parts_say_what_the_whole_says(tree: Tree) -> None:
    parts, _ = tree.prove()
    network = load(tree.network)
    whole = proving.folded(network, proving.load(network, tree.build))
    assert parts.good and whole.good
    assert parts.devices == whole.devices == len(network.devices)
    assert {each.source for each in parts.against} == {each.source for each in whole.against}


def test_what_nothing_changed_under_is_not_proved_again_and_a_fault_afterwards_is_seen(tree: Tree) -> None:
    """The same size, the same time of writing, the same tree.json: a fault planted after the proof is found all the same."""
    time.sleep(national.STEP / 1e9)
    tree.prove()
    good, anew = tree.prove()
    assert good.good and anew == []
    path = tree.build / "640121100-r1/files/etc/nftables.conf"
    before, stat = path.read_text(), path.stat()
    after = before.replace("tcp dport 443", "tcp dport 445", 1)
    assert len(after) == len(before) and after != before
    path.write_text(after)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    bad, anew = tree.prove()
    assert anew == ["640100:centre1"] and any(finding.file == str(path) for finding in bad.findings)
    assert tree.prove()[0].findings == bad.findings
    path.write_text(before)
    assert tree.prove()[0].good


def test_a_fault_at_the_ministry_is_seen(tree: Tree) -> None:
    path = tree.build / "000000-r1/files/etc/frr/frr.conf"
    before = path.read_text()
    line = next(line for line in before.splitlines() if "prefix-list FROM-640000-r1" in line and line.startswith("ip "))
    path.write_text(before.replace(line, line.replace("permit", "deny")))
    bad, anew = tree.prove()
    path.write_text(before)
    assert set(anew) == {"000000:centre1", "640000:centre1", "640100:centre1", "640300:centre1"} and any(
        f.code == "JB2414" and f.subject == "000000-r1" for f in bad.findings
    )


def test_another_program_knows_no_verdict(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    tree.prove()
    monkeypatch.setattr(forms, "program", lambda: "another")
    assert tree.prove()[1] == ["640100:centre1", "640300:centre1", "640000:centre1", "000000:centre1"]
