"""The time column as whole periods: what is not time is refused, with the remedy.

A quarter code (20051 for the first quarter of 2005) or a month code would pass for years with gaps, seconds since 1970 for
a calendar of a billion periods, and exchanged keys for a panel of nine entities. Each is recognised and named.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd

from estimation.errors import MissingVariableError, TimeColumnError, TimeColumnWarning

_SHOWN = 5
# a year of a study; codes are taken apart with it
FIRST_YEAR, LAST_YEAR = 1800, 2200
# beyond this no lag of a panel is meant; seconds, milliseconds and days since 1970 are
MAX_PERIODS = 5000
# a calendar emptier than this deserves a word
SPARSE = 0.25


def read_periods(frame: pd.DataFrame, entity: str, name: str, time_step: Any) -> tuple[np.ndarray, int]:
    """Return the time column as integers, and the length of a period.

    Parameters
    ----------
    frame : DataFrame
        With the key columns `entity` and `name`.

    Raises
    ------
    TimeColumnError, MissingVariableError
    """
    step = _whole_step(time_step)
    column = frame[name]
    if len(column) == 0:
        raise MissingVariableError("The data hold no row.")
    if column.isna().any():
        raise MissingVariableError(f"time column {name!r}: {int(column.isna().sum())} of {len(column)} values missing.")
    periods = _whole_numbers(column, name)
    _check_not_swapped(np.sort(frame[entity].dropna().unique()), periods, entity, name)
    remainder = (periods - periods.min()) % step
    if remainder.any():
        raise TimeColumnError(f"time column {name!r}: {int((remainder > 0).sum())} values are off the steps of {step}.")
    _check_calendar(np.unique(periods), name, step)
    return periods, step


def _whole_step(step: Any) -> int:
    whole = isinstance(step, int | np.integer) or (isinstance(step, float) and step.is_integer())
    if not whole or isinstance(step, bool) or step < 1:
        raise TimeColumnError(f"time_step: expected a positive whole number, found {step!r}.")
    return int(step)


def _whole_numbers(column: pd.Series, name: str) -> np.ndarray:
    """Return the column as integers, refusing dates, fractions and truth values."""
    kind = column.dtype.kind if isinstance(column.dtype, np.dtype) else "O"
    numeric = pd.to_numeric(column, errors="coerce") if kind not in "Mm" else pd.Series(np.nan, index=column.index)
    numbers = numeric.to_numpy(dtype=float, na_value=np.nan)
    whole = np.isfinite(numbers) & (numbers == np.round(numbers)) & (np.abs(numbers) < 2.0**53)
    if kind == "b" or not whole.all():
        bad = column[~whole].drop_duplicates().head(_SHOWN).tolist() if kind != "b" else [True, False]
        raise TimeColumnError(
            f"time column {name!r}: expected integers such as years, found {int((~whole).sum())} other values of type "
            f"{column.dtype}, e.g. {bad}. Convert dates to whole periods first: .dt.year, or for quarters "
            "4 * .dt.year + .dt.quarter."
        )
    return numbers.astype(np.int64)


def _check_calendar(values: np.ndarray, name: str, step: int) -> None:
    """Refuse codes that do not count periods; `values` are the distinct ones, in order."""
    if step == 1:
        for what, remedy in _codes(values):
            raise TimeColumnError(
                f"time column {name!r}: {values[:_SHOWN].tolist()} ... {int(values[-1])} are {what}, which have holes "
                f"where a calendar has none, so that lags would be lost. {remedy}"
            )
    n_periods = (int(values[-1]) - int(values[0])) // step + 1
    if n_periods > MAX_PERIODS:
        raise TimeColumnError(
            f"time column {name!r}: its values run from {int(values[0])} to {int(values[-1])}, {n_periods:,} periods of "
            f"{step}. Seconds or days since 1970 are not periods: convert them, such as with "
            "pandas.to_datetime(column, unit='s').dt.year."
        )
    if len(values) < SPARSE * n_periods and not spacing_hint(values, step):
        warnings.warn(
            f"Time column {name!r}: {n_periods} periods from {int(values[0])} to {int(values[-1])}, of which only "
            f"{len(values)} hold any row; lags move along the calendar. Number the periods 1, 2, 3 if they follow each "
            "other.",
            TimeColumnWarning,
            stacklevel=8,
        )


def spacing_hint(values: np.ndarray, step: int) -> str:
    """Return what to set when all values lie further apart than a period; empty otherwise."""
    gaps = np.diff(np.unique(values))
    common = int(np.gcd.reduce(gaps)) if len(gaps) else step
    if common <= step:
        return ""
    return f" The periods are {common} or a multiple of it apart: set time_step={common}, or number them 1, 2, 3."


def _codes(values: np.ndarray) -> list[tuple[str, str]]:
    """Return what kind of date code the values are, with the remedy; empty when they are none."""
    found = []
    for base, last, what, remedy in (
        (10, 4, "quarter codes (year and quarter)", "Use 4 * (code // 10) + code % 10."),
        (100, 12, "month codes (year and month)", "Use 12 * (code // 100) + code % 100."),
        (100, 4, "quarter codes (year and quarter)", "Use 4 * (code // 100) + code % 100."),
        (10000, 1231, "dates (year, month and day)", "Use the year, code // 10000, or whole months or days in order."),
    ):
        year, rest = values // base, values % base
        dated = bool(((year >= FIRST_YEAR) & (year <= LAST_YEAR) & (rest >= 1) & (rest <= last)).all())
        if base == 10000:
            dated = dated and bool(((rest % 100 >= 1) & (rest % 100 <= 31) & (rest // 100 >= 1)).all())
        if dated and len(np.unique(year)) > 1:
            found.append((what, remedy))
    return found[:1]


def _check_not_swapped(entities: np.ndarray, periods: np.ndarray, entity: str, time: str) -> None:
    """Refuse keys in the wrong order: years as entities beside a time column that holds no years."""
    n_periods = len(np.unique(periods))
    if len(entities) >= n_periods:
        return
    numbers = pd.to_numeric(pd.Series(np.asarray(entities)), errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    if _are_years(numbers) and not _are_years(np.asarray(periods, dtype=float)):
        raise TimeColumnError(
            f"keys: the entity column {entity!r} holds {len(entities)} years ({numbers[0]:.0f} to {numbers[-1]:.0f}) and "
            f"the time column {time!r} {n_periods} other values ({periods.min()} to {periods.max()}): they are "
            f"exchanged. Set entity={time!r}, time={entity!r}, or put the entity first in the index."
        )
    warnings.warn(
        f"{len(entities)} values of the entity {entity!r} over {n_periods} periods of {time!r}: moments are averaged over "
        "entities, which must be many. Are the two exchanged?",
        TimeColumnWarning,
        stacklevel=8,
    )


def _are_years(numbers: np.ndarray) -> bool:
    whole = np.isfinite(numbers) & (numbers == np.round(numbers))
    return bool(whole.all()) and bool(((numbers >= FIRST_YEAR) & (numbers <= LAST_YEAR)).all())
