"""nftables on a running device: every table that is rendered is replaced whole, in one transaction.

No packet finds a table missing, and connections that are established stay: what the kernel knows of them is in no table.
"""

from __future__ import annotations

from collections.abc import Iterator

from ground import mistake
from ground.mistake import Mistakes
from inventory.config import Config
from inventory.dialect import Dialect
from inventory.dialects.nftables import ruleset
from inventory.diff import Difference, differences
from inventory.proof import nftables as proof
from inventory.proof import passing
from inventory.proof.filters import Packet
from inventory.remedy import Plan

MANAGEMENT = "mgmt0"
"""The interface that reaches the device itself."""


def plan(running: Config, rendered: Config) -> Plan:
    """Replace the tables that differ. Tables that are not rendered stay, and are told."""
    ours = {path[0] for path in rendered.sections if path}
    here = {path[0] for path in running.sections if path}
    kept = tuple(Difference((), "extra", table) for table in sorted(here - ours))
    found = [each for each in differences(running, rendered, None) if each not in kept]
    changed = {each.section[0] if each.section else each.line for each in found} & ours
    commands = [line for table in sorted(changed) for line in written(rendered, table)]
    cut = []
    if changed and not _reachable("\n".join(line for table in sorted(ours) for line in written(rendered, table))):
        cut = [(table, f"nothing would come in over {MANAGEMENT} any more") for table in sorted(changed)]
    return Plan(tuple(commands), kept, (), tuple(cut), ())


def rollback(before: Config, after: Config) -> list[str]:
    """The file that puts back the tables that ran before."""
    changed = {each.section[0] if each.section else each.line for each in differences(before, after, None)}
    lines: list[str] = []
    for table in sorted(changed):
        lines += written(before, table) if (table,) in before.sections else [f"delete {table}"]
    return lines


def written(config: Config, table: str) -> Iterator[str]:
    """The lines of a file that puts `table` in place of what has its name."""
    yield table
    yield f"delete {table}"
    yield f"{table} {{"
    yield from (f"  {line}" for line in config.sections[(table,)].lines)
    # What others name stands before them: sets, then the chains that are jumped to (nft takes chains in any order).
    inside = [path for path in config.sections if len(path) == 2 and path[0] == table]
    for path in sorted(inside, key=lambda path: config.sections[path].kind == "chain"):
        yield f"  {path[1]} {{"
        yield from (f"    {line}" for line in config.sections[path].lines)
        elements = config.sections.get((*path, "elements"))
        if elements is not None and elements.lines:
            yield "    elements = {"
            yield from (f"      {element}," for element in elements.lines)
            yield "    }"
        yield "  }"
    yield "}"


def _reachable(text: str) -> bool:
    """Whether SSH over the management interface is let in, as the proof's own reader sees it. Raises Mistakes JB2104."""
    try:
        filters = proof.read(text)
    except Mistakes as mistakes:
        what = f"whether the device stays reachable cannot be told: {mistakes.found[0].what}"
        raise mistake.one("JB2104", what, "Render the device again.") from None
    packets = (Packet(4, MANAGEMENT, "", 1, 2, "tcp", 22), Packet(6, MANAGEMENT, "", 1, 2, "tcp", 22))
    return all(passing.verdict(filters, "input", packet)[0] for packet in packets)


DIALECT = Dialect(
    name="nftables",
    target="/etc/nftables.conf",
    show="nft -s list ruleset",
    send="nft -f",
    refused=r"Error: ",
    require_whole=ruleset.require_whole,
    read=ruleset.read,
    plan=plan,
    apply=ruleset.apply,
    rollback=rollback,
)
