"""A region's topology as one SVG: who serves it, its own centre or office, the sites it serves, and every line between them.

Rows from the ministry down. A site is a box with its routing devices, zones and line addresses as text that can be searched and
copied. Lines run in the gaps above the rows and beside them, never through a box, so that a province of many cities stays readable.
"""

from __future__ import annotations

import math
from collections import Counter
from xml.etree import ElementTree as ET

import msgspec

from inventory import ends
from ip_plan.network import Device, Interface, Link, Network, Site

SIZE, STEP, PAD = 11, 15, 8
"""Font size, distance of text lines, and padding of a box, in px."""
MARGIN, GUTTER, GAP = 24, 36, 20
COLUMNS = 5
STYLE = """\
text{white-space:pre;font:11px "Noto Sans CJK SC","Noto Sans SC","Microsoft YaHei",sans-serif;fill:#1c1c1c}
.title{font-size:18px;font-weight:700}.name{font-weight:700}.note{fill:#8a1f11}.faint{fill:#5a5a5a}
.site{fill:#fbfbf8;stroke:#6b6b6b}.own{fill:#eef4fd;stroke:#1f5fbf;stroke-width:2}
path{fill:none;stroke-width:1.6}.primary{stroke:#1f5fbf}.backup{stroke:#c2571a;stroke-dasharray:6 4}"""


class Box(msgspec.Struct):
    """A site on the page; `rows` are (class, text, zone or empty)."""

    site: Site
    rows: list[tuple[str, str, str]]
    x: float = 0
    y: float = 0

    @property
    def width(self) -> float:
        """Room for its longest text."""
        return max(measure(text) for _, text, _ in self.rows) + 2 * PAD

    @property
    def height(self) -> float:
        """Room for its text lines."""
        return len(self.rows) * STEP + 2 * PAD


def measure(text: str) -> float:
    """The width of a text in px: a Chinese character is as wide as it is high."""
    return sum(SIZE if ord(character) > 0x2E7F else SIZE * 0.57 for character in text)


def site_of(network: Network, region: str) -> Site | None:
    """The centre or, where it has none, the office of a region of the loaded shards."""
    own = [site for site in network.sites.values() if site.region == region]
    return min(own, key=lambda site: (site.kind != "centre", site.key), default=None)


