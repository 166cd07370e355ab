"""The rows that need the twin: `python -m tests.bench.lab <folder> <row> …` prints one figure a line as JSON.

Labs one after the other: two preseeded, one for the engine, and one of bare machines for the rows that follow from one another.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import msgspec

from ground import tree
from ground.record import Record
from inventory import render
from ip_plan.compile import compiled
from playbooks import deploy
from stacks import engine, program, workspace
from stacks.twin import build as builds
from stacks.twin import lab as labs
from tests.bench import data, wide
from tests.bench.meter import CHECKOUT, Failed, Figure
from tests.bench.twin import Clock, Twin, ended, look, reached, until

CONFIGURED = {
    "twin-deploy", "twin-green", "twin-again", "twin-probes", "row-inside", "row-above", "service-change", "rows-million",
    "base-backup",
}  # fmt: skip
"""The rows on the pilot that the playbook has configured."""
SERVICES = ("routing", "databases", "flows", "names", "time")


def passes(twin: Twin, only: Sequence[str]) -> bool:
    """Whether these checks say nothing but pass."""
    records = look(twin, only)
    return bool(records) and all(record.result == "pass" for record in records)


def preseeded(twin: Twin) -> Figure:
    """From nothing to every host reached over both families."""
    shape = builds.lab(twin.network, twin.name)
    clock = Clock(twin)
    labs.up(shape, twin.folder, {node.name: twin.build / node.name for node in shape.nodes})
    reached(twin, clock, {node.name for node in shape.nodes})
    return clock.figure(len(shape.nodes))


def order(twin: Twin) -> deploy.Order:
    """The whole playbook on the whole lab."""
    return deploy.Order("pilot", twin.at, twin.state, CHECKOUT / "inventory" / "hosts")


def run(twin: Twin) -> deploy.Outcome:
    """Run the playbook. Raises Failed when a device was not brought to its tree."""
    if not deploy.with_mitogen():
        raise Failed("mitogen is not installed")
    outcome = deploy.run(order(twin), lambda event: None)
    if not outcome.good:
        raise Failed(
            f"{len(outcome.failures)} devices failed: {dict(list(outcome.failures.items())[:2])}; {outcome.log}"
        )
    return outcome


def deployed(twin: Twin) -> Figure:
    """From bare machines to all services up."""
    clock = Clock(twin)
    outcome = run(twin)
    clock.lap("every device is brought to its tree")
    until(lambda: passes(twin, SERVICES), "all services up")
    clock.lap("all services are up")
    return clock.figure(len(outcome.hosts))


def green(twin: Twin, clock: Clock) -> Figure:
    """Since `clock` was started on bare machines: every check says that it is as the plan says. Raises Failed."""
    bad: list[Record] = []

    def all_green() -> bool:
        bad[:] = [record for record in look(twin, ()) if record.result != "pass"]
        return not bad

    try:
        until(all_green, "every check green")
    except Failed as why:
        raise Failed(f"{why}: {[(one.check, one.subject, one.reason) for one in bad[:3]]}") from None
    return clock.figure(sum(len(site.devices) for site in twin.network.running()))


def again(twin: Twin) -> Figure:
    """The playbook a second time. Raises Failed when it changed something."""
    clock = Clock(twin)
    outcome = run(twin)
    figure = clock.figure(len(outcome.hosts))
    changed = {name: counts["changed"] for name, counts in outcome.hosts.items() if counts["changed"]}
    if changed:
        raise Failed(f"the second run changed {changed}")
    return figure


def probes(twin: Twin) -> Figure:
    """All pairs of zones. Raises Failed at a mismatch."""
    clock = Clock(twin)
    records = look(twin, ["zones"], clock.lap)
    figure = clock.figure(sum(record.expected for record in records))
    bad = [(record.subject, record.reason) for record in records if record.result != "pass"]
    if bad or not records:
        raise Failed(f"{len(bad)} of {len(records)} pairs are not as the plan says: {bad[:2]}")
    return figure


def stacked(twin: Twin, wanted: Sequence[str], told: Callable[[str, Figure], None]) -> None:
    """One data centre through the engine: made from nothing, previewed, read back. Raises Failed."""
    target = workspace.Target(twin.state, twin.at, engine.ready(lambda step: None))
    (centre,) = program.chosen(program.stacks(twin.network), (), ("640100-centre1",))
    rows = {"stack-up": workspace.up, "stack-preview": workspace.preview, "stack-drift": workspace.drift}
    for name, work in rows.items():
        clock = Clock(twin)
        outcome = work(target, centre, lambda done: None)
        if outcome.mistakes or bool(outcome.changes) != (name == "stack-up"):
            raise Failed(f"{name}: {outcome.mistakes or outcome.changes}")
        if name in wanted:
            told(name, clock.figure(centre.size))


def measure(folder: Path, wanted: Sequence[str], told: Callable[[str, Figure], None]) -> None:
    """Bring up what the wanted rows need, measure them, take everything down. Raises Failed and what the rooms raise."""
    state = folder / "state"
    network = compiled("pilot", state)
    build = tree.place(state, "twin:bench", "pilot")
    render.write(build, network, lab=True)
    if "twin-preseeded" in wanted:
        twin = Twin(state, f"bench{os.getpid()}a", network, build)
        with ended(twin):
            told("twin-preseeded", preseeded(twin))
    if "twin-wide" in wanted:
        told("twin-wide", wide.preseeded(folder / "wide", f"bench{os.getpid()}w"))
    if {"stack-up", "stack-preview", "stack-drift"} & set(wanted):
        labs.prepared()
        twin = Twin(state, f"bench{os.getpid()}c", network, build)
        with ended(twin):
            stacked(twin, wanted, told)
    rest = CONFIGURED & set(wanted)
    if rest:
        twin = Twin(state, f"bench{os.getpid()}b", network, build)
        with ended(twin):
            labs.up(builds.lab(network, twin.name), twin.folder)
            configured(twin, rest, folder, told)


def configured(twin: Twin, wanted: Collection[str], folder: Path, told: Callable[[str, Figure], None]) -> None:
    """The rows of the configured pilot, one after the other: each finds the lab as the one before it left it."""
    # The first run is measured even where only what follows it was asked for: it has to be made anyway.
    started = Clock(twin)
    told("twin-deploy", deployed(twin))
    rows: dict[str, Callable[[], Figure]] = {
        "twin-green": lambda: green(twin, started),
        "twin-again": lambda: again(twin),
        "twin-probes": lambda: probes(twin),
        "row-inside": lambda: data.sent(twin, data.INSIDE),
        "row-above": lambda: data.sent(twin, data.ABOVE),
        "service-change": lambda: data.changed(twin, folder),
    }
    for name, work in rows.items():
        if name in wanted:
            told(name, work())
    if {"rows-million", "base-backup"} & set(wanted):
        for name, figure in zip(("rows-million", "base-backup"), data.million(twin), strict=True):
            told(name, figure)


def _say(name: str, figure: Figure) -> None:
    print(msgspec.json.encode({"row": name, "figure": figure}).decode(), flush=True)


if __name__ == "__main__":
    try:
        measure(Path(sys.argv[1]), sys.argv[2:], _say)
    except Failed as why:
        sys.exit(str(why))
