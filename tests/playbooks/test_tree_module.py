"""The module `tree` on real files below a temporary folder: all or nothing, every file looked at in every run."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from playbooks.library import tree

BARE: dict[str, Any] = {"role": "router", "units": [], "kept": [], "roles": [], "packages": []}


class Device:
    """A folder that stands for a device: entries are written with paths below it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.manifests = root / "manifests"

    def entry(self, name: str, content: bytes | str = "", **fields: Any) -> dict[str, Any]:
        data = content.encode() if isinstance(content, str) else content
        given = {"owner": "root", "group": "root", "mode": "0644", "validator": "", "unit": "", "action": "reload"}
        target = str(self.root / "etc" / name)
        return {**given, "target": target, "content": base64.b64encode(data).decode(), "secret": False, **fields}

    def apply(self, *entries: dict[str, Any], check: bool = False, **fields: Any) -> dict[str, Any]:
        wanted = {**BARE, "manifests": str(self.manifests), **fields, "entries": [dict(entry) for entry in entries]}
        return tree.apply(wanted, check)

    def settle(self, role: str = "router") -> dict[str, Any]:
        return tree.settle({"role": role, "manifests": str(self.manifests)}, False)

    def files(self) -> dict[str, tuple[bytes, int]]:
        etc = self.root / "etc"
        found = (path for path in etc.rglob("*") if path.is_file()) if etc.exists() else ()
        return {str(path.relative_to(etc)): (path.read_bytes(), path.stat().st_mode & 0o7777) for path in found}


def forge(path: Path) -> None:
    """Another content of the same length and an older time: a stamp or a size would not show it."""
    path.write_text("hostname r2\n")
    os.utime(path, (0, 0))


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path)


def test_installs_and_then_changes_nothing(device: Device) -> None:
    entries = [device.entry("frr/frr.conf", "hostname r1\n", mode="0640"), device.entry("frr/daemons", "bgpd=yes\n")]
    first = device.apply(*entries)
    assert first["changed"] and first["files"] == [entry["target"] for entry in entries]
    assert device.files() == {"frr/frr.conf": (b"hostname r1\n", 0o640), "frr/daemons": (b"bgpd=yes\n", 0o644)}
    stood = {path: os.stat(path).st_mtime_ns for path in device.root.rglob("*")}
    second = device.apply(*entries)
    assert not second["changed"] and second["files"] == []
    assert {path: os.stat(path).st_mtime_ns for path in device.root.rglob("*")} == stood


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda path: path.write_text("edited by hand\n"), id="content"),
        pytest.param(lambda path: path.chmod(0o666), id="mode"),
        pytest.param(lambda path: os.chown(path, 1, 0), id="owner"),
        pytest.param(lambda path: os.chown(path, 0, 1), id="group"),
        pytest.param(lambda path: path.unlink(), id="removed"),
        pytest.param(lambda path: (path.unlink(), path.symlink_to("/etc/hostname")), id="symlink"),
        pytest.param(forge, id="same-size-old-time"),
    ],
)
def test_every_deviation_is_found_and_mended(device: Device, spoil: Any) -> None:
    entry = device.entry("frr.conf", "hostname r1\n")
    device.apply(entry)
    spoil(Path(entry["target"]))
    assert device.apply(entry, check=True)["files"] == [entry["target"]]
    assert device.apply(entry)["files"] == [entry["target"]]
    assert not device.apply(entry)["changed"]
    found = os.lstat(entry["target"])
    assert (found.st_uid, found.st_gid, found.st_mode & 0o7777) == (0, 0, 0o644)
    assert Path(entry["target"]).read_text() == "hostname r1\n"


def test_an_invalid_candidate_leaves_everything(device: Device) -> None:
    good, bad = device.entry("good", "1\n"), device.entry("bad", "1\n")
    device.apply(good, bad)
    before = device.files()
    changed = [
        device.entry("good", "2\n"),
        device.entry("bad", "broken\n", validator="grep -q fine %s"),
        device.entry("worse", "broken too\n", validator="sh -c 'echo line 1 of %s is wrong; exit 3' %s"),
    ]
    for check in (True, False):
        with pytest.raises(tree.Refused) as refused:
            device.apply(*changed, check=check)
        # Both at once, each with the file's own name, its validator and what that said.
        assert [found["file"] for found in refused.value.invalid] == [changed[1]["target"], changed[2]["target"]]
        assert refused.value.invalid[0]["validator"] == "grep -q fine %s"
        assert refused.value.invalid[1]["output"] == f"line 1 of {changed[2]['target']} is wrong"
        assert device.files() == before
    assert not device.apply(good, bad)["changed"]


def test_a_candidate_keeps_its_name_and_finds_its_neighbours(device: Device) -> None:
    rules = device.entry("prometheus/rules.yml", "groups: []\n")
    server = device.entry("prometheus/server.yml", "x\n", validator="sh -c 'test -f $(dirname $0)/rules.yml' %s")
    device.apply(rules, server)
    lonely = device.entry("alone/server.yml", "x\n", validator="sh -c 'test -f $(dirname $0)/rules.yml' %s")
    with pytest.raises(tree.Refused):
        device.apply(rules, server, lonely)


