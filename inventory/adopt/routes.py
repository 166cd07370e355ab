"""What somebody changed in a router's routing by hand, as the nearest edit of the plan, where there is one.

A line that was shut is a line that its lower site does not have (`without:`); a way or a filter entry for a region that another
one serves is a region that moved (`changes:`). Everything else in FRR follows from lines and grants: the plan has no words for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import date

import msgspec

from ground.mistake import Mistake
from inventory.adopt import holder
from inventory.adopt.proposal import BLANK, Proposal, unsaid
from inventory.diff import Difference
from ip_plan import divisions
from ip_plan.network import Device, Interface, Network, Site
from ip_plan.plan import Plan
from ip_plan.schema import Move

_SHUT = re.compile(r"neighbor (\S+) shutdown\b.*")
_GONE = re.compile(r"neighbor (\S+) remote-as .*")
_ROUTE = re.compile(r"ip(?:v6)? route (\S+) (\S+).*")
_ENTRY = re.compile(r"ip(?:v6)? prefix-list FROM-(\S+) seq \d+ permit (\S+).*")


class Edit(msgspec.Struct):
    """An entry with the lines that led to it."""

    key: str
    entry: dict[str, str | list[str]]
    lines: list[str]
    wider: tuple[str, ...]


def proposals(
    network: Network, plan: Plan, device: Device, file: str, found: Iterable[Difference], today: date
) -> Iterator[Proposal | Mistake]:
    """The edits that `found` asks for; JB2431 for what the plan cannot say."""
    listed = list(found)
    lines = _lines(device)
    shut = {peer: lines[peer] for each in listed if (peer := _down(each)) in lines}
    edits: dict[str, Edit] = {}
    for each in listed:
        edit = _edit(network, plan, device, each, shut, today)
        if isinstance(edit, str):
            yield unsaid(file, device.name, each, edit)
        else:
            name = f"{edit.key} {edit.entry}"
            edits.setdefault(name, edit).lines.append(f"{' / '.join(each.section) or 'outside of sections'}: {each}")
    for name in sorted(edits):
        edit = edits[name]
        yield Proposal(edit.key, edit.entry, tuple(edit.lines), edit.wider)  # type: ignore[arg-type]


def _lines(device: Device) -> dict[str, Interface]:
    """A neighbour's address → the line it is reached over."""
    wires = [each for each in device.interfaces if each.kind == "wan"]
    return {address: each for each in wires for address in (each.peer4, each.peer6)}


def _down(each: Difference) -> str:
    """The neighbour that a difference takes out of use; empty: none."""
    pattern, kind = (_SHUT, "extra") if each.kind == "extra" else (_GONE, "missing")
    found = pattern.fullmatch(each.line) if each.kind == kind else None
    return found[1] if found else ""


def _edit(
    network: Network, plan: Plan, device: Device, each: Difference, shut: dict[str, Interface], today: date
) -> Edit | str:
    """The edit that would lead to a line, or why there is none."""
    for address, interface in shut.items():
        policies = (f"IN-{interface.peer}", f"OUT-{interface.peer}", f"FROM-{interface.peer}", f"TO-{interface.peer}")
        words = [*each.line.split(), *(word for line in each.section for word in line.split())]
        if address in words or any(name in words for name in policies):
            return _without(network, interface)
    if found := _SHUT.fullmatch(each.line) or _GONE.fullmatch(each.line):
        return f"{found[1]} is no neighbour over a line, and only lines can be left out"
    if each.kind == "missing":
        return "what is rendered follows from lines and grants, and no key leaves a part of it out"
    if found := _ROUTE.fullmatch(each.line):
        return _move(network, plan, found[1], network.sites[device.site], today)
    if found := _ENTRY.fullmatch(each.line):
        peer = network.known_devices.get(found[1])
        if peer is None or peer.site not in network.known_sites:
            return f"the plan knows no neighbour {found[1]}"
        return _move(network, plan, found[2], network.known_sites[peer.site], today)
    return "routing follows from lines and grants, and no key says a line of it"


def _without(network: Network, interface: Interface) -> Edit | str:
    link = network.links.get(interface.link)
    lower = network.known_devices.get(link.b) if link else None
    if link is None or lower is None:
        return "its line belongs to a part of the plan that is not loaded"
    site = network.known_sites[lower.site]
    others = [each for each in network.links.values() if each.id != link.id and each.kind != "inside"]
    if not any((end := network.known_devices.get(each.b)) and end.site == site.key for each in others):
        return f"{link.id} is the only line of {site.key}, and a site without a line is in no plan"
    entry: dict[str, str | list[str]] = {"region": site.region, "rank": link.rank, "reason": BLANK}
    return Edit("without", entry, [], (f"the whole line {link.id}, both families, until the entry is deleted",))


def _move(network: Network, plan: Plan, prefix: str, to: Site, today: date) -> Edit | str:
    """A way to a prefix, or a filter that takes it: its region is to be served by `to`."""
    try:
        site = holder.region(network, prefix)
    except ValueError:
        site = None
    if site is None:
        return f"{prefix} belongs to no region of the plan, and ways follow from lines and grants"
    if to.key == site.key or site.parent == to.key:
        return f"{prefix} belongs to {site.region}, to which the plan makes its own way there"
    entry: dict[str, str | list[str]] = {
        "kind": "move", "region": site.region, "to": to.region, "since": today.isoformat(), "reason": BLANK,
    }  # fmt: skip
    change = Move(kind="move", region=site.region, to=to.region, since=today, reason="adopted")
    _, wrong = divisions.apply(plan.regions, [change], plan.documents["plan.yml"])
    if wrong:
        return f"{prefix} belongs to {site.region}, and {wrong[0].what}"
    return Edit("changes", entry, [], (f"all of {site.region}: {to.region} serves it from then on",))
