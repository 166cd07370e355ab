"""`flow.replicated`: every subscription of a running centre runs, lags little, and has as many rows of every region as its publisher.

Two hosts are asked for one record: the subscriber for its worker and tables, the publisher for the slot. Rows under way are no
difference: what differs is asked again, and only what goes on differing is told.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from ground import remote
from ground.record import Measure, Record
from ip_plan.holding import Holding, Subscription, holding
from ip_plan.network import Device
from monitoring.checks.look import Found, Look, hosts, some, subject

CHECK = "flow.replicated"
METHOD = "catalogue views and row counts of both ends over their local sockets"
DATABASE = "jinbao"
SILENT_SECONDS = 120.0
"""After how long without a word from the publisher a worker is cut off: twice `wal_receiver_timeout` (60 s)."""
BEHIND_BYTES = 64 * 1024 * 1024
"""How much WAL a subscriber may lag behind: sample data, four segments."""
HELD_SHARE = 0.5
"""Share of `max_slot_wal_keep_size` that a slot may hold back before it is told: at the whole the slot is lost."""
TRIES, PAUSE_SECONDS = 5, 2.0

SLOTS = """\
select json_object_agg(slot_name, json_build_object('active', active,
  'behind', pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn), 'held', pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn),
  'limit', (select setting::bigint * 1048576 from pg_settings where name = 'max_slot_wal_keep_size'), 'status', wal_status))
  from pg_replication_slots where slot_type = 'logical' and slot_name like 'fl\\_%';
"""
SUBSCRIPTIONS = """\
select json_object_agg(subname, json_build_object('enabled', subenabled,
  'runs', (select pid is not null from pg_stat_subscription as t where t.subid = s.oid and relid is null),
  'silent', (select extract(epoch from clock_timestamp() - last_msg_receipt_time) from pg_stat_subscription as t
              where t.subid = s.oid and relid is null),
  'tables', (select json_object_agg(srrelid::regclass, srsubstate) from pg_subscription_rel where srsubid = s.oid)))
  from pg_subscription as s;
