"""Renumbering, cut-over, relocation and replacement: at every stage the rendered text leads everywhere, and as the stage says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from inventory import ends, routing
from inventory.proof.proving import Proof, prove
from inventory.render import write
from ip_plan.compile import compile_plan
from ip_plan.folder import folder_of
from ip_plan.network import Network, load

SAID = {"since": "2026-10-01", "reason": "区划调整"}
MOVE = {"kind": "move", "region": "640121", "to": "640300", **SAID}
COUNTY = ["640121", "640121100"]


class Story:
    """The running part of the pilot, with a change table that grows."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "plan"
        self.folder.mkdir()
        self.state, self.build = folder / "state", folder / "build"
        self.said = yaml.safe_load((folder_of("pilot")[0] / "plan.yml").read_text("utf-8"))
        self.said["scope"] = [{"region": code} for code in self.said["twin"]["running"]]
        self.network = self.compile()

    def compile(self, *changes: dict[str, Any]) -> Network:
        written = yaml.safe_dump(self.said | {"changes": list(changes)}, allow_unicode=True)
        (self.folder / "plan.yml").write_text(written, "utf-8")
        self.network = load(compile_plan(str(self.folder), self.state, confirm="pilot").network)
        return self.network

    def proof(self) -> Proof:
        running = [name for site in self.network.running() for name in site.devices]
        write(self.build, self.network, devices=running, lab=True)
        return prove(self.network, self.build, running)

    def file(self, device: str, name: str) -> str:
        return (self.build / device / "files" / name).read_text("utf-8")


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story(tmp_path)


def good(found: Proof) -> None:
    assert found.mistakes == () and found.findings == (), found.findings[:3]
    assert found.destinations > 500


def test_every_stage_of_a_renumbering_leads_everywhere(story: Story) -> None:
    story.compile(MOVE)
    for stage in ("both", "new", "withdrawn"):
        network = story.compile(MOVE, {"kind": "renumber", "regions": COUNTY, "stage": stage, **SAID})
        good(story.proof())
        zone = network.sites["640121:office1"].zone("access")
        assert zone
        rules, port = story.file("640121-r1", "etc/nftables.conf"), "etc/systemd/network/10-z-access.network"
        text, far = story.file("640121-accs1", port), story.file("640300-r1", "etc/frr/frr.conf")
        if stage == "withdrawn":
            assert network.second == {} and network.strays == {}
            assert "PreferredLifetime" not in text and f"ip saddr != {zone.v4} " in rules
            continue
        beside = network.second["640121:office1", "access"]
        assert f"ip saddr != {{ {zone.v4}, {beside.v4} }}" in rules
        assert text.count("[Address]") == 4 and text.count("PreferredLifetime=0") == 1
        assert text.index(network.devices["640121-accs1"].interfaces[0].v6) < text.index("PreferredLifetime=0")
        assert all(f"permit {prefix}" in far for prefix in (zone.v4, beside.v4))


