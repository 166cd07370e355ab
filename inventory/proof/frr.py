"""Reader of frr.conf, after the FRR 8.4 manual: what decides which routes a device takes, gives and uses.

Lines that cannot change a route are known and kept; a line that is not known is a mistake with its place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import msgspec

from ground.mistake import Mistake, Mistakes
from inventory.proof import interval


class PrefixEntry(msgspec.Struct, frozen=True):
    """One entry of a prefix list: permits or denies prefixes below `base`/`length` with a length in `low`..`high`."""

    seq: int
    permit: bool
    family: int
    base: int
    length: int
    low: int
    high: int
    line: int

    def hit(self, base: int, length: int) -> bool:
        """Whether the entry matches a prefix of its family."""
        if not self.low <= length <= self.high or length < self.length:
            return False
        shift = interval.BITS[self.family] - self.length
        return base >> shift == self.base >> shift


class PrefixList(msgspec.Struct, frozen=True):
    """A named list; the first entry that hits decides, and none denies."""

    name: str
    family: int
    entries: tuple[PrefixEntry, ...]

    def decide(self, base: int, length: int) -> tuple[bool, int]:
        """(permitted, line of the entry that decided, or of the last one)."""
        for entry in self.entries:
            if entry.hit(base, length):
                return entry.permit, entry.line
        return False, self.entries[-1].line if self.entries else 0


class Setting(msgspec.Struct, frozen=True):
    """Words of a line with its number."""

    words: tuple[str, ...]
    line: int


class Stanza(msgspec.Struct, frozen=True):
    """One `route-map NAME permit SEQ`."""

    seq: int
    permit: bool
    line: int
    matches: tuple[Setting, ...]
    sets: tuple[Setting, ...]


class Neighbour(msgspec.Struct, frozen=True):
    """One BGP neighbour, its group's settings merged in. `families` holds 4 and 6 where it is activated."""

    address: str
    remote_as: str
    line: int
    settings: dict[str, Setting]
    """First word (`bfd`, `update-source`, `description` …) → line."""
    policies: dict[tuple[int, str], Setting]
    """(family, `in` or `out`) → the route-map line."""
    filters: dict[tuple[int, str], Setting]
    """(family, `in` or `out`) → the prefix-list line."""
    families: frozenset[int]
    options: dict[tuple[int, str], Setting]
    """(family, `next-hop-self` …) → line."""


class Aggregate(msgspec.Struct, frozen=True):
    """`aggregate-address`."""

    family: int
    prefix: str
    summary_only: bool
    line: int


class Origin(msgspec.Struct, frozen=True):
    """`network` or `redistribute` with its route map."""

    family: int
    what: str
    """A prefix, or `connected`, `static`, `ospf`, `ospf6`, `bgp`."""
    policy: str
    line: int
    metric: int | None = None


class Bgp(msgspec.Struct, frozen=True):
    """`router bgp`."""

    asn: int
    line: int
    router_id: str
    neighbours: dict[str, Neighbour]
    networks: tuple[Origin, ...]
    redistributes: tuple[Origin, ...]
    aggregates: tuple[Aggregate, ...]
    requires_policy: bool
    import_check: bool
    settings: tuple[Setting, ...]


class Ospf(msgspec.Struct, frozen=True):
    """`router ospf` (family 4) or `router ospf6` (6)."""

    family: int
    line: int
    router_id: str
    networks: tuple[tuple[str, str, int], ...]
    """(prefix, area, line)"""
    passive: dict[str, int]
    """Interface (or `default`) → line."""
    active: dict[str, int]
    redistributes: tuple[Origin, ...]
    default_originate: tuple[bool, int] | None
    """(always, line)"""
    areas: dict[str, str]
    """Interface → area (old `interface X area Y` of ospf6)."""
    external: int = 110
    """Administrative distance of external routes."""
    external_line: int = 0


class Interface(msgspec.Struct, frozen=True):
    """`interface NAME` with its settings."""

    name: str
    line: int
    settings: tuple[Setting, ...]

    def find(self, *words: str) -> Setting | None:
        """The first line that begins with `words`."""
        return next((s for s in self.settings if s.words[: len(words)] == words), None)


