"""The offline bundle: made aside and renamed, renewed from what is there, and refused where it is damaged or for others."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ground.mistake import Mistakes
from stacks import bundle, engine
from stacks.twin import image
from tests.house.contract import CHECKOUT

HERE = "architecture x86_64\npython 3.11\ndebian bookworm\njinbao 0123\n"


def quiet(step: str) -> None:
    """Nobody watches."""


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The parts that come from elsewhere are small files; the place of the bundle."""

    def put(folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)

    program = tmp_path / "pulumi"
    program.write_text("engine")
    monkeypatch.setattr(bundle, "_uncommitted", lambda: [])
    monkeypatch.setattr(bundle, "_source", lambda target: target.write_text("commits"))
    monkeypatch.setattr(bundle, "_wheels", lambda folder: put(folder, "one.whl"))
    monkeypatch.setattr(bundle, "_packages", lambda folder, packages: put(folder, "one.deb"))
    monkeypatch.setattr(engine, "ready", lambda told: program)
    (tmp_path / "place").mkdir()
    yield tmp_path / "place" / "bundle"
    assert os.listdir(tmp_path / "place") in ([], ["bundle"])


def content(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in bundle._all(folder)}


def test_it_is_made_and_made_again(parts: Path) -> None:
    bundle.make(parts, HERE, [], quiet)
    made = content(parts)
    packages, binary = f"cache/image/{image.carried().name}/one.deb", f"cache/engine/pulumi-{engine.VERSION}/bin/pulumi"
    assert sorted(made) == sorted(["SHA256SUMS", "made-for", "jinbao.git", "wheels/one.whl", packages, binary])
    told = subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=parts, capture_output=True, text=True)
    assert told.returncode == 0 and told.stdout.count(": OK") == len(made) - 1
    number = (parts / binary).stat().st_ino
    bundle.make(parts, HERE, [], quiet)
    assert content(parts) == made
    assert (parts / binary).stat().st_ino == number


def test_what_no_longer_belongs_goes(parts: Path) -> None:
    bundle.make(parts, HERE, [], quiet)
    made = content(parts)
    (parts / "cache/image/packages-0123").mkdir()
    (parts / "cache/image/packages-0123/one.deb").write_text("of another version")
    bundle.make(parts, HERE, [], quiet)
    assert content(parts) == made


@pytest.mark.parametrize("before", [False, True], ids=["the first", "a renewal"])
def test_interrupted_no_half_bundle_stands(parts: Path, before: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if before:
        bundle.make(parts, HERE, [], quiet)
    stood = content(parts)

    def interrupted(folder: Path, packages: object) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "half.deb").write_text("half")
        raise KeyboardInterrupt

    with monkeypatch.context() as cut:
        cut.setattr(bundle, "_packages", interrupted)
        cut.setattr(bundle, "_source", lambda target: target.unlink(missing_ok=True) or target.write_text("newer"))
        with pytest.raises(KeyboardInterrupt):
            bundle.make(parts, HERE, [], quiet)
    assert parts.exists() == before and content(parts) == stood
    bundle.make(parts, HERE, [], quiet)
    assert "one.deb" in "".join(content(parts))


