"""The query service of an exchange zone: nginx over TLS before a program on a socket, what it is told, and their units."""

from __future__ import annotations

import msgspec

from inventory.dialects import nginx, postgresql, program
from inventory.dialects.nginx import Refusal
from inventory.dialects.query import query
from inventory.file import File
from inventory.intent import Intent
from ip_plan import catalogue
from ip_plan import queries as services

FOLDER = "/etc/jinbao/query"
"""Settings, and the certificates that are laid there at apply."""
TERMINAL = "/etc/jinbao/terminal"
"""Where a terminal finds its service, and its certificate, which is laid there at apply."""
STATE = "jinbao-query"
PROGRAM = program.folder("query")
SOCKET = "/run/jinbao-query/query"
UNIT = "jinbao-query.service"
PER_MINUTE = 60
"""How often one terminal may ask: sample data."""
BURST = 10
"""How many of these may come at once: sample data."""
WAITING = 4
"""How many queries of one terminal may wait at once: sample data."""
ANSWER_SECONDS = 15

REFUSALS = {
    "JB2950": Refusal(
        (403, 495, 496, 497), 403, "no certificate of a terminal that may ask here was shown, or it came from elsewhere",
        "Ask over TLS from the access zone, with the certificate that was made for this terminal; if it was made anew, with the new one.",
    ),
    "JB2951": Refusal(
        (413, 414, 494), 413, f"the query is longer than {nginx.REQUEST_BYTES} bytes",
        "Ask one question about one person.",
    ),
    "JB2952": Refusal(
        (429,), 429, f"this terminal asks more often than {PER_MINUTE} times a minute",
        "Wait a minute.",
    ),
    "JB2953": Refusal(
        (502, 503, 504), 503, "the query service does not answer now",
        "Ask again in a minute; if that lasts, call the centre.",
    ),
    "JB2954": Refusal(
        (400, 404, 405), 400, "this is no query that is sent to /query by POST",
        query.CURES["JB2954"],
    ),
}  # fmt: skip
"""Code → refusal of nginx itself. What the program refuses has codes of its own."""

ASKING = f"""\
# Asks what is given with it: curl --config {TERMINAL}/query.conf --data-binary @query.json
url = "https://{{host}}:{{port}}{query.PATH}"
cacert = "{TERMINAL}/ca.crt"
cert = "{TERMINAL}/terminal.crt"
key = "{TERMINAL}/terminal.key"
max-time = {2 * ANSWER_SECONDS}
silent
show-error
"""
SERVICE = f"""\
[Unit]
Description=Answers to what people ask at terminals
After={postgresql.UNIT}
Before={nginx.UNIT}

[Service]
User={services.USER}
Group=www-data
RuntimeDirectory={STATE}
RuntimeDirectoryMode=0750
StateDirectory={STATE}
StateDirectoryMode=0700
UMask=0077
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
RestrictAddressFamilies=AF_UNIX
MemoryMax=128M
ExecStart=/usr/bin/python3 -I {PROGRAM} {FOLDER} /var/lib/{STATE} {SOCKET}
Restart=always
RestartSec=1

[Install]
WantedBy=multi-user.target
"""


def files(intent: Intent) -> list[File]:
    """Settings of nginx, program, what it is told and unit, at a host that answers terminals; at a terminal, where to ask."""
    if intent.asks:
        text = ASKING.format(host=intent.asks.host, port=intent.asks.port)
        return [File(f"{TERMINAL}/query.conf", text, "terminal")]
    asked = intent.queries
    if asked is None:
        return []
    conf = nginx.settings(
        "query.conf.j2", "terminal", asked.service.asked, query.PATH, query.ANSWERED, REFUSALS, folder=FOLDER, socket=SOCKET,
        pinned="terminals.crt", level="crit", waiting=WAITING, per_minute=PER_MINUTE, burst=BURST, answer_seconds=ANSWER_SECONDS,
        openers=asked.openers,
    )  # fmt: skip
    told = {
        "region": asked.service.region,
        "database": postgresql.NAME,
        "questions": catalogue.shipped().tables.described(asked.service.questions),
    }
    terminals = {each.device: each.certificate for each in asked.service.terminals}
    role = "query"
    # nginx reads certificates that are laid beside it at apply: it looks at the whole, once everything is in place.
    return [
        *program.files(__name__, "query", ["answering", "upstream"], unit=UNIT),
        File(f"{FOLDER}/query.json", _text(told), role, unit=UNIT, action="restart"),
        File(f"/etc/systemd/system/{UNIT}", SERVICE, role, unit=UNIT, action="restart"),
        File("/etc/nginx/nginx.conf", conf, role, validator="/usr/sbin/nginx -t", unit=nginx.UNIT),
        File(f"{FOLDER}/terminals.json", _text(terminals), role),
    ]


def _text(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value)).decode() + "\n"
