"""What a session with a Comware device has to know: prompts, paging, saving, and how its configuration is fetched."""

from __future__ import annotations

from typing import Final

PROMPT: Final = r"(?m)^(?:RBM_[PS])?(?:<[^<>\s]{1,246}>|\[[^\[\]\s]{1,246}\])\s*$"
"""`<name>` in the user view, `[name]` or `[name-view]` in the system view and below it."""
PAGING_OFF: Final = "screen-length disable"
FETCH: Final = "display current-configuration"
ENTER: Final = "system-view"
LEAVE: Final = "return"
SAVE: Final = "save force"
CONFIRM: Final = (r"\[Y/N\]\s*:?\s*$", "Y")
"""What it may ask, and the answer."""
ERROR: Final = r"(?m)^\s*(?:% |\^)"
"""A line by which the device refuses a command."""
