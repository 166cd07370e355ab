"""A whole pilot of vendors' devices, rendered, read back and proved: against the rows, and against the verdicts written by hand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ground import secret
from inventory.dialects.comware import session as comware
from inventory.dialects.iosxe import session as iosxe
from inventory.dialects.vrp import session as vrp
from inventory.proof import End, Proof, connection
from inventory.proof.decide import World
from inventory.render import render
from ip_plan.network import Network
from tests import verdicts
from tests.inventory.vendors import plans

MIXED: list[dict[str, Any]] = [
    {"role": "router", "region": "640000", "dialect": "vrp", "model": "usg6655e", "reason": "test"},
    {"role": "firewall", "region": "640300", "dialect": "vrp", "model": "usg6655e", "reason": "test"},
    {"role": "router", "region": "640100", "dialect": "comware", "model": "f5000-ai-20", "reason": "test"},
    {"role": "firewall", "region": "640000", "dialect": "iosxe", "model": "c8300-1n1s-6t", "reason": "test"},
    {"role": "access", "level": "county", "dialect": "comware", "model": "f1000-ai-35", "reason": "test"},
    {"role": "access", "level": "township", "dialect": "iosxe", "model": "c8300-1n1s-6t", "reason": "test"},
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
    "comware": {
        "every": (
            " sysname ", "acl basic 2000", "acl ipv6 basic 2000", "object-group ip address ", "object-group ipv6 address ",
            "role name system-officer", "role name audit-officer", "role name security-officer", "local-user system-officer ",
            " authorization-attribute user-role ", "interface GigabitEthernet1/0/0", "interface LoopBack0",
            "security-zone name ", "security-policy ip", "security-policy ipv6", " dns server ", " ipv6 dns server ",
            "ssl client-policy logs", " info-center loghost ", " info-center loghost ipv6 ", " snmp-agent usm-user v3 ",
            " ssh server acl ", " ssh server ipv6 acl ", "line vty ", " password hash @secret:", " vlan-type dot1q vid ",
            " ntp-service unicast-server ", " ntp-service ipv6 unicast-server ",
        ),
        "router": (" session state-machine mode loose", "bgp ", " address-family ipv4 unicast", " address-family ipv6 unicast",
                   "  aggregate ", "  peer ", "ospf 1 ", "ospfv3 1", " ip prefix-list ", " ipv6 prefix-list ", "route-policy ",
                   "  import-route ", " bfd min-transmit-interval "),
        "firewall": ("ospf 1 ", "ospfv3 1", " ospf bfd enable", " ospfv3 bfd enable"),
        "access": (" ip route-static ", " ipv6 route-static "),
    },
    "iosxe": {
        "every": (
            "hostname ", "ipv6 unicast-routing", "ip access-list standard managers", "ipv6 access-list managers6",
            "ip access-list extended ", "ipv6 access-list ", "aaa new-model", "parser view system-officer",
            "parser view audit-officer", "parser view security-officer", "username system-officer view ",
            "interface GigabitEthernet0", "interface Loopback0", "zone security default", "zone security ",
            "class-map type inspect match-all ", "policy-map type inspect ", "zone-pair security ", "ip name-server ",
            "logging tls-profile ", "logging host ", "logging host ipv6 ", "snmp-server group monitoring v3 ",
            "snmp-server user monitoring ", "line vty ", " access-class managers ", " ipv6 access-class managers6 ",
            " secret 9 @secret:", " encapsulation dot1Q ", "ntp server ",
        ),
        "router": ("router bgp ", " address-family ipv4", " address-family ipv6", "  aggregate-address ", " neighbor ",
                   "router ospf 1", "ipv6 router ospf 1", "ip prefix-list ", "ipv6 prefix-list ", "route-map ",
                   "  redistribute ospf ", " bfd interval "),
        "firewall": ("router ospf 1", "ipv6 router ospf 1", " ip ospf bfd", " ipv6 ospf bfd",
                     "class-map type inspect match-any base.spoofed."),
        "access": ("ip route ", "ipv6 route ", "class-map type inspect match-any base.spoofed."),
    },
}  # fmt: skip
"""Vendor → role → beginnings of lines, each of which every such device has."""


@pytest.fixture(scope="module", params=plans.ROWS)
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Network, Proof]:
    vendor = str(request.param)
    return vendor, *plans.proved(tmp_path_factory.mktemp(vendor), plans.ROWS[vendor])


def test_the_text_does_what_the_plan_says(whole: tuple[str, Network, Proof]) -> None:
    vendor, network, proof = whole
    assert proof.good, (proof.mistakes[:3], proof.findings[:3])
    assert proof.devices == len(network.devices) and proof.questions > 30_000 and proof.destinations > 10_000
    assert all(each.rendered for each in proof.against)
    assert {d.dialect for d in network.devices.values()} == {vendor, "debian"}


def test_a_mix_of_dialects_is_proved_like_one(tmp_path: Path) -> None:
    network, proof = plans.proved(tmp_path, MIXED)
    assert proof.good, (proof.mistakes[:3], proof.findings[:3])
    assert {d.dialect for d in network.devices.values() if d.role != "host"} == {"frr", "vrp", "comware", "iosxe"}


@pytest.mark.long
def test_the_verdicts_written_by_hand_hold(whole: tuple[str, Network, Proof]) -> None:
    vendor, network, proof = whole
    world = World(network)
    seen = {True: 0, False: 0}
    # Of one dialect all, of the others a city and a county of it: the same rows in other words.
    sites = SITES if vendor == "vrp" else SITES[1:3]
    for one in verdicts.expected(network, [network.sites[key] for key in sites]):
        ends = (End(one.opener.key, one.from_zone), End(one.target.key, one.to_zone))
        for decision in connection(proof, world, *ends, one.port):
            assert decision.allowed == one.allow, (one, decision)
            seen[one.allow] += 1
    assert seen[True] > (300 if vendor == "vrp" else 80) and seen[False] > (5000 if vendor == "vrp" else 1000)


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


PROMPTS = {
    vrp.TERMINAL.prompt: ["<640100-r1>", "[640100-r1]", "[640100-r1-bgp-af-ipv6]", "HRP_M<fw1>", "HRP_S[fw1-zone-wan]"],
    comware.TERMINAL.prompt: ["<640100-r1>", "[640100-r1]", "[640100-r1-bgp-default-ipv6]", "RBM_P<fw1>", "RBM_S[fw1]"],
    iosxe.TERMINAL.prompt: ["640100-r1>", "640100-r1#", "640100-r1(config)#", "640100-r1(config-router-af)#"],
}


@pytest.mark.parametrize(("pattern", "prompt"), [(pattern, one) for pattern, all_ in PROMPTS.items() for one in all_])
def test_prompts(pattern: str, prompt: str) -> None:
    assert re.search(pattern, f"display clock\r\n2026-01-01\n{prompt}")
    assert not re.search(pattern, " rule name <x> [y] #")
