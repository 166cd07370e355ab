"""Changes made by hand, as entries of the plan: each case on the rendered text of the pilot, and the entries compiled again."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
import yaml
from typer.testing import CliRunner

import jinbao
from ground import clock, reach
from ground.mistake import Mistake, Mistakes
from ground.reach import Reach
from inventory import acceptance, render
from inventory.adopt import adopting
from inventory.adopt.proposal import Adoption, Proposal
from inventory.adopt.rules import PROPOSED_DAYS
from inventory.dialects.frr.running import DIALECT as FRR
from inventory.dialects.nftables.running import DIALECT as NFTABLES
from inventory.proof import filters, interval, nftables, passing
from ip_plan import plan as plans
from ip_plan.compile import compiled
from tests.inventory.pilot import AT, FIREWALL, OFFICE, ROUTER, TODAY, Place
from tests.ip_plan.test_exceptions import lay

FORWARD, INPUT = '    counter drop comment "base:default"\n  }\n\n  chain output', "    jump sources"


def ruled(place: Place, *lines: str, chain: str = FORWARD, device: str = FIREWALL) -> str:
    """What a firewall runs with rules put in by hand."""
    text = place.running(device, NFTABLES)
    assert chain in text
    return text.replace(chain, "".join(f"    {place.filled(line)}\n" for line in lines) + chain, 1)


BASE = {"requester": "", "reason": "", "approver": "", "ticket": "", "expires": "2026-12-01"}


@pytest.mark.parametrize(
    ("lines", "chain", "entry"),
    [
        (
            ('iifname "z-management" oifname "z-production" tcp dport 8443 counter accept',),
            FORWARD,
            {"from": "management", "to": "production", "relation": "same-centre", "ports": ["tcp/8443"],
             "regions": ["640100"]},
        ),
        (
            ("ip saddr <640100:management> ip daddr <640100:production:db> tcp dport { 8443, 9443 } accept",),
            FORWARD,
            {"from": "management", "to": "production", "relation": "same-centre", "ports": ["tcp/8443", "tcp/9443"],
             "to_service": "db", "regions": ["640100"]},
        ),
        (
            ('iifname "i-r1" ip saddr <640121:access> ip daddr <640100:exchange> udp dport 514 ct state new accept',),
            FORWARD,
            {"from": "access", "to": "exchange", "relation": "serving-parent", "ports": ["udp/514"],
             "from_levels": ["county"], "to_levels": ["prefecture"], "regions": ["640121"]},
        ),
        (
            ("ip saddr <640100:access> ip daddr <640121:access> icmp type echo-request accept",
             "ip saddr <640100:access> ip daddr <640121:access> tcp dport 22 accept"),
            FORWARD,
            {"from": "access", "to": "access", "relation": "served-child", "ports": ["icmp/echo", "tcp/22"],
             "from_levels": ["prefecture"], "to_levels": ["county"], "regions": ["640121"]},
        ),
        (
            ('iifname "z-backup" tcp dport 8022 accept',),
            INPUT,
            {"from": "backup", "to": "transit", "relation": "same-centre", "ports": ["tcp/8022"], "regions": ["640100"]},
        ),
    ],
    ids=["interfaces", "service", "from-a-county", "to-a-county", "the-firewall-itself"],
)  # fmt: skip
def test_an_accept_rule_becomes_an_exception(
    place: Place, lines: tuple[str, ...], chain: str, entry: dict[str, object]
) -> None:
    found = place.adopt(FIREWALL, NFTABLES, ruled(place, *lines, chain=chain))
    assert found.refused == ()
    (proposal,) = found.proposals
    assert proposal.key == "exceptions" and len(proposal.lines) == len(lines)
    said = dict(proposal.entry)
    assert str(said.pop("id")).startswith("HAND-")
    assert said == BASE | entry


def test_what_an_exception_opens_beyond_the_rule_is_told(place: Place) -> None:
    line = "ip saddr <640100:management:metrics> ip daddr <640100:production> tcp dport 8443 accept"
    (proposal,) = place.adopt(FIREWALL, NFTABLES, ruled(place, line)).proposals
    assert proposal.entry["from_service"] == "metrics" and proposal.wider == ("IPv6 as well as IPv4",)
    held = place.filled("<640100:production>").partition("/")[0]
    line = f"ip saddr <640100:management> ip daddr {held[: held.rindex('.')]}.9 tcp dport 8443 accept"
    (proposal,) = place.adopt(FIREWALL, NFTABLES, ruled(place, line)).proposals
    assert proposal.wider[0].startswith("all of production of 640100:centre1, not ")


def test_an_address_put_into_a_set_is_an_opening_for_each_rule_of_the_set(place: Place) -> None:
    """A county's management zone among those of access: the exchange zone may be opened to it, the production zone may not."""
    added = place.filled("<640121:management>")
    text = re.sub(
        r"(set child-access-4 {[^}]*elements = {)", rf"\1 {added},", place.running(FIREWALL, NFTABLES), count=1
    )
    found = place.adopt(FIREWALL, NFTABLES, text)
    assert {(one.entry["from"], one.entry["to"], *one.entry["regions"]) for one in found.proposals} == {
        ("management", "exchange", "640121")
    }
    assert all("set child-access-4" in line for one in found.proposals for line in one.lines)
    assert {one.code for one in found.refused} == {"JB2430", "JB2431"}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("ip saddr 203.0.113.0/24 tcp dport 22 accept", "lies in no zone of the plan"),
        ("ip saddr 10.0.0.0/8 tcp dport 22 accept", "lies in no zone of the plan, or in more"),
        ("tcp dport 22 accept", "it does not say who opens"),
        ('iifname "z-management" tcp dport 22 accept', "it does not say what is reached"),
        ('iifname "z-management" oifname "z-production" accept', "it names no port"),
        ('iifname "z-management" oifname "z-production" tcp dport 1-1024 accept', "a range of ports"),
        ('iifname "z-management" oifname "z-production" tcp sport 22 tcp dport 22 accept', "knows nothing of sport"),
        ('iifname "z-management" oifname "z-production" ct state established tcp dport 22 accept', "no new connections"),
        ('iifname "z-management" oifname "z-production" tcp dport 22 limit rate 5/second accept', "at any rate"),
        ('iifname "z-access" tcp dport 22 drop', "only a rule that accepts"),
        ('iifname "z-access" meta mark 7 accept', "meta mark"),
        ('iifname "z-access" oifname "z-production" ip saddr != 10.9.9.9 tcp dport 22 accept', "nothing by its contrary"),
        ("ip saddr <640100:access> ip daddr <640300:access> tcp dport 22 accept", "meet in no relation"),
        ("ip saddr <640300:access> ip daddr <640000:access> tcp dport 22 accept", "is this device's site"),
        ('iifname "z-access" ip saddr <640100:backup> ip daddr <640100:exchange> tcp dport 22 accept',
         "does not lie in the zone behind z-access"),
        ("ip saddr <640100:access> ip daddr <640100:exchange:exchange> tcp dport 443 accept", "row FL-08 ("),
    ],
)  # fmt: skip
def test_what_no_row_can_say_is_told_plainly(place: Place, line: str, why: str) -> None:
    found = place.adopt(FIREWALL, NFTABLES, ruled(place, line))
    assert found.proposals == ()
    (said,) = found.refused
    assert said.code == "JB2431" and said.severity == "warning" and why in said.what, said


