"""`pulumi-resource-jinbao`: the resources as the engine's plugin protocol speaks of them. The one file that knows it.

Where things are made comes from the environment, as for every command: `JINBAO_AT` and `JINBAO_STATE`. Nothing of it
goes into the engine's state.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
import sys
import threading
from collections.abc import Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import msgspec
from pulumi.provider.experimental import provider as protocol
from pulumi.provider.experimental import server
from pulumi.provider.experimental.property_value import PropertyValue

from ground import mistake
from stacks.provider import resources
from stacks.provider.resources import PACKAGE, Found, Host, Thing

# Two cores boot four machines no faster with eight, and each takes longer.
MACHINES, WIRES = 4, 4
MARK = "jinbao-mistakes:"
KINDS = protocol.PropertyDiffKind


class BackEnd(Protocol):
    """Where things are: the twin, or machines that exist."""

    def make(self, thing: Thing) -> Found:
        """Make it where it is missing."""

    def read(self, thing: Thing) -> Found | None:
        """It as it is now; None: it is gone."""

    def change(self, old: Thing, new: Thing) -> Found:
        """Make of the one that stands the one that is wanted."""

    def remove(self, thing: Thing) -> None:
        """Remove it; nothing happens where it is gone."""


class Refused(Exception):
    """Mistakes on their way through the engine: in words for whoever reads its output, and as values for our own program."""

    def __init__(self, found: mistake.Mistakes) -> None:
        super().__init__(f"{found}\n{MARK}{msgspec.json.encode(found.found).decode()}")


class Provider(protocol.Provider):
    """Hosts, segments and links on one back end."""

    def __init__(self, back_end: BackEnd, given_up: threading.Event) -> None:
        self._back_end = back_end
        self._given_up = given_up
        self._machines, self._wires = asyncio.Semaphore(MACHINES), asyncio.Semaphore(WIRES)

    async def get_schema(self, request: protocol.GetSchemaRequest) -> protocol.GetSchemaResponse:
        """The package's schema, drawn from the values."""
        return protocol.GetSchemaResponse(msgspec.json.encode(schema()).decode())

    async def check(self, request: protocol.CheckRequest) -> protocol.CheckResponse:
        """Fills in what was left out; names every failure at once."""
        kind = resources.kind_of(request.type)
        plain = _plain(request.new_inputs)
        found = [protocol.CheckFailure(name, why) for name, why in resources.failures(kind, plain)]
        whole = plain if found else resources.properties(resources.thing(kind, plain))
        return protocol.CheckResponse(_values(whole), found)

    async def diff(self, request: protocol.DiffRequest) -> protocol.DiffResponse:
        """What differs, property by property, and whether it needs another thing in its place."""
        kind = resources.kind_of(request.type)
        before, wanted = _plain(request.old_state), _plain(request.new_inputs)
        found = resources.differences(before, wanted, kind)
        ignored = {path for path in found if path.partition("[")[0] in request.ignore_changes}
        details = {
            path: protocol.PropertyDiff(KINDS.UPDATE_REPLACE if replaced else KINDS.UPDATE, input_diff=False)
            for path, replaced in found.items()
            if path not in ignored
        }
        return protocol.DiffResponse(
            changes=bool(details),
            replaces=[path for path in details if found[path]],
            # Two of one name cannot stand at a time.
            delete_before_replace=True,
            diffs=sorted({path.partition("[")[0] for path in details}),
            detailed_diff=details,
        )

    async def create(self, request: protocol.CreateRequest) -> protocol.CreateResponse:
        """Make it; one that an interrupted run has made is taken as it is."""
        thing = resources.thing(resources.kind_of(request.type), _plain(request.properties))
        found = (thing, {}) if request.preview else await self._do(thing, partial(self._back_end.make, thing))
        identity = thing.name if isinstance(thing, Host) else thing.id
        return protocol.CreateResponse(identity, _values(resources.properties(found[0]) | found[1]))

    async def read(self, request: protocol.ReadRequest) -> protocol.ReadResponse:
        """It as it is now; nothing where it is gone."""
        kind = resources.kind_of(request.type)
        wanted = resources.thing(kind, _plain(request.inputs) or _plain(request.properties))
        found = await self._do(wanted, partial(self._back_end.read, wanted))
        if found is None:
            return protocol.ReadResponse()
        plain = resources.properties(found[0])
        return protocol.ReadResponse(request.resource_id, _values(plain | found[1]), _values(plain))

    async def update(self, request: protocol.UpdateRequest) -> protocol.UpdateResponse:
        """Change it where it stands."""
        kind = resources.kind_of(request.type)
        old, new = (resources.thing(kind, _plain(each)) for each in (request.olds, request.news))
        found = (new, {}) if request.preview else await self._do(new, partial(self._back_end.change, old, new))
        return protocol.UpdateResponse(_values(resources.properties(found[0]) | found[1]))

    async def delete(self, request: protocol.DeleteRequest) -> None:
        """Remove it."""
        thing = resources.thing(resources.kind_of(request.type), _plain(request.properties))
        await self._do(thing, partial(self._back_end.remove, thing))

    async def cancel(self) -> None:
        """Wait for no machine any longer."""
        self._given_up.set()

    async def _do(self, thing: Thing, action: Any) -> Any:
        async with self._machines if isinstance(thing, Host) else self._wires:
            try:
                return await asyncio.to_thread(action)
            except mistake.Mistakes as found:
                raise Refused(found) from None


