"""Rule sets as `nft -s list ruleset` prints them and `nft -f` takes them, after nft(8) 1.0.6.

A file is one transaction: every statement of it holds, or none does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec

from ground import mistake
from inventory.config import AGAIN, Config, Path, Section, require_plain
from inventory.console import Refusal

_TOKEN = re.compile(r'#[^\n]*|"[^"\n]*"|[{};,]|\n|[^\s{};,"#]+')
_OBJECTS = ("chain", "set", "map", "counter", "quota", "limit", "flowtable", "ct", "secmark", "synproxy")


class Statement(msgspec.Struct, frozen=True):
    """One statement of a file. `sections` is what stands in the braces of a table."""

    verb: str
    """`table`, `delete` or `flush`."""
    table: str
    """`table <family> <name>`; empty: the whole rule set."""
    sections: dict[Path, Section] = {}


class Cut(Exception):
    """The text ends inside a block, or is none."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(what)
        self.line = line


class _Text:
    """A cursor over the tokens of a text."""

    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, int]] = []
        line = 1
        for found in _TOKEN.finditer(text):
            token = found[0]
            if token[0] != "#":
                self.tokens.append((token, line))
            line += token == "\n"
        self.last = line
        self.at = 0

    def peek(self) -> str:
        return self.tokens[self.at][0] if self.at < len(self.tokens) else ""

    @property
    def line(self) -> int:
        return self.tokens[self.at][1] if self.at < len(self.tokens) else self.last

    def take(self) -> str:
        if self.at >= len(self.tokens):
            raise Cut(self.last, "it ends inside a block")
        self.at += 1
        return self.tokens[self.at - 1][0]

    def skip(self) -> None:
        while self.peek() in ("\n", ";") and self.at < len(self.tokens):
            self.at += 1

    def words(self) -> list[str]:
        """The words up to the end of the line or statement; what stands in braces is one word, its elements sorted."""
        found: list[str] = []
        while (token := self.peek()) and token not in ("\n", ";", "}"):
            if token == "{":
                if found and found[0] in (*_OBJECTS, "table", "elements"):
                    return found
                self.at += 1
                found.append("{ " + ", ".join(sorted(self.elements())) + " }")
            elif token == ",":
                self.at += 1
                found[-1:] = [found[-1] + "," if found else ","]
            else:
                # `a,b` and `a, b` are the same list of values.
                glued = bool(found) and found[-1].endswith(",")
                found[-1:] = [found[-1] + self.take()] if glued else [*found[-1:], self.take()]
        return found

    def elements(self) -> list[str]:
        """The elements up to the closing brace."""
        found: list[str] = []
        words: list[str] = []
        while (token := self.take()) != "}":
            if token == ",":
                found.append(" ".join(words))
                words = []
            elif token == "{":
                words.append("{ " + ", ".join(sorted(self.elements())) + " }")
            elif token != "\n":
                words.append(token)
        return [*found, " ".join(words)] if words else found


def statements(text: str) -> Iterator[Statement]:
    """The statements of a file. Raises `Cut`."""
    source = _Text(text)
    while True:
        source.skip()
        if not source.peek():
            return
        line = source.line
        words = source.words()
        opened = source.peek() == "{"
        if words[:1] == ["add"] and words[1:2] == ["table"]:
            words = words[1:]
        if words[:1] == ["table"]:
            name = _table(words)
            if opened:
                source.take()
            yield Statement("table", name, dict(_sections(source, name)) if opened else {(name,): _section("table")})
        elif words[:2] in (["delete", "table"], ["flush", "table"]):
            yield Statement(words[0], _table(words[1:]))
        elif words == ["flush", "ruleset"]:
            yield Statement("flush", "")
        else:
            raise Cut(line, f"`{' '.join(words) or source.peek()}` is no statement of a rule set")


def _table(words: Sequence[str]) -> str:
    return " ".join(words if len(words) > 2 else ("table", "ip", *words[1:]))


def _section(kind: str, *, sequence: bool = False) -> Section:
    return Section(kind, {}, [], sequence)


def _sections(source: _Text, table: str) -> Iterator[tuple[Path, Section]]:
    own = _section("table")
    yield (table,), own
    while True:
        source.skip()
        if source.peek() == "}":
            source.take()
            return
        words = source.words()
        if source.peek() != "{":
            own.lines.append(" ".join(words))
            if not source.peek():
                raise Cut(source.last, "it ends inside a block")
            continue
        source.take()
        path = (table, " ".join(words))
        section = _section(words[0], sequence=words[0] == "chain")
        yield path, section
        yield from _inside(source, path, section)


