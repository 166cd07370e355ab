"""`jinbao deploy`: plan, confirm, apply, check; and `jinbao config fetch`, which connects as it does."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ground import invocation, mistake, reach, tree
from ground.invocation import At, Format, Plan, State
from inventory.command import Limit

if TYPE_CHECKING:
    from ground.record import Record
    from playbooks import deploy as deploys

app = typer.Typer(help="Bring devices to their rendered trees: plan, confirm, apply, check.")

# What runs after a deploy. The front door's composition of checks puts itself here: (plan, at, state) → records.
after: list[Callable[[str, str, Path], Sequence[Record]]] = []

SHOWN = 12


@app.callback(invoke_without_command=True)
def deploy(
    plan: Plan = invocation.PLAN,
    at: At = invocation.AT,
    state: State = invocation.STATE,
    limit: Annotated[str, typer.Option("--limit", help="Devices or groups, as Ansible takes them.")] = "",
    check: Annotated[
        bool, typer.Option("--check", help="Have every device say what would change; change nothing.")
    ] = False,
    remediate: Annotated[
        bool,
        typer.Option("--remediate", help="Only what devices run: fetch, show the commands, send them, look again."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask, up to the plan's limit.")] = False,
    confirm: Annotated[str, typer.Option("--confirm", help="The plan's name: go beyond its limit.")] = "",
    format: Format = "table",
) -> None:
    """Show what would change on which devices, have it confirmed, apply it, then run the checks."""
    from ip_plan import compile as compiler
    from monitoring.checks.look import tool
    from monitoring.evidence import log
    from playbooks import deploy as deploys
    from playbooks import evidence

    with invocation.guarded():
        network = compiler.compiled(plan, state)
        if remediate:
            from playbooks import remediate as remedies

            allowed = float(network.meta.settings.get("change_limit", 0))
            wanted = remedies.Order(plan, network.meta.name, at, state, limit, check, allowed)
            invocation.leave(remedies.run(wanted, lambda seen: require_consent(seen, yes, confirm), format))
        known = reach.of(state, at)
        inventory = Path(deploys.PLAYBOOK).parent.parent / "inventory" / "hosts"
        order = deploys.Order(plan, at, state, inventory, limit, check)
        devices = deploys.select(order, list(known))
        changes, silent = deploys.compare(state, tree.place(state, at, network.meta.name), devices, known)
        allowed = float(network.meta.settings.get("change_limit", 0))
        seen = deploys.Plan(network.meta.name, at, devices, len(known), tuple(changes), tuple(silent), allowed)
        if format == "table":
            show(seen)
        if not check:
            require_consent(seen, yes, confirm)
        with progress(len(devices)) as watch:
            outcome = deploys.run(order, watch)
        if not check:
            made, details = evidence.records(seen, outcome, network)
            log.of(state, at, tool()).add(made, details)
        records = [] if check or not outcome.good else [record for run in after for record in run(plan, at, state)]
        bad = [record for record in records if record.result in ("fail", "error", "not-observed")]
        if format == "json":
            invocation.emit({"plan": seen, "outcome": outcome, "records": records})
        else:
            report(outcome, len(records), len(bad), check)
        invocation.leave(invocation.DONE if outcome.good and not bad else invocation.FOUND)


def fetch(
    plan: Plan = invocation.PLAN,
    at: At = invocation.AT,
    state: State = invocation.STATE,
    limit: Limit = "",
    format: Format = "table",
) -> None:
    """Ask the devices for what they run and keep the answers, with time and hash, below <state>/running."""
    from ground import remote
    from inventory import command
    from playbooks import journal, push

    with invocation.guarded(), invocation.steps() as told:
        wanted = command.wanted(plan, at, state, limit)
        told(f"fetching {len(wanted)} configurations")
        session = remote.session(reach.of(state, at))
        try:
            found = push.fetch(session, state, at, wanted)
        finally:
            remote.close(session)
        journal.fetched(state, at, wanted, found)
        if format == "json":
            invocation.emit(found)
        else:
            for one in found:
                print(f"{one.device:<20} {one.dialect:<9} {one.time}  {one.reason or f'{one.sha256[:16]}  {one.file}'}")
            silent = sum(bool(one.reason) for one in found)
            print(f"{len(found) - silent} configurations fetched, {silent} could not be")
        invocation.leave(invocation.FOUND if any(one.reason for one in found) else invocation.DONE)


def show(seen: deploys.Plan) -> None:
    """Print what would change: device by device, then the blast radius."""
    by_device: dict[str, list[str]] = {}
    for change in seen.changes:
        sign = {"new": "+", "removed": "-"}.get(change.kind, "~")
        by_device.setdefault(change.device, []).append(f"{sign} {change.target}")
    for device, lines in list(by_device.items())[:SHOWN]:
        more = f" … {len(lines) - 4} more" if len(lines) > 4 else ""
        print(f"{device:<20} {', '.join(lines[:4])}{more}")
    if len(by_device) > SHOWN:
        print(f"… {len(by_device) - SHOWN} more devices")
    for device in seen.silent:
        print(f"{device:<20} did not answer")
    print(
        f"{seen.target}: {len(seen.changes)} files on {len(seen.changing)} of {seen.total} devices "
        f"({seen.share:.0%}; the plan's limit is {seen.limit:.0%})"
    )


def require_consent(seen: deploys.Plan, yes: bool, confirm: str) -> None:
    """Ask where it is needed. Raises `Mistakes` JB4006 when consent is not given."""
    if not seen.changing:
        return
    if seen.share > seen.limit:
        if not confirm and sys.stdin.isatty():
            confirm = input(f"This is above the plan's limit. Type the plan's name ({seen.name}) to go on: ").strip()
        if confirm != seen.name:
            what = (
                f"{len(seen.changing)} of {seen.total} devices would change, the plan allows {seen.limit:.0%} at once"
            )
            cure = f"Take fewer devices with --limit, or confirm with --confirm {seen.name}."
            raise mistake.Mistakes(
                [mistake.Mistake("", None, None, "JB4006", seen.target, what, cure)], "nothing was deployed"
            )
        return
    if yes or confirm == seen.name:
        return
    if not (sys.stdin.isatty() and input("Go on? [y/N] ").strip().lower() in ("y", "yes")):
        cure = "Answer y, or give --yes."
        raise mistake.Mistakes(
            [mistake.Mistake("", None, None, "JB4006", seen.target, "not confirmed", cure)], "nothing was deployed"
        )


@contextmanager
def progress(devices: int) -> Iterator[Callable[[deploys.Event], None]]:
    """A line that tells where the run is; plain lines of failures where nobody looks at a terminal."""
    if not sys.stderr.isatty():
        yield lambda event: print(f"{event.host}: {event.message}", file=sys.stderr) if event.message else None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        BarColumn(),
        TextColumn("{task.completed}/{task.total} tasks"),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, transient=True) as bar:
        whole = bar.add_task("starting", total=None)
        play = ""
        answered = 0

        def tell(event: deploys.Event) -> None:
            nonlocal play, answered
            if event.event == "plays":
                bar.update(whole, total=event.tasks)
            elif event.event == "play":
                play = event.name
            elif event.event == "task":
                answered = 0
                bar.update(whole, advance=1, description=f"{play}: {event.name}")
            elif event.event == "result":
                answered += 1
                bar.update(whole, description=f"{play}: {answered} of {devices} devices")
                if event.message:
                    bar.console.print(f"{event.host}: {event.message}", markup=False, highlight=False)

        yield tell


def report(outcome: deploys.Outcome, checked: int, bad: int, check: bool) -> None:
    """Print how the run ended."""
    changed = sum(bool(counts.get("changed")) for counts in outcome.hosts.values())
    verb = "would change" if check else "changed"
    print(f"{len(outcome.hosts)} devices, {changed} {verb}, {len(outcome.failures)} failed, {outcome.seconds:.0f} s")
    if checked:
        print(f"{checked} checks, {bad} not passed")
    if outcome.failures:
        print(f"Run it again once this is mended: what was finished stays. The whole output is {outcome.log}.")
