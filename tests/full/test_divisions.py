"""Administrative changes of the nation, one after the other, drawn at random and real ones: no address moves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ip_plan import plan as plans
from tests.ip_plan import administration
from tests.ip_plan.test_divisions import divisions_are_read_once as divisions_are_read_once
from tests.ip_plan.test_divisions import follow, real

STEPS = int(os.environ.get("JINBAO_STEPS") or 200)


@pytest.mark.timeout(3 * 3600)
def test_random_changes_of_the_nation_move_no_address(tmp_path: Path) -> None:
    plan = plans.load(administration.write(tmp_path / "plan", "all", []))
    provinces = [row.code for row in plan.regions.values() if row.level == "province"]
    draw = administration.Draw(plan, provinces, seed=1)
    follow(tmp_path / "plan", "all", (draw.next() for _ in range(STEPS)), whole=25)


@pytest.mark.timeout(3 * 3600)
def test_the_changes_since_the_table_was_made_move_no_address(tmp_path: Path) -> None:
    follow(tmp_path / "plan", "all", real(), whole=25)
