"""A drill: the database is lost at a random moment, its copy is restored to an empty host, started and read; both losses are measured.

    RTO   from the order to restore to the first answer of the restored database
    RPO   the last row committed at the source before it was killed minus the last row after the restore

A writer commits about ten canary rows a second. The source stays down until the copy has been read, since it would go on
archiving the very rows that were lost; then it is started again, and the scratch host is emptied. Whatever happens in between,
those two are done.
"""

from __future__ import annotations

import contextlib
import queue
import random
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from typing import Literal

import msgspec

from backup import policy
from backup.audit import record
from backup.drivers import pgbackrest
from backup.drivers.pgbackrest import Fault
from backup.policy import Scratch
from ground import clock, remote
from ground.record import Measure, Record, Result
from ground.remote import Answer, Session
from ip_plan.network import Network, Protection

CHECK = "drill.restore"
METHOD = "restore of the newest backup and all archived WAL to an empty host, after the source was killed"

Layer = Literal["none", "repository", "restored", "started", "queried", "verified"]
LAYERS: tuple[Layer, ...] = ("none", "repository", "restored", "started", "queried", "verified")
WORDS = {
    "none": "nothing could be read",
    "repository": "the repository can be read",
    "restored": "the files are in place",
    "started": "PostgreSQL runs on them",
    "queried": "the canary was read",
    "verified": "every page and every canary row held",
}

# Below the home of PostgreSQL's user, on the volume that is made for data; never the place of a cluster that runs.
FOLDER = "/var/lib/postgresql/drill"
DATA = f"{FOLDER}/data"
SOCKET = f"{FOLDER}/socket"
DATABASE = "jinbao"
LONGEST = 900
"""Seconds after which a writer ends by itself, whatever became of the drill."""

# No listening address: nobody takes the copy for the database. Hot standby is off, so that the first answer is that of a
# database that takes rows, and no setting has to match the source's. Its subscriptions stay asleep: they name the source's slots.
CONF = f"""\
listen_addresses = ''
unix_socket_directories = '{SOCKET}'
hba_file = '{FOLDER}/pg_hba.conf'
archive_mode = off
hot_standby = off
max_logical_replication_workers = 0
fsync = on
"""

LOOK = f"""\
cd /
for pid in $(pgrep -x postgres); do
  folder=$(readlink /proc/$pid/cwd)
  [ "$folder" = {DATA} ] || {{ echo "PostgreSQL runs in $folder"; exit 3; }}
done
test -x /usr/bin/pgbackrest || {{ echo "pgBackRest is not installed"; exit 3; }}
df --output=avail -B1 /var/lib/postgresql | tail -1
"""

EMPTY = f"""\
cd /
for i in $(seq 50); do
  left=
  for pid in $(pgrep -x postgres); do
    [ "$(readlink /proc/$pid/cwd)" = {DATA} ] && kill -9 $pid && left=1
  done
  [ -n "$left" ] || break
  sleep 0.1
done
rm -rf {FOLDER}
test ! -e {FOLDER}
"""

PREPARE = f"""\
set -e
install -d -o postgres -g postgres -m 0700 {FOLDER} {DATA} {SOCKET}
cat > {FOLDER}/postgresql.conf <<'CONF'
{CONF}CONF
echo 'local all postgres peer' > {FOLDER}/pg_hba.conf
"""

# Not pg_ctl -w: it returns while recovery is still going on.
START = f"""\
cd /
ctl="runuser -u postgres -- /usr/lib/postgresql/$(cat {DATA}/PG_VERSION)/bin/pg_ctl -s -D {DATA}"
$ctl start -W -l {FOLDER}/log -o '-c config_file={FOLDER}/postgresql.conf' < /dev/null > /dev/null 2>&1
end=$(( $(date +%s) + %d ))
sleep 0.1
until runuser -u postgres -- psql -h {SOCKET} -XAtq -d {DATABASE} -c 'SELECT 1' > /dev/null 2> {FOLDER}/said; do
  if ! $ctl status > /dev/null || [ $(date +%s) -gt $end ]; then
    cat {FOLDER}/said >&2
    tail -n 40 {FOLDER}/log >&2
    exit 1
  fi
  sleep 0.05
done
"""

