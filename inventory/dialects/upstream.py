"""A server on a socket of its own that nginx passes requests to. Lies beside each such program on its host (`program.py`)."""

from __future__ import annotations

import os
import socketserver
from http.server import BaseHTTPRequestHandler
from typing import Any

SAID_BYTES = 1_000_000


class Server(socketserver.UnixStreamServer):
    """Answers one request after the other; nginx keeps the number of those that wait small."""

    request_queue_size = 128

    def __init__(self, path: str, handler: type[Handler]) -> None:
        """Listen at `path`, which the group may use."""
        if os.path.exists(path):
            os.unlink(path)
        before = os.umask(0o007)
        super().__init__(path, handler)
        os.umask(before)


class Handler(BaseHTTPRequestHandler):
    """One request of nginx."""

    timeout = 60.0

    def said(self) -> bytes | None:
        """What it brings; None where that was not whole or too long, and is answered."""
        size = int(self.headers.get("Content-Length") or 0)
        if size > SAID_BYTES:
            self.reply(413, b"")
            return None
        said = self.rfile.read(size)
        if len(said) < size:
            self.reply(400, b"")
            return None
        return said

    def reply(self, status: int, content: bytes) -> None:
        """Answer, and end."""
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if content:  # nginx does not wait for the rest of what it puts in words of its own
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: nginx keeps the log."""