def test_a_validator_sees_the_owner_and_mode_to_come(device: Device) -> None:
    line = """sh -c 'test "$(stat -c %U:%a $0)" = daemon:600' %s"""
    entry = device.entry("key", "x\n", mode="0600", owner="daemon", validator=line)
    assert device.apply(entry)["changed"]
    with pytest.raises(tree.Refused):
        device.apply({**entry, "mode": "0640"})


def test_the_validator_of_the_whole_puts_all_back(device: Device) -> None:
    whole = f"sh -c '! grep -q broken {device.root}/etc/zone'"
    old = [
        device.entry("named.conf", "1\n", validator=whole, mode="0600"),
        device.entry("zone", "fine\n", validator=whole),
    ]
    device.apply(*old)
    before = device.files()
    new = [
        device.entry("named.conf", "2\n", validator=whole),
        device.entry("zone", "broken\n", validator=whole),
        device.entry("new", "x\n"),
    ]
    with pytest.raises(tree.Refused) as refused:
        device.apply(*new)
    assert [found["validator"] for found in refused.value.invalid] == [whole]
    assert device.files() == before
    assert not device.apply(*old)["changed"]


def test_an_unchanged_file_is_not_validated_again(device: Device) -> None:
    entry = device.entry("nft.conf", "x\n", validator=f"sh -c 'echo seen >> {device.root}/log' %s")
    device.apply(entry)
    device.apply(entry)
    assert (device.root / "log").read_text() == "seen\n"


