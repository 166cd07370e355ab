"""What the lines of one device's own text say wrongly: address, gateway, next hop, OSPF, neighbour, policy.

A line is held against the plan, and against what the device at the other end says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from inventory.proof import frr, interval, pairs, routes, shielding, switches, tunnelling
from inventory.proof.decide import World
from inventory.proof.finding import Finding, Place
from inventory.proof.routes import Address, Key, Path
from inventory.proof.texts import Reading
from ip_plan import underlay
from ip_plan.network import Device, Site
from ip_plan.network import Interface as Port

Wrong = Callable[..., None]


def own(world: World, device: Device, reading: Reading, others: Mapping[str, Reading]) -> list[Finding]:
    """What a device's files say otherwise than the Network: addresses, identity, neighbours, policies, BFD, OSPF, statics."""
    found: list[Finding] = []

    def wrong(code: str, file: str, line: int, what: str, cure: str, near: Iterable[Place] = ()) -> None:
        found.append(Finding(code, file, line, device.name, what, cure, near=tuple(near)))

    _addresses(world, device, reading, wrong)
    found += pairs.check(world, device, reading, others)
    config = reading.frr
    if device.routes and config is not None:
        _identity(device, config, wrong)
        _references(config, wrong)
        _statics(world, device, config, wrong)
        _static_needs(world, device, config, wrong)
        _ospf(device, config, others, _paired(world, device), wrong)
        _neighbours(world, device, config, others, wrong)
        if device.numbers:
            shielding.check(world.network, device, config, reading.nftables, wrong)
        else:
            tunnelling.check(world.network, device, reading, wrong)
        switches.tags(world.network, device, config, wrong)
        if reading.switching is not None:
            wrong("JB2508", config.file, 1, "it has VLANs, and is no switch", "Delete them.")
    if device.role == "switch" and config is not None:
        _identity(device, config, wrong)
        if reading.switching is not None:
            switches.check(world.network, device, reading.switching, config, wrong)
        else:
            wrong("JB2506", config.file, 1, "it has no VLAN at all", "Render the device again.")
    return found


def _addresses(world: World, device: Device, reading: Reading, wrong: Wrong) -> None:
    expected: dict[str, set[str]] = {}
    for item in device.interfaces:
        texts = {item.v4, item.v6, *_beside(world, device.name, item.name)}
        if item.kind == "zone" and device.numbers and reading.pair is not None and reading.pair.spoken:
            texts.add(f"{pairs.link_local(item.v6)}/64")
        elif item.kind == "zone" and reading.pair is not None and not device.numbers:
            # The prefix stands at the virtual address; IPv6 advertisements are told apart by where they come from.
            texts = {
                f"{item.v4.partition('/')[0]}/32",
                f"{item.v6.partition('/')[0]}/128",
                f"{pairs.link_local(item.v6)}/64",
            }
        if device.role == "host":
            for service in world.network.services_at.get((device.site, item.zone), ()):
                if service.device == device.name:
                    texts |= {f"{service.v4}/32", f"{service.v6}/128"}
        expected[item.name] = {spelled(text) for text in texts if text}
        link = world.network.links.get(item.link)
        if link is not None and link.suite and not device.numbers:
            end = underlay.end(item.v4)
            expected[underlay.below(item.name)] = {spelled(f"{end.outer}/127"), spelled(f"{end.inner}/128")}
    if device.loopback4:
        own = (f"{device.loopback4}/32", f"{device.loopback6}/128", *_beside(world, device.name, "lo"))
        expected["lo"] = {spelled(text) for text in own}
    given: dict[str, dict[str, Place]] = {}
    names: dict[str, Place] = {}
    for unit in reading.units:
        names.setdefault(unit.name, (unit.file, unit.name_line))
        for text, line in unit.addresses:
            given.setdefault(unit.name, {})[spelled(text)] = (unit.file, line)
    for known in (reading.frr.interfaces if reading.frr else {}).values():
        for setting in known.settings:
            if setting.words[:2] in (("ip", "address"), ("ipv6", "address")) and len(setting.words) > 2 and reading.frr:
                given.setdefault(known.name, {})[spelled(setting.words[2])] = (reading.frr.file, setting.line)
    fallback = next(iter(names.values()), (reading.frr.file, 1) if reading.frr else ("", 1))
    for name, texts in expected.items():
        have = given.get(name, {})
        for text in sorted(texts - have.keys()):
            place = names.get(name, fallback)
            wrong(
                "JB2410",
                *place,
                f"interface {name} lacks the address {text}",
                "Render the device again.",
                have.values(),
            )
        for text in sorted(have.keys() - texts):
            what = f"interface {name} has the address {text}, the Network says {', '.join(sorted(texts))}"
            wrong("JB2410", *have[text], what, "Write the Network's address.")
    for name in sorted(given.keys() - expected.keys() - {"mgmt0", "lo"}):
        for text, place in given[name].items():
            wrong("JB2410", *place, f"interface {name} is not in the Network, it has {text}", "Delete the file.")
    if device.role == "host":
        _gateways(world, device, reading, wrong)


