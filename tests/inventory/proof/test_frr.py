"""The reader of frr.conf takes the same from a file as from the running configuration that FRR makes of it."""

from pathlib import Path
from typing import Any

import pytest

from ground.mistake import Mistakes
from inventory.proof import frr, interval
from tests.inventory.conftest import Run

HERE = Path(__file__).parent
CASES = sorted((HERE / "frr").glob("*.conf"))

# Runs in the image of the nodes; a process namespace of its own ends every daemon with the script.
RUN = r"""
mkdir -p /run/frr && mount -t tmpfs tmpfs /etc/frr && mount -t tmpfs tmpfs /run/frr && mount -t tmpfs tmpfs /var/log || exit 3
cp "$1" /etc/frr/frr.conf; : > /etc/frr/vtysh.conf; chown -R frr:frr /etc/frr /run/frr
ip link set lo up
number=0
for name in $(sed -n 's/^interface //p' "$1" | grep -v '^lo$'); do
  number=$((number + 1)); ip link add "$name" type veth peer name "peer$number" && ip link set "$name" up
done
for daemon in zebra staticd ospfd ospf6d bfdd bgpd; do /usr/lib/frr/$daemon -d --log stdout >/dev/null 2>&1 || exit 4; done
vtysh -b >/dev/null 2>&1
vtysh -c 'show running-config'
"""


def running(target: Run, source: Path, folder: Path) -> str:
    """The configuration that FRR runs after it was given a file."""
    (folder / "run.sh").write_text(RUN)
    (folder / "frr.conf").write_bytes(source.read_bytes())
    done = target("unshare -p --fork --mount-proc --kill-child bash /build/run.sh /build/frr.conf", folder)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout[done.stdout.index("Current configuration:") + 22 :]


def words(settings: Any) -> frozenset[tuple[str, ...]]:
    return frozenset(setting.words for setting in settings)


def meaning(config: frr.Config) -> dict[str, Any]:
    """All that decides routes, without lines and order."""
    bgp = config.bgp
    found: dict[str, Any] = {
        "lists": {k: [(e.seq, e.permit, e.base, e.length, e.low, e.high) for e in v.entries] for k, v in config.prefix_lists.items()},
        "maps": {k: [(s.seq, s.permit, words(s.matches), words(s.sets)) for s in v] for k, v in config.route_maps.items()},
        "statics": {(s.prefix, s.target, s.distance) for s in config.statics},
        "communities": {name: [entry.words for entry in entries] for name, entries in config.communities.items()},
        "profiles": {name: words(settings) for name, settings in config.bfd_profiles.items()},
        "peers": words(config.bfd_peers),
        "interfaces": {
            name: frozenset(s.words for s in i.settings if s.words[-1] != "passive") for name, i in config.interfaces.items()
        },
    }  # fmt: skip
    passive = {(family, name) for family, p in config.ospf.items() for name in p.passive}
    passive |= {
        (4 if s.words[0] == "ip" else 6, i.name)
        for i in config.interfaces.values()
        for s in i.settings
        if s.words[-1] == "passive"
    }
    found["passive"] = passive
    found["ospf"] = {
        family: (
            p.router_id,
            p.networks,
            {(o.what, o.policy) for o in p.redistributes},
            p.default_originate and p.default_originate[0],
        )
        for family, p in config.ospf.items()
    }
    if bgp:
        found["bgp"] = (bgp.asn, bgp.router_id, bgp.requires_policy, bgp.import_check, words(bgp.settings))
        found["origins"] = {(o.family, o.what, o.policy) for o in (*bgp.networks, *bgp.redistributes)}
        found["aggregates"] = {(a.family, a.prefix, a.summary_only) for a in bgp.aggregates}
        found["neighbours"] = {
            n.address: (n.remote_as, n.families, words(n.settings.values()),
                        {key: value.words[2:] for key, value in (n.policies | n.filters | n.options).items()})
            for n in bgp.neighbours.values()
        }  # fmt: skip
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_agrees_with_frr(target: Run, case: Path, tmp_path: Path) -> None:
    mine = meaning(frr.read(case.read_text(), str(case)))
    theirs = meaning(frr.read(running(target, case, tmp_path), "running"))
    assert mine.keys() == theirs.keys()
    for part, value in mine.items():
        assert value == theirs[part], part


REFUSED = [
    "route-map x permit 10\n on-match next",
    "route-map x permit 10\n match as-path 5",
    "router bgp 1\n neighbor 10.0.0.1 activate",
    "router bgp 1\n neighbor 10.0.0.1 remote-as 2\n neighbor 10.0.0.1 allowas-in",
    "router bgp 1\n address-family l2vpn evpn",
    "ip prefix-list x seq 5 permit 10.0.0.0/8 le 4",
    "ip prefix-list x seq 5 permit 3fff::/20",
    "ip route 10.0.0.300/32 blackhole",
    "router rip",
    "interface x\n ip policy nothing",
]


@pytest.mark.parametrize("source", REFUSED)
def test_refuses(source: str) -> None:
    with pytest.raises(Mistakes) as caught:
        frr.read(source, "x.conf")
    assert [(m.code, m.line) for m in caught.value.found] == [("JB2401", len(source.splitlines()))]


def test_prefix_list() -> None:
    listed = frr.read(CASES[0].read_text()).prefix_lists[4, "down"]
    for text, verdict in [
        ("10.64.0.0/14", True), ("10.64.0.0/15", False), ("10.64.0.0/20", True), ("10.64.9.0/24", False), ("10.64.8.0/24", True),
        ("10.64.8.0/25", False), ("10.68.0.0/20", False), ("10.0.0.0/8", False),
    ]:  # fmt: skip
        _, base, length = interval.prefix(text)
        assert listed.decide(base, length)[0] is verdict, text
