"""Labs for tests: each of its own name, taken down whatever happens."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stacks.twin import cgroups, lab, wiring
from stacks.twin.cgroups import Layout
from stacks.twin.image import Image
from stacks.twin.place import RUN
from stacks.twin.topology import Lab, Link, Node, Port, Segment

_count = itertools.count()


@pytest.fixture(scope="session")
def prepared() -> tuple[Image, Layout]:
    """The image, built on the first run on this machine (minutes), and the layout of control groups."""
    return lab.prepared(4)


@pytest.fixture
def name() -> Iterator[str]:
    """A lab's name that no other test has."""
    chosen = f"t{os.getpid()}x{next(_count)}"
    yield chosen
    lab.down(chosen)


@pytest.fixture
def small(name: str, prepared: tuple[Image, Layout]) -> Lab:
    """Three nodes: two joined by a link, all three by a LAN, one of them on disk."""
    return Lab(
        name,
        (Node("a"), Node("b"), Node("db", disk=True)),
        (Link("a–b", Port("a", "wan0"), Port("b", "wan0")),),
        (Segment("lan", tuple(Port(node, "lan0") for node in ("a", "b", "db"))),),
    )


@pytest.fixture(scope="session")
def left() -> Callable[[str], list[str]]:
    """What a lab has left on this machine: namespaces, mounts, control groups, processes, folders."""

    def find(name: str) -> list[str]:
        layout = cgroups.here()
        assert layout
        found = wiring.namespaces(name)
        found += [str(folder) for folder in cgroups.lab_folders(layout, name) if folder.exists()]
        found += [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if f"/jinbao/{name}" in line]
        found += [str(path) for path in (RUN / name, RUN / f"{name}.owner", RUN / f"{name}.closing") if path.exists()]
        found += [str(path) for path in Path("/run/systemd/nspawn").glob(f"*/tw-{name}-*")]
        for process in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                line = process.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if f"tw-{name}-" in line or f"/jinbao/{name}/" in line:
                found.append(line)
        return found

    return find
