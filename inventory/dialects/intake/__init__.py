"""The intake of an exchange zone: a program, what it is told, the keys of its way to the drop boxes, and the timer that starts it."""

from __future__ import annotations

import msgspec

from ground import secret
from inventory.dialects import openssh, program
from inventory.dialects.postgresql import NAME, UNIT
from inventory.file import File
from inventory.intent import Intent
from ip_plan import partners

FOLDER = "/etc/jinbao/intake"
STATE = "jinbao-intake"
PROGRAM = program.folder("intake")
UNITS = "/etc/systemd/system"
GRACE_SECONDS = 600
"""How long a file may lie in a box before its manifest: sample data."""
KEEP_DAYS = 30
"""How long what was refused is kept for people to look at: sample data."""
EVERY_SECONDS = 60
"""Sample data, as often as subscriptions are looked after."""

SERVICE = f"""\
[Unit]
Description=Intake of what outside bodies left in their drop boxes
After={UNIT}

[Service]
Type=oneshot
User={{user}}
LoadCredential=key:{FOLDER}/key
StateDirectory={STATE}
StateDirectoryMode=0700
UMask=0077
NoNewPrivileges=yes
LimitFSIZE={{limit}}
TimeoutStartSec=900
ExecStart=/usr/bin/python3 -I {PROGRAM} {FOLDER} /var/lib/{STATE}
"""
TIMER = f"""\
[Unit]
Description=Intake of what outside bodies left in their drop boxes

[Timer]
OnActiveSec={EVERY_SECONDS}
OnUnitActiveSec={EVERY_SECONDS}

[Install]
WantedBy=timers.target
"""


def files(intent: Intent) -> list[File]:
    """Program, settings, keys, unit and timer of a host that fetches from drop boxes."""
    boxes = intent.boxes
    if boxes is None or boxes.fetcher != intent.device.name:
        return []
    role, timer = "intake", "jinbao-intake.timer"
    told = {
        "region": boxes.region,
        "database": NAME,
        "host": boxes.host,
        "port": boxes.port,
        "user": boxes.user,
        "grace_seconds": GRACE_SECONDS,
        "keep_days": KEEP_DAYS,
        "columns": {table: dict(partners.columns(table)) for table in partners.tables()},
        "bodies": [
            {"id": each.id, "account": boxes.account(each), "tables": each.tables, "limit_bytes": each.limit_bytes}
            for each in boxes.bodies
        ],
    }
    limit = max(body.limit_bytes for body in boxes.bodies) + openssh.SLACK_BYTES
    known = f"[{boxes.host}]:{boxes.port} {secret.reference(openssh.host_key(boxes), 'ssh-public')}\n"
    key = f"{secret.reference(openssh.fetcher_key(boxes), 'ssh-private')}\n"
    return [
        *program.files(__name__, "intake", ["answering"]),
        File(f"{FOLDER}/intake.json", msgspec.json.format(msgspec.json.encode(told)).decode() + "\n", role),
        File(f"{FOLDER}/known_hosts", known, role),
        File(f"{FOLDER}/key", key, role, mode="0600"),
        File(f"{UNITS}/jinbao-intake.service", SERVICE.format(user=boxes.user, limit=limit), role),
        File(f"{UNITS}/{timer}", TIMER, role, unit=timer, action="restart"),
    ]
