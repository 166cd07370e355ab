"""Answers what people ask about themselves at terminals: judged, answered with results only, and recorded, each in one transaction.

Runs on the database host of an exchange zone, with Python's standard library and psycopg2, on a socket of its own behind nginx, which
says whose certificate was shown. docs/exchange.md has the format.

What it may read, its role in the database may read: the columns of the questions, and no other.
"""

from __future__ import annotations

import datetime
import json
import secrets
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inventory.dialects import answering, upstream
from inventory.dialects.answering import Away, Postgres, Question, Refused, count, find, given, keep, kept, short

ASKED, ANSWERED = "jinbao-query-1", "jinbao-result-1"
RECORD = "service.query"
PATH = "/query"
LOOK_SECONDS = 20.0
"""How often the database is looked at while nobody asks, and the account written."""

CURES = {
    "JB2954": "Write the query as docs/exchange.md says, and send it whole.",
    "JB2955": "Ask one of the questions of docs/exchange.md.",
    "JB2956": "Give exactly what the question is asked by, each as text; days are written 2026-10-01.",
}
"""Code of a refusal → what whoever asks can do."""


class Window:
    """What one centre answers, and what it counts: the account of `status`."""

    def __init__(self, questions: Mapping[str, Question], database: Postgres) -> None:
        self.questions, self.database = questions, database
        self.counts: dict[str, Any] = {}

    def answer(self, terminal: str, data: bytes) -> tuple[int, dict[str, Any]]:
        """Status of HTTP and answer to what was asked at `terminal`. Raises Away, and nothing was done then."""
        now = datetime.datetime.now(datetime.UTC)
        said: dict[str, Any] = {"format": ANSWERED, "at": f"{now:%Y-%m-%dT%H:%M:%SZ}"}
        code, status, found, ask = "", 200, None, ""
        with self.database.begun() as cursor:
            try:
                ask, about = read(data)
                question = self.questions.get(ask)
                if question is None:
                    raise Refused("JB2955", f"nothing answers {short(ask)}; ask one of {', '.join(self.questions)}")
                found = find(cursor, self.database.region, question, given(question, about, "JB2956"))
                said |= {"result": "answered", "found": found is not None, "values": found or {}}
            except Refused as why:
                code, status = why.code, 422
                said |= {"result": "refused", "code": code, "reason": why.what, "cure": CURES[code]}
            entry = {
                "number": secrets.token_hex(16), "terminal": terminal, "asked": now, "ask": short(ask), "content": kept(data),
                "found": None if code else found is not None, "code": code,
            }  # fmt: skip
            keep(cursor, RECORD, self.database.region, entry)
        count(self.counts, terminal, code, now.timestamp())
        return status, said


def read(data: bytes) -> tuple[str, Mapping[str, Any]]:
    """What is asked, and about what. Raises Refused (JB2954)."""
    try:
        said = json.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, ValueError, RecursionError) as why:
        raise Refused("JB2954", f"the query is no JSON in UTF-8: {why}") from None
    if not isinstance(said, dict) or said.get("format") != ASKED or set(said) != {"format", "ask", "about"}:
        raise Refused("JB2954", f"it is not of the form {ASKED} with the keys about, ask, format")
    if not isinstance(said["ask"], str) or not isinstance(said["about"], dict):
        raise Refused("JB2954", "`ask` is text, and `about` is an object")
    return said["ask"], said["about"]


class Server(upstream.Server):
    """The service on its socket. `<state>/status.json` says when it last went well, and what was counted."""

    def __init__(self, path: str, window: Window, state: Path) -> None:
        self.window, self.file = window, state / "status.json"
        self.status: dict[str, Any] = answering.read(self.file, {})
        window.counts = self.status.get("terminals", {})
        self.looked = 0.0
        super().__init__(path, Handler)

    def service_actions(self) -> None:
        """Between queries: look at the database now and then."""
        if time.time() - self.looked < LOOK_SECONDS:
            return
        try:
            with self.window.database.begun():
                self.told("")
        except Away as why:
            self.told(str(why))

    def told(self, trouble: str) -> None:
        """Note how it went."""
        self.looked = time.time()
        self.status |= {"trouble": trouble, "run": self.looked, "terminals": self.window.counts}
        self.status |= {} if trouble else {"good": self.looked}
        answering.write(self.file, self.status)
        if trouble:
            print(trouble, flush=True)


class Handler(upstream.Handler):
    """One query."""

    server: Server

    def do_POST(self) -> None:
        """Answer it."""
        said = self.said()
        if said is None:
            return
        try:
            status, answer = self.server.window.answer(self.headers.get("X-Terminal", ""), said)
        except Away as why:
            self.server.told(str(why))
            return self.reply(503, b"")
        self.reply(status, json.dumps(answer, ensure_ascii=False).encode() + b"\n")


def main(folder: Path, state: Path, path: str) -> None:
    """Serve as `<folder>/query.json` says, on the socket at `path`."""
    said = json.loads((folder / "query.json").read_text("utf-8"))
    window = Window(answering.questions(said["questions"]), Postgres(said["region"], said["database"]))
    with Server(path, window, state) as server:
        server.serve_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
