"""What a compile would change: two Networks compared object by object, and how far the change reaches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

import msgspec

from ground import files
from ip_plan.network import TRANSIT, Flow, Network, Second, Shard, Site

Kind = Literal["added", "removed", "moved", "renamed", "changed"]
Thing = Literal[
    "plan",
    "row",
    "exception",
    "region",
    "site",
    "zone",
    "device",
    "interface",
    "link",
    "service",
    "protection",
    "second",
    "partner",
]

MOVES: Mapping[Thing, frozenset[str]] = {
    "region": frozenset({"blocks4", "blocks6"}),
    "zone": frozenset({"v4", "v6", "gateway4", "gateway6"}),
    "device": frozenset({"loopback4", "loopback6"}),
    "interface": frozenset({"v4", "v6"}),
    "service": frozenset({"v4", "v6"}),
    "second": frozenset({"v4", "v6"}),
}
"""Fields that are addresses: another value is a move."""
NAMES: Mapping[Thing, frozenset[str]] = {
    "region": frozenset({"code", "name", "label", "domain"}),
    "site": frozenset({"domain"}),
    "device": frozenset({"fqdn"}),
    "service": frozenset({"fqdn"}),
}
PARTS = {"site": {"zones", "devices"}, "device": {"interfaces"}, "row": {"place"}, "exception": {"place"}}
"""Fields that are things themselves; and where a row stands, which says nothing about it."""


class Change(msgspec.Struct, frozen=True):
    """One thing that comes, goes, or gets another value."""

    kind: Kind
    province: str
    """Key of its shard; empty for what belongs to the whole plan."""
    region: str
    site: str
    thing: Thing
    key: str
    field: str = ""
    """Empty where the whole thing comes or goes."""
    old: str = ""
    new: str = ""
    devices: tuple[str, ...] = ()
    """The devices that have it."""


class Reach(msgspec.Struct, frozen=True):
    """How far a change reaches in one province, or in the whole."""

    province: str
    """Key of its shard; empty for the whole."""
    name: str
    devices: int
    """Existing devices that it touches."""
    counted: int
    """Those of them whose values change or that go away: what the plan's limit is for. Additions ask nothing of what exists."""
    existing: int
    added: int
    """Devices that come."""
    sites: int
    regions: int
    share: float
    """`counted` of `existing`, 0–1."""


class Difference(msgspec.Struct, frozen=True):
    """What a compile of a plan would change."""

    plan: str
    first: bool
    """Nothing is compiled yet: everything is new."""
    changes: tuple[Change, ...]
    provinces: tuple[Reach, ...]
    """Those that are touched."""
    whole: Reach
    limit: float
    granted: int
    """New lines of the ledger."""
    released: int
    """Grants whose key goes: kept for its return, given to nobody else."""
    ended: tuple[str, ...] = ()
    """The exceptions that the stored Network has and that have ended since, each in words."""
    id: str = ""
    """Of the change; empty where nothing changes, or nothing was there before."""


def identify(before: bytes, after: bytes) -> str:
    """The id of the change from one stored index to another: 12 hexadecimal digits."""
    return files.sha256(files.sha256(before).encode() + files.sha256(after).encode())[:12] if before != after else ""


class _Part(msgspec.Struct, frozen=True):
    value: msgspec.Struct
    province: str
    region: str
    site: str
    devices: tuple[str, ...]
    within: tuple[Thing, str] | None
    """The thing that it comes and goes with."""


def compare(before: Network, after: Network) -> list[Change]:
    """Every difference between two Networks (the same provinces of each, or all), sorted by province, region and thing."""
    recoded = _recoded(before, after)
    old, new = dict(_parts(before, recoded)), dict(_parts(after, {}))
    found = list(_plan(before, after))
    for name, part in old.items():
        if name not in new:
            if part.within is None or part.within in new:
                found.append(_whole("removed", name, part))
        elif part.value != new[name].value:
            found += _fields(name, part, new[name], recoded)
    for name, part in new.items():
        if name not in old and (part.within is None or part.within in old):
            found.append(_whole("added", name, part))
    found += _rows(before.flows, after.flows)
    return sorted(found, key=lambda c: (c.province, c.region, c.site, c.kind, c.thing, c.key, c.field))


def _recoded(before: Network, after: Network) -> dict[str, str]:
    """Old code → new code of the regions that got another one: their sites keep the key under which they were granted."""
    return {
        site.region: after.sites[key].region
        for key, site in before.sites.items()
        if key in after.sites and after.sites[key].region != site.region
    }


