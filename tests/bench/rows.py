"""What is measured: rows as data. A new row is one entry here and, where no command does it, one function in work.py."""

from __future__ import annotations

import msgspec

Command = tuple[str, ...]
"""Words; `{base}` is a folder that the preparation shares with the runs, `{out}` one that is fresh for each run."""

WORK: Command = ("{python}", "-m", "tests.bench.work")
PEERS = ("annet", "dnspython", "hier-config", "networklab", "octodns", "openpyxl", "pyavd")
"""Packages of peers.lock whose versions stand in the table."""


class Size(msgspec.Struct, frozen=True):
    """One size of a row."""

    label: str
    command: Command
    prepare: tuple[Command, ...] = ()
    """Run once before, unmeasured."""
    after: tuple[Command, ...] = ()
    """Run after each run, unmeasured: what must hold of what it left."""
    lines: Command = ()
    """Run after the last run, unmeasured: counts the lines of configuration that it left."""


class Row(msgspec.Struct, frozen=True):
    """One kind of work, at one size or two."""

    name: str
    title: str
    unit: str
    """What `units` counts, singular."""
    sizes: tuple[Size, ...]
    seconds: float = 0
    """At most, for the last size; 0: nothing is promised."""
    memory: float = 0
    """At most, MB."""
    runs: int = 3
    """The median of so many."""
    beside: tuple[str, ...] = ()
    """Rows of the project that together do the work of this one of a peer; empty: this is the project's own.

    What is compared is the cost of a unit: at the same size, and where the project's row has none of it, at its last one."""
    note: str = ""


class Lab(msgspec.Struct, frozen=True):
    """A row measured on the running twin, once."""

    name: str
    title: str
    unit: str
    seconds: float = 0
    per_unit: float = 0
    """At most, seconds for each unit."""
    note: str = ""


def _work(*words: str) -> Command:
    return (*WORK, *words)


def _switches(*words: str) -> Command:
    return ("{python}", "-m", "tests.bench.switches", *words)


PILOT = (_work("compile", "pilot", "{base}"),)
NATION = (_work("compile", "national", "{base}"),)
SMALL, LARGE = 50, 120
"""Spokes. The devices of the hub come on top; the peer refuses more than 150 nodes until a constant is raised."""


def _spokes(command: str) -> tuple[Size, ...]:
    return tuple(
        Size(f"hub and {number} spokes", (*WORK, command, "{base}", "{out}"), (_work(f"{command}-plan", "{base}", str(number)),))
        for number in (SMALL, LARGE)
    )  # fmt: skip


def _mixed(province: str) -> tuple[Command, ...]:
    """A plan with vendors' devices, compiled: the nation's, or of one province."""
    return (_work("mixed", "{base}/plan", *filter(None, [province])), _work("compile", "{base}/plan", "{base}"))


def _drifted(dialect: str, command: Command, few: int, many: int) -> tuple[Size, ...]:
    return tuple(
        Size(f"{dialect}, hub of {number} offices", command, (_work("drift", "{base}", str(number), dialect),))
        for number in (few, many)
    )


VRP, IOSXE = ("vrp", 40, 385), ("iosxe", 15, 155)
"""Dialect, and how many offices make a hub of about 1,000 lines and one of about 10,000; the city has 385."""


def _remedied(dialect: str, few: int, many: int) -> tuple[Size, ...]:
    return _drifted(dialect, _work("remedy", "{base}", dialect), few, many)


def _peer(script: str, dialect: str, few: int, many: int) -> tuple[Size, ...]:
    return _drifted(dialect, ("{peers}", f"tests/bench/{script}", "{base}/pair.json"), few, many)


def _switched(command: str, *more: Command, dialect: str = "vrp") -> tuple[Size, ...]:
    """The switches of a province, in one dialect."""
    return tuple(
        Size(
            f"{dialect}, {label}",
            _switches(*command.split(" ")),
            (
                _switches("plan", "{base}/plan", dialect, f"{number}0000"),
                _work("compile", "{base}/plan", "{base}"),
                *more,
            ),
        )
        for label, number in (("Ningxia (64)", 64), ("Sichuan (51)", 51))
    )


