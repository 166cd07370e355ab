"""What is proved of a few offices of each kind is what is proved of all of them."""

from __future__ import annotations

import random

import msgspec
import pytest

from inventory.proof import folding, paths, proving, routes, texts
from inventory.proof.decide import World
from inventory.proof.proving import Known, Proof
from inventory.proof.texts import Text
from inventory.render import write
from ip_plan.compile import compiled
from ip_plan.network import Network
from tests.inventory.proof import mutate

CITY = "6401"
Loaded = dict[str, dict[str, Text]]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> tuple[Network, Loaded]:
    """The ministry, Ningxia and Yinchuan with all its offices, as texts."""
    folder = tmp_path_factory.mktemp("city")
    network = compiled("pilot", folder / "state")
    names = [name for name in network.devices if name.startswith((CITY, "640000", "000000", "640300"))]
    write(folder / "build", network, devices=names, lab=False)
    return network, proving.load(network, folder / "build")


def folded(network: Network, loaded: Loaded) -> Proof:
    return proving.folded(network, loaded)


def test_a_city_is_proved_by_a_few_of_its_offices(rendered: tuple[Network, Loaded]) -> None:
    network, loaded = rendered
    proof = folded(network, loaded)
    assert proof.good and proof.devices == len(loaded)
    # Counties and townships are two kinds.
    assert len(proof.alike) == 2 and sum(map(len, proof.alike.values())) > 50
    assert {network.sites[site].level for site in proof.alike} == {"county", "township"}
    assert len(proof.readings) < len(loaded) - 50


def offices(network: Network, loaded: Loaded) -> list[str]:
    return [name for name in sorted(loaded) if network.devices[name].role == "access"]


def test_a_changed_line_is_found_wherever_it_is(rendered: tuple[Network, Loaded]) -> None:
    """In an office that would be left out, and in what its centre says of it: the same finding as without folding."""
    network, loaded = rendered
    few = folding.fold(network, loaded, texts.read)
    gone = {name for sites in few.alike.values() for site in sites for name in network.sites[site].devices}
    chance = random.Random(4)
    device = chance.choice(sorted(gone))
    own = network.devices[device]
    link = next(item for item in own.interfaces if item.kind == "wan")
    cases = mutate.draw(
        {device: {target: text.content for target, text in loaded[device].items()}}, {"nftables": 3, "frr": 3}, 1
    )
    centre = {target: text.content for target, text in loaded[link.peer].items()}
    said = [
        mutation
        for target in ("/etc/frr/frr.conf", "/etc/nftables.conf")
        for mutation in mutate.every(mutate.dialect_of(target), link.peer, target, centre[target], chance)
        if any(
            word in mutation.before for word in (f" {link.v4.partition('/')[0]} ", own.loopback4, f"{own.loopback6}/")
        )
    ]
    known = Known(World(network))
    proving.of(loaded, known)
    found = 0
    for mutation in [*cases, *chance.sample(said, 4)]:
        tree = {**loaded, mutation.device: dict(loaded[mutation.device])}
        text = tree[mutation.device][mutation.target]
        tree[mutation.device][mutation.target] = msgspec.structs.replace(
            text, content=mutate.apply(text.content, mutation)
        )
        plain, few_ = proving.of(tree, known), folded(network, tree)
        assert plain.good == few_.good, str(mutation)
        assert bool(mutate.caught(plain, mutation, text.path)) == bool(mutate.caught(few_, mutation, text.path)), str(
            mutation
        )
        found += not few_.good
    assert found > 5


def test_texts_that_differ_by_a_word_are_not_alike(rendered: tuple[Network, Loaded]) -> None:
    """A planted fault in the folding: if words were not compared, the office would be left out."""
    network, loaded = rendered
    few = folding.fold(network, loaded, texts.read)
    site = next(sites[-1] for sites in few.alike.values())
    device = network.sites[site].devices[0]
    text = loaded[device]["/etc/nftables.conf"]
    tree = {
        **loaded,
        device: {**loaded[device], "/etc/nftables.conf": msgspec.structs.replace(text, content=text.content + "# x\n")},
    }
    again = folding.fold(network, tree, texts.read)
    assert device in again.readings and device not in few.readings


def test_an_office_that_another_speaks_of_stays(rendered: tuple[Network, Loaded]) -> None:
    """A prefix of one office in the text of another makes the first unlike its kind."""
    network, loaded = rendered
    few = folding.fold(network, loaded, texts.read)
    first, *_, last = next(sites for sites in few.alike.values() if len(sites) > 2)
    prefix = network.sites[last].zones[0].v4
    device = network.sites[first].devices[0]
    text = loaded[device]["/etc/frr/frr.conf"]
    content = text.content.replace("!\nend", f"ip route {prefix} blackhole 254\n!\nend")
    assert content != text.content
    tree = {**loaded, device: {**loaded[device], "/etc/frr/frr.conf": msgspec.structs.replace(text, content=content)}}
    again = folding.fold(network, tree, texts.read)
    assert {device, network.sites[last].devices[0]} <= again.readings.keys()
    assert not folded(network, tree).good


def test_a_wider_prefix_elsewhere_tells_offices_apart(rendered: tuple[Network, Loaded]) -> None:
    """Somebody names a prefix that two offices lie in and the others do not: the two are a kind of their own."""
    network, loaded = rendered
    few = folding.fold(network, loaded, texts.read)
    site = next(sites[0] for sites in few.alike.values() if len(sites) > 2)
    address = network.sites[site].zones[0].v4.partition("/")[0]
    text = loaded["640100-fw1"]["/etc/nftables.conf"]
    line = f"    ip saddr {address}/25 ip daddr {address}/25 counter drop\n"
    content = text.content.replace("    counter drop comment", line + "    counter drop comment", 1)
    assert content != text.content
    tree = {
        **loaded,
        "640100-fw1": {**loaded["640100-fw1"], "/etc/nftables.conf": msgspec.structs.replace(text, content=content)},
    }
    again = folding.fold(network, tree, texts.read)
    assert network.sites[site].devices[0] in again.readings and network.sites[site].devices[0] not in few.readings


def test_a_cut_line_changes_what_it_would_change_anew(rendered: tuple[Network, Loaded]) -> None:
    """The routes after a cut, computed from those before it, are those computed from nothing."""
    network, loaded = rendered
    few = folding.fold(network, loaded, texts.read, kept=2)
    routed, _ = paths.compute(World(few.network), few.readings)
    agreed, _ = routes.sessions(routed.ground)
    assert len(routed.cuts) > 8
    for wire, tables in routed.cuts.items():
        anew = routes.compute(routed.ground, agreed, frozenset({wire}))
        assert (tables.fib, tables.best, tables.exits) == (anew.fib, anew.best, anew.exits), wire
        assert tables.fib != routed.tables.fib
