"""One node: a Debian with systemd in its own namespaces, over an overlay of the image, kept by a supervisor process."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ground import files, mistake, secret, tree
from stacks.twin import cgroups, program, wiring
from stacks.twin import place as places
from stacks.twin.cgroups import Layout
from stacks.twin.image import Image
from stacks.twin.place import NodeState, Place
from stacks.twin.topology import Node

SLOW = float(os.environ.get("JINBAO_SLOW", "1"))  # factor of every deadline, for slow machines
BOOT_SECONDS = 60
STOP_SECONDS = 20
# nspawn gives no CAP_NET_ADMIN with a named namespace; without it zebra ends and sshd comes 55 s late.
CAPABILITIES = "CAP_NET_ADMIN,CAP_SYS_RESOURCE,CAP_IPC_LOCK"
NSPAWN = Path("/run/systemd/nspawn")
PROPAGATE = ("propagate", "unix-export")

Running = Literal["running", "off", "failed", "absent"]


class Status(msgspec.Struct, frozen=True):
    """A node as it is now. `off`: powered off or power cut; `failed`: it ended by itself."""

    name: str
    running: Running
    address: str = ""
    boots: int = 0
    """Starts since its supervisor was started."""
    code: int | None = None
    """How the last run ended: 0 powered off, negative killed by that signal."""
    memory: int | None = None
    """Bytes, with what it wrote to memory."""


class _Report(msgspec.Struct, frozen=True):
    supervisor: int
    nspawn: int
    boots: int
    code: int | None
    stopping: bool


def allot(place: Place, nodes: Sequence[Node]) -> list[NodeState]:
    """Give each node its number on the management network and its host key, once.

    The number follows from the name; where two names meet, from their order.
    """
    with places.held(place, ["state"]):
        known = {state.node.name: state for state in places.every(place, "node", NodeState)}
        taken = {state.index for state in known.values()}
        for node in sorted(nodes, key=lambda node: node.name):
            if node.name in known:
                continue
            # 10.255.1.0 – 10.255.254.255: the first two hundred are left to the controller.
            index = 256 + int.from_bytes(hashlib.sha256(node.name.encode()).digest()[:4]) % 65000
            while index in taken or index & 255 in (0, 255):
                index = index + 1 if index < 65200 else 256
            taken.add(index)
            known[node.name] = NodeState(node, index, *key_pair())
            places.save(place, "node", node.name, known[node.name])
        return [known[node.name] for node in nodes]


def key_pair() -> tuple[str, str]:
    """A fresh Ed25519 key: the private part as OpenSSH writes it, the public one as in known_hosts."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return private.decode(), public.decode()


def start(place: Place, state: NodeState, image: Image, layout: Layout, preseed: Path | None = None) -> bool:
    """Start the node unless it runs; returns whether it was started. Its namespace must stand (`wiring.wire`).

    `preseed` is a folder with a tree (`ground.tree`); it is written when the node is first made, and never again: what
    changes later is brought over SSH. Raises JB3006, JB3008, JB3011.
    """
    node = state.node
    with places.held(place, [f"node-{node.name}"]), places.room(place.folder(node.name)):
        folders = cgroups.node_folders(layout, place.lab, node.name)
        if supervised(place, node.name):
            return False
        # Left over where a supervisor was killed: nobody would start it again after a reboot.
        cgroups.kill(folders[0])
        cgroups.emptied(folders[0], 10)
        _prepare(place, state, image, preseed)
        if layout.kind == "folders":
            cgroups.prepare([*folders, *cgroups.supervisors(layout, place.lab)])
        _launch(place, node, layout)
    return True


def wait(
    place: Place, states: Iterable[NodeState], seconds: float = BOOT_SECONDS, given_up: threading.Event | None = None
) -> None:
    """Wait until every node's sshd answers, or the caller has given up.

    Raises JB3006 with the last console lines of those that do not answer.
    """
    deadline = time.monotonic() + seconds * SLOW
    waiting = {state.address: state.node.name for state in states}

    ended: list[str] = []

    def ask(_: str) -> None:
        while waiting and time.monotonic() < deadline and not (given_up and given_up.is_set()):
            for address in _answering(list(waiting)):
                del waiting[address]
            for address, name in list(waiting.items()):
                if not supervised(place, name):
                    ended.append(name)
                    del waiting[address]
            if waiting:
                time.sleep(0.03)

    wiring.inside([place.netns("ctl")], ask)
    if late := [*ended, *waiting.values()]:
        raise mistake.Mistakes(
            [
                mistake.Mistake(
                    file="",
                    line=None,
                    column=None,
                    code="JB3006",
                    object=name,
                    what="; last on its console:\n    | ".join(
                        (
                            "ended before sshd answered" if name in ended else f"sshd silent for {seconds * SLOW:g} s",
                            "\n    | ".join(console(place, name)),
                        )
                    ),
                    cure=f"See {place.folder(name)}/console.log, then run the same command again.",
                )
                for name in sorted(late)
            ],
            "what came up stays up",
        )


