"""Pairs of vendors' firewalls: rendered whole, proved, each change of `pairs.yml` found, and a drifted one brought back."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from inventory.models import check, models
from inventory.proof.decide import World
from inventory.proof.proving import Known, load, of
from inventory.proof.texts import Text
from inventory.render import write
from tests.inventory.vendors import mutate, plans
from tests.inventory.vendors.test_mutate import FILES, Loaded, changed
from tests.inventory.vendors.test_remedies import BARE, DIALECTS, holds

FAULTS: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "pairs.yml").read_text("utf-8"))
SCOPE: dict[str, Any] = {
    "scope": [{"region": code} for code in ("000000", "640000", "640300")],
    "extra_hosts": [],
    "partners": [],
    "twin": {"running": ["000000", "640000", "640300"]},
}
"""The ministry, a province with two routers, and a city with one."""
SECTIONS = {
    "vrp": ("hrp enable", "hrp interface GigabitEthernet0/0/4 remote ", "hrp mirror session enable", "hrp adjust ospf-cost enable",
            "hrp adjust ospfv3-cost enable", "hrp track interface ", " vrrp vrid 1 virtual-ip ",
            " vrrp6 vrid 1 virtual-ip fe80::1 link-local ", "firewall zone name pair", " rule name base.pair",
            " rule name base.pair4.z-", " rule name base.pair6.z-"),
    "comware": ("remote-backup group", " data-channel interface ", " local-ip ", " remote-ip ", " device-role ", " hot-backup enable",
                " adjust-cost ospf enable ", " adjust-cost ospfv3 enable ", " track interface ", " vrrp vrid 1 virtual-ip ",
                " vrrp ipv6 vrid 1 virtual-ip fe80::1 link-local ", "security-zone name pair"),
    "iosxe": ("redundancy", " application redundancy", "  group 1", "   control ", "   data ", "   track 1 decrement ",
              "parameter-map type inspect global", "track 1 list boolean or", " redundancy rii ", " redundancy group 1 ip ",
              " redundancy group 1 ipv6 ", "zone security pair", "zone-pair security pair_self "),
}  # fmt: skip
"""Vendor → beginnings of lines, each of which every firewall of a pair has."""


@pytest.fixture(scope="module", params=plans.ROWS)
def proved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Loaded, Known]:
    """Vendor, and the plan's devices, rendered, read and proved good."""
    vendor = str(request.param)
    folder = tmp_path_factory.mktemp(vendor)
    network = plans.network(folder, plans.ROWS[vendor], firewalls=2, **SCOPE)
    write(folder / "build", network, lab=False)
    loaded = load(network, folder / "build")
    known = Known(World(network))
    proof = of(loaded, known)
    assert proof.good, (proof.mistakes[:3], proof.findings[:3])
    assert proof.devices == len(network.devices) and proof.destinations > 1_000
    return vendor, loaded, known


def altered(loaded: Loaded, known: Known, device: str, target: str, content: str) -> list[str]:
    """What the proof says when `device` has other text, as `<code> <found>`; what it says of other files is left out."""
    text = loaded[device][target]
    tree = {**loaded, device: {target: Text(text.path, content)}}
    copy = Known(
        known.world, dict(known.readings), known.expected, dict(known.filters), dict(known.own), known.names, known.routed
    )  # fmt: skip
    proof = of(tree, copy)
    said = [(each.file, each.code, each.found) for each in proof.findings]
    said += [(each.file, each.code, each.what) for each in proof.mistakes]
    return [f"{code} {found}" for file, code, found in said if file == text.path or code == "JB2417"]


def test_every_section_is_there_and_no_firewall_is_alone(proved: tuple[str, Loaded, Known]) -> None:
    vendor, loaded, known = proved
    network = known.world.network
    seen = 0
    for site in network.sites.values():
        pair = network.pair(site.key)
        assert len(pair) == 2
        for device in pair:
            lines = loaded[device.name][FILES[vendor]].content.splitlines()
            for begin in SECTIONS[vendor]:
                assert any(line.startswith(begin) for line in lines), (device.name, begin)
            seen += 1
        for device in pair:
            reading = known.readings[device.name].pair
            assert reading and len(reading.virtuals) == 2 * len(site.zones)
    assert seen == 6


def titled(each: Any) -> str:
    return each if isinstance(each, str) else f"{each['code']}-{each['says'][:40]}"


CASES = [(vendor, fault) for vendor in plans.ROWS for fault in FAULTS if vendor in fault["change"]]


