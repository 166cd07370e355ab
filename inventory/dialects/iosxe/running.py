"""IOS-XE as it runs: `show running-config` read, and commands for its configuration terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator

from inventory import config
from inventory.config import Config
from inventory.dialect import Dialect, by_line
from inventory.dialects.iosxe import TARGET
from inventory.dialects.iosxe.behaviour import BEHAVIOUR
from inventory.dialects.iosxe.rules import RULES
from inventory.dialects.iosxe.session import TERMINAL

_SECRET = re.compile(r" *(secret \d|pre-shared-key |username |enable secret|snmp-server user )")
"""Lines that hold a secret: the device shows a hash, or nothing at all."""
_SIX = re.compile(r"(?<![\w.:-])[0-9A-F]*:[0-9A-F:]*(?=[/\s]|$)")


def read(text: str) -> Config:
    """The configuration. IPv6 in lower case, lists of servers one by one; lines that hold a secret are left out."""
    return config.read("\n".join(_lines(text)), RULES)


def _lines(text: str) -> Iterator[str]:
    for line in text.split("\n"):
        if _SECRET.match(line):
            continue
        line = _SIX.sub(lambda found: found[0].lower(), line)
        if line.startswith("ip name-server "):
            yield from (f"ip name-server {address}" for address in line.split()[2:])
        else:
            yield line


DIALECT: Dialect = by_line("iosxe", TARGET, RULES, BEHAVIOUR, read, TERMINAL)
