"""Two hundred administrative changes of the nation, one after the other: no address moves."""

from __future__ import annotations

from pathlib import Path

import pytest

from ip_plan import plan as plans
from tests.ip_plan.test_divisions import follow


@pytest.mark.timeout(3 * 3600)
def test_random_changes_of_the_nation_move_no_address(tmp_path: Path) -> None:
    rows = plans.load("national").regions.values()
    provinces = [row.code for row in rows if row.level == "province"]
    follow(tmp_path / "plan", "all", provinces, seed=1, steps=200)
