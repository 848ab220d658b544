"""Monte Carlo: replications of the estimator study spread over the cluster, summarised on the driver.

    python jobs/montecarlo.py --replications 2000 --sizes 286 109 69 --parts 64 --out study/

Needs no lake. Each task runs a block of replications of one sample size with `estimation.montecarlo`; a replication
draws its panel from its own seed, so the numbers do not depend on how many parts or machines there are. Executors need NumPy,
SciPy and pandas, and the packages (`--py-files build/customs-lake.zip`).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pandas as pd

from conf.settings import load_settings
from estimation.dynamic_panel.montecarlo import (
    CHOICES,
    OUTCOMES,
    ROW_TYPES,
    Replications,
    run_replications,
)
from estimation.dynamic_panel.study import lag_choices, write_summary
from jobs.core.errors import EXIT_DONE, InputRefusedError
from jobs.core.progress import expect, moving
from jobs.runtime.context import command_main
from jobs.runtime.session import build_session
from jobs.runtime.watching import tasks_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_SPARK_TYPES = {"int64": "bigint", "string": "string", "float64": "double"}
SCHEMA = ", ".join(f"{name} {_SPARK_TYPES[kind]}" for name, kind in ROW_TYPES.items())


def run_study(
    spark: SparkSession,
    sizes: Sequence[int],
    n_replications: int,
    *,
    parts: int,
    lags_only: bool = False,
    outcomes: Sequence[str] = OUTCOMES,
    seed: int = 2003,
    first: int = 0,
) -> DataFrame:
    """Return one row per replication, choice, outcome and parameter, computed on the executors.

    Parameters
    ----------
    sizes : sequence of int
        Numbers of cities.
    n_replications : int
        Replications of every size.
    parts : int
        Tasks per size.
    lags_only : bool
        Only the collapsed two-step choices.
    first : int
        Number of the first replication, to add to a study that has been run.
    """
    if n_replications < 1 or parts < 1 or not sizes:
        raise InputRefusedError(
            f"montecarlo: expected at least one size, replication and part; found {list(sizes)}, {n_replications}, {parts}."
        )
    blocks = [(int(size), *block) for size in sizes for block in cut_into_blocks(first, n_replications, parts)]
    frame = spark.createDataFrame(blocks, "n_cities bigint, start bigint, stop bigint")
    run = partial(run_blocks, lags_only=lags_only, outcomes=tuple(outcomes), seed=seed)
    # one block per task: replications of the largest panels take longest and must not share one
    return frame.repartition(len(blocks), "n_cities", "start").mapInPandas(run, SCHEMA)


def cut_into_blocks(first: int, n_replications: int, parts: int) -> list[tuple[int, int]]:
    """Cut the replications into consecutive blocks."""
    size = -(-n_replications // parts)
    last = first + n_replications
    return [(start, min(start + size, last)) for start in range(first, last, size)]


def run_blocks(
    batches: Iterable[pd.DataFrame], *, lags_only: bool, outcomes: tuple[str, ...], seed: int
) -> Iterator[pd.DataFrame]:
    """Run the blocks of one task."""
    choices = lag_choices() if lags_only else CHOICES
    for batch in batches:
        for block in batch.itertuples(index=False):
            numbers = range(block.start, block.stop)
            yield run_replications(Replications(int(block.n_cities), numbers, choices, outcomes, seed))


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point under spark-submit."""
    return command_main("montecarlo", run_command, argv)


def run_command(options: argparse.Namespace) -> int:
    """Run the study, print its comparison and return the exit code."""
    spark = build_session(load_settings(profile=options.profile, overrides=options.set), app="customs-lake-study")
    try:
        with moving("montecarlo", watch=tasks_of(spark)):
            expect(options.replications * len(options.sizes), "replications")
            rows = run_study(
                spark,
                options.sizes,
                options.replications,
                parts=options.parts,
                lags_only=options.lags_only,
                outcomes=options.outcomes,
                seed=options.seed,
                first=options.first,
            ).toPandas()
    finally:
        spark.stop()
    print(write_summary(rows, options.out))
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())
