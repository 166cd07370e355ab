"""The front door: composes the rooms' command groups, holds no logic."""

from __future__ import annotations

import importlib
import sys
from typing import Final

import typer

GROUPS: Final = {
    "plan": ("ip_plan.cli", "app"),
    "config": ("inventory.cli", "app"),
    "twin": ("stacks.cli", "twin"),
    "deploy": ("playbooks.cli", "app"),
    "demo": ("playbooks.demo", "app"),
    "check": ("monitoring.checks.cli", "app"),
    "backup": ("backup.cli", "app"),
    "rollout": ("monitoring.cli", "rollout"),
    "evidence": ("monitoring.cli", "evidence"),
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
    return app


def main() -> None:
    """Run the command line."""
    build(sys.argv[1:])()


if __name__ == "__main__":
    main()
