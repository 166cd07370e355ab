"""Random administrative changes to the division data of a plan, as they happen: each a row of its change table."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from ip_plan import ledger, schema
from ip_plan.divisions import apply
from ip_plan.folder import folder_of
from ip_plan.plan import Plan
from ip_plan.regions import Region, province_of

Row = dict[str, Any]
SAID = {"since": "2026-10-01", "reason": "区划调整"}


def write(folder: Path, scope: Any, changes: list[Row]) -> str:
    """A plan folder over the national one with this scope and change table; its division data are those of the provinces in scope."""
    if not folder.exists():
        folder.mkdir(parents=True)
        text = (folder_of("national")[0].parent / "divisions" / "regions.csv").read_text("utf-8")
        header, *rows = text.splitlines(keepends=True)
        tops = {row[:2] for row in rows} if scope == "all" else {entry["region"][:2] for entry in scope}
        listed = [row for row in rows if row[:2] in tops]
        (folder / "regions.csv").write_text("".join([header, *listed]), "utf-8")
    head = {
        "name": "changing", "title": "区划变更", "scope_text": "31个省、自治区、直辖市和新疆生产建设兵团", "base": "national",
        "divisions": "regions.csv", "corps_cities": "corps" if scope == "all" else "xinjiang", "scope": scope, "changes": changes,
    }  # fmt: skip
    (folder / "plan.yml").write_text(yaml.safe_dump(head, allow_unicode=True, sort_keys=False), "utf-8")
    return str(folder)


class Draw:
    """Draws changes about the regions of `provinces` that the table so far leaves standing."""

    def __init__(self, plan: Plan, provinces: list[str], seed: int) -> None:
        self.rows: dict[str, Region] = dict(plan.regions)
        self.plan, self.provinces, self.random, self.number = plan, provinces, random.Random(seed), 0

    def next(self) -> Row:
        """A row that is lawful now; the regions are as it leaves them."""
        kinds: list[Callable[[], Row | None]] = [self._rename, self._code, self._move, self._merge, self._split]
        while True:
            self.number += 1
            row = self.random.choice(kinds)()
            if row is None:
                continue
            checked = schema.PlanFile.model_validate(
                {"name": "x", "title": "", "scope_text": "", "scope": "all", "changes": [row | SAID]}
            ).changes
            rows, mistakes = apply(self.rows, checked, self.plan.documents["plan.yml"])
            if not mistakes:
                self.rows = rows
                return row | SAID

    def _one(self, level: str) -> Region:
        listed = [
            row
            for row in self.rows.values()
            if row.level == level
            and row.kind != "grouping"
            and (top := province_of(self.rows, row.code)) is not None
            and top.code in self.provinces
        ]
        return self.random.choice(listed)

    def _sibling(self, region: Region) -> Region | None:
        top = province_of(self.rows, region.code)
        level = self.rows[region.parent].level
        listed = [
            row
            for row in self.rows.values()
            if row.level == level
            and row.kind != "grouping"
            and row.code != region.parent
            and province_of(self.rows, row.code) == top
        ]
        return self.random.choice(listed) if listed else None

    def _rename(self) -> Row:
        return {"kind": "rename", "region": self._one("county").code, "name": f"新名{self.number}"}

    def _code(self) -> Row:
        county = self._one("county")
        return {"kind": "code", "old": county.code, "new": f"{county.code[:2]}{9000 + self.number}"}

    def _move(self) -> Row | None:
        region = self._one(self.random.choice(["county", "township"]))
        to = self._sibling(region)
        return {"kind": "move", "region": region.code, "to": to.code} if to else None

    def _merge(self) -> Row | None:
        region = self._one("county")
        beside = [row for row in self.rows.values() if row.parent == region.parent and row.code != region.code]
        return {"kind": "merge", "region": region.code, "into": self.random.choice(beside).code} if beside else None

    def _split(self) -> Row:
        township = self._one("township")
        new = {"region": f"{township.code[:2]}{8000 + self.number}", "name": f"新区{self.number}", "reading": "new"}
        return {"kind": "split", **new, "takes": [township.code]}


def grants(folder: Path) -> dict[tuple[str, str, str], tuple[str, str]]:
    """Every grant of the ledger of a plan folder."""
    found = {}
    for path in sorted((folder / "ledger").glob("*.tsv")):
        found.update({(path.stem, *key): grant for key, grant in book(path.read_bytes(), path).items()})
    return found


def book(data: bytes, path: Path) -> dict[tuple[str, str], tuple[str, str]]:
    """The grants of one shard of a ledger, from its bytes."""
    found, mistakes = ledger.parse(data.decode(), str(path))
    assert not mistakes
    return found.grants