def draw(network: Network, site: Site) -> str:
    """The SVG of `site`, the sites at the upper ends of its lines and those it serves; townships of counties are counts."""
    above, below = _around(network, site)
    behind = Counter(
        network.regions[other.region].parent
        for other in network.children.get(site.key, ())
        if other.level == "township" and other not in below
    )
    middle = _box(network, site, behind)
    tops = [_box(network, other, Counter()) for other in above]
    children = [_box(network, other, behind) for other in below]
    columns = min(COLUMNS, max(1, math.ceil(math.sqrt(len(children) * 1.6))))
    rows = [children[start : start + columns] for start in range(0, len(children), columns)]
    cell = max((box.width for box in children), default=0)
    inner = max(columns * cell + (columns - 1) * GAP, middle.width, sum(box.width + GAP for box in tops), 620)
    width = inner + 2 * (MARGIN + GUTTER)
    y = MARGIN + 84.0
    y = _place(tops, y, width)
    middle.x, middle.y = (width - middle.width) / 2, y + (4 * GAP if tops else 0)
    y = middle.y + middle.height + 2 * GAP
    for row in rows:
        left = (width - columns * cell - (columns - 1) * GAP) / 2
        for number, box in enumerate(row):
            box.x, box.y = left + number * (cell + GAP), y + 2 * GAP
        y += 2 * GAP + max(box.height for box in row) + GAP
    page = ET.Element("svg", xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {width:.0f} {y + MARGIN:.0f}")
    page.set("width", f"{width:.0f}")
    page.set("height", f"{y + MARGIN:.0f}")
    ET.SubElement(page, "style").text = STYLE
    ET.SubElement(page, "rect", width="100%", height="100%", fill="#fff")
    _heading(page, network, site)
    lines = _lines(network, site)
    _upward(page, lines, middle, {box.site.key: box for box in tops})
    _downward(page, lines, middle, rows, width)
    for box in (*tops, middle, *children):
        _draw_box(page, box, own=box is middle, width=cell if box in children else box.width)
    return ET.tostring(page, encoding="unicode") + "\n"


def _around(network: Network, site: Site) -> tuple[list[Site], list[Site]]:
    """The sites at the upper ends of its lines; the sites below that get a box."""
    above = {
        interface.peer_site
        for device in ends.devices(network, site)
        for interface in device.interfaces
        if interface.kind == "wan" and ends.upward(network, device, interface)
    }
    served = {other.key: other for other in network.children.get(site.key, ())}
    for link in network.links.values():  # what hangs on a county is served by its city
        near, far = network.known_devices.get(link.a), network.known_devices.get(link.b)
        if near and far and near.site == site.key and far.site != site.key and far.site in network.known_sites:
            served.setdefault(far.site, network.known_sites[far.site])
    counted = site.level != "county"
    shown = [
        other
        for other in served.values()
        if not (counted and other.level == "township" and network.regions[other.region].parent != site.region)
    ]
    return [network.known_sites[key] for key in sorted(above) if key in network.known_sites], sorted(
        shown, key=lambda other: other.key
    )


def _box(network: Network, site: Site, behind: Counter[str]) -> Box:
    region = network.regions[site.region]
    rows = [("name", f"{region.name} {region.code}　{site.kind}", "")]
    for device in ends.devices(network, site):
        if device.loopback4:
            rows.append(("", f"{device.name}  {device.loopback4}  {device.loopback6}", ""))
        elif device.role == "switch":
            rows.append(("", f"{device.name}  {device.interfaces[0].v4}  {device.interfaces[0].v6}", ""))
    rows += [("", f"{zone.name}  {zone.v4}  {zone.v6}", zone.name) for zone in site.zones]
    for device in ends.devices(network, site):
        for interface in device.interfaces:
            if interface.kind == "wan" and ends.upward(network, device, interface):
                rows.append(("faint", _end(network, device, interface), ""))
    if site.holder:
        rows.append(("note", f"地址属于 addresses of {site.holder.partition(':')[0]}", ""))
    if count := behind.get(region.code):
        rows.append(("faint", f"乡镇 townships: {count}", ""))
    return Box(site, rows)


def _end(network: Network, device: Device, interface: Interface) -> str:
    link = network.links[interface.link]
    parts = (
        f"{link.bandwidth_mbps} Mb/s" if link.bandwidth_mbps else "",
        link.kind,
        link.suite,
        link.carrier,
        link.rank,
    )
    said = " ".join(part for part in parts if part)
    return f"{device.name} ↑ {interface.peer}  {interface.v4}  {interface.v6}  {said}"


def _lines(network: Network, site: Site) -> list[tuple[Link, str, str, str]]:
    """(line, key of the site at its upper end, upper device, key of the site at its lower end)."""
    found = []
    for device in ends.devices(network, site):
        for interface in device.interfaces:
            if interface.kind == "wan" and interface.link in network.links:
                link = network.links[interface.link]
                upper = site.key if link.a == device.name else interface.peer_site
                lower = interface.peer_site if link.a == device.name else site.key
                found.append((link, upper, link.a, lower))
    return sorted(found, key=lambda line: line[0].id)


def _place(boxes: list[Box], y: float, width: float) -> float:
    """Put `boxes` in one centred row; returns its lower edge."""
    x = (width - sum(box.width for box in boxes) - GAP * max(0, len(boxes) - 1)) / 2
    for box in boxes:
        box.x, box.y = x, y
        x += box.width + GAP
    return y + max((box.height for box in boxes), default=0)


def _heading(page: ET.Element, network: Network, site: Site) -> None:
    region = network.regions[site.region]
    _text(page, MARGIN, MARGIN + 8, f"{region.name}（{region.code}）网络拓扑　Topology", "title")
    _text(page, MARGIN, MARGIN + 28, f"{network.meta.title}　{network.meta.scope}", "faint")
    if sample := str(network.meta.settings.get("sample", "")):
        _text(page, MARGIN, MARGIN + 46, sample, "note")
    for number, (rank, title) in enumerate((("primary", "主用线路 primary line"), ("backup", "备用线路 backup line"))):
        x = MARGIN + 220 * number
        ET.SubElement(page, "path", {"class": f"legend {rank}", "d": f"M{x} {MARGIN + 62}h44"})
        _text(page, x + 52, MARGIN + 66, title, "")


def _upward(
    page: ET.Element, lines: list[tuple[Link, str, str, str]], middle: Box, tops: dict[str, Box]
) -> None:  # fmt: skip
    up = [line for line in lines if line[3] == middle.site.key and line[1] in tops]
    for number, (link, upper, _, _) in enumerate(up):
        top = tops[upper]
        x1 = top.x + top.width * (number + 1) / (len(up) + 1)
        x2 = middle.x + middle.width * (number + 1) / (len(up) + 1)
        bottom, y = top.y + top.height, middle.y - GAP - 6 * number
        _link(page, link, f"M{x1:.1f} {bottom:.1f}V{y:.1f}H{x2:.1f}V{middle.y:.1f}")


def _downward(
    page: ET.Element, lines: list[tuple[Link, str, str, str]], middle: Box, rows: list[list[Box]], width: float
) -> None:  # fmt: skip
    """Each line leaves the centre at the side of its router, runs down beside the rows and in the gap above its site's row."""
    routers = sorted({device for _, upper, device, _ in lines if upper == middle.site.key})
    for row in rows:
        for box in row:
            own = [line for line in lines if line[1] == middle.site.key and line[3] == box.site.key]
            for number, (link, _, device, _) in enumerate(own):
                place = routers.index(device)
                side = MARGIN + 8 * (place // 2) if place % 2 == 0 else width - MARGIN - 8 * (place // 2)
                start = middle.x if place % 2 == 0 else middle.x + middle.width
                y, gap, x = middle.y + middle.height / 2 + 6 * place, box.y - GAP + 7 * place, box.x + 40 + 28 * number
                _link(page, link, f"M{start:.1f} {y:.1f}H{side:.1f}V{gap:.1f}H{x:.1f}V{box.y:.1f}")


def _link(page: ET.Element, link: Link, d: str) -> None:
    path = ET.SubElement(page, "path", {"class": f"link {link.rank}", "data-link": link.id, "d": d})
    ET.SubElement(path, "title").text = f"{link.id} {link.kind} {link.rank}"


def _draw_box(page: ET.Element, box: Box, *, own: bool, width: float) -> None:
    group = ET.SubElement(page, "g", {"data-site": box.site.key})
    shape = {
        "x": f"{box.x:.1f}",
        "y": f"{box.y:.1f}",
        "width": f"{width:.1f}",
        "height": f"{box.height:.1f}",
        "rx": "5",
    }
    ET.SubElement(group, "rect", {"class": "site own" if own else "site", **shape})
    for number, (kind, text, zone) in enumerate(box.rows):
        said = _text(group, box.x + PAD, box.y + PAD + STEP * number + SIZE, text, kind)
        if zone:
            said.set("data-zone", f"{box.site.key}:{zone}")


def _text(parent: ET.Element, x: float, y: float, text: str, kind: str) -> ET.Element:
    element = ET.SubElement(parent, "text", x=f"{x:.1f}", y=f"{y:.1f}")
    if kind:
        element.set("class", kind)
    element.text = text
    return element
