"""A device's terminal, simulated: what each command does to the configuration that it runs.

What a command does is data of the dialect, written from what the device does. Nothing here reads the rules from which
commands are made: two accounts of one device have to agree before a command goes out.
"""

from __future__ import annotations

import bisect
import functools
import re
from collections.abc import Callable, Iterable, Sequence

import msgspec

from inventory.config import Config, Path, Section


class Effect(msgspec.Struct, frozen=True):
    """What one kind of command does in one mode.

    `says` is a regular expression for the whole command; the other texts are filled in with its groups (`\\\\1`).
    """

    mode: str
    says: str
    writes: str = r"\0"
    """The line that stands afterwards; empty: none."""
    erases: tuple[str, ...] = ()
    """Every line of the section that begins with these words goes first."""
    spares: str = "$^"
    """Regular expression for lines that stay although they begin so."""
    below: bool = False
    """Erases in the sections inside this one as well."""
    needs: tuple[str, ...] = ()
    """A line here or around has to begin with one of these words, or the device refuses."""
    passed: tuple[str, str] = ("", "")
    """Where a line begins with the first words and ends with the others, the device passes the command over in silence."""
    enters: str = ""
    """The mode that it enters; the command is the opening line of its section."""
    instead: str = ""
    """Regular expression for opening lines beside it whose section becomes this one."""
    alone: str = ""
    """Regular expression for opening lines beside it: another one is there, and the device refuses."""
    drops: str = ""
    """Regular expression for opening lines: these sections go with all that is in them."""


class Behaviour(msgspec.Struct, frozen=True):
    """How a dialect's terminal takes commands."""

    effects: tuple[Effect, ...]
    leaves: frozenset[str]
    """Commands that leave a mode."""
    vanishing: frozenset[str]
    """Modes whose section is not shown without a line."""


class Refusal(Exception):
    """The device would not take a command."""

    def __init__(self, command: str, why: str) -> None:
        super().__init__(f"`{command}`: {why}")


class _Ready(msgspec.Struct, frozen=True):
    effect: Effect
    pattern: re.Pattern[str]
    spares: re.Pattern[str]


class _Terminal(msgspec.Struct):
    """Sections by path, their lines sorted so that those with the same first words stand together."""

    sections: dict[Path, list[str]]
    modes: dict[Path, str]
    at: Path = ()


def apply(config: Config, commands: Iterable[str], behaviour: Behaviour) -> Config:
    """What a device that runs `config` runs after `commands`. Raises `Refusal`."""
    terminal = _Terminal({path: sorted(section.lines) for path, section in config.sections.items()}, {(): ""})
    effects = _effects(behaviour)
    for path in sorted(config.sections):
        if path:
            found = _find(effects, terminal.modes.get(path[:-1], "?"), path[-1])
            terminal.modes[path] = found[0].effect.enters if found else "?"
    for command in commands:
        bare = command.strip()
        if bare in behaviour.leaves:
            if not terminal.at:
                raise Refusal(bare, "there is nothing to leave")
            terminal.at = terminal.at[:-1]
            continue
        found = _find(effects, terminal.modes[terminal.at], bare)
        if found is None:
            raise Refusal(bare, f"unknown in {' / '.join(terminal.at) or 'the outermost mode'}")
        _take(terminal, bare, *found)
    for path in sorted(terminal.sections, key=len, reverse=True):
        if terminal.modes[path] in behaviour.vanishing and not terminal.sections[path] and not _inside(terminal, path):
            del terminal.sections[path]
    return Config({path: Section(terminal.modes[path], {}, lines) for path, lines in terminal.sections.items()})


@functools.cache
def _effects(behaviour: Behaviour) -> dict[tuple[str, str], list[_Ready]]:
    ready: dict[tuple[str, str], list[_Ready]] = {}
    for effect in behaviour.effects:
        one = _Ready(effect, re.compile(effect.says), re.compile(effect.spares))
        ready.setdefault((effect.mode, _word(effect.says)), []).append(one)
    return ready


