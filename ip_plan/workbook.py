"""A province as a workbook for its offices: regions, address blocks with their reserve, sites, zones, devices, lines, services.

The Network says what exists, the ledger what is granted beyond it. The same plan and ledger give the same bytes.
"""

from __future__ import annotations

import io
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import accumulate
from pathlib import Path

import msgspec
import xlsxwriter

from ground import files, work
from ground.mistake import Mistake, Mistakes
from ip_plan import addressing, sheets
from ip_plan import ledger as ledgers
from ip_plan import plan as plans
from ip_plan.addressing import Block
from ip_plan.compile import NATION, Outcome
from ip_plan.layout import MINISTRY
from ip_plan.ledger import Key, Ledger
from ip_plan.network import Network, Shard, load
from ip_plan.plan import Plan

Value = str | int | float
Row = tuple[Value, ...]


class Written(msgspec.Struct, frozen=True):
    """A workbook that was written."""

    province: str
    file: Path
    rows: int
    changed: bool


class _Context(msgspec.Struct):
    plan: Plan
    ledgers: Path
    network: Path
    targets: dict[str, Path]


def export(
    name: str, state: Path, outcome: Outcome, target: Path, provinces: Sequence[str] | None = None
) -> list[Written]:
    """Write a workbook a province (`00`: the ministry) of the compiled plan `name`: into the folder `target`, or as that file.

    `provinces` are two-character keys; None: all of them. Raises Mistakes (JB1358, JB1305); nothing is written then.
    """
    plan = plans.load(name)
    index = load(outcome.network, ()).keys
    wanted = sorted(set(provinces)) if provinces else sorted(index)
    single = target.suffix.lower() == ".xlsx"
    mistakes = [
        Mistake("", None, None, "JB1358", unknown, "the plan has no such province in its scope", f"Give one of {', '.join(index)}.")
        for unknown in wanted
        if unknown not in index
    ]  # fmt: skip
    if single and len(wanted) > 1:
        cure = "Name a folder, or choose one with --province."
        what = f"one file cannot hold {len(wanted)} provinces"
        mistakes.append(Mistake(str(target), None, None, "JB1358", "", what, cure))
    if mistakes:
        raise Mistakes(mistakes)
    tops = {code[:2]: region.name for code, region in plan.regions.items() if region.level in ("ministry", "province")}
    targets = {key: target if single else target / f"{key}-{tops[key]}.xlsx" for key in wanted}
    context = _Context(plan, plan.ledger(state), outcome.network, targets)
    largest_first = sorted(wanted, key=lambda key: -(outcome.network / f"{key}.json").stat().st_size)
    try:
        return sorted(work.spread(_write, context, largest_first), key=lambda written: written.province)
    except OSError as error:
        cure = "Give another place, or make this one writable."
        what = f"cannot be written: {error.strerror}"
        raise Mistakes([Mistake(str(error.filename or target), None, None, "JB1305", "", what, cure)]) from None


def _write(context: _Context, province: str) -> Written:
    network = load(context.network, [province])
    own, mistakes = ledgers.read(context.ledgers, province)
    national, wrong = (own, []) if province == NATION else ledgers.read(context.ledgers, NATION)
    if mistakes + wrong:
        raise Mistakes(mistakes + wrong)
    tables = list(_tables(context.plan, network, own, national))
    data = _workbook(context.plan, network, tables)
    path = context.targets[province]
    changed = files.write(path, data, durable=False)
    return Written(province, path, sum(len(rows) for _, rows in tables), changed)


# What the tables hold


