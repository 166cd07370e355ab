"""What the roles are claimed to leave, and what testinfra makes of a machine: here of this one, through the shell that devices get."""

from __future__ import annotations

import getpass
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from ground.remote import Session
from ip_plan.network import Device, Network
from monitoring.checks import roles
from monitoring.checks.claims import ROLES, Claim, Owned, Package, Socket, Unit, User
from monitoring.checks.look import Look
from monitoring.checks.roles import Standing
from monitoring.checks.shell import Lost, Shell, shell
from tests.monitoring.checks import sample
from tests.monitoring.checks.test_partners import network

CHECKOUT = Path(__file__).resolve().parents[3]
LOOK = Look(network(), Session({}, Path("/nowhere")), "twin:test")
ME = getpass.getuser()
EXCHANGE = next(host for host in sample.HOSTS if host.name == "990100-exch1")


class Here(Session, frozen=True):
    """Reaches this machine alone, without SSH."""

    def command(self, device: str) -> list[str]:
        return ["sh", "-c"]


@pytest.fixture
def here() -> Iterator[Shell]:
    with shell(Here({}, Path("/nowhere")), "here", 30) as opened:
        yield opened


def test_every_role_of_the_playbook_has_claims() -> None:
    assert set(ROLES) == {path.name for path in (CHECKOUT / "playbooks" / "roles").iterdir()}


def claimed(network: Network) -> dict[str, set[str]]:
    """Role → the devices it claims something on."""
    found: dict[str, set[str]] = {}
    for device in network.devices.values():
        for role in roles.claimed(network, device):
            found.setdefault(role, set()).add(device.name)
    return found


def test_a_role_claims_where_the_plan_gives_it_something_to_do() -> None:
    found = claimed(LOOK.network)
    everywhere = {device.name for device in LOOK.network.devices.values()}
    assert found["baseline"] == found["time"] == found["exporter"] == everywhere
    assert found["database"] == {"990100-prod1", "990100-exch1"}
    assert found["names"] == found["intake"] == found["desk"] == {"990100-exch1"}
    assert found["boxes"] == found["front"] == {"990100-extn1"}
    assert "router" not in found and "metrics" not in found
    served = roles.claimed(LOOK.network, EXCHANGE)["names"]
    assert {claim.spec for claim in served if isinstance(claim, Socket)} == {
        f"{protocol}://{address}:53" for protocol in ("tcp", "udp") for address in ("10.9.2.20", "fd09:2::20")
    }


def test_what_holds_here_and_what_does_not(here: Shell, tmp_path: Path) -> None:
    key = tmp_path / "a key"
    key.touch(0o600)
    told: dict[Claim, str] = {
        Package("dpkg"): "",
        Package("no-such-package"): "package no-such-package is not installed",
        User(ME): "",
        User("nobody-of-this-name"): "there is no user nobody-of-this-name",
        Owned(str(key), ME, 0o600): "",
        Owned(str(key), ME, 0o400): f"{key} is 0600 of {ME}, not 0400 of {ME}",
        Owned(str(key), "daemon", 0o600): f"{key} is 0600 of {ME}, not 0600 of daemon",
        Owned(f"{key}s", ME, 0o600): f"{key}s is not there",
        Socket("tcp://192.0.2.1:9"): "nothing listens on tcp://192.0.2.1:9",
    }
    for claim, fault in told.items():
        assert roles.stands(here, [claim]) == Standing(1, (fault,) if fault else ()), claim


