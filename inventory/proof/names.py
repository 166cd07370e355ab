"""Do the zone files say what the Network says: names to addresses and back, delegations with their glue, and who asks whom?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache

import msgspec

from inventory.proof import interval, zonefile
from inventory.proof.finding import Finding
from inventory.proof.texts import Reading
from inventory.proof.zonefile import Entry, NamedZone, Zonefile
from ip_plan.network import Network, Service, Site


class Held(msgspec.Struct, frozen=True):
    """A zone that some device serves."""

    device: str
    site: str
    zone: NamedZone
    file: Zonefile


def known(network: Network) -> dict[str, tuple[str, str]]:
    """Every absolute name of the Network → its addresses (IPv4, IPv6): devices, their interfaces, services."""
    found: dict[str, tuple[str, str]] = {}
    devices = getattr(network, "known_devices", None) or network.devices
    for device in devices.values():
        if device.loopback4:
            found[f"{device.fqdn}.".lower()] = (device.loopback4, device.loopback6)
            for item in device.interfaces:
                addresses = (item.v4.partition("/")[0], item.v6.partition("/")[0])
                found[f"{item.name}.{device.fqdn}.".lower()] = addresses
        else:
            for item in (each for each in device.interfaces if each.v4):
                found[f"{device.fqdn}.".lower()] = (item.v4.partition("/")[0], item.v6.partition("/")[0])
    for service in network.services:
        found[f"{service.fqdn}.".lower()] = (service.v4, service.v6)
    return found


def _named(network: Network) -> tuple[dict[str, tuple[str, str]], dict[str, str]]:
    """(names, pointers) of a Network."""
    memory = network.memory["proof.names"]
    if not memory:
        names = known(network)
        memory["names"] = names
        memory["pointers"] = {zonefile.pointer(text): name for name, pair in names.items() for text in pair if text}
    return memory["names"], memory["pointers"]


def servers(network: Network, site: Site) -> list[Service]:
    """The name services of a site."""
    return [s for zone in site.zones for s in network.services_at.get((site.key, zone.name), ()) if "udp/53" in s.ports]


def _above(network: Network, site: Site) -> list[Service]:
    current = network.known_sites.get(site.parent)
    while current is not None:
        if found := servers(network, current):
            return found
        current = network.known_sites.get(current.parent)
    return []


def _listed(network: Network, site: Site) -> set[str]:
    """Whom NS records of the zones of `site` may name: its own servers, and those one level up, which have copies."""
    parent = network.known_sites.get(site.parent)
    both = (*servers(network, site), *(servers(network, parent) if parent else ()))
    return {f"{service.fqdn}.".lower() for service in both}


def addresses(services: Iterable[Service]) -> set[str]:
    return {text for service in services for text in (normal(service.v4), normal(service.v6))}


@lru_cache(maxsize=200_000)
def normal(address: str) -> str:
    """An address in its shortest form."""
    return interval.text(interval.number(address), interval.family(address))


def _deepest(name: str, zones: Mapping[str, Held]) -> str | None:
    """The served zone that holds `name`."""
    rest = name
    while rest:
        if rest in zones:
            return rest
        rest = rest.partition(".")[2]
    return "." if "." in zones else None


def heads(network: Network, readings: Mapping[str, Reading]) -> tuple[Held, ...]:
    """The zones that devices serve, with their own servers and nothing else: what those who delegate them have to know."""
    return tuple(
        Held(name, network.devices[name].site, zone, zonefile.Zonefile(file.file, file.origin, tuple(
            entry for entry in file.entries if entry.type == "NS" and entry.name == file.origin
        )))
        for name, reading in readings.items()
        for zone, file in reading.zones
        if zone.type == "master"
    )  # fmt: skip


def prove(network: Network, readings: Mapping[str, Reading], foreign: Sequence[Held] = ()) -> list[Finding]:
    """Every difference between the Network's names and the zones that the devices serve; `foreign` are served by others."""
    findings: list[Finding] = []
    zones: dict[str, Held] = {held.zone.name: held for held in foreign}
    others = set(zones)
    for reading in readings.values():
        for zone, file in reading.zones:
            if zone.type != "master":
                continue
            held = Held(reading.device, network.devices[reading.device].site, zone, file)
            if zone.name in zones:
                what = f"zone {zone.name} is primary here and on {zones[zone.name].device}"
                findings.append(
                    Finding("JB2420", reading.here(zone.source), zone.line, reading.device, what, "Keep one primary.")
                )
            zones[zone.name] = held
            others.discard(zone.name)
    own = [held for name, held in zones.items() if name not in others]
    names, pointers = _named(network)
    ttls = Counter(entry.ttl for held in own for entry in held.file.entries)
    usual = ttls.most_common(1)[0][0] if ttls else 0
    mails = Counter(entry.data.split()[1] for held in own for entry in held.file.entries if entry.type == "SOA")
    mail = mails.most_common(1)[0][0] if mails else ""
    for held in own:
        findings += _file(network, held, zones, names, pointers, usual, mail)
    findings += _missing(network, zones, others, names, pointers)
    findings += _resolvers(network, readings, zones)
    return findings


