"""A Network made by hand, so that no other room's change moves the reviewed files: ministry, province, city, county, township.

`python -m tests.inventory.sample` writes the reviewed files anew, for a look at their diff.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

import msgspec

from inventory import render
from inventory.render import Rendered
from ip_plan.network import (
    TRANSIT,
    Device,
    Flow,
    Interface,
    Level,
    Link,
    Meta,
    Network,
    Protection,
    Region,
    Relation,
    Service,
    Shard,
    Site,
    Zone,
)

GOLDEN = Path(__file__).parent / "golden"
SHOWN = (
    "000000-exch1", "000000-fw1", "000000-r1", "640000-exch1", "640000-fw1", "640000-mgmt1", "640000-r2",
    "640100-bkup1", "640100-bkup2", "640100-exch1", "640100-fw1", "640100-mgmt1", "640100-prod1", "640100-r1",
    "640121-accs1", "640121-r1", "640121100-r1",
)  # fmt: skip
"""One device of each kind and level: their files are reviewed."""

ROOT = "jinbao.internal"
PORTS = {
    "db": ("tcp/5432",),
    "app": ("tcp/443",),
    "dns": ("tcp/53", "udp/53"),
    "ntp": ("udp/123",),
    "metrics": ("tcp/9090",),
    "repo": ("tcp/8432",),
}
SHORT = {
    "production": "prod", "exchange": "exch", "decision": "deci", "management": "mgmt", "backup": "bkup", "access": "accs",
}  # fmt: skip
CARRIED: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "production": (("database",), ("db", "app")),
    "exchange": (("database", "names", "time"), ("db", "dns", "ntp")),
    "decision": (("database",), ("db",)),
    "management": (("metrics",), ("metrics",)),
    "backup": (("repository",), ("repo",)),
    "access": (("terminal",), ()),
}


def short(address: str) -> str:
    """An IPv6 address as the compiler writes it."""
    return str(ip_address(address))


class Place:
    """One site while it is put together."""

    def __init__(
        self,
        code: str,
        level: Level,
        label: str,
        v4: str,
        v6: str,
        zones: Iterable[str],
        parent: Place | None,
        asn: int,
    ) -> None:
        self.code, self.level, self.v4, self.v6, self.parent, self.asn = code, level, v4, v6, parent, asn
        self.kind = "office" if level in ("county", "township") else "centre"
        self.key = f"{code}:{self.kind}1"
        above: str = parent.domain if parent else ""
        self.domain: str = f"{label}.{above}" if label else ROOT
        self.zones = tuple(
            Zone(name, f"{v4}.{number}.0/24", f"{v6}{number}::/64", f"{v4}.{number}.1", f"{v6}{number}::1")
            for number, name in enumerate(zones, 1 if self.kind == "centre" else int(code[3:6]) % 100)
        )
        self.interfaces: dict[str, list[Interface]] = {}
        self.links: list[Link] = []
        self.hosts: list[tuple[str, Zone, tuple[str, ...], tuple[str, ...]]] = []
        self.routing: list[str] = []


def _link(
    number: int,
    rank: Literal["primary", "backup"],
    a: tuple[Place, str],
    b: tuple[Place, str],
    kind: Literal["wan", "inside"],
) -> None:
    """Join two devices. The addresses come from the lower place's block."""
    (upper, one), (lower, other) = a, b
    names = (
        (f"w-{lower.code}-{other[-1]}", f"w-{upper.code}-{one[-1]}") if kind == "wan" else (f"i-{other}", f"i-{one}")
    )
    four = [f"{lower.v4}.0.{128 + 2 * number + end}" for end in (0, 1)]
    six = [short(f"{lower.v6}0::{2 * number + 16 + end:x}") for end in (0, 1)]
    left, right = f"{upper.code}-{one}", f"{lower.code}-{other}"
    link = f"{left}~{right}"
    upper.interfaces.setdefault(one, []).append(
        Interface(
            names[0], kind, f"{four[0]}/31", f"{six[0]}/127", "", link, right, four[1], six[1], lower.asn, lower.key
        )
    )
    lower.interfaces.setdefault(other, []).append(
        Interface(
            names[1], kind, f"{four[1]}/31", f"{six[1]}/127", "", link, left, four[0], six[0], upper.asn, upper.key
        )
    )
    kind_name = "leased" if kind == "wan" else "inside"
    lower.links.append(Link(link, kind_name, rank, left, names[0], right, names[1], cost=10))


