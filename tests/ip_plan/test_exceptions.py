"""Exceptions: rows until their last day, left out after it, never against a prohibition."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from ground import clock
from ground.mistake import Mistakes
from ip_plan import compile as compiler
from ip_plan import plan as plans
from ip_plan import zones
from ip_plan.network import Network, load
from ip_plan.zones import End

LAST = date(2026, 11, 30)
ASKED: dict[str, Any] = {
    "id": "EX-7",
    "requester": "银川市信息中心",
    "reason": "a counter's terminals are maintained from the city's access zone",
    "approver": "宁夏人社厅",
    "ticket": "NX-2026-114",
    "expires": LAST,
    "from": "access",
    "to": "access",
    "relation": "served-child",
    "ports": ["tcp/8443"],
    "regions": ["640121"],
}
CITY, COUNTY, OTHER = "640100:centre1", "640121:office1", "640104:office1"


def lay(folder: Path, *exceptions: dict[str, Any], **changes: Any) -> str:
    """The pilot with these exceptions, in `folder`."""
    folder.mkdir(exist_ok=True)
    plan = yaml.safe_load(Path(plans.load("pilot").documents["plan.yml"].file).read_text("utf-8"))
    plan |= {"exceptions": list(exceptions), **changes}
    (folder / "plan.yml").write_text(yaml.safe_dump(plan, allow_unicode=True), "utf-8")
    return str(folder)


def compiled(plan: str, state: Path, today: date) -> Network:
    return load(compiler.compile_plan(plan, state, today=today).network)


def opens(network: Network, office: str, port: str = "tcp/8443") -> zones.Verdict:
    return zones.verdict(network, End(CITY, "access"), End(office, "access"), port)


def test_an_exception_wins_over_the_row_that_denies_and_only_where_it_says(tmp_path: Path) -> None:
    network = compiled(lay(tmp_path / "plan", ASKED), tmp_path, LAST)
    verdict = opens(network, COUNTY)
    assert verdict.allow and verdict.row and verdict.row.id == "EX-7"
    for paper in ("NX-2026-114", "银川市信息中心", "宁夏人社厅", "2026-11-30"):
        assert paper in verdict.row.reason
    for denied in (opens(network, OTHER), opens(network, COUNTY, "tcp/22")):
        assert not denied.allow and denied.row and denied.row.id == "DENY-ACCESS"
    everywhere = {key: value for key, value in ASKED.items() if key != "regions"}
    network = compiled(lay(tmp_path / "plan", everywhere), tmp_path, LAST)
    assert opens(network, COUNTY).allow and opens(network, OTHER).allow


def test_it_holds_through_its_last_day_and_its_end_is_told_by_name(tmp_path: Path) -> None:
    plan = lay(tmp_path / "plan", ASKED)
    assert opens(compiled(plan, tmp_path, LAST), COUNTY).allow
    assert compiler.difference(plan, tmp_path, today=LAST).changes == ()
    after = LAST + timedelta(days=1)
    found = compiler.difference(plan, tmp_path, today=after)
    assert [(c.kind, c.thing, c.key) for c in found.changes] == [
        ("removed", "exception", "EX-7 access → access (served-child)")
    ]
    assert found.ended == ("EX-7 ended on 2026-11-30 (NX-2026-114, 银川市信息中心) and is left out",)
    # Its filters change, and the plan's limit is not for that.
    assert (found.whole.devices, found.whole.counted) == (2, 0)
    assert not opens(compiled(plan, tmp_path, after), COUNTY).allow
    assert compiler.difference(plan, tmp_path, today=after).changes == ()


def test_an_end_that_reaches_every_office_needs_no_confirmation(tmp_path: Path) -> None:
    everywhere = {key: value for key, value in ASKED.items() if key != "regions"}
    plan = lay(tmp_path / "plan", everywhere)
    compiled(plan, tmp_path, LAST)
    found = compiler.difference(plan, tmp_path, today=LAST + timedelta(days=1))
    assert found.whole.devices > found.whole.existing / 2 and found.whole.counted == 0
    assert not opens(compiled(plan, tmp_path, LAST + timedelta(days=1)), COUNTY).allow


def test_the_key_of_a_plan_follows_what_is_in_force_and_not_the_clock(tmp_path: Path) -> None:
    plan = lay(tmp_path / "plan", ASKED)
    keys = [plans.load(plan, LAST + timedelta(days=days)).key for days in (-9, 0, 1, 300)]
    assert keys[0] == keys[1] != keys[2] == keys[3]


@pytest.mark.parametrize(
    ("days", "code"),
    [(-1, "JB1324"), (0, "JB1323"), (14, "JB1323"), (15, ""), (90, ""), (91, "JB1322")],
)
def test_a_last_day_is_past_or_near_or_too_far(tmp_path: Path, days: int, code: str) -> None:
    plan = lay(tmp_path / "plan", ASKED | {"expires": (LAST + timedelta(days=days)).isoformat()})
    try:
        found = plans.load(plan, LAST).warnings
    except Mistakes as mistakes:
        found = tuple(mistakes.found)
    assert [mistake.code for mistake in found] == ([code] if code else [])
    assert all(mistake.object == "EX-7" and mistake.line for mistake in found)


def test_the_plan_says_how_far_ahead_is_too_far(tmp_path: Path) -> None:
    plan = lay(tmp_path / "plan", ASKED, exception_days={"value": 5, "reason": "the office's own rule"})
    with pytest.raises(Mistakes, match="the plan allows 5 \\(the office's own rule\\)"):
        plans.load(plan, LAST - timedelta(days=6))


def test_the_day_is_that_of_china(monkeypatch: pytest.MonkeyPatch) -> None:
    class Evening(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime(2026, 11, 30, 16, 0, tzinfo=UTC).astimezone(tz)

    monkeypatch.setattr(clock, "datetime", Evening)
    assert clock.today() == date(2026, 12, 1)
