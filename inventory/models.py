"""Models of devices: which physical port a logical interface has, and whether a plan's devices have the ports they need.

A dialect for vendors' devices has a `ports.yml` beside its templates. Ports go by what an interface is for and by its neighbour,
never by its place in a list: a new line renames no other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import msgspec

from ground.mistake import Mistake
from ip_plan.network import Choice, Device, Encrypted, Interface, Link, Network, Suite

VENDORS = ("vrp", "comware", "iosxe")
"""Dialects whose devices get one configuration file each, from the model's port table."""
DEBIAN_SUITES: tuple[Suite, ...] = ("aes256",)
"""What strongSwan 5.9 encrypts lines with: it has no GM/T 0022."""
USUAL = ("frr", "debian12")
"""What a device is when the plan says nothing: all that a twin runs."""
VLANS = 4094
"""Highest VLAN id (IEEE 802.1Q 9.6): the number of an interface on a shared port is its VLAN id there."""
MEMBERS = 2
"""Ports of the aggregate between two switches."""
DIALECTS = Path(__file__).parent / "dialects"


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model's port table."""

    title: str
    source: str
    roles: tuple[str, ...]
    management: str = ""
    """Port of the management path, in an instance of its own. A switch is managed over a VLAN: this port of it is shut."""
    wan: dict[str, str] = {}
    """Rank of the line → shared port, one subinterface a line."""
    inside: dict[str, str] = {}
    """Last part of the neighbour's name (`r1`, `fw1`) → port of its own."""
    zone: str = ""
    """Shared port, one subinterface a zone."""
    pair: str = ""
    """Port of the heartbeat to the other firewall of a pair."""
    highest: int = VLANS
    """Highest number of an interface that is a security zone of its own."""
    suites: tuple[Suite, ...] = ()
    """What it can encrypt lines with."""
    access: str = ""
    """Of a switch: its ports for what hangs on it, with `{}` for the number."""
    count: int = 0
    """How many of them there are, numbered from 1."""
    uplinks: tuple[str, ...] = ()
    """Ports beside these; the first `MEMBERS` are for the aggregate to the other switch."""
    aggregate: str = ""
    """Interface of that aggregate."""
    inner: str = ""
    """Interface of the device itself in a VLAN, with `{}` for its id."""

    def socket(self, number: int) -> str:
        """The port of a switch with this number."""
        return self.access.format(number)

    def sockets(self) -> list[str]:
        """Every port of a switch that something can hang on."""
        return [*(self.socket(number) for number in range(1, self.count + 1)), *self.uplinks]

    def members(self) -> tuple[str, ...]:
        """The ports of the aggregate."""
        return self.uplinks[:MEMBERS]

    def port(self, kind: str, peer: str, rank: str) -> str:
        """The physical port of an interface; empty: the model has none for it."""
        if kind == "wan":
            return self.wan.get(rank, "")
        return self.inside.get(peer.rpartition("-")[2], "") if kind == "inside" else self.zone

    def interface(self, kind: str, peer: str, rank: str, number: int) -> str:
        """The name of an interface on the device: a port of its own inside a site, else a subinterface."""
        found = self.port(kind, peer, rank)
        return found if kind == "inside" else f"{found}.{number}"


@cache
def models(dialect: str) -> dict[str, Model]:
    """Every model of a vendor's dialect, by name."""
    return msgspec.yaml.decode((DIALECTS / dialect / "ports.yml").read_bytes(), type=dict[str, Model])


def rank(network: Network, interface: Interface) -> str:
    """The rank of an interface's line."""
    link = network.links.get(interface.link)
    return link.rank if link else "primary"


def check(network: Network, *, lab: bool) -> list[Mistake]:
    """Dialects and models that do not exist, devices without the ports they need, and devices that a twin cannot run."""
    if not network.meta.choices and not network.meta.encrypted:
        return []
    known = {USUAL[0]: {USUAL[1]}} | {vendor: set(models(vendor)) for vendor in VENDORS}
    found = []
    for choice in network.meta.choices:
        if choice.dialect not in known:
            what, cure = f"no dialect is called {choice.dialect}", f"Use one of: {', '.join(known)}."
            found.append(_mistake(choice, "JB2120", choice.role, what, cure))
        elif choice.model not in known[choice.dialect]:
            what = f"{choice.dialect} has no model {choice.model}"
            cure = f"Use one of: {', '.join(sorted(known[choice.dialect]))}; or add its port table."
            found.append(_mistake(choice, "JB2121", choice.role, what, cure))
    if found:
        return found
    for device in network.devices.values():
        if device.dialect in VENDORS:
            choice = _choice(network, device)
            found += [
                _mistake(choice, code, device.name, what, cure) for code, what, cure in _wrong(network, device, lab)
            ]
    for link in network.links.values():
        if link.suite:
            found += _unprotected(network, link)
    return found