@pytest.mark.parametrize(
    ("proved", "fault"),
    CASES,
    ids=titled,
    indirect=["proved"],
)
def test_each_fault_is_found_in_its_file(proved: tuple[str, Loaded, Known], fault: dict[str, Any]) -> None:
    vendor, loaded, known = proved
    find, put = fault["change"][vendor]
    device = f"640000-{fault['device']}"
    text = loaded[device][FILES[vendor]].content
    assert re.search(find, text), find
    content = re.sub(find, put, text, count=0 if fault.get("all") else 1)
    said = altered(loaded, known, device, FILES[vendor], content)
    assert any(each.startswith(fault["code"]) and fault["says"] in each for each in said), said


SPOKEN = re.compile(
    r"(undo )?hrp | vrrp|remote-backup| data-channel| local-ip| remote-ip| device-role| hot-backup| undo conf| adjust-cost| ?track |"
    r" object \d+$|parameter-map| ?redundancy| application|  group|   (name|preempt|priority|control|data|track)|"
    r".*(169[.]254| 112$|link-local)"
)
"""Lines about the pair."""
EQUIVALENT = {"hrp standby config enable": "what a terminal takes, and no packet", "name zones": "a title"}


@pytest.mark.long
def test_no_changed_line_about_the_pair_goes_unseen(proved: tuple[str, Loaded, Known]) -> None:
    """One change of each kind to each kind of line."""
    vendor, loaded, known = proved
    seen: dict[tuple[str, str], mutate.Mutation] = {}
    for mutation in mutate.every(vendor, "640000-fw1", loaded["640000-fw1"][FILES[vendor]].content):
        if SPOKEN.match(mutation.before):
            seen.setdefault((mutation.kind, mutate.shape(mutation.before)), mutation)
    assert len(seen) > 15
    missed = [
        str(each)
        for each in seen.values()
        if changed(vendor, loaded, known, each).good and each.before.strip() not in EQUIVALENT
    ]
    assert not missed


def test_one_that_nobody_configured_is_brought_up(proved: tuple[str, Loaded, Known]) -> None:
    vendor, loaded, _ = proved
    for name in ("fw1", "fw2"):
        text = loaded[f"640000-{name}"][FILES[vendor]].content
        assert len(holds(DIALECTS[vendor], BARE[vendor], text).commands) > 300
        assert not holds(DIALECTS[vendor], text, text).commands


DRIFTS = {
    "vrp": [("hrp track .*\n", ""), ("hrp adjust ospf-cost enable\n", ""), (" vrrp6 .*\n", ""),
            ("(virtual-ip .*) active\n", r"\1 standby\n"), ("remote 169.254.254.2", "remote 169.254.254.9"),
            ("(virtual-ip 10[.]\\d+[.]\\d+[.])\\d+ ", r"\g<1>77 "), ("hrp enable\n", ""), ("fe80::2 link-local", "fe80::7 link-local"),
            ("hrp mirror", "hrp standby-device\nhrp mirror")],
    "comware": [(" track interface .*\n", ""), (" adjust-cost ospf .*\n", ""), (" vrrp ipv6 .*\n", ""),
                ("(virtual-ip .*) active\n", r"\1 standby\n"), ("remote-ip 169.254.254.2", "remote-ip 169.254.254.9"),
                ("(virtual-ip 10[.]\\d+[.]\\d+[.])\\d+ ", r"\g<1>77 "), (" hot-backup enable\n", ""),
                ("fe80::2 link-local", "fe80::7 link-local"), ("device-role primary", "device-role secondary")],
    "iosxe": [(" object 11\n", ""), (" redundancy group 1 ipv6 .*\n", ""), ("   preempt\n", ""), ("redundancy rii 13", "redundancy rii 77"),
              ("decrement 150", "decrement 20"), ("(group 1 ip 10[.]\\d+[.]\\d+[.])\\d+ ", r"\g<1>77 "),
              ("priority 200 failover threshold 100", "priority 90"), ("map type inspect global\n redundancy", "map type inspect global")],
}  # fmt: skip
"""Vendor → what somebody changed by hand, everywhere in the text of the first firewall."""


def test_what_drifted_is_brought_back_and_nothing_else_is_touched(proved: tuple[str, Loaded, Known]) -> None:
    vendor, loaded, _ = proved
    text = loaded["640000-fw1"][FILES[vendor]].content
    for find, put in DRIFTS[vendor]:
        running, count = re.subn(find, put, text)
        assert count, find
        commands = holds(DIALECTS[vendor], running, text).commands
        assert commands and not any("rule name" in each or "ospf cost" in each for each in commands), (find, commands)


def test_a_model_without_a_port_for_the_heartbeat_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    network = plans.network(tmp_path, plans.ROWS["vrp"], firewalls=2, **SCOPE)
    known = models("vrp")
    assert not check(network, lab=False)
    monkeypatch.setitem(known, "usg6655e", msgspec.structs.replace(known["usg6655e"], pair=""))
    found = check(network, lab=False)
    assert {each.code for each in found} == {"JB2122"} and len(found) == 6
    assert "has no port for the heartbeat of a pair" in found[0].what
