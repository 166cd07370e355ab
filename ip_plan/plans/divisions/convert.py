"""Make regions.csv out of the npm package china-division.

    npm pack china-division@2.7.0 && tar xzf china-division-2.7.0.tgz
    pip install pypinyin==0.55.0
    python convert.py package/dist regions.csv

The second argument is overwritten. The same package and the same pypinyin give the same bytes. Nothing of the package
is kept in this project but the table; pypinyin is needed here only. SOURCE.md says what every column means.
"""

from __future__ import annotations

import csv
import re
import sys
from collections import Counter
from pathlib import Path

from pypinyin import lazy_pinyin  # type: ignore[import-not-found,unused-ignore]

COLUMNS = ("code", "name", "level", "parent", "kind", "reading", "communities", "villages")

MINISTRY = "000000"
CORPS = "BT0000"

# The two-letter codes of the .CN administrative domains: MIIT notice 2018 No. 7. Hong Kong, Macao and Taiwan are left
# out on purpose, they are outside the levels of the project.
PROVINCES = {
    "11": "bj", "12": "tj", "13": "he", "14": "sx", "15": "nm", "21": "ln", "22": "jl", "23": "hl", "31": "sh",
    "32": "js", "33": "zj", "34": "ah", "35": "fj", "36": "jx", "37": "sd", "41": "ha", "42": "hb", "43": "hn",
    "44": "gd", "45": "gx", "46": "hi", "50": "cq", "51": "sc", "52": "gz", "53": "yn", "54": "xz", "61": "sn",
    "62": "gs", "63": "qh", "64": "nx", "65": "xj",
}  # fmt: skip
MUNICIPALITIES = {"11", "12", "31", "50"}
AUTONOMOUS_REGIONS = {"15", "45", "54", "64", "65"}

# 计划单列市: Dalian, Ningbo, Xiamen, Qingdao, Shenzhen.
PLANNED = {"2102", "3302", "3502", "3702", "4403"}
GROUPINGS = {"市辖区", "县", "省直辖县级行政区划", "自治区直辖县级行政区划"}

NATIONALITIES = (
    "汉 蒙古 回 藏 维吾尔 苗 彝 壮 布依 朝鲜 满 侗 瑶 白 土家 哈尼 哈萨克 傣 黎 傈僳 佤 畲 高山 拉祜 水 东乡 纳西 景颇 "
    "柯尔克孜 土 达斡尔 仫佬 羌 布朗 撒拉 毛南 仡佬 锡伯 阿昌 普米 塔吉克 怒 乌孜别克 俄罗斯 鄂温克 德昂 保安 裕固 京 "
    "塔塔尔 独龙 鄂伦春 赫哲 门巴 珞巴 基诺 各"
)
# A one-character nationality counts only with 族 after it: 白 in 兰坪白族 yes, 白 as the end of a place name no.
NATIONALITY = "(?:" + "|".join(f"{name}族" if len(name) == 1 else f"{name}族?" for name in NATIONALITIES.split()) + ")"
NATIONALITY_TAIL = re.compile(f"(.{{2,}}?){NATIONALITY}+")

PREFECTURE_SUFFIX = ("自治州", "地区", "市", "盟")
COUNTY_SUFFIX = ("行政委员会", "自治县", "自治旗", "林区", "特区", "新区", "市", "区", "县", "旗")
TOWNSHIP_SUFFIX = (
    "街道办事处", "地区办事处", "管理委员会", "办事处", "管委会", "民族苏木", "民族乡", "区公所", "街道", "地区",
    "苏木", "镇", "乡",
)  # fmt: skip

# 矿区 is what tells these counties from the one they lie in (井陉矿区 in 井陉县).
WHOLE = {"井陉矿区", "峰峰矿区", "鹰手营子矿区", "白云鄂博矿区"}
# 林 and 新 belong to these names: 万柏林区 is no forest, 清新区 no new district.
PLAIN_DISTRICT = {"清新区", "万柏林区", "金林区", "北林区", "新林区", "碑林区"}

