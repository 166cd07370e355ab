"""A third city beside the two of the pilot, as an engineer adds it: two words in the plan, and nothing of the other cities changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from ground import tree
from inventory import render
from ip_plan import plan as plans
from ip_plan.compile import compile_plan
from ip_plan.network import Network, load
from stacks import program

CITY, PROVINCE = "640200", "640000"
SCOPE = '  - {region: "640300", below: true}\n'
RUNNING = 'running: ["000000", "640000", "640100", "640300",'
EDIT = {SCOPE: SCOPE + f'  - {{region: "{CITY}"}}\n', RUNNING: f'{RUNNING} "{CITY}",'}
"""In plan.yml: words that stand there once → what stands there with the city."""

AT_THE_PROVINCE = {
    # A line to each router: its addresses, its session, what comes and goes over it, and the filter of its control plane.
    **{
        f"{PROVINCE}-{router}": {
            "/etc/frr/frr.conf",
            "/etc/nftables.conf",
            f"/etc/systemd/network/10-w-{CITY}-1.network",
        }
        for router in ("r1", "r2")
    },
    # Who may come through: the sets of the zones below.
    f"{PROVINCE}-fw1": {"/etc/nftables.conf"},
    # The city's zones are delegated, and its name server may fetch; its rows are subscribed to, and its
    # exchange host is let in to fetch the cases for its regions.
    f"{PROVINCE}-exch1": {
        "/etc/bind/named.conf",
        "/etc/bind/zones/nx.jinbao.internal.zone",
        "/etc/bind/zones/0.10.in-addr.arpa.zone",
        "/etc/bind/zones/0.0.0.f.f.f.3.ip6.arpa.zone",
        "/etc/postgresql/15/main/conf.d/jinbao.conf",
        "/etc/postgresql/15/main/databases.sql",
        "/etc/postgresql/15/main/flows.sql",
        "/etc/postgresql/15/main/pg_hba.conf",
        "/etc/postgresql/15/main/pg_ident.conf",
    },
    f"{PROVINCE}-mgmt1": {"/etc/prometheus/prometheus.yml"},
}
"""Device → the files that change: all that does outside of the city."""


def edited(text: str) -> str:
    """plan.yml of the pilot with the third city."""
    for old, new in EDIT.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def hashes(build: Path) -> dict[str, dict[str, tuple[str, ...]]]:
    """Device → target → hash, owner, mode and unit of every file that is rendered for it."""
    return {
        path.parent.name: {
            entry.target: (entry.sha256, entry.owner, entry.mode, entry.unit)
            for entry in tree.read(path.parent).entries
        }
        for path in build.glob("*/tree.json")
    }


Grown = tuple[Network, Network, dict[str, dict[str, tuple[str, ...]]], dict[str, dict[str, tuple[str, ...]]]]


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Grown:
    """The Network and the hashes of the files, without the city and with it: one ledger, one build folder."""
    folder = tmp_path_factory.mktemp("third")
    plan = folder / "plan"
    plan.mkdir()
    for name, document in plans.load("pilot").documents.items():
        (plan / name).write_bytes(Path(document.file).read_bytes())
    seen: list[tuple[Network, dict[str, dict[str, tuple[str, ...]]]]] = []
    for change in (str, edited):
        (plan / "plan.yml").write_text(change((plan / "plan.yml").read_text("utf-8")), "utf-8")
        network = load(compile_plan(str(plan), folder / "state").network)
        render.write(folder / "build", network, lab=True)
        seen.append((network, hashes(folder / "build")))
    return seen[0][0], seen[1][0], seen[0][1], seen[1][1]


def test_no_file_of_another_city_changes(grown: Grown) -> None:
    _, after, old, new = grown
    assert {name for name in new if name not in old} == set(after.sites[f"{CITY}:centre1"].devices)
    changed = {
        name: {target for target in files.keys() | new[name].keys() if files.get(target) != new[name].get(target)}
        for name, files in old.items()
        if files != new[name]
    }
    assert changed == AT_THE_PROVINCE


def test_no_address_or_name_of_another_region_moves(grown: Grown) -> None:
    before, after, _, _ = grown
    assert {key: site for key, site in after.sites.items() if key in before.sites} == before.sites
    hosts = {name: device for name, device in before.devices.items() if device.role not in ("router", "firewall")}
    assert {name: after.devices[name] for name in hosts} == hosts


def test_no_stack_but_the_provinces_changes(grown: Grown) -> None:
    """A stack that is declared as before has nothing to preview."""
    before, after = ({stack.name: stack for stack in program.stacks(network)} for network in grown[:2])
    assert after.keys() - before.keys() == {f"{CITY}-centre1"}
    changed = {name for name, stack in before.items() if after[name] != stack}
    assert changed == {f"{PROVINCE}-centre1", "wan-64"}
    # Of the province's centre its two routers, which have one more line each.
    hosts = (
        {host.name: host for host in stack.hosts}
        for stack in (before[f"{PROVINCE}-centre1"], after[f"{PROVINCE}-centre1"])
    )
    old, new = hosts
    assert {name for name in old if old[name] != new[name]} == {f"{PROVINCE}-r1", f"{PROVINCE}-r2"}
