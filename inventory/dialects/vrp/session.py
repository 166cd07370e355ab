"""What a session with a VRP device has to know: prompts, paging, saving, and how its configuration is fetched."""

from __future__ import annotations

from typing import Final

from ground.terminal import Terminal

TERMINAL: Final = Terminal(
    # `<name>` in the user view, `[name]` or `[name-view]` in the system view and below it.
    prompt=r"(?m)^(?:HRP_[MS])?(?:<[^<>\s]{1,246}>|\[[~*]?[^\[\]\s]{1,246}\])\s*$",
    paging_off="screen-length 0 temporary",
    fetch="display current-configuration",
    enter="system-view",
    leave="return",
    save="save",
    confirm=(r"\[Y/N\]\s*:?\s*$", "Y"),
    error=r"(?m)^\s*(?:Error:|\^)",
)
