"""Each rule and its exemptions on plans: what a plan can say is compiled and judged, or refused by the plan's own check before.

Of two rules no plan can say the violation, so that only the graphs of test_policy.py do: a host of a plan stands in one zone, and the
ledger takes the addresses of its services out of that zone's prefix. NO-16 by a line is another: lines of a plan join routers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ground.mistake import Mistakes
from ip_plan.compile import compile_plan
from ip_plan.folder import folder_of
from ip_plan.network import Network, load
from stacks import program
from stacks.policy import rules
from stacks.policy.rules import Graph

Case = tuple[dict[str, Any], Mapping[str, Mapping[str, str]], str]
"""Keys of plan.yml; file of the national plan → what is replaced in it; the rule, or the code with the NO- id, that refuses it."""
PROVINCE, YINCHUAN, WUZHONG = "640000", "640100", "640300"


def kept(*businesses: str, of: Sequence[str] = (YINCHUAN,), at: str = PROVINCE) -> dict[str, Any]:
    rows = [{"centre": at, "businesses": list(businesses), "regions": list(of), "reason": "sample"}]
    return {"businesses": rows}


def sites(old: str, new: str) -> Mapping[str, Mapping[str, str]]:
    return {"sites.yml": {old: new}}


OFFICE = "level: township\n    zones: [access, management]"
KEEPER = "{zone: backup, duties: [repository], services: [repo]}"
DR = "{kind: dr, level: prefecture, zones: [backup], clause: x}"
ROW = "  - id: FL-06-in\n"
BYPASS = f"  - {{id: BYPASS, flow: FL-06, from: exchange, to: production, relation: serving-parent, to_service: app, reason: x x}}\n{ROW}"
CASES: dict[str, Case] = {
    "each keeps its own": ({}, {}, ""),
    "a city's medical insurance at the province": (kept("medical"), {}, "NO-19"),
    "one business of many": (kept("employment", "pension", "skills"), {}, "NO-19"),
    "of a city beside a hosted one": (kept("wages") | {"hosted": [WUZHONG]}, {}, "NO-19"),
    "of a hosted prefecture (S3 二(三)1)": ({"hosted": [WUZHONG]}, {}, ""),
    "of a whole-province centre (S3 二(三)2)": ({"hosted": [YINCHUAN, WUZHONG]}, {}, ""),
    "employment at the province (S4 四(二))": (kept("employment", of=(YINCHUAN, WUZHONG)), {}, ""),
    "the provincial pension database (S2 二(一)2)": (kept("pension", of=(YINCHUAN, WUZHONG)), {}, ""),
    "a counter in the decision zone": (
        {"extra_hosts": [{"region": YINCHUAN, "zone": "decision", "duties": ["terminal"], "reason": "sample"}]}, {}, "NO-17",
    ),
    "databases without a repository host": ({}, sites(KEEPER, KEEPER.replace("repository", "database")), "backup-target"),
    "an exchange zone at an office": ({}, sites(OFFICE, f"{OFFICE[:-1]}, exchange]"), "JB1411 NO-08"),
    "a production zone at an office": ({}, sites(OFFICE, f"{OFFICE[:-1]}, production]"), "JB1411 NO-09"),
    "a row past the exchange zone": ({}, {"flows.yml": {ROW: BYPASS}}, "JB1410 NO-16"),
    "a DR centre of a city": ({}, sites("hosts:\n", f"  - {DR}\nhosts:\n"), "JB1411 NO-21"),
}  # fmt: skip


def plan(folder: Path, more: Mapping[str, Any], edits: Mapping[str, Mapping[str, str]]) -> Path:
    """The pilot's ministry, province and cities as a plan of their own, with what a case does to it."""
    said = {
        "name": "judged", "title": "x", "scope_text": "x", "base": "national",
        "scope": [{"region": code} for code in ("000000", PROVINCE, YINCHUAN, WUZHONG)],
    }  # fmt: skip
    folder.mkdir()
    (folder / "plan.yml").write_bytes(msgspec.yaml.encode(said | dict(more)))
    for file, changes in edits.items():
        text = (folder_of("national")[0] / file).read_text("utf-8")
        for old, new in changes.items():
            assert text.count(old) == 1
            text = text.replace(old, new)
        (folder / file).write_text(text, "utf-8")
    return folder


def graphs(network: Network) -> list[Graph]:
    every = {name for site in network.sites.values() for name in site.devices}
    return [
        Graph(
            stack.hosts,
            tuple(zone.segment for each in stack.premises for zone in each.zones),
            (*stack.lines, *(cable for each in stack.premises for cable in each.cables)),
        )
        for stack in program.stacks(network, every)
    ]


@pytest.mark.parametrize("name", CASES)
def test_a_plan_is_refused_with_the_clause_or_accepted(name: str, tmp_path: Path) -> None:
    more, edits, refused = CASES[name]
    folder = plan(tmp_path / "plan", more, edits)
    if refused.startswith("JB"):
        code, prohibition = refused.split()
        with pytest.raises(Mistakes) as caught:
            compile_plan(str(folder), tmp_path / "state")
        clause = next(rule.clause for rule in rules.RULES if rule.id == prohibition)
        assert any(each.code == code and f"{prohibition} ({clause})" in each.what for each in caught.value.found)
        return
    network = load(compile_plan(str(folder), tmp_path / "state").network)
    found = [violation for graph in graphs(network) for violation in rules.violations(graph)]
    assert {rule.id for rule, _ in found} == ({refused} if refused else set())
    assert all(rule.clause in rule.message(finding) for rule, finding in found)
    if refused == "NO-19":
        moved = more["businesses"][0]
        assert [finding for _, finding in found] == [
            (f"{PROVINCE}-prod1", f"{business} of {YINCHUAN}")
            for business in sorted(moved["businesses"])
            if business not in ("employment", "pension")
        ]


def test_every_rule_that_a_plan_can_break_is_broken_by_one() -> None:
    judged = {refused.split()[-1] for _, _, refused in CASES.values() if refused}
    assert {rule.id for rule in rules.RULES} - judged == {"two-zones", "zone-prefix"}


def test_a_business_is_kept_once_and_where_the_plan_says(tmp_path: Path) -> None:
    """Whatever rows and hosted prefectures say, each business of each region stands in one production database."""
    more = kept("employment", "pension", of=(YINCHUAN,)) | {"hosted": [WUZHONG]}
    network = load(compile_plan(str(plan(tmp_path / "plan", more, {})), tmp_path / "state").network)
    hosts = {host.name: host for graph in graphs(network) for host in graph.hosts if host.handles}
    assert sorted(hosts) == [f"{PROVINCE}-prod1", f"{YINCHUAN}-prod1"]
    listed = [each for host in hosts.values() for each in host.handles]
    assert len(listed) == len(set(listed)) == 7 * 3
    city = hosts[f"{YINCHUAN}-prod1"]
    assert set(city.handles) == {f"{each} {YINCHUAN}" for each in ("injury", "medical", "relations", "skills", "wages")}
    assert hosts[f"{PROVINCE}-prod1"].serves == (WUZHONG,) and not hosts[f"{PROVINCE}-prod1"].whole_province
