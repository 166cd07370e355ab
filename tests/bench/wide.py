"""A twin of one ministry, four provinces and twenty cities: a plan of its own, its routing devices and databases preseeded."""

from __future__ import annotations

from pathlib import Path

import msgspec
import yaml

from ground import tree
from inventory import render
from ip_plan.compile import compiled
from ip_plan.network import Device
from stacks.twin import build as builds
from stacks.twin import lab as labs
from tests.bench.meter import CHECKOUT, Figure
from tests.bench.twin import Clock, Twin, ended, reached

PROVINCES, CITIES = ("410000", "610000", "620000", "640000"), 5
"""Provinces whose first five prefectures are numbered without a gap."""


def plan(folder: Path) -> Path:
    """The pilot's plan for other regions, without what it says of its own."""
    document = yaml.safe_load((CHECKOUT / "ip_plan" / "plans" / "pilot" / "plan.yml").read_text("utf-8"))
    cities = [f"{province[:2]}{number:02}00" for province in PROVINCES for number in range(1, CITIES + 1)]
    regions = ["000000", *PROVINCES, *cities]
    own = {"name": "wide", "scope": [{"region": code} for code in regions], "twin": {"running": regions}}
    kept = {key: value for key, value in document.items() if key not in ("extra_hosts", "partners")}
    folder.mkdir(parents=True)
    (folder / "plan.yml").write_text(yaml.safe_dump({**kept, **own}, allow_unicode=True, sort_keys=False), "utf-8")
    return folder


def chosen(device: Device) -> bool:
    """Whether it routes, filters, or keeps a database: five or six to a centre."""
    return device.role != "host" or "database" in device.duties


def preseeded(folder: Path, name: str) -> Figure:
    """From nothing to every database host reached over both families."""
    state = folder / "state"
    network = compiled(str(plan(folder / "plan")), state)
    build = tree.place(state, f"twin:{name}", "wide")
    render.write(build, network, lab=True)
    twin = Twin(state, name, network, build)
    whole = builds.lab(network, name)
    names = {node.name for node in whole.nodes if chosen(network.devices[node.name])}
    shape = msgspec.structs.replace(
        whole,
        nodes=tuple(node for node in whole.nodes if node.name in names),
        links=builds.links(network, names),
        segments=builds.segments(network, names),
    )
    with ended(twin):
        clock = Clock(twin)
        labs.up(shape, twin.folder, {node.name: build / node.name for node in shape.nodes})
        reached(twin, clock, names)
        return clock.figure(len(names))
