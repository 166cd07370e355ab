"""One stack and the engine: its workspace, its lock, what a run of the engine told, and what that means.

<state>/stack/<kind>/<lab>/<stack>/   Pulumi.yaml and the salt of the stack's secrets
<state>/stack/<kind>/<lab>/.engine/   the engine's state of all stacks, unless a URL is given, and its own folder
<state>/secrets/stack/…               the passphrase of each stack
"""

from __future__ import annotations

import re
import shutil
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import msgspec
from pulumi import automation
from pulumi.automation import events

from ground import secret
from ground.mistake import Mistake
from stacks import components, engine, policy
from stacks.program import Stack
from stacks.provider import resources, server

Op = Literal["create", "update", "replace", "delete"]
OPS: dict[str, Op] = {
    "create": "create",
    "update": "update",
    "delete": "delete",
    "replace": "replace",
    "create-replacement": "replace",
}
Told = Callable[[int], None]
"""Hears how many resources have been looked at or changed so far."""


class Target(msgspec.Struct, frozen=True):
    """Where stacks are, and where the engine keeps their state."""

    state: Path
    at: str
    engine: Path
    backend: str = ""
    """`postgres://…` or `s3://…`; empty: files below the state folder."""

    @property
    def folder(self) -> Path:
        """The folder of all stacks of this target."""
        return folder(self.state, self.at)

    @property
    def project(self) -> str:
        """Keeps the stacks of one target apart from another's in a state that they share."""
        return "jinbao-" + self.at.replace(":", "-")

    @property
    def url(self) -> str:
        """Where the engine keeps its state."""
        return self.backend or f"file://{self.folder / '.engine' / 'state'}"

    def passphrase(self, stack: str) -> Path:
        """The file with the stack's passphrase, made when it is asked for the first time."""
        name = f"stack/{self.project}/{stack}"
        secret.value(self.state.absolute(), name)
        return self.state.absolute() / "secrets" / name


class Change(msgspec.Struct, frozen=True, order=True):
    """What a run changed or would change of one host, segment or link."""

    stack: str
    op: Op
    kind: str
    name: str
    details: tuple[str, ...] = ()
    """`<property>: <before> → <after>`."""


class Outcome(msgspec.Struct, frozen=True):
    """How a run of one stack ended."""

    stack: str
    changes: tuple[Change, ...]
    mistakes: tuple[Mistake, ...] = ()


def folder(state: Path, at: str) -> Path:
    """The folder of all stacks of a target."""
    kind, _, lab = at.partition(":")
    return state.absolute() / "stack" / kind / lab


def known(folder: Path) -> list[str]:
    """The names of the stacks that stand, whatever the plan says now."""
    return sorted(path.parent.name for path in folder.glob("*/Pulumi.yaml"))


def preview(target: Target, stack: Stack, told: Told) -> Outcome:
    """What `up` would change, and what the policy pack has against it; changes nothing."""
    return _run(target, stack, told, lambda opened, **say: opened.preview(policy_packs=[policy.PACK], **say))


def up(target: Target, stack: Stack, told: Told, *, confirmed: bool = False) -> Outcome:
    """Look at what is there, then make, change and remove until it is as declared; goes on past what fails.

    What holds data is removed only where that was `confirmed`.
    """

    # The policies judge a whole graph, and the engine asks them when all is done: nothing may be made before.
    judged = preview(target, stack, told)
    # With consent given, the engine's guard of what holds data is no reason to stop.
    if [each for each in judged.mistakes if not (confirmed and each.code == "JB3108")]:
        return judged

    def work(opened: automation.Stack, **say: Any) -> None:
        if confirmed:
            _unprotect(opened)
        opened.up(refresh=True, continue_on_error=True, **say)

    return _run(target, stack, told, work)


def drift(target: Target, stack: Stack, told: Told) -> Outcome:
    """What is otherwise than the last `up` left it; changes nothing, not even the state."""
    return _run(target, stack, told, lambda opened, **say: opened.preview_refresh(**say))


def refresh(target: Target, stack: Stack, told: Told) -> Outcome:
    """Take what is there into the state."""
    return _run(target, stack, told, lambda opened, **say: opened.refresh(clear_pending_creates=True, **say))


