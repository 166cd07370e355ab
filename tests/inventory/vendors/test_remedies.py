"""Remediation of vendors' devices: from one random intent to another, edits by hand, and the failures that other tools are known for."""

from __future__ import annotations

import random
import re
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inventory import acceptance, console
from inventory.acceptance import Remedy
from inventory.dialect import Dialect
from inventory.dialects.comware.running import DIALECT as COMWARE
from inventory.dialects.iosxe.running import DIALECT as IOSXE
from inventory.dialects.vrp.running import DIALECT as VRP
from inventory.render import render
from inventory.routing import Routing
from tests.inventory.vendors import plans
from tests.inventory.vendors.test_readers import EVERY, WRITERS, filters, intent, paired, routings

DIALECTS = {"vrp": VRP, "comware": COMWARE, "iosxe": IOSXE}
BARE = {
    "vrp": "#\nsysname x\n#\ninterface MEth0/0/0\n ip binding vpn-instance default\n ip address dhcp-alloc\n#\nreturn\n",
    "comware": "#\n sysname x\n#\ninterface GigabitEthernet1/0/0\n ip binding vpn-instance management\n ip address dhcp-alloc\n#\n"
    "return\n",
    "iosxe": "!\nhostname x\n!\nvrf definition Mgmt-intf\n!\ninterface GigabitEthernet0\n vrf forwarding Mgmt-intf\n ip address dhcp\n"
    "!\nend\n",
}
"""What a device runs that nobody configured, but for the way to it."""


def holds(dialect: Dialect, running: str, rendered: str) -> Remedy:
    """Commands lead there and back on the simulated device; nothing is left over."""
    found = acceptance.remedy(dialect, "r1", running, rendered, "running")
    assert found.mistakes == () and found.kept == ()
    before, goal = dialect.read(running), dialect.read(rendered)
    assert dialect.apply(before, found.commands).same(goal)
    assert dialect.apply(goal, found.rollback).same(before)
    return found


@pytest.fixture(scope="module", params=DIALECTS)
def rendered(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, str]]:
    """Vendor, and device → text: a pair's router, a firewall and an office."""
    vendor = str(request.param)
    network = plans.network(tmp_path_factory.mktemp(vendor), plans.ROWS[vendor])
    wanted = ("640000-r1", "640000-fw1", "640121-r1")
    return vendor, {
        each.tree.device: next(iter(each.contents.values())).decode()
        for each in render(network, devices=wanted, lab=False)
    }


def test_a_device_that_nobody_configured_is_brought_up(rendered: tuple[str, dict[str, str]]) -> None:
    """A line of a template of which the rules say nothing would leave its device without commands."""
    vendor, texts = rendered
    assert len(texts) == 3
    for text in texts.values():
        assert len(holds(DIALECTS[vendor], BARE[vendor], text).commands) > 300
        assert not holds(DIALECTS[vendor], text, text).commands


def test_a_router_with_another_id_keeps_what_is_in_its_processes(rendered: tuple[str, dict[str, str]]) -> None:
    vendor, texts = rendered
    changed = {
        text: re.sub(r"(router-id) \S+", r"\1 192.0.2.1", text) for text in texts.values() if "router-id" in text
    }
    assert any(re.search(r"^(router )?ospf 1", text, re.M) for text in changed)
    for text, other in changed.items():
        assert other != text
        assert len(holds(DIALECTS[vendor], text, other).commands) < 20


def runnable(routing: Routing) -> Routing:
    """The same as a device can run it: of two routes to one prefix over one next hop it has one."""
    statics = {(static.prefix, static.via): static for static in routing.statics}
    return msgspec.structs.replace(routing, statics=tuple(statics.values()))


@EVERY
@given(data=st.data())
@settings(max_examples=10, deadline=None)
def test_one_random_intent_is_made_of_another(vendor: str, data: st.DataObject) -> None:
    texts = []
    for _ in range(2):
        made = intent(vendor, runnable(data.draw(routings())), data.draw(filters(False)), "router")
        texts.append(WRITERS[vendor](made)[0].content)
    holds(DIALECTS[vendor], *texts)


@EVERY
@given(data=st.data())
@settings(max_examples=10, deadline=None)
def test_one_random_firewall_of_a_pair_is_made_of_another(vendor: str, data: st.DataObject) -> None:
    """Other zones, other prefixes, another place in the pair, or none."""
    texts = []
    for _ in range(2):
        made = data.draw(paired(vendor, data.draw(st.booleans())))
        if data.draw(st.booleans()):
            assert made.filter
            made = msgspec.structs.replace(made, pair=None, filter=msgspec.structs.replace(made.filter, peers=()))
        texts.append(WRITERS[vendor](made)[0].content)
    holds(DIALECTS[vendor], *texts)


