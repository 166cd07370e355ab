"""A site with two firewalls: what is rendered for both is proved, and each change of `pairs.yml` is found with its file."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from inventory.proof import keepalived
from inventory.proof.decide import World
from inventory.proof.proving import Known, load, of
from inventory.proof.texts import Text
from inventory.render import write
from ip_plan.compile import compiled
from ip_plan.network import Network
from tests.inventory.proof.test_mutate import Loaded
from tests.plans import PINNED

FAULTS: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "pairs.yml").read_text("utf-8"))
TARGETS = {
    "keepalived": "/etc/keepalived/keepalived.conf",
    "nftables": "/etc/nftables.conf",
    "frr": "/etc/frr/frr.conf",
    "network/10-z-access.network": "/etc/systemd/network/10-z-access.network",
}


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Network:
    folder = tmp_path_factory.mktemp("pair")
    return compiled(str(shutil.copytree(PINNED, folder / "plan")), folder / "state")


@pytest.fixture(scope="module")
def proved(network: Network, tmp_path_factory: pytest.TempPathFactory) -> tuple[Loaded, Known]:
    """The plan's devices, rendered, read and proved good."""
    build = tmp_path_factory.mktemp("build")
    write(build, network, lab=True)
    loaded = load(network, build)
    known = Known(World(network))
    proof = of(loaded, known)
    assert proof.good, (proof.findings, proof.mistakes)
    return loaded, known


def altered(loaded: Loaded, known: Known, fault: dict[str, Any]) -> list[str]:
    """What the proof says after one change, as `<file on the device> <code> <found>`."""
    device, target = f"640300-{fault['device']}", TARGETS[fault["target"]]
    text = loaded[device][target]
    assert fault["find"] in text.content
    content = text.content.replace(fault["find"], fault["put"], -1 if fault.get("all") else 1)
    tree = {**loaded, device: {**loaded[device], target: Text(text.path, content)}}
    copy = Known(
        known.world,
        dict(known.readings),
        known.expected,
        dict(known.filters),
        dict(known.own),
        known.names,
        known.routed,
    )
    proof = of(tree, copy)
    said = [(each.file, each.code, each.found) for each in proof.findings]
    said += [(each.file, each.code, each.what) for each in proof.mistakes]
    return [f"{code} {found}" for file, code, found in said if file == text.path or code == "JB2417"]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault['code']}-{fault['says'][:40]}")
def test_each_fault_is_found_in_its_file(proved: tuple[Loaded, Known], fault: dict[str, Any]) -> None:
    said = altered(*proved, fault)
    assert any(each.startswith(fault["code"]) and fault["says"] in each for each in said), said


def test_a_firewall_without_its_part_is_found(proved: tuple[Loaded, Known], network: Network) -> None:
    loaded, _ = proved
    tree = {name: dict(texts) for name, texts in loaded.items()}
    file = tree["640300-fw2"].pop(TARGETS["keepalived"])
    tree["640000-fw1"][TARGETS["keepalived"]] = file
    found = {(each.subject, each.code) for each in of(tree, Known(World(network))).findings}
    assert {("640300-fw2", "JB2510"), ("640000-fw1", "JB2510")} <= found


def test_what_the_reader_does_not_know_it_refuses() -> None:
    for text in ("vrrp_instance a {\n use_vmac\n}", "virtual_server 10.0.0.1 80 {\n}", "vrrp_instance a {", "}"):
        with pytest.raises(Exception, match="JB2401"):
            keepalived.read(text, "keepalived.conf")
