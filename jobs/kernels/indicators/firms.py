"""From cells to the firm cube: value, variety, ownership, and what a firm adds, keeps and drops from year to year."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from jobs.kernels.indicators.cells import CITY_YEAR, FIRM, Cells
from jobs.kernels.trade_codes import INTERMEDIARY_RULES, OWNERSHIPS, UNKNOWN

#: Columns of a cell that say what a thing is.
THINGS = {"product": "hs6_family", "destination": "partner"}
_COUNTED = {
    "n_products": ("hs6_code",), "n_products_family": ("hs6_family",), "n_destinations": ("partner",),
    "n_firm_pairs": ("hs6_family", "partner"),
}
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
    cells = given.cells.filter(pl.col("firm_id").is_not_null())
    asked = cells.filter(pl.col("year").is_in(list(years)))
    firms = _levels(asked).join(_spans(cells, given.presence), on=["city_id", "firm_id"], how="left")
    totals = cells.group_by(FIRM).agg(pl.col("cents").sum().alias("value_cents"))
    firms = firms.join(_at(totals, +1, "value_before_cents"), on=FIRM, how="left")
    firms = firms.join(_at(totals, -1, "value_after_cents"), on=FIRM, how="left")
    has_before, has_after = (pl.col("year").add(step).is_in(list(known_years)) for step in (-1, 1))
    firms = firms.with_columns(
        pl.when(has_before).then(pl.col("value_before_cents").is_not_null()).alias("exports_before"),
        pl.when(has_after).then(pl.col("value_after_cents").is_not_null()).alias("exports_after"),
    )
    for thing, column in THINGS.items():
        firms = _with_changes(firms, cells, thing, column)
    return _with_intermediary(firms, names_left_out=names_left_out)


def _levels(cells: pl.DataFrame) -> pl.DataFrame:
    """What needs no other year."""
    cents, owners = pl.col("cents"), (*OWNERSHIPS, UNKNOWN)
    of_regime = [pl.when(pl.col("regime") == name).then(cents).otherwise(0).alias(f"share_{name}") for name in _REGIMES]
    of_owner = [pl.when(pl.col("ownership") == name).then(cents).otherwise(0).alias(f"_{name}") for name in owners]
    # sums of columns and lengths of groups: what Polars does fastest
    sums = ["cents", "n_records", "n_named", *(f"n_{rule}" for rule in INTERMEDIARY_RULES)]
    parts = [*(f"share_{name}" for name in _REGIMES), *(f"_{name}" for name in owners)]
    firms = cells.with_columns(*of_regime, *of_owner).group_by(FIRM).agg(pl.col(*sums, *parts).sum())
    firms = firms.rename({"cents": "value_cents"})
    for name, columns in _COUNTED.items():
        held = cells.filter(pl.all_horizontal(pl.col(column).is_not_null() for column in columns))
        counted = held.select(*FIRM, *columns).unique().group_by(FIRM).agg(pl.len().cast(pl.Int64).alias(name))
        firms = firms.join(counted, on=FIRM, how="left")
    largest = pl.max_horizontal(f"_{name}" for name in owners)
    owner = pl.coalesce(pl.when(pl.col(f"_{name}") == largest).then(pl.lit(name)) for name in owners)
    total = pl.col("value_cents")
    return firms.with_columns(
        pl.col(list(_COUNTED)).fill_null(0), owner.alias("firm_ownership"),
        *((pl.col(f"share_{name}") / total).alias(f"share_{name}") for name in _REGIMES),
        *((pl.col(f"_{name}") / total).alias(f"share_{name}") for name in OWNERSHIPS if name != "other"),
    ).drop(f"_{name}" for name in owners)


def _spans(cells: pl.DataFrame, presence: pl.DataFrame) -> pl.DataFrame:
    """First and last year of each firm in each city."""
    seen = pl.concat([cells.select(FIRM), presence.filter(pl.col("firm_id").is_not_null()).select(FIRM)])
    return seen.group_by("city_id", "firm_id").agg(
        pl.col("year").min().alias("first_year"), pl.col("year").max().alias("last_year")
    )


def _at(totals: pl.DataFrame, step: int, name: str) -> pl.DataFrame:
    """Values of each firm moved by a year: those of the year before (+1) or after (-1) stand beside the year's."""
    return totals.select("city_id", pl.col("year") + step, "firm_id", pl.col("value_cents").alias(name))


def _with_changes(firms: pl.DataFrame, cells: pl.DataFrame, thing: str, column: str) -> pl.DataFrame:
    """Add what is new, kept and dropped of one kind of thing, of firms that export in both years compared."""
    key = [*FIRM, column]
    held = cells.filter(pl.col(column).is_not_null()).group_by(key).agg(pl.col("cents").sum())
    marks = held.select(*CITY_YEAR, "firm_id", column)
    before, after = (
        marks.with_columns(pl.col("year") + step, pl.lit(True).alias(name)) for step, name in ((1, "_before"), (-1, "_after"))
    )
    now = held.join(before, on=key, how="left").join(after, on=key, how="left")
    is_new, is_kept = pl.col("_before").is_null(), pl.col("_after").is_not_null()
    now = now.with_columns(
        is_new.cast(pl.Int64).alias("_new"), (is_new & is_kept).cast(pl.Int64).alias("_kept"),
        (~is_kept).cast(pl.Int64).alias("_gone"), pl.when(is_new).then("cents").otherwise(0).alias("_new_cents"),
    )
    counted = now.group_by(FIRM).agg(pl.col("_new", "_kept", "_gone", "_new_cents").sum(), pl.len().cast(pl.Int64).alias("_n"))
    here = counted.select(
        *FIRM, pl.col("_new").alias(f"n_{thing}s_new"), pl.col("_kept").alias(f"n_{thing}s_kept"),
        pl.col("_new_cents").alias(f"value_new_{thing}s_cents"),
    )
    # seen from the year before: what it holds that this year does not, and from this year what the next has new
    gone = counted.select("city_id", pl.col("year") + 1, "firm_id", pl.col("_gone").alias(f"n_{thing}s_dropped"))
    coming = counted.select(
        "city_id", pl.col("year") - 1, "firm_id", pl.col("_new").alias(f"n_{thing}s_new_after"),
        pl.col("_n").alias(f"n_{thing}s_after"), pl.col("_new_cents").alias(f"value_new_{thing}s_after_cents"),
    )
    joined = firms.join(here, on=FIRM, how="left").join(gone, on=FIRM, how="left").join(coming, on=FIRM, how="left")
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
