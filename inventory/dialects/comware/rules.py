"""How Comware 7's lines hang together, as its terminal takes them and `display current-configuration` shows them.

Source: H3C's command references of the SecPath firewalls (V7); docs/dialects.md says what was not compared with a page.
"""

from __future__ import annotations

from inventory.rules import Guard, Rule, Rules

MANAGEMENT = "GigabitEthernet1/0/0"
"""The interface that reaches the device itself."""
PEER = "peer {peer}"


def line(form: str, remove: str = "undo {line}", **said: object) -> Rule:
    """A line that `undo` takes away."""
    return Rule(form, remove=remove, **said)  # type: ignore[arg-type]


_KEYS = (
    line("ip vpn-instance {instance}", opens="instance", gives=("instance {instance}",)),
    line("pki domain {domain}", opens="pki", gives=("pki domain {domain}",)),
    line("undo crl check enable", "crl check enable", at="pki"),
    line("ipsec transform-set {set}", opens="esp", gives=("transform-set {set}",)),
    line("encapsulation-mode <mode>", "undo encapsulation-mode", at="esp"),
    line("esp {what:authentication-algorithm|encryption-algorithm} <algorithm>", "undo esp {what}", at="esp"),
    line("ike proposal {number}", opens="ike", gives=("ike proposal {number}",)),
    line(
        "{what:authentication-method|encryption-algorithm|authentication-algorithm|dh} <value>", "undo {what}", at="ike"
    ),
    line("ikev2 proposal {proposal}", opens="ikev2", gives=("ikev2 proposal {proposal}",)),
    line("{what:encryption|integrity|dh|prf} <value>", "undo {what}", at="ikev2"),
    line("ikev2 policy {policy}", opens="ikev2 policy"),
    line("match vrf name <instance>", "undo match vrf", at="ikev2 policy", uses=("instance {instance}",)),
    line("proposal {proposal}", at="ikev2 policy", uses=("ikev2 proposal {proposal}",)),
    line("ike profile {partner}", opens="ike profile", gives=("ike profile {partner}",)),
    line("certificate domain {domain}", at="ike profile", uses=("pki domain {domain}",)),
    line("exchange-mode <mode>", "undo exchange-mode", at="ike profile"),
    line("local-identity address <address>", "undo local-identity", at="ike profile"),
    line(
        "match remote identity address {address} {mask} vpn-instance {instance}",
        at="ike profile",
        uses=("instance {instance}",),
    ),
    line("proposal <number>", "undo proposal", at="ike profile", uses=("ike proposal {number}",)),
    line("ikev2 keychain {chain}", opens="chain", gives=("keychain {chain}",)),
    line("peer {peer}", at="chain", opens="chain peer"),
    line("address <address> <mask>", "undo address", at="chain peer"),
    line("ikev2 profile {partner}", opens="ikev2 profile", gives=("ikev2 profile {partner}",)),
    line("authentication-method {side:local|remote} <how>", "undo authentication-method {side}", at="ikev2 profile"),
    line("keychain <chain>", "undo keychain", at="ikev2 profile", uses=("keychain {chain}",)),
    line("identity local address <address>", "undo identity local", at="ikev2 profile"),
    line("match vrf name <instance>", "undo match vrf", at="ikev2 profile", uses=("instance {instance}",)),
    line("match remote identity address {address} {mask}", at="ikev2 profile"),
    line(
        "ipsec profile {profile} isakmp",
        "undo ipsec profile {profile}",
        opens="profile",
        gives=("ipsec profile {profile}",),
    ),
    line("transform-set <set>", "undo transform-set", at="profile", uses=("transform-set {set}",)),
    line("ike-profile <partner>", "undo ike-profile", at="profile", uses=("ike profile {partner}",)),
    line("ikev2-profile <partner>", "undo ikev2-profile", at="profile", uses=("ikev2 profile {partner}",)),
)
"""What encrypts lines. Secrets are compared by nobody."""

