"""What the programs share that answer others from the database of an exchange zone: refusals, questions, transactions, their account.

Lies beside each program on its host (`program.py`), with Python's standard library and psycopg2.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TEXT_LENGTH = 200


class Refused(Exception):
    """Why something is not answered or taken in."""

    def __init__(self, code: str, what: str) -> None:
        self.code, self.what = code, what
        super().__init__(f"{code}  {what}")


class Away(Exception):
    """Something that the program stands on does not answer: nothing is judged, and nothing is said."""


@dataclass(frozen=True)
class Question:
    """What may be asked: one row of one table."""

    table: str
    by: Mapping[str, str]
    """Column → type."""
    gives: tuple[str, ...]


def questions(said: Mapping[str, Mapping[str, Any]]) -> dict[str, Question]:
    """The questions of a program's settings, by name."""
    return {name: Question(each["table"], each["by"], tuple(each["gives"])) for name, each in said.items()}


def given(question: Question, about: Mapping[str, Any], code: str) -> list[str]:
    """The values that a question is asked by, in its order. Raises Refused with `code`."""
    if set(about) != set(question.by):
        said = ", ".join(map(short, sorted(about)[:20])) or "nothing"
        raise Refused(code, f"it is asked by {', '.join(question.by)}, and gives {said}")
    for name, kind in question.by.items():
        value = about[name]
        good = isinstance(value, str) and 0 < len(value) <= TEXT_LENGTH and value.isprintable()
        if good and kind == "date":
            try:
                good = datetime.date.fromisoformat(value).isoformat() == value
            except ValueError:
                good = False
        if not good:
            raise Refused(code, f"{name} is no {kind}: {short(value)}")
    return [about[name] for name in question.by]


def short(value: object) -> str:
    """What somebody wrote, short and without control characters."""
    text = ascii(value) if not isinstance(value, str) or not value.isprintable() else value
    return text if len(text) <= 60 else text[:57] + "…"


def kept(data: bytes) -> str:
    """What somebody sent, as a database takes it."""
    return data.decode("utf-8", "backslashreplace").replace("\0", "\\0")


class Postgres:
    """The database of this host over its socket, for the rows of one region."""

    def __init__(self, region: str, name: str) -> None:
        self.region, self.name = region, name
        self.connection: Any = None

    @contextlib.contextmanager
    def begun(self) -> Iterator[Any]:
        """A cursor in a transaction: all of it stays, or nothing. Raises Away."""
        import psycopg2

        try:
            cursor = self._cursor()
            with self.connection, cursor:
                yield cursor
        except psycopg2.Error as why:
            raise Away(f"the database does not answer: {str(why).strip()[-300:]}") from None

    def _cursor(self) -> Any:
        """A cursor in a transaction, on a new connection where there is none or the server ended it."""
        import psycopg2

        for last in (False, True):
            try:
                if self.connection is None or self.connection.closed:
                    self.connection = psycopg2.connect(dbname=self.name, connect_timeout=5)
                cursor = self.connection.cursor()
                cursor.execute("set local statement_timeout = '5s'")
                return cursor
            except psycopg2.Error:
                if self.connection is not None:
                    self.connection.close()
                if last:
                    raise


def find(cursor: Any, region: str, question: Question, values: Sequence[str]) -> dict[str, str] | None:
    """The row that a question is answered with; None where there is none.

    Names of tables and columns come from the catalogue, values from whoever asks.
    """
    columns = ", ".join(f"{name}::text" for name in question.gives)
    where = " and ".join(f"{name} = %s" for name in ("region", *question.by))
    cursor.execute(f"select {columns} from {question.table} where {where}", [region, *values])
    row = cursor.fetchone()
    return dict(zip(question.gives, row, strict=True)) if row else None


def keep(cursor: Any, table: str, region: str, values: Mapping[str, Any]) -> None:
    """Record what was asked in `table`, as a row of `region`."""
    names, marks = ", ".join(values), ", ".join(["%s"] * len(values))
    cursor.execute(f"insert into {table} (region, {names}) values (%s, {marks})", [region, *values.values()])


def read(path: Path, otherwise: Any) -> Any:
    """What `write` wrote; `otherwise` where there is nothing that can be read."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return otherwise


def write(path: Path, value: Any) -> None:
    """Write JSON: the whole, or nothing."""
    draft = path.with_name(f".{path.name}.part")
    draft.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", "utf-8")
    os.replace(draft, path)


def count(counts: dict[str, Any], who: str, code: str, at: float) -> None:
    """Count one answer to `who`, or its refusal."""
    mine = counts.setdefault(who, {"answered": 0, "refused": {}})
    if code:
        mine["refused"][code] = mine["refused"].get(code, 0) + 1
        mine["last"] = {"code": code, "at": at}
    else:
        mine["answered"] += 1
