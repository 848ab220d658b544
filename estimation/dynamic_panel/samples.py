"""Which rows an estimation is about: a mask, the name of a zero-one column, or an expression over columns.

As with Stata's ``if``, a restriction is on the row itself: lags, differences and instruments of a row inside come from the
whole panel. Acemoglu, Johnson, Robinson and Yared (2008, table 2, column 4) have their 838 observations only so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from estimation.errors import EmptySampleError, SpecificationError

Sample: TypeAlias = str | Sequence[bool] | np.ndarray | pd.Series | None
_SHOWN = 5


def sample_rows(frame: pd.DataFrame, sample: Sample) -> np.ndarray | None:
    """Return which rows are inside, shape (n_rows,), or None when there is no restriction.

    Parameters
    ----------
    frame : DataFrame
        The data with its keys as columns.
    sample : str or booleans, optional
        The name of a column, an expression for `DataFrame.eval` such as ``"year >= 2005 and coastal == 1"``, or one truth
        value per row, in the order of the rows.

    Raises
    ------
    SpecificationError, EmptySampleError
    """
    if sample is None:
        return None
    if isinstance(sample, str):
        values, where = _evaluated(frame, sample), f"sample {sample!r}"
    else:
        values, where = sample, "sample"
    inside = _truth(values, where)
    if len(inside) != len(frame):
        raise SpecificationError(
            f"{where}: expected one truth value for each of the {len(frame)} rows of the data, found {len(inside)}."
        )
    if not inside.any():
        raise EmptySampleError(f"{where}: none of the {len(frame)} rows of the data is inside. Widen the restriction.")
    return inside


def fixed_sample(data: pd.DataFrame, sample: Sample) -> str | np.ndarray | None:
    """Return a restriction that no longer hangs on the caller's objects: a Series is put in the order of the data.

    Raises
    ------
    SpecificationError
        When the index of a Series is another one than the data's.
    """
    if sample is None or isinstance(sample, str):
        return sample
    if not isinstance(sample, pd.Series):
        return np.array(sample)
    if sample.index.equals(data.index):
        return sample.to_numpy(copy=True)
    same = len(sample) == len(data) and data.index.is_unique and sample.index.is_unique
    if not (same and data.index.isin(sample.index).all()):
        raise SpecificationError(
            f"sample: expected a Series with the index of the data ({len(data)} rows), found another index "
            f"({len(sample)} rows). Make it from the data itself, or pass sample.to_numpy()."
        )
    return sample.reindex(data.index).to_numpy(copy=True)


def _evaluated(frame: pd.DataFrame, expression: str) -> Any:
    if expression in frame.columns:
        return frame[expression]
    try:
        return frame.eval(expression)
    except Exception as error:  # pandas raises whatever the parser, Python or NumPy raises
        known = ", ".join(map(str, list(frame.columns)[:30]))
        raise SpecificationError(
            f"sample {expression!r}: expected the name of a column or a condition such as \"year >= 2005 and x > 0\", "
            f"found something that cannot be evaluated ({type(error).__name__}: {error}). Columns: {known}."
        ) from error


def _truth(values: Any, where: str) -> np.ndarray:
    """Return booleans; missing values are outside, anything but 0 and 1 is refused."""
    try:
        column = pd.Series(np.asarray(values)).dropna() if not isinstance(values, pd.Series) else values.dropna()
        is_truth = column.isin([0, 1, True, False]).all() and not column.map(lambda v: isinstance(v, str)).any()
    except (TypeError, ValueError) as error:
        raise SpecificationError(f"{where}: expected one truth value per row, found {values!r}.") from error
    if not is_truth:
        bad = column[~column.isin([0, 1])].drop_duplicates().head(_SHOWN).tolist()
        raise SpecificationError(f"{where}: expected truth values (True and False, or 1 and 0), found {bad}.")
    series = values if isinstance(values, pd.Series) else pd.Series(np.asarray(values))
    return series.map(lambda v: bool(v) if pd.notna(v) else False).to_numpy(dtype=bool)
