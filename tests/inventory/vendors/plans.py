"""The pilot with vendors' devices: a plan folder of its own, compiled, rendered and proved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from inventory.proof import Proof, prove
from inventory.render import write
from ip_plan.compile import compiled
from ip_plan.folder import folder_of
from ip_plan.network import Network


def rows(dialect: str, routing: str, office: str) -> list[dict[str, Any]]:
    """Every device that routes in one dialect: the models of routers and firewalls, and of offices."""
    models = {"router": routing, "firewall": routing, "access": office}
    return [{"role": role, "dialect": dialect, "model": model, "reason": "test"} for role, model in models.items()]


ROWS = {
    "vrp": rows("vrp", "usg6655e", "usg6525e"),
    "comware": rows("comware", "f5000-ai-20", "f1000-ai-35"),
    "iosxe": rows("iosxe", "c8300-1n1s-6t", "c8300-1n1s-6t"),
}
"""Vendor → the rows of `devices:` that make a whole plan his."""
VRP = ROWS["vrp"]
SWITCHES = {"vrp": "s5735-l48t4x-a", "comware": "s5560x-54c-ei", "iosxe": "c9300-48t"}
"""Vendor → his switch."""


def switch(dialect: str) -> dict[str, Any]:
    """The row that makes every switch one of a vendor."""
    return {"role": "switch", "dialect": dialect, "model": SWITCHES[dialect], "reason": "test"}


def folder(
    place: Path, devices: list[dict[str, Any]], switches: int = 0, firewalls: int = 1, **changes: Any
) -> Path:  # fmt: skip
    """The pilot's plan with these rows of `devices:` in `place`; keys of plan.yml may be changed too.

    `switches`: of each centre; an office has one where they have any. `firewalls`: of each centre.
    """
    written = yaml.safe_load((folder_of("pilot")[0] / "plan.yml").read_text("utf-8"))
    place.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump({**written, "devices": devices, **changes}, allow_unicode=True, sort_keys=False)
    (place / "plan.yml").write_text(text, "utf-8")
    if switches or firewalls > 1:
        sites = yaml.safe_load((folder_of("national")[0] / "sites.yml").read_text("utf-8"))
        for kind in sites["sites"]:
            if switches:
                kind["switches"] = switches if kind["kind"] == "centre" else 1
            if kind["kind"] == "centre":
                kind["firewalls"] = firewalls
        (place / "sites.yml").write_text(yaml.safe_dump(sites, allow_unicode=True, sort_keys=False), "utf-8")
    return place


def network(place: Path, devices: list[dict[str, Any]], switches: int = 0, **changes: Any) -> Network:
    """The compiled Network of such a plan."""
    return compiled(str(folder(place / "plan", devices, switches, **changes)), place / "state")


def proved(place: Path, devices: list[dict[str, Any]], switches: int = 0, **changes: Any) -> tuple[Network, Proof]:
    """Such a plan rendered for production, all of it read back and proved."""
    found = network(place, devices, switches, **changes)
    write(place / "build", found, lab=False)
    return found, prove(found, place / "build")
