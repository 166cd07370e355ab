"""The image every node starts from: three layers, each kept under the hash of what defines it.

    base     a minimal Debian, from the machine's own package mirror
    tools    the packages of every role, and every role's services switched off
    common   what makes a node quick and quiet: masked units, sshd, journald

A layer is built in a folder of its own and renamed when it is whole. The build runs in its own mount and process
namespace that dies with its parent, so nothing stays behind when it is killed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import shutil
import stat
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from ground import files, mistake
from stacks.twin import place as places
from stacks.twin import program

SUITE = "bookworm"
BASE_PACKAGES = ("systemd", "systemd-sysv", "dbus")
PACKAGES = (
    "acl",
    "bind9",
    "bind9-dnsutils",
    "charon-systemd",
    "check-pgbackrest",
    "chrony",
    "curl",
    "fping",
    "frr",
    "frr-pythontools",
    "iperf3",
    "iproute2",
    "iputils-ping",
    "keepalived",
    "libcharon-extra-plugins",
    "libstrongswan-standard-plugins",
    "netcat-openbsd",
    "nftables",
    "nginx",
    "openssh-server",
    "openssl",
    "pgbackrest",
    "postgresql-15",
    "procps",
    "prometheus",
    "prometheus-node-exporter",
    "prometheus-postgres-exporter",
    "python3",
    "python3-apt",
    "python3-psycopg2",
    "strongswan-swanctl",
    "sudo",
    "tcpdump",
    "traceroute",
)

# Units that stay on; everything else that a package switched on is off until a role enables it.
KEPT = ("ssh.service",)

MASKED = (
    *(f"systemd-{name}.service" for name in (
        "udevd", "udev-trigger", "udev-settle", "timesyncd", "resolved", "logind", "networkd-wait-online", "pstore",
        "hwdb-update", "modules-load", "random-seed", "update-utmp", "update-utmp-runlevel", "remount-fs", "binfmt",
        "machine-id-commit", "firstboot", "sysusers", "journal-flush", "journal-catalog-update", "boot-system-token",
        "boot-update", "repart", "quotacheck", "tmpfiles-setup-dev",
    )),
    "systemd-udevd-control.socket", "systemd-udevd-kernel.socket",
    "systemd-ask-password-console.path", "systemd-ask-password-wall.path",
    "ldconfig.service", "dev-hugepages.mount", "sys-kernel-debug.mount", "sys-kernel-tracing.mount",
    "sys-kernel-config.mount", "sys-fs-fuse-connections.mount", "proc-sys-fs-binfmt_misc.automount",
    "getty.target", "getty@tty1.service", "console-getty.service", "getty-static.service",
    "e2scrub_reap.service", "e2scrub_all.timer", "fstrim.timer", "apt-daily.timer", "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer", "logrotate.timer", "networking.service", "quotaon.service", "kmod-static-nodes.service",
    *(f"modprobe@{name}.service" for name in ("configfs", "dm_mod", "drm", "efi_pstore", "fuse", "loop")),
    "rsyslog.service", "apparmor.service",
)  # fmt: skip

# They look for disks, swap, crypt tables and init scripts that no node has, at each boot and each daemon-reload.
GENERATORS = tuple(
    f"systemd-{name}-generator"
    for name in (
        "bless-boot", "cryptsetup", "debug", "fstab", "getty", "gpt-auto", "hibernate-resume", "integritysetup",
        "rc-local", "run", "system-update", "sysv", "veritysetup",
    )
)  # fmt: skip

COMMON = {
    # The wires are this machine's memory: Debian's first choice of key exchange costs 0.2 CPU seconds a connection more.
    "/etc/ssh/sshd_config.d/00-twin.conf": """\
KexAlgorithms curve25519-sha256
HostKey /etc/ssh/ssh_host_ed25519_key
PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM no
UseDNS no
PrintMotd no
MaxStartups 100:30:200
""",
    "/etc/systemd/journald.conf.d/twin.conf": """\
