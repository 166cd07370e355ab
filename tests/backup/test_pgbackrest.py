"""What pgBackRest 2.45 prints, read with distrust: text recorded on real repositories that were damaged on purpose."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup import drill
from backup.drivers import pgbackrest
from backup.drivers.pgbackrest import Backup, Fault
from ground.remote import Answer

INFO = (
    '[{"archive":[{"database":{"id":1,"repo-key":1},"id":"15-1","max":"000000010000000000000002",'
    '"min":"000000010000000000000001"}],"backup":[{"archive":{"start":"000000010000000000000002",'
    '"stop":"000000010000000000000002"},"backrest":{"format":5,"version":"2.45"},"database":{"id":1,"repo-key":1},'
    '"error":false,"info":{"delta":30804849,"repository":{"delta":3767880,"size":3767880},"size":30804849},'
    '"label":"20261122-014106F","lsn":{"start":"0/2000028","stop":"0/2000138"},"prior":null,"reference":null,'
    '"timestamp":{"start":1795311666,"stop":1795311677},"type":"full"}],"cipher":"none","db":[{"id":1,"repo-key":1,'
    '"system-id":7710804823493275694,"version":"15"}],"name":"production","repo":[{"cipher":"none","key":1,'
    '"status":{"code":0,"message":"ok"}}],"status":{"code":0,"lock":{"backup":{"held":false}},"message":"ok"}}]'
)

CLEAN = """\
2026-11-22 01:43:51.828 P00   INFO: verify command begin 2.45: --output=text --stanza=production --verbose
2026-11-22 01:43:52.525 P00   INFO: stanza: production
stanza: production
status: ok
  archiveId: 15-1, total WAL checked: 2, total valid WAL: 2
    missing: 0, checksum invalid: 0, size invalid: 0, other: 0
  backup: 20261122-014106F, status: valid, total files checked: 1264, total valid files: 1264
    missing: 0, checksum invalid: 0, size invalid: 0, other: 0
"""
FLIPPED = """\
2026-11-22 01:43:52.475 P01   INFO: invalid checksum '20261122-014106F/pg_data/base/1/2838.zst'
stanza: production
status: error
  archiveId: 15-1, total WAL checked: 2, total valid WAL: 2
    missing: 0, checksum invalid: 0, size invalid: 0, other: 0
  backup: 20261122-014106F, status: invalid, total files checked: 1264, total valid files: 1263
    missing: 0, checksum invalid: 1, size invalid: 0, other: 0
"""
TRUNCATED = """\
2026-11-22 01:44:08.717 P01   INFO: invalid result 15-1/0000000100000000/000000010000000000000001-a9b4.zst: [29] raised from \
local-1 protocol: unexpected eof in compressed data
stanza: production
status: error
  archiveId: 15-1, total WAL checked: 3, total valid WAL: 2
    missing: 0, checksum invalid: 0, size invalid: 0, other: 1
"""
SILENT = """\
stanza: production
status: error
  backup: 20261122-014106F, status: invalid, total files checked: 1264, total valid files: 1263
    checksum invalid: 1
