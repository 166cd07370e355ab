"""pgBackRest 2.45 over TLS: a repository host, the databases it keeps copies of, and a scratch host for drills.

Certificates come with the role: their common name is the device's full name, and the repository's also carries the name of its
service (pgBackRest matches names only, never addresses).
"""

from __future__ import annotations

from inventory.dialects.postgresql import DATA
from inventory.dialects.template import fill
from inventory.file import File
from inventory.intent import Intent

REPOSITORY = "/var/lib/pgbackrest"
UNIT = "pgbackrest.service"


def files(intent: Intent) -> list[File]:
    """pgbackrest.conf of a repository, database or scratch host."""
    if intent.backup is None:
        return []
    conf = fill("pgbackrest/pgbackrest.conf.j2", backup=intent.backup, data=DATA, repository=REPOSITORY)
    unit = UNIT if intent.backup.serves else ""
    return [File("/etc/pgbackrest/pgbackrest.conf", conf, "backup", "postgres", "postgres", "0640", unit=unit)]
