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

FILES = {"vrp": "/vrpcfg.cfg", "comware": "/startup.cfg", "iosxe": "/startup-config"}
COUNT, SEED = 10, 1
EQUIVALENTS: list[dict[str, str]] = yaml.safe_load((Path(__file__).parent / "equivalents.yml").read_text())

Loaded = dict[str, dict[str, Text]]


@pytest.fixture(scope="module", params=FILES)
def proved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Loaded, Known]:
    """The devices of the pilot's running sites in one dialect, read and proved good."""
    vendor = str(request.param)
    return vendor, *prepared(vendor, tmp_path_factory.mktemp(vendor))


def prepared(vendor: str, folder: Path) -> tuple[Loaded, Known]:
    """The same for whoever draws more changes."""
    network = plans.network(folder, plans.ROWS[vendor])
    names = [name for site in network.running() for name in site.devices]
    write(folder / "build", network, devices=names, lab=False)
    loaded = load(network, folder / "build", names)
    known = Known(World(network))
    assert of(loaded, known).good
    return loaded, known


def changed(vendor: str, loaded: Loaded, known: Known, mutation: Mutation) -> Proof:
    target = FILES[vendor]
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


def missed(vendor: str, loaded: Loaded, known: Known, count: int, seed: int) -> list[str]:
    """The changes that nobody noticed and no reviewed entry explains."""
    texts = {device: files[FILES[vendor]].content for device, files in loaded.items() if FILES[vendor] in files}
    mutations = mutate.draw(vendor, texts, count, seed)
    assert len(mutations) == count and len({mutation.kind for mutation in mutations}) > 3
    found = []
    for mutation in mutations:
        path = loaded[mutation.device][FILES[vendor]].path
        if equivalent(mutation) is None and not mutate.caught(changed(vendor, loaded, known, mutation), mutation, path):
            found.append(str(mutation))
    return found


@pytest.mark.timeout(1200)
def test_each_change_is_found(proved: tuple[str, Loaded, Known]) -> None:
    left = missed(*proved, COUNT, SEED)
    assert not left, "\n".join(left)


@pytest.mark.parametrize("entry", EQUIVALENTS, ids=lambda entry: str(entry.get("before", ""))[:40])
def test_every_equivalent_has_a_reason(entry: dict[str, str]) -> None:
    assert entry["reason"].endswith(".") and set(entry) <= {"kind", "device", "before", "view", "reason"}
