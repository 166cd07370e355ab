"""How VRP's lines hang together, as its terminal takes them and `display current-configuration` shows them.

Source: the USG6000E command reference; docs/dialects.md says what was not compared with a page.
"""

from __future__ import annotations

from inventory.rules import Guard, Rule, Rules

MANAGEMENT = "MEth0/0/0"
"""The interface that reaches the device itself."""
PEER = "peer {peer}"


def line(form: str, remove: str = "undo {line}", **said: object) -> Rule:
    """A line that `undo` takes away."""
    return Rule(form, remove=remove, **said)  # type: ignore[arg-type]


_KEYS = (
    line("ip vpn-instance {instance}", opens="instance", gives=("instance {instance}",)),
    line("ipv4-family", at="instance"),
    line("ipsec proposal {proposal}", opens="esp", gives=("ipsec proposal {proposal}",)),
    line("encapsulation-mode <mode>", "undo encapsulation-mode", at="esp"),
    line("esp {what:authentication-algorithm|encryption-algorithm} <algorithm>", "undo esp {what}", at="esp"),
    line("ike proposal {number}", opens="ike", gives=("ike proposal {number}",)),
    line(
        "{what:encryption-algorithm|dh|authentication-algorithm|authentication-method|integrity-algorithm|prf} <value>",
        "undo {what}",
        at="ike",
    ),
    line("ike peer {partner}", opens="partner", gives=("ike peer {partner}",)),
    line("undo version {version}", "version {version}", at="partner"),
    line("ike-proposal <number>", "undo ike-proposal", at="partner", uses=("ike proposal {number}",)),
    line("certificate local-filename <file>", "undo certificate local-filename", at="partner"),
    line(
        "remote-address vpn-instance <instance> <address>",
        "undo remote-address",
        at="partner",
        uses=("instance {instance}",),
    ),
    line("ipsec profile {profile}", opens="profile", gives=("ipsec profile {profile}",)),
    line("ike-peer <partner>", "undo ike-peer", at="profile", uses=("ike peer {partner}",)),
    line("proposal <proposal>", "undo proposal", at="profile", uses=("ipsec proposal {proposal}",)),
)
"""What encrypts lines. Secrets are compared by nobody."""

_SWITCH = (
    line("stp mode <mode>", "undo stp mode"),
    line("stp instance 0 priority <value>", "undo stp instance 0 priority"),
    line("stp bpdu-protection"),
    line("vlan {vlan}", opens="vlan", gives=("vlan {vlan}", "room of Vlanif{vlan}")),
    line("name <name>", "undo name", at="vlan"),
    line(
        r"interface {interface:Vlanif\d+}",
        opens="interface",
        gives=("interface {interface}",),
        uses=("room of {interface}",),
    ),
    line(r"interface {interface:Eth-Trunk\d+}", opens="interface", gives=("interface {interface}",)),
    # What a port carries goes with its kind; a member of an aggregate has none of its own.
    line(
        "port link-type <type>",
        "undo port link-type",
        at="interface",
        over=False,
        gives=("link of {interface}",),
        once="role of {interface}",
    ),
    *(
        line(
            f"port {what} vlan <vlan>",
            f"undo port {what} vlan",
            at="interface",
            of="link of {interface}",
            uses=("vlan {vlan}",),
        )
        for what in ("default", "trunk pvid")
    ),
    line("port trunk allow-pass vlan {vlan}", at="interface", of="link of {interface}", uses=("vlan {vlan}",)),
    line("undo port trunk allow-pass vlan 1", "port trunk allow-pass vlan 1", at="interface", of="link of {interface}"),
    line("stp edged-port enable", "undo stp edged-port", at="interface"),
    line("mode <how>", "undo mode", at="interface"),
    line(
        "eth-trunk <group>",
        "undo eth-trunk",
        at="interface",
        over=False,
        once="role of {interface}",
        uses=("interface Eth-Trunk{group}",),
    ),
)
"""Of switches."""

