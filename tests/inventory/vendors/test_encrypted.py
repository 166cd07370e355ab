"""Lines that the plan encrypts: rendered at both ends, read back, proved, put right, and refused where a device cannot."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ground import secret
from ground.mistake import Mistakes
from inventory.models import models
from inventory.proof import Proof, decide, lines, prove, texts
from inventory.proof.decide import World
from inventory.proof.shielding import SUITES, Said
from inventory.proof.texts import Text
from inventory.render import write
from ip_plan.network import Network, Suite
from tests.inventory.vendors import mutate, plans
from tests.inventory.vendors.mutate import Mutation
from tests.inventory.vendors.test_readers import (
    EMPTY,
    EVERY,
    PLAIN,
    READERS,
    WRITERS,
    filters,
    host,
    intent,
    routings,
    said,
)
from tests.inventory.vendors.test_remedies import BARE, DIALECTS, holds, runnable

HAVE: dict[str, tuple[Suite, ...]] = {"vrp": ("aes256", "sm4"), "comware": ("aes256", "sm4"), "iosxe": ("aes256",)}
"""Vendor → what his models encrypt with."""
MIXED: list[dict[str, Any]] = [
    *plans.ROWS["vrp"],
    {"role": "router", "region": "640100", "dialect": "comware", "model": "f5000-ai-20", "reason": "test"},
    {"role": "access", "level": "county", "dialect": "comware", "model": "f1000-ai-35", "reason": "test"},
    {"role": "access", "level": "township", "dialect": "iosxe", "model": "c8300-1n1s-6t", "reason": "test"},
]
ENCRYPTED: list[dict[str, Any]] = [
    {"suite": "sm4", "reason": "test"},
    {"level": "prefecture", "rank": "backup", "suite": "aes256", "reason": "test"},
    {"level": "township", "suite": "aes256", "reason": "test"},
    {"region": "640300", "below": True, "level": "county", "suite": "none", "reason": "test"},
]


def suites(vendor: str) -> st.SearchStrategy[tuple[Suite, ...]]:
    """Of the two lines of a router."""
    one: st.SearchStrategy[Suite] = st.sampled_from(["", *HAVE[vendor]])
    return st.tuples(one, one)


@EVERY
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_protection_read_back_is_the_intent(vendor: str, data: st.DataObject) -> None:
    drawn, routing = data.draw(suites(vendor)), data.draw(routings())
    reading = said(intent(vendor, routing, EMPTY, "router", drawn))
    for number, suite in enumerate(drawn):
        interface = reading.routing.interfaces[f"w-{number}"]
        near, far = f"{host(2 * number, 4)}/31", host(2 * number + 1, 4)
        # The line keeps its addresses, and its place in the routing.
        assert interface.find("ip", "address", near) and interface.find("ipv6", "address")
        setting = interface.find("ipsec")
        if not suite:
            assert setting is None
            continue
        name = f"line/a/{number}" if suite == "aes256" else "-"
        assert setting == Said(suite, near, far, name, f"u-{number}").setting(setting.line if setting else 0)
    assert not [name for name in reading.routing.interfaces if name.startswith("u-")]
    assert reading.routing == said(intent(vendor, routing, EMPTY, "router", drawn)).routing


@EVERY
@given(data=st.data())
@settings(max_examples=10, deadline=None)
def test_lines_are_encrypted_and_laid_open_again(vendor: str, data: st.DataObject) -> None:
    routing, filter = runnable(data.draw(routings())), data.draw(filters(False))
    made = [intent(vendor, routing, filter, "router", data.draw(suites(vendor))) for _ in range(2)]
    holds(DIALECTS[vendor], *(WRITERS[vendor](each)[0].content for each in made))


@EVERY
def test_a_line_below_its_tunnel_is_apart_before_the_tunnel_has_its_addresses(vendor: str) -> None:
    plain, sure = (
        WRITERS[vendor](intent(vendor, PLAIN, EMPTY, "router", given))[0].content for given in ((), ("aes256",))
    )  # fmt: skip
    for running, rendered in ((plain, sure), (sure, plain)):
        commands = [line.strip() for line in holds(DIALECTS[vendor], running, rendered).commands]
        apart = next(
            n for n, line in enumerate(commands) if re.match(r"((undo|no) )?(ip binding|vrf forwarding)", line)
        )
        tunnel = next(n for n, line in enumerate(commands) if re.match(r"((undo|no) )?interface Tunnel", line))
        assert (apart < tunnel) == (running is plain)
    assert holds(DIALECTS[vendor], BARE[vendor], sure).commands


SECTIONS = {
    "vrp": {
        "": ("ip vpn-instance lines", "firewall zone name lines", " rule name base.keys", "interface Tunnel", " tunnel-protocol gre",
             " source ", " destination vpn-instance lines ", " ipsec profile w-", " ip binding vpn-instance lines", " description u-",
             "ipsec profile w-"),
        "aes256": ("ipsec proposal aes256", "ike proposal 1", " undo version 1", " pre-shared-key @secret:line/"),
        "sm4": ("ipsec proposal sm4", "ike proposal 2", " authentication-method digital-envelope", " undo version 2",
                " certificate local-filename "),
    },
    "comware": {
        "": ("ip vpn-instance lines", "security-zone name lines", " rule ", "interface Tunnel", " source ", " tunnel vpn-instance lines",
             " tunnel protection ipsec profile w-", " ip binding vpn-instance lines", " description u-"),
        "aes256": ("ipsec transform-set aes256", "ikev2 proposal aes256", "ikev2 policy lines", "ikev2 keychain w-", "ikev2 profile w-",
                   "  pre-shared-key plaintext @secret:line/"),
        "sm4": ("ipsec transform-set sm4", "ike proposal 1", " authentication-method sm2-de", " exchange-mode gm-main", "pki domain lines",
                "ike profile w-"),
    },
    "iosxe": {
        "": ("vrf definition lines", "zone security lines", "zone-pair security lines_self ", "interface Tunnel", " tunnel source ",
             " tunnel vrf lines", " tunnel protection ipsec profile w-", " vrf forwarding lines", " description u-"),
        "aes256": ("crypto ikev2 proposal aes256", "crypto ikev2 policy lines", "crypto ikev2 keyring w-", "crypto ikev2 profile w-",
                   "crypto ipsec transform-set aes256 ", "crypto ipsec profile w-", "  pre-shared-key @secret:line/"),
        "sm4": (),
    },
}  # fmt: skip
"""Vendor → suite (empty: any) → beginnings of lines that a device with such a line has."""

Sure = tuple[Network, Proof, World]


@pytest.fixture(scope="module")
def sure(tmp_path_factory: pytest.TempPathFactory) -> Sure:
    """A pilot of all three vendors whose lines are encrypted, but for those of some counties."""
    place = tmp_path_factory.mktemp("encrypted")
    network = plans.network(place, MIXED, encrypted=ENCRYPTED)
    write(place / "build", network, lab=False)
    return network, prove(network, place / "build"), World(network)


def test_a_plan_with_encrypted_lines_is_proved(sure: Sure) -> None:
    network, proof, _ = sure
    assert proof.good, (proof.mistakes[:3], proof.findings[:3])
    wan = {link.id: link for link in network.links.values() if link.kind != "inside"}
    assert {link.suite for link in wan.values()} == {"", "aes256", "sm4"}
    # The last row that fits counts.
    assert wan["640000-r2~640100-r1"].suite == "aes256" and wan["640000-r1~640100-r1"].suite == "sm4"
    assert wan["640100-r1~640121-r1"].suite == "sm4" and wan["640100-r1~640121100-r1"].suite == "aes256"
    assert wan["640300-r1~640323-r1"].suite == ""
    assert not [link for link in network.links.values() if link.kind == "inside" and link.suite]


def test_every_device_with_an_encrypted_line_has_its_sections(sure: Sure) -> None:
    network, proof, _ = sure
    seen = set()
    for name, reading in proof.readings.items():
        device = network.devices[name]
        if device.role == "host":
            continue
        lines_ = [network.links[item.link] for item in device.interfaces if item.kind == "wan"]
        (text,) = (text.content for text in reading.texts.values())
        asked = {link.suite for link in lines_ if link.suite}
        for suite, begins in SECTIONS[device.dialect].items():
            for begin in begins:
                there = any(line.startswith(begin) for line in text.splitlines())
                assert (
                    begin == " rule " or begin == " source " or there == (suite in asked if suite else bool(asked))
                ), (name, begin)
        keys = {name for name in secret.references(text.encode()) if name.startswith("line/")}
        # Both ends of a line refer to one secret; with certificates there is none.
        assert keys == {link.secret for link in lines_ if link.suite == "aes256"}
        seen |= {(device.dialect, suite) for suite in asked}
    assert seen == {("vrp", "sm4"), ("vrp", "aes256"), ("comware", "sm4"), ("comware", "aes256"), ("iosxe", "aes256")}


OWN = re.compile(
    r"(undo )?(ip vpn-instance lines|vrf definition lines|ipsec |ike |ikev2 |crypto |pki |interface Tunnel|"
    r".*zone (name )?lines$|zone security lines|zone-pair security (lines|self)_(lines|self)|"
    r"policy-map type inspect (lines|self)_(lines|self)|class-map .* base.keys|rule (\d+ )?name base.keys|"
    r"(ip access-list extended|ipv6 access-list) base.keys)"
)
"""Views of what encrypts lines."""
SAME = {
    r"description (base:|u-)": "a name that nobody goes by.",
    r"(ip |ipv6 )?mtu |tcp (adjust-)?mss |ip tcp adjust-mss ": "the size of packets changes no protection.",
    r"set priority|undo service-manage enable|ipv4-family|address-family|exit-address-family|no ip |ipv6 nd ": "decides nothing here.",
    r"ospf|ip ospf|ipv6 ospf": "routing, which is changed elsewhere.",
    r"rule \d+ name base.keys": "a number that nobody goes by.",
    r"destination-zone [Ll]ocal": "from the table below tunnels nothing leads anywhere else.",
    r"undo crl check enable": "whether certificates are looked up in a list is the authority's to say.",
    r"(identity local|local-identity) ": "an end is known by its address anyway.",
    r"authentication-algorithm sha2-256|prf hmac|(esp )?encryption-algorithm aes-256|esp authentication-algorithm sha2-256|"
    r"authentication-method pre-share": "VRP's own where nothing is said, or of the other version of IKE.",
    r"integrity-algorithm hmac": "VRP's own where nothing is said.",
}
"""Lines whose change is none, with the reason."""


def mutations(vendor: str, device: str, text: str) -> Iterator[Mutation]:
    """The changes to what encrypts lines; the words of algorithms and versions are changed too."""
    given = text.split("\n")
    for each in mutate.every(vendor, device, text):
        below = any(line.startswith(" description u-") for n in each.view for line in [given[n - 1]])
        if OWN.match(each.opener) or below:
            yield each
            weaker = re.sub(
                r"(aes-(cbc-)?256|esp-aes 256|sm4(-cbc)?|sha2?-?256|sm3|group ?19|line/\S+|transport)", "x", each.before
            )
            if each.kind == "dropped" and weaker != each.before:
                yield Mutation(device, each.line, "weaker", each.before, weaker, each.view, each.opener)


def found(sure: Sure, mutation: Mutation) -> bool:
    """Whether the proof of the device alone, of its text and its filter, sees the change."""
    network, proof, world = sure
    ((target, text),) = proof.readings[mutation.device].texts.items()
    device = network.devices[mutation.device]
    reading = texts.read(device.name, {target: Text(text.path, mutate.apply(text.content, mutation))})
    if reading.mistakes or lines.own(world, device, reading, proof.readings):
        return True
    assert reading.nftables
    return bool(decide.compare(world, device, decide.expected(world, device), reading.nftables)[0])


@pytest.mark.parametrize("device", ["640000-r1", "640100-r1", "640121-r1", "640121100-r1"])
def test_each_change_to_what_encrypts_is_found(device: str, sure: Sure) -> None:
    network, proof, _ = sure
    (text,) = proof.readings[device].texts.values()
    drawn = list(mutations(network.devices[device].dialect, device, text.content))
    assert len(drawn) > 30
    random.Random(1).shuffle(drawn)
    shapes = {(each.kind, mutate.shape(each.before)): each for each in drawn}
    left = [
        str(each)
        for each in list(shapes.values())[:45]
        if not any(re.match(same, each.before.strip()) for same in SAME) and not found(sure, each)
    ]
    assert not left, "\n".join(left)


PLANTED = [
    ("640000-r1", r"(?m)^ ipsec profile w-640100-1\n(?= description)", "", "JB2490"),
    ("640000-r2", r"(?m)^ pre-shared-key @secret:line/640000-r2/640300-r1@$", " pre-shared-key Huawei@123", "JB2490"),
    ("640000-r1", r"(?m)^  service protocol udp destination-port 500$", "  service protocol udp", "JB2491"),
    ("640100-r1", r"(?m)^ tunnel protection ipsec profile w-640121-1\n", "", "JB2490"),
    ("640100-r1", r"(?m)^ esp encryption-algorithm sm4-cbc$", " esp encryption-algorithm des-cbc", "JB2490"),
    ("640100-r1", r"(?m)^  service-port 50\n", "", "JB2491"),
    ("640121100-r1", r"(?m)^ tunnel protection ipsec profile \S+\n", "", "JB2490"),
    ("640121100-r1", r"(?m)^ group 19$", " group 2", "JB2490"),
    ("640121100-r1", r"permit esp any any", "permit gre any any", "JB2491"),
]
"""(device, what stands there, what takes its place, code)."""


UNKNOWN = {
    "vrp": [
        (" tunnel-protocol gre", " tunnel-protocol ipv4-ipv6"),
        (" tunnel-protocol gre", " gre key cipher 1"),
        (" source GigabitEthernet0/0/0.11", " source GigabitEthernet0/0/9.11"),  # nowhere
        (" source GigabitEthernet0/0/0.11", " source LoopBack0"),  # in no instance
        (" ipsec profile w-0", " ipsec profile w-9"),
        (" ip binding vpn-instance lines", " ip binding vpn-instance default"),
        (" ike-proposal 1", " ike-proposal 3"),
        (" ike-proposal 1", " nat traversal"),
    ],
    "comware": [
        (" source GigabitEthernet1/0/1.11", " source LoopBack0"),
        (" tunnel vpn-instance lines", " tunnel vpn-instance management"),
        (" tunnel protection ipsec profile w-0", " tunnel protection ipsec profile w-9"),
        (" ip binding vpn-instance lines", " ip binding vpn-instance management"),
        (" keychain w-0", " keychain w-9"),
        (" match vrf name lines", " match vrf any"),
        ("  pre-shared-key plaintext @secret:line/a/0@", "  hostname x"),
    ],
    "iosxe": [
        (" tunnel source GigabitEthernet0/0/0.11", " tunnel source Loopback0"),
        (" tunnel vrf lines", " tunnel vrf Mgmt-intf"),
        (" tunnel vrf lines", " tunnel mode ipsec ipv4"),
        (" tunnel protection ipsec profile w-0", " tunnel protection ipsec profile w-9"),
        (" keyring local w-0", " keyring local w-9"),
        (" match fvrf lines", " match fvrf any"),
        ("crypto ikev2 policy lines", "crypto map lines"),
    ],
}  # fmt: skip
"""Vendor → (line, what in its place cannot be read, or leads nowhere)."""


@pytest.mark.parametrize(("vendor", "line", "other"), [(v, *case) for v, cases in UNKNOWN.items() for case in cases])
def test_a_tunnel_that_cannot_be_computed_is_refused(vendor: str, line: str, other: str) -> None:
    text = WRITERS[vendor](intent(vendor, PLAIN, EMPTY, "router", ("aes256",)))[0].content
    assert f"\n{line}\n" in text
    with pytest.raises(Mistakes) as caught:
        READERS[vendor](text.replace(f"\n{line}\n", f"\n{other}\n"), "file")
    assert {mistake.code for mistake in caught.value.found} == {"JB2401"}


@pytest.mark.parametrize(("device", "there", "planted", "code"), PLANTED)
def test_a_line_that_is_not_protected_as_asked_is_named(
    device: str, there: str, planted: str, code: str, sure: Sure
) -> None:
    network, proof, world = sure
    ((target, text),) = proof.readings[device].texts.items()
    changed, count = re.subn(there, planted, text.content)
    assert count
    reading = texts.read(device, {target: Text(text.path, changed)})
    findings = lines.own(world, network.devices[device], reading, proof.readings)
    assert {finding.code for finding in findings} == {code} and not reading.mistakes
    assert all(finding.file == text.path and "~" in finding.found for finding in findings)


def test_a_line_that_nobody_asked_to_encrypt_is_named(sure: Sure) -> None:
    network, proof, _ = sure
    shards = tuple(replace(s, links=tuple(replace(link, suite="") for link in s.links)) for s in network.shards)
    other = World(replace(network, shards=shards))
    device = network.devices["640121-r1"]
    findings = lines.own(other, device, proof.readings[device.name], proof.readings)
    assert [finding.code for finding in findings] == ["JB2490"] and "leaves it plain" in findings[0].found


@pytest.mark.parametrize(
    ("devices", "rows", "said"),
    [
        ([], [{"region": "640121", "suite": "aes256"}], set()),
        ([], [{"region": "640121", "suite": "sm4"}], {"640100-r1 (frr on debian12)", "640121-r1 (frr on debian12)"}),
        # A Debian's tunnel is another than a vendor's.
        (plans.ROWS["iosxe"][1:], [{"region": "640121", "suite": "aes256"}],
         {"640100-r1 (frr) and 640121-r1 (iosxe) build tunnels of two kinds, GRE and VXLAN"}),
        (plans.ROWS["iosxe"], [{"region": "640121", "suite": "sm4"}],
         {"640100-r1 (iosxe on c8300-1n1s-6t)", "640121-r1 (iosxe on c8300-1n1s-6t)"}),
        (MIXED, [{"level": "township", "region": "640121100", "suite": "sm4"}], {"640121100-r1 (iosxe on c8300-1n1s-6t)"}),
        (MIXED, [{"suite": "sm4"}, {"level": "township", "suite": "none"}], set()),
    ],
)  # fmt: skip
def test_what_a_device_cannot_encrypt_is_refused_with_its_row(
    devices: list[dict[str, Any]], rows: list[dict[str, Any]], said: set[str], tmp_path: Path
) -> None:
    network = plans.network(tmp_path, devices, encrypted=[row | {"reason": "test"} for row in rows])
    place = tmp_path / "build"
    if not said:
        assert write(place, network, lab=False, devices=["640121-r1"]).devices == 1
        return
    with pytest.raises(Mistakes) as caught:
        write(place, network, lab=False)
    assert {mistake.code for mistake in caught.value.found} == {"JB2190"} and not list(place.glob("6*"))
    assert {mistake.what.partition(" cannot ")[0] for mistake in caught.value.found} == said
    text = (tmp_path / "plan" / "plan.yml").read_text("utf-8").splitlines()
    assert all(
        mistake.line and rows[0]["suite"] in "".join(text[mistake.line - 1 : mistake.line + 3])
        for mistake in caught.value.found
    )


def test_the_two_lists_of_suites_are_one() -> None:
    assert set(SUITES) == {suite for listed in HAVE.values() for suite in listed}
    assert {vendor: next(iter(models(vendor).values())).suites for vendor in HAVE} == HAVE
