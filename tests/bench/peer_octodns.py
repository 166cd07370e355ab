"""Builds octoDNS zone objects from the records in the file that is named; runs in the environment of peers.lock."""

import json
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    """Read `{zone: [[name, type, data], …]}`, all names absolute, and print how many records went in."""
    from octodns.record import Record  # type: ignore[import-not-found,unused-ignore]
    from octodns.zone import Zone  # type: ignore[import-not-found,unused-ignore]

    zones: dict[str, list[list[str]]] = json.loads(Path(sys.argv[1]).read_text())
    count = 0
    for name, records in zones.items():
        zone = Zone(f"{name}.", [])
        sets: dict[tuple[str, str], list[str]] = {}
        for owner, kind, data in records:
            sets.setdefault((owner.removesuffix(f"{name}.").removesuffix("."), kind), []).append(data)
        for (owner, kind), values in sets.items():
            given: dict[str, Any] = {"type": kind, "ttl": 300, "values": values}
            zone.add_record(Record.new(zone, owner, given, lenient=True), lenient=True)
            count += len(values)
    print(json.dumps({"units": count}))


if __name__ == "__main__":
    main()
