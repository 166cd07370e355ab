"""What the nation grants: each province's blocks in the supernets and its label; and what may be pinned there."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from ground.mistake import Mistake
from ip_plan import addressing
from ip_plan.addressing import Block, OutOfSpace, Space
from ip_plan.grants import NONE, Grants
from ip_plan.layout import MINISTRY, Layout
from ip_plan.ledger import Ledger
from ip_plan.plan import Plan
from ip_plan.regions import Region as Row


def blocks(plan: Plan, layout: Layout, ledger: Ledger, shorts: Mapping[str, list[tuple[int, int]]]) -> list[Mistake]:
    """Grant each province (and the ministry) its blocks in the supernets; `shorts` asks for further ones."""
    supernet = {
        4: addressing.parse(plan.addressing.supernets.ipv4, 4),
        6: addressing.parse(plan.addressing.supernets.ipv6, 6),
    }
    listed = [code for code in (MINISTRY, *layout.provinces, *layout.units) if code in layout.demand]
    lengths: dict[str, int] = {}
    for code in listed:
        reserve = plan.addressing.reserve["province"].value
        total = sum(addressing.size(demand.block, 4) for demand in layout.demand[code])
        smallest = plan.addressing.smallest_block["ministry" if code == MINISTRY else "province"].value
        lengths[code] = min(addressing.length_for(math.ceil(total * reserve), 4), int(smallest))
    pins = {pin.region: pin for pin in plan.plan.pins}
    mistakes: list[Mistake] = []
    spaces = {}
    for family in (4, 6):
        held = [
            addressing.parse(grant[family == 6], family)
            for grant in ledger.of("province").values()
            if grant[family == 6] != NONE
        ]
        fixed = []
        for code in listed:
            text = (pins[code].ipv4 if family == 4 else pins[code].ipv6) if code in pins else None
            if text and ledger.get("province", layout.key[code]) is None:
                fixed.append(addressing.parse(text, family))
        spaces[family] = Space([supernet[family]], [*held, *fixed], family)
    for code in sorted(listed, key=lambda item: (lengths[item], item)):
        key = layout.key[code]
        pin = pins.get(code)
        if ledger.get("province", key) is None:
            texts = []
            for family, length in ((4, lengths[code]), (6, plan.addressing.ipv6.province)):
                pinned = (pin.ipv4 if family == 4 else pin.ipv6) if pin else None
                try:
                    texts.append(pinned or addressing.write(spaces[family].take(length), family))
                except OutOfSpace:
                    mistakes.append(_too_small(plan, family, length, plan.regions[code]))
            if len(texts) == 2:
                ledger.put("province", key, *texts)
        for family, length in shorts.get(code, []):
            try:
                more = addressing.write(spaces[family].take(length), family)
            except OutOfSpace:
                mistakes.append(_too_small(plan, family, length, plan.regions[code]))
                continue
            number = next(n for n in range(2, 1000) if ledger.get("province", f"{key}#{n}") is None)
            ledger.put("province", f"{key}#{number}", *((more, NONE) if family == 4 else (NONE, more)))
    return mistakes


def province_labels(plan: Plan, layout: Layout, ledger: Ledger) -> dict[str, str]:
    """Province → its label: siblings of one another, so the nation grants them."""
    grants = Grants(plan, ledger, MINISTRY, [], [])
    keys = {code: layout.key[code] for code in sorted((*layout.provinces, *layout.units))}
    readings = {keys[code]: plan.names.readings.get(code, plan.regions[code].reading) for code in keys}
    labels = grants.labels(readings, dict.fromkeys(readings, MINISTRY))
    return {code: labels[key] for code, key in keys.items()}


def _too_small(plan: Plan, family: int, length: int, row: Row) -> Mistake:
    document = plan.documents["addressing.yml"]
    place = document.place(("supernets", f"ipv{family}"))
    supernet = plan.addressing.supernets.ipv4 if family == 4 else plan.addressing.supernets.ipv6
    what = f"the supernet {supernet} has no room left for its block of /{length}"
    cure = "Widen the supernet, shorten the zones, or lower the reserves in addressing.yml."
    return Mistake(document.file, *place, "JB1209", f"{row.name} ({row.code})", what, cure)


def check_pins(plan: Plan, layout: Layout, ledger_of: Callable[[str], Ledger], national: Ledger) -> list[Mistake]:
    """A pin for a granted region is refused; one for a city has to lie in its province's blocks."""
    document = plan.documents["plan.yml"]
    mistakes = []
    for index, pin in enumerate(plan.plan.pins):
        row = plan.regions[pin.region]
        top = row.level in ("ministry", "province")
        named = f"{row.name} ({pin.region})"
        key = layout.key[pin.region]
        held = national.get("province", key) if top else ledger_of(layout.unit[pin.region]).get("block", key)
        for family, text in ((4, pin.ipv4), (6, pin.ipv6)):
            if held is None or text is None or held[family == 6] == text:
                continue
            place = document.place(("pins", index, f"ipv{family}"))
            what = f"holds {held[family == 6]} since it was granted and cannot be pinned to {text}"
            cure = "Delete the pin: a grant is for ever; a move is a planned renumbering."
            mistakes.append(Mistake(document.file, *place, "JB1304", named, what, cure))
    return mistakes


def pins_outside(plan: Plan, layout: Layout, blocks: Mapping[str, tuple[list[Block], list[Block]]]) -> list[Mistake]:
    """A city's pin has to lie in its province's blocks, or nobody would announce it."""
    document = plan.documents["plan.yml"]
    mistakes = []
    for index, pin in enumerate(plan.plan.pins):
        row = plan.regions[pin.region]
        province = row.parent
        if row.level != "prefecture" or province not in blocks:
            continue
        for family, text in ((4, pin.ipv4), (6, pin.ipv6)):
            held = blocks[province][family == 6]
            if text is None or any(
                addressing.contains(block, addressing.parse(text, family), family) for block in held
            ):
                continue
            listed = ", ".join(addressing.write(block, family) for block in held)
            what = f"the pinned prefix {text} lies outside its province's {listed}"
            cure = f"Give a prefix inside {listed}, or pin the province to one that holds it while it has none."
            place = document.place(("pins", index, f"ipv{family}"))
            mistakes.append(Mistake(document.file, *place, "JB1211", f"{row.name} ({pin.region})", what, cure))
    return mistakes
