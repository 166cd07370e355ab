"""chrony: the ministry's clock is the network's, each level follows the one above, all others their own centre's."""

from __future__ import annotations

from inventory.dialects.template import Word, fill_alike
from inventory.ends import Dual
from inventory.file import File
from inventory.intent import Intent, Time

MINISTRY_STRATUM = 8
"""Without a reference clock the ministry's server says so by a high stratum; levels below count on from it."""

DROP_IN = "[Unit]\nConditionCapability=\n"


def files(intent: Intent, *, lab: bool) -> list[File]:
    """chrony.conf; in a lab also what makes chrony run without touching the machine's clock."""
    time = intent.time
    sources, serves, own = time.sources, time.serves, (time.source4, time.source6)
    words = (*sources.v4, *sources.v6, *serves.v4, *serves.v6, *filter(None, own))
    shape = (lab, len(sources.v4), len(sources.v6), len(serves.v4), len(serves.v6), *map(bool, own))
    conf = fill_alike("chrony/chrony.conf.j2", _values, shape, words)
    found = [File("/etc/chrony/chrony.conf", conf, "time", unit="chrony.service", action="restart")]
    if lab:
        # A node of a twin has no CAP_SYS_TIME: it follows in name only (-x) and may not be held back by the condition.
        options = '# A node of a twin must not touch the clock of its machine.\nDAEMON_OPTS="-F 0 -x"\n'
        found += [
            File("/etc/default/chrony", options, "time", unit="chrony.service", action="restart"),
            File(
                "/etc/systemd/system/chrony.service.d/lab.conf",
                DROP_IN,
                "time",
                unit="chrony.service",
                action="restart",
            ),
        ]
    return found


def _values(
    word: Word, lab: bool, sources4: int, sources6: int, serves4: int, serves6: int, own4: bool, own6: bool
) -> dict[str, object]:
    def some(count: int) -> tuple[str, ...]:
        return tuple(word() for _ in range(count))

    asked, served = Dual(some(sources4), some(sources6)), Dual(some(serves4), some(serves6))
    own = [word() if there else "" for there in (own4, own6)]
    return {"time": Time(asked, served, *own), "stratum": MINISTRY_STRATUM, "lab": lab}