_PAIR = (
    line("hrp enable", uses=("heartbeat",)),
    line(
        "hrp interface {interface} remote <address>",
        "undo hrp interface {interface}",
        over=False,
        gives=("heartbeat",),
    ),
    line("hrp standby-device"),
    line("hrp mirror session enable"),
    line("undo hrp auto-sync config", "hrp auto-sync config"),
    line("hrp standby config enable"),
    line("hrp adjust {what:ospf-cost|ospfv3-cost} enable [<cost>]", "undo hrp adjust {what} enable"),
    line("hrp track interface {interface}"),
    # The other state only from none. IPv6 has its link-local address first, and all others go with it.
    line(
        "vrrp vrid {group} virtual-ip {address} <state>",
        "undo vrrp vrid {group} virtual-ip {address}",
        at="interface",
        over=False,
        uses=("address of {interface}",),
    ),
    line(
        "vrrp6 vrid {group} virtual-ip {address} link-local <state>",
        "undo vrrp6 vrid {group} virtual-ip {address} link-local",
        at="interface",
        over=False,
        gives=("vrrp6 {group} on {interface}",),
        uses=("ipv6 on {interface}",),
        of="ipv6 on {interface}",
    ),
    line(
        "vrrp6 vrid {group} virtual-ip {address} <state>",
        "undo vrrp6 vrid {group} virtual-ip {address}",
        at="interface",
        over=False,
        uses=("vrrp6 {group} on {interface}",),
        of="vrrp6 {group} on {interface}",
    ),
    line(
        "ipv6 address {address} link-local",
        at="interface",
        over=False,
        uses=("ipv6 on {interface}",),
        of="ipv6 on {interface}",
        once="link-local of {interface}",
    ),
)
"""Of one of two firewalls."""

