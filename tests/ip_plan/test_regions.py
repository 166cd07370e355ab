"""The table of divisions holds what domain.md 2 counts, and every mistake in a table is told at once."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ground.mistake import Mistake
from ground.mistake import text as told
from ip_plan.regions import (
    CORPS,
    MINISTRY,
    Region,
    ancestors,
    children,
    denominator,
    province_of,
    read,
    units_of,
)

DIVISIONS = Path(__file__).parents[2] / "ip_plan" / "plans" / "divisions"
BAD = Path(__file__).parent / "bad" / "regions"

# domain.md 2.2: real prefectures, counties, streets and townships, villages and communities.
COUNTS = """
11 0/16/349/7,535      12 0/16/299/5,617      13 11/190/2,365/54,145 14 11/121/1,352/21,895 15 12/108/1,225/14,592
21 14/100/1,406/16,727 22 9/69/1,075/11,860   23 13/126/1,703/13,877 31 0/16/234/6,509      32 13/104/1,487/21,958
33 11/90/1,387/25,547  34 16/119/1,685/18,334 35 9/84/1,170/17,498   36 11/100/1,767/22,080 37 16/151/1,853/62,074
41 17/181/2,586/52,378 42 13/105/1,475/27,057 43 14/134/2,008/29,534 44 21/124/1,757/26,842 45 14/111/1,284/16,681
46 4/27/243/3,296      50 0/38/1,031/11,270   51 21/183/3,111/34,412 52 9/88/1,510/17,964   53 16/129/1,461/14,888
54 7/78/705/5,580      61 10/107/1,335/20,356 62 14/88/1,403/17,718  63 8/45/422/4,716      64 5/22/259/2,912
65 14/108/1,405/14,721
""".replace(",", "").split()
PROVINCES = dict(zip(COUNTS[::2], COUNTS[1::2], strict=True))


@cache
def table(corps_cities: str = "xinjiang") -> dict[str, Region]:
    regions, found = read(
        (DIVISIONS / "regions.csv").read_text(encoding="utf-8"), file="regions.csv", corps_cities=corps_cities
    )
    assert not found, told(found[:10])
    return regions


@cache
def tally(corps_cities: str = "xinjiang") -> dict[str, list[int]]:
    """Prefectures, counties, townships, villages and communities of every province-level unit."""
    regions = table(corps_cities)
    out: dict[str, list[int]] = {}
    for region in regions.values():
        unit = province_of(regions, region.code)
        if unit is None:
            continue
        counts = out.setdefault(unit.code, [0, 0, 0, 0])
        if region.level == "prefecture":
            counts[0] += region.kind != "grouping"
        elif region.level == "county":
            counts[1] += 1
        elif region.level == "township":
            counts[2] += 1
        counts[3] += region.communities + region.villages
    return out


@pytest.mark.parametrize("province", PROVINCES)
def test_counts_of_a_province(province: str) -> None:
    assert tally()[f"{province}0000"] == [int(part) for part in PROVINCES[province].split("/")]


def test_totals() -> None:
    sums = [sum(column) for column in zip(*tally().values(), strict=True)]
    assert sums == [333, 2978, 41352, 620573]
    assert len(table()) == 1 + 32 + 342 + 2978 + 41352


def test_kinds() -> None:
    count: dict[tuple[str, str], int] = {}
    for region in table().values():
        count[region.level, region.kind] = count.get((region.level, region.kind), 0) + 1
    assert count == {
        ("ministry", "ministry"): 1,
        ("province", "province"): 22,
        ("province", "autonomous-region"): 5,
        ("province", "municipality"): 4,
        ("province", "corps"): 1,
        ("prefecture", "city"): 288,
        ("prefecture", "planned-city"): 5,
        ("prefecture", "prefecture"): 7,
        ("prefecture", "autonomous-prefecture"): 30,
        ("prefecture", "league"): 3,
        ("prefecture", "grouping"): 9,
        ("county", "county"): 2851,
        ("county", "direct"): 3,
        ("county", "statistical"): 124,
        ("township", "street"): 9067,
        ("township", "town"): 21377,
        ("township", "township"): 8198,
        ("township", "unit"): 2710,
    }


def test_village_kinds() -> None:
    # domain.md 2.2: 124,650 and 2,687 look-alikes, 487,144 and 6,092 look-alikes.
    assert sum(region.communities for region in table().values()) == 124650 + 2687
    assert sum(region.villages for region in table().values()) == 487144 + 6092
    assert all(not region.communities and not region.villages for region in table().values() if len(region.code) == 6)


def test_a_citys_own_county_row_has_its_own_key() -> None:
    regions, below = table(), children(table())
    for city in ("441900", "442000", "460400"):
        own = f"{city}D"
        assert [region.code for region in below[city]] == [own]
        assert regions[own].kind == "direct"
        assert all(town.code.startswith(city[:4]) and town.level == "township" for town in below[own])
    assert regions["620201"].parent == "620200"


def test_the_one_placeholder() -> None:
    place = table()["350527000"]
    assert (place.name, place.parent, place.communities, place.villages) == ("金门县", "350527", 1, 0)
    assert [region.code for region in children(table())["350527"]] == ["350527000"]


def test_hong_kong_macao_and_taiwan_are_not_loaded() -> None:
    assert not [code for code in table() if code[:2] in ("71", "81", "82")]


def test_corps_cities_stay_with_xinjiang() -> None:
    regions = table("xinjiang")
    assert {region.parent for code, region in regions.items() if code.startswith("6590") and len(code) == 6} == {
        "650000",
        "659000",
    }
    assert CORPS not in children(regions)
    assert regions[CORPS].reading == "bt" and regions[CORPS].name == "新疆生产建设兵团"


def test_corps_cities_move_to_the_corps() -> None:
    regions = table("corps")
    assert [region.code for region in children(regions)[CORPS]] == [f"6590{n:02}" for n in range(1, 13)]
    # domain.md 2.4: 99 township rows and 1,238 village rows.
    assert tally("corps")[CORPS] == [0, 12, 99, 1238]
    assert tally("corps")["650000"] == [14, 96, 1405 - 99, 14721 - 1238]
    assert [region.code for region in ancestors(regions, "659001001")] == ["659001", CORPS, MINISTRY]


def test_other_corps_setting_is_refused() -> None:
    with pytest.raises(ValueError, match="corps_cities is 'both'"):
        read("", file="regions.csv", corps_cities="both")


def test_units_of() -> None:
    assert [region.reading for region in units_of(table(), "640000")] == [
        "yinchuan",
        "shizuishan",
        "wuzhong",
        "guyuan",
        "zhongwei",
    ]
    assert not units_of(table(), "500000") and not units_of(table(), CORPS)
    assert len(units_of(table(), "410000")) == 17


def test_ancestors_and_province() -> None:
    assert [region.code for region in ancestors(table(), "640104001")] == ["640104", "640100", "640000", MINISTRY]
    province = province_of(table(), "640104001")
    assert province is not None and province.reading == "nx"
    assert province_of(table(), MINISTRY) is None
    with pytest.raises(KeyError):
        province_of(table(), "999999")


def test_denominators() -> None:
    regions = table()
    assert denominator(regions, "province") == 32
    assert denominator(regions, "prefecture") == 333
    assert denominator(regions, "prefecture", municipalities=True) == 337
    assert denominator(regions, "county") == 2978 - 124
    zones = [code for code in regions if code.startswith("13") and len(code) == 6 and 71 <= int(code[4:]) <= 78]
    assert zones and denominator(regions, "county", "130000") == 190 - len(zones)
    # Dongguan's and Zhongshan's own county rows count.
    assert denominator(regions, "county", "440000") == 124
    assert denominator(regions, "township", "640000") == 259
    assert denominator(regions, "community") + denominator(regions, "village") == 620573
    assert denominator(regions, "county", CORPS) == 0
    assert denominator(table("corps"), "county", CORPS) == 12
    with pytest.raises(ValueError, match="level 'city' is not known"):
        denominator(regions, "city")


READINGS = """
350200 xiamen 500000 cq 341500 luan 341600 bozhou 340300 bengbu 331000 taizhou 331100 lishui 430100 changsha
220100 changchun 140400 changzhi 211300 chaoyang 511100 leshan 330382 yueqing 440113 panyu 371524 donge 371722 shanxian
361124 yanshan 410621 xunxian 141100 lvliang 411100 luohe 140428 zhangzi 141024 hongtong 130726 yuxian 131025 daicheng
130225 laoting 371481 laoling 320116 luhe 341621 guoyang 411104 shaoling 340100 hefei 411726 biyang
341021 shexian 341023 yixian 511123 qianwei 511526 gongxian 511527 junlian 621223 tanchang
632723 chenduo 640303 hongsibu 652823 yuli 653125 shache 610829 wubu 610581 hancheng 620802 kongtong
222400 yanbian 533100 dehong 653000 kezilesu 451000 baise 542500 ali 441900 dongguan 460400 danzhou 430781 jinshi
350105 mawei 350203 siming 360429 hukou 371522 shenxian 310112 minhang 320830 xuyi 222404 hunchun 510682 shifang
230822 huanan 130000 he 410000 ha 420000 hb 460000 hi 140000 sx 610000 sn 520000 gz 640000 nx
"""


@pytest.mark.parametrize(("code", "reading"), list(zip(*[iter(READINGS.split())] * 2, strict=True)))
def test_reading(code: str, reading: str) -> None:
    assert table()[code].reading == reading


@pytest.mark.parametrize("case", sorted(path.stem for path in BAD.glob("*.csv")))
def test_bad_table(case: str) -> None:
    # The setting under which a mistake shows is the end of the file's name.
    setting = "corps" if case.endswith("corps") else "xinjiang"
    text = (BAD / f"{case}.csv").read_bytes().decode("utf-8")
    _, found = read(text, file=f"{case}.csv", corps_cities=setting)
    assert told(found) + "\n" == (BAD / f"{case}.txt").read_text(encoding="utf-8")


def test_every_mistake_has_a_case() -> None:
    shown = "".join(path.read_text(encoding="utf-8") for path in BAD.glob("*.txt"))
    assert [code for code in range(1101, 1111) if f"  JB{code}  " not in shown] == []


def test_a_spreadsheets_file_reads_the_same() -> None:
    """A byte-order mark, CRLF, quotes, blank lines and another order of columns are what spreadsheets write."""
    plain = (
        "code,name,level,parent,kind,reading,communities,villages\n"
        "000000,部,ministry,,ministry,m,0,0\n640000,宁夏,province,000000,autonomous-region,nx,0,0\n"
    )
    odd = (
        "\ufeffname,code,level,kind,parent,reading,villages,communities\r\n"
        '"部",000000,ministry,ministry,,m,0,0\r\n\r\n"宁夏",640000,province,autonomous-region,000000,nx,0,0\r\n'
    )
    first, second = (read(text, file="x.csv", corps_cities="xinjiang") for text in (plain, odd))
    assert first == second
    assert len(first[0]) == 2 and not first[1]


HEADER = ",".join(Region.__struct_fields__)


@settings(max_examples=200, deadline=None)
@given(st.text() | st.text(alphabet='0123456789,"\n\r微abc').map(lambda rows: HEADER + "\n" + rows))
def test_any_text_is_answered(text: str) -> None:
    _, found = read(text, file="x.csv", corps_cities="corps")
    assert all(isinstance(mistake, Mistake) and mistake.cure for mistake in found)
    assert found or text.strip() == HEADER
