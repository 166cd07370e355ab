"""chrony: the ministry's clock is the network's, each level follows the one above, all others their own centre's."""

from __future__ import annotations

from inventory.dialects.template import fill
from inventory.file import File
from inventory.intent import Intent

MINISTRY_STRATUM = 8
"""Without a reference clock the ministry's server says so by a high stratum; levels below count on from it."""

DROP_IN = "[Unit]\nConditionCapability=\n"


def files(intent: Intent, *, lab: bool) -> list[File]:
    """chrony.conf; in a lab also what makes chrony run without touching the machine's clock."""
    conf = fill("chrony/chrony.conf.j2", time=intent.time, stratum=MINISTRY_STRATUM, lab=lab)
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
