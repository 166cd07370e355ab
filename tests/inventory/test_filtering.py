"""Filters: every rule has its reason, both ends let through the same, and nothing is open that no flow opens."""

from __future__ import annotations

import re
from ipaddress import ip_network

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inventory import ends
from inventory.dialects import nftables
from inventory.ends import Dual
from inventory.filtering import BASE, Filter, filtering
from ip_plan.network import TRANSIT, Device, Flow, Network, Relation, Site
from tests.inventory import sample

ZONES = ("production", "exchange", "decision", "management", "backup", "access", TRANSIT)
RELATIONS: tuple[Relation, ...] = ("same-centre", "serving-parent", "served-child")


def filters(network: Network) -> dict[str, Filter]:
    found = {name: filtering(network, device) for name, device in network.devices.items()}
    return {name: value for name, value in found.items() if value is not None}


def lines(value: Filter) -> list[str]:
    """The rules of a rendered filter: every line with a verdict."""
    text = nftables.text(value, "x")
    return [line.strip() for line in text.splitlines() if re.search(r"\b(accept|drop|jump \w+)( comment|$)", line)]


def test_every_rule_has_a_flow_or_a_known_reason_and_counts() -> None:
    whole = sample.network()
    ids = {flow.id for flow in whole.flows if flow.verdict == "allow"}
    for name, value in filters(whole).items():
        for line in lines(value):
            comment = re.search(r'comment "([^"]+)"$', line)
            assert comment, (name, line)
            assert comment[1] in ids | set(BASE), (name, line)
            assert " counter " in line or line.startswith(("counter", "jump")), (name, line)


def test_nothing_comes_in_or_passes_by_default() -> None:
    for name, value in filters(sample.network()).items():
        text = nftables.text(value, name)
        assert "hook input priority filter; policy drop;" in text
        assert f"hook forward priority filter; policy {'accept' if value.forwards else 'drop'};" in text
        assert value.forwards == (name.rpartition("-")[2].startswith("r") and value.guards == ())
        for hook in ("iifname", "oifname"):
            assert f'{hook} "mgmt0" counter drop comment "base:management"' in text


def test_the_table_is_replaced_and_other_tables_stay() -> None:
    (value, *_) = filters(sample.network()).values()
    text = nftables.text(value, "x")
    assert "flush ruleset" not in text
    assert text.index("table inet zone\ndelete table inet zone\ntable inet zone {") > 0


def firewall(network: Network, site: Site) -> Device:
    return next(d for d in ends.devices(network, site) if d.role in ("firewall", "access"))


def passes(network: Network, device: Device, flow: str, way: str) -> set[tuple[str, str, str]]:
    """(source, target, port) that a device forwards for a flow, out to the lines or in from them."""
    value = filtering(network, device)
    assert value is not None
    sets = {f"@{each.name}": each.elements for each in value.sets}
    found = set()
    for rule in value.rules:
        side = rule.exit if way == "out" else rule.entry
        if rule.flow == flow and rule.chain == "forward" and side == "@lines":
            found |= {(one, other, rule.port) for one in sets[rule.source] for other in sets[rule.target]}
    return found


@st.composite
def rows(draw: st.DrawFn) -> Flow:
    """An allow row between hosts of two sites; services only where the sample has them."""
    one, other = draw(st.sampled_from(ZONES[:-1])), draw(st.sampled_from(ZONES[:-1]))
    services = {zone: ("", *sample.CARRIED[zone][1]) for zone in ZONES[:-1]}
    return Flow(
        "ROW", "", "allow", one, other, draw(st.sampled_from(RELATIONS[1:])),
        draw(st.sampled_from([("tcp/443",), ("udp/123", "tcp/53"), ("icmp/echo",)])),
        from_levels=draw(st.sampled_from([(), ("county", "township"), ("prefecture",)])),
        to_levels=draw(st.sampled_from([(), ("province", "prefecture"), ("county",)])),
        from_service=draw(st.sampled_from(services[one])),
        to_service=draw(st.sampled_from(services[other])),
    )  # fmt: skip


