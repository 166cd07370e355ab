"""What one file of a vendor's device says: its routes, and what it lets through."""

from __future__ import annotations

import msgspec

from inventory.proof import frr, nftables


class Reading(msgspec.Struct, frozen=True):
    """What one configuration says."""

    routing: frr.Config
    filter: nftables.Ruleset
