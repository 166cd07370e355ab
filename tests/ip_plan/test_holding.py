"""What database hosts hold: both ends of every flow agree, and what stays in production stands nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from ip_plan import catalogue
from ip_plan import compile as compiler
from ip_plan.holding import Holding, holding
from ip_plan.network import Network

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
            assert publication.tables == each.tables
            assert {table.full for table in each.tables} <= {table.full for table in mine.tables}
            taken += 1
        given += sum(len(each.subscribers) for each in mine.publications)
    assert taken == given > 0


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
