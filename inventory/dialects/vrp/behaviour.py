"""What VRP does with commands in its system view, after the USG6000E command reference.

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
        idle=r"ip binding vpn-instance \1|(remote-address|destination) vpn-instance \1 .*",
    ),
    *switch("instance", "ipv4-family"),
    Effect("", r"ipsec proposal \S+", enters="esp"),
    Effect("", r"undo ipsec proposal (\S+)", writes="", drops=r"ipsec proposal \1", idle=r"proposal \1"),
    *sets("esp", "encapsulation-mode", r"\S+"),
    *sets("esp", "esp (authentication-algorithm|encryption-algorithm)", r"\S+"),
    Effect("", r"ike proposal \d+", enters="ike"),
    Effect("", r"undo ike proposal (\d+)", writes="", drops=r"ike proposal \1", idle=r"ike-proposal \1"),
    *(
        effect
        for words in ("encryption-algorithm", "dh", "authentication-algorithm", "authentication-method", "prf")
        for effect in sets("ike", words, r"\S+")
    ),
    *sets("ike", "integrity-algorithm", r"\S+"),
    Effect("", r"ike peer \S+", enters="partner"),
    Effect("", r"undo ike peer (\S+)", writes="", drops=r"ike peer \1", idle=r"ike-peer \1"),
    Effect("partner", r"undo version [12]"),
    takes("partner", r"version ([12])", r"undo version \1"),
    *names("partner", "ike-proposal", r"ike proposal \1", r"\d+"),
    *sets("partner", "certificate local-filename", r"\S+"),
    Effect(
        "partner",
        r"remote-address vpn-instance (\S+) \S+",
        erases=("remote-address",),
        needs=(r"ip vpn-instance \1",),
    ),
    takes("partner", "undo remote-address", "remote-address"),
    Effect("", r"ipsec profile \S+", enters="profile"),
    Effect("", r"undo ipsec profile (\S+)", writes="", drops=r"ipsec profile \1", idle=r"ipsec profile \1"),
    *names("profile", "ike-peer", r"ike peer \1"),
    *names("profile", "proposal", r"ipsec proposal \1"),
)

TRUNK = ("port link-type trunk",)

_SWITCH = (
    *sets("", "stp mode", r"\S+"),
    *sets("", "stp instance 0 priority", r"\d+"),
    *switch("", "stp bpdu-protection"),
    Effect("", r"vlan \d+", enters="vlan"),
    Effect(
        "",
        r"undo vlan (\d+)",
        writes="",
        drops=r"vlan \1",
        idle=r"interface Vlanif\1|port (default|trunk pvid|trunk allow-pass) vlan \1",
    ),
    *sets("vlan", "name", r"\S+"),
    Effect("", r"interface Vlanif(\d+)", enters="interface", needs=(r"vlan \1",)),
    Effect("", r"undo interface (Vlanif\d+)", writes="", drops=r"interface \1"),
    Effect("", r"undo interface Eth-Trunk(\d+)", writes="", drops=r"interface Eth-Trunk\1", idle=r"eth-trunk \1"),
    # Another kind only from none; what belongs to it goes with it.
    Effect("interface", "port link-type (?:access|trunk)", passed=("port link-type", "")),
    Effect("interface", "undo port link-type", writes="", erases=("port", "undo port")),
    Effect("interface", r"port default vlan (\d+)", erases=("port default vlan",), needs=(r"vlan \1",)),
    takes("interface", "undo port default vlan", "port default vlan"),
    Effect("interface", r"port trunk pvid vlan \d+", erases=("port trunk pvid vlan",), needs=TRUNK),
    takes("interface", "undo port trunk pvid vlan", "port trunk pvid vlan"),
    takes("interface", "port trunk allow-pass vlan 1", "undo port trunk allow-pass vlan 1", needs=TRUNK),
    Effect("interface", "undo port trunk allow-pass vlan 1", needs=TRUNK),
    *switch("interface", r"port trunk allow-pass vlan (\d+)", needs=TRUNK),
    *sets("interface", "stp edged-port", "enable"),
    *sets("interface", "mode", "lacp"),
    # A port that is told what it carries becomes no member.
    Effect("interface", r"eth-trunk (\d+)", passed=("port", ""), needs=(r"interface Eth-Trunk\1",)),
    takes("interface", "undo eth-trunk", "eth-trunk"),
)

_PAIR = (
    Effect("", "hrp enable", needs=("hrp interface",)),
    takes("", "undo hrp enable", "hrp enable"),
    Effect("", r"hrp interface (\S+) remote \S+", passed=("hrp interface", "")),
    takes("", r"undo hrp interface (\S+)", r"hrp interface \1"),
    *switch("", "hrp standby-device"),
    *switch("", "hrp mirror session enable"),
    *switch("", "hrp standby config enable"),
    Effect("", "undo hrp auto-sync config"),
    takes("", "hrp auto-sync config", "undo hrp auto-sync config"),
    *sets("", "hrp adjust (ospf-cost|ospfv3-cost) enable", r"\d+"),
    Effect("", "hrp adjust (ospf-cost|ospfv3-cost) enable", erases=(r"hrp adjust \1 enable",)),
    *switch("", r"hrp track interface (\S+)"),
    Effect(
        "interface",
        r"vrrp vrid (\d+) virtual-ip (\S+) (?:active|standby)",
        needs=("ip address",),
        passed=(r"vrrp vrid \1 virtual-ip \2", ""),
    ),
    takes("interface", r"undo vrrp vrid (\d+) virtual-ip (\S+)", r"vrrp vrid \1 virtual-ip \2"),
    Effect(
        "interface",
        r"vrrp6 vrid (\d+) virtual-ip \S+ link-local (?:active|standby)",
        needs=("ipv6 enable",),
        passed=(r"vrrp6 vrid \1", ""),
    ),
    # The virtual router goes with it.
    takes("interface", r"undo vrrp6 vrid (\d+) virtual-ip \S+ link-local", r"vrrp6 vrid \1"),
    Effect(
        "interface",
        r"vrrp6 vrid (\d+) virtual-ip (\S+) (?:active|standby)",
        needs=(r"vrrp6 vrid \1",),
        passed=(r"vrrp6 vrid \1 virtual-ip \2", ""),
    ),
    takes("interface", r"undo vrrp6 vrid (\d+) virtual-ip (\S+)", r"vrrp6 vrid \1 virtual-ip \2"),
    Effect("interface", r"ipv6 address \S+ link-local", needs=("ipv6 enable",), passed=("ipv6 address", "link-local")),
    takes("interface", r"undo ipv6 address (\S+) link-local", r"ipv6 address \1 link-local"),
)

_TOP = (
    Effect("", r"sysname \S+", erases=("sysname",)),
    takes("", "undo sysname", "sysname"),
    *switch("", "ipv6"),
    Effect("", "bfd", enters="bfd"),
    Effect("", "undo bfd", writes="", drops="bfd", idle=r"ospf(v3)? bfd enable|peer \S+ bfd enable"),
    *switch("", "firewall packet-filter basic-protocol enable"),
    Effect("", "undo firewall (session|ipv6 session) link-state check"),
    takes("", "firewall (session|ipv6 session) link-state check", r"undo firewall \1 link-state check"),
    Effect("", r"acl (?:ipv6 )?number \d+", enters="acl"),
    Effect("", r"undo acl (number|ipv6 number) (\d+)", writes="", drops=r"acl \1 \2"),
    *sets("acl", "description"),
    Effect("acl", r"rule (\d+) .+", erases=(r"rule \1",)),
    takes("acl", r"undo rule (\d+)", r"rule \1", needs=(r"rule \1",)),
    Effect("", r"ip address-set \S+ type object", enters="set"),
    Effect(
        "",
        r"undo ip address-set (\S+)",
        writes="",
        drops=r"ip address-set \1 .*",
        idle=r"(source|destination)-address address-set \1",
    ),
    Effect("set", r"address (\d+) .+", passed=(r"address \1", "")),
    takes("set", r"undo address (\d+)", r"address \1", needs=(r"address \1",)),
    Effect("", "aaa", enters="aaa"),
    Effect("aaa", r"role \S+", enters="role"),
    Effect("aaa", r"undo role (\S+)", writes="", drops=r"role \1", idle=r"bind manager-user \S+ role \1"),
    Effect("role", r"(dashboard|monitor|network|object|policy|system) (none|read-only|read-write)", erases=(r"\1",)),
    Effect("aaa", r"manager-user \S+", enters="user"),
    Effect(
        "aaa", r"undo manager-user (\S+)", writes="", drops=r"manager-user \1", idle=r"bind manager-user \1 role \S+"
    ),
    *sets("user", "service-type"),
    Effect(
        "aaa", r"bind manager-user (\S+) role (\S+)", erases=(r"bind manager-user \1",), needs=(r"manager-user \1",)
    ),
    takes("aaa", r"undo bind manager-user (\S+) role (\S+)", r"bind manager-user \1 role \2"),
    Effect("", r"interface \S+", enters="interface"),
    Effect("", r"undo interface (\S+[.]\d+|LoopBack\d+|Tunnel\d+)", writes="", drops=r"interface \1"),
    Effect("", r"firewall zone name \S+", enters="zone"),
    Effect("", "firewall zone (?:trust|untrust|dmz|local)", enters="factory zone"),
    *switch("factory zone", r"add interface (\S+)"),
    Effect(
        "",
        r"undo firewall zone name (\S+)",
        writes="",
        drops=r"firewall zone name \1",
        idle=r"(source|destination)-zone \1",
    ),
    *sets("zone", "set priority", r"\d+"),
    *switch("zone", r"add interface (\S+)"),
    Effect("", r"ospf (\d+) router-id \S+", enters="ospf", instead=r"ospf \1 .*"),
    Effect("", r"undo ospf (\d+)", writes="", drops=r"ospf \1 .*"),
    Effect("", r"ospfv3 \d+", enters="ospf", needs=("ipv6",)),
    Effect("", r"undo ospfv3 (\d+)", writes="", drops=r"ospfv3 \1"),
    Effect("", r"bgp \d+", enters="bgp", alone=r"bgp \d+"),
    Effect("", "undo bgp", writes="", drops=r"bgp \d+"),
    *(
        effect
        for kind in ("ip-prefix", "ipv6-prefix")
        for effect in (
            # An index that is taken keeps what it has.
            Effect("", rf"ip {kind} (\S+) index (\d+) .+", passed=(rf"ip {kind} \1 index \2", "")),
            takes("", rf"undo ip {kind} (\S+) index (\d+)", rf"ip {kind} \1 index \2"),
        )
    ),
    Effect(
        "",
        r"route-policy (\S+) (?:permit|deny) node (\d+)",
        enters="route-policy",
        instead=r"route-policy \1 (permit|deny) node \2",
    ),
    Effect("", r"undo route-policy (\S+) node (\d+)", writes="", drops=r"route-policy \1 (permit|deny) node \2"),
    *sets("route-policy", "if-match ip-prefix", r"\S+"),
    *sets("route-policy", "if-match ipv6 address prefix-list", r"\S+"),
    *sets("route-policy", "apply (local-preference|cost)", r"\d+"),
    Effect("", r"ip route-static (\S+) (\S+) (\S+)( .*)?", erases=(r"ip route-static \1 \2 \3",)),
    takes(
        "", r"undo ip route-static (\S+) (\S+) (\S+)", r"ip route-static \1 \2 \3", needs=(r"ip route-static \1 \2 \3",)
    ),
    Effect("", r"ipv6 route-static (\S+) (\S+) (\S+)( .*)?", erases=(r"ipv6 route-static \1 \2 \3",), needs=("ipv6",)),
    takes(
        "",
        r"undo ipv6 route-static (\S+) (\S+) (\S+)",
        r"ipv6 route-static \1 \2 \3",
        needs=(r"ipv6 route-static \1 \2 \3",),
    ),
    # The security policy
    Effect("", "security-policy", enters="security-policy"),
    *sets("security-policy", "default action", "permit|deny"),
    *switch("security-policy", "default packet-filter intrazone enable"),
    Effect("security-policy", r"rule name \S+", enters="rule"),
    Effect("security-policy", r"undo rule name (\S+)", writes="", drops=r"rule name \1"),
    *sets("rule", "description"),
    Effect("rule", r"(source|destination)-zone (\S+)"),
    takes("rule", r"undo (source-zone|destination-zone) (\S+)", r"\1 \2"),
    Effect("rule", r"(?:source|destination)-address .+"),
    takes("rule", r"undo (source-address|destination-address) (.+)", r"\1 \2"),
    *switch("rule", "service protocol (.+)"),
    *sets("rule", "action", "permit|deny"),
    # Administration
    *switch("", "dns resolve"),
    *switch("", r"dns server ipv6 (\S+)"),
    *switch("", r"dns server (\S+)"),
    *switch("", r"dns domain (\S+)"),
    Effect("", r"ntp-service unicast-server (ipv6 \S+|\S+)( .*)?", erases=(r"ntp-service unicast-server \1",)),
    takes("", r"undo ntp-service unicast-server (ipv6 \S+|\S+)", r"ntp-service unicast-server \1"),
    Effect("", r"ssl policy \S+ type client", enters="ssl"),
    Effect("", r"undo ssl policy (\S+)", writes="", drops=r"ssl policy \1 .*", idle=r"info-center .* ssl-policy \1"),
    *switch("", "info-center enable"),
    *sets("", "info-center source default channel loghost"),
    Effect("", r"info-center loghost (ipv6 \S+|[0-9.]+)( .*)?", erases=(r"info-center loghost \1",)),
    takes("", r"undo info-center loghost (ipv6 \S+|[0-9.]+)", r"info-center loghost \1"),
    *switch("", "snmp-agent"),
    Effect("", r"snmp-agent sys-info version v3", erases=("snmp-agent sys-info version",)),
    takes("", "undo snmp-agent sys-info version", "snmp-agent sys-info version"),
    Effect("", r"undo snmp-agent sys-info version (v1|v2c)( v2c)?"),
    takes("", r"snmp-agent sys-info version (v1|v2c)( v2c)?", r"undo snmp-agent sys-info version \1\2"),
    Effect("", r"snmp-agent mib-view included (\S+) \S+", erases=(r"snmp-agent mib-view included \1",)),
    takes("", r"undo snmp-agent mib-view (\S+)", r"snmp-agent mib-view included \1"),
    Effect("", r"snmp-agent group v3 (\S+) privacy( .*)?", erases=(r"snmp-agent group v3 \1",)),
    takes("", r"undo snmp-agent group v3 (\S+) privacy", r"snmp-agent group v3 \1"),
    Effect(
        "",
        r"snmp-agent usm-user v3 (\S+) group \S+",
        erases=(r"snmp-agent usm-user v3 \1 group",),
        needs=(r"snmp-agent usm-user v3 \1",),
    ),
    takes("", r"undo snmp-agent usm-user v3 (\S+) group", r"snmp-agent usm-user v3 \1 group"),
    Effect("", r"snmp-agent usm-user v3 \S+"),
    takes("", r"undo snmp-agent usm-user v3 (\S+)", r"snmp-agent usm-user v3 \1"),
    Effect("", "undo telnet server enable"),
    takes("", "telnet server enable", "undo telnet server enable"),
    *switch("", "stelnet server enable"),
    *sets("", "ssh server acl", r"\d+"),
    *sets("", "ssh ipv6 server acl", r"\d+"),
    Effect("", r"user-interface (?:vty|con) \d+( \d+)?", enters="line"),
    *sets("line", "authentication-mode", r"\S+"),
    *sets("line", "protocol inbound", r"\S+"),
    Effect("line", r"acl (\d+) inbound", erases=("acl",), spares="ipv6"),
    takes("line", "undo acl inbound", "acl", spares="ipv6"),
    Effect("line", r"acl ipv6 (\d+) inbound", erases=("acl ipv6",)),
    takes("line", "undo acl ipv6 inbound", "acl ipv6"),
    *sets("line", "idle-timeout"),
)

_INTERFACE = (
    *sets("interface", "description"),
    Effect("interface", r"vlan-type dot1q \d+", passed=("vlan-type dot1q", "")),
    takes("interface", r"undo vlan-type dot1q", "vlan-type dot1q"),
    # It takes the addresses with it.
    Effect("interface", "ip binding vpn-instance default", erases=("ip binding", "ip address", "ipv6 address")),
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
    *sets("interface", "tcp adjust-mss", r"\d+"),
    *sets("interface", "tunnel-protocol", r"\S+"),
    *sets("interface", "source", r"\S+"),
    Effect(
        "interface",
        r"destination vpn-instance (\S+) \S+",
        erases=("destination",),
        needs=(r"ip vpn-instance \1",),
    ),
    takes("interface", "undo destination", "destination"),
    *names("interface", "ipsec profile", r"ipsec profile \1"),
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
    Effect("interface", "ipv6 enable", needs=("ipv6",)),
    # With it goes all of IPv6 on the interface.
    Effect("interface", "undo ipv6 enable", writes="", erases=("ipv6 enable", "ipv6 address", "ospfv3", "vrrp6")),
    *switch("interface", r"ipv6 address (\S+)", needs=("ipv6 enable",)),
    takes("interface", "service-manage enable", "undo service-manage enable"),
    Effect("interface", "undo service-manage enable"),
    *switch("interface", r"service-manage (\S+) permit"),
    *switch("interface", "shutdown"),
    # An area has to go before another one comes.
    Effect("interface", r"ospf enable (\d+) area \S+", passed=("ospf enable", ""), needs=(r"ospf \1",)),
    takes("interface", r"undo ospf enable (\d+) area \S+", r"ospf enable \1"),
    Effect("interface", r"ospfv3 (\d+) area \S+", passed=(r"ospfv3 \1 area", ""), needs=("ipv6 enable",)),
    takes("interface", r"undo ospfv3 (\d+) area \S+", r"ospfv3 \1 area"),
    *(
        effect
        for words in ("ospf", "ospfv3")
        for effect in (
            *sets("interface", f"{words} (network-type|cost)", r"\S+"),
            *sets("interface", f"{words} timer (hello|dead)", r"\d+"),
            Effect("interface", f"{words} bfd enable", needs=("bfd",)),
            takes("interface", f"undo {words} bfd enable", f"{words} bfd enable"),
            *sets("interface", f"{words} bfd (min-tx-interval|min-transmit-interval)"),
        )
    ),
)

_OSPF = (
    *sets("ospf", "router-id", r"\S+"),
    Effect("ospf", "import-route bgp( .*)?", passed=("import-route bgp", "")),
    takes("ospf", "undo import-route bgp", "import-route bgp"),
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
    takes("bgp", "undo timer keepalive hold", "timer"),
    Effect("bgp", "undo default ipv4-unicast"),
    takes("bgp", "default ipv4-unicast", "undo default ipv4-unicast"),
    Effect("bgp", r"peer (\S+) as-number \d+", passed=(r"peer \1 as-number", "")),
    takes("bgp", r"undo peer (\S+)", r"peer \1", below=True),
    *switch("bgp", r"peer (\S+) bfd enable", needs=PEER),
    *sets("bgp", r"peer (\S+) bfd min-tx-interval", needs=PEER),
    *sets("bgp", r"peer (\S+) timer connect-retry", r"\d+", needs=PEER),
    *sets("bgp", r"peer (\S+) (description|connect-interface)", needs=PEER),
    *switch("bgp", r"peer (\S+) ignore", needs=PEER),
    Effect("bgp", "ipv4-family unicast", enters="family"),
    Effect("bgp", "ipv6-family unicast", enters="family"),
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
            takes("family", rf"undo peer (\S+) route-policy {way}", r"peer \1 route-policy", spares=f" {other}$"),
        )
    ),
)

BEHAVIOUR = Behaviour(
    effects=(*_KEYS, *_SWITCH, *_PAIR, *_TOP, *_INTERFACE, *_OSPF, *_BGP),
    leaves=frozenset({"quit"}),
    vanishing=frozenset({"interface", "family", "line", "aaa", "security-policy", "factory zone"}),
)
