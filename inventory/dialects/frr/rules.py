"""How FRR 8.4's lines hang together, as `vtysh` takes them and `show running-config` shows them.

Source: the FRR 8.4 user guide, and what 8.4.4 did with each line (`tests/playbooks/test_push.py` asks it again).
"""

from __future__ import annotations

from inventory.rules import Guard, Rule, Rules

MANAGEMENT = "mgmt0"
"""The interface that reaches the device itself."""

PEER = "neighbour {peer}"

_TOP = (
    Rule("hostname <name>", remove="no hostname"),
    Rule("log {kind} [<value+>]", remove="no log {kind}"),
    Rule("service {what+}"),
    Rule("debug {what+}"),
    # Shown only where it is off.
    Rule("ip forwarding", default="ip forwarding"),
    Rule("no ip forwarding", remove="ip forwarding"),
    Rule("ipv6 forwarding", default="ipv6 forwarding"),
    Rule("no ipv6 forwarding", remove="ipv6 forwarding"),
    # One route a prefix and next hop: another distance is another value of it.
    Rule("ip route {prefix} {via} [<how+>]", remove="no ip route {prefix} {via}"),
    Rule("ipv6 route {prefix} {via} [<how+>]", remove="no ipv6 route {prefix} {via}"),
    *(
        rule
        for family in ("ip", "ipv6")
        for rule in (
            # The same entry under a second number is passed over in silence.
            Rule(
                f"{family} prefix-list {{list}} seq {{seq}} <entry+>",
                remove=f"no {family} prefix-list {{list}} seq {{seq}}",
                gives=(f"{family} prefix-list {{list}}",),
                once=f"{family} prefix-list {{list}} {{entry}}",
            ),
            Rule(
                f"{family} prefix-list {{list}} description <text+>",
                remove=f"no {family} prefix-list {{list}} description",
            ),
        )
    ),
    Rule(
        "access-list {list} seq {seq} <entry+>",
        remove="no access-list {list} seq {seq}",
        gives=("access-list {list}",),
        once="access-list {list} {entry}",
    ),
    Rule("bgp as-path access-list {list} seq {seq} <entry+>", gives=("as-path {list}",)),
    Rule("route-map {map} <action> {seq}", opens="route-map", gives=("route-map {map}",)),
    Rule("interface {interface}", opens="interface", remove=""),
    # One instance: another number cannot be written over it.
    Rule("router bgp <asn>", opens="bgp", over=False, gives=("router bgp",)),
    Rule("router ospf", opens="ospf", gives=("router ospf",)),
    Rule("router ospf6", opens="ospf6", gives=("router ospf6",)),
    Rule("bfd", opens="bfd", remove=""),
    Rule("line vty", opens="line", remove=""),
)

_ROUTE_MAP = tuple(
    Rule(form, at="route-map", uses=uses)
    for form, uses in (
        ("description <text+>", ()),
        ("match ip {what:address|next-hop|route-source} prefix-list <list>", ("ip prefix-list {list}",)),
        ("match ipv6 {what:address|next-hop} prefix-list <list>", ("ipv6 prefix-list {list}",)),
        ("match ip {what:address|next-hop|route-source} <list>", ("access-list {list}",)),
        ("match ipv6 {what:address|next-hop} <list>", ("access-list {list}",)),
        ("match as-path <list>", ("as-path {list}",)),
        ("match {what:interface|metric|tag|peer|source-protocol|local-preference|origin} <value+>", ()),
        ("set as-path {what:prepend|exclude} <value+>", ()),
        ("set ip next-hop <value>", ()),
        ("set ipv6 next-hop {what:global|local} <value>", ()),
        ("set {what:community|large-community|local-preference|metric|metric-type|origin|tag|weight} <value+>", ()),
        ("call <map>", ("route-map {map}",)),
        ("on-match <value+>", ()),
    )
)

