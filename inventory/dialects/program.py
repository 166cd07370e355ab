"""Programs of this project that run on a host: a folder with `__main__.py`, which Python runs, and beside it what it shares with others."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources

from inventory.file import File

SHARED = "inventory/dialects"
CHECK = "python3 -I -m py_compile %s"


def folder(name: str) -> str:
    """Where a program lies: what `python3 -I` is given."""
    return f"/usr/local/lib/jinbao/{name}"


def files(package: str, name: str, beside: Sequence[str], *, unit: str = "", role: str = "") -> list[File]:
    """The program `<package>/<name>.py` with the modules of `inventory/dialects` that it imports. `role`: its name, if not given."""
    here = resources.files("inventory.dialects")
    texts = {"__main__.py": (resources.files(package) / f"{name}.py").read_text("utf-8")}
    texts |= {f"{SHARED}/{each}.py": (here / f"{each}.py").read_text("utf-8") for each in beside}
    return [
        File(f"{folder(name)}/{path}", text, role or name, validator=CHECK, unit=unit, action="restart")
        for path, text in texts.items()
    ]
