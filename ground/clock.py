"""The time of an observation."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

CHINA = timezone(timedelta(hours=8))
"""One time for the whole country, without summer time since 1992."""


def now() -> str:
    """UTC, RFC 3339, milliseconds, Z."""
    return stamp(datetime.now(UTC))


def stamp(moment: datetime) -> str:
    """`moment` as a record writes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def today() -> date:
    """The date in China."""
    return datetime.now(CHINA).date()


def moment(text: str) -> datetime:
    """The time a record wrote. Raises ValueError."""
    return datetime.fromisoformat(text)
