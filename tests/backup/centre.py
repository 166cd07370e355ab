"""A centre's database, repository and scratch host as real nodes: PostgreSQL 15 and pgBackRest over TLS, nothing else."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ground import reach, remote
from ground.remote import Session
from ip_plan.network import Device, Interface, Meta, Network, Protection, Region, Service, Shard, Site, Zone
from stacks.twin import lab
from stacks.twin.topology import Lab, Node, Port, Segment

SITE = "990100:centre1"
SOURCE, REPOSITORY, SCRATCH = "990100-prod1", "990100-bkup1", "990100-bkup2"
STANZA = "production"
ADDRESSES = {SOURCE: "10.9.1.10", REPOSITORY: "10.9.1.11", SCRATCH: "10.9.1.12"}
DATA = "/var/lib/postgresql/15/main"
REPO = "/var/lib/pgbackrest"

PROTECTION = Protection(
    SITE, "production", "db", SOURCE, REPOSITORY, "repo", STANZA, SCRATCH, 30, 2, 24, 60, 600, "test"
)

TLS = """\
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=ca -keyout ca.key -out ca.crt
for host in {hosts}; do
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=$host -keyout $host.key -out $host.csr
  printf 'subjectAltName=DNS:%s' $host > $host.ext
  openssl x509 -req -days 2 -in $host.csr -CA ca.crt -CAkey ca.key -CAcreateserial -extfile $host.ext -out $host.crt
