"""Reader of keepalived.conf, after keepalived.conf(5) of 2.2: which virtual addresses a device may have, and what decides."""

from __future__ import annotations

import re
from collections.abc import Iterator

from inventory.proof.blocks import Block, Unknown, each, refuse
from inventory.proof.sharing import Config, Tracked, Virtual

_WORD = re.compile(r'"[^"]*"|[{}]|[^\s{}"]+')


def read(source: str, file: str) -> Config:
    """Raises Mistakes JB2401 with every line that this reader does not know."""
    faults: list[Unknown] = []
    draft = _Draft()
    try:
        blocks = list(_blocks(iter(_words(source))))
    except Unknown as fault:
        faults.append(fault)
    else:
        each(blocks, draft.take, faults)
        each(blocks, draft.follow, faults)
    refuse(faults, file, "inventory/proof/keepalived.py")
    return Config(file, tuple(draft.virtuals), tuple(draft.together), tuple(draft.tracked))


def _words(source: str) -> Iterator[tuple[tuple[str, ...], int]]:
    """Words of each line, with its number. `#` and `!` begin comments."""
    for number, raw in enumerate(source.splitlines(), 1):
        text = re.split(r"(?:^|\s)[#!]", raw, maxsplit=1)[0]
        if words := tuple(_WORD.findall(text)):
            yield words, number


def _blocks(lines: Iterator[tuple[tuple[str, ...], int]], depth: int = 0, opened: int = 0) -> Iterator[Block]:
    last = opened
    for words, last in lines:
        if words == ("}",):
            if not depth:
                raise Unknown(last, "} closes nothing")
            return
        if words[-1] == "{":
            yield Block(words[:-1], last, list(_blocks(lines, depth + 1, last)))
        elif "{" in words or "}" in words:
            raise Unknown(last, " ".join(words))
        else:
            yield Block(words, last, [])
    if depth:
        raise Unknown(last, f"the block of line {opened} does not end")


class _Draft:
    """What was read so far."""

    def __init__(self) -> None:
        self.version = 2
        self.virtuals: list[Virtual] = []
        self.together: list[frozenset[str]] = []
        self.scripts: dict[str, Tracked] = {}
        self.tracked: list[Tracked] = []

    def take(self, block: Block) -> None:
        match block.words:
            case ("global_defs",):
                for below in block.below:
                    match below.words:
                        case ("vrrp_version", version):
                            self.version = int(version)
                        case ("router_id", _) | ("script_user", "root") | ("enable_script_security",):
                            pass
                        case words:
                            raise Unknown(below.line, " ".join(words))
            case ("vrrp_script", name):
                said = _settings(block, "script", "interval", "fall", "rise", "weight", flags=("init_fail",))
                self.scripts[name] = Tracked(
                    name, block.line, said.get("script", "").strip('"'), int(said.get("weight", 0)),
                    int(said.get("rise", 1)), "init_fail" in said,
                )  # fmt: skip
            case ("vrrp_instance", name):
                self.virtuals.append(self._virtual(name, block))
            case ("vrrp_sync_group", _):
                pass
            case words:
                raise Unknown(block.line, " ".join(words))

    def follow(self, block: Block) -> None:
        """A group names what stands elsewhere. Raises LookupError."""
        if block.words[0] != "vrrp_sync_group":
            return
        names = {virtual.name for virtual in self.virtuals}
        members: list[str] = []
        for below in block.below:
            listed = [word for line in below.below for word in line.words]
            match below.words:
                case ("group",):
                    members += listed
                case ("track_script",):
                    self.tracked += [self.scripts[name] for name in listed]
                case words:
                    raise Unknown(below.line, " ".join(words))
        unknown = sorted(set(members) - names)
        if unknown:
            raise Unknown(block.line, f"{unknown[0]} is no virtual router of this file")
        self.together.append(frozenset(members))

    def _virtual(self, name: str, block: Block) -> Virtual:
        addresses = tuple(
            (line.words[0], line.line)
            for below in block.below
            if below.words == ("virtual_ipaddress",)
            for line in below.below
            if len(line.words) == 1 or _unread(line)
        )
        plain = Block(block.words, block.line, [each for each in block.below if each.words != ("virtual_ipaddress",)])
        said = _settings(
            plain, "state", "interface", "virtual_router_id", "priority", "advert_int", "mcast_src_ip", "version"
        )
        if said.get("state", "BACKUP") != "BACKUP":
            raise Unknown(block.line, f"{name} begins as {said['state']}: both of a pair begin as BACKUP")
        return Virtual(
            name, block.line, said["interface"], int(said["virtual_router_id"]), int(said.get("priority", 100)),
            float(said.get("advert_int", 1)), int(said.get("version", self.version)), said.get("mcast_src_ip", ""),
            addresses,
        )  # fmt: skip


def _settings(block: Block, *known: str, flags: tuple[str, ...] = ()) -> dict[str, str]:
    """`word value` lines below a block, each once. Raises Unknown."""
    found: dict[str, str] = {}
    for below in block.below:
        word = below.words[0]
        alone = word in flags and len(below.words) == 1
        if word in found or below.below or not (alone or (word in known and len(below.words) == 2)):
            _unread(below)
        found[word] = below.words[1] if not alone else ""
    return found


def _unread(block: Block) -> bool:
    raise Unknown(block.line, " ".join(block.words))
