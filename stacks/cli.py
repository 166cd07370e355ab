"""`jinbao twin`: doctor, up, down, status, shell."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ground import invocation, mistake, tree
from ground.invocation import At, Format, Plan, State

if TYPE_CHECKING:
    from stacks.twin.lab import Progress

twin = typer.Typer(no_args_is_help=True, help="The twin: the plan's running sites as real machines on this computer.")


def lab_name(at: str) -> str:
    """The name of the lab that `--at twin:<name>` means. Raises Mistakes."""
    kind, _, name = at.partition(":")
    if kind != "twin" or not name:
        raise mistake.one("JB3020", f"{at} is not a twin", "Give --at twin:<name>, e.g. twin:pilot.")
    return name


def folder(state: Path) -> Path:
    """Where labs keep their state."""
    return state / "twin"


@contextmanager
def progress() -> Iterator[Progress]:
    """A line for people that tells how far the lab is; silent where nobody looks."""
    if not sys.stderr.isatty():
        yield lambda what, done, total: None
        return
    from rich.progress import Progress as Bar

    with Bar(transient=True) as bar:
        tasks: dict[str, object] = {}

        def tell(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done, total=total)  # type: ignore[arg-type]

        yield tell


@twin.command()
def doctor(format: Format = "table") -> None:
    """Say what this computer lacks for a twin, and what to do about it."""
    from stacks.twin import doctor as doctors

    with invocation.guarded():
        facts = doctors.gather()
        found = doctors.examine(facts)
        if format == "json":
            invocation.emit({"facts": doctors.summary(facts), "findings": found})
        else:
            for name, value in doctors.summary(facts).items():
                print(f"{name:<12} {value}")
            print(mistake.text(found, "no twin can run here") if found else "a twin can run here")
        invocation.leave(invocation.FOUND if any(item.severity == "error" for item in found) else invocation.DONE)


@twin.command()
def up(
    plan: Plan = invocation.PLAN,
    at: At = invocation.AT,
    state: State = invocation.STATE,
    bare: Annotated[bool, typer.Option("--bare", help="Machines without configuration, as delivered.")] = False,
) -> None:
    """Bring the plan's running sites up; with the rendered configuration unless --bare. Makes only what is missing."""
    from ip_plan import compile as compiler
    from stacks.twin import build, lab

    with invocation.guarded():
        started = time.perf_counter()
        name = lab_name(at)
        network = compiler.compiled(plan, state)
        shape = build.lab(network, name)
        trees: dict[str, Path] = {}
        if not bare:
            rendered = tree.place(state, at, network.meta.name)
            trees = {node.name: rendered / node.name for node in shape.nodes}
            missing = [node for node, path in trees.items() if not (path / "tree.json").exists()]
            if missing:
                what = f"{len(missing)} of {len(trees)} nodes have no rendered configuration, {missing[0]} first"
                cure = f"Run `jinbao config render --plan {plan}` first, or give --bare."
                raise mistake.one("JB3021", what, cure, file=str(rendered))
        with progress() as tell:
            lab.up(shape, folder(state), trees or None, tell)
        print(f"{name}: {len(shape.nodes)} nodes up in {time.perf_counter() - started:.1f} s")


@twin.command()
def down(at: At = invocation.AT, state: State = invocation.STATE) -> None:
    """Take a twin down and remove everything of it, also after a crash."""
    from stacks.twin import lab

    with invocation.guarded():
        name = lab_name(at)
        with progress() as tell:
            lab.down(name, folder(state), progress=tell)
        print(f"{name}: down")


@twin.command()
def status(at: At = invocation.AT, state: State = invocation.STATE, format: Format = "table") -> None:
    """Nodes and wires of a twin as they are now."""
    from stacks.twin import lab

    with invocation.guarded():
        found = lab.status(lab_name(at), folder(state))
        if format == "json":
            invocation.emit(found)
        else:
            for node in found.nodes:
                print(node)
            print(f"{len(found.nodes)} nodes, {len(found.whole)} wires whole, {len(found.broken)} broken")
        invocation.leave(invocation.FOUND if found.broken else invocation.DONE)


@twin.command()
def shell(
    device: str,
    command: Annotated[list[str] | None, typer.Argument()] = None,
    at: At = invocation.AT,
    state: State = invocation.STATE,
) -> None:
    """A shell on a node, or one command there."""
    from stacks.twin import lab

    with invocation.guarded():
        raise typer.Exit(lab.shell(lab_name(at), device, command or [], folder(state)))
