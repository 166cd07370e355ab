"""Does each name server have copies of the zones that it should, taken from the right server, and can nobody else take them?

Copies go one level up, and those of the top, which nobody serves, to the centres that it serves. What one end says of a key is held
against what the other says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from inventory.proof.finding import Finding
from inventory.proof.names import Held, addresses, normal, servers
from inventory.proof.texts import Reading
from inventory.proof.zonefile import Key, NamedZone
from ip_plan.network import Network, Service, Site

ALGORITHMS = ("hmac-sha256", "hmac-sha384", "hmac-sha512")


def prove(
    network: Network, readings: Mapping[str, Reading], foreign: Sequence[Held] = (), outer: Mapping[str, Reading] | None = None
) -> list[Finding]:  # fmt: skip
    """Every difference between the transfers that the levels ask for and those that the servers of `readings` are set up for.

    `foreign`: zones that are served by others; `outer`: what others say that were read, without being judged.
    """
    primaries: dict[str, tuple[str, str, NamedZone]] = {
        held.zone.name: (held.device, held.site, held.zone) for held in foreign
    }
    for reading in (*(outer or {}).values(), *readings.values()):
        for zone in reading.named.zones if reading.named else ():
            if zone.type == "master":
                primaries[zone.name] = (reading.device, network.known_devices[reading.device].site, zone)
    findings: list[Finding] = []
    for reading in readings.values():
        if reading.named is not None:
            site = network.sites[network.devices[reading.device].site]
            findings += _copies(network, reading, site, primaries)
            findings += _given(network, reading, site)
    return findings


def _copies(
    network: Network, reading: Reading, site: Site, primaries: Mapping[str, tuple[str, str, NamedZone]]
) -> list[Finding]:
    """What is wrong with the zones that a server takes from others."""
    named = reading.named
    assert named is not None
    findings: list[Finding] = []
    parent = network.known_sites.get(site.parent)
    kin = {child.key for child in network.children.get(site.key, ())}
    kin |= {parent.key} if parent and not parent.parent else set()
    due = {name: found for name, found in primaries.items() if found[1] in kin}
    copies = {zone.name: zone for zone in named.zones if zone.type == "slave"}
    for name in sorted(due.keys() - copies.keys()):
        line = named.options.line if named.options else 1
        what = f"has no copy of {name}, which {due[name][0]} is primary for"
        cure = "Write it as a secondary zone: when that server is away, this one answers."
        findings.append(Finding("JB2180", reading.here(named.source), line, reading.device, what, cure))
    for name, zone in copies.items():

        def wrong(code: str, what: str, cure: str, at: NamedZone = zone) -> None:
            findings.append(Finding(code, reading.here(at.source), at.line, reading.device, what, cure))

        if name not in due:
            whose = primaries[name][0] if name in primaries else "nobody"
            what = f"has a copy of {name}, which {whose} is primary for"
            wrong("JB2180", what, "Delete it: copies lie one level up, and those of the top one level down.")
            continue
        if not zone.file:
            wrong("JB2180", f"keeps its copy of {name} in no file", "Name one: it has to be there after a restart.")
        device, key, primary = due[name]
        right = addresses(servers(network, network.known_sites[key]))
        asked = {normal(address) for address, _ in zone.primaries}
        if asked != right:
            what = f"takes {name} from {_words(asked)}, its primary is at {_words(right)}"
            wrong("JB2181", what, "Name the addresses of the primary.")
        for used in sorted({used for _, used in zone.primaries if used}):
            if used not in primary.transfer:
                what = f"takes {name} with the key {used.name}, which {device} does not let take it"
                wrong("JB2181", what, "Give both the same key: name, algorithm and secret.")
            if used not in zone.hears:
                what = f"does not hear of changes of {name} that are signed with {used.name}"
                wrong("JB2183", what, "Allow it under `allow-notify`.")
        if any(used is None for _, used in zone.primaries):
            wrong("JB2181", f"takes {name} without a key", "Name the key of the two servers.")
    return findings


def _given(network: Network, reading: Reading, site: Site) -> list[Finding]:
    """What is wrong with the zones that others take from a server."""
    named = reading.named
    assert named is not None
    findings: list[Finding] = []
    parent = network.known_sites.get(site.parent)
    followers = [servers(network, parent)] if parent else []
    followers += [servers(network, child) for child in network.children.get(site.key, ())] if not parent else []
    followers = [each for each in followers if each]
    for zone in named.zones:

        def wrong(code: str, what: str, cure: str, at: NamedZone = zone) -> None:
            findings.append(Finding(code, reading.here(at.source), at.line, reading.device, what, cure))

        keys = {each for each in zone.transfer if isinstance(each, Key)}
        others = [each for each in zone.transfer if isinstance(each, str) and each != "none"]
        if zone.type not in ("master", "slave"):
            continue
        if others:
            what = f"lets {_words(others)} take {zone.name} without a key"
            wrong("JB2182", what, "Allow keys alone under `allow-transfer`.")
        wanted = len(followers) if zone.type == "master" else 0
        if len(keys) != wanted:
            what = f"lets {len(keys)} keys take {zone.name}, {wanted} servers have copies of it"
            wrong("JB2182", what, "Allow one key for each of them.")
        for key in sorted(key for key in keys if key.algorithm not in ALGORITHMS):
            what = f"lets {zone.name} be taken with {key.name}, a key of {key.algorithm or 'no algorithm'}"
            wrong("JB2182", what, "Define it with hmac-sha256 (RFC 8945 6).")
        told = {normal(address) for address, _ in zone.notified if zone.notify != "no"}
        told |= {"whom its NS records name"} if zone.notify == "yes" else set()
        right = _all(followers) if zone.type == "master" else set()
        if told != right or any(key not in keys for _, key in zone.notified if told):
            what = (
                f"tells {_words(told)} of changes of {zone.name}, with the key of each {_words(right)} has to be told"
            )
            wrong("JB2183", what, "Name them under `also-notify`, each with its key, and write `notify explicit;`.")
    return findings


def _all(followers: Iterable[Iterable[Service]]) -> set[str]:
    return {address for each in followers for address in addresses(each)}


def _words(listed: Iterable[str]) -> str:
    return ", ".join(sorted(listed)) or "nobody"
