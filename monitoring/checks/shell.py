"""One shell on a device, kept open for all that testinfra asks there: its own backends open a connection for each command."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

from ground.remote import Session


class Lost(Exception):
    """The device no longer answers, or never did; says why."""


class Shell:
    """What testinfra takes for a backend. Made by `shell`, which also ends it.

    Every command runs once: of a look that asks the same twice, both answers are of one moment.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.mark = f"--{secrets.token_hex(8)}"
        self.said: dict[str, Any] = {}
        self.lost = ""

    def run(self, command: str, *arguments: str, **_: object) -> Any:
        """Run one command line, with `arguments` quoted into it; a `CommandResult`. Raises Lost."""
        from testinfra.backend.base import BaseBackend, CommandResult

        line = BaseBackend.quote(command, *arguments)
        if line not in self.said:
            code, out, err = self._ask(line)
            self.said[line] = CommandResult(self, code, line.encode(), out, err)
        return self.said[line]

    def end(self, why: str) -> None:
        """Hang up, for the reason that every later question hears."""
        self.lost = why
        self.process.kill()

    def decode(self, data: bytes) -> str:
        """What a device wrote, as text."""
        return data.decode(errors="replace")

    def _ask(self, line: str) -> tuple[int, bytes, bytes]:
        asked = f"( {line}\n) </dev/null; printf '\\n{self.mark} %s\\n' $?; printf '\\n{self.mark}\\n' >&2\n"
        assert self.process.stdin and self.process.stdout and self.process.stderr
        if self.lost:
            raise Lost(self.lost)
        try:
            self.process.stdin.write(asked.encode())
            self.process.stdin.flush()
            out, code = self._until_mark(self.process.stdout)
            err, _ = self._until_mark(self.process.stderr)
        except (OSError, EOFError):
            self.lost = self.lost or self._last_words()
            raise Lost(self.lost) from None
        return int(code), out, err

    def _until_mark(self, stream: Any) -> tuple[bytes, bytes]:
        text, mark = b"", self.mark.encode()
        for line in stream:
            if line.startswith(mark):
                return text[:-1], line[len(mark) :]
            text += line
        raise EOFError

    def _last_words(self) -> str:
        """Why ssh ended. One that stays as a shared connection may hold stderr open: its end is not waited for."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(2)
        assert self.process.stderr
        os.set_blocking(self.process.stderr.fileno(), False)
        lines = (self.process.stderr.read() or b"").decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "the connection ended"


@contextlib.contextmanager
def shell(session: Session, device: str, seconds: float) -> Iterator[Shell]:
    """A shell on `device` for as long as the block lasts, and at most so many seconds."""
    process = subprocess.Popen(
        [*session.command(device), "LC_ALL=C exec sh"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    opened = Shell(process)
    late = threading.Timer(seconds, opened.end, [f"not all was told within {seconds:g} s"])
    late.start()
    try:
        yield opened
    finally:
        late.cancel()
        assert process.stdin and process.stdout and process.stderr
        with contextlib.suppress(OSError):
            process.stdin.close()
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
        process.stderr.close()
