"""Administrative changes: what each row does, and that none of them moves an address or a name."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from ip_plan import ledger, regions
from ip_plan import plan as plans
from ip_plan.compile import compile_plan, difference
from ip_plan.folder import folder_of
from ip_plan.network import Network, load
from tests.ip_plan import administration, nation
from tests.ip_plan.test_change import difference as two
from tests.ip_plan.test_change import told

NINGXIA = [{"region": "000000"}, {"region": "640000", "below": True}]
SAID = administration.SAID


def table(tmp_path: Path, *changes: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Code → (name, parent) of a small province after the changes."""
    codes = ("110000", "110100", "110200", "110101", "110102", "110201", "110101101", "110101102", "110102101")
    rows = [nation.row(code, f"名{code}", f"r{code}") for code in codes]
    plan = plans.load(str(nation.write(tmp_path / "plan", rows, changes=[{**change, **SAID} for change in changes])))
    return {code: (row.name, row.parent) for code, row in plan.regions.items()}


def test_what_each_row_does(tmp_path: Path) -> None:
    before = table(tmp_path)
    assert table(tmp_path, {"kind": "rename", "region": "110101", "name": "新县"})["110101"] == ("新县", "110100")
    recoded = table(tmp_path, {"kind": "code", "old": "110101", "new": "110117", "name": "某区"})
    assert recoded["110117"] == ("某区", "110100") and "110101" not in recoded
    assert recoded["110101101"][1] == "110117"
    moved = table(tmp_path, {"kind": "move", "region": "110101", "to": "110200"})
    assert moved == before | {"110101": (before["110101"][0], "110200")}
    direct = table(tmp_path, {"kind": "move", "region": "110101", "to": "110000"})
    assert direct["110101"][1] == "110000"
    merged = table(tmp_path, {"kind": "merge", "region": "110101", "into": "110102"})
    assert "110101" not in merged and merged["110101101"][1] == merged["110101102"][1] == "110102"
    new = {"region": "110109", "name": "新区", "reading": "xin"}
    split = table(tmp_path, {"kind": "split", **new, "takes": ["110101102", "110102101"]})
    assert split["110109"] == ("新区", "110100")
    assert split["110101102"][1] == split["110102101"][1] == "110109" and split["110101101"][1] == "110101"


def test_division_data_that_know_of_a_change_already(tmp_path: Path) -> None:
    """A newer edition has the new code, the new parent or no merged county: the rows may stay."""
    newer = [
        {"kind": "code", "old": "110199", "new": "110101"},
        {"kind": "move", "region": "110201", "to": "110200"},
        {"kind": "merge", "region": "110198", "into": "110102"},
    ]
    assert table(tmp_path, *newer) == table(tmp_path)


def compiled(folder: Path, changes: list[dict[str, Any]], scope: Any = NINGXIA) -> Network:
    administration.write(folder, scope, changes)
    return load(compile_plan(str(folder), folder / "state", confirm="changing").network)


def test_a_county_that_moved_keeps_addresses_and_names(tmp_path: Path) -> None:
    before = compiled(tmp_path / "plan", [])
    after = compiled(tmp_path / "plan", [{"kind": "move", "region": "640121", "to": "640300", **SAID}])
    old, new = before.sites["640121:office1"], after.sites["640121:office1"]
    assert (new.parent, new.holder) == ("640300:centre1", "640100:centre1") and old.holder == ""
    assert (new.zones, new.domain, new.asn) == (old.zones, old.domain, old.asn)
    township = after.sites["640121100:office1"]
    assert township.parent == "640300:centre1" and township.holder == "640100:centre1"
    assert township.domain == before.sites["640121100:office1"].domain
    assert after.regions["640121"].blocks6 and not before.regions["640121"].blocks6
    uplink = next(link for link in after.links.values() if link.b == "640121-r1" and link.rank == "primary")
    assert uplink.a.startswith("640300-r")


def test_random_changes_of_a_province_move_no_address(tmp_path: Path) -> None:
    plan = administration.write(tmp_path / "plan", NINGXIA, [])
    draw = administration.Draw(plans.load(plan), ["640000"], seed=1)
    follow(tmp_path / "plan", NINGXIA, (draw.next() for _ in range(20)))


def real() -> list[dict[str, Any]]:
    """The division changes since the table was made."""
    path = folder_of("national")[0].parent / "divisions" / "changes.yml"
    rows: list[dict[str, Any]] = yaml.safe_load(path.read_text("utf-8"))["changes"]
    return rows


