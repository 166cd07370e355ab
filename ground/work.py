"""The Executor seam: work split by province runs in this process, in processes, or wherever an Executor leads."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing.connection import wait
from typing import TypeVar

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


def spread(task: Callable[[Item], Outcome], items: Iterable[Item], executor: Executor | None = None) -> list[Outcome]:
    """`task` of every item, in order. One item, or one core, stays in this process; give the largest items first."""
    listed = list(items)
    if executor is not None:
        return list(executor.map(task, listed))
    cores = os.cpu_count() or 1
    if len(listed) < 2 or cores < 2:
        return [task(item) for item in listed]
    with ProcessPoolExecutor(min(cores, len(listed)), initializer=_end_with_parent) as pool:
        return list(pool.map(task, listed))


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for work for ever, and keep the locks that it was forked with."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
