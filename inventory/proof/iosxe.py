"""Reader of an IOS-XE configuration, after Cisco's command references: the routes a device takes and gives, and what it lets through.

It gives what the readers of FRR and nftables give, under the logical names that the interfaces are described by. Lines that change
neither routes nor packets are known and passed over; a line that is not known is a mistake with its place.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial

import msgspec

from inventory.proof import filters, frr, sharing
from inventory.proof.blocks import Block, Unknown, each
from inventory.proof.draft import OSPF4, OSPF6, Draft, Peer, Port, Tunnel
from inventory.proof.frr import Setting
from inventory.proof.reading import Reading
from inventory.proof.redundancy import Redundancy
from inventory.proof.shielding import Shield
from inventory.proof.sockets import EVERY, Switch, identities, identity
from inventory.proof.words import Phrases, area_number, canonical, mask_length, paired, phrases, referred, spelled
from inventory.proof.zonepairs import ZonePairs

READER = "inventory/proof/iosxe.py"
APART = "GigabitEthernet0"
"""The management port: another plane forwards for it, which the firewall does not see."""
EXTERNAL = 110
"""Its own distance of OSPF's external routes."""
KEYED = {
    ("ikev2", "proposal"): ("encryption", "integrity", "group", "prf"),
    ("ikev2", "policy"): ("match fvrf", "proposal"),
    ("ikev2", "profile"): ("match fvrf", "match identity remote address", "authentication remote", "authentication local",
                           "keyring local"),
    ("ipsec", "transform-set"): ("mode",),
    ("ipsec", "profile"): ("set transform-set", "set ikev2-profile"),
}  # fmt: skip
"""Sections of `crypto` with what may stand there."""
_PLAIN = re.compile(
    r"^(version|service|aaa (new-model|authentication|authorization|accounting|session-id)|enable secret|username|clock|boot|"
    r"ip domain|ip name-server|ntp server|logging|snmp-server (group|view|user|host)|no ip http|ip ssh|no service|"
    r"ip routing|ip cef|ipv6 cef|no ip (domain|source-route|bootp)|subscriber|platform|license|spanning-tree|end)\b"
)
_PLAIN_VIEWS = re.compile(r"^(vrf definition \S+|parser view \S+|line (con|vty|aux) [\d ]+|banner)$")
_PLAIN_BELOW = re.compile(
    r"^(secret|commands|address-family|exit-address-family|exec-timeout|access-class|ipv6 access-class|login authentication|"
    r"transport (input ssh|output)|rd|stopbits|logging synchronous)\b"
)


def read(source: str, file: str) -> Reading:
    """The configuration in `source`. Raises Mistakes: JB2401, every line that cannot be read."""
    return _Reader(file, []).read(source, READER, "!", "end")


class _Port(Port):
    """With its zone."""

    zone: str = ""


