"""Dynamics of exporters by city and year, from the firm cube: the World Bank's Exporter Dynamics indicators.

A firm is an entrant of t when it exports in t and not in t-1, an exiter of t when it exports in t-1 and not in t, an
incumbent when in both, a surviving entrant when it enters in t and exports in t+1. So N_t = I_t + E_t and
N_(t-1) = I_t + X_t. Entrants are split by cause: a firm that exported in t-1 from a county or county-level city which is a
district of the city in t was there before (annexed); one that exported from elsewhere moved in; the others are new.
"""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from jobs.kernels.indicators.cells import CITY_YEAR, FIRM
from jobs.kernels.indicators.statistics import described
from schemas.indicators import (
    FIRM_MEASURES,
    POPULATIONS,
    SHORT_STATISTICS,
    STATES,
    STATISTICS,
    THINGS,
    VARIETY_MEASURES,
)

TOP_PERCENT = (1, 5, 25)
#: Columns of the firm cube that dynamics read.
CUBE_INPUTS = (
    *FIRM, "value_cents", "value_after_cents", "n_products_family", "n_destinations", "is_intermediary_ahn",
    "intermediary_reason", "exports_before", "exports_after",
    *(
        name
        for thing in THINGS
        for name in (
            f"n_{thing}s_new", f"n_{thing}s_kept", f"n_{thing}s_dropped", f"n_{thing}s_new_after", f"n_{thing}s_after",
            f"value_new_{thing}s_cents", f"value_new_{thing}s_after_cents",
        )
    ),
)


def dynamics(
    cube: pl.DataFrame, spread: pl.DataFrame, elsewhere: pl.DataFrame, years: Collection[int], *,
    known_years: Collection[int],
) -> pl.DataFrame:
    """Return the rows of ``gold.city_dynamics`` under the borders of each year.

    Parameters
    ----------
    cube : DataFrame
        :data:`CUBE_INPUTS` of the years, the one before and the three after.
    spread : DataFrame
        Rows of ``gold.city_diversity``, which know how many firms export each product and destination.
    elsewhere : DataFrame
        ``city_id, year, firm_id, annexed_year``: exports from outside the districts; ``annexed_year`` is the first year in
        which the place is a district of the city, null if it never is.
    years, known_years : collection of int
        Years wanted; years that the lake holds.
    """
    states = _states(cube.select(*FIRM, "value_cents", "is_intermediary_ahn"), list(known_years))
    states = states.join(entry_causes(cube, elsewhere), on=FIRM, how="left").filter(pl.col("year").is_in(list(years)))
    parts = []
    for population in POPULATIONS:
        measured = _firm_measures(_of_population(states, population), known_years)
        variety = _variety(_of_population(cube, population), years)
        measured = measured.join(variety, on=CITY_YEAR, how="left")
        parts.append(measured.with_columns(pl.lit(population).alias("population")))
    found = pl.concat([parts[0], _with_reasons(parts[1], parts[0], cube)], how="diagonal_relaxed")
    return found.join(_firms_per_thing(spread), on=[*CITY_YEAR, "population"], how="left").with_columns(
        pl.lit("year").alias("borders"), pl.lit(None, pl.Int32).alias("borders_year")
    )


def constant_dynamics(
    cube: pl.DataFrame, outside: pl.DataFrame, years: Collection[int], *, known_years: Collection[int], borders_year: int
) -> pl.DataFrame:
    """Return the rows under the borders of one year: with what firms exported from the city's later districts.

    Parameters
    ----------
    cube : DataFrame
        As of :func:`dynamics`.
    outside : DataFrame
        As ``elsewhere`` of :func:`dynamics`, with ``value_cents`` and ``is_intermediary_ahn``.
    years, known_years : collection of int
        Years wanted, of which those after ``borders_year`` have no such rows; years that the lake holds.
    borders_year : int
        Year whose districts count in all years.
    """
    # a place whose city is not known lies within the borders of none
    is_known = pl.col("firm_id").is_not_null() & pl.col("city_id").is_not_null()
    later = outside.filter((pl.col("annexed_year") <= borders_year) & is_known)
    columns = [*FIRM, "value_cents", "is_intermediary_ahn"]
    both = pl.concat([cube.select(columns), later.select(columns)]).group_by(FIRM).agg(
        pl.col("value_cents").sum(), pl.col("is_intermediary_ahn").any(ignore_nulls=False)
    )
    # within constant borders nothing is annexed: what lies outside of them stays there
    beyond = outside.filter(~(pl.col("annexed_year") <= borders_year).fill_null(False))
    causes = entry_causes(both, beyond.with_columns(pl.lit(None, pl.Int32).alias("annexed_year")))
    asked = [year for year in years if year <= borders_year]
    states = _states(both, list(known_years)).join(causes, on=FIRM, how="left").filter(pl.col("year").is_in(asked))
    everyone, producers = (
        _firm_measures(_of_population(states, one), known_years).with_columns(pl.lit(one).alias("population"))
        for one in POPULATIONS
    )
    return pl.concat([everyone, _with_reasons(producers, everyone, cube)], how="diagonal_relaxed").with_columns(
        pl.lit("constant").alias("borders"), pl.lit(borders_year, pl.Int32).alias("borders_year")
    )


