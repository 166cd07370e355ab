"""Lines that the plan encrypts: what the text says protects each, against what its row asks for.

Below such a line nothing but its keys and its encrypted packets may reach the device.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from inventory.proof import frr, interval, passing
from inventory.proof.decide import UNNAMED, spell
from inventory.proof.filters import Packet, Ruleset
from ip_plan.network import Device, Interface, Link, Network

PLAIN = (("tcp", 22), ("tcp", 23), ("tcp", 80), ("tcp", 179), ("tcp", 443), ("udp", 53), ("udp", 123), ("udp", 161),
         ("udp", 3784), ("udp", 4500), ("icmp", 8), ("ospf", 0), ("ah", 0))  # fmt: skip
"""What else a device might answer: asked for below a line beside what its rules name."""
KEYS = (("udp", 500), ("esp", 0))
"""IKE (RFC 7296 2) and ESP (RFC 4303)."""


class Shield(msgspec.Struct, frozen=True):
    """What a text protects a line with, in words that are no vendor's."""

    version: str
    """Of IKE."""
    proof: str
    """How the ends prove who they are: `secret`, `certificate`, or as the vendor says."""
    cipher: str
    """Of IKE."""
    digest: str
    group: str
    """Of the Diffie-Hellman exchange; empty: none is said."""
    payload: str
    """Cipher of ESP."""
    seal: str
    """Digest of ESP."""
    mode: str
    """`transport` or `tunnel`: both ends have to mean the same."""

    def suite(self) -> str:
        """The suite that the plan calls so; else what is said, as one word."""
        known = next((name for name, shield in SUITES.items() if shield == self), "")
        return known or "IKEv" + ",".join(getattr(self, field) for field in self.__struct_fields__)


SUITES = {
    "aes256": Shield("2", "secret", "aes-256", "sha-256", "19", "aes-256", "sha-256", "transport"),
    # GM/T 0022: keys in digital envelopes, no Diffie-Hellman.
    "sm4": Shield("1", "certificate", "sm4", "sm3", "", "sm4", "sm3", "transport"),
}


class Said(msgspec.Struct, frozen=True):
    """What stands in the text about a line, as words behind `ipsec` among the settings of its interface."""

    suite: str
    near: str
    """Address below the tunnel, with length."""
    far: str
    secret: str
    """Name of the secret; `-` where there is none."""
    below: str
    """Logical name of the interface below."""

    def setting(self, line: int) -> frr.Setting:
        return frr.Setting(("ipsec", self.suite, self.near, self.far, self.secret, self.below), line)


def check(
    network: Network, device: Device, config: frr.Config, filter: Ruleset | None, wrong: Callable[..., None]
) -> None:  # fmt: skip
    """What is wrong with the protection of the lines of a device."""
    for item in device.interfaces:
        link = network.links.get(item.link)
        if item.kind == "wan" and link is not None:
            _line(link, item, config, filter, wrong)


def _line(
    link: Link, item: Interface, config: frr.Config, filter: Ruleset | None, wrong: Callable[..., None]
) -> None:  # fmt: skip
    interface = config.interfaces.get(item.name)
    setting = interface.find("ipsec") if interface else None
    line = setting.line if setting else interface.line if interface else 1
    if setting is None:
        if link.suite:
            what = f"line {link.id} is not encrypted at {item.name}, its row asks for {link.suite}"
            wrong("JB2490", config.file, line, what, "Render the device again: nothing may leave by the line itself.")
        return
    said = Said(*setting.words[1:])
    if not link.suite:
        what = f"line {link.id} is encrypted at {item.name} with {said.suite}, the plan leaves it plain"
        wrong("JB2490", config.file, line, what, "Render the device again, or give the line a row under `encrypted:`.")
        return
    secret = link.secret if SUITES[link.suite].proof == "secret" else "-"
    for have, want, title in (
        (said.suite, link.suite, "its suite"),
        (said.far, item.peer4, "the other end"),
        (said.near, item.v4, "its own end"),
        (said.secret, secret, "the name of its secret"),
    ):
        if have != want:
            what = f"line {link.id} at {item.name}: {title} is {have}, the plan says {want}"
            wrong("JB2490", config.file, line, what, "Render the device again: both ends have to say the same.")
    if filter is not None:
        _below(link, item, said, filter, wrong)


def _below(link: Link, item: Interface, said: Said, filter: Ruleset, wrong: Callable[..., None]) -> None:
    """What comes in below the tunnel, in the clear."""
    named = passing.ports_named(passing.relevant(filter, "input", said.below, ""))
    far, near = interval.number(item.peer4), interval.number(item.v4.partition("/")[0])
    for kind in sorted({*named, *UNNAMED, *PLAIN, *KEYS}):
        if kind[0] == "icmpv6":
            continue  # there is no IPv6 below a tunnel
        passes, line = passing.verdict(filter, "input", Packet(4, said.below, "", far, near, *kind))
        if passes and kind not in KEYS:
            what = f"lets {spell(kind)} in at {said.below}, below line {link.id}, in the clear"
            wrong("JB2491", filter.file, line, what, "Let nothing in there but UDP 500 and ESP.")
        elif not passes and kind in KEYS:
            what = f"stops {spell(kind)} at {said.below}: line {link.id} comes to no keys"
            wrong("JB2491", filter.file, line, what, "Let UDP 500 and ESP in there.")
