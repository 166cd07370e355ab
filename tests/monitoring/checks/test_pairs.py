"""Which firewall of a pair is active, as the addresses of both say: one, both, none, for all zones or some, or nobody can tell."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from ground.remote import Answer, Session
from ip_plan.network import Device, Interface, Network
from monitoring.checks import pairs, run
from monitoring.checks.look import Look
from tests.monitoring.checks import sample

SITE = sample.SITES[0]
ZONES = SITE.zones
ALL = tuple(address for zone in ZONES for address in (zone.gateway4, zone.gateway6))
GONE = Answer(None, "", "ssh: connect to host 10.255.0.9 port 22: Connection timed out")


def firewall(number: int) -> Device:
    interfaces = tuple(
        Interface(f"z-{z.name}", "zone", f"10.9.{n}.{number + 1}/24", f"fd09:{n}::{number + 1}/64", zone=z.name)
        for n, z in enumerate(ZONES, 1)
    )
    return Device(f"990100-fw{number}", SITE.key, "firewall", f"fw{number}.test.internal", interfaces)


PAIR = (firewall(1), firewall(2))


def network() -> Network:
    made = sample.network(devices=(*sample.HOSTS, *PAIR))
    (shard,) = made.shards
    site = msgspec.structs.replace(SITE, devices=(*SITE.devices, *(each.name for each in PAIR)))
    return msgspec.structs.replace(made, shards=(msgspec.structs.replace(shard, sites=(site, *shard.sites[1:])),))


LOOK = Look(network(), Session({}, Path("/nowhere")), "twin:test")


def has(*addresses: str) -> Answer:
    rows = [{"ifname": "lo", "addr_info": [{"local": "127.0.0.1"}]}]
    return Answer(0, json.dumps([*rows, *({"ifname": "z", "addr_info": [{"local": each}]} for each in addresses)]), "")


@pytest.mark.parametrize(
    ("first", "second", "result", "said"),
    [
        (has(*ALL), has(), "pass", "990100-fw1 is active, 990100-fw2 stands by"),
        (has(), has(*ALL), "pass", "990100-fw2 is active, 990100-fw1 stands by"),
        (has(*ALL), has(*ALL), "fail", "both active, each for all zones"),
        (has(*ALL[:2]), has(*ALL[2:]), "fail", "both active, each for some zones"),
        (has(), has(), "fail", "neither 990100-fw1 nor 990100-fw2 is active"),
        (has(*ALL[1:]), has(), "fail", "990100-fw1 is active without 10.9.1.1"),
        (GONE, has(*ALL), "not-observed", "990100-fw2 is active; 990100-fw1 cannot tell: ssh"),
        (GONE, has(), "not-observed", "none is seen active"),
        (GONE, GONE, "not-observed", "cannot tell"),
        (Answer(0, "garbage", ""), has(*ALL), "not-observed", "990100-fw1 cannot tell"),
    ],
)
def test_what_the_addresses_of_both_say(first: Answer, second: Answer, result: str, said: str) -> None:
    record = pairs.judge(LOOK, LOOK.network.sites[SITE.key], LOOK.network.pair(SITE.key), [first, second])
    assert (record.result, record.check, record.subject.site) == (result, "pair.active", SITE.key)
    assert said in record.reason


def test_a_site_with_one_firewall_has_no_such_record() -> None:
    assert pairs.run(Look(sample.network(), LOOK.session, LOOK.target)).records == ()
    assert {record.check for record in run.run(LOOK.network, LOOK.session, LOOK.target, ["pairs"])} == {"pair.active"}
