"""A small Network by hand: a city centre of two zones and a township with one, behind one firewall."""

from ip_plan.network import Device, Flow, Interface, Meta, Network, Protection, Region, Service, Shard, Site, Zone

CITY, TOWN = "990100:centre1", "990121100:office1"


def zone(name: str, number: int) -> Zone:
    return Zone(name, f"10.9.{number}.0/24", f"fd09:{number}::/64", f"10.9.{number}.1", f"fd09:{number}::1")


def host(name: str, site: str, of: Zone, number: int, *duties: str) -> Device:
    interface = Interface(f"z-{of.name}", "zone", f"10.9.{number}.10/24", f"fd09:{number}::10/64", zone=of.name)
    return Device(name, site, "host", f"{name}.test.internal", (interface,), zone=of.name, duties=duties)


def service(name: str, site: str, of: str, device: str, number: int, last: int, *ports: str) -> Service:
    fqdn = f"{name}.{of}.test.internal"
    return Service(name, site, of, device, fqdn, f"10.9.{number}.{last}", f"fd09:{number}::{last}", ports)


PRODUCTION, EXCHANGE, ACCESS = zone("production", 1), zone("exchange", 2), zone("access", 3)
HOSTS = (
    host("990100-prod1", CITY, PRODUCTION, 1, "database"),
    host("990100-exch1", CITY, EXCHANGE, 2, "database", "names", "time"),
    host("990121100-accs1", TOWN, ACCESS, 3, "terminal"),
)
SERVICES = (
    service("db", CITY, "production", "990100-prod1", 1, 20, "tcp/5432"),
    service("app", CITY, "production", "990100-prod1", 1, 21, "tcp/443"),
    service("db", CITY, "exchange", "990100-exch1", 2, 22, "tcp/5432"),
    service("dns", CITY, "exchange", "990100-exch1", 2, 20, "tcp/53", "udp/53"),
    service("ntp", CITY, "exchange", "990100-exch1", 2, 21, "udp/123"),
)
FLOWS = (
    Flow("FL-01", "FL-01", "allow", "access", "production", "serving-parent", ("tcp/443",), to_service="app"),
    Flow(
        "FL-02-pull",
        "FL-02",
        "allow",
        "exchange",
        "production",
        "same-centre",
        ("tcp/5432",),
        from_service="db",
        to_service="db",
        data="against",
        identity="repl_fl02",
    ),
    Flow("NAMES-ZONE", "", "allow", "production", "exchange", "same-centre", ("tcp/53", "udp/53"), to_service="dns"),
    Flow("NAMES-OFFICE", "", "allow", "access", "exchange", "serving-parent", ("tcp/53", "udp/53"), to_service="dns"),
    Flow("ECHO", "", "allow", "exchange", "access", "served-child", ("icmp/echo",)),
    Flow("DENY-PRODUCTION", "", "deny", "production", "access", "served-child"),
)
IMPORT = Flow(
    "FL-07-import",
    "FL-07",
    "allow",
    "exchange",
    "production",
    "same-centre",
    ("tcp/5432",),
    from_service="db",
    to_service="db",
    identity="import_fl07",
)
"""Beside the others, where a test asks for it."""
REGIONS = (
    Region(
        "990100",
        "样城",
        "prefecture",
        "city",
        "000000",
        "000000",
        "sample",
        "test.internal",
        "",
        0,
        0,
        ("10.9.0.0/16",),
        ("fd09::/16",),
    ),
    Region("990121100", "样镇", "township", "town", "990100", "990100", "town", "town.test.internal"),
)
CENTRE_HOSTS, OFFICE_HOSTS = ("990100-prod1", "990100-exch1"), ("990121100-accs1",)
SITES = (
    Site(
        CITY,
        "990100",
        "prefecture",
        "centre",
        "test.internal",
        "",
        4200000001,
        (PRODUCTION, EXCHANGE),
        CENTRE_HOSTS,
        True,
    ),
    Site(TOWN, "990121100", "township", "office", "town.test.internal", CITY, 0, (ACCESS,), OFFICE_HOSTS, True),
)
PROTECTION = Protection(
    CITY, "production", "db", "990100-prod1", "990100-bkup1", "repo", "production", "990100-bkup2", 30, 2, 24, 60, 600
)


def network(flows: tuple[Flow, ...] = FLOWS, devices: tuple[Device, ...] = HOSTS) -> Network:
    meta = Meta("sample", "样本", "样本", "test.internal", "10.0.0.0/8", "fd09::/16")
    shard = Shard("99", REGIONS, SITES, devices, (), SERVICES, (PROTECTION,), (), (), ())
    return Network(meta, flows, (shard,), {"99": "sample"})
