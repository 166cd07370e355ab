"""`jinbao config prove`: the rendered tree held against the plan, on the terminal or as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ground import invocation
from ground.invocation import At, Format, Plan, State
from ground.mistake import one, text
from inventory.proof import interval, national
from inventory.proof.decide import World
from inventory.proof.finding import Against, Finding
from inventory.proof.following import Decision, End, connection, traced
from inventory.proof.proving import Verdict, prove
from ip_plan import plan as plans
from ip_plan.compile import compile_plan, compiled
from ip_plan.network import TRANSIT, Network, load

Build = Annotated[Path | None, typer.Option("--build", help="Folder of the rendered trees; else the state's own.")]


def prove_command(
    plan: Plan = invocation.PLAN,
    at: At = invocation.AT,
    state: State = invocation.STATE,
    build: Build = None,
    everything: Annotated[bool, typer.Option("--all", help="Every rendered device, not only the twin's.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Prove everything anew, whatever has not changed.")] = False,
    opener: Annotated[
        str, typer.Option("--from", help="Who opens: an address, or site:zone, e.g. 640100:exchange.")
    ] = "",
    target: Annotated[str, typer.Option("--to", help="Who is reached: an address, or site:zone.")] = "",
    port: Annotated[str, typer.Option("--port", help="tcp/5432, udp/53, icmp/echo …")] = "",
    service: Annotated[
        str, typer.Option("--service", help="Instead of --port: a service of the zone that is reached.")
    ] = "",
    format: Format = "table",
) -> None:
    """Read the rendered text back and prove what it allows; with --from, --to and --port or --service, follow one connection."""
    with invocation.guarded():
        whole = everything or not at.startswith("twin:")
        if opener or target or port or service:
            network = compiled(plan, state)
            folder = build or plans.load(plan).build(state, at)
            followed = follow(network, folder, opener, target, port, service, state, plan)
            if format == "json":
                invocation.emit(followed)
            else:
                print("\n".join(_told(decision) for decision in followed))
            invocation.leave(invocation.DONE if followed and all(d.allowed for d in followed) else invocation.FOUND)
        verdict = _whole(plan, at, state, build, fresh) if whole else _running(plan, at, state, build)
        if not verdict.devices:
            folder = build or plans.load(plan).build(state, at)
            raise one(
                "JB2400", f"no rendered device below {folder}", "Run `jinbao config render` first.", file=str(folder)
            )
        if format == "json":
            invocation.emit(summary(verdict))
        else:
            print(table(verdict))
        if verdict.mistakes:
            invocation.leave(invocation.FAILED)
        invocation.leave(invocation.DONE if verdict.good else invocation.FOUND)


def _whole(plan: str, at: str, state: Path, build: Path | None, fresh: bool) -> Verdict:
    network = compile_plan(plan, state).network
    folder = build or plans.load(plan).build(state, at)
    with invocation.steps() as step:
        done: list[str] = []

        def each(part: national.Part) -> None:
            done.extend(part.unit)
            step(f"{len(done)} provinces: {' '.join(part.unit)}{'' if part.anew else ' unchanged'}")

        return national.prove(
            network, folder, kept=None if fresh else state / "proofs" / plans.load(plan).name, each=each
        )


def _running(plan: str, at: str, state: Path, build: Path | None) -> Verdict:
    network = compiled(plan, state)
    running = [name for site in network.running() for name in site.devices]
    # A name server answers for sites that do not run, and its parent's zones point to it.
    running += [name for name, device in network.devices.items() if "names" in device.duties and name not in running]
    return prove(network, build or plans.load(plan).build(state, at), running or None)


def follow(
    network: Network, build: Path, opener: str, target: str, port: str, service: str, state: Path, plan: str
) -> list[Decision]:
    """The connections from one end to another on a port, or on all ports of a service. Raises Mistakes JB2400, JB2426, JB2427, JB2460."""
    world = World(network)
    one_end, other = _end(world, opener, "--from"), _end(world, target, "--to")
    ports = [_port(port)] if port or not service else []
    if service:
        other, ports = _service(network, other, service, ports)
    home = {site.key: shard.province for shard in network.shards for site in shard.sites}
    if len(network.shards) > 2:
        # Of a nation, the two provinces and what lies between them.
        shards = {national.NATION, home[one_end.site], home[other.site]}
        network = load(compile_plan(plan, state).network, shards)
    if not any((build / name / "tree.json").exists() for name in network.devices):
        raise one("JB2400", f"no rendered device below {build}", "Run `jinbao config render` first.", file=str(build))
    seen, world = traced(network, build, (one_end.site, other.site))
    return [decision for each in ports for decision in connection(seen, world, one_end, other, each)]


def _end(world: World, given: str, option: str) -> End:
    """An address, or `640100:centre1:exchange`, or with the region's code alone. Raises Mistakes JB2426."""
    try:
        family, address = interval.family(given), interval.number(given)
    except ValueError:
        pass
    else:
        owner = world.owner(family, address)
        if owner is None or owner.site not in world.network.sites:
            raise one("JB2426", f"{option} {given} lies in no zone of the plan", "Give an address that was granted.")
        return End(owner.site, owner.zone, ((family, address),))
    place, _, zone = given.rpartition(":")
    network = world.network
    keys = [key for key, site in network.sites.items() if place in (key, site.region)]
    if not keys or not (zone == TRANSIT or network.sites[keys[0]].zone(zone)):
        known = ", ".join(zone.name for zone in network.sites[keys[0]].zones) if keys else "such as 640100"
        raise one(
            "JB2426", f"{option} {given or '(nothing)'} is no zone of the plan", f"Write <site>:<zone>; known: {known}."
        )
    return End(keys[0], zone)


