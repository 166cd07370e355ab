"""keepalived 2.2: the virtual gateways of a pair of firewalls.

The zone's prefix stands at the virtual address alone; a firewall's own addresses are single ones. So OSPF carries a zone from the
firewall that is active, and from no other, whatever made it so.
"""

from __future__ import annotations

from inventory.dialects.template import fill
from inventory.file import File
from inventory.intent import Intent
from inventory.pairing import ADVERTISEMENT_MS, GROUP, LOST


def files(intent: Intent) -> list[File]:
    """keepalived.conf of a firewall in a pair."""
    if intent.pair is None:
        return []
    conf = fill(
        "keepalived/keepalived.conf.j2",
        name=intent.device.name,
        pair=intent.pair,
        group=GROUP,
        lost=LOST,
        advertisement=f"{ADVERTISEMENT_MS / 1000:g}",
    )
    return [
        File(
            "/etc/keepalived/keepalived.conf",
            conf,
            "pair",
            validator="keepalived --config-test --use-file %s",
            unit="keepalived.service",
        )
    ]
