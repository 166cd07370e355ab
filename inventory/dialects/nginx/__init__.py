"""nginx before programs: the front-end where outside bodies ask online, with the port where the exchange zone fetches what they asked.

A body is told by the certificate that it shows, has a limit of its own, and gets no further than a queue on the same host. What the
queue holds the exchange zone fetches by a connection of its own (NO-16, S3 四(二)2), so that nothing from outside dials in.

What terminals ask is passed on at once: `query` has settings of the same form.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from inventory.dialects import program
from inventory.dialects.nginx import queue
from inventory.dialects.template import fill
from inventory.file import File
from inventory.intent import Intent
from ip_plan.partners import End

FOLDER = "/etc/jinbao/front"
"""Certificates, laid there at apply."""
PROGRAM = program.folder("queue")
SOCKET = "/run/jinbao-front/queue"
UNIT, QUEUE = "nginx.service", "jinbao-front.service"
REQUEST_BYTES = 4096
"""The largest request: sample data."""
WAITING = 8
"""How many requests of one body may wait at once: sample data."""


class Refusal(msgspec.Struct, frozen=True):
    """What nginx itself answers."""

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


def refused(form: str, code: str, refusal: Refusal) -> dict[str, str]:
    """What is read of a refusal of nginx itself, in an answer of the format `form`."""
    return {"format": form, "result": "refused", "code": code, "reason": refusal.reason, "cure": refusal.cure}


def settings(
    name: str, who: str, asked: End, path: str, form: str, refusals: Mapping[str, Refusal], **more: object
) -> str:
    """nginx.conf from the template `name`: TLS for `who` (variable, what certificates are told apart as) at `path`."""
    told = {
        code: {"of": each.of, "status": each.status, "said": msgspec.json.encode(refused(form, code, each)).decode()}
        for code, each in refusals.items()
    }
    return fill(
        f"nginx/{name}",
        who=who,
        asked=asked,
        path=path,
        refusals=told,
        request_bytes=REQUEST_BYTES,
        bracketed=_bracketed,
        **more,
    )


def files(intent: Intent) -> list[File]:
    """Settings of nginx, program and unit of the queue, at a host with a front-end."""
    front = intent.front
    if front is None or front.device != intent.device.name:
        return []
    conf = settings(
        "front.conf.j2", "body", front.asked, "/request", "jinbao-answer-1", REFUSALS, front=front, folder=FOLDER,
        socket=SOCKET, pinned="bodies.crt", level="warn", waiting=WAITING, answer_seconds=int(queue.ANSWER_SECONDS),
        fetch_seconds=int(queue.FETCH_SECONDS),
    )  # fmt: skip
    told = {body.id: front.certificate(body) for body in front.bodies}
    role = "front"
    # nginx reads certificates that are laid beside it at apply: it looks at the whole, once everything is in place.
    return [
        *program.files(__name__, "queue", ["upstream"], unit=QUEUE, role=role),
        File(f"/etc/systemd/system/{QUEUE}", SERVICE, role, unit=QUEUE, action="restart"),
        File("/etc/nginx/nginx.conf", conf, role, validator="/usr/sbin/nginx -t", unit=UNIT),
        File(f"{FOLDER}/bodies.json", msgspec.json.format(msgspec.json.encode(told)).decode() + "\n", role),
    ]


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
