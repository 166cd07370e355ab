"""IOS-XE as it runs: `show running-config` read, and commands for its configuration terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator

from inventory import config
from inventory.config import Config
from inventory.dialect import Dialect, by_line
from inventory.dialects import vlanlist
from inventory.dialects.iosxe import TARGET
from inventory.dialects.iosxe.behaviour import BEHAVIOUR
from inventory.dialects.iosxe.rules import RULES
from inventory.dialects.iosxe.session import TERMINAL

_SECRET = re.compile(r" *(secret \d|pre-shared-key |username |enable secret|snmp-server user )")
"""Lines that hold a secret: the device shows a hash, or nothing at all."""
_SIX = re.compile(r"(?<![\w.:-])[0-9A-F]*:[0-9A-F:]*(?=[/\s]|$)")

_VLANS = re.compile(r"(?P<before>(?:spanning-tree )?vlan )(?P<list>[\d,-]+)(?P<behind> priority \d+)?")
_ALLOWED = re.compile(r"( switchport trunk allowed vlan )(?:(none)|(?:add )?([\d,-]+))")


def read(text: str) -> Config:
    """The configuration. IPv6 in lower case, lists of servers and of VLANs one by one, but for what a trunk carries: a device
    shows that in several lines where it is long, and takes it in one. Lines that hold a secret are left out."""
    return config.read("\n".join(_lines(text)), RULES)


def _lines(text: str) -> Iterator[str]:
    head, carried = "", set[int]()
    for line in text.split("\n"):
        if allowed := _ALLOWED.fullmatch(line):
            carried |= {0} if allowed[2] else set(vlanlist.members(allowed[3]))
            head = allowed[1]
            continue
        if carried:
            yield head + (vlanlist.ranges(carried - {0}) or "none")
            carried = set()
        if _SECRET.match(line):
            continue
        line = _SIX.sub(lambda found: found[0].lower(), line)
        if line.startswith("ip name-server "):
            yield from (f"ip name-server {address}" for address in line.split()[2:])
        else:
            yield from vlanlist.single(line, _VLANS)


DIALECT: Dialect = by_line("iosxe", TARGET, RULES, BEHAVIOUR, read, TERMINAL)
