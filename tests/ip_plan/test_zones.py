"""The plan's rows against the verdicts written by hand, and prohibitions that no row may allow."""

from __future__ import annotations

from pathlib import Path

import pytest

from ground.mistake import Mistakes
from ip_plan import compile as compiler
from ip_plan import plan as plans
from ip_plan import zones
from ip_plan.network import Network
from ip_plan.zones import End
from tests.verdicts import expected


@pytest.fixture(scope="module")
def pilot(tmp_path_factory: pytest.TempPathFactory) -> Network:
    return compiler.compiled("pilot", tmp_path_factory.mktemp("state"))


def test_the_rows_say_what_the_hand_written_table_says(pilot: Network) -> None:
    wrong = []
    seen = 0
    for case in expected(pilot, list(pilot.running())):
        if case.ends:
            source = End(case.opener.key, case.from_zone, service=case.ends[0])
            sink = End(case.target.key, case.to_zone, service=case.ends[1])
        else:
            # A connection that is not limited to services is tried between hosts that carry whatever the row names.
            source = End(case.opener.key, case.from_zone, device=_host(pilot, case.opener.key, case.from_zone))
            sink = End(case.target.key, case.to_zone, device=_host(pilot, case.target.key, case.to_zone))
        verdict = zones.verdict(pilot, source, sink, case.port)
        seen += 1
        if verdict.allow != case.allow:
            wrong.append((*case[1:6:2], case.opener.key, case.target.key, case.port, verdict.row and verdict.row.id))
    assert wrong == []
    assert seen > 10_000


def _host(network: Network, site: str, zone: str) -> str:
    return next((d.name for d in network.devices.values() if d.site == site and d.zone == zone), "")


def test_a_row_that_is_limited_to_services_holds_for_no_other_host(pilot: Network) -> None:
    scratch = End("640100:centre1", "backup", device="640100-bkup2")
    database = End("640100:centre1", "production", service="db")
    repository = End("640100:centre1", "backup", device="640100-bkup1")
    assert not zones.verdict(pilot, scratch, database, "tcp/8432").allow
    assert zones.verdict(pilot, repository, database, "tcp/8432").allow


ROW = """
  - id: TEST
    from: {source}
    to: {sink}
    relation: {relation}
    ports: [tcp/443]
    reason: a row that must be refused
"""


@pytest.mark.parametrize(
    ("source", "sink", "relation", "prohibition"),
    [
        ("production", "exchange", "serving-parent", "NO-16"),
        ("production", "production", "served-child", "NO-16"),
        ("exchange", "production", "serving-parent", "NO-16"),
        ("access", "production", "elsewhere", "NO-16"),
        ("external", "production", "same-centre", "NO-16"),
        ("production", "external", "same-centre", "NO-16"),
        ("exchange", "exchange", "external", "NO-16"),
        ("access", "decision", "same-centre", "NO-17"),
        ("external", "decision", "same-centre", "NO-17"),
        ("decision", "decision", "serving-parent", "NO-17"),
    ],
)
def test_a_flow_against_a_prohibition_is_refused_with_its_id(
    tmp_path: Path, source: str, sink: str, relation: str, prohibition: str
) -> None:
    folder = tmp_path / "plan"
    _copy("pilot", folder)
    flows = Path(plans.load("pilot").documents["flows.yml"].file).read_text("utf-8")
    (folder / "flows.yml").write_text(flows + ROW.format(source=source, sink=sink, relation=relation), "utf-8")
    with pytest.raises(Mistakes) as caught:
        compiler.compile_plan(str(folder), tmp_path / "state")
    codes = [(mistake.code, mistake.object) for mistake in caught.value.found]
    assert ("JB1410", "TEST") in codes
    assert any(prohibition in mistake.what for mistake in caught.value.found)
    assert not (tmp_path / "state" / "plans" / "pilot" / "network" / "index.json").exists()


@pytest.mark.parametrize(
    ("level", "kind", "zone", "prohibition"),
    [
        ("county", "office", "production", "NO-04"),
        ("township", "office", "exchange", "NO-08"),
        ("prefecture", "dr", "backup", "NO-21"),
    ],
)
def test_a_site_against_a_prohibition_is_refused_with_its_id(
    tmp_path: Path, level: str, kind: str, zone: str, prohibition: str
) -> None:
    folder = tmp_path / "plan"
    _copy("pilot", folder)
    sites = Path(plans.load("pilot").documents["sites.yml"].file).read_text("utf-8")
    extra = f"sites:\n  - {{kind: {kind}, level: {level}, zones: [{zone}]}}\n"
    (folder / "sites.yml").write_text(sites.replace("sites:\n", extra), "utf-8")
    with pytest.raises(Mistakes) as caught:
        compiler.compile_plan(str(folder), tmp_path / "state")
    assert any(m.code == "JB1411" and prohibition in m.what for m in caught.value.found)


def _copy(name: str, folder: Path) -> None:
    folder.mkdir()
    source = Path(plans.load(name).documents["plan.yml"].file)
    (folder / "plan.yml").write_bytes(source.read_bytes())
