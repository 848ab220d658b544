"""Clean: parse, repair, place and judge every declaration; silver for the accepted, quarantine with reasons for the rest.

In: ``bronze.declaration`` (files in force), the reference tables, conf/rules. Out: ``silver.declaration``,
``silver.quarantine``, ``ops.reconciliation``, ``ops.quality``. A year is rebuilt when its fingerprint changed: its
files, the rules, the layouts, the references, the configuration or the code. Rows and dollars in = kept + quarantined
is asserted on the written tables for every file before the year counts as built.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pyspark import StorageLevel
from pyspark.sql import Row
from pyspark.sql import functions as F

from jobs.cleaning.balance import reconcile_years
from jobs.cleaning.fingerprints import silver_fingerprints, with_emptied_years
from jobs.cleaning.judging import cleaning_for, sort_declarations, unpack
from jobs.cleaning.quality import record_quality
from jobs.core.errors import QualityError
from jobs.core.file_tables import replace_years_by_files, takes_files, tasks_of_years, writing_files
from jobs.core.lake import Written
from jobs.core.ledger import build_metadata, builds_of, files_in_force, record_builds, years_text
from jobs.core.progress import expect
from jobs.kernels.cleaned_files import Cleaned, Totals
from jobs.reference.frames import check_user_files
from jobs.runtime.context import JobContext, Outcome, job_main
from jobs.runtime.executors import explained_refusals, run_on_executors
from schemas import bronze, silver

PREFLIGHT = (check_user_files,)


def run(context: JobContext) -> Outcome:
    """Rebuild the silver years whose inputs changed."""
    receipts = [row for row in files_in_force(context.lake) if context.selects(row["source_year"])]
    built = builds_of(context.lake, silver.DECLARATION)
    wanted = with_emptied_years(context, silver_fingerprints(context, receipts), built)
    stale = sorted(wanted) if context.rebuild else built.stale(wanted)
    if not stale:
        return Outcome("silver is up to date", changed=False)
    with context.lake.lock(silver.DECLARATION, silver.QUARANTINE):
        return _build(context, receipts, {year: wanted[year] for year in stale})


def _build(context: JobContext, receipts: Sequence[Row], fingerprints: Mapping[int, str]) -> Outcome:
    lake, years = context.lake, sorted(fingerprints)
    in_force = [row["file_sha256"] for row in receipts if row["source_year"] in fingerprints]
    expect(sum(row["n_lines"] for row in receipts if row["source_year"] in fingerprints), "records")
    metadata = build_metadata(context.run_id, fingerprints)
    if takes_files(lake, bronze.DECLARATION, *silver.TABLES):
        kept, quarantined, delivered = _write_by_files(context, receipts, in_force, years, metadata)
    else:
        kept, quarantined = _write_by_spark(context, receipts, in_force, years, metadata)
        delivered = None
    balance = reconcile_years(context, years, delivered=delivered)
    per_year = {year: sum(row["n_rows_kept"] for row in balance if row["year"] == year) for year in years}
    alarms = [] if context.repairs else record_quality(context, per_year)
    # last of all: only now do the years count as built
    record_builds(lake, context.run_id, silver.DECLARATION, kept, fingerprints, per_year)
    if alarms:
        raise QualityError("; ".join(alarms) + ". Everything is written; look at silver.quarantine and ops.quality.")
    off = context.settings.quality.rules_off
    return Outcome(
        f"{years_text(years)}: {kept.n_rows:,} declarations kept, {quarantined.n_rows:,} quarantined"
        + (f"; rules switched off: {', '.join(off)}" if off else ""),
        n_rows=kept.n_rows + quarantined.n_rows,
    )


def _write_by_files(
    context: JobContext, receipts: Sequence[Row], in_force: Sequence[str], years: Sequence[int], metadata: dict[str, Any]
) -> tuple[Written, Written, Totals]:
    """Executors read, clean and write data files themselves; both tables are committed when all are written."""
    lake, umask = context.lake, context.settings.privacy.umask
    arguments = (cleaning_for(context, receipts), in_force)
    with writing_files(lake, silver.TABLES, umask=umask) as targets, explained_refusals():
        tasks = tasks_of_years(lake, bronze.DECLARATION, years)
        kernel = "jobs.kernels.cleaned_files.write_cleaned"
        cleaned = Cleaned.of(run_on_executors(context.spark)(tasks, kernel, (*arguments, *targets)))
        kept = replace_years_by_files(lake, silver.DECLARATION, cleaned.kept, years, metadata=metadata)
        quarantined = replace_years_by_files(lake, silver.QUARANTINE, cleaned.refused, years, metadata=metadata)
    return kept, quarantined, cleaned.delivered


def _write_by_spark(
    context: JobContext, receipts: Sequence[Row], in_force: Sequence[str], years: Sequence[int], metadata: dict[str, Any]
) -> tuple[Written, Written]:
    """Spark reads and writes, the same kernel cleans: for lakes whose files executors cannot reach by themselves."""
    lake = context.lake
    rows = lake.read(bronze.DECLARATION)
    rows = rows.where(F.col("source_year").isin(list(years)) & F.col("file_sha256").isin(list(in_force)))
    # personal data end here; each record is cleaned once, and its bytes wait on disk until both tables are written
    packed = sort_declarations(context, rows, receipts).persist(StorageLevel.DISK_ONLY)
    try:
        # side by side: one is planned and committed while the other's rows are computed
        with ThreadPoolExecutor(2) as pool:
            write = partial(lake.replace_years, years=years, metadata=metadata)
            kept = pool.submit(write, silver.DECLARATION, unpack(packed, "kept"))
            quarantined = pool.submit(write, silver.QUARANTINE, unpack(packed, "refused"))
        return kept.result(), quarantined.result()
    finally:
        packed.unpersist()


if __name__ == "__main__":
    sys.exit(job_main("clean", run, checks=PREFLIGHT))
