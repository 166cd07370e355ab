"""The twin as a back end: the same functions as `jinbao twin up`, the same state files, one object at a time."""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec

from ground import mistake
from stacks.provider.resources import Found, Host, Link, Segment, Thing, as_carried, port
from stacks.twin import doctor, image, lab, node, topology, wiring
from stacks.twin import place as places
from stacks.twin.cgroups import Layout, here
from stacks.twin.place import NodeState, Place

NETWORK_FILES = "etc/systemd/network"


class Twin(msgspec.Struct, frozen=True):
    """A lab on this machine."""

    place: Place
    given_up: threading.Event
    """Set when the engine cancels: who waits for a machine waits no longer."""

    def make(self, thing: Thing) -> Found:
        """Make it, or put right what is there of it."""
        match thing:
            case Host():
                if (base := image.ready()) is None:
                    cure = "Run `jinbao stack up`, which builds it first."
                    raise mistake.one("JB3114", "the image of its machines is not built", cure, subject=self.place.lab)
                lab.make_node(self.place, _node(thing), base, _layout(), given_up=self.given_up)
            case _:
                lab.make_joint(self.place, _joint(thing))
        found = self.read(thing)
        assert found
        return found

    def read(self, thing: Thing) -> Found | None:
        """It as it is now, with its outputs; None: it is gone."""
        match thing:
            case Host():
                return self._host(thing)
            case Segment():
                segment = places.load(self.place, "segment", thing.id, topology.Segment)
                plugged = wiring.plugged(self.place, segment) if segment else ()
                stands = tuple(f"{each.node} {each.name}" for each in plugged)
                return (msgspec.structs.replace(thing, ports=stands), {}) if stands else None
            case Link():
                link = places.load(self.place, "link", thing.id, topology.Link)
                if link is None or not wiring.standing(self.place, [link]):
                    return None
                a, b = (f"{each.node} {each.name}" for each in link.ports)
                up = len(wiring.plugged(self.place, link)) == 2
                return msgspec.structs.replace(thing, a=a, b=b, up=up), {}

    def change(self, old: Thing, new: Thing) -> Found:
        """Make of the one that stands the one that is wanted; what a machine wrote stays.

        Of interfaces that carry something else the machine applies its own files again: nothing is written to it.
        """
        found = self.make(new)
        if isinstance(new, Host) and isinstance(found[0], Host) and found[0].interfaces != new.interfaces:
            strange = [name for name, each in found[0].interfaces.items() if each != new.interfaces.get(name)]
            state = places.load(self.place, "node", new.name, NodeState)
            assert state
            lab.configure_network(self.place, state, strange)
            found = self.read(new) or found
        return found

    def remove(self, thing: Thing) -> None:
        """Remove it, with what it wrote."""
        match thing:
            case Host():
                lab.remove_node(self.place, thing.name, _layout())
            case _:
                lab.remove_joint(self.place, _joint(thing))

    def _host(self, wanted: Host) -> Found | None:
        state = places.load(self.place, "node", wanted.name, NodeState)
        if state is None:
            return None
        netns = self.place.netns(wanted.name)
        network = (self.place.folder(wanted.name) / "root" / NETWORK_FILES).glob("*.network")
        power = node.status(self.place, state, _layout()).running
        carried = wiring.addresses(netns)
        management = carried.get(topology.MANAGEMENT, ())
        found = msgspec.structs.replace(
            wanted,
            data=state.node.disk,
            tun=state.node.tun,
            power="on" if power == "running" and places.exists(netns) else power,
            management="as allotted" if management == tuple(sorted(state.management)) else " ".join(management),
            interfaces=as_carried(wanted.interfaces, carried, "\n".join(file.read_text() for file in network)),
        )
        return found, {"address": state.address, "host_key": state.host_key}


def at(state: Path, target: str, given_up: threading.Event) -> Twin:
    """The twin that `--at twin:<lab>` means, with its state below the state folder."""
    return Twin(places.at(state / "twin", target.partition(":")[2]), given_up)


def _layout() -> Layout:
    if (layout := here()) is None:
        raise mistake.Mistakes(doctor.examine(doctor.gather()))
    return layout


def _node(host: Host) -> topology.Node:
    return topology.Node(host.name, host.data, host.tun)


def _joint(thing: Thing) -> topology.Link | topology.Segment:
    if isinstance(thing, Link):
        return topology.Link(thing.id, port(thing.a), port(thing.b))
    assert isinstance(thing, Segment)
    return topology.Segment(thing.id, tuple(map(port, thing.ports)))
