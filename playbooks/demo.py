"""`jinbao demo`: the whole path once, by the commands that a person would type."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from ground import invocation, mistake
from ground.invocation import State

app = typer.Typer(help="The whole path once: plans, network, configuration, proof, machines, evidence, status.")

TWIN = "twin:demo"


class Step(msgspec.Struct, frozen=True):
    """One command, and why it comes here."""

    why: str
    command: tuple[str, ...]
    found: bool = False
    """Whether exit 1 (ran, found something) lets the demo go on."""


ABOUT = ("--plan", "pilot", "--at", TWIN)
PLAN = ("--plan", "pilot")

NATION = ("config", "render", "--plan", "national", "--at", "production")
NATION_GB, NATION_INODES = 8, 1_600_000
"""What 47,655 devices' files take on a disk, with some reserve."""

STEPS: tuple[Step, ...] = (
    Step("The national plan: addresses, names, numbers and links of every site",
         ("plan", "compile", "--plan", "national", "--confirm", "national")),
    Step("Every device's files, nation-wide", NATION),
    Step("The pilot: ministry, Ningxia, Yinchuan, Wuzhong", ("plan", "compile", *PLAN, "--confirm", "pilot")),
    Step("Its devices' files", ("config", "render", *ABOUT)),
    Step("The proof on the rendered text", ("config", "prove", *PLAN)),
    Step("Machines and wires as delivered, centre by centre, nothing configured", ("stack", "up", *ABOUT)),
    Step("They stand as declared", ("stack", "drift", *ABOUT)),
    Step("Configured over SSH, then looked at from outside with real packets", ("deploy", *ABOUT, "--confirm", "pilot")),
    Step("Configured, they still do", ("stack", "drift", *ABOUT)),
    Step("A database lost and restored, both losses measured", ("backup", "drill", "640100-prod1", *ABOUT, "--yes")),
    Step("The log's head kept by the ministry's host too", ("evidence", "witness", *ABOUT)),
    Step("The log hashed again from its first line", ("evidence", "verify", *ABOUT)),
    Step("The page for the staff", ("rollout", "publish", *ABOUT)),
    Step("How far the rollout has come, on the evidence of this run", ("rollout", "status", *ABOUT)),
)  # fmt: skip


@app.callback(invoke_without_command=True)
def demo(
    state: State = invocation.STATE,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the twin up afterwards, to look around.")] = False,
) -> None:
    """Run the whole path on this computer; the twin is taken down at the end unless --keep."""
    with invocation.guarded():
        started = time.perf_counter()
        times: list[tuple[str, float]] = []
        _run(Step("A twin of an earlier demo goes first", ("twin", "down", "--at", TWIN)), state)
        try:
            for step in STEPS:
                if step.command == NATION and not room(state):
                    step = Step(
                        "This disk is too small for every device's files: one province's", (*NATION, "--province", "64")
                    )
                begun = time.perf_counter()
                _run(step, state)
                times.append((" ".join(step.command[:2]), time.perf_counter() - begun))
        finally:
            if not keep:
                _run(Step("The twin goes", ("twin", "down", "--at", TWIN)), state)
        total = time.perf_counter() - started
        print("\n" + ", ".join(f"{name} {seconds:.0f} s" for name, seconds in times) + f"; in all {total:.0f} s")
        page = state / "rollout" / TWIN / "index.html"
        print(f"the page: {page}; the log: {state / 'evidence'}")
        if keep:
            print(f"the twin is up: jinbao twin shell 640100-prod1 --at {TWIN}; jinbao twin down --at {TWIN}")


def room(state: Path) -> bool:
    """Whether the disk of the state folder takes the files of every device of the nation."""
    disk = os.statvfs(next(folder for folder in (state.absolute(), *state.absolute().parents) if folder.exists()))
    # A file system that counts no inodes says 0 of 0.
    return disk.f_bavail * disk.f_frsize > NATION_GB * 10**9 and (not disk.f_files or disk.f_favail > NATION_INODES)


def _run(step: Step, state: object) -> None:
    command = [*step.command, "--state", str(state)]
    print(f"\n# {step.why}\n$ jinbao {' '.join(command)}", flush=True)
    code = subprocess.run([sys.executable, "-m", "jinbao", *command]).returncode
    if code and not (code == 1 and step.found):
        what = f"`jinbao {' '.join(step.command)}` ended with {code}"
        raise mistake.one("JB4020", what, "What it printed above says why; the demo can be run again as it is.")
