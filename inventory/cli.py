"""`jinbao config`: render, zones, inventory, prove, diff, remediate, adopt, topology, document; `fetch` is put in by the front door."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from ground import invocation, reach, tree
from ground.invocation import At, Format, Plan, Scheduler, State
from inventory.adopt.command import adopt_command
from inventory.command import diff_command, remediate_command
from inventory.proof.command import prove_command

app = typer.Typer(no_args_is_help=True, help="What each device gets, and what it runs.")

app.command("prove")(prove_command)
app.command("diff")(diff_command)
app.command("remediate")(remediate_command)
app.command("adopt")(adopt_command)

Provinces = Annotated[
    list[str] | None, typer.Option("--province", help="Only this province (two characters); may be repeated.")
]
Devices = Annotated[list[str] | None, typer.Option("--device", help="Only this device; may be repeated.")]


@app.command()
def render(
    plan: Plan = invocation.PLAN,
    at: At = invocation.AT,
    state: State = invocation.STATE,
    province: Provinces = None,
    device: Devices = None,
    scheduler: Scheduler = "",
    format: Format = "table",
) -> None:
    """Write every device's files below <state>/build/<twin or production>/<plan>; touches only what changed.

    What is named with --province or --device is compared file by file, also where nothing changed since it was rendered.
    """
    from ground import work
    from inventory import render as renderer
    from ip_plan import compile as compiler
    from ip_plan import network as networks

    with invocation.guarded():
        stored = compiler.compile_plan(plan, state).network
        network = networks.load(stored, None if device else ())
        renderer.require(network, province, device)
        with work.cluster(scheduler) as executor:
            written = renderer.write(
                tree.place(state, at, network.meta.name), network, provinces=province, devices=device,
                lab=at.startswith("twin:"), stored=None if device else stored, executor=executor,
            )  # fmt: skip
        if format == "json":
            invocation.emit(written)
            return
        for name in written.changed[:20]:
            print(f"~ {name}")
        if len(written.changed) > 20:
            print(f"… {len(written.changed) - 20} more")
        for name in written.removed:
            print(f"- {name}")
        print(
            f"{written.devices} devices, {written.files} files; {len(written.changed)} changed, {len(written.removed)} removed."
        )


@app.command()
def zones(
    out: Annotated[Path, typer.Option("--out", help="The folder to write into.")],
    plan: Plan = invocation.PLAN,
    at: At = invocation.AT,
    state: State = invocation.STATE,
    province: Provinces = None,
    format: Annotated[str, typer.Option("--format", help="bind: master files; octodns: its YAML.")] = "bind",
) -> None:
    """Write all forward and reverse zones as files, with the serials of what was rendered for the target."""
    from inventory import render as renderer
    from inventory import zones as zonefiles
    from inventory.dns import Serials
    from ip_plan import compile as compiler
    from ip_plan import network as networks

    with invocation.guarded():
        form = zonefiles.form(format)
        stored = compiler.compile_plan(plan, state).network
        network = networks.load(stored, ())
        renderer.require(network, province, None)
        states = renderer.read_states(tree.place(state, at, network.meta.name), province)
        serials = {name: Serials(rendered.serials) for name, rendered in states.items()}
        written = zonefiles.write(out, stored, provinces=province, form=form, serials=serials)
        print(
            f"{written.zones} zones, {written.records} records; "
            f"{len(written.changed)} files changed, {len(written.removed)} removed."
        )


@app.command()
def inventory(
    plan: Plan = invocation.PLAN,
    at: At = invocation.AT,
    state: State = invocation.STATE,
    list_: Annotated[bool, typer.Option("--list", help="Every device and group, as Ansible asks.")] = False,
    host: Annotated[str, typer.Option("--host", help="The variables of one device.")] = "",
    province: Annotated[
        str, typer.Option("--province", help="Only these provinces, with commas.", envvar="JINBAO_PROVINCE")
    ] = "",
) -> None:
    """The Ansible inventory of the rendered devices of a target (`ansible-playbook -i inventory/hosts …`)."""
    from ground import work
    from inventory import ansible
    from inventory import render as renderer
    from ip_plan import folder

    with invocation.guarded(), work.uncollected():
        build = tree.place(state, at, plan).absolute()
        if plan != Path(plan).name or not build.is_dir():
            build = tree.place(state, at, folder.name_of(plan)).absolute()
        wanted = [part for part in province.split(",") if part]
        states = renderer.read_states(build, wanted or None)
        if not states:
            raise ansible.nothing_rendered(build)
        path = reach.file(state.absolute(), at)
        try:
            reaches = reach.read(path)
        except FileNotFoundError:
            raise ansible.unreachable(path, at) from None
        known = ansible.remember(path.parent, reaches)
        listed = ansible.inventory(states, reaches, known, build, state.absolute())
        # In one line: Ansible reads it, and setting out 25 MB for people takes longer than all the rest.
        sys.stdout.write(
            msgspec.json.encode(listed["_meta"]["hostvars"].get(host, {}) if host else listed).decode() + "\n"
        )


@app.command()
def topology(
    region: Annotated[str, typer.Option("--region", help="Code of the region in the middle.")],
    out: Annotated[Path, typer.Option("--out", help="The SVG file to write.")],
    plan: Plan = invocation.PLAN,
    state: State = invocation.STATE,
) -> None:
    """Draw a region as an SVG: who serves it, the sites it serves, every line with its addresses."""
    from ground import files, mistake
    from inventory import topology as topologies
    from ip_plan import compile as compiler

    with invocation.guarded():
        network = compiler.compiled(plan, state)
        site = topologies.site_of(network, region)
        if site is None:
            cure = "Give the code of a region in scope (`jinbao plan show`)."
            raise mistake.one("JB2150", "has no site in this plan", cure, subject=region)
        files.write(out, topologies.draw(network, site).encode())
        print(out)


@app.command()
def document(
    region: Annotated[list[str], typer.Option("--region", help="Code of a region; may be repeated.")],
    out: Annotated[Path, typer.Option("--out", help="The folder to write to.")],
    plan: Plan = invocation.PLAN,
    at: At = invocation.AT,
    state: State = invocation.STATE,
) -> None:
    """Write Markdown pages: a region's addresses, lines, zones and names, and each of its devices with its policies."""
    from ground import files, mistake
    from inventory import document as documents
    from ip_plan import compile as compiler

    with invocation.guarded():
        network = compiler.compiled(plan, state)
        build = tree.place(state, at, network.meta.name)
        known = {site.region for site in network.sites.values()}
        cure = "Give the code of a region in scope (`jinbao plan show`)."
        wrong = [
            mistake.Mistake("", None, None, "JB2150", code, "has no site in this plan", cure)
            for code in region
            if code not in known
        ]
        if wrong:
            raise mistake.Mistakes(wrong)
        written = {out / f"{code}.md": documents.region(network, code) for code in region}
        for site in network.sites.values():
            for one in network.devices_of(site) if site.region in region else ():
                written[out / f"{one.name}.md"] = documents.device(network, one, build / one.name)
        changed = [path for path, text in written.items() if files.write(path, text, durable=False)]
        for path in changed[:20]:
            print(f"~ {path}")
        print(f"{len(written)} pages, {len(changed)} changed")
