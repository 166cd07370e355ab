"""The probe agent: sent over SSH to a host at check time, and gone when the connection ends.

It needs nothing but Python's standard library and root. It takes one request a line (JSON) on stdin and gives one answer a line:

    {"do": "listen", "addresses": [...], "ports": ["tcp/53", ...]}     answer on every such port that is otherwise closed
    {"do": "probe", "from": {"4": ..., "6": ...}, "to": [[address, [port, ...], "01...", nonce], ...], "timeout": seconds,
     "tries": n, "rate": probes a second}                              one string of verdicts a target, a letter a port
    {"do": "exchange", "asks": [[source, address, port, base64], ...], "timeout": ..., "tries": ...}
                                                                       send datagrams, return what came back and when

The letters: o open, r refused (a filter let it pass, nobody listens), d dropped, p rejected by a filter on the way (ICMP),
u unreachable (ICMP), n not sent for lack of a route or address, x answered, but not by the host that was meant.

One epoll loop does it all: starting asyncio would cost more than most probes, and a thousand hosts may start this at once.
"""

from __future__ import annotations

import base64
import collections
import contextlib
import errno
import json
import os
import resource
import select
import signal
import socket
import struct
import sys
import time
from typing import Any

OPEN, REFUSED, DROPPED, PROHIBITED, UNREACHABLE, UNSENT, STRANGE = "ordpunx"

BACKLOG = 1024
TICK = 0.005  # seconds between two bursts
BIND_ADDRESS_NO_PORT = 24  # linux/in.h IP_BIND_ADDRESS_NO_PORT: the port is chosen at connect, so that many share it
NO_WAY = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.ENETDOWN, errno.EINVAL)

# What a real name server or time server answers to; anything else gets the nonce of a responder.
DNS_ROOT_NS = struct.pack(">HHHHHH", 0x4A42, 0x0100, 1, 0, 0, 0) + b"\0" + struct.pack(">HH", 2, 1)
NTP_CLIENT = b"\x23" + bytes(47)  # version 4, mode 3 (RFC 5905 §7.3)
PAYLOADS = {53: DNS_ROOT_NS, 123: NTP_CLIENT}


