"""The plan's change table: administrative changes since the division data were made, applied row by row.

A change alters the division data that the plan reads, never a grant: a region that moved keeps its addresses and its name until
it is renumbered (see `Site.holder`). Where the data know of a change already, its row alters nothing but the key of the grants.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date

import msgspec

from ground.mistake import Mistake
from ip_plan.network import Network
from ip_plan.regions import Region, province_of
from ip_plan.schema import CutOver, DivisionChange, Merge, Move, Recode, Relocate, Rename, Renumber, Replace, Split
from ip_plan.source import Document

Rows = dict[str, Region]
_Wrong = Callable[[str, str, str, str], None]
"""(key of the change, code, what, cure)"""

_CODES = "Use a code of the division data as it stands after the rows above."


def apply(rows: Rows, changes: Sequence[DivisionChange], document: Document) -> tuple[Rows, list[Mistake]]:
    """The regions after every change in order, and what is wrong with the table (JB1360-JB1363), by its place in plan.yml."""
    found = dict(rows)
    mistakes: list[Mistake] = []
    for index, change in enumerate(changes):

        def wrong(
            key: str, code: str, what: str, cure: str, index: int = index, change: DivisionChange = change
        ) -> None:
            region = _subject(change, key, found)
            key = key.partition(":")[0]
            named = f"{found[region].name} ({region})" if region in found else region
            place = document.place(("changes", index, key))
            mistakes.append(Mistake(document.file, *place, code, named, what, cure))

        match change:
            case Recode():
                _recode(found, change, wrong)
            case Rename():
                if _known(found, change.region, "region", wrong):
                    found[change.region] = msgspec.structs.replace(found[change.region], name=change.name)
            case Move():
                _move(found, change.region, change.to, "to", wrong)
            case Merge():
                _merge(found, change, wrong)
            case Split():
                _split(found, change, wrong)
            case CutOver() | Relocate():
                _known(found, change.region, "region", wrong)
                going = [row for row in changes[:index] if isinstance(row, CutOver) and row.stage in ("both", "drain")]
                if any(row.region == change.region for row in going):
                    what = "a line of it is being cut over by another row already"
                    wrong("region", "JB1370", what, "Bring that one to `done` or `backed-out` first.")
            case Replace():
                again = [row for row in changes[:index] if isinstance(row, Replace) and row.serial == change.serial]
                if again:
                    what = f"the serial number {change.serial} is that of {again[0].device} already"
                    wrong("serial", "JB1369", what, "Read the number off the device again: each has one of its own.")
            case Renumber():
                for number, code in enumerate(change.regions):
                    _renumber(found, changes[:index], change, code, number, wrong)
    return found, mistakes


def _subject(change: DivisionChange, key: str, rows: Rows) -> str:
    match change:
        case Recode():
            return change.old if change.old in rows else change.new
        case Renumber():
            return key.partition(":")[2]
        case Replace():
            return change.device
    return change.region


def _renumber(
    rows: Rows, above: Sequence[DivisionChange], change: Renumber, code: str, number: int, wrong: _Wrong
) -> None:
    key = f"regions:{code}"
    if not _known(rows, code, key, wrong):
        return
    if rows[code].level not in ("county", "township"):
        what = f"a {rows[code].level} has a centre, whose addresses its whole branch is summed up in"
        wrong(key, "JB1364", what, "Renumber counties and townships; a centre's addresses stay.")
    going = any(isinstance(row, Renumber) and code in row.regions and row.stage != "released" for row in above)
    if going or code in change.regions[:number]:
        what = "is being renumbered by another row already" if going else "stands twice in the row"
        wrong(key, "JB1365", what, "Bring the first one to `released` before another begins.")


def keys(rows: Rows, changes: Sequence[DivisionChange]) -> dict[str, str]:
    """Region code → the code its grants stand under: the one under which it was first granted."""
    found = dict(zip(rows, rows, strict=True))
    recodes = [change for change in changes if isinstance(change, Recode)]
    for change in recodes:
        found[change.new] = found.pop(change.old, change.old)
    return {code: key for code, key in found.items() if code in rows} if recodes else found


class Moved(msgspec.Struct, frozen=True):
    """A region that keeps its addresses in another's block."""

    region: str
    name: str
    served_by: str
    holder: str
    """Region in whose blocks its addresses lie."""
    since: date | None
    """Of the row that moved it; None where the division data did."""
    sites: int