def test_what_is_forbidden_is_refused_with_its_prohibition(place: Place) -> None:
    lines = (
        "ip saddr <640121:access> ip daddr <640100:decision> tcp dport 443 accept",
        'iifname "z-management" oifname "z-production" tcp dport 8443 accept',
    )
    found = place.adopt(FIREWALL, NFTABLES, ruled(place, *lines))
    (refused,) = found.refused
    assert refused.code == "JB2430" and "NO-16 (S3 四(二)) forbids" in refused.what
    # The other one is proposed all the same.
    assert [proposal.entry["to"] for proposal in found.proposals] == ["production"]


def test_a_rule_that_was_taken_away_has_no_words(place: Place) -> None:
    text = re.sub(r"\n[^\n]*comment \"FL-01\"", "", place.running(FIREWALL, NFTABLES))
    found = place.adopt(FIREWALL, NFTABLES, text)
    assert found.proposals == () and {said.code for said in found.refused} == {"JB2431"}
    assert all("none that close it" in said.what for said in found.refused)


# --- routing ---------------------------------------------------------------------------------------------------------


def typed(place: Place, before: str, *lines: str, device: str = ROUTER) -> Adoption:
    text = place.running(device, FRR)
    added = "".join(f"{place.filled(line)}\n" for line in lines)
    assert re.search(before, text, re.MULTILINE), before
    return place.adopt(device, FRR, re.sub(before, lambda found: added + found[0], text, count=1, flags=re.MULTILINE))


