"""The Ansible inventory: rendered devices that can be reached, in groups by level, province, zone, role and duty."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from ground import files
from ground.mistake import one
from ground.reach import Reach, known_hosts
from inventory.render import Host, State


def groups(host: Host, province: str) -> list[str]:
    """The groups of a device. Ansible takes no hyphens in names of groups."""
    return [
        f"region_{host.region}".replace("-", "_"),
        *_shared(host.level, province, host.role, host.zone, host.duties),
    ]


@lru_cache(1024)
def _shared(level: str, province: str, role: str, zone: str, duties: tuple[str, ...]) -> list[str]:
    found = [f"level_{level}", f"province_{province}", f"role_{role}", *([f"zone_{zone}"] if zone else [])]
    return [name.replace("-", "_") for name in [*found, *(f"duty_{duty}" for duty in duties)]]


@lru_cache(1024)
def _arguments(known: Path, identity: bool, via: str) -> str:
    options = ["StrictHostKeyChecking=yes", f"UserKnownHostsFile={known}", "GlobalKnownHostsFile=/dev/null"]
    if identity:
        options.append("IdentitiesOnly=yes")
    if via:
        options.append(f"ProxyCommand={via}")
    return shlex.join(word for option in options for word in ("-o", option))


def variables(host: Host, reach: Reach, known: Path, build: Path, state: Path) -> dict[str, Any]:
    """How Ansible reaches a device, and where its tree lies."""
    found: dict[str, Any] = {
        "ansible_host": reach.address,
        "ansible_port": reach.port,
        "ansible_user": reach.user,
        "ansible_ssh_common_args": _arguments(known, bool(reach.identity), reach.via),
        "jinbao_tree": f"{build}/{host.name}",
        "jinbao_state": str(state),
        "jinbao_names": list(host.names),
        "jinbao_site": host.site,
    }
    return found | ({"ansible_ssh_private_key_file": reach.identity} if reach.identity else {})


def inventory(
    states: Mapping[str, State], reaches: Mapping[str, Reach], known: Path, build: Path, state: Path
) -> dict[str, Any]:
    """The answer to `--list`, with the variables of every device in `_meta`, without vendors' devices and those without a reach."""
    members: dict[str, list[str]] = {}
    hostvars: dict[str, dict[str, Any]] = {}
    for province, rendered in sorted(states.items()):
        for host in rendered.devices:
            if host.vendor or (reach := reaches.get(host.name)) is None:
                continue
            hostvars[host.name] = variables(host, reach, known, build, state)
            for group in groups(host, province):
                members.setdefault(group, []).append(host.name)
    listed: dict[str, Any] = {name: {"hosts": members[name]} for name in sorted(members)}
    listed["all"] = {"children": [*sorted(members), "ungrouped"]}
    return {"_meta": {"hostvars": hostvars}} | listed


def remember(folder: Path, reaches: Mapping[str, Reach]) -> Path:
    """The known_hosts file beside reach.json; written when it is missing or stale, since ssh reads files only."""
    path = folder / "known_hosts"
    files.write(path, known_hosts(reaches))
    return path


def nothing_rendered(build: Path) -> Exception:
    """The mistake of asking for devices before anything was rendered."""
    return one(
        "JB2002", f"nothing is rendered in {build}", "Run `jinbao config render` with the same --plan and --state."
    )


def unreachable(path: Path, at: str) -> Exception:
    """The mistake of asking for a target of which nobody says how it is reached."""
    cure = "Bring it up (`jinbao twin up`), or write the file: device → address, host_key, port, user, via."
    return one("JB2003", f"nothing says how the devices of {at} are reached", cure, file=str(path))
