"""The statistics that indicators are printed with."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl


def described(values: pl.Expr, name: str, statistics: Collection[str], unit: str = "") -> list[pl.Expr]:
    """Mean, median, standard deviation (n - 1) and quartiles (linear between neighbours); null without values."""
    # in order of size: the same to the last digit in whatever order the rows come
    values = values.sort()
    found = {
        "mean": values.mean(), "median": values.median(), "sd": values.std(),
        "p25": values.quantile(0.25, "linear"), "p75": values.quantile(0.75, "linear"),
    }
    return [found[one].alias(f"{name}_{one}{unit}") for one in statistics]
