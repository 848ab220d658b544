"""The years of a generated world, written one after the other or side by side in processes; the bytes are the same."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import active_children, get_context
from pathlib import Path

import pyarrow as pa

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
    # spawned, not forked: a fork of a process with threads (Arrow's, a JVM's gateway) may never end
    with ProcessPoolExecutor(n_processes, get_context("spawn"), _receive, (world,)) as pool, _ended_with_us():
        with _interrupts_left_out():
            # not `map`, which cancels what waits: a broken pool of Python 3.11 fails, or never ends, over a cancelled task
            written = [pool.submit(_write, task) for task in tasks]
        for year in written:
            yield year.result()


_world: World


@contextlib.contextmanager
def _ended_with_us() -> Iterator[None]:
    """End the processes started here at once when their work is no longer wanted: whoever interrupts waits for no year."""
    before = set(active_children())
    try:
        yield
    except BaseException:
        for process in set(active_children()) - before:
            process.terminate()
        raise


@contextlib.contextmanager
def _interrupts_left_out() -> Iterator[None]:
    """Start processes that print no stack trace when Ctrl-C reaches all of a terminal's: they inherit what is set here."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _receive(world: World) -> None:
    global _world
    _world = world
    # from here on an interrupt simply ends this process; the sentence is the main program's
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _write(task: YearTask) -> WrittenYear:
    return write_year(_world, task)


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
