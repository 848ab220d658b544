"""Stata files to rows, any range of them: texts decoded once each, numbers as shortest decimals, value labels read.

The yearly customs files of 2007-2011 circulate in formats older than Stata 14, which carry no encoding: their texts and
names are GB 18030 bytes. Formats 118 and 119 are UTF-8. Where a variable has value labels, the label is what the row
says and the number is an accident of ``encode``: labels win. pandas reads the head of the file; the rows are read here,
because it would decode every text on its own.
"""

from __future__ import annotations

import re
import struct
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from jobs.core.errors import InputRefusedError
from jobs.kernels.parts import add_counts
from jobs.kernels.reasons import reason_of
from jobs.kernels.rows import Rows
from jobs.kernels.texts import count_inexact, decode_column, decode_distinct, number_texts

CHUNK_ROWS = 50_000
FIRST_UNICODE_RELEASE = 118
OLD_ENCODING = "gb18030"
#: Prefix of what is noticed of a variable whose numbers are beyond what their type keeps exactly.
INEXACT = "beyond float:"
#: ``encode`` gives a text a number up to here (Stata's limit of labels in one set).
MAX_ENCODED = 65_536
MILLISECONDS_OF_A_DAY = 86_400_000
_DATE_FORMAT = re.compile(r"%-?(?:t([dcmqhwC])|d)")


@dataclass(frozen=True, slots=True)
class StataHead:
    """What stands before the rows.

    Attributes
    ----------
    encoding : str
    headings : tuple of str
        Names of the variables, decoded.
    row : np.dtype
        A stored row.
    start : int
        Byte at which the rows start.
    n_rows : int
    labels : dict
        Position of a variable to {number: label}.
    long_at : frozenset of int
        Positions of variables with long texts (strL).
    long_texts : dict
        Those texts by their key.
    ranges : dict
        Type letter to lowest and highest number that is not missing.
    dates : dict
        Position of a variable that is shown as a date to what it counts from 1960 on: ``d`` days, ``c`` milliseconds, ``m``
        months, ``q`` quarters, ``h`` half-years, ``w`` weeks.
    """

    encoding: str
    headings: tuple[str, ...]
    row: np.dtype
    start: int
    n_rows: int
    labels: Mapping[int, Mapping[int, str]] = field(default_factory=dict)
    long_at: frozenset[int] = frozenset()
    long_texts: Mapping[str, str] = field(default_factory=dict)
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    dates: Mapping[int, str] = field(default_factory=dict)


def read_head(stream: BinaryIO, name: str, encoding: str = "") -> StataHead:
    """Read the head of a Stata file.

    Parameters
    ----------
    stream : binary file
        Can be sought; stays open.
    name : str
        For messages.
    encoding : str
        Of the texts of an old file; empty for the usual one.

    Raises
    ------
    InputRefusedError
        When it is no Stata file or was cut.
    """
    stream.seek(0)
    try:
        with warnings.catch_warnings():
            # texts that are not UTF-8 are judged here, and later
            warnings.simplefilter("ignore")
            reader = pd.io.stata.StataReader(_Unclosed(stream), convert_dates=False, convert_categoricals=False)
            with reader:
                return _head_of(reader, encoding)
    except (ValueError, OSError, EOFError, struct.error, IndexError, KeyError) as error:
        raise InputRefusedError(
            f"{name}: cannot be read as a Stata file ({reason_of(error)})."
            " It is of another kind, or was cut on the way; deliver it again whole, or export it with"
            " `export delimited using FILE.csv, quote`."
        ) from error


def read_rows(stream: BinaryIO, head: StataHead, name: str, start: int = 0, stop: int = -1) -> Iterator[Rows]:
    """Yield the rows of a range in pieces.

    Raises
    ------
    InputRefusedError
        When the file ends before its rows do.
    """
    end = head.n_rows if stop < 0 else min(stop, head.n_rows)
    for first in range(start, end, CHUNK_ROWS):
        n = min(CHUNK_ROWS, end - first)
        stream.seek(head.start + first * head.row.itemsize)
        stored = stream.read(n * head.row.itemsize)
        if len(stored) < n * head.row.itemsize:
            raise InputRefusedError(
                f"{name}: cannot be read as a Stata file to its end: {head.n_rows:,} rows are announced, the file ends at row"
                f" {first + len(stored) // max(head.row.itemsize, 1):,}. It was cut on the way; deliver it again whole."
            )
        yield _rows_of(np.frombuffer(stored, head.row), head)


