"""A Monte Carlo study as a table in Markdown: by sample size and estimator choice, worst and mean over parameters.

`estimation.dynamic_panel.montecarlo` makes the rows (here or on a cluster); this says in one page what they mean.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from estimation.dynamic_panel.montecarlo import (
    CHOICES,
    CORE,
    OUTCOMES,
    PRODUCTS,
    EstimatorChoice,
    Replications,
    run_replications,
    summarise_parameters,
    summarise_tests,
)

# parameters a reader asks about: the lag, the endogenous regressors and their products
ENDOGENOUS = (*(f"L.{outcome}" for outcome in OUTCOMES), *CORE, *PRODUCTS)


def run_study(
    sizes: Sequence[int],
    n_replications: int,
    *,
    lags_only: bool = False,
    outcomes: Sequence[str] = OUTCOMES,
    seed: int = 2003,
    first: int = 0,
    n_jobs: int = 1,
) -> pd.DataFrame:
    """Run every choice at every size and return the rows.

    Parameters
    ----------
    lags_only : bool
        Only the collapsed two-step choices with one, two and three lags.
    first : int
        Number of the first replication.
    n_jobs : int
        Number of processes, -1 for one per core.
    """
    choices = lag_choices() if lags_only else CHOICES
    numbers = range(first, first + n_replications)
    parts = [run_replications(Replications(n, numbers, choices, tuple(outcomes), seed), n_jobs=n_jobs) for n in sizes]
    return pd.concat(parts, ignore_index=True)


def lag_choices() -> tuple[EstimatorChoice, ...]:
    """Return the collapsed two-step choices that differ in the number of lags only."""
    plain = EstimatorChoice("")
    return tuple(
        choice
        for choice in CHOICES
        if choice.n_lags is not None and replace(choice, name="", n_lags=plain.n_lags) == plain
    )


def compare_choices(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one row per size and choice: coverage, bias, RMSE over the endogenous parameters, sizes of the tests."""
    parameters = summarise_parameters(rows)
    keys = ["n_cities", "choice"]
    core = parameters[parameters["parameter"].isin(ENDOGENOUS)].groupby(keys, sort=False)
    every = parameters.groupby(keys, sort=False)
    tests = summarise_tests(rows).groupby(keys, sort=False)
    lag = parameters[parameters["parameter"].str.startswith("L.")].groupby(keys, sort=False)
    table = pd.DataFrame(
        {
            "instruments": tests["n_instruments"].median(),
            "bias of the lag": lag["bias"].mean(),
            "largest bias": core["bias"].agg(lambda b: b.loc[b.abs().idxmax()]),
            "mean RMSE": core["rmse"].mean(),
            "lowest coverage": every["coverage"].min(),
            "mean coverage": every["coverage"].mean(),
            "highest coverage": every["coverage"].max(),
            "SE / SD": core["se_ratio"].mean(),
            "AR(2) size": tests["ar2_size"].mean(),
            "Hansen size": tests["hansen_size"].mean(),
            "Hansen mean p": tests["hansen_mean_p"].mean(),
            "level test size": tests["level_size"].mean(),
            "fits": tests["n_replications"].sum(),
            "refused": tests["n_refused"].sum(),
        }
    )
    return table.reset_index()


def add_study_arguments(parser: argparse.ArgumentParser, *, replications: int) -> None:
    """Add what a study is asked for, here or on a cluster."""
    parser.add_argument("--sizes", type=int, nargs="+", default=[286, 109, 69], help="numbers of cities")
    parser.add_argument("--replications", type=int, default=replications)
    parser.add_argument("--first", type=int, default=0, help="number of the first replication")
    parser.add_argument("--lags-only", action="store_true", help="only collapsed two-step with 1, 2 and 3 lags")
    parser.add_argument("--outcomes", nargs="+", default=list(OUTCOMES), choices=OUTCOMES)
    parser.add_argument("--seed", type=int, default=2003)


def write_summary(rows: pd.DataFrame, out: Path | None) -> str:
    """Write choices.csv, parameters.csv and tests.csv to a folder, if one is given; return the comparison as Markdown."""
    choices = compare_choices(rows)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        choices.to_csv(out / "choices.csv", index=False)
        summarise_parameters(rows).to_csv(out / "parameters.csv", index=False)
        summarise_tests(rows).to_csv(out / "tests.csv", index=False)
    return to_markdown(choices)


def to_markdown(table: pd.DataFrame, *, digits: int = 3) -> str:
    """Return a table as Markdown, floats with `digits` decimals."""
    cells = [[_cell(value, digits) for value in row] for row in table.itertuples(index=False)]
    lines = ["| " + " | ".join(map(str, table.columns)) + " |", "|" + "---|" * len(table.columns)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in cells)])


def _cell(value: object, digits: int) -> str:
    """Return whole numbers without decimals."""
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if value.is_integer() and abs(value) > 1 else f"{value:.{digits}f}"
