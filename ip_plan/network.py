"""The Network: what exists. Regions, sites, zones, devices, links, services, flows; stored per province.

A value that every wing reads and only `compile.py` makes. Prefixes and addresses are text (`10.1.2.0/24`, `3fff:0:1::1`),
since that is what all readers need; arithmetic on them stays in `addressing.py`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import msgspec

from ground import files

Level = Literal["ministry", "province", "prefecture", "county", "township"]
Relation = Literal["same-centre", "serving-parent", "served-child", "elsewhere", "external"]
"""Where the other end lies, seen from the one who opens the connection. A flow row may also say `any`: all but external."""

Suite = Literal["", "aes256", "sm4"]
"""What protects a line: IKEv2 with AES-256 and SHA-256, or SM2, SM3 and SM4 as in GM/T 0022; empty: nothing."""

TRANSIT = "transit"
"""Pseudo-zone of the routing devices' own addresses: loopbacks and link ends."""


class Region(msgspec.Struct, frozen=True, gc=False):
    """An administrative region. `serving` is the region whose centre serves it (RQ-N12, FL-18: not always the parent)."""

    code: str
    name: str
    level: Level
    kind: str
    parent: str
    serving: str
    label: str
    domain: str
    """`yinchuan.nx.jinbao.internal`, without a final dot."""
    group: str = ""
    communities: int = 0
    villages: int = 0
    blocks4: tuple[str, ...] = ()
    """Address blocks granted to the region (ministry, province, prefecture); a summary each. Empty below."""
    blocks6: tuple[str, ...] = ()
    """The same; also of a county that moved with its addresses (see `Site.holder`), whose reverse zone goes with it."""


class Zone(msgspec.Struct, frozen=True, gc=False):
    """A zone of one site with a prefix of its own in each family (GB/T 22239 8.1.2.1 c)."""

    name: str
    v4: str
    v6: str
    gateway4: str
    """First host address of the prefix: the firewall's (or access router's) interface `z-<zone>`, or a pair's virtual address."""
    gateway6: str


class Second(msgspec.Struct, frozen=True, gc=False):
    """Addresses that are valid beside the others while a site is renumbered: of a zone, an interface, or a loopback."""

    site: str
    device: str
    """Empty: of the zone itself, whose second gateway is the interface's."""
    name: str
    """Zone, interface, or `lo`."""
    v4: str
    """With length."""
    v6: str


class Site(msgspec.Struct, frozen=True):
    """A place with devices. Key: `<region code>:<kind><serial>`, e.g. `640100:centre1`."""

    key: str
    region: str
    level: Level
    kind: str
    domain: str
    parent: str
    """Key of the centre that serves it; empty at the ministry."""
    asn: int
    """0: none, routed statically (townships)."""
    zones: tuple[Zone, ...]
    devices: tuple[str, ...]
    running: bool = False
    """Whether the plan lists it among the nodes of a twin."""
    holder: str = ""
    """Key of the centre whose blocks its addresses lie in, where another one serves it: it moved, and keeps its addresses
    until it is renumbered. Empty: they lie where its serving centre's do."""
    handles: tuple[str, ...] = ()
    """Businesses kept in its production databases, as `<business> <code of the region whose business it is>`, sorted."""

    @property
    def handled(self) -> dict[str, tuple[str, ...]]:
        """Region → its businesses that are kept here."""
        found: dict[str, tuple[str, ...]] = {}
        for business, _, region in (each.partition(" ") for each in self.handles):
            found[region] = (*found.get(region, ()), business)
        return found

    def zone(self, name: str) -> Zone | None:
        """The zone called `name`, or None."""
        return next((zone for zone in self.zones if zone.name == name), None)


class Interface(msgspec.Struct, frozen=True, gc=False):
    """A logical interface (name of at most 15 characters); a dialect maps it by its model's port table."""

    name: str
    kind: Literal["wan", "inside", "zone", "port", "trunk", "aggregate"]
    """Of a switch, without addresses: `port` in one zone, `trunk` that carries several, `aggregate` to the other switch."""
    v4: str
    """With length: `10.1.0.0/31`."""
    v6: str
    zone: str = ""
    link: str = ""
    """Id of the Link for `wan` and `inside`."""
    peer: str = ""
    """Device at the other end."""
    peer4: str = ""
    """Its address, without length."""
    peer6: str = ""
    peer_asn: int = 0
    peer_site: str = ""


