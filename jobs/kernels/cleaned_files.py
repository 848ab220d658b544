"""Cleaning from data files to data files: what an executor does with its slices of bronze where it reads and writes itself.

Each record is read once, cleaned once and written once; what was read is summed up on the way, for the balance.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import polars as pl
import pyarrow as pa

from jobs.core.data_files import DataFile, FileTarget, FileWriter
from jobs.core.file_slices import read_frames, slices_from_json
from jobs.kernels.cleaning import (
    CLEANING_INPUTS,
    Cleaning,
    clean_records,
    count_spellings,
    sort_records,
    sum_values,
    to_arrow,
)
from jobs.kernels.loading import result_batch
from jobs.kernels.parsing import parse_values
from schemas import bronze

#: Rows of a file and year, erased ones among them, and dollars.
Totals = Mapping[tuple[str, int], tuple[int, int, Decimal]]
_FOR_BALANCE = ("file_sha256", "source_year", "value", "malformed_row")


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What tasks of :func:`write_cleaned` wrote and read.

    Attributes
    ----------
    kept, refused : list of DataFile
        Of ``silver.declaration`` and ``silver.quarantine``.
    delivered : mapping
        What was read of each file and year.
    """

    kept: list[DataFile]
    refused: list[DataFile]
    delivered: Totals

    @classmethod
    def of(cls, results: Sequence[str]) -> Cleaned:
        """Put together what all tasks say."""
        entries = [json.loads(result) for result in results]
        kept, refused = ([DataFile(**file) for entry in entries for file in entry[side]] for side in ("kept", "refused"))
        return cls(kept, refused, added_up([entry["totals"] for entry in entries]))


def write_cleaned(
    task: str, cleaning: Cleaning, in_force: Sequence[str], kept: FileTarget, refused: FileTarget
) -> Iterator[pa.RecordBatch]:
    """Clean the records of a task's slices and write both tables of silver; yield one row, ``result``, for :class:`Cleaned`.

    Parameters
    ----------
    task : str
        Slices of ``bronze.declaration``.
    cleaning : Cleaning
    in_force : sequence of str
        SHA-256 of the files whose records are cleaned.
    kept, refused : FileTarget
    """
    totals = []
    with FileWriter(kept) as to_kept, FileWriter(refused) as to_refused:
        for rows in _rows_in_force(task, in_force, CLEANING_INPUTS):
            judged = clean_records(rows, cleaning)
            totals.append(sum_values(rows, judged.get_column("value_usd")))
            sides = sort_records(judged, kept.table.columns, refused.table.columns)
            to_kept.write(sides[0])
            to_refused.write(sides[1])
    files = {"kept": to_kept.files, "refused": to_refused.files}
    yield result_batch({side: [file.to_dict() for file in written] for side, written in files.items()} | _as_json(totals))


def total_values(task: str, in_force: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Yield one row, ``result``: rows and dollars of each file and year of a task's slices, for :func:`added_up`."""
    totals = [
        sum_values(rows, parse_values(rows.select("value", "malformed_row")).get_column("value_usd"))
        for rows in _rows_in_force(task, in_force, _FOR_BALANCE)
    ]
    yield result_batch(_as_json(totals)["totals"])


def added_up(totals: Sequence[Sequence[Sequence]]) -> Totals:
    """Totals of all tasks together."""
    found: dict[tuple[str, int], tuple[int, int, Decimal]] = {}
    for sha256, year, n_rows, n_erased, usd in (row for rows in totals for row in rows):
        before = found.get((sha256, year), (0, 0, Decimal("0.00")))
        found[sha256, year] = before[0] + n_rows, before[1] + n_erased, before[2] + Decimal(usd)
    return found


def spelt_postcodes_of(task: str, lending: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Yield firms' postcodes as spelt, counted, of the readable records of the files that lend them."""
    columns = ("source_year", "firm_id", "postcode", "malformed_row")
    for rows in _rows_in_force(task, lending, columns):
        readable = rows.filter(pl.col("malformed_row").is_null())
        yield from to_arrow(count_spellings(readable)).to_batches()


def _rows_in_force(task: str, in_force: Sequence[str], columns: Sequence[str]) -> Iterator[pl.DataFrame]:
    where = pl.col("file_sha256").is_in(list(in_force))
    return read_frames(slices_from_json(task), bronze.DECLARATION, columns, where=where)


def _as_json(totals: Sequence[pl.DataFrame]) -> dict[str, list[list]]:
    # dollars as text: a float would lose cents
    return {"totals": [[*row[:-1], str(row[-1])] for frame in totals for row in frame.rows()]}
