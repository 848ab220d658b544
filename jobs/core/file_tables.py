"""Data files that executors wrote become rows of a table: the driver names them in one commit of Delta's own library.

Rows then never pass through Spark. Locks, marks, checksums and retries are those of any other write (:meth:`Lake.commit`).
Possible where driver and executors see the lake in one folder and its tables have nothing that only Spark knows; elsewhere
(object stores, HDFS, renamed columns, deletion vectors, checks that were changed by hand) rows are written by Spark.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from jobs.core.data_files import GROUP_ROWS, DataFile, FileTarget
from jobs.core.direct import commit_files, is_plain, open_table, reaches
from jobs.core.errors import LakeError
from jobs.core.file_slices import FileSlice, empty_frame, share_slices, slices_to_json
from jobs.core.lake import Lake, Written
from jobs.core.storage import explained_store_failure
from jobs.core.stored_files import StoredFiles
from schemas.table import Table

if TYPE_CHECKING:
    from deltalake import DeltaTable


def takes_files(lake: Lake, *tables: Table) -> bool:
    """Tell whether executors may read and write the files of these tables themselves; else rows are Spark's."""
    return reaches(lake.root) and all(
        is_plain(open_table(lake.root, table), table) for table in tables if lake.exists(table)
    )


@contextlib.contextmanager
def writing_files(lake: Lake, tables: Sequence[Table], *, umask: int) -> Iterator[tuple[FileTarget, ...]]:
    """Make tables ready for files; when the block is left by an error, its files that no commit names are removed.

    Parameters
    ----------
    lake : Lake
    tables : sequence of Table
    umask : int
        Rights that are taken from every file.

    Yields
    ------
    tuple of FileTarget
        One a table, to be handed to executors.
    """
    targets = []
    for table in tables:
        # files in the folder of a table without a log would look like a table that lost it
        lake.create(table)
        targets.append(FileTarget(str(_folder(lake, table)), table, uuid.uuid4().hex, umask))
    try:
        with explained_store_failure(lake.root):
            yield tuple(targets)
    except BaseException:
        for target in targets:
            # what cannot be removed now is an orphan, which fsck names and maintenance removes
            with contextlib.suppress(LakeError, OSError):
                remove_uncommitted(lake, target)
        raise


def remove_uncommitted(lake: Lake, target: FileTarget) -> int:
    """Remove the files of a target that the table's latest version does not have; return their number."""
    folder, n_removed = Path(target.folder), 0
    live = {added["path"] for added in _added(open_table(lake.root, target.table))}
    pattern = f"{'*/' * len(target.table.partition_by)}part-{target.write_id}-*"
    for path in sorted(folder.glob(pattern)):
        if path.relative_to(folder).as_posix() not in live:
            path.unlink(missing_ok=True)
            n_removed += 1
    return n_removed


def append_files(
    lake: Lake, table: Table, files: Sequence[DataFile], *, transaction: str | None = None,
    metadata: dict[str, Any] | None = None,
) -> Written:
    """Append the rows of files; with a transaction id a repeated append is recognised and reported as skipped."""
    return _commit(lake, table, files, metadata, transaction=transaction)


def replace_years_by_files(
    lake: Lake, table: Table, files: Sequence[DataFile], years: Iterable[int], *, metadata: dict[str, Any] | None = None
) -> Written:
    """Replace exactly the given years of a table partitioned by year by the rows of files; without files, clear them.

    Raises
    ------
    LakeError
        If a file is of another year.
    """
    chosen = sorted(int(year) for year in years)
    (column,) = table.partition_by
    others = sorted({file.partition[column] for file in files} - {str(year) for year in chosen})
    if others:
        raise LakeError(f"{table.name}: years {chosen} are replaced, but there are rows of {', '.join(others)}.")
    return _commit(lake, table, files, metadata, years=chosen)


def _commit(
    lake: Lake, table: Table, files: Sequence[DataFile], metadata: dict[str, Any] | None, **options: Any
) -> Written:
    hashes = {file.path: (file.n_bytes, file.sha256) for file in files}
    written = lake.commit(
        table, lambda mark: commit_files(lake.root, table, files, mark=mark, **options), metadata, hashes=hashes
    )
    for file in files if written.skipped else ():
        (_folder(lake, table) / file.path).unlink(missing_ok=True)
    return written


def live_slices(lake: Lake, table: Table, years: Iterable[int] | None = None) -> list[FileSlice]:
    """The rows of a table, of all or some years, as slices of about a row group, ordered by year and file.

    The version that is read is noted for the ledger, as :meth:`Lake.read` does.
    """
    if not lake.exists(table):
        return []
    opened = open_table(lake.root, table)
    lake.note_read(table, opened.version())
    column = table.partition_by[0] if table.partition_by else ""
    chosen = None if years is None else {int(year) for year in years}
    slices = []
    for added in _added(opened):
        partition = {column: int(added[f"partition.{column}"])} if column else {}
        if chosen is not None and partition[column] not in chosen:
            continue
        path = str(_folder(lake, table) / added["path"])
        n_rows = added["num_records"] if added["num_records"] is not None else pq.read_metadata(path).num_rows
        slices += [
            FileSlice(path, first, min(GROUP_ROWS, n_rows - first), partition) for first in range(0, n_rows, GROUP_ROWS)
        ]
    return sorted(slices, key=lambda item: (*item.partition.values(), item.path, item.first))


def tasks_of_years(lake: Lake, table: Table, years: Iterable[int]) -> list[str]:
    """The rows of some years as tasks for executors, each the text of its slices (:mod:`jobs.core.file_slices`)."""
    return [slices_to_json(task) for task in share_slices(live_slices(lake, table, years))]


def scan_years(lake: Lake, table: Table, years: Iterable[int]) -> pl.LazyFrame:
    """Some years of a table as a lazy frame, for sums on the driver; to be collected with ``engine="streaming"``.

    Memory then follows from the sums, not from the rows.
    """
    if not lake.exists(table):
        return empty_frame(table, table.columns).lazy()
    opened = open_table(lake.root, table)
    lake.note_read(table, opened.version())
    return pl.scan_delta(opened).filter(pl.col(table.partition_by[0]).is_in([int(year) for year in years]))


def _added(opened: DeltaTable) -> list[dict[str, Any]]:
    """Live files of a table as the log describes them."""
    return pa.table(opened.get_add_actions(flatten=True)).to_pylist()


def _folder(lake: Lake, table: Table) -> Path:
    return StoredFiles(lake.root).path(table.relative_path)
