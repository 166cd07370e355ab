"""What hier_config makes of pairs of configurations: the lines that differ, and its commands; runs in the environment of peers.lock."""

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any


def main() -> None:
    """Read `[[platform, before, after, …], …]`; print how many lines of the second texts went in. What it says of each pair goes to
    the second file, where one is named: `{changed: [[sign, [section, …], line], …], commands: [line, …]}`, or `{error: …}`."""
    from hier_config.models import Platform  # type: ignore[import-not-found,unused-ignore]

    platforms = {
        "iosxe": Platform.CISCO_IOS,
        "frr": Platform.CISCO_IOS,
        "vrp": Platform.HUAWEI_VRP,
        "comware": Platform.HP_COMWARE5,
    }
    said: list[dict[str, Any]] = []
    pairs: list[list[str]] = json.loads(Path(sys.argv[1]).read_text())
    for dialect, before, after, *_ in pairs:
        try:
            said.append(_said(platforms[dialect], before, after))
        except Exception as why:  # whatever it is, it is what the peer says of this pair
            said.append({"error": f"{type(why).__name__}: {why}"})
    if sys.argv[2:]:
        Path(sys.argv[2]).write_text(json.dumps(said))
    print(json.dumps({"units": sum(after.count("\n") for _, _, after, *_ in pairs)}))


def _said(platform: Any, before: str, after: str) -> dict[str, Any]:
    from hier_config import WorkflowRemediation, get_hconfig  # type: ignore[import-not-found,unused-ignore]

    old, new = (get_hconfig(platform, text) for text in (before, after))
    commands = WorkflowRemediation(old, new).remediation_config.all_children_sorted()
    return {
        "changed": list(_changed(old.unified_diff(new))),
        "commands": [child.cisco_style_text() for child in commands],
    }


def _changed(diff: Iterable[str]) -> Iterator[tuple[str, list[str], str]]:
    section: list[str] = []
    for marked in diff:
        text = marked.lstrip(" ")
        depth = (len(marked) - len(text)) // 2
        sign, line = (text[0], text[2:]) if text[:2] in ("+ ", "- ") else (" ", text)
        section = [*section[:depth], line]
        if sign != " ":
            yield sign, section[:depth], line


if __name__ == "__main__":
    main()
