"""A plan folder as one value: its files checked, its regions read, everything it names found."""

from __future__ import annotations

from datetime import date
from functools import cached_property
from importlib.resources import as_file, files
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from ground import clock
from ground.files import sha256
from ground.mistake import Mistake, Mistakes
from ip_plan import addressing, divisions, exceptions, regions, schema, source, underlay, vlans, zones
from ip_plan.folder import SHIPPED, folder_of
from ip_plan.network import Choice, Encrypted, Flow
from ip_plan.regions import Region
from ip_plan.schema import AddressingFile, BackupFile, CutOver, FlowsFile, NamesFile, PlanFile, SitesFile
from ip_plan.source import Document


class Plan(msgspec.Struct, frozen=True, dict=True):
    """Everything the compiler needs, with the documents that know where each value stands."""

    folder: Path
    shipped: bool
    plan: PlanFile
    addressing: AddressingFile
    names: NamesFile
    sites: SitesFile
    flows: FlowsFile
    backup: BackupFile
    regions: dict[str, Region]
    """The division data, whole, after the change table: denominators count these, never what is in scope."""
    former: dict[str, str]
    """Region → the region above it in the division data, where the change table gave it another."""
    rows: tuple[Flow, ...]
    """The decided rows, lists and `any` spelled out; then those of the exceptions in force."""
    documents: dict[str, Document]
    key: str
    """SHA-256 over every input file and the ids of the exceptions in force: of the clock, only what it decides."""
    settings_key: str
    """SHA-256 over the plan's files alone, without the division data and the table of changes to them."""
    today: date = date.min
    """The day as of which it is in force."""
    warnings: tuple[Mistake, ...] = ()

    @property
    def name(self) -> str:
        """The plan's name."""
        return self.plan.name

    @cached_property
    def choices(self) -> tuple[Choice, ...]:
        """The rows that give devices a dialect and model: those of sites.yml, then those of plan.yml, which go before them."""
        found = []
        for file, rows in (("sites.yml", self.sites.devices), ("plan.yml", self.plan.devices)):
            for index, row in enumerate(rows):
                line, _ = self.documents[file].place(("devices", index))
                place = f"{self.documents[file].file}:{line}"
                found.append(
                    Choice(row.dialect, row.model, row.role, row.level, row.kind, row.region, row.below, place)
                )
        return tuple(found)

    @cached_property
    def encrypted(self) -> tuple[Encrypted, ...]:
        """The rows that say which lines are encrypted."""
        document = self.documents["plan.yml"]
        return tuple(
            Encrypted(
                "" if row.suite == "none" else row.suite, row.level, row.rank, row.region, row.below,
                f"{document.file}:{document.place(('encrypted', index))[0]}",
            )
            for index, row in enumerate(self.plan.encrypted)
        )  # fmt: skip

    def ledger(self, state: Path) -> Path:
        """Where the ledger lies: beside a user's plan; in the state folder for a shipped one, which may be read-only."""
        return state / "plans" / self.name / "ledger" if self.shipped else self.folder / "ledger"

    def network(self, state: Path) -> Path:
        """Where the compiled Network lies."""
        return state / "plans" / self.name / "network"


