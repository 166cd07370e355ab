"""What Comware 7 does with commands in its system view, after H3C's command references of the SecPath firewalls (V7).

No device was asked: docs/dialects.md names what stands on a page and what does not.
"""

from __future__ import annotations

from functools import partial

from inventory.console import Behaviour, Effect
from inventory.dialects import terminal
from inventory.dialects.terminal import takes

sets, switch = partial(terminal.sets, undo="undo"), partial(terminal.switch, undo="undo")
names = partial(terminal.names, undo="undo")

_KEYS = (
    Effect("", r"ip vpn-instance \S+", enters="instance"),
    Effect(
        "",
        r"undo ip vpn-instance (\S+)",
        writes="",
        drops=r"ip vpn-instance \1",
        idle=r"(ip binding|tunnel) vpn-instance \1|match .* vpn-instance \1|match vrf name \1",
    ),
    Effect("", r"pki domain \S+", enters="pki"),
    Effect("", r"undo pki domain (\S+)", writes="", drops=r"pki domain \1", idle=r"certificate domain \1"),
    Effect("pki", "undo crl check enable"),
    takes("pki", "crl check enable", "undo crl check enable"),
    Effect("", r"ipsec transform-set \S+", enters="esp"),
    Effect("", r"undo ipsec transform-set (\S+)", writes="", drops=r"ipsec transform-set \1", idle=r"transform-set \1"),
    *sets("esp", "encapsulation-mode", r"\S+"),
    *sets("esp", "esp (authentication-algorithm|encryption-algorithm)", r"\S+"),
    Effect("", r"ike proposal \d+", enters="ike"),
    Effect("", r"undo ike proposal (\d+)", writes="", drops=r"ike proposal \1", idle=r"proposal \1"),
    *(
        effect
        for words in ("authentication-method", "encryption-algorithm", "authentication-algorithm", "dh")
        for effect in sets("ike", words, r"\S+")
    ),
    Effect("", r"ikev2 proposal \S+", enters="ikev2"),
    Effect("", r"undo ikev2 proposal (\S+)", writes="", drops=r"ikev2 proposal \1", idle=r"proposal \1"),
    *(effect for words in ("encryption", "integrity", "dh", "prf") for effect in sets("ikev2", words, r"\S+")),
    Effect("", r"ikev2 policy \S+", enters="ikev2 policy"),
    Effect("", r"undo ikev2 policy (\S+)", writes="", drops=r"ikev2 policy \1"),
    Effect("ikev2 policy", r"proposal (\S+)", needs=(r"ikev2 proposal \1",)),
    takes("ikev2 policy", r"undo proposal (\S+)", r"proposal \1"),
    *(
        effect
        for mode in ("ikev2 policy", "ikev2 profile")
        for effect in (
            Effect(mode, r"match vrf name (\S+)", erases=("match vrf",), needs=(r"ip vpn-instance \1",)),
            takes(mode, "undo match vrf", "match vrf"),
        )
    ),
    Effect("", r"ike profile \S+", enters="ike profile"),
    Effect("", r"undo ike profile (\S+)", writes="", drops=r"ike profile \1", idle=r"ike-profile \1"),
    Effect("ike profile", r"certificate domain (\S+)", needs=(r"pki domain \1",)),
    takes("ike profile", r"undo certificate domain (\S+)", r"certificate domain \1"),
    *sets("ike profile", "exchange-mode", r"\S+"),
    *sets("ike profile", "local-identity", r"address \S+"),
    Effect(
        "ike profile",
        r"match remote identity address \S+ \S+ vpn-instance (\S+)",
        needs=(r"ip vpn-instance \1",),
    ),
    takes("ike profile", r"undo (match remote identity address .+)", r"\1"),
    *names("ike profile", "proposal", r"ike proposal \1", r"\d+"),
    Effect("", r"ikev2 keychain \S+", enters="chain"),
    Effect("", r"undo ikev2 keychain (\S+)", writes="", drops=r"ikev2 keychain \1", idle=r"keychain \1"),
    Effect("chain", r"peer \S+", enters="chain peer"),
    Effect("chain", r"undo peer (\S+)", writes="", drops=r"peer \1"),
    Effect("chain peer", r"address \S+ \S+", erases=("address",)),
    takes("chain peer", "undo address", "address"),
    Effect("", r"ikev2 profile \S+", enters="ikev2 profile"),
    Effect("", r"undo ikev2 profile (\S+)", writes="", drops=r"ikev2 profile \1", idle=r"ikev2-profile \1"),
    *sets("ikev2 profile", "authentication-method (local|remote)", r"\S+"),
    *names("ikev2 profile", "keychain", r"ikev2 keychain \1"),
    *sets("ikev2 profile", "identity local", r"address \S+"),
    Effect("ikev2 profile", r"match remote identity address \S+ \S+"),
    takes("ikev2 profile", r"undo (match remote identity address .+)", r"\1"),
    Effect("", r"ipsec profile \S+ isakmp", enters="profile"),
    Effect(
        "",
        r"undo ipsec profile (\S+)",
        writes="",
        drops=r"ipsec profile \1 isakmp",
        idle=r"tunnel protection ipsec profile \1",
    ),
    *(
        effect
        for words, what in (
            ("transform-set", "ipsec transform-set"),
            ("ike-profile", "ike profile"),
            ("ikev2-profile", "ikev2 profile"),
        )
        for effect in names("profile", words, rf"{what} \1")
    ),
)

