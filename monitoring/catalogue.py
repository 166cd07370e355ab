"""The catalogue of milestones (`milestones.yml`) and the attestations of a plan, as values."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from functools import cache
from importlib.resources import files as resources
from pathlib import Path
from typing import Any, Literal

import msgspec

from ground import files
from ground.mistake import Mistake, Mistakes
from ip_plan import source

Level = Literal["ministry", "province", "city"]
LEVELS: tuple[Level, ...] = ("ministry", "province", "city")
DecidedBy = Literal["machine", "machine-and-attestation", "attestation", "sum"]


class Title(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The same words twice."""

    zh: str
    en: str


class Want(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Records that have to pass: which check, of what (see the top of milestones.yml), how many, how old at most."""

    check: str
    of: Literal["zones", "inside", "separation", "line", "lines-below", "offices", "levels-below", "region"]
    zones: tuple[str, ...] = ()
    need: str = "all"
    max_age_hours: float = 24


class Sum(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A milestone that counts others."""

    of: tuple[str, ...]
    over: Literal["self", "cities", "provinces", "all-cities"]
    need: str
    group: str = ""


class Milestone(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row of the catalogue: one line for each region of its levels."""

    id: str
    clause: str
    title: Title
    level: tuple[Level, ...]
    decided_by: DecidedBy
    due: str = ""
    """As the source says it: shown, never used to call anything late."""
    corps: bool = False
    """Whether the Corps is a unit of it: S2 addresses 31 units, S3 and S4 the Corps too."""
    probe: tuple[Want, ...] = ()
    data: tuple[Want, ...] = ()
    sum: Sum | None = None
    attest: Title | None = None

    @property
    def decidable(self) -> bool:
        """Whether anything but a signature can say something about it yet."""
        return bool(self.probe or self.data or self.sum)


class Attestation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a named office states about one milestone of one region, with the document that says so."""

    milestone: str
    region: str
    statement: str
    office: str
    document: str
    """Path of the document, beside the attestation."""
    sha256: str
    date: date
    target: str = "production"
    """An office states what is so in the world; a rehearsal is only ever attested as a rehearsal."""


@cache
def shipped() -> tuple[Milestone, ...]:
    """The catalogue of the source documents."""
    data = (resources("monitoring") / "milestones.yml").read_bytes()
    return catalogue(data, "monitoring/milestones.yml")


def catalogue(data: bytes, file: str) -> tuple[Milestone, ...]:
    """A catalogue from the bytes of its file, sums after what they count. Raises Mistakes (JB1001–1005, JB6231–6233)."""
    document, mistakes = source.document(data, file)
    if document is None or mistakes:
        raise Mistakes(mistakes, "no milestone was judged")
    found: list[Milestone] = []
    rows = document.value if isinstance(document.value, list) else []
    if not rows:
        mistakes.append(
            _wrong(document, (), "JB6231", "", "this is not a list of milestones", "Start each with `- id:`.")
        )
    for index, row in enumerate(rows):
        name = str(row.get("id", index)) if isinstance(row, dict) else str(index)
        try:
            milestone = msgspec.convert(row, Milestone)
        except msgspec.ValidationError as error:
            cure = "Compare it with its neighbours; the keys are explained at the top of the file."
            mistakes.append(_wrong(document, (index,), "JB6231", name, str(error), cure))
            continue
        known = {one.id: one for one in found}
        if milestone.id in known:
            what, cure = "this id stands twice", "Give the second one an id of its own."
            mistakes.append(_wrong(document, (index, "id"), "JB6232", name, what, cure))
        for part in milestone.sum.of if milestone.sum else ():
            if part not in known:
                what, cure = f"counts {part}, which does not stand above it", "Move it below what it counts."
                mistakes.append(_wrong(document, (index, "sum"), "JB6233", name, what, cure))
        if ("attestation" in milestone.decided_by) != (milestone.attest is not None):
            what = f"is decided by {milestone.decided_by}, but `attest` is {'missing' if milestone.attest is None else 'given'}"
            cure = "Say under `attest:` what has to be signed, or decide it by `machine` or `sum`."
            mistakes.append(_wrong(document, (index,), "JB6231", name, what, cure))
        found.append(milestone)
    if mistakes:
        raise Mistakes(mistakes, "no milestone was judged")
    return tuple(found)


def attestations(
    folder: Path, milestones: Sequence[Milestone], regions: Collection[str], today: date
) -> tuple[Attestation, ...]:
    """What offices have attested: every `attestations/*.yml` of the plan folder, none when there is no such folder.

    Raises Mistakes with every mistake of every file: JB1001–1005 (not YAML), JB6234 (a field), JB6235 (milestone or region that does
    not exist or needs no attestation), JB6236 (the document is missing or another one), JB6237 (a date to come).
    """
    known = {milestone.id: milestone for milestone in milestones}
    found: list[Attestation] = []
    mistakes: list[Mistake] = []
    for path in sorted((folder / "attestations").glob("*.yml")):
        document, wrong = source.document(path.read_bytes(), str(path))
        mistakes += wrong
        if document is None or wrong:
            continue
        try:
            one = msgspec.convert(document.value, Attestation)
        except msgspec.ValidationError as error:
            cure = "Give milestone, region, statement, office, document, sha256 and date (codes and date in quotes or plain)."
            mistakes.append(_wrong(document, (), "JB6234", path.stem, str(error), cure))
            continue
        if one.milestone not in known or known[one.milestone].attest is None:
            what = "needs no attestation" if one.milestone in known else "is not in the catalogue"
            cure = "Use an id of `jinbao rollout status` whose attestation is awaited."
            mistakes.append(_wrong(document, ("milestone",), "JB6235", one.milestone, what, cure))
        if one.region not in regions:
            cure = "Use a code of the division data, in quotes: YAML drops leading zeros."
            mistakes.append(_wrong(document, ("region",), "JB6235", one.region, "no region has this code", cure))
        if (problem := _document(path.parent / one.document, one.sha256)) is not None:
            cure = f"Put the signed document beside the attestation; its SHA-256 has to be {one.sha256[:16]}…"
            mistakes.append(_wrong(document, ("document",), "JB6236", one.document, problem, cure))
        if one.date > today:
            cure = "Give the date on which the office signed."
            mistakes.append(_wrong(document, ("date",), "JB6237", str(one.date), "this date is still to come", cure))
        found.append(one)
    if mistakes:
        raise Mistakes(mistakes, "no milestone was judged")
    return tuple(found)


def _document(path: Path, sha256: str) -> str | None:
    try:
        data = path.read_bytes()
    except OSError as error:
        return f"the document cannot be read: {error.strerror}"
    return None if files.sha256(data) == sha256 else "the document is not the one that was signed: its SHA-256 differs"


def _wrong(document: source.Document, path: tuple[Any, ...], code: str, subject: str, what: str, cure: str) -> Mistake:
    return Mistake(document.file, *document.place(path), code, subject, what, cure)


def planned(calendar: Mapping[str, str], milestone: str) -> str:
    """The date this plan gives a milestone, or its whole (`MS-4-00` for `MS-4-00.reach`); empty: none."""
    return calendar.get(milestone, "") or calendar.get(milestone.partition(".")[0], "")
