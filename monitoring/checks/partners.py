"""`flow.delivered`, `flow.answered`: what outside bodies leave in their drop boxes is taken in, and what they ask online is answered.

The intake and the desk of a centre are asked for one record a body. What was refused is the body's affair and told by number; what
fails here is an intake or a desk that no longer runs, does not reach the external zone, or has no database.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ground import remote
from ground.record import Measure, Record
from ip_plan import partners
from ip_plan.network import Partner
from ip_plan.partners import Boxes, Front
from monitoring.checks.look import Found, Look, subject

CHECK, ANSWERED = "flow.delivered", "flow.answered"


class Way(msgspec.Struct, frozen=True):
    """One of the two ways in, and what is asked of the program that looks after it."""

    check: str
    program: str
    """Prints the time of its host, and its own account."""
    method: str
    silent_seconds: float
    """How long ago the last good run may lie."""
    done: tuple[str, str]
    """What it counts, and of what."""
    more: tuple[str, ...]
    """What else it counts."""
    ended: str
    """Why it has no good run, where it does not say."""


FILES = Way(
    CHECK, "date +%s; cat /var/lib/jinbao-intake/status.json", "the intake's own account of its last runs", 300.0,
    ("loaded", "deliveries"), ("rows",), "the timer does not start it",
)  # fmt: skip
"""Five of the timer's rounds."""
REQUESTS = Way(
    ANSWERED, "date +%s; cat /var/lib/jinbao-desk/status.json", "the desk's own account of its last rounds", 60.0,
    ("answered", "requests"), (), "it does not run",
)  # fmt: skip
"""Three of its rounds, in which nobody asks."""


class Status(msgspec.Struct, frozen=True):
    """What an intake or a desk said; `trouble` where it was no answer."""

    silent: bool = False
    trouble: str = ""
    age: float = 0.0
    """Seconds since its last good run."""
    said: str = ""
    """What the last run had against external zone or database."""
    counts: dict[str, dict[str, Any]] = {}
    """What it counted, by body or terminal."""


def read(answer: remote.Answer, of: str = "bodies") -> Status:
    """What a program printed: the time, and its account, with the counts of each under `of`."""
    if answer.code is None:
        return Status(silent=True, trouble=answer.err.strip() or "no answer")
    now, _, account = answer.out.partition("\n")
    try:
        told = msgspec.json.decode(account, type=dict[str, Any])
        return Status(age=float(now) - float(told.get("good", 0)), said=told["trouble"], counts=told.get(of, {}))
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError) as why:
        said = (answer.err or f"unreadable answer: {why}").strip().replace("\n", " ")
        return Status(trouble=said)


def run(look: Look) -> Found:
    """Ask every intake and every desk; one record a body and way."""
    sites = list(look.network.running())
    boxes = [found for site in sites if (found := partners.boxes(look.network, site))]
    fronts = [front for site in sites if (front := partners.front(look.network, site))]
    look.told(f"partners: {len(boxes)} centres with drop boxes, {len(fronts)} with a front-end")
    return Found((*_asked(look, FILES, boxes), *_asked(look, REQUESTS, fronts)))


def _asked(look: Look, way: Way, places: Sequence[Boxes | Front]) -> list[Record]:
    programs = {_asking(place): way.program for place in places}
    answers = remote.run_all(look.session, programs) if programs else {}
    return [judge(look, way, place, body, read(answers[_asking(place)])) for place in places for body in place.bodies]


def _asking(place: Boxes | Front) -> str:
    """The device of the exchange zone that opens the connection."""
    return place.fetcher if isinstance(place, Boxes) else place.desk


def judge(look: Look, way: Way, place: Boxes | Front, body: Partner, status: Status) -> Record:
    """The record of one body."""
    asking = _asking(place)
    site, device = look.network.sites[place.site], look.network.devices[asking]
    counts = status.counts.get(body.id, {})
    refused: dict[str, int] = counts.get("refused", {})
    done, things = way.done
    measures: tuple[Measure, ...] = ()
    if status.trouble:
        result, reason = "not-observed" if status.silent else "error", status.trouble
    else:
        measures = (
            Measure("age", "s", round(status.age, 1), way.silent_seconds),
            *(Measure(name, "", float(counts.get(name, 0))) for name in (done, *way.more)),
            Measure("refused", "", float(sum(refused.values()))),
        )
        late = status.age > way.silent_seconds
        result = "fail" if late else "pass"
        codes = ", ".join(f"{code} {number}" for code, number in sorted(refused.items()))
        told = f"{counts.get(done, 0)} {things} {done}, {sum(refused.values())} refused" + (
            f" ({codes})" if codes else ""
        )
        reason = f"no good run for {status.age:.0f} s: {status.said or way.ended}" if late else told
    return look.record(
        way.check,
        subject(site, zone=device.zone, service=body.id, device=asking, peer=place.device),
        result,  # type: ignore[arg-type]
        reason,
        method=way.method,
        key=(place, body),
        observer=asking,
        seen=0 if status.trouble else 1,
        measures=measures,
    )
