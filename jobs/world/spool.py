"""The records of one year between drawing and writing: drawn city by city, written in the order of the files.

A file mixes all cities, so a year must be whole before its first line is written. It waits in a file without a name in
the world's own folder, 46 bytes a record; in memory stay the month of each record and, while a file is written, four
bytes for each of its records. The file vanishes with the process, however that ends.
"""

from __future__ import annotations

import tempfile
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np

from jobs.world.records import Records

RECORD = np.dtype([
    ("place", np.int32), ("firm", np.int32), ("code", np.int32), ("suffix", np.int8), ("partner", np.int16),
    ("value", np.int64), ("quantity", np.int64), ("month", np.int8), ("regime", np.int8), ("port", np.int8),
    ("transport", np.int8), ("is_export", np.bool_), ("defects", np.int32), ("repairs", np.int16), ("style", np.int32),
])


class Spool:
    """Records in the order they were drawn in, taken back in any order.

    Parameters
    ----------
    folder : Path
        On whose disk they wait.
    """

    def __init__(self, folder: Path) -> None:
        self._stream: IO[bytes] = tempfile.TemporaryFile(dir=folder)
        self._months: list[np.ndarray] = []
        self._rows: np.ndarray | None = None

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._rows = None
        self._stream.close()

    def append(self, part: Records) -> None:
        """Add records after those that are there."""
        rows = np.empty(len(part), RECORD)
        for item in fields(Records):
            rows[item.name] = getattr(part, item.name)
        self._stream.write(rows.data)
        self._months.append(rows["month"].copy())

    def months(self) -> np.ndarray:
        """Month of every record, shape (n_records,), int8."""
        self._months = [np.concatenate([np.zeros(0, np.int8), *self._months])]
        return self._months[0]

    def take(self, positions: np.ndarray) -> Records:
        """Records at the given positions, in their order."""
        if self._rows is None:
            self._stream.flush()
            self._rows = np.memmap(self._stream, RECORD, mode="r")
        rows = self._rows[positions]
        return Records(*(np.ascontiguousarray(rows[item.name]) for item in fields(Records)))
