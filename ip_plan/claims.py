"""Claims: grants that rows of a table ask for, held against the ledger and against one another before any is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from ground import work
from ground.mistake import Mistake
from ip_plan import addressing
from ip_plan import ledger as ledgers
from ip_plan.addressing import Block
from ip_plan.compile import NATION
from ip_plan.grants import NONE, blocks_of
from ip_plan.ledger import Key, Ledger
from ip_plan.plan import Plan
from ip_plan.spreadsheet import Found

Pair = tuple[Block | None, Block | None]


class Claim(msgspec.Struct, frozen=True, gc=False):
    """A grant that a row asks for, and where its two values stand."""

    shard: str
    kind: str
    key: str
    first: str
    second: str
    blocks: Pair
    """The values as prefixes of IPv4 and IPv6, where they are such."""
    holders: tuple[Key, Key] | None
    """The keys in whose blocks the values have to lie; None: in none."""
    table: Found
    row: int
    columns: tuple[str, str]
    gone: bool = False

    @property
    def name(self) -> tuple[str, str, str]:
        """What tells it from every other claim."""
        return self.shard, self.kind, self.key

    def place(self, family: int = 4) -> str:
        """The cell of its value of a family."""
        return self.table.place(self.row, self.columns[family == 6])


SUPERNET = ("supernet", "the supernet")
ANY = "the province"
"""In place of a holder's key: any of its kind, for what moved to another unit of the province and keeps its addresses."""

Claims = dict[tuple[str, str, str], Claim]


class _Context(msgspec.Struct):
    """What the provinces share."""

    claims: Claims
    of_shard: dict[str, list[Claim]]
    books: dict[str, Ledger]
    supernet: Pair


def settle(plan: Plan, claims: Claims, folder: Path) -> tuple[dict[str, Ledger], int, list[Mistake]]:
    """Grant every claim in the ledgers of `folder` as read: the ledgers, how many grants are new, and every mistake.

    Nothing is written. With mistakes (JB1301–JB1303, JB1352–JB1356) the ledgers are good for nothing.
    """
    books: dict[str, Ledger] = {}
    mistakes: list[Mistake] = []
    for shard in sorted({NATION, *(claim.shard for claim in claims.values())}):
        books[shard], wrong = ledgers.read(folder, shard)
        mistakes += wrong
    if mistakes:
        return books, 0, mistakes
    new = 0
    renumbered = {shard: _renumbered(book) for shard, book in books.items()}
    for claim in list(claims.values()):
        book = books[claim.shard]
        held = book.get(claim.kind, claim.key)
        versions = renumbered[claim.shard].get((claim.kind, claim.key), [])
        if (claim.first, claim.second) in versions:
            del claims[claim.name]
            continue
        held = held or (versions[-1] if versions else None)
        if held is None:
            book.put(claim.kind, claim.key, claim.first, claim.second)
            if claim.gone:
                book.gone.add((claim.kind, claim.key))
            new += 1
        elif held != (claim.first, claim.second):
            family = 4 if held[0] != claim.first else 6
            now = (claim.first, claim.second)[family == 6]
            what = f"holds {held[family == 6]} since it was granted and cannot be given {now}"
            cure = "Write what the ledger holds, or leave the row out: a grant is for ever; a move is a planned renumbering."
            mistakes.append(Mistake(claim.place(family), None, None, "JB1354", claim.key, what, cure))
            del claims[claim.name]
    _derive_areas(plan, claims, books)
    of_shard: dict[str, list[Claim]] = {}
    for claim in claims.values():
        of_shard.setdefault(claim.shard, []).append(claim)
    supernets = plan.addressing.supernets
    supernet = addressing.parse(supernets.ipv4, 4), addressing.parse(supernets.ipv6, 6)
    context = _Context(claims, of_shard, books, supernet)
    provinces = [(NATION, "province", key, _blocks(grant)) for key, grant in books[NATION].of("province").items()]
    mistakes += _apart(claims, provinces)
    largest_first = sorted(of_shard, key=lambda shard: -len(of_shard[shard]))
    for found in work.spread(_hold, context, largest_first):
        mistakes += found
    return books, new, mistakes


def _renumbered(book: Ledger) -> dict[Key, list[ledgers.Grant]]:
    """Key → the grants that it has got since its first, by renumbering."""
    found: dict[Key, list[ledgers.Grant]] = {}
    for (kind, key), grant in book.grants.items():
        if "@" in key:
            found.setdefault((kind, key.partition("@")[0]), []).append(grant)
    return found


def _derive_areas(plan: Plan, claims: Claims, books: Mapping[str, Ledger]) -> None:
    """The IPv6 blocks of county size follow from the zones in them, where no row and no grant gives them."""
    county = plan.addressing.ipv6.county
    step = 128 - county
    for claim in list(claims.values()):
        if claim.kind not in ("zone", "infra") or claim.holders is None or claim.blocks[1] is None:
            continue
        kind, area = claim.holders[1]
        if area != ANY and books[claim.shard].get(kind, area) is None:
            block = (claim.blocks[1][0] >> step << step, county)
            second = addressing.write(block, 6)
            books[claim.shard].put(kind, area, NONE, second)
            derived = msgspec.structs.replace(
                claim, kind=kind, key=area, first=NONE, second=second, blocks=(None, block),
                holders=(claim.holders[0], claim.holders[0]), columns=(claim.columns[1], claim.columns[1]),
            )  # fmt: skip
            claims[derived.name] = derived


def _blocks(grant: ledgers.Grant) -> Pair:
    first, second = grant
    return (
        None if first == NONE else addressing.parse(first, 4),
        None if second == NONE else addressing.parse(second, 6),
    )