TRUNK = ("port link-type trunk",)

_SWITCH = (
    *sets("", "stp mode", r"\S+"),
    *sets("", "stp instance 0 priority", r"\d+"),
    *switch("", "stp bpdu-protection"),
    *switch("", "stp global enable"),
    Effect("", r"vlan \d+", enters="vlan"),
    Effect(
        "",
        r"undo vlan (\d+)",
        writes="",
        drops=r"vlan \1",
        idle=r"interface Vlan-interface\1|port (access|trunk pvid|trunk permit) vlan \1",
    ),
    *sets("vlan", "name", r"\S+"),
    Effect("", r"interface Vlan-interface(\d+)", enters="interface", needs=(r"vlan \1",)),
    Effect("", r"undo interface (Vlan-interface\d+)", writes="", drops=r"interface \1"),
    Effect(
        "",
        r"undo interface Bridge-Aggregation(\d+)",
        writes="",
        drops=r"interface Bridge-Aggregation\1",
        idle=r"port link-aggregation group \1",
    ),
    Effect(
        "interface",
        r"port access vlan (\d+)",
        erases=("port access vlan",),
        needs=(r"vlan \1",),
        passed=("port link-type trunk", ""),
    ),
    takes("interface", "undo port access vlan", "port access vlan"),
    # What belongs to a kind of port goes with it.
    Effect("interface", "port link-type trunk", erases=("port access",)),
    Effect("interface", "undo port link-type", writes="", erases=("port link-type", "port trunk", "undo port trunk")),
    Effect("interface", r"port trunk pvid vlan \d+", erases=("port trunk pvid vlan",), needs=TRUNK),
    takes("interface", "undo port trunk pvid", "port trunk pvid vlan"),
    takes("interface", "port trunk permit vlan 1", "undo port trunk permit vlan 1", needs=TRUNK),
    Effect("interface", "undo port trunk permit vlan 1", needs=TRUNK),
    *switch("interface", r"port trunk permit vlan (\d+)", needs=TRUNK),
    *switch("interface", "stp edged-port"),
    *sets("interface", "link-aggregation mode", "dynamic"),
    *names("interface", "port link-aggregation group", r"interface Bridge-Aggregation\1", r"\d+"),
)