class Static(msgspec.Struct, frozen=True):
    """`ip route` or `ipv6 route`: the target is an address, an interface or `blackhole`."""

    family: int
    prefix: str
    target: str
    distance: int
    line: int


class Config(msgspec.Struct, frozen=True):
    """One frr.conf."""

    file: str
    hostname: str
    prefix_lists: dict[tuple[int, str], PrefixList]
    route_maps: dict[str, tuple[Stanza, ...]]
    interfaces: dict[str, Interface]
    bgp: Bgp | None
    ospf: dict[int, Ospf]
    statics: tuple[Static, ...]
    bfd_peers: tuple[Setting, ...]
    bfd_profiles: dict[str, tuple[Setting, ...]]
    settings: tuple[Setting, ...]
    communities: dict[str, tuple[Setting, ...]]
    end: int


class _Unknown(Exception):
    def __init__(self, line: int, what: str) -> None:
        super().__init__(what)
        self.line, self.what = line, what


# Lines that change neither which routes are known nor which are used. Order: as in the manual's chapters.
_PLAIN = re.compile(
    r"^(frr version|no ip forwarding|no ipv6 forwarding|domainname|log|no log|service|password|enable password|line vty|"
    r"ip forwarding|ipv6 forwarding|banner|no banner|debug|bgp log-neighbor-changes|agentx|end|"
    r"ip nht resolve-via-default|ipv6 nht resolve-via-default|no ip nht|zebra nexthop)\b"
)
_PLAIN_BGP = re.compile(
    r"^(bgp (log-neighbor-changes|graceful-restart.*|deterministic-med|default show-hostname|default show-nexthop-hostname|"
    r"fast-external-failover|suppress-fib-pending|listen limit \d+)|"
    r"no bgp default ipv4-unicast|no bgp (suppress-duplicates|hard-administrative-reset|graceful-restart notification)|"
    r"timers bgp \d+ \d+|bgp bestpath as-path multipath-relax|bgp default ipv4-unicast)$"
)
_PLAIN_OSPF = re.compile(
    r"^(log-adjacency-changes|auto-cost|timers|maximum-paths|area \S+ authentication|max-metric)\b"
)
_INTERFACE = re.compile(
    r"^(description|ip address|ipv6 address|no shutdown|shutdown|ip ospf|ipv6 ospf6|no ip ospf|no ipv6 ospf6|bandwidth|"
    r"link-detect|no link-detect|ipv6 nd|no ipv6 nd|mpls)\b"
)
_NEIGHBOUR = {
    "description", "password", "update-source", "ebgp-multihop", "ttl-security", "bfd", "timers", "capability",
    "advertisement-interval", "shutdown", "disable-connected-check", "local-as", "dont-capability-negotiate",
}  # fmt: skip
_NEIGHBOUR_FAMILY = {
    "next-hop-self", "soft-reconfiguration", "send-community", "route-reflector-client", "maximum-prefix", "default-originate",
    "allowas-in", "remove-private-AS", "as-override", "weight", "addpath-tx-all-paths", "attribute-unchanged",
}  # fmt: skip
_UNMODELLED = {"allowas-in", "as-override", "weight", "addpath-tx-all-paths", "attribute-unchanged", "local-as",
               "default-originate", "remove-private-AS"}  # fmt: skip
"""Refused: they change routes in ways that `routes.py` does not compute."""


class _Group(msgspec.Struct):
    line: int
    remote_as: str = ""
    group: str = ""
    settings: dict[str, Setting] = {}
    policies: dict[tuple[int, str], Setting] = {}
    filters: dict[tuple[int, str], Setting] = {}
    families: set[int] = set()
    off: set[int] = set()
    options: dict[tuple[int, str], Setting] = {}
    is_group: bool = False