SWITCHED = _switches("render", "{base}", "{base}/build")


def _exchanged(dialect: str, command: Command) -> tuple[Size, ...]:
    """The second switch of each centre of a province, changed by hand."""
    (small, large) = _switched("", SWITCHED, _switches("drift", "{base}", dialect), dialect=dialect)
    return tuple(msgspec.structs.replace(size, command=command) for size in (small, large))


def _evidence(command: str, prepare: bool) -> tuple[Size, ...]:
    return tuple(
        Size(
            f"{number:,} records",
            _work(command, "{base}" if prepare else "{out}", str(number)),
            (_work("append", "{base}", str(number)),) if prepare else (),
        )
        for number in (10_000, 40_000)
    )


def _ansible(form: str, *prepare: str) -> tuple[Size, ...]:
    """What Ansible makes of the inventory, of one province and of all."""
    return tuple(
        Size(
            label,
            _work("ansible", form, "{base}", *province),
            (*NATION, _work("rendered", "{base}"), *(_work(word, "{base}", *province) for word in prepare)),
        )
        for label, province in (("one province of it (64)", ("64",)), ("national plan", ()))
    )


def _avd(*words: str) -> tuple[Size, ...]:
    command = ("{peers}", "tests/bench/peer_pyavd.py")
    return tuple(Size(f"{number} devices", (*command, str(number), *words)) for number in (10, 100, 300))


