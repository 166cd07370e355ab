"""Reader of a VRP configuration, after the USG6000E command reference: the routes a device takes and gives, and what it lets through.

It gives what the readers of FRR and nftables give, under the logical names that the interfaces are described by. Lines that change
neither routes nor packets are known and passed over; a line that is not known is a mistake with its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import msgspec

from inventory.proof import filters, frr, interval, sharing, zoned
from inventory.proof.blocks import Block, Unknown, each
from inventory.proof.draft import OSPF4, OSPF6, Draft, Peer, Port, Tunnel
from inventory.proof.filters import Match
from inventory.proof.frr import Setting
from inventory.proof.hrp import Hrp
from inventory.proof.reading import Reading
from inventory.proof.shielding import Shield
from inventory.proof.sockets import Switch, identities, identity
from inventory.proof.words import Phrases, area_number, canonical, mask_length, paired, phrases, referred, spelled

READER = "inventory/proof/vrp.py"
PREFERENCES = ("20", "200", "200")
"""Of eBGP, iBGP and own routes: what `routes.py` computes with. VRP's own are 255 for all three."""
OSPF_PREFERENCE = "110"
"""Of OSPF's inner routes, likewise. VRP's own is 10, before eBGP."""
STATIC_PREFERENCE = 60
EXTERNAL = 150
"""Its own distance of OSPF's external routes."""
MANAGED: dict[str, tuple[tuple[str, int], ...]] = {
    "ssh": (("tcp", 22),), "telnet": (("tcp", 23),), "http": (("tcp", 80),), "https": (("tcp", 443), ("tcp", 8443)),
    "snmp": (("udp", 161),), "netconf": (("tcp", 830),), "ping": (("icmp", 8), ("icmpv6", 128)),
}  # fmt: skip
"""What `service-manage` decides before the security policy, once it is enabled on an interface."""
BASIC = (("tcp", 179), ("udp", 3784), ("ospf", 0))
"""What passes unasked without `firewall packet-filter basic-protocol enable`."""
INNER = ("Vlanif", "LoopBack", "MEth")
"""Interfaces of a switch that are the device's own, and no ports."""
KEYED = {
    ("ip", "vpn-instance"): ("ipv4-family", "description"),
    ("ipsec", "proposal"): ("encapsulation-mode", "transform", "esp authentication-algorithm", "esp encryption-algorithm"),
    ("ipsec", "profile"): ("ike-peer", "proposal"),
    ("ike", "proposal"): ("encryption-algorithm", "dh", "authentication-algorithm", "authentication-method",
                          "integrity-algorithm", "prf"),
    ("ike", "peer"): ("undo version 1", "undo version 2", "ike-proposal", "pre-shared-key", "certificate local-filename",
                      "remote-address vpn-instance"),
}  # fmt: skip
"""Views of what encrypts lines, and what may stand there."""
_PLAIN = re.compile(
    r"^(dns (resolve|server|domain)|ntp-service unicast-server|ssl policy \S+ type client|info-center|snmp-agent|"
    r"undo snmp-agent sys-info|undo telnet server enable|stelnet server enable|ssh (ipv6 )?server|undo http|"
    r"undo web-manager|clock timezone|header|lldp enable|undo lldp enable|return$)"
)
_PLAIN_VIEWS = re.compile(r"^(acl (ipv6 )?(number )?\d+|aaa|user-interface (vty|con) [\d ]+)$")
_PLAIN_BELOW = re.compile(
    r"^(description|rule|step|role|manager-user|bind manager-user|authentication-mode|protocol inbound ssh|acl|idle-timeout)\b"
)


def read(source: str, file: str) -> Reading:
    """The configuration in `source`. Raises Mistakes: JB2401, every line that cannot be read."""
    return _Reader(file, []).read(source, READER, "#", "return")


class _Port(Port):
    """With what `service-manage` lets in."""

    managed: bool = True
    permitted: set[str] = msgspec.field(default_factory=set)


class _Rule(msgspec.Struct):
    """One rule of the security policy; zones and conditions that are empty mean any."""

    line: int
    comment: str = ""
    action: str = ""
    disabled: bool = False
    entries: list[str] = []
    exits: list[str] = []
    sources: list[tuple[str, ...]] = []
    targets: list[tuple[str, ...]] = []
    services: list[tuple[str, ...]] = []


