"""A Debian 12 of its own, installed from this machine's package sources: as a container with a systemd of its own, or in an
emulator with a kernel of its own.

The container runs at this machine's speed and has control groups of version 2 alone. The emulator is software alone, on
purpose: the device for hardware help may exist and not work. Programs run in it about ten times slower, and start twenty
times slower.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from stacks.twin import cgroups, image

# Debian 13's emulator starts programs twice as fast as Debian 12's; it runs from a root of its own.
EMULATOR_SUITE = "trixie"
# git and Python: what the README asks for. The rest is what makes it a machine that boots and has a network.
PACKAGES = (
    "systemd", "systemd-sysv", "dbus", "kmod", "procps", "iproute2", "ca-certificates", "git", "python3",
)  # fmt: skip
# What only a machine with a kernel and wires of its own needs, and what lets us in.
OWN_KERNEL = ("udev", "linux-image-cloud-amd64", "initramfs-tools", "systemd-resolved", "openssh-server")
EMULATED = {
    "etc/fstab": "/dev/vda / ext4 defaults 0 1\n",
    "etc/systemd/network/wired.network": "[Match]\nName=en*\n\n[Network]\nDHCP=yes\n",
    # On a machine that has other things to do as well, 90 seconds are not enough for every unit.
    "etc/systemd/system.conf.d/slow.conf": "[Manager]\nDefaultTimeoutStartSec=900\nDefaultDeviceTimeoutSec=900\n",
}
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
MEMORY_MB = 12_000
# Too small for every device's files of the nation: the demo then renders one province, which is minutes here, not half an hour.
DISK = "10G"
# Beyond what systemd-nspawn lets a container do: what the twin needs of a kernel.
CALLS = "bpf add_key keyctl request_key perf_event_open"

Run = Callable[[str, float], "subprocess.CompletedProcess[str]"]
"""Runs a command line as root for at most so many seconds; both outputs as one text."""


def debian(suite: str, root: Path, packages: Sequence[str]) -> None:
    """Put a release of Debian into `root`, from this machine's package sources."""
    source = f"deb {image.own_mirror().url} {suite} main"
    options = ["--mode=root", "--variant=minbase", f"--include={','.join(packages)}"]
    subprocess.run(["mmdebstrap", *options, suite, str(root), source], check=True)


def install(root: Path, given: Path, packages: Sequence[str]) -> None:
    """Put Debian 12 into `root`, with the last commit of the repository `given` under /srv/jinbao.git, or with the bundle."""
    debian(image.SUITE, root, packages)
    (root / "etc/hostname").write_text("fresh\n")
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n127.0.1.1 fresh\n")
    # Package clients there must trust whom they trust here.
    (root / CERTIFICATES.relative_to("/")).write_bytes(CERTIFICATES.read_bytes())
    (root / "etc/environment").write_text("".join(f"{name}={value}\n" for name, value in told(os.environ).items()))
    if (given / "made-for").exists():
        subprocess.run(["cp", "-r", given, root / "srv/bundle"], check=True)
    else:
        subprocess.run(["git", "clone", "--quiet", "--bare", given, root / "srv/jinbao.git"], check=True)
    subprocess.run(["chown", "-R", "root:root", root / "srv"], check=True)


def told(environment: Mapping[str, str]) -> dict[str, str]:
    """What this machine was told about the way to its package sources, except places in its own folders."""
    kept = {}
    for name, value in sorted(environment.items()):
        way = name.startswith(("PIP_", "UV_", "SSL_CERT_")) or name.lower().endswith("_proxy")
        if way and (not value.startswith("/") or value == str(CERTIFICATES)):
            kept[name] = value
    return kept


def ran(line: Sequence[str], seconds: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds
    )


