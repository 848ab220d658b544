"""Shares of refused records by year and reason, held against the bounds of the configuration."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import functions as F

from conf.rules import load_rules
from jobs.core.ledger import utc_now
from jobs.runtime.context import JobContext
from schemas import ops, silver


def record_quality(context: JobContext, kept: Mapping[int, int]) -> list[str]:
    """Append the quality metrics of years with their kept rows; return a sentence for each that leaves its bounds."""
    bounds, years = context.settings.quality, sorted(kept)
    rows = (
        context.lake.read(silver.QUARANTINE).where(F.col("year").isin(years))
        .groupBy("year", "primary_reason").agg(F.count("*").alias("n")).collect()
    )
    refused: dict[int, dict[str, int]] = {year: {} for year in years}
    for row in rows:
        refused[row["year"]][row["primary_reason"]] = row["n"]
    metrics = []
    for year in years:
        total = kept.get(year, 0) + sum(refused[year].values())
        exports = total - refused[year].get("import", 0)
        for reason in (rule.name for rule in load_rules()):
            share = refused[year].get(reason, 0) / (total if reason == "import" else exports) if exports else 0.0
            high = {"row_malformed": bounds.max_share_malformed, "import": 1.0}.get(reason, bounds.max_share_reason)
            metrics.append((year, f"share_{reason}", share, high))
        quarantined = (exports - kept.get(year, 0)) / exports if exports else 0.0
        metrics.append((year, "share_exports_quarantined", quarantined, bounds.max_share_quarantined))
    now = utc_now()
    context.lake.append_rows(
        ops.QUALITY,
        [
            {
                "run_id": context.run_id, "year": year, "metric": metric, "metric_value": value, "metric_low": 0.0,
                "metric_high": high, "is_within": value <= high, "built_at": now,
            }
            for year, metric, value, high in metrics
        ],
    )
    return [
        f"{year}: {metric} is {value:.3f}, at most {high:.3f} expected"
        for year, metric, value, high in metrics
        if value > high
    ]
