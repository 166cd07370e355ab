"""Reader of DNS master files (RFC 1035 5, RFC 2308 4) and of the named.conf statements that say who serves what."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec

from ground.mistake import Mistake, Mistakes
from inventory.proof import interval

TYPES = ("SOA", "NS", "A", "AAAA", "PTR", "CNAME", "TXT", "MX", "SRV")
_TTL = re.compile(r"^(\d+[smhdw]?)+$", re.IGNORECASE)
_UNIT = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


class Entry(msgspec.Struct, frozen=True, order=True):
    """One record: names are absolute and lower case with the final dot, addresses in their shortest form."""

    name: str
    type: str
    data: str
    ttl: int
    line: int


class Zonefile(msgspec.Struct, frozen=True):
    """The records of one file."""

    file: str
    origin: str
    entries: tuple[Entry, ...]


class _Bad(Exception):
    def __init__(self, line: int, what: str) -> None:
        super().__init__(what)
        self.line, self.what = line, what


def _refuse(file: str, bad: _Bad) -> Mistakes:
    cure = "Write what RFC 1035 5.1 and inventory/proof/zonefile.py both know, or teach the reader."
    return Mistakes([Mistake(file, bad.line, None, "JB2401", "", f"the proof cannot read this: {bad.what}", cure)],
                    "nothing was proved")  # fmt: skip


def seconds(text: str) -> int:
    """`3600` or `1h30m` in seconds. Raises ValueError."""
    if not _TTL.match(text):
        raise ValueError(f"{text!r} is not a time")
    return sum(int(n) * _UNIT[unit.lower()] for n, unit in re.findall(r"(\d+)([smhdwSMHDW]?)", text))


def absolute(name: str, origin: str) -> str:
    """The absolute lower-case name of `name` below `origin`."""
    name = name.lower()
    if name == "@":
        return origin
    if name.endswith("."):
        return name
    return f"{name}." if origin == "." else f"{name}.{origin}"


_MARKED = re.compile(r'[;()"]')
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|;.*|[()]|[^\s();"]+')


def _statements(source: str) -> Iterator[tuple[int, bool, list[str]]]:
    """(first line, whether it starts with a blank, words) of each entry; parentheses join lines, `;` begins a comment."""
    words: list[str] = []
    blank = False
    first = 0
    depth = 0
    for number, text in enumerate(source.splitlines(), 1):
        if depth == 0:
            blank = text[:1] in (" ", "\t")
            first, words = number, []
        for word in _TOKEN.findall(text) if _MARKED.search(text) else text.split():
            if word.startswith(";"):
                break
            if word == "(":
                depth += 1
            elif word == ")":
                depth -= 1
                if depth < 0:
                    raise _Bad(number, "a closing parenthesis that none opened")
            else:
                words.append(word)
        if depth == 0 and words:
            yield first, blank, words
            words = []
    if depth:
        raise _Bad(first, "a parenthesis that does not close")


def read(source: str, origin: str, file: str = "zone") -> Zonefile:
    """The records of a master file whose zone is `origin`. Raises Mistakes: JB2401."""
    try:
        return Zonefile(file, absolute(origin, "."), tuple(_entries(source, absolute(origin, "."))))
    except _Bad as bad:
        raise _refuse(file, bad) from None


def _entries(source: str, origin: str) -> Iterator[Entry]:
    default: int | None = None
    last_ttl: int | None = None
    owner = ""
    for line, blank, words in _statements(source):
        if words[0].startswith("$"):
            if words[0].upper() == "$ORIGIN" and len(words) == 2:
                origin = absolute(words[1], origin)
            elif words[0].upper() == "$TTL" and len(words) == 2 and _TTL.match(words[1]):
                default = seconds(words[1])
            else:
                raise _Bad(line, f"directive {' '.join(words)}")
            continue
        rest = words if blank else words[1:]
        if not blank:
            owner = absolute(words[0], origin)
        if not owner:
            raise _Bad(line, "a record without an owner")
        ttl: int | None = None
        while rest and rest[0].upper() not in TYPES:
            if rest[0].upper() == "IN":
                pass
            elif _TTL.match(rest[0]):
                ttl = seconds(rest[0])
            else:
                raise _Bad(line, f"record type {rest[0]!r}")
            rest = rest[1:]
        if len(rest) < 2:
            raise _Bad(line, "a record without data")
        kind, data = rest[0].upper(), rest[1:]
        # RFC 2308 4: an entry without a TTL takes $TTL; before it, the last stated one (RFC 1035 5.1).
        if ttl is None:
            ttl = default if default is not None else last_ttl
        if ttl is None and kind == "SOA" and len(data) == 7:
            ttl = seconds(data[6])
        if ttl is None:
            raise _Bad(line, "a record without a TTL")
        last_ttl = ttl
        yield Entry(owner, kind, _data(kind, data, origin, line), ttl, line)


def _data(kind: str, data: Sequence[str], origin: str, line: int) -> str:
    try:
        if kind in ("A", "AAAA"):
            (address,) = data
            if interval.family(address) != (4 if kind == "A" else 6):
                raise ValueError(f"{address} in a record of type {kind}")
            return interval.text(interval.number(address), 4 if kind == "A" else 6)
        if kind in ("NS", "PTR", "CNAME"):
            (name,) = data
            return absolute(name, origin)
        if kind == "SOA":
            server, mail, *times = data
            if len(times) != 5:
                raise ValueError("an SOA without its five numbers")
            return " ".join([absolute(server, origin), absolute(mail, origin), *(str(seconds(t)) for t in times)])
    except ValueError as error:
        raise _Bad(line, str(error)) from None
    return " ".join(data)


def pointer(address: str) -> str:
    """The name under which the reverse of an address lies (RFC 1035 3.5, RFC 3596 2.5)."""
    if interval.family(address) == 4:
        return ".".join(reversed(address.split("."))) + ".in-addr.arpa."
    digits = f"{interval.number(address):032x}"
    return ".".join(reversed(digits)) + ".ip6.arpa."


# named.conf -----------------------------------------------------------------------------------------------------------


class Statement(msgspec.Struct, frozen=True):
    """`words { body };` or `words;` with the line of its first word."""

    words: tuple[str, ...]
    line: int
    body: tuple[Statement, ...] | None = None

    def child(self, name: str) -> Statement | None:
        """The first statement in the body that begins with `name`."""
        return next((s for s in self.body or () if s.words and s.words[0] == name), None)

    def items(self, name: str) -> tuple[str, ...]:
        """The first words of the statements in the block called `name`: `forwarders { a; b; }` → (a, b)."""
        block = self.child(name)
        return tuple(s.words[0] for s in (block.body or ()) if s.words) if block else ()


class Key(msgspec.Struct, frozen=True, order=True):
    """A TSIG key (RFC 8945). `secret`: as the file has it, in a tree the reference."""

    name: str
    algorithm: str
    secret: str


Sender = tuple[str, Key | None]
"""Address of a server, and the key that what goes there is signed with."""
Allowed = str | Key
"""Who may: whoever has a key, or what a list of addresses says (`none`, `any`, a prefix, an ACL)."""


class NamedZone(msgspec.Struct, frozen=True):
    """A zone that a server serves, forwards, stubs or follows."""

    name: str
    type: str
    file: str
    forwarders: tuple[str, ...]
    forward: str
    source: str
    """File of the statement."""
    line: int
    primaries: tuple[Sender, ...] = ()
    """Whom a secondary takes it from."""
    transfer: tuple[Allowed, ...] = ()
    """Who may take it from here; by the options where the zone says nothing, and BIND lets anybody."""
    notified: tuple[Sender, ...] = ()
    """Who is told of a change, beside those that NS records name unless `explicit`."""
    notify: str = ""
    hears: tuple[Allowed, ...] = ()
    """From whom a secondary hears of a change, beside its primaries' own addresses."""


