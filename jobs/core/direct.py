"""Tables of a folder of this machine, read and written through Delta's own Python library: no session, no Spark job.

For what is on the driver already or fits there: the ledger, look-ups, yearbook, panel, estimates. A commit takes some ten
milliseconds, one of Spark a second or more. Constraints, NOT NULL and append-only are held by the library as by Spark.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from jobs.core.errors import InvalidRowsError, LakeError
from schemas.table import SchemaMismatchError, Table

if TYPE_CHECKING:
    from deltalake import DeltaTable, PostCommitHookProperties

    from jobs.core.data_files import DataFile

#: How Hadoop and Delta's library each call a store.
SCHEMES = {"s3a": "s3", "s3": "s3", "gs": "gs", "abfss": "abfss", "abfs": "abfs"}
#: A checkpoint every so many commits, as Delta's other writers do.
CHECKPOINT_EVERY = 10
_SIMPLE_TYPES = {
    "boolean": pa.bool_(), "int": pa.int32(), "bigint": pa.int64(), "smallint": pa.int16(), "double": pa.float64(),
    "string": pa.string(), "date": pa.date32(), "timestamp": pa.timestamp("us", "UTC"), "binary": pa.binary(),
}

# tried one by one: it ends the process or looks elsewhere at these in a path
_NO_ADDRESS = re.compile(r"[%\[\]^|\\\x00-\x1f\x7f]")
_BROKEN = re.compile(r"(\d+) rows failed validation check")
# how the library says that a check or a table's feature is not known to it
_NOT_KNOWN = ("Error during planning", "Unsupported ast node", "features", "not supported")


class BeyondLibraryError(LakeError):
    """A table has what Delta's own library does not know, such as a renamed column; Spark does."""


def arrow_type(ddl: str) -> pa.DataType:
    """The Arrow type of a column's DDL type; Spark's own reading of it needs a session."""
    if inner := re.fullmatch(r"decimal\((\d+), *(\d+)\)", ddl):
        return pa.decimal128(int(inner[1]), int(inner[2]))
    if inner := re.fullmatch(r"array<(.+)>", ddl):
        return pa.list_(arrow_type(inner[1]))
    if inner := re.fullmatch(r"map<string, *(.+)>", ddl):
        return pa.map_(pa.string(), arrow_type(inner[1]))
    return _SIMPLE_TYPES[ddl]


def arrow_schema(table: Table, columns: Iterable[str] | None = None) -> pa.Schema:
    """Columns of a table as Arrow types, all of them or some."""
    types = {column.name: column.type for column in table.fields}
    return pa.schema([(name, arrow_type(types[name])) for name in (table.columns if columns is None else columns)])


def rows_to_arrow(table: Table, rows: Sequence[dict[str, Any]]) -> pa.Table:
    """Rows made on the driver as Arrow, with the table's columns; times without zone are UTC."""
    return pa.Table.from_pylist([{name: row.get(name) for name in table.columns} for row in rows], arrow_schema(table))


def conformed(table: Table, rows: pa.Table) -> pa.Table:
    """Rows with exactly a table's columns and types; further columns are left behind.

    Raises
    ------
    SchemaMismatchError
        If a column is missing or a value does not fit its type.
    """
    missing = [name for name in table.columns if name not in rows.column_names]
    if missing:
        raise SchemaMismatchError(
            f"{table.name}: expected columns {', '.join(table.columns)}; missing {', '.join(missing)};"
            f" found {', '.join(rows.column_names)}."
        )
    try:
        return rows.select(table.columns).cast(arrow_schema(table))
    except pa.ArrowException as error:
        raise SchemaMismatchError(f"{table.name}: {error}") from error


def open_table(root: str, table: Table, version: int | None = None) -> DeltaTable:
    """A table of a lake in Delta's own library.

    Raises
    ------
    LakeError
        If it cannot be read.
    """
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError, TableNotFoundError

    try:
        return DeltaTable(_address(f"{root}/{table.relative_path}"), version=version)
    except (DeltaError, TableNotFoundError, OSError) as error:
        what = f"{table.name} at version {version}" if version is not None else table.name
        raise LakeError(
            f"{what} in {root} cannot be read: {str(error).splitlines()[0]}. `customs-lake fsck --lake {root}`"
            " says what is damaged."
        ) from error


def read_rows(opened: DeltaTable, table: Table, columns: Iterable[str] | None = None) -> pa.Table:
    """Rows with the columns that this product declares, all or some; what an older table lacks is null.

    Raises
    ------
    BeyondLibraryError
        If the table has what the library does not know.
    """
    wanted = list(table.columns) if columns is None else list(columns)
    there = {field.name for field in opened.schema().fields}
    with _limits():
        found = opened.to_pyarrow_table(columns=[name for name in wanted if name in there])
    for field in arrow_schema(table, [name for name in wanted if name not in there]):
        # an older lake: the next run adds the column, empty
        found = found.append_column(field, pa.nulls(len(found), field.type))
    return found.select(wanted)


