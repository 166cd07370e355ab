"""What an adoption proposes: entries for the lists of plan.yml, with blanks that only people can fill in."""

from __future__ import annotations

from typing import Literal

import msgspec

from ground.mistake import Mistake
from inventory.diff import Difference

Key = Literal["exceptions", "without", "changes"]
"""The list of plan.yml that an entry belongs to."""

BLANK = ""
"""What stands where a person has to write; every key that has it asks for at least one character."""


class Proposal(msgspec.Struct, frozen=True):
    """One entry for plan.yml."""

    key: Key
    entry: dict[str, str | list[str]]
    """Its keys in the order in which they are written."""
    lines: tuple[str, ...]
    """What was found on the device, line by line."""
    wider: tuple[str, ...] = ()
    """What the entry does beyond those lines."""


class Adoption(msgspec.Struct, frozen=True):
    """What one device's running configuration asks of the plan."""

    device: str
    file: str
    """The copy it was made from."""
    proposals: tuple[Proposal, ...] = ()
    refused: tuple[Mistake, ...] = ()
    """What a prohibition forbids (JB2430), and what the plan has no words for (JB2431, warnings)."""


def unsaid(file: str, device: str, difference: Difference, why: str) -> Mistake:
    """The plan cannot say what this line does."""
    place = " / ".join((*difference.section, difference.line))
    kind = "was added" if difference.kind == "extra" else "was taken away"
    cure = "Have `jinbao config remediate` undo it, or change what the plan can say so that the line follows from it."
    what = f"`{place}` {kind}, and the plan cannot say this: {why}"
    return Mistake(file, None, None, "JB2431", device, what, cure, "warning")
