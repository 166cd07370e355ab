"""`backup.age`: what the repository host knows of every protected database: its newest backup, its WAL, its state."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ground import remote
from ground.record import Measure, Record
from ip_plan.network import Protection
from monitoring.checks.look import Found, Look, some, subject

CHECK = "backup.age"
METHOD = "pgbackrest info on the repository host, and the archiver of the database"
INFO = "cd /; runuser -u postgres -- pgbackrest info --output=json"
ARCHIVER = (
    "cd /; runuser -u postgres -- psql -XAtq -d postgres -c "
    "\"SELECT json_build_object('failed', failed_count, 'last', extract(epoch FROM clock_timestamp() - last_archived_time), "
    "'failing', coalesce(last_failed_time > last_archived_time, last_failed_time IS NOT NULL)) FROM pg_stat_archiver\""
)
LATE = 1.25
"""Share of the policy's interval after which a backup is late: a timer with random delay, and the time the backup takes."""


class Copy(msgspec.Struct, frozen=True):
    """What a repository says of one stanza."""

    repository: int
    status: int
    message: str
    newest: float
    """When the newest usable backup ended, seconds since 1970; 0: there is none."""
    label: str
    wal_min: str
    wal_max: str


def read(text: str) -> dict[str, list[Copy]]:
    """Stanza → one copy a repository, of `pgbackrest info --output=json`. Raises msgspec.MsgspecError."""
    found: dict[str, list[Copy]] = {}
    for stanza in msgspec.json.decode(text, type=list[dict[str, Any]]):
        backups = [one for one in stanza.get("backup", ()) if not one.get("error")]
        for repo in stanza.get("repo", [{"key": 1, "status": stanza["status"]}]):
            key = repo["key"]
            mine = [one for one in backups if one.get("database", {}).get("repo-key", 1) == key]
            newest = max(mine, key=lambda one: float(one["timestamp"]["stop"]), default=None)
            archives = [one for one in stanza.get("archive", ()) if one.get("database", {}).get("repo-key", 1) == key]
            last: Mapping[str, Any] = archives[-1] if archives else {}
            found.setdefault(stanza["name"], []).append(
                Copy(
                    repository=key,
                    status=repo["status"]["code"],
                    message=repo["status"]["message"],
                    newest=float(newest["timestamp"]["stop"]) if newest else 0.0,
                    label=newest["label"] if newest else "",
                    wal_min=last.get("min") or "",
                    wal_max=last.get("max") or "",
                )
            )
    return found


def run(look: Look) -> Found:
    """Ask every repository host and every protected database; one record a database."""
    running = {site.key for site in look.network.running()}
    listed = [one for one in look.network.protections if one.site in running]
    look.told(f"backups: {len(listed)} databases")
    infos = remote.run_all(look.session, {one.repository: INFO for one in listed})
    archivers = remote.run_all(look.session, {one.device: ARCHIVER for one in listed})
    now = time.time()
    return Found(tuple(judge(look, one, infos[one.repository], archivers[one.device], now) for one in listed))


def judge(look: Look, one: Protection, info: remote.Answer, archiver: remote.Answer, now: float) -> Record:
    """The record of one protected database. Age of the newest backup, WAL that arrives, no error in the repository."""
    site = look.network.sites[one.site]
    measures: list[Measure] = []
    copies: list[Copy] = []
    faults: list[str] = []
    trouble = ""
    if info.ok:
        try:
            copies = read(info.out).get(one.stanza, [])
        except (msgspec.MsgspecError, KeyError, TypeError) as why:
            trouble = f"{one.repository} gives an unreadable answer: {why}"
        else:
            faults += _faults(one, copies, now, measures)
    elif info.code is not None:
        trouble = f"{one.repository}: {_line(info)}"
    told = _archiver(archiver)
    if told is not None and told.get("failing"):
        faults.append(f"the archiver of {one.device} fails")
    if told is not None and told.get("last") is not None:
        measures.append(Measure("wal_age", "s", round(float(told["last"]), 1)))
    if info.code is None:
        result, reason = "not-observed", f"{one.repository}: {info.err.strip() or 'no answer'}"
    elif trouble:
        result, reason = "error", trouble
    elif faults:
        result, reason = "fail", some(faults)
    elif told is None:
        result, reason = "not-observed", f"{one.device} does not tell whether its WAL is archived: {_line(archiver)}"
    else:
        newest = max(copies, key=lambda copy: copy.newest)
        result, reason = "pass", f"{newest.label}, WAL {newest.wal_min} to {newest.wal_max}"
    return look.record(
        CHECK,
        subject(site, zone=one.zone, service=one.service, device=one.device, peer=one.repository),
        result,  # type: ignore[arg-type]
        reason,
        method=METHOD,
        key=(one,),
        observer=one.repository,
        seen=(info.code is not None and not trouble) + (told is not None),
        expected=2,
        measures=measures,
    )


def _faults(one: Protection, copies: Sequence[Copy], now: float, measures: list[Measure]) -> list[str]:
    if not copies:
        return [f"{one.repository} does not know the stanza {one.stanza}"]
    faults = []
    limit = one.full_interval_hours * 3600 * LATE
    for copy in copies:
        if copy.status:
            faults.append(f"repository {copy.repository}: {copy.message}")
        if not copy.newest:
            faults.append(f"repository {copy.repository} holds no usable backup")
            continue
        age = now - copy.newest
        measures.append(Measure("backup_age", "s", round(age, 1), limit))
        if age > limit:
            faults.append(
                f"the newest backup {copy.label} is {age / 3600:.1f} h old, the policy says every {one.full_interval_hours} h"
            )
        if age < -300:
            faults.append(f"the newest backup {copy.label} lies {-age:.0f} s in the future: the clocks disagree")
        if not copy.wal_max:
            faults.append(f"repository {copy.repository} holds no WAL")
    return faults


def _archiver(answer: remote.Answer) -> dict[str, Any] | None:
    if not answer.ok:
        return None
    try:
        found: dict[str, Any] = msgspec.json.decode(answer.out.strip())
    except msgspec.MsgspecError:
        return None
    return found


def _line(answer: remote.Answer) -> str:
    lines = (answer.err or answer.out).strip().splitlines()
    return lines[-1] if lines else f"exit {answer.code}"
