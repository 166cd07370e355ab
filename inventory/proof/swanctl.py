"""Reader of swanctl.conf: which connections a charon keeps, with what, and which secrets it has for whom. After swanctl.conf(5)."""

from __future__ import annotations

import re

import msgspec

from ground.mistake import Mistake, Mistakes
from inventory.proof.shielding import Shield
from inventory.proof.words import referred

CIPHERS = {"aes256": "aes-256", "aes128": "aes-128", "aes": "aes-128", "sm4": "sm4"}
DIGESTS = {"sha256": "sha-256", "sha2_256": "sha-256", "sha384": "sha-384", "sha1": "sha-1"}
GROUPS = {"ecp256": "19", "ecp384": "20", "modp2048": "14", "curve25519": "31", "x25519": "31"}
"""Keywords of proposals (RFC 7296 3.3.2; groups as IANA numbers them)."""
_NAME = re.compile(r"[A-Za-z0-9_-]+$")


class Section(msgspec.Struct):
    """A section: settings with their lines, and sections within."""

    line: int
    settings: dict[str, tuple[str, int]] = {}
    sections: dict[str, Section] = {}

    def said(self, key: str, unsaid: str = "") -> str:
        """The value of a setting; `unsaid`: what it is where nothing is said."""
        return self.settings.get(key, (unsaid, 0))[0]


class Connection(msgspec.Struct, frozen=True):
    """One connection with its one child."""

    name: str
    line: int
    shield: Shield
    own: str
    """Address of IKE at this end."""
    other: str
    own_id: str
    other_id: str
    own_selector: str
    other_selector: str
    start: str
    """What is done when it is loaded: `start`, `trap`, `none`."""
    interface: str
    """Number of the kernel's interface that it protects; empty: none."""
    secret: str
    """Name of the secret that is for both identities; `-`: there is none, or it is no reference."""


class Config(msgspec.Struct, frozen=True):
    """All that one file says."""

    file: str
    connections: dict[str, Connection]


def read(source: str, file: str) -> Config:
    """The connections of the file. Raises Mistakes: JB2401, the first line that cannot be read."""
    top = _sections(source, file)
    keys = [section for name, section in _part(top, "secrets").sections.items() if name.startswith("ike")]
    found = {}
    for name, section in _part(top, "connections").sections.items():
        children = list(section.sections.get("children", Section(section.line)).sections.values())
        if len(children) != 1:
            raise _unread(file, section.line, f"{name} has {len(children)} children: one is computed")
        found[name] = _connection(name, section, children[0], keys)
    return Config(file, found)


def _connection(name: str, section: Section, child: Section, keys: list[Section]) -> Connection:
    own, other = (section.sections.get(side, Section(section.line)) for side in ("local", "remote"))
    addresses = section.said("local_addrs", "%any"), section.said("remote_addrs", "%any")
    # An identity that is not said is the address.
    ids = own.said("id", addresses[0]), other.said("id", addresses[1])
    ways = {own.said("auth", "pubkey"), other.said("auth", "pubkey")}
    ike, esp = _proposal(section.said("proposals")), _proposal(child.said("esp_proposals"))
    shield = Shield(
        section.said("version", "0"), "secret" if ways == {"psk"} else "+".join(sorted(ways)), *ike, *esp[:2],
        child.said("mode", "tunnel"),
    )  # fmt: skip
    fitting = [
        key.said("secret")
        for key in keys
        if {value for name, (value, _) in key.settings.items() if name.startswith("id")} == set(ids)
    ]
    return Connection(
        name, section.line, shield, *addresses, *ids, child.said("local_ts", "dynamic"),
        child.said("remote_ts", "dynamic"), child.said("start_action", "none"), _same(child, section),
        referred(fitting[0]) if len(fitting) == 1 else "-",
    )  # fmt: skip


def _same(child: Section, section: Section) -> str:
    """The interface's number, where both directions have the same."""
    sides = {child.said(key, section.said(key)) for key in ("if_id_in", "if_id_out")}
    return sides.pop() if len(sides) == 1 else "?"


def _proposal(text: str) -> tuple[str, str, str]:
    """Cipher, digest and group of a proposal; what is none of the known ones stands as it is, several of them too."""
    if not text or "," in text:
        return text or "default", "", ""
    named: dict[str, list[str]] = {"cipher": [], "digest": [], "group": []}
    for word in text.split("-"):
        kind = "digest" if word in DIGESTS else "group" if word in GROUPS else "cipher"
        named[kind].append(DIGESTS.get(word) or GROUPS.get(word) or CIPHERS.get(word) or word)
    return "+".join(named["cipher"]), "+".join(named["digest"]), "+".join(named["group"])


def _sections(source: str, file: str) -> Section:
    """The tree of sections: `name {`, `key = value`, `}`, one a line. Includes and inherited sections are refused."""
    stack = [Section(1)]
    for line, raw in enumerate(source.splitlines(), 1):
        text = raw.partition("#")[0].strip()
        if not text:
            continue
        name, opens, _ = text.partition(" {")
        key, equals, value = (part.strip() for part in text.partition("="))
        if text == "}" and len(stack) > 1:
            stack.pop()
        elif opens and text.endswith("{") and _NAME.match(name) and name not in stack[-1].sections:
            stack[-1].sections[name] = Section(line)
            stack.append(stack[-1].sections[name])
        elif equals and _NAME.match(key) and key not in stack[-1].settings:
            stack[-1].settings[key] = (value.strip('"'), line)
        else:
            raise _unread(file, line, text)
    if len(stack) > 1:
        raise _unread(file, stack[-1].line, "a section that does not end")
    return stack[0]


def _part(top: Section, name: str) -> Section:
    return top.sections.get(name, Section(1))


def _unread(file: str, line: int, text: str) -> Mistakes:
    cure = "Write `name {`, `key = value` and `}`, one a line."
    return Mistakes([Mistake(file, line, None, "JB2401", "", f"the proof cannot read this: {text}", cure)])
