"""A whole lab: up, down, status, shell; and its objects one by one, for those who make and remove them alone.

Everything here may be interrupted and called again. `up` makes only what is missing; `down` works from state files and
from what it finds under the lab's names, so that it also clears away what a killed `up` left.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import wait as settled
from pathlib import Path

import msgspec

from ground import files, mistake
from ground import reach as reaches
from ground.reach import Reach
from stacks.twin import cgroups, doctor, image, node, program, topology, wiring
from stacks.twin import place as places
from stacks.twin.cgroups import Layout
from stacks.twin.image import Image
from stacks.twin.node import Status
from stacks.twin.place import NodeState, Place
from stacks.twin.topology import Lab, Link, Node, Segment

# Four nodes at a time: two cores boot them no faster with eight, and each takes longer.
PARALLEL = 4
TMPFS = "mode=0755,size=75%"

Progress = Callable[[str, int, int], None]


class LabStatus(msgspec.Struct, frozen=True):
    """A lab as it is now."""

    name: str
    state: str
    nodes: tuple[Status, ...]
    whole: tuple[str, ...]
    """Ids of links and segments that stand."""
    broken: tuple[str, ...]
    """Ids of those that should."""


def quiet(what: str, done: int, total: int) -> None:
    """The progress nobody watches."""


def up(lab: Lab, state_dir: Path, trees: Mapping[str, Path] | None = None, progress: Progress = quiet) -> Place:
    """Bring the lab up: image, wires, nodes, until every sshd answers; makes only what is missing.

    `trees` gives nodes what they start with (folders of `ground.tree`). Nodes that are off are started.
    Raises `Mistakes` JB3001–JB3014.
    """
    topology.require(lab)
    base, layout = prepared(len(lab.nodes), progress, tun=any(node.tun for node in lab.nodes))
    place = places.at(state_dir, lab.name)
    with opened(place), places.room(place.state):
        _same(place, lab)
        progress("wires", 0, 1)
        states = node.allot(place, lab.nodes)
        for link in lab.links:
            places.save(place, "link", link.id, link)
        for segment in lab.segments:
            places.save(place, "segment", segment.id, segment)
        wiring.wire(place, states, lab.links, lab.segments)
        progress("wires", 1, 1)
        write_reach(place)
        _boot(place, states, base, layout, trees or {}, progress)
    return place


def down(name: str, state_dir: Path | None = None, *, clean: bool = False, progress: Progress = quiet) -> None:
    """Take the lab down and remove everything of it, its state too. `clean`: nodes power off in order first.

    Works without a state folder, after a crash, and on a lab that is not there. Raises JB3001, JB3009, JB3013.
    """
    if found := list(topology.lab_name(name)):
        raise mistake.Mistakes(found, "nothing was removed")
    layout = _layout()
    folder = places.owner(name) or (places.at(state_dir, name).state if state_dir else None)
    place = Place(name, folder or places.RUN / "nowhere")
    with places.closed(place):
        places.RUN.mkdir(parents=True, exist_ok=True)
        place.closing.touch()
        if clean:
            _power_off(place, layout, progress)
        folders = cgroups.lab_folders(layout, name)
        progress("nodes", 0, 1)
        cgroups.kill(folders[0])
        if not cgroups.emptied(folders[0], 30 * node.SLOW):
            raise mistake.one("JB3006", "does not end", f"See what keeps it: {folders[0]}/cgroup.procs.", subject=name)
        progress("nodes", 1, 1)
        for root in map(Path, node.mounts_below(place.run)):
            node.forget_machine(place.netns(root.parent.name), root)
        wiring.tear(name)
        cgroups.remove(layout, name, folders)
        node.unmount(node.mounts_below(place.run))
        shutil.rmtree(place.run, ignore_errors=True)
        places.clear(place)
        place.closing.unlink(missing_ok=True)


def close_empty(name: str, state_dir: Path) -> None:
    """Take the lab down where no node, link or segment of it is left."""
    place = places.at(state_dir, name)
    if place.state.is_dir() and not any(place.state.glob("*s/*.json")):
        down(name, state_dir)


def status(name: str, state_dir: Path | None = None) -> LabStatus:
    """The lab as it is now. Raises JB3015 where there is none."""
    place = find(name, state_dir)
    layout = _layout()
    states = places.every(place, "node", NodeState)
    joints: list[Link | Segment] = [*places.every(place, "link", Link), *places.every(place, "segment", Segment)]
    whole = wiring.standing(place, joints)
    return LabStatus(
        name,
        str(place.state),
        tuple(node.status(place, state, layout) for state in states),
        tuple(sorted(whole)),
        tuple(sorted({joint.id for joint in joints} - whole)),
    )


def shell(name: str, device: str, command: Sequence[str] = (), state_dir: Path | None = None) -> int:
    """Run `command` on a node over SSH, or a login shell; returns its exit code. Raises JB3015."""
    place = find(name, state_dir)
    state = places.load(place, "node", device, NodeState)
    if state is None:
        names = ", ".join(state.node.name for state in places.every(place, "node", NodeState)[:8])
        raise mistake.one("JB3015", f"is no node of the lab {name}", f"Nodes are: {names}, …", subject=device)
    return subprocess.run([*ssh(place, state), *command]).returncode


def ssh(place: Place, state: NodeState) -> list[str]:
    """The ssh command line for a node, without the remote program."""
    reach = reach_of(place, state)
    line = ["ssh", "-i", reach.identity, "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=yes"]
    line += ["-o", f"UserKnownHostsFile={place.known_hosts}", "-o", "GlobalKnownHostsFile=/dev/null"]
    return [*line, "-o", "LogLevel=ERROR", "-o", f"ProxyCommand={reach.via}", f"{reach.user}@{reach.address}"]


def find(name: str, state_dir: Path | None = None) -> Place:
    """The place of a lab that is up, or was. Raises JB3015."""
    folder = places.owner(name)
    if folder is None and state_dir and places.at(state_dir, name).state.is_dir():
        folder = places.at(state_dir, name).state
    if folder is None:
        raise mistake.one("JB3015", "no lab of this name is up here", "`jinbao twin up` first.", subject=name)
    return Place(name, folder)


def prepared(nodes: int = 1, progress: Progress = quiet, *, tun: bool = False) -> tuple[Image, Layout]:
    """See that this machine can run that many nodes, raise the kernel's limits, build the image. Raises `Mistakes`."""
    facts = doctor.gather()
    doctor.require(facts, nodes, tun=tun)
    doctor.settle(facts)
    assert facts.layout
    return image.build(progress), facts.layout