def test_what_it_cannot_be_made_of_is_told_at_once(parts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts.mkdir()
    (parts / "mine").write_text("mine")
    with pytest.raises(Mistakes) as caught:
        bundle.make(parts, HERE.replace("bookworm", "trixie"), [], quiet)
    assert [(each.code, each.object) for each in caught.value.found] == [("JB3180", str(parts)), ("JB3183", "trixie")]
    assert content(parts) == {"mine": "mine"}


def test_a_wheel_that_no_lock_knows_is_put_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setattr(bundle, "LOCKS", (CHECKOUT / "locks" / "uv.txt",))
    (tmp_path / "uv-0.0-py3-none-any.whl").write_text("of another version, or cut off")
    with pytest.raises(Mistakes, match="JB3181"):
        bundle._wheels(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_apt_takes_the_packages(tmp_path: Path) -> None:
    """A package with an epoch, whose file name apt writes with a percent sign."""
    folder = tmp_path / "packages"
    (tmp_path / "made" / "DEBIAN").mkdir(parents=True)
    control = (
        "Package: jinbao-sample\nVersion: 1:2.0\nArchitecture: all\nMaintainer: x <x@example>\nDescription: sample\n"
    )
    (tmp_path / "made" / "DEBIAN" / "control").write_text(control)
    folder.mkdir()
    name = "jinbao-sample_1%3a2.0_all.deb"
    subprocess.run(["dpkg-deb", "--build", tmp_path / "made", folder / name], check=True, capture_output=True)
    facts = (
        f"Filename: pool/j/{name}\nSize: {(folder / name).stat().st_size}\nSHA256: {bundle._sha256(folder / name)}\n"
    )
    bundle._index(folder, bundle.entries(f"{control}{facts}").values())
    (tmp_path / "list").write_text(f"deb [trusted=yes] copy:{folder} {image.SUITE} main\n")
    for each in ("lists/partial", "archives/partial"):
        (tmp_path / each).mkdir(parents=True)
    (tmp_path / "status").touch()
    settings = [f"Dir::State::Lists={tmp_path}/lists", f"Dir::State::status={tmp_path}/status"]
    settings += [f"Dir::Cache={tmp_path}", f"Dir::Cache::archives={tmp_path}/archives", "APT::Sandbox::User=root"]
    settings += [f"Dir::Etc::SourceList={tmp_path}/list", "Dir::Etc::SourceParts=/dev/null"]
    apt = ["apt-get", "--quiet", *(f"-o{each}" for each in settings)]
    for words in (["update"], ["install", "--yes", "--download-only", "jinbao-sample"]):
        done = subprocess.run([*apt, *words], capture_output=True, text=True)
        assert done.returncode == 0 and "W:" not in done.stderr, done.stderr
    assert (tmp_path / "archives" / name).read_bytes() == (folder / name).read_bytes()


# --- what `./run setup --from` refuses, and that nothing is installed then ---------------------------------------------

Setup = Callable[[], "subprocess.CompletedProcess[str]"]


@pytest.fixture
def site(tmp_path: Path) -> tuple[Path, Path, Setup]:
    """A checkout that was never set up, a bundle with nothing in it that pip wants, and the command that takes it."""
    checkout, given = tmp_path / "checkout", tmp_path / "bundle"
    for name in ("run", "pyproject.toml", "locks", "stacks/bundle.py", "stacks/engine.py", "stacks/twin/image.py"):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (CHECKOUT / name).is_dir() else shutil.copy2)(CHECKOUT / name, checkout / name)
    for name in ("wheels/one.whl", "cache/image/packages-01/one.deb", "cache/engine/pulumi-1/bin/pulumi", "made-for"):
        (given / name).parent.mkdir(parents=True, exist_ok=True)
        (given / name).write_text(name)

    def setup() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [checkout / "run", "setup", "--from", "bundle"], cwd=tmp_path, capture_output=True, text=True,
            env={**os.environ, "JINBAO_CACHE": str(tmp_path / "cache")},
        )  # fmt: skip

    (given / "SHA256SUMS").touch()
    here = [line.partition("here: ")[2] for line in setup().stderr.splitlines() if "here: " in line]
    (given / "made-for").write_text("".join(f"{line}\n" for line in here))
    sums(given)
    return checkout, given, setup


def sums(given: Path) -> None:
    lines = [f"{bundle._sha256(path)}  {path.relative_to(given)}\n" for path in bundle._all(given)]
    (given / "SHA256SUMS").write_text("".join(line for line in lines if "SHA256SUMS" not in line))


def changed(given: Path) -> None:
    (given / "wheels/one.whl").write_text("changed")


def gone(given: Path) -> None:
    (given / "cache/image/packages-01/one.deb").unlink()


def added(given: Path) -> None:
    (given / "wheels/more.whl").write_text("more")


def cut(given: Path) -> None:
    text = (given / "SHA256SUMS").read_text().splitlines(keepends=True)
    (given / "SHA256SUMS").write_text("".join(line for line in text if "pulumi" not in line))


def emptied(given: Path) -> None:
    (given / "SHA256SUMS").write_text("")


def no_list(given: Path) -> None:
    (given / "SHA256SUMS").unlink()


def other(fact: str, value: str) -> Callable[[Path], None]:
    def change(given: Path) -> None:
        lines = (given / "made-for").read_text().splitlines()
        lines = [f"{fact} {value}" if line.startswith(fact) else line for line in lines]
        (given / "made-for").write_text("".join(f"{line}\n" for line in lines))
        sums(given)

    return change


REFUSED = {
    "a wheel changed": (changed, "wheels/one.whl: FAILED"),
    "a package missing": (gone, "cache/image/packages-01/one.deb: FAILED open or read"),
    "a file more": (added, "wheels/more.whl: not in SHA256SUMS"),
    "the list cut": (cut, "cache/engine/pulumi-1/bin/pulumi: not in SHA256SUMS"),
    "the list empty": (emptied, "made-for: not in SHA256SUMS"),
    "no list": (no_list, "is no bundle"),
    "another Python": (other("python", "3.13"), "made for: python 3.13"),
    "another architecture": (other("architecture", "riscv64"), "made for: architecture riscv64"),
    "another release": (other("debian", "trixie"), "made for: debian trixie"),
    "another version": (other("jinbao", "0123"), "made for: jinbao 0123"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_before_anything_is_installed(site: tuple[Path, Path, Setup], case: str) -> None:
    checkout, given, setup = site
    change, said = REFUSED[case]
    change(given)
    done = setup()
    assert done.returncode == 2 and said in done.stderr and str(given) in done.stderr
    assert not (checkout / ".venv").exists() and not (given.parent / "cache").exists()


def test_a_whole_one_is_taken_in(site: tuple[Path, Path, Setup]) -> None:
    checkout, given, setup = site
    done = setup()
    assert f"run: bundle {given} is whole, known by {bundle._sha256(given / 'SHA256SUMS')}" in done.stderr
    cache = given.parent / "cache"
    assert (cache / "image/packages-01/one.deb").exists()
    assert os.access(cache / "engine/pulumi-1/bin/pulumi", os.X_OK)
    # Of the wheels there is none that pip could take, and it is told not to look elsewhere.
    assert done.returncode != 0 and "No matching distribution found for uv" in done.stderr
    assert not (checkout / ".venv/.ready").exists()
