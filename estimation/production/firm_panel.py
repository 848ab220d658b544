"""The firm panel as arrays, and the calendar lag that every dynamic method shares.

A lag is the same firm one calendar year earlier. A firm seen in 1999 and 2001 has no lag in 2001: taking its previous
*row* instead would pass off a two-year change as a one-year change (on the Chilean plants 103 of 2,047 pairs).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from estimation.production.errors import FirmDataError

NO_LAG = -1
MAX_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class FirmPanel:
    """Firm-years of one industry, sorted by firm and year; all variables in logs.

    Attributes
    ----------
    y : ndarray, shape (n,)
        Log output or log value added.
    free : ndarray, shape (n, n_free)
        Logs of inputs chosen within the year (labour).
    state : ndarray, shape (n, n_state)
        Logs of inputs given at the start of the year (capital).
    proxy : ndarray, shape (n, n_proxy)
        Logs of the variables that reveal productivity (intermediate inputs, investment); may have no column.
    shares : ndarray, shape (n, n_shares)
        Cost shares of the free inputs in output, for the index number; may have no column.
    entity, time : ndarray of int64, shape (n,)
        Firm number (0, 1, ...) and calendar year.
    lag : ndarray of int64, shape (n,)
        Row of the same firm in the year before, ``NO_LAG`` where there is none.
    position : ndarray of int64, shape (n,)
        Row of the given frame that each row came from.
    names : dict
        Column names of ``free``, ``state`` and ``proxy``.
    n_given, n_dropped : int
        Rows of the frame, and those left out because a variable is missing or not finite.
    """

    y: np.ndarray
    free: np.ndarray
    state: np.ndarray
    proxy: np.ndarray
    shares: np.ndarray
    entity: np.ndarray
    time: np.ndarray
    lag: np.ndarray
    position: np.ndarray
    names: dict[str, tuple[str, ...]]
    n_given: int
    n_dropped: int

    @property
    def n_obs(self) -> int:
        """Firm-years used."""
        return len(self.y)

    @property
    def n_entities(self) -> int:
        """Firms."""
        return int(self.entity[-1]) + 1 if self.n_obs else 0

    @property
    def current(self) -> np.ndarray:
        """Rows that have a lag, shape (n_pairs,)."""
        return np.flatnonzero(self.lag != NO_LAG)

    @property
    def lagged(self) -> np.ndarray:
        """The lag of each row in :attr:`current`, shape (n_pairs,)."""
        return self.lag[self.lag != NO_LAG]


def read_firm_panel(
    frame: pd.DataFrame,
    *,
    output: str,
    free: Sequence[str],
    state: Sequence[str],
    proxy: Sequence[str] = (),
    shares: Sequence[str] = (),
    entity: str,
    time: str,
) -> FirmPanel:
    """Read the named columns of a frame as a firm panel.

    Rows where any named variable is missing or infinite are left out and counted.

    Raises
    ------
    FirmDataError
        If a column is absent or not a number, a year is not whole, or a firm-year repeats.
    """
    variables = [output, *free, *state, *proxy, *shares]
    _require_columns(frame, [*variables, entity, time])
    values = np.column_stack([_as_floats(frame, name) for name in variables])
    is_usable = np.isfinite(values).all(axis=1) & frame[entity].notna().to_numpy() & frame[time].notna().to_numpy()
    position = np.flatnonzero(is_usable)
    years = _as_years(frame, time, position)
    # by value, not by first appearance: sums over firms are the same whatever the order of the rows
    codes = pd.factorize(frame[entity].to_numpy()[position], sort=True)[0].astype(np.int64)
    order = np.lexsort((years, codes))
    codes, years, position = codes[order], years[order], position[order]
    _require_unique(frame, entity, codes, years, position)
    values = values[position]
    edges = np.cumsum([0, 1, len(free), len(state), len(proxy), len(shares)])
    y, free_values, state_values, proxy_values, share_values = (
        values[:, start:stop] for start, stop in zip(edges[:-1], edges[1:], strict=True)
    )
    return FirmPanel(
        y=y[:, 0],
        free=free_values,
        state=state_values,
        proxy=proxy_values,
        shares=share_values,
        entity=codes,
        time=years,
        lag=calendar_lag(codes, years),
        position=position,
        names={"free": tuple(free), "state": tuple(state), "proxy": tuple(proxy)},
        n_given=len(frame),
        n_dropped=len(frame) - len(position),
    )


def calendar_lag(entity: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Return for each row the row of the same entity one calendar year before, or ``NO_LAG``.

    Parameters
    ----------
    entity, time : ndarray, shape (n,)
        Sorted by entity, then time, without repeats.

    Examples
    --------
    >>> calendar_lag(np.array([7, 7, 7, 8]), np.array([1999, 2000, 2002, 2003])).tolist()
    [-1, 0, -1, -1]
    """
    lag = np.full(len(entity), NO_LAG, dtype=np.int64)
    follows = (entity[1:] == entity[:-1]) & (time[1:] == time[:-1] + 1)
    lag[1:][follows] = np.flatnonzero(follows)
    return lag


def _require_columns(frame: pd.DataFrame, names: Sequence[str]) -> None:
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise FirmDataError(
            f"Expected columns {', '.join(names)}; the frame lacks {', '.join(missing)}. "
            f"It has: {', '.join(map(str, frame.columns))}."
        )


def _as_floats(frame: pd.DataFrame, name: str) -> np.ndarray:
    try:
        return frame[name].to_numpy(dtype=float, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise FirmDataError(f"Column {name!r}: expected numbers (logs); found {frame[name].dtype}: {error}.") from error


def _as_years(frame: pd.DataFrame, time: str, position: np.ndarray) -> np.ndarray:
    given = pd.to_numeric(frame[time].iloc[position], errors="coerce").to_numpy(dtype=float)
    is_bad = ~np.isfinite(given) | (given != np.floor(given))
    if is_bad.any():
        examples = frame[time].iloc[position[is_bad][:MAX_EXAMPLES]].tolist()
        raise FirmDataError(
            f"Column {time!r}: expected whole years; found {int(is_bad.sum())} others, e.g. {examples}."
        )
    return given.astype(np.int64)


def _require_unique(
    frame: pd.DataFrame, entity: str, codes: np.ndarray, years: np.ndarray, position: np.ndarray
) -> None:
    repeats = np.flatnonzero((codes[1:] == codes[:-1]) & (years[1:] == years[:-1])) + 1
    if len(repeats):
        examples = [f"{frame[entity].iloc[position[row]]} {years[row]}" for row in repeats[:MAX_EXAMPLES]]
        raise FirmDataError(
            f"Expected one row per firm and year; {len(repeats)} repeat, e.g. {', '.join(examples)}. "
            "Resolve duplicates first."
        )
