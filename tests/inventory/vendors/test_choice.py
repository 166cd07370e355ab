"""Which dialect and model a device has is plan data: the last row that fits counts, and what cannot be is said with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from ground.mistake import Mistakes
from ground.reach import Reach
from inventory import ansible
from inventory.models import VENDORS, models
from inventory.render import read_states, write
from tests.inventory.vendors import plans


def row(**keys: Any) -> dict[str, Any]:
    return {"role": "access", "dialect": "vrp", "model": "usg6525e", "reason": "test"} | keys


def test_the_last_row_that_fits_counts(tmp_path: Path) -> None:
    usual = {"dialect": "frr", "model": "debian12"}
    rows = [row(level="county"), row(region="640100", below=True), row(region="640104", **usual), row(kind="none")]
    found = plans.network(tmp_path, rows)
    dialects = {name: device.dialect for name, device in found.devices.items() if device.role == "access"}
    assert dialects["640121-r1"] == dialects["640121100-r1"] == "vrp"  # below Yinchuan
    assert (
        dialects["640104-r1"] == "frr" and dialects["640104001-r1"] == "vrp"
    )  # the row without `below` is for one region
    assert dialects["640323-r1"] == "vrp" and dialects["640323100-r1"] == "frr"  # a county elsewhere, its township not
    assert {d.dialect for d in found.devices.values() if d.role in ("router", "firewall")} == {"frr"}


def test_numbers_of_interfaces_stay_when_neighbours_come_and_go(tmp_path: Path) -> None:
    def numbers() -> dict[str, int]:
        device = plans.network(
            tmp_path, plans.VRP, scope=scope, twin={"running": []}, extra_hosts=[], change_limit=1.0
        ).devices["640000-r1"]
        return {item.name: number for item, number in zip(device.interfaces, device.numbers, strict=True)}

    ministry: list[dict[str, Any]] = [{"region": "000000"}, {"region": "640000"}]
    scope = [*ministry, {"region": "640300"}]
    before = numbers()
    scope = [*ministry, {"region": "640100"}, {"region": "640200"}, {"region": "640300"}]
    more = numbers()
    assert before.items() < more.items() and len(set(more.values())) == len(more)
    scope = [*ministry, {"region": "640300"}, {"region": "640400"}]
    after = numbers()
    assert before.items() < after.items()
    assert after["w-640400-1"] not in more.values()  # what was granted is given to nobody else


@pytest.mark.parametrize(
    ("rows", "lab", "said"),
    [
        ([row(dialect="junos", model="mx")], False, [("JB2120", "access")]),
        ([row(model="ne9000"), row(model="usg6525e")], False, [("JB2121", "access")]),
        ([row(role="router", level="prefecture")], False, [("JB2122", "640100-r1"), ("JB2122", "640300-r1")]),
        ([row(region="640121")], True, [("JB2123", "640121-r1")]),
        ([row(region="640122")], True, []),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_its_place(
    rows: list[dict[str, Any]], lab: bool, said: list[tuple[str, str]], tmp_path: Path
) -> None:
    found = plans.network(tmp_path, rows)
    if not said:
        assert write(tmp_path / "build", found, lab=lab, devices=["640122-r1"]).devices == 1
        return
    with pytest.raises(Mistakes) as caught:
        write(tmp_path / "build", found, lab=lab)
    assert [(mistake.code, mistake.object) for mistake in caught.value.found] == said
    lines = (tmp_path / "plan" / "plan.yml").read_text("utf-8").splitlines()
    assert all(mistake.file.endswith("plan.yml") and mistake.line for mistake in caught.value.found)
    assert all("role:" in lines[(mistake.line or 0) - 1] for mistake in caught.value.found)
    assert [path.name for path in (tmp_path / "build").iterdir()] == [".lock"]


def test_more_zones_than_a_model_has_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = plans.network(tmp_path, [row(region="640122")])
    narrow = msgspec.structs.replace(models("vrp")["usg6525e"], highest=12)
    monkeypatch.setattr("inventory.models.models", lambda dialect: {"usg6525e": narrow})
    with pytest.raises(Mistakes) as caught:
        write(tmp_path / "build", found, lab=False)
    assert [(mistake.code, mistake.object) for mistake in caught.value.found] == [("JB2124", "640122-r1")]


def test_ansible_is_told_nothing_of_vendors_devices(tmp_path: Path) -> None:
    found = plans.network(tmp_path, [row(region="640122")])
    write(tmp_path / "build", found, lab=False, devices=["640122-r1", "640123-r1"])
    reaches = {name: Reach(address="192.0.2.1", host_key="ssh-ed25519 AAAA") for name in found.devices}
    listed = ansible.inventory(read_states(tmp_path / "build"), reaches, tmp_path, tmp_path / "build", tmp_path)
    assert set(found.devices) - set(listed["_meta"]["hostvars"]) == {"640122-r1"}


@pytest.mark.parametrize("vendor", VENDORS)
def test_no_two_interfaces_of_a_model_share_a_port_unless_they_have_numbers(vendor: str) -> None:
    for model in models(vendor).values():
        # Cables by who is at their other end; a port may be one thing at a router and another at a firewall.
        routers, firewalls = ([p for far, p in model.inside.items() if far.startswith(to)] for to in ("r", "fw"))
        for role in model.roles:
            cables = {"router": [*routers, *firewalls], "firewall": [*routers, *filter(None, [model.pair])]}.get(
                role, []
            )
            alone = [*filter(None, [model.management]), *cables, *model.sockets()]
            shared = {"router": {*model.wan.values()}, "firewall": {model.zone}}.get(
                role, {*model.wan.values(), model.zone} - {""}
            )
            assert len(set(alone)) == len(alone) and not shared & set(alone), (model.title, role)
        assert ("firewall" in model.roles) == bool(model.pair)
        assert model.source and set(model.roles) <= {"router", "firewall", "access", "switch"}
        assert bool(model.sockets()) == ("switch" in model.roles) == bool(model.aggregate and model.inner)
