"""What `jinbao config prove` answers, and how it is said."""

from __future__ import annotations

from pathlib import Path

from ground import invocation, tree
from ground.mistake import Mistake, one, text
from inventory.proof import interval, national
from inventory.proof.decide import World
from inventory.proof.finding import Against, Finding
from inventory.proof.following import Decision, End, connection, traced
from inventory.proof.proving import Proof, Verdict, prove
from ip_plan.compile import compile_plan, compiled
from ip_plan.network import TRANSIT, Network, load


def whole(plan: str, at: str, state: Path, build: Path | None, fresh: bool) -> Verdict:
    """The verdict on everything that is rendered, province by province. Raises Mistakes JB2400."""
    outcome = compile_plan(plan, state)
    folder = build or tree.place(state, at, outcome.plan)
    with invocation.steps() as step:
        done: list[str] = []

        def each(part: national.Part) -> None:
            done.append(part.shard)
            step(f"{len(done)} provinces: {part.shard}{'' if part.anew else ' unchanged'}")

        kept = None if fresh else state / "proofs" / outcome.plan
        return seen(national.prove(outcome.network, folder, kept=kept, each=each), folder)


def running(plan: str, at: str, state: Path, build: Path | None) -> Verdict:
    """The verdict on what runs in the twin. Raises Mistakes JB2400."""
    network = compiled(plan, state)
    names = [name for site in network.running() for name in site.devices]
    # A name server answers for sites that do not run, and its parent's zones point to it.
    names += [name for name, device in network.devices.items() if "names" in device.duties and name not in names]
    folder = build or tree.place(state, at, network.meta.name)
    return seen(prove(network, folder, names or None), folder)


def seen(verdict: Verdict, folder: Path) -> Verdict:
    """The verdict, where there was anything to prove. Raises Mistakes JB2400."""
    if not verdict.devices:
        raise one("JB2400", f"no rendered device below {folder}", "Run `jinbao config render` first.", file=str(folder))
    return verdict


def follow(
    plan: str, at: str, state: Path, given: Path | None, ends: tuple[str, str], port: str, service: str
) -> list[Decision]:
    """The connections from one end to another on a port, or on all ports of a service.

    Raises Mistakes JB2400, JB2426, JB2427, JB2460.
    """
    outcome = compile_plan(plan, state)
    network = load(outcome.network)
    build = given or tree.place(state, at, outcome.plan)
    opener, target = ends
    world = World(network)
    one_end, other = _end(world, opener, "--from"), _end(world, target, "--to")
    ports = [_port(port)] if port or not service else []
    if service:
        other, ports = _service(network, other, service, ports)
    home = {site.key: shard.province for shard in network.shards for site in shard.sites}
    if len(network.shards) > 2:
        # Of a nation, the two provinces and what lies between them.
        shards = {national.NATION, home[one_end.site], home[other.site]}
        network = load(outcome.network, shards)
    if not any((build / name / "tree.json").exists() for name in network.devices):
        raise one("JB2400", f"no rendered device below {build}", "Run `jinbao config render` first.", file=str(build))
    through, world = traced(network, build, (one_end.site, other.site))
    return [decision for each in ports for decision in connection(through, world, one_end, other, each)]


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


def told(decision: Decision) -> str:
    """One connection as a person reads it: the packet, the verdict, and each device with the line that decided."""
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


def judged(proof: Verdict) -> list[str]:
    """What was proved, device by device where each was looked at by itself."""
    return list(proof.readings) if isinstance(proof, Proof) else [f"all {proof.devices} devices"]


def mistakes(proof: Verdict) -> list[Mistake]:
    """Everything that is wrong with the text, in the form in which reviews read it."""
    told = []
    for each in proof.findings:
        row = f" (row {each.row}{', ' + each.place if each.place else ''})" if each.row else ""
        told.append(Mistake(each.file, each.line, None, each.code, each.subject, each.found + row, each.cure))
    return [*proof.mistakes, *told]


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
