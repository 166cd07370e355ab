"""The pilot, brought up once as machines without configuration, and configured by the playbooks that an engineer runs."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ground import reach, remote, tree
from ground.record import Record
from inventory import proof as proofs
from inventory import render
from ip_plan import folder
from ip_plan import plan as plans
from ip_plan.compile import compile_plan, compiled
from ip_plan.network import Network, load
from monitoring import rollout
from monitoring.checks import run as checks
from monitoring.checks.look import tool
from monitoring.evidence import log
from playbooks import deploy
from stacks.twin import build as builds
from stacks.twin import lab as labs
from stacks.twin import place as places
from stacks.twin.place import NodeState, Place
from stacks.twin.topology import Link

ROOT = Path(__file__).resolve().parents[2]


class Pilot(msgspec.Struct):
    """A plan folder, its state, and the lab that runs it."""

    folder: Path
    state: Path
    place: Place
    known: dict[str, Any] = msgspec.field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.place.lab

    @property
    def at(self) -> str:
        return f"twin:{self.place.lab}"

    @property
    def plan(self) -> str:
        return str(self.folder)

    @property
    def network(self) -> Network:
        """The Network of the plan as it stands now; compiled again when a word of it changed."""
        words = tuple(sorted((path.name, path.read_bytes()) for path in self.folder.iterdir() if path.is_file()))
        if self.known.get("words") != words:
            self.known["words"] = words
            self.known["network"] = load(compile_plan(self.plan, self.state, confirm="pilot").network)
        return self.known["network"]  # type: ignore[no-any-return]

    @property
    def build(self) -> Path:
        return tree.place(self.state, self.at, folder.name_of(self.plan))

    @property
    def reaches(self) -> dict[str, reach.Reach]:
        return reach.of(self.state, self.at)

    def render(self) -> tuple[str, ...]:
        """Render what the plan says now; the devices whose files changed."""
        return render.write(self.build, self.network, lab=True).changed

    def prove(self) -> proofs.Proof:
        running = [name for site in self.network.running() for name in site.devices]
        return proofs.prove(self.network, self.build, running)

    def deploy(self, limit: str = "") -> deploy.Outcome:
        """Run the playbook; every failure is told."""
        order = deploy.Order(self.plan, self.at, self.state, ROOT / "inventory" / "hosts", limit)
        return deploy.run(order, lambda event: None)

    def check(self, only: Sequence[str] = (), without: Sequence[str] = ()) -> list[Record]:
        """Look from outside and keep what was seen; `without`: devices the controller cannot reach."""
        known = {name: one for name, one in self.reaches.items() if name not in without}
        session = remote.session(known)
        recorder = log.of(self.state, self.at, tool())
        try:
            return checks.run(
                self.network, session, self.at, only, kept=lambda found: recorder.add(found.records, found.details)
            )
        finally:
            remote.close(session)

    def status(self) -> rollout.Status:
        return rollout.gather(plans.load(self.plan), self.network, self.state, self.at, datetime.now(UTC), ask=False)

    def line(self, milestone: str, region: str) -> Any:
        return next(line for line in self.status().lines if (line.milestone, line.region) == (milestone, region))

    def ask(self, device: str, program: str, seconds: float = 60) -> remote.Answer:
        session = remote.session({device: self.reaches[device]})
        try:
            return remote.run(session, device, program, seconds=seconds)
        finally:
            remote.close(session)

    def inside(self, device: str, *program: str) -> subprocess.Popen[str]:
        """A program of this machine in the device's network namespace."""
        line = ["ip", "netns", "exec", self.place.netns(device), *program]
        return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def on(self, device: str, program: str) -> subprocess.Popen[str]:
        """A shell line that runs on the device."""
        state = places.load(self.place, "node", device, NodeState)
        assert state
        return subprocess.Popen(
            [*labs.ssh(self.place, state), program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def link(self, link: str) -> Any:
        return places.load(self.place, "link", link, Link)

    @contextlib.contextmanager
    def edited(self, changes: Mapping[str, Mapping[str, str]]) -> Iterator[None]:
        """The plan with some words changed, and back again."""
        held = {name: (self.folder / name).read_text("utf-8") for name in changes}
        try:
            for name, words in changes.items():
                text = held[name]
                for old, new in words.items():
                    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {name}"
                    text = text.replace(old, new)
                (self.folder / name).write_text(text, "utf-8")
            yield
        finally:
            for name, text in held.items():
                (self.folder / name).write_text(text, "utf-8")


def until(seconds: float, true: Any) -> bool:
    """Poll until `true()` holds, at most so long."""
    factor = float(os.environ.get("JINBAO_SLOW") or 1)
    end = time.monotonic() + seconds * factor
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.2)
    return bool(true())


@pytest.fixture(scope="package")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pilot]:
    """The pilot's machines as delivered, and its files rendered."""
    folder = tmp_path_factory.mktemp("pilot")
    plan, state = folder / "plan", folder / "state"
    plan.mkdir()
    for name, document in plans.load("pilot").documents.items():
        (plan / name).write_bytes(Path(document.file).read_bytes())
    name = f"pilot{os.getpid()}"
    network = compiled(str(plan), state)
    pilot = Pilot(plan, state, places.at(state / "twin", name))
    pilot.render()
    try:
        labs.up(builds.lab(network, name), state / "twin")
        yield pilot
    finally:
        labs.down(name, state / "twin")


@pytest.fixture(scope="package")
def first(bare: Pilot) -> deploy.Outcome:
    """The first run of the playbook."""
    return bare.deploy()


@pytest.fixture(scope="package")
def pilot(bare: Pilot, first: deploy.Outcome) -> Pilot:
    """The pilot as configured by the first run."""
    assert first.good, (first.failures, first.log.read_text(errors="replace")[-3000:])
    return bare
