"""Run a program on a device and move files to it, over SSH with checked host keys, a deadline and a limit of sessions."""

from __future__ import annotations

import asyncio
import os
import shlex
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from ground.reach import Reach, known_hosts


class Answer(msgspec.Struct, frozen=True):
    """What a program on a device said. `code` is None when it could not be run or did not end in time."""

    code: int | None
    out: str
    err: str

    @property
    def ok(self) -> bool:
        return self.code == 0


class Session(msgspec.Struct, frozen=True):
    """A set of reachable devices and where the shared connections live (one folder, short path)."""

    reaches: dict[str, Reach]
    folder: Path
    parallel: int = 16

    def command(self, device: str) -> list[str]:
        """The ssh command line up to, and without, the remote program."""
        reach = self.reaches[device]
        line = ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=5", "-o", "StrictHostKeyChecking=yes"]
        line += ["-o", f"UserKnownHostsFile={self.folder}/known_hosts", "-o", "GlobalKnownHostsFile=/dev/null"]
        line += ["-o", "ControlMaster=auto", "-o", "ControlPersist=60", "-o", f"ControlPath={self.folder}/%C"]
        line += ["-o", "LogLevel=ERROR", "-p", str(reach.port)]
        if reach.identity:
            line += ["-i", reach.identity, "-o", "IdentitiesOnly=yes"]
        if reach.via:
            line += ["-o", f"ProxyCommand={reach.via}"]
        return [*line, f"{reach.user}@{reach.address}"]


def session(reaches: Mapping[str, Reach], parallel: int = 16) -> Session:
    """Open a session: known_hosts is written to a private folder; connections are made when first used."""
    folder = Path(tempfile.mkdtemp(prefix="jb-"))
    (folder / "known_hosts").write_text(known_hosts(reaches))
    return Session(dict(reaches), folder, parallel)


def close(current: Session) -> None:
    """End every shared connection and remove the private folder."""
    # The socket alone says which connection: the name after it is not looked at.
    leaving = [
        subprocess.Popen(
            ["ssh", "-O", "exit", "-o", f"ControlPath={socket}", "-F", "none", "any"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for socket in current.folder.glob("[0-9a-f]*")
    ]
    for one in leaving:
        one.wait()
    for path in current.folder.iterdir():
        path.unlink(missing_ok=True)
    current.folder.rmdir()


def run(
    current: Session, device: str, program: str | Sequence[str], *, given: bytes = b"", seconds: float = 30
) -> Answer:
    """Run one program on one device. Never raises for what the device does: see `Answer.code`."""
    return asyncio.run(_one(current, device, program, given, seconds, asyncio.Semaphore(1)))


def run_all(
    current: Session,
    programs: Mapping[str, str | Sequence[str]],
    *,
    given: Mapping[str, bytes] | None = None,
    seconds: float = 30,
) -> dict[str, Answer]:
    """Run one program on each device, at most `current.parallel` at a time; one answer per device."""

    async def everything() -> dict[str, Answer]:
        gate = asyncio.Semaphore(current.parallel)
        names = list(programs)
        answers = await asyncio.gather(
            *(_one(current, name, programs[name], (given or {}).get(name, b""), seconds, gate) for name in names)
        )
        return dict(zip(names, answers, strict=True))

    return asyncio.run(everything())


async def _one(
    current: Session, device: str, program: str | Sequence[str], given: bytes, seconds: float, gate: asyncio.Semaphore
) -> Answer:
    if device not in current.reaches:
        return Answer(None, "", f"{device}: not in the reach of this target")
    line = program if isinstance(program, str) else shlex.join(program)
    async with gate:
        process = await asyncio.create_subprocess_exec(
            *current.command(device),
            line,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )
        try:
            out, err = await asyncio.wait_for(process.communicate(given), seconds)
        except TimeoutError:
            process.kill()
            await process.wait()
            return Answer(None, "", f"no answer within {seconds:g} s")
    code = process.returncode
    if code is not None and code < 0:
        return Answer(None, out.decode(errors="replace"), f"the connection was ended by signal {-code}")
    # 255 is ssh's own failure: the program was not run.
    return Answer(None if code == 255 else code, out.decode(errors="replace"), err.decode(errors="replace"))