LOOSE = {
    "vrp": r" address \d| ?ip (ip|ipv6)-prefix | +(ospf|ospfv3) (cost|timer)|  (source|destination)-address |"
    r" +peer \S+ (description|route-policy|enable)|ip route-static|ipv6 route-static|  service protocol|dns |ntp-|info-center log| apply",
    "comware": r" \d+ network| (ip|ipv6) prefix-list | +(ospf|ospfv3) (cost|timer)|  (source|destination)-ip|"
    r" +peer \S+ (description|route-policy|enable)| (ip|ipv6) route-static|  service-port| dns | ntp-service (u|i)| info-center log| apply",
    "iosxe": r" (sequence )?\d+ permit|(ip|ipv6) prefix-list | (ip|ipv6) ospf (cost|hello|dead)|"
    r" +neighbor \S+ (description|route-map|activate)|(ip|ipv6) route |ip name-server|ntp server|logging host| set ",
}
"""Vendor → beginnings of lines on which no other line depends."""


@pytest.mark.parametrize("seed", range(2))
def test_many_lines_at_once_are_brought_back(rendered: tuple[str, dict[str, str]], seed: int) -> None:
    vendor, texts = rendered
    chance = random.Random(seed)
    for text in texts.values():
        lines = text.splitlines(keepends=True)
        running = "".join(line for line in lines if not re.match(LOOSE[vendor], line) or chance.random() < 0.7)
        lost = len(lines) - running.count("\n")
        commands = holds(DIALECTS[vendor], running, text).commands
        assert lost > 10
        # What is lost comes back, each line once; nothing else is touched.
        assert not [line for line in commands if line.strip().startswith(("undo ", "no "))]


def stages(vendor: str, text: str, first: str, second: str) -> list[str]:
    """A device's text while `first` (address and mask) gives way to `second`: before, both, the other way round, after."""
    behind = " secondary" if vendor == "iosxe" else " sub"
    old, new = f" ip address {first}\n", f" ip address {second}\n"
    assert text.count(old) == 1
    beside = (f"{old}{new[:-1]}{behind}\n", f"{new}{old[:-1]}{behind}\n", new)
    return [text, *(text.replace(old, way) for way in beside)]


def test_a_second_address_comes_takes_over_and_goes(rendered: tuple[str, dict[str, str]]) -> None:
    """As a renumbering goes, and back. No address is both: what takes over stands alone before."""
    vendor, texts = rendered
    (first,) = re.findall(r" description z-.*\n(?: .*\n)*? ip address (\S+ \S+)\n", texts["640121-r1"])[:1]
    steps = stages(vendor, texts["640121-r1"], first, "10.77.0.1 255.255.255.224")
    for before, after in pairwise(steps):
        holds(DIALECTS[vendor], before, after)
        holds(DIALECTS[vendor], after, before)
    dialect = DIALECTS[vendor]
    opening = re.search(rf"(?m)^(interface .*)\n(?: .*\n)*? ip address {first}\n", texts["640121-r1"])
    assert opening
    for again in (first, f"{first} {'secondary' if vendor == 'iosxe' else 'sub'}"):
        running = dialect.read(steps[2] if again == first else steps[0])
        with pytest.raises(console.Refusal, match="uses it"):
            dialect.apply(running, [opening[1], f"ip address {again}"])


SETS = {
    "vrp": ("ip address-set S type object\n", " address {0} 10.{0}.0.0 mask 16\n", " undo address {0}", "sysname r1\n#\n{0}#\nreturn\n"),
    "comware": ("object-group ip address S\n", " {0} network subnet 10.{0}.0.0 255.255.0.0\n", " undo {0}",
                "#\n sysname r1\n#\n{0}#\nreturn\n"),
    "iosxe": ("ip access-list extended S\n", " {0} permit ip 10.{0}.0.0 0.0.255.255 any\n", " no {0}", "hostname r1\n!\n{0}!\nend\n"),
}  # fmt: skip


@EVERY
def test_of_a_set_only_what_changed_is_touched(vendor: str) -> None:
    """Other tools take the whole set away first: whatever it lets through is down for a moment."""
    opening, member, removal, frame = SETS[vendor]
    texts = [frame.format(opening + "".join(member.format(n) for n in numbers)) for numbers in ((1, 2, 3), (2, 3, 4))]
    found = holds(DIALECTS[vendor], *texts)
    leave = "exit" if vendor == "iosxe" else "quit"
    assert found.commands == (opening.strip(), member.format(4).rstrip("\n"), removal.format(1), leave)


PEERS = {
    "vrp": (" peer 10.0.0.1 as-number 65002\n peer 10.0.0.1 description x\n peer 10.0.0.1 bfd enable\n", " undo peer 10.0.0.1",
            "sysname r1\n#\nbfd\n#\nbgp 65001\n undo default ipv4-unicast\n{0}#\nreturn\n"),
    "comware": (" peer 10.0.0.1 as-number 65002\n peer 10.0.0.1 description x\n peer 10.0.0.1 bfd\n", " undo peer 10.0.0.1",
                "#\n sysname r1\n#\nbgp 65001\n router-id 10.0.0.9\n{0}#\nreturn\n"),
    "iosxe": (" neighbor 10.0.0.1 remote-as 65002\n neighbor 10.0.0.1 description x\n neighbor 10.0.0.1 fall-over bfd\n",
              " no neighbor 10.0.0.1", "hostname r1\n!\nrouter bgp 65001\n no bgp default ipv4-unicast\n{0}!\nend\n"),
}  # fmt: skip