def stop(place: Place, name: str, layout: Layout, seconds: float = STOP_SECONDS) -> None:
    """Power the node off in order; what has not ended within `seconds` is cut off. What it wrote stays."""
    with places.held(place, [f"node-{name}"]):
        report = _report(place, name)
        if report and supervised(place, name):
            with contextlib.suppress(ProcessLookupError):
                os.kill(report.supervisor, signal.SIGTERM)
            until(lambda: not supervised(place, name), seconds * SLOW)
        _cut(place, name, layout)


def power_cut(place: Place, name: str, layout: Layout) -> None:
    """End the node at once, as a power cut does. What it wrote stays; `start` starts it again."""
    with places.held(place, [f"node-{name}"]):
        _cut(place, name, layout)


def remove(place: Place, name: str, layout: Layout) -> None:
    """End the node, and remove what it wrote, its management port and its state."""
    with places.held(place, [f"node-{name}"]):
        _cut(place, name, layout)
        folder = place.folder(name)
        unmount([str(folder / "root")])
        for path in (folder, place.state / "disk" / name):
            shutil.rmtree(path, ignore_errors=True)
        cgroups.remove(layout, place.lab, cgroups.node_folders(layout, place.lab, name))
        if state := places.load(place, "node", name, NodeState):
            wiring.unwire_node(place, state)
        places.forget(place, "node", name)


def status(place: Place, state: NodeState, layout: Layout) -> Status:
    """The node as it is now."""
    name = state.node.name
    folders = cgroups.node_folders(layout, place.lab, name)
    report = _report(place, name)
    boots, code = (report.boots, report.code) if report else (0, None)
    if supervised(place, name):
        return Status(name, "running", state.address, boots, code, cgroups.memory(folders))
    if report is None:
        return Status(name, "absent", state.address)
    # No code: the supervisor was cut off together with the node.
    ordered = report.stopping or code is None or code <= 0
    return Status(name, "off" if ordered else "failed", state.address, boots, code)


