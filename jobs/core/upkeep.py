"""What maintenance asks of Delta: files and shape of a table, compaction, vacuum, checkpoints, restore, new columns.

Beside ``lake``, which reads and writes rows, this is the only module that speaks to Delta; the jobs that keep a lake
(maintain, fsck, restore, migrate) decide, these functions carry out. Each holds the locks and marks the commit as ours.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from pyspark.sql import functions as F

from jobs.core.errors import InputRefusedError, LakeError
from jobs.core.lake import Lake, Written
from schemas.catalog import TABLES, declared_columns
from schemas.table import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# entries, checkpoints and checksums of the log, and the local file system's checksums of these
_VERSION_IN_NAME = re.compile(r"^\.?(\d{20})\.")
_DATA_FILE = re.compile(r"\.parquet(#\d+)?(\.crc)?$")
_PATH_IN_LOG = re.compile(r'"(?:add|remove|cdc)":\{"path":("(?:[^"\\]|\\.)*")')


def existing_tables(lake: Lake, names: Sequence[str] = ()) -> list[Table]:
    """Tables that exist, all or the named ones.

    Raises
    ------
    InputRefusedError
        If a name is not that of a table.
    """
    unknown = [name for name in names if name not in TABLES]
    if unknown:
        raise InputRefusedError(f"--table: {', '.join(unknown)} is not a table; expected one of {', '.join(TABLES)}.")
    return [table for name, table in sorted(TABLES.items()) if (not names or name in names) and lake.exists(table)]


def data_files(lake: Lake, table: Table, *, version: int | None = None) -> set[str]:
    """Paths, below the table, of the data files of a version (default: the latest), whether they are there or not."""
    reader = lake.spark.read.format("delta")
    if version is not None:
        reader = reader.option("versionAsOf", version)
    inside = f"{table.relative_path}/"
    return {unquote(name).split(inside, 1)[-1] for name in reader.load(lake.path(table)).inputFiles()}


def paths_in_log(lake: Lake, table: Table) -> set[str]:
    """Every data file that the log names, in its entries and its latest checkpoint."""
    folder = f"{table.relative_path}/_delta_log"
    known: set[str] = set()
    checkpoints = []
    for name in lake.store.names(folder):
        if name.endswith(".json"):
            text = lake.store.read_text(f"{folder}/{name}") or ""
            known.update(unquote(json.loads(quoted)) for quoted in _PATH_IN_LOG.findall(text))
        elif name.endswith(".parquet"):
            checkpoints.append(f"{lake.root}/{folder}/{name}")
    if checkpoints:
        frame = lake.spark.read.parquet(checkpoints[-1])
        for kind in ("add", "remove"):
            rows = frame.where(F.col(kind).isNotNull()).select(f"{kind}.path").collect()
            known.update(unquote(row["path"]) for row in rows)
    return known


def column_types(lake: Lake, table: Table) -> dict[str, str]:
    """Columns of the table as stored, and their types."""
    return dict(lake.spark.read.format("delta").load(lake.path(table)).dtypes)


def constraints(lake: Lake, table: Table) -> dict[str, str]:
    """CHECK constraints of the table as stored, by name in lower case."""
    shown = lake.spark.sql(f"SHOW TBLPROPERTIES {_name(lake, table)}").collect()
    prefix = "delta.constraints."
    return {row["key"].removeprefix(prefix): row["value"] for row in shown if row["key"].startswith(prefix)}


def constraint_statement(lake: Lake, table: Table, name: str) -> str:
    """The SQL statement that puts a lost constraint back."""
    return f"ALTER TABLE {_name(lake, table)} ADD CONSTRAINT {name} CHECK ({table.check_constraints()[name]})"


def compact(
    lake: Lake, table: Table, partitions: Sequence[str], *, order_by: Sequence[str], metadata: Mapping[str, Any]
) -> int:
    """Rewrite partitions (values of the partition column; all for a table without) into files of full size.

    Returns
    -------
    int
        Files fewer than before.
    """
    with lake.lock_whole(table), lake.committing(table, dict(metadata)):
        builder = lake.delta(table).optimize()
        if table.partition_by:
            builder = builder.where(f"{table.partition_by[0]} IN ({', '.join(partitions)})")
        metrics = (builder.executeZOrderBy(*order_by) if order_by else builder.executeCompaction()).first()["metrics"]
    return int(metrics["numFilesRemoved"]) - int(metrics["numFilesAdded"])


def vacuum(lake: Lake, table: Table, hours: int, *, dry_run: bool, metadata: Mapping[str, Any]) -> int:
    """Remove (or with ``dry_run`` count) files that no version of the last ``hours`` needs; return their number."""
    before = 0 if dry_run else _n_stored_files(lake, table)
    with lake.lock_whole(table), lake.committing(table, dict(metadata)):
        mode = " DRY RUN" if dry_run else ""
        result = lake.spark.sql(f"VACUUM {_name(lake, table)} RETAIN {hours} HOURS{mode}")
        if dry_run:
            return result.count()
    return before - _n_stored_files(lake, table)


def rewrite_years(
    lake: Lake, table: Table, frame: DataFrame, years: Sequence[int], *, metadata: Mapping[str, Any]
) -> Written:
    """Replace years (all of a table without) by rows made of their own, also of a table that only grows otherwise.

    The lock of the whole table is the caller's.
    """
    if table.append_only:
        with lake.committing(table, dict(metadata)):
            alter(lake, table, "SET TBLPROPERTIES ('delta.appendOnly' = 'false')")
    try:
        if table.partition_by:
            return lake.replace_years(table, frame, years, metadata=dict(metadata))
        return lake.overwrite(table, frame, metadata=dict(metadata))
    finally:
        if table.append_only:
            with lake.committing(table, dict(metadata)):
                alter(lake, table, "SET TBLPROPERTIES ('delta.appendOnly' = 'true')")


def purge_history(lake: Lake, table: Table, *, metadata: Mapping[str, Any]) -> int:
    """Remove every file and log entry of a table that its latest version does not need, at once; return their number.

    No version before the latest can be read any more, pinned or not, and a reader that is at work on one fails. The lock
    of the whole table is the caller's. The marker is told that the table's history begins here.
    """
    check = "spark.databricks.delta.retentionDurationCheck.enabled"
    before = _n_stored_files(lake, table)
    with lake.committing(table, dict(metadata)):
        lake.spark.conf.set(check, "false")
        try:
            lake.spark.sql(f"VACUUM {_name(lake, table)} RETAIN 0 HOURS")
        finally:
            lake.spark.conf.unset(check)
    n_removed = before - _n_stored_files(lake, table)
    n_removed += _remove_orphans(lake, table)
    checkpoint(lake, table)
    latest = lake.version(table)
    folder = f"{table.relative_path}/_delta_log"
    for item in lake.store.walk(folder):
        found = _VERSION_IN_NAME.match(item.path)
        # data skipping keeps the least and greatest text of a file in its log entry
        if found and int(found.group(1)) < latest:
            lake.store.delete(f"{folder}/{item.path}")
            n_removed += 1
    marker = lake.marker()
    floors = dict(marker.get("floors", {})) | {table.name: latest}
    lake.write_marker(marker["format"], floors, columns=marker.get("columns", ""))
    lake.forget_commits(table)
    return n_removed


def _remove_orphans(lake: Lake, table: Table) -> int:
    """Data files that vacuum passed over: those of killed writers, which no log entry names."""
    active = data_files(lake, table)
    orphans = [
        item.path for item in lake.store.walk(table.relative_path)
        if is_data_file(item.path) and _data_file_of(item.path) not in active
    ]
    for path in orphans:
        lake.store.delete(f"{table.relative_path}/{path}")
    return len(orphans)


def is_data_file(path: str) -> bool:
    """Tell whether a file below a table holds rows, or their checksum; also one that a killed writer had not named yet."""
    return bool(_DATA_FILE.search(path)) and not path.startswith("_")


def _data_file_of(path: str) -> str:
    """The data file that a local checksum file is of; any other file itself."""
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}{name.removeprefix('.').removesuffix('.crc')}" if name.endswith(".crc") else path


def checkpoint(lake: Lake, table: Table) -> None:
    """Write a checkpoint of the log, so that readers need not replay it."""
    lake.store.checkpoint(table.relative_path)


def restore_version(lake: Lake, table: Table, version: int) -> None:
    """Make a version of a table its latest state; the lock of the whole table is the caller's."""
    with lake.committing(table, {"restore_to": version}):
        lake.delta(table).restoreToVersion(version)


