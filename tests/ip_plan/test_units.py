"""The ministry and two provinces, each with a plan and a ledger of its own: together they are the Network of one plan."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from ground.mistake import Mistakes
from inventory import render
from ip_plan import cli, ledger
from ip_plan import plan as plans
from ip_plan.compile import compile_plan
from ip_plan.network import load
from tests.ip_plan import nation
from tests.ip_plan.test_change import UNIVERSE

PROVINCES = ("110000", "120000")
ROWS = [nation.row(code, f"名{code}", "same" if code.endswith("00") else f"r{code}") for code in UNIVERSE]
MINISTRY = {"scope": [{"region": "000000"}], "units": [{"region": code} for code in PROVINCES]}
REPORTED = {
    "scope": [{"region": "000000"}],
    "units": [{"region": code, "report": f"{code[:2]}-report.json"} for code in PROVINCES],
}


def make(folder: Path, **changes: Any) -> Path:
    """Compile a plan over the small nation; returns where its Network lies."""
    nation.write(folder, ROWS, **changes)
    return compile_plan(str(folder), folder / "state", executor=nation.Inline()).network


def own(code: str) -> dict[str, Any]:
    return {"scope": [{"region": code, "below": True}], "grants": f"{code[:2]}-grants.json"}


def hand(source: Path, target: Path) -> None:
    run = CliRunner().invoke(cli.app, ["grants", str(target), "--plan", str(source), "--state", str(source / "state")])
    assert run.exit_code == 0, run.output


def together(folder: Path) -> dict[str, Path]:
    """The ministry grants, the provinces compile and report, the ministry compiles with their reports."""
    networks = {}
    make(folder / "00", **MINISTRY)
    for code in PROVINCES:
        hand(folder / "00", folder / code[:2])
        networks[code[:2]] = make(folder / code[:2], **own(code))
        hand(folder / code[:2], folder / "00")
    networks["00"] = make(folder / "00", **REPORTED)
    return networks


def test_the_units_together_are_the_whole(tmp_path: Path) -> None:
    whole = make(tmp_path / "whole")
    units = together(tmp_path)
    for shard, network in units.items():
        assert sorted(path.stem for path in network.glob("[0-9]*.json")) == [shard]
        assert (network / f"{shard}.json").read_bytes() == (whole / f"{shard}.json").read_bytes()
        book = f"ledger/{shard}.tsv"
        assert (tmp_path / shard / book).read_bytes() == (tmp_path / "whole" / book).read_bytes()
        one, other = load(network), load(whole)
        rendered = [
            {each.tree.device: each for each in render.render(n, provinces=[shard], lab=False)} for n in (one, other)
        ]
        assert rendered[0] == rendered[1] and rendered[0]
    held = nation.ledger_bytes(tmp_path)
    assert together(tmp_path).keys() == units.keys() and nation.ledger_bytes(tmp_path) == held, (
        "done again: nothing new"
    )


def test_a_unit_grows_without_the_ministry(tmp_path: Path) -> None:
    together(tmp_path)
    host = {"region": "110100", "zone": "access", "duties": ["terminal"], "reason": "one more counter"}
    make(tmp_path / "11", **own("110000"), extra_hosts=[host])
    hand(tmp_path / "11", tmp_path / "00")
    held = (tmp_path / "00" / "ledger" / "00.tsv").read_bytes()
    make(tmp_path / "00", **REPORTED)
    assert (tmp_path / "00" / "ledger" / "00.tsv").read_bytes() == held


def test_a_block_that_is_full_is_asked_for_and_granted(tmp_path: Path) -> None:
    """The small nation's blocks hold what its division data count; three more counties ask for more than that."""
    together(tmp_path)
    codes = [f"1101{n:02}" for n in range(20, 80)]
    more = [*ROWS, *(nation.row(code, f"名{code}", f"r{code}") for code in codes)]

    def attempt() -> None:
        nation.write(tmp_path / "11", more, **own("110000"))
        compile_plan(str(tmp_path / "11"), tmp_path / "11" / "state", executor=nation.Inline())

    given: list[dict[str, Any]] = []
    for _ in range(20):
        try:
            attempt()
        except Mistakes as wrong:
            (mistake,) = wrong.found
            assert mistake.code == "JB1336" and mistake.line
            length = int(mistake.what.rpartition("/")[2])
            given.append({"family": 6 if "IPv6" in mistake.what else 4, "length": length, "reason": "more counties"})
            units = [{"region": "110000", "further": given}, {"region": "120000"}]
            make(tmp_path / "00", scope=[{"region": "000000"}], units=units)
            hand(tmp_path / "00", tmp_path / "11")
        else:
            break
    assert given, "nothing was ever full: the plan proves nothing"
    attempt()
    book = ledger.read(tmp_path / "00" / "ledger", "00")[0]
    assert sum(key.startswith("110000#") for key in book.of("province")) == len(given)


