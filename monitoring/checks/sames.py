"""The three-sames tests (同人同城同库, S3 三(一)) on every production database, by SQL, without changing anything.

    same.identifier   one identifier for one person, well formed, and known wherever business refers to it
    same.attribute    one attribute has one value wherever it is kept
    same.logic        what one business says is possible by what the others say

Nothing in the tables enforces any of it: the businesses load them on their own, and that they agree has to be seen.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ground import remote
from ground.record import Measure, Record
from ip_plan import catalogue
from ip_plan.network import Device
from monitoring.checks.look import Found, Look, hosts, some, subject

IDENTIFIER, ATTRIBUTE, LOGIC = "same.identifier", "same.attribute", "same.logic"
CHECKS = (IDENTIFIER, ATTRIBUTE, LOGIC)
METHOD = "SQL over the local socket"
DATABASE = "jinbao"
SHOWN = 3

# Seventeen digits and the check digit over them (GB 11643, ISO 7064 MOD 11-2).
FORM = """\
select person, 'is no citizen number' from shared.person where case when person !~ '^[0-9]{17}[0-9X]$' then true else
  substr(person, 18) <> substr('10X98765432', (
    select sum(substr(person, n, 1)::int * (array[7,9,10,5,8,4,2,1,6,3,7,9,10,5,8,4,2])[n]) from generate_series(1, 17) as n
  )::int % 11 + 1, 1) end
"""
REFERRING = (
    "insurance.participation", "insurance.contribution", "insurance.benefit",
    "market.employment", "market.placement", "market.training", "business.contract", "business.dispute", "business.skill",
)  # fmt: skip
TESTS: dict[str, tuple[str, ...]] = {
    IDENTIFIER: (
        FORM,
        # Two numbers for one human being: the same name, birth date and account.
        "select min(person), 'shares name, birth and account with ' || max(person) from shared.person "
        "where account is not null group by name, born, account having count(distinct person) > 1",
        *(
            f"select distinct person, 'is known to {table} only' from {table} as t where person is not null "
            "and not exists (select from shared.person as p where p.person = t.person and p.region = t.region)"
            for table in REFERRING
        ),
    ),
    ATTRIBUTE: (
        "select person, 'born ' || born || ' is not in the number' from shared.person "
        "where born is not null and person ~ '^[0-9]{17}' and to_char(born, 'YYYYMMDD') <> substr(person, 7, 8)",
        *(
            f"select t.person, 'has another name in {table}' from {table} as t join shared.person as p using (region, person) "
            "where t.name <> p.name"
            for table in ("insurance.participation", "market.employment")
        ),
        "select t.person, 'works for another unit by employment than by ' || i.kind from market.employment as t "
        "join insurance.participation as i using (region, person) "
        "where t.status = 'employed' and i.status = 'active' and t.unit <> i.unit",
    ),
    LOGIC: (
        # Retirement must change medical, unemployment, injury and maternity (S3 三(一)).
        "select i.person, 'is retired and still active in ' || i.kind from insurance.participation as i "
        "join shared.person as p using (region, person) where p.retired <= current_date and i.status = 'active'",
        "select t.person, 'is retired and ' || t.status from market.employment as t join shared.person as p using (region, person) "
        "where p.retired <= current_date and t.status in ('employed', 'unemployed')",
        "select t.person, 'is unemployed and active in ' || i.kind from market.employment as t "
        "join insurance.participation as i using (region, person) "
        "where t.status = 'unemployed' and i.status = 'active' and i.kind in ('injury', 'unemployment')",
    ),
}


def statement(check: str) -> str:
    """The tests of one check as one line of JSON: how many persons, and the first of what was found."""
    found = " union all ".join(f"({test})" for test in TESTS[check])
    return (
        f"select json_build_object('check', '{check}', 'persons', (select count(*) from shared.person), 'found', count(*), "
        f"'first', coalesce((array_agg(person || ' ' || what))[1:{SHOWN}], '{{}}')) from ({found}) as found (person, what);\n"
    )


PROGRAM = f"cd /; runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 -d {DATABASE} -f - 2>&1"
QUESTION = "begin read only;\n" + "".join(map(statement, CHECKS)) + "commit;\n"


def run(look: Look) -> Found:
    """Ask every production database; three records each."""
    (zone,) = {zone for zones in catalogue.shipped().entries["DB-30"].at.values() for zone in zones}
    listed = [host for host in hosts(look.network) if "database" in host.duties and host.zone == zone]
    look.told(f"three-sames: {len(listed)} databases")
    given = {host.name: QUESTION.encode() for host in listed}
    answers = remote.run_all(look.session, dict.fromkeys(given, PROGRAM), given=given)
    return Found(tuple(judge(look, host, check, answers[host.name]) for host in listed for check in CHECKS))


def judge(look: Look, host: Device, check: str, answer: remote.Answer) -> Record:
    """One record of one database."""
    measures: tuple[Measure, ...] = ()
    seen = 0
    if answer.code is None:
        result, reason = "not-observed", answer.err.strip() or "no answer"
    else:
        try:
            said = _said(answer.out, check)
        except (msgspec.MsgspecError, KeyError, TypeError) as why:
            result, reason = (
                "error",
                answer.out.strip().replace("\n", " ") if not answer.ok else f"unreadable answer: {why}",
            )
        else:
            seen = 1
            result = "fail" if said["found"] else "pass"
            more = said["found"] - len(said["first"])
            reason = (
                some(said["first"]) + (f" and {more} more" if more > 0 else "")
                if said["found"]
                else f"{said['persons']} persons hold"
            )
            measures = (Measure("found", "", float(said["found"]), 0.0), Measure("persons", "", float(said["persons"])))
    site = look.network.sites[host.site]
    return look.record(
        check,
        subject(site, zone=host.zone, service="db", device=host.name),
        result,  # type: ignore[arg-type]
        reason,
        method=METHOD,
        key=(host,),
        observer=host.name,
        seen=seen,
        measures=measures,
    )


def _said(out: str, check: str) -> dict[str, Any]:
    told = [msgspec.json.decode(line, type=dict[str, Any]) for line in out.splitlines() if line.startswith("{")]
    return {said["check"]: said for said in told}[check]