def _beside(world: World, owner: str, name: str) -> tuple[str, ...]:
    """The addresses that are valid beside the others while a site is renumbered."""
    each = world.network.second.get((owner, name))
    return (each.v4, each.v6) if each else ()


def _gateways(world: World, device: Device, reading: Reading, wrong: Wrong) -> None:
    zone = world.network.sites[device.site].zone(device.zone)
    if zone is None:
        return
    unit = next((unit for unit in reading.units if unit.name == f"z-{device.zone}"), None)
    if unit is None:
        return
    gateways = {route.via: route.line for route in unit.routes if not route.to}
    for right in (zone.gateway4, zone.gateway6):
        if right and spelled(right) not in {spelled(text) for text in gateways}:
            what = f"the default route to {right} is missing"
            wrong(
                "JB2416",
                unit.file,
                unit.name_line,
                what,
                f"Write `Gateway={right}`.",
                [(unit.file, n) for n in gateways.values()],
            )
    for text, line in gateways.items():
        if spelled(text) not in {spelled(zone.gateway4), spelled(zone.gateway6)}:
            wrong(
                "JB2416",
                unit.file,
                line,
                f"gateway {text} is not the zone's",
                f"Write {zone.gateway4} or {zone.gateway6}.",
            )


def spelled(text: str) -> str:
    family = interval.family(text)
    value, _, length = text.partition("/")
    return f"{interval.text(interval.number(value), family)}/{length or interval.BITS[family]}"


def _identity(device: Device, config: frr.Config, wrong: Wrong) -> None:
    file = config.file
    if config.hostname != device.name:
        line = next((s.line for s in config.settings if s.words[0] == "hostname"), 1)
        wrong("JB2411", file, line, f"hostname is {config.hostname or 'missing'}", f"Call it {device.name}.")
    ids = [(config.bgp.router_id, config.bgp.line)] if config.bgp else []
    ids += [(process.router_id, process.line) for process in config.ospf.values()]
    for value, line in ids:
        if value != device.loopback4:
            wrong(
                "JB2411", file, line, f"router-id is {value or 'missing'}", f"Write {device.loopback4}, the loopback."
            )
    if config.bgp and device.asn and config.bgp.asn != device.asn:
        wrong(
            "JB2411",
            file,
            config.bgp.line,
            f"AS {config.bgp.asn}, the ledger granted {device.asn}",
            f"Write {device.asn}.",
        )
    needed: set[tuple[str, ...]] = {("ip", "forwarding"), ("ipv6", "forwarding")}
    said = {s.words for s in config.settings}
    refused: tuple[tuple[str, ...], ...] = (("no", "ip", "forwarding"), ("no", "ipv6", "forwarding"))
    for words in refused:
        if words in said:
            line = next(s.line for s in config.settings if s.words == words)
            wrong(
                "JB2411",
                file,
                line,
                f"`{' '.join(words)}`: the device forwards nothing of this family",
                "Delete the line.",
            )
    for words in sorted(needed - said):
        if needed & said:
            wrong(
                "JB2411",
                file,
                1,
                f"forwarding of {'IPv4' if words[0] == 'ip' else 'IPv6'} is not on",
                "Render the device again.",
            )


