"""How a target's devices are reached: address, port, user, host key and, where needed, one ProxyCommand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from ground import files, mistake


class Reach(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one device is reached over SSH."""

    address: str
    host_key: str
    """Public host key as in known_hosts, e.g. `ssh-ed25519 AAAA…`."""
    port: int = 22
    user: str = "root"
    identity: str = ""
    """Path of the private key; empty: the agent's or the user's own."""
    via: str = ""
    """ProxyCommand with %h and %p; `ip netns exec … nc %h %p` in the twin, a bastion in production."""


def read(path: Path) -> dict[str, Reach]:
    """Device → reach. Raises FileNotFoundError or msgspec.ValidationError."""
    return msgspec.json.decode(path.read_bytes(), type=dict[str, Reach])


def file(state: Path, target: str) -> Path:
    """Where the reach of `target` lies below the state folder: `twin/<lab>/reach.json`, or `production/reach.json`."""
    kind, _, lab = target.partition(":")
    return state / kind / lab / "reach.json" if lab else state / kind / "reach.json"


def of(state: Path, target: str) -> dict[str, Reach]:
    """How the devices of `target` are reached. Raises Mistakes (JB4007) when nothing says so."""
    path = file(state, target)
    try:
        return read(path)
    except FileNotFoundError:
        what = f"nothing says how the devices of {target} are reached"
        cure = f"Bring the target up first (`jinbao twin up --at {target}`), or write this file by hand."
        raise mistake.one("JB4007", what, cure, file=str(path)) from None
    except msgspec.MsgspecError as why:
        raise mistake.one("JB4007", f"damaged: {why}", "Have it written again by its owner.", file=str(path)) from None


def write(path: Path, reaches: Mapping[str, Reach]) -> bool:
    """Write `reach.json`, sorted by device; returns whether it changed."""
    body = msgspec.json.format(msgspec.json.encode(dict(sorted(reaches.items()))), indent=1) + b"\n"
    return files.write(path, body, 0o600)


def known_hosts(reaches: Mapping[str, Reach]) -> str:
    """The text of a known_hosts file for `reaches`."""
    lines = []
    for reach in reaches.values():
        host = reach.address if reach.port == 22 else f"[{reach.address}]:{reach.port}"
        lines.append(f"{host} {reach.host_key}")
    return "".join(f"{line}\n" for line in sorted(set(lines)))
