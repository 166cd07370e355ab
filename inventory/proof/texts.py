"""The rendered tree read back: which files of a device say what, each through its reader."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import msgspec

from ground.mistake import Mistake, Mistakes
from inventory.proof import (
    comware,
    filters,
    frr,
    iosxe,
    keepalived,
    networkd,
    nftables,
    sharing,
    swanctl,
    vrp,
    zonefile,
)
from inventory.proof.sockets import Switch

WHOLE = {"/vrpcfg.cfg": vrp.read, "/startup.cfg": comware.read, "/startup-config": iosxe.read}
"""Files that say all of a vendor's device, with their readers."""


class Text(msgspec.Struct, frozen=True):
    """One file: where it lies here, and its content."""

    path: str
    content: str


class Reading(msgspec.Struct, frozen=True):
    """What the files of one device say. `mistakes`: what could not be read; its part is then None or empty."""

    device: str
    texts: dict[str, Text]
    """Path on the device → text."""
    nftables: filters.Ruleset | None = None
    frr: frr.Config | None = None
    units: tuple[networkd.Unit, ...] = ()
    netdevs: dict[str, tuple[str, tuple[networkd.Line, ...]]] = {}
    """Interface that a unit makes → (file, its lines)."""
    swanctl: swanctl.Config | None = None
    named: zonefile.Named | None = None
    zones: tuple[tuple[zonefile.NamedZone, zonefile.Zonefile], ...] = ()
    switching: Switch | None = None
    pair: sharing.Config | None = None
    mistakes: tuple[Mistake, ...] = ()

    def here(self, target: str) -> str:
        """Where the file lies that the device will have at `target`."""
        return self.texts[target].path if target in self.texts else target


def load(folder: Path) -> dict[str, Text]:
    """The texts of a device's folder by their path on the device. Raises FileNotFoundError, msgspec.ValidationError."""
    found = {}
    with open(f"{folder}/tree.json", "rb") as stream:
        listed = _TREE.decode(stream.read()).entries
    for entry in listed:
        if entry.target.startswith(_READ):
            path = f"{folder}/files/{entry.source}"
            with open(path, "rb") as stream:
                found[entry.target] = Text(path, stream.read().decode())
    return found


class _Entry(msgspec.Struct):
    target: str
    source: str


class _Tree(msgspec.Struct):
    """As much of `ground.tree.Tree` as is read here, 50,000 times."""

    entries: list[_Entry]


_TREE = msgspec.json.Decoder(_Tree)
_READ = (
    *WHOLE,
    "/etc/nftables",
    "/etc/frr/frr.conf",
    "/etc/systemd/network/",
    "/etc/keepalived/",
    "/etc/swanctl/",
    "/etc/strongswan.d/",
    "/etc/bind/",
    "/var/lib/bind/",
)


def read(device: str, texts: dict[str, Text], before: Reading | None = None) -> Reading:
    """Read every text of a device; a text that is the same as in `before` is not read again."""
    mistakes: list[Mistake] = []

    def same(*targets: str) -> bool:
        return before is not None and all(before.texts.get(t) == texts.get(t) for t in targets)

    ruleset = config = switch = pair = None
    units: list[networkd.Unit] = []
    netdevs: dict[str, tuple[str, tuple[networkd.Line, ...]]] = {}
    keys = None
    for target, text in sorted(texts.items()):
        path = PurePosixPath(target)
        try:
            if path.parts[:2] == ("/", "etc") and path.name in ("nftables.conf",):
                old = before.nftables if before and same(target) else None
                ruleset = old or nftables.read(text.content, text.path)
            elif target in WHOLE:
                if before and before.frr and same(target):
                    config, ruleset, switch, pair = before.frr, before.nftables, before.switching, before.pair
                else:
                    whole = WHOLE[target](text.content, text.path)
                    config, ruleset, switch, pair = whole.routing, whole.filter, whole.switching, whole.pair
            elif path.name == "frr.conf":
                ready = before.frr if before and same(target) else None
                config = ready or frr.read(text.content, text.path)
            elif path.name == "keepalived.conf":
                pair = before.pair if before and same(target) else keepalived.read(text.content, text.path)
            elif path.suffix == ".network":
                units.append(networkd.read(text.content, text.path))
            elif path.suffix == ".netdev":
                said = networkd.lines(text.content, text.path)
                name = next((each.value for each in said if (each.section, each.key) == ("NetDev", "Name")), "")
                netdevs[name] = (text.path, said)
            elif path.parts[:3] == ("/", "etc", "swanctl"):
                keys = swanctl.read(text.content, text.path)
        except Mistakes as found:
            mistakes += found.found
    named, zones = None, []
    root = next((t for t in ("/etc/bind/named.conf", "/etc/bind/named.conf.local") if t in texts), "")
    if root:
        try:
            named = zonefile.read_named({target: text.content for target, text in texts.items()}, root)
            directory = next(
                (
                    s.words[1]
                    for s in (named.options.body if named.options else None) or ()
                    if s.words[0] == "directory"
                ),
                "",
            )
            olds = {(z.file): (z, f) for z, f in before.zones} if before else {}
            for zone in named.zones:
                if zone.type not in ("master", "hint"):
                    continue
                target = str(PurePosixPath(directory) / zone.file)
                if target not in texts:
                    if zone.type == "master":
                        what = f"zone {zone.name} lies in {zone.file}, which is not in the tree"
                        cure = "Render the zone file, or correct the path."
                        mistakes.append(Mistake(texts[zone.source].path, zone.line, None, "JB2402", device, what, cure))
                    continue
                try:
                    old_zone = olds.get(zone.file)
                    if old_zone and same(target) and old_zone[0].name == zone.name:
                        zones.append((zone, old_zone[1]))
                    else:
                        zones.append((zone, zonefile.read(texts[target].content, zone.name, texts[target].path)))
                except Mistakes as found:
                    mistakes += found.found
        except Mistakes as found:
            mistakes += [
                msgspec.structs.replace(m, file=texts[m.file].path if m.file in texts else m.file) for m in found.found
            ]
    return Reading(
        device, texts, ruleset, config, tuple(units), netdevs, keys, named, tuple(zones), switch, pair, tuple(mistakes)
    )
