"""Five nodes on one segment, with trees written by hand: a router with firewall, names and time, database, repository, scratch."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path

from ground import files, tree
from ground.reach import Reach
from ground.tree import Entry, Tree
from stacks.twin.topology import Lab, Node, Port, Segment

ADDRESSES = {"a-r1": 1, "a-exch1": 2, "a-prod1": 3, "a-bkup1": 4, "a-bkup2": 5}
DUTIES = {
    "a-exch1": ("names", "time", "metrics"),
    "a-prod1": ("database",),
    "a-bkup1": ("repository",),
    "a-bkup2": ("scratch",),
}
ROOT = "a.internal"

LAB = Lab(
    "roles",
    tuple(Node(name, disk=name in ("a-prod1", "a-bkup1", "a-bkup2")) for name in ADDRESSES),
    segments=(Segment("lan", tuple(Port(name, "z-lan") for name in ADDRESSES)),),
)

HOSTS = "127.0.0.1 localhost\n" + "".join(
    f"10.1.0.{number} {name}.{ROOT} {name}\n" for name, number in ADDRESSES.items()
)

NETWORK = """\
[Match]
Name=z-lan

[Network]
Address=10.1.0.{number}/24
Address=3fff:0:1::{number}/64
LinkLocalAddressing=ipv6
IPv6AcceptRA=no
"""

FRR = """\
frr defaults traditional
hostname {name}
interface z-lan
 ip ospf area 0
 ip ospf passive
router ospf
 ospf router-id 10.1.0.{number}
"""

NFT = """\
flush ruleset
table inet zones {
  chain input {
    type filter hook input priority 0; policy drop;
    ct state established,related accept
    iif lo accept
    iifname { "mgmt0", "z-lan" } accept
  }
}
"""

NAMED = """\
options {
  directory "/var/cache/bind";
  dnssec-validation no;
  empty-zones-enable no;
  listen-on { any; };
};
zone "a.internal" { type primary; file "/etc/bind/a.internal.zone"; };
"""

ZONE = (
    "$TTL 300\n@ SOA ns.a.internal. root.a.internal. 1 300 60 3600 60\n@ NS ns.a.internal.\nns A 10.1.0.2\n"
    + "".join(f"{name} A 10.1.0.{number}\n" for name, number in ADDRESSES.items())
)

CHRONY = "local stratum 3\nallow 10.1.0.0/24\ndriftfile /var/lib/chrony/chrony.drift\n"

PROMETHEUS = """\
global: {scrape_interval: 5s}
scrape_configs:
  - job_name: node
    static_configs: [{targets: ["a-r1.a.internal:9100", "a-prod1.a.internal:9100"]}]
"""

POSTGRES = """\
listen_addresses = '*'
archive_mode = on
archive_command = 'pgbackrest --stanza=a-prod1 archive-push %p'
archive_timeout = 30
wal_level = logical
wal_compression = lz4
ssl = on
ssl_ca_file = '/etc/postgresql/15/main/ca.crt'
ssl_cert_file = '/etc/postgresql/15/main/server.crt'
ssl_key_file = '/etc/postgresql/15/main/server.key'
"""

HBA = """\
local all postgres peer
local all all peer
hostssl jinbao repl_fl02 10.1.0.5/32 cert map=flows
host all all 10.1.0.0/24 scram-sha-256
"""
# The scratch host stands for a subscriber: it has a certificate of its own.
IDENT = f"flows a-bkup2.{ROOT} repl_fl02\n"
DATABASES = """\
select 'create role repl_fl02 login replication' where not exists (select from pg_roles where rolname = 'repl_fl02') \\gexec
"""

TLS = """\
tls-server-address=*
tls-server-ca-file=/etc/pgbackrest/ca.crt
tls-server-cert-file=/etc/pgbackrest/server.crt
tls-server-key-file=/etc/pgbackrest/server.key
"""

REPOSITORY = f"""\
[global]
repo1-path=/var/lib/pgbackrest
repo1-retention-full=2
repo1-bundle=y
start-fast=y
compress-type=zst
{TLS}tls-server-auth=a-prod1.{ROOT}=a-prod1
tls-server-auth=a-bkup2.{ROOT}=a-prod1

[a-prod1]
pg1-host=a-prod1.{ROOT}
pg1-host-type=tls
pg1-host-ca-file=/etc/pgbackrest/ca.crt
pg1-host-cert-file=/etc/pgbackrest/server.crt
pg1-host-key-file=/etc/pgbackrest/server.key
pg1-path=/var/lib/postgresql/15/main
"""

CLIENT = f"""\
[global]
repo1-host=a-bkup1.{ROOT}
repo1-host-type=tls
repo1-host-user=postgres
repo1-host-ca-file=/etc/pgbackrest/ca.crt
repo1-host-cert-file=/etc/pgbackrest/server.crt
repo1-host-key-file=/etc/pgbackrest/server.key
{TLS}tls-server-auth=a-bkup1.{ROOT}=a-prod1