@EVERY
def test_a_peer_goes_in_one_command(vendor: str) -> None:
    """Other tools take it away attribute by attribute, its AS first: the rest then speaks of a peer that is gone."""
    peer, removal, frame = PEERS[vendor]
    found = holds(DIALECTS[vendor], frame.format(peer), frame.format(""))
    assert len(found.commands) == 3 and found.commands[1] == removal


USED = {
    "vrp": ("ip address-set S type object\n address 1 10.0.0.0 mask 8\n#\nsecurity-policy\n rule name X\n  source-address address-set S\n"
            "  action permit\n#\n", "sysname r1\n#\n{0}return\n", ["undo ip address-set S"]),
    "comware": ("object-group ip address S\n 1 network subnet 10.0.0.0 255.0.0.0\n#\nsecurity-policy ip\n rule 1 name X\n  action pass\n"
                "  source-ip S\n#\n", "#\n sysname r1\n#\n{0}return\n", ["undo object-group ip address S"]),
    "iosxe": ("ip access-list extended S\n 1 permit ip any any\n!\nclass-map type inspect match-any C\n match access-group name S\n!\n"
              "policy-map type inspect P\n class type inspect C\n  inspect\n!\n", "hostname r1\n!\n{0}end\n",
              ["no ip access-list extended S"]),
}  # fmt: skip


@EVERY
def test_what_is_used_is_there_first_and_goes_last(vendor: str) -> None:
    """Other tools bind a list before it exists, or take it away while something is bound to it."""
    text, frame, removal = USED[vendor]
    whole, empty = frame.format(text), frame.format("")
    there = holds(DIALECTS[vendor], empty, whole).commands
    opening = text.split("\n", 1)[0]
    assert there[0] == opening
    back = holds(DIALECTS[vendor], whole, empty).commands
    assert back[-1] == removal[0]
    with pytest.raises(console.Refusal, match="uses it"):
        DIALECTS[vendor].apply(DIALECTS[vendor].read(whole), removal)


WAYS = {
    "vrp": ("\n ip binding vpn-instance default", ""), "comware": ("\n ip binding vpn-instance management", ""),
    "iosxe": ("\n ip address dhcp", "\n ip address 192.0.2.1 255.255.255.0"),
}  # fmt: skip


@EVERY
def test_the_way_to_the_device_is_not_touched(vendor: str) -> None:
    found = acceptance.remedy(DIALECTS[vendor], "r1", BARE[vendor].replace(*WAYS[vendor]), BARE[vendor], "running")
    assert not found.commands and {one.code for one in found.mistakes} == {"JB2107"}


@EVERY
def test_what_no_rule_knows_stays_and_is_told(vendor: str) -> None:
    end = "end\n" if vendor == "iosxe" else "return\n"
    sign = "!" if vendor == "iosxe" else "#"
    running = BARE[vendor].removesuffix(end) + f"mystery machine\n inner line\n{sign}\n" + end
    found = acceptance.remedy(DIALECTS[vendor], "r1", running, BARE[vendor], "running")
    assert (
        [one.line for one in found.kept] == ["mystery machine", "inner line"]
        and not found.mistakes
        and not found.commands
    )


BAD = {
    "empty": ("", "JB2100"), "crlf": ("{0}", "JB2101"), "cut": ("{0}", "JB2103"),
    "other": ("frr version 8.4.4\nhostname-x\nend\n", "JB2102"),
}  # fmt: skip


@EVERY
@pytest.mark.parametrize("kind", BAD)
def test_bad_running_configuration(vendor: str, kind: str) -> None:
    text = BAD[kind][0].format(BARE[vendor])
    text = text.replace("\n", "\r\n") if kind == "crlf" else text[: len(text) // 2] if kind == "cut" else text
    found = acceptance.remedy(DIALECTS[vendor], "r1", text, BARE[vendor], "running")
    assert [one.code for one in found.mistakes] == [BAD[kind][1]] and not found.commands


def test_a_copy_of_one_vendor_is_not_taken_for_another() -> None:
    for vendor, dialect in DIALECTS.items():
        for other, text in BARE.items():
            found = acceptance.remedy(dialect, "r1", text, BARE[vendor], "running")
            assert vendor == other or [one.code for one in found.mistakes] == ["JB2102"], (vendor, other)


def test_every_dialect_of_a_vendor_has_its_rules(tmp_path: Path) -> None:
    from inventory.models import VENDORS
    from inventory.running import DIALECTS as all_

    assert set(VENDORS) == set(DIALECTS) <= {one.name for one in all_}
