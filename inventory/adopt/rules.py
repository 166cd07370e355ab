"""Accept rules that somebody put into a zone firewall by hand, as exceptions of the plan.

A rule is read by the proof's own reader; whose addresses it names, says the Network. An exception lets through whole zones, or
services, in both families: what it opens beyond the rule is told with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from datetime import date, timedelta

import msgspec

from ground.mistake import Mistake, Mistakes
from inventory.adopt import holder
from inventory.adopt.holder import Holder, Unheld
from inventory.adopt.proposal import BLANK, Proposal, unsaid
from inventory.config import Config
from inventory.diff import Difference
from inventory.proof import filters, interval, nftables
from inventory.proof.filters import Match, Rule
from inventory.proof.interval import Interval
from ip_plan import zones
from ip_plan.network import TRANSIT, Device, Flow, Network, Relation, Site
from ip_plan.zones import End

PROPOSED_DAYS = 30
"""Until an adopted exception ends, where the plan allows as many. Sample: time to have it approved anew, or to write a row."""
ECHO = {"icmp": 8, "icmpv6": 128}


class Opening(msgspec.Struct, frozen=True):
    """What an accept rule lets through, in the words of the plan."""

    from_zone: str
    to_zone: str
    relation: Relation
    opener: str
    """Key of the site."""
    target: str
    ports: tuple[str, ...]
    from_service: str = ""
    to_service: str = ""


class Group(msgspec.Struct):
    """Openings that one exception says."""

    ports: list[str] = []
    regions: list[str] = []
    levels: list[tuple[str, str]] = []
    lines: list[str] = []
    wider: list[str] = []


def proposals(
    network: Network, device: Device, file: str, running: Config, found: Iterable[Difference], today: date, limit: int
) -> Iterator[Proposal | Mistake]:
    """An exception for each kind of opening among `found`; for the rest JB2430 and JB2431. `limit`: days the plan allows."""
    groups: dict[tuple[str, str, Relation, str, str], Group] = {}
    refused: dict[tuple[str, str], Mistake] = {}
    for difference in found:
        try:
            lines = list(_lines(running, difference))
            openings = [each for line in lines for each in _openings(network, device, running, difference, line)]
        except Unheld as why:
            yield unsaid(file, device.name, difference, str(why))
            continue
        for opening, wider in openings:
            if (row := _allowed(network, opening)) is not None:
                yield unsaid(file, device.name, difference, f"row {row.id} ({row.place}) allows it already")
                continue
            if rule := _forbidden(opening):
                place = f"{opening.from_zone} → {opening.to_zone} ({opening.relation})"
                what = f"`{difference.line}` opens {place}, which {rule.id} ({rule.clause}) forbids: {rule.text}"
                cure = "No exception can allow it. Have `jinbao config remediate` take the rule away."
                refused[rule.id, difference.line] = Mistake(file, None, None, "JB2430", device.name, what, cure)
                continue
            key = (opening.from_zone, opening.to_zone, opening.relation, opening.from_service, opening.to_service)
            _join(network, groups.setdefault(key, Group()), opening, difference, wider)
    yield from refused.values()
    until = (today + timedelta(days=min(PROPOSED_DAYS, limit))).isoformat()
    for key in sorted(groups):
        yield _proposal(key, groups[key], until)


def _join(network: Network, group: Group, opening: Opening, difference: Difference, wider: Iterable[str]) -> None:
    opener, target = network.known_sites[opening.opener], network.known_sites[opening.target]
    lower = target if opening.relation == "served-child" else opener
    for listed, values in (
        (group.ports, opening.ports),
        (group.regions, (lower.region,)),
        (group.lines, (f"{' / '.join(difference.section)}: {difference.line}",)),
        (group.wider, wider),
    ):
        listed += [value for value in values if value not in listed]
    if (opener.level, target.level) not in group.levels:
        group.levels.append((opener.level, target.level))


def _proposal(key: tuple[str, str, Relation, str, str], group: Group, until: str) -> Proposal:
    from_zone, to_zone, relation, from_service, to_service = key
    entry: dict[str, str | list[str]] = {
        "from": from_zone,
        "to": to_zone,
        "relation": relation,
        "ports": sorted(group.ports),
    }
    if relation != "same-centre":
        # A county is an end of its own line, and of those of its townships: the levels say which is meant.
        entry["from_levels"] = sorted({one for one, _ in group.levels})
        entry["to_levels"] = sorted({other for _, other in group.levels})
    entry |= {name: value for name, value in (("from_service", from_service), ("to_service", to_service)) if value}
    entry["regions"] = sorted(group.regions)
    # The same opening found at its two ends is one exception.
    name = hashlib.sha256(msgspec.json.encode(entry)).hexdigest()[:8]
    papers = {"id": f"HAND-{name}", "requester": BLANK, "reason": BLANK, "approver": BLANK, "ticket": BLANK}
    return Proposal("exceptions", {**papers, "expires": until, **entry}, tuple(group.lines), tuple(group.wider))


def _lines(running: Config, difference: Difference) -> Iterator[str]:
    """The rules that a difference adds: itself, or those that name the set it widens, with the new element in its place."""
    if difference.kind == "missing":
        raise Unheld("it has rows that open something and none that close it at one place")
    path = difference.section
    if len(path) == 3 and path[2] == "elements":
        name = "@" + path[1].removeprefix("set ")
        for chain, section in running.sections.items():
            for line in section.lines if section.kind == "chain" and chain[:1] == path[:1] else ():
                if name in line.split():
                    yield " ".join(difference.line if word == name else word for word in line.split(" "))
    elif len(path) == 2 and path[1].startswith("chain ") and not difference.line.startswith(("type ", "policy ")):
        yield difference.line
    else:
        raise Unheld("it is no rule that lets something through")


def _openings(
    network: Network, device: Device, running: Config, difference: Difference, line: str
) -> list[tuple[Opening, tuple[str, ...]]]:
    """What one rule lets through, with what an exception opens beyond it. Raises `Unheld`."""
    table = difference.section[0]
    chain = _hook(running, table, difference, line)
    rule, sets = _read(running, table, line)
    if rule.action != "accept" or rule.limited:
        raise Unheld("only a rule that accepts, at any rate, is something a row can say")
    known: dict[str, list[Match]] = {}
    for match in rule.matches:
        full = nftables.filled(sets, match)
        if match.negated:
            raise Unheld("a row names what it allows, and nothing by its contrary")
        known.setdefault(match.field, []).append(full)
    if extra := known.keys() - {"iif", "oif", "family", "proto", "saddr", "daddr", "dport", "icmp", "state"}:
        raise Unheld(f"a row knows nothing of {', '.join(sorted(extra))}")
    if any("new" not in match.names for match in known.get("state", ())):
        raise Unheld("it opens no new connections")
    ports = _ports(known)
    site = network.sites[device.site]
    sources = _end(network, device, site, known, "saddr", "iif")
    if chain == "input" and "daddr" not in known:
        targets: tuple[list[Holder], Match | None] = ([Holder(site.key, TRANSIT)], None)
    else:
        targets = _end(network, device, site, known, "daddr", "oif")
    found = []
    for source in sources[0]:
        for target in targets[0]:
            found.append(_opening(network, site, source, target, ports, sources[1], targets[1]))
    return found


def _hook(running: Config, table: str, difference: Difference, line: str) -> str:
    chains = [path for path, section in running.sections.items() if path[:1] == (table,) and section.kind == "chain"]
    if difference.section[1].startswith("chain "):
        chains = [difference.section[:2]]
    for path in chains:
        lines = running.sections[path].lines
        hook = next((each.split()[3] for each in lines if each.startswith("type filter hook ")), "")
        if hook in ("input", "forward") and (line in lines or not difference.section[1].startswith("chain ")):
            return hook
    raise Unheld("it stands in no chain that every packet to or through the device passes")


def _read(running: Config, table: str, line: str) -> tuple[Rule, filters.Table]:
    """The rule as the proof's reader sees it, among the sets of its table. Raises `Unheld`."""
    text = [f"{table} {{"]
    for path, section in running.sections.items():
        if path[:1] == (table,) and section.kind == "set":
            elements = running.sections.get((*path, "elements"))
            listed = ", ".join(elements.lines) if elements else ""
            text += [f"{path[1]} {{", *section.lines, *([f"elements = {{ {listed} }}"] if listed else []), "}"]
    try:
        found = nftables.read("\n".join([*text, "chain one {", line, "}", "}"]))
    except Mistakes as mistakes:
        raise Unheld(mistakes.found[0].what.removeprefix("the proof cannot read this: ")) from None
    return found.tables[0].chains["one"].rules[0], found.tables[0]


