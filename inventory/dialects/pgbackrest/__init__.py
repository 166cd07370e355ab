"""pgBackRest 2.45 over TLS: a repository host, the databases it keeps copies of, and a scratch host for drills.

Certificates come with the role: their common name is the device's full name, and the repository's also carries the name of its
service (pgBackRest matches names only, never addresses).
"""

from __future__ import annotations

from inventory.dialects.postgresql import DATA
from inventory.dialects.template import fill
from inventory.file import File
from inventory.intent import Intent, Stanza

REPOSITORY = "/var/lib/pgbackrest"
UNIT = "pgbackrest.service"
UNITS = "/etc/systemd/system"

# One unit for every stanza of a repository; each has a timer of its own.
FULL = """\
[Unit]
Description=Full backup of %i
After=pgbackrest.service

[Service]
Type=oneshot
User=postgres
ExecStart=/usr/bin/pgbackrest --stanza=%i --type=full backup
"""


def files(intent: Intent) -> list[File]:
    """pgbackrest.conf of a repository, database or scratch host; on a repository also the timers of full backups."""
    if intent.backup is None:
        return []
    conf = fill("pgbackrest/pgbackrest.conf.j2", backup=intent.backup, data=DATA, repository=REPOSITORY)
    unit = UNIT if intent.backup.serves else ""
    found = [File("/etc/pgbackrest/pgbackrest.conf", conf, "backup", "postgres", "postgres", "0640", unit=unit)]
    if not intent.backup.repository:
        found.append(File(f"{UNITS}/pgbackrest-full@.service", FULL, "backup"))
        found += [_timer(stanza) for stanza in intent.backup.stanzas]
    return found


def _timer(stanza: Stanza) -> File:
    name = f"pgbackrest-full-{stanza.name}.timer"
    text = fill("pgbackrest/full.timer.j2", stanza=stanza, calendar=calendar(stanza.full_interval_hours))
    return File(f"{UNITS}/{name}", text, "backup", unit=name, action="restart")


def calendar(hours: int) -> str:
    """When full backups start that may lie at most `hours` apart: weekly, daily, or at even parts of the day."""
    if hours >= 168:
        return "Sun *-*-* 03:00:00"
    if hours >= 24:
        return "*-*-* 03:00:00"
    even = max(part for part in (1, 2, 3, 4, 6, 8, 12) if part <= max(hours, 1))
    return f"*-*-* 00/{even}:00:00"
