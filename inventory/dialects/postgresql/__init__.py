"""PostgreSQL 15: who may come in is exactly who the flows let through."""

from __future__ import annotations

from inventory.dialects.template import fill
from inventory.file import File
from inventory.intent import Intent

FOLDER = "/etc/postgresql/15/main"
DATA = "/var/lib/postgresql/15/main"
UNIT = "postgresql@15-main.service"


def files(intent: Intent) -> list[File]:
    """Settings and host-based authentication. On a scratch host no unit takes them up: a drill starts the server."""
    database = intent.database
    if database is None:
        return []
    running = "database" in intent.device.duties
    unit = UNIT if running else ""
    role = "database" if running else "backup"
    conf = fill("postgresql/jinbao.conf.j2", database=database, running=running)
    access = fill("postgresql/pg_hba.conf.j2", database=database)
    return [
        File(f"{FOLDER}/conf.d/jinbao.conf", conf, role, "postgres", "postgres", "0644", unit=unit, action="restart"),
        File(f"{FOLDER}/pg_hba.conf", access, role, "postgres", "postgres", "0640", unit=unit, action="reload"),
    ]
