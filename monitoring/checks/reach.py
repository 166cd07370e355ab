"""`reach.office`: whether the counters of a county or township reach what their work needs at the centre that serves them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ground.record import Measure, Record
from ip_plan.network import Device, Network, Service, Site
from monitoring.checks.crew import Crew
from monitoring.checks.look import Found, Look, addresses, serving_exchange, some, subject
from monitoring.checks.zones import FAMILIES, LETTERS, RATE, TIMEOUT, listen, targets

CHECK = "reach.office"
METHOD = "TCP connections and datagrams from a counter, both families"
LEVELS = ("county", "township")


class Errand(msgspec.Struct, frozen=True):
    """What one office's counter has to reach."""

    office: Site
    counter: Device | None
    services: tuple[Service, ...]
    missing: str = ""
    """What the plan itself lacks."""


def errands(network: Network) -> list[Errand]:
    """The running offices, and the business entrance and name server of the centre that serves each."""
    found = []
    for site in sorted(network.running(), key=lambda site: site.key):
        if site.level not in LEVELS:
            continue
        counter = next((d for d in network.devices_of(site) if d.role == "host" and d.zone == "access"), None)
        centre = serving_exchange(network, site)
        wanted = [network.service(centre.key, zone, name) if centre else None for zone, name in NEEDS]
        missing = [name for (_, name), one in zip(NEEDS, wanted, strict=True) if one is None]
        lack = "" if counter else "the plan has no host in its access zone"
        if missing:
            lack = f"the centre that serves it has no service {', '.join(missing)}"
        found.append(Errand(site, counter, tuple(one for one in wanted if one), lack))
    return found


NEEDS = (("production", "app"), ("exchange", "dns"))


def run(look: Look, crew: Crew) -> Found:
    """Try every errand; one record an office."""
    listed = errands(look.network)
    look.told(f"reach: {len(listed)} offices")
    devices = {one.device for errand in listed for one in errand.services}
    bound = listen(crew, [aim for aim in targets(look.network) if aim.device in devices])
    requests: dict[str, dict[str, Any]] = {}
    for errand in listed:
        if errand.counter:
            requests[errand.counter.name] = {
                "do": "probe",
                "from": addresses(errand.counter),
                "to": [
                    [
                        address,
                        one.ports,
                        "".join("1" if bound.get((address, p)) else "0" for p in one.ports),
                        _nonce(bound, address),
                    ]
                    for one in errand.services
                    for address in (one.v4, one.v6)
                ],
                "timeout": TIMEOUT,
                "tries": 2,
                "rate": RATE,
            }
    replies = crew.ask(requests, seconds=30)
    records = []
    for errand in listed:
        reply = replies.get(errand.counter.name) if errand.counter else None
        verdicts = reply.said["verdicts"] if reply and reply.said else None
        standing = [one.name for one in errand.services if any((one.v4, port) in bound for port in one.ports)]
        records.append(judge(look, errand, verdicts, reply.why if reply else "", standing))
    return Found(tuple(records))


def _nonce(bound: Mapping[tuple[str, str], str], address: str) -> str:
    return next((nonce for (at, _), nonce in bound.items() if at == address), "")


def judge(look: Look, errand: Errand, verdicts: list[str] | None, why: str, standing: Sequence[str] = ()) -> Record:
    """The record of one office. A port that is open but where nobody listens is not reached.

    `standing`: services whose daemon is not there, so that the agent answered in its place.
    """
    asked = [(one.name, family, port) for one in errand.services for family in FAMILIES for port in one.ports]
    letters = "".join(verdicts or [])
    bad = [
        f"{name} {port} over IPv{family} is {LETTERS[letter]}"
        for (name, family, port), letter in zip(asked, letters, strict=False)
        if letter != "o"
    ]
    if errand.missing:
        result, reason = "error", errand.missing
    elif verdicts is None:
        result, reason = "not-observed", why or "the counter told nothing"
    elif bad:
        result, reason = "fail", some(bad)
    else:
        reason = f"{', '.join(one.fqdn for one in errand.services)} reached over both families"
        result, reason = "pass", reason + (f"; the agent answered for {', '.join(standing)}" if standing else "")
    return look.record(
        CHECK,
        subject(errand.office, zone="access", device=errand.counter.name if errand.counter else ""),
        result,  # type: ignore[arg-type]
        reason,
        method=METHOD,
        key=(errand,),
        observer=errand.counter.name if errand.counter else "controller",
        seen=len(letters),
        expected=len(asked),
        measures=() if verdicts is None else (Measure("unreached", "ports", len(bad), 0.0),),
    )
