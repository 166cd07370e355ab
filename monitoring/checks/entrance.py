"""`flow.entered`: what the exchange zone has for production is checked, handed over, and is in production: neither less nor more.

Two hosts are asked for one record: the exchange database for what it checked, released and moved, production for what it has. Rows
in quarantine are no fault of the flow; they are counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from ground import remote
from ground.record import Measure, Record
from ip_plan import catalogue
from ip_plan.holding import Delivery, Door, holding
from ip_plan.network import Device
from monitoring.checks.flows import COUNT, PAUSE_SECONDS, PROGRAM, TRIES
from monitoring.checks.look import Found, Look, hosts, some, subject

CHECK = "flow.entered"
METHOD = "records of the entrance and rows of production over their local sockets"
LATE_SECONDS = 300.0
"""How long the last success, or a row that is ready, may lie back: five times what the timer takes."""

DOOR = """\
select json_build_object('table', '{source}',
  'ago', (select extract(epoch from clock_timestamp() - succeeded) from entrance.run where source = '{source}'),
  'late', (select extract(epoch from clock_timestamp() - min(entrance_since)) from {view} where entrance_state = 'ready'),
  'states', (select coalesce(json_object_agg(state, number), '{{}}')
    from (select entrance_state as state, count(*) as number from {view} group by 1) as counted),
  'rows', (select coalesce(json_object_agg(region, number), '{{}}')
    from (select key ->> 'region' as region, count(*) as number from entrance.record
      where source = '{source}' and step = 'move' and verdict = 'passed' group by 1) as counted));
"""


class Answer(msgspec.Struct, frozen=True):
    """What one host said; `trouble` where it was no answer."""

    silent: bool = False
    trouble: str = ""
    tables: Mapping[str, Mapping[str, Any]] = {}
    """Table → what was said of it."""


def question(doors: Iterable[Door]) -> str:
    """What the exchange database is asked: a line a table."""
    sources = (door.source.full for door in doors)
    return "".join(DOOR.format(source=source, view="entrance." + source.replace(".", "_")) for source in sources)


def read(answer: remote.Answer) -> Answer:
    """What a host printed: a line a table."""
    if answer.code is None:
        return Answer(silent=True, trouble=answer.err.strip() or "no answer")
    if not answer.ok or not answer.out.strip():
        return Answer(trouble=(answer.out or answer.err).strip().replace("\n", " ") or f"exit {answer.code}")
    try:
        said = [msgspec.json.decode(line, type=dict[str, Any]) for line in answer.out.splitlines()]
        return Answer(tables={one["table"]: one for one in said})
    except (msgspec.MsgspecError, KeyError) as why:
        return Answer(trouble=f"unreadable answer: {why}")


def run(look: Look, pause: Callable[[float], None] = time.sleep) -> Found:
    """Ask every exchange database that hands over, and the production databases that take; one record a table."""
    listed = {host.name: host for host in hosts(look.network) if "database" in host.duties}
    pairs = [
        (host, each)
        for host in listed.values()
        for each in holding(look.network, host).deliveries
        if each.running and each.device in listed
    ]
    look.told(f"entrances: {len(pairs)} centres")
    answers: dict[str, Answer] = {}
    asked = pairs
    for tried in range(TRIES):
        if tried:
            pause(PAUSE_SECONDS)
        given = {host.name: question(each.doors).encode() for host, each in asked}
        given |= {
            each.device: "".join(COUNT.format(table=door.entrance.to) for door in each.doors).encode()
            for _, each in asked
        }
        answers |= {
            name: read(said)
            for name, said in remote.run_all(look.session, dict.fromkeys(given, PROGRAM), given=given).items()
        }
        asked = [
            (host, each)
            for host, each in asked
            if (mine := answers[host.name], other := answers[each.device]) and not (mine.trouble or other.trouble)
            if any(list(_unsettled(door, each, mine, other)) for door in each.doors)
        ]
        if not asked:
            break
    return Found(
        tuple(
            judge(look, host, each, door, answers[host.name], answers[each.device])
            for host, each in pairs
            for door in each.doors
        )
    )


def judge(look: Look, host: Device, one: Delivery, door: Door, mine: Answer, other: Answer) -> Record:
    """The record of one table of one centre."""
    site = look.network.sites[host.site]
    measures: list[Measure] = []
    trouble = [f"{name}: {said.trouble}" for name, said in ((host.name, mine), (one.device, other)) if said.trouble]
    if trouble:
        result, reason = ("not-observed" if mine.silent or other.silent else "error"), some(trouble)
    else:
        said = mine.tables.get(door.source.full, {})
        faults = [*_faults(said, measures), *_unsettled(door, one, mine, other)]
        states = said.get("states", {})
        moved = sum(said.get("rows", {}).values())
        measures.append(Measure("rows", "", float(moved)))
        measures += [Measure(state, "", float(states.get(state, 0))) for state in ("waiting", "quarantined", "refused")]
        result = "fail" if faults else "pass"
        told = ", ".join(f"{number} {state}" for state, number in sorted(states.items()) if state != "moved")
        reason = some(faults) or f"{one.flow} to {door.entrance.to}: {moved} rows" + (f"; {told}" if told else "")
    return look.record(
        CHECK,
        subject(site, zone=host.zone, service=door.source.full, device=host.name, peer=one.device),
        result,  # type: ignore[arg-type]
        reason,
        method=METHOD,
        key=(one.user, door),
        observer=host.name,
        seen=(not mine.trouble) + (not other.trouble),
        expected=2,
        measures=measures,
    )


def _faults(said: Mapping[str, Any], measures: list[Measure]) -> Iterable[str]:
    """What is wrong with the job that hands over."""
    if said.get("ago") is None:
        yield "it never succeeded"
        return
    measures.append(Measure("succeeded", "s", round(float(said["ago"]), 1), LATE_SECONDS))
    if said["ago"] > LATE_SECONDS:
        yield f"it last succeeded {said['ago']:.0f} s ago"
    late = float(said.get("late") or 0)
    measures.append(Measure("late", "s", round(late, 1), LATE_SECONDS))
    if late > LATE_SECONDS:
        yield f"a row is ready for {late:.0f} s"


def _unsettled(door: Door, one: Delivery, mine: Answer, other: Answer) -> Iterable[str]:
    """Rows that were moved and are not there, or are there and were never moved; of tables that nothing else fills."""
    schema, _, name = door.entrance.to.partition(".")
    if catalogue.shipped().tables.schemas[schema][name].from_ != door.source.full:
        return
    moved = mine.tables.get(door.source.full, {}).get("rows", {})
    there = other.tables.get(door.entrance.to, {}).get("rows", {})
    differing = [
        f"{region} {there.get(region, 0)}, moved {moved.get(region, 0)}"
        for region in sorted(moved.keys() | there.keys())
        if moved.get(region, 0) != there.get(region, 0)
    ]
    if differing:
        yield f"{door.entrance.to} of {one.device} has other rows than were moved: {some(differing)}"
