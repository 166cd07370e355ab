"""Sample persons: citizen numbers with a birth date and a true check digit, of an area that does not exist (no code begins with 99)."""

from __future__ import annotations

from datetime import date

AREA = "990101"
WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)  # GB 11643


def number(serial: int, born: date = date(1980, 1, 1)) -> str:
    """The citizen number of the sample person `serial` (0–999) born on that day."""
    digits = f"{AREA}{born:%Y%m%d}{serial:03}"
    return digits + "10X98765432"[sum(weight * int(digit) for weight, digit in zip(WEIGHTS, digits, strict=True)) % 11]
