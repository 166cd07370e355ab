"""Pairs of firewalls: do both have what the other has, the gateways of every zone, and priorities that decide?

Whether the way of every connection leads through either of them is computed with the routes (`paths.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from inventory.proof import interval
from inventory.proof.decide import World
from inventory.proof.finding import Finding, Place
from inventory.proof.keepalived import Config, Virtual
from inventory.proof.nftables import Ruleset
from inventory.proof.texts import Reading
from ip_plan.network import Device, Zone

FILE = "/etc/keepalived/keepalived.conf"
BESIDE = "base:pair"
"""Comment of the rules in which the two have to differ: each names the other."""


def active(world: World, readings: Mapping[str, Reading], site: str, *, first: bool = True) -> str:
    """The firewall that has the gateways of a site while both are up, or (`first` false) when that one is away; empty: no pair."""
    names = [device.name for device in world.network.pair(site) if device.name in readings]
    ranked = sorted(names, key=lambda name: (-_priority(readings[name].pair), name))
    return (ranked[0] if first else ranked[-1]) if len(ranked) > 1 else ""


def _priority(config: Config | None) -> int:
    return max((virtual.priority for virtual in config.virtuals), default=0) if config else 0


def link_local(text: str) -> str:
    """The link-local address that goes with an own one: its last 64 bits."""
    value = interval.number(text.partition("/")[0]) & ((1 << 64) - 1)
    return interval.text(interval.number("fe80::") | value, 6)


def check(world: World, device: Device, reading: Reading, others: Mapping[str, Reading]) -> list[Finding]:
    """What is wrong with a firewall's part in its pair."""
    pair = world.network.pair(device.site) if device.role == "firewall" else ()
    config = reading.pair
    if not pair:
        if config is None:
            return []
        return [_found("JB2510", config.file, 1, device, "is in no pair and has virtual addresses", "Delete the file.")]
    if config is None:
        if any(mistake.file == reading.here(FILE) for mistake in reading.mistakes):
            return []
        what = "stands beside another firewall and has no virtual addresses"
        return [_found("JB2510", reading.here(FILE), 1, device, what, f"Render {FILE}.")]
    (other,) = (each for each in pair if each.name != device.name)
    found = [*_virtuals(world, device, config), *_together(device, config)]
    beside = others.get(other.name)
    if beside is not None and beside.pair is not None:
        found += _agree(device, config, other, beside.pair)
    if beside is not None and reading.nftables is not None and beside.nftables is not None:
        found += _alike(device, reading.nftables, other, beside.nftables)
    return found


def _found(
    code: str, file: str, line: int, device: Device, what: str, cure: str, near: tuple[Place, ...] = ()
) -> Finding:
    return Finding(code, file, line, device.name, what, cure, near=near)


def _virtuals(world: World, device: Device, config: Config) -> Iterator[Finding]:
    """Each zone has its gateway in each family on its interface, spoken of from the own address, and nothing else has any."""
    site = world.network.sites[device.site]
    near = {item.name: item for item in device.interfaces}
    wanted: dict[tuple[str, int], Zone] = {
        (f"z-{zone.name}", family): zone for zone in site.zones for family in (4, 6) if f"z-{zone.name}" in near
    }
    seen: set[tuple[str, int]] = set()
    for virtual in config.virtuals:
        for text, line in virtual.addresses or (("", virtual.line),):
            family = 6 if ":" in text else 4
            zone = wanted.get((virtual.interface, family))
            if zone is None:
                what = f"has {text or 'a virtual router'} on {virtual.interface}, which is no zone's"
                yield _found("JB2512", config.file, line, device, what, "Delete it.")
                continue
            seen.add((virtual.interface, family))
            gateway, prefix = (zone.gateway4, zone.v4) if family == 4 else (zone.gateway6, zone.v6)
            right = f"{gateway}/{prefix.partition('/')[2]}"
            if text != right:
                what = (
                    f"has the virtual address {text or 'of none'} on {virtual.interface}, the zone's gateway is {right}"
                )
                yield _found("JB2512", config.file, line, device, what, f"Write {right}.")
            item = near[virtual.interface]
            own = item.v4.partition("/")[0] if family == 4 else link_local(item.v6)
            if virtual.source != own:
                what = f"speaks from {virtual.source or 'whatever address it finds'} on {virtual.interface}: the other takes {own} alone"
                yield _found("JB2514", config.file, virtual.line, device, what, f"Write `mcast_src_ip {own}`.")
    lines = tuple((config.file, virtual.line) for virtual in config.virtuals)
    for (interface, family), zone in wanted.items():
        if (interface, family) not in seen:
            what = f"has no virtual address of IPv{family} in the zone {zone.name}: while it is active, that zone has no gateway"
            line = config.virtuals[0].line if config.virtuals else 1
            yield _found("JB2511", config.file, line, device, what, f"Add a virtual router on {interface}.", lines)


