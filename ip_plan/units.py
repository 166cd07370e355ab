"""Units: each runs its own plan, with a ledger of its own (分级管理, S2 一). What passes between two of them are files.

Down goes a grant file: the lines of the ministry's ledger about the province and the ministry's own centre, and that centre as the
far end of the province's lines. Up goes a report: the province's centre, and the ends of its lines at the ministry. A province's
plan names its grant file (`grants:`), the ministry's names each unit with its report (`units:`); both then compile to the Network
that one plan of the whole would give.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from ground import files
from ground.mistake import Mistake, Mistakes
from ip_plan import addressing
from ip_plan import ledger as ledgers
from ip_plan import part as parts
from ip_plan.assemble import Top, Uplink, build
from ip_plan.grants import NONE, blocks_of
from ip_plan.layout import MINISTRY, Layout, lay_out, province_key
from ip_plan.ledger import Ledger
from ip_plan.plan import Plan

GRANTS, REPORT = "jinbao grants 1", "jinbao report 1"
Blocks = tuple[list[addressing.Block], list[addressing.Block]]
AGAIN = "Have it exported again (`jinbao plan grants`), and never edit it."


class Grant(msgspec.Struct, frozen=True):
    """What the ministry grants a province, and all that the province has to know of it."""

    form: str
    plan: str
    """Name of the plan that granted."""
    unit: str
    """Code of the province."""
    terms: dict[str, str]
    """What both plans have to say alike, or their addresses and names would not fit together."""
    ledger: tuple[str, ...]
    """Lines of the ministry's ledger."""
    top: Top
    seal: str = ""
    """SHA-256 over the rest."""


class Report(msgspec.Struct, frozen=True):
    """What the ministry has to know of a province."""

    form: str
    plan: str
    unit: str
    grants: str
    """Seal of the grant file that it was compiled from."""
    top: Top
    uplinks: tuple[Uplink, ...]
    seal: str = ""


class Handed(msgspec.Struct, frozen=True):
    """The files of other units that a plan names."""

    grant: Grant | None = None
    ledger: Ledger | None = None
    """Of the grant file."""
    reports: dict[str, Report] = {}
    """Province → what it handed up."""


File = TypeVar("File", Grant, Report)


def sealed(value: File) -> File:
    """The same with its seal."""
    bare = msgspec.structs.replace(value, seal="")
    return msgspec.structs.replace(bare, seal=files.sha256(msgspec.json.encode(bare, order="deterministic")))


def read(plan: Plan) -> tuple[Handed, list[Mistake]]:
    """The files that the plan names, and what is wrong with them (JB1330, JB1331)."""
    mistakes: list[Mistake] = []
    grant = _read(plan, ("grants",), plan.plan.grants, Grant, GRANTS, mistakes) if plan.plan.grants else None
    book = None
    if grant is not None:
        book, wrong = ledgers.parse(ledgers.HEADER + "".join(f"{line}\n" for line in grant.ledger), plan.plan.grants)
        mistakes += wrong or ledgers.faults(book, plan.plan.grants)
        own = terms(plan)
        for name in sorted(own.keys() | grant.terms.keys()):
            if own.get(name) != grant.terms.get(name):
                what = (
                    f"is of another plan: its {name} is {grant.terms.get(name, '-')}, here it is {own.get(name, '-')}"
                )
                cure = f"Take the grants of the ministry's plan that this one belongs to, or its {name}."
                mistakes.append(_wrong(plan, ("grants",), "JB1331", grant.plan, what, cure))
    reports = {}
    for index, unit in enumerate(plan.plan.units):
        if unit.report:
            path = ("units", index, "report")
            report = _read(plan, path, unit.report, Report, REPORT, mistakes)
            if report is not None and report.unit != unit.region:
                what = f"is the report of {report.unit}, and named as that of {unit.region}"
                mistakes.append(_wrong(plan, path, "JB1331", report.plan, what, "Name each unit's own report."))
            elif report is not None:
                reports[unit.region] = report
    return Handed(grant, book, reports), mistakes


