"""All checks from outside, in one go: what only an unreachable device could tell is not observed, what its neighbours see is told."""

from __future__ import annotations

from collections.abc import Callable, Collection

from ground import mistake, remote
from ground.record import Record, Subject
from ground.remote import Session
from ip_plan.network import Network
from monitoring.checks import (
    backup,
    copies,
    database,
    encryption,
    entrance,
    flows,
    names,
    pairs,
    partners,
    queries,
    reach,
    roles,
    routing,
    rules,
    sames,
    services,
    time,
    zones,
)
from monitoring.checks.crew import Crew, crew
from monitoring.checks.look import Found, Look, hosts

BY_AGENT: dict[str, Callable[[Look, Crew], Found]] = {
    "services": services.run,
    "zones": zones.run,
    "reach": reach.run,
    "names": names.run,
    "copies": copies.run,
    "time": time.run,
}
BY_QUESTION: dict[str, Callable[[Look], Found]] = {
    "routing": routing.run,
    "encryption": encryption.run,
    "pairs": pairs.run,
    "roles": roles.run,
    "rules": rules.run,
    "databases": database.run,
    "flows": flows.run,
    "entrances": entrance.run,
    "partners": partners.run,
    "queries": queries.run,
    "sames": sames.run,
    "backups": backup.run,
}
SUBJECTS = (*BY_QUESTION, *BY_AGENT)
CHECKS = {
    "services": (services.CHECK,),
    "zones": (zones.CHECK,),
    "reach": (reach.CHECK,),
    "names": (names.FORWARD, names.REVERSE),
    "copies": (copies.CHECK,),
    "time": (time.CHECK,),
    "routing": (routing.SESSION, routing.PREFIX),
    "encryption": (encryption.CHECK,),
    "pairs": (pairs.CHECK,),
    "roles": (roles.CHECK,),
    "rules": (rules.CHECK,),
    "databases": (database.CHECK,),
    "flows": (flows.CHECK,),
    "entrances": (entrance.CHECK,),
    "partners": (partners.CHECK, partners.ANSWERED),
    "queries": (queries.CHECK,),
    "sames": sames.CHECKS,
    "backups": (backup.CHECK,),
}


def wanted(only: Collection[str]) -> tuple[str, ...]:
    """The subjects to look at: all, or those named, by themselves or by the id of a check. Raises JB6101."""
    unknown = [name for name in only if name not in SUBJECTS and not any(name in ids for ids in CHECKS.values())]
    if unknown:
        ids = ", ".join(sorted({*SUBJECTS, *(name for names in CHECKS.values() for name in names)}))
        raise mistake.Mistakes(
            [
                mistake.Mistake("", None, None, "JB6101", name, "there is no check of this name", f"Name one of {ids}.")
                for name in unknown
            ],
            "nothing was checked",
        )
    return tuple(name for name in SUBJECTS if not only or name in only or set(CHECKS[name]) & set(only))


def run(
    network: Network,
    session: Session,
    target: str,
    only: Collection[str] = (),
    *,
    told: Callable[[str], None] = lambda step: None,
    kept: Callable[[Found], None] = lambda found: None,
) -> list[Record]:
    """Look at everything (or `only` those subjects or check ids); one record a subject.

    `told` hears of each step; `kept` takes each part as it comes, with its details, so that what was seen is not lost when the
    run is interrupted. Raises JB6101.
    """
    look = Look(network, session, target, told)
    subjects = wanted(only)
    records: list[Record] = []

    def keep(found: Found) -> None:
        listed = tuple(one for one in found.records if not only or one.check in only or _subject_of(one) in only)
        records.extend(listed)
        kept(Found(listed, found.details))

    for name in subjects:
        if name in BY_QUESTION:
            keep(BY_QUESTION[name](look))
    asked = [name for name in subjects if name in BY_AGENT]
    if asked:
        told(f"starting agents on {len(hosts(network))} hosts")
        with crew(session, [host.name for host in hosts(network)]) as members:
            # Names, time and services first: the responders of the zone probes answer in place of a daemon that is not there.
            for name in sorted(asked, key=["names", "copies", "time", "services", "zones", "reach"].index):
                keep(BY_AGENT[name](look, members))
    return records


def keys(network: Network, target: str) -> dict[tuple[str, Subject], str]:
    """(check, subject) → the input key that a record of now would carry: what a look that reaches nobody would write down."""
    blind = remote.session({})
    try:
        return {(record.check, record.subject): record.input_key for record in run(network, blind, target)}
    finally:
        remote.close(blind)


def _subject_of(record: Record) -> str:
    return next(name for name, ids in CHECKS.items() if record.check in ids)