def load(name: str, today: date | None = None) -> Plan:
    """Read and check a plan as it is in force on `today` (by default the date in China).

    Raises Mistakes with every mistake in every file; nothing is written.
    """
    today = today or clock.today()
    folder, shipped = folder_of(name)
    documents, mistakes = source.read(folder, {file: file == "plan.yml" for file in schema.FILES})
    found = documents.get("plan.yml")
    if found is None:  # what else is missing depends on it
        raise Mistakes(mistakes)
    base = str(found.value.get("base") or "") if isinstance(found.value, dict) else ""
    missing = [file for file in schema.FILES if not (folder / file).exists() and file != "plan.yml"]
    if base:
        base_folder = folder_of(base if base in SHIPPED else str(folder / base))[0]
        inherited, wrong = source.read(base_folder, dict.fromkeys(missing, True))
        documents |= inherited
        mistakes += wrong
    else:
        cure = "Write it, or name in plan.yml the plan it comes from (`base: national`)."
        mistakes += [
            Mistake(str(folder / file), None, None, "JB1006", "", "this plan file is missing", cure) for file in missing
        ]
    models: dict[str, Any] = {}
    for file, document in documents.items():
        models[file], wrong = schema.check(document, schema.FILES[file])
        mistakes += wrong
    plan: PlanFile | None = models.get("plan.yml")
    rows: dict[str, Region] = {}
    former: dict[str, str] = {}
    said = {file: document.value for file, document in documents.items()}
    # The change table acts through the regions that it alters, one by one (`part.rows`).
    if isinstance(found.value, dict):
        said["plan.yml"] = {key: value for key, value in found.value.items() if key != "changes"}
    changed = found.value.get("changes") if isinstance(found.value, dict) else None
    digest = [sha256(str(sorted((file, repr(value)) for file, value in said.items())).encode())]
    digest.append(sha256(repr(changed).encode()))
    if plan is not None:
        path = _divisions(folder, plan.divisions)
        try:
            data = path.read_bytes()
        except OSError as error:
            line, column = documents["plan.yml"].place(("divisions",))
            what = f"the division data {path} cannot be read: {error.strerror}"
            cure = "Use `divisions: divisions` for the shipped data, or the path of a CSV of the same columns."
            mistakes.append(Mistake(documents["plan.yml"].file, line, column, "JB1008", "divisions", what, cure))
        else:
            text, wrong = source.decode(data, str(path))
            mistakes += wrong
            if not wrong:
                rows, wrong = regions.read(text, file=str(path), corps_cities=plan.corps_cities)
                mistakes += wrong
                if not wrong:
                    given = rows
                    rows, wrong = divisions.apply(given, plan.changes, documents["plan.yml"])
                    mistakes += wrong
                    former = {
                        code: given[code].parent
                        for code, row in (rows.items() if plan.changes else ())
                        if code in given and given[code].parent != row.parent
                    }
            digest.append(sha256(data))
    if any(model is None for model in models.values()) or len(models) < len(schema.FILES) or not rows:
        raise Mistakes(mistakes)
    parts = {file.removesuffix(".yml"): model for file, model in models.items()}
    carried: dict[str, set[str]] = {}
    listed = [(host.zone, host.services) for host in [*models["sites.yml"].hosts, *models["plan.yml"].extra_hosts]]
    for zone, services in listed:
        for service in services:
            carried.setdefault(service, set()).add(zone)
    assert plan is not None
    asked = zones.Rows([each.row() for each in plan.exceptions], documents["plan.yml"], "exceptions")
    flows, excepted, wrong = zones.expand(
        models["flows.yml"], models["sites.yml"], documents["flows.yml"], carried, asked
    )
    mistakes += wrong + zones.check_sites(models["sites.yml"], documents["sites.yml"])
    mistakes += vlans.check(models["sites.yml"], plan, documents)
    mistakes += exceptions.check(plan, documents["plan.yml"], today)
    flows += exceptions.rows(plan.exceptions, excepted, today)
    digest += sorted({flow.id for flow in flows if flow.until})
    built = Plan(
        folder, shipped, **parts, regions=rows, former=former, rows=flows, documents=documents,
        key=sha256("".join(digest).encode()), settings_key=digest[0], today=today,
    )  # fmt: skip
    mistakes += _check(built)
    if any(mistake.severity == "error" for mistake in mistakes):
        raise Mistakes(mistakes)
    return msgspec.structs.replace(built, warnings=tuple(mistakes))


def _divisions(folder: Path, name: str) -> Path:
    if name == "divisions":
        with as_file(files("ip_plan") / "plans" / "divisions" / "regions.csv") as path:
            return path
    return folder / name


