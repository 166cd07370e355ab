"""A vendor's device as far as its terminal shows it: an SSH server on loopback with prompt, echo, pages and refusals.

What its commands do is the simulated device's (`inventory.console`); nothing of a vendor's software runs here.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import paramiko
from paramiko.common import AUTH_SUCCESSFUL, OPEN_SUCCEEDED

from ground.reach import Reach
from inventory.config import Config, Path
from inventory.console import Refusal
from inventory.dialect import Dialect

PAGE = 20
PROMPTS = {"vrp": ("<{0}>", "[{0}]"), "comware": ("<{0}>", "[{0}]"), "iosxe": ("{0}#", "{0}(config)#")}
MORE = {"vrp": "  ---- More ----", "comware": "---- More ----", "iosxe": " --More-- "}
REFUSED = {"vrp": "Error: {0}", "comware": "% {0}", "iosxe": "% Invalid input: {0}"}


def shown(dialect: Dialect, config: Config) -> str:
    """The configuration as the device prints it."""
    sign, step = ("!", "") if dialect.name == "iosxe" else ("#", " " if dialect.name == "comware" else "")
    name = "hostname" if dialect.name == "iosxe" else "sysname"
    lines = [sign]
    lines += [step + line for line in sorted(config.sections[()].lines, key=lambda one: not one.startswith(name))]

    def inside(path: Path) -> None:
        for line in config.sections[path].lines:
            lines.append(" " * len(path) + line)
        for below in sorted(config.sections):
            if len(below) == len(path) + 1 and below[:-1] == path:
                lines.append(" " * len(path) + below[-1])
                inside(below)

    for top in sorted(path for path in config.sections if len(path) == 1):
        lines += [sign, top[0]]
        inside(top)
    assert dialect.known is not None
    return "\n".join([*lines, sign, dialect.known.rules.last]) + "\n"


class Device(paramiko.ServerInterface):
    """One device. `refuses`: a command it does not take; `dies`: how many commands it takes before its line is cut."""

    def __init__(self, name: str, dialect: Dialect, running: str) -> None:
        self.name, self.dialect = name, dialect
        self.running = dialect.read(running)
        self.saved = False
        self.refuses, self.dies = "", -1
        self.heard: list[str] = []

    def check_auth_none(self, username: str) -> int:
        return AUTH_SUCCESSFUL

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return AUTH_SUCCESSFUL

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return OPEN_SUCCEEDED

    def check_channel_pty_request(self, *given: object) -> bool:
        return True

    def check_channel_shell_request(self, channel: paramiko.Channel) -> bool:
        threading.Thread(target=self._talk, args=(channel,), daemon=True).start()
        return True

    def _talk(self, channel: paramiko.Channel) -> None:
        terminal = self.dialect.terminal
        assert terminal is not None
        given: list[str] = []
        paged, inside = True, False
        with contextlib.suppress(OSError, EOFError), channel.makefile("rb") as lines:
            channel.sendall(b"Welcome\r\n")
            while True:
                channel.sendall(PROMPTS[self.dialect.name][inside].format(self.name).encode())
                line = lines.readline().decode().strip()
                if not line and channel.closed:
                    return
                channel.sendall(f"{line}\r\n".encode())
                if line == terminal.paging_off:
                    paged = False
                elif line == terminal.fetch:
                    self._print(channel, shown(self.dialect, self.running), paged)
                elif line == terminal.enter:
                    inside, given = True, []
                elif line == terminal.save:
                    if terminal.confirm[1]:
                        channel.sendall(b"The current configuration will be written. Continue? [Y/N]:")
                        assert lines.readline().strip() == b"Y"
                    self.saved = True
                elif line == terminal.leave:
                    inside = False
                elif inside:
                    self.heard.append(line)
                    if 0 <= self.dies < len(self.heard):
                        channel.get_transport().close()
                        return
                    given.append(line)
                    self._take(channel, line, given)

    def _take(self, channel: paramiko.Channel, line: str, given: list[str]) -> None:
        try:
            if line == self.refuses:
                raise Refusal(line, "not on this device")
            self.running = self.dialect.apply(self.begun(given), given)
        except Refusal as why:
            given.pop()
            channel.sendall(f"{REFUSED[self.dialect.name].format(why)}\r\n".encode())

    def begun(self, given: list[str]) -> Config:
        """What ran before the first of the commands."""
        if len(given) == 1:
            self.start = self.running
        return self.start

    def _print(self, channel: paramiko.Channel, text: str, paged: bool) -> None:
        for number, line in enumerate(text.splitlines(), 1):
            channel.sendall(f"{line}\r\n".encode())
            if paged and number % PAGE == 0:
                channel.sendall(MORE[self.dialect.name].encode())
                channel.recv(1)


@contextlib.contextmanager
def served(device: Device, key: paramiko.PKey, identity: str) -> Iterator[Reach]:
    """The device on a port of loopback, and how it is reached."""
    listening = socket.create_server(("127.0.0.1", 0))
    open_: list[paramiko.Transport] = []

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                transport = paramiko.Transport(listening.accept()[0])
                open_.append(transport)
                transport.add_server_key(key)
                with contextlib.suppress(paramiko.SSHException, EOFError):
                    transport.start_server(server=device)

    threading.Thread(target=accept, daemon=True).start()
    try:
        host_key = f"{key.get_name()} {key.get_base64()}"
        yield Reach("127.0.0.1", host_key, port=listening.getsockname()[1], user="system-officer", identity=identity)
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        for transport in open_:
            transport.close()
