"""The rows about services and data, on the pilot as it was configured: a change of one service, a row on its way, a million of them."""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Mapping
from pathlib import Path

import msgspec

from ground import reach, remote
from inventory import render
from ip_plan.compile import compile_plan
from ip_plan.network import load
from playbooks import deploy
from tests.bench.meter import CHECKOUT, Failed, Figure
from tests.bench.twin import Clock, Twin, look, until
from tests.persons import AREA, number

CITY = "640300"
TIMES = 9
"""Rows sent one after the other; the figure is the median's."""
MILLION = 1_000_000
PSQL = "cd /; runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 -d jinbao -f -"
NOW = "select extract(epoch from clock_timestamp());\n"
COPY = """\
set -e; cd /; d=$(mktemp -d -p /var/lib/postgresql); chown postgres "$d"
echo 'local replication postgres peer' >>/etc/postgresql/15/main/pg_hba.conf
pg_ctlcluster 15 main reload
runuser -u postgres -- pg_basebackup -D "$d/copy" -c fast -X stream
du -sm "$d/copy" | cut -f 1; rm -r "$d"
"""
"""Nothing may copy a database so, but for this: the lab goes after it."""
INSIDE, ABOVE = f"{CITY}-deci1", "000000-exch1"


def changed(twin: Twin, folder: Path) -> Figure:
    """A body may deliver more at once: plan, rendered, on the host of the one service, checked there."""
    plan = folder / "plan"
    shutil.copytree(CHECKOUT / "ip_plan" / "plans" / "pilot", plan)
    text = (plan / "plan.yml").read_text("utf-8")
    now, then = "tables: [roster], limit_megabytes: 2", "tables: [roster], limit_megabytes: 3"
    if text.count(now) != 1:
        raise Failed(f"{now!r} does not stand once in the pilot's plan")
    clock = Clock(twin)
    (plan / "plan.yml").write_text(text.replace(now, then), "utf-8")
    network = load(compile_plan(str(plan), twin.state, confirm="pilot").network)
    names = render.write(twin.build, network, lab=True).changed
    clock.lap(f"rendered: {', '.join(names)}")
    if len(names) != 1:
        raise Failed(f"{len(names)} devices have another tree: {names[:5]}")
    order = deploy.Order(str(plan), twin.at, twin.state, CHECKOUT / "inventory" / "hosts", names[0])
    outcome = deploy.run(order, lambda event: None)
    if not outcome.good or not outcome.hosts[names[0]]["changed"]:
        raise Failed(f"the playbook ended otherwise: {outcome.hosts}, {outcome.failures}")
    clock.lap("applied")
    bad = [(one.subject, one.reason) for one in look(twin, ["partners", "services"]) if one.result != "pass"]
    if bad:
        raise Failed(f"after the change: {bad[:2]}")
    return clock.figure(1)


def sent(twin: Twin, device: str) -> Figure:
    """Seconds from a row's commit in a city's production database until `device` shows what is derived of it, by the machine's clock."""
    clock = Clock(twin)
    waits = []
    for serial in range(TIMES):
        person = number(serial)
        given = {
            f"{CITY}-prod1": f"select pg_sleep(1.5);\n{_row(person)}{NOW}",
            device: f"do $$ begin while not exists (select from monitoring.pension where person = '{person}') "
            f"loop perform pg_sleep(0.002); end loop; end $$;\n{NOW}",
        }
        said = _ask(twin, given)
        waits.append(float(said[device].split()[-1]) - float(said[f"{CITY}-prod1"].split()[-1]))
        _ask(twin, {f"{CITY}-prod1": f"delete from insurance.participation where person = '{person}';\n"})
    clock.lap(f"{min(waits):.3f} to {max(waits):.3f} s")
    return msgspec.structs.replace(clock.figure(1), wall=max(0.0, statistics.median(waits)))


def million(twin: Twin) -> tuple[Figure, Figure]:
    """A million rows committed at once in production until exchange (FL-02) and decision (FL-04) have them all; `pg_basebackup` of it."""
    clock = Clock(twin)
    many = (
        "insert into insurance.participation (region, person, kind, name, unit, status, base_yuan) select "
        f"'{CITY}', '{AREA}' || lpad(n::text, 12, '0'), 'pension', 'x', 'U1', 'active', 5000 from generate_series(1, {MILLION}) as n;\n"
    )
    _ask(twin, {f"{CITY}-prod1": many}, seconds=600)
    clock.lap("committed in production")
    for device, table in ((f"{CITY}-exch1", "insurance.participation"), (INSIDE, "monitoring.pension")):
        _filled(twin, device, table)
        clock.lap(f"in {table} of {device}")
    carried = clock.figure(MILLION)
    peer = Clock(twin)
    said = _program(twin, {f"{CITY}-prod1": COPY}, {}, 600)
    peer.lap(f"pg_basebackup of {said[f'{CITY}-prod1'].strip()} MB")
    return carried, peer.figure(MILLION)


def _filled(twin: Twin, device: str, table: str) -> None:
    count = {device: f"select count(*) from {table} where region = '{CITY}';\n"}
    until(lambda: int(_ask(twin, count, 300)[device]) == MILLION, f"{MILLION} rows of {table} on {device}")


def _row(person: str) -> str:
    return (
        "insert into insurance.participation (region, person, kind, name, unit, status, base_yuan) "
        f"values ('{CITY}', '{person}', 'pension', 'x', 'U1', 'active', 5000);\n"
    )


def _ask(twin: Twin, given: Mapping[str, str], seconds: float = 120) -> dict[str, str]:
    return _program(twin, dict.fromkeys(given, PSQL), {name: text.encode() for name, text in given.items()}, seconds)


def _program(twin: Twin, programs: Mapping[str, str], given: Mapping[str, bytes], seconds: float) -> dict[str, str]:
    session = remote.session(reach.of(twin.state, twin.at))
    try:
        answers = remote.run_all(session, programs, given=given, seconds=seconds)
    finally:
        remote.close(session)
    for name, answer in answers.items():
        if not answer.ok:
            raise Failed(f"{name}: {answer.err or answer.out}")
    return {name: answer.out for name, answer in answers.items()}