def _references(config: frr.Config, wrong: Wrong) -> None:
    """Names that are used must be defined, and defined ones used: FRR takes an unknown policy for a denial, VRP for a permit."""
    file = config.file
    used_maps: dict[str, int] = {}
    used_lists: dict[tuple[int, str], int] = {}
    if config.bgp:
        for neighbour in config.bgp.neighbours.values():
            for setting in neighbour.policies.values():
                used_maps[setting.words[3]] = setting.line
            for (family, _), setting in neighbour.filters.items():
                used_lists[family, setting.words[3]] = setting.line
        for origin in (*config.bgp.networks, *config.bgp.redistributes):
            used_maps.setdefault(origin.policy, origin.line)
    for process in config.ospf.values():
        for origin in process.redistributes:
            used_maps.setdefault(origin.policy, origin.line)
    for stanzas in config.route_maps.values():
        for stanza in stanzas:
            for match in stanza.matches:
                if match.words[2:4] == ("address", "prefix-list"):
                    used_lists[4 if match.words[1] == "ip" else 6, match.words[4]] = match.line
    for name, line in used_maps.items():
        if name and name not in config.route_maps:
            wrong(
                "JB2402",
                file,
                line,
                f"route map {name} is not defined: what then passes, no two dialects agree on",
                "Define it, or correct the name.",
            )
    for (family, name), line in used_lists.items():
        if (family, name) not in config.prefix_lists:
            wrong(
                "JB2402",
                file,
                line,
                f"prefix list {name} of IPv{family} is not defined",
                "Define it, or correct the name.",
            )
    for name, stanzas in config.route_maps.items():
        if name not in used_maps:
            wrong("JB2402", file, stanzas[0].line, f"route map {name} is used nowhere", "Use it, or delete it.")
        for stanza in stanzas:
            if stanza.permit and not stanza.matches:
                wrong("JB2414", file, stanza.line, f"route map {name} permits every route", "Match a prefix list.")
    for (family, name), listed in config.prefix_lists.items():
        if (family, name) not in used_lists:
            line = listed.entries[0].line if listed.entries else 1
            wrong("JB2402", file, line, f"prefix list {name} of IPv{family} is used nowhere", "Use it, or delete it.")


def _statics(world: World, device: Device, config: frr.Config, wrong: Wrong) -> None:
    """A static route leads to the other end of a line, towards what lies behind it, or into a black hole for an own prefix."""
    site = world.network.sites[device.site]
    peers: dict[str, str] = {}
    for item in device.interfaces:
        for text in (item.peer4, item.peer6):
            if text:
                peers[spelled(text)] = item.peer_site
    below = _hanging(world, site)
    for static in config.statics:
        _, base, length = interval.prefix(static.prefix)
        span = (base, base | (1 << (interval.BITS[static.family] - length)) - 1)
        if static.target == "blackhole":
            if not any(_inside(span, s) for s in _granted(world, site, static.family)):
                wrong(
                    "JB2416",
                    config.file,
                    static.line,
                    f"{static.prefix} goes into a black hole, it is not this site's",
                    "Delete it.",
                )
            elif static.distance < 200:
                what = f"the black hole for {static.prefix} has distance {static.distance}: it hides learned routes"
                wrong("JB2416", config.file, static.line, what, "Give it a distance above 200.")
            continue
        if frr.interval_is_interface(static.target):
            wrong(
                "JB2416",
                config.file,
                static.line,
                f"{static.prefix} leads to an interface",
                "Name the other end's address.",
            )
            continue
        peer = peers.get(spelled(static.target))
        if peer is None:
            what = f"next hop {static.target} of {static.prefix} is no neighbour's address"
            wrong("JB2416", config.file, static.line, what, "Write the address of the line's other end.")
        elif peer not in below:
            if span != world.whole[static.family]:
                what = f"{static.prefix} leads up to {peer}, which carries the whole network"
                wrong("JB2416", config.file, static.line, what, "Lead the supernet there.")
        elif not any(_inside(span, s) for s in _subtree(world, world.network.known_sites[peer], static.family)):
            what = f"{static.prefix} leads to {peer}, which was not granted it"
            wrong("JB2416", config.file, static.line, what, "Lead only what the ledger granted to the other end there.")


