"""A division table that an office sent, laid over the plan's regions: rows are changed and added, none is removed.

Removing a region, or giving it another code, is an administrative change and has its own line in plan.yml.
"""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterable

import msgspec

from ground import files
from ground.mistake import Mistake
from ip_plan import divisions, regions, sheets
from ip_plan.layout import MINISTRY
from ip_plan.plan import Plan
from ip_plan.spreadsheet import Found


class Divisions:
    """The plan's regions with the rows of the region tables laid over them."""

    def __init__(self, plan: Plan, tables: Iterable[Found]) -> None:
        self.plan = plan
        self.mistakes: list[Mistake] = []
        self.changed: dict[str, tuple[Found, int]] = {}
        self.regions = plan.regions
        rows = {name: _fields(region) for name, region in plan.regions.items()}
        seen: dict[str, str] = {}
        for table in tables:
            if table.table == "regions":
                for number, values in table.rows:
                    self._row(table, number, dict(zip(table.columns, values, strict=True)), rows, seen)
        if self.changed and plan.shipped:
            table, row = next(iter(self.changed.values()))
            what = f"the division data of a shipped plan stay as they are ({len(self.changed)} rows would change)"
            cure = "Copy the plan with `jinbao plan init <folder>`, and import into that folder."
            self.mistakes.append(Mistake(table.place(row, "code"), None, None, "JB1359", plan.name, what, cure))
        elif self.changed:
            self._check(rows)

    def _row(
        self, table: Found, number: int, cells: dict[str, str], rows: dict[str, tuple[str, ...]], seen: dict[str, str]
    ) -> None:
        name = sheets.code(cells["code"])
        place = table.place(number, "code")
        if name in seen:
            cure = "Delete one of the two rows or give it its own code."
            self.mistakes.append(
                Mistake(place, None, None, "JB1350", name, f"the code stands in {seen[name]} already", cure)
            )
            return
        seen[name] = place
        held = rows.get(name)
        before = dict(zip(regions.COLUMNS, held, strict=True)) if held else _derived(name)
        after = before | {column: text for column, text in cells.items() if text and column in before}
        after["code"], after["name"] = name, " ".join(after["name"].split())
        # Cells are read in their plain form, full-width brackets as others: a name that reads the same is the same.
        if held and unicodedata.normalize("NFKC", before["name"]) == after["name"]:
            after["name"] = before["name"]
        after["level"] = sheets.LEVEL_WORDS.get(sheets.words(after["level"]), after["level"])
        after["kind"] = sheets.KIND_WORDS.get(sheets.words(after["kind"]), after["kind"])
        after["parent"] = sheets.code(after["parent"]) if after["parent"] else ""
        for column in ("communities", "villages"):
            after[column] = sheets.whole(after[column])
        if not after["kind"]:
            after["kind"] = _kind(after["level"], after["name"])
        new = tuple(after[column] for column in regions.COLUMNS)
        if new != held:
            rows[name] = new
            self.changed[name] = (table, number)

    def _check(self, rows: dict[str, tuple[str, ...]]) -> None:
        order = sorted(rows)
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(regions.COLUMNS)
        writer.writerows(rows[name] for name in order)
        self.text = stream.getvalue()
        found, mistakes = regions.read(self.text, file="regions.csv", corps_cities=self.plan.plan.corps_cities)
        for mistake in mistakes:
            name = order[(mistake.line or 2) - 2]
            if name in self.changed:
                table, row = self.changed[name]
                column = _COLUMN_OF.get(mistake.code, "code")
                if mistake.code == "JB1109":
                    column = mistake.what.split()[0]
                place = table.place(row, column if column in table.columns else "code")
                mistake = msgspec.structs.replace(mistake, file=place, line=None, column=None)
            self.mistakes.append(mistake)
        if not mistakes:
            self.regions, wrong = divisions.apply(found, self.plan.plan.changes, self.plan.documents["plan.yml"])
            self.mistakes += wrong

    def write(self, plan: Plan) -> list[str]:
        """Write regions.csv, and name it in plan.yml where that names the shipped data. Returns the files that changed."""
        if not self.changed:
            return []
        own = plan.plan.divisions != "divisions"
        path = plan.folder / (plan.plan.divisions if own else "regions.csv")
        changed = [str(path)] if files.write(path, self.text) else []
        if not own:
            target = plan.folder / "plan.yml"
            lines = [line for line in target.read_text("utf-8").splitlines() if not line.startswith("divisions:")]
            files.write(target, "\n".join([*lines, "divisions: regions.csv"]) + "\n")
            changed.append(str(target))
        return changed


_COLUMN_OF = {
    "JB1104": "parent",
    "JB1105": "parent",
    "JB1106": "level",
    "JB1107": "parent",
    "JB1108": "reading",
    "JB1110": "kind",
}


def _fields(region: regions.Region) -> tuple[str, ...]:
    return (
        region.code, region.name, region.level, region.parent, region.kind, region.reading,
        str(region.communities), str(region.villages),
    )  # fmt: skip


def _derived(name: str) -> dict[str, str]:
    """What a new code says by itself (GB/T 2260, GB/T 10114): its level, and the code above it."""
    if len(name) == 9:
        level, parent = "township", name[:6]
    elif name.endswith("0000"):
        level, parent = "province", MINISTRY
    elif name.endswith("00"):
        level, parent = "prefecture", f"{name[:2]}0000"
    else:
        level, parent = "county", f"{name[:4]}00"
    return dict(zip(regions.COLUMNS, (name, "", level, parent, "", "", "0", "0"), strict=True))


def _kind(level: str, name: str) -> str:
    """The kind that most regions of a level are of; a township's stands at the end of its name."""
    if level == "township":
        endings = (("街道", "street"), ("镇", "town"), ("乡", "township"))
        return next((kind for end, kind in endings if name.endswith(end)), "unit")
    return {"prefecture": "city"}.get(level, level)
