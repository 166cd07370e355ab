"""The counters of a real router, flow by flow, and what starts them anew."""

from __future__ import annotations

from ground import remote
from inventory.dialects.nftables.running import DIALECT as NFTABLES
from monitoring.checks import rules
from tests.playbooks.drift import FIREWALL, ROUTER, Drift


def counted(drift: Drift, device: str) -> rules.Counted:
    found = rules.read(remote.run(drift.session, device, rules.PROGRAM))
    assert found.why == ""
    return found


def test_counters_of_a_real_router_and_their_beginning(drift: Drift) -> None:
    comments = drift.rendered(ROUTER, NFTABLES.target)
    first = counted(drift, ROUTER)
    # The sessions with the offices live.
    assert first.packets["ROUTING-LEVEL"] > 0
    assert set(first.packets) == {flow for flow in first.packets if f'comment "{flow}"' in comments}
    again = counted(drift, ROUTER)
    assert again.beginning == first.beginning and again.packets["ROUTING-LEVEL"] >= first.packets["ROUTING-LEVEL"]
    drift.says(ROUTER, f"nft -f {NFTABLES.target}")
    after = counted(drift, ROUTER)
    assert after.beginning != first.beginning
    # The other device's counters are others.
    assert counted(drift, FIREWALL).beginning not in (first.beginning, after.beginning)