_PAIR = (
    Effect("", "remote-backup group", enters="pair"),
    Effect("", "undo remote-backup group", writes="", drops="remote-backup group"),
    Effect("pair", r"data-channel interface \S+", erases=("data-channel",)),
    takes("pair", "undo data-channel", "data-channel"),
    *sets("pair", "(local-ip|remote-ip|device-role)", r"\S+"),
    *switch("pair", "hot-backup enable"),
    Effect("pair", "undo configuration auto-sync enable"),
    takes("pair", "configuration auto-sync enable", "undo configuration auto-sync enable"),
    Effect("pair", r"adjust-cost (ospf|ospfv3) enable absolute( \d+)?", erases=(r"adjust-cost \1 enable",)),
    takes("pair", r"undo adjust-cost (ospf|ospfv3) enable", r"adjust-cost \1 enable"),
    *switch("pair", r"track interface (\S+)"),
    Effect(
        "interface",
        r"vrrp vrid (\d+) virtual-ip (\S+) (?:active|standby)",
        needs=("ip address",),
        passed=(r"vrrp vrid \1 virtual-ip \2", ""),
    ),
    takes("interface", r"undo vrrp vrid (\d+) virtual-ip (\S+)", r"vrrp vrid \1 virtual-ip \2"),
    Effect(
        "interface",
        r"vrrp ipv6 vrid (\d+) virtual-ip \S+ link-local (?:active|standby)",
        passed=(r"vrrp ipv6 vrid \1", ""),
    ),
    # The virtual router goes with it.
    takes("interface", r"undo vrrp ipv6 vrid (\d+) virtual-ip fe80:\S+", r"vrrp ipv6 vrid \1"),
    Effect(
        "interface",
        r"vrrp ipv6 vrid (\d+) virtual-ip (\S+) (?:active|standby)",
        needs=(r"vrrp ipv6 vrid \1",),
        passed=(r"vrrp ipv6 vrid \1 virtual-ip \2", ""),
    ),
    takes("interface", r"undo vrrp ipv6 vrid (\d+) virtual-ip (\S+)", r"vrrp ipv6 vrid \1 virtual-ip \2"),
    Effect("interface", r"ipv6 address \S+ link-local", passed=("ipv6 address", "link-local")),
    takes("interface", r"undo ipv6 address (\S+) link-local", r"ipv6 address \1 link-local"),
)

