"""What `jinbao rollout` shows: the lines of one target, what the drills measured, and what the log they rest on is worth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from ground import clock, mistake, reach, remote
from ground.record import Record, Subject
from ip_plan.network import Network
from ip_plan.plan import Plan
from ip_plan.regions import Region
from monitoring import catalogue as catalogues
from monitoring import members, milestones
from monitoring.catalogue import Attestation, Milestone
from monitoring.checks import run as checks
from monitoring.evidence import log, verify, witness
from monitoring.evidence.log import Entry
from monitoring.milestones import Line

REHEARSAL = "演练数据，不代表任何地区实际进度"
REHEARSAL_EN = "Rehearsal data: says nothing about the real progress of any region"
SCOPE = "31个省、自治区、直辖市和新疆生产建设兵团"
PUBLISHED = "rollout.published"


class Recovery(msgspec.Struct, frozen=True):
    """What the last drill of one database measured. None where it measured nothing."""

    subject: Subject
    time: str
    result: str
    reason: str
    rpo_seconds: float | None
    rto_seconds: float | None
    layer: float | None
    sequence: int


class Ground(msgspec.Struct, frozen=True):
    """What the evidence is worth. `witness`: agreed, not-asked, unreached, or disagrees."""

    log: str
    count: int
    hash: str
    findings: tuple[str, ...]
    witness: str
    records: dict[str, int]
    """Result → how many records of this target have it."""

    @property
    def sound(self) -> bool:
        """Whether nothing was found against the log."""
        return not self.findings


class Status(msgspec.Struct, frozen=True):
    """Everything a view shows."""

    target: str
    plan: str
    time: str
    """Of the judgement, UTC."""
    scope: str
    sample: str
    """What of the plan is sample data; empty: nothing."""
    lines: tuple[Line, ...]
    recoveries: tuple[Recovery, ...]
    ground: Ground
    backup_age_seconds: dict[str, float] = {}
    """Subject → age of the newest backup when it was last looked at."""

    @property
    def rehearsal(self) -> bool:
        """Whether this comes from a twin."""
        return self.target != "production"


def status(
    network: Network,
    regions: Mapping[str, Region],
    verdict: verify.Verdict,
    target: str,
    now: datetime,
    *,
    catalogue: Sequence[Milestone] | None = None,
    attestations: Iterable[Attestation] = (),
    groups: Mapping[str, str] | None = None,
    witnessed: str = "not-asked",
    keys: members.Keys | None = None,
) -> Status:
    """Judge every milestone on the entries of `verdict` and gather what the views show. Raises nothing."""
    entries = [entry for entry in verdict.entries if entry.record.target == target]
    lines = milestones.evaluate(
        network, regions, entries, catalogue if catalogue is not None else catalogues.shipped(), now, target,
        attestations=attestations, groups=groups, keys=keys,
    )  # fmt: skip
    counts: dict[str, int] = {}
    for entry in entries:
        counts[entry.record.result] = counts.get(entry.record.result, 0) + 1
    head = verdict.head
    ground = Ground(
        head.log if head else "", head.count if head else 0, head.hash if head else "",
        tuple(str(finding) for finding in verdict.findings), witnessed, dict(sorted(counts.items())),
    )  # fmt: skip
    return Status(
        target, network.meta.title, clock.stamp(now), network.meta.scope, str(network.meta.settings.get("sample", "")),
        tuple(lines), tuple(recoveries(entries)), ground, backup_ages(entries),
    )  # fmt: skip


def recoveries(entries: Iterable[Entry]) -> list[Recovery]:
    """The last drill of each database, by subject."""
    last: dict[Subject, Entry] = {}
    for entry in entries:
        if entry.record.check == "drill.restore":
            last[entry.record.subject] = entry
    found = []
    for subject, entry in sorted(last.items(), key=lambda item: (item[0].site, item[0].zone, item[0].service)):
        record = entry.record
        measured = {measure.name: measure.value for measure in record.measures}
        found.append(
            Recovery(
                subject, record.time, record.result, record.reason, measured.get("rpo_seconds"),
                measured.get("rto_seconds"), measured.get("layer"), entry.sequence,
            )
        )  # fmt: skip
    return found


def backup_ages(entries: Iterable[Entry]) -> dict[str, float]:
    """Subject → age in seconds of the newest backup, as last seen."""
    found = {}
    for entry in entries:
        if entry.record.check == "backup.age":
            subject = entry.record.subject
            for measure in entry.record.measures:
                if measure.name in ("backup_age", "age_seconds"):
                    found[f"{subject.site}:{subject.zone}:{subject.service}"] = measure.value
    return found


def groups_of(plan: Plan) -> dict[str, str]:
    """Province code → East, Central or West, as the plan sets it."""
    return {code: group for group, codes in plan.plan.groups.items() for code in codes}


def gather(plan: Plan, network: Network, state: Path, target: str, now: datetime, *, ask: bool = True) -> Status:
    """Read and verify the log of `target`, ask its witness when `ask`, and judge. Raises Mistakes (JB6200, JB6234–6237)."""
    place = log.folder(state, target)
    statements, witnessed = ask_witness(network, state, target) if ask else ([], "not-asked")
    verdict = verify.judge(place, statements)
    if witnessed == "asked":
        own = [one for one in statements if verdict.head and one.log == verdict.head.log]
        against = any(finding.code in ("JB6218", "JB6219") for finding in verdict.findings)
        witnessed = "disagrees" if against else "agreed" if own else "knows-nothing"
    known = catalogues.shipped()
    signed = catalogues.attestations(plan.folder, known, plan.regions, now.date())
    return status(
        network, plan.regions, verdict, target, now,
        catalogue=known, attestations=signed, groups=groups_of(plan), witnessed=witnessed,
        keys=checks.keys(network, target),
    )  # fmt: skip


def ask_witness(network: Network, state: Path, target: str) -> tuple[list[witness.Statement], str]:
    """What the witness host remembers, and `asked` or `unreached`."""
    try:
        session, host = open_witness(network, state, target)
    except mistake.Mistakes:
        return [], "unreached"
    try:
        return witness.get(session, host), "asked"
    except mistake.Mistakes:
        return [], "unreached"
    finally:
        remote.close(session)


def open_witness(network: Network, state: Path, target: str) -> tuple[remote.Session, str]:
    """A session to the host that keeps the head, and its name. Raises Mistakes (JB6220, what reach.of raises)."""
    settings = network.meta.settings
    region, zone = str(settings.get("witness_region", "000000")), str(settings.get("witness_zone", "management"))
    host = witness.device(network, region, zone)
    reaches = reach.of(state, target)
    return remote.session({name: one for name, one in reaches.items() if name == host}), host


def published(target: str, time: str, page: bytes, tool: str) -> Record:
    """The record that the progress was published (S2 三(一): 定期公布各省区市的建设进度); the page is its detail."""
    from ground import files

    return Record(
        check=PUBLISHED, subject=Subject("000000"), target=target, observer="controller", method="page written",
        time=time, tool=tool, input_key=files.sha256(target.encode())[:16], result="pass", reason="", seen=1, expected=1,
        detail=files.sha256(page),
    )  # fmt: skip


def brief(status: Status) -> dict[str, object]:
    """The status for programs: as it is, with the evidence of a line cut to what finds it again in the log."""
    value: dict[str, object] = msgspec.to_builtins(status)
    for line in value["lines"]:  # type: ignore[attr-defined]
        for column in ("probe", "data"):
            line[column]["evidence"] = [
                {
                    "sequence": one["sequence"], "hash": one["hash"], "check": one["record"]["check"],
                    "subject": one["record"]["subject"], "result": one["record"]["result"], "time": one["record"]["time"],
                }
                for one in line[column]["evidence"]
            ]  # fmt: skip
        line["attestation"].pop("evidence")
    value["rehearsal"] = REHEARSAL if status.rehearsal else ""
    return value