# Characters that have one reading in place names whatever a dictionary of common words says.
CHARACTERS = {
    "尾": "wei", "巷": "xiang",
    "长": "chang", "都": "du", "朝": "chao", "乐": "le", "什": "shi", "卡": "ka", "佛": "fo", "曾": "zeng", "六": "liu",
    "厦": "xia", "藏": "zang", "阿": "a", "扎": "zha", "地": "di", "大": "da", "勒": "le", "柏": "bai", "那": "na",
    "宿": "su", "会": "hui", "石": "shi", "栖": "qi", "色": "se", "将": "jiang", "单": "shan", "翟": "zhai",
    "伽": "jia", "塞": "sai", "氏": "shi", "咀": "zui", "泊": "bo", "绿": "lv", "露": "lu", "莎": "sha", "牟": "mu",
    "车": "che", "员": "yuan", "贾": "jia", "尉": "wei", "盛": "sheng", "澄": "cheng", "珲": "hun", "覃": "qin",
    "峙": "shi", "漯": "luo", "郫": "pi", "莘": "shen", "荥": "xing", "斡": "wo", "陂": "bei", "坨": "tuo",
    "番": "fan", "落": "luo", "埔": "pu", "沱": "tuo", "洼": "wa", "令": "ling", "得": "de", "宁": "ning", "甪": "lu",
    "浒": "hu", "盖": "gai", "台": "tai", "格": "ge", "合": "he", "达": "da", "广": "guang", "厂": "chang",
    "房": "fang", "谷": "gu", "夏": "xia", "万": "wan", "洋": "yang", "夹": "jia", "〇": "ling",
}  # fmt: skip

# 圩 is a dike field in Jiangsu and Anhui (wei) and a market in the south (xu).
MARKET_PROVINCES = {"35", "36", "43", "44", "45", "46"}

# Whole stems that dictionaries and the table above get wrong; the stem may be the beginning of a longer one.
STEMS = {
    "大城县": "daicheng", "乐亭": "laoting", "乐陵": "laoling", "乐清": "yueqing", "洪洞": "hongtong",
    "长子县": "zhangzi",
    "蔚县": "yuxian", "蔚州": "yuzhou", "隰县": "xixian", "盂县": "yuxian", "解州": "haizhou",
    "穆棱": "muling", "闵行": "minhang", "六合区": "luhe", "六安": "luan", "涡阳": "guoyang", "浚县": "xunxian",
    "单县": "shanxian", "莘县": "shenxian", "莘庄": "xinzhuang", "召陵": "shaoling", "番禺": "panyu", "铅山": "yanshan",
    "东阿": "donge", "歙县": "shexian", "黟县": "yixian", "泌阳": "biyang", "大埔县": "dabu", "荥经": "yingjing",
    "筠连": "junlian", "犍为": "qianwei", "宕昌": "tanchang", "称多": "chenduo", "红寺堡": "hongsibu", "吴堡": "wubu",
    "尉犁": "yuli", "尉氏": "weishi", "莎车": "shache", "且末": "qiemo", "黄陂": "huangpi", "百色": "baise",
    "牟定": "mouding", "浒墅关": "xushuguan", "重庆": "chongqing", "厦门": "xiamen", "亳州": "bozhou",
    "蚌埠": "bengbu", "台州": "taizhou", "丽水": "lishui", "朝阳": "chaoyang", "塔什库尔干": "tashikuergan",
    "崆峒": "kongtong",
    "柞水": "zhashui", "枞阳": "zongyang", "砀山": "dangshan", "渑池": "mianchi", "鄄城": "juancheng",
    "中牟": "zhongmu",
    "八宿": "basu", "任丘": "renqiu", "色达": "seda", "新干": "xingan", "余干": "yugan",
    "行唐": "xingtang", "太行": "taihang", "盱眙": "xuyi", "甪直": "luzhi", "湖㳇": "hufu",
    "柘荣": "zherong", "井陉": "jingxing", "郧西": "yunxi", "石柱": "shizhu", "会稽": "kuaiji",
    "阿城": "acheng", "东莞": "dongguan", "儋州": "danzhou", "㮾梨": "langli", "麦㙦": "maixie", "塘㙍": "tangduo",
    "流波䃥": "liubozhuang", "㵲水": "wushui",
}  # fmt: skip

# A DNS label ends at 63 octets; 40 leave room for a function, a number and a collision mark in front and behind.
LONGEST = 40


def rows(folder: Path, file: str) -> list[dict[str, str]]:
    with (folder / file).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def stem(name: str, suffixes: tuple[str, ...]) -> str:
    """The name without its administrative suffix and the nationalities before it; names of one syllable stay whole."""
    if name in WHOLE:
        return name
    if name in PLAIN_DISTRICT:
        return name[:-1]
    for suffix in suffixes:
        if name.endswith(suffix):
            short = name[: -len(suffix)]
            if len(short) < 2:
                return name
            if suffix.startswith(("自治", "民族")) or short.endswith("族"):
                tail = NATIONALITY_TAIL.fullmatch(short)
                if tail:
                    short = tail[1]
                elif short.endswith("族") and len(short) > 2:
                    short = short[:-1]
            return short
    return name


