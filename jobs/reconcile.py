"""Reconcile: for every year and file, lines received = rows in bronze = kept + quarantined, and the same in dollars.

Each side is counted from the table it stands in: lines from the receipt, rows and readable dollars from bronze, the
rest from silver and the quarantine as written. A difference of one row or one cent ends the run (exit code 5).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from jobs.context import JobContext, Outcome, job_main
from jobs.errors import InputRefusedError, NotBalancedError
from jobs.ledger import files_in_force
from jobs.transforms.declarations import readable_value
from schemas import bronze, ops, silver


def run(context: JobContext) -> Outcome:
    """Recount every year in the lake and print the balance."""
    years = sorted(
        row["source_year"]
        for row in files_in_force(context.lake).select("source_year").distinct().collect()
        if context.selects(row["source_year"])
    )
    if not years:
        raise InputRefusedError(f"{context.lake.root}: no files in force in the years asked for; load some first.")
    rows = reconcile_years(context, years)
    return Outcome(f"{len(rows)} files balance to the row and the cent", detail=balance_text(rows))


def reconcile_years(context: JobContext, years: Sequence[int]) -> list[Row]:
    """Recount the years, replace their rows of ops.reconciliation and refuse any difference.

    Raises
    ------
    NotBalancedError
        With the files that do not balance and by how much.
    """
    lake = context.lake
    receipts = files_in_force(lake).where(F.col("source_year").isin(list(years))).select(
        F.col("source_year").alias("year"), "source_file", "file_sha256", "n_lines"
    )
    bronze_rows = lake.read(bronze.DECLARATION).where(F.col("source_year").isin(list(years)))
    entered = _totals(bronze_rows.withColumn("usd", readable_value(bronze_rows)), "n_rows_in", "value_in_usd")
    kept = _totals(_year_rows(lake.read(silver.DECLARATION), years), "n_rows_kept", "value_kept_usd")
    refused = _totals(_year_rows(lake.read(silver.QUARANTINE), years), "n_rows_quarantined", "value_quarantined_usd")
    frame = receipts
    for side in (entered, kept, refused):
        frame = frame.join(side, on="file_sha256", how="left")
    frame = frame.na.fill(0)
    balanced = (
        (F.col("n_lines") == F.col("n_rows_in"))
        & (F.col("n_rows_in") == F.col("n_rows_kept") + F.col("n_rows_quarantined"))
        & (F.col("value_in_usd") == F.col("value_kept_usd") + F.col("value_quarantined_usd"))
    )
    frame = frame.withColumns({"is_balanced": balanced, "run_id": F.lit(context.run_id)})
    rows = frame.orderBy("year", "source_file").collect()
    stored = [tuple(row[name] for name in ops.RECONCILIATION.columns) for row in rows]
    lake.replace_years(ops.RECONCILIATION, lake.spark.createDataFrame(stored, ops.RECONCILIATION.ddl()), years)
    _refuse_unbalanced(rows)
    return rows


def balance_text(rows: Sequence[Row]) -> str:
    """The balance by year as a text table; the last column is what is lost, zero when the run went on."""
    heading = f"{'year':<6}{'files':>6}{'lines':>12}{'kept':>12}{'quarantined':>13}{'US$ in':>22}{'US$ kept':>22}"
    heading += f"{'US$ quarantined':>22}{'lost':>6}"
    lines = [heading]
    for year in sorted({row["year"] for row in rows}) + [None]:
        part = [row for row in rows if year is None or row["year"] == year]
        lost = sum(row["n_lines"] - row["n_rows_kept"] - row["n_rows_quarantined"] for row in part)
        lines.append(
            f"{year or 'all':<6}{len(part):>6}{_sum(part, 'n_lines'):>12,}{_sum(part, 'n_rows_kept'):>12,}"
            f"{_sum(part, 'n_rows_quarantined'):>13,}{_sum(part, 'value_in_usd'):>22,}{_sum(part, 'value_kept_usd'):>22,}"
            f"{_sum(part, 'value_quarantined_usd'):>22,}{lost:>6,}"
        )
    return "\n".join(lines)


def _year_rows(frame: DataFrame, years: Sequence[int]) -> DataFrame:
    return frame.where(F.col("year").isin(list(years))).withColumn("usd", F.col("value_usd"))


def _totals(frame: DataFrame, rows_name: str, value_name: str) -> DataFrame:
    zero = F.lit(Decimal(0)).cast("decimal(38,2)")
    return frame.groupBy("file_sha256").agg(
        F.count("*").alias(rows_name),
        F.coalesce(F.sum("usd").cast("decimal(38,2)"), zero).alias(value_name),
    )


def _sum(rows: Sequence[Row], name: str):
    return sum(row[name] for row in rows)


def _refuse_unbalanced(rows: Sequence[Row]) -> None:
    bad = [row for row in rows if not row["is_balanced"]]
    if bad:
        shown = "; ".join(
            f"{row['source_file']}: {row['n_lines']:,} lines, {row['n_rows_in']:,} in bronze, {row['n_rows_kept']:,} kept,"
            f" {row['n_rows_quarantined']:,} quarantined, {row['value_in_usd']:,} dollars in,"
            f" {row['value_kept_usd']:,} kept, {row['value_quarantined_usd']:,} quarantined"
            for row in bad[:5]
        )
        raise NotBalancedError(
            f"{len(bad)} of {len(rows)} files do not balance: {shown}. The tables were changed from outside, or a rule is"
            " wrong; rebuild the year with `customs-lake run --rebuild` and compare."
        )


if __name__ == "__main__":
    sys.exit(job_main("reconcile", run, __doc__))