def only(found: Adoption) -> Proposal:
    assert found.refused == ()
    (proposal,) = found.proposals
    return proposal


def test_a_neighbour_that_was_shut_is_a_line_left_out(place: Place) -> None:
    peers = [i for i in place.network.devices[ROUTER].interfaces if i.peer == "640000-r2"]
    assert len(peers) == 1
    lines = (f" neighbor {peers[0].peer4} shutdown", f" neighbor {peers[0].peer6} shutdown")
    proposal = only(typed(place, "^ !\n address-family ipv4", *lines))
    link = place.network.links[peers[0].link]
    assert proposal.key == "without"
    assert proposal.entry == {"region": "640100", "rank": link.rank, "reason": ""}
    assert len(proposal.lines) == 2 and link.id in proposal.wider[0]
    # All the lines of a neighbour that was removed say the same.
    text = place.running(ROUTER, FRR)
    gone = "\n".join(line for line in text.split("\n") if f"neighbor {peers[0].peer4} " not in line)
    assert only(place.adopt(ROUTER, FRR, gone)).entry == proposal.entry


def test_the_only_line_of_a_site_is_not_left_out(place: Place) -> None:
    found = typed(place, "^ !\n address-family ipv4", " neighbor <peer:640121-r1:640100-r1> shutdown", device=OFFICE)
    assert found.proposals == () and "is the only line of 640121:office1" in found.refused[0].what


def test_a_way_to_a_region_of_another_city_is_a_move(place: Place) -> None:
    route = "ip route <640323:access> <peer:640100-r1:640121-r1>"
    entry = {"kind": "move", "region": "640323", "to": "640100", "since": "2026-11-01", "reason": ""}
    assert only(typed(place, "^router bgp", route)).entry == entry
    allowed = "ip prefix-list FROM-640000-r1 seq 99 permit <640323:access>"
    found = only(typed(place, "^ip prefix-list", allowed))
    assert found.entry == entry | {"to": "640000"} and found.key == "changes"


@pytest.mark.parametrize(
    ("before", "line", "why"),
    [
        ("^router bgp", "ip route 203.0.113.0/24 192.0.2.1", "belongs to no region of the plan"),
        ("^router bgp", "ip route <640121:access> 192.0.2.1", "to which the plan makes its own way"),
        ("^router bgp", "ip route <640300:access> 192.0.2.1", "cannot move below"),
        ("^ip prefix-list", "ip prefix-list TO-640000-r1 seq 99 permit 10.0.0.0/8", "no key says a line of it"),
        ("^ip prefix-list", "ip prefix-list FROM-nobody seq 99 permit 10.0.0.0/8", "knows no neighbour nobody"),
        ("^ timers bgp", " neighbor 192.0.2.9 shutdown", "is no neighbour over a line"),
        ("^service integrated", "log stdout", "no key says a line of it"),
    ],
)
def test_routing_that_the_plan_cannot_say(place: Place, before: str, line: str, why: str) -> None:
    found = typed(place, before, line)
    assert found.proposals == () and why in found.refused[0].what and found.refused[0].code == "JB2431"


# --- the entries, filled in ------------------------------------------------------------------------------------------


def test_the_command_writes_entries_that_the_plan_takes_once_they_are_filled_in(place: Place, tmp_path: Path) -> None:
    reach.write(reach.file(place.state, AT), {FIREWALL: Reach(address="192.0.2.1", host_key="ssh-ed25519 AAAA")})
    text = ruled(place, 'iifname "z-management" oifname "z-production" tcp dport 8443 accept')
    place.seen(FIREWALL, NFTABLES, text)
    place.seen(FIREWALL, FRR, place.running(FIREWALL, FRR))
    words = ["config", "adopt", FIREWALL, "--plan", "pilot", "--at", AT, "--state", str(place.state)]
    out = tmp_path / "entries.yml"
    ran = CliRunner().invoke(jinbao.build(words), [*words, "--to", str(out)])
    assert ran.exit_code == 0 and ran.stdout == "", ran.output
    assert "chain forward: iifname" in out.read_text()
    (entry,) = yaml.safe_load(out.read_text())["exceptions"]
    assert entry["expires"] == str(clock.today() + timedelta(days=PROPOSED_DAYS))

    with pytest.raises(Mistakes) as blank:
        plans.load(lay(tmp_path / "plan", entry))
    assert [one.code for one in blank.value.found] == ["JB1014"] * 4
    filled = entry | {"requester": "a", "reason": "an outage", "approver": "b", "ticket": "T-1"}
    network = compiled(lay(tmp_path / "plan", filled), tmp_path / "state")
    render.write(tmp_path / "build", network, devices=[FIREWALL], lab=True)
    rendered = (tmp_path / "build" / FIREWALL / "files" / NFTABLES.target.lstrip("/")).read_text()
    assert f'tcp dport 8443 counter accept comment "{entry["id"]}"' in rendered
    # Nothing is proposed a second time.
    plan = plans.load(str(tmp_path / "plan"))
    remedy = acceptance.remedy(NFTABLES, FIREWALL, text, rendered, "running.conf")
    assert adopting.adopt(network, plan, remedy, text, TODAY).proposals == ()


