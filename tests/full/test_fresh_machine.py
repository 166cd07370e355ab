"""The README's first command on a Debian 12 that has nothing but git and Python.

Needs 12 GB of memory and up to an hour.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.full.machine import machine

REPOSITORY = Path(__file__).resolve().parents[2]
HOUR = 3600


@pytest.mark.timeout(HOUR + 600)
def test_clone_and_demo(tmp_path: Path) -> None:
    with machine(tmp_path, REPOSITORY) as fresh:
        found = fresh.run("cat /proc/1/comm; stat -f -c %T /sys/fs/cgroup; python3 -V; cat /etc/debian_version").stdout
        assert found.split()[:2] == ["systemd", "cgroup2fs"], found
        done = fresh.run("git clone /srv/jinbao.git jinbao && cd jinbao && ./run demo", timeout=HOUR)
        print(done.stdout)
        assert done.returncode == 0, done.stdout[-4000:]
        for said in ("reached", "not reached"):
            assert said in done.stdout
