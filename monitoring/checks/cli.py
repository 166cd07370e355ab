"""`jinbao check run`, as far as it looks from outside: progress while it looks, records kept as they come, a table at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec import to_builtins

from ground import invocation
from ground.invocation import At, Format, Plan, State

if TYPE_CHECKING:
    from ground.record import Record, Recorder
    from ground.remote import Session
    from ip_plan.network import Network
    from monitoring.checks.look import Found
    from monitoring.checks.unused import Use

app = typer.Typer(help="Look at the running network from outside.", no_args_is_help=True)

GOOD = ("pass", "waived", "not-applicable")
SHOWN = 20
Only = Annotated[
    list[str], typer.Option("--only", help="A subject (zones, routing …) or the id of a check; repeatable.")
]


@app.callback()
def check() -> None:
    """Look at the running network from outside."""


@app.command("run")
def run_command(
    plan: Plan = invocation.PLAN,
    at: At = invocation.AT,
    state: State = invocation.STATE,
    only: Only = [],  # noqa: B006  (typer reads it, nobody changes it)
    format: Format = "table",
) -> None:
    """Look at every subject, from sessions and zones to databases, backups and what roles left, and keep what was seen as evidence."""
    from ground import reach, remote
    from ip_plan import compile as compiler
    from monitoring.checks.look import tool
    from monitoring.evidence import log

    with invocation.guarded():
        network = compiler.compiled(plan, state)
        session = remote.session(reach.of(state, at))
        try:
            records = observe(network, session, at, log.of(state, at, tool()), only)
        finally:
            remote.close(session)
        report(records, format)
        invocation.leave(invocation.DONE if all(record.result in GOOD for record in records) else invocation.FOUND)


@app.command("rules")
def rules_command(
    plan: Plan = invocation.PLAN,
    at: At = invocation.AT,
    state: State = invocation.STATE,
    days: Annotated[int, typer.Option("--days", min=0, help="How long without a hit; 0: as the plan says.")] = 0,
    format: Format = "table",
) -> None:
    """Rules without hits, for each flow and firewall, from what the looks so far have counted (GB/T 22239 8.1.3.2 b).

    Exits 1 when a rule let nothing through for so long.
    """
    from ip_plan import plan as plans
    from monitoring.checks import unused
    from monitoring.checks.look import tool
    from monitoring.evidence import log

    with invocation.guarded():
        loaded = plans.load(plan)
        days = days or loaded.plan.unused_days.value
        found = unused.uses(log.of(state, at, tool()).records(at), days)
        if format == "json":
            invocation.emit([{**to_builtins(one), "quiet_days": round(one.quiet_days, 2)} for one in found])
        else:
            show_uses(found, days, {flow.id: flow.place for flow in loaded.rows})
        invocation.leave(invocation.FOUND if any(one.verdict == "unused" for one in found) else invocation.DONE)


def show_uses(found: Sequence[Use], days: int, places: Mapping[str, str]) -> None:
    """Print the rules without hits, and how many of the others were used or not observed for long enough."""
    from monitoring.checks.rules import CLAUSE

    for one in found:
        if one.verdict == "unused":
            place = f" ({places[one.flow]})" if one.flow in places else ", which the plan has no more"
            print(
                f"{one.device}  {one.flow}{place}: no hit for {one.quiet_days:.1f} days, since {one.quiet_since}  {CLAUSE}"
            )
    counts = Counter(one.verdict for one in found)
    print(
        f"{len(found)} rules by flow and device: {counts['unused']} without a hit for {days} days, {counts['used']} used, "
        f"{counts['not-observed']} not observed for so long (counters begin again with a reload or a restart)"
    )


def observe(
    network: Network, session: Session, target: str, recorder: Recorder, only: Collection[str] = ()
) -> list[Record]:
    """Look at everything (or `only` those), with progress for people; every part is handed to `recorder` as it comes.

    Raises Mistakes: JB6101, and what the recorder raises.
    """
    from monitoring.checks import run

    def keep(found: Found) -> None:
        recorder.add(found.records, found.details)

    with invocation.steps() as told:
        return run.run(network, session, target, only, told=told, kept=keep)


def report(records: Sequence[Record], format: str = "table") -> None:
    """Print the records: counts by check and result, then what is not as it should be with its reason."""
    if format == "json":
        invocation.emit(records)
        return
    counts = Counter((record.check, record.result) for record in records)
    width = max((len(record.check) for record in records), default=0)
    for check in sorted({record.check for record in records}):
        said = ", ".join(f"{count} {result}" for (name, result), count in sorted(counts.items()) if name == check)
        print(f"{check:<{width}}  {said}")
    bad = [record for record in records if record.result not in GOOD]
    for record in bad[:SHOWN]:
        print(f"{record.result}  {record.check}  {_subject(record)}: {record.reason}")
    if len(bad) > SHOWN:
        print(f"… {len(bad) - SHOWN} more; --format json shows all of them")
    print(f"{len(records)} observations, {len(bad)} not as they should be.")


def _subject(record: Record) -> str:
    subject = record.subject
    here = ":".join(filter(None, (subject.site or subject.region, subject.zone, subject.device)))
    return f"{here} → {subject.peer}" if subject.peer else here