_SWITCH = (
    line("stp mode <mode>", "undo stp mode"),
    line("stp instance 0 priority <value>", "undo stp instance 0 priority"),
    line("stp bpdu-protection"),
    line("stp global enable"),
    line("vlan {vlan}", opens="vlan", gives=("vlan {vlan}", "room of Vlan-interface{vlan}")),
    line("name <name>", "undo name", at="vlan"),
    line(
        r"interface {interface:Vlan-interface\d+}",
        opens="interface",
        gives=("interface {interface}",),
        uses=("room of {interface}",),
    ),
    line(r"interface {interface:Bridge-Aggregation\d+}", opens="interface", gives=("interface {interface}",)),
    line(
        "port access vlan <vlan>",
        "undo port access vlan",
        at="interface",
        uses=("vlan {vlan}",),
        once="role of {interface}",
    ),
    # What a trunk carries goes with it.
    line(
        "port link-type trunk",
        "undo port link-type",
        at="interface",
        gives=("trunk {interface}",),
        once="role of {interface}",
    ),
    line(
        "port trunk pvid vlan <vlan>",
        "undo port trunk pvid",
        at="interface",
        of="trunk {interface}",
        uses=("vlan {vlan}",),
    ),
    line("port trunk permit vlan {vlan}", at="interface", of="trunk {interface}", uses=("vlan {vlan}",)),
    line("undo port trunk permit vlan 1", "port trunk permit vlan 1", at="interface", of="trunk {interface}"),
    line("stp edged-port", at="interface"),
    line("link-aggregation mode <mode>", "undo link-aggregation mode", at="interface"),
    line(
        "port link-aggregation group <group>",
        "undo port link-aggregation group",
        at="interface",
        uses=("interface Bridge-Aggregation{group}",),
    ),
)
"""Of switches."""

_PAIR = (
    line("remote-backup group", opens="pair"),
    line("data-channel interface <port>", "undo data-channel", at="pair"),
    line("{end:local-ip|remote-ip} <address>", "undo {end}", at="pair"),
    line("device-role <role>", "undo device-role", at="pair"),
    line("hot-backup enable", at="pair"),
    line("undo configuration auto-sync enable", "configuration auto-sync enable", at="pair"),
    line("adjust-cost {protocol} enable absolute [<cost>]", "undo adjust-cost {protocol} enable", at="pair"),
    line("track interface {port}", at="pair"),
    # The other state only from none. IPv6 has its link-local address first, and all others go with it.
    line(
        "vrrp vrid {group} virtual-ip {address} <state>",
        "undo vrrp vrid {group} virtual-ip {address}",
        at="interface",
        over=False,
        uses=("address of {interface}",),
    ),
    line(
        "vrrp ipv6 vrid {group} virtual-ip {address} link-local <state>",
        "undo vrrp ipv6 vrid {group} virtual-ip {address}",
        at="interface",
        over=False,
        gives=("vrrp6 {group} on {interface}",),
    ),
    line(
        "vrrp ipv6 vrid {group} virtual-ip {address} <state>",
        "undo vrrp ipv6 vrid {group} virtual-ip {address}",
        at="interface",
        over=False,
        uses=("vrrp6 {group} on {interface}",),
        of="vrrp6 {group} on {interface}",
    ),
    line("ipv6 address {address} link-local", at="interface", over=False, once="link-local of {interface}"),
)
"""Of one of two firewalls."""

