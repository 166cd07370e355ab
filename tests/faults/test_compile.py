"""A compile that is killed, interrupted, or runs out of disk leaves the ledger and the last Network as they were."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ip_plan import ledger
from ip_plan.network import load
from tests.ip_plan import nation

ROWS = [
    nation.row(code, code, f"r{code}")
    for province in ("110000", "120000", "130000")
    for code in (
        province,
        *(f"{province[:2]}0{c}00" for c in (1, 2)),
        *(f"{province[:2]}0{c}0{n}" for c in (1, 2) for n in (1, 2)),
    )
]


def compile_(plan: Path, state: Path) -> subprocess.Popen[str]:
    line = [sys.executable, "-m", "jinbao", "plan", "compile", "--plan", str(plan), "--state", str(state)]
    # A shell may have left SIGINT ignored for what it runs in the background, and that is inherited.
    heard = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # noqa: E731
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, preexec_fn=heard)


def grants(plan: Path) -> dict[tuple[str, str, str], tuple[str, str]]:
    """Every grant of every shard; each shard must be whole."""
    found = {}
    for path in sorted((plan / "ledger").glob("*.tsv")):
        book, mistakes = ledger.parse(path.read_text("utf-8"), str(path))
        assert mistakes == []
        found.update({(path.stem, *key): grant for key, grant in book.grants.items()})
    return found


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGINT])
def test_a_compile_that_is_cut_off_loses_nothing(tmp_path: Path, blow: signal.Signals) -> None:
    plan, state = tmp_path / "plan", tmp_path / "state"
    nation.write(plan, ROWS[: len(ROWS) // 3])
    assert compile_(plan, state).wait() == 0
    held = grants(plan)
    small = nation.ledger_bytes(plan)
    nation.write(plan, ROWS)
    started = time.monotonic()
    undisturbed = compile_(plan, tmp_path / "other")
    undisturbed.wait()
    lasted = time.monotonic() - started
    whole = nation.ledger_bytes(plan)
    dice = random.Random(1)
    cut = 0
    for _ in range(5):
        # Back to the smaller plan's ledger, and forward again with a blow on the way.
        for path in (plan / "ledger").glob("*.tsv"):
            path.unlink()
        for name, data in small.items():
            (plan / "ledger" / name).write_bytes(data)
        process = compile_(plan, state)
        time.sleep(dice.uniform(0.3, 0.95) * lasted)
        process.send_signal(blow)
        cut += process.wait() != 0
        now = grants(plan)
        assert all(now[key] == grant for key, grant in held.items())
        network = load(state / "plans" / "small" / "network")
        assert network.sites
        assert compile_(plan, state).wait() == 0
        assert nation.ledger_bytes(plan) == whole
        assert not list((state / "plans").rglob(".staging-*"))
    assert cut


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 100 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_told_and_leaves_the_ledger(tmp_path: Path, small_disk: Path) -> None:
    plan = tmp_path / "plan"
    nation.write(plan, ROWS[: len(ROWS) // 3])
    assert compile_(plan, tmp_path / "state").wait() == 0
    before = nation.ledger_bytes(plan)
    nation.write(plan, ROWS)
    process = compile_(plan, small_disk / "state")
    out, _ = process.communicate()
    assert process.returncode == 2
    assert "JB1305" in out and "No space left" in out
    assert nation.ledger_bytes(plan) == before
    assert compile_(plan, tmp_path / "state").wait() == 0
    assert len(grants(plan)) > 0
    assert os.listdir(plan / "ledger")
