"""Reader of an IOS-XE configuration, after Cisco's command references: the routes a device takes and gives, and what it lets through.

It gives what the readers of FRR and nftables give, under the logical names that the interfaces are described by. Lines that change
neither routes nor packets are known and passed over; a line that is not known is a mistake with its place.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from functools import partial

import msgspec

from inventory.proof import frr, interval, nftables, zoned
from inventory.proof.blocks import Block, Unknown, each, parse, refuse
from inventory.proof.frr import Setting
from inventory.proof.nftables import Match
from inventory.proof.reading import Reading
from inventory.proof.words import area_number, canonical, leads, mask_length, paired, spelled

READER = "inventory/proof/iosxe.py"
APART = "GigabitEthernet0"
"""The management port: another plane forwards for it, which the firewall does not see."""
PORTS = {
    "bgp": 179, "cmd": 514, "domain": 53, "ntp": 123, "snmp": 161, "snmptrap": 162, "syslog": 514, "telnet": 23, "www": 80,
    "bootps": 67, "bootpc": 68, "tacacs": 49, "isakmp": 500, "ftp": 21, "smtp": 25,
}  # fmt: skip
"""Ports that entries name."""
TYPES = {
    4: {"echo": 8, "echo-reply": 0, "unreachable": 3, "time-exceeded": 11},
    6: {"echo-request": 128, "echo-reply": 129, "nd-ns": 135, "nd-na": 136, "router-solicitation": 133,
        "router-advertisement": 134, "packet-too-big": 2, "time-exceeded": 3, "unreachable": 1},
}  # fmt: skip
CONNECTIONS = ("tcp", "udp", "icmp", "icmpv6")
"""What `inspect` keeps the state of."""
NEIGHBOURS = range(133, 138)
"""Types of ICMPv6 that open nothing (RFC 4861 4)."""
OSPF4, OSPF6 = ("ip", "ospf"), ("ipv6", "ospf6")
_PLAIN = re.compile(
    r"^(version|service|aaa (new-model|authentication|authorization|accounting|session-id)|enable secret|username|clock|boot|"
    r"ip domain|ip name-server|ntp server|logging|snmp-server (group|view|user|host)|no ip http|ip ssh|no service|"
    r"ip cef|ipv6 cef|no ip (domain|source-route|bootp)|subscriber|platform|license|redundancy|spanning-tree|end)\b"
)
_PLAIN_VIEWS = re.compile(r"^(vrf definition \S+|parser view \S+|line (con|vty|aux) [\d ]+|banner|redundancy)$")
_PLAIN_BELOW = re.compile(
    r"^(secret|commands|address-family|exit-address-family|exec-timeout|access-class|ipv6 access-class|login authentication|"
    r"transport (input ssh|output)|rd|stopbits|logging synchronous)\b"
)


def read(source: str, file: str) -> Reading:
    """The configuration in `source`. Raises Mistakes: JB2401, every line that cannot be read."""
    top, faults = parse(source, "!")
    reader = _Reader(file, faults)
    each(top, reader.first, faults)
    each(top, reader.second, faults)
    end = source.count("\n") + 1
    if not top or top[-1].words != ("end",):
        faults.append(Unknown(end, "the text does not end with `end`: it is cut off"))
    config = ruleset = None
    try:
        config, ruleset = reader.config(end), reader.ruleset(end)
    except Unknown as error:
        faults.append(error)
    refuse(faults, file, READER)
    assert config and ruleset
    return Reading(config, ruleset)


class _Port(msgspec.Struct):
    """An interface as it is configured."""

    name: str
    """Its description: the logical name."""
    line: int
    settings: list[Setting]
    instance: str = ""
    zone: str = ""
    timers: tuple[Setting, ...] = ()
    networks: list[str] = []


class _Peer(msgspec.Struct):
    line: int
    asn: str
    settings: dict[str, Setting]
    policies: dict[tuple[int, str], Setting]
    options: dict[tuple[int, str], Setting]
    families: set[int]
    bfd: int = 0


class _Entry(msgspec.Struct, frozen=True):
    """One entry of an access list."""

    number: int
    line: int
    permit: bool
    source: str
    target: str
    service: tuple[Match, ...]
    protocol: str


class _Class(msgspec.Struct, frozen=True):
    line: int
    all: bool
    comment: str
    lists: tuple[tuple[str, int], ...]
    protocols: tuple[str, ...]


class _Pair(msgspec.Struct, frozen=True):
    line: int
    source: str
    target: str
    policy: str


class _Reader:
    """The draft of a device. `first` reads what others refer to (interfaces, zones, processes), `second` the rest."""

    def __init__(self, file: str, faults: list[Unknown]) -> None:
        self.file, self.faults = file, faults
        self.hostname = ""
        self.settings: list[Setting] = [Setting(("ip", "forwarding"), 1)]  # IOS-XE routes IPv4 unless told not to
        self.ports: dict[str, _Port] = {}
        self.zones: dict[str, int] = {}
        self.processes: dict[int, tuple[str, frr.Ospf]] = {}
        self.access: dict[tuple[int, str], list[_Entry]] = {}
        self.classes: dict[str, _Class] = {}
        self.policies: dict[str, list[tuple[str, str, int]]] = {}
        self.pairs: list[_Pair] = []
        self.lists: dict[tuple[int, str], list[frr.PrefixEntry]] = {}
        self.maps: dict[str, list[frr.Stanza]] = {}
        self.statics: list[frr.Static] = []
        self.profiles: dict[str, tuple[Setting, ...]] = {}
        self.bgp: Block | None = None
        self.router_id = ""
        self.peers: dict[str, _Peer] = {}
        self.networks: list[frr.Origin] = []
        self.redistributes: list[frr.Origin] = []
        self.aggregates: list[frr.Aggregate] = []
        self.default4 = True
        self.internal: set[int] = set()
        """Families in which routes of iBGP may be handed on."""

    # What others refer to

    def first(self, block: Block) -> None:
        match block.words:
            case ("hostname", name):
                self.hostname = name
                self.settings.append(Setting(("hostname", name), block.line))
            case ("ipv6", "unicast-routing"):
                self.settings.append(Setting(("ipv6", "forwarding"), block.line))
            case ("no", "ip", "routing"):
                self.settings.append(Setting(("no", "ip", "forwarding"), block.line))
            case ("interface", name):
                self._interface(name, block)
            case ("zone", "security", name):
                self.zones[name] = block.line
            case ("router", "ospf", process):
                self._process(4, process, block)
            case ("ipv6", "router", "ospf", process):
                self._process(6, process, block)
            case ("ip", "access-list", "standard" | "extended" as kind, name):
                self._access(4, name, kind == "extended", block)
            case ("ipv6", "access-list", name):
                self._access(6, name, True, block)
            case ("class-map", "type", "inspect", "match-all" | "match-any" as kind, name):
                self._class(name, kind == "match-all", block)
            case ("policy-map", "type", "inspect", name):
                self._policy(name, block)

    def _process(self, family: int, process: str, block: Block) -> None:
        if family in self.processes:
            raise Unknown(block.line, "a second process: only one is computed")
        routers = [below.words[1] for below in block.below if below.words[:1] == ("router-id",)]
        draft = frr.Ospf(family, block.line, routers[0] if routers else "", (), {}, {}, (), None, {}, external=110)
        self.processes[family] = (process, draft)

    def _interface(self, physical: str, block: Block) -> None:
        described = [below.words[1:] for below in block.below if below.words[0] == "description"]
        name = " ".join(described[0]) if described else physical
        if name in {port.name for port in self.ports.values()}:
            raise Unknown(block.line, f"a second interface is described as {name}")
        port = self.ports[physical] = _Port(name, block.line, [], networks=[])
        said = {below.words for below in block.below}
        if "." in physical and not any(words[:2] == ("encapsulation", "dot1Q") for words in said):
            raise Unknown(block.line, f"subinterface {physical} has no VLAN: nothing passes it")

        def take(below: Block) -> None:
            match below.words:
                case ("description", *_) | ("no", "shutdown") | ("negotiation", "auto") | ("no", "ip", "address"):
                    pass
                case ("no", "ip", "redirects" | "unreachables" | "proxy-arp") | ("ipv6", "nd", "ra", "suppress", *_):
                    pass
                case ("ipv6", "enable") | ("load-interval", _) | ("cdp", "enable") | ("no", "cdp", "enable"):
                    pass
                case ("encapsulation", "dot1Q", vlan):
                    if physical.rpartition(".")[2] != vlan:
                        raise Unknown(below.line, f"{physical} has VLAN {vlan}")
                case ("ip", "address", "dhcp"):
                    pass
                case ("ip", "address", address, mask, *rest) if rest in ([], ["secondary"]):
                    text = f"{address}/{mask_length(mask)}"
                    port.settings.append(Setting(("ip", "address", text), below.line))
                    port.networks.append(text)
                case ("ipv6", "address", address):
                    port.settings.append(Setting(("ipv6", "address", address.lower()), below.line))
                    port.networks.append(address.lower())
                case ("vrf", "forwarding", instance):
                    port.instance = instance
                case ("zone-member", "security", zone):
                    port.zone = zone
                case ("bfd", "interval", sent, "min_rx", taken, "multiplier", count):
                    values = (("transmit-interval", sent), ("receive-interval", taken), ("detect-multiplier", count))
                    port.timers = tuple(Setting((what, str(int(value))), below.line) for what, value in values)
                case ("ip" | "ipv6", "ospf", *_):
                    pass  # when the processes are known
                case _:
                    raise Unknown(below.line, " ".join(below.words))

        each(block.below, take, self.faults)

    def _access(self, family: int, name: str, extended: bool, block: Block) -> None:
        entries = self.access[family, name] = []

        def take(below: Block) -> None:
            words = list(below.words)
            number = 10 * (len(entries) + 1)
            if words[0] == "sequence":
                words = words[1:]
            if words[0].isdigit():
                number, words = int(words[0]), words[1:]
            if words[0] == "remark":
                return
            if words[0] not in ("permit", "deny"):
                raise Unknown(below.line, " ".join(below.words))
            if any(entry.number == number for entry in entries):
                raise Unknown(below.line, f"entry {number} stands twice")
            permit, rest = words[0] == "permit", words[1:]
            if not extended:
                if len(rest) == 1 and rest[0] != "any":
                    rest = ["host", rest[0]]
                source, rest = _side(rest, family, below.line)
                if rest:
                    raise Unknown(below.line, " ".join(below.words))
                entries.append(_Entry(number, below.line, permit, source, "", (), ""))
                return
            protocol = {"ip": "", "ipv6": "", "ospf": "ospf"}.get(rest[0], zoned.NUMBERS.get(rest[0], rest[0]))
            if family == 6 and protocol == "icmp":
                protocol = "icmpv6"
            source, rest = _side(rest[1:], family, below.line)
            target, rest = _side(rest, family, below.line)
            service = _service(protocol, rest, family, below.line)
            entries.append(_Entry(number, below.line, permit, source, target, service, protocol))

        each(block.below, take, self.faults)

    def _class(self, name: str, whole: bool, block: Block) -> None:
        lists, protocols, comment = [], [], ""
        for below in block.below:
            match below.words:
                case ("description", *words):
                    comment = " ".join(words)
                case ("match", "access-group", "name", listed):
                    lists.append((listed, below.line))
                case ("match", "protocol", "tcp" | "udp" | "icmp" as protocol):
                    protocols.append(protocol)
                case _:
                    raise Unknown(below.line, " ".join(below.words))
        if protocols and (whole or lists):
            raise Unknown(block.line, f"class {name} asks for protocols and for lists")
        self.classes[name] = _Class(block.line, whole, comment, tuple(lists), tuple(protocols))

    def _policy(self, name: str, block: Block) -> None:
        actions = self.policies[name] = []
        for below in block.below:
            match below.words:
                case ("class", "type", "inspect", title) | ("class", "class-default" as title):
                    said = [" ".join(inner.words) for inner in below.below]
                    if len(said) != 1 or said[0] not in ("inspect", "pass", "drop", "drop log"):
                        raise Unknown(below.line, f"class {title} does {', '.join(said) or 'nothing'}")
                    actions.append((title, said[0].split()[0], below.line))
                case ("description", *_):
                    pass
                case _:
                    raise Unknown(below.line, " ".join(below.words))

    # The rest

    def second(self, block: Block) -> None:
        text = " ".join(block.words)
        match block.words:
            case ("hostname", _) | ("ipv6", "unicast-routing") | ("no", "ip", "routing") | ("zone", "security", _):
                return
            case ("ip", "access-list", *_) | ("ipv6", "access-list", _) | ("class-map" | "policy-map", *_):
                return
            case ("interface", name):
                port = self.ports.get(name)
                if port:  # else it is among the faults already
                    self._joined(port, block)
            case ("zone-pair", "security", _, "source", source, "destination", target):
                self._pair(source, target, block)
            case ("router", "bgp", _):
                if self.bgp:
                    raise Unknown(block.line, "a second `router bgp`")
                self.bgp = block
                each(block.below, self._bgp, self.faults)
            case ("router", "ospf", _):
                each(block.below, partial(self._ospf, 4), self.faults)
            case ("ipv6", "router", "ospf", _):
                each(block.below, partial(self._ospf, 6), self.faults)
            case ("ip" | "ipv6" as kind, "prefix-list", name, *rest):
                self._prefix_list(4 if kind == "ip" else 6, name, rest, block.line)
            case ("route-map", name, "permit" | "deny" as verdict, number):
                self._route_map(name, verdict == "permit", int(number), block)
            case ("ip", "route", address, mask, target, *rest):
                self._static(4, f"{address}/{mask_length(mask)}", target, rest, block.line)
            case ("ipv6", "route", prefix, target, *rest):
                self._static(6, prefix, target, rest, block.line)
            case _:
                if _PLAIN_VIEWS.match(text):
                    self._below(block)
                elif not _PLAIN.match(text):
                    raise Unknown(block.line, text)

    def _below(self, block: Block) -> None:
        for below in block.below:
            if not _PLAIN_BELOW.match(" ".join(below.words)):
                self.faults.append(Unknown(below.line, " ".join(below.words)))
            self._below(below)

    def _joined(self, port: _Port, block: Block) -> None:
        """An interface's zone and OSPF, now that zones and processes are known."""
        if port.zone and port.zone not in self.zones:
            raise Unknown(block.line, f"zone {port.zone} is not defined")
        if port.instance and port.zone:
            raise Unknown(block.line, f"{port.name} is in an instance and in a zone: that is not computed")
        each(block.below, partial(self._ospf_of, port), self.faults)
        # IOS-XE's own cost of a port of 1 Gbit/s; `find` takes the first line that fits.
        port.settings += [Setting((*head, "cost", "1"), port.line) for head in (OSPF4, OSPF6)]

    def _ospf_of(self, port: _Port, block: Block) -> None:
        if block.words[:2] not in (("ip", "ospf"), ("ipv6", "ospf")):
            return
        family = 4 if block.words[0] == "ip" else 6
        head = OSPF4 if family == 4 else OSPF6
        match block.words[2:]:
            case (process, "area", area):
                if self.processes.get(family, ("",))[0] != process:
                    raise Unknown(block.line, f"OSPF process {process} of IPv{family} is not defined")
                port.settings.append(Setting((*head, "area", area_number(area)), block.line))
            case ("network", "point-to-point"):
                port.settings.append(Setting((*head, "network", "point-to-point"), block.line))
            case ("cost" | "hello-interval" | "dead-interval" as what, value):
                port.settings.append(Setting((*head, what, str(int(value))), block.line))
            case ("bfd",):
                title = f"{port.name} bfd"
                port.settings.append(Setting((*head, "bfd"), block.line))
                port.settings.append(Setting((*head, "bfd", "profile", title), block.line))
                self.profiles[title] = port.timers
            case _:
                raise Unknown(block.line, " ".join(block.words))

    def _ospf(self, family: int, block: Block) -> None:
        process, draft = self.processes[family]
        replace = msgspec.structs.replace
        match block.words:
            case ("router-id", _) | ("timers", "throttle", "spf", *_) | ("log-adjacency-changes", *_):
                pass
            case ("distance", "ospf", "external", value):
                if not 1 <= int(value) <= 255:
                    raise Unknown(block.line, f"distance {value} (1 to 255)")
                draft = replace(draft, external=int(value), external_line=block.line)
            case ("passive-interface", physical):
                draft = replace(draft, passive={**draft.passive, self.ports[physical].name: block.line})
            case ("redistribute", "bgp", asn, *rest):
                options = paired([word for word in rest if word != "subnets"], {"metric", "route-map"}, block.line)
                metric = int(options["metric"]) if "metric" in options else 1
                origin = frr.Origin(family, "bgp", options.get("route-map", ""), block.line, metric)
                draft = replace(draft, redistributes=(*draft.redistributes, origin))
            case _:
                raise Unknown(block.line, " ".join(block.words))
        self.processes[family] = (process, draft)

    def _bgp(self, block: Block) -> None:
        match block.words:
            case ("bgp", "router-id", value):
                self.router_id = value
            case ("bgp", "log-neighbor-changes") | ("timers", "bgp", _, _):
                pass
            case ("no", "bgp", "default", "ipv4-unicast"):
                self.default4 = False
            case ("neighbor", address, *rest):
                self._peer(spelled(address), rest, block.line)
            case ("address-family", "ipv4" | "ipv6" as kind, *rest) if rest in ([], ["unicast"]):
                each(block.below, partial(self._family, 4 if kind == "ipv4" else 6), self.faults)
            case ("exit-address-family",):
                pass
            case _:
                raise Unknown(block.line, " ".join(block.words))

    def _peer(self, address: str, rest: Sequence[str], line: int) -> None:
        peer = self.peers.get(address)
        match rest:
            case ["remote-as", asn]:
                self.peers[address] = _Peer(line, asn, {}, {}, {}, set())
                return
        if peer is None:
            raise Unknown(line, f"neighbour {address} has no remote-as yet")
        match rest:
            case ["description", *words]:
                peer.settings["description"] = Setting(("neighbor", address, "description", *words), line)
            case ["update-source", physical]:
                name = self.ports[physical].name
                peer.settings["update-source"] = Setting(("neighbor", address, "update-source", name), line)
            case ["fall-over", "bfd"]:
                peer.bfd = line
            case ["shutdown"]:
                peer.settings["shutdown"] = Setting(("neighbor", address, "shutdown"), line)
            case ["timers", _, _]:
                pass
            case _:
                raise Unknown(line, f"neighbor {address} {' '.join(rest)}")

    def _family(self, family: int, block: Block) -> None:
        line = block.line
        match block.words:
            case ("exit-address-family",):
                pass
            case ("bgp", "redistribute-internal"):
                self.internal.add(family)
            case ("network", address, "mask", mask) if family == 4:
                self.networks.append(frr.Origin(4, canonical(f"{address}/{mask_length(mask)}", 4), "", line))
            case ("network", prefix) if family == 6:
                self.networks.append(frr.Origin(6, canonical(prefix, 6), "", line))
            case ("aggregate-address", address, mask, *rest) if family == 4 and not set(rest) - {"summary-only"}:
                prefix = canonical(f"{address}/{mask_length(mask)}", 4)
                self.aggregates.append(frr.Aggregate(4, prefix, bool(rest), line))
            case ("aggregate-address", prefix, *rest) if family == 6 and not set(rest) - {"summary-only"}:
                self.aggregates.append(frr.Aggregate(6, canonical(prefix, 6), bool(rest), line))
            case ("redistribute", "ospf", process, *rest):
                if self.processes.get(family, ("",))[0] != process:
                    raise Unknown(line, f"{' '.join(block.words)}: no such process")
                self._redistributed(family, "ospf" if family == 4 else "ospf6", rest, line)
            case ("redistribute", "connected" | "static" as what, *rest):
                self._redistributed(family, what, rest, line)
            case ("neighbor", address, *rest):
                self._activated(family, spelled(address), rest, line)
            case ("no", "neighbor", address, "activate"):
                self.peers[spelled(address)].families.discard(family)
            case _:
                raise Unknown(line, " ".join(block.words))

    def _redistributed(self, family: int, what: str, rest: Sequence[str], line: int) -> None:
        options = paired(rest, {"route-map", "metric"}, line)
        self.redistributes.append(frr.Origin(family, what, options.get("route-map", ""), line))

    def _activated(self, family: int, address: str, rest: Sequence[str], line: int) -> None:
        peer = self.peers[address]
        match rest:
            case ["activate"]:
                peer.families.add(family)
            case ["next-hop-self"]:
                peer.options[family, "next-hop-self"] = Setting(("neighbor", address, "next-hop-self"), line)
            case ["route-map", name, "in" | "out" as way]:
                peer.policies[family, way] = Setting(("neighbor", address, "route-map", name, way), line)
            case ["send-community", *_]:
                pass
            case _:
                raise Unknown(line, f"neighbor {address} {' '.join(rest)}")

    def _prefix_list(self, family: int, name: str, rest: list[str], line: int) -> None:
        entries = self.lists.setdefault((family, name), [])
        number = 5 * (len(entries) + 1)
        if rest[:1] == ["description"]:
            return
        if rest[:1] == ["seq"]:
            number, rest = int(rest[1]), rest[2:]
        if rest[0] not in ("permit", "deny"):
            raise Unknown(line, f"an entry of prefix list {name}")
        options = paired(rest[2:], {"ge", "le"}, line)
        _, base, length = interval.prefix(canonical(rest[1], family))
        low = int(options.get("ge", length))
        high = int(options.get("le", interval.BITS[family] if "ge" in options else length))
        if not length <= low <= high <= interval.BITS[family]:
            raise Unknown(line, f"lengths of prefix list {name}")
        entries.append(frr.PrefixEntry(number, rest[0] == "permit", family, base, length, low, high, line))

    def _route_map(self, name: str, permit: bool, number: int, block: Block) -> None:
        matches, sets = [], []
        for below in block.below:
            match below.words:
                case ("match", "ip" | "ipv6", "address", "prefix-list", _):
                    matches.append(Setting(below.words, below.line))
                case ("set", "local-preference" | "metric" as what, value):
                    sets.append(Setting(("set", what, str(int(value))), below.line))
                case ("description", *_):
                    pass
                case _:
                    raise Unknown(below.line, " ".join(below.words))
        if any(stanza.seq == number for stanza in self.maps.get(name, [])):
            raise Unknown(block.line, f"entry {number} of route map {name} stands twice")
        self.maps.setdefault(name, []).append(frr.Stanza(number, permit, block.line, tuple(matches), tuple(sets)))

    def _static(self, family: int, prefix: str, target: str, rest: Sequence[str], line: int) -> None:
        if len(rest) > 1 or (rest and not rest[0].isdigit()):
            raise Unknown(line, f"{prefix} {target} {' '.join(rest)}")
        to = "blackhole" if target == "Null0" else spelled(target)
        self.statics.append(frr.Static(family, canonical(prefix, family), to, int(rest[0]) if rest else 1, line))

    def _pair(self, source: str, target: str, block: Block) -> None:
        for zone in (source, target):
            if zone != "self" and zone not in self.zones:
                raise Unknown(block.line, f"zone {zone} is not defined")
        if any((pair.source, pair.target) == (source, target) for pair in self.pairs):
            raise Unknown(block.line, f"a second pair from {source} to {target}")
        policy = ""
        for below in block.below:
            match below.words:
                case ("service-policy", "type", "inspect", name):
                    policy = name
                case ("description", *_):
                    pass
                case _:
                    raise Unknown(below.line, " ".join(below.words))
        if policy not in self.policies:
            raise Unknown(block.line, f"policy map {policy or 'of this pair'} is not defined")
        self.pairs.append(_Pair(block.line, source, target, policy))

    # Put together

    def config(self, end: int) -> frr.Config:
        """The routing as the proof computes with it."""
        bgp = None
        if self.bgp:
            bgp = frr.Bgp(
                int(self.bgp.words[2]), self.bgp.line, self.router_id, self._neighbours(), tuple(self.networks),
                tuple(self.redistributes), tuple(self.aggregates), False, True, (),
            )  # fmt: skip
        for family, (_, draft) in self.processes.items():
            for origin in draft.redistributes:
                if family not in self.internal:
                    what = "redistribute bgp without `bgp redistribute-internal`: eBGP alone is not computed"
                    raise Unknown(origin.line, what)
        maps = {name: tuple(sorted(stanzas, key=lambda s: s.seq)) for name, stanzas in self.maps.items()}
        interfaces = {
            port.name: frr.Interface(port.name, port.line, tuple(port.settings))
            for port in self.ports.values()
            if not port.instance
        }
        return frr.Config(
            self.file, self.hostname,
            {key: frr.PrefixList(key[1], key[0], tuple(sorted(e, key=lambda x: x.seq))) for key, e in self.lists.items()},
            maps, interfaces, bgp, {family: draft for family, (_, draft) in self.processes.items()}, tuple(self.statics),
            (), self.profiles, tuple(self.settings), {}, end,
        )  # fmt: skip

    def _neighbours(self) -> dict[str, frr.Neighbour]:
        found = {}
        for address, peer in self.peers.items():
            families = set(peer.families)
            if self.default4 and interval.family(address) == 4:
                families.add(4)
            settings = dict(peer.settings)
            if peer.bfd:
                title = f"peer {address}"
                # The session's timers are those of the interface that leads to the neighbour.
                self.profiles[title] = next(
                    (port.timers for port in self.ports.values() if leads(port.networks, address)), ()
                )
                settings["bfd"] = Setting(("neighbor", address, "bfd", "profile", title), peer.bfd)
            found[address] = frr.Neighbour(
                address, peer.asn, peer.line, settings, peer.policies, {}, frozenset(families), peer.options
            )
        return found

    def ruleset(self, end: int) -> nftables.Ruleset:
        """The zone pairs as chains. Zones and pairs are all there is: an interface in no zone passes no filter."""
        line = min((pair.line for pair in self.pairs), default=1)
        inside = {zone: [port.name for port in self.ports.values() if port.zone == zone] for zone in self.zones}
        apart = [port.name for physical, port in self.ports.items() if physical == APART]
        held = [name for names in inside.values() for name in names]
        self._answers()
        chains = {hook: list(self._chain(hook, line, inside, held, apart)) for hook in ("input", "forward")}
        return zoned.ruleset(self.file, (line, end), {}, chains, ("drop", line), (4, 6) if self._passing() else ())

    def _passing(self) -> bool:
        """Whether packets between zones are forwarded without a state."""
        return any(
            title == "class-default" and action == "pass"
            for pair in self.pairs
            if "self" not in (pair.source, pair.target)
            for title, action, _ in self.policies[pair.policy]
        )

    def _answers(self) -> None:
        """What is passed one way has to be passed the other way as well: nothing remembers it."""
        passing = {
            (pair.source, pair.target)
            for pair in self.pairs
            for title, action, _ in self.policies[pair.policy]
            if title == "class-default" and action == "pass"
        }
        for pair in self.pairs:
            for title, action, line in self.policies[pair.policy]:
                if action != "pass" or title == "class-default":
                    continue
                for entry in self._entries(title, line):
                    new = entry.protocol in ("tcp", "udp", "icmp", "") or (
                        entry.protocol == "icmpv6" and not _opens_nothing(entry.service)
                    )
                    if new and (pair.target, pair.source) not in passing:
                        raise Unknown(line, f"class {title} is passed one way: the answers are dropped, `inspect` it")

    def _entries(self, title: str, line: int) -> Iterator[_Entry]:
        if title not in self.classes:
            raise Unknown(line, f"class {title} is not defined")
        for name, place in self.classes[title].lists:
            found = [self.access[family, name] for family in (4, 6) if (family, name) in self.access]
            if not found:
                raise Unknown(place, f"access list {name} is not defined")
            yield from found[0]

    def _chain(
        self, hook: str, line: int, inside: dict[str, list[str]], held: list[str], apart: list[str]
    ) -> Iterator[nftables.Rule]:
        if hook == "input":
            yield nftables.Rule(line, (Match("iif", names=("lo",)),), "accept")
            # The management port lies outside: what comes in there is for the terminals' access classes.
            for name in apart:
                yield nftables.Rule(line, (Match("iif", names=(name,)),), "accept")
        elif apart:
            yield nftables.Rule(line, (Match("iif", names=tuple(apart)),), "drop")
            yield nftables.Rule(line, (Match("oif", names=tuple(apart)),), "drop")
        pairs = {(pair.source, pair.target): pair for pair in self.pairs}
        yield from self._unzoned(hook, line, held, pairs)
        if hook == "input":
            # Answers to what the device itself opened come back where that is inspected, and nowhere else.
            back = [name for zone, names in inside.items() for name in names if self._opens(pairs.get(("self", zone)))]
            if back:
                answers = (Match("iif", names=tuple(sorted(back))), Match("state", names=("established", "related")))
                yield nftables.Rule(line, answers, "accept")
        elif not self._passing():
            yield from zoned.states(line, ())
        for source, names in inside.items():
            if not names:
                continue
            for target in (["self"] if hook == "input" else inside):
                exits = () if target == "self" else tuple(sorted(inside[target]))
                if target != "self" and not exits:
                    continue
                ways = (Match("iif", names=tuple(sorted(names))), *((Match("oif", names=exits),) if exits else ()))
                pair = pairs.get((source, target))
                if pair is None:
                    # Without a pair: to the device itself and inside a zone all passes, between zones nothing.
                    yield nftables.Rule(line, ways, "accept" if target in ("self", source) else "drop")
                else:
                    yield from self._between(pair, ways)

    def _unzoned(
        self, hook: str, line: int, held: Sequence[str], pairs: dict[tuple[str, str], _Pair]
    ) -> Iterator[nftables.Rule]:
        """Interfaces in no zone: they are in the zone `default` where that is defined, else outside of the firewall."""
        free = Match("iif", True, tuple(sorted(held)))
        if hook == "input":
            pair = pairs.get(("default", "self")) if "default" in self.zones else None
            closed = pair is not None and all(action == "drop" for _, action, _ in self.policies[pair.policy])
            yield nftables.Rule(pair.line if pair else line, (free,), "drop" if closed else "accept")
            return
        pair = pairs.get(("default", "default")) if "default" in self.zones else None
        closed = pair is not None and all(action == "drop" for _, action, _ in self.policies[pair.policy])
        both = (free, Match("oif", True, tuple(sorted(held))))
        yield nftables.Rule(pair.line if pair else line, both, "drop" if closed else "accept")
        yield nftables.Rule(line, (free,), "drop")
        yield nftables.Rule(line, (both[1],), "drop")

    def _opens(self, pair: _Pair | None) -> bool:
        """Whether TCP, UDP and ICMP of the device itself are inspected in a pair."""
        for title, action, line in self.policies[pair.policy] if pair else ():
            if title != "class-default" and title not in self.classes:
                raise Unknown(line, f"class {title} is not defined")
            if action == "inspect" and {"tcp", "udp", "icmp"} <= set(self.classes[title].protocols):
                return True
        return False

    def _between(self, pair: _Pair, ways: tuple[Match, ...]) -> Iterator[nftables.Rule]:
        """What a pair's policy does: the first class that fits decides."""
        actions = self.policies[pair.policy]
        if any(action == "inspect" for _, action, _ in actions):
            for family in (4, 6):
                yield nftables.Rule(pair.line, (*ways, zoned.of(family), Match("state", names=("invalid",))), "drop")
        for title, action, line in actions:
            verdict: nftables.Action = "drop" if action == "drop" else "accept"
            if title == "class-default":
                if action == "inspect":
                    raise Unknown(line, "`inspect` of everything: name the protocols")
                yield nftables.Rule(line, ways, verdict)
                continue
            if title not in self.classes:
                raise Unknown(line, f"class {title} is not defined")
            for rule in self._class_rules(title, action, line):
                yield nftables.Rule(line, (*ways, *rule), verdict, "", self.classes[title].comment)
        if not any(title == "class-default" for title, _, _ in actions):
            yield nftables.Rule(pair.line, ways, "drop")

    def _class_rules(self, title: str, action: str, line: int) -> Iterator[tuple[Match, ...]]:
        """The conditions of a class: one tuple for each entry, or for each two entries of which both have to fit."""
        one = self.classes[title]
        for protocol in one.protocols:
            yield (Match("proto", names=(protocol, "icmpv6") if protocol == "icmp" else (protocol,)),)
        groups = []
        for name, place in one.lists:
            families = [family for family in (4, 6) if (family, name) in self.access]
            if not families:
                raise Unknown(place, f"access list {name} is not defined")
            entries = sorted(self.access[families[0], name], key=lambda entry: entry.number)
            for entry in entries:
                if not entry.permit:
                    raise Unknown(entry.line, "a denial inside a class is not computed")
                if action == "inspect" and not one.all and entry.protocol not in (*CONNECTIONS, ""):
                    raise Unknown(entry.line, f"{entry.protocol} cannot be inspected: `pass` it")
            groups.append((families[0], entries))
        if not one.all:
            for family, entries in groups:
                for entry in entries:
                    yield (zoned.of(family), *_sides([entry], family), *_bare(entry.service))
            return
        if len(groups) != 2 or groups[0][0] != groups[1][0]:
            raise Unknown(one.line, f"class {title}: two lists of one family are computed, one of them of sources")
        (family, sources), (_, others) = groups
        if any(entry.target or entry.protocol for entry in sources) or any(entry.source for entry in others):
            raise Unknown(one.line, f"class {title}: the first list has to name sources, the second targets and services")
        given = _sides(sources, family)
        services: dict[tuple[Match, ...], list[_Entry]] = {}
        for entry in others:
            if action == "inspect" and entry.protocol not in (*CONNECTIONS, ""):
                raise Unknown(entry.line, f"{entry.protocol} cannot be inspected: `pass` it")
            services.setdefault(_bare(entry.service), []).append(entry)
        for service, listed in services.items():
            yield (zoned.of(family), *given, *_sides(listed, family), *service)


