"""Compute everything the report shows from printed tables, the panel and what is known of the data's way here.

Nothing is formatted here: frames, texts and SVG go to `estimation.report.page`. What cannot be had (a column that failed,
a lake without receipts) is left out and named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from estimation.dynamic_panel.robustness import ols_bracket
from estimation.report import plots
from estimation.tables import CityClasses, PrintedTable, StudyPanel, compare, count_agreement
from estimation.tables.channels import (
    PRODUCTIVITY,
    agglomeration_effects,
    channel_coefficients,
    channel_tests,
    long_run,
    resilience_term,
    significance_ranges,
    subsample_differences,
)
from estimation.tables.claims import Claim, judge_claims, paper_channel_tests
from estimation.tables.columns import ColumnFit
from estimation.tables.estimators import estimator_sensitivity, invariant_effects
from estimation.tables.mediation import mediation
from estimation.tables.printed import PaperColumn, PrintedColumn
from estimation.tables.robustness import (
    growth_in_place_of_resilience,
    instrument_sensitivity,
    leave_one_province_out,
    outcome_variants,
    trimmed_by_each_outcome,
    without_cities,
)


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where the data came from, as far as the lake knows.

    Attributes
    ----------
    command : str
        Command that makes the same report again.
    facts : dict
        Run, code version, configuration hash, panel version.
    versions : dict
        Table to version.
    settings : list of (setting, value, origin)
    funnel : list of (stage, count)
        From raw rows to observations.
    rejects : DataFrame
        Years by reasons, records; empty when unknown.
    coverage : DataFrame
        Years by city-years, complete ones and share.
    missing : DataFrame
        Variable, reason, city-years.
    outcome_variants : dict
        Outcome to (choice to log values aligned with the panel's rows).
    left_out : dict
        Choice to city-years to leave out.
    outline : dict or None
        The user's GeoJSON.
    coordinates : DataFrame
        city_id, lat, lon, name.
    """

    command: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, int] = field(default_factory=dict)
    settings: Sequence[tuple[str, str, str]] = ()
    funnel: Sequence[tuple[str, int]] = ()
    rejects: pd.DataFrame = field(default_factory=pd.DataFrame)
    coverage: pd.DataFrame = field(default_factory=pd.DataFrame)
    missing: pd.DataFrame = field(default_factory=pd.DataFrame)
    outcome_variants: Mapping[str, Mapping[str, pd.Series]] = field(default_factory=dict)
    left_out: Mapping[str, set] = field(default_factory=dict)
    outline: Mapping[str, object] | None = None
    coordinates: pd.DataFrame = field(default_factory=pd.DataFrame)


@dataclass(frozen=True, slots=True)
class StudyReport:
    """What the page shows; frames are ready to be listed, plots are SVG.

    Attributes
    ----------
    tables : dict
        Profile to its printed tables.
    claims : tuple of Claim
    frames : dict
        Name to frame.
    plots : dict
        Name to list of SVG.
    provenance : Provenance
    """

    tables: Mapping[str, Sequence[PrintedTable]]
    claims: tuple[Claim, ...]
    frames: Mapping[str, pd.DataFrame]
    plots: Mapping[str, Sequence[str]]
    provenance: Provenance


def build_report(
    tables: Mapping[str, Sequence[PrintedTable]],
    panel: StudyPanel,
    classes: CityClasses,
    paper: Mapping[tuple[int, int], PaperColumn],
    provenance: Provenance,
    *,
    n_replications: int = 199,
) -> StudyReport:
    """Compute all parts of the report.

    Parameters
    ----------
    tables : dict
        Profile to printed tables; the first profile is the one that is tested and judged.
    n_replications : int
        Bootstrap draws of the mediation paths.
    """
    main = list(next(iter(tables.values())))
    baseline = [column for table in main if table.table.number == 1 for column in table.columns]
    fits = [column.fit for column in baseline if column.fit.results is not None]
    comparison = compare(main)
    tests = channel_tests(main, panel)
    frames = {
        "agreement": count_agreement(comparison),
        "comparison": comparison,
        "channel_tests": tests,
        "channel_coefficients": channel_coefficients(main),
        "subsample_differences": subsample_differences(main),
        "paper_channels": paper_channel_tests(paper),
        "long_run": _by_outcome(fits, long_run),
        "effects": _by_outcome(fits, lambda fit: agglomeration_effects(fit, panel)),
        "ranges": _by_outcome(fits, lambda fit: significance_ranges(fit, panel)),
        "mediation": _by_outcome(fits, lambda fit: mediation(fit, panel, n_replications=n_replications)),
        "sensitivity": _by_outcome(fits, lambda fit: instrument_sensitivity(fit.column, panel, classes)),
        "estimators": _by_outcome(fits, lambda fit: estimator_sensitivity(fit, panel)),
        "invariant": _by_outcome(fits, lambda fit: invariant_effects(fit, panel)),
        "provinces": _province_extremes(fits, panel, classes),
        "growth": growth_in_place_of_resilience([fit.column for fit in fits], panel, classes),
        "variants": _variants(fits, panel, classes, provenance),
        "specification": _specification(fits),
        "bracket": _brackets(fits),
    }
    return StudyReport(tables, judge_claims(main, panel), frames, _plots(main, baseline, fits, panel, frames, provenance),
                       provenance)