def _unprotected(network: Network, link: Link) -> Iterator[Mistake]:
    """The ends of a line that cannot encrypt it as its row asks."""
    made = [network.known_devices[name] for name in (link.a, link.b) if name in network.known_devices]
    if len({device.dialect in VENDORS for device in made}) > 1:
        what = (
            f"{link.a} ({made[0].dialect}) and {link.b} ({made[1].dialect}) build tunnels of two kinds, GRE and VXLAN"
        )
        cure = "Give both its ends a vendor's model, or neither. Or leave it out: `suite: none`."
        yield _mistake(_asking(network, link), "JB2190", link.id, what, cure)
        return
    for name in (link.a, link.b):
        device = network.known_devices.get(name)
        if device is None:
            continue  # another province's: said where that is read
        able = models(device.dialect)[device.model].suites if device.dialect in VENDORS else DEBIAN_SUITES
        if link.suite not in able:
            what = f"{name} ({device.dialect} on {device.model}) cannot encrypt it with {link.suite}"
            cure = f"Give the line one of: {', '.join(able)}." if able else "Give both its ends a vendor's model."
            yield _mistake(_asking(network, link), "JB2190", link.id, what, f"{cure} Or leave it out: `suite: none`.")


def _asking(network: Network, link: Link) -> Encrypted | None:
    """The row that a line is encrypted by; None: it stands in the plan of the unit at its lower end."""
    rank, lower = link.rank, network.known_devices.get(link.b)
    site = network.known_sites.get(lower.site) if lower else None
    lineage = tuple(_lineage(network, site.region)) if site else ()
    rows = [row for row in reversed(network.meta.encrypted) if row.suite == link.suite]
    ranks = ("primary", "backup") if rank == "drained" else (rank,)
    fitting = (row for row in rows if site and any(row.fits(site.level, each, lineage) for each in ranks))
    return next(fitting, None)


def _wrong(network: Network, device: Device, lab: bool) -> Iterator[tuple[str, str, str]]:
    """(code, what, cure) of everything that a vendor's device cannot do."""
    model = models(device.dialect)[device.model]
    if lab and device.role != "switch" and network.sites[device.site].running:
        what = f"{device.site} runs in the twin, which has no {device.dialect}"
        yield (
            "JB2123",
            what,
            "Render for production, leave the site out of `twin: running:`, or give it `dialect: frr`.",
        )
    if device.role not in model.roles:
        what = f"{device.model} has no ports for the role {device.role}"
        yield "JB2122", what, f"Choose a model for it; {device.model} is for: {', '.join(model.roles)}."
        return
    if device.role == "switch":
        for interface, number in zip(device.interfaces, device.numbers, strict=True):
            if number > model.count:
                what = f"{interface.name} has port {number}, {device.model} has {model.count}"
                yield "JB2124", what, "Choose a model with more ports, or give the site a second switch."
        return
    if device in network.pair(device.site) and not model.pair:
        what = f"{device.model} has no port for the heartbeat of a pair"
        yield "JB2122", what, "Choose a model that has one, add it to the model's table, or write `firewalls: 1`."
    for interface, number in zip(device.interfaces, device.numbers, strict=True):
        if not model.port(interface.kind, interface.peer, rank(network, interface)):
            what = f"{device.model} has no port for {interface.name}"
            yield "JB2122", what, "Choose a model with more ports, or add the port to the model's table."
        alone = interface.kind == "zone" or (interface.kind == "wan" and device.role == "access")
        if number > (model.highest if alone else VLANS):
            what = (
                f"{interface.name} has the number {number}, {device.model} goes to {model.highest if alone else VLANS}"
            )
            yield "JB2124", what, "Move some of its lines to another device."


def _choice(network: Network, device: Device) -> Choice:
    """The row that made `device` what it is."""
    site = network.sites[device.site]
    lineage = tuple(_lineage(network, site.region))
    choices: Iterable[Choice] = reversed(network.meta.choices)
    return next(choice for choice in choices if choice.fits(device.role, site.level, site.kind, lineage))


def _lineage(network: Network, code: str) -> Iterator[str]:
    while code:
        yield code
        code = network.regions[code].parent if code in network.regions else ""


def _mistake(row: Choice | Encrypted | None, code: str, subject: str, what: str, cure: str) -> Mistake:
    file, _, line = row.place.rpartition(":") if row else ("", "", "")
    return Mistake(file, int(line) if line else None, None, code, subject, what, cure)
