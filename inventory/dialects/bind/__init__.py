"""BIND 9.18: the name server of a centre, its master files, whose zones it copies, and who is asked about all else."""

from __future__ import annotations

from ground import secret
from inventory import dns
from inventory.dialects.template import fill
from inventory.dns import Serials, Zone
from inventory.file import File
from inventory.intent import Intent

FOLDER = "/etc/bind/zones"


def place(zone: Zone) -> str:
    """Where the master file of a zone lies on the device."""
    return f"{FOLDER}/{'root' if zone.name == '.' else zone.name}.zone"


def files(intent: Intent, serials: Serials) -> list[File]:
    """named.conf, which replaces Debian's whole, and the master files. Masters first: named.conf names them."""
    server = intent.server
    if server is None:
        return []
    own = [prefix.partition("/")[0] for port in intent.ports for prefix in port.addresses.v4]
    own6 = [prefix.partition("/")[0] for port in intent.ports for prefix in port.addresses.v6]
    conf = fill("bind/named.conf.j2", server=server, place=place, own4=own, own6=own6, secret=secret.reference)
    masters = [
        File(
            place(zone), dns.text(zone, serials.next(zone)), "names", "root", "bind", "0644",
            f"named-checkzone -i local {zone.name} %s", "named.service", "reload",
        )
        for zone in server.zones
    ]  # fmt: skip
    return [
        *masters,
        # 0640: it holds the keys by which zones are passed on.
        File("/etc/bind/named.conf", conf, "names", "root", "bind", "0640", "named-checkconf %s", "named.service", "reload"),
    ]  # fmt: skip