_TOP = (
    Effect("", r"sysname \S+", erases=("sysname",)),
    takes("", "undo sysname", "sysname"),
    *sets("", "session state-machine mode", "strict|loose"),
    *switch("", "security-zone intra-zone default permit"),
    # Off as delivered, and not shown.
    takes("", "telnet server disable", "telnet server enable"),
    *switch("", r"dns domain (\S+)"),
    *switch("", r"dns server (\S+)"),
    *switch("", r"ipv6 dns server (\S+)"),
    Effect("", r"object-group (?:ip|ipv6) address \S+", enters="group"),
    Effect(
        "",
        r"undo object-group (ip|ipv6) address (\S+)",
        writes="",
        drops=r"object-group \1 address \2",
        idle=r"(source|destination)-ip \2",
    ),
    # The object with this number is written over; the same one under a second number is refused.
    Effect("group", r"(\d+) network (.+)", erases=(r"\1 network",)),
    takes("group", r"undo (\d+)", r"\1", needs=(r"\1",)),
    *sets("group", "description"),
    Effect("", r"interface \S+( mode gre)?", enters="interface"),
    Effect("", r"undo interface (\S+[.]\d+|LoopBack\d+|Tunnel\d+)", writes="", drops=r"interface \1( mode gre)?"),
    Effect("", r"security-zone name (?:Local|Trust|DMZ|Untrust|Management)", enters="factory zone"),
    Effect("", r"security-zone name \S+", enters="zone"),
    Effect(
        "",
        r"undo security-zone name (\S+)",
        writes="",
        drops=r"security-zone name \1",
        idle=r"(source|destination)-zone \1",
    ),
    *switch("zone", r"import interface (\S+)"),
    *switch("factory zone", r"import interface (\S+)"),
    Effect("", r"ospf (\d+) router-id \S+", enters="ospf", instead=r"ospf \1 .*"),
    Effect("", r"undo ospf (\d+)", writes="", drops=r"ospf \1 .*"),
    Effect("", r"ospfv3 \d+", enters="ospf"),
    Effect("", r"undo ospfv3 (\d+)", writes="", drops=r"ospfv3 \1"),
    Effect("", r"bgp \d+", enters="bgp", alone=r"bgp \d+"),
    Effect("", "undo bgp", writes="", drops=r"bgp \d+"),
    *(
        effect
        for family in ("ip", "ipv6")
        for effect in (
            # An index that is taken keeps what it has.
            Effect(
                "", rf"{family} prefix-list (\S+) index (\d+) .+", passed=(rf"{family} prefix-list \1 index \2", "")
            ),
            takes("", rf"undo {family} prefix-list (\S+) index (\d+)", rf"{family} prefix-list \1 index \2"),
            *sets("route-policy", f"if-match {family} address prefix-list", r"\S+"),
            Effect("", rf"{family} route-static (\S+) (\S+) (\S+)( .*)?", erases=(rf"{family} route-static \1 \2 \3",)),
            takes(
                "",
                rf"undo {family} route-static (\S+) (\S+) (\S+)",
                rf"{family} route-static \1 \2 \3",
                needs=(rf"{family} route-static \1 \2 \3",),
            ),
        )
    ),
    Effect(
        "",
        r"route-policy (\S+) (?:permit|deny) node (\d+)",
        enters="route-policy",
        instead=r"route-policy \1 (permit|deny) node \2",
    ),
    Effect(
        "",
        r"undo route-policy (\S+)(?: permit| deny)? node (\d+)",
        writes="",
        drops=r"route-policy \1 (permit|deny) node \2",
    ),
    *sets("route-policy", "apply (local-preference|cost)", r"\d+"),
    Effect("", "security-policy (?:ip|ipv6)", enters="security-policy"),
    Effect("security-policy", r"rule \d+ name (\S+)", enters="rule", instead=r"rule \d+ name \1"),
    Effect("security-policy", r"undo rule name (\S+)", writes="", drops=r"rule \d+ name \1"),
    *sets("rule", "description"),
    *sets("rule", "action", "pass|drop"),
    *switch("rule", r"source-zone (\S+)"),
    *switch("rule", r"destination-zone (\S+)"),
    *switch("rule", r"(source-ip|destination-ip) (\S+)"),
    *switch("rule", r"(source-ip-host|destination-ip-host) (\S+)"),
    *switch("rule", r"(source-ip-subnet|destination-ip-subnet) (\S+) (\S+)"),
    *switch("rule", "service-port (.+)"),
    *switch("", "snmp-agent"),
    Effect("", r"snmp-agent mib-view included (\S+) \S+", erases=(r"snmp-agent mib-view included \1",)),
    takes("", r"undo snmp-agent mib-view (\S+)", r"snmp-agent mib-view included \1"),
    *sets("", "snmp-agent sys-info version", r"\S+"),
    Effect("", r"snmp-agent group v3 (\S+) privacy( .*)?", erases=(r"snmp-agent group v3 \1",)),
    takes("", r"undo snmp-agent group v3 (\S+) privacy", r"snmp-agent group v3 \1"),
    *switch("", "ssh server enable"),
    *sets("", "ssh server acl", r"\d+"),
    Effect("", r"ssh server ipv6 acl ipv6 \d+", erases=("ssh server ipv6 acl",)),
    takes("", "undo ssh server ipv6 acl", "ssh server ipv6 acl"),
    Effect("", r"ssl client-policy \S+", enters="ssl"),
    Effect(
        "",
        r"undo ssl client-policy (\S+)",
        writes="",
        drops=r"ssl client-policy \1",
        idle=r"info-center .* ssl-client-policy \1",
    ),
    *sets("ssl", "version", r"\S+"),
    *switch("", "info-center enable"),
    Effect("", r"info-center source default loghost level \S+", erases=("info-center source default loghost",)),
    takes("", "undo info-center source default loghost", "info-center source default loghost"),
    Effect("", r"info-center loghost ipv6 (\S+)( .*)?", erases=(r"info-center loghost ipv6 \1",)),
    takes("", r"undo info-center loghost ipv6 (\S+)", r"info-center loghost ipv6 \1"),
    Effect("", r"info-center loghost ([0-9.]+)( .*)?", erases=(r"info-center loghost \1",)),
    takes("", r"undo info-center loghost ([0-9.]+)", r"info-center loghost \1"),
    *switch("", "ntp-service enable"),
    Effect("", r"ntp-service unicast-server (\S+)( .*)?", erases=(r"ntp-service unicast-server \1",)),
    takes("", r"undo ntp-service unicast-server (\S+)", r"ntp-service unicast-server \1"),
    Effect("", r"ntp-service ipv6 unicast-server (\S+)( .*)?", erases=(r"ntp-service ipv6 unicast-server \1",)),
    takes("", r"undo ntp-service ipv6 unicast-server (\S+)", r"ntp-service ipv6 unicast-server \1"),
    Effect("", r"acl (?:ipv6 )?(?:basic|advanced) \d+", enters="acl"),
    Effect("", r"undo acl (basic|advanced|ipv6 basic|ipv6 advanced) (\d+)", writes="", drops=r"acl \1 \2"),
    *sets("acl", "description"),
    Effect("acl", r"rule (\d+) (.+)", erases=(r"rule \1",), passed=("rule", r" \2")),
    takes("acl", r"undo rule (\d+)", r"rule \1", needs=(r"rule \1",)),
    Effect("", r"line (?:vty|con|aux) \d+( \d+)?", enters="line"),
    *sets("line", "authentication-mode", r"\S+"),
    *sets("line", "protocol inbound", r"\S+"),
    *sets("line", "idle-timeout"),
    Effect("", r"role name \S+", enters="role"),
    Effect("", r"undo role name (\S+)", writes="", drops=r"role name \1", idle=r"authorization-attribute user-role \1"),
    Effect("role", r"rule (\d+) .+", erases=(r"rule \1",)),
    takes("role", r"undo rule (\d+)", r"rule \1"),
    Effect("", r"local-user \S+ class manage", enters="user"),
    Effect("", r"undo local-user (\S+) class manage", writes="", drops=r"local-user \1 class manage"),
    *switch("user", r"service-type (\S+)"),
    Effect("user", r"authorization-attribute user-role (\S+)", needs=(r"role name \1",)),
    takes("user", r"undo authorization-attribute user-role (\S+)", r"authorization-attribute user-role \1"),
)