def _by_outcome(fits: Sequence[ColumnFit], make) -> pd.DataFrame:
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
    fits: Sequence[ColumnFit], panel: StudyPanel, classes: CityClasses, provenance: Provenance
) -> pd.DataFrame:
    parts = []
    for fit in fits:
        column = fit.column
        parts.append(trimmed_by_each_outcome(column, panel, classes).assign(dependent=column.dependent))
        if provenance.left_out:
            parts.append(without_cities(column, panel, classes, provenance.left_out).assign(dependent=column.dependent))
        variants = provenance.outcome_variants.get(column.dependent, {})
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
        results = fit.results
        head = {"dependent": fit.column.dependent}
        for order in (1, 2, 3):
            test = results.ar_test(order)
            rows.append(head | {"test": f"AR({order})", "stat": test.stat, "df": np.nan, "pvalue": test.pvalue})
        for name, test in (("Hansen", results.hansen), ("Sargan", results.sargan)):
            rows.append(head | {"test": name, "stat": test.stat, "df": test.df, "pvalue": test.pvalue})
        for test in results.diff_in_hansen:
            if test.difference.applies:
                rows.append(head | {
                    "test": f"difference-in-Hansen: {test.group}", "stat": test.difference.stat,
                    "df": test.difference.df, "pvalue": test.difference.pvalue,
                })
    return pd.DataFrame(rows)


def _brackets(fits: Sequence[ColumnFit]) -> pd.DataFrame:
    rows = []
    for fit in fits:
        bracket = ols_bracket(fit.results)
        rows.append({
            "dependent": fit.column.dependent, "fixed_effects": bracket.fixed_effects, "gmm": bracket.gmm,
            "pooled_ols": bracket.pooled, "gmm_inside": bracket.inside,
        })
    return pd.DataFrame(rows)


def _plots(
    main: Sequence[PrintedTable], baseline: Sequence[PrintedColumn], fits: Sequence[ColumnFit], panel: StudyPanel,
    frames: Mapping[str, pd.DataFrame], provenance: Provenance,
) -> dict[str, list[str]]:
    comparison = frames["comparison"]
    found: dict[str, list[str]] = {"coefficients": [], "effects": [], "residuals": [], "maps": []}
    for table in main:
        cells = comparison[comparison["table"] == table.table.number]
        if len(cells):
            terms = ["lnAgg", *[resilience_term(column.fit) for column in table.columns[:1]], PRODUCTIVITY]
            found["coefficients"].append(
                plots.coefficient_plot(cells, terms=terms, title=f"Table {table.table.number}: {table.table.title}")
            )
    for fit in fits:
        name = fit.column.dependent
        effects = frames["effects"]
        found["effects"].append(
            plots.effect_plot(effects[effects["dependent"] == name], title=f"Effect of agglomeration on {name}")
        )
        residuals = fit.results.resids
        found["residuals"].append(
            plots.residual_plot(residuals[residuals["equation"] == "level"], title=f"Residuals, {name}")
        )
    if len(frames["channel_tests"]):
        found["differences"] = [plots.difference_plot(frames["channel_tests"], title="Are the channels equal?")]
    if len(provenance.coordinates):
        found["maps"] = _maps(fits, panel, provenance)
    if provenance.funnel:
        found["funnel"] = [plots.funnel_plot(provenance.funnel, title="From raw rows to observations")]
    if len(provenance.rejects):
        found["rejects"] = [plots.stacked_bars(provenance.rejects, title="Refused records by reason", ylabel="records")]
    return found


def _maps(fits: Sequence[ColumnFit], panel: StudyPanel, provenance: Provenance) -> list[str]:
    places = provenance.coordinates.set_index("city_id")
    means = np.exp(panel.natural.groupby(panel.entity)["lnvalue"].mean()).rename("value")
    cities = places.join(means, how="inner")
    maps = [plots.city_map(cities, value="value", title="Export value, yearly mean", outline=provenance.outline)]
    fit = next((one for one in fits if one.column.dependent == "lnvalue"), None)
    if fit is not None:
        residuals = fit.results.resids
        level = residuals[residuals["equation"] == "level"].groupby(panel.entity)["resid"].mean().rename("residual")
        maps.append(plots.city_map(places.join(level, how="inner"), value="residual", signed=True,
                                   title="Mean residual of lnvalue", outline=provenance.outline))
    return maps
