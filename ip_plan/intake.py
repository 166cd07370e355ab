"""What offices have → the plan: existing addresses into the ledger as they are, division tables into a regions.csv.

Every row is a claim: key → grant, with its cell. All claims are held against the plan, the ledger and one another; if one of
them cannot stand, all mistakes are listed with their cells, and nothing is written.
"""

from __future__ import annotations

import csv
import gc
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from ground import files
from ground.mistake import Mistake, Mistakes
from ip_plan import addressing, assemble, regions, sheets, spreadsheet
from ip_plan import ledger as ledgers
from ip_plan import plan as plans
from ip_plan.addressing import Block
from ip_plan.compile import NATION
from ip_plan.grants import NONE, Need
from ip_plan.layout import DEPTH, MINISTRY, lay_out, needs, province_key
from ip_plan.ledger import Ledger
from ip_plan.plan import Plan
from ip_plan.schema import LABEL
from ip_plan.spreadsheet import Found


class Taken(msgspec.Struct, frozen=True):
    """What an import did."""

    files: int
    tables: int
    rows: int
    new: int
    """Grants that the ledger did not hold."""
    held: int
    """Grants that it held already, with the same value."""
    regions: int
    """Rows of the division table that were added or changed."""
    changed: tuple[str, ...]
    """Files that changed."""


class Claim(msgspec.Struct, frozen=True, gc=False):
    """A grant that a row asks for, and where its two values stand."""

    shard: str
    kind: str
    key: str
    first: str
    second: str
    table: Found
    row: int
    columns: tuple[str, str]
    gone: bool = False

    def place(self, family: int = 4) -> str:
        """The cell of its value of a family."""
        return self.table.place(self.row, self.columns[family == 6])


def take_in(name: str, state: Path, paths: Sequence[Path]) -> Taken:
    """Take the tables of `paths` into the plan `name`. Raises Mistakes with every mistake; nothing is written then."""
    gc.disable()
    try:
        tables, mistakes = spreadsheet.read(paths)
        plan = plans.load(name)
        divisions = _Divisions(plan, tables)
        if mistakes or divisions.mistakes:
            raise Mistakes(mistakes + divisions.mistakes)
        desk = _Desk(msgspec.structs.replace(plan, regions=divisions.regions))
        desk.read(tables)
        folder = plan.ledger(state)
        try:
            with files.lock(folder / ".lock"):
                books, new, held = desk.settle(folder)
                changed = [
                    str(path)
                    for shard, book in sorted(books.items())
                    if files.write(path := folder / f"{shard}.tsv", ledgers.text(book))
                ]
                changed += divisions.write(plan)
        except OSError as error:
            cure = "Make the folder writable, then import again: what is in the ledger already is left as it is."
            what = f"cannot be written: {error.strerror}"
            raise Mistakes([Mistake(str(error.filename or folder), None, None, "JB1305", "", what, cure)]) from None
        rows = sum(len(table.rows) for table in tables)
        return Taken(len(paths), len(tables), rows, new, held, len(divisions.changed), tuple(changed))
    finally:
        gc.enable()


# Values of cells

_PREFIX = re.compile(r"[^/]+(/[0-9]{1,3})?")
_FLOAT = re.compile(r"([0-9]+)\.0+")
_LABEL = re.compile(LABEL)


def code(text: str) -> str:
    """A region code as it is written in full: without `.0`, the ministry's with all its zeros."""
    text = text.lstrip("'").replace(" ", "").upper()
    match = _FLOAT.fullmatch(text)
    text = match[1] if match else text
    return MINISTRY if text == "0" else text


def _reverse(words: Mapping[str, str]) -> dict[str, str]:
    return {sheets.words(text): name for name, zh in words.items() for text in (zh, name)}


_LEVEL_WORDS = _reverse(sheets.LEVELS) | {
    "省": "province",
    "市": "prefecture",
    "县": "county",
    "乡": "township",
    "乡镇": "township",
}
_KIND_WORDS = _reverse(sheets.REGION_KINDS)
_USE_WORDS = _reverse(sheets.USES) | {"省本级": "home", "市本级": "block", "环回": "infra", "互联": "infra"}