"""
RESTORE = (
    "ERROR: [026]: raised from local-1 protocol: error restoring '/var/lib/postgresql/drill/data/base/1/2838': actual checksum "
    "'db77412f922b063e48d729b16e95f5ccd01cf8f4' does not match expected checksum '4ba0c5cf6daa59fb06a5801d5f2d3a7e208b4f2a'\n"
    "       [ChecksumError] on retry after 0ms\n"
)


def test_info() -> None:
    stanza = pgbackrest.read_info(INFO, "production")
    assert not isinstance(stanza, str)
    assert stanza.newest and stanza.newest.label == "20261122-014106F" and stanza.newest.stop == 1795311677
    assert stanza.wal == ((1, "15-1", "000000010000000000000001", "000000010000000000000002"),)
    assert pgbackrest.read_info(INFO, "exchange") == "the stanza is not known there"
    assert pgbackrest.read_info("[]", "production") == "the stanza is not known there"


def test_a_backup_with_an_error_is_no_backup() -> None:
    stanza = pgbackrest.read_info(INFO.replace('"error":false', '"error":true'), "production")
    assert not isinstance(stanza, str) and stanza.newest is None


@pytest.mark.parametrize(
    ("text", "files", "faults"),
    [
        (CLEAN, 1266, []),
        (FLIPPED, 1266, ["20261122-014106F/pg_data/base/1/2838.zst: its sum is not the recorded one"]),
        (
            TRUNCATED,
            3,
            [
                "15-1/0000000100000000/000000010000000000000001-a9b4.zst: "
                "[29] raised from local-1 protocol: unexpected eof in compressed data"
            ],
        ),
        (SILENT, 1264, ["backup 20261122-014106F is invalid; checksum invalid: 1"]),
        (CLEAN.replace("status: ok", "status: error"), 1266, ["verify says error and does not say why"]),
    ],
)
def test_verify_is_read_by_its_text(text: str, files: int, faults: list[str]) -> None:
    found = pgbackrest.read_verify(text)
    assert not isinstance(found, str)
    assert (found.files, list(map(str, found.faults))) == (files, faults)


def test_a_verify_that_says_nothing_has_verified_nothing() -> None:
    assert isinstance(pgbackrest.read_verify(""), str)
    assert pgbackrest.read_verify("ERROR: [055]: unable to load info file") == "[055]: unable to load info file"


def test_a_failed_restore_names_the_file() -> None:
    (fault,) = pgbackrest.faults(Answer(26, "", RESTORE))
    assert fault.file == "/var/lib/postgresql/drill/data/base/1/2838" and "[026]" in fault.what


def test_a_failed_start_names_the_wal() -> None:
    log = (
        "2026-11-22 P00 INFO: unable to find 00000001000000000000000A in the archive\n"
        "2026-11-22 01:52:20 UTC [77] FATAL:  could not locate required checkpoint record\n"
    )
    assert list(map(str, drill._log_faults(log))) == [
        "00000001000000000000000A: it is not in the archive",
        "FATAL:  could not locate required checkpoint record",
    ]


def wal(running: int, timeline: str = "00000001", content: str = "a" * 40) -> str:
    return f"15-1/{timeline}00000000/{pgbackrest.name(timeline, running)}-{content}.zst"


def spanning(first: int, last: int) -> Backup:
    names = (pgbackrest.name("00000001", first), pgbackrest.name("00000001", last))
    return Backup("20261122-014106F", "full", 1, 0, 1, *names, 1, False)


@given(st.integers(0, 300), st.integers(1, 40), st.data())
def test_every_missing_wal_is_named_and_weighed(first: int, count: int, data: st.DataObject) -> None:
    last = first + count - 1
    lower = data.draw(st.integers(first, last))
    upper = data.draw(st.integers(lower, last))
    gone = data.draw(st.sets(st.integers(first, last), max_size=5))
    held = [wal(running) for running in range(first, last + 1) if running not in gone]
    archived = pgbackrest.name("00000001", last)
    found = pgbackrest.wal_faults(held, [spanning(lower, upper)], archived)
    expected = {
        (pgbackrest.name("00000001", running), lower <= running <= upper)
        for running in gone
        # What lies before everything that is held and needed has expired.
        if running >= min([lower, *(r for r in range(first, last + 1) if r not in gone)])
    }
    assert {(fault.file, fault.lost) for fault in found} == expected


def test_other_files_of_the_archive_are_no_wal() -> None:
    held = [wal(1), wal(2), "archive.info", "15-1/0000000100000000/000000010000000000000002.00000028.backup"]
    assert pgbackrest.wal_faults(held, [spanning(2, 2)]) == []


def test_two_contents_under_one_name() -> None:
    held = [wal(1), wal(1, content="b" * 40)]
    (fault,) = pgbackrest.wal_faults(held, [])
    assert fault == Fault("000000010000000000000001", "it is there 2 times, with other contents")


def test_a_new_timeline_is_its_own_sequence() -> None:
    held = [wal(1), wal(2), wal(3, "00000002"), wal(4, "00000002")]
    assert pgbackrest.wal_faults(held, [spanning(1, 1)]) == []


@given(st.integers(0, 2**32))
def test_wal_names(running: int) -> None:
    assert pgbackrest.number(pgbackrest.name("0000000A", running)) == ("0000000A", running)
