"""What the sheets of a workbook carry: tables and their columns, named in both languages, with the words offices use for them.

`workbook.py` writes these tables, `spreadsheet.py` finds them in whatever file comes back, `intake.py` takes them in.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import lru_cache

import msgspec

from ip_plan.regions import KINDS


class Column(msgspec.Struct, frozen=True):
    """A column: Chinese first, English beneath. `also` are other headers under which it comes back."""

    name: str
    zh: str
    en: str
    width: int = 16
    also: tuple[str, ...] = ()
    read: bool = False
    """Whether it is taken in; the others are for people."""


class Table(msgspec.Struct, frozen=True):
    """A table, one a sheet. `needs`: of each group one column has to be there for a sheet to be this table."""

    name: str
    zh: str
    en: str
    needs: tuple[tuple[str, ...], ...]
    columns: tuple[Column, ...]


def _in(name: str, zh: str, en: str, width: int, *also: str) -> Column:
    return Column(name, zh, en, width, also, read=True)


_CODE = _in("code", "区划代码", "Region code", 12, "行政区划代码", "代码", "区划码", "统计用区划代码", "code", "region")
_NAME = Column("name", "名称", "Name", 20, ("单位名称", "区划名称", "地区", "地区名称", "name"))
_SITE = _in("site", "站点", "Site", 20, "站点编号", "节点")
_ZONE = _in("zone", "区域", "Zone", 12, "安全域", "网络区域", "区域名称")
_DEVICE = _in("device", "设备", "Device", 18, "设备名称", "设备名", "主机名", "hostname")
_FOUR = ("IPv4", "IPv4网段", "IPv4地址段", "网段", "IP网段", "IP地址段", "prefix", "ipv4 prefix", "subnet")
_SIX = ("IPv6", "IPv6网段", "IPv6地址段", "ipv6 prefix")
_PREFIX4 = _in("v4", "IPv4前缀", "IPv4 prefix", 19, *_FOUR)
_PREFIX6 = _in("v6", "IPv6前缀", "IPv6 prefix", 24, *_SIX)
_ADDRESS4 = _in("v4", "IPv4地址", "IPv4 address", 16, "IPv4", "IP", "IP地址", "address")
_ADDRESS6 = _in("v6", "IPv6地址", "IPv6 address", 26, "IPv6")

TABLES = (
    Table(
        "regions",
        "区划",
        "Regions",
        (("code",), ("name",), ("parent", "reading", "communities", "villages", "label", "level")),
        (
            _CODE,
            _in("name", "名称", "Name", 24, "单位名称", "区划名称", "地区", "地区名称", "name"),
            _in("level", "层级", "Level", 8, "级别", "行政级别"),
            _in("parent", "上级代码", "Parent code", 12, "上级区划代码", "上级", "所属代码", "parent"),
            _in("kind", "类别", "Kind", 12, "区划类别", "类型"),
            _in("reading", "读音", "Reading", 18, "拼音", "汉语拼音", "pinyin"),
            _in("communities", "居委会数", "Communities", 10, "居委会", "社区数", "社区"),
            _in("villages", "村委会数", "Villages", 10, "村委会", "行政村数", "村数", "行政村"),
            _in("label", "域名标签", "Label", 18, "标签"),
            _in("above", "域名上级代码", "Code above in the name", 14),
            Column("domain", "域名", "Domain", 40),
            Column("serving", "服务中心所在区划", "Served by", 14),
            Column("group", "分组", "Group", 10),
        ),
    ),
    Table(
        "blocks",
        "地址块",
        "Address blocks",
        (("code", "key"), ("v4", "v6")),
        (
            _CODE,
            _NAME,
            _in("use", "用途", "Use", 14, "地址用途"),
            _in("key", "台账键", "Ledger key", 22, "键"),
            _PREFIX4,
            _PREFIX6,
            Column("size4", "IPv4地址数", "IPv4 addresses", 14),
            Column("used4", "IPv4已分配", "IPv4 granted", 14),
            Column("free4", "IPv4预留", "IPv4 reserve", 14),
            Column("share4", "IPv4使用率", "IPv4 use", 10),
            Column("size6", "IPv6子块数", "IPv6 sub-blocks", 14),
            Column("used6", "IPv6已分配", "IPv6 granted", 14),
            Column("free6", "IPv6预留", "IPv6 reserve", 14),
        ),
    ),
    Table(
        "sites",
        "站点",
        "Sites",
        (("site", "code"), ("asn",)),
        (
            _SITE,
            _CODE,
            _NAME,
            Column("level", "层级", "Level", 8),
            Column("kind", "站点类别", "Site kind", 10),
            _in("asn", "自治系统号", "AS number", 14, "AS号", "AS", "ASN"),
            Column("parent", "上联站点", "Served by site", 20),
            Column("domain", "域名", "Domain", 40),
        ),
    ),
    Table(
        "zones",
        "区域网段",
        "Zones",
        (("site", "code"), ("zone",), ("v4", "v6")),
        (
            _SITE,
            _CODE,
            _NAME,
            _ZONE,
            Column("title", "区域中文名", "Zone title", 14),
            _PREFIX4,
            _PREFIX6,
            Column("gateway4", "IPv4网关", "IPv4 gateway", 16),
            Column("gateway6", "IPv6网关", "IPv6 gateway", 26),
        ),
    ),
    Table(
        "devices",
        "设备",
        "Devices",
        (("device",), ("loop4", "loop6", "v4", "v6")),
        (
            _DEVICE,
            _SITE,
            _NAME,
            Column("role", "角色", "Role", 8),
            Column("fqdn", "域名", "Full name", 40),
            _in("loop4", "IPv4环回地址", "IPv4 loopback", 16, "环回地址", "loopback", "loopback4", "管理地址"),
            _in("loop6", "IPv6环回地址", "IPv6 loopback", 26, "loopback6"),
            _ZONE,
            _ADDRESS4,
            _ADDRESS6,
            Column("asn", "自治系统号", "AS number", 14),
            Column("model", "型号", "Model", 12),
        ),
    ),
    Table(
        "links",
        "线路",
        "Lines",
        (("a",), ("b",), ("v4", "v6")),
        (
            _in("a", "甲端设备", "End A", 18, "A端设备", "A端", "甲端"),
            _in("b", "乙端设备", "End B", 18, "B端设备", "B端", "乙端"),
            Column("kind", "线路类别", "Line kind", 10),
            Column("rank", "主备", "Rank", 8),
            _in("v4", "IPv4互联网段", "IPv4 link prefix", 20, *_FOUR),
            _in("v6", "IPv6互联网段", "IPv6 link prefix", 28, *_SIX),
            Column("a_interface", "甲端接口", "Interface A", 18),
            Column("a4", "甲端IPv4", "IPv4 of A", 16),
            Column("a6", "甲端IPv6", "IPv6 of A", 26),
            Column("b_interface", "乙端接口", "Interface B", 18),
            Column("b4", "乙端IPv4", "IPv4 of B", 16),
            Column("b6", "乙端IPv6", "IPv6 of B", 26),
            Column("bandwidth", "带宽Mbps", "Bandwidth Mbit/s", 12),
            Column("carrier", "运营商", "Carrier", 12),
            Column("circuit", "电路编号", "Circuit", 14),
        ),
    ),
    Table(
        "services",
        "服务与域名",
        "Services and names",
        (("service",), ("site", "code"), ("zone",), ("v4", "v6")),
        (
            _in("service", "服务", "Service", 12, "服务名称", "业务"),
            _SITE,
            _NAME,
            _ZONE,
            Column("device", "承载设备", "Host", 18),
            Column("fqdn", "域名", "Full name", 44),
            _ADDRESS4,
            _ADDRESS6,
            Column("ports", "端口", "Ports", 18),
            Column("clause", "依据", "Clause", 22),
        ),
    ),
    Table(
        "kept",
        "留存",
        "Kept",
        (("shard",), ("kind",), ("key",), ("first",)),
        (
            _in("shard", "台账", "Ledger", 8),
            _in("kind", "台账类别", "Ledger kind", 12),
            _in("key", "台账键", "Ledger key", 34),
            _in("first", "第一值", "First value", 22),
            _in("second", "第二值", "Second value", 28),
            _in("gone", "已撤", "Gone", 8),
        ),
    ),
)
BY_NAME = {table.name: table for table in TABLES}

LEVELS = {"ministry": "部级", "province": "省级", "prefecture": "地级", "county": "县级", "township": "乡级"}
REGION_KINDS = {
    "ministry": "部",
    "province": "省",
    "autonomous-region": "自治区",
    "municipality": "直辖市",
    "corps": "兵团",
    "city": "地级市",
    "planned-city": "计划单列市",
    "prefecture": "地区",
    "autonomous-prefecture": "自治州",
    "league": "盟",
    "grouping": "归类",
    "county": "县级",
    "direct": "直管",
    "statistical": "统计",
    "street": "街道",
    "town": "镇",
    "township": "乡",
    "unit": "类似乡级单位",
}
assert set(REGION_KINDS) == {kind for kinds in KINDS.values() for kind in kinds}
ROLES = {"router": "路由器", "firewall": "防火墙", "access": "接入", "host": "主机", "switch": "交换机"}
RANKS = {"primary": "主用", "backup": "备用", "drained": "割接"}
USES = {"block": "地址块", "home": "本级", "infra": "互联环回"}
GONE = "是"

_NOT_A_WORD = re.compile(r"[\s_\-:：()（）*/.]+")


@lru_cache(4096)
def words(text: str) -> str:
    """A header as it is compared: half-width, lower case, without spaces and punctuation."""
    return _NOT_A_WORD.sub("", unicodedata.normalize("NFKC", text).casefold())


def _headers(table: Table) -> dict[str, str]:
    """Every header of the table as it is compared → the name of its column."""
    found: dict[str, str] = {}
    for column in table.columns:
        for text in (column.zh, column.en, column.zh + column.en, *column.also):
            found.setdefault(words(text), column.name)
    return found


_HEADERS = {table.name: _headers(table) for table in TABLES}


def recognise(cells: Sequence[str]) -> tuple[Table, dict[str, list[int]]] | None:
    """The table whose header these cells are, and the places of each of its columns; None when it is none.

    Where several fit, the one that knows most of the cells.
    """
    texts = [words(cell) for cell in cells]
    best: tuple[Table, dict[str, list[int]]] | None = None
    for table in TABLES:
        known = _HEADERS[table.name]
        places: dict[str, list[int]] = {}
        for index, text in enumerate(texts):
            if text in known:
                places.setdefault(known[text], []).append(index)
        fits = all(any(name in places for name in group) for group in table.needs)
        if fits and (best is None or len(places) > len(best[1])):
            best = table, places
    return best


# Words in cells


def whole(text: str) -> str:
    """A number as a spreadsheet saves it to CSV, without its `.0`."""
    match = _FLOAT.fullmatch(text)
    return match[1] if match else text


def code(text: str) -> str:
    """A region code as it is written in full: without `.0`, the ministry's with all its zeros."""
    text = whole(text.lstrip("'").replace(" ", "").upper())
    return "000000" if text == "0" else text


def key(text: str) -> str:
    """A key of the ledger, which may be nothing but a code."""
    return code(text) if whole(text).isdecimal() else text


_FLOAT = re.compile(r"([0-9]+)\.0+")


def _reverse(spoken: Mapping[str, str], also: dict[str, str]) -> dict[str, str]:
    found = {words(text): name for name, zh in spoken.items() for text in (zh, name)}
    return found | also


LEVEL_WORDS = _reverse(
    LEVELS, {"省": "province", "市": "prefecture", "县": "county", "乡": "township", "乡镇": "township"}
)
KIND_WORDS = _reverse(REGION_KINDS, {})
USE_WORDS = _reverse(USES, {"省本级": "home", "市本级": "block", "环回": "infra", "互联": "infra"})
