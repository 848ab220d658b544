"""Margins of exports: the level and its growth taken apart, by city and by destination, and Hummels and Klenow's two.

Level (Bernard et al. 2009; Tang and Zhang 2012, eq. 2): X = F P D x, with F firms, P products, o firm-product cells,
D = o / (F P) and x = X / o. Growth (Tang and Zhang, eq. 1): entrants' value less exiters' former value, what continuing
firms add less what they drop, and what grows and shrinks in cells of both years; in whole cents it adds up exactly.
"""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from jobs.kernels.indicators.cells import CITY_YEAR
from schemas.indicators import ALL_PARTNERS

TERMS = ("entrants", "exiters", "added", "dropped", "grown", "shrunk")
#: A city, year and destination as one number, the same with a firm, and how far such numbers lie apart.
CELL, FIRM_CELL = "_cell", "_firm_cell"
YEARS_OF_A_CITY, DESTINATIONS, FIRMS = 4096, 1024, 2**24
_KEY = (*CITY_YEAR, "destination")


def margins(cells: pl.DataFrame, years: Collection[int], *, known_years: Collection[int]) -> pl.DataFrame:
    """Return the rows of ``gold.city_margins`` without Hummels and Klenow's.

    Parameters
    ----------
    cells : DataFrame
        Of the years and of the years before them.
    years, known_years : collection of int
        Years wanted; years that the lake holds.
    """
    known = cells.filter(pl.col("firm_id").is_not_null())
    cities, destinations, numbered = _numbered(known)
    parts = []
    for rows in (
        numbered.with_columns(pl.lit(0, pl.Int64).alias("_destination")),
        numbered.filter(pl.col("partner") > 0).with_columns(pl.col("partner").alias("_destination")),
    ):
        of_cell = pl.col("_city_year") * DESTINATIONS + pl.col("_destination")
        rows = rows.with_columns((of_cell * FIRMS + pl.col("firm_id")).alias(FIRM_CELL))
        year = rows[FIRM_CELL] // FIRMS // DESTINATIONS % YEARS_OF_A_CITY
        level = _levels(rows.filter(year.is_in(list(years))))
        parts.append(level.join(_growth(rows, years, known_years), on=CELL, how="full", coalesce=True))
    found = pl.concat(parts).with_columns(
        pl.col("value_cents", "n_firms", "n_products", "n_firm_products").fill_null(0)
    )
    city_year = pl.col(CELL) // DESTINATIONS
    found = found.with_columns(
        (city_year % YEARS_OF_A_CITY).cast(pl.Int32).alias("year"), (city_year // YEARS_OF_A_CITY).alias("_city"),
        (pl.col(CELL) % DESTINATIONS).alias("_destination"),
    )
    found = found.join(cities, on="_city").join(destinations, on="_destination").drop(CELL, "_city", "_destination")
    cells_of = pl.col("n_firm_products")
    return found.with_columns(
        pl.when(cells_of > 0).then(cells_of / (pl.col("n_firms") * pl.col("n_products"))).alias("density"),
        pl.when(cells_of > 0).then(pl.col("value_cents") / 100 / cells_of).alias("value_per_cell_usd"),
    )


def _numbered(known: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Names of cities and destinations by number, and cells with numbers for texts, which groups and joins are faster by.

    A city in a year is ``city * 4096 + year``, so that the year before is one less; with a destination (0: all of them) and
    a firm it is a number still.
    """
    texts = {name: known[name].drop_nulls().unique() for name in ("city_id", "partner", "firm_id", "hs6_code", "hs6_family")}
    codes = {name: known[name].cast(pl.Enum(values)).to_physical().cast(pl.Int64) for name, values in texts.items()}
    numbered = pl.DataFrame({
        "_city_year": codes["city_id"] * YEARS_OF_A_CITY + known["year"], "firm_id": codes["firm_id"],
        "hs6_code": codes["hs6_code"], "partner": (codes["partner"] + 1).fill_null(0), "hs6_family": codes["hs6_family"],
        "cents": known["cents"],
    })
    numbered = numbered.with_columns((pl.col("hs6_family") * DESTINATIONS + pl.col("partner")).alias("_pair"))
    numbers = {name: pl.int_range(len(values), dtype=pl.Int64, eager=True) for name, values in texts.items()}
    cities = pl.DataFrame({"_city": numbers["city_id"], "city_id": texts["city_id"]})
    destinations = pl.concat([
        pl.DataFrame({"_destination": pl.Series([0], dtype=pl.Int64), "destination": [ALL_PARTNERS]}),
        pl.DataFrame({"_destination": numbers["partner"] + 1, "destination": texts["partner"]}),
    ])
    return cities, destinations, numbered


def _levels(rows: pl.DataFrame) -> pl.DataFrame:
    held = rows.group_by(FIRM_CELL, "hs6_code").agg(pl.col("cents").sum())
    of_cell = (pl.col(FIRM_CELL) // FIRMS).alias(CELL)
    totals = held.group_by(of_cell).agg(
        pl.col("cents").sum().alias("value_cents"), pl.len().cast(pl.Int64).alias("n_firm_products")
    )
    firms = held.select(FIRM_CELL).unique().group_by(of_cell).agg(pl.len().cast(pl.Int64).alias("n_firms"))
    products = held.select(of_cell, "hs6_code").unique().group_by(CELL).agg(pl.len().cast(pl.Int64).alias("n_products"))
    return totals.join(firms, on=CELL).join(products, on=CELL)


def _growth(rows: pl.DataFrame, years: Collection[int], known_years: Collection[int]) -> pl.DataFrame:
    """Six terms of the change since the year before, of the years that have one in the lake."""
    compared = [year for year in years if year in known_years and year - 1 in known_years]
    a_year = DESTINATIONS * FIRMS
    is_compared = (pl.col(FIRM_CELL) // a_year % YEARS_OF_A_CITY).is_in(compared)
    held = rows.group_by(FIRM_CELL, "_pair").agg(pl.col("cents").sum())
    now = held.filter(is_compared).rename({"cents": "now"})
    before = held.with_columns(pl.col(FIRM_CELL) + a_year).filter(is_compared).rename({"cents": "before"})
    both = now.join(before, on=[FIRM_CELL, "_pair"], how="full", coalesce=True)
    both = both.with_columns(pl.col("now", "before").fill_null(0))
    change, held_both = pl.col("now") - pl.col("before"), (pl.col("now") > 0) & (pl.col("before") > 0)
    of_pair = {
        "added": pl.col("before") == 0, "dropped": pl.col("now") == 0, "grown": held_both & (change > 0),
        "shrunk": held_both & (change < 0),
    }
    sums = ["now", "before", *of_pair]
    firms = both.with_columns(pl.when(condition).then(change).otherwise(0).alias(name) for name, condition in of_pair.items())
    firms = firms.group_by(FIRM_CELL).agg(pl.col(sums).sum())
    # all that a firm sells more or less when it comes or goes is of the firm, not of its cells
    enters, leaves = pl.col("before") == 0, pl.col("now") == 0
    of_firm = {"entrants": enters, "exiters": leaves}
    firms = firms.with_columns(
        change.alias("change"), enters.cast(pl.Int64).alias("n_entrants"), leaves.cast(pl.Int64).alias("n_exiters"),
        *(pl.when(condition).then(change).otherwise(0).alias(name) for name, condition in of_firm.items()),
        *(pl.when(enters | leaves).then(0).otherwise(pl.col(name)).alias(name) for name in of_pair),
    )
    found = firms.group_by((pl.col(FIRM_CELL) // FIRMS).alias(CELL)).agg(
        pl.col("n_entrants", "n_exiters", "before", "change", *TERMS).sum()
    )
    return found.rename(
        {"before": "value_before_cents", "change": "value_change_cents"} | {name: f"change_{name}_cents" for name in TERMS}
    )


def hummels_klenow(cube: pl.DataFrame) -> pl.DataFrame:
    """Extensive and intensive margin of every city, as a whole and by destination, against China's other cities.

    Parameters
    ----------
    cube : DataFrame
        ``city_id, year, hs6_code, partner, cents`` of destinations, one row per key.

    Returns
    -------
    DataFrame
        ``city_id, year, destination, hk_extensive, hk_intensive``; null where no other city exports.
    """
    pair = ["year", "hs6_code", "partner"]
    others = cube.with_columns((pl.col("cents").sum().over(pair) - pl.col("cents")).alias("_others"))
    by_partner = others.group_by(*CITY_YEAR, "partner").agg(pl.col("cents").sum(), pl.col("_others").sum().alias("covered"))
    all_of_partner = cube.group_by("year", "partner").agg(pl.col("cents").sum().alias("_partner"))
    by_partner = by_partner.join(all_of_partner, on=["year", "partner"], how="left").with_columns(
        (pl.col("_partner") - pl.col("cents")).alias("possible")
    )
    all_of_year = cube.group_by("year").agg(pl.col("cents").sum().alias("_year"))
    whole = by_partner.group_by(CITY_YEAR).agg(pl.col("cents", "covered").sum()).join(all_of_year, on="year", how="left")
    possible = pl.col("_year") - pl.col("cents")
    whole = whole.with_columns(possible.alias("possible"), pl.lit(ALL_PARTNERS).alias("destination"))
    columns = [*_KEY, "cents", "covered", "possible"]
    found = pl.concat([whole.select(columns), by_partner.rename({"partner": "destination"}).select(columns)])
    return found.select(
        *_KEY,
        pl.when(pl.col("possible") > 0).then(pl.col("covered") / pl.col("possible")).alias("hk_extensive"),
        pl.when(pl.col("covered") > 0).then(pl.col("cents") / pl.col("covered")).alias("hk_intensive"),
    )
