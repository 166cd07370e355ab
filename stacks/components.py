"""Components: a data centre with its zones, an office with its zones; below them the provider's resources."""

from __future__ import annotations

from typing import Any

import pulumi
from pulumi import ResourceOptions

from stacks import program
from stacks.provider import resources
from stacks.provider.resources import Host, Thing


class Made(pulumi.CustomResource):
    """One resource of the provider."""

    def __init__(self, thing: Thing, opts: ResourceOptions | None = None) -> None:
        name = thing.name if isinstance(thing, Host) else thing.id.replace(":", "-")
        # What holds data is let go only after somebody has confirmed it by name.
        kept = ResourceOptions(protect=isinstance(thing, Host) and thing.data)
        values: dict[str, Any] = resources.properties(thing)
        super().__init__(
            resources.token(type(thing).__name__), name, values, ResourceOptions.merge(kept, opts or ResourceOptions())
        )


class Zone(pulumi.ComponentResource):
    """A zone of a site: a LAN of its own, and its hosts."""

    def __init__(self, place: str, zone: program.Zone, opts: ResourceOptions | None = None) -> None:
        super().__init__("jinbao:dc:Zone", f"{place}-{zone.name}-zone", {}, opts)
        inside: tuple[Thing, ...] = (zone.segment, *zone.hosts)
        for thing in inside:
            Made(thing, ResourceOptions(parent=self))
        self.register_outputs({"v4": zone.segment.v4, "v6": zone.segment.v6})


class DataCentre(pulumi.ComponentResource):
    """A data centre (S3 四) or an office: zones, and the routers and firewalls between them."""

    def __init__(self, place: program.Premises, opts: ResourceOptions | None = None) -> None:
        super().__init__(f"jinbao:dc:{'DataCentre' if place.centre else 'Office'}", place.name, {}, opts)
        between: tuple[Thing, ...] = (*place.devices, *place.cables)
        for thing in between:
            Made(thing, ResourceOptions(parent=self))
        for zone in place.zones:
            Zone(place.name, zone, ResourceOptions(parent=self))
        self.register_outputs({"zones": [zone.name for zone in place.zones]})


def declare(stack: program.Stack) -> None:
    """Everything of one stack; the program that the engine runs."""
    for place in stack.premises:
        DataCentre(place)
    for line in stack.lines:
        Made(line)
