"""What the rest of the house needs of a dialect whose running configuration can be fetched and put right."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from ground.terminal import Terminal
from inventory import config, console, remedy
from inventory.config import Config
from inventory.console import Behaviour
from inventory.remedy import Plan
from inventory.rules import Grammar, Rules, grammar


class Dialect(msgspec.Struct, frozen=True):
    """One dialect. `read`, `plan` and `apply` are functions of values."""

    name: str
    target: str
    """The file of the tree that holds the rendered configuration; devices without it have nothing of this dialect."""
    require_whole: Callable[[str, str], None]
    """Text of a device, file → nothing; raises Mistakes JB2100–JB2103."""
    read: Callable[[str], Config]
    """Text of a device, or a rendered one → configuration; raises Mistakes JB2104."""
    plan: Callable[[Config, Config], Plan]
    """Running, rendered → commands."""
    apply: Callable[[Config, Sequence[str]], Config]
    """Running, commands → what runs then, as the device does it; raises `inventory.console.Refusal`."""
    rollback: Callable[[Config, Config], Sequence[str]]
    """Running, what runs after `plan` → the commands that lead back."""
    known: Grammar | None = None
    """The rules of its lines, where it has commands line by line."""
    show: str = ""
    """The program that prints the running configuration."""
    send: str = ""
    """The program that takes a file with commands, whose name is put behind it."""
    refused: str = "$^"
    """Regular expression for what it says of a command that the device would not take; its exit code counts as well."""
    terminal: Terminal | None = None
    """Where the device runs no programs: its terminal shows what runs and takes the commands."""


def by_line(
    name: str, target: str, rules: Rules, behaviour: Behaviour, read: Callable[[str], Config], terminal: Terminal
) -> Dialect:
    """The dialect of a device that takes commands at its terminal, from its rules and from what it does."""
    known = grammar(rules)

    def plan(running: Config, rendered: Config) -> Plan:
        return remedy.plan(running, rendered, known)

    return Dialect(
        name=name,
        target=target,
        require_whole=lambda text, file: config.require_whole(text, rules, file),
        read=read,
        plan=plan,
        apply=lambda running, commands: console.apply(running, commands, behaviour),
        rollback=lambda before, after: plan(after, before).commands,
        known=known,
        terminal=terminal,
    )
