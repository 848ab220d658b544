"""Where the work runs: one BLAS thread around small matrices, processes for many independent fits, a word on progress.

Matrices of 40 x 40 gain nothing from threads, which wait for each other: 15 fits of 280 x 9 took .51 s with two threads and
.23 s with one on an idle machine, and many times longer on a busy one. Independent fits go to processes instead, and what
each of them draws is fixed before they are handed out, so that results do not depend on their number.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import Any, TypeVar

from threadpoolctl import ThreadpoolController

from estimation.errors import SpecificationError

# multiplications of one product from which a second thread pays; a product of 1e9 takes about .1 s on one
WORTH_A_THREAD = 2e9
# seconds after which a user wants to know how far it is
PATIENCE = 2.0

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


@cache
def _controller() -> ThreadpoolController:
    """The BLAS libraries of this process, looked up once."""
    return ThreadpoolController()


def one_thread(work: float = 0.0) -> AbstractContextManager[Any]:
    """Return a context in which BLAS uses one thread, unless `work` multiplications are worth several."""
    if work > WORTH_A_THREAD:
        return nullcontext()
    return _controller().limit(limits=1, user_api="blas")


def number_of_processes(n_jobs: int) -> int:
    """Return how many processes are meant: a number from 1 on, or -1 for one per core.

    Raises
    ------
    SpecificationError
    """
    if not isinstance(n_jobs, int) or isinstance(n_jobs, bool) or (n_jobs < 1 and n_jobs != -1):
        raise SpecificationError(f"n_jobs: expected a whole number from 1 on, or -1 for one per core, found {n_jobs!r}.")
    if n_jobs > 0:
        return n_jobs
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def spread(
    function: Callable[[Any, Item], Outcome], shared: Any, items: Sequence[Item], *, n_jobs: int = 1, what: str = ""
) -> list[Outcome]:
    """Apply a function to every item, in processes if wanted, and return the outcomes in order.

    Parameters
    ----------
    function : callable
        Of a module, so that a process can find it; takes `shared` and one item.
    shared : object
        Sent to every process once.
    items : sequence
        All that an outcome depends on beside `shared`, seeds included.
    n_jobs : int
        Number of processes, 1 for this one, -1 for one per core.
    what : str
        What is counted, for the line on progress that a terminal sees after two seconds.
    """
    n = min(number_of_processes(n_jobs), max(len(items), 1))
    if n == 1:
        with one_thread():
            return list(_reporting((function(shared, item) for item in items), len(items), what))
    method = "fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn"
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(n, mp_context=context, initializer=_begin, initargs=(function, shared)) as pool:
        chunk = max(1, len(items) // (8 * n))
        return list(_reporting(pool.map(_one, items, chunksize=chunk), len(items), what))


#: Receives (what, done, total) of work that counts itself, instead of the terminal.
Reporter = Callable[[str, int, int], None]
_reporter: Reporter | None = None


@contextmanager
def reporting_to(reporter: Reporter) -> Iterator[None]:
    """Let a program that has a line of its own say how far the work inside is."""
    global _reporter
    before, _reporter = _reporter, reporter
    try:
        yield
    finally:
        _reporter = before


_task: tuple[Callable[[Any, Any], Any], Any] | None = None


def _begin(function: Callable[[Any, Any], Any], shared: Any) -> None:
    """Remember, in a process of its own, what to do."""
    global _task
    _task = (function, shared)
    _controller.cache_clear()
    _controller().limit(limits=1)


def _one(item: Any) -> Any:
    assert _task is not None
    function, shared = _task
    return function(shared, item)


def _reporting(outcomes: Iterator[Outcome], total: int, what: str) -> Iterator[Outcome]:
    """Pass outcomes on; after two seconds say on a terminal how many there are and how long the rest will take."""
    begun = last_shown = time.monotonic()
    shown = False
    for done, outcome in enumerate(outcomes, start=1):
        now = time.monotonic()
        if what and _reporter is not None:
            _reporter(what, done, total)
        elif what and sys.stderr.isatty() and now - begun > PATIENCE and now - last_shown > 1.0:
            left = (now - begun) / done * (total - done)
            sys.stderr.write(f"\r{what}: {done} of {total}, about {left:.0f} s left ")
            sys.stderr.flush()
            last_shown, shown = now, True
        yield outcome
    if shown:
        sys.stderr.write(f"\r{what}: {total} in {time.monotonic() - begun:.0f} s{'':<20}\n")
