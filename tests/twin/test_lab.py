"""Whole labs: up, again, beside each other, killed in the middle, on a full disk."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from ground import reach, remote
from ground.mistake import Mistakes
from stacks.twin import lab, node, place, wiring
from stacks.twin.cgroups import Layout
from stacks.twin.image import Image
from stacks.twin.place import NodeState
from stacks.twin.topology import Lab, Link, Port, Segment

Left = Callable[[str], list[str]]

UP = """
import sys, msgspec
from pathlib import Path
from stacks.twin import lab, topology
lab.up(msgspec.json.decode(sys.argv[1], type=topology.Lab), Path(sys.argv[2]))
"""


def up_elsewhere(shape: Lab, state: Path) -> subprocess.Popen[bytes]:
    """`up` in a process of its own."""
    return subprocess.Popen([sys.executable, "-c", UP, msgspec.json.encode(shape).decode(), str(state)])


def boots(shape: Lab) -> dict[str, int]:
    return {status.name: status.boots for status in lab.status(shape.name).nodes}


def answers(at: place.Place, program: str) -> dict[str, str]:
    """What each node says, over SSH with the host key checked."""
    session = remote.session(reach.read(at.reach))
    try:
        return {
            name: answer.out.strip()
            for name, answer in remote.run_all(session, dict.fromkeys(session.reaches, program)).items()
        }
    finally:
        remote.close(session)


def test_up_again_and_down(small: Lab, tmp_path: Path, left: Left) -> None:
    at = lab.up(small, tmp_path)
    assert answers(at, "hostname; systemctl is-system-running") == {
        name: f"{name}\nrunning" for name in ("a", "b", "db")
    }
    found = lab.status(small.name)
    assert {status.running for status in found.nodes} == {"running"}
    assert (found.whole, found.broken) == (("a–b", "lan"), ())

    before = {name: path.stat().st_mtime_ns for name, path in ((p.name, p) for p in at.state.rglob("*.json"))}
    lab.up(small, tmp_path)
    assert boots(small) == {"a": 1, "b": 1, "db": 1}
    assert before == {name: path.stat().st_mtime_ns for name, path in ((p.name, p) for p in at.state.rglob("*.json"))}

    lab.down(small.name)
    assert left(small.name) == []
    assert list(tmp_path.iterdir()) == []
    lab.down(small.name)


def test_up_makes_only_what_is_missing(small: Lab, tmp_path: Path, prepared: tuple[Image, Layout]) -> None:
    at = lab.up(small, tmp_path)
    node.power_cut(at, "a", prepared[1])
    subprocess.run(["ip", "-n", at.netns("b"), "link", "del", "wan0"], check=True)
    assert lab.status(small.name).broken == ("a–b",)
    supervisors = {name: (at.folder(name) / "status.json").read_text() for name in ("b", "db")}
    lab.up(small, tmp_path)
    assert lab.status(small.name).broken == ()
    assert {status.running for status in lab.status(small.name).nodes} == {"running"}
    assert supervisors == {name: (at.folder(name) / "status.json").read_text() for name in ("b", "db")}


def test_clean_down(small: Lab, tmp_path: Path, left: Left) -> None:
    lab.up(small, tmp_path)
    seen: list[tuple[str, int, int]] = []
    lab.down(small.name, clean=True, progress=lambda *step: seen.append(step))
    assert ("power off", 3, 3) in seen
    assert left(small.name) == []


def test_second_lab_beside_it(small: Lab, tmp_path: Path) -> None:
    """Same nodes, same addresses, same wires: they never meet."""
    other = msgspec.structs.replace(small, name=f"{small.name}b")
    try:
        with ThreadPoolExecutor() as pool:
            one, two = pool.map(lambda shape: lab.up(shape, tmp_path), (small, other))
        answers(one, "touch /root/one")
        assert answers(two, "ls /root") == {"a": "", "b": "", "db": ""}
        lab.down(small.name)
        assert answers(two, "ls /root") == {"a": "", "b": "", "db": ""}
        assert lab.status(other.name).broken == ()
    finally:
        lab.down(other.name)


def test_name_taken_by_another_state_folder(small: Lab, tmp_path: Path) -> None:
    lab.up(small, tmp_path / "one")
    with pytest.raises(Mistakes, match="JB3016"):
        lab.up(small, tmp_path / "two")
    assert not (tmp_path / "two").exists()


def test_other_shape_is_refused(small: Lab, tmp_path: Path) -> None:
    lab.up(small, tmp_path)
    other = msgspec.structs.replace(
        small, nodes=small.nodes[:2], links=(Link("a–b", Port("a", "wan0"), Port("b", "wan1")),), segments=()
    )
    with pytest.raises(Mistakes) as caught:
        lab.up(other, tmp_path)
    assert [(found.code, found.object, found.what) for found in caught.value.found] == [
        ("JB3017", "link a–b", "stands otherwise than asked for"),
        ("JB3017", "node db", "stands and is not asked for"),
        ("JB3017", "segment lan", "stands and is not asked for"),
    ]


@pytest.mark.parametrize("reached", ["identity", "nodes", "launch", "ssh"])
def test_killed_up(small: Lab, tmp_path: Path, left: Left, reached: str) -> None:
    """kill -9 of `up`, at different points: `up` goes on from there, and `down` leaves nothing."""
    marks = {
        "identity": lambda: (tmp_path / small.name / "id_ed25519").exists(),
        "nodes": lambda: bool(list((tmp_path / small.name / "nodes").glob("*.json"))),
        "launch": lambda: bool(list((place.RUN / small.name).glob("*/launch.json"))),
        "ssh": lambda: bool(list((place.RUN / small.name).glob("*/status.json"))),
    }
    for go_on in (True, False):
        process = up_elsewhere(small, tmp_path)
        assert node.until(marks[reached], 60)
        process.send_signal(signal.SIGKILL)
        process.wait()
        if go_on:
            at = lab.up(small, tmp_path)
            assert set(answers(at, "systemctl is-system-running").values()) == {"running"}
        lab.down(small.name)
        assert left(small.name) == []
        assert list(tmp_path.iterdir()) == []


def test_interrupted_up_ends_soon(small: Lab, tmp_path: Path, left: Left) -> None:
    process = up_elsewhere(small, tmp_path)
    assert node.until(lambda: bool(list((place.RUN / small.name).glob("*/launch.json"))), 60)
    process.send_signal(signal.SIGINT)
    assert process.wait(20 * node.SLOW) != 0
    lab.up(small, tmp_path)


def test_two_ups_at_once(small: Lab, tmp_path: Path) -> None:
    processes = [up_elsewhere(small, tmp_path) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert boots(small) == {"a": 1, "b": 1, "db": 1}
    assert lab.status(small.name).broken == ()


def test_killed_down(small: Lab, tmp_path: Path, left: Left) -> None:
    """What a killed `down` leaves: its mark, and no node. `up` finishes it and starts anew."""
    at = lab.up(small, tmp_path)
    answers(at, "touch /root/old")
    at.closing.touch()
    at = lab.up(small, tmp_path)
    assert set(answers(at, "ls /root").values()) == {""}


def test_down_without_any_state(small: Lab, tmp_path: Path, left: Left) -> None:
    at = lab.up(small, tmp_path)
    place.clear(at)
    lab.down(small.name)
    assert left(small.name) == []


def test_damaged_state(small: Lab, tmp_path: Path, left: Left) -> None:
    at = lab.up(small, tmp_path)
    place.path(at, "node", "a").write_text("{")
    with pytest.raises(Mistakes, match="JB3007"):
        lab.up(small, tmp_path)
    lab.down(small.name, clean=True)
    assert left(small.name) == []


def test_full_disk(small: Lab, tmp_path: Path, left: Left) -> None:
    """The state folder's file system is full at any of many points; with more room the same command comes through."""
    state = tmp_path / "small"
    state.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(state)], check=True)
    try:
        codes = []
        for kilobytes in (4, 8, 16, 24, 32, 40, 48):
            subprocess.run(["mount", "-o", f"remount,size={kilobytes}k", str(state)], check=True)
            try:
                lab.up(small, state)
            except Mistakes as mistakes:
                codes.append({found.code for found in mistakes.found})
        assert len(codes) >= 3
        assert all(found == {"JB3008"} for found in codes)
        subprocess.run(["mount", "-o", "remount,size=64m", str(state)], check=True)
        at = lab.up(small, state)
        assert set(answers(at, "systemctl is-system-running").values()) == {"running"}
        lab.down(small.name)
        assert left(small.name) == []
    finally:
        lab.down(small.name)
        subprocess.run(["umount", str(state)], check=True)