def _static_needs(world: World, device: Device, config: frr.Config, wrong: Wrong) -> None:
    """Every line to or from an office without an AS needs its static routes; an office closes its own segments."""
    site = world.network.sites[device.site]
    file = config.file
    have = {(s.prefix, spelled(s.target)) for s in config.statics if ":" in s.target or "." in s.target}
    closed = {s.prefix for s in config.statics if s.target == "blackhole"}
    near = [(file, s.line) for s in config.statics]
    line = near[0][1] if near else 1
    below = _hanging(world, site)
    for item in device.interfaces:
        other = world.network.known_sites.get(item.peer_site)
        if item.kind != "wan" or other is None or (item.peer_asn and (device.asn or site.asn)):
            continue
        for family, peer in ((4, item.peer4), (6, item.peer6)):
            up = other.key not in below
            for first, last in [world.whole[family]] if up else _said(world, other, family):
                prefix = interval.spell(family, first, interval.BITS[family] - (last - first).bit_length())
                if (prefix, spelled(peer)) not in have:
                    what = f"no static route to {prefix} over {peer} ({other.key})"
                    wrong("JB2416", file, line, what, "Add it: one end of this line has no AS.", near)
    if device.role == "access":
        for zone in site.zones:
            for text in (zone.v4, zone.v6, *_beside(world, site.key, zone.name)):
                if text and interval.spell(*interval.prefix(text)) not in closed:
                    what = f"{text} is not closed: when its interface is down, packets to it go back up and loop"
                    wrong("JB2416", file, line, what, f"Add a black hole for {text} with distance 254.", near)


def _inside(span: interval.Interval, outer: interval.Interval) -> bool:
    return outer[0] <= span[0] and span[1] <= outer[1]


def _granted(world: World, site: Site, family: int) -> list[interval.Interval]:
    """What the ledger granted to one site: its zones, loopbacks and, for a centre, its region's blocks."""
    found = [span for zone in site.zones for span in world.spans(site, zone.name, "", family)]
    region = world.network.regions.get(site.region)
    if region is not None and site.kind == "centre":
        found += [interval.interval(text) for text in (region.blocks4 if family == 4 else region.blocks6)]
    for name in site.devices:
        device = world.devices.get(name)
        if device and device.loopback4:
            found.append(interval.interval(device.loopback4 if family == 4 else device.loopback6))
            found += world.beside(name, "lo", family)
    return found


def _subtree(world: World, site: Site, family: int) -> list[interval.Interval]:
    found = _granted(world, site, family)
    served = {child.key for child in world.network.children.get(site.key, ())}
    for key in sorted(served | _hanging(world, site)):
        found += _subtree(world, world.network.known_sites[key], family)
    return found


def _hanging(world: World, site: Site) -> set[str]:
    """The sites whose lines end at `site`, whoever serves them: townships may hang on their county."""
    links = world.network.links
    return {
        item.peer_site
        for name in site.devices
        if name in world.devices
        for item in world.devices[name].interfaces
        if item.kind == "wan"
        and item.link in links
        and links[item.link].a == name
        and item.peer_site in world.network.sites
    }


def _ospf(
    device: Device, config: frr.Config, others: Mapping[str, Reading], paired: bool, wrong: Wrong
) -> None:  # fmt: skip
    """OSPF looks for neighbours on the cables inside a site and nowhere else; both families, with BFD."""
    if device.role == "access":
        for running in config.ospf.values():
            wrong("JB2415", config.file, running.line, "an office runs OSPF", "Delete it.")
        return
    for family in (4, 6):
        process = config.ospf.get(family)
        title = "OSPFv2" if family == 4 else "OSPFv3"
        if process is None:
            wrong("JB2415", config.file, 1, f"{title} does not run", "Render the device again.")
            continue
        for item in device.interfaces:
            known = config.interfaces.get(item.name)
            line = known.line if known else process.line
            address = address_of(item.v4 if family == 4 else item.v6, "", 0)
            area = routes.area_of(config, item.name, family, [address])
            quiet = area is not None and routes.passive(config, item.name, family)
            if item.kind == "inside":
                if area is None or quiet:
                    what = f"{title} asks for no neighbour on {item.name}"
                    wrong("JB2415", config.file, line, what, "Run it on every cable inside the site.")
                else:
                    _cable(item, title, family, line, config, others.get(item.peer), wrong)
            elif area is None and item.kind == "zone":
                what = f"{title} does not carry the prefix of {item.name}"
                wrong("JB2415", config.file, line, what, "Add the interface as passive.")
            elif area is not None and not quiet:
                wrong(
                    "JB2415", config.file, line, f"{title} asks for neighbours on {item.name}", "Make it passive there."
                )
        if device.loopback4:
            loopback = address_of(device.loopback4 if family == 4 else device.loopback6, "", 0)
            if routes.area_of(config, "lo", family, [loopback]) is None:
                wrong(
                    "JB2415",
                    config.file,
                    process.line,
                    f"{title} does not carry the loopback",
                    "Run it on the loopback too.",
                )
        areas = {name: found for name in config.interfaces if (found := routes.area_of(config, name, family, []))}
        usual = max((a for a, _ in areas.values()), key=[a for a, _ in areas.values()].count, default="")
        for name, (number, place) in areas.items():
            if number != usual:
                wrong(
                    "JB2415",
                    config.file,
                    place,
                    f"{title} runs {name} in area {number}, the others in {usual}",
                    f"Write area {usual}.",
                )
        hands_on = any(origin.what == "bgp" for origin in process.redistributes)
        if config.bgp and not hands_on:
            wrong(
                "JB2415",
                config.file,
                process.line,
                f"{title} hears nothing of BGP's routes",
                "Hand BGP's routes to it.",
            )
        if paired and hands_on and process.external <= routes.DISTANCE["ibgp"]:
            what = f"{title} prefers what the other router brought in (distance {process.external}) to BGP's own (200)"
            wrong("JB2415", config.file, process.line, what, "Set the distance of external routes above 200.")
        elif process.external != 110 and process.external <= routes.DISTANCE["ibgp"]:
            what = (
                f"distance of external routes is {process.external}: what the other router brought in hides BGP's own"
            )
            wrong("JB2415", config.file, process.external_line, what, "Set it above 200.")


