"""What a user writes: the plan's files as pydantic models, turned into values once and never carried further.

`plan.yml`, `addressing.yml`, `names.yml`, `sites.yml`, `flows.yml`, `backup.yml`. A key that is not listed here is a mistake.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError

from ground.mistake import Mistake
from ip_plan.source import Document

Level = Literal["ministry", "province", "prefecture", "county", "township"]
LABEL = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
Label = Annotated[str, StringConstraints(pattern=LABEL)]
Code = Annotated[str, StringConstraints(pattern=r"^([0-9]{6}|[0-9]{9}|[0-9]{4}00D|BT0000)$")]
Reason = Annotated[str, StringConstraints(min_length=3)]
Name = Annotated[str, StringConstraints(min_length=1)]
RowId = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9][A-Za-z0-9.-]{1,40}$")]
RelationFile = Literal["same-centre", "serving-parent", "served-child", "elsewhere", "external", "any"]
Between = Literal["same-centre", "serving-parent", "served-child"]
"""Relations between sites whose filters can let something through; sideways and outside there is none that could."""


class _Model(BaseModel):
    # Only the models of whole files are ever asked: what is in them needs no validator of its own.
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)


class Scope(_Model):
    """A region that has sites; `below` takes everything under it too."""

    region: Code
    below: bool = False


class Twin(_Model):
    """The sites that are nodes of a twin of this plan."""

    running: list[Code] = []


class Witness(_Model):
    """Where the head of the evidence log is kept a second time."""

    region: Code = "000000"
    zone: str = "management"


class Pin(_Model):
    """A prefix chosen by hand for a region that has none yet."""

    region: Code
    ipv4: str | None = None
    ipv6: str | None = None
    reason: Reason


class ExtraHost(_Model):
    """A host that one site has beyond the others."""

    region: Code
    zone: str
    duties: list[str] = []
    services: list[str] = []
    reason: Reason


class DeviceFile(_Model):
    """Which dialect and model the routing devices and switches of some sites have. Of the rows that fit a device the last one counts."""

    role: Literal["router", "firewall", "access", "switch"]
    level: Level | Literal[""] = ""
    kind: str = ""
    region: Code | Literal[""] = ""
    below: bool = False
    dialect: Label
    model: Label
    reason: Reason


class EncryptedFile(_Model):
    """Which lines are encrypted, and how; a line is meant by the region at its lower end. Of the rows that fit the last counts.

    `aes256`: IKEv2 with a secret of its own for each line. `sm4`: SM2, SM3 and SM4 with certificates (GM/T 0022). `none`: neither.
    """

    suite: Literal["aes256", "sm4", "none"]
    level: Level | Literal[""] = ""
    rank: Literal["primary", "backup", ""] = ""
    """Of the line's row; what is drained keeps the rank of the line that it replaces."""
    region: Code | Literal[""] = ""
    below: bool = False
    reason: Reason


class Without(_Model):
    """A line that one site does not have."""

    region: Code
    rank: Literal["primary", "backup"]
    reason: Reason


def _day(value: Any) -> Any:
    try:
        return date.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError("a day of the calendar is written 2026-12-31") from None


Day = Annotated[date, BeforeValidator(_day)]
"""A day of the calendar, with or without quotes."""


class _Reform(_Model):
    since: Day
    """The day from which it holds."""
    reason: Reason


class Recode(_Reform):
    """A region got another code, and perhaps another name (撤县设区); its grants stay under the first code."""

    kind: Literal["code"]
    old: Code
    new: Code
    name: str = ""


class Rename(_Reform):
    """A region got another name; its label stays."""

    kind: Literal["rename"]
    region: Code
    name: Name


class Move(_Reform):
    """A county, with what lies below it, or a township belongs to another region (省管县: to the province itself)."""

    kind: Literal["move"]
    region: Code
    to: Code


class Merge(_Reform):
    """A region was dissolved; what lay below it lies below `into`."""

    kind: Literal["merge"]
    region: Code
    into: Code


class Split(_Reform):
    """A new region took some of what lay below the others."""

    kind: Literal["split"]
    region: Code
    name: Name
    reading: Label
    takes: Annotated[list[Code], Field(min_length=1)]


Stage = Literal["both", "new", "withdrawn", "released"]
STAGES: tuple[Stage, ...] = ("both", "new", "withdrawn", "released")


class Renumber(_Reform):
    """Offices get new addresses, stage after stage: the row stays, its `stage` and `since` are moved on."""

    kind: Literal["renumber"]
    regions: Annotated[list[Code], Field(min_length=1)]
    """Counties and townships, each by name: what moves in later is not meant."""
    stage: Stage


Rank = Literal["primary", "backup"]


