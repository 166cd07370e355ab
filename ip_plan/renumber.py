"""Renumbering: offices get new addresses in stages, as rows of the change table say; the old ones are free after a quarantine.

A grant is for ever, so new addresses are grants of their own: the second version of key `K` is `K@2`. Stage `both`: the new ones
are granted and valid beside the old; `new`: they are the ones that count, the old are still answered on; `withdrawn`: the old are
gone, and kept from everybody; `released`: so they are until the quarantine is over, then their lines leave the ledger.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import msgspec

from ground.mistake import Mistake, Mistakes
from ip_plan import regions
from ip_plan.plan import Plan
from ip_plan.schema import STAGES, DivisionChange, Recode, Renumber


class Renumbering(msgspec.Struct, frozen=True):
    """Where the renumbering of a region stands."""

    version: int
    """Of the addresses it leads to; those a region starts with are version 1."""
    stage: str
    row: int
    """Place in the change table."""
    over: bool
    """Whether its old addresses may be granted again: it is released, and the quarantine is over."""


def under_way(changes: Sequence[DivisionChange], quarantine_days: int, today: date) -> dict[str, Renumbering]:
    """Key of a region's grants → the last renumbering of it, as it stands on `today`."""
    first: dict[str, str] = {}
    found: dict[str, Renumbering] = {}
    for row, change in enumerate(changes):
        if isinstance(change, Recode):
            first[change.new] = first.pop(change.old, change.old)
        elif isinstance(change, Renumber):
            over = change.stage == "released" and change.since + timedelta(days=quarantine_days) <= today
            for code in change.regions:
                key = first.get(code, code)
                version = found[key].version + 1 if key in found else 2
                found[key] = Renumbering(version, change.stage, row, over)
    return found


class Proposal(msgspec.Struct, frozen=True):
    """The row that comes next, to be written under `changes:`."""

    region: str
    name: str
    stage: str
    regions: tuple[str, ...]
    row: int | None
    """The row of the change table whose stage it moves on; None: a new one."""
    what: str


WHAT = {
    "both": "new addresses are granted beside the old ones, which stay in use",
    "new": "the new addresses are used, the old ones still answered on",
    "withdrawn": "the old addresses are taken away, and granted to nobody",
    "released": "after the quarantine the old addresses may be granted again",
}


def propose(plan: Plan, code: str) -> Proposal:
    """The next stage of the renumbering of a county (with what lies below it) or a township.

    Raises Mistakes JB1367: the plan has no such region, it has a centre, or all of it is done.
    """
    region = plan.regions.get(code)
    if region is None or region.level not in ("county", "township"):
        what = (
            f"a {region.level} has a centre, whose addresses its whole branch is summed up in"
            if region
            else "no region has this code"
        )
        cure = "Name a county or a township."
        raise Mistakes([Mistake("", None, None, "JB1367", code, what, cure)])
    open_ = [
        (row, change)
        for row, change in enumerate(plan.plan.changes)
        if isinstance(change, Renumber) and code in change.regions and change.stage != STAGES[-1]
    ]
    if open_:
        row, change = open_[-1]
        stage = STAGES[STAGES.index(change.stage) + 1]
        return Proposal(code, region.name, stage, tuple(change.regions), row, WHAT[stage])
    below = [child.code for child in regions.children(plan.regions).get(code, [])]
    return Proposal(code, region.name, STAGES[0], (code, *below), None, WHAT[STAGES[0]])


def text(proposal: Proposal, since: date, reason: str) -> str:
    """The row as it stands in plan.yml."""
    codes = ", ".join(f'"{code}"' for code in proposal.regions)
    return (
        f'  - {{kind: renumber, stage: {proposal.stage}, since: {since}, reason: "{reason}",\n     regions: [{codes}]}}'
    )
