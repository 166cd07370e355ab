"""Zones, flows and prohibitions: who may open a connection to whom, decided by rows, and what no row may allow.

Data direction and connection direction are two things (domain 4.3): a row says who opens, and whether the data run with or
against it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import get_args

import msgspec

from ground.mistake import Mistake
from ip_plan.network import TRANSIT, Flow, Level, Network, Relation, Site
from ip_plan.schema import FlowFile, FlowsFile, SitesFile
from ip_plan.source import Document

RELATIONS: tuple[Relation, ...] = get_args(Relation)
INSIDE: tuple[Relation, ...] = tuple(relation for relation in RELATIONS if relation != "external")


class Prohibition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A 'shall not' of domain 4.6 in terms of rows or sites. A field that is empty matches everything."""

    id: str
    clause: str
    text: str
    kind: str
    """`flow` or `site`."""
    from_zones: tuple[str, ...] = ()
    to_zones: tuple[str, ...] = ()
    relations: tuple[Relation, ...] = ()
    carries_data: bool = False
    """Only rows that carry data."""
    sink: tuple[str, ...] = ()
    """Zones into which the data run."""
    source_not: tuple[str, ...] = ()
    """… from any zone but these."""
    unless: tuple[tuple[str, str, Relation], ...] = ()
    """(from, to, relation) that the sources allow."""
    zones: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    kinds_not: tuple[str, ...] = ()
    levels: tuple[Level, ...] = ()


def prohibitions() -> tuple[Prohibition, ...]:
    """The prohibitions the program knows, from `prohibitions.yml`."""
    data = (files("ip_plan") / "prohibitions.yml").read_bytes()
    return msgspec.yaml.decode(data, type=tuple[Prohibition, ...])


class Rows(msgspec.Struct, frozen=True):
    """Rows as a plan file has them: those of flows.yml, or the exceptions of plan.yml."""

    listed: Sequence[FlowFile]
    where: Document
    key: str
    """Of the list in its file."""

    def place(self, index: int, key: str = "") -> tuple[int, int]:
        """Where a row, or a key of it, stands."""
        return self.where.place((self.key, index, key) if key else (self.key, index))


def expand(
    flows: FlowsFile, sites: SitesFile, where: Document, services_in: dict[str, set[str]], exceptions: Rows
) -> tuple[tuple[Flow, ...], tuple[Flow, ...], list[Mistake]]:
    """The plan's rows and exceptions with lists and `any` spelled out, checked: known names, none against a prohibition.

    Every (zone, zone, relation) has to be decided by rows alone: an exception ends. `services_in`: service → zones in which some
    host carries it.
    """
    own = Rows(flows.flows, where, "flows")
    first: dict[str, tuple[Rows, int]] = {}
    found, mistakes = _spell(own, flows, sites, services_in, first)
    excepted, wrong = _spell(exceptions, flows, sites, services_in, first)
    mistakes += wrong + _undecided(found, [*sites.zones, TRANSIT], where)
    mistakes += _prohibited([*found, *excepted], first)
    return tuple(found), tuple(excepted), mistakes


