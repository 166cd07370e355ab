"""Deploy: show what would change on which devices, have it confirmed, run the playbook, then the checks.

The playbook is the one that an engineer runs by hand, run as a program; what stands on the devices is compared before it,
over the same SSH sessions that every check uses.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from ground import files, mistake, remote, secret, tree
from ground.mistake import Mistakes
from ground.reach import Reach
from ground.remote import Answer

PLAYBOOK = Path(__file__).parent / "site.yml"
MANIFESTS = "/var/lib/jinbao/tree"
# ansible-playbook ends on SIGINT once its workers have; a hung connection must not hold the terminal.
GRACE_SECONDS = 20

# Prints `<sha256> <mode> <owner> <group> <path>` for each file named on standard input (NUL between), then the manifests.
_LOOK = r"""
xargs -0 -r sh -c 'for f do
  if [ -f "$f" ] && [ ! -L "$f" ]; then
    printf "%s %s\n" "$(sha256sum < "$f" | cut -d" " -f1)" "$(stat -c "%a %U %G %n" "$f")"
  fi
done' look
for m in {manifests}/*.json; do if [ -f "$m" ]; then printf 'manifest '; tr -d '\n' < "$m"; echo; fi; done
"""


class Change(msgspec.Struct, frozen=True, order=True):
    """One file of one device that is not as its tree says."""

    device: str
    target: str
    kind: str
    """`new`, `content`, `owner` (owner, group or mode only) or `removed`."""


class Plan(msgspec.Struct, frozen=True):
    """What a deploy would do."""

    name: str
    """Name of the plan; what a change above the limit is confirmed by."""
    target: str
    devices: tuple[str, ...]
    """Those the deploy goes to."""
    total: int
    """All devices of the target."""
    changes: tuple[Change, ...]
    silent: tuple[str, ...]
    """Devices that could not be asked: nothing is known of them."""
    limit: float
    """Share of all devices, 0–1, that may change without being confirmed by name."""

    @property
    def changing(self) -> tuple[str, ...]:
        """Devices that change, or may: those that did not answer count."""
        return tuple(sorted({change.device for change in self.changes} | set(self.silent)))

    @property
    def share(self) -> float:
        """The blast radius, 0–1."""
        return len(self.changing) / self.total if self.total else 0.0


class Order(msgspec.Struct, frozen=True):
    """What to run: names of the plan and target as on the command line, folders, and Ansible's own `--limit`."""

    plan: str
    at: str
    state: Path
    inventory: Path
    limit: str = ""
    check: bool = False


class Event(msgspec.Struct, frozen=True):
    """One line of the callback plugin `events`."""

    event: str
    name: str = ""
    host: str = ""
    status: str = ""
    message: str = ""
    tasks: int = 0
    files: list[str] = []
    removed: list[str] = []
    hosts: dict[str, dict[str, int]] = {}


class Outcome(msgspec.Struct, frozen=True):
    """What a run did. `hosts` is Ansible's recap by device; `failures` is device → what it said."""

    code: int
    seconds: float
    hosts: dict[str, dict[str, int]]
    failures: dict[str, str]
    changed_files: dict[str, tuple[str, ...]]
    log: Path

    @property
    def good(self) -> bool:
        """Whether every device was brought to its tree."""
        return self.code == 0 and bool(self.hosts) and not self.failures


# --- what would change -----------------------------------------------------------------------------------------------


def select(order: Order, known: Sequence[str]) -> tuple[str, ...]:
    """The devices that Ansible's own `--limit` selects, sorted. Raises `Mistakes` JB4008 when there are none."""
    if not order.limit:
        return tuple(sorted(known))
    line = ["ansible", "--list-hosts", "--inventory", str(order.inventory), "all", "--limit", order.limit]
    asked = subprocess.run(
        [_program(line[0]), *line[1:]], capture_output=True, text=True, env=environment(order), cwd=_root()
    )
    listed = [text.strip() for text in asked.stdout.splitlines()[1:]]
    found = tuple(sorted(name for name in listed if name in set(known)))
    if not found:
        cure = "Give names or groups of the inventory, e.g. 640100-r1 or province_64."
        what = f"--limit {order.limit} selects no device of {order.at}"
        if asked.returncode and "no hosts to target" not in asked.stderr:
            what += ": " + " ".join(asked.stderr.split())[-300:]
        raise Mistakes([mistake.Mistake("", None, None, "JB4008", "", what, cure)], "nothing was deployed")
    return found


def compare(
    state: Path, build: Path, devices: Sequence[str], asked: Mapping[str, Reach]
) -> tuple[list[Change], list[str]]:
    """What differs between the trees below `build` and what stands on `devices`, and who did not answer.

    Raises `Mistakes` JB4002, JB4003 with every device whose tree is missing or torn.
    """
    wanted = read_trees(state, build, devices)
    session = remote.session({name: asked[name] for name in devices if name in asked})
    try:
        look = _LOOK.replace("{manifests}", MANIFESTS)
        named = {name: "\0".join(files_).encode() for name, files_ in wanted.items()}
        answers = remote.run_all(session, dict.fromkeys(wanted, look), given=named)
    finally:
        remote.close(session)
    changes: list[Change] = []
    silent = []
    for name in devices:
        answer = answers.get(name, Answer(None, "", ""))
        if not answer.ok:
            silent.append(name)
            continue
        changes += differences(name, wanted[name], answer.out)
    return sorted(changes), silent


def read_trees(state: Path, build: Path, devices: Sequence[str]) -> dict[str, dict[str, tuple[str, str]]]:
    """Device → target → (SHA-256 with secrets resolved, `mode owner group`). Raises `Mistakes` JB4002, JB4003."""
    found: list[mistake.Mistake] = []
    wanted: dict[str, dict[str, tuple[str, str]]] = {}
    cure = "Run `jinbao config render` first."
    for name in devices:
        folder = build / name
        try:
            rendered = tree.read(folder)
            wanted[name] = {
                entry.target: (_sha256(state, folder, entry), f"{int(entry.mode, 8):o} {entry.owner} {entry.group}")
                for entry in rendered.entries
            }
        except FileNotFoundError as missing:
            path = missing.filename or str(folder)
            found.append(mistake.Mistake(str(path), None, None, "JB4002", name, "is not rendered", cure))
        except (msgspec.DecodeError, ValueError) as damaged:
            again = f"Run `jinbao config render --device {name}`: what is named is compared file by file."
            found.append(mistake.Mistake(str(folder / "tree.json"), None, None, "JB4003", name, str(damaged), again))
    if found:
        raise Mistakes(found, "nothing was deployed")
    return wanted


def _sha256(state: Path, folder: Path, entry: tree.Entry) -> str:
    content = tree.content(folder, entry)
    if files.sha256(content) != entry.sha256:
        raise ValueError(f"files/{entry.source} is not what tree.json says")
    return files.sha256(secret.fill(state, content)) if secret.references(content) else entry.sha256


def differences(device: str, wanted: Mapping[str, tuple[str, str]], seen: str) -> list[Change]:
    """What differs on one device. `seen` is what `_LOOK` printed there."""
    standing: dict[str, tuple[str, str]] = {}
    installed: set[str] = set()
    for line in seen.splitlines():
        first, _, rest = line.partition(" ")
        if first == "manifest":
            # Certificates are installed by a role and not by the tree: the role decides about them.
            with contextlib.suppress(ValueError):
                taken = json.loads(rest).get("files", {})
                installed |= {target for target in taken if not target.endswith((".crt", ".key"))}
        elif len(parts := rest.split(" ", 3)) == 4:
            standing[parts[3]] = (first, " ".join(parts[:3]))
    changes = []
    for target, (sha256, owner) in wanted.items():
        if target not in standing:
            changes.append(Change(device, target, "new"))
        elif standing[target][0] != sha256:
            changes.append(Change(device, target, "content"))
        elif standing[target][1] != owner:
            changes.append(Change(device, target, "owner"))
    changes += [Change(device, target, "removed") for target in sorted(installed - set(wanted))]
    return changes


# --- the run ---------------------------------------------------------------------------------------------------------


def environment(order: Order, events: Path | None = None) -> dict[str, str]:
    """The environment of Ansible: the project's ansible.cfg, and what the inventory script asks for."""
    given = {
        **os.environ,
        "ANSIBLE_CONFIG": str(_root() / "ansible.cfg"),
        "LC_ALL": "C.UTF-8",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "JINBAO_PLAN": order.plan,
        "JINBAO_AT": order.at,
        "JINBAO_STATE": str(order.state.absolute()),
    }
    if events is not None:
        given |= {"ANSIBLE_CALLBACKS_ENABLED": "events", "JINBAO_EVENTS": str(events), "ANSIBLE_NOCOLOR": "1"}
    return given


def with_mitogen() -> bool:
    """Whether the run goes over mitogen."""
    return importlib.util.find_spec("ansible_mitogen") is not None


def run(order: Order, watch: Callable[[Event], None]) -> Outcome:
    """Run the playbook and tell `watch` every event as it comes. Ctrl-C is handed on and raised again.

    Whatever ends the run, the devices keep what they have not taken up yet in their manifests, and the next run goes on.
    Raises `Mistakes` JB4009 when Ansible could not start.
    """
    started = time.monotonic()
    log = order.state / "deploy" / (time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()) + ".log")
    log.parent.mkdir(parents=True, exist_ok=True)
    hosts: dict[str, dict[str, int]] = {}
    failures: dict[str, str] = {}
    changed: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory(prefix="jinbao-deploy-") as folder, log.open("wb") as output:
        events = Path(folder) / "events"
        events.touch()
        line = [_program("ansible-playbook"), "--inventory", str(order.inventory), str(PLAYBOOK)]
        line += (["--limit", order.limit] if order.limit else []) + (["--check", "--diff"] if order.check else [])
        process = subprocess.Popen(
            line, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment(order, events), cwd=_root(),
            start_new_session=True,
        )  # fmt: skip
        try:
            for event in _follow(events, process):
                if event.event == "end":
                    hosts = event.hosts
                if event.status in ("failed", "unreachable"):
                    failures[event.host] = event.message
                if event.status == "changed":
                    changed.setdefault(event.host, []).extend([*event.files, *event.removed])
                watch(event)
        except BaseException:
            _end(process)
            raise
    if not hosts and process.returncode:
        said = [text for text in log.read_text(errors="replace").splitlines() if text.strip()]
        what = "ansible-playbook could not start: " + (said[-1] if said else f"exit {process.returncode}")
        raise mistake.one("JB4009", what, f"The whole output is {log}.")
    return Outcome(
        process.returncode,
        time.monotonic() - started,
        hosts,
        failures,
        {name: tuple(sorted(set(targets))) for name, targets in sorted(changed.items()) if targets},
        log,
    )


def _follow(path: Path, process: subprocess.Popen[bytes]) -> Iterator[Event]:
    """The events in `path` as they are written, until the process ended and everything is read."""
    decoder = msgspec.json.Decoder(Event)
    with path.open("rb") as stream:
        rest = b""
        while True:
            ended = process.poll() is not None
            rest += stream.read()
            *lines, rest = rest.split(b"\n")
            for line in lines:
                yield decoder.decode(line)
            if ended:
                return
            time.sleep(0.1)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End Ansible and its workers, first as Ctrl-C does. A worker that outlives it has nobody to tell what it does."""
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
            break
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _program(name: str) -> str:
    """A program of Ansible: beside this Python, or on the path. Raises `Mistakes` JB4009."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise mistake.one("JB4009", f"{name} is not installed", "Run `./run setup`.")
    return found


def _root() -> Path:
    """The folder with ansible.cfg, inventory/ and playbooks/."""
    return PLAYBOOK.parent.parent
