"""Outside bodies: their drop boxes and their front-end, which host of a centre keeps them, and which one fetches what is left there.

Read from the plan's rows alone, so that what is rendered and what is looked at from outside expect the same. The rows by which files
and requests come in are those of FL-06 that the exchange zone opens against the direction of its data (S3 四(二)2).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from ground.mistake import Mistake
from ip_plan import catalogue
from ip_plan.catalogue import Question
from ip_plan.network import Flow, Network, Partner, Service, Site
from ip_plan.plan import Plan

FLOW = "FL-06"
BOX, DESK, FRONT = "box", "desk", "front"
"""Services of the external zone: where files are left, where requests are fetched, and where they are asked."""
SCHEMA = "outside"
REGISTER, ASKED = "delivery", "request"
"""The tables that say what was loaded and what was asked; no body delivers them."""
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


class End(msgspec.Struct, frozen=True):
    """A service as nginx serves it."""

    host: str
    """Its full name."""
    addresses: tuple[str, ...]
    port: int


class Front(msgspec.Struct, frozen=True):
    """The front-end of one centre: what bodies may ask online there."""

    site: str
    region: str
    device: str
    """That keeps it."""
    asked: End
    """Where bodies ask."""
    fetched: End
    """Where the exchange zone fetches what they asked, and leaves the answers."""
    desk: str
    """Device that answers."""
    name: str
    """Its full name, as its certificate has it."""
    user: str
    """As whom."""
    bodies: tuple[Partner, ...]
    """Those that may ask."""

    def certificate(self, body: Partner) -> str:
        """Common name of the certificate that a body shows."""
        return f"{body.id}.{self.region}.body"

    def requests(self) -> dict[str, Question]:
        """What any of them may ask, by name."""
        wanted = {name for body in self.bodies for name in body.requests}
        return {name: each for name, each in catalogue.shipped().tables.requests.items() if name in wanted}


def boxes(network: Network, site: Site) -> Boxes | None:
    """The drop boxes of `site`; None where no body has one, or no row leads to them."""
    bodies, way = network.partners_of.get(site.key, ()), _way(network, site, BOX)
    if not bodies or way is None:
        return None
    flow, fetcher, box = way
    return Boxes(
        site.key, site.region, box.device, box.fqdn, (box.v4, box.v6), _port(box), fetcher.device, flow.identity, bodies
    )


def front(network: Network, site: Site) -> Front | None:
    """The front-end of `site`; None where no body may ask online, or no row leads to it."""
    bodies = tuple(body for body in network.partners_of.get(site.key, ()) if body.requests)
    way = _way(network, site, DESK)
    if not bodies or way is None:
        return None
    flow, desk, fetched = way
    asked = network.service(site.key, flow.to_zone, FRONT)
    if asked is None or asked.device != fetched.device:
        return None
    name = network.known_devices[desk.device].fqdn
    return Front(
        site.key, site.region, asked.device, end(asked), end(fetched), desk.device, name, flow.identity, bodies
    )


def row(flows: Iterable[Flow], service: str) -> Flow | None:
    """The row by which the exchange zone fetches from that service."""
    fitting = (flow for flow in flows if flow.flow == FLOW and flow.verdict == "allow" and flow.data == "against")
    return next((flow for flow in fitting if (flow.relation, flow.to_service) == ("same-centre", service)), None)


def columns(table: str) -> Mapping[str, str]:
    """Column → type of what a file for `table` brings, in order."""
    known = catalogue.shipped().tables.schemas[SCHEMA][table].columns
    return {name: kind for name, kind in known.items() if name not in ADDED}


def tables() -> tuple[str, ...]:
    """The tables that a body may deliver."""
    return tuple(name for name in catalogue.shipped().tables.schemas.get(SCHEMA, {}) if name not in (REGISTER, ASKED))


def check(
    plan: Plan, services: Mapping[str, Sequence[Service]], zones: Mapping[str, Collection[str]], members: Iterable[str]
) -> list[Mistake]:
    """What is wrong with the bodies of these regions. `services`, `zones`: region → those of its centre."""
    document, here = plan.documents["plan.yml"], set(members)
    known = catalogue.shipped()
    found: list[Mistake] = []
    first: set[tuple[str, str]] = set()
    for index, body in enumerate(plan.plan.partners):
        if body.region not in here:
            continue
        told: list[tuple[tuple[str | int, ...], str, str, str]] = []
        offered = services.get(body.region, ())
        if _leads(plan.rows, BOX, offered) is None:
            what = "no centre of this region has drop boxes"
            told.append(
                (("region",), "JB1990", what, "Name a region whose centre has the service that FL-06 fetches from.")
            )
        if (body.region, body.id) in first:
            told.append(
                (("id",), "JB1991", "this body stands twice at one centre", "Give the second one an id of its own.")
            )
        first.add((body.region, body.id))
        unknown = [name for name in body.tables if name not in tables()]
        if unknown:
            cure = f"Use some of: {', '.join(tables())}."
            told.append((("tables",), "JB1992", f"nothing takes in {', '.join(unknown)}", cure))
        asked = body.online.requests if body.online else ()
        fetched = _leads(plan.rows, DESK, offered)
        if asked and (
            fetched is None or not any((each.name, each.device) == (FRONT, fetched.device) for each in offered)
        ):
            cure = "Give the services front and desk to one host of the external zone, or leave `online` out."
            told.append((("online",), "JB1970", "no centre of this region has a front-end for requests", cure))
        for place, name in enumerate(asked):
            request = known.tables.requests.get(name)
            at = ("online", "requests", place)
            if request is None:
                cure = f"Use some of: {', '.join(known.tables.requests)}."
                told.append((at, "JB1971", f"nothing answers {name}", cure))
            elif "production" not in zones.get(body.region, {"production"}):
                what = f"this centre has no production zone, which {name} is answered from ({request.table})"
                told.append((at, "JB1972", what, "Have the body ask at the centre that does the business."))
        for path, code, what, cure in told:
            found.append(Mistake(document.file, *document.place(("partners", index, *path)), code, body.id, what, cure))
    return found


def _leads(flows: Iterable[Flow], name: str, offered: Iterable[Service]) -> Service | None:
    """The service of that name, where a row leads to it."""
    flow = row(flows, name)
    return next((each for each in offered if flow and (each.zone, each.name) == (flow.to_zone, name)), None)


def _way(network: Network, site: Site, service: str) -> tuple[Flow, Service, Service] | None:
    """The row by which `site` fetches from that service, and the services at both ends: the opener's first."""
    flow = row(network.flows, service)
    if flow is None:
        return None
    opener = network.service(site.key, flow.from_zone, flow.from_service)
    target = network.service(site.key, flow.to_zone, flow.to_service)
    return (flow, opener, target) if opener and target else None


def end(service: Service) -> End:
    """Where nginx serves it."""
    return End(service.fqdn, (service.v4, service.v6), _port(service))


def _port(service: Service) -> int:
    return int(service.ports[0].partition("/")[2])
