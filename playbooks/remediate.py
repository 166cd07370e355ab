"""`jinbao deploy --remediate`: what devices run, fetched, shown, put right and looked at again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from ground import invocation, mistake, reach, remote
from inventory import command
from inventory.acceptance import Remedy
from playbooks import journal, push
from playbooks.deploy import Change
from playbooks.deploy import Plan as Seen
from playbooks.push import Pushed


class Order(msgspec.Struct, frozen=True):
    """What to put right. `name`: the plan's own; `check`: only show; `allowed`: share of devices that may change unconfirmed."""

    plan: str
    name: str
    at: str
    state: Path
    limit: str
    check: bool
    allowed: float


def run(order: Order, consent: Callable[[Seen], None], format: str) -> int:
    """Fetch, show, ask, send exactly what was shown, fetch again and compare; the exit code.

    Raises Mistakes JB4006 when `consent` is not given.
    """
    reaches = reach.of(order.state, order.at)
    wanted = command.wanted(order.plan, order.at, order.state, order.limit)
    session = remote.session(reaches)
    try:
        with invocation.steps() as told:
            told(f"fetching {len(wanted)} configurations")
            fetched = push.fetch(session, order.state, order.at, wanted)
            told("comparing them")
            remedies = push.remedies(fetched, wanted)
        journal.fetched(order.state, order.at, wanted, fetched)
        journal.compared(order.state, order.at, wanted, remedies)
        if format == "table":
            print("".join(f"{line}\n" for line in journal.cut_off(order.state, order.at, remedies)), end="")
        kept = {(one.device, one.dialect): command.keep(one) for one in remedies if one.commands}
        if format == "table":
            for one in remedies:
                print("\n".join(command.told(one, kept.get((one.device, one.dialect)))))
            print(command.summary(remedies))
        if order.check:
            if format == "json":
                invocation.emit({"remedies": remedies, "pushed": []})
            return invocation.DONE if all(one.right for one in remedies) else invocation.FOUND
        consent(_seen(order, remedies, len(reaches), {one.device for one in fetched if one.reason}))
        pairs = list(zip(fetched, remedies, strict=True))
        journal.sending(order.state, order.at, wanted, pairs)
        with invocation.steps() as told:
            told(f"sending commands for {len(kept)} configurations")
            pushed = push.push(session, order.state, order.at, wanted, pairs)
        journal.sent(order.state, order.at, wanted, pairs, pushed)
    finally:
        remote.close(session)
    if format == "json":
        invocation.emit({"remedies": remedies, "pushed": pushed})
    else:
        report(pushed)
    return invocation.DONE if all(one.result in ("right", "done") for one in pushed) else invocation.FOUND


def _seen(order: Order, remedies: Sequence[Remedy], total: int, silent: set[str]) -> Seen:
    changes = tuple(Change(one.device, one.dialect, "content") for one in remedies if one.commands)
    devices = tuple(sorted({one.device for one in remedies}))
    return Seen(order.name, order.at, devices, total, changes, tuple(sorted(silent)), order.allowed)


def report(pushed: Sequence[Pushed]) -> None:
    """Print what came of each device that was not right already."""
    words = {"done": "brought back", "kept": "lines that no rule knows stay", "failed": "FAILED"}
    for one in pushed:
        if one.result != "right":
            before = f"; before: {one.before}" if one.before else ""
            print(f"{one.device} {one.dialect}: {words[one.result]}, {one.commands} commands{before}")
            if one.said:
                print(f"  it said: {one.said}")
            if one.mistakes:
                print(mistake.text(one.mistakes, "this device is not as rendered"))
    results = [one.result for one in pushed]
    counts = ", ".join(f"{results.count(word)} {word}" for word in ("right", "done", "kept", "failed"))
    print(f"{len(pushed)} configurations: {counts}")
