"""How IOS-XE's lines hang together, as its terminal takes them and `show running-config` shows them.

Source: Cisco's IOS-XE 17 command references and configuration guides; docs/dialects.md says what was not compared with a page.
"""

from __future__ import annotations

from inventory.rules import Guard, Rule, Rules

MANAGEMENT = "GigabitEthernet0"
"""The interface that reaches the device itself."""
PEER = "neighbour {peer}"

_KEYS = (
    Rule("crypto ikev2 proposal {proposal}", opens="ikev2", gives=("ikev2 proposal {proposal}",)),
    Rule("{what:encryption|integrity|group} <value>", at="ikev2", remove="no {what}"),
    Rule("crypto ikev2 policy {policy}", opens="ikev2 policy"),
    Rule("match fvrf <vrf>", at="ikev2 policy", uses=("vrf {vrf}",)),
    Rule("proposal {proposal}", at="ikev2 policy", uses=("ikev2 proposal {proposal}",)),
    Rule("crypto ikev2 keyring {ring}", opens="ring", gives=("keyring {ring}",)),
    Rule("peer {peer}", at="ring", opens="ring peer"),
    Rule("address <address>", at="ring peer", remove="no address"),
    Rule("crypto ikev2 profile {partner}", opens="ikev2 profile", gives=("ikev2 profile {partner}",)),
    Rule("match fvrf <vrf>", at="ikev2 profile", uses=("vrf {vrf}",)),
    Rule("match identity remote address {address} {mask}", at="ikev2 profile"),
    Rule("authentication {side:remote|local} <how>", at="ikev2 profile"),
    Rule("keyring local <ring>", at="ikev2 profile", remove="no keyring local", uses=("keyring {ring}",)),
    Rule(
        "crypto ipsec transform-set {set} <transforms+>",
        opens="esp",
        remove="no crypto ipsec transform-set {set}",
        gives=("transform-set {set}",),
    ),
    Rule("mode <mode>", at="esp", remove="no mode"),
    Rule("crypto ipsec profile {profile}", opens="profile", gives=("ipsec profile {profile}",)),
    Rule("set transform-set <set>", at="profile", remove="no set transform-set", uses=("transform-set {set}",)),
    Rule("set ikev2-profile <partner>", at="profile", remove="no set ikev2-profile", uses=("ikev2 profile {partner}",)),
)
"""What encrypts lines. Secrets are compared by nobody."""

_SWITCH = (
    Rule("ip routing"),
    Rule("spanning-tree mode <mode>", remove="no spanning-tree mode"),
    Rule("spanning-tree extend system-id"),
    Rule("spanning-tree vlan {vlan} priority <value>", remove="no spanning-tree vlan {vlan} priority"),
    Rule("vlan {vlan}", opens="vlan", gives=("vlan {vlan}", "room of Vlan{vlan}")),
    Rule("name <name>", at="vlan", remove="no name"),
    Rule("interface Vlan1", opens="interface", remove=""),
    Rule(
        "interface {interface:Vlan\\d+}",
        opens="interface",
        gives=("interface {interface}",),
        uses=("room of {interface}",),
    ),
    Rule("interface {interface:Port-channel\\d+}", opens="interface", gives=("interface {interface}",)),
    Rule("switchport mode <mode>", at="interface", remove="no switchport mode"),
    Rule("switchport nonegotiate", at="interface"),
    Rule("switchport access vlan <vlan>", at="interface", remove="no switchport access vlan", uses=("vlan {vlan}",)),
    Rule(
        "switchport trunk native vlan <vlan>",
        at="interface",
        remove="no switchport trunk native vlan",
        uses=("vlan {vlan}",),
    ),
    # Written whole, in one command: taken away and added to, it would cut the trunk or carry everything for a moment.
    Rule("switchport trunk allowed vlan <list>", at="interface", remove="no switchport trunk allowed vlan"),
    Rule("spanning-tree portfast [<kind>]", at="interface", remove="no spanning-tree portfast"),
    Rule("spanning-tree bpduguard enable", at="interface", remove="no spanning-tree bpduguard"),
    Rule(
        "channel-group <group> mode <how>",
        at="interface",
        over=False,
        remove="no channel-group",
        uses=("interface Port-channel{group}",),
    ),
)
"""Of switches."""

