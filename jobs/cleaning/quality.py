"""Shares of refused records by year and reason, and by file and month, held against the bounds of the configuration."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import polars as pl
from pyspark.sql import functions as F

from conf.rules import load_rules
from jobs.cleaning.file_quality import NOT_EXPORTS, Count, alarm_sentences, judge_files
from jobs.core.file_tables import scan_years, takes_files
from jobs.core.lake import Lake
from jobs.core.ledger import files_in_force, utc_now
from jobs.runtime.context import JobContext
from schemas import ops, silver
from schemas.table import Table


def record_quality(
    context: JobContext, kept: Mapping[int, int], *, tables: Sequence[Table] = (ops.QUALITY, ops.FILE_QUALITY)
) -> list[str]:
    """Append the quality metrics of years with their kept rows; return a sentence for each that leaves its bounds."""
    bounds, years = context.settings.quality, sorted(kept)
    counts = _counts(context, years)
    refused: dict[int, dict[str, int]] = {year: {} for year in years}
    for item in counts:
        if item.reason is not None:
            refused[item.year][item.reason] = refused[item.year].get(item.reason, 0) + item.n
    metrics = []
    for year in years:
        total = kept.get(year, 0) + sum(refused[year].values())
        exports = total - sum(refused[year].get(reason, 0) for reason in NOT_EXPORTS)
        for reason in (rule.name for rule in load_rules()):
            share = refused[year].get(reason, 0) / (total if reason in NOT_EXPORTS else exports) if exports else 0.0
            high = {
                "row_malformed": bounds.max_share_malformed, **dict.fromkeys(NOT_EXPORTS, 1.0),
            }.get(reason, bounds.max_share_reason)
            metrics.append((year, f"share_{reason}", share, high))
        quarantined = (exports - kept.get(year, 0)) / exports if exports else 0.0
        metrics.append((year, "share_exports_quarantined", quarantined, bounds.max_share_quarantined))
    now = utc_now()
    rows: dict[str, list[dict[str, object]]] = {
        ops.QUALITY.name: [
            {
                "run_id": context.run_id, "year": year, "metric": metric, "metric_value": value, "metric_low": 0.0,
                "metric_high": high, "is_within": value <= high, "built_at": now,
            }
            for year, metric, value, high in metrics
        ]
    }
    judged = judge_files(
        counts, max_share_reason=bounds.max_share_reason_file, min_kept_to_neighbours=bounds.min_kept_to_neighbours
    )
    rows[ops.FILE_QUALITY.name] = [
        dataclasses.asdict(item) | {"run_id": context.run_id, "built_at": now} for item in judged
    ]
    for table in tables:
        context.lake.append_rows(table, rows[table.name])
    of_years = [
        f"{year}: {metric} is {value:.3f}, at most {high:.3f} expected"
        for year, metric, value, high in metrics
        if value > high
    ]
    return [*of_years, *alarm_sentences(judged)]


def _counts(context: JobContext, years: list[int]) -> list[Count]:
    """Records of each file and month of the years, kept and by the reason that refused them."""
    lake = context.lake
    counted = (_counted if takes_files(lake, *silver.TABLES) else _counted_by_spark)(lake, years)
    names = {row["file_sha256"]: row["source_file"] for row in files_in_force(lake)}
    return [Count(year, names[sha256], month, reason, n) for year, sha256, month, reason, n in counted]


def _counted(lake: Lake, years: Sequence[int]) -> list[tuple]:
    """Year, file, month, reason and number of the records of both tables, by Polars on the driver."""
    no_reason = pl.lit(None, pl.String).alias("primary_reason")
    found: list[tuple] = []
    for table, reason in ((silver.QUARANTINE, pl.col("primary_reason")), (silver.DECLARATION, no_reason)):
        rows = scan_years(lake, table, years).select("year", "file_sha256", "month", reason)
        found += rows.group_by("year", "file_sha256", "month", "primary_reason").len().collect(engine="streaming").rows()
    return found


def _counted_by_spark(lake: Lake, years: Sequence[int]) -> list[tuple]:
    """The same, by Spark."""
    sides = [
        lake.read(table).where(F.col("year").isin(list(years))).select("year", "file_sha256", "month", reason)
        for table, reason in (
            (silver.QUARANTINE, F.col("primary_reason")),
            (silver.DECLARATION, F.lit(None).cast("string").alias("primary_reason")),
        )
    ]
    rows = sides[0].unionByName(sides[1]).groupBy("year", "file_sha256", "month", "primary_reason").count().collect()
    return [tuple(row) for row in rows]
