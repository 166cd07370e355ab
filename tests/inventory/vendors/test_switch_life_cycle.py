"""A switch while its office is renumbered, and one that gave way to another: what is rendered, proved and put right."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from inventory import acceptance
from inventory.proof import prove
from inventory.render import write
from ip_plan.compile import compile_plan
from ip_plan.network import Network, load
from tests.inventory.vendors import plans
from tests.inventory.vendors.test_remedies import DIALECTS, holds, stages
from tests.inventory.vendors.test_switches import EVERY, PLAIN, text

SAID = {"since": "2026-10-01", "reason": "区划调整"}
OFFICE, CENTRE = "640121-sw1", "640100-sw1"
Grown = Callable[..., Network]


def config(build: Path, name: str) -> str:
    return (build / name / "files/vrpcfg.cfg").read_text("utf-8")


@pytest.fixture
def grown(tmp_path: Path) -> Grown:
    """Compiles, renders and proves a part of the pilot whose switches are VRP's, with these rows in its change table."""

    def grow(*changes: dict[str, Any]) -> Network:
        counter = {"region": "640121", "zone": "access", "duties": ["terminal"], "reason": "a counter"}
        scope = [{"region": code} for code in ("000000", "640000", "640100", "640121", "640121100")]
        said: dict[str, Any] = {
            "scope": scope,
            "extra_hosts": [counter],
            "twin": {"running": []},
            "changes": list(changes),
        }
        plan = plans.folder(tmp_path / "plan", [plans.switch("vrp")], 2, **said)
        network = load(compile_plan(str(plan), tmp_path / "state", confirm="pilot").network)
        write(tmp_path / "build", network, lab=False)
        proof = prove(network, tmp_path / "build")
        assert proof.good, (proof.findings[:3], proof.mistakes[:3])
        return network

    return grow


def test_a_renumbering_reaches_the_switch_of_its_office(grown: Grown, tmp_path: Path) -> None:
    """The new addresses come by command beside the old; what takes those away that it is managed over is told, and not sent."""
    texts = []
    for stage in ("", "both", "new", "withdrawn", "released"):
        row = {"kind": "renumber", "regions": ["640121", "640121100"], "stage": stage, **SAID}
        own = grown(*[row] if stage else []).devices[OFFICE].interfaces[0]
        texts.append(config(tmp_path / "build", OFFICE))
        first = next(line for line in texts[-1].splitlines() if line.startswith(" ip address "))
        assert first.split()[2] == own.v4.partition("/")[0], stage
    found = [acceptance.remedy(DIALECTS["vrp"], OFFICE, *pair, "running") for pair in pairwise(texts)]
    told = [{mistake.code for mistake in one.mistakes} for one in found]
    assert told == [set(), {"JB2107"}, {"JB2107"}, set()]
    assert [bool(one.commands) for one in found] == [True, False, False, False]
    inside = [line.split()[:2] for line in found[0].commands if line.startswith(" ") and "address" in line]
    assert inside == [["ip", "address"], ["ipv6", "address"]] and not any("undo" in line for line in found[0].commands)


@EVERY
def test_the_address_that_a_switch_is_managed_over_stays(vendor: str) -> None:
    steps = stages(vendor, text(vendor, PLAIN), "10.0.3.11 255.255.255.0", "10.0.9.11 255.255.255.0")
    assert len(holds(DIALECTS[vendor], steps[0], steps[1]).commands) == 3
    for pair in pairwise(steps[1:]):
        refused = acceptance.remedy(DIALECTS[vendor], "sw1", *pair, "running")
        assert not refused.commands and {mistake.code for mistake in refused.mistakes} == {"JB2107"}


def test_a_switch_that_was_replaced_starts_from_its_whole_configuration(grown: Grown, tmp_path: Path) -> None:
    before = grown()
    after = grown({"kind": "replace", "device": CENTRE, "serial": "SN-00012345", **SAID})
    assert {name for name, device in after.devices.items() if device != before.devices[name]} == {CENTRE}
    folder = tmp_path / "build" / ".bootstrap" / "64"
    assert [path.name for path in folder.iterdir()] == ["SN-00012345.cfg"]
    start = (folder / "SN-00012345.cfg").read_text("utf-8")
    assert start == config(tmp_path / "build", CENTRE)
    DIALECTS["vrp"].require_whole(start, "SN-00012345.cfg")
    grown()
    assert not list(folder.iterdir()), "what nobody waits for any more is gone"