def _inside(source: _Text, path: Path, section: Section) -> Iterator[tuple[Path, Section]]:
    while True:
        source.skip()
        if source.peek() == "}":
            source.take()
            return
        words = source.words()
        if words[:2] == ["elements", "="] and source.peek() == "{":
            source.take()
            elements = _section("elements")
            elements.lines = [_plain(element) for element in source.elements()]
            yield (*path, "elements"), elements
        elif not words:
            raise Cut(source.line, "it ends inside a block" if not source.peek() else f"`{source.peek()}` stands alone")
        else:
            section.lines.append(" ".join(words))


def _plain(element: str) -> str:
    """A single address is printed without its length."""
    return re.sub(r"^([\d.]+)/32$|^([0-9a-f:]+)/128$", r"\1\2", element)


# --- the dialect's functions -----------------------------------------------------------------------------------------


def read(text: str) -> Config:
    """The rule set that a device runs after a file, or that it prints. Raises Mistakes JB2104."""
    try:
        return apply(Config({(): _section("")}), text.split("\n"))
    except Cut as cut:
        cure = "Fetch it again, or render it again."
        raise mistake.one("JB2104", f"this rule set cannot be read: {cut}", cure, line=cut.line) from None
    except Refusal as refusal:
        raise mistake.one("JB2104", f"nft would refuse this: {refusal}", "Render the device again.") from None


def require_whole(text: str, file: str) -> None:
    """Raise Mistakes JB2101–JB2103, JB2433 when `text` is not a whole rule set as a device prints it. None at all is whole."""
    require_plain(text, file)
    if text.strip() and not re.match(r"(#[^\n]*\n|\s)*table ", text):
        what = "this is no rule set of nftables"
        raise mistake.one("JB2102", what, "Check the dialect of the device in the plan, and its address.", file=file)
    try:
        for _ in statements(text):
            pass
    except Cut as cut:
        raise mistake.one("JB2103", f"the rule set is cut off: {cut}", AGAIN, file=file, line=cut.line) from None
    lines = text.rstrip().split("\n")
    if text.strip() and lines[-1] != "}":
        # A table without braces is a statement too, and none that a device prints.
        what = "the rule set is cut off: it does not end with a table's `}`"
        raise mistake.one("JB2103", what, AGAIN, file=file, line=len(lines))


def apply(running: Config, commands: Sequence[str]) -> Config:
    """What runs after the file `commands` on a device that runs `running`: all of it, or `Refusal`."""
    sections = {path: _copy(section) for path, section in running.sections.items()}
    for statement in statements("\n".join(commands)):
        there = (statement.table,) in sections
        if statement.verb == "table":
            _add(sections, statement)
        elif not statement.table:
            sections = {path: section for path, section in sections.items() if not path}
        elif not there:
            raise Refusal(f"{statement.verb} {statement.table}", "No such file or directory")
        elif statement.verb == "delete":
            sections = {path: section for path, section in sections.items() if path[:1] != (statement.table,)}
        else:
            # Rules go; chains, sets and elements stay.
            for path, section in sections.items():
                if path[:1] == (statement.table,) and section.kind == "chain":
                    section.lines = [line for line in section.lines if line.startswith(("type ", "policy "))]
    return Config(sections)


def _add(sections: dict[Path, Section], statement: Statement) -> None:
    """A table in braces is added to what stands: rules behind the rules, elements to the elements."""
    for path, section in statement.sections.items():
        old = sections.get(path)
        if old is None:
            sections[path] = _copy(section)
            continue
        hook = next((line for line in old.lines if line.startswith("type ")), "")
        if section.kind == "chain":
            new = next((line for line in section.lines if line.startswith("type ")), hook)
            if hook and new != hook:
                raise Refusal(path[-1], "File exists: a chain with another hook")
            policy = [line for line in section.lines if line.startswith("policy ")]
            if policy:
                old.lines = [line for line in old.lines if not line.startswith("policy ")]
                old.lines[1:1] = policy
            old.lines += [line for line in section.lines if not line.startswith(("type ", "policy "))]
        elif section.kind == "elements":
            old.lines += [line for line in section.lines if line not in set(old.lines)]
        elif section.kind != "table" and section.lines != old.lines:
            raise Refusal(path[-1], "File exists: a set of another type")


def _copy(section: Section) -> Section:
    return Section(section.kind, section.places, list(section.lines), section.sequence)