def add_declared_columns(lake: Lake) -> list[str]:
    """Add to the stored tables the columns that were declared since; old rows read as null there.

    A column that may be null needs no migration: its declaration is enough. What takes more (a renamed column, a wider
    type) is a migration.

    Returns
    -------
    list of str
        ``table.column`` of each column added; empty when the marker says that nothing was declared since.

    Raises
    ------
    LakeError
        If a column that must not be null was declared for a table that has rows.
    """
    marker = lake.marker()
    if marker.get("columns") == declared_columns():
        return []
    floors, added = dict(marker.get("floors", {})), []
    for table in existing_tables(lake):
        stored = column_types(lake, table)
        missing = [column for column in table.fields if column.name not in stored]
        required = [column.name for column in missing if column.required]
        if required:
            raise LakeError(
                f"{table.name} in {lake.root}: {', '.join(required)} is declared NOT NULL, and the table has rows without it."
                " Declare it so that it may be null, or write a migration (schemas/migrations)."
            )
        if missing:
            with lake.lock_whole(table), lake.committing(table, {"columns": [column.name for column in missing]}):
                alter(lake, table, f"ADD COLUMNS ({', '.join(f'{column.name} {column.type}' for column in missing)})")
            floors[table.name] = lake.version(table)
            added += [f"{table.name}.{column.name}" for column in missing]
    lake.write_marker(marker["format"], floors, columns=declared_columns())
    return added


def alter(lake: Lake, table: Table, clause: str) -> None:
    """Change the definition of a table: ``ALTER TABLE`` with a clause such as ``ADD COLUMNS (name string)``."""
    lake.spark.sql(f"ALTER TABLE {_name(lake, table)} {clause}")


def _name(lake: Lake, table: Table) -> str:
    # inside backticks a backtick is written twice
    return f"delta.`{lake.path(table).replace('`', '``')}`"


def _n_stored_files(lake: Lake, table: Table) -> int:
    # vacuum itself adds to the log
    return sum(not item.path.startswith("_delta_log/") for item in lake.store.walk(table.relative_path))
