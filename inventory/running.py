"""What devices run against what was rendered for them: which dialects that works for, and the last copies of a target."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from ground import mistake, running, secret, tree
from ground.mistake import Mistake, Mistakes
from inventory import acceptance, ansible
from inventory.acceptance import Remedy
from inventory.dialect import Dialect
from inventory.dialects.comware.running import DIALECT as COMWARE
from inventory.dialects.frr.running import DIALECT as FRR
from inventory.dialects.iosxe.running import DIALECT as IOSXE
from inventory.dialects.nftables.running import DIALECT as NFTABLES
from inventory.dialects.vrp.running import DIALECT as VRP
from inventory.render import Host, State

DIALECTS = (FRR, NFTABLES, VRP, COMWARE, IOSXE)
"""In the order in which a device is put right: its ways first, then what they let through."""


class Intended(msgspec.Struct, frozen=True):
    """One rendered configuration of one device."""

    device: str
    dialect: Dialect
    entry: tree.Entry
    text: str
    site: str = ""
    region: str = ""


def parts(limit: str) -> list[str]:
    """The names, patterns and groups in a limit."""
    return [part for part in re.split(r"[,:]", limit) if part]


def select(states: Mapping[str, State], limit: str) -> list[Host]:
    """The rendered devices that `limit` names: devices, patterns or groups of the inventory, with commas or colons.

    Raises Mistakes JB2110 for every part that fits nothing.
    """
    members: dict[str, list[Host]] = {}
    for province, state in sorted(states.items()):
        for host in state.devices:
            for name in (host.name, "all", *ansible.groups(host, province)):
                members.setdefault(name, []).append(host)
    if not limit:
        return members.get("all", [])
    chosen: dict[str, Host] = {}
    found = []
    for part in parts(limit):
        fitting = fnmatch.filter(members, part)
        if not fitting:
            cure = "Give names or groups of the inventory, e.g. 640100-r1 or province_64."
            found.append(
                Mistake("", None, None, "JB2110", part, "--limit: no rendered device or group is called so", cure)
            )
        chosen |= {host.name: host for group in fitting for host in members[group]}
    if found:
        raise Mistakes(found, "nothing was done")
    return list(chosen.values())


def intended(state: Path, build: Path, hosts: Iterable[Host]) -> list[Intended]:
    """What is rendered for `hosts`, dialect by dialect, references to secrets filled in. Raises Mistakes JB2112."""
    wanted = []
    found = []
    for host in hosts:
        device = host.name
        try:
            rendered = tree.read(build / device)
            for dialect in DIALECTS:
                for entry in rendered.entries:
                    if entry.target == dialect.target:
                        text = secret.fill(state, tree.content(build / device, entry)).decode()
                        wanted.append(Intended(device, dialect, entry, text, host.site, host.region))
        except (OSError, msgspec.MsgspecError) as why:
            cure = "Run `jinbao config render` with the same --plan, --at and --state."
            found.append(
                Mistake(str(build / device), None, None, "JB2112", device, f"its tree cannot be read: {why}", cure)
            )
    if found:
        raise Mistakes(found, "nothing was done")
    return wanted


def remedies(state: Path, target: str, wanted: Iterable[Intended]) -> list[Remedy]:
    """For each of `wanted` what its last copy needs; where there is none, the reason (JB2109, JB2111)."""
    found = []
    for one in wanted:
        try:
            copy = running.latest(state, target, one.device, one.dialect.name)
            if copy is None:
                what = f"nothing was fetched of what it runs ({one.dialect.name})"
                raise mistake.one("JB2109", what, f"Run `jinbao config fetch --at {target}`.", subject=one.device)
        except Mistakes as mistakes:
            found.append(Remedy(one.device, one.dialect.name, (), mistakes=tuple(mistakes.found)))
            continue
        found.append(acceptance.remedy(one.dialect, one.device, copy[1], one.text, str(copy[0])))
    return found
