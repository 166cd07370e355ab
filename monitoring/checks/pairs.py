"""Pairs of firewalls: exactly one of the two has the gateways of the zones, and it has all of them.

pair.active   which of a site's two firewalls is active, from the addresses that each has
"""

from __future__ import annotations

import msgspec

from ground import remote
from ground.record import Measure, Record
from ip_plan.network import Device, Site
from monitoring.checks.look import Found, Look, some, subject

CHECK = "pair.active"
METHOD = "addresses of both firewalls, both families"
PROGRAM = "ip -j addr show"


def run(look: Look) -> Found:
    """Ask both firewalls of every running pair for their addresses; one record a site."""
    network = look.network
    pairs = {site.key: pair for site in network.running() if (pair := network.pair(site.key))}
    asked = [device.name for pair in pairs.values() for device in pair]
    if asked:
        look.told(f"pairs: asking {len(asked)} firewalls")
    answers = remote.run_all(look.session, dict.fromkeys(asked, PROGRAM)) if asked else {}
    return Found(
        tuple(
            judge(look, network.sites[key], pair, [answers[each.name] for each in pair]) for key, pair in pairs.items()
        )
    )


def judge(look: Look, site: Site, pair: tuple[Device, ...], answers: list[remote.Answer]) -> Record:
    """Which of the two is active. Both, none, or one for some zones only: a failure; one that says nothing might be active too."""
    gateways = frozenset(address for zone in site.zones for address in (zone.gateway4, zone.gateway6))
    held = {device.name: _held(answer) for device, answer in zip(pair, answers, strict=True)}
    silent = [name for name, addresses in held.items() if addresses is None]
    acting = {name: addresses & gateways for name, addresses in held.items() if addresses and addresses & gateways}
    part = [name for name, addresses in acting.items() if addresses != gateways]
    if len(acting) > 1:
        lacking = "each for some zones" if part else "each for all zones"
        result, reason = "fail", f"{' and '.join(sorted(acting))} are both active, {lacking}"
    elif part:
        lost = some(sorted(gateways - acting[part[0]]))
        result, reason = "fail", f"{part[0]} is active without {lost}"
    elif silent:
        why = next(answer.err.strip() or "no answer" for answer in answers if _held(answer) is None)
        known = f"{next(iter(acting))} is active" if acting else "none is seen active"
        result, reason = "not-observed", f"{known}; {', '.join(silent)} cannot tell: {why}"
    elif not acting:
        result, reason = "fail", f"neither {' nor '.join(held)} is active: the zones have no gateway"
    else:
        active = next(iter(acting))
        result, reason = "pass", f"{active} is active, {next(name for name in held if name != active)} stands by"
    return look.record(
        CHECK,
        subject(site),
        result,  # type: ignore[arg-type]
        reason,
        method=METHOD,
        key=(tuple(held), tuple(sorted(gateways))),
        seen=len(held) - len(silent),
        expected=len(held),
        measures=() if silent else (Measure("active", "firewalls", len(acting), 1),),
    )


def _held(answer: remote.Answer) -> frozenset[str] | None:
    """The addresses that a device has; None: it told nothing that can be read."""
    if answer.code is None:
        return None
    try:
        rows = msgspec.json.decode(answer.out or "[]")
        return frozenset(each["local"] for row in rows for each in row.get("addr_info", ()) if "local" in each)
    except (msgspec.MsgspecError, TypeError, AttributeError):
        return None