class CutOver(_Reform):
    """A line gives way to a new one: `both` are up and the new one is drained, then the old is (`drain`), then it goes (`done`).

    Back out by going back a stage; `backed-out` takes the new line away.
    """

    kind: Literal["cut-over"]
    region: Code
    """At the lower end of the line."""
    rank: Rank
    stage: Literal["both", "drain", "done", "backed-out"]
    carrier: str = ""
    circuit: str = ""
    window: str = ""
    """When it may be worked on, as agreed with the carrier."""


class Relocate(_Reform):
    """An office moved house: its key, addresses and names stay, its lines upward are new ones."""

    kind: Literal["relocate"]
    region: Code
    carrier: str = ""
    circuit: str = ""


class Replace(_Reform):
    """A device gave way to another one, which starts from a bootstrap file under its serial number."""

    kind: Literal["replace"]
    device: Annotated[str, StringConstraints(pattern=r"^[0-9A-Z]+-[a-z]+[0-9]+$")]
    serial: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{3,39}$")]


DivisionChange = Annotated[
    Recode | Rename | Move | Merge | Split | Renumber | CutOver | Relocate | Replace, Field(discriminator="kind")
]


class Further(_Model):
    """A further block for a unit whose blocks are full; they are granted in this order."""

    family: Literal[4, 6]
    length: Annotated[int, Field(ge=8, le=64)]
    reason: Reason


class Unit(_Model):
    """A province that runs its own plan: this one grants it blocks and a name, and knows of it what it reports."""

    region: Code
    report: str = ""
    """Its report, a file beside this plan; empty: there is none yet, and no line to it."""
    further: list[Further] = []


class FlowFile(_Model):
    """A row that decides connections. `from` and `to` say who opens it and what is reached."""

    id: RowId
    flow: str = ""
    verdict: Literal["allow", "deny"] = "allow"
    from_: str | list[str] = Field(alias="from")
    to: str | list[str]
    relation: RelationFile | list[RelationFile]
    ports: list[str] = []
    from_levels: list[Level] = []
    to_levels: list[Level] = []
    from_service: str = ""
    to_service: str = ""
    data: Literal["with", "against", "none"] = "with"
    identity: str = ""
    clause: str = ""
    reason: str = ""


class Days(_Model):
    """A number of days with the reason it has."""

    value: Annotated[int, Field(ge=1)]
    reason: Reason


class ExceptionFile(_Model):
    """A connection that is let through for a while, against the rows that deny it."""

    id: RowId
    requester: Name
    reason: Reason
    approver: Name
    ticket: Name
    expires: Day
    """The last day on which it holds, in China."""
    from_: str | list[str] = Field(alias="from")
    to: str | list[str]
    relation: Between | list[Between]
    ports: list[str] = []
    from_levels: list[Level] = []
    to_levels: list[Level] = []
    from_service: str = ""
    to_service: str = ""
    regions: list[Code] = []
    """Only where a site of one of them is at an end; empty: everywhere."""

    def row(self) -> FlowFile:
        """The same as a row that allows it, its papers in the reason."""
        asked = f"{self.ticket}, asked for by {self.requester}, approved by {self.approver}, until {self.expires}"
        return FlowFile.model_validate(
            self.model_dump(by_alias=True, exclude={"requester", "approver", "ticket", "expires", "regions"})
            | {"reason": f"{self.reason} ({asked})"}
        )


class Online(_Model):
    """What a body may ask online, and how often (FL-06, FL-13)."""

    requests: Annotated[list[Label], Field(min_length=1)]
    """Names of `requests` in tables.yml."""
    per_minute: Annotated[int, Field(ge=1, le=6000)]
    """What is more is refused at the front-end."""


class PartnerFile(_Model):
    """A body outside that leaves files in a drop box of one centre (S3 四(二)2)."""

    region: Code
    id: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]{1,15}$")]
    """Also of its account there, behind `box-`."""
    title: Name
    tables: Annotated[list[Label], Field(min_length=1)]
    """Tables of the schema `outside` that it may deliver."""
    limit_megabytes: Annotated[int, Field(ge=1, le=4096)]
    """The most that one delivery may bring."""
    key: Annotated[str, StringConstraints(pattern=r"^(ssh-ed25519 [A-Za-z0-9+/=]+)?$")] = ""
    """Its public key; empty: a pair is made in the state folder, to rehearse with."""
    online: Online | None = None
    reason: Reason


Business = Literal["employment", "pension", "medical", "injury", "wages", "relations", "skills"]
"""The seven business systems (S1 §2): unemployment insurance goes with employment, maternity with medical insurance."""


