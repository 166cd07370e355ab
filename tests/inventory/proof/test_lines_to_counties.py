"""Townships whose lines end at their county: the county speaks for them, and the proof knows it."""

from __future__ import annotations

import shutil
from pathlib import Path

from inventory.proof.proving import prove
from inventory.render import write
from ip_plan.compile import compiled
from ip_plan.folder import folder_of


def test_a_county_speaks_for_the_townships_behind_it(tmp_path: Path) -> None:
    folder = tmp_path / "plan"
    folder.mkdir()
    shutil.copy(folder_of("pilot")[0] / "plan.yml", folder)
    sites = (folder_of("national")[0] / "sites.yml").read_text("utf-8")
    assert "- {level: township, to: serving," in sites
    sites = sites.replace("- {level: township, to: serving,", "- {level: township, to: county,")
    (folder / "sites.yml").write_text(sites, "utf-8")
    network = compiled(str(folder), tmp_path / "state")
    uplink = next(link for link in network.links.values() if link.b == "640121100-r1")
    assert uplink.a == "640121-r1"
    running = [name for site in network.running() for name in site.devices]
    write(tmp_path / "build", network, devices=running, lab=True)
    found = prove(network, tmp_path / "build", running)
    assert found.mistakes == () and found.findings == ()
