"""`database.answers`: every database host answers SQL, keeps a row, has room on its disk, and listens in its own zone only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ground import remote
from ground.record import Measure, Record
from ip_plan import addressing
from ip_plan.network import Device
from monitoring.checks.look import Found, Look, hosts, some, subject

CHECK = "database.answers"
METHOD = "SQL over the local socket; listening sockets and free disk of the host"
ROOM_BYTES = 512 * 1024 * 1024
"""What has to be free where its data lie: sample data, thirty-two segments of WAL. PostgreSQL stops when it cannot write one."""
DATABASE = "jinbao"
SQL = """\
SELECT json_build_object('version', current_setting('server_version'), 'recovery', pg_is_in_recovery());
DELETE FROM canary WHERE note = 'check' AND at < clock_timestamp() - interval '1 day';
INSERT INTO canary (note) VALUES ('check') RETURNING json_build_object('written', id);
SELECT json_build_object('read', max(id)) FROM canary WHERE note = 'check';
"""
PROGRAM = (
    f"cd /; runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 -d {DATABASE} -f - 2>&1; echo; echo ----; "
    "ss -Hltn 'sport = :5432' | awk '{print $4}'; echo ----; df -B1 --output=avail /var/lib/postgresql"
)


class Answer(msgspec.Struct, frozen=True):
    """What one host said."""

    said: dict[str, Any]
    """`version`, `recovery`, `written`, `read`, as far as it came."""
    listening: tuple[str, ...]
    """Local addresses on which port 5432 listens."""
    trouble: str
    """What psql said besides."""
    room: float | None = None
    """Bytes that are free on its disk; None: not told."""


def read(out: str) -> Answer:
    """What `PROGRAM` printed."""
    head, _, rest = out.partition("----\n")
    tail, _, free = rest.partition("----\n")
    said: dict[str, Any] = {}
    trouble = []
    for line in filter(None, map(str.strip, head.splitlines())):
        if line.startswith("{"):
            said |= msgspec.json.decode(line)
        else:
            trouble.append(line)
    listening = tuple(line.rpartition(":")[0].strip("[]").partition("%")[0] for line in tail.split())
    room = free.split()[-1:]
    return Answer(said, listening, " ".join(trouble), float(room[0]) if room and room[0].isdigit() else None)


def run(look: Look) -> Found:
    """Ask every database host; one record each."""
    listed = [host for host in hosts(look.network) if "database" in host.duties]
    look.told(f"databases: {len(listed)} hosts")
    given = {host.name: SQL.encode() for host in listed}
    answers = remote.run_all(look.session, {host.name: PROGRAM for host in listed}, given=given)
    return Found(tuple(judge(look, host, answers[host.name]) for host in listed))


def judge(look: Look, host: Device, answer: remote.Answer) -> Record:
    """The record of one host."""
    site = look.network.sites[host.site]
    service = next(
        (
            s
            for s in look.network.services_at.get((site.key, host.zone), ())
            if s.device == host.name and s.name == "db"
        ),
        None,
    )
    measures: tuple[Measure, ...] = ()
    seen = 0
    if answer.code is None:
        result, reason = "not-observed", answer.err.strip() or "no answer"
    else:
        try:
            found = read(answer.out)
        except (msgspec.MsgspecError, TypeError) as why:
            found = Answer({}, (), f"unreadable answer: {why}")
        faults = _faults(found, _prefixes(look, host))
        told = (found.said.get("version"), found.said.get("written"), found.listening, found.room is not None)
        seen = sum(map(bool, told))
        result = "fail" if faults else "pass"
        reason = (
            some(faults)
            or f"PostgreSQL {found.said['version']} answers and keeps a row; listens on {', '.join(found.listening)}"
        )
        measures = (Measure("faults", "", len(faults), 0.0),)
        if found.room is not None:
            measures += (Measure("room", "B", found.room),)
    return look.record(
        CHECK,
        subject(site, zone=host.zone, service="db", device=host.name),
        result,  # type: ignore[arg-type]
        reason,
        method=METHOD,
        key=(host, service),
        observer=host.name,
        seen=seen,
        expected=4,
        measures=measures,
    )


def _prefixes(look: Look, host: Device) -> Mapping[int, addressing.Block]:
    zone = look.network.sites[host.site].zone(host.zone)
    assert zone is not None  # a host stands in a zone of its site
    return {4: addressing.parse(zone.v4, 4), 6: addressing.parse(zone.v6, 6)}


def _faults(found: Answer, prefixes: Mapping[int, addressing.Block]) -> Sequence[str]:
    faults = []
    if not found.said.get("version"):
        faults.append(found.trouble or "no answer to SQL")
    elif found.said.get("recovery"):
        faults.append("it is in recovery and takes no rows")
    elif found.said.get("written") is None or found.said.get("read") != found.said["written"]:
        faults.append(f"the canary row was not kept: {found.trouble or 'not found again'}")
    if found.room is None:
        faults.append("it does not tell how much of its disk is free")
    elif found.room < ROOM_BYTES:
        faults.append(f"{found.room / 1e6:.0f} MB of its disk are free, it needs {ROOM_BYTES / 1e6:.0f} MB")
    if not [address for address in found.listening if address not in ("127.0.0.1", "::1")]:
        faults.append("it listens on no address that others reach")
    for address in found.listening:
        if address in ("127.0.0.1", "::1"):
            continue
        family = 6 if ":" in address or address == "*" else 4
        if address in ("*", "0.0.0.0", "::"):
            faults.append(f"it listens on every address ({address})")
        elif not addressing.contains(prefixes[family], addressing.parse(address, family), family):
            faults.append(f"it listens on {address}, outside its zone")
    return faults
