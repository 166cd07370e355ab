"""`role.stands`: what each role of the playbook leaves on a device stands there, as testinfra sees it over SSH.

Every device is asked for all of its roles over one connection; one record a device and role names everything that is otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from ground.record import Measure, Record
from ip_plan.network import Device, Network
from monitoring.checks.claims import ROLES, Claim, Owned, Package, Socket, Unit, User
from monitoring.checks.look import Found, Look, some, subject
from monitoring.checks.shell import Lost, Shell, shell

CHECK = "role.stands"
METHOD = "testinfra over SSH: packages, units, users, files, sockets"
DIALECTS = ("debian", "frr")
"""Of devices that the roles are for; the others are a vendor's."""
ODD = (AssertionError, IndexError, RuntimeError, ValueError)
"""What testinfra makes of an answer that it cannot read."""
SECONDS = 60.0
"""How long one device may take for everything."""


class Standing(msgspec.Struct, frozen=True):
    """What a device showed of one role. `lost`: why it could not be asked for all of it."""

    looked: int = 0
    faults: tuple[str, ...] = ()
    untold: tuple[str, ...] = ()
    """What could not be told, and why."""
    lost: str = ""


def claimed(network: Network, device: Device) -> dict[str, tuple[Claim, ...]]:
    """Role → its claims on `device`, of those that have any."""
    found = {name: tuple(claims(network, device)) for name, claims in ROLES.items()}
    return {name: claims for name, claims in found.items() if claims}


def run(look: Look) -> Found:
    """Ask every device, several at a time; one record a device and role."""
    network = look.network
    running = [device for site in network.running() for device in network.devices_of(site)]
    listed = sorted((each for each in running if each.dialect in DIALECTS), key=lambda device: device.name)
    look.told(f"roles: {len(listed)} devices")
    wanted = {device.name: claimed(network, device) for device in listed}
    with ThreadPoolExecutor(look.session.parallel) as pool:
        seen = list(pool.map(lambda device: _ask(look, device.name, wanted[device.name]), listed))
    return Found(
        tuple(
            judge(look, device, role, claims, standing[role])
            for device, standing in zip(listed, seen, strict=True)
            for role, claims in wanted[device.name].items()
        )
    )


def _ask(look: Look, device: str, wanted: Mapping[str, Sequence[Claim]]) -> dict[str, Standing]:
    if device not in look.session.reaches:
        return dict.fromkeys(wanted, Standing(lost=f"{device}: not in the reach of this target"))
    with shell(look.session, device, SECONDS) as opened:
        return {role: stands(opened, claims) for role, claims in wanted.items()}


def stands(opened: Shell, claims: Sequence[Claim]) -> Standing:
    """Look at every claim; what one of them cannot tell does not keep the others from being looked at."""
    from testinfra.host import Host

    host = Host(opened)
    faults: list[str] = []
    untold: list[str] = []
    for looked, claim in enumerate(claims):
        try:
            faults += wrong(host, claim)
        except Lost as why:
            return Standing(looked, tuple(faults), tuple(untold), str(why))
        except ODD as why:
            untold.append(f"{claim}: {' '.join(str(why).split())[:200]}")
    return Standing(len(claims), tuple(faults), tuple(untold))


def wrong(host: Any, claim: Claim) -> Iterator[str]:
    """What of a claim does not hold on a testinfra host."""
    match claim:
        case Package(name):
            if not host.package(name).is_installed:
                yield f"package {name} is not installed"
        case Unit(name):
            service = host.service(name)
            if not service.is_running:
                yield f"{name} does not run"
            if not _enabled(service):
                yield f"{name} is not enabled"
        case User(name):
            if not host.user(name).exists:
                yield f"there is no user {name}"
        case Owned(path, owner, mode):
            file = host.file(path)
            if not file.exists:
                yield f"{path} is not there"
            elif (file.user, file.mode) != (owner, mode):
                yield f"{path} is {file.mode:04o} of {file.user}, not {mode:04o} of {owner}"
        case Socket(spec):
            if not host.socket(spec).is_listening:
                yield f"nothing listens on {spec}"


def _enabled(service: Any) -> bool:
    try:
        return bool(service.is_enabled)
    except RuntimeError:  # masked, or no such unit
        return False


def judge(look: Look, device: Device, role: str, claims: Sequence[Claim], standing: Standing) -> Record:
    """The record of one role of one device. What was seen to be wrong counts, also where not everything could be told."""
    if standing.faults:
        result, reason = "fail", some(standing.faults)
    elif standing.lost:
        result, reason = "not-observed", standing.lost
    elif standing.untold:
        result, reason = "error", some(standing.untold)
    else:
        result, reason = "pass", f"{len(claims)} claims hold"
    return look.record(
        CHECK,
        subject(look.network.sites[device.site], zone=device.zone, service=role, device=device.name),
        result,  # type: ignore[arg-type]
        reason,
        method=METHOD,
        key=(claims,),
        observer=device.name,
        seen=standing.looked - len(standing.untold),
        expected=len(claims),
        measures=() if standing.lost else (Measure("faults", "", len(standing.faults), 0.0),),
    )
