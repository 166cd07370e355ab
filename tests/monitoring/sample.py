"""A small plan for judging: the ministry, Ningxia, two of its cities, one county and one township of each; and records about it."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files

import msgspec

from ground import clock
from ground.record import Measure, Record, Result, Subject
from ip_plan import regions as divisions
from ip_plan.network import Device, Meta, Network, Region, Shard, Site, Zone
from monitoring.evidence.log import Entry

TARGET = "twin:test"
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
GROUPS = {"110000": "East", "640000": "West"}
CENTRES = ("000000", "640000", "640100", "640300")
OFFICES = ("640121", "640121100", "640323", "640323100")
ZONES = ("production", "exchange", "decision", "management")
LEVELS = {"000000": "ministry", "640000": "province"}


@cache
def regions() -> dict[str, divisions.Region]:
    """The shipped division data."""
    text = (files("ip_plan") / "plans" / "divisions" / "regions.csv").read_text()
    found, mistakes = divisions.read(text, file="regions.csv", corps_cities="corps")
    assert not mistakes
    return found


def serving(code: str) -> str:
    """The region whose centre serves `code`."""
    if code == "000000":
        return ""
    return "000000" if code == "640000" else "640000" if code in CENTRES else f"{code[:4]}00"


@cache
def network(calendar: tuple[tuple[str, str], ...] = (), without: str = "") -> Network:
    """The plan; `without` is a zone that 640300 does not have."""
    sites, devices, known = [], [], []
    for code in CENTRES + OFFICES:
        row = regions()[code]
        kind = "centre" if code in CENTRES else "office"
        names = [zone for zone in ZONES if (code, zone) not in {("000000", "production"), ("640300", without)}]
        zones = tuple(Zone(zone, "10.0.0.0/24", "3fff::/64", "10.0.0.1", "3fff::1") for zone in names)
        parent = serving(code)
        key = f"{code}:{kind}1"
        sites.append(
            Site(
                key, code, row.level, kind, f"{code}.test", f"{parent}:centre1" if parent else "", 0,  # type: ignore[arg-type]
                zones if kind == "centre" else (), (f"{code}-r1", f"{code}-mgmt1"), True,
            )
        )  # fmt: skip
        devices.append(Device(f"{code}-r1", key, "router", f"r1.{code}.test", ()))
        devices.append(Device(f"{code}-mgmt1", key, "host", f"mgmt1.{code}.test", (), zone="management"))
        known.append(Region(code, row.name, row.level, row.kind, row.parent, parent, code, f"{code}.test"))  # type: ignore[arg-type]
    meta = Meta("test", "试点", "31个省、自治区、直辖市和新疆生产建设兵团", "test", "10.0.0.0/8", "3fff::/20", calendar)
    shard = Shard("64", tuple(known), tuple(sites), tuple(devices), (), (), (), (), (), ())
    return Network(meta, (), (shard,), {})


def record(check: str, subject: Subject, result: Result = "pass", *, minutes: float = -10, **more: object) -> Record:
    """A record made `minutes` from NOW."""
    made = Record(
        check=check, subject=subject, target=TARGET, observer="controller", method="m",
        time=clock.stamp(NOW + timedelta(minutes=minutes)), tool="jinbao 0.1.0", input_key="k", result=result,
        reason="" if result == "pass" else f"{check} says {result}", seen=1, expected=1,
    )  # fmt: skip
    return msgspec.structs.replace(made, **more)


def everything(minutes: float = -10) -> list[Record]:
    """What one good check run says about the whole of the plan."""
    found = []
    for code in CENTRES:
        site = f"{code}:centre1"
        zones = [zone for zone in ZONES if not (code == "000000" and zone == "production")]
        for zone in zones:
            if zone != "management":
                found.append(record("database.answers", Subject(code, site, zone, service="db"), minutes=minutes))
            found += [
                record("zone.probe", Subject(code, site, zone, peer=f"{site}:{other}"), minutes=minutes)
                for other in zones
                if other != zone
            ]
        found.append(record("dns.forward", Subject(code, site), minutes=minutes))
        if up := serving(code):
            for check in ("bgp.session", "prefix.present"):
                for here, there in ((code, up), (up, code)):
                    ends = Subject(code, site, device=f"{here}-r1", peer=f"{there}-r1")
                    found.append(record(check, ends, minutes=minutes, observer=f"{here}-r1"))
        if code != "000000":
            age = (Measure("age_seconds", "s", 900.0, 90000.0),)
            found.append(record("backup.age", Subject(code, site, "production", "db"), minutes=minutes, measures=age))
    drilled = (
        Measure("rpo_seconds", "s", 4.4, 60.0),
        Measure("rto_seconds", "s", 21.0, 900.0),
        Measure("layer", "layer", 5.0),
    )
    found.append(
        record(
            "drill.restore", Subject("640100", "640100:centre1", "production", "db"), minutes=minutes, measures=drilled
        )
    )
    found += [record("reach.office", Subject(code, f"{code}:office1"), minutes=minutes) for code in OFFICES]
    return found


def entries(records: Iterable[Record]) -> list[Entry]:
    """The records as the log gives them out."""
    return [Entry(number, f"{number:064x}", one) for number, one in enumerate(records, 1)]
