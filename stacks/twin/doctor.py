"""What this machine lacks to run a lab: facts gathered once, findings drawn from them."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from ground.mistake import Mistake, Mistakes, Severity
from stacks.twin import cgroups, image, program
from stacks.twin.cgroups import Layout

# Program → Debian package.
PROGRAMS = {
    "apt-get": "apt",
    "mmdebstrap": "mmdebstrap",
    "systemd-nspawn": "systemd-container",
    "systemctl": "systemd",
    "ip": "iproute2",
    "tc": "iproute2",
    "nc": "netcat-openbsd",
    "ssh": "openssh-client",
    "mount": "mount",
    "unshare": "util-linux",
    "setpriv": "util-linux",
}

# Four inotify instances a node, of one uid: the default of 128 ends at 31 nodes.
SYSCTLS = {
    "fs.inotify.max_user_instances": 8192,
    "fs.inotify.max_user_watches": 1048576,
    "kernel.pid_max": 4194304,
    "kernel.keys.maxkeys": 20000,
}

NODE_MB = 50  # a router or database host; an idle node takes 9

# Tried for real, in namespaces that end with the try: a kernel may list what it cannot do.
PROBE = """\
try() { name=$1; shift; if "$@" >/dev/null 2>&1; then echo "$name"; fi; }
try overlay unshare --mount sh -c '
  mount -t tmpfs tmpfs /mnt && cd /mnt && mkdir low up work root &&
  mount -t overlay overlay -o lowerdir=low,upperdir=up,workdir=work root && mknod up/x c 0 0'
try netns unshare --net true
try veth unshare --net ip link add name probe0 type veth peer name probe1
try bridge unshare --net ip link add name probe0 type bridge
try tun test -c /dev/net/tun
"""


class Facts(msgspec.Struct, frozen=True):
    """What decides whether a lab can run here."""

    root: bool
    abilities: frozenset[str]
    """Of overlay, netns, veth, bridge, tun: those that a try confirmed."""
    layout: Layout | None
    programs: frozenset[str]
    sysctls: dict[str, int]
    memory_mb: int
    """Available now."""
    disk_mb: int
    """Free where images are kept."""
    image: bool
    machine: str
    kernel: str


def gather() -> Facts:
    """The facts of this machine; changes nothing."""
    root = os.geteuid() == 0
    tried = program.run(["sh", "-c", PROBE]).stdout if root else ""
    memory = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    spot = next(folder for folder in (image.cache(), *image.cache().parents) if folder.exists())
    return Facts(
        root=root,
        abilities=frozenset(tried.split()),
        layout=cgroups.here(),
        programs=frozenset(name for name in PROGRAMS if shutil.which(name, path=program.path())),
        sysctls={name: value for name in SYSCTLS if (value := _sysctl(name)) is not None},
        memory_mb=int(memory["MemAvailable"].split()[0]) // 1024,
        disk_mb=shutil.disk_usage(spot).free // 1_000_000,
        image=image.ready() is not None,
        machine=platform.machine(),
        kernel=platform.release(),
    )


def examine(facts: Facts, nodes: int = 0, *, tun: bool = False) -> list[Mistake]:
    """What is missing for a lab of `nodes` nodes (some of them with a tunnel device) and what to do about it."""
    return sorted(_findings(facts, nodes, tun))


def require(facts: Facts, nodes: int = 0, *, tun: bool = False) -> None:
    """Raises `Mistakes` where a lab of `nodes` nodes cannot run."""
    found = examine(facts, nodes, tun=tun)
    if any(finding.severity == "error" for finding in found):
        raise Mistakes(found, "nothing was started")


def settle(facts: Facts) -> list[str]:
    """Raise the kernel's limits that a lab needs (root only); returns those that were changed. Lowers none."""
    changed = [name for name, least in SYSCTLS.items() if facts.sysctls.get(name, least) < least]
    for name in changed:
        _file(name).write_text(str(SYSCTLS[name]))
    return changed


def _findings(facts: Facts, nodes: int, tun: bool) -> Iterator[Mistake]:
    if not facts.root:
        yield _finding("JB3001", "user", "not root; namespaces and mounts need it", "Run the command with sudo.")
    missing = {name: PROGRAMS[name] for name in PROGRAMS if name not in facts.programs}
    for name, package in missing.items():
        yield _finding("JB3004", name, "program missing", f"Run `./run setup`, or `apt-get install {package}`.")
    if facts.layout is None:
        yield _finding(
            "JB3013",
            "control groups",
            "neither cgroup v2 with systemd as PID 1 nor the hybrid layout (/sys/fs/cgroup/systemd and …/unified)",
            "Start the machine with systemd, or mount both: `mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified` and "
            "`mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd`.",
        )
    if facts.root and not {"ip", "unshare", "mount"} & missing.keys():
        yield from _abilities(facts, tun)
    need = image.NEEDED_MB if not facts.image else 200
    if facts.disk_mb < need:
        yield _finding(
            "JB3008",
            str(image.cache()),
            f"{facts.disk_mb} MB free, {need} MB needed",
            "Free some space, or set JINBAO_CACHE to a folder with more.",
        )
    want = 500 + nodes * NODE_MB
    if facts.memory_mb < want:
        yield _finding(
            "JB3014",
            "memory",
            f"{facts.memory_mb} MB available; {nodes} nodes may take {want} MB",
            "Take fewer regions into the lab, or free memory.",
            warning=True,
        )


def _abilities(facts: Facts, tun: bool) -> Iterator[Mistake]:
    if tun and "tun" not in facts.abilities:
        yield _finding("JB3003", "/dev/net/tun", "missing, and a node asks for it", "`modprobe tun`.")
    if "overlay" not in facts.abilities:
        yield _finding(
            "JB3002", "overlayfs", "cannot be mounted", "`modprobe overlay`; a container must run privileged."
        )
    if "netns" not in facts.abilities:
        yield _finding(
            "JB3003",
            "network namespaces",
            "cannot be made",
            "Take a kernel with CONFIG_NET_NS; a container must run privileged.",
        )
        return
    for kind in ("veth", "bridge"):
        if kind not in facts.abilities:
            yield _finding(
                "JB3003", kind, "no such interface can be made", f"`modprobe {kind}`, or a kernel that has it."
            )


def _finding(code: str, subject: str, what: str, cure: str, *, warning: bool = False) -> Mistake:
    severity: Severity = "warning" if warning else "error"
    return Mistake(file="", line=None, column=None, code=code, object=subject, what=what, cure=cure, severity=severity)


def _sysctl(name: str) -> int | None:
    try:
        return int(_file(name).read_text())
    except (OSError, ValueError):
        return None


def _file(name: str) -> Path:
    return Path("/proc/sys") / name.replace(".", "/")


def summary(facts: Facts) -> Mapping[str, str]:
    """The facts as a person reads them."""
    return {
        "user": "root" if facts.root else "not root",
        "kernel": f"{facts.kernel} ({facts.machine})",
        "control groups": facts.layout.kind if facts.layout else "none that works",
        "abilities": " ".join(sorted(facts.abilities)) or "none",
        "memory": f"{facts.memory_mb} MB available",
        "disk": f"{facts.disk_mb} MB free at {image.cache()}",
        "image": "built" if facts.image else "not built yet",
    }
