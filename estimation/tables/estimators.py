"""One column by other estimators: difference against system, without level moments, nonlinear moments, bias-corrected.

The table's estimate rests on level moments, which hold only if cities were on their own path when the data begin. Difference
GMM does without them; nonlinear moments replace them by the absence of serial correlation; bias-corrected within estimators
use no instruments but take every regressor as exogenous. Where all agree, no single assumption carries the answer.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from estimation.dynamic_panel.bias_corrected import BiasCorrectedMM
from estimation.dynamic_panel.hausman import hausman_test
from estimation.dynamic_panel.jackknife import HalfPanelJackknife
from estimation.dynamic_panel.model import PanelGMM, SystemGMM
from estimation.dynamic_panel.nonlinear import NonlinearMoments, fit_nonlinear, in_differences
from estimation.dynamic_panel.spec import GMMStyle
from estimation.dynamic_panel.two_way import two_way_clustered
from estimation.errors import EstimationError, EstimationWarning
from estimation.tables.channels import PRODUCTIVITY, resilience_term
from estimation.tables.columns import ColumnFit, build_model
from estimation.tables.robustness import summarise
from estimation.tables.study import StudyPanel

# a regressor whose deviations from its city's mean are below this share of its spread is constant within cities
CONSTANT_SHARE = 1e-9
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
        failed = isinstance(found, str)
        row = summarise(replace(fit, results=None if failed else found, failure=found if failed else ""), name)
        row["hausman_p"] = np.nan if failed or name == DIFFERENCE else _hausman(found, reference, core)
        row["left_out"] = "" if failed else ", ".join(sorted(set(model.spec.regressors) - set(found.params.index)))
        rows.append(row)
    return pd.DataFrame(rows)


def _choices(fit: ColumnFit, model: SystemGMM) -> dict[str, Callable[[], object]]:
    """Return the estimators by name."""
    options, spec = fit.results.options, model.spec
    without_level = model.with_spec(
        instruments=tuple(in_differences(g) if isinstance(g, GMMStyle) else g for g in spec.instruments)
    )
    difference = model.with_spec(
        system=False, collinear="drop", time_effects=None if spec.time_effects is None else "difference"
    )
    choices: dict[str, Callable[[], object]] = {
        SYSTEM: lambda: fit.results,
        "system GMM, errors clustered by city and year": lambda: two_way_clustered(fit.results),
        DIFFERENCE: lambda: difference.fit_options(options),
        "no level moments of endogenous regressors": lambda: without_level.fit_options(options),
    }
    for kind, label in (("noserial", "errors uncorrelated"), ("iid", "errors uncorrelated, variances equal")):
        choices[f"nonlinear moments in their place, {label}"] = (
            lambda kind=kind: fit_nonlinear(without_level, NonlinearMoments(kind), options)
        )
    if fit.column.dependent_lags:
        choices["bias-corrected within"] = lambda: _within(BiasCorrectedMM, fit, model)
        choices["half-panel jackknife"] = lambda: _within(HalfPanelJackknife, fit, model)
    return choices


def _within(
    estimator: type[BiasCorrectedMM] | type[HalfPanelJackknife], fit: ColumnFit, model: PanelGMM
) -> object:
    """Fit a within estimator on the regressors that vary within cities."""
    data, keys = model.data, model.keys
    names = list(fit.column.regressors)
    spread = data[names] - data.groupby(keys["entity"])[names].transform("mean")
    varying = [name for name in names if spread[name].std() > CONSTANT_SHARE * data[name].std()]
    return estimator(
        data, dependent=fit.column.dependent, lags=fit.column.dependent_lags, regressors=varying,
        time_effects=model.spec.time_effects is not None, cluster=model.spec.cluster, **keys,
    ).fit()


def _estimate(make: Callable[[], object]) -> object:
    """Return the estimates, or the sentence why there are none."""
    try:
        with warnings.catch_warnings():
            # what the table's own fit warned of is said beside the table
            warnings.simplefilter("ignore", EstimationWarning)
            return make()
    except EstimationError as error:
        return str(error)


def _hausman(found: object, reference: object, core: list[str]) -> float:
    """Return the p-value of the difference of the core coefficients."""
    if isinstance(reference, str):
        return float("nan")
    names = [name for name in core if name in found.params.index and name in reference.params.index]
    return hausman_test(found, reference, names, nested=False).pvalue if names else float("nan")
