"""Builds dnspython zones from the records in the file that is named and writes them; runs in the environment of peers.lock."""

import json
import sys
from pathlib import Path


def main() -> None:
    """Read `{zone: [[name, type, data], …]}`, all names absolute, write a file a zone, and print how many records went in."""
    import dns.name
    import dns.rdata
    import dns.rdataclass
    import dns.rdatatype
    import dns.zone

    zones: dict[str, list[list[str]]] = json.loads(Path(sys.argv[1]).read_text())
    out = Path(sys.argv[2])
    out.mkdir(parents=True)
    count = 0
    for name, records in zones.items():
        zone = dns.zone.Zone(dns.name.from_text(name), relativize=False)
        for owner, kind, data in records:
            rdata = dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.from_text(kind), data)
            zone.find_rdataset(dns.name.from_text(owner), rdata.rdtype, create=True).add(rdata, ttl=300)
            count += 1
        with (out / name).open("wb") as stream:
            zone.to_file(stream, sorted=False)
    print(json.dumps({"units": count}))


if __name__ == "__main__":
    main()
