"""A plan diff, who agreed to it, the deployment and the check after it have one id in the evidence."""

from __future__ import annotations

from pathlib import Path

import msgspec

from ground import remote
from ground.record import Subject
from ip_plan.change import Difference
from ip_plan.compile import compile_plan, difference
from ip_plan.network import Network, load
from monitoring.checks.look import Look, tool
from monitoring.evidence import log, verify
from playbooks import evidence
from playbooks.deploy import Change, Outcome, Plan
from tests.ip_plan import nation
from tests.ip_plan.test_change import UNIVERSE

AT = "twin:one"
ROWS = [nation.row(code, f"名{code}", f"r{code}") for code in UNIVERSE if code.startswith("11")]


def changed(folder: Path, approver: str = "") -> tuple[Difference, Network]:
    """A plan compiled, and compiled again without one city's backup line."""
    nation.write(folder, ROWS)
    first = compile_plan(str(folder), folder / "state", executor=nation.Inline())
    assert first.change == load(first.network).change == "", "there is nothing that the first compile changes"
    nation.write(folder, ROWS, without=[{"region": "110100", "rank": "backup", "reason": "not there yet"}])
    announced = difference(str(folder), folder / "state", executor=nation.Inline())
    outcome = compile_plan(str(folder), folder / "state", approver=approver, executor=nation.Inline())
    assert announced.id == outcome.change
    return announced, load(outcome.network)


def test_one_id_from_the_diff_to_the_check(tmp_path: Path) -> None:
    announced, network = changed(tmp_path / "plan", "处长")
    assert len(announced.id) == 12
    seen = Plan(
        "small", AT, ("110100-r1", "110100-fw1", "110000-r2"), 9, (Change("110100-r1", "/etc/a", "content"),), (), 1.0
    )
    ran = {"ok": 3, "changed": 1}
    outcome = Outcome(2, 9.0, {"110100-r1": ran, "110100-fw1": ran}, {"110100-fw1": "refused"}, {}, tmp_path / "log")
    made, details = evidence.records(seen, outcome, network)
    session = remote.session({})
    try:
        look = Look(network, session, AT)
        made.append(look.record("c.d", Subject("110100"), "pass", "it is", method="looked", key=()))
    finally:
        remote.close(session)
    assert {each.change for each in made} == {announced.id}
    assert [(each.check, each.result) for each in made] == [
        ("deploy.device", "pass"), ("deploy.device", "fail"), ("deploy.device", "not-observed"), ("plan.change", "pass"),
        ("c.d", "pass"),
    ]  # fmt: skip
    assert made[3].reason.startswith("处长 agreed: ") and "2 of " in made[3].reason
    assert msgspec.json.decode(details[0])["id"] == announced.id
    log.of(tmp_path, AT, tool()).add(made, details)
    assert verify.judge(log.folder(tmp_path, AT)).findings == ()


def test_the_id_comes_from_the_content_alone(tmp_path: Path) -> None:
    one, network = changed(tmp_path / "one")
    other, _ = changed(tmp_path / "other", "处长")
    assert one.id == other.id
    again = compile_plan(str(tmp_path / "one"), tmp_path / "one" / "state", executor=nation.Inline())
    assert again.change == "" and load(again.network).change == one.id, (
        "done again: nothing changes, and it is known why"
    )
    nobody, _ = evidence.records(Plan("small", AT, (), 9, (), (), 1.0), Outcome(0, 0, {}, {}, {}, tmp_path), network)
    assert [(each.check, each.result) for each in nobody] == [("plan.change", "not-observed")]
    nation.write(tmp_path / "one", ROWS)
    back = compile_plan(str(tmp_path / "one"), tmp_path / "one" / "state", executor=nation.Inline())
    assert back.change not in ("", one.id), "the way back is another change"