_PAIR = (
    Rule("parameter-map type inspect global", opens="global", remove=""),
    Rule("redundancy", at="global"),
    Rule("redundancy", opens="redundancy", remove=""),
    Rule("application redundancy", at="redundancy", opens="groups", remove=""),
    Rule("group {group}", at="groups", opens="group", gives=("redundancy group {group}",)),
    Rule("name <name>", at="group", remove="no name"),
    Rule("preempt", at="group"),
    Rule("priority <value+>", at="group", remove="no priority"),
    Rule("control <port> protocol <protocol>", at="group", over=False, remove="no control {port} protocol {protocol}"),
    Rule("data <port>", at="group", over=False, remove="no data {port}"),
    Rule("track {object} decrement <value>", at="group", remove="no track {object}", uses=("object {object}",)),
    # What it follows is said once; another interface only from none.
    Rule(
        "track {object} interface <port> line-protocol",
        over=False,
        remove="no track {object}",
        gives=("object {object}",),
    ),
    Rule("track {object} list boolean or", opens="list", remove="no track {object}", gives=("object {object}",)),
    Rule("object {member}", at="list", uses=("object {member}",)),
    Rule(
        "redundancy rii <number>", at="interface", over=False, remove="no redundancy rii", gives=("rii of {interface}",)
    ),
    Rule(
        "redundancy group {group} {family:ip|ipv6} {address} exclusive [decrement <value>]",
        at="interface",
        remove="no redundancy group {group} {family} {address}",
        uses=("redundancy group {group}", "rii of {interface}", "{family} of {interface}"),
    ),
)
"""Of one of two firewalls."""

_TOP = (
    *_PAIR,
    *_SWITCH,
    *_KEYS,
    Rule("hostname <name>", remove="no hostname"),
    Rule("vrf definition {vrf}", opens="vrf", gives=("vrf {vrf}",)),
    Rule("address-family {family}", at="vrf", opens="vrf family"),
    Rule("aaa new-model", gives=("aaa",)),
    Rule("aaa {what:authentication|authorization} {kind} {list} <how+>", uses=("aaa",)),
    Rule("aaa session-id <how>"),
    Rule("ip domain name <name>", remove="no ip domain name"),
    Rule("ip name-server {address}"),
    Rule("ipv6 unicast-routing"),
    Rule("parser view {view}", opens="view", gives=("view {view}",), uses=("aaa",)),
    Rule("commands {words+}", at="view"),
    Rule("class-map type inspect {how:match-all|match-any} {class}", opens="class", gives=("class {class}",)),
    Rule("description <text+>", at="class", remove="no description"),
    Rule("match access-group name {list}", at="class", uses=("access-list {list}",)),
    Rule("match protocol {protocol}", at="class"),
    Rule("policy-map type inspect {policy}", opens="policy", gives=("policy-map {policy}",)),
    Rule("class type inspect {class}", at="policy", opens="action", uses=("class {class}",)),
    Rule("class class-default", at="policy", opens="action", remove=""),
    *(Rule(words, at="action", once="action") for words in ("inspect", "pass", "drop", "drop log")),
    Rule("zone security {zone}", opens="zone", gives=("zone {zone}",)),
    Rule("description <text+>", at="zone", remove="no description"),
    Rule(
        "zone-pair security {pair} source <source> destination <target>",
        opens="pair",
        over=False,
        remove="no zone-pair security {pair}",
        uses=("zone {source}", "zone {target}"),
        gives=("pair {pair}",),
    ),
    Rule("service-policy type inspect <policy>", at="pair", over=False, uses=("policy-map {policy}",)),
    Rule("interface {interface:\\S+[.]\\d+}", opens="interface", gives=("interface {interface}",)),
    Rule("interface {interface:Tunnel[0-9]+}", opens="interface", gives=("interface {interface}",)),
    Rule("interface {interface:Loopback[0-9]+}", opens="interface", gives=("interface {interface}",)),
    Rule("interface {interface}", opens="interface", remove=""),
    Rule("router ospf {process}", opens="ospf", gives=("ip ospf {process}",)),
    Rule("ipv6 router ospf {process}", opens="ospf", gives=("ipv6 ospf {process}",)),
    # One instance: another number cannot be written over it.
    Rule("router bgp <asn>", opens="bgp", over=False, gives=("router bgp",)),
    Rule("no ip http {what}", remove="ip http {what}"),
    Rule("ip ssh version <version>", remove="no ip ssh version"),
    # One route a prefix and next hop: another distance is another value of it.
    Rule("ip route {prefix} {mask} {via} [<distance>]", remove="no ip route {prefix} {mask} {via}"),
    Rule("ipv6 route {prefix} {via} [<distance>]", remove="no ipv6 route {prefix} {via}"),
    Rule("ip access-list {kind:standard|extended} {list}", opens="entries", gives=("access-list {list}",)),
    Rule("ipv6 access-list {list}", opens="entries", gives=("access-list {list}",)),
    # A number that is taken has to go first; the same entry under a second number is refused.
    Rule("{number:[0-9]+} <entry+>", at="entries", remove="no {number}", over=False, once="entry {list} {entry}"),
    Rule(
        "sequence {number} <entry+>",
        at="entries",
        remove="no sequence {number}",
        over=False,
        once="entry {list} {entry}",
    ),
    *(
        Rule(
            f"{family} prefix-list {{list}} seq {{seq}} <entry+>",
            remove=f"no {family} prefix-list {{list}} seq {{seq}}",
            over=False,
            gives=(f"{family} prefix-list {{list}}",),
            once=f"{family} prefix-list {{list}} {{entry}}",
        )
        for family in ("ip", "ipv6")
    ),
    Rule("route-map {map} <action> {seq}", opens="route-map", gives=("route-map {map}",)),
    # A second list is added to the first.
    Rule("match ip address prefix-list <list>", at="route-map", over=False, uses=("ip prefix-list {list}",)),
    Rule("match ipv6 address prefix-list <list>", at="route-map", over=False, uses=("ipv6 prefix-list {list}",)),
    Rule("set {what:local-preference|metric} <value>", at="route-map"),
    Rule("description <text+>", at="route-map", remove="no description"),
    Rule("logging {what:trap|source-interface} <value>", remove="no logging {what}"),
    Rule("logging tls-profile {profile}", opens="tls", gives=("tls {profile}",)),
    Rule(
        "logging host ipv6 {address} transport tls profile <profile>",
        remove="no logging host ipv6 {address}",
        uses=("tls {profile}",),
    ),
    Rule(
        "logging host {address} transport tls profile <profile>",
        remove="no logging host {address}",
        uses=("tls {profile}",),
    ),
    Rule("logging host ipv6 {address}"),
    Rule("logging host {address}"),
    Rule("snmp-server group {group} v3 <how+>", remove="no snmp-server group {group} v3 priv", over=False),
    Rule("snmp-server view {view} {tree} <how>", remove="no snmp-server view {view} {tree}"),
    Rule("line {kind} {first} [{last}]", opens="line", remove=""),
    Rule("access-class {list} in [<where>]", at="line", over=False, uses=("access-list {list}",)),
    Rule("ipv6 access-class {list} in", at="line", over=False, uses=("access-list {list}",)),
    Rule("exec-timeout <value+>", at="line", remove="no exec-timeout"),
    Rule("transport input <what+>", at="line", remove="no transport input"),
    Rule("ntp server {address} [<how+>]", remove="no ntp server {address}"),
)

