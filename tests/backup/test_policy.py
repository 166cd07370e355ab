"""The policy: what is protected, what cannot be kept, and the guard that no drill passes."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup import drill, policy
from ground.mistake import Mistakes
from ground.remote import Session
from ip_plan.network import Device, Network
from tests.backup import centre


def with_scratch(**changed: object) -> Network:
    """The centre, its scratch host changed."""
    network = centre.network()
    (shard,) = network.shards
    devices = tuple(
        msgspec.structs.replace(device, **changed) if device.name == centre.SCRATCH else device
        for device in shard.devices
    )
    return Network(network.meta, network.flows, (msgspec.structs.replace(shard, devices=devices),), network.keys)


def test_the_plan_s_scratch_host_is_taken() -> None:
    assert policy.scratch(centre.network(), centre.PROTECTION).device == centre.SCRATCH


@pytest.mark.parametrize(
    ("network", "scratch", "words"),
    [
        (centre.network(), "", "names no scratch host"),
        (centre.network(), "990100-bkup9", "is not in the plan"),
        (centre.network(), centre.SOURCE, "has the duties database"),
        (centre.network(), centre.REPOSITORY, "has the duties repository"),
        (with_scratch(duties=("scratch", "database")), centre.SCRATCH, "only a host with the one duty"),
        (with_scratch(duties=()), centre.SCRATCH, "has the duties none"),
        (with_scratch(role="router"), centre.SCRATCH, "only a host"),
    ],
)
def test_nothing_else_is_ever_emptied(network: Network, scratch: str, words: str) -> None:
    protection = msgspec.structs.replace(centre.PROTECTION, scratch=scratch)
    nobody = Session({}, Path("/nowhere"))
    with pytest.raises(Mistakes, match=words) as raised:
        drill.drill(network, nobody, "twin:x", protection)
    assert [found.code for found in raised.value.found] == ["JB5101"]
    assert "nothing was touched" in str(raised.value)


@given(
    st.lists(st.sampled_from(["scratch", "database", "repository", "names", "metrics", "portal"]), unique=True),
    st.sampled_from(["host", "router", "firewall", "access"]),
)
def test_only_the_one_duty_is_enough(duties: list[str], role: str) -> None:
    network = with_scratch(duties=tuple(duties), role=role)
    try:
        found = policy.scratch(network, centre.PROTECTION).device
    except Mistakes:
        found = ""
    assert found == (centre.SCRATCH if (duties, role) == (["scratch"], "host") else "")


def test_select() -> None:
    network = centre.network()
    assert policy.select(network, []) == (centre.PROTECTION,)
    assert policy.select(network, [f"{centre.SITE}:production"]) == (centre.PROTECTION,)
    with pytest.raises(Mistakes) as raised:
        policy.select(network, [centre.SOURCE, "nobody", "none"])
    assert [(found.code, found.object) for found in raised.value.found] == [("JB5001", "nobody"), ("JB5001", "none")]


@pytest.mark.parametrize(("archive", "rpo", "wrong"), [(30, 60, 0), (60, 60, 0), (61, 60, 1), (0, 60, 1)])
def test_a_policy_that_loses_more_than_it_allows(archive: int, rpo: int, wrong: int) -> None:
    changed = msgspec.structs.replace(centre.PROTECTION, archive_timeout_seconds=archive, rpo_seconds=rpo)
    assert [found.code for found in policy.mistakes(centre.network(changed))] == ["JB5002"] * wrong


def test_the_drill_s_place_is_no_cluster_s() -> None:
    assert drill.FOLDER == "/var/lib/postgresql/drill"
    for script in (drill.EMPTY, drill.PREPARE):
        assert "/15/" not in script and "main" not in script
    assert isinstance(centre.network().devices[centre.SCRATCH], Device)
