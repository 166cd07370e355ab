"""The reader of nftables says the same as nft itself, and refuses what it does not know."""

import json
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ground.mistake import Mistakes
from inventory.proof import filters, interval, nftables, passing

HERE = Path(__file__).parent
CASES = sorted((HERE / "nft").glob("*.nft"))


def kernel(source: Path) -> list[dict[str, Any]]:
    """The objects of `nft -j list ruleset` after the file was loaded in a network namespace of its own."""
    script = 'nft -f "$0" && nft -j list ruleset'
    done = subprocess.run(["unshare", "-n", "sh", "-c", script, str(source)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    objects: list[dict[str, Any]] = json.loads(done.stdout)["nftables"]
    return objects


def merged(spans: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """The same numbers with touching spans joined: nft joins them too."""
    out: list[tuple[int, int]] = []
    for first, last in sorted(spans):
        if out and first <= out[-1][1] + 1:
            out[-1] = (out[-1][0], max(last, out[-1][1]))
        else:
            out.append((first, last))
    return tuple(out)


def texts(value: Any) -> list[str]:
    """A JSON value of nft as the texts a file would have."""
    if isinstance(value, dict):
        if "set" in value:
            return [text for item in value["set"] for text in texts(item)]
        if "elem" in value:
            return texts(value["elem"]["val"])
        if "prefix" in value:
            return [f"{value['prefix']['addr']}/{value['prefix']['len']}"]
        if "range" in value:
            return ["-".join(str(part) for part in value["range"])]
    if isinstance(value, list):
        return [text for item in value for text in texts(item)]
    return [str(value)]


def selector(left: dict[str, Any]) -> tuple[str, int | str, list[tuple[str, Any]]]:
    """(field, family, implied conditions) of the left side of a match."""
    if "meta" in left:
        names = {
            "iifname": "iif",
            "oifname": "oif",
            "iif": "iif",
            "oif": "oif",
            "nfproto": "family",
            "l4proto": "proto",
        }
        return names[left["meta"]["key"]], 0, []
    if "ct" in left:
        return "state", 0, []
    if "fib" in left:
        return "fibtype", 0, []
    protocol, field = left["payload"]["protocol"], left["payload"]["field"]
    if protocol in ("ip", "ip6"):
        family = 4 if protocol == "ip" else 6
        name = {"protocol": "proto", "nexthdr": "proto", "ttl": "hoplimit", "hoplimit": "hoplimit"}.get(field, field)
        return name, family if name.endswith("addr") else 0, [("family", ("ipv4" if family == 4 else "ipv6",))]
    if protocol in ("icmp", "icmpv6"):
        return "icmp", protocol, [("family", ("ipv4" if protocol == "icmp" else "ipv6",)), ("proto", (protocol,))]
    return field, 0, [("proto", (protocol,))] if protocol != "th" else []


def condition(match: filters.Match) -> tuple[Any, ...]:
    return (match.field, match.negated, match.names or merged(match.spans))


def theirs(objects: list[dict[str, Any]]) -> dict[tuple[str, str, str], list[Any]]:
    """(family, table, chain) → rules as the kernel has them."""
    tables: dict[tuple[str, str], dict[str, list[str]]] = {}
    chains: dict[tuple[str, str, str], list[Any]] = {}
    for item in objects:
        if "set" in item:
            found = item["set"]
            tables.setdefault((found["family"], found["table"]), {})[found["name"]] = texts(found.get("elem", []))
        elif "chain" in item:
            chain = item["chain"]
            key = (chain["family"], chain["table"], chain["name"])
            chains[key] = [("base", chain.get("hook", ""), chain.get("prio", 0), chain.get("policy", "accept"))]
    for item in objects:
        if "rule" not in item:
            continue
        rule = item["rule"]
        conditions: set[Any] = set()
        if rule["family"] in ("ip", "ip6"):
            conditions.add(("family", False, ("ipv4" if rule["family"] == "ip" else "ipv6",)))
        verdict: tuple[Any, ...] = ("continue", "")
        for part in rule["expr"]:
            if "match" in part:
                field, of, implied = selector(part["match"]["left"])
                conditions |= {(name, False, names) for name, names in implied}
                right = part["match"]["right"]
                named = isinstance(right, str) and right.startswith("@")
                values = tables[rule["family"], rule["table"]][right[1:]] if named else texts(right)
                made = nftables._values(field, of, values, part["match"]["op"] == "!=", 0)  # type: ignore[arg-type]
                conditions.add(condition(made))
            elif "vmap" in part:
                field, of, implied = selector(part["vmap"]["key"])
                branches = []
                for key, action in part["vmap"]["data"]["set"]:
                    ((name, detail),) = action.items()
                    target = detail["target"] if detail else ""
                    branches.append((condition(nftables._values(field, of, texts(key), False, 0)), name, target))  # type: ignore[arg-type]
                verdict = ("vmap", frozenset(branches))
            else:
                for name in ("accept", "drop", "return", "reject"):
                    if name in part:
                        verdict = (name, "")
                for name in ("jump", "goto"):
                    if name in part:
                        verdict = (name, part[name]["target"])
        chains[rule["family"], rule["table"], rule["chain"]].append(
            (frozenset(conditions), verdict, rule.get("comment", ""))
        )
    return chains


def ours(ruleset: filters.Ruleset) -> dict[tuple[str, str, str], list[Any]]:
    chains: dict[tuple[str, str, str], list[Any]] = {}
    for table in ruleset.tables:
        for chain in table.chains.values():
            rules: list[Any] = [("base", chain.hook, chain.priority, chain.policy)]
            for rule in chain.rules:
                conditions = frozenset(condition(nftables.filled(table, match)) for match in rule.matches)
                verdict: tuple[Any, ...] = (rule.action, rule.target)
                if rule.branches:
                    verdict = ("vmap", frozenset((condition(m), action, target) for m, action, target in rule.branches))
                rules.append((conditions, verdict, rule.comment))
            chains[table.family, table.name, chain.name] = rules
    return chains


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_agrees_with_nft(case: Path) -> None:
    mine, kernels = ours(nftables.read(case.read_text(), str(case))), theirs(kernel(case))
    assert mine.keys() == kernels.keys()
    for key, rules in kernels.items():
        assert mine[key] == rules, key


REFUSED = {
    "include": 'include "/etc/other.nft"',
    "map": "table inet t {\n\tmap m { type ipv4_addr : verdict; }\n}",
    "concatenation": "table inet t {\n\tchain c {\n\t\tip saddr . ip daddr { 1.1.1.1 . 2.2.2.2 } accept\n\t}\n}",
    "mark": "table inet t {\n\tchain c {\n\t\tmeta mark 1 accept\n\t}\n}",
    "nat": "table ip t {\n\tchain c {\n\t\ttype nat hook postrouting priority 100; policy accept;\n\t}\n}",
    "flags": "table inet t {\n\tchain c {\n\t\ttcp flags & (fin | syn) == syn accept\n\t}\n}",
    "undefined set": "table inet t {\n\tchain c {\n\t\tip saddr @nobody accept\n\t}\n}",
    "undefined chain": "table inet t {\n\tchain c {\n\t\tjump nowhere\n\t}\n}",
    "undefined variable": "table inet t {\n\tchain c {\n\t\tip saddr $x accept\n\t}\n}",
    "wrong family": "table inet t {\n\tchain c {\n\t\tip saddr 3fff::/20 accept\n\t}\n}",
    "after the verdict": "table inet t {\n\tchain c {\n\t\taccept tcp dport 22\n\t}\n}",
    "unclosed": "table inet t {\n\tchain c {\n\t\taccept\n\t}\n",
    "element command": "table inet t {\n}\nadd element inet t s { 1.1.1.1 }",
}


@pytest.mark.parametrize("name", REFUSED)
def test_refuses_what_it_does_not_know(name: str) -> None:
    with pytest.raises(Mistakes) as caught:
        nftables.read(REFUSED[name], "x.nft")
    (mistake,) = caught.value.found
    assert mistake.code == "JB2401" and mistake.file == "x.nft" and mistake.line


CENTRE = nftables.read((HERE / "nft" / "centre.nft").read_text())
# hook, in → out, source, destination, protocol/port, verdict, words in the line that decides
VERDICTS = """
forward z-production z-exchange 10.64.0.9 10.64.1.9 tcp/5432 accept "FL-02-pull"
forward z-production z-exchange 10.64.2.9 10.64.1.9 tcp/5432 drop policy
forward z-production z-exchange 10.64.0.9 10.64.1.9 tcp/5433 drop policy
forward i-r1 z-exchange 10.9.9.9 10.64.1.9 tcp/9 drop @exchange4
forward i-r1 z-exchange 10.66.8.9 10.64.1.9 icmp/8 accept echo-request
forward z-access z-production ::1 ::2 tcp/1 drop reset
forward z-exchange w 3fff:0:41:1::5 3fff:0:40:9::2 udp/53 accept th
input i-r1 - 10.0.0.2 10.0.0.3 tcp/179 accept "bgp"
input z-r1 - 10.0.0.2 10.0.0.3 tcp/179 drop prefix
""".strip().splitlines()


@pytest.mark.parametrize("case", VERDICTS)
def test_verdicts(case: str) -> None:
    hook, iif, oif, src, dst, kind, wanted, words = case.split()
    proto, _, port = kind.partition("/")
    family = interval.family(src)
    packet = filters.Packet(
        family, iif, oif.strip("-") and oif, interval.number(src), interval.number(dst), proto, int(port)
    )
    accepted, line = passing.verdict(CENTRE, hook, packet)
    assert accepted is (wanted == "accept")
    assert words in (HERE / "nft" / "centre.nft").read_text().splitlines()[line - 1]


def test_answers_pass_and_invalid_packets_do_not() -> None:
    answer = filters.Packet(4, "x", "y", 1, 2, "tcp", state="established")
    assert passing.verdict(CENTRE, "forward", answer)[0]
    assert not passing.verdict(CENTRE, "forward", filters.Packet(4, "x", "y", 1, 2, "tcp", state="invalid"))[0]


PLACES = [f"10.6{i}.{j}.{k}" for i in (4, 5, 6) for j in (0, 1, 4, 8, 9) for k in (0, 7, 9, 255)]


@given(
    src=st.integers(0, 2**32 - 1) | st.sampled_from(PLACES).map(interval.number),
    dst=st.integers(0, 2**32 - 1) | st.sampled_from(PLACES).map(interval.number),
    iif=st.sampled_from(["z-production", "z-exchange", "i-r1", "z-access"]),
    oif=st.sampled_from(["z-exchange", "i-r2", "z-decision"]),
    port=st.sampled_from([53, 443, 5432, 9]),
    proto=st.sampled_from(["tcp", "udp"]),
)  # fmt: skip
def test_cells_agree_with_single_packets(src: int, dst: int, iif: str, oif: str, port: int, proto: str) -> None:
    """The plane of cells and one packet at a time give the same verdict, by the same line."""
    sources, targets = passing.boundaries(CENTRE, 4)
    # The packet's own addresses are cut along too: each then is a class, whose verdict must be the packet's.
    here, there = ((src, src),), ((dst, dst),)
    cells = passing.partition([*sources, here], [*targets, there], 4)
    answer = passing.ask(CENTRE, "forward", passing.Question(4, iif, oif, proto, port), cells)
    cell = cells.product(here, there)
    accepted, line = passing.verdict(CENTRE, "forward", filters.Packet(4, iif, oif, src, dst, proto, port))
    assert cell.bit_count() == 1
    assert bool(answer.accepted & cell) == accepted
    assert answer.line_of(cell)[0] == line
    # And without them: the class that holds the packet answers for it.
    coarse = passing.partition(sources, targets, 4)
    whole = passing.ask(CENTRE, "forward", passing.Question(4, iif, oif, proto, port), coarse)
    row = coarse.src.index(representative(src, sources, coarse.src))
    column = coarse.dst.index(representative(dst, targets, coarse.dst))
    assert bool(whole.accepted >> (row * len(coarse.dst) + column) & 1) == accepted


def representative(address: int, sets: set[tuple[tuple[int, int], ...]], firsts: tuple[int, ...]) -> int:
    """The first address of the class of `address`: the one that lies in the same sets."""

    def inside(value: int) -> frozenset[tuple[tuple[int, int], ...]]:
        return frozenset(spans for spans in sets if any(first <= value <= last for first, last in spans))

    return next(first for first in firsts if inside(first) == inside(address))