# The division table


class _Divisions:
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
        if self.changed:
            self._check(rows)

    def _row(
        self, table: Found, number: int, cells: dict[str, str], rows: dict[str, tuple[str, ...]], seen: dict[str, str]
    ) -> None:
        name = code(cells["code"])
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
        after = before | {"code": name} | {column: text for column, text in cells.items() if text and column in before}
        after["name"] = " ".join(after["name"].split())
        after["level"] = _LEVEL_WORDS.get(sheets.words(after["level"]), after["level"])
        after["kind"] = _KIND_WORDS.get(sheets.words(after["kind"]), after["kind"])
        after["parent"] = code(after["parent"]) if after["parent"] else ""
        if after["level"] == "township" and after["kind"] == "":
            after["kind"] = _township_kind(after["name"])
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
                place = table.place(row, column)
                mistake = msgspec.structs.replace(mistake, file=place, line=None, column=None)
            self.mistakes.append(mistake)
        if not mistakes:
            self.regions = found

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
        level, parent, kind = "township", name[:6], ""
    elif name.endswith("0000"):
        level, parent, kind = "province", MINISTRY, "province"
    elif name.endswith("00"):
        level, parent, kind = "prefecture", f"{name[:2]}0000", "city"
    else:
        level, parent, kind = "county", f"{name[:4]}00", "county"
    return dict(zip(regions.COLUMNS, (name, "", level, parent, kind, "", "0", "0"), strict=True))


def _township_kind(name: str) -> str:
    return next(
        (kind for end, kind in (("街道", "street"), ("镇", "town"), ("乡", "township")) if name.endswith(end)), "unit"
    )


# Addresses


