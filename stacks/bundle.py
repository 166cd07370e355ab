"""`./run bundle`: all that a machine without Internet needs, in one folder that `./run setup --from` takes.

made-for                        what it is made for, a fact a line, as `./run` states it of its own machine
SHA256SUMS                      every other file
jinbao.git                      the last commit; `git clone` takes this file
wheels/                         the packages of locks/, for this Python and this kind of machine
cache/image/packages-<key>/     a Debian repository with what the set-up and the twin's image install
cache/engine/pulumi-<version>/  the Pulumi engine

It is made beside its place, in `<name>.part`, and renamed when it is whole. What an earlier run left, in either place, is
taken over where it is right.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from email.utils import formatdate
from pathlib import Path

import typer

from ground import files, invocation
from ground.mistake import Mistake, Mistakes, one
from stacks import engine
from stacks.twin import image, program
from stacks.twin import place as places

CHECKOUT = Path(__file__).resolve().parents[1]
LOCKS = tuple(CHECKOUT / "locks" / name for name in ("uv.txt", "develop.txt"))
COMPANIONS = (
    "libnss-systemd", "libpam-systemd", "libpython3.11", "systemd-resolved", "systemd-timesyncd", "udev",
)  # fmt: skip
"""Bound to the very version of what the set-up installs: an ordinary Debian 12 has them, and all have to move together."""

Told = Callable[[str], None]


def make(folder: Path, made_for: str, packages: Sequence[str], told: Told) -> None:
    """Make the bundle at `folder`, or renew it. `packages`: those that the set-up installs.

    Raises JB3180–JB3183, and what building the engine raises.
    """
    draft, old = (folder.with_name(folder.name + end) for end in (".part", ".old"))
    if found := [*_place(folder), *_foreign(made_for), *_uncommitted()]:
        raise Mistakes(found)
    with program.lock(Path(sys.prefix) / "bundle.lock"), places.room(folder):
        if folder.exists() and not draft.exists():
            shutil.copytree(folder, draft, copy_function=_link)
        draft.mkdir(parents=True, exist_ok=True)
        told("the checkout")
        _source(draft / "jinbao.git")
        told("Python packages")
        _wheels(draft / "wheels")
        told("Debian packages")
        for other in (draft / "cache" / "image").glob("packages-*"):
            if other.name != image.carried().name:
                shutil.rmtree(other)
        _packages(draft / "cache" / "image" / image.carried().name, packages)
        _engine(draft / "cache" / "engine", engine.ready(told))
        told("checksums")
        files.write(draft / "made-for", made_for.rstrip("\n") + "\n")
        (draft / "SHA256SUMS").unlink(missing_ok=True)
        sums = [f"{_sha256(path)}  {path.relative_to(draft)}\n" for path in _all(draft)]
        files.write(draft / "SHA256SUMS", "".join(sums))
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():
            folder.rename(old)
        draft.rename(folder)
        shutil.rmtree(old, ignore_errors=True)


def _place(folder: Path) -> Iterator[Mistake]:
    if folder.exists() and not (folder / "made-for").is_file():
        yield _mistake("JB3180", str(folder), "is there and is no bundle", "Name a folder that is not there yet.")


def _foreign(made_for: str) -> Iterator[Mistake]:
    if f"debian {image.SUITE}" not in made_for.splitlines():
        here = re.search(r"^debian (\S+)", made_for, re.M)
        what = f"a bundle is made on Debian 12 ({image.SUITE}), for machines of the same release"
        yield _mistake("JB3183", here[1] if here else "no Debian", what, "Make it on a Debian 12, a container will do.")


def _uncommitted() -> Iterator[Mistake]:
    done = _git("status", "--porcelain")
    changed = done.stdout.splitlines()
    if done.returncode:
        yield _mistake(
            "JB3183", "checkout", f"git says: {done.stderr.strip()}", "Make the bundle in a clone made by git."
        )
    elif changed:
        what = f"{len(changed)} changes are not committed, and a bundle carries the last commit: {changed[0][3:]}"
        yield _mistake("JB3183", "checkout", what, "Commit them, or `git stash` them.")


def _mistake(code: str, subject: str, what: str, cure: str) -> Mistake:
    return Mistake(file="", line=None, column=None, code=code, object=subject, what=what, cure=cure)


def _source(target: Path) -> None:
    branch = _git("symbolic-ref", "--quiet", "HEAD").stdout.split()
    done = _git("bundle", "create", "--quiet", str(target), "HEAD", *branch)
    if done.returncode:
        raise one("JB3183", f"git says: {done.stderr.strip()}", "Make the bundle in a whole clone.", subject="checkout")


def _git(*words: str) -> subprocess.CompletedProcess[str]:
    return program.run(["git", "-C", str(CHECKOUT), *words])


def _wheels(folder: Path) -> None:
    """Every locked package into `folder`, and nothing else; pip reaches them as it was told to on this machine."""
    folder.mkdir(exist_ok=True)
    known = set(re.findall(r"sha256:([0-9a-f]{64})", "".join(lock.read_text() for lock in LOCKS)))
    for path in folder.iterdir():
        if _sha256(path) not in known:
            path.unlink()
    line = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    line += ["--require-hashes", "--only-binary", ":all:", "--dest", str(folder), "--find-links", str(folder)]
    line += [word for lock in LOCKS for word in ("-r", str(lock))]
    if program.run([*line, "--no-index"]).returncode == 0:
        return
    done = program.run(line)
    if done.returncode:
        raise one(
            "JB3181",
            f"not all could be fetched: {engine.last(done.stderr)}",
            "See that pip reaches its package index; what was fetched is kept for the next run.",
            subject="Python packages",
        )


def _packages(folder: Path, packages: Sequence[str]) -> None:
    """A Debian repository in `folder`: `packages`, what the twin's image needs, and all that these rest on.

    Resolved against an empty system: whatever a machine lacks of them is there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = ["?essential", "?priority(required)", "apt", *packages, *image.BASE_PACKAGES, *image.PACKAGES]
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        (work / "sources.list").write_text("".join(f"{line}\n" for line in image.own_mirror().lines))
        (work / "status").touch()
        own = {
            "Dir::State": work, "Dir::State::status": work / "status", "Dir::Cache": work, "Dir::Cache::archives": work,
            "Dir::Etc::SourceList": work / "sources.list", "Dir::Etc::SourceParts": "/dev/null",
            "Dir::Etc::Preferences": "/dev/null", "Dir::Etc::PreferencesParts": "/dev/null",
        }  # fmt: skip
        told = [f"-o{key}={value}" for key, value in own.items()]
        apt = ["apt-get", "--quiet", *told]
        install = ["install", "--yes", "--no-install-recommends"]
        _ran([*apt, "update"])
        # Not together: of the companions one can take the place of what the image has.
        said = "".join(_ran([*apt, *install, *names, "--print-uris"]) for names in (wanted, COMPANIONS))
        listed = set(re.findall(r"^'[^']+' (\S+\.deb) ", said, re.M))
        # As the mirror lists them, not as they say themselves: what belongs to a minimal Debian is the archive's to decide.
        named = sorted({name.partition("_")[0] for name in listed})
        shown = entries(_ran(["apt-cache", *told, "show", "--no-all-versions", *named]))
        stanzas = {name: shown[name] for name in sorted(listed & shown.keys())}
        for path in folder.glob("*.deb"):
            if f"SHA256: {_sha256(path)}\n" not in stanzas.get(path.name, ""):
                path.unlink()
        if not all((folder / name).exists() for name in stanzas):
            for names in (wanted, COMPANIONS):
                _ran([*apt, f"-oDir::Cache::archives={folder}", *install, *names, "--download-only"])
    (folder / "lock").unlink(missing_ok=True)
    shutil.rmtree(folder / "partial", ignore_errors=True)
    _index(folder, stanzas.values())


