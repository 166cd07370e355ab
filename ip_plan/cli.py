"""`jinbao plan`: init, check, compile, diff, show, catalogue, export, import, moved, forecast, schema."""

from __future__ import annotations

import shutil
import sys
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ground import invocation
from ground.invocation import Format, Plan, Review, Scheduler, State

if TYPE_CHECKING:
    from ground.mistake import Mistake
    from ip_plan.change import Change, Difference, Reach
    from ip_plan.forecast import Forecast

app = typer.Typer(no_args_is_help=True, help="Plans: check, compare, compile into the ledger and the Network, show.")

SHOWN = 12
"""Regions of which a table names every kind of change; and provinces in its summary."""
LINES = 6
"""Changes of one region that a table names."""


@app.command()
def init(folder: Path, plan: Plan = "national") -> None:
    """Copy a shipped plan to FOLDER, to edit and keep in your own repository."""
    from ip_plan import plan as plans
    from ip_plan import schema

    with invocation.guarded():
        if folder.exists() and any(folder.iterdir()):
            print(f"{folder} is not empty; nothing was written")
            invocation.leave(invocation.FAILED)
        found = plans.load(plan)
        folder.mkdir(parents=True, exist_ok=True)
        for name in schema.FILES:
            source = Path(found.documents[name].file)
            shutil.copyfile(source, folder / name)
        text = (folder / "plan.yml").read_text()
        lines = [line for line in text.splitlines() if not line.startswith("base:")]
        (folder / "plan.yml").write_text("\n".join(lines) + "\n")
        print(f"{folder}: {', '.join(schema.FILES)}")


@app.command()
def check(plan: Plan = invocation.PLAN, format: Review = "table") -> None:
    """Read a plan and say every mistake in it at once."""
    from ground import findings
    from ground.mistake import Mistakes
    from ip_plan import folder as folders
    from ip_plan import layout as layouts
    from ip_plan import plan as plans
    from ip_plan import schema, units

    with invocation.guarded():
        started = time.perf_counter()
        folder, _ = folders.folder_of(plan)
        judged = [str(folder / name) for name in schema.FILES if (folder / name).exists()]
        try:
            found = plans.load(plan)
            layout = layouts.lay_out(found)
            if wrong := units.read(found)[1]:
                raise Mistakes(wrong)
        except Mistakes as mistakes:
            if format not in findings.FORMATS:
                raise
            print(findings.text(format, "plan check", judged, mistakes.found), end="")
            invocation.leave(invocation.FAILED)
        if format in findings.FORMATS:
            print(findings.text(format, "plan check", judged, found.warnings), end="")
            return
        sites = sum(len(members) for members in layout.members.values())
        answer = {
            "plan": found.name,
            "regions": len(found.regions),
            "in_scope": sites,
            "rows": len(found.rows),
            "warnings": found.warnings,
            "seconds": round(time.perf_counter() - started, 3),
        }
        if format == "json":
            invocation.emit(answer)
        else:
            warn(found.warnings)
            print(f"{found.name}: {sites} regions in scope, {len(found.rows)} decided rows; no mistakes")


@app.command("compile")
def compile_(
    plan: Plan = invocation.PLAN,
    state: State = invocation.STATE,
    confirm: Annotated[str, typer.Option("--confirm", help="The plan's name: go beyond its limit.")] = "",
    approver: Annotated[str, typer.Option("--approver", help="Who agreed to what changes; kept with it.")] = "",
    scheduler: Scheduler = "",
    format: Format = "table",
) -> None:
    """Compile a plan: grants into the ledger, and the Network that everything else reads."""
    from ground import work
    from ip_plan import compile as compiler

    with invocation.guarded():
        started = time.perf_counter()
        with invocation.steps() as tell, work.cluster(scheduler) as executor:
            tell("compiling")
            outcome = compiler.compile_plan(plan, state, confirm=confirm, approver=approver, executor=executor)
        seconds = time.perf_counter() - started
        if format == "json":
            invocation.emit({"outcome": outcome, "seconds": round(seconds, 3)})
        else:
            warn(outcome.warnings)
            print(
                f"{outcome.plan}: {outcome.regions} regions, {outcome.sites} sites, {outcome.devices} devices; "
                f"{outcome.grants} grants ({outcome.new} new, {outcome.gone} gone), {outcome.changed} files changed, "
                f"{seconds:.1f} s"
            )
            print(f"ledger {outcome.ledger}, Network {outcome.network}")
            if outcome.change:
                print(f"change {outcome.change}" + (f", approved by {approver}" if approver else ""))


