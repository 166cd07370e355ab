"""The service catalogue is complete, every place in it is one of the plan's, and each state rests on something that exists."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from ground.mistake import Mistakes
from ip_plan import catalogue
from ip_plan import plan as plans
from ip_plan.catalogue import Entry

ROOT = Path(__file__).resolve().parents[2]
KNOWN = catalogue.shipped()
# Written by hand: every row of the tables of systems, databases and flows that the source documents name.
IDS = (
    {f"SYS-{n:02}" for n in range(1, 31)}
    | {f"SYS-{n}" for n in range(40, 45)}
    | {f"SYS-41{part}" for part in "abcdefg"}
)
IDS |= {f"DB-{n:02}" for n in range(1, 22)} | {"DB-30"} | {f"FL-{n:02}" for n in range(1, 25)}
FILES = ((ROOT / "ip_plan" / "catalogue.yml").read_bytes(), (ROOT / "ip_plan" / "tables.yml").read_bytes())
plan = cache(plans.load)


def test_every_id_of_the_sources_is_there_and_none_besides() -> None:
    assert set(KNOWN.entries) == IDS


def test_every_place_is_one_of_the_plan() -> None:
    sites = plan("national").sites
    for entry in KNOWN.entries.values():
        for level, zones in entry.at.items():
            known = {zone for site in sites.sites if site.level == level for zone in site.zones}
            assert set(zones) <= known, (entry.id, level)


@pytest.mark.parametrize("entry", KNOWN.entries.values(), ids=lambda entry: entry.id)
def test_a_state_rests_on_what_exists(entry: Entry) -> None:
    if entry.state == "configurable":
        found = plan(str(ROOT / entry.plan) if "/" in entry.plan else entry.plan)
        assert set(entry.rows) <= {row.id for row in found.flows.flows}
        assert entry.service in ("", *found.flows.services)
    if entry.state == "application-running":
        file, _, test = entry.shown.partition("::")
        assert f"def {test}(" in (ROOT / file).read_text("utf-8")
    if entry.duty:  # a host of every zone that it stands in has the duty, and a play brings it there
        hosts = {host.zone: host for host in plan("national").sites.hosts}
        zones = {zone for zones in entry.at.values() for zone in zones}
        assert any(entry.duty in hosts[zone].duties and entry.service in hosts[zone].services for zone in zones)


def test_what_is_a_skeleton_ends_at_schemas() -> None:
    def schemas(entry: Entry, seen: frozenset[str] = frozenset()) -> set[str]:
        own = {entry.schema} - {""} | set(KNOWN.tables.flows.get(entry.id, ()))
        return own.union(*(schemas(KNOWN.entries[other], seen | {other}) for other in entry.by if other not in seen))

    for entry in KNOWN.entries.values():
        if entry.state == "database-skeleton":
            assert schemas(entry), entry.id


def test_nothing_that_stays_is_on_a_list_of_what_leaves() -> None:
    for tables in KNOWN.tables.schemas.values():
        for table in tables.values():
            assert not set(KNOWN.tables.stays) & set(table.outside.columns)


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("id: DB-02", "id: DB-01", "this id stands twice"),
        ("by: [DB-02, DB-09]", "by: [DB-99]", "`by` names DB-99, which is no entry"),
        ("schema: market", "schema: bazaar", "the schema bazaar has no tables"),
        ("state: configurable", "state: running", "Invalid enum value 'running'"),
        ("  plan: pilot\n", "", "needs `plan`"),
        ("leaves: [region, unit, name", "leaves: [region, unit, telephone, name", "telephone may not leave production"),
        ("leaves: [region, movement, fund", "leaves: [region, fund", "the key is not among what leaves"),
        ("key: [region, placement]", "key: [placement]", "the key does not begin with the region"),
        ("leaves: [region, person, course", "leaves: [region, person, cours", "no such column: cours"),
        ("from: market.employment", "from: market.training", "market.training does not give all of its columns"),
        ("FL-03: [insurance", "FL-03: [insurrance", "unknown: insurrance"),
        ("  FL-05: [remote.incoming]", "  FL-05: [remote.incomming]", "unknown: remote.incomming"),
        ("addressed: to_region", "addressed: person", "the column that it is addressed by is not in its key"),
        ("to: business.received", "to: business.recieved", "or the one it leads to is unknown"),
        ("to: business.received", "to: business.declared", "or another key than business.declared"),
        ("by: [person, name, kind]", "by: [person, kind]", "whoever has the number alone would be answered"),
        ("by: [person, name, kind]", "by: [person, name]", "does not tell one row of insurance.participation"),
        (
            "by: [person, name, born]",
            "by: [person, telephone]",
            "shared.person does not give telephone outside production",
        ),
        ("gives: [retired]", "gives: [retired, account]", "shared.person does not give account outside production"),
    ],
)
def test_a_wrong_catalogue_is_refused(old: str, new: str, what: str) -> None:
    texts = [data.decode() for data in FILES]
    assert any(old in text for text in texts), old
    with pytest.raises(Mistakes) as raised:
        catalogue.read(texts[0].replace(old, new, 1).encode(), texts[1].replace(old, new, 1).encode())
    assert any(mistake.code == "JB1501" and what in mistake.what for mistake in raised.value.found), raised.value


def test_an_entry_is_told_with_its_ports_and_tables_and_an_unknown_one_refused() -> None:
    said = catalogue.told(KNOWN.find("DB-09"), KNOWN, plan("national").flows.services)
    assert said["service"] == "db tcp/5432" and said["schema"].startswith("monitoring: pension, medical")
    assert catalogue.told(KNOWN.find("FL-04"), KNOWN, {})["carries"] == "supervision, monitoring, returns"
    assert "remote.outgoing, remote.incoming" in catalogue.told(KNOWN.find("FL-05"), KNOWN, {})["carries"]
    assert "staging.person to shared.person" in catalogue.told(KNOWN.find("FL-07"), KNOWN, {})["carries"]
    with pytest.raises(Mistakes, match="JB1502"):
        KNOWN.find("DB-99")
