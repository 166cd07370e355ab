"""From what a device ran when it was last fetched to the entries that plan.yml would need, as text to fill in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import date

import msgspec

from ground.mistake import Mistake
from inventory.acceptance import Remedy
from inventory.adopt import routes, rules
from inventory.adopt.proposal import Adoption, Proposal, unsaid
from inventory.dialects.frr.running import DIALECT as FRR
from inventory.dialects.nftables.running import DIALECT as NFTABLES
from ip_plan.network import Network
from ip_plan.plan import Plan


def adopt(network: Network, plan: Plan, remedy: Remedy, running: str, today: date) -> Adoption:
    """What `remedy` found on a device that runs the text `running`, in the words of the plan. Raises Mistakes JB2104."""
    device = network.devices[remedy.device]
    found: list[Proposal | Mistake]
    if remedy.mistakes and not remedy.differences:
        return Adoption(remedy.device, remedy.file, refused=remedy.mistakes)
    if remedy.dialect == NFTABLES.name:
        config = NFTABLES.read(running)
        limit = plan.plan.exception_days.value
        found = list(rules.proposals(network, device, remedy.file, config, remedy.differences, today, limit))
    elif remedy.dialect != FRR.name:
        why = f"adoption reads FRR and nftables, and no line of {remedy.dialect}"
        found = [unsaid(remedy.file, remedy.device, each, why) for each in remedy.differences]
    else:
        found = list(routes.proposals(network, plan, device, remedy.file, remedy.differences, today))
    there = {each.id for each in plan.plan.exceptions}
    proposed = [each for each in found if isinstance(each, Proposal) and each.entry.get("id") not in there]
    return Adoption(
        remedy.device, remedy.file, tuple(proposed), tuple(each for each in found if isinstance(each, Mistake))
    )


def fragment(found: Sequence[Adoption]) -> str:
    """The proposals as a part of plan.yml: under their lists, each with the lines it comes from. Empty: there are none."""
    by_key: dict[str, list[tuple[Adoption, Proposal]]] = {}
    for each in found:
        for proposal in each.proposals:
            by_key.setdefault(proposal.key, []).append((each, proposal))
    return "".join(f"{line}\n" for line in _lines(by_key))


def _lines(by_key: dict[str, list[tuple[Adoption, Proposal]]]) -> Iterator[str]:
    if not by_key:
        return
    yield '# Proposed from what was changed by hand. Fill in every "", then put the entries into the lists of plan.yml.'
    for key, listed in by_key.items():
        yield f"{key}:"
        for adoption, proposal in listed:
            yield f"  # {adoption.device}, seen in {adoption.file}:"
            yield from (f"  #   {line}" for line in proposal.lines)
            yield from (f"  # Wider than that: {line}." for line in proposal.wider)
            for number, (name, value) in enumerate(proposal.entry.items()):
                yield f"  {' ' if number else '-'} {name}: {_yaml(value)}"


def _yaml(value: str | list[str]) -> str:
    # A region code without quotes would be a number.
    return json.dumps(value, ensure_ascii=False)


class Answer(msgspec.Struct, frozen=True):
    """What a program is told."""

    proposals: tuple[Proposal, ...]
    refused: tuple[Mistake, ...]
    fragment: str
