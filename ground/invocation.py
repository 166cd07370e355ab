"""What the front door hands every command: the plan, the target, the state folder and the way to print."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, NoReturn

import msgspec
import typer

from ground.mistake import Mistakes

Plan = Annotated[str, typer.Option("--plan", help="Plan folder, or the name of a shipped plan.", envvar="JINBAO_PLAN")]
At = Annotated[str, typer.Option("--at", help="Target: twin:<name> or production.", envvar="JINBAO_AT")]
State = Annotated[Path, typer.Option("--state", help="State folder.", envvar="JINBAO_STATE")]
Scheduler = Annotated[
    str,
    typer.Option(
        "--scheduler",
        help="Scheduler of a Dask cluster that sees the same files: tcp://host:8786.",
        envvar="JINBAO_SCHEDULER",
    ),
]
Format = Annotated[str, typer.Option("--format", help="table, for people; json, for programs.")]
Review = Annotated[
    str,
    typer.Option("--format", help="table, for people; json, for programs; sarif or junit, for reviews of a change."),
]

PLAN = "pilot"
AT = "twin:pilot"
STATE = Path(".state")

DONE, FOUND, FAILED = 0, 1, 2


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """Run a command's body: mistakes are printed with their way out and end with exit 2, Ctrl-C with 130."""
    try:
        yield
    except Mistakes as mistakes:
        print(mistakes, file=sys.stderr)
        raise typer.Exit(FAILED) from None
    except KeyboardInterrupt:
        print("interrupted; what was finished stays, the next run goes on from there", file=sys.stderr)
        raise typer.Exit(130) from None


@contextlib.contextmanager
def steps() -> Iterator[Callable[[str], None]]:
    """A line that says what is being done; nothing where nobody looks at a terminal."""
    if not sys.stderr.isatty():
        yield lambda step: None
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    with Progress(SpinnerColumn(), TimeElapsedColumn(), TextColumn("{task.description}"), transient=True) as bar:
        task = bar.add_task("looking", total=None)
        yield lambda step: bar.update(task, description=step)


def emit(value: object) -> None:
    """Print `value` as JSON for a program."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=1).decode() + "\n")


def leave(code: int) -> NoReturn:
    """End the command with 0 (done, all good), 1 (ran, found something) or 2 (could not run)."""
    raise typer.Exit(code)
