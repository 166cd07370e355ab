"""What a session with an IOS-XE device has to know: prompts, paging, saving, and how its configuration is fetched."""

from __future__ import annotations

from typing import Final

PROMPT: Final = r"(?m)^[\w.:-]{1,63}(?:\([\w.:-]{1,63}\))?[>#]\s*$"
"""`name>`, `name#`, and `name(config-…)#` while it is configured."""
PAGING_OFF: Final = "terminal length 0"
FETCH: Final = "show running-config"
ENTER: Final = "configure terminal"
LEAVE: Final = "end"
SAVE: Final = "write memory"
CONFIRM: Final = (r"\[confirm\]\s*$|\[startup-config\]\?\s*$", "")
"""What `write memory` may ask, and the answer: the return key."""
ERROR: Final = r"(?m)^\s*(?:% (?:Invalid|Incomplete|Ambiguous|Unknown|Bad)|%.*(?:rror|not allowed|in use)|\^)"
"""A line by which the device refuses a command."""
