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
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pyspark import StorageLevel
from pyspark.sql import Row
from pyspark.sql import functions as F

from jobs.cleaning.balance import reconcile_years
from jobs.cleaning.fingerprints import silver_fingerprints, with_emptied_years
from jobs.cleaning.judging import sort_declarations, unpack
from jobs.cleaning.quality import record_quality
from jobs.core.errors import QualityError
from jobs.core.ledger import build_metadata, builds_of, files_in_force, record_builds, years_text
from jobs.core.progress import expect
from jobs.reference.frames import check_user_files
from jobs.runtime.context import JobContext, Outcome, job_main
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
    rows = lake.read(bronze.DECLARATION).where(F.col("source_year").isin(years) & F.col("file_sha256").isin(in_force))
    # personal data end here; each record is cleaned once, and its bytes wait on disk until both tables are written
    packed = sort_declarations(context, rows, receipts).persist(StorageLevel.DISK_ONLY)
    try:
        metadata = build_metadata(context.run_id, fingerprints)
        sides = {silver.DECLARATION: unpack(packed, "kept"), silver.QUARANTINE: unpack(packed, "refused")}
        # side by side: one is planned and committed while the other's rows are computed
        with ThreadPoolExecutor(len(sides)) as pool:
            kept, quarantined = pool.map(lambda side: lake.replace_years(*side, years, metadata=metadata), sides.items())
    finally:
        packed.unpersist()
    balance = reconcile_years(context, years)
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


if __name__ == "__main__":
    sys.exit(job_main("clean", run, checks=PREFLIGHT))
