"""One small lab for all tests of the roles, brought up once and brought to its trees once."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ground import reach
from ground.reach import Reach
from stacks.twin import lab as labs
from stacks.twin.place import Place
from tests.playbooks import sample
from tests.playbooks.drift import Drift, brought_up

ROOT = Path(__file__).resolve().parents[2]


class Run(msgspec.Struct, frozen=True):
    """How a playbook run ended. `hosts`: device → counters of Ansible's recap."""

    code: int
    out: str
    hosts: dict[str, dict[str, int]]

    def changed(self) -> dict[str, int]:
        return {host: counts["changed"] for host, counts in self.hosts.items() if counts["changed"]}


class Rehearsal(msgspec.Struct, frozen=True):
    """The lab with its trees, inventory and state."""

    place: Place
    folder: Path
    reaches: dict[str, Reach]

    @property
    def build(self) -> Path:
        return self.folder / "build"

    @property
    def inventory(self) -> Path:
        return self.folder / "hosts"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def command(self, *arguments: str) -> list[str]:
        return ["ansible-playbook", "-i", str(self.inventory), str(ROOT / "playbooks" / "site.yml"), *arguments]

    def environment(self, events: Path, **more: str) -> dict[str, str]:
        return {
            **os.environ,
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_CALLBACKS_ENABLED": "events",
            "JINBAO_EVENTS": str(events),
            **more,
        }

    def play(self, *arguments: str, **environment: str) -> Run:
        """Run the playbook as an engineer does, from the checkout's folder."""
        events = self.folder / "events"
        events.write_text("")
        done = subprocess.run(
            self.command(*arguments),
            cwd=ROOT,
            env=self.environment(events, **environment),
            capture_output=True,
            text=True,
        )
        last = [json.loads(line) for line in events.read_text().splitlines() if '"event": "end"' in line]
        return Run(done.returncode, done.stdout + done.stderr, last[-1]["hosts"] if last else {})

    def render(self, changes: Mapping[tuple[str, str], str | None] | None = None) -> None:
        """Write the trees, with `changes` as `sample.write` takes them."""
        sample.write(self.build, changes)

    def ask(self, device: str, program: str) -> str:
        """What a shell line prints on a device; it has to succeed."""
        done = subprocess.run([*self._ssh(device), program], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{device}: {program}: {done.stderr}{done.stdout}"
        return done.stdout.strip()

    def _ssh(self, device: str) -> list[str]:
        reach_ = self.reaches[device]
        line = [
            "ssh",
            "-i",
            reach_.identity,
            "-o",
            "IdentitiesOnly=yes",
            "-o",
            f"UserKnownHostsFile={self.place.known_hosts}",
        ]
        return [*line, "-o", "LogLevel=ERROR", "-o", f"ProxyCommand={reach_.via}", f"root@{reach_.address}"]

    def host(self, device: str) -> Any:
        """The device as testinfra sees it."""
        import testinfra

        return testinfra.get_host(f"ssh://{device}", ssh_config=str(self.folder / "ssh_config"))


@pytest.fixture(scope="package")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    """The lab as delivered: machines without configuration."""
    folder = tmp_path_factory.mktemp("roles")
    labs.down(sample.LAB.name)
    place = labs.up(sample.LAB, folder / "lab")
    try:
        reaches = reach.read(place.reach)
        rehearsal = Rehearsal(place, folder, reaches)
        rehearsal.render()
        sample.inventory(rehearsal.inventory, rehearsal.build, rehearsal.state, reaches, place.known_hosts)
        lines = [
            f"Host {name}\n HostName {one.address}\n User {one.user}\n IdentityFile {one.identity}\n IdentitiesOnly yes\n"
            f" UserKnownHostsFile {place.known_hosts}\n ProxyCommand {one.via}\n"
            for name, one in reaches.items()
        ]
        (folder / "ssh_config").write_text("".join(lines))
        yield rehearsal
    finally:
        labs.down(sample.LAB.name)


@pytest.fixture(scope="package")
def checked_bare(bare: Rehearsal) -> tuple[Run, dict[str, str], dict[str, str]]:
    """A check of the bare nodes, with what stood on each before and after."""
    look = "find /etc /var/lib /usr/local -type f -exec sha256sum {} + | sort | sha256sum; systemctl list-units --no-legend | sort"
    before = {name: bare.ask(name, look) for name in bare.reaches}
    run = bare.play("--check", "--diff")
    return run, before, {name: bare.ask(name, look) for name in bare.reaches}


@pytest.fixture(scope="package")
def first(bare: Rehearsal, checked_bare: object) -> Run:
    """The first run, on bare nodes."""
    return bare.play("-vvv")


@pytest.fixture(scope="package")
def applied(bare: Rehearsal, first: Run) -> Rehearsal:
    """The lab with its trees applied, to look at."""
    assert first.code == 0, first.out[-4000:]
    return bare


@pytest.fixture
def changing(applied: Rehearsal) -> Iterator[Rehearsal]:
    """The lab with its trees applied, to render other trees for the router and the exchange host: taken back after it."""
    yield applied
    applied.render()
    run = applied.play("--limit", "a-r1:a-exch1")
    assert run.code == 0, run.out[-4000:]


@pytest.fixture(scope="package")
def drift(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drift]:
    """The lab of four devices that are changed by hand."""
    with brought_up(tmp_path_factory.mktemp("drift")) as found:
        yield found