def moved(network: Network, changes: Sequence[DivisionChange]) -> list[Moved]:
    """The regions that moved and were not renumbered, topmost first in each, with how many sites they have."""
    since = {code: change.since for change in changes for code in _moves(change)}
    away = {site.region: site for site in network.sites.values() if site.holder}
    tops: dict[str, int] = {}
    for code in away:
        top = code
        while (parent := network.regions[top].parent) in away:
            top = parent
        tops[top] = tops.get(top, 0) + 1
    return [
        Moved(
            code, network.regions[code].name, away[code].parent.partition(":")[0], away[code].holder.partition(":")[0],
            since.get(code), count,
        )
        for code, count in sorted(tops.items())
    ]  # fmt: skip


def _moves(change: DivisionChange) -> list[str]:
    match change:
        case Move():
            return [change.region]
        case Split():
            return [change.region, *change.takes]
    return []


def _known(rows: Rows, code: str, key: str, wrong: _Wrong) -> bool:
    if code in rows:
        return True
    wrong(key, "JB1360", f"no region has the code {code} at this row of the table", _CODES)
    return False


def _below(rows: Rows, code: str) -> list[Region]:
    return [row for row in rows.values() if row.parent == code]


def _recode(rows: Rows, change: Recode, wrong: _Wrong) -> None:
    if change.old not in rows:  # the data are newer than the change
        if _known(rows, change.new, "new", wrong) and change.name:
            rows[change.new] = msgspec.structs.replace(rows[change.new], name=change.name)
        return
    if change.new in rows:
        what = f"the code {change.new} is that of {rows[change.new].name} already"
        wrong("new", "JB1362", what, "Give the region a code that no other has, or `merge` it into the other.")
        return
    row = rows.pop(change.old)
    rows[change.new] = msgspec.structs.replace(row, code=change.new, name=change.name or row.name)
    for child in _below(rows, change.old):
        rows[child.code] = msgspec.structs.replace(child, parent=change.new)


def _move(rows: Rows, code: str, to: str, key: str, wrong: _Wrong) -> None:
    if not (_known(rows, code, "region", wrong) and _known(rows, to, key, wrong)):
        return
    row, above = rows[code], rows[to]
    fits = {"county": ("prefecture", "province"), "township": ("county",)}
    if above.level not in fits.get(row.level, ()):
        allowed = " or ".join(fits.get(row.level, ())) or "nothing"
        what = f"a {row.level} cannot move below {above.name} ({to}), a {above.level}"
        wrong(key, "JB1361", what, f"A {row.level} can move below a {allowed}.")
        return
    own, other = province_of(rows, code), province_of(rows, to)
    if own is None or other is None or own.code != other.code:
        what = f"{above.name} ({to}) belongs to another province, whose ledger is another"
        cure = "Take it out of the division data there and add it here under a new code: it gets new addresses."
        wrong(key, "JB1363", what, cure)
        return
    rows[code] = msgspec.structs.replace(row, parent=to)


def _merge(rows: Rows, change: Merge, wrong: _Wrong) -> None:
    if not _known(rows, change.into, "into", wrong):
        return
    if change.region not in rows:  # the data are newer than the change
        return
    row, other = rows[change.region], rows[change.into]
    if row.level != other.level or row.code == other.code or row.level not in ("county", "township"):
        what = f"a {row.level} cannot be merged into {other.name} ({other.code}), a {other.level}"
        wrong("into", "JB1361", what, "Merge a county into another county, or a township into another township.")
        return
    for child in _below(rows, change.region):
        _move(rows, child.code, change.into, "into", wrong)
    if not _below(rows, change.region):
        del rows[change.region]
        if row.level == "township":
            rows[other.code] = msgspec.structs.replace(
                other, communities=other.communities + row.communities, villages=other.villages + row.villages
            )


def _split(rows: Rows, change: Split, wrong: _Wrong) -> None:
    taken = [code for code in change.takes if _known(rows, code, "takes", wrong)]
    if len(taken) < len(change.takes):
        return
    if change.region not in rows:
        from_ = {rows[code].parent for code in taken}
        parents = {rows[code].parent for code in from_ if code in rows}
        above = rows.get(next(iter(parents))) if len(parents) == 1 else None
        if above is None or any(rows[code].level != "township" for code in taken) or len(change.region) != 6:
            what = "a split makes a county of townships whose counties lie below one region"
            wrong("takes", "JB1361", what, "List townships of one city, and a code of 6 digits for the new county.")
            return
        rows[change.region] = Region(
            change.region, change.name, "county", above.code, "county", change.reading, 0, 0
        )  # fmt: skip
    for code in taken:
        _move(rows, code, change.region, "takes", wrong)
