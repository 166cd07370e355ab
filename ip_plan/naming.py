"""Names: one label per region, unique among its siblings, fixed in the ledger once it is granted.

The reading comes from the division data or the plan's own table (重庆 cq, 厦门 xm); a label that is taken by a sibling or stands
on the stop list gets a number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

RESERVED = re.compile(r"^(r|fw|sw)[0-9]+$|^[a-z]{2,6}[0-9]{1,2}$")
"""Labels that devices of the same domain carry."""


def choose(reading: str, taken: set[str], stop: Iterable[str]) -> str:
    """The label for `reading` that no sibling has and that is not on the stop list; `taken` is not changed."""
    barred = frozenset(stop)
    label = reading
    number = 2
    while label in taken or label in barred or RESERVED.match(label):
        # A hyphen keeps `yichun-2` apart from device labels such as `r2`.
        label = f"{reading[:58]}-{number}"
        number += 1
    return label
