"""Delivered files to batches of bronze: what an executor does with its share of a load."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from decimal import Decimal

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from conf.layouts import Layout
from jobs.core.data_files import DataFile, FileTarget, FileWriter
from jobs.core.errors import InputRefusedError
from jobs.core.protection import Protection
from jobs.kernels.amounts import read_cents
from jobs.kernels.parts import Part, parts_from_json
from jobs.kernels.protection import protect_batch
from jobs.kernels.raw_folder import RawFolder
from jobs.kernels.rows import YEAR_UNKNOWN
from jobs.kernels.same_bytes import Overheard, changed, hash_stream, unchanged
from jobs.kernels.sources import RawFile, read_batches
from schemas.fields import RAW_COLUMNS

#: Columns of bronze that do not depend on the load.
BRONZE_SCHEMA = pa.schema(
    [
        ("source_year", pa.int32()), ("source_month", pa.int32()), *((name, pa.string()) for name in RAW_COLUMNS),
        ("extra", pa.map_(pa.string(), pa.string())), ("malformed_row", pa.string()), ("layout", pa.string()),
        ("source_file", pa.string()), ("file_sha256", pa.string()), ("source_row", pa.int64()),
        ("source_part", pa.string()), ("reading_marks", pa.list_(pa.string())),
    ]
)
#: A task of small files reads about so many bytes; a large file's pieces are tasks of their own.
TASK_BYTES = 64 << 20
#: The default of the settings: persons are left out, nothing was erased.
LEFT_OUT = Protection()


@dataclass(frozen=True, slots=True)
class FileToLoad:
    """A received file, or some pieces of it.

    Attributes
    ----------
    source_file, file_sha256 : str
    n_bytes : int
    years : tuple of int
        Years of its receipts, ascending.
    wanted : tuple of int
        Those to load now.
    month : int or None
        Of the receipt.
    parts : str
        As JSON.
    pieces : tuple of (int, int)
        Number of the part and of its piece; empty: all.
    state : str
        Size and times of change when the load began, which every piece must find; empty: not known.
    """

    source_file: str
    file_sha256: str
    n_bytes: int
    years: tuple[int, ...]
    wanted: tuple[int, ...]
    month: int | None
    parts: str
    pieces: tuple[tuple[int, int], ...] = ()
    state: str = ""

    def to_json(self) -> str:
        """As JSON, for a task."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> FileToLoad:
        """Read what :meth:`to_json` wrote."""
        entry = json.loads(text)
        pieces = tuple((part, piece) for part, piece in entry.pop("pieces"))
        years = {key: tuple(entry[key]) for key in ("years", "wanted")}
        return cls(**entry | years | {"pieces": pieces})


def share_out(files: Sequence[FileToLoad]) -> list[list[FileToLoad]]:
    """Files to tasks: small ones together, each piece of a large one by itself."""
    tasks: list[list[FileToLoad]] = []
    open_bytes = TASK_BYTES
    for file in files:
        parts = parts_from_json(file.parts)
        pieces = [(k, index) for k, part in enumerate(parts) for index in range(len(part.pieces))]
        if any(len(part.pieces) > 1 for part in parts):
            tasks += [[replace(file, pieces=(piece,))] for piece in pieces]
            open_bytes = TASK_BYTES
        elif open_bytes + file.n_bytes > TASK_BYTES:
            tasks.append([file])
            open_bytes = file.n_bytes
        else:
            tasks[-1].append(file)
            open_bytes += file.n_bytes
    return tasks


