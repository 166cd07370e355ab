"""Units of proof: what is proved together, and faults on lines whose ends lie in two of them, or in two provinces."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from inventory.proof import national, units
from inventory.proof.proving import Verdict
from inventory.render import write
from ip_plan.compile import compile_plan
from ip_plan.folder import folder_of
from ip_plan.network import Network, load

SAID = {"since": "2026-10-01", "reason": "区划调整"}
MOVE = {"kind": "move", "region": "640121", "to": "640300", **SAID}
REGIONS = ["000000", "620000", "620100", "640000", "640100", "640121", "640121100", "640300"]


class Tree:
    """The ministry, two provinces and three cities, rendered whole."""

    def __init__(self, folder: Path) -> None:
        self.plan, self.state, self.build = folder / "plan", folder / "state", folder / "build"
        self.plan.mkdir()
        self.compile()

    def compile(self, *changes: dict[str, Any]) -> Network:
        said = yaml.safe_load((folder_of("pilot")[0] / "plan.yml").read_text("utf-8"))
        told = {"name": "two", "scope": [{"region": code} for code in REGIONS], "changes": list(changes)}
        kept = {key: value for key, value in said.items() if key not in ("twin", "extra_hosts", "calendar")}
        (self.plan / "plan.yml").write_text(yaml.safe_dump(kept | told, allow_unicode=True), "utf-8")
        self.stored = compile_plan(str(self.plan), self.state, confirm="two").network
        network = load(self.stored)
        write(self.build, network, lab=False)
        return network

    def prove(self) -> Verdict:
        return national.prove(self.stored, self.build)

    def file(self, device: str, name: str) -> Path:
        return self.build / device / "files" / name


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return Tree(tmp_path_factory.mktemp("two"))


def split(network: Network) -> dict[str, list[units.Unit]]:
    return {shard.province: units.units(network, shard) for shard in network.shards}


def test_every_site_is_in_one_unit_and_each_unit_stands_before_those_above_it(tree: Tree) -> None:
    network = load(tree.stored)
    found = split(network)
    assert sorted(key for each in found.values() for unit in each for key in unit.sites) == sorted(network.sites)
    assert [unit.name for unit in found["64"]] == ["640100:centre1", "640300:centre1", "640000:centre1"]
    assert found["64"][0].above == ("640000:centre1", "000000:centre1")
    verdict = tree.prove()
    assert verdict.good and verdict.devices == len(network.devices)


def test_a_province_is_one_unit_where_something_lies_across_its_centres(tmp_path: Path) -> None:
    """A county keeps its addresses in the block of the city that it left: both are proved together, and the text is right."""
    tree = Tree(tmp_path)
    found = split(tree.compile(MOVE))
    assert [unit.name for unit in found["64"]] == ["640000:centre1"] and len(found["62"]) == 2
    assert tree.prove().good
    line = tree.file("640100-r1", "etc/frr/frr.conf")
    county = next(site for site in load(tree.stored).sites.values() if site.region == "640121").zones[0].v4
    said = line.read_text()
    assert county in said
    line.write_text("".join(row for row in said.splitlines(keepends=True) if county not in row))
    assert {finding.code for finding in tree.prove().findings} >= {"JB2414"}


def test_lines_to_two_provinces_exchanged_at_the_ministry_are_found(tree: Tree) -> None:
    """Each file is sound by itself, and so is the pair: only the ends in the two provinces tell."""
    paths = [tree.file("000000-r1", f"etc/systemd/network/10-w-{code}-1.network") for code in ("620000", "640000")]
    one, other = (path.read_text() for path in paths)
    told = [re.findall(r"^Address=.*$", text, re.MULTILINE) for text in (one, other)]
    assert len(told[0]) == len(told[1]) == 2
    for at, text in enumerate((one, other)):
        for before, after in zip(told[at], told[1 - at], strict=True):
            text = text.replace(before, after)
        paths[at].write_text(text)
    try:
        found = tree.prove().findings
    finally:
        paths[0].write_text(one)
        paths[1].write_text(other)
    assert {str(path) for path in paths} <= {finding.file for finding in found}
    assert {"620000-r1", "640000-r1"} <= {finding.subject for finding in found}
    assert tree.prove().good


def cut(region: str, stage: str) -> dict[str, Any]:
    row = {
        "kind": "cut-over",
        "region": region,
        "rank": "primary",
        "stage": stage,
        "carrier": "联通",
        "circuit": region,
    }
    return row | {"window": "2026-11-20 01:00–05:00", **SAID}


def test_lines_of_two_provinces_are_cut_over_at_once(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    tree.compile(cut("620000", "drain"), cut("640000", "drain"))
    assert tree.prove().good
    # Drained at the province's end alone.
    path = tree.file("000000-r1", "etc/frr/frr.conf")
    said = path.read_text()
    rows = re.findall(r"^ set local-preference \d+$", said, re.MULTILINE)
    assert len(set(rows)) > 1
    low, high = sorted(set(rows), key=lambda row: int(row.split()[-1]))[:: len(set(rows)) - 1]
    path.write_text(said.replace(low, high))
    assert "JB2418" in {finding.code for finding in tree.prove().findings}
