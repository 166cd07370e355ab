"""`jinbao config diff` and `jinbao config remediate`: what was fetched against what was rendered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ground import files, invocation, mistake, reach, tree
from ground.invocation import At, Format, Plan, State
from ip_plan import folder

if TYPE_CHECKING:
    from inventory import running as runs
    from inventory.acceptance import Remedy
    from inventory.config import Path as Section
    from inventory.diff import Difference, Shared

Limit = Annotated[str, typer.Option("--limit", help="Devices, patterns or groups of the inventory, with commas.")]
DEVICES, LINES, LONG, SHARED = 12, 40, 400, 12
"""How much of each is shown to people."""


def diff_command(
    plan: Plan = invocation.PLAN,
    at: At = invocation.AT,
    state: State = invocation.STATE,
    limit: Limit = "",
    format: Format = "table",
) -> None:
    """What the devices ran when they were last fetched against what is rendered: by section, device and fleet."""
    from inventory import evidence
    from inventory.diff import fleet

    with invocation.guarded():
        found = looked(plan, at, state, limit, evidence.DIFF)
        shared = fleet((one.device, one.dialect, list(one.differences)) for one in found)
        if format == "json":
            invocation.emit({"devices": found, "fleet": shared})
        else:
            show(found)
            show_fleet(shared)
        invocation.leave(invocation.DONE if all(one.right for one in found) else invocation.FOUND)


def remediate_command(
    plan: Plan = invocation.PLAN,
    at: At = invocation.AT,
    state: State = invocation.STATE,
    limit: Limit = "",
    format: Format = "table",
) -> None:
    """The commands that bring the devices, as last fetched, to what is rendered, and those that lead back. Sends nothing."""
    from inventory import evidence

    with invocation.guarded():
        found = looked(plan, at, state, limit, evidence.REMEDY)
        kept = {(one.device, one.dialect): keep(one) for one in found if one.commands}
        if format == "json":
            invocation.emit(found)
        else:
            for one in found:
                print("\n".join(told(one, kept.get((one.device, one.dialect)))))
            print(summary(found))
        invocation.leave(invocation.DONE if all(one.right for one in found) else invocation.FOUND)


def looked(plan: str, at: str, state: Path, limit: str, check: str) -> list[Remedy]:
    """What the last copies need, each with a record of `check`. Raises Mistakes as `wanted` does, and what the log raises."""
    from inventory import evidence
    from inventory import running as runs

    asked = wanted(plan, at, state, limit)
    found = runs.remedies(state, at, asked)
    evidence.keep(state, at, [evidence.of_remedy(state, at, check, *pair) for pair in zip(asked, found, strict=True)])
    return found


def wanted(plan: str, at: str, state: Path, limit: str) -> list[runs.Intended]:
    """The rendered configurations of the target's devices that `limit` names. Raises Mistakes JB2002, JB2110, JB2112, JB4007."""
    from inventory import ansible, render
    from inventory import running as runs

    build = tree.place(state, at, folder.name_of(plan))
    states = render.read_states(build)
    if not states:
        raise ansible.nothing_rendered(build)
    # What is rendered and does not run in this target is no part of it, unless it is asked for by its name.
    known = reach.of(state, at).keys() | set(runs.parts(limit))
    return runs.intended(state, build, [host for host in runs.select(states, limit) if host.name in known])


def keep(one: Remedy) -> tuple[Path, Path]:
    """Write the commands, and those that lead back, beside the copy that they were made from; their files."""
    there, back = Path(one.file).with_suffix(".commands"), Path(one.file).with_suffix(".rollback")
    for path, lines in ((there, one.commands), (back, one.rollback)):
        files.write(path, "".join(f"{line}\n" for line in lines), 0o600)
    return there, back


def told(one: Remedy, kept: tuple[Path, Path] | None) -> Iterator[str]:
    """One remediation as a person reads it."""
    if one.right:
        yield f"{one.device} {one.dialect}: as rendered"
        return
    if one.differences:
        yield f"{one.device} {one.dialect}: {len(one.differences)} lines differ"
    listed = list(by_section(one.differences))
    yield from listed[:LINES]
    if len(listed) > LINES:
        yield f"  … {len(listed) - LINES} more lines"
    if kept is not None:
        for title, lines, path in (("commands", one.commands, kept[0]), ("way back", one.rollback, kept[1])):
            yield f"  {title}: {len(lines)} lines, {path}"
            # What is replaced whole is read in its file.
            yield from (f"    {line}" for line in lines if len(lines) <= LONG)
    yield from (f"  last: `{command}`: {reason}" for command, reason in one.last)
    yield from (f"  stays: {' / '.join((*each.section, each.line))}: no rule knows it" for each in one.kept)
    if one.mistakes:
        yield mistake.text(one.mistakes, "no commands for this device")


def summary(found: Sequence[Remedy]) -> str:
    """How many of them are right."""
    refused = sum(bool(one.mistakes) for one in found)
    changing = sum(bool(one.commands) for one in found)
    lines = sum(len(one.commands) for one in found)
    right = sum(one.right for one in found)
    return (
        f"{len(found)} configurations: {right} as rendered, {changing} with {lines} commands, {refused} without a way"
    )


def show(found: Sequence[Remedy]) -> None:
    """Print the differences of each device, by section."""
    wrong = [one for one in found if not one.right]
    for one in wrong[:DEVICES]:
        print(f"{one.device} {one.dialect}")
        lines = list(by_section(one.differences))
        print("\n".join(lines[:LINES]))
        if len(lines) > LINES:
            print(f"  … {len(lines) - LINES} more lines")
        if one.mistakes:
            print(mistake.text(one.mistakes, "nothing is known of this device"))
    if len(wrong) > DEVICES:
        print(f"… {len(wrong) - DEVICES} more configurations")
    print(summary(found))


def by_section(listed: Iterable[Difference]) -> Iterator[str]:
    """Differences under the lines that open their sections."""

    def section(one: Difference) -> Section:
        return one.section

    for path, each in groupby(listed, section):
        yield "  " + (" / ".join(path) or "outside of sections")
        yield from (f"    {one}" for one in each)


def show_fleet(shared: Sequence[Shared]) -> None:
    """Print what several devices have in common, those of most devices first."""
    common = [one for one in shared if len(one.devices) > 1]
    for one in common[:SHARED]:
        what = "is missing on" if one.difference.kind == "missing" else "is too much on"
        place = " / ".join((*one.difference.section, one.difference.line))
        print(f"{one.dialect} `{place}` {what} {len(one.devices)} devices")
    if len(common) > SHARED:
        print(f"… {len(common) - SHARED} more lines that several devices have in common")
