"""Each rule refuses its violation with its clause and accepts what is lawful; the pack says the same to the engine."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import grpc
import msgspec
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc

from ip_plan.compile import compile_plan
from ip_plan.network import load
from stacks import engine, policy, program
from stacks.policy import rules
from stacks.policy.rules import Graph
from stacks.provider import resources
from stacks.provider.resources import Host, Segment, Thing
from tests.stacks.conftest import LAN, LINE, given, host, kind_of, urn


def lan(zone: str, **more: object) -> Segment:
    return msgspec.structs.replace(LAN, id=f"640100:centre1:{zone}", zone=zone, ports=(), **more)


def provincial(**more: object) -> Host:
    region = {"site": "640000:centre1", "level": "province", "region": "640000", "zones": ("production",)}
    return host("prod1", **{**region, **more})


def line(*ends: str) -> Graph:
    return Graph(links=(msgspec.structs.replace(LINE, ends=ends),))


STRANGER = Graph((host("x", site="640300:centre1"),), (msgspec.structs.replace(LAN, ports=("x z-production",)),))
SERVED = host("a", zones=("production",), services=("production/db 10.0.1.250 3fff::fb",))
ELSEWHERE = host("a", zones=("production",), services=("production/db 10.0.2.250 3fff::fb",))
DATABASE = host("db", zones=("production",), duties=("database",))
KEEPER = host("bkup1", zones=("backup",), duties=("repository",))

CASES: dict[str, tuple[Graph, str]] = {
    "an exchange zone at an office": (Graph(segments=(lan("exchange", kind="office", level="county"),)), "NO-08"),
    "a decision zone at an office": (Graph(segments=(lan("decision", kind="office"),)), "NO-08"),
    "both in a centre": (Graph(segments=(lan("exchange"), lan("decision"))), ""),
    "both in a DR centre of a province": (Graph(segments=(lan("exchange", kind="dr", level="province"),)), ""),
    "a production zone at an office": (Graph(segments=(lan("production", kind="office"),)), "NO-09"),
    "an access zone at an office": (Graph(segments=(lan("access", kind="office"),)), ""),
    "a line to a production host": (line("router", "host production"), "NO-16"),
    "a line to a decision host": (line("host decision", "router"), "NO-16"),
    "a line between routers": (line("router", "access"), ""),
    "another site on a production LAN": (STRANGER, "NO-16"),
    "a counter in the decision zone": (Graph((host("t", zones=("decision",), duties=("terminal",)),)), "NO-17"),
    "a database in the decision zone": (Graph((host("d", zones=("decision",), duties=("names",)),)), ""),
    "a portal in the external zone": (Graph((host("p", zones=("external",), duties=("portal",)),)), ""),
    "a city's medical insurance at the province": (Graph((provincial(handles=("medical 640100",)),)), "NO-19"),
    "its own business": (Graph((provincial(handles=("medical 640000",)),)), ""),
    "of a hosted prefecture (S3 二(三)1)": (Graph((provincial(handles=("medical 640400",), serves=("640400",)),)), ""),
    "of another than the hosted one": (Graph((provincial(handles=("medical 640100",), serves=("640400",)),)), "NO-19"),
    "of a whole-province centre (S3 二(三)2)": (Graph((provincial(handles=("medical 640100",), whole_province=True),)), ""),
    "employment at the province (S4 四(二))": (Graph((provincial(handles=("employment 640100",)),)), ""),
    "the provincial pension database (S2 二(一)2)": (Graph((provincial(handles=("pension 640100",)),)), ""),
    "a DR centre of a city": (Graph((host("a", kind="dr"),)), "NO-21"),
    "a DR centre of a province": (Graph((host("a", kind="dr", level="province"),)), ""),
    "local backup of a city": (Graph((KEEPER,)), ""),
    "a host in two zones": (Graph((host("a", zones=("production", "exchange")),)), "two-zones"),
    "a firewall between two zones": (Graph((host("a", role="firewall", zones=("production", "exchange")),)), ""),
    "a service outside its zone": (Graph((ELSEWHERE,), (LAN,)), "zone-prefix"),
    "a service in its zone": (Graph((SERVED,), (LAN,)), ""),
    "databases without a backup target": (Graph((DATABASE,)), "backup-target"),
    "databases with a backup target": (Graph((DATABASE, KEEPER)), ""),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_rule_refuses_its_violation_and_accepts_what_is_lawful(name: str) -> None:
    graph, refused = CASES[name]
    found = rules.violations(graph)
    assert [rule.id for rule, _ in found] == ([refused] if refused else [])
    assert all(rule.clause in rule.message(finding) for rule, finding in found)


def test_every_rule_has_a_violation_and_a_lawful_case() -> None:
    assert {refused for _, refused in CASES.values()} == {"", *(rule.id for rule in rules.RULES)}


def test_the_shipped_plans_violate_nothing(tmp_path: Path) -> None:
    network = load(compile_plan("pilot", tmp_path, confirm="pilot").network)
    every = {name for site in network.sites.values() for name in site.devices}
    for devices in (None, every):
        for stack in program.stacks(network, devices):
            premises = stack.premises
            segments = tuple(zone.segment for each in premises for zone in each.zones)
            links = (*stack.lines, *(cable for each in premises for cable in each.cables))
            assert rules.violations(Graph(stack.hosts, segments, links)) == []


@pytest.fixture(scope="module")
def analyzer() -> Iterator[analyzer_pb2_grpc.AnalyzerStub]:
    """The pack as the engine starts it."""
    environment = {**os.environ, **engine.environment(Path("/usr/bin/pulumi"), Path("/nonexistent"))}
    line = ["pulumi-analyzer-policy-python", "127.0.0.1:1", policy.PACK]
    with subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, text=True) as pack:
        assert pack.stdout
        with grpc.insecure_channel(f"127.0.0.1:{pack.stdout.readline().strip()}") as channel:
            yield analyzer_pb2_grpc.AnalyzerStub(channel)
        pack.terminate()


def things(graph: Graph) -> tuple[Thing, ...]:
    return (*graph.hosts, *graph.segments, *graph.links)


@pytest.mark.parametrize("name", CASES)
def test_the_pack_says_the_same(analyzer: analyzer_pb2_grpc.AnalyzerStub, name: str) -> None:
    graph, refused = CASES[name]
    sent = [
        analyzer_pb2.AnalyzerResource(
            type=resources.token(kind_of(thing)),
            urn=urn(kind_of(thing)),
            name="x",
            properties=given(resources.properties(thing)),
        )
        for thing in things(graph)
    ]
    answer = analyzer.AnalyzeStack(analyzer_pb2.AnalyzeStackRequest(resources=sent))
    assert [each.policyName for each in answer.diagnostics] == ([refused] if refused else [])
    assert all(each.enforcementLevel == analyzer_pb2.MANDATORY for each in answer.diagnostics)


def test_the_pack_names_its_rules(analyzer: analyzer_pb2_grpc.AnalyzerStub) -> None:
    info = analyzer.GetAnalyzerInfo(empty_pb2.Empty())
    assert [each.name for each in info.policies] == [rule.id for rule in rules.RULES]