def test_host_key_is_checked(small: Lab, tmp_path: Path) -> None:
    at = lab.up(small, tmp_path)
    found = reach.read(at.reach)
    swapped = {"a": msgspec.structs.replace(found["a"], host_key=found["b"].host_key)}
    session = remote.session(swapped)
    answer = remote.run(session, "a", "true")
    remote.close(session)
    assert answer.code is None
    assert "host key" in answer.err.lower() or "host identification" in answer.err.lower()


def test_secrets_are_private(small: Lab, tmp_path: Path) -> None:
    at = lab.up(small, tmp_path)
    assert at.state.stat().st_mode & 0o777 == 0o700
    assert at.identity.stat().st_mode & 0o777 == 0o600
    assert {path.stat().st_mode & 0o777 for path in (at.state / "nodes").iterdir()} == {0o600}


def test_shell(small: Lab, tmp_path: Path) -> None:
    lab.up(small, tmp_path)
    assert lab.shell(small.name, "a", ["true"]) == 0
    assert lab.shell(small.name, "a", ["exit", "7"]) == 7
    with pytest.raises(Mistakes, match="JB3015"):
        lab.shell(small.name, "nobody")
    with pytest.raises(Mistakes, match="JB3015"):
        lab.shell("nolab", "a")


def test_objects_one_by_one_in_parallel(small: Lab, tmp_path: Path, prepared: tuple[Image, Layout], left: Left) -> None:
    """As an engine does it: every object twice, wires before their nodes, from many threads; then all away again."""
    at = place.at(tmp_path, small.name)
    base, layout = prepared
    joints: list[Link | Segment] = [*small.links, *small.segments]
    with ThreadPoolExecutor(10) as pool:
        work = [pool.submit(lab.make_joint, at, joint) for joint in joints * 2]
        work += [pool.submit(lab.make_node, at, wanted, base, layout) for wanted in small.nodes * 2]  # type: ignore[arg-type]
        for future in work:
            future.result()
    assert boots(small) == {"a": 1, "b": 1, "db": 1}
    assert lab.status(small.name).broken == ()
    assert len({status.address for status in lab.status(small.name).nodes}) == 3
    assert set(answers(at, "hostname").values()) == {"a", "b", "db"}

    # A node may go and come back under its wires.
    lab.remove_node(at, "a", layout)
    assert lab.status(small.name).broken == ()
    assert [status.name for status in lab.status(small.name).nodes] == ["b", "db"]
    lab.make_node(at, small.nodes[0], base, layout)
    assert answers(at, "ls /sys/class/net | grep -c -e wan0 -e lan0")["a"] == "2"

    with ThreadPoolExecutor(10) as pool:
        work = [pool.submit(lab.remove_joint, at, joint) for joint in joints * 2]
        work += [pool.submit(lab.remove_node, at, wanted.name, layout) for wanted in small.nodes * 2]
        for future in work:
            future.result()
    assert wiring.namespaces(small.name) == [at.netns("ctl"), at.netns("wire")]
    assert place.every(at, "node", NodeState) == []
    assert [line for line in left(small.name) if "systemd-nspawn" in line or "supervisor" in line] == []
    lab.down(small.name)
    assert left(small.name) == []


