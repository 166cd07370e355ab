"""Names: forward and reverse agree, each record lies in one zone, and a serial grows with the content and only with it."""

from __future__ import annotations

from ipaddress import ip_address

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory import dns
from inventory.dns import Serials, Server, Zone
from inventory.ends import Dual
from ip_plan import addressing, nameservers
from ip_plan.network import Network
from tests.inventory import sample


def servers(network: Network) -> dict[str, Server]:
    return {key: server for shard in network.shards for key, server in dns.servers(network, shard).items()}


def records(network: Network, *kinds: str) -> dict[tuple[str, str], list[str]]:
    """(name, type) → data, over all zones of all servers."""
    found: dict[tuple[str, str], list[str]] = {}
    for server in servers(network).values():
        for zone in server.zones:
            for name, kind, data in zone.records:
                if kind in kinds:
                    found.setdefault((name, kind), []).append(data)
    return found


def test_every_name_has_its_pointer_and_every_pointer_its_name() -> None:
    whole = sample.network()
    forward = records(whole, "A", "AAAA")
    back = records(whole, "PTR")
    assert len(forward) > 100
    pairs = {
        (name, ip_address(data).reverse_pointer + ".") for (name, _), all_data in forward.items() for data in all_data
    }
    pointers = {(name, pointer) for (pointer, _), names in back.items() for name in names}
    assert pairs == pointers
    assert all(len(names) == 1 for names in back.values()), "an address with two names"


def test_every_device_host_and_service_has_both_families() -> None:
    whole = sample.network()
    forward = records(whole, "A", "AAAA")
    names = {device.fqdn for device in whole.devices.values()} | {service.fqdn for service in whole.services}
    for name in names:
        assert (f"{name}.", "A") in forward and (f"{name}.", "AAAA") in forward, name
    for device in whole.devices.values():
        for interface in device.interfaces if device.loopback4 else ():
            assert forward[f"{interface.name}.{device.fqdn}.", "A"] == [interface.v4.partition("/")[0]]


def test_each_record_lies_in_the_closest_zone_of_its_server() -> None:
    whole = sample.network()
    zones = [(server.site, zone) for server in servers(whole).values() for zone in server.zones]
    for site, zone in zones:
        closer = {other.name for _, other in zones if len(other.name) > len(zone.name)}
        for name, kind, _ in zone.records:
            assert zone.name == "." or name == f"{zone.name}." or name.endswith(f".{zone.name}."), (site, name)
            below = [other for other in closer if name == f"{other}." or name.endswith(f".{other}.")]
            # What is said of a name that lies closer is its delegation, or the address of the server it is delegated to.
            assert not below or kind == "NS" or name.split(".")[0] == "dns", (site, name, kind)


def test_every_zone_is_delegated_from_the_level_above_with_the_same_servers() -> None:
    whole = sample.network()
    by_site = servers(whole)
    for key, server in by_site.items():
        parent = by_site.get(whole.known_sites[key].parent)
        if parent is None:
            assert server.forwarders == Dual()
            assert server.zones[0].name == "."
            continue
        assert server.forwarders == parent.listen
        copies = {copy.zone: copy for copy in parent.copies}
        for zone in server.zones:
            assert copies[zone.name].below == server.listen
            assert zone.servers == tuple(f"dns.exchange.{at}" for at in (server.zones[0].name, parent_apex(parent)))
            holding = [
                z for z in parent.zones if any(name == f"{zone.name}." for name, kind, _ in z.records if kind == "NS")
            ]
            assert len(holding) == 1


def parent_apex(server: Server) -> str:
    return next(zone.name for zone in server.zones if zone.kind == "forward")


