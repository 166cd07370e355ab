"""The build folder: only what changed is touched, every file is whole at any moment, and what is gone is removed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import msgspec
import pytest

from ground import files, tree
from ground.mistake import Mistakes
from inventory import render
from inventory.dns import Serials
from inventory.intent import Intent
from ip_plan.network import Network, load, store
from tests.inventory import sample


def stamps(build: Path) -> dict[str, int]:
    """Path → time of its last change, without the lock."""
    return {str(path): path.stat().st_mtime_ns for path in build.rglob("*") if path.is_file() and path.name != ".lock"}


def without(network: Network, site: str) -> Network:
    shards = tuple(
        msgspec.structs.replace(
            shard,
            sites=tuple(s for s in shard.sites if s.key != site),
            devices=tuple(d for d in shard.devices if d.site != site),
        )
        for shard in network.shards
    )
    return msgspec.structs.replace(network, shards=shards)


def renamed(network: Network) -> Network:
    """The same network with another name for one host."""
    shards = tuple(
        msgspec.structs.replace(
            shard,
            devices=tuple(
                msgspec.structs.replace(d, fqdn="counter.yongning.yinchuan.nx.jinbao.internal")
                if d.name == "640121-accs1"
                else d
                for d in shard.devices
            ),
        )
        for shard in network.shards
    )
    return msgspec.structs.replace(network, shards=shards)


def test_a_second_run_touches_nothing(tmp_path: Path) -> None:
    whole = sample.network()
    first = render.write(tmp_path, whole, lab=True)
    assert len(first.changed) == first.devices == len(whole.devices)
    before = stamps(tmp_path)
    second = render.write(tmp_path, whole, lab=True)
    assert (second.changed, second.removed, second.files) == ((), (), first.files)
    assert stamps(tmp_path) == before


def test_what_was_rendered_from_the_same_is_rendered_again_by_name_or_when_it_is_gone(tmp_path: Path) -> None:
    whole = sample.network()
    stored, build = tmp_path / "network", tmp_path / "build"
    store(stored, whole)
    parts = load(stored, ())
    first = render.write(build, parts, lab=False, stored=stored)
    assert len(first.changed) == first.devices == len(whole.devices)
    path = build / "640100-r1" / "files" / "etc" / "frr" / "frr.conf"
    good = path.read_bytes()
    path.write_text("by hand")
    again = render.write(build, parts, lab=False, stored=stored)
    assert (again.changed, again.devices, again.files) == ((), first.devices, first.files)
    assert path.read_text() == "by hand"
    assert render.write(build, parts, provinces=["64"], lab=False, stored=stored).changed == ("640100-r1",)
    assert path.read_bytes() == good
    shutil.rmtree(build / "640100-r1")
    assert render.write(build, parts, lab=False, stored=stored).changed == ("640100-r1",)
    assert path.read_bytes() == good
    listed = render.read_states(build)["64"].devices
    (build / render.STATES / "64.json").unlink()
    assert render.write(build, parts, lab=False, stored=stored).removed == ()
    assert render.read_states(build)["64"].devices == listed


def test_a_device_rendered_by_itself_is_known_as_what_it_is_then(tmp_path: Path) -> None:
    whole = sample.network()
    device = "640100-exch1"
    render.write(tmp_path, whole, lab=False)
    render.write(tmp_path, renamed(whole), devices=[device], lab=False)
    assert device in render.write(tmp_path, whole, lab=False).changed


def test_only_devices_whose_intent_changed_are_rendered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = sample.network()
    render.write(tmp_path, whole, lab=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    rendered: list[str] = []
    real = render.of

    def seen(intended: Intent, serials: Serials, *, lab: bool) -> render.Rendered:
        rendered.append(intended.device.name)
        return real(intended, serials, lab=lab)

    monkeypatch.setattr(render, "of", seen)
    changed = render.write(tmp_path, renamed(whole), lab=False).changed
    assert set(changed) == {"640100-exch1", "640000-exch1"} <= set(rendered)
    assert set(rendered) == {*changed, "640121-accs1"}


def test_what_is_written_is_what_was_rendered(tmp_path: Path) -> None:
    whole = sample.network()
    render.write(tmp_path, whole, lab=False)
    for rendered in render.render(whole, lab=False):
        folder = tmp_path / rendered.tree.device
        assert tree.read(folder) == rendered.tree
        for entry in rendered.tree.entries:
            assert tree.content(folder, entry) == rendered.contents[entry.source]
            assert files.sha256(tree.content(folder, entry)) == entry.sha256


def test_a_name_changes_its_zones_and_their_serials_only(tmp_path: Path) -> None:
    whole = sample.network()
    render.write(tmp_path, whole, lab=False)
    changed = render.write(tmp_path, renamed(whole), lab=False).changed
    assert set(changed) == {"640100-exch1", "640000-exch1"}
    serials = render.read_states(tmp_path)["64"].serials
    grown = {zone for zone, (_, serial) in serials.items() if serial == 2}
    assert grown == {"yinchuan.nx.jinbao.internal", "65.10.in-addr.arpa", "1.0.1.0.0.f.f.f.3.ip6.arpa"}
    text = (tmp_path / "640100-exch1/files/etc/bind/zones/yinchuan.nx.jinbao.internal.zone").read_text()
    assert " hostmaster.jinbao.internal. 2 " in text
    assert render.write(tmp_path, renamed(whole), lab=False).changed == ()
    render.write(tmp_path, whole, lab=False)
    assert render.read_states(tmp_path)["64"].serials["yinchuan.nx.jinbao.internal"][1] == 3


def test_devices_that_are_gone_are_removed_and_other_folders_stay(tmp_path: Path) -> None:
    whole = sample.network()
    render.write(tmp_path, whole, lab=False)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("keep")
    written = render.write(tmp_path, without(whole, "640121100:office1"), lab=False)
    assert written.removed == ("640121100-accs1", "640121100-r1")
    assert not (tmp_path / "640121100-r1").exists()
    assert (tmp_path / "notes" / "mine.txt").read_text() == "keep"


def test_a_province_or_a_device_alone_leaves_the_rest_as_it_is(tmp_path: Path) -> None:
    whole = sample.network()
    render.write(tmp_path, whole, lab=False)
    before = stamps(tmp_path)
    written = render.write(tmp_path, renamed(whole), devices=["640100-exch1"], lab=False)
    assert (written.devices, written.changed, written.removed) == (1, ("640100-exch1",), ())
    written = render.write(tmp_path, sample.only(whole, "00"), provinces=["00"], lab=False)
    assert (written.changed, written.removed) == ((), ())
    after = stamps(tmp_path)
    touched = {path for path in after if after[path] != before.get(path)}
    assert all("/640100-exch1/" in path or "/.rendered/64.json" in path or path.endswith(".keys") for path in touched)


class Killed(BaseException):
    """Stands for a signal that ends the process where it is."""


@pytest.mark.parametrize("after", [0, 1, 7, 40, 100])
def test_a_run_cut_short_leaves_whole_files_and_the_next_one_completes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    whole = sample.network()
    first, second = tmp_path / "cut", tmp_path / "straight"
    for build in (first, second):
        render.write(build, whole, lab=False)
    count = 0
    real = files.write

    def cut(path: Path, content: bytes | str, mode: int = 0o644, *, durable: bool = True) -> bool:
        nonlocal count
        wrote = real(path, content, mode, durable=durable)
        count += wrote
        if count > after:
            raise Killed
        return wrote

    monkeypatch.setattr(files, "write", cut)
    with pytest.raises(Killed):
        render.write(first, renamed(whole), lab=True)
    monkeypatch.undo()
    for build in (first, second):
        render.write(build, renamed(whole), lab=True)
    contents = [
        {str(path.relative_to(build)): path.read_bytes() for path in build.rglob("*") if path.is_file()}
        for build in (first, second)
    ]
    assert contents[0] == contents[1]


def test_what_the_plan_does_not_have_is_refused_all_at_once() -> None:
    with pytest.raises(Mistakes) as caught:
        render.require(sample.network(), ["64", "65"], ["640100-r1", "640100-r9"])
    assert [(m.code, m.object) for m in caught.value.found] == [("JB2001", "640100-r9"), ("JB2001", "65")]
