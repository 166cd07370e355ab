"""Reader of a Comware 7 configuration, after H3C's command references: the routes a device takes and gives, and what it lets through.

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
from inventory.proof.rbm import Rbm
from inventory.proof.reading import Reading
from inventory.proof.shielding import Shield
from inventory.proof.sockets import VLANS, Switch, identities, identity
from inventory.proof.words import Phrases, area_number, canonical, mask_length, paired, phrases, referred, spelled

READER = "inventory/proof/comware.py"
PREFERENCES = ("20", "200", "200")
"""Of eBGP, iBGP and own routes: what `routes.py` computes with. Comware's own are 255, 255 and 130."""
OSPF_PREFERENCE = "110"
"""Of OSPF's inner routes, likewise. Comware's own is 10, before eBGP."""
STATIC_PREFERENCE = 60
EXTERNAL = 150
"""Its own distance of OSPF's external routes."""
ZONES = ("Local", "Trust", "DMZ", "Untrust", "Management")
"""Zones that are there without being made."""
INNER = ("Vlan-interface", "LoopBack")
"""Interfaces of a switch that are the device's own, and no ports."""
KEYED = {
    ("ip", "vpn-instance"): ("description",),
    ("pki", "domain"): ("undo crl check enable", "ca identifier", "certificate request", "public-key"),
    ("ipsec", "transform-set"): ("encapsulation-mode", "protocol esp", "esp encryption-algorithm", "esp authentication-algorithm"),
    ("ipsec", "profile"): ("transform-set", "ike-profile", "ikev2-profile"),
    ("ike", "proposal"): ("authentication-method", "encryption-algorithm", "authentication-algorithm", "dh"),
    ("ike", "profile"): ("certificate domain", "exchange-mode", "local-identity address", "match remote identity address",
                         "proposal"),
    ("ikev2", "proposal"): ("encryption", "integrity", "dh", "prf"),
    ("ikev2", "policy"): ("match vrf name", "proposal"),
    ("ikev2", "profile"): ("authentication-method local", "authentication-method remote", "keychain", "identity local address",
                           "match vrf name", "match remote identity address"),
}  # fmt: skip
"""Views of what encrypts lines, and what may stand there."""
TIMERS = {"min-transmit-interval": "transmit-interval", "min-receive-interval": "receive-interval",
          "detect-multiplier": "detect-multiplier"}  # fmt: skip
_PLAIN = re.compile(
    r"^(version|telnet server disable|undo telnet server|dns (domain|server)|ipv6 dns server|snmp-agent|ssh (server|user)|info-center|"
    r"ntp-service|clock|lldp|undo lldp|irf|password-recovery|undo (ip|ipv6|http) http|ip (http|https) |header|scheduler|return$)"
)
_PLAIN_VIEWS = re.compile(
    r"^(acl (ipv6 )?basic \S+|line (vty|class|con|aux)[\w ]*|role name \S+|local-user \S+ class manage|ssl client-policy \S+|"
    r"domain (name )?\S+|user-group \S+)$"
)
_PLAIN_BELOW = re.compile(
    r"^(description .*|rule .*|step \d+|authentication-mode scheme|protocol inbound ssh|idle-timeout .*|user-role .*|password hash .*|"
    r"service-type ssh|authorization-attribute user-role .*|version tls1\.[23])$"
)


def read(source: str, file: str) -> Reading:
    """The configuration in `source`. Raises Mistakes: JB2401, every line that cannot be read."""
    return _Reader(file, []).read(source, READER, "#", "return", indented=True)


class _Rule(msgspec.Struct):
    """One rule of a security policy; zones and conditions that are empty mean any."""

    line: int
    family: int
    entries: list[str]
    exits: list[str]
    sources: list[str]
    targets: list[str]
    services: list[tuple[Match, ...]]
    comment: str = ""
    accepts: bool = False
    disabled: bool = False


