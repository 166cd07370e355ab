"""The tree of a device: which file goes where, who owns it, what checks it and which unit takes it up.

`build/<target>/<plan>/<device>/tree.json` lists the entries; the content of each lies beside it under `files/<source>`.
Read by Ansible, by the twin's preseed and by the drift check.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import msgspec

from ground import files


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file on a device."""

    target: str
    """Absolute path on the device."""
    source: str
    """Path below `files/` of the device's folder."""
    role: str
    """The Ansible role that installs it."""
    sha256: str
    owner: str = "root"
    group: str = "root"
    mode: str = "0644"
    validator: str = ""
    """Command run on the device with `%s` for the candidate's path, before it is moved in place; empty: none."""
    unit: str = ""
    """systemd unit that is reloaded (or restarted, see `action`) when the file changed; empty: none."""
    action: str = "reload"
    """`reload` or `restart`."""


class Tree(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All files and units of one device."""

    device: str
    entries: tuple[Entry, ...]
    units: tuple[str, ...] = ()
    """systemd units that are enabled and running on this device."""


def place(state: Path, at: str, plan: str) -> Path:
    """The folder of all trees of a plan: those rendered for twins lie apart from those for the production network."""
    return state / "build" / at.partition(":")[0] / plan


def read(folder: Path) -> Tree:
    """The tree in `folder` (`build/<device>`). Raises FileNotFoundError or msgspec.ValidationError."""
    return msgspec.json.decode((folder / "tree.json").read_bytes(), type=Tree)


def content(folder: Path, entry: Entry) -> bytes:
    """The bytes of one entry."""
    return (folder / "files" / entry.source).read_bytes()


def write(folder: Path, tree: Tree, contents: Mapping[str, bytes]) -> int:
    """Write `tree` and its contents (by source); returns how many files changed. `tree.json` is written last."""
    if not folder.exists():
        return _create(folder, tree, contents)
    changed = sum(
        files.write(folder / "files" / entry.source, contents[entry.source], durable=False) for entry in tree.entries
    )
    wanted = {entry.source for entry in tree.entries}
    root = folder / "files"
    if root.is_dir():
        for path in [p for p in root.rglob("*") if p.is_file()]:
            if str(path.relative_to(root)) not in wanted:
                path.unlink()
                changed += 1
    return changed + files.write(folder / "tree.json", _body(tree), durable=False)


def _create(folder: Path, tree: Tree, contents: Mapping[str, bytes]) -> int:
    """A folder that is not there yet appears whole: a third of the time of as many single files."""
    staged = folder.with_name(f".{folder.name}.new")
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(staged)  # left by a run that was cut off
    os.makedirs(staged)
    made = {""}
    inside = {f"files/{entry.source}": contents[entry.source] for entry in tree.entries} | {"tree.json": _body(tree)}
    root = os.open(staged, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for source, data in inside.items():
            _folders(source.rpartition("/")[0], made, root)
            handle = os.open(source, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=root)
            try:
                os.fchmod(handle, 0o644)
                while data:
                    data = data[os.write(handle, data) :]
            finally:
                os.close(handle)
    finally:
        os.close(root)
    os.rename(staged, folder)
    return len(tree.entries) + 1


def _folders(path: str, made: set[str], root: int) -> None:
    """Make the folder `path` and those above it that are not made."""
    if path not in made:
        _folders(path.rpartition("/")[0], made, root)
        os.mkdir(path, dir_fd=root)
        made.add(path)


def _body(tree: Tree) -> bytes:
    return msgspec.json.format(msgspec.json.encode(tree), indent=1) + b"\n"
