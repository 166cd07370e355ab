"""The README's first command on a Debian 12 that has nothing but git and Python, with systemd and control groups v2 alone."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.full import machine

REPOSITORY = Path(__file__).resolve().parents[2]
# Hours and 12 GB of memory in the emulator: only when it is asked for by name.
KINDS = {"container": 3600.0} | ({"emulator": 4 * 3600.0} if os.environ.get("JINBAO_EMULATOR") == "1" else {})


@pytest.mark.timeout(5 * 3600)
@pytest.mark.parametrize("kind", KINDS)
def test_clone_and_demo(kind: str, tmp_path: Path) -> None:
    make = machine.container if kind == "container" else machine.emulator
    with make(tmp_path, REPOSITORY) as run:
        found = run("cat /proc/1/comm; stat -f -c %T /sys/fs/cgroup; command -v pip nft ansible", 60).stdout
        assert found.split() == ["systemd", "cgroup2fs"]
        started = time.monotonic()
        done = run("git clone /srv/jinbao.git jinbao && cd jinbao && ./run demo", KINDS[kind])
        print(f"{done.stdout}\n{kind}: {time.monotonic() - started:.0f} s")
        assert done.returncode == 0, done.stdout[-4000:]
        status = done.stdout.partition("$ jinbao rollout status")[2]
        assert status.count(" reached ") >= 6 and " not-reached " in status and "witness agreed" in status
