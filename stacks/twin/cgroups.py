"""Control groups: one per node, made before it starts, so that a node can be counted, and ended at one stroke.

Two layouts work. *Folders*: the hybrid layout, where no systemd runs the machine and the folders are made by hand.
*Scopes*: systemd is PID 1 with cgroup v2 alone, and a node is a scope in the slice of its lab.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from stacks.twin import program

ROOT = Path("/sys/fs/cgroup")
# The first two are needed by the node's systemd; the others count.
NEEDED = ("unified", "systemd")
COUNTING = ("memory", "pids", "cpuacct")
SUPERVISORS = "_supervisors"  # no node's name has an underscore


class Layout(msgspec.Struct, frozen=True):
    """How control groups are laid out here. `hierarchies` are the mounted folders a node is put into."""

    kind: Literal["folders", "scopes"]
    hierarchies: tuple[str, ...]


def layout(mounts: str, pid1: str) -> Layout | None:
    """The layout that /proc/mounts and the name of PID 1 show, None when neither of the two works here."""
    points = {fields[1]: fields[2] for line in mounts.splitlines() if len(fields := line.split()) > 2}
    if points.get(str(ROOT)) == "cgroup2":
        return Layout("scopes", (str(ROOT),)) if pid1 == "systemd" else None
    if points.get(str(ROOT / "unified")) != "cgroup2" or points.get(str(ROOT / "systemd")) != "cgroup":
        return None
    counting = [str(ROOT / name) for name in COUNTING if points.get(str(ROOT / name)) == "cgroup"]
    return Layout("folders", (*(str(ROOT / name) for name in NEEDED), *counting))


def here() -> Layout | None:
    """The layout of this machine."""
    return layout(Path("/proc/mounts").read_text(), Path("/proc/1/comm").read_text().strip())


def scope(lab: str, unit: str) -> list[str]:
    """The command line that runs what follows it as a scope in the slice of `lab`."""
    line = ["systemd-run", "--scope", "--quiet", "--collect", f"--slice=twin-{lab}.slice"]
    return [*line, f"--unit={unit}", "-p", "Delegate=yes"]


def lab_folders(layout: Layout, lab: str) -> list[Path]:
    """The folders of a lab, the one that can kill first."""
    if layout.kind == "scopes":
        return [ROOT / "twin.slice" / f"twin-{lab}.slice"]
    return [Path(root) / "twin" / lab for root in layout.hierarchies]


def node_folders(layout: Layout, lab: str, node: str) -> list[Path]:
    """The folders of a node, the one that can kill first."""
    name = f"tw-{lab}-{node}.scope" if layout.kind == "scopes" else node
    return [folder / name for folder in lab_folders(layout, lab)]


def supervisors(layout: Layout, lab: str) -> list[Path]:
    """Where the supervisors of a lab are put: apart from the nodes, so that a power cut leaves them."""
    return [lab_folders(layout, lab)[0] / SUPERVISORS] if layout.kind == "folders" else []


def prepare(folders: Sequence[Path]) -> None:
    """Make the folders."""
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)


def kill(folder: Path) -> None:
    """End every process in `folder` and below it, at once."""
    with contextlib.suppress(FileNotFoundError):
        (folder / "cgroup.kill").write_text("1")


def populated(folder: Path) -> bool:
    """Whether a process lives in `folder` or below it."""
    try:
        return "populated 1" in (folder / "cgroup.events").read_text()
    except (FileNotFoundError, OSError):
        return False


def emptied(folder: Path, seconds: float) -> bool:
    """Wait until no process lives in `folder`; returns whether that came within `seconds`."""
    deadline = time.monotonic() + seconds
    while populated(folder):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def remove(layout: Layout, lab: str, folders: Sequence[Path]) -> None:
    """Remove emptied folders; a scope goes by itself."""
    if layout.kind == "scopes":
        if folders == lab_folders(layout, lab):
            program.run(["systemctl", "stop", f"twin-{lab}.slice"])
        return
    for folder in folders:
        for path, _, _ in os.walk(folder, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(path)


def memory(folders: Sequence[Path]) -> int | None:
    """Bytes charged to a node, None when this machine does not count them."""
    for folder in folders:
        for name in ("memory.usage_in_bytes", "memory.current"):
            with contextlib.suppress(OSError):
                return int((folder / name).read_text())
    return None
