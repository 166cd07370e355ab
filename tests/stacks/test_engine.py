"""How the engine is found and built: two at once, cut off, out of reach, on a full disk. Compiling itself is the real run's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ground.mistake import Mistakes
from stacks import engine
from stacks.twin.node import until

GO = """\
#!/bin/sh
case "$1" in
version) echo "go version go{version} linux/amd64" ;;
build)
    echo run >>"{log}"
    for last; do [ "$before" = -o ] && out=$last; before=$last; done
    echo "go: downloading example.internal/one v1.0.0"
    echo "example.internal/one"
    {work}
    mkdir -p "$out" && printf '#!/bin/sh\\necho v{engine}\\n' >"$out/pulumi" && chmod +x "$out/pulumi"
    ;;
esac
"""
BUILD = "import sys; from stacks import engine; print(engine.ready(print))"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH without engine and toolchain, and a cache of its own."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("JINBAO_CACHE", str(tmp_path / "cache"))
    return tmp_path


def program(machine: Path, name: str, text: str) -> None:
    path = machine / "bin" / name
    path.write_text(text)
    path.chmod(0o755)


def go(machine: Path, work: str = ":", version: str = "1.27.3") -> None:
    program(machine, "go", GO.format(version=version, log=machine / "log", work=work, engine=engine.VERSION))


def built(machine: Path) -> int:
    return len((machine / "log").read_text().split())


def elsewhere() -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", BUILD], stdout=subprocess.PIPE, text=True)


def test_a_newer_one_on_path_is_taken_and_an_older_one_is_not(machine: Path) -> None:
    program(machine, "pulumi", f"#!/bin/sh\necho v{engine.VERSION}\n")
    assert engine.found() == machine / "bin" / "pulumi"
    program(machine, "pulumi", "#!/bin/sh\necho v3.100.0\n")
    assert engine.found() is None
    program(machine, "pulumi", "#!/bin/sh\nexit 1\n")
    assert engine.found() is None


def test_it_is_built_once_and_leaves_nothing_else(machine: Path) -> None:
    go(machine)
    steps: list[str] = []
    path = engine.ready(steps.append)
    assert steps[-1] == "1 modules fetched, 1 packages compiled"
    assert engine.ready(steps.append) == engine.found() == path
    assert built(machine) == 1
    assert sorted(each.name for each in engine.cache().iterdir()) == ["lock", f"pulumi-{engine.VERSION}"]


def test_two_at_once_build_one(machine: Path) -> None:
    go(machine, "sleep 1")
    runs = [elsewhere(), elsewhere()]
    assert len({run.communicate()[0].splitlines()[-1] for run in runs}) == 1
    assert [run.returncode for run in runs] == [0, 0]
    assert built(machine) == 1


def test_cut_off_in_the_middle_it_goes_on_with_what_was_fetched(machine: Path) -> None:
    go(machine, 'mkdir -p "$GOMODCACHE" && touch "$GOMODCACHE/fetched"; exec sleep 60')
    run = elsewhere()
    fetched = engine.cache() / "building" / "modules" / "pkg" / "mod" / "fetched"
    assert until(fetched.exists, 30)
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert engine.found() is None
    go(machine, 'test -e "$GOMODCACHE/fetched"')
    engine.ready(lambda step: None)
    assert built(machine) == 2


def test_without_a_module_proxy_it_says_so(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    said = 'go: x: Get "https://proxy.internal/x/@v/v3.zip": dial tcp: lookup proxy.internal: no such host'
    go(machine, f"echo '{said}'; exit 1")
    with pytest.raises(Mistakes, match="JB3101"):
        engine.ready(lambda step: None)
    go(machine, "echo 'x.go:1:1: syntax error'; exit 1")
    with pytest.raises(Mistakes, match="JB3102"):
        engine.ready(lambda step: None)
    go(machine, "echo 'write: no space left on device'; exit 1")
    with pytest.raises(Mistakes, match="JB3008"):
        engine.ready(lambda step: None)


def test_without_a_toolchain_it_asks_the_package_index(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go(machine, version="1.19")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(machine))
    with pytest.raises(Mistakes, match=r"JB3102 .*no Go toolchain"):
        engine.ready(lambda step: None)


@pytest.mark.timeout(2400)  # seconds: the first run on a machine builds it
def test_the_kept_engine_is_the_same_version_as_the_sdk() -> None:
    """The real one; built here on the first run on this machine."""
    path = engine.ready(lambda step: None)
    said = subprocess.run(
        [path, "version"], capture_output=True, text=True, check=True, env={**os.environ, "HOME": "/nonexistent"}
    )
    assert engine.numbers(said.stdout) >= engine.numbers(engine.VERSION)
