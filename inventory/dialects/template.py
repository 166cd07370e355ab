"""The templates of the dialects: Jinja2, strict about names, with blocks that leave no blank lines."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemBytecodeCache, FileSystemLoader, StrictUndefined, Template

from ground import files
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
        bytecode_cache=_translated(),
    )
    environment.filters["bare"] = bare
    return environment


def _translated() -> FileSystemBytecodeCache | None:
    """Templates as Python's byte code: beside that of this file, and only where Python may keep its own."""
    place = Path(__file__).parent / "__pycache__"
    if sys.dont_write_bytecode or not os.access(place, os.W_OK):
        return None
    # Kept by the text of the template; what is made of it depends on the settings above, too.
    return FileSystemBytecodeCache(str(place), f"{files.sha256(Path(__file__).read_bytes())[:16]}-%s.pyc")


@cache
def _template(name: str) -> Template:
    return _environment().get_template(name)


def fill(name: str, /, **values: object) -> str:
    """The template `<dialect>/<file>.j2` filled with `values`."""
    return _template(name).render(**values)


@lru_cache(256)
def fill_once(name: str, /, **values: Hashable) -> str:
    """The same, for what many devices have word for word."""
    return fill(name, **values)


MARK = "\0"
Word = Callable[[], str]


@lru_cache(256)
def _form(
    name: str, values: Callable[..., Mapping[str, object]], shape: tuple[Hashable, ...]
) -> tuple[list[str], list[int]]:
    """The template filled with marks instead of words: (text and words in turn, which word stands at each mark)."""
    given: list[str] = []

    def word() -> str:
        given.append(f"{MARK}{len(given)}{MARK}")
        return given[-1]

    pieces = fill(name, **values(word, *shape)).split(MARK)
    return pieces, [int(number) for number in pieces[1::2]]


def fill_alike(
    name: str, values: Callable[..., Mapping[str, object]], shape: tuple[Hashable, ...], words: Sequence[str]
) -> str:
    """The template filled for one of many devices that differ in their words alone; it is read once for each `shape`.

    `values(word, *shape)` gives the template its values, calling `word()` for each of `words`, in their order. The template may
    print words and ask whether there are any; what else it decides on belongs to the shape.
    """
    pieces, order = _form(name, values, shape)
    text = pieces.copy()
    text[1::2] = [words[number] for number in order]
    return "".join(text)
