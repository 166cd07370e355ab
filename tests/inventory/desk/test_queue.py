"""The queue of the front-end on its socket: what is asked comes out once, its answer goes to whoever waits, and nobody waits for ever."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from inventory.dialects.nginx.queue import Asked, Queue, Server


class Wire(http.client.HTTPConnection):
    """As nginx speaks to the queue."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=20)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self.path))


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Path]:
    """A queue in which nobody waits longer than a second."""
    path = tmp_path / "queue"
    with Server(str(path), Queue(), answer_seconds=1, fetch_seconds=1) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield path
        server.shutdown()
        thread.join()


def post(path: Path, where: str, data: bytes, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    connection = Wire(path)
    connection.request("POST", where, data, headers or {})
    reply = connection.getresponse()
    return reply.status, reply.read()


def fetch(path: Path, *answers: Any) -> list[dict[str, str]]:
    status, said = post(path, "/fetch", json.dumps(answers).encode())
    assert status == 200
    return list(json.loads(said))


def test_what_is_asked_comes_out_once_and_its_answer_goes_to_whoever_waits(wire: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        waiting = {
            body: pool.submit(post, wire, "/ask", body.encode(), {"X-Body": body, "Signature": f"s-{body}"})
            for body in ("bank1", "hospital1", "tax1")
        }
        taken: list[dict[str, str]] = []
        while len(taken) < 3:
            taken += fetch(wire)
        assert sorted(each["body"] for each in taken) == sorted(waiting)
        for each in taken:
            assert base64.b64decode(each["request"]).decode() == each["body"]
            assert each["signature"] == f"s-{each['body']}"
        fetch(wire, *({"ticket": each["ticket"], "status": 409, "answer": {"to": each["body"]}} for each in taken))
        for body, reply in waiting.items():
            status, said = reply.result()
            assert (status, json.loads(said)) == (409, {"to": body})


def test_nobody_waits_for_ever_and_an_answer_too_late_reaches_nobody(wire: Path) -> None:
    assert fetch(wire) == []
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(post, wire, "/ask", b"{}", {"X-Body": "bank1"})
        (taken,) = fetch(wire)
        assert waiting.result() == (504, b"")
    late = {"ticket": taken["ticket"], "status": 200, "answer": {}}
    assert fetch(wire, late, {"ticket": "none", "status": 200, "answer": {}}) == []
    assert post(wire, "/ask", b"{}", {"X-Body": "bank1"})[0] == 504  # nobody fetched it
    assert fetch(wire) == []


def test_what_is_cut_short_or_unknown_goes_nowhere(wire: Path) -> None:
    connection = Wire(wire)
    connection.connect()
    connection.sock.sendall(b"POST /ask HTTP/1.0\r\nX-Body: bank1\r\nContent-Length: 100\r\n\r\n{")
    connection.sock.shutdown(socket.SHUT_WR)
    assert connection.sock.recv(100).startswith(b"HTTP/1.0 400")
    assert post(wire, "/other", b"")[0] == 404
    assert fetch(wire) == []


def test_a_batch_is_bounded_and_in_order() -> None:
    queue = Queue()
    queue.waiting.extend(Asked("bank1", str(number).encode(), "") for number in range(20))
    assert [each.request for each in queue.fetch(0, 16)] == [str(number).encode() for number in range(16)]
    assert len(queue.fetch(0, 16)) == 4 and queue.fetch(0, 16) == []
