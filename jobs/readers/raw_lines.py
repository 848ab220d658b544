"""One line of a delivered file as it was delivered: for whoever can read the raw folder, and from nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from conf.layouts import Layout
from jobs.core.errors import InputRefusedError
from jobs.kernels.parts import Part, parts_from_json
from jobs.kernels.raw_folder import RawFolder
from jobs.kernels.sources import read_batches
from jobs.readers.delivery import Receipt
from schemas.fields import RAW_COLUMNS


def raw_line(folder: RawFolder, receipt: Receipt, number: int, layouts: Sequence[Layout]) -> list[str]:
    """What stands in a data row of a received file.

    Parameters
    ----------
    folder : RawFolder
    receipt : mapping
        Row of ``ops.file_receipt``.
    number : int
        ``source_row``: data rows counted from 1.
    layouts : sequence of Layout

    Returns
    -------
    list of str
        The whole line if it could not be split, else a line for each column.

    Raises
    ------
    InputRefusedError
        If the file is not in the folder, is not the one that was received, or has no such row.
    """
    name = receipt["source_file"]
    size = folder.size_of(name)
    if size != receipt["bytes"]:
        found = "it is not there" if size is None else f"it has {size:,} bytes"
        raise InputRefusedError(f"{folder.address}: {name} was received with {receipt['bytes']:,} bytes, {found}.")
    parts = parts_from_json(receipt["parts"])
    wanted = _piece_of(parts, number)
    if wanted is not None:
        for part, batch in read_batches(folder.file(name, size), parts, layouts, pieces=[wanted]):
            first = batch.column("source_row")[0].as_py() if batch.num_rows else number + 1
            if first <= number < first + batch.num_rows:
                return _described(part, batch.slice(number - first, 1))
    n_rows = sum(part.n_rows for part in parts)
    raise InputRefusedError(f"{name}: expected a data row from 1 to {n_rows:,}; found {number:,}.")


def _piece_of(parts: Sequence[Part], number: int) -> tuple[int, int] | None:
    for k, part in enumerate(parts):
        for index, piece in enumerate(part.pieces):
            first = part.n_rows_before + piece.rows_before
            if first < number <= first + max(piece.n_rows, 0):
                return k, index
    return None


def _described(part: Part, row: pa.RecordBatch) -> list[str]:
    values: dict[str, Any] = row.to_pylist()[0]
    where = "/".join(item for item in (part.member, part.table) if item)
    lines = [f"  in {where}"] if where else []
    if values["malformed_row"] is not None:
        return [*lines, f"  cannot be split into {len(part.headings)} fields: {values['malformed_row']}"]
    lines += [f"  {name:<22}{values[name]}" for name in RAW_COLUMNS if values[name] is not None]
    lines += [f"  {heading:<22}{value}" for heading, value in values["extra"] or ()]
    marks = ", ".join(values["reading_marks"] or ())
    return lines + ([f"  mended while it was read: {marks}"] if marks else [])