def _check(plan: Plan) -> list[Mistake]:
    mistakes: list[Mistake] = []

    def wrong(file: str, path: source.Path_, code: str, subject: str, what: str, cure: str) -> None:
        document = plan.documents[file]
        mistakes.append(Mistake(document.file, *document.place(path), code, subject, what, cure))

    spoken: dict[str, list[tuple[source.Path_, str]]] = {
        "plan.yml": _codes(plan.plan),
        "names.yml": [(("readings", code), code) for code in plan.names.readings],
        "sites.yml": [(("devices", i, "region"), row.region) for i, row in enumerate(plan.sites.devices) if row.region],
    }
    for file, named in spoken.items():
        for path, code in named:
            if code not in plan.regions:
                cure = "Use a code of the division data; a spreadsheet may have dropped its zeros."
                wrong(file, path, "JB1201", code, "no region has this code", cure)
    for index, unit in enumerate(plan.plan.units):
        row = plan.regions.get(unit.region)
        earlier = [each.region for each in plan.plan.units[:index]]
        what = f"a {row.level} runs no plan of its own" if row and row.level != "province" else ""
        what = "is a unit twice" if unit.region in earlier else what
        what = "a plan that starts from grants grants nothing itself" if plan.plan.grants else what
        if what:
            cure = "Name each province once, in the ministry's plan."
            wrong("plan.yml", ("units", index, "region"), "JB1338", unit.region, what, cure)
    for index, change in enumerate(plan.plan.changes):
        row = plan.regions.get(change.region) if isinstance(change, CutOver) else None
        if row is None or not isinstance(change, CutOver):
            continue
        ranks = {line.rank for line in plan.sites.lines if line.level == row.level}
        ranks -= {each.rank for each in plan.plan.without if each.region == change.region}
        if change.rank not in ranks:
            what = f"has no {change.rank} line that could be cut over"
            cure = f"Give one of: {', '.join(sorted(ranks))}." if ranks else "Name a region whose sites have lines."
            wrong("plan.yml", ("changes", index, "rank"), "JB1371", f"{row.name} ({row.code})", what, cure)
    for index, secured in enumerate(plan.plan.encrypted):
        lines = [line for line in plan.sites.lines if secured.rank in ("", line.rank)]
        if not any(secured.level in ("", line.level) for line in lines):
            what = f"no {secured.rank or 'line'}{' line' if secured.rank else ''} goes up from a {secured.level}"
            levels = ", ".join(dict.fromkeys(line.level for line in lines))
            cure = f"Give one of: {levels}." if levels else "Leave the rank out, or give lines that rank in sites.yml."
            wrong("plan.yml", ("encrypted", index), "JB1968", secured.suite, what, cure)
    zones = plan.sites.zones
    seen: set[str] = set()
    for index, site in enumerate(plan.sites.sites):
        if site.level in seen:
            what = f"sites of this level would get the names of the {site.level}'s other sites"
            cure = "Give each level one kind of site: devices and services are named by their region."
            wrong("sites.yml", ("sites", index), "JB1964", f"{site.level} {site.kind}", what, cure)
        seen.add(site.level)
        for zone in site.zones:
            if zone not in zones:
                cure = f"Use one of {', '.join(zones)}, or define it under `zones:`."
                wrong("sites.yml", ("sites", index, "zones"), "JB1402", zone, "this zone is not defined", cure)
            elif zone not in plan.addressing.zones[site.level].lengths:
                cure = f"Give {zone} a prefix length under `zones: {site.level}:` in addressing.yml."
                wrong(
                    "sites.yml",
                    ("sites", index, "zones"),
                    "JB1202",
                    zone,
                    f"{site.level} has no size for this zone",
                    cure,
                )
    shorts: dict[str, str] = {}
    for zone, entry in zones.items():
        if len(zone) > 12:
            wrong(
                "sites.yml", ("zones", zone), "JB1204", zone, "a zone's name has at most 12 characters", "Shorten it."
            )
        if entry.short in shorts:
            what = f"the short name `{entry.short}` is that of {shorts[entry.short]}"
            wrong(
                "sites.yml", ("zones", zone, "short"), "JB1204", zone, what, "Give each zone a short name of its own."
            )
        shorts.setdefault(entry.short, zone)
    supernets: dict[int, addressing.Block] = {}
    for family, text in ((4, plan.addressing.supernets.ipv4), (6, plan.addressing.supernets.ipv6)):
        try:
            supernets[family] = addressing.parse(text, family)
        except ValueError as error:
            cure = "Give the prefix without host bits, e.g. 10.0.0.0/8."
            wrong("addressing.yml", ("supernets", f"ipv{family}"), "JB1203", "supernets", str(error), cure)
    tunnels = f"{underlay.PREFIX}::/48"
    if 6 in supernets and addressing.overlap(supernets[6], addressing.parse(tunnels, 6), 6):
        what = f"{plan.addressing.supernets.ipv6} overlaps {tunnels}, which encrypted lines between Debian devices use below them"
        cure = (
            f"Give a prefix outside {tunnels}: one that a registry assigned, or 3fff::/20 (RFC 9637) for a rehearsal."
        )
        wrong("addressing.yml", ("supernets", "ipv6"), "JB1213", "supernets", what, cure)
    mistakes += _pins(plan, supernets) + _pairs(plan)
    sixes = plan.addressing.ipv6
    ladder = [
        ("province", sixes.province),
        ("unit", sixes.unit),
        ("county", sixes.county),
        ("township", sixes.township),
    ]
    ladder = [*ladder, ("zone", sixes.zone)]
    for (upper, outer), (lower, inner) in pairwise(ladder):
        if not outer < inner or inner % 4:
            what = f"/{inner} does not lie on a nibble below the {upper}'s /{outer}"
            wrong("addressing.yml", ("ipv6", lower), "JB1205", lower, what, "Use a longer length divisible by 4.")
    if not sixes.county < sixes.centre_zone <= sixes.zone:
        what = f"/{sixes.centre_zone} does not lie between the county's and the zone's length"
        wrong("addressing.yml", ("ipv6", "centre_zone"), "JB1205", "centre_zone", what, "Use e.g. 48.")
    for index, host in enumerate(plan.sites.hosts):
        for key, value in (("zone", host.zone),):
            if value not in zones:
                wrong("sites.yml", ("hosts", index, key), "JB1402", value, "this zone is not defined", "Define it.")
        for service in host.services:
            if service not in plan.flows.services:
                cure = "Define it under `services:` in flows.yml."
                wrong("sites.yml", ("hosts", index, "services"), "JB1403", service, "this service is not defined", cure)
        if host.cluster != "single":
            what = f"nothing renders a database of several machines yet (cluster: {host.cluster})"
            cure = "Write `cluster: single`, or leave the key out."
            wrong("sites.yml", ("hosts", index, "cluster"), "JB1500", host.zone, what, cure)
    for index, extra in enumerate(plan.plan.extra_hosts):
        if extra.zone not in zones:
            wrong(
                "plan.yml",
                ("extra_hosts", index, "zone"),
                "JB1402",
                extra.zone,
                "this zone is not defined",
                "Define it.",
            )
    for index, tier in enumerate(plan.backup.tiers):
        if tier.service not in plan.flows.services:
            wrong(
                "backup.yml",
                ("tiers", index, "service"),
                "JB1403",
                tier.service,
                "this service is not defined",
                "Define it.",
            )
        for zone in tier.zones:
            if zone not in zones:
                wrong(
                    "backup.yml",
                    ("tiers", index, "zones"),
                    "JB1402",
                    zone,
                    "this zone is not defined",
                    "Define it in sites.yml.",
                )
    return mistakes


