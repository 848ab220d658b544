"""How far a column's answer hangs on choices: instruments, provinces, samples, samples of cities, measures of the outcome.

Each function returns one row per choice with both channels, their difference and its p-value, so that all choices read
alike. A choice that cannot be estimated has the reason in ``problem``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from estimation.dynamic_panel.postestimation import linear_combination
from estimation.dynamic_panel.results import GMMResults
from estimation.tables.channels import PRODUCTIVITY, resilience_term
from estimation.tables.columns import ColumnFit, estimate_column
from estimation.tables.samples import CityClasses
from estimation.tables.spec import Column, SampleRule
from estimation.tables.study import StudyPanel

TRIMMED_BY = {"lnvalue": "export value", "lnnum": "products", "lnnumcou": "destinations"}
#: What may be assumed of the controls, as the rows of the sensitivity table name it.
CONTROL_CLASSES = {
    "exogenous": "uncorrelated with errors and city effects", "exogenous_changes": "uncorrelated with errors only",
    "predetermined": "predetermined", "endogenous": "endogenous",
}
#: Instrument sets: lags and whether they are collapsed; ``None`` is all lags.
INSTRUMENT_SETS = (
    ((2, 2), True), ((2, 3), True), ((2, 4), True), ((2, None), True), ((3, 4), True), ((2, 2), False), ((2, 4), False),
)


def summarise(fit: ColumnFit, choice: str) -> dict[str, object]:
    """Return the row of one choice."""
    row: dict[str, object] = {"choice": choice, "n_obs": np.nan, "n_cities": np.nan, "n_instruments": np.nan,
                              "lag": np.nan, "lnAgg": np.nan, "resilience_channel": np.nan,
                              "productivity_channel": np.nan, "difference": np.nan, "std_error": np.nan,
                              "pvalue": np.nan, "ar2_p": np.nan, "hansen_p": np.nan, "problem": fit.failure}
    results = fit.results
    if results is None:
        return row
    term, sign = resilience_term(fit), fit.column.resilience_sign
    row |= {
        "n_obs": results.nobs, "n_cities": results.n_groups,
        "lag": float(results.params.get(fit.parameter("L.y"), np.nan)),
        "lnAgg": float(results.params.get("lnAgg", np.nan)),
    }
    if isinstance(results, GMMResults):
        row |= {
            "n_instruments": results.n_instruments, "ar2_p": results.ar_test(2).pvalue,
            "hansen_p": results.hansen.pvalue,
        }
    if {term, PRODUCTIVITY} <= set(results.params.index):
        gap = linear_combination(results, {PRODUCTIVITY: 1.0, term: -float(sign)})
        row |= {
            "resilience_channel": sign * float(results.params[term]),
            "productivity_channel": float(results.params[PRODUCTIVITY]),
            "difference": gap.estimate, "std_error": gap.std_error, "pvalue": gap.pvalue,
        }
    return row


def instrument_sensitivity(column: Column, panel: StudyPanel, classes: CityClasses) -> pd.DataFrame:
    """Estimate a column over instrument sets, both transforms and both steps."""
    choices = {
        f"lags {first}-{'all' if last is None else last}, {'collapsed' if collapse else 'one per period'}":
            column.replaced(lags=(first, last), core_lags=None, collapse=collapse)
        for (first, last), collapse in INSTRUMENT_SETS
    }
    choices |= {
        f"core regressors lag {'1' if last == 1 else f'{first}-{last}'}": column.replaced(core_lags=(first, last))
        for first, last in ((1, 1), (2, 4)) if (first, last) != column.options.lags_of_core
    }
    choices |= {
        f"controls {words}": column.replaced(controls=kind)
        for kind, words in CONTROL_CLASSES.items() if kind != column.options.controls
    }
    choices |= {
        "forward orthogonal deviations": column.replaced(transform="fod"),
        "one step": column.replaced(steps=1, errors="robust"),
        "year dummies" if column.options.time_effects == "none" else "no year dummies":
            column.replaced(time_effects="level" if column.options.time_effects == "none" else "none"),
    }
    return pd.DataFrame(
        [summarise(estimate_column(changed, panel, classes), choice) for choice, changed in choices.items()]
    )


def trimmed_by_each_outcome(column: Column, panel: StudyPanel, classes: CityClasses) -> pd.DataFrame:
    """Estimate a column without the lowest and highest tenth of export value, of products and of destinations.

    The paper prints the trim by value (Table 8) and claims the result for products and destinations as well. By rows, as it
    does, and by whole cities according to their first year, which selects on no later shock.
    """
    rows = []
    for outcome, words in TRIMMED_BY.items():
        sample = SampleRule(f"trimmed_{outcome}", "trim", by=outcome, below_percentile=10, above_percentile=90)
        for trim, how in (("rows", "city-years"), ("first_year", "cities by their first year")):
            changed = replace(column.replaced(trim=trim), sample=sample)
            rows.append(summarise(estimate_column(changed, panel, classes), f"without a tenth of {words} at each end, {how}"))
    return pd.DataFrame(rows)


def leave_one_province_out(column: Column, panel: StudyPanel, classes: CityClasses) -> pd.DataFrame:
    """Estimate a column without each province in turn."""
    provinces = panel.natural["province_code"].astype(str)
    rows = [
        summarise(estimate_column(column, panel.with_rows((provinces != code).to_numpy()), classes), code)
        for code in sorted(provinces.unique())
    ]
    return pd.DataFrame(rows)


def without_cities(
    column: Column, panel: StudyPanel, classes: CityClasses, city_years: Mapping[str, set[tuple[str, int]]]
) -> pd.DataFrame:
    """Estimate a column without named sets of city-years, such as cities whose postcodes are ambiguous."""
    keys = list(zip(panel.natural[panel.entity].astype(str), panel.natural[panel.time].astype(int), strict=True))
    rows = []
    for choice, left_out in city_years.items():
        keep = np.array([key not in left_out for key in keys])
        row = summarise(estimate_column(column, panel.with_rows(keep), classes), choice)
        rows.append(row | {"n_left_out": int((~keep).sum())})
    return pd.DataFrame(rows)


def outcome_variants(
    column: Column, panel: StudyPanel, classes: CityClasses, variants: Mapping[str, pd.Series]
) -> pd.DataFrame:
    """Estimate a column with the outcome measured differently (natural log values aligned with the panel's rows).

    Each variant is scaled with its own mean and standard deviation, as another outcome would be.
    """
    rows = []
    for choice, values in variants.items():
        natural = panel.natural.assign(**{column.dependent: values.to_numpy(dtype=float)})
        scaled = {name: source for name, source in panel.scaled.items() if name != column.dependent}
        constants = {name: value for name, value in panel.constants.items() if name != column.dependent}
        changed = replace(panel, natural=natural, scaled=scaled, constants=constants)
        rows.append(summarise(estimate_column(column, changed, classes), choice))
    return pd.DataFrame(rows)


def growth_in_place_of_resilience(columns: Sequence[Column], panel: StudyPanel, classes: CityClasses) -> pd.DataFrame:
    """Estimate columns with plain growth for resilience: differenced, the two are the same variable."""
    rows = []
    for column in columns:
        swapped = _with_resilience(column, "lnGrowth")
        for choice, one in (("lnRes", column), ("lnGrowth", swapped)):
            row = summarise(estimate_column(one, panel, classes), choice)
            rows.append({"dependent": column.dependent} | row)
    return pd.DataFrame(rows)


def _with_resilience(column: Column, measure: str) -> Column:
    def renamed(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple("*".join(measure if part == column.resilience else part for part in name.split("*")) for name in names)

    return replace(
        column, resilience=measure, endogenous=renamed(column.endogenous), predetermined=renamed(column.predetermined),
        exogenous=renamed(column.exogenous), resilience_sign=1,
    )
