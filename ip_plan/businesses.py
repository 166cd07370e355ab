"""Which production database keeps which business of which region.

What a plan does not say comes from the sources: a city's centre handles its own businesses, those of its districts and counties
among them (S3 四(一)1, 二(三)1; S2 二(一)1), a province's those that it runs itself; a prefecture without a centre is handled by the
centre that serves it (S3 二(三)1). A row under `businesses:` has the database of another centre above keep them; whether the sources
allow that of a province is judged where stacks are previewed (NO-19).
"""

from __future__ import annotations

from typing import get_args

from ground.mistake import Mistake
from ip_plan.layout import Layout, serving
from ip_plan.plan import Plan
from ip_plan.regions import ancestors
from ip_plan.schema import Business

BUSINESSES: tuple[Business, ...] = get_args(Business)
LEVELS = ("province", "prefecture")
"""Whose handling agencies are cities of S2 (二(一)1, domain: defined terms); what lies below belongs to its city."""


def handled(plan: Plan, layout: Layout, province: str) -> dict[str, tuple[str, ...]]:
    """Region → what the production databases of its centre keep, as `<business> <region>`; of one province, none twice."""
    moved = {
        (business, region): row.centre
        for row in plan.plan.businesses
        for business in row.businesses
        for region in row.regions
    }
    hosted = set(plan.plan.hosted)
    found: dict[str, list[str]] = {}
    for code in layout.members[province]:
        if not _own(plan, code):
            continue
        usual = code if _keeps(plan, layout, code) else serving(plan, code, hosted)
        for business in BUSINESSES:
            found.setdefault(moved.get((business, code), usual), []).append(f"{business} {code}")
    return {code: tuple(sorted(listed)) for code, listed in found.items()}


def check(plan: Plan, layout: Layout) -> list[Mistake]:
    """What is wrong with the rows under `businesses:`."""
    document = plan.documents["plan.yml"]
    first: dict[tuple[str, str], int] = {}
    found: list[Mistake] = []

    def wrong(path: tuple[str | int, ...], code: str, region: str, what: str, cure: str) -> None:
        named = f"{plan.regions[region].name} ({region})"
        found.append(Mistake(document.file, *document.place(("businesses", *path)), code, named, what, cure))

    for index, row in enumerate(plan.plan.businesses):
        if not _keeps(plan, layout, row.centre):
            what = "has no production database that could keep a business"
            cure = "Name a province or city in scope whose centre has a host with the duty `database` in its production zone."
            wrong((index, "centre"), "JB1960", row.centre, what, cure)
        for number, code in enumerate(row.regions):
            place = (index, "regions", number)
            if code not in layout.scope or not _own(plan, code):
                what = "has no businesses of its own in this plan"
                cure = "Name a province or city in scope; counties and townships are handled with their city."
                wrong(place, "JB1961", code, what, cure)
            elif row.centre not in (code, *(above.code for above in ancestors(plan.regions, code))):
                what = f"does not lie below {plan.regions[row.centre].name} ({row.centre})"
                wrong(place, "JB1962", code, what, "Keep its businesses at its own centre, or at one above it.")
            for business in row.businesses:
                if (business, code) in first:
                    line = document.place(("businesses", first[business, code]))[0]
                    what = f"has its {business} kept by two rows; the first stands in line {line}"
                    wrong(place, "JB1963", code, what, "Keep each business of a region at one centre.")
                first.setdefault((business, code), index)
    return found


def _own(plan: Plan, code: str) -> bool:
    row = plan.regions[code]
    return row.level in LEVELS and row.kind != "grouping"


def _keeps(plan: Plan, layout: Layout, code: str) -> bool:
    """Whether a region has a centre with a database in its production zone."""
    row = plan.regions[code]
    if code not in layout.scope or code in plan.plan.hosted or row.kind == "grouping":
        return False
    zones = [kind.zones for kind in plan.sites.sites if kind.kind == "centre" and kind.level == row.level]
    hosts = [(host.zone, host.duties) for host in plan.sites.hosts]
    hosts += [(host.zone, host.duties) for host in plan.plan.extra_hosts if host.region == code]
    return any("production" in each for each in zones) and any(
        zone == "production" and "database" in duties for zone, duties in hosts
    )
