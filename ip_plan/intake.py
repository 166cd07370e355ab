"""What offices have → the plan: existing addresses into the ledger as they are, division tables into a regions.csv.

Every row is a claim: key → grant, with its cell. All claims are held against the plan, the ledger and one another; if one of
them cannot stand, all mistakes are listed with their cells, and nothing is written.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from ground import files
from ground.mistake import Mistake, Mistakes
from ip_plan import addressing, assemble, claims, sheets, spreadsheet, switches, vlans
from ip_plan import ledger as ledgers
from ip_plan import plan as plans
from ip_plan.addressing import Block
from ip_plan.claims import ANY, SUPERNET, Claim, Claims
from ip_plan.compile import NATION
from ip_plan.division_table import Divisions
from ip_plan.grants import NONE, Need
from ip_plan.layout import MINISTRY, lay_out, needs, province_key
from ip_plan.ledger import Key
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


def take_in(name: str, state: Path, paths: Sequence[Path]) -> Taken:
    """Take the tables of `paths` into the plan `name`. Raises Mistakes with every mistake; nothing is written then."""
    gc.disable()
    try:
        tables, mistakes = spreadsheet.read(paths)
        plan = plans.load(name)
        divisions = Divisions(plan, tables)
        if mistakes or divisions.mistakes:
            raise Mistakes(mistakes + divisions.mistakes)
        desk = _Desk(msgspec.structs.replace(plan, regions=divisions.regions))
        desk.read(tables)
        folder, count = plan.ledger(state), len(desk.claims)
        try:
            with files.lock(folder / ".lock"):
                books, new, wrong = claims.settle(desk.plan, desk.claims, folder)
                if desk.mistakes:  # the block that is missed may stand in a row that has a mistake of its own
                    wrong = [mistake for mistake in wrong if mistake.code != "JB1356"]
                if desk.mistakes or wrong:
                    raise Mistakes(desk.mistakes + wrong)
                touched = sorted({claim.shard for claim in desk.claims.values()})
                changed = [
                    str(path)
                    for shard in touched
                    if files.write(path := folder / f"{shard}.tsv", ledgers.text(books[shard]))
                ]
                changed += divisions.write(plan)
        except OSError as error:
            cure = "Make the folder writable, then import again: what is in the ledger already is left as it is."
            what = f"cannot be written: {error.strerror}"
            raise Mistakes([Mistake(str(error.filename or folder), None, None, "JB1305", "", what, cure)]) from None
        rows = sum(len(table.rows) for table in tables)
        return Taken(len(paths), len(tables), rows, new, count - new, len(divisions.changed), tuple(changed))
    finally:
        gc.enable()


_PREFIX = re.compile(r"[^/]+(/[0-9]{1,3})?")
_KEY = re.compile(r"[!-~]+")
_LABEL = re.compile(LABEL)


class _Desk:
    """Rows become claims here, claims grants."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.layout = lay_out(plan)
        self.claims: Claims = {}
        self.mistakes: list[Mistake] = []
        self.top = self.layout.top
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
                reader(_Row(table, number, dict(zip(table.columns, values, strict=True))))

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
            self._word(row, "label", NATION, "label", self.layout.key[name], label, MINISTRY)
        elif self.plan.regions[name].level != "ministry":
            parent = sheets.code(row.get("above")) or self.layout.key[assemble.named_parent(self.plan.regions, name)]
            if parent not in self.code_of and row.get("above"):
                cure = "Write the code under which the region above was first granted, or empty the cell."
                self._wrong(row, "above", "JB1349", parent, "no region of the plan has this code", cure)
                return
            self._word(row, "label", self._shard(name), "label", self.layout.key[name], label, parent)

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
        self._word(row, "asn", self._shard(need.region), "asn", need.key, number)

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
        self._address(row, need.region, "zone", key, four, six, need=need)

    def _blocks(self, row: _Row) -> None:
        if not row.get("v4") and not row.get("v6"):
            return
        key, use = sheets.key(row.get("key")), sheets.USE_WORDS.get(sheets.words(row.get("use")), row.get("use"))
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
        self._address(row, name, kind, key, four, six)

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
        shard, kind = row.get("shard").rjust(2, "0"), row.get("kind")
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
        key, first, second = sheets.key(row.get("key")), row.get("first"), row.get("second") or NONE
        if not _KEY.fullmatch(key):
            self._wrong(
                row, "key", "JB1357", key, "is no key of a ledger", "Write it as the ledger has it, or delete the row."
            )
            return
        blocks: list[Block | None] = [None, None]
        if kind not in ("alias", "asn", "label", "port"):
            for index, (family, column, text) in enumerate(((4, "first", first), (6, "second", second))):
                if text != NONE:
                    blocks[index] = self._parsed(row, column, key, text, family)
                    if blocks[index] is None:
                        return
        elif not _KEY.fullmatch(first) or not _KEY.fullmatch(second):
            self._wrong(
                row, "first", "JB1357", key, f"{first!r} is no {kind}", "Write what the ledger has, or delete the row."
            )
            return
        pair, gone = (blocks[0], blocks[1]), bool(row.get("gone"))
        self._claim(
            Claim(shard, kind, key, first, second, pair, None, row.table, row.number, ("first", "second"), gone)
        )

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
        text = sheets.code(row.get("code"))
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
            found[index] = self._parsed(row, column, key, text, family)
            if found[index] is None:
                sound = False
            elif whole and "/" in text:
                self._wrong(
                    row, column, "JB1351", key, f"{text} is a prefix", "Write the address alone, without a length."
                )
                sound = False
        return (found[0], found[1]) if sound else None  # type: ignore[return-value]

    def _parsed(self, row: _Row, column: str, key: str, text: str, family: int) -> Block | None:
        try:
            if not _PREFIX.fullmatch(text):
                raise ValueError(f"{text} is not an IPv{family} prefix")
            return addressing.parse(text, family)
        except ValueError as error:
            cure = "Write it as 10.1.2.0/24 or 3fff:0:1::/48, without host bits."
            self._wrong(row, column, "JB1351", key, str(error), cure)
            return None

    def _shard(self, name: str) -> str:
        return province_key(self.top[name])

    def _holders(self, name: str, kind: str, key: str, need: Need | None) -> tuple[Key, Key]:
        """The keys in whose blocks an address of each family has to lie."""
        unit = self.layout.unit[name]
        moved = self._moved(name)
        if kind == "province":
            return SUPERNET, SUPERNET
        if kind == "block":
            above = ("province", self.layout.key[self.top[name]])
            owner = self.wanted(self.top[name]).unit_of_area.get(key)
            return above, ("block", ANY if moved else owner) if owner else above
        if kind in ("host", "svc"):
            zone = ("zone", key.rpartition(":")[0])
            return zone, zone
        if kind == "zone":
            assert need is not None
            return ("block", ANY if moved else unit), ("block", need.area or need.key)
        if moved:
            return ("infra", ANY), ("block", ANY)
        return ("block" if kind == "infra" else "infra", unit), ("block", f"{unit}:infra")

    def _moved(self, name: str) -> bool:
        """Whether the change table moved a region, or one above it: its addresses may lie in another unit's blocks."""
        while name:
            if name in self.plan.former:
                return True
            name = self.plan.regions[name].parent
        return False

    def _address(
        self, row: _Row, name: str, kind: str, key: str, four: Block | None, six: Block | None,
        *, columns: tuple[str, str] = ("v4", "v6"), need: Need | None = None,
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
        shard = NATION if kind == "province" else self._shard(name)
        holders = self._holders(name, kind, key.split("#")[0], need)
        self._claim(Claim(shard, kind, key, texts[0], texts[1], (four, six), holders, row.table, row.number, columns))

    def _word(self, row: _Row, column: str, shard: str, kind: str, key: str, first: str, second: str = NONE) -> None:
        """A claim that is no address."""
        place = (column, column)
        self._claim(Claim(shard, kind, key, first, second, (None, None), None, row.table, row.number, place))

    def _claim(self, claim: Claim) -> None:
        held = self.claims.setdefault(claim.name, claim)
        if held is not claim:
            cure = "Keep one of the two rows."
            what = f"stands in {held.place()} already"
            self.mistakes.append(Mistake(claim.place(), None, None, "JB1350", claim.key, what, cure))


_DEVICE = "Devices are named <region code>-<role><number> as `jinbao plan export` lists them; sites.yml decides which there are."


class _Row(msgspec.Struct, frozen=True, gc=False):
    """One row: its values by column."""

    table: Found
    number: int
    cells: dict[str, str]

    def get(self, column: str) -> str:
        """The value of a column; empty where the table has none."""
        return self.cells.get(column, "")


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
            lines = [wire.id for wire in need.lines]
            cables = [f"{one}~{other}" for one, other in assemble.cables(devices)]
            self.keys["link"].update(dict.fromkeys(lines + cables, need))
            counts: dict[str, int] = {}
            for zone, _, services in assemble.hosts_of(plan, need):
                counts[zone] = counts.get(zone, 0) + 1
                name = f"{key[need.region]}-{plan.sites.zones[zone].short}{counts[zone]}"
                self.hosts[name] = f"{need.key}:{zone}:{name}"
                self.keys["svc"].update({f"{need.key}:{zone}:{service}": need for service in services})
            for name in switches.names(need, key[need.region]):
                self.hosts[name] = f"{need.key}:{vlans.ZONE}:{name}"
            self.unit_of_area[need.area or need.key] = need.unit
