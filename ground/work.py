"""The Executor seam: work split by province runs in this process, in processes, or wherever an Executor leads."""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import os
import pickle
import resource
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, TypeVar

from ground import mistake

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

    Workers are forked with `shared`: it is not sent to them, and what they change in it stays theirs. The workers of an
    `executor` may be anywhere: they are sent it, and have to see the same files under the same paths.
    """
    listed = list(items)

    def heard(outcomes: Iterable[Outcome]) -> list[Outcome]:
        found = []
        for outcome in outcomes:
            each(outcome)
            found.append(outcome)
        return found

    if executor is not None:
        sent = pickle.dumps((task, shared))
        return heard(executor.map(partial(_with_sent, sent), listed))
    cores = os.cpu_count() or 1
    if len(listed) < 2 or cores < 2:
        return heard(task(shared, item) for item in listed)
    from concurrent.futures import ProcessPoolExecutor  # most commands need no processes: they start sooner

    _shared.append(shared)
    try:
        with ProcessPoolExecutor(min(cores, len(listed)), initializer=_end_with_parent) as pool:
            return heard(pool.map(partial(_with_shared, task), listed))
    finally:
        _shared.pop()


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Without the garbage collector: where much is made and little dropped it only looks through everything again."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@contextlib.contextmanager
def cluster(address: str) -> Iterator[Executor | None]:
    """The executor of the Dask cluster whose scheduler is at `address` (`tcp://host:8786`); None without one.

    Raises Mistakes JB2005 when nothing answers there, or Dask is not installed.
    """
    if not address:
        yield None
        return
    cure = "Start `dask scheduler` and its workers with the same program, or leave --scheduler out."
    try:
        from distributed import Client

        client = Client(address, timeout="10s", set_as_default=False)  # type: ignore[no-untyped-call]
    except (ImportError, OSError, TimeoutError, ValueError) as error:
        raise mistake.one("JB2005", f"no cluster answers: {error}", cure, subject=address) from None
    with client:
        yield client.get_executor(pure=False, retries=0)  # type: ignore[no-untyped-call]


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


def _with_sent(sent: bytes, item: Any) -> Any:
    task, shared = _unpacked(sent)
    return task(shared, item)


@lru_cache(1)
def _unpacked(sent: bytes) -> tuple[Callable[[Any, Any], Any], Any]:
    """What was sent, once a process."""
    found: tuple[Callable[[Any, Any], Any], Any] = pickle.loads(sent)
    return found


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
