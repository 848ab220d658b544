"""From cells to the firm cube: value, variety, ownership, and what a firm adds, keeps and drops from year to year."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from jobs.kernels.indicators.cells import FIRM, Cells
from jobs.kernels.trade_codes import INTERMEDIARY_RULES, OWNERSHIPS, UNKNOWN

#: Columns of a cell that say what a thing is.
THINGS = {"product": "hs6_family", "destination": "partner"}
_COUNTED = {
    "n_products": "hs6_code", "n_products_family": "hs6_family", "n_destinations": "partner", "n_firm_pairs": "_pair",
}
#: A firm of a city in a year as one number, and how far numbers of one firm lie apart.
FIRM_YEAR, YEARS_OF_A_FIRM = "_firm_year", 4096
CODES_OF_A_THING = 2**24
_PARTNERS = 1024
_REGIMES = ("ordinary", "processing")


def firm_cube(
    given: Cells, years: Collection[int], *, known_years: Collection[int], names_left_out: bool = False
) -> pl.DataFrame:
    """Return the rows of ``gold.city_firm`` of some years.

    Parameters
    ----------
    given : Cells
        Cells of the years and of the years before and after them that the lake holds; firms of all others.
    years : collection of int
        Years wanted.
    known_years : collection of int
        Years that the lake holds: only these can say that a firm did not export.
    names_left_out : bool
        The lake keeps no names of firms, by its settings.

    Returns
    -------
    DataFrame
        Columns of ``gold.city_firm``; dollars as ``..._cents``.
    """
    known = given.cells.filter(pl.col("firm_id").is_not_null())
    firm = ["city_id", "firm_id"]
    units = known.select(firm).unique().with_row_index("_unit")
    cells = _numbered(known.join(units, on=firm))
    years_of = pl.col(FIRM_YEAR) % YEARS_OF_A_FIRM
    firms = _levels(cells.filter(pl.col("year").is_in(list(years))))
    totals = cells.group_by(FIRM_YEAR).agg(pl.col("cents").sum().alias("value_cents"))
    for step, name in ((1, "before"), (-1, "after")):
        moved = totals.select(pl.col(FIRM_YEAR) + step, pl.col("value_cents").alias(f"value_{name}_cents"))
        has_other = (years_of - step).is_in(list(known_years))
        firms = firms.join(moved, on=FIRM_YEAR, how="left").with_columns(
            pl.when(has_other).then(pl.col(f"value_{name}_cents").is_not_null()).alias(f"exports_{name}")
        )
    for thing, column in THINGS.items():
        firms = _with_changes(firms, cells, thing, column)
    firms = firms.with_columns(
        (pl.col(FIRM_YEAR) // YEARS_OF_A_FIRM).cast(units.schema["_unit"]).alias("_unit"),
        years_of.cast(pl.Int32).alias("year"),
    )
    firms = firms.join(units, on="_unit").join(_spans(known, given.presence), on=firm, how="left")
    return _with_intermediary(firms.drop(FIRM_YEAR, "_unit"), names_left_out=names_left_out)


def _numbered(cells: pl.DataFrame) -> pl.DataFrame:
    """Cells with numbers for texts: a group or a join by one whole number is several times as fast as by five texts.

    A firm of a city in a year is ``unit * 4096 + year``, so that the year before is one less; with a thing it is
    ``firm-year * 2^24 + code``.
    """
    codes = [
        cells[name].cast(pl.Enum(cells[name].drop_nulls().unique())).to_physical().cast(pl.Int64)
        for name in ("hs6_code", "hs6_family", "partner")
    ]
    numbered = cells.with_columns(
        *codes, (pl.col("_unit").cast(pl.Int64) * YEARS_OF_A_FIRM + pl.col("year")).alias(FIRM_YEAR)
    )
    pair = pl.col("hs6_family") * _PARTNERS + pl.col("partner")
    return numbered.with_columns(pair.alias("_pair"))


def _levels(cells: pl.DataFrame) -> pl.DataFrame:
    """What needs no other year."""
    cents, owners = pl.col("cents"), (*OWNERSHIPS, UNKNOWN)
    of_regime = [pl.when(pl.col("regime") == name).then(cents).otherwise(0).alias(f"share_{name}") for name in _REGIMES]
    of_owner = [pl.when(pl.col("ownership") == name).then(cents).otherwise(0).alias(f"_{name}") for name in owners]
    # sums of columns and lengths of groups: what Polars does fastest
    sums = ["cents", "n_records", "n_named", *(f"n_{rule}" for rule in INTERMEDIARY_RULES)]
    parts = [*(f"share_{name}" for name in _REGIMES), *(f"_{name}" for name in owners)]
    firms = cells.with_columns(*of_regime, *of_owner).group_by(FIRM_YEAR).agg(pl.col(*sums, *parts).sum())
    firms = firms.rename({"cents": "value_cents"})
    for name, column in _COUNTED.items():
        held = cells.filter(pl.col(column).is_not_null()).select(_thing(column).alias("_thing")).unique()
        counted = held.group_by(_firm_year_of("_thing")).agg(pl.len().cast(pl.Int64).alias(name))
        firms = firms.join(counted, on=FIRM_YEAR, how="left")
    largest = pl.max_horizontal(f"_{name}" for name in owners)
    owner = pl.coalesce(pl.when(pl.col(f"_{name}") == largest).then(pl.lit(name)) for name in owners)
    total = pl.col("value_cents")
    return firms.with_columns(
        pl.col(list(_COUNTED)).fill_null(0), owner.alias("firm_ownership"),
        *((pl.col(f"share_{name}") / total).alias(f"share_{name}") for name in _REGIMES),
        *((pl.col(f"_{name}") / total).alias(f"share_{name}") for name in OWNERSHIPS if name != "other"),
    ).drop(f"_{name}" for name in owners)


def _thing(column: str) -> pl.Expr:
    return pl.col(FIRM_YEAR) * CODES_OF_A_THING + pl.col(column)


def _firm_year_of(thing: str) -> pl.Expr:
    return (pl.col(thing) // CODES_OF_A_THING).alias(FIRM_YEAR)


def _spans(cells: pl.DataFrame, presence: pl.DataFrame) -> pl.DataFrame:
    """First and last year of each firm in each city."""
    seen = pl.concat([cells.select(FIRM), presence.filter(pl.col("firm_id").is_not_null()).select(FIRM)])
    return seen.group_by("city_id", "firm_id").agg(
        pl.col("year").min().alias("first_year"), pl.col("year").max().alias("last_year")
    )


def _with_changes(firms: pl.DataFrame, cells: pl.DataFrame, thing: str, column: str) -> pl.DataFrame:
    """Add what is new, kept and dropped of one kind of thing, of firms that export in both years compared."""
    held = cells.filter(pl.col(column).is_not_null()).group_by(_thing(column).alias("_thing")).agg(pl.col("cents").sum())
    before, after = (
        held.select(pl.col("_thing") + step * CODES_OF_A_THING, pl.lit(True).alias(name))
        for step, name in ((1, "_before"), (-1, "_after"))
    )
    now = held.join(before, on="_thing", how="left").join(after, on="_thing", how="left")
    is_new, is_kept = pl.col("_before").is_null(), pl.col("_after").is_not_null()
    now = now.with_columns(
        is_new.cast(pl.Int64).alias("_new"), (is_new & is_kept).cast(pl.Int64).alias("_kept"),
        (~is_kept).cast(pl.Int64).alias("_gone"), pl.when(is_new).then("cents").otherwise(0).alias("_new_cents"),
    )
    counted = now.group_by(_firm_year_of("_thing")).agg(
        pl.col("_new", "_kept", "_gone", "_new_cents").sum(), pl.len().cast(pl.Int64).alias("_n")
    )
    year = pl.col(FIRM_YEAR)
    here = counted.select(
        year, pl.col("_new").alias(f"n_{thing}s_new"), pl.col("_kept").alias(f"n_{thing}s_kept"),
        pl.col("_new_cents").alias(f"value_new_{thing}s_cents"),
    )
    # seen from the year before: what it holds that this year does not, and from this year what the next has new
    gone = counted.select(year + 1, pl.col("_gone").alias(f"n_{thing}s_dropped"))
    coming = counted.select(
        year - 1, pl.col("_new").alias(f"n_{thing}s_new_after"), pl.col("_n").alias(f"n_{thing}s_after"),
        pl.col("_new_cents").alias(f"value_new_{thing}s_after_cents"),
    )
    joined = firms
    for part in (here, gone, coming):
        joined = joined.join(part, on=FIRM_YEAR, how="left")
    of_before = (f"n_{thing}s_new", f"n_{thing}s_dropped", f"value_new_{thing}s_cents")
    of_after = (f"n_{thing}s_new_after", f"n_{thing}s_after", f"value_new_{thing}s_after_cents")
    stayed, stays = pl.col("exports_before").fill_null(False), pl.col("exports_after").fill_null(False)
    return joined.with_columns(
        *(pl.when(stayed).then(pl.col(name).fill_null(0)).alias(name) for name in of_before),
        *(pl.when(stays).then(pl.col(name).fill_null(0)).alias(name) for name in of_after),
        pl.when(stayed & stays).then(pl.col(f"n_{thing}s_kept").fill_null(0)).alias(f"n_{thing}s_kept"),
    )


def _with_intermediary(firms: pl.DataFrame, *, names_left_out: bool) -> pl.DataFrame:
    """A firm is a trading company when most of its records with a name have one that a rule takes for such."""
    has_name = pl.col("n_named") > 0
    reason = "names_left_out" if names_left_out else "no_name_delivered"
    return firms.with_columns(
        *(
            pl.when(has_name).then(2 * pl.col(f"n_{rule}") > pl.col("n_named")).alias(f"is_intermediary_{rule}")
            for rule in INTERMEDIARY_RULES
        ),
        pl.when(~has_name).then(pl.lit(reason)).alias("intermediary_reason"),
    ).drop("n_named", *(f"n_{rule}" for rule in INTERMEDIARY_RULES))
