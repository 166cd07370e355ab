"""Exceptions: connections let through for a while against the rows that deny them, with who asked, who agreed, and until when.

Until its last day an exception is a row like those of flows.yml; after it, the compile leaves it out, and with it every filter.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import msgspec

from ground.mistake import Mistake, Severity
from ip_plan.network import Flow
from ip_plan.schema import ExceptionFile, PlanFile
from ip_plan.source import Document

SOON_DAYS = 14
"""How long before its end an exception is spoken of: time for its holder to do without, or to have it approved anew."""


def rows(exceptions: Iterable[ExceptionFile], spelled: Iterable[Flow], today: date) -> tuple[Flow, ...]:
    """The rows of the exceptions in force: `spelled` out by zone and relation, with their regions and their last day."""
    held = {each.id: each for each in exceptions if each.expires >= today}
    return tuple(
        msgspec.structs.replace(flow, regions=tuple(held[flow.id].regions), until=held[flow.id].expires.isoformat())
        for flow in spelled
        if flow.id in held
    )


def check(plan: PlanFile, where: Document, today: date) -> list[Mistake]:
    """What is wrong with the last days: too far ahead (an error); soon, or past (warnings)."""
    found: list[Mistake] = []
    limit = plan.exception_days
    for index, each in enumerate(plan.exceptions):
        days = (each.expires - today).days
        code, what, cure = "", "", ""
        severity: Severity = "warning"
        if days > limit.value:
            code, severity = "JB1322", "error"
            what = f"ends on {each.expires}, in {days} days; the plan allows {limit.value} ({limit.reason})"
            cure = "Give an earlier day and have it approved anew then; or write a row in flows.yml, with its clause."
        elif days < 0:
            code, what = "JB1324", f"ended on {each.expires} ({each.ticket}, {each.requester}) and is left out"
            cure = "Delete it, or give a later day with the approval for it."
        elif days <= SOON_DAYS:
            code, what = "JB1323", f"ends after {each.expires}, in {days} days ({each.ticket}, {each.requester})"
            cure = "Tell its requester; a later day needs a new approval."
        if code:
            place = where.place(("exceptions", index, "expires"))
            found.append(Mistake(where.file, *place, code, each.id, what, cure, severity))
    return found
