"""Questions that a host asks a server by datagram, put to all hosts at once through their agents."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence

import msgspec

from monitoring.checks.crew import Crew


class Ask(msgspec.Struct, frozen=True):
    """One datagram: from the host's own address to a server."""

    source: str
    server: str
    port: int
    data: bytes


class Reply(msgspec.Struct, frozen=True):
    """What came back: the datagram, when the question left and when the answer was there (seconds of the asker's clock)."""

    data: bytes
    sent: float
    received: float


def ask(
    crew: Crew, questions: Mapping[str, Sequence[Ask]], timeout: float = 2.0
) -> tuple[dict[str, list[Reply | None]], dict[str, str]]:
    """Host → one reply a question (None: no answer); and host → why it could not be asked."""
    requests = {
        host: {
            "do": "exchange",
            "asks": [[a.source, a.server, a.port, base64.b64encode(a.data).decode()] for a in asks],
            "timeout": timeout,
            "tries": 2,
            "rate": 500,
        }
        for host, asks in questions.items()
        if asks
    }
    replies: dict[str, list[Reply | None]] = {host: [] for host, asks in questions.items() if not asks}
    absent: dict[str, str] = {}
    for host, reply in crew.ask(requests, seconds=30).items():
        if reply.said is None:
            absent[host] = reply.why
            continue
        replies[host] = [
            None if row is None else Reply(base64.b64decode(row[0]), row[1], row[2]) for row in reply.said["replies"]
        ]
    return replies, absent
