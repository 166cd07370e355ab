"""Packets through wires, sent and heard by sockets that live in the lab's namespaces."""

from __future__ import annotations

import socket

from stacks.twin import node, wiring
from stacks.twin.place import Place

PORT = 4077


def carries(at: Place, source: str, target: str, address: str) -> bool:
    """Whether a datagram from `source` arrives at `address`, which `target` has; one retry."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET

    def opened(netns: str) -> socket.socket:
        opened = socket.socket(family, socket.SOCK_DGRAM)
        if netns == at.netns(target):
            opened.bind(("", PORT))  # its address may be down with its interface
        opened.settimeout(0.5)
        return opened

    sockets = wiring.inside([at.netns(source), at.netns(target)], opened)
    sender, receiver = sockets[at.netns(source)], sockets[at.netns(target)]
    with sender, receiver:
        for number in range(2):
            try:
                sender.sendto(bytes([number]), (address, PORT))
                receiver.recv(1)
            except OSError:
                continue
            return True
    return False


def arrives(at: Place, source: str, target: str, address: str) -> bool:
    """Whether a datagram arrives sooner or later: a fresh or mended wire may need a second or two to find its neighbours."""
    return node.until(lambda: carries(at, source, target, address), 10 * node.SLOW)
