"""A device's terminal, simulated: what each command does to the configuration that it runs.

What a command does is data of the dialect, written from what the device does. Nothing here reads the rules from which
commands are made: two accounts of one device have to agree before a command goes out.
"""

from __future__ import annotations

import bisect
import functools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

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
    idle: str = ""
    """Regular expression for lines anywhere: where one of them is, the thing is in use, and the device refuses."""
    enters: str = ""
    """The mode that it enters; the command is the opening line of its section."""
    instead: str = ""
    """Regular expression for opening lines beside it whose section becomes this one, with all that is in it."""
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
    """What the device runs. Sections are copied when they are touched first, their lines sorted: those with the same
    first words then stand together."""

    effects: dict[tuple[str, str], list[_Ready]]
    running: dict[Path, Section]
    """As it was given."""
    lines: dict[Path, list[str]]
    names: dict[Path, list[str]]
    """The lines that open sections, by the section around them, sorted."""
    modes: dict[Path, str]
    at: Path = ()


def apply(config: Config, commands: Iterable[str], behaviour: Behaviour) -> Config:
    """What a device that runs `config` runs after `commands`. Raises `Refusal`."""
    names: dict[Path, list[str]] = {path: [] for path in config.sections}
    for path in config.sections:
        if path:
            names[path[:-1]].append(path[-1])
    for listed in names.values():
        listed.sort()
    terminal = _Terminal(_effects(behaviour), dict(config.sections), {}, names, {(): ""})
    for command in commands:
        bare = command.strip()
        if bare in behaviour.leaves:
            if not terminal.at:
                raise Refusal(bare, "there is nothing to leave")
            terminal.at = terminal.at[:-1]
            continue
        found = _find(terminal.effects, _mode(terminal, terminal.at), bare)
        if found is None:
            raise Refusal(bare, f"unknown in {' / '.join(terminal.at) or 'the outermost mode'}")
        _take(terminal, bare, *found)
    for path in sorted(terminal.names, key=len, reverse=True):
        bare_ = not (terminal.lines[path] if path in terminal.lines else terminal.running[path].lines)
        if bare_ and not terminal.names[path] and _mode(terminal, path) in behaviour.vanishing:
            _forget(terminal, path)
    return Config({path: _section(terminal, path) for path in terminal.names})


def _mode(terminal: _Terminal, path: Path) -> str:
    """The mode of a section, as its opening line enters it."""
    if path not in terminal.modes:
        found = _find(terminal.effects, _mode(terminal, path[:-1]), path[-1])
        terminal.modes[path] = found[0].effect.enters if found else "?"
    return terminal.modes[path]


def _section(terminal: _Terminal, path: Path) -> Section:
    if path not in terminal.lines:
        return terminal.running[path]
    return Section(_mode(terminal, path), {}, terminal.lines[path])


def _touched(terminal: _Terminal, path: Path) -> list[str]:
    """The lines of a section, sorted, to look at and to change."""
    if path not in terminal.lines:
        terminal.lines[path] = sorted(terminal.running[path].lines)
    return terminal.lines[path]


def _forget(terminal: _Terminal, path: Path) -> None:
    """Take a section away, with all that is in it."""
    for name in list(terminal.names[path]):
        _forget(terminal, (*path, name))
    terminal.names[path[:-1]].remove(path[-1])
    del terminal.names[path]
    terminal.lines.pop(path, None)
    terminal.running.pop(path, None)


def _copy(terminal: _Terminal, old: Path, new: Path) -> None:
    """All that is in a section to another one."""
    terminal.lines[new], terminal.names[new] = list(_touched(terminal, old)), list(terminal.names[old])
    for name in terminal.names[old]:
        _copy(terminal, (*old, name), (*new, name))


@functools.cache
def _effects(behaviour: Behaviour) -> dict[tuple[str, str], list[_Ready]]:
    ready: dict[tuple[str, str], list[_Ready]] = {}
    for effect in behaviour.effects:
        one = _Ready(effect, re.compile(effect.says), re.compile(effect.spares))
        ready.setdefault((effect.mode, _word(effect.says)), []).append(one)
    return ready


def _word(text: str) -> str:
    """The word by which commands are looked up: the first, or the one after `no` or `undo`; empty where it is a place."""
    words = text.split(" ", 2)
    word = words[1] if words[0] in ("no", "undo") and len(words) > 1 else words[0]
    return word.partition("(")[0]


