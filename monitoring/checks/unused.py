"""Rules without hits: what the records of `rules.hits` say of each flow at each device (GB/T 22239 8.1.3.2 b).

That a rule let nothing through is known only between two looks at the same counters. Counters that began again in between, by
a reload or a restart, take that knowledge with them: what happened before them is not observed.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

import msgspec

from ground import clock
from ground.record import Record
from monitoring.checks.rules import BEGINNING, CHECK

Verdict = Literal["used", "unused", "not-observed"]
DAY_SECONDS = 86400


class Use(msgspec.Struct, frozen=True):
    """One flow at one device."""

    device: str
    site: str
    flow: str
    verdict: Verdict
    """`unused`: no hit in the days asked for, seen without a gap. `not-observed`: neither that nor a hit in them."""
    quiet_since: str
    """The first look after which nothing was counted. Whatever was before it, is not told by this."""
    seen: str
    """The last look."""
    hit: str = ""
    """The look that last saw a hit; empty: none ever did."""

    @property
    def quiet_days(self) -> float:
        """How long nothing was counted, up to the last look."""
        return _days(self.quiet_since, self.seen)


class _Trace(msgspec.Struct):
    site: str
    beginning: float
    packets: float
    quiet_since: str
    hit: str
    seen: str


def uses(records: Iterable[Record], days: int) -> list[Use]:
    """Each flow of each device's last look. `records`: oldest first, of any check."""
    traces: dict[tuple[str, str], _Trace] = {}
    last: dict[str, set[str]] = {}
    for record in records:
        if record.check != CHECK or record.result != "pass":
            continue
        values = {measure.name: measure.value for measure in record.measures}
        beginning = values.pop(BEGINNING, 0.0)
        device = record.subject.device
        last[device] = set(values)
        for flow, packets in values.items():
            before = traces.get((device, flow))
            same = before is not None and before.beginning == beginning and packets >= before.packets
            counted = packets - (before.packets if before is not None and same else 0)
            traces[device, flow] = _Trace(
                record.subject.site,
                beginning,
                packets,
                before.quiet_since if before is not None and same and not counted else record.time,
                record.time if counted else before.hit if before is not None else "",
                record.time,
            )
    return [_use(device, flow, trace, days) for (device, flow), trace in sorted(traces.items()) if flow in last[device]]


def _use(device: str, flow: str, trace: _Trace, days: int) -> Use:
    verdict: Verdict = "not-observed"
    if _days(trace.quiet_since, trace.seen) >= days:
        verdict = "unused"
    elif trace.hit and _days(trace.hit, trace.seen) < days:
        verdict = "used"
    return Use(device, trace.site, flow, verdict, trace.quiet_since, trace.seen, trace.hit)


def _days(one: str, other: str) -> float:
    begun: datetime = clock.moment(one)
    return (clock.moment(other) - begun).total_seconds() / DAY_SECONDS