def _centre(place: Place, routers: int) -> None:
    place.routing = [*(f"r{number}" for number in range(1, routers + 1)), "fw1"]
    number = 0
    for index, one in enumerate(place.routing):
        for other in place.routing[index + 1 :]:
            _link(number, "primary", (place, one), (place, other), "inside")
            number += 1
    for zone in place.zones:
        duties, services = CARRIED[zone.name]
        place.hosts.append((f"{SHORT[zone.name]}1", zone, duties, services))


def _devices(place: Place) -> tuple[list[Device], list[Service]]:
    devices: list[Device] = []
    services: list[Service] = []
    for number, label in enumerate(place.routing, 1):
        role: Literal["router", "firewall", "access"] = (
            "firewall" if label == "fw1" else "router" if place.kind == "centre" else "access"
        )
        carried = list(place.interfaces.get(label, []))
        if role != "router":
            carried += [
                Interface(f"z-{z.name}", "zone", f"{z.gateway4}/24", f"{z.gateway6}/64", zone=z.name)
                for z in place.zones
            ]
        devices.append(
            Device(
                f"{place.code}-{label}", place.key, role, f"{label}.{place.domain}",
                tuple(sorted(carried, key=lambda i: i.name)), asn=0 if role == "firewall" else place.asn,
                loopback4=f"{place.v4}.0.{number}", loopback6=short(f"{place.v6}0::{number}"),
            )
        )  # fmt: skip
    for number, (label, zone, duties, names) in enumerate(place.hosts, 10):
        name = f"{place.code}-{label}"
        four, six = zone.v4.rpartition(".")[0], zone.v6.removesuffix("/64")
        port = Interface(f"z-{zone.name}", "zone", f"{four}.{number}/24", f"{six}{number:x}/64", zone=zone.name)
        devices.append(
            Device(
                name,
                place.key,
                "host",
                f"{label}.{place.domain}",
                (port,),
                zone=zone.name,
                duties=duties,
                dialect="debian",
            )
        )
        for last, service in enumerate(names, 250):
            fqdn = f"{service}.{zone.name}.{place.domain}"
            services.append(
                Service(service, place.key, zone.name, name, fqdn, f"{four}.{last}", f"{six}1:{last:x}", PORTS[service])
            )
    return devices, services


def _region(place: Place, blocks4: tuple[str, ...], blocks6: tuple[str, ...]) -> Region:
    above = place.parent.code if place.parent else ""
    return Region(
        place.code, place.code, place.level, "", above, above, place.domain.split(".")[0], place.domain,
        blocks4=blocks4, blocks6=blocks6,
    )  # fmt: skip


def _site(place: Place) -> Site:
    names = [f"{place.code}-{label}" for label in (*place.routing, *(host[0] for host in place.hosts))]
    parent = place.parent.key if place.parent else ""
    return Site(
        place.key, place.code, place.level, place.kind, place.domain, parent, place.asn, place.zones, tuple(names), True
    )


def _flow(
    id: str, one: str, other: str, relation: Relation, *ports: str, levels: tuple[Level, ...] = (),
    to_levels: tuple[Level, ...] = (), source: str = "", target: str = "", identity: str = "", carries: str = "",
) -> Flow:  # fmt: skip
    return Flow(
        id,
        carries,
        "allow",
        one,
        other,
        relation,
        ports or PORTS[target],
        levels,
        to_levels,
        source,
        target,
        "against" if carries else "with",
        identity,
    )


OFFICES: tuple[Level, ...] = ("county", "township")