def _ports(known: dict[str, list[Match]]) -> tuple[str, ...]:
    protocols = {name for match in known.get("proto", ()) for name in match.names}
    ports = [span for match in known.get("dport", ()) for span in match.spans]
    types = [span for match in known.get("icmp", ()) for span in match.spans]
    if types:
        if any((ECHO[name],) * 2 != span for name in protocols for span in types):
            raise Unheld("of ICMP a row knows echo requests alone")
        return ("icmp/echo",)
    if not ports or not protocols or not protocols <= {"tcp", "udp"}:
        raise Unheld("it names no port of TCP or UDP, and a row has to")
    if any(low != high for low, high in ports):
        raise Unheld("it opens a range of ports, and a row names each")
    return tuple(f"{name}/{low}" for name in sorted(protocols) for low, _ in ports)


def _end(
    network: Network, device: Device, site: Site, known: dict[str, list[Match]], field: str, side: str
) -> tuple[list[Holder], Match | None]:
    """Whose addresses one end of a rule has, by its addresses or else by a zone's interface. Raises `Unheld`."""
    here = {each.name: each.zone for each in device.interfaces if each.kind == "zone"}
    names = [name for match in known.get(side, ()) for name in match.names]
    through = [Holder(site.key, here[name]) for name in names if name in here]
    if len(through) < len(names) and through:
        raise Unheld(f"{', '.join(names)} are more than one zone's interfaces")
    listed = known.get(field, [])
    if len(listed) > 1:
        raise Unheld(f"it asks {field} twice")
    if not listed:
        if not through:
            raise Unheld(
                f"it does not say {'who opens' if field == 'saddr' else 'what is reached'}: no address, no zone"
            )
        return through, None
    (match,) = listed
    said = ", ".join(interval.text(low, match.family) for low, _ in match.spans[:3])
    found = holder.zones(network, match.family, match.spans, said)
    if through and not set(found) <= set(through):
        raise Unheld(f"{said} does not lie in the zone behind {', '.join(names)}")
    return found, match