def _paired(world: World, device: Device) -> bool:
    """Whether another router stands at the same site."""
    names = world.network.sites[device.site].devices
    return any(
        name != device.name and (d := world.devices.get(name)) is not None and d.role == "router" for name in names
    )


def _neighbours(
    world: World, device: Device, config: frr.Config, others: Mapping[str, Reading], wrong: Wrong
) -> None:  # fmt: skip
    network, file = world.network, config.file
    site = network.sites[device.site]
    bgp = config.bgp
    if not (device.asn or site.asn) or device.role == "firewall":
        if bgp:
            wrong("JB2412", file, bgp.line, "BGP runs on a device without an AS number", "Delete BGP.")
        return
    if bgp is None:
        wrong("JB2412", file, 1, f"no BGP in AS {device.asn or site.asn}", "Render the device again.")
        return
    right: dict[str, tuple[str, int, str]] = {}
    for item in device.interfaces:
        if item.kind == "wan" and item.peer_asn:
            for text in (item.peer4, item.peer6):
                right[spelled(text)] = (item.peer, item.peer_asn, item.peer_site)
    for name in site.devices:
        other = world.devices.get(name)
        if other and other.role == "router" and other.name != device.name:
            for text in (other.loopback4, other.loopback6):
                right[spelled(text)] = (other.name, other.asn, site.key)
    have = {spelled(n.address): n for n in bgp.neighbours.values()}
    for text, (name, asn, _) in right.items():
        if text not in have:
            wrong("JB2412", file, bgp.line, f"no session with {name} ({text.partition('/')[0]})", f"Add it with AS {asn}.",
                  [(file, n.line) for n in bgp.neighbours.values()])  # fmt: skip
    for text, neighbour in have.items():
        if text not in right:
            wrong(
                "JB2412",
                file,
                neighbour.line,
                f"{neighbour.address} is no neighbour of this device",
                "Delete the neighbour.",
            )
            continue
        name, asn, peer_site = right[text]
        family = interval.family(neighbour.address)
        if not routes.matches_as(neighbour.remote_as, bgp.asn, asn):
            what = f"the AS of {name} is {neighbour.remote_as or 'missing'}"
            wrong("JB2412", file, neighbour.line, what, f"Write AS {asn}.")
        if family not in neighbour.families:
            cure = f"Turn IPv{family} on for {neighbour.address}."
            wrong("JB2412", file, neighbour.line, f"IPv{family} of {name} is not activated", cure, [(file, bgp.line)])
        for other_family in neighbour.families - {family}:
            wrong("JB2412", file, neighbour.line, f"IPv{other_family} is activated over the session of IPv{family} with {name}",
                  f"Activate it on the session of IPv{other_family}.")  # fmt: skip
        said = neighbour.settings.get("description")
        if said and said.words[3:] != (name,):
            wrong(
                "JB2412",
                file,
                said.line,
                f"the description of {name} says {' '.join(said.words[3:])}",
                f"Write {name}.",
            )
        external = asn != bgp.asn
        if external:
            _bfd(neighbour, name, config, others.get(name), wrong)
        for way in ("in", "out"):
            if (family, way) not in neighbour.policies:
                cure = f"Give the session a policy for what {'comes in' if way == 'in' else 'goes out'}."
                wrong(
                    "JB2414",
                    file,
                    neighbour.line,
                    f"no policy of IPv{family} {way} for {name}",
                    cure,
                    [(file, bgp.line)],
                )
        if external:
            _grants(world, site, network.known_sites[peer_site], neighbour, name, config, family, wrong)
        theirs = others.get(name)
        if theirs is not None and theirs.frr is not None and theirs.frr.bgp is not None:
            _mirror(device, world.devices[name], neighbour, config, theirs.frr, family, wrong)