[Journal]
Storage=volatile
RuntimeMaxUse=8M
ForwardToSyslog=no
ReadKMsg=no
Audit=no
""",
    "/etc/systemd/system.conf.d/twin.conf": """\
[Manager]
DefaultTimeoutStopSec=10s
DefaultTimeoutStartSec=60s
ShowStatus=no
""",
    # The lab owns the management port, FRR its routes; networkd removes both unless told.
    "/etc/systemd/network/00-mgmt0.network": "[Match]\nName=mgmt0\n\n[Link]\nUnmanaged=yes\n",
    "/etc/systemd/networkd.conf.d/twin.conf": """\
[Network]
ManageForeignRoutes=no
ManageForeignRoutingPolicyRules=no
""",
    # A node must not set the machine's clock: chrony serves and follows, and touches nothing (-x).
    "/etc/systemd/system/chrony.service.d/twin.conf": "[Unit]\nConditionCapability=\n",
    "/etc/default/chrony": 'DAEMON_OPTS="-F 0 -x"\n',
}

# $1 target, $2 mirror, $3 configuration for apt
BASE_SCRIPT = f"""\
mmdebstrap --mode=root --variant=minbase --include={",".join(BASE_PACKAGES)} \
  --aptopt="$3" --dpkgopt=force-unsafe-io {SUITE} "$1" "deb $2 {SUITE} main"
