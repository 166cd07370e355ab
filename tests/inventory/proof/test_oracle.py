"""The proof against an oracle: small networks with rows drawn at random and a line of text changed, packet by packet."""

from __future__ import annotations

import ipaddress
import random
import re
from collections.abc import Iterator
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ground.mistake import Mistakes
from inventory import render
from inventory.proof import decide, filters, nftables, passing
from inventory.proof.decide import World
from inventory.proof.finding import Finding
from ip_plan import zones
from ip_plan.compile import compiled
from ip_plan.network import Flow, Network, Site
from tests.inventory.proof import mutate, oracle
from tests.inventory.proof.oracle import Packet

DEVICES = ("640100-fw1", "640121-r1", "640121100-r1")
PORTS = ("tcp/22", "tcp/53", "udp/53", "tcp/443", "tcp/5432", "icmp/echo", "tcp/9", "tcp/8443")


@pytest.fixture(scope="module")
def pilot(tmp_path_factory: pytest.TempPathFactory) -> Network:
    return compiled("pilot", tmp_path_factory.mktemp("pilot") / "state")


class Case(NamedTuple):
    """A network with other rows, and a device's text with one line changed (or none)."""

    network: Network
    device: str
    text: str
    seed: int


def drawn(pilot: Network, seed: int) -> Case:
    """Some rows fewer, one more, one device, and every second time one line of its filter changed."""
    chance = random.Random(seed)
    allowed = [flow for flow in pilot.flows if flow.verdict == "allow"]
    gone = set(chance.sample([flow.id for flow in allowed], chance.randrange(4)))
    names = sorted({zone.name for site in pilot.sites.values() for zone in site.zones})
    more = Flow(
        "ROW-MORE", "", "allow", chance.choice(names), chance.choice(names),
        chance.choice(("same-centre", "serving-parent", "served-child")), (chance.choice(PORTS),),
    )  # fmt: skip
    flows = (*(flow for flow in pilot.flows if flow.id not in gone), more)
    network = Network(pilot.meta, flows, pilot.shards, pilot.keys)
    device = chance.choice(DEVICES)
    (made,) = render.render(network, devices=[device], lab=False)
    text = made.contents["etc/nftables.conf"].decode()
    if chance.random() < 0.6:
        lines = [
            m for m in mutate.every("nftables", device, "/etc/nftables.conf", text, chance) if "spoofed" not in m.before
        ]
        text = mutate.apply(text, chance.choice(lines))
    return Case(network, device, text, seed)


def carriers(network: Network, site: Site, zone: str) -> dict[str, tuple[str, str]]:
    """Address → (device that has it, service that has it) in a zone: every host, every service, and one that nobody has."""
    found: dict[str, tuple[str, str]] = {}
    for name in site.devices:
        device = network.known_devices[name]
        if device.zone == zone:
            for item in device.interfaces:
                found |= {text.partition("/")[0]: (name, "") for text in (item.v4, item.v6)}
    for service in network.services_at.get((site.key, zone), ()):
        found |= {service.v4: ("", service.name), service.v6: ("", service.name)}
    prefix = site.zone(zone)
    assert prefix
    for text in (prefix.v4, prefix.v6):
        address, _, length = text.partition("/")
        unused = (str(host) for host in _from_the_end(address, int(length)))
        found[next(host for host in unused if host not in found)] = ("", "")
    return found


