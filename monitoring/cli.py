"""`jinbao rollout`: status, publish, metrics. `jinbao evidence`: verify, head, show, witness."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ground import invocation
from ground.invocation import At, Format, Plan, State

if TYPE_CHECKING:
    from monitoring.rollout import Status

rollout = typer.Typer(no_args_is_help=True, help="How far each region has come, on what evidence.")
evidence = typer.Typer(
    no_args_is_help=True, help="The log of what was observed: verify it, read it, have it witnessed."
)

Ask = Annotated[bool, typer.Option("--witness/--no-witness", help="Ask the host that keeps the log's head.")]


def _now(plan: str, at: str, state: Path, ask: bool) -> Status:
    from ip_plan import compile as compiler
    from ip_plan import plan as plans
    from monitoring import rollout as status

    loaded = plans.load(plan)
    return status.gather(loaded, compiler.compiled(plan, state), state, at, datetime.now(UTC), ask=ask)


@rollout.command("status")
def status_command(
    plan: Plan = invocation.PLAN,
    at: At = invocation.AT,
    state: State = invocation.STATE,
    format: Format = "table",
    region: Annotated[str, typer.Option("--region", help="Only this region's code.")] = "",
    all_: Annotated[bool, typer.Option("--all", help="Also milestones that only a signature decides.")] = False,
    ask: Ask = True,
) -> None:
    """Each milestone of each region: probe, data and attestation apart; reached on and operating now apart.

    Exits 1 when the log does not verify, 2 when it could not be judged.
    """
    from monitoring import rollout as views

    with invocation.guarded():
        status = _now(plan, at, state, ask)
        if format == "json":
            invocation.emit(views.brief(status))
        else:
            from monitoring.terminal import show

            show(status, region, all_)
        invocation.leave(invocation.DONE if status.ground.sound else invocation.FOUND)


@rollout.command()
def publish(
    plan: Plan = invocation.PLAN,
    at: At = invocation.AT,
    state: State = invocation.STATE,
    to: Annotated[
        Path | None, typer.Option("--to", help="The page; default <state>/rollout/<target>/index.html.")
    ] = None,
    ask: Ask = True,
) -> None:
    """Write the status as one page that needs no network, and record that it was published (MS-2-12)."""
    from ground import files
    from ip_plan import plan as plans
    from monitoring import rollout as views
    from monitoring.checks.look import tool
    from monitoring.evidence import log
    from monitoring.portal import page

    with invocation.guarded():
        status = _now(plan, at, state, ask)
        html = page.render(status, plans.load(plan).regions).encode()
        path = to or state / "rollout" / at / "index.html"
        files.write(path, html)
        if status.ground.sound:
            log.of(state, at, tool()).add([views.published(at, status.time, html, tool())], [html])
        print(f"{path}: {len(html) / 1000:.0f} kB")
        if status.rehearsal:
            print(views.REHEARSAL)
        for finding in status.ground.findings:
            print(finding)
        invocation.leave(invocation.DONE if status.ground.sound else invocation.FOUND)


@rollout.command()
def metrics(
    plan: Plan = invocation.PLAN,
    at: At = invocation.AT,
    state: State = invocation.STATE,
    listen: Annotated[str, typer.Option("--listen", help="Serve at address:port until interrupted.")] = "",
    textfile: Annotated[Path | None, typer.Option("--textfile", help="Write for a node exporter.")] = None,
) -> None:
    """The same figures for Prometheus: printed, written to a file, or served."""
    from ground import mistake
    from monitoring import metrics as figures

    with invocation.guarded():
        if listen:
            from prometheus_client import start_http_server

            host, _, port = listen.rpartition(":")
            try:
                made = figures.registry(lambda: _now(plan, at, state, False))
                _, thread = start_http_server(int(port), host.strip("[]") or "0.0.0.0", registry=made)
            except (OSError, ValueError, OverflowError) as error:
                cure = "Give a free port as address:port, e.g. 127.0.0.1:9101 or [::1]:9101."
                raise mistake.one("JB6240", f"cannot listen: {error}", cure, subject=listen) from None
            print(f"serving on {listen}", flush=True)
            thread.join()
        elif textfile is not None:
            figures.textfile(textfile, _now(plan, at, state, False))
        else:
            print(figures.text(_now(plan, at, state, False)).decode(), end="")


@evidence.command("verify")
def verify_command(
    plan: Plan = invocation.PLAN,
    at: At = invocation.AT,
    state: State = invocation.STATE,
    format: Format = "table",
    ask: Ask = True,
) -> None:
    """Hash every line and every detail again and ask the witness; name the first bad record.

    Exits 0 when all is as it was written, 1 when something was found, 2 when there is no log or the witness could not be asked.
    """
    from ip_plan import compile as compiler
    from monitoring import rollout as views
    from monitoring.evidence import log, verify

    with invocation.guarded():
        place = log.folder(state, at)
        statements, asked = views.ask_witness(compiler.compiled(plan, state), state, at) if ask else ([], "not-asked")
        verdict = verify.judge(place, statements)
        head = verdict.head
        if format == "json":
            invocation.emit({"findings": verdict.findings, "head": head, "witness": asked, "statements": statements})
        else:
            for finding in verdict.findings:
                print(finding)
            if head is None:
                print(f"{log.path(place)}: there is no log of {at}")
            elif not verdict.findings:
                print(f"{head.count} records of {at} are as they were written; head {head.hash}")
            own = [one for one in statements if head and one.log == head.log]
            if own:
                print(f"witness {own[-1].observer}: {own[-1].count} records at {own[-1].time}")
            elif asked == "asked":
                print("the witness knows nothing of this log yet: run `jinbao evidence witness`")
            elif asked == "unreached":
                print("the witness could not be asked: a log cut at its end cannot be told from a whole one")
        if verdict.findings:
            invocation.leave(invocation.FOUND)
        invocation.leave(invocation.FAILED if head is None or asked == "unreached" else invocation.DONE)


@evidence.command("head")
def head_command(at: At = invocation.AT, state: State = invocation.STATE, format: Format = "table") -> None:
    """How many lines the log has after its first one, and the hash of the last."""
    from monitoring.evidence import log

    with invocation.guarded():
        found = log.head(log.folder(state, at))
        if format == "json":
            invocation.emit(found)
        else:
            print(f"{found.count} {found.hash} {found.log}" if found else f"there is no log of {at}")
        invocation.leave(invocation.DONE if found else invocation.FAILED)


@evidence.command()
def show(
    number: Annotated[int, typer.Argument(help="Number of the record, as the status names it.")],
    at: At = invocation.AT,
    state: State = invocation.STATE,
) -> None:
    """One line of the log, and the detail it refers to."""
    from ground import mistake
    from monitoring.evidence import log

    with invocation.guarded():
        place = log.folder(state, at)
        for raw in log.lines(place):
            line = log.decode(raw)
            if line.sequence == number:
                invocation.emit(line)
                if line.record and line.record.detail:
                    print(log.detail(place, line.record.detail).decode(errors="replace"))
                return
        what = f"the log of {at} has no record {number}"
        raise mistake.one("JB6241", what, "`jinbao evidence head` says how many there are.", subject=str(number))


@evidence.command()
def witness(plan: Plan = invocation.PLAN, at: At = invocation.AT, state: State = invocation.STATE) -> None:
    """Have the witness host remember the log as it is now."""
    from ground import mistake, remote
    from ip_plan import compile as compiler
    from monitoring import rollout as views
    from monitoring.evidence import log
    from monitoring.evidence import witness as witnesses

    with invocation.guarded():
        head = log.head(log.folder(state, at))
        if head is None:
            raise mistake.one("JB6242", f"there is no log of {at} to witness", "Run `jinbao check run` first.")
        session, host = views.open_witness(compiler.compiled(plan, state), state, at)
        try:
            witnesses.put(session, host, head, at)
        finally:
            remote.close(session)
        print(f"{host} remembers {head.count} records, head {head.hash}")