def _spell(
    rows: Rows, flows: FlowsFile, sites: SitesFile, services_in: dict[str, set[str]], first: dict[str, tuple[Rows, int]]
) -> tuple[list[Flow], list[Mistake]]:
    """`first`: id → where it stood first; the ids of `rows` are added."""
    mistakes: list[Mistake] = []
    known = [*sites.zones, TRANSIT]
    found: list[Flow] = []
    where = rows.where
    for index, row in enumerate(rows.listed):

        def wrong(code: str, what: str, cure: str, key: str = "", at: int = index, name: str = row.id) -> None:
            mistakes.append(Mistake(where.file, *rows.place(at, key), code, name, what, cure))

        if row.id in first:
            other, number = first[row.id]
            at = f"line {other.place(number)[0]}" + (f" of {Path(other.where.file).name}" if other is not rows else "")
            wrong("JB1401", "this row id stands twice", f"Give it an id of its own; the first stands in {at}.", "id")
        first.setdefault(row.id, (rows, index))
        line = rows.place(index)[0]
        zones: list[list[str]] = []
        for key, value in (("from", row.from_), ("to", row.to)):
            listed = known if value == "any" else [value] if isinstance(value, str) else value
            for zone in listed:
                if zone not in known:
                    cure = f"Use one of {', '.join(known)}, or define the zone in sites.yml."
                    wrong("JB1402", f"zone `{zone}` is not defined", cure, key)
            zones.append([zone for zone in listed if zone in known])
        listed_relations = [row.relation] if isinstance(row.relation, str) else row.relation
        relations = [r for r in RELATIONS if r in listed_relations or ("any" in listed_relations and r != "external")]
        ports: list[str] = []
        for name in row.ports or ([row.to_service] if row.to_service else []):
            if name in flows.services:
                ports += flows.services[name].ports
            elif "/" in name:
                ports.append(name)
            else:
                wrong(
                    "JB1403",
                    f"service `{name}` is not defined",
                    "Define it under `services:` or write `tcp/<port>`.",
                    "ports",
                )
        for key, service, at_zones in (
            ("from_service", row.from_service, zones[0]),
            ("to_service", row.to_service, zones[1]),
        ):
            if service and service not in flows.services:
                wrong("JB1403", f"service `{service}` is not defined", "Define it under `services:`.", key)
            elif service and at_zones and not services_in.get(service, set()) & set(at_zones):
                cure = "Add it to a host of that zone in sites.yml, or name another zone."
                wrong("JB1404", f"no host of {', '.join(at_zones)} carries the service `{service}`", cure, key)
        if row.verdict == "allow" and not ports:
            wrong("JB1405", "the row allows something but names no port", "Add `ports:` or `to_service:`.")
        if row.verdict == "deny" and ports:
            wrong(
                "JB1406", "a deny row takes no ports: it decides what no allow row takes", "Delete `ports:`.", "ports"
            )
        if not row.clause and not row.reason:
            wrong("JB1407", "the row gives neither clause nor reason", "Add `clause:` from the sources, or `reason:`.")
        if (
            row.verdict == "allow"
            and row.data == "against"
            and not (row.from_service and row.to_service and row.identity)
        ):
            what = "the connection runs against its data, so it needs its own host pair and identity"
            wrong("JB1408", what, "Add `from_service:`, `to_service:` and `identity:`.", "data")
        found += [
            Flow(
                id=row.id, flow=row.flow, verdict=row.verdict, from_zone=one, to_zone=other, relation=relation,
                ports=tuple(dict.fromkeys(ports)), from_levels=tuple(row.from_levels), to_levels=tuple(row.to_levels),
                from_service=row.from_service, to_service=row.to_service, data=row.data, identity=row.identity,
                clause=row.clause, reason=row.reason, place=f"{Path(where.file).name}:{line}",
            )
            for relation in relations
            for one in zones[0]
            for other in zones[1]
        ]  # fmt: skip
    return found, mistakes


def _undecided(flows: Iterable[Flow], zones: Sequence[str], where: Document) -> list[Mistake]:
    decided = {(flow.from_zone, flow.to_zone, flow.relation) for flow in flows}
    line, column = where.place(("flows",))
    mistakes = []
    for one in zones:
        for other in zones:
            # What stays inside one segment crosses no boundary; the routing devices' addresses are no segment.
            inside = one == other != TRANSIT
            missing = [
                relation
                for relation in RELATIONS
                if (one, other, relation) not in decided and not (inside and relation == "same-centre")
            ]
            if missing:
                what = f"no row decides this pair for {', '.join(missing)}"
                cure = "Add a row that allows it with its clause, or denies it with its reason."
                mistakes.append(Mistake(where.file, line, column, "JB1409", f"{one} → {other}", what, cure))
    return mistakes