def read(source: str, file: str = "frr.conf") -> Config:
    """The configuration in `source`. Raises Mistakes: JB2401, every line that cannot be read."""
    reader = _Reader(file)
    mistakes: list[Mistake] = []
    number = 0
    for number, raw in enumerate(source.splitlines(), 1):
        text = raw.strip()
        if not text or text.startswith(("!", "#")):
            continue
        try:
            reader.line(text, number)
        except (_Unknown, ValueError, LookupError) as error:
            what = error.what if isinstance(error, _Unknown) else f"{text}: {error}"
            cure = "Write what inventory/proof/frr.py reads, or teach it what the line does to routes."
            mistakes.append(Mistake(file, number, None, "JB2401", "", f"the proof cannot read this: {what}", cure))
    if mistakes:
        raise Mistakes(mistakes, "nothing was proved")
    return reader.config(number)


class _Reader:
    """The draft of a Config, one line at a time; `context` is the section the line belongs to."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.hostname = ""
        self.lists: dict[tuple[int, str], list[PrefixEntry]] = {}
        self.maps: dict[str, list[tuple[int, bool, int, list[Setting], list[Setting]]]] = {}
        self.interfaces: dict[str, tuple[int, list[Setting]]] = {}
        self.statics: list[Static] = []
        self.settings: list[Setting] = []
        self.communities: dict[str, list[Setting]] = {}
        self.bfd_peers: list[Setting] = []
        self.profiles: dict[str, list[Setting]] = {}
        self.peers: dict[str, _Group] = {}
        self.bgp: tuple[int, int] | None = None
        self.bgp_settings: list[Setting] = []
        self.router_id = ""
        self.networks: list[Origin] = []
        self.redistributes: list[Origin] = []
        self.aggregates: list[Aggregate] = []
        self.requires_policy = True  # FRR's default since 7.4: "bgp ebgp-requires-policy"
        self.import_check = True
        self.default4 = True  # "bgp default ipv4-unicast"
        self.family = 4
        self.ospf: dict[int, Ospf] = {}
        self.context: Callable[[str, tuple[str, ...], int], bool] = self._top
        self.current = ""
        self.addresses = False
        """Inside an address family."""
        self.inner = False
        """Inside a profile or peer of `bfd`, which end with an `exit` of their own."""

    def line(self, text: str, number: int) -> None:
        words = tuple(text.split())
        if words == ("exit-address-family",):
            if not self.addresses or self.context != self._bgp:
                raise _Unknown(number, "exit-address-family outside of an address family")
            self.family, self.addresses = 4, False
            return
        if words == ("exit",):
            if self.inner:
                self.inner = False
            else:
                self.context = self._top
            return
        if self.context == self._top or not self.context(text, words, number):
            self.context, self.inner = self._top, False
            if not self._top(text, words, number):
                raise _Unknown(number, text)

    def _top(self, text: str, words: tuple[str, ...], number: int) -> bool:
        match words:
            case ("hostname", name):
                self.hostname = name
                self.settings.append(Setting(words, number))
            case ("interface", name):
                self.interfaces.setdefault(name, (number, []))
                self.current, self.context = name, self._interface
            case ("router", "bgp", asn):
                if self.bgp:
                    raise _Unknown(number, "a second `router bgp`")
                self.bgp = (int(asn), number)
                self.family, self.context = 4, self._bgp
            case ("router", "ospf" | "ospf6" as kind):
                family = 4 if kind == "ospf" else 6
                self.ospf[family] = Ospf(family, number, "", (), {}, {}, (), None, {})
                self.family, self.context = family, self._ospf
            case ("route-map", name, "permit" | "deny" as verdict, seq):
                stanza = (int(seq), verdict == "permit", number, list[Setting](), list[Setting]())
                self.maps.setdefault(name, []).append(stanza)
                self.current, self.context = name, self._route_map
            case ("ip" | "ipv6" as kind, "prefix-list", name, *rest):
                self._prefix_list(4 if kind == "ip" else 6, name, rest, number)
            case ("ip" | "ipv6" as kind, "route", prefix, target, *rest):
                self._static(4 if kind == "ip" else 6, prefix, target, rest, number)
            case ("bgp", "community-list", "standard", name, *rest):
                entry = rest[2:] if rest[:1] == ["seq"] else rest
                self.communities.setdefault(name, []).append(Setting(tuple(entry), number))
            case ("frr", "defaults", profile):
                # FRR bgpd/bgp_vty.c, FRR_CFG_DEFAULT_BOOL(BGP_EBGP_REQUIRES_POLICY).
                self.requires_policy = profile != "datacenter"
                self.settings.append(Setting(words, number))
            case ("bfd",):
                self.current, self.context = "", self._bfd
            case ("ip", "router-id", name) | ("router-id", name):
                self.router_id = self.router_id or name
                self.settings.append(Setting(words, number))
            case _:
                if not _PLAIN.match(text):
                    return False
                self.settings.append(Setting(words, number))
        return True

    def _interface(self, text: str, words: tuple[str, ...], number: int) -> bool:
        if not _INTERFACE.match(text):
            return False
        self.interfaces[self.current][1].append(Setting(words, number))
        return True

    def _route_map(self, text: str, words: tuple[str, ...], number: int) -> bool:
        stanza = self.maps[self.current][-1]
        match words:
            case ("match", "ip" | "ipv6", "address", "prefix-list", _) | ("match", "tag" | "community", _):
                stanza[3].append(Setting(words, number))
            case ("match", "source-protocol" | "interface", _):
                stanza[3].append(Setting(words, number))
            case ("set", "local-preference" | "metric" | "tag" as what, value):
                if not value.isdigit() or int(value) >= 2**32:
                    raise _Unknown(number, f"{what} {value}")
                stanza[4].append(Setting(words, number))
            case ("set", "weight" | "origin", _):
                stanza[4].append(Setting(words, number))
            case ("set", "community" | "as-path" | "metric-type" | "src", *_):
                stanza[4].append(Setting(words, number))
            case ("description", *_):
                pass
            case ("match" | "set" | "on-match" | "continue" | "call", *_):
                raise _Unknown(number, text)
            case _:
                return False
        return True

    def _prefix_list(self, family: int, name: str, rest: Sequence[str], number: int) -> None:
        if rest and rest[0] == "description":
            return
        entries = self.lists.setdefault((family, name), [])
        seq = 5 * (len(entries) + 1)
        if rest and rest[0] == "seq":
            seq, rest = int(rest[1]), rest[2:]
        if len(rest) < 2 or rest[0] not in ("permit", "deny"):
            raise _Unknown(number, f"an entry of prefix list {name}")
        given = rest[1]
        bounds = {rest[i]: int(rest[i + 1]) for i in range(2, len(rest) - 1, 2)}
        if len(rest) % 2 or set(bounds) - {"ge", "le"}:
            raise _Unknown(number, f"an entry of prefix list {name}")
        bits = interval.BITS[family]
        if given == "any":
            base, length, bounds = 0, 0, {"le": bits}
        else:
            of, base, length = interval.prefix(given)
            if of != family or "/" not in given:
                raise _Unknown(number, f"{given} in a prefix list of IPv{family}")
        low = bounds.get("ge", length)
        high = bounds.get("le", bits if "ge" in bounds else length)
        if not length <= low <= high <= bits:
            raise _Unknown(number, f"ge and le of prefix list {name}")
        entries.append(PrefixEntry(seq, rest[0] == "permit", family, base, length, low, high, number))

    def _static(self, family: int, prefix: str, target: str, rest: Sequence[str], number: int) -> None:
        of, base, length = interval.prefix(prefix)
        if of != family:
            raise _Unknown(number, f"{prefix} in a route of IPv{family}")
        distance = 1
        words = list(rest)
        while words:
            word = words.pop(0)
            if word.isdigit():
                distance = int(word)
            elif word in ("tag", "metric") and words:
                words.pop(0)
            elif word == "bfd":
                while words and words[0] in ("profile", "source", "multi-hop"):
                    words.pop(0)
                    if words and words[0] != "source":
                        words.pop(0)
            elif interval_is_interface(word):
                continue
            else:
                raise _Unknown(number, f"{word!r} in a static route")
        target = "blackhole" if target in ("blackhole", "Null0", "null0", "reject") else target
        self.statics.append(Static(family, interval.spell(family, base, length), target, distance, number))

    def _bfd(self, text: str, words: tuple[str, ...], number: int) -> bool:
        match words:
            case ("profile", name):
                self.profiles[name] = []
                self.current, self.inner = name, True
            case ("peer", *_):
                self.bfd_peers.append(Setting(words, number))
                self.current, self.inner = "", True
            case (
                ("receive-interval" | "transmit-interval" | "detect-multiplier" | "minimum-ttl" | "echo-interval"),
                value,
            ):
                int(value)
                if not self.inner:
                    raise _Unknown(number, f"{text} outside of a profile or peer")
                if self.current:
                    self.profiles[self.current].append(Setting(words, number))
            case ("echo-mode" | "passive-mode",) | ("no", "echo-mode" | "shutdown" | "passive-mode"):
                if self.current:
                    self.profiles[self.current].append(Setting(words, number))
            case _:
                return False
        return True

    def _bgp(self, text: str, words: tuple[str, ...], number: int) -> bool:
        family = self.family
        match words:
            case ("address-family", "ipv4" | "ipv6" as kind, "unicast"):
                self.family, self.addresses = 4 if kind == "ipv4" else 6, True
            case ("bgp", "router-id", value):
                self.router_id = value
                self.bgp_settings.append(Setting(words, number))
            case ("no", "bgp", "ebgp-requires-policy"):
                self.requires_policy = False
            case ("bgp", "ebgp-requires-policy"):
                self.requires_policy = True
            case ("no", "bgp", "network", "import-check"):
                self.import_check = False
            case ("bgp", "network", "import-check"):
                self.import_check = True
            case ("network", prefix, *rest):
                of, base, length = interval.prefix(prefix)
                if of != family or (rest and rest[0] != "route-map"):
                    raise _Unknown(number, text)
                policy = rest[1] if rest else ""
                self.networks.append(Origin(family, interval.spell(of, base, length), policy, number))
            case ("redistribute", what, *rest):
                self.redistributes.append(_origin(family, what, rest, number))
            case ("aggregate-address", prefix, *rest):
                if set(rest) - {"summary-only"}:
                    raise _Unknown(number, text)
                of, base, length = interval.prefix(prefix)
                if of != family:
                    raise _Unknown(number, text)
                self.aggregates.append(Aggregate(of, interval.spell(of, base, length), "summary-only" in rest, number))
            case ("neighbor", name, *rest):
                self._neighbour(name, rest, words, number)
            case ("no", "neighbor", name, "activate"):
                self.peers[name].off.add(family)
                self.peers[name].families.discard(family)
            case ("no", "neighbor", name, "send-community", *_):
                self._peer(name, number).options[family, "no send-community"] = Setting(words, number)
            case ("maximum-paths", *_):
                self.bgp_settings.append(Setting(words, number))
            case _:
                if not _PLAIN_BGP.match(text):
                    return False
                if text == "no bgp default ipv4-unicast":
                    self.default4 = False
                self.bgp_settings.append(Setting(words, number))
        return True

    def _peer(self, name: str, number: int) -> _Group:
        if name not in self.peers:
            self.peers[name] = _Group(number)
        return self.peers[name]

    def _neighbour(self, name: str, rest: Sequence[str], words: tuple[str, ...], number: int) -> None:
        setting = Setting(words, number)
        match rest:
            case ["peer-group"]:
                self._peer(name, number).is_group = True
                return
            case ["remote-as", value]:
                self._peer(name, number).remote_as = value
                return
            case ["peer-group", group]:
                if group not in self.peers:
                    raise _Unknown(number, f"group {group} is not defined")
                self._peer(name, number).group = group
                return
        if name not in self.peers:
            raise _Unknown(number, f"neighbour {name} has no remote-as yet")
        peer = self.peers[name]
        match rest:
            case ["activate"]:
                peer.families.add(self.family)
                peer.off.discard(self.family)
            case ["route-map", _, "in" | "out" as way]:
                peer.policies[self.family, way] = setting
            case ["prefix-list", _, "in" | "out" as way]:
                peer.filters[self.family, way] = setting
            case [word, *_] if word in _UNMODELLED:
                raise _Unknown(number, f"{word} of a neighbour")
            case [word, *_] if word in _NEIGHBOUR:
                peer.settings[word] = setting
            case [word, *_] if word in _NEIGHBOUR_FAMILY:
                peer.options[self.family, word] = setting
            case _:
                raise _Unknown(number, " ".join(words))

    def _ospf(self, text: str, words: tuple[str, ...], number: int) -> bool:
        draft = self.ospf[self.family]
        replace = msgspec.structs.replace
        match words:
            case ("ospf" | "ospf6", "router-id", value):
                draft = replace(draft, router_id=value)
            case ("network", prefix, "area", area):
                interval.interval(prefix)
                draft = replace(draft, networks=(*draft.networks, (prefix, area, number)))
            case ("passive-interface", name):
                draft = replace(draft, passive={**draft.passive, name: number})
            case ("no", "passive-interface", name):
                draft = replace(draft, active={**draft.active, name: number})
            case ("redistribute", what, *rest):
                origin = _origin(self.family, what, rest, number)
                draft = replace(draft, redistributes=(*draft.redistributes, origin))
            case ("default-information", "originate", *rest):
                draft = replace(draft, default_originate=("always" in rest, number))
            case ("distance", "ospf" | "ospf6", "external", value):
                if not 1 <= int(value) <= 255:
                    raise _Unknown(number, f"distance {value} (1 to 255)")
                draft = replace(draft, external=int(value), external_line=number)
            case ("interface", name, "area", area):
                draft = replace(draft, areas={**draft.areas, name: area})
            case _:
                if not _PLAIN_OSPF.match(text):
                    return False
        self.ospf[self.family] = draft
        return True

    def config(self, end: int) -> Config:
        lists = {
            key: PrefixList(key[1], key[0], tuple(sorted(entries, key=lambda e: e.seq)))
            for key, entries in self.lists.items()
        }
        maps = {
            name: tuple(
                Stanza(s, p, line, tuple(m), tuple(t)) for s, p, line, m, t in sorted(stanzas, key=lambda x: x[0])
            )
            for name, stanzas in self.maps.items()
        }
        bgp = None
        if self.bgp:
            bgp = Bgp(
                self.bgp[0], self.bgp[1], self.router_id, self._neighbours(), tuple(self.networks), tuple(self.redistributes),
                tuple(self.aggregates), self.requires_policy, self.import_check, tuple(self.bgp_settings),
            )  # fmt: skip
        return Config(
            self.file, self.hostname, lists, maps,
            {name: Interface(name, line, tuple(settings)) for name, (line, settings) in self.interfaces.items()},
            bgp, self.ospf, tuple(self.statics), tuple(self.bfd_peers),
            {name: tuple(settings) for name, settings in self.profiles.items()}, tuple(self.settings),
            {name: tuple(settings) for name, settings in self.communities.items()}, end,
        )  # fmt: skip

    def _neighbours(self) -> dict[str, Neighbour]:
        found = {}
        for name, peer in self.peers.items():
            if peer.is_group:
                continue
            group = self.peers[peer.group] if peer.group else _Group(peer.line)
            families = (peer.families | group.families | ({4} if self.default4 else set())) - peer.off
            found[name] = Neighbour(
                name, peer.remote_as or group.remote_as, peer.line, {**group.settings, **peer.settings},
                {**group.policies, **peer.policies}, {**group.filters, **peer.filters}, frozenset(families),
                {**group.options, **peer.options},
            )  # fmt: skip
        return found


def interval_is_interface(word: str) -> bool:
    """Whether a word of a static route can be an interface's name."""
    return bool(re.match(r"^[a-z][a-z0-9.-]{0,14}$", word))


def _origin(family: int, what: str, rest: Sequence[str], number: int) -> Origin:
    """A `redistribute` with its options."""
    words = list(rest)
    policy = ""
    metric: int | None = None
    while words:
        word = words.pop(0)
        if word == "route-map" and words:
            policy = words.pop(0)
        elif word == "metric" and words:
            metric = int(words.pop(0))
        elif word == "metric-type" and words[:1] == ["2"]:
            words.pop(0)
        else:
            raise _Unknown(number, f"{word!r} of a redistribution")
    return Origin(family, what, policy, number, metric)
