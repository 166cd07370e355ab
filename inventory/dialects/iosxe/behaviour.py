"""What IOS-XE does with commands in its configuration terminal, after Cisco's IOS-XE 17 command references.

No device was asked: docs/dialects.md names what stands on a page and what does not.
"""

from __future__ import annotations

from inventory.console import Behaviour, Effect
from inventory.dialects.terminal import names, sets, switch, takes

_KEYS = (
    Effect("", r"crypto ikev2 proposal \S+", enters="ikev2"),
    Effect("", r"no crypto ikev2 proposal (\S+)", writes="", drops=r"crypto ikev2 proposal \1", idle=r"proposal \1"),
    *(effect for words in ("encryption", "integrity", "group") for effect in sets("ikev2", words, r"\S+")),
    Effect("", r"crypto ikev2 policy \S+", enters="ikev2 policy"),
    Effect("", r"no crypto ikev2 policy (\S+)", writes="", drops=r"crypto ikev2 policy \1"),
    Effect("ikev2 policy", r"proposal (\S+)", needs=(r"crypto ikev2 proposal \1",)),
    takes("ikev2 policy", r"no proposal (\S+)", r"proposal \1"),
    *(
        effect
        for mode in ("ikev2 policy", "ikev2 profile")
        for effect in (
            Effect(mode, r"match fvrf (\S+)", erases=("match fvrf",), needs=(r"vrf definition \1",)),
            takes(mode, r"no match fvrf (\S+)", "match fvrf"),
        )
    ),
    Effect("", r"crypto ikev2 keyring \S+", enters="ring"),
    Effect("", r"no crypto ikev2 keyring (\S+)", writes="", drops=r"crypto ikev2 keyring \1", idle=r"keyring local \1"),
    Effect("ring", r"peer \S+", enters="ring peer"),
    Effect("ring", r"no peer (\S+)", writes="", drops=r"peer \1"),
    *sets("ring peer", "address", r"\S+"),
    Effect("", r"crypto ikev2 profile \S+", enters="ikev2 profile"),
    Effect(
        "",
        r"no crypto ikev2 profile (\S+)",
        writes="",
        drops=r"crypto ikev2 profile \1",
        idle=r"set ikev2-profile \1",
    ),
    *switch("ikev2 profile", r"match identity remote address (\S+) (\S+)"),
    *sets("ikev2 profile", "authentication (remote|local)", r"\S+"),
    *names("ikev2 profile", "keyring local", r"crypto ikev2 keyring \1"),
    Effect(
        "",
        r"crypto ipsec transform-set (\S+) .+",
        enters="esp",
        instead=r"crypto ipsec transform-set \1 .*",
    ),
    Effect(
        "",
        r"no crypto ipsec transform-set (\S+)",
        writes="",
        drops=r"crypto ipsec transform-set \1 .*",
        idle=r"set transform-set \1",
    ),
    *sets("esp", "mode", r"\S+"),
    Effect("", r"crypto ipsec profile \S+", enters="profile"),
    Effect(
        "",
        r"no crypto ipsec profile (\S+)",
        writes="",
        drops=r"crypto ipsec profile \1",
        idle=r"tunnel protection ipsec profile \1",
    ),
    *(
        effect
        for words, what in (("transform-set", "crypto ipsec transform-set"), ("ikev2-profile", "crypto ikev2 profile"))
        for effect in names("profile", f"set {words}", rf"{what} \1")
    ),
)

