"""Effects that the command lines of FRR, IOS-XE, VRP and Comware have in common: values, switches, and what takes them away."""

from __future__ import annotations

from inventory.console import Effect


def takes(
    mode: str,
    says: str,
    words: str,
    *,
    spares: str = "$^",
    below: bool = False,
    needs: tuple[str, ...] = (),
    idle: str = "",
) -> Effect:
    """What takes away the lines that begin with `words`."""
    return Effect(mode, says, writes="", erases=(words,), spares=spares, below=below, needs=needs, idle=idle)


def sets(
    mode: str, words: str, value: str = ".+", *, undo: str = "no", needs: tuple[str, ...] = (), spares: str = "$^"
) -> tuple[Effect, Effect]:
    """A setting with one value: a new one replaces the old one; `undo` asks for no value, and takes whichever it has."""
    return (
        Effect(mode, f"{words} ({value})", erases=(as_said(words),), needs=needs, spares=spares),
        takes(mode, f"{undo} {words}( .*)?", as_said(words), spares=spares, needs=needs),
    )


def switch(mode: str, words: str, *, undo: str = "no", needs: tuple[str, ...] = ()) -> tuple[Effect, Effect]:
    """Something that is on or off."""
    return Effect(mode, words, needs=needs), takes(mode, f"{undo} {words}", as_said(words), needs=needs)


def names(mode: str, words: str, needed: str, value: str = r"\S+", *, undo: str = "no") -> tuple[Effect, Effect]:
    """A setting that names what has to be there, `needed`; `undo` is said without the name."""
    return (
        Effect(mode, f"{words} ({value})", erases=(words,), needs=(needed,)),
        takes(mode, f"{undo} {words}", words),
    )


def as_said(words: str) -> str:
    """The words of a pattern with its groups by number."""
    said, number = "", 0
    for part in words.split(" "):
        number += part.startswith("(")
        said += " " + (f"\\{number}" if part.startswith("(") else part)
    return said[1:]