def entry_causes(cube: pl.DataFrame, elsewhere: pl.DataFrame) -> pl.DataFrame:
    """``city_id, year, firm_id, cause`` of firms that exported from another place in the year before: annexed or moved in.

    ``year`` is the year of a possible entry; who is in no row is new if he enters.
    """
    places = pl.concat([
        cube.select("city_id", "year", "firm_id", pl.lit(None, pl.Int32).alias("annexed_year")),
        elsewhere.filter(pl.col("firm_id").is_not_null()).select(
            "city_id", "year", "firm_id", pl.col("annexed_year").cast(pl.Int32)
        ),
    ]).with_columns(pl.col("year") + 1)
    entries = cube.select(FIRM)
    # the very place has become a district of the city that the firm now exports from
    annexed = places.filter(pl.col("annexed_year") <= pl.col("year")).select(FIRM).unique()
    moved = places.select("year", "firm_id").unique()
    return pl.concat([
        entries.join(annexed, on=FIRM, how="semi").with_columns(pl.lit("annexed").alias("cause")),
        entries.join(annexed, on=FIRM, how="anti").join(moved, on=["year", "firm_id"], how="semi").with_columns(
            pl.lit("moved_in").alias("cause")
        ),
    ])


def _of_population(firms: pl.DataFrame, population: str) -> pl.DataFrame:
    """All firms, or those that are known not to be trading companies in the year (exiters: in the year before)."""
    return firms if population == "all" else firms.filter(~pl.col("is_intermediary_ahn"))