class Named(msgspec.Struct, frozen=True):
    """What the proof needs of a named.conf with the files it includes."""

    zones: tuple[NamedZone, ...]
    options: Statement | None
    source: str
    """File that holds the options."""
    statements: tuple[tuple[str, Statement], ...]
    """(file, statement), in order."""


def _named_tokens(source: str) -> Iterator[tuple[str, int]]:
    pattern = re.compile(r'"([^"\n]*)"|//[^\n]*|#[^\n]*|/\*.*?\*/|([{};])|([^\s{};"]+)|\n', re.DOTALL)
    line = 1
    for token in pattern.finditer(source):
        text = token.group(0)
        if text == "\n":
            line += 1
        elif text.startswith(("//", "#")):
            continue
        elif text.startswith("/*"):
            line += text.count("\n")
        elif token.group(2):
            yield token.group(2), line
        elif token.group(3):
            yield token.group(3), line
        else:
            yield token.group(1), line


def _statement_list(tokens: list[tuple[str, int]], at: int, nested: bool) -> tuple[list[Statement], int]:
    found: list[Statement] = []
    words: list[str] = []
    line = 0
    body: tuple[Statement, ...] | None = None
    while at < len(tokens):
        text, number = tokens[at]
        at += 1
        if text == "{":
            inner, at = _statement_list(tokens, at, True)
            body = tuple(inner)
        elif text == "}":
            if not nested or words or body is not None:
                raise _Bad(number, "a closing brace in the wrong place")
            return found, at
        elif text == ";":
            if words or body is not None:
                found.append(Statement(tuple(words), line or number, body))
            words, body, line = [], None, 0
        else:
            line = line or number
            words.append(text)
    if nested or words:
        raise _Bad(tokens[-1][1] if tokens else 1, "a statement that does not end")
    return found, at


