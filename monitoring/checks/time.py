"""`time.offset`: every host's clock against the server it is told to follow, and the levels in order (RFC 5905 stratum)."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import msgspec

from ground.record import Measure, Record
from ip_plan.network import Device, Network, Service, Site
from monitoring.checks import exchange
from monitoring.checks.crew import Crew
from monitoring.checks.look import Found, Look, addresses, hosts, serving_exchange, some, subject

CHECK = "time.offset"
METHOD = "NTP query from the host to the server of its level (RFC 5905 §8), over both families"
CLAUSE = "GB/T 22239 8.1.3.5 b"
LIMIT = 0.1
"""Seconds. Sample data: no source gives a number; records of two hosts stay in order when people made them."""
CLIENT = b"\x23" + bytes(47)
UNSYNCHRONISED = 16
ERA = 2_208_988_800  # seconds from 1900 to 1970


class Clock(msgspec.Struct, frozen=True):
    """What one exchange with a server tells. `offset` is the server's clock minus the host's, in seconds."""

    stratum: int
    offset: float
    leap: int


def server(network: Network, host: Device) -> Service | None:
    """Whom `host` follows: its centre's server; a server itself the one of the level above, the ministry's its own."""
    site: Site | None = serving_exchange(network, network.sites[host.site])
    if site and "time" in host.duties and site.parent in network.known_sites:
        site = network.known_sites[site.parent]
    return network.service(site.key, "exchange", "ntp") if site else None


def run(look: Look, crew: Crew) -> Found:
    """Ask every server from every host that follows it, and every server of itself; one record a host."""
    network = look.network
    listed = hosts(network)
    look.told(f"time: {len(listed)} clocks")
    followed = {host.name: server(network, host) for host in listed}
    questions = {}
    for host in listed:
        own = addresses(host)
        one = followed[host.name]
        questions[host.name] = [
            exchange.Ask(own["6" if ":" in address else "4"], address, 123, CLIENT)
            for address in ((one.v4, one.v6) if one else ())
        ]
        if "time" in host.duties:
            questions[host.name].append(exchange.Ask(own["4"], own["4"], 123, CLIENT))
    replies, absent = exchange.ask(crew, questions)
    records = []
    for host in listed:
        clocks = None if host.name in absent else [read(one) if one else None for one in replies[host.name]]
        records.append(judge(look, host, followed[host.name], clocks, absent.get(host.name, "")))
    return Found(tuple(records))


def read(reply: exchange.Reply) -> Clock | None:
    """The clock behind a reply; None when it is none."""
    if len(reply.data) < 48:
        return None
    head, stratum = reply.data[0], reply.data[1]
    received, sent = (whole - ERA + part / 2**32 for whole, part in struct.iter_unpack(">II", reply.data[32:48]))
    return Clock(stratum, ((received - reply.sent) + (sent - reply.received)) / 2, head >> 6)


def judge(
    look: Look, host: Device, followed: Service | None, clocks: Sequence[Clock | None] | None, why: str
) -> Record:
    """The record of one host. `clocks`: the server's over IPv4 and IPv6, and the host's own where it is a server."""
    site = look.network.sites[host.site]
    faults: list[str] = []
    told = [clock for clock in clocks or () if clock]
    top = followed is not None and followed.device == host.name
    if clocks is not None and followed is not None:
        for family, clock in zip("46", clocks, strict=False):
            if clock is None:
                faults.append(f"{followed.fqdn} does not answer over IPv{family}")
            elif clock.leap == 3 or not 0 < clock.stratum < UNSYNCHRONISED:
                faults.append(f"{followed.fqdn} has no time to give (stratum {clock.stratum})")
            elif abs(clock.offset) > LIMIT:
                faults.append(f"{clock.offset:+.3f} s from {followed.fqdn}")
        above, own = clocks[0], clocks[2] if len(clocks) > 2 else None
        if "time" in host.duties and not top:
            if own is None or own.leap == 3 or not 0 < own.stratum < UNSYNCHRONISED:
                faults.append("its own server has no time to give")
            elif above and own.stratum != above.stratum + 1:
                faults.append(
                    f"stratum {own.stratum} below a server of stratum {above.stratum}: it follows another one"
                )
    offset = max((abs(clock.offset) for clock in told[:2]), default=0.0)
    if followed is None:
        result, reason = "error", "the plan has no time server for this site"
    elif clocks is None:
        result, reason = "not-observed", why
    elif faults:
        result, reason = "fail", some(faults)
    else:
        result, reason = "pass", f"within {offset:.4f} s of {followed.fqdn}, stratum {told[0].stratum}"
    return look.record(
        CHECK,
        subject(site, zone=host.zone, device=host.name),
        result,  # type: ignore[arg-type]
        reason,
        method=METHOD,
        key=(host.duties, followed),
        observer=host.name,
        seen=len(told),
        expected=len(clocks) if clocks is not None else 2,
        measures=(Measure("offset", "s", round(offset, 6), LIMIT, CLAUSE), Measure("stratum", "", told[0].stratum))
        if told
        else (),
    )