_INTERFACE = (
    *sets("interface", "description"),
    Effect("interface", r"vlan-type dot1q vid \d+", erases=("vlan-type dot1q vid",)),
    takes("interface", "undo vlan-type dot1q vid", "vlan-type dot1q vid"),
    # It takes the addresses with it.
    Effect("interface", "ip binding vpn-instance management", erases=("ip binding", "ip address", "ipv6 address")),
    Effect(
        "interface",
        r"ip binding vpn-instance (\S+)",
        erases=("ip binding", "ip address", "ipv6 address"),
        needs=(r"ip vpn-instance \1",),
    ),
    Effect(
        "interface",
        "undo ip binding vpn-instance",
        writes="",
        erases=("ip binding", "ip address", "ipv6 address"),
    ),
    *sets("interface", "mtu", r"\d+"),
    *sets("interface", "tcp mss", r"\d+"),
    *sets("interface", "source", r"\S+"),
    *sets("interface", "destination", r"\S+"),
    *names("interface", "tunnel vpn-instance", r"ip vpn-instance \1"),
    Effect(
        "interface",
        r"tunnel protection ipsec profile (\S+)",
        erases=("tunnel protection",),
        needs=(r"ipsec profile \1 isakmp",),
    ),
    takes("interface", "undo tunnel protection ipsec profile", "tunnel protection"),
    Effect(
        "interface",
        r"ip address (dhcp-alloc|\S+ \S+)",
        erases=("ip address",),
        spares=".* sub",
        idle=r"ip address \1 sub",
    ),
    Effect("interface", r"ip address (\S+ \S+) sub", needs=("ip address",), idle=r"ip address \1"),
    takes("interface", r"undo ip address (\S+ \S+) sub", r"ip address \1 sub"),
    takes("interface", "undo ip address( dhcp-alloc)?", "ip address"),
    *switch("interface", r"ipv6 address (\S+)"),
    *switch("interface", "shutdown"),
    *sets("interface", "bfd (min-transmit-interval|min-receive-interval|detect-multiplier)", r"\d+"),
    *(
        effect
        for words in ("ospf", "ospfv3")
        for effect in (
            # An area has to go before another one comes.
            Effect("interface", rf"{words} (\d+) area \S+", passed=(rf"{words} \1 area", ""), needs=(rf"{words} \1",)),
            takes("interface", rf"undo {words} (\d+) area", rf"{words} \1 area"),
            *sets("interface", f"{words} (network-type|cost)", r"\S+"),
            *sets("interface", f"{words} timer (hello|dead)", r"\d+"),
            *switch("interface", f"{words} bfd enable"),
        )
    ),
)

