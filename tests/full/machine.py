"""A Debian 12 of its own: installed from this machine's package sources and run in an emulator, reached over SSH.

Software emulation alone, on purpose: the device for hardware help may exist and not work. Python runs about five times
slower in it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

# git and Python: what the README asks for. The rest is what makes it a machine that boots, has a network and lets us in.
PACKAGES = (
    "systemd", "systemd-sysv", "dbus", "udev", "kmod", "procps", "linux-image-cloud-amd64", "initramfs-tools",
    "systemd-resolved", "openssh-server", "iproute2", "ca-certificates", "git", "python3",
)  # fmt: skip
FILES = {
    "etc/hostname": "fresh\n",
    "etc/hosts": "127.0.0.1 localhost\n127.0.1.1 fresh\n",
    "etc/fstab": "/dev/vda / ext4 defaults 0 1\n",
    "etc/systemd/network/wired.network": "[Match]\nName=en*\n\n[Network]\nDHCP=yes\n",
}
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
MEMORY_MB = 12_000
DISK = "24G"


def install(root: Path, key: str, mirror: str = "http://deb.debian.org/debian") -> None:
    """Put Debian 12 into the empty folder `root`, open to the holder of the SSH public key `key`."""
    include = ",".join(PACKAGES)
    subprocess.run(["debootstrap", "--variant=minbase", f"--include={include}", "bookworm", root, mirror], check=True)
    for name, text in FILES.items():
        (root / name).write_text(text)
    (root / "root/.ssh").mkdir(mode=0o700, exist_ok=True)
    (root / "root/.ssh/authorized_keys").write_text(key)
    units = ["systemd-networkd", "systemd-resolved", "ssh"]
    subprocess.run(["systemctl", f"--root={root}", "enable", *units], check=True)
    # Package clients there must trust whom they trust here.
    (root / CERTIFICATES.relative_to("/")).write_bytes(CERTIFICATES.read_bytes())
    (root / "etc/environment").write_text("".join(f"{name}={value}\n" for name, value in network(os.environ).items()))


def network(environment: Mapping[str, str]) -> dict[str, str]:
    """What this machine was told about the way to its package sources, except places in its own folders."""
    kept = {}
    for name, value in sorted(environment.items()):
        told = name.startswith(("PIP_", "UV_", "SSL_CERT_")) or name.lower().endswith("_proxy")
        if told and (not value.startswith("/") or value == str(CERTIFICATES)):
            kept[name] = value
    return kept


class Machine:
    """A machine that runs. `run` gives a program's exit code; its output goes where this process's output goes."""

    def __init__(self, port: int, key: Path) -> None:
        self._ssh = [
            "ssh", "-p", str(port), "-i", str(key), "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no",
            "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=5",
            "-o", "ServerAliveInterval=60", "root@127.0.0.1",
        ]  # fmt: skip

    def run(self, command: str, *, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run `command` in a login shell, for at most `timeout` seconds; both outputs as one text."""
        return subprocess.run(
            [*self._ssh, command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
        )

    def answers(self) -> bool:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.run("true", timeout=20).returncode == 0
        return False


@contextlib.contextmanager
def machine(folder: Path, repository: Path) -> Iterator[Machine]:
    """A new machine with this repository's last commit under /srv/jinbao.git; it is switched off at the end."""
    root, disk, key, console = (folder / name for name in ("root", "disk", "key", "console"))
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    install(root, key.with_suffix(".pub").read_text())
    subprocess.run(["git", "clone", "--quiet", "--bare", repository, root / "srv/jinbao.git"], check=True)
    subprocess.run(["chown", "-R", "root:root", root / "srv/jinbao.git"], check=True)
    subprocess.run(["truncate", "-s", DISK, disk], check=True)
    subprocess.run(["mkfs.ext4", "-q", "-d", root, disk], check=True)
    kernel, initrd = (next((root / "boot").glob(f"{name}-*")) for name in ("vmlinuz", "initrd.img"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = subprocess.Popen([
        "qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max",
        "-smp", str(os.cpu_count()), "-m", str(MEMORY_MB), "-display", "none", "-serial", f"file:{console}",
        "-no-reboot", "-kernel", kernel, "-initrd", initrd, "-append", "root=/dev/vda rw console=ttyS0 quiet",
        "-drive", f"file={disk},if=virtio,format=raw,cache=unsafe", "-device", "virtio-rng-pci",
        "-nic", f"user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:{port}-:22",
    ])  # fmt: skip
    try:
        made = Machine(port, key)
        deadline = time.monotonic() + 300
        while not made.answers():
            assert running.poll() is None, f"the emulator ended: {console.read_text(errors='replace')[-2000:]}"
            assert time.monotonic() < deadline, f"no answer: {console.read_text(errors='replace')[-2000:]}"
            time.sleep(2)
        yield made
    finally:
        running.kill()
        running.wait()
