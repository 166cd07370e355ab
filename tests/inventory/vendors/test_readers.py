"""Readers of vendors: what they take from a rendered text is the intent, and whatever they do not know is said with its line."""

from __future__ import annotations

import ipaddress
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ground.mistake import Mistakes
from inventory.dialects import comware, iosxe, vrp
from inventory.ends import Dual
from inventory.filtering import Filter, NamedSet, Peer, Rule
from inventory.intent import Administration, Intent, Port, Time, Tunnel
from inventory.pairing import BEATS, HEARTBEAT, PRIORITIES, Pair, Share
from inventory.proof import comware as comware_reader
from inventory.proof import frr, interval
from inventory.proof import iosxe as iosxe_reader
from inventory.proof import vrp as vrp_reader
from inventory.proof.decide import protocol
from inventory.proof.filters import Packet
from inventory.proof.passing import verdict
from inventory.proof.reading import Reading
from inventory.routing import METRIC, PREFERENCE, Cable, Neighbour, Routing, Static
from ip_plan.network import Device, Suite
from tests.inventory.vendors import plans

WRITERS = {"vrp": vrp.files, "comware": comware.files, "iosxe": iosxe.files}
READERS = {"vrp": vrp_reader.read, "comware": comware_reader.read, "iosxe": iosxe_reader.read}
EVERY = pytest.mark.parametrize("vendor", WRITERS)


def prefixes(family: int, low: int = 8) -> st.SearchStrategy[str]:
    bits = interval.BITS[family]
    space = ipaddress.ip_network("10.0.0.0/8" if family == 4 else "3fff::/20")

    def made(number: int, length: int) -> str:
        whole = int(space.network_address) | number % space.num_addresses
        return str(ipaddress.ip_network((whole, length), strict=False))

    lengths = st.integers(max(low, space.prefixlen), bits)
    return st.builds(made, st.integers(0, 2**bits - 1), lengths)


def duals(most: int = 4, least: int = 1) -> st.SearchStrategy[Dual]:
    def some(family: int) -> st.SearchStrategy[tuple[str, ...]]:
        return st.lists(prefixes(family), min_size=least, max_size=most, unique=True).map(tuple)

    return st.builds(Dual, some(4), some(6))


def host(number: int, family: int) -> str:
    base = int(ipaddress.ip_address("10.255.0.0" if family == 4 else "3fff:f::"))
    return str(ipaddress.ip_address(base + number))


@st.composite
def routings(draw: st.DrawFn) -> Routing:
    """A router's routing with up to four neighbours of every relation."""
    count = draw(st.integers(0, 4))
    neighbours = tuple(
        Neighbour(
            key=f"{draw(st.integers(100000, 999999))}{number}-r1",
            asn=draw(st.integers(4200000000, 4294967294)),
            relation=draw(st.sampled_from(["parent", "child", "inside"])),
            rank=draw(st.sampled_from(["primary", "backup"])),
            address4=host(number * 2 + 1, 4),
            address6=host(number * 2 + 1, 6),
            accept=draw(duals()),
            announce=draw(duals()),
        )
        for number in range(count)
    )
    statics = draw(
        st.lists(st.builds(Static, prefixes(4) | prefixes(6), st.just("blackhole"), st.integers(1, 255)), max_size=4)
    )
    statics += [
        Static(prefix, host(1, 6 if ":" in prefix else 4))
        for prefix in draw(st.lists(prefixes(4) | prefixes(6), max_size=3))
    ]
    return Routing(
        "10.255.9.9", draw(st.integers(4200000000, 4294967294)), "3fff:f::9", True, (Cable("i-fw1", draw(st.integers(1, 65535))),),
        ("lo", "w-0", "w-1"), neighbours, draw(duals(2, 0)), draw(duals(3, 0)), draw(duals()), draw(duals()),
        draw(st.integers(1, 1000)), tuple(statics),
    )  # fmt: skip


PORTS = ("tcp/22", "tcp/5432", "udp/53", "icmp/echo", "proto/ospf")
INTERFACES = (("w-0", "wan"), ("w-1", "wan"), ("i-fw1", "inside"))