done
"""

EVERYWHERE = """\
set -eu
ip addr add {address}/24 dev zone
ip link set zone up
printf '{hosts}' >> /etc/hosts
mkdir -p /etc/pgbackrest
cat > /etc/pgbackrest/ca.crt <<'PEM'
{ca}PEM
cat > /etc/pgbackrest/server.crt <<'PEM'
{crt}PEM
cat > /etc/pgbackrest/server.key <<'PEM'
{key}PEM
cat > /etc/pgbackrest/pgbackrest.conf <<'CONF'
[global]
log-level-console=warn
start-fast=y
compress-type=zst
{conf}
[{stanza}]
pg1-path={data}
{stanza_conf}
CONF
install -d -o postgres -g postgres -m 0750 /var/lib/pgbackrest /var/log/pgbackrest /var/spool/pgbackrest
install -d -o postgres -g postgres -m 0700 {data}
chown postgres:postgres /etc/pgbackrest/*
chmod 0600 /etc/pgbackrest/server.key
"""

DATABASE = """\
rmdir {data}
pg_createcluster --createclusterconf=/usr/share/postgresql-common/createcluster.conf --locale=C.UTF-8 15 main -- --data-checksums
cat >> /etc/postgresql/15/main/conf.d/jinbao.conf <<'CONF'
listen_addresses = 'localhost,10.9.1.10'
wal_level = logical
wal_compression = lz4
archive_mode = on
archive_command = 'pgbackrest --stanza={stanza} archive-push %p'
archive_timeout = {archive_timeout}
CONF
systemctl start pgbackrest postgresql@15-main
cd /
runuser -u postgres -- psql -Xq -c 'CREATE DATABASE jinbao'
runuser -u postgres -- psql -Xq -d jinbao -c \
  'CREATE TABLE canary (id bigserial PRIMARY KEY, at timestamptz DEFAULT clock_timestamp(), note text)'
runuser -u postgres -- psql -Xq -d jinbao -c "INSERT INTO canary (note) VALUES ('first')"
"""

PROTECTED = """\
set -eu
cd /
runuser -u postgres -- pgbackrest --stanza={stanza} stanza-create
runuser -u postgres -- pgbackrest --stanza={stanza} --type=full backup
"""


def network(protection: Protection = PROTECTION) -> Network:
    """The Network of the three nodes."""
    zones = (
        Zone("production", "10.9.1.0/24", "fd09:1::/64", "10.9.1.1", "fd09:1::1"),
        Zone("backup", "10.9.2.0/24", "fd09:2::/64", "10.9.2.1", "fd09:2::1"),
    )
    duties = {SOURCE: ("production", "database"), REPOSITORY: ("backup", "repository"), SCRATCH: ("backup", "scratch")}
    devices = tuple(
        Device(
            name,
            SITE,
            "host",
            f"{name}.test",
            (Interface("zone", "zone", f"{ADDRESSES[name]}/24", "fd09:1::10/64", zone=zone),),
            zone=zone,
            duties=(duty,),
        )
        for name, (zone, duty) in duties.items()
    )
    site = Site(SITE, "990100", "prefecture", "centre", "test", "", 4200000001, zones, tuple(ADDRESSES), True)
    region = Region("990100", "样城", "prefecture", "city", "000000", "000000", "sample", "test")
    services = (
        Service("db", SITE, "production", SOURCE, "db.production.test", "10.9.1.20", "fd09:1::20", ("tcp/5432",)),
    )
    shard = Shard("99", (region,), (site,), devices, (), services, (protection,), (), (), ())
    meta = Meta("sample", "样本", "样本", "test", "10.0.0.0/8", "fd09::/16")
    return Network(meta, (), (shard,), {"99": "sample"})


def told(session: Session, device: str, script: str, seconds: float = 60) -> str:
    """Run a script; its output. Raises RuntimeError with what it said when it fails."""
    answer = remote.run(session, device, "bash -s", given=script.encode(), seconds=seconds)
    if not answer.ok:
        raise RuntimeError(f"{device}: {answer.code}: {answer.out[-2000:]}{answer.err[-2000:]}")
    return answer.out


@contextlib.contextmanager
def up(folder: Path, archive_timeout: int = 30) -> Iterator[Session]:
    """The three nodes, running and backed up once."""
    name = f"b{os.getpid()}"
    shape = Lab(
        name,
        tuple(Node(n, disk=True) for n in ADDRESSES),
        (),
        (Segment("zone", tuple(Port(n, "zone") for n in ADDRESSES)),),
    )
    try:
        place = lab.up(shape, folder)
        session = remote.session(reach.read(place.reach))
        try:
            prepare(session, archive_timeout)
            yield session
        finally:
            remote.close(session)
    finally:
        lab.down(name, folder)


def prepare(session: Session, archive_timeout: int) -> None:
    """Certificates, settings, a cluster with a canary, a stanza and a first full backup."""
    tls = "set -eu; cd $(mktemp -d)\n" + TLS.format(hosts=" ".join(ADDRESSES)) + "head -c 100000 ca.crt *.crt *.key"
    made = told(session, REPOSITORY, tls)
    pem = dict(part.split(" <==\n", 1) for part in made.split("==> ") if part)
    server = (
        "tls-server-address=*\n"
        "tls-server-ca-file=/etc/pgbackrest/ca.crt\n"
        "tls-server-cert-file=/etc/pgbackrest/server.crt\n"
        "tls-server-key-file=/etc/pgbackrest/server.key\n"
    )
    files = "\n".join(
        f"{{0}}-host-{kind}-file=/etc/pgbackrest/{name}"
        for kind, name in (("ca", "ca.crt"), ("cert", "server.crt"), ("key", "server.key"))
    )
    client = f"repo1-host={REPOSITORY}\nrepo1-host-type=tls\nrepo1-host-user=postgres\n" + files.format("repo1")
    confs = {
        SOURCE: (f"{client}\n{server}tls-server-auth={REPOSITORY}={STANZA}", ""),
        SCRATCH: (client, ""),
        REPOSITORY: (
            f"repo1-path={REPO}\nrepo1-bundle=y\nrepo1-retention-full=2\n{server}"
            f"tls-server-auth={SOURCE}={STANZA}\ntls-server-auth={SCRATCH}={STANZA}",
            f"pg1-host={SOURCE}\npg1-host-type=tls\n" + files.format("pg1"),
        ),
    }

    def one(device: str) -> None:
        conf, stanza_conf = confs[device]
        script = EVERYWHERE.format(
            address=ADDRESSES[device],
            hosts="".join(f"{address} {name}\\n" for name, address in ADDRESSES.items()),
            ca=pem["ca.crt"].rstrip() + "\n",
            crt=pem[f"{device}.crt"].rstrip() + "\n",
            key=pem[f"{device}.key"].rstrip() + "\n",
            conf=conf,
            stanza=STANZA,
            stanza_conf=stanza_conf,
            data=DATA,
        )
        if device == SOURCE:
            script += DATABASE.format(data=DATA, stanza=STANZA, archive_timeout=archive_timeout)
        if device == REPOSITORY:
            script += "systemctl start pgbackrest\n"
        told(session, device, script)

    with ThreadPoolExecutor() as pool:
        list(pool.map(one, ADDRESSES))
    told(session, REPOSITORY, PROTECTED.format(stanza=STANZA))