def _firm_measures(told: pl.DataFrame, known_years: Collection[int]) -> pl.DataFrame:
    """What firms and their value tell: counts, rates, survival, values and growth by state, concentration."""
    value, is_here = pl.col("now") / 100, pl.col("now").is_not_null()
    before, after = pl.col("before") / 100, pl.col("after") / 100
    state = {name: pl.col(name) for name in STATES}
    of_state = {name: value.filter(condition) for name, condition in state.items()} | {
        "exiter": before.filter(state["exiter"])
    }
    growth = {
        "incumbent": (value.log() - before.log()).filter(state["incumbent"]),
        "surviving_entrant": (after.log() - value.log()).filter(state["surviving_entrant"]),
    }
    shares = pl.col("now").filter(is_here).sort(descending=True) / pl.col("now").sum()
    cause = pl.col("cause").fill_null("new")
    counted = told.group_by(CITY_YEAR).agg(
        *(condition.sum().cast(pl.Int64).alias(f"_{name}") for name, condition in state.items()),
        *(
            (state["entrant"] & (cause == name)).sum().cast(pl.Int64).alias(f"n_entrants_{name}")
            for name in ("new", "moved_in", "annexed")
        ),
        *(
            (state["entrant"] & pl.col(f"alive_{ahead}")).sum().alias(f"_alive_{ahead}") for ahead in (1, 2, 3)
        ),
        (pl.col("now").filter(state["entrant"]).sum() / pl.col("now").sum()).alias("share_value_entrants"),
        *(one for name, values in of_state.items() for one in described(values, f"value_{name}", STATISTICS, "_usd")),
        *(one for name, values in growth.items() for one in described(values, f"growth_{name}", STATISTICS)),
        (shares * shares).sum().alias("herfindahl_firms"),
        *(
            shares.head((is_here.sum().cast(pl.Int64) * percent + 99) // 100).sum().alias(f"share_value_top_{percent}pct")
            for percent in TOP_PERCENT
        ),
    )
    return _with_edges(counted, list(known_years))


def _states(firms: pl.DataFrame, known: list[int]) -> pl.DataFrame:
    """Every firm of t or t-1 in each city and year with its values and states."""
    now = firms.rename({"value_cents": "now"})
    before = firms.with_columns(pl.col("year") + 1).rename({"value_cents": "before", "is_intermediary_ahn": "_former"})
    told = now.join(before.filter(pl.col("year").is_in(known)), on=FIRM, how="full", coalesce=True)
    for ahead in (1, 2, 3):
        later = firms.select("city_id", pl.col("year") - ahead, "firm_id", pl.col("value_cents").alias(f"_{ahead}"))
        told = told.join(later, on=FIRM, how="left").with_columns(pl.col(f"_{ahead}").is_not_null().alias(f"alive_{ahead}"))
    is_here, was_here = pl.col("now").is_not_null(), pl.col("before").is_not_null()
    return told.with_columns(
        pl.when(is_here).then("is_intermediary_ahn").otherwise("_former").alias("is_intermediary_ahn"),
        is_here.alias("exporter"), (is_here & ~was_here).alias("entrant"), (~is_here & was_here).alias("exiter"),
        (is_here & was_here).alias("incumbent"), (is_here & ~was_here & pl.col("alive_1")).alias("surviving_entrant"),
        pl.col("_1").alias("after"),
    )


def _with_edges(counted: pl.DataFrame, known: list[int]) -> pl.DataFrame:
    """Rates, and null for all that the lake lacks a year for."""
    has_before = (pl.col("year") - 1).is_in(known)
    has_after = {ahead: (pl.col("year") + ahead).is_in(known) for ahead in (1, 2, 3)}
    firms, entrants, incumbents = pl.col("_exporter"), pl.col("_entrant"), pl.col("_incumbent")
    former = incumbents + pl.col("_exiter")
    causes = ("new", "moved_in", "annexed")

    def of_entry(value: pl.Expr) -> pl.Expr:
        return pl.when(has_before).then(value)

    def rate(part: pl.Expr, whole: pl.Expr) -> pl.Expr:
        return pl.when(whole > 0).then(part / whole)

    needs_before = [
        "share_value_entrants", *(f"n_entrants_{name}" for name in causes),
        *(f"value_{state}_{one}_usd" for state in ("entrant", "exiter", "incumbent") for one in STATISTICS),
        *(f"growth_incumbent_{one}" for one in STATISTICS),
    ]
    needs_both = [
        *(f"value_surviving_entrant_{one}_usd" for one in STATISTICS),
        *(f"growth_surviving_entrant_{one}" for one in STATISTICS),
    ]
    filled = counted.with_columns(
        firms.alias("n_firms"), of_entry(entrants).alias("n_entrants"), of_entry(pl.col("_exiter")).alias("n_exiters"),
        of_entry(incumbents).alias("n_incumbents"),
        pl.when(has_before & has_after[1]).then(pl.col("_surviving_entrant")).alias("n_surviving_entrants"),
        of_entry(rate(entrants, firms)).alias("entry_rate"), of_entry(rate(pl.col("_exiter"), former)).alias("exit_rate"),
        *(of_entry(rate(pl.col(f"n_entrants_{name}"), firms)).alias(f"entry_rate_{name}") for name in causes),
        *(
            pl.when(has_before & has_after[ahead]).then(rate(pl.col(f"_alive_{ahead}"), entrants)).alias(f"survival_{ahead}")
            for ahead in (1, 2, 3)
        ),
        *(of_entry(pl.col(name)).alias(name) for name in needs_before),
        *(pl.when(has_before & has_after[1]).then(pl.col(name)).alias(name) for name in needs_both),
    )
    filled = filled.with_columns(
        pl.when(pl.col("n_firms") > 0).then(pl.col(name)).alias(name)
        for name in ("herfindahl_firms", "share_value_entrants", *(f"share_value_top_{percent}pct" for percent in TOP_PERCENT))
    )
    return filled.select(*CITY_YEAR, *FIRM_MEASURES)


def _variety(firms: pl.DataFrame, years: Collection[int]) -> pl.DataFrame:
    """What the products and destinations of each firm tell."""
    asked = firms.filter(pl.col("year").is_in(list(years)))
    stayed = pl.col("exports_before").fill_null(False)
    is_surviving = (~pl.col("exports_before") & pl.col("exports_after")).fill_null(False)
    in_three = (pl.col("exports_before") & pl.col("exports_after")).fill_null(False)
    counts = {"product": pl.col("n_products_family"), "destination": pl.col("n_destinations")}
    value = pl.col("value_cents")
    measures: list[pl.Expr] = []
    for thing, count in counts.items():
        new, kept = pl.col(f"n_{thing}s_new"), pl.col(f"n_{thing}s_kept")
        former = count - new + pl.col(f"n_{thing}s_dropped")
        after = pl.col(f"n_{thing}s_after")
        ratios = {
            f"{thing}_entry_incumbent": (new, count, stayed),
            f"{thing}_entry_surviving_entrant": (pl.col(f"n_{thing}s_new_after"), after, is_surviving),
            f"share_value_new_{thing}s_incumbent": (pl.col(f"value_new_{thing}s_cents"), value, stayed),
            f"share_value_new_{thing}s_surviving_entrant": (
                pl.col(f"value_new_{thing}s_after_cents"), pl.col("value_after_cents"), is_surviving
            ),
            f"{thing}_exit_incumbent": (pl.col(f"n_{thing}s_dropped"), former, stayed),
            f"{thing}_survival_incumbent": (kept, new, in_three),
        }
        for name, (part, whole, condition) in ratios.items():
            # a firm without new products has no share of them that is kept
            measures += described((part / whole).filter(condition & (whole > 0)), name, SHORT_STATISTICS)
        measures += described(count, f"{thing}s_per_firm", SHORT_STATISTICS)
    found = asked.group_by(CITY_YEAR).agg(measures)
    own = [name for name in VARIETY_MEASURES if not name.startswith("firms_per_")]
    return found.select(*CITY_YEAR, *own)


def _firms_per_thing(spread: pl.DataFrame) -> pl.DataFrame:
    """``city_id, year, population`` and the statistics of firms per HS family and per destination."""
    parts = []
    for population, counted in (("all", "firms"), ("producers", "producers")):
        found = spread.select(CITY_YEAR).unique().with_columns(pl.lit(population).alias("population"))
        for thing in THINGS:
            names = {f"{counted}_per_member_{one}": f"firms_per_{thing}_{one}" for one in SHORT_STATISTICS}
            rows = spread.filter(pl.col("over") == thing).select(*CITY_YEAR, *names).rename(names)
            found = found.join(rows, on=CITY_YEAR, how="left")
        parts.append(found)
    return pl.concat(parts)


def _with_reasons(producers: pl.DataFrame, everyone: pl.DataFrame, cube: pl.DataFrame) -> pl.DataFrame:
    """Producers of every city-year: null, with the reason, where no firm has a name; exits where none had one before."""
    has_names = cube.group_by(CITY_YEAR).agg(
        pl.col("is_intermediary_ahn").is_not_null().any().alias("_named"),
        pl.col("intermediary_reason").drop_nulls().first().alias("population_reason"),
    )
    before = has_names.select("city_id", pl.col("year") + 1, pl.col("_named").alias("_named_before"))
    rows = everyone.select(CITY_YEAR).join(producers, on=CITY_YEAR, how="left")
    rows = rows.join(has_names, on=CITY_YEAR, how="left").join(before, on=CITY_YEAR, how="left")
    is_known, was_known = pl.col("_named").fill_null(True), pl.col("_named_before").fill_null(True)
    measures = [name for name in producers.columns if name not in (*CITY_YEAR, "population", "n_firms")]
    of_exit = [name for name in measures if "exit" in name]
    return rows.with_columns(
        *(pl.when(is_known & was_known if name in of_exit else is_known).then(name).alias(name) for name in measures),
        # there may be none
        pl.when(is_known).then(pl.col("n_firms").fill_null(0)).alias("n_firms"),
        pl.when(~is_known).then("population_reason").alias("population_reason"), pl.lit("producers").alias("population"),
    ).drop("_named", "_named_before")