def _file(
    network: Network, held: Held, zones: Mapping[str, Held], names: Mapping[str, tuple[str, str]], pointers: Mapping[str, str],
    usual: int, mail: str,
) -> list[Finding]:  # fmt: skip
    findings: list[Finding] = []
    seen: set[tuple[str, str, str]] = set()
    origin = held.file.origin
    own = {f"{s.fqdn}.".lower() for s in servers(network, network.sites[held.site])}
    soas = [entry for entry in held.file.entries if entry.type == "SOA"]

    def wrong(code: str, entry: Entry, what: str, cure: str) -> None:
        findings.append(Finding(code, held.file.file, entry.line, held.device, what, cure))

    if [soa.name for soa in soas] != [origin]:
        line = soas[0].line if soas else 1
        what = f"zone {origin} has {len(soas)} SOA records at {', '.join(s.name for s in soas) or 'no name'}"
        findings.append(Finding("JB2421", held.file.file, line, held.device, what, "Write one SOA at the zone's apex."))
    for entry in held.file.entries:
        if (entry.name, entry.type, entry.data) in seen:
            wrong("JB2421", entry, f"{entry.name} {entry.type} {entry.data} stands twice", "Delete one of them.")
        seen.add((entry.name, entry.type, entry.data))
        if entry.name != origin and not entry.name.endswith("." + origin) and origin != ".":
            wrong("JB2421", entry, f"{entry.name} lies outside zone {origin}", "Move it to the zone that holds it.")
            continue
        if entry.ttl != usual:
            wrong(
                "JB2421", entry, f"{entry.name} has a TTL of {entry.ttl} s, the others {usual} s", f"Give it {usual} s."
            )
        match entry.type:
            case "SOA":
                _soa(entry, origin, own, mail, wrong)
            case "A" | "AAAA":
                pair = names.get(entry.name)
                right = normal(pair[entry.type == "AAAA"]) if pair else ""
                if pair is None:
                    wrong(
                        "JB2422",
                        entry,
                        f"nothing in the Network is called {entry.name}",
                        "Delete the record, or correct its name.",
                    )
                elif entry.data != right:
                    what = f"{entry.name} is given {entry.data}, the Network says {right}"
                    wrong("JB2422", entry, what, f"Write {right}.")
            case "PTR":
                right = pointers.get(entry.name, "")
                if entry.data != right:
                    what = f"{entry.name} points to {entry.data}, the address belongs to {right or 'nobody'}"
                    wrong("JB2423", entry, what, f"Write {right}." if right else "Delete the record.")
            case "NS":
                target = zones.get(entry.name)
                if target is None and entry.name != origin:
                    wrong(
                        "JB2424",
                        entry,
                        f"{entry.name} is delegated, but no device serves it",
                        "Serve it, or delete the delegation.",
                    )
                else:
                    site = network.known_sites[target.site] if target else network.sites[held.site]
                    listed = _listed(network, site)
                    if entry.data not in listed:
                        what = f"{entry.name} is delegated to {entry.data}, it is served by {', '.join(sorted(listed))}"
                        wrong("JB2424", entry, what, f"Write {', '.join(sorted(listed))}.")
            case _:
                wrong(
                    "JB2421",
                    entry,
                    f"{entry.name} has a record of type {entry.type}, which the plan does not give",
                    "Delete it.",
                )
    return findings


def _soa(entry: Entry, origin: str, own: set[str], mail: str, wrong: object) -> None:
    assert callable(wrong)
    server, box, *numbers = entry.data.split()
    serial, refresh, retry, expire, minimum = map(int, numbers)
    if server not in own:
        wrong(
            "JB2421",
            entry,
            f"SOA of {origin} names {server}, it is served by {', '.join(sorted(own))}",
            "Name the zone's own server.",
        )
    if box != mail:
        wrong("JB2421", entry, f"SOA of {origin} gives the mailbox {box}, the others {mail}", f"Write {mail}")
    if not (0 < retry < refresh < expire and 0 < serial < 2**32 and 0 < minimum <= 86400):
        what = f"SOA of {origin} has timers out of order: refresh {refresh}, retry {retry}, expire {expire}, minimum {minimum}"
        wrong(
            "JB2421", entry, what, "Keep retry < refresh < expire and minimum at most a day (RFC 1912 2.2, RFC 2308 5)."
        )


