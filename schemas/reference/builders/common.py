"""Reading of the carried-over source tables, and the years the reference covers."""

from __future__ import annotations

from importlib import resources

import pandas as pd

FIRST_YEAR = 2000
LAST_YEAR = 2017
"""Last year whose codebook is read; intervals that reach it stay open."""

SEAT_LISTS = ("postcode_a", "postcode_b", "postcode_c")
"""Columns of the three lists of seat postcodes."""


def read_source(name: str) -> pd.DataFrame:
    """Read a table of ``schemas/reference/sources`` as text, empty cells as empty strings."""
    path = resources.files("schemas") / "reference" / "sources" / f"{name}.csv"
    with path.open("r", encoding="utf-8") as stream:
        return pd.read_csv(stream, dtype=str, keep_default_na=False)


def to_intervals(yearly: pd.DataFrame, values: list[str]) -> pd.DataFrame:
    """Fold one row per year into one row per run of consecutive years.

    Parameters
    ----------
    yearly : DataFrame
        Column ``year`` and the value columns; no repeated row.
    values : list of str
        Columns that make a run: equal in every year of it.

    Returns
    -------
    DataFrame
        The value columns, ``valid_from`` (inclusive) and ``valid_to`` (exclusive, empty when still valid).
    """
    ordered = yearly.sort_values([*values, "year"], kind="stable").reset_index(drop=True)
    starts = (ordered[values] != ordered[values].shift()).any(axis=1) | (ordered["year"].diff() != 1)
    runs = ordered.assign(run=starts.cumsum()).groupby("run")
    folded = runs[values].first()
    folded["valid_from"] = runs["year"].min()
    last = runs["year"].max()
    folded["valid_to"] = [str(year + 1) if year < LAST_YEAR else "" for year in last]
    return folded.reset_index(drop=True)


def seats() -> pd.DataFrame:
    """The carried-over seat postcodes of the three lists, and units and cities they print under another name."""
    return pd.concat([read_source("seat_postcodes"), read_source("seat_additions")], ignore_index=True)
