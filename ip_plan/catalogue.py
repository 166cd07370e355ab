"""The service catalogue: every system, database and flow of the source documents, and what becomes of each here.

`catalogue.yml` has the entries, `tables.yml` the tables of their schemas and what the flows carry. Both are facts of the program, as
the prohibitions are: a plan says where they stand and who reaches them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import msgspec

from ground.mistake import Mistake, Mistakes
from ip_plan import source
from ip_plan.network import Level
from ip_plan.schema import ServiceFile
from ip_plan.source import Document

State = Literal["application-running", "database-skeleton", "configurable", "not-infrastructure"]
Type = Literal["text", "date", "boolean", "timestamptz", "jsonb", "numeric"]


class Title(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The same words twice."""

    zh: str
    en: str


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One system (SYS-), database (DB-) or flow (FL-); the keys are explained at the top of catalogue.yml."""

    id: str
    title: Title
    clause: str
    state: State
    at: dict[Level, tuple[str, ...]] = {}
    duty: str = ""
    service: str = ""
    schema: str = ""
    by: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()
    plan: str = ""
    shown: str = ""
    reason: str = ""
    note: str = ""


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key table of a schema."""

    key: tuple[str, ...]
    columns: dict[str, Type]
    """Name → type, in their order."""
    leaves: tuple[str, ...] = ()
    """The columns that may leave production; empty: the table stays."""
    from_: str = msgspec.field(default="", name="from")
    """`schema.table` whose rows fill this one as they come."""
    where: str = ""
    """Which of them: a condition on the columns of `from`."""
    addressed: str = ""
    """The column that names the region a row is for: it travels only to where that region is served, level by level."""

    @property
    def outside(self) -> Table:
        """The same table as it stands outside production: what leaves, and nothing else."""
        columns = {name: kind for name, kind in self.columns.items() if name in self.leaves}
        return msgspec.structs.replace(self, columns=columns)


class Entrance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How rows of a table of the exchange zone come into production (FL-07)."""

    to: str
    """`schema.table` of production."""
    released: Literal["review", "second-person"]
    """By the recorded review of each row, or as a whole by another person than the one who asked for it (S3 四(二)1, 三(二)2)."""
    checks: dict[str, str]
    """What is wrong with a row → the condition that holds where it is not."""


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may be asked of the exchange zone: one row of a table of it, results only (S3 四(一)2)."""

    table: str
    """`schema.table`."""
    by: tuple[str, ...]
    """The columns that are given to ask by; with the region they tell the row."""
    gives: tuple[str, ...]
    """The columns of the answer."""


