"""The time of an observation."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> str:
    """UTC, RFC 3339, milliseconds, Z."""
    return stamp(datetime.now(UTC))


def stamp(moment: datetime) -> str:
    """`moment` as a record writes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def moment(text: str) -> datetime:
    """The time a record wrote. Raises ValueError."""
    return datetime.fromisoformat(text)
