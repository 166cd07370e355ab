"""`jinbao twin`: doctor, up, down, status, shell. `jinbao stack`: preview, up, drift, refresh, destroy."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ground import invocation, mistake, reach, tree
from ground.invocation import At, Format, Plan, State

if TYPE_CHECKING:
    from stacks.program import Stack
    from stacks.twin.lab import Progress
    from stacks.workspace import Outcome, Target, Told

twin = typer.Typer(no_args_is_help=True, help="The twin: the plan's running sites as real machines on this computer.")
stack = typer.Typer(
    no_args_is_help=True, help="Data centres as code: one stack a centre, and one a province for its lines."
)

Stacks = Annotated[list[str] | None, typer.Argument(help="Names of stacks or region codes; all without.")]
Backend = Annotated[
    str,
    typer.Option(
        "--backend", envvar="JINBAO_STACKS", help="postgres:// or s3:// URL of the engine's state; else files."
    ),
]
Parallel = Annotated[int, typer.Option("--parallel", min=1, help="Stacks at a time.")]
Confirm = Annotated[
    list[str] | None, typer.Option("--confirm", help="Name of a stack whose data may go; may be given more than once.")
]
AT_A_TIME = 2


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


@stack.command()
def preview(
    stacks: Stacks = None,
    plan: Plan = invocation.PLAN,
    at: At = invocation.AT,
    state: State = invocation.STATE,
    backend: Backend = "",
    parallel: Parallel = AT_A_TIME,
    format: Format = "table",
) -> None:
    """What `up` would make, change and remove, and what the policies have against it; changes nothing."""
    from stacks import workspace

    with invocation.guarded():
        target, wanted = _wanted(plan, at, state, backend, stacks)
        _report(
            _each(wanted, parallel, lambda one, told: workspace.preview(target, one, told)),
            format,
            "would change",
            found=True,
        )


@stack.command("up")
def raise_(
    stacks: Stacks = None,
    plan: Plan = invocation.PLAN,
    at: At = invocation.AT,
    state: State = invocation.STATE,
    backend: Backend = "",
    parallel: Parallel = AT_A_TIME,
    confirm: Confirm = None,
    format: Format = "table",
) -> None:
    """Make what is missing, put right what is otherwise, remove what the plan has no more."""
    from stacks import workspace

    with invocation.guarded():
        target, wanted = _wanted(plan, at, state, backend, stacks)
        if at.startswith("twin:"):
            from stacks.twin import lab

            with progress() as tell:
                lab.prepared(sum(len(one.hosts) for one in wanted), tell)
        named = _confirmed(wanted, confirm)
        outcomes = _each(
            wanted, parallel, lambda one, told: workspace.up(target, one, told, confirmed=one.name in named)
        )
        _report(outcomes, format, "changed")


@stack.command()
def drift(
    stacks: Stacks = None,
    plan: Plan = invocation.PLAN,
    at: At = invocation.AT,
    state: State = invocation.STATE,
    backend: Backend = "",
    parallel: Parallel = AT_A_TIME,
    format: Format = "table",
) -> None:
    """What is otherwise than the last `up` left it; changes nothing."""
    from stacks import workspace

    with invocation.guarded():
        target, wanted = _wanted(plan, at, state, backend, stacks)
        _report(
            _each(wanted, parallel, lambda one, told: workspace.drift(target, one, told)),
            format,
            "otherwise",
            found=True,
        )


@stack.command()
def refresh(
    stacks: Stacks = None,
    plan: Plan = invocation.PLAN,
    at: At = invocation.AT,
    state: State = invocation.STATE,
    backend: Backend = "",
    parallel: Parallel = AT_A_TIME,
    format: Format = "table",
) -> None:
    """Take what is there now into the engine's state; machines are left as they are."""
    from stacks import workspace

    with invocation.guarded():
        target, wanted = _wanted(plan, at, state, backend, stacks)
        _report(_each(wanted, parallel, lambda one, told: workspace.refresh(target, one, told)), format, "taken in")


