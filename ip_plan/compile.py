"""Plan → ledger → Network: reading, staging, and moving files in place, province by province.

What is granted and assembled are functions of values in the files beside this one. A run that is cut off leaves the ledger and
the last Network as they were.
"""

from __future__ import annotations

import gc
import os
import shutil
from concurrent.futures import Executor
from pathlib import Path

import msgspec

from ground import files, work
from ground.mistake import Mistake, Mistakes
from ip_plan import ledger as ledgers
from ip_plan import nation
from ip_plan import plan as plans
from ip_plan.addressing import Block
from ip_plan.assemble import Top, Uplink, build
from ip_plan.grants import Grants, Short, blocks_of
from ip_plan.layout import MINISTRY, Layout, lay_out, province_key
from ip_plan.ledger import Ledger
from ip_plan.network import Index, Meta, Network, Shard, load
from ip_plan.plan import Plan

NATION = "00"


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
    top: Top | None
    """Its own centre, for the ministry's shard."""
    uplinks: tuple[Uplink, ...]
    staged: tuple[tuple[str, str], ...]
    """(staged file, final file)."""
    short: tuple[int, int] | None = None
    """(family, length) of the block the nation has to grant first."""
    mistakes: tuple[Mistake, ...] = ()


class Outcome(msgspec.Struct, frozen=True):
    """What a compile did, for people and programs."""

    plan: str
    regions: int
    sites: int
    devices: int
    grants: int
    new: int
    gone: int
    changed: int
    """Files that changed."""
    network: Path
    ledger: Path
    warnings: tuple[Mistake, ...] = ()


class _Context(msgspec.Struct):
    """What the provinces share."""

    plan: Plan
    layout: Layout
    ledgers: Path
    staging: Path
    out: Path
    blocks: dict[str, tuple[list[Block], list[Block]]]
    labels: dict[str, str]
    top: Top | None


def _province(context: _Context, code: str) -> Part:
    """One province, in whatever process: reads its ledger, writes staged files."""
    gc.disable()
    try:
        name = province_key(code)
        ledger, mistakes = ledgers.read(context.ledgers, name)
        if mistakes:
            return _empty(name, mistakes=tuple(mistakes))
        before = len(ledger.gone)
        blocks = context.blocks[code]
        try:
            shard, grants, top, uplinks, mistakes = build(
                context.plan, context.layout, code, ledger, *blocks, context.top, context.labels[code]
            )
        except Short as short:
            return _empty(name, short=(short.family, short.length))
        if mistakes:
            return _empty(name, mistakes=tuple(mistakes))
        return _stage(context, shard, ledger, len(grants.new), before, top, uplinks)
    finally:
        gc.enable()


def _empty(name: str, short: tuple[int, int] | None = None, mistakes: tuple[Mistake, ...] = ()) -> Part:
    return Part(name, 0, 0, 0, 0, 0, 0, "", None, (), (), short, mistakes)


def _stage(
    context: _Context,
    shard: Shard,
    ledger: Ledger,
    new: int,
    before: int,
    top: Top | None,
    uplinks: tuple[Uplink, ...],
) -> Part:
    data = msgspec.json.encode(shard)
    staged = []
    for final, body in (
        (context.ledgers / f"{shard.province}.tsv", ledgers.text(ledger).encode()),
        (context.out / f"{shard.province}.json", data),
    ):
        path = context.staging / f"{final.parent.name}-{final.name}"
        path.write_bytes(body)
        staged.append((str(path), str(final)))
    return Part(
        shard.province, len(shard.regions), len(shard.sites), len(shard.devices), len(ledger.grants), new,
        len(ledger.gone) - before, files.sha256(data), top, uplinks, tuple(staged),
    )  # fmt: skip


def _meta(plan: Plan) -> Meta:
    settings: dict[str, str | int | float | bool] = dict(plan.plan.settings)
    settings |= {
        "corps_cities": plan.plan.corps_cities,
        "change_limit": plan.plan.change_limit,
        "witness_region": plan.plan.witness.region,
        "witness_zone": plan.plan.witness.zone,
        "sample": plan.plan.sample,
    }
    return Meta(
        name=plan.plan.name, title=plan.plan.title, scope=plan.plan.scope_text, root=plan.names.root,
        supernet4=plan.addressing.supernets.ipv4, supernet6=plan.addressing.supernets.ipv6,
        calendar=tuple(sorted(plan.plan.calendar.items())), settings=settings, choices=plan.choices,
    )  # fmt: skip


