"""A plan as the command line names it: its folder and its name, without reading more of it than that."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

import msgspec

from ground.mistake import Mistake, Mistakes

SHIPPED = ("national", "pilot")


def folder_of(name: str) -> tuple[Path, bool]:
    """The folder of a plan given by path, or by the name of a shipped one. Raises Mistakes."""
    if name in SHIPPED and not Path(name, "plan.yml").exists():
        with as_file(files("ip_plan") / "plans" / name) as folder:
            return folder, True
    folder = Path(name)
    if not folder.is_dir():
        cure = f"Give a folder with a plan.yml, or the name of a shipped plan ({', '.join(SHIPPED)})."
        raise Mistakes([Mistake(name, None, None, "JB1007", "", "there is no such plan", cure)])
    return folder, False


def name_of(plan: str) -> str:
    """The name of a plan given by path, or by the name of a shipped one. Raises Mistakes."""
    folder, shipped = folder_of(plan)
    if shipped:
        return plan
    try:
        return str(msgspec.yaml.decode((folder / "plan.yml").read_bytes())["name"])
    except (OSError, msgspec.DecodeError, KeyError, TypeError):
        raise Mistakes(_faults(folder)) from None


def _faults(folder: Path) -> list[Mistake]:
    """What is wrong with a plan.yml that gives no name."""
    from ip_plan import schema, source

    documents, mistakes = source.read(folder, {"plan.yml": True})
    for file, document in documents.items():
        mistakes += schema.check(document, schema.FILES[file])[1]
    return mistakes
