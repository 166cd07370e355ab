"""What a switch is configured to do, in words that are no vendor's: its VLANs, and what each of its ports carries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from inventory.proof.blocks import Unknown

VLANS = range(1, 4095)
"""VLAN ids (IEEE 802.1Q 9.6)."""
EVERY = frozenset(VLANS)


class Socket(msgspec.Struct):
    """A layer 2 port as it is configured. What is not said is as the vendor delivers it."""

    physical: str
    name: str
    """Its description: the logical name."""
    line: int
    mode: str
    """`access`, `trunk`; `member` of an aggregate, which says what it carries; any other word is one in which a port agrees on it
    with the other end, or carries several untagged."""
    access: int = 1
    native: int = 1
    allowed: frozenset[int] = frozenset({1})
    shut: bool = False
    edge: bool = False
    guarded: bool = False
    """Whether it goes down when another switch answers on it (BPDU guard)."""
    group: str = ""
    """The aggregate that it is a member of."""
    lacp: bool = False
    said: dict[str, int] = {}
    """What was said → the last line that said it."""

    def place(self, *what: str) -> int:
        """The line that says the first of these; else that of the port."""
        return next((self.said[each] for each in what if each in self.said), self.line)

    @property
    def untagged(self) -> int:
        """The VLAN of frames without a tag; 0: they are dropped."""
        if self.mode == "trunk":
            return self.native if self.native in self.allowed else 0
        return self.access

    @property
    def tagged(self) -> frozenset[int]:
        """The VLANs of which it takes tagged frames."""
        return self.allowed - {self.native} if self.mode == "trunk" else frozenset()

    def carries(self) -> tuple[int, frozenset[int]]:
        """(untagged, tagged)"""
        return self.untagged, self.tagged


class Vlan(msgspec.Struct):
    """A VLAN that is there."""

    line: int
    name: str = ""


class Switch(msgspec.Struct):
    """What a text says of switching."""

    file: str
    vlans: dict[int, Vlan] = {}
    sockets: dict[str, Socket] = {}
    """By the device's own names; aggregates are among them."""
    inner: dict[int, tuple[str, int]] = {}
    """VLAN → (description, line) of the device's own interface in it."""
    protocol: str = ""
    """Of the spanning tree."""
    priorities: dict[int, int] = {}
    """VLAN → bridge priority; 0: of every VLAN that is not named."""
    line: int = 1
    """Of what is said of the spanning tree."""
    guards: bool = False
    """Whether every edge port is guarded."""

    def vlan(self, number: str, line: int) -> Vlan:
        """The VLAN with this id, which is there from now on. Raises Unknown."""
        (found,) = identities([number], line)
        return self.vlans.setdefault(found, Vlan(line))

    def socket(self, physical: str, name: str, line: int, mode: str) -> Socket:
        """A port that the text speaks of for the first time. Raises Unknown where two have one description."""
        if any(other.name == name for other in self.sockets.values()):
            raise Unknown(line, f"a second interface is described as {name}")
        found = self.sockets[physical] = Socket(physical, name, line, mode, said={})
        return found

    def settled(self) -> Switch:
        """With what holds for all edge ports said of each."""
        if self.guards:
            for socket in self.sockets.values():
                socket.guarded = socket.guarded or socket.edge
        return self


def identities(words: Sequence[str], line: int) -> tuple[int, ...]:
    """`110 120 to 125` or `110,120-125` as ids. Raises Unknown for what is none."""
    found: list[int] = []
    try:
        for part in " ".join(words).replace(" to ", "-").replace(",", " ").split():
            first, _, last = part.partition("-")
            span = range(int(first), int(last or first) + 1)
            if not span or span[0] not in VLANS or span[-1] not in VLANS:
                raise ValueError
            found += span
    except ValueError:
        raise Unknown(line, f"VLANs {' '.join(words)}") from None
    return tuple(found)


def identity(word: str, line: int) -> int:
    """One VLAN id. Raises Unknown."""
    found = identities([word], line)
    if len(found) != 1:
        raise Unknown(line, f"VLAN {word}")
    return found[0]


def spelled(numbers: Iterable[int]) -> str:
    """Ids as a person reads them: `110, 120–125`; `none`."""
    return ", ".join(_spans(sorted(numbers))) or "none"


def _spans(numbers: Sequence[int]) -> Iterator[str]:
    start = 0
    for place, number in enumerate(numbers):
        if place + 1 == len(numbers) or numbers[place + 1] != number + 1:
            yield str(number) if place == start else f"{numbers[start]}–{number}"
            start = place + 1
