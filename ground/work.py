"""The Executor seam: work split by province runs in this process, in processes, or wherever an Executor leads."""

from __future__ import annotations

import faulthandler
import os
import resource
import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Executor

Shared = TypeVar("Shared")
Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


_shared: list[Any] = []


def spread(
    task: Callable[[Shared, Item], Outcome], shared: Shared, items: Iterable[Item], executor: Executor | None = None,
    each: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:  # fmt: skip
    """`task` of `shared` and every item, in order. One item, or one core, stays in this process; give the largest items first.

    `each` hears of every outcome as it comes, in order.

    Workers are forked with `shared`: it is not sent to them, and what they change in it stays theirs.
    """
    listed = list(items)
    one = partial(_with_shared, task)
    _shared.append(shared)

    def heard(outcomes: Iterable[Outcome]) -> list[Outcome]:
        found = []
        for outcome in outcomes:
            each(outcome)
            found.append(outcome)
        return found

    try:
        if executor is not None:
            return heard(executor.map(one, listed))
        cores = os.cpu_count() or 1
        if len(listed) < 2 or cores < 2:
            return heard(map(one, listed))
        from concurrent.futures import ProcessPoolExecutor  # most commands need no processes: they start sooner

        with ProcessPoolExecutor(min(cores, len(listed)), initializer=_end_with_parent) as pool:
            return heard(pool.map(one, listed))
    finally:
        _shared.pop()


def confined(task: Callable[[Item], Outcome], items: Iterable[Item], memory: int) -> list[Outcome | None]:
    """`task` of every item, in order, in workers that may take `memory` bytes beyond what this process has.

    None where a worker ran out of it, or died of its input in another way: what others sent cannot take this process along.
    """
    listed = list(items)
    if not listed:
        return []
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    found: list[Outcome | None] = [None] * len(listed)
    died: list[int] = []
    cores = os.cpu_count() or 1
    with ProcessPoolExecutor(min(cores, len(listed)), initializer=_confine, initargs=(memory,)) as pool:
        futures = [pool.submit(task, item) for item in listed]
        for index, future in enumerate(futures):
            try:
                found[index] = future.result()
            except (BrokenProcessPool, MemoryError):
                died.append(index)
    if len(listed) > 1:  # a broken pool takes every task along that was not done
        for index in died:
            found[index] = confined(task, [listed[index]], memory)[0]
    return found


def _confine(memory: int) -> None:
    _end_with_parent()
    with open("/proc/self/statm") as stream:
        held = int(stream.read().split()[0]) * resource.getpagesize()
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    wanted = held + memory
    resource.setrlimit(resource.RLIMIT_AS, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    # A reader that runs out of memory aborts, and says so at length.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    faulthandler.disable()


def _with_shared(task: Callable[[Shared, Item], Outcome], item: Item) -> Outcome:
    return task(_shared[-1], item)


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for work for ever, and keep the locks that it was forked with."""
    import multiprocessing
    from multiprocessing.connection import wait

    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
