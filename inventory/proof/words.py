"""Words of a vendor's line as values: options, masks, prefixes, areas."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from inventory.proof import interval
from inventory.proof.blocks import Block, Unknown


def paired(words: Sequence[str], known: set[str], line: int) -> dict[str, str]:
    """`a 1 b 2` as a mapping; every name has to be known. Raises Unknown."""
    found = dict(zip(words[::2], words[1::2], strict=False))
    if len(words) % 2 or set(found) - known:
        raise Unknown(line, " ".join(words))
    return found


Phrases = dict[str, tuple[str, ...]]
"""The words that a line begins with → the rest of it."""


def phrases(block: Block, *known: str) -> Phrases:
    """What stands below a line: the words that a line begins with, each once → the rest of it. Raises Unknown."""
    found: Phrases = {}
    for below in block.below:
        text = " ".join(below.words)
        begins = max((each for each in known if f"{text} ".startswith(f"{each} ")), key=len, default="")
        if not begins or begins in found or below.below:
            raise Unknown(below.line, text)
        found[begins] = below.words[len(begins.split()) :]
    return found


def referred(word: str) -> str:
    """The name of the secret that a word refers to; `-` for any other word."""
    name = word.removeprefix("@secret:").removesuffix("@")
    return name if word == f"@secret:{name}@" else "-"


def mask_length(mask: str) -> int:
    """`255.255.255.0` or `24` → 24. Raises ValueError for a mask with holes."""
    return int(mask) if mask.isdigit() else ipaddress.ip_network(f"0.0.0.0/{mask}").prefixlen


def canonical(prefix: str, family: int) -> str:
    """The prefix as the proof spells it. Raises ValueError when it has host bits or is of the other family."""
    of, base, size = interval.prefix(prefix)
    if of != family or interval.number(prefix.partition("/")[0]) != base:
        raise ValueError(f"{prefix} is no prefix of IPv{family}")
    return interval.spell(family, base, size)


def spelled(address: str) -> str:
    """An address as the proof spells it. Raises ValueError."""
    return interval.text(interval.number(address), interval.family(address))


def area_number(text: str) -> str:
    """`0.0.0.0` or `0` → `0`."""
    return str(int(ipaddress.ip_address(text)) if "." in text else int(text))


def leads(networks: Sequence[str], address: str) -> bool:
    """Whether an address lies in the network of one of an interface's addresses."""
    own = ipaddress.ip_address(address)
    return any(own in ipaddress.ip_interface(network).network for network in networks)
