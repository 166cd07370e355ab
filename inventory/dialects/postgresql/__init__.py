"""PostgreSQL 15: who may come in is exactly who the flows let through, and what it holds is what the catalogue gives its zone.

Subscribers show the certificate of their host, which a map ties to the role of their flow: no password of another host lies
anywhere. What a database takes from others is asked for every minute by a timer, since a publisher may come later than its
subscriber.
"""

from __future__ import annotations

from inventory.dialects.template import fill
from inventory.file import File
from inventory.intent import Intent
from ip_plan import partners
from ip_plan.holding import Held

FOLDER = "/etc/postgresql/15/main"
DATA = "/var/lib/postgresql/15/main"
UNIT = "postgresql@15-main.service"
UNITS = "/etc/systemd/system"

NAME, OWNER, APPLICATION, AUDIT = "jinbao", "jinbao", "application", "audit"
"""The database and its roles by duty, as the role `database` makes them."""

WAL_KEEP_MEGABYTES = 4096
"""How much WAL a subscriber that is away may hold back: sample data, as no source sizes a database (domain 4.7)."""

FLOWS = f"""\
[Unit]
Description=Subscriptions of this database
After={UNIT}
ConditionPathExists={DATA}/PG_VERSION

[Service]
Type=oneshot
User=postgres
ExecStart=/usr/bin/psql -Xq -d {NAME} -f {FOLDER}/flows.sql
"""
TIMER = """\
[Unit]
Description=Subscriptions of this database, asked for until they are there

[Timer]
OnActiveSec=60
OnUnitActiveSec=60

[Install]
WantedBy=timers.target
"""


def files(intent: Intent, *, lab: bool) -> list[File]:
    """Settings, access, contents and subscriptions. On a scratch host settings alone, and no unit: a drill starts the server."""
    database = intent.database
    if database is None:
        return []
    held = database.holding
    role, unit = ("database", UNIT) if held else ("backup", "")
    given, taken = (held.publications, held.subscriptions) if held else ((), ())
    # A table that is copied for the first time takes a slot of its own for as long as that lasts.
    slots = 10 + 3 * (sum(len(each.subscribers) for each in given) + len(taken))
    conf = fill(
        "postgresql/jinbao.conf.j2", database=database, folder=FOLDER, slots=slots, workers=4 + 2 * len(taken),
        wal_keep_megabytes=WAL_KEEP_MEGABYTES,
    )  # fmt: skip
    access = fill("postgresql/pg_hba.conf.j2", database=database, name=NAME)
    found = [
        File(f"{FOLDER}/conf.d/jinbao.conf", conf, role, "postgres", "postgres", "0644", unit=unit, action="restart"),
        File(f"{FOLDER}/pg_hba.conf", access, role, "postgres", "postgres", "0640", unit=unit),
    ]
    if held is None:
        return found
    ident = fill("postgresql/pg_ident.conf.j2", holding=held)
    users = (APPLICATION, AUDIT, *(each.user for each in given))
    contents = fill(
        "postgresql/databases.sql.j2", holding=held, schemas=sorted({each.schema for each in held.tables}),
        names={each.full for each in held.tables}, written=[each for each in held.tables if not each.filled],
        signature=signature, users=users, owner=OWNER, application=APPLICATION, audit=AUDIT, intake=_intake(intent),
        outside=partners.SCHEMA,
    )  # fmt: skip
    found += [
        File(f"{FOLDER}/pg_ident.conf", ident, role, "postgres", "postgres", "0640", unit=unit),
        File(f"{FOLDER}/databases.sql", contents, role, "postgres", "postgres", "0640"),
    ]
    asked = [each for each in taken if each.running or not lab]
    if asked:
        flows = fill("postgresql/flows.sql.j2", subscriptions=asked, name=NAME, folder=FOLDER)
        timer = "jinbao-flows.timer"
        found += [
            File(f"{FOLDER}/flows.sql", flows, role, "postgres", "postgres", "0640"),
            File(f"{UNITS}/jinbao-flows.service", FLOWS, role),
            File(f"{UNITS}/{timer}", TIMER, role, unit=timer, action="restart"),
        ]
    return found


def _intake(intent: Intent) -> str:
    """The role that loads what outside bodies deliver; empty: none does here."""
    boxes = intent.boxes
    return boxes.user if boxes and boxes.fetcher == intent.device.name else ""


def signature(held: Held) -> str:
    """`schema.table(columns)` as the publication's catalogue view is asked for it, columns in the order of the alphabet."""
    return f"{held.full}({','.join(sorted(held.table.columns))})"