_SWITCH = (
    *switch("", "ip routing"),
    *sets("", "spanning-tree mode", r"\S+"),
    *switch("", "spanning-tree extend system-id"),
    Effect("", r"spanning-tree vlan (\d+) priority \d+", erases=(r"spanning-tree vlan \1 priority",)),
    takes("", r"no spanning-tree vlan (\d+) priority", r"spanning-tree vlan \1 priority"),
    Effect("", r"vlan \d+", enters="vlan"),
    # The ports in it are down until they are put elsewhere; here that is refused.
    Effect("", r"no vlan (\d+)", writes="", drops=r"vlan \1", idle=r"interface Vlan\1|switchport access vlan \1"),
    *sets("vlan", "name", r"\S+"),
    Effect("", r"no interface (Vlan\d+)", writes="", drops=r"interface \1"),
    Effect(
        "",
        r"no interface Port-channel(\d+)",
        writes="",
        drops=r"interface Port-channel\1",
        idle=r"channel-group \1 mode \S+",
    ),
    *sets("interface", "switchport mode", r"\S+"),
    *switch("interface", "switchport nonegotiate"),
    *sets("interface", "switchport access vlan", r"\d+"),
    *sets("interface", "switchport trunk native vlan", r"\d+"),
    *sets("interface", "switchport trunk allowed vlan", r"[\d,-]+|none"),
    Effect("interface", "spanning-tree portfast( trunk)?", erases=("spanning-tree portfast",)),
    takes("interface", "no spanning-tree portfast", "spanning-tree portfast"),
    Effect("interface", "spanning-tree bpduguard enable"),
    takes("interface", "no spanning-tree bpduguard", "spanning-tree bpduguard"),
    # Of one group at a time.
    Effect(
        "interface",
        r"channel-group (\d+) mode \S+",
        passed=("channel-group", ""),
        needs=(r"interface Port-channel\1",),
    ),
    takes("interface", "no channel-group", "channel-group"),
)

_PAIR = (
    Effect("", "parameter-map type inspect global", enters="global"),
    *switch("global", "redundancy"),
    Effect("", "redundancy", enters="redundancy"),
    Effect("redundancy", "application redundancy", enters="groups"),
    Effect("groups", r"group \d+", enters="group"),
    Effect("groups", r"no group (\d+)", writes="", drops=r"group \1", idle=r"redundancy group \1 .*"),
    *sets("group", "name", r"\S+"),
    *switch("group", "preempt"),
    *sets("group", "priority"),
    Effect("group", r"control \S+ protocol \d+", passed=("control", "")),
    takes("group", r"no control \S+ protocol \d+", "control"),
    Effect("group", r"data \S+", passed=("data", "")),
    takes("group", r"no data \S+", "data"),
    Effect("group", r"track (\d+) decrement \d+", erases=(r"track \1",)),
    takes("group", r"no track (\d+)", r"track \1"),
    Effect("", r"track (\d+) interface \S+ line-protocol", passed=(r"track \1", "")),
    Effect("", r"track \d+ list boolean or", enters="list"),
    Effect(
        "",
        r"no track (\d+)",
        writes="",
        erases=(r"track \1",),
        drops=r"track \1 list boolean or",
        idle=r"track \1 decrement \d+|object \1",
    ),
    *switch("list", r"object (\d+)"),
    Effect("interface", r"redundancy rii \d+", passed=("redundancy rii", "")),
    takes("interface", "no redundancy rii", "redundancy rii"),
    Effect(
        "interface",
        r"redundancy group (\d+) (ip|ipv6) (\S+) exclusive( decrement \d+)?",
        erases=(r"redundancy group \1 \2 \3",),
        needs=("redundancy rii",),
    ),
    takes("interface", r"no redundancy group (\d+) (ip|ipv6) (\S+)", r"redundancy group \1 \2 \3"),
)

