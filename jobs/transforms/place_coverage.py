"""How the records of each city were placed: coverage by method, disagreements, and the treatments of ambiguous cities."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from conf.settings import TREATMENTS as AMBIGUOUS_TREATMENTS
from schemas.places import OPEN_END

TREATMENTS = (*AMBIGUOUS_TREATMENTS, "unknown_refused")
"""What a study may do: ambiguous cities in, out or whole, or as ``in`` and records with an unknown postcode refused."""
PLACE_REASONS = ("county", "county_city", "postcode_unknown")
"""Cleaning rules that refuse a record for its county unit alone."""


def place_coverage(declarations: DataFrame) -> DataFrame:
    """Share of records and value by place method, per city and year.

    Parameters
    ----------
    declarations : DataFrame
        ``silver.declaration``: ``year, city_id, place_method, value_usd, is_place_ambiguous, place_conflict,
        place_confidence, unit_type``.

    Returns
    -------
    DataFrame
        ``year, city_id, place_method, n_records, value_usd, share_records, share_value, share_ambiguous,
        share_conflict, share_postcode_unknown, mean_confidence``.
    """
    grouped = declarations.groupBy("year", "city_id", "place_method").agg(
        F.count("*").alias("n_records"),
        F.sum("value_usd").alias("value_usd"),
        F.avg(F.col("is_place_ambiguous").cast("int")).alias("share_ambiguous"),
        F.avg(F.col("place_conflict").isNotNull().cast("int")).alias("share_conflict"),
        F.avg(is_postcode_unknown().cast("int")).alias("share_postcode_unknown"),
        F.avg("place_confidence").alias("mean_confidence"),
    )
    whole = Window.partitionBy("year", "city_id").rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    return grouped.select(
        "year", "city_id", "place_method", "n_records", "value_usd",
        (F.col("n_records") / F.sum("n_records").over(whole)).alias("share_records"),
        (F.col("value_usd").cast("double") / F.sum("value_usd").over(whole).cast("double")).alias("share_value"),
        "share_ambiguous", "share_conflict", "share_postcode_unknown", "mean_confidence",
    ).orderBy("year", "city_id", F.desc("share_value"), "place_method")


def count_conflicts(declarations: DataFrame) -> DataFrame:
    """Records and value per year and kind of disagreement, none included as ``(none)``.

    Parameters
    ----------
    declarations : DataFrame
        Placed records: ``year, place_conflict, value_usd``.
    """
    kind = F.coalesce("place_conflict", F.lit("(none)"))
    return (
        declarations.groupBy("year", kind.alias("place_conflict"))
        .agg(F.count("*").alias("n_records"), F.sum("value_usd").alias("value_usd"))
        .orderBy("year", F.desc("n_records"), "place_conflict")
    )


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
    shared, was_kept = F.col("_city").isNotNull(), F.col("was_kept")
    belongs = {
        "in": was_kept, "out": was_kept & ~shared, "whole_city": was_kept | (shared & F.col("only_place")),
        "unknown_refused": was_kept & ~F.col("is_postcode_unknown"),
    }
    return joined.withColumns(belongs).drop("_city", "valid_from", "valid_to")


def is_postcode_unknown() -> Column:
    """Whether a kept record counts for its city alone because no source knows its postcode."""
    unknown = F.array_contains(F.split("place_conflict", "[+]"), "postcode_unknown")
    return F.coalesce(unknown, F.lit(False)) & F.col("unit_type").isNull()


def only_place(reasons: Column) -> Column:
    """Whether a record is refused, and for nothing but its unit."""
    others = F.array_except(reasons, F.array(*map(F.lit, PLACE_REASONS)))
    return (F.size(reasons) > 0) & (F.size(others) == 0)


def ambiguity_table(declarations: DataFrame, quarantine: DataFrame, ambiguous_cities: DataFrame) -> DataFrame:
    """Cities, records and value per year under each treatment of doubtful places (:data:`TREATMENTS`).

    Parameters
    ----------
    declarations : DataFrame
        ``silver.declaration`` built with ``places.ambiguous = "in"`` and ``places.unknown_postcode = "keep"``.
    quarantine : DataFrame
        ``silver.quarantine`` of the same years.
    ambiguous_cities : DataFrame
        ``ref.ambiguous_cities``.

    Returns
    -------
    DataFrame
        ``year, ambiguous`` (the treatment), ``n_cities, n_records, value_usd``.
    """
    mark = {"was_kept": F.lit(True), "only_place": F.lit(False), "is_postcode_unknown": is_postcode_unknown()}
    kept = declarations.withColumns(mark)
    refused = quarantine.withColumns({
        "was_kept": F.lit(False), "only_place": only_place(F.col("reasons")), "is_postcode_unknown": F.lit(False),
    })
    columns = ["year", "city_id", "value_usd", *mark]
    rows = mark_treatments(kept.select(*columns).unionByName(refused.select(*columns)), ambiguous_cities)
    options = F.array(*(F.when(F.col(name), F.lit(name)) for name in TREATMENTS))
    return (
        rows.select("year", "city_id", "value_usd", F.explode(F.array_compact(options)).alias("ambiguous"))
        .groupBy("year", "ambiguous")
        .agg(
            F.count_distinct("city_id").alias("n_cities"), F.count("*").alias("n_records"),
            F.sum("value_usd").alias("value_usd"),
        )
        .orderBy("year", "ambiguous")
    )