def supervised(place: Place, name: str) -> bool:
    """Whether a supervisor holds the node: it runs, or is about to."""
    try:
        handle = os.open(place.folder(name) / "lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def console(place: Place, name: str, lines: int = 8) -> list[str]:
    """The last lines on the node's console, without control codes."""
    with contextlib.suppress(FileNotFoundError):
        text = (place.folder(name) / "console.log").read_text(errors="replace")
        plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", text)
        return [line for line in plain.splitlines() if line.strip()][-lines:]
    return []


def until(true: Callable[[], bool], seconds: float) -> bool:
    """Poll until `true`; returns whether that came within `seconds`."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def unmount(points: Iterable[str]) -> None:
    """Unmount these, deepest first, as far as they are mounted."""
    mounted = {_unescape(line.split()[4]) for line in Path("/proc/self/mountinfo").read_text().splitlines()}
    for point in sorted(set(points) & mounted, reverse=True):
        # Lazily where something still looks into it: it is gone by name at once and for good when that ends.
        if program.run(["umount", point]).returncode:
            program.run(["umount", "--lazy", point])


def mounts_below(folder: Path) -> list[str]:
    """What is mounted at `folder` and below it."""
    points = (_unescape(line.split()[4]) for line in Path("/proc/self/mountinfo").read_text().splitlines())
    return [point for point in points if point == str(folder) or point.startswith(f"{folder}/")]


def forget_machine(machine: str, root: Path) -> None:
    """Remove what systemd-nspawn leaves behind of a machine that was cut off; to be called before `root` is unmounted."""
    for kind in PROPAGATE:
        with contextlib.suppress(OSError):
            os.rmdir(NSPAWN / kind / machine)
    with contextlib.suppress(OSError):
        found = root.stat()
        (NSPAWN / "locks" / f"inode-{found.st_dev}:{found.st_ino}").unlink()


def _cut(place: Place, name: str, layout: Layout) -> None:
    folders = cgroups.node_folders(layout, place.lab, name)
    cgroups.kill(folders[0])
    if not cgroups.emptied(folders[0], 10 * SLOW) or not until(lambda: not supervised(place, name), 10 * SLOW):
        raise mistake.one("JB3006", "does not end", f"See what keeps it: {folders[0]}/cgroup.procs.", subject=name)
    forget_machine(place.netns(name), place.folder(name) / "root")


def _prepare(place: Place, state: NodeState, image: Image, preseed: Path | None) -> None:
    """Mount the node's root, and write what is its own on the first time. Half-written uppers are thrown away."""
    name = state.node.name
    folder = place.folder(name)
    upper = place.state / "disk" / name if state.node.disk else folder
    root = folder / "root"
    mounted = str(root) in mounts_below(root)
    made = upper / "made"
    if made.exists() and mounted:
        return
    if mounted:
        unmount([str(root)])
    if not made.exists():
        for left in ("up", "work"):
            shutil.rmtree(upper / left, ignore_errors=True)
    for part in (root, upper / "up", upper / "work"):
        part.mkdir(parents=True, exist_ok=True)
        part.chmod(0o755)
    layers = ":".join(layer.replace("\\", "\\\\").replace(":", "\\:") for layer in image.layers)
    options = f"lowerdir={layers},upperdir={_option(upper / 'up')},workdir={_option(upper / 'work')}"
    line = ["mount", "-t", "overlay", "overlay", "-o", options, str(root)]
    done = program.run(line)
    if done.returncode:
        raise mistake.one(
            "JB3002",
            f"the overlay could not be mounted: {done.stderr.strip()}",
            "The state folder must not lie on an overlay itself; give another one with --state.",
            subject=name,
        )
    if not made.exists():
        _write_own(place, state, root)
        if preseed:
            sow(root, preseed, place.home)
        files.write(made, "")


def _write_own(place: Place, state: NodeState, root: Path) -> None:
    name = state.node.name
    public = f"{state.host_key}\n"
    own = (
        ("/etc/hostname", f"{name}\n", 0o644),
        ("/etc/machine-id", hashlib.sha256(place.netns(name).encode()).hexdigest()[:32] + "\n", 0o444),
        ("/etc/hosts", f"127.0.0.1 localhost\n::1 localhost\n127.0.1.1 {name}\n", 0o644),
        ("/etc/resolv.conf", "", 0o644),
        ("/etc/ssh/ssh_host_ed25519_key", state.private_key, 0o600),
        ("/etc/ssh/ssh_host_ed25519_key.pub", public, 0o644),
        ("/root/.ssh/authorized_keys", place.identity.with_suffix(".pub").read_text(), 0o600),
    )
    for target, text, mode in own:
        put(root, target, text.encode(), mode, 0, 0)


def sow(root: Path, folder: Path, state: Path) -> None:
    """Write the tree in `folder` into a node's root, secrets of `state` filled in, and enable its units.

    Raises JB3011 (owner or unit unknown).
    """
    plan = tree.read(folder)
    users, groups = _ids(root / "etc/passwd"), _ids(root / "etc/group")
    unknown = {entry.owner for entry in plan.entries} - users.keys()
    unknown |= {entry.group for entry in plan.entries} - groups.keys()
    if unknown:
        raise mistake.Mistakes(
            mistake.Mistake(
                file=str(folder / "tree.json"),
                line=None,
                column=None,
                code="JB3011",
                object=name,
                what="owns files of this tree, and the image has no such user or group",
                cure="Add the package that makes it to the image, or correct the owner in the tree.",
            )
            for name in unknown
        )
    for entry in plan.entries:
        owner = users[entry.owner], groups[entry.group]
        put(root, entry.target, secret.fill(state, tree.content(folder, entry)), int(entry.mode, 8), *owner)
    if plan.units:
        done = program.run(["systemctl", f"--root={root}", "--no-reload", "enable", *plan.units])
        if done.returncode:
            if "No space left" in done.stderr:
                raise places.full(root)
            raise mistake.one(
                "JB3011",
                f"units cannot be enabled: {done.stderr.strip()}",
                "Correct the units in the tree, or add their package to the image.",
                file=str(folder / "tree.json"),
            )


def put(root: Path, target: str, data: bytes, mode: int, user: int, group: int) -> None:
    """Write one file of a node, seen from outside: links lead where the node would be led, never out of its root."""
    path = within(root, target)
    for parent in reversed(path.parents):
        if not parent.is_dir():
            parent.mkdir()
            parent.chmod(0o700 if parent.name == ".ssh" else 0o755)
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(data)
        os.fchown(stream.fileno(), user, group)
        os.fchmod(stream.fileno(), mode)


def within(root: Path, target: str) -> Path:
    """Where `target` (absolute, in the node) lies on this machine; links among its folders stay inside `root`."""
    *folders, last = [part for part in target.split("/") if part not in ("", ".")]
    found: list[str] = []
    todo = folders[::-1]
    steps = 0
    while todo:
        part = todo.pop()
        if (steps := steps + 1) > 200:
            raise OSError(errno.ELOOP, "links among its folders loop", target)
        if part == "..":
            found = found[:-1]
            continue
        here = root.joinpath(*found, part)
        if not here.is_symlink():
            found.append(part)
            continue
        aim = os.readlink(here)
        found = [] if aim.startswith("/") else found
        todo += [step for step in aim.split("/") if step not in ("", ".")][::-1]
    return root.joinpath(*found, last)


def _launch(place: Place, node: Node, layout: Layout) -> None:
    folder = place.folder(node.name)
    spec, line = launch(place, node, layout)
    (folder / "launch.json").write_bytes(msgspec.json.encode(spec))
    with open(folder / "supervisor.log", "ab") as log:
        done = subprocess.run(
            line, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True, close_fds=False
        )
    if done.returncode:
        said = (folder / "supervisor.log").read_text()[-500:]
        raise mistake.one(
            "JB3006",
            f"its supervisor did not start (exit {done.returncode}): {said.strip()}",
            "Run `jinbao twin doctor`, then the same command again.",
            subject=node.name,
        )


def launch(place: Place, node: Node, layout: Layout) -> tuple[dict[str, Any], list[str]]:
    """What the supervisor of a node is told (its launch file), and the command line that starts it."""
    folder = place.folder(node.name)
    machine = place.netns(node.name)
    folders = cgroups.node_folders(layout, place.lab, node.name)
    scoped = layout.kind == "scopes"
    spec = {
        "own": [f"{path}/cgroup.procs" for path in cgroups.supervisors(layout, place.lab)],
        "join": [] if scoped else [f"{path}/cgroup.procs" for path in folders],
        "gone": str(folders[0]) if scoped else "",
        "closing": str(place.closing),
        "lock": str(folder / "lock"),
        "status": str(folder / "status.json"),
        "console": str(folder / "console.log"),
        "argv": [*(cgroups.scope(place.lab, machine) if scoped else []), *nspawn(node, machine, folder / "root")],
        "env": {"PATH": program.path(), "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network"},
    }
    line = [sys.executable, "-I", "-S", str(Path(__file__).with_name("supervisor.py")), str(folder / "launch.json")]
    return spec, [*(cgroups.scope(place.lab, f"{machine}.supervisor") if scoped else []), *line]


def nspawn(node: Node, machine: str, root: Path) -> list[str]:
    """The command line that boots a node in its namespaces."""
    line = ["systemd-nspawn", "--register=no", "--keep-unit", "-q", "-D", str(root), "-b"]
    line += [f"--network-namespace-path={places.NETNS / machine}", "--console=pipe", "--link-journal=no"]
    line += ["--resolv-conf=off", "--timezone=off", f"--machine={machine}", f"--hostname={node.name}"]
    line += [f"--capability={CAPABILITIES}"]
    if node.tun:
        line.append("--bind=/dev/net/tun")
    return [*line, "--", "quiet", "systemd.show_status=no"]


def _answering(addresses: Sequence[str], seconds: float = 1.0) -> list[str]:
    """Which of these sshd say their banner within `seconds`; called inside the controller's namespace."""
    found: list[str] = []
    with selectors.DefaultSelector() as selector:
        for address in addresses:
            client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            client.setblocking(False)
            client.connect_ex((address, 22))
            selector.register(client, selectors.EVENT_READ, address)
        deadline = time.monotonic() + seconds
        while selector.get_map() and (left := deadline - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                client = key.fileobj  # type: ignore[assignment]
                with contextlib.suppress(OSError):
                    if client.recv(64).startswith(b"SSH-"):
                        found.append(key.data)
                selector.unregister(client)
                client.close()
        for key in list(selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
    return found


def _report(place: Place, name: str) -> _Report | None:
    with contextlib.suppress(FileNotFoundError, msgspec.MsgspecError):
        return msgspec.json.decode((place.folder(name) / "status.json").read_bytes(), type=_Report)
    return None


def _ids(file: Path) -> dict[str, int]:
    rows = (line.split(":") for line in file.read_text().splitlines())
    return {row[0]: int(row[2]) for row in rows if len(row) > 2}


def _option(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace(",", "\\,").replace(":", "\\:")


def _unescape(point: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), point)
