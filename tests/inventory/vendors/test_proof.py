"""A whole pilot of vendors' devices, rendered, read back and proved: against the rows, and against the verdicts written by hand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ground import secret
from inventory.dialects.vrp import session
from inventory.proof import Proof, connection
from inventory.proof.decide import World
from inventory.render import render
from ip_plan.network import Network
from tests import verdicts
from tests.inventory.vendors import plans

VENDORS: dict[str, list[dict[str, Any]]] = {"vrp": plans.VRP}
MIXED = [
    {"role": "router", "region": "640000", "dialect": "vrp", "model": "usg6655e", "reason": "test"},
    {"role": "firewall", "region": "640300", "dialect": "vrp", "model": "usg6655e", "reason": "test"},
    {"role": "access", "level": "county", "dialect": "vrp", "model": "usg6525e", "reason": "test"},
]
SITES = ("640000:centre1", "640100:centre1", "640121:office1", "640121100:office1")
SECTIONS = {
    "vrp": {
        "every": (
            "sysname ", "ipv6", "acl number 2000", "acl ipv6 number 2000", "ip address-set ", "aaa", " role system-officer",
            " role audit-officer", " role security-officer", " bind manager-user ", "interface MEth0/0/0", "interface LoopBack0",
            "firewall zone name ", "security-policy", " rule name base.self", "dns server ", "dns server ipv6 ", "ssl policy logs",
            "info-center loghost ", "info-center loghost ipv6 ", "snmp-agent usm-user v3 ", "ssh server acl ", "user-interface vty ",
            "  password cipher @secret:", " vlan-type dot1q ",
        ),
        "router": ("bfd", "bgp ", " ipv4-family unicast", " ipv6-family unicast", "  aggregate ", "  peer ", "ospf 1 ", "ospfv3 1",
                   "ip ip-prefix ", "ip ipv6-prefix ", "route-policy ", " rule name base.forward", "  import-route "),
        "firewall": ("bfd", "ospf 1 ", "ospfv3 1", " ospf bfd enable", " ospfv3 bfd enable", " rule name base.spoofed."),
        "access": ("ip route-static ", "ipv6 route-static ", " rule name base.spoofed."),
    },
}  # fmt: skip
"""Vendor → role → beginnings of lines, each of which every such device has."""


@pytest.fixture(scope="module", params=VENDORS)
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Network, Proof]:
    vendor = str(request.param)
    return vendor, *plans.proved(tmp_path_factory.mktemp(vendor), VENDORS[vendor])


def test_the_text_does_what_the_plan_says(whole: tuple[str, Network, Proof]) -> None:
    vendor, network, proof = whole
    assert proof.good, (proof.mistakes[:3], proof.findings[:3])
    assert proof.devices == len(network.devices) and proof.questions > 30_000 and proof.destinations > 10_000
    assert all(each.rendered for each in proof.against)
    assert {d.dialect for d in network.devices.values()} == {vendor, "debian"}


def test_a_mix_of_dialects_is_proved_like_one(tmp_path: Path) -> None:
    network, proof = plans.proved(tmp_path, MIXED)
    assert proof.good, (proof.mistakes[:3], proof.findings[:3])
    assert {d.dialect for d in network.devices.values() if d.role != "host"} == {"frr", "vrp"}


def test_the_verdicts_written_by_hand_hold(whole: tuple[str, Network, Proof]) -> None:
    _, network, proof = whole
    world = World(network)
    seen = {True: 0, False: 0}
    for one in verdicts.expected(network, [network.sites[key] for key in SITES]):
        ends = ((one.opener.key, one.from_zone), (one.target.key, one.to_zone))
        for decision in connection(proof, world, *ends, one.port):
            assert decision.allowed == one.allow, (one, decision)
            seen[one.allow] += 1
    assert seen[True] > 300 and seen[False] > 5000


def test_every_file_has_every_section(whole: tuple[str, Network, Proof]) -> None:
    vendor, network, _ = whole
    roles = {"router": 0, "firewall": 0, "access": 0}
    for rendered in render(network, lab=False):
        device = network.devices[rendered.tree.device]
        if device.role == "host":
            continue
        assert len(rendered.contents) == 1, device.name
        text = next(iter(rendered.contents.values())).decode()
        lines = text.splitlines()
        for begin in (*SECTIONS[vendor]["every"], *SECTIONS[vendor][device.role]):
            assert any(line.startswith(begin) for line in lines), (device.name, begin)
        for item in device.interfaces:
            assert f" description {item.name}" in lines
        assert len(secret.references(text.encode())) == 5  # three administrators, two keys of SNMPv3
        roles[device.role] += 1
    assert min(roles.values()) > 3


@pytest.mark.parametrize(
    "prompt", ["<640100-r1>", "[640100-r1]", "[640100-r1-bgp-af-ipv6]", "HRP_M<fw1>", "HRP_S[fw1-zone-wan]"]
)
def test_prompts_of_vrp(prompt: str) -> None:
    assert re.search(session.PROMPT, f"display clock\r\n2026-01-01\n{prompt}")
    assert not re.search(session.PROMPT, " rule name <x> [y]")
