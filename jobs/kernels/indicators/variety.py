"""From cells to trade mix and diversity: what a city's value is made of, and how evenly it is spread.

The Theil index over the N things that could have trade is, with shares s of the n that have,

    T = sum s ln(N s) = [sum s ln(n s)] + ln(N / n) = within + between

(Cadot, Carrère and Strauss-Kahn 2011): the intensive part and the extensive part, exactly.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from jobs.kernels.indicators.cells import CITY_YEAR, regions, sections
from jobs.kernels.indicators.statistics import described
from jobs.kernels.trade_codes import INTERMEDIARY_RULES, UNKNOWN
from schemas.indicators import SHORT_STATISTICS

LARGEST = (1, 5, 10)
#: Things that value is spread over, by the columns of a cell that name them.
OVER = {
    "product": ("hs6_family",), "destination": ("partner",), "firm": ("firm_id",), "pair": ("hs6_family", "partner"),
}


def trade_mix(
    cells: pl.DataFrame, firms: pl.DataFrame, region_of: Mapping[str, str], *, names_left_out: bool = False
) -> pl.DataFrame:
    """Return the rows of ``gold.trade_mix``.

    Parameters
    ----------
    cells : DataFrame
        Of the years wanted.
    firms : DataFrame
        Their firm cube, which knows the trading companies.
    region_of : mapping
        ISO code to region.

    Returns
    -------
    DataFrame
        ``city_id, year, dimension, member, value_cents, n_firms, share_value, member_reason``.
    """
    marks = firms.select(*CITY_YEAR, "firm_id", *(f"is_intermediary_{rule}" for rule in INTERMEDIARY_RULES))
    told = (
        cells.with_columns(pl.col("hs6_code").str.head(2).alias("chapter"))
        .join(sections(), on="chapter", how="left")
        .join(regions(region_of), on="partner", how="left", nulls_equal=True)
        .join(marks, on=[*CITY_YEAR, "firm_id"], how="left")
    )
    members = {
        "regime": pl.col("regime").cast(pl.String), "ownership": pl.col("ownership").cast(pl.String),
        "hs_section": pl.col("hs_section"), "partner_region": pl.col("partner_region").fill_null("other"),
    }
    for rule in INTERMEDIARY_RULES:
        is_one = pl.col(f"is_intermediary_{rule}")
        members[f"intermediary_{rule}"] = (
            pl.when(is_one).then(pl.lit("intermediary")).when(~is_one).then(pl.lit("producer"))
        )
    parts = [
        told.group_by(*CITY_YEAR, member.fill_null(UNKNOWN).alias("member")).agg(
            pl.col("cents").sum().alias("value_cents"),
            pl.col("firm_id").drop_nulls().n_unique().cast(pl.Int64).alias("n_firms"),
        ).with_columns(pl.lit(dimension).alias("dimension"))
        for dimension, member in members.items()
    ]
    mix = pl.concat(parts)
    no_name = pl.lit("names_left_out" if names_left_out else "no_name_delivered")
    reason = pl.when(pl.col("dimension").str.starts_with("intermediary")).then(no_name).otherwise(pl.lit("not_readable"))
    return mix.with_columns(
        (pl.col("value_cents") / pl.col("value_cents").sum().over(*CITY_YEAR, "dimension")).alias("share_value"),
        pl.when(pl.col("member") == UNKNOWN).then(reason).alias("member_reason"),
    )


def diversity(cells: pl.DataFrame, firms: pl.DataFrame, possible: Mapping[str, int]) -> pl.DataFrame:
    """Return the rows of ``gold.city_diversity``.

    Parameters
    ----------
    cells : DataFrame
        Of the years wanted.
    firms : DataFrame
        Their firm cube, which knows the trading companies.
    possible : mapping
        Thing (a key of :data:`OVER`) to the number N of those that could have trade; things without one have no between.

    Returns
    -------
    DataFrame
        ``city_id, year, over, n_firms, n_possible`` and the measures.
    """
    n_firms = cells.group_by(CITY_YEAR).agg(pl.col("firm_id").drop_nulls().n_unique().cast(pl.Int64).alias("n_firms"))
    parts = [
        _spread(cells, list(columns), possible.get(over)).with_columns(pl.lit(over).alias("over"))
        for over, columns in OVER.items()
    ]
    spread = pl.concat(parts).join(n_firms, on=CITY_YEAR, how="left")
    return spread.join(_firms_per_member(cells, firms), on=[*CITY_YEAR, "over"], how="left")


def _firms_per_member(cells: pl.DataFrame, firms: pl.DataFrame) -> pl.DataFrame:
    """Statistics of the firms, and of the producers, that export each product and go to each destination."""
    producers = firms.filter(~pl.col("is_intermediary_ahn")).select(*CITY_YEAR, "firm_id", pl.lit(True).alias("_producer"))
    known = cells.filter(pl.col("firm_id").is_not_null()).join(producers, on=[*CITY_YEAR, "firm_id"], how="left")
    parts = []
    for over in ("product", "destination"):
        (column,) = OVER[over]
        counted = known.filter(pl.col(column).is_not_null()).group_by(*CITY_YEAR, column).agg(
            pl.col("firm_id").n_unique().alias("firms"),
            pl.col("firm_id").filter(pl.col("_producer")).n_unique().alias("producers"),
        )
        parts.append(
            counted.group_by(CITY_YEAR).agg(
                *described(pl.col("firms"), "firms_per_member", SHORT_STATISTICS),
                *described(pl.col("producers").filter(pl.col("producers") > 0), "producers_per_member", SHORT_STATISTICS),
            ).with_columns(pl.lit(over).alias("over"))
        )
    return pl.concat(parts)


def _spread(cells: pl.DataFrame, columns: list[str], possible: int | None) -> pl.DataFrame:
    known = cells.filter(pl.all_horizontal(pl.col(name).is_not_null() for name in columns))
    held = known.group_by(*CITY_YEAR, *columns).agg(pl.col("cents").sum())
    held = held.with_columns((pl.col("cents") / pl.col("cents").sum().over(CITY_YEAR)).alias("s"))
    s, n, h = pl.col("s").sort(descending=True), pl.col("n_members"), pl.col("herfindahl")
    spread = held.group_by(CITY_YEAR).agg(
        pl.len().cast(pl.Int64).alias("n_members"),
        # in order of size: the same to the last digit in whatever order the rows come
        (s * s).sum().alias("herfindahl"), (-(s * s.log())).sum().alias("_entropy"),
        *(s.head(count).sum().alias(f"share_value_largest_{count}") for count in LARGEST),
    )
    lines = pl.lit(possible, dtype=pl.Int64)
    # a list of what could have trade may lag behind what has
    lines = pl.max_horizontal(lines, n) if possible is not None else lines
    within = n.log() - pl.col("_entropy")
    between = (lines / n).log()
    return spread.with_columns(
        pl.when(n > 1).then((h - 1 / n) / (1 - 1 / n)).alias("herfindahl_normalised"), (1 / h).alias("effective_number"),
        pl.col("_entropy").exp().alias("entropy_number"), lines.alias("n_possible"),
        (within + between if possible is not None else within).alias("theil"), within.alias("theil_within"),
        between.alias("theil_between"),
    ).drop("_entropy")