"""
COUNT = (
    "select json_build_object('table', $name${table}$name$, 'rows', (select coalesce(json_object_agg(region, number), '{{}}') "
    "from (select region, count(*) as number from {table} group by region) as counted));\n"
)
PROGRAM = f"cd /; runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 -d {DATABASE} -f - 2>&1"


class Answer(msgspec.Struct, frozen=True):
    """What one host said; `trouble` where it was no answer."""

    silent: bool = False
    trouble: str = ""
    slots: Mapping[str, Mapping[str, Any]] = {}
    subscriptions: Mapping[str, Mapping[str, Any]] = {}
    rows: Mapping[str, Mapping[str, int]] = {}
    """Table, with which of its rows → region → rows."""


def question(held: Holding) -> str:
    """What a host is asked: its slots, its subscriptions, and the rows of every table that travels."""
    travelling = [each.tables for each in held.publications] + [each.tables for each in held.subscriptions]
    tables = {one.rows: None for listed in travelling for one in listed}
    return SLOTS + SUBSCRIPTIONS + "".join(COUNT.format(table=table) for table in tables)


def read(answer: remote.Answer) -> Answer:
    """What `PROGRAM` printed: a line for the slots, one for the subscriptions, one a table."""
    if answer.code is None:
        return Answer(silent=True, trouble=answer.err.strip() or "no answer")
    lines = answer.out.splitlines()
    if not answer.ok or len(lines) < 2:
        return Answer(trouble=(answer.out or answer.err).strip().replace("\n", " ") or f"exit {answer.code}")
    try:
        slots, subscriptions, *counts = [msgspec.json.decode(line) if line else {} for line in lines]
        return Answer(slots=slots, subscriptions=subscriptions, rows={one["table"]: one["rows"] for one in counts})
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError) as why:
        return Answer(trouble=f"unreadable answer: {why}")


def run(look: Look, pause: Callable[[float], None] = time.sleep) -> Found:
    """Ask every database host that gives or takes; one record a subscription."""
    listed = [host for host in hosts(look.network) if "database" in host.duties]
    held = {host.name: (host, holding(look.network, host)) for host in listed}
    pairs = [
        (host, each)
        for host, mine in held.values()
        for each in mine.subscriptions
        if each.running and each.publisher in held
    ]
    look.told(f"flows: {len(pairs)} subscriptions")
    answers: dict[str, Answer] = {}
    asked = {name for host, each in pairs for name in (host.name, each.publisher)}
    for tried in range(TRIES):
        if tried:
            pause(PAUSE_SECONDS)
        given = {name: question(held[name][1]).encode() for name in asked}
        answers |= {
            name: read(said)
            for name, said in remote.run_all(look.session, dict.fromkeys(given, PROGRAM), given=given).items()
        }
        asked = {
            name
            for host, each in pairs
            if (mine := answers[host.name], other := answers[each.publisher]) and not (mine.trouble or other.trouble)
            if list(_unsettled(each, mine, other))
            for name in (host.name, each.publisher)
        }
        if not asked:
            break
    return Found(tuple(judge(look, host, each, answers[host.name], answers[each.publisher]) for host, each in pairs))


def judge(look: Look, host: Device, one: Subscription, mine: Answer, other: Answer) -> Record:
    """The record of one subscription."""
    site = look.network.sites[host.site]
    measures: list[Measure] = []
    trouble = [f"{name}: {said.trouble}" for name, said in ((host.name, mine), (one.publisher, other)) if said.trouble]
    if trouble:
        result, reason = ("not-observed" if mine.silent or other.silent else "error"), some(trouble)
    else:
        faults = [*_faults(one, mine, other, measures), *_unsettled(one, mine, other)]
        rows = sum(sum(mine.rows.get(held.rows, {}).values()) for held in one.tables)
        measures.append(Measure("rows", "", float(rows)))
        result = "fail" if faults else "pass"
        reason = some(faults) or f"{one.flow} from {one.publisher}: {len(one.tables)} tables, {rows} rows"
    return look.record(
        CHECK,
        subject(site, zone=host.zone, service=one.name, device=host.name, peer=one.publisher),
        result,  # type: ignore[arg-type]
        reason,
        method=METHOD,
        key=(one,),
        observer=host.name,
        seen=(not mine.trouble) + (not other.trouble),
        expected=2,
        measures=measures,
    )


def _faults(one: Subscription, mine: Answer, other: Answer, measures: list[Measure]) -> Iterable[str]:
    """What is wrong with the worker and the slot."""
    said, slot = mine.subscriptions.get(one.name), other.slots.get(one.name)
    if said is None:
        yield "there is no such subscription"
    elif not said["enabled"] or not said["runs"]:
        yield "its worker does not run" if said["enabled"] else "it is disabled"
    elif said["silent"] is not None:
        measures.append(Measure("silent", "s", round(float(said["silent"]), 1), SILENT_SECONDS))
        if said["silent"] > SILENT_SECONDS:
            yield f"it heard nothing from {one.publisher} for {said['silent']:.0f} s"
    if slot is None:
        yield f"{one.publisher} has no slot for it"
        return
    if not slot["active"]:
        yield f"its slot on {one.publisher} is not in use"
    if slot["status"] not in ("reserved", "extended"):
        yield f"its slot on {one.publisher} is {slot['status']}: WAL it needs is going or gone"
    behind, kept = float(slot["behind"] or 0), float(slot["held"] or 0)
    limit = float(slot["limit"])
    measures.append(Measure("behind", "B", behind, float(BEHIND_BYTES)))
    if behind > BEHIND_BYTES:
        yield f"it is {behind / 1e6:.0f} MB of WAL behind"
    if limit < 0:
        yield f"{one.publisher} sets no limit to the WAL of a slot: a subscriber that is away would fill its disk"
        return
    measures.append(Measure("wal_held", "B", kept, limit * HELD_SHARE))
    if kept > limit * HELD_SHARE:
        yield f"its slot holds {kept / 1e6:.0f} MB of WAL, at {limit / 1e6:.0f} MB it is lost"


def _unsettled(one: Subscription, mine: Answer, other: Answer) -> Iterable[str]:
    """Tables that are not there yet, and rows that one end has and the other has not."""
    tables = (mine.subscriptions.get(one.name) or {}).get("tables") or {}
    for held in one.tables:
        if tables.get(held.full) != "r":
            yield f"{held.full} is not subscribed" if held.full not in tables else f"{held.full} is still being copied"
            continue
        here, there = mine.rows.get(held.rows, {}), other.rows.get(held.rows, {})
        differing = [
            f"{region} {here.get(region, 0)} of {rows}" for region, rows in there.items() if here.get(region) != rows
        ]
        if differing:
            yield f"{held.full} has other rows than {one.publisher}: {some(differing)}"
