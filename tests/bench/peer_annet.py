"""What Annet makes of pairs of configurations: the lines that differ, and its commands; runs in the environment of peers.lock."""

import json
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    """Read `[[vendor, before, after, maker and model], …]`, where the last may be empty or left out; print how many lines of the
    second texts went in. What it says of each pair goes to the second file, where one is named:
    `{changed: [[sign, [section, …], line], …], commands: [line, …]}`, or `{error: …}`."""
    from annet import rulebook  # type: ignore[import-not-found,unused-ignore]
    from annet.annlib.netdev.views.hardware import HardwareView  # type: ignore[import-not-found,unused-ignore]
    from annet.hardware import AnnetHardwareProvider, hardware_connector  # type: ignore[import-not-found,unused-ignore]
    from annet.rulebook import rulebook_provider_connector  # type: ignore[import-not-found,unused-ignore]
    from annet.vendors import registry_connector  # type: ignore[import-not-found,unused-ignore]

    rulebook_provider_connector.set(rulebook.DefaultRulebookProvider)
    hardware_connector.set(AnnetHardwareProvider)
    vendors = {"vrp": "huawei", "comware": "h3c"}
    said: list[dict[str, Any]] = []
    pairs: list[list[str]] = json.loads(Path(sys.argv[1]).read_text())
    for dialect, before, after, *model in pairs:
        hardware = registry_connector.get()[vendors[dialect]].hardware
        if any(model):
            hardware = HardwareView(model[0].replace("HUAWEI", "Huawei"))  # it goes by the name as it is written there
        try:
            said.append(_said(hardware, rulebook.get_rulebook(hardware), before, after))
        except Exception as why:  # whatever it is, it is what the peer says of this pair
            said.append({"error": f"{type(why).__name__}: {why}"})
    if sys.argv[2:]:
        Path(sys.argv[2]).write_text(json.dumps(said))
    print(json.dumps({"units": sum(after.count("\n") for _, _, after, *_ in pairs)}))


def _said(hardware: Any, rules: Any, before: str, after: str) -> dict[str, Any]:
    from annet import patching
    from annet.vendors import registry_connector, tabparser

    formatter = registry_connector.get().match(hardware).make_formatter(indent=" ")
    old, new = (tabparser.parse_to_tree(text, formatter.split) for text in (before, after))
    diff = patching.make_diff(old, new, rules, [])
    orderer = patching.Orderer(rules["ordering"], hardware.vendor)
    pre = patching.make_pre(diff)
    patch = patching.make_patch(pre=pre, rb=rules, hw=hardware, add_comments=False, orderer=orderer)
    # Annet knows no firewalls of this vendor; these take each command at once.
    commands = [line for line in formatter.patch(patch).splitlines() if line != "commit"]
    return {"changed": list(_changed(patching.strip_unchanged(diff), ())), "commands": commands}


def _changed(diff: Any, section: tuple[str, ...]) -> Any:
    for kind, line, inside, _ in diff:
        if kind != "affected":
            yield [{"added": "+", "removed": "-"}.get(kind, kind), section, line]
        yield from _changed(inside, (*section, line))


if __name__ == "__main__":
    main()