@st.composite
def filters(draw: st.DrawFn, zones: bool) -> Filter:
    """Rules over a few sets; `zones`: of a firewall, whose zones talk to each other."""
    named = [
        NamedSet(f"set-{family}-{number}", family, tuple(draw(st.lists(prefixes(family, 1), min_size=1, max_size=3, unique=True))))
        for family in (4, 6)
        for number in range(2)
    ]  # fmt: skip
    rules = []
    for number in range(draw(st.integers(0, 8))):
        chain: Literal["input", "forward"] = draw(st.sampled_from(["input", "forward"])) if zones else "input"
        entry = draw(st.sampled_from(["@lines", "z-a", "z-b"] if zones else ["@lines", "@inside"]))
        exit = draw(st.sampled_from(["@lines", "z-a", "z-b"])) if chain == "forward" else ""
        port = draw(st.sampled_from(PORTS))
        family = 0 if port == "proto/ospf" else draw(st.sampled_from([4, 6]))
        source = target = ""
        if family:
            source, target = (
                f"@{draw(st.sampled_from([s.name for s in named if s.family == family]))}" for _ in range(2)
            )
        rules.append(Rule(f"ROW-{number % 3}", chain, entry, exit, family, source, target, port))
    lines = ("i-fw1",) if zones else ("w-0", "w-1", "i-fw1")
    return Filter(not zones, lines, ("i-fw1",), (), tuple(named), tuple(dict.fromkeys(rules)))


def intent(vendor: str, routing: Routing, filter: Filter, role: Any, suites: tuple[Suite, ...] = ()) -> Intent:
    """The intent of a device with these; its interfaces are those that the strategies speak of. `suites`: of `w-0`, `w-1`."""
    kinds = INTERFACES if role == "router" else (*INTERFACES[2:], ("z-a", "zone"), ("z-b", "zone"))
    device = Device(
        "640100-r1", "640100:centre1", role, "r1.x", (), dialect=vendor, model=plans.ROWS[vendor][0]["model"]
    )
    ports = tuple(
        Port(name, Dual((f"{host(2 * n, 4)}/31",), (f"{host(2 * n, 6)}/127",)), kind=kind, peer="640100-fw1", rank="primary", number=11 + n)
        for n, (name, kind) in enumerate(kinds)
    )  # fmt: skip
    ports = tuple(
        msgspec.structs.replace(port, tunnel=Tunnel(suite, f"u{port.name[1:]}", port.addresses.v4[0], host(2 * n + 1, 4), f"line/a/{n}"))
        if (suite := dict(enumerate(suites)).get(n)) else port
        for n, port in enumerate(ports)
    )  # fmt: skip
    loopback = Dual(("10.255.9.9/32",), ("3fff:f::9/128",))
    return Intent(
        device, "prefecture", "x", ports, loopback, Dual(), Time(Dual(), Dual()), routing, filter,
        administration=Administration(Dual(), Dual()),
    )  # fmt: skip


@st.composite
def paired(draw: st.DrawFn, vendor: str, first: bool) -> Intent:
    """One of two firewalls: some zones with prefixes of any length, and cables to one or two routers."""
    place = 0 if first else 1
    zones = draw(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=4, unique=True))
    cables = [f"i-r{number}" for number in range(1, 1 + draw(st.integers(1, 2)))]
    shares, ports = [], []
    for number, zone in enumerate(zones):
        nets = [
            ipaddress.ip_network((int(ipaddress.ip_address(base)) + (number << (16 if bits == 32 else 80)), length))
            for base, bits, length in (
                ("10.1.0.0", 32, draw(st.integers(16, 29))), ("3fff::", 128, draw(st.integers(48, 64))),
            )
        ]  # fmt: skip
        held = [[f"{net[at]}" for at in (1, 2 + place, 3 - place)] for net in nets]
        own = Dual(*((f"{each[1]}/{net.prefixlen}",) for each, net in zip(held, nets, strict=True)))
        gate4, gate6 = [f"{each[0]}/{net.prefixlen}" for each, net in zip(held, nets, strict=True)]
        links = [f"fe80::{at}" for at in (1, 2 + place, 3 - place)]
        shares.append(
            Share(f"z-{zone}", zone, held[0][1], held[1][1], gate4, gate6, links[1], held[0][2], links[2], links[0])
        )
        ports.append(Port(f"z-{zone}", own, kind="zone", number=20 + number + place, vlan=20 + number))
    for number, name in enumerate(cables):
        ends = Dual((f"{host(2 * number, 4)}/31",), (f"{host(2 * number, 6)}/127",))
        ports.append(Port(name, ends, kind="inside", peer=f"640100-{name[2:]}", rank="primary", number=11 + number))
    names = tuple(port.name for port in ports if port.kind == "zone")
    routing = Routing(
        "10.255.9.9", 0, "3fff:f::9", True, tuple(Cable(name, 10) for name in cables), ("lo", *names),
        zone_cost=0 if first else 20,
    )  # fmt: skip
    peers = tuple(Peer(share.interface, share.peer4, share.peer_link) for share in shares) if vendor != "iosxe" else ()
    filter = Filter(False, tuple(cables), tuple(cables), (), (), (), peers=peers)
    made = intent(vendor, routing, filter, "firewall")
    pair = Pair(PRIORITIES[place], "640100-fw2", tuple(shares), BEATS[place], BEATS[1 - place])
    return msgspec.structs.replace(made, ports=tuple(ports), pair=pair)


