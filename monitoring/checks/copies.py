"""`dns.copy`: a secondary name server has each zone with the serial of its primary, and neither gives a zone away without a key.

The host of the secondary asks both, over both families: for the SOA, and for an incremental transfer without a signature. That goes by
datagram too, and is let through or refused by the same list as one over TCP (RFC 1995 2).
"""

from __future__ import annotations

import time as clock
from collections.abc import Sequence

import dns.message
import dns.rrset
import msgspec

from ground.record import Measure, Record
from ip_plan import nameservers
from ip_plan.network import Device, Service, Site
from monitoring.checks import exchange, names
from monitoring.checks.crew import Crew
from monitoring.checks.look import Found, Look, addresses, some, subject

CHECK = "dns.copy"
METHOD = "DNS queries over UDP to primary and secondary, over both families: SOA, and IXFR without a key"
TRIES, PAUSE = 4, 2.0
"""A change that was made a moment ago is on its way: looked at again, seconds apart."""


class Copies(msgspec.Struct, frozen=True):
    """The zones that one server has copies of from one other."""

    site: Site
    device: Device
    """Of the secondary: it asks."""
    own: Service
    primary: Service
    source: str
    """Site of the primary."""
    zones: tuple[str, ...]


class Said(msgspec.Struct, frozen=True):
    """What was answered about one zone over one family."""

    copy: str
    """Serial of the secondary; in angle brackets what it says instead, empty: nothing."""
    primary: str
    given: tuple[str, ...]
    """Who lets it be taken without a key."""
    silent: bool = False
    """Whether one of the two did not answer when it was asked for a transfer."""


def pairs(look: Look) -> list[Copies]:
    """Every pair of running servers of which one has copies of the other's zones."""
    found = []
    for site in look.network.running():
        for own in nameservers.services(look.network, site, nameservers.PORT)[:1]:
            device = look.network.devices[own.device]
            for pair in nameservers.followed(look.network, site):
                other = pair.other
                if look.network.known_sites[other.site.key].running:
                    found.append(Copies(site, device, own, other.services[0], other.site.key, other.zones))
    return found


def run(look: Look, crew: Crew) -> Found:
    """Ask everything at once; one record a pair."""
    listed = pairs(look)
    look.told(f"copies: {sum(len(each.zones) for each in listed)} zones at a second server")
    said: dict[int, list[Said]] = {}
    absent: dict[str, str] = {}
    waiting = list(range(len(listed)))
    for attempt in range(TRIES):
        if attempt:
            clock.sleep(PAUSE)
        by_host: dict[str, list[int]] = {}
        for number in waiting:
            by_host.setdefault(listed[number].device.name, []).append(number)
        asked = {host: [ask for n in numbers for ask in _asks(listed[n])] for host, numbers in by_host.items()}
        replies, gone = exchange.ask(crew, asked)
        absent |= gone
        for host, numbers in by_host.items():
            answers = iter(replies.get(host, []))
            for number in numbers if host not in gone else ():
                each = listed[number]
                said[number] = [_said([next(answers) for _ in range(4)]) for _ in _ways(each)]
        waiting = [n for n in waiting if n in said and any(_coming(each) for each in said[n])]
        if not waiting:
            break
    return Found(
        tuple(judge(look, each, said.get(n), absent.get(each.device.name, "")) for n, each in enumerate(listed))
    )


def _ways(pair: Copies) -> list[tuple[str, str]]:
    """(zone, family) of everything that is asked."""
    return [(zone, family) for zone in pair.zones for family in ("4", "6")]


def _asks(pair: Copies) -> list[exchange.Ask]:
    """Four questions each: the serial of both, and a transfer from both."""
    own = addresses(pair.device)
    found = []
    for number, (zone, family) in enumerate(_ways(pair)):
        for transfer in (False, True):
            for service in (pair.own, pair.primary):
                server = service.v4 if family == "4" else service.v6
                found.append(exchange.Ask(own[family], server, 53, _query(zone, number, transfer)))
    return found


def _query(zone: str, number: int, transfer: bool) -> bytes:
    name = zone if zone == nameservers.ROOT else f"{zone}."
    query = dns.message.make_query(name, "IXFR" if transfer else "SOA", id=number)
    if transfer:
        query.authority.append(dns.rrset.from_text(name, 0, "IN", "SOA", ". . 0 0 0 0 0"))
    return query.to_wire()


def _said(replies: Sequence[exchange.Reply | None]) -> Said:
    copy, primary, *taken = (read(reply.data) if reply else "" for reply in replies)
    given = tuple(who for who, what in zip(("the secondary", "the primary"), taken, strict=True) if what.isdigit())
    return Said(copy, primary, given, "" in taken)


def read(data: bytes) -> str:
    """The serial in an answer; in angle brackets what it says instead."""
    found = names.rows(data, "SOA")
    return found if isinstance(found, str) else found[0].split()[2]


def _behind(said: Said) -> bool:
    return said.copy != said.primary or not said.copy.isdigit()


def _coming(said: Said) -> bool:
    """Whether both answered, and the copy may only be late."""
    return _behind(said) and bool(said.copy) and said.primary.isdigit()


def judge(look: Look, pair: Copies, said: Sequence[Said] | None, why: str) -> Record:
    """The record of one pair. `said`: one a zone and family; None: the host was not asked."""
    ways = _ways(pair)
    told = list(zip(ways, said or (), strict=False))
    behind = [
        f"{zone} over IPv{family}: {each.copy or 'no answer'} here, {each.primary or 'no answer'} at {pair.primary.fqdn}"
        for (zone, family), each in told
        if _behind(each)
    ]
    given = [
        f"{zone} over IPv{family} is given without a key by {who}"
        for (zone, family), each in told
        for who in each.given
    ]
    silent = [f"{zone} over IPv{family}: no answer to a transfer" for (zone, family), each in told if each.silent]
    wrong = [*given, *behind, *(() if behind else silent)]
    if said is None:
        result, reason = "not-observed", why
    elif wrong:
        result, reason = "fail", f"{len(wrong)} of {len(ways)} wrong: {some(wrong)}"
    else:
        result, reason = (
            "pass",
            f"{len(pair.zones)} zones have the serial of {pair.primary.fqdn}; none is given without a key",
        )
    return look.record(
        CHECK,
        subject(pair.site, zone=pair.own.zone, service=pair.own.name, device=pair.device.name, peer=pair.source),
        result,  # type: ignore[arg-type]
        reason,
        method=METHOD,
        key=(pair.own, pair.primary, pair.zones),
        observer=pair.device.name,
        seen=0 if said is None else len(said),
        expected=len(ways),
        measures=()
        if said is None
        else (Measure("behind", "zones", len(behind), 0.0), Measure("given", "zones", len(given), 0.0)),
    )
