"""The years of a generated world, written one after the other or side by side in processes; the bytes are the same."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, cast

import pyarrow as pa

from jobs.core.interrupts import interrupts_left_out
from jobs.world.layouts import LineWriter, RawFile, plan_files
from jobs.world.spool import Spool
from jobs.world.texts import YearTexts
from jobs.world.truth import TrueYear, YearTruth
from jobs.world.world import World

#: Records turned into lines at a time: 15 MB of text.
BLOCK = 1 << 16


@dataclass(frozen=True, slots=True)
class YearTask:
    """One year to write: where its files and its part of the truth go."""

    year: int
    customs: Path
    truth: Path
    without_postcode: bool


@dataclass(frozen=True, slots=True)
class WrittenYear:
    """What came of it."""

    year: int
    n_rows: int
    n_files: int
    truth: TrueYear


def write_years(world: World, tasks: Sequence[YearTask], processes: int) -> Iterator[WrittenYear]:
    """Write the years, in up to ``processes`` processes; yields them in their order as they are done."""
    n_processes = min(processes, len(tasks))
    if n_processes < 2:
        yield from (write_year(world, task) for task in tasks)
        return
    world.prepare()
    yield from _side_by_side(world, tasks, n_processes)


def _side_by_side(world: World, tasks: Sequence[YearTask], n_processes: int) -> Iterator[WrittenYear]:
    """Hand the years to processes one by one and pass their results on in order.

    Each process has a pipe of its own: one that is ended in the middle of an answer leaves an end of file, where a pool's
    common queue would wait for the rest for ever.
    """
    workers = _start(world, n_processes)
    waiting, busy, done = deque(enumerate(tasks)), {}, {}
    try:
        for pipe in workers.values():
            busy[pipe] = _hand_over(pipe, waiting)
        for number in range(len(tasks)):
            while number not in done:
                for pipe in cast(list[Connection], wait(list(busy))):
                    done[busy.pop(pipe)] = _answer(pipe)
                    if waiting:
                        busy[pipe] = _hand_over(pipe, waiting)
            yield done.pop(number)
    finally:
        for process, pipe in workers.items():
            process.kill()
            process.join()
            pipe.close()


def _start(world: World, n_processes: int) -> dict[Any, Any]:
    """Processes, each with our end of its pipe; an interrupt passes them by, and the one that started them ends them.

    They are spawned, not forked: a fork of a process with threads (Arrow's, a JVM's gateway) may never end.
    """
    context, workers = get_context("spawn"), {}
    with interrupts_left_out():
        for _ in range(n_processes):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(world, theirs), daemon=True)
            process.start()
            theirs.close()
            workers[process] = ours
    return workers


@contextlib.contextmanager
def _ended_explained() -> Iterator[None]:
    try:
        yield
    except (EOFError, OSError) as error:
        raise RuntimeError("a process that wrote a year was ended; the machine may be out of memory.") from error


def _hand_over(pipe: Connection, waiting: deque[tuple[int, YearTask]]) -> int:
    number, task = waiting.popleft()
    with _ended_explained():
        pipe.send(task)
    return number


def _answer(pipe: Connection) -> WrittenYear:
    with _ended_explained():
        answer = pipe.recv()
    if isinstance(answer, BaseException):
        raise answer
    return answer


def _work(world: World, pipe: Connection) -> None:
    """What a process does: a year at a time, until nobody asks any more."""
    with contextlib.suppress(EOFError):
        while True:
            task = pipe.recv()
            try:
                pipe.send(write_year(world, task))
            except Exception as error:
                pipe.send(error)


def write_year(world: World, task: YearTask) -> WrittenYear:
    """Draw a year's records, then write its files and enter their truth, a block at a time."""
    texts, truth = YearTexts(world, task.year), YearTruth(world, task.year, task.truth)
    n_files = 0
    with Spool(task.truth) as spool:
        for part in world.draw_year(task.year):
            spool.append(part)
        months = spool.months()
        encoded: dict[tuple[str, str], dict[str, pa.BinaryArray]] = {}
        for file in plan_files(world.seed, months, task.year, without_postcode=task.without_postcode):
            form = file.layout.encoding.removesuffix("-sig"), file.layout.delimiter
            writer = LineWriter(texts, file.layout, encoded.setdefault(form, {}))
            _write_file(task.customs, file, writer, spool, truth)
            n_files += 1
    return WrittenYear(task.year, len(months), n_files, truth.end())


def _write_file(folder: Path, file: RawFile, writer: LineWriter, spool: Spool, truth: YearTruth) -> None:
    with (folder / file.name).open("wb") as stream:
        stream.write(writer.heading())
        for first in range(0, len(file.rows), BLOCK):
            rows = spool.take(file.rows[first : first + BLOCK])
            stream.write(writer.lines(rows))
            truth.add_block(file.name, rows)
    truth.end_file(file.name)