def _together(device: Device, config: Config) -> Iterator[Finding]:
    """All zones change over together, with one priority, and away from a firewall that has lost its routes."""
    names = {virtual.name for virtual in config.virtuals}
    alone = sorted(names - (config.together[0] if config.together else frozenset()))
    line = next((virtual.line for virtual in config.virtuals if virtual.name in alone), 1)
    if alone:
        what = f"{alone[0]} changes over by itself: the two ways of a connection then pass different firewalls"
        yield _found("JB2515", config.file, line, device, what, "Name all virtual routers in one group.")
    usual = config.virtuals[0].priority if config.virtuals else 0
    for virtual in config.virtuals:
        if virtual.priority != usual:
            what = f"{virtual.name} has the priority {virtual.priority}, {config.virtuals[0].name} {usual}"
            yield _found("JB2513", config.file, virtual.line, device, what, "Give all zones one priority.")
            break
    ways = [each for each in config.tracked if "route" in each.script and "ospf" in each.script]
    if not any(each.weight < 0 and each.doubted for each in ways):
        line = ways[0].line if ways else 1
        what = "stays active without a route to anywhere: nothing lowers its priority then"
        cure = "Follow a script that looks for OSPF's routes, with a negative weight, and in doubt until it answered."
        yield _found("JB2516", config.file, line, device, what, cure)


def _agree(device: Device, config: Config, other: Device, theirs: Config) -> Iterator[Finding]:
    """What both have to say alike, and the priority, which must tell them apart."""
    far = {(v.interface, _family(v)): v for v in theirs.virtuals}
    for virtual in config.virtuals:
        beside = far.get((virtual.interface, _family(virtual)))
        if beside is None:
            continue
        near = ((theirs.file, beside.line),)
        if beside.priority == virtual.priority:
            what = f"has the priority {virtual.priority} on {virtual.interface}, as {other.name} has: chance decides"
            yield _found("JB2513", config.file, virtual.line, device, what, "Give one of them a lower one.", near)
            break
        for named, one, two in (
            ("group", virtual.group, beside.group),
            ("version", virtual.version, beside.version),
            ("interval", virtual.seconds, beside.seconds),
        ):
            if one != two:
                what = (
                    f"has the {named} {one:g} on {virtual.interface}, {other.name} has {two:g}: neither hears the other"
                )
                yield _found("JB2514", config.file, virtual.line, device, what, "Write the same at both.", near)
        if virtual.version != 3:
            what = f"speaks version {virtual.version} on {virtual.interface}, which has no IPv6"
            yield _found("JB2514", config.file, virtual.line, device, what, "Write `vrrp_version 3`.")
    mine, yours = _priority(config), _priority(theirs)
    drop = max((-each.weight for each in config.tracked), default=0)
    if config.tracked and mine > yours and mine - drop >= yours:
        what = f"has the priority {mine - drop} without routes, {other.name} has {yours} with them"
        first = tuple((theirs.file, virtual.line) for virtual in theirs.virtuals[:1])
        yield _found("JB2516", config.file, config.tracked[0].line, device, what, "Lower it by more.", first)


def _family(virtual: Virtual) -> int:
    return 6 if any(":" in text for text, _ in virtual.addresses) else 4


def _alike(device: Device, mine: Ruleset, other: Device, theirs: Ruleset) -> Iterator[Finding]:
    """The first of whose rules the other has not."""
    known = {said for said, _ in _rules(theirs)}
    for said, line in _rules(mine):
        if said not in known:
            what = f"has a rule that {other.name} has not: what passes changes with the firewall that is active"
            yield _found("JB2517", mine.file, line, device, what, "Render both again.")
            return


def _rules(ruleset: Ruleset) -> Iterator[tuple[object, int]]:
    for table in ruleset.tables:
        sets = {name: (each.type, frozenset(each.elements)) for name, each in table.sets.items()}
        for chain in table.chains.values():
            for rule in chain.rules:
                if rule.comment == BESIDE:
                    continue
                matches = tuple((match, sets.get(match.set)) for match in rule.matches)
                yield (
                    (table.name, chain.name, chain.policy, matches, rule.action, rule.target, rule.branches),
                    rule.line,
                )
