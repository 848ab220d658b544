"""Ingest: append the delivered lines to bronze as they are, every column a string, with file, row number and load id.

In: files with a receipt. Out: ``bronze.declaration``. A file whose content is in bronze already is left alone, so a
repeated or interrupted run appends nothing twice; Delta's transaction id guards the same append a second time. A year
whose files are those of its last complete load is not even looked at.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from urllib.parse import unquote

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType

from conf.layouts import Layout, load_layouts
from jobs.cleaning.fingerprints import bronze_fingerprints
from jobs.core.errors import InputRefusedError, NotBalancedError
from jobs.core.lake import Written
from jobs.core.ledger import (
    builds_of,
    files_in_force,
    record_builds,
    utc_now,
    years_text,
)
from jobs.readers import stata
from jobs.runtime.context import JobContext, Outcome, job_main
from schemas import bronze
from schemas.fields import RAW_COLUMNS

CORRUPT = "_corrupt_record"


@dataclass(frozen=True, slots=True)
class Group:
    """Files that Spark can read in one go: same layout, encoding, separator, headings and year."""

    layout: Layout
    encoding: str
    delimiter: str
    headings: tuple[str, ...]
    year: int
    receipts: tuple[Row, ...]


def run(context: JobContext) -> Outcome:
    """Append every file in force that bronze does not hold yet."""
    raw = context.require_raw()
    lake = context.lake
    with lake.lock(bronze.DECLARATION):
        receipts = _files_of_changed_years(context)
        waiting = _files_to_load(context, receipts)
        if not waiting:
            _record_years(context, receipts, Written(lake.version(bronze.DECLARATION), 0))
            return Outcome("bronze holds every file already", changed=False)
        _refuse_moved_files(raw, waiting)
        groups = _groups(waiting)
        load_id = _load_id(waiting)
        frames = [read_group(context.spark, raw, group, load_id) for group in groups]
        frame = reduce(DataFrame.unionByName, frames)
        written = lake.append(
            bronze.DECLARATION, frame, transaction=f"bronze:{load_id}", metadata={"run": context.run_id, "load": load_id}
        )
        _refuse_difference(waiting, written)
        _record_years(context, receipts, written)
    years = years_text(group.year for group in groups)
    return Outcome(
        f"{written.n_rows:,} rows from {len(waiting)} files of {years} appended to bronze (load {load_id})",
        n_rows=written.n_rows, load_id=load_id,
    )


def read_group(spark, raw: Path, group: Group, load_id: str) -> DataFrame:
    """Read the files of a group as strings, with canonical names, row numbers and lineage."""
    paths = {str((raw / row["source_file"]).resolve()): row for row in group.receipts}
    lines = _stata_lines(spark, paths, group) if not group.delimiter else _text_lines(spark, paths, group)
    return lines.select(
        *_canonical(group),
        _extra(group).alias("extra"),
        F.col(CORRUPT).alias("malformed_row"),
        F.lit(group.year).alias("source_year"),
        F.col("source_month"),
        F.lit(group.layout.name).alias("layout"),
        F.col("source_file"),
        F.col("file_sha256"),
        F.col("source_row"),
        F.lit(load_id).alias("load_id"),
        F.lit(utc_now()).alias("loaded_at"),
    )


def _text_lines(spark, paths: dict[str, Row], group: Group) -> DataFrame:
    """Lines of text files. The row number is the position inside its block plus the rows of the blocks before it: one
    cheap pass counts the blocks, no data are shuffled. Spark numbers the rows of a task in the order it reads them.
    """
    lines = _read_csv(spark, list(paths), group).withColumns(
        {
            "file_path": F.col("_metadata.file_path"),
            "block": F.col("_metadata.file_block_start"),
            "line_id": F.monotonically_increasing_id(),
        }
    )
    blocks = lines.groupBy("file_path", "block").agg(F.min("line_id").alias("first_id"), F.count("*").alias("n")).collect()
    offsets = spark.createDataFrame(
        _block_offsets(blocks, paths),
        "file_path string, block bigint, first_id bigint, rows_before bigint, source_file string, file_sha256 string,"
        " source_month int",
    )
    joined = lines.join(F.broadcast(offsets), on=["file_path", "block"], how="inner")
    return joined.withColumn("source_row", F.col("line_id") - F.col("first_id") + F.col("rows_before") + 1)


def _stata_lines(spark, paths: dict[str, Row], group: Group) -> DataFrame:
    files = spark.createDataFrame(
        [(path, row["source_file"], row["file_sha256"], row["source_month"]) for path, row in paths.items()],
        "file_path string, source_file string, file_sha256 string, source_month int",
    )
    rows = stata.spark_rows(spark, list(paths), len(group.headings)).withColumn(CORRUPT, F.lit(None).cast("string"))
    return rows.join(F.broadcast(files), on="file_path", how="inner")


def _files_of_changed_years(context: JobContext) -> list[Row]:
    receipts = [row for row in files_in_force(context.lake) if context.selects(row["source_year"])]
    changed = set(builds_of(context.lake, bronze.DECLARATION).stale(bronze_fingerprints(receipts)))
    return [row for row in receipts if row["source_year"] in changed]


def _record_years(context: JobContext, receipts: Sequence[Row], written: Written) -> None:
    """Mark the years complete, so that the next run need not look for their files in bronze."""
    lines: dict[int, int] = {}
    for row in receipts:
        lines[row["source_year"]] = lines.get(row["source_year"], 0) + row["n_lines"]
    record_builds(context.lake, context.run_id, bronze.DECLARATION, written, bronze_fingerprints(receipts), lines)


def _refuse_moved_files(raw: Path, waiting: Sequence[Row]) -> None:
    """A receipt without its file: land was interrupted, or another folder is given now."""
    gone = [row["source_file"] for row in waiting if not (raw / row["source_file"]).is_file()]
    if gone:
        raise InputRefusedError(
            f"{raw}: {len(gone)} files have a receipt but were never loaded, and are not in this folder:"
            f" {', '.join(gone[:5])}. Give the folder they were in, or take them back with `customs-lake withdraw`."
        )


def _refuse_difference(waiting: Sequence[Row], written: Written) -> None:
    expected = sum(row["n_lines"] for row in waiting)
    if not written.skipped and written.n_rows != expected:
        raise NotBalancedError(
            f"bronze.declaration: {expected:,} data lines were received in {len(waiting)} files, {written.n_rows:,} rows"
            " were written. A file changed while it was read; run again with `--raw` at rest."
        )


def _files_to_load(context: JobContext, receipts: Sequence[Row]) -> list[Row]:
    years = sorted({row["source_year"] for row in receipts})
    if not years:
        return []
    held = {
        row["file_sha256"]
        for row in context.lake.read(bronze.DECLARATION)
        .where(F.col("source_year").isin(years))
        .select("file_sha256")
        .distinct()
        .collect()
    }
    return sorted((row for row in receipts if row["file_sha256"] not in held), key=lambda row: row["source_file"])


def _groups(receipts: Iterable[Row]) -> list[Group]:
    layouts = {layout.name: layout for layout in load_layouts()}
    keyed: dict[tuple, list[Row]] = {}
    for row in receipts:
        key = (row["source_year"], row["layout"], row["encoding"], row["delimiter"], tuple(row["headings"]))
        keyed.setdefault(key, []).append(row)
    return [
        Group(layouts[layout], encoding, delimiter, headings, year, tuple(rows))
        for (year, layout, encoding, delimiter, headings), rows in sorted(keyed.items())
    ]


def _load_id(receipts: Iterable[Row]) -> str:
    return hashlib.sha256("".join(sorted(row["file_sha256"] for row in receipts)).encode()).hexdigest()[:16]


def _read_csv(spark, paths: list[str], group: Group) -> DataFrame:
    positions = [StructField(f"c{index}", StringType()) for index in range(len(group.headings))]
    return (
        spark.read.schema(StructType([*positions, StructField(CORRUPT, StringType())]))
        .option("header", True)
        .option("mode", "PERMISSIVE")
        .option("columnNameOfCorruptRecord", CORRUPT)
        .option("encoding", group.encoding)
        .option("sep", group.delimiter)
        .option("quote", '"')
        .option("escape", '"')
        # with pruning, a line is flagged as malformed only when the pruned columns are
        .option("columnPruning", False)
        .csv(paths)
    )


def _block_offsets(blocks: list[Row], receipts: dict[str, Row]) -> list[tuple]:
    """Rows of a file before each of its blocks; blocks in the order of their start."""
    result = []
    rows_before: dict[str, int] = {}
    for block in sorted(blocks, key=lambda item: (item["file_path"], item["block"])):
        path = block["file_path"]
        receipt = receipts[_local_path(path)]
        before = rows_before.get(path, 0)
        result.append(
            (path, block["block"], block["first_id"], before, receipt["source_file"], receipt["file_sha256"],
             receipt["source_month"])
        )
        rows_before[path] = before + block["n"]
    return result


def _local_path(uri: str) -> str:
    # the reader says file:/x or file:///x, with percent-encoded characters
    return "/" + unquote(uri.removeprefix("file:")).lstrip("/") if uri.startswith("file:") else unquote(uri)


def _canonical(group: Group) -> list[Column]:
    assigned = group.layout.assign(group.headings)
    return [
        (F.coalesce(*(F.col(f"c{index}") for index in assigned[name])) if name in assigned else F.lit(None).cast("string"))
        .alias(name)
        for name in RAW_COLUMNS
    ]


def _extra(group: Group) -> Column:
    named = {index for positions in group.layout.assign(group.headings).values() for index in positions}
    pairs: list[Column] = []
    for index, heading in enumerate(group.headings):
        if index not in named:
            pairs += [F.lit(heading or f"column {index + 1}"), F.col(f"c{index}")]
    return F.create_map(*pairs) if pairs else F.lit(None).cast("map<string,string>")


if __name__ == "__main__":
    sys.exit(job_main("ingest", run, __doc__))
