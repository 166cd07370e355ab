"""The reader of master files says the same as named-checkzone, and refuses what it does not know."""

from pathlib import Path

import pytest

from ground.mistake import Mistakes
from inventory.proof import zonefile
from tests.inventory.conftest import Run

HERE = Path(__file__).parent
CASES = sorted((HERE / "zones").glob("*.zone"))


def bind(target: Run, path: Path, origin: str) -> set[tuple[str, str, str, int]]:
    """The records as named-checkzone of the nodes' image prints them: one a line, absolute."""
    done = target(f"named-checkzone -i none -k ignore -D -o - {origin} '/build/{path.name}'", path.parent)
    assert done.returncode == 0, done.stderr
    found = set()
    for line in done.stdout.splitlines():
        words = line.split(None, 4)
        if len(words) == 5 and not line.startswith(";"):
            name, ttl, _, kind, data = words
            data = data.lower() if kind in ("NS", "PTR", "CNAME", "SOA") else data
            found.add((name.lower(), kind, data, int(ttl)))
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_agrees_with_bind(target: Run, case: Path) -> None:
    read = zonefile.read(case.read_text(), case.stem, str(case))
    expected = bind(target, case, case.stem)
    assert len(expected) >= 4
    assert {(e.name, e.type, e.data, e.ttl) for e in read.entries} == expected


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("@ 60 IN A 10.0.0.300", 1),
        ("$TTL 60\n@ IN AAAA 10.0.0.3", 2),
        ("$TTL 60\n$GENERATE 1-9 a$ A 10.0.0.$", 2),
        ("$INCLUDE other", 1),
        ("@ 60 HINFO a b", 1),
        ("\tA 10.0.0.1", 1),
        ("a 60 SOA b c ( 1 2 3\n4 5", 1),
        ("a A 10.0.0.1", 1),
    ],
)
def test_refuses(source: str, line: int) -> None:
    with pytest.raises(Mistakes) as caught:
        zonefile.read(source, "example.internal", "x.zone")
    (mistake,) = caught.value.found
    assert (mistake.code, mistake.file, mistake.line) == ("JB2401", "x.zone", line)


def test_pointer() -> None:
    assert zonefile.pointer("10.64.4.53") == "53.4.64.10.in-addr.arpa."
    assert zonefile.pointer("3fff::1") == "1." + "0." * 27 + "f.f.f.3.ip6.arpa."


NAMED = """
options {
	directory "/var/cache/bind"; // a comment
	forward only; /* two
	lines */ forwarders { 10.0.0.53; 3fff::35 port 53; };
	allow-recursion { any; };
};
zone "." { type hint; file "/usr/share/dns/root.hints"; };
zone "yinchuan.nx.jinbao.internal" IN {
	type primary;  # the own zone
	file "/etc/bind/zones/yinchuan";
};
include "/etc/bind/more.conf";
"""
MORE = """zone "nx.jinbao.internal" { type forward; forward only; forwarders { 10.1.0.53; }; };"""


def test_named() -> None:
    read = zonefile.read_named({"/etc/bind/named.conf": NAMED, "/etc/bind/more.conf": MORE}, "/etc/bind/named.conf")
    assert read.options and read.options.items("forwarders") == ("10.0.0.53", "3fff::35")
    assert [(z.name, z.type, z.file, z.forwarders, z.line) for z in read.zones] == [
        (".", "hint", "/usr/share/dns/root.hints", (), 8),
        ("yinchuan.nx.jinbao.internal.", "master", "/etc/bind/zones/yinchuan", (), 9),
        ("nx.jinbao.internal.", "forward", "", ("10.1.0.53",), 1),
    ]
    with pytest.raises(Mistakes):
        zonefile.read_named({"/etc/bind/named.conf": NAMED}, "/etc/bind/named.conf")
