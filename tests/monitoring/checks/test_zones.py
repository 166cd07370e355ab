"""Zone probes: verdicts with recorded answers, and with real packets through a real nftables firewall."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from ground.record import Record
from ground.remote import Session
from ip_plan.compile import compiled
from ip_plan.network import TRANSIT, Device, Flow, Network
from monitoring.checks import services, zones
from monitoring.checks.crew import crew
from monitoring.checks.look import Found, Look, hosts
from tests.monitoring.checks import sample, wires

TARGET = "twin:test"


@pytest.fixture(scope="module")
def laid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Session, str]]:
    folder = tmp_path_factory.mktemp("wires")
    patch = pytest.MonkeyPatch()
    patch.setenv("PATH", f"{folder}:/usr/sbin:/usr/bin:/sbin:/bin")
    with wires.laid(folder) as made:
        yield made
    patch.undo()


def probe(session: Session, flows: tuple[Flow, ...] = sample.FLOWS, network: Network | None = None) -> Found:
    look = Look(network or sample.network(flows), session, TARGET)
    with crew(session, [host.name for host in hosts(look.network)]) as members:
        return zones.run(look, members)


def by_pair(found: Found) -> dict[tuple[str, str], Record]:
    return {(record.subject.zone, record.subject.peer.rpartition(":")[2]): record for record in found.records}


def test_what_the_filter_does_is_what_the_plan_says(laid: tuple[Session, str]) -> None:
    session, firewall = laid
    wires.rules(firewall, wires.RULES)
    found = by_pair(probe(session))
    assert len(found) == 6
    assert {record.result for record in found.values()} == {"pass"}, found
    assert all(record.seen == record.expected > 0 for record in found.values())
    assert found["access", "production"].reason.endswith("4 of them open")


ESTABLISHED = "ct state established,related accept"
PULL = "ip saddr 10.9.2.0/24 ip daddr { 10.9.1.10, 10.9.1.20 } tcp dport 5432 accept"


@pytest.mark.parametrize(
    ("before", "after", "pair", "words"),
    [
        # A row that the filter forgot, in one family only.
        (
            "ip6 saddr fd09:3::/64 ip6 daddr { fd09:1::10, fd09:1::21 } tcp dport 443 accept",
            "",
            ("access", "production"),
            "dropped, the plan says open",
        ),
        # A permission nobody wrote.
        (
            ESTABLISHED,
            f"{ESTABLISHED}\n ip saddr 10.9.1.10 ip daddr 10.9.3.10 tcp dport 22 accept",
            ("production", "access"),
            "the plan says closed",
        ),
        # A filter that says no is no answer from the host, whichever way it says so.
        (
            PULL,
            "ip saddr 10.9.2.0/24 tcp dport 5432 reject",
            ("exchange", "production"),
            "rejected, the plan says open",
        ),
        (
            PULL,
            "ip saddr 10.9.2.0/24 tcp dport 5432 reject with icmp type admin-prohibited",
            ("exchange", "production"),
            "rejected, the plan says open",
        ),
        (
            "ip6 saddr fd09:2::/64 ip6 daddr fd09:3::/64 icmpv6 type echo-request accept",
            "",
            ("exchange", "access"),
            "icmp/echo is dropped, the plan says open",
        ),
    ],
)
def test_every_difference_between_plan_and_filter_is_found(
    laid: tuple[Session, str], before: str, after: str, pair: tuple[str, str], words: str
) -> None:
    session, firewall = laid
    assert before in wires.RULES
    wires.rules(firewall, wires.RULES.replace(before, after))
    found = by_pair(probe(session))
    assert found[pair].result == "fail"
    assert words in found[pair].reason
    assert {key for key, record in found.items() if record.result != "pass"} == {pair}


def test_an_answer_of_another_host_is_no_answer(laid: tuple[Session, str]) -> None:
    session, firewall = laid
    nat = "table ip nat { chain pre { type nat hook prerouting priority -100; ip daddr 10.9.1.21 tcp dport 443 dnat to 10.9.2.10:53\n }\n }"
    allow = wires.RULES.replace(
        "ct state established,related accept", "ct state established,related accept\n ct status dnat accept"
    )
    wires.rules(firewall, allow + nat)
    found = by_pair(probe(session))
    assert found["access", "production"].result == "fail"
    assert "answered by another host" in found["access", "production"].reason


def test_a_cut_line_is_no_filter(laid: tuple[Session, str]) -> None:
    session, firewall = laid
    wires.rules(firewall, wires.RULES.replace("policy drop;", 'policy drop; iifname "z3" drop; oifname "z3" drop;'))
    found = by_pair(probe(session))
    assert found["access", "production"].result == "fail", "what the plan opens is closed"
    assert found["production", "access"].result == "not-observed", "what the plan closes cannot be told"
    assert "nothing passes between" in found["production", "access"].reason
    assert found["production", "exchange"].result == "pass"


def test_a_host_that_cannot_be_reached(laid: tuple[Session, str]) -> None:
    session, firewall = laid
    wires.rules(firewall, wires.RULES)
    reaches = {**session.reaches}
    gone = reaches.pop("990121100-accs1")
    for left in (reaches, {**reaches, "990121100-accs1": type(gone)("nowhere", "none")}):
        found = by_pair(probe(Session(left, session.folder)))
        assert {key for key, record in found.items() if record.result == "not-observed"} == {
            ("access", "production"), ("access", "exchange"), ("production", "access"), ("exchange", "access"),
        }  # fmt: skip
        assert found["access", "production"].seen == 0 < found["access", "production"].expected
        assert found["production", "exchange"].result == "pass"


def test_a_denied_row_of_the_plan_is_a_difference(laid: tuple[Session, str]) -> None:
    session, firewall = laid
    wires.rules(firewall, wires.RULES)
    found = by_pair(probe(session, tuple(flow for flow in sample.FLOWS if flow.id != "FL-02-pull")))
    assert found["exchange", "production"].result == "fail"
    assert {key for key, record in found.items() if record.result == "fail"} == {("exchange", "production")}


SERVICE_PORTS = {"tcp/5432", "tcp/443", "tcp/53", "udp/53", "udp/123"}


def test_every_pair_that_is_closed_is_probed_on_all_service_ports(tmp_path: Path) -> None:
    """(zone, zone, relation) that no row opens, of the pilot: what the running sites cannot show is named here."""
    network = compiled("pilot", tmp_path)
    services = {port for service in network.services for port in service.ports}
    assert services > SERVICE_PORTS
    probed: dict[tuple[str, str, str], set[str]] = {}
    for opener in hosts(network):
        for aim in (*zones.targets(network), *zones.loopbacks(network)):
            if not aim.service and aim.device != opener.name:
                relation = network.relation(network.sites[opener.site], network.sites[aim.site])
                probed.setdefault((opener.zone, aim.zone, relation), set(aim.ports)).intersection_update(aim.ports)
                assert all(zones._row(aim, family, {})[0] for family in zones.FAMILIES)
    assert all(services <= ports for ports in probed.values())
    decided = {(flow.from_zone, flow.to_zone, flow.relation) for flow in network.flows}
    closed = decided - {(f.from_zone, f.to_zone, f.relation) for f in network.flows if f.verdict == "allow"}
    assert len(closed) > 250
    for one, other, relation in closed - probed.keys():
        # A routing device opens nothing in a probe, bodies outside are no sites, and a segment has no filter within.
        assert one == TRANSIT or relation == "external" or (one == other and relation == "same-centre")


def test_a_port_that_no_row_names_is_probed(laid: tuple[Session, str]) -> None:
    """udp/123 is a service's and no row's: let through by hand, it is seen."""
    session, firewall = laid
    wires.rules(
        firewall, wires.RULES.replace(ESTABLISHED, f"{ESTABLISHED}\n ip6 daddr fd09:2::10 udp dport 123 accept")
    )
    found = by_pair(probe(session))
    assert {key for key, record in found.items() if record.result == "fail"} == {
        ("production", "exchange"), ("access", "exchange"),
    }  # fmt: skip
    assert "fd09:2::10 udp/123 is open, the plan says closed" in found["access", "exchange"].reason


DAEMON = """
import socket, time
families = {"10.9.1.20": socket.AF_INET, "fd09:1::20": socket.AF_INET6}
held = [socket.create_server((address, 5432), family=family) for address, family in families.items()]
print("up", flush=True)
time.sleep(60)
"""


def test_what_the_agents_hold_themselves_is_not_served(laid: tuple[Session, str]) -> None:
    """One daemon of four services: the ports of the others are free, also once the agents have taken them for the probes."""
    session, _ = laid
    space = session.reaches["990100-prod1"].address
    line = ["ip", "netns", "exec", space, sys.executable, "-c", DAEMON]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as daemon:
        assert daemon.stdout and daemon.stdout.readline() == "up\n"
        look = Look(sample.network(), session, TARGET)
        try:
            with crew(session, [host.name for host in hosts(look.network)]) as members:
                for _ in range(2):
                    found = services.run(look, members)
                    results = {(one.subject.device, one.subject.service): one.result for one in found.records}
                    assert results.pop(("990100-prod1", "db")) == "pass"
                    assert set(results.values()) == {"fail"} and len(results) == 3
        finally:
            daemon.kill()


INPUT = """
table inet control {
  chain input {
    type filter hook input priority 0; policy drop;
    ct state established,related accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, nd-router-advert } accept
  }
}
"""


def test_a_routing_device_is_probed_as_well(laid: tuple[Session, str]) -> None:
    """Its own addresses: closed by its input chain, then one port opened by hand for one zone."""
    session, firewall = laid
    for family, address in (("-4", "10.9.0.1/32"), ("-6", "fd09::1/128")):
        wires.ip("-n", firewall, family, "addr", "replace", address, "dev", "lo")
    device = Device(
        "990100-fw1", sample.CITY, "firewall", "fw1.test.internal", (), loopback4="10.9.0.1", loopback6="fd09::1"
    )
    network = sample.network(devices=(*sample.HOSTS, device))
    (shard,) = network.shards
    city, *others = shard.sites
    city = msgspec.structs.replace(city, devices=(*city.devices, device.name))
    network = msgspec.structs.replace(network, shards=(msgspec.structs.replace(shard, sites=(city, *others)),))
    wires.rules(firewall, wires.RULES + INPUT)
    found = by_pair(probe(session, network=network))
    assert {record.result for record in found.values()} == {"pass"}, found
    assert {zone for zone, other in found if other == TRANSIT} == {"production", "exchange", "access"}
    wires.rules(firewall, wires.RULES + INPUT.replace(ESTABLISHED, f"{ESTABLISHED}\n iifname z3 tcp dport 5432 accept"))
    found = by_pair(probe(session, network=network))
    assert {key for key, record in found.items() if record.result != "pass"} == {("access", TRANSIT)}
    assert "tcp/5432 is open, nobody listens, the plan says closed" in found["access", TRANSIT].reason
