"""Comware 7 as it runs: `display current-configuration` read, and commands for its system view."""

from __future__ import annotations

import re
from collections.abc import Iterator

from inventory import config
from inventory.config import Config
from inventory.dialect import Dialect, by_line
from inventory.dialects import vlanlist
from inventory.dialects.comware import TARGET
from inventory.dialects.comware.behaviour import BEHAVIOUR
from inventory.dialects.comware.rules import RULES
from inventory.dialects.comware.session import TERMINAL

_SECRET = re.compile(r" *(password (hash|cipher|simple) |pre-shared-key |snmp-agent usm-user )")
"""Lines that hold a secret: the device shows a hash, or enciphers it."""

_VLANS = re.compile(r"(?P<before>(?: (?:undo )?port trunk permit )?vlan )(?P<list>[\d to]+)(?P<behind>)")


def read(text: str) -> Config:
    """The configuration, lists of VLANs one by one; lines outside of views stand where others do, and lines that hold a secret
    are left out."""
    return config.read("\n".join(_lines(text)), RULES)


def _lines(text: str) -> Iterator[str]:
    outside = True
    for line in text.split("\n"):
        if line.startswith("#"):
            outside = True
        elif outside and line.startswith(" "):
            line = line[1:]
        else:
            outside = False
        if not _SECRET.match(line):
            yield from vlanlist.single(line, _VLANS)


DIALECT: Dialect = by_line("comware", TARGET, RULES, BEHAVIOUR, read, TERMINAL)
