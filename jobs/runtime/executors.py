"""Work of the kernels on executors: what travels is names and plain values, and a refusal comes back as its sentence."""

from __future__ import annotations

import contextlib
import importlib
import pickle
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from jobs.core.errors import CustomsLakeError, InputRefusedError, InvalidRowsError
from jobs.core.reading import NoSession
from jobs.core.waiting import WaitingSession
from jobs.runtime.side_processes import run_in_processes

# the last line of a Python worker's stack trace
_REFUSAL = re.compile(
    r"^(?:[\w.]+\.)?(InputRefusedError|UnsuitableError|CutFileError|InvalidRowsError): (.+)$", re.MULTILINE
)


def spread(spark: SparkSession, tasks: Sequence[str], function: str, arguments: Sequence[object], schema: str) -> DataFrame:
    """Run a kernel on each of some tasks, one partition each.

    Parameters
    ----------
    spark : SparkSession
    tasks : sequence of str
        What each call is given, as text.
    function : str
        ``module.name`` of a function of (task, *arguments) that yields record batches.
    arguments : sequence
        Values that pickle; the same for every task.
    schema : str
        Of the batches, as DDL.
    """
    # as many partitions as numbers: each task is one, and needs nothing of the session but frames
    numbers = spark.range(0, len(tasks), 1, max(len(tasks), 1))
    return map_batches(numbers, "jobs.runtime.executors.run_tasks", (tuple(tasks), function, *arguments), schema)


def run_tasks(batches: Iterator, tasks: Sequence[str], function: str, *arguments: object) -> Iterator:
    """Yield the batches of each task whose number is in the batches."""
    kernel = _named(function)
    for batch in batches:
        for number in batch.column(0).to_pylist():
            yield from kernel(tasks[number], *arguments)


def map_batches(frame: DataFrame, function: str, arguments: Sequence[object], schema: str) -> DataFrame:
    """Hand the Arrow batches of each partition to a kernel.

    Parameters
    ----------
    frame : DataFrame
    function : str
        ``module.name`` of a function of (batches, *arguments) that yields record batches.
    arguments : sequence
        Values that pickle; the same for every partition.
    schema : str
        Of the batches it yields, as DDL.
    """
    return frame.mapInArrow(_worker(function, pickle.dumps(tuple(arguments))), schema)


def _worker(function: str, arguments: bytes) -> Callable[[Iterator], Iterator]:
    # a job submitted from a clone has its packages beside it, which a worker process does not know by itself
    root = str(Path(__file__).resolve().parents[2])

    def work(batches: Iterator) -> Iterator:
        import importlib
        import pickle
        import sys

        if root not in sys.path:
            sys.path.append(root)
        module, _, name = function.rpartition(".")
        kernel = getattr(importlib.import_module(module), name)
        yield from kernel(batches, *pickle.loads(arguments))

    return work


def _named(function: str) -> Callable:
    module, _, name = function.rpartition(".")
    return getattr(importlib.import_module(module), name)


def collect_tasks(
    spark: SparkSession, tasks: Sequence[str], function: str, arguments: Sequence[object], schema: str
) -> list[Any]:
    """Run a kernel on each of some tasks and return the few rows it yields; their columns are had by name.

    Shared out by Spark; among processes of this machine as long as nobody needed a session.

    Parameters
    ----------
    spark, tasks, function, arguments, schema
        As for :func:`spread`.
    """
    if isinstance(spark, WaitingSession) and not spark.is_started:
        return run_in_processes(
            tasks, function, tuple(arguments), n_processes=spark.n_cores,
            progress=lambda n_done: setattr(spark, "tasks", (n_done, len(tasks))),
        )
    return spread(spark, tasks, function, arguments, schema).collect() if tasks else []


def run_on_executors(spark: SparkSession) -> Callable[[Sequence[str], str, tuple], list[str]]:
    """What :func:`jobs.kernels.side_by_side.look_side_by_side` shares its tasks out with."""

    def run(tasks: Sequence[str], function: str, arguments: tuple) -> list[str]:
        return [row["result"] for row in collect_tasks(spark, tasks, function, arguments, "result string")]

    return run


def workers_elsewhere(spark: SparkSession) -> Callable[[Sequence[str], str, tuple], list[str]] | None:
    """What shares looks out among executors; None where these would be processes of this machine, whose cores are ours."""
    if isinstance(spark, NoSession):
        return None
    return run_on_executors(spark) if has_executors_elsewhere(spark) else None


def has_executors_elsewhere(spark: SparkSession) -> bool:
    """Tell whether executors are processes of a cluster, not threads of this one."""
    if isinstance(spark, WaitingSession):
        return False
    return not (spark.conf.get("spark.master", "local") or "local").startswith("local")


@contextlib.contextmanager
def explained_refusals() -> Iterator[None]:
    """Turn a refusal that was raised on an executor back into itself."""
    try:
        yield
    except CustomsLakeError:
        raise
    except Exception as error:
        found = _REFUSAL.findall(str(error))
        if not found:
            raise
        name, sentence = found[-1]
        raise (InvalidRowsError if name == InvalidRowsError.__name__ else InputRefusedError)(sentence) from error