@EVERY
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_a_pair_read_back_is_the_intent(vendor: str, data: st.DataObject) -> None:
    first = data.draw(st.booleans())
    made = data.draw(paired(vendor, first))
    reading = said(made)
    found, pair = reading.pair, made.pair
    assert found and pair and found.heartbeat
    beat = found.heartbeat
    assert (beat.interface, beat.own) == (HEARTBEAT, f"{pair.beat}/30") and beat.on and beat.mirrors and not beat.copies
    assert (beat.other, beat.first) == (("", None) if vendor == "iosxe" else (pair.peer_beat, first))
    addresses: dict[tuple[str, int], list[str]] = {(virtual.interface, virtual.group): [] for virtual in found.virtuals}
    for virtual in found.virtuals:
        addresses[virtual.interface, virtual.group] += [text for text, _ in virtual.addresses]
    assert addresses == {(share.interface, 1): [share.gateway4, share.gateway6] for share in pair.shares}
    assert found.together == (frozenset(virtual.name for virtual in found.virtuals),)
    assert set(found.followed) == {port.name for port in made.ports if port.kind == "inside"}
    assert len({virtual.priority for virtual in found.virtuals}) == 1
    if vendor == "iosxe":
        assert found.fixed and not found.spoken and found.virtuals[0].priority == pair.priority
    else:
        assert found.least == {4: 65500, 6: 65500} and (found.virtuals[0].priority > 100) == first
        own = {share.interface: {share.own4, share.link} for share in pair.shares}
        for virtual in found.virtuals:
            assert virtual.source in own[virtual.interface]
    assert HEARTBEAT not in reading.routing.interfaces
    tags = {
        name: each.words[1] for name, item in reading.routing.interfaces.items() if (each := item.find("dot1q"))
    }  # fmt: skip
    assert tags == {port.name: str(port.tag) for port in made.ports if port.kind == "zone"}
    for packet, right in (
        (Packet(4, HEARTBEAT, "", interval.number(pair.peer_beat), interval.number(pair.beat), "udp", 18514), True),
        (Packet(4, HEARTBEAT, "", interval.number(pair.beat) + 7, interval.number(pair.beat), "udp", 18514), False),
    ):
        assert verdict(reading.filter, "input", packet)[0] == right


def said(given: Intent) -> Reading:
    vendor = given.device.dialect
    (file,) = WRITERS[vendor](given)
    return READERS[vendor](file.content, "file")


EMPTY = Filter(True, ("w-0", "w-1", "i-fw1"), ("i-fw1",), (), (), ())


def spelled(prefix: str) -> str:
    return interval.spell(*interval.prefix(prefix))


def listed(config: frr.Config, family: int, name: str) -> set[tuple[str, int, int]]:
    found = config.prefix_lists.get((family, name))
    assert found is None or all(entry.permit for entry in found.entries)
    return {(interval.spell(family, e.base, e.length), e.low, e.high) for e in (found.entries if found else ())}


def wanted(texts: tuple[str, ...], family: int, within: bool) -> set[tuple[str, int, int]]:
    found = set()
    for text in texts:
        length = interval.prefix(text)[2]
        found.add((spelled(text), length, interval.BITS[family] if within else length))
    return found


