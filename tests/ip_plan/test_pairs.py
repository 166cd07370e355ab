"""A second firewall comes, and goes: what was granted stays, and the gateways of the zones do not move."""

from __future__ import annotations

import shutil
from pathlib import Path

from ip_plan import ledger as ledgers
from ip_plan.compile import compile_plan
from ip_plan.network import Device, Network, load
from tests.plans import PINNED


def counted(plan: Path, number: int) -> None:
    text = (PINNED / "sites.yml").read_text("utf-8")
    (plan / "sites.yml").write_text(text.replace("firewalls: 2", f"firewalls: {number}"), "utf-8")


def compiled(plan: Path) -> Network:
    return load(compile_plan(str(plan), plan.parent / "state", confirm="pinned").network)


def granted(plan: Path) -> dict[ledgers.Key, ledgers.Grant]:
    return ledgers.read(plan / "ledger", "64")[0].grants


def zones(network: Network, device: Device) -> dict[str, tuple[str, str]]:
    return {each.name: (each.v4, each.v6) for each in device.interfaces if each.kind == "zone"}


def test_nothing_granted_moves_when_a_second_firewall_comes_or_goes(tmp_path: Path) -> None:
    plan = shutil.copytree(PINNED, tmp_path / "plan")
    counted(plan, 1)
    one, first = compiled(plan), granted(plan)
    counted(plan, 2)
    two, second = compiled(plan), granted(plan)
    assert first.items() <= second.items()
    new = {kind for kind, _ in second.keys() - first.keys()}
    assert new == {"host", "loop", "link"}
    site = two.sites["640300:centre1"]
    assert site.zones == one.sites[site.key].zones
    pair = two.pair(site.key)
    assert [each.name for each in pair] == ["640300-fw1", "640300-fw2"] and one.pair(site.key) == ()
    for device, place in zip(pair, (2, 3), strict=True):
        found = zones(two, device)
        for zone in site.zones:
            base4, length4 = zone.v4.split("/")
            base6, length6 = zone.v6.split("/")
            head, _, last = base4.rpartition(".")
            assert found[f"z-{zone.name}"] == (f"{head}.{int(last) + place}/{length4}", f"{base6}{place}/{length6}")
    # Every router has a cable to each, and the two firewalls none to each other.
    links = {link for link in two.links if "-fw" in link and link.startswith("640300")}
    assert links == {"640300-r1~640300-fw1", "640300-r1~640300-fw2"}
    assert two.sites["640000:centre1"] == one.sites["640000:centre1"]
    counted(plan, 1)
    again = compiled(plan)
    assert again.shards == one.shards and granted(plan) == second