def _tables(plan: Plan, network: Network, own: Ledger, national: Ledger) -> Iterator[tuple[sheets.Table, list[Row]]]:
    """Every table of `sheets.TABLES` with its rows; whatever the ledger holds beyond them stands in the last one."""
    shard = network.shards[0]
    key = {code: first for code, (first, _) in own.of("alias").items()}
    code_of = {first: code for code, first in key.items()}
    names = {code: region.name for code, region in network.regions.items()}
    carried: set[Key] = set()

    def rows(name: str, found: Iterable[Row]) -> tuple[sheets.Table, list[Row]]:
        return sheets.BY_NAME[name], list(found)

    def hold(kind: str, key: str, first: str) -> None:
        """The row of `key` carries the grant of `first`: the first one it got, or that of a renumbering.

        What it had before a renumbering stands in the ledger alone: a row of the same key would contradict this one.
        """
        carried.add((kind, key))
        if (kind, key) not in own.grants or own.grants[kind, key][0] != first:
            later = (f"{key}@{number}" for number in range(2, 100))
            key = next((name for name in later if own.grants.get((kind, name), ("",))[0] == first), key)
        carried.add((kind, key))

    def regions() -> Iterator[Row]:
        for region in shard.regions:
            name = ("label", key.get(region.code, region.code))
            carried.add(name)
            above = own.grants[name][1] if name in own.grants else ""
            reading = plan.regions[region.code].reading
            yield (
                region.code, region.name, sheets.LEVELS[region.level], region.parent, sheets.REGION_KINDS[region.kind], reading,
                region.communities, region.villages, region.label, above, region.domain, region.serving, region.group,
            )  # fmt: skip

    def sites() -> Iterator[Row]:
        for site in shard.sites:
            carried.add(("asn", site.key))
            yield (
                site.key, site.region, names[site.region], sheets.LEVELS[site.level], site.kind,
                str(site.asn) if site.asn else "", site.parent, site.domain,
            )  # fmt: skip

    def zones() -> Iterator[Row]:
        for site in shard.sites:
            for zone in site.zones:
                hold("zone", f"{site.key}:{zone.name}", zone.v4)
                yield (
                    site.key, site.region, names[site.region], zone.name, plan.sites.zones[zone.name].title,
                    zone.v4, zone.v6, zone.gateway4, zone.gateway6,
                )  # fmt: skip

    def devices() -> Iterator[Row]:
        for device in shard.devices:
            region = names[network.sites[device.site].region]
            four = six = ""
            if not device.routes:
                four, six = (text.partition("/")[0] for text in (device.interfaces[0].v4, device.interfaces[0].v6))
                hold("host", f"{device.site}:{device.zone}:{device.name}", four)
            hold("loop", device.name, device.loopback4)
            yield (
                device.name, device.site, region, sheets.ROLES[device.role], device.fqdn, device.loopback4, device.loopback6,
                device.zone, four, six, str(device.asn) if device.asn else "", device.model,
            )  # fmt: skip

    def links() -> Iterator[Row]:
        ends = {(device.name, end.name): end for device in shard.devices for end in device.interfaces}
        for link in shard.links:
            end = ends[link.b, link.b_interface]
            hold("link", link.id, addressing.prefix(end.v4))
            yield (
                link.a, link.id.partition("~")[2], link.kind, sheets.RANKS[link.rank], addressing.prefix(end.v4), addressing.prefix(end.v6),
                link.a_interface, end.peer4, end.peer6, link.b_interface, end.v4.partition("/")[0], end.v6.partition("/")[0],
                link.bandwidth_mbps or "", link.carrier, link.circuit,
            )  # fmt: skip

    def services() -> Iterator[Row]:
        for service in shard.services:
            carried.add(("svc", f"{service.site}:{service.zone}:{service.name}"))
            yield (
                service.name, service.site, names[network.sites[service.site].region], service.zone, service.device,
                service.fqdn, service.v4, service.v6, " ".join(service.ports), service.clause,
            )  # fmt: skip

    def blocks() -> Iterator[Row]:
        top = key.get(_top(shard), _top(shard))
        use = _Use(plan, own)
        held = [
            ("province", name, grant) for name, grant in national.of("province").items() if name.split("#")[0] == top
        ]
        held += [(kind, name, grant) for kind in ("block", "infra") for name, grant in own.of(kind).items()]
        for kind, name, grant in sorted(held):
            ledger = national if kind == "province" else own
            if (kind, name) in ledger.gone or "@" in name:
                continue
            carried.add((kind, name))
            first = name.split("#")[0].split(":")[0]
            code = code_of.get(first, first)
            word = sheets.USES["infra" if kind == "infra" or name.endswith(":infra") else "block"]
            four, six = ("" if value == "-" else value for value in grant)
            yield (code, names.get(code, ""), word, name, four, six, *use.of(kind, name, four, six))

    def kept() -> Iterator[Row]:
        province = shard.province
        listed = [(name, grant) for name, grant in own.grants.items() if name not in carried]
        if province == NATION:  # the nation's grants to the provinces stand in their own workbooks
            listed = [item for item in listed if item[0][0] != "province" and not _province_label(*item)]
        for (kind, name), (first, second) in sorted(listed):
            gone = sheets.GONE if (kind, name) in own.gone else ""
            yield (province, kind, name, first, second, gone)

    yield rows("regions", regions())
    yield rows("blocks", blocks())
    yield rows("sites", sites())
    yield rows("zones", zones())
    yield rows("devices", devices())
    yield rows("links", links())
    yield rows("services", services())
    yield rows("kept", kept())


def _top(shard: Shard) -> str:
    return next(region.code for region in shard.regions if region.level in ("ministry", "province"))


def _province_label(key: Key, grant: ledgers.Grant) -> bool:
    return key[0] == "label" and grant[1] == MINISTRY