@stack.command()
def destroy(
    stacks: Annotated[list[str], typer.Argument(help="Names of stacks or region codes.")],
    plan: Plan = invocation.PLAN,
    at: At = invocation.AT,
    state: State = invocation.STATE,
    backend: Backend = "",
    parallel: Parallel = AT_A_TIME,
    confirm: Confirm = None,
    format: Format = "table",
) -> None:
    """Remove everything of these stacks. Where a host holds data, the stack's name has to be typed, or given."""
    from stacks import workspace

    with invocation.guarded():
        target, wanted = _wanted(plan, at, state, backend, stacks)
        named = _confirmed(wanted, confirm)
        missing = []
        for one in wanted:
            hosts = workspace.holding_data(target, one) if one.name not in named else []
            if hosts and not _typed(one.name, hosts):
                what = f"{len(hosts)} hosts hold data, {hosts[0]} first"
                missing.append(mistake.Mistake("", None, None, "JB3108", one.name, what, f"Give --confirm {one.name}."))
        if missing:
            raise mistake.Mistakes(missing, "nothing was removed")
        outcomes = _each(wanted, parallel, lambda one, told: workspace.destroy(target, one, told))
        if at.startswith("twin:"):
            from stacks.twin import lab

            lab.close_empty(lab_name(at), folder(state))
        _report(outcomes, format, "removed")


def _wanted(
    plan: str, at: str, state: Path, backend: str, words: Sequence[str] | None
) -> tuple[Target, tuple[Stack, ...]]:
    """Where the stacks are and which are meant; the engine is built where there is none. Raises Mistakes."""
    from ip_plan import compile as compiler
    from stacks import engine, program, workspace

    network = compiler.compiled(plan, state)
    if at == "production":
        # Machines exist as far as somebody has said how they are reached.
        every = program.stacks(network, reach.of(state, at))
    else:
        lab_name(at)
        every = program.stacks(network)
    names = {one.name for one in every}
    known = [name for name in workspace.known(workspace.folder(state, at)) if name not in names]
    left = [program.Stack(name, "not in the plan any more", (), ()) for name in known]
    chosen = program.chosen(every, left, words or ())
    if engine.found() is None:
        print("building the Pulumi engine, once: some minutes", file=sys.stderr)
    with invocation.steps() as told:
        return workspace.Target(state, at, engine.ready(told), backend), chosen


def _each(wanted: Sequence[Stack], parallel: int, work: Callable[[Stack, Told], Outcome]) -> list[Outcome]:
    """Work on each stack, so many at a time, and tell how far they are."""
    from concurrent.futures import ThreadPoolExecutor

    with progress() as tell, ThreadPoolExecutor(parallel) as pool:

        def one(stack: Stack) -> Outcome:
            tell(stack.name, 0, stack.size)
            return work(stack, lambda done: tell(stack.name, min(done, stack.size), stack.size))

        return list(pool.map(one, wanted))


def _report(outcomes: Sequence[Outcome], format: str, says: str, *, found: bool = False) -> None:
    """Print what was found, and leave: 2 where a stack could not be worked on, 1 where something would change or drifted."""
    if format == "json":
        invocation.emit(outcomes)
    else:
        signs = {"create": "+", "update": "~", "replace": "±", "delete": "-"}
        for outcome in outcomes:
            for change in outcome.changes:
                print(f"{signs[change.op]} {change.kind:<8}{change.name}")
                for detail in change.details:
                    print(f"      {detail}")
            print(f"{outcome.stack}: {f'{len(outcome.changes)} {says}' if outcome.changes else 'as it should be'}")
    if wrong := [one for outcome in outcomes for one in outcome.mistakes]:
        raise mistake.Mistakes(dict.fromkeys(wrong), "what was finished stays")
    told = found and any(outcome.changes for outcome in outcomes)
    invocation.leave(invocation.FOUND if told else invocation.DONE)


def _confirmed(wanted: Sequence[Stack], confirm: Sequence[str] | None) -> set[str]:
    """The stacks that were confirmed by name. Raises Mistakes JB3111 where one was that is not meant."""
    from stacks import program

    program.chosen(wanted, (), confirm or ())
    return set(confirm or ())


def _typed(name: str, hosts: Sequence[str]) -> bool:
    return sys.stdin.isatty() and input(f"{', '.join(hosts)} hold data. Type {name} to remove it: ").strip() == name
