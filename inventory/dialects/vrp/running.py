"""VRP as it runs: `display current-configuration` read, and commands for its system view."""

from __future__ import annotations

import re

from inventory import config
from inventory.config import Config
from inventory.dialect import Dialect, by_line
from inventory.dialects import vlanlist
from inventory.dialects.vrp import TARGET
from inventory.dialects.vrp.behaviour import BEHAVIOUR
from inventory.dialects.vrp.rules import RULES
from inventory.dialects.vrp.session import TERMINAL

_SECRET = re.compile(
    r" *(password (cipher|simple) |pre-shared-key |snmp-agent usm-user v3 \S+ (authentication|privacy)-mode )"
)
"""Lines that hold a secret: the device shows it enciphered."""

_VLANS = re.compile(r"(?P<before>(?: (?:undo )?port trunk allow-pass )?vlan )(?:batch )?(?P<list>[\d to]+)(?P<behind>)")


def read(text: str) -> Config:
    """The configuration, lists of VLANs one by one; lines that hold a secret are left out."""
    lines = (line for line in text.split("\n") if not _SECRET.match(line))
    return config.read("\n".join(one for line in lines for one in vlanlist.single(line, _VLANS)), RULES)


DIALECT: Dialect = by_line("vrp", TARGET, RULES, BEHAVIOUR, read, TERMINAL)