def family(address: str) -> socket.AddressFamily:
    """The address family of a numeric address."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class Task:
    """One probe or exchange on its way. `letter` is empty until it is decided."""

    __slots__ = (
        "data",
        "letter",
        "nonce",
        "port",
        "proto",
        "reply",
        "sent",
        "sequence",
        "socket",
        "source",
        "target",
        "tries",
    )

    def __init__(self, source: str, target: str, proto: str, port: int, nonce: bytes, data: bytes) -> None:
        self.source, self.target, self.proto, self.port, self.nonce, self.data = (
            source,
            target,
            proto,
            port,
            nonce,
            data,
        )
        self.tries, self.letter, self.sequence, self.sent = 0, "", -1, 0.0
        self.socket: socket.socket | None = None
        self.reply: tuple[bytes, float, float] | None = None


class Agent:
    """The loop, its responders and the tasks on their way."""

    def __init__(self) -> None:
        self.poll = select.epoll()
        self.nonce = os.urandom(8).hex().encode()
        self.listeners: dict[int, tuple[socket.socket, str]] = {}
        self.serving: set[tuple[str, str]] = set()
        self.flying: dict[int, Task] = {}
        self.echoes: dict[tuple[int, int], Task] = {}
        self.errors: dict[tuple[str, int, int], str] = {}
        self.raws: dict[int, socket.socket] = {}
        self.senders: dict[str, socket.socket] = {}
        self.waiting: collections.deque[tuple[float, Task, int]] = collections.deque()
        self.queue: collections.deque[Task] = collections.deque()
        self.open = 0
        self.sequence = 0
        self.identity = os.getpid() & 0xFFFF

    # Responder

    def listen(self, addresses: list[str], ports: list[str]) -> dict[str, object]:
        """Bind every (address, port) that is free. Answers what is bound, what a daemon has, and what is not on this host."""
        bound = [[address, name] for address in addresses for name in ports if (address, name) in self.serving]
        taken, missing, failed = [], [], []
        for address in addresses:
            for name in ports:
                proto, _, number = name.partition("/")
                if proto not in ("tcp", "udp") or (address, name) in self.serving:
                    continue
                kind = socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM
                made = socket.socket(family(address), kind | socket.SOCK_NONBLOCK)
                try:
                    if proto == "tcp":
                        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    if ":" in address:
                        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                    made.bind((address, int(number)))
                    if proto == "tcp":
                        made.listen(BACKLOG)
                except OSError as why:
                    made.close()
                    if why.errno == errno.EADDRINUSE:
                        taken.append([address, name])
                    elif why.errno == errno.EADDRNOTAVAIL:
                        missing.append(address)
                        break
                    else:
                        failed.append([address, name, os.strerror(why.errno or 0)])
                    continue
                bound.append([address, name])
                self.serving.add((address, name))
                self.listeners[made.fileno()] = (made, proto)
                self.poll.register(made.fileno(), select.EPOLLIN)
        return {"nonce": self.nonce.decode(), "bound": bound, "taken": taken, "missing": missing, "failed": failed}

    def serve(self, fd: int) -> None:
        """Answer what came in at a responder."""
        made, proto = self.listeners[fd]
        for _ in range(64):  # the rest comes with the next round, so that no responder starves another
            try:
                if proto == "tcp":
                    caller, _ = made.accept()
                    with contextlib.suppress(OSError):
                        caller.setblocking(False)
                        caller.send(self.nonce)
                    caller.close()
                else:
                    _, sender = made.recvfrom(2048)
                    with contextlib.suppress(OSError):
                        made.sendto(self.nonce, sender)
            except OSError:
                return

    # Prober

    def probe(self, request: dict[str, Any]) -> dict[str, object]:
        """Try every (target, port); see the module's head for what comes back."""
        sources: dict[str, str] = request["from"]
        targets: list[tuple[str, list[str], str, str]] = request["to"]
        rows: list[list[Task]] = []
        for address, ports, mask, nonce in targets:
            source = sources["6" if ":" in address else "4"]
            row = []
            for name, known in zip(ports, mask, strict=True):
                proto, _, number = name.partition("/")
                port = int(number) if number.isdigit() else 0
                data = b"" if known == "1" else PAYLOADS.get(port, b"")
                row.append(
                    Task(source, address, proto, port, nonce.encode() if known == "1" else b"", data or b"probe")
                )
            rows.append(row)
        start = time.monotonic()
        self.fly([task for row in rows for task in row], request)
        return {"verdicts": ["".join(task.letter for task in row) for row in rows], "seconds": time.monotonic() - start}

    def exchange(self, request: dict[str, Any]) -> dict[str, object]:
        """Send each datagram; [base64 of the reply, time sent, time received] each, or None."""
        asks: list[tuple[str, str, int, str]] = request["asks"]
        tasks = [
            Task(source, target, "exchange", port, b"", base64.b64decode(data)) for source, target, port, data in asks
        ]
        self.fly(tasks, request)
        replies = [task.reply and [base64.b64encode(task.reply[0]).decode(), *task.reply[1:]] for task in tasks]
        return {"replies": replies, "verdicts": "".join(task.letter for task in tasks)}

    def fly(self, tasks: list[Task], request: dict[str, Any]) -> None:
        """Send all tasks at the given pace and wait until each is decided."""
        timeout, tries = float(request.get("timeout", 1.0)), int(request.get("tries", 2))
        rate = float(request.get("rate", 1000.0))
        self.errors.clear()
        for wanted in {family(task.target) for task in tasks}:
            self._watch_icmp(wanted)
        self.queue.extend(tasks)
        self.open = len(tasks)
        allowance, last = 1.0, time.monotonic()
        while self.open:
            now = time.monotonic()
            # A loop that was held up must not catch up in one burst.
            allowance = min(allowance + (now - last) * rate, max(1.0, rate * TICK * 4))
            last = now
            while self.queue and allowance >= 1:
                allowance -= 1
                self._send(self.queue.popleft(), timeout)
            wait = TICK if self.queue else max(0.0, self.waiting[0][0] - now) if self.waiting else TICK
            self._round(wait)
            now = time.monotonic()
            while self.waiting and self.waiting[0][0] <= now:
                _, task, attempt = self.waiting.popleft()
                if not task.letter and task.tries == attempt:
                    self._late(task, tries)
        self.waiting.clear()

    def _late(self, task: Task, tries: int) -> None:
        if task.proto == "tcp" and task.socket is not None and task.nonce and task.sent < 0:
            self._decide(task, STRANGE)  # connected, yet the responder's nonce did not come
            return
        self._drop(task)
        if error := self.errors.get(self._key(task)):
            self._decide(task, error)
        elif task.tries < tries:
            self.queue.append(task)
        else:
            self._decide(task, DROPPED)

    def _drop(self, task: Task) -> None:
        if task.socket is not None:
            self.flying.pop(task.socket.fileno(), None)
            task.socket.close()
            task.socket = None
        self.echoes.pop((int(family(task.target)), task.sequence), None)

    def _decide(self, task: Task, letter: str) -> None:
        if not task.letter:
            task.letter = letter
            self.open -= 1
        self._drop(task)

    def _key(self, task: Task) -> tuple[str, int, int]:
        protos = {"tcp": 6, "udp": 17, "exchange": 17, "icmp": 1}
        return task.target, protos[task.proto], task.sequence if task.proto == "icmp" else task.port

    def _send(self, task: Task, timeout: float) -> None:
        task.tries += 1
        try:
            if task.proto == "icmp":
                self._echo(task)
            else:
                self._dial(task)
        except OSError as why:
            # EPERM: a filter on this host dropped it on its way out.
            self._decide(task, UNSENT if why.errno in NO_WAY else DROPPED if why.errno == errno.EPERM else STRANGE)
            return
        if not task.letter:
            self.waiting.append((time.monotonic() + timeout, task, task.tries))

    def _dial(self, task: Task) -> None:
        stream = task.proto == "tcp"
        kind = socket.SOCK_STREAM if stream else socket.SOCK_DGRAM
        made = task.socket = socket.socket(family(task.target), kind | socket.SOCK_NONBLOCK)
        if stream:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        made.setsockopt(socket.IPPROTO_IP, BIND_ADDRESS_NO_PORT, 1)
        made.bind((task.source, 0))
        if stream:
            error = made.connect_ex((task.target, task.port))
            if error not in (0, errno.EINPROGRESS):
                raise OSError(error, "connect")
            self.poll.register(made.fileno(), select.EPOLLOUT)
        else:
            made.connect((task.target, task.port))
            self.poll.register(made.fileno(), select.EPOLLIN)
            task.sent = time.time()
            made.send(task.data)
        self.flying[made.fileno()] = task

    def _echo(self, task: Task) -> None:
        version = family(task.target)
        self.sequence = (self.sequence + 1) & 0xFFFF
        task.sequence = self.sequence
        self.echoes[int(version), task.sequence] = task
        sender = self.senders.get(task.source)
        if sender is None:
            proto = socket.IPPROTO_ICMPV6 if version == socket.AF_INET6 else socket.IPPROTO_ICMP
            sender = self.senders[task.source] = socket.socket(version, socket.SOCK_RAW | socket.SOCK_NONBLOCK, proto)
            sender.bind((task.source, 0))
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 0)
        kind = 128 if version == socket.AF_INET6 else 8
        body = struct.pack(">BBHHH", kind, 0, 0, self.identity, task.sequence) + self.nonce
        if version == socket.AF_INET:  # the kernel fills in the checksum of ICMPv6 only
            total = sum(struct.unpack(f">{len(body) // 2}H", body))
            total = (total & 0xFFFF) + (total >> 16)
            body = body[:2] + struct.pack(">H", ~(total + (total >> 16)) & 0xFFFF) + body[4:]
        sender.sendto(body, (task.target, 0))

    def _watch_icmp(self, version: socket.AddressFamily) -> None:
        """A raw socket that sees echo replies and what filters and routers say of our packets."""
        if int(version) in self.raws:
            return
        six = version == socket.AF_INET6
        proto = socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP
        made = socket.socket(version, socket.SOCK_RAW | socket.SOCK_NONBLOCK, proto)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        if six:  # linux/icmpv6.h ICMPV6_FILTER: a set bit blocks the type
            words = [0xFFFFFFFF] * 8
            for kind in (1, 3, 129):
                words[kind >> 5] &= ~(1 << (kind & 31))
            made.setsockopt(socket.IPPROTO_ICMPV6, 1, struct.pack("8I", *words))
        else:  # linux/icmp.h ICMP_FILTER
            made.setsockopt(255, 1, struct.pack("I", 0xFFFFFFFF & ~(1 << 0 | 1 << 3 | 1 << 11)))
        self.raws[int(version)] = made
        self.poll.register(made.fileno(), select.EPOLLIN)

    def _icmp(self, version: int) -> None:
        made = self.raws[version]
        six = version == int(socket.AF_INET6)
        while True:
            try:
                packet, sender = made.recvfrom(2048)
            except OSError:
                return
            body = packet if six else packet[(packet[0] & 15) * 4 :]
            if len(body) < 8:
                continue
            kind, code = body[0], body[1]
            if kind == (129 if six else 0):
                identity, sequence = struct.unpack(">HH", body[4:8])
                task = self.echoes.get((version, sequence))
                if identity == self.identity and body[8 : 8 + len(self.nonce)] == self.nonce and task is not None:
                    self._decide(task, OPEN if sender[0].split("%")[0] == task.target else STRANGE)
                continue
            inner = body[8:]
            if six:
                if len(inner) < 48:
                    continue
                proto, target, rest = inner[6], socket.inet_ntop(socket.AF_INET6, inner[24:40]), inner[40:]
            else:
                if len(inner) < 28:
                    continue
                proto, target = inner[9], socket.inet_ntop(socket.AF_INET, inner[16:20])
                rest = inner[(inner[0] & 15) * 4 :]
            if len(rest) < 8:
                continue
            if proto in (1, 58):
                proto, place = 1, struct.unpack(">H", rest[6:8])[0]
            else:
                place = struct.unpack(">H", rest[2:4])[0]
            letter = UNREACHABLE
            if kind == (1 if six else 3):
                if code == (
                    4 if six else 3
                ):  # nobody at the port, when the host itself says so; a filter's reject, when not
                    letter = REFUSED if sender[0].split("%")[0] == target else PROHIBITED
                elif code in ((1, 5, 6) if six else (9, 10, 13)):
                    letter = PROHIBITED
            self.errors[target, proto, place] = letter
            echo = self.echoes.get((version, place)) if proto == 1 else None
            if echo is not None:
                self._decide(echo, letter)

    def _fly_event(self, task: Task) -> None:
        made = task.socket
        if made is None:
            return
        if task.proto == "tcp" and task.sent >= 0:
            error = made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                self._refused(task, error)
            elif task.nonce:
                task.sent = -1.0  # connected; the nonce is still to come
                self.poll.modify(made.fileno(), select.EPOLLIN)
            else:
                self._decide(task, OPEN)
            return
        try:
            data = made.recv(4096)
        except BlockingIOError:
            return
        except OSError as why:
            self._refused(task, why.errno or 0)
            return
        received = time.time()
        if task.proto == "exchange":
            task.reply = (data, task.sent, received)
        self._decide(task, OPEN if data.startswith(task.nonce) else STRANGE)

    def _refused(self, task: Task, error: int) -> None:
        told = self.errors.get(self._key(task))
        if error == errno.ECONNREFUSED:
            self._decide(task, told or REFUSED)
        elif error in NO_WAY or error in (errno.EACCES, errno.EPERM):
            self._decide(task, told or (PROHIBITED if error == errno.EACCES else UNREACHABLE))
        else:
            self._decide(task, STRANGE)

    # Loop

    def _round(self, wait: float) -> bool:
        """Take up what has come in; returns whether stdin has something."""
        ready = self.poll.poll(wait, 512)
        # ICMP first: it says whether a refusal came from the host or from a filter.
        if ready:
            for version in self.raws:
                self._icmp(version)
        asked = False
        for fd, _ in ready:
            if fd in self.listeners:
                self.serve(fd)
            elif fd in self.flying:
                self._fly_event(self.flying[fd])
            elif fd == 0:
                asked = True
        return asked

    def answer(self, request: dict[str, Any]) -> dict[str, object]:
        """The answer to one request."""
        if request["do"] == "listen":
            return self.listen(request["addresses"], request["ports"])
        if request["do"] == "probe":
            return self.probe(request)
        if request["do"] == "exchange":
            return self.exchange(request)
        return {"error": f"unknown request {request['do']}"}

    def run(self) -> None:
        """Take requests until stdin ends, serving responders all the while."""
        text = b""
        self.poll.register(0, select.EPOLLIN)
        while True:
            if not self._round(1.0):
                continue
            data = os.read(0, 1 << 20)
            if not data:
                return
            text += data
            self.poll.unregister(0)
            while b"\n" in text:
                line, _, text = text.partition(b"\n")
                try:
                    said = self.answer(json.loads(line))
                except Exception as why:  # the caller is told; an agent that dies would look like a dead host
                    said = {"error": f"{type(why).__name__}: {why}"}
                data = json.dumps(said, separators=(",", ":")).encode() + b"\n"
                while data:
                    data = data[os.write(1, data) :]
            self.poll.register(0, select.EPOLLIN)


def main() -> None:
    """Serve stdin; end by itself after ten minutes at the latest, whatever became of the caller."""
    signal.alarm(600)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536) if hard > 0 else 65536, hard))
    Agent().run()


if __name__ == "__main__":
    try:
        main()
    except (BrokenPipeError, KeyboardInterrupt):
        sys.exit(1)
