"""The shipped national plan and two of other shapes: what they hold, and that replay gives the same bytes."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import pytest

from ip_plan import addressing, regions
from ip_plan import plan as plans
from ip_plan.compile import compile_plan
from ip_plan.network import Network, load
from tests.plans import CHONGQING, HUBEI


def compiled(name: Path, tmp_path: Path) -> Network:
    folder = tmp_path / name.name
    folder.mkdir()
    (folder / "plan.yml").write_bytes((name / "plan.yml").read_bytes())
    return load(compile_plan(str(folder), tmp_path / "state").network)


def test_the_nation(tmp_path: Path) -> None:
    outcome = compile_plan("national", tmp_path)
    first = {path.name: path.read_bytes() for path in [*outcome.ledger.glob("*.tsv"), *outcome.network.glob("*.json")]}
    network = load(outcome.network)
    rows = plans.load("national").regions
    levels = Counter(site.level for site in network.sites.values())
    assert levels["ministry"] == 1
    assert levels["province"] == regions.denominator(rows, "province") == 32
    assert levels["prefecture"] == regions.denominator(rows, "prefecture") == 333
    assert levels["township"] == 41_352
    # Statistical counties are sites and never a denominator; a grouping is neither.
    assert levels["county"] == regions.denominator(rows, "county") + 124
    assert not [site for site in network.sites.values() if network.regions[site.region].kind == "grouping"]
    assert network.regions["659001"].serving == "BT0000"
    assert network.regions["429004"].serving == "420000"
    assert network.regions["500101"].serving == "500000"
    _apart(network)
    (outcome.network / "parts.json").unlink()  # every province is made again
    again = compile_plan("national", tmp_path)
    assert (again.new, again.gone, again.changed) == (0, 0, 1)
    second = {path.name: path.read_bytes() for path in [*outcome.ledger.glob("*.tsv"), *outcome.network.glob("*.json")]}
    assert first == second


def _apart(network: Network) -> None:
    """Every zone prefix lies in a block of its region's province, and no two share an address."""
    for family in (4, 6):
        found = sorted(
            addressing.parse(zone.v4 if family == 4 else zone.v6, family)
            for site in network.sites.values()
            for zone in site.zones
        )
        for (first, length), following in itertools.pairwise(found):
            assert first + addressing.size(length, family) <= following[0]
        blocks = [
            addressing.parse(text, family)
            for region in network.regions.values()
            if region.level in ("ministry", "province")
            for text in (region.blocks4 if family == 4 else region.blocks6)
        ]
        ends = sorted((first, first + addressing.size(length, family)) for first, length in blocks)
        position = 0
        for first, length in found:
            while ends[position][1] <= first:
                position += 1
            assert ends[position][0] <= first
            assert first + addressing.size(length, family) <= ends[position][1]


def test_a_municipality_is_province_and_city_at_one_site(tmp_path: Path) -> None:
    network = compiled(CHONGQING, tmp_path)
    centres = [site for site in network.sites.values() if site.kind == "centre"]
    assert [site.key for site in centres] == ["000000:centre1", "500000:centre1"]
    assert sum(site.level == "township" for site in network.sites.values()) == 1031
    assert {site.parent for site in network.sites.values() if site.level in ("county", "township")} == {
        "500000:centre1"
    }
    assert {"production", "exchange", "decision", "access"} <= {zone.name for zone in centres[1].zones}
    assert network.regions["500101"].domain == f"{network.regions['500101'].label}.cq.jinbao.internal"


def test_counties_directly_under_a_province_hang_on_its_centre(tmp_path: Path) -> None:
    network = compiled(HUBEI, tmp_path)
    assert network.sites["429004:office1"].parent == "420000:centre1"
    assert network.sites["429004001:office1"].parent == "420000:centre1"
    assert network.sites["420102:office1"].parent == "420100:centre1"
    assert "429000:centre1" not in network.sites
    assert network.regions["429004"].domain == f"{network.regions['429004'].label}.hb.jinbao.internal"


@pytest.mark.parametrize(("setting", "parent"), [("corps", "BT0000"), ("xinjiang", "659000")])
def test_the_cities_of_the_corps_stand_where_the_plan_says(setting: str, parent: str, tmp_path: Path) -> None:
    folder = tmp_path / "plan"
    folder.mkdir()
    (folder / "plan.yml").write_text(
        "name: corps\ntitle: 兵团\nscope_text: 31个省、自治区、直辖市和新疆生产建设兵团\nbase: national\n"
        f"corps_cities: {setting}\n"
        'scope: [{region: "000000"}, {region: "650000", below: true}, {region: "BT0000", below: true}]\n',
        "utf-8",
    )
    network = load(compile_plan(str(folder), tmp_path / "state").network)
    assert network.regions["659001"].parent == parent
    assert network.sites["659001:office1"].parent == ("BT0000:centre1" if setting == "corps" else "650000:centre1")