def _pairs(plan: Plan) -> list[Mistake]:
    """Pairs of firewalls where no pair can stand."""
    mistakes: list[Mistake] = []
    document = plan.documents["sites.yml"]
    for index, site in enumerate(plan.sites.sites):
        if site.firewalls < 2:
            continue
        named, place = f"{site.level} {site.kind}", document.place(("sites", index, "firewalls"))
        if site.level in ("county", "township"):
            what = "has a pair of firewalls, and its addresses may be renumbered"
            cure = "Write `firewalls: 0` or `1`: pairs stand at centres."
            mistakes.append(Mistake(document.file, *place, "JB1980", named, what, cure))
    return mistakes


def _codes(plan: PlanFile) -> list[tuple[source.Path_, str]]:
    found: list[tuple[source.Path_, str]] = []
    if plan.scope != "all":
        found += [(("scope", index, "region"), entry.region) for index, entry in enumerate(plan.scope)]
    found += [(("units", index, "region"), unit.region) for index, unit in enumerate(plan.units)]
    found += [(("hosted", index), code) for index, code in enumerate(plan.hosted)]
    found += [
        (("groups", group, index), code) for group, codes in plan.groups.items() for index, code in enumerate(codes)
    ]
    found += [(("pins", index, "region"), pin.region) for index, pin in enumerate(plan.pins)]
    found += [(("extra_hosts", index, "region"), host.region) for index, host in enumerate(plan.extra_hosts)]
    found += [
        (("exceptions", index, "regions", number), code)
        for index, each in enumerate(plan.exceptions)
        for number, code in enumerate(each.regions)
    ]
    found += [(("without", index, "region"), line.region) for index, line in enumerate(plan.without)]
    found += [(("devices", index, "region"), row.region) for index, row in enumerate(plan.devices) if row.region]
    found += [(("encrypted", index, "region"), row.region) for index, row in enumerate(plan.encrypted) if row.region]
    found += [(("partners", index, "region"), body.region) for index, body in enumerate(plan.partners)]
    for index, row in enumerate(plan.businesses):
        found.append((("businesses", index, "centre"), row.centre))
        found += [(("businesses", index, "regions", number), code) for number, code in enumerate(row.regions)]
    return found + [(("twin", "running", index), code) for index, code in enumerate(plan.twin.running)]


