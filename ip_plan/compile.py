"""Plan → ledger → Network, in two steps: staging beside, province by province, and moving the files in place.

What is granted and assembled are functions of values in the files beside this one. A run that is cut off leaves the ledger and
the last Network as they were. Between the two steps stands the difference: what is staged, against what is in place.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path

import msgspec

from ground import files, work
from ground.mistake import Mistake, Mistakes
from ip_plan import businesses, change, nation, units, vlans
from ip_plan import ledger as ledgers
from ip_plan import part as parts_
from ip_plan import plan as plans
from ip_plan.addressing import Block
from ip_plan.assemble import Top, Uplink, build
from ip_plan.change import Difference
from ip_plan.grants import Grants, Short, blocks_of
from ip_plan.layout import MINISTRY, Layout, lay_out, province_key
from ip_plan.ledger import Key, Ledger
from ip_plan.network import CHANGE, Index, Meta, Network, Shard, Stamp, load
from ip_plan.part import Part
from ip_plan.plan import Plan

NATION = "00"


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
    change: str = ""
    """Id of the change that it made; empty: nothing changed, or it was the first."""


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
    common: str
    """Keys of what the provinces are made from: `ip_plan/part.py`."""
    rows: dict[str, str]

    def inputs(self, code: str, ledger: bytes) -> str:
        """Key of everything that a province is made from."""
        return parts_.inputs(self.common, self.rows[code], self.blocks[code], self.labels[code], self.top, ledger)


def _province(context: _Context, code: str) -> Part:
    """One province, in whatever process: reads its ledger, writes staged files."""
    with work.uncollected():
        name = province_key(code)
        ledger, mistakes = ledgers.read(context.ledgers, name)
        if mistakes:
            return _empty(name, mistakes=tuple(mistakes))
        before = set(ledger.gone)
        blocks = context.blocks[code]
        try:
            shard, grants, top, uplinks, mistakes = build(
                context.plan, context.layout, code, ledger, *blocks, context.top, context.labels[code]
            )
        except Short as short:
            return _empty(name, short=(short.family, short.length))
        except Mistakes as wrong:
            return _empty(name, mistakes=tuple(wrong.found))
        except ValueError:
            damaged = ledgers.faults(ledger, str(context.ledgers / f"{name}.tsv"))
            if not damaged:
                raise
            return _empty(name, mistakes=tuple(damaged))
        if mistakes:
            return _empty(name, mistakes=tuple(mistakes))
        book = ledgers.text(ledger).encode()
        part = _stage(context, shard, ledger, book, len(grants.new), before, top, uplinks)
        return msgspec.structs.replace(part, inputs=context.inputs(code, book))


def _empty(name: str, short: tuple[int, int] | None = None, mistakes: tuple[Mistake, ...] = ()) -> Part:
    return Part(name, 0, 0, 0, 0, 0, 0, "", None, (), (), short, mistakes)


def _stage(
    context: _Context,
    shard: Shard,
    ledger: Ledger,
    book: bytes,
    new: int,
    before: set[Key],
    top: Top | None,
    uplinks: tuple[Uplink, ...],
) -> Part:
    """`book`: the ledger as its file holds it."""
    data = msgspec.json.encode(shard)
    staged = []
    for final, body in (
        (context.ledgers / f"{shard.province}.tsv", book),
        (context.out / f"{shard.province}.json", data),
    ):
        path = _place(context.staging, final)
        path.write_bytes(body)
        staged.append((str(path), str(final)))
    return Part(
        shard.province, len(shard.regions), len(shard.sites), len(shard.devices), len(ledger.grants), new,
        len(ledger.gone - before), files.sha256(data), top, uplinks, tuple(staged),
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
        encrypted=plan.encrypted, vlans=vlans.vlans(plan.sites),
    )  # fmt: skip


class Staged(msgspec.Struct, frozen=True):
    """A compile that is done and not in place."""

    plan: Plan
    parts: tuple[Part, ...]
    folder: Path
    moves: tuple[tuple[Path, Path], ...]
    """(staged file, final file)."""
    out: Path
    ledger: Path


def _place(staging: Path, final: Path) -> Path:
    """Where the file is staged that is to become `final`: `network/…` or `ledger/…` of the staging folder."""
    return staging / final.parent.name / final.name


def compile_plan(
    name: str, state: Path, *, confirm: str = "", approver: str = "", today: date | None = None,
    executor: Executor | None = None,
) -> Outcome:  # fmt: skip
    """Compile a plan (a folder, or a shipped plan's name) into its ledger and Network below `state`.

    A change that reaches more of the existing devices than the plan's `change_limit` is refused (JB1320) until it is confirmed by
    the plan's name. Growth never is: the first compile, and whatever is only added. `approver`: who agreed to what changes; kept
    with it. `today`: the day by which exceptions are in force, by default the date in China.

    Raises Mistakes with every mistake found; nothing is written then.
    """
    plan, layout = _read(name, today)
    ledger_folder, out = plan.ledger(state), plan.network(state)
    with _writing(out):
        ledger_folder.mkdir(parents=True, exist_ok=True)
        out.mkdir(parents=True, exist_ok=True)
    with files.lock(ledger_folder / ".lock"):
        staging = state / "plans" / plan.name / f".staging-{os.getpid()}"
        for left in staging.parent.glob(".staging-*"):
            shutil.rmtree(left, ignore_errors=True)
        try:
            with _writing(out):
                staged = stage(plan, layout, ledger_folder, out, staging, executor)
                with work.uncollected():
                    found = compare(staged) if (out / "index.json").exists() else None
                if found is not None and confirm != plan.name:
                    _hold_to_limit(staged, found)
                return _publish(staged, found, approver)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def difference(name: str, state: Path, *, today: date | None = None, executor: Executor | None = None) -> Difference:
    """What `compile_plan` would change now in the ledger and the Network; nothing in either is written.

    Raises Mistakes: those of the plan, and JB1321 where the stored Network cannot be read.
    """
    plan, layout = _read(name, today)
    ledger_folder, out = plan.ledger(state), plan.network(state)
    with tempfile.TemporaryDirectory(prefix="jinbao-") as folder, ExitStack() as held:
        with _writing(Path(folder)):
            if (ledger_folder / ".lock").exists():  # left by every compile: none goes on while the ledger is read
                held.enter_context(files.lock(ledger_folder / ".lock", shared=True))
            staged = stage(plan, layout, ledger_folder, out, Path(folder), executor)
        with work.uncollected():
            return compare(staged)


def _read(name: str, today: date | None) -> tuple[Plan, Layout]:
    with work.uncollected():
        plan = plans.load(name, today)
        return plan, lay_out(plan)


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        cure = "Free some space or give another --state; the ledger and the last Network are as they were."
        what = f"could not be written: {error.strerror}"
        raise Mistakes([Mistake(str(error.filename or folder), None, None, "JB1305", "", what, cure)]) from None


def stage(
    plan: Plan, layout: Layout, ledger_folder: Path, out: Path, staging: Path, executor: Executor | None = None
) -> Staged:  # fmt: skip
    """Compile into the folder `staging`; what is in place is read and left as it is. Raises Mistakes."""
    for kind in (ledger_folder, out):
        (staging / kind.name).mkdir(parents=True)
    national, mistakes = ledgers.read(ledger_folder, NATION)
    mistakes += ledgers.faults(national, str(ledger_folder / f"{NATION}.tsv"))
    before = (len(national.grants), set(national.gone))
    handed, wrong = units.read(plan)
    mistakes += wrong or units.take_in(plan, layout, handed, national)
    if mistakes:
        raise Mistakes(mistakes)
    mistakes += nation.check_pins(
        plan, layout, lambda unit: ledgers.read(ledger_folder, province_key(unit))[0], national
    )
    mistakes += businesses.check(plan, layout)
    largest_first = sorted(layout.provinces, key=lambda code: -len(layout.members[code]))
    shorts = units.further(plan, layout, national)
    done: dict[str, Part] = {}
    kept, common, rows = parts_.read(out), parts_.common(plan), parts_.rows(plan, layout)
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
        mistakes += units.check_reports(plan, layout, handed, national, blocks)
        if mistakes:
            raise Mistakes(mistakes)
        # Provinces need the ministry's site, the ministry its provinces' lines: its own grants come first, its shard last.
        # A copy of its grants is assembled twice; the second time nothing is new.
        top = handed.grant.top if handed.grant else None
        if MINISTRY in layout.demand:
            top = build(plan, layout, MINISTRY, national, *blocks[MINISTRY], None)[2]
        context = _Context(plan, layout, ledger_folder, staging, out, blocks, labels, top, common, rows)
        done |= _unchanged(context, kept, [code for code in largest_first if code not in done])
        todo = [code for code in largest_first if code not in done]
        parts = work.spread(_province, context, todo, executor)
        for code, part in zip(todo, parts, strict=True):
            mistakes += part.mistakes
            if part.short is not None and handed.grant is not None:
                mistakes.append(units.lacking(plan, code, *part.short))
            elif part.short is not None:
                shorts.setdefault(code, []).append(part.short)
            else:
                done[code] = part
        if mistakes:
            raise Mistakes(mistakes)
        if not shorts:
            break
    parts = [done[code] for code in layout.provinces]
    if MINISTRY in layout.demand:
        ends = {code: (done[code].top, done[code].uplinks) for code in layout.provinces}
        ends |= {code: (report.top, report.uplinks) for code, report in handed.reports.items()}
        below = [(end, uplinks) for _, (end, uplinks) in sorted(ends.items()) if end is not None]
        shard, grants, _, _, wrong = build(plan, layout, MINISTRY, national, *blocks[MINISTRY], None, below=below)
        if wrong:
            raise Mistakes(wrong)
        _keep_national(national, layout, grants)
        new = len(national.grants) - before[0]
        parts.insert(0, _stage(context, shard, national, ledgers.text(national).encode(), new, before[1], None, ()))
    elif handed.grant is not None:
        path = _place(staging, ledger_folder / f"{NATION}.tsv")
        path.write_text(ledgers.text(national), "utf-8")
        held, new = len(national.grants), len(national.grants) - before[0]
        moved = ((str(path), str(ledger_folder / f"{NATION}.tsv")),)
        parts.append(msgspec.structs.replace(_empty(NATION), grants=held, new=new, staged=moved))
    parts += _left(ledger_folder, staging, {NATION, *map(province_key, layout.provinces)})
    index = Index(_meta(plan), plan.rows, {part.province: part.key for part in parts if part.key})
    path = _place(staging, out / "index.json")
    path.write_bytes(msgspec.json.encode(index))
    kept_path = _place(staging, out / parts_.FILE)
    kept_path.write_bytes(parts_.write(parts))
    moves = [*(move for part in parts for move in part.staged), (str(path), str(out / "index.json"))]
    moves.append((str(kept_path), str(out / parts_.FILE)))
    moves.sort(key=lambda move: (move[1].endswith("index.json"), not move[1].endswith(".tsv")))
    paths = tuple((Path(source), Path(final)) for source, final in moves)
    return Staged(plan, tuple(parts), staging, paths, out, ledger_folder)


def _unchanged(context: _Context, kept: dict[str, Part], codes: Iterable[str]) -> dict[str, Part]:
    """The parts of the last compile that would come out the same."""

    def same(code: str) -> bool:
        part = kept.get(province_key(code))
        path = context.ledgers / f"{province_key(code)}.tsv"
        if part is None or not path.exists():
            return False
        return parts_.stands(part, context.inputs(code, path.read_bytes()), context.out / f"{part.province}.json")

    listed = list(codes)
    with ThreadPoolExecutor(
        os.cpu_count()
    ) as pool:  # nearly all of it is reading and hashing, which let go of the interpreter
        return {
            code: kept[province_key(code)]
            for code, stands in zip(listed, pool.map(same, listed), strict=True)
            if stands
        }


def _left(ledger_folder: Path, staging: Path, provinces: set[str]) -> list[Part]:
    """The provinces that are in scope no more: every grant of theirs is marked gone, and waits for their return."""
    found = []
    for final in sorted(ledger_folder.glob("*.tsv")):
        if final.stem in provinces:
            continue
        ledger, mistakes = ledgers.read(ledger_folder, final.stem)
        if mistakes:
            raise Mistakes(mistakes)
        before = len(ledger.gone)
        ledger.settle(())
        path = _place(staging, final)
        path.write_text(ledgers.text(ledger), "utf-8")
        part = _empty(final.stem)
        moves = ((str(path), str(final)),)
        gone = len(ledger.gone) - before
        found.append(msgspec.structs.replace(part, grants=len(ledger.grants), gone=gone, staged=moves))
    return found


def compare(staged: Staged) -> Difference:
    """What is staged against what is in place: only the provinces whose key differs are read, and all where a row does.

    Raises Mistakes JB1321 where the stored Network cannot be read.
    """
    folder = staged.folder / staged.out.name
    ending = load(folder, ())
    try:
        first = not (staged.out / "index.json").exists()
        starting = Network(ending.meta, ending.flows, (), {}) if first else load(staged.out, ())
        differ = {key for key in {*starting.keys, *ending.keys} if starting.keys.get(key) != ending.keys.get(key)}
        if change.altered(starting.flows, ending.flows)[0]:
            differ = {*starting.keys, *ending.keys}
        before = starting if first else load(staged.out, differ)
    except (OSError, msgspec.MsgspecError) as error:
        cure = f"Delete the folder {staged.out}: the ledger keeps every address, and the next compile writes it anew."
        what = f"the Network of the last compile cannot be read: {error}"
        raise Mistakes([Mistake(str(staged.out), None, None, "JB1321", staged.plan.name, what, cure)]) from None
    after = load(folder, {province for province in differ if (folder / f"{province}.json").exists()})
    # A province that was not made again is what it was; it is among them where a row differs.
    made = {shard.province for shard in after.shards}
    same = tuple(shard for shard in before.shards if shard.province in ending.keys and shard.province not in made)
    after = Network(after.meta, after.flows, (*after.shards, *same), after.keys)
    changes = change.compare(before, after)
    # What did not change is as large as it was.
    sizes = {part.province: part.devices for part in staged.parts if part.key and part.province not in differ}
    sizes |= {shard.province: len(shard.devices) for shard in before.shards}
    provinces, whole = change.reach(before, after, changes, {} if first else sizes)
    held = {flow.id for flow in before.flows if flow.until}
    return Difference(
        staged.plan.name, first, tuple(changes), tuple(provinces), whole, staged.plan.plan.change_limit,
        sum(part.new for part in staged.parts), sum(part.gone for part in staged.parts),
        tuple(f"{each.object} {each.what}" for each in staged.plan.warnings if each.code == "JB1324" and each.object in held),
        "" if first else change.identify((staged.out / "index.json").read_bytes(), (folder / "index.json").read_bytes()),
    )  # fmt: skip


def _hold_to_limit(staged: Staged, found: Difference) -> None:
    if found.whole.share <= found.limit:
        return
    plan = staged.plan
    document = plan.documents["plan.yml"]
    place = document.place(("change_limit",))
    what = (
        f"{found.whole.counted} of {found.whole.existing} devices would change or go, "
        f"the plan allows {found.limit:.0%} at once"
    )
    cure = f"Look at `jinbao plan diff`, then confirm with `jinbao plan compile --confirm {plan.name}`."
    raise Mistakes([Mistake(document.file, *place, "JB1320", plan.name, what, cure)])


def _publish(staged: Staged, found: Difference | None, approver: str) -> Outcome:
    """Bring what is staged to its place: the ledger first, the index last; with it, what the change is called."""
    if found is not None and found.id:
        kinds = dict(sorted(Counter(str(each.kind) for each in found.changes).items()))
        whole = found.whole
        stamp = Stamp(found.id, staged.plan.name, approver, kinds, whole.devices, whole.existing)
        files.write(staged.out / CHANGE, msgspec.json.encode(stamp), durable=False)
    changed = sum(_move(source, final) for source, final in staged.moves)
    parts = staged.parts
    return Outcome(
        staged.plan.name, sum(part.regions for part in parts), sum(part.sites for part in parts),
        sum(part.devices for part in parts), sum(part.grants for part in parts), sum(part.new for part in parts),
        sum(part.gone for part in parts), changed, staged.out, staged.ledger, staged.plan.warnings,
        found.id if found else "",
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
    """The Network of a plan as it stands on disk, for the commands that work on it.

    They compile under the same limit as `jinbao plan compile`, and none of them can confirm: a change beyond it stops them with
    JB1320 until somebody has looked at it and confirmed it there. To go on with the last Network instead would show, render and
    prove what the plan no longer says. Once it is confirmed nothing differs any more, and nothing asks again. An exception that
    ends leaves the Network by itself, whatever it reaches: its end was approved with it.

    Raises Mistakes.
    """
    outcome = compile_plan(name, state)
    return load(outcome.network)
