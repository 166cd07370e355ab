"""Switches: what hangs on them, their texts read back, made of one another, and held against the plan."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ground.mistake import Mistakes
from inventory import acceptance, document, topology
from inventory import models as models_
from inventory.ends import Dual
from inventory.intent import Administration, Intent, Port, Time
from inventory.models import VENDORS, models
from inventory.proof import Proof, proving, texts
from inventory.proof.decide import World
from inventory.proof.lines import own
from inventory.proof.proving import Known
from inventory.proof.sockets import Switch
from inventory.proof.texts import Text
from inventory.render import write
from inventory.switching import Socket, Switching, Vlan
from ip_plan import intake, lookup, workbook
from ip_plan.compile import compile_plan
from ip_plan.network import Device, Network
from ip_plan.vlans import PARKING, RESERVED
from stacks import program
from stacks.twin import build as build_
from tests.inventory.vendors import plans
from tests.inventory.vendors.test_readers import READERS, WRITERS
from tests.inventory.vendors.test_remedies import DIALECTS, holds

EVERY = pytest.mark.parametrize("vendor", VENDORS)
MANAGEMENT = 140

# --- one intent --------------------------------------------------------------------------------------------------------


@st.composite
def switchings(draw: st.DrawFn) -> Switching:
    """A switch with up to six ports, with an aggregate or without; it is always managed over the same VLAN."""
    free = st.integers(2, 4094).filter(lambda number: number not in (*RESERVED, MANAGEMENT))
    ids = sorted([MANAGEMENT, *draw(st.lists(free, max_size=5, unique=True))])
    some = st.lists(st.sampled_from(ids), min_size=1, unique=True).map(lambda listed: tuple(sorted(listed)))
    ports = []
    for place, number in enumerate(draw(st.lists(st.integers(1, 48), max_size=6, unique=True))):
        kind = draw(st.sampled_from(["port", "trunk"]))
        carried = draw(some)
        ports.append(
            Socket(f"p-x{place}", "port", f"x{place}", carried[:1], number)
            if kind == "port"
            else Socket(f"p-x{place}", "trunk", f"x{place}", carried, number)
        )
    if draw(st.booleans()):
        ports.append(Socket("p-sw2", "aggregate", "640100-sw2", tuple(ids), 0))
    vlans = tuple(Vlan(number, "management" if number == MANAGEMENT else f"zone-{number}") for number in ids)
    return Switching(vlans, PARKING, MANAGEMENT, draw(st.sampled_from([4096, 8192])), tuple(ports))


def text(vendor: str, switching: Switching) -> str:
    """The rendered text of a switch that does this."""
    device = Device("640100-sw1", "640100:centre1", "switch", "sw1.x", (), dialect=vendor, model=plans.SWITCHES[vendor])
    own = Port(
        "z-management", Dual(("10.0.3.11/24",), ("3fff:0:13::b/48",)), Dual(), "10.0.3.1", "3fff:0:13::1", "zone"
    )
    managers = Administration(Dual(("10.0.3.0/24",), ("3fff:0:13::/48",)), Dual())
    intent = Intent(
        device,
        "prefecture",
        "x",
        (own,),
        Dual(),
        Dual(),
        Time(Dual(), Dual()),
        administration=managers,
        switching=switching,
    )
    (file,) = WRITERS[vendor](intent)
    return file.content


def read(vendor: str, given: str) -> Switch:
    found = READERS[vendor](given, "file").switching
    assert found is not None
    return found


@EVERY
@given(switching=switchings())
@settings(max_examples=40, deadline=None)
def test_what_is_read_back_is_the_intent(vendor: str, switching: Switching) -> None:
    model = models(vendor)[plans.SWITCHES[vendor]]
    given = text(vendor, switching)
    found = read(vendor, given)
    assert {number: vlan.name for number, vlan in found.vlans.items()} == {
        **{vlan.id: vlan.name for vlan in switching.vlans}, PARKING: "parking",
    }  # fmt: skip
    assert {number: name for number, (name, _) in found.inner.items()} == {MANAGEMENT: "z-management"}
    assert {found.priorities.get(number, found.priorities.get(0)) for number in switching.carried} == {
        switching.priority
    }
    used = {}
    for port in switching.ports:
        physical = model.aggregate if port.kind == "aggregate" else model.socket(port.number)
        used[physical] = port
        socket = found.sockets[physical]
        wanted = (port.vlans[0], frozenset()) if port.kind == "port" else (0, frozenset(port.vlans))
        assert (socket.name, socket.carries(), socket.shut) == (port.name, wanted, False)
        assert (socket.edge and socket.guarded) == (port.kind != "aggregate")
    members = [socket for socket in found.sockets.values() if socket.group]
    assert len(members) == (2 if switching.aggregate else 0)
    assert all(socket.lacp or found.sockets[socket.group].lacp for socket in members)
    parked = [found.sockets[name] for name in model.sockets() if name not in used and not found.sockets[name].group]
    assert all(socket.shut and socket.carries() == (PARKING, frozenset()) for socket in parked)
    assert len(parked) + len(members) + len(used) - bool(switching.aggregate) == len(model.sockets())
    config = READERS[vendor](given, "file").routing
    assert {(static.prefix, static.target) for static in config.statics} == {
        ("0.0.0.0/0", "10.0.3.1"), ("::/0", "3fff:0:13::1"),
    }  # fmt: skip


@EVERY
@given(before=switchings(), after=switchings())
@settings(max_examples=25, deadline=None)
def test_one_switch_is_made_of_another(vendor: str, before: Switching, after: Switching) -> None:
    commands = holds(DIALECTS[vendor], text(vendor, before), text(vendor, after)).commands
    # A VLAN is made before anything is put into it, and goes after the last use of it.
    made = {number: commands.index(f"vlan {number}") for number in {*after.carried} - {*before.carried}}
    for number, place in made.items():
        uses = [
            i
            for i, line in enumerate(commands)
            if re.search(rf"^ .*vlan (.*\D)?{number}\b", line) and "undo" not in line
        ]
        assert all(place < use for use in uses)


PLAIN = Switching(
    (Vlan(110, "production"), Vlan(MANAGEMENT, "management")), PARKING, MANAGEMENT, 4096,
    (Socket("p-prod1", "port", "x", (110,), 1), Socket("p-fw1", "trunk", "y", (110, MANAGEMENT), 2),
     Socket("p-sw2", "aggregate", "z", (110, MANAGEMENT), 0)),
)  # fmt: skip


def test_of_a_list_only_what_changed_is_touched() -> None:
    """Other tools write a list of VLANs over, and what it carried is down for a moment; or add what they should replace."""
    wide = (Vlan(110, "production"), Vlan(120, "exchange"), Vlan(MANAGEMENT, "management"))
    aggregate = msgspec.structs.replace(PLAIN.ports[2], vlans=(110, 120, MANAGEMENT))
    more = msgspec.structs.replace(PLAIN, vlans=wide, ports=(*PLAIN.ports[:2], aggregate))
    said = {vendor: holds(DIALECTS[vendor], text(vendor, PLAIN), text(vendor, more)).commands for vendor in VENDORS}
    assert [line for line in said["vrp"] if "trunk" in line] == [" port trunk allow-pass vlan 120"]
    assert not [line for lines in said.values() for line in lines if line.strip().startswith(("undo ", "no "))]
    assert " port trunk permit vlan 120" in said["comware"]
    # In one command: what a trunk carries on IOS-XE is one value, and `add` to what is not there would carry everything.
    assert " switchport trunk allowed vlan 110,120,140" in said["iosxe"]


SHOWN = {
    "vrp": [("vlan batch 110 140 999", "vlan batch 110 140\nvlan batch 999"),
            (" port trunk allow-pass vlan 110 140", " port trunk allow-pass vlan 110\n port trunk allow-pass vlan 140")],
    "comware": [(" port trunk permit vlan 110 140", " port trunk permit vlan 140\n port trunk permit vlan 110")],
    "iosxe": [(" switchport trunk allowed vlan 110,140", " switchport trunk allowed vlan 110\n switchport trunk allowed vlan add 140"),
              ("spanning-tree vlan 110,140 priority 4096", "spanning-tree vlan 110 priority 4096\nspanning-tree vlan 140 priority 4096")],
}  # fmt: skip


@EVERY
def test_lists_cut_otherwise_say_the_same(vendor: str) -> None:
    given = other = text(vendor, PLAIN)
    for said, way in SHOWN[vendor]:
        assert said in other
        other = other.replace(said, way)
    assert not holds(DIALECTS[vendor], other, given).commands
    one, two = read(vendor, given), read(vendor, other)
    assert {name: socket.carries() for name, socket in one.sockets.items()} == {
        name: socket.carries() for name, socket in two.sockets.items()
    }
    assert one.priorities == two.priorities and one.vlans.keys() == two.vlans.keys()


OWN = {"vrp": "interface Vlanif140", "comware": "interface Vlan-interface140", "iosxe": "interface Vlan140"}


@EVERY
def test_the_way_to_a_switch_is_not_touched(vendor: str) -> None:
    """Its own interface, and the VLAN of it, which is in use."""
    given = text(vendor, PLAIN)
    for one, way in (("10.0.3.11", "10.0.3.99"), (OWN[vendor] + "\n", OWN[vendor] + "1\n")):
        found = acceptance.remedy(DIALECTS[vendor], "sw1", given.replace(one, way), given, "running")
        assert not found.commands and "JB2107" in {mistake.code for mistake in found.mistakes}, one


UNKNOWN = {
    "vrp": [(" port link-type access", " port hybrid untagged vlan 110"), ("stp bpdu-protection", "stp root-protection"),
            (" eth-trunk 1", " port default vlan 4095"), ("vlan 110", " multicast-vlan enable"), (" mode lacp", " load-balance src-ip")],
    "comware": [(" port access vlan 110", " port hybrid vlan 110 untagged"), (" stp bpdu-protection", " stp region-configuration"),
                (" stp edged-port", " port access vlan 0"), ("vlan 110", " protocol-vlan ipv4"), (" shutdown", " ip address 10.0.0.1 24")],
    "iosxe": [(" switchport mode access", " switchport voice vlan 110"), ("spanning-tree extend system-id", "spanning-tree backbonefast"),
              (" switchport mode trunk", " switchport trunk allowed vlan 5000"), ("vlan 110", " private-vlan isolated"),
              (" shutdown", " ip address 10.0.0.1 255.0.0.0")],
}  # fmt: skip
"""Vendor → (line, what stands behind it and cannot be read)."""


@pytest.mark.parametrize(("vendor", "after", "line"), [(v, *case) for v, cases in UNKNOWN.items() for case in cases])
def test_what_is_not_known_of_a_switch_is_said_with_its_line(vendor: str, after: str, line: str) -> None:
    lines = text(vendor, PLAIN).splitlines()
    place = lines.index(after) + 1
    with pytest.raises(Mistakes) as caught:
        READERS[vendor]("\n".join([*lines[:place], line, *lines[place:]]), "file")
    assert {m.code for m in caught.value.found} == {"JB2401"} and place + 1 in {m.line for m in caught.value.found}


# --- a plan ------------------------------------------------------------------------------------------------------------


Seen = tuple[Network, Path, dict[str, dict[str, Text]], Known, Proof]
AT = {"vrp": "640100", "comware": "640300", "iosxe": "640000"}
"""Vendor → the region whose devices are all his."""
SCOPE = [{"region": code} for code in ("000000", "640000", "640100", "640300", "640121", "640121100", "640323")]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """A part of the pilot with two switches at each centre and one at each office, of three vendors, rendered and proved."""
    place = tmp_path_factory.mktemp("switched")
    rows = [plans.switch("iosxe")]
    for vendor, region in AT.items():
        rows += [{**row, "region": region} for row in (*plans.ROWS[vendor][:2], plans.switch(vendor))]
    rows.append({**plans.switch("vrp"), "region": "640121", "below": True})
    network = plans.network(place, rows, 2, scope=SCOPE, extra_hosts=EXTRA, twin={"running": []})
    write(place / "build", network, lab=False)
    loaded = proving.load(network, place / "build")
    held = Known(World(network))
    return network, place / "build", loaded, held, proving.of(loaded, held)


EXTRA = [{"region": "640121", "zone": "access", "duties": ["terminal"], "reason": "a counter of a county"}]


def test_a_plan_with_switches_is_proved(seen: Seen) -> None:
    network, _, loaded, _, proof = seen
    assert proof.good, (proof.findings[:3], proof.mistakes[:3])
    switches = [device for device in network.devices.values() if device.role == "switch"]
    assert len(switches) == 2 * 4 + 3 and {device.name for device in switches} <= loaded.keys()
    assert {device.dialect for device in switches} == set(VENDORS)
    # A Debian has an interface for each zone, in a port of its own; of what has one for all of them it is a trunk.
    ports = {
        port.name: port.kind for device in switches for port in device.interfaces if device.site == "000000:centre1"
    }
    assert (
        ports.items()
        >= {"p-fw1-exch": "port", "p-fw1-mgmt": "port", "p-sw1": "aggregate", "p-sw2": "aggregate"}.items()
    )
    assert {port.kind for port in network.devices["640100-sw1"].interfaces if port.peer == "640100-fw1"} == {"trunk"}


FAULTS = {
    "vrp": {
        "a host in another zone's VLAN": (" description p-exch1\n port link-type access\n port default vlan 120", "120", "130", "JB2500"),
        "a host's port becomes a trunk": (" description p-exch1\n port link-type access\n port default vlan 120",
                                          "access\n port default vlan 120",
                                          "trunk\n port trunk pvid vlan 120\n port trunk allow-pass vlan 120 110", "JB2501"),
        "the firewall lacks a VLAN": (" description p-fw1\n port link-type trunk\n port trunk pvid vlan 999\n"
                                      " undo port trunk allow-pass vlan 1\n port trunk allow-pass vlan 110 120", " 110", "", "JB2502"),
        "VLAN 1 leaks": (" description p-sw2\n port link-type trunk\n port trunk pvid vlan 999\n undo port trunk allow-pass vlan 1\n",
                         " port trunk pvid vlan 999\n undo port trunk allow-pass vlan 1\n", "", "JB2503"),
        "one more VLAN between the switches": (" description p-sw2\n port link-type trunk\n port trunk pvid vlan 999\n"
                                               " undo port trunk allow-pass vlan 1\n port trunk allow-pass vlan",
                                               "allow-pass vlan\n", "allow-pass vlan 200\n", "JB2502"),
        "a way in from another zone": ("interface Vlanif140\n", "", "interface Vlanif110\n#\n", "JB2504"),
        "an unused port is on": (" shutdown\n", " shutdown\n", "", "JB2505"),
        "an unused port is in a zone": (" shutdown\n port link-type access\n port default vlan 999", "999", "110", "JB2505"),
        "a VLAN is missing": ("vlan 130\n name decision\n", "vlan 130\n name decision\n", "", "JB2506"),
        "another root": ("stp instance 0 priority 4096", "4096", "32768", "JB2507"),
        "a port that another switch may answer on": ("stp bpdu-protection\n", "stp bpdu-protection\n", "", "JB2507"),
        "no LACP": (" mode lacp\n", " mode lacp\n", "", "JB2502"),
        "a host's port is shut": (" description p-exch1\n", "p-exch1\n", "p-exch1\n shutdown\n", "JB2508"),
        "another way out": (" preference 60\n#\n", "", "", "JB2416"),
    },
    "comware": {
        "a host in another zone's VLAN": (" description p-exch1\n port access vlan 120", "120", "130", "JB2500"),
        "a host's port becomes a trunk": (" description p-exch1\n port access vlan 120", " port access vlan 120",
                                          " port link-type trunk\n port trunk pvid vlan 120\n port trunk permit vlan all", "JB2501"),
        "an unused port is on": (" port access vlan 999\n shutdown\n", " shutdown\n", "", "JB2505"),
        "VLAN 1 leaks": (" description p-fw1\n port link-type trunk\n port trunk pvid vlan 999\n undo port trunk permit vlan 1\n",
                         " port trunk pvid vlan 999\n undo port trunk permit vlan 1\n", "", "JB2503"),
        "one port of the aggregate": (" port link-aggregation group 1\n", " port link-aggregation group 1\n", "", "JB2502"),
        "no edge port": (" description p-exch1\n port access vlan 120\n stp edged-port\n", " stp edged-port\n", "", "JB2507"),
    },
    "iosxe": {
        "a host in another zone's VLAN": (" description p-exch1\n switchport access vlan 120", "120", "130", "JB2500"),
        "a host's port agrees with the other end": (" switchport access vlan 120\n switchport mode access\n",
                                                    " switchport mode access\n", "", "JB2500"),
        "a trunk carries everything": (
            " description p-fw1\n switchport trunk native vlan 999\n switchport trunk allowed vlan 110,120,130,140,150,160,170\n",
            " switchport trunk allowed vlan 110,120,130,140,150,160,170\n", "", "JB2501"),
        "the native VLAN leaks": (" description p-sw2\n switchport trunk native vlan 999\n", " switchport trunk native vlan 999\n",
                                  " switchport trunk native vlan 110\n", "JB2503"),
        "Vlan1 is on": ("interface Vlan1\n no ip address\n shutdown\n", " shutdown\n", "", "JB2504"),
        "portfast without its guard": (" spanning-tree bpduguard enable\n", " spanning-tree bpduguard enable\n", "", "JB2507"),
        "an unused port is on": (" switchport nonegotiate\n shutdown\n", " shutdown\n", "", "JB2505"),
    },
}  # fmt: skip
"""Vendor → fault → (where in a switch's text, what there, what instead; the finding). An empty `what` is put in front; nothing
put instead of nothing is the last digit of an address."""


def planted(vendor: str, fault: str, whole: str) -> str:
    where, what, instead, _ = FAULTS[vendor][fault]
    found = re.search(re.escape(where), whole)
    assert found, where
    there = found[0]
    if fault == "another way out":
        return re.sub(r"(route-static 0\S+ \S+ \S+)1( pref)", r"\g<1>9\2", whole)
    if fault == "one more VLAN between the switches":
        return re.sub(re.escape(where), lambda at: at[0] + " 200", whole, count=1)
    made = instead + there if not what else there.replace(what, instead, 1)
    return whole[: found.start()] + made + whole[found.end() :]


@pytest.mark.parametrize(
    ("vendor", "fault"), [(vendor, fault) for vendor, listed in FAULTS.items() for fault in listed]
)
def test_a_planted_fault_is_found(vendor: str, fault: str, seen: Seen) -> None:
    _, _, loaded, held, _ = seen
    where = FAULTS[vendor][fault][0]
    found = {}
    for name in (f"{AT[vendor]}-sw1", f"{AT[vendor]}-sw2"):
        ((target, whole),) = loaded[name].items()
        if where not in whole.content:
            continue
        made = msgspec.structs.replace(whole, content=planted(vendor, fault, whole.content))
        assert made != whole
        proof = proving.of({**loaded, name: {target: made}}, held)
        assert not proof.mistakes, proof.mistakes
        found[name] = {finding.code for finding in proof.findings if finding.subject == name}
    proving.of(loaded, held)
    assert found and all(FAULTS[vendor][fault][3] in codes for codes in found.values()), found


@EVERY
def test_the_other_end_of_a_trunk_has_the_same_vlans(vendor: str, seen: Seen) -> None:
    _, _, loaded, held, _ = seen
    firewall = f"{AT[vendor]}-fw1"
    ((target, whole),) = loaded[firewall].items()
    (tag,) = [line for line in whole.content.splitlines() if re.search(r"dot1[qQ] (vid )?130$", line)]
    made = msgspec.structs.replace(whole, content=whole.content.replace(tag, tag.replace("130", "131")))
    proof = proving.of({**loaded, firewall: {target: made}}, held)
    proving.of(loaded, held)
    assert {finding.code for finding in proof.findings} == {"JB2509"}


# --- the plan's side -----------------------------------------------------------------------------------------------------


def ports_of(network: Network) -> dict[str, tuple[str, int]]:
    """What hangs on a switch → (its switch, its port there)."""
    return {
        f"{item.peer} {item.name}": (device.name, number)
        for device in network.devices.values()
        if device.role == "switch"
        for item, number in zip(device.interfaces, device.numbers, strict=True)
        if item.kind in ("port", "trunk")
    }


def test_nothing_moves_when_a_host_comes_and_when_switches_come(tmp_path: Path) -> None:
    """Addresses are those of the plan without switches; a host more takes a port that is free, and moves no other."""
    city: dict[str, Any] = {
        "scope": [{"region": "000000"}, {"region": "640000"}, {"region": "640100"}],
        "twin": {"running": []},
    }

    def made(switches: int, *extra: str) -> Network:
        hosts = [{"region": "640100", "zone": zone, "duties": ["scratch"], "reason": "test"} for zone in extra]
        row = [plans.switch("vrp")]
        return plans.network(tmp_path, row, switches, extra_hosts=hosts, change_limit=1.0, **city)

    without = made(0, "backup")
    before = made(2, "backup")
    known = {name: device for name, device in before.devices.items() if device.role != "switch"}
    assert known == without.devices and not without.meta.vlans
    assert b"vlan" not in msgspec.json.encode(without.shards) + msgspec.json.encode(without.meta)
    after = made(2, "backup", "management", "production")
    assert ports_of(before).items() < ports_of(after).items()
    own = {name: device.interfaces[0] for name, device in before.devices.items() if device.role == "switch"}
    assert own == {name: after.devices[name].interfaces[0] for name in own}
    # One of a zone's two hosts hangs on each of its switches.
    assert {ports_of(after)[f"640100-bkup{n} p-bkup{n}"][0] for n in (1, 2)} == {"640100-sw1", "640100-sw2"}


def test_switches_are_no_nodes_of_a_twin_and_have_pages_of_their_own(tmp_path: Path, seen: Seen) -> None:
    network, build, _, _, _ = seen
    switched = plans.network(tmp_path, [plans.switch("vrp")], 2)
    lab = build_.lab(switched, "x")
    names = {node.name for node in lab.nodes}
    assert "640100-fw1" in names and not {name for name in names if "-sw" in name}
    assert not {port.node for segment in lab.segments for port in segment.ports} - names
    assert not [each for stack in program.stacks(switched) for each in stack.hosts if each.role == "switch"]
    assert not models_.check(switched, lab=True)
    page = document.device(network, network.devices["640100-sw1"], build / "640100-sw1")
    assert (
        "| p-fw1 | trunk | GigabitEthernet0/0/" in page
        and "/vrpcfg.cfg" in page
        and "640100-sw1" in document.region(network, "640100")
    )
    assert "640100-sw1" in topology.draw(network, network.sites["640100:centre1"])
    (owner, *_) = lookup.find(network, "640100-sw1")
    assert owner.kind == "device" and network.devices["640100-sw1"].interfaces[0].v4 in owner.value


# --- every line --------------------------------------------------------------------------------------------------------

SAME = {
    "vrp": {
        r"vlan batch .*": "each VLAN has a view of its own, which makes it too",
        r" port trunk pvid vlan 999": "what comes untagged is then in VLAN 1, which is not carried either",
    },
    "comware": {
        r" port trunk pvid vlan 999": "what comes untagged is then in VLAN 1, which is not carried either",
        r" port link-mode bridge": "as delivered",
        r" stp global enable": "as delivered",
    },
    "iosxe": {
        r" switchport trunk native vlan 999": "what comes untagged is then in VLAN 1, which is not carried either",
        r" switchport nonegotiate": "the other end is asked for nothing, but a port that says its mode has it without",
        r"spanning-tree extend system-id": "as delivered",
        r"ip routing": "the default route is there, and nothing is routed between VLANs",
        r" no ip (redirects|proxy-arp|address)| ipv6 nd ra suppress all": "neither ports nor VLANs",
    },
}
"""Vendor → lines (regular expressions) of a switch without which it switches the same, and why."""
SWITCHING = {
    "vrp": r"(vlan|stp|interface|ip route-static|ipv6 route-static) ",
    "comware": r"(vlan|interface) | (stp|ip route-static|ipv6 route-static) ",
    "iosxe": r"(vlan|spanning-tree|interface|ip route|ipv6 route|ip routing)\b",
}


@EVERY
def test_every_line_of_a_switch_is_missed(vendor: str, seen: Seen) -> None:
    """One line less, each in turn: the text cannot be read any more, or the proof says what is otherwise."""
    network, _, loaded, held, _ = seen
    device = network.devices[f"{AT[vendor]}-sw1"]
    ((target, whole),) = loaded[device.name].items()
    lines = whole.content.splitlines(keepends=True)
    views: list[list[int]] = []
    for place, line in enumerate(lines):
        if re.match(SWITCHING[vendor], line):
            views.append([])
        if line[0] in "#!":
            views.append([])
        elif views and (views[-1] or re.match(SWITCHING[vendor], line)):
            views[-1].append(place)
    # Ports that nothing hangs on are alike: one of them stands for all.
    parked = [view for view in views if view and any(lines[place] == " shutdown\n" for place in view)]
    todo = [place for view in views if view not in parked[1:-2] for place in view]
    assert len(todo) > 60
    unseen = []
    for place in todo:
        line = lines[place].rstrip()
        text_ = Text(whole.path, "".join([*lines[:place], *lines[place + 1 :]]))
        reading = texts.read(device.name, {target: text_})
        if not reading.mistakes and not own(held.world, device, reading, {}):
            unseen.append(line)
    left = [line for line in unseen if not any(re.fullmatch(same, line) for same in SAME[vendor])]
    assert not left, left
    assert [same for same in SAME[vendor] if not any(re.fullmatch(same, line) for line in unseen)] == []


def test_a_workbook_of_switches_gives_the_same_ledger(tmp_path: Path) -> None:
    """Their addresses stand with those of hosts, their ports with the numbers that routers have for their interfaces."""
    city: dict[str, Any] = {
        "scope": [{"region": "000000"}, {"region": "640000"}, {"region": "640100"}],
        "twin": {"running": []},
    }
    rows = [*plans.ROWS["vrp"][:2], plans.switch("vrp")]

    def ledger(name: str) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted((tmp_path / name / "ledger").glob("*.tsv"))}

    plan = str(plans.folder(tmp_path / "one", rows, 2, extra_hosts=[], **city))
    outcome = compile_plan(plan, tmp_path / "state")
    books = workbook.export(plan, tmp_path / "state", outcome, tmp_path / "out")
    plans.folder(tmp_path / "two", rows, 2, extra_hosts=[], **city)
    intake.take_in(str(tmp_path / "two"), tmp_path / "state2", [book.file for book in books])
    assert ledger("one") == ledger("two") and b"640100-sw2:p-" in ledger("two")["64.tsv"]