Entry = tuple[str, str, str, Pair]


def _hold(context: _Context, shard: str) -> list[Mistake]:
    """Whether every claim of a province lies where it must, and on nothing that another key has."""
    claims, book = context.claims, context.books[shard]
    parsed: dict[Key, Pair] = {}
    for kind in ("block", "infra", "zone", "loop", "link", "host", "svc"):
        for key, grant in book.of(kind).items():
            claim = claims.get((shard, kind, key))
            parsed[kind, key] = claim.blocks if claim else _blocks(grant)

    def entries(*kinds: str, four: bool = True, six: bool = True) -> list[Entry]:
        return [
            (shard, kind, key, (pair[0] if four else None, pair[1] if six else None))
            for kind in kinds
            for key in book.of(kind)
            for pair in [parsed[kind, key]]
        ]

    # A block of county size lies in one of a unit, and a unit's may be anywhere in the province.
    lengths = sorted({pair[1][1] for (kind, _), pair in parsed.items() if kind == "block" and pair[1]})
    found: list[Mistake] = []
    for length in lengths:
        found += _apart(
            claims, [entry for entry in entries("block", four=False) if entry[3][1] and entry[3][1][1] == length]
        )
    found += _apart(claims, entries("block", six=False))
    found += _apart(claims, entries("zone", "infra", six=False))
    found += _apart(claims, entries("zone", four=False))
    found += _apart(claims, entries("loop", "link"))
    found += _apart(claims, entries("host", "svc"))
    found += _unique(claims, shard, book)
    memory: dict[tuple[Key, int], list[Block]] = {(SUPERNET, 4): [], (SUPERNET, 6): []}
    for family in (4, 6):
        outer = context.supernet[family == 6]
        memory[SUPERNET, family] = [outer] if outer else []
    for claim in context.of_shard[shard]:
        if claim.holders is None:
            continue
        for family in (4, 6):
            block, holder = claim.blocks[family == 6], claim.holders[family == 6]
            if block is None:
                continue
            held = memory.get((holder, family))
            if held is None:
                where = context.books[NATION] if holder[0] == "province" else book
                held = memory[holder, family] = held_by(where, *holder, family)
            if not any(addressing.contains(outer, block, family) for outer in held):
                found.append(_outside(claim, family, holder[1], held))
    return found


def held_by(book: Ledger, kind: str, key: str, family: int) -> list[Block]:
    """Every block under a key of a family; of `ANY`, every block of its kind."""
    if key == ANY:
        values = [grant[family == 6] for grant in book.of(kind).values()]
        return [addressing.parse(value, family) for value in values if value != NONE]
    return blocks_of(book, kind, key, family)


def _outside(claim: Claim, family: int, owner: str, held: list[Block]) -> Mistake:
    text = (claim.first, claim.second)[family == 6]
    if not held:
        what = f"{text} lies in no block: {owner} has none for IPv{family}"
        cure = "Add its row to the sheet 地址块, or import that sheet first."
        return Mistake(claim.place(family), None, None, "JB1356", claim.key, what, cure)
    listed = ", ".join(addressing.write(block, family) for block in held)
    what = f"{text} lies outside {listed} of {owner}"
    return Mistake(claim.place(family), None, None, "JB1352", claim.key, what, f"Give it a value inside {listed}.")


def _apart(claims: Claims, entries: Iterable[Entry]) -> list[Mistake]:
    """Which claims share an address with another key."""
    listed = list(entries)
    found: list[Mistake] = []
    for family in (4, 6):
        bits = addressing.BITS[family]
        spans = []
        for shard, kind, key, pair in listed:
            block = pair[family == 6]
            if block is not None:
                spans.append((block[0], block[0] + (1 << (bits - block[1])), (shard, kind, key), block))
        spans.sort()
        widest = spans[0] if spans else None
        for span in spans[1:]:
            assert widest is not None
            if span[0] < widest[1]:
                found += _overlap(claims, span[2:], widest[2:], family)
            if span[1] > widest[1]:
                widest = span
    return found


def _overlap(
    claims: Claims, one: tuple[tuple[str, str, str], Block], other: tuple[tuple[str, str, str], Block], family: int
) -> list[Mistake]:
    if one[0] not in claims:
        one, other = other, one
    claim, against = claims.get(one[0]), claims.get(other[0])
    if claim is None:  # the ledger with itself; not for an import to tell
        return []
    where = against.place(family) if against else "the ledger"
    text = (claim.first, claim.second)[family == 6]
    what = f"{text} overlaps {addressing.write(other[1], family)} of {other[0][2]} ({where})"
    cure = "Correct one of the two, or leave the row out and let the ledger choose."
    return [Mistake(claim.place(family), None, None, "JB1353", claim.key, what, cure)]


def _unique(claims: Claims, shard: str, book: Ledger) -> list[Mistake]:
    """AS numbers, and labels under the same region, that two keys would have."""
    found = []
    for kind in ("asn", "label"):
        seen: dict[str, str] = {}
        for key, grant in book.of(kind).items():
            value = grant[0] if kind == "asn" else f"{grant[0]} under {grant[1]}"
            other = seen.setdefault(value, key)
            claim = claims.get((shard, kind, key)) or claims.get((shard, kind, other))
            if other != key and claim:
                what = f"{value} is that of {other if claim.key == key else key}"
                cure = "Give each its own, or leave the cell empty and let the ledger choose."
                found.append(Mistake(claim.place(), None, None, "JB1353", claim.key, what, cure))
    return found
