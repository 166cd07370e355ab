"""Remediation: cases as files, random pairs, real texts with random mutations, and faults that have to be caught."""

from __future__ import annotations

import functools
import random
import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ground.mistake import Mistakes
from inventory import acceptance, console
from inventory.acceptance import Remedy
from inventory.config import Config
from inventory.dialect import Dialect
from inventory.dialects.frr.running import DIALECT as FRR
from inventory.dialects.nftables.running import DIALECT as NFTABLES
from inventory.diff import differences, fleet
from inventory.running import DIALECTS
from tests.inventory.proof import mutate

CASES = Path(__file__).parent / "remedy"
BAD = Path(__file__).parent / "bad" / "running"
GOLDEN = Path(__file__).parent / "golden"


def framed(dialect: str, text: str) -> str:
    """A configuration as the device prints it."""
    return f"frr version 8.4.4\n{text}end\n" if dialect == "frr" else text


def remedy(dialect: Dialect, running: str, rendered: str) -> Remedy:
    return acceptance.remedy(dialect, "r1", running, rendered, "running.conf")


def parts(path: Path) -> dict[str, str]:
    """The parts of a case: lines `== <name>`, each with the text below it."""
    found: dict[str, str] = {}
    name = ""
    for line in path.read_text().splitlines(keepends=True):
        if line.startswith("== "):
            name = line[3:].strip()
            found[name] = ""
        elif name:
            found[name] += line
    return found


@pytest.mark.parametrize("path", sorted(CASES.glob("*.txt")), ids=lambda path: path.stem)
def test_case(path: Path) -> None:
    """`dialect-name.txt`: running, rendered, and word for word the commands, what is told, and the way back."""
    dialect = next(one for one in DIALECTS if path.stem.startswith(one.name + "-"))
    case = parts(path)
    found = remedy(dialect, framed(dialect.name, case["running"]), framed(dialect.name, case["rendered"]))
    told = [f"stays: {' / '.join((*one.section, one.line))}" for one in found.kept]
    told += [f"last: {command}: {reason}" for command, reason in found.last]
    told += [f"{one.code}: {one.what}" for one in found.mistakes]
    assert "\n".join(found.commands) == case.get("commands", "").rstrip("\n")
    assert "\n".join(told) == case.get("told", "").rstrip("\n")
    if "way back" in case:
        assert "\n".join(found.rollback) == case["way back"].rstrip("\n")


@pytest.mark.parametrize("path", sorted(BAD.glob("*.conf")), ids=lambda path: path.stem)
def test_bad_running_configuration(path: Path) -> None:
    """`dialect-name.conf`, and what is said of it in `.txt`."""
    dialect = next(one for one in DIALECTS if path.stem.startswith(one.name + "-"))
    rendered = framed("frr", "hostname r1\n") if dialect is FRR else "table inet zone {\n}\n"
    found = acceptance.remedy(dialect, "r1", path.read_bytes().decode(), rendered, path.name)
    assert not found.commands
    assert "\n".join(map(str, found.mistakes)) + "\n" == path.with_suffix(".txt").read_text()


@settings(max_examples=60, deadline=None)
@given(st.sampled_from((FRR, NFTABLES)), st.data())
def test_a_copy_that_is_cut_off_anywhere_is_seen(dialect: Dialect, data: st.DataObject) -> None:
    text = golden()["640100-fw1"][dialect.target]
    text = text[text.index("table inet zone {") :] if dialect is NFTABLES else text
    cut = text[: data.draw(st.integers(1, len(text) - 3))]
    with pytest.raises(Mistakes) as seen:
        dialect.require_whole(cut, "running.conf")
    assert seen.value.found[0].code in ("JB2100", "JB2102", "JB2103")
    dialect.require_whole(text, "running.conf")


# --- random pairs ----------------------------------------------------------------------------------------------------

PEERS = ("192.0.2.1", "192.0.2.3", "3fff:fff::1")
MAPS = ("IN-a", "OUT-a", "IN-b")
LISTS = ("FROM-a", "TO-a")
PREFIXES = tuple(f"10.{number}.0.0/16" for number in range(5))


def few(values: st.SearchStrategy[str], most: int = 6) -> st.SearchStrategy[list[str]]:
    return st.lists(values, max_size=most, unique=True)


