"""Annet and hier_config, given the same pairs of configurations: they name the lines that this project names, or the difference is
reviewed in `peers.yml` and explained in docs/dialects.md."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec
import pytest
import yaml

from inventory import acceptance, console
from inventory.dialects import vlanlist
from inventory.dialects.frr.running import DIALECT as FRR
from inventory.diff import differences
from inventory.rules import Grammar, Known
from tests.bench import place
from tests.full import pairs
from tests.full.pairs import Pair
from tests.house.contract import CHECKOUT
from tests.inventory.vendors.test_remedies import DIALECTS as VENDORS

DIALECTS = {**VENDORS, "frr": FRR}
SCRIPTS = {"annet": "peer_annet.py", "hier_config": "peer_hier_config.py"}
REVIEWED = Path(__file__).parent / "peers.yml"
DOCUMENT = CHECKOUT / "docs" / "dialects.md"

Only = Literal["here", "there", "spelled", "listed", "commands", "moment"]
"""A line that only this project names, or only the peer, or that the peer spells otherwise, or takes as a whole though it is a list
of which a part changed; why the peer's commands do not lead there, or what a port does not carry meanwhile."""
VLANS = re.compile(
    r"(?P<before>((undo|no) )?(port trunk (allow-pass|permit) |spanning-tree )?vlan )(batch )?(?P<list>[\d to,-]+)"
    r"(?P<behind> priority \d+)?"
)
"""Lists of VLANs, which here are a line for each."""


pytestmark = pytest.mark.timeout(2400)


class Said(msgspec.Struct, frozen=True):
    """What a peer says of a pair."""

    changed: list[tuple[str, tuple[str, ...], str]] = []
    commands: list[str] = []
    error: str = ""
    """Why it says nothing."""


class Differs(msgspec.Struct, frozen=True, order=True):
    """One thing of a pair that a peer sees otherwise."""

    peer: str
    dialect: str
    only: Only
    what: str
    pair: str = ""


class Reviewed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An entry of peers.yml."""

    row: str
    """The row of docs/dialects.md that explains it."""
    peer: str
    dialects: tuple[str, ...]
    only: Only
    fits: str
    """Regular expression for what differs, whole."""
    spells: str = ""
    """What the peer makes of a line that is `spelled` otherwise, with the groups of `fits`."""

    def covers(self, one: Differs) -> bool:
        return (
            (self.peer, self.only) == (one.peer, one.only)
            and one.dialect in self.dialects
            and re.fullmatch(self.fits, one.what) is not None
        )


def ask(peer: str, given: Sequence[Pair], folder: Path) -> list[Said]:
    """What the peer says of each pair, in its own environment."""
    asked, said = folder / f"{peer}.json", folder / f"{peer}.said"
    asked.write_bytes(msgspec.json.encode([(pair.dialect, pair.before, pair.after, pair.model) for pair in given]))
    script = CHECKOUT / "tests" / "bench" / SCRIPTS[peer]
    subprocess.run([str(place.PEERS / "bin" / "python"), str(script), str(asked), str(said)], check=True)
    return msgspec.json.decode(said.read_bytes(), type=list[Said])


def lines(peer: str, pair: Pair, said: Said, reviewed: Sequence[Reviewed]) -> Iterator[Differs]:
    """The changed lines that only one of the two names, and those that the peer is known to spell otherwise."""
    if said.error:
        return
    dialect = DIALECTS[pair.dialect]
    ours = set()
    for one in differences(dialect.read(pair.before), dialect.read(pair.after), dialect.known):
        line = f"{'+' if one.kind == 'missing' else '-'} {' / '.join((*one.section, one.line))}"
        for entry in reviewed:
            if entry.only == "spelled" and entry.covers(
                spelled := Differs(peer, pair.dialect, "spelled", line, pair.name)
            ):
                yield spelled
                line = re.sub(entry.fits, entry.spells, line)
        ours.add(line)
    theirs = set()
    for sign, section, line in said.changed:
        each = list(vlanlist.single(line.strip(), VLANS))
        theirs |= {f"{sign} {' / '.join((*section, one))}" for one in each}
        if each != [line.strip()]:
            yield Differs(peer, pair.dialect, "listed", f"{sign} {' / '.join((*section, line.strip()))}", pair.name)
    # What a list held before and after.
    both = {line[2:] for line in theirs if line[0] == "-"} & {line[2:] for line in theirs if line[0] == "+"}
    theirs -= {f"{sign} {line}" for line in both for sign in "+-" if VLANS.fullmatch(line.rpartition(" / ")[2])}
    for line in sorted(ours ^ theirs):
        yield Differs(peer, pair.dialect, "here" if line in ours else "there", line, pair.name)


def commands(peer: str, pair: Pair, said: Said) -> Iterator[Differs]:
    """Why the peer's commands do not lead there on the simulated device, or only over a moment in which a port carries something
    else, where this project's do."""
    dialect = DIALECTS[pair.dialect]
    assert dialect.known
    for moment in moments(typed(dialect.known, said.commands)):
        yield Differs(peer, pair.dialect, "moment", moment, pair.name)
    if acceptance.remedy(dialect, "r1", pair.before, pair.after, "running").mistakes:
        return
    if said.error:
        yield Differs(peer, pair.dialect, "commands", said.error, pair.name)
        return
    try:
        after = dialect.apply(dialect.read(pair.before), [one.text for one in typed(dialect.known, said.commands)])
    except console.Refusal as refusal:
        yield Differs(peer, pair.dialect, "commands", f"refused: {refusal}", pair.name)
        return
    for one in differences(after, dialect.read(pair.after), None):
        yield Differs(peer, pair.dialect, "commands", f"left: {' / '.join((*one.section, str(one)))}", pair.name)


