"""Plans of other shapes on the running twin, with what is rendered for them from the first boot on: nothing in the code names
a region."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ip_plan.compile import compiled
from stacks.twin import build as builds
from stacks.twin import lab as labs
from stacks.twin import place as places
from tests.pilot.conftest import Pilot, until
from tests.plans import CHONGQING, HUBEI, PINNED


@contextmanager
def running(plan: Path, folder: Path) -> Iterator[Pilot]:
    """The plan's cut, brought up with its rendered files."""
    shutil.copytree(plan, folder / "plan")
    state = folder / "state"
    network = compiled(str(folder / "plan"), state)
    name = f"{plan.name}{os.getpid()}"
    lab = builds.lab(network, name)
    pilot = Pilot(folder / "plan", state, places.at(state / "twin", name))
    pilot.render()
    try:
        labs.up(lab, state / "twin", {node.name: pilot.build / node.name for node in lab.nodes})
        yield pilot
    finally:
        labs.down(name, state / "twin")


@pytest.mark.parametrize("plan", [CHONGQING, HUBEI, PINNED], ids=lambda path: path.name)
def test_a_plan_for_other_regions_gets_a_running_network(plan: Path, tmp_path: Path) -> None:
    with running(plan, tmp_path) as pilot:
        proof = pilot.prove()
        assert proof.good, proof
        converged = until(60, lambda: all(record.result == "pass" for record in pilot.check(["routing"])))
        assert converged, [r for r in pilot.check(["routing"]) if r.result != "pass"]
        records = pilot.check(["zones", "reach", "names"])
        bad = [(r.check, r.subject, r.result, r.reason) for r in records if r.result != "pass"]
        assert bad == []
        assert {"zone.probe", "dns.forward", "dns.reverse"} <= {record.check for record in records}
        if plan == PINNED:
            assert pilot.network.regions["640300"].blocks4 == ("10.1.0.0/18",)
            text = (pilot.build / "640000-r1" / "files" / "etc/frr/frr.conf").read_text()
            assert "permit 10.1.0.0/18" in text
            answer = pilot.ask("640000-r1", "ip route show 10.1.0.0/18")
            assert "proto bgp" in answer.out
