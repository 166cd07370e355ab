"""Seeded one-line changes to the pilot's vendor configurations: each is found, or stands in `equivalents.yml` with its reason."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from inventory.proof import Known, Proof
from inventory.proof.decide import World
from inventory.proof.proving import load, of
from inventory.proof.texts import Text
from inventory.render import write
from tests.inventory.vendors import mutate, plans
from tests.inventory.vendors.mutate import Mutation

FILES = {"vrp": "/vrpcfg.cfg"}
COUNT, SEED = 150, 1
EQUIVALENTS: list[dict[str, str]] = yaml.safe_load((Path(__file__).parent / "equivalents.yml").read_text())

Loaded = dict[str, dict[str, Text]]


@pytest.fixture(scope="module")
def proved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Loaded, Known]:
    """The devices of the pilot's running sites in VRP, read and proved good."""
    folder = tmp_path_factory.mktemp("vrp")
    network = plans.network(folder, plans.VRP)
    names = [name for site in network.running() for name in site.devices]
    write(folder / "build", network, devices=names, lab=False)
    loaded = load(network, folder / "build", names)
    known = Known(World(network))
    assert of(loaded, known).good
    return loaded, known


def changed(loaded: Loaded, known: Known, mutation: Mutation) -> Proof:
    target = FILES["vrp"]
    text = loaded[mutation.device][target]
    tree = {**loaded, mutation.device: {target: Text(text.path, mutate.apply(text.content, mutation))}}
    copy = Known(
        known.world, dict(known.readings), known.expected, dict(known.filters), dict(known.own), known.names, known.routed
    )  # fmt: skip
    return of(tree, copy)


def equivalent(mutation: Mutation) -> dict[str, str] | None:
    """The reviewed entry that says why a change changes nothing."""
    values = {
        "kind": mutation.kind,
        "device": mutation.device,
        "before": mutation.before.strip(),
        "view": mutation.opener,
    }
    for entry in EQUIVALENTS:
        if all(re.fullmatch(entry[field], value) for field, value in values.items() if field in entry):
            return entry
    return None


@pytest.mark.timeout(1200)
def test_each_change_is_found(proved: tuple[Loaded, Known]) -> None:
    loaded, known = proved
    texts = {device: files[FILES["vrp"]].content for device, files in loaded.items() if FILES["vrp"] in files}
    mutations = mutate.draw(texts, COUNT, SEED)
    assert len(mutations) == COUNT and len({mutation.kind for mutation in mutations}) == 7
    missed = []
    for mutation in mutations:
        path = loaded[mutation.device][FILES["vrp"]].path
        if equivalent(mutation) is None and not mutate.caught(changed(loaded, known, mutation), mutation, path):
            missed.append(str(mutation))
    assert not missed, "\n".join(missed)


@pytest.mark.parametrize("entry", EQUIVALENTS, ids=lambda entry: str(entry.get("before", ""))[:40])
def test_every_equivalent_has_a_reason(entry: dict[str, str]) -> None:
    assert entry["reason"].endswith(".") and set(entry) <= {"kind", "device", "before", "view", "reason"}
