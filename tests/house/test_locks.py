"""The locks: the same versions in production and under test, each with hashes, from no named host."""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.house.contract import CHECKOUT

LOCKS = CHECKOUT / "locks"


def pins(lock: Path) -> dict[str, str]:
    """Return name → the lines of its pin: version, marker and hashes."""
    entries = re.split(r"\n(?=\S)", lock.read_text().strip())
    return {entry.split("==")[0]: entry for entry in entries}


def locked_version(pin: str) -> str:
    return re.split(r"[\s;]", pin.split("==")[1])[0]


def test_what_is_tested_is_what_runs_in_production() -> None:
    develop = pins(LOCKS / "develop.txt")
    for name, pin in pins(LOCKS / "jinbao.txt").items():
        # Markers may differ: a tool can need a package on systems where production does not.
        assert locked_version(develop[name]) == locked_version(pin)
        assert re.findall("sha256:.+", develop[name]) == re.findall("sha256:.+", pin)


@pytest.mark.parametrize("name", ["uv.txt", "jinbao.txt", "develop.txt"])
def test_every_pin_is_hashed_and_names_no_host(name: str) -> None:
    for pin in pins(LOCKS / name).values():
        assert re.match(r"[a-z0-9-]+==\S+( ; [^\n]+)? \\\n    --hash=sha256:[0-9a-f]{64}", pin)
        assert "://" not in pin


def test_every_dependency_is_locked_and_installed_as_locked() -> None:
    settings = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    wanted = {"jinbao.txt": settings["project"]["dependencies"], "develop.txt": settings["dependency-groups"]["dev"]}
    for lock, requirements in wanted.items():
        locked = pins(LOCKS / lock)
        for requirement in requirements:
            name = re.split(r"[=<>~! ]", requirement)[0].replace(".", "-").lower()
            assert locked_version(locked[name]) == version(name)
