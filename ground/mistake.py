"""A mistake: what is wrong, where, and the way out. Every room reports all of its mistakes at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

Severity = Literal["error", "warning"]


class Mistake(msgspec.Struct, frozen=True, order=True):
    """One mistake. `code` is stable (JBnnnn) and has a section in docs/errors.md."""

    file: str
    line: int | None
    column: int | None
    code: str
    object: str
    what: str
    cure: str
    severity: Severity = "error"

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None and part != "")
        head = "  ".join(part for part in (place, self.code) if part)
        subject = f"{self.object}: " if self.object else ""
        return f"{head}  {subject}{self.what}\n    {self.cure}"


class Mistakes(Exception):
    """Raised at the edge of a function that could not go on; carries every mistake found, sorted by place."""

    def __init__(self, found: Iterable[Mistake], consequence: str = "nothing was written") -> None:
        self.found: list[Mistake] = sorted(found, key=_place)
        self.consequence = consequence
        super().__init__(text(self.found, consequence))


def _place(mistake: Mistake) -> tuple[str, int, int, str, str]:
    file, line, column = mistake.file, mistake.line or 0, mistake.column or 0
    sheet, mark, cell = file.rpartition("!")
    letters = cell.rstrip("0123456789")
    if mark and letters != cell:  # by row, as a person goes down the sheet
        file, line = sheet, int(cell[len(letters) :])
        for letter in letters:
            column = column * 26 + ord(letter) - 64
    return (file, line, column, mistake.code, mistake.object)


def one(code: str, what: str, cure: str, *, subject: str = "", file: str = "", line: int | None = None) -> Mistakes:
    """The exception for a single mistake."""
    return Mistakes([Mistake(file=file, line=line, column=None, code=code, object=subject, what=what, cure=cure)])


def text(found: Sequence[Mistake], consequence: str = "nothing was written") -> str:
    """All mistakes as a person reads them, with the count of errors, warnings and files last."""
    errors = sum(mistake.severity == "error" for mistake in found)
    warnings = len(found) - errors
    # A cell of a workbook is named `plan.xlsx!sheet!C17`.
    files = len({mistake.file.partition("!")[0] for mistake in found if mistake.file})
    counts = f"{errors} error{'s' * (errors != 1)}"
    if warnings:
        counts += f", {warnings} warning{'s' * (warnings != 1)}"
    if files:
        counts += f" in {files} file{'s' * (files != 1)}"
    if errors:
        counts += f"; {consequence}"
    return "\n".join([*map(str, found), counts + "."])