def _bfd(neighbour: frr.Neighbour, name: str, config: frr.Config, other: Reading | None, wrong: Wrong) -> None:
    setting = neighbour.settings.get("bfd")
    if setting is None:
        wrong(
            "JB2413", config.file, neighbour.line, f"the session with {name} has no BFD", "Turn BFD on for the session."
        )
        return
    if setting.words[3:4] != ("profile",):
        return
    _profile(setting.words[4], setting.line, config, other, name, wrong)


def _cable(
    item: Port, title: str, family: int, line: int, config: frr.Config, other: Reading | None, wrong: Wrong
) -> None:
    """OSPF on a cable has BFD, with the same timers at both ends."""
    known = config.interfaces.get(item.name)
    words = ("ip", "ospf", "bfd") if family == 4 else ("ipv6", "ospf6", "bfd")
    plain = known.find(*words) if known else None
    timed = known.find(*words, "profile") if known else None
    if plain is None:
        wrong(
            "JB2413",
            config.file,
            line,
            f"{title} on {item.name} has no BFD",
            "Add it: 1.5 s are the limit of an outage.",
        )
    elif timed is None:
        wrong("JB2413", config.file, plain.line, f"BFD of {title} on {item.name} names no profile", "Name its timers.")
    else:
        _profile(timed.words[4], timed.line, config, other, item.peer, wrong)


def _profile(title: str, used: int, config: frr.Config, other: Reading | None, name: str, wrong: Wrong) -> None:
    """A BFD profile is defined, states its timers, finds an outage in time and has the same timers at the other end."""
    profile = config.bfd_profiles.get(title)
    if profile is None:
        wrong(
            "JB2413",
            config.file,
            used,
            f"BFD profile {title} is not defined",
            "Define its timers.",
        )
        return
    values = {s.words for s in profile}
    timers = {s.words[0]: int(s.words[1]) for s in profile if len(s.words) == 2 and s.words[1].isdigit()}
    line = profile[0].line if profile else used
    near = [(config.file, s.line) for s in profile] + [(config.file, used)]
    needed = {"detect-multiplier", "receive-interval", "transmit-interval"}
    for word in sorted(needed - timers.keys()):
        wrong(
            "JB2413",
            config.file,
            line,
            f"BFD profile {title} states no {word}",
            "State all three timers.",
            near,
        )
    slow = timers.get("detect-multiplier", 3) * max(
        timers.get("receive-interval", 300), timers.get("transmit-interval", 300)
    )
    if slow > 1200:
        what = f"BFD profile {title} finds an outage after {slow} ms"
        wrong("JB2413", config.file, line, what, "Keep multiplier × interval at 1,200 ms or less.", near)
    if timers.get("detect-multiplier", 3) < 2:
        wrong(
            "JB2413",
            config.file,
            line,
            f"BFD profile {title} gives up after one lost packet",
            "Use 3.",
            near,
        )
    theirs = other.frr.bfd_profiles.get(title) if other and other.frr else None
    if theirs is not None and {s.words for s in theirs} != values:
        what = f"BFD profile {title} has other timers than on {name}"
        wrong("JB2413", config.file, line, what, "Use the same timers at both ends.", near)


def lines_of(config: frr.Config, neighbour: frr.Neighbour, family: int, way: str) -> list[Place]:
    """Every line that decides what passes a neighbour in one direction."""
    found = []
    setting = neighbour.policies.get((family, way))
    if setting:
        found.append((config.file, setting.line))
        for stanza in config.route_maps.get(setting.words[3], ()):
            found.append((config.file, stanza.line))
            found += [(config.file, s.line) for s in (*stanza.matches, *stanza.sets)]
            for match in stanza.matches:
                if match.words[2:4] == ("address", "prefix-list"):
                    listed = config.prefix_lists.get((4 if match.words[1] == "ip" else 6, match.words[4]))
                    found += [(config.file, e.line) for e in listed.entries] if listed else []
    return found