class _Reader(Draft[_Port]):
    """The draft of a device: `first` reads interfaces, zones, sets and processes."""

    def __init__(self, file: str, faults: list[Unknown]) -> None:
        super().__init__(file, faults)
        self.settings = [Setting(("ip", "forwarding"), 1)]  # VRP always forwards IPv4
        self.zones: dict[str, dict[str, int]] = {"local": {}, "trust": {}, "untrust": {}, "dmz": {}}
        self.sets: dict[str, tuple[Block, list[str]]] = {}
        self.keyed: dict[tuple[str, str, str], Phrases] = {}
        self.hrp = Hrp()
        self.bfd = False
        self.basic = False
        self.untracked: set[int] = set()
        self.default4 = True
        self.policy: Block | None = None
        self.rules: list[_Rule] = []
        self.default: tuple[str, int] = ("deny", 0)
        self.intrazone = False

    # What others refer to

    def first(self, block: Block) -> None:
        match block.words:
            case ("sysname", name):
                self.hostname = name
                self.settings.append(Setting(("hostname", name), block.line))
            case ("ipv6",):
                self.settings.append(Setting(("ipv6", "forwarding"), block.line))
            case ("bfd",):
                self.bfd = True
            case ("hrp", *_) | ("undo", "hrp", *_):
                self.hrp.top(block)
            case ("vlan" | "stp", *_) if self.switch:
                self._switched(self.switch, block)
            case ("interface", name) if self.switch and not name.startswith(INNER):
                self._socket(self.switch, name, block)
            case ("interface", name):
                self._interface(name, block)
                if self.switch and name.startswith("Vlanif"):
                    vlan = identity(name.removeprefix("Vlanif"), block.line)
                    self.switch.inner[vlan] = (self.ports[name].name, block.line)
            case ("ip", "address-set", name, "type", "object"):
                self.sets[name] = (block, [])
                each(block.below, self._element, self.faults)
            case (one, two, name) if (one, two) in KEYED:
                self.keyed[one, two, name] = phrases(block, *KEYED[one, two])
            case ("ospf", process, "router-id", router):
                self.process(4, process, router, block.line, EXTERNAL)
            case ("ospfv3", process):
                routers = [below.words[1] for below in block.below if below.words[:1] == ("router-id",)]
                self.process(6, process, routers[0] if routers else "", block.line, EXTERNAL)

    def _element(self, block: Block) -> None:
        words = block.words[2:] if block.words[1].isdigit() else block.words[1:]
        name = next(reversed(self.sets))
        if block.words[0] == "description":
            return
        if block.words[0] != "address":
            raise Unknown(block.line, " ".join(block.words))
        self.sets[name][1].append(_prefix(words, block.line))

    def _interface(self, physical: str, block: Block) -> None:
        name = self.described(physical, block)
        port = self.ports[physical] = _Port(name, block.line)
        said = {below.words for below in block.below}
        if "." in physical and not any(words[:2] == ("vlan-type", "dot1q") for words in said):
            raise Unknown(block.line, f"subinterface {physical} has no VLAN: nothing passes it")
        six = ("ipv6", "enable") in said
        tunnel = Tunnel(block.line) if physical.startswith("Tunnel") else None
        if tunnel:
            self.tunnels[physical] = tunnel

        def take(below: Block) -> None:
            match below.words:
                case ("description", *_) | ("ipv6", "enable") | ("undo", "shutdown"):
                    pass
                case ("vlan-type", "dot1q", vlan):
                    # A zone's may be that of the site's switches; a line's number is its VLAN id.
                    if physical.rpartition(".")[2] != vlan and not name.startswith("z-"):
                        raise Unknown(below.line, f"{physical} has VLAN {vlan}")
                    port.settings.append(Setting(("dot1q", vlan), below.line))
                case ("ip", "address", "dhcp-alloc"):
                    pass
                case ("ip", "address", address, mask, *more) if more in ([], ["sub"]):
                    port.networks.append(f"{address}/{mask_length(mask)}")
                    port.settings.append(Setting(("ip", "address", port.networks[-1]), below.line))
                case ("ipv6", "address", address, "link-local"):
                    if six:
                        port.settings.append(Setting(("ipv6", "address", f"{spelled(address)}/64"), below.line))
                case ("ipv6", "address", address):
                    if six:
                        port.settings.append(Setting(("ipv6", "address", address.lower()), below.line))
                case ("ip", "binding", "vpn-instance", instance):
                    port.instance = instance
                case ("service-manage", "enable"):
                    port.managed = True
                case ("undo", "service-manage", "enable"):
                    port.managed = False
                case ("service-manage", what, "permit") if what in MANAGED:
                    port.permitted.add(what)
                case ("service-manage", what, "deny") if what in MANAGED:
                    port.permitted.discard(what)
                case (("ospf" | "ospfv3"), *_):
                    pass  # when the processes are known
                case _:
                    if self.hrp.inside(name, below):
                        return
                    if tunnel is None or not self._tunnel(tunnel, below):
                        raise Unknown(below.line, " ".join(below.words))

        each(block.below, take, self.faults)
        if tunnel is not None and ("tunnel-protocol", "gre") not in said:
            raise Unknown(block.line, f"{physical}: tunnels other than GRE are not computed")

    # Of a switch

    def _switched(self, switch: Switch, block: Block) -> None:
        match block.words:
            case ("vlan", "batch", *numbers):
                for number in identities(numbers, block.line):
                    switch.vlan(str(number), block.line)
            case ("vlan", number):
                vlan = switch.vlan(number, block.line)
                for below in block.below:
                    match below.words:
                        case ("name", name):
                            vlan.name, vlan.line = name, below.line
                        case ("description", *_):
                            pass
                        case _:
                            raise Unknown(below.line, " ".join(below.words))
            case ("stp", "mode", mode):
                switch.protocol, switch.line = mode, block.line
            case ("stp", "instance", "0", "priority", value) | ("stp", "priority", value):
                switch.priorities[0] = int(value)
            case ("stp", "bpdu-protection"):
                switch.guards = True
            case ("stp", "enable"):
                pass
            case _:
                raise Unknown(block.line, " ".join(block.words))

    def _socket(self, switch: Switch, physical: str, block: Block) -> None:
        said = [" ".join(below.words[1:]) for below in block.below if below.words[0] == "description"]
        # Hybrid as delivered: a port says what it is only when it is told.
        socket = switch.socket(physical, said[0] if said else physical, block.line, "hybrid")

        def take(below: Block) -> None:
            match below.words:
                case ("description", *_) | ("undo", "shutdown") | ("lldp", *_):
                    return
                case ("shutdown",):
                    what, socket.shut = "shut", True
                case ("port", "link-type", "access" | "trunk" as mode):
                    what, socket.mode = "mode", mode
                case ("port", "default", "vlan", vlan):
                    what, socket.access = "access", identity(vlan, below.line)
                case ("port", "trunk", "pvid", "vlan", vlan):
                    what, socket.native = "native", identity(vlan, below.line)
                case ("port", "trunk", "allow-pass", "vlan", *numbers):
                    what, socket.allowed = "allowed", socket.allowed | {*identities(numbers, below.line)}
                case ("undo", "port", "trunk", "allow-pass", "vlan", *numbers):
                    what, socket.allowed = "allowed", socket.allowed - {*identities(numbers, below.line)}
                case ("stp", "edged-port", "enable"):
                    what, socket.edge = "edge", True
                case ("eth-trunk", number):
                    what, socket.group, socket.mode = "group", f"Eth-Trunk{int(number)}", "member"
                case ("mode", "lacp" | "lacp-static"):
                    what, socket.lacp = "lacp", True
                case _:
                    raise Unknown(below.line, " ".join(below.words))
            socket.said[what] = below.line

        each(block.below, take, self.faults)

    def _tunnel(self, tunnel: Tunnel, block: Block) -> bool:
        """Take a line of a tunnel; False: it is none."""
        match block.words:
            case ("tunnel-protocol", "gre") | ("mtu", _) | ("tcp", "adjust-mss", _):
                pass
            case ("source", physical):
                tunnel.source = physical
            case ("destination", "vpn-instance", instance, address):
                tunnel.instance, tunnel.far = instance, address
            case ("ipsec", "profile", name):
                tunnel.profile, tunnel.line = name, block.line
            case _:
                return False
        return True

    # The rest

    def second(self, block: Block) -> None:
        text = " ".join(block.words)
        match block.words:
            case ("sysname", _) | ("ipv6",) | ("bfd",) | ("ip", "address-set", *_):
                return
            case ("hrp", *_) | ("undo", "hrp", *_):
                return
            case ("vlan" | "stp", *_) if self.switch:
                return
            case (one, two, _) if (one, two) in KEYED:
                return
            case ("firewall", "packet-filter", "basic-protocol", "enable"):
                self.basic = True
            case ("undo", "firewall", "session", "link-state", "check"):
                self.untracked.add(4)
            case ("undo", "firewall", "ipv6", "session", "link-state", "check"):
                self.untracked.add(6)
            case ("interface", name):
                port = self.ports.get(name)
                if port:  # else it is among the faults already
                    each(block.below, partial(self._ospf_of, port), self.faults)
                    # VRP's own cost of a port of 1 Gbit/s; `find` takes the first line that fits.
                    port.settings += [Setting((*head, "cost", "1"), port.line) for head in (OSPF4, OSPF6)]
            case ("firewall", "zone", *name):
                self._zone(name[-1], block)
            case ("bgp", _):
                if self.bgp:
                    raise Unknown(block.line, "a second `bgp`")
                self.bgp = block
                each(block.below, self._bgp, self.faults)
                self._preferences(block)
            case ("ospf" | "ospfv3" as kind, *_):
                family = 4 if kind == "ospf" else 6
                each(block.below, partial(self._ospf, family), self.faults)
                if not any(below.words == ("preference", OSPF_PREFERENCE) for below in block.below):
                    what = f"{kind} without `preference {OSPF_PREFERENCE}`: its own 10 goes before eBGP, the proof computes otherwise"
                    raise Unknown(block.line, what)
            case ("ip", "ip-prefix" | "ipv6-prefix" as kind, name, *rest):
                self._prefix_list(4 if kind == "ip-prefix" else 6, name, rest, block.line)
            case ("route-policy", name, "permit" | "deny" as verdict, "node", number):
                self._route_policy(name, verdict == "permit", int(number), block)
            case ("ip", "route-static", address, mask, target, *rest):
                self._static(4, f"{address}/{mask_length(mask)}", target, rest, block.line)
            case ("ipv6", "route-static", address, length, target, *rest):
                self._static(6, f"{address}/{length}", target, rest, block.line)
            case ("security-policy",):
                self.policy = block
                each(block.below, self._security, self.faults)
            case _:
                if _PLAIN_VIEWS.match(text):
                    for below in block.below:
                        if not _PLAIN_BELOW.match(" ".join(below.words)):
                            self.faults.append(Unknown(below.line, " ".join(below.words)))
                elif not _PLAIN.match(text):
                    raise Unknown(block.line, text)

    def _zone(self, name: str, block: Block) -> None:
        held = self.zones.setdefault(name, {})
        for below in block.below:
            match below.words:
                case ("set", "priority", _) | ("description", *_):
                    pass
                case ("add", "interface", physical):
                    port = self.ports.get(physical)
                    if port is None:
                        raise Unknown(below.line, f"interface {physical} is not configured")
                    if any(port.name in other for other in self.zones.values()):
                        raise Unknown(below.line, f"{physical} is in a zone already")
                    held[port.name] = below.line
                case _:
                    raise Unknown(below.line, " ".join(below.words))

    def _ospf_of(self, port: _Port, block: Block) -> None:
        kind = block.words[0]
        if kind not in ("ospf", "ospfv3"):
            return
        family = 4 if kind == "ospf" else 6
        head = OSPF4 if family == 4 else OSPF6
        title = f"{port.name} {kind}"
        match block.words:
            case ("ospf", "enable", process, "area", area) | ("ospfv3", process, "area", area):
                if self.processes.get(family, ("",))[0] != process:
                    raise Unknown(block.line, f"{kind} process {process} is not defined")
                port.settings.append(Setting((*head, "area", area_number(area)), block.line))
            case (_, "network-type", "p2p"):
                port.settings.append(Setting((*head, "network", "point-to-point"), block.line))
            case (_, "cost", value):
                port.settings.append(Setting((*head, "cost", str(int(value))), block.line))
            case (_, "timer", "hello" | "dead" as what, value):
                port.settings.append(Setting((*head, f"{what}-interval", str(int(value))), block.line))
            case (_, "bfd", "enable"):
                if self.bfd:
                    port.settings.append(Setting((*head, "bfd"), block.line))
                    port.settings.append(Setting((*head, "bfd", "profile", title), block.line))
                    self.profiles.setdefault(title, ())
            case (_, "bfd", *timers):
                self.profiles[title] = _timers(timers, block.line)
            case _:
                raise Unknown(block.line, " ".join(block.words))

    def _ospf(self, family: int, block: Block) -> None:
        process, draft = self.processes[family]
        replace = msgspec.structs.replace
        match block.words:
            case ("router-id", _) | ("spf-schedule-interval", *_) | ("area", _):
                for below in block.below:
                    raise Unknown(below.line, " ".join(below.words))
            case ("preference", value):
                if value != OSPF_PREFERENCE:
                    raise Unknown(block.line, f"preference {value}: the proof computes with {OSPF_PREFERENCE}")
            case ("preference", "ase", value):
                if not 1 <= int(value) <= 255:
                    raise Unknown(block.line, f"preference ase {value} (1 to 255)")
                draft = replace(draft, external=int(value), external_line=block.line)
            case ("silent-interface", physical):
                draft = replace(draft, passive={**draft.passive, self.ports[physical].name: block.line})
            case ("import-route", "bgp", *rest):
                if rest[:1] != ["permit-ibgp"]:
                    what = "import-route bgp without permit-ibgp: eBGP alone is not computed"
                    raise Unknown(block.line, what)
                options = paired(rest[1:], {"cost", "route-policy"}, block.line)
                metric = int(options["cost"]) if "cost" in options else 1
                origin = frr.Origin(family, "bgp", options.get("route-policy", ""), block.line, metric)
                draft = replace(draft, redistributes=(*draft.redistributes, origin))
            case _:
                raise Unknown(block.line, " ".join(block.words))
        self.processes[family] = (process, draft)

    def _bgp(self, block: Block) -> None:
        match block.words:
            case ("router-id", value):
                self.router_id = value
            case ("timer", "keepalive", _, "hold", _):
                pass
            case ("undo", "default", "ipv4-unicast"):
                self.default4 = False
            case ("peer", address, *rest):
                self._peer(spelled(address), rest, block.line)
            case ("ipv4-family" | "ipv6-family" as kind, "unicast"):
                family = 4 if kind == "ipv4-family" else 6
                each(block.below, partial(self._family, family), self.faults)
            case _:
                raise Unknown(block.line, " ".join(block.words))

    def _preferences(self, block: Block) -> None:
        for below in block.below:
            if below.words[0] in ("ipv4-family", "ipv6-family"):
                said = [each.words[1:] for each in below.below if each.words[0] == "preference"]
                if said != [PREFERENCES]:
                    have = " ".join(said[0]) if said else "255 255 255"
                    what = f"BGP preferences {have}: the proof computes with {' '.join(PREFERENCES)}"
                    raise Unknown(below.line, what)

    def _peer(self, address: str, rest: Sequence[str], line: int) -> None:
        peer = self.peers.get(address)
        match rest:
            case ["as-number", asn]:
                self.peers[address] = Peer(line, asn)
                return
        if peer is None:
            raise Unknown(line, f"peer {address} has no as-number yet")
        match rest:
            case ["description", *words]:
                peer.settings["description"] = Setting(("neighbor", address, "description", *words), line)
            case ["connect-interface", physical]:
                name = self.ports[physical].name
                peer.settings["update-source"] = Setting(("neighbor", address, "update-source", name), line)
            case ["bfd", "enable"]:
                peer.bfd = line if self.bfd else 0
            case ["bfd", *timers]:
                peer.timers = _timers(timers, line)
            case ["timer", "connect-retry", _]:
                pass
            case ["ignore"]:
                peer.settings["shutdown"] = Setting(("neighbor", address, "shutdown"), line)
            case _:
                raise Unknown(line, f"peer {address} {' '.join(rest)}")

    def _family(self, family: int, block: Block) -> None:
        line = block.line
        match block.words:
            case ("preference", _, _, _):
                pass  # see _preferences
            case ("network", address, length):
                prefix = f"{address}/{mask_length(length) if family == 4 else length}"
                self.networks.append(frr.Origin(family, canonical(prefix, family), "", line))
            case ("aggregate", address, length, *rest):
                if set(rest) - {"detail-suppressed"}:
                    raise Unknown(line, " ".join(block.words))
                prefix = canonical(f"{address}/{mask_length(length) if family == 4 else length}", family)
                self.aggregates.append(frr.Aggregate(family, prefix, bool(rest), line))
            case ("import-route", what, *rest):
                kind = {"direct": "connected", "static": "static", "ospf": "ospf", "ospfv3": "ospf6"}[what]
                if what in ("ospf", "ospfv3"):
                    if self.processes.get(family, ("",))[0] != rest[0] or (what == "ospf") != (family == 4):
                        raise Unknown(line, f"{' '.join(block.words)}: no such process")
                    rest = rest[1:]
                options = paired(rest, {"route-policy", "med"}, line)
                self.redistributes.append(frr.Origin(family, kind, options.get("route-policy", ""), line))
            case ("peer", address, *rest):
                self._activated(family, spelled(address), rest, line)
            case ("undo", "peer", address, "enable"):
                self.peers[spelled(address)].families.discard(family)
            case _:
                raise Unknown(line, " ".join(block.words))

    def _activated(self, family: int, address: str, rest: Sequence[str], line: int) -> None:
        peer = self.peers[address]
        match rest:
            case ["enable"]:
                peer.families.add(family)
            case ["next-hop-local"]:
                peer.options[family, "next-hop-self"] = Setting(("neighbor", address, "next-hop-self"), line)
            case ["route-policy", name, "import" | "export" as way]:
                short = "in" if way == "import" else "out"
                peer.policies[family, short] = Setting(("neighbor", address, "route-map", name, short), line)
            case _:
                raise Unknown(line, f"peer {address} {' '.join(rest)}")

    def _prefix_list(self, family: int, name: str, rest: list[str], line: int) -> None:
        entries = self.lists.setdefault((family, name), [])
        number = 10 * (len(entries) + 1)
        if rest[:1] == ["index"]:
            number, rest = int(rest[1]), rest[2:]
        if rest[0] not in ("permit", "deny"):
            raise Unknown(line, f"an entry of prefix list {name}")
        options = paired(rest[3:], {"greater-equal", "less-equal"}, line)
        prefix = canonical(f"{rest[1]}/{rest[2]}", family)
        low, high = (options.get(bound, "") for bound in ("greater-equal", "less-equal"))
        self.entry((family, name), number, rest[0] == "permit", prefix, low, high, line)

    def _route_policy(self, name: str, permit: bool, number: int, block: Block) -> None:
        matches, sets = [], []
        for below in block.below:
            match below.words:
                case ("if-match", "ip-prefix", listed):
                    matches.append(Setting(("match", "ip", "address", "prefix-list", listed), below.line))
                case ("if-match", "ipv6", "address", "prefix-list", listed):
                    matches.append(Setting(("match", "ipv6", "address", "prefix-list", listed), below.line))
                case ("apply", "local-preference", value):
                    sets.append(Setting(("set", "local-preference", str(int(value))), below.line))
                case ("apply", "cost", value):
                    sets.append(Setting(("set", "metric", str(int(value))), below.line))
                case ("description", *_):
                    pass
                case _:
                    raise Unknown(below.line, " ".join(below.words))
        self.stanza(name, number, permit, block.line, matches, sets, f"node {number} of route policy {name}")

    def _static(self, family: int, prefix: str, target: str, rest: Sequence[str], line: int) -> None:
        options = paired(rest, {"preference", "description", "tag"}, line)
        to = "blackhole" if target == "NULL0" else spelled(target)
        distance = int(options.get("preference", STATIC_PREFERENCE))
        self.statics.append(frr.Static(family, canonical(prefix, family), to, distance, line))

    def _security(self, block: Block) -> None:
        match block.words:
            case ("default", "action", "permit" | "deny" as action):
                self.default = (action, block.line)
            case ("default", "packet-filter", "intrazone", "enable"):
                self.intrazone = True
            case ("rule", "name", _):
                rule = _Rule(block.line, "", "", False, [], [], [], [], [])
                for below in block.below:
                    self._clause(rule, below)
                if not rule.action:
                    raise Unknown(block.line, "a rule without an action")
                self.rules.append(rule)
            case _:
                raise Unknown(block.line, " ".join(block.words))

    def _clause(self, rule: _Rule, block: Block) -> None:
        match block.words:
            case ("description", *words):
                rule.comment = " ".join(words)
            case ("source-zone" | "destination-zone" as what, *zones):
                for zone in zones:
                    if zone not in self.zones:
                        raise Unknown(block.line, f"zone {zone} is not defined")
                (rule.entries if what == "source-zone" else rule.exits).extend(zones)
            case ("source-address" | "destination-address" as what, *words):
                if words[0] == "address-set" and words[1] not in self.sets:
                    raise Unknown(block.line, f"address-set {words[1]} is not defined")
                if words[0] != "address-set":
                    words = ["", _prefix(words, block.line)]
                (rule.sources if what == "source-address" else rule.targets).append(tuple(words))
            case ("service", "protocol", *words):
                rule.services.append(tuple(words))
            case ("action", "permit" | "deny" as action):
                rule.action = action
            case ("disable",):
                rule.disabled = True
            case ("policy" | "session" | "traffic", "logging", *_):
                pass
            case _:
                raise Unknown(block.line, " ".join(block.words))

    # Put together

    def shield(self, tunnel: Tunnel) -> tuple[Shield, str]:
        profile = self.keyed["ipsec", "profile", tunnel.profile]
        peer = self.keyed["ike", "peer", profile["ike-peer"][0]]
        ike = self.keyed["ike", "proposal", peer["ike-proposal"][0]]
        esp = self.keyed["ipsec", "proposal", profile["proposal"][0]]
        self.keyed["ip", "vpn-instance", tunnel.instance]
        if peer["remote-address vpn-instance"] != (tunnel.instance, tunnel.far):
            raise Unknown(
                tunnel.line, f"profile {tunnel.profile} speaks to {' '.join(peer['remote-address vpn-instance'])}"
            )
        # Both versions are on unless one is turned off.
        version = "".join(each for each in "12" if f"undo version {each}" not in peer)
        proof = _first(ike, "authentication-method") or "pre-share"
        secret = "-"
        if proof == "pre-share":
            secret = referred(_first(peer, "pre-shared-key"))
        elif "certificate local-filename" not in peer:
            raise Unknown(tunnel.line, f"peer {profile['ike-peer'][0]} has no certificate")
        heads = ("integrity-algorithm", "prf") if version == "2" else ("authentication-algorithm",)
        digests = {_plain(_first(ike, head).removeprefix("hmac-")) or "sha-256" for head in heads}
        group = _first(ike, "dh").removeprefix("group") or ("" if proof == "digital-envelope" else "14")
        return Shield(
            version, {"pre-share": "secret", "digital-envelope": "certificate"}.get(proof, proof),
            _plain(_first(ike, "encryption-algorithm")) or "aes-256", "+".join(sorted(digests)), group,
            _plain(_first(esp, "esp encryption-algorithm")) or "aes-256",
            _plain(_first(esp, "esp authentication-algorithm")) or "sha-256",
            _first(esp, "encapsulation-mode") or "tunnel",
        ), secret  # fmt: skip

    def sharing(self) -> sharing.Config | None:
        return self.hrp.config(
            self.file, {physical: port.name for physical, port in self.ports.items()}, self.networks_of()
        )

    def config(self, end: int) -> frr.Config:
        physical, _, line = self.hrp.beat
        self.beat = self.shared(physical, line).name if physical else ""
        config = super().config(end)
        if config.bgp:
            self._families(config.bgp)
        return config

    def _families(self, bgp: frr.Bgp) -> None:
        """What a condition on IPv4 does to an IPv6 route the manual does not say: a policy has one family."""
        used = [(key[0], setting) for n in bgp.neighbours.values() for key, setting in n.policies.items()]
        for family, setting in used:
            for stanza in self.maps.get(setting.words[3], ()):
                for match in stanza.matches:
                    if (match.words[1] == "ip") != (family == 4):
                        what = f"route policy {setting.words[3]} is used for IPv{family} and asks for the other family"
                        raise Unknown(match.line, what)

    def ruleset(self, end: int) -> filters.Ruleset:
        """The security policy, the zones and what goes before them."""
        if self.policy is None:
            return filters.Ruleset(self.file, (), True)
        line = self.policy.line
        action: filters.Action = "accept" if self.default[0] == "permit" else "drop"
        chains = {hook: list(self._chain(hook, line)) for hook in ("input", "forward", "output")}
        named = {name: zoned.Named(block.line, block.last, tuple(held)) for name, (block, held) in self.sets.items()}
        place = (line, self.policy.last)
        return zoned.ruleset(self.file, place, named, chains, (action, self.default[1] or line), self.untracked)

    def _chain(self, hook: str, line: int) -> Iterator[filters.Rule]:
        held = [name for zone in self.zones.values() for name in zone]
        yield from zoned.outside(line, hook, held, [port.name for port in self.ports.values() if port.instance])
        yield from zoned.states(line, sorted({4, 6} - self.untracked))
        if hook == "input":
            yield from self._managed()
        if not self.basic and hook != "output":
            for protocol, port in BASIC:
                yield filters.Rule(line, zoned.kind(protocol, port), "accept")
        named = {name: zoned.Named(block.line, block.last, tuple(held)) for name, (block, held) in self.sets.items()}
        for rule in self.rules:
            for one in self._meant(rule, hook):
                yield from zoned.expanded(one, named)
        if not self.intrazone and hook == "forward":
            for zone in self.zones.values():
                inside = tuple(sorted(zone))
                if inside:
                    yield filters.Rule(line, (Match("iif", names=inside), Match("oif", names=inside)), "accept")

    def _managed(self) -> Iterator[filters.Rule]:
        for port in self.ports.values():
            if port.managed:
                for what, kinds in MANAGED.items():
                    for kind in kinds:
                        matches = (Match("iif", names=(port.name,)), *zoned.kind(*kind))
                        yield filters.Rule(port.line, matches, "accept" if what in port.permitted else "drop")

    def _meant(self, rule: _Rule, hook: str) -> Iterator[zoned.Rule]:
        """The rule at one hook; nothing where it is not asked."""
        if rule.disabled or (hook == "output" and rule.entries and "local" not in rule.entries):
            return
        if hook == "input" and rule.exits and "local" not in rule.exits:
            return
        services = tuple(_service(words, rule.line) for words in rule.services) or ((),)
        yield zoned.Rule(
            rule.line, rule.action == "permit", rule.comment, (4, 6),
            self._side(rule.entries) if rule.entries and hook != "output" else None,
            self._side(rule.exits) if rule.exits and hook != "input" else None,
            tuple(f"@{value}" if what else value for what, value in rule.sources),
            tuple(f"@{value}" if what else value for what, value in rule.targets),
            services,
        )  # fmt: skip

    def _side(self, zones: Iterable[str]) -> tuple[str, ...]:
        return tuple(sorted({name for zone in zones for name in self.zones[zone]}))


