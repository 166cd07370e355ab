"""The engine under another dialect's rules: another negation, lists of VLANs, filters that are bound, peers that cannot be changed."""

from __future__ import annotations

from inventory import config, console, remedy
from inventory.config import Config
from inventory.console import Behaviour, Effect
from inventory.rules import Rule, Rules, grammar

PEER = "peer {peer}"

RULES = Rules(
    name="undo",
    lines=(
        Rule("sysname <name>", remove="undo sysname"),
        Rule("ntp server {server}", remove="undo ntp server {server}"),
        # Lists are read member by member.
        Rule("vlan {vlan}", remove="undo vlan {vlan}", gives=("vlan {vlan}",)),
        Rule("acl {acl}", opens="acl", remove="undo acl {acl}", gives=("acl {acl}",)),
        Rule("rule {number} <what+>", at="acl", remove="undo rule {number}"),
        Rule("interface {interface}", opens="interface", remove=""),
        Rule("trunk {vlan}", at="interface", remove="undo trunk {vlan}", uses=("vlan {vlan}",)),
        Rule("filter <acl>", at="interface", remove="undo filter", uses=("acl {acl}",)),
        Rule("ip address <address>", at="interface", remove="undo ip address"),
        Rule("bgp <asn>", opens="bgp", over=False, remove="undo bgp"),
        # Another AS number is refused as long as the peer is there.
        Rule("peer {peer} as-number <asn>", at="bgp", over=False, remove="undo peer {peer}", gives=(PEER,)),
        Rule("peer {peer} {what} <value>", at="bgp", remove="undo peer {peer} {what}", of=PEER),
    ),
    leaves=(("", "quit"),),
    first="sysname ",
    last="return",
    noise=("#",),
)

BEHAVIOUR = Behaviour(
    effects=(
        Effect("", r"sysname \S+", erases=("sysname",)),
        Effect("", r"ntp server \S+"),
        Effect("", r"vlan \S+"),
        Effect("", r"undo (.+)", writes="", erases=(r"\1",), drops=r"\1( .*)?"),
        Effect("", r"acl \S+", enters="acl"),
        Effect("", r"interface \S+", enters="interface"),
        Effect("", r"bgp \S+", enters="bgp", alone=r"bgp \S+"),
        Effect("acl", r"rule (\S+) .+", erases=(r"rule \1",)),
        Effect("acl", r"undo (rule \S+)", writes="", erases=(r"\1",)),
        Effect("interface", r"trunk (\S+)", needs=(r"vlan \1",)),
        Effect("interface", r"filter (\S+)", erases=("filter",)),
        Effect("interface", r"ip address (\S+)", erases=("ip address",)),
        Effect("interface", r"undo (.+)", writes="", erases=(r"\1",)),
        Effect("bgp", r"peer (\S+) as-number \S+", passed=(r"peer \1 as-number", "")),
        Effect("bgp", r"peer (\S+) (\S+) \S+", erases=(r"peer \1 \2",), needs=(r"peer \1 as-number",)),
        Effect("bgp", r"undo (peer .+)", writes="", erases=(r"\1",)),
    ),
    leaves=frozenset({"quit"}),
    vanishing=frozenset({"interface"}),
)


def read(*lines: str) -> Config:
    return config.read("\n".join(["#", *lines, "return", ""]), RULES)


def commands(running: Config, rendered: Config) -> list[str]:
    """The commands, which lead there on the simulated device."""
    made = list(remedy.plan(running, rendered, grammar(RULES)).commands)
    assert console.apply(running, made, BEHAVIOUR).same(rendered)
    return [line.strip() for line in made]


def test_of_a_list_only_what_differs_comes_and_goes() -> None:
    """No VLAN that stays is taken off a trunk; a new one is there before it is used, an old one goes after its last use."""
    running = read("vlan 10", "vlan 20", "vlan 30", "interface G1", " trunk 10", " trunk 20", " trunk 30")
    rendered = read("vlan 10", "vlan 30", "vlan 40", "interface G1", " trunk 10", " trunk 30", " trunk 40")
    assert commands(running, rendered) == [
        "vlan 40", "interface G1", "trunk 40", "undo trunk 20", "quit", "undo vlan 20",
    ]  # fmt: skip


def test_a_filter_is_whole_before_it_is_bound() -> None:
    running = read("interface G1", " ip address 192.0.2.1/24")
    rendered = read(
        "acl 3000", " rule 5 permit a", " rule 10 deny b", "interface G1", " ip address 192.0.2.1/24", " filter 3000"
    )
    assert commands(running, rendered) == [
        "acl 3000", "rule 5 permit a", "rule 10 deny b", "quit", "interface G1", "filter 3000", "quit",
    ]  # fmt: skip
    assert commands(rendered, running) == ["interface G1", "undo filter", "quit", "undo acl 3000"]


def test_a_rule_in_the_middle_is_one_command() -> None:
    running = read("acl 3000", " rule 5 permit a", " rule 15 deny c")
    rendered = read("acl 3000", " rule 5 permit a", " rule 10 permit b", " rule 15 deny c")
    assert commands(running, rendered) == ["acl 3000", "rule 10 permit b", "quit"]


def test_a_peer_goes_at_once_and_not_by_attributes() -> None:
    running = read(
        "bgp 1", " peer 192.0.2.1 as-number 2", " peer 192.0.2.1 description x", " peer 192.0.2.1 keepalive 5"
    )
    assert commands(running, read("bgp 1")) == ["bgp 1", "undo peer 192.0.2.1", "quit"]


def test_a_peer_that_has_to_go_for_a_moment_comes_back_whole() -> None:
    """What stays the same goes with it, and is written again."""
    lines = [" peer 192.0.2.1 as-number {}", " peer 192.0.2.1 description x", " peer 192.0.2.1 keepalive 5"]
    running, rendered = (read("bgp 1", *(line.format(asn) for line in lines)) for asn in (2, 3))
    assert commands(running, rendered) == [
        "bgp 1", "undo peer 192.0.2.1", "peer 192.0.2.1 as-number 3", "peer 192.0.2.1 description x",
        "peer 192.0.2.1 keepalive 5", "quit",
    ]  # fmt: skip


def test_a_change_of_everything_at_once() -> None:
    running = read(
        "sysname a", "ntp server 192.0.2.7", "vlan 10", "acl 3000", " rule 5 permit a", "interface G1", " filter 3000",
        " trunk 10", "bgp 1", " peer 192.0.2.1 as-number 2",
    )  # fmt: skip
    rendered = read(
        "sysname b", "ntp server 192.0.2.8", "vlan 20", "acl 3001", " rule 5 permit b", "interface G1", " filter 3001",
        " trunk 20", "bgp 9", " peer 192.0.2.1 as-number 2",
    )  # fmt: skip
    made = commands(running, rendered)
    assert made.index("filter 3001") < made.index("undo acl 3000") and made.index("rule 5 permit b") < made.index(
        "filter 3001"
    )
    assert made.index("undo bgp") < made.index("bgp 9") < made.index("peer 192.0.2.1 as-number 2")
    assert commands(rendered, running)
