"""Resolve: how the production site of every export record is resolved to a prefecture, under the present configuration.

In: ``bronze.declaration`` and the place reference. Out: a table on the terminal, and ``places_resolved.csv`` with --out;
no table of the lake. The clean job resolves in its own pass with the same function; this job shows what another
evidence order, fallback or reference would do before anything is rebuilt.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.cleaning.judging import judge_declarations
from jobs.core.errors import InputRefusedError
from jobs.core.ledger import files_in_force
from jobs.runtime.context import JobContext, Outcome, job_main
from schemas import bronze

KEPT = "kept"
RESOLVED = ("flow_kind", "malformed_row", "value_usd", "place_reason", "place_method", "place_conflict")


def run(context: JobContext) -> Outcome:
    """Count records and dollars by outcome, method and digits used."""
    receipts = [row for row in files_in_force(context.lake) if context.selects(row["source_year"])]
    if not receipts:
        raise InputRefusedError(f"{context.lake.root}: no files in force in the years asked for; load some first.")
    rows = context.lake.read(bronze.DECLARATION).where(
        F.col("source_year").isin(sorted({row["source_year"] for row in receipts}))
        & F.col("file_sha256").isin([row["file_sha256"] for row in receipts])
    )
    judged = judge_declarations(context, rows, receipts, RESOLVED)
    table = summarise(judged.where("flow_kind = 'export' AND malformed_row IS NULL")).toPandas()
    if context.out is not None:
        context.out.mkdir(parents=True, exist_ok=True)
        table.to_csv(context.out / "places_resolved.csv", index=False)
    placed = int(table.loc[table["place_outcome"] == KEPT, "n_records"].sum())
    total = int(table["n_records"].sum())
    return Outcome(
        f"{placed:,} of {total:,} export records lie in the municipal districts of a city", changed=False,
        detail=table.to_string(index=False),
    )


def summarise(placed: DataFrame) -> DataFrame:
    """Records and dollars by outcome (``kept`` or the reason), method, and whether evidence disagreed."""
    return (
        placed.groupBy(
            F.coalesce(F.lower("place_reason"), F.lit(KEPT)).alias("place_outcome"),
            F.coalesce("place_method", F.lit("none")).alias("place_method"),
            F.coalesce("place_conflict", F.lit("")).alias("place_conflict"),
        )
        .agg(F.count("*").alias("n_records"), F.sum("value_usd").alias("value_usd"))
        .orderBy(F.col("place_outcome") != KEPT, F.desc("n_records"), "place_method", "place_conflict")
    )


if __name__ == "__main__":
    sys.exit(job_main("resolve", run))
