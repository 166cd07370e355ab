"""The difference that is announced is the difference that a compile makes, and no address moves that no line asked to move."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from ground.mistake import Mistakes
from ip_plan import change, cli, compile, ledger, part
from ip_plan import plan as plans
from ip_plan.change import Difference
from ip_plan.ledger import Ledger
from ip_plan.network import Network, load
from tests.ip_plan import nation
from tests.ip_plan.test_exceptions import ASKED

PROVINCES = ("110000", "120000")
CITIES = tuple(f"{p[:2]}0{c}00" for p in PROVINCES for c in (1, 2))
COUNTIES = tuple(f"{c[:4]}0{n}" for c in CITIES for n in (1, 2, 3))
TOWNSHIPS = tuple(f"{c}10{n}" for c in COUNTIES for n in (1, 2))
UNIVERSE = (*PROVINCES, *CITIES, *COUNTIES, *TOWNSHIPS)
START = date(2026, 11, 30)

STEP = st.one_of(
    st.tuples(st.just("add"), st.sampled_from(UNIVERSE)),
    st.tuples(st.just("remove"), st.sampled_from(UNIVERSE)),
    st.tuples(st.just("rename"), st.sampled_from(UNIVERSE)),
    st.tuples(st.just("host"), st.sampled_from((*PROVINCES, *CITIES))),
    st.tuples(st.just("cut"), st.sampled_from((*PROVINCES, *CITIES))),
    st.tuples(st.just("except"), st.sampled_from(CITIES)),
    st.tuples(st.just("wait"), st.just("")),
)


class Edits:
    """A plan that is edited step by step, with the day on which it is."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.rows = {code: nation.row(code, f"名{code}", f"r{code}") for code in UNIVERSE}
        self.scope: set[str] = {"110000", "110100", "110101", "110101101"}
        self.lists: dict[str, list[Any]] = {"extra_hosts": [], "without": [], "exceptions": []}
        self.settings = settings
        self.today = START
        self.number = 0

    def apply(self, kind: str, code: str) -> None:
        self.number += 1
        if kind == "add":
            self.scope |= {code, *self._above(code)}
        elif kind == "remove":
            self.scope -= {other for other in self.scope if other == code or code in self._above(other)}
        elif kind == "rename":
            self.rows[code] = (code, f"新名{self.number}", *self.rows[code][2:5], f"new{self.number}")
        elif kind == "host":
            self.lists["extra_hosts"].append(
                {"region": code, "zone": "backup", "duties": ["scratch"], "reason": "more"}
            )
        elif kind == "cut":
            line = {"region": code, "rank": "backup", "reason": "not there yet"}
            self.lists["without"] += [line] if line not in self.lists["without"] else []
        elif kind == "except":
            asked = {"id": f"EX-{self.number}", "expires": self.today + timedelta(days=30), "regions": [code]}
            self.lists["exceptions"].append(ASKED | asked)
        else:
            self.today += timedelta(days=20)

    def _above(self, code: str) -> list[str]:
        found = []
        while (code := self.rows[code][3]) != "000000":
            found.append(code)
        return found

    def write(self) -> str:
        scope = [{"region": code} for code in ("000000", *sorted(self.scope))]
        return str(nation.write(self.folder, self.rows.values(), scope=scope, **self.lists, **self.settings))

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def announce(self) -> Difference:
        return compile.difference(self.write(), self.state, today=self.today, executor=nation.Inline())

    def compile(self, confirm: str = "") -> Network:
        outcome = compile.compile_plan(
            self.write(), self.state, today=self.today, confirm=confirm, executor=nation.Inline()
        )
        return load(outcome.network)

    def whole(self) -> Network:
        """The Network as a compile makes it that finds nothing of an earlier one but the ledger."""
        shutil.rmtree(self.folder / "fresh", ignore_errors=True)
        outcome = compile.compile_plan(self.write(), self.folder / "fresh", today=self.today, executor=nation.Inline())
        return load(outcome.network)


Facts = dict[tuple[str, str], dict[str, Any]]


