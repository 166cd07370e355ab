"""What one file of a vendor's device says: its routes, what it lets through, and what it switches."""

from __future__ import annotations

import msgspec

from inventory.proof import filters, frr, sharing
from inventory.proof.sockets import Switch


class Reading(msgspec.Struct, frozen=True):
    """What one configuration says."""

    routing: frr.Config
    filter: filters.Ruleset
    switching: Switch | None = None
    """Of a text with VLANs."""
    pair: sharing.Config | None = None
    """Of a text with virtual addresses or a heartbeat."""
