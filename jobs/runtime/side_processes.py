"""Tasks shared out among processes of this machine, where no session was needed so far: what executors do elsewhere.

A start of Spark's JVM takes ten seconds of processor time, the tasks of a small load one. A process that is killed, or whose
parent is, ends at the end of its pipe.
"""

from __future__ import annotations

import contextlib
import importlib
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any

from jobs.core.errors import SurroundingsError
from jobs.core.interrupts import interrupts_left_out

#: As many processes as cores are at work: threads of each one's own would only take turns.
ONE_THREAD = {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1"}


def run_in_processes(
    tasks: Sequence[str], function: str, arguments: tuple, *, n_processes: int,
    progress: Callable[[int], None] = lambda n_done: None,
) -> list[dict[str, Any]]:
    """Run a kernel on each task and return the rows it yields, in any order.

    Parameters
    ----------
    tasks : sequence of str
    function : str
        ``module.name`` of a function of (task, *arguments) that yields record batches.
    arguments : tuple
        Values that pickle; the same for every task.
    n_processes : int
        At most; one task is done in this process.
    progress : callable
        Takes the number of tasks that are done.

    Raises
    ------
    SurroundingsError
        If a process was killed.
    Exception
        What a task raised; the other processes are ended.
    """
    if len(tasks) < 2 or n_processes < 2:
        rows = []
        for number, task in enumerate(tasks, start=1):
            rows += _rows(function, task, arguments)
            progress(number)
        return rows
    workers = _start(min(n_processes, len(tasks)))
    try:
        # not with the start of a process: that one cannot be written to is noticed here only
        for pipe in workers.values():
            with _ended_explained():
                pipe.send((function, arguments))
        return list(_answers(list(workers.values()), deque(tasks), progress))
    finally:
        for process, pipe in workers.items():
            process.kill()
            process.join()
            pipe.close()


def _answers(idle: list[Connection], waiting: deque[str], progress: Callable[[int], None]) -> Iterator[dict[str, Any]]:
    """Hand tasks over and yield what comes back, until nothing is waiting and nobody at work."""
    at_work: list[Connection] = []
    n_done = 0
    while waiting or at_work:
        while waiting and idle:
            pipe = idle.pop()
            with _ended_explained():
                pipe.send(waiting.popleft())
            at_work.append(pipe)
        for pipe in [pipe for pipe in wait(at_work) if isinstance(pipe, Connection)]:
            with _ended_explained():
                answer = pipe.recv()
            if isinstance(answer, BaseException):
                raise answer
            at_work.remove(pipe)
            idle.append(pipe)
            n_done += 1
            progress(n_done)
            yield from answer


def _start(n_processes: int) -> dict[Any, Connection]:
    """Processes, each with our end of its pipe; spawned, for a fork of a process with threads may never end."""
    context, workers = get_context("spawn"), {}
    with interrupts_left_out(), _environment(ONE_THREAD):
        for _ in range(n_processes):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs,), daemon=True)
            process.start()
            theirs.close()
            workers[process] = ours
    return workers


def _work(pipe: Connection) -> None:
    """What a process does: a task at a time, until nobody asks any more."""
    with contextlib.suppress(EOFError):
        function, arguments = pipe.recv()
        while True:
            task = pipe.recv()
            try:
                answer: object = _rows(function, task, arguments)
            except Exception as error:
                answer = error
            try:
                pipe.send(answer)
            except OSError:
                return
            except Exception:  # an error that does not travel
                pipe.send(RuntimeError(f"{type(answer).__name__}: {answer}"))


def _rows(function: str, task: str, arguments: tuple) -> list[dict[str, Any]]:
    module, _, name = function.rpartition(".")
    kernel = getattr(importlib.import_module(module), name)
    return [row for batch in kernel(task, *arguments) for row in batch.to_pylist()]


@contextlib.contextmanager
def _environment(given: dict[str, str]) -> Iterator[None]:
    """Environment of processes started inside."""
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _ended_explained() -> Iterator[None]:
    try:
        yield
    except (EOFError, OSError) as error:
        raise SurroundingsError(
            "a process that worked on records was ended from outside; the machine may be out of memory. What was complete is"
            " kept: run again, with fewer cores (--set spark.master=local[1]) if it happens again."
        ) from error
