"""Stata deliveries (``.dta``): variable names and rows as text, strictly decoded, in pieces. pandas only, no Spark.

The yearly customs files of 2007-2011 circulate as Stata files older than Stata 14, which carry no encoding: their texts
and variable names are GB18030 bytes (public programs run ``unicode translate`` on them). Formats 118 and 119 are UTF-8.
A number has no text of its own in such a file; it becomes the shortest decimal that reads back as the same number, a
whole number without a point. Value labels are left aside: codes are what the layouts expect.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.core.errors import InputRefusedError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from pyspark.sql import DataFrame, SparkSession

SUFFIX = ".dta"
CHUNK_ROWS = 50_000
OLD_ENCODING = "gb18030"
_NEW_FORMAT = b"<stata_dta><header><release>"
FIRST_UNICODE_RELEASE = 118


def is_stata(path: str | Path) -> bool:
    """Tell whether a file is a Stata file by its name."""
    return str(path).lower().endswith(SUFFIX)


def stored_encoding(path: Path) -> str:
    """Encoding of the texts of a Stata file: UTF-8 from format 118 on, GB18030 before."""
    with open(path, "rb") as stream:
        start = stream.read(len(_NEW_FORMAT) + 3)
    release = start.removeprefix(_NEW_FORMAT)
    is_unicode = start.startswith(_NEW_FORMAT) and release.isdigit() and int(release) >= FIRST_UNICODE_RELEASE
    return "utf-8" if is_unicode else OLD_ENCODING


def read_texts(path: Path, name: str) -> Iterator[pd.DataFrame]:
    """Yield the rows of a Stata file in pieces of text columns, missing values as None; at least one piece.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        How to call it in messages.

    Raises
    ------
    InputRefusedError
        When it is no Stata file, was cut, or a text is not valid in the file's encoding.
    """
    import pandas as pd

    encoding = stored_encoding(path)
    try:
        with (
            warnings.catch_warnings(),
            pd.read_stata(path, chunksize=CHUNK_ROWS, convert_dates=False, convert_categoricals=False) as reader,
        ):
            # pandas reads a text that is not UTF-8 as Latin-1 and only warns
            warnings.simplefilter("error", UnicodeWarning)
            n_rows = 0
            for piece in reader:
                yield _as_texts(piece, name, encoding, n_rows)
                n_rows += len(piece)
            if n_rows == 0:
                yield _as_texts(reader.read(0), name, encoding, 0)
    except UnicodeWarning as warning:
        raise InputRefusedError(
            f"{name}: a Stata file of format 118 or later that holds texts which are not UTF-8: it was converted without"
            " translating them. In Stata: `unicode encoding set gb18030`, `unicode translate FILE`, and deliver it again."
        ) from warning
    except (ValueError, OSError, EOFError, struct.error) as error:
        raise InputRefusedError(
            f"{name}: cannot be read as a Stata file ({str(error).splitlines()[0]}). It is none, or was cut on the way;"
            " deliver it again whole, or export it with `export delimited using FILE.csv, quote`."
        ) from error


def spark_rows(spark: SparkSession, paths: Sequence[str], n_columns: int) -> DataFrame:
    """Rows of Stata files of the same headings as a frame, one task per file.

    Parameters
    ----------
    spark : SparkSession
    paths : sequence of str
        Files, on a path that the executors see.
    n_columns : int
        Number of variables.

    Returns
    -------
    DataFrame
        ``c0 ... cN`` (string), ``file_path`` as given, ``source_row`` (from 1).
    """
    names = [f"c{index}" for index in range(n_columns)]

    def read(batches):
        for batch in batches:
            for index in batch["id"]:
                yield from _numbered(paths[index], names)

    schema = ", ".join([*(f"{name} string" for name in names), "file_path string", "source_row bigint"])
    return spark.range(0, len(paths), 1, len(paths)).mapInPandas(read, schema)


def _numbered(path: str, names: list[str]) -> Iterator[pd.DataFrame]:
    n_before = 0
    for piece in read_texts(Path(path), Path(path).name):
        yield piece.set_axis(names, axis=1).assign(file_path=path, source_row=range(n_before + 1, n_before + len(piece) + 1))
        n_before += len(piece)


def _as_texts(piece: pd.DataFrame, name: str, encoding: str, n_before: int) -> pd.DataFrame:
    import pandas as pd

    headings = [_decode(heading, encoding, f"{name}: the name of a variable") for heading in piece.columns]
    columns = {}
    for position, heading in enumerate(headings):
        column = piece.iloc[:, position]
        where = f"{name}: variable {heading}, rows from {n_before + 1:,} on"
        is_text = column.dtype == object
        columns[position] = _texts(column, encoding, where) if is_text else _number_texts(column.to_numpy())
    return pd.DataFrame(columns, index=range(len(piece))).set_axis(headings, axis=1)


def _texts(column: pd.Series, encoding: str, where: str) -> np.ndarray:
    """Decode each distinct text once: few are distinct in most columns."""
    import numpy as np
    import pandas as pd

    codes, distinct = pd.factorize(column)
    decoded = np.array([_decode(text, encoding, where) or None for text in distinct] + [None], dtype=object)
    return decoded[codes]


def _decode(text: str, encoding: str, where: str) -> str:
    if encoding != OLD_ENCODING or text.isascii():
        return text
    # pandas reads the bytes of an old file as Latin-1, which loses none
    stored = text.encode("latin-1")
    try:
        return stored.decode(encoding)
    except UnicodeDecodeError as error:
        raise InputRefusedError(
            f"{where}: {stored[:24].hex(' ')} is not valid {encoding} (byte {error.start + 1} of the text). The text is in"
            " another encoding, or was cut to the width of its variable; translate it in Stata and deliver it again."
        ) from error


def _number_texts(values: np.ndarray) -> np.ndarray:
    import numpy as np
    import pandas as pd

    missing = pd.isna(values)
    if values.dtype.kind in "iu":
        return values.astype(str).astype(object)
    # whole numbers up to 2^53 are exact in a double
    is_whole = ~missing & (np.abs(values) <= 2.0**53) & (np.trunc(values) == values)
    texts = np.full(len(values), None, dtype=object)
    texts[is_whole] = values[is_whole].astype(np.int64).astype(str).astype(object)
    others = ~missing & ~is_whole
    texts[others] = [np.format_float_positional(value, trim="-") for value in values[others]]
    return texts
