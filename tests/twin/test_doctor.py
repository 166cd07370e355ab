"""Findings from facts of machines that we do not have, and the facts of the one we have."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from ground.mistake import Mistakes
from stacks.twin import doctor
from stacks.twin.cgroups import Layout
from stacks.twin.doctor import Facts

GOOD = Facts(
    root=True,
    abilities=frozenset({"overlay", "netns", "veth", "bridge", "tun"}),
    layout=Layout("scopes", ("/sys/fs/cgroup",)),
    programs=frozenset(doctor.PROGRAMS),
    sysctls=dict(doctor.SYSCTLS),
    memory_mb=8000,
    disk_mb=20000,
    image=False,
    machine="x86_64",
    kernel="6.1.0",
)


def but(**changes: object) -> Facts:
    return msgspec.structs.replace(GOOD, **changes)


CASES: dict[str, tuple[Facts, list[str]]] = {
    "all well": (GOOD, []),
    "not root": (but(root=False, abilities=frozenset()), ["JB3001 user"]),
    "a container": (but(abilities=frozenset()), ["JB3002 overlayfs", "JB3003 network namespaces"]),
    "no bridge module": (but(abilities=GOOD.abilities - {"bridge"}), ["JB3003 bridge"]),
    "a fresh Debian": (
        but(programs=GOOD.programs - {"mmdebstrap", "systemd-nspawn", "nc"}),
        ["JB3004 mmdebstrap", "JB3004 nc", "JB3004 systemd-nspawn"],
    ),
    # Without `unshare` nothing can be tried, so nothing is said about what was not tried.
    "no unshare": (but(programs=GOOD.programs - {"unshare"}, abilities=frozenset()), ["JB3004 unshare"]),
    "no control groups": (but(layout=None), ["JB3013 control groups"]),
    "no room for the image": (but(disk_mb=900), ["JB3008 "]),
    "the image is there": (but(disk_mb=900, image=True), []),
}


@pytest.mark.parametrize("case", CASES)
def test_findings(case: str) -> None:
    facts, expected = CASES[case]
    found = doctor.examine(facts, nodes=20)
    assert [
        f"{finding.code} {finding.object}"[: len(want)] for finding, want in zip(found, expected, strict=True)
    ] == expected
    assert all(finding.cure for finding in found)


def test_little_memory_is_a_warning() -> None:
    facts = but(memory_mb=1000)
    assert [(finding.code, finding.severity) for finding in doctor.examine(facts, 45)] == [("JB3014", "warning")]
    doctor.require(facts, 45)


def test_tunnel_device_only_where_asked_for() -> None:
    facts = but(abilities=GOOD.abilities - {"tun"})
    assert doctor.examine(facts, 1) == []
    assert [finding.object for finding in doctor.examine(facts, 1, tun=True)] == ["/dev/net/tun"]


def test_errors_refuse() -> None:
    with pytest.raises(Mistakes, match="nothing was started"):
        doctor.require(but(layout=None))


def test_this_machine() -> None:
    facts = doctor.gather()
    doctor.require(facts)
    assert facts.abilities >= {"overlay", "netns", "veth", "bridge"}


def test_settle_raises_and_never_lowers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_file", lambda name: tmp_path / name)
    for name in doctor.SYSCTLS:
        (tmp_path / name).write_text("untouched")
    higher = {name: value * 2 for name, value in doctor.SYSCTLS.items()}
    changed = doctor.settle(but(sysctls={**higher, "fs.inotify.max_user_instances": 128}))
    assert changed == ["fs.inotify.max_user_instances"]
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys(
        doctor.SYSCTLS, "untouched"
    ) | {"fs.inotify.max_user_instances": "8192"}
