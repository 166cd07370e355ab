"""The supervisor of one node: starts it, starts it again when it reboots, ends when it is powered off.

It outlives the command that started it and knows only its launch file. Run as a file with `python -I -S`, so that it
costs 10 ms and imports nothing but the standard library.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import time

TYPE_CHECKING = False  # typing itself would cost every node 0.7 MB
if TYPE_CHECKING:
    from typing import Any

REBOOT = 133  # systemd-nspawn with --keep-unit ends with this when the node asks for a reboot (systemd-nspawn(1))
HELD = 3  # another supervisor has this node


def main(launch: str) -> int:
    """Supervise the node of the launch file; returns once a child does so, or `HELD`."""
    with open(launch) as stream:
        spec: dict[str, Any] = json.load(stream)
    for procs in spec["own"]:
        _put(procs, str(os.getpid()))
    # Asked after joining the control group: who closes the lab writes the mark first and kills the group then.
    if os.path.exists(spec["closing"]):
        return 0
    lock = os.open(spec["lock"], os.O_RDWR | os.O_CREAT, 0o600)
    if not _take(lock):
        return HELD
    if os.fork():
        return 0  # the child holds the lock on
    os.setsid()
    # The locks of the command that started this: held until here, so that none takes the lab down in between.
    for handle in map(int, os.listdir("/proc/self/fd")):
        if handle > 2 and handle != lock:
            _close(handle)
    _supervise(spec)
    return 0


def _close(handle: int) -> None:
    try:
        os.close(handle)
    except OSError:  # the listing's own
        return


def _take(lock: int) -> bool:
    for _ in range(50):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.01)  # someone who only asks whether it is held
        else:
            return True
    return False


def _supervise(spec: dict[str, Any]) -> None:
    status: dict[str, Any] = {"supervisor": os.getpid(), "nspawn": 0, "boots": 0, "code": None, "stopping": False}

    def stop(*_: object) -> None:
        status["stopping"] = True
        if status["nspawn"]:
            os.kill(status["nspawn"], signal.SIGTERM)  # nspawn powers the node off in order

    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    while True:
        status.update(nspawn=_start(spec), boots=status["boots"] + 1, code=None)
        _report(spec, status)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        _, ended = os.waitpid(status["nspawn"], 0)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        status.update(nspawn=0, code=os.waitstatus_to_exitcode(ended))
        if status["code"] != REBOOT or status["stopping"] or os.path.exists(spec["closing"]):
            break
        for _ in range(500):  # systemd removes the scope of the last boot in its own time
            if not spec["gone"] or not os.path.exists(spec["gone"]):
                break
            time.sleep(0.01)
    _report(spec, status)


def _start(spec: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, set())
        for caught in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(caught, signal.SIG_DFL)
        os.setsid()
        for procs in spec["join"]:
            _put(procs, "0")
        console = os.open(spec["console"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        null = os.open("/dev/null", os.O_RDONLY)
        for number, handle in enumerate((null, console, console)):
            os.dup2(handle, number)
        os.execvpe(spec["argv"][0], spec["argv"], spec["env"])
    except OSError as why:
        os.write(2, f"supervisor: {why}\n".encode())
    os._exit(127)


def _report(spec: dict[str, Any], status: dict[str, Any]) -> None:
    draft = spec["status"] + ".new"
    try:
        _put(draft, json.dumps(status))
        os.replace(draft, spec["status"])
    except OSError:
        pass  # a full memory file system must not end a running node


def _put(path: str, text: str) -> None:
    with open(path, "w") as stream:
        stream.write(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
