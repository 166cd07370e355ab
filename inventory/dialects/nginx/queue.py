"""Holds what outside bodies ask until the exchange zone fetches it, and hands its answer back to whoever waits for it.

Runs on the host of the external zone behind nginx, which says whose certificate was shown, with Python's standard library on a socket
of its own. It opens no connection and understands nothing of what it holds: requests are judged in the exchange zone alone.

    POST /ask       of a body: the request; X-Body and Signature beside it. Waits for the answer, for ten seconds at most.
    POST /fetch     of the exchange zone: answers, `[{"ticket", "status", "answer"}]`. Waits until somebody asks, and returns
                    `[{"ticket", "body", "request", "signature"}]`, the request in base64.
"""

from __future__ import annotations

import base64
import collections
import json
import secrets
import socketserver
import sys
import threading
from dataclasses import dataclass, field
from typing import Any

from inventory.dialects import upstream

ANSWER_SECONDS = 10.0
"""How long a body waits."""
FETCH_SECONDS = 20.0
"""How long the exchange zone waits for somebody to ask."""
BATCH = 16
"""The most that it fetches at once."""


@dataclass(eq=False)
class Asked:
    """One request that waits."""

    body: str
    request: bytes
    signature: str
    ticket: str = field(default_factory=lambda: secrets.token_hex(16))
    status: int = 0
    """Of its answer; 0: there is none yet."""
    answer: bytes = b""


class Queue:
    """What waits to be fetched, in order, and what waits to be answered."""

    def __init__(self) -> None:
        self.turn = threading.Condition()
        self.waiting: collections.deque[Asked] = collections.deque()
        self.fetched: dict[str, Asked] = {}

    def ask(self, asked: Asked, seconds: float) -> bool:
        """Wait for the answer; False where none came in time, and none is waited for any longer."""
        with self.turn:
            self.waiting.append(asked)
            self.turn.notify_all()
            done = self.turn.wait_for(lambda: asked.status != 0, seconds)
            if asked in self.waiting:
                self.waiting.remove(asked)
            self.fetched.pop(asked.ticket, None)
            return done

    def fetch(self, seconds: float, most: int) -> list[Asked]:
        """What is asked: at once where there is something, else as soon as there is, and nothing where nobody asks in time."""
        with self.turn:
            self.turn.wait_for(lambda: bool(self.waiting), seconds)
            taken = [self.waiting.popleft() for _ in range(min(most, len(self.waiting)))]
            self.fetched |= {each.ticket: each for each in taken}
            return taken

    def answer(self, ticket: str, status: int, answer: bytes) -> None:
        """Hand an answer to whoever waits for it, if anybody still does."""
        with self.turn:
            asked = self.fetched.get(ticket)
            if asked is not None:
                asked.status, asked.answer = status, answer
                self.turn.notify_all()


class Server(socketserver.ThreadingMixIn, upstream.Server):
    """The queue on a socket; each that waits has a thread."""

    daemon_threads = True

    def __init__(
        self, path: str, queue: Queue, answer_seconds: float = ANSWER_SECONDS, fetch_seconds: float = FETCH_SECONDS
    ) -> None:
        self.queue, self.answer_seconds, self.fetch_seconds = queue, answer_seconds, fetch_seconds
        super().__init__(path, Handler)


class Handler(upstream.Handler):
    """One request of nginx."""

    server: Server

    def do_POST(self) -> None:
        """Ask or fetch."""
        said = self.said()
        if said is None:
            return None
        if self.path == "/ask":
            asked = Asked(self.headers.get("X-Body", ""), said, self.headers.get("Signature", ""))
            done = self.server.queue.ask(asked, self.server.answer_seconds)
            return self.reply(asked.status if done else 504, asked.answer)
        if self.path == "/fetch":
            return self.fetch(said)
        return self.reply(404, b"")

    def fetch(self, said: bytes) -> None:
        """Give out the answers, then what is asked."""
        for each in json.loads(said or b"[]"):
            answer = json.dumps(each["answer"], ensure_ascii=False).encode() + b"\n"
            self.server.queue.answer(each["ticket"], int(each["status"]), answer)
        listed: list[dict[str, Any]] = [
            {"ticket": each.ticket, "body": each.body, "request": base64.b64encode(each.request).decode(),
             "signature": each.signature}
            for each in self.server.queue.fetch(self.server.fetch_seconds, BATCH)
        ]  # fmt: skip
        self.reply(200, json.dumps(listed).encode())


def main(path: str) -> None:
    """Serve on the socket at `path`, which nginx's group may use."""
    with Server(path, Queue()) as server:
        server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1])
