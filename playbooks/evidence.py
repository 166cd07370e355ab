"""What a deployment leaves in the evidence: one record a device, and the plan change that it brings, with who agreed to it."""

from __future__ import annotations

from collections import Counter

import msgspec

from ground import clock
from ground.files import sha256
from ground.record import Record, Result, Subject
from ip_plan.network import Network
from monitoring.checks.look import CONTROLLER, tool
from playbooks.deploy import Outcome, Plan

DEPLOY, APPROVED = "deploy.device", "plan.change"


def records(seen: Plan, outcome: Outcome, network: Network) -> tuple[list[Record], list[bytes]]:
    """The records of a run, and their details."""
    made, details = [], []
    files = Counter(change.device for change in seen.changes)
    for name in seen.devices:
        device = network.devices.get(name)
        if device is None:
            continue
        site = network.sites[device.site]
        counts = outcome.hosts.get(name)
        result: Result = "pass"
        reason = f"{files[name]} files brought to what is rendered"
        if name in outcome.failures:
            result, reason = "fail", outcome.failures[name]
        elif counts is None:
            result, reason = "not-observed", "the run did not come to it"
        subject = Subject(site.region, site.key, device.zone, device=name)
        made.append(_record(DEPLOY, subject, seen.target, result, reason, network, int(counts is not None), device))
    if network.stamp:
        stamp = network.stamp
        said = ", ".join(f"{count} {kind}" for kind, count in stamp.kinds.items())
        reason = f"{stamp.approver or 'nobody'} agreed: {said}; {stamp.devices} of {stamp.existing} devices"
        top = next((site for site in network.known_sites.values() if not site.parent), None)
        subject = Subject(top.region if top else "000000")
        result = "pass" if stamp.approver else "not-observed"
        details.append(msgspec.json.encode(stamp))
        approved = _record(APPROVED, subject, seen.target, result, reason, network, int(bool(stamp.approver)), stamp)
        made.append(msgspec.structs.replace(approved, detail=sha256(details[0])))
    return made, details


def _record(
    check: str, subject: Subject, target: str, result: Result, reason: str, network: Network, count: int, key: object
) -> Record:
    return Record(
        check=check,
        subject=subject,
        target=target,
        observer=CONTROLLER,
        method="ansible-playbook" if check == DEPLOY else "jinbao plan compile --approver",
        time=clock.now(),
        tool=tool(),
        input_key=network.key_of(check, key),
        result=result,
        reason=reason,
        seen=count,
        expected=1,
        change=network.change,
    )