def breaks(prohibition: Prohibition, flow: Flow) -> bool:
    """Whether an expanded allow row does what the prohibition forbids."""
    if prohibition.kind != "flow" or flow.verdict != "allow":
        return False
    if (flow.from_zone, flow.to_zone, flow.relation) in prohibition.unless:
        return False
    if prohibition.carries_data and flow.data == "none":
        return False
    if prohibition.relations and flow.relation not in prohibition.relations:
        return False
    if prohibition.sink:
        source, sink = (flow.from_zone, flow.to_zone) if flow.data != "against" else (flow.to_zone, flow.from_zone)
        return sink in prohibition.sink and (source not in prohibition.source_not or flow.relation != "same-centre")
    ends_from = not prohibition.from_zones or flow.from_zone in prohibition.from_zones
    ends_to = not prohibition.to_zones or flow.to_zone in prohibition.to_zones
    return ends_from and ends_to


def _prohibited(flows: Iterable[Flow], first: dict[str, tuple[Rows, int]]) -> list[Mistake]:
    mistakes: dict[tuple[str, str], Mistake] = {}
    rules = prohibitions()
    for flow in flows:
        for rule in rules:
            if breaks(rule, flow):
                rows, index = first[flow.id]
                what = f"{rule.id} ({rule.clause}) forbids {flow.from_zone} → {flow.to_zone} ({flow.relation}): {rule.text}"
                cure = "Delete the row, or let the data go the way the clause names."
                mistakes.setdefault(
                    (flow.id, rule.id), Mistake(rows.where.file, *rows.place(index), "JB1410", flow.id, what, cure)
                )
    return list(mistakes.values())


def check_sites(sites: SitesFile, where: Document) -> list[Mistake]:
    """What the prohibitions say of sites: which zones may stand where."""
    mistakes = []
    for index, site in enumerate(sites.sites):
        for rule in prohibitions():
            if rule.kind != "site" or (rule.levels and site.level not in rule.levels):
                continue
            if (rule.kinds and site.kind not in rule.kinds) or site.kind in rule.kinds_not:
                continue
            hit = [zone for zone in site.zones if zone in rule.zones] if rule.zones else [site.kind]
            if hit:
                line, column = where.place(("sites", index))
                what = f"{rule.id} ({rule.clause}) forbids {', '.join(hit)} here: {rule.text}"
                cure = "Take it out of this kind of site."
                subject = f"{site.level} {site.kind}"
                mistakes.append(Mistake(where.file, line, column, "JB1411", subject, what, cure))
    return mistakes


class End(msgspec.Struct, frozen=True):
    """One end of a connection: a site and zone (or `transit`), and where it matters the device or service address used."""

    site: str
    zone: str
    device: str = ""
    service: str = ""


class Verdict(msgspec.Struct, frozen=True):
    """What the plan says of a connection, and the row that says it."""

    allow: bool
    row: Flow | None


def rows(network: Network, opener: Site, from_zone: str, target: Site, to_zone: str) -> list[Flow]:
    """The rows that decide connections from one site's zone to another's."""
    relation = network.relation(opener, target)
    return [
        flow
        for flow in network.flows
        if flow.relation == relation
        and flow.from_zone == from_zone
        and flow.to_zone == to_zone
        and flow.between(opener, target)
    ]


def verdict(network: Network, opener: End, target: End, port: str) -> Verdict:
    """Whether `opener` may open `port` (`tcp/5432`, `udp/53`, `icmp/echo`) at `target`, by the plan's rows alone.

    A row limited to services holds for the devices that carry them and for the services' own addresses. What stays inside one
    segment crosses no boundary and is allowed without a row.
    """
    source, sink = network.known_sites[opener.site], network.known_sites[target.site]
    if opener.site == target.site and opener.zone == target.zone != TRANSIT:
        return Verdict(True, None)
    denied: Flow | None = None
    for flow in rows(network, source, opener.zone, sink, target.zone):
        if flow.verdict == "deny":
            denied = denied or flow
        elif (
            port in flow.ports
            and _carries(network, opener, flow.from_service)
            and _carries(network, target, flow.to_service)
        ):
            return Verdict(True, flow)
    return Verdict(False, denied)


def _carries(network: Network, end: End, service: str) -> bool:
    if not service:
        return True
    carriers = [found for found in network.services_at.get((end.site, end.zone), ()) if found.name == service]
    if end.service:
        return any(found.name == end.service for found in carriers)
    return any(found.device == end.device for found in carriers)