def test_real_changes_of_three_prefectures_move_no_address(tmp_path: Path) -> None:
    """New codes at Sansha, a county split off at Hotan, three townships of Siping in another county; the nation is in tests/full."""
    places = ("4603", "6532", "2203")
    scope: list[dict[str, Any]] = [{"region": "000000"}, *({"region": f"{place[:2]}0000"} for place in places)]
    scope += [{"region": f"{place}00", "below": True} for place in places]
    rows = [row for row in real() if (row.get("region") or row["new"])[:4] in places]
    assert [row["kind"] for row in rows] == ["code", "code", "split", "move", "move", "move"]
    follow(tmp_path / "plan", scope, rows)
    network = load(tmp_path / "plan" / "state" / "plans" / "changing" / "network")
    assert {"460302:office1", "653229:office1"} & network.sites.keys() == {"653229:office1"}
    assert network.sites["460321:office1"].region == "460302", "the key is the code under which it was first granted"


def test_a_step_that_moves_an_address_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "read", forgetful)
    move = {"kind": "move", "region": "640121", "to": "640300", **SAID}
    with pytest.raises(AssertionError, match="640121"):
        follow(tmp_path / "plan", NINGXIA, [move])


@pytest.fixture(autouse=True, scope="module")
def divisions_are_read_once() -> Iterator[None]:
    """The steps of a test change the change table, never the division data: these are read at its first step."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(regions, "read", lru_cache(1)(regions.read))
        yield


def forgetful(folder: Path, province: str) -> tuple[ledger.Ledger, list[Any]]:
    """Gives a county that moved new addresses in its new city at once."""
    book, mistakes = READ(folder, province)
    moved = "640121" in (folder.parent / "plan.yml").read_text()
    kept = {key: grant for key, grant in book.grants.items() if not (moved and key[1].startswith("640121:"))}
    return ledger.Ledger(kept), mistakes


READ = ledger.read


def follow(folder: Path, scope: Any, rows: Iterable[dict[str, Any]], whole: int = 5) -> None:
    """Change after change: what was granted stays as it was, and what changes was announced.

    What is compared at each step are the provinces whose bytes differ. Every `whole` steps and at the end, a compile that has
    nothing but the ledger writes the same bytes.
    """
    changes: list[dict[str, Any]] = []
    administration.write(folder, scope, changes)
    before = compiled(folder, changes, scope)
    names = {site.key: site.domain for site in before.sites.values()}
    shards = {shard.province: shard for shard in before.shards}
    keys = before.keys
    held = nation.ledger_bytes(folder / "ledger")
    moved = 0
    for number, row in enumerate(rows, 1):
        changes.append(row)
        plan = administration.write(folder, scope, changes)
        announced = told(difference(plan, folder / "state"))
        outcome = compile_plan(plan, folder / "state", confirm="changing")
        index = load(outcome.network, ()).keys
        differ = sorted(key for key in {*index, *keys} if index.get(key) != keys.get(key))
        after = load(outcome.network, differ)
        if row["kind"] != "code":  # told as one region with a new code, where the oracle sees two
            old = Network(after.meta, after.flows, tuple(shards[key] for key in differ if key in shards), keys)
            assert announced == two(old, after), row
        now = nation.ledger_bytes(folder / "ledger")
        for name in now:
            if held.get(name) != now[name]:
                path = folder / "ledger" / name
                one, other = administration.book(held.get(name, b""), path), administration.book(now[name], path)
                assert [key for key, grant in one.items() if other.get(key) != grant] == [], row
        assert held.keys() <= now.keys(), row
        held = now
        for site in after.sites.values():
            assert names.setdefault(site.key, site.domain) == site.domain, row
            moved += bool(site.holder)
        shards |= {shard.province: shard for shard in after.shards}
        keys = index
        if number % whole == 0:
            as_from_nothing(folder, changes, scope, keys)
    away = [row for row in changes if row["kind"] == "move" and row["to"][:4] != row["region"][:4]]
    assert moved or not away, "no region keeps an address of a block that it left"
    as_from_nothing(folder, changes, scope, keys)


def as_from_nothing(folder: Path, changes: list[dict[str, Any]], scope: Any, keys: dict[str, str]) -> None:
    """A compile on the same ledger, with nothing kept of an earlier one, leaves the same ledger and the same Network."""
    held = nation.ledger_bytes(folder / "ledger")
    shutil.rmtree(folder / "state")
    plan = administration.write(folder, scope, changes)
    assert load(compile_plan(plan, folder / "state").network, ()).keys == keys
    assert nation.ledger_bytes(folder / "ledger") == held
