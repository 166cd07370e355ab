"""A line gives way to a new one between running centres: drained, backed out, drained again, cut, removed. No ping is lost."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from ip_plan.compile import compile_plan
from ip_plan.folder import folder_of
from playbooks import remediate
from stacks.twin import build as builds
from stacks.twin import fault
from stacks.twin import lab as labs
from stacks.twin import place as places
from tests.pilot.conftest import Pilot, until

ENDS = {"640100-r1": "w-640000-1", "640000-r1": "w-640100-1"}
"""The ends of the line: device → interface; those of the new one end in `b`."""
OLD = "640000-r1~640100-r1"


def edit(folder: Path, *stages: str) -> None:
    """The pilot's ministry, province and city; with a stage, the row that cuts their line over."""
    said = yaml.safe_load((folder_of("pilot")[0] / "plan.yml").read_text("utf-8"))
    codes = ["000000", "640000", "640100"]
    said |= {"scope": [{"region": code} for code in codes], "twin": {"running": codes}}
    said["extra_hosts"] = []
    said["changes"] = [
        {"kind": "cut-over", "region": "640100", "rank": "primary", "stage": stage, "since": "2026-11-20",
         "reason": "the carrier ends its contract", "carrier": "other"}
        for stage in stages
    ]  # fmt: skip
    folder.mkdir(exist_ok=True)
    (folder / "plan.yml").write_text(yaml.safe_dump(said, allow_unicode=True), "utf-8")


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Pilot]:
    """Both lines are laid, the new one is drained. Routing devices and the exchange hosts are enough of the sites."""
    folder, state = tmp_path / "plan", tmp_path / "state"
    edit(folder)
    compile_plan(str(folder), state)
    edit(folder, "both")
    name = f"cut{os.getpid()}"
    pilot = Pilot(folder, state, places.at(state / "twin", name))
    lab = builds.lab(pilot.network, name)
    kept = tuple(node for node in lab.nodes if re.search(r"-(r|fw|exch)\d$", node.name))
    names = {node.name for node in kept}
    segments = tuple(
        msgspec.structs.replace(each, ports=tuple(port for port in each.ports if port.node in names))
        for each in lab.segments
    )
    lab = msgspec.structs.replace(lab, nodes=kept, segments=segments)
    pilot.render()
    try:
        labs.up(lab, state / "twin", {node.name: pilot.build / node.name for node in lab.nodes})
        yield pilot
    finally:
        labs.down(name, state / "twin")


def bring(pilot: Pilot, stage: str) -> None:
    """Compile the stage, render it, and send the two routers what differs, and nothing else."""
    edit(pilot.folder, stage)
    pilot.render()
    order = remediate.Order(pilot.plan, "pilot", pilot.at, pilot.state, ",".join(ENDS), False, 1.0)
    assert remediate.run(order, lambda seen: None, "table") == 0


def carried(pilot: Pilot, mark: str) -> bool:
    """Whether the way to the province leads over the old line (mark empty) or the new one, seen from both ends, both families."""
    network = pilot.network
    for device, interface in ENDS.items():
        far = "640000-exch1" if device.startswith("640100") else "640100-exch1"
        host = network.devices[far].interfaces[0]
        for text in (host.v4, host.v6):
            answer = pilot.ask(device, f"ip route get {text.partition('/')[0]}")
            if f"dev {interface}{mark} " not in answer.out + " ":
                return False
    return True


def sessions(pilot: Pilot) -> bool:
    """Whether both lines have both sessions."""
    out = pilot.ask("640100-r1", "vtysh -c 'show bgp summary json'").out
    peers = re.findall(r'"state":"(\w+)"', out)
    return len(peers) >= 6 and set(peers) == {"Established"}


def sent(pilot: Pilot, interface: str) -> int:
    answer = pilot.ask("640100-r1", f"cat /sys/class/net/{interface}/statistics/tx_packets")
    return int(answer.out)


def test_a_line_is_cut_over_and_no_ping_is_lost(running: Pilot) -> None:
    pilot = running
    assert until(120, lambda: sessions(pilot)), pilot.ask("640100-r1", "vtysh -c 'show bgp summary'").out
    assert until(60, lambda: carried(pilot, "")), "the drained line carries"
    host = pilot.network.devices["640000-exch1"].interfaces[0]
    # The other side finds its way back a moment later.
    for family, text in ((4, host.v4), (6, host.v6)):
        once = f"ping -{family} -n -c 1 -W 1 {text.partition('/')[0]}"
        assert until(60, lambda once=once: pilot.ask("640100-exch1", once).ok), once
    pings: list[Any] = [
        pilot.on("640100-exch1", f"ping -{family} -n -i 0.05 -c 12000 {text.partition('/')[0]}")
        for family, text in ((4, host.v4), (6, host.v6))
    ]
    try:
        time.sleep(2)
        bring(pilot, "drain")
        assert until(30, lambda: carried(pilot, "b")), "the old line is not drained"
        bring(pilot, "both")
        assert until(30, lambda: carried(pilot, "")), "there is no way back"
        bring(pilot, "drain")
        assert until(30, lambda: carried(pilot, "b"))
        before = [sent(pilot, ENDS["640100-r1"] + mark) for mark in ("", "b")]
        time.sleep(3)
        drained, used = (
            sent(pilot, ENDS["640100-r1"] + mark) - old for mark, old in zip(("", "b"), before, strict=True)
        )
        assert used - drained > 60, "both lines carry sessions; the new one carries two pings of 20 a second as well"
        fault.cut(pilot.place, pilot.link(OLD), silent=True)
        time.sleep(3)
        bring(pilot, "done")
        assert until(30, lambda: carried(pilot, "b"))
        text = pilot.ask("640100-r1", "vtysh -c 'show running-config'").out
        assert "IN-640000-r1-2 " in text and "IN-640000-r1 " not in text
        time.sleep(1)
    finally:
        for ping in pings:
            ping.terminate()
    for ping in pings:
        numbers = [int(number) for number in re.findall(r"icmp_seq=(\d+) ttl", ping.communicate()[0])]
        lost = set(range(1, max(numbers) + 1)) - set(numbers)
        assert len(numbers) > 300 and not lost, f"{len(lost)} of {max(numbers)} lost: {sorted(lost)[:20]}"
