"""`jinbao backup`: audit of the copies, and drills that restore one."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ground import files, invocation, mistake
from ground.invocation import At, Format, Plan, State

if TYPE_CHECKING:
    from ground.record import Record, Recorder
    from ground.remote import Session
    from ip_plan.network import Network, Protection

app = typer.Typer(help="Audit the copies of databases, and prove them by restoring one.", no_args_is_help=True)

# Where records go. The front door's composition puts the evidence log here: (state, target) → recorder.
recorders: list[Callable[[Path, str], Recorder]] = []

Databases = Annotated[
    list[str] | None,
    typer.Argument(help="Database hosts, or <site>:<zone>; else all, and for a drill the one with the tightest RPO."),
]


@app.callback()
def backup() -> None:
    """Audit the copies of databases, and prove them by restoring one."""


@app.command()
def audit(
    databases: Databases = None,
    plan: Plan = invocation.PLAN,
    at: At = invocation.AT,
    state: State = invocation.STATE,
    format: Format = "table",
) -> None:
    """Age, catalogue and contents of every repository; finds what pgBackRest's own exit status hides."""
    from backup import audit as audits

    with invocation.guarded(), opened(plan, at, state, databases or ()) as (network, session, listed):
        with invocation.steps() as told:
            found = audits.audit(network, session, at, listed, told)
        keep(state, at, found.records, found.details)
        report(found.records, format)


@app.command()
def drill(
    databases: Databases = None,
    plan: Plan = invocation.PLAN,
    at: At = invocation.AT,
    state: State = invocation.STATE,
    seed: Annotated[int, typer.Option("--seed", help="Of the moment of the kill; 0: another one each time.")] = 0,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; in a twin only.")] = False,
    confirm: Annotated[
        str, typer.Option("--confirm", help="The database host's name: kill it, in production too.")
    ] = "",
    format: Format = "table",
) -> None:
    """Kill a database at a random moment, restore it to the scratch host, read it; measure RPO and RTO; start it again."""
    from backup import drill as drills
    from backup import policy

    with invocation.guarded(), opened(plan, at, state, databases or ()) as (network, session, listed):
        found = listed if databases else tuple(one for one in listed if one.scratch)
        if not found:
            raise mistake.one(
                "JB5101",
                "the plan names no scratch host for any protected database",
                "Give a centre's backup zone a host with the duty `scratch` (extra_hosts in plan.yml).",
            )
        if not databases:
            found = (min(found, key=lambda one: one.rpo_seconds),)
        for one in found:
            policy.scratch(network, one)
            require_consent(one, at, yes, confirm)
        records = []
        for one in found:
            # One drill at a time on a scratch host: the next one would empty it under the first.
            with files.lock(state / "backup" / f"{one.scratch}.lock"), invocation.steps() as told:
                record, detail = drills.drill(network, session, at, one, drills.Options(seed=seed), told)
            keep(state, at, [record], [detail])
            records.append(record)
        report(records, format)


def require_consent(one: Protection, at: str, yes: bool, confirm: str) -> None:
    """Ask before a database is killed. Raises Mistakes (JB5102) when consent is not given."""
    if confirm == one.device or (yes and at.startswith("twin:")):
        return
    print(
        f"{at}: {one.device} is killed at a random moment and stays down until its copy on {one.scratch} has been read "
        f"(RTO of the policy: {one.rto_seconds} s). {one.scratch} is emptied.",
        file=sys.stderr,
    )
    if not (sys.stdin.isatty() and input(f"Type {one.device} to go on: ").strip() == one.device):
        cure = f"Give --confirm {one.device}" + (", or --yes." if at.startswith("twin:") else ".")
        found = mistake.Mistake("", None, None, "JB5102", one.device, "not confirmed", cure)
        raise mistake.Mistakes([found], "nothing was touched")


@contextlib.contextmanager
def opened(
    plan: str, at: str, state: Path, names: Sequence[str]
) -> Iterator[tuple[Network, Session, tuple[Protection, ...]]]:
    """The Network, a session with its devices, and the databases named. Raises Mistakes."""
    from backup import policy
    from ground import reach, remote
    from ip_plan import compile as compiler

    network = compiler.compiled(plan, state)
    if wrong := list(policy.mistakes(network)):
        raise mistake.Mistakes(wrong, "nothing was done")
    listed = policy.select(network, names)
    session = remote.session(reach.of(state, at))
    try:
        yield network, session, listed
    finally:
        remote.close(session)


def keep(state: Path, at: str, records: Sequence[Record], details: Sequence[bytes]) -> None:
    """Hand the records to whoever keeps evidence."""
    for recorder in recorders:
        recorder(state, at).add(records, details)


def report(records: Sequence[Record], format: str) -> None:
    """Print the records, and end with 0 when all of them pass, 1 when not."""
    if format == "json":
        invocation.emit(records)
    else:
        for record in records:
            print(f"{record.result:<12}  {record.check:<17}  {record.subject.device}: {record.reason}")
        print(
            f"{len(records)} observations, {sum(record.result != 'pass' for record in records)} not as they should be."
        )
    invocation.leave(invocation.DONE if all(record.result == "pass" for record in records) else invocation.FOUND)