def _missing(
    network: Network,
    zones: Mapping[str, Held],
    others: Collection[str],
    names: Mapping[str, tuple[str, str]],
    pointers: Mapping[str, str],
) -> list[Finding]:
    findings: list[Finding] = []
    have = {zone: {(e.name, e.type, e.data): e for e in held.file.entries} for zone, held in zones.items()}
    owners: dict[str, dict[str, int]] = {
        zone: {e.name: e.line for e in reversed(held.file.entries)} for zone, held in zones.items()
    }

    def lacks(code: str, zone: str, name: str, kind: str, data: str) -> None:
        held = zones[zone]
        line = owners[zone].get(name, next((e.line for e in held.file.entries if e.type == "SOA"), 1))
        what = f"zone {zone} has no record {name} {kind} {data}"
        findings.append(
            Finding(code, held.file.file, line, held.device, what, "Render the zone again, or add the record.")
        )

    own = tuple(f".{zone}" for zone in zones if zone not in others and zone != ".")

    def inside(listed: Iterable[str]) -> list[str]:
        return [name for name in listed if name.endswith(own) or name in zones]

    for name in inside(names):
        pair = names[name]
        zone = _deepest(name, zones)
        if zone is None or zone == "." or zone in others:
            continue
        for kind, address in (("A", pair[0]), ("AAAA", pair[1])):
            if address and (name, kind, normal(address)) not in have[zone]:
                lacks("JB2422", zone, name, kind, normal(address))
    for pointer in inside(pointers):
        name = pointers[pointer]
        zone = _deepest(pointer, zones)
        if zone and zone != "." and zone not in others and (pointer, "PTR", name) not in have[zone]:
            lacks("JB2423", zone, pointer, "PTR", name)
    for zone, held in zones.items():
        listed = {e.data for e in held.file.entries if e.type == "NS" and e.name == zone}
        parent = _deepest(zone.partition(".")[2], zones) if zone != "." else None
        if zone not in others:
            for server in sorted(_listed(network, network.known_sites[held.site]) - listed):
                lacks("JB2424", zone, zone, "NS", server)
        if parent is None or parent == zone or parent in others:
            continue
        above = {e.data for e in zones[parent].file.entries if e.type == "NS" and e.name == zone}
        for server in sorted(listed - above):
            lacks("JB2424", parent, zone, "NS", server)
        for server in sorted(above & set(names)):
            if server.endswith("." + zone) and not server.endswith(".arpa."):
                for kind, address in zip(("A", "AAAA"), names[server], strict=True):
                    if (server, kind, normal(address)) not in have[parent]:
                        lacks("JB2424", parent, server, kind, f"{normal(address)} (glue)")
    return findings


def _resolvers(network: Network, readings: Mapping[str, Reading], zones: Mapping[str, Held]) -> list[Finding]:
    """Each server forwards to its serving parent only, and asks about a child's zone that child only."""
    findings: list[Finding] = []
    for reading in readings.values():
        named = reading.named
        if named is None:
            continue
        site = network.sites[network.devices[reading.device].site]
        given = {normal(a) for a in named.options.items("forwarders")} if named.options else set()
        right = addresses(_above(network, site))
        line = named.options.line if named.options else 1
        block = named.options.child("forwarders") if named.options else None
        if given != right:
            listed, served = ", ".join(sorted(given)) or "nobody", ", ".join(sorted(right)) or "none"
            what = f"forwards to {listed}, its serving parent's servers are {served}"
            cure = "Forward to the name servers of the centre that serves this one."
            findings.append(
                Finding("JB2425", reading.here(named.source), block.line if block else line, reading.device, what, cure)
            )
        forward = named.options.child("forward") if named.options else None
        if right and (forward is None or forward.words[1:] != ("only",)):
            what = "may also ask others than its serving parent: `forward only` is missing"
            findings.append(
                Finding("JB2425", reading.here(named.source), line, reading.device, what, "Write `forward only;`.")
            )
        children = {child.key for child in network.children.get(site.key, ())}
        lent = _lent(network, site)
        for zone in named.zones:
            if zone.type not in ("forward", "slave"):
                continue
            held = zones.get(zone.name)
            asked = {normal(address) for address in zone.forwarders}
            # What moved away out of a block of this site is served elsewhere: the serving parent knows where.
            moved = held is not None and held.site not in children and zone.name in lent
            if zone.type == "slave" and (held is None or held.site not in children):
                if asked:  # what it delegates is asked of the serving parent, as all else
                    what = f"asks {', '.join(sorted(asked))} about what {zone.name} delegates"
                    cure = "Delete the forwarders: the serving parent is asked."
                    findings.append(Finding("JB2425", reading.here(zone.source), zone.line, reading.device, what, cure))
                continue
            if held is None or (held.site not in children and not moved):
                what = f"forwards {zone.name}, which {'nobody' if held is None else held.device} serves: no child of {site.key}"
                findings.append(
                    Finding("JB2425", reading.here(zone.source), zone.line, reading.device, what, "Delete the zone.")
                )
                continue
            fitting = right if moved else addresses(servers(network, network.known_sites[held.site]))
            if asked != fitting or zone.forward != "only":
                what = f"asks {', '.join(sorted(asked)) or 'nobody'} about {zone.name}, its servers are {', '.join(sorted(fitting))}"
                cure = "Write the child's servers and `forward only;`."
                findings.append(Finding("JB2425", reading.here(zone.source), zone.line, reading.device, what, cure))
    return findings


def _lent(network: Network, site: Site) -> set[str]:
    """The reverse zones in blocks of `site` whose region moved to another centre."""
    moved = (other for other in network.strays.get(site.key, ()) if other.parent != site.key)
    found = set()
    for text in (text for other in moved for text in network.regions[other.region].blocks6):
        address, _, length = text.partition("/")
        found.add(zonefile.pointer(address).split(".", 32 - int(length) // 4)[-1])
    return found
