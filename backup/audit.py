"""The audit of copies, in layers whose names say what was proven; what only a restore proves is the drill's (`drill.py`).

`backup.freshness`: how old the newest copy is. `backup.catalogue`: both information files whole, WAL without a gap, every backup
with the WAL it needs. `backup.content`: every file read and its sum held.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from importlib.metadata import version

import msgspec

from backup import policy
from backup.drivers import pgbackrest
from backup.drivers.pgbackrest import Fault, Stanza
from ground import clock, files, remote
from ground.record import Measure, Record, Result, Subject
from ground.remote import Session
from ip_plan.network import Network, Protection

FRESHNESS, CATALOGUE, CONTENT = "backup.freshness", "backup.catalogue", "backup.content"
LATE = 1.25
"""Share of the interval after which a backup is late: timers have random delays, and a backup takes its time."""
LAST = (
    "cd /; runuser -u postgres -- psql -XAtq -d postgres -c "
    "\"SELECT coalesce(last_archived_wal, '') FROM pg_stat_archiver\""
)


class Found(msgspec.Struct, frozen=True):
    """Records, and the detail files they name by SHA-256."""

    records: tuple[Record, ...]
    details: tuple[bytes, ...] = ()


def audit(
    network: Network,
    session: Session,
    target: str,
    protections: Sequence[Protection],
    told: Callable[[str], None] = lambda step: None,
) -> Found:
    """Three records for each database."""
    records: list[Record] = []
    details: list[bytes] = []
    for one in protections:
        told(f"{one.device}: catalogue of {one.repository}")
        stanza = pgbackrest.info(session, one.repository, one.stanza)
        records.append(freshness(network, target, one, stanza, time.time()))
        for check, found in (
            (CATALOGUE, catalogue(session, one, stanza)),
            (CONTENT, content(session, one, told)),
        ):
            record, detail = _record(network, target, check, one, *found)
            records.append(record)
            details += [detail] if detail else []
    return Found(tuple(records), tuple(details))


def freshness(network: Network, target: str, one: Protection, stanza: Stanza | str, now: float) -> Record:
    """Whether the newest backup is as young as the policy wants it."""
    limit = one.full_interval_hours * 3600 * LATE
    measures: tuple[Measure, ...] = ()
    result: Result
    if isinstance(stanza, str):
        result, reason = _cannot(stanza)
    elif stanza.newest is None:
        result, reason = "fail", f"{one.repository} holds no usable backup of {one.stanza}: {stanza.message}"
    else:
        age = now - stanza.newest.stop
        measures = (Measure("backup_age", "s", round(age, 1), limit),)
        late = age > limit or stanza.status != 0
        result = "fail" if late else "pass"
        reason = f"the newest backup {stanza.newest.label} is {age / 3600:.1f} h old, every {one.full_interval_hours} h is wanted"
        reason += f"; {stanza.message}" if stanza.status else ""
    return _make(network, target, FRESHNESS, one, result, reason, 0 if isinstance(stanza, str) else 1, measures)


def catalogue(session: Session, one: Protection, stanza: Stanza | str) -> tuple[list[Fault] | str, str, int]:
    """What is wrong with the information files and the WAL; in words what was held, and how many files."""
    if isinstance(stanza, str):
        return stanza, "", 0
    pairs = pgbackrest.pairs(session, one.repository, one.stanza)
    if isinstance(pairs, str):
        return pairs, "", 0
    held = pgbackrest.files(session, one.repository, one.stanza)
    if isinstance(held, str):
        return held, "", 0
    # Asked of the database too: only it knows of WAL that the repository lost from its end.
    last = remote.run(session, one.device, LAST)
    archived = last.out.strip() if last.ok and pgbackrest.WAL_NAME.fullmatch(last.out.strip()) else ""
    found = [*pairs, *pgbackrest.wal_faults(held, stanza.backups, archived)]
    found += [Fault(path, "it is empty") for path, size in held.items() if size == 0]
    words = f"{len(stanza.backups)} backups, {len(held)} files of WAL without a gap"
    words += "" if archived else f"; {one.device} did not say what it archived last"
    return found, words, len(held)


def content(session: Session, one: Protection, told: Callable[[str], None]) -> tuple[list[Fault] | str, str, int]:
    """What is wrong with the contents of the repository."""
    told(f"{one.device}: contents of {one.repository}")
    found = pgbackrest.verify(session, one.repository, one.stanza)
    if isinstance(found, str):
        return found, "", 0
    return list(found.faults), f"{found.files} files read, every sum right", found.files


def _record(
    network: Network, target: str, check: str, one: Protection, found: list[Fault] | str, words: str, seen: int
) -> tuple[Record, bytes]:
    if isinstance(found, str):
        result, reason = _cannot(found)
        return _make(network, target, check, one, result, reason, 0, ()), b""
    if not seen:
        return _make(network, target, check, one, "error", "nothing was read", 0, ()), b""
    measures = (Measure("faults", "", len(found), 0.0), Measure("files", "", seen))
    if not found:
        return _make(network, target, check, one, "pass", words, seen, measures), b""
    lost = [fault for fault in found if fault.lost]
    detail = msgspec.json.encode(found)
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    reason = f"{len(lost)} of {len(found)} faults lose a backup: " if lost else "no backup is lost, yet: "
    reason += "; ".join(map(str, (lost or found)[:3])) + more
    return _make(network, target, check, one, "fail", reason, seen, measures, detail), detail


def _cannot(why: str) -> tuple[Result, str]:
    unreachable = any(words in why for words in ("no answer", "not in the reach", "connect", "Connection", "No route"))
    return ("not-observed" if unreachable else "error"), why


def _make(
    network: Network,
    target: str,
    check: str,
    one: Protection,
    result: Result,
    reason: str,
    seen: int,
    measures: tuple[Measure, ...],
    detail: bytes = b"",
) -> Record:
    return record(
        network,
        target,
        check,
        one,
        result,
        reason,
        "pgbackrest info, repo-ls and verify",
        one.repository,
        seen,
        seen or 1,
        measures,
        detail,
    )


def record(
    network: Network,
    target: str,
    check: str,
    one: Protection,
    result: Result,
    reason: str,
    method: str,
    observer: str,
    seen: int,
    expected: int,
    measures: tuple[Measure, ...],
    detail: bytes,
) -> Record:
    """A record about one protected database."""
    return Record(
        check=check,
        subject=Subject(
            region=policy.site(network, one).region,
            site=one.site,
            zone=one.zone,
            service=one.service,
            device=one.device,
            peer=one.repository,
        ),
        target=target,
        observer=observer,
        method=method,
        time=clock.now(),
        tool=f"jinbao {version('jinbao')}",
        input_key=network.key_of(check, one),
        result=result,
        reason=reason,
        seen=seen,
        expected=expected,
        measures=measures,
        detail=files.sha256(detail) if detail else "",
        change=network.change,
    )
