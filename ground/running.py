"""Copies of what devices run: fetched over SSH, kept below the state folder, never overwritten.

`running/<kind>/<lab>/<device>/<dialect>-<time>-<hash>.conf`: time in UTC, the first digits of the SHA-256 of the content.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from ground import clock, files, mistake

DIGITS = 16


class Fetched(msgspec.Struct, frozen=True):
    """What came of asking one device for what it runs."""

    device: str
    dialect: str
    time: str
    """UTC, RFC 3339."""
    sha256: str = ""
    """Of the text; empty: there is none."""
    file: str = ""
    reason: str = ""
    """Why there is no text; empty: there is one."""


def folder(state: Path, target: str) -> Path:
    """Where the copies of `target` lie."""
    kind, _, lab = target.partition(":")
    return state / "running" / kind / lab if lab else state / "running" / kind


def keep(state: Path, target: str, device: str, dialect: str, text: str, moment: datetime) -> Fetched:
    """Keep a copy; it may hold secrets, so that only its owner reads it."""
    data = text.encode()
    sha256 = files.sha256(data)
    name = f"{dialect}-{moment.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}-{sha256[:DIGITS]}.conf"
    path = folder(state, target) / device / name
    files.write(path, data, 0o600)
    return Fetched(device, dialect, clock.stamp(moment), sha256, str(path))


def latest(state: Path, target: str, device: str, dialect: str) -> tuple[Path, str] | None:
    """The last copy and its text; None: there is none. Raises Mistakes JB2111 when it is not what was fetched."""
    found = sorted((folder(state, target) / device).glob(f"{dialect}-*.conf"))
    if not found:
        return None
    path = found[-1]
    data = path.read_bytes()
    if not path.stem.endswith("-" + files.sha256(data)[:DIGITS]):
        cure = "Delete this file, and fetch it again with `jinbao config fetch`."
        raise mistake.one("JB2111", "is not what was fetched: its hash differs", cure, subject=device, file=str(path))
    return path, data.decode(errors="replace")
