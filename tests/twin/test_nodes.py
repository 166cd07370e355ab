"""One node: what it starts with, reboot, power off, power cut, and one that does not come up."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from ground import reach, remote, secret, tree
from ground.mistake import Mistakes
from stacks.twin import cgroups, lab, node, place
from stacks.twin.cgroups import Layout
from stacks.twin.image import Image
from stacks.twin.node import Status
from stacks.twin.place import NodeState, Place
from stacks.twin.topology import Node


class Machine(msgspec.Struct, frozen=True):
    """One running node and what a test does with it."""

    at: Place
    state: NodeState
    image: Image
    layout: Layout

    def says(self, line: str) -> str:
        session = remote.session(reach.read(self.at.reach))
        answer = remote.run(session, self.state.node.name, line)
        remote.close(session)
        return (answer.out + answer.err).strip()

    def status(self) -> Status:
        return node.status(self.at, self.state, self.layout)

    def start(self) -> None:
        assert node.start(self.at, self.state, self.image, self.layout)
        node.wait(self.at, [self.state])

    def comes_to(self, running: str) -> Status:
        assert node.until(lambda: self.status().running == running, 30)
        return self.status()


Make = Callable[..., Machine]


@pytest.fixture
def make(name: str, tmp_path: Path, prepared: tuple[Image, Layout]) -> Make:
    def one(wanted: Node, preseed: Path | None = None) -> Machine:
        at = place.at(tmp_path / "state", name)
        return Machine(at, lab.make_node(at, wanted, *prepared, preseed), *prepared)

    return one


def sown(folder: Path, rows: dict[str, tuple[bytes, str, str, str]], units: tuple[str, ...] = ()) -> Path:
    """A tree in `folder`: target → content, owner, group, mode."""
    contents = {target.strip("/").replace("/", "_"): row[0] for target, row in rows.items()}
    entries = tuple(
        tree.Entry(
            target, target.strip("/").replace("/", "_"), "test", hashlib.sha256(data).hexdigest(), owner, group, mode
        )
        for target, (data, owner, group, mode) in rows.items()
    )
    tree.write(folder, tree.Tree("n", entries, units), contents)
    return folder


def test_starts_with_its_tree(make: Make, tmp_path: Path) -> None:
    """Files with owner and mode, through links of the image, folders as the image has them, units enabled and running."""
    folder = sown(
        tmp_path / "tree",
        {
            "/etc/frr/frr.conf": (b"hostname n\nip route 198.51.100.0/24 blackhole\n", "frr", "frr", "0640"),
            "/etc/frr/daemons": (b"staticd=yes\n", "frr", "frr", "0640"),
            "/etc/key": (secret.reference("n/key").encode(), "root", "root", "0600"),
            "/bin/greet": (b"#!/bin/sh\necho hello\n", "root", "root", "0755"),
            "/var/run/../spool/deep/er/file": (b"x", "postgres", "root", "0600"),
            "/etc/hosts": (b"127.0.0.1 localhost\n192.0.2.7 m-srv\n", "root", "root", "0644"),
            "/etc/systemd/system/bell@.service": (
                b"[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/greet\n[Install]\nWantedBy=multi-user.target\n",
                "root",
                "root",
                "0644",
            ),
        },
        ("frr.service", "bell@one.service"),
    )
    machine = make(Node("n"), folder)
    assert machine.says("cat /etc/key") == secret.value(tmp_path, "n/key"), (
        "secrets are those that a deployment fills in"
    )
    assert machine.says(
        "stat -c '%U:%G %a %n' /etc/frr /etc/frr/frr.conf /usr/bin/greet /spool/deep/er/file /spool/deep"
    ) == (
        "frr:frr 750 /etc/frr\nfrr:frr 640 /etc/frr/frr.conf\nroot:root 755 /usr/bin/greet\n"
        "postgres:root 600 /spool/deep/er/file\nroot:root 755 /spool/deep"
    )
    assert machine.says("greet; getent hosts m-srv | xargs") == "hello\n192.0.2.7 m-srv"
    assert machine.says("systemctl is-active frr bell@one; systemctl is-enabled frr bell@one chrony") == (
        "active\nactive\nenabled\nenabled\ndisabled"
    )
    assert "198.51.100.0/24" in machine.says("ip route show type blackhole")


def test_bare_node(make: Make) -> None:
    machine = make(Node("640104001-r1", tun=True))
    assert machine.says("hostname; systemctl is-system-running; test -c /dev/net/tun && echo tun") == (
        "640104001-r1\nrunning\ntun"
    )
    roles = "frr named chrony postgresql prometheus prometheus-node-exporter prometheus-postgres-exporter pgbackrest nftables"
    assert set(machine.says(f"systemctl is-active {roles}").split()) == {"inactive"}
    assert set(machine.says(f"systemctl is-enabled {roles}").split()) == {"disabled"}
    assert (
        machine.says("sysctl -n -w net.ipv4.ip_forward=1; nft add table inet t; nft list tables") == "1\ntable inet t"
    )
    assert machine.status().memory is not None


def test_services_of_every_role_start(make: Make) -> None:
    """What Ansible will do: switch on services that the image has switched off."""
    machine = make(Node("n", disk=True))
    services = "frr named chrony prometheus prometheus-node-exporter"
    assert "Failed" not in machine.says(f"systemctl enable --now {services} 2>&1 | grep -i failed")
    assert set(machine.says(f"systemctl is-active {services}").split()) == {"active"}
    assert set(machine.says(f"systemctl is-enabled {services}").split()) == {"enabled"}
    assert machine.says("pg_lsclusters -h") == ""
    assert "online" in machine.says("pg_createcluster 15 main --start >/dev/null && pg_lsclusters -h")
    assert machine.says("cd /; su postgres -c 'psql -Atc \"select 40 + 2\"'") == "42"


def test_reboot(make: Make) -> None:
    machine = make(Node("n"))
    machine.says("echo kept > /root/file; systemctl reboot")
    assert node.until(lambda: machine.status().boots == 2, 30)
    node.wait(machine.at, [machine.state])
    assert machine.status().running == "running"
    assert machine.says("cat /root/file; ip -br addr show mgmt0 | grep -c 10.255") == "kept\n1"


def test_power_off_and_on(make: Make) -> None:
    machine = make(Node("n"))
    machine.says("echo kept > /root/file; systemctl poweroff")
    assert machine.comes_to("off").code == 0
    machine.start()
    assert machine.says("cat /root/file") == "kept"


@pytest.mark.parametrize("disk", [True, False])
def test_power_cut(make: Make, disk: bool) -> None:
    machine = make(Node("n", disk=disk))
    machine.says("echo kept > /root/file; systemd-run --quiet sleep 600")
    node.power_cut(machine.at, "n", machine.layout)
    assert machine.status().running == "off"
    assert not cgroups.populated(cgroups.node_folders(machine.layout, machine.at.lab, "n")[0])
    machine.start()
    assert machine.says("cat /root/file; pgrep -c sleep") == "kept\n0"


def test_stop_in_order(make: Make) -> None:
    """Units are stopped, not killed: each had its ExecStop."""
    machine = make(Node("n"))
    machine.says("systemd-run --quiet --unit=last -p 'ExecStop=touch /root/stopped' sleep 600")
    node.stop(machine.at, "n", machine.layout)
    assert machine.status() == Status("n", "off", machine.state.address, 1, 0)
    machine.start()
    assert machine.says("ls /root") == "stopped"


def test_start_twice(make: Make) -> None:
    machine = make(Node("n"))
    assert not node.start(machine.at, machine.state, machine.image, machine.layout)


def test_supervisor_killed(make: Make) -> None:
    """Nobody would start the node again after a reboot: the next start ends it and starts it anew."""
    machine = make(Node("n"))
    report = msgspec.json.decode((machine.at.folder("n") / "status.json").read_bytes())
    os.kill(report["supervisor"], signal.SIGKILL)
    assert node.until(lambda: not node.supervised(machine.at, "n"), 10)
    assert machine.says("hostname") == "n"
    machine.start()
    assert machine.says("hostname") == "n"


def test_host_key_stays(make: Make) -> None:
    machine = make(Node("n"))
    before = machine.at.known_hosts.read_text()
    node.power_cut(machine.at, "n", machine.layout)
    machine.start()
    assert machine.at.known_hosts.read_text() == before
    assert machine.says("cat /etc/ssh/ssh_host_*_key.pub") == machine.state.host_key


def test_does_not_come_up(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = sown(tmp_path / "tree", {"/etc/ssh/sshd_config.d/zz.conf": (b"Nonsense yes\n", "root", "root", "0644")})
    monkeypatch.setattr(node, "SLOW", 3 / node.BOOT_SECONDS)
    with pytest.raises(Mistakes) as caught:
        make(Node("n"), folder)
    [found] = caught.value.found
    assert (found.code, found.object) == ("JB3006", "n")
    assert "sshd silent for" in found.what


def test_ends_at_once_with_its_last_words(make: Make, tmp_path: Path) -> None:
    """An init that cannot run: what the console said is in the mistake, and no minute is waited for."""
    folder = sown(
        tmp_path / "tree", {"/usr/lib/systemd/systemd": (b"#!/bin/sh\necho no init today\n", "root", "root", "0755")}
    )
    with pytest.raises(Mistakes, match="no init today") as caught:
        make(Node("n"), folder)
    assert "ended before sshd answered" in str(caught.value)


def test_tree_with_unknown_owner(make: Make, tmp_path: Path) -> None:
    folder = sown(tmp_path / "tree", {"/etc/x": (b"", "nosuchuser", "nosuchgroup", "0644")}, ("nosuch.service",))
    with pytest.raises(Mistakes) as caught:
        make(Node("n"), folder)
    assert [(found.code, found.object) for found in caught.value.found] == [
        ("JB3011", "nosuchgroup"),
        ("JB3011", "nosuchuser"),
    ]


def test_tree_with_unknown_unit(make: Make, tmp_path: Path) -> None:
    with pytest.raises(Mistakes, match=r"JB3011.*nosuch\.service"):
        make(Node("n"), sown(tmp_path / "tree", {}, ("nosuch.service",)))


def test_no_link_leads_out_of_the_root(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "usr/bin").mkdir(parents=True)
    (root / "bin").symlink_to("usr/bin")
    (root / "abs").symlink_to("/usr")
    (root / "up").symlink_to("../../../../etc")
    (root / "loop").symlink_to("loop")
    assert node.within(root, "/bin/x") == root / "usr/bin/x"
    assert node.within(root, "/abs/bin/x") == root / "usr/bin/x"
    assert node.within(root, "/up/passwd") == root / "etc/passwd"
    assert node.within(root, "/../../x") == root / "x"
    with pytest.raises(OSError, match="loop"):
        node.within(root, "/loop/x")
