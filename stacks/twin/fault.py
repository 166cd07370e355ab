"""Faults of a wire: a silent blackhole, where both ends keep their carrier, and a pulled cable."""

from __future__ import annotations

from stacks.twin import program
from stacks.twin.place import Place
from stacks.twin.topology import Link

# A classic BPF program of one instruction, `ret TC_ACT_SHOT`, in direct-action mode. Not an nft table: a firewall's own
# `flush ruleset` would mend the wire. On the way in only: a drop on the way out tells the sender.
_DROP = "1,6 0 0 2,"


def cut(place: Place, link: Link, *, silent: bool = True) -> None:
    """Cut the wire in both directions. `silent`: both ends keep carrier and hear nothing; else the carrier goes too."""
    restore(place, link)
    if not silent:
        program.ip([f"link set {link.a.name} down"], place.netns(link.a.node))
        return
    for port in link.ports:
        lines = [
            f"qdisc replace dev {port.name} clsact",
            f"filter add dev {port.name} ingress pref 1 bpf da bytecode '{_DROP}'",
        ]
        program.batch(["tc", "-n", place.netns(port.node)], lines)


def restore(place: Place, link: Link) -> None:
    """Mend the wire; nothing happens to a whole one."""
    for port in link.ports:
        netns = place.netns(port.node)
        # Deleting the hook takes its filters with it; it is made first, so that there is one to delete.
        hook = f"dev {port.name} clsact"
        program.batch(["tc", "-n", netns], [f"qdisc replace {hook}", f"qdisc del {hook}"])
        program.ip([f"link set {port.name} up"], netns)
