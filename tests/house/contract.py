"""Holds the import contract of pyproject.toml against a checkout: `python -m tests.house.contract`."""

import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]


def rooms(checkout: Path) -> list[str]:
    """Return the packages that the contract of `checkout` speaks of."""
    settings = tomllib.loads((checkout / "pyproject.toml").read_text())
    return list(settings["tool"]["importlinter"]["root_packages"])


def hold(checkout: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter in `checkout`: exit code 0 when the contract is kept, its report in stdout.

    A room that nobody has begun is stood in for by an empty package: import-linter knows no optional ones.
    """
    with tempfile.TemporaryDirectory() as stand_ins:
        for room in rooms(checkout):
            if not (checkout / room / "__init__.py").exists():
                (Path(stand_ins) / room).mkdir()
                (Path(stand_ins) / room / "__init__.py").touch()
        return subprocess.run(
            [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo"],
            cwd=checkout,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(checkout), stand_ins])},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )


if __name__ == "__main__":
    held = hold(CHECKOUT)
    print(held.stdout.strip())
    sys.exit(held.returncode)
