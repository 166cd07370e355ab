"""Answers what outside bodies ask online: fetched from the front-end, judged, answered and recorded, each in one transaction.

Runs on the database host of an exchange zone, with Python's standard library, psycopg2 and `ssh-keygen`. It opens every connection
itself and believes nothing that the front-end says: a request carries the signature of its body. docs/exchange.md has the format.

What it may read, its role in the database may read: the columns of the questions, and no other.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import datetime
import http.client
import json
import os
import re
import secrets
import ssl
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from inventory.dialects import answering
from inventory.dialects.answering import Away, Postgres, Question, Refused, count, find, given, keep, kept, short, write

ASKED, ANSWERED = "jinbao-request-1", "jinbao-answer-1"
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
NONCE = re.compile(r"[0-9a-f]{32}")
TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
SIGNATURE = re.compile(r"[A-Za-z0-9+/=]{1,1024}")
KEYS = {"format", "id", "body", "time", "nonce", "ask", "about"}

CURES = {
    "JB2964": "Write the request as docs/exchange.md says, and send it whole.",
    "JB2965": "Name the body that the certificate was made for; every body asks for itself.",
    "JB2966": "Sign the bytes that are sent, with the key that the plan has of you, in the namespace jinbao-request-1.",
    "JB2967": "Set the clock of the sending host by a time service, and sign the request anew.",
    "JB2968": "Give every request an id and a nonce of its own; what came first was answered.",
    "JB2969": "Ask what was agreed for this body, or have the plan changed.",
    "JB2970": "Give exactly what the question is asked by, each as text; days are written 2026-10-01.",
}
"""Code of a refusal → what the body can do."""
STATUS = {"JB2966": 401, "JB2968": 409}
"""What HTTP says of a refusal, where it is not 422."""


@dataclass(frozen=True)
class Body:
    """What the plan allows a body."""

    id: str
    requests: tuple[str, ...]


@dataclass(frozen=True)
class Request:
    """What a body says that it asks."""

    id: str
    body: str
    time: str
    nonce: str
    ask: str
    about: Mapping[str, Any]


@dataclass(frozen=True)
class Entry:
    """What is recorded of one request."""

    number: str
    body: str
    request: str
    nonce: str
    asked: str
    received: datetime.datetime
    content: str
    signature: str
    code: str
    """Of its refusal; empty: it was answered."""
    answer: Mapping[str, Any]


# --- judging ---------------------------------------------------------------------------------------------------------


def read(data: bytes) -> Request:
    """Read a request. Raises Refused (JB2964)."""
    try:
        said = json.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, ValueError, RecursionError) as why:
        raise Refused("JB2964", f"the request is no JSON in UTF-8: {why}") from None
    if not isinstance(said, dict) or said.get("format") != ASKED or set(said) != KEYS:
        raise Refused("JB2964", f"it is not of the form {ASKED} with the keys {', '.join(sorted(KEYS))}")
    if not isinstance(said["about"], dict) or not all(isinstance(said[key], str) for key in KEYS - {"about"}):
        raise Refused("JB2964", "`about` is an object, and everything else is text")
    for key, form in (("id", ID), ("nonce", NONCE), ("time", TIME)):
        if not form.fullmatch(said[key]):
            raise Refused("JB2964", f"{key} is not written as agreed: {short(said[key])}")
    return Request(**{key: said[key] for key in KEYS - {"format"}})


def timely(said: str, now: datetime.datetime, window: float) -> None:
    """Whether a request was written now. Raises Refused (JB2964, JB2967)."""
    try:
        written = datetime.datetime.fromisoformat(said)
    except ValueError:
        raise Refused("JB2964", f"time is no moment: {said}") from None
    off = (written - now).total_seconds()
    if abs(off) > window:
        how = "behind" if off < 0 else "ahead of"
        what = f"its time {said} is {abs(off):.0f} s {how} the clock of this centre; {window:.0f} s are allowed"
        raise Refused("JB2967", what)


# --- the edges -------------------------------------------------------------------------------------------------------


class Page(Protocol):
    """One transaction of the database."""

    def before(self, body: str, request: str) -> str:
        """When a body's request of that id was answered; empty: it was not."""

    def find(self, question: Question, values: Sequence[str]) -> dict[str, str] | None:
        """The row that a question is answered with; None where there is none."""

    def keep(self, entry: Entry) -> None:
        """Record a request with its answer."""