@contextlib.contextmanager
def opened(place: Place) -> Iterator[None]:
    """The lab's own ground: state folder, memory file system, keys, controller. Made when missing; held open meanwhile.

    Raises JB3016 when another state folder holds a lab of this name.
    """
    if place.closing.exists():  # a `down` was killed, or is at it: finish it, or wait for it
        down(place.lab, place.state.parent)
    with places.working(place), places.room(place.state):
        with program.lock(places.RUN / "lock" / f"{place.lab}.open"):
            held_by = places.owner(place.lab)
            if held_by and held_by != place.state:
                raise mistake.one(
                    "JB3016",
                    f"a lab of this name is up already, with its state in {held_by}",
                    f"Take that one down (`jinbao twin down --at twin:{place.lab}`), or give this one another name.",
                    subject=place.lab,
                )
            place.state.mkdir(parents=True, exist_ok=True)
            place.state.chmod(0o700)
            files.write(place.owner, f"{place.state}\n")
            place.run.mkdir(parents=True, exist_ok=True)
            if not os.path.ismount(place.run):
                _mount(place)
            if not place.identity.exists():
                private, public = node.key_pair()
                files.write(place.identity.with_suffix(".pub"), f"{public} jinbao-{place.lab}\n")
                files.write(place.identity, private, 0o600)
            wiring.ready(place)
        yield


def make_node(
    place: Place,
    wanted: Node,
    base: Image,
    layout: Layout,
    preseed: Path | None = None,
    given_up: threading.Event | None = None,
) -> NodeState:
    """Make one node and start it, or put right what is wrong with it; returns once its sshd answers.

    Of a node that stands, what it wrote stays. Raises JB3006, JB3008.
    """
    with opened(place), places.room(place.state):
        stands = places.load(place, "node", wanted.name, NodeState)
        astray = node.supervised(place, wanted.name) and not places.exists(place.netns(wanted.name))
        if stands and (stands.node != wanted or astray):
            # It runs as something else, or in a namespace that has lost its name: it starts anew over what it wrote.
            node.stop(place, wanted.name, layout)
            places.save(place, "node", wanted.name, msgspec.structs.replace(stands, node=wanted))
        [state] = node.allot(place, [wanted])
        wiring.wire(place, [state])
        node.start(place, state, base, layout, preseed)
        write_reach(place)
        node.wait(place, [state], given_up=given_up)
    return state


def configure_network(place: Place, state: NodeState, interfaces: Sequence[str]) -> None:
    """Have a node's networkd apply the node's own files to these interfaces again. Raises JB3006."""
    done = program.run([*ssh(place, state), "networkctl", "reconfigure", *interfaces])
    if done.returncode:
        raise mistake.one(
            "JB3006",
            f"does not configure its interfaces again: {done.stderr.strip()}",
            "`jinbao deploy` brings its network files, then run the same command again.",
            subject=state.node.name,
        )


def make_joint(place: Place, joint: Link | Segment) -> None:
    """Make one link or segment or put it right, and the namespaces it ends in where its nodes do not stand yet."""
    with opened(place), places.room(place.state):
        if isinstance(joint, Link):
            places.save(place, "link", joint.id, joint)
            if not wiring.standing(place, [joint]):
                wiring.unplug(place, joint.ports)  # what is left of it cannot be joined to a new other end
            wiring.wire(place, [], [joint])
        else:
            before = places.load(place, "segment", joint.id, Segment)
            wiring.unplug(place, [port for port in before.ports if port not in joint.ports] if before else [])
            places.save(place, "segment", joint.id, joint)
            wiring.wire(place, [], [], [joint])


