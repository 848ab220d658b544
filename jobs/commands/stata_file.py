"""Tables as Stata files (format 118, read by Stata 14 and later): labels of columns, no value changed that Stata can hold."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd

from jobs.commands.stata_labels import complete_stata_file, language_characteristics, note_characteristics
from jobs.core.errors import InputRefusedError

MAX_NAME, MAX_LABEL, MAX_TEXT_BYTES = 32, 80, 2045
#: Largest whole number that a Stata long holds, and that a double holds exactly.
MAX_LONG, MAX_EXACT = 2_147_483_620, 2**53
MAX_DOUBLE = 8.988465674311579e307
RESERVED = frozenset(
    "_all _b _coef _cons _n _N _pi _pred _rc _skip aggregate array boolean break byte case catch class colvector complex const"
    " continue default delegate delete do double else eltypedef end enum explicit export external float for friend function"
    " global goto if in inline int local long NULL pragma protected quad rowvector short strL typedef typename using virtual"
    " with".split()
)


@dataclass(frozen=True, slots=True)
class Language:
    """Labels in a second language, which ``label language`` turns to in Stata.

    Attributes
    ----------
    name : str
        Such as ``zh``; the labels in the file are ``en``.
    labels : dict
        Column to its meaning.
    values : dict
        Column to value to its text.
    """

    name: str
    labels: Mapping[str, str]
    values: Mapping[str, Mapping[int, str]]


def write_stata(
    rows: pd.DataFrame, path: Path, *, labels: Mapping[str, str], title: str,
    values: Mapping[str, Mapping[int, str]] | None = None, other: Language | None = None, notes: Sequence[str] = (),
) -> None:
    """Write rows to a .dta file.

    Parameters
    ----------
    rows : DataFrame
    path : Path
    labels : dict
        Column to its meaning; cut to the 80 characters that Stata holds.
    title : str
        Label of the data.
    values : dict, optional
        Column of whole numbers to value to its text.
    other : Language, optional
        Labels in a second language.
    notes : sequence of str
        Notes of the data.

    Raises
    ------
    InputRefusedError
        For numbers that Stata cannot hold.
    """
    names = stata_names([str(name) for name in rows.columns])
    columns = {names[str(name)]: _column(str(name), rows[name]) for name in rows.columns}
    frame = pd.DataFrame(columns, index=range(len(rows)))
    long_texts = [
        name for name, values in columns.items()
        if values.dtype == object and any(len(text.encode()) > MAX_TEXT_BYTES for text in values)
    ]
    dates = {name: "tc" for name, values in columns.items() if values.dtype.kind == "M"}
    shown = {names[name]: _cut(text) for name, text in labels.items() if name in names}
    frame.to_stata(
        path, write_index=False, version=118, convert_strl=long_texts, variable_labels=shown, data_label=_cut(title),
        convert_dates=dict(dates), time_stamp=dt.datetime(2000, 1, 1),
        value_labels={names[name]: dict(texts) for name, texts in (values or {}).items() if name in names},
    )
    added, sets = note_characteristics(notes), {}
    if other is not None:
        sets = {f"{names[name][:24]}_{other.name}": texts for name, texts in other.values.items() if name in names}
        of_variables = {names[name]: f"{names[name][:24]}_{other.name}" for name in other.values if name in names}
        translated = {names[name]: _cut(text) for name, text in other.labels.items() if name in names}
        added += language_characteristics("en", other.name, translated, of_variables)
    if added:
        complete_stata_file(path, added, sets)


def stata_names(names: Sequence[str]) -> dict[str, str]:
    """Names as Stata allows them: at most 32 letters, digits and underscores, not reserved, each once."""
    given: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"\W", "_", name, flags=re.ASCII) or "_"
        plain = f"_{plain}" if plain[0].isdigit() or plain in RESERVED or re.fullmatch(r"str\d+", plain) else plain
        short, number = plain[:MAX_NAME], 1
        while short in given.values():
            number += 1
            short = f"{plain[: MAX_NAME - len(str(number)) - 1]}_{number}"
        given[name] = short
    return given


def _column(name: str, values: pd.Series) -> pd.Series:
    """Values in a type of Stata: byte for true and false, long or double for numbers, text with missing as empty."""
    values = values.reset_index(drop=True)
    known = values.dropna()
    if values.dtype.kind == "M" or isinstance(values.dtype, pd.DatetimeTZDtype):
        stamps = values.dt.tz_convert(None) if isinstance(values.dtype, pd.DatetimeTZDtype) else values
        return stamps.dt.round("ms")
    if len(known) and all(isinstance(value, (bool, np.bool_)) for value in known):
        return values.astype("float64") if len(known) < len(values) else values.astype("int8")
    if pd.api.types.is_numeric_dtype(values.dtype):
        return _numbers(name, values)
    if len(known) and all(isinstance(value, (int, float, Decimal)) for value in known):
        return _numbers(name, pd.to_numeric(values.map(lambda value: None if pd.isna(value) else float(value))))
    return values.map(_text).astype(object)


def _numbers(name: str, values: pd.Series) -> pd.Series:
    known = values.dropna()
    is_whole = pd.api.types.is_integer_dtype(values.dtype)
    largest = 0 if known.empty else abs(known).max()
    if (is_whole and largest > MAX_EXACT) or float(largest) > MAX_DOUBLE:
        raise InputRefusedError(
            f"{name}: {known[abs(known).idxmax()]} is beyond what Stata holds exactly. Export to .parquet or .csv."
        )
    if is_whole and len(known) == len(values) and largest <= MAX_LONG:
        return values.astype("int32")
    return values.astype("float64")


def _text(value: object) -> str:
    if isinstance(value, (list, tuple, dict, np.ndarray)):
        return str(value.tolist() if isinstance(value, np.ndarray) else value)
    return "" if value is None or pd.isna(value) else str(value)


def _cut(text: str) -> str:
    return text if len(text) <= MAX_LABEL else text[: MAX_LABEL - 3] + "..."
