"""Zones as files: BIND loads all of them, octoDNS's form says the same, and only what changed is touched."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ground.mistake import Mistakes
from inventory import zones
from inventory.dns import Serials
from ip_plan.network import store
from tests.inventory import sample
from tests.inventory.conftest import Run

PROVINCES = ("00", "64")


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    store(tmp_path / "network", sample.network())
    return tmp_path / "network"


def records() -> set[tuple[str, str, str, str]]:
    """(zone, name, type, data) of every record, the apex's own servers among them."""
    found = set()
    for zone in (zone for province in PROVINCES for zone in zones.of(sample.network(), province)):
        apex = zone.name if zone.name == "." else f"{zone.name}."
        found |= {(zone.name, *record) for record in zone.records}
        found |= {(zone.name, apex, "NS", f"{server}.") for server in zone.servers}
    return found


def test_bind_loads_every_zone(tmp_path: Path, stored: Path, target: Run) -> None:
    out = tmp_path / "out"
    written = zones.write(out, stored, provinces=None, form="bind", serials={"64": Serials()})
    answer = target("cd /build && named-checkconf -z zones.conf", out)
    assert answer.returncode == 0, answer.stdout
    assert answer.stdout.count("loaded serial 1") == written.zones > 5
    path = next(iter(sorted(out.glob("64/*.internal.zone"))))
    path.write_text(path.read_text().replace(" IN A 10.", " IN A 910.", 1))
    assert target("cd /build && named-checkconf -z zones.conf", out).returncode != 0


def test_octodns_is_told_the_same(tmp_path: Path, stored: Path) -> None:
    zones.write(tmp_path / "out", stored, provinces=None, form="octodns", serials={})
    listed = yaml.safe_load((tmp_path / "out" / "config.yaml").read_text())["zones"]
    found = set()
    for name in listed:
        held = yaml.safe_load((tmp_path / "out" / "zones" / f"{name}yaml").read_text())
        for label, each in held.items():
            owner = ".".join(part for part in (label, name.removesuffix(".")) if part) + "."
            found |= {
                (name.removesuffix(".") or ".", owner, one["type"], data) for one in each for data in one["values"]
            }
    assert found == records()


def test_only_what_changed_is_written_and_what_is_gone_is_removed(tmp_path: Path, stored: Path) -> None:
    out = tmp_path / "out"
    first = zones.write(out, stored, provinces=None, form="bind", serials={})
    assert first.records + sum(len(zone.servers) for p in PROVINCES for zone in zones.of(sample.network(), p)) == len(
        records()
    )
    (out / "64" / "left.example.zone").write_text("")
    again = zones.write(out, stored, provinces=["64"], form="bind", serials={})
    assert (again.changed, again.removed) == ((), ("64/left.example.zone",))
    held = {"64": Serials({zone.name: (zone.key, 7) for zone in zones.of(sample.network(), "64")})}
    changed = zones.write(out, stored, provinces=None, form="bind", serials=held).changed
    assert set(changed) == {zones.master("64", zone.name) for zone in zones.of(sample.network(), "64")}
    assert " hostmaster.jinbao.internal. 7 " in (out / changed[0]).read_text()


def test_an_unknown_form_is_refused() -> None:
    with pytest.raises(Mistakes) as caught:
        zones.form("zonefile")
    assert [m.code for m in caught.value.found] == ["JB2004"]
