"""The panel as arrays: entity x full calendar grids made from a long table.

Every variable becomes a float array of shape (N, T) over *all* periods between the first and the last, with NaN where a
row is not stored. The decision worth knowing: lags move along this calendar, never along the rows, so nothing is ever
differenced across a gap; and a lag operator in a variable's name is applied on the stored rows only, as Stata does,
which is why ``L.n`` lagged once is not ``n`` lagged twice on a panel with gaps (docs/methodology, "Gaps").
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from estimation.dynamic_panel.expressions import atoms, derived_column, is_derived, source_columns
from estimation.dynamic_panel.periods import read_periods
from estimation.dynamic_panel.samples import Sample, sample_rows
from estimation.dynamic_panel.terms import Term, check_ambiguous, factors, hint, read_term
from estimation.errors import (
    DuplicateRowsError,
    InfiniteValueError,
    MissingVariableError,
    NonNumericError,
    SpecificationError,
    UnknownColumnError,
)

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
    time_step : int
        Length of a period in units of the time column.
    sample : ndarray of bool or None, shape (N, T)
        Rows the estimation is about, as Stata's ``if``; None is all of them.
    labels : dict of str to ndarray
        What each code of a group column stands for.
    """

    entities: np.ndarray
    times: np.ndarray
    stored: np.ndarray
    values: dict[str, np.ndarray]
    codes: dict[str, np.ndarray]
    row_position: np.ndarray
    entity: str
    time: str
    time_step: int = 1
    sample: np.ndarray | None = None
    labels: dict[str, np.ndarray] = field(default_factory=dict)

    def term(self, name: str) -> Term:
        """Return the meaning of a name."""
        return read_term(name, self.values)

    def series(self, name: str) -> np.ndarray:
        """Return a variable with its lag operators applied row by row, or a product of such, shape (N, T)."""
        if name not in self.values and len(parts := factors(name)) > 1:
            return np.prod([self.series(part) for part in parts], axis=0)
        term = self.term(name)
        values = self.values[term.column]
        for operator, n in term.operators:
            if operator == "D":
                for _ in range(n):
                    values = values - self._on_rows(shift(values, 1))
            else:
                values = self._on_rows(shift(values, n if operator == "L" else -n))
        return values

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


def build_grid(
    data: pd.DataFrame,
    terms: Iterable[str],
    *,
    entity: str | None = None,
    time: str | None = None,
    groups: Iterable[str] = (),
    time_step: int = 1,
    sample: Sample = None,
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
    sample : str, or booleans aligned with the rows, optional
        Rows the estimation is about; the others still lend their values to lags, differences and instruments.

    Raises
    ------
    UnknownColumnError, DuplicateRowsError, TimeColumnError, MissingVariableError, NonNumericError,
    InfiniteValueError, SpecificationError
    """
    frame, entity, time = with_keys(data, entity, time)
    columns = _needed_columns(frame, terms)
    for name in groups:
        if name not in frame.columns:
            raise UnknownColumnError(_unknown(name, frame, "group variable"))
    sources = {source for name in columns for source in source_columns(name, frame)}
    _check_labels(frame, {entity, time, *sources, *groups})
    years, step = read_periods(frame, entity, time, time_step)
    _check_keys(frame, entity, time, years)
    row_code, entities = pd.factorize(frame[entity], sort=True)
    first = int(years.min())
    t_index = (years - first) // step
    shape = (len(entities), int(t_index.max()) + 1)

    def on_calendar(rows: np.ndarray, empty: object) -> np.ndarray:
        grid = np.full(shape, empty)
        grid[row_code, t_index] = rows
        return grid

    values = {}
    for name in columns:
        column = frame[name] if name in frame.columns else derived_column(name, frame)
        values[name] = on_calendar(_numbers(column, name, frame, entity, time), np.nan)
    codes, labels = {}, {}
    for name in groups:
        codes[name], labels[name] = _entity_codes(frame, name, row_code, entities, entity)
    position = on_calendar(np.arange(len(frame)), -1)
    inside = sample_rows(frame, sample)
    return PanelGrid(
        np.asarray(entities),
        first + step * np.arange(shape[1]),
        position >= 0,
        values,
        codes,
        position,
        entity,
        time,
        step,
        None if inside is None else on_calendar(inside, False),
        labels,
    )


def _check_labels(frame: pd.DataFrame, used: set[str]) -> None:
    """Refuse columns that are wanted and occur twice."""
    twice = [str(name) for name in frame.columns[frame.columns.duplicated()] if name in used]
    if twice:
        raise SpecificationError(
            f"data: the column names {twice[:_SHOWN]} occur more than once; which column is meant cannot be known. Keep "
            "one of each: data.loc[:, ~data.columns.duplicated()]."
        )


def with_keys(data: pd.DataFrame, entity: str | None, time: str | None) -> tuple[pd.DataFrame, str, str]:
    """Return the data with entity and time as columns, and their names."""
    if not isinstance(data, pd.DataFrame):
        raise SpecificationError(
            f"data: expected a pandas DataFrame, found {type(data).__name__}. Convert it, such as with .to_pandas()."
        )
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
    """Return the columns behind the names, in order."""
    known = set(frame.columns)
    needed: dict[str, None] = {}
    for name in terms:
        check_ambiguous(name, known)
        for column in atoms(name, known):
            if column not in known and not is_derived(column):
                raise UnknownColumnError(_unknown(column, frame, "variable") + hint(name))
            needed[column] = None
    return list(needed)


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
) -> tuple[np.ndarray, np.ndarray]:
    """Return one integer code per entity for a group column and the codes' labels; groups must not vary within entities."""
    if frame[name].isna().any():
        raise MissingVariableError(f"group variable {name!r}: {int(frame[name].isna().sum())} values missing.")
    codes, labels = pd.factorize(frame[name], sort=True)
    entities = np.asarray(entities)
    per_entity = np.zeros(len(entities), dtype=np.int64)
    per_entity[row_code] = codes
    varying = np.unique(row_code[per_entity[row_code] != codes])
    if varying.size:
        raise SpecificationError(
            f"group variable {name!r} varies within {varying.size} of {len(entities)} values of {entity!r}, e.g. "
            f"{entities[varying[:_SHOWN]].tolist()}. Clusters must contain whole entities."
        )
    return per_entity, np.asarray(labels)
