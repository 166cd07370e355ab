"""Machines that exist as a back end: adopted by address and host key, read, and never written, powered off or wiped.

What is otherwise than planned is read back; the playbook puts it right. Wires are laid by others and taken as declared.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from ground import mistake, reach, remote
from ground.reach import Reach
from stacks.provider.resources import Found, Host, Thing, as_carried

LOOK = "ip -j addr show && echo && cat /etc/systemd/network/*.network 2>/dev/null; true"
"""Reads and does nothing else."""


class Machines(msgspec.Struct, frozen=True):
    """The machines of a target, by the reach that its owner wrote."""

    reaches: dict[str, Reach]
    file: Path

    def make(self, thing: Thing) -> Found:
        """Take over a machine that runs. Raises JB3120 where nothing says how it is reached, JB3121 where it does not answer."""
        found = self.read(thing)
        if found is None:
            cure = f"Write its address and host key in {self.file}; the machine itself is installed by its owner."
            raise mistake.one(
                "JB3120", "nothing says how it is reached, and no machine is made here", cure, subject=_name(thing)
            )
        return found

    def read(self, thing: Thing) -> Found | None:
        """What the machine carries; None: it was taken out of the reach. Raises JB3121: silence does not mean that it is gone."""
        if not isinstance(thing, Host):
            return thing, {}
        if thing.name not in self.reaches:
            return None
        one = self.reaches[thing.name]
        session = remote.session({thing.name: one})
        try:
            answer = remote.run(session, thing.name, LOOK)
        finally:
            remote.close(session)
        if not answer.ok:
            raise mistake.one(
                "JB3121",
                f"does not answer at {one.address}: {' '.join(answer.err.split())[-300:]}",
                f"See that it runs and that its address and host key in {self.file} are right.",
                subject=thing.name,
            )
        rows, _, files = answer.out.partition("\n\n")
        carried = {
            row["ifname"]: tuple(
                sorted(f"{each['local']}/{each['prefixlen']}" for each in row["addr_info"] if each["scope"] == "global")
            )
            for row in msgspec.json.decode(rows)
        }
        # An interface `z-<zone>` with an address puts the machine into that zone (see the Network's Device).
        strange = tuple(name[2:] for name in sorted(carried) if name.startswith("z-") and carried[name])
        found = msgspec.structs.replace(
            thing,
            zones=(*thing.zones, *(zone for zone in strange if zone not in thing.zones)),
            interfaces=as_carried(thing.interfaces, carried, files),
        )
        return found, {"address": one.address, "host_key": one.host_key}

    def change(self, old: Thing, new: Thing) -> Found:
        """The machine as it is: what is planned otherwise waits for the playbook."""
        return self.make(new)

    def remove(self, thing: Thing) -> None:
        """Let go of it. The machine runs on."""


def of(state: Path, target: str) -> Machines:
    """The machines that the reach of `target` names. Raises Mistakes JB4007."""
    return Machines(reach.of(state, target), reach.file(state, target))


def _name(thing: Thing) -> str:
    return thing.name if isinstance(thing, Host) else thing.id
