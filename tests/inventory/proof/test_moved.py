"""Regions that moved with their addresses: the rendered text leads to them, and the old way is closed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from inventory import dns, filtering, routing
from inventory.ends import Dual
from inventory.proof.proving import Proof, prove
from inventory.render import write
from ip_plan.compile import compiled
from ip_plan.folder import folder_of
from ip_plan.network import Network

MOVES = {
    "to another city": '{kind: move, region: "640121", to: "640300", since: "2026-10-01", reason: 划归吴忠}',
    "to the province": '{kind: move, region: "640121", to: "640000", since: "2026-10-01", reason: 省管县}',
    "a township": '{kind: move, region: "640121100", to: "640323", since: "2026-10-01", reason: 划归盐池}',
}


def after(folder: Path, move: str) -> Network:
    """The pilot, granted first without the change, then with it."""
    plan = folder / "plan"
    plan.mkdir()
    shutil.copy(folder_of("pilot")[0] / "plan.yml", plan)
    compiled(str(plan), folder / "state")
    with (plan / "plan.yml").open("a", encoding="utf-8") as stream:
        stream.write(f"changes:\n  - {MOVES[move]}\n")
    return compiled(str(plan), folder / "state")


def proof(folder: Path, network: Network) -> Proof:
    running = [name for site in network.running() for name in site.devices]
    write(folder / "build", network, devices=running, lab=True)
    return prove(network, folder / "build", running)


@pytest.mark.parametrize("move", MOVES)
def test_the_text_leads_to_a_region_that_moved(move: str, tmp_path: Path) -> None:
    network = after(tmp_path, move)
    assert any(network.strays.values())
    found = proof(tmp_path, network)
    assert found.mistakes == () and found.findings == ()
    assert found.destinations > 1000


def test_a_summary_that_swallows_it_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old city's own summary is a black hole for the county, unless it hears the county's prefixes."""
    network = after(tmp_path, "to another city")
    monkeypatch.setattr(routing, "lent", lambda network, site: Dual())
    assert {"JB2414"} <= {finding.code for finding in proof(tmp_path, network).findings}


def test_a_new_city_that_does_not_tell_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = after(tmp_path, "to another city")
    monkeypatch.setattr(routing, "strays", lambda network, site: Dual())
    found = proof(tmp_path, network).findings
    assert any(each.subject == "640000-r1" and each.found.endswith("from 640300-r1") for each in found)


def test_filters_follow_the_serving_centre(tmp_path: Path) -> None:
    network = after(tmp_path, "to another city")
    county = network.sites["640121:office1"].zones[0].v4

    def seen(device: str) -> bool:
        found = filtering.filtering(network, network.devices[device])
        assert found is not None
        return any(county in each.elements for each in found.sets)

    assert seen("640300-fw1") and not seen("640100-fw1")


def test_the_holder_of_the_block_delegates_its_reverse_zone(tmp_path: Path) -> None:
    network = after(tmp_path, "to another city")
    shard = next(shard for shard in network.shards if shard.province == "64")
    servers = dns.servers(network, shard)
    name = "5.0.0.0.0.0.0.f.f.f.3.ip6.arpa"
    assert network.regions["640121"].blocks6 == ("3fff:0:50::/44",)
    assert name in [zone.name for zone in servers["640300:centre1"].zones]
    assert name not in [zone.name for zone in servers["640100:centre1"].zones]
    old = next(zone for zone in servers["640100:centre1"].zones if name.endswith(f".{zone.name}"))
    assert (f"{name}.", "NS", "dns.exchange.wuzhong.nx.jinbao.internal.") in old.records
    asked = {each.zone: each.addresses for each in servers["640100:centre1"].delegations}
    assert asked[name] == servers["640100:centre1"].forwarders
    copies = {copy.zone: copy for copy in servers["640000:centre1"].copies}
    assert copies[name].below == servers["640300:centre1"].listen and copies[name].key == "names-640300"