ROWS: tuple[Row, ...] = (
    Row(
        "plan-check",
        "read and check the plan of the nation",
        "site",
        (Size("national plan", _work("check", "national")),),
        seconds=1.2,
        memory=250,
    ),
    Row("plan-check-pyavd", "pyavd checks the inputs of a fabric", "device", _avd("--check"), runs=1, beside=("plan-check",),
        note="a leaf–spine fabric with 20 networks; a site of the plan has one device or more"),
    Row(
        "compile-nation",
        "check and compile a plan with its ledger from nothing",
        "site",
        (
            Size("one province (51)", _work("compile", "{base}/plan", "{out}"), (_work("cut", "{base}/plan", "510000"),)),
            Size("national plan", _work("compile", "national", "{out}")),
        ),
        seconds=1.5,
        memory=250,
        note="dual stack; the smaller plan reads the whole division data too",
    ),
    Row(
        "compile-intents",
        "the same, and the intent of every device",
        "device",
        (Size("national plan", _work("intents", "national", "{out}")),),
        seconds=4,
        memory=400,
    ),
    Row(
        "replay-nation",
        "compile again on the same ledger; every file stays as it is, byte by byte",
        "site",
        (
            Size(
                "national plan",
                _work("compile", "national", "{base}"),
                (*NATION, _work("remember", "{base}"), _work("forget", "{base}")),
                (_work("unchanged", "{base}"), _work("forget", "{base}")),
            ),
        ),
        seconds=1.5,
        note="what the last compile kept of each province is taken away before each run",
    ),
    Row(
        "diff-county",
        "what changes when one county of the nation is renamed: plan read, compiled beside, compared",
        "change",
        (
            Size(
                "national plan",
                _work("diff", "{base}/plan", "{base}"),
                (_work("nation", "{base}/plan"), _work("compile", "{base}/plan", "{base}"), _work("rename", "{base}/plan")),
            ),
        ),
    ),
    Row("compile-pilot", "compile the pilot from nothing", "site", (Size("pilot", _work("compile", "pilot", "{out}")),)),
    Row("render-pilot", "render the pilot, fresh files", "device", (Size("pilot", _work("render", "{base}", "{out}"), PILOT),)),
    Row(
        "render-province",
        "render one province of the national plan, fresh files",
        "device",
        (
            Size("Ningxia (64)", _work("render", "{base}", "{out}", "64"), NATION),
            Size("Sichuan (51)", _work("render", "{base}", "{out}", "51"), NATION),
        ),
    ),
    Row(
        "render-nation",
        "render every device, one file for each that routes (VRP), hosts as Debian; fresh files",
        "device",
        (
            Size("Sichuan (51)", _work("render-stored", "{base}", "{out}"), _mixed("510000"), lines=_work("lines", "{out}")),
            Size("national plan", _work("render-stored", "{base}", "{out}"), _mixed(""), lines=_work("lines", "{out}")),
        ),
        seconds=10,
        memory=300,
        runs=1,
        note="the description of each tree is a file of its own",
    ),
    Row("render-nation-pyavd", "pyavd takes a fabric from its inputs to configurations", "device", _avd(), runs=1,
        beside=("compile-nation", "render-nation"),
        note="inputs checked, facts, structured configuration, text; nothing written; no names, no hosts, no firewalls"),
    Row(
        "render-again",
        "the same, when nothing changed since",
        "device",
        (
            Size(
                "national plan", _work("render-stored", "{base}", "{base}/build"),
                (*_mixed(""), _work("render-stored", "{base}", "{base}/build")),
            ),
        ),
    ),
    Row(
        "county",
        "a township of the nation comes, goes and returns: plan read, compared, compiled, its files written",
        "device",
        (
            Size(
                "national plan",
                _work("follow", "{base}/plan", "{base}"),
                (
                    _work("nation", "{base}/plan", "mixed"), _work("compile", "{base}/plan", "{base}"),
                    _work("render-stored", "{base}", "{base}/build"), _work("township", "{base}/plan"),
                ),
                (_work("township", "{base}/plan"),),
            ),
        ),
        seconds=0.7,
        memory=120,
        note="devices as in `render-nation`",
    ),
    Row(
        "zones",
        "every forward and reverse zone of the nation written as a master file",
        "record",
        (Size("national plan", _work("zones", "{base}", "{out}"), NATION),),
        seconds=1.5,
    ),
    Row(
        "zones-bind",
        "BIND loads every one of them",
        "zone",
        (Size("national plan", _work("load-zones", "{base}/zones"), (*NATION, _work("zones", "{base}", "{base}/zones"))),),
        seconds=5,
    ),
    Row(
        "inventory",
        "the Ansible inventory of every rendered device, as the script prints it",
        "device",
        tuple(
            Size(label, _work("inventory", "{base}", *province), (*NATION, _work("rendered", "{base}")))
            for label, province in (("one province of it (64)", ("64",)), ("national plan", ()))
        ),
        seconds=0.6,
    ),
    Row("inventory-ansible", "the same through `ansible-inventory --list --export`", "device", _ansible("export"), seconds=7, runs=1),
    Row("inventory-ansible-plain", "the same without `--export`", "device", _ansible("plain"), runs=1, beside=("inventory-ansible",)),
    Row("inventory-ansible-file", "the same hosts in one YAML file, through `ansible-inventory --list --export`", "device",
        _ansible("file", "hosts-file"), runs=1, beside=("inventory-ansible",)),
    Row(
        "export",
        "one province of the nation as a workbook",
        "row",
        (Size("Sichuan (51)", _work("export", "{base}", "{out}", "51"), NATION),),
        seconds=2,
        note="as the command does it: the plan is read and compiled before, and nothing changed",
    ),
    Row(
        "export-openpyxl",
        "openpyxl alone writes as many cells",
        "row",
        (
            Size(
                "Sichuan (51)", ("{peers}", "tests/bench/peer_openpyxl.py", "write", "{base}/cells.json", "{out}"),
                (
                    *NATION, _work("export", "{base}", "{base}/book", "51"),
                    _work("cells", "{base}/book.xlsx", "{base}/cells.json"),
                ),
            ),
        ),
        beside=("export",),
        note="write-only mode, no formats",
    ),
    Row(
        "import",
        "the workbooks of the nation into an empty ledger",
        "row",
        (
            Size(
                "national plan", _work("import", "{base}/books", "{base}/plan", "{out}"),
                (*NATION, _work("export", "{base}", "{base}/books"), _work("nation", "{base}/plan")),
            ),
        ),
        seconds=3,
        runs=1,
    ),
    Row(
        "import-openpyxl",
        "openpyxl alone reads as many cells",
        "row",
        (
            Size(
                "national plan", ("{peers}", "tests/bench/peer_openpyxl.py", "read", "{base}/books"),
                (*NATION, _work("export", "{base}", "{base}/books")),
            ),
        ),
        runs=1,
        beside=("import",),
        note="read-only mode, values only",
    ),
    Row(
        "prove-pilot",
        "prove the rendered text, both families",
        "device",
        (
            Size("running devices", _work("prove", "{base}"), (*PILOT, _work("render", "{base}", "{base}/build"))),
            Size("all devices", _work("prove", "{base}", "all"), (*PILOT, _work("render", "{base}", "{base}/build"))),
        ),
    ),
    Row(
        "prove-province",
        "prove a province of the national plan with the ministry above it: both families, routes, names, reading included",
        "device",
        tuple(
            Size(label, _work("prove-province", "{base}", province), (*NATION, _work("render", "{base}", "{base}/build")))
            for label, province in (("Chongqing (50)", "50"), ("Sichuan (51)", "51"))
        ),
    ),
    Row(
        "prove-nation",
        "prove everything that is rendered of the national plan, by province in processes",
        "device",
        (Size("national plan", _work("prove-nation", "{base}"), (*NATION, _work("render", "{base}", "{base}/build"))),),
        seconds=15,
        memory=300,
        runs=1,
        note="offices alike up to their own addresses are proved by a few of each kind, each text of the others is compared word by word",
    ),
    Row(
        "prove-one-site",
        "prove the nation again after one file of one office changed",
        "device",
        (
            Size(
                "national plan",
                _work("prove-nation", "{base}", "{base}/kept"),
                (
                    *NATION,
                    _work("render", "{base}", "{base}/build"),
                    _work("prove-nation", "{base}", "{base}/kept"),
                    _work("touch", "{base}", "640121100-r1"),
                ),
                (_work("touch", "{base}", "640121100-r1"),),
            ),
        ),
        seconds=1,
        note="the centre that serves that office is proved anew with what it serves; of all others every file is looked at, none is read",
    ),
    Row(
        "remediate",
        "commands from what a hub's FRR runs to what was rendered, shown on the simulated device there and back",
        "line",
        tuple(
            Size(f"hub and {number} spokes", _work("remedy", "{base}"), (_work("drift", "{base}", str(number)),))
            for number in (100, 380)
        ),
        note="one prefix-list entry or route in twenty is missing, and every second preference is another",
    ),
    Row("remediate-vrp", "the same for a hub in VRP: parsed, compared, ordered, applied there and back", "line", _remedied(*VRP)),
    Row("remediate-vrp-annet", "the same pair in Annet: parsed, compared, ordered; nothing applied", "line",
        _peer("peer_annet.py", *VRP), beside=("remediate-vrp",)),
    Row("remediate-iosxe", "the same for a hub in IOS-XE", "line", _remedied(*IOSXE)),
    Row("remediate-iosxe-hier-config", "the same pair in hier_config: parsed, compared, ordered by weights; nothing applied", "line",
        _peer("peer_hier_config.py", *IOSXE), beside=("remediate-iosxe",)),
    Row("switches-render", "render the switches of a province, two at each centre and one at each office; fresh files", "device",
        _switched("render {base} {out}")),
    Row("switches-prove", "read them back and hold them against the plan", "device", _switched("prove {base}", SWITCHED)),
    Row("switches-remediate-vrp", "commands for a switch of each centre, shown on the simulated device there and back", "line",
        _exchanged("vrp", _switches("remedy", "{base}", "vrp")),
        note="a trunk lost a VLAN, a port is in another zone, a zone has another name"),
    Row("switches-remediate-vrp-annet", "the same pairs in Annet: parsed, compared, ordered; nothing applied", "line",
        _exchanged("vrp", ("{peers}", "tests/bench/peer_annet.py", "{base}/pairs.json")), beside=("switches-remediate-vrp",)),
    Row("switches-remediate-iosxe", "the same in IOS-XE", "line", _exchanged("iosxe", _switches("remedy", "{base}", "iosxe"))),
    Row("switches-remediate-iosxe-hier-config", "the same pairs in hier_config: parsed, compared, ordered by weights; nothing applied",
        "line", _exchanged("iosxe", ("{peers}", "tests/bench/peer_hier_config.py", "{base}/pairs.json")),
        beside=("switches-remediate-iosxe",)),
    Row("evidence-append", "append to the evidence log, 100 records at a time, each time on the disk", "record",
        _evidence("append", False)),
    Row("evidence-verify", "hash the evidence log again from its first line", "record", _evidence("verify", True)),
    Row(
        "rollout-pilot",
        "verify the log and judge every milestone of the pilot",
        "record",
        tuple(
            Size(label, _work("status", "{base}"), (*PILOT, _work("rounds", "{base}", str(rounds))))
            for label, rounds in (("2 rounds of checks", 2), ("8 rounds of checks", 8))
        ),
        note="records made up for all ordered pairs of running zones, sessions, names, databases, backups",
    ),
    Row("spokes", "addresses and configuration of a hub and its spokes", "device", _spokes("spokes"),
        note="plan read, granted, compiled; FRR, nftables, BIND and the rest of each device rendered"),
    Row("spokes-netlab", "the same with netlab: `netlab create`, FRR with OSPF, both families", "device", _spokes("netlab"),
        runs=1, beside=("spokes",), note="addresses, FRR interfaces and OSPF; no filters, no zones, no ledger"),
    Row(
        "names",
        "forward and reverse zones of a province as master files",
        "record",
        tuple(
            Size(f"province {province}", _work("names", "{base}", province), NATION) for province in ("64", "51")
        ),
    ),
    Row(
        "names-dnspython",
        "the same records as dnspython zones, written as files",
        "record",
        tuple(
            Size(
                f"province {province}",
                ("{peers}", "tests/bench/peer_dnspython.py", "{base}/records.json", "{out}"),
                (*NATION, _work("names", "{base}", province, "{base}/records.json")),
            )
            for province in ("64", "51")
        ),
        beside=("names",),
    ),
    Row(
        "names-octodns",
        "the same records as octoDNS zone objects, nothing written",
        "record",
        tuple(
            Size(
                f"province {province}",
                ("{peers}", "tests/bench/peer_octodns.py", "{base}/records.json"),
                (*NATION, _work("names", "{base}", province, "{base}/records.json")),
            )
            for province in ("64", "51")
        ),
        beside=("names",),
    ),
)  # fmt: skip

