"""What a Comware firewall says of its pair: RBM and the virtual routers of its interfaces, after H3C's command references."""

from __future__ import annotations

import msgspec

from inventory.proof.blocks import Block, Unknown
from inventory.proof.sharing import STATES, Config, Groups, Heartbeat
from inventory.proof.words import spelled

STANDBY_COST = 65500
"""What OSPF tells while the device stands by, where `absolute` names no other cost."""
FAMILIES = {"ospf": 4, "ospfv3": 6}


class Rbm(msgspec.Struct):
    """The lines of a device's part, while they are read."""

    line: int = 0
    channel: str = ""
    """Interface of the data, as the device calls it."""
    own: str = ""
    other: str = ""
    role: str = ""
    mirrors: bool = False
    copies: bool = True
    followed: dict[str, int] = {}
    least: dict[int, int] = {}
    groups: Groups = msgspec.field(default_factory=Groups)

    def take(self, block: Block) -> None:
        """A line of the view `remote-backup group`. Raises Unknown."""
        match block.words:
            case ("data-channel", "interface", physical):
                self.channel = physical
            case ("local-ip", address):
                self.own = spelled(address)
            case ("remote-ip", address) | ("remote-ip", address, "port", _):
                self.other = spelled(address)
            case ("device-role", "primary" | "secondary" as role):
                self.role = role
            case ("hot-backup", "enable"):
                self.mirrors = True
            case ("undo", "configuration", "auto-sync", "enable"):
                self.copies = False
            case ("adjust-cost", "ospf" | "ospfv3" as what, "enable", "absolute", *cost) if len(cost) < 2:
                self.least[FAMILIES[what]] = int(cost[0]) if cost else STANDBY_COST
            case ("track", "interface", physical):
                self.followed[physical] = block.line
            case ("keepalive", "interval" | "count", _) | ("delay-time", _) | ("configuration", "sync-check", *_):
                pass
            case words:
                raise Unknown(block.line, " ".join(words))

    def inside(self, interface: str, block: Block) -> bool:
        """Take a line of an interface; False: it is none of a virtual router. Raises Unknown."""
        match block.words:
            case ("vrrp", "vrid", number, "virtual-ip", address, "active" | "standby" as state):
                self.groups.take(interface, number, 4, address, STATES[state], block.line)
            case ("vrrp", "ipv6", "vrid", number, "virtual-ip", address, *rest) if rest[-1:] in (
                ["active"],
                ["standby"],
            ):
                self.groups.said(rest[:-1], address, block.line)
                self.groups.take(interface, number, 6, address, STATES[rest[-1]], block.line)
            case _:
                return False
        return True

    def config(self, file: str, names: dict[str, str], networks: dict[str, list[str]]) -> Config | None:
        """What was read; None: nothing. `names`: interface → logical name."""
        if not self.line and not self.groups.held:
            return None
        virtuals = self.groups.virtuals(networks)
        # Without a role, or an end of the channel, there is no group to be on.
        on = bool(self.role and self.own and self.other)
        interface = names.get(self.channel, "")
        own = next((text for text in networks.get(interface, ()) if text.partition("/")[0] == self.own), "")
        beat = Heartbeat(
            self.line or 1, interface, own, self.other, self.role == "primary", on, self.mirrors, self.copies
        )
        together = (frozenset(virtual.name for virtual in virtuals),) if on else ()
        followed = {names.get(each, each): number for each, number in self.followed.items()}
        return Config(file, virtuals, together, (), beat, followed, self.least)
