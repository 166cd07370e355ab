"""One province's part of a compile: what came out of it, and the key of what it was made from.

The parts of a compile are kept beside its Network. A province whose inputs have the same key the next time, and whose files are
as they were written, is not made again: cost follows the change.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from ground import files
from ground.mistake import Mistake
from ip_plan.addressing import Block
from ip_plan.assemble import Top, Uplink
from ip_plan.layout import Layout
from ip_plan.plan import Plan
from ip_plan.regions import Region

FILE = "parts.json"


class Part(msgspec.Struct, frozen=True):
    """What came out of one province."""

    province: str
    regions: int
    sites: int
    devices: int
    grants: int
    new: int
    gone: int
    key: str
    """SHA-256 of its shard; empty for a province that has left the scope."""
    top: Top | None
    """Its own centre, for the ministry's shard."""
    uplinks: tuple[Uplink, ...]
    staged: tuple[tuple[str, str], ...]
    """(staged file, final file)."""
    short: tuple[int, int] | None = None
    """(family, length) of the block the nation has to grant first."""
    mistakes: tuple[Mistake, ...] = ()
    inputs: str = ""
    """Key of everything it was made from, its own ledger as it came out included."""


def read(folder: Path) -> dict[str, Part]:
    """Province → what the last compile kept of it; empty where nothing that can be read was."""
    try:
        return msgspec.json.decode((folder / FILE).read_bytes(), type=dict[str, Part])
    except (OSError, msgspec.MsgspecError):
        return {}


def write(parts: list[Part]) -> bytes:
    """What is kept of `parts`."""
    kept = {part.province: msgspec.structs.replace(part, new=0, gone=0, staged=()) for part in parts if part.inputs}
    return msgspec.json.encode(kept, order="deterministic")


def common(plan: Plan) -> str:
    """Key of what every province is made from: the plan's files but for the division data, and this program."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return files.sha256("".join([plan.settings_key, *(files.sha256(path.read_bytes()) for path in sources)]).encode())


def rows(plan: Plan, layout: Layout) -> dict[str, str]:
    """Province-level code → key of the division data below it, and of what the change table says about its regions."""
    found: dict[str, list[Region]] = {}
    top, key = layout.top, layout.key
    for code, row in plan.regions.items():
        found.setdefault(top[code], []).append(row)
    said: dict[str, list[object]] = {}
    for code, parent in plan.former.items():
        said.setdefault(top[code], []).append(["from", code, parent])
    if plan.plan.changes:
        held = {first: code for code, first in key.items()}
        for code, first in key.items():
            if first != code:
                said.setdefault(top[code], []).append(["first", code, first])
        for (first, rank), laid in layout.lines.items():
            if first in held:
                said.setdefault(top[held[first]], []).append(["lines", first, rank, laid])
        for device, serial in layout.serials.items():
            if (first := device.rpartition("-")[0]) in held:
                said.setdefault(top[held[first]], []).append(["serial", device, serial])
        for first, going in layout.renumbering.items():
            if first in held:
                stage = [going.version, going.stage, going.over]
                said.setdefault(top[held[first]], []).append(["renumbered", first, stage])
    return {code: files.sha256(msgspec.msgpack.encode([listed, said.get(code)])) for code, listed in found.items()}


def inputs(
    common: str, rows: str, blocks: tuple[list[Block], list[Block]], label: str, top: Top | None, ledger: bytes
) -> str:
    """Key of everything that a province is made from."""
    said = msgspec.json.encode(
        [common, rows, [[[str(first), length] for first, length in own] for own in blocks], label, top]
    )
    return files.sha256(said + ledger)


def stands(part: Part, inputs: str, shard: Path) -> bool:
    """Whether `part` was made from the same, and its shard is as it was written."""
    if part.inputs != inputs:
        return False
    try:
        with shard.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == part.key
    except OSError:
        return False
