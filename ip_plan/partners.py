"""Outside bodies and their drop boxes: which host of a centre keeps the boxes, and which one fetches what is left in them.

Read from the plan's rows alone, so that what is rendered and what is looked at from outside expect the same. The row by which files
come in is the one of FL-06 that the exchange zone opens against the direction of its data (S3 四(二)2).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from ground.mistake import Mistake
from ip_plan import catalogue
from ip_plan.network import Flow, Network, Partner, Site
from ip_plan.plan import Plan

FLOW = "FL-06"
SCHEMA = "outside"
REGISTER = "delivery"
"""The table that says what was loaded; no body delivers it."""
ADDED = ("region", "body", "delivery", "line")
"""The columns that a file does not bring."""


class Boxes(msgspec.Struct, frozen=True):
    """The drop boxes of one centre."""

    site: str
    region: str
    device: str
    """That keeps them."""
    host: str
    """Full name of their service."""
    addresses: tuple[str, ...]
    port: int
    fetcher: str
    """Device that fetches from them."""
    user: str
    """As whom."""
    bodies: tuple[Partner, ...]

    def account(self, body: Partner) -> str:
        """The account of a body."""
        return f"box-{body.id}"


def boxes(network: Network, site: Site) -> Boxes | None:
    """The drop boxes of `site`; None where no body has one, or no row leads to them."""
    bodies = network.partners_of.get(site.key, ())
    flow = row(network.flows)
    if not bodies or flow is None:
        return None
    box = network.service(site.key, flow.to_zone, flow.to_service)
    fetcher = network.service(site.key, flow.from_zone, flow.from_service)
    if box is None or fetcher is None:
        return None
    return Boxes(
        site.key, site.region, box.device, box.fqdn, (box.v4, box.v6), int(flow.ports[0].partition("/")[2]),
        fetcher.device, flow.identity, bodies,
    )  # fmt: skip


def row(flows: Iterable[Flow]) -> Flow | None:
    """The row by which files come in."""
    fitting = (flow for flow in flows if flow.flow == FLOW and flow.verdict == "allow" and flow.data == "against")
    return next((flow for flow in fitting if flow.relation == "same-centre"), None)


def columns(table: str) -> Mapping[str, str]:
    """Column → type of what a file for `table` brings, in order."""
    known = catalogue.shipped().tables.schemas[SCHEMA][table].columns
    return {name: kind for name, kind in known.items() if name not in ADDED}


def tables() -> tuple[str, ...]:
    """The tables that a body may deliver."""
    return tuple(name for name in catalogue.shipped().tables.schemas.get(SCHEMA, {}) if name != REGISTER)


def check(plan: Plan, services: Mapping[str, Sequence[str]], members: Iterable[str]) -> list[Mistake]:
    """What is wrong with the bodies of these regions. `services`: region → the services of its centre."""
    document, here = plan.documents["plan.yml"], set(members)
    flow = row(plan.rows)
    found: list[Mistake] = []
    first: set[tuple[str, str]] = set()
    for index, body in enumerate(plan.plan.partners):
        if body.region not in here:
            continue
        told: list[tuple[str, str, str, str]] = []
        if flow is None or flow.to_service not in services.get(body.region, ()):
            what = "no centre of this region has drop boxes"
            told.append(
                ("region", "JB1990", what, "Name a region whose centre has the service that FL-06 fetches from.")
            )
        if (body.region, body.id) in first:
            told.append(
                ("id", "JB1991", "this body stands twice at one centre", "Give the second one an id of its own.")
            )
        first.add((body.region, body.id))
        unknown = [name for name in body.tables if name not in tables()]
        if unknown:
            cure = f"Use some of: {', '.join(tables())}."
            told.append(("tables", "JB1992", f"nothing takes in {', '.join(unknown)}", cure))
        for key, code, what, cure in told:
            place = document.place(("partners", index, key))
            found.append(Mistake(document.file, *place, code, body.id, what, cure))
    return found