_TOP = (
    Effect("", r"hostname \S+", erases=("hostname",)),
    takes("", "no hostname", "hostname"),
    Effect("", r"vrf definition \S+", enters="vrf"),
    Effect(
        "",
        r"no vrf definition (\S+)",
        writes="",
        drops=r"vrf definition \1",
        idle=r"(vrf forwarding|match fvrf|tunnel vrf) \1",
    ),
    Effect("vrf", r"address-family (ipv4|ipv6)", enters="vrf family"),
    Effect("vrf", r"no address-family (ipv4|ipv6)", writes="", drops=r"address-family \1"),
    *switch("", "aaa new-model"),
    *sets("", r"aaa (authentication|authorization) (\S+) (\S+)", needs=("aaa new-model",)),
    *sets("", "aaa session-id"),
    *sets("", "ip domain name", r"\S+"),
    *switch("", r"ip name-server (\S+)"),
    *switch("", "ipv6 unicast-routing"),
    Effect("", r"parser view \S+", enters="view", needs=("aaa new-model",)),
    Effect("", r"no parser view (\S+)", writes="", drops=r"parser view \1"),
    *switch("view", r"commands (.+)"),
    # Sections of the firewall. What is in use stays.
    Effect(
        "", r"class-map type inspect match-(?:all|any) (\S+)", enters="class", alone=r"class-map type inspect \S+ \1"
    ),
    Effect(
        "",
        r"no class-map type inspect (match-all|match-any) (\S+)",
        writes="",
        drops=r"class-map type inspect \1 \2",
        idle=r"class type inspect \2",
    ),
    *sets("class", "description"),
    *switch("class", r"match access-group name (\S+)"),
    *switch("class", r"match protocol (\S+)"),
    Effect("", r"policy-map type inspect \S+", enters="policy"),
    Effect(
        "",
        r"no policy-map type inspect (\S+)",
        writes="",
        drops=r"policy-map type inspect \1",
        idle=r"service-policy type inspect \1",
    ),
    Effect(
        "policy",
        r"class type inspect (\S+)",
        enters="action",
        needs=(r"class-map type inspect match-all \1", r"class-map type inspect match-any \1"),
    ),
    Effect("policy", r"no class type inspect (\S+)", writes="", drops=r"class type inspect \1"),
    Effect("policy", "class class-default", enters="action"),
    Effect("", r"zone security \S+", enters="zone"),
    Effect(
        "",
        r"no zone security (\S+)",
        writes="",
        drops=r"zone security \1",
        idle=r"zone-member security \1|zone-pair security .*(source|destination) \1( .*)?",
    ),
    *sets("zone", "description"),
    Effect(
        "", r"zone-pair security (\S+) source \S+ destination \S+", enters="pair", alone=r"zone-pair security \1 .*"
    ),
    Effect("", r"no zone-pair security (\S+)", writes="", drops=r"zone-pair security \1 .*"),
    Effect(
        "pair",
        r"service-policy type inspect (\S+)",
        needs=(r"policy-map type inspect \1",),
        passed=("service-policy type inspect", ""),
    ),
    takes("pair", r"no service-policy type inspect (\S+)", r"service-policy type inspect \1"),
    # Everything else
    Effect("", r"interface \S+", enters="interface"),
    Effect("", r"no interface (\S+[.]\d+|Loopback\d+|Tunnel\d+)", writes="", drops=r"interface \1"),
    Effect("", r"router ospf \d+", enters="ospf"),
    Effect("", r"no router ospf (\d+)", writes="", drops=r"router ospf \1"),
    Effect("", r"ipv6 router ospf \d+", enters="ospf"),
    Effect("", r"no ipv6 router ospf (\d+)", writes="", drops=r"ipv6 router ospf \1"),
    Effect("", r"router bgp \d+", enters="bgp", alone=r"router bgp \d+"),
    Effect("", r"no router bgp (\d+)", writes="", drops=r"router bgp \1"),
    Effect("", r"no ip http (server|secure-server)"),
    takes("", r"ip http (server|secure-server)", r"no ip http \1"),
    *sets("", "ip ssh version", r"\d"),
    Effect("", r"ip route (\S+) (\S+) (\S+)( \d+)?", erases=(r"ip route \1 \2 \3",)),
    takes("", r"no ip route (\S+) (\S+) (\S+)( \d+)?", r"ip route \1 \2 \3", needs=(r"ip route \1 \2 \3",)),
    Effect("", r"ipv6 route (\S+) (\S+)( \d+)?", erases=(r"ipv6 route \1 \2",)),
    takes("", r"no ipv6 route (\S+) (\S+)( \d+)?", r"ipv6 route \1 \2", needs=(r"ipv6 route \1 \2",)),
    Effect("", r"ip access-list (?:standard|extended) \S+", enters="entries"),
    Effect(
        "",
        r"no ip access-list (standard|extended) (\S+)",
        writes="",
        drops=r"ip access-list \1 \2",
        idle=r"(match access-group name|access-class) \2( .*)?",
    ),
    Effect("", r"ipv6 access-list \S+", enters="entries"),
    Effect(
        "",
        r"no ipv6 access-list (\S+)",
        writes="",
        drops=r"ipv6 access-list \1",
        idle=r"(match access-group name|ipv6 access-class) \1( .*)?",
    ),
    # A number that is taken is refused, here: passed over, so that the outcome shows it.
    Effect("entries", r"(\d+) (.+)", passed=(r"\1", "")),
    Effect("entries", r"sequence (\d+) (.+)", passed=(r"sequence \1", "")),
    takes("entries", r"no (\d+)", r"\1", needs=(r"\1",)),
    takes("entries", r"no sequence (\d+)", r"sequence \1", needs=(r"sequence \1",)),
    *(
        effect
        for family in ("ip", "ipv6")
        for effect in (
            Effect("", rf"{family} prefix-list (\S+) seq (\d+) (.+)", passed=(rf"{family} prefix-list \1 seq \2", "")),
            takes("", rf"no {family} prefix-list (\S+) seq (\d+)( .*)?", rf"{family} prefix-list \1 seq \2"),
        )
    ),
    Effect("", r"route-map (\S+) (?:permit|deny) (\d+)", enters="route-map", instead=r"route-map \1 (permit|deny) \2"),
    Effect("", r"no route-map (\S+) (?:permit|deny) (\d+)", writes="", drops=r"route-map \1 (permit|deny) \2"),
    # A second list stands beside the first.
    *switch("route-map", r"match (ip|ipv6) address prefix-list (\S+)"),
    *sets("route-map", "set (local-preference|metric)", r"\d+"),
    *sets("route-map", "description"),
    *sets("", "logging (trap|source-interface)", r"\S+"),
    Effect("", r"logging tls-profile \S+", enters="tls"),
    Effect("", r"no logging tls-profile (\S+)", writes="", drops=r"logging tls-profile \1"),
    *sets("", r"logging host ipv6 (\S+)", ".*"),
    *sets("", r"logging host ([0-9.]+)", ".*"),
    Effect("", r"logging host ipv6 (\S+)", erases=(r"logging host ipv6 \1",)),
    Effect("", r"logging host ([0-9.]+)", erases=(r"logging host \1",)),
    Effect("", r"snmp-server group (\S+) v3 priv .+", erases=(r"snmp-server group \1",)),
    takes("", r"no snmp-server group (\S+) v3 priv", r"snmp-server group \1"),
    *sets("", r"snmp-server view (\S+) (\S+)", "included|excluded"),
    Effect("", r"line (?:con|vty) \d+( \d+)?", enters="line"),
    Effect("line", r"access-class \S+ in( vrf-also)?", erases=("access-class",)),
    takes("line", r"no access-class (\S+) in( vrf-also)?", r"access-class \1"),
    Effect("line", r"ipv6 access-class \S+ in", erases=("ipv6 access-class",)),
    takes("line", r"no ipv6 access-class (\S+) in", r"ipv6 access-class \1"),
    *sets("line", "exec-timeout"),
    *sets("line", "transport input"),
    *sets("", r"ntp server (\S+)", ".*"),
    Effect("", r"ntp server (\S+)", erases=(r"ntp server \1",)),
)

