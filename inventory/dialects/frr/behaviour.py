"""What FRR 8.4.4 does with commands in its configuration terminal.

Each effect was seen on a running router: `tests/playbooks/test_push.py` puts the same commands to it and to this.
"""

from __future__ import annotations

from inventory.console import Behaviour, Effect
from inventory.dialects.terminal import sets, switch, takes

NEIGHBOUR = (r"neighbor \1 remote-as", r"neighbor \1 peer-group")

_TOP = (
    Effect("", r"hostname \S+", erases=("hostname",)),
    # It keeps the name.
    Effect("", "no hostname", writes=""),
    *sets("", "log (syslog|file|stdout|timestamp|facility)", ".*"),
    Effect("", "log (syslog|stdout)"),
    *switch("", "service (integrated-vtysh-config|password-encryption)"),
    Effect("", "debug .+"),
    takes("", "no debug (.+)", r"debug \1"),
    takes("", "ip forwarding", "no ip forwarding"),
    Effect("", "no ip forwarding"),
    takes("", "ipv6 forwarding", "no ipv6 forwarding"),
    Effect("", "no ipv6 forwarding"),
    Effect(
        "",
        "access-list (\\S+) seq (\\d+) (.+)",
        erases=(r"access-list \1 seq \2",),
        passed=(r"access-list \1 seq", r" \3"),
    ),
    takes("", "no access-list (\\S+) seq (\\d+)( .*)?", r"access-list \1 seq \2"),
    Effect("", r"bgp as-path access-list (\S+) seq (\d+) .+", erases=(r"bgp as-path access-list \1 seq \2",)),
    takes("", r"no bgp as-path access-list (\S+) seq (\d+) .+", r"bgp as-path access-list \1 seq \2"),
    # The sections.
    Effect("", r"interface \S+", enters="interface"),
    Effect("", r"route-map (\S+) (?:permit|deny) (\d+)", enters="route-map", instead=r"route-map \1 (permit|deny) \2"),
    Effect("", r"no route-map (\S+) (?:permit|deny) (\d+)", writes="", drops=r"route-map \1 (permit|deny) \2"),
    Effect("", r"no route-map (\S+)", writes="", drops=r"route-map \1 .*"),
    Effect("", r"router bgp \d+", enters="bgp", alone=r"router bgp \d+"),
    Effect("", r"no router (bgp \d+|ospf|ospf6)", writes="", drops=r"router \1"),
    Effect("", "router ospf", enters="ospf"),
    Effect("", "router ospf6", enters="ospf"),
    Effect("", "bfd", enters="bfd"),
    Effect("", "line vty", enters="line"),
)

_FAMILY = tuple(
    effect
    for family in ("ip", "ipv6")
    for effect in (
        # A second distance replaces the first; a route that is not there cannot be removed.
        Effect("", rf"{family} route (\S+) (\S+)( .*)?", erases=(rf"{family} route \1 \2",)),
        takes("", rf"no {family} route (\S+) (\S+)( .*)?", rf"{family} route \1 \2", needs=(rf"{family} route \1 \2",)),
        # The same entry under another number is passed over, and the old one of this number stays.
        Effect(
            "",
            rf"{family} prefix-list (\S+) seq (\d+) (.+)",
            erases=(rf"{family} prefix-list \1 seq \2",),
            passed=(rf"{family} prefix-list \1 seq", r" \3"),
        ),
        takes("", rf"no {family} prefix-list (\S+) seq (\d+)( .*)?", rf"{family} prefix-list \1 seq \2"),
        *sets("", rf"{family} prefix-list (\S+) description"),
    )
)

_ROUTE_MAP = (
    *sets("route-map", "description"),
    *sets("route-map", "match (ip|ipv6) (address|next-hop|route-source) prefix-list", r"\S+"),
    *sets("route-map", "match (ip|ipv6) (address|next-hop|route-source)", r"\S+", spares=" prefix-list "),
    *sets("route-map", "match (as-path|interface|metric|tag|peer|source-protocol|local-preference|origin)"),
    *sets("route-map", "set (community|large-community|local-preference|metric|metric-type|origin|tag|weight)"),
    *sets("route-map", "set as-path (prepend|exclude)"),
    *sets("route-map", "set ip next-hop"),
    *sets("route-map", "set ipv6 next-hop (global|local)"),
    *sets("route-map", "call"),
    *sets("route-map", "on-match"),
)

_ON = "allowas-in|as-override|default-originate|next-hop-self|remove-private-AS|route-reflector-client"

_BGP = (
    *sets("bgp", "bgp router-id"),
    Effect("bgp", "no bgp default ipv4-unicast"),
    takes("bgp", "bgp default ipv4-unicast", "no bgp default ipv4-unicast"),
    takes("bgp", "no bgp (.+)", r"bgp \1"),
    Effect("bgp", "bgp .+"),
    *sets("bgp", "timers bgp"),
    # It takes every line of the neighbour, those of the address families included.
    takes("bgp", r"no neighbor (\S+)( remote-as \d+)?", r"neighbor \1", below=True),
    takes("bgp", r"no neighbor (\S+) peer-group", r"neighbor \1", below=True),
    Effect("bgp", r"neighbor (\S+) remote-as \S+", erases=(r"neighbor \1 remote-as",)),
    Effect("bgp", r"neighbor (\S+) peer-group"),
    Effect("bgp", r"neighbor (\S+) peer-group (\S+)", needs=(r"neighbor \2 peer-group",)),
    # A profile brings the session with it, and goes with it.
    Effect("bgp", r"neighbor (\S+) bfd", needs=NEIGHBOUR),
    takes("bgp", r"no neighbor (\S+) bfd", r"neighbor \1 bfd"),
    *sets("bgp", r"neighbor (\S+) bfd profile", needs=(r"neighbor \1 bfd",)),
    *sets("bgp", r"neighbor (\S+) timers connect", needs=NEIGHBOUR),
    *sets("bgp", r"neighbor (\S+) timers", needs=NEIGHBOUR, spares=" connect "),
    *sets(
        "bgp",
        r"neighbor (\S+) (advertisement-interval|description|local-as|password|port|update-source)",
        needs=NEIGHBOUR,
    ),
    *sets("bgp", r"neighbor (\S+) ebgp-multihop", r"\d+", needs=NEIGHBOUR),
    *switch(
        "bgp",
        r"neighbor (\S+) (disable-connected-check|ebgp-multihop|passive|shutdown)",
        needs=NEIGHBOUR,
    ),
    *switch("bgp", r"neighbor (\S+) capability (\S+)", needs=NEIGHBOUR),
    Effect("bgp", "address-family (?:ipv4|ipv6) unicast", enters="family"),
)

