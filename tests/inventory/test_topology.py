"""The drawing of a region: everything once, nothing over anything else."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from inventory import ends, topology
from ip_plan.compile import compiled
from ip_plan.network import Network

SVG = "{http://www.w3.org/2000/svg}"
Rectangle = tuple[float, float, float, float]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Network:
    return compiled("pilot", tmp_path_factory.mktemp("state"))


def drawn(network: Network, region: str) -> ET.Element:
    site = topology.site_of(network, region)
    assert site is not None
    return ET.fromstring(topology.draw(network, site))


def boxes(page: ET.Element) -> dict[str, Rectangle]:
    """Site → left, top, right, bottom."""
    found = {}
    for group in page.iter(f"{SVG}g"):
        shape = group.find(f"{SVG}rect")
        assert shape is not None
        x, y, width, height = (float(shape.attrib[name]) for name in ("x", "y", "width", "height"))
        found[group.attrib["data-site"]] = (x, y, x + width, y + height)
    return found


def apart(one: Rectangle, other: Rectangle) -> bool:
    return one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]


def segments(d: str) -> list[Rectangle]:
    """The straight pieces of a path of M, H and V, each as a rectangle without width or height."""
    x, y = (float(part) for part in d[1 : min(d.index(c) for c in "HV" if c in d)].split())
    found = []
    for part in d.replace("H", "|H").replace("V", "|V").split("|")[1:]:
        to = float(part[1:])
        nx, ny = (to, y) if part[0] == "H" else (x, to)
        found.append((min(x, nx), min(y, ny), max(x, nx), max(y, ny)))
        x, y = nx, ny
    return found


@pytest.mark.parametrize("region", ["000000", "640000", "640100", "640121"])
def test_every_site_line_and_zone_stands_once_and_apart(network: Network, region: str) -> None:
    page = drawn(network, region)
    found = boxes(page)
    site = topology.site_of(network, region)
    assert site is not None and len(found) > 1
    lines = Counter(path.attrib["data-link"] for path in page.iter(f"{SVG}path") if "data-link" in path.attrib)
    ends_here = {
        interface.link: interface.peer_site
        for device in ends.devices(network, site)
        for interface in device.interfaces
        if interface.kind == "wan" and interface.peer_site in found
    }
    assert lines == Counter(list(ends_here)) and set(ends_here.values()) == found.keys() - {site.key}
    zones = Counter(text.attrib["data-zone"] for text in page.iter(f"{SVG}text") if "data-zone" in text.attrib)
    assert zones == Counter(f"{key}:{zone.name}" for key in found for zone in network.known_sites[key].zones)
    listed = list(found.values())
    assert all(apart(one, other) for place, one in enumerate(listed) for other in listed[place + 1 :])
    inner = [(x + 1, y + 1, right - 1, bottom - 1) for x, y, right, bottom in listed]  # a line ends at a box's edge
    for path in page.iter(f"{SVG}path"):
        if "data-link" in path.attrib:
            assert all(apart(piece, box) for piece in segments(path.attrib["d"]) for box in inner), path.attrib["d"]


def test_what_is_counted_is_not_drawn(network: Network) -> None:
    page = drawn(network, "640100")
    said = " ".join(page.itertext())
    assert "640121100" not in said and "townships: 9" in said
    assert "示例数据" in said


def test_boxes_over_each_other_are_seen() -> None:
    assert not apart((0, 0, 10, 10), (5, 5, 15, 15))
    assert not apart((0, 5, 20, 5), (5, 0, 15, 10)), "a line through a box"
    assert apart((0, 0, 10, 10), (10, 0, 20, 10))


def test_a_region_without_a_site_has_none(network: Network, tmp_path: Path) -> None:
    assert topology.site_of(network, "110000") is None
