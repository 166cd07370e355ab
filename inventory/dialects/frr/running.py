"""FRR on a running router: fetched from vtysh, and given commands through it."""

from __future__ import annotations

from collections.abc import Sequence

from inventory import config, console, remedy
from inventory.config import Config
from inventory.dialect import Dialect
from inventory.dialects.frr.behaviour import BEHAVIOUR
from inventory.dialects.frr.rules import RULES
from inventory.rules import grammar

_BY_NAME = "no bgp default ipv4-unicast"


def read(text: str) -> Config:
    """The configuration, with every activation of a neighbour written out.

    Without `no bgp default ipv4-unicast` FRR shows for IPv4 who is not active, and with it who is.
    """
    found = config.read(text, RULES)
    for path, section in found.sections.items():
        if section.kind != "bgp" or _BY_NAME in section.lines:
            continue
        family = found.sections.get((*path, "address-family ipv4 unicast"))
        quiet = set(family.lines) if family else set()
        peers = dict.fromkeys(line.split()[1] for line in section.lines if line.startswith("neighbor "))
        active = [f"neighbor {peer} activate" for peer in peers if f"no neighbor {peer} activate" not in quiet]
        if family is not None:
            others = [line for line in family.lines if not (line.startswith("no ") and line.endswith(" activate"))]
            family.lines = list(dict.fromkeys([*active, *others]))
    return found


def _require_whole(text: str, file: str) -> None:
    config.require_whole(text, RULES, file)


def _plan(running: Config, rendered: Config) -> remedy.Plan:
    return remedy.plan(running, rendered, grammar(RULES))


def _rollback(before: Config, after: Config) -> Sequence[str]:
    return _plan(after, before).commands


def _apply(running: Config, commands: Sequence[str]) -> Config:
    return console.apply(running, commands, BEHAVIOUR)


DIALECT = Dialect(
    name="frr",
    target="/etc/frr/frr.conf",
    show="vtysh -c 'show running-config'",
    send="vtysh -f",
    # Its exit code forgets an error when a later line is good again.
    refused=r"^line \d+: ",
    require_whole=_require_whole,
    read=read,
    plan=_plan,
    apply=_apply,
    rollback=_rollback,
    known=grammar(RULES),
)
