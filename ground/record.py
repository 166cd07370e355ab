"""A record: one observation, and the two protocols between those who observe and the evidence log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, Protocol

import msgspec

Result = Literal["pass", "fail", "error", "not-observed", "not-applicable", "waived"]


class Measure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One measured figure."""

    name: str
    unit: str
    value: float
    limit: float | None = None
    clause: str = ""


class Subject(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was observed: a region, and below it a site, zone, service or device where the check is that fine."""

    region: str
    site: str = ""
    zone: str = ""
    service: str = ""
    device: str = ""
    peer: str = ""
    """The other end where the observation is about a pair, e.g. `640100:centre1:exchange`."""


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One observation. `pass` is never said where it could not be told."""

    check: str
    """Id of the check, e.g. `bgp.session`."""
    subject: Subject
    target: str
    """`twin:<name>` or `production`. The two are never mixed."""
    observer: str
    """Who looked: a device or `controller`."""
    method: str
    time: str
    """UTC, RFC 3339 with milliseconds and Z, e.g. `2026-01-31T08:00:00.000Z`."""
    tool: str
    """Name and version of the program that looked."""
    input_key: str
    """Key of the smallest part of the Network that decides the expected answer."""
    result: Result
    reason: str
    seen: int
    expected: int
    """Coverage: seen of expected."""
    measures: tuple[Measure, ...] = ()
    detail: str = ""
    """SHA-256 of the detail file, empty: none."""
    change: str = ""
    """Id of the plan change that led to what was looked at; empty: none is known."""


def canonical(record: Record) -> bytes:
    """The bytes that are hashed: UTF-8 JSON, keys sorted, no spaces, every field present. Fixed by a golden test."""
    return msgspec.json.encode(msgspec.to_builtins(record), order="sorted")


class Recorder(Protocol):
    """Takes observations in."""

    def add(self, records: Sequence[Record], details: Sequence[bytes] = ()) -> None:
        """Append `records` and keep `details` (found again by their SHA-256)."""


class EvidenceReader(Protocol):
    """Gives observations out, oldest first."""

    def records(self, target: str) -> Iterator[Record]:
        """Every record of `target`."""
