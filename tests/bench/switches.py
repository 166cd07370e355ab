"""The works of rows.py that are about switches, each one call of `python -m tests.bench.switches <name> <words>`; prints
`{"units": …}` last."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ip_plan.network import Network

MODELS = {"vrp": "s5735-l48t4x-a", "comware": "s5560x-54c-ei", "iosxe": "c9300-48t"}
"""Vendor → his switch."""


def plan(folder: str, dialect: str, province: str) -> int:
    """Write the plan of one province and the ministry, with two switches at each centre and one at each office; switched kinds."""
    import yaml

    from ip_plan.folder import folder_of

    row = {"role": "switch", "dialect": dialect, "model": MODELS[dialect], "reason": "bench"}
    scope = [{"region": "000000"}, {"region": province, "below": True}]
    written = {
        "name": "switched", "title": "小样", "scope_text": "31个省、自治区、直辖市和新疆生产建设兵团", "base": "national",
        "divisions": "divisions", "corps_cities": "corps", "scope": scope, "devices": [row],
    }  # fmt: skip
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    (place / "plan.yml").write_text(yaml.safe_dump(written, allow_unicode=True, sort_keys=False), "utf-8")
    sites = yaml.safe_load((folder_of("national")[0] / "sites.yml").read_text("utf-8"))
    for kind in sites["sites"]:
        kind["switches"] = 2 if kind["kind"] == "centre" else 1
    (place / "sites.yml").write_text(yaml.safe_dump(sites, allow_unicode=True, sort_keys=False), "utf-8")
    return len(sites["sites"])


def render(state: str, build: str) -> int:
    """Render every switch of the compiled plan into `build`; switches."""
    from inventory import render as renderer

    network = _network(state)
    return renderer.write(Path(build), network, devices=_names(network), lab=False).devices


def prove(state: str) -> int:
    """Read back every switch in `state`/build, and hold it against the plan; switches."""
    from inventory import proof

    network = _network(state)
    found = proof.prove(network, Path(state, "build"), _names(network))
    if not found.good:
        sys.exit(f"the proof found {[*found.mistakes, *found.findings][:3]}")
    return found.devices


def drift(state: str, dialect: str) -> int:
    """Beside what is rendered of the centres' switches in `state`/build what they run after changes by hand; lines.

    A trunk lost a VLAN, a host's port is in another zone, a zone has another name.
    """
    from tests.bench.work import dialect_of

    target = dialect_of(dialect).target[1:]
    pairs = []
    for path in sorted(Path(state, "build").glob("*/files/" + target)):
        rendered = path.read_text()
        if path.relative_to(Path(state, "build")).parts[0].endswith("-sw2"):
            pairs.append([dialect, _edited(rendered), rendered])
    Path(state, "pairs.json").write_text(json.dumps(pairs))
    return sum(after.count("\n") for _, _, after in pairs)


def _edited(rendered: str) -> str:
    running = rendered
    for what, instead in (
        (r"(?m)^( port trunk \S+ vlan \d+.*) \d+$|^( switchport trunk allowed vlan .*),\d+$", r"\1\2"),
        (r"(?m)^( (?:port (?:default|access)|switchport access) vlan )(?!999|140)\d+$", r"\g<1>140"),
        (r"(?m)^ name (?!management|parking)\S+$", " name works"),
    ):
        changed = re.sub(what, instead, running, count=1)
        if changed == running:
            sys.exit(f"nothing fits {what}")
        running = changed
    return running


def remedy(state: str, dialect: str) -> int:
    """The commands from what each switch runs to what was rendered, shown on the simulated device there and back; lines."""
    from inventory import acceptance
    from tests.bench.work import dialect_of

    known, lines = dialect_of(dialect), 0
    for _, running, rendered in json.loads(Path(state, "pairs.json").read_text()):
        found = acceptance.remedy(known, "switch", running, rendered, "running")
        if not found.commands or found.mistakes:
            sys.exit(f"no commands: {found.mistakes[:3]}")
        lines += rendered.count("\n")
    return lines


def _network(state: str) -> Network:
    from ip_plan.network import load

    (stored,) = Path(state, "plans").glob("*/network")
    return load(stored)


def _names(network: Network) -> list[str]:
    return [device.name for shard in network.shards for device in shard.devices if device.role == "switch"]


WORKS: dict[str, Callable[..., int]] = {
    "plan": plan,
    "render": render,
    "prove": prove,
    "drift": drift,
    "remedy": remedy,
}

if __name__ == "__main__":
    print(json.dumps({"units": WORKS[sys.argv[1]](*sys.argv[2:])}))
