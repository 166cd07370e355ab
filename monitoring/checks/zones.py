"""Zone probes: real packets from every running host to every other one and to every routing device, held against the plan's rows.

`zone.probe`: one record for each ordered pair (site and zone → site and zone), both families together. Routing devices are aims
in the zone `transit` and open nothing: what one of them sends passes no filter of its own site, so that a packet would prove nothing
of it.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from ground.record import Measure, Record, Subject
from ip_plan import zones
from ip_plan.network import TRANSIT, Device, Flow, Network, Service, Site
from monitoring.checks.crew import Crew
from monitoring.checks.look import Found, Look, addresses, hosts, some, subject

CHECK = "zone.probe"
METHOD = "real packets between hosts (TCP, UDP, ICMP echo), what disagrees tried three times"
LOGIN = "tcp/22"
"""Never taken by a responder: on every host there is a daemon, and a check must not keep it from starting."""
NOBODY = "tcp/9"
"""A port no row names (discard, RFC 863): what is open to it is open to everything."""

LETTERS = {
    "o": "open",
    "r": "open, nobody listens",
    "d": "dropped",
    "p": "rejected",
    "u": "unreachable",
    "n": "not sent",
    "x": "answered by another host",
}
PASSED = "or"
STOPPED = "dpu"
TIMEOUT = 1.0
# Probes a second over all hosts and for each core of the machine that carries a twin: beyond it, answers come too late
# and look like drops. A real network has a core for every host, and takes the same.
RATE = 3000.0

Family = Literal["4", "6"]
FAMILIES: tuple[Family, ...] = ("4", "6")
Place = tuple[str, str]
"""(site, zone)."""


class Target(msgspec.Struct, frozen=True):
    """An address that is probed: a host's own, that of a service on it, or a routing device's loopback."""

    device: str
    service: str
    site: str
    zone: str
    v4: str
    v6: str
    ports: tuple[str, ...]

    def address(self, family: Family) -> str:
        return self.v4 if family == "4" else self.v6


class Mismatch(msgspec.Struct, frozen=True):
    """A probe that disagrees with the plan."""

    opener: str
    target: str
    address: str
    port: str
    expected: str
    seen: str
    row: str
    """Id of the row that says so; empty: none does."""


class Pair(msgspec.Struct):
    """What was seen from one zone to another."""

    expected: int = 0
    seen: int = 0
    allowed: int = 0
    mismatches: list[Mismatch] = msgspec.field(default_factory=list)
    void: list[str] = msgspec.field(default_factory=list)
    """Why drops say nothing here."""


class Expected(msgspec.Struct, frozen=True):
    """What the plan says of one (opener, target): a port each, `1` allowed, and the rows."""

    allow: str
    rows: tuple[str, ...]


Seen = Mapping[tuple[str, str, str, Family], str]
"""(opener, target device, service, family) → a letter a port; absent: not observed."""


def everything(network: Network) -> tuple[str, ...]:
    """Every port of the plan: of all rows, of all services whether a row opens them or not, and `LOGIN` and `NOBODY`."""
    named = {port for flow in network.flows for port in flow.ports}
    named |= {port for service in network.services for port in service.ports}
    return tuple(sorted({port for port in named if _probed(port)} | {LOGIN, NOBODY}))


def targets(network: Network) -> list[Target]:
    """Every running host with every port, and each service on it with its own ports and two that are not its own."""
    ports_of_all = everything(network)
    found = []
    for host in hosts(network):
        own = addresses(host)
        found.append(Target(host.name, "", host.site, host.zone, own["4"], own["6"], ports_of_all))
        for service in network.services_at.get((host.site, host.zone), ()):
            if service.device == host.name:
                ports = tuple(sorted({*service.ports, LOGIN, NOBODY}))
                found.append(Target(host.name, service.name, host.site, host.zone, service.v4, service.v6, ports))
    return found


def loopbacks(network: Network) -> list[Target]:
    """Every running routing device, with every port. Nothing answers there in place of a daemon: a refusal is passage enough."""
    ports_of_all = everything(network)
    return [
        Target(device.name, "", site.key, TRANSIT, device.loopback4, device.loopback6, ports_of_all)
        for site in sorted(network.running(), key=lambda site: site.key)
        for device in network.devices_of(site)
        if device.loopback4
    ]


def _probed(port: str) -> bool:
    return port.partition("/")[0] in ("tcp", "udp") or port == "icmp/echo"


def expect(network: Network, openers: Sequence[Device], aims: Sequence[Target]) -> dict[tuple[str, str, str], Expected]:
    """What the plan says of each (opener, target device, service) whose device is another one."""
    found: dict[tuple[str, str, str], Expected] = {}
    allowing: dict[tuple[Place, Place], frozenset[str] | None] = {}
    for opener, aim in itertools.product(openers, aims):
        if opener.name == aim.device:
            continue
        here, there = (opener.site, opener.zone), (aim.site, aim.zone)
        if (here, there) not in allowing:
            # Only ports of allow rows can be allowed: the rest needs no question.
            allowing[here, there] = None if here == there else frozenset(_named(network, here, there))
        ports = allowing[here, there]
        allow, rows = [], []
        for port in aim.ports:
            if ports is not None and port not in ports:
                allow.append("0")
                rows.append("")
                continue
            verdict = zones.verdict(
                network, zones.End(*here, opener.name), zones.End(*there, aim.device, aim.service), port
            )
            allow.append("1" if verdict.allow else "0")
            rows.append(verdict.row.id if verdict.row else "")
        found[opener.name, aim.device, aim.service] = Expected("".join(allow), tuple(rows))
    return found


def _named(network: Network, here: Place, there: Place) -> Iterable[str]:
    opener, target = network.known_sites[here[0]], network.known_sites[there[0]]
    for flow in zones.rows(network, opener, here[1], target, there[1]):
        if flow.verdict == "allow":
            yield from flow.ports


def run(look: Look, crew: Crew) -> Found:
    """Probe every pair and judge. The crew's responders stay up afterwards.

    A drop may also come from a machine that is too busy to answer within the second. Whatever disagrees with the plan is
    therefore tried again; and the probes that the plan opens are the gauge of the rest: spread over the whole run as they are,
    a machine that loses one answer in 200 loses one of a thousand of them all but surely. If one of them was lost at first
    and came at the second try, everything is probed once more, slowly.
    """
    openers, answering = hosts(look.network), targets(look.network)
    aims = [*answering, *loopbacks(look.network)]
    expected = expect(look.network, openers, aims)
    look.told(f"zones: answering on {len(answering)} addresses")
    bound = listen(crew, answering)
    probes = sum(len(row.allow) for row in expected.values()) * 2
    closed = sum(row.allow.count("0") for row in expected.values()) * 2
    look.told(f"zones: {probes} probes from {len(openers)} hosts, {closed} of them of what has to be closed")
    seen = probe(crew, openers, aims, bound, tries=1)
    again = _disagreeing(expected, seen)
    if again:
        look.told(f"zones: {len(again)} targets probed again, where the plan says otherwise")
        first, seen = seen, {**seen, **probe(crew, openers, aims, bound, only=again, tries=2)}
        if _lost(expected, first, seen):
            look.told("zones: answers came late; everything is probed once more, slowly")
            seen = probe(crew, openers, aims, bound, tries=2, rate=RATE / 3)
    return judge(look, openers, aims, expected, seen, crew.absent)


def _lost(expected: Mapping[tuple[str, str, str], Expected], first: Seen, second: Seen) -> bool:
    """Whether something that the plan opens was dropped at first and passed later."""
    return any(
        one == "1" and before == "d" and after in PASSED
        for key, letters in first.items()
        for one, before, after in zip(expected[key[:3]].allow, letters, second[key], strict=True)
    )


def listen(crew: Crew, aims: Sequence[Target]) -> dict[tuple[str, str], str]:
    """Make every host answer on its free ports; (address, port) → the nonce that its responder gives."""
    wanted: dict[str, tuple[list[str], set[str]]] = {}
    for aim in aims:
        addresses, ports = wanted.setdefault(aim.device, ([], set()))
        addresses += [aim.v4, aim.v6]
        ports.update(aim.ports)
    requests = {
        device: {"do": "listen", "addresses": addresses, "ports": sorted(ports - {LOGIN, "icmp/echo"})}
        for device, (addresses, ports) in wanted.items()
    }
    bound: dict[tuple[str, str], str] = {}
    for reply in crew.ask(requests).values():
        if reply.said:
            bound |= {(address, port): reply.said["nonce"] for address, port in reply.said["bound"]}
    return bound


def probe(
    crew: Crew,
    openers: Sequence[Device],
    aims: Sequence[Target],
    bound: Mapping[tuple[str, str], str],
    *,
    only: frozenset[tuple[str, str, str]] | None = None,
    tries: int,
    rate: float = RATE,
) -> dict[tuple[str, str, str, Family], str]:
    """Probe every target (or `only` those) from every opener at once, at a pace that one machine bears."""
    asked: dict[str, list[tuple[Target, Family]]] = {}
    requests: dict[str, dict[str, Any]] = {}
    for number, opener in enumerate(openers):
        listed = [
            (aim, family)
            for aim in [*aims[number:], *aims[:number]]  # not all at the same target at the same time
            for family in FAMILIES
            if aim.device != opener.name and (only is None or (opener.name, aim.device, aim.service) in only)
        ]
        if listed:
            asked[opener.name] = listed
            requests[opener.name] = {
                "do": "probe",
                "from": addresses(opener),
                "to": [_row(aim, family, bound) for aim, family in listed],
                "timeout": TIMEOUT,
                "tries": tries,
            }
    each = rate * (os.cpu_count() or 1) / max(len(requests), 1)
    replies = crew.ask({name: {**request, "rate": each} for name, request in requests.items()}, seconds=120)
    return {
        (name, aim.device, aim.service, family): letters
        for name, reply in replies.items()
        if reply.said
        for (aim, family), letters in zip(asked[name], reply.said["verdicts"], strict=True)
    }


def _row(aim: Target, family: Family, bound: Mapping[tuple[str, str], str]) -> list[object]:
    address = aim.address(family)
    nonces = [bound.get((address, port), "") for port in aim.ports]
    return [address, aim.ports, "".join("1" if nonce else "0" for nonce in nonces), max(nonces)]


def agrees(allow: bool, letter: str) -> bool:
    """Whether what was seen is what the plan says."""
    return letter in (PASSED if allow else STOPPED)


def _disagreeing(expected: Mapping[tuple[str, str, str], Expected], seen: Seen) -> frozenset[tuple[str, str, str]]:
    return frozenset(
        key[:3]
        for key, letters in seen.items()
        if not all(agrees(one == "1", letter) for one, letter in zip(expected[key[:3]].allow, letters, strict=True))
    )


def judge(
    look: Look,
    openers: Sequence[Device],
    aims: Sequence[Target],
    expected: Mapping[tuple[str, str, str], Expected],
    seen: Seen,
    absent: Mapping[str, str],
) -> Found:
    """The records. A drop counts as a filter's verdict only where a witness shows that packets travel at all."""
    network = look.network
    place = {opener.name: (opener.site, opener.zone) for opener in openers}
    silent = _silent(openers, aims, expected, seen)
    pairs: dict[tuple[Place, Place], Pair] = {}
    for opener, aim in itertools.product(openers, aims):
        if opener.name == aim.device:
            continue
        here, there = place[opener.name], (aim.site, aim.zone)
        pair = pairs.setdefault((here, there), Pair())
        row = expected[opener.name, aim.device, aim.service]
        pair.expected += 2 * len(row.allow)
        pair.allowed += 2 * row.allow.count("1")
        for family in FAMILIES:
            letters = seen.get((opener.name, aim.device, aim.service, family))
            why = absent.get(opener.name) or absent.get(aim.device)
            if letters is None or aim.device in absent:
                pair.void.append(f"{opener.name if opener.name in absent else aim.device}: {why or 'no answer'}")
                continue
            deaf = _deaf(silent, opener, aim, family)
            for port, allow, letter, row_id in zip(aim.ports, row.allow, letters, row.rows, strict=True):
                if not agrees(allow == "1", letter):
                    pair.seen += 1
                    pair.mismatches.append(
                        Mismatch(
                            opener=opener.name,
                            target=aim.service or aim.device,
                            address=aim.address(family),
                            port=port,
                            expected="open" if allow == "1" else "closed",
                            seen=LETTERS[letter],
                            row=row_id,
                        )
                    )
                elif allow == "0" and deaf:
                    pair.void.append(deaf)
                else:
                    pair.seen += 1
    records: list[Record] = []
    details: list[bytes] = []
    for (here, there), pair in sorted(pairs.items()):
        record, detail = _record(look, network, here, there, pair)
        records.append(record)
        details += [detail] if detail else []
    return Found(tuple(records), tuple(details))