@app.command()
def diff(plan: Plan = invocation.PLAN, state: State = invocation.STATE, format: Format = "table") -> None:
    """What a compile of the plan as it stands would change, region by region, and how far it reaches; writes nothing."""
    from ip_plan import compile as compiler

    with invocation.guarded():
        with invocation.steps() as tell:
            tell("compiling beside")
            found = compiler.difference(plan, state)
        if format == "json":
            invocation.emit(found)
        else:
            print_difference(found)
        invocation.leave(invocation.FOUND if found.changes or found.granted or found.released else invocation.DONE)


def print_difference(found: Difference) -> None:
    """Print what would change: region by region, then how far it reaches."""
    regions = [(code, list(changes)) for code, changes in groupby(found.changes, key=lambda change: change.region)]
    for code, changes in regions[:SHOWN]:
        kinds = Counter(change.kind for change in changes)
        said = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        print(f"{code or 'whole plan'}: {said}")
        for change in changes[:LINES]:
            print(f"  {_line(change)}")
        if len(changes) > LINES:
            print(f"  … {len(changes) - LINES} more")
    if len(regions) > SHOWN:
        print(f"… {len(regions) - SHOWN} more regions; --format json has them all")
    for ended in found.ended:
        print(f"exception {ended}")
    if found.first:
        print(f"{found.plan}: nothing is compiled yet, everything is new")
    if found.granted or found.released:
        print(f"ledger: {found.granted} grants new, {found.released} released (kept for their return)")
    if not found.changes:
        print(f"{found.plan}: nothing changes in the Network")
        return
    for reach in found.provinces[:SHOWN]:
        print(_reach(f"{reach.province} {reach.name}", reach))
    if len(found.provinces) > SHOWN:
        print(f"… {len(found.provinces) - SHOWN} more provinces")
    over = f"; above it, `jinbao plan compile --confirm {found.plan}`" if found.whole.share > found.limit else ""
    print(f"change {found.id}")
    print(_reach(found.plan, found.whole) + f"; the plan's limit is {found.limit:.0%}{over}")


SIGNS = {"added": "+", "removed": "-"}


def _line(change: Change) -> str:
    what = f"{SIGNS.get(change.kind, '~')} {change.thing} {change.key}"
    if not change.field and change.kind != "changed":
        return f"{what}  {change.old or change.new}"
    return f"{what} {change.field}".rstrip() + f": {change.kind}, {change.old or '-'} → {change.new or '-'}"


def _reach(name: str, reach: Reach) -> str:
    more = reach.devices - reach.counted
    return (
        f"{name}: {reach.counted} of {reach.existing} devices change or go ({reach.share:.1%}), "
        f"{more} get something added, {reach.added} are new; {reach.sites} sites, {reach.regions} regions"
    )


def warn(warnings: Sequence[Mistake]) -> None:
    """Say what is no mistake yet."""
    for warning in warnings:
        print(warning, file=sys.stderr)


