"""`jinbao config prove`: the rendered tree held against the plan, on the terminal or as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ground import findings, invocation, tree
from ground.invocation import At, Plan, Review, State
from ground.mistake import Mistake, one, text
from ip_plan.network import TRANSIT

if TYPE_CHECKING:
    from inventory.proof.finding import Against, Finding
    from inventory.proof.proving import Decision, Proof
    from ip_plan.network import Network

Build = Annotated[Path | None, typer.Option("--build", help="Folder of the rendered trees; else the state's own.")]


def prove_command(
    plan: Plan = invocation.PLAN,
    at: At = invocation.AT,
    state: State = invocation.STATE,
    build: Build = None,
    everything: Annotated[bool, typer.Option("--all", help="Every rendered device, not only the twin's.")] = False,
    opener: Annotated[str, typer.Option("--from", help="site:zone that opens, e.g. 640100:exchange.")] = "",
    target: Annotated[str, typer.Option("--to", help="site:zone that is reached.")] = "",
    port: Annotated[str, typer.Option("--port", help="tcp/5432, udp/53, icmp/echo …")] = "",
    format: Review = "table",
) -> None:
    """Read the rendered text back and prove what it allows; with --from, --to and --port, follow one connection."""
    from inventory.proof.decide import World
    from inventory.proof.proving import connection, prove
    from ip_plan.compile import compiled

    with invocation.guarded():
        network = compiled(plan, state)
        build = build or tree.place(state, at, network.meta.name)
        running = [name for site in network.running() for name in site.devices]
        # A name server answers for sites that do not run, and its parent's zones point to it.
        running += [
            name for name, device in network.devices.items() if "names" in device.duties and name not in running
        ]
        proof = prove(network, build, running if running and at.startswith("twin:") and not everything else None)
        if not proof.devices:
            raise one(
                "JB2400", f"no rendered device below {build}", "Run `jinbao config render` first.", file=str(build)
            )
        if opener or target or port:
            ends = (_end(network, opener, "--from"), _end(network, target, "--to"))
            followed = connection(proof, World(network), *ends, _port(port))
            if format == "json":
                invocation.emit(followed)
            else:
                print("\n".join(_told(decision) for decision in followed))
            invocation.leave(invocation.DONE if followed and all(d.allowed for d in followed) else invocation.FOUND)
        if format == "json":
            invocation.emit(summary(proof))
        elif format in findings.FORMATS:
            print(findings.text(format, "config prove", list(proof.readings), mistakes(proof)), end="")
        else:
            print(table(proof))
        if proof.mistakes:
            invocation.leave(invocation.FAILED)
        invocation.leave(invocation.DONE if proof.good else invocation.FOUND)


def _end(network: Network, given: str, option: str) -> tuple[str, str]:
    """`640100:centre1:exchange`, or with the region's code alone, as (site key, zone). Raises Mistakes."""
    place, _, zone = given.rpartition(":")
    keys = [key for key, site in network.sites.items() if place in (key, site.region)]
    if not keys or not (zone == TRANSIT or network.sites[keys[0]].zone(zone)):
        known = ", ".join(zone.name for zone in network.sites[keys[0]].zones) if keys else "such as 640100"
        raise one(
            "JB2426", f"{option} {given or '(nothing)'} is no zone of the plan", f"Write <site>:<zone>; known: {known}."
        )
    return keys[0], zone


def _port(given: str) -> str:
    name, _, value = given.partition("/")
    if not value or (name in ("tcp", "udp") and not (value.isdigit() and 0 < int(value) < 65536)):
        raise one(
            "JB2427",
            f"--port {given or '(nothing)'} is no port",
            "Write tcp/<port>, udp/<port>, icmp/echo or proto/ospf.",
        )
    return given


def _told(decision: Decision) -> str:
    verdict = "allowed" if decision.allowed else "denied"
    row = f" (row {decision.row}, {decision.place})" if decision.row else ""
    lines = [
        f"IPv{decision.family} {decision.port} {decision.source} → {decision.target}: {verdict}, {decision.reason}{row}"
    ]
    for step in decision.steps:
        place = f"{step.file}:{step.line}" if step.file else ""
        word = "passes" if step.passes else "drops"
        lines.append(f"    {step.device:<14} {step.entry or 'itself'} → {step.exit or 'itself'}  {word}  {place}")
    return "\n".join(lines)


def table(proof: Proof) -> str:
    """The proof as a person reads it: findings, connections against their data, and what was looked at."""
    lines = [str(finding) for finding in proof.findings]
    if proof.mistakes:
        lines.append(text(proof.mistakes, "nothing is proved about these files"))
    if proof.against:
        lines.append("Opened against the direction of their data:")
        lines += [_against(each) for each in proof.against]
    lines.append(
        f"{proof.devices} devices, {proof.questions} kinds of packets, {proof.destinations} ways: {len(proof.findings)} findings."
    )
    return "\n".join(lines)


def mistakes(proof: Proof) -> list[Mistake]:
    """Everything that is wrong with the text, in the form in which reviews read it."""
    told = []
    for each in proof.findings:
        row = f" (row {each.row}{', ' + each.place if each.place else ''})" if each.row else ""
        told.append(Mistake(each.file, each.line, None, each.code, each.subject, each.found + row, each.cure))
    return [*proof.mistakes, *told]


def _against(each: Against) -> str:
    state = "" if each.rendered else "  NOT RENDERED"
    return f"    {each.row:<16} {each.source} → {each.target}  {', '.join(each.ports)}  as {each.identity}  ({each.clause}){state}"


def summary(proof: Proof) -> dict[str, list[Finding] | list[Against] | list[str] | int | bool]:
    """The proof as a program reads it."""
    return {
        "good": proof.good, "devices": proof.devices, "questions": proof.questions, "destinations": proof.destinations,
        "findings": list(proof.findings), "against": list(proof.against), "mistakes": [str(m) for m in proof.mistakes],
    }  # fmt: skip