class _Use:
    """How much of a block is granted to what lies in it."""

    def __init__(self, plan: Plan, ledger: Ledger) -> None:
        self.lengths = plan.addressing.ipv6

        def listed(family: int, *kinds: str) -> list[Block]:
            held = [grant[family == 6] for kind in kinds for grant in ledger.of(kind).values()]
            return sorted(addressing.parse(text, family) for text in held if text != "-")

        inner = listed(6, "block")
        down = self.lengths.township
        townships = {
            (first >> 128 - down << 128 - down, down) if length > down else (first, length)
            for first, length in listed(6, "zone")
        }
        self.inside = {
            (4, "province"): _Sums(listed(4, "block"), 4),
            (4, "block"): _Sums(listed(4, "zone", "infra"), 4),
            (4, "infra"): _Sums(listed(4, "loop", "link"), 4),
            (6, "province"): _Sums([block for block in inner if block[1] == self.lengths.unit], 6),
            (6, "block"): _Sums([block for block in inner if block[1] == self.lengths.county], 6),
            (6, "area"): _Sums(sorted(townships), 6),
        }

    def of(self, kind: str, key: str, four: str, six: str) -> Row:
        """The columns from `size4` on: IPv4 in addresses, IPv6 in blocks of the next level down."""
        found: list[Value] = [""] * 7
        if four:
            block = addressing.parse(four, 4)
            size, used = addressing.size(block[1], 4), self.inside[4, kind].of(block)
            found[:4] = [size, used, size - used, round(used / size, 4)]
        if six and kind != "infra" and not key.endswith(":infra"):
            block = addressing.parse(six, 6)
            level = "area" if kind == "block" and block[1] == self.lengths.county else kind
            down = {"province": self.lengths.unit, "block": self.lengths.county, "area": self.lengths.township}[level]
            step = addressing.size(down, 6)
            size, used = addressing.size(block[1], 6) // step, self.inside[6, level].of(block) // step
            found[4:] = [size, used, size - used]
        return tuple(found)


class _Sums:
    """Sorted blocks with running totals, so that the part inside another block costs two searches."""

    def __init__(self, blocks: list[Block], family: int) -> None:
        self.family = family
        self.starts = [first for first, _ in blocks]
        self.totals = [0, *accumulate(addressing.size(length, family) for _, length in blocks)]

    def of(self, outer: Block) -> int:
        """How many addresses of `outer` the blocks hold."""
        low = bisect_left(self.starts, outer[0])
        high = bisect_left(self.starts, outer[0] + addressing.size(outer[1], self.family))
        return self.totals[high] - self.totals[low]


# How they are laid out

_CODES_AS_TEXT = "@"
_EPOCH = datetime(1980, 1, 1)  # the date zip entries have: the same plan gives the same bytes


def _workbook(plan: Plan, network: Network, tables: Sequence[tuple[sheets.Table, list[Row]]]) -> bytes:
    shard = network.shards[0]
    top = network.regions[_top(shard)]
    title = f"{top.name} 地址规划 Address plan"
    stream = io.BytesIO()
    book = xlsxwriter.Workbook(stream, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    book.set_properties({"title": title, "comments": plan.plan.sample, "created": _EPOCH})
    bold = book.add_format({"bold": True, "font_size": 13})
    label = book.add_format({"font_color": "#B00020", "bold": True})
    header = book.add_format(
        {"bold": True, "text_wrap": True, "valign": "vcenter", "bg_color": "#DCE6F1", "bottom": 1, "num_format": "@"}
    )
    text = book.add_format({"num_format": _CODES_AS_TEXT})
    share = book.add_format({"num_format": "0.0%"})

    about = book.add_worksheet("说明")
    about.set_column(0, 0, 26)
    about.set_column(1, 1, 100)
    about.write_string(0, 0, title, bold)
    if plan.plan.sample:
        about.write_string(1, 0, plan.plan.sample, label)
    listed = [
        ("规划 Plan", f"{plan.name}　{plan.plan.title}"),
        ("省份 Province", f"{top.name}　{top.code}"),
        ("网络摘要 Network key", network.keys[shard.province]),
        *((f"{table.zh} {table.en}", f"{len(rows)} 行 rows") for table, rows in tables),
        ("导入 Import", "jinbao plan import <本文件 this file> --plan <规划文件夹 plan folder>"),
        (
            "说明 Note",
            "代码为文本；列可调换、可增加；已分配的地址不会改变。Codes are text; columns may move, others be added.",
        ),
    ]
    for number, (name, value) in enumerate(listed, 3):
        about.write_string(number, 0, name)
        about.write_string(number, 1, value)

    for table, rows in tables:
        sheet = book.add_worksheet(table.zh)
        sheet.write_string(0, 0, f"{top.name} {table.zh} {table.en}", bold)
        if plan.plan.sample:
            sheet.write_string(0, 3, plan.plan.sample, label)
        for column, entry in enumerate(table.columns):
            sheet.set_column(column, column, entry.width)
            sheet.write_string(1, column, f"{entry.zh}\n{entry.en}", header)
        sheet.set_row(1, 32)
        shares = {column for column, entry in enumerate(table.columns) if entry.name.startswith("share")}
        string, number_ = sheet.write_string, sheet.write_number
        for line, row in enumerate(rows, 2):
            for column, cell in enumerate(row):
                if isinstance(cell, str):
                    if cell:
                        string(line, column, cell, text)
                else:
                    number_(line, column, cell, share if column in shares else None)
        sheet.freeze_panes(2, 1)
        sheet.autofilter(1, 0, max(len(rows), 1) + 1, len(table.columns) - 1)
        sheet.ignore_errors({"number_stored_as_text": f"A1:Z{len(rows) + 2}"})
        sheet.set_landscape()
        sheet.set_paper(8)  # A3
        sheet.fit_to_pages(1, 0)
        sheet.repeat_rows(1)
        sheet.set_footer(f"&L{plan.plan.sample}&C{top.name} {table.zh}&R&P / &N")
    book.close()
    return stream.getvalue()