def _parts(network: Network, recoded: Mapping[str, str]) -> Iterator[tuple[tuple[Thing, str], _Part]]:
    region_of = {site.key: recoded.get(site.region, site.region) for site in network.sites.values()}
    site_of = {device.name: device.site for shard in network.shards for device in shard.devices}
    for shard in network.shards:
        province = shard.province
        for region in shard.regions:
            code = recoded.get(region.code, region.code)
            yield ("region", code), _Part(region, province, code, "", (), None)
        for site in shard.sites:
            code = region_of[site.key]
            yield ("site", site.key), _Part(site, province, code, site.key, (), None)
            for zone in site.zones:
                name = f"{site.key}:{zone.name}"
                yield ("zone", name), _Part(zone, province, code, site.key, (), ("site", site.key))
        for device in shard.devices:
            own = (device.name,)
            code = region_of[device.site]
            yield ("device", device.name), _Part(device, province, code, device.site, own, None)
            for interface in device.interfaces:
                name = f"{device.name} {interface.name}"
                yield ("interface", name), _Part(interface, province, code, device.site, own, ("device", device.name))
        for link in shard.links:
            at = site_of[link.b]
            yield ("link", link.id), _Part(link, province, region_of[at], at, (link.a, link.b), None)
        for service in shard.services:
            name, at = f"{service.site}:{service.zone}:{service.name}", service.site
            yield ("service", name), _Part(service, province, region_of[at], at, (service.device,), None)
        for extra in shard.second:
            having = (extra.device,) if extra.device else ()
            yield ("second", second(extra)), _Part(extra, province, region_of[extra.site], extra.site, having, None)
        for each in shard.protections:
            name, at = f"{each.site}:{each.zone}:{each.service}", each.site
            parties = tuple(filter(None, (each.device, each.repository, each.scratch)))
            yield ("protection", name), _Part(each, province, region_of[at], at, parties, None)
        for partner in shard.partners:
            name, at = f"{partner.site}:{partner.id}", partner.site
            yield ("partner", name), _Part(partner, province, region_of[at], at, (), None)


def second(extra: Second) -> str:
    """What a second address is called: by its zone, or its device and interface."""
    return f"{extra.device} {extra.name}" if extra.device else f"{extra.site}:{extra.name}"


def _fields(name: tuple[Thing, str], old: _Part, new: _Part, recoded: Mapping[str, str]) -> Iterator[Change]:
    thing, key = name
    for field in old.value.__struct_fields__:
        one, other = getattr(old.value, field), getattr(new.value, field)
        told = (thing, field) == ("site", "region") and one in recoded
        if one == other or told or field in PARTS.get(thing, ()):
            continue
        kind: Kind = "renamed" if field in NAMES.get(thing, ()) else "changed"
        # A further block beside the old ones moves nothing.
        if field in MOVES.get(thing, ()) and not (isinstance(one, tuple) and set(one) <= set(other)):
            kind = "moved"
        devices = tuple(dict.fromkeys((*old.devices, *new.devices)))
        yield Change(kind, new.province, new.region, new.site, thing, key, field, text(one), text(other), devices)


def _whole(kind: Literal["added", "removed"], name: tuple[Thing, str], part: _Part) -> Change:
    value = text([said for said in _summary(part.value) if said != name[1]])
    old, new = (value, "") if kind == "removed" else ("", value)
    return Change(kind, part.province, part.region, part.site, *name, "", old, new, part.devices)


def _summary(value: msgspec.Struct) -> tuple[str, ...]:
    """What names a thing that comes or goes: its addresses and names."""
    fields = ("name", "domain", "fqdn", "v4", "v6", "loopback4", "loopback6", "blocks4", "blocks6", "kind", "stanza")
    found = [getattr(value, field) for field in fields if getattr(value, field, "")]
    return tuple(text(item) for item in found)


def text(value: object) -> str:
    """A value as a person reads it."""
    return " ".join(map(text, value)) if isinstance(value, tuple | list) else str(value)


def _plan(before: Network, after: Network) -> Iterator[Change]:
    for field in before.meta.__struct_fields__:
        one, other = getattr(before.meta, field), getattr(after.meta, field)
        if field in ("calendar", "settings", "vlans"):
            one, other = dict(one or {}), dict(other or {})
            for key in sorted({*one, *other}):
                if one.get(key) != other.get(key):
                    old, new = text(one.get(key, "")), text(other.get(key, ""))
                    yield Change("changed", "", "", "", "plan", f"{field}.{key}", "", old, new)
        elif one != other:
            yield Change("changed", "", "", "", "plan", field, "", text(one), text(other))