def told(text: str) -> list[mistake.Mistake]:
    """The mistakes that a message of the engine carries."""
    _, mark, rest = text.partition(MARK)
    if not mark:
        return []
    decoder = msgspec.json.Decoder(list[mistake.Mistake])
    return decoder.decode(rest[: rest.rindex("]") + 1])


def schema() -> dict[str, Any]:
    """The package's schema: what the engine and other languages need to know of the resources."""

    def property_(field: msgspec.structs.FieldInfo) -> dict[str, Any]:
        (shape,), _ = msgspec.json.schema_components([field.type])
        return {key: shape[key] for key in ("type", "items", "additionalProperties") if key in shape}

    kinds = {}
    for kind, shape in resources.KINDS.items():
        fields = msgspec.structs.fields(shape)
        properties = {field.name: property_(field) for field in fields}
        kinds[resources.token(kind)] = {
            "description": (shape.__doc__ or "").strip(),
            "inputProperties": properties,
            "requiredInputs": [field.name for field in fields if field.required],
            "properties": properties,
            "required": list(properties),
        }
    return {"name": PACKAGE, "version": version(PACKAGE), "resources": kinds}


def _plain(values: Mapping[str, PropertyValue]) -> dict[str, Any]:
    def one(value: PropertyValue) -> Any:
        held = value.value
        if isinstance(held, Mapping):
            return {key: one(each) for key, each in held.items()}
        return [one(each) for each in held] if isinstance(held, tuple | list) else held

    return {name: one(value) for name, value in values.items() if not name.startswith("__")}


def _values(plain: Mapping[str, Any]) -> dict[str, PropertyValue]:
    def one(value: Any) -> PropertyValue:
        if isinstance(value, Mapping):
            return PropertyValue({key: one(each) for key, each in value.items()})
        return PropertyValue([one(each) for each in value] if isinstance(value, tuple | list) else value)

    return {name: one(value) for name, value in plain.items()}


def back_end(given_up: threading.Event) -> BackEnd:
    """The one that the environment names. Raises Mistakes JB3113."""
    state, target = os.environ.get("JINBAO_STATE", ""), os.environ.get("JINBAO_AT", "")
    kind, _, lab = target.partition(":")
    if state and kind == "twin" and lab:
        from stacks.provider import twin

        return twin.at(Path(state), target, given_up)
    if state and target == "production":
        from stacks.provider import ssh

        return ssh.of(Path(state), target)
    what = f"JINBAO_AT={target} and JINBAO_STATE={state} do not say where to make things"
    raise mistake.one("JB3113", what, "Run `jinbao stack up`, which sets both, or set them.", subject="provider")


def main() -> None:
    """Serve the engine that started this, and end with it, also where it was killed."""
    engine = os.pidfd_open(os.getppid())

    def watch() -> None:
        select.select([engine], [], [])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    given_up = threading.Event()

    def end(*_: object) -> None:
        given_up.set()
        raise KeyboardInterrupt

    # Ctrl-C is the engine's to hear, this process has a group of its own; the engine sends the signal when it needs us no more.
    signal.signal(signal.SIGINT, end)
    try:
        provider = Provider(back_end(given_up), given_up)
    except mistake.Mistakes as found:
        sys.exit(str(found))
    server.main(sys.argv[1:], version(PACKAGE), provider)


if __name__ == "__main__":
    main()