def entries(shown: str) -> dict[str, str]:
    """What `apt-cache show` says of packages, by the names under which apt keeps their files, and with these names."""
    found = {}
    for stanza in shown.strip().split("\n\n"):
        facts = dict(re.findall(r"^(Package|Version|Architecture|Filename): (.+)$", stanza, re.M))
        name = f"{facts['Package']}_{facts['Version'].replace(':', '%3a')}_{facts['Architecture']}.deb"
        found[name] = stanza.replace(f"Filename: {facts['Filename']}", f"Filename: {name}") + "\n"
    return found


def _index(folder: Path, stanzas: Iterable[str]) -> None:
    """The files by which apt knows a repository, for the packages that lie in `folder`."""
    text = "\n".join(stanzas)
    architecture = _ran(["dpkg", "--print-architecture"]).strip()
    place = f"main/binary-{architecture}/Packages"
    date = formatdate(max(path.stat().st_mtime for path in folder.glob("*.deb")), usegmt=True)
    release = f"Date: {date}\nSuite: {image.SUITE}\nCodename: {image.SUITE}\n"
    release += f"Components: main\nArchitectures: {architecture}\n"
    release += f"SHA256:\n {files.sha256(text.encode())} {len(text.encode())} {place}\n"
    files.write(folder / "dists" / image.SUITE / place, text)
    files.write(folder / "dists" / image.SUITE / "Release", release)


def _ran(line: Sequence[str]) -> str:
    done = program.run(line)
    if done.returncode:
        raise one(
            "JB3182",
            f"`{line[0]}` says: {engine.last(done.stderr)}",
            "See that `apt-get update` works here; what was fetched is kept for the next run.",
            subject="Debian packages",
        )
    return done.stdout


def _engine(folder: Path, found: Path) -> None:
    target = folder / engine.place().relative_to(engine.cache())
    if target.exists() and _sha256(target) == _sha256(found):
        return
    shutil.rmtree(folder, ignore_errors=True)
    target.parent.mkdir(parents=True)
    shutil.copyfile(found, target)
    target.chmod(0o755)


def _all(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without links
        shutil.copy2(source, target)


def main(folder: Path, made_for: str, packages: list[str]) -> None:
    """Make the bundle; say where it is, and by what it is known on the other side."""
    with invocation.guarded(), invocation.steps() as told:
        make(folder.absolute(), made_for, packages, told)
        size = sum(path.stat().st_size for path in _all(folder))
        print(f"{folder}: {size / 1e6:.0f} MB, known by {_sha256(folder / 'SHA256SUMS')}")


if __name__ == "__main__":
    typer.run(main)