_TOP = (
    *_PAIR,
    *_SWITCH,
    *_KEYS,
    line("sysname <name>", "undo sysname"),
    line("session state-machine mode <mode>", "undo session state-machine mode"),
    line("security-zone intra-zone default permit"),
    line("telnet server disable", default="telnet server disable"),
    line("dns domain {name}"),
    line("dns server {address}"),
    line("ipv6 dns server {address}"),
    line("object-group {kind:ip|ipv6} address {group}", opens="group", gives=("group {group}",)),
    # A number that is taken is written over; an object that the group has already is refused.
    line("{number:[0-9]+} network <object+>", "undo {number}", at="group", over=False, once="object {group} {object}"),
    line("description <text+>", "undo description", at="group"),
    line(r"interface {interface:\S+[.]\d+}", opens="interface", gives=("interface {interface}",)),
    line(
        r"interface {interface:Tunnel\d+} mode {mode}",
        "undo interface {interface}",
        opens="interface",
        gives=("interface {interface}",),
    ),
    line(r"interface {interface:LoopBack\d+}", opens="interface", gives=("interface {interface}",)),
    line("interface {interface}", "", opens="interface"),
    line("security-zone name {zone:Local|Trust|DMZ|Untrust|Management}", "", opens="factory zone"),
    line(
        "import interface {interface}", at="factory zone", uses=("interface {interface}",), once="zone of {interface}"
    ),
    line("security-zone name {zone}", opens="zone", gives=("zone {zone}",)),
    line("import interface {interface}", at="zone", uses=("interface {interface}",), once="zone of {interface}"),
    line("ospf {process} router-id <id>", "undo ospf {process}", opens="ospf", gives=("ospf {process}",)),
    line("ospfv3 {process}", opens="ospf", gives=("ospfv3 {process}",)),
    line("bgp <asn>", "undo bgp", opens="bgp", over=False, gives=("bgp",)),
    *(
        line(
            f"{family} prefix-list {{list}} index {{index}} <entry+>",
            f"undo {family} prefix-list {{list}} index {{index}}",
            over=False,
            gives=(f"{family} prefix-list {{list}}",),
            once=f"{family} prefix-list {{list}} {{entry}}",
        )
        for family in ("ip", "ipv6")
    ),
    line(
        "route-policy {map} <action> node {node}",
        "undo route-policy {map} {action} node {node}",
        opens="route-policy",
        gives=("route-policy {map}",),
    ),
    *(
        line(
            f"if-match {family} address prefix-list <list>",
            f"undo if-match {family} address prefix-list",
            at="route-policy",
            uses=(family + " prefix-list {list}",),
        )
        for family in ("ip", "ipv6")
    ),
    line("apply {what:local-preference|cost} <value>", "undo apply {what}", at="route-policy"),
    *(
        line(
            family + " route-static {address} {length} {via} [preference <preference>]",
            f"undo {family} route-static {{address}} {{length}} {{via}}",
        )
        for family in ("ip", "ipv6")
    ),
    line("security-policy {family:ip|ipv6}", "", opens="security-policy"),
    line("rule {number} name {rule}", "undo rule name {rule}", at="security-policy", opens="rule"),
    line("description <text+>", "undo description", at="rule"),
    line("action <action>", "undo action", at="rule"),
    line("{side:source-zone|destination-zone} {zone}", at="rule", uses=("zone {zone}",)),
    line("{side:source-ip|destination-ip} {group}", at="rule", uses=("group {group}",)),
    line("{side:source-ip-host|destination-ip-host} {address}", at="rule"),
    line("{side:source-ip-subnet|destination-ip-subnet} {address} {length}", at="rule"),
    line("service-port {what+}", at="rule"),
    line("snmp-agent", gives=("snmp",)),
    line(
        "snmp-agent mib-view included {view} <tree>",
        "undo snmp-agent mib-view {view}",
        uses=("snmp",),
        gives=("view {view}",),
    ),
    line("snmp-agent sys-info version <version>", "undo snmp-agent sys-info version", uses=("snmp",)),
    line(
        "snmp-agent group v3 {group} privacy [read-view <view>] [acl <list>] [<how+>]",
        "undo snmp-agent group v3 {group} privacy",
        uses=("view {view}", "acl basic {list}"),
    ),
    line("ssh server enable"),
    line("ssh server acl <list>", "undo ssh server acl", uses=("acl basic {list}",)),
    line("ssh server ipv6 acl ipv6 <list>", "undo ssh server ipv6 acl", uses=("acl ipv6 basic {list}",)),
    line("ssl client-policy {policy}", opens="ssl", gives=("ssl {policy}",)),
    line("version <version>", "undo version", at="ssl"),
    line("info-center enable"),
    line("info-center source default loghost level <level>", "undo info-center source default loghost"),
    line(
        "info-center loghost ipv6 {address} port <port> transport tls ssl-client-policy <policy>",
        "undo info-center loghost ipv6 {address}",
        uses=("ssl {policy}",),
    ),
    line(
        "info-center loghost {address} port <port> transport tls ssl-client-policy <policy>",
        "undo info-center loghost {address}",
        uses=("ssl {policy}",),
    ),
    line("info-center loghost {address}"),
    line("ntp-service enable"),
    line("ntp-service unicast-server {address} [<how+>]", "undo ntp-service unicast-server {address}"),
    line("ntp-service ipv6 unicast-server {address} [<how+>]", "undo ntp-service ipv6 unicast-server {address}"),
    line("acl {kind:basic|advanced} {list}", opens="acl", gives=("acl {kind} {list}",)),
    line("acl ipv6 {kind:basic|advanced} {list}", opens="acl", gives=("acl ipv6 {kind} {list}",)),
    line("description <text+>", "undo description", at="acl"),
    line("rule {number} <entry+>", "undo rule {number}", at="acl", once="rule {kind} {list} {entry}"),
    line("line {kind} {first} [{last}]", "", opens="line"),
    line("authentication-mode <how>", "undo authentication-mode", at="line"),
    line("protocol inbound <how>", "undo protocol inbound", at="line"),
    line("idle-timeout <value+>", "undo idle-timeout", at="line"),
    line("role name {role}", opens="role", gives=("role {role}",)),
    line("rule {number} <right+>", "undo rule {number}", at="role"),
    line("local-user {user} class manage", opens="user", gives=("user {user}",)),
    line("service-type <how>", "undo service-type {how}", at="user"),
    line("authorization-attribute user-role {role}", at="user", uses=("role {role}",)),
)

