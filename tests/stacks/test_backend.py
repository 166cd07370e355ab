"""Stacks whose state a PostgreSQL keeps: the nodes' own, reached over a socket in a folder."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from stacks import engine, workspace
from stacks.program import Premises, Stack
from stacks.twin import lab, node
from stacks.twin.cgroups import Layout
from stacks.twin.image import Image
from stacks.workspace import Target
from tests.stacks.conftest import host

OFFICE = Stack("wan-64", "an office", (), (Premises("640121-office1", False, (), (host("r1", role="router"),), ()),))
# Mount and process namespaces of its own: the server ends with the process that started it, and nothing stays behind.
SERVER = """
mount -t tmpfs none "$1" && mkdir "$1/up" "$1/work" "$1/root" &&
mount -t overlay overlay -o "lowerdir=$2,upperdir=$1/up,workdir=$1/work" "$1/root" &&
mkdir "$1/root/socket" && mount --bind "$3" "$1/root/socket" && mount -t proc proc "$1/root/proc" && mount --bind /dev "$1/root/dev" &&
exec chroot "$1/root" sh -ec 'pg_createcluster --locale=C.UTF-8 15 main
echo "local all all trust" >/etc/postgresql/15/main/pg_hba.conf
exec runuser -u postgres -- /usr/lib/postgresql/15/bin/postgres -c config_file=/etc/postgresql/15/main/postgresql.conf \
    -c listen_addresses= -c unix_socket_directories=/socket'
"""


@pytest.fixture
def url(tmp_path: Path, prepared: tuple[Image, Layout]) -> Iterator[str]:
    """A PostgreSQL with an empty database."""
    for name in ("place", "socket"):
        (tmp_path / name).mkdir()
    (tmp_path / "socket").chmod(0o777)
    layers = ":".join(prepared[0].layers)
    line = [
        "unshare",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--propagation",
        "private",
        "sh",
        "-c",
        SERVER,
        "sh",
    ]
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(
            [*line, str(tmp_path / "place"), layers, str(tmp_path / "socket")], stdout=log, stderr=log
        )
    try:
        assert node.until(lambda: (tmp_path / "socket" / ".s.PGSQL.5432").exists(), 120), (tmp_path / "log").read_text()
        yield f"postgres://postgres@/postgres?host={tmp_path / 'socket'}&sslmode=disable"
    finally:
        server.kill()  # `unshare` heeds nothing less while its child runs
        server.wait()


def test_a_stack_lives_in_a_database(tmp_path: Path, url: str) -> None:
    name = f"p{os.getpid()}"
    target = Target(tmp_path / "state", f"twin:{name}", engine.ready(lambda step: None), url)
    try:
        made = workspace.up(target, OFFICE, lambda done: None)
        assert (made.mistakes, [(each.op, each.name) for each in made.changes]) == ((), [("create", "r1")])
        assert workspace.drift(target, OFFICE, lambda done: None).changes == ()
        assert not list((target.folder / ".engine" / "state").rglob("*.json"))
        gone = workspace.destroy(target, OFFICE, lambda done: None)
        assert (gone.mistakes, [each.op for each in gone.changes]) == ((), ["delete"])
    finally:
        lab.down(name, target.state / "twin")
