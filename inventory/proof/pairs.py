"""Pairs of firewalls: do both have what the other has, the gateways of every zone, and priorities that decide?

Whether the way of every connection leads through either of them is computed with the routes (`paths.py`). A vendor's two also
keep each other's connections, over a cable of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from inventory.proof import interval, routes
from inventory.proof.decide import World
from inventory.proof.filters import Packet, Ruleset
from inventory.proof.finding import Finding, Place
from inventory.proof.passing import verdict
from inventory.proof.sharing import Config, Heartbeat, Virtual
from inventory.proof.texts import Reading
from ip_plan.network import Device, Zone

FILE = "/etc/keepalived/keepalived.conf"
STANDING = 10000
"""Cost that no way over two routers and a zone comes near: what the device that stands by has to tell at least."""
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
    whole = reading.frr.file if device.numbers and reading.frr else ""
    if config is None:
        if (device.numbers and not whole) or any(mistake.file == reading.here(FILE) for mistake in reading.mistakes):
            return []
        what = "stands beside another firewall and has no virtual addresses"
        cure = "Render the device again." if whole else f"Render {FILE}."
        return [_found("JB2510", whole or reading.here(FILE), 1, device, what, cure)]
    (other,) = (each for each in pair if each.name != device.name)
    found = [*_virtuals(world, device, config), *_together(device, config)]
    beside = others.get(other.name)
    if device.numbers:
        found += _heartbeat(device, config, other, beside.pair if beside else None, reading.nftables)
        found += _told(device, config, reading, other, beside)
    if beside is not None and beside.pair is not None:
        found += _agree(device, config, other, beside.pair)
        found += _vlans(device, reading, other, beside)
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
            if config.spoken and virtual.source != own:
                what = f"speaks from {virtual.source or 'whatever address it finds'} on {virtual.interface}: the other takes {own} alone"
                cure = f"Give the interface {own}." if device.numbers else f"Write `mcast_src_ip {own}`."
                yield _found("JB2514", config.file, virtual.line, device, what, cure)
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
    if device.numbers:
        for item in device.interfaces:
            if item.kind == "inside" and item.name not in config.followed:
                what = f"stays active when {item.name} is down: nothing takes the gateways away from it then"
                yield _found("JB2516", config.file, line, device, what, f"Follow {item.name}.")
        return
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
        if virtual.local != beside.local or (virtual.local and virtual.local in (virtual.source, beside.source)):
            what = f"has the virtual link-local address {virtual.local} on {virtual.interface}, {other.name} has {beside.local}"
            cure = "Write the same at both, and one that neither has for itself."
            yield _found("JB2514", config.file, virtual.line, device, what, cure, near)
        if virtual.version != 3 and _family(virtual) == 6:
            what = f"speaks version {virtual.version} on {virtual.interface}, which has no IPv6"
            yield _found("JB2514", config.file, virtual.line, device, what, "Write `vrrp_version 3`.")
    mine, yours = _priority(config), _priority(theirs)
    drop = max((-each.weight for each in config.tracked), default=0)
    if config.tracked and mine > yours and mine - drop >= yours:
        what = f"has the priority {mine - drop} without routes, {other.name} has {yours} with them"
        first = tuple((theirs.file, virtual.line) for virtual in theirs.virtuals[:1])
        yield _found("JB2516", config.file, config.tracked[0].line, device, what, "Lower it by more.", first)


def _heartbeat(
    device: Device, config: Config, other: Device, theirs: Config | None, filter: Ruleset | None
) -> Iterator[Finding]:
    """A vendor's two hear each other over one cable, agree on who is first, and keep each other's connections."""
    beat = config.heartbeat
    file, line = config.file, beat.line if beat else 1
    if beat is None or not beat.interface or not beat.own:
        what = f"has no heartbeat with {other.name}: neither knows of the other, nor of its connections"
        yield _found("JB2518", file, line, device, what, "Give it an interface, an address and the other's address.")
        return
    said = (
        (beat.on, "has a heartbeat that is not on", "Turn it on."),
        (beat.mirrors, "keeps no connections at the other: all break when the two change over", "Mirror its sessions."),
        (
            not beat.copies,
            f"copies its commands to {other.name}: neither has the text that was rendered",
            "Turn that off.",
        ),
    )
    for right, what, cure in said:
        if not right:
            yield _found("JB2518", file, line, device, what, cure)
    first, last = interval.interval(beat.own)
    far = theirs.heartbeat if theirs else None
    found = beat.other or (far.own.partition("/")[0] if far else "")
    if not found:
        return
    if not first < interval.number(found) < last or found == beat.own.partition("/")[0]:
        what = f"looks for {other.name} at {found}, which is not at the other end of {beat.own}"
        yield _found("JB2518", file, line, device, what, "Write the other end's address.")
    if theirs is not None and far is not None and far.own:
        near = ((theirs.file, far.line),)
        if interval.interval(far.own) != interval.interval(beat.own):
            what = f"has {beat.own} at its end of the heartbeat, {other.name} has {far.own}: not one prefix"
            yield _found("JB2518", file, line, device, what, "Give both ends one prefix.", near)
        if far.own.partition("/")[0] != found:
            what = f"looks for {other.name} at {found}, that one has {far.own}"
            yield _found("JB2518", file, line, device, what, "Write the other end's address.", near)
        if far.first == beat.first and beat.first is not None:
            what = f"says that it is the {'first' if beat.first else 'second'}, as {other.name} does"
            yield _found("JB2518", file, line, device, what, "Let one of them be the second.", near)
    if filter is not None:
        yield from _over(device, msgspec.structs.replace(beat, other=found), filter)


def _over(device: Device, beat: Heartbeat, filter: Ruleset) -> Iterator[Finding]:
    """The other one's packets come in over the heartbeat, no others, and none goes through."""
    own, other = interval.number(beat.own.partition("/")[0]), interval.number(beat.other)
    stranger = other + 1 if other + 1 != own else other + 2
    for speaker, right in ((other, True), (stranger, False)):
        passes, line = verdict(filter, "input", Packet(4, beat.interface, "", speaker, own, "udp", 18514))
        if passes != right:
            what = f"{'stops' if right else 'lets in'} {interval.text(speaker, 4)} at {beat.interface}"
            yield _found("JB2518", filter.file, line, device, what, "Let in the other one's address, and no other.")
    for item in device.interfaces:
        for one, two in ((beat.interface, item.name), (item.name, beat.interface)):
            passes, line = verdict(filter, "forward", Packet(4, one, two, other, own + 1024, "tcp", 22))
            if passes:
                what = f"forwards from {one} to {two}: the heartbeat carries nothing else"
                yield _found("JB2518", filter.file, line, device, what, "Take the rule away.")


