"""A process that is killed while its work is spread takes its workers, and the locks they were forked with, along."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SPREADING = """\
import os, sys, time
from pathlib import Path
from ground import files, work

def task(_shared, _item):
    os.write(1, b"working\\n")
    time.sleep(3600 if sys.argv[2] == "busy" else 0)

with files.lock(Path(sys.argv[1])):
    while True:
        work.spread(task, None, range(2))
"""
TAKING = """\
import sys
from pathlib import Path
from ground import files

with files.lock(Path(sys.argv[1])):
    pass
"""


@pytest.mark.parametrize("mood", ["busy", "idle"])
def test_workers_end_with_a_killed_parent(tmp_path: Path, mood: str) -> None:
    lock = tmp_path / "lock"
    parent = subprocess.Popen([sys.executable, "-c", SPREADING, lock, mood], stdout=subprocess.PIPE, text=True)
    assert parent.stdout and parent.stdout.readline() == "working\n"
    parent.kill()
    # Its output ends only when no worker holds it any more.
    parent.communicate(timeout=20)
    subprocess.run([sys.executable, "-c", TAKING, lock], timeout=20, check=True)