def test_what_was_opened_by_hand_is_open_in_the_plan_that_adopted_it(place: Place, tmp_path: Path) -> None:
    """Rules of every relation, adopted and compiled at once: the rendered text lets their packets through, and no others."""
    site, county = "640100:centre1", "640121:office1"
    opened = [
        ("z-management", "z-production", (site, "management"), (site, "production"), "tcp", 8443),
        ("i-r1", "z-exchange", (county, "access"), (site, "exchange"), "udp", 514),
        ("z-access", "i-r1", (site, "access"), (county, "access"), "tcp", 22),
    ]
    held = {key: place.network.known_sites[key[0]].zone(key[1]) for one in opened for key in (one[2], one[3])}
    lines, packets = [], []
    for entry, exit, source, target, name, port in opened:
        one, other = held[source], held[target]
        assert one and other
        lines.append(f'iifname "{entry}" ip saddr {one.v4} ip daddr {other.v4} {name} dport {port} accept')
        for family, low, high in ((4, one.v4, other.v4), (6, one.v6, other.v6)):
            # The first addresses are the gateways'.
            ends = (interval.interval(low)[0] + 5, interval.interval(high)[0] + 5)
            packets.append(filters.Packet(family, entry, exit, *ends, name, port))
    found = place.adopt(FIREWALL, NFTABLES, ruled(place, *lines))
    assert found.refused == () and len(found.proposals) == len(opened)
    papers = {"requester": "a", "reason": "an outage", "approver": "b", "ticket": "T-1", "expires": str(clock.today())}
    network = compiled(
        lay(tmp_path / "plan", *({**one.entry, **papers} for one in found.proposals)), tmp_path / "state"
    )
    render.write(tmp_path / "build", network, devices=[FIREWALL], lab=True)
    before = nftables.read(place.rendered(FIREWALL, NFTABLES))
    after = nftables.read((tmp_path / "build" / FIREWALL / "files" / NFTABLES.target.lstrip("/")).read_text())
    for packet in packets:
        assert passing.verdict(after, "forward", packet)[0] and not passing.verdict(before, "forward", packet)[0]
        beside = msgspec.structs.replace(packet, port=packet.port + 1)
        assert not passing.verdict(after, "forward", beside)[0]


def test_the_plan_itself_is_not_written(place: Place, tmp_path: Path) -> None:
    plan = lay(tmp_path / "plan")
    words = ["config", "adopt", FIREWALL, "--plan", plan, "--at", AT, "--state", str(place.state)]
    ran = CliRunner().invoke(jinbao.build(words), [*words, "--to", f"{plan}/plan.yml"])
    assert ran.exit_code == 2 and "JB2432" in ran.stderr


def test_every_kind_of_entry_can_be_filled_in(place: Place, tmp_path: Path) -> None:
    """What stands under `without:` and `changes:` is taken as well, and blanks are not."""
    found = [
        typed(place, "^router bgp", "ip route <640323:access> <peer:640100-r1:640121-r1>"),
        typed(place, "^ !\n address-family ipv4", " neighbor <peer:640100-r1:640000-r2> shutdown"),
    ]
    parts = yaml.safe_load(adopting.fragment(found))
    assert parts.keys() == {"changes", "without"}
    with pytest.raises(Mistakes) as blank:
        plans.load(lay(tmp_path / "plan", **parts))
    assert [one.code for one in blank.value.found] == ["JB1014", "JB1014"]
    for entries in parts.values():
        entries[0]["reason"] = "a flood took the line"
    plans.load(lay(tmp_path / "plan", **parts))


def test_mistakes_of_the_copy_are_handed_on(place: Place) -> None:
    found = place.adopt(FIREWALL, NFTABLES, "table inet zone {")
    assert found.proposals == () and isinstance(found.refused[0], Mistake) and found.refused[0].code == "JB2103"
