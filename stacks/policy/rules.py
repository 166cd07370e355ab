"""What a graph of hosts, segments and links may not look like. Clauses are those of the source documents (domain 4.6)."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator

import msgspec

from stacks.provider.resources import Host, Link, Segment

CENTRES = ("centre", "dr")
ENTRANCES = ("portal", "terminal")
"""Duties of hosts that people and other bodies enter by."""


class Graph(msgspec.Struct, frozen=True):
    """Everything that one stack declares."""

    hosts: tuple[Host, ...] = ()
    segments: tuple[Segment, ...] = ()
    links: tuple[Link, ...] = ()


Finding = tuple[str, str]
"""The object, and what is wrong with it."""


class Rule(msgspec.Struct, frozen=True):
    """One rule: what it says, where that stands, and what to do."""

    id: str
    clause: str
    text: str
    cure: str
    judge: Callable[[Graph], Iterator[Finding]]

    def message(self, finding: Finding) -> str:
        """One violation as a person reads it; the last line is the way out."""
        subject, what = finding
        return f"{self.id} ({self.clause}): {subject}: {what}: {self.text}\n{self.cure}"


def _outside(zones: tuple[str, ...]) -> Callable[[Graph], Iterator[Finding]]:
    def judge(graph: Graph) -> Iterator[Finding]:
        for lan in graph.segments:
            if lan.zone in zones and lan.kind not in CENTRES:
                yield lan.id, f"a {lan.zone} zone at a site of kind {lan.kind}"

    return judge


def _bypass(graph: Graph) -> Iterator[Finding]:
    for link in graph.links:
        for end in link.ends:
            if end in ("host production", "host decision"):
                yield link.id, f"a line that ends at a host of the {end.split()[1]} zone"
    site_of = {host.name: host.site for host in graph.hosts}
    for lan in graph.segments:
        strangers = [port.split()[0] for port in lan.ports if site_of.get(port.split()[0], lan.site) != lan.site]
        if lan.zone in ("production", "decision") and strangers:
            yield lan.id, f"{', '.join(strangers)} of another site on its LAN"


def _entrance(graph: Graph) -> Iterator[Finding]:
    for host in graph.hosts:
        if "decision" in host.zones and host.role == "host" and set(host.duties) & set(ENTRANCES):
            yield host.name, f"a {next(duty for duty in ENTRANCES if duty in host.duties)} in the decision zone"


def _city_business(graph: Graph) -> Iterator[Finding]:
    for host in graph.hosts:
        if host.level != "province" or "production" not in host.zones or host.whole_province:
            continue
        for each in host.handles:
            business, _, region = each.partition(" ")
            city = region != host.region
            if city and region not in host.serves and business not in ("employment", "pension"):
                yield host.name, f"{business} of {region}"


def _disaster_recovery(graph: Graph) -> Iterator[Finding]:
    things: tuple[Host | Segment, ...] = (*graph.hosts, *graph.segments)
    sites = {each.site: each.level for each in things if each.kind == "dr"}
    for site, level in sorted(sites.items()):
        if level not in ("ministry", "province"):
            yield site, f"a DR centre at {level} level"


def _two_zones(graph: Graph) -> Iterator[Finding]:
    for host in graph.hosts:
        if host.role == "host" and len(set(host.zones)) > 1:
            yield host.name, f"stands in {' and '.join(host.zones)}"


def _foreign_address(graph: Graph) -> Iterator[Finding]:
    prefixes = {(lan.site, lan.zone): (lan.v4, lan.v6) for lan in graph.segments}
    for host in graph.hosts:
        for service in host.services:
            place, *addresses = service.split()
            zone = place.partition("/")[0]
            networks = [ipaddress.ip_network(each, strict=False) for each in prefixes.get((host.site, zone), ())]
            outside = [each for each in addresses if not any(ipaddress.ip_address(each) in one for one in networks)]
            if outside:
                yield host.name, f"service {place} at {', '.join(outside)}"


def _without_backup(graph: Graph) -> Iterator[Finding]:
    centres = sorted({host.site for host in graph.hosts if host.kind in CENTRES and "database" in host.duties})
    keeping = {host.site for host in graph.hosts if "repository" in host.duties and "backup" in host.zones}
    yield from (
        (site, "databases, and no repository host in its backup zone") for site in centres if site not in keeping
    )


RULES = (
    Rule("NO-08", "S3 三(三)1", "exchange and decision zones are not built outside the main machine room",
         "Take the zone away from this kind of site in sites.yml.", _outside(("exchange", "decision"))),
    Rule("NO-09", "S3 三(三)1", "a production zone is not built outside the unified data centre",
         "Take the zone away from this kind of site in sites.yml.", _outside(("production",))),
    Rule("NO-16", "S3 四(二)", "exchange with other levels and with outside does not bypass the exchange zone",
         "End the line at a router, and let the flow go through the exchange zone.", _bypass),
    Rule("NO-17", "S3 四(二)", "the decision zone is not an entry point",
         "Give this duty to a host of the external, exchange or access zone.", _entrance),
    Rule("NO-19", "S3 四(一)1, 二(三)2", "a provincial production zone holds no business that its cities handle",
         "Keep it at the city's centre (`businesses:` in plan.yml), unless the prefecture is hosted (S3 二(三)1), the whole province has "
         "one centre (S3 二(三)2), or it is employment (S4 四(二)) or the provincial pension database (S2 二(一)2).", _city_business),
    Rule("NO-21", "S4 四(七)", "DR centres are not built city by city outside the national plan",
         "Let the province's or the ministry's DR centre serve the city; its local backup stays.", _disaster_recovery),
    Rule("two-zones", "S3 四(一); GB/T 22239 8.1.2.1 c", "a host stands in one zone",
         "Make it two hosts, with the firewall between them.", _two_zones),
    Rule("zone-prefix", "S3 四(一); GB/T 22239 8.1.2.1 c", "a service has its address in the prefix of its zone",
         "Let the ledger choose the address, or pin one within the zone's prefix.", _foreign_address),
    Rule("backup-target", "S3 二(一)1, RQ-X03", "a data centre keeps backups of its databases",
         "Give the site a backup zone with a repository host in sites.yml.", _without_backup),
)  # fmt: skip


def violations(graph: Graph) -> list[tuple[Rule, Finding]]:
    """Every violation, rule by rule."""
    return [(rule, finding) for rule in RULES for finding in rule.judge(graph)]