def flows() -> tuple[Flow, ...]:
    """A few rows of each shape: in a centre, between levels, from offices, with and without services, routing, denial."""
    found = [
        _flow("COUNTER", "access", "production", "serving-parent", target="app"),
        _flow("PULL", "exchange", "production", "same-centre", source="db", target="db", identity="repl_pull",
              carries="FL-02"),
        _flow("COLLECT", "exchange", "exchange", "served-child", source="db", target="db", identity="repl_up",
              to_levels=("province", "prefecture"), carries="FL-05"),
        _flow("FETCH", "exchange", "exchange", "serving-parent", source="db", target="db", identity="repl_down",
              carries="FL-05"),
        msgspec.structs.replace(
            _flow("IMPORT", "exchange", "production", "same-centre", source="db", target="db", identity="import_in",
                  carries="FL-07"), data="with"),
        _flow("LINE-TEST", "exchange", "exchange", "serving-parent", "icmp/echo"),
        _flow("LINE-TEST", "exchange", "exchange", "served-child", "icmp/echo"),
        _flow("NAMES-LEVEL", "exchange", "exchange", "serving-parent", source="dns", target="dns"),
        _flow("NAMES-LEVEL", "exchange", "exchange", "served-child", source="dns", target="dns"),
        _flow("TIME-LEVEL", "exchange", "exchange", "serving-parent", source="ntp", target="ntp"),
        _flow("METRICS-UP", "management", "management", "served-child", source="metrics", target="metrics",
              to_levels=("province", "prefecture")),
        _flow("BACKUP-PUSH", "production", "backup", "same-centre", source="db", target="repo"),
        _flow("BACKUP-RUN", "backup", "production", "same-centre", "tcp/8432", source="repo", target="db"),
        _flow("ROUTING", TRANSIT, TRANSIT, "same-centre", "tcp/179", "udp/3784", "proto/ospf", "icmp/echo"),
        _flow("ROUTING", TRANSIT, TRANSIT, "serving-parent", "tcp/179", "udp/3784", "icmp/echo"),
        _flow("ROUTING", TRANSIT, TRANSIT, "served-child", "tcp/179", "udp/3784", "icmp/echo"),
        Flow("DENY", "", "deny", "decision", "production", "elsewhere", reason="nothing crosses sideways"),
    ]  # fmt: skip
    for zone in ("production", "decision", "management", "backup", "access", TRANSIT):
        found.append(_flow("NAMES", zone, "exchange", "same-centre", target="dns"))
        found.append(_flow("TIME", zone, "exchange", "same-centre", target="ntp"))
        if zone != "management":
            found.append(_flow("MANAGE", "management", zone, "same-centre", "tcp/22", "tcp/9100", "icmp/echo"))
    for zone in ("access", "management", TRANSIT):
        found.append(_flow("NAMES-OFFICE", zone, "exchange", "serving-parent", levels=OFFICES, target="dns"))
        found.append(_flow("TIME-OFFICE", zone, "exchange", "serving-parent", levels=OFFICES, target="ntp"))
        found.append(
            _flow(
                "MANAGE-OFFICE",
                "management",
                zone,
                "served-child",
                "tcp/22",
                "tcp/9100",
                "icmp/echo",
                to_levels=OFFICES,
            )
        )
    return tuple(found)


