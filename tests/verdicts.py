"""The hand-written verdicts of the pilot as values: what every proof of a plan is held against."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from ip_plan.network import Network, Site

PORTS = (
    "tcp/22", "tcp/53", "udp/53", "tcp/443", "udp/123", "tcp/5432", "tcp/2222", "tcp/6514", "tcp/8432", "tcp/8443", "tcp/9090", "tcp/9100",
    "icmp/echo", "tcp/9",
)  # fmt: skip


class Expected(NamedTuple):
    """One class of connections and whether it may be opened; `ends` names the services it is limited to."""

    opener: Site
    from_zone: str
    target: Site
    to_zone: str
    port: str
    allow: bool
    ends: tuple[str, str] | None


def table() -> dict[str, Any]:
    """The table as written."""
    found: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "verdicts.yml").read_text("utf-8"))
    return found


def section(written: dict[str, Any], opener: Site, target: Site) -> list[Any]:
    """The cells that hold between two sites, by who serves whom."""
    if opener.key == target.key:
        cells: list[Any] = written["same-centre"]["office" if opener.kind == "office" else "centre"]
        return cells
    if opener.parent == target.key:
        return list(written["up-from-office" if opener.kind == "office" else "up-from-centre"])
    if target.parent == opener.key:
        return list(written["down-to-office" if target.kind == "office" else "down-to-centre"])
    return list(written["elsewhere"])


def expected(network: Network, sites: list[Site]) -> Iterator[Expected]:
    """Every (site, zone) → (site, zone) and port among `sites`; what stays inside one segment is left out."""
    written = table()
    for opener in sites:
        for target in sites:
            cells = section(written, opener, target)
            for one in opener.zones:
                for other in target.zones:
                    if opener.key == target.key and one.name == other.name:
                        continue
                    open_ports: dict[str, list[tuple[str, str] | None]] = {}
                    for cell in cells:
                        if cell[0] == one.name and cell[1] == other.name:
                            limit = tuple(cell[3]["ends"]) if len(cell) > 3 else None
                            for port in cell[2]:
                                open_ports.setdefault(port, []).append(limit)
                    for port in PORTS:
                        for ends in open_ports.get(port, [None]):
                            yield Expected(opener, one.name, target, other.name, port, port in open_ports, ends)