def _decided(config: frr.Config, neighbour: frr.Neighbour, family: int, way: str, key: Key) -> tuple[Path | None, int]:
    """(what passes, line of the entry that decided)."""
    setting = neighbour.policies.get((family, way))
    if setting is None:
        return None, neighbour.line
    probe = Path(100, (1,), 0, 0, "ebgp", 1, "")
    kept, line = routes.permits(config, setting.words[3], family, key, probe)
    for stanza in config.route_maps.get(setting.words[3], ()):
        if stanza.line == line:
            for match in stanza.matches:
                if match.words[2:4] == ("address", "prefix-list") and (match.words[1] == "ip") == (family == 4):
                    listed = config.prefix_lists.get((family, match.words[4]))
                    if listed and listed.decide(*key)[0]:
                        return kept, listed.decide(*key)[1]
    return kept, line or setting.line


def _vectors(config: frr.Config, neighbour: frr.Neighbour, family: int, way: str) -> set[Key]:
    """Prefixes at which a policy's verdict may change: of every entry the shortest and longest it takes, and what is next to it."""
    found: set[Key] = set()
    bits = interval.BITS[family]
    setting = neighbour.policies.get((family, way))
    for stanza in config.route_maps.get(setting.words[3], ()) if setting else ():
        for match in stanza.matches:
            listed = (
                config.prefix_lists.get((family, match.words[4]))
                if match.words[2:4] == ("address", "prefix-list")
                else None
            )
            for entry in listed.entries if listed else ():
                for length in {entry.low - 1, entry.low, entry.high, entry.high + 1, entry.length, entry.length + 1}:
                    if 0 <= length <= bits:
                        low = entry.base >> (bits - length) << (bits - length)
                        found.add((low, length))
                        last = entry.base | ((1 << (bits - entry.length)) - 1)
                        found.add((last >> (bits - length) << (bits - length), length))
                        beside = entry.base ^ (1 << (bits - entry.length)) if entry.length else entry.base
                        found.add((beside >> (bits - length) << (bits - length), length))
    return found


def _grants(
    world: World, site: Site, other: Site, neighbour: frr.Neighbour, name: str, config: frr.Config, family: int, wrong: Wrong,
) -> None:  # fmt: skip
    """In: a child may say what was granted to it and below; a parent the supernet and blocks that hold this site. Out: the mirror."""
    for way in ("in", "out"):
        speaker, listener = (other, site) if way == "in" else (site, other)
        down = listener.parent == speaker.key
        away = _served_elsewhere(world, listener, family) if down else []
        spans = [*_above(world, speaker, family), *away] if down else _subtree(world, speaker, family)
        for key in sorted(_vectors(config, neighbour, family, way)):
            span = (key[0], key[0] | (1 << (interval.BITS[family] - key[1])) - 1)
            fits = any(span == s for s in spans) if down else any(_inside(span, s) for s in spans)
            kept, line = _decided(config, neighbour, family, way, key)
            if kept is not None and not fits:
                who = (
                    f"takes {interval.spell(family, *key)} from {name}"
                    if way == "in"
                    else f"tells {name} {interval.spell(family, *key)}"
                )
                what = f"{who}, which the ledger did not grant to {speaker.key}"
                wrong("JB2414", config.file, line, what, "Permit exactly the granted prefixes.")
                break
        needed = [*_needed_below(world, speaker, family), *away] if down else _said(world, speaker, family)
        for first, last in needed:
            key = (first, interval.BITS[family] - (last - first).bit_length())
            kept, line = _decided(config, neighbour, family, way, key)
            if kept is None:
                text = interval.spell(family, *key)
                what = f"does not take {text} from {name}" if way == "in" else f"does not tell {name} {text}"
                near = lines_of(config, neighbour, family, way)
                wrong("JB2414", config.file, line, what, "Permit every prefix that was granted to the speaker.", near)
                break


def _said(world: World, site: Site, family: int) -> list[interval.Interval]:
    """What a site says upwards: its region's blocks, or where it has none, its segments and loopbacks."""
    region = world.network.regions.get(site.region)
    if region is not None and site.kind == "centre":
        blocks = [interval.interval(text) for text in (region.blocks4 if family == 4 else region.blocks6)]
        if blocks:
            moved = [other for other in world.network.children.get(site.key, ()) if other.holder]
            here = [span for other in moved for span in _granted(world, other, family)]
            return [*blocks, *(span for span in here if not any(_inside(span, block) for block in blocks))]
    return _subtree(world, site, family)


