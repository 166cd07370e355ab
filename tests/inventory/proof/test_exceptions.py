"""An exception in the rows, on the rendered text and in the proof: all three agree, while it is in force and after."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from inventory.proof import connection, following, prove
from inventory.proof.decide import World
from inventory.render import write
from ip_plan import zones
from ip_plan.compile import compile_plan
from ip_plan.network import Network, load
from ip_plan.zones import End
from tests.ip_plan.test_exceptions import ASKED, LAST, lay

INSIDE = {
    "id": "EX-8",
    "from": "access",
    "to": "external",
    "relation": "same-centre",
    "to_service": "front",
    "ports": [],
    "regions": ["640300"],
}
UP = {"id": "EX-9", "relation": "serving-parent", "to": "management", "ports": ["udp/5514"], "regions": ["640300"]}
"""Every office below Wuzhong, since Wuzhong is at the other end."""

TRIED = [
    ("640100:centre1", "access", "640121:office1", "access", "tcp/8443", True),
    ("640100:centre1", "access", "640121100:office1", "access", "tcp/8443", False),
    ("640300:centre1", "access", "640323:office1", "access", "tcp/8443", False),
    ("640121:office1", "access", "640100:centre1", "access", "tcp/8443", False),
    ("640300:centre1", "access", "640300:centre1", "external", "tcp/443", True),
    ("640100:centre1", "access", "640100:centre1", "external", "tcp/443", False),
    ("640323:office1", "access", "640300:centre1", "management", "udp/5514", True),
    ("640323100:office1", "access", "640300:centre1", "management", "udp/5514", True),
    ("640300:centre1", "access", "640000:centre1", "management", "udp/5514", True),
    ("640121:office1", "access", "640100:centre1", "management", "udp/5514", False),
]

Two = tuple[Network, Network, Path]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Two:
    """The pilot with three exceptions while they are in force and after, and a folder with both trees."""
    folder = tmp_path_factory.mktemp("exceptions")
    plan = lay(folder / "plan", ASKED, ASKED | INSIDE, ASKED | UP)
    found = []
    for name, day in (("held", LAST), ("ended", LAST + timedelta(days=1))):
        network = load(compile_plan(plan, folder / "state", today=day).network)
        write(folder / name, network, devices=_running(network), lab=True)
        found.append(network)
    return found[0], found[1], folder


def _running(network: Network) -> list[str]:
    return [name for site in network.running() for name in site.devices]


def test_rows_text_and_proof_agree_while_it_holds_and_after(two: Two) -> None:
    held, ended, folder = two
    for network, name in ((held, "held"), (ended, "ended")):
        proof = prove(network, folder / name, _running(network))
        assert proof.good, proof.findings[:3]
        world = World(network)
        for opener, one, target, other, port, allowed in TRIED:
            wanted = allowed and name == "held"
            service = "front" if other == "external" else ""
            carrier = next((s.device for s in network.services_at.get((target, other), ()) if s.name == service), "")
            assert zones.verdict(network, End(opener, one), End(target, other, carrier), port).allow == wanted
            for decision in connection(proof, world, following.End(opener, one), following.End(target, other), port):
                assert decision.allowed == wanted, decision


def test_its_id_stands_on_its_rules_and_nowhere_after_its_end(two: Two) -> None:
    _, _, folder = two
    texts = {name: [path.read_text() for path in (folder / name).rglob("nftables.conf")] for name in ("held", "ended")}
    for row in ("EX-7", "EX-8", "EX-9"):
        assert sum(f'comment "{row}"' in text for text in texts["held"]) >= 1
        assert not any(row in text for text in texts["ended"])


def test_a_tree_of_the_other_day_does_not_pass(two: Two) -> None:
    held, ended, folder = two
    lacking = prove(held, folder / "ended", _running(held)).findings
    assert {found.row for found in lacking if found.code == "JB2404"} == {"EX-7", "EX-8", "EX-9"}
    open_ = prove(ended, folder / "held", _running(ended)).findings
    assert {found.code for found in open_} >= {"JB2403"}
    assert {found.row for found in open_ if found.code == "JB2403"} >= {"DENY-ACCESS"}
