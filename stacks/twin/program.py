"""The machine's own programs: found also where a user's PATH does not look, run with plain messages and under locks."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from ground import mistake


def path() -> str:
    """Where programs are looked for: the PATH of `su` and of many a user lacks the sbin folders."""
    return os.pathsep.join([os.environ.get("PATH", "/usr/bin:/bin"), "/usr/local/sbin", "/usr/sbin", "/sbin"])


def find(name: str) -> str:
    """The full path of a program, or its bare name where it is missing."""
    return shutil.which(name, path=path()) or name


def run(line: Sequence[str], given: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program to its end with `given` on its standard input. Its exit code is the caller's to judge.

    It holds the locks of this process (`lock`) with it: when this process is killed, they are free when both have ended.
    """
    environment = {**os.environ, "PATH": path(), "LC_ALL": "C.UTF-8"}
    return subprocess.run(line, input=given, capture_output=True, text=True, env=environment, close_fds=False)


@contextlib.contextmanager
def lock(file: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold an advisory lock as `ground.files.lock` does, and let the programs that are run meanwhile hold it too.

    Else an `ip -batch` that outlives a killed `up` would go on making namespaces under the next command's feet.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        os.set_inheritable(handle, True)
        yield
    finally:
        os.close(handle)


def ip(lines: Sequence[str], netns: str = "") -> None:
    """Run `ip -batch` on `lines`, in `netns` where given. Raises JB3012 with what ip said."""
    batch(["ip", *(["-n", netns] if netns else [])], lines)


def batch(program: Sequence[str], lines: Sequence[str]) -> None:
    """Run `<program> -batch -` (ip, tc) on `lines`. Raises JB3012 with what it said and the line that failed."""
    if not lines:
        return
    done = run([*program, "-batch", "-"], "\n".join(lines) + "\n")
    if done.returncode:
        said = done.stderr.strip() or f"exit {done.returncode}"
        number = said.rpartition("-:")[2]
        line = f" (`{lines[int(number) - 1]}`)" if number.isdigit() and 0 < int(number) <= len(lines) else ""
        raise mistake.one(
            "JB3012",
            f"`{' '.join(program)}` failed: {' '.join(said.split())}{line}",
            "Run `jinbao twin doctor`; if it finds nothing, take the lab down and up again.",
        )