def facts(network: Network) -> Facts:
    """Everything that a Network says, by (thing, key) and field: read from its plain form, not by the code that is tested."""
    found: Facts = {}
    for shard in msgspec.to_builtins(network.shards):
        for kind, name in (("regions", "code"), ("sites", "key"), ("devices", "name"), ("links", "id")):
            for item in shard[kind]:
                found[kind[:-1], item[name]] = item
        for item in shard["services"]:
            found["service", f"{item['site']}:{item['zone']}:{item['name']}"] = item
        for item in shard["second"]:
            owner = f"{item['device']} " if item["device"] else f"{item['site']}:"
            found["second", owner + item["name"]] = item
        for item in shard["protections"]:
            found["protection", f"{item['site']}:{item['zone']}:{item['service']}"] = item
        for item in shard["partners"]:
            found["partner", f"{item['site']}:{item['id']}"] = item
    for thing, key in list(found):
        if thing == "site":
            for zone in found[thing, key].pop("zones"):
                found["zone", f"{key}:{zone['name']}"] = zone
            found[thing, key].pop("devices")
        elif thing == "device":
            for interface in found[thing, key].pop("interfaces"):
                found["interface", f"{key} {interface['name']}"] = interface
    for flow in msgspec.to_builtins(network.flows):
        flow.pop("place")
        thing = "exception" if flow["until"] else "row"
        found[thing, f"{flow['id']} {flow['from_zone']} → {flow['to_zone']} ({flow['relation']})"] = flow
    return found


Told = set[tuple[str, str, str, str, str, str]]


def difference(before: Network, after: Network) -> Told:
    """(what, thing, key, field, old, new) of every fact that is not the same in both."""
    old, new = facts(before), facts(after)
    found: Told = set()

    def parts(one: Facts, other: Facts, what: str) -> None:
        for thing, key in one.keys() - other.keys():
            upper = {"zone": ("site", key.rpartition(":")[0]), "interface": ("device", key.partition(" ")[0])}.get(
                thing
            )
            if upper is None or upper in other:
                found.add((what, thing, key, "", "", ""))

    parts(old, new, "gone")
    parts(new, old, "new")
    for name in old.keys() & new.keys():
        for field, value in old[name].items():
            if value != new[name][field]:
                found.add(("other", *name, field, change.text(value), change.text(new[name][field])))
    return found


def told(announced: Difference) -> Told:
    """The same of what was announced."""
    return {
        ({"added": "new", "removed": "gone"}[c.kind], c.thing, c.key, "", "", "")
        if not c.field
        else ("other", c.thing, c.key, c.field, c.old, c.new)
        for c in announced.changes
        if c.thing != "plan"
    }


def addresses(network: Network) -> dict[tuple[str, str, str], str]:
    """(thing, key, field) → every address that something holds."""
    held = {"v4", "v6", "loopback4", "loopback6", "gateway4", "gateway6"}
    return {(*name, field): item[field] for name, item in facts(network).items() for field in held & item.keys()}


def walk(edits: Edits, steps: list[tuple[str, str]]) -> None:
    """Take the steps; at each, the announced difference is the one that the compile then makes, and what stays, stays put."""
    before = edits.compile()
    for kind, code in steps:
        edits.apply(kind, code)
        held = nation.ledger_bytes(edits.folder)
        stored = {path: path.read_bytes() for path in edits.state.rglob("*.json")}
        announced = edits.announce()
        assert nation.ledger_bytes(edits.folder) == held, "announcing wrote the ledger"
        assert {path: path.read_bytes() for path in edits.state.rglob("*.json")} == stored, (
            "announcing wrote the Network"
        )
        after = edits.compile()
        assert told(announced) == difference(before, after), f"{kind} {code}"
        whole = edits.whole()
        for network in (after, whole):
            old, new = addresses(before), addresses(network)
            moved = {name for name in old.keys() & new.keys() if old[name] != new[name]}
            assert not moved, f"{kind} {code} moved {sorted(moved)[:3]}"
        assert nation.encoded(after.shards) == nation.encoded(whole.shards), f"{kind} {code} was made by halves"
        touched = {name for c in announced.changes if c.kind != "added" for name in c.devices} & before.devices.keys()
        assert announced.whole.counted == len(touched)
        assert announced.whole.existing == len(before.devices)
        before = after


STEPS = [("rename", "110101"), ("add", "110102101"), ("remove", "110101"), ("add", "110201"), ("host", "110100")]


def test_the_steps_of_the_faults_are_sound(tmp_path: Path) -> None:
    walk(Edits(tmp_path), STEPS)