def _sides(entries: Sequence[_Entry], family: int) -> list[Match]:
    """The conditions on addresses of entries of which one has to fit; those that differ in both ends are not put together."""
    found = []
    for where, texts in (("saddr", {e.source for e in entries}), ("daddr", {e.target for e in entries})):
        if "" in texts:
            continue
        spans = tuple(sorted(interval.interval(text) for text in texts))
        found.append(Match("saddr" if where == "saddr" else "daddr", spans=spans, family=family))
    return found


def _bare(service: tuple[Match, ...]) -> tuple[Match, ...]:
    return tuple(match for match in service if match.field != "family")


def _opens_nothing(service: tuple[Match, ...]) -> bool:
    return any(match.field == "icmp" and all(low in NEIGHBOURS for low, _ in match.spans) for match in service)


def _side(words: Sequence[str], family: int, line: int) -> tuple[str, list[str]]:
    """(prefix, what is left) of one end of an entry; the prefix is empty for any."""
    match list(words):
        case ["any", *rest]:
            return "", rest
        case ["host", address, *rest]:
            return canonical(f"{address}/{interval.BITS[family]}", family), rest
        case [prefix, *rest] if family == 6:
            return canonical(prefix, 6), rest
        case [address, wild, *rest]:
            return canonical(f"{address}/{ipaddress.ip_network(f'0.0.0.0/{wild}').prefixlen}", 4), rest
    raise Unknown(line, f"an end of an entry: {' '.join(words)}")


def _service(protocol: str, rest: Sequence[str], family: int, line: int) -> tuple[Match, ...]:
    match list(rest):
        case [] if not protocol:
            return ()
        case []:
            return zoned.kind(protocol)
        case ["eq", port] if protocol in ("tcp", "udp"):
            return zoned.kind(protocol, PORTS[port] if port in PORTS else int(port))
        case ["range", low, high] if protocol in ("tcp", "udp"):
            return (Match("proto", names=(protocol,)), Match("dport", spans=((int(low), int(high)),)))
        case [kind] if protocol in ("icmp", "icmpv6"):
            known = TYPES[family]
            return zoned.kind(protocol, known[kind] if kind in known else int(kind))
    raise Unknown(line, f"{protocol} {' '.join(rest)}")
