"""What the query program makes of what it is sent: nothing is looked up that is not asked as agreed, and all of it is recorded."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.dialects import query as dialect
from inventory.dialects.answering import Away, Postgres, Refused, questions
from inventory.dialects.query import query
from ip_plan import catalogue
from tests.inventory.desk.test_queue import Wire

TABLES = catalogue.shipped().tables


class Cursor:
    """A database that finds nobody, and keeps what was done."""

    def __init__(self) -> None:
        self.done: list[tuple[str, list[Any]]] = []

    def execute(self, line: str, values: list[Any]) -> None:
        self.done.append((line, values))

    def fetchone(self) -> None:
        return None


class Books(Postgres):
    """The database; `away`: it does not answer."""

    def __init__(self) -> None:
        super().__init__("640100", "jinbao")
        self.cursor, self.away = Cursor(), False

    @contextlib.contextmanager
    def begun(self) -> Iterator[Any]:
        if self.away:
            raise Away("the database does not answer: it was ended")
        yield self.cursor


def window() -> query.Window:
    return query.Window(questions(TABLES.described(TABLES.queries)), Books())


@given(
    st.binary(max_size=300)
    | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(lambda x: json.dumps(x).encode())
)
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with pytest.raises(Refused, match="JB2954"):
        query.read(data)


@given(
    st.sampled_from([*TABLES.queries, "other"]),
    st.dictionaries(
        st.sampled_from(["person", "name", "kind", "born", "account"]), st.text(max_size=20) | st.integers()
    ),
)
def test_whatever_is_asked_no_line_of_sql_has_a_word_of_it(ask: str, about: dict[str, Any]) -> None:
    asked = window()
    data = json.dumps({"format": query.ASKED, "ask": ask, "about": about}).encode()
    _, said = asked.answer("640100-accs1", data)
    lines = asked.database.cursor.done  # type: ignore[attr-defined]
    known = {line for line, _ in lines if line.startswith("select")}
    looked = [values for line, values in lines if line.startswith("select")]
    assert len(known) == (said["result"] == "answered") and lines[-1][0].startswith("insert into service.query")
    if looked:
        by = TABLES.queries[ask].by
        assert looked == [["640100", *(about[column] for column in by)]] and set(about) == set(by)


def test_no_question_gives_what_stays_or_is_asked_by_a_number_alone() -> None:
    for each in TABLES.queries.values():
        schema, _, table = each.table.partition(".")
        assert not set(each.gives) & {*TABLES.stays, "name", "person"} and not set(each.by) & set(TABLES.stays)
        assert set(each.by) - set(TABLES.schemas[schema][table].key)


def test_codes_of_refusals_are_each_said_once() -> None:
    assert {*dialect.REFUSALS, *query.CURES} == {f"JB29{number}" for number in range(50, 57)}


def test_the_account_tells_when_the_database_is_away_and_when_it_is_back(tmp_path: Path) -> None:
    asked, path = window(), tmp_path / "query"
    with query.Server(str(path), asked, tmp_path) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            asked.database.away = True  # type: ignore[attr-defined]
            assert post(path, b"{}")[0] == 503
            assert "was ended" in json.loads((tmp_path / "status.json").read_text())["trouble"]
            asked.database.away = False  # type: ignore[attr-defined]
            status, said = post(path, b"{}")
            assert (status, said["code"]) == (422, "JB2954")
            server.looked = 0.0
            while (account := json.loads((tmp_path / "status.json").read_text()))["trouble"]:
                pass
            assert account["terminals"] == {"640100-accs1": {"answered": 0, "refused": {"JB2954": 1}} | kept(account)}
            assert account["good"] == account["run"]
        finally:
            server.shutdown()
            thread.join()


def kept(account: dict[str, Any]) -> dict[str, Any]:
    return {"last": account["terminals"]["640100-accs1"]["last"]}


def post(path: Path, data: bytes) -> tuple[int, dict[str, Any]]:
    wire: http.client.HTTPConnection = Wire(path)
    wire.request("POST", query.PATH, data, {"X-Terminal": "640100-accs1"})
    answer = wire.getresponse()
    said = answer.read()
    wire.close()
    return answer.status, json.loads(said) if said else {}
