"""What a VRP firewall says of its pair: HRP, VGMP and the virtual routers of its interfaces, after the USG6000E command reference."""

from __future__ import annotations

import msgspec

from inventory.proof.blocks import Block, Unknown
from inventory.proof.sharing import STATES, Config, Groups, Heartbeat
from inventory.proof.words import spelled

STANDBY_COST = 65500
"""What OSPF tells while the device stands by, where the line names no other cost."""
PLAIN = (("hrp", "standby", "config", "enable"), ("hrp", "preempt"), ("hrp", "timer", "hello"))
ADJUSTED = {"ospf-cost": 4, "ospfv3-cost": 6}


class Hrp(msgspec.Struct):
    """The lines of a device's part, while they are read."""

    on: int = 0
    line: int = 0
    beat: tuple[str, str, int] = ("", "", 0)
    """Interface as the device calls it, address of the other one, and line."""
    standby: bool = False
    mirrors: bool = False
    copies: bool = True
    followed: dict[str, int] = {}
    least: dict[int, int] = {}
    groups: Groups = msgspec.field(default_factory=Groups)

    def top(self, block: Block) -> None:
        """A line `hrp …` or `undo hrp …`. Raises Unknown."""
        self.line = self.line or block.line
        match block.words:
            case ("hrp", "enable"):
                self.on = block.line
            case ("hrp", "interface", physical, "remote", address):
                if self.beat[0]:
                    raise Unknown(block.line, "a second heartbeat interface: one is computed")
                self.beat = (physical, spelled(address), block.line)
            case ("hrp", "standby-device"):
                self.standby = True
            case ("hrp", "mirror", "session", "enable"):
                self.mirrors = True
            case ("undo", "hrp", "auto-sync", "config"):
                self.copies = False
            case ("hrp", "adjust", "ospf-cost" | "ospfv3-cost" as what, "enable", *cost) if len(cost) < 2:
                self.least[ADJUSTED[what]] = int(cost[0]) if cost else STANDBY_COST
            case ("hrp", "track", "interface", physical):
                self.followed[physical] = block.line
            case words if not any(words[: len(known)] == known for known in PLAIN):
                raise Unknown(block.line, " ".join(words))

    def inside(self, interface: str, block: Block) -> bool:
        """Take a line of an interface; False: it is none of a virtual router. Raises Unknown."""
        match block.words:
            case ("vrrp", "vrid", number, "virtual-ip", address, "active" | "standby" as state):
                self.groups.take(interface, number, 4, address, STATES[state], block.line)
            case ("vrrp6", "vrid", number, "virtual-ip", address, *rest) if rest[-1:] in (["active"], ["standby"]):
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
        physical, other, line = self.beat
        interface = names.get(physical, "")
        own = next((text for text in networks.get(interface, ()) if ":" not in text), "")
        beat = Heartbeat(
            line or self.line or 1, interface, own, other, not self.standby, bool(self.on), self.mirrors, self.copies
        )
        # VGMP decides for all of them together, once HRP is on.
        together = (frozenset(virtual.name for virtual in virtuals),) if self.on else ()
        followed = {names.get(each, each): number for each, number in self.followed.items()}
        return Config(file, virtuals, together, (), beat, followed, self.least)
