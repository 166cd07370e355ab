"""What must hold of the ledger for every history: nothing moves, nothing overlaps, names stay, replay gives the same bytes."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ground.mistake import Mistakes
from ip_plan import addressing, ledger
from ip_plan.compile import compile_plan
from ip_plan.network import Network, load
from tests.ip_plan import administration, nation

PROVINCES = ("110000", "120000")
CITIES = tuple(f"{p[:2]}0{c}00" for p in PROVINCES for c in (1, 2))
COUNTIES = tuple(f"{c[:4]}0{n}" for c in CITIES for n in (1, 2, 3))
TOWNSHIPS = tuple(f"{c}10{n}" for c in COUNTIES for n in (1, 2))
UNIVERSE = (*PROVINCES, *CITIES, *COUNTIES, *TOWNSHIPS)

STEP = st.one_of(
    st.tuples(st.just("add"), st.sampled_from(UNIVERSE)),
    st.tuples(st.just("remove"), st.sampled_from(UNIVERSE)),
    st.tuples(st.just("rename"), st.sampled_from(UNIVERSE)),
    st.tuples(st.just("recode"), st.sampled_from(COUNTIES)),
    st.tuples(st.just("move"), st.sampled_from(COUNTIES)),
    st.tuples(st.just("merge"), st.sampled_from(COUNTIES)),
    st.tuples(st.just("split"), st.sampled_from(TOWNSHIPS)),
)
SAID = {"since": "2026-10-01", "reason": "区划调整"}


def _ancestors(code: str) -> list[str]:
    chain = []
    while code != "000000":
        code = nation.row(code, "", "")[3]
        chain.append(code)
    return chain[:-1]


class History:
    """A plan that is edited step by step."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: dict[str, tuple[str, ...]] = {}
        self.changes: list[dict[str, Any]] = []
        self.renamed = 0

    def apply(self, kind: str, code: str) -> None:
        if kind == "add":
            for needed in [code, *_ancestors(code)]:
                self.rows.setdefault(needed, nation.row(needed, f"名{needed}", "same"))
        elif kind == "remove":
            below = [other for other in self.rows if other == code or code in _chain(self.rows, other)]
            for other in below:
                del self.rows[other]
        elif kind == "rename" and code in self.rows:
            self.renamed += 1
            held = self.rows[code]
            self.rows[code] = (*held[:1], f"新名{self.renamed}", *held[2:5], f"other{self.renamed}")
        elif kind == "move":
            other = code[:3] + {"1": "2", "2": "1"}[code[3]] + "00"
            to = other if other in self.rows else code[:2] + "0000"
            self.changes.append({"kind": "move", "region": code, "to": to, **SAID})
        elif kind == "merge":
            into = code[:5] + {"1": "2", "2": "3", "3": "1"}[code[5]]
            self.changes.append({"kind": "merge", "region": code, "into": into, **SAID})
        elif kind == "split":
            county = {"region": code[:4] + "09", "name": f"新区{code}", "reading": "new"}
            self.changes.append({"kind": "split", **county, "takes": [code], **SAID})
        elif kind == "recode" and code in self.rows and not any(row["kind"] == "code" for row in self.changes):
            new = code[:4] + "77"
            self.changes.append({"kind": "code", "old": code, "new": new, **SAID})
            held = self.rows.pop(code)
            self.rows[new] = (new, *held[1:])
            for other, row in list(self.rows.items()):
                if row[3] == code:
                    self.rows[other] = (*row[:3], new, *row[4:])

    def compile(self) -> Network:
        """Compile; a change about regions that are not there (any more) is taken back."""
        rows: Iterable[tuple[str, ...]] = self.rows.values()
        while True:
            plan = nation.write(self.folder, rows, changes=self.changes)
            try:
                outcome = compile_plan(str(plan), self.folder / "state", executor=nation.Inline())
            except Mistakes as wrong:
                assert {mistake.code for mistake in wrong.found} <= {"JB1360", "JB1361"}
                self.changes.pop()
            else:
                return load(outcome.network)