def _from_the_end(address: str, length: int) -> Iterator[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    network = ipaddress.ip_network(f"{address}/{length}")
    return (network[-number] for number in range(2, 12))


def packets(case: Case) -> list[tuple[Packet, bool]]:
    """Packets between two zones that pass the device, and whether the rows allow them: of each two zones some, on every port."""
    network, device = case.network, case.network.devices[case.device]
    site = network.sites[device.site]
    near = [site, *network.related(site, "serving-parent"), *network.related(site, "served-child")[:1]]
    line = next(i.name for i in device.interfaces if i.kind == ("inside" if device.role == "firewall" else "wan"))
    ends = [
        (other, zone.name, address, *who)
        for other in near
        for zone in other.zones
        for address, who in carriers(network, other, zone.name).items()
    ]
    found = []
    chance = random.Random(case.seed)
    for one, from_zone, src, *carrier in ends:
        for other, to_zone, dst, *reached in chance.sample(ends, min(5, len(ends))):
            inner = (one.key == site.key, other.key == site.key)
            if (":" in src) != (":" in dst) or not any(inner) or (one.key == other.key and from_zone == to_zone):
                continue
            for port in PORTS:
                opener = zones.End(one.key, from_zone, *carrier)
                target = zones.End(other.key, to_zone, *reached)
                iif, oif = f"z-{from_zone}" if inner[0] else line, f"z-{to_zone}" if inner[1] else line
                found.append(
                    (Packet(iif, oif, src, dst, *_kind(port, src)), zones.verdict(network, opener, target, port).allow)
                )
    return found


def _kind(port: str, src: str) -> tuple[str, int]:
    name, _, number = port.partition("/")
    if name == "icmp":
        return ("icmpv6", 128) if ":" in src else ("icmp", 8)
    return name, int(number)


def proved(case: Case) -> list[Finding]:
    """What the proof finds wrong with the filter, at the forward hook or at both."""
    world = World(case.network)
    device = case.network.devices[case.device]
    ruleset = nftables.read(case.text)
    return decide.compare(world, device, decide.expected(world, device), ruleset)[0]


_END = r"(?:(\S+) \(granted to nobody\)|\S+ \(([^)]+)\))"
WITNESS = re.compile(rf"(lets|stops) (\S+) (?:pass )?from {_END} to {_END}, (\S+) → (\S+),")


def disagreement(case: Case) -> str:
    """What the proof says otherwise than the oracle; empty: nothing."""
    try:
        findings = proved(case)
    except Mistakes:
        return ""  # what is not read is not proved, and said so
    try:
        wrong = [(p, allowed) for p, allowed in packets(case) if oracle.passes(case.text, "forward", p) != allowed]
    except (oracle.Refused, KeyError, ValueError):
        return ""
    if wrong and not findings:
        return f"{case.device}: {wrong[0]} is wrong, the proof finds nothing"
    for finding in findings:
        if hit := WITNESS.search(finding.found):
            verb, port, *ends, iif, oif = hit.groups()
            src, dst = (end for end in ends if end)
            if oif == "itself" or not port.startswith(("tcp/", "udp/", "icmp/")):
                continue
            packet = Packet(iif, oif, src, dst, *_kind(port, src))
            if oracle.passes(case.text, "forward", packet) != (verb == "lets"):
                return f"{case.device}: {finding.found}: {packet} does the contrary"
    return ""


def test_the_proof_says_what_the_oracle_says(pilot: Network) -> None:
    @settings(max_examples=8, deadline=None)
    @given(seed=st.integers(0, 2**32 - 1))
    def agree(seed: int) -> None:
        said = disagreement(drawn(pilot, seed))
        assert said == ""

    agree()


def test_the_oracle_is_asked_of_right_and_wrong_texts(pilot: Network) -> None:
    """The draw has both: otherwise the agreement would say little."""
    found = [bool(proved(case)) for case in (drawn(pilot, seed) for seed in range(6)) if _readable(case)]
    assert any(found) and not all(found)


def _readable(case: Case) -> bool:
    try:
        nftables.read(case.text)
    except Mistakes:
        return False
    return True


def test_a_fault_in_the_proof_is_found(pilot: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof made to look past destinations: the oracle contradicts it."""
    plain = passing._plane

    def blind(rule: filters.Rule, *rest: object) -> int:
        kept = tuple(match for match in rule.matches if match.field != "daddr")
        return plain(msgspec.structs.replace(rule, matches=kept), *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(passing, "_plane", blind)
    assert any(disagreement(drawn(pilot, seed)) for seed in range(6))