def label(code: str, name: str, short: str, room: int = LONGEST) -> str:
    """The stem in pinyin as one label: ü is v, no tones or separators, whole syllables up to `room` letters."""
    for known, said in STEMS.items():
        if name.startswith(known) and short.startswith(known[: len(short)]):
            if len(short) <= len(known):
                return said
            return said + label(code, short[len(known) :], short[len(known) :], room - len(said))
    # The dictionary sees the whole name, it knows 长白朝鲜族自治县 better than 长白.
    syllables = lazy_pinyin(name, errors=lambda unknown: list(unknown))[: len(short)]
    said = ""
    for sign, syllable in zip(short, syllables, strict=True):
        if sign == "圩":
            syllable = "xu" if code[:2] in MARKET_PROVINCES else "wei"
        syllable = re.sub("[^a-z0-9]", "", CHARACTERS.get(sign, syllable).lower())
        if len(said) + len(syllable) > room:
            break
        said += syllable
    return said


def prefecture_kind(code: str, name: str) -> str:
    if name in GROUPINGS:
        return "grouping"
    if code in PLANNED:
        return "planned-city"
    for suffix, kind in (("自治州", "autonomous-prefecture"), ("地区", "prefecture"), ("盟", "league"), ("市", "city")):
        if name.endswith(suffix):
            return kind
    raise SystemExit(f"{code} {name}: kind of prefecture unknown")


def township_kind(code: str) -> str:
    # Digits 7-9, not the name: 2,617 names end in none of 街道, 镇, 乡.
    digits = int(code[6:])
    return "street" if digits < 100 else "town" if digits < 200 else "township" if digits < 400 else "unit"


def table(folder: Path) -> list[tuple[str, ...]]:
    """Every row of regions.csv, sorted by code."""
    communities: Counter[str] = Counter()
    villages: Counter[str] = Counter()
    for row in rows(folder, "villages.csv"):
        digits = int(row["code"][9:])
        # 000 occurs once, under the placeholder township 350527000 (SOURCE.md, "The one placeholder").
        if digits < 200 or 400 <= digits < 500:
            communities[row["streetCode"]] += 1
        elif 200 <= digits < 400 or 500 <= digits < 600:
            villages[row["streetCode"]] += 1
        else:
            raise SystemExit(f"{row['code']}: digits 10-12 are of no known class")

    out: list[tuple[str, ...]] = [
        (MINISTRY, "人力资源和社会保障部", "ministry", "", "ministry", "m", "0", "0"),
        (CORPS, "新疆生产建设兵团", "province", MINISTRY, "corps", "bt", "0", "0"),
    ]
    for row in rows(folder, "provinces.csv"):
        code = row["code"]
        kind = "municipality" if code in MUNICIPALITIES else "province"
        kind = "autonomous-region" if code in AUTONOMOUS_REGIONS else kind
        out.append((f"{code}0000", row["name"], "province", MINISTRY, kind, PROVINCES[code], "0", "0"))
    for row in rows(folder, "cities.csv"):
        code, name = row["code"], row["name"]
        kind = prefecture_kind(code, name)
        short = name if kind == "grouping" else stem(name, PREFECTURE_SUFFIX)
        parent = f"{row['provinceCode']}0000"
        out.append((f"{code}00", name, "prefecture", parent, kind, label(code, name, short), "0", "0"))
    direct = set()
    for row in rows(folder, "areas.csv"):
        code, name = row["code"], row["name"]
        kind, key = "county", code
        if code.endswith("00"):
            # The city's own county row has the code of the city itself.
            kind, key = "direct", f"{code}D"
            direct.add(code)
        elif 71 <= int(code[4:]) <= 78:
            kind = "statistical"
        short = name if kind == "statistical" else stem(name, COUNTY_SUFFIX)
        out.append((key, name, "county", f"{row['cityCode']}00", kind, label(code, name, short), "0", "0"))
    for row in rows(folder, "streets.csv"):
        code, name = row["code"], row["name"]
        parent = row["areaCode"] + ("D" if row["areaCode"] in direct else "")
        said = label(code, name, stem(name, TOWNSHIP_SUFFIX))
        counts = (str(communities.pop(code, 0)), str(villages.pop(code, 0)))
        out.append((code, name, "township", parent, township_kind(code), said, *counts))
    if communities or villages:
        raise SystemExit(f"villages of no township: {[*communities, *villages][:5]}")

    out.sort()
    keys = {row[0] for row in out}
    if len(keys) != len(out):
        raise SystemExit("a code occurs twice")
    for line in out:
        if line[3] not in keys | {""} or not re.fullmatch("[a-z0-9]+", line[5]):
            raise SystemExit(f"no parent or no reading: {line}")
    return out


def main(folder: str, target: str) -> None:
    with Path(target).open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(table(Path(folder)))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(sys.argv[1], sys.argv[2])
