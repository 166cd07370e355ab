"""Programs of the machine, and the locks they hold for those who ran them."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from stacks.twin import node, program

RUN = """
import sys
from pathlib import Path
from stacks.twin import program
with program.lock(Path(sys.argv[1])):
    program.run(["sh", "-c", 'echo > "$0"; read line < "$1"', sys.argv[2], sys.argv[3]])
"""


def test_who_outlives_a_killed_command_keeps_its_lock(tmp_path: Path) -> None:
    """An `ip -batch` that still runs after kill -9 of `up` must end before the next command looks around."""
    lock, started, pipe = tmp_path / "lock", tmp_path / "started", tmp_path / "pipe"
    subprocess.run(["mkfifo", str(pipe)], check=True)
    process = subprocess.Popen([sys.executable, "-c", RUN, str(lock), str(started), str(pipe)])
    assert node.until(started.exists, 30)
    process.send_signal(signal.SIGKILL)
    process.wait()

    taken = threading.Event()

    def take() -> None:
        with program.lock(lock):
            taken.set()

    taker = threading.Thread(target=take)
    taker.start()
    assert not taken.wait(0.5)
    pipe.write_text("\n")  # the program ends
    assert taken.wait(10)
    taker.join()


def test_programs_are_found_where_a_user_does_not_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert program.find("nft") == "/usr/sbin/nft"
    assert program.find("no-such-program") == "no-such-program"
    assert program.run(["nft", "--version"]).stdout.startswith("nftables ")