VERIFY = f"""\
cd /
bin=/usr/lib/postgresql/$(cat {DATA}/PG_VERSION)/bin
runuser -u postgres -- $bin/pg_amcheck -h {SOCKET} --all --install-missing --heapallindexed 2>&1 || exit 4
runuser -u postgres -- $bin/pg_ctl stop -w -s -m fast -D {DATA} 2>&1 || exit 5
if [ "$(runuser -u postgres -- $bin/pg_controldata {DATA} | sed -n 's/^Data page checksum version: *//p')" = 0 ]; then
  echo 'pages have no checksums'
else
  runuser -u postgres -- $bin/pg_checksums --check -D {DATA} 2>&1 || exit 6
fi
"""

# The cluster on the port of the service, as `<version> <name>`.
CLUSTER = "pg_lsclusters -h | awk '$3 == 5432 {print $1, $2; exit}'"
POWER = {
    "off": "systemctl kill --kill-whom=all --signal=KILL {unit}; "
    "for i in $(seq 50); do systemctl is-active -q {unit} || exit 0; sleep 0.1; done; exit 1",
    "on": "systemctl reset-failed {unit} 2> /dev/null; systemctl start {unit}",
}


class Row(msgspec.Struct, frozen=True):
    """A canary row: its number and when it was written, seconds since 1970 by the source's clock."""

    id: int
    at: float


class Step(msgspec.Struct, frozen=True):
    """One layer that was reached, and how long it took."""

    layer: Layer
    seconds: float


class Course(msgspec.Struct):
    """What happened in a drill; the detail of its record."""

    id: str
    seed: int
    source: str
    scratch: str
    started: str
    steps: list[Step] = []
    committed: list[Row] = []
    """First and last row whose commit the source acknowledged."""
    rows: int = 0
    """How many it acknowledged."""
    killed: str = ""
    restored: Row | None = None
    """The last of them after the restore."""
    restored_rows: int = 0
    backup: str = ""
    rpo_seconds: float | None = None
    rto_seconds: float | None = None
    faults: list[Fault] = []
    notes: list[str] = []
    unhealed: list[str] = []
    """What could not be put back as it was."""

    @property
    def layer(self) -> Layer:
        """The highest layer reached."""
        return self.steps[-1].layer if self.steps else "none"


class Options(msgspec.Struct, frozen=True):
    """How a drill is run. `power_off` and `power_on` take the place of killing and starting PostgreSQL over SSH."""

    seed: int = 0
    """0: drawn from the clock; the record's detail tells it."""
    longest_seconds: float = 0
    """Up to how long after the last archived WAL the kill comes; 0: one and a half times the archive timeout."""
    power_off: Callable[[str], None] | None = None
    power_on: Callable[[str], None] | None = None


class Stop(Exception):
    """The drill cannot go on."""

    def __init__(self, result: Result, reason: str) -> None:
        super().__init__(reason)
        self.result: Result = result
        self.reason = reason


def drill(
    network: Network,
    session: Session,
    target: str,
    protection: Protection,
    options: Options = Options(),  # noqa: B008  (a value)
    told: Callable[[str], None] = lambda step: None,
) -> tuple[Record, bytes]:
    """Run one drill; its record and the detail it names. Raises JB5101 before anything is touched."""
    scratch = policy.scratch(network, protection)
    seed = options.seed or time.time_ns() % 1_000_000_007
    course = Course(
        f"{protection.stanza}-{seed}-{int(time.time())}", seed, protection.device, scratch.device, clock.now()
    )
    result: Result = "error"
    try:
        with _ended(session, scratch, course):
            ready(session, protection, scratch, course)
            with _source(session, protection, options, course, told):
                restore(session, protection, scratch, course, told)
        result, reason = verdict(protection, course)
    except Stop as stop:
        result, reason = stop.result, stop.reason
    if course.unhealed:
        result, reason = "error", f"{'; '.join(course.unhealed)} ({reason})"
    return _record(network, target, protection, course, result, reason)


