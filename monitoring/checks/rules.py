"""`rules.hits`: how often each flow's rules let something through, as the counters of every device with a filter tell.

One record a device, with the packets of each flow since its counters began. Counters begin again with the table (a reload, a
replacement), with the system, and with nothing else: all of these have a number of their own, kept with the record, so that
counts of different beginnings are never compared. How long a rule had no hit, `monitoring.checks.unused` tells from the records.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ground import files, remote
from ground.record import Measure, Record
from ip_plan.network import Device, Network
from monitoring.checks.look import Found, Look, some, subject

CHECK = "rules.hits"
METHOD = "nft -j list: packets counted by the rules of each flow"
CLAUSE = "GB/T 22239 8.1.3.2 b)"
BEGINNING = "counters began"
"""Measure whose value tells one run of the counters from every other."""
CHAINS = ("input", "forward")
OF_NO_FLOW = "base:"
PROGRAM = "cat /proc/sys/kernel/random/boot_id; cut -d' ' -f22 /proc/1/stat; echo ----; nft -j list tables" + "".join(
    f"; echo ----; nft -j list chain inet zone {chain}" for chain in CHAINS
)


class Counted(msgspec.Struct, frozen=True):
    """What the counters of one device say."""

    beginning: int = 0
    packets: dict[str, int] = {}
    """Flow → packets that its rules let through since then."""
    why: str = ""
    """Why there is nothing; empty: there is."""
    silent: bool = False
    """Whether the device said nothing at all."""


def run(look: Look) -> Found:
    """Ask every running device that has a filter; one record a device."""
    listed = filtering(look.network)
    look.told(f"rules: asking {len(listed)} devices")
    answers = remote.run_all(look.session, {device.name: PROGRAM for device in listed})
    return Found(tuple(judge(look, device, read(answers[device.name])) for device in listed))


def filtering(network: Network) -> list[Device]:
    """The running devices that filter, sorted by name."""
    found = [device for site in network.running() for device in network.devices_of(site) if device.routes]
    return sorted(found, key=lambda device: device.name)


def read(answer: remote.Answer) -> Counted:
    """What `PROGRAM` printed."""
    if answer.code is None:
        return Counted(why=answer.err.strip() or "no answer", silent=True)
    if answer.code:
        return Counted(why=" ".join((answer.err or answer.out).split())[:200] or f"exit {answer.code}")
    started, *parts = answer.out.split("----\n")
    try:
        tables, *chains = (msgspec.json.decode(part)["nftables"] for part in parts)
        handle = next(row["table"]["handle"] for row in tables if _zone(row.get("table", {})))
        packets: dict[str, int] = {}
        for row in (row for chain in chains for row in chain):
            flow, count = _counter(row.get("rule", {}))
            if flow:
                packets[flow] = packets.get(flow, 0) + count
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError, StopIteration) as why:
        return Counted(why=f"the counters cannot be read: {why!r}"[:200])
    if len(started.split()) != 2 or len(chains) != len(CHAINS):
        return Counted(why="the answer is cut short")
    # 48 bits: a measure is a floating-point number, exact up to 53.
    return Counted(int(files.sha256(f"{started} {handle}".encode())[:12], 16), dict(sorted(packets.items())))


def _zone(table: dict[str, Any]) -> bool:
    return (table.get("family"), table.get("name")) == ("inet", "zone")


def _counter(rule: dict[str, Any]) -> tuple[str, int]:
    """The flow of a rule and its packets; no flow: it belongs to none, or it does not count."""
    flow = rule.get("comment", "")
    counts = [part["counter"]["packets"] for part in rule.get("expr", ()) if "counter" in part]
    if not flow or flow.startswith(OF_NO_FLOW) or not counts:
        return "", 0
    return flow, int(counts[0])


def judge(look: Look, device: Device, counted: Counted) -> Record:
    """The record of one device. Without a hit is no fault by itself: it may be young, or the counters may."""
    quiet = [flow for flow, packets in counted.packets.items() if not packets]
    if counted.why:
        reason = f"{device.name}: {counted.why}"
    else:
        reason = f"{len(counted.packets)} flows counted" + (f", no hit yet: {some(quiet)}" if quiet else "")
    measures = [Measure(BEGINNING, "id", counted.beginning)]
    measures += [Measure(flow, "packets", packets, clause=CLAUSE) for flow, packets in counted.packets.items()]
    return look.record(
        CHECK,
        subject(look.network.sites[device.site], device=device.name),
        "not-observed" if counted.silent else "error" if counted.why else "pass",
        reason,
        method=METHOD,
        key=(device.name, [flow.id for flow in look.network.flows]),
        observer=device.name,
        seen=0 if counted.why else 1,
        measures=() if counted.why else measures,
    )