@settings(deadline=None)
@given(rows())
def test_both_ends_let_a_flow_through_and_no_third_site_does(flow: Flow) -> None:
    whole = msgspec.structs.replace(sample.network(), flows=(flow,))
    expected: dict[tuple[str, str], set[tuple[str, str, str]]] = {}
    for opener in whole.sites.values():
        if not ends.has(opener, flow.from_zone) or (flow.from_levels and opener.level not in flow.from_levels):
            continue
        for receiver in whole.related(opener, flow.relation):
            if flow.to_levels and receiver.level not in flow.to_levels:
                continue
            one = ends.end(whole, opener, flow.from_zone, flow.from_service, opener)
            other = ends.end(whole, receiver, flow.to_zone, flow.to_service, opener)
            both = {(s, t, port) for port in flow.ports for f in (4, 6) for s in one.of(f) for t in other.of(f)}
            expected.setdefault((firewall(whole, opener).name, "out"), set()).update(both)
            expected.setdefault((firewall(whole, receiver).name, "in"), set()).update(both)
    for site in whole.sites.values():
        device = firewall(whole, site)
        for way in ("out", "in"):
            assert passes(whole, device, "ROW", way) == expected.get((device.name, way), set())


@pytest.mark.parametrize("device", ["000000-fw1", "640000-fw1", "640100-fw1", "640121-r1", "640121100-r1"])
def test_no_set_reaches_beyond_the_sites_it_names(device: str) -> None:
    whole = sample.network()
    site = whole.sites[whole.devices[device].site]
    value = filtering(whole, whole.devices[device])
    assert value is not None
    near = {
        "own": [site],
        "parent": whole.related(site, "serving-parent"),
        "child": whole.related(site, "served-child"),
    }
    for each in value.sets:
        who, zone = each.name.split("-")[:2]
        for text in each.elements:
            prefix = ip_network(text)
            if zone == TRANSIT:
                assert prefix.num_addresses == 1
                continue
            zones = [ip_network(z.v4 if prefix.version == 4 else z.v6) for s in near[who] if (z := s.zone(zone))]
            assert any(prefix.subnet_of(zone_prefix) for zone_prefix in zones if zone_prefix.version == prefix.version)  # type: ignore[arg-type]


def test_a_source_is_held_to_its_zone() -> None:
    whole = sample.network()
    for name, value in filters(whole).items():
        site = whole.sites[whole.devices[name].site]
        for guard in value.guards:
            zone = site.zone(guard.interface.removeprefix("z-"))
            assert zone is not None and (guard.v4, guard.v6, guard.beside) == (zone.v4, zone.v6, Dual())
            said = nftables.text(value, name)
            for word, prefix in (("ip", zone.v4), ("ip6", zone.v6)):
                assert f'iifname "{guard.interface}" {word} saddr != {prefix} counter drop' in said
                assert f"iifname @lines {word} saddr {prefix} counter drop" in said


def test_a_new_office_changes_no_filter_but_its_own_and_its_city_s() -> None:
    """A line to a new site is nobody else's business: 359 townships must not hear of the 360th."""
    whole = sample.network()
    township = whole.sites["640121100:office1"]
    less = []
    for shard in whole.shards:
        less.append(
            msgspec.structs.replace(
                shard,
                sites=tuple(s for s in shard.sites if s.key != township.key),
                links=tuple(link for link in shard.links if link.b != "640121100-r1"),
                devices=tuple(
                    msgspec.structs.replace(d, interfaces=tuple(i for i in d.interfaces if i.peer_site != township.key))
                    for d in shard.devices
                    if d.site != township.key
                ),
            )
        )
    before = filters(msgspec.structs.replace(whole, shards=tuple(less)))
    after = filters(whole)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"640100-r1", "640100-fw1"}


def test_an_office_s_device_carries_what_the_offices_behind_it_open() -> None:
    whole = sample.network(through_county=True)
    value = filtering(whole, whole.devices["640121-r1"])
    assert value is not None
    ((down, up, prefixes),) = value.through
    assert (down, up) == ("w-640121100-1", "w-640100-1")
    assert "10.65.31.0/24" in prefixes.v4
    assert nftables.text(value, "x").count('comment "base:through"') == 4