class _Reader(Draft[_Port]):
    """The draft of a device: `first` reads interfaces, zones, processes and filters."""

    def __init__(self, file: str, faults: list[Unknown]) -> None:
        super().__init__(file, faults)
        self.settings = [Setting(("ip", "forwarding"), 1)]  # IOS-XE routes IPv4 unless told not to
        self.zones = ZonePairs(file, faults)
        self.redundancy = Redundancy()
        self.instances: set[str] = set()
        self.keyed: dict[tuple[str, str, str], Phrases] = {}
        """What `crypto` says; behind "" what stands in the line itself."""
        self.keys: dict[str, dict[str, Phrases]] = {}
        """Keyring → address of the other end → what is said of it."""
        self.handed = ""
        """The AS whose routes OSPF may take."""
        self.default4 = True
        self.internal: set[int] = set()
        """Families in which routes of iBGP may be handed on."""

    # What others refer to

    def first(self, block: Block) -> None:
        match block.words:
            case ("redundancy",) | ("track", *_):
                self.redundancy.top(block)
            case ("parameter-map", "type", "inspect", "global"):
                said = phrases(block, "redundancy", "log dropped-packets")
                self.redundancy.mirrors = "redundancy" in said
            case ("hostname", name):
                self.hostname = name
                self.settings.append(Setting(("hostname", name), block.line))
            case ("ipv6", "unicast-routing"):
                self.settings.append(Setting(("ipv6", "forwarding"), block.line))
            case ("no", "ip", "routing"):
                self.settings.append(Setting(("no", "ip", "forwarding"), block.line))
            case ("router", "bgp", asn):
                self.handed = asn
            case ("vlan" | "spanning-tree", *_) if self.switch:
                self._switched(self.switch, block)
            case ("interface", name) if self.switch and name.startswith("Vlan"):
                off = any(below.words == ("shutdown",) for below in block.below)
                kept = [below for below in block.below if below.words != ("shutdown",)]
                self._interface(name, msgspec.structs.replace(block, below=kept))
                if not off:
                    vlan = identity(name.removeprefix("Vlan"), block.line)
                    self.switch.inner[vlan] = (self.ports[name].name, block.line)
            case ("interface", name) if self.switch and not name.startswith("Loopback"):
                self._socket(self.switch, name, block)
            case ("interface", name):
                self._interface(name, block)
            case ("zone", "security", name):
                self.zones.zones[name] = block.line
            case ("vrf", "definition", name):
                self.instances.add(name)
            case ("crypto", *rest):
                self._crypto(rest, block)
            case ("router", "ospf", process):
                self._process(4, process, block)
            case ("ipv6", "router", "ospf", process):
                self._process(6, process, block)
            case ("ip", "access-list", "standard" | "extended" as kind, name):
                self.zones.read_access(4, name, kind == "extended", block)
            case ("ipv6", "access-list", name):
                self.zones.read_access(6, name, True, block)
            case ("class-map", "type", "inspect", "match-all" | "match-any" as kind, name):
                self.zones.read_class(name, kind == "match-all", block)
            case ("policy-map", "type", "inspect", name):
                self.zones.read_policy(name, block)

    def _crypto(self, words: Sequence[str], block: Block) -> None:
        match words:
            case ["ikev2", "keyring", name]:
                for below in block.below:
                    if below.words[:1] != ("peer",):
                        raise Unknown(below.line, " ".join(below.words))
                    said = phrases(below, "address", "pre-shared-key")
                    self.keys[name] = {**self.keys.get(name, {}), said["address"][0]: said}
            case [one, two, name, *transforms] if (one, two) in KEYED:
                self.keyed[one, two, name] = {"": tuple(transforms), **phrases(block, *KEYED[one, two])}
            case _:
                raise Unknown(block.line, f"crypto {' '.join(words)}")

    def _tunnel(self, tunnel: Tunnel, block: Block) -> bool:
        """Take a line of a tunnel; False: it is none."""
        match block.words:
            case ("ip" | "ipv6", "mtu", _) | ("ip", "tcp", "adjust-mss", _) | ("tunnel", "mode", "gre", "ip"):
                pass
            case ("tunnel", "source", physical):
                tunnel.source = physical
            case ("tunnel", "destination", address):
                tunnel.far = address
            case ("tunnel", "vrf", instance):
                tunnel.instance = instance
            case ("tunnel", "protection", "ipsec", "profile", name):
                tunnel.profile, tunnel.line = name, block.line
            case _:
                return False
        return True

    # Of a switch

    def _switched(self, switch: Switch, block: Block) -> None:
        match block.words:
            case ("vlan", numbers):
                for found in identities([numbers], block.line):
                    vlan = switch.vlan(str(found), block.line)
                    for below in block.below:
                        if below.words[0] != "name" or len(below.words) != 2:
                            raise Unknown(below.line, " ".join(below.words))
                        vlan.name, vlan.line = below.words[1], below.line
            case ("spanning-tree", "mode", mode):
                switch.protocol, switch.line = mode, block.line
            case ("spanning-tree", "vlan", numbers, "priority", value):
                switch.priorities |= dict.fromkeys(identities([numbers], block.line), int(value))
            case ("spanning-tree", "portfast", "bpduguard", "default"):
                switch.guards = True
            case ("spanning-tree", "extend", "system-id") | ("spanning-tree", "loopguard", "default"):
                pass
            case _:
                raise Unknown(block.line, " ".join(block.words))

    def _socket(self, switch: Switch, physical: str, block: Block) -> None:
        said = [" ".join(below.words[1:]) for below in block.below if below.words[0] == "description"]
        # As delivered it agrees with the other end on what it is, and a trunk carries everything.
        socket = switch.socket(physical, said[0] if said else physical, block.line, "dynamic")
        socket.allowed = EVERY

        def take(below: Block) -> None:
            match below.words:
                case ("description", *_) | ("no", "shutdown") | ("no", "ip", "address") | ("negotiation", "auto"):
                    return
                case ("switchport",) | ("switchport", "nonegotiate"):
                    return
                case ("shutdown",):
                    what, socket.shut = "shut", True
                case ("switchport", "mode", "access" | "trunk" as mode):
                    what, socket.mode = "mode", mode
                case ("switchport", "access", "vlan", vlan):
                    what, socket.access = "access", identity(vlan, below.line)
                case ("switchport", "trunk", "native", "vlan", vlan):
                    what, socket.native = "native", identity(vlan, below.line)
                case ("switchport", "trunk", "allowed", "vlan", "none"):
                    what, socket.allowed = "allowed", frozenset()
                case ("switchport", "trunk", "allowed", "vlan", "add", numbers):
                    what, socket.allowed = "allowed", socket.allowed | {*identities([numbers], below.line)}
                case ("switchport", "trunk", "allowed", "vlan", numbers):
                    what, socket.allowed = "allowed", frozenset(identities([numbers], below.line))
                case ("spanning-tree", "portfast") | ("spanning-tree", "portfast", "trunk"):
                    # On a trunk the first form does nothing.
                    what, socket.edge = "edge", len(below.words) == 3 or socket.mode != "trunk"
                case ("spanning-tree", "bpduguard", "enable"):
                    what, socket.guarded = "guarded", True
                case ("channel-group", number, "mode", mode):
                    what, socket.group, socket.lacp = "group", f"Port-channel{int(number)}", mode == "active"
                case _:
                    raise Unknown(below.line, " ".join(below.words))
            socket.said[what] = below.line

        each(block.below, take, self.faults)

    def _process(self, family: int, process: str, block: Block) -> None:
        routers = [below.words[1] for below in block.below if below.words[:1] == ("router-id",)]
        self.process(family, process, routers[0] if routers else "", block.line, EXTERNAL)

    def _interface(self, physical: str, block: Block) -> None:
        name = self.described(physical, block)
        port = self.ports[physical] = _Port(name, block.line)
        tunnel = Tunnel(block.line) if physical.startswith("Tunnel") else None
        if tunnel:
            self.tunnels[physical] = tunnel
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
                    # A zone's may be that of the site's switches; a line's number is its VLAN id.
                    if physical.rpartition(".")[2] != vlan and not name.startswith("z-"):
                        raise Unknown(below.line, f"{physical} has VLAN {vlan}")
                    port.settings.append(Setting(("dot1q", vlan), below.line))
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
                case ("redundancy", "rii", number):
                    port.settings.append(Setting(("rii", str(int(number))), below.line))
                case _:
                    if self.redundancy.inside(name, below):
                        return
                    if tunnel is None or not self._tunnel(tunnel, below):
                        raise Unknown(below.line, " ".join(below.words))

        each(block.below, take, self.faults)

    # The rest

    def second(self, block: Block) -> None:
        text = " ".join(block.words)
        match block.words:
            case ("hostname", _) | ("ipv6", "unicast-routing") | ("no", "ip", "routing") | ("zone", "security", _):
                return
            case ("vlan", *_) if self.switch:
                return
            case ("redundancy",) | ("track", *_) | ("parameter-map", "type", "inspect", "global"):
                return
            case ("ip", "access-list", *_) | ("ipv6", "access-list", _) | ("class-map" | "policy-map" | "crypto", *_):
                return
            case ("interface", name):
                port = self.ports.get(name)
                if port:  # else it is among the faults already
                    self._joined(port, block)
            case ("zone-pair", "security", _, "source", source, "destination", target):
                self.zones.read_pair(source, target, block)
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
        for below in block.below:
            if below.words[:2] == ("zone-member", "security") and port.zone not in self.zones.zones:
                raise Unknown(below.line, f"zone {port.zone} is not defined")
        if block.words[1] == APART and not port.instance:
            raise Unknown(block.line, f"{APART} is in no instance: what comes in there would be forwarded")
        if block.words[1] == APART and port.zone:
            raise Unknown(block.line, f"{APART} is in a zone: the firewall does not see it")
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
                if self.handed and asn != self.handed:
                    raise Unknown(block.line, f"redistribute bgp {asn}: this device is {self.handed}")
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
                self.peers[address] = Peer(line, asn)
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
        prefix = canonical(rest[1], family)
        low, high = (options.get(bound, "") for bound in ("ge", "le"))
        self.entry((family, name), number, rest[0] == "permit", prefix, low, high, line)

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
        self.stanza(name, number, permit, block.line, matches, sets, f"entry {number} of route map {name}")

    def _static(self, family: int, prefix: str, target: str, rest: Sequence[str], line: int) -> None:
        if len(rest) > 1 or (rest and not rest[0].isdigit()):
            raise Unknown(line, f"{prefix} {target} {' '.join(rest)}")
        to = "blackhole" if target == "Null0" else spelled(target)
        self.statics.append(frr.Static(family, canonical(prefix, family), to, int(rest[0]) if rest else 1, line))

    # Put together

    def shield(self, tunnel: Tunnel) -> tuple[Shield, str]:
        protection = self.keyed["ipsec", "profile", tunnel.profile]
        profile = self.keyed["ikev2", "profile", protection["set ikev2-profile"][0]]
        esp = self.keyed["ipsec", "transform-set", protection["set transform-set"][0]]
        policies = [
            said for (_, what, _), said in self.keyed.items()
            if what == "policy" and said.get("match fvrf") == (tunnel.instance,)
        ]  # fmt: skip
        if (
            len(policies) != 1
            or profile.get("match fvrf") != (tunnel.instance,)
            or tunnel.instance not in self.instances
        ):
            raise Unknown(tunnel.line, f"no IKEv2 policy, or no profile, is for instance {tunnel.instance}")
        if profile["match identity remote address"] != (tunnel.far, "255.255.255.255"):
            raise Unknown(
                tunnel.line, f"profile {tunnel.profile} speaks to {profile['match identity remote address'][0]}"
            )
        ike = self.keyed["ikev2", "proposal", policies[0]["proposal"][0]]
        proofs = {profile[f"authentication {side}"][0] for side in ("remote", "local")}
        proof = {"pre-share": "secret"}.get("+".join(sorted(proofs)), "+".join(sorted(proofs)))
        key = self.keys[profile["keyring local"][0]][tunnel.far] if "keyring local" in profile else {}
        digests = {_algorithm(words[0]) for head, words in ike.items() if head in ("integrity", "prf")}
        known: dict[tuple[str, ...], tuple[str, str]] = {("esp-aes", "256", "esp-sha256-hmac"): ("aes-256", "sha-256")}
        payload, seal = known.get(esp[""], ("+".join(esp[""]), ""))
        return Shield(
            "2", proof, _algorithm(ike["encryption"][0]), "+".join(sorted(digests)), ike["group"][0], payload, seal,
            next(iter(esp.get("mode", ())), "tunnel"),
        ), referred(key.get("pre-shared-key", ("",))[-1])  # fmt: skip

    def sharing(self) -> sharing.Config | None:
        names = {physical: port.name for physical, port in self.ports.items()}
        return self.redundancy.config(self.file, names, self.networks_of())

    def config(self, end: int) -> frr.Config:
        group = self.redundancy.group
        self.beat = self.shared(group.control, group.line).name if group and group.control else ""
        for family, (_, draft) in self.processes.items():
            for origin in draft.redistributes:
                if family not in self.internal:
                    what = "redistribute bgp without `bgp redistribute-internal`: eBGP alone is not computed"
                    raise Unknown(origin.line, what)
        return super().config(end)

    def ruleset(self, end: int) -> filters.Ruleset:
        """The zones and what goes between them."""
        members = {port.name: port.zone for port in self.ports.values() if port.zone}
        apart = tuple(port.name for physical, port in self.ports.items() if physical == APART)
        away = tuple(port.name for port in self.ports.values() if port.instance)
        return self.zones.ruleset(end, members, apart, away)


def _algorithm(word: str) -> str:
    """An algorithm as the proof calls it; one that it does not know as IOS-XE does."""
    return {"aes-cbc-256": "aes-256", "sha256": "sha-256"}.get(word, word)