class Books(Protocol):
    """The database of the exchange zone."""

    def page(self) -> contextlib.AbstractContextManager[Page]:
        """A transaction: all of it stays, or nothing. Raises Away."""


class Signers:
    """The keys of the bodies, in a file as `ssh-keygen -Y verify` reads it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def signed(self, body: str, data: bytes, signature: str) -> bool:
        """Whether `body` signed these bytes; `signature`: the base64 of an SSH signature."""
        if not SIGNATURE.fullmatch(signature):
            return False
        with tempfile.NamedTemporaryFile("w", suffix=".sig") as file:
            lines = "\n".join(textwrap.wrap(signature, 70))
            file.write(f"-----BEGIN SSH SIGNATURE-----\n{lines}\n-----END SSH SIGNATURE-----\n")
            file.flush()
            line = ["ssh-keygen", "-Y", "verify", "-f", str(self.path), "-I", body, "-n", ASKED, "-s", file.name]
            return subprocess.run(line, input=data, capture_output=True, check=False, timeout=10).returncode == 0


class Register:
    """The database of this host, with what may be read there and the table of what was asked."""

    def __init__(self, database: Postgres) -> None:
        self.database = database

    @contextlib.contextmanager
    def page(self) -> Iterator[Page]:
        with self.database.begun() as cursor:
            yield _Cursor(self.database.region, cursor)


class _Cursor:
    """The same within one transaction."""

    def __init__(self, region: str, cursor: Any) -> None:
        self.region, self.cursor = region, cursor

    def before(self, body: str, request: str) -> str:
        # One after another for each body, also where a second desk should run.
        self.cursor.execute("select pg_advisory_xact_lock(hashtext(%s))", [f"{self.region} {body}"])
        self.cursor.execute(
            "select received from outside.request where region = %s and body = %s and request = %s and code = ''",
            [self.region, body, request],
        )
        row = self.cursor.fetchone()
        return f"{row[0].astimezone(datetime.UTC):%Y-%m-%dT%H:%M:%SZ}" if row else ""

    def find(self, question: Question, values: Sequence[str]) -> dict[str, str] | None:
        return find(self.cursor, self.region, question, values)

    def keep(self, entry: Entry) -> None:
        values = {**vars(entry), "answer": json.dumps(entry.answer, ensure_ascii=False)}
        keep(self.cursor, "outside.request", self.region, values)


class Front:
    """The front-end, over TLS on which both sides show the certificates of their hosts."""

    def __init__(self, host: str, port: int, folder: Path) -> None:
        key = Path(os.environ.get("CREDENTIALS_DIRECTORY", folder)) / "server.key"  # what root alone may read
        context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(str(folder / "server.crt"), str(key))
        self.connection = http.client.HTTPSConnection(host, port, timeout=60, context=context)

    def exchange(self, answers: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Leave answers, and wait for what is asked; nothing where nobody asks for a while. Raises Away."""
        try:
            self.connection.request("POST", "/fetch", json.dumps(list(answers)).encode())
            reply = self.connection.getresponse()
            said = reply.read()
            if reply.status != 200:
                raise Away(f"the front-end says {reply.status}")
            return list(json.loads(said))
        except (OSError, http.client.HTTPException, ValueError, TypeError) as why:
            self.connection.close()
            raise Away(f"the front-end does not answer: {why}") from None


# --- one request -----------------------------------------------------------------------------------------------------


