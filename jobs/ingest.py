"""Ingest: append the delivered lines to bronze as they are, every column a string, with file, row number and load id.

In: files with a receipt. Out: ``bronze.declaration``. A file whose content is in bronze already is left alone, so a
repeated or interrupted run appends nothing twice; Delta's transaction id guards the same append a second time. Rows of a
file that is read by another layout by now are replaced. A year whose files are those of its last complete load is not even
looked at.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pyspark.sql import Column, DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from conf.layouts import Layout, load_layouts, with_aliases
from jobs.cleaning.fingerprints import bronze_fingerprints
from jobs.core import upkeep
from jobs.core.errors import InputRefusedError, NotBalancedError
from jobs.core.file_tables import append_files, scan_years, takes_files, writing_files
from jobs.core.lake import Lake, Written
from jobs.core.ledger import builds_of, files_in_force, record_builds, utc_now, years_text
from jobs.core.privacy import protection_of, refuse_other_policy
from jobs.core.progress import expect
from jobs.core.protection import Protection
from jobs.kernels.loading import BRONZE_SCHEMA, FileToLoad, Load, files_of_results, share_out, task_of
from jobs.kernels.parts import parts_to_json, reading_of_parts
from jobs.kernels.raw_folder import RawFolder, raw_folder
from jobs.kernels.sources import look_at
from jobs.runtime.context import JobContext, Outcome, is_generated_folder, job_main
from jobs.runtime.executors import explained_refusals, run_on_executors, spread
from schemas import bronze, ops


def run(context: JobContext) -> Outcome:
    """Append every file in force that bronze does not hold yet."""
    folder = raw_folder(context.require_raw())
    lake = context.lake
    refuse_other_policy(lake, context.settings)
    layouts = with_aliases(load_layouts(), context.settings.aliases.headings)
    anew = _read_anew(lake)
    with (lake.lock_whole if anew else lake.lock)(bronze.DECLARATION):
        receipts = _files_of_changed_years(context)
        n_outdated = _remove_outdated(context, receipts, anew)
        waiting = _files_to_load(context, receipts)
        if not waiting:
            _record_years(context, receipts, Written(lake.version(bronze.DECLARATION), 0))
            return Outcome("bronze holds every file already", changed=False)
        _refuse_moved_files(folder, waiting)
        lake.note_origin("generated" if is_generated_folder(context.require_raw()) else "delivered")
        files = files_to_load(folder, waiting, files_in_force(lake), layouts)
        load_id = _load_id(files, anew)
        expect(sum(row["n_lines"] for row in waiting), "lines", n_bytes=sum(file.n_bytes for file in files))
        own = {file.file_sha256: anew[file.file_sha256] for file in files if file.file_sha256 in anew}
        written = _append(context, folder, waiting, files, layouts, Load(load_id, own, utc_now()))
        _record_years(context, receipts, written)
    years = years_text(row["source_year"] for row in waiting)
    instead = f" in place of {n_outdated:,} that were read by another layout" if n_outdated else ""
    return Outcome(
        f"{written.n_rows:,} rows from {len(files)} files of {years} appended to bronze (load {load_id}){instead}",
        n_rows=written.n_rows, load_id=load_id,
    )


def _append(
    context: JobContext, folder: RawFolder, waiting: Sequence[Row], files: Sequence[FileToLoad],
    layouts: Sequence[Layout], load: Load,
) -> Written:
    """Append the rows of files; executors write them themselves where they can (jobs/core/file_tables.py).

    Raises
    ------
    NotBalancedError
        If there are not as many rows as lines were received; where executors wrote them, before anything is committed.
    """
    lake, protection = context.lake, protection_of(context.lake, context.settings)
    options: dict[str, Any] = {
        # a transaction that is known is skipped: rows that were lost with their file are loaded under another name
        "transaction": f"bronze:{load.load_id}" + (f":{context.run_id}" if context.repairs else ""),
        "metadata": {"run": context.run_id, "load": load.load_id},
    }
    if not takes_files(lake, bronze.DECLARATION):
        rows = read_files(context.spark, folder, files, layouts, load, protection)
        with explained_refusals():
            written = lake.append(bronze.DECLARATION, rows, **options)
        if not written.skipped:
            _refuse_difference(waiting, written.n_rows)
        return written
    with writing_files(lake, [bronze.DECLARATION], umask=context.settings.privacy.umask) as (target,), explained_refusals():
        arguments = (folder.address, tuple(layouts), protection, load, target)
        tasks = [task_of(task) for task in share_out(files)]
        results = run_on_executors(context.spark)(tasks, "jobs.kernels.loading.write_task", arguments)
        found = files_of_results(results)
        _refuse_difference(waiting, sum(file.n_rows for file in found))
        return append_files(lake, bronze.DECLARATION, found, **options)


def files_to_load(
    folder: RawFolder, waiting: Iterable[Row], in_force: Iterable[Row], layouts: Sequence[Layout]
) -> list[FileToLoad]:
    """Receipts that wait to what executors need of them: one entry per file, whatever its years."""
    years: dict[str, set[int]] = {}
    for row in in_force:
        years.setdefault(row["source_file"], set()).add(row["source_year"])
    files: dict[str, list[Row]] = {}
    for row in waiting:
        files.setdefault(row["source_file"], []).append(row)
    return [
        FileToLoad(
            name, rows[0]["file_sha256"], rows[0]["bytes"],
            tuple(sorted(years.get(name, set()) | {row["source_year"] for row in rows})),
            tuple(sorted(row["source_year"] for row in rows)), rows[0]["source_month"],
            # a receipt of an older product does not say how the file is read
            rows[0]["parts"] or parts_to_json(look_at(folder.file(name), layouts).parts),
            state=folder.state_of(name) or "",
        )
        for name, rows in sorted(files.items())
    ]


def read_files(
    spark: SparkSession, folder: RawFolder, files: Sequence[FileToLoad], layouts: Sequence[Layout], load: Load,
    protection: Protection,
) -> DataFrame:
    """Read files into bronze rows: Spark shares out the pieces, the kernels read them (jobs/kernels/loading.py).

    Parameters
    ----------
    spark : SparkSession
    folder : RawFolder
        Where the files lie, seen alike by driver and executors.
    files : sequence of FileToLoad
    layouts : sequence of Layout
    load : Load
    protection : Protection
        What is left out, replaced or erased on the way (:func:`jobs.core.privacy.protection_of`).

    Returns
    -------
    DataFrame
        The columns of ``bronze.declaration``.
    """
    types = {field.name: field.type for field in bronze.DECLARATION.fields}
    schema = ", ".join(f"{name} {types[name]}" for name in BRONZE_SCHEMA.names)
    tasks = [task_of(task) for task in share_out(files)]
    lines = spread(spark, tasks, "jobs.kernels.loading.load_task", (folder.address, tuple(layouts), protection), schema)
    load_id = F.lit(load.load_id)
    if load.own:
        load_id = F.coalesce(_by_file(F.col("file_sha256"), load.own), load_id)
    return lines.withColumns({"load_id": load_id, "loaded_at": F.lit(load.loaded_at)})


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


def _refuse_moved_files(folder: RawFolder, waiting: Sequence[Row]) -> None:
    """A receipt without its file: land was interrupted, or another folder is given now."""
    gone = [row["source_file"] for row in waiting if folder.size_of(row["source_file"]) is None]
    if gone:
        raise InputRefusedError(
            f"{folder.address}: {len(gone)} files have a receipt but were never loaded, and are not in this folder:"
            f" {', '.join(gone[:5])}. Give the folder they were in, or take them back with `customs-lake withdraw`."
        )


def _refuse_difference(waiting: Sequence[Row], n_rows: int) -> None:
    expected = sum(row["n_lines"] for row in waiting)
    if n_rows != expected:
        raise NotBalancedError(
            f"bronze.declaration: {expected:,} data lines were received in {len(waiting)} files, {n_rows:,} rows"
            " were written. A file changed while it was read; run again with `--raw` at rest."
        )


def _files_to_load(context: JobContext, receipts: Sequence[Row]) -> list[Row]:
    years = sorted({row["source_year"] for row in receipts})
    if not years:
        return []
    held = _held(context.lake, years)
    waiting = (row for row in receipts if (row["file_sha256"], row["source_year"]) not in held)
    return sorted(waiting, key=lambda row: (row["source_file"], row["source_year"]))


def _held(lake: Lake, years: Sequence[int]) -> set[tuple[str, int]]:
    """Files and years that bronze has rows of."""
    columns = ("file_sha256", "source_year")
    if takes_files(lake, bronze.DECLARATION):
        found = scan_years(lake, bronze.DECLARATION, years).select(columns).unique().collect(engine="streaming")
        return set(found.rows())
    rows = lake.read(bronze.DECLARATION).where(F.col("source_year").isin(list(years))).select(*columns).distinct()
    return {tuple(row) for row in rows.collect()}


def _read_anew(lake: Lake) -> dict[str, str]:
    """SHA-256 of files that are read by another layout than before, and the load id of rows of the present reading.

    The id follows from the run whose receipt says the reading, not from a clock: rows under any other are out of date.
    """
    anew: dict[str, str] = {}
    last: dict[str, tuple[str, str]] = {}
    for row in sorted(lake.rows(ops.FILE_RECEIPT), key=lambda row: row["received_at"]):
        reading, sha256 = reading_of_parts(row["parts"]), row["file_sha256"]
        if not reading:
            continue
        former = last.get(row["source_file"])
        if former is not None and former[0] == sha256 and former[1] != reading:
            anew[sha256] = hashlib.sha256(f"{sha256}:{reading}:{row['run_id']}".encode()).hexdigest()[:16]
        last[row["source_file"]] = sha256, reading
    return anew


def _remove_outdated(context: JobContext, receipts: Sequence[Row], anew: Mapping[str, str]) -> int:
    """Take rows out of bronze that would be counted beside those of a new reading of their file; return their number."""
    lake, hashes = context.lake, sorted({row["file_sha256"] for row in receipts if row["file_sha256"] in anew})
    if not hashes or not lake.exists(bronze.DECLARATION):
        return 0
    rows = lake.read(bronze.DECLARATION)
    present = _by_file(F.col("file_sha256"), {sha256: anew[sha256] for sha256 in hashes})
    is_outdated = F.col("file_sha256").isin(hashes) & (F.col("load_id") != present)
    found = rows.where(is_outdated).groupBy("source_year").count().collect()
    years = sorted(row["source_year"] for row in found if context.selects(row["source_year"]))
    if years:
        kept = rows.where(F.col("source_year").isin(years) & F.coalesce(~is_outdated, F.lit(True)))
        # killed before the new rows are appended, the next run finds that these files are not loaded
        upkeep.rewrite_years(lake, bronze.DECLARATION, kept, years, metadata={"run": context.run_id, "read_anew": True})
    return sum(row["count"] for row in found if row["source_year"] in years)


def _by_file(sha256: Column, ids: Mapping[str, str]) -> Column:
    return F.create_map(*(F.lit(text) for item in ids.items() for text in item))[sha256]


def _load_id(files: Iterable[FileToLoad], anew: Mapping[str, str]) -> str:
    """Hash of what is loaded; of a file of several years the years count too, for it may be loaded year by year."""
    took = [
        file.file_sha256 + (f":{file.wanted}" if len(file.years) > 1 else "") + anew.get(file.file_sha256, "")
        for file in files
    ]
    return hashlib.sha256("".join(sorted(took)).encode()).hexdigest()[:16]


if __name__ == "__main__":
    sys.exit(job_main("ingest", run))
