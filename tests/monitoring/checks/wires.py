"""Three hosts and a firewall between them, as network namespaces with real nftables; and an `ssh` that leads into them."""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

from ground.reach import Reach
from ground.remote import Session
from tests.monitoring.checks.sample import HOSTS, SERVICES

# The firewall that a renderer would make of sample.FLOWS.
RULES = """
table inet fw {
  chain forward {
    type filter hook forward priority 0; policy drop;
    ct state established,related accept
    ip saddr 10.9.3.0/24 ip daddr { 10.9.1.10, 10.9.1.21 } tcp dport 443 accept
    ip6 saddr fd09:3::/64 ip6 daddr { fd09:1::10, fd09:1::21 } tcp dport 443 accept
    ip saddr 10.9.2.0/24 ip daddr { 10.9.1.10, 10.9.1.20 } tcp dport 5432 accept
    ip6 saddr fd09:2::/64 ip6 daddr { fd09:1::10, fd09:1::20 } tcp dport 5432 accept
    ip saddr { 10.9.1.0/24, 10.9.3.0/24 } ip daddr { 10.9.2.10, 10.9.2.20 } meta l4proto { tcp, udp } th dport 53 accept
    ip6 saddr { fd09:1::/64, fd09:3::/64 } ip6 daddr { fd09:2::10, fd09:2::20 } meta l4proto { tcp, udp } th dport 53 accept
    ip saddr 10.9.2.0/24 ip daddr 10.9.3.0/24 icmp type echo-request accept
    ip6 saddr fd09:2::/64 ip6 daddr fd09:3::/64 icmpv6 type echo-request accept
  }
}
"""

# OpenSSH's place is taken by this: it drops the options and runs the program in the namespace of that name.
SSH = """#!/bin/sh
while [ "$#" -gt 2 ]; do shift; done
host=${1#*@}
ip netns list | grep -q "^$host\\b" || { echo "ssh: connect to host $host: No route to host" >&2; exit 255; }
exec ip netns exec "$host" sh -c "$2"
"""


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


def rules(firewall: str, text: str) -> None:
    """Put `text` in place of the firewall's rules."""
    subprocess.run(
        ["ip", "netns", "exec", firewall, "nft", "-f", "-"], input=f"flush ruleset\n{text}", check=True, text=True
    )


@contextlib.contextmanager
def laid(folder: Path) -> Iterator[tuple[Session, str]]:
    """A session that reaches the sample's hosts, and the name of the firewall's namespace."""
    mark = f"jbc{os.getpid()}"
    firewall = f"{mark}-fw"
    names = {device.name: f"{mark}-{device.name}" for device in HOSTS}
    everyone = [firewall, *names.values()]
    try:
        for name in everyone:
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
            for key in ("net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0"):
                subprocess.run(["ip", "netns", "exec", name, "sysctl", "-qw", key], check=True)
        for key in ("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"):
            subprocess.run(["ip", "netns", "exec", firewall, "sysctl", "-qw", key], check=True)
        for number, device in enumerate(HOSTS, 1):
            (interface,) = device.interfaces
            inside = names[device.name]
            ip(
                "link",
                "add",
                f"z{number}",
                "netns",
                firewall,
                "type",
                "veth",
                "peer",
                "name",
                interface.name,
                "netns",
                inside,
            )
            for at, port, addresses in (
                (firewall, f"z{number}", [f"10.9.{number}.1/24", f"fd09:{number}::1/64"]),
                (inside, interface.name, [interface.v4, interface.v6]),
            ):
                for address in addresses:
                    ip("-n", at, "addr", "add", address, "dev", port)
                ip("-n", at, "link", "set", port, "up")
            for service in SERVICES:
                if service.device == device.name:
                    ip("-n", inside, "addr", "add", f"{service.v4}/32", "dev", interface.name)
                    ip("-n", inside, "addr", "add", f"{service.v6}/128", "dev", interface.name)
            ip("-n", inside, "route", "add", "default", "via", f"10.9.{number}.1")
            ip("-n", inside, "-6", "route", "add", "default", "via", f"fd09:{number}::1")
        rules(firewall, RULES)
        ssh = folder / "ssh"
        ssh.write_text(SSH)
        ssh.chmod(ssh.stat().st_mode | stat.S_IXUSR)
        reaches = {name: Reach(space, "none") for name, space in names.items()}
        yield Session(reaches, folder), firewall
    finally:
        for name in everyone:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
