"""A device's configuration as sections with their lines, read from what the device prints or what was rendered for it."""

from __future__ import annotations

import re

import msgspec

from ground import mistake
from inventory.rules import Grammar, Rules, grammar

Path = tuple[str, ...]
"""The lines that open the sections around a line, outermost first."""
UNKNOWN = "?"
"""The kind of a section that no rule knows."""


class Section(msgspec.Struct):
    """One section. `kind` and `places` are as the rule says that opens it."""

    kind: str
    places: dict[str, str]
    lines: list[str]
    sequence: bool = False
    """Whether the order of its lines has a meaning."""


class Config(msgspec.Struct, frozen=True):
    """A configuration: path → section; the lines outside of sections have the path ()."""

    sections: dict[Path, Section]

    def same(self, other: Config) -> bool:
        """Whether both say the same: lines as a set, or in their order where it has a meaning."""
        return self.sections.keys() == other.sections.keys() and all(
            section.lines == other.sections[path].lines
            or (not section.sequence and set(section.lines) == set(other.sections[path].lines))
            for path, section in self.sections.items()
        )


AGAIN = "Fetch it again with `jinbao config fetch`."
# What ends no line and stands in none: control characters, and the mark that editors put in front.
_FOREIGN = re.compile("[\0-\x08\x0b-\x1f\x7f\ufeff]")


def require_plain(text: str, file: str) -> None:
    """Raise Mistakes JB2101, JB2433 when `text` went through something that changes what a device printed."""
    if "\r" in text:
        line = text[: text.index("\r")].count("\n") + 1
        what = "line ends are CRLF: this copy went through another system"
        raise mistake.one("JB2101", what, AGAIN, file=file, line=line)
    if found := _FOREIGN.search(text):
        line = text[: found.start()].count("\n") + 1
        what = f"holds the character U+{ord(found[0]):04X}, which no device prints: this copy was damaged or edited"
        raise mistake.one("JB2433", what, AGAIN, file=file, line=line)


def require_whole(text: str, rules: Rules, file: str) -> None:
    """Raise Mistakes JB2100–JB2103, JB2433, JB2434 when `text` is not what a device of the dialect prints, whole, once."""
    if not text.strip():
        raise mistake.one("JB2100", "the running configuration is empty", AGAIN, file=file)
    require_plain(text, file)
    lines = text.rstrip().split("\n")
    if not any(re.match(rules.first, line) for line in lines[:40]):
        what = f"this is no running configuration of {rules.name}"
        raise mistake.one("JB2102", what, "Check the dialect of the device in the plan, and its address.", file=file)
    if lines[-1] != rules.last:
        what = f"the running configuration is cut off: it does not end with `{rules.last}`"
        raise mistake.one("JB2103", what, AGAIN, file=file, line=len(lines))
    if (first := lines.index(rules.last) + 1) < len(lines):
        what = f"goes on after `{rules.last}`: this copy holds more than one answer"
        raise mistake.one("JB2434", what, AGAIN, file=file, line=first + 1)


def read(text: str, rules: Rules) -> Config:
    """The configuration in indented text. Lines without meaning and defaults are left out; nothing else is."""
    known = grammar(rules)
    sections: dict[Path, Section] = {(): Section("", {}, [])}
    # (indentation, path) of the line before, and of those around it
    around: list[tuple[int, Path]] = []
    path: Path = ()
    current = sections[()]
    opening = known.openers.get("", ())
    depth = 0
    for line in text.split("\n"):
        bare = line.strip()
        if not bare or bare in known.ends or bare.startswith(rules.noise):
            continue
        indent = len(line) - len(line.lstrip(" "))
        if indent > depth:
            # The line before opened a section after all, though no rule says so.
            if current.lines and (not around or around[-1] != (depth, path)):
                path = (*path, current.lines.pop())
                around.append((depth, path))
                current = sections.setdefault(path, Section(UNKNOWN, {}, []))
                opening = ()
        elif around and indent <= around[-1][0]:
            while around and indent <= around[-1][0]:
                around.pop()
            path = around[-1][1] if around else ()
            current = sections[path]
            opening = known.openers.get(current.kind, ())
        depth = indent
        if opening and bare.startswith(opening):
            opened = known.known(current.kind, bare, current.places)
            if opened is not None and opened.rule.opens:
                path = (*path, bare)
                around.append((indent, path))
                current = sections.setdefault(path, Section(opened.rule.opens, opened.places, []))
                opening = known.openers.get(current.kind, ())
                continue
        current.lines.append(bare)
    _drop_silent(sections, known)
    return Config(sections)


def _drop_silent(sections: dict[Path, Section], known: Grammar) -> None:
    """Take out what the device does not show: defaults, and sections that go with their last line."""
    for path in sorted(sections, key=len, reverse=True):
        section = sections[path]
        if not known.defaults.isdisjoint(section.lines):
            section.lines = [
                line
                for line in section.lines
                if line not in known.defaults
                or (found := known.known(section.kind, line, section.places)) is None
                or found.rule.default != line
            ]
        if path and not section.lines and section.kind in known.vanishing:
            inside = len(path)
            if not any(other[:inside] == path for other in sections if len(other) > inside):
                del sections[path]
