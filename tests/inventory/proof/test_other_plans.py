"""Provinces of other shapes than the shipped pilot's: a municipality, and one with counties that the province serves."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from inventory import proof as proofs
from inventory import render
from ip_plan.compile import compiled
from tests.plans import CHONGQING, HUBEI


@pytest.mark.parametrize("plan", [pytest.param(CHONGQING, marks=pytest.mark.long), HUBEI], ids=lambda path: path.name)
def test_a_whole_province_of_another_shape_is_rendered_and_proved(plan: Path, tmp_path: Path) -> None:
    network = compiled(str(shutil.copytree(plan, tmp_path / "plan")), tmp_path / "state")
    written = render.write(tmp_path / "build", network, lab=True)
    assert written.devices > 1000
    # The running sites, and every name server: zones of one level point into those of the next.
    wanted = {name for site in network.running() for name in site.devices}
    wanted |= {name for name, device in network.devices.items() if "names" in device.duties}
    proof = proofs.prove(network, tmp_path / "build", sorted(wanted))
    assert proof.good, proof.findings[:5]
