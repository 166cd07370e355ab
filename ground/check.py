"""A check: an id, the subjects it judges, and a run that returns one record for each of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ground.record import Record, Subject


class Check(Protocol):
    """Judges a set of subjects; returns one record per subject, also for what it could not do."""

    id: str

    def subjects(self) -> Sequence[Subject]:
        """What it is going to judge."""

    def run(self) -> Sequence[Record]:
        """One record per subject."""