_OSPF = (
    *sets("ospf", "router-id", r"\S+"),
    Effect("ospf", r"import-route (bgp|bgp4[+]) .*", passed=(r"import-route \1", "")),
    takes("ospf", r"undo import-route (bgp|bgp4[+])", r"import-route \1"),
    *sets("ospf", "preference ase", r"\d+"),
    Effect("ospf", r"preference \d+", erases=("preference",), spares=" ase "),
    takes("ospf", "undo preference", "preference", spares=" ase "),
    *switch("ospf", r"silent-interface (\S+)"),
    *sets("ospf", "spf-schedule-interval"),
    Effect("ospf", r"area \S+", enters="area"),
    Effect("ospf", r"undo area (\S+)", writes="", drops=r"area \1"),
)

PEER = (r"peer \1 as-number",)

_BGP = (
    *sets("bgp", "router-id", r"\S+"),
    Effect("bgp", r"timer keepalive \d+ hold \d+", erases=("timer",)),
    takes("bgp", "undo timer", "timer"),
    Effect("bgp", r"peer (\S+) as-number \d+", passed=(r"peer \1 as-number", "")),
    takes("bgp", r"undo peer (\S+)", r"peer \1", below=True),
    *switch("bgp", r"peer (\S+) bfd", needs=PEER),
    *switch("bgp", r"peer (\S+) ignore", needs=PEER),
    *sets("bgp", r"peer (\S+) (description|connect-interface)", needs=PEER),
    Effect("bgp", "address-family (?:ipv4|ipv6) unicast", enters="family"),
    *sets("family", "preference"),
    *switch("family", r"network (\S+) (\S+)"),
    Effect("family", r"aggregate (\S+) (\S+)( detail-suppressed)?", erases=(r"aggregate \1 \2",)),
    takes("family", r"undo aggregate (\S+) (\S+)", r"aggregate \1 \2"),
    Effect("family", r"import-route (\S+)( \d+)?( .*)?", erases=(r"import-route \1",)),
    takes("family", r"undo import-route (\S+)( \d+)?", r"import-route \1"),
    *switch("family", r"peer (\S+) (enable|next-hop-local)", needs=PEER),
    *(
        effect
        for way, other in (("import", "export"), ("export", "import"))
        for effect in (
            Effect(
                "family",
                rf"peer (\S+) route-policy \S+ {way}",
                erases=(r"peer \1 route-policy",),
                spares=f" {other}$",
                needs=PEER,
            ),
            takes("family", rf"undo peer (\S+) route-policy \S+ {way}", r"peer \1 route-policy", spares=f" {other}$"),
        )
    ),
)

BEHAVIOUR = Behaviour(
    effects=(*_KEYS, *_SWITCH, *_PAIR, *_TOP, *_INTERFACE, *_OSPF, *_BGP),
    leaves=frozenset({"quit"}),
    vanishing=frozenset({"interface", "family", "line", "security-policy", "factory zone"}),
)
