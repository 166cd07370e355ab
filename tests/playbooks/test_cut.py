"""A push whose connection is cut between two commands, for real: the device is reachable, and the journal lets the next run go on."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ground import remote
from inventory import evidence
from inventory.dialects.frr.running import DIALECT as FRR
from monitoring.evidence import log, verify
from playbooks import push
from tests.playbooks.drift import AT, FIREWALL, ROOT, ROUTER, Drift, changed_by_hand

DEADLINE_SECONDS = 120

# In front of the program that takes the commands: it does a part, tells its number, and does no more.
STOPS = {
    "frr": ("/usr/local/bin/vtysh", "head -n 6 $2 > /root/half; /usr/bin/vtysh -f /root/half"),
    "nftables before": ("/usr/local/sbin/nft", ":"),
    "nftables after": ("/usr/local/sbin/nft", "/usr/sbin/nft -f $2"),
}
STOP = """cat > {path} <<'end'
#!/bin/sh
if [ "$1" = -f ]; then {part}; echo $$ > /root/stopped; exec sleep 600; fi
exec /usr/{bin}/{name} "$@"
end
chmod +x {path}; rm -f /root/stopped; command -v {name}"""


def connections(process: subprocess.Popen[str]) -> set[int]:
    """The SSH processes of a run: those whose control sockets lie in a folder that one of its children names."""
    said: dict[int, bytes] = {}
    folders = set()
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            line, status = (path / "cmdline").read_bytes(), (path / "status").read_text()
            if not line.startswith(b"ssh"):
                continue
            said[int(path.name)] = line
            if f"\nPPid:\t{process.pid}\n" in status:
                named = [part for part in line.split(b"\0") if part.startswith(b"ControlPath=")]
                folders |= {part.removeprefix(b"ControlPath=").rpartition(b"/")[0] for part in named}
    return {number for number, line in said.items() if any(folder + b"/" in line for folder in folders)}


def stopped(drift: Drift, device: str) -> str:
    """The number of the program that stopped in the middle, once it has."""
    until = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < until:
        if said := drift.says(device, "cat /root/stopped 2>/dev/null || true").strip():
            return said
        time.sleep(0.2)
    raise AssertionError(f"{device} never got its commands")


def pushes(drift: Drift, device: str, dialect: str) -> list[tuple[str, str]]:
    found = log.of(drift.state, AT, "").records(AT)
    return [
        (one.result, one.reason)
        for one in found
        if (one.check, one.subject.device, one.subject.service) == (evidence.PUSH, device, dialect)
    ]


@pytest.mark.parametrize(
    ("dialect", "who"),
    [("frr", "session"), ("frr", "controller"), ("nftables before", "session"), ("nftables after", "session")],
)
def test_a_push_that_is_cut_leaves_a_device_to_go_on_with(drift: Drift, dialect: str, who: str) -> None:
    changed_by_hand(drift)
    device, name = (ROUTER, "frr") if dialect == "frr" else (FIREWALL, "nftables")
    path, part = STOPS[dialect]
    program = Path(path).name
    stop = STOP.format(path=path, part=part, name=program, bin="bin" if program == "vtysh" else "sbin")
    assert drift.says(device, stop).strip() == path
    words = ["deploy", "--remediate", "--limit", f"{ROUTER},{FIREWALL}", "--confirm", "pilot", "--at", AT]
    line = [sys.executable, "-m", "jinbao", *words, "--state", str(drift.state)]
    run = subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        number = stopped(drift, device)
        cut = connections(run)
        assert cut
        if who == "controller":
            run.kill()
        for each in cut:
            with contextlib.suppress(ProcessLookupError):  # one may end with the other
                os.kill(each, signal.SIGKILL)
        # What it had begun ends there; no command of the list follows.
        drift.says(device, f"kill {number}; rm -f {path}")
        told = run.communicate(timeout=DEADLINE_SECONDS)[0]
    finally:
        run.kill()

    last = pushes(drift, device, name)[-1]
    if who == "controller":
        assert last[0] == "not-observed" and "are to be sent" in last[1] and ".rollback" in last[1]
    elif dialect == "nftables after":
        assert last[0] == "pass", told
    else:
        assert run.returncode == 1 and last[0] == "fail" and "JB4104" in last[1], told
    assert drift.right(device) == (dialect == "nftables after")
    again = drift.jinbao("deploy", "--remediate", "--limit", f"{ROUTER},{FIREWALL}", "--confirm", "pilot")
    assert again.returncode == 0, again.stdout + again.stderr
    assert ("was cut off" in again.stdout) == (who == "controller")
    assert drift.right(ROUTER) and drift.right(FIREWALL)
    assert pushes(drift, device, name)[-1][0] == "pass"
    assert verify.verify(log.folder(drift.state, AT), []) == []


def test_nobody_looks_while_commands_are_still_taken(drift: Drift) -> None:
    hold = "setsid sh -c 'exec 9> /run/jinbao-push.lock; flock 9; exec sleep 60' >/dev/null 2>&1 </dev/null & echo $!"
    number = drift.says(ROUTER, hold).strip()
    drift.says(
        ROUTER, "for attempt in $(seq 50); do flock -n /run/jinbao-push.lock true || exit 0; sleep 0.1; done; exit 1"
    )
    look = push._SHOW.format(show=FRR.show).replace("-w 20", "-w 1")
    assert look != push._SHOW.format(show=FRR.show)
    seen = remote.run(drift.session, ROUTER, look)
    drift.says(ROUTER, f"kill {number}")
    assert seen.code == 4 and "still takes the commands of an earlier push" in seen.err
    assert remote.run(drift.session, ROUTER, look).out.endswith("end\n")
