"""What hier_config makes of pairs of configurations: the lines that differ, and its commands; runs in the environment of peers.lock."""

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path


def main() -> None:
    """Read `[[platform, before, after], …]`; print how many lines of the second texts went in. What it says of each pair goes to
    the second file, where one is named: `{changed: [[sign, [section, …], line], …], commands: [line, …]}`."""
    from hier_config import WorkflowRemediation, get_hconfig  # type: ignore[import-not-found,unused-ignore]
    from hier_config.models import Platform  # type: ignore[import-not-found,unused-ignore]

    platforms = {"iosxe": Platform.CISCO_IOS, "vrp": Platform.HUAWEI_VRP, "comware": Platform.HP_COMWARE5}
    said = []
    pairs: list[list[str]] = json.loads(Path(sys.argv[1]).read_text())
    for dialect, before, after in pairs:
        old, new = (get_hconfig(platforms[dialect], text) for text in (before, after))
        commands = [
            child.cisco_style_text() for child in WorkflowRemediation(old, new).remediation_config.all_children_sorted()
        ]
        said.append({"changed": list(_changed(old.unified_diff(new))), "commands": commands})
    if sys.argv[2:]:
        Path(sys.argv[2]).write_text(json.dumps(said))
    print(json.dumps({"units": sum(after.count("\n") for _, _, after in pairs)}))


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
