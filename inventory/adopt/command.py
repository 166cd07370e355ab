"""`jinbao config adopt`: what was changed on a device by hand, as entries for the plan."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ground import invocation
from ground.invocation import At, Format, Plan, State


def adopt_command(
    device: Annotated[str, typer.Argument(help="The device, as the inventory calls it.")],
    plan: Plan = invocation.PLAN,
    at: At = invocation.AT,
    state: State = invocation.STATE,
    to: Annotated[Path | None, typer.Option("--to", help="Write the entries here, and not to the terminal.")] = None,
    format: Format = "table",
) -> None:
    """Propose plan entries for what somebody changed on a device by hand, as last fetched. Touches neither device nor plan.

    Exits 1 where something cannot be proposed: a prohibition forbids it, or the plan has no words for it.
    """
    from ground import clock, files, mistake
    from inventory import running as runs
    from inventory.adopt import adopting
    from inventory.command import wanted
    from ip_plan import plan as plans
    from ip_plan import schema
    from ip_plan.compile import compiled

    with invocation.guarded():
        loaded = plans.load(plan)
        if to is not None and to.resolve() in {(loaded.folder / name).resolve() for name in schema.FILES}:
            cure = "Give another file; fill in its blanks, and put its entries into the plan yourself."
            raise mistake.one("JB2432", "this is a file of the plan itself", cure, file=str(to))
        network = compiled(plan, state)
        remedies = runs.remedies(state, at, wanted(plan, at, state, device))
        found = [
            adopting.adopt(network, loaded, one, Path(one.file).read_text() if one.file else "", clock.today())
            for one in remedies
        ]
        refused = tuple(each for one in found for each in one.refused)
        text = adopting.fragment(found)
        if format == "json":
            proposed = tuple(each for one in found for each in one.proposals)
            invocation.emit(adopting.Answer(proposed, refused, text))
        elif to is None:
            print(text, end="")
        if refused and format != "json":
            print(mistake.text(refused, "that is not proposed"), file=sys.stderr)
        if to is not None and text:
            files.write(to, text)
        if not text and not refused and format != "json":
            print(f"{device} runs what is rendered: there is nothing to adopt", file=sys.stderr)
        invocation.leave(invocation.FOUND if refused else invocation.DONE)