@EVERY
@given(routing=routings())
@settings(max_examples=30, deadline=None)
def test_routing_read_back_is_the_intent(vendor: str, routing: Routing) -> None:
    config = said(intent(vendor, routing, EMPTY, "router")).routing
    bgp = config.bgp
    assert bgp and (bgp.asn, bgp.router_id, config.hostname) == (routing.asn, routing.router_id, "640100-r1")
    assert {(s.prefix, s.target, s.distance) for s in config.statics} == {
        (spelled(s.prefix), s.via, s.distance) for s in routing.statics
    }
    for family, word, what in ((4, "ip", "ospf"), (6, "ipv6", "ospf6")):
        assert {o.what for o in bgp.networks if o.family == family} == {spelled(p) for p in routing.networks.of(family)}
        assert {a.prefix for a in bgp.aggregates if a.family == family} == {
            spelled(p) for p in routing.aggregates.of(family)
        }
        (given,) = [o for o in bgp.redistributes if o.family == family]
        assert given.what == what
        process = config.ospf[family]
        assert (process.router_id, process.external, set(process.passive)) == (routing.router_id, 205, {"w-0", "w-1"})
        (taken,) = process.redistributes
        assert (taken.what, taken.metric) == ("bgp", routing.metric)
        for policy, prefixes_, name in (
            (given.policy, routing.segments, "SEGMENTS"),
            (taken.policy, routing.outside, "OUTSIDE"),
        ):
            (stanza,) = config.route_maps[policy]
            assert [m.words for m in stanza.matches] == [
                ("match", word, "address", "prefix-list", name)
            ] and stanza.permit
            assert listed(config, family, name) == wanted(prefixes_.of(family), family, False)
        cable = config.interfaces["i-fw1"]
        cost = cable.find(*(("ip", "ospf") if family == 4 else ("ipv6", "ospf6")), "cost")
        assert cost and int(cost.words[3]) == routing.cables[0].cost
    assert len(bgp.neighbours) == 2 * len(routing.neighbours)
    for neighbour in routing.neighbours:
        within = neighbour.relation == "inside"
        for family, word, address in ((4, "ip", neighbour.address4), (6, "ipv6", neighbour.address6)):
            found = bgp.neighbours[address]
            assert (found.remote_as, found.families) == (str(neighbour.asn), frozenset({family}))
            assert found.settings["description"].words[3:] == (neighbour.key,)
            assert ("bfd" in found.settings) != within and ("update-source" in found.settings) == within
            assert ((family, "next-hop-self") in found.options) == within
            for way, name, texts in (("in", "FROM", neighbour.accept), ("out", "TO", neighbour.announce)):
                stanzas = config.route_maps[found.policies[family, way].words[3]]
                last = stanzas[-1]
                assert last.permit and [m.words for m in last.matches] == [
                    ("match", word, "address", "prefix-list", f"{name}-{neighbour.key}")
                ]
                assert listed(config, family, f"{name}-{neighbour.key}") == wanted(texts.of(family), family, within)
                if within:
                    assert last.sets == () and len(stanzas) == (1 if way == "in" else 2)
                    assert way == "in" or not stanzas[0].permit
                else:
                    what = "local-preference" if way == "in" else "metric"
                    value = (PREFERENCE if way == "in" else METRIC)[neighbour.rank]
                    assert len(stanzas) == 1 and [s.words for s in last.sets] == [("set", what, str(value))]


def passes(filter: Filter, hook: str, packet: Packet) -> bool:
    """What the intent says of a new packet between the device's own interfaces."""
    sets = {f"@{each.name}": each.elements for each in filter.sets}
    groups = {"@lines": filter.lines, "@inside": filter.inside}

    def lies(address: int, name: str) -> bool:
        return not name or any(first <= address <= last for first, last in map(interval.interval, sets[name]))

    if hook == "forward" and filter.forwards:
        return True
    if hook == "input" and packet.proto == "icmpv6" and packet.port in (135, 136):
        return True
    return any(
        rule.chain == hook
        and packet.iif in groups.get(rule.entry, (rule.entry,))
        and (not rule.exit or packet.oif in groups.get(rule.exit, (rule.exit,)))
        and rule.family in (0, packet.family)
        and lies(packet.src, rule.source)
        and lies(packet.dst, rule.target)
        and (packet.proto, packet.port) in protocol(rule.port, packet.family)
        for rule in filter.rules
    )


KINDS = [
    ("tcp", 22),
    ("tcp", 5432),
    ("tcp", 9),
    ("udp", 53),
    ("icmp", 8),
    ("icmpv6", 128),
    ("icmpv6", 135),
    ("ospf", 0),
    ("gre", 0),
]