class _Reader(Draft[Port]):
    """The draft of a device: `first` reads interfaces, zones, groups and processes."""

    def __init__(self, file: str, faults: list[Unknown]) -> None:
        super().__init__(file, faults)
        # Comware forwards both families; there is no line for it.
        self.settings = [Setting((kind, "forwarding"), 1) for kind in ("ip", "ipv6")]
        self.zones: dict[str, list[str]] = {zone: [] for zone in ZONES}
        self.groups: dict[str, tuple[int, Block, list[str]]] = {}
        self.keyed: dict[tuple[str, str, str], Phrases] = {}
        self.keys: dict[str, dict[str, Phrases]] = {}
        """Keychain → address of the other end → what is said of it."""
        self.rbm = Rbm()
        self.loose = False
        self.intrazone: tuple[bool, int] = (False, 0)
        self.rules: list[_Rule] = []
        self.policies: dict[int, Block] = {}

    # What others refer to

    def first(self, block: Block) -> None:
        match block.words:
            case ("sysname", name):
                self.hostname = name
                self.settings.append(Setting(("hostname", name), block.line))
            case ("session", "state-machine", "mode", "loose"):
                self.loose = True
            case ("remote-backup", "group"):
                self.rbm.line = block.line
                each(block.below, self.rbm.take, self.faults)
            case ("security-zone", "intra-zone", "default", "permit"):
                self.intrazone = (True, block.line)
            case ("vlan" | "stp", *_) if self.switch:
                self._switched(self.switch, block)
            case ("interface", name) if self.switch and not name.startswith(INNER):
                self._socket(self.switch, name, block)
            case ("interface", name):
                self._interface(name, block)
                if self.switch and name.startswith("Vlan-interface"):
                    vlan = identity(name.removeprefix("Vlan-interface"), block.line)
                    self.switch.inner[vlan] = (self.ports[name].name, block.line)
            case ("interface", name, "mode", "gre"):
                self.tunnels[name] = Tunnel(block.line)
                self._interface(name, block)
            case (one, two, name, *_) if (one, two) in KEYED:
                self.keyed[one, two, name] = phrases(block, *KEYED[one, two])
            case ("ikev2", "keychain", name):
                for below in block.below:
                    if below.words[:1] != ("peer",):
                        raise Unknown(below.line, " ".join(below.words))
                    said = phrases(below, "address", "pre-shared-key plaintext", "pre-shared-key ciphertext")
                    self.keys[name] = {**self.keys.get(name, {}), said["address"][0]: said}
            case ("object-group", "ip" | "ipv6" as kind, "address", name):
                if name in self.groups:
                    raise Unknown(block.line, f"a second group {name}")
                self.groups[name] = (4 if kind == "ip" else 6, block, [])
                each(block.below, partial(self._object, name), self.faults)
            case ("ospf", process, "router-id", router):
                self.process(4, process, router, block.line, EXTERNAL)
            case ("ospfv3", process):
                routers = [below.words[1] for below in block.below if below.words[:1] == ("router-id",)]
                self.process(6, process, routers[0] if routers else "", block.line, EXTERNAL)

    def _object(self, name: str, block: Block) -> None:
        family, _, elements = self.groups[name]
        match block.words:
            case ("description", *_):
                pass
            case (_, "network", "host", "address", address):
                elements.append(canonical(f"{address}/{interval.BITS[family]}", family))
            case (_, "network", "subnet", address, length):
                elements.append(canonical(f"{address}/{mask_length(length)}", family))
            case _:
                raise Unknown(block.line, " ".join(block.words))

    def _interface(self, physical: str, block: Block) -> None:
        name = self.described(physical, block)
        port = self.ports[physical] = Port(name, block.line)
        said = {below.words for below in block.below}
        if "." in physical and not any(words[:3] == ("vlan-type", "dot1q", "vid") for words in said):
            raise Unknown(block.line, f"subinterface {physical} has no VLAN: nothing passes it")

        def take(below: Block) -> None:
            match below.words:
                case (
                    ("description", *_) | ("port", "link-mode", "route") | ("undo", "shutdown") | ("combo", "enable", _)
                ):
                    pass
                case ("vlan-type", "dot1q", "vid", vlan):
                    # A zone's may be that of the site's switches; a line's number is its VLAN id.
                    if physical.rpartition(".")[2] != vlan and not name.startswith("z-"):
                        raise Unknown(below.line, f"{physical} has VLAN {vlan}")
                    port.settings.append(Setting(("dot1q", vlan), below.line))
                case ("ip", "address", "dhcp-alloc"):
                    pass
                case ("ip", "address", address, mask, *rest) if rest in ([], ["sub"]):
                    port.networks.append(f"{address}/{mask_length(mask)}")
                    port.settings.append(Setting(("ip", "address", port.networks[-1]), below.line))
                case ("ipv6", "address", address, "link-local"):
                    port.settings.append(Setting(("ipv6", "address", f"{spelled(address)}/64"), below.line))
                case ("ipv6", "address", address):
                    port.networks.append(address.lower())
                    port.settings.append(Setting(("ipv6", "address", port.networks[-1]), below.line))
                case ("ip", "binding", "vpn-instance", instance):
                    port.instance = instance
                case ("bfd", "min-transmit-interval" | "min-receive-interval" | "detect-multiplier" as what, value):
                    port.timers += (Setting((TIMERS[what], str(int(value))), below.line),)
                case (("ospf" | "ospfv3"), *_):
                    pass  # when the processes are known
                case _:
                    if self.rbm.inside(name, below):
                        return
                    if physical not in self.tunnels or not self._tunnel(self.tunnels[physical], below):
                        raise Unknown(below.line, " ".join(below.words))

        each(block.below, take, self.faults)

    # Of a switch

    def _switched(self, switch: Switch, block: Block) -> None:
        match block.words:
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
            case ("vlan", *numbers):
                for found in identities(numbers, block.line):
                    switch.vlan(str(found), block.line)
            case ("stp", "mode", mode):
                switch.protocol, switch.line = mode, block.line
            case ("stp", "instance", "0", "priority", value) | ("stp", "priority", value):
                switch.priorities[0] = int(value)
            case ("stp", "bpdu-protection"):
                switch.guards = True
            case ("stp", "global", "enable"):
                pass
            case _:
                raise Unknown(block.line, " ".join(block.words))

    def _socket(self, switch: Switch, physical: str, block: Block) -> None:
        said = [" ".join(below.words[1:]) for below in block.below if below.words[0] == "description"]
        socket = switch.socket(physical, said[0] if said else physical, block.line, "access")

        def take(below: Block) -> None:
            match below.words:
                case ("description", *_) | ("undo", "shutdown") | ("lldp", *_) | ("port", "link-mode", "bridge"):
                    return
                case ("combo", "enable", _):
                    return
                case ("shutdown",):
                    what, socket.shut = "shut", True
                case ("port", "link-type", "access" | "trunk" as mode):
                    what, socket.mode = "mode", mode
                case ("port", "access", "vlan", vlan):
                    what, socket.access = "access", identity(vlan, below.line)
                case ("port", "trunk", "pvid", "vlan", vlan):
                    what, socket.native = "native", identity(vlan, below.line)
                case ("port", "trunk", "permit", "vlan", *numbers):
                    words = [f"{VLANS[0]}-{VLANS[-1]}"] if numbers == ["all"] else numbers
                    what, socket.allowed = "allowed", socket.allowed | {*identities(words, below.line)}
                case ("undo", "port", "trunk", "permit", "vlan", *numbers):
                    what, socket.allowed = "allowed", socket.allowed - {*identities(numbers, below.line)}
                case ("stp", "edged-port"):
                    what, socket.edge = "edge", True
                case ("port", "link-aggregation", "group", number):
                    what, socket.group = "group", f"Bridge-Aggregation{int(number)}"
                case ("link-aggregation", "mode", "dynamic"):
                    what, socket.lacp = "lacp", True
                case _:
                    raise Unknown(below.line, " ".join(below.words))
            socket.said[what] = below.line

        each(block.below, take, self.faults)

    def _tunnel(self, tunnel: Tunnel, block: Block) -> bool:
        """Take a line of a tunnel; False: it is none."""
        match block.words:
            case ("mtu", _) | ("tcp", "mss", _):
                pass
            case ("source", physical):
                tunnel.source = physical
            case ("destination", address):
                tunnel.far = address
            case ("tunnel", "vpn-instance", instance):
                tunnel.instance = instance
            case ("tunnel", "protection", "ipsec", "profile", name):
                tunnel.profile, tunnel.line = name, block.line
            case _:
                return False
        return True

    # The rest

    def second(self, block: Block) -> None:
        text = " ".join(block.words)
        match block.words:
            case ("sysname", _) | ("session", "state-machine", "mode", "loose") | ("object-group", *_):
                return
            case ("security-zone", "intra-zone", "default", "permit") | ("remote-backup", "group"):
                return
            case ("vlan" | "stp", *_) if self.switch:
                return
            case (one, two, _, *_) if (one, two) in KEYED or two == "keychain":
                return
            case ("interface", name, *_):
                port = self.ports.get(name)
                if port:  # else it is among the faults already
                    each(block.below, partial(self._ospf_of, port), self.faults)
                    # Comware's own cost of a port of 1 Gbit/s; `find` takes the first line that fits.
                    port.settings += [Setting((*head, "cost", "1"), port.line) for head in (OSPF4, OSPF6)]
            case ("security-zone", "name", name):
                self._zone(name, block)
            case ("bgp", _):
                if self.bgp:
                    raise Unknown(block.line, "a second `bgp`: one instance is computed")
                self.bgp = block
                each(block.below, self._bgp, self.faults)
                self._preferences(block)
            case ("ospf" | "ospfv3" as kind, *_):
                each(block.below, partial(self._ospf, 4 if kind == "ospf" else 6), self.faults)
                if not any(below.words == ("preference", OSPF_PREFERENCE) for below in block.below):
                    what = f"{kind} without `preference {OSPF_PREFERENCE}`: its own 10 goes before eBGP, the proof computes otherwise"
                    raise Unknown(block.line, what)
            case ("ip" | "ipv6" as kind, "prefix-list", name, *rest):
                self._prefix_list(4 if kind == "ip" else 6, name, rest, block.line)
            case ("route-policy", name, "permit" | "deny" as verdict, "node", number):
                self._route_policy(name, verdict == "permit", int(number), block)
            case ("ip", "route-static", address, mask, target, *rest):
                self._static(4, f"{address}/{mask_length(mask)}", target, rest, block.line)
            case ("ipv6", "route-static", address, length, target, *rest):
                self._static(6, f"{address}/{length}", target, rest, block.line)
            case ("security-policy", "ip" | "ipv6" as kind):
                family = 4 if kind == "ip" else 6
                self.policies[family] = block
                each(block.below, partial(self._rule, family), self.faults)
            case _:
                if _PLAIN_VIEWS.match(text):
                    for below in block.below:
                        if not _PLAIN_BELOW.match(" ".join(below.words)):
                            self.faults.append(Unknown(below.line, " ".join(below.words)))
                elif not _PLAIN.match(text):
                    raise Unknown(block.line, text)

    def _zone(self, name: str, block: Block) -> None:
        held = self.zones.setdefault(name, [])
        for below in block.below:
            match below.words:
                case ("description", *_):
                    pass
                case ("import", "interface", physical):
                    port = self.ports.get(physical)
                    if port is None:
                        raise Unknown(below.line, f"interface {physical} is not configured")
                    if any(port.name in other for other in self.zones.values()):
                        raise Unknown(below.line, f"{physical} is in a zone already")
                    held.append(port.name)
                case _:
                    raise Unknown(below.line, " ".join(below.words))

    def _ospf_of(self, port: Port, block: Block) -> None:
        kind = block.words[0]
        if kind not in ("ospf", "ospfv3"):
            return
        family = 4 if kind == "ospf" else 6
        head = OSPF4 if family == 4 else OSPF6
        match block.words[1:]:
            case (process, "area", area):
                if self.processes.get(family, ("",))[0] != process:
                    raise Unknown(block.line, f"{kind} process {process} is not defined")
                port.settings.append(Setting((*head, "area", area_number(area)), block.line))
            case ("network-type", "p2p"):
                port.settings.append(Setting((*head, "network", "point-to-point"), block.line))
            case ("cost", value):
                port.settings.append(Setting((*head, "cost", str(int(value))), block.line))
            case ("timer", "hello" | "dead" as what, value):
                port.settings.append(Setting((*head, f"{what}-interval", str(int(value))), block.line))
            case ("bfd", "enable"):
                title = f"{port.name} bfd"
                port.settings.append(Setting((*head, "bfd"), block.line))
                port.settings.append(Setting((*head, "bfd", "profile", title), block.line))
                self.profiles[title] = port.timers
            case _:
                raise Unknown(block.line, " ".join(block.words))

    def _ospf(self, family: int, block: Block) -> None:
        process, draft = self.processes[family]
        replace = msgspec.structs.replace
        own = "bgp" if family == 4 else "bgp4+"
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
            case ("import-route", "bgp" | "bgp4+" as what, *rest) if what == own:
                if rest[:1] != ["allow-ibgp"]:
                    raise Unknown(block.line, f"import-route {what} without allow-ibgp: eBGP alone is not computed")
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
            case ("peer", address, *rest):
                self._peer(spelled(address), rest, block.line)
            case ("address-family", "ipv4" | "ipv6" as kind, "unicast"):
                each(block.below, partial(self._family, 4 if kind == "ipv4" else 6), self.faults)
            case _:
                raise Unknown(block.line, " ".join(block.words))

    def _preferences(self, block: Block) -> None:
        for below in block.below:
            if below.words[0] == "address-family":
                said = [inner.words[1:] for inner in below.below if inner.words[0] == "preference"]
                if said != [PREFERENCES]:
                    have = " ".join(said[0]) if said else "255 255 130"
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
            case ["bfd"]:
                peer.bfd = line
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
                prefix = canonical(f"{address}/{mask_length(length)}", family)
                self.networks.append(frr.Origin(family, prefix, "", line))
            case ("aggregate", address, length, *rest) if not set(rest) - {"detail-suppressed"}:
                prefix = canonical(f"{address}/{mask_length(length)}", family)
                self.aggregates.append(frr.Aggregate(family, prefix, bool(rest), line))
            case ("import-route", "direct" | "static" as what, *rest):
                options = paired(rest, {"route-policy", "med"}, line)
                kind = "connected" if what == "direct" else what
                self.redistributes.append(frr.Origin(family, kind, options.get("route-policy", ""), line))
            case ("import-route", "ospf" | "ospfv3" as what, process, *rest):
                if self.processes.get(family, ("",))[0] != process or (what == "ospf") != (family == 4):
                    raise Unknown(line, f"{' '.join(block.words)}: no such process")
                options = paired(rest, {"route-policy", "med"}, line)
                own = "ospf" if family == 4 else "ospf6"
                self.redistributes.append(frr.Origin(family, own, options.get("route-policy", ""), line))
            case ("peer", address, *rest):
                self._activated(family, spelled(address), rest, line)
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
        if not 1 <= number <= 65535 or any(entry.seq == number for entry in entries):
            raise Unknown(line, f"index {number} of prefix list {name}: 1 to 65535, each once")
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
                case ("if-match", "ip" | "ipv6" as kind, "address", "prefix-list", listed):
                    matches.append(Setting(("match", kind, "address", "prefix-list", listed), below.line))
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

    def _rule(self, family: int, block: Block) -> None:
        match block.words:
            case ("rule", number, "name", _) if number.isdigit() and int(number) <= 65534:
                pass
            case _:
                raise Unknown(block.line, " ".join(block.words))
        rule = _Rule(block.line, family, [], [], [], [], [])
        for below in block.below:
            self._clause(rule, below)
        self.rules.append(rule)

    def _clause(self, rule: _Rule, block: Block) -> None:
        line = block.line
        match block.words:
            case ("description", *words):
                rule.comment = " ".join(words)
            case ("action", "pass" | "drop" as action):
                rule.accepts = action == "pass"
            case ("source-zone" | "destination-zone" as what, zone):
                if zone not in self.zones:
                    raise Unknown(line, f"zone {zone} is not defined")
                (rule.entries if what == "source-zone" else rule.exits).append(zone)
            case ("source-ip" | "destination-ip" as what, name):
                if name not in self.groups or self.groups[name][0] != rule.family:
                    raise Unknown(line, f"no group of IPv{rule.family} is called {name}")
                (rule.sources if what == "source-ip" else rule.targets).append(f"@{name}")
            case ("source-ip-host" | "destination-ip-host" as what, address):
                prefix = canonical(f"{address}/{interval.BITS[rule.family]}", rule.family)
                (rule.sources if what == "source-ip-host" else rule.targets).append(prefix)
            case ("source-ip-subnet" | "destination-ip-subnet" as what, address, length):
                prefix = canonical(f"{address}/{mask_length(length)}", rule.family)
                (rule.sources if what == "source-ip-subnet" else rule.targets).append(prefix)
            case ("service-port", *words):
                rule.services.append(_service(words, rule.family, line))
            case ("disable",):
                rule.disabled = True
            case ("logging" | "counting", "enable"):
                pass
            case _:
                raise Unknown(line, " ".join(block.words))

    # Put together

    def shield(self, tunnel: Tunnel) -> tuple[Shield, str]:
        profile = self.keyed["ipsec", "profile", tunnel.profile]
        kinds = [kind for kind in ("ike", "ikev2") if f"{kind}-profile" in profile]
        if len(kinds) != 1:
            raise Unknown(tunnel.line, f"profile {tunnel.profile}: one version of IKE is computed")
        peer = self.keyed[kinds[0], "profile", profile[f"{kinds[0]}-profile"][0]]
        esp = self.keyed["ipsec", "transform-set", profile["transform-set"][0]]
        self.keyed["ip", "vpn-instance", tunnel.instance]
        to = peer["match remote identity address"]
        if to[:2] not in ((tunnel.far,), (tunnel.far, "255.255.255.255"), (tunnel.far, "32")):
            raise Unknown(tunnel.line, f"profile {tunnel.profile} speaks to {to[0]}")
        made = self._first(peer, tunnel) if kinds[0] == "ike" else self._second(peer, tunnel)
        version, proof, cipher, digest, group, secret = made
        return Shield(
            version, proof, cipher, digest, group, _algorithm(esp["esp encryption-algorithm"][0]),
            _algorithm(esp["esp authentication-algorithm"][0]), next(iter(esp.get("encapsulation-mode", ())), "tunnel"),
        ), secret  # fmt: skip

    def _first(self, peer: Phrases, tunnel: Tunnel) -> tuple[str, str, str, str, str, str]:
        """IKEv1: version, proof, cipher, digest, group, secret."""
        if peer["match remote identity address"][-2:] != ("vpn-instance", tunnel.instance):
            raise Unknown(tunnel.line, f"the IKE profile of {tunnel.profile} is not for instance {tunnel.instance}")
        ike = self.keyed["ike", "proposal", peer["proposal"][0]]
        proof = next(iter(ike.get("authentication-method", ("pre-share",))))
        envelope = proof == "sm2-de" and peer.get("exchange-mode") == ("gm-main",)
        if envelope:
            self.keyed["pki", "domain", peer["certificate domain"][0]]
        group = "" if envelope else next(iter(ike.get("dh", ("group1",)))).removeprefix("group")
        cipher, digest = (_algorithm(ike[f"{what}-algorithm"][0]) for what in ("encryption", "authentication"))
        return "1", "certificate" if envelope else proof, cipher, digest, group, "-"

    def _second(self, peer: Phrases, tunnel: Tunnel) -> tuple[str, str, str, str, str, str]:
        """IKEv2, likewise. Its proposal is that of the policy for the instance."""
        policies = [
            said for (_, what, _), said in self.keyed.items()
            if what == "policy" and said.get("match vrf name") == (tunnel.instance,)
        ]  # fmt: skip
        if len(policies) != 1 or peer.get("match vrf name") != (tunnel.instance,):
            raise Unknown(tunnel.line, f"no IKEv2 policy, or no profile, is for instance {tunnel.instance}")
        ike = self.keyed["ikev2", "proposal", policies[0]["proposal"][0]]
        proofs = {peer[f"authentication-method {side}"][0] for side in ("local", "remote")}
        proof = {"pre-share": "secret"}.get("+".join(sorted(proofs)), "+".join(sorted(proofs)))
        key = self.keys[peer["keychain"][0]][tunnel.far] if "keychain" in peer else {}
        secret = next((referred(words[0]) for head, words in key.items() if head.startswith("pre-shared-key")), "-")
        digests = {_algorithm(ike[what][0]) for what in ("integrity", "prf")}
        cipher = _algorithm(ike["encryption"][0])
        return "2", proof, cipher, "+".join(sorted(digests)), ike["dh"][0].removeprefix("group"), secret

    def sharing(self) -> sharing.Config | None:
        return self.rbm.config(
            self.file, {physical: port.name for physical, port in self.ports.items()}, self.networks_of()
        )

    def config(self, end: int) -> frr.Config:
        channel = self.rbm.channel
        self.beat = self.shared(channel, self.rbm.line).name if channel else ""
        return super().config(end)

    def ruleset(self, end: int) -> filters.Ruleset:
        """The security policies of both families and the zones."""
        if not self.policies:
            return filters.Ruleset(self.file, (), True)
        line = min(block.line for block in self.policies.values())
        named = {
            name: zoned.Named(block.line, block.last, tuple(held)) for name, (_, block, held) in self.groups.items()
        }
        chains = {hook: list(self._chain(hook, line, named)) for hook in ("input", "forward", "output")}
        return zoned.ruleset(self.file, (line, end), named, chains, ("drop", line), (4, 6) if self.loose else ())

    def _chain(self, hook: str, line: int, named: dict[str, zoned.Named]) -> Iterator[filters.Rule]:
        held = [name for names in self.zones.values() for name in names]
        yield from zoned.outside(line, hook, held, [port.name for port in self.ports.values() if port.instance])
        yield from zoned.states(line, () if self.loose else (4, 6))
        for rule in self.rules:
            for one in self._meant(rule, hook):
                yield from zoned.expanded(one, named)
        if self.intrazone[0] and hook == "forward":
            for names in self.zones.values():
                if names:
                    inside = tuple(sorted(names))
                    ways = (Match("iif", names=inside), Match("oif", names=inside))
                    yield filters.Rule(self.intrazone[1], ways, "accept")

    def _meant(self, rule: _Rule, hook: str) -> Iterator[zoned.Rule]:
        """The rule at one hook; nothing where it is not asked."""
        if rule.disabled or (hook == "output" and rule.entries and "Local" not in rule.entries):
            return
        if hook == "input" and rule.exits and "Local" not in rule.exits:
            return
        yield zoned.Rule(
            rule.line, rule.accepts, rule.comment, (rule.family,),
            self._side(rule.entries) if rule.entries and hook != "output" else None,
            self._side(rule.exits) if rule.exits and hook != "input" else None,
            tuple(rule.sources), tuple(rule.targets), tuple(rule.services) or ((),),
        )  # fmt: skip

    def _side(self, zones: Iterable[str]) -> tuple[str, ...]:
        return tuple(sorted({name for zone in zones for name in self.zones[zone]}))


def _algorithm(word: str) -> str:
    """An algorithm as the proof calls it; one that it does not know as Comware does."""
    known = {"aes-cbc-256": "aes-256", "sha256": "sha-256", "sm4-cbc": "sm4"}
    return known.get(word, word)


def _service(words: Sequence[str], family: int, line: int) -> tuple[Match, ...]:
    """The conditions of a `service-port`."""
    protocol = zoned.NUMBERS.get(words[0], words[0])
    match list(words[1:]):
        case []:
            return zoned.kind(protocol)
        case ["destination", "eq", port] if protocol in ("tcp", "udp"):
            return zoned.kind(protocol, int(port))
        case ["destination", "range", low, high] if protocol in ("tcp", "udp"):
            return (Match("proto", names=(protocol,)), Match("dport", spans=((int(low), int(high)),)))
        case [kind, _] if protocol == ("icmp" if family == 4 else "icmpv6"):
            return zoned.kind(protocol, int(kind))
    raise Unknown(line, f"service-port {' '.join(words)}")