def until(ready: Callable[[], bool], alive: subprocess.Popen[bytes], console: Path, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        said = console.read_text(errors="replace")[-2000:] if console.exists() else ""
        assert alive.poll() is None, f"it ended: {said}"
        assert time.monotonic() < deadline, f"it does not answer: {said}"
        time.sleep(0.5)


@contextlib.contextmanager
def container(folder: Path, given: Path, *, network: bool = True) -> Iterator[Run]:
    """A new machine as a container; it shares this machine's network, or has none, and is gone at the end."""
    root, console = folder / "root", folder / "console"
    install(root, given, PACKAGES)
    shutil.copyfile("/etc/resolv.conf", root / "etc/resolv.conf")
    subprocess.run(["systemctl", f"--root={root}", "mask", "systemd-networkd.service"], check=True)
    layout, unit = cgroups.here(), f"fresh-{os.getpid()}"
    assert layout is not None
    group = Path(layout.hierarchies[0]) / unit
    line = [
        "systemd-nspawn", "--register=no", "--keep-unit", "--quiet", "--boot", "--console=pipe", "--link-journal=no",
        "--resolv-conf=off", "--timezone=off", "--machine=fresh", "--capability=all", "--bind=/dev/net/tun",
        f"--system-call-filter={CALLS}", f"--directory={root}",
        *([] if network else ["--private-network"]),
    ]  # fmt: skip
    if layout.kind == "scopes":
        line = ["systemd-run", "--scope", "--quiet", "--collect", f"--unit={unit}", "-p", "Delegate=yes", *line]
    else:
        group.mkdir()
        line = ["sh", "-ec", 'echo 0 >"$0"; exec "$@"', str(group / "cgroup.procs"), *line]
    environment = {**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1", "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "yes"}
    with console.open("wb") as said:
        running = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=environment)

    def inside(*command: str, seconds: float = 20) -> subprocess.CompletedProcess[str]:
        leader = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
        return ran(["nsenter", "--all", f"--target={leader[0]}", *command], seconds) if leader else ran(["false"], 1)

    def run(command: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
        variables = [f"--setenv={name}={value}" for name, value in told(os.environ).items()]
        unit = [
            "systemd-run",
            "--wait",
            "--pipe",
            "--collect",
            "--quiet",
            "--working-directory=/root",
            "--setenv=HOME=/root",
        ]
        return inside(*unit, *variables, "sh", "-c", command, seconds=seconds)

    try:
        until(
            lambda: inside("systemctl", "is-system-running").stdout.strip() in ("running", "degraded"),
            running,
            console,
            60,
        )
        yield run
    finally:
        running.terminate()  # upon which it powers off
        try:
            running.wait(30)
        except subprocess.TimeoutExpired:
            running.kill()
        if layout.kind == "folders":
            cgroups.kill(group)
            cgroups.emptied(group, 10)
            cgroups.remove(layout, unit, [group])
        subprocess.run(["rm", "-rf", root], check=True)  # a million files


@contextlib.contextmanager
def emulator(folder: Path, given: Path, *, network: bool = True) -> Iterator[Run]:
    """A new machine in an emulator, reached over SSH, which is all that reaches it without a network; it is switched off at the
    end."""
    root, host, key = (folder / name for name in ("root", "host", "key"))
    debian(EMULATOR_SUITE, host, ["qemu-system-x86"])
    shutil.copyfile("/etc/resolv.conf", host / "etc/resolv.conf")
    disk, console = host / "disk", host / "console"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    install(root, given, [*PACKAGES, *OWN_KERNEL])
    for name, text in EMULATED.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    (root / "root/.ssh").mkdir(mode=0o700, exist_ok=True)
    (root / "root/.ssh/authorized_keys").write_text(key.with_suffix(".pub").read_text())
    for verb, *units in (["enable", "systemd-networkd", "systemd-resolved", "ssh"], ["mask", "serial-getty@ttyS0"]):
        subprocess.run(["systemctl", f"--root={root}", verb, *units], check=True)
    subprocess.run(["truncate", "-s", DISK, disk], check=True)
    subprocess.run(["mkfs.ext4", "-q", "-d", root, disk], check=True)
    for name in ("vmlinuz", "initrd.img"):
        shutil.copyfile(next((root / "boot").glob(f"{name}-*")), host / name)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = subprocess.Popen([
        "chroot", host, "qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max",
        "-smp", str(os.cpu_count()), "-m", str(MEMORY_MB), "-display", "none", "-serial", "file:/console",
        "-no-reboot", "-kernel", "/vmlinuz", "-initrd", "/initrd.img",
        "-append", "root=/dev/vda rw console=ttyS0 quiet mitigations=off norandmaps",
        "-drive", "file=/disk,if=virtio,format=raw,cache=unsafe", "-device", "virtio-rng-pci",
        "-nic", f"user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:{port}-:22,restrict={'off' if network else 'on'}",
    ])  # fmt: skip
    ssh = [
        "ssh", "-p", str(port), "-i", str(key), "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no",
        "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=60",
        "-o", "ServerAliveInterval=60", "root@127.0.0.1",
    ]  # fmt: skip

    def run(command: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
        return ran([*ssh, command], seconds)

    def answers() -> bool:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return run("true", 120).returncode == 0
        return False

    try:
        until(answers, running, console, 900)
        yield run
    finally:
        running.kill()
        running.wait()
        disk.unlink()
