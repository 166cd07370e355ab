"""The provider's three resources as values: what is declared of each, and what has to hold of it.

Every field is declared by the program and read back from the world, so that drift is a difference between two values of
one type. What the provider alone finds out (an address, a host key) stands beside it as outputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import msgspec

from ground.mistake import Mistake
from stacks.twin import topology

PACKAGE = "jinbao"


class Host(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A machine: router, firewall or host in a zone."""

    name: str
    site: str
    """Key of the site, e.g. `640100:centre1`."""
    kind: str
    """Of the site: `centre`, `dr`, `office` …"""
    level: str
    region: str
    role: str
    zones: tuple[str, ...] = ()
    """Of a host the one it stands in; of a firewall or access router those that it divides."""
    duties: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    """`<zone>/<name> <IPv4> <IPv6>` of each service that it carries."""
    data: bool = False
    """Whether it holds what has to outlive it; it is protected then."""
    handles: tuple[str, ...] = ()
    """Businesses kept in its production database, as `<business> <code of the region whose business it is>`."""
    serves: tuple[str, ...] = ()
    """Of a province's production host: the prefectures without a centre of their own, which this one serves."""
    whole_province: bool = False
    """Of the same: whether no prefecture of the province has a centre."""
    tun: bool = False
    power: str = "on"
    management: str = "as allotted"
    """What its management port carries, where that is something else."""
    interfaces: dict[str, tuple[str, ...]] = {}
    """Interface → addresses with their lengths, as the plan says; as they are, when read."""


class Segment(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A zone's LAN at one site."""

    id: str
    site: str
    kind: str
    level: str
    region: str
    zone: str
    v4: str
    v6: str
    ports: tuple[str, ...]
    """`<node> <interface>`."""


class Link(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A wire between two machines: a line between sites, or a cable inside one."""

    id: str
    kind: str
    a: str
    """`<node> <interface>`."""
    b: str
    ends: tuple[str, ...] = ()
    """What stands at each end, as `<role> <zone, of a host>`."""
    up: bool = True
    """Whether both ends are switched on."""


Thing: TypeAlias = Host | Segment | Link
Found: TypeAlias = tuple[Thing, dict[str, Any]]
"""A thing as it is, and what only the back end knows of it: the outputs."""
KINDS: dict[str, type[Thing]] = {"Host": Host, "Segment": Segment, "Link": Link}
# A database's disk and a wire's ends cannot be exchanged while they stand; all else is changed in place.
REPLACED = {"Host": ("name", "data"), "Segment": ("id",), "Link": ("id", "a", "b")}


def token(kind: str) -> str:
    """The type of a resource as the engine names it."""
    return f"{PACKAGE}:index:{kind}"


def kind_of(token_: str) -> str:
    """The kind that a type token names, in a URN behind those of its parents. Raises KeyError."""
    kind = token_.rpartition("$")[2].removeprefix(f"{PACKAGE}:index:")
    KINDS[kind]
    return kind


def properties(thing: Thing) -> dict[str, Any]:
    """A thing as plain values."""
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(thing))  # lists, as the protocol has them
    return plain


def thing(kind: str, plain: Mapping[str, Any]) -> Thing:
    """The thing of these plain values, outputs left out. Raises msgspec.ValidationError."""
    shape = KINDS[kind]
    return msgspec.convert({name: plain[name] for name in shape.__struct_fields__ if name in plain}, shape)


def failures(kind: str, plain: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Everything that is wrong with declared values, as (property, why)."""
    fields = {field.name: field for field in msgspec.structs.fields(KINDS[kind])}
    for name in plain.keys() - fields.keys():
        yield name, f"a {kind} has no such property"
    sound = True
    for name, field in fields.items():
        if name not in plain:
            if field.required:
                sound = False
                yield name, "missing"
            continue
        try:
            msgspec.convert(plain[name], field.type)
        except msgspec.ValidationError as why:
            sound = False
            yield name, str(why)
    if sound:
        for mistake in shape_mistakes(thing(kind, plain)):
            yield ("name" if kind == "Host" else "id"), f"{mistake.object} {mistake.what}. {mistake.cure}"


def shape_mistakes(thing: Thing) -> list[Mistake]:
    """What keeps a thing from standing in any lab."""
    match thing:
        case Host():
            lab = topology.Lab("check", (topology.Node(thing.name),))
        case Segment():
            segment = topology.Segment(thing.id, tuple(map(port, thing.ports)))
            lab = topology.Lab("check", _ends(segment), (), (segment,))
        case Link():
            link = topology.Link(thing.id, port(thing.a), port(thing.b))
            lab = topology.Lab("check", _ends(link), (link,))
    return list(topology.mistakes(lab))


def port(text: str) -> topology.Port:
    """The port that `<node> <interface>` names."""
    node, _, name = text.partition(" ")
    return topology.Port(node, name)


def _ends(joint: topology.Link | topology.Segment) -> tuple[topology.Node, ...]:
    return tuple(topology.Node(name) for name in dict.fromkeys(each.node for each in joint.ports))


def as_carried(
    planned: Mapping[str, tuple[str, ...]], carried: Mapping[str, tuple[str, ...]], files: str
) -> dict[str, tuple[str, ...]]:
    """Interface → addresses as the machine carries them; `files`: what its own network files say.

    An address that those do not give it yet is no drift: the playbook, their one writer, has not brought it.
    """
    told = set(files.replace("=", " ").split())
    found = {}
    for interface, addresses in planned.items():
        awaited = {address for address in addresses if address not in told}
        now = carried.get(interface, ())
        found[interface] = addresses if set(now) | awaited == set(addresses) else tuple(now)
    return found


def differences(before: Mapping[str, Any], wanted: Mapping[str, Any], kind: str) -> dict[str, bool]:
    """Path of each property that differs → whether the thing has to be replaced for it."""
    found: dict[str, bool] = {}
    for name in KINDS[kind].__struct_fields__:
        old, new = before.get(name), wanted.get(name)
        if old == new:
            continue
        replaced = name in REPLACED[kind]
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found |= {
                f'{name}["{key}"]': replaced for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)
            }
        else:
            found[name] = replaced
    return found
