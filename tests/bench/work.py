"""The works that rows.py names, each one call of `python -m tests.bench.work <name> <words>`; prints `{"units": …}` last.

Everything is imported where it is used: a row pays for what it needs and for nothing else.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ground.record import Record
    from inventory.dialect import Dialect
    from ip_plan.network import Network

TARGET = "twin:bench"
BATCH = 100
"""Records a check run hands to the log at once, in the order of magnitude."""


def vendor(dialect: str) -> list[dict[str, str]]:
    """The rows that make every routing device one file of this dialect; hosts stay Debian. None for FRR."""
    if dialect not in MODELS:
        return []
    centre, office = MODELS[dialect]
    roles = (("router", centre), ("firewall", centre), ("access", office))
    return [{"role": role, "dialect": dialect, "model": model, "reason": "bench"} for role, model in roles]


def compile(plan: str, state: str) -> int:
    """Compile into `state`; sites."""
    from ip_plan.compile import compile_plan

    return compile_plan(plan, Path(state)).sites


def cut(folder: str, province: str) -> int:
    """Write the plan of one province and the ministry above it."""
    _plan(Path(folder), [{"region": "000000"}, {"region": province, "below": True}])
    return 2


MODELS = {"vrp": ("usg6655e", "usg6525e"), "iosxe": ("c8300-1n1s-6t", "c8300-1n1s-6t")}
"""Vendor → the models of centres and of offices."""


def mixed(folder: str, province: str = "") -> int:
    """Write the plan of the nation, or of one province and the ministry, with vendors' devices; rows."""
    scope: object = [{"region": "000000"}, {"region": province, "below": True}] if province else "all"
    _plan(Path(folder), scope, devices=vendor("vrp"))
    return len(vendor("vrp"))


def _plan(folder: Path, scope: object, divisions: str = "divisions", devices: object = None) -> None:
    import yaml

    plan = {
        "name": folder.name, "title": "小样", "scope_text": "31个省、自治区、直辖市和新疆生产建设兵团", "base": "national",
        "divisions": divisions, "scope": scope,
    }  # fmt: skip
    if divisions == "divisions":
        plan["corps_cities"] = "corps"
    if devices:
        plan["devices"] = devices
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plan.yml").write_text(yaml.safe_dump(plan, allow_unicode=True, sort_keys=False), "utf-8")


def remember(state: str) -> int:
    """Keep what every file below `state` is."""
    found = _files(Path(state))
    Path(f"{state}.sums").write_text(json.dumps(found))
    return len(found)


def forget(state: str) -> int:
    """Take away what a compile keeps for the next one, so that it makes every province again; plans."""
    kept = list((Path(state) / "plans").glob("*/network/parts.json"))
    for path in kept:
        path.unlink()
    return len(kept)


def unchanged(state: str) -> int:
    """Every file is what `remember` saw, or this ends with 1."""
    before, now = json.loads(Path(f"{state}.sums").read_text()), _files(Path(state))
    if before != now:
        sys.exit(f"replay changed {sorted(set(before.items()) ^ set(now.items()))[:4]}")
    return len(now)


