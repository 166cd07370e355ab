"""The image: what it is built from, what is off in it, and builds that are killed, doubled or cannot be."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ground.mistake import Mistakes
from stacks.twin import image, lab, node
from stacks.twin.cgroups import Layout
from stacks.twin.image import Image, Mirror

BUILD = "from stacks.twin import image; print(image.build(lambda *_: None).layers)"


def quiet(what: str, done: int, total: int) -> None:
    """Nobody watches."""


TARGETS = {
    "this suite, three parts": (
        "http://deb.example/debian/|bookworm|main|Debian\n"
        "http://deb.example/debian/|bookworm|contrib|Debian\n"
        "http://deb.example/debian/|bookworm-updates|main|Debian\n"
        "http://sec.example/debian-security/|bookworm-security|main|Debian\n"
        "https://apt.postgresql.org/pub/|bookworm-pgdg|main|apt.postgresql.org\n"
        "https://deb.nodesource.com/node_20.x/|nodistro|main|. nodistro\n",
        "bookworm",
        Mirror(
            "http://deb.example/debian/",
            (
                "deb http://deb.example/debian/ bookworm main",
                "deb http://deb.example/debian/ bookworm-updates main",
                "deb http://sec.example/debian-security/ bookworm-security main",
            ),
        ),
    ),
    "before the first apt-get update apt knows no origin": (
        "http://deb.example/debian/|bookworm|main|$(ORIGIN)\n",
        "bookworm",
        Mirror("http://deb.example/debian/", ("deb http://deb.example/debian/ bookworm main",)),
    ),
    "another release of Debian": (
        "http://deb.example/debian/|trixie|main|Debian\nhttp://deb.example/debian/|trixie-updates|main|Debian\n",
        "trixie",
        Mirror(
            "http://deb.example/debian/",
            (
                "deb http://deb.example/debian/ bookworm main",
                "deb http://deb.example/debian/ bookworm-updates main",
            ),
        ),
    ),
    "listed twice": (
        "http://a.example/debian/|bookworm|main|Debian\nhttp://a.example/debian/|bookworm|main|Debian\n",
        "bookworm",
        Mirror("http://a.example/debian/", ("deb http://a.example/debian/ bookworm main",)),
    ),
    "no Debian": ("http://archive.ubuntu.com/ubuntu/|noble|main|Ubuntu\n", "noble", None),
    "nothing": ("", "bookworm", None),
}


@pytest.mark.parametrize("case", TARGETS)
def test_mirror(case: str) -> None:
    targets, codename, expected = TARGETS[case]
    assert image.mirror(targets, codename) == expected


@pytest.fixture
def base(prepared: tuple[Image, Layout], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, with the two slow layers of the real one."""
    folder = tmp_path / "cache" / "image"
    folder.mkdir(parents=True)
    for layer in prepared[0].layers[1:]:
        (folder / Path(layer).name).symlink_to(layer)
    monkeypatch.setenv("JINBAO_CACHE", str(tmp_path / "cache"))
    return folder


def test_only_ssh_is_on(prepared: tuple[Image, Layout]) -> None:
    """Every link that a package made to switch itself on, an alias too, is covered in the common layer."""
    common, *lower = map(Path, prepared[0].layers)
    links = {
        link.relative_to(layer)
        for layer in lower
        for link in (layer / "etc/systemd/system").rglob("*")
        if link.is_symlink()
    }
    assert Path("etc/systemd/system/multi-user.target.wants/frr.service") in links
    on = {str(link) for link in links if not (common / link).exists()}
    assert on == {
        "etc/systemd/system/multi-user.target.wants/ssh.service",
        "etc/systemd/system/sshd.service",
    }
    for link in links - {Path(name) for name in on}:
        status = (common / link).lstat()
        assert stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def test_nothing_of_the_build_is_left(prepared: tuple[Image, Layout]) -> None:
    tools = Path(prepared[0].layers[1])
    assert not (tools / "usr/sbin/policy-rc.d").exists()
    assert list((tools / "etc/ssh").glob("ssh_host_*")) == []
    assert not (tools / "etc/postgresql/15").exists()
    assert list((tools / "var/lib/apt/lists").glob("*_Packages*")) == []


