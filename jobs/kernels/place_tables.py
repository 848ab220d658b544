"""How the records of each city were placed, as tables for people: coverage by method, disagreements, doubtful places.

Lazy Polars frames in, frames out: only the columns and years that are asked for are read, in batches.
"""

from __future__ import annotations

import polars as pl

from schemas.places import OPEN_END

#: What a study may do with doubtful places: ambiguous cities in, out or whole, or records with an unknown postcode refused.
#: A record is kept where the condition holds, in SQL that Spark and Polars read alike; ``was_kept`` is the usual treatment,
#: ``only_place`` a refusal for the unit alone, ``is_shared`` a city whose districts share their postcodes with counties.
KEPT_UNDER = {
    "in": "was_kept",
    "out": "was_kept AND NOT is_shared",
    "whole_city": "was_kept OR (is_shared AND only_place)",
    "unknown_refused": "was_kept AND NOT is_postcode_unknown",
}
TREATMENTS = tuple(KEPT_UNDER)
#: Cleaning rules that refuse a record for its county unit alone.
PLACE_REASONS = ("county", "county_city", "postcode_unknown")


def place_coverage(declarations: pl.LazyFrame) -> pl.LazyFrame:
    """Share of records and value by place method, per city and year.

    Parameters
    ----------
    declarations : LazyFrame
        ``silver.declaration``: ``year, city_id, place_method, value_usd, is_place_ambiguous, place_conflict,
        place_confidence, unit_type``.

    Returns
    -------
    LazyFrame
        ``year, city_id, place_method, n_records, value_usd, share_records, share_value, share_ambiguous,
        share_conflict, share_postcode_unknown, mean_confidence``.
    """
    value = pl.col("value_usd").cast(pl.Float64)
    whole = ("year", "city_id")
    return (
        declarations.group_by("year", "city_id", "place_method")
        .agg(
            pl.len().alias("n_records"), pl.col("value_usd").sum(),
            pl.col("is_place_ambiguous").cast(pl.Int8).mean().alias("share_ambiguous"),
            pl.col("place_conflict").is_not_null().cast(pl.Int8).mean().alias("share_conflict"),
            is_postcode_unknown().cast(pl.Int8).mean().alias("share_postcode_unknown"),
            pl.col("place_confidence").mean().alias("mean_confidence"),
        )
        .with_columns(
            (pl.col("n_records") / pl.col("n_records").sum().over(whole)).alias("share_records"),
            (value / value.sum().over(whole)).alias("share_value"),
        )
        .select(
            "year", "city_id", "place_method", "n_records", "value_usd", "share_records", "share_value", "share_ambiguous",
            "share_conflict", "share_postcode_unknown", "mean_confidence",
        )
        .sort("year", "city_id", "share_value", "place_method", descending=[False, False, True, False])
    )


def count_conflicts(declarations: pl.LazyFrame) -> pl.LazyFrame:
    """Records and value per year and kind of disagreement, those without any included as ``(none)``."""
    return (
        declarations.group_by("year", pl.col("place_conflict").fill_null("(none)"))
        .agg(pl.len().alias("n_records"), pl.col("value_usd").sum())
        .sort("year", "n_records", "place_conflict", descending=[False, True, False])
    )


def is_postcode_unknown() -> pl.Expr:
    """Whether a kept record counts for its city alone because no source knows its postcode."""
    unknown = pl.col("place_conflict").str.split("+").list.contains("postcode_unknown").fill_null(False)
    return unknown & pl.col("unit_type").is_null()


def ambiguity_table(
    declarations: pl.LazyFrame, quarantine: pl.LazyFrame, ambiguous_cities: pl.LazyFrame
) -> pl.LazyFrame:
    """Cities, records and value per year under each treatment of doubtful places (:data:`TREATMENTS`).

    Parameters
    ----------
    declarations : LazyFrame
        ``silver.declaration`` built with ``places.ambiguous = "in"`` and ``places.unknown_postcode = "keep"``.
    quarantine : LazyFrame
        ``silver.quarantine`` of the same years; of its rows those refused for nothing but their unit can count again.
    ambiguous_cities : LazyFrame
        ``city_id, valid_from, valid_to`` (None: still).

    Returns
    -------
    LazyFrame
        ``year, ambiguous`` (the treatment), ``n_cities, n_records, value_usd``.
    """
    others = pl.col("reasons").list.set_difference(pl.lit(list(PLACE_REASONS), dtype=pl.List(pl.String)))
    only_place = (pl.col("reasons").list.len() > 0) & (others.list.len() == 0)
    columns = ("year", "city_id", "value_usd", "was_kept", "only_place", "is_postcode_unknown")
    refused = {"was_kept": pl.lit(False), "only_place": pl.lit(True), "is_postcode_unknown": pl.lit(False)}
    usual = {"was_kept": pl.lit(True), "only_place": pl.lit(False), "is_postcode_unknown": is_postcode_unknown()}
    rows = pl.concat([
        declarations.with_columns(**usual).select(columns),
        quarantine.filter(only_place).with_columns(**refused).select(columns),
    ])
    spans = ambiguous_cities.select("city_id", "valid_from", pl.col("valid_to").fill_null(OPEN_END)).collect()
    in_span = pl.any_horizontal(
        pl.lit(False),
        *(
            (pl.col("city_id") == city) & pl.col("year").is_between(start, end, closed="left")
            for city, start, end in spans.iter_rows()
        ),
    ).fill_null(False)
    marked = rows.with_columns(is_shared=in_span)
    counted = [
        marked.filter(pl.sql_expr(condition)).group_by("year").agg(
            pl.col("city_id").n_unique().alias("n_cities"), pl.len().alias("n_records"), pl.col("value_usd").sum(),
        ).select("year", pl.lit(name).alias("ambiguous"), "n_cities", "n_records", "value_usd")
        for name, condition in KEPT_UNDER.items()
    ]
    return pl.concat(counted).sort("year", "ambiguous")
