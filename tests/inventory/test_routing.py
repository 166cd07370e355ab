"""Routes: who says what to whom, and that what the one router says of a neighbour hangs on that neighbour alone."""

from __future__ import annotations

import msgspec
import pytest

from inventory import render
from inventory.ends import Dual
from inventory.routing import Neighbour, Routing, Static, routing
from ip_plan.network import Network
from tests.inventory import sample

NATION = Dual(("10.0.0.0/8",), ("3fff::/20",))
PROVINCE = Dual(("10.64.0.0/15",), ("3fff:10::/28",))
CITY = Dual(("10.65.0.0/18",), ("3fff:10:1000::/36",))
COUNTY = Dual(
    ("10.65.21.0/24", "10.65.22.0/24", "10.65.0.13/32"),
    ("3fff:10:1021:21::/64", "3fff:10:1021:22::/64", "3fff:10:1021::1/128"),
)


def both(one: Dual, other: Dual) -> Dual:
    return Dual(one.v4 + other.v4, one.v6 + other.v6)


def of(network: Network, device: str) -> Routing:
    found = routing(network, network.devices[device])
    assert found is not None
    return found


def neighbour(network: Network, device: str, key: str) -> Neighbour:
    return next(each for each in of(network, device).neighbours if each.key == key)


@pytest.mark.parametrize(
    ("device", "key", "relation", "rank", "accept", "announce"),
    [
        ("000000-r1", "640000-r1", "child", "primary", PROVINCE, NATION),
        ("000000-r2", "640000-r2", "child", "backup", PROVINCE, NATION),
        ("640000-r1", "000000-r1", "parent", "primary", NATION, PROVINCE),
        ("640000-r2", "000000-r2", "parent", "backup", NATION, PROVINCE),
        ("640000-r1", "640100-r1", "child", "primary", CITY, both(NATION, PROVINCE)),
        ("640000-r2", "640100-r1", "child", "backup", CITY, both(NATION, PROVINCE)),
        ("640100-r1", "640000-r1", "parent", "primary", both(NATION, PROVINCE), CITY),
        ("640100-r1", "640000-r2", "parent", "backup", both(NATION, PROVINCE), CITY),
        ("640100-r1", "640121-r1", "child", "primary", COUNTY, both(both(NATION, PROVINCE), CITY)),
        ("640121-r1", "640100-r1", "parent", "primary", both(both(NATION, PROVINCE), CITY), COUNTY),
        ("640000-r1", "640000-r2", "inside", "primary", NATION, NATION),
    ],
)
def test_each_side_of_a_line(device: str, key: str, relation: str, rank: str, accept: Dual, announce: Dual) -> None:
    found = neighbour(sample.network(), device, key)
    assert (found.relation, found.rank) == (relation, rank)
    assert (found.accept, found.announce) == (accept, announce)


def test_what_one_side_announces_the_other_accepts() -> None:
    whole = sample.network()
    for device in whole.devices.values():
        found = routing(whole, device)
        for each in found.neighbours if found else ():
            other = neighbour(whole, each.key, device.name)
            assert each.announce == other.accept
            assert {each.relation, other.relation} in ({"parent", "child"}, {"inside"})


@pytest.mark.parametrize(
    ("device", "aggregates", "outside"),
    [
        ("000000-r1", NATION, both(NATION, PROVINCE)),
        ("640000-r1", PROVINCE, both(both(NATION, PROVINCE), CITY)),
        ("640100-r1", CITY, both(both(NATION, PROVINCE), CITY)),
    ],
)
def test_what_passes_between_bgp_and_ospf_is_never_the_same(device: str, aggregates: Dual, outside: Dual) -> None:
    found = of(sample.network(), device)
    assert found.aggregates == aggregates
    assert found.outside == outside
    assert not {*found.outside.v4, *found.outside.v6} & {*found.segments.v4, *found.segments.v6}


def test_a_township_goes_up_by_static_routes_and_its_city_down() -> None:
    whole = sample.network()
    up = of(whole, "640121100-r1")
    assert (up.asn, up.ospf, up.neighbours) == (0, False, ())
    assert Static("10.0.0.0/8", "10.65.0.158") in up.statics
    assert Static("10.65.31.0/24", "blackhole", 254) in up.statics
    down = of(whole, "640100-r1")
    assert Static("10.65.31.0/24", "10.65.0.159") in down.statics
    assert Static("10.65.0.14/32", "10.65.0.159") in down.statics


def test_a_township_behind_a_county_is_announced_by_the_county() -> None:
    whole = sample.network(through_county=True)
    assert Static("10.65.31.0/24", "10.65.0.159") in of(whole, "640121-r1").statics
    assert "10.65.31.0/24" in neighbour(whole, "640121-r1", "640100-r1").announce.v4
    assert "10.65.31.0/24" in neighbour(whole, "640100-r1", "640121-r1").accept.v4
    assert of(whole, "640100-r1").statics == ()


def test_no_default_route_anywhere_but_on_hosts() -> None:
    whole = sample.network()
    for rendered in render.render(whole, lab=False):
        conf = rendered.contents.get("etc/frr/frr.conf", b"").decode()
        for word in ("0.0.0.0/0", "::/0", "default-originate", "default-information", "le 0"):
            assert word not in conf, (rendered.tree.device, word)
        host = whole.devices[rendered.tree.device].role == "host"
        networks = [text.decode() for source, text in rendered.contents.items() if source.endswith(".network")]
        assert any("Gateway=" in text for text in networks) == host


def conf(network: Network, device: str) -> list[str]:
    (rendered,) = render.render(network, devices=[device], lab=False)
    return rendered.contents["etc/frr/frr.conf"].decode().splitlines()


def test_a_new_neighbour_renames_nothing_of_the_others() -> None:
    """Policies named by position turned one new neighbour into thousands of changed lines."""
    whole = sample.network()
    county = whole.sites["640121:office1"]
    less = [
        msgspec.structs.replace(
            shard,
            devices=tuple(
                msgspec.structs.replace(d, interfaces=tuple(i for i in d.interfaces if i.peer_site != county.key))
                for d in shard.devices
            ),
        )
        for shard in whole.shards
    ]
    before = conf(msgspec.structs.replace(whole, shards=tuple(less)), "640100-r1")
    after = conf(whole, "640100-r1")
    assert [line for line in before if line not in after] == []
    new = [line for line in after if line not in before]
    assert new and all("640121-r1" in line or "10.65.0.157" in line or "3fff:10:1021" in line for line in new)


def test_primary_first_in_both_directions() -> None:
    text = "\n".join(conf(sample.network(), "640100-r1"))
    for key, preference, metric in (("640000-r1", 200, 100), ("640000-r2", 100, 200)):
        for family in ("40", "60"):
            inward = text.partition(f"route-map IN-{key} permit {family}\n")[2].partition("exit")[0]
            outward = text.partition(f"route-map OUT-{key} permit {family}\n")[2].partition("exit")[0]
            assert f"set local-preference {preference}\n" in inward
            assert f"set metric {metric}\n" in outward