def test_left_overs_are_cleared(base: Path) -> None:
    (base / ".building-common-0123").mkdir()
    (base / ".building-common-0123" / "half").write_text("half")
    built = image.build(quiet)
    assert all(Path(layer).is_dir() for layer in built.layers)
    assert list(base.glob(".building-*")) == []
    assert image.build(quiet) == image.ready() == built


def test_built_once_by_three(base: Path) -> None:
    processes = [subprocess.Popen([sys.executable, "-c", BUILD], stdout=subprocess.PIPE) for _ in range(3)]
    said = {process.communicate()[0] for process in processes}
    assert len(said) == 1 and said != {b""}
    assert len(list(base.glob("common-*"))) == 1


def test_another_definition_is_another_layer(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = image.build(quiet)
    monkeypatch.setattr(image, "MASKED", ("one.service",))
    second = image.build(quiet)
    assert first.layers[0] != second.layers[0]
    assert first.layers[1:] == second.layers[1:]
    assert Path(first.layers[0]).is_dir()


def test_private_umask_makes_no_private_image(base: Path) -> None:
    old = os.umask(0o077)
    try:
        common = Path(image.build(quiet).layers[0])
    finally:
        os.umask(old)
    assert {path.stat().st_mode & 0o777 for path in (common, common / "etc", common / "etc/ssh/sshd_config.d")} == {
        0o755
    }


def test_killed_build(tmp_path: Path) -> None:
    """kill -9 in the middle: no layer, no mount and no process stays."""
    folder = tmp_path / "cache" / "image"
    environment = {**os.environ, "JINBAO_CACHE": str(tmp_path / "cache")}
    process = subprocess.Popen([sys.executable, "-c", BUILD], env=environment)
    assert node.until(lambda: bool(list(folder.glob(".building-base-*/up/var/lib/dpkg/status"))), 60)
    process.send_signal(signal.SIGKILL)
    process.wait()

    def mine(line: bytes) -> bool:
        return str(tmp_path).encode() in line

    def running() -> bool:
        lines = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                lines.append(path.read_bytes())
            except OSError:
                continue
        return any(map(mine, lines))

    assert node.until(lambda: not running(), 10)
    assert not any(map(mine, Path("/proc/self/mountinfo").read_bytes().splitlines()))
    assert list(folder.glob("base-*")) == []


def test_mirror_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JINBAO_CACHE", str(tmp_path))
    monkeypatch.setattr(image, "own_mirror", lambda: Mirror("http://127.0.0.1:9/debian", ("deb …",)))
    with pytest.raises(Mistakes, match=r"JB3005  twin image: the base layer could not be built") as caught:
        image.build(quiet)
    assert "127.0.0.1:9" in str(caught.value)
    assert str(tmp_path / "image" / "base.log") in str(caught.value)
    assert image.ready() is None


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JINBAO_CACHE", str(tmp_path))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(tmp_path)], check=True)
    try:
        with pytest.raises(Mistakes, match="JB3008"):
            image.build(quiet)
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_the_builder_sees_the_way_out_and_nothing_else() -> None:
    given = {
        "HTTPS_PROXY": "http://p:3128",
        "no_proxy": "x",
        "SSL_CERT_FILE": "/c",
        "PYTHONPATH": "/x",
        "LANG": "zh_CN",
    }
    seen = image._environment(given)
    assert {"HTTPS_PROXY", "no_proxy", "SSL_CERT_FILE"} < seen.keys()
    assert not {"PYTHONPATH", "LANG"} & seen.keys()


def test_prepared_again_does_nothing(prepared: tuple[Image, Layout]) -> None:
    steps: list[tuple[str, int, int]] = []
    assert lab.prepared(1, lambda *step: steps.append(step)) == prepared
    assert steps == []
