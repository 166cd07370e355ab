"""Where the bench keeps what: the peers' own environment, the lock it is made from, the table and its page."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
PEERS = CHECKOUT / ".venv-peers"
LOCK = Path(__file__).parent / "peers.lock"
TABLE = Path(__file__).parent / "table.json"
PAGE = CHECKOUT / "docs" / "bench.md"


def versions(lock: str) -> dict[str, str]:
    """Package → version, as a lock says."""
    pins = (line.split(" ")[0].partition("==") for line in lock.splitlines() if "==" in line and line[0] != " ")
    return {name: version for name, _, version in pins}


def peers() -> None:
    """Make the peers' environment where it is missing or from another lock."""
    stamp = PEERS / ".ready"
    if stamp.exists() and stamp.read_text() == LOCK.read_text():
        return
    print("installing the locked peers", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--clear", str(PEERS)], check=True)
    # pip follows the settings of this machine: its index, certificates and timeouts.
    line = [sys.executable, "-m", "pip", "--python", str(PEERS / "bin" / "python"), "install", "--quiet"]
    subprocess.run([*line, "--require-hashes", "--only-binary", ":all:", "-r", str(LOCK)], check=True)
    stamp.write_text(LOCK.read_text())
