"""The zones of the nation: BIND loads every one of them, and a real server answers for a province."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from inventory import zones
from ip_plan.compile import compile_plan
from ip_plan.network import load
from tests.inventory.conftest import Run, in_image

PROVINCE = "64"
ASKED = 400
SERVE = """
set -e
cd /build
ip link set lo up
cat > named.conf <<END
options { directory "/build"; listen-on port 5353 { 127.0.0.1; }; listen-on-v6 { none; }; pid-file "/build/named.pid";
  recursion no; dnssec-validation no; session-keyfile none; };
controls { };
include "/build/%s/zones.conf";
END
named -c /build/named.conf -u root
for try in $(seq 600); do
  dig +short +time=1 +tries=1 -p 5353 @127.0.0.1 %s SOA 2>/dev/null | grep -q . && break
  sleep 0.1
done
dig +noall +answer +norecurse +tries=5 -p 5353 @127.0.0.1 -f /build/questions
kill "$(cat /build/named.pid)"
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The zones of the national plan as master files, and its Network."""
    state = tmp_path_factory.mktemp("nation")
    network = compile_plan("national", state).network
    zones.write(state / "zones", network, provinces=None, form="bind", serials={})
    return state / "zones", network


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return in_image(tmp_path_factory.mktemp("target"))


def test_bind_loads_every_zone_of_the_nation(written: tuple[Path, Path], target: Run) -> None:
    out, _ = written
    masters = list(out.glob("*/*.zone"))
    answer = target("cd /build && named-checkconf -z zones.conf", out)
    assert answer.returncode == 0, answer.stdout[-2000:]
    assert answer.stdout.count("loaded serial 1") == len(masters) > 900
    assert len({path.name for path in masters}) == len(masters), "a zone has one primary"


def test_a_server_answers_for_a_province(written: tuple[Path, Path], target: Run) -> None:
    out, network = written
    held = zones.of(load(network, [PROVINCE]), PROVINCE)
    delegated = {(name, zone.name) for zone in held for name, kind, _ in zone.records if kind == "NS"}
    below = {name for name, _ in delegated}
    told = sorted(
        (name, kind, data)
        for zone in held
        for name, kind, data in zone.records
        # Of what is delegated the zone of the child speaks.
        if not any(name == cut or name.endswith(f".{cut}") for cut in below)
    )
    asked = random.Random(64).sample(told, ASKED)
    (out / "questions").write_text("".join(f"{name} {kind}\n" for name, kind, _ in asked))
    answer = target(SERVE % (PROVINCE, held[0].name), out)
    assert answer.returncode == 0, answer.stderr[-2000:]
    said = {
        (words[0].lower(), words[3], words[4].lower()) for line in answer.stdout.splitlines() if (words := line.split())
    }
    assert [record for record in asked if record not in said] == []
    assert len({kind for _, kind, _ in asked}) == 3
