"""`line.encrypted`: each encrypted line's protection stands at both ends, and its keys are not older than they may be.

One record for each end of a line between running Debian devices; the subject's region is the lower one, its device the end that
looked and its peer the other.
"""

from __future__ import annotations

import re

import msgspec

from ground import remote
from ground.record import Measure, Record, Subject
from ip_plan import underlay
from ip_plan.network import Device, Interface, Link
from monitoring.checks.look import Found, Look, routers

CHECK = "line.encrypted"
METHOD = "swanctl --list-sas, and what charon logged of wrong secrets in the last five minutes"
PROGRAM = (
    "swanctl --list-sas 2>&1; echo ----; "
    "journalctl -q -o cat --no-pager -u strongswan --since=-5min -g 'MAC mismatched|no shared key found' 2>&1 | tail -n 200"
)
OLDEST_SECONDS = 3600 * 1.2
"""Keys of ESP are made anew after an hour (`rekey_time`, up to a tenth of it sooner; the old ones go a tenth later)."""
_TOP = re.compile(r"^(\S+): #\d+, (\w+), IKEv2")
_CHILD = re.compile(r"^  (\S+): #\d+, reqid \d+, (\w+), [\w-]+, ESP:(\S+)")
_AGE = re.compile(r"^    installed (\d+)s ago")


class Standing(msgspec.Struct, frozen=True):
    """The protection of one line, as its end says."""

    name: str
    ike: str
    """State of IKE: `ESTABLISHED`."""
    child: str = ""
    """State of ESP: `INSTALLED`; empty: there is none."""
    cipher: str = ""
    age_seconds: int = -1


class State(msgspec.Struct, frozen=True):
    """What one device says of all its lines."""

    standing: tuple[Standing, ...] = ()
    refused: str = ""
    """What charon logged of secrets that do not fit."""
    why: str = ""
    """Why there is nothing; empty: there is."""


class End(msgspec.Struct, frozen=True):
    """One end of an encrypted line."""

    link: Link
    device: Device
    interface: Interface


def read(answer: remote.Answer) -> State:
    """What `PROGRAM` printed."""
    if answer.code is None:
        return State(why=answer.err.strip() or "no answer")
    listed, cut, logged = answer.out.partition("----\n")
    if not cut:
        return State(why=answer.err.strip() or "the answer is cut short")
    found: list[Standing] = []
    for line in listed.splitlines():
        if top := _TOP.match(line):
            found.append(Standing(top[1], top[2]))
        elif (child := _CHILD.match(line)) and found:
            found[-1] = msgspec.structs.replace(found[-1], child=child[2], cipher=child[3])
        elif (age := _AGE.match(line)) and found:
            found[-1] = msgspec.structs.replace(found[-1], age_seconds=int(age[1]))
    return State(tuple(found), logged)


def ends(look: Look) -> list[End]:
    """The ends of encrypted lines between running Debian devices."""
    running = {device.name: device for device in routers(look.network)}
    return [
        End(link, device, each)
        for device in running.values()
        for each in device.interfaces
        if (link := look.network.links.get(each.link)) and link.suite and each.peer in running and not device.numbers
    ]


def run(look: Look) -> Found:
    """Ask every device with an encrypted line once."""
    listed = ends(look)
    names = sorted({each.device.name for each in listed})
    if names:
        look.told(f"encryption: asking {len(names)} routers")
    answers = remote.run_all(look.session, dict.fromkeys(names, PROGRAM))
    states = {name: read(answer) for name, answer in answers.items()}
    return Found(tuple(judge(look, each, states[each.device.name]) for each in listed))


def judge(look: Look, end: End, state: State) -> Record:
    """What one end says of the line."""
    network, link, item = look.network, end.link, end.interface
    near, far = underlay.end(item.v4).outer, underlay.end(item.peer4).outer
    lower = network.devices[link.b]
    subject = Subject(
        network.sites[lower.site].region, lower.site, device=end.device.name, peer=item.peer, service=link.id
    )
    up = [each for each in state.standing if each.name == item.name and each.child == "INSTALLED"]
    age = min((each.age_seconds for each in up), default=-1)
    if state.why:
        result, reason = "not-observed", f"{end.device.name}: {state.why}"
    elif up and age <= OLDEST_SECONDS:
        result, reason = "pass", f"{end.device.name}: line {link.id} is protected, {up[-1].cipher}"
    elif up:
        result, reason = "fail", f"{end.device.name}: the keys of line {link.id} are {age} seconds old"
    elif any(f"'{one}' - '{two}'" in state.refused for one, two in ((near, far), (far, near))):
        what = f"the two ends have different secrets {link.secret}"
        result, reason = "fail", f"{end.device.name}: line {link.id} is down, {what}"
    else:
        result, reason = "fail", f"{end.device.name}: line {link.id} has no protection, it carries nothing"
    return look.record(
        CHECK,
        subject,
        result,  # type: ignore[arg-type]
        reason,
        method=METHOD,
        key=(link.id, link.suite, link.secret, item.v4, item.peer4),
        observer=end.device.name,
        seen=0 if state.why else 1,
        measures=(Measure("age", "seconds", age, OLDEST_SECONDS),) if age >= 0 else (),
    )