def _chain(rows: dict[str, tuple[str, ...]], code: str) -> list[str]:
    found = []
    while code in rows and rows[code][3]:
        code = rows[code][3]
        found.append(code)
    return found


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    # A failing history is short already; shrinking one compiles hundreds of plans.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(st.lists(STEP, min_size=2, max_size=7))
def test_every_history_keeps_what_it_granted(steps: list[tuple[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        history = History(Path(name) / "plan")
        history.apply("add", TOWNSHIPS[0])
        held: dict[tuple[str, str, str], tuple[str, str]] = {}
        for kind, code in [("none", ""), *steps]:
            history.apply(kind, code)
            network = history.compile()
            grants = administration.grants(history.folder)
            for key, grant in held.items():
                assert grants[key] == grant, f"{kind} {code} moved {key}"
            held = grants
            _nothing_overlaps(network, grants)
            _names_are_unique(network)
            _what_moved_is_known(network)
            before = nation.ledger_bytes(history.folder), nation.encoded(network.shards)
            (history.folder / "state" / "plans" / "small" / "network" / "parts.json").unlink()
            network = history.compile()
            assert (nation.ledger_bytes(history.folder), nation.encoded(network.shards)) == before


def _nothing_overlaps(network: Network, grants: dict[tuple[str, str, str], tuple[str, str]]) -> None:
    for family in (4, 6):
        own = []
        for (_, kind, _), grant in grants.items():
            if kind in ("zone", "loop", "link") and grant[family == 6] != "-":
                own.append(addressing.parse(grant[family == 6], family))
        own.sort()
        for (first, length), following in itertools.pairwise(own):
            assert first + addressing.size(length, family) <= following[0]
        for site in network.sites.values():
            top = next(
                r
                for r in network.regions.values()
                if r.code[:2] == site.region[:2] and r.level in ("province", "ministry")
            )
            blocks = [addressing.parse(block, family) for block in (top.blocks4 if family == 4 else top.blocks6)]
            for zone in site.zones:
                inner = addressing.parse(zone.v4 if family == 4 else zone.v6, family)
                assert any(addressing.contains(block, inner, family) for block in blocks)
        tops = [
            addressing.parse(block, family)
            for region in network.regions.values()
            if region.level in ("ministry", "province")
            for block in (region.blocks4 if family == 4 else region.blocks6)
        ]
        tops.sort()
        for (first, length), following in itertools.pairwise(tops):
            assert first + addressing.size(length, family) <= following[0]


def _names_are_unique(network: Network) -> None:
    names = [d.fqdn for d in network.devices.values()] + [s.fqdn for s in network.services]
    assert len(names) == len(set(names))
    domains = [site.domain for site in network.sites.values()]
    assert len(domains) == len(set(domains))
    assert not set(domains) & set(names)


def _what_moved_is_known(network: Network) -> None:
    """A site lies in the blocks of the centre that serves it, or names the one that holds its addresses."""
    for site in network.sites.values():
        holder = network.regions[(site.holder or site.parent or site.key).partition(":")[0]]
        if site.kind == "office":
            for block in holder.blocks4:
                if addressing.contains(addressing.parse(block, 4), addressing.parse(site.zones[0].v4, 4), 4):
                    break
            else:
                pytest.fail(f"{site.key} with {site.zones[0].v4} does not lie in {holder.blocks4} of {holder.code}")


def test_a_city_that_outgrows_its_block_gets_a_second_one_and_nothing_moves(tmp_path: Path) -> None:
    rows = [nation.row(code, code, "x") for code in ("110000", "110100", "110101")]
    history = History(tmp_path / "plan")
    history.rows = {row[0]: row for row in rows}
    first = history.compile()
    before = {region.code: (region.blocks4, region.blocks6) for region in first.regions.values()}
    held = administration.grants(history.folder)
    for number in range(1, 90):
        code = f"110101{number:03d}"
        history.rows[code] = nation.row(code, code, "x")
    second = history.compile()
    city = second.regions["110100"]
    assert len(city.blocks4) > 1
    assert city.blocks4[: len(before["110100"][0])] == before["110100"][0]
    assert len(second.regions["110000"].blocks4) > 1, "the province had to be given a further block too"
    grants = administration.grants(history.folder)
    assert all(grants[key] == grant for key, grant in held.items())


def test_a_city_that_outgrows_its_ipv6_block_announces_the_second_one_too(tmp_path: Path) -> None:
    codes = ["110000", "110100", *(f"1101{number:02d}" for number in range(1, 21))]
    plan = nation.write(tmp_path / "plan", [nation.row(code, code, "x") for code in codes])
    sizes = yaml.safe_load((plan / "addressing.yml").read_text("utf-8"))
    sizes["ipv6"] |= {"unit": 40, "county": 44, "reason": "sixteen counties a city"}
    (plan / "addressing.yml").write_text(yaml.safe_dump(sizes, allow_unicode=True), "utf-8")

    def city() -> tuple[str, ...]:
        outcome = compile_plan(str(plan), tmp_path / "state", executor=nation.Inline())
        return load(outcome.network).regions["110100"].blocks6

    found = city()
    assert len(found) == 2
    row = ",".join((*nation.row("110121", "110121", "x"), "0", "0"))
    (plan / "regions.csv").write_text((plan / "regions.csv").read_text("utf-8") + row + "\n", "utf-8")
    assert city() == found, "the next county takes its place in the second block, and needs no third"


def test_a_grant_is_never_changed() -> None:
    book = ledger.Ledger()
    book.put("zone", "110000:centre1:exchange", "10.0.0.0/24")
    with pytest.raises(ValueError, match="cannot be granted"):
        book.put("zone", "110000:centre1:exchange", "10.0.1.0/24")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", "JB1301"),
        ("# jinbao ledger 9\n", "JB1301"),
        (ledger.HEADER + "zone\ta\t10.0.0.0/24\t-", "JB1302"),
        (ledger.HEADER + "zone\ta\t10.0.0.0/24\n", "JB1302"),
        (ledger.HEADER + "nonsense\ta\t10.0.0.0/24\t-\n", "JB1302"),
        (ledger.HEADER + "zone\t110000:centre1:exchange\t10.0.0.0/33\t3fff:0:2::/48\n", "JB1302"),
        (ledger.HEADER + "asn\t110000:centre1\tmany\t-\n", "JB1302"),
        (ledger.HEADER + "zone\ta\t1\t-\nzone\ta\t2\t-\n", "JB1303"),
    ],
)
def test_a_damaged_ledger_is_refused_and_not_written_over(tmp_path: Path, body: str, code: str) -> None:
    plan = nation.write(tmp_path / "plan", [nation.row("110000", "京", "bj")])
    (plan / "ledger").mkdir()
    (plan / "ledger" / "11.tsv").write_text(body)
    with pytest.raises(Mistakes) as caught:
        compile_plan(str(plan), tmp_path / "state", executor=nation.Inline())
    assert {mistake.code for mistake in caught.value.found} == {code}
    assert (plan / "ledger" / "11.tsv").read_text() == body
    assert not (plan / "ledger" / "00.tsv").exists()


def test_a_pin_holds_for_a_new_region_and_is_refused_for_a_granted_one(tmp_path: Path) -> None:
    rows = [nation.row(code, code, f"r{code}") for code in ("110000", "120000")]
    pin = {"region": "120000", "ipv4": "10.99.0.0/20", "ipv6": "3fff:ff0::/28", "reason": "as the office has it"}
    plan = nation.write(tmp_path / "plan", rows, pins=[pin])
    network = load(compile_plan(str(plan), tmp_path / "state", executor=nation.Inline()).network)
    assert network.regions["120000"].blocks4 == ("10.99.0.0/20",)
    assert network.regions["120000"].blocks6 == ("3fff:ff0::/28",)
    before = nation.ledger_bytes(plan)
    nation.write(
        tmp_path / "plan", rows, pins=[pin | {"region": "110000", "ipv4": "10.50.0.0/20", "ipv6": "3fff:fe0::/28"}]
    )
    with pytest.raises(Mistakes) as caught:
        compile_plan(str(plan), tmp_path / "state", executor=nation.Inline())
    assert {mistake.code for mistake in caught.value.found} == {"JB1304"}
    assert nation.ledger_bytes(plan) == before