_ADDRESSES = (
    Effect("family", r"network (\S+)( .*)?", erases=(r"network \1",)),
    takes("family", r"no network (\S+)( .*)?", r"network \1"),
    Effect("family", r"aggregate-address (\S+)( .*)?", erases=(r"aggregate-address \1",)),
    takes("family", r"no aggregate-address (\S+)( .*)?", r"aggregate-address \1"),
    # A second line is added to the first, so that only the one for a protocol that is not there says what stands then.
    Effect("family", r"redistribute (\S+)( .*)?", passed=(r"redistribute \1", "")),
    takes("family", r"no redistribute (\S+)( .*)?", r"redistribute \1"),
    *switch("family", r"neighbor (\S+) activate", needs=NEIGHBOUR),
    *(
        effect
        for way, other in (("in", "out"), ("out", "in"))
        for effect in (
            Effect(
                "family",
                rf"neighbor (\S+) (route-map|prefix-list) \S+ {way}",
                erases=(r"neighbor \1 \2",),
                spares=f" {other}$",
            ),
            takes(
                "family",
                rf"no neighbor (\S+) (route-map|prefix-list) \S+ {way}",
                r"neighbor \1 \2",
                spares=f" {other}$",
            ),
        )
    ),
    *sets("family", r"neighbor (\S+) (maximum-prefix|weight)", needs=NEIGHBOUR),
    *switch("family", r"neighbor (\S+) soft-reconfiguration (\S+)", needs=NEIGHBOUR),
    Effect("family", rf"neighbor (\S+) ({_ON})( .*)?", erases=(r"neighbor \1 \2",), needs=NEIGHBOUR),
    takes("family", rf"no neighbor (\S+) ({_ON})( .*)?", r"neighbor \1 \2"),
)

_OSPF = (
    *sets("ospf", "ospf router-id"),
    *sets("ospf", "ospf6 router-id"),
    Effect("ospf", "log-adjacency-changes( detail)?", erases=("log-adjacency-changes",)),
    takes("ospf", "no log-adjacency-changes( detail)?", "log-adjacency-changes"),
    *sets("ospf", r"redistribute (\S+)", ".*"),
    Effect("ospf", r"redistribute (\S+)", erases=(r"redistribute \1",)),
    *sets("ospf", "timers throttle (spf|lsa)"),
    *sets("ospf", "timers lsa min-arrival"),
    *sets("ospf", "distance (ospf|ospf6) (external|inter-area|intra-area)"),
)

_INTERFACE = (
    *sets("interface", "description"),
    *switch("interface", "shutdown"),
    *switch("interface", r"ip address (\S+)"),
    *switch("interface", r"ipv6 address (\S+)"),
)

_INTERFACE_OSPF = tuple(
    effect
    for words in ("ip ospf", "ipv6 ospf6")
    for effect in (
        # An area has to go before another one comes.
        Effect("interface", f"{words} area (\\S+)", passed=(f"{words} area", "")),
        takes("interface", f"no {words} area( .*)?", f"{words} area"),
        Effect("interface", f"{words} bfd"),
        takes("interface", f"no {words} bfd", f"{words} bfd"),
        *sets("interface", f"{words} bfd profile", needs=(f"{words} bfd",)),
        *switch("interface", f"{words} passive"),
        *sets(
            "interface",
            f"{words} (cost|dead-interval|hello-interval|network|priority|retransmit-interval|transmit-delay)",
        ),
    )
)

_BFD = (
    Effect("bfd", r"profile \S+", enters="profile"),
    Effect("bfd", r"no profile (\S+)", writes="", drops=r"profile \1"),
    # The three have no `no`; at their default they are not shown.
    takes("profile", "detect-multiplier 3", "detect-multiplier"),
    takes("profile", "receive-interval 300", "receive-interval"),
    takes("profile", "transmit-interval 300", "transmit-interval"),
    *(
        Effect("profile", rf"{words} \d+", erases=(words,))
        for words in ("detect-multiplier", "receive-interval", "transmit-interval")
    ),
    *switch("profile", "echo-mode"),
    *switch("profile", "passive-mode"),
    *sets("line", "access-class"),
    *sets("line", "exec-timeout"),
)

BEHAVIOUR = Behaviour(
    effects=(*_TOP, *_FAMILY, *_ROUTE_MAP, *_BGP, *_ADDRESSES, *_OSPF, *_INTERFACE, *_INTERFACE_OSPF, *_BFD),
    leaves=frozenset({"exit", "exit-address-family"}),
    vanishing=frozenset({"interface", "family", "bfd", "line"}),
)
