"""The front door: composes the rooms' command groups, holds no logic."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

if TYPE_CHECKING:
    from ground.record import Record, Recorder

GROUPS: Final = {
    "plan": ("ip_plan.cli", "app"),
    "config": ("inventory.cli", "app"),
    "twin": ("stacks.cli", "twin"),
    "stack": ("stacks.cli", "stack"),
    "deploy": ("playbooks.cli", "app"),
    "check": ("monitoring.checks.cli", "app"),
    "backup": ("backup.cli", "app"),
    "rollout": ("monitoring.cli", "rollout"),
    "evidence": ("monitoring.cli", "evidence"),
    "demo": ("playbooks.demo", "app"),
}


def _log(state: Path, target: str) -> Recorder:
    from monitoring.checks.look import tool
    from monitoring.evidence import log

    return log.of(state, target, tool())


def _checks(plan: str, at: str, state: Path) -> Sequence[Record]:
    from ground import reach, remote
    from ip_plan.compile import compiled
    from monitoring.checks.cli import observe

    session = remote.session(reach.of(state, at))
    try:
        return observe(compiled(plan, state), session, at, _log(state, at))
    finally:
        remote.close(session)


def _join_backup() -> None:
    """Audits and drills leave their records in the evidence log."""
    from backup import cli

    cli.recorders.append(_log)


def _join_deploy() -> None:
    """The checks from outside follow every deploy; what was sent to devices leaves records."""
    from playbooks import cli

    cli.after.append(_checks)
    _join_evidence()


def _join_evidence() -> None:
    from inventory import evidence

    if _log not in evidence.recorders:
        evidence.recorders.append(_log)


def _join_config() -> None:
    """Fetching what devices run connects to them, and stands beside what is done with it; all of it leaves records."""
    from inventory import cli
    from playbooks.cli import fetch

    cli.app.command("fetch")(fetch)
    _join_evidence()


JOINTS: Final[dict[str, Callable[[], None]]] = {
    "backup": _join_backup,
    "config": _join_config,
    "deploy": _join_deploy,
}


def build(argv: list[str]) -> typer.Typer:
    """The program with the one group that `argv` names, or with all of them for its help."""
    app = typer.Typer(
        no_args_is_help=True, add_completion=False, help="金保: plan, build, prove and watch the network."
    )
    wanted = next((word for word in argv if not word.startswith("-")), "")
    for name, (module, attribute) in GROUPS.items():
        # A group is loaded only when it is asked for: starting stays fast.
        if wanted in (name, "") or wanted not in GROUPS:
            app.add_typer(getattr(importlib.import_module(module), attribute), name=name)
    for name, join in JOINTS.items():
        if wanted in (name, ""):
            join()
    return app


def main() -> None:
    """Run the command line."""
    build(sys.argv[1:])()


if __name__ == "__main__":
    main()
