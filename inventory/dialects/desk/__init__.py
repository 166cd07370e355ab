"""The desk of an exchange zone: the program that answers what outside bodies ask online, what it is told, and its unit."""

from __future__ import annotations

import msgspec

from inventory.dialects import openssh, program
from inventory.dialects.desk import desk
from inventory.dialects.postgresql import NAME, UNIT
from inventory.file import File
from inventory.intent import Intent
from ip_plan import catalogue

FOLDER = "/etc/jinbao/desk"
STATE = "jinbao-desk"
PROGRAM = program.folder("desk")
DESK = "jinbao-desk.service"
WINDOW_SECONDS = 300
"""How far the clock of a body may be off: sample data."""

SERVICE = f"""\
[Unit]
Description=Answers to what outside bodies ask online
After={UNIT}

[Service]
User={{user}}
LoadCredential=server.key:{FOLDER}/server.key
StateDirectory={STATE}
StateDirectoryMode=0700
UMask=0077
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
ExecStart=/usr/bin/python3 -I {PROGRAM} {FOLDER} /var/lib/{STATE}
Restart=always
RestartSec=2

[Install]
WantedBy=multi-user.target
"""


def files(intent: Intent) -> list[File]:
    """Program, settings, keys of the bodies and unit of a host that answers them."""
    front = intent.front
    if front is None or front.desk != intent.device.name:
        return []
    told = {
        "region": front.region,
        "database": NAME,
        "host": front.fetched.host,
        "port": front.fetched.port,
        "window_seconds": WINDOW_SECONDS,
        "requests": catalogue.shipped().tables.described(front.requests()),
        "bodies": [{"id": body.id, "requests": body.requests} for body in front.bodies],
    }
    signers = "".join(
        f'{body.id} namespaces="{desk.ASKED}" {openssh.body_key(front.device, body)}\n' for body in front.bodies
    )
    role = "desk"
    return [
        *program.files(__name__, "desk", ["answering"], unit=DESK),
        File(f"{FOLDER}/desk.json", msgspec.json.format(msgspec.json.encode(told)).decode() + "\n", role, unit=DESK, action="restart"),
        File(f"{FOLDER}/signers", signers, role, unit=DESK),
        File(f"/etc/systemd/system/{DESK}", SERVICE.format(user=front.user), role, unit=DESK, action="restart"),
    ]  # fmt: skip
