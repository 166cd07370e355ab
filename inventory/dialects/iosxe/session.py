"""What a session with an IOS-XE device has to know: prompts, paging, saving, and how its configuration is fetched."""

from __future__ import annotations

from typing import Final

from ground.terminal import Terminal

TERMINAL: Final = Terminal(
    # `name>`, `name#`, and `name(config-…)#` while it is configured.
    prompt=r"(?m)^[\w.:-]{1,63}(?:\([\w.:-]{1,63}\))?[>#]\s*$",
    paging_off="terminal length 0",
    fetch="show running-config",
    enter="configure terminal",
    leave="end",
    save="write memory",
    # The answer is the return key.
    confirm=(r"\[confirm\]\s*$|\[startup-config\]\?\s*$", ""),
    error=r"(?m)^\s*(?:% ?(?:Invalid|Incomplete|Ambiguous|Unknown|Bad)|%.*(?:rror|not allowed|in use|being used)|\^)",
)
