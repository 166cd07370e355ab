"""What an IOS-XE firewall says of its pair: the redundancy group of the zone-based firewall, after Cisco's configuration guide."""

from __future__ import annotations

import msgspec

from inventory.proof import interval
from inventory.proof.blocks import Block, Unknown
from inventory.proof.sharing import Config, Heartbeat, Virtual, lying


class _Group(msgspec.Struct):
    """A redundancy group as it is configured."""

    number: int
    line: int
    priority: int = 100
    threshold: int = 0
    """Below it the other one takes over."""
    preempts: bool = False
    control: str = ""
    data: str = ""
    tracks: list[tuple[int, int, int]] = []
    """(object, by how much the priority falls while it is down, line)."""


class Redundancy(msgspec.Struct):
    """The lines of a device's part, while they are read."""

    group: _Group | None = None
    mirrors: bool = False
    objects: dict[int, set[str]] = {}
    """Tracked object → the interfaces of which one has to be up."""
    lists: dict[int, tuple[list[int], int]] = {}
    virtuals: list[tuple[str, int, str, int]] = []
    """(logical interface, group, address, line)."""

    def top(self, block: Block) -> None:
        """The view `redundancy`, or a line `track …`. Raises Unknown."""
        match block.words:
            case ("track", number, "interface", physical, "line-protocol"):
                self.objects[int(number)] = {physical}
            case ("track", number, "list", "boolean", "or"):
                self.lists[int(number)] = ([int(below.words[1]) for below in block.below if _listed(below)], block.line)
            case ("redundancy",):
                for below in block.below:
                    if below.words == ("application", "redundancy"):
                        for inner in below.below:
                            self._group(inner)
                    elif below.words[0] != "mode":
                        raise Unknown(below.line, " ".join(below.words))
            case words:
                raise Unknown(block.line, " ".join(words))

    def _group(self, block: Block) -> None:
        if block.words[0] != "group" or self.group is not None:
            raise Unknown(block.line, f"{' '.join(block.words)}: one group is computed")
        group = self.group = _Group(int(block.words[1]), block.line, tracks=[])
        for below in block.below:
            match below.words:
                case ("name", _) | ("timers", "delay", *_):
                    pass
                case ("preempt",):
                    group.preempts = True
                case ("priority", value):
                    group.priority = int(value)
                case ("priority", value, "failover", "threshold", least):
                    group.priority, group.threshold = int(value), int(least)
                case ("control", physical, "protocol", _):
                    group.control = physical
                case ("data", physical):
                    group.data = physical
                case ("track", number, "decrement", value):
                    group.tracks.append((int(number), int(value), below.line))
                case words:
                    raise Unknown(below.line, " ".join(words))

    def inside(self, interface: str, block: Block) -> bool:
        """Take a line of an interface; False: it gives no virtual address. Raises Unknown."""
        match block.words:
            case ("redundancy", "group", number, "ip" | "ipv6" as kind, address, "exclusive", *rest):
                if rest and (len(rest) != 2 or rest[0] != "decrement" or not rest[1].isdigit()):
                    raise Unknown(block.line, " ".join(block.words))
                if (kind == "ipv6") != (":" in address):
                    raise Unknown(block.line, f"virtual address {address} of {kind}")
                interval.prefix(address)
                self.virtuals.append((interface, int(number), address, block.line))
            case _:
                return False
        return True

    def config(self, file: str, names: dict[str, str], networks: dict[str, list[str]]) -> Config | None:
        """What was read; None: nothing. `names`: interface → logical name. Raises Unknown."""
        group = self.group
        if group is None and not self.virtuals:
            return None
        found = []
        priority = group.priority if group else 0
        for interface, number, address, line in self.virtuals:
            family = 6 if ":" in address else 4
            own = [text for text in networks.get(interface, ()) if (":" in text) == (family == 6)]
            text = lying(address.partition("/")[0], own)
            if "/" in address and text.partition("/")[2] != address.partition("/")[2]:
                raise Unknown(line, f"virtual address {address} has another length than the interface")
            found.append(Virtual(f"{interface}-{family}", line, interface, number, priority, 1, 3, "", ((text, line),)))
        if group is None:
            return Config(file, tuple(found), (), heartbeat=None, spoken=False, fixed=True)
        if not group.preempts:
            raise Unknown(
                group.line, "a group that does not preempt: the second stays active while OSPF leads to the first"
            )
        if group.control != group.data:
            raise Unknown(
                group.line,
                f"control over {group.control or 'nothing'}, data over {group.data or 'nothing'}: one port is computed",
            )
        together = (frozenset(each.name for each in found if each.group == group.number),)
        interface = names.get(group.control, "")
        own_ = next((text for text in networks.get(interface, ()) if ":" not in text), "")
        beat = Heartbeat(group.line, interface, own_, "", None, True, self.mirrors, False)
        return Config(file, tuple(found), together, (), beat, self._followed(group, names), {}, False, True)

    def _followed(self, group: _Group, names: dict[str, str]) -> dict[str, int]:
        """The interfaces that take the group away once all of them are down. Raises Unknown."""
        if len(group.tracks) > 1:
            raise Unknown(group.tracks[1][2], "a second track: the device would stand by while another way leads to it")
        found: dict[str, int] = {}
        for number, decrement, line in group.tracks:
            if number in self.lists:
                members = self.lists[number][0]
            elif number in self.objects:
                members = [number]
            else:
                raise Unknown(line, f"object {number} is not defined")
            if group.priority - decrement >= group.threshold:
                continue  # it stays what it is
            for member in members:
                for physical in self.objects.get(member, ()):
                    found[names.get(physical, physical)] = line
        return found


def _listed(block: Block) -> bool:
    if block.words[0] != "object" or len(block.words) != 2:
        raise Unknown(block.line, " ".join(block.words))
    return True