_ACTION = (
    *(Effect("action", words, erases=("inspect", "pass", "drop")) for words in ("inspect", "pass", "drop", "drop log")),
    *(takes("action", f"no {words}", words.split()[0]) for words in ("inspect", "pass", "drop", "drop log")),
)

_INTERFACE = (
    *sets("interface", "description"),
    *sets("interface", "encapsulation dot1Q", r"\d+"),
    # It takes the addresses with it.
    Effect(
        "interface",
        r"vrf forwarding (\S+)",
        erases=("vrf forwarding", "ip address", "ipv6 address"),
        needs=(r"vrf definition \1",),
    ),
    Effect("interface", "no vrf forwarding", writes="", erases=("vrf forwarding", "ip address", "ipv6 address")),
    *sets("interface", "(ip|ipv6) mtu", r"\d+"),
    *sets("interface", "ip tcp adjust-mss", r"\d+"),
    *sets("interface", "tunnel (source|destination)", r"\S+"),
    *names("interface", "tunnel vrf", r"vrf definition \1"),
    Effect(
        "interface",
        r"tunnel protection ipsec profile (\S+)",
        erases=("tunnel protection",),
        needs=(r"crypto ipsec profile \1",),
    ),
    takes("interface", "no tunnel protection ipsec profile", "tunnel protection"),
    Effect(
        "interface",
        r"ip address (\S+ \S+|dhcp)",
        erases=("ip address",),
        spares=".* secondary",
        idle=r"ip address \1 secondary",
    ),
    Effect("interface", r"ip address (\S+ \S+) secondary", needs=("ip address",), idle=r"ip address \1"),
    takes("interface", r"no ip address (\S+ \S+) secondary", r"ip address \1 secondary"),
    takes("interface", "no ip address", "ip address"),
    *switch("interface", r"ipv6 address (\S+)"),
    *switch("interface", "ipv6 nd ra suppress all"),
    Effect("interface", "no ip (redirects|proxy-arp|unreachables)"),
    takes("interface", "ip (redirects|proxy-arp|unreachables)", r"no ip \1"),
    Effect(
        "interface", r"zone-member security (\S+)", needs=(r"zone security \1",), passed=("zone-member security", "")
    ),
    takes("interface", r"no zone-member security (\S+)", r"zone-member security \1"),
    *sets("interface", "bfd interval"),
    *switch("interface", "shutdown"),
    *(
        effect
        for words in ("ip ospf", "ipv6 ospf")
        for effect in (
            *sets("interface", f"{words} (cost|dead-interval|hello-interval|network)", r"\S+"),
            *switch("interface", f"{words} bfd"),
            # An area has to go before another one comes.
            Effect("interface", rf"{words} (\d+) area \S+", passed=(rf"{words} \1 area", "")),
            takes("interface", rf"no {words} (\d+) area( .*)?", rf"{words} \1 area"),
        )
    ),
)

