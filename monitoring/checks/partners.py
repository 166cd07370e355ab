"""`flow.delivered`: what outside bodies leave in their drop boxes is fetched and answered; how much of it was loaded and refused.

The intake of a centre is asked for one record a body. A refused delivery is the body's affair and told by number; what fails here is an
intake that no longer runs, does not reach the boxes, or cannot load.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ground import remote
from ground.record import Measure, Record
from ip_plan import partners
from ip_plan.network import Partner
from ip_plan.partners import Boxes
from monitoring.checks.look import Found, Look, subject

CHECK = "flow.delivered"
METHOD = "the intake's own account of its last runs"
PROGRAM = "date +%s; cat /var/lib/jinbao-intake/status.json"
SILENT_SECONDS = 300.0
"""How long ago the last good run may lie: five of the timer's rounds."""


class Status(msgspec.Struct, frozen=True):
    """What one intake said; `trouble` where it was no answer."""

    silent: bool = False
    trouble: str = ""
    age: float = 0.0
    """Seconds since its last good run."""
    said: str = ""
    """What the last run had against boxes or database."""
    bodies: dict[str, dict[str, Any]] = {}


def read(answer: remote.Answer) -> Status:
    """What `PROGRAM` printed: the time, and the account."""
    if answer.code is None:
        return Status(silent=True, trouble=answer.err.strip() or "no answer")
    now, _, account = answer.out.partition("\n")
    try:
        told = msgspec.json.decode(account, type=dict[str, Any])
        return Status(age=float(now) - float(told.get("good", 0)), said=told["trouble"], bodies=told.get("bodies", {}))
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError) as why:
        said = (answer.err or f"unreadable answer: {why}").strip().replace("\n", " ")
        return Status(trouble=said)


def run(look: Look) -> Found:
    """Ask every intake; one record a body."""
    listed = [boxes for site in look.network.running() if (boxes := partners.boxes(look.network, site))]
    look.told(f"partners: {len(listed)} centres with drop boxes")
    answers = remote.run_all(look.session, {boxes.fetcher: PROGRAM for boxes in listed}) if listed else {}
    return Found(
        tuple(judge(look, boxes, body, read(answers[boxes.fetcher])) for boxes in listed for body in boxes.bodies)
    )


def judge(look: Look, boxes: Boxes, body: Partner, status: Status) -> Record:
    """The record of one body."""
    site, fetcher = look.network.sites[boxes.site], look.network.devices[boxes.fetcher]
    counts = status.bodies.get(body.id, {})
    refused: dict[str, int] = counts.get("refused", {})
    measures: tuple[Measure, ...] = ()
    if status.trouble:
        result, reason = "not-observed" if status.silent else "error", status.trouble
    else:
        measures = (
            Measure("age", "s", round(status.age, 1), SILENT_SECONDS),
            Measure("loaded", "", float(counts.get("loaded", 0))),
            Measure("rows", "", float(counts.get("rows", 0))),
            Measure("refused", "", float(sum(refused.values()))),
        )
        late = status.age > SILENT_SECONDS
        result = "fail" if late else "pass"
        codes = ", ".join(f"{code} {number}" for code, number in sorted(refused.items()))
        told = f"{counts.get('loaded', 0)} deliveries loaded, {sum(refused.values())} refused" + (
            f" ({codes})" if codes else ""
        )
        reason = f"no good run for {status.age:.0f} s: {status.said or 'the timer does not start it'}" if late else told
    return look.record(
        CHECK,
        subject(site, zone=fetcher.zone, service=body.id, device=boxes.fetcher, peer=boxes.device),
        result,  # type: ignore[arg-type]
        reason,
        method=METHOD,
        key=(boxes, body),
        observer=boxes.fetcher,
        seen=0 if status.trouble else 1,
        measures=measures,
    )
