"""300 seeded one-line changes to the pilot's rendered text: each is found with file and line, or stands in `equivalents.yml`."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from inventory.proof.decide import World
from inventory.proof.proving import Known, Proof, load, of
from inventory.proof.texts import Text
from inventory.render import write
from ip_plan.compile import compiled
from tests.inventory.proof import mutate
from tests.inventory.proof.mutate import Mutation

HERE = Path(__file__).parent
SHARE = {"nftables": 120, "frr": 100, "zone": 80}
SEED = 1
EQUIVALENTS: list[dict[str, str]] = yaml.safe_load((HERE / "equivalents.yml").read_text())

Loaded = dict[str, dict[str, Text]]


@pytest.fixture(scope="module")
def proved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Loaded, Known]:
    """The pilot's running devices, rendered, read and proved good."""
    folder = tmp_path_factory.mktemp("pilot")
    network = compiled("pilot", folder / "state")
    running = [name for site in network.running() for name in site.devices]
    write(folder / "build", network, devices=running, lab=True)
    loaded = load(network, folder / "build", running)
    known = Known(World(network))
    proof = of(loaded, known)
    assert proof.devices == len(running) and proof.mistakes == () and proof.findings == ()
    assert proof.questions > 5000 and proof.destinations > 1000 and all(each.rendered for each in proof.against)
    return loaded, known


def changed(loaded: Loaded, known: Known, mutation: Mutation) -> Proof:
    """The proof of the tree with one line changed; what an earlier proof knows of other devices is used, not altered."""
    text = loaded[mutation.device][mutation.target]
    tree = dict(loaded)
    tree[mutation.device] = {
        **loaded[mutation.device],
        mutation.target: Text(text.path, mutate.apply(text.content, mutation)),
    }
    copy = Known(
        known.world,
        dict(known.readings),
        known.expected,
        dict(known.filters),
        dict(known.own),
        known.names,
        known.routed,
    )
    return of(tree, copy)


def drawn(loaded: Loaded) -> list[Mutation]:
    texts = {device: {target: text.content for target, text in files.items()} for device, files in loaded.items()}
    return mutate.draw(texts, SHARE, SEED)


def equivalent(mutation: Mutation) -> dict[str, str] | None:
    """The reviewed entry that says why a change changes nothing."""
    values = {
        "dialect": mutate.dialect_of(mutation.target),
        "device": mutation.device,
        "kind": mutation.kind,
        "before": mutation.before.strip(),
        "section": mutation.section,
    }
    for entry in EQUIVALENTS:
        if all(re.fullmatch(entry[field], value) for field, value in values.items() if field in entry):
            return entry
    return None


@pytest.mark.timeout(1200)
def test_each_change_is_found(proved: tuple[Loaded, Known]) -> None:
    loaded, known = proved
    mutations = drawn(loaded)
    assert len(mutations) == 300 and len({str(mutation) for mutation in mutations}) == 300
    missed = []
    for mutation in mutations:
        path = loaded[mutation.device][mutation.target].path
        proof = changed(loaded, known, mutation)
        if not mutate.caught(proof, mutation, path) and equivalent(mutation) is None:
            missed.append(f"{mutation}  [{mutation.section}]  {[str(f) for f in proof.findings[:2]]}")
    assert not missed, "\n".join(missed)


def test_the_incremental_proof_says_what_a_whole_one_says(proved: tuple[Loaded, Known]) -> None:
    loaded, known = proved
    for mutation in drawn(loaded)[::150]:
        text = loaded[mutation.device][mutation.target]
        tree = {**loaded}
        tree[mutation.device] = {
            **loaded[mutation.device],
            mutation.target: Text(text.path, mutate.apply(text.content, mutation)),
        }
        whole = of(tree, Known(known.world))
        assert whole.findings == changed(loaded, known, mutation).findings


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('counter drop comment "base:spoofed"', 'counter accept comment "base:spoofed"'),
        ('counter drop comment "base:default"', 'counter accept comment "base:default"'),
        ("policy accept;", "policy drop;"),
    ],
)
def test_what_stands_beside_an_equivalent_is_found(proved: tuple[Loaded, Known], before: str, after: str) -> None:
    """The list's patterns end where the harm begins: the same lines, changed another way."""
    loaded, known = proved
    device, target = "640100-fw1", "/etc/nftables.conf"
    text = loaded[device][target]
    for number, line in enumerate(text.content.splitlines(), 1):
        if before in line:
            mutation = Mutation(
                device, target, number, "verdict", line, line.replace(before, after), frozenset({number}), ""
            )
            proof = changed(loaded, known, mutation)
            assert mutate.caught(proof, mutation, text.path) and equivalent(mutation) is None, str(mutation)


@pytest.mark.parametrize("entry", EQUIVALENTS, ids=lambda entry: str(entry.get("before", entry["dialect"]))[:40])
def test_every_equivalent_has_a_reason(entry: dict[str, Any]) -> None:
    assert entry["reason"].endswith(".") and set(entry) <= {"dialect", "kind", "device", "before", "section", "reason"}