_INTERFACE = (
    Rule("description <text+>", at="interface", remove="no description"),
    Rule("encapsulation dot1Q <vlan>", at="interface", gives=("vlan of {interface}",)),
    Rule(
        "vrf forwarding <vrf>",
        at="interface",
        over=False,
        remove="no vrf forwarding",
        uses=("vrf {vrf}",),
        sweeps=True,
        gives=("vrf of {interface}",),
    ),
    # A second address stands beside the first one, and no address is both.
    Rule(
        "ip address {address} {mask} secondary",
        at="interface",
        of="first of {interface}",
        once="{address} of {interface}",
    ),
    Rule(
        "ip address <address> <mask>",
        at="interface",
        remove="no ip address",
        gives=("first of {interface}", "ip of {interface}"),
        uses=("vlan of {interface}",),
        of="vrf of {interface}",
        once="{address} of {interface}",
    ),
    Rule("ip address dhcp", at="interface", remove="no ip address", of="vrf of {interface}"),
    Rule("{family:ip|ipv6} mtu <bytes>", at="interface", remove="no {family} mtu"),
    Rule("ip tcp adjust-mss <bytes>", at="interface", remove="no ip tcp adjust-mss"),
    # The table below the tunnel first: until then the line itself has the tunnel's addresses.
    Rule(
        "tunnel source <below>",
        at="interface",
        remove="no tunnel source",
        uses=("interface {below}", "vrf of {below}"),
    ),
    Rule("tunnel destination <address>", at="interface", remove="no tunnel destination"),
    Rule("tunnel vrf <vrf>", at="interface", remove="no tunnel vrf", uses=("vrf {vrf}",)),
    Rule(
        "tunnel protection ipsec profile <profile>",
        at="interface",
        remove="no tunnel protection ipsec profile",
        uses=("ipsec profile {profile}",),
    ),
    Rule(
        "ipv6 address {address}",
        at="interface",
        uses=("vlan of {interface}",),
        of="vrf of {interface}",
        gives=("ipv6 of {interface}",),
    ),
    Rule("ipv6 nd ra suppress all", at="interface"),
    Rule("no ip {what:redirects|proxy-arp|unreachables}", at="interface", remove="ip {what}"),
    Rule("zone-member security <zone>", at="interface", over=False, uses=("zone {zone}",)),
    Rule("bfd interval <timers+>", at="interface", remove="no bfd interval", gives=("bfd of {interface}",)),
    Rule("shutdown", at="interface"),
    *(
        rule
        for words in ("ip ospf", "ipv6 ospf")
        for rule in (
            Rule(
                f"{words} {{what:cost|dead-interval|hello-interval|network}} <value>",
                at="interface",
                remove=f"no {words} {{what}}",
            ),
            Rule(f"{words} bfd", at="interface", uses=("bfd of {interface}",)),
            Rule(f"{words} <process> area <area>", at="interface", over=False, uses=(words + " {process}",)),
        )
    ),
)

