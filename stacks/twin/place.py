"""Where a lab lives: names of its namespaces, its folders, its locks, and one state file per object.

<state>/<lab>/            stays: nodes/ links/ segments/ disk/ id_ed25519 reach.json known_hosts
/run/jinbao/<lab>/        ends with the lab: a memory file system with the nodes' roots, consoles and locks
/run/jinbao/<lab>.owner   the state folder that holds the lab
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, TypeVar
from urllib.parse import quote

import msgspec

from ground import files, mistake
from stacks.twin import program
from stacks.twin.topology import Link, Node, Segment

RUN = Path("/run/jinbao")
NETNS = Path("/run/netns")
PREFIX = "tw-"

Kind = Literal["node", "link", "segment"]
Stored = TypeVar("Stored", "NodeState", Link, Segment)


class Place(msgspec.Struct, frozen=True):
    """One lab's place on this machine. `state` is the folder of this lab alone."""

    lab: str
    state: Path

    @property
    def home(self) -> Path:
        """The state folder that the labs lie in, beside plans and secrets."""
        return self.state.parent.parent

    @property
    def run(self) -> Path:
        return RUN / self.lab

    @property
    def owner(self) -> Path:
        return RUN / f"{self.lab}.owner"

    @property
    def closing(self) -> Path:
        """Stands while the lab is taken down: no supervisor starts a node any more."""
        return RUN / f"{self.lab}.closing"

    @property
    def identity(self) -> Path:
        return self.state / "id_ed25519"

    @property
    def reach(self) -> Path:
        return self.state / "reach.json"

    @property
    def known_hosts(self) -> Path:
        return self.state / "known_hosts"

    def netns(self, node: str) -> str:
        """Name of the network namespace of `node`, or of `ctl` and `wire`. As a machine name it is unique too."""
        return f"{PREFIX}{self.lab}-{node}"

    def folder(self, node: str) -> Path:
        """Where the running node keeps its root, console and status."""
        return self.run / node


class NodeState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is fixed about a node when it is first made."""

    node: Node
    index: int
    """Its number on the management network."""
    private_key: str
    host_key: str
    """As in known_hosts, without the address."""

    @property
    def address(self) -> str:
        return f"10.255.{self.index >> 8}.{self.index & 255}"

    @property
    def address6(self) -> str:
        return f"fd00:255::{self.index:x}"

    @property
    def management(self) -> tuple[str, str]:
        """What its management port carries."""
        return f"{self.address}/16", f"{self.address6}/64"


def at(state_dir: Path, lab: str) -> Place:
    """The place of `lab` below the state folder."""
    return Place(lab, (state_dir / lab).absolute())


def owner(lab: str) -> Path | None:
    """The state folder of the lab of this name on this machine, None when there is none."""
    with contextlib.suppress(FileNotFoundError):
        return Path((RUN / f"{lab}.owner").read_text().strip())
    return None


@contextlib.contextmanager
def working(place: Place) -> Iterator[None]:
    """While something is made or removed in the lab. `closed` waits for all of these."""
    with program.lock(RUN / "lock" / place.lab, shared=True):
        yield


@contextlib.contextmanager
def closed(place: Place) -> Iterator[None]:
    """While the lab is taken down."""
    with program.lock(RUN / "lock" / place.lab):
        yield


@contextlib.contextmanager
def held(place: Place, names: Iterable[str]) -> Iterator[None]:
    """Hold the locks of these objects (`node-…`, `ns-…`), taken in one order: no two callers can block each other."""
    with contextlib.ExitStack() as stack:
        for name in sorted(set(names)):
            stack.enter_context(program.lock(place.run / ".lock" / quote(name, safe="")))
        yield


def path(place: Place, kind: Kind, name: str) -> Path:
    """The state file of one object."""
    return place.state / f"{kind}s" / f"{quote(name, safe='')}.json"


def save(place: Place, kind: Kind, name: str, value: NodeState | Link | Segment) -> None:
    """Write an object's state file."""
    files.write(path(place, kind, name), msgspec.json.encode(value) + b"\n", 0o600)


def load(place: Place, kind: Kind, name: str, shape: type[Stored]) -> Stored | None:
    """What the object's state file says, None when there is none. Raises JB3007."""
    return _read(path(place, kind, name), shape)


def every(place: Place, kind: Kind, shape: type[Stored]) -> list[Stored]:
    """All objects of a kind. Raises JB3007."""
    found = [_read(file, shape) for file in sorted((place.state / f"{kind}s").glob("*.json"))]
    return [value for value in found if value is not None]


def forget(place: Place, kind: Kind, name: str) -> None:
    """Remove an object's state file."""
    path(place, kind, name).unlink(missing_ok=True)


def clear(place: Place) -> None:
    """Remove what a lab keeps in its state folder, and the folder if nothing else lies in it."""
    for name in ("nodes", "links", "segments", "disk"):
        shutil.rmtree(place.state / name, ignore_errors=True)
    keys = (place.identity, place.identity.with_suffix(".pub"))
    for file in (place.reach, place.known_hosts, *keys, place.owner):
        file.unlink(missing_ok=True)
        for draft in file.parent.glob(f".{file.name}.*"):  # of a write that was killed
            draft.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        place.state.rmdir()


def _read(file: Path, shape: type[Stored]) -> Stored | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=shape)
    except FileNotFoundError:
        return None
    except (msgspec.MsgspecError, OSError) as why:
        raise mistake.one(
            "JB3007",
            f"the lab's state is damaged: {why}",
            "Take the lab down (`jinbao twin down`) and bring it up again.",
            file=str(file),
        ) from None


@contextlib.contextmanager
def room(folder: Path) -> Iterator[None]:
    """Turn a full disk or memory file system into JB3008; what was half written is made anew by the next run."""
    try:
        yield
    except OSError as why:
        if why.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        where = why.filename if isinstance(why.filename, str) and why.filename.startswith("/") else str(folder)
        raise full(Path(where)) from None


def full(where: Path) -> mistake.Mistakes:
    """JB3008 for the file system that holds `where`."""
    spot = next((folder for folder in (where, *where.parents) if folder.exists()), Path("/"))
    free = shutil.disk_usage(spot).free
    return mistake.one(
        "JB3008",
        f"no space left on the file system of {spot} ({free / 1e6:.0f} MB free)",
        "Free some space there, or take fewer regions into the lab, and run the same command again.",
        subject=str(where),
    )


def exists(netns: str) -> bool:
    """Whether a network namespace of this name stands (a file alone is what a killed `ip netns add` leaves)."""
    try:
        return os.stat(NETNS / netns).st_dev != os.stat(NETNS).st_dev
    except FileNotFoundError:
        return False
