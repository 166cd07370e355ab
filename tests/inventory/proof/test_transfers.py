"""Transfers in the rendered named.conf: each fault is found where it stands, and what both ends say of a key has to agree."""

from __future__ import annotations

import pytest

from inventory.proof import names, texts, transfers
from inventory.proof.texts import Text
from inventory.render import write
from ip_plan.compile import compiled
from ip_plan.network import Network

CONF = "/etc/bind/named.conf"
SERVERS = ("000000-exch1", "640000-exch1", "640100-exch1", "640300-exch1")
CITY = 'zone "yinchuan.nx.jinbao.internal" {\n    type secondary;\n    file "yinchuan.nx.jinbao.internal.copy";\n'
FROM = '    primaries { "names-640100"; };\n'
OPEN = '    allow-transfer { key "names-640100"; };\n'

CASES: dict[str, tuple[str, str, str, tuple[tuple[str, str], ...]]] = {
    "no copy": ("640000-exch1", CITY, CITY.replace("secondary", "forward"), (("640000-exch1", "JB2180"),)),
    "a copy in no file": ("640000-exch1", CITY, CITY.rpartition("    file")[0], (("640000-exch1", "JB2180"),)),
    "from elsewhere": (
        "640000-exch1", 'primaries "names-640100" {\n', 'primaries "names-640100" {\n    10.9.9.9 key "names-640100";\n',
        (("640000-exch1", "JB2181"),),
    ),
    "without a key": (
        "640000-exch1", CITY + FROM, CITY + "    primaries { 10.0.6.124; 3fff:0:11::1:7c; };\n",
        (("640000-exch1", "JB2181"),),
    ),
    "another secret": ("640000-exch1", "names/640100@", "names/640500@", (("640000-exch1", "JB2181"),)),
    "a key of another algorithm": (
        "640100-exch1", "algorithm hmac-sha256;", "algorithm hmac-md5;",
        (("640000-exch1", "JB2181"), ("640100-exch1", "JB2182")),
    ),
    "open to everybody": (
        "640100-exch1", OPEN, "", (("640000-exch1", "JB2181"), ("640100-exch1", "JB2182"), ("640100-exch1", "JB2183")),
    ),
    "open to the network as well": (
        "640100-exch1", OPEN, OPEN.replace("{ key", "{ network; key"), (("640100-exch1", "JB2182"),),
    ),
    "the ministry's zones open to one key more": (
        "000000-exch1", 'allow-transfer { key "names-640000"', 'allow-transfer { key "x"; key "names-640000"',
        (("000000-exch1", "JB2182"),),
    ),
    "a copy that is passed on": (
        "640000-exch1", CITY, CITY + "    allow-transfer { any; };\n", (("640000-exch1", "JB2182"),),
    ),
    "nobody told": ("640100-exch1", "    notify explicit;\n", "    notify no;\n", (("640100-exch1", "JB2183"),)),
    "told without a key": (
        "640100-exch1", 'also-notify { "names-640100"; }', "also-notify { 10.0.139.252; 3fff:0:2011::1:1fc; }",
        (("640100-exch1", "JB2183"),),
    ),
    "not heard": (
        "640000-exch1", CITY + FROM + '    allow-notify { key "names-640100"; };\n', CITY + FROM, (("640000-exch1", "JB2183"),),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> tuple[Network, dict[str, dict[str, Text]]]:
    folder = tmp_path_factory.mktemp("transfers")
    network = compiled("pilot", folder / "state")
    write(folder / "build", network, devices=SERVERS, lab=False)
    return network, {name: texts.load(folder / "build" / name) for name in SERVERS}


def found(network: Network, loaded: dict[str, dict[str, Text]]) -> set[tuple[str, str]]:
    readings = {name: texts.read(name, given) for name, given in loaded.items()}
    assert all(reading.named and not reading.mistakes for reading in readings.values())
    return {(finding.subject, finding.code) for finding in transfers.prove(network, readings)}


def test_what_is_rendered_is_right(rendered: tuple[Network, dict[str, dict[str, Text]]]) -> None:
    assert found(*rendered) == set()


@pytest.mark.parametrize("name", CASES)
def test_a_fault_is_found_where_it_stands(rendered: tuple[Network, dict[str, dict[str, Text]]], name: str) -> None:
    network, loaded = rendered
    device, old, new, expected = CASES[name]
    text = loaded[device][CONF]
    assert text.content.count(old) == 1, text.content.count(old)
    spoiled = {**loaded, device: {**loaded[device], CONF: Text(text.path, text.content.replace(old, new))}}
    assert found(network, spoiled) == set(expected)


def test_a_part_is_held_against_what_lies_beyond_it(rendered: tuple[Network, dict[str, dict[str, Text]]]) -> None:
    """As the nation is proved: a province with the heads of its cities' zones, and with what was read of the ministry."""
    network, loaded = rendered
    readings = {name: texts.read(name, given) for name, given in loaded.items()}
    own = {"640000-exch1": readings["640000-exch1"]}
    outer = {"000000-exch1": readings["000000-exch1"]}
    heads = names.heads(network, {name: readings[name] for name in ("640100-exch1", "640300-exch1")})
    assert transfers.prove(network, own, heads, outer) == []
    gone = [head for head in heads if head.device != "640300-exch1"]
    assert {finding.code for finding in transfers.prove(network, own, gone, outer)} == {"JB2180"}
    assert {finding.code for finding in transfers.prove(network, own, heads)} == {"JB2180"}