_TOP = (
    *_SWITCH,
    *_PAIR,
    line("sysname <name>", "undo sysname"),
    line("ipv6", gives=("ipv6",)),
    line("bfd", opens="bfd", gives=("bfd",)),
    line("firewall packet-filter basic-protocol enable"),
    line("undo firewall session link-state check", "firewall session link-state check"),
    line("undo firewall ipv6 session link-state check", "firewall ipv6 session link-state check"),
    line("acl number {list}", "undo acl number {list}", opens="acl", gives=("acl {list}",)),
    line("acl ipv6 number {list}", "undo acl ipv6 number {list}", opens="acl", gives=("acl ipv6 {list}",)),
    line("description <text+>", "undo description", at="acl"),
    line("rule {number} <entry+>", "undo rule {number}", at="acl", over=False),
    line("ip address-set {set} type object", "undo ip address-set {set}", opens="set", gives=("set {set}",)),
    # A number that is taken has to go first; the same address twice is refused.
    line("address {number} <entry+>", "undo address {number}", at="set", over=False, once="address {set} {entry}"),
    *_KEYS,
    line("aaa", "", opens="aaa"),
    line("role {role}", at="aaa", opens="role", gives=("role {role}",)),
    line("{part} <right>", "", at="role"),
    line("manager-user {user}", at="aaa", opens="user", gives=("user {user}",)),
    line("service-type <how+>", "undo service-type", at="user"),
    line("bind manager-user {user} role <role>", at="aaa", uses=("user {user}", "role {role}")),
    line(r"interface {interface:\S+[.]\d+}", opens="interface", gives=("interface {interface}",)),
    line(r"interface {interface:Tunnel\d+}", opens="interface", gives=("interface {interface}",)),
    line(r"interface {interface:LoopBack\d+}", opens="interface", gives=("interface {interface}",)),
    line("interface {interface}", "", opens="interface"),
    line("firewall zone name {zone}", "undo firewall zone name {zone}", opens="zone", gives=("zone {zone}",)),
    line("firewall zone {zone:trust|untrust|dmz|local}", "", opens="factory zone", gives=("zone {zone}",)),
    line("add interface {interface}", at="factory zone", uses=("interface {interface}",), once="zone of {interface}"),
    line("set priority <number>", "undo set priority", at="zone", once="priority {number}"),
    line("add interface {interface}", at="zone", uses=("interface {interface}",), once="zone of {interface}"),
    line("ospf {process} router-id <id>", "undo ospf {process}", opens="ospf", gives=("ospf {process}",)),
    line("ospfv3 {process}", "undo ospfv3 {process}", opens="ospf", gives=("ospfv3 {process}",), uses=("ipv6",)),
    line("bgp <asn>", "undo bgp", opens="bgp", over=False, gives=("bgp",)),
    *(
        line(
            f"ip {kind} {{list}} index {{index}} <entry+>",
            f"undo ip {kind} {{list}} index {{index}}",
            over=False,
            gives=(f"{kind} {{list}}",),
            once=f"{kind} {{list}} {{entry}}",
        )
        for kind in ("ip-prefix", "ipv6-prefix")
    ),
    line(
        "route-policy {map} <action> node {node}",
        "undo route-policy {map} node {node}",
        opens="route-policy",
        gives=("route-policy {map}",),
    ),
    line("if-match ip-prefix <list>", "undo if-match ip-prefix", at="route-policy", uses=("ip-prefix {list}",)),
    line(
        "if-match ipv6 address prefix-list <list>",
        "undo if-match ipv6 address prefix-list",
        at="route-policy",
        uses=("ipv6-prefix {list}",),
    ),
    line("apply {what:local-preference|cost} <value>", "undo apply {what}", at="route-policy"),
    line(
        "ip route-static {address} {mask} {via} [preference <preference>]",
        "undo ip route-static {address} {mask} {via}",
    ),
    line(
        "ipv6 route-static {address} {length} {via} [preference <preference>]",
        "undo ipv6 route-static {address} {length} {via}",
        uses=("ipv6",),
    ),
    line("security-policy", "", opens="security-policy"),
    line("default action <action>", "undo default action", at="security-policy"),
    line("default packet-filter intrazone enable", at="security-policy"),
    line("rule name {rule}", at="security-policy", opens="rule"),
    line("description <text+>", "undo description", at="rule"),
    line("{side:source-zone|destination-zone} {zone}", at="rule", uses=("zone {zone}",)),
    line("{side:source-address|destination-address} address-set {set}", at="rule", uses=("set {set}",)),
    line("{side:source-address|destination-address} {address} [{length+}]", at="rule"),
    line("service protocol {what+}", at="rule"),
    line("action <action>", "undo action", at="rule"),
    line("dns resolve"),
    line("dns server ipv6 {address}"),
    line("dns server {address}"),
    line("dns domain {name}"),
    line("ntp-service unicast-server ipv6 {address} [<how+>]", "undo ntp-service unicast-server ipv6 {address}"),
    line("ntp-service unicast-server {address} [<how+>]", "undo ntp-service unicast-server {address}"),
    line("ssl policy {policy} type client", "undo ssl policy {policy}", opens="ssl", gives=("ssl {policy}",)),
    line("info-center enable"),
    line("info-center source default channel loghost <how+>", "undo info-center source default channel loghost"),
    line(
        "info-center loghost ipv6 {address} port <port> transport tcp ssl-policy <policy>",
        "undo info-center loghost ipv6 {address}",
        uses=("ssl {policy}",),
    ),
    line(
        "info-center loghost {address} port <port> transport tcp ssl-policy <policy>",
        "undo info-center loghost {address}",
        uses=("ssl {policy}",),
    ),
    line("info-center loghost {address}"),
    line("snmp-agent", gives=("snmp",)),
    line("snmp-agent sys-info version <versions+>", "undo snmp-agent sys-info version", uses=("snmp",)),
    line("undo snmp-agent sys-info version {versions+}", "snmp-agent sys-info version {versions}", uses=("snmp",)),
    line(
        "snmp-agent mib-view included {view} <tree>",
        "undo snmp-agent mib-view {view}",
        uses=("snmp",),
        gives=("view {view}",),
    ),
    line(
        "snmp-agent group v3 {group} privacy [read-view <view>] [acl <list>]",
        "undo snmp-agent group v3 {group} privacy",
        uses=("view {view}", "acl {list}"),
        gives=("group {group}",),
    ),
    line(
        "snmp-agent usm-user v3 {user} group <group>",
        "undo snmp-agent usm-user v3 {user} group",
        uses=("group {group}", "usm {user}"),
    ),
    line("snmp-agent usm-user v3 {user}", uses=("snmp",), gives=("usm {user}",)),
    line("undo telnet server enable", "telnet server enable"),
    line("stelnet server enable"),
    line("ssh server acl <list>", "undo ssh server acl", uses=("acl {list}",)),
    line("ssh ipv6 server acl <list>", "undo ssh ipv6 server acl", uses=("acl ipv6 {list}",)),
    line("user-interface {kind} {first} [{last}]", "", opens="line"),
    line("authentication-mode <how>", "undo authentication-mode", at="line"),
    line("protocol inbound <how>", "undo protocol inbound", at="line"),
    line("acl <list> inbound", "undo acl inbound", at="line", uses=("acl {list}",)),
    line("acl ipv6 <list> inbound", "undo acl ipv6 inbound", at="line", uses=("acl ipv6 {list}",)),
    line("idle-timeout <value+>", "undo idle-timeout", at="line"),
)