def test_stale_files_go_and_others_stay(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b, c = device.entry("a", "1"), device.entry("b", "1", unit="frr.service"), device.entry("c", "1")
    device.apply(a, b, c)
    foreign = device.root / "etc" / "by-hand"
    foreign.write_text("mine\n")
    # c moved to another role, which installs it first or later: it is not this role's to remove.
    checked = device.apply(a, check=True, kept=[c["target"]])
    assert checked["removed"] == [b["target"]] and "b" in device.files()
    monkeypatch.setattr(tree, "running", lambda units: dict.fromkeys(units, True))
    answer = device.apply(a, kept=[c["target"]])
    assert answer["removed"] == [b["target"]] and answer["pending"]
    assert sorted(device.files()) == ["a", "by-hand", "c"]


def test_files_of_a_role_the_device_lost_go(device: Device) -> None:
    device.apply(device.entry("zone", "1"), role="names", units=[])
    device.apply(device.entry("net", "1"), role="baseline", roles=["baseline", "names"])
    assert sorted(device.files()) == ["net", "zone"]
    answer = device.apply(device.entry("net", "1"), role="baseline", roles=["baseline"])
    assert answer["removed"] == [str(device.root / "etc/zone")]
    assert sorted(device.files()) == ["net"]
    assert sorted(path.name for path in device.manifests.iterdir()) == ["baseline.json"]
    device.apply(device.entry("net", "1"), role="baseline", roles=["baseline"])
    assert not device.apply(device.entry("net", "1"), role="baseline", roles=["baseline"])["files"]


def test_check_changes_nothing(device: Device) -> None:
    entry = device.entry("sub/file", "new\n", owner="nobody-of-that-name")
    answer = device.apply(entry, check=True)
    assert answer["changed"] and not answer["pending"]
    assert answer["diff"][0]["before"] == "" and answer["diff"][0]["after"] == "new\n"
    assert list(device.root.iterdir()) == []
    with pytest.raises(tree.Refused, match="nobody-of-that-name"):
        device.apply(entry)


def test_a_diff_hides_secrets_and_shows_owners(device: Device) -> None:
    entry = device.entry("key", "first-secret", secret=True)
    assert "first-secret" not in json.dumps(device.apply(entry)["diff"])
    changed = device.apply(device.entry("key", "second-secret", secret=True), check=True)["diff"]
    assert "secret" in changed[0]["before"] and changed[0]["before"] != changed[0]["after"]
    assert "first-secret" not in json.dumps(changed) and "second-secret" not in json.dumps(changed)
    owner = device.apply(device.entry("key", "first-secret", secret=True, mode="0600"), check=True)["diff"]
    assert (owner[0]["before"], owner[0]["after"]) == ("0:0 0644\n", "0:0 0600\n")


def test_what_units_have_not_taken_up_is_never_forgotten(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "running", lambda units: dict.fromkeys(units, True))
    entries = [
        device.entry("frr.conf", "1", unit="frr.service"),
        device.entry("daemons", "1", unit="frr.service", action="restart"),
        device.entry("nft.conf", "1", unit="nftables.service"),
    ]
    first = device.apply(*entries, units=["frr.service"])
    assert (first["units_restart"], first["units_reload"]) == (["frr.service"], ["nftables.service"])
    assert first["take_up"] == [
        {"name": "frr.service", "state": "restarted", "enabled": True},
        {"name": "nftables.service", "state": "reloaded"},
    ]
    # The run ended here. The next one finds no file to change and still has the units take them up.
    again = device.apply(*entries, units=["frr.service"])
    assert again["files"] == [] and again["changed"] and again["pending"]
    assert (again["units_restart"], again["units_reload"]) == (["frr.service"], ["nftables.service"])
    assert device.settle()["changed"]
    settled = device.apply(*entries, units=["frr.service"])
    assert not settled["changed"] and not settled["pending"]
    assert settled["take_up"] == []
    assert not device.settle()["changed"]


@pytest.mark.parametrize("state", [{}, {"frr.service": False}], ids=["stopped", "running, not enabled"])
def test_a_unit_that_is_not_as_it_has_to_be_is_a_change(
    device: Device, monkeypatch: pytest.MonkeyPatch, state: dict[str, bool]
) -> None:
    monkeypatch.setattr(tree, "running", lambda units: state)
    entry = device.entry("frr.conf", "1", unit="frr.service")
    device.apply(entry, units=["frr.service"])
    device.settle()
    for check in (True, False):
        answer = device.apply(entry, units=["frr.service"], check=check)
        assert answer["changed"] and not answer["files"] and not answer["pending"]
        assert answer["take_up"] == [{"name": "frr.service", "state": "started", "enabled": True}]


def test_a_run_cut_short_between_two_files_is_examined_by_the_next(device: Device) -> None:
    whole = f"sh -c '! grep -q broken {device.root}/etc/zone'"
    entries = [device.entry("zone", "broken\n", validator=whole, unit="named.service"), device.entry("other", "x\n")]

    real = tree.write_manifest
    calls = []

    def dies(path: str, manifest: dict[str, Any]) -> None:
        calls.append(path)
        if len(calls) > 1:
            os._exit(9)  # after the files are in place, as a power cut would
        real(path, manifest)

    child = os.fork()
    if child == 0:
        tree.write_manifest = dies
        tree.refuse = lambda found: os._exit(9)
        device.apply(*entries)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert set(device.files()) == {"zone", "other"}
    with pytest.raises(tree.Refused, match="zone"):
        device.apply(*entries)
    mended = [device.entry("zone", "fine\n", validator=whole, unit="named.service"), device.entry("other", "x\n")]
    assert device.apply(*mended)["files"] == [mended[0]["target"]]
    assert not device.apply(*mended)["files"]


def test_unit_files_make_systemd_read_again(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "UNIT_FOLDERS", (f"{device.root}/etc/systemd/system/",))
    entry = device.entry("systemd/system/backup.timer", "[Timer]\n")
    answer = device.apply(entry, units=["backup.timer"])
    assert answer["daemon_reload"] and answer["pending"]
    assert answer["take_up"] == [{"name": "backup.timer", "state": "started", "enabled": True}]
    assert device.apply(entry, units=["backup.timer"])["daemon_reload"]
    device.settle()
    assert not device.apply(entry, units=["backup.timer"])["daemon_reload"]


def test_a_missing_package_comes_before_its_files(device: Device) -> None:
    entry = device.entry("frr.conf", "x\n", validator="no-such-program %s")
    answer = device.apply(entry, packages=["base-files", "no-such-package-at-all"])
    assert answer == {"changed": False, "missing_packages": ["no-such-package-at-all"]}
    assert device.files() == {}
    # A check cannot run validators that are not there yet; it tells what would come.
    checked = device.apply(entry, packages=["no-such-package-at-all"], check=True)
    assert checked["changed"] and checked["files"] == [entry["target"]]
    with pytest.raises(tree.Refused, match="no-such-program is not installed"):
        device.apply(entry, packages=["base-files"])


def test_every_impossible_target_is_named_at_once(device: Device) -> None:
    (device.root / "etc" / "folder").mkdir(parents=True)
    wrong = [
        device.entry("folder"),
        {**device.entry("x"), "target": "relative"},
        {**device.entry("x"), "target": "/etc/../x"},
    ]
    with pytest.raises(tree.Refused) as refused:
        device.apply(*wrong)
    assert len(refused.value.reasons) == 3


def test_a_damaged_manifest_counts_as_none(device: Device) -> None:
    device.apply(device.entry("a", "1"))
    (device.manifests / "router.json").write_text('{"files": ')
    assert not device.apply(device.entry("a", "1"))["files"]


trees = st.dictionaries(
    st.sampled_from(["a", "b/c", "b/d", "e"]), st.tuples(st.binary(max_size=9), st.sampled_from(["0644", "0600"]))
)


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(trees, min_size=1, max_size=5))
def test_after_any_sequence_of_trees_the_device_holds_the_last(
    tmp_path_factory: pytest.TempPathFactory, steps: list[Any]
) -> None:
    device = Device(tmp_path_factory.mktemp("device"))
    for step in steps:
        entries = [device.entry(name, content, mode=mode) for name, (content, mode) in step.items()]
        told = device.apply(*entries, check=True)
        did = device.apply(*entries)
        assert (told["files"], told["removed"]) == (did["files"], did["removed"])
        assert device.files() == {name: (content, int(mode, 8)) for name, (content, mode) in step.items()}
        assert not device.apply(*entries)["files"]
