"""Pages of regions and devices: everything that is there is on them, once made they are the same again, and tables are whole."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from ground import tree
from inventory import document
from inventory.dialects.nftables.running import DIALECT as NFTABLES
from tests.inventory.pilot import AT, FIREWALL, OFFICE, ROUTER, Place

REGION = "640100"


def page(place: Place, name: str) -> str:
    return document.device(place.network, place.network.devices[name], tree.place(place.state, AT, "pilot") / name)


def cells(text: str, heading: str) -> list[list[str]]:
    """The rows of the table under a heading."""
    (part,) = re.findall(rf"^#+ {heading}\n\n(.*?)\n\n", text + "\n\n", re.MULTILINE | re.DOTALL)
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in part.splitlines()]
    assert len({len(row) for row in rows}) == 1, heading
    return rows[2:]


def test_a_region_has_its_blocks_zones_lines_and_names(place: Place) -> None:
    text = document.region(place.network, REGION)
    site, region = place.network.sites["640100:centre1"], place.network.regions[REGION]
    assert [row[1] for row in cells(text, "Address blocks")] == [*region.blocks4, *region.blocks6]
    assert [(row[0], row[1], row[3]) for row in cells(text, "Zones")] == [(z.name, z.v4, z.v6) for z in site.zones]
    links = {key for key, link in place.network.links.items() if link.kind != "inside" and ROUTER in (link.a, link.b)}
    assert {row[0] for row in cells(text, "Lines")} == links
    below = {f"[{one.key}]({one.region}.md)" for one in place.network.children[site.key]}
    assert {row[0] for row in cells(text, "Served from here")} == below
    names = {one.fqdn for one in place.network.services if one.site == site.key}
    assert {row[0] for row in cells(text, "Names of services")} == names
    assert text.count("示例数据") == 1 and text == document.region(place.network, REGION)


def test_a_firewall_has_every_rule_of_its_text_with_its_clause(place: Place) -> None:
    text = page(place, FIREWALL)
    said = {row[0].strip("`"): row for row in cells(text, "What it lets through")}
    numbers = document.commented(place.rendered(FIREWALL, NFTABLES))
    assert said.keys() == numbers.keys()
    for flow in place.network.flows:
        if flow.id in said and flow.clause:
            assert flow.clause in said[flow.id][4]
    spans = [part for row in said.values() for part in row[6].split(", ")]
    counted = sum(int(part.split("–")[-1]) - int(part.split("–")[0]) + 1 for part in spans)
    assert counted == sum(map(len, numbers.values()))


def test_a_rule_that_no_row_of_the_plan_has_stands_out(place: Place, tmp_path: Path) -> None:
    folder = tree.place(place.state, AT, "pilot") / FIREWALL
    rendered = tree.read(folder)
    contents = {entry.source: tree.content(folder, entry) for entry in rendered.entries}
    source = next(entry.source for entry in rendered.entries if entry.target == NFTABLES.target)
    contents[source] = contents[source].replace(b'comment "FL-07"', b'comment "FL-99"')
    tree.write(tmp_path / FIREWALL, rendered, contents)
    text = document.device(place.network, place.network.devices[FIREWALL], tmp_path / FIREWALL)
    assert "| `FL-99` | | | | **in the text, and in no row of the plan** |" in text
    assert next(row for row in cells(text, "What it lets through") if row[0] == "`FL-07`")[6] == ""


def test_a_router_has_its_neighbours_and_an_office_its_ways(place: Place) -> None:
    device = place.network.devices[ROUTER]
    rows = cells(page(place, ROUTER), "Neighbours")
    assert {row[0] for row in rows} == {i.peer for i in device.interfaces if i.kind == "wan" and i.peer_asn}
    assert {row[0] for row in cells(page(place, ROUTER), "Interfaces")} == {"lo", *(i.name for i in device.interfaces)}
    assert cells(page(place, OFFICE), "Static routes")


def test_a_device_that_is_not_rendered_says_so(place: Place, tmp_path: Path) -> None:
    host = next(name for name, device in place.network.devices.items() if device.role == "host")
    text = document.device(place.network, place.network.devices[host], tmp_path / host)
    assert text.endswith("It is not rendered.\n")


def test_signs_of_a_table_do_not_break_it(place: Place) -> None:
    device = msgspec.structs.replace(place.network.devices[FIREWALL], model="a|b")
    site = msgspec.structs.replace(place.network.sites[device.site], devices=(device.name,))
    shards = tuple(
        msgspec.structs.replace(
            shard,
            devices=tuple(device if one.name == device.name else one for one in shard.devices),
            sites=tuple(site if one.key == site.key else one for one in shard.sites),
        )
        for shard in place.network.shards
    )
    text = document.region(msgspec.structs.replace(place.network, shards=shards), REGION)
    assert cells(text, "Devices")[0][5] == r"frr on a\|b"
