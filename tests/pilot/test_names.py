"""Names on real servers: a zone is answered for while its primary is away, and nobody takes one without the key of the two servers."""

from __future__ import annotations

import re

import pytest

from tests.pilot.conftest import Pilot, until

CITY, PROVINCE, MINISTRY = "640100-exch1", "640000-exch1", "000000-exch1"


def asked(pilot: Pilot, device: str, name: str, *more: str) -> str:
    """What `dig` says there: status, then the data of the answers."""
    answer = pilot.ask(device, f"dig +noadditional +noauthority +time=2 +tries=1 {' '.join(more)} {name}")
    status = re.search(r"status: (\w+)", answer.out)
    rows = re.findall(r"^[^;\s]\S*\s+\d+\s+IN\s+\S+\s+(\S+)$", answer.out, re.M)
    return " ".join([status[1] if status else "silent", *rows])


@pytest.mark.parametrize(
    ("stopped", "asking", "zone", "device"),
    [
        (CITY, "640300-mgmt1", "production", "640100-prod1"),
        (CITY, "000000-mgmt1", "production", "640100-prod1"),
        (MINISTRY, "640300-mgmt1", "exchange", "000000-exch1"),
    ],
)
def test_a_zone_is_answered_for_while_its_primary_is_away(
    pilot: Pilot, stopped: str, asking: str, zone: str, device: str
) -> None:
    """Another city and the ministry find what lies in a city whose server is down; a city what lies in the ministry."""
    network = pilot.network
    service = next(s for s in network.services if (s.device, s.name, s.zone) == (device, "db", zone))
    pilot.ask(stopped, "systemctl stop named")
    try:
        pilot.ask(PROVINCE, "rndc flush")
        assert asked(pilot, asking, service.fqdn, "A") == f"NOERROR {service.v4}"
        assert asked(pilot, asking, service.fqdn, "AAAA") == f"NOERROR {service.v6}"
        for address in (service.v4, service.v6):
            assert asked(pilot, asking, f"-x {address}") == f"NOERROR {service.fqdn}."
        (record,) = [r for r in pilot.check(["copies"]) if r.subject.peer == network.devices[stopped].site]
        assert (record.result, "no answer at" in record.reason) == ("fail", True), record.reason
    finally:
        pilot.ask(stopped, "systemctl start named")
    assert until(20, lambda: {record.result for record in pilot.check(["copies"])} == {"pass"})


def test_the_root_stands_at_every_province(pilot: Pilot) -> None:
    pilot.ask(MINISTRY, "systemctl stop named")
    try:
        assert asked(pilot, "640100-mgmt1", ".", "NS") == "NOERROR dns.exchange.jinbao.internal."
        assert asked(pilot, "640100-mgmt1", "nowhere.internal", "A") == "NXDOMAIN"
    finally:
        pilot.ask(MINISTRY, "systemctl start named")


def test_a_zone_is_taken_with_the_key_of_the_two_servers_alone(pilot: Pilot) -> None:
    def taken(device: str, zone: str, server: str, key: str = "") -> int:
        """Records that a transfer brings."""
        held = f'$(sed -n \'/^key "{key}"/,/^}}/s/.*secret "\\(.*\\)";/\\1/p\' /etc/bind/named.conf)'
        signed = f"-y hmac-sha256:{key}:{held}" if key else ""
        answer = pilot.ask(device, f"dig +tcp axfr {zone} @{server} {signed}")
        return len(re.findall(r"^\S+\s+\d+\s+IN\s", answer.out, re.M))

    dns = {s.device: s.v4 for s in pilot.network.services if s.name == "dns"}
    city, root = "yinchuan.nx.jinbao.internal", "."
    assert taken(PROVINCE, city, dns[CITY], "names-640100") > 100
    assert taken(PROVINCE, root, dns[MINISTRY], "names-640000") > 3
    for device, zone, server, key in (
        (PROVINCE, city, dns[CITY], ""),
        (PROVINCE, city, dns[CITY], "names-640300"),  # the key of another pair
        (PROVINCE, root, dns[MINISTRY], ""),
        (CITY, "nx.jinbao.internal", dns[PROVINCE], "names-640100"),  # it has no copy of the zones above it
        (CITY, city, dns[PROVINCE], "names-640100"),  # copies are not handed on
        (CITY, city, "127.0.0.1", ""),
    ):
        assert taken(device, zone, server, key) == 0, (device, zone, key)


def test_a_changed_zone_is_at_the_second_server_at_once_and_an_open_one_is_named(pilot: Pilot) -> None:
    zone = "/etc/bind/zones/yinchuan.nx.jinbao.internal.zone"
    conf = "/etc/bind/named.conf"
    dns = {s.device: s.v4 for s in pilot.network.services if s.name == "dns"}
    name = "new.yinchuan.nx.jinbao.internal"
    grown = f"cp -p {zone} /root/held; awk '/ SOA /{{$6=$6+1}} {{print}}' /root/held > {zone}; echo '{name}. IN A 10.9.9.9' >> {zone}"
    pilot.ask(CITY, f"{grown}; rndc reload")
    try:
        assert until(5, lambda: asked(pilot, PROVINCE, name, "A", f"@{dns[PROVINCE]}") == "NOERROR 10.9.9.9")
        assert {record.result for record in pilot.check(["copies"])} == {"pass"}
        pilot.ask(CITY, f"sed -i.held '/allow-transfer/d' {conf}; rndc reconfig")
        bad = [record for record in pilot.check(["dns.copy"]) if record.result != "pass"]
        assert [(record.subject.peer, "given without a key by the primary" in record.reason) for record in bad] == [
            ("640100:centre1", True)
        ]
    finally:
        pilot.ask(
            CITY, f"cp -p /root/held {zone}; test -e {conf}.held && mv {conf}.held {conf}; systemctl restart named"
        )
    # As rendered, with the serial that it had: the copy is newer, until it is taken anew.
    assert until(20, lambda: [r.reason for r in pilot.check(["copies"]) if "2 here, 1 at" in r.reason])
    pilot.ask(PROVINCE, "rndc retransfer yinchuan.nx.jinbao.internal")
    assert until(10, lambda: {record.result for record in pilot.check(["copies"])} == {"pass"})
    assert asked(pilot, PROVINCE, name, "A", f"@{dns[PROVINCE]}") == "NXDOMAIN"