@EVERY
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_the_filter_read_back_does_what_the_intent_says(vendor: str, data: st.DataObject) -> None:
    zones = data.draw(st.booleans())
    filter = data.draw(filters(zones))
    role = "firewall" if zones else "router"
    ruleset = said(intent(vendor, Routing("10.255.9.9", 0, "3fff:f::9", True), filter, role)).filter
    names = ["i-fw1", "z-a", "z-b"] if zones else ["i-fw1", "w-0", "w-1"]
    edges = {4: [0], 6: [0]}
    for each in filter.sets:
        for element in each.elements:
            first, last = interval.interval(element)
            edges[each.family] += [first, last, max(first - 1, 0), min(last + 1, 2 ** interval.BITS[each.family] - 1)]
    for _ in range(20):
        family = data.draw(st.sampled_from([4, 6]))
        hook = data.draw(st.sampled_from(["input", "forward"]))
        kind = data.draw(st.sampled_from(KINDS))
        if kind[0] in ("icmp", "icmpv6") and (kind[0] == "icmp") != (family == 4):
            continue
        src, dst = (data.draw(st.sampled_from(edges[family])) for _ in range(2))
        oif = data.draw(st.sampled_from(names)) if hook == "forward" else ""
        packet = Packet(family, data.draw(st.sampled_from(names)), oif, src, dst, *kind)
        assert verdict(ruleset, hook, packet)[0] == passes(filter, hook, packet), packet


PLAIN = Routing("10.255.9.9", 4200000001, "3fff:f::9", True, (Cable("i-fw1", 10),), ("lo", "w-0", "w-1"))


def text(vendor: str = "vrp") -> str:
    (file,) = WRITERS[vendor](intent(vendor, PLAIN, EMPTY, "router"))
    return file.content