def _first(said: Phrases, words: str) -> str:
    """The first word behind `words`; empty: they are not said."""
    return next(iter(said.get(words, ())), "")


def _plain(algorithm: str) -> str:
    """`sha2-256` as the proof calls it; other algorithms as VRP does."""
    return algorithm.replace("sha2-", "sha-")


def _service(words: Sequence[str], line: int) -> tuple[Match, ...]:
    """The conditions of a service."""
    protocol = zoned.NUMBERS.get(words[0], words[0])
    match words[1:]:
        case ():
            return zoned.kind(protocol)
        case ("destination-port", first):
            return zoned.kind(protocol, int(first))
        case ("destination-port", first, "to", last):
            return (Match("proto", names=(protocol,)), Match("dport", spans=((int(first), int(last)),)))
        case ("icmp-type" | "icmpv6-type" as what, kind, *_) if what == f"{protocol}-type":
            return zoned.kind(protocol, int(kind))
    raise Unknown(line, f"service {' '.join(words)}")


def _timers(words: Sequence[str], line: int) -> tuple[Setting, ...]:
    """The timers of a BFD session as FRR's profiles name them."""
    names = {
        "min-tx-interval": "transmit-interval", "min-transmit-interval": "transmit-interval",
        "min-rx-interval": "receive-interval", "min-receive-interval": "receive-interval",
        "detect-multiplier": "detect-multiplier",
    }  # fmt: skip
    options = paired(words, set(names), line)
    return tuple(Setting((names[name], str(int(value))), line) for name, value in options.items())


def _prefix(words: Sequence[str], line: int) -> str:
    """`10.0.0.0 mask 255.0.0.0`, `10.0.0.0 mask 8`, `10.0.0.0 8` or `3fff:: 20` as a prefix."""
    match list(words):
        case [address, "mask", length]:
            return canonical(f"{address}/{mask_length(length)}", 4)
        case [address, length] if length.isdigit():
            return canonical(f"{address}/{length}", interval.family(address))
    raise Unknown(line, f"address {' '.join(words)}")
