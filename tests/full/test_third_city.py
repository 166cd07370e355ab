"""A third city joins the running pilot: the plan, `stack up`, the playbook, `check run`; and nothing of the other cities changes.

What the engineer does, on the real engine and the real twin. Then one port is opened by hand, and the checks name it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ground.record import Record
from ip_plan import plan as plans
from ip_plan.compile import compiled
from playbooks import deploy
from stacks import engine, program, workspace
from stacks.program import Stack
from stacks.twin import lab as labs
from stacks.twin import place as places
from stacks.workspace import Outcome, Target
from tests.inventory.test_third_city import AT_THE_PROVINCE, CITY, PROVINCE, edited, hashes
from tests.pilot.conftest import Pilot, until

pytestmark = pytest.mark.timeout(5400)

AT_HOME = {f"{PROVINCE}-centre1", "wan-64"}
"""Stacks of the province that a city changes: lines at its routers, and the lines themselves."""


def quiet(done: int) -> None:
    """Nobody watches."""


@pytest.fixture(scope="module")
def pilot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pilot]:
    """The pilot of two cities, provisioned by the engine, configured and found right."""
    folder = tmp_path_factory.mktemp("third")
    plan, state = folder / "plan", folder / "state"
    plan.mkdir()
    for name, document in plans.load("pilot").documents.items():
        (plan / name).write_bytes(Path(document.file).read_bytes())
    name = f"third{os.getpid()}"
    compiled(str(plan), state)
    pilot = Pilot(plan, state, places.at(state / "twin", name))
    try:
        pilot.render()
        assert up(pilot) == {}
        outcome = pilot.deploy()
        assert outcome.good, (outcome.failures, outcome.log.read_text(errors="replace")[-3000:])
        assert until(90, lambda: not wrong(pilot.check(["routing"])))
        assert until(60, lambda: not wrong(pilot.check(["flows"])))
        assert wrong(pilot.check()) == []
        yield pilot
    finally:
        labs.down(name, state / "twin")


def target(pilot: Pilot) -> Target:
    return Target(pilot.state, pilot.at, engine.ready(lambda step: None))


def declared(pilot: Pilot) -> tuple[Stack, ...]:
    return program.stacks(pilot.network)


def up(pilot: Pilot) -> dict[str, Outcome]:
    """Every stack brought up, one after the other; those that could not be."""
    stacks = declared(pilot)
    labs.prepared(sum(len(one.hosts) for one in stacks), lambda what, done, total: None)
    outcomes = [workspace.up(target(pilot), one, quiet) for one in stacks]
    return {outcome.stack: outcome for outcome in outcomes if outcome.mistakes}


def wrong(records: list[Record]) -> list[tuple[object, ...]]:
    assert records
    return [(r.check, r.subject, r.result, r.reason) for r in records if r.result != "pass"]


def changed(outcome: deploy.Outcome) -> set[str]:
    return {name for name, counts in outcome.hosts.items() if counts["changed"]}


@pytest.fixture(scope="module")
def grown(pilot: Pilot) -> tuple[dict[str, Outcome], deploy.Outcome]:
    """What the engine would change before it does, and what the playbook changed, once the city stands in the plan."""
    before = hashes(pilot.build)
    file = pilot.folder / "plan.yml"
    file.write_text(edited(file.read_text("utf-8")), "utf-8")
    pilot.render()
    after = hashes(pilot.build)
    assert {name for name, files in before.items() if files != after[name]} == set(AT_THE_PROVINCE)
    previews = {one.name: workspace.preview(target(pilot), one, quiet) for one in declared(pilot)}
    assert up(pilot) == {}
    return previews, pilot.deploy()


def test_other_stacks_have_nothing_to_preview(grown: tuple[dict[str, Outcome], deploy.Outcome]) -> None:
    previews, _ = grown
    assert not any(outcome.mistakes for outcome in previews.values())
    assert {name for name, outcome in previews.items() if outcome.changes} == {f"{CITY}-centre1", *AT_HOME}
    assert {change.op for change in previews[f"{CITY}-centre1"].changes} == {"create"}
    told = {(change.op, change.name) for name in AT_HOME for change in previews[name].changes}
    assert told == {
        *(("update", f"{PROVINCE}-{router}") for router in ("r1", "r2")),
        *(("create", f"{PROVINCE}-{router}~{CITY}-r1") for router in ("r1", "r2")),
    }


def test_the_playbook_changes_nothing_at_the_other_cities(
    pilot: Pilot, grown: tuple[dict[str, Outcome], deploy.Outcome]
) -> None:
    _, outcome = grown
    assert outcome.good, (outcome.failures, outcome.log.read_text(errors="replace")[-3000:])
    city = set(pilot.network.sites[f"{CITY}:centre1"].devices)
    assert changed(outcome) == city | set(AT_THE_PROVINCE)
    assert {name for name, files in outcome.changed_files.items() if files} == city | set(AT_THE_PROVINCE)


def test_the_checks_pass_with_three_cities(pilot: Pilot, grown: tuple[dict[str, Outcome], deploy.Outcome]) -> None:
    assert until(90, lambda: not wrong(pilot.check(["routing"])))
    assert until(90, lambda: not wrong(pilot.check(["flows"])))
    records = pilot.check()
    assert wrong(records) == []
    assert {"zone.probe", "bgp.session", "flow.replicated", "dns.forward"} <= {
        record.check for record in records if record.subject.region == CITY
    }
    assert [one.name for one in declared(pilot) if workspace.drift(target(pilot), one, quiet).changes] == []
    assert changed(pilot.deploy()) == set()


@pytest.mark.parametrize(
    ("device", "rule", "zone", "peer", "words"),
    [
        ("640100-fw1", "forward tcp dport 8432", "access", "640100:centre1:decision", "tcp/8432"),
        ("640100-fw1", "input tcp dport 6514", "decision", "640100:centre1:transit", "tcp/6514"),
    ],
    ids=["through the firewall", "to the firewall"],
)
def test_a_port_opened_by_hand_is_named(pilot: Pilot, device: str, rule: str, zone: str, peer: str, words: str) -> None:
    chain, _, match = rule.partition(" ")
    answer = pilot.ask(device, f"nft insert rule inet zone {chain} {match} accept")
    assert answer.ok, answer.err
    try:
        found = {
            (r.subject.site, r.subject.zone, r.subject.peer): r for r in pilot.check(["zones"]) if r.result == "fail"
        }
    finally:
        pilot.ask(device, "systemctl reload nftables")
    record = found["640100:centre1", zone, peer]
    assert words in record.reason and "the plan says closed" in record.reason
    assert all("640100:centre1" in (site, other.rpartition(":")[0]) for site, _, other in found), found
    assert wrong(pilot.check(["zones"])) == []