def test_what_runs_in_a_lab_ends_with_it(small: Lab, tmp_path: Path) -> None:
    at = lab.up(small, tmp_path)
    probe = subprocess.Popen(["ip", "netns", "exec", at.netns("ctl"), "sleep", "600"])
    other = subprocess.Popen(["sleep", "600"])
    assert node.until(lambda: os.readlink(f"/proc/{probe.pid}/exe").endswith("sleep"), 10)
    lab.down(small.name)
    assert probe.wait(5) == -signal.SIGKILL
    assert other.poll() is None
    other.kill()
    other.wait()


def test_progress_counts_up(small: Lab, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    lab.up(small, tmp_path, progress=lambda *step: seen.append(step))
    counts = [done for what, done, total in seen if what == "nodes" and total == 3]
    assert counts[0] == 0 and counts[-1] == 3 and counts == sorted(counts)


def test_caller_with_a_poor_path(small: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`su` on Debian gives a PATH without the sbin folders."""
    monkeypatch.setenv("PATH", "/usr/local/bin:/usr/bin:/bin")
    old = os.umask(0o077)
    try:
        at = lab.up(small, tmp_path)
        assert set(answers(at, "stat -c %a / /etc /root/.ssh | xargs").values()) == {"755 755 700"}
    finally:
        os.umask(old)


def test_no_node_sets_the_clock(small: Lab, tmp_path: Path) -> None:
    at = lab.up(small, tmp_path)
    said = answers(at, "date -s 2001-01-01 2>&1 >/dev/null")
    assert all("Operation not permitted" in text for text in said.values())
