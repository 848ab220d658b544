"""The panel as arrays: entity x full calendar grids made from a long table.

Every variable becomes a float array of shape (N, T) over *all* periods between the first and the last, with NaN where a
row is not stored. The decision worth knowing: lags move along this calendar, never along the rows, so nothing is ever
differenced across a gap; and a lag operator in a variable's name is applied on the stored rows only, as Stata does,
which is why ``L.n`` lagged once is not ``n`` lagged twice on a panel with gaps (docs/methodology, "Gaps").
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from estimation.errors import (
    DuplicateRowsError,
    InfiniteValueError,
    MissingVariableError,
    NonNumericError,
    SpecificationError,
    TimeColumnError,
    UnknownColumnError,
)

_OPERATOR = re.compile(r"^([LFD])(\d*)\.(.+)$")
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class PanelGrid:
    """A panel on the full calendar.

    Attributes
    ----------
    entities : ndarray, shape (N,)
    times : ndarray of int, shape (T,)
        Every period from the first to the last, stored or not.
    stored : ndarray of bool, shape (N, T)
        Whether the row exists in the data.
    values : dict of str to ndarray, shape (N, T)
    codes : dict of str to ndarray, shape (N,)
        Integer codes of entity-level group columns (clusters).
    row_position : ndarray of int, shape (N, T)
        Position of the row in the data as given, -1 where none.
    """

    entities: np.ndarray
    times: np.ndarray
    stored: np.ndarray
    values: dict[str, np.ndarray]
    codes: dict[str, np.ndarray]
    row_position: np.ndarray
    entity: str
    time: str

    def series(self, term: str) -> np.ndarray:
        """Return a variable with its lag operators applied row by row, shape (N, T)."""
        match = _OPERATOR.match(term)
        if match is None or term in self.values:
            return self.values[term]
        operator, count, inner = match.groups()
        steps = int(count) if count else 1
        base = self.series(inner)
        if operator == "D":
            for _ in range(steps):
                base = base - self._on_rows(shift(base, 1))
            return base
        return self._on_rows(shift(base, steps if operator == "L" else -steps))

    def _on_rows(self, values: np.ndarray) -> np.ndarray:
        return np.where(self.stored, values, np.nan)


def shift(values: np.ndarray, lag: int) -> np.ndarray:
    """Return ``values`` moved ``lag`` periods later along the calendar, NaN where nothing arrives."""
    moved = np.full_like(values, np.nan)
    if lag == 0:
        return values.copy()
    if abs(lag) >= values.shape[1]:
        return moved
    if lag > 0:
        moved[:, lag:] = values[:, :-lag]
    else:
        moved[:, :lag] = values[:, -lag:]
    return moved


def base_name(term: str) -> str:
    """Return the column a term refers to, without its lag operators."""
    match = _OPERATOR.match(term)
    return base_name(match.group(3)) if match else term


def build_grid(
    data: pd.DataFrame,
    terms: Iterable[str],
    *,
    entity: str | None = None,
    time: str | None = None,
    groups: Iterable[str] = (),
    time_step: int = 1,
) -> PanelGrid:
    """Arrange a long table as entity x calendar arrays.

    Parameters
    ----------
    data : DataFrame
        One row per (entity, time); the keys are columns, or the two index levels when `entity` and `time` are None.
    terms : iterable of str
        Variables to keep, lag operators allowed.
    entity, time : str, optional
    groups : iterable of str
        Columns that are constant within an entity and are wanted as codes.
    time_step : int
        Length of one period in units of the time column (5 for a five-yearly panel).

    Raises
    ------
    UnknownColumnError, DuplicateRowsError, TimeColumnError, MissingVariableError, NonNumericError,
    InfiniteValueError, SpecificationError
    """
    frame, entity, time = _with_keys(data, entity, time)
    columns = _needed_columns(frame, terms)
    for name in groups:
        if name not in frame.columns:
            raise UnknownColumnError(_unknown(name, frame, "group variable"))
    years = _periods(frame[time], time, time_step)
    _check_keys(frame, entity, time, years)
    row_code, entities = pd.factorize(frame[entity], sort=True)
    first = int(years.min())
    t_index = (years - first) // time_step
    shape = (len(entities), int(t_index.max()) + 1)
    position = np.full(shape, -1, dtype=np.int64)
    position[row_code, t_index] = np.arange(len(frame))
    values = {}
    for name in columns:
        grid = np.full(shape, np.nan)
        grid[row_code, t_index] = _numbers(frame[name], name, frame, entity, time)
        values[name] = grid
    codes = {name: _entity_codes(frame, name, row_code, entities, entity) for name in groups}
    return PanelGrid(
        np.asarray(entities),
        first + time_step * np.arange(shape[1]),
        position >= 0,
        values,
        codes,
        position,
        entity,
        time,
    )


def _with_keys(data: pd.DataFrame, entity: str | None, time: str | None) -> tuple[pd.DataFrame, str, str]:
    """Return the data with entity and time as columns, and their names."""
    if entity is None and time is None:
        if data.index.nlevels != 2:
            raise SpecificationError(
                "Expected entity= and time=, or a two-level index (entity, time); found neither. Name the key columns."
            )
        names = [
            name if name is not None else default
            for name, default in zip(data.index.names, ("entity", "time"), strict=True)
        ]
        return data.rename_axis(names).reset_index(), str(names[0]), str(names[1])
    if entity is None or time is None:
        raise SpecificationError("Expected both entity= and time=, found one of them.")
    levels = [name for name in data.index.names if name in (entity, time) and name not in data.columns]
    frame = data.reset_index(level=levels) if levels else data
    for name, role in ((entity, "entity"), (time, "time")):
        if name not in frame.columns:
            raise UnknownColumnError(_unknown(name, frame, role))
    return frame, entity, time


def _unknown(name: str, frame: pd.DataFrame, role: str) -> str:
    known = ", ".join(map(str, list(frame.columns)[:30]))
    return f"{role} {name!r} is not a column of the data ({len(frame.columns)} columns: {known})."


def _needed_columns(frame: pd.DataFrame, terms: Iterable[str]) -> list[str]:
    """Return the columns behind the terms; a column whose own name looks like an operator wins over the operator."""
    needed: dict[str, None] = {}
    for term in terms:
        name = term if term in frame.columns else base_name(term)
        if name not in frame.columns:
            raise UnknownColumnError(_unknown(name, frame, "variable"))
        needed[name] = None
    return list(needed)


def _periods(column: pd.Series, name: str, step: int) -> np.ndarray:
    """Return the time column as integers."""
    if not isinstance(step, int) or step < 1:
        raise TimeColumnError(f"time_step: expected a positive integer, found {step!r}.")
    if len(column) == 0:
        raise MissingVariableError("The data hold no row.")
    if column.isna().any():
        raise MissingVariableError(f"time column {name!r}: {int(column.isna().sum())} of {len(column)} values missing.")
    kind = column.dtype.kind if isinstance(column.dtype, np.dtype) else "O"
    numeric = pd.to_numeric(column, errors="coerce") if kind not in "Mm" else pd.Series(np.nan, index=column.index)
    numbers = numeric.to_numpy(dtype=float)
    whole = np.isfinite(numbers) & (numbers == np.round(numbers))
    if kind == "b" or not whole.all():
        bad = column[~whole].drop_duplicates().head(_SHOWN).tolist() if kind != "b" else [True, False]
        raise TimeColumnError(
            f"time column {name!r}: expected integers such as years, found {int((~whole).sum())} other values of type "
            f"{column.dtype}, e.g. {bad}. Convert dates to whole periods first."
        )
    periods = numbers.astype(np.int64)
    remainder = (periods - periods.min()) % step
    if remainder.any():
        raise TimeColumnError(f"time column {name!r}: {int((remainder > 0).sum())} values are off the steps of {step}.")
    return periods


def _check_keys(frame: pd.DataFrame, entity: str, time: str, periods: np.ndarray) -> None:
    """Refuse missing entities and repeated (entity, time)."""
    missing = int(frame[entity].isna().sum())
    if missing:
        raise MissingVariableError(f"entity column {entity!r}: {missing} of {len(frame)} values missing.")
    keys = pd.DataFrame({entity: frame[entity].to_numpy(), time: periods})
    repeated = keys.duplicated(keep=False)
    if repeated.any():
        counts = keys[repeated].value_counts().head(_SHOWN)
        examples = ", ".join(f"({e!r}, {t}) x{n}" for (e, t), n in counts.items())
        raise DuplicateRowsError(
            f"{len(keys[repeated].drop_duplicates())} keys repeat of ({entity}, {time}), {int(repeated.sum())} rows, "
            f"e.g. {examples}. A panel has one row per entity and period."
        )


def _numbers(column: pd.Series, name: str, frame: pd.DataFrame, entity: str, time: str) -> np.ndarray:
    """Return a variable as floats, refusing text, infinite values and a column without any value."""
    try:
        values = pd.to_numeric(column).to_numpy(dtype=float, na_value=np.nan)
    except (ValueError, TypeError) as error:
        raise NonNumericError(f"variable {name!r}: expected numbers, found dtype {column.dtype} ({error}).") from error
    infinite = np.isinf(values)
    if infinite.any():
        where = frame.loc[infinite, [entity, time]].head(_SHOWN)
        examples = [(e, t) for e, t in where.itertuples(index=False)]
        raise InfiniteValueError(
            f"variable {name!r}: {int(infinite.sum())} infinite values, at {examples}. Usually the logarithm of zero; "
            "use ln(1 + x) or leave them missing."
        )
    if np.isnan(values).all():
        raise MissingVariableError(f"variable {name!r}: all {len(values)} values are missing.")
    return values


def _entity_codes(
    frame: pd.DataFrame, name: str, row_code: np.ndarray, entities: Iterable[object], entity: str
) -> np.ndarray:
    """Return one integer code per entity for a group column, refusing groups that vary within an entity."""
    if frame[name].isna().any():
        raise MissingVariableError(f"group variable {name!r}: {int(frame[name].isna().sum())} values missing.")
    codes, _ = pd.factorize(frame[name], sort=True)
    entities = np.asarray(entities)
    per_entity = np.zeros(len(entities), dtype=np.int64)
    per_entity[row_code] = codes
    varying = np.unique(row_code[per_entity[row_code] != codes])
    if varying.size:
        raise SpecificationError(
            f"group variable {name!r} varies within {varying.size} of {len(entities)} values of {entity!r}, e.g. "
            f"{entities[varying[:_SHOWN]].tolist()}. Clusters must contain whole entities."
        )
    return per_entity