def write_rows(
    root: str, table: Table, rows: pa.Table, *, mark: str, overwrite: bool = False, condition: str | None = None
) -> None:
    """Commit rows to a table that exists.

    Parameters
    ----------
    root : str
        Of the lake, a folder of this machine.
    table : Table
    rows : pa.Table
        As :func:`conformed` returns them.
    mark : str
        What the commit says of itself.
    overwrite : bool
        In place of all rows, or of those of the condition.
    condition : str, optional
        SQL on the partition column.

    Raises
    ------
    InvalidRowsError
        If a row breaks a check or lacks what is never empty; nothing was written.
    deltalake.exceptions.DeltaError
        If the store refuses.
    BeyondLibraryError
        If the table has what the library does not know; nothing was written.
    """
    from deltalake import CommitProperties, write_deltalake

    properties: dict[str, Any] = {
        "commit_properties": CommitProperties(custom_metadata={"userMetadata": mark}),
        "post_commithook_properties": _no_hooks(),
    }
    with _limits(), _values_left_out(table):
        if overwrite:
            write_deltalake(open_table(root, table), rows, mode="overwrite", predicate=condition, **properties)
        else:
            write_deltalake(open_table(root, table), rows, mode="append", **properties)
    _checkpoint(root, table)


def commit_files(
    root: str, table: Table, files: Sequence[DataFile], *, mark: str, years: Iterable[int] | None = None,
    transaction: str | None = None,
) -> None:
    """Commit data files that stand in the folder of a table that exists.

    Parameters
    ----------
    root : str
        Of the lake, a folder of this machine.
    table : Table
    files : sequence of DataFile
    mark : str
        What the commit says of itself.
    years : iterable of int, optional
        In place of all rows of these values of the partition column; without, the rows are added to those there.
    transaction : str, optional
        Name under which the table remembers the commit. Known already: nothing is committed.

    Raises
    ------
    deltalake.exceptions.DeltaError
        If another writer's commit came between, or the table only grows.
    """
    from deltalake import CommitProperties, Transaction
    from deltalake.transaction import AddAction

    opened = open_table(root, table)
    if transaction is not None and opened.transaction_version(transaction) is not None:
        return
    metrics = {
        "numFiles": str(len(files)), "numOutputRows": str(sum(file.n_rows for file in files)),
        "numOutputBytes": str(sum(file.n_bytes for file in files)),
    }
    mode: Literal["append", "overwrite"] = "append" if years is None else "overwrite"
    chosen = None if years is None else [(table.partition_by[0], "in", [str(int(year)) for year in sorted(years)])]
    actions: list[Any] = [
        AddAction(file.path, file.n_bytes, file.partition, file.modified_ms, True, file.stats) for file in files
    ]
    with _limits():
        opened.create_write_transaction(
            actions, mode, opened.schema(), list(table.partition_by), chosen,
            commit_properties=CommitProperties(
                custom_metadata={"userMetadata": mark, "operationMetrics": metrics},
                app_transactions=None if transaction is None else [Transaction(transaction, 1)],
            ),
            post_commithook_properties=_no_hooks(),
        )
    _checkpoint(root, table)


def is_plain(opened: DeltaTable, table: Table) -> bool:
    """Tell whether a table's rows are those of its files under the columns' own names, with the checks it was declared with.

    Not so with column mapping, deletion vectors or widened types, which need a newer reader, and with somebody's own checks.
    """
    prefix = "delta.constraints."
    stored = {
        name.removeprefix(prefix).lower(): text
        for name, text in opened.metadata().configuration.items() if name.startswith(prefix)
    }
    declared = {name.lower(): text for name, text in table.check_constraints().items()}
    return opened.protocol().min_reader_version == 1 and stored == declared


def reaches(root: str) -> bool:
    """Tell whether the library can work on a lake: a folder of this machine, with a path that it can make an address of."""
    return ("://" not in root or root.startswith("file:")) and not _NO_ADDRESS.search(root)


def is_lost_race(error: Exception) -> bool:
    """Tell whether a commit failed because another writer's came first."""
    from deltalake.exceptions import CommitFailedError

    return isinstance(error, CommitFailedError) and "append-only" not in str(error)


def _no_hooks() -> PostCommitHookProperties:
    """Entries and files are taken away by maintenance only, which knows what is pinned."""
    from deltalake import PostCommitHookProperties

    return PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)


def _checkpoint(root: str, table: Table) -> None:
    written = open_table(root, table)
    if written.version() % CHECKPOINT_EVERY == 0:
        written.create_checkpoint()


@contextlib.contextmanager
def _limits() -> Iterator[None]:
    """Tell what the library does not know (a feature of readers or writers, a function in a check) from a failure."""
    from deltalake.exceptions import DeltaError, DeltaProtocolError

    try:
        yield
    except DeltaError as error:
        if isinstance(error, DeltaProtocolError) or any(words in str(error) for words in _NOT_KNOWN):
            raise BeyondLibraryError(str(error)) from error
        raise


@contextlib.contextmanager
def _values_left_out(table: Table) -> Iterator[None]:
    """Say of rows that break a promise how many they are: the library prints their values, which may be a firm's."""
    from deltalake.exceptions import DeltaError

    try:
        yield
    except DeltaError as error:
        if (found := _BROKEN.search(str(error))) is None:
            raise
        raise InvalidRowsError(
            f"{table.name}: rows that break a check of the table or lack a value that is never empty: {int(found[1]):,};"
            " nothing was written. This is a defect: report the command and this line."
        ) from None


def _address(path: str) -> str:
    scheme, found, rest = path.partition("://")
    return f"{SCHEMES[scheme]}://{rest}" if found and scheme in SCHEMES else re.sub(r"^file:/+", "/", path)
