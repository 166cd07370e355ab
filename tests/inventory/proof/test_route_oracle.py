"""Routes against an oracle: small random networks, whole and with each wire cut, packet by packet."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inventory.proof import frr, lines, routes
from inventory.proof.interval import number
from tests.inventory.proof import route_oracle as oracle


def ground(net: oracle.Net) -> routes.Ground:
    """The network as the proof reads it from its text."""
    nodes = {}
    for name, router in net.routers.items():
        own = {
            port: tuple(lines.address_of(text, name, 1) for text in listed)
            for port, listed in oracle.addresses(net, name).items()
        }
        nodes[name] = routes.Node(name, f"s{router.site}", frr.read(oracle.text(net, name), name), own)
    wires = [routes.Wire(w.id, (w.ends[0], w.id), (w.ends[1], w.id)) for w in net.wires]
    return routes.build(nodes, wires)


def disagreement(seed: int) -> str:
    """Where the proof sends a packet otherwise than the oracle does; empty: nowhere."""
    net = oracle.drawn(seed)
    read = ground(net)
    agreed, faults = routes.sessions(read)
    if faults:
        return f"{seed}: {faults[0]}"
    base = routes.compute(read, agreed)
    memo: routes.Memo = {}
    targets = sorted({f"{stub.removesuffix('0/24')}9" for router in net.routers.values() for stub in router.stubs})
    for cut in ("", *(wire.id for wire in net.wires)):
        tables = routes.compute(read, agreed, frozenset({cut}), base, memo) if cut else base
        found = oracle.tables(net.without(cut))
        if tables.unsettled:
            return f"{seed}: {tables.unsettled[0]} does not settle"
        for name in net.routers:
            for target in targets:
                said, right = routes.trace(tables, name, 4, number(target)), oracle.way(found, name, target)
                if (said.devices, said.end) != right:
                    return f"{seed}, {cut or 'nothing'} cut: {name} → {target}: {said.devices} {said.end}, not {right}"
    return ""


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_packets_go_where_the_oracle_sends_them(seed: int) -> None:
    assert disagreement(seed) == ""


def test_the_draw_has_every_end() -> None:
    """Otherwise the agreement would say little."""
    ends = set()
    for seed in range(40):
        net = oracle.drawn(seed)
        found = oracle.tables(net)
        ends |= {oracle.way(found, name, f"10.{site}.1.9")[1] for name in net.routers for site in range(1, 5)}
    assert ends >= {"delivered", "no route", "blackhole"}


def blind(path: routes.Path, cost: int, address: str) -> tuple[object, ...]:
    """The rank of a route, preferences apart."""
    return path.kind != "local", len(path.as_path), path.kind == "ibgp", cost, number(address) if address else 0


def learned_once(
    ground: routes.Ground, session: routes.Session, key: routes.Key, path: routes.Path
) -> routes.Path | None:
    """What is learned, with all but the next AS forgotten."""
    made = LEARN(ground, session, key, path)
    return made and msgspec.structs.replace(made, as_path=made.as_path[:1])


LEARN = routes._learn
FAULTS = {
    "preferences do not count": (routes, "_rank", blind),
    "the length of a path does not count": (routes, "_learn", learned_once),
    "a cut line is seen at its ends alone": (routes.Inner, "around", lambda inner, devices: set(devices)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_the_proof_is_found(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*FAULTS[fault])
    assert any(disagreement(seed) for seed in range(40))