def destroy(target: Target, stack: Stack, told: Told) -> Outcome:
    """Remove everything of the stack, then the stack itself."""

    def work(opened: automation.Stack, **say: Any) -> None:
        _unprotect(opened)
        opened.destroy(refresh=True, continue_on_error=True, remove=True, **say)

    outcome = _run(target, stack, told, work)
    if not outcome.mistakes:
        shutil.rmtree(target.folder / stack.name)
    return outcome


def holding_data(target: Target, stack: Stack) -> list[str]:
    """The hosts of the stack, as it stands, that hold data."""
    with_engine = _open(target, stack)
    deployment = with_engine.export_stack().deployment or {}
    return sorted(each["id"] for each in deployment.get("resources", []) if each.get("protect") and "id" in each)


def _open(target: Target, stack: Stack) -> automation.Stack:
    folder = target.folder / stack.name
    folder.mkdir(parents=True, exist_ok=True)
    own = target.folder / ".engine"
    (own / "state").mkdir(parents=True, exist_ok=True)
    environment = engine.environment(target.engine, own / "home") | {
        "PULUMI_BACKEND_URL": target.url,
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(target.passphrase(stack.name)),
        "JINBAO_AT": target.at,
        "JINBAO_STATE": str(target.state.absolute()),
    }
    # One found on PATH has no folder of its own that has to be named.
    root = None if shutil.which("pulumi") == str(target.engine) else str(target.engine.parent.parent)
    return automation.create_or_select_stack(
        stack.name,
        project_name=target.project,
        program=partial(components.declare, stack),
        opts=automation.LocalWorkspaceOptions(
            work_dir=str(folder),
            pulumi_home=str(own / "home"),
            env_vars=environment,
            secrets_provider="passphrase",
            project_settings=automation.ProjectSettings(target.project, "python"),
            pulumi_command=automation.PulumiCommand(root, skip_version_check=True),
        ),
    )


def _run(target: Target, stack: Stack, told: Told, work: Callable[..., Any]) -> Outcome:
    for fresh in (True, False):
        listener = Listener(stack.name, told)
        try:
            opened = _open(target, stack)
            work(opened, on_event=listener.hear, color="never")
        except automation.CommandError as why:
            said = str(why)
            held = locks(said)
            if fresh and held and all(left_by_the_dead(*each) for each in held):
                _open(target, stack).cancel()
                continue
            return Outcome(
                stack.name, listener.found(), tuple(listener.mistakes or meaning(target, stack.name, said, held))
            )
        return Outcome(stack.name, listener.found(), tuple(listener.mistakes))
    raise AssertionError


def _unprotect(opened: automation.Stack) -> None:
    space = opened.workspace
    line = ["state", "unprotect", "--all", "--yes", "--stack", opened.name]
    space.pulumi_command.run(line, space.work_dir, {**space.env_vars, "PULUMI_HOME": space.pulumi_home or ""})


class Listener:
    """Hears the engine's events of one run."""

    def __init__(self, stack: str, told: Told) -> None:
        self.stack = stack
        self.mistakes: list[Mistake] = []
        self._told = told
        self._seen: set[str] = set()
        self._changes: dict[tuple[str, str], Change] = {}

    def found(self) -> tuple[Change, ...]:
        """Every change, sorted."""
        return tuple(sorted(self._changes.values()))

    def hear(self, event: automation.EngineEvent) -> None:
        """One event."""
        if event.diagnostic_event and event.diagnostic_event.severity == "error":
            self._complain(event.diagnostic_event)
        if event.policy_event and event.policy_event.enforcement_level == "mandatory":
            self._refuse(event.policy_event)
        for step in (event.resource_pre_event, event.res_outputs_event):
            if step and step.metadata.type.startswith(f"{resources.PACKAGE}:index:"):
                self._step(step.metadata, done=step is event.res_outputs_event)

    def _step(self, step: events.StepEventMetadata, *, done: bool) -> None:
        if done:
            self._seen.add(step.urn)
            self._told(len(self._seen))
        op = OPS.get(step.op)
        if op is None:
            return
        kind, name = resources.kind_of(step.type), step.urn.rpartition("::")[2]
        before, after = (_values(state) for state in (step.old, step.new))
        details = tuple(_details(before, after, kind)) if before and after else ()
        known = self._changes.get((kind, name))
        self._changes[kind, name] = Change(
            self.stack, _merged(known.op, op) if known else op, kind, name, details or (known.details if known else ())
        )

    def _complain(self, said: events.DiagnosticEvent) -> None:
        text = re.sub(r"<\{%[^%]*%\}>", "", said.message).strip()
        subject = (said.urn or "").rpartition("::")[2]
        if found := server.told(text):
            self.mistakes += found
        elif "protect" in text and "delete" in text:
            cure = f"If its data may go, give --confirm {self.stack}."
            self.mistakes.append(_mistake("JB3108", subject, "holds data and would be removed", cure))
        elif said.urn and not said.urn.endswith(f"::{self.stack}"):
            self.mistakes.append(_mistake("JB3103", subject, f"the engine says: {text}", "Run the same command again."))

    def _refuse(self, event: events.PolicyEvent) -> None:
        text = re.sub(r"<\{%[^%]*%\}>", "", event.message).strip()
        subject = (event.resource_urn or "").rpartition("::")[2]
        what, _, cure = text.rpartition("\n")
        self.mistakes.append(
            _mistake("JB3109", subject or self.stack, what.strip() or text, cure.strip() or "Change the plan.")
        )


