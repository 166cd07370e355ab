"""The two layouts of control groups, told from /proc/mounts, and the command lines of the one that is not here."""

from __future__ import annotations

from pathlib import Path

import pytest

from stacks.twin import cgroups, node
from stacks.twin.cgroups import Layout
from stacks.twin.place import Place
from stacks.twin.topology import Node

HYBRID = """\
tmpfs /sys/fs/cgroup tmpfs rw 0 0
cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0
cgroup /sys/fs/cgroup/systemd cgroup rw,name=systemd 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0
"""
V2 = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n"
V1 = HYBRID.replace("cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n", "")

CASES = {
    "hybrid": (
        HYBRID,
        "init",
        Layout("folders", ("/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/memory")),
    ),
    "v2 with systemd": (V2, "systemd", Layout("scopes", ("/sys/fs/cgroup",))),
    "v2 without systemd": (V2, "tini", None),
    "v1 alone has no cgroup.kill": (V1, "systemd", None),
    "nothing mounted": ("proc /proc proc rw 0 0\n", "systemd", None),
}


@pytest.mark.parametrize("case", CASES)
def test_layout(case: str) -> None:
    mounts, pid1, expected = CASES[case]
    assert cgroups.layout(mounts, pid1) == expected


SCOPES = Layout("scopes", ("/sys/fs/cgroup",))


def test_scope_folders() -> None:
    """systemd makes these by the rules of systemd.slice(5): a slice lies in the slice before its last hyphen."""
    assert cgroups.node_folders(SCOPES, "pilot", "640100-fw1") == [
        Path("/sys/fs/cgroup/twin.slice/twin-pilot.slice/tw-pilot-640100-fw1.scope")
    ]
    assert cgroups.supervisors(SCOPES, "pilot") == []


def test_scope_command_lines(tmp_path: Path) -> None:
    place = Place("pilot", tmp_path)
    spec, line = node.launch(place, Node("640100-fw1"), SCOPES)
    head = ["systemd-run", "--scope", "--quiet", "--collect", "--slice=twin-pilot.slice"]
    assert spec["argv"][:9] == [*head, "--unit=tw-pilot-640100-fw1", "-p", "Delegate=yes", "systemd-nspawn"]
    assert "--keep-unit" in spec["argv"]
    assert spec["join"] == spec["own"] == []
    assert spec["gone"] == "/sys/fs/cgroup/twin.slice/twin-pilot.slice/tw-pilot-640100-fw1.scope"
    assert line[:8] == [*head, "--unit=tw-pilot-640100-fw1.supervisor", "-p", "Delegate=yes"]


def test_folder_command_lines(tmp_path: Path) -> None:
    place = Place("pilot", tmp_path)
    layout = Layout("folders", ("/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"))
    spec, line = node.launch(place, Node("r1", tun=True), layout)
    assert spec["argv"][0] == "systemd-nspawn"
    assert "--bind=/dev/net/tun" in spec["argv"]
    assert spec["join"] == [
        "/sys/fs/cgroup/unified/twin/pilot/r1/cgroup.procs",
        "/sys/fs/cgroup/systemd/twin/pilot/r1/cgroup.procs",
    ]
    # Apart from the nodes, so that a power cut leaves it; below the lab, so that `down` ends it at one stroke.
    assert spec["own"] == ["/sys/fs/cgroup/unified/twin/pilot/_supervisors/cgroup.procs"]
    assert "systemd-run" not in line
