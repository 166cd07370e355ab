"""What Annet makes of pairs of configurations: the lines that differ, and its commands; runs in the environment of peers.lock."""

import json
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    """Read `[[vendor, before, after], …]`; print how many lines of the second texts went in. What it says of each pair goes to
    the second file, where one is named: `{changed: [[sign, [section, …], line], …], commands: [line, …]}`."""
    from annet import rulebook  # type: ignore[import-not-found,unused-ignore]
    from annet.hardware import AnnetHardwareProvider, hardware_connector  # type: ignore[import-not-found,unused-ignore]
    from annet.rulebook import rulebook_provider_connector
    from annet.vendors import registry_connector  # type: ignore[import-not-found,unused-ignore]

    rulebook_provider_connector.set(rulebook.DefaultRulebookProvider)
    hardware_connector.set(AnnetHardwareProvider)
    vendors = {"vrp": "huawei", "comware": "h3c"}
    said = []
    pairs: list[list[str]] = json.loads(Path(sys.argv[1]).read_text())
    for dialect, before, after in pairs:
        hardware = registry_connector.get()[vendors[dialect]].hardware
        said.append(_said(hardware, rulebook.get_rulebook(hardware), before, after))
    if sys.argv[2:]:
        Path(sys.argv[2]).write_text(json.dumps(said))
    print(json.dumps({"units": sum(after.count("\n") for _, _, after in pairs)}))


def _said(hardware: Any, rules: Any, before: str, after: str) -> dict[str, Any]:
    from annet import patching
    from annet.vendors import registry_connector, tabparser

    formatter = registry_connector.get().match(hardware).make_formatter(indent=" ")
    old, new = (tabparser.parse_to_tree(text, formatter.split) for text in (before, after))
    diff = patching.strip_unchanged(patching.make_diff(old, new, rules, []))
    orderer = patching.Orderer(rules["ordering"], hardware.vendor)
    patch = patching.make_patch(
        pre=patching.make_pre(diff), rb=rules, hw=hardware, add_comments=False, orderer=orderer
    )
    return {"changed": list(_changed(diff, ())), "commands": formatter.patch(patch).splitlines()}


def _changed(diff: Any, section: tuple[str, ...]) -> Any:
    for kind, line, inside, _ in diff:
        if kind != "affected":
            yield [{"added": "+", "removed": "-"}.get(kind, kind), section, line]
        yield from _changed(inside, (*section, line))


if __name__ == "__main__":
    main()
