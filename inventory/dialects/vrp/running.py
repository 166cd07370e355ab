"""VRP as it runs: `display current-configuration` read, and commands for its system view."""

from __future__ import annotations

import re

from inventory import config
from inventory.config import Config
from inventory.dialect import Dialect, by_line
from inventory.dialects.vrp import TARGET
from inventory.dialects.vrp.behaviour import BEHAVIOUR
from inventory.dialects.vrp.rules import RULES
from inventory.dialects.vrp.session import TERMINAL

_SECRET = re.compile(
    r" *(password (cipher|simple) |pre-shared-key |snmp-agent usm-user v3 \S+ (authentication|privacy)-mode )"
)
"""Lines that hold a secret: the device shows it enciphered."""


def read(text: str) -> Config:
    """The configuration; lines that hold a secret are left out."""
    return config.read("\n".join(line for line in text.split("\n") if not _SECRET.match(line)), RULES)


DIALECT: Dialect = by_line("vrp", TARGET, RULES, BEHAVIOUR, read, TERMINAL)