class Desk:
    """What one centre answers, and what it counts."""

    def __init__(
        self, bodies: Sequence[Body], questions: Mapping[str, Question], signers: Signers, books: Books, window: float,
        now: Callable[[], datetime.datetime] = lambda: datetime.datetime.now(datetime.UTC),
    ) -> None:  # fmt: skip
        self.bodies, self.questions = {body.id: body for body in bodies}, questions
        self.signers, self.books, self.window, self.now = signers, books, window, now
        self.nonces: dict[tuple[str, str], datetime.datetime] = {}
        """(body, nonce) → when it was used; kept as long as its time would still do."""
        self.counts: dict[str, Any] = {}

    def answer(self, shown: str, data: bytes, signature: str) -> tuple[int, dict[str, Any]]:
        """Status of HTTP and answer to what came in under the certificate of `shown`. Raises Away, and nothing was done then."""
        now = self.now()
        request = Request("", shown, "", "", "", {})
        said: dict[str, Any] = {"format": ANSWERED, "at": f"{now:%Y-%m-%dT%H:%M:%SZ}"}
        code, status = "", 200
        with self.books.page() as page:
            try:
                request = read(data)
                said |= {"id": request.id, "body": request.body}
                found = self._found(page, shown, request, data, signature, now)
                said |= {"result": "answered", "found": found is not None, "values": found or {}}
            except Refused as why:
                code, status = why.code, STATUS.get(why.code, 422)
                said |= {"result": "refused", "code": code, "reason": why.what, "cure": CURES[code]}
            body = shown if shown in self.bodies else ""
            page.keep(
                Entry(
                    secrets.token_hex(16), body, request.id, request.nonce, request.ask, now, kept(data),
                    signature if SIGNATURE.fullmatch(signature) else "", code, said,
                )
            )  # fmt: skip
        if not code:
            self.nonces[request.body, request.nonce] = now
        count(self.counts, body, code, now.timestamp())
        return status, said

    def _found(
        self, page: Page, shown: str, request: Request, data: bytes, signature: str, now: datetime.datetime
    ) -> dict[str, str] | None:
        body = self.bodies.get(shown)
        if body is None or request.body != shown:
            what = f"it is of the body {short(request.body)}, and the certificate is that of {short(shown) or 'none'}"
            raise Refused("JB2965", what)
        if not self.signers.signed(shown, data, signature):
            raise Refused("JB2966", f"the signature is not one of {shown} over what was sent")
        timely(request.time, now, self.window)
        question = self.questions.get(request.ask)
        if question is None or request.ask not in body.requests:
            raise Refused("JB2969", f"{short(request.ask)} is not agreed for {shown}")
        values = given(question, request.about, "JB2970")
        before = page.before(shown, request.id)
        if before:
            raise Refused("JB2968", f"the request {request.id} was asked before, and answered at {before}")
        self.nonces = {key: at for key, at in self.nonces.items() if (now - at).total_seconds() <= 2 * self.window}
        if (shown, request.nonce) in self.nonces:
            raise Refused("JB2968", f"the nonce {request.nonce} was used before")
        return page.find(question, values)


def serve(desk: Desk, front: Front, state: Path) -> None:
    """Fetch and answer for ever; `<state>/status.json` says when that last went well, and what was counted."""
    answers: list[dict[str, Any]] = []
    status: dict[str, Any] = answering.read(state / "status.json", {})
    desk.counts = status.get("bodies", {})
    while True:
        try:
            asked = front.exchange(answers)
            answers, trouble = answered(desk, asked)
        except Away as why:
            answers, trouble = [], str(why)
            time.sleep(1)
        now = time.time()
        status |= {"trouble": trouble, "run": now, "bodies": desk.counts} | ({} if trouble else {"good": now})
        write(state / "status.json", status)
        if trouble:
            print(trouble, flush=True)


def answered(desk: Desk, asked: Sequence[Mapping[str, str]]) -> tuple[list[dict[str, Any]], str]:
    """The answers to what was fetched, and what was wrong with the database; where nobody asked, it is looked at all the same."""
    answers: list[dict[str, Any]] = []
    trouble = ""
    try:
        if not asked:
            with desk.books.page():
                pass
    except Away as why:
        trouble = str(why)
    for each in asked:
        try:
            status, said = desk.answer(each["body"], _bytes(each["request"]), each["signature"])
        except Away as why:
            status, said, trouble = 503, {}, str(why)
        answers.append({"ticket": each["ticket"], "status": status, "answer": said})
    return answers, trouble


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""


def main(folder: Path, state: Path) -> None:
    """Serve as `<folder>/desk.json` says."""
    said = json.loads((folder / "desk.json").read_text("utf-8"))
    bodies = [Body(each["id"], tuple(each["requests"])) for each in said["bodies"]]
    books = Register(Postgres(said["region"], said["database"]))
    asked = answering.questions(said["requests"])
    desk = Desk(bodies, asked, Signers(folder / "signers"), books, said["window_seconds"])
    serve(desk, Front(said["host"], said["port"], folder), state)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
