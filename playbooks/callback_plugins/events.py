"""Writes what happens, one JSON object a line, to the file named by JINBAO_EVENTS: `jinbao deploy` shows it as progress."""

from __future__ import annotations

import json
import os
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: events
type: notification
short_description: one JSON object a line for each play, task and result
description: Switched on by C(jinbao deploy); a playbook needs nothing of it.
author: jinbao
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """`{"event": "plays" | "play" | "task" | "result" | "end", …}`; see `playbooks.deploy.Event`."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "events"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        path = os.environ.get("JINBAO_EVENTS", "")
        if path:
            self._stream = open(path, "a", encoding="utf-8", buffering=1)  # noqa: SIM115  (as long as the process)
        else:
            self.disabled = True

    def _tell(self, event: str, **fields: Any) -> None:
        self._stream.write(json.dumps({"event": event, **fields}) + "\n")

    def v2_playbook_on_start(self, playbook: Any) -> None:
        plays = playbook.get_plays()
        self._tell("plays", tasks=sum(_count(block) for play in plays for block in play.compile()))

    def v2_playbook_on_play_start(self, play: Any) -> None:
        self._tell("play", name=play.get_name())

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        self._tell("task", name=task.get_name())

    def v2_runner_on_ok(self, result: Any) -> None:
        answer = result._result
        # What a task without log did is told, what it said is not.
        said = {name: answer.get(name, []) for name in ("files", "removed") if isinstance(answer.get(name), list)}
        status = "changed" if answer.get("changed") else "ok"
        self._tell("result", host=result._host.get_name(), status=status, **({} if result._task.no_log else said))

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        if not ignore_errors:
            self._tell("result", host=result._host.get_name(), status="failed", message=_message(result))

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._tell("result", host=result._host.get_name(), status="unreachable", message=_message(result))

    def v2_playbook_on_stats(self, stats: Any) -> None:
        self._tell("end", hosts={host: stats.summarize(host) for host in sorted(stats.processed)})


def _count(block: Any) -> int:
    """The tasks of a block and of the blocks in it, without the flushes that ansible puts between roles."""
    found = 0
    for task in [*block.block, *block.rescue, *block.always]:
        found += _count(task) if hasattr(task, "block") else int(task.action not in ("meta", "ansible.builtin.meta"))
    return found


def _message(result: Any) -> str:
    """What a failed task said, with what the failed items of its loop said."""
    answer = result._result
    if result._task.no_log:
        return f"{result._task.get_name()}: failed; its output is not logged"
    items = [item for item in answer.get("results", []) if isinstance(item, dict) and item.get("failed")]
    parts = []
    for one in items or [answer]:
        said = [str(one.get(name, "")).strip() for name in ("msg", "stderr", "module_stderr") if one.get(name)]
        head = (
            f"{one['item'] if isinstance(one['item'], str) else one['item'].get('name', '')}: " if "item" in one else ""
        )
        parts.append(head + "\n".join(dict.fromkeys(said)))
    return f"{result._task.get_name()}: " + "\n".join(parts)