_INTERFACE = (
    line("description <text+>", "undo description", at="interface"),
    line("vlan-type dot1q <vlan>", "undo vlan-type dot1q", at="interface", over=False),
    line(
        "ip binding vpn-instance <instance>",
        "undo ip binding vpn-instance",
        at="interface",
        over=False,
        sweeps=True,
        gives=("instance of {interface}",),
        uses=("instance {instance}",),
    ),
    line("ip address dhcp-alloc", at="interface", of="instance of {interface}"),
    # A second address stands beside the first one, and no address is both.
    line("ip address {address} {mask} sub", at="interface", of="first of {interface}", once="{address} of {interface}"),
    line(
        "ip address <address> <mask>",
        "undo ip address",
        at="interface",
        gives=("first of {interface}", "address of {interface}"),
        of="instance of {interface}",
        once="{address} of {interface}",
    ),
    line("mtu <bytes>", "undo mtu", at="interface"),
    line("tcp adjust-mss <bytes>", "undo tcp adjust-mss", at="interface"),
    line("tunnel-protocol <protocol>", "undo tunnel-protocol", at="interface"),
    # The table below the tunnel first: until then the line itself has the tunnel's addresses.
    line("source <below>", "undo source", at="interface", uses=("interface {below}", "instance of {below}")),
    line(
        "destination vpn-instance <instance> <address>",
        "undo destination",
        at="interface",
        uses=("instance {instance}",),
    ),
    line("ipsec profile <profile>", "undo ipsec profile", at="interface", uses=("ipsec profile {profile}",)),
    line(
        "ipv6 enable",
        at="interface",
        gives=("ipv6 on {interface}",),
        uses=("ipv6",),
        of="instance of {interface}",
    ),
    line("ipv6 address {address}", at="interface", uses=("ipv6 on {interface}",), of="ipv6 on {interface}"),
    line("service-manage enable", at="interface", default="service-manage enable"),
    line("undo service-manage enable", "service-manage enable", at="interface"),
    line("service-manage {what} permit", at="interface"),
    line("shutdown", at="interface"),
    line(
        "ospf enable <process> area <area>",
        "undo ospf enable {process} area {area}",
        at="interface",
        over=False,
        uses=("ospf {process}",),
    ),
    line(
        "ospfv3 <process:[0-9]+> area <area>",
        "undo ospfv3 {process} area {area}",
        at="interface",
        over=False,
        uses=("ospfv3 {process}", "ipv6 on {interface}"),
        of="ipv6 on {interface}",
    ),
    *(
        rule
        for words, of in (("ospf", ""), ("ospfv3", "ipv6 on {interface}"))
        for rule in (
            line(f"{words} {{what:network-type|cost}} <value>", f"undo {words} {{what}}", at="interface", of=of),
            line(f"{words} timer {{what:hello|dead}} <value>", f"undo {words} timer {{what}}", at="interface", of=of),
            line(f"{words} bfd enable", at="interface", of=of, uses=("bfd",)),
            line(
                f"{words} bfd {{first:min-tx-interval|min-transmit-interval}} <timers+>",
                f"undo {words} bfd {{first}}",
                at="interface",
                of=of,
            ),
        )
    ),
)

