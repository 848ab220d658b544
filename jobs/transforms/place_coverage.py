"""Which records a study keeps under each treatment of doubtful places, for the counts that are made again."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jobs.kernels.place_tables import KEPT_UNDER, PLACE_REASONS, TREATMENTS
from schemas.places import OPEN_END

__all__ = ["TREATMENTS", "is_postcode_unknown", "mark_treatments", "only_place"]


def mark_treatments(rows: DataFrame, ambiguous_cities: DataFrame) -> DataFrame:
    """Add, for each treatment of doubtful places, whether a record is kept: columns :data:`TREATMENTS`.

    Parameters
    ----------
    rows : DataFrame
        Placed with ``places.ambiguous = "in"`` and ``places.unknown_postcode = "keep"``: ``year, city_id, was_kept,
        is_postcode_unknown`` and ``only_place`` (refused for nothing but its unit: county, county-level city, unknown
        postcode; those are what ``whole_city`` takes back).
    ambiguous_cities : DataFrame
        ``city_id, valid_from, valid_to``.
    """
    spans = ambiguous_cities.select(F.col("city_id").alias("_city"), "valid_from", "valid_to")
    in_span = (F.col("year") >= F.col("valid_from")) & (F.col("year") < F.coalesce("valid_to", F.lit(OPEN_END)))
    joined = rows.join(F.broadcast(spans), on=(F.col("city_id") == F.col("_city")) & in_span, how="left")
    marked = joined.withColumn("is_shared", F.col("_city").isNotNull())
    belongs = {name: F.expr(condition) for name, condition in KEPT_UNDER.items()}
    return marked.withColumns(belongs).drop("_city", "valid_from", "valid_to", "is_shared")


def is_postcode_unknown() -> Column:
    """Whether a kept record counts for its city alone because no source knows its postcode."""
    unknown = F.array_contains(F.split("place_conflict", "[+]"), "postcode_unknown")
    return F.coalesce(unknown, F.lit(False)) & F.col("unit_type").isNull()


def only_place(reasons: Column) -> Column:
    """Whether a record is refused, and for nothing but its unit."""
    others = F.array_except(reasons, F.array(*map(F.lit, PLACE_REASONS)))
    return (F.size(reasons) > 0) & (F.size(others) == 0)