def _served_elsewhere(world: World, site: Site, family: int) -> list[interval.Interval]:
    """What lies in the blocks of `site` and belongs to a region that moved away: its own summary must not swallow it."""
    region = world.network.regions.get(site.region)
    if region is None or site.kind != "centre":
        return []
    blocks = [interval.interval(text) for text in (region.blocks4 if family == 4 else region.blocks6)]
    moved = (other for other in world.network.strays.get(site.key, ()) if other.parent != site.key)
    found = [span for other in moved for span in _granted(world, other, family)]
    return [span for span in found if any(_inside(span, block) for block in blocks)]


def _needed_below(world: World, speaker: Site, family: int) -> list[interval.Interval]:
    """What a site must say downwards: the supernet (the ministry's block lies in it) and its branch from the province down."""
    found = [world.whole[family]]
    current: Site | None = speaker
    while current is not None and current.level != "ministry":
        region = world.network.regions.get(current.region)
        if region is not None and current.kind == "centre":
            found += [interval.interval(text) for text in (region.blocks4 if family == 4 else region.blocks6)]
        current = world.network.known_sites.get(current.parent)
    return found


def _above(world: World, speaker: Site, family: int) -> list[interval.Interval]:
    """What a site says downwards: the supernet and the blocks of its branch."""
    found = [world.whole[family]]
    current: Site | None = speaker
    while current is not None:
        region = world.network.regions.get(current.region)
        if region is not None and current.kind == "centre":
            found += [interval.interval(text) for text in (region.blocks4 if family == 4 else region.blocks6)]
        current = world.network.known_sites.get(current.parent)
    return found


def _mirror(
    device: Device, other: Device, neighbour: frr.Neighbour, config: frr.Config, theirs: frr.Config, family: int, wrong: Wrong
) -> None:  # fmt: skip
    """What one end takes, the other end tells: a prefix that only one of them names is a slip in one of the two."""
    assert theirs.bgp is not None
    mine = {spelled(text) for text in addresses_of(device)}
    back = next(
        (
            n
            for n in theirs.bgp.neighbours.values()
            if spelled(n.address) in mine and interval.family(n.address) == family
        ),
        None,
    )
    if back is None or (family, "in") not in neighbour.policies or (family, "out") not in back.policies:
        return
    for key in sorted(_vectors(config, neighbour, family, "in") | _vectors(theirs, back, family, "out")):
        taken, line = _decided(config, neighbour, family, "in", key)
        told, their_line = _decided(theirs, back, family, "out", key)
        text = interval.spell(family, *key)
        if taken is not None and told is None and _first_denial(theirs, back, family, key):
            what = f"takes {text} from {other.name}, which does not tell it"
            near = [(theirs.file, their_line), *lines_of(theirs, back, family, "out")]
            wrong("JB2414", config.file, line, what, "Permit the same prefixes at both ends.", near)
            return
        if taken is None and told is not None:
            what = f"does not take {text} from {other.name}, which tells it"
            near = [(theirs.file, their_line), *lines_of(config, neighbour, family, "in")]
            wrong("JB2414", config.file, line, what, "Permit the same prefixes at both ends.", near)
            return


def _first_denial(config: frr.Config, neighbour: frr.Neighbour, family: int, key: Key) -> bool:
    """Whether a denial is the lack of a permit; what a stanza denies on purpose is no difference."""
    setting = neighbour.policies[family, "out"]
    probe = Path(100, (1,), 0, 0, "ebgp", 1, "")
    for stanza in config.route_maps.get(setting.words[3], ()):
        if all(routes.hits(config, m.words, family, key, probe) for m in stanza.matches):
            return stanza.permit
    return True


def addresses_of(device: Device) -> list[str]:
    texts = [item.v4 if f == 4 else item.v6 for item in device.interfaces for f in (4, 6)]
    hosts = [text.partition("/")[0] for text in texts if text]
    return hosts + [text for text in (device.loopback4, device.loopback6) if text]


def address_of(text: str, file: str, line: int) -> Address:
    family = interval.family(text)
    value, _, length = text.partition("/")
    return Address(family, interval.number(value), int(length or interval.BITS[family]), file, line)
