"""A small lab whose devices are changed by hand: a city's router and firewall, and two offices behind the router."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from ground import reach, remote, tree
from ground.remote import Session
from inventory import render
from inventory.dialects.frr.running import DIALECT as FRR
from inventory.dialects.nftables.running import DIALECT as NFTABLES
from inventory.diff import differences
from ip_plan.compile import compiled
from stacks.twin import build as builds
from stacks.twin import lab as labs
from stacks.twin.topology import Lab, Segment

ROOT = Path(__file__).resolve().parents[2]
NAME = "drift"
ROUTER, FIREWALL, COUNTY, TOWNSHIP = "640100-r1", "640100-fw1", "640121-r1", "640121100-r1"
DEVICES = (ROUTER, FIREWALL, COUNTY, TOWNSHIP)
AT = f"twin:{NAME}"


class Drift(msgspec.Struct, frozen=True):
    """A city's router and firewall with two offices behind the router, as rendered from the pilot."""

    state: Path
    session: Session

    def jinbao(self, *words: str, at: bool = True) -> subprocess.CompletedProcess[str]:
        """A command of the program; `at`: one that works on a target."""
        where = ["--at", AT, "--state", str(self.state)] if at else []
        line = [sys.executable, "-m", "jinbao", *words, *where]
        return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, env=os.environ)

    def says(self, device: str, program: str, given: bytes = b"") -> str:
        answer = remote.run(self.session, device, program, given=given, seconds=60)
        assert answer.code == 0, answer
        return answer.out

    def types(self, device: str, *lines: str) -> None:
        """Configuration typed in by hand."""
        self.says(device, "vtysh " + " ".join(f"-c '{line}'" for line in ("configure terminal", *lines)))

    def rendered(self, device: str, target: str) -> str:
        build = tree.place(self.state, AT, "pilot")
        return (build / device / "files" / target.lstrip("/")).read_text()

    def right(self, device: str) -> bool:
        """Whether the device runs what is rendered for it, both dialects."""
        for dialect in (FRR, NFTABLES):
            running = dialect.read(self.says(device, dialect.show))
            if differences(running, dialect.read(self.rendered(device, dialect.target)), dialect.known):
                return False
        return True


@contextmanager
def brought_up(state: Path) -> Iterator[Drift]:
    """The lab, up and as rendered, while the block runs."""
    network = compiled("pilot", state)
    build = tree.place(state, AT, "pilot")
    render.write(build, network, provinces=["64"], lab=True)
    whole = builds.lab(network, NAME)
    shape = Lab(
        NAME,
        tuple(node for node in whole.nodes if node.name in DEVICES),
        tuple(link for link in whole.links if {link.a.node, link.b.node} <= set(DEVICES)),
        tuple(
            Segment(segment.id, ports)
            for segment in whole.segments
            if (ports := tuple(port for port in segment.ports if port.node in DEVICES))
        ),
    )
    labs.down(NAME)
    labs.up(shape, state / "twin", {name: build / name for name in DEVICES})
    session = remote.session(reach.of(state, AT))
    try:
        yield Drift(state, session)
    finally:
        remote.close(session)
        labs.down(NAME)


def changed_by_hand(drift: Drift) -> None:
    """A neighbour less, an entry more, a map that denies, a timer; a rule more, and a verdict that is another one."""
    text = drift.rendered(ROUTER, FRR.target)
    asn = re.findall(r"^router bgp (\d+)", text, re.MULTILINE)[0]
    # Not one of those through which the offices are reached.
    peer = next(line.split()[1] for line in text.splitlines() if line.endswith("description 640000-r1"))
    drift.types(ROUTER, f"router bgp {asn}", f"no neighbor {peer}")
    group = ("neighbor HAND peer-group", "neighbor HAND remote-as 65000", "neighbor 10.255.255.1 peer-group HAND")
    drift.types(ROUTER, f"router bgp {asn}", *group)
    drift.types(ROUTER, "ip prefix-list TO-640000-r2 seq 99 permit 0.0.0.0/0 le 32")
    drift.types(ROUTER, "route-map OUT-640000-r2 deny 40", "set metric 7")
    drift.types(ROUTER, "bfd", "profile LINE", "detect-multiplier 9")
    drift.types(FIREWALL, "interface i-r1", "ip ospf cost 77")
    drift.says(FIREWALL, 'nft insert rule inet zone forward iifname "i-r1" accept')
    handle = drift.says(FIREWALL, "nft -a list chain inet zone forward | grep -m1 'ct state invalid'").split()[-1]
    drift.says(FIREWALL, f"nft replace rule inet zone forward handle {handle} ct state invalid counter accept")