_OSPF = (
    *sets("ospf", "router-id", r"\S+"),
    *sets("ospf", "timers throttle spf"),
    Effect("ospf", r"redistribute bgp (\d+)( .*)?", passed=(r"redistribute bgp \1", "")),
    takes("ospf", r"no redistribute bgp (\d+)", r"redistribute bgp \1"),
    *switch("ospf", r"passive-interface (\S+)"),
    *sets("ospf", "distance ospf external", r"\d+"),
)

PEER = (r"neighbor \1 remote-as",)

_BGP = (
    *sets("bgp", "bgp router-id", r"\S+"),
    *switch("bgp", "bgp log-neighbor-changes"),
    Effect("bgp", "no bgp default ipv4-unicast"),
    takes("bgp", "bgp default ipv4-unicast", "no bgp default ipv4-unicast"),
    *sets("bgp", "timers bgp"),
    Effect("bgp", r"neighbor (\S+) remote-as \d+", passed=(r"neighbor \1 remote-as", "")),
    takes("bgp", r"no neighbor (\S+)", r"neighbor \1", below=True),
    *switch("bgp", r"neighbor (\S+) fall-over bfd", needs=PEER),
    *switch("bgp", r"neighbor (\S+) shutdown", needs=PEER),
    *sets("bgp", r"neighbor (\S+) (description|update-source|timers)", needs=PEER),
    Effect("bgp", "address-family (ipv4|ipv6)( unicast)?", enters="family"),
    *switch("family", "bgp redistribute-internal"),
    *switch("family", r"network (\S+) mask (\S+)"),
    *switch("family", r"network (\S+)"),
    Effect("family", r"aggregate-address (\S*:\S*)( summary-only)?", erases=(r"aggregate-address \1",)),
    takes("family", r"no aggregate-address (\S*:\S*)", r"aggregate-address \1"),
    Effect("family", r"aggregate-address (\S+) (\d\S+)( summary-only)?", erases=(r"aggregate-address \1 \2",)),
    takes("family", r"no aggregate-address (\S+) (\d\S+)", r"aggregate-address \1 \2"),
    # A second line adds to the first.
    Effect("family", r"redistribute (\S+)( \d+)?( .*)?", passed=(r"redistribute \1", "")),
    takes("family", r"no redistribute (\S+)( \d+)?", r"redistribute \1"),
    *switch("family", r"neighbor (\S+) (activate|next-hop-self)", needs=PEER),
    *(
        effect
        for way, other in (("in", "out"), ("out", "in"))
        for effect in (
            Effect(
                "family",
                rf"neighbor (\S+) route-map \S+ {way}",
                erases=(r"neighbor \1 route-map",),
                spares=f" {other}$",
                needs=PEER,
            ),
            takes("family", rf"no neighbor (\S+) route-map \S+ {way}", r"neighbor \1 route-map", spares=f" {other}$"),
        )
    ),
)

BEHAVIOUR = Behaviour(
    effects=(*_KEYS, *_SWITCH, *_PAIR, *_TOP, *_ACTION, *_INTERFACE, *_OSPF, *_BGP),
    leaves=frozenset({"exit", "exit-address-family"}),
    vanishing=frozenset({"interface", "family", "line", "global", "redundancy", "groups"}),
)
