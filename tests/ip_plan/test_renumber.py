"""Renumbering: each stage changes what it says and nothing else, and what was given up is kept from everybody for a while."""

from __future__ import annotations

import itertools
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from ground.mistake import Mistakes
from ip_plan import addressing, cli, divisions, ledger
from ip_plan import grants as granting
from ip_plan.compile import compile_plan, difference
from ip_plan.network import Network, load
from ip_plan.schema import STAGES
from tests.ip_plan import nation
from tests.ip_plan.test_change import COUNTIES, TOWNSHIPS, UNIVERSE, addresses, told
from tests.ip_plan.test_change import difference as two

SAID = {"since": "2026-10-01", "reason": "区划调整"}
MOVE = {"kind": "move", "region": "110101", "to": "110200", **SAID}
ROWS = [nation.row(code, f"名{code}", f"r{code}") for code in UNIVERSE if code.startswith("11")]
TERMINALS = [
    {"region": code, "zone": "access", "duties": ["terminal"], "reason": "a counter"}
    for code in ("110101", "110101101", "110102", "110102101")
]


class Story:
    """A plan whose change table grows, compiled after every edit."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.today = folder, date(2026, 10, 1)
        self.changes: list[dict[str, Any]] = []
        self.compile()
        self.changes.append(dict(MOVE))

    def compile(self) -> Network:
        outcome = compile_plan(self.write(), self.folder / "state", today=self.today, executor=nation.Inline())
        return load(outcome.network)

    def write(self) -> str:
        nation.write(self.folder, ROWS, changes=self.changes, extra_hosts=TERMINALS)
        sizes = self.folder / "addressing.yml"
        sizes.write_text(sizes.read_text().replace(": 29\n", ": 27\n"))  # room for hosts
        return str(self.folder)

    def renumber(self, regions: list[str], stage: str, since: str = "2026-11-01") -> None:
        row = {"kind": "renumber", "regions": regions, "stage": stage, "since": since, "reason": "moved"}
        held = [i for i, each in enumerate(self.changes) if each.get("regions") == regions]
        self.changes[held[0] if held else len(self.changes) :] = [row]

    def book(self) -> ledger.Ledger:
        return ledger.read(self.folder / "ledger", "11")[0]


def owners(network: Network) -> dict[str, str]:
    """Device or site → its region."""
    sites = {site.key: site.region for site in network.sites.values()}
    return sites | {device.name: sites[device.site] for device in network.devices.values()}


def lines(network: Network, regions: list[str]) -> set[str]:
    """Devices at the other end of the lines of some regions: their interfaces follow."""
    at = owners(network)
    return {
        name
        for link in network.links.values()
        for name in (link.a, link.b)
        if link.kind != "inside" and at.get(link.b) in regions
    }


def walk(story: Story, regions: list[str]) -> None:
    """All stages; at each, what was announced is what changed, and only in these regions."""
    before = story.compile()
    start = addresses(before)
    away = {r for r in regions if any(site.region == r and site.holder for site in before.sites.values())}
    for stage in STAGES:
        story.renumber(regions, stage)
        announced = difference(story.write(), story.folder / "state", today=story.today, executor=nation.Inline())
        after = story.compile()
        assert told(announced) == two(before, after), stage
        at, ends = owners(after), lines(after, regions)
        old, new = addresses(before), addresses(after)
        moved = {name for name in old.keys() & new.keys() if old[name] != new[name] and name[0] != "second"}
        foreign = {
            name
            for name in moved
            if at[name[1].split(" ")[0].rpartition(":")[0] or name[1].split(" ")[0]] not in regions
        }
        assert all(name[0] == "interface" and name[1].split(" ")[0] in ends for name in foreign), (stage, foreign)
        second = {each.site: each for shard in after.shards for each in shard.second if not each.device}
        if stage == "both":
            assert not moved, "stage `both` only adds"
            assert {at[key] for key in second} == set(regions)
            # A city that is full gets a further block beside its others.
            others = [c for c in announced.changes if not (c.thing == "region" and c.field.startswith("blocks"))]
            assert {(c.kind, c.thing) for c in others} == {("added", "second")}
        elif stage == "new":
            zones = {name[1].rpartition(":")[0] for name in moved if name[0] == "zone"}
            assert {at[key] for key in zones} == set(regions)
            for site in after.sites.values():
                for zone in site.zones if site.region in regions else ():
                    each = after.second[site.key, zone.name]
                    assert each.v4 == start["zone", f"{site.key}:{zone.name}", "v4"], "the old ones are answered on"
        else:
            assert not second and not moved
            assert {c.thing for c in announced.changes} <= {"second", "site", "region"}
            assert all(c.kind == "removed" for c in announced.changes if c.thing == "second")
        before = after
    assert not {site.region for site in before.sites.values() if site.holder} & away
    for site in before.sites.values():
        for zone in site.zones if site.region in regions else ():
            assert zone.v4 != start["zone", f"{site.key}:{zone.name}", "v4"]
            assert zone.v6 != start["zone", f"{site.key}:{zone.name}", "v6"]
    assert {name: site.domain for name, site in before.sites.items()} == {
        name: site.domain for name, site in story.compile().sites.items()
    }


def free_of_overlap(book: ledger.Ledger, now: Network) -> None:
    """No two grants of a kind share an address, those that wait for the end of their quarantine included."""
    for kind in ("zone", "loop", "link"):
        for family in (4, 6):
            spans = sorted(addressing.parse(grant[family == 6], family) for grant in book.of(kind).values())
            for one, other in itertools.pairwise(spans):
                assert not addressing.overlap(one, other, family), (kind, one, other)


COUNTY = ["110101", "110101101", "110101102"]


def test_a_county_that_moved_is_renumbered_and_leaves_the_list(tmp_path: Path) -> None:
    story = Story(tmp_path)
    before = story.compile()
    assert [each.region for each in divisions.moved(before, [])] == ["110101"]
    walk(story, COUNTY)
    after = story.compile()
    assert divisions.moved(after, []) == []
    zone = after.sites["110101:office1"].zones[0]
    city = [addressing.parse(text, 4) for text in after.regions["110200"].blocks4]
    assert any(addressing.contains(block, addressing.parse(zone.v4, 4), 4) for block in city)
    loopback = addressing.parse(after.devices["110101-r1"].loopback4, 4)
    assert any(addressing.contains(block, loopback, 4) for block in city)
    names = {name: site.domain for name, site in before.sites.items()}
    assert names == {name: site.domain for name, site in after.sites.items()}, "names stay"
    free_of_overlap(story.book(), after)
    old = before.sites["110101:office1"].zones[0].v4
    assert story.book().get("zone", f"110101:office1:{zone.name}") == (old, before.sites["110101:office1"].zones[0].v6)


def test_what_was_given_up_is_granted_to_nobody_before_its_quarantine_is_over(tmp_path: Path) -> None:
    story = Story(tmp_path)
    before = story.compile()
    old = {zone.v4 for key in ("110101:office1",) for zone in before.sites[key].zones}
    for stage in STAGES:
        story.renumber(COUNTY, stage)
        story.compile()
    story.today = date(2027, 1, 29)  # 2026-11-01 and 90 days is 2027-01-30
    story.compile()
    held = {first for first, _ in story.book().of("zone").values()}
    assert old <= held and {("zone", "110101:office1:access")} <= story.book().gone
    story.today = date(2027, 1, 30)
    story.compile()
    book = story.book()
    assert not old & {first for first, _ in book.of("zone").values()}
    assert not any(
        key.startswith("110101") and "@" not in key for kind in ("zone", "loop", "host") for key in book.of(kind)
    )
    free_of_overlap(book, story.compile())
    kept = nation.ledger_bytes(tmp_path)
    story.compile()
    assert nation.ledger_bytes(tmp_path) == kept, "done again: the same"


def test_workbooks_take_a_region_as_it_stands(tmp_path: Path) -> None:
    story = Story(tmp_path / "plan")
    story.compile()
    options = ["--plan", story.write(), "--state", str(tmp_path / "plan" / "state")]
    stages = (("both", "2026-11-01"), ("new", "2026-11-01"), ("released", "2026-11-01"), ("released", "2026-07-01"))
    for stage, since in stages:
        story.renumber(COUNTY, stage, since)
        story.compile()
        for word, where in (("export", tmp_path / "books"), ("import", tmp_path / "books" / "11-名110000.xlsx")):
            run = CliRunner().invoke(cli.app, [word, str(where), *options])
            assert run.exit_code == 0, (stage, run.output)
        held = nation.ledger_bytes(tmp_path / "plan")
        story.compile()
        assert nation.ledger_bytes(tmp_path / "plan") == held
        shown = CliRunner().invoke(cli.app, ["show", story.compile().sites["110101:office1"].zones[0].v4, *options])
        assert shown.exit_code == 0 and "110101:office1" in shown.output


@settings(
    max_examples=3,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(
    st.lists(
        st.sampled_from([c for c in (*COUNTIES, *TOWNSHIPS) if c.startswith("11")]), min_size=1, max_size=3, unique=True
    )
)
def test_any_regions_are_renumbered_and_nothing_else_moves(regions: list[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        story = Story(Path(name))
        walk(story, regions)
        free_of_overlap(story.book(), story.compile())


def whole_unit(self: Any, kind: str, key: str, need: Any, wanted: bool | None = None) -> tuple[str, str]:
    """Renumbers the neighbours too: whoever lies in the unit of a region that is renumbered."""
    going = need.renumbering
    last = f"{key}@2"
    if (
        going is None
        and kind == "zone"
        and need.unit == "110200"
        and ("zone", "110101:office1:access@2") in self.ledger.grants
    ):
        return (last, "")
    return VERSIONS(self, kind, key, need, wanted)


VERSIONS = granting.Grants.versions


def test_a_renumbering_that_takes_neighbours_along_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(granting.Grants, "versions", whole_unit)
    with pytest.raises((AssertionError, KeyError)):
        walk(Story(tmp_path), COUNTY)


def test_stages_that_cannot_be(tmp_path: Path) -> None:
    story = Story(tmp_path)
    story.compile()
    story.renumber(COUNTY, "new")
    with pytest.raises(Mistakes) as caught:
        story.compile()
    assert {mistake.code for mistake in caught.value.found} == {"JB1366"} and len(caught.value.found) == 3
    story.changes = [MOVE]
    story.renumber(["110200", "110101", "110101", "119999"], "both")
    with pytest.raises(Mistakes) as caught:
        story.compile()
    assert sorted(mistake.code for mistake in caught.value.found) == ["JB1360", "JB1364", "JB1365"]


def test_the_command_proposes_stage_after_stage(tmp_path: Path) -> None:
    story = Story(tmp_path)
    story.compile()
    for stage in STAGES:
        run = CliRunner().invoke(cli.app, ["renumber", "110101", "--plan", story.write()])
        assert run.exit_code == 0, run.output
        (row,) = yaml.safe_load(run.stdout)
        assert (row["kind"], row["stage"], row["regions"]) == ("renumber", stage, COUNTY)
        row["since"] = str(row["since"])
        held = [i for i, each in enumerate(story.changes) if each["kind"] == "renumber"]
        story.changes[held[0] if held else 1 :] = [row]
        story.compile()
    run = CliRunner().invoke(cli.app, ["renumber", "110200", "--plan", story.write()])
    assert run.exit_code == 2 and "JB1367" in run.output