@pytest.mark.parametrize(
    ("runs", "state", "faults"),
    [
        (True, "enabled", ()),
        (False, "enabled", ("a.timer does not run",)),
        (True, "disabled", ("a.timer is not enabled",)),
        (False, "masked", ("a.timer does not run", "a.timer is not enabled")),
        (False, "", ("a.timer does not run", "a.timer is not enabled")),
    ],
)
def test_a_unit(here: Shell, tmp_path: Path, runs: bool, state: str, faults: tuple[str, ...]) -> None:
    (tmp_path / "systemctl").write_text(
        f"#!/bin/sh\ncase $1 in is-active) exit {0 if runs else 3};; *) echo {state}; test '{state}' = enabled;; esac\n"
    )
    (tmp_path / "systemctl").chmod(0o755)
    ready = f'export PATH={tmp_path}:$PATH; test() {{ [ "$*" = \'-d /run/systemd/system/\' ] || [ "$@" ]; }}\n'
    assert here.process.stdin
    here.process.stdin.write(ready.encode())
    assert roles.stands(here, [Unit("a.timer")]) == Standing(1, faults)


def test_the_shell_keeps_words_codes_and_streams_apart(here: Shell) -> None:
    said = here.run("printf %s; echo 中文; echo aside >&2; exit 3", "a b'c")
    assert (said.rc, said.stdout, said.stderr) == (3, "a b'c中文\n", "aside\n")
    assert (here.run("cat; printf no-end").stdout, here.run("true # a comment").rc) == ("no-end", 0)
    assert here.run("date +%N").stdout == here.run("date +%N").stdout, "asked once"
    for _ in range(2):
        with pytest.raises(Lost, match="the connection ended"):
            here.run("kill -9 $$")


def test_a_device_that_answers_no_more_is_not_waited_for() -> None:
    with shell(Here({}, Path("/nowhere")), "here", 0.3) as opened:
        with pytest.raises(Lost, match=r"within 0.3 s"):
            opened.run("kill -STOP $$")
        assert "within" in roles.stands(opened, [User("nobody")]).lost


def test_why_a_device_could_not_be_asked() -> None:
    line = ["sh", "-c", "echo 'ssh: no route to host' >&2; exit 255"]
    process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    claims: list[Claim] = [User("root"), Package("dpkg")]
    assert roles.stands(Shell(process), claims) == Standing(lost="ssh: no route to host")


@pytest.mark.parametrize(
    ("standing", "result", "words", "seen"),
    [
        (Standing(2), "pass", "2 claims hold", 2),
        (Standing(2, ("a does not run",)), "fail", "a does not run", 2),
        (Standing(1, lost="timed out"), "not-observed", "timed out", 1),
        (Standing(1, ("a does not run",), lost="timed out"), "fail", "a does not run", 1),
        (Standing(2, untold=("Unit(name='a'): odd",)), "error", "odd", 1),
    ],
)
def test_the_record_of_a_role(standing: Standing, result: str, words: str, seen: int) -> None:
    claims = (Unit("a"), User("b"))
    record = roles.judge(LOOK, EXCHANGE, "names", claims, standing)
    assert (record.check, record.result, record.seen, record.expected) == ("role.stands", result, seen, 2)
    assert words in record.reason
    assert (record.subject.service, record.subject.device) == ("names", EXCHANGE.name)


def test_out_of_reach_there_is_one_record_a_role_whose_key_is_of_its_claims() -> None:
    found = roles.run(LOOK).records
    assert {record.result for record in found} == {"not-observed"}
    wanted = {(device, role) for role, devices in claimed(LOOK.network).items() for device in devices}
    assert {(record.subject.device, record.subject.service) for record in found} == wanted
    one, other = (roles.judge(LOOK, EXCHANGE, "time", (claim,), Standing()) for claim in (Unit("a"), User("a")))
    assert one.input_key != other.input_key


def test_devices_of_vendors_have_no_roles() -> None:
    (shard,) = sample.network().shards
    devices = tuple(_vendor(each) if each is EXCHANGE else each for each in shard.devices)
    other = Network(LOOK.network.meta, (), (msgspec.structs.replace(shard, devices=devices),), {})
    records = roles.run(Look(other, LOOK.session, LOOK.target)).records
    assert {record.subject.device for record in records} == {"990100-prod1", "990121100-accs1"}


def _vendor(device: Device) -> Device:
    return msgspec.structs.replace(device, dialect="vrp")
