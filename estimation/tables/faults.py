"""What is wrong with a result table that the names of the panel's columns show, before there are any rows."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator

from estimation.errors import SpecificationError
from estimation.stata.conditions import named_columns
from estimation.tables.extra import read_extra
from estimation.tables.spec import PANEL_WORDS, RESILIENCE, Column, ResultTable
from estimation.tables.study import PRODUCT


def table_faults(table: ResultTable, columns: Collection[str]) -> list[str]:
    """Return every fault of a table on a panel with these columns, a sentence each.

    Parameters
    ----------
    table : ResultTable
    columns : collection of str
        Of the panel; those of the table's own file are added.
    """
    faults: list[str] = []
    known = {*columns, *PANEL_WORDS}
    if table.extra:
        try:
            own = read_extra(table.extra, taken=columns).columns
            known |= {name for name in own if not name.startswith("_")}
        except SpecificationError as error:
            # the columns it would have are unknown too: no second fault for each of them
            return [f"{table.name} [panel]: {line}" for line in str(error).splitlines()]
    for column in table.columns:
        where = f"{table.name} column {column.position}"
        faults += [
            f"{where}: {place}: {name!r} is not a column of the panel{_nearest(name, known)}."
            for place, name in dict.fromkeys(_names(column)) if name not in known
        ]
        if column.dependent in column.regressors:
            faults.append(f"{where}: {column.dependent} is the outcome and a regressor; its lags are `dependent_lags`.")
    used = {name for column in table.columns for name in (*column.variables, *_factors(column.variables))}
    faults += [
        f"{table.name} [labels]: {name!r} is in no column of the table{_nearest(name, used)}."
        for name in table.labels if name not in used and name != RESILIENCE and name not in known
    ]
    return faults


def _names(column: Column) -> Iterator[tuple[str, str]]:
    """Yield where a column names a variable, and the variable."""
    yield "dependent", column.dependent
    for place in ("endogenous", "predetermined", "exogenous", "external_instruments"):
        for name in _factors(getattr(column, place)):
            yield place, name
    for name in named_columns(column.sample.where):
        yield "where", name
    if column.sample.by:
        yield f"sample {column.sample.name}.by", column.sample.by
    if column.cluster:
        yield "cluster", column.cluster


def _factors(names: Collection[str]) -> list[str]:
    return [factor for name in names for factor in name.split(PRODUCT)]


def _nearest(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, [str(one) for one in known], n=3)
    return f"; did you mean {' or '.join(near)}" if near else ""
