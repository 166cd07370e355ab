"""What is made of charon's answers: recorded from two real ones that keep a line. That real routers answer so, the pilot shows."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ground.remote import Answer, Session
from ip_plan.compile import compiled
from monitoring.checks import encryption
from monitoring.checks.look import Look
from tests.plans import PINNED

SAID = """\
w-640000-1: #3, ESTABLISHED, IKEv2, 4920ecaa73696df4_i 1c40e2128d485c11_r*
  local  'fd8c:51f7:2e90::a01:3' @ fd8c:51f7:2e90::a01:3[4500]
  remote 'fd8c:51f7:2e90::a01:2' @ fd8c:51f7:2e90::a01:2[4500]
  AES_CBC-256/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/ECP_256
  established 5s ago, rekeying in 14375s
  w-640000-1: #1, reqid 1, INSTALLED, TUNNEL-in-UDP, ESP:AES_CBC-256/HMAC_SHA2_256_128
    installed 5s ago, rekeying in 3340s, expires in 3955s
    in  1892f2e3,    126 bytes,     1 packets,     3s ago
    out 16d52f32,    126 bytes,     1 packets,     4s ago
    local  fd8c:51f7:2e90:1::a01:3/128
    remote fd8c:51f7:2e90:1::a01:2/128
w-640000-2: #2, CONNECTING, IKEv2, 7098b4d69b92df17_i* 0000000000000000_r
  local  '%any' @ fd8c:51f7:2e90::a01:5[500]
  remote '%any' @ fd8c:51f7:2e90::a01:4[500]
  active:  IKE_VENDOR IKE_INIT IKE_NATD IKE_CERT_PRE IKE_AUTH IKE_CERT_POST IKE_CONFIG IKE_AUTH_LIFETIME
----
"""
REFUSED = "tried 1 shared key for 'fd8c:51f7:2e90::a01:7' - 'fd8c:51f7:2e90::a01:6', but MAC mismatched\n"


@pytest.fixture(scope="module")
def look(tmp_path_factory: pytest.TempPathFactory) -> Look:
    place = tmp_path_factory.mktemp("encryption")
    network = compiled(str(shutil.copytree(PINNED, place / "plan")), place / "state")
    return Look(network, Session({}, Path("/nowhere")), "twin:test")


def test_both_ends_of_each_encrypted_line_are_asked(look: Look) -> None:
    found = {(each.device.name, each.interface.name) for each in encryption.ends(look)}
    assert found == {
        ("640000-r1", "w-640300-1"), ("640000-r2", "w-640300-1"), ("640300-r1", "w-640000-1"), ("640300-r1", "w-640000-2"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("interface", "answer", "result", "reason"),
    [
        ("w-640000-1", Answer(0, SAID, ""), "pass", "is protected, AES_CBC-256/HMAC_SHA2_256_128"),
        ("w-640000-1", Answer(0, SAID.replace("installed 5s", "installed 9000s"), ""), "fail", "9000 seconds old"),
        ("w-640000-1", Answer(0, SAID.replace("INSTALLED", "REKEYED"), ""), "fail", "no protection"),
        ("w-640000-2", Answer(0, SAID, ""), "fail", "no protection"),
        ("w-640000-2", Answer(0, SAID + REFUSED, ""), "fail", "different secrets line/640000-r2/640300-r1"),
        ("w-640000-1", Answer(0, SAID + REFUSED, ""), "pass", "is protected"),
        ("w-640000-1", Answer(0, "connecting to 'unix:///var/run/charon.vici' failed\n----\n", ""), "fail", "no protection"),
        ("w-640000-1", Answer(255, SAID[:40], "cut off"), "not-observed", "cut off"),
        ("w-640000-1", Answer(None, "", "no route"), "not-observed", "no route"),
    ],
)  # fmt: skip
def test_what_one_end_says(look: Look, interface: str, answer: Answer, result: str, reason: str) -> None:
    end = next(
        each for each in encryption.ends(look) if (each.device.name, each.interface.name) == ("640300-r1", interface)
    )
    record = encryption.judge(look, end, encryption.read(answer))
    assert (record.result, reason in record.reason) == (result, True), record.reason