def _service(network: Network, end: End, name: str, ports: list[str]) -> tuple[End, list[str]]:
    """The end as the addresses of a service in its zone, and the service's ports. Raises Mistakes JB2460."""
    there = network.services_at.get((end.site, end.zone), ())
    found = next((service for service in there if name in (service.name, service.fqdn)), None)
    if found is None:
        known = ", ".join(service.name for service in there) or "none"
        raise one("JB2460", f"--service {name} is no service of {end.site}:{end.zone}", f"Known there: {known}.")
    addresses = end.addresses or ((4, interval.number(found.v4)), (6, interval.number(found.v6)))
    return End(end.site, end.zone, addresses), ports or list(found.ports)


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
        if step.rule:
            lines.append(f"        {step.rule}")
    return "\n".join(lines)


def table(proof: Verdict) -> str:
    """The proof as a person reads it: findings, connections against their data, and what was looked at."""
    lines = [str(finding) for finding in proof.findings]
    if proof.mistakes:
        lines.append(text(proof.mistakes, "nothing is proved about these files"))
    if proof.against:
        lines.append("Opened against the direction of their data:")
        lines += [_against(each) for each in proof.against]
    if proof.alike and proof.findings:
        lines.append("What is said of one office holds for those that are like it:")
        lines += [f"    {site}: {len(sites)} more" for site, sites in _concerned(proof)]
    lines.append(
        f"{proof.devices} devices, {proof.questions} kinds of packets, {proof.destinations} ways: {len(proof.findings)} findings."
    )
    return "\n".join(lines)


def _concerned(proof: Verdict) -> list[tuple[str, tuple[str, ...]]]:
    """The sites that findings speak of and that stand for others too."""
    said = {finding.subject.partition("-")[0] for finding in proof.findings} | {
        f.source.partition(":")[0] for f in proof.findings
    }
    said |= {finding.target.partition(":")[0] for finding in proof.findings}
    return [(site, sites) for site, sites in sorted(proof.alike.items()) if site.partition(":")[0] in said]


def _against(each: Against) -> str:
    state = "" if each.rendered else "  NOT RENDERED"
    return f"    {each.row:<16} {each.source} → {each.target}  {', '.join(each.ports)}  as {each.identity}  ({each.clause}){state}"


def summary(proof: Verdict) -> dict[str, list[Finding] | list[Against] | list[str] | dict[str, list[str]] | int | bool]:
    """The proof as a program reads it."""
    return {
        "good": proof.good, "devices": proof.devices, "questions": proof.questions, "destinations": proof.destinations,
        "findings": list(proof.findings), "against": list(proof.against), "mistakes": [str(m) for m in proof.mistakes],
        "alike": {site: list(sites) for site, sites in _concerned(proof)},
    }  # fmt: skip
