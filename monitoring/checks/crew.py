"""The crew: one probe agent on each host, all alive at once, so that any of them can be asked while the others answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any

import msgspec

from ground.remote import Session

# Reads the agent's text from stdin by its length, so that stdin stays open for requests. -ISB: nothing of the host's own.
STARTER = (
    "import os;n={length};s=b''\n"
    "while len(s)<n:\n"
    " c=os.read(0,n-len(s))\n"
    " if not c:raise SystemExit(1)\n"
    " s+=c\n"
    "exec(compile(s,'probe_agent','exec'))"
)


class Reply(msgspec.Struct, frozen=True):
    """What an agent answered. `said` is None when it could not be asked or did not answer; `why` says what stood in the way."""

    said: Mapping[str, Any] | None
    why: str = ""


class Crew:
    """Running agents by device. Made by `crew`, which also ends them."""

    def __init__(self, session: Session, runner: asyncio.Runner) -> None:
        self.session = session
        self.runner = runner
        self.members: dict[str, asyncio.subprocess.Process] = {}
        self.absent: dict[str, str] = {}
        """Device → why no agent runs there."""

    def start(self, devices: Sequence[str], seconds: float = 60) -> None:
        """Start an agent on each device; those where it fails stand in `absent`."""
        text = (files("monitoring.checks") / "probe_agent.py").read_bytes()
        self.runner.run(self._start(devices, text, seconds))

    async def _start(self, devices: Sequence[str], text: bytes, seconds: float) -> None:
        gate = asyncio.Semaphore(self.session.parallel)

        async def one(device: str) -> None:
            if device not in self.session.reaches:
                self.absent[device] = f"{device}: not in the reach of this target"
                return
            async with gate:
                program = f'exec python3 -ISB -c "{STARTER.format(length=len(text))}"'
                process = await asyncio.create_subprocess_exec(
                    *self.session.command(device),
                    program,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.PIPE,
                    limit=1 << 24,
                )
                self.members[device] = process
                assert process.stdin
                process.stdin.write(text)
                reply = await self._ask(device, {"do": "listen", "addresses": [], "ports": []}, seconds)
                if reply.said is None:
                    self.absent[device] = reply.why

        await asyncio.gather(*(one(device) for device in devices))

    def ask(
        self,
        requests: Mapping[str, Mapping[str, Any]],
        *,
        seconds: float = 60,
        parallel: int = 0,
        told: Callable[[str], None] | None = None,
    ) -> dict[str, Reply]:
        """Ask each device its request, `parallel` at a time (0: all at once); one reply each. `told` is called as they come in."""

        async def everything() -> dict[str, Reply]:
            gate = asyncio.Semaphore(parallel or len(requests) or 1)

            async def one(device: str) -> Reply:
                async with gate:
                    reply = await self._ask(device, requests[device], seconds)
                    if told:
                        told(device)
                    return reply

            replies = await asyncio.gather(*(one(device) for device in requests))
            return dict(zip(requests, replies, strict=True))

        return self.runner.run(everything())

    async def _ask(self, device: str, request: Mapping[str, Any], seconds: float) -> Reply:
        process = self.members.get(device)
        if process is None or device in self.absent:
            return Reply(None, self.absent.get(device, "no agent was started there"))
        assert process.stdin and process.stdout and process.stderr
        line = b""
        try:
            async with asyncio.timeout(seconds):
                process.stdin.write(msgspec.json.encode(request) + b"\n")
                await process.stdin.drain()
                line = await process.stdout.readline()
        except (TimeoutError, OSError) as why:
            self.absent[device] = (
                f"the agent did not answer within {seconds:g} s" if isinstance(why, TimeoutError) else str(why)
            )
            return Reply(None, self.absent[device])
        if not line.endswith(b"\n"):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2):
                    await process.wait()
            said = await _last_words(process.stderr)
            self.absent[device] = said or f"the agent ended with code {process.returncode}"
            return Reply(None, self.absent[device])
        answer: dict[str, Any] = msgspec.json.decode(line)
        if "error" in answer:
            return Reply(None, f"the agent could not: {answer['error']}")
        return Reply(answer)

    def end(self) -> None:
        """Close every agent's stdin, upon which it ends."""
        self.runner.run(self._end())

    async def _end(self) -> None:
        async def one(process: asyncio.subprocess.Process) -> None:
            assert process.stdin and process.stdout
            process.stdin.close()
            try:
                async with asyncio.timeout(3):
                    await process.stdout.read()
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()

        await asyncio.gather(*(one(process) for process in self.members.values()))


async def _last_words(stream: asyncio.StreamReader) -> str:
    """The last line on stderr. An ssh that stays as a shared connection may hold it open: do not wait for its end."""
    text = b""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.5):
            while more := await stream.read(4096):
                text += more
    lines = text.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""


@contextlib.contextmanager
def crew(session: Session, devices: Sequence[str]) -> Iterator[Crew]:
    """Agents on `devices` for as long as the block lasts."""
    with asyncio.Runner() as runner:
        made = Crew(session, runner)
        try:
            made.start(devices)
            yield made
        finally:
            made.end()