@cache
def network(through_county: bool = False) -> Network:
    """The sample. `through_county`: the township's line ends at the county's office instead of the city."""
    ministry = Place("000000", "ministry", "", "10.0", "3fff:0:0:", ("exchange", "management"), None, 4200000000)
    province = Place(
        "640000", "province", "nx", "10.64", "3fff:10:0:", ("production", "exchange", "management", "backup"), ministry,
        4206400000,
    )  # fmt: skip
    city = Place(
        "640100", "prefecture", "yinchuan", "10.65", "3fff:10:1000:",
        ("production", "exchange", "decision", "management", "backup"), province, 4206400001,
    )  # fmt: skip
    county = Place("640121", "county", "yongning", "10.65", "3fff:10:1021:", ("access", "management"), city, 4206400002)
    township = Place("640121100", "township", "yanghe", "10.65", "3fff:10:1022:", ("access", "management"), city, 0)
    township.zones = tuple(
        Zone(
            name,
            f"10.65.{number}.0/24",
            f"3fff:10:1022:{number}::/64",
            f"10.65.{number}.1",
            f"3fff:10:1022:{number}::1",
        )
        for number, name in ((31, "access"), (32, "management"))
    )
    _centre(ministry, 2)
    _centre(province, 2)
    _centre(city, 1)
    city.hosts.append(("bkup2", city.zones[4], ("scratch",), ()))
    county.routing, township.routing = ["r1"], ["r1"]
    county.hosts = [("accs1", county.zones[0], ("terminal",), ())]
    township.hosts = [("accs1", township.zones[0], ("terminal",), ())]
    _link(10, "primary", (ministry, "r1"), (province, "r1"), "wan")
    _link(11, "backup", (ministry, "r2"), (province, "r2"), "wan")
    _link(12, "primary", (province, "r1"), (city, "r1"), "wan")
    _link(13, "backup", (province, "r2"), (city, "r1"), "wan")
    _link(14, "primary", (city, "r1"), (county, "r1"), "wan")
    _link(15, "primary", (county if through_county else city, "r1"), (township, "r1"), "wan")
    devices: dict[str, list[Device]] = {"00": [], "64": []}
    services: dict[str, list[Service]] = {"00": [], "64": []}
    # Loopbacks of the offices lie in the city's block, beside its own.
    for number, place in enumerate((ministry, province, city, county, township)):
        made, carried = _devices(place)
        if place.kind == "office":
            made[0] = Device(
                made[0].name, made[0].site, made[0].role, made[0].fqdn, made[0].interfaces, asn=place.asn,
                loopback4=f"10.65.0.{10 + number}", loopback6=short(f"{place.v6}0::1"),
            )  # fmt: skip
        devices[place.code[:2]] += made
        services[place.code[:2]] += carried
    protection = Protection(
        city.key,
        "production",
        "db",
        "640100-prod1",
        "640100-bkup1",
        "repo",
        "production",
        "640100-bkup2",
        30,
        2,
        24,
        60,
        600,
    )
    regions = {
        "00": (_region(ministry, ("10.0.0.0/16",), ("3fff::/28",)),),
        "64": (
            _region(province, ("10.64.0.0/15",), ("3fff:10::/28",)),
            _region(city, ("10.65.0.0/18",), ("3fff:10:1000::/36",)),
            _region(county, (), ()),
            _region(township, (), ()),
        ),
    }
    sites = {"00": (_site(ministry),), "64": tuple(map(_site, (province, city, county, township)))}
    top = Shard(
        "00", regions["00"], sites["00"], tuple(sorted(devices["00"], key=lambda d: d.name)), tuple(ministry.links),
        tuple(services["00"]), (), sites["64"][:1], tuple(s for s in services["64"] if s.site == province.key),
        regions["64"][:1], tuple(d for d in devices["64"] if d.site == province.key),
        tuple(link for link in province.links if link.kind != "inside"),
    )  # fmt: skip
    links = [*province.links, *city.links, *county.links, *township.links]
    below = Shard(
        "64", regions["64"], sites["64"], tuple(sorted(devices["64"], key=lambda d: d.name)), tuple(links),
        tuple(services["64"]), (protection,), sites["00"], tuple(services["00"]), regions["00"], tuple(devices["00"]),
    )  # fmt: skip
    meta = Meta("sample", "sample", "", ROOT, "10.0.0.0/8", "3fff::/20")
    return Network(meta, flows(), (top, below), {"00": "0", "64": "1"})


def only(whole: Network, province: str) -> Network:
    """The sample with one province loaded."""
    return Network(whole.meta, whole.flows, tuple(s for s in whole.shards if s.province == province), whole.keys)


def text(rendered: Rendered) -> str:
    """All files of a device in one text, for a reviewer."""
    parts = []
    for entry in rendered.tree.entries:
        facts = [f"{entry.role} {entry.owner}:{entry.group} {entry.mode}"]
        facts += [f"check: {entry.validator}"] if entry.validator else []
        facts += [f"{entry.action}: {entry.unit}"] if entry.unit else []
        parts.append(f"==== {entry.target}  ({'; '.join(facts)})\n{rendered.contents[entry.source].decode()}")
    return "".join(parts) + f"==== units: {' '.join(rendered.tree.units)}\n"


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for shown in render.render(network(), devices=SHOWN, lab=False):
        (GOLDEN / f"{shown.tree.device}.txt").write_text(text(shown))
