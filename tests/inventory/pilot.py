"""The pilot, compiled and rendered once for Ningxia: what its devices would run, and what they run when somebody changed it."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec

from ground import running, tree
from inventory import acceptance
from inventory.adopt import adopting
from inventory.adopt.proposal import Adoption
from inventory.dialect import Dialect
from inventory.dialects.nftables.running import DIALECT as NFTABLES
from ip_plan import plan as plans
from ip_plan.network import Network

TODAY = date(2026, 11, 1)
AT = "twin:adopt"
FIREWALL, ROUTER, OFFICE = "640100-fw1", "640100-r1", "640121-r1"


class Place(msgspec.Struct, frozen=True):
    """The pilot, compiled and rendered for Ningxia."""

    state: Path
    plan: plans.Plan
    network: Network

    def rendered(self, device: str, dialect: Dialect) -> str:
        build = tree.place(self.state, AT, "pilot")
        return (build / device / "files" / dialect.target.lstrip("/")).read_text()

    def running(self, device: str, dialect: Dialect) -> str:
        """The rendered text as a device prints it."""
        text = self.rendered(device, dialect)
        return text[text.index("table inet zone {") :] if dialect is NFTABLES else text

    def adopt(self, device: str, dialect: Dialect, text: str) -> Adoption:
        remedy = acceptance.remedy(dialect, device, text, self.rendered(device, dialect), "running.conf")
        return adopting.adopt(self.network, self.plan, remedy, text, TODAY)

    def filled(self, text: str) -> str:
        """A text with `<site:zone>`, `<site:zone:service>` and `<peer:device:neighbour>` replaced by their IPv4 addresses."""

        def address(found: re.Match[str]) -> str:
            site, zone, *service = found[1].split(":")
            if site == "peer":
                return next(i.peer4 for i in self.network.devices[zone].interfaces if i.peer == service[0])
            key = next(key for key in self.network.known_sites if key.startswith(f"{site}:"))
            if service:
                return next(s.v4 for s in self.network.services_at[key, zone] if s.name == service[0])
            held = self.network.known_sites[key].zone(zone)
            assert held
            return held.v4

        return re.sub(r"<([\w:-]+)>", address, text)

    def seen(self, device: str, dialect: Dialect, text: str) -> None:
        """As if it had been fetched."""
        running.keep(self.state, AT, device, dialect.name, text, datetime.now(UTC))
