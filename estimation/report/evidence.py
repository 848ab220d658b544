"""What stands beside the tables: joint tests and judged claims from the fits, and robustness, which estimates again.

Every part is a frame, so that it can be recorded in the lake and listed or drawn without estimating anything. What cannot
be had (a column that failed, a panel without provinces) is an empty frame.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

import numpy as np
import pandas as pd
import scipy

from estimation.dynamic_panel.results import GMMResults
from estimation.dynamic_panel.robustness import ols_bracket
from estimation.tables import CityClasses, PrintedTable, StudyPanel
from estimation.tables.channels import (
    agglomeration_effects,
    channel_coefficients,
    channel_tests,
    long_run,
    significance_ranges,
    subsample_differences,
)
from estimation.tables.claims import Claim, judge_claims
from estimation.tables.columns import ColumnFit
from estimation.tables.estimators import estimator_sensitivity, invariant_effects
from estimation.tables.mediation import mediation
from estimation.tables.robustness import (
    growth_in_place_of_resilience,
    instrument_sensitivity,
    leave_one_province_out,
    outcome_variants,
    trimmed_by_each_outcome,
    without_cities,
)

#: Names of the frames of `collect_robustness`.
ROBUSTNESS = ("mediation", "sensitivity", "estimators", "invariant", "provinces", "growth", "variants")
#: Shares of the residuals and of the fitted values shown in the plots.
RESIDUAL_SHARES = (0.1, 0.5, 0.9)
N_BINS = 20


def collect_evidence(tables: Sequence[PrintedTable], panel: StudyPanel) -> dict[str, pd.DataFrame]:
    """Return what follows from the fits of all tables of one profile; nothing is estimated again.

    Parameters
    ----------
    tables : sequence of PrintedTable
        Just estimated: their fits are needed, so tables read back from records will not do.

    Returns
    -------
    dict
        channel_tests, channel_coefficients, subsample_differences, long_run, effects, ranges, specification, bracket,
        claims, notes, residual_bins, residual_quantiles, city_residuals.
    """
    fits = _baseline(tables)
    return {
        "channel_tests": channel_tests(tables, panel),
        "channel_coefficients": channel_coefficients(tables),
        "subsample_differences": subsample_differences(tables),
        "long_run": _by_outcome(fits, long_run),
        "effects": _by_outcome(fits, lambda fit: agglomeration_effects(fit, panel)),
        "ranges": _by_outcome(fits, lambda fit: significance_ranges(fit, panel)),
        "specification": _specification(fits),
        "bracket": _brackets(fits),
        "claims": pd.DataFrame([asdict(claim) for claim in judge_claims(tables, panel)]),
        "notes": _notes(tables),
        "residual_bins": _by_outcome(fits, _residual_bins),
        "residual_quantiles": _by_outcome(fits, _residual_quantiles),
        "city_residuals": _by_outcome(fits, lambda fit: _city_residuals(fit, panel)),
    }


def collect_robustness(
    tables: Sequence[PrintedTable], panel: StudyPanel, classes: CityClasses, *,
    outcomes: Mapping[str, Mapping[str, pd.Series]] | None = None, left_out: Mapping[str, set] | None = None,
    n_replications: int = 199,
) -> dict[str, pd.DataFrame]:
    """Estimate the baseline again under other choices.

    Parameters
    ----------
    outcomes : mapping
        Outcome to (choice to log values aligned with the panel's rows).
    left_out : mapping
        Choice to city-years to leave out.
    n_replications : int
        Bootstrap draws of the mediation paths.
    """
    fits = _baseline(tables)
    return {
        "mediation": _by_outcome(fits, lambda fit: mediation(fit, panel, n_replications=n_replications)),
        "sensitivity": _by_outcome(fits, lambda fit: instrument_sensitivity(fit.column, panel, classes)),
        "estimators": _by_outcome(fits, lambda fit: estimator_sensitivity(fit, panel)),
        "invariant": _by_outcome(fits, lambda fit: invariant_effects(fit, panel)),
        "provinces": _province_extremes(fits, panel, classes),
        "growth": growth_in_place_of_resilience([fit.column for fit in fits], panel, classes),
        "variants": _variants(fits, panel, classes, outcomes or {}, left_out or {}),
    }


def claims_of(evidence: Mapping[str, pd.DataFrame]) -> tuple[Claim, ...]:
    """The judged claims of recorded evidence; none when they are not recorded."""
    frame = evidence.get("claims", pd.DataFrame())
    return tuple(Claim(**row) for row in frame.to_dict("records"))


def notes_of(evidence: Mapping[str, pd.DataFrame]) -> dict[str, dict[int, list[str]]]:
    """Table to column's position to what the estimator noted."""
    found: dict[str, dict[int, list[str]]] = {}
    for row in evidence.get("notes", pd.DataFrame()).to_dict("records"):
        found.setdefault(str(row["result_table"]), {}).setdefault(int(row["column"]), []).append(str(row["note"]))
    return found


def _baseline(tables: Sequence[PrintedTable]) -> list[ColumnFit]:
    """Estimated columns of Table 1."""
    return [
        column.fit
        for table in tables if table.table.number == 1 for column in table.columns if column.fit.results is not None
    ]


def _results(fit: ColumnFit) -> GMMResults:
    """Results of a column of `_baseline`, which all have them."""
    assert fit.results is not None
    return fit.results


def _by_outcome(fits: Sequence[ColumnFit], make: Callable[[ColumnFit], pd.DataFrame]) -> pd.DataFrame:
    parts = [made.assign(dependent=fit.column.dependent) for fit in fits if not (made := make(fit)).empty]
    if not parts:
        return pd.DataFrame()
    frame = pd.concat(parts, ignore_index=True)
    return frame[["dependent", *[name for name in frame.columns if name != "dependent"]]]


def _province_extremes(fits: Sequence[ColumnFit], panel: StudyPanel, classes: CityClasses) -> pd.DataFrame:
    """Smallest and largest difference of the channels when one province is left out."""
    if "province_code" not in panel.natural:
        return pd.DataFrame()
    rows = []
    for fit in fits:
        frame = leave_one_province_out(fit.column, panel, classes).dropna(subset=["difference"])
        if frame.empty:
            continue
        frame["choice"] = frame["choice"].replace(classes.province_names)
        low, high = frame.loc[frame["difference"].idxmin()], frame.loc[frame["difference"].idxmax()]
        rows.append({
            "dependent": fit.column.dependent, "provinces": len(frame),
            "smallest_difference": low["difference"], "its_pvalue": low["pvalue"], "without": low["choice"],
            "largest_difference": high["difference"], "its_pvalue_": high["pvalue"], "without_": high["choice"],
            "sign_changes": bool((np.sign(frame["difference"]) != np.sign(frame["difference"].iloc[0])).any()),
        })
    return pd.DataFrame(rows)


def _variants(
    fits: Sequence[ColumnFit], panel: StudyPanel, classes: CityClasses,
    outcomes: Mapping[str, Mapping[str, pd.Series]], left_out: Mapping[str, set],
) -> pd.DataFrame:
    parts = []
    for fit in fits:
        column = fit.column
        parts.append(trimmed_by_each_outcome(column, panel, classes).assign(dependent=column.dependent))
        if left_out:
            parts.append(without_cities(column, panel, classes, left_out).assign(dependent=column.dependent))
        variants = outcomes.get(column.dependent, {})
        if variants:
            parts.append(outcome_variants(column, panel, classes, variants).assign(dependent=column.dependent))
    if not parts:
        return pd.DataFrame()
    frame = pd.concat(parts, ignore_index=True)
    return frame[["dependent", *[name for name in frame.columns if name != "dependent"]]]


def _specification(fits: Sequence[ColumnFit]) -> pd.DataFrame:
    """Tests of the moments and of autocorrelation of the baseline columns."""
    rows = []
    for fit in fits:
        results = _results(fit)
        head = {"dependent": fit.column.dependent}
        for order in (1, 2, 3):
            test = results.ar_test(order)
            rows.append(head | {"test": f"AR({order})", "stat": test.stat, "df": np.nan, "pvalue": test.pvalue})
        for name, test in (("Hansen", results.hansen), ("Sargan", results.sargan)):
            rows.append(head | {"test": name, "stat": test.stat, "df": test.df, "pvalue": test.pvalue})
        for part in results.diff_in_hansen:
            if part.difference.applies:
                rows.append(head | {
                    "test": f"difference-in-Hansen: {part.group}", "stat": part.difference.stat,
                    "df": part.difference.df, "pvalue": part.difference.pvalue,
                })
    return pd.DataFrame(rows)


def _brackets(fits: Sequence[ColumnFit]) -> pd.DataFrame:
    rows = []
    for fit in fits:
        bracket = ols_bracket(_results(fit))
        rows.append({
            "dependent": fit.column.dependent, "fixed_effects": bracket.fixed_effects, "gmm": bracket.gmm,
            "pooled_ols": bracket.pooled, "gmm_inside": bracket.inside,
        })
    return pd.DataFrame(rows)


def _notes(tables: Sequence[PrintedTable]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"result_table": table.table.name, "column": column.fit.column.position, "note": note}
            for table in tables for column in table.columns for note in column.fit.notes
        ],
        columns=["result_table", "column", "note"],
    )