def test_zones_have_copies_one_level_up_and_those_of_the_ministry_at_the_provinces() -> None:
    whole = sample.network()
    by_site = servers(whole)
    level = {key: whole.sites[key].level for key in by_site}
    assert {"ministry", "province", "prefecture"} == set(level.values())
    for key, server in by_site.items():
        near = [other for other in by_site if whole.known_sites[other].parent == key]
        near += [whole.known_sites[key].parent] if level[key] == "province" else []
        assert [copy.zone for copy in server.copies] == [zone.name for other in near for zone in by_site[other].zones]
        peers = {peer.key: peer for peer in server.peers}
        assert len(peers) == len(server.peers) == len({peer.secret for peer in server.peers})
        for copy in server.copies:
            other = next(each for each in near if copy.zone in {zone.name for zone in by_site[each].zones})
            # What the ministry delegates to other provinces is asked of it, as all else.
            assert copy.below == (by_site[other].listen if whole.known_sites[other].parent == key else Dual())
            mirror = {peer.key: peer for peer in by_site[other].peers}
            assert copy.key in by_site[other].followers and mirror[copy.key].secret == peers[copy.key].secret
            assert peers[copy.key].addresses == by_site[other].listen
            assert mirror[copy.key].addresses == server.listen


def test_a_block_off_the_octet_is_several_zones() -> None:
    zones = {zone.name for zone in servers(sample.network())["640000:centre1"].zones}
    assert {"64.10.in-addr.arpa", "65.10.in-addr.arpa"} <= zones


def test_nobody_is_asked_beside_his_own_level() -> None:
    """Parent → child and child → parent are flows; ministry → city is none."""
    whole = sample.network()
    for key, server in servers(whole).items():
        ends = [*(each.addresses for each in server.delegations), *(each.addresses for each in server.peers)]
        ends += [copy.below for copy in server.copies]
        asked = {address for each in ends for address in (*each.v4, *each.v6)}
        asked |= {*server.forwarders.v4, *server.forwarders.v6}
        near = {other.key for other in whole.children.get(key, ())} | {whole.known_sites[key].parent}
        allowed = {address for other in near if other in servers(whole) for address in _listens(servers(whole)[other])}
        assert asked <= allowed


def _listens(server: Server) -> tuple[str, ...]:
    return (*server.listen.v4, *server.listen.v6)


@given(st.integers(9, 28), st.integers(0, 2**32 - 1), st.data())
def test_an_ipv4_address_lies_in_exactly_one_piece_of_its_block(length: int, seed: int, data: st.DataObject) -> None:
    _one_piece(length, seed >> (32 - length) << (32 - length), 4, data)


@given(st.integers(20, 64), st.integers(0, 2**128 - 1), st.data())
def test_an_ipv6_address_lies_in_exactly_one_piece_of_its_block(length: int, seed: int, data: st.DataObject) -> None:
    _one_piece(length, seed >> (128 - length) << (128 - length), 6, data)


def _one_piece(length: int, first: int, family: int, data: st.DataObject) -> None:
    size = addressing.size(length, family)
    address = addressing.address(first + data.draw(st.integers(0, size - 1)), family)
    zones = [nameservers.reverse_zone(piece, family) for piece in addressing.pieces((first, length), family)]
    pointer = dns.pointer(address)
    assert pointer == ip_address(address).reverse_pointer + "."
    assert sum(pointer.endswith(f".{zone}.") or pointer == f"{zone}." for zone in zones) == 1


ZONE = Zone("example.internal", "forward", ("ns.example.internal",), "hostmaster.internal.", ())


@given(st.lists(st.integers(0, 3), max_size=30))
def test_a_serial_grows_by_one_when_the_content_changed(contents: list[int]) -> None:
    held: dict[str, tuple[str, int]] = {}
    before: tuple[int, int] | None = None
    for content in contents:
        zone = msgspec.structs.replace(ZONE, records=(("a.example.internal.", "A", f"10.0.0.{content}"),))
        serial = Serials(held).next(zone)
        if before is None:
            assert serial == 1
        else:
            assert serial == before[1] + (content != before[0])
        held = {zone.name: (zone.key, serial)}
        before = (content, serial)


@pytest.mark.parametrize(
    ("office", "expected"), [("640121:office1", "10.65.2.251"), ("640121100:office1", "10.65.2.251")]
)
def test_an_office_asks_the_centre_that_serves_it(office: str, expected: str) -> None:
    whole = sample.network()
    assert dns.serving(whole, whole.sites[office], "udp/53").v4 == (expected,)
