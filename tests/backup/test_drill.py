"""Drills on real nodes: PostgreSQL is killed, pgBackRest restores it to another machine, both losses are computed once more here."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from backup import audit, drill
from backup.drill import Course, Options
from ground.record import Record
from ground.remote import Session
from tests.backup import centre
from tests.backup.centre import PROTECTION, REPO, REPOSITORY, SCRATCH, SOURCE, told

NETWORK = centre.network()
SEED = 6  # of the drills whose losses are computed: with 15 s at most it kills 12 s after the last archived WAL
BUNDLE = f"{REPO}/backup/{centre.STANZA}/latest/bundle/1"
ARCHIVE = f"{REPO}/archive/{centre.STANZA}/15-1/0000000100000000"
# The middle of a file: its sum has to change.
FLIP = "f={file}; python3 - $f <<'PY'\nimport sys\nf = open(sys.argv[1], 'r+b')\nat = f.seek(0, 2) // 2\nf.seek(at)\nb = f.read(1)\n"
FLIP += "f.seek(at)\nf.write(bytes([b[0] ^ 1]))\nPY\n"
# Compressed zeros may say the same with another bit, not with sixteen other bytes.
SPOIL = FLIP.replace("f.read(1)", "f.read(16)").replace("[b[0] ^ 1]", "x ^ 255 for x in b")


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with centre.up(tmp_path_factory.mktemp("lab")) as made:
        told(made, REPOSITORY, f"cp -a {REPO} {REPO}.good")
        yield made


@pytest.fixture
def repository(session: Session) -> Iterator[None]:
    """Whatever a test does to the repository is undone: what stood there before it stands there again."""
    told(session, REPOSITORY, f"rm -rf {REPO}.good; cp -a {REPO} {REPO}.good")
    yield
    told(session, REPOSITORY, f"cp -a {REPO}.good/. {REPO}/")


def run(session: Session, **options: Any) -> tuple[Record, Course, dict[str, float]]:
    """A drill, its course, and when each step was told."""
    steps: dict[str, float] = {}

    def step(words: str) -> None:
        steps[words.partition(": ")[2].split()[0]] = time.monotonic()

    record, detail = drill.drill(NETWORK, session, "twin:x", PROTECTION, Options(**options), step)
    return record, msgspec.json.decode(detail, type=Course), steps


def measures(record: Record) -> dict[str, float]:
    return {measure.name: measure.value for measure in record.measures}


def rows(session: Session, course: Course) -> list[tuple[int, float]]:
    """The rows of a drill as the source has them now."""
    sql = f"SELECT id, extract(epoch FROM at) FROM canary WHERE note = 'drill {course.id}' ORDER BY id"
    out = told(session, SOURCE, f'cd /; runuser -u postgres -- psql -XAtq -F " " -d jinbao -c "{sql}"')
    return [(int(number), float(at)) for number, at in map(str.split, out.splitlines())]


def is_healthy(session: Session) -> bool:
    """Whether the source takes rows again and the scratch host is empty."""
    told(
        session,
        SOURCE,
        "cd /; runuser -u postgres -- psql -XAtq -d jinbao -c \"INSERT INTO canary (note) VALUES ('after')\"",
    )
    return told(session, SCRATCH, "ls -A /var/lib/postgresql | grep -vx 15 || true; pgrep -x postgres || true") == ""


def test_both_losses_are_what_they_are_and_follow_the_policy(session: Session) -> None:
    lost = {}
    for timeout in (30, 5):
        told(
            session,
            SOURCE,
            f"cd /; runuser -u postgres -- psql -Xq -c 'ALTER SYSTEM SET archive_timeout = {timeout}' -c 'SELECT pg_reload_conf()'",
        )
        record, course, steps = run(session, seed=SEED, longest_seconds=15)
        assert record.result == "pass", record.reason
        assert course.layer == "verified"
        kept = rows(session, course)
        assert course.restored is not None and course.restored_rows > 0
        # Independently: the last row the source has, and the one that came back, by the source's own table.
        at = dict(kept)
        rpo = kept[-1][1] - at[course.restored.id]
        assert measures(record)["rpo_seconds"] == pytest.approx(rpo, abs=1)
        rto = steps["verifying"] - steps["restoring"]
        assert measures(record)["rto_seconds"] == pytest.approx(rto, abs=1)
        assert measures(record)["rows_lost"] == pytest.approx(
            sum(number > course.restored.id for number, _ in kept), abs=1
        )
        assert is_healthy(session)
        lost[timeout] = rpo
    assert lost[30] > 10 > 8 > lost[5], lost


def test_a_drill_on_a_damaged_backup_fails_and_says_where(session: Session, repository: None) -> None:
    told(session, REPOSITORY, FLIP.format(file=BUNDLE))
    record, course, _ = run(session, seed=1, longest_seconds=1)
    assert (record.result, course.layer) == ("fail", "repository")
    assert "reached: the repository can be read. Then the restore failed: " in record.reason
    (named,) = {fault.file for fault in course.faults if fault.file.startswith(course.backup)}
    assert named in record.reason
    assert is_healthy(session)


def test_a_drill_without_the_wal_it_needs_fails_and_says_where(session: Session, repository: None) -> None:
    needed = told(
        session, REPOSITORY, f"cd {ARCHIVE}; ls | sed -n 's/^\\([0-9A-F]*\\)[.]0.*backup$/\\1/p' | tail -1"
    ).strip()
    told(session, REPOSITORY, f"rm {ARCHIVE}/{needed}-*")
    record, course, _ = run(session, seed=1, longest_seconds=1)
    assert (record.result, course.layer) == ("fail", "restored")
    assert "PostgreSQL does not start on what was restored" in record.reason
    assert needed in record.reason
    assert is_healthy(session)


@pytest.mark.parametrize(
    ("damage", "check", "words"),
    [
        (FLIP.format(file=BUNDLE), audit.CONTENT, "its sum is not the recorded one"),
        (SPOIL.format(file=f"$(ls {ARCHIVE}/*.zst | head -1)"), audit.CONTENT, "0000000100000000/00000001"),
        (f"truncate -s -20 $(ls {ARCHIVE}/*.zst | head -1)", audit.CONTENT, "0000000100000000/00000001"),
        (f"rm $(ls {ARCHIVE}/*.zst | sed -n 3p)", audit.CATALOGUE, "is missing"),
        (FLIP.format(file=f"{REPO}/backup/{centre.STANZA}/backup.info"), audit.CATALOGUE, "it and its copy differ"),
    ],
    ids=["backup", "wal", "truncated", "gap", "info"],
)
def test_the_audit_finds_what_exit_codes_hide(
    session: Session, repository: None, damage: str, check: str, words: str
) -> None:
    told(session, REPOSITORY, damage)
    found = {record.check: record for record in audit.audit(NETWORK, session, "twin:x", [PROTECTION]).records}
    assert found[check].result == "fail"
    assert words in found[check].reason
    assert found[audit.FRESHNESS].result == "pass"


def test_a_whole_repository_passes(session: Session) -> None:
    found = audit.audit(NETWORK, session, "twin:x", [PROTECTION])
    assert [(record.check, record.result) for record in found.records] == [
        (audit.FRESHNESS, "pass"),
        (audit.CATALOGUE, "pass"),
        (audit.CONTENT, "pass"),
    ], found.records
    assert found.records[2].seen > 1000


def test_a_scratch_host_that_is_in_use_is_left_alone(session: Session) -> None:
    told(
        session,
        SCRATCH,
        "mkdir -p /srv/other; cp /bin/sleep /srv/other/postgres; cd /srv/other; ./postgres 600 > /dev/null 2>&1 &",
    )
    try:
        record, course, _ = run(session, seed=1)
        assert record.result == "error"
        assert "PostgreSQL runs in /srv/other" in record.reason
        assert told(session, SCRATCH, "pgrep -cx postgres").strip() == "1"
        assert course.killed == "", "the source was not touched"
    finally:
        told(session, SCRATCH, "kill $(pgrep -x postgres)")


@pytest.mark.parametrize("gone", [SCRATCH, SOURCE])
def test_a_host_that_cannot_be_reached_is_no_finding_about_the_copy(session: Session, gone: str) -> None:
    reaches = {name: reach for name, reach in session.reaches.items() if name != gone}
    record, course, _ = run(Session(reaches, session.folder), seed=1)
    assert record.result == "not-observed"
    assert gone in record.reason
    assert course.killed == ""


def test_an_audit_that_cannot_look_has_not_passed(session: Session) -> None:
    reaches = {name: reach for name, reach in session.reaches.items() if name != REPOSITORY}
    found = audit.audit(NETWORK, Session(reaches, Path(session.folder)), "twin:x", [PROTECTION])
    assert {record.result for record in found.records} == {"not-observed"}
    assert all(record.seen == 0 < record.expected for record in found.records)
