"""Routing, seen from both ends of every line.

`bgp.session`: one record for each end of a session; the subject's region is the lower one, to whom the line belongs, its device
is the end that looked and its peer the other. `prefix.present`: what the upper end has of the region (its summaries), and what
the lower end has of the rest (a route to the serving centre's zones).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from ground import remote
from ground.record import Measure, Record, Subject
from ip_plan import addressing
from ip_plan.network import Device, Interface, Link, Network, Site
from monitoring.checks.look import Found, Look, routers, some

SESSION, PREFIX = "bgp.session", "prefix.present"
SESSION_METHOD = "vtysh show bgp summary, both families"
PREFIX_METHOD = "kernel routing table, longest match, both families"
PROGRAM = "vtysh -c 'show bgp summary json' 2>&1; echo; echo ----; ip -j -4 route; echo; echo ----; ip -j -6 route"
NOWHERE = ("blackhole", "unreachable", "prohibit", "throw")


class State(msgspec.Struct, frozen=True):
    """What one router says of its neighbours and routes."""

    sessions: dict[str, str]
    """Neighbour address → state, `Established` when it is up."""
    routes: dict[int, dict[addressing.Block, str]]
    """Family → prefix → type (`unicast`, `blackhole` …)."""
    why: str = ""
    """Why there is nothing; empty: there is."""
    silent: str = ""
    """Why FRR told nothing of BGP while the kernel's routes are known; empty: it did."""


class Session(msgspec.Struct, frozen=True):
    """A BGP session that has to be there, as seen from `device`."""

    device: str
    peer: str
    owner: Site
    """The lower site, or the one both ends stand in."""
    addresses: tuple[str, str]
    """The neighbour's, IPv4 and IPv6."""
    key: tuple[object, ...]


def read(answer: remote.Answer) -> State:
    """What `PROGRAM` printed."""
    if answer.code is None:
        return State({}, {}, answer.err.strip() or "no answer")
    parts = answer.out.split("----\n")
    if len(parts) != 3:
        return State({}, {}, answer.err.strip() or "the answer is cut short")
    try:
        routes = {4: _routes(parts[1], 4), 6: _routes(parts[2], 6)}
    except (msgspec.MsgspecError, ValueError) as why:
        return State({}, {}, f"the routing table cannot be read: {why}")
    try:
        return State(_sessions(msgspec.json.decode(parts[0])), routes)
    except msgspec.MsgspecError:
        return State({}, routes, silent=" ".join(parts[0].split())[:200] or "FRR says nothing")


def _sessions(summary: dict[str, Any]) -> dict[str, str]:
    return {
        address: peer.get("state", "")
        for family in ("ipv4Unicast", "ipv6Unicast")
        for address, peer in (summary.get(family) or {}).get("peers", {}).items()
    }


def _routes(text: str, family: int) -> dict[addressing.Block, str]:
    found: dict[addressing.Block, str] = {}
    for row in msgspec.json.decode(text.strip() or "[]"):
        prefix = row["dst"] if row["dst"] != "default" else ("0.0.0.0/0" if family == 4 else "::/0")
        kind = row.get("type", "unicast")
        block = addressing.parse(prefix, family)
        # Of two routes to one prefix the one that leads somewhere counts: the other has the worse metric.
        if kind not in NOWHERE or block not in found:
            found[block] = kind
    return found


def run(look: Look) -> Found:
    """Ask every router once; judge sessions and prefixes."""
    network = look.network
    devices = routers(network)
    look.told(f"routing: asking {len(devices)} routers")
    answers = remote.run_all(look.session, {device.name: PROGRAM for device in devices})
    states = {name: read(answer) for name, answer in answers.items()}
    records = [judge_session(look, session, states[session.device]) for session in sessions(network, devices)]
    for link, lower, upper in lines(network):
        records.append(judge_summaries(look, link, lower, states[link.a]))
        records.append(judge_needs(look, link, lower, upper, states[link.b]))
    return Found(tuple(records))


def lines(network: Network) -> list[tuple[Link, Site, Site]]:
    """The lines between running sites: (line, lower site, upper site)."""
    running = {site.key: site for site in network.running()}
    found = []
    for link in sorted(network.links.values(), key=lambda link: link.id):
        lower, upper = (network.devices.get(name) for name in (link.b, link.a))
        if link.kind != "inside" and lower and upper and lower.site in running and upper.site in running:
            found.append((link, running[lower.site], running[upper.site]))
    return found