rm "$1/etc/apt/apt.conf.d/99mmdebstrap" "$1/etc/dpkg/dpkg.cfg.d/99mmdebstrap"
sync -f "$1"
"""

# $1 target, $2 work folder, $3 packages kept, $4 configuration for apt, $5 base
TOOLS_SCRIPT = f"""\
root=$2/root
mkdir -p "$root" "$2/work"
mount -t overlay overlay -o "lowerdir=$5,upperdir=$1,workdir=$2/work" "$root"
mount -t proc proc "$root/proc"
for folder in run tmp var/lib/apt/lists; do mount -t tmpfs tmpfs "$root/$folder"; done
mount --bind "$3" "$root/var/cache/apt/archives"
cp "$4"/* "$root/run/"
cp /etc/resolv.conf "$root/run/resolv.conf"
ln -sf /run/resolv.conf "$root/etc/resolv.conf"
printf '#!/bin/sh\\nexit 101\\n' > "$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
mkdir -p "$root/etc/postgresql-common"
echo 'create_main_cluster = false' > "$root/etc/postgresql-common/createcluster.conf"
export APT_CONFIG=/run/apt.conf DEBIAN_FRONTEND=noninteractive
chroot "$root" apt-get -q update
chroot "$root" apt-get -q -y --no-install-recommends -o APT::Keep-Downloaded-Packages=true \
  -o Dpkg::Options::=--force-unsafe-io -o Dpkg::Options::=--force-confold \
  -o Dpkg::Options::=--path-exclude=/usr/share/doc/* -o Dpkg::Options::=--path-exclude=/usr/share/man/* \
  install {" ".join(PACKAGES)}
rm "$root/usr/sbin/policy-rc.d" "$root/etc/resolv.conf"
rm -f "$root"/etc/ssh/ssh_host_* "$root/etc/pgbackrest.conf" "$root"/var/cache/apt/*.bin
sync -f "$1"
"""

NEEDED_MB = 3000
"""What the three layers take, and the packages kept for the next build."""

Progress = Callable[[str, int, int], None]


class Image(msgspec.Struct, frozen=True):
    """A complete image: its layers, topmost first, as overlayfs takes them."""

    layers: tuple[str, ...]


class Mirror(msgspec.Struct, frozen=True):
    """Where this machine gets Debian from: the repository of the suite, and the lines of a sources.list."""

    url: str
    lines: tuple[str, ...]


CARRIED = Mirror("", (f"deb [trusted=yes] file:/var/cache/apt/archives {SUITE} main",))
"""Packages that a bundle brought, as the apt within the image sees them: among those it has fetched already."""


def cache() -> Path:
    """The folder that keeps images; outside the checkout, so that a new clone finds them."""
    return Path(os.environ.get("JINBAO_CACHE") or "/var/cache/jinbao").absolute() / "image"


def ready() -> Image | None:
    """The image when it is built, None otherwise."""
    image = Image(tuple(str(cache() / name) for name in reversed(_names())))
    return image if all(Path(layer).is_dir() for layer in image.layers) else None


def carried() -> Path:
    """Where the packages of this image lie as a repository, if a bundle brought them (`stacks/bundle.py`)."""
    key = " ".join((platform.machine(), SUITE, *BASE_PACKAGES, *PACKAGES))
    return cache() / f"packages-{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def build(progress: Progress) -> Image:
    """The image, built where it is missing. One process builds, the others wait. Raises JB3005, JB3008."""
    if image := ready():
        return image
    folder = cache()
    base, tools, common = (folder / name for name in _names())
    with places.room(folder), program.lock(folder / "lock"):
        for left in folder.glob(".building-*"):  # of a killed build
            shutil.rmtree(left, ignore_errors=True)
        # apt waits for ever for a disk that is full.
        if shutil.disk_usage(folder).free < NEEDED_MB * 1_000_000:
            raise places.full(folder)
        makers: tuple[tuple[Path, Callable[[Path], None]], ...] = (
            (base, _base),
            (tools, lambda draft: _tools(draft, base)),
            (common, lambda draft: _common(draft, base, tools)),
        )
        for done, (layer, make) in enumerate(makers):
            progress(f"image: {layer.name.partition('-')[0]}", done, 3)
            if not layer.is_dir():
                draft = folder / f".building-{layer.name}"
                (draft / "up").mkdir(parents=True)
                (draft / "up").chmod(0o755)
                make(draft)
                os.replace(draft / "up", layer)
                shutil.rmtree(draft)
        progress("image", 3, 3)
    image = ready()
    assert image
    return image


def mirror(targets: str, codename: str) -> Mirror | None:
    """Read this machine's mirror from `apt-get indextargets` (see `_targets`); None where it has no Debian source.

    A machine with another release of Debian has the same repositories; the suite is put in its place.
    """
    url, lines = "", []
    for row in targets.splitlines():
        repository, release, component, origin = row.split("|")
        if component != "main" or origin not in ("Debian", "$(ORIGIN)"):
            continue
        if not re.fullmatch(rf"{re.escape(codename)}(-updates|-security)?", release):
            continue
        release = SUITE + release[len(codename) :]
        line = f"deb {repository} {release} main"
        if line not in lines:
            lines.append(line)
        if release == SUITE:
            url = url or repository
    return Mirror(url, tuple(lines)) if url else None


def _names() -> list[str]:
    key, names = platform.machine(), []
    for name, definition in (
        ("base", BASE_SCRIPT),
        ("tools", TOOLS_SCRIPT),
        ("common", repr((KEPT, MASKED, GENERATORS, sorted(COMMON.items())))),
    ):
        key = hashlib.sha256(f"{key}\n{definition}".encode()).hexdigest()[:16]
        names.append(f"{name}-{key}")
    return names


def _base(draft: Path) -> None:
    settings = draft / "apt.conf"
    settings.write_text("".join(f"{line}\n" for line in _acquire()))
    source = f"[trusted=yes] copy:{carried()}" if carried().is_dir() else own_mirror().url
    _script("base", BASE_SCRIPT, draft / "up", source, settings)


def _tools(draft: Path, base: Path) -> None:
    kept, source = (carried(), CARRIED) if carried().is_dir() else (_archives(), own_mirror())
    _script("tools", TOOLS_SCRIPT, draft / "up", draft, kept, _settings(draft, source), base)


def _common(draft: Path, base: Path, tools: Path) -> None:
    root = draft / "up"
    for target, text in COMMON.items():
        files.write(root / target.lstrip("/"), text)
    system = Path("etc/systemd/system")
    for unit in MASKED:
        os.symlink("/dev/null", root / system / unit)
    generators = root / "etc/systemd/system-generators"
    generators.mkdir()
    for name in GENERATORS:
        os.symlink("/dev/null", generators / name)
    for layer in (base, tools):
        # Also the aliases beside the *.wants folders: a unit whose alias stands counts as enabled, and would stay off.
        for link in (layer / system).rglob("*"):
            if link.is_symlink() and not {link.name, os.path.basename(os.readlink(link))} & set(KEPT):
                off = root / link.relative_to(layer)
                off.parent.mkdir(parents=True, exist_ok=True)
                with contextlib.suppress(FileExistsError):
                    os.mknod(off, stat.S_IFCHR, os.makedev(0, 0))  # overlayfs: "not there"
    for path, _, _ in os.walk(root):
        os.chmod(path, 0o755)


def _archives() -> Path:
    folder = cache() / "archives"
    (folder / "partial").mkdir(parents=True, exist_ok=True)
    return folder


def own_mirror() -> Mirror:
    """This machine's own mirror. Raises JB3005."""
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    found = mirror(_targets(), release.get("VERSION_CODENAME", SUITE).strip('"'))
    if found is None:
        raise mistake.one(
            "JB3005",
            "this machine's package sources hold no Debian mirror to build the image from",
            f"Add a `deb` line of your Debian mirror with `{SUITE} main` in /etc/apt/sources.list.d/, then `apt-get update`.",
            subject="twin image",
        )
    return found


def _targets() -> str:
    row = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)"
    line = ["apt-get", "indextargets", "--format", row, "Created-By: Packages"]
    return program.run(line).stdout


def _acquire() -> list[str]:
    """What this machine's apt was told about the way to its packages (proxies, timeouts, certificates)."""
    return program.run(["apt-config", "dump", "Acquire"]).stdout.splitlines()


def _settings(draft: Path, source: Mirror) -> Path:
    """A folder with the same for the apt within the image, and the package sources."""
    folder = draft / "apt"
    folder.mkdir(exist_ok=True)
    told = _acquire()
    kept = [line for line in told if not re.search(r"::(CaInfo|CaPath|SslCert|SslKey|Changelogs)", line)]
    bundle = Path("/etc/ssl/certs/ca-certificates.crt")
    if stated := re.search(r'^Acquire::https::CaInfo "([^"]+)"', "\n".join(told), re.MULTILINE):
        bundle = Path(stated[1])
    if bundle.is_file():
        shutil.copy(bundle, folder / "ca.crt")
        kept.append('Acquire::https::CaInfo "/run/ca.crt";')
    kept += ['Dir::Etc::SourceList "/run/sources.list";', 'Dir::Etc::SourceParts "/dev/null";']
    (folder / "apt.conf").write_text("\n".join(kept) + "\n")
    (folder / "sources.list").write_text("\n".join(source.lines) + "\n")
    return folder


def _script(layer: str, script: str, *arguments: object) -> None:
    log = cache() / f"{layer}.log"
    # pdeathsig and --kill-child: who kills the builder kills all of it; --mount: its mounts go with it.
    line = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child=KILL"]
    line += ["sh", "-euc", f"umask 022\n{script}", "sh", *map(str, arguments)]
    with log.open("wb") as stream:
        environment = _environment(os.environ)
        done = subprocess.run(
            line, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, env=environment, close_fds=False
        )
    if done.returncode:
        said = log.read_text(errors="replace")
        # Not every step says why a package could not be stored.
        if "No space left on device" in said or shutil.disk_usage(cache()).free < 10_000_000:
            raise places.full(cache())
        last = "\n".join(f"    | {line}" for line in said.splitlines()[-12:])
        raise mistake.one(
            "JB3005",
            f"the {layer} layer could not be built (exit {done.returncode}):\n{last}",
            f"The whole log is {log}. See that `apt-get update` works here, then run the same command again.",
            subject="twin image",
        )


def _environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What a build may see: the way to the network, and nothing else of the caller's environment."""
    network = re.compile(r"(?i)(https?|ftp|no)_proxy|SSL_CERT_\w+")
    kept = {key: value for key, value in environment.items() if network.fullmatch(key)}
    search = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {**kept, "PATH": search, "LC_ALL": "C.UTF-8", "HOME": "/root"}