def bronze_batches(
    folder: RawFolder, file: FileToLoad, layouts: Sequence[Layout], protection: Protection = LEFT_OUT
) -> Iterator[pa.RecordBatch]:
    """Yield the batches of a file, in :data:`BRONZE_SCHEMA`, protected.

    Raises
    ------
    InputRefusedError
        When the file is not the one that was received.
    """
    size = folder.size_of(file.source_file)
    if size != file.n_bytes:
        found = "it is gone" if size is None else f"it has {size:,} bytes now"
        raise InputRefusedError(
            f"{file.source_file}: received with {file.n_bytes:,} bytes, {found}. It changed since it was looked at; run again"
            " when it is complete."
        )
    parts = parts_from_json(file.parts)
    raw = folder.file(file.source_file, file.n_bytes)
    overheard = Overheard(raw.open)
    heard = replace(raw, open=overheard.open)
    cents: list[int] = []
    with unchanged(lambda: folder.state_of(file.source_file), file.source_file, file.state or None):
        yield from _loaded_batches(heard, file, parts, layouts, protection, cents)
        # every piece proves that the file did not change; the first one, what it is
        if not file.pieces or file.pieces[0] == (0, 0):
            found = overheard.digest_of(file.n_bytes) or hash_stream(raw.open)
            if found != file.file_sha256:
                raise InputRefusedError(changed(file.source_file))
    received = _received_cents(parts, file.pieces)
    if received is not None and received != sum(cents):
        then, now = (Decimal(amount).scaleb(-2) for amount in (received, sum(cents)))
        raise InputRefusedError(
            f"{file.source_file}: received with {then:,} dollars, {now:,} were read. The file, or the layout it is read by,"
            " changed since it was looked at; run again."
        )


def _loaded_batches(
    raw: RawFile, file: FileToLoad, parts: Sequence[Part], layouts: Sequence[Layout], protection: Protection,
    cents: list[int],
) -> Iterator[pa.RecordBatch]:
    periods = {layout.name: layout.period for layout in layouts}
    for part, batch in read_batches(raw, parts, layouts, pieces=file.pieces or None):
        cents.append(int(read_cents(pl.Series(pl.from_arrow(batch.column("value")), dtype=pl.String)).sum()))
        loaded = _bronze(part, batch, file, periods[part.layout])
        if file.wanted != file.years:
            loaded = loaded.filter(pc.is_in(loaded.column("source_year"), pa.array(file.wanted, pa.int32())))
        yield protect_batch(loaded, protection)


def _received_cents(parts: Sequence[Part], pieces: Sequence[tuple[int, int]]) -> int | None:
    """Sum of the values in these pieces as landing read them; None where a receipt of an older product does not say it."""
    wanted = pieces or [(k, index) for k, part in enumerate(parts) for index in range(len(part.pieces))]
    cents = [parts[k].pieces[index].cents for k, index in wanted]
    return None if None in cents else sum(item for item in cents if item is not None)


def load_task(
    task: str, address: str, layouts: Sequence[Layout], protection: Protection = LEFT_OUT
) -> Iterator[pa.RecordBatch]:
    """Yield the batches of all files of a task; ``task`` is a JSON list of files."""
    for file in json.loads(task):
        yield from bronze_batches(RawFolder(address), FileToLoad.from_json(json.dumps(file)), layouts, protection)


@dataclass(frozen=True, slots=True)
class Load:
    """What all rows of a load have in common.

    Attributes
    ----------
    load_id : str
    own : mapping of str to str
        SHA-256 of files whose rows have a load id of their own to that.
    loaded_at : datetime
        UTC, without a zone.
    """

    load_id: str
    own: Mapping[str, str]
    loaded_at: dt.datetime


def write_task(
    task: str, address: str, layouts: Sequence[Layout], protection: Protection, load: Load, target: FileTarget
) -> Iterator[pa.RecordBatch]:
    """Write all rows of a task's files as data files of bronze; yield one row, ``result``: these files, as JSON."""
    moment = pa.scalar(load.loaded_at.replace(tzinfo=dt.UTC), pa.timestamp("us", "UTC"))
    with FileWriter(target) as writer:
        for entry in json.loads(task):
            file = FileToLoad.from_json(json.dumps(entry))
            load_id = pa.scalar(load.own.get(file.file_sha256, load.load_id))
            for batch in bronze_batches(RawFolder(address), file, layouts, protection):
                whole = pa.Table.from_batches([batch])
                for name, value in (("load_id", load_id), ("loaded_at", moment)):
                    whole = whole.append_column(name, pa.repeat(value, len(whole)))
                writer.write(whole)
    yield result_batch([file.to_dict() for file in writer.files])


