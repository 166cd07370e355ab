"""The plane of each filter and single connections followed through the text agree with the rows of the plan."""

import random

import pytest
from typer import Typer
from typer.testing import CliRunner

from inventory.proof import End, connection, prove, records
from inventory.proof.command import prove_command
from inventory.proof.decide import World
from inventory.proof.proving import Proof
from inventory.render import write
from ip_plan import zones
from ip_plan.compile import compiled
from ip_plan.network import TRANSIT, Network, Site


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> tuple[Network, Proof, str, str]:
    folder = tmp_path_factory.mktemp("pilot")
    network = compiled("pilot", folder / "state")
    running = [name for site in network.running() for name in site.devices]
    write(folder / "build", network, devices=running, lab=True)
    return network, prove(network, folder / "build", running), str(folder / "state"), str(folder / "build")


def carries(network: Network, site: Site, zone: str, service: str) -> bool:
    return not service or any(found.name == service for found in network.services_at.get((site.key, zone), ()))


def test_single_connections_agree_with_the_rows(rendered: tuple[Network, Proof, str, str]) -> None:
    """The best any address of a zone gets is what some row allows: sampled over all pairs of zones and ports."""
    network, proof, _, _ = rendered
    world = World(network)
    chance = random.Random(7)
    ports = sorted({port for flow in network.flows for port in flow.ports if not port.startswith("proto/")} | {"tcp/9"})
    ends = [(site, zone.name) for site in network.running() for zone in site.zones]
    pairs = [
        (one, flow.from_zone, other, flow.to_zone, port)
        for flow in network.flows
        for one in network.running()
        for other in network.related(one, flow.relation)
        for port in flow.ports
        if other.running and flow.verdict == "allow" and TRANSIT not in (flow.from_zone, flow.to_zone)
        if one.zone(flow.from_zone) and other.zone(flow.to_zone)
    ]
    sample = chance.sample(pairs, 30)
    while len(sample) < 70:
        (one, from_zone), (other, to_zone) = chance.choice(ends), chance.choice(ends)
        if (one.key, from_zone) != (other.key, to_zone):
            sample.append((one, from_zone, other, to_zone, chance.choice(ports)))
    seen = {True: 0, False: 0}
    for one, from_zone, other, to_zone, port in sample:
        rows = zones.rows(network, one, from_zone, other, to_zone)
        expected = any(
            flow.verdict == "allow"
            and port in flow.ports
            and carries(network, one, from_zone, flow.from_service)
            and carries(network, other, to_zone, flow.to_service)
            for flow in rows
        )
        for decision in connection(proof, world, End(one.key, from_zone), End(other.key, to_zone), port):
            assert decision.allowed == expected, decision
            seen[expected] += 1
    assert min(seen.values()) > 20


def test_a_router_is_reached_from_its_own_management_zone_only(rendered: tuple[Network, Proof, str, str]) -> None:
    network, proof, _, _ = rendered
    world = World(network)
    centre = "640100:centre1"
    assert all(d.allowed for d in connection(proof, world, End(centre, "management"), End(centre, TRANSIT), "tcp/22"))
    assert not any(
        d.allowed for d in connection(proof, world, End(centre, "production"), End(centre, TRANSIT), "tcp/22")
    )


def test_records(rendered: tuple[Network, Proof, str, str]) -> None:
    network, proof, _, _ = rendered
    found = records(network, proof, "twin:pilot", tool="jinbao 0", time="2026-01-01T00:00:00.000Z")
    assert {record.check for record in found} == {"proof.filter", "proof.route", "proof.names"}
    assert {record.result for record in found if record.subject.peer in {s.key for s in network.running()}} == {"pass"}
    assert all(record.seen == 0 for record in found if record.result == "not-observed")


def test_against_direction_connections_are_named(rendered: tuple[Network, Proof, str, str]) -> None:
    network, proof, _, _ = rendered
    rows = {flow.id for flow in network.flows if flow.data == "against"}
    assert rows and {each.row for each in proof.against} == rows
    assert all(each.identity and each.source and each.target and each.places for each in proof.against)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 0, "0 findings"),
        (["--format", "json"], 0, '"good": true'),
        (["--from", "640100:exchange", "--to", "640100:production", "--port", "tcp/5432"], 0, "nftables.conf:"),
        (["--from", "640100:production", "--to", "640100:exchange", "--port", "tcp/5432"], 1, "denied"),
        (["--from", "640121100:access", "--to", "640100:exchange", "--service", "dns"], 0, 'comment "NAMES-OFFICE"'),
        (["--from", "640121100:access", "--to", "640100:exchange", "--service", "x"], 2, "JB2460"),
        (["--from", "192.0.2.1", "--to", "640100:exchange", "--port", "tcp/1"], 2, "JB2426"),
        (["--from", "640100:nowhere", "--to", "640100:exchange", "--port", "tcp/5432"], 2, "JB2426"),
        (["--from", "640100:exchange", "--to", "640100:exchange", "--port", "x"], 2, "JB2427"),
    ],
)
def test_command(rendered: tuple[Network, Proof, str, str], arguments: list[str], code: int, said: str) -> None:
    _, _, state, build = rendered
    app = Typer()
    app.command()(prove_command)
    done = CliRunner().invoke(app, ["--plan", "pilot", "--state", state, "--build", build, *arguments])
    assert done.exit_code == code, done.output
    assert said in done.output