_OSPF = (
    line("router-id <id>", "undo router-id", at="ospf"),
    line(
        "import-route bgp permit-ibgp [cost <cost>] [route-policy <map>]",
        "undo import-route bgp",
        at="ospf",
        over=False,
        uses=("route-policy {map}", "bgp"),
    ),
    line("preference ase <value>", "undo preference ase", at="ospf"),
    line("preference <value>", "undo preference", at="ospf"),
    line("silent-interface {interface}", at="ospf"),
    line("spf-schedule-interval <value+>", "undo spf-schedule-interval", at="ospf"),
    line("area {area}", at="ospf", opens="area"),
)

_BGP = (
    line("router-id <id>", "undo router-id", at="bgp"),
    line("timer keepalive <alive> hold <hold>", "undo timer keepalive hold", at="bgp"),
    line("undo default ipv4-unicast", "default ipv4-unicast", at="bgp", gives=("activation by name",)),
    line(
        "peer {peer} as-number <asn>",
        "undo peer {peer}",
        at="bgp",
        over=False,
        gives=(PEER,),
        uses=("activation by name",),
    ),
    line("peer {peer} bfd enable", at="bgp", of=PEER, uses=("bfd",)),
    line("peer {peer} bfd min-tx-interval <timers+>", "undo peer {peer} bfd min-tx-interval", at="bgp", of=PEER),
    line("peer {peer} timer connect-retry <seconds>", "undo peer {peer} timer connect-retry", at="bgp", of=PEER),
    line("peer {peer} {what:description|connect-interface} <value+>", "undo peer {peer} {what}", at="bgp", of=PEER),
    line("peer {peer} ignore", at="bgp", of=PEER),
    line("ipv4-family unicast", "", at="bgp", opens="family"),
    line("ipv6-family unicast", "", at="bgp", opens="family"),
    line("preference <value+>", "undo preference", at="family"),
    line("network {address} {mask}", at="family"),
    line("aggregate {address} {mask} [<how>]", "undo aggregate {address} {mask}", at="family"),
    # A second line replaces what the first said.
    line(
        "import-route {protocol} [{process:[0-9]+}] [route-policy <map>]",
        "undo import-route {protocol} {process}",
        at="family",
        uses=("route-policy {map}",),
    ),
    # Last of all: a peer that is on without its policies takes and gives everything.
    line("peer {peer} enable", at="family", of=PEER, uses=("policy of {peer}",)),
    line("peer {peer} next-hop-local", at="family", of=PEER),
    line(
        "peer {peer} route-policy <map> {way:import|export}",
        "undo peer {peer} route-policy {way}",
        at="family",
        of=PEER,
        uses=("route-policy {map}",),
        gives=("policy of {peer}",),
    ),
)

RULES = Rules(
    name="vrp",
    lines=(*_TOP, *_INTERFACE, *_OSPF, *_BGP),
    leaves=(("", "quit"),),
    first=r"sysname ",
    last="return",
    noise=("#", "!Software", "!Last", "undo shutdown"),
    guards=(
        Guard(
            f"^interface {MANAGEMENT}$",
            r"shutdown|(undo )?ip address.*|(undo )?ip binding .*|undo service-manage .*",
            f"{MANAGEMENT} is the way to the device",
            refused=True,
        ),
        Guard(f"^interface {MANAGEMENT}$", ".*", f"{MANAGEMENT} is the way to the device"),
        Guard(
            "^firewall zone", f"undo add interface {MANAGEMENT}", f"{MANAGEMENT} is the way to the device", refused=True
        ),
        *(
            Guard(section, command, "the switch is managed over it", refused=True)
            for section, command in (
                (r"^interface Vlanif\d+$", r"shutdown|undo ip address.*|ip address \S+ \S+|undo ipv6 .*"),
                ("^$", r"undo interface Vlanif\d+"),
            )
        ),
        Guard(r"^interface Eth-Trunk\d+$", ".*", "the other switch is managed over it"),
        Guard("^$", r"undo stelnet server enable", "SSH is the way to the device", refused=True),
        Guard("^user-interface vty ", ".*", "the terminals are the way to the device"),
        Guard("^$", r"(undo )?ssh .*", "administrators come in there"),
        Guard("^acl (ipv6 )?number 2000$", ".*", "administrators come from these prefixes"),
    ),
)
