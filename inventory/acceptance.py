"""Commands for one device that are shown to lead where they should, or the reason why there are none.

Shown means: the simulated device, which knows nothing of how the commands were made, ends in the rendered configuration;
and with the commands for the way back it ends where it began.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ground.mistake import Mistake, Mistakes
from inventory.config import Config, Section
from inventory.console import Refusal
from inventory.dialect import Dialect
from inventory.diff import Difference, differences

SHOWN = 3


class Remedy(msgspec.Struct, frozen=True):
    """What to do on one device for one dialect."""

    device: str
    dialect: str
    differences: tuple[Difference, ...]
    commands: tuple[str, ...] = ()
    rollback: tuple[str, ...] = ()
    """What leads back."""
    kept: tuple[Difference, ...] = ()
    """What the device has and no rule knows: it stays."""
    last: tuple[tuple[str, str], ...] = ()
    """(command, reason): done last, since it touches the path to the device."""
    mistakes: tuple[Mistake, ...] = ()
    """Why there are no commands."""
    file: str = ""
    """The copy of what the device runs, from which this was made."""

    @property
    def right(self) -> bool:
        """Whether the device runs what was rendered, and nothing else."""
        return not self.differences and not self.mistakes


def remedy(dialect: Dialect, device: str, running: str, rendered: str, file: str) -> Remedy:
    """What brings `device` from the text it runs (which lies in `file`) to the rendered text."""
    try:
        dialect.require_whole(running, file)
        before, goal = dialect.read(running), dialect.read(rendered)
        found = tuple(differences(before, goal, dialect.known))
        if not found:
            return Remedy(device, dialect.name, (), file=file)
        plan = dialect.plan(before, goal)
    except Mistakes as mistakes:
        named = [
            msgspec.structs.replace(one, object=one.object or device, file=one.file or file) for one in mistakes.found
        ]
        return Remedy(device, dialect.name, (), mistakes=tuple(named), file=file)
    wrong = [
        Mistake(
            dialect.target, None, None, "JB2105", device, f"no rule of {dialect.name} knows `{_placed(one)}`",
            f"Teach inventory/dialects/{dialect.name} what the line does, or leave it out of the template.",
        )
        for one in plan.unknown
    ] + [
        Mistake(
            file, None, None, "JB2107", device, f"`{command}` is not done: {reason}",
            "Do this by hand, over another way to the device.",
        )
        for command, reason in plan.cut
    ]  # fmt: skip
    back: Sequence[str] = ()
    if not wrong:
        expected = _with(goal, before, plan.kept)
        why = _shown(dialect, before, plan.commands, expected)
        if not why:
            back = dialect.rollback(before, expected)
            why = (there := _shown(dialect, expected, back, before)) and f"on the way back {there}"
        if why:
            cure = f"Bring the device there by hand; then teach inventory/dialects/{dialect.name} what it does."
            wrong.append(
                Mistake(file, None, None, "JB2106", device, f"it cannot be shown that commands lead there: {why}", cure)
            )
    if wrong:
        return Remedy(device, dialect.name, found, kept=plan.kept, mistakes=tuple(wrong), file=file)
    return Remedy(device, dialect.name, found, plan.commands, tuple(back), plan.kept, plan.last, file=file)


def _shown(dialect: Dialect, before: Config, commands: Sequence[str], expected: Config) -> str:
    """Empty when the simulated device ends where it should; else what is wrong."""
    try:
        after = dialect.apply(before, commands)
    except Refusal as refusal:
        return f"the device would refuse {refusal}"
    if after.same(expected):
        return ""
    left = differences(after, expected, None)
    more = f", and {len(left) - SHOWN} more" if len(left) > SHOWN else ""
    return "it would differ in " + ", ".join(f"`{_placed(one)}`" for one in left[:SHOWN]) + more


def _placed(one: Difference) -> str:
    return " / ".join((*one.section, one.line))


def _with(goal: Config, before: Config, kept: Sequence[Difference]) -> Config:
    """The rendered configuration with the lines of the device that stay."""
    sections = dict(goal.sections)
    for one in kept:
        path = (*one.section, one.line)
        for inside, section in before.sections.items():
            if inside[: len(path)] == path:
                sections[inside] = section
        if path not in before.sections:
            old = before.sections[one.section]
            lines = sections[one.section].lines if one.section in sections else []
            if one.line not in lines:
                sections[one.section] = Section(old.kind, old.places, [*lines, one.line], old.sequence)
    return Config(sections)