def ready(session: Session, protection: Protection, scratch: Scratch, course: Course) -> None:
    """See that the scratch host is there and empty, and that it can read a backup that fits. Raises Stop."""
    looked = remote.run(session, scratch.device, "bash -s", given=LOOK.encode())
    if looked.code is None:
        raise Stop("not-observed", f"{scratch.device}: {looked.err.strip()}")
    if not looked.ok:
        raise Stop(
            "error", f"{scratch.device} is not empty, and was left alone: {looked.out.strip() or looked.err.strip()}"
        )
    start = time.monotonic()
    stanza = pgbackrest.info(session, scratch.device, protection.stanza)
    if isinstance(stanza, str):
        raise Stop("fail", f"reached: nothing. {scratch.device} cannot read the repository: {stanza}")
    if stanza.newest is None:
        raise Stop(
            "fail", f"reached: nothing. The repository holds no usable backup of {protection.stanza}: {stanza.message}"
        )
    course.backup = stanza.newest.label
    free = int(looked.out.split()[-1])
    if free < stanza.newest.size * 1.2:
        raise Stop(
            "error",
            f"{scratch.device} has {free / 1e9:.1f} GB free, the database takes {stanza.newest.size / 1e9:.1f} GB",
        )
    course.steps.append(Step("repository", round(time.monotonic() - start, 3)))


@contextlib.contextmanager
def _ended(session: Session, scratch: Scratch, course: Course) -> Iterator[None]:
    """Leave the scratch host empty, whatever happened."""
    try:
        yield
    finally:
        emptied = empty(session, scratch)
        if emptied.code is None and not course.steps:
            pass  # it was never reached, so nothing is there
        elif not emptied.ok:
            course.unhealed.append(f"{scratch.device} could not be emptied: {(emptied.err or emptied.out).strip()}")


def empty(session: Session, scratch: Scratch) -> Answer:
    """Remove what drills left on the scratch host: their folder and a PostgreSQL that runs in it, nothing else."""
    return remote.run(session, scratch.device, "bash -s", given=EMPTY.encode(), seconds=120)


# --- the source ------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _source(
    session: Session, protection: Protection, options: Options, course: Course, told: Callable[[str], None]
) -> Iterator[None]:
    """Write, kill at a random moment, and start again at the end. Raises Stop."""
    device = protection.device
    unit = _unit(session, device)
    with writing(session, device, course) as rows:
        told(f"{device}: writing canary rows")
        first = _first(rows)
        _wait_archived(session, device, protection)
        longest = options.longest_seconds or 1.5 * protection.archive_timeout_seconds
        wait = random.Random(course.seed).uniform(0.5, max(longest, 1.0))
        told(f"{device}: killed at a random moment within {longest:g} s")
        time.sleep(wait)
        try:
            power(session, device, unit, "off", options.power_off)
            course.killed = clock.now()
            last, count = _drain(rows)
            course.committed = [first, last or first]
            course.rows = count + 1
            yield
        finally:
            told(f"{device}: started again")
            try:
                power(session, device, unit, "on", options.power_on)
                _heal(session, device, course)
            except Stop as stop:
                course.unhealed.append(stop.reason)


def _unit(session: Session, device: str) -> str:
    found = remote.run(session, device, CLUSTER)
    if found.code is None:
        raise Stop("not-observed", f"{device}: {found.err.strip()}")
    words = found.out.split()
    if len(words) != 2:
        raise Stop(
            "error", f"{device} has no PostgreSQL cluster on port 5432: {found.err.strip() or found.out.strip()}"
        )
    return f"postgresql@{words[0]}-{words[1]}.service"