_INTERFACE = (
    line("description <text+>", "undo description", at="interface"),
    line("vlan-type dot1q vid <vlan>", "undo vlan-type dot1q vid", at="interface"),
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
    line("tcp mss <bytes>", "undo tcp mss", at="interface"),
    # The table below the tunnel first: until then the line itself has the tunnel's addresses.
    line("source <below>", "undo source", at="interface", uses=("interface {below}", "instance of {below}")),
    line("destination <address>", "undo destination", at="interface"),
    line("tunnel vpn-instance <instance>", "undo tunnel vpn-instance", at="interface", uses=("instance {instance}",)),
    line(
        "tunnel protection ipsec profile <profile>",
        "undo tunnel protection ipsec profile",
        at="interface",
        uses=("ipsec profile {profile}",),
    ),
    line("ipv6 address {address}", at="interface", of="instance of {interface}"),
    line("shutdown", at="interface"),
    line(
        "bfd {what:min-transmit-interval|min-receive-interval|detect-multiplier} <value>",
        "undo bfd {what}",
        at="interface",
    ),
    *(
        rule
        for words in ("ospf", "ospfv3")
        for rule in (
            line(
                f"{words} <process:[0-9]+> area <area>",
                f"undo {words} {{process}} area",
                at="interface",
                over=False,
                uses=(words + " {process}",),
            ),
            line(f"{words} {{what:network-type|cost}} <value>", f"undo {words} {{what}}", at="interface"),
            line(f"{words} timer {{what:hello|dead}} <value>", f"undo {words} timer {{what}}", at="interface"),
            line(f"{words} bfd enable", at="interface"),
        )
    ),
)

_OSPF = (
    line("router-id <id>", "undo router-id", at="ospf"),
    *(
        line(
            f"import-route {what} allow-ibgp [cost <cost>] [route-policy <map>]",
            f"undo import-route {what}",
            at="ospf",
            over=False,
            uses=("route-policy {map}", "bgp"),
        )
        for what in ("bgp", "bgp4+")
    ),
    line("preference ase <value>", "undo preference ase", at="ospf"),
    line("preference <value>", "undo preference", at="ospf"),
    line("silent-interface {interface}", at="ospf"),
    line("spf-schedule-interval <value+>", "undo spf-schedule-interval", at="ospf"),
    line("area {area}", at="ospf", opens="area"),
)

_BGP = (
    line("router-id <id>", "undo router-id", at="bgp"),
    line("timer keepalive <alive> hold <hold>", "undo timer", at="bgp"),
    line("peer {peer} as-number <asn>", "undo peer {peer}", at="bgp", over=False, gives=(PEER,)),
    line("peer {peer} bfd", at="bgp", of=PEER),
    line("peer {peer} {what:description|connect-interface} <value+>", "undo peer {peer} {what}", at="bgp", of=PEER),
    line("peer {peer} ignore", at="bgp", of=PEER),
    line("address-family {family:ipv4|ipv6} unicast", "", at="bgp", opens="family"),
    line("preference <value+>", "undo preference", at="family"),
    line("network {address} {mask}", at="family"),
    line("aggregate {address} {mask} [<how>]", "undo aggregate {address} {mask}", at="family"),
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
        "undo peer {peer} route-policy {map} {way}",
        at="family",
        of=PEER,
        uses=("route-policy {map}",),
        gives=("policy of {peer}",),
    ),
)

RULES = Rules(
    name="comware",
    lines=(*_TOP, *_INTERFACE, *_OSPF, *_BGP),
    leaves=(("", "quit"),),
    first=r" sysname ",
    last="return",
    noise=("#", "version 7", "undo shutdown", "port link-mode "),
    guards=(
        Guard(
            f"^interface {MANAGEMENT}$",
            r"shutdown|(undo )?ip address.*|(undo )?ip binding .*",
            f"{MANAGEMENT} is the way to the device",
            refused=True,
        ),
        Guard(f"^interface {MANAGEMENT}$", ".*", f"{MANAGEMENT} is the way to the device"),
        Guard(
            "^security-zone",
            f"undo import interface {MANAGEMENT}",
            f"{MANAGEMENT} is the way to the device",
            refused=True,
        ),
        Guard(
            "^security-policy ip", "undo rule name base.management", "the management path comes in by it", refused=True
        ),
        *(
            Guard(section, command, "the switch is managed over it", refused=True)
            for section, command in (
                (r"^interface Vlan-interface\d+$", r"shutdown|undo ip address.*|ip address \S+ \S+|undo ipv6 .*"),
                ("^$", r"undo interface Vlan-interface\d+"),
            )
        ),
        Guard(r"^interface Bridge-Aggregation\d+$", ".*", "the other switch is managed over it"),
        Guard("^$", "undo ssh server enable", "SSH is the way to the device", refused=True),
        Guard("^line vty ", ".*", "the terminals are the way to the device"),
        Guard("^$", "(undo )?ssh .*", "administrators come in there"),
        Guard("^acl (ipv6 )?basic 2000$", ".*", "administrators come from these prefixes"),
    ),
)
