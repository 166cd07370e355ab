"""A provider without an engine, and an engine with stacks of its own; labs that go whatever happens."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import grpc
import msgspec
import pytest
from google.protobuf import json_format, struct_pb2
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from stacks.provider import resources
from stacks.provider.resources import Host, Link, Segment, Thing
from stacks.twin import lab, place
from stacks.twin.cgroups import Layout
from stacks.twin.image import Image
from stacks.twin.place import Place

_count = itertools.count()


@pytest.fixture(scope="session")
def prepared() -> tuple[Image, Layout]:
    """The image, built on the first run on this machine, and the layout of control groups."""
    return lab.prepared(8)


@pytest.fixture
def name() -> Iterator[str]:
    """A lab's name that no other test has."""
    chosen = f"s{os.getpid()}x{next(_count)}"
    yield chosen
    lab.down(chosen)


def host(name: str, **more: Any) -> Host:
    """A host with what every one has to have."""
    return msgspec.structs.replace(
        Host(name=name, site="640100:centre1", kind="centre", level="prefecture", region="640100", role="host"), **more
    )


LAN = Segment(
    id="640100:centre1:production", site="640100:centre1", kind="centre", level="prefecture", region="640100",
    zone="production", v4="10.0.1.0/24", v6="3fff::/64", ports=("a z-production", "b z-production"),
)  # fmt: skip
LINE = Link(id="a~b", kind="leased", a="a w-b", b="b w-a")


class Spoken:
    """A provider process, spoken to over gRPC as the engine does."""

    def __init__(self, state: Path, target: str) -> None:
        environment = {**os.environ, "JINBAO_STATE": str(state), "JINBAO_AT": target}
        program = Path(sys.executable).with_name("pulumi-resource-jinbao")
        self.process = subprocess.Popen([program, "127.0.0.1:1"], env=environment, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        self.channel = grpc.insecure_channel(f"127.0.0.1:{self.process.stdout.readline().strip()}")
        self.stub = provider_pb2_grpc.ResourceProviderStub(self.channel)

    def close(self) -> None:
        self.channel.close()
        self.process.terminate()
        self.process.communicate()

    def check(self, kind: str, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
        """Values as completed, and property → failure."""
        answer = self.stub.Check(provider_pb2.CheckRequest(urn=urn(kind), news=given(values)))
        return plain(answer.inputs), {each.property: each.reason for each in answer.failures}

    def diff(self, thing: Thing, new: Thing) -> Any:
        old, news = (given(resources.properties(each)) for each in (thing, new))
        return self.stub.Diff(provider_pb2.DiffRequest(urn=urn(kind_of(thing)), id="x", olds=old, news=news))

    def create(self, thing: Thing, preview: bool = False) -> Any:
        wanted = given(resources.properties(thing))
        return self.stub.Create(provider_pb2.CreateRequest(urn=urn(kind_of(thing)), properties=wanted, preview=preview))

    def read(self, thing: Thing) -> dict[str, Any] | None:
        """What it is now; None: gone."""
        values = given(resources.properties(thing))
        answer = self.stub.Read(
            provider_pb2.ReadRequest(urn=urn(kind_of(thing)), id="x", properties=values, inputs=values)
        )
        return plain(answer.inputs) if answer.id else None

    def update(self, old: Thing, new: Thing) -> dict[str, Any]:
        olds, news = (given(resources.properties(each)) for each in (old, new))
        return plain(
            self.stub.Update(provider_pb2.UpdateRequest(urn=urn(kind_of(old)), id="x", olds=olds, news=news)).properties
        )

    def delete(self, thing: Thing) -> None:
        values = given(resources.properties(thing))
        self.stub.Delete(provider_pb2.DeleteRequest(urn=urn(kind_of(thing)), id="x", properties=values))


def kind_of(thing: Thing) -> str:
    return type(thing).__name__


def urn(kind: str) -> str:
    return f"urn:pulumi:s::p::jinbao:dc:DataCentre$jinbao:index:{kind}::x"


def given(values: Mapping[str, Any]) -> struct_pb2.Struct:
    return json_format.ParseDict(msgspec.to_builtins(values), struct_pb2.Struct())


def plain(values: struct_pb2.Struct) -> dict[str, Any]:
    found: dict[str, Any] = json_format.MessageToDict(values)
    return found


@pytest.fixture
def at(tmp_path: Path, name: str) -> Place:
    return place.at(tmp_path / "twin", name)


@pytest.fixture
def provider(tmp_path: Path, name: str, at: Place, prepared: tuple[Image, Layout]) -> Iterator[Spoken]:
    """A provider of a lab of its own."""
    spoken = Spoken(tmp_path, f"twin:{name}")
    yield spoken
    spoken.close()


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spoken]:
    """A provider that is only asked what it thinks, and makes nothing."""
    spoken = Spoken(tmp_path_factory.mktemp("judge"), "twin:none")
    yield spoken
    spoken.close()