def _read(
    plan: Plan, path: tuple[str | int, ...], name: str, type_: type[File], form: str, mistakes: list[Mistake]
) -> File | None:
    try:
        found = msgspec.json.decode((plan.folder / name).read_bytes(), type=type_)
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        what = f"is damaged, or no such file of this program: {error}"
    else:
        if found.form == form and sealed(found).seal == found.seal:
            return found
        what = "is damaged: what it says is not what its seal was made over"
        if found.form != form:
            what = f"says that it is `{found.form}`, and `{form}` is asked for"
    mistakes.append(_wrong(plan, path, "JB1330", name, what, AGAIN))
    return None


def _wrong(plan: Plan, path: tuple[str | int, ...], code: str, subject: str, what: str, cure: str) -> Mistake:
    document = plan.documents["plan.yml"]
    return Mistake(document.file, *document.place(path), code, subject, what, cure)


def terms(plan: Plan) -> dict[str, str]:
    """What two plans have to say alike."""
    said: dict[str, str | int] = {
        "root": plan.names.root,
        "IPv4 supernet": plan.addressing.supernets.ipv4,
        "IPv6 supernet": plan.addressing.supernets.ipv6,
        "first AS number": plan.addressing.asn.first,
        "AS numbers per province": plan.addressing.asn.per_province,
    }
    lengths = plan.addressing.ipv6.model_dump(exclude={"reason"})
    return {name: str(value) for name, value in said.items()} | {
        f"IPv6 {name} length": f"/{length}" for name, length in lengths.items()
    }


def take_in(plan: Plan, layout: Layout, handed: Handed, national: Ledger) -> list[Mistake]:
    """Put the lines of the grant file into the nation's part of the unit's ledger; nothing else is ever in it.

    Mistakes: JB1332 it is another unit's, JB1333 it is older than the ledger, JB1334 it contradicts the ledger.
    """
    grant, book = handed.grant, handed.ledger
    if grant is None or book is None:
        return []
    here = ("grants",)
    if layout.provinces != (grant.unit,) or MINISTRY in layout.scope:
        listed = ", ".join((*layout.provinces, *([MINISTRY] if MINISTRY in layout.scope else [])))
        what = f"grants to {grant.unit}, and the plan's scope is {listed or 'empty'}"
        cure = f"Give the plan a scope within {grant.unit}; each unit has a plan of its own."
        return [_wrong(plan, here, "JB1332", grant.plan, what, cure)]
    other = [key for key, held in national.grants.items() if book.grants.get(key, held) != held]
    if other:
        kind, key = other[0]
        now, held = book.grants[kind, key], national.grants[kind, key]
        what = (
            f"contradicts the ledger: {kind} {key} is {' '.join(now)} in it and {' '.join(held)} in the ledger "
            f"({len(other)} lines differ)"
        )
        cure = (
            "A grant is for ever: find out which of the two is the ministry's, and take the other from the last commit."
        )
        return [_wrong(plan, here, "JB1334", grant.plan, what, cure)]
    missing = [key for key in national.grants if key not in book.grants]
    if missing:
        kind, key = missing[0]
        what = f"is older than the ledger: it lacks {kind} {key} ({len(missing)} lines)"
        cure = "Take the newest grant file that the ministry handed over."
        return [_wrong(plan, here, "JB1333", grant.plan, what, cure)]
    for (kind, key), (first, second) in book.grants.items():
        national.put(kind, key, first, second)
    national.gone = set(book.gone)
    return []


def check_reports(
    plan: Plan, layout: Layout, handed: Handed, national: Ledger, blocks: Mapping[str, Blocks]
) -> list[Mistake]:
    """Reports that do not fit to what was granted (JB1335)."""
    found = []
    places = {unit.region: index for index, unit in enumerate(plan.plan.units)}
    for code, report in handed.reports.items():
        if code not in blocks:
            continue
        texts = [text for zone in report.top.site.zones for text in (zone.v4, zone.v6)]
        texts += [
            address for device in report.top.devices for address in (device.loopback4, device.loopback6) if address
        ]
        texts += [addressing.prefix(text) for up in report.uplinks for text in (up.interface.v4, up.interface.v6)]
        outside = [text for text in texts if not _within(text, blocks[code])]
        label = (national.get("label", layout.key[code]) or (report.top.region.label,))[0]
        what = ""
        if outside:
            what = f"uses {outside[0]}, which lies in no block of {code}"
        elif report.top.region.label != label:
            what = f"has the label {report.top.region.label}, and {label} was granted"
        if what:
            cure = "Have the province compile from its newest grant file and export its report again."
            found.append(_wrong(plan, ("units", places[code], "report"), "JB1335", report.plan, what, cure))
    return found