class Command(msgspec.Struct, frozen=True):
    """One command as somebody would type it. `line`: what it sets, or takes away where `gone`; None: no rule knows it."""

    text: str
    section: tuple[str, ...] = ()
    line: Known | None = None
    gone: bool = False


def typed(known: Grammar, said: Sequence[str]) -> Iterator[Command]:
    """Indented commands one by one, leaving each section when the indentation goes back; lists of VLANs one by one.

    What takes a line away by all its words is written as this project writes it: the simulated device knows one form of each.
    """
    kinds: list[tuple[str, str, Mapping[str, str]]] = [("", "", {})]
    depths = [-1]
    for line in said:
        bare, found = line.strip(), None
        if bare in known.ends:
            continue
        depth = len(line) - len(line.lstrip())
        while depth <= depths[-1]:
            depths.pop()
            yield Command(known.leave(kinds.pop()[0]))
        kind, _, places = kinds[-1]
        section = tuple(opening for _, opening, _ in kinds[1:])
        for one in vlanlist.single(bare, VLANS):
            found = known.known(kind, one, places)
            gone = known.known(kind, re.sub("^(undo|no) ", "", one), places) if found is None else None
            yield Command((gone and gone.removal) or one, section, found or gone, found is None)
            if found and found.rule.opens and one != bare:
                yield Command(known.leave(found.rule.opens))
                found = None
        if found and found.rule.opens:
            kinds.append((found.rule.opens, bare, found.places))
            depths.append(depth)


def moments(commands: Iterable[Command]) -> Iterator[str]:
    """What a port carries and is taken away, though it is told anew afterwards: in between it carries nothing, or something else."""
    gone: dict[tuple[object, ...], str] = {}
    for one in commands:
        if one.line is None or " vlan" not in one.text or not one.section:
            continue
        key = (one.section, one.line.slot)
        if one.gone:
            gone[key] = " / ".join((*one.section, one.text))
        elif key in gone:
            yield gone.pop(key)


def judge(
    asked: Mapping[str, Sequence[Pair]], said: Mapping[str, Sequence[Said]], reviewed: Sequence[Reviewed]
) -> list[Differs]:
    """Everything that a peer sees otherwise."""
    return [
        one
        for peer, listed in asked.items()
        for pair, answer in zip(listed, said[peer], strict=True)
        for one in (*lines(peer, pair, answer, reviewed), *commands(peer, pair, answer))
    ]


def unlisted(found: Sequence[Differs], reviewed: Sequence[Reviewed]) -> list[str]:
    """The differences that nobody reviewed."""
    return [str(one) for one in found if not any(entry.covers(one) for entry in reviewed)]


def stale(found: Sequence[Differs], reviewed: Sequence[Reviewed]) -> list[Reviewed]:
    """The entries that cover nothing any more."""
    return [entry for entry in reviewed if not any(entry.covers(one) for one in found)]


