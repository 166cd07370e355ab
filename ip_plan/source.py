"""A plan folder read into plain values, with the place of every one of them.

YAML is read with the C parser into nodes, so that positions cost nothing; the text is decoded here since plans travel between
offices as GBK, with a byte-order mark, or with tabs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from ground.mistake import Mistake

Path_ = tuple[str | int, ...]


class Document(msgspec.Struct, frozen=True):
    """One YAML file: its value and the place (line, column; from 1) of every key and item in it."""

    file: str
    value: Any
    places: dict[Path_, tuple[int, int]]

    def place(self, path: Path_) -> tuple[int, int]:
        """The place of `path`, or of the nearest enclosing thing that has one."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, (1, 1))


def decode(data: bytes, file: str) -> tuple[str, list[Mistake]]:
    """The text of a plan file. UTF-8 with or without a byte-order mark; anything else is a mistake with its way out."""
    try:
        return data.decode("utf-8-sig"), []
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        try:
            data.decode("gb18030")
        except UnicodeDecodeError:
            cure = "Save the file as UTF-8."
        else:
            cure = f"The bytes read as GBK/GB18030: convert with `iconv -f GB18030 -t UTF-8 {Path(file).name}`."
        return "", [Mistake(file, line, None, "JB1001", "", "the file is not UTF-8", cure)]


def document(data: bytes, file: str) -> tuple[Document | None, list[Mistake]]:
    """Read one YAML file; the document is None where nothing could be read from it."""
    text, mistakes = decode(data, file)
    if mistakes:
        return None, mistakes
    for number, line in enumerate(text.splitlines(), 1):
        if "\t" in line[: len(line) - len(line.lstrip())]:
            column = line.index("\t") + 1
            cure = "Indent with two spaces a level; a tab has no width in YAML."
            mistakes.append(Mistake(file, number, column, "JB1002", "", "a tab in the indentation", cure))
    if mistakes:
        return None, mistakes
    try:
        node = yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        what = f"this is not YAML: {error.problem or error.context}"
        cure = "Correct the line; a value with `: `, `#` or a leading `*`, `&`, `%` needs quotes."
        return None, [Mistake(file, *place, "JB1003", "", what, cure)]
    except yaml.YAMLError as error:
        return None, [Mistake(file, 1, 1, "JB1003", "", f"this is not YAML: {error}", "Save the file as plain text.")]
    if node is None:
        cure = "Fill it, or copy the file from a shipped plan (`jinbao plan init`)."
        return None, [Mistake(file, 1, 1, "JB1004", "", "the file is empty", cure)]
    places: dict[Path_, tuple[int, int]] = {}
    constructor = yaml.SafeLoader("")
    value = _value(node, (), places, constructor, file, mistakes)
    return Document(file, value, places), mistakes


def _value(
    node: yaml.Node,
    path: Path_,
    places: dict[Path_, tuple[int, int]],
    constructor: yaml.SafeLoader,
    file: str,
    mistakes: list[Mistake],
) -> Any:
    places.setdefault(path, (node.start_mark.line + 1, node.start_mark.column + 1))
    if isinstance(node, yaml.MappingNode):
        found: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = constructor.construct_object(key_node, deep=True)
            place = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            if key in found:
                first = places[(*path, key)][0]
                cure = f"Keep one of the two; the first stands in line {first}."
                mistakes.append(Mistake(file, *place, "JB1005", str(key), "this key stands twice", cure))
                continue
            places[(*path, key)] = place
            found[key] = _value(value_node, (*path, key), places, constructor, file, mistakes)
        return found
    if isinstance(node, yaml.SequenceNode):
        return [
            _value(item, (*path, index), places, constructor, file, mistakes) for index, item in enumerate(node.value)
        ]
    if node.tag == "tag:yaml.org,2002:timestamp":  # a date is text here, in quotes or not
        return node.value
    return constructor.construct_object(node, deep=True)


def read(folder: Path, names: Mapping[str, bool]) -> tuple[dict[str, Document], list[Mistake]]:
    """Read the YAML files `names` (name → required) of a plan folder; every mistake of every file."""
    documents: dict[str, Document] = {}
    mistakes: list[Mistake] = []
    for name, required in names.items():
        path = folder / name
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            if required:
                cure = "Write it, or start from a shipped plan with `jinbao plan init`."
                mistakes.append(Mistake(str(path), None, None, "JB1006", "", "this plan file is missing", cure))
            continue
        except OSError as error:
            cure = "Make it a readable file."
            mistakes.append(Mistake(str(path), None, None, "JB1006", "", f"cannot be read: {error.strerror}", cure))
            continue
        found, wrong = document(data, str(path))
        mistakes += wrong
        if found is not None:
            documents[name] = found
    return documents, mistakes
