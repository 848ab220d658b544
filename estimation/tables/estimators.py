"""One column by other estimators: difference against system, without level moments, nonlinear moments, bias-corrected.

The table's estimate rests on level moments, which hold only if cities were on their own path when the data begin. Difference
GMM does without them; nonlinear moments replace them by the absence of serial correlation; bias-corrected within estimators
use no instruments but take every regressor as exogenous. Where all agree, no single assumption carries the answer.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TypeAlias

import numpy as np
import pandas as pd

from estimation.dynamic_panel.bias_corrected import BiasCorrectedMM
from estimation.dynamic_panel.estimates import PanelEstimates
from estimation.dynamic_panel.hausman import hausman_test
from estimation.dynamic_panel.jackknife import HalfPanelJackknife
from estimation.dynamic_panel.model import PanelGMM, SystemGMM
from estimation.dynamic_panel.nonlinear import NonlinearMoments, fit_nonlinear, in_differences
from estimation.dynamic_panel.results import GMMResults
from estimation.dynamic_panel.spec import GMMStyle
from estimation.dynamic_panel.two_stage import two_stage
from estimation.dynamic_panel.two_way import two_way_clustered
from estimation.errors import EstimationError, EstimationWarning
from estimation.tables.channels import PRODUCTIVITY, resilience_term
from estimation.tables.columns import ColumnFit, build_model
from estimation.tables.robustness import summarise
from estimation.tables.study import StudyPanel

# a regressor whose deviations from its city's mean are below this share of its spread is constant within cities
CONSTANT_SHARE = 1e-9
# estimates, or the sentence why there are none
Found: TypeAlias = GMMResults | PanelEstimates | str
SYSTEM, DIFFERENCE = "system GMM (the table)", "difference GMM"


def estimator_sensitivity(fit: ColumnFit, panel: StudyPanel) -> pd.DataFrame:
    """Estimate a column by every estimator, one row each.

    Parameters
    ----------
    fit : ColumnFit
        A column that was estimated.
    panel : StudyPanel

    Returns
    -------
    DataFrame
        As the other robustness tables, with ``hausman_p``, the p-value that the core coefficients equal those of difference
        GMM, and ``left_out``, regressors the estimator cannot have.
    """
    model = build_model(fit.column, panel, fit.mask)
    estimates = {name: _estimate(make) for name, make in _choices(fit, model).items()}
    core = [fit.parameter("L.y"), "lnAgg", resilience_term(fit), PRODUCTIVITY]
    reference = estimates[DIFFERENCE]
    rows = []
    for name, found in estimates.items():
        if isinstance(found, str):
            rows.append(summarise(replace(fit, results=None, failure=found), name) | {"hausman_p": np.nan, "left_out": ""})
            continue
        # the summary reads what both kinds of results have
        row = summarise(replace(fit, results=found, failure=""), name)  # type: ignore[arg-type]  # see above
        row["hausman_p"] = np.nan if name == DIFFERENCE else _hausman(found, reference, core)
        row["left_out"] = ", ".join(sorted(set(model.spec.regressors) - set(found.params.index)))
        rows.append(row)
    return pd.DataFrame(rows)


def invariant_effects(fit: ColumnFit, panel: StudyPanel) -> pd.DataFrame:
    """Return the effects of regressors that do not change over time, in one stage and in two.

    Returns
    -------
    DataFrame
        choice, variable, estimate, std_error, pvalue, uncorrected (the two-stage error that takes the first stage as known)
        and problem; empty when every regressor varies within cities.
    """
    model = build_model(fit.column, panel, fit.mask)
    constant = [name for name in fit.column.regressors if name not in _varying(model, fit)]
    if not constant:
        return pd.DataFrame()
    second = _estimate(
        lambda: two_stage(_difference(model).fit_options(fit.estimated.options), model.data, constant)
    )
    choices: dict[str, Found] = {SYSTEM: fit.estimated, "two stages, difference GMM first": second}
    return pd.DataFrame([
        {"choice": choice, "variable": name, **_effect(found, name)} for choice, found in choices.items() for name in constant
    ])


def _effect(found: Found, name: str) -> dict[str, float | str]:
    """Return the effect of one regressor with its errors, or why there is none."""
    if isinstance(found, str):
        return {"estimate": np.nan, "std_error": np.nan, "pvalue": np.nan, "uncorrected": np.nan, "problem": found}
    uncorrected = found.details["uncorrected_std_errors"] if isinstance(found, PanelEstimates) else {}
    values = {"estimate": found.params, "std_error": found.std_errors, "pvalue": found.pvalues, "uncorrected": uncorrected}
    return {**{key: float(series.get(name, np.nan)) for key, series in values.items()}, "problem": ""}


def _choices(fit: ColumnFit, model: SystemGMM) -> dict[str, Callable[[], GMMResults | PanelEstimates]]:
    """Return the estimators by name."""
    options, spec = fit.estimated.options, model.spec
    without_level = model.with_spec(
        instruments=tuple(in_differences(g) if isinstance(g, GMMStyle) else g for g in spec.instruments)
    )
    difference = _difference(model)
    choices: dict[str, Callable[[], GMMResults | PanelEstimates]] = {
        SYSTEM: lambda: fit.estimated,
        "system GMM, errors clustered by city and year": lambda: two_way_clustered(fit.estimated),
        DIFFERENCE: lambda: difference.fit_options(options),
        "no level moments of endogenous regressors": lambda: without_level.fit_options(options),
    }
    for moments, label in (
        (NonlinearMoments("noserial"), "errors uncorrelated"),
        (NonlinearMoments("iid"), "errors uncorrelated, variances equal"),
    ):
        choices[f"nonlinear moments in their place, {label}"] = partial(fit_nonlinear, without_level, moments, options)
    if fit.column.dependent_lags:
        choices["bias-corrected within"] = lambda: _within(BiasCorrectedMM, fit, model)
        choices["half-panel jackknife"] = lambda: _within(HalfPanelJackknife, fit, model)
    return choices


def _difference(model: PanelGMM) -> PanelGMM:
    """Return the model without its level equation."""
    effects = None if model.spec.time_effects is None else "difference"
    return model.with_spec(system=False, collinear="drop", time_effects=effects)


def _varying(model: PanelGMM, fit: ColumnFit) -> list[str]:
    """Return the regressors that vary within cities."""
    data, names = model.data, list(fit.column.regressors)
    spread = data[names] - data.groupby(model.keys["entity"])[names].transform("mean")
    return [name for name in names if spread[name].std() > CONSTANT_SHARE * data[name].std()]


def _within(
    estimator: type[BiasCorrectedMM] | type[HalfPanelJackknife], fit: ColumnFit, model: PanelGMM
) -> PanelEstimates:
    """Fit a within estimator on the regressors that vary within cities."""
    return estimator(
        model.data, dependent=fit.column.dependent, lags=fit.column.dependent_lags, regressors=_varying(model, fit),
        time_effects=model.spec.time_effects is not None, cluster=model.spec.cluster, **model.keys,
    ).fit()


def _estimate(make: Callable[[], GMMResults | PanelEstimates]) -> Found:
    """Return the estimates, or the sentence why there are none."""
    try:
        with warnings.catch_warnings():
            # what the table's own fit warned of is said beside the table
            warnings.simplefilter("ignore", EstimationWarning)
            return make()
    except EstimationError as error:
        return str(error)


def _hausman(found: GMMResults | PanelEstimates, reference: Found, core: list[str]) -> float:
    """Return the p-value of the difference of the core coefficients."""
    if isinstance(reference, str):
        return float("nan")
    names = [name for name in core if name in found.params.index and name in reference.params.index]
    return hausman_test(found, reference, names, nested=False).pvalue if names else float("nan")