def _told(device: Device, config: Config, reading: Reading, other: Device, beside: Reading | None) -> Iterator[Finding]:
    """OSPF tells of the zones at a high cost where the gateways are not."""
    if config.fixed:
        yield from _second(device, config, reading, other, beside)
        return
    line = config.heartbeat.line if config.heartbeat else 1
    for family, title in ((4, "OSPFv2"), (6, "OSPFv3")):
        cost = config.least.get(family, 0)
        if cost < STANDING:
            what = f"{title} tells of the zones {f'at a cost of {cost}' if cost else 'as before'} while it stands by"
            cure = f"Let it tell a cost of {STANDING} or more: routers send to a firewall that does not answer."
            yield _found("JB2519", config.file, line, device, what, cure)


def _second(
    device: Device, config: Config, reading: Reading, other: Device, beside: Reading | None
) -> Iterator[Finding]:
    """Where costs stay, those of the second are the higher ones."""
    if beside is None or beside.frr is None or reading.frr is None or _priority(config) >= _priority(beside.pair):
        return
    for item in device.interfaces if config.virtuals else ():
        for family, title in ((4, "OSPFv2"), (6, "OSPFv3")):
            mine, theirs = (routes.cost_of(each.frr, item.name, family) for each in (reading, beside) if each.frr)
            if item.kind == "zone" and mine <= theirs:
                line = reading.frr.interfaces[item.name].line if item.name in reading.frr.interfaces else 1
                what = f"{title} tells of {item.name} at a cost of {mine}, {other.name} at {theirs}: routers send to either"
                yield _found("JB2519", reading.frr.file, line, device, what, "Give the second one a higher cost.")


def _vlans(device: Device, reading: Reading, other: Device, beside: Reading) -> Iterator[Finding]:
    """A zone has one VLAN id at both, and an interface one identifier by which connections are told to be over it."""
    one, two = reading.frr, beside.frr
    if one is None or two is None:
        return
    for item in device.interfaces:
        for word, title in (("dot1q", "VLAN"), ("rii", "identifier")):
            mine, theirs = (
                each.interfaces[item.name].find(word) if item.name in each.interfaces else None for each in (one, two)
            )
            had, has = (setting.words[1] if setting else "none" for setting in (theirs, mine))
            if (item.kind == "zone" or word == "rii") and had != has:
                what = f"has the {title} {has} on {item.name}, {other.name} has {had}: neither hears the other"
                near = ((two.file, theirs.line),) if theirs else ()
                line = mine.line if mine else one.interfaces[item.name].line if item.name in one.interfaces else 1
                yield _found("JB2514", one.file, line, device, what, "Write the same at both.", near)


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
