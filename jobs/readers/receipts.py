"""Receipts as rows of ``ops.file_receipt``: of files that were looked at, and again of those whose receipts were lost."""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Mapping

from pyspark.sql import functions as F

from conf.settings import Settings
from jobs.core.errors import InputRefusedError
from jobs.core.lake import Lake
from jobs.core.ledger import files_in_force, utc_now
from jobs.core.privacy import wanted_protection
from jobs.readers.delivery import DeliveredFile, LeftOut
from jobs.readers.receiving import Looked, look_at_folder
from jobs.runtime.context import JobContext
from schemas import bronze, ops

SHOWN = 5

log = logging.getLogger("customs_lake")


def receipt_rows(item: DeliveredFile, run_id: str, now: dt.datetime) -> list[dict[str, object]]:
    """Receipts of a file: one for each year of its records."""
    return [
        {
            "source_file": item.source_file, "file_sha256": item.sha256, "bytes": item.n_bytes, "layout": item.layout,
            "encoding": item.encoding, "delimiter": item.delimiter, "headings": list(item.headings),
            "source_year": year.year, "source_month": year.month, "n_lines": year.n_lines, "receipt_status": "received",
            "received_at": now, "run_id": run_id, "parts": item.parts, "content": json.dumps(year.content.to_json()),
            "has_postcodes": item.has_postcodes,
        }
        for year in item.years
    ]


def without_erased(lake: Lake, settings: Settings, looked: Looked) -> Looked:
    """What was found, without files that were erased on demand: they stay away, whatever name they come under."""
    protection = wanted_protection(lake, settings)
    if not protection.erased_files:
        return looked
    erased = [item for item in looked.files if protection.hash_of_file(item.sha256) in protection.erased_files]
    reason = "it was erased from this lake on demand (ops.erasure); move it away"
    return Looked(
        tuple(item for item in looked.files if item not in erased),
        (*looked.left_out, *(LeftOut(item.source_file, "useless", reason) for item in erased)),
    )


def receipts_again(context: JobContext) -> int:
    """Give the files in force their receipts again after some were lost; return how many were written.

    In force is what the balance of the built years names; without one, the file that bronze loaded last under each name.
    Files that nothing was built from yet are left to the next ``land``.

    Raises
    ------
    InputRefusedError
        If a file in force is not in the raw folder with the recorded content.
    """
    wanted = _files_of_balance(context) or _files_of_bronze(context)
    present = {(row["source_file"], row["file_sha256"]) for row in files_in_force(context.lake)}
    now = utc_now()
    looked = {item.sha256: item for item in look_at_folder(context.require_raw(), context.settings).files}
    absent = sorted(name for name, sha256 in wanted.items() if sha256 not in looked and (name, sha256) not in present)
    if absent:
        raise InputRefusedError(
            f"{context.raw}: {len(absent)} files in force are not there with the content that was loaded, such as"
            f" {', '.join(absent[:SHOWN])}. Give the folder that holds them as they were; then repair again."
        )
    rows = [
        row | {"source_file": name}
        for name, sha256 in sorted(wanted.items()) if (name, sha256) not in present
        for row in receipt_rows(looked[sha256], context.run_id, now)
    ]
    # a receipt that says "withdrawn" may have been lost while an older one was not
    gone = [row for row in files_in_force(context.lake) if wanted.get(row["source_file"]) != row["file_sha256"]]
    rows += [
        row.asDict() | {
            "receipt_status": "withdrawn", "receipt_reason": "no build holds it (found by repair)", "received_at": now,
            "run_id": context.run_id,
        }
        for row in gone if row["source_file"] not in wanted and _was_built(context, row["source_year"])
    ]
    context.lake.append_rows(ops.FILE_RECEIPT, rows)
    return len(rows)


def _files_of_balance(context: JobContext) -> Mapping[str, str]:
    rows = context.lake.read(ops.RECONCILIATION).select("source_file", "file_sha256").distinct().collect()
    return {row["source_file"]: row["file_sha256"] for row in rows}


def _files_of_bronze(context: JobContext) -> Mapping[str, str]:
    rows = (
        context.lake.read(bronze.DECLARATION).groupBy("source_file", "file_sha256").agg(F.max("loaded_at").alias("loaded_at"))
        .orderBy("loaded_at").collect()
    )
    return {row["source_file"]: row["file_sha256"] for row in rows}


def _was_built(context: JobContext, year: int) -> bool:
    return bool(context.lake.read(ops.RECONCILIATION).where(F.col("year") == year).limit(1).count())