class Tables(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """tables.yml as values."""

    stays: tuple[str, ...]
    flows: dict[str, tuple[str, ...]]
    """Flow of the catalogue → the schemas, or single tables (`schema.table`), that it carries."""
    down: dict[str, tuple[str, ...]]
    """Flow → what it carries from a higher level to a lower one, where `flows` says what goes up."""
    entrances: dict[str, dict[str, Entrance]]
    """Flow → table (`schema.table`) of the exchange zone → how its rows come into production."""
    requests: dict[str, Question]
    """What outside bodies may ask online, by name."""
    queries: dict[str, Question]
    """What people may ask at a terminal, by name: not by the key of a row alone."""
    schemas: dict[str, dict[str, Table]]
    """Schema → its tables by name."""

    def described(self, asked: Mapping[str, Question]) -> dict[str, dict[str, Any]]:
        """Questions as the program that answers them is told: name → `table`, `by` (column → type), `gives`."""
        found = {}
        for name, each in asked.items():
            schema, _, table = each.table.partition(".")
            kinds = self.schemas[schema][table].columns
            by = {column: kinds[column] for column in each.by}
            found[name] = {"table": each.table, "by": by, "gives": each.gives}
        return found

    def carried(self, flow: str, *, down: bool) -> tuple[tuple[str, str], ...]:
        """The tables (schema, name) that a flow carries, in order; `down`: from a higher level to a lower one."""
        listed = [name.partition(".") for name in (self.down if down else self.flows).get(flow, ())]
        return tuple(
            (schema, table) for schema, _, name in listed for table in ((name,) if name else self.schemas[schema])
        )


class Catalogue(msgspec.Struct, frozen=True):
    """The entries by id, in their order, and the tables."""

    entries: dict[str, Entry]
    tables: Tables

    def schemas(self, levels: Sequence[str], zone: str) -> tuple[str, ...]:
        """The schemas that a centre of these levels keeps in `zone` for itself."""
        return tuple(
            entry.schema
            for entry in self.entries.values()
            if entry.schema and any(zone in entry.at.get(level, ()) for level in levels)  # type: ignore[call-overload]
        )

    def find(self, id: str) -> Entry:
        """The entry of that id. Raises Mistakes (JB1502)."""
        if id not in self.entries:
            cure = "Leave the id out to see all of them."
            raise Mistakes([Mistake("", None, None, "JB1502", id, "no entry of the catalogue has this id", cure)])
        return self.entries[id]


@cache
def shipped() -> Catalogue:
    """The catalogue of the source documents."""
    folder = files("ip_plan")
    return read((folder / "catalogue.yml").read_bytes(), (folder / "tables.yml").read_bytes(), "ip_plan")


def read(entries: bytes, tables: bytes, folder: str = "") -> Catalogue:
    """A catalogue from the bytes of its two files. Raises Mistakes (JB1001–1005, JB1501) with every mistake in them."""
    mistakes: list[Mistake] = []
    documents = []
    for data, name in ((entries, "catalogue.yml"), (tables, "tables.yml")):
        document, wrong = source.document(data, f"{folder}/{name}" if folder else name)
        mistakes += wrong
        documents.append(document)
    listed, described = documents
    if listed is None or described is None or mistakes:
        raise Mistakes(mistakes)
    try:
        known = msgspec.convert(described.value, Tables)
    except msgspec.ValidationError as error:
        raise Mistakes([_wrong(described, (), "", str(error))]) from None
    found: dict[str, Entry] = {}
    places: dict[str, int] = {}
    for index, row in enumerate(listed.value if isinstance(listed.value, list) else []):
        name = str(row.get("id", index)) if isinstance(row, dict) else str(index)
        try:
            entry = msgspec.convert(row, Entry)
        except msgspec.ValidationError as error:
            mistakes.append(_wrong(listed, (index,), name, str(error)))
            continue
        if entry.id in found:
            mistakes.append(_wrong(listed, (index, "id"), name, "this id stands twice"))
        found[entry.id], places[entry.id] = entry, index
    mistakes += [
        _wrong(listed, (places[entry.id],), entry.id, what)
        for entry in found.values()
        for what in _faults(entry, found, known)
    ]
    mistakes += [_wrong(described, path, name, what) for path, name, what in _table_faults(known, found)]
    if mistakes:
        raise Mistakes(mistakes)
    return Catalogue(found, known)


def told(entry: Entry, known: Catalogue, services: Mapping[str, ServiceFile]) -> dict[str, str]:
    """What people read of an entry, in order: every key that says something, with the ports of its service and its tables."""
    ports = services[entry.service].ports if entry.service in services else ()
    tables = known.tables.schemas.get(entry.schema, {})
    carried = (*known.tables.flows.get(entry.id, ()), *known.tables.down.get(entry.id, ()))
    entering = (f"{name} to {each.to}" for name, each in known.tables.entrances.get(entry.id, {}).items())
    said = {
        "id": entry.id,
        "title": f"{entry.title.zh}  {entry.title.en}",
        "clause": entry.clause,
        "at": "; ".join(f"{level}: {', '.join(zones) or '-'}" for level, zones in entry.at.items()),
        "state": entry.state,
        "duty": entry.duty,
        "service": " ".join((entry.service, *ports)),
        "schema": entry.schema and f"{entry.schema}: {', '.join(tables)}",
        "carries": ", ".join((*carried, *entering)),
        "by": ", ".join(entry.by),
        "rows": ", ".join(entry.rows),
        "plan": entry.plan,
        "shown": entry.shown,
        "reason": entry.reason,
        "note": entry.note,
    }
    return {key: value for key, value in said.items() if value}


NEEDS: dict[State, tuple[str, ...]] = {
    "application-running": ("shown",),
    "database-skeleton": ("schema", "by"),
    "configurable": ("plan",),
    "not-infrastructure": ("reason",),
}
"""State → the keys of which one has to say what it rests on."""


def _faults(entry: Entry, known: dict[str, Entry], tables: Tables) -> list[str]:
    faults = [f"`by` names {other}, which is no entry" for other in entry.by if other not in known]
    if not any(getattr(entry, key) for key in NEEDS[entry.state]):
        faults.append(f"an entry that is {entry.state} needs `{'` or `'.join(NEEDS[entry.state])}`")
    if entry.schema and entry.schema not in tables.schemas:
        faults.append(f"the schema {entry.schema} has no tables")
    return faults


def _table_faults(tables: Tables, known: dict[str, Entry]) -> list[tuple[tuple[Any, ...], str, str]]:
    faults: list[tuple[tuple[Any, ...], str, str]] = []
    every = {f"{schema}.{name}": table for schema, listed in tables.schemas.items() for name, table in listed.items()}
    for key, lists in (("flows", tables.flows), ("down", tables.down)):
        for flow, carried in lists.items():
            unknown = [name for name in carried if name not in every and name not in tables.schemas]
            if unknown or flow not in known:
                faults.append(((key, flow), flow, f"unknown: {', '.join(unknown) or 'the flow'}"))
    for flow, entrances in tables.entrances.items():
        for name, entrance in entrances.items():
            path, there, here = ("entrances", flow, name), every.get(entrance.to), every.get(name)
            if flow not in known or there is None or here is None:
                faults.append((path, name, "the flow, this table, or the one it leads to is unknown"))
            elif there.key != here.key or not entrance.checks:
                faults.append((path, name, f"it has no checks, or another key than {entrance.to}"))
    inside = {entry.schema for entry in known.values() for zones in entry.at.values() if "production" in zones}
    for key, questions in (("requests", tables.requests), ("queries", tables.queries)):
        for asked, question in questions.items():
            held = every.get(question.table)
            given = () if held is None else _given(question.table.partition(".")[0] in inside, held)
            if lacking := sorted({"region", *question.by, *question.gives} - (set(given) - set(tables.stays))):
                what = f"{question.table} does not give {', '.join(lacking)} outside production"
                faults.append(((key, asked), asked, what))
            elif held and set(held.key) - {"region", *question.by}:
                what = f"what it is asked by does not tell one row of {question.table}"
                faults.append(((key, asked), asked, what))
            elif held and key == "queries" and not set(question.by) - set(held.key):
                faults.append(((key, asked), asked, "whoever has the number alone would be answered"))
    owned = {entry.schema for entry in known.values()}
    for schema, listed in tables.schemas.items():
        if schema not in owned:
            faults.append((("schemas", schema), schema, "no entry of the catalogue has this schema"))
        for name, table in listed.items():
            path, full = ("schemas", schema, name), f"{schema}.{name}"
            lacking = [column for column in (*table.key, *table.leaves) if column not in table.columns]
            if lacking:
                faults.append((path, full, f"no such column: {', '.join(lacking)}"))
            if table.key[:1] != ("region",):
                faults.append((path, full, "the key does not begin with the region"))
            if kept := [column for column in table.leaves if column in tables.stays]:
                faults.append((path, full, f"{', '.join(kept)} may not leave production"))
            # Changes travel by their key (replica identity), so it has to be among what leaves.
            if table.leaves and set(table.key) - set(table.leaves):
                faults.append((path, full, "the key is not among what leaves"))
            # PostgreSQL filters changes by columns of the replica identity alone.
            if table.addressed and table.addressed not in table.key:
                faults.append((path, full, "the column that it is addressed by is not in its key"))
            if table.from_:
                filled = every.get(table.from_)
                given = () if filled is None else _given(table.from_.partition(".")[0] in inside, filled)
                if set(table.columns) - set(given):
                    faults.append((path, full, f"{table.from_} does not give all of its columns"))
    return faults


def _given(inside: bool, table: Table) -> Sequence[str]:
    """The columns that others may be filled with: what leaves where it stands in production, else all."""
    return table.leaves if inside else tuple(table.columns)


def _wrong(document: Document, path: tuple[Any, ...], subject: str, what: str) -> Mistake:
    cure = "Compare it with its neighbours; the keys are explained at the top of the file."
    return Mistake(document.file, *document.place(path), "JB1501", subject, what, cure)
