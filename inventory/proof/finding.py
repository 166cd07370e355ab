"""What the proof says: a finding with file and line, and a connection that runs against its data."""

from __future__ import annotations

import msgspec

Place = tuple[str, int]
"""(file, line)"""


class Finding(msgspec.Struct, frozen=True):
    """One difference between what the plan says and what the text does."""

    code: str
    file: str
    line: int
    subject: str
    """Device."""
    found: str
    cure: str
    source: str = ""
    """`site:zone` of the opener."""
    target: str = ""
    family: int = 0
    port: str = ""
    expected: str = ""
    """`allow` or `deny`, of a connection."""
    row: str = ""
    """Id of the flow row that decides."""
    place: str = ""
    """file:line of that row in the plan."""
    near: tuple[Place, ...] = ()
    """Other lines that take part in it."""

    def __str__(self) -> str:
        row = f" (row {self.row}{', ' + self.place if self.place else ''})" if self.row else ""
        return f"{self.file}:{self.line}  {self.code}  {self.subject}: {self.found}{row}\n    {self.cure}"


class Against(msgspec.Struct, frozen=True):
    """A connection that is opened against the direction of its data: seen in the rendered text, and named by a row."""

    row: str
    source: str
    """Name of the opening service."""
    target: str
    source_addresses: tuple[str, ...]
    target_addresses: tuple[str, ...]
    ports: tuple[str, ...]
    identity: str
    clause: str
    rendered: bool
    """Whether the rendered text lets it through at both ends."""
    places: tuple[Place, ...] = ()