def statements(source: str, file: str = "named.conf") -> tuple[Statement, ...]:
    """The statements of one file. Raises Mistakes: JB2401."""
    try:
        return tuple(_statement_list(list(_named_tokens(source)), 0, False)[0])
    except _Bad as bad:
        raise _refuse(file, bad) from None


def read_named(files: dict[str, str], root: str) -> Named:
    """The configuration that begins in `files[root]`; `files` maps paths on the device to text.

    Included files that are not in `files` (the distribution's own) are refused: what they say is not known.
    Raises Mistakes: JB2401.
    """
    found: list[tuple[str, Statement]] = []

    def collect(path: str) -> None:
        for statement in statements(files[path], path):
            if statement.words[0] == "include":
                name = statement.words[1]
                if name not in files:
                    raise _refuse(path, _Bad(statement.line, f"it includes {name}, which is not in the tree"))
                collect(name)
            else:
                found.append((path, statement))

    collect(root)
    zones: list[NamedZone] = []
    options, source = next(
        ((statement, path) for path, statement in found if statement.words[0] == "options"), (None, root)
    )
    scope = _scope([statement for _, statement in found], options)
    for path, statement in found:
        head = statement.words[0]
        if head == "zone":
            zones.append(_zone(path, statement, scope))
        elif head == "view":
            for inner in statement.body or ():
                if inner.words[0] == "zone":
                    zones.append(_zone(path, inner, scope))
    return Named(tuple(zones), options, source, tuple(found))


class _Scope(msgspec.Struct, frozen=True):
    """What zone statements refer to."""

    keys: dict[str, Key]
    lists: dict[str, Statement]
    """Named lists of servers."""
    options: Statement

    def key(self, name: str) -> Key:
        """The key of that name; one that is not defined equals none that is."""
        return self.keys.get(name, Key(name, "", ""))

    def servers(self, block: Statement | None, within: tuple[str, ...] = ()) -> Iterator[Sender]:
        """The servers of a list, those of the lists that it names included."""
        for each in (block.body or ()) if block else ():
            name = each.words[0]
            if name in self.lists and name not in within:
                yield from self.servers(self.lists[name], (*within, name))
            else:
                named = dict(zip(each.words[1::2], each.words[2::2], strict=False))
                yield name, self.key(named["key"]) if "key" in named else None

    def allowed(self, block: Statement | None) -> Iterator[Allowed]:
        """The members of an address match list."""
        for each in (block.body or ()) if block else ():
            yield self.key(each.words[1]) if each.words[0] == "key" and len(each.words) == 2 else " ".join(each.words)


def _scope(found: Sequence[Statement], options: Statement | None) -> _Scope:
    def said(statement: Statement, name: str) -> str:
        child = statement.child(name)
        return child.words[1] if child and len(child.words) > 1 else ""

    keys = {
        each.words[1]: Key(each.words[1], said(each, "algorithm"), said(each, "secret"))
        for each in found
        if each.words[0] == "key" and len(each.words) > 1
    }
    lists = {each.words[1]: each for each in found if each.words[0] in ("primaries", "masters") and len(each.words) > 1}
    return _Scope(keys, lists, options or Statement((), 0, ()))


def _zone(path: str, statement: Statement, scope: _Scope) -> NamedZone:
    def word(name: str, *, usual: bool = False) -> str:
        child = statement.child(name) or (scope.options.child(name) if usual else None)
        return child.words[1] if child and len(child.words) > 1 else ""

    def block(name: str) -> Statement | None:
        return statement.child(name) or scope.options.child(name)

    return NamedZone(
        name=absolute(statement.words[1], "."),
        type={"primary": "master", "secondary": "slave"}.get(word("type"), word("type")),
        file=word("file"),
        forwarders=statement.items("forwarders"),
        forward=word("forward"),
        source=path,
        line=statement.line,
        primaries=tuple(scope.servers(statement.child("masters") or statement.child("primaries"))),
        # BIND 9.18 Reference Manual, allow-transfer: by default to any host.
        transfer=tuple(scope.allowed(block("allow-transfer"))) if block("allow-transfer") else ("any",),
        notified=tuple(scope.servers(block("also-notify"))),
        notify=word("notify", usual=True) or "yes",
        hears=tuple(scope.allowed(block("allow-notify"))),
    )