def _rows(before: Iterable[Flow], after: Iterable[Flow]) -> Iterator[Change]:
    old, new = ({_named(flow): flow for flow in flows} for flows in (before, after))
    for key in {**old, **new}:
        one, other = old.get(key), new.get(key)
        flow = other or one
        assert flow is not None
        thing: Thing = "exception" if flow.until else "row"
        if one is None or other is None:
            said = text((flow.verdict, flow.ports, f"until {flow.until}" if flow.until else ()))
            kind: Kind = "added" if one is None else "removed"
            yield Change(kind, "", "", "", thing, key, "", "" if one is None else said, said if one is None else "")
        elif one != other:
            parts = [_Part(flow, "", "", "", (), None) for flow in (one, other)]
            yield from _fields((thing, key), parts[0], parts[1], {})


def _named(flow: Flow) -> str:
    return f"{flow.id} {flow.from_zone} → {flow.to_zone} ({flow.relation})"


def altered(before: Iterable[Flow], after: Iterable[Flow]) -> tuple[set[Flow], set[Flow]]:
    """The rows that let something else through than before, come or go: (all of them, those the plan's limit is for).

    The limit is for what was there and goes or changes. An exception's coming and its end were approved with it. Words alone,
    as a row's reason, let nothing through.
    """
    old, new = (
        {
            msgspec.structs.replace(flow, place="", flow="", clause="", reason="", until=""): flow
            for flow in flows
            if flow.verdict == "allow"
        }
        for flows in (before, after)
    )
    gone = {flow for said, flow in old.items() if said not in new}
    come = {flow for said, flow in new.items() if said not in old}
    return gone | come, {flow for flow in gone if not flow.until}


def filters(network: Network, rows: Iterable[Flow]) -> dict[Flow, set[str]]:
    """Row → the routing devices at either end of the connections that it lets through."""
    found: dict[Flow, set[str]] = {row: set() for row in rows}
    known = network.devices
    at = {
        site.key: [name for name in site.devices if name in known and known[name].routes]
        for site in network.sites.values()
    }
    for site in network.sites.values():
        for row, devices in found.items():
            if not _has(site, row.from_zone):
                continue
            for other in network.related(site, row.relation):
                if _has(other, row.to_zone) and row.between(site, other):
                    for end, zone in ((site, row.from_zone), (other, row.to_zone)):
                        # A router in front of a firewall filters what is meant for itself alone.
                        listed = at.get(end.key, [])
                        devices |= {n for n in listed if zone == TRANSIT or known[n].role != "router"}
    return found


def _has(site: Site, zone: str) -> bool:
    return zone == TRANSIT or site.zone(zone) is not None


def reach(
    before: Network, after: Network, changes: Iterable[Change], sizes: Mapping[str, int]
) -> tuple[list[Reach], Reach]:
    """How far `changes` reach: in each province that they touch, and in the whole.

    `before` and `after` hold the provinces that differ, or all where rows differ. `sizes`: province → existing devices.
    """
    home = {device.name: shard.province for shard in before.shards for device in shard.devices}
    touched: set[str] = set()
    counted: set[str] = set()
    sites: dict[str, set[str]] = {}
    regions: dict[str, set[str]] = {}
    added: dict[str, int] = {}
    for change in changes:
        if change.thing in ("plan", "row", "exception"):
            continue
        there = {name for name in change.devices if name in home}
        touched |= there
        if change.kind != "added":
            counted |= there
        elif change.thing == "device":
            added[change.province] = added.get(change.province, 0) + 1
        regions.setdefault(change.province, set()).add(change.region)
        if change.site:
            sites.setdefault(change.province, set()).add(change.site)
    rows, limited = altered(before.flows, after.flows)
    for row, devices in filters(before, rows).items():
        touched |= devices
        if row in limited:
            counted |= devices
    for name in touched:
        site = before.sites[before.devices[name].site]
        sites.setdefault(home[name], set()).add(site.key)
        regions.setdefault(home[name], set()).add(site.region)
    names = {shard.province: _name(shard) for network in (before, after) for shard in network.shards}
    found = []
    for province in sorted(regions):
        here = sum(home[name] == province for name in touched)
        limit = sum(home[name] == province for name in counted)
        found.append(
            Reach(
                province, names[province], here, limit, sizes.get(province, 0), added.get(province, 0),
                len(sites.get(province, ())), len(regions[province]), _share(limit, sizes.get(province, 0)),
            )
        )  # fmt: skip
    whole = sum(sizes.values())
    return found, Reach(
        "", "", len(touched), len(counted), whole, sum(added.values()),
        sum(each.sites for each in found), sum(each.regions for each in found), _share(len(counted), whole),
    )  # fmt: skip


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _name(shard: Shard) -> str:
    return next((region.name for region in shard.regions if region.level in ("province", "ministry")), shard.province)