def _within(text: str, blocks: Blocks) -> bool:
    family = 6 if ":" in text else 4
    block = addressing.parse(text, family)
    return any(addressing.contains(outer, block, family) for outer in blocks[family == 6])


def further(plan: Plan, layout: Layout, national: Ledger) -> dict[str, list[tuple[int, int]]]:
    """Province → (family, length) of the further blocks that the plan gives it and the ledger does not hold yet."""
    found: dict[str, list[tuple[int, int]]] = {}
    for unit in plan.plan.units:
        key = layout.key[unit.region]
        held = []
        for name, grant in national.of("province").items():
            if name.startswith(f"{key}#"):
                family = 4 if grant[0] != NONE else 6
                held.append((family, addressing.parse(grant[family == 6], family)[1]))
        for more in unit.further:
            wanted = (more.family, more.length)
            if wanted in held:
                held.remove(wanted)
            else:
                found.setdefault(unit.region, []).append(wanted)
    return found


def lacking(plan: Plan, code: str, family: int, length: int) -> Mistake:
    """The unit needs a block that only the ministry can grant."""
    what = f"the blocks of {code} have no room for an IPv{family} block of /{length}"
    cure = (
        f"Ask the ministry for `further: [{{family: {family}, length: {length}, reason: …}}]` at its unit {code}, "
        "and for the new grant file."
    )
    return _wrong(plan, ("grants",), "JB1336", code, what, cure)


def hand_over(plan: Plan, ledger: Path, network: Path, folder: Path) -> list[Path]:
    """Write what the other units have to know into `folder`; returns the files that changed.

    Of the ministry's plan that is a grant file for each of its units, of a province's its report; `ledger` and `network` are
    those of a compile of the plan as it stands. Raises Mistakes: JB1330, JB1331, and JB1337 where the plan knows no other unit.
    """
    layout = lay_out(plan)
    handed, mistakes = read(plan)
    national, wrong = ledgers.read(ledger, "00")
    if mistakes or wrong:
        raise Mistakes([*mistakes, *wrong])
    made: dict[str, Grant | Report] = {}
    if handed.grant is not None:
        code = handed.grant.unit
        part = parts.read(network).get(province_key(code))
        if part is not None and part.top is not None:
            made[code] = sealed(Report(REPORT, plan.name, code, handed.grant.seal, part.top, part.uplinks))
    elif plan.plan.units:
        held4, held6 = (blocks_of(national, "province", layout.key[MINISTRY], family) for family in (4, 6))
        top = build(plan, layout, MINISTRY, national, held4, held6, None)[2]
        assert top is not None
        made = {code: _grant(plan, layout, national, top, code) for code in layout.units}
    if not made:
        what, cure = (
            "knows no other unit",
            "Name the provinces that run themselves under `units:`, or a grant file at `grants:`.",
        )
        raise Mistakes([_wrong(plan, (), "JB1337", plan.name, what, cure)])
    changed = []
    for code, value in sorted(made.items()):
        path = folder / f"{province_key(code)}-{'grants' if isinstance(value, Grant) else 'report'}.json"
        if files.write(path, msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"):
            changed.append(path)
    return changed


def _grant(plan: Plan, layout: Layout, national: Ledger, top: Top, code: str) -> Grant:
    concerned = {layout.key[code], layout.key[MINISTRY]}
    kept = {
        (kind, key): value
        for (kind, key), value in national.grants.items()
        if kind not in ("province", "label") or key.partition("#")[0] in concerned
    }
    text = ledgers.text(Ledger(kept, national.gone & kept.keys()))
    return sealed(Grant(GRANTS, plan.name, code, terms(plan), tuple(text.splitlines()[1:]), top))