@settings(
    max_examples=4,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    # A failing history is short already; shrinking one compiles hundreds of plans.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(st.lists(STEP, min_size=4, max_size=7))
def test_what_is_announced_is_what_happens_and_nothing_moves(steps: list[tuple[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        walk(Edits(Path(name)), steps)


def compacting(folder: Path, province: str) -> tuple[Ledger, list[Any]]:
    """A ledger that closes the gaps: once something has gone, links and loopbacks are granted anew from the lowest address."""
    book, mistakes = READ(folder, province)
    if not book.gone:
        return book, mistakes
    kept = {key: grant for key, grant in book.grants.items() if key[0] not in ("link", "loop")}
    return Ledger(kept), mistakes


def overlooking(network: Network, recoded: Any) -> Iterator[Any]:
    """Sees everything but interfaces."""
    return (part for part in PARTS(network, recoded) if part[0][0] != "interface")


def forgetful(plan: Any, layout: Any) -> dict[str, str]:
    """Takes provinces for unchanged whatever happens in the division data."""
    return dict.fromkeys(plan.regions, "")


READ = ledger.read
PARTS: Callable[[Network, Any], Iterator[Any]] = change._parts


@pytest.mark.parametrize(
    ("where", "name", "fault", "said"),
    [
        (ledger, "read", compacting, "moved"),
        (change, "_parts", overlooking, "add 110102101"),
        (part, "rows", forgetful, "rename 110101 was made by halves"),
    ],
    ids=["an allocator that compacts", "a comparison that overlooks", "a compile that forgets"],
)
def test_a_fault_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, where: Any, name: str, fault: Any, said: str
) -> None:
    monkeypatch.setattr(where, name, fault)
    with pytest.raises(AssertionError, match=said):
        walk(Edits(tmp_path / "faulty"), STEPS)


def test_beyond_the_limit_a_change_wants_the_plans_name(tmp_path: Path) -> None:
    edits = Edits(tmp_path, change_limit=0.1)
    edits.scope = set(UNIVERSE)
    edits.compile()
    edits.apply("remove", "110000")
    ledger_before = nation.ledger_bytes(tmp_path)
    network_before = (edits.state / "plans" / "small" / "network" / "index.json").read_bytes()
    for confirm in ("", "other"):
        with pytest.raises(Mistakes) as caught:
            edits.compile(confirm)
        (mistake,) = caught.value.found
        assert (mistake.code, mistake.object) == ("JB1320", "small") and mistake.line
        assert "--confirm small" in mistake.cure and "the plan allows 10% at once" in mistake.what
        assert nation.ledger_bytes(tmp_path) == ledger_before
        assert (edits.state / "plans" / "small" / "network" / "index.json").read_bytes() == network_before
    # The commands that compile by the way cannot go round it, and ask no more once it is confirmed.
    with pytest.raises(Mistakes, match="JB1320"):
        compile.compiled(str(tmp_path), edits.state)
    assert edits.announce().released > 50
    edits.compile("small")
    book = ledger.read(tmp_path / "ledger", "11")[0]
    assert book.gone == set(book.grants), "nobody else gets what a province leaves behind"
    assert (
        compile.compiled(str(tmp_path), edits.state).sites.keys()
        == load(edits.state / "plans" / "small" / "network").sites.keys()
    )


def test_growth_is_never_refused(tmp_path: Path) -> None:
    edits = Edits(tmp_path, change_limit=0.0001)
    edits.compile()
    terminal = {"region": "110100", "zone": "access", "duties": ["terminal"], "reason": "one more counter"}
    for kind, code in (("add", "110201102"), ("add", "120203101"), ("terminal", "110100"), ("except", "110100")):
        if kind == "terminal":
            edits.lists["extra_hosts"].append(terminal)
        else:
            edits.apply(kind, code)
        found = edits.announce()
        assert found.changes and found.whole.counted == 0
        assert found.whole.devices > 0 or kind == "terminal", "what is added hangs on something that was there"
        edits.compile()
    edits.apply("cut", "110100")
    with pytest.raises(Mistakes, match=r"2 of [0-9]+ devices would change or go"):
        edits.compile()


def test_a_row_that_goes_counts_for_the_devices_it_opened(tmp_path: Path) -> None:
    edits = Edits(tmp_path, change_limit=0.1)
    edits.compile()
    flows = tmp_path / "flows.yml"
    text = Path(plans.load("national").documents["flows.yml"].file).read_text("utf-8")
    start = text.index("  - id: FL-07\n")
    row = text[start : text.index("  - id:", start + 9)]
    flows.write_text(text.replace(row, row.replace("supplementary entrance", "second entrance")), "utf-8")
    found = edits.announce()
    assert [(c.kind, c.field) for c in found.changes] == [("changed", "reason")]
    assert found.whole.devices == found.whole.counted == 0, "words open nothing"
    flows.write_text(text.replace(row, ""), "utf-8")
    found = edits.announce()
    assert [(c.kind, c.thing, c.key) for c in found.changes] == [
        ("removed", "row", "FL-07 exchange → production (same-centre)")
    ]
    # The firewalls of the province and its one city; the ministry has no production zone.
    assert found.whole.counted == found.whole.devices == 2
    assert {reach.province for reach in found.provinces} == {"11"}


def test_a_rename_names_the_region_and_touches_no_device(tmp_path: Path) -> None:
    edits = Edits(tmp_path)
    edits.compile()
    edits.apply("rename", "110101")
    found = edits.announce()
    (only,) = found.changes
    assert (only.kind, only.thing, only.key, only.field) == ("renamed", "region", "110101", "name")
    assert (only.old, only.new) == ("名110101", "新名1")
    assert (found.whole.regions, found.whole.devices, found.granted) == (1, 0, 0)


made: list[str] = []
province = compile._province


def noted(context: Any, code: str) -> Any:
    """As `province`, and keeps the code; executors send functions by their name."""
    made.append(code)
    return province(context, code)


def test_only_the_province_that_changed_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edits = Edits(tmp_path)
    edits.scope = set(UNIVERSE)
    edits.compile()
    made.clear()
    monkeypatch.setattr(compile, "_province", noted)
    edits.announce()
    assert made == []
    edits.apply("rename", "120101")
    edits.announce()
    assert made == ["120000"]
    edits.compile()
    shard = edits.state / "plans" / "small" / "network" / "11.json"
    held = shard.read_bytes()
    shard.write_bytes(held[:-9])
    made.clear()
    edits.compile()
    assert made == ["110000"] and shard.read_bytes() == held
    book = tmp_path / "ledger" / "11.tsv"
    book.write_text("".join(line for line in book.read_text().splitlines(True) if not line.startswith("loop\t110101-")))
    made.clear()
    edits.announce()
    assert made == ["110000"]


def test_a_new_code_is_told_as_one(tmp_path: Path) -> None:
    edits = Edits(tmp_path)
    edits.compile()
    edits.rows["110177"] = ("110177", *edits.rows.pop("110101")[1:])
    for code in ("110101101", "110101102"):
        edits.rows[code] = (*edits.rows[code][:3], "110177", *edits.rows[code][4:])
    edits.scope = edits.scope - {"110101"} | {"110177"}
    edits.settings = {
        "changes": [{"kind": "code", "old": "110101", "new": "110177", "since": "2026-10-01", "reason": "撤县设区"}]
    }
    found = edits.announce()
    told = {(c.kind, c.thing, c.field, c.old, c.new) for c in found.changes}
    assert told == {
        ("renamed", "region", "code", "110101", "110177"),
        ("changed", "region", "parent", "110101", "110177"),
    }


@pytest.mark.parametrize("file", ["index.json", "11.json"])
def test_a_damaged_network_stops_the_comparison_with_the_way_out(tmp_path: Path, file: str) -> None:
    edits = Edits(tmp_path)
    edits.compile()
    edits.apply("rename", "110101")
    network = edits.state / "plans" / "small" / "network"
    (network / file).write_bytes(b"{")
    for attempt in (edits.announce, edits.compile):
        with pytest.raises(Mistakes, match="JB1321"):
            attempt()
    shutil.rmtree(network)
    held = nation.ledger_bytes(tmp_path)
    assert edits.compile().regions["110101"].name == "新名1"
    assert nation.ledger_bytes(tmp_path) == held


def test_the_command_ends_with_what_it_found(tmp_path: Path) -> None:
    edits = Edits(tmp_path / "plan")
    run = CliRunner()
    command = ["--plan", edits.write(), "--state", str(edits.state)]
    first = run.invoke(cli.app, ["diff", *command])
    assert first.exit_code == 1 and "nothing is compiled yet" in first.output
    assert not edits.state.exists() and not (tmp_path / "plan" / "ledger").exists()
    assert run.invoke(cli.app, ["compile", *command]).exit_code == 0
    same = run.invoke(cli.app, ["diff", *command])
    assert same.exit_code == 0 and "nothing changes" in same.output
    edits.apply("cut", "110100")
    edits.write()
    other = run.invoke(cli.app, ["diff", *command])
    assert other.exit_code == 1 and "- link 110000-r2~110100-r1" in other.output
    data = msgspec.json.decode(run.invoke(cli.app, ["diff", *command, "--format", "json"]).stdout, type=Difference)
    assert data.whole.counted == 2 and data.released == 1
    (tmp_path / "plan" / "plan.yml").write_text("name: small\n")
    assert run.invoke(cli.app, ["diff", *command]).exit_code == 2