@st.composite
def frr_texts(draw: st.DrawFn) -> str:
    """A configuration of FRR such as the device would show it: references may lead nowhere, values occur once."""
    lines = ["frr version 8.4.4", "hostname r1"]
    lines += draw(few(st.sampled_from(["log syslog informational", "no ip forwarding"])))
    for prefix, via in draw(st.lists(st.tuples(st.sampled_from(PREFIXES), st.sampled_from(PEERS[:2])), unique=True)):
        lines.append(f"ip route {prefix} {via}{draw(st.sampled_from(['', ' 200']))}")
    for name in draw(few(st.sampled_from(("lo", "i-fw1", "w-up")))):
        inside = []
        if draw(st.booleans()):
            inside.append(f" ip ospf area {draw(st.sampled_from('01'))}")
        if draw(st.booleans()):
            inside.append(" ip ospf bfd")
            inside += draw(few(st.just(" ip ospf bfd profile A")))
        for key in draw(few(st.sampled_from(("cost", "hello-interval", "dead-interval")))):
            inside.append(f" ip ospf {key} {draw(st.integers(1, 3))}")
        lines += [f"interface {name}", *inside, "exit"] if inside else []
    if draw(st.booleans()):
        lines += _bgp(draw)
    if draw(st.booleans()):
        lines += ["router ospf", f" ospf router-id 192.0.2.{draw(st.integers(1, 2))}"]
        if draw(st.booleans()):
            lines.append(f" redistribute bgp{draw(st.sampled_from(['', ' metric 5', ' route-map IN-a']))}")
        lines.append("exit")
    for name in LISTS:
        entries = draw(st.permutations(PREFIXES))[: draw(st.integers(0, 4))]
        numbers = sorted(
            draw(st.sets(st.sampled_from((5, 7, 10, 15, 20)), min_size=len(entries), max_size=len(entries)))
        )
        lines += [
            f"ip prefix-list {name} seq {seq} permit {entry}" for seq, entry in zip(numbers, entries, strict=True)
        ]
    for name in MAPS:
        for seq in draw(few(st.sampled_from(("10", "20")))):
            lines.append(f"route-map {name} {draw(st.sampled_from(('permit', 'deny')))} {seq}")
            lines += [f" match ip address prefix-list {draw(st.sampled_from(LISTS))}"] if draw(st.booleans()) else []
            lines += [f" set metric {draw(st.integers(1, 3))}"] if draw(st.booleans()) else []
            lines.append("exit")
    profiles = draw(few(st.sampled_from("AB")))
    if profiles:
        lines.append("bfd")
        for name in profiles:
            lines.append(f" profile {name}")
            lines += [f"  detect-multiplier {draw(st.integers(2, 4))}"] if draw(st.booleans()) else []
            lines.append(" exit")
        lines.append("exit")
    return "\n".join([*lines, "end", ""])


def _bgp(draw: st.DrawFn) -> list[str]:
    lines = [f"router bgp {draw(st.sampled_from((65001, 65002)))}", " no bgp default ipv4-unicast"]
    family = []
    for peer in draw(few(st.sampled_from(PEERS))):
        lines.append(f" neighbor {peer} remote-as {draw(st.integers(65010, 65012))}")
        for words in draw(
            few(st.sampled_from(("description x", "description y", "timers connect 1", "timers 3 9")), 2)
        ):
            if not any(line.startswith(f" neighbor {peer} {words.split()[0]}") for line in lines):
                lines.append(f" neighbor {peer} {words}")
        if draw(st.booleans()):
            lines.append(f" neighbor {peer} bfd")
            lines += [f" neighbor {peer} bfd profile A"] if draw(st.booleans()) else []
        family += [f"  neighbor {peer} activate"] if draw(st.booleans()) else []
        for way in draw(few(st.sampled_from(("in", "out")))):
            family.append(f"  neighbor {peer} route-map {draw(st.sampled_from(MAPS))} {way}")
    if draw(st.booleans()):
        family.append(
            f"  redistribute ospf{draw(st.sampled_from(['', ' metric 3', ' route-map IN-a', ' route-map OUT-a']))}"
        )
    for prefix in draw(few(st.sampled_from(PREFIXES), 3)):
        family.append(f"  network {prefix}{draw(st.sampled_from(['', ' route-map IN-a']))}")
    return [*lines, " address-family ipv4 unicast", *family, " exit-address-family", "exit"]


@st.composite
def nft_texts(draw: st.DrawFn) -> str:
    """A rule set whose input lets the management in."""
    rules = draw(
        st.lists(st.sampled_from([f"ip saddr 10.{n}.0.0/16 tcp dport {n} accept" for n in range(1, 6)]), max_size=6)
    )
    elements = draw(few(st.sampled_from(PREFIXES)))
    chosen = f"    elements = {{ {', '.join(elements)} }}\n" if elements else ""
    return (
        "table inet zone {\n  set S {\n    type ipv4_addr\n    flags interval\n" + chosen + "  }\n  chain input {\n"
        f"    type filter hook input priority filter; policy {draw(st.sampled_from(('drop', 'accept')))};\n"
        '    iifname "mgmt0" accept\n    ip saddr @S drop\n' + "".join(f"    {rule}\n" for rule in rules) + "  }\n}\n"
    )  # fmt: skip


