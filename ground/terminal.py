"""A device's terminal over SSH, with checked host keys: for devices that take commands at a prompt and run no programs."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec
import paramiko

from ground.reach import Reach
from ground.remote import Answer, Session

MORE = re.compile(r"\s*-+ ?\(?more[^\n]*$", re.IGNORECASE)
"""What a device that pages its answers ends a page with."""
_DRAWN = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[^\n]*\x08|\r+(?=\n)")
_KEYS = {"ssh-ed25519": paramiko.Ed25519Key, "ssh-rsa": paramiko.RSAKey}


class Terminal(msgspec.Struct, frozen=True):
    """What a session with a kind of device has to know."""

    prompt: str
    """Regular expression for the last line of an answer."""
    paging_off: str
    fetch: str
    """The command that shows all that runs."""
    enter: str
    """What leads to where commands are taken, and what leads out of it again."""
    leave: str
    save: str
    confirm: tuple[str, str]
    """What saving asks, and the answer."""
    error: str
    """Regular expression for a line by which the device refuses a command."""


class _Silent(Exception):
    """The device does not answer as a terminal does."""


class _Line:
    """An open terminal."""

    def __init__(self, reach: Reach, terminal: Terminal, seconds: float) -> None:
        self.terminal, self.until = terminal, time.monotonic() + seconds
        self.client = paramiko.SSHClient()
        kind, key = reach.host_key.split()[:2]
        # In known_hosts a port other than the usual one stands beside the address.
        host = reach.address if reach.port == 22 else f"[{reach.address}]:{reach.port}"
        if kind.startswith("ecdsa-"):
            self.client.get_host_keys().add(host, kind, paramiko.ECDSAKey(data=base64.b64decode(key)))
        else:
            self.client.get_host_keys().add(host, kind, _KEYS[kind](data=base64.b64decode(key)))
        way = reach.via.replace("%h", reach.address).replace("%p", str(reach.port))
        self.client.connect(
            reach.address,
            reach.port,
            reach.user,
            key_filename=reach.identity or None,
            look_for_keys=not reach.identity,
            allow_agent=not reach.identity,
            sock=paramiko.ProxyCommand(way) if way else None,
            timeout=10,
        )
        self.channel = self.client.invoke_shell(width=511, height=1000)
        self.channel.settimeout(0.5)
        self._answer(())

    def say(self, line: str) -> str:
        """The answer to a line, without its echo and the prompt. Raises _Silent."""
        self.channel.sendall(f"{line}\n".encode())
        answer = self._answer((self.terminal.confirm[0],))
        while re.search(self.terminal.confirm[0], answer):
            self.channel.sendall(f"{self.terminal.confirm[1]}\n".encode())
            answer = self._answer((self.terminal.confirm[0],))
        return answer.partition("\n")[2].rpartition("\n")[0]

    def _answer(self, asked: Sequence[str]) -> str:
        """Everything up to the prompt, or to one of what may be asked."""
        text = ""
        while True:
            try:
                piece = self.channel.recv(65536)
            except TimeoutError:
                piece = b""
                if time.monotonic() > self.until:
                    raise _Silent(f"no prompt; the last line is {text[-80:]!r}") from None
            else:
                if not piece:
                    raise _Silent("the device closed the terminal")
            text = _DRAWN.sub("", text + piece.decode(errors="replace"))
            if MORE.search(text):
                text = MORE.sub("\n", text)
                self.channel.sendall(b" ")
            elif re.search(self.terminal.prompt, text.rpartition("\n")[2]) or any(
                re.search(one, text) for one in asked
            ):
                return text


def ask_all(current: Session, terminals: Mapping[str, Terminal], *, seconds: float = 60) -> dict[str, Answer]:
    """What each device runs, in the answer's `out`; one answer per device."""

    def ask(line: _Line) -> Answer:
        return Answer(0, line.say(line.terminal.fetch).strip("\n") + "\n", "")

    return _all(current, terminals, dict.fromkeys(terminals, ask), seconds)


def tell_all(
    current: Session, terminals: Mapping[str, Terminal], commands: Mapping[str, Sequence[str]], *, seconds: float = 600
) -> dict[str, Answer]:
    """Give each device its commands, one by one, and have it save what it then runs.

    At the first command that a device refuses it gets no more and saves nothing: `code` is 1 and `out` holds what it said.
    """

    def tell(given: Sequence[str]) -> Callable[[_Line], Answer]:
        def told(line: _Line) -> Answer:
            line.say(line.terminal.enter)
            for command in given:
                said = line.say(command.strip())
                if re.search(line.terminal.error, said):
                    line.say(line.terminal.leave)
                    return Answer(1, f"`{command.strip()}`: {' '.join(said.split())}", "")
            line.say(line.terminal.leave)
            line.say(line.terminal.save)
            return Answer(0, "", "")

        return told

    return _all(current, terminals, {device: tell(given) for device, given in commands.items()}, seconds)


def _all(
    current: Session,
    terminals: Mapping[str, Terminal],
    work: Mapping[str, Callable[[_Line], Answer]],
    seconds: float,
) -> dict[str, Answer]:
    def one(device: str) -> Answer:
        if device not in current.reaches:
            return Answer(None, "", f"{device}: not in the reach of this target")
        line = None
        try:
            line = _Line(current.reaches[device], terminals[device], seconds)
            line.say(line.terminal.paging_off)
            return work[device](line)
        except paramiko.BadHostKeyException:
            return Answer(None, "", "its host key is not the one that reach.json names")
        except (paramiko.SSHException, OSError, EOFError, KeyError, _Silent) as why:
            return Answer(None, "", str(why) or type(why).__name__)
        finally:
            if line is not None:
                line.client.close()

    with ThreadPoolExecutor(max(1, min(current.parallel, len(work)))) as pool:
        return dict(zip(work, pool.map(one, work), strict=True))