class KeptFile(_Model):
    """Businesses of some regions whose database stands at another centre than that of the region."""

    centre: Code
    """The region of that centre."""
    businesses: Annotated[list[Business], Field(min_length=1)]
    regions: Annotated[list[Code], Field(min_length=1)]
    reason: Reason


class PlanFile(_Model):
    """plan.yml: what belongs to the whole plan."""

    name: Label
    title: str
    scope_text: str
    sample: str = ""
    base: str = ""
    divisions: str = "divisions"
    corps_cities: Literal["xinjiang", "corps"] = "corps"
    scope: list[Scope] | Literal["all"]
    grants: str = ""
    """The grant file of a province that runs its own plan, beside it: what the ministry's plan granted."""
    units: list[Unit] = []
    """The provinces that run their own plan; of the ministry's."""
    hosted: list[Code] = []
    groups: dict[str, list[Code]] = {}
    calendar: dict[str, str] = {}
    change_limit: Annotated[float, Field(gt=0, le=1)] = 0.1
    twin: Twin = Twin()
    witness: Witness = Witness()
    changes: list[DivisionChange] = []
    pins: list[Pin] = []
    extra_hosts: list[ExtraHost] = []
    without: list[Without] = []
    encrypted: list[EncryptedFile] = []
    """Sample data where no source asks for it: which lines a plan encrypts is its own choice."""
    partners: list[PartnerFile] = []
    businesses: list[KeptFile] = []
    """Where a business is not kept at its own region's centre; of a region without one: at the centre that serves it."""
    devices: list[DeviceFile] = []
    settings: dict[str, str | int | float | bool] = {}
    exception_days: Days = Days(
        value=90, reason="sample: what is needed for longer than a quarter belongs in flows.yml"
    )
    exceptions: list[ExceptionFile] = []
    unused_days: Days = Days(value=90, reason="sample: a quarter, so that what runs once in it is seen to be used")
    """How long a rule lets nothing through until it is called unused."""
    quarantine_days: Days = Days(
        value=90, reason="sample: long enough for whoever still holds an old address to be heard of"
    )


class Number(_Model):
    """A number with the reason it has."""

    value: int | float
    reason: Reason


class Growth(_Model):
    """How much of what is in use is added each year, as a share."""

    value: Annotated[float, Field(gt=0, le=1)]
    reason: Reason


class Supernets(_Model):
    ipv4: str
    ipv6: str
    reason: Reason


class ZoneLengths(_Model):
    """IPv4 prefix length of each zone at one level."""

    lengths: dict[str, Annotated[int, Field(ge=8, le=30)]]
    reason: Reason


class Sixes(_Model):
    """IPv6 prefix lengths; all on a nibble."""

    province: int
    unit: int
    county: int
    township: int
    centre_zone: int
    zone: int
    reason: Reason


class Asns(_Model):
    first: Annotated[int, Field(ge=4200000000, le=4294967294)]
    per_province: Annotated[int, Field(ge=100)]
    reason: Reason


class AddressingFile(_Model):
    """addressing.yml: sample data, each number with its reason (no source gives any, domain 1.1)."""

    supernets: Supernets
    zones: dict[Level, ZoneLengths]
    reserve: dict[Literal["unit", "province"], Number]
    smallest_block: dict[Literal["ministry", "province", "unit"], Number]
    ipv6: Sixes
    asn: Asns
    growth_per_year: Growth | None = None


class NamesFile(_Model):
    """names.yml: the domain plan."""

    root: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)*$")]
    reason: Reason
    readings: dict[Code, Label] = {}
    stop: list[Label] = []
    reverse_ipv4: Literal["province"] = "province"


class ZoneFile(_Model):
    short: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,6}$")]
    title: str
    vlan: Annotated[int, Field(ge=2, le=4094)] | None = None
    """Its VLAN id at every site with switches (IEEE 802.1Q 9.6); sample data, no source gives any."""
    clause: str = ""
    reason: str = ""


class SiteKind(_Model):
    """What a kind of site has at one level."""

    kind: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,8}$")]
    level: Level
    zones: list[str]
    routers: Annotated[int, Field(ge=1, le=2)] = 1
    firewalls: Annotated[int, Field(ge=0, le=2)] = 1
    """Two: a pair, one active, and the gateways of the zones virtual."""
    switches: Annotated[int, Field(ge=0, le=2)] = 0
    """What hosts and zone interfaces hang on; 0: the plan does not say."""
    clause: str = ""
    reason: str = ""


class HostFile(_Model):
    """A host of every centre that has its zone."""

    zone: str
    duties: list[str] = []
    services: list[str] = []
    cluster: Literal["single", "patroni"] = "single"
    """How many machines carry its database; `patroni` is kept for later and refused until something renders it."""


