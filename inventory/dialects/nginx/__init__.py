"""nginx at the border: the front-end where outside bodies ask online, and the port where the exchange zone fetches what they asked.

A body is told by the certificate that it shows, has a limit of its own, and gets no further than a queue on the same host. What the
queue holds the exchange zone fetches by a connection of its own (NO-16, S3 四(二)2), so that nothing from outside dials in.
"""

from __future__ import annotations

from importlib import resources

import msgspec

from inventory.dialects.nginx import queue
from inventory.dialects.template import fill
from inventory.file import File
from inventory.intent import Intent

FOLDER = "/etc/jinbao/front"
"""Certificates, laid there at apply."""
PROGRAM = "/usr/local/lib/jinbao/queue.py"
SOCKET = "/run/jinbao-front/queue"
UNIT, QUEUE = "nginx.service", "jinbao-front.service"
REQUEST_BYTES = 4096
"""The largest request: sample data."""
WAITING = 8
"""How many requests of one body may wait at once: sample data."""


class Refusal(msgspec.Struct, frozen=True):
    """What nginx itself answers a body."""

    of: tuple[int, ...]
    """Its own codes for it."""
    status: int
    reason: str
    cure: str


REFUSALS = {
    "JB2960": Refusal(
        (403, 495, 496, 497), 403, "no certificate of a body that may ask here was shown",
        "Ask over TLS with the certificate that was handed to you; if it was made anew, with the new one.",
    ),
    "JB2961": Refusal(
        (413, 414, 494), 413, f"the request is longer than {REQUEST_BYTES} bytes",
        "Ask for one thing at a time; leave files in the drop box.",
    ),
    "JB2962": Refusal(
        (429,), 429, "you ask more often than the plan allows",
        "Wait a minute, then ask at most as often as agreed.",
    ),
    "JB2963": Refusal(
        (502, 503, 504), 503, "the exchange zone does not answer now",
        "Ask again in a minute under a new id; if that lasts, call the centre.",
    ),
    "JB2964": Refusal(
        (400, 404, 405), 400, "this is no request that is sent to /request by POST",
        "Write the request as docs/exchange.md says, and send it whole.",
    ),
}  # fmt: skip
"""Code → refusal. What the exchange zone refuses has codes of its own."""

SERVICE = f"""\
[Unit]
Description=Queue of what outside bodies ask online
Before={UNIT}

[Service]
User=www-data
RuntimeDirectory=jinbao-front
RuntimeDirectoryMode=0750
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
RestrictAddressFamilies=AF_UNIX
MemoryMax=128M
ExecStart=/usr/bin/python3 -I {PROGRAM} {SOCKET}
Restart=always
RestartSec=1

[Install]
WantedBy=multi-user.target
"""


def refused(code: str) -> dict[str, str]:
    """What a body reads of a refusal of nginx itself."""
    refusal = REFUSALS[code]
    return {
        "format": "jinbao-answer-1",
        "result": "refused",
        "code": code,
        "reason": refusal.reason,
        "cure": refusal.cure,
    }


def files(intent: Intent) -> list[File]:
    """Settings of nginx, program and unit of the queue, at a host with a front-end."""
    front = intent.front
    if front is None or front.device != intent.device.name:
        return []
    refusals = {
        code: {"of": each.of, "status": each.status, "said": msgspec.json.encode(refused(code)).decode()}
        for code, each in REFUSALS.items()
    }
    conf = fill(
        "nginx/nginx.conf.j2", front=front, folder=FOLDER, socket=SOCKET, refusals=refusals, request_bytes=REQUEST_BYTES,
        waiting=WAITING, answer_seconds=int(queue.ANSWER_SECONDS), fetch_seconds=int(queue.FETCH_SECONDS),
        bracketed=_bracketed,
    )  # fmt: skip
    told = {body.id: front.certificate(body) for body in front.bodies}
    program = (resources.files(__package__) / "queue.py").read_text("utf-8")
    role = "front"
    # nginx reads certificates that are laid beside it at apply: it looks at the whole, once everything is in place.
    return [
        File(PROGRAM, program, role, validator="python3 -I -m py_compile %s", unit=QUEUE, action="restart"),
        File(f"/etc/systemd/system/{QUEUE}", SERVICE, role, unit=QUEUE, action="restart"),
        File("/etc/nginx/nginx.conf", conf, role, validator="/usr/sbin/nginx -t", unit=UNIT),
        File(f"{FOLDER}/bodies.json", msgspec.json.format(msgspec.json.encode(told)).decode() + "\n", role),
    ]


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