def entries() -> list[Reviewed]:
    return msgspec.convert(yaml.safe_load(REVIEWED.read_text("utf-8")), list[Reviewed])


class Compared(msgspec.Struct, frozen=True):
    """Who was asked what, and what was answered."""

    asked: dict[str, list[Pair]]
    said: dict[str, list[Said]]
    found: list[Differs]


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Compared:
    place.peers()
    given = {dialect: pairs.every(dialect, tmp_path_factory.mktemp(dialect)) for dialect in VENDORS}
    asked = {
        "annet": [*given["vrp"], *given["comware"]],
        "hier_config": [*given["iosxe"], *pairs.cases(), *pairs.known("vrp"), *pairs.known("comware")],
    }
    folder = tmp_path_factory.mktemp("peers")
    said = {peer: ask(peer, listed, folder) for peer, listed in asked.items()}
    return Compared(asked, said, judge(asked, said, entries()))


def test_peers_name_the_same_lines_or_the_difference_is_reviewed(compared: Compared) -> None:
    left = unlisted(compared.found, entries())
    assert not left, "\n".join(left)


def test_every_reviewed_difference_still_occurs(compared: Compared) -> None:
    assert stale(compared.found, entries()) == []


PEERS = (("annet", "vrp"), ("annet", "comware"), ("hier_config", "iosxe"))
COUNTED = [(what, *each) for what in ("", ", switches") for each in PEERS]


def test_the_page_counts_the_pairs(compared: Compared) -> None:
    """What is listed are classes of lines; they would be worth nothing if most pairs fell into one."""
    versions = place.versions(place.LOCK.read_text())
    rows = []
    for what, peer, dialect in COUNTED:
        every = {
            pair.name for pair in compared.asked[peer] if pair.dialect == dialect and bool(pair.model) == bool(what)
        }
        differ = [one for one in compared.found if (one.peer, one.dialect) == (peer, dialect) and one.pair in every]
        same = every - {one.pair for one in differ if one.only in ("here", "there")}
        there = every - {one.pair for one in differ if one.only == "commands"}
        who = f"{peer.removeprefix('annet') or 'Annet'} {versions[peer.replace('_', '-')]}"
        rows.append(f"| {who} | `{dialect}`{what} | {len(every)} | {len(same)} | {len(there)} |")
    assert "\n".join(rows) in DOCUMENT.read_text("utf-8")


def test_what_a_port_carries_stays_while_the_commands_here_run(compared: Compared) -> None:
    for peer, dialect in PEERS:
        known = DIALECTS[dialect].known
        assert known
        for pair in compared.asked[peer]:
            if pair.dialect == dialect and pair.model:
                here = acceptance.remedy(DIALECTS[dialect], "sw1", pair.before, pair.after, "running").commands
                assert not list(moments(typed(known, here))), pair.name
    assert {one.peer for one in compared.found if one.only == "moment"} == set(SCRIPTS)


def test_every_reviewed_difference_is_explained() -> None:
    text = DOCUMENT.read_text("utf-8")
    explained = re.findall(r"(?m)^\| `([a-z-]+)` \|", text[text.index("## Beside other tools") :])
    assert sorted(explained) == sorted({entry.row for entry in entries()})


def test_what_a_peer_leaves_out_is_found(compared: Compared) -> None:
    for peer, listed in compared.said.items():
        asked = {pair.name: at for at, pair in enumerate(compared.asked[peer])}
        number = asked["640000-r1 ospf-cost"]
        pair, said = compared.asked[peer][number], listed[number]
        assert not [*lines(peer, pair, said, ()), *commands(peer, pair, said)]
        short = msgspec.structs.replace(said, changed=said.changed[1:], commands=said.commands[:-2])
        found = [*lines(peer, pair, short, ()), *commands(peer, pair, short)]
        assert {one.only for one in found} == {"here", "commands"} and len(unlisted(found, entries())) == len(found)


def test_a_reviewed_difference_that_occurs_no_more_is_found(compared: Compared) -> None:
    gone = Reviewed("neighbour", "annet", ("vrp",), "here", "- no such line")
    assert stale(compared.found, [*entries(), gone]) == [gone]
