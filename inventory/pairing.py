"""Two firewalls that share the gateways of a site's zones: one is active, the other stands by (VRRPv3, RFC 9568).

The gateway of a zone is the pair's virtual address, which only the active one has. All zones of a site change over together.
"""

from __future__ import annotations

import msgspec

from ip_plan import addressing
from ip_plan.network import Device, Network

GROUP = 1
"""VRID of every zone: it tells virtual routers of one LAN apart (RFC 9568 5.2.3), and each zone is a LAN of its own."""
PRIORITIES = (200, 100)
"""Of the first and of the second firewall; 255 is the owner's and 0 says goodbye (RFC 9568 5.2.4)."""
LOST = 150
"""By so much it falls while nothing is learned from the routers: below the other's, unless that one learns nothing either."""
ADVERTISEMENT_MS = 1000
"""RFC 9568 6.1: 100 centiseconds unless set. The other takes over after three of them and its skew time."""
GROUPS = {4: "224.0.0.18", 6: "ff02::12"}
"""Where advertisements go to (RFC 9568 5.1.1.2, 5.1.2.2)."""
HEARTBEAT = "heartbeat"
"""Logical name of a vendor's interface to the other firewall, over a cable that carries nothing else."""
BEATS = ("169.254.254.1", "169.254.254.2")
"""Its addresses at the first and at the second firewall, the same in every pair: nobody forwards them (RFC 3927 7). Sample data."""
BEAT_LENGTH = 30
SILENT = ("iosxe",)
"""Dialects whose pairs agree over the heartbeat alone, without VRRP."""


class Share(msgspec.Struct, frozen=True):
    """One zone, as one firewall of the pair has it. Addresses of interfaces are without length."""

    interface: str
    zone: str
    own4: str
    own6: str
    gateway4: str
    """The virtual address, with the length of the zone."""
    gateway6: str
    link: str
    """Own link-local address: IPv6 advertisements come from one (RFC 9568 5.1.2.1)."""
    peer4: str
    peer_link: str
    gateway_link: str
    """The virtual link-local address, which a vendor's virtual router has to have beside the other one (RFC 9568 6.1)."""


class Pair(msgspec.Struct, frozen=True):
    """One firewall's part in a pair."""

    priority: int
    peer: str
    """Device."""
    shares: tuple[Share, ...]
    beat: str = ""
    """Own address of the heartbeat; empty on a Debian, which has none: its connections break when the two change over."""
    peer_beat: str = ""

    @property
    def first(self) -> bool:
        """Whether it is the one that is active while both are up."""
        return self.priority == PRIORITIES[0]


def pairing(network: Network, device: Device) -> Pair | None:
    """The part of `device` in a pair; None: it is in none."""
    pair = network.pair(device.site) if device.role == "firewall" else ()
    if not pair:
        return None
    site = network.sites[device.site]
    (peer,) = (each for each in pair if each.name != device.name)
    far = {each.name: each for each in peer.interfaces}
    shares = []
    for near in device.interfaces:
        zone = site.zone(near.zone)
        if zone is None:
            continue
        own4, own6 = near.v4.partition("/")[0], near.v6.partition("/")[0]
        length4, length6 = zone.v4.partition("/")[2], zone.v6.partition("/")[2]
        shares.append(
            Share(
                near.name,
                zone.name,
                own4,
                own6,
                f"{zone.gateway4}/{length4}",
                f"{zone.gateway6}/{length6}",
                link_local(near.v6),
                far[near.name].v4.partition("/")[0],
                link_local(far[near.name].v6),
                link_local(f"{zone.gateway6}/{length6}"),
            )
        )
    place = pair.index(device)
    beats = (BEATS[place], BEATS[1 - place]) if device.numbers else ("", "")
    return Pair(PRIORITIES[place], peer.name, tuple(shares), *beats)


def link_local(text: str) -> str:
    """The link-local address with the interface identifier of an address with its length: `3fff::2/64` → `fe80::2`."""
    bare, _, length = text.partition("/")
    value = addressing.parse(bare, 6)[0] & (addressing.size(max(int(length), 64), 6) - 1)
    return addressing.address(addressing.parse("fe80::", 6)[0] + value, 6)