def _level_residuals(fit: ColumnFit) -> pd.DataFrame:
    residuals = _results(fit).resids
    return residuals[residuals["equation"] == "level"]


def _residual_bins(fit: ColumnFit) -> pd.DataFrame:
    """Residuals of the level equation over the fitted values: quantiles within bins of equal size."""
    level = _level_residuals(fit)
    bins = pd.qcut(level["fitted"], min(N_BINS, len(level)), duplicates="drop")
    grouped = level.groupby(bins, observed=True)
    shares = grouped["resid"].quantile(list(RESIDUAL_SHARES)).unstack()
    shares.columns = ["lower", "median", "upper"]
    return shares.assign(fitted=grouped["fitted"].mean()).reset_index(drop=True)


def _residual_quantiles(fit: ColumnFit) -> pd.DataFrame:
    """Quantiles of the standardised residuals beside those of the normal distribution."""
    resid = _level_residuals(fit)["resid"].to_numpy()
    shares = np.arange(1, 100) / 100
    return pd.DataFrame({
        "share": shares, "normal": scipy.stats.norm.ppf(shares),
        "residual": np.quantile((resid - resid.mean()) / resid.std(), shares),
    })


def _city_residuals(fit: ColumnFit, panel: StudyPanel) -> pd.DataFrame:
    """Mean residual of the level equation by city."""
    return _level_residuals(fit).groupby(panel.entity)["resid"].mean().rename("residual").reset_index()
