"""Encrypted lines of Debian devices: what is rendered is proved, and what is written otherwise is named."""

from __future__ import annotations

import re
import shutil

import pytest

from ground.mistake import Mistakes
from inventory.proof import Proof, lines, prove, swanctl, texts, tunnelling
from inventory.proof.decide import World
from inventory.proof.texts import Text
from inventory.render import write
from ip_plan.compile import compiled
from ip_plan.network import Network
from tests.plans import PINNED

LINES = "/etc/swanctl/conf.d/lines.conf"
TUNNEL, BELOW, SHIELD = (
    f"/etc/systemd/network/10-{name}" for name in ("w-640000-1.netdev", "u-640000-1.network", "ipsec0.network")
)
FILTER = "/etc/nftables.conf"

Kept = tuple[Network, Proof, World]


@pytest.fixture(scope="module", params=[True, False], ids=["user-space", "kernel"])
def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    place = tmp_path_factory.mktemp("tunnelling")
    network = compiled(str(shutil.copytree(PINNED, place / "plan")), place / "state")
    write(place / "build", network, lab=request.param)
    return network, prove(network, place / "build"), World(network)


def test_what_is_rendered_is_proved_and_both_ends_mirror_each_other(kept: Kept) -> None:
    network, proof, _ = kept
    assert proof.good, proof.findings[:3]
    for link in network.links.values():
        if link.suite:
            one, other = (
                proof.readings[name].swanctl.connections[interface]  # type: ignore[union-attr]
                for name, interface in ((link.a, link.a_interface), (link.b, link.b_interface))
            )
            assert one.shield == other.shield == tunnelling.shield("aes256") and one.secret == other.secret
            assert (one.own, one.own_id, one.own_selector) == (other.other, other.other_id, other.other_selector)


PLANTED = [
    (LINES, r"aes256-sha256-ecp256\n    encap", r"aes128-sha256-ecp256\n    encap", "JB2520"),
    (LINES, r"esp_proposals = aes256-sha256-ecp256", "esp_proposals = null-sha256", "JB2520"),
    (LINES, r"auth = psk", "auth = pubkey", "JB2520"),
    (LINES, r"remote_addrs = .*4$", "remote_addrs = %any", "JB2520"),
    (LINES, r"id = \S+:4$", "id = %any", "JB2520"),
    (LINES, r"remote_ts = \S+", "remote_ts = ::/0", "JB2520"),
    (LINES, r'secret = "@secret:line/640000-r1/640300-r1@"', 'secret = "Huawei@123"', "JB2520"),
    (LINES, r"id-other = \S+:4$", "id-other = 640000-r9", "JB2520"),
    (LINES, r"start_action = start", "start_action = none", "JB2520"),
    (LINES, r"w-640000-1 \{\n    version", r"w-9 {\n    version", "JB2520"),
    (TUNNEL, r"Remote=\S+", "Remote=fd8c:51f7:2e90::a01:2", "JB2521"),
    (TUNNEL, r"VNI=\d+", "VNI=1", "JB2521"),
    (TUNNEL, r"Independent=yes", "Independent=no", "JB2521"),
    (TUNNEL, r"Kind=vxlan", "Kind=dummy", "JB2521"),
    (BELOW, r"Type=unreachable", "Type=unicast", "JB2522"),
    (BELOW, r"Destination=\S+", "Destination=fd8c::/16", "JB2522"),
    (FILTER, r'oifname "u-640000-2" counter drop comment "base:keys"\n  \}', "}", "JB2523"),
    (FILTER, r'( *)iifname "u-640000-1" counter drop comment "base:keys"\n', "", "JB2523"),
    (FILTER, r"udp dport \{ 500, 4500 \}", "udp dport { 500, 4500, 4789 }", "JB2523"),
    (FILTER, r'iifname "ipsec0" ip6 saddr (\S+) ip6 daddr (\S+) udp dport 4789', r'iifname "ipsec0" udp dport 9', "JB2523"),
]  # fmt: skip
"""(file, what stands there, what takes its place, code)."""


@pytest.mark.parametrize(("target", "there", "planted", "code"), PLANTED)
def test_a_line_that_is_not_protected_as_asked_is_named(
    kept: Kept, target: str, there: str, planted: str, code: str
) -> None:
    found = _changed(kept, target, there, planted)
    assert code in found and found <= {code, "JB2403"}, found


def _changed(kept: Kept, target: str, there: str, planted: str) -> set[str]:
    network, proof, world = kept
    device = network.devices["640300-r1"]
    held = proof.readings[device.name].texts
    changed, count = re.subn(f"(?m){there}", planted, held[target].content)
    assert count
    reading = texts.read(device.name, {**held, target: Text(held[target].path, changed)})
    assert not reading.mistakes, reading.mistakes
    return {finding.code for finding in lines.own(world, device, reading, proof.readings)}


def test_what_makes_the_protected_interface_has_to_be_there(kept: Kept) -> None:
    network, proof, world = kept
    device = network.devices["640300-r1"]
    held = dict(proof.readings[device.name].texts)
    for target in (tunnelling.USER_SPACE, "/etc/systemd/network/10-ipsec0.netdev"):
        held.pop(target, None)
    found = lines.own(world, device, texts.read(device.name, held), proof.readings)
    assert {finding.code for finding in found} == {"JB2522"}


@pytest.mark.parametrize(
    "text",
    [
        "include other.conf\n",
        "connections {\n",
        "connections {\n  a : base {\n  }\n}\n",
        "connections {\n  a {\n    version = 2\n    version = 1\n  }\n}\n",
        "connections {\n  a {\n    children {\n      b {\n      }\n      c {\n      }\n    }\n  }\n}\n",
        "connections {\n}\nconnections {\n}\n",
    ],
)
def test_a_text_that_is_not_known_is_refused(text: str) -> None:
    with pytest.raises(Mistakes) as caught:
        swanctl.read(text, "file")
    assert {mistake.code for mistake in caught.value.found} == {"JB2401"}


def test_what_is_not_said_is_what_the_manual_says() -> None:
    said = swanctl.read(
        "connections {\n  a {\n    children {\n      b {\n      }\n    }\n  }\n}\n", "file"
    ).connections["a"]
    assert (said.shield.version, said.shield.proof, said.shield.mode) == ("0", "pubkey", "tunnel")
    assert (said.own, said.own_id, said.own_selector, said.start, said.secret) == (
        "%any",
        "%any",
        "dynamic",
        "none",
        "-",
    )
