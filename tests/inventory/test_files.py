"""What every device's files have to be: as reviewed, valid for the programs that read them, and the same every time."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from ground import secret, tree
from inventory import intent, render
from inventory.dialects import pgbackrest
from ip_plan.compile import compiled
from ip_plan.network import Network
from tests.inventory import sample
from tests.inventory.conftest import Run


@pytest.fixture(scope="module")
def whole() -> Network:
    return sample.network()


@pytest.mark.parametrize("device", sample.SHOWN)
def test_as_reviewed(whole: Network, device: str) -> None:
    (rendered,) = render.render(whole, devices=[device], lab=False)
    assert sample.text(rendered) == (sample.GOLDEN / f"{device}.txt").read_text()


def test_every_reviewed_file_is_of_a_device() -> None:
    assert {path.stem for path in sample.GOLDEN.iterdir()} == set(sample.SHOWN)


def validators(build: Path) -> list[tuple[str, str]]:
    """(place, command) for every entry that has a validator, as a node would run it on the candidate."""
    found = []
    for folder in sorted(build.iterdir()):
        if not (folder / "tree.json").exists():
            continue
        for entry in tree.read(folder).entries:
            if entry.validator:
                path = f"/build/{folder.name}/files/{entry.source}"
                found.append((f"{folder.name}:{entry.target}", entry.validator.replace("%s", shlex.quote(path))))
    return found


def judged(target: Run, build: Path) -> tuple[int, list[str]]:
    """Run every validator on files with their secrets, as at apply; how many were run, and the places refused with what was said."""
    for path in (path for path in build.glob("*/files/**/*") if path.is_file()):
        if secret.references(content := path.read_bytes()):
            path.write_bytes(secret.fill(build.parent, content))
    commands = validators(build)
    lines = [f'out=$({command} 2>&1) && echo ok || echo {shlex.quote(place)} "$out"' for place, command in commands]
    (build / "check.sh").write_text("\n".join(lines))
    answer = target("sh /build/check.sh", build)
    said = answer.stdout.splitlines()
    assert answer.returncode == 0, answer.stderr
    return said.count("ok"), [line for line in said if line != "ok"]


@pytest.mark.parametrize("lab", [True, False])
def test_programs_accept_the_sample(tmp_path: Path, target: Run, whole: Network, lab: bool) -> None:
    render.write(tmp_path / "build", whole, lab=lab)
    accepted, refused = judged(target, tmp_path / "build")
    assert refused == []
    assert accepted == len(validators(tmp_path / "build")) > 30


def test_programs_accept_the_pilot(tmp_path: Path, target: Run) -> None:
    network = compiled("pilot", tmp_path / "state")
    running = [name for site in network.running() for name in site.devices]
    render.write(tmp_path / "build", network, devices=running, lab=True)
    accepted, refused = judged(target, tmp_path / "build")
    assert refused == []
    assert accepted == len(validators(tmp_path / "build")) > 40


@pytest.mark.parametrize(
    ("target_path", "old", "new"),
    [
        ("/etc/frr/frr.conf", "router bgp", "router bpg"),
        ("/etc/frr/frr.conf", " neighbor ", " neighbour "),
        ("/etc/nftables.conf", "counter accept", "counter acept"),
        ("/etc/nftables.conf", "@own-", "@nobodys-"),
    ],
)
def test_programs_refuse_what_is_wrong(
    tmp_path: Path, target: Run, whole: Network, target_path: str, old: str, new: str
) -> None:
    render.write(tmp_path, whole, devices=["640100-r1"], lab=True)
    path = tmp_path / "640100-r1" / "files" / target_path[1:]
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    _, refused = judged(target, tmp_path)
    assert next(line.split()[0] for line in refused) == f"640100-r1:{target_path}"


def test_the_same_every_time(whole: Network) -> None:
    assert list(render.render(whole, lab=True)) == list(render.render(sample.network.__wrapped__(), lab=True))


@pytest.mark.parametrize("province", ["00", "64"])
def test_a_province_alone_gives_what_the_whole_gives(whole: Network, province: str) -> None:
    together = list(render.render(whole, provinces=[province], lab=False))
    alone = list(render.render(sample.only(whole, province), lab=False))
    assert [rendered.tree.device for rendered in alone] == [rendered.tree.device for rendered in together]
    assert alone == together


def test_only_a_lab_spares_the_clock_and_the_search_for_duplicates(whole: Network) -> None:
    marks = ("ConditionCapability", "accept_dad", "IPv6DuplicateAddressDetection", "-F 0 -x")
    for lab in (True, False):
        text = "".join(map(sample.text, render.render(whole, lab=lab)))
        assert [mark in text for mark in marks] == [lab] * 4


def test_owners_modes_and_units(whole: Network) -> None:
    for rendered in render.render(whole, lab=False):
        targets = [entry.target for entry in rendered.tree.entries]
        assert len(targets) == len(set(targets))
        for entry in rendered.tree.entries:
            assert entry.target.startswith("/etc/")
            assert entry.action in ("reload", "restart")
            assert entry.owner in ("root", "frr", "postgres")
            secret = entry.target.endswith(("frr.conf", "pg_hba.conf", "pgbackrest.conf"))
            assert entry.mode == "0640" or not secret
            assert entry.unit in (*rendered.tree.units, "", "systemd-sysctl.service")


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        (168, "Sun *-*-* 03:00:00"), (200, "Sun *-*-* 03:00:00"), (24, "*-*-* 03:00:00"), (100, "*-*-* 03:00:00"),
        (12, "*-*-* 00/12:00:00"), (7, "*-*-* 00/6:00:00"), (1, "*-*-* 00/1:00:00"),
    ],
)  # fmt: skip
def test_full_backups_never_lie_further_apart_than_asked(hours: int, expected: str) -> None:
    assert pgbackrest.calendar(hours) == expected


def test_a_lab_s_prometheus_leaves_out_what_the_twin_leaves_out(tmp_path: Path) -> None:
    network = compiled("pilot", tmp_path / "state")
    found = {}
    for lab in (True, False):
        (rendered,) = render.render(network, devices=["640100-mgmt1"], lab=lab)
        found[lab] = set(
            re.findall(r'instance: "([^"]+)"', rendered.contents["etc/prometheus/prometheus.yml"].decode())
        )
    running = {name for site in network.running() for name in site.devices}
    assert found[True] == found[False] & running < found[False]


def test_a_client_of_pgbackrest_has_one_line_with_all_its_stanzas() -> None:
    """Of two `tls-server-auth` lines for one client pgBackRest keeps the last (pgbackrest #2756)."""
    stanza = intent.Stanza("decision", "deci1", 2, 24, ("deci1", "bkup2"))
    other = intent.Stanza("production", "prod1", 2, 24, ("prod1", "bkup2"))
    host = intent.Backup("", "", (stanza, other), True)
    assert host.authorised == {"deci1": ("decision",), "bkup2": ("decision", "production"), "prod1": ("production",)}
    database = intent.Backup("repo", "bkup1", (other,), True)
    assert database.authorised == {"bkup1": ("production",)}