class _Desk:
    """Rows become claims here, claims grants."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.layout = lay_out(plan)
        self.claims: dict[tuple[str, str, str], Claim] = {}
        self.mistakes: list[Mistake] = []
        self.top: dict[str, str] = {}
        for name in sorted(plan.regions, key=lambda name: DEPTH[plan.regions[name].level]):
            region = plan.regions[name]
            self.top[name] = name if region.level in ("ministry", "province") else self.top[region.parent]
        self.code_of = {self.layout.key[name]: name for name in plan.regions}
        self.zones = {
            sheets.words(text): zone
            for zone, entry in plan.sites.zones.items()
            for text in (entry.title, entry.short, zone)
        }
        self._wanted: dict[str, _Wanted] = {}

    def wanted(self, top: str) -> _Wanted:
        """What the plan asks for in a province."""
        if top not in self._wanted:
            found, mistakes = needs(self.plan, self.layout, top)
            self.mistakes += mistakes
            units = [demand.unit for demand in self.layout.demand[top]]
            self._wanted[top] = _Wanted(self.plan, found, units, self.layout.key)
        return self._wanted[top]

    def read(self, tables: Iterable[Found]) -> None:
        """Every row of every table as claims."""
        readers: dict[str, Callable[[_Row], None]] = {
            "regions": self._labels,
            "blocks": self._blocks,
            "sites": self._numbers,
            "zones": self._zones,
            "devices": self._devices,
            "links": self._links,
            "services": self._services,
            "kept": self._kept,
        }
        for table in tables:
            reader = readers[table.table]
            for number, values in table.rows:
                reader(_Row(table, number, values))

    # One row of each table

    def _labels(self, row: _Row) -> None:
        label = row.get("label")
        name = self._region(row) if label else ""
        if not name:
            return
        if not _LABEL.fullmatch(label):
            cure = "Write 1 to 63 of a-z, 0-9 and hyphen, no hyphen at either end, or leave the cell empty."
            self._wrong(row, "label", "JB1357", name, f"{label!r} is no label", cure)
            return
        if self.plan.regions[name].level == "province":
            self._claim(row, NATION, "label", self.layout.key[name], label, MINISTRY, ("label", "label"))
        elif self.plan.regions[name].level != "ministry":
            parent = self.layout.key[assemble.named_parent(self.plan.regions, name)]
            self._claim(row, self._shard(name), "label", self.layout.key[name], label, parent, ("label", "label"))

    def _numbers(self, row: _Row) -> None:
        number = row.get("asn")
        need = self._site(row) if number else None
        if need is None:
            return
        top = self.top[need.region]
        numbers = self.plan.addressing.asn
        first = numbers.first + (int(top[:2]) if top[:2].isdigit() else 99) * numbers.per_province
        if not number.isdecimal() or not first <= int(number) < first + numbers.per_province:
            cure = f"Give a number from {first} to {first + numbers.per_province - 1} (addressing.yml), or leave the cell empty."
            self._wrong(row, "asn", "JB1357", need.key, f"{number} is not an AS number of its province", cure)
            return
        self._claim(row, self._shard(need.region), "asn", need.key, number, NONE, ("asn", "asn"))

    def _zones(self, row: _Row) -> None:
        if not row.get("v4") and not row.get("v6"):
            return
        need, zone = self._site(row), self._zone(row)
        if need is None or not zone:
            return
        key = f"{need.key}:{zone}"
        if key not in self.wanted(self.top[need.region]).keys["zone"]:
            cure = f"A site of this kind has {', '.join(need.kind.zones)}; mend the cell, or give it the zone in sites.yml."
            self._wrong(row, "zone", "JB1349", need.key, f"has no zone {zone}", cure)
            return
        pair = self._pair(row, key)
        if pair is None:
            return
        four, six = pair
        lengths = self.plan.addressing
        least = lengths.zones[need.kind.level].lengths[zone]
        wanted6 = lengths.ipv6.zone if need.area else lengths.ipv6.centre_zone
        if four[1] > least:
            cure = f"Write the /{least} around it if it is yours, or lengthen `zones: {need.kind.level}: {zone}:` in addressing.yml."
            self._wrong(
                row,
                "v4",
                "JB1355",
                key,
                f"{row.get('v4')} is smaller than the /{least} that the plan gives this zone",
                cure,
            )
        if six[1] != wanted6:
            cure = f"Write the /{wanted6} that it lies in, or whose first part it is."
            self._wrong(
                row,
                "v6",
                "JB1355",
                key,
                f"{row.get('v6')} is not a /{wanted6}, as the plan has it (ipv6 in addressing.yml)",
                cure,
            )
        self._address(row, need.region, "zone", key, four, six)

    def _blocks(self, row: _Row) -> None:
        if not row.get("v4") and not row.get("v6"):
            return
        key, use = row.get("key"), _USE_WORDS.get(sheets.words(row.get("use")), row.get("use"))
        if use not in ("", *sheets.USES):
            self._wrong(
                row, "use", "JB1349", use, "is no use of a block", f"Write one of {', '.join(sheets.USES.values())}."
            )
            return
        if key:
            first = key.split("#")[0].split(":")[0]
            name = self.code_of.get(first, "")
            if not self._in_scope(row, "key", name, key):
                return
        else:
            name = self._region(row)
            if not name:
                return
            home = use in ("home", "infra")
            key = self.layout.unit[name] if home else self.layout.key[name]
        level = self.plan.regions[name].level
        top = level in ("ministry", "province") and ":" not in key
        kind = "province" if top else "infra" if use == "infra" and not key.endswith(":infra") else "block"
        base = key.split("#")[0]
        wanted = self.wanted(self.top[name])
        area = kind == "block" and base in wanted.unit_of_area
        if kind != "province" and not area and base not in wanted.units:
            cure = "Write the code of a city for its block, of a county for its IPv6 block; use 本级 for what a province keeps itself."
            self._wrong(row, "key" if row.get("key") else "code", "JB1349", key, "has no block of its own", cure)
            return
        pair = self._pair(row, key, single=area or "#" in key)
        if pair is None:
            return
        four, six = pair
        sixes = self.plan.addressing.ipv6
        if area and four is not None:
            cure = "Empty the cell; its city's block holds it."
            self._wrong(row, "v4", "JB1355", key, "has no IPv4 block of its own", cure)
            return
        length = {"province": sixes.province, "infra": sixes.county}.get(kind, sixes.county if area else sixes.unit)
        if six is not None and six[1] != length:
            cure = f"Write a /{length}: the next level counts on it (ipv6 in addressing.yml)."
            self._wrong(row, "v6", "JB1355", key, f"{row.get('v6')} is not a /{length}", cure)
            return
        self._address(row, name, kind, key, four, six, shard=NATION if kind == "province" else "")

    def _devices(self, row: _Row) -> None:
        four, six = row.get("loop4"), row.get("loop6")
        host = row.get("v4") or row.get("v6")
        if not (four or six or host):
            return
        device = row.get("device")
        name = self.code_of.get(device.rpartition("-")[0], "")
        if not self._in_scope(row, "device", name, device):
            return
        keys = self.wanted(self.top[name]).keys
        if four or six:
            if device not in keys["loop"]:
                self._wrong(row, "device", "JB1349", device, "is no router or firewall of the plan", _DEVICE)
            else:
                pair = self._pair(row, device, ("loop4", "loop6"), whole=True)
                if pair:
                    self._address(row, name, "loop", device, *pair, columns=("loop4", "loop6"))
        if host:
            key = self.wanted(self.top[name]).hosts.get(device, "")
            if not key:
                self._wrong(row, "device", "JB1349", device, "is no host of the plan", _DEVICE)
            elif pair := self._pair(row, device, whole=True):
                self._address(row, name, "host", key, *pair)

    def _links(self, row: _Row) -> None:
        if not row.get("v4") and not row.get("v6"):
            return
        key = f"{row.get('a')}~{row.get('b')}"
        name = self.code_of.get(row.get("b").rpartition("-")[0], "")
        if not self._in_scope(row, "b", name, key):
            return
        if key not in self.wanted(self.top[name]).keys["link"]:
            cure = "Write the device nearer the ministry as end A; lines are decided in sites.yml and by `without:` in plan.yml."
            self._wrong(row, "a", "JB1349", key, "is no line of the plan", cure)
            return
        pair = self._pair(row, key)
        if pair is None:
            return
        for family, length, column in ((4, 31, "v4"), (6, 127, "v6")):
            if pair[family == 6][1] != length:
                what = f"{row.get(column)} is not a /{length}"
                self._wrong(row, column, "JB1355", key, what, "Links have a /31 and a /127 (RFC 3021, RFC 6164).")
        self._address(row, name, "link", key, *pair)

    def _services(self, row: _Row) -> None:
        if not row.get("v4") and not row.get("v6"):
            return
        need, zone = self._site(row), self._zone(row)
        if need is None or not zone:
            return
        key = f"{need.key}:{zone}:{row.get('service')}"
        if key not in self.wanted(self.top[need.region]).keys["svc"]:
            cure = "Write a service that a host of this zone carries (`hosts:` in sites.yml)."
            self._wrong(row, "service", "JB1349", key, "is no service of the plan", cure)
        elif pair := self._pair(row, key, whole=True):
            self._address(row, need.region, "svc", key, *pair)

    def _kept(self, row: _Row) -> None:
        shard, kind = row.get("shard"), row.get("kind")
        shards = {NATION} | {province_key(top) for top in self.layout.members}
        for column, text, known in (("shard", shard, shards), ("kind", kind, set(ledgers.KINDS))):
            if text not in known:
                cure = f"Write one of {', '.join(sorted(known))}, or delete the row."
                self._wrong(
                    row,
                    column,
                    "JB1349",
                    text,
                    "is no ledger of the plan" if column == "shard" else "is no kind of grant",
                    cure,
                )
                return
        first, second = row.get("first"), row.get("second") or NONE
        self._claim(row, shard, kind, row.get("key"), first, second, ("first", "second"), gone=bool(row.get("gone")))

    # What rows have in common

    def _wrong(self, row: _Row, column: str, number: str, subject: str, what: str, cure: str) -> None:
        self.mistakes.append(Mistake(row.table.place(row.number, column), None, None, number, subject, what, cure))

    def _in_scope(self, row: _Row, column: str, name: str, text: str) -> bool:
        """Whether a region was found and has a place in the plan: for its block its province has to be in scope."""
        scope = self.layout.members if row.table.table == "blocks" else self.layout.scope
        if name and (self.top[name] if row.table.table == "blocks" else name) in scope:
            return True
        if name in self.plan.regions:
            what, cure = "is not in the scope of the plan", f'Add `- {{region: "{name}"}}` to `scope:` in plan.yml.'
        else:
            what = "the cell is empty" if not text else "no region of the plan has this code"
            cure = "Use a code of the division data, with all its digits; import a new region's row with it."
        self._wrong(row, column, "JB1349", text, what, cure)
        return False

    def _region(self, row: _Row) -> str:
        text = code(row.get("code"))
        return text if self._in_scope(row, "code", text, text) else ""

    def _site(self, row: _Row) -> Need | None:
        text = row.get("site")
        if text:
            name = self.code_of.get(text.split(":")[0], "")
            if not self._in_scope(row, "site", name, text):
                return None
        else:
            name = self._region(row)
            if not name:
                return None
            text = self.wanted(self.top[name]).site_of.get(name, "")
        need = self.wanted(self.top[name]).sites.get(text)
        if need is None:
            column = "site" if row.get("site") else "code"
            cure = "Sites are decided by level in sites.yml; a grouping and a hosted city have none."
            self._wrong(row, column, "JB1349", row.get(column), "has no such site in the plan", cure)
        return need

    def _zone(self, row: _Row) -> str:
        zone = self.zones.get(sheets.words(row.get("zone")), "")
        if not zone:
            cure = f"Write one of {', '.join(self.plan.sites.zones)}, or its title in sites.yml."
            self._wrong(row, "zone", "JB1349", row.get("zone"), "no zone of the plan has this name", cure)
        return zone

    def _pair(
        self, row: _Row, key: str, columns: tuple[str, str] = ("v4", "v6"), *, single: bool = False, whole: bool = False
    ) -> tuple[Block, Block] | None:
        """Both values of a row; None, and its mistakes, where one is wrong or missing. `single`: one may be missing."""
        found: list[Block | None] = [None, None]
        sound = True
        for index, (family, column) in enumerate(((4, columns[0]), (6, columns[1]))):
            text = row.get(column)
            if not text:
                if not single:
                    what = f"the IPv{family} value is missing: a grant has both families"
                    self._wrong(
                        row,
                        column,
                        "JB1357",
                        key,
                        what,
                        "Fill the cell, or empty the row's other one and let the ledger choose.",
                    )
                    sound = False
                continue
            try:
                if not _PREFIX.fullmatch(text):
                    raise ValueError(f"{text} is not an IPv{family} prefix")
                found[index] = addressing.parse(text, family)
            except ValueError as error:
                self._wrong(
                    row,
                    column,
                    "JB1351",
                    key,
                    str(error),
                    "Write it as 10.1.2.0/24 or 3fff:0:1::/48, without host bits.",
                )
                sound = False
                continue
            if whole and "/" in text:
                self._wrong(
                    row, column, "JB1351", key, f"{text} is a prefix", "Write the address alone, without a length."
                )
                sound = False
        return (found[0], found[1]) if sound else None  # type: ignore[return-value]

    def _shard(self, name: str) -> str:
        return province_key(self.top[name])

    def _address(
        self, row: _Row, name: str, kind: str, key: str, four: Block | None, six: Block | None,
        *, columns: tuple[str, str] = ("v4", "v6"), shard: str = "",
    ) -> None:  # fmt: skip
        whole = kind in ("loop", "host", "svc")
        texts = [
            NONE
            if block is None
            else addressing.address(block[0], family)
            if whole
            else addressing.write(block, family)
            for block, family in ((four, 4), (six, 6))
        ]
        self._claim(row, shard or self._shard(name), kind, key, texts[0], texts[1], columns)

    def _claim(
        self, row: _Row, shard: str, kind: str, key: str, first: str, second: str, columns: tuple[str, str], *, gone: bool = False
    ) -> None:  # fmt: skip
        claim = Claim(shard, kind, key, first, second, row.table, row.number, columns, gone)
        held = self.claims.setdefault((shard, kind, key), claim)
        if held is not claim:
            cure = "Keep one of the two rows."
            what = f"stands in {held.place()} already"
            self.mistakes.append(Mistake(claim.place(), None, None, "JB1350", key, what, cure))

    # Claims against the ledger

    def settle(self, folder: Path) -> tuple[dict[str, Ledger], int, int]:
        """The ledgers with every claim granted, how many are new, and how many were held. Raises Mistakes."""
        books: dict[str, Ledger] = {}
        for shard in sorted({NATION, *(claim.shard for claim in self.claims.values())}):
            books[shard], wrong = ledgers.read(folder, shard)
            self.mistakes += wrong
        if any(mistake.code.startswith("JB130") for mistake in self.mistakes):
            raise Mistakes(self.mistakes)
        new = 0
        for claim in self.claims.values():
            book = books[claim.shard]
            held = book.get(claim.kind, claim.key)
            if held is None:
                book.put(claim.kind, claim.key, claim.first, claim.second)
                if claim.gone:
                    book.gone.add((claim.kind, claim.key))
                new += 1
            elif held != (claim.first, claim.second):
                family = 4 if held[0] != claim.first else 6
                what = f"holds {held[family == 6]} since it was granted and cannot be given {(claim.first, claim.second)[family == 6]}"
                cure = "Write what the ledger holds, or leave the row out: a grant is for ever; a move is a planned renumbering."
                self.mistakes.append(Mistake(claim.place(family), None, None, "JB1354", claim.key, what, cure))
        if not self.mistakes:
            for top, wanted in self._wanted.items():
                shard = province_key(top)
                if shard in books:
                    self._areas(wanted, books[shard], shard)
            self._hold(books)
        if self.mistakes:
            raise Mistakes(self.mistakes)
        return books, new, len(self.claims) - new

    def _areas(self, wanted: _Wanted, book: Ledger, shard: str) -> None:
        """The IPv6 blocks of county size follow from the zones in them, where no row gives them."""
        step = 128 - self.plan.addressing.ipv6.county
        for claim in list(self.claims.values()):
            if claim.shard != shard or claim.kind not in ("zone", "infra"):
                continue
            if claim.kind == "infra":
                if "#" in claim.key:
                    continue
                area = f"{claim.key}:infra"
            else:
                need = wanted.keys["zone"].get(claim.key)
                if need is None:
                    continue
                area = need.area or need.key
            if book.get("block", area) is None:
                first = addressing.parse(claim.second, 6)[0] >> step << step
                book.put("block", area, NONE, addressing.write((first, self.plan.addressing.ipv6.county), 6))
                derived = msgspec.structs.replace(
                    claim, kind="block", key=area, first=NONE, second=book.grants["block", area][1],
                    columns=(claim.columns[1], claim.columns[1]),
                )  # fmt: skip
                self.claims[shard, "block", area] = derived

    def _hold(self, books: Mapping[str, Ledger]) -> None:
        """Whether every claim lies where it must, and on nothing that another key has."""
        national = books[NATION]
        self._apart([(NATION, "province", key, grant) for key, grant in national.of("province").items()])
        units: list[tuple[str, str, str, ledgers.Grant]] = []
        for shard, book in books.items():
            lengths = self.plan.addressing.ipv6
            areas: list[tuple[str, str, str, ledgers.Grant]] = []
            for key, (first, second) in book.of("block").items():
                area = second != NONE and int(second.rpartition("/")[2]) >= lengths.county
                (areas if area else units).append((shard, "block", key, (first, second)))
            inner = [(shard, kind, key, grant) for kind in ("zone", "infra") for key, grant in book.of(kind).items()]
            self._apart([(shard, kind, key, (grant[0], NONE)) for shard, kind, key, grant in inner])
            self._apart(areas)
            self._apart([(shard, kind, key, (NONE, grant[1])) for shard, kind, key, grant in inner if kind == "zone"])
            for kinds in (("loop", "link"), ("host", "svc")):
                self._apart([(shard, kind, key, grant) for kind in kinds for key, grant in book.of(kind).items()])
            self._unique(shard, book)
        self._apart(units)
        for claim in self.claims.values():
            if claim.kind not in ("asn", "label", "alias") and not claim.gone:
                self._inside(claim, books)

    def _apart(self, grants: Iterable[tuple[str, str, str, ledgers.Grant]]) -> None:
        listed = list(grants)
        for family in (4, 6):
            bits = addressing.BITS[family]
            entries = []
            for shard, kind, key, grant in listed:
                text = grant[family == 6]
                if text != NONE:
                    first, length = addressing.parse(text, family)
                    entries.append((first, first + (1 << (bits - length)), shard, kind, key, text))
            entries.sort()
            widest = entries[0] if entries else None
            for entry in entries[1:]:
                assert widest is not None
                if entry[0] < widest[1]:
                    self._overlap(entry, widest, family)
                if entry[1] > widest[1]:
                    widest = entry

    def _overlap(
        self, one: tuple[int, int, str, str, str, str], other: tuple[int, int, str, str, str, str], family: int
    ) -> None:
        for own, held in ((one, other), (other, one)):
            claim = self.claims.get((own[2], own[3], own[4]))
            if claim is None or (claim.first, claim.second)[family == 6] != own[5]:
                continue
            against = self.claims.get((held[2], held[3], held[4]))
            where = against.place(family) if against else "the ledger"
            what = f"{own[5]} overlaps {held[5]} of {held[4]} ({where})"
            cure = f"Give it a prefix outside {held[5]}, or leave the row out and let the ledger choose."
            self.mistakes.append(Mistake(claim.place(family), None, None, "JB1353", own[4], what, cure))
            return

    def _unique(self, shard: str, book: Ledger) -> None:
        for kind in ("asn", "label"):
            seen: dict[str, str] = {}
            for key, grant in book.of(kind).items():
                value = grant[0] if kind == "asn" else f"{grant[0]} under {grant[1]}"
                other = seen.setdefault(value, key)
                claim = self.claims.get((shard, kind, key)) or self.claims.get((shard, kind, other))
                if other != key and claim:
                    what = f"{value} is that of {other if claim.key == key else key}"
                    cure = "Give each its own, or leave the cell empty and let the ledger choose."
                    self.mistakes.append(Mistake(claim.place(), None, None, "JB1353", claim.key, what, cure))

    def _inside(self, claim: Claim, books: Mapping[str, Ledger]) -> None:
        """Whether a claim's values lie in the block that has to hold them."""
        for family in (4, 6):
            text = (claim.first, claim.second)[family == 6]
            if text == NONE:
                continue
            whose, holders = self._holders(claim, family, books)
            if not holders:
                what = f"{text} lies in no block: {whose} has none for IPv{family}"
                cure = "Add its row to the sheet 地址块 Address blocks, or import that sheet first."
                self.mistakes.append(Mistake(claim.place(family), None, None, "JB1356", claim.key, what, cure))
            elif not any(addressing.contains(block, addressing.parse(text, family), family) for block in holders):
                listed = ", ".join(addressing.write(block, family) for block in holders)
                what = f"{text} lies outside {listed} of {whose}"
                self.mistakes.append(
                    Mistake(
                        claim.place(family), None, None, "JB1352", claim.key, what, f"Give it a value inside {listed}."
                    )
                )

    def _holders(self, claim: Claim, family: int, books: Mapping[str, Ledger]) -> tuple[str, list[Block]]:
        """Who has to hold a claim's value, and the blocks that it has."""
        book = books[claim.shard]
        if claim.kind == "province":
            supernets = self.plan.addressing.supernets
            return "the supernet", [addressing.parse(supernets.ipv4 if family == 4 else supernets.ipv6, family)]
        base = claim.key.split("#")[0]
        name = self.code_of[
            re.split(r"[:~-]", base)[0] if claim.kind != "link" else base.partition("~")[2].rpartition("-")[0]
        ]
        top = self.top[name]
        wanted = self.wanted(top)
        unit = self.layout.unit[name]
        area = f"{unit}:infra"
        if claim.kind == "block":
            if base in wanted.unit_of_area and family == 6:
                owner = wanted.unit_of_area[base]
                return owner, _blocks(book, "block", owner, 6)
            key = self.layout.key[top]
            return key, _blocks(books[NATION], "province", key, family)
        if claim.kind in ("loop", "link"):
            return (unit, _blocks(book, "infra", unit, 4)) if family == 4 else (area, _blocks(book, "block", area, 6))
        if claim.kind in ("host", "svc"):
            zone = claim.key.rpartition(":")[0]
            return zone, _blocks(book, "zone", zone, family)
        if family == 4:
            return unit, _blocks(book, "block", unit, 4)
        if claim.kind == "zone":
            need = wanted.keys["zone"][claim.key]
            area = need.area or need.key
        return area, _blocks(book, "block", area, 6)