def test_a_prefix_that_is_forgotten_while_both_are_valid_is_found(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    story.compile(MOVE)
    story.compile(MOVE, {"kind": "renumber", "regions": COUNTY, "stage": "both", **SAID})
    monkeypatch.setattr(ends, "second", lambda network, owner, name: [])
    assert story.proof().findings


def cut(region: str, stage: str) -> dict[str, Any]:
    row = {
        "kind": "cut-over",
        "region": region,
        "rank": "primary",
        "stage": stage,
        "carrier": "联通",
        "circuit": "NX-2",
    }
    return row | {"window": "2026-11-20 01:00–05:00", **SAID}


@pytest.mark.parametrize(
    ("region", "far", "own"),
    [("640100", "640000-r1", "640100-r1"), ("640121", "640100-r1", "640121-r1"), ("640000", "000000-r1", "640000-r1")],
)
def test_a_line_is_drained_in_both_directions_before_it_goes(story: Story, region: str, far: str, own: str) -> None:
    before = story.network
    old, new = f"{far}~{own}", f"{far}~{own}#2"
    for stage, ranks in (
        ("both", {old: "primary", new: "drained"}),
        ("drain", {old: "drained", new: "primary"}),
        ("done", {new: "primary"}),
    ):
        network = story.compile(cut(region, stage))
        assert {each.id: each.rank for each in network.links.values() if each.id in (old, new)} == ranks
        good(story.proof())
        for device, peer in ((far, own), (own, far)):
            text = story.file(device, "etc/frr/frr.conf")
            for key, rank in ranks.items():
                name = peer if key == old else f"{peer}-2"
                stanzas = [part for part in text.split("!\n") if f"-{name} permit" in part]
                said = {line.strip() for part in stanzas for line in part.splitlines() if " set " in line}
                assert said == {
                    f"set local-preference {routing.PREFERENCE[rank]}", f"set metric {routing.METRIC[rank]}"
                }  # fmt: skip
            assert (f"IN-{peer} " in text) == (old in ranks)
    line = network.links[new]
    assert (line.carrier, line.circuit) == ("联通", "NX-2")
    assert {key: site.zones for key, site in network.sites.items()} == {k: s.zones for k, s in before.sites.items()}
    assert story.compile(cut(region, "backed-out")).links.keys() == before.links.keys()


def test_a_township_without_bgp_is_drained_by_distance(story: Story) -> None:
    row = cut("640121100", "both")
    story.compile(row)
    good(story.proof())
    text = story.file("640121100-r1", "etc/frr/frr.conf")
    beside = [line for line in text.splitlines() if line.startswith("ip route 10.0.0.0/8 ")]
    assert sorted(line.endswith(" 200") for line in beside) == [False, True]


def test_a_drained_line_that_is_preferred_is_found(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    story.compile(cut("640100", "both"))
    monkeypatch.setitem(routing.PREFERENCE, "drained", 250)
    assert "JB2418" in {finding.code for finding in story.proof().findings}


def test_an_office_that_moved_house_has_new_lines_and_nothing_else(story: Story) -> None:
    before = story.network
    after = story.compile({"kind": "relocate", "region": "640121", "carrier": "移动", **SAID})
    good(story.proof())
    assert after.sites == before.sites and after.services == before.services
    assert sorted(after.links.keys() - before.links.keys()) == ["640100-r1~640121-r1#2"]
    assert sorted(before.links.keys() - after.links.keys()) == ["640100-r1~640121-r1"]
    assert {name: d.loopback4 for name, d in after.devices.items()} == {
        n: d.loopback4 for n, d in before.devices.items()
    }


def test_a_device_that_was_replaced_starts_from_its_bootstrap_file(story: Story) -> None:
    before = story.network
    after = story.compile({"kind": "replace", "device": "640121-r1", "serial": "SN-00012345", **SAID})
    assert after.devices["640121-r1"].serial == "SN-00012345"
    assert {n for n, d in after.devices.items() if d != before.devices[n]} == {"640121-r1"}
    good(story.proof())
    text = (story.build / ".bootstrap" / "64" / "SN-00012345.yaml").read_text("utf-8")
    assert text.startswith("#cloud-config\n")
    said = yaml.safe_load(text)
    assert said["hostname"] == "640121-r1"
    wires = [each for each in after.devices["640121-r1"].interfaces if each.kind == "wan"]
    names = {each["path"].rpartition("/")[2] for each in said["write_files"]}
    assert names == {"10-lo.network", *(f"10-{wire.name}.network" for wire in wires)}
    up = next(each["content"] for each in said["write_files"] if "w-640100-1" in each["path"])
    assert f"Gateway={next(w.peer4 for w in wires if w.name == 'w-640100-1')}" in up and "Destination=10.0.0.0/8" in up
    story.compile()
    good(story.proof())
    assert not list((story.build / ".bootstrap" / "64").iterdir()), "what nobody waits for any more is gone"
