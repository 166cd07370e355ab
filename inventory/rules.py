"""How a dialect's lines hang together: which open a section, which replace each other, what takes them away, what they need.

A dialect says it as data, one `Rule` for each kind of line; nothing in here knows a dialect.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping

import msgspec


class Rule(msgspec.Struct, frozen=True):
    """One kind of line.

    `form` is the line with places: `{name}` and `<name>` stand for one word, `{name:a|b}` for one of some, `{name+}` and
    `<name+>` for the rest of the line; `[words]` may be missing. What stands in braces tells lines apart; what stands in angles
    is their value: of two lines that are equal up to it a section has one. `gives`, `of`, `uses`, `once` and `remove` name
    things by the same places, those of the sections around the line included.
    """

    form: str
    at: str = ""
    """Kind of section in which it stands; empty: outside of sections."""
    opens: str = ""
    """Kind of section that it opens."""
    remove: str = "no {line}"
    """What takes it away. Empty, of a section: it goes with its last line."""
    over: bool = True
    """A new value is written over the old one. False: the old line has to go first."""
    gives: tuple[str, ...] = ()
    """Things that are there by this line."""
    of: str = ""
    """The thing it belongs to: comes after it, goes with it."""
    uses: tuple[str, ...] = ()
    """Things that have to be there, whole, before it, and may go only after it."""
    once: str = ""
    """What the device has only once: a second line with it is passed over in silence."""
    default: str = ""
    """The line that is true without being shown: it is written to take another value away."""
    sweeps: bool = False
    """As it comes and as it goes, the device loses what belongs to it: what stays is written again."""


class Guard(msgspec.Struct, frozen=True):
    """Commands that touch the path to the device itself. `refused` cuts it; what does not is done last."""

    section: str
    """Regular expression for the sections around the command, joined by ` / `; empty: outside of sections."""
    command: str
    """Regular expression for the command."""
    reason: str
    refused: bool = False


class Rules(msgspec.Struct, frozen=True):
    """The lines of a dialect."""

    name: str
    lines: tuple[Rule, ...]
    leaves: tuple[tuple[str, str], ...]
    """Kind of section → what leaves it; the kind `` is for all others."""
    first: str
    """Regular expression for a line that a whole running configuration has near its top, so that no other is taken for it."""
    last: str
    """The line with which a whole one ends."""
    noise: tuple[str, ...] = ()
    """How lines begin that are no configuration."""
    guards: tuple[Guard, ...] = ()


class Known(msgspec.Struct, frozen=True, gc=False):
    """A line as its rule reads it."""

    rule: Rule
    slot: tuple[str, ...]
    """Lines of one section with the same slot replace each other."""
    places: dict[str, str]
    """Its own words and those of the sections around it."""
    line: str

    def named(self, template: str) -> str:
        """`template` with its places filled in."""
        return template.format_map(self.places)

    @property
    def gives(self) -> tuple[str, ...]:
        return tuple(map(self.named, self.rule.gives))

    @property
    def uses(self) -> tuple[str, ...]:
        # A name that the line may leave out is no use of anything.
        return tuple(thing for thing in map(self.named, self.rule.uses) if not thing.endswith(" "))

    @property
    def of(self) -> str:
        return self.named(self.rule.of)

    @property
    def once(self) -> str:
        return self.named(self.rule.once)

    @property
    def removal(self) -> str:
        """The command that takes it away; empty: there is none."""
        return self.rule.default or self.named(self.rule.remove)


class _Form(msgspec.Struct, frozen=True):
    rule: Rule
    pattern: re.Pattern[str]
    identity: tuple[str, ...]


class Grammar(msgspec.Struct, frozen=True):
    """The rules of a dialect, ready to read lines."""

    rules: Rules
    forms: dict[tuple[str, str], tuple[_Form, ...]]
    """(kind of section, first word; empty where that is a place) → what the line may be."""
    openers: dict[str, tuple[str, ...]]
    """Kind of section → the first words of lines that may open one inside it."""
    defaults: frozenset[str]
    ends: frozenset[str]
    vanishing: frozenset[str]
    """Kinds of sections that go with their last line."""
    owners: frozenset[str]
    """Templates of the things that lines belong to."""

    def known(self, kind: str, line: str, places: Mapping[str, str]) -> Known | None:
        """What `line` is in a section of `kind`; None: no rule knows it."""
        word = line.partition(" ")[0]
        for form in (*self.forms.get((kind, word), ()), *self.forms.get((kind, ""), ())):
            if found := form.pattern.fullmatch(line):
                own = found.groupdict(default="")
                slot = (form.rule.form, *(own[name] for name in form.identity))
                return Known(form.rule, slot, {**places, **own, "line": line}, line)
        return None

    def leave(self, kind: str) -> str:
        """What leaves a section of `kind`."""
        words = dict(self.rules.leaves)
        return words.get(kind, words[""])


_PLACE = re.compile(r"([{<])(\w+)(?::([^}>]+))?(\+?)[}>]")


@functools.cache
def grammar(rules: Rules) -> Grammar:
    """The rules of a dialect, made ready once."""
    forms: dict[tuple[str, str], list[_Form]] = {}
    openers: dict[str, set[str]] = {}
    for rule in rules.lines:
        form = _form(rule)
        word = rule.form.partition(" ")[0]
        forms.setdefault((rule.at, "" if word[0] in "{<" else word), []).append(form)
        if rule.opens:
            openers.setdefault(rule.at, set()).add(word)
    return Grammar(
        rules,
        {key: tuple(listed) for key, listed in forms.items()},
        {kind: tuple(sorted(words)) for kind, words in openers.items()},
        frozenset(rule.default for rule in rules.lines if rule.default),
        frozenset({*dict(rules.leaves).values(), rules.last}),
        frozenset(rule.opens for rule in rules.lines if rule.opens and not rule.remove),
        frozenset(rule.of for rule in rules.lines if rule.of),
    )


def _form(rule: Rule) -> _Form:
    pattern = ""
    identity = []
    for word in rule.form.split(" "):
        assert word.count("{") == word.count("}"), f"a place with a space in it: {rule.form}"
        opened, closed = word.startswith("["), word.endswith("]")
        word = word.strip("[]")
        place = _PLACE.fullmatch(word)
        if place is None:
            inner = re.escape(word)
        else:
            bracket, name, choice, rest = place.groups()
            inner = f"(?P<{name}>{choice or ('.+' if rest else '[^ ]+')})"
            if bracket == "{":
                identity.append(name)
        pattern += ("(?:" if opened else "") + " " + inner + (")?" if closed else "")
    return _Form(rule, re.compile(pattern.removeprefix(" ")), tuple(identity))