def edit(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change a handed file and seal it anew, as somebody who means it would."""
    from ip_plan import units

    value = msgspec.json.decode(path.read_bytes())
    change(value)
    type_: Any = units.Grant if "ledger" in value else units.Report
    path.write_bytes(msgspec.json.encode(units.sealed(msgspec.convert(value, type_))))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def by_hand(path: Path) -> None:
    path.write_text(path.read_text("utf-8").replace('"plan": "small"', '"plan": "large"'), "utf-8")


def as_report(path: Path) -> None:
    edit(path, lambda value: value.update(form="jinbao report 1"))


def another_root(path: Path) -> None:
    edit(path, lambda value: value["terms"].update(root="other.internal"))


def another_unit(path: Path) -> None:
    shutil.copy(path.with_name("12-grants.json"), path)


def older(path: Path) -> None:
    edit(path, lambda value: value["ledger"].pop())


def contradicting(path: Path) -> None:
    def change(value: dict[str, Any]) -> None:
        place = next(i for i, line in enumerate(value["ledger"]) if line.startswith("province\t110000\t"))
        value["ledger"][place] = value["ledger"][place].replace("10.", "10.1", 1)

    edit(path, change)


@pytest.mark.parametrize(
    ("spoil", "code", "said"),
    [
        (Path.unlink, "JB1330", "cannot be read: No such file"),
        (cut, "JB1330", "is damaged"),
        (by_hand, "JB1330", "is not what its seal was made over"),
        (as_report, "JB1330", "`jinbao grants 1` is asked for"),
        (another_root, "JB1331", "its root is other.internal, here it is jinbao.internal"),
        (another_unit, "JB1332", "grants to 120000, and the plan's scope is 110000"),
        (older, "JB1333", "is older than the ledger: it lacks zone 000000:centre1:management (1 lines)"),
        (contradicting, "JB1334", "contradicts the ledger: province 110000 is "),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_grant_file_that_cannot_be_taken(tmp_path: Path, spoil: Callable[[Path], Any], code: str, said: str) -> None:
    make(tmp_path / "00", **MINISTRY)
    hand(tmp_path / "00", tmp_path / "11")
    make(tmp_path / "11", **own("110000"))
    held = nation.ledger_bytes(tmp_path / "11")
    spoil(tmp_path / "11" / "11-grants.json")
    with pytest.raises(Mistakes) as caught:
        make(tmp_path / "11", **own("110000"))
    (mistake,) = caught.value.found
    assert (mistake.code, mistake.file) == (code, str(tmp_path / "11" / "plan.yml")) and mistake.line
    assert said in mistake.what
    assert nation.ledger_bytes(tmp_path / "11") == held, "nothing was written"


def test_a_report_that_does_not_fit(tmp_path: Path) -> None:
    together(tmp_path)
    path = tmp_path / "00" / "11-report.json"
    good = path.read_bytes()

    def refused() -> set[str]:
        with pytest.raises(Mistakes) as caught:
            make(tmp_path / "00", **REPORTED)
        return {f"{mistake.code} {mistake.what}" for mistake in caught.value.found}

    edit(path, lambda value: value["uplinks"][0]["interface"].update(v4="10.255.255.0/31"))
    assert refused() == {"JB1335 uses 10.255.255.0/31, which lies in no block of 110000"}
    path.write_bytes(good)
    edit(path, lambda value: value["top"]["region"].update(label="other"))
    assert refused() == {"JB1335 has the label other, and same was granted"}
    shutil.copy(path.with_name("12-report.json"), path)
    assert refused() == {"JB1331 is the report of 120000, and named as that of 110000"}


def test_a_plan_without_units_hands_nothing_over(tmp_path: Path) -> None:
    make(tmp_path / "whole")
    run = CliRunner().invoke(
        cli.app, ["grants", str(tmp_path), "--plan", str(tmp_path / "whole"), "--state", str(tmp_path / "state")]
    )
    assert run.exit_code == 2 and "JB1337" in run.output


def test_units_that_cannot_be(tmp_path: Path) -> None:
    units = [{"region": "110100"}, {"region": "120000"}, {"region": "120000"}]
    nation.write(tmp_path, ROWS, scope=[{"region": "000000"}], units=units)
    with pytest.raises(Mistakes) as caught:
        plans.load(str(tmp_path))
    assert [mistake.code for mistake in caught.value.found] == ["JB1338", "JB1338"]