@app.command()
def show(
    what: Annotated[str, typer.Argument(help="An address, a name, a region code, a device or a site.")],
    plan: Plan = invocation.PLAN,
    state: State = invocation.STATE,
    format: Format = "table",
) -> None:
    """Who owns an address, a name or a code, and why."""
    from ip_plan import compile as compiler
    from ip_plan import lookup

    with invocation.guarded():
        found = lookup.find(compiler.compiled(plan, state), what)
        if format == "json":
            invocation.emit(found)
        else:
            for line in found:
                print(f"{line.kind:<10} {line.key:<36} {line.value}  {line.reason}")
        if not found:
            print(f"{what}: nothing in the plan {plan} has it")
            invocation.leave(invocation.FOUND)


@app.command()
def catalogue(
    id: Annotated[str, typer.Argument(help="Of an entry, as SYS-19, DB-09 or FL-02; empty: all.")] = "",
    plan: Plan = invocation.PLAN,
    format: Format = "table",
) -> None:
    """The systems, databases and flows of the source documents, and what becomes of each here."""
    from ip_plan import catalogue as catalogues
    from ip_plan import plan as plans

    with invocation.guarded():
        known = catalogues.shipped()
        listed = [known.find(id)] if id else list(known.entries.values())
        services = plans.load(plan).flows.services
        if format == "json":
            invocation.emit([catalogues.told(entry, known, services) for entry in listed])
        elif id:
            for key, value in catalogues.told(listed[0], known, services).items():
                print(f"{key:<8} {value}")
        else:
            for entry in listed:
                print(f"{entry.id:<8} {entry.state:<20} {entry.title.zh}  {entry.title.en}")


@app.command()
def export(
    target: Annotated[
        Path, typer.Argument(help="A folder for a workbook a province; or one .xlsx file for one province.")
    ],
    plan: Plan = invocation.PLAN,
    state: State = invocation.STATE,
    province: Annotated[
        list[str] | None, typer.Option("--province", help="Only this province (two characters; 00: the ministry).")
    ] = None,
    format: Format = "table",
) -> None:
    """Write a workbook a province: regions, address blocks with their reserve, sites, zones, devices, lines, services."""
    from ip_plan import compile as compiler
    from ip_plan import workbook

    with invocation.guarded():
        written = workbook.export(plan, state, compiler.compile_plan(plan, state), target, province)
        if format == "json":
            invocation.emit(written)
        else:
            for book in written:
                print(f"{'~' if book.changed else '='} {book.file}  {book.rows} rows")


@app.command("import")
def import_(
    sources: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Workbooks (.xlsx) and CSV files (.csv).")],
    plan: Plan = invocation.PLAN,
    state: State = invocation.STATE,
    format: Format = "table",
) -> None:
    """Take in what offices have: existing addresses into the ledger as they are, division tables into the plan's regions."""
    from ip_plan import intake

    with invocation.guarded():
        taken = intake.take_in(plan, state, sources)
        if format == "json":
            invocation.emit(taken)
        else:
            print(
                f"{taken.rows} rows in {taken.tables} tables of {taken.files} files: {taken.new} new grants, "
                f"{taken.held} held already, {taken.regions} regions added or changed"
            )
            for path in taken.changed:
                print(f"~ {path}")


@app.command()
def grants(
    folder: Annotated[Path, typer.Argument(help="Where the files go.")],
    plan: Plan = invocation.PLAN,
    state: State = invocation.STATE,
) -> None:
    """Write what other units start from: of the ministry's plan a grant file per unit, of a province's its report."""
    from ip_plan import compile as compiler
    from ip_plan import plan as plans
    from ip_plan import units

    with invocation.guarded():
        outcome = compiler.compile_plan(plan, state)
        for path in units.hand_over(plans.load(plan), outcome.ledger, outcome.network, folder):
            print(f"~ {path}")


