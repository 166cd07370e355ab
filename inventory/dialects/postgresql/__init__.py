"""PostgreSQL 15: who may come in is exactly who the flows let through, and what it holds is what the catalogue gives its zone.

Subscribers show the certificate of their host, which a map ties to the role of their flow: no password of another host lies
anywhere. What a database takes from others is asked for every minute by a timer, since a publisher may come later than its
subscriber. What the exchange zone hands over to production goes by a timer too, after checks and a release that the database keeps
records of.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec

from inventory.dialects.template import fill
from inventory.file import File
from inventory.intent import Intent
from ip_plan import partners, queries
from ip_plan.catalogue import Question
from ip_plan.holding import Held

FOLDER = "/etc/postgresql/15/main"
DATA = "/var/lib/postgresql/15/main"
UNIT = "postgresql@15-main.service"
UNITS = "/etc/systemd/system"

NAME, OWNER, APPLICATION, AUDIT = "jinbao", "jinbao", "application", "audit"
"""The database and its roles by duty, as the role `database` makes them."""
REVIEWER, MOVER = "reviewer", "mover"
"""Who reviews what came in, and who asks for a move or releases it: persons are made members of these (S3 四(二)1, 三(二)2)."""

# What the entrance answers people; `%` is filled by the server.
SAME_PERSON = "JB1950  % asked for the move % and cannot release it"
UNKNOWN = "JB1951  there is no request %"
NOTHING = "JB1952  nothing waits at %"

WAL_KEEP_MEGABYTES = 4096
"""How much WAL a subscriber that is away may hold back: sample data, as no source sizes a database (domain 4.7)."""

JOB = f"""\
[Unit]
Description={{title}}
After={UNIT}
ConditionPathExists={DATA}/PG_VERSION

[Service]
Type=oneshot
User=postgres
ExecStart=/usr/bin/psql -Xq{{options}} -d {NAME} -f {FOLDER}/{{program}}
"""
TIMER = """\
[Unit]
Description={title}

[Timer]
OnActiveSec=60
OnUnitActiveSec=60

[Install]
WantedBy=timers.target
"""


class Answering(msgspec.Struct, frozen=True):
    """A role that answers others: it reads the columns of its questions, keeps a record, and can do nothing else."""

    user: str
    whom: str
    questions: Mapping[str, Question]
    record: str
    """The table of what was asked."""
    may: str
    """What it may do there."""


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
    written = [each for each in held.tables if not each.filled and each.full != queries.RECORD]
    contents = fill(
        "postgresql/databases.sql.j2", holding=held, schemas=sorted({each.schema for each in held.tables}),
        names={each.full for each in held.tables}, written=written,
        signature=signature, users=users, owner=OWNER, application=APPLICATION, audit=AUDIT, reviewer=REVIEWER, mover=MOVER,
        name=NAME, folder=FOLDER, same_person=SAME_PERSON, unknown=UNKNOWN, nothing=NOTHING, md5=md5,
        intake=_intake(intent), outside=partners.SCHEMA, register=partners.ASKED, answering=_answering(intent),
    )  # fmt: skip
    found += [
        File(f"{FOLDER}/pg_ident.conf", ident, role, "postgres", "postgres", "0640", unit=unit),
        File(f"{FOLDER}/databases.sql", contents, role, "postgres", "postgres", "0640"),
    ]
    asked = [each for each in taken if each.running or not lab]
    if asked:
        flows = fill("postgresql/flows.sql.j2", subscriptions=asked, name=NAME, folder=FOLDER)
        found += _each_minute(
            "flows", flows, ("Subscriptions of this database", ", asked for until they are there"), ""
        )
    handed = [each for each in held.deliveries if each.running or not lab]
    if handed:
        program = fill("postgresql/import.sql.j2", deliveries=handed)
        found += _each_minute(
            "import", program, ("What is handed over to production", ", each minute"), " -v ON_ERROR_STOP=1"
        )
    return found


def _each_minute(job: str, program: str, titles: tuple[str, str], options: str) -> list[File]:
    """A program of the database, with its service and the timer that starts it."""
    title, often = titles
    timer = f"jinbao-{job}.timer"
    service = JOB.format(title=title, options=options, program=f"{job}.sql")
    return [
        File(f"{FOLDER}/{job}.sql", program, "database", "postgres", "postgres", "0640"),
        File(f"{UNITS}/jinbao-{job}.service", service, "database"),
        File(f"{UNITS}/{timer}", TIMER.format(title=title + often), "database", unit=timer, action="restart"),
    ]


def md5(text: str) -> str:
    """As the server's own function of that name; it tells two texts apart and guards nothing."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _intake(intent: Intent) -> str:
    """The role that loads what outside bodies deliver; empty: none does here."""
    boxes = intent.boxes
    return boxes.user if boxes and boxes.fetcher == intent.device.name else ""


def _answering(intent: Intent) -> list[Answering]:
    """Whom roles of their own answer here."""
    front, asked, name = intent.front, intent.queries, f"{partners.SCHEMA}.{partners.ASKED}"
    found = []
    if front and front.desk == intent.device.name:
        found.append(Answering(front.user, "outside bodies", front.requests(), name, "select, insert"))
    if asked:
        found.append(Answering(queries.USER, "people", asked.service.questions, queries.RECORD, "insert"))
    return found


def signature(held: Held) -> str:
    """`schema.table(columns)`, with ` where` if filtered, as a publication's view is asked for it; columns in alphabetical order."""
    return f"{held.full}({','.join(sorted(held.table.columns))}){' where' if held.only else ''}"
