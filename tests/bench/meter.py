"""One command in a fresh process: wall and CPU seconds, peak memory, and how busy the machine was with other things."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

CHECKOUT = Path(__file__).resolve().parents[2]
# Reading a process's share of memory walks its page tables: more often would be seen in its time.
SAMPLE_SECONDS = 0.05


class Figure(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one run took. Interpreter start and imports are in it."""

    wall: float
    """Seconds."""
    cpu: float
    """Seconds, user and system, of the process and of all that it started."""
    memory: float
    """Peak in MB of all its processes together; pages that they share are counted once."""
    others: float
    """Share of the machine's cores (0–1) that other processes took meanwhile."""
    units: int
    """How many it worked on, as it says itself."""
    lines: int = 0
    """Lines of configuration that they have; 0: not counted."""


class Failed(Exception):
    """A command that did not do its work; its last words."""


def run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
    """Run `command` in the checkout, unmeasured; what it printed. Raises Failed."""
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, env=_environment(environment))
    if done.returncode:
        raise Failed(f"{' '.join(command)} ended with {done.returncode}: {(done.stderr or done.stdout)[-2000:]}")
    return done.stdout


def measure(command: Sequence[str]) -> Figure:
    """Run `command` in the checkout and measure it; its last line is `{"units": …}`, with `lines` where it counted them.

    Raises Failed.
    """
    busy = machine()
    started = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=_environment(None)
    )
    peak = [0.0]
    ended = threading.Event()
    sampler = threading.Thread(target=_sample, args=(process.pid, peak, ended), daemon=True)
    sampler.start()
    words: list[bytes] = []
    assert process.stdout and process.stderr
    # Both pipes are read, so that neither fills up; wait4 is left to this function: it alone tells what the process took.
    reader = threading.Thread(target=lambda stream: words.append(stream.read()), args=(process.stderr,))
    reader.start()
    out = process.stdout.read().decode()
    reader.join()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - started
    ended.set()
    sampler.join()
    if process.returncode:
        said = words[0].decode(errors="replace")[-2000:]
        raise Failed(f"{' '.join(command)} ended with {process.returncode}: {said}")
    cpu = usage.ru_utime + usage.ru_stime
    taken = machine() - busy
    others = max(0.0, taken - cpu) / (wall * (os.cpu_count() or 1))
    # maxrss is exact for the largest process, and for a single one the whole truth.
    memory = max(peak[0], usage.ru_maxrss / 1024)
    return Figure(wall, cpu, memory, min(others, 1.0), *counted(out))


def counted(out: str) -> tuple[int, int]:
    """Units and lines in the last line of what a command printed. Raises Failed."""
    try:
        said = json.loads(out.strip().splitlines()[-1])
        return int(said["units"]), int(said.get("lines", 0))
    except (IndexError, KeyError, TypeError, ValueError):
        raise Failed(f"the last line does not say how many units were worked on: {out[-300:]!r}") from None


def median(figures: Sequence[Figure]) -> Figure:
    """The median of each figure."""
    wall, cpu, memory, others = (
        statistics.median(getattr(one, name) for one in figures) for name in ("wall", "cpu", "memory", "others")
    )
    return Figure(wall, cpu, memory, others, figures[0].units, figures[0].lines)


def memory_of(processes: Iterable[int]) -> float:
    """MB that these processes hold, shared pages counted once; those that are gone hold none."""
    total = 0
    for process in processes:
        try:
            text = Path(f"/proc/{process}/smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    return total / 1024


def _sample(root: int, peak: list[float], ended: threading.Event) -> None:
    while not ended.wait(SAMPLE_SECONDS):
        peak[0] = max(peak[0], memory_of(_family(root)))


def _family(root: int) -> list[int]:
    """The process and all that come from it."""
    found, at = [root], 0
    while at < len(found):
        try:
            for task in os.listdir(f"/proc/{found[at]}/task"):
                found += map(int, Path(f"/proc/{found[at]}/task/{task}/children").read_text().split())
        except OSError:
            pass
        at += 1
    return found


def machine() -> float:
    """Seconds that all cores together have worked since the machine started."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    idle = fields[3] + fields[4]
    # The last two, guests, are already in user and nice.
    return (sum(fields[:8]) - idle) / os.sysconf("SC_CLK_TCK")


def _environment(more: Mapping[str, str] | None) -> dict[str, str]:
    # Where the byte code may not be kept, every run would pay for translating the sources again; users' runs do not.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "LC_ALL": "C.UTF-8", **(more or {})}
