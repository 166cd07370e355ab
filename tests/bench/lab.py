"""The rows that need the twin: `python -m tests.bench.lab <folder> <row> …` prints one figure a line as JSON.

Two labs, one after the other: one preseeded for the first row, one of bare machines for the others, which follow from one another.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from ground import reach, remote, tree
from ground.record import Record
from inventory import render
from ip_plan.compile import compiled
from ip_plan.network import Network
from monitoring.checks import run as checks
from monitoring.checks import zones
from monitoring.checks.crew import crew
from monitoring.checks.look import hosts
from playbooks import deploy
from stacks import engine, program, workspace
from stacks.twin import build as builds
from stacks.twin import cgroups
from stacks.twin import lab as labs
from tests.bench import meter
from tests.bench.meter import CHECKOUT, Failed, Figure

PATIENCE = 600.0
"""Seconds that a row may take before it has failed; times JINBAO_SLOW."""
CONFIGURED = {
    "twin-deploy", "twin-green", "twin-again", "twin-probes", "row-inside", "row-above", "service-change", "rows-million",
    "base-backup",
}  # fmt: skip
"""The rows on the pilot that the playbook has configured."""
SERVICES = ("routing", "databases", "flows", "names", "time")


class Twin(msgspec.Struct, frozen=True):
    """The pilot on a lab of its own."""

    state: Path
    name: str
    network: Network
    build: Path

    @property
    def at(self) -> str:
        return f"twin:{self.name}"

    @property
    def folder(self) -> Path:
        return self.state / "twin"


class Clock:
    """What a row takes: wall time, and CPU of this process, its children and the lab's nodes."""

    def __init__(self, twin: Twin) -> None:
        self.twin = twin
        self.started, self.cpu, self.machine = time.perf_counter(), self._cpu(), meter.machine()

    def lap(self, what: str) -> None:
        """Say on standard error how far it has come."""
        print(f"  {time.perf_counter() - self.started:6.1f} s  {what}", file=sys.stderr, flush=True)

    def figure(self, units: int) -> Figure:
        """Since the start; memory is what the nodes' processes hold now."""
        wall, cpu, machine = (
            time.perf_counter() - self.started,
            self._cpu() - self.cpu,
            meter.machine() - self.machine,
        )
        others = max(0.0, machine - cpu) / (wall * (os.cpu_count() or 1))
        return Figure(wall, cpu, meter.memory_of(_processes(self.twin)), min(others, 1.0), units)

    def _cpu(self) -> float:
        own = sum(
            usage.ru_utime + usage.ru_stime
            for usage in (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        )
        return own + sum(_used(folder) for folder in _folders(self.twin))


def _folders(twin: Twin) -> list[Path]:
    layout = cgroups.here()
    found = cgroups.lab_folders(layout, twin.name) if layout else []
    return [folder for folder in found if (folder / "cpu.stat").exists()]


def _used(folder: Path) -> float:
    """CPU seconds of all that ever ran in a cgroup (cpu.stat of cgroup v2)."""
    words = (folder / "cpu.stat").read_text().split()
    return int(words[words.index("usage_usec") + 1]) / 1e6


def _processes(twin: Twin) -> Iterator[int]:
    for folder in _folders(twin):
        for path in folder.rglob("cgroup.procs"):
            try:
                yield from map(int, path.read_text().split())
            except OSError:
                continue


@contextmanager
def ended(twin: Twin) -> Iterator[None]:
    """Takes the lab down at the end, whatever happened."""
    try:
        yield
    finally:
        labs.down(twin.name, twin.folder)


def until(true: Callable[[], bool], what: str) -> None:
    """Poll until it holds. Raises Failed."""
    end = time.monotonic() + PATIENCE * float(os.environ.get("JINBAO_SLOW") or 1)
    while not true():
        if time.monotonic() > end:
            raise Failed(f"{what} within {PATIENCE:g} s: not so")
        time.sleep(0.2)


def look(twin: Twin, only: Sequence[str], told: Callable[[str], None] = lambda step: None) -> list[Record]:
    """What the checks see now."""
    session = remote.session(reach.of(twin.state, twin.at))
    try:
        return checks.run(twin.network, session, twin.at, only, told=told)
    finally:
        remote.close(session)


def passes(twin: Twin, only: Sequence[str]) -> bool:
    """Whether these checks say nothing but pass."""
    records = look(twin, only)
    return bool(records) and all(record.result == "pass" for record in records)


def reached(twin: Twin, clock: Clock, there: Collection[str]) -> bool:
    """Whether every host that is `there` is reached over both families, each from one host of another site where the plan allows one."""
    clock.lap("nodes answer")
    openers = [host for host in hosts(twin.network) if host.name in there]
    aims = [aim for aim in zones.targets(twin.network) if aim.device in there]
    expected = zones.expect(twin.network, openers, aims)
    chosen = one_each(twin.network, expected)
    if {end for opener, device, _ in chosen for end in (opener, device)} != {host.name for host in openers}:
        raise Failed("the plan lets some host reach nobody and nobody reach it")
    session = remote.session(reach.of(twin.state, twin.at))
    try:
        with crew(session, [host.name for host in openers]) as members:
            bound = zones.listen(members, aims)
            clock.lap("agents listen")
            seen: zones.Seen = {}

            def all_there() -> bool:
                nonlocal seen
                seen = zones.probe(members, openers, aims, bound, only=chosen, tries=1)
                return {(*key, family) for key in chosen for family in zones.FAMILIES} == {
                    key for key, letters in seen.items() if _open(expected[key[:3]].allow, letters)
                }

            until(all_there, "every host reached")
            return True
    finally:
        remote.close(session)


def _open(allow: str, letters: str) -> bool:
    return all(letter in zones.PASSED for one, letter in zip(allow, letters, strict=True) if one == "1")


def one_each(network: Network, expected: dict[tuple[str, str, str], zones.Expected]) -> frozenset[tuple[str, str, str]]:
    """For each host one (opener, host, service) that the plan opens: from another site where there is one.

    A host that nobody may reach, as in a decision zone, opens one itself.
    """
    best: dict[str, tuple[bool, bool, tuple[str, str, str]]] = {}
    for key, row in expected.items():
        opener, device, _ = key
        if "1" in row.allow:
            near = network.devices[opener].site == network.devices[device].site
            for host, opens in ((device, False), (opener, True)):
                best[host] = min(best.get(host, (True, True, ("~", "", ""))), (opens, near, key))
    return frozenset(key for *_, key in best.values())


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
        from tests.bench import wide

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
    from tests.bench import data

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