def _opening(
    network: Network, site: Site, source: Holder, target: Holder, ports: tuple[str, ...],
    from_: Match | None, to: Match | None,
) -> tuple[Opening, tuple[str, ...]]:  # fmt: skip
    one, other = network.known_sites[source.site], network.known_sites[target.site]
    relation = network.relation(one, other)
    if site.key not in (one.key, other.key):
        raise Unheld(f"neither {one.key} nor {other.key} is this device's site, and a row holds at its two ends")
    if relation not in ("same-centre", "serving-parent", "served-child"):
        raise Unheld(f"{one.key} and {other.key} meet in no relation for which a row can open anything")
    if source == target and source.zone != TRANSIT:
        raise Unheld(f"both ends lie in {source.zone} of {one.key}, and what stays in one zone crosses no filter")
    wider = []
    services = []
    for holder_, match in ((source, from_), (target, to)):
        port = ports[0] if holder_ is target else ""
        name = holder.service(network, holder_, match.family, match.spans, port) if match else ""
        services.append(name)
        if match and not name and not _whole(network, holder_, match.family, match.spans):
            wider.append(f"all of {holder_.zone} of {holder_.site}, not {_said(match)} alone")
    family = next((match.family for match in (from_, to) if match), 0)
    if family:
        wider.append(f"IPv{10 - family} as well as IPv{family}")
    opening = Opening(source.zone, target.zone, relation, one.key, other.key, ports, *services)
    return opening, tuple(wider)


def _whole(network: Network, at: Holder, family: int, spans: tuple[Interval, ...]) -> bool:
    zone = network.known_sites[at.site].zone(at.zone)
    return zone is not None and interval.interval(zone.v4 if family == 4 else zone.v6) in spans


def _said(match: Match) -> str:
    first = [interval.text(low, match.family) for low, _ in match.spans]
    return ", ".join(first[:3]) + (" …" if len(first) > 3 else "")


def _allowed(network: Network, opening: Opening) -> Flow | None:
    """The row that allows every port of it already."""
    ends = (
        End(opening.opener, opening.from_zone, service=opening.from_service),
        End(opening.target, opening.to_zone, service=opening.to_service),
    )
    verdicts = [zones.verdict(network, *ends, port) for port in opening.ports]
    return verdicts[0].row if all(verdict.allow for verdict in verdicts) else None


def _forbidden(opening: Opening) -> zones.Prohibition | None:
    flow = Flow("", "", "allow", opening.from_zone, opening.to_zone, opening.relation, opening.ports)
    return next((rule for rule in zones.prohibitions() if zones.breaks(rule, flow)), None)