def _record(look: Look, network: Network, here: Place, there: Place, pair: Pair) -> tuple[Record, bytes]:
    opener, target = network.known_sites[here[0]], network.known_sites[there[0]]
    detail = msgspec.json.encode(pair.mismatches) if pair.mismatches else b""
    void = sorted(set(pair.void))
    if pair.mismatches:
        words = (
            f"{m.opener} → {m.target} {m.address} {m.port} is {m.seen}, the plan says {m.expected}"
            for m in pair.mismatches
        )
        result, reason = "fail", f"{len(pair.mismatches)} of {pair.seen} probes disagree: {some(words)}"
    elif pair.seen < pair.expected:
        result, reason = (
            "not-observed",
            f"{pair.expected - pair.seen} of {pair.expected} probes told nothing: {some(void)}",
        )
    else:
        result, reason = "pass", f"all {pair.seen} probes agree, {pair.allowed} of them open"
    found = look.record(
        CHECK,
        pair_subject(opener, here[1], there),
        result,  # type: ignore[arg-type]
        reason,
        method=METHOD,
        key=(
            _deciding(zones.rows(network, opener, here[1], target, there[1])),
            opener.zone(here[1]),
            target.zone(there[1]) or _loopbacks(network, target),
            _carriers(network, here),
            _carriers(network, there),
        ),
        observer=",".join(device.name for device in network.devices_of(opener) if device.zone == here[1]),
        seen=pair.seen,
        expected=pair.expected,
        measures=(Measure("mismatches", "probes", len(pair.mismatches), 0.0),),
        detail=detail,
    )
    return found, detail