def _word(text: str) -> str:
    """The word by which commands are looked up: the first, or the one after `no`."""
    words = text.split(" ", 2)
    return words[1] if words[0] == "no" and len(words) > 1 else words[0]


def _find(effects: dict[tuple[str, str], list[_Ready]], mode: str, command: str) -> tuple[_Ready, re.Match[str]] | None:
    for one in effects.get((mode, _word(command)), ()):
        if found := one.pattern.fullmatch(command):
            return one, found
    return None


def _take(terminal: _Terminal, command: str, ready: _Ready, found: re.Match[str]) -> None:
    effect = ready.effect
    lines = terminal.sections[terminal.at]
    if effect.needs and not _there(terminal, [_filled(words, found) for words in effect.needs]):
        raise Refusal(command, f"there is no `{_filled(effect.needs[0], found)}` yet")
    if effect.passed[0]:
        begins, ends = (_filled(words, found) for words in effect.passed)
        if any(line.endswith(ends) and line != command for line in _beginning(lines, begins)):
            return
    for words in effect.erases:
        _erase(lines, _filled(words, found), ready.spares)
        if effect.below:
            for path in _inside(terminal, terminal.at):
                _erase(terminal.sections[path], _filled(words, found), ready.spares)
    if effect.drops:
        _drop(terminal, re.compile(_filled(effect.drops, found, re.escape)))
    if effect.enters:
        _enter(terminal, command, effect, found)
    elif written := _filled(effect.writes, found):
        place = bisect.bisect_left(lines, written)
        if place == len(lines) or lines[place] != written:
            lines.insert(place, written)


def _filled(text: str, found: re.Match[str], spelled: Callable[[str], str] = str) -> str:
    """`text` with the groups of what was said in it."""
    if "\\" not in text:
        return text
    return re.sub(r"\\(\d)", lambda place: spelled(found[int(place[1])] or ""), text)


def _there(terminal: _Terminal, wanted: Sequence[str]) -> bool:
    """Whether a line of this section, or of one around it, begins with one of `wanted`."""
    return any(
        next(iter(_beginning(terminal.sections[terminal.at[:length]], words)), "")
        for length in range(len(terminal.at), -1, -1)
        for words in wanted
    )


def _enter(terminal: _Terminal, command: str, effect: Effect, found: re.Match[str]) -> None:
    path = (*terminal.at, command)
    if path not in terminal.sections:
        old = None
        if effect.alone or effect.instead:
            pattern = re.compile(_filled(effect.alone or effect.instead, found, re.escape))
            depth = len(path)
            old = next(
                (one for one in terminal.sections if len(one) == depth and one[:-1] == terminal.at and pattern.fullmatch(one[-1])),
                None,
            )  # fmt: skip
        if old and effect.alone:
            raise Refusal(command, f"`{old[-1]}` is there already")
        terminal.sections[path] = terminal.sections.pop(old) if old else []
        terminal.modes[path] = effect.enters
    terminal.at = path


def _drop(terminal: _Terminal, pattern: re.Pattern[str]) -> None:
    depth = len(terminal.at)
    gone = [
        path
        for path in terminal.sections
        if len(path) > depth and path[:depth] == terminal.at and pattern.fullmatch(path[depth])
    ]
    for path in gone:
        del terminal.sections[path]


def _inside(terminal: _Terminal, at: Path) -> list[Path]:
    return [path for path in terminal.sections if len(path) > len(at) and path[: len(at)] == at]


def _beginning(lines: Sequence[str], words: str, *, whole: bool = True) -> Iterable[str]:
    """The lines that begin with `words`; whole words unless said otherwise."""
    for number in range(bisect.bisect_left(lines, words), len(lines)):
        line = lines[number]
        if not line.startswith(words):
            return
        if not whole or len(line) == len(words) or line[len(words)] == " ":
            yield line


def _erase(lines: list[str], words: str, spares: re.Pattern[str]) -> None:
    gone = {line for line in _beginning(lines, words) if not spares.search(line)}
    if gone:
        lines[:] = [line for line in lines if line not in gone]