def power(
    session: Session, device: str, unit: str, way: Literal["off", "on"], hook: Callable[[str], None] | None = None
) -> None:
    """Kill every process of the database at once, or start it. Raises Stop when it does not come to that."""
    if hook is not None:
        hook(device)
        return
    done = remote.run(session, device, POWER[way].format(unit=unit), seconds=120)
    if not done.ok:
        words = "could not be killed" if way == "off" else "could not be started again"
        raise Stop("error", f"{device}: {unit} {words}: {(done.err or done.out).strip() or 'no answer'}")


@contextlib.contextmanager
def writing(session: Session, device: str, course: Course) -> Iterator[queue.SimpleQueue[Row | None]]:
    """A writer of about ten rows a second. Rows come into the queue when the source has said that they are kept; None: it ended."""
    statement = f"INSERT INTO canary (note) VALUES ('drill {course.id}') RETURNING id, extract(epoch FROM at)"
    program = (
        f'cd /; for i in $(seq {LONGEST * 10}); do echo "{statement};" || break; sleep 0.1; done '
        f"| runuser -u postgres -- psql -XAtq -F ' ' -d {DATABASE}"
    )
    process = subprocess.Popen(
        [*session.command(device), program],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    rows: queue.SimpleQueue[Row | None] = queue.SimpleQueue()

    def read() -> None:
        assert process.stdout
        for line in process.stdout:
            if found := re.fullmatch(r"(\d+) (\d+\.\d+)\s*", line):
                rows.put(Row(int(found[1]), float(found[2])))
        rows.put(None)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield rows
    finally:
        process.terminate()
        process.wait()


def _first(rows: queue.SimpleQueue[Row | None]) -> Row:
    try:
        row = rows.get(timeout=20)
    except queue.Empty:
        row = None
    if row is None:
        raise Stop("error", f"the source takes no canary row in the database {DATABASE}")
    return row


def _drain(rows: queue.SimpleQueue[Row | None], seconds: float = 10) -> tuple[Row | None, int]:
    """The last row that was acknowledged, and how many there were; waits until the writer has ended."""
    last, count, end = None, 0, time.monotonic() + seconds
    with contextlib.suppress(queue.Empty):
        while (row := rows.get(timeout=max(0.0, end - time.monotonic()))) is not None:
            last, count = row, count + 1
    return last, count


def _wait_archived(session: Session, device: str, protection: Protection) -> None:
    """Let one WAL file with rows of this drill reach the repository, so that there is something to find. Raises Stop.

    The switch is asked for, to save half a minute; from then on the archive timeout alone decides.
    """
    script = f"""\
cd /
q() {{ runuser -u postgres -- psql -XAtq -d {DATABASE} -c "$1"; }}
wal=$(q 'SELECT pg_walfile_name(pg_switch_wal())') || exit 1
for i in $(seq {10 * max(60, 2 * protection.archive_timeout_seconds)}); do
  [ "$(q "SELECT coalesce(last_archived_wal, '') >= '$wal' FROM pg_stat_archiver")" = t ] && exit 0
  sleep 0.1
done
q 'SELECT last_failed_wal, last_failed_time FROM pg_stat_archiver' >&2
exit 2
"""
    done = remote.run(
        session, device, "bash -s", given=script.encode(), seconds=max(90, 3 * protection.archive_timeout_seconds)
    )
    if not done.ok:
        said = (done.err or done.out).strip()
        raise Stop("fail", f"reached: the repository can be read. {device} does not get its WAL archived: {said}")


def _heal(session: Session, device: str, course: Course) -> None:
    """See that the source answers again and kept every row it had acknowledged; remove the rows of older drills. Raises Stop."""
    first, last = (row.id for row in course.committed) if course.committed else (0, -1)
    script = f"""\
cd /
for i in $(seq 300); do
  if n=$(runuser -u postgres -- psql -XAtq -d {DATABASE} 2> /dev/null <<'SQL'
SELECT count(*) FROM canary WHERE note = 'drill {course.id}' AND id BETWEEN {first} AND {last};
DELETE FROM canary WHERE note LIKE 'drill %' AND note <> 'drill {course.id}' AND at < clock_timestamp() - interval '1 day';
SQL
  ); then echo "$n"; exit 0; fi
  sleep 0.1
done
exit 1
"""
    done = remote.run(session, device, "bash -s", given=script.encode(), seconds=90)
    if not done.ok or not done.out.strip().isdigit():
        raise Stop("error", f"{device} does not answer after it was started again: {(done.err or done.out).strip()}")
    lost = course.rows - int(done.out)
    if lost > 0:
        course.notes.append(f"{device} itself lost {lost} acknowledged rows in the crash")


# --- the copy --------------------------------------------------------------------------------------------------------


def restore(
    session: Session, protection: Protection, scratch: Scratch, course: Course, told: Callable[[str], None]
) -> None:
    """Restore, start, read, verify on the scratch host; the course tells how far it came. Raises Stop where it ends."""
    device = scratch.device
    limit = max(600, protection.rto_seconds)
    order = time.monotonic()

    def reached(layer: Layer, since: float) -> float:
        course.steps.append(Step(layer, round(time.monotonic() - since, 3)))
        return time.monotonic()

    told(f"{device}: restoring")
    prepared = empty(session, scratch)
    if prepared.ok:
        prepared = remote.run(session, device, "bash -s", given=PREPARE.encode())
    if not prepared.ok:
        raise Stop("error", f"{device} cannot be prepared: {(prepared.err or prepared.out).strip()}")
    restored = remote.run(session, device, pgbackrest.restore(protection.stanza, DATA), seconds=limit)
    if not restored.ok:
        _failed(session, protection, course, "the restore failed", pgbackrest.faults(restored))
    since = reached("restored", order)
    told(f"{device}: starting PostgreSQL")
    started = remote.run(session, device, "bash -s", given=START.replace("%d", str(limit)).encode(), seconds=limit + 30)
    if not started.ok:
        _failed(session, protection, course, "PostgreSQL does not start on what was restored", _log_faults(started.err))
    since = reached("started", since)
    rows = _query(session, device, course)
    course.rto_seconds = round(time.monotonic() - order, 3)
    since = reached("queried", since)
    told(f"{device}: verifying")
    wrong = _wrong_rows(rows, course)
    verified = remote.run(session, device, "bash -s", given=VERIFY.encode(), seconds=3600)
    if not verified.ok:
        wrong.append(Fault("", (verified.out + verified.err).strip()[:1000] or "the verification did not end"))
    elif "no checksums" in verified.out:
        course.notes.append("the cluster has no page checksums")
    if wrong:
        course.faults += wrong
        raise Stop("fail", f"{_reached(course)} What was restored is not right: {wrong[0]}")
    reached("verified", since)


def _query(session: Session, device: str, course: Course) -> list[int]:
    sql = f"SELECT id, extract(epoch FROM at) FROM canary WHERE note = 'drill {course.id}' ORDER BY id"
    line = f"cd /; runuser -u postgres -- psql -h {SOCKET} -XAtq -F ' ' -d {DATABASE} -f -"
    given = f"{sql};\nSELECT 'last', id, extract(epoch FROM at) FROM canary ORDER BY id DESC LIMIT 1;\n"
    answer = remote.run(session, device, line, given=given.encode(), seconds=60)
    found = [line.split() for line in answer.out.splitlines()]
    if not answer.ok or not found:
        raise Stop(
            "fail", f"{_reached(course)} The canary cannot be read: {(answer.err or answer.out).strip() or 'no rows'}"
        )
    rows = [Row(int(words[0]), float(words[1])) for words in found if len(words) == 2]
    course.restored_rows = len(rows)
    course.restored = rows[-1] if rows else Row(int(found[-1][1]), float(found[-1][2]))
    if not rows:
        course.notes.append("no row of this drill came back")
    if course.committed:
        course.rpo_seconds = round(max(0.0, course.committed[-1].at - course.restored.at), 3)
    return [row.id for row in rows]


def _wrong_rows(ids: list[int], course: Course) -> list[Fault]:
    """Whether rows are missing before the last one that came back, or more came back than were written."""
    if not ids or not course.committed:
        return []
    # A sequence may skip numbers after a crash, never within one session.
    expected = range(course.committed[0].id, ids[-1] + 1)
    missing = sorted(set(expected) - set(ids))
    return [Fault("canary", f"rows {missing[0]}–{missing[-1]} are missing before the last one")] if missing else []


def _log_faults(log: str) -> list[Fault]:
    """What PostgreSQL's log says of its failed start, the missing WAL by name."""
    found = [
        Fault(name, "it is not in the archive")
        for name in re.findall(r"unable to find ([0-9A-F]{24}) in the archive", log)
    ]
    lines = [line for line in log.splitlines() if re.search(r"(FATAL|PANIC):", line)]
    return [*found, *(Fault("", re.sub(r"^.*?((?:FATAL|PANIC): .*)", r"\1", line)) for line in lines)] or [
        Fault("", log.strip()[-300:])
    ]


def _failed(session: Session, protection: Protection, course: Course, what: str, found: list[Fault]) -> None:
    """Say what failed and where: what the tool named, and what an audit of the repository finds. Raises Stop."""
    course.faults += found
    stanza = pgbackrest.info(session, protection.repository, protection.stanza)
    held = pgbackrest.files(session, protection.repository, protection.stanza)
    if not isinstance(stanza, str) and not isinstance(held, str):
        newest = [stanza.newest] if stanza.newest else []
        course.faults += pgbackrest.wal_faults(held, newest)
    verified = pgbackrest.verify(session, protection.repository, protection.stanza)
    if not isinstance(verified, str):
        course.faults += verified.faults
    named = next((fault for fault in reversed(course.faults) if fault.file and fault.lost), found[0])
    first = "" if named == found[0] else f" ({found[0].what})"
    raise Stop("fail", f"{_reached(course)} Then {what}: {named}{first}")


def _reached(course: Course) -> str:
    return f"reached: {WORDS[course.layer]}."


# --- the record ------------------------------------------------------------------------------------------------------


def verdict(protection: Protection, course: Course) -> tuple[Result, str]:
    """Of a drill that came to its end: whether both losses keep the policy."""
    rpo, rto = course.rpo_seconds, course.rto_seconds
    assert rpo is not None and rto is not None  # the layer `queried` measures both
    lost = course.rows - course.restored_rows
    words = f"{WORDS[course.layer]}; RTO {rto:.1f} s of {protection.rto_seconds}, RPO {rpo:.1f} s of {protection.rpo_seconds}"
    words += f" ({lost} of {course.rows} rows lost), from {course.backup}"
    words += "".join(f"; {note}" for note in course.notes)
    kept = rpo <= protection.rpo_seconds and rto <= protection.rto_seconds and course.restored_rows > 0
    return ("pass" if kept else "fail"), words


def _record(
    network: Network, target: str, protection: Protection, course: Course, result: Result, reason: str
) -> tuple[Record, bytes]:
    measures = [Measure("layer", "", LAYERS.index(course.layer), float(LAYERS.index("verified")))]
    if course.rpo_seconds is not None:
        measures.append(Measure("rpo_seconds", "s", course.rpo_seconds, float(protection.rpo_seconds)))
        measures.append(Measure("rows_lost", "", course.rows - course.restored_rows))
    if course.rto_seconds is not None:
        measures.append(Measure("rto_seconds", "s", course.rto_seconds, float(protection.rto_seconds)))
    detail = msgspec.json.encode(course)
    made = record(
        network,
        target,
        CHECK,
        protection,
        result,
        reason,
        METHOD,
        course.scratch,
        LAYERS.index(course.layer),
        LAYERS.index("verified"),
        tuple(measures),
        detail,
    )
    return made, detail