def _files(state: Path) -> dict[str, str]:
    paths = (path for path in sorted((state / "plans").rglob("*")) if path.is_file())
    return {str(path.relative_to(state)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def nation(folder: str, devices: str = "") -> int:
    """Write a plan of the whole nation with division data of its own, `mixed`: with vendors' devices; regions."""
    from importlib.resources import files

    plan = Path(folder)
    _plan(plan, "all", "regions.csv", vendor("vrp") if devices else None)
    text = (files("ip_plan") / "plans" / "divisions" / "regions.csv").read_text("utf-8")
    (plan / "regions.csv").write_text(text, "utf-8")
    return text.count("\n") - 1


def rename(folder: str) -> int:
    """Give one county of the plan another name; regions."""
    path = Path(folder, "regions.csv")
    text = path.read_text("utf-8")
    assert ",永宁县," in text
    path.write_text(text.replace(",永宁县,", ",新永宁县,"), "utf-8")
    return 1


def diff(plan: str, state: str) -> int:
    """Say what a compile would change; things that change."""
    from ip_plan.compile import difference

    found = difference(plan, Path(state))
    if [change.region for change in found.changes] != ["640121"]:
        sys.exit(f"one county was renamed, and this is said: {found.changes[:3]}")
    return len(found.changes)


def _network(state: str, province: str = "") -> Network:
    from ip_plan.network import load

    (folder,) = Path(state, "plans").glob("*/network")
    return load(folder, [province] if province else None)


def render(state: str, build: str, province: str = "") -> int:
    """Render the compiled plan, or a province of it, into `build`; devices."""
    from inventory import render as renderer

    wanted = [province] if province else None
    return renderer.write(Path(build), _network(state, province), provinces=wanted, lab=not province).devices


def render_stored(state: str, build: str) -> int:
    """Render the compiled plan for production into `build`, province by province; devices."""
    from inventory import render as renderer
    from ip_plan.network import load

    (stored,) = Path(state, "plans").glob("*/network")
    return renderer.write(Path(build), load(stored, ()), lab=False, stored=stored).devices


TOWNSHIP = "640121999,新设乡,township,640121,town,xinshe,0,0\n"


def township(folder: str) -> int:
    """Add one township to the plan's division data, or take it out again; 1."""
    path = Path(folder, "regions.csv")
    text = path.read_text("utf-8")
    path.write_text(text.replace(TOWNSHIP, "") if TOWNSHIP in text else text + TOWNSHIP, "utf-8")
    return 1


def follow(plan: str, state: str) -> int:
    """Compile the changed plan and render what it changes; devices whose files changed, came or went."""
    from inventory import render as renderer
    from ip_plan.compile import compile_plan
    from ip_plan.network import load

    stored = compile_plan(plan, Path(state)).network
    written = renderer.write(Path(state, "build"), load(stored, ()), lab=False, stored=stored)
    touched = {*written.changed, *written.removed}
    if not touched or any(not name.startswith(("6401", "6400")) for name in touched):
        sys.exit(f"a township of 640121 was changed, and these devices were: {sorted(touched)[:9]}")
    return len(touched)


def zones(state: str, out: str) -> int:
    """Write all zones of the compiled plan as master files; records."""
    from inventory import zones as zonefiles

    (stored,) = Path(state, "plans").glob("*/network")
    return zonefiles.write(Path(out), stored, provinces=None, form="bind", serials={}).records


def load_zones(out: str) -> int:
    """Have BIND load every zone that was written; zones."""
    import tempfile

    from tests.inventory.conftest import in_image

    with tempfile.TemporaryDirectory() as place:
        answer = in_image(Path(place))("cd /build && named-checkconf -z zones.conf", Path(out))
    if answer.returncode:
        sys.exit(answer.stdout[-1000:])
    return answer.stdout.count("loaded serial")


def rendered(state: str) -> int:
    """Leave what a rendering of the nation leaves for the inventory, and how each device is reached; devices."""
    import msgspec

    from ground import files, reach
    from inventory import render as renderer

    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + "A" * 43
    found: dict[str, reach.Reach] = {}
    network = _network(state)
    for shard in network.shards:
        said = renderer.State(renderer.hosts(network, shard), {})
        found |= {host.name: reach.Reach(f"{host.name}.example", key) for host in said.devices}
        files.write(_built(state) / renderer.STATES / f"{shard.province}.json", msgspec.json.encode(said))
    reach.write(reach.file(Path(state), "production"), found)
    return len(found)


def _built(state: str) -> Path:
    from ground import tree

    (stored,) = Path(state, "plans").glob("*/network")
    return tree.place(Path(state), "production", stored.parent.name)


def inventory(state: str, province: str = "") -> int:
    """What the inventory script says of the rendered devices; devices."""
    return _listed(state, province).count('"ansible_host"')


def _listed(state: str, province: str) -> str:
    (stored,) = Path(state, "plans").glob("*/network")
    words = ["config", "inventory", "--list", "--plan", stored.parent.name, "--at", "production", "--state", state]
    return _jinbao(*words, *(["--province", province] if province else []))


def _jinbao(*words: str) -> str:
    """What the program prints when it is called with these words."""
    from jinbao import build

    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        code = build(list(words))(list(words), standalone_mode=False)
    if code:
        sys.exit(f"{' '.join(words)} ended with {code}")
    return said.getvalue()


def ansible(form: str, state: str, province: str = "") -> int:
    """What `ansible-inventory` makes of the script, or of the file of the same hosts that `hosts_file` wrote; devices.

    `form`: `export`, `plain` (without --export), or `file`.
    """
    (stored,) = Path(state, "plans").glob("*/network")
    said = {
        "JINBAO_PLAN": stored.parent.name,
        "JINBAO_AT": "production",
        "JINBAO_STATE": state,
        "JINBAO_PROVINCE": province,
    }
    tools = Path(sys.executable).parent
    environment = {**os.environ, **said, "PATH": f"{tools}:{os.environ['PATH']}"}
    source = f"{state}/hosts.yml" if form == "file" else "inventory/hosts"
    line = [str(tools / "ansible-inventory"), "-i", source, "--list", *([] if form == "plain" else ["--export"])]
    done = subprocess.run(line, env=environment, capture_output=True, text=True)
    if done.returncode or "WARNING" in done.stderr:
        sys.exit(f"ansible-inventory: {done.stderr[-1500:]}")
    return done.stdout.count('"ansible_host"')


def hosts_file(state: str, province: str = "") -> int:
    """Write what the inventory script says as one YAML file for Ansible; devices."""
    import yaml

    said = json.loads(_listed(state, province))
    hosts = said.pop("_meta")["hostvars"]
    groups = {name: {"hosts": dict.fromkeys(group["hosts"])} for name, group in said.items() if group.get("hosts")}
    text = yaml.dump({"all": {"hosts": hosts, "children": groups}}, Dumper=yaml.CSafeDumper)
    Path(state, "hosts.yml").write_text(text)
    return len(hosts)


def check(plan: str) -> int:
    """What `plan check` says; regions in scope."""
    return int(json.loads(_jinbao("plan", "check", "--plan", plan, "--format", "json"))["in_scope"])


def intents(plan: str, state: str) -> int:
    """Compile into `state`, and make the intent of every device, province by province in processes; devices."""
    from ground import work
    from ip_plan.compile import compile_plan

    stored = compile_plan(plan, Path(state)).network
    largest = sorted(stored.glob("??.json"), key=lambda path: -path.stat().st_size)
    return sum(work.spread(_intents, stored, [path.stem for path in largest]))


def _intents(stored: Path, province: str) -> int:
    from ground import work
    from inventory import dns
    from inventory.intent import intent
    from ip_plan.network import load

    with work.uncollected():
        network = load(stored, [province])
        (shard,) = network.shards
        servers = dns.servers(network, shard)
        return len([intent(network, device, servers.get(device.site)) for device in shard.devices])


def export(state: str, out: str, province: str = "") -> int:
    """Write the workbook of a province of the compiled national plan, or those of all into the folder; rows."""
    words = ["plan", "export", f"{out}.xlsx" if province else out, "--plan", "national", "--state", state]
    said = json.loads(_jinbao(*words, "--format", "json", *(["--province", province] if province else [])))
    return sum(book["rows"] for book in said)


def take_in(books: str, plan: str, state: str) -> int:
    """Take the workbooks of a folder into a plan of the nation whose ledger is empty; rows."""
    listed = sorted(map(str, Path(books).glob("*.xlsx")))
    said = json.loads(_jinbao("plan", "import", *listed, "--plan", plan, "--state", state, "--format", "json"))
    if said["regions"] or said["held"]:
        sys.exit(f"what was exported from the same division data came in otherwise: {said}")
    return int(said["rows"])


def cells(book: str, to: str) -> int:
    """Write the cells of a workbook as JSON, for the peer; rows."""
    import python_calamine

    source = python_calamine.CalamineWorkbook.from_path(book)
    found = {name: source.get_sheet_by_name(name).to_python() for name in source.sheet_names}
    Path(to).write_text(json.dumps(found))
    return sum(map(len, found.values()))


def lines(build: str) -> int:
    """Lines of all rendered files, the descriptions of the trees apart."""
    count = 0
    for folder, _, names in os.walk(build):
        count += sum(Path(folder, name).read_bytes().count(b"\n") for name in names) if "/files" in folder else 0
    return count


def prove(state: str, extent: str = "running") -> int:
    """Prove what is rendered in `state`/build; devices."""
    from inventory import proof

    network = _network(state)
    running = [name for site in network.running() for name in site.devices]
    found = proof.prove(network, Path(state, "build"), None if extent == "all" else running)
    if not found.good:
        sys.exit(f"the proof found {[*found.mistakes, *found.findings][:3]}")
    return found.devices


def prove_nation(state: str, kept: str = "") -> int:
    """Prove everything rendered in `state`/build, by province in processes; devices. With `kept`, verdicts are kept there."""
    from inventory.proof import national

    (folder,) = Path(state, "plans").glob("*/network")
    found = national.prove(folder, Path(state, "build"), kept=Path(kept) if kept else None)
    if not found.good:
        sys.exit(f"the proof found {[*found.mistakes, *found.findings][:3]}")
    return found.devices


def prove_province(state: str, province: str) -> int:
    """Prove a province in one process, nothing kept; devices."""
    from inventory.proof import national

    (folder,) = Path(state, "plans").glob("*/network")
    part = national.shard(national.Context(folder, Path(state, "build")), province)
    found = national.joined(proved.verdict for proved in part.proved.values())
    if not found.good:
        sys.exit(f"the proof found {[*found.mistakes, *found.findings][:3]}")
    return found.devices


def touch(state: str, device: str) -> int:
    """Write one file of a device again with a further comment; files."""
    path = Path(state, "build", device, "files/etc/nftables.conf")
    path.write_text(path.read_text() + "# touched\n")
    return 1


def append(state: str, number: str) -> int:
    """Append so many records to a new log."""
    from monitoring.evidence import log

    recorder = log.of(Path(state), TARGET, "bench")
    records = list(itertools.islice(_any(), int(number)))
    for at in range(0, len(records), BATCH):
        recorder.add(records[at : at + BATCH])
    return len(records)


def _any() -> Iterator[Record]:
    from ground import clock
    from ground.record import Record, Subject

    for number in itertools.count():
        region, other = 640000 + number % 97, 640000 + number % 89
        yield Record(
            check="zone.probe",
            subject=Subject(f"{region}", f"{region}:centre1", "exchange", peer=f"{other}:centre1:exchange"),
            target=TARGET, observer="controller", method="made up", time=clock.now(), tool="bench", input_key="0" * 16,
            result="pass", reason="as the plan says", seen=36, expected=36,
        )  # fmt: skip


def verify(state: str, number: str) -> int:
    """Verify the log; records."""
    from monitoring.evidence import log
    from monitoring.evidence import verify as verifier

    verdict = verifier.judge(log.folder(Path(state), TARGET))
    if verdict.findings or verdict.head is None or verdict.head.count != int(number):
        sys.exit(f"the log is not whole: {verdict.findings[:3]}")
    return verdict.head.count


def rounds(state: str, number: str) -> int:
    """Append what so many good check runs would say of the running pilot; records."""
    from monitoring.evidence import log

    recorder = log.of(Path(state), TARGET, "bench")
    good = _good(_network(state))
    for _ in range(int(number)):
        recorder.add(good)
    return len(good) * int(number)


def _good(network: Network) -> list[Record]:
    """What a look that reaches nobody writes down, turned to the better."""
    import msgspec

    from ground import remote
    from ground.record import Measure
    from monitoring.checks import run as checks

    nobody = remote.session({})
    try:
        records = checks.run(network, nobody, TARGET)
    finally:
        remote.close(nobody)
    age = (Measure("age_seconds", "s", 900.0, 90000.0),)
    return [
        msgspec.structs.replace(
            record, result="pass", reason="made up", seen=record.expected, detail="",
            measures=age if record.check == "backup.age" else (),
        )
        for record in records
    ]  # fmt: skip


def status(state: str) -> int:
    """Verify the log and judge the milestones; records."""
    from datetime import UTC, datetime

    from ip_plan import plan as plans
    from monitoring import rollout

    found = rollout.gather(plans.load("pilot"), _network(state), Path(state), TARGET, datetime.now(UTC), ask=False)
    if not found.ground.sound or not any(line.state == "reached" for line in found.lines):
        sys.exit(f"no milestone is reached on {found.ground.count} records: {found.ground.findings[:3]}")
    return found.ground.count


def spokes_plan(folder: str, number: str, dialect: str = "frr") -> int:
    """Write a plan of the ministry, Hebei, Baoding and so many of its offices as one-router sites; its divisions are its own."""
    from importlib.resources import files

    text = (files("ip_plan") / "plans" / "divisions" / "regions.csv").read_text("utf-8")
    header, *rows = csv.reader(text.splitlines())
    offices = [row for row in rows if row[0].startswith("1306") and row[2] in ("county", "township")][: int(number)]
    listed = [row for row in rows if row[0] in ("000000", "130000", "130600")] + offices
    plan = Path(folder, "plan")
    _plan(plan, "all", "regions.csv", vendor(dialect))
    with (plan / "regions.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows([header, *sorted(listed)])
    return len(listed)


def spokes(folder: str, state: str) -> int:
    """Compile and render what `spokes_plan` wrote; devices."""
    compile(f"{folder}/plan", state)
    from inventory import render as renderer

    return renderer.write(Path(state, "build"), _network(state), lab=False).devices


def drift(folder: str, number: str, dialect: str = "frr") -> int:
    """Render the hub of so many spokes, and beside it what it runs after changes by hand; lines."""
    import re

    spokes_plan(folder, number, dialect)
    spokes(folder, f"{folder}/ours")
    rendered = Path(folder, "ours", "build", "130600-r1", "files", dialect_of(dialect).target[1:]).read_text()
    running = re.sub("(local-preference|apply local-preference) 100", r"\1 150", rendered)
    lines = running.splitlines(keepends=True)
    listed = [
        at
        for at, line in enumerate(lines)
        if re.match(r"(ip|ipv6) (prefix-list|ip(v6)?-prefix|route|route-static) ", line)
    ]
    for at in reversed(listed[::20]):
        del lines[at]
    running = "".join(lines)
    Path(folder, "rendered.conf").write_text(rendered)
    Path(folder, "running.conf").write_text(running)
    Path(folder, "pair.json").write_text(json.dumps([[dialect, running, rendered]]))
    return len(lines)


def remedy(folder: str, dialect: str = "frr") -> int:
    """The commands from what the hub runs to what was rendered, shown on the simulated device; lines."""
    from inventory import acceptance

    running, rendered = (Path(folder, f"{name}.conf").read_text() for name in ("running", "rendered"))
    found = acceptance.remedy(dialect_of(dialect), "130600-r1", running, rendered, "running.conf")
    if not found.commands or found.mistakes:
        sys.exit(f"no commands: {found.mistakes[:3]}")
    return len(rendered.splitlines())


def dialect_of(name: str) -> Dialect:
    """A dialect by its name."""
    from importlib import import_module

    found: Dialect = import_module(f"inventory.dialects.{name}.running").DIALECT
    return found


def netlab_plan(folder: str, number: str) -> int:
    """Write netlab's topology with as many nodes as `spokes` has devices."""
    spokes_plan(folder, number)
    devices = spokes(folder, f"{folder}/ours")
    names = [f"s{at}" for at in range(1, devices)]
    # An own pool for the lines: the built-in one has not as many prefixes.
    lines = [
        "provider: clab", "defaults.device: frr", "module: [ospf]",
        "addressing:", "  lan: {ipv4: 172.16.0.0/16, ipv6: '2001:db8:1::/48'}",
        "  p2p: {ipv4: 10.1.0.0/16, prefix: 30, ipv6: '2001:db8:2::/48'}",
        "  loopback: {ipv4: 10.0.0.0/16, ipv6: '2001:db8:3::/48'}",
        "  mgmt: {ipv4: 192.168.0.0/22, start: 20}",
        f"nodes: [hub, {', '.join(names)}]", f"links: [{', '.join(f'hub-{name}' for name in names)}]",
    ]  # fmt: skip
    Path(folder, "topology.yml").write_text("\n".join(lines) + "\n")
    return devices


def netlab(folder: str, out: str) -> int:
    """Run netlab on the topology; nodes."""
    from tests.bench.place import PEERS

    Path(out).mkdir(parents=True, exist_ok=True)
    line = [
        str(PEERS / "bin" / "netlab"),
        "create",
        "--quiet",
        "-s",
        "defaults.const.MAX_NODE_ID=1000",
        f"{folder}/topology.yml",
    ]
    done = subprocess.run(line, cwd=out, capture_output=True, text=True)
    made = len(list(Path(out, "node_files").glob("*/initial")))
    if done.returncode or not made:
        sys.exit(f"netlab: {(done.stderr or done.stdout)[-1500:]}")
    return made


def names(state: str, province: str, to: str = "") -> int:
    """The text of every zone of a province; records. With `to`, what they are goes there for the peer."""
    from inventory import dns

    network = _network(state, province)
    zones = [
        zone
        for shard in network.shards
        for server in dns.servers(network, shard).values()
        for zone in server.zones
    ]  # fmt: skip
    written = sum(len(dns.text(zone, 1)) for zone in zones)
    assert written
    if to:
        Path(to).write_text(json.dumps({zone.name: zone.records for zone in zones}))
    return sum(len(zone.records) for zone in zones)


WORKS: dict[str, Callable[..., int]] = {
    "compile": compile, "cut": cut, "remember": remember, "forget": forget, "unchanged": unchanged, "render": render, "prove": prove,
    "prove-nation": prove_nation, "prove-province": prove_province, "touch": touch,
    "append": append, "verify": verify, "rounds": rounds, "status": status, "spokes": spokes, "spokes-plan": spokes_plan,
    "render-stored": render_stored, "mixed": mixed, "township": township, "follow": follow, "zones": zones, "load-zones": load_zones,
    "rendered": rendered, "inventory": inventory,
    "netlab": netlab, "netlab-plan": netlab_plan, "names": names, "nation": nation, "rename": rename, "diff": diff,
    "drift": drift, "remedy": remedy, "check": check, "intents": intents, "lines": lines,
    "ansible": ansible, "hosts-file": hosts_file, "export": export, "import": take_in, "cells": cells,
}  # fmt: skip

if __name__ == "__main__":
    print(json.dumps({"units": WORKS[sys.argv[1]](*sys.argv[2:])}))