_OSPF = (
    Rule("router-id <id>", at="ospf", remove="no router-id"),
    Rule("timers throttle spf <value+>", at="ospf", remove="no timers throttle spf"),
    Rule(
        "redistribute bgp {asn} [metric <metric>] [route-map <map>]",
        at="ospf",
        remove="no redistribute bgp {asn}",
        over=False,
        uses=("route-map {map}", "router bgp"),
    ),
    Rule("passive-interface {interface}", at="ospf"),
    Rule("distance ospf external <value>", at="ospf", remove="no distance ospf external"),
)

_BGP = (
    Rule("bgp router-id <id>", at="bgp", remove="no bgp router-id"),
    Rule("bgp log-neighbor-changes", at="bgp"),
    Rule("no bgp default ipv4-unicast", at="bgp", remove="bgp default ipv4-unicast", gives=("activation by name",)),
    Rule("timers bgp <value+>", at="bgp", remove="no timers bgp"),
    Rule(
        "neighbor {peer} remote-as <asn>",
        at="bgp",
        over=False,
        remove="no neighbor {peer}",
        gives=(PEER,),
        uses=("activation by name",),
    ),
    Rule("neighbor {peer} fall-over bfd", at="bgp", of=PEER),
    Rule(
        "neighbor {peer} {what:description|update-source} <value+>",
        at="bgp",
        of=PEER,
        remove="no neighbor {peer} {what}",
    ),
    Rule("neighbor {peer} timers <value+>", at="bgp", of=PEER, remove="no neighbor {peer} timers"),
    Rule("neighbor {peer} shutdown", at="bgp", of=PEER),
    Rule("address-family {afi} [{safi}]", at="bgp", opens="family", remove=""),
    Rule("bgp redistribute-internal", at="family"),
    Rule("network {prefix} mask {mask}", at="family"),
    Rule("network {prefix}", at="family"),
    Rule("aggregate-address {prefix:\\S+:\\S*} [<how>]", at="family", remove="no aggregate-address {prefix}"),
    Rule("aggregate-address {prefix} {mask} [<how>]", at="family", remove="no aggregate-address {prefix} {mask}"),
    # What a second line says is added to what the first said.
    Rule(
        "redistribute {protocol} [{process:[0-9]+}] [metric <metric>] [route-map <map>]",
        at="family",
        remove="no redistribute {protocol} {process}",
        over=False,
        uses=("route-map {map}",),
    ),
    # Last of all: a neighbour that is on without its policies takes and gives everything.
    Rule("neighbor {peer} activate", at="family", of=PEER, uses=("policy of {peer}",)),
    Rule("neighbor {peer} next-hop-self", at="family", of=PEER),
    Rule(
        "neighbor {peer} route-map <map> {way:in|out}",
        at="family",
        of=PEER,
        uses=("route-map {map}",),
        gives=("policy of {peer}",),
    ),
)

RULES = Rules(
    name="iosxe",
    lines=(*_TOP, *_INTERFACE, *_OSPF, *_BGP),
    leaves=(("", "exit"), ("family", "exit-address-family"), ("vrf family", "exit-address-family")),
    first=r"hostname ",
    last="end",
    noise=(
        "!",
        "Building configuration...",
        "Current configuration ",
        "Last configuration change",
        "version ",
        "no ip address",
        "negotiation auto",
        "no shutdown",
    ),
    guards=(
        Guard(
            f"^interface {MANAGEMENT}$",
            r"shutdown|(no )?ip(v6)? address .*|no ip address|(no )?vrf forwarding.*",
            f"{MANAGEMENT} is the way to the device",
            refused=True,
        ),
        Guard(f"^interface {MANAGEMENT}$", ".*", f"{MANAGEMENT} is the way to the device"),
        *(
            Guard(section, command, "the switch is managed over it", refused=True)
            for section, command in (
                (r"^interface Vlan(?!1$)\d+$", r"shutdown|no ip address.*|ip address \S+ \S+|no ipv6 address .*"),
                ("^$", r"no interface Vlan\d+"),
            )
        ),
        Guard(r"^interface Port-channel\d+$", ".*", "the other switch is managed over it"),
        Guard(
            "^line vty ",
            r"no transport input.*|transport input (none|telnet)",
            "SSH is the way to the device",
            refused=True,
        ),
        Guard("^line vty ", ".*", "the terminals are the way to the device"),
        Guard("^$", r"(no )?aaa .*", "who may come in is decided there"),
        Guard("access-list (standard )?managers6?$", ".*", "administrators come from these prefixes"),
    ),
)