def _deciding(rows: Iterable[Flow]) -> list[Flow]:
    """What of the rows decides the answer: not where they stand in the plan, nor the words that give their reason."""
    return [msgspec.structs.replace(row, place="", reason="", clause="", until="") for row in rows]


def pair_subject(opener: Site, zone: str, there: Place) -> Subject:
    """The subject of a zone pair: the opener's region, site and zone, and `<site>:<zone>` of the other end as peer."""
    return subject(opener, zone=zone, peer=f"{there[0]}:{there[1]}")


def _loopbacks(network: Network, site: Site) -> list[tuple[str, str]]:
    return [(device.loopback4, device.loopback6) for device in network.devices_of(site) if device.loopback4]


def _carriers(network: Network, place: Place) -> tuple[Service, ...]:
    return network.services_at.get(place, ())


Silent = tuple[frozenset[tuple[str, Family]], frozenset[tuple[str, str, Family]]]


def _silent(
    openers: Sequence[Device], aims: Sequence[Target], expected: Mapping[tuple[str, str, str], Expected], seen: Seen
) -> Silent:
    """Hosts and pairs of sites for which the plan opens something, and nothing at all got through, either way.

    What is dropped there may be dropped by a filter or by a line that is cut: it cannot be told.
    """
    site = {opener.name: opener.site for opener in openers} | {aim.device: aim.site for aim in aims}
    due: tuple[set[tuple[str, Family]], set[tuple[str, str, Family]]] = (set(), set())
    alive: tuple[set[tuple[str, Family]], set[tuple[str, str, Family]]] = (set(), set())
    for (opener, device, service, family), letters in seen.items():
        first, second = sorted((site[opener], site[device]))
        passed = any(letter in PASSED for letter in letters)
        for (ends, sites), wanted in ((due, "1" in expected[opener, device, service].allow), (alive, passed)):
            if wanted:
                ends.update(((opener, family), (device, family)))
                sites.add((first, second, family))
    return frozenset(due[0] - alive[0]), frozenset(due[1] - alive[1])


def _deaf(silent: Silent, opener: Device, aim: Target, family: Family) -> str:
    first, second = sorted((opener.site, aim.site))
    if (first, second, family) in silent[1]:
        return f"nothing passes between {first} and {second} over IPv{family}, so a drop is no verdict"
    for host in (opener.name, aim.device):
        if (host, family) in silent[0]:
            return f"nothing passes to or from {host} over IPv{family}, so a drop is no verdict"
    return ""