[a-prod1]
pg1-path=/var/lib/postgresql/15/main
"""


def contents(name: str) -> list[tuple[Entry, str]]:
    """Every file of one device: its entry, without source and hash, and its text."""
    number = ADDRESSES[name]
    duties = DUTIES.get(name, ())
    found = [
        (_entry("/etc/hosts", "baseline"), HOSTS),
        (
            _entry("/etc/systemd/network/z-lan.network", "baseline", unit="systemd-networkd.service", action="restart"),
            NETWORK.format(number=number),
        ),
        (
            _entry(
                "/etc/default/prometheus-node-exporter",
                "exporter",
                unit="prometheus-node-exporter.service",
                action="restart",
            ),
            'ARGS="--web.listen-address=:9100"\n',
        ),
    ]
    if name == "a-r1":
        found += [
            (
                _entry(
                    "/etc/frr/daemons",
                    "router",
                    unit="frr.service",
                    action="restart",
                    owner="frr",
                    group="frr",
                    mode="0640",
                ),
                "zebra=yes\nospfd=yes\nvtysh_enable=yes\n",
            ),
            (
                _entry(
                    "/etc/frr/frr.conf",
                    "router",
                    "vtysh -C -f %s",
                    "frr.service",
                    owner="frr",
                    group="frr",
                    mode="0640",
                ),
                FRR.format(name=name, number=number),
            ),
            (_entry("/etc/nftables.conf", "firewall", "nft -c -f %s", "nftables.service", mode="0640"), NFT),
        ]
    if "names" in duties:
        found += [
            (_entry("/etc/bind/a.internal.zone", "names", "named-checkzone a.internal %s", "named.service"), ZONE),
            (_entry("/etc/bind/named.conf", "names", "named-checkconf -z", "named.service"), NAMED),
        ]
    if "time" in duties:
        found += [(_entry("/etc/chrony/chrony.conf", "time", "chronyd -p -f %s", "chrony.service", "restart"), CHRONY)]
    if "metrics" in duties:
        path = "/etc/prometheus/prometheus.yml"
        found += [(_entry(path, "metrics", "promtool check config %s", "prometheus.service"), PROMETHEUS)]
    if "database" in duties:
        cluster, unit = "/etc/postgresql/15/main", "postgresql@15-main.service"
        owned = {"owner": "postgres", "group": "postgres", "mode": "0640"}
        found += [
            (_entry(f"{cluster}/conf.d/jinbao.conf", "database", "", unit, "restart", **owned), POSTGRES),
            (_entry(f"{cluster}/pg_hba.conf", "database", "", unit, **owned), HBA),
            (_entry(f"{cluster}/pg_ident.conf", "database", "", unit, **owned), IDENT),
            (_entry(f"{cluster}/databases.sql", "database", **owned), DATABASES),
        ]
    if "repository" in duties:
        found += [
            (_entry("/etc/pgbackrest/pgbackrest.conf", "backup", "", "pgbackrest.service", "restart"), REPOSITORY)
        ]
    if {"database", "scratch"} & set(duties):
        found += [(_entry("/etc/pgbackrest/pgbackrest.conf", "backup", "", "pgbackrest.service", "restart"), CLIENT)]
    return found


def write(build: Path, changes: Mapping[tuple[str, str], str | None] | None = None) -> None:
    """Write the tree of every device below `build`. `changes`: (device, target) → other text, None to leave it out."""
    for name in ADDRESSES:
        entries: list[Entry] = []
        texts: dict[str, bytes] = {}
        units: list[str] = []
        for entry, text in contents(name):
            changed = (changes or {}).get((name, entry.target), text)
            if changed is None:
                continue
            source = entry.target.lstrip("/")
            data = changed.encode()
            texts[source] = data
            entries.append(Entry(entry.target, source, entry.role, files.sha256(data), *_rest(entry)))
            if entry.unit not in ("", *units):
                units.append(entry.unit)
        tree.write(build / name, Tree(name, tuple(entries), tuple(units)), texts)


def inventory(path: Path, build: Path, state: Path, reaches: Mapping[str, Reach], known_hosts: Path) -> None:
    """Write an inventory script for the sample at `path`."""
    groups: dict[str, list[str]] = {}
    variables = {}
    for name, reach in reaches.items():
        via = shlex.quote(f"ProxyCommand={reach.via}") if reach.via else ""
        variables[name] = {
            "ansible_host": reach.address,
            "ansible_user": reach.user,
            "ansible_ssh_private_key_file": reach.identity,
            "ansible_ssh_common_args": f"-o {via} -o UserKnownHostsFile={known_hosts} -o IdentitiesOnly=yes",
            "jinbao_tree": str(build / name),
            "jinbao_state": str(state),
            "jinbao_names": [f"{name}.{ROOT}", name],
        }
        groups.setdefault("role_access" if name == "a-r1" else "role_host", []).append(name)
        for duty in DUTIES.get(name, ()):
            groups.setdefault(f"duty_{duty}", []).append(name)
    answer = {"_meta": {"hostvars": variables}, **{group: {"hosts": hosts} for group, hosts in groups.items()}}
    path.write_text(f"#!/bin/sh\ncat <<'JSON'\n{json.dumps(answer, indent=1)}\nJSON\n")
    path.chmod(0o755)


def _entry(target: str, role: str, validator: str = "", unit: str = "", action: str = "reload", **owned: str) -> Entry:
    return Entry(target, "", role, "", validator=validator, unit=unit, action=action, **owned)


def _rest(entry: Entry) -> tuple[str, str, str, str, str, str]:
    return entry.owner, entry.group, entry.mode, entry.validator, entry.unit, entry.action
