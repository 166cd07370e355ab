"""The templates of the dialects: Jinja2, strict about names, with blocks that leave no blank lines."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from inventory.ends import bare


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # configuration, not markup
    )
    environment.filters["bare"] = bare
    return environment


@cache
def _template(name: str) -> Template:
    return _environment().get_template(name)


def fill(name: str, /, **values: object) -> str:
    """The template `<dialect>/<file>.j2` filled with `values`."""
    return _template(name).render(**values)