def compile_plan(name: str, state: Path, *, executor: Executor | None = None) -> Outcome:
    """Compile a plan (a folder, or a shipped plan's name) into its ledger and Network below `state`.

    Raises Mistakes with every mistake found; nothing is written then.
    """
    gc.disable()
    try:
        plan = plans.load(name)
        layout = lay_out(plan)
    finally:
        gc.enable()
    ledger_folder, out = plan.ledger(state), plan.network(state)
    try:
        ledger_folder.mkdir(parents=True, exist_ok=True)
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        cure = "Give another folder with --state, or make it writable."
        raise Mistakes(
            [Mistake(str(error.filename), None, None, "JB1305", "", f"cannot be written: {error.strerror}", cure)]
        ) from None
    with files.lock(ledger_folder / ".lock"):
        staging = state / "plans" / plan.name / f".staging-{os.getpid()}"
        for left in staging.parent.glob(".staging-*"):
            shutil.rmtree(left, ignore_errors=True)
        staging.mkdir(parents=True)
        try:
            return _compile(plan, layout, ledger_folder, out, staging, executor)
        except OSError as error:
            cure = "Free some space or give another --state; the ledger and the last Network are as they were."
            what = f"could not be written: {error.strerror}"
            raise Mistakes([Mistake(str(error.filename or out), None, None, "JB1305", "", what, cure)]) from None
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def _compile(
    plan: Plan, layout: Layout, ledger_folder: Path, out: Path, staging: Path, executor: Executor | None
) -> Outcome:  # fmt: skip
    national, mistakes = ledgers.read(ledger_folder, NATION)
    mistakes += nation.check_pins(
        plan, layout, lambda unit: ledgers.read(ledger_folder, province_key(unit))[0], national
    )
    largest_first = sorted(layout.provinces, key=lambda code: -len(layout.members[code]))
    shorts: dict[str, list[tuple[int, int]]] = {}
    done: dict[str, Part] = {}
    before = (len(national.grants), len(national.gone))
    while True:
        mistakes += nation.blocks(plan, layout, national, shorts)
        if mistakes:
            raise Mistakes(mistakes)
        shorts = {}
        labels = nation.province_labels(plan, layout, national)
        blocks = {
            code: (
                blocks_of(national, "province", layout.key[code], 4),
                blocks_of(national, "province", layout.key[code], 6),
            )
            for code in layout.demand
        }
        mistakes = nation.pins_outside(plan, layout, blocks)
        if mistakes:
            raise Mistakes(mistakes)
        # Provinces need the ministry's site, the ministry its provinces' lines: its own grants come first, its shard last.
        # A copy of its grants is assembled twice; the second time nothing is new.
        top = build(plan, layout, MINISTRY, national, *blocks[MINISTRY], None)[2] if MINISTRY in layout.demand else None
        context = _Context(plan, layout, ledger_folder, staging, out, blocks, labels, top)
        todo = [code for code in largest_first if code not in done]
        parts = work.spread(_province, context, todo, executor)
        for code, part in zip(todo, parts, strict=True):
            mistakes += part.mistakes
            if part.short is not None:
                shorts.setdefault(code, []).append(part.short)
            else:
                done[code] = part
        if mistakes:
            raise Mistakes(mistakes)
        if not shorts:
            break
    parts = [done[code] for code in layout.provinces]
    if MINISTRY in layout.demand:
        below = [(part.top, part.uplinks) for part in parts if part.top is not None]
        shard, grants, _, _, wrong = build(plan, layout, MINISTRY, national, *blocks[MINISTRY], None, below=below)
        if wrong:
            raise Mistakes(wrong)
        _keep_national(national, layout, grants)
        new = len(national.grants) - before[0]
        parts.insert(0, _stage(context, shard, national, new, before[1], None, ()))
    changed = 0
    index = Index(_meta(plan), plan.rows, {part.province: part.key for part in parts})
    path = staging / "index.json"
    path.write_bytes(msgspec.json.encode(index))
    moves = [*(move for part in parts for move in part.staged), (str(path), str(out / "index.json"))]
    for source, final in sorted(moves, key=lambda move: (move[1].endswith("index.json"), not move[1].endswith(".tsv"))):
        changed += _move(Path(source), Path(final))
    return Outcome(
        plan.name, sum(part.regions for part in parts), sum(part.sites for part in parts), sum(part.devices for part in parts),
        sum(part.grants for part in parts), sum(part.new for part in parts), sum(part.gone for part in parts), changed, out,
        ledger_folder,
    )  # fmt: skip


def _keep_national(national: Ledger, layout: Layout, grants: Grants) -> None:
    """The nation's ledger holds the ministry's own grants and every province's blocks; those in scope are living."""
    living = set(grants.living)
    keys = {layout.key[code] for code in layout.demand}
    living |= {("label", key) for key in keys if ("label", key) in national.grants}
    living |= {key for key in national.grants if key[0] == "province" and key[1].split("#")[0] in keys}
    national.settle(living)


def _move(source: Path, final: Path) -> bool:
    """Bring a staged file to its place, whole or not at all. The ledger has to outlive a power cut; the rest is compiled again."""
    return files.write(final, source.read_bytes(), durable=final.suffix == ".tsv")


def compiled(name: str, state: Path) -> Network:
    """The stored Network of a plan, compiled first when a plan file changed since. Raises Mistakes."""
    outcome = compile_plan(name, state)
    return load(outcome.network)