def holds(dialect: Dialect, running: str, rendered: str) -> Remedy:
    """Commands lead from one to the other, and the way back leads back, on the simulated device."""
    found = remedy(dialect, running, rendered)
    assert found.mistakes == () and found.kept == ()
    before, goal = dialect.read(running), dialect.read(rendered)
    assert dialect.apply(before, found.commands).same(goal)
    assert dialect.apply(goal, found.rollback).same(before)
    assert bool(found.commands) == (not before.same(goal))
    return found


@settings(max_examples=100, deadline=None)
@given(frr_texts(), frr_texts())
def test_random_pairs_of_frr(running: str, rendered: str) -> None:
    holds(FRR, running, rendered)


@settings(max_examples=50, deadline=None)
@given(nft_texts(), nft_texts())
def test_random_pairs_of_nftables(running: str, rendered: str) -> None:
    holds(NFTABLES, running, rendered)


# --- real texts ------------------------------------------------------------------------------------------------------


@functools.cache
def golden() -> dict[str, dict[str, str]]:
    """Device → target → rendered text, of the sample's devices."""
    found: dict[str, dict[str, str]] = {}
    for path in sorted(GOLDEN.glob("*.txt")):
        target = ""
        for line in path.read_text().splitlines(keepends=True):
            if line.startswith("==== "):
                target = line.split()[1]
            elif target in (FRR.target, NFTABLES.target):
                texts = found.setdefault(path.stem, {})
                texts[target] = texts.get(target, "") + line
    return found


def test_rendered_text_is_known_line_by_line() -> None:
    """A line of a template of which the rules say nothing would leave its device without commands."""
    for device, texts in golden().items():
        for dialect in DIALECTS:
            if dialect.target in texts:
                rendered = texts[dialect.target]
                assert holds(dialect, bare(dialect), rendered).commands, device


def bare(dialect: Dialect) -> str:
    """What a device runs that nobody configured; it has a name, and FRR's defaults are no command."""
    return framed("frr", "frr defaults traditional\nhostname x\n") if dialect is FRR else ""


@pytest.mark.parametrize("seed", range(3))
def test_mutated_texts_are_brought_back(seed: int) -> None:
    """One changed or dropped line, as by hand: the device is brought back; what no rule knows stays, and is told."""
    texts = golden()
    possible = 0
    for mutation in mutate.draw(texts, {"frr": 80, "nftables": 40}, seed):
        dialect = next(one for one in DIALECTS if one.target == mutation.target)
        rendered = texts[mutation.device][mutation.target]
        running = mutate.apply(rendered, mutation)
        found = remedy(dialect, running, rendered)
        if found.mistakes:
            # No device comes to run such a text: a neighbour without an AS, two entries of one number.
            assert not found.commands
            torn = found.mistakes[0].code == "JB2102"
            assert torn or remedy(dialect, bare(dialect), running).mistakes, mutation
            continue
        possible += 1
        before = dialect.read(running)
        left = differences(dialect.apply(before, found.commands), dialect.read(rendered), dialect.known)
        assert set(left) == set(found.kept), mutation
    assert possible > 90


# Lines on which no other line depends.
_LOOSE = re.compile(
    r"(ip|ipv6) (prefix-list|route) | +(match|set|timers|network|aggregate-address|redistribute|distance) "
    r"| +neighbor .* (description|activate|next-hop-self|route-map|timers connect)| +(ip ospf|ipv6 ospf6) (cost|network|passive)"
)


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(sorted(name for name, texts in golden().items() if FRR.target in texts)), st.randoms())
def test_many_lines_at_once_are_brought_back(device: str, chance: random.Random) -> None:
    rendered = golden()[device][FRR.target]
    lines = rendered.splitlines(keepends=True)
    holds(FRR, "".join(line for line in lines if not _LOOSE.match(line) or chance.random() < 0.7), rendered)


# --- a test of the test ----------------------------------------------------------------------------------------------


def without(dialect: Dialect, what: str) -> Dialect:
    """The dialect with a generator that leaves out every command that holds `what`."""

    def plan(running: Config, rendered: Config) -> object:
        made = dialect.plan(running, rendered)
        return msgspec.structs.replace(made, commands=tuple(line for line in made.commands if what not in line))

    return msgspec.structs.replace(dialect, plan=plan)


