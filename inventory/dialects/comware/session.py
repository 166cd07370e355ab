"""What a session with a Comware device has to know: prompts, paging, saving, and how its configuration is fetched."""

from __future__ import annotations

from typing import Final

from ground.terminal import Terminal

TERMINAL: Final = Terminal(
    # `<name>` in the user view, `[name]` or `[name-view]` in the system view and below it.
    prompt=r"(?m)^(?:RBM_[PS])?(?:<[^<>\s]{1,246}>|\[[^\[\]\s]{1,246}\])\s*$",
    paging_off="screen-length disable",
    fetch="display current-configuration",
    enter="system-view",
    leave="return",
    save="save force",
    confirm=(r"\[Y/N\]\s*:?\s*$", "Y"),
    error=r"(?m)^\s*(?:% |\^)",
)
