"""What stacks declare agrees with what is rendered: nothing drifts because the playbook has done its work."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from inventory import render
from ip_plan.compile import compile_plan
from ip_plan.network import Network, load
from stacks import program
from stacks.provider import resources
from stacks.provider.resources import as_carried
from stacks.twin import build
from tests.plans import PINNED


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Network:
    return load(compile_plan("pilot", tmp_path_factory.mktemp("program"), confirm="pilot").network)


def test_the_stacks_together_are_the_lab(network: Network) -> None:
    every = program.stacks(network)
    shape = build.lab(network, "x")
    assert [stack.name for stack in every] == [
        "000000-centre1", "640000-centre1", "640100-centre1", "640300-centre1", "wan-64",
    ]  # fmt: skip
    assert sorted(host.name for stack in every for host in stack.hosts) == sorted(node.name for node in shape.nodes)
    assert sum(stack.size for stack in every) == len(shape.nodes) + len(shape.links) + len(shape.segments)
    for stack in every:
        for host in stack.hosts:
            assert list(resources.failures("Host", resources.properties(host))) == []


def test_what_the_playbook_brings_is_no_drift(network: Network, tmp_path: Path) -> None:
    render.write(tmp_path, network, lab=True)
    compared = 0
    for host in (host for stack in program.stacks(network) for host in stack.hosts):
        files = sorted((tmp_path / host.name / "files/etc/systemd/network").glob("*.network"))
        texts = {re.findall(r"^Name=(\S+)$", file.read_text(), re.M)[0]: file.read_text() for file in files}
        carried = {name: tuple(re.findall(r"^Address=(\S+)$", text, re.M)) for name, text in texts.items()}
        told = "\n".join(texts.values())
        assert as_carried(host.interfaces, carried, told) == host.interfaces, host.name
        assert as_carried(host.interfaces, {}, "") == host.interfaces  # before it came
        for name, addresses in host.interfaces.items():
            assert as_carried(host.interfaces, carried | {name: ("192.0.2.1/24",)}, told)[name] != addresses
            assert as_carried(host.interfaces, carried | {name: ()}, told)[name] == ()
            compared += 1
    assert compared > 100


def test_a_gateway_is_no_drift_at_either_firewall_of_a_pair(tmp_path: Path) -> None:
    shutil.copytree(PINNED, tmp_path / "plan")
    network = load(compile_plan(str(tmp_path / "plan"), tmp_path / "state").network)
    pair = network.pair("640300:centre1")
    hosts = {host.name: host for stack in program.stacks(network) for host in stack.hosts}
    for device in pair:
        planned = {name: each for name, each in hosts[device.name].interfaces.items() if name.startswith("z-")}
        zones = {f"z-{zone.name}": zone for zone in network.sites[device.site].zones}
        own = {
            name: tuple(text for text in each if text.partition("/")[0] not in (zone.gateway4, zone.gateway6))
            for name, each in planned.items()
            if (zone := zones[name])
        }
        told = "\n".join(f"Address={text}" for each in own.values() for text in each)
        assert all(len(each) == 4 and len(own[name]) == 2 for name, each in planned.items())
        assert as_carried(planned, planned, told) == as_carried(planned, own, told) == planned
        assert as_carried(planned, own | {"z-access": own["z-access"][:1]}, told) != planned


def test_words_choose_stacks(network: Network) -> None:
    every = program.stacks(network)
    left = (program.Stack("640500-centre1", "", (), ()),)
    assert program.chosen(every, left, ()) == every
    assert [each.name for each in program.chosen(every, left, ("640100", "640500-centre1"))] == [
        "640100-centre1",
        "640500-centre1",
    ]
    assert [each.name for each in program.chosen(every, left, ("640121",))] == ["wan-64"]