_BGP = (
    Rule("bgp router-id <id>", at="bgp"),
    Rule("no bgp default ipv4-unicast", at="bgp", remove="bgp default ipv4-unicast", gives=("activation by name",)),
    Rule("bgp {what+}", at="bgp"),
    Rule("timers bgp <value+>", at="bgp"),
    Rule(
        "neighbor {peer} peer-group",
        at="bgp",
        remove="no neighbor {peer} peer-group",
        gives=(PEER,),
        uses=("activation by name",),
    ),
    Rule(
        "neighbor {peer:[0-9a-f]*[.:][0-9a-f.:]*} remote-as <asn>",
        at="bgp",
        remove="no neighbor {peer}",
        gives=(PEER,),
        uses=("activation by name",),
    ),
    # Of a group.
    Rule("neighbor {peer} remote-as <asn>", at="bgp", of=PEER, remove="no neighbor {peer} remote-as"),
    Rule(
        "neighbor {peer} peer-group <group>",
        at="bgp",
        remove="no neighbor {peer}",
        gives=(PEER,),
        uses=("neighbour {group}",),
    ),
    Rule("neighbor {peer} bfd", at="bgp", of=PEER, gives=("bfd of {peer}",)),
    Rule("neighbor {peer} bfd profile <profile>", at="bgp", of="bfd of {peer}", uses=("bfd profile {profile}",)),
    Rule("neighbor {peer} timers connect <seconds>", at="bgp", of=PEER),
    Rule("neighbor {peer} timers <value+>", at="bgp", of=PEER),
    Rule(
        "neighbor {peer} {what:advertisement-interval|description|ebgp-multihop|local-as|password|port|update-source} <value+>",
        at="bgp",
        of=PEER,
        remove="no neighbor {peer} {what}",
    ),
    Rule(
        "neighbor {peer} {what:disable-connected-check|ebgp-multihop|passive|shutdown}",
        at="bgp",
        of=PEER,
    ),
    Rule("neighbor {peer} capability {what}", at="bgp", of=PEER),
    Rule("address-family {afi} {safi}", at="bgp", opens="family", remove=""),
    Rule("network {prefix} [route-map <map>]", at="family", remove="no network {prefix}", uses=("route-map {map}",)),
    Rule("aggregate-address {prefix} [<how+>]", at="family", remove="no aggregate-address {prefix}"),
    # What a second line says is added to what the first said.
    Rule(
        "redistribute {protocol} [metric <metric>] [route-map <map>]",
        at="family",
        remove="no redistribute {protocol}",
        over=False,
        uses=("route-map {map}",),
    ),
    # Last of all: a neighbour that is on without its policies takes and gives everything.
    Rule("neighbor {peer} activate", at="family", of=PEER, uses=("policy of {peer}",)),
    Rule(
        "neighbor {peer} route-map <map> {way:in|out}",
        at="family",
        of=PEER,
        uses=("route-map {map}",),
        gives=("policy of {peer}",),
    ),
    Rule(
        "neighbor {peer} prefix-list <list> {way:in|out}",
        at="family",
        of=PEER,
        uses=("ip prefix-list {list}", "ipv6 prefix-list {list}"),
        gives=("policy of {peer}",),
    ),
    Rule("neighbor {peer} maximum-prefix <value+>", at="family", of=PEER, gives=("policy of {peer}",)),
    Rule(
        "neighbor {peer} {what:allowas-in|as-override|default-originate|next-hop-self|remove-private-AS|"
        "route-reflector-client|weight} [<value+>]",
        at="family",
        of=PEER,
        remove="no neighbor {peer} {what}",
    ),
    Rule("neighbor {peer} soft-reconfiguration {what}", at="family", of=PEER),
)

_OSPF = tuple(
    rule
    for kind, family in (("ospf", ""), ("ospf6", "6"))
    for rule in (
        Rule(f"ospf{family} router-id <id>", at=kind),
        Rule("log-adjacency-changes [<how>]", at=kind, remove="no log-adjacency-changes"),
        Rule(
            "redistribute {protocol} [metric <metric>] [metric-type <type>] [route-map <map>]",
            at=kind,
            remove="no redistribute {protocol}",
            uses=("route-map {map}",),
        ),
        Rule("timers throttle spf <value+>", at=kind),
        Rule("timers throttle lsa all <value>", at=kind),
        Rule("timers lsa min-arrival <value>", at=kind),
        Rule(f"distance ospf{family} {{routes:external|inter-area|intra-area}} <value>", at=kind),
    )
)

_INTERFACE = (
    Rule("description <text+>", at="interface", remove="no description"),
    Rule("ip address {address}", at="interface"),
    Rule("ipv6 address {address}", at="interface"),
    Rule("shutdown", at="interface"),
    *(
        rule
        for words in ("ip ospf", "ipv6 ospf6")
        for rule in (
            Rule(f"{words} area <area>", at="interface", over=False, uses=("router ospf" + "6" * words.endswith("6"),)),
            Rule(f"{words} bfd", at="interface", gives=(words + " bfd on {interface}",)),
            Rule(
                f"{words} bfd profile <profile>",
                at="interface",
                of=words + " bfd on {interface}",
                uses=("bfd profile {profile}",),
            ),
            Rule(f"{words} passive", at="interface"),
            Rule(
                f"{words} {{what:cost|dead-interval|hello-interval|network|priority|retransmit-interval|transmit-delay}} <value>",
                at="interface",
            ),
        )
    ),
)

# There is no `no` for the three: they are set to their defaults, which are not shown.
_BFD = (
    Rule("profile {profile}", at="bfd", opens="profile", gives=("bfd profile {profile}",)),
    Rule("detect-multiplier <value>", at="profile", default="detect-multiplier 3"),
    Rule("receive-interval <value>", at="profile", default="receive-interval 300"),
    Rule("transmit-interval <value>", at="profile", default="transmit-interval 300"),
    Rule("echo-mode", at="profile"),
    Rule("passive-mode", at="profile"),
    Rule("access-class <list>", at="line", uses=("access-list {list}",)),
    Rule("exec-timeout <value+>", at="line", remove="no exec-timeout"),
)

RULES = Rules(
    name="frr",
    lines=(*_TOP, *_ROUTE_MAP, *_BGP, *_OSPF, *_INTERFACE, *_BFD),
    leaves=(("", "exit"), ("family", "exit-address-family")),
    first=r"frr version ",
    last="end",
    noise=("!", "#", "Building configuration...", "Current configuration:", "frr version "),
    guards=(
        Guard(
            f"^interface {MANAGEMENT}$",
            r"shutdown|(no )?ip(v6)? address .*",
            f"{MANAGEMENT} is the way to the device",
            refused=True,
        ),
        Guard(f"^interface {MANAGEMENT}$", ".*", f"{MANAGEMENT} is the way to the device"),
        Guard(
            "^$", rf"no ip(v6)? route .* {MANAGEMENT}\b.*", f"the route over {MANAGEMENT} is the way back", refused=True
        ),
        Guard("^$", rf"ip(v6)? route .* {MANAGEMENT}\b.*", f"the route over {MANAGEMENT} is the way back"),
    ),
)
