"""`jinbao plan`: init, check, compile, show, export, import, moved, schema."""

from __future__ import annotations

import shutil
import time
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from ground import invocation
from ground.invocation import Format, Plan, State

app = typer.Typer(no_args_is_help=True, help="Plans: check, compile into the ledger and the Network, show.")


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
def check(plan: Plan = invocation.PLAN, format: Format = "table") -> None:
    """Read a plan and say every mistake in it at once."""
    from ip_plan import layout as layouts
    from ip_plan import plan as plans

    with invocation.guarded():
        started = time.perf_counter()
        found = plans.load(plan)
        layout = layouts.lay_out(found)
        sites = sum(len(members) for members in layout.members.values())
        answer = {
            "plan": found.name,
            "regions": len(found.regions),
            "in_scope": sites,
            "rows": len(found.rows),
            "seconds": round(time.perf_counter() - started, 3),
        }
        if format == "json":
            invocation.emit(answer)
        else:
            print(f"{found.name}: {sites} regions in scope, {len(found.rows)} decided rows; no mistakes")


@app.command("compile")
def compile_(plan: Plan = invocation.PLAN, state: State = invocation.STATE, format: Format = "table") -> None:
    """Compile a plan: grants into the ledger, and the Network that everything else reads."""
    from ip_plan import compile as compiler

    with invocation.guarded():
        started = time.perf_counter()
        outcome = compiler.compile_plan(plan, state)
        seconds = time.perf_counter() - started
        if format == "json":
            invocation.emit({"outcome": outcome, "seconds": round(seconds, 3)})
        else:
            print(
                f"{outcome.plan}: {outcome.regions} regions, {outcome.sites} sites, {outcome.devices} devices; "
                f"{outcome.grants} grants ({outcome.new} new, {outcome.gone} gone), {outcome.changed} files changed, "
                f"{seconds:.1f} s"
            )
            print(f"ledger {outcome.ledger}, Network {outcome.network}")


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
        today = clock.moment(clock.now()).date()
        for each in found:
            age = f"since {each.since} ({(today - date.fromisoformat(each.since)).days} days)" if each.since else ""
            print(
                f"{each.name} ({each.region}): {each.sites} sites, served by {each.served_by}, "
                f"addresses in the blocks of {each.holder} {age}".rstrip()
            )
        print(f"{len(found)} regions moved with their addresses")


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