def result_batch(result: object) -> pa.RecordBatch:
    """One row, ``result``: what a task found, as JSON."""
    return pa.RecordBatch.from_pydict({"result": [json.dumps(result, ensure_ascii=False)]})


def files_of_results(results: Sequence[str]) -> list[DataFile]:
    """Data files of the results of :func:`write_task`."""
    return [DataFile(**entry) for result in results for entry in json.loads(result)]


def task_of(files: Sequence[FileToLoad]) -> str:
    """Write the files of a task as text."""
    return f"[{','.join(file.to_json() for file in files)}]"


def years_of_rows(part: Part, batch: pa.RecordBatch, years: Sequence[int]) -> pa.Array:
    """The year each row is of: that of its part's name, else its own date, if the file is received for that year.

    A row whose date says nothing, or a year the file was not received for, lies with the first year of the file; it is
    marked, and the cleaning rules refuse it (``year_unknown``).
    """
    if len(years) == 1:
        return pa.array(np.full(batch.num_rows, years[0], np.int32))
    if part.year in years:
        return pa.array(np.full(batch.num_rows, part.year, np.int32))
    return pc.if_else(_is_dated(batch, years), batch.column("row_year"), pa.scalar(years[0], pa.int32()))


def _is_dated(batch: pa.RecordBatch, years: Sequence[int]) -> pa.Array:
    return pc.fill_null(pc.is_in(batch.column("row_year"), pa.array(years, pa.int32())), False)


def _marks(part: Part, batch: pa.RecordBatch, years: Sequence[int]) -> pa.Array:
    """The marks of reading, and one more on rows of which nothing says the year."""
    marks = batch.column("reading_marks")
    if len(years) == 1 or part.year in years:
        return marks
    is_dated = _is_dated(batch, years)
    if pc.all(is_dated).as_py():
        return marks
    found = zip(marks.to_pylist(), is_dated.to_pylist(), strict=True)
    return pa.array([before if dated else [*(before or ()), YEAR_UNKNOWN] for before, dated in found], marks.type)


def _months_of_rows(part: Part, batch: pa.RecordBatch, years: pa.Array, file: FileToLoad, period: str) -> pa.Array:
    month = part.month if part.month is not None else file.month
    if month is not None:
        return pa.array(np.full(batch.num_rows, month, np.int32))
    if period != "month":
        return pa.nulls(batch.num_rows, pa.int32())
    return pc.if_else(
        pc.fill_null(pc.equal(batch.column("row_year"), years), False), batch.column("row_month"), pa.scalar(None, pa.int32())
    )


def _bronze(part: Part, batch: pa.RecordBatch, file: FileToLoad, period: str) -> pa.RecordBatch:
    n = batch.num_rows
    years = years_of_rows(part, batch, file.years)

    def constant(text: str | None) -> pa.Array:
        return pa.nulls(n, pa.string()) if text is None else pa.repeat(pa.scalar(text, pa.string()), n)

    name = "/".join(item for item in (part.member, part.table) if item)
    given = {
        "source_year": years, "source_month": _months_of_rows(part, batch, years, file, period),
        "layout": constant(part.layout), "source_file": constant(file.source_file),
        "file_sha256": constant(file.file_sha256), "source_part": constant(name or None),
        "reading_marks": _marks(part, batch, file.years),
    }
    columns = [given[field.name] if field.name in given else batch.column(field.name) for field in BRONZE_SCHEMA]
    return pa.RecordBatch.from_arrays(columns, schema=BRONZE_SCHEMA)