class Line(_Model):
    """A line from every site of a level up to where it is connected."""

    level: Level
    rank: Rank = "primary"
    kind: str = "leased"
    own_router: Annotated[int, Field(ge=1, le=2)] = 1
    far_router: Annotated[int, Field(ge=1, le=2)] = 1
    to: Literal["serving", "county"] = "serving"
    bandwidth_mbps: int = 0
    carrier: str = ""
    reason: str = ""


class SitesFile(_Model):
    """sites.yml: zones per level, devices, hosts, lines."""

    zones: dict[str, ZoneFile]
    sites: list[SiteKind]
    hosts: list[HostFile]
    lines: list[Line]
    devices: list[DeviceFile] = []


Port = Annotated[str, StringConstraints(pattern=r"^((tcp|udp)/[0-9]{1,5}|icmp/echo|proto/[a-z]+)$")]


class ServiceFile(_Model):
    """A service: its ports, and the zones in which it has an address."""

    ports: list[Port]
    clause: str = ""
    reason: str = ""


class FlowsFile(_Model):
    """flows.yml: services and the rows that decide every (zone, zone, relation)."""

    services: dict[Label, ServiceFile]
    flows: list[FlowFile]


class Tier(_Model):
    """How the databases of some zones and levels are backed up. No source gives these numbers (RQ-X12): sample data."""

    zones: list[str]
    levels: list[Level]
    service: str = "db"
    archive_timeout_seconds: Annotated[int, Field(ge=1)]
    retention_full: Annotated[int, Field(ge=1)]
    full_interval_hours: Annotated[int, Field(ge=1)]
    rpo_seconds: Annotated[int, Field(ge=1)]
    rto_seconds: Annotated[int, Field(ge=1)]
    reason: Reason


class BackupFile(_Model):
    """backup.yml: the one policy file."""

    tiers: list[Tier]


FILES: dict[str, type[_Model]] = {
    "plan.yml": PlanFile,
    "addressing.yml": AddressingFile,
    "names.yml": NamesFile,
    "sites.yml": SitesFile,
    "flows.yml": FlowsFile,
    "backup.yml": BackupFile,
}


def check(document: Document, model: type[_Model]) -> tuple[Any, list[Mistake]]:
    """The document as its model, or every mistake in it with its place."""
    try:
        return model.model_validate(document.value), []
    except ValidationError as error:
        found = error.errors()
        # A value that may have one of several forms fails for each; the form that got furthest tells what is wrong.
        deepest = [item for item in found if not any(_goes_on(item, other) for other in found)]
        return None, [_mistake(document, item) for item in deepest]


_CODE = re.compile(r"^(string_pattern_mismatch|string_type)$")


def _goes_on(item: Any, other: Any) -> bool:
    head = item["loc"][:-1] if item["type"] == "literal_error" else item["loc"]
    return len(other["loc"]) > len(item["loc"]) and other["loc"][: len(head)] == head


def _mistake(document: Document, error: Any) -> Mistake:
    path: tuple[str | int, ...] = ()
    value = document.value
    for part in error["loc"]:  # the location also names union members, which stand in no file
        if (isinstance(value, dict) and part in value) or (
            isinstance(value, list) and isinstance(part, int) and part < len(value)
        ):
            value = value[part]
            path = (*path, part)
        elif part == error["loc"][-1] and error["type"] == "missing":
            break
    last = error["loc"][-1]
    name = ".".join(str(part) for part in path) or document.file.rsplit("/", 1)[-1]
    line, column = document.place(path)
    kind, text = error["type"], error["msg"].removeprefix("Value error, ")
    if kind == "extra_forbidden":
        code, what, cure = "JB1011", f"the key `{last}` is not known here", "Correct its spelling or delete it."
    elif kind == "missing":
        code, what, cure = "JB1012", f"the key `{last}` is missing", f"Add `{last}:`."
    elif isinstance(value, int) and not isinstance(value, bool) and _CODE.match(kind):
        code = "JB1013"
        what = f"{value} is a number where text is expected (a region code loses its zeros that way)"
        cure = f'Write it in quotes, "{value}", with all its digits (6, or 9 for a township).'
    elif kind == "string_pattern_mismatch" and error["ctx"]["pattern"] == LABEL:
        code = "JB1015"
        what = f"{_short(value)} is no label: lower-case letters, digits and hyphens inside, 63 at most (RFC 1123 §2.1)"
        cure = "Shorten it, or write it with those characters only."
    else:
        code, what = "JB1014", f"{text} (found: {_short(value)})"
        cure = "Give a value of the form the plan schema asks for (`jinbao plan schema` prints it)."
    return Mistake(document.file, line, column, code, name, what, cure)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
