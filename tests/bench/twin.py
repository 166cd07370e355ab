"""A lab that rows are measured on: its clock, what its checks see, and whether everything in it is reached."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from ground import reach, remote
from ground.record import Record
from ip_plan.network import Network
from monitoring.checks import run as checks
from monitoring.checks import zones
from monitoring.checks.crew import crew
from monitoring.checks.look import hosts
from stacks.twin import cgroups
from stacks.twin import lab as labs
from tests.bench import meter
from tests.bench.meter import Failed, Figure

PATIENCE = 600.0
"""Seconds that a row may take before it has failed; times JINBAO_SLOW."""


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