def _merged(first: Op, then: Op) -> Op:
    return "replace" if {first, then} == {"create", "delete"} else then


def _values(state: events.StepEventStateMetadata | None) -> Mapping[str, Any]:
    if state is None:
        return {}
    return {**(state.outputs or {}), **(state.inputs or {})}


def _details(before: Mapping[str, Any], after: Mapping[str, Any], kind: str) -> Iterable[str]:
    for path in resources.differences(before, after, kind):
        yield f"{path}: {_said(before, path)} → {_said(after, path)}"


def _said(values: Mapping[str, Any], path: str) -> str:
    name, _, key = path.partition("[")
    value = values.get(name)
    if key:
        value = (value or {}).get(key.strip('"]'))
    if isinstance(value, list | tuple):
        return " ".join(map(str, value)) or "nothing"
    return "nothing" if value in (None, "") else str(value)


def locks(said: str) -> list[tuple[str, int, str]]:
    """(host, process, time) of each lock that keeps a stack, as the engine tells."""
    return [
        (host, int(pid), when) for host, pid, when in re.findall(r"created by \S*?@(\S+) \(pid (\d+)\) at (\S+)", said)
    ]


def left_by_the_dead(host: str, process: int, when: str) -> bool:
    """Whether a lock is this machine's, and its process no engine any more."""
    if host != socket.gethostname():
        return False
    try:
        return "pulumi" not in Path(f"/proc/{process}/comm").read_text()
    except FileNotFoundError:
        return True


def meaning(target: Target, stack: str, said: str, held: Sequence[tuple[str, int, str]] = ()) -> list[Mistake]:
    """What a run that could not be ended means to the user."""
    if held:
        host, process, when = held[0]
        if host == socket.gethostname():
            cure = "Wait until it has ended, then run the same command again."
            return [_mistake("JB3104", stack, f"another run works on it: process {process} since {when}", cure)]
        where = f"cd {target.folder / stack} && PULUMI_BACKEND_URL={target.url} {target.engine} cancel --stack {stack}"
        cure = f"See that it does not run any more, then: {where}"
        return [_mistake("JB3105", stack, f"locked by process {process} on {host} since {when}", cure)]
    if "incorrect passphrase" in said or "passphrase must be set" in said:
        cure = f"Put the passphrase back that the stack was made with, in {target.passphrase(stack)}."
        return [_mistake("JB3106", stack, "the passphrase does not open its state", cure)]
    if re.search(
        r"could not (deserialize|unmarshal)|failed to load|invalid character|unexpected end of JSON|snapshot integrity",
        said,
    ):
        cure = f"Put a copy of {target.url} back; `.bak` files beside it are older ones."
        return [_mistake("JB3107", stack, f"the engine cannot read its state: {_last(said)}", cure)]
    if re.search(r"protected|--target-dependents", said) and "delete" in said:
        return [_mistake("JB3108", stack, "what holds data would be removed", f"If it may go, give --confirm {stack}.")]
    return [_mistake("JB3103", stack, f"the engine says: {_last(said)}", "Run the same command again.")]


def _last(said: str) -> str:
    stderr = said.partition("stderr:")[2] or said
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    return " ".join(lines)[-600:] or "nothing"


def _mistake(code: str, subject: str, what: str, cure: str) -> Mistake:
    return Mistake("", None, None, code, subject, what, cure)
