"""Plans of other shapes on the running twin, with what is rendered for them from the first boot on: nothing in the code names
a region."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from ip_plan import underlay
from ip_plan.compile import compiled
from stacks.twin import build as builds
from stacks.twin import cgroups, node, program
from stacks.twin import lab as labs
from stacks.twin import place as places
from tests.pilot.conftest import Pilot, until
from tests.plans import CHONGQING, HUBEI, PINNED


@contextmanager
def running(plan: Path, folder: Path) -> Iterator[Pilot]:
    """A small cut of the plan, the running sites alone, brought up with its rendered files."""
    shutil.copytree(plan, folder / "plan")
    written = yaml.safe_load((folder / "plan" / "plan.yml").read_text("utf-8"))
    written["scope"] = [{"region": code} for code in written["twin"]["running"]]
    (folder / "plan" / "plan.yml").write_text(yaml.safe_dump(written, allow_unicode=True), "utf-8")
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


@pytest.mark.parametrize(
    "plan",
    [pytest.param(CHONGQING, marks=pytest.mark.long), pytest.param(HUBEI, marks=pytest.mark.long), PINNED],
    ids=lambda path: path.name,
)
def test_a_cut_of_a_plan_for_other_regions_runs(plan: Path, tmp_path: Path) -> None:
    with running(plan, tmp_path) as pilot:
        assert pilot.prove().good
        assert until(90, lambda: not _wrong(pilot, "routing")), _wrong(pilot, "routing")
        # A copy of a zone is fetched once there is a way to its primary: until then its server has no answer.
        assert until(90, lambda: not _wrong(pilot, "copies")), _wrong(pilot, "copies")
        assert not _wrong(pilot, "zones", "reach", "names")
        if plan == PINNED:
            _protected(pilot)
            assert pilot.network.regions["640300"].blocks4 == ("10.1.0.0/18",)
            text = (pilot.build / "640000-r1" / "files" / "etc/frr/frr.conf").read_text()
            assert "permit 10.1.0.0/18" in text
            assert "proto bgp" in pilot.ask("640000-r1", "ip route show 10.1.0.0/18").out
            # The playbook makes the rest of what was laid there at the first boot: databases, roles, certificates.
            outcome = pilot.deploy("region_640300")
            assert outcome.good, outcome.failures
            assert not [wrong for wrong in _wrong(pilot, "services") if "640300" in str(wrong[1])]
            _changes_over(pilot)


def _changes_over(pilot: Pilot) -> None:
    """The active firewall of the pair loses its power, the other takes over for all zones."""
    first, second = pilot.network.pair("640300:centre1")
    assert until(30, lambda: _active(pilot) == f"{first.name} is active, {second.name} stands by"), _active(pilot)
    pings = [
        pilot.on("640300-exch1", f"ping -{family} -n -i 0.1 -c 6000 {text.partition('/')[0]}")
        for item in pilot.network.devices["640000-exch1"].interfaces
        for family, text in ((4, item.v4), (6, item.v6))
    ]
    try:
        time.sleep(2)
        lose_power(pilot, first.name)
        assert until(30, lambda: f"{second.name} is active" in _active(pilot)), _active(pilot)
        # What is asked of the one that is off has no answer; everything else passes through the other.
        assert until(60, lambda: not _lost(pilot, first.name)), _lost(pilot, first.name)
    finally:
        for ping in pings:
            ping.terminate()
    for ping in pings:
        seen = [int(number) for number in re.findall(r"icmp_seq=(\d+) ttl", ping.communicate()[0])]
        gaps = [(after - before - 1, before) for before, after in itertools.pairwise(seen) if after - before > 1]
        print(f"lost, of pings every 0.1 s: {gaps}")
        assert gaps, "nothing was lost: the pings did not pass the firewall"


def lose_power(pilot: Pilot, name: str) -> None:
    """A device ends at once. Its namespace outlives it, so its ports go down too, and forget what they had."""
    ports = [interface.name for interface in pilot.network.devices[name].interfaces]
    netns, layout = pilot.place.netns(name), cgroups.here()
    assert layout
    program.ip([f"link set {port} down" for port in ports], netns)
    node.power_cut(pilot.place, name, layout)
    program.ip([f"addr flush dev {port}" for port in ports], netns)


def _lost(pilot: Pilot, away: str) -> list[tuple[object, ...]]:
    return [wrong for wrong in _wrong(pilot, "zones") if away not in str(wrong[3])]


def _active(pilot: Pilot) -> str:
    (record,) = pilot.check(["pairs"])
    assert (record.result == "pass") == ("stands by" in record.reason), record
    return record.reason


CLEAR = "not (ip6 and udp and (port 500 or port 4500)) and not (icmp6 and (ip6[40] == 135 or ip6[40] == 136))"
"""All but keys, encrypted packets and neighbours."""


def _protected(pilot: Pilot) -> None:
    """The city's two lines are encrypted: nothing else leaves by their ports, with charon and without."""
    link = pilot.network.links["640000-r1~640300-r1"]
    city, port = link.b, underlay.below(link.b_interface)
    assert until(60, lambda: not _wrong(pilot, "encryption")), _wrong(pilot, "encryption")
    # BGP and BFD of both families are on their way all the time.
    clear, sealed = _seen(pilot, city, port, CLEAR), _seen(pilot, city, port, "udp port 4500")
    assert not clear and sealed, (clear, sealed)
    # Without charon the lines carry nothing; what wants to leave does not leave in the clear.
    pilot.ask(city, "systemctl stop strongswan")
    assert not _seen(pilot, city, port, CLEAR)
    assert until(20, lambda: len(_wrong(pilot, "bgp.session")) >= 4)
    assert any("no protection" in str(each[3]) for each in _wrong(pilot, "encryption"))
    file = "/etc/swanctl/conf.d/lines.conf"
    pilot.ask(city, f"cp -p {file} /root/kept && sed -i 's/secret = .*/secret = other/' {file}")
    pilot.ask(city, "systemctl start strongswan")
    assert until(20, lambda: any("different secrets line/" in str(each[3]) for each in _wrong(pilot, "encryption")))
    pilot.ask(city, f"cp -p /root/kept {file} && systemctl restart strongswan")
    assert until(60, lambda: not _wrong(pilot, "encryption", "routing")), _wrong(pilot, "encryption", "routing")
    pilot.ask(city, "systemctl kill -s KILL strongswan")
    assert until(60, lambda: not _wrong(pilot, "encryption", "routing")), _wrong(pilot, "encryption", "routing")


def _seen(pilot: Pilot, device: str, port: str, what: str) -> list[str]:
    """What leaves and comes in by a port in a second and a half."""
    return pilot.ask(device, f"timeout 1.5 tcpdump -lnn -i {port} '{what}' 2>/dev/null").out.split()


def _wrong(pilot: Pilot, *only: str) -> list[tuple[object, ...]]:
    """What is not as the plan says; looking at something is part of it."""
    records = pilot.check(only)
    assert records
    return [(r.check, r.subject, r.result, r.reason) for r in records if r.result != "pass"]