def _find(effects: dict[tuple[str, str], list[_Ready]], mode: str, command: str) -> tuple[_Ready, re.Match[str]] | None:
    for one in (*effects.get((mode, _word(command)), ()), *effects.get((mode, ""), ())):
        if found := one.pattern.fullmatch(command):
            return one, found
    return None


def _take(terminal: _Terminal, command: str, ready: _Ready, found: re.Match[str]) -> None:
    effect = ready.effect
    lines = _touched(terminal, terminal.at)
    if effect.needs and not _there(terminal, [_filled(words, found) for words in effect.needs]):
        raise Refusal(command, f"there is no `{_filled(effect.needs[0], found)}` yet")
    gone = _beside(terminal, effect.drops, found) if effect.drops else []
    if effect.idle and (user := _user(terminal, re.compile(_filled(effect.idle, found, re.escape)), gone)):
        raise Refusal(command, f"`{user}` uses it")
    if effect.passed[0]:
        begins, ends = (_filled(words, found) for words in effect.passed)
        if any(line.endswith(ends) and line != command for line in _beginning(lines, begins)):
            return
    for words in effect.erases:
        _erase(lines, _filled(words, found), ready.spares)
        if effect.below:
            for name in terminal.names[terminal.at]:
                _erase(_touched(terminal, (*terminal.at, name)), _filled(words, found), ready.spares)
    for name in gone:
        _forget(terminal, (*terminal.at, name))
    if effect.enters:
        _enter(terminal, command, effect, found)
    elif written := _filled(effect.writes, found):
        place = bisect.bisect_left(lines, written)
        if place == len(lines) or lines[place] != written:
            lines.insert(place, written)


def _user(terminal: _Terminal, pattern: re.Pattern[str], gone: Sequence[str]) -> str:
    """The first line anywhere that fits, but for the opening lines of what goes; empty: there is none."""
    for path in terminal.names:
        names = (name for name in terminal.names[path] if path != terminal.at or name not in gone)
        found = next((line for line in (*names, *_touched(terminal, path)) if pattern.fullmatch(line)), "")
        if found:
            return found
    return ""


def _beside(terminal: _Terminal, pattern: str, found: re.Match[str]) -> list[str]:
    """The opening lines in this section that fit a pattern."""
    plain = _filled(re.split(r"[(.\[]|\\[a-z]", pattern)[0], found).rstrip()
    names = list(_beginning(terminal.names[terminal.at], plain))
    fits = re.compile(_filled(pattern, found, re.escape)) if names else None
    return [name for name in names if fits and fits.fullmatch(name)]


def _filled(text: str, found: re.Match[str], spelled: Callable[[str], str] = str) -> str:
    """`text` with the groups of what was said in it."""
    if "\\" not in text:
        return text
    return re.sub(r"\\(\d)", lambda place: spelled(found[int(place[1])] or ""), text)


def _there(terminal: _Terminal, wanted: Sequence[str]) -> bool:
    """Whether a line of this section, or of one around it, begins with one of `wanted`; lines that open sections count."""
    return any(
        next(iter(_beginning(_touched(terminal, terminal.at[:length]), words)), "")
        or next(iter(_beginning(terminal.names[terminal.at[:length]], words)), "")
        for length in range(len(terminal.at), -1, -1)
        for words in wanted
    )


def _enter(terminal: _Terminal, command: str, effect: Effect, found: re.Match[str]) -> None:
    path = (*terminal.at, command)
    if path not in terminal.names:
        pattern = effect.alone or effect.instead
        others = _beside(terminal, pattern, found) if pattern else []
        if others and effect.alone:
            raise Refusal(command, f"`{others[0]}` is there already")
        terminal.lines[path], terminal.names[path] = [], []
        if others:
            old = (*terminal.at, others[0])
            _copy(terminal, old, path)
            _forget(terminal, old)
        terminal.modes[path] = effect.enters
        bisect.insort(terminal.names[terminal.at], command)
    terminal.at = path


def _beginning(lines: Sequence[str], words: str) -> Iterator[str]:
    """The lines that begin with `words`, whole words."""
    for number in range(bisect.bisect_left(lines, words), len(lines)):
        line = lines[number]
        if not line.startswith(words):
            return
        if len(line) == len(words) or line[len(words)] == " ":
            yield line


def _erase(lines: list[str], words: str, spares: re.Pattern[str]) -> None:
    first = last = bisect.bisect_left(lines, words)
    while last < len(lines) and lines[last].startswith(words):
        last += 1
    gone = {line for line in _beginning(lines, words) if not spares.search(line)}
    lines[first:last] = [line for line in lines[first:last] if line not in gone]