def _pins(plan: Plan, supernets: dict[int, addressing.Block]) -> list[Mistake]:
    """Pinned prefixes: legal, inside the supernet, and apart from each other (but for a city inside its province)."""
    mistakes: list[Mistake] = []
    document = plan.documents["plan.yml"]
    seen: list[tuple[int, addressing.Block, str]] = []
    for index, pin in enumerate(plan.plan.pins):
        named = f"{plan.regions[pin.region].name} ({pin.region})" if pin.region in plan.regions else pin.region
        for family, text in ((4, pin.ipv4), (6, pin.ipv6)):
            if text is None or family not in supernets:
                continue
            place = document.place(("pins", index, f"ipv{family}"))
            level = plan.regions[pin.region].level if pin.region in plan.regions else "province"
            if level not in ("ministry", "province", "prefecture"):
                cure = "Pin a province or a prefecture-level city."
                mistakes.append(
                    Mistake(document.file, *place, "JB1210", named, f"a {level} has no block of its own", cure)
                )
                continue
            try:
                block = addressing.parse(text, family)
            except ValueError as error:
                cure = "Give the prefix without host bits."
                mistakes.append(Mistake(document.file, *place, "JB1203", named, str(error), cure))
                continue
            whole = addressing.write(supernets[family], family)
            if not addressing.contains(supernets[family], block, family):
                what = f"the pinned prefix {text} lies outside the supernet {whole}"
                mistakes.append(Mistake(document.file, *place, "JB1206", named, what, f"Give a prefix inside {whole}."))
            for other_family, other, name in seen:
                same_level = name.endswith("0000)") == named.endswith("0000)")
                if other_family == family and same_level and addressing.overlap(block, other, family):
                    what = f"the pinned prefix {text} overlaps {addressing.write(other, family)} of {name}"
                    cure = f"Give {named} a prefix outside {addressing.write(other, family)}, or delete the line and let the ledger choose."
                    mistakes.append(Mistake(document.file, *place, "JB1207", named, what, cure))
            seen.append((family, block, named))
    return mistakes