def remove_node(place: Place, name: str, layout: Layout) -> None:
    """Remove one node with what it wrote. Its wires stay for the next node of this name."""
    with opened(place):
        node.remove(place, name, layout)
        write_reach(place)


def remove_joint(place: Place, joint: Link | Segment) -> None:
    """Remove one link or segment."""
    with opened(place):
        wiring.unwire_joint(place, joint)
        places.forget(place, "link" if isinstance(joint, Link) else "segment", joint.id)


def write_reach(place: Place) -> None:
    """Write reach.json and known_hosts from the nodes there are."""
    with places.held(place, ["state"]):
        found = {state.node.name: reach_of(place, state) for state in places.every(place, "node", NodeState)}
        reaches.write(place.reach, found)
        files.write(place.known_hosts, reaches.known_hosts(found))


def reach_of(place: Place, state: NodeState) -> Reach:
    """How a node is reached from the machine's own namespace."""
    # The full path: the PATH of a caller's shell may lack the sbin folders.
    via = f"{program.find('ip')} netns exec {place.netns('ctl')} nc %h %p"
    return Reach(address=state.address, host_key=state.host_key, identity=str(place.identity), via=via)


def _boot(
    place: Place,
    states: Sequence[NodeState],
    base: Image,
    layout: Layout,
    trees: Mapping[str, Path],
    progress: Progress,
) -> None:
    def boot(state: NodeState) -> None:
        node.start(place, state, base, layout, trees.get(state.node.name))
        node.wait(place, [state], given_up=given_up)

    given_up = threading.Event()
    found: list[mistake.Mistake] = []
    progress("nodes", 0, len(states))
    with ThreadPoolExecutor(PARALLEL) as pool:
        waiting = {pool.submit(boot, state) for state in states}
        try:
            while waiting:
                ended, waiting = settled(waiting, return_when="FIRST_COMPLETED")
                for future in ended:
                    try:
                        future.result()
                    except mistake.Mistakes as mistakes:
                        found += mistakes.found
                        if any(one.code == "JB3008" for one in mistakes.found):  # the others would only say the same
                            waiting = {other for other in waiting if not other.cancel()}
                progress("nodes", len(states) - len(waiting), len(states))
        except BaseException:
            given_up.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if found:
        raise mistake.Mistakes(dict.fromkeys(found), "what came up stays up")


def _same(place: Place, lab: Lab) -> None:
    """Raises JB3017 where what stands is not what is asked for: nothing is removed or replaced unseen."""
    stands: dict[str, Node | Link | Segment] = {
        f"node {state.node.name}": state.node for state in places.every(place, "node", NodeState)
    }
    stands |= {f"link {link.id}": link for link in places.every(place, "link", Link)}
    stands |= {f"segment {segment.id}": segment for segment in places.every(place, "segment", Segment)}
    wanted: dict[str, Node | Link | Segment] = {f"node {node.name}": node for node in lab.nodes}
    wanted |= {f"link {link.id}": link for link in lab.links}
    wanted |= {f"segment {segment.id}": segment for segment in lab.segments}
    differing = [name for name, value in stands.items() if wanted.get(name) != value]
    if differing:
        raise mistake.Mistakes(
            mistake.Mistake(
                file=str(place.state),
                line=None,
                column=None,
                code="JB3017",
                object=name,
                what="stands otherwise than asked for" if name in wanted else "stands and is not asked for",
                cure=f"`jinbao twin down --at twin:{lab.name}` first, or change the lab with `jinbao stack up`.",
            )
            for name in differing
        )


def _mount(place: Place) -> None:
    done = program.run(["mount", "-t", "tmpfs", "-o", TMPFS, "twin", str(place.run)])
    if done.returncode:
        raise mistake.one(
            "JB3002",
            f"its memory file system could not be mounted: {done.stderr.strip()}",
            "Run `jinbao twin doctor`; a container must run privileged.",
            subject=place.lab,
        )


def _power_off(place: Place, layout: Layout, progress: Progress) -> None:
    with contextlib.suppress(mistake.Mistakes):  # damaged state: what is up is cut off
        names = [state.node.name for state in places.every(place, "node", NodeState)]
        with ThreadPoolExecutor(2 * PARALLEL) as pool:
            for done, _ in enumerate(pool.map(lambda name: node.stop(place, name, layout), names), 1):
                progress("power off", done, len(names))


def _layout() -> Layout:
    if os.geteuid():
        raise mistake.one("JB3001", "not root; namespaces and mounts need it", "Run the command with sudo.")
    if (layout := cgroups.here()) is None:
        raise mistake.Mistakes(doctor.examine(doctor.gather()))
    return layout
