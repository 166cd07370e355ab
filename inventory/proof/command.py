"""`jinbao config prove`: the rendered tree held against the plan, on the terminal or as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ground import findings, invocation
from ground.invocation import At, Plan, Review, State

Build = Annotated[Path | None, typer.Option("--build", help="Folder of the rendered trees; else the state's own.")]


def prove_command(
    plan: Plan = invocation.PLAN,
    at: At = invocation.AT,
    state: State = invocation.STATE,
    build: Build = None,
    everything: Annotated[bool, typer.Option("--all", help="Every rendered device, not only the twin's.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Prove everything anew, whatever has not changed.")] = False,
    opener: Annotated[
        str, typer.Option("--from", help="Who opens: an address, or site:zone, e.g. 640100:exchange.")
    ] = "",
    target: Annotated[str, typer.Option("--to", help="Who is reached: an address, or site:zone.")] = "",
    port: Annotated[str, typer.Option("--port", help="tcp/5432, udp/53, icmp/echo …")] = "",
    service: Annotated[
        str, typer.Option("--service", help="Instead of --port: a service of the zone that is reached.")
    ] = "",
    format: Review = "table",
) -> None:
    """Read the rendered text back and prove what it allows; with --from, --to and --port or --service, follow one connection."""
    with invocation.guarded():
        from inventory.proof import asking  # the proof is imported when there is something to prove

        if opener or target or port or service:
            followed = asking.follow(plan, at, state, build, (opener, target), port, service)
            if format == "json":
                invocation.emit(followed)
            else:
                print("\n".join(asking.told(decision) for decision in followed))
            invocation.leave(invocation.DONE if followed and all(d.allowed for d in followed) else invocation.FOUND)
        if everything or not at.startswith("twin:"):
            verdict = asking.whole(plan, at, state, build, fresh)
        else:
            verdict = asking.running(plan, at, state, build)
        if format == "json":
            invocation.emit(asking.summary(verdict))
        elif format in findings.FORMATS:
            print(findings.text(format, "config prove", asking.judged(verdict), asking.mistakes(verdict)), end="")
        else:
            print(asking.table(verdict))
        if verdict.mistakes:
            invocation.leave(invocation.FAILED)
        invocation.leave(invocation.DONE if verdict.good else invocation.FOUND)