UNKNOWN = {
    "vrp": [
        ("security-policy", " rule name late"),  # no action
        ("security-policy", "nat-policy"),
        ("interface LoopBack0", " nat server global 1.1.1.1"),
        ("interface LoopBack0", " shutdown"),
        ("interface LoopBack0", " ospf 1 area 0.0.0.0"),  # the form of OSPFv3
        ("interface GigabitEthernet0/0/0.11", " vlan-type dot1q 12"),
        ("interface LoopBack0", " traffic-filter inbound acl 3000"),
        ("ospf 1 router-id 10.255.9.9", " filter-policy 2000 import"),
        ("ospf 1 router-id 10.255.9.9", " import-route bgp cost 5"),
        ("ospfv3 1", " preference 10"),
        ("bgp 4200000001", " group x external"),
        ("bgp 4200000001", " ebgp-interface-sensitive off"),
        (" ipv4-family unicast", "  default-route imported"),
        (" ipv4-family unicast", "  import-route ospf 7"),
        ("route-policy FROM-OSPF4 permit node 10", " goto next-node 20"),
        ("snmp-agent", "ip route-static 10.0.0.1 255.0.0.0 NULL0"),  # host bits
        ("snmp-agent", "ip ip-prefix X index 10 permit 10.0.0.0 8 less-equal 33"),
        ("snmp-agent", "hostname 640100-r1"),  # another vendor's
        ("snmp-agent", "!"),
        ("snmp-agent", "policy-based-route"),
        ("#", "   peer 10.0.0.1 enable"),
        ("user-interface vty 0 4", " protocol inbound all"),
    ],
    "comware": [
        ("security-policy ip", " rule name late"),  # no number
        ("security-policy ip", " rule 70000 name late"),
        ("security-policy ip", " default action permit"),
        ("interface LoopBack0", " packet-filter 3000 inbound"),
        ("interface LoopBack0", " shutdown"),
        ("interface LoopBack0", " ospf enable 1 area 0.0.0.0"),  # VRP's form
        ("interface GigabitEthernet1/0/1.11", " vlan-type dot1q vid 12"),
        ("ospf 1 router-id 10.255.9.9", " filter-policy 2000 import"),
        ("ospf 1 router-id 10.255.9.9", " import-route bgp cost 5"),
        ("ospf 1 router-id 10.255.9.9", " import-route bgp4+ allow-ibgp"),  # of the other family
        ("ospfv3 1", " preference 10"),
        ("bgp 4200000001", " group x external"),
        (" address-family ipv4 unicast", "  default-route imported"),
        (" address-family ipv4 unicast", "  import-route ospf 7"),
        ("route-policy FROM-OSPF4 permit node 10", " continue 20"),
        (" snmp-agent", " ip route-static 10.0.0.1 8 NULL0"),  # host bits
        (" snmp-agent", " ip prefix-list X index 10 permit 10.0.0.0 8 less-equal 33"),
        (" snmp-agent", " ip prefix-list X index 65536 permit 10.0.0.0 8"),
        (" snmp-agent", " ip ip-prefix X index 10 permit 10.0.0.0 8"),  # another vendor's
        (" snmp-agent", " zone-pair security source Trust destination Local"),
        ("security-zone name wan", " import interface GigabitEthernet1/0/0"),  # in another zone already
        ("line vty 0 63", " protocol inbound all"),
    ],
    "iosxe": [
        ("interface Loopback0", " ip nat inside"),
        ("interface Loopback0", " shutdown"),
        ("interface Loopback0", " ip access-group X in"),
        ("interface Loopback0", " zone-member security nowhere"),
        ("interface GigabitEthernet0/0/0.11", " encapsulation dot1Q 12"),
        ("router ospf 1", " distribute-list X in"),
        ("router ospf 1", " redistribute bgp 65000"),  # another AS
        ("router ospf 1", " distance 90"),
        ("router bgp 4200000001", " neighbor 10.0.0.1 peer-group"),
        ("router bgp 4200000001", " distance bgp 200 20 20"),
        (" address-family ipv4", "  default-information originate"),
        (" address-family ipv4", "  redistribute ospf 7"),
        ("route-map FROM-OSPF4 permit 10", " continue 20"),
        ("no ip http server", "ip route 10.0.0.1 255.0.0.0 Null0"),  # host bits
        ("no ip http server", "ip prefix-list X seq 10 permit 10.0.0.0/8 le 33"),
        ("no ip http server", "sysname 640100-r1"),  # another vendor's
        ("no ip http server", "control-plane"),
        ("no ip http server", "zone-pair security x source wan destination nowhere"),
        ("no ip http server", "zone-pair security x source wan destination self"),  # a second one
        ("ip access-list standard managers", " 10 permit 10.0.0.1 255.0.0.0"),  # a mask, not a wildcard
        ("policy-map type inspect wan_self", " class type inspect X"),
        ("line vty 0 15", " transport input all"),
    ],
}  # fmt: skip
"""Vendor → (line, what stands behind it and cannot be read)."""


@pytest.mark.parametrize(("vendor", "after", "line"), [(v, *case) for v, cases in UNKNOWN.items() for case in cases])
def test_what_is_not_known_is_said_with_its_line(vendor: str, after: str, line: str) -> None:
    lines = text(vendor).splitlines()
    place = lines.index(after) + 1
    with pytest.raises(Mistakes) as caught:
        READERS[vendor]("\n".join([*lines[:place], line, *lines[place:]]), "file")
    assert {(m.file, m.code) for m in caught.value.found} == {("file", "JB2401")}
    assert place + 1 in {m.line for m in caught.value.found}


SIGNS = {"vrp": "#\n", "comware": "#\n", "iosxe": "!\n"}


@EVERY
def test_every_line_that_is_not_known_is_said_at_once(vendor: str) -> None:
    # A sign inside a view ends none.
    given = text(vendor).replace(f"\n{SIGNS[vendor]}", f"\n{SIGNS[vendor]}mystery\n")
    with pytest.raises(Mistakes) as caught:
        READERS[vendor](given, "file")
    assert len(caught.value.found) == given.count("\nmystery\n")


@EVERY
def test_line_ends_of_windows_change_nothing(vendor: str) -> None:
    plain = READERS[vendor](text(vendor), "file")
    assert READERS[vendor](text(vendor).replace("\n", "\r\n"), "file") == plain


@EVERY
@pytest.mark.parametrize("share", [0.2, 0.5, 0.8, 0.95, 0.999])
def test_a_text_cut_off_is_never_taken_for_a_whole_one(vendor: str, share: float) -> None:
    whole = text(vendor)
    with pytest.raises(Mistakes, match="cut off"):
        READERS[vendor](whole[: int(len(whole) * share)], "file")