class Device(msgspec.Struct, frozen=True):
    """A machine. Name: `<region code>-<role><n>`, e.g. `640100-r1`, `640100-fw1`, `640100-prod1`.

    Roles: `router` (BGP to other levels), `firewall` (zones hang on it), `access` (router and firewall of an office in one),
    `host`. A host has exactly one interface, `z-<zone>`, and default routes to the zone's gateway. So has a `switch`, in the
    management zone; its other interfaces are what hangs on it.
    """

    name: str
    site: str
    role: Literal["router", "firewall", "access", "host", "switch"]
    fqdn: str
    interfaces: tuple[Interface, ...]
    zone: str = ""
    """Of a host."""
    asn: int = 0
    loopback4: str = ""
    """Without length; a host has none."""
    loopback6: str = ""
    duties: tuple[str, ...] = ()
    """What a host does besides answering: `names`, `time`, `database`, `repository`, `scratch`, `metrics`, `portal` …"""
    dialect: str = "frr"
    model: str = "debian12"
    serial: str = ""
    """Of a device that replaced another one."""
    numbers: tuple[int, ...] = ()
    """Of each interface, in their order: what a model whose ports are shared tells them apart by. Empty: it has no need."""

    @property
    def routes(self) -> bool:
        """Whether it routes and filters: neither a host nor a switch does."""
        return self.role not in ("host", "switch")


class Link(msgspec.Struct, frozen=True, gc=False):
    """A line between two devices: WAN lines between sites, or a cable inside a site (`inside`)."""

    id: str
    """`<device a>~<device b>`, a nearer the ministry; `#2` and so on behind it where a line gave way to a new one."""
    kind: str
    """leased, l3vpn, ipsec, … or `inside`."""
    rank: Literal["primary", "backup", "drained"]
    """`drained`: up beside the line that it replaces, or that replaces it, and to carry nothing."""
    a: str
    a_interface: str
    b: str
    b_interface: str
    bandwidth_mbps: int = 0
    cost: int = 10
    carrier: str = ""
    circuit: str = ""
    suite: Suite = ""
    """What protects it; empty: nothing does."""

    @property
    def secret(self) -> str:
        """Name of the secret that both its ends share, where its suite has one."""
        return f"line/{self.id.replace('~', '/').replace('#', '.')}"


class Service(msgspec.Struct, frozen=True, gc=False):
    """A service with a name and an address apart from its host, so that it can move in a switch-over."""

    name: str
    """`db`, `dns`, `ntp`, `repo`, `portal` …, unique in its zone."""
    site: str
    zone: str
    device: str
    fqdn: str
    v4: str
    v6: str
    ports: tuple[str, ...]
    """`tcp/5432`."""
    clause: str = ""


class Protection(msgspec.Struct, frozen=True, gc=False):
    """How one database is backed up: a row of the plan's backup policy, resolved to devices."""

    site: str
    zone: str
    service: str
    device: str
    repository: str
    """Device of the repository host, in the backup zone of the same centre."""
    repository_service: str
    """Name of its service in the backup zone."""
    stanza: str
    scratch: str
    """Device a drill restores to; empty: none at this centre."""
    archive_timeout_seconds: int
    retention_full: int
    full_interval_hours: int
    rpo_seconds: int
    rto_seconds: int
    reason: str = ""


class Partner(msgspec.Struct, frozen=True, gc=False):
    """A body outside that leaves files in a drop box of one centre."""

    site: str
    id: str
    title: str
    tables: tuple[str, ...]
    limit_bytes: int
    """The most that one delivery may bring."""
    key: str = ""
    """Its public key; empty: a pair is made with the secrets."""
    requests: tuple[str, ...] = ()
    """What it may ask online."""
    per_minute: int = 0
    """How often."""


