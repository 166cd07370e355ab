"""The programs that check rendered files are those of the image that the nodes of a twin start from."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ground import tree
from inventory import render
from ip_plan import plan as plans
from ip_plan.compile import compiled
from stacks.twin import image
from tests.inventory.pilot import AT, FIREWALL, OFFICE, ROUTER, Place

Run = Callable[[str, Path], subprocess.CompletedProcess[str]]

# A node has a host key and its sshd runs: `sshd -t` asks for both.
# Mount and network namespaces of its own: nothing stays behind, and `nft -c` asks a kernel without any rule.
INSIDE = """
mount -t tmpfs none "$1" && mkdir "$1/up" "$1/work" "$1/root" &&
mount -t overlay overlay -o "lowerdir=$2,upperdir=$1/up,workdir=$1/work" "$1/root" &&
mkdir "$1/root/build" && mount --bind "$3" "$1/root/build" &&
mount -t proc proc "$1/root/proc" && mount --bind /dev "$1/root/dev" && mkdir -p "$1/root/run/sshd" &&
ssh-keygen -q -t ed25519 -N '' -f "$1/root/etc/ssh/ssh_host_ed25519_key" &&
exec chroot "$1/root" /bin/sh -c "$4"
"""


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run a shell program as a node would, with a build folder at `/build`."""
    return in_image(tmp_path_factory.mktemp("target"))


def in_image(place: Path) -> Run:
    """What runs a shell program as a node would; `place` is an empty folder."""
    layers = ":".join(image.build(lambda what, done, total: None).layers)

    def run(program: str, build: Path) -> subprocess.CompletedProcess[str]:
        line = ["unshare", "--mount", "--net", "--propagation", "private", "sh", "-c", INSIDE, "sh"]
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
        return subprocess.run(
            [*line, str(place), layers, str(build), program],
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The pilot, rendered for three devices of one city."""
    state = tmp_path_factory.mktemp("state")
    plan, network = plans.load("pilot"), compiled("pilot", state)
    render.write(tree.place(state, AT, "pilot"), network, devices=[FIREWALL, ROUTER, OFFICE], lab=True)
    return Place(state, plan, network)
