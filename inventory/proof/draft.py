"""What a vendor's device is configured to do, while its lines are read: what no vendor's syntax tells apart.

Each vendor's reader is a `Draft` that knows its lines: they fill it, and what they come to is put together here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar

import msgspec

from inventory.proof import filters, frr, interval, sharing
from inventory.proof.blocks import Block, Unknown, each, parse, refuse
from inventory.proof.frr import Setting
from inventory.proof.reading import Reading
from inventory.proof.shielding import Said, Shield
from inventory.proof.sockets import Switch
from inventory.proof.words import leads

OSPF4, OSPF6 = ("ip", "ospf"), ("ipv6", "ospf6")


class Port(msgspec.Struct):
    """An interface as it is configured."""

    name: str
    """Its description: the logical name."""
    line: int
    settings: list[Setting] = []
    networks: list[str] = []
    """Its addresses with their lengths."""
    timers: tuple[Setting, ...] = ()
    """Of BFD sessions over it, where the vendor sets them there."""
    instance: str = ""


class Tunnel(msgspec.Struct):
    """A tunnel as it is configured."""

    line: int
    source: str = ""
    """The interface that it goes over, as the device calls it."""
    far: str = ""
    """Address of its other end."""
    instance: str = ""
    """Where that lies."""
    profile: str = ""
    """What encrypts it; empty: nothing does."""


class Peer(msgspec.Struct):
    """A BGP neighbour as it is configured."""

    line: int
    asn: str
    settings: dict[str, Setting] = {}
    policies: dict[tuple[int, str], Setting] = {}
    options: dict[tuple[int, str], Setting] = {}
    families: set[int] = set()
    bfd: int = 0
    """The line that asks for a session; 0 without one."""
    timers: tuple[Setting, ...] = ()
    """Of its BFD session, where the vendor sets them here."""


AnyPort = TypeVar("AnyPort", bound=Port)


class Draft(ABC, Generic[AnyPort]):
    """The draft of a device. `first` reads what others refer to (interfaces, zones, processes), `second` the rest."""

    def __init__(self, file: str, faults: list[Unknown]) -> None:
        self.file, self.faults = file, faults
        self.hostname = ""
        self.settings: list[Setting] = []
        self.ports: dict[str, AnyPort] = {}
        self.tunnels: dict[str, Tunnel] = {}
        self.processes: dict[int, tuple[str, frr.Ospf]] = {}
        self.lists: dict[tuple[int, str], list[frr.PrefixEntry]] = {}
        self.maps: dict[str, list[frr.Stanza]] = {}
        self.statics: list[frr.Static] = []
        self.profiles: dict[str, tuple[Setting, ...]] = {}
        self.bgp: Block | None = None
        self.router_id = ""
        self.peers: dict[str, Peer] = {}
        self.networks: list[frr.Origin] = []
        self.redistributes: list[frr.Origin] = []
        self.aggregates: list[frr.Aggregate] = []
        self.default4 = False
        """Whether a neighbour with an IPv4 address takes IPv4 routes unasked."""
        self.beat = ""
        """Logical name of the interface that the other device of a pair is heard on: no routes lead over it."""
        self.switch: Switch | None = None
        """Of a text with VLANs; what else is about switching is known in such a one alone."""

    @abstractmethod
    def first(self, block: Block) -> None: ...

    @abstractmethod
    def second(self, block: Block) -> None: ...

    @abstractmethod
    def shield(self, tunnel: Tunnel) -> tuple[Shield, str]:
        """What encrypts a tunnel, and the name of the ends' secret (`-` without one). Raises Unknown; LookupError: it is nowhere."""

    @abstractmethod
    def ruleset(self, end: int) -> filters.Ruleset:
        """What the device lets through; `end`: the last line of the text. Raises Unknown."""

    def sharing(self) -> sharing.Config | None:
        """The device's part in a pair; None: it says nothing of any. Raises Unknown."""
        return None

    def read(self, source: str, reader: str, sign: str, closing: str, *, indented: bool = False) -> Reading:
        """The configuration in `source`, whose last line is `closing`. Raises Mistakes: JB2401, every line that cannot be read."""
        top, faults = parse(source, sign, indented=indented)
        self.faults.extend(faults)
        if any(block.words[0] == "vlan" for block in top):
            self.switch = Switch(self.file, {}, {}, {}, "", {})
        each(top, self.first, self.faults)
        each(top, self.second, self.faults)
        for physical, tunnel in self.tunnels.items():
            try:
                self.shielded(physical, tunnel)
            except Unknown as error:
                self.faults.append(error)
            except LookupError as error:
                self.faults.append(Unknown(tunnel.line, f"{physical}: {error} is nowhere"))
            except ValueError as error:
                self.faults.append(Unknown(tunnel.line, f"{physical}: {error}"))
        end = source.count("\n") + 1
        if not top or top[-1].words != (closing,):
            self.faults.append(Unknown(end, f"the text does not end with `{closing}`: it is cut off"))
        config = ruleset = pair = None
        try:
            config, ruleset, pair = self.config(end), self.ruleset(end), self.sharing()
        except Unknown as error:
            self.faults.append(error)
        refuse(self.faults, self.file, reader)
        assert config and ruleset
        return Reading(config, ruleset, self.switch.settled() if self.switch else None, pair)

    # What lines add

    def described(self, physical: str, block: Block) -> str:
        """The logical name of an interface: its description, or its own name. Raises Unknown where another has it."""
        said = [below.words[1:] for below in block.below if below.words[0] == "description"]
        name = " ".join(said[0]) if said else physical
        if name in {port.name for port in self.ports.values()}:
            raise Unknown(block.line, f"a second interface is described as {name}")
        return name

    def shielded(self, physical: str, tunnel: Tunnel) -> None:
        """A line as its tunnel protects it: a setting of the interface. Raises Unknown, LookupError."""
        below = self.ports[tunnel.source]
        if not below.instance or below.instance != tunnel.instance:
            raise Unknown(tunnel.line, f"{physical} goes over {tunnel.source}, which is in another instance or in none")
        if self.ports[physical].instance:
            raise Unknown(tunnel.line, f"tunnel {physical} is in an instance: that is not computed")
        if len(below.networks) != 1 or not leads(below.networks, tunnel.far):
            raise Unknown(tunnel.line, f"{tunnel.far} is not at the other end of {tunnel.source}")
        if tunnel.profile:
            shield, secret = self.shield(tunnel)
            said = Said(shield.suite(), below.networks[0], tunnel.far, secret, below.name)
            self.ports[physical].settings.append(said.setting(tunnel.line))

    def process(self, family: int, process: str, router: str, line: int, external: int) -> None:
        """An OSPF process; `external`: the vendor's own distance of external routes. Raises Unknown on a second one of a family."""
        if family in self.processes:
            raise Unknown(line, "a second process: only one is computed")
        draft = frr.Ospf(family, line, router, (), {}, {}, (), None, {}, external=external)
        self.processes[family] = (process, draft)

    def entry(
        self, key: tuple[int, str], number: int, permit: bool, prefix: str, low: str, high: str, line: int
    ) -> None:
        """An entry of the prefix list `key`; `low`, `high`: the lengths said, empty where none. Raises Unknown."""
        family, name = key
        _, base, length = interval.prefix(prefix)
        least = int(low or length)
        most = int(high or (interval.BITS[family] if low else length))
        if not length <= least <= most <= interval.BITS[family]:
            raise Unknown(line, f"lengths of prefix list {name}")
        self.lists[key].append(frr.PrefixEntry(number, permit, family, base, length, least, most, line))

    def stanza(
        self, name: str, number: int, permit: bool, line: int, matches: Sequence[Setting], sets: Sequence[Setting],
        title: str,
    ) -> None:  # fmt: skip
        """A stanza of a route policy; `title` names it in the vendor's words. Raises Unknown where its number is taken."""
        if any(stanza.seq == number for stanza in self.maps.get(name, [])):
            raise Unknown(line, f"{title} stands twice")
        self.maps.setdefault(name, []).append(frr.Stanza(number, permit, line, tuple(matches), tuple(sets)))

    # Put together

    def shared(self, physical: str, line: int) -> AnyPort:
        """The interface of a heartbeat: OSPF would make the two devices neighbours there, and their routes lead over it. Raises Unknown."""
        port = self.ports.get(physical)
        if port is None:
            raise Unknown(line, f"interface {physical} is not configured")
        if any(setting.words[:2] in (OSPF4, OSPF6) and setting.words[2] == "area" for setting in port.settings):
            raise Unknown(line, f"OSPF runs on {physical}: a heartbeat carries no routes")
        return port

    def networks_of(self) -> dict[str, list[str]]:
        """Interface → its own addresses with their lengths, in both families."""
        return {
            port.name: [s.words[2] for s in port.settings if s.words[:2] in (("ip", "address"), ("ipv6", "address"))]
            for port in self.ports.values()
        }

    def config(self, end: int) -> frr.Config:
        """The routing as the proof computes with it. Raises Unknown."""
        bgp = None
        if self.bgp:
            bgp = frr.Bgp(
                int(self.bgp.words[-1]), self.bgp.line, self.router_id, self._neighbours(), tuple(self.networks),
                tuple(self.redistributes), tuple(self.aggregates), False, True, (),
            )  # fmt: skip
        maps = {name: tuple(sorted(stanzas, key=lambda s: s.seq)) for name, stanzas in self.maps.items()}
        interfaces = {
            port.name: frr.Interface(port.name, port.line, tuple(port.settings))
            for port in self.ports.values()
            if not port.instance and port.name != self.beat
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
                # Else the session's timers are those of the interface that leads to the neighbour.
                here = (port for port in self.ports.values() if not port.instance)
                over = (port.timers for port in here if leads(port.networks, address))
                self.profiles[title] = peer.timers or next(over, ())
                settings["bfd"] = Setting(("neighbor", address, "bfd", "profile", title), peer.bfd)
            found[address] = frr.Neighbour(
                address, peer.asn, peer.line, settings, peer.policies, {}, frozenset(families), peer.options
            )
        return found