class Flow(msgspec.Struct, frozen=True):
    """A row that decides connections. One statement; filters, proof and probes all come from it.

    `from_zone`, `to_zone` and `relation` are concrete here (lists and `any` of the plan file are expanded at compile).
    """

    id: str
    """Id of the row in the plan, e.g. `FL-02-pull`; the comment on every rule rendered from it."""
    flow: str
    """Catalogue id (`FL-02`), or empty for what the sources do not name."""
    verdict: Literal["allow", "deny"]
    from_zone: str
    to_zone: str
    relation: Relation
    ports: tuple[str, ...] = ()
    """`tcp/5432`, `udp/53`, `icmp/echo`; a deny row has none and decides every port no allow row takes."""
    from_levels: tuple[Level, ...] = ()
    """Levels of the opener's site to which the row applies; empty: all."""
    to_levels: tuple[Level, ...] = ()
    from_service: str = ""
    """Only the device and address that carry this service may open; empty: the whole zone."""
    to_service: str = ""
    """Only this service's address (and its device's own) is reached; empty: the whole zone."""
    data: Literal["with", "against", "none"] = "with"
    """Direction of the data against that of the connection; `against` rows name both services and an identity."""
    identity: str = ""
    clause: str = ""
    reason: str = ""
    place: str = ""
    """Name of the plan file and line of the row, e.g. `flows.yml:17`."""
    regions: tuple[str, ...] = ()
    """Codes of regions; the row holds only where a site of one of them is at an end. Empty: everywhere."""
    until: str = ""
    """Of an exception: its last day (ISO 8601). Empty: the row is no exception."""

    def between(self, opener: Site, target: Site) -> bool:
        """Whether the row holds between two sites that stand in its relation: their levels, and its regions."""
        return (
            (not self.from_levels or opener.level in self.from_levels)
            and (not self.to_levels or target.level in self.to_levels)
            and (not self.regions or opener.region in self.regions or target.region in self.regions)
        )


class Choice(msgspec.Struct, frozen=True):
    """A row of the plan that gives routing devices and switches their dialect and model; of the rows that fit, the last one counts."""

    dialect: str
    model: str
    role: str
    level: str = ""
    """Empty, as `kind` and `region`: any."""
    kind: str = ""
    region: str = ""
    below: bool = False
    """Whether the regions under `region` are meant too."""
    place: str = ""
    """File and line of the row."""

    def fits(self, role: str, level: str, kind: str, lineage: Sequence[str]) -> bool:
        """Whether the row speaks of a device of such a site; `lineage`: its region, and every region above it."""
        there = not self.region or self.region in (lineage if self.below else lineage[:1])
        return role == self.role and self.level in ("", level) and self.kind in ("", kind) and there


class Encrypted(msgspec.Struct, frozen=True):
    """A row of the plan that says how lines are encrypted; of the rows that fit, the last one counts."""

    suite: Suite
    level: str = ""
    """Of the site at the line's lower end. Empty, as `rank` and `region`: any."""
    rank: str = ""
    region: str = ""
    below: bool = False
    place: str = ""
    """File and line of the row."""

    def fits(self, level: str, rank: str, lineage: Sequence[str]) -> bool:
        """Whether the row speaks of such a line; `lineage`: the region at its lower end, and every region above that."""
        there = not self.region or self.region in (lineage if self.below else lineage[:1])
        return self.level in ("", level) and self.rank in ("", rank) and there


class Meta(msgspec.Struct, frozen=True):
    """What belongs to the whole plan."""

    name: str
    title: str
    scope: str
    root: str
    """Domain root, e.g. `jinbao.internal`."""
    supernet4: str
    supernet6: str
    calendar: tuple[tuple[str, str], ...] = ()
    """Milestone id → planned date of this plan."""
    settings: dict[str, str | int | float | bool] = {}
    choices: tuple[Choice, ...] = ()
    encrypted: tuple[Encrypted, ...] = ()
    vlans: dict[str, int] | msgspec.UnsetType = msgspec.UNSET
    """Zone → VLAN id at sites with switches. Unset, and not stored: no site has any."""


class Shard(msgspec.Struct, frozen=True):
    """One province (two-character key), or the ministry (`00`). Sorted by key; self-contained."""

    province: str
    regions: tuple[Region, ...]
    sites: tuple[Site, ...]
    devices: tuple[Device, ...]
    links: tuple[Link, ...]
    """Every link with its b end here."""
    services: tuple[Service, ...]
    protections: tuple[Protection, ...]
    neighbours: tuple[Site, ...]
    """Sites of other shards that serve or are served by a site here."""
    neighbour_services: tuple[Service, ...]
    neighbour_regions: tuple[Region, ...]
    neighbour_devices: tuple[Device, ...] = ()
    """The devices of `neighbours`, as far as a filter has to know their addresses: lines to other shards may be missing."""
    neighbour_links: tuple[Link, ...] = ()
    """Links with their a end here and their b end in another shard."""
    second: tuple[Second, ...] = ()
    """Of sites that are being renumbered."""
    partners: tuple[Partner, ...] = ()


