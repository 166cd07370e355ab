"""Use and reserve, counted by hand on a small plan; the year a block runs out; what villages would take."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from typer.testing import CliRunner

from ground.mistake import Mistakes
from ip_plan import addressing, cli, ledger
from ip_plan import plan as plans
from ip_plan.compile import compile_plan
from ip_plan.forecast import Forecast, Use, forecast, runs_out
from ip_plan.layout import lay_out
from tests.ip_plan import nation

CODES = ("110000", "110100", "110101", "110101101", "110101102")


def lay(folder: Path, growth: dict[str, Any] | None = None, villages: int = 0) -> str:
    """Beijing as a province with one city, one county and two townships, each with so many villages."""
    plan = nation.write(folder, [nation.row(code, f"名{code}", f"r{code}") for code in CODES])
    table = (plan / "regions.csv").read_text("utf-8").splitlines()
    table = [f"{line[:-4]},1,{villages - 1}" if ",township," in line and villages else line for line in table]
    (plan / "regions.csv").write_text("\n".join(table) + "\n", "utf-8")
    sizes = yaml.safe_load((plan / "addressing.yml").read_text("utf-8"))
    sizes.pop("growth_per_year")
    sizes |= {"growth_per_year": growth} if growth else {}
    (plan / "addressing.yml").write_text(yaml.safe_dump(sizes, allow_unicode=True), "utf-8")
    compile_plan(str(plan), folder / "state", executor=nation.Inline())
    return str(plan)


def said(name: str, villages: int | None = None, region: str = "") -> Forecast:
    plan = plans.load(name)
    return forecast(plan, lay_out(plan), partial(ledger.held, Path(name) / "ledger"), 2026, villages, region)


def of(found: Forecast, level: str, region: str, family: int) -> Use:
    return next(u for u in found.uses if (u.level, u.region, u.family) == (level, region, family))


def test_use_is_what_the_ledger_granted_and_the_rest_is_reserve(tmp_path: Path) -> None:
    name = lay(tmp_path / "plan", {"value": 0.1, "reason": "one in ten"})
    found = said(name)
    book = ledger.held(Path(name) / "ledger", "11")
    city = of(found, "unit", "110100", 4)
    inside = [
        addressing.parse(grant[0], 4)
        for kind in ("zone", "infra")
        for key, grant in book.of(kind).items()
        if key.startswith(("1101", "110101"))
    ]
    assert city.granted == sum(addressing.size(length, 4) for _, length in inside)
    assert city.size == sum(addressing.size(addressing.parse(block, 4)[1], 4) for block in city.blocks)
    assert city.share == city.granted / city.size
    free = city.size - city.granted
    assert all(count * addressing.size(length, 4) <= free for length, count in city.room.items())
    # A /36 for the province's own sites and one for its city; a /28 for it and one for the ministry.
    province = of(found, "province", "110000", 6)
    assert (province.size, province.granted) == (2.0**100, 2 * 2.0**92)
    assert province.room == {36: 254} and province.largest == 29
    assert of(found, "nation", "", 6).room == {28: 254}
    assert (found.growth, found.growth_reason, found.year) == (0.1, "one in ten", 2026)
    assert city.runs_out is not None and city.granted * 1.1 ** (city.runs_out - 2026) > city.size
    assert city.granted * 1.1 ** (city.runs_out - 1 - 2026) <= city.size


@pytest.mark.parametrize(
    ("granted", "size", "growth", "year"),
    [(64, 64, 0.5, 2027), (50, 100, 1.0, 2028), (1, 8, 1.0, 2030), (99, 100, 0.02, 2027), (0, 100, 0.02, None)],
)
def test_the_first_year_whose_need_is_larger(granted: int, size: int, growth: float, year: int | None) -> None:
    assert runs_out(granted, size, growth, 2026) == year


def test_a_plan_without_growth_gets_no_year(tmp_path: Path) -> None:
    found = said(lay(tmp_path / "plan"))
    assert found.growth is None and {use.runs_out for use in found.uses} == {None}


def test_what_is_gone_stays_taken(tmp_path: Path) -> None:
    name = lay(tmp_path / "plan")
    before = of(said(name), "unit", "110100", 4)
    table = Path(name) / "regions.csv"
    table.write_text("".join(line for line in table.read_text().splitlines(True) if "110101102" not in line))
    compile_plan(name, tmp_path / "plan" / "state", executor=nation.Inline())
    after = of(said(name), "unit", "110100", 4)
    assert (after.granted, after.size) == (before.granted, before.size)


def test_villages_take_a_prefix_each_and_say_what_is_lacking(tmp_path: Path) -> None:
    name = lay(tmp_path / "plan", villages=40)
    found = said(name, villages=10)
    city = of(found, "unit", "110100", 4)
    assert city.further is not None
    # 10 terminals and 3 addresses that nobody gets: 16.
    assert (city.further.villages, city.further.length) == (80, 28)
    fitting = city.room.get(28, 0)
    lacking = (80 - fitting) * 16
    assert lacking > 0 and city.further.lacking == addressing.length_for(lacking, 4)
    province = of(found, "province", "110000", 4)
    assert province.further is not None and province.further.villages == 80
    six = of(found, "unit", "110100", 6)
    assert six.further is not None and (six.further.length, six.further.lacking) == (64, None)
    assert all(use.further is None for use in said(name).uses)


def test_more_villages_than_a_township_has_prefixes_take_another_area(tmp_path: Path) -> None:
    found = said(lay(tmp_path / "plan", villages=4095), villages=10)
    six = of(found, "unit", "110100", 6)
    assert six.further is not None and six.further.lacking is None, "the unit has areas to spare"
    assert of(found, "unit", "110100", 4).further.lacking is not None  # type: ignore[union-attr]


def test_one_region_and_the_commands_answer(tmp_path: Path) -> None:
    name = lay(tmp_path / "plan", {"value": 0.02, "reason": "sample: nobody knows"})
    assert {use.region for use in said(name, region="110000").uses} == {"110000", "110000:home", "110100"}
    assert {use.region for use in said(name, region="110100").uses} == {"110100"}
    with pytest.raises(Mistakes, match="JB1326"):
        said(name, region="110101")
    run = CliRunner()
    table = run.invoke(cli.app, ["forecast", "--plan", name, "--villages", "10"])
    assert table.exit_code == 0
    assert "growth: 2.0% a year from 20" in table.output and "sample: nobody knows" in table.output
    data = run.invoke(cli.app, ["forecast", "--plan", name, "--region", "110000", "--format", "json"])
    assert len(msgspec.json.decode(data.stdout, type=Forecast).uses) == 6
    empty = run.invoke(cli.app, ["forecast", "--plan", "pilot", "--state", str(tmp_path / "none")])
    assert empty.exit_code == 2
