"""`query.answered`: a terminal that a centre serves is answered what it asks.

The program is asked for its own account, and a terminal asks about somebody who does not exist: whoever is found then, or a refusal,
is a fault. The question stands in the record of queries like any other.
"""

from __future__ import annotations

import shlex

import msgspec

from ground import remote
from ground.record import Measure, Record
from ip_plan import catalogue, queries
from ip_plan.queries import Queries, Terminal
from monitoring.checks.look import Found, Look, subject
from monitoring.checks.partners import Status, read

CHECK = "query.answered"
ACCOUNT = "date +%s; cat /var/lib/jinbao-query/status.json"
METHOD = "the program's own account, and a query about nobody from a terminal"
SILENT_SECONDS = 60.0
"""Three of its rounds, in which nobody asks."""


class Told(msgspec.Struct, frozen=True):
    """What a terminal was answered."""

    result: str
    found: bool = False
    code: str = ""
    reason: str = ""


def run(look: Look) -> Found:
    """Ask every query service, and a terminal of each; one record a centre."""
    asked = [found for site in look.network.running() if (found := queries.queries(look.network, site))]
    look.told(f"queries: {len(asked)} centres")
    terminals = {each.site: terminal for each in asked if (terminal := _terminal(look, each))}
    programs = {each.device: ACCOUNT for each in asked}
    programs |= {terminal.device: _nobody(each) for each in asked if (terminal := terminals.get(each.site))}
    answers = remote.run_all(look.session, programs) if programs else {}
    return Found(
        tuple(
            judge(
                look,
                each,
                read(answers[each.device], "terminals"),
                terminal,
                answers[terminal.device] if terminal else None,
            )
            for each in asked
            for terminal in (terminals.get(each.site),)
        )
    )


def _terminal(look: Look, asked: Queries) -> Terminal | None:
    """A terminal that runs: of an office where there is one, since that is the longer way."""
    running = [each for each in asked.terminals if look.network.known_sites[each.site].running]
    return next((each for each in running if each.site != asked.site), next(iter(running), None))


def _nobody(asked: Queries) -> str:
    """A query that finds nobody, as a program of a terminal."""
    name, question = next(iter(catalogue.shipped().tables.described(asked.questions).items()))
    about = {column: "1900-01-01" if kind == "date" else "nobody" for column, kind in question["by"].items()}
    said = msgspec.json.encode({"format": "jinbao-query-1", "ask": name, "about": about}).decode()
    return f"curl --config /etc/jinbao/terminal/query.conf --data-binary {shlex.quote(said)}"


def judge(
    look: Look, asked: Queries, status: Status, terminal: Terminal | None, answer: remote.Answer | None
) -> Record:
    """The record of one centre. `terminal`, `answer`: who asked, and what it was told; None where none runs."""
    site, device = look.network.sites[asked.site], look.network.devices[asked.device]
    measures: tuple[Measure, ...] = ()
    if status.trouble:
        result, reason = "not-observed" if status.silent else "error", status.trouble
    else:
        done = sum(each.get("answered", 0) for each in status.counts.values())
        refused = sum(sum(each.get("refused", {}).values()) for each in status.counts.values())
        measures = (
            Measure("age", "s", round(status.age, 1), SILENT_SECONDS),
            Measure("answered", "", float(done)),
            Measure("refused", "", float(refused)),
        )
        late = status.age > SILENT_SECONDS
        told = f"{done} queries answered, {refused} refused"
        result = "fail" if late else "pass"
        reason = f"no good run for {status.age:.0f} s: {status.said or 'it does not run'}" if late else told
    if terminal and answer and result == "pass":
        result, why = _judged(terminal, answer)
        reason = f"{why}; {reason}" if why else reason
    return look.record(
        CHECK,
        subject(site, zone=device.zone, service="query", device=asked.device, peer=terminal.device if terminal else ""),
        result,  # type: ignore[arg-type]
        reason,
        method=METHOD,
        key=(asked,),
        observer=terminal.device if terminal else asked.device,
        seen=0 if status.trouble else 1,
        measures=measures,
    )


def _judged(terminal: Terminal, answer: remote.Answer) -> tuple[str, str]:
    """What a terminal's answer comes to: a result, and why."""
    if answer.code is None:
        return "not-observed", f"{terminal.device} cannot be asked: {answer.err.strip() or 'no answer'}"
    if answer.code:
        return "fail", f"{terminal.device} gets no answer: {answer.err.strip()}"
    try:
        said = msgspec.json.decode(answer.out, type=Told)
    except msgspec.MsgspecError as why:
        return "error", f"{terminal.device} was told something that cannot be read: {why}"
    if said.result != "answered":
        return "fail", f"{terminal.device} was refused: {said.code} {said.reason}"
    return ("fail", "somebody was found who does not exist") if said.found else ("pass", "")