_DEVICE = "Devices are named <region code>-<role><number> as `jinbao plan export` lists them; sites.yml decides which there are."


def _blocks(book: Ledger, kind: str, key: str, family: int) -> list[Block]:
    """Every block under a key of either family, further ones (`#2`, `#6.2`) included."""
    found = []
    for mark in ("#", "#6."):
        for number in range(1, 100):
            grant = book.get(kind, key if number == 1 else f"{key}{mark}{number}")
            if grant is None:
                break
            if grant[family == 6] != NONE:
                found.append(addressing.parse(grant[family == 6], family))
    return found


class _Row:
    """One row: its values by column."""

    __slots__ = ("number", "table", "values")

    def __init__(self, table: Found, number: int, values: tuple[str, ...]) -> None:
        self.table, self.number, self.values = table, number, values

    def get(self, column: str) -> str:
        """The value of a column; empty where the table has none."""
        columns = self.table.columns
        return self.values[columns.index(column)] if column in columns else ""


class _Wanted:
    """The keys that a province's plan asks for, and the site each belongs to."""

    def __init__(self, plan: Plan, found: list[Need], units: Iterable[str], key: Mapping[str, str]) -> None:
        self.sites = {need.key: need for need in found}
        self.site_of: dict[str, str] = {}
        self.hosts: dict[str, str] = {}
        self.units = frozenset(units)
        self.unit_of_area = {f"{unit}:infra": unit for unit in self.units}
        self.keys: dict[str, dict[str, Need]] = {kind: {} for kind in ("zone", "loop", "link", "svc")}
        for need in found:
            self.site_of.setdefault(need.region, need.key)
            for zone in need.kind.zones:
                self.keys["zone"][f"{need.key}:{zone}"] = need
            devices = assemble.network_devices(need, key[need.region])
            self.keys["loop"].update(dict.fromkeys(devices, need))
            lines = [f"{far}~{own}" for _, far, own in need.lines]
            cables = [f"{one}~{other}" for one, other in assemble.cables(devices)]
            self.keys["link"].update(dict.fromkeys(lines + cables, need))
            counts: dict[str, int] = {}
            for zone, _, services in assemble.hosts_of(plan, need):
                counts[zone] = counts.get(zone, 0) + 1
                name = f"{key[need.region]}-{plan.sites.zones[zone].short}{counts[zone]}"
                self.hosts[name] = f"{need.key}:{zone}:{name}"
                self.keys["svc"].update({f"{need.key}:{zone}:{service}": need for service in services})
            self.unit_of_area[need.area or need.key] = need.unit