LABS: tuple[Lab, ...] = (
    Lab("twin-preseeded", "pilot from nothing to every session up and every host reached over both families, preseeded",
        "node", seconds=30),
    Lab("twin-wide", "one ministry, four provinces, twenty cities from nothing to every database host reached, preseeded", "node",
        seconds=90, note="routing devices, firewalls and databases of a plan of its own; 6 GB at most"),
    Lab("twin-deploy", "pilot from bare machines over Ansible with mitogen to all services up", "node", seconds=150,
        note="from the moment the bare machines answer"),
    Lab("stack-up", "one data centre from nothing through the engine, before services", "resource", seconds=15),
    Lab("stack-preview", "preview of one data centre without change, policies included", "resource", seconds=3),
    Lab("stack-drift", "one data centre read back: no drift", "resource", seconds=3),
    Lab("twin-again", "second Ansible run: changed=0, every task evaluated", "node", per_unit=1.2),
    Lab("twin-probes", "zone probes of the pilot, both families, all pairs, 0 mismatches", "probe", seconds=12),
    Lab("twin-green", "pilot with all services, from bare machines to every check green", "node", seconds=420,
        note="`twin-deploy` and one look at everything"),
    Lab("service-change", "a change of one service on one host: plan, rendered, applied, checked", "service", seconds=30),
    Lab("row-inside", "a row of a city from its production zone over its exchange zone to its decision zone", "row", seconds=1,
        note="the median of nine, from commit to being seen"),
    Lab("row-above", "the same row to the ministry's exchange zone", "row", seconds=3, note="the median of nine"),
    Lab("rows-million", "a million rows from production to exchange (FL-02) and decision (FL-04)", "row",
        note="committed at once; province and ministry take them up meanwhile"),
    Lab("base-backup", "the production database that holds them copied by `pg_basebackup`, beside it", "row"),
)  # fmt: skip