class Index(msgspec.Struct, frozen=True):
    """What lies in a stored Network: the whole-plan part and the key of each shard."""

    meta: Meta
    flows: tuple[Flow, ...]
    shards: dict[str, str]
    """Province → SHA-256 of its shard's bytes."""


CHANGE = "change.json"


class Stamp(msgspec.Struct, frozen=True):
    """The plan change that led from the Network before to the one it lies beside."""

    id: str
    """From the content of both: the same change of the same Network has the same id wherever it is compiled."""
    plan: str
    approver: str
    """Who agreed to it, as they said; empty: nobody was named."""
    kinds: dict[str, int]
    """Kind of change → how many."""
    devices: int
    """Existing devices that it touches."""
    existing: int


class Network(msgspec.Struct, frozen=True, dict=True):
    """The loaded part of a Network: all its shards, or the ones asked for."""

    meta: Meta
    flows: tuple[Flow, ...]
    shards: tuple[Shard, ...]
    keys: dict[str, str]
    stamp: Stamp | None = None
    """The plan change that led to it; None: it has been what it is since its first compile."""

    @property
    def change(self) -> str:
        """Id of that change, or empty."""
        return self.stamp.id if self.stamp else ""

    @cached_property
    def regions(self) -> dict[str, Region]:
        """Code → region, neighbours included."""
        found = {region.code: region for shard in self.shards for region in shard.neighbour_regions}
        found.update((region.code, region) for shard in self.shards for region in shard.regions)
        return found

    @cached_property
    def sites(self) -> dict[str, Site]:
        """Key → site of the loaded shards."""
        return {site.key: site for shard in self.shards for site in shard.sites}

    @cached_property
    def known_sites(self) -> dict[str, Site]:
        """Key → site, neighbours in other shards included."""
        found = {site.key: site for shard in self.shards for site in shard.neighbours}
        return found | self.sites

    @cached_property
    def devices(self) -> dict[str, Device]:
        """Name → device of the loaded shards."""
        return {device.name: device for shard in self.shards for device in shard.devices}

    def pair(self, site: str) -> tuple[Device, ...]:
        """The two firewalls of a site, by name; empty where it has one or none."""
        known = self.known_sites.get(site)
        listed = [self.known_devices[name] for name in (known.devices if known else ()) if name in self.known_devices]
        found = sorted((each for each in listed if each.role == "firewall"), key=lambda each: each.name)
        return tuple(found) if len(found) > 1 else ()

    @cached_property
    def known_devices(self) -> dict[str, Device]:
        """Name → device, those of neighbouring sites in other shards included."""
        found = {device.name: device for shard in self.shards for device in shard.neighbour_devices}
        return found | self.devices

    @cached_property
    def second(self) -> dict[tuple[str, str], Second]:
        """(site, zone), (device, interface) or (device, `lo`) → the addresses it has beside its own."""
        return {(each.device or each.site, each.name): each for shard in self.shards for each in shard.second}

    @cached_property
    def links(self) -> dict[str, Link]:
        """Id → link."""
        found = {link.id: link for shard in self.shards for link in shard.neighbour_links}
        return found | {link.id: link for shard in self.shards for link in shard.links}

    @cached_property
    def services(self) -> tuple[Service, ...]:
        """Every known service, neighbours' included, once."""
        found = {(service.site, service.zone, service.name): service for service in self._services()}
        return tuple(found[key] for key in sorted(found))

    def _services(self) -> Iterator[Service]:
        for shard in self.shards:
            yield from shard.neighbour_services
            yield from shard.services

    @cached_property
    def protections(self) -> tuple[Protection, ...]:
        """The protected databases of the loaded shards."""
        return tuple(protection for shard in self.shards for protection in shard.protections)

    @cached_property
    def protections_of(self) -> dict[str, tuple[Protection, ...]]:
        """Device → the protections that it has a part in, as database, repository or scratch host."""
        found: dict[str, tuple[Protection, ...]] = {}
        for each in self.protections:
            for name in dict.fromkeys((each.device, each.repository, each.scratch)):
                found[name] = (*found.get(name, ()), each)
        return found

    @cached_property
    def partners_of(self) -> dict[str, tuple[Partner, ...]]:
        """Site → the bodies that have a drop box there."""
        found: dict[str, tuple[Partner, ...]] = {}
        for each in (partner for shard in self.shards for partner in shard.partners):
            found[each.site] = (*found.get(each.site, ()), each)
        return found

    @cached_property
    def services_at(self) -> dict[tuple[str, str], tuple[Service, ...]]:
        """(site, zone) → services there."""
        found: dict[tuple[str, str], tuple[Service, ...]] = {}
        for service in self.services:
            found[service.site, service.zone] = (*found.get((service.site, service.zone), ()), service)
        return found

    def service(self, site: str, zone: str, name: str) -> Service | None:
        """The service of that name in a zone of a site, or None where the plan has none."""
        return next((each for each in self.services_at.get((site, zone), ()) if each.name == name), None)

    @cached_property
    def children(self) -> dict[str, tuple[Site, ...]]:
        """Site key → the sites it serves, sorted by key."""
        found: dict[str, list[Site]] = {}
        for key in sorted(self.known_sites):
            site = self.known_sites[key]
            if site.parent:
                found.setdefault(site.parent, []).append(site)
        return {key: tuple(sites) for key, sites in found.items()}

    @cached_property
    def strays(self) -> dict[str, tuple[Site, ...]]:
        """Key of a centre → the sites of the loaded shards that another one serves with addresses of its blocks."""
        found: dict[str, list[Site]] = {}
        for site in self.sites.values():
            if site.holder:
                found.setdefault(site.holder, []).append(site)
        return {key: tuple(sites) for key, sites in found.items()}

    @cached_property
    def memory(self) -> dict[str, dict[Any, Any]]:
        """What others worked out of this Network and will ask again: question → its terms → answer. Neither ever changes."""
        return defaultdict(dict)

    def related(self, site: Site, relation: Relation) -> tuple[Site, ...]:
        """The sites that stand to `site` as the other end of a connection it opens (`elsewhere` and `external`: none)."""
        if relation == "same-centre":
            return (site,)
        if relation == "serving-parent":
            parent = self.known_sites.get(site.parent)
            return (parent,) if parent else ()
        if relation == "served-child":
            return self.children.get(site.key, ())
        return ()

    def relation(self, opener: Site, other: Site) -> Relation:
        """How `other` stands to `opener`."""
        if opener.key == other.key:
            return "same-centre"
        if opener.parent == other.key:
            return "serving-parent"
        if other.parent == opener.key:
            return "served-child"
        return "elsewhere"

    def devices_of(self, site: Site) -> tuple[Device, ...]:
        """The devices of a site of the loaded shards."""
        return tuple(self.devices[name] for name in site.devices)

    def switched(self, site: Site) -> dict[str, int]:
        """Zone → VLAN id of a site with switches; empty for one without."""
        if not self.meta.vlans or not any("-sw" in name for name in site.devices):
            return {}
        return {zone.name: self.meta.vlans[zone.name] for zone in site.zones}

    def running(self) -> tuple[Site, ...]:
        """The sites that are nodes of a twin."""
        return tuple(site for site in self.sites.values() if site.running)

    def key_of(self, *parts: object) -> str:
        """An input key: SHA-256 of the canonical bytes of `parts`, 16 hexadecimal digits."""
        return files.sha256(msgspec.json.encode(parts, order="deterministic"))[:16]