def sessions(network: Network, devices: Sequence[Device]) -> list[Session]:
    """The sessions each running router must have with another running one: over lines, and within a pair."""
    running = {device.name: device for device in devices}
    found = []
    for device in devices:
        site = network.sites[device.site]
        for interface in device.interfaces:
            other = running.get(interface.peer)
            if other and interface.kind == "wan" and interface.peer_asn and (device.asn or site.asn):
                owner = site if other.site == site.parent else network.sites[other.site]
                key = (_end(interface), device.asn or site.asn, interface.peer_asn)
                found.append(Session(device.name, other.name, owner, (interface.peer4, interface.peer6), key))
        for other in devices:
            if other.site == device.site and other.name != device.name and other.role == device.role == "router":
                addresses = (other.loopback4, other.loopback6)
                found.append(Session(device.name, other.name, site, addresses, (addresses, device.asn)))
    return found


def _end(interface: Interface) -> tuple[str, ...]:
    return interface.name, interface.v4, interface.v6, interface.peer4, interface.peer6, interface.link


def judge_session(look: Look, session: Session, state: State) -> Record:
    """What one end says of the session."""
    subject = Subject(session.owner.region, session.owner.key, device=session.device, peer=session.peer)
    why = state.why or state.silent
    up = sum(state.sessions.get(address) == "Established" for address in session.addresses)
    if state.why:
        result, reason = "not-observed", f"{session.device}: {state.why}"
    elif state.silent:
        result, reason = "error", f"{session.device} cannot tell: {state.silent}"
    elif up == len(session.addresses):
        result, reason = "pass", f"{session.device} – {session.peer}: established over both families"
    else:
        down = (f"{a} is {state.sessions.get(a, 'not configured')}" for a in session.addresses)
        result, reason = "fail", f"{session.device} – {session.peer}: {some(down)}"
    return look.record(
        SESSION,
        subject,
        result,  # type: ignore[arg-type]
        reason,
        method=SESSION_METHOD,
        key=session.key,
        observer=session.device,
        seen=0 if why else 2,
        expected=2,
        measures=() if why else (Measure("established", "sessions", up, 2),),
    )


def judge_summaries(look: Look, link: Link, lower: Site, state: State) -> Record:
    """Whether the upper end of a line has what the ledger granted to the lower site: its blocks, or its zones."""
    region = look.network.regions[lower.region]
    exact = lower.kind == "centre"
    wanted = [*region.blocks4, *region.blocks6] if exact else [p for zone in lower.zones for p in (zone.v4, zone.v6)]
    missing = [prefix for prefix in wanted if not has(state, prefix, exact=exact)]
    return _prefixes(look, Subject(lower.region, lower.key, device=link.a, peer=link.b), link.a, state, wanted, missing)


def judge_needs(look: Look, link: Link, lower: Site, upper: Site, state: State) -> Record:
    """Whether the lower end of a line knows a way to every zone of the centre above."""
    wanted = [prefix for zone in upper.zones for prefix in (zone.v4, zone.v6)]
    missing = [prefix for prefix in wanted if not has(state, prefix, exact=False)]
    return _prefixes(look, Subject(lower.region, lower.key, device=link.b, peer=link.a), link.b, state, wanted, missing)


def has(state: State, prefix: str, *, exact: bool) -> bool:
    """Whether a route leads to `prefix`: that very one (`exact`), or the longest that holds it."""
    family = 6 if ":" in prefix else 4
    block = addressing.parse(prefix, family)
    table = state.routes.get(family, {})
    if exact:
        return table.get(block, "blackhole") not in NOWHERE
    holding = [outer for outer in table if addressing.contains(outer, block, family)]
    return bool(holding) and table[max(holding, key=lambda outer: outer[1])] not in NOWHERE


def _prefixes(
    look: Look, subject: Subject, observer: str, state: State, wanted: Sequence[str], missing: Iterable[str]
) -> Record:
    lost = list(missing)
    if state.why:
        result, reason, seen = "not-observed", f"{observer}: {state.why}", 0
    elif lost:
        result, reason, seen = "fail", f"{observer} has no route to {some(lost)}", len(wanted)
    else:
        result, reason, seen = "pass", f"{observer} has a route to all {len(wanted)} prefixes", len(wanted)
    return look.record(
        PREFIX,
        subject,
        result,  # type: ignore[arg-type]
        reason,
        method=PREFIX_METHOD,
        key=(subject, tuple(wanted)),
        observer=observer,
        seen=seen,
        expected=len(wanted),
        measures=() if state.why else (Measure("missing", "prefixes", len(lost), 0.0),),
    )
