"""FRR 8.4: BGP between levels, OSPF inside a centre, static routes to offices without an AS."""

from __future__ import annotations

import msgspec

from inventory.dialects.template import fill, fill_once
from inventory.ends import Dual
from inventory.file import File
from inventory.intent import Intent
from inventory.routing import METRIC, PREFERENCE, Neighbour

DAEMONS = ("bgpd", "ospfd", "ospf6d", "bfdd", "staticd")
"""Daemons beside zebra, in the order of Debian's file."""


# vtysh's exit code forgets an error when a later line is good again; what it says is what counts.
VALIDATOR = """sh -c '! vtysh -C -f "$0" 2>&1 | grep "^line "' %s"""


class Entry(msgspec.Struct, frozen=True):
    """One entry of a prefix list. `le` 0: exactly this prefix."""

    seq: int
    prefix: str
    le: int = 0


class PrefixList(msgspec.Struct, frozen=True):
    """A prefix list: what it names is permitted, nothing else."""

    family: int
    name: str
    entries: tuple[Entry, ...]


def _list(name: str, prefixes: Dual, *, within: bool = False) -> list[PrefixList]:
    """The lists of both families called `name`. `within`: also everything that lies in the prefixes."""
    found = []
    for family, longest in ((4, 32), (6, 128)):
        entries = tuple(
            Entry(5 * number, prefix, longest if within else 0) for number, prefix in enumerate(prefixes.of(family), 1)
        )
        if entries:
            found.append(PrefixList(family, name, entries))
    return found


def _lists(intent: Intent) -> list[PrefixList]:
    routing = intent.routing
    assert routing is not None
    found = []
    for neighbour in routing.neighbours:
        within = neighbour.relation == "inside"
        found += _list(f"FROM-{neighbour.key}", neighbour.accept, within=within)
        found += _list(f"TO-{neighbour.key}", neighbour.announce, within=within)
    if routing.asn and routing.ospf:
        found += _list("SEGMENTS", routing.segments)
        found += _list("OUTSIDE", routing.outside)
    return found


def _families(neighbour: Neighbour) -> list[tuple[int, str]]:
    return [(4, neighbour.address4), (6, neighbour.address6)]


def files(intent: Intent) -> list[File]:
    """frr.conf, the table of daemons and vtysh.conf of a routing device."""
    routing = intent.routing
    if routing is None:
        return []
    wanted = {
        "bgpd": bool(routing.asn),
        "ospfd": routing.ospf,
        "ospf6d": routing.ospf,
        "bfdd": bool(routing.asn) or routing.ospf,
        "staticd": True,
    }
    conf = fill(
        "frr/frr.conf.j2",
        hostname=intent.device.name,
        routing=routing,
        lists=_lists(intent),
        families=_families,
        preference=PREFERENCE,
        metric=METRIC,
    )
    daemons = fill_once("frr/daemons.j2", daemons=tuple((daemon, wanted[daemon]) for daemon in DAEMONS))
    role = "router"
    return [
        File("/etc/frr/daemons", daemons, role, "frr", "frr", "0640", "", "frr.service", "restart"),
        File("/etc/frr/vtysh.conf", "service integrated-vtysh-config\n", role, "frr", "frrvty", "0640"),
        File("/etc/frr/frr.conf", conf, role, "frr", "frr", "0640", VALIDATOR, "frr.service", "reload"),
    ]