class _Unclosed:
    """A stream that whoever reads it does not close."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def close(self) -> None:
        """Leave it open."""

    # pandas asks for an iterable file
    def __iter__(self) -> Iterator[bytes]:
        return iter(self._stream)


def _head_of(reader: Any, given: str) -> StataHead:
    reader._ensure_open()
    reader._setup_dtype()
    row, release = reader._dtype, reader._format_version
    encoding = given or ("utf-8" if release >= FIRST_UNICODE_RELEASE else OLD_ENCODING)
    headings = tuple(_decoded(name, encoding, release) for name in reader._varlist)
    start, n_rows = reader._data_location, reader._nobs
    sets = {
        key: {int(number): _decoded(text, encoding, release) for number, text in labels.items()}
        for key, labels in reader.value_labels().items()
    }
    labels = {index: sets[key] for index, key in enumerate(reader._lbllist) if key in sets}
    long_at = frozenset(index for index, letter in enumerate(reader._typlist) if letter == "Q")
    if long_at:
        reader._read_strls()
    long_texts = {key: _decoded(text, encoding, release) for key, text in reader.GSO.items()} if long_at else {}
    types = {letter: tuple(bounds) for letter, bounds in reader.VALID_RANGE.items()}
    ranges = {str(index): types[letter] for index, letter in enumerate(reader._typlist) if letter in types}
    dates = {index: match[1] or "d" for index, form in enumerate(reader._fmtlist) if (match := _DATE_FORMAT.match(form))}
    return StataHead(encoding, headings, row, start, n_rows, labels, long_at, long_texts, ranges, dates)


def _decoded(text: str, encoding: str, release: int) -> str:
    """What pandas read as Latin-1, which loses no byte, or as UTF-8."""
    if text.isascii():
        return text
    try:
        stored = text.encode("latin-1")
    except UnicodeEncodeError:
        return text
    if release >= FIRST_UNICODE_RELEASE and encoding == "utf-8":
        # pandas falls back on Latin-1 for a text that is not UTF-8; Latin letters that came as UTF-8 are left
        decoded = decode_distinct(pa.array([stored]), "utf-8")[0].as_py()
        return text if decoded is None or "\ufffd" in decoded else decoded
    return decode_distinct(pa.array([stored]), encoding)[0].as_py() or ""


def _rows_of(stored: np.ndarray, head: StataHead) -> Rows:
    columns: list[pa.Array] = []
    noticed: dict[str, int] = {}
    is_damaged = False
    for index, key in enumerate(head.row.names or ()):
        values = stored[key]
        if index in head.long_at:
            columns.append(pa.array([head.long_texts.get(str(value)) or None for value in values], pa.string()))
        elif values.dtype.kind == "S":
            column, has_damage = decode_column(pa.array(np.ascontiguousarray(values), pa.binary()), head.encoding)
            columns.append(column)
            is_damaged = is_damaged or has_damage
        else:
            column, counts = _numbers(np.ascontiguousarray(values), head, index)
            columns.append(column)
            noticed = add_counts(noticed, counts)
    return Rows(tuple(columns), noticed=noticed, is_damaged=is_damaged)


def _numbers(values: np.ndarray, head: StataHead, index: int) -> tuple[pa.Array, dict[str, int]]:
    values = values.astype(values.dtype.newbyteorder("="))
    low, high = head.ranges.get(str(index), (-np.inf, np.inf))
    with np.errstate(invalid="ignore"):
        missing = (values < low) | (values > high)
    texts = number_texts(values, missing)
    heading, noticed = head.headings[index], {}
    inexact = count_inexact(values[~missing])
    if inexact:
        noticed[f"{INEXACT}{heading}"] = inexact
    labels = head.labels.get(index)
    if labels and min(labels) > MAX_ENCODED and not any(label.isdecimal() for label in labels.values()):
        # the numbers are codes, the labels say what they mean
        labels = None
    if index in head.dates and not labels:
        texts = _date_texts(values, missing, head.dates[index])
    if labels:
        texts, n_labelled, n_bare = _labelled(texts, labels)
        noticed[f"value labels of {heading}"] = n_labelled
        if n_bare:
            noticed[f"numbers without a label of {heading}"] = n_bare
    return texts, noticed


def _labelled(numbers: pa.Array, labels: Mapping[int, str]) -> tuple[pa.Array, int, int]:
    """Labels in the place of numbers; rows with one, and rows whose number has none though most have.

    Where most rows have a label the numbers are an accident of ``encode``, and one without must not be read as a code. Where
    few have, the column is of numbers, and the labels say what some of them stand for.
    """
    coded = numbers.dictionary_encode()
    distinct = coded.dictionary.to_pylist()
    has_label = pa.array([int(float(number)) in labels for number in distinct], pa.bool_()).take(coded.indices)
    n_labelled = int(pc.sum(has_label).as_py() or 0)
    n_bare = len(numbers) - numbers.null_count - n_labelled
    is_encoded = n_labelled > n_bare
    words = [labels.get(int(float(number)), f"no label: {number}" if is_encoded else number) for number in distinct]
    return pa.array(words, pa.string()).take(coded.indices), n_labelled, n_bare if is_encoded else 0


def _date_texts(values: np.ndarray, missing: np.ndarray, unit: str) -> pa.Array:
    """Dates as text, as exact as a month needs: ``2005-06-30``, ``2005-06``, or the year of a quarter or a week."""
    absent = missing | ~np.isfinite(values.astype(float))
    numbers = np.where(absent, 0, values).astype(np.int64)
    start = np.datetime64("1960-01-01", "D")
    if unit in ("c", "C"):
        dates = start + numbers // MILLISECONDS_OF_A_DAY
    elif unit == "d":
        dates = start + numbers
    elif unit == "m":
        dates = start.astype("datetime64[M]") + numbers
    else:
        dates = start.astype("datetime64[Y]") + numbers // {"q": 4, "h": 2, "w": 52}[unit]
    return pa.array(np.datetime_as_string(dates).astype(object), pa.string(), mask=absent)