def store(folder: Path, network: Network) -> int:
    """Write the index and every shard of `network`; returns how many files changed. The index is written last."""
    changed = 0
    keys = dict(network.keys)
    for shard in network.shards:
        data = msgspec.json.encode(shard)
        keys[shard.province] = files.sha256(data)
        changed += files.write(folder / f"{shard.province}.json", data)
    index = Index(network.meta, network.flows, dict(sorted(keys.items())))
    return changed + files.write(folder / "index.json", msgspec.json.encode(index))


def load(folder: Path, provinces: Iterable[str] | None = None) -> Network:
    """The stored Network, whole or only some provinces (two-character keys).

    Raises FileNotFoundError when there is none and msgspec.DecodeError when it is damaged.
    """
    index = msgspec.json.decode((folder / "index.json").read_bytes(), type=Index)
    wanted = list(index.shards) if provinces is None else [p for p in provinces if p in index.shards]
    decoder = msgspec.json.Decoder(Shard)
    shards = tuple(decoder.decode((folder / f"{province}.json").read_bytes()) for province in sorted(wanted))
    try:
        stamp = msgspec.json.decode((folder / CHANGE).read_bytes(), type=Stamp)
    except FileNotFoundError:
        stamp = None
    return Network(index.meta, index.flows, shards, index.shards, stamp)