def reversed_(dialect: Dialect) -> Dialect:
    """The dialect with a generator that gives its commands outside of sections in the wrong order."""

    def plan(running: Config, rendered: Config) -> object:
        made = dialect.plan(running, rendered)
        return msgspec.structs.replace(made, commands=tuple(reversed(made.commands)))

    return msgspec.structs.replace(dialect, plan=plan)


SHIFTED = tuple(
    framed(
        "frr",
        "".join(f"ip prefix-list A seq {5 * number} permit {prefix}\n" for number, prefix in enumerate(listed, 1)),
    )
    for listed in (PREFIXES[:4], PREFIXES)
)


def test_a_generator_that_forgets_a_command_is_caught() -> None:
    running, rendered = SHIFTED
    found = remedy(without(FRR, "seq 25"), running, rendered)
    assert [one.code for one in found.mistakes] == ["JB2106"] and not found.commands


def test_a_generator_with_the_wrong_order_is_caught() -> None:
    """FRR passes over an entry that the list has already under another number: only one order leads there."""
    running, rendered = SHIFTED[1], SHIFTED[1].replace("10.0.0.0/16", "10.9.0.0/16", 1).replace(
        "10.1.0.0/16", "10.0.0.0/16", 1
    )  # fmt: skip
    assert remedy(FRR, running, rendered).commands
    found = remedy(reversed_(FRR), running, rendered)
    assert [one.code for one in found.mistakes] == ["JB2106"]


def test_a_rule_that_is_wrong_about_the_device_is_caught() -> None:
    """The rules say that another area is written over the old one; the device keeps the old one."""
    from inventory import remedy as remedies
    from inventory.dialects.frr.rules import RULES
    from inventory.rules import grammar

    lines = tuple(
        msgspec.structs.replace(rule, over=True) if rule.form == "ip ospf area <area>" else rule for rule in RULES.lines
    )
    wrong = grammar(msgspec.structs.replace(RULES, lines=lines))
    broken = msgspec.structs.replace(FRR, plan=lambda running, rendered: remedies.plan(running, rendered, wrong))
    texts = [framed("frr", f"interface lo\n ip ospf area {area}\nexit\n") for area in (0, 1)]
    assert remedy(FRR, *texts).commands == ("interface lo", " no ip ospf area 0", " ip ospf area 1", "exit")
    assert [one.code for one in remedy(broken, *texts).mistakes] == ["JB2106"]


def test_the_simulated_device_refuses_what_the_device_refuses() -> None:
    start = FRR.read(framed("frr", "router bgp 65001\nexit\n"))
    for commands, why in (
        (["router bgp 65002"], "is there already"),
        (["router bgp 65001", "neighbor 192.0.2.1 description x"], "there is no"),
        (["interface lo", "ip ospf bfd profile A"], "there is no"),
        (["no ip route 10.0.0.0/8 192.0.2.1"], "there is no"),
        (["bfd", "profile A", "no detect-multiplier"], "unknown"),
        (["exit"], "nothing to leave"),
    ):
        with pytest.raises(console.Refusal, match=why):
            FRR.apply(start, commands)


def test_a_transaction_holds_whole_or_not_at_all() -> None:
    start = NFTABLES.read("table inet zone {\n  chain c {\n    accept\n  }\n}\n")
    with pytest.raises(console.Refusal, match="No such file"):
        NFTABLES.apply(start, ["table inet zone {", "chain c {", "drop", "}", "}", "delete table inet other"])
    assert start.same(NFTABLES.read("table inet zone {\n  chain c {\n    accept\n  }\n}\n"))
    added = NFTABLES.apply(start, ["table inet zone {", "chain c {", "drop", "}", "}"])
    assert added.sections["table inet zone", "chain c"].lines == ["accept", "drop"]


# --- the fleet -------------------------------------------------------------------------------------------------------


def test_one_difference_is_counted_over_the_fleet() -> None:
    rendered = FRR.read(framed("frr", "hostname x\nlog syslog informational\n"))
    bare, foreign = FRR.read(framed("frr", "hostname x\n")), FRR.read(framed("frr", "hostname y\n"))
    found = fleet(
        (name, "frr", differences(running, rendered, FRR.known))
        for name, running in (("a", bare), ("b", bare), ("c", foreign))
    )
    assert [(str(one.difference), one.devices) for one in found] == [
        ("+ log syslog informational", ("a", "b", "c")),
        ("- hostname y", ("c",)),
        ("+ hostname x", ("c",)),
    ]
