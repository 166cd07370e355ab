"""What database hosts hold: both ends of every flow agree, and what stays in production stands nowhere else."""

from __future__ import annotations

import random
import shutil
import sqlite3
from pathlib import Path

import pytest

from ip_plan import catalogue
from ip_plan import compile as compiler
from ip_plan.holding import Holding, Publication, holding
from ip_plan.network import Network
from tests.plans import CHONGQING, HUBEI

Held = dict[str, Holding]


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> tuple[Network, Held]:
    network = compiler.compiled(
        str(Path(__file__).parents[1] / "plans" / "chongqing"), tmp_path_factory.mktemp("state")
    )
    return network, {d.name: holding(network, d) for d in network.devices.values() if "database" in d.duties}


def test_whoever_takes_is_given_the_same_tables(plan: tuple[Network, Held]) -> None:
    network, held = plan
    taken = given = 0
    for name, mine in held.items():
        for each in mine.subscriptions:
            (publication,) = [one for one in held[each.publisher].publications if one.name == each.publication]
            assert network.devices[name].fqdn in publication.subscribers and publication.user == each.user
            assert publication.tables == each.tables  # with the same rows of them
            assert {table.full for table in each.tables} <= {table.full for table in mine.tables}
            taken += 1
        given += sum(len(each.subscribers) for each in mine.publications)
    assert taken == given > 0


def test_whoever_hands_over_may_write_just_that(plan: tuple[Network, Held]) -> None:
    network, held = plan
    handed = [(name, each) for name, mine in held.items() for each in mine.deliveries]
    assert handed and {network.devices[name].zone for name, _ in handed} == {"exchange"}
    for name, each in handed:
        (entered,) = held[each.device].imports
        assert (entered.user, entered.subscribers) == (each.user, (network.devices[name].fqdn,))
        assert network.devices[name].site == network.devices[each.device].site
        assert {(table.full, tuple(table.table.columns)) for table in entered.tables} == {
            (door.entrance.to, tuple(door.source.table.columns)) for door in each.doors
        }
        # What is moved in bulk needs a second person, all else the review of each row; nothing comes in unchecked.
        staged = {door.source.full for door in each.doors if door.entrance.released == "second-person"}
        assert staged == {door.source.full for door in each.doors if door.source.schema == "staging"}
        assert all(door.entrance.checks for door in each.doors)


def test_what_stays_stands_in_production_alone(plan: tuple[Network, Held]) -> None:
    network, held = plan
    stays = set(catalogue.shipped().tables.stays)
    for name, mine in held.items():
        inside = network.devices[name].zone == "production"
        assert inside == any(stays & set(each.table.columns) for each in mine.tables), name
        assert not any(stays & set(table.table.columns) for each in mine.publications for table in each.tables)


def test_each_level_has_what_it_has(plan: tuple[Network, Held]) -> None:
    _, held = plan
    schemas = {name: {each.schema for each in mine.tables} for name, mine in held.items()}
    assert {"supervision", "monitoring", "remote"} <= schemas["000000-exch1"] and "shared" not in schemas[
        "000000-exch1"
    ]
    # A municipality is a city too: it stages its own basic information.
    assert {"staging", "shared"} <= schemas["500000-exch1"]
    assert "macro" in schemas["500000-deci1"] and "macro" not in schemas["500000-prod1"]


@pytest.fixture(scope="module", params=[CHONGQING, HUBEI], ids=lambda path: path.name)
def exchanges(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Network, Held]:
    """The exchange databases of a province of another shape and of the ministry, by their region."""
    folder = tmp_path_factory.mktemp("plan")
    network = compiler.compiled(str(shutil.copytree(request.param, folder / request.param.name)), folder / "state")
    hosts = [d for d in network.devices.values() if "database" in d.duties and d.zone == "exchange"]
    return network, {network.sites[host.site].region: holding(network, host) for host in hosts}


ENGINE = sqlite3.connect(":memory:")
ENGINE.create_function("leftmost", 2, lambda text, length: text[:length])  # `left` is a join there


def matches(condition: str, region: str) -> bool:
    """Whether a row for that region fulfils a condition that the server would be given."""
    asked = f"select {condition.replace('left(', 'leftmost(')} from (select ? as to_region)"
    return bool(ENGINE.execute(asked, (region,)).fetchone()[0])


def travelled(network: Network, held: Held, start: str, end: str) -> tuple[list[str], list[str]]:
    """Where a row for `end` that `start` sends comes by, and which centres take it as theirs."""

    def only(publication: Publication, table: str) -> str:
        return next((each.only for each in publication.tables if each.full == table), "false")

    def serving(publication: Publication) -> str:
        return next(
            region for region in held if network.known_devices[f"{region}-exch1"].fqdn in publication.subscribers
        )

    up, down, seen = [start], [], [start]
    while up:  # out of each `remote.outgoing` into the next
        here = up.pop()
        incoming = next(each.table.where for each in held[here].tables if each.full == "remote.incoming")
        down += [here] if matches(incoming, end) else []
        for each in held[here].publications:
            if each.name == "fl_05" and matches(only(each, "remote.outgoing"), end):
                up.append(serving(each))
                seen.append(up[-1])
    taken = []
    while down:  # out of each `remote.incoming` into the next
        here = down.pop()
        taken += [here for each in held[here].deliveries for door in each.doors
                  if door.source.full == "remote.incoming" and matches(door.own, end)]  # fmt: skip
        for each in held[here].publications:
            if each.name.startswith("fl_05_") and matches(only(each, "remote.incoming"), end):
                down.append(serving(each))
                seen.append(down[-1])
    return seen, taken


def test_a_case_comes_to_the_one_centre_that_serves_its_region_and_to_none_twice(
    exchanges: tuple[Network, Held],
) -> None:
    network, held = exchanges
    served = [each for each in network.regions.values() if each.level in ("province", "prefecture", "county")]
    pairs = random.Random(7).sample([(start, end) for start in held for end in served], 60)
    arrived = 0
    for start, end in pairs:
        seen, taken = travelled(network, held, start, end.code)
        home = end.code if end.code in held else end.serving
        if start == home:  # a centre sends itself nothing: the row stays where it is
            assert seen == [start]
            continue
        assert taken == [home], (start, end.code, taken)
        # Only the ministry and the province above both ends lie on the way, each once up and once down.
        assert max(seen.count(region) for region in seen) <= 1, seen
        arrived += 1
    assert arrived > 20


def test_no_level_knows_the_cities_of_another_province(exchanges: tuple[Network, Held]) -> None:
    _, held = exchanges
    ministry = {each.only for one in held["000000"].publications for each in one.tables if each.only}
    assert ministry and all(only.startswith("left(to_region, 2) = '") for only in ministry)
