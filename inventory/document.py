"""Pages about the network in Markdown: a region with its addresses, lines, zones and names; a device with what it runs.

Made from the Network and the rendered tree alone: the same plan gives the same pages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from ground import tree
from inventory.ends import Dual
from inventory.filtering import BASE, Rule, filtering
from inventory.models import models
from inventory.routing import Neighbour, routing
from inventory.switching import switching
from ip_plan.network import Device, Flow, Interface, Network, Region, Site

SHOWN = 6
"""Prefixes of a list that stand in a table; the rest is counted."""
_COMMENT = re.compile(r'comment "([^"]+)"\s*$')


def region(network: Network, code: str) -> str:
    """The page of a region: its blocks, and each of its sites with zones, devices, lines and names."""
    place = network.regions[code]
    sites = [site for site in network.sites.values() if site.region == code]
    lines = [f"# {place.name} ({code})", "", *_sample(network), *_about(network, place), ""]
    lines += table("Address blocks", ("family", "block"), [
        *(("IPv4", block) for block in place.blocks4), *(("IPv6", block) for block in place.blocks6),
    ])  # fmt: skip
    for site in sites:
        lines += [f"## {site.key}", "", *_site(network, site)]
        served = network.children.get(site.key, ())
        lines += table(
            "Served from here", ("site", "region", "IPv4", "IPv6"), [_below(network, one) for one in served], 3
        )
    return "\n".join(lines).rstrip() + "\n"


def _sample(network: Network) -> list[str]:
    said = str(network.meta.settings.get("sample", ""))
    return [f"> {said}", ""] if said else []


def _about(network: Network, place: Region) -> list[str]:
    above = network.regions.get(place.serving)
    served = f"served by {above.name} ({above.code})" if above else "served by nobody"
    return [f"A {place.level}, {served}. Names end in `{place.domain}`."]


def _site(network: Network, site: Site) -> list[str]:
    above = f"served by {site.parent}" if site.parent else "the top of the network"
    number = f"AS {site.asn}" if site.asn else "routed statically"
    away = f", with addresses out of the blocks of {site.holder} until it is renumbered" if site.holder else ""
    lines = [f"{above[0].upper()}{above[1:]}, {number}{away}.", ""]
    lines += table(
        "Zones",
        ("zone", "IPv4", "gateway", "IPv6", "gateway"),
        [(zone.name, zone.v4, zone.gateway4, zone.v6, zone.gateway6) for zone in site.zones],
        3,
    )
    lines += table(
        "Businesses in its production zone",
        ("region", "businesses"),
        [(code, ", ".join(each)) for code, each in site.handled.items()],
        3,
    )
    devices = network.devices_of(site)
    lines += table(
        "Devices",
        ("device", "role", "zone", "loopback", "loopback", "dialect", "duties"),
        [
            (
                f"[{one.name}]({one.name}.md)", one.role, one.zone, one.loopback4, one.loopback6,
                f"{one.dialect} on {one.model}" if one.role != "host" else "", ", ".join(one.duties),
            )
            for one in devices
        ],
        3,
    )  # fmt: skip
    lines += table(
        "Lines",
        ("line", "to", "rank", "kind", "Mbit/s", "interface", "here", "there"),
        [_line(network, one, each) for one in devices for each in one.interfaces if each.kind == "wan"],
        3,
    )
    here = [one for zone in site.zones for one in network.services_at.get((site.key, zone.name), ())]
    return lines + table(
        "Names of services",
        ("name", "IPv4", "IPv6", "ports", "on", "clause"),
        [(one.fqdn, one.v4, one.v6, ", ".join(one.ports), one.device, one.clause) for one in here],
        3,
    )


def _below(network: Network, site: Site) -> tuple[str, ...]:
    """A site that is served, with what was granted to its region: its blocks, or else its zones."""
    place = network.regions[site.region]
    four, six = place.blocks4, place.blocks6
    if not four:
        four, six = tuple(zone.v4 for zone in site.zones), tuple(zone.v6 for zone in site.zones)
    return (f"[{site.key}]({site.region}.md)", place.name, ", ".join(four), ", ".join(six))


def _line(network: Network, device: Device, each: Interface) -> tuple[str, ...]:
    link = network.links.get(each.link)
    rank, kind, speed = (link.rank, link.kind, str(link.bandwidth_mbps or "")) if link else ("", "", "")
    kind += f", {link.suite}" if link and link.suite else ""
    here, there = f"{each.v4} {each.v6}", f"{each.peer4} {each.peer6}"
    return (each.link, each.peer, rank, kind, speed, f"{device.name} {each.name}", here, there)


# --- a device --------------------------------------------------------------------------------------------------------


def device(network: Network, one: Device, folder: Path) -> str:
    """The page of a device. `folder`: its rendered tree; where there is none, the page says so."""
    site = network.sites[one.site]
    what = f"{one.zone} host" if one.role == "host" else f"{one.role}, {one.dialect} on {one.model}"
    lines = [f"# {one.name}", "", *_sample(network)]
    lines += [f"{what[0].upper()}{what[1:]} of [{site.key}]({site.region}.md); `{one.fqdn}`.", ""]
    lines += table(
        "Interfaces",
        ("interface", "kind", "IPv4", "IPv6", "zone or line", "peer"),
        [
            *([("lo", "loopback", one.loopback4, one.loopback6, "", "")] if one.loopback4 else []),
            *((each.name, each.kind, each.v4, each.v6, each.zone or each.link, each.peer) for each in one.interfaces),
        ],
    )
    carried = [each for each in network.services_at.get((one.site, one.zone), ()) if each.device == one.name]
    lines += table(
        "Services", ("name", "IPv4", "IPv6", "ports"),
        [(each.fqdn, each.v4, each.v6, ", ".join(each.ports)) for each in carried],
    )  # fmt: skip
    lines += _routing(network, one)
    lines += _ports(network, one)
    try:
        rendered = tree.read(folder)
    except FileNotFoundError:
        return "\n".join([*lines, *_policies(network, one, {}), "It is not rendered.", ""])
    numbers: dict[str, list[int]] = {}
    for entry in rendered.entries:
        if entry.target == "/etc/nftables.conf":
            numbers = commented(tree.content(folder, entry).decode())
    lines += _policies(network, one, numbers)
    lines += table(
        "Files",
        ("file", "owner", "mode", "taken up by", "SHA-256"),
        [
            (entry.target, f"{entry.owner}:{entry.group}", entry.mode, entry.unit, entry.sha256[:16])
            for entry in rendered.entries
        ],
    )
    return "\n".join(lines).rstrip() + "\n"


def _ports(network: Network, one: Device) -> list[str]:
    """What hangs on a switch, and in which VLANs."""
    found = switching(network, one)
    if found is None:
        return []
    model = models(one.dialect)[one.model]
    names = {vlan.id: f"{vlan.id} {vlan.name}" for vlan in found.vlans}
    return table(
        "Ports",
        ("port", "what", "of it", "peer", "VLANs"),
        [
            (port.name, port.kind, model.socket(port.number) if port.number else f"{model.aggregate}: {', '.join(model.members())}",
             port.peer, ", ".join(names[vlan] for vlan in port.vlans))
            for port in found.ports
        ],
    )  # fmt: skip


def commented(text: str) -> dict[str, list[int]]:
    """Comment of a rule → the lines on which it stands."""
    found: dict[str, list[int]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if comment := _COMMENT.search(line):
            found.setdefault(comment[1], []).append(number)
    return found


def _routing(network: Network, one: Device) -> list[str]:
    found = routing(network, one)
    if found is None:
        return []

    def row(each: Neighbour) -> tuple[str, ...]:
        addresses = f"{each.address4} {each.address6}"
        return (
            each.key,
            str(each.asn),
            each.relation,
            each.rank,
            addresses,
            _prefixes(each.accept),
            _prefixes(each.announce),
        )

    lines = table(
        "Neighbours", ("neighbour", "AS", "relation", "rank", "addresses", "takes", "tells"), map(row, found.neighbours)
    )
    return lines + table(
        "Static routes", ("prefix", "via", "distance"),
        [(each.prefix, each.via, str(each.distance)) for each in found.statics],
    )  # fmt: skip


def _prefixes(listed: Dual) -> str:
    found = [*listed.v4, *listed.v6]
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return ", ".join(found[:SHOWN]) + more


def _policies(network: Network, one: Device, numbers: dict[str, list[int]]) -> list[str]:
    """What it lets through: flow by flow with its clause, and where the rules stand in the rendered text."""
    found = filtering(network, one)
    if found is None:
        return []
    rules: dict[str, list[Rule]] = {}
    for rule in found.rules:
        rules.setdefault(rule.flow, []).append(rule)
    flows: dict[str, Flow] = {}
    for flow in network.flows:
        flows.setdefault(flow.id, flow)
    rows = [_policy(flows[name], listed, numbers.get(name, [])) for name, listed in rules.items()]
    rows += [
        (f"`{name}`", "", "", "", BASE.get(name, "**in the text, and in no row of the plan**"), "", _spans(listed))
        for name, listed in sorted(numbers.items())
        if name not in rules
    ]
    heads = ("row", "from", "to", "ports", "why", "until", "lines of nftables.conf")
    return table("What it lets through", heads, rows)


def _policy(flow: Flow, rules: Sequence[Rule], numbers: Sequence[int]) -> tuple[str, ...]:
    def named(texts: Iterable[str]) -> str:
        # A set a family: `@own-access-4` and `@own-access-6` are one end.
        return ", ".join(dict.fromkeys(re.sub(r"-[46](-\d+)?$", r"\1", text.lstrip("@")) or "any" for text in texts))

    ports = ", ".join(dict.fromkeys(rule.port for rule in rules))
    why = " – ".join(part for part in (flow.clause, flow.reason) if part)
    ends = (named(rule.source for rule in rules), named(rule.target for rule in rules))
    return (f"`{flow.id}`", *ends, ports, why, flow.until, _spans(numbers))


def _spans(numbers: Sequence[int]) -> str:
    """`4, 7–9` of 4, 7, 8, 9."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][-1] + 1:
            spans[-1][1:] = [number]
        else:
            spans.append([number])
    return ", ".join("–".join(map(str, span)) for span in spans)


def table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]], depth: int = 2) -> list[str]:
    """A heading of `depth` with a table; nothing where there are no rows."""
    listed = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    if not listed:
        return []
    lines = [f"| {' | '.join(row)} |" for row in (list(heads), ["---"] * len(heads), *listed)]
    return [f"{'#' * depth} {title}", "", *(re.sub(r"  +", " ", line) for line in lines), ""]
