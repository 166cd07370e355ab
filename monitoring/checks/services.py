"""`service.listens`: a daemon stands behind every service whose host has the duty to run it, on both families.

What a probe or a name server's answer shows of most of them is shown of none that is stopped: the agents of the zone probes answer on
a port that is free, as whoever opens a filter has to see. A port that is free to the agent is one that nobody serves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ground.record import Measure, Record
from ip_plan.network import Device, Network, Service
from monitoring.checks.crew import Crew, Reply
from monitoring.checks.look import Found, Look, hosts, some, subject

CHECK = "service.listens"
METHOD = "the ports of its address are taken on the host"
DAEMONS = {"database": "db", "names": "dns", "time": "ntp", "metrics": "metrics", "repository": "repo"}
"""Duty of a host → the service that it runs. What other duties and services lead to is software of others."""


def run(look: Look, crew: Crew) -> Found:
    """Ask every host which ports of its services are taken; one record a service. Its agent holds those that are free."""
    listed = standing(look.network)
    look.told(f"services: {len(listed)}")
    requests: dict[str, dict[str, Any]] = {}
    for host, one in listed:
        asked = requests.setdefault(host.name, {"do": "listen", "addresses": [], "ports": []})
        asked["addresses"] += [one.v4, one.v6]
        asked["ports"] += one.ports
    replies = crew.ask(requests)
    return Found(tuple(judge(look, host, one, replies[host.name]) for host, one in listed))


def standing(network: Network) -> list[tuple[Device, Service]]:
    """The services of running hosts that something of this program's making serves."""
    return [
        (host, one)
        for host in hosts(network)
        for one in network.services_at.get((host.site, host.zone), ())
        if one.device == host.name and one.name in {DAEMONS.get(duty) for duty in host.duties}
    ]


def judge(look: Look, host: Device, one: Service, reply: Reply) -> Record:
    """The record of one service."""
    faults = [] if reply.said is None else list(_faults(one, reply.said))
    if reply.said is None:
        result, reason = "not-observed", reply.why
    elif faults:
        result, reason = "fail", some(faults)
    else:
        result, reason = "pass", f"{one.fqdn} is served on {', '.join(one.ports)} over both families"
    return look.record(
        CHECK,
        subject(look.network.sites[host.site], zone=host.zone, service=one.name, device=host.name),
        result,  # type: ignore[arg-type]
        reason,
        method=METHOD,
        key=(host.duties, one),
        observer=host.name,
        seen=0 if reply.said is None else 2 * len(one.ports),
        expected=2 * len(one.ports),
        measures=() if reply.said is None else (Measure("faults", "", len(faults), 0.0),),
    )


def _faults(one: Service, said: Mapping[str, Any]) -> list[str]:
    taken = {(address, port) for address, port in said["taken"]}
    lost = [f"{address} is not on the host" for address in (one.v4, one.v6) if address in said["missing"]]
    return lost + [
        f"nothing serves {address} {port}"
        for address in (one.v4, one.v6)
        for port in one.ports
        if address not in said["missing"] and (address, port) not in taken
    ]