@app.command()
def moved(plan: Plan = invocation.PLAN, state: State = invocation.STATE, format: Format = "table") -> None:
    """Regions that moved and keep their addresses in another's block until they are renumbered."""
    from ground import clock
    from ip_plan import compile as compiler
    from ip_plan import divisions
    from ip_plan import plan as plans

    with invocation.guarded():
        found = divisions.moved(compiler.compiled(plan, state), plans.load(plan).plan.changes)
        if format == "json":
            invocation.emit(found)
            return
        for each in found:
            age = f"since {each.since} ({(clock.today() - each.since).days} days)" if each.since else ""
            print(
                f"{each.name} ({each.region}): {each.sites} sites, served by {each.served_by}, "
                f"addresses in the blocks of {each.holder} {age}".rstrip()
            )
        print(f"{len(found)} regions moved with their addresses")


@app.command()
def renumber(
    region: Annotated[str, typer.Argument(help="Code of a county (with its townships) or a township.")],
    plan: Plan = invocation.PLAN,
    format: Format = "table",
) -> None:
    """The next stage of a region's renumbering, as the row for the plan's change table; writes nothing."""
    from ground import clock
    from ip_plan import plan as plans
    from ip_plan import renumber as renumbering

    with invocation.guarded():
        found = plans.load(plan)
        said = renumbering.propose(found, region)
        if format == "json":
            invocation.emit(said)
            return
        place = "a new row" if said.row is None else f"in place of row {said.row + 1}"
        print(f"# {said.name} ({said.region}), {place} under `changes:`; {said.what}")
        print(renumbering.text(said, clock.today(), f"renumbering of {said.name}"))


@app.command()
def forecast(
    plan: Plan = invocation.PLAN,
    state: State = invocation.STATE,
    region: Annotated[str, typer.Option("--region", help="Code of a province or a city; empty: all.")] = "",
    villages: Annotated[
        int | None, typer.Option("--villages", min=1, help="Terminals in each village of a further level.")
    ] = None,
    format: Format = "table",
) -> None:
    """Use and reserve of every block, when it runs out at the plan's growth, and what a level of villages would take."""
    from ground import clock
    from ip_plan import forecast as forecasts
    from ip_plan import layout as layouts
    from ip_plan import ledger as ledgers
    from ip_plan import plan as plans

    with invocation.guarded():
        found = plans.load(plan)
        book = partial(ledgers.held, found.ledger(state))
        with invocation.steps() as tell:
            tell("reading the ledger")
            said = forecasts.forecast(found, layouts.lay_out(found), book, clock.today().year, villages, region)
        if format == "json":
            invocation.emit(said)
        else:
            print_forecast(said)


def print_forecast(said: Forecast) -> None:
    """Print a line for each block, and what the figures rest on."""
    for use in said.uses:
        largest = f"/{use.largest}" if use.largest is not None else "none"
        room = " ".join(f"/{length}×{count}" for length, count in use.room.items())
        further = ""
        if use.further:
            lacking = use.further.lacking
            fits = "fit" if lacking is None else f"lack a /{lacking}"
            further = f"; {use.further.villages} villages of /{use.further.length} {fits}"
        print(
            f"{use.region or said.plan:<12} {use.name:<14} IPv{use.family} {' '.join(use.blocks):<20} {use.share:>6.1%} granted, "
            f"runs out {use.runs_out or '-'}, largest hole {largest}, room {room or '-'}{further}"
        )
    grows = f"{said.growth:.1%} a year from {said.year}" if said.growth else "the plan gives no growth_per_year"
    print(f"growth: {grows}" + (f" ({said.growth_reason})" if said.growth_reason else ""))
    if said.sample:
        print(said.sample)


@app.command()
def schema(
    folder: Annotated[Path | None, typer.Argument(help="Write one JSON Schema a plan file here; empty: print.")] = None,
) -> None:
    """The JSON Schema of every plan file, for editors."""
    import json

    from ground import files
    from ip_plan import schema as schemas

    for name, model in schemas.FILES.items():
        text = json.dumps(model.model_json_schema(by_alias=True), indent=1, ensure_ascii=False, sort_keys=True) + "\n"
        if folder is None:
            print(f"# {name}\n{text}")
        else:
            files.write(folder / name.replace(".yml", ".json"), text)
